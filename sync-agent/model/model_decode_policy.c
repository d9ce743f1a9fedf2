/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Policies of a route: how large a body may be, which other origins may ask,
 * which redirects of endpoints are followed, who is sent copies.
 */

#include "model_decode_route.h"

#include <stdio.h>

/* --- sizes --------------------------------------------------------------- */

static const char EXPECT_SIZE[] =
    "a size of 0 to 4294967295 bytes such as 65536, 64k or 1M";

bool model_decode_size(model_decoder_t *d, const model_node_t *node,
                       const model_field_t *field, void *out) {
    uint64_t value;

    (void)field;

    if (node->kind != MODEL_NODE_SCALAR ||
        !model_parse_size(node->text, &value) || value > UINT32_MAX) {
        return model_wrong(d, node, EXPECT_SIZE);
    }

    uint32_t bytes = (uint32_t)value;

    memcpy(out, &bytes, sizeof(bytes));
    return true;
}

/* --- CORS ---------------------------------------------------------------- */

#define CORS(member) offsetof(model_cors_t, member)

#define SCHEMA_SECONDS                                                         \
    "{'anyOf': [{'const': 0}, {'type': 'string', 'pattern': "                  \
    "'^([0-9]+([.][0-9]{1,9})?(ms|s|m|h)|0+)$'}]}"

/* One value, or several that are joined. */
static bool decode_words(model_decoder_t *d, const model_node_t *node,
                         const model_field_t *field, void *out) {
    const model_node_t *first =
        node->kind == MODEL_NODE_LIST ? node->first : node;
    mesh_str_t text, joined = MESH_STR("");
    uint32_t index = 0;

    if (first == NULL) {
        return model_wrong(d, node, field->expected);
    }

    for (const model_node_t *n = first; n != NULL;
         n = first == node ? NULL : n->next) {
        if (first != node) {
            model_push_index(d, index);
        }

        bool ok =
            model_header_value(d, n, &text) &&
            (text.len != 0 || model_wrong(d, n, "text that is not empty"));

        if (first != node) {
            model_pop(d);
        }

        if (!ok) {
            return false;
        }

        joined = mesh_str_from(
            arena_printf(d->arena, "%.*s%s%.*s", (int)joined.len, joined.data,
                         index++ ? ", " : "", (int)text.len, text.data));
    }

    if (joined.len > MESH_TEXT_MAX) {
        return model_wrong_found(d, node, "more than 65536 bytes", "fewer");
    }

    memcpy(out, &joined, sizeof(joined));
    return true;
}

/* The header has seconds. */
static bool decode_max_age(model_decoder_t *d, const model_node_t *node,
                           const model_field_t *field, void *out) {
    static const model_field_t duration = {.type = MODEL_DURATION,
                                           .max = MODEL_MS_MAX};
    uint32_t ms;

    (void)field;

    if (!model_decode_field(d, node, &duration, &ms)) {
        return false;
    }

    if (ms % 1000 != 0) {
        return model_wrong(d, node, "whole seconds");
    }

    mesh_str_t text = mesh_str_from(arena_printf(d->arena, "%u", ms / 1000));

    memcpy(out, &text, sizeof(text));
    return true;
}

static const model_field_t word_element = {
    .type = MODEL_CUSTOM,
    .pattern = MODEL_PATTERN_VALUE,
    .min = 1,
    .max = MESH_TEXT_MAX,
};

#define WORDS(text, member, what)                                              \
    {                                                                          \
        .name = (text), .type = MODEL_CUSTOM, .flags = MODEL_SINGLE,           \
        .offset = CORS(member), .decode = decode_words,                        \
        .expected = "text, or a list of texts", .element = &word_element,      \
        .about = (what)                                                        \
    }

enum {
    CORS_ORIGIN,
    CORS_METHODS,
    CORS_HEADERS,
    CORS_EXPOSE,
    CORS_MAX_AGE,
    CORS_CREDENTIALS,
    CORS_PRIVATE,
    CORS_FORWARD,
};

static const model_field_t cors_fields[] = {
    [CORS_ORIGIN] = {.name = "allow_origin",
                     .type = MODEL_LIST,
                     .flags = MODEL_SINGLE | MODEL_FILLED,
                     .offset = CORS(origins.v),
                     .count = CORS(origins.count),
                     .size = sizeof(model_match_t),
                     .element = &model_origin_element,
                     .about = "origins that may ask; one is enough, and * is "
                              "any"},
    [CORS_METHODS] = WORDS("allow_methods", methods,
                           "the value of access-control-allow-methods"),
    [CORS_HEADERS] = WORDS("allow_headers", headers,
                           "the value of access-control-allow-headers"),
    [CORS_EXPOSE] = WORDS("expose_headers", expose,
                          "the value of access-control-expose-headers"),
    [CORS_MAX_AGE] = {.name = "max_age",
                      .type = MODEL_CUSTOM,
                      .offset = CORS(max_age),
                      .decode = decode_max_age,
                      .expected = "a duration of whole seconds",
                      .about = "how long a preflight's answer holds",
                      .schema = SCHEMA_SECONDS},
    [CORS_CREDENTIALS] = {.name = "allow_credentials",
                          .type = MODEL_BOOL,
                          .offset = CORS(credentials),
                          .about = "cookies and the like may come along"},
    [CORS_PRIVATE] = {.name = "allow_private_network_access",
                      .type = MODEL_BOOL,
                      .offset = CORS(private_network),
                      .about = "pages of public networks may ask, too"},
    [CORS_FORWARD] = {.name = "forward_not_matching_preflights",
                      .type = MODEL_BOOL,
                      .offset = CORS(forward_foreign),
                      .fallback = true,
                      .about = "preflights of other origins go to the "
                               "endpoint"},
    {.name = "filter_enabled"},
    {.name = "shadow_enabled"},
};

static bool finish_cors(model_decoder_t *d, const model_node_t *node,
                        uint64_t seen, void *out) {
    model_cors_t *cors = out;

    (void)d;
    (void)node;

    cors->set = true;
    cors->said = seen;
    return true;
}

const model_object_t model_cors_object = {
    .name = "cors",
    MODEL_FIELDS(cors_fields),
    .finish = finish_cors,
};

/* Field by field, as Envoy does. */
void model_inherit_cors(model_cors_t *cors, const model_cors_t *from) {
    uint64_t said = from->said & ~cors->said;

    if (!cors->set) {
        *cors = *from;
        return;
    }

    for (uint32_t i = 0; i < mesh_nelts(cors_fields); i++) {
        if (!(said >> i & 1)) {
            continue;
        }

        size_t at = cors_fields[i].offset;

        if (i == CORS_ORIGIN) {
            cors->origins = from->origins;
        } else {
            memcpy((char *)cors + at, (const char *)from + at,
                   cors_fields[i].type == MODEL_BOOL ? sizeof(bool)
                                                     : sizeof(mesh_str_t));
        }
    }

    cors->said |= said;
}

/* --- internal redirects -------------------------------------------------- */

#define FOLLOW(member) offsetof(model_internal_redirects_t, member)

static bool decode_code(model_decoder_t *d, const model_node_t *node,
                        const model_field_t *field, void *out) {
    uint32_t status, codes;

    if (!model_decode_redirect_status(d, node, field, &status)) {
        return false;
    }

    memcpy(&codes, out, sizeof(codes));
    codes |= mesh_follow_bit(status);
    memcpy(out, &codes, sizeof(codes));
    return true;
}

static const model_field_t code_element = {
    .type = MODEL_CUSTOM,
    .decode = decode_code,
    .expected = "one of 301, 302, 303, 307, 308",
    .schema = "{'enum': [301, 302, 303, 307, 308]}",
};

static const model_field_t follow_fields[] = {
    {.name = "max",
     .type = MODEL_U32,
     .offset = FOLLOW(max),
     .min = 1,
     .max = MESH_FOLLOW_MAX,
     .fallback = 1,
     .about = "how many redirects of a request"},
    {.name = "codes",
     .type = MODEL_LIST,
     .flags = MODEL_SINGLE | MODEL_FILLED,
     .offset = FOLLOW(codes),
     .element = &code_element,
     .about = "statuses that are followed; 302 unless said"},
    {.name = "allow_cross_scheme",
     .type = MODEL_BOOL,
     .offset = FOLLOW(cross_scheme),
     .about = "from http to https and back, too"},
    {.name = "allow_listed_routes"},
    {.name = "previous_routes"},
    {.name = "safe_cross_scheme"},
    {.name = "response_headers_to_copy"},
};

static bool finish_follow(model_decoder_t *d, const model_node_t *node,
                          uint64_t seen, void *out) {
    model_internal_redirects_t *follow = out;

    (void)d;
    (void)node;
    (void)seen;

    if (follow->codes == 0) {
        follow->codes = MESH_FOLLOW_302;
    }

    follow->set = true;
    return true;
}

const model_object_t model_follow_object = {
    .name = "internal redirects",
    MODEL_FIELDS(follow_fields),
    .finish = finish_follow,
};

/* --- mirrors ------------------------------------------------------------- */

#define MIRROR(member) offsetof(model_mirror_t, member)

static bool decode_cluster(model_decoder_t *d, const model_node_t *node,
                           const model_field_t *field, void *out) {
    model_mirror_t *mirror = out;

    (void)field;

    return model_decode_target(d, node, &mirror->cluster, &mirror->subset);
}

static const model_field_t mirror_fields[] = {
    {.name = "cluster",
     .type = MODEL_CUSTOM,
     .flags = MODEL_REQUIRED,
     .decode = decode_cluster,
     .expected = "a cluster, or a cluster/subset",
     .about = "the cluster, or cluster/subset, that gets copies",
     .pattern = MODEL_PATTERN_TARGET},
    {.name = "percentage",
     .type = MODEL_OBJECT,
     .offset = MIRROR(share),
     .object = &model_share_object,
     .about = "this share of the requests; all unless said"},
    {.name = "shadow_host",
     .type = MODEL_BOOL,
     .offset = MIRROR(shadow_host),
     .fallback = true,
     .about = "the host of copies ends in -shadow"},
    {.name = "cluster_header"},
    {.name = "host_rewrite"},
    {.name = "request_headers"},
    {.name = "trace_sampled"},
};

/* All of them. */
static bool finish_mirror(model_decoder_t *d, const model_node_t *node,
                          uint64_t seen, void *out) {
    model_mirror_t *mirror = out;

    (void)d;
    (void)node;
    (void)seen;

    if (!mirror->share.set) {
        mirror->share = MODEL_SHARE_DEFAULT;
    }

    return true;
}

static const model_object_t mirror_object = {
    .name = "a mirror",
    MODEL_FIELDS(mirror_fields),
    .scalar = "cluster",
    .finish = finish_mirror,
};

const model_field_t model_mirror_element = {
    .type = MODEL_OBJECT,
    .object = &mirror_object,
};

/* --- hosts --------------------------------------------------------------- */

void model_inherit_policies(model_vhost_t *host) {
    for (uint32_t i = 0; i < host->nroutes; i++) {
        model_route_t *route = &host->routes[i];

        if (route->action != MESH_ACTION_ROUTE) {
            continue;
        }

        if (route->mirrors.count == 0) {
            route->mirrors = host->mirrors;
        }

        if (host->cors.set) {
            model_inherit_cors(&route->cors, &host->cors);
        }
    }
}
