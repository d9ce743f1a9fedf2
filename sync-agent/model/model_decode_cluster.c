/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Clusters: endpoints, subsets, balancing, outlier detection, connections.
 */

#include "model_subset.h"

#include <stdio.h>
#include <stdlib.h>

#define EJECTION_PERCENT 10
#define PANIC_PERCENT 50
#define TABLE_SIZE 65537 /* Envoy's */
#define RING_MIN 1024
#define AGGRESSION_MAX (100 * 1000)
#define DECAY_MS 10000    /* Finagle's, Envoy's, linkerd's */
#define DEFAULT_RTT_MS 30 /* linkerd's */
#define RING_MAX 65536    /* Envoy: 8388608; a worker builds it at once */

bool model_is_name(mesh_str_t name) {
    bool ok = name.len >= 1 && name.len <= MESH_NAME_MAX;

    for (size_t i = 0; ok && i < name.len; i++) {
        uint8_t c = (uint8_t)name.data[i];

        ok = c > 0x20 && c != 0x7f && c != '/';
    }

    return ok;
}

bool model_check_name(model_decoder_t *d, const model_node_t *node,
                      mesh_str_t name, bool is_key) {
    return model_is_name(name) ||
           model_wrong_name(d, node, name, is_key, MODEL_EXPECT_NAME);
}

/* --- lb ------------------------------------------------------------------ */

#define CLUSTER(member) offsetof(model_cluster_form_t, cluster.member)

static const model_value_t lb_policies[] = {
    {"round_robin", MESH_LB_ROUND_ROBIN},
    {"least_request", MESH_LB_LEAST_REQUEST},
    {"random", MESH_LB_RANDOM},
    {"ring_hash", MESH_LB_RING_HASH},
    {"maglev", MESH_LB_MAGLEV},
    {"peak_ewma", MESH_LB_PEAK_EWMA},
    {"original_dst", MODEL_VALUE_LATER},
    {NULL, 0},
};

static const char *lb_name(mesh_lb_e lb) {
    const model_value_t *value = lb_policies;

    while (value->value != lb) {
        value++;
    }

    return value->name;
}

/* So that a walk of any step reaches all of the table. */
bool model_decode_prime(model_decoder_t *d, const model_node_t *node,
                        const model_field_t *field, void *out) {
    static const model_field_t number = {
        .type = MODEL_U32, .min = 2, .max = MESH_LB_TABLE_MAX};
    uint32_t value;

    (void)field;

    if (!model_decode_scalar(d, node, &number, &value)) {
        return false;
    }

    for (uint32_t i = 2; i * i <= value; i++) {
        if (value % i == 0) {
            return model_wrong(d, node, "a prime number, such as 65537");
        }
    }

    memcpy(out, &value, sizeof(value));
    return true;
}

/* Up to three places behind the point. */
bool model_parse_milli(mesh_str_t text, uint32_t *milli) {
    uint64_t whole = 0;
    uint64_t part = 0;
    const char *dot = memchr(text.data, '.', text.len);
    mesh_str_t before = text;
    mesh_str_t after = MESH_STR("0");

    if (dot != NULL) {
        before.len = (size_t)(dot - text.data);
        after = (mesh_str_t){text.len - before.len - 1, dot + 1};
    }

    if (after.len > 3 || !model_parse_u64(before, &whole) ||
        !model_parse_u64(after, &part) || whole > MESH_LB_BIAS_MAX) {
        return false;
    }

    for (size_t i = after.len; i < 3; i++) {
        part *= 10;
    }

    *milli = (uint32_t)(whole * 1000 + part);
    return true;
}

static bool decode_bias(model_decoder_t *d, const model_node_t *node,
                        const model_field_t *field, void *out) {
    model_cluster_t *cluster = &((model_cluster_form_t *)out)->cluster;

    cluster->lb_bias_set = true;

    if (node->kind == MODEL_NODE_SCALAR &&
        model_scalar_kind(node) == MODEL_SCALAR_NUMBER &&
        model_parse_milli(node->text, &cluster->lb_bias_milli) &&
        cluster->lb_bias_milli <= MESH_LB_BIAS_MAX) {
        return true;
    }

    return model_wrong(d, node, field->expected);
}

static bool decode_aggression(model_decoder_t *d, const model_node_t *node,
                              const model_field_t *field, void *out) {
    uint32_t milli = 0;

    if (node->kind != MODEL_NODE_SCALAR ||
        model_scalar_kind(node) != MODEL_SCALAR_NUMBER ||
        !model_parse_milli(node->text, &milli) || milli == 0 ||
        milli > AGGRESSION_MAX) {
        return model_wrong(d, node, field->expected);
    }

    memcpy(out, &milli, sizeof(milli));
    return true;
}

static const model_field_t slow_start_fields[] = {
    {.name = "window",
     .type = MODEL_DURATION,
     .flags = MODEL_REQUIRED,
     .offset = CLUSTER(slow_start_ms),
     .min = 1,
     .max = MODEL_MS_MAX,
     .about = "how long an endpoint that comes in gets a growing part of its "
              "weight"},
    {.name = "aggression",
     .type = MODEL_CUSTOM,
     .offset = CLUSTER(aggression_milli),
     .fallback = 1000,
     .decode = decode_aggression,
     .expected = "a number above 0 and up to 100, such as 1 or 1.5",
     .about = "the part is (time / window) ^ (1 / aggression)",
     .schema = "{'type': 'number', 'exclusiveMinimum': 0, 'maximum': 100}"},
    {.name = "min_weight_percent",
     .type = MODEL_PERCENT,
     .offset = CLUSTER(min_weight_percent),
     .fallback = 10,
     .about = "the part that it has at least"},
};

static const model_object_t slow_start_object = {
    .name = "a slow start",
    MODEL_FIELDS(slow_start_fields),
    .scalar = "window",
};

static const model_field_t lb_fields[] = {
    {.name = "policy",
     .type = MODEL_ENUM,
     .flags = MODEL_REQUIRED,
     .offset = CLUSTER(lb),
     .values = lb_policies,
     .about = "the balancer"},
    {.name = "choices",
     .type = MODEL_U32,
     .offset = CLUSTER(lb_choices),
     .min = 2,
     .max = 32,
     .fallback = 2,
     .about = "how many endpoints least_request and peak_ewma compare"},
    {.name = "table_size",
     .type = MODEL_CUSTOM,
     .offset = CLUSTER(lb_table_size),
     .decode = model_decode_prime,
     .expected = "a prime number from 2 to 5000011",
     .about = "entries of maglev's table, a prime number, many times the "
              "endpoints; 65537 unless said",
     .schema = "{'type': 'integer', 'minimum': 2, 'maximum': 5000011}"},
    {.name = "minimum_ring_size",
     .type = MODEL_U32,
     .offset = CLUSTER(lb_ring_min),
     .min = 1,
     .max = MESH_LB_RING_MAX,
     .about = "points on ring_hash's ring, at least; 1024 unless said"},
    {.name = "maximum_ring_size",
     .type = MODEL_U32,
     .offset = CLUSTER(lb_ring_max),
     .min = 1,
     .max = MESH_LB_RING_MAX,
     .about = "points on ring_hash's ring, at most; 65536, or the minimum, "
              "unless said"},
    {.name = "hash_balance_factor",
     .type = MODEL_U32,
     .offset = CLUSTER(lb_balance_factor),
     .min = 100,
     .max = MESH_LB_BALANCE_MAX,
     .about = "an endpoint that has this many percent of its share of the "
              "requests in flight is passed over"},
    {.name = "full_scan",
     .type = MODEL_BOOL,
     .offset = CLUSTER(lb_full_scan),
     .about = "least_request compares all endpoints"},
    {.name = "active_request_bias",
     .type = MODEL_CUSTOM,
     .decode = decode_bias,
     .expected = "a number from 0 to 10, such as 1 or 0.5",
     .about = "least_request draws by weight / (requests in flight + 1) ^ this",
     .schema = "{'type': 'number', 'minimum': 0, 'maximum': 10}"},
    {.name = "decay_time",
     .type = MODEL_DURATION,
     .offset = CLUSTER(lb_decay_ms),
     .min = 1,
     .max = MODEL_MS_MAX,
     .about = "how long the past counts for peak_ewma; 10s unless said"},
    {.name = "default_rtt",
     .type = MODEL_DURATION,
     .offset = CLUSTER(lb_default_rtt_ms),
     .min = 1,
     .max = MODEL_MS_MAX,
     .about = "peak_ewma's guess of an endpoint that has not answered yet; "
              "30ms unless said"},
    {.name = "slow_start",
     .type = MODEL_OBJECT,
     .object = &slow_start_object,
     .about = "an endpoint that comes in gets a growing part of its weight"},
    {.name = "locality_weights",
     .type = MODEL_CUSTOM,
     .decode = model_decode_locality_weights,
     .element = &model_locality_weight_element,
     .flags = MODEL_FILLED,
     .max = MESH_LOCALITY_WEIGHTS_MAX,
     .expected = "a list of localities with weights",
     .about = "the load of a priority is divided among localities by these"},
    {.name = "locality_failover",
     .type = MODEL_BOOL,
     .offset = CLUSTER(lb_failover),
     .about = "near localities come first, others when they fail"},
    {.name = "zone_aware",
     .type = MODEL_OBJECT,
     .offset = CLUSTER(zone_aware),
     .object = &model_zone_aware_object,
     .about = "as much load as there is room for stays in this node's zone"},
};

/* Parameters are of one balancer or two and mean nothing to another. */
static const struct {
    const char *field;
    mesh_lb_e lb;
    mesh_lb_e other;
} lb_owners[] = {
    {"choices", MESH_LB_LEAST_REQUEST, MESH_LB_PEAK_EWMA},
    {"full_scan", MESH_LB_LEAST_REQUEST, MESH_LB_LEAST_REQUEST},
    {"active_request_bias", MESH_LB_LEAST_REQUEST, MESH_LB_LEAST_REQUEST},
    {"slow_start", MESH_LB_ROUND_ROBIN, MESH_LB_LEAST_REQUEST},
    {"decay_time", MESH_LB_PEAK_EWMA, MESH_LB_PEAK_EWMA},
    {"default_rtt", MESH_LB_PEAK_EWMA, MESH_LB_PEAK_EWMA},
    {"table_size", MESH_LB_MAGLEV, MESH_LB_MAGLEV},
    {"minimum_ring_size", MESH_LB_RING_HASH, MESH_LB_RING_HASH},
    {"maximum_ring_size", MESH_LB_RING_HASH, MESH_LB_RING_HASH},
    {"hash_balance_factor", MESH_LB_RING_HASH, MESH_LB_MAGLEV},
};

static bool check_owner(model_decoder_t *d, const model_node_t *node,
                        mesh_lb_e lb, size_t row) {
    const char *name = lb_owners[row].field;
    const model_node_t *field = model_node_child(node, name);
    const char *one = lb_name(lb_owners[row].lb);
    const char *other = lb_name(lb_owners[row].other);
    char expected[96];

    if (field == NULL || lb == lb_owners[row].lb ||
        lb == lb_owners[row].other) {
        return true;
    }

    snprintf(expected, sizeof(expected), "it beside policy: %s%s%s only", one,
             one == other ? "" : " or ", one == other ? "" : other);
    model_push_field(d, name);
    model_wrong_key(d, field, "a parameter of another balancer", expected);
    model_pop(d);
    return false;
}

static bool finish_lb(model_decoder_t *d, const model_node_t *node,
                      uint64_t seen, void *out) {
    static const char both[] = "both locality_failover and locality_weights";
    const model_cluster_t *cluster = &((model_cluster_form_t *)out)->cluster;
    const model_node_t *least = model_node_child(node, "minimum_ring_size");
    const model_node_t *most = model_node_child(node, "maximum_ring_size");
    bool ok = true;

    (void)seen;

    for (size_t i = 0; i < mesh_nelts(lb_owners); i++) {
        ok &= check_owner(d, node, cluster->lb, i);
    }

    if (cluster->lb_failover + cluster->zone_aware.set +
            (cluster->nlocality_weights != 0) >
        1) {
        ok = model_wrong_found(d, node,
                               !cluster->zone_aware.set ? both
                               : cluster->lb_failover
                                   ? "both zone_aware and locality_failover"
                                   : "both zone_aware and locality_weights",
                               "one of them");
    }

    if (cluster->zone_aware.set && mesh_lb_hashes(cluster->lb)) {
        model_push_field(d, "zone_aware");
        ok = model_wrong_key(d, model_node_child(node, "zone_aware"),
                             "a zone of endpoints that hashes choose",
                             "it beside another policy than ring_hash and "
                             "maglev");
        model_pop(d);
    }

    if (least != NULL && most != NULL &&
        cluster->lb_ring_min > cluster->lb_ring_max) {
        model_push_field(d, "maximum_ring_size");
        ok = model_wrong(d, most, "at least minimum_ring_size");
        model_pop(d);
    }

    return ok;
}

/* Of the balancer's parameters, those that nobody wrote. */
void model_lb_defaults(model_cluster_t *cluster) {
    if (cluster->slow_start_ms == 0) {
        cluster->aggression_milli = 0;
        cluster->min_weight_percent = 0;
    }

    if (!cluster->zone_aware.set) {
        cluster->zone_aware = (model_zone_aware_t){.set = false};
    }

    if (cluster->lb == MESH_LB_MAGLEV && cluster->lb_table_size == 0) {
        cluster->lb_table_size = TABLE_SIZE;
    }

    if (cluster->lb == MESH_LB_PEAK_EWMA) {
        cluster->lb_decay_ms =
            cluster->lb_decay_ms ? cluster->lb_decay_ms : DECAY_MS;
        cluster->lb_default_rtt_ms = cluster->lb_default_rtt_ms
                                         ? cluster->lb_default_rtt_ms
                                         : DEFAULT_RTT_MS;
    }

    if (cluster->lb != MESH_LB_RING_HASH) {
        return;
    }

    if (cluster->lb_ring_min == 0) {
        cluster->lb_ring_min = cluster->lb_ring_max
                                   ? mesh_min(RING_MIN, cluster->lb_ring_max)
                                   : RING_MIN;
    }

    if (cluster->lb_ring_max == 0) {
        cluster->lb_ring_max = mesh_max(RING_MAX, cluster->lb_ring_min);
    }
}

static const model_rule_t lb_rules[] = {
    {MODEL_RULE_VALUE, "choices", "policy", "least_request peak_ewma"},
    {MODEL_RULE_VALUE, "full_scan active_request_bias", "policy",
     "least_request"},
    {MODEL_RULE_VALUE, "slow_start", "policy", "round_robin least_request"},
    {MODEL_RULE_VALUE, "decay_time default_rtt", "policy", "peak_ewma"},
    {MODEL_RULE_VALUE, "table_size", "policy", "maglev"},
    {MODEL_RULE_VALUE, "minimum_ring_size maximum_ring_size", "policy",
     "ring_hash"},
    {MODEL_RULE_VALUE, "hash_balance_factor", "policy", "ring_hash maglev"},
    {MODEL_RULE_VALUE, "locality_weights zone_aware", "locality_failover",
     "false"},
    {MODEL_RULE_APART, "zone_aware locality_weights", NULL, NULL},
    {MODEL_RULE_VALUE, "zone_aware", "policy",
     "round_robin least_request random peak_ewma"},
    {MODEL_RULE_ONE, NULL, NULL, NULL},
};

/* Writes into the whole form, as both fields are the cluster's own. */
static const model_object_t lb_object = {
    .name = "a balancer",
    MODEL_FIELDS(lb_fields),
    .scalar = "policy",
    .finish = finish_lb,
    .rules = lb_rules,
};

/* --- outlier detection --------------------------------------------------- */

#define OUTLIER(member) offsetof(model_outlier_t, member)

static const model_field_t outlier_fields[] = {
    {.name = "consecutive_5xx",
     .type = MODEL_U32,
     .offset = OUTLIER(consecutive_5xx),
     .max = 1000000,
     .fallback = 5,
     .about = "answers of 5xx in a row that eject an endpoint; 0: off"},
    {.name = "consecutive_gateway_failure",
     .type = MODEL_U32,
     .offset = OUTLIER(consecutive_gateway_failure),
     .max = 1000000,
     .about =
         "answers of 502, 503, 504 in a row that eject an endpoint; 0: off"},
    {.name = "consecutive_local_origin_failure",
     .type = MODEL_U32,
     .offset = OUTLIER(consecutive_local_failure),
     .max = 1000000,
     .fallback = 5,
     .about = "connections that failed in a row, when they are counted apart; "
              "0: off"},
    {.name = "split_external_local_origin_errors",
     .type = MODEL_BOOL,
     .offset = OUTLIER(split_local),
     .about = "connections that failed are counted apart from answers"},
    {.name = "base_ejection_time",
     .type = MODEL_DURATION,
     .offset = OUTLIER(base_ejection_ms),
     .min = 1,
     .max = MODEL_MS_MAX,
     .fallback = 30 * 1000,
     .about = "the first ejection; the n-th lasts n times as long"},
    {.name = "max_ejection_time",
     .type = MODEL_DURATION,
     .offset = OUTLIER(max_ejection_ms),
     .min = 1,
     .max = MODEL_MS_MAX,
     .fallback = 300 * 1000,
     .about = "the longest ejection"},
    {.name = "max_ejection_time_jitter",
     .type = MODEL_DURATION,
     .offset = OUTLIER(jitter_ms),
     .max = MODEL_MS_MAX,
     .about = "at most this much is added to an ejection at random"},
    {.name = "max_ejection_percent",
     .type = MODEL_PERCENT,
     .offset = OUTLIER(max_ejection_percent),
     .fallback = EJECTION_PERCENT,
     .about =
         "the share of the cluster's endpoints that may be ejected at once"},
    {.name = "interval"},
    {.name = "always_eject_one_endpoint"},
    {.name = "success_rate"},
    {.name = "failure_percentage"},
    {.name = "enforcing_consecutive_5xx"},
    {.name = "enforcing_consecutive_gateway_failure"},
    {.name = "enforcing_consecutive_local_origin_failure"},
    {.name = "successful_active_health_check_uneject_host"},
};

static bool finish_outlier(model_decoder_t *d, const model_node_t *node,
                           uint64_t seen, void *out) {
    model_outlier_t *outlier = out;

    (void)seen;

    outlier->set = true;

    const model_node_t *most = model_node_child(node, "max_ejection_time");

    if (most != NULL && outlier->max_ejection_ms < outlier->base_ejection_ms) {
        model_push_field(d, "max_ejection_time");
        model_wrong(d, most, "at least base_ejection_time");
        model_pop(d);
        return false;
    }

    /* As Envoy: a longer base moves the bound that nobody wrote. */
    outlier->max_ejection_ms =
        mesh_max(outlier->max_ejection_ms, outlier->base_ejection_ms);

    const model_node_t *local =
        model_node_child(node, "consecutive_local_origin_failure");

    if (local != NULL && !outlier->split_local) {
        model_push_field(d, "consecutive_local_origin_failure");
        model_warn(d, local, "a count that nothing uses",
                   "split_external_local_origin_errors: true beside it");
        model_pop(d);
    }

    return true;
}

static const model_object_t outlier_object = {
    .name = "outlier detection",
    MODEL_FIELDS(outlier_fields),
    .finish = finish_outlier,
};

/* --- keepalive ----------------------------------------------------------- */

#define KEEPALIVE(member) (CLUSTER(member) - CLUSTER(keepalive_idle))

static const model_field_t keepalive_fields[] = {
    {.name = "max_idle",
     .type = MODEL_U32,
     .offset = KEEPALIVE(keepalive_idle),
     .max = 65535,
     .fallback = 64,
     .about = "idle connections that a worker keeps"},
    {.name = "idle_timeout",
     .type = MODEL_DURATION,
     .offset = KEEPALIVE(keepalive_timeout_ms),
     .min = 1,
     .max = MODEL_MS_MAX,
     .fallback = 60 * 1000,
     .about = "an idle connection is closed after this"},
    {.name = "max_requests",
     .type = MODEL_U32,
     .offset = KEEPALIVE(keepalive_requests),
     .max = UINT32_MAX,
     .about = "requests on one connection; 0: no end"},
    {.name = "tcp"},
};

static const model_object_t keepalive_object = {
    .name = "keepalive",
    MODEL_FIELDS(keepalive_fields),
};

/* --- dns ------------------------------------------------------------------ */

#define DNS(member) offsetof(model_dns_t, member)

static const model_value_t dns_families[] = {
    {"v4_preferred", MODEL_DNS_V4_PREFERRED},
    {"v4", MODEL_DNS_V4},
    {"v6", MODEL_DNS_V6},
    {"all", MODEL_DNS_ALL},
    {NULL, 0},
};

static const model_value_t dns_lookups[] = {
    {"strict", 0},
    {"logical", 1},
    {NULL, 0},
};

static const model_field_t dns_fields[] = {
    {.name = "family",
     .type = MODEL_ENUM,
     .offset = DNS(family),
     .values = dns_families,
     .about = "which addresses of a name are taken; v4_preferred: IPv6 only if "
              "there is no IPv4"},
    {.name = "lookup",
     .type = MODEL_ENUM,
     .offset = DNS(logical),
     .size = 1,
     .values = dns_lookups,
     .about = "all addresses of a name, or the first one only"},
    {.name = "refresh"},
    {.name = "ttl"},
    {.name = "servers"},
};

static const model_object_t dns_object = {
    .name = "dns",
    MODEL_FIELDS(dns_fields),
};

/* --- the cluster --------------------------------------------------------- */

/* gRPC is HTTP/2 to us; its users look for its name. */
static const model_value_t protocols[] = {
    {"http1", MODEL_HTTP1},
    {"http2", MODEL_HTTP2},
    {"grpc", MODEL_HTTP2},
    {"http3", MODEL_VALUE_LATER},
    {NULL, 0},
};

static bool decode_set(model_decoder_t *d, const model_node_t *node,
                       const model_field_t *field, void *out) {
    model_cluster_form_t *form = out;

    form->has_set = true;

    return model_decode_endpoints(d, node, field, &form->set);
}

static bool decode_set_name(model_decoder_t *d, const model_node_t *node,
                            const model_field_t *field, void *out) {
    static const model_field_t text = {.min = 1, .max = MESH_NAME_MAX};

    (void)field;

    return model_decode_string(d, node, &text, out) &&
           model_check_name(d, node, node->text, false);
}

static const model_field_t cluster_fields[] = {
    {.name = "endpoints",
     .type = MODEL_CUSTOM,
     .decode = decode_set,
     .element = &model_endpoint_element,
     .expected = "a list of endpoints",
     .about = "its endpoint set, in place"},
    {.name = "endpoint_set",
     .type = MODEL_CUSTOM,
     .offset = CLUSTER(endpoint_set),
     .decode = decode_set_name,
     .expected = "the name of an endpoint set",
     .about = "which endpoint set it uses; the one of its own name unless said",
     .pattern = MODEL_PATTERN_NAME,
     .max = MESH_NAME_MAX},
    {.name = "subsets",
     .type = MODEL_MAP,
     .offset = CLUSTER(subsets),
     .count = CLUSTER(nsubsets),
     .size = sizeof(model_subset_t),
     .element = &model_subset_element,
     .key = model_subset_key,
     .about = "subsets by name: the endpoints that have all of these labels",
     .keys = MODEL_PATTERN_SUBSET},
    {.name = "subset_selectors",
     .type = MODEL_LIST,
     .flags = MODEL_SINGLE,
     .offset = CLUSTER(selectors),
     .count = CLUSTER(nselectors),
     .size = sizeof(model_selector_t),
     .max = MESH_SELECTORS_MAX,
     .element = &model_selector_element,
     .about = "labels whose values make subsets: key=value,key=value is what "
              "routes call them"},
    {.name = "subset_fallback",
     .type = MODEL_CUSTOM,
     .offset = CLUSTER(fallback),
     .object = &model_fallback_object,
     .values = model_fallback_words,
     .decode = model_decode_fallback,
     .expected = "none, any or {subset: NAME}",
     .about = "what is used where a subset has no endpoints"},
    {.name = "subset_required",
     .type = MODEL_BOOL,
     .offset = CLUSTER(subset_required),
     .about = "who names no subset goes where subset_fallback says, too"},
    {.name = "subset_redundant_labels",
     .type = MODEL_BOOL,
     .offset = CLUSTER(subset_redundant),
     .about =
         "a route may have labels beyond a selector's keys: of those whose "
         "keys it has all, the one with most counts"},
    {.name = "subset_fallback_any",
     .type = MODEL_BOOL,
     .offset = CLUSTER(subset_panic_any),
     .about = "any endpoint, if subset_fallback leads to nobody"},
    {.name = "lb",
     .type = MODEL_OBJECT,
     .object = &lb_object,
     .about = "how an endpoint is chosen; round_robin unless said"},
    {.name = "panic_threshold",
     .type = MODEL_PERCENT,
     .offset = CLUSTER(panic_percent),
     .fallback = PANIC_PERCENT,
     .about =
         "with a smaller share of usable endpoints, all are used; 0: never"},
    {.name = "overprovisioning_factor",
     .type = MODEL_U32,
     .offset = CLUSTER(overprovisioning),
     .min = 1,
     .max = MESH_LB_OVERPROVISIONING_MAX,
     .fallback = MESH_LB_OVERPROVISIONING,
     .about = "a priority counts as healthy up to this much of its usable "
              "share, in percent; 140 unless said"},
    {.name = "connect_timeout",
     .type = MODEL_DURATION,
     .offset = CLUSTER(connect_timeout_ms),
     .min = 1,
     .max = MODEL_MS_MAX,
     .fallback = 5000,
     .about = "how long a connection to an endpoint may take to stand"},
    {.name = "protocol",
     .type = MODEL_ENUM,
     .offset = CLUSTER(protocol),
     .values = protocols,
     .about = "what its endpoints speak; grpc is http2"},
    {.name = "outlier_detection",
     .type = MODEL_OBJECT,
     .offset = CLUSTER(outlier),
     .object = &outlier_object,
     .about =
         "endpoints that fail too often in a row get no traffic for a while"},
    {.name = "keepalive",
     .type = MODEL_OBJECT,
     .offset = CLUSTER(keepalive_idle),
     .object = &keepalive_object,
     .about = "idle connections to endpoints"},
    {.name = "dns",
     .type = MODEL_OBJECT,
     .offset = offsetof(model_cluster_form_t, dns),
     .object = &dns_object,
     .about = "how names among its endpoints are resolved"},
    {.name = "type"},
    {.name = "tls"},
    {.name = "health_checks"},
    {.name = "circuit_breakers"},
    {.name = "limits"},
    {.name = "max_requests"},
    {.name = "max_connections"},
    {.name = "retry_budget"},
    {.name = "http2"},
    {.name = "locality_weights"},
    {.name = "source_address"},
    {.name = "proxy_protocol"},
    {.name = "metadata"},
    {.name = "rate_limit"},
};

static bool finish_cluster(model_decoder_t *d, const model_node_t *node,
                           uint64_t seen, void *out) {
    model_cluster_form_t *form = out;
    model_cluster_t *cluster = &form->cluster;

    cluster->place = model_place(d, node);
    cluster->name = node->key;

    if (form->has_set && cluster->endpoint_set.len != 0) {
        return model_wrong_found(d, node, "both endpoints and endpoint_set",
                                 "one of them");
    }

    if ((seen & model_bit(&model_cluster_object, "dns")) &&
        !model_set_is_named(&form->set)) {
        model_push_field(d, "dns");
        model_wrong_found(d, model_node_child(node, "dns"),
                          "dns without a name among the endpoints",
                          "one such as reviews.local:9080");
        model_pop(d);
        return false;
    }

    form->set.name = cluster->name;
    model_lb_defaults(cluster);

    return model_finish_subsets(d, node, cluster);
}

static const model_rule_t cluster_rules[] = {
    {MODEL_RULE_APART, "endpoints endpoint_set", NULL, NULL},
    {MODEL_RULE_BESIDE, "dns", "endpoints", NULL},
    {MODEL_RULE_ONE, NULL, NULL, NULL},
};

const model_object_t model_cluster_object = {
    .name = "a cluster",
    MODEL_FIELDS(cluster_fields),
    .finish = finish_cluster,
    .rules = cluster_rules,
};
