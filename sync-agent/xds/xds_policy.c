/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Policies of routes, in Envoy's messages: who is sent copies, which other
 * origins may ask, which redirects of endpoints are followed, how large a
 * body may be.
 */

#include "xds_table.h"

#define MIRRORS "at most 8"

/* --- mirrors ------------------------------------------------------------- */

typedef struct {
    mesh_str_t cluster;
    model_share_t share;
    bool keep_host;
} mirror_form_t;

#define MIRROR(member) offsetof(mirror_form_t, member)

#define MIRROR_ONE "more than one way to a cluster"

static const xds_field_t mirror_fields[] = {
    {.name = "cluster",
     .type = XDS_CUSTOM,
     .flags = XDS_NO_PRESENCE,
     .oneof = MIRROR_ONE,
     .offset = MIRROR(cluster),
     .decode = xds_decode_cluster_name},
    {.name = "cluster_header", .type = XDS_LATER_APART, .oneof = MIRROR_ONE},
    {.name = "runtime_fraction",
     .type = XDS_MESSAGE,
     .offset = MIRROR(share),
     .message = &xds_runtime_fraction},
    {.name = "disable_shadow_host_suffix_append",
     .type = XDS_BOOL,
     .offset = MIRROR(keep_host)},
    {.name = "trace_sampled", .type = XDS_LATER_SEEN},
    {.name = "request_headers_mutations", .type = XDS_LATER_APART},
    {.name = "host_rewrite_literal", .type = XDS_LATER_APART},
};

/* The first two rows say where to. */
static bool finish_mirror(xds_decoder_t *x, const model_node_t *node,
                          uint64_t seen, void *out) {
    (void)out;

    return (seen & 3) != 0 ||
           model_wrong_found(&x->d, node, "no cluster", "a cluster");
}

const xds_message_t xds_mirror = {
    .name = "envoy.config.route.v3.RouteAction.RequestMirrorPolicy",
    XDS_FIELDS(mirror_fields),
    .finish = finish_mirror,
};

bool xds_decode_mirrors(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    model_mirrors_t *mirrors = out;
    uint32_t index = 0;
    bool ok = true;

    if (!xds_is(x, node, MODEL_NODE_LIST)) {
        return false;
    }

    if (node->count > MESH_MIRRORS_MAX) {
        return model_wrong_found(&x->d, node, "more than 8 mirrors", MIRRORS);
    }

    mirrors->v = arena_alloc(x->d.arena, sizeof(*mirrors->v) * node->count);

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        mirror_form_t form = {.share = MODEL_SHARE_DEFAULT};

        model_push_index(&x->d, index++);

        if (!xds_decode_message(x, n, field->message, &form)) {
            ok = false;
        } else if (form.cluster.len != 0) { /* or its header is passed over */
            mirrors->v[mirrors->count++] =
                (model_mirror_t){.cluster = form.cluster,
                                 .share = form.share,
                                 .shadow_host = !form.keep_host};
        }

        model_pop(&x->d);
    }

    return ok;
}

/* --- CORS ---------------------------------------------------------------- */

#define CORS(member) offsetof(model_cors_t, member)

static bool decode_value(xds_decoder_t *x, const model_node_t *node,
                         const xds_field_t *field, void *out) {
    (void)field;

    return model_header_value(&x->d, node, out);
}

/* Part of the requests: of all only, and no key may change that. */
static bool decode_enabled(xds_decoder_t *x, const model_node_t *node,
                           const xds_field_t *field, void *out) {
    model_share_t share = {.set = false};

    (void)out;

    return xds_decode_message(x, node, field->message, &share) &&
           (share.ppm == MESH_SHARE_ALL ||
            xds_later(x, node, XDS_LATER_APART, field,
                      "a policy for a part of the requests")) &&
           (share.key.len == 0 ||
            xds_later(x, node, XDS_LATER_SEEN, field->message,
                      "a policy with a runtime key"));
}

static const xds_field_t origin_element = {
    .type = XDS_MESSAGE,
    .message = &xds_string_matcher,
};

#define VALUE(text, member)                                                    \
    {                                                                          \
        .name = (text), .type = XDS_CUSTOM, .flags = XDS_NO_PRESENCE,          \
        .offset = CORS(member), .decode = decode_value                         \
    }

/*
 * Rows in the order of the native front end's, as model_cors_t.said has a bit
 * for each of them.
 */
static const xds_field_t cors_fields[] = {
    {.name = "allow_origin_string_match",
     .type = XDS_LIST,
     .flags = XDS_NO_PRESENCE,
     .offset = CORS(origins.v),
     .count = CORS(origins.count),
     .size = sizeof(model_match_t),
     .element = &origin_element},
    VALUE("allow_methods", methods),
    VALUE("allow_headers", headers),
    VALUE("expose_headers", expose),
    VALUE("max_age", max_age),
    {.name = "allow_credentials",
     .type = XDS_BOOL,
     .offset = CORS(credentials)},
    {.name = "allow_private_network_access",
     .type = XDS_BOOL,
     .offset = CORS(private_network)},
    {.name = "forward_not_matching_preflights",
     .type = XDS_BOOL,
     .offset = CORS(forward_foreign),
     .fallback = 1},
    {.name = "filter_enabled",
     .type = XDS_CUSTOM,
     .message = &xds_runtime_fraction,
     .decode = decode_enabled},
    {.name = "shadow_enabled", .type = XDS_LATER_APART},
};

#define CORS_SAID 0xff

static bool finish_cors(xds_decoder_t *x, const model_node_t *node,
                        uint64_t seen, void *out) {
    model_cors_t *cors = out;

    (void)x;
    (void)node;

    for (uint32_t i = 0; i < cors->origins.count; i++) {
        cors->origins.v[i].from = MESH_FROM_HEADER;
        cors->origins.v[i].name = MESH_STR("origin");
    }

    cors->set = true;
    cors->said = seen & CORS_SAID;
    return true;
}

const xds_message_t xds_cors_old = {
    .name = "envoy.config.route.v3.CorsPolicy",
    XDS_FIELDS(cors_fields),
    .finish = finish_cors,
};

const xds_message_t xds_cors = {
    .name = "envoy.extensions.filters.http.cors.v3.CorsPolicy",
    XDS_FIELDS(cors_fields),
    .finish = finish_cors,
};

/* --- internal redirects -------------------------------------------------- */

#define FOLLOW(member) offsetof(model_internal_redirects_t, member)

static bool decode_max(xds_decoder_t *x, const model_node_t *node,
                       const xds_field_t *field, void *out) {
    static const xds_field_t number = {.type = XDS_U32};
    uint32_t max = 0;

    if (!xds_decode_field(x, node, &number, &max)) {
        return false;
    }

    if (max > MESH_FOLLOW_MAX) {
        max = MESH_FOLLOW_MAX;

        if (!xds_later(x, node, XDS_LATER_APART, field,
                       "more than 16 internal redirects of a request")) {
            return false;
        }
    }

    memcpy(out, &max, sizeof(max));
    return true;
}

/* Others than the five are passed over, as in Envoy. */
static bool decode_code(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    static const xds_field_t number = {.type = XDS_U32};
    uint32_t status = 0;
    uint32_t codes;

    (void)field;

    if (!xds_decode_field(x, node, &number, &status)) {
        return false;
    }

    memcpy(&codes, out, sizeof(codes));
    codes |= mesh_follow_bit(status);
    memcpy(out, &codes, sizeof(codes));
    return true;
}

static const xds_field_t code_element = {
    .type = XDS_CUSTOM,
    .decode = decode_code,
};

enum { FOLLOW_MAX, FOLLOW_CODES };

static const xds_field_t follow_fields[] = {
    [FOLLOW_MAX] = {.name = "max_internal_redirects",
                    .type = XDS_CUSTOM,
                    .offset = FOLLOW(max),
                    .fallback = 1,
                    .decode = decode_max},
    [FOLLOW_CODES] = {.name = "redirect_response_codes",
                      .type = XDS_LIST,
                      .flags = XDS_NO_PRESENCE,
                      .offset = FOLLOW(codes),
                      .element = &code_element},
    {.name = "allow_cross_scheme_redirect",
     .type = XDS_BOOL,
     .offset = FOLLOW(cross_scheme)},
    {.name = "predicates", .type = XDS_LATER_APART},
    {.name = "response_headers_to_copy", .type = XDS_LATER_APART},
};

/* Codes that are all passed over leave none, as in Envoy. */
static bool finish_follow(xds_decoder_t *x, const model_node_t *node,
                          uint64_t seen, void *out) {
    model_internal_redirects_t *follow = out;

    (void)x;
    (void)node;

    if (!(seen >> FOLLOW_CODES & 1)) {
        follow->codes = MESH_FOLLOW_302;
    }

    follow->set = follow->max != 0 && follow->codes != 0;
    return true;
}

const xds_message_t xds_internal_redirects = {
    .name = "envoy.config.route.v3.InternalRedirectPolicy",
    XDS_FIELDS(follow_fields),
    .finish = finish_follow,
};

/* --- sizes --------------------------------------------------------------- */

static const xds_field_t buffer_fields[] = {
    {.name = "max_request_bytes",
     .type = XDS_U32,
     .flags = XDS_REQUIRED,
     .min = 1},
};

const xds_message_t xds_buffer = {
    .name = "envoy.extensions.filters.http.buffer.v3.Buffer",
    XDS_FIELDS(buffer_fields),
};

typedef struct {
    uint32_t body_limit;
    bool disabled;
} buffer_form_t;

#define BUFFER_ONE "both disabled and a buffer"

static const xds_field_t buffer_route_fields[] = {
    {.name = "disabled",
     .type = XDS_BOOL,
     .oneof = BUFFER_ONE,
     .offset = offsetof(buffer_form_t, disabled)},
    {.name = "buffer",
     .type = XDS_MESSAGE,
     .oneof = BUFFER_ONE,
     .offset = offsetof(buffer_form_t, body_limit),
     .message = &xds_buffer},
};

static bool finish_buffer_route(xds_decoder_t *x, const model_node_t *node,
                                uint64_t seen, void *out) {
    const buffer_form_t *form = out;

    return (seen >> 1 & 1) || form->disabled ||
           model_wrong_found(&x->d, node, "neither", "one of disabled, buffer");
}

const xds_message_t xds_buffer_route = {
    .name = "envoy.extensions.filters.http.buffer.v3.BufferPerRoute",
    XDS_FIELDS(buffer_route_fields),
    .finish = finish_buffer_route,
};

bool xds_decode_buffer_route(xds_decoder_t *x, const model_node_t *any,
                             uint32_t *body_limit) {
    buffer_form_t form = {.body_limit = 0};

    if (!xds_decode_any(x, any, &xds_buffer_route, &form)) {
        return false;
    }

    *body_limit = form.body_limit;
    return true;
}
