/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a route does with a request: weighted clusters, direct response;
 * retries on the way.
 */

#include "mesh_subset.h"
#include "model_decode_route.h"
#include "model_subset.h"

#include <stdio.h>

#define CODES_MAX 200 /* 400 .. 599 */

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

        if (memchr(cluster->data, '/', cluster->len) != NULL &&
            mesh_subset_by_labels(*cluster)) {
            return model_wrong(d, node,
                               "a cluster/subset with %2F for a \"/\" in its "
                               "labels");
        }

        if (!model_decode_subset(d, node, *subset, subset)) {
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

static bool decode_cluster_header(model_decoder_t *d, const model_node_t *node,
                                  const model_field_t *field, void *out) {
    model_split_t *split = out;

    split->by_header = true;

    return model_decode_header_name(d, node, field, &split->cluster);
}

#define SPLIT(member) offsetof(model_split_t, member)

enum { SPLIT_CLUSTER, SPLIT_HEADER, SPLIT_NOT_FOUND };

static const model_field_t split_fields[] = {
    [SPLIT_CLUSTER] = {.name = "cluster",
                       .type = MODEL_CUSTOM,
                       .decode = decode_target,
                       .expected = "a cluster, or a cluster/subset",
                       .about = "a cluster, or cluster/subset",
                       .pattern = MODEL_PATTERN_TARGET},
    [SPLIT_HEADER] = {.name = "cluster_header",
                      .type = MODEL_CUSTOM,
                      .decode = decode_cluster_header,
                      .expected = "a header's name",
                      .about = "the request header that names the cluster",
                      .pattern = MODEL_PATTERN_TOKEN,
                      .max = MESH_HEADER_NAME_MAX},
    [SPLIT_NOT_FOUND] = {.name = "cluster_not_found_status",
                         .type = MODEL_U32,
                         .offset = SPLIT(not_found),
                         .min = 400,
                         .max = 599,
                         .about = "the answer where no cluster of that name "
                                  "is; 503 unless said"},
    {.name = "weight",
     .type = MODEL_U32,
     .offset = SPLIT(weight),
     .max = UINT32_MAX,
     .fallback = 1,
     .about = "its part of the sum of weights; 0: none"},
    {.name = "request_headers",
     .type = MODEL_CUSTOM,
     .offset = SPLIT(request_ops),
     .decode = model_decode_request_ops,
     .object = &model_header_ops_object,
     .about =
         "what is done to the request's headers on the way to the endpoint"},
    {.name = "response_headers",
     .type = MODEL_CUSTOM,
     .offset = SPLIT(response_ops),
     .decode = model_decode_response_ops,
     .object = &model_header_ops_object,
     .about =
         "what is done to the response's headers on the way to the client"},
    {.name = "rewrite",
     .type = MODEL_OBJECT,
     .offset = SPLIT(host_rewrite),
     .object = &model_host_rewrite_object,
     .about = "another host; the route's rewrites act on it"},
    {.name = "fault"},
    {.name = "metadata"},
    {.name = "runtime_key"},
};

static bool finish_split(model_decoder_t *d, const model_node_t *node,
                         uint64_t seen, void *out) {
    model_split_t *split = out;

    switch (seen & (1u << SPLIT_CLUSTER | 1u << SPLIT_HEADER)) {
    case 1u << SPLIT_CLUSTER:
        break;
    case 1u << SPLIT_HEADER:
        split->not_found = split->not_found ? split->not_found : 503;
        return true;
    default:
        return model_wrong_found(
            d, node, split->by_header ? "a cluster twice" : "no cluster",
            "one of cluster, cluster_header");
    }

    return (seen >> SPLIT_NOT_FOUND & 1) == 0 ||
           model_wrong_found(d, node, "cluster_not_found_status",
                             "it beside cluster_header only");
}

static const model_rule_t split_rules[] = {
    {MODEL_RULE_ONE, "cluster cluster_header", NULL, NULL},
    {MODEL_RULE_BESIDE, "cluster_not_found_status", "cluster_header", NULL},
    {MODEL_RULE_ONE, NULL, NULL, NULL},
};

static const model_object_t split_object = {
    .name = "a weighted cluster",
    MODEL_FIELDS(split_fields),
    .scalar = "cluster",
    .finish = finish_split,
    .rules = split_rules,
};

const model_field_t model_split_element = {
    .type = MODEL_OBJECT,
    .object = &split_object,
};

/* --- split_by ------------------------------------------------------------ */

static const model_value_t split_choices[] = {
    {"hash", MODEL_SPLIT_BY_HASH},
    {NULL, 0},
};

static bool decode_split_header(model_decoder_t *d, const model_node_t *node,
                                const model_field_t *field, void *out) {
    model_split_by_t *split_by = out;

    split_by->by = MODEL_SPLIT_BY_HEADER;

    return model_decode_header_name(d, node, field, &split_by->header);
}

enum { SPLIT_BY_CHOICE, SPLIT_BY_HEADER };

static const model_field_t split_by_fields[] = {
    [SPLIT_BY_CHOICE] = {.name = "by",
                         .type = MODEL_ENUM,
                         .offset = offsetof(model_split_by_t, by),
                         .values = split_choices,
                         .about = "hash: what the hash_policy finds"},
    [SPLIT_BY_HEADER] = {.name = "header",
                         .type = MODEL_CUSTOM,
                         .decode = decode_split_header,
                         .expected = "a header's name",
                         .about = "the request header that has a number",
                         .pattern = MODEL_PATTERN_TOKEN,
                         .max = MESH_HEADER_NAME_MAX},
};

static bool finish_split_by(model_decoder_t *d, const model_node_t *node,
                            uint64_t seen, void *out) {
    (void)out;

    if (seen == 1u << SPLIT_BY_CHOICE || seen == 1u << SPLIT_BY_HEADER) {
        return true;
    }

    return model_wrong_found(d, node, seen == 0 ? "nothing" : "two of them",
                             "one of by, header");
}

static const model_rule_t split_by_rules[] = {
    {MODEL_RULE_ONE, "by header", NULL, NULL},
    {MODEL_RULE_ONE, NULL, NULL, NULL},
};

const model_object_t model_split_by_object = {
    .name = "a split_by",
    MODEL_FIELDS(split_by_fields),
    .scalar = "by",
    .finish = finish_split_by,
    .rules = split_by_rules,
};

/* --- respond ------------------------------------------------------------- */

#define ROUTE(member) offsetof(model_route_t, member)

static const model_field_t respond_fields[] = {
    {.name = "status",
     .type = MODEL_U32,
     .flags = MODEL_REQUIRED,
     .offset = ROUTE(direct_status),
     .min = 200,
     .max = 599,
     .about = "the status of the answer"},
    {.name = "body",
     .type = MODEL_STRING,
     .offset = ROUTE(direct_body),
     .max = MESH_TEXT_MAX,
     .about = "the body of the answer"},
    {.name = "body_file"},
    {.name = "content_type"},
};

const model_object_t model_respond_object = {
    .name = "a direct response",
    MODEL_FIELDS(respond_fields),
    .scalar = "status",
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

#define SCHEMA_CONDITION                                                       \
    "{'anyOf': [{'enum': ['connect-failure', 'reset', 'gateway-error', "       \
    "'5xx', 'cancelled', 'deadline-exceeded', 'resource-exhausted', "          \
    "'internal', 'unavailable']}, "                                            \
    "{'type': 'integer', 'minimum': 400, 'maximum': 599}]}"

static const model_value_t *find_value(const model_value_t *values,
                                       mesh_str_t text) {
    for (; values->name != NULL; values++) {
        if (mesh_str_eq(text, mesh_str_from(values->name))) {
            return values;
        }
    }

    return NULL;
}

void model_retry_add_code(model_decoder_t *d, model_retry_t *retry,
                          uint32_t code) {
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

        model_retry_add_code(d, retry, (uint32_t)code);
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
    .schema = SCHEMA_CONDITION,
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
     .fallback = 1,
     .about = "retries after the first try"},
    {.name = "on",
     .type = MODEL_LIST,
     .flags = MODEL_REQUIRED | MODEL_SINGLE | MODEL_FILLED,
     .element = &condition_element,
     .about = "what is retried"},
    {.name = "per_try_timeout",
     .type = MODEL_DURATION,
     .offset = RETRY(per_try_timeout_ms),
     .max = MODEL_MS_MAX,
     .about = "how long one try may take"},
    {.name = "retry_unsafe",
     .type = MODEL_CUSTOM,
     .decode = decode_unsafe,
     .expected = "true or false",
     .about = "POST, PATCH and the like are repeated, too",
     .schema = "{'type': 'boolean'}"},
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
