/* SPDX-License-Identifier: Apache-2.0 */

/*
 * RetryPolicy: when and how often a request is tried again.
 */

#include "xds_table.h"

#define ATTEMPTS_MAX 100

typedef enum {
    RETRY_BIT,   /* MESH_RETRY_* */
    RETRY_GRPC,  /* the number of a gRPC status */
    RETRY_CODE,  /* a status */
    RETRY_CODES, /* those of retriable_status_codes */
    RETRY_LATER,
} retry_kind_e;

static const struct {
    const char *name;
    retry_kind_e kind;
    uint32_t value;
} conditions[] = {
    {"5xx", RETRY_BIT, MESH_RETRY_5XX},
    {"gateway-error", RETRY_BIT, MESH_RETRY_GATEWAY_ERROR},
    {"reset", RETRY_BIT, MESH_RETRY_RESET},
    {"connect-failure", RETRY_BIT, MESH_RETRY_CONNECT_FAILURE},
    {"retriable-4xx", RETRY_CODE, 409},
    {"retriable-status-codes", RETRY_CODES, 0},
    {"cancelled", RETRY_GRPC, 1},
    {"deadline-exceeded", RETRY_GRPC, 4},
    {"resource-exhausted", RETRY_GRPC, 8},
    {"internal", RETRY_GRPC, 13},
    {"unavailable", RETRY_GRPC, 14},
    {"refused-stream", RETRY_LATER, 0},
    {"reset-before-request", RETRY_LATER, 0},
    {"retriable-headers", RETRY_LATER, 0},
    {"envoy-ratelimited", RETRY_LATER, 0},
    {"http3-post-connect-failure", RETRY_LATER, 0},
};

typedef struct {
    model_retry_t retry;
    bool codes; /* retriable_status_codes count */
    const model_node_t *list;
} retry_form_t;

#define RETRY(member) offsetof(retry_form_t, retry.member)

/* What Envoy does not know it leaves out, and so do we, with a warning. */
static bool take_condition(xds_decoder_t *x, const model_node_t *node,
                           retry_form_t *form, mesh_str_t word) {
    model_retry_t *retry = &form->retry;
    char found[128];
    size_t i = 0;

    while (i < mesh_nelts(conditions) &&
           !mesh_str_eq(word, mesh_str_from(conditions[i].name))) {
        i++;
    }

    if (i == mesh_nelts(conditions)) {
        model_quote(word, found, sizeof(found));
        model_warn(&x->d, node, found, "a condition that Envoy knows");
        return true;
    }

    switch (conditions[i].kind) {
    case RETRY_BIT:
        retry->on |= conditions[i].value;
        return true;
    case RETRY_GRPC:
        retry->grpc |= 1u << conditions[i].value;
        retry->on |= MESH_RETRY_GRPC;
        return true;
    case RETRY_CODE:
        model_retry_add_code(&x->d, retry, conditions[i].value);
        return true;
    case RETRY_CODES:
        form->codes = true;
        return true;
    case RETRY_LATER:
        break;
    }

    return xds_later(x, node, XDS_LATER_APART, &conditions[i],
                     conditions[i].name);
}

static bool decode_on(xds_decoder_t *x, const model_node_t *node,
                      const xds_field_t *field, void *out) {
    static const model_field_t any = {.max = MESH_TEXT_MAX};
    mesh_str_t rest;
    bool ok = true;

    (void)field;

    if (!model_decode_string(&x->d, node, &any, &rest)) {
        return false;
    }

    while (rest.len != 0) {
        const char *comma = memchr(rest.data, ',', rest.len);
        size_t len = comma != NULL ? (size_t)(comma - rest.data) : rest.len;
        mesh_str_t word = {len, rest.data};

        while (word.len != 0 && word.data[0] == ' ') {
            word.data++;
            word.len--;
        }

        while (word.len != 0 && word.data[word.len - 1] == ' ') {
            word.len--;
        }

        if (word.len != 0) {
            ok &= take_condition(x, node, out, word);
        }

        len += comma != NULL;
        rest.data += len;
        rest.len -= len;
    }

    return ok;
}

static bool take_codes(xds_decoder_t *x, retry_form_t *form) {
    static const xds_field_t code = {.type = XDS_U32, .min = 400, .max = 599};
    uint32_t index = 0;
    bool ok;

    model_push_field(&x->d, "retriable_status_codes");
    ok = xds_is(x, form->list, MODEL_NODE_LIST);

    for (const model_node_t *n = form->list->first; ok && n != NULL;
         n = n->next) {
        uint32_t value = 0;

        model_push_index(&x->d, index++);
        ok = xds_decode_field(x, n, &code, &value);
        model_pop(&x->d);

        if (ok) {
            model_retry_add_code(&x->d, &form->retry, value);
        }
    }

    model_pop(&x->d);
    return ok;
}

/* --- retry_host_predicate ------------------------------------------------ */

static bool decode_predicate(xds_decoder_t *x, const model_node_t *node,
                             const xds_field_t *field, void *out) {
    (void)field;
    (void)out;

    return mesh_str_eq(xds_type(node),
                       MESH_STR("envoy.extensions.retry.host.previous_hosts.v3."
                                "PreviousHostsPredicate")) ||
           xds_later(x, node, XDS_LATER_APART, field,
                     "a predicate other than previous_hosts");
}

static const xds_field_t predicate_fields[] = {
    {.name = "name",
     .type = XDS_IGNORED,
     .because = "a retry prefers an endpoint that was not tried, always"},
    {.name = "typed_config",
     .type = XDS_CUSTOM,
     .decode = decode_predicate,
     .because = "previous_hosts has no fields"},
};

static const xds_message_t predicate = {
    .name = "envoy.config.route.v3.RetryPolicy.RetryHostPredicate",
    XDS_FIELDS(predicate_fields),
};

static const xds_field_t predicate_element = {
    .type = XDS_MESSAGE,
    .message = &predicate,
};

/* --- the policy ---------------------------------------------------------- */

static const xds_field_t retry_fields[] = {
    {.name = "retry_on", .type = XDS_CUSTOM, .decode = decode_on},
    {.name = "num_retries",
     .type = XDS_U32,
     .offset = RETRY(attempts),
     .max = ATTEMPTS_MAX,
     .fallback = 1},
    {.name = "per_try_timeout",
     .type = XDS_DURATION,
     .offset = RETRY(per_try_timeout_ms)},
    {.name = "retriable_status_codes",
     .type = XDS_CUSTOM,
     .flags = XDS_NO_PRESENCE,
     .offset = offsetof(retry_form_t, list),
     .decode = xds_keep_node},
    {.name = "retry_host_predicate",
     .type = XDS_LIST,
     .element = &predicate_element,
     .because = "a retry prefers an endpoint that was not tried, always"},
    {.name = "host_selection_retry_max_attempts",
     .type = XDS_IGNORED,
     .because = "the balancer leaves tried endpoints out"},
    {.name = "per_try_idle_timeout", .type = XDS_LATER_APART},
    {.name = "retry_priority", .type = XDS_LATER_APART},
    {.name = "retry_options_predicates", .type = XDS_LATER_APART},
    {.name = "retry_back_off", .type = XDS_LATER_APART},
    {.name = "rate_limited_retry_back_off", .type = XDS_LATER_APART},
    {.name = "retriable_headers", .type = XDS_LATER_APART},
    {.name = "retriable_request_headers", .type = XDS_LATER_APART},
    {.name = "refresh_cluster_on_retry", .type = XDS_LATER_APART},
};

/* Envoy repeats any method. */
static bool finish_retry(xds_decoder_t *x, const model_node_t *node,
                         uint64_t seen, void *out) {
    retry_form_t *form = out;
    model_retry_t *retry = &form->retry;

    (void)node;
    (void)seen;

    if (form->codes && form->list != NULL && !take_codes(x, form)) {
        return false;
    }

    if (retry->on == 0 || retry->attempts == 0) {
        *retry = (model_retry_t){.set = false};
        return true;
    }

    retry->on |= MESH_RETRY_UNSAFE;
    retry->set = true;
    return true;
}

const xds_message_t xds_retry_policy = {
    .name = "envoy.config.route.v3.RetryPolicy",
    XDS_FIELDS(retry_fields),
    .finish = finish_retry,
};

bool xds_decode_retry(xds_decoder_t *x, const model_node_t *node,
                      const xds_field_t *field, void *out) {
    retry_form_t form = {.codes = false};

    (void)field;

    if (!xds_decode_message(x, node, &xds_retry_policy, &form)) {
        return false;
    }

    memcpy(out, &form.retry, sizeof(form.retry));
    return true;
}
