/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a route does with a request: weighted clusters, redirect, direct
 * response; rewriting and retries on the way.
 */

#include "model_decode_route.h"

#include <stdio.h>

#define CODES_MAX 200 /* 400 .. 599 */

/* --- texts --------------------------------------------------------------- */

static bool has_bad_char(mesh_str_t text) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.data[i];

        if (c <= 0x20 || c == 0x7f) {
            return true;
        }
    }

    return false;
}

bool model_decode_path(model_decoder_t *d, const model_node_t *node,
                       const model_field_t *field, void *out) {
    mesh_str_t text;

    if (!model_decode_string(d, node, field, &text)) {
        return false;
    }

    if (text.len > MESH_TEXT_MAX) {
        return model_wrong(d, node, "at most 65536 bytes");
    }

    if (text.len == 0 || text.data[0] != '/') {
        return model_wrong(d, node, "a path that begins with \"/\"");
    }

    if (has_bad_char(text)) {
        return model_wrong(d, node,
                           "a path without spaces and control characters");
    }

    memcpy(out, &text, sizeof(text));
    return true;
}

/* What replaces a prefix may be nothing at all. */
static bool decode_prefix(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, mesh_str_t *out) {
    if (model_is_text(node) && node->text.len == 0) {
        *out = MESH_STR("");
        return true;
    }

    return model_decode_path(d, node, field, out);
}

static bool decode_authority(model_decoder_t *d, const model_node_t *node,
                             const model_field_t *field, void *out) {
    static const char expected[] = "a host name or address";
    mesh_str_t text;

    (void)field;

    if (!model_is_text(node) || node->text.len == 0 ||
        node->text.len > MESH_DOMAIN_MAX) {
        return model_wrong(d, node, expected);
    }

    text = node->text;

    for (size_t i = 0; i < text.len; i++) {
        char c = mesh_lower(text.data[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) &&
            memchr("-._:[]", c, 6) == NULL) {
            return model_wrong(d, node, expected);
        }
    }

    memcpy(out, &text, sizeof(text));
    return true;
}

/* --- route --------------------------------------------------------------- */

bool model_decode_target(model_decoder_t *d, const model_node_t *node,
                         mesh_str_t *cluster, mesh_str_t *subset) {
    static const char expected[] = "a cluster, or a cluster/subset";

    if (!model_is_text(node)) {
        return model_wrong(d, node, expected);
    }

    mesh_str_t text = node->text;
    const char *slash = memrchr(text.data, '/', text.len);

    *cluster = text;
    *subset = MESH_STR_NULL;

    if (slash != NULL) {
        cluster->len = (size_t)(slash - text.data);
        *subset = (mesh_str_t){text.len - cluster->len - 1, slash + 1};

        if (subset->len == 0 || cluster->len == 0) {
            return model_wrong(d, node, expected);
        }

        if (!model_check_name(d, node, *subset, false)) {
            return false;
        }
    }

    return model_check_name(d, node, *cluster, false);
}

static bool decode_target(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, void *out) {
    model_split_t *split = out;

    (void)field;

    return model_decode_target(d, node, &split->cluster, &split->subset);
}

#define SPLIT(member) offsetof(model_split_t, member)

static const model_field_t split_fields[] = {
    {.name = "cluster",
     .type = MODEL_CUSTOM,
     .flags = MODEL_REQUIRED,
     .decode = decode_target,
     .expected = "a cluster, or a cluster/subset"},
    {.name = "weight",
     .type = MODEL_U32,
     .offset = SPLIT(weight),
     .max = UINT32_MAX,
     .fallback = 1},
    {.name = "request_headers",
     .type = MODEL_CUSTOM,
     .offset = SPLIT(request_ops),
     .decode = model_decode_header_ops,
     .object = &model_header_ops_object},
    {.name = "response_headers",
     .type = MODEL_CUSTOM,
     .offset = SPLIT(response_ops),
     .decode = model_decode_header_ops,
     .object = &model_header_ops_object},
    {.name = "rewrite"},
    {.name = "fault"},
    {.name = "cluster_header"},
    {.name = "metadata"},
};

static const model_object_t split_object = {
    .name = "a weighted cluster",
    MODEL_FIELDS(split_fields),
    .scalar = "cluster",
};

const model_field_t model_split_element = {
    .type = MODEL_OBJECT,
    .object = &split_object,
};

/* --- redirect ------------------------------------------------------------ */

#define REDIRECT(member) offsetof(model_redirect_t, member)

static bool decode_scheme(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, void *out) {
    (void)field;

    if (!model_is_text(node) || (!mesh_str_eq(node->text, MESH_STR("http")) &&
                                 !mesh_str_eq(node->text, MESH_STR("https")))) {
        return model_wrong(d, node, "http or https");
    }

    memcpy(out, &node->text, sizeof(node->text));
    return true;
}

bool model_decode_redirect_status(model_decoder_t *d, const model_node_t *node,
                                  const model_field_t *field, void *out) {
    static const uint16_t known[] = {301, 302, 303, 307, 308};
    uint64_t value = 0;

    (void)field;

    if (node->kind == MODEL_NODE_SCALAR && node->plain) {
        model_parse_u64(node->text, &value);
    }

    for (size_t i = 0; i < mesh_nelts(known); i++) {
        if (value == known[i]) {
            uint32_t status = known[i];

            memcpy(out, &status, sizeof(status));
            return true;
        }
    }

    return model_wrong(d, node, "one of 301, 302, 303, 307, 308");
}

static bool decode_redirect_prefix(model_decoder_t *d, const model_node_t *node,
                                   const model_field_t *field, void *out) {
    model_redirect_t *redirect = out;

    redirect->has_prefix = true;

    return decode_prefix(d, node, field, &redirect->prefix);
}

static const model_field_t redirect_fields[] = {
    {.name = "scheme",
     .type = MODEL_CUSTOM,
     .offset = REDIRECT(scheme),
     .decode = decode_scheme,
     .expected = "http or https"},
    {.name = "host",
     .type = MODEL_CUSTOM,
     .offset = REDIRECT(host),
     .decode = decode_authority,
     .expected = "a host name or address"},
    {.name = "port",
     .type = MODEL_U32,
     .offset = REDIRECT(port),
     .min = 1,
     .max = 65535},
    {.name = "path",
     .type = MODEL_CUSTOM,
     .offset = REDIRECT(path),
     .decode = model_decode_path,
     .expected = "a path"},
    {.name = "prefix_rewrite",
     .type = MODEL_CUSTOM,
     .decode = decode_redirect_prefix,
     .expected = "a path, or nothing"},
    {.name = "status",
     .type = MODEL_CUSTOM,
     .offset = REDIRECT(status),
     .fallback = 301,
     .decode = model_decode_redirect_status,
     .expected = "one of 301, 302, 303, 307, 308"},
    {.name = "strip_query",
     .type = MODEL_BOOL,
     .offset = REDIRECT(strip_query)},
    {.name = "regex_rewrite"},
};

static bool finish_redirect(model_decoder_t *d, const model_node_t *node,
                            uint64_t seen, void *out) {
    const model_redirect_t *redirect = out;

    (void)seen;

    if (redirect->has_prefix && redirect->path.len != 0) {
        return model_wrong_found(d, node, "both path and prefix_rewrite",
                                 "one of them");
    }

    if (redirect->scheme.len == 0 && redirect->host.len == 0 &&
        redirect->port == 0 && redirect->path.len == 0 &&
        !redirect->has_prefix) {
        return model_wrong_found(
            d, node, "a redirect to where the request is already",
            "a scheme, host, port, path or prefix_rewrite");
    }

    return true;
}

const model_object_t model_redirect_object = {
    .name = "a redirect",
    MODEL_FIELDS(redirect_fields),
    .finish = finish_redirect,
};

/* --- respond ------------------------------------------------------------- */

#define ROUTE(member) offsetof(model_route_t, member)

static const model_field_t respond_fields[] = {
    {.name = "status",
     .type = MODEL_U32,
     .flags = MODEL_REQUIRED,
     .offset = ROUTE(direct_status),
     .min = 200,
     .max = 599},
    {.name = "body",
     .type = MODEL_STRING,
     .offset = ROUTE(direct_body),
     .max = MESH_TEXT_MAX},
    {.name = "body_file"},
    {.name = "content_type"},
};

const model_object_t model_respond_object = {
    .name = "a direct response",
    MODEL_FIELDS(respond_fields),
    .scalar = "status",
};

/* --- rewrite ------------------------------------------------------------- */

static bool decode_rewrite_prefix(model_decoder_t *d, const model_node_t *node,
                                  const model_field_t *field, void *out) {
    model_route_t *route = out;

    route->has_prefix_rewrite = true;

    return model_decode_path(d, node, field, &route->prefix_rewrite);
}

static const model_field_t rewrite_fields[] = {
    {.name = "prefix",
     .type = MODEL_CUSTOM,
     .decode = decode_rewrite_prefix,
     .expected = "a path"},
    {.name = "host",
     .type = MODEL_CUSTOM,
     .offset = ROUTE(host_rewrite),
     .decode = decode_authority,
     .expected = "a host name or address"},
    {.name = "regex"},
    {.name = "path"},
    {.name = "host_from_header"},
    {.name = "host_from_endpoint"},
};

const model_object_t model_rewrite_object = {
    .name = "a rewrite",
    MODEL_FIELDS(rewrite_fields),
};

/* --- retries ------------------------------------------------------------- */

static const model_value_t conditions[] = {
    {"connect-failure", MESH_RETRY_CONNECT_FAILURE},
    {"reset", MESH_RETRY_RESET},
    {"gateway-error", MESH_RETRY_GATEWAY_ERROR},
    {"5xx", MESH_RETRY_5XX},
    {"retriable-4xx", MODEL_VALUE_LATER},
    {"refused-stream", MODEL_VALUE_LATER},
    {"reset-before-request", MODEL_VALUE_LATER},
    {"retriable-headers", MODEL_VALUE_LATER},
    {"envoy-ratelimited", MODEL_VALUE_LATER},
    {"http3-post-connect-failure", MODEL_VALUE_LATER},
    {NULL, 0},
};

/* Numbers of gRPC's statuses. */
static const model_value_t grpc_statuses[] = {
    {"cancelled", 1}, {"deadline-exceeded", 4}, {"resource-exhausted", 8},
    {"internal", 13}, {"unavailable", 14},      {NULL, 0},
};

static const char EXPECT_CONDITION[] =
    "connect-failure, reset, gateway-error, 5xx, a status from 400 to 599, or "
    "a gRPC status: cancelled, deadline-exceeded, resource-exhausted, "
    "internal, unavailable";

static const model_value_t *find_value(const model_value_t *values,
                                       mesh_str_t text) {
    for (; values->name != NULL; values++) {
        if (mesh_str_eq(text, mesh_str_from(values->name))) {
            return values;
        }
    }

    return NULL;
}

static void add_code(model_decoder_t *d, model_retry_t *retry, uint32_t code) {
    uint32_t at = 0;

    if (retry->codes == NULL) {
        retry->codes = arena_alloc(d->arena, sizeof(*retry->codes) * CODES_MAX);
    }

    while (at < retry->ncodes && retry->codes[at] < code) {
        at++;
    }

    if (at < retry->ncodes && retry->codes[at] == code) {
        return;
    }

    memmove(retry->codes + at + 1, retry->codes + at,
            sizeof(*retry->codes) * (retry->ncodes - at));
    retry->codes[at] = code;
    retry->ncodes++;
    retry->on |= MESH_RETRY_STATUS;
}

static bool decode_condition(model_decoder_t *d, const model_node_t *node,
                             const model_field_t *field, void *out) {
    model_retry_t *retry = out;
    uint64_t code;

    (void)field;

    if (node->kind != MODEL_NODE_SCALAR) {
        return model_wrong(d, node, EXPECT_CONDITION);
    }

    if (model_scalar_kind(node) == MODEL_SCALAR_NUMBER) {
        if (!model_parse_u64(node->text, &code) || code < 400 || code > 599) {
            return model_wrong(d, node, EXPECT_CONDITION);
        }

        add_code(d, retry, (uint32_t)code);
        return true;
    }

    const model_value_t *value = find_value(conditions, node->text);

    if (value != NULL) {
        if (value->value == MODEL_VALUE_LATER) {
            return model_not_yet(d, node, value->name);
        }

        retry->on |= value->value;
        return true;
    }

    value = find_value(grpc_statuses, node->text);

    if (value == NULL) {
        return model_wrong(d, node, EXPECT_CONDITION);
    }

    retry->grpc |= 1u << value->value;
    retry->on |= MESH_RETRY_GRPC;
    return true;
}

static const model_field_t condition_element = {
    .type = MODEL_CUSTOM,
    .decode = decode_condition,
    .expected = EXPECT_CONDITION,
};

static bool decode_unsafe(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, void *out) {
    static const model_field_t flag = {.type = MODEL_BOOL};
    model_retry_t *retry = out;
    bool value = false;

    (void)field;

    if (!model_decode_scalar(d, node, &flag, &value)) {
        return false;
    }

    retry->on |= value ? MESH_RETRY_UNSAFE : 0;
    return true;
}

#define RETRY(member) offsetof(model_retry_t, member)

static const model_field_t retry_fields[] = {
    {.name = "attempts",
     .type = MODEL_U32,
     .offset = RETRY(attempts),
     .min = 1,
     .max = 100,
     .fallback = 1},
    {.name = "on",
     .type = MODEL_LIST,
     .flags = MODEL_REQUIRED | MODEL_SINGLE | MODEL_FILLED,
     .element = &condition_element},
    {.name = "per_try_timeout",
     .type = MODEL_DURATION,
     .offset = RETRY(per_try_timeout_ms),
     .max = MODEL_MS_MAX},
    {.name = "retry_unsafe",
     .type = MODEL_CUSTOM,
     .decode = decode_unsafe,
     .expected = "true or false"},
    {.name = "backoff"},
    {.name = "budget"},
    {.name = "per_try_idle_timeout"},
    {.name = "priorities"},
    {.name = "retriable_headers"},
    {.name = "retriable_request_headers"},
    {.name = "retry_after"},
};

static bool finish_retry(model_decoder_t *d, const model_node_t *node,
                         uint64_t seen, void *out) {
    model_retry_t *retry = out;

    (void)d;
    (void)node;
    (void)seen;

    retry->set = true;
    return true;
}

const model_object_t model_retry_object = {
    .name = "retries",
    MODEL_FIELDS(retry_fields),
    .finish = finish_retry,
};
