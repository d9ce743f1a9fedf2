/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Cluster: where its endpoints come from, balancing, protocol, connections.
 */

#include "xds_cluster.h"

#define PANIC_PERCENT 50
#define CONNECT_MS 5000
#define IDLE_CONNECTIONS 64

typedef enum {
    TYPE_STATIC,
    TYPE_STRICT_DNS,
    TYPE_LOGICAL_DNS,
    TYPE_EDS,
    TYPE_OTHER,
} cluster_type_e;

typedef struct {
    xds_cluster_t out;
    uint32_t type;
    mesh_str_t service;
    uint32_t policy; /* lb_policy: mesh_lb_e, or one of those below */
    uint32_t family; /* model_dns_family_e */
    uint32_t unused;
} cluster_form_t;

#define POLICY_PROVIDED 100 /* the cluster's type says it */
#define POLICY_CONFIG 101   /* load_balancing_policy says it */

#define FORM(member) offsetof(cluster_form_t, member)
#define CLUSTER(member) offsetof(cluster_form_t, out.cluster.member)

/* --- where endpoints come from ------------------------------------------- */

static const xds_value_t types[] = {
    {"STATIC", 0, TYPE_STATIC},           {"STRICT_DNS", 1, TYPE_STRICT_DNS},
    {"LOGICAL_DNS", 2, TYPE_LOGICAL_DNS}, {"EDS", 3, TYPE_EDS},
    {"ORIGINAL_DST", 4, XDS_VALUE_APART}, {NULL, 0, 0},
};

/* A cluster whose type is not built keeps its name, and has no endpoints. */
static bool decode_type(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    const xds_field_t value = {.type = XDS_ENUM, .values = field->values};
    uint32_t type = TYPE_OTHER;

    if (!xds_decode_field(x, node, &value, &type)) {
        return false;
    }

    memcpy(out, &type, sizeof(type));
    return true;
}

static bool decode_custom_type(xds_decoder_t *x, const model_node_t *node,
                               const xds_field_t *field, void *out) {
    uint32_t type = TYPE_OTHER;

    memcpy(out, &type, sizeof(type));
    return xds_later(x, node, XDS_LATER_APART, field, XDS_THIS_FIELD);
}

static const xds_field_t eds_fields[] = {
    {.name = "service_name",
     .type = XDS_CUSTOM,
     .flags = XDS_NO_PRESENCE,
     .decode = xds_decode_cluster_name},
    {.name = "eds_config",
     .type = XDS_IGNORED,
     .because = "endpoint sets join clusters by name"},
};

static const xds_message_t eds_cluster_config = {
    .name = "envoy.config.cluster.v3.Cluster.EdsClusterConfig",
    XDS_FIELDS(eds_fields),
};

static bool decode_set(xds_decoder_t *x, const model_node_t *node,
                       const xds_field_t *field, void *out) {
    xds_cluster_t *cluster = &((cluster_form_t *)out)->out;

    cluster->has_set = true;
    return xds_decode_assignment(x, node, field, &cluster->set);
}

static const xds_value_t families[] = {
    {"AUTO", 0, MODEL_DNS_V4_PREFERRED},
    {"V4_ONLY", 1, MODEL_DNS_V4},
    {"V6_ONLY", 2, MODEL_DNS_V6},
    {"V4_PREFERRED", 3, MODEL_DNS_V4_PREFERRED},
    {"ALL", 4, MODEL_DNS_ALL},
    {NULL, 0, 0},
};

/* --- balancing ----------------------------------------------------------- */

static const xds_value_t policies[] = {
    {"ROUND_ROBIN", 0, MESH_LB_ROUND_ROBIN},
    {"LEAST_REQUEST", 1, MESH_LB_LEAST_REQUEST},
    {"RING_HASH", 2, MESH_LB_RING_HASH},
    {"RANDOM", 3, MESH_LB_RANDOM},
    {"MAGLEV", 5, MESH_LB_MAGLEV},
    {"CLUSTER_PROVIDED", 6, POLICY_PROVIDED},
    {"LOAD_BALANCING_POLICY_CONFIG", 7, POLICY_CONFIG},
    {NULL, 0, 0},
};

#define LOCALITY_ONE "more than one way of localities"

static const xds_field_t common_lb_fields[] = {
    {.name = "healthy_panic_threshold",
     .type = XDS_MESSAGE,
     .offset = offsetof(model_cluster_t, panic_percent),
     .message = &xds_percent},
    {.name = "consistent_hashing_lb_config",
     .type = XDS_CUSTOM,
     .message = &xds_consistent_hashing,
     .decode = xds_decode_lb_old},
    {.name = "update_merge_window",
     .type = XDS_IGNORED,
     .because = "publishing has a window of its own"},
    {.name = "zone_aware_lb_config",
     .type = XDS_CUSTOM,
     .oneof = LOCALITY_ONE,
     .message = &xds_zone_aware_old,
     .decode = xds_decode_zone_aware_old},
    {.name = "locality_weighted_lb_config",
     .type = XDS_CUSTOM,
     .oneof = LOCALITY_ONE,
     .message = &xds_weighted_old,
     .decode = xds_decode_weighted_old},
    {.name = "ignore_new_hosts_until_first_hc", .type = XDS_LATER_APART},
    {.name = "close_connections_on_host_set_change", .type = XDS_LATER_APART},
    {.name = "override_host_status", .type = XDS_LATER_APART},
};

static const xds_message_t common_lb_config = {
    .name = "envoy.config.cluster.v3.Cluster.CommonLbConfig",
    XDS_FIELDS(common_lb_fields),
};

/* --- limits -------------------------------------------------------------- */

/* What istiod sends for none at all. */
static bool decode_limit(xds_decoder_t *x, const model_node_t *node,
                         const xds_field_t *field, void *out) {
    static const xds_field_t number = {.type = XDS_U32};
    uint32_t value = 0;

    (void)out;

    return xds_decode_field(x, node, &number, &value) &&
           (value == UINT32_MAX ||
            xds_later(x, node, XDS_LATER_APART, field, "a limit"));
}

#define LIMIT(text)                                                            \
    {                                                                          \
        .name = (text), .type = XDS_CUSTOM, .flags = XDS_ONLY_NONE,            \
        .decode = decode_limit                                                 \
    }

static const xds_value_t limit_priorities[] = {
    {"DEFAULT", 0, 0},
    {"HIGH", 1, 0},
    {NULL, 0, 0},
};

static const xds_field_t limit_fields[] = {
    LIMIT("max_connections"),
    LIMIT("max_pending_requests"),
    LIMIT("max_requests"),
    LIMIT("max_retries"),
    LIMIT("max_connection_pools"),
    {.name = "priority",
     .type = XDS_ENUM,
     .offset = FORM(unused),
     .values = limit_priorities},
    {.name = "retry_budget", .type = XDS_LATER_APART},
    {.name = "track_remaining", .type = XDS_LATER_SEEN},
};

static const xds_message_t thresholds = {
    .name = "envoy.config.cluster.v3.CircuitBreakers.Thresholds",
    XDS_FIELDS(limit_fields),
};

static const xds_field_t threshold_element = {
    .type = XDS_MESSAGE,
    .message = &thresholds,
};

static const xds_field_t breaker_fields[] = {
    {.name = "thresholds",
     .type = XDS_LIST,
     .flags = XDS_ONLY_NONE,
     .element = &threshold_element},
    {.name = "per_host_thresholds", .type = XDS_LATER_APART},
};

static const xds_message_t circuit_breakers = {
    .name = "envoy.config.cluster.v3.CircuitBreakers",
    XDS_FIELDS(breaker_fields),
};

/* --- protocol ------------------------------------------------------------ */

#define CONNECTION(member) offsetof(model_cluster_t, member)

static const xds_value_t underscores[] = {
    {"ALLOW", 0, 0},
    {"REJECT_REQUEST", 1, XDS_VALUE_APART},
    {"DROP_HEADER", 2, XDS_VALUE_APART},
    {NULL, 0, 0},
};

static bool decode_underscores(xds_decoder_t *x, const model_node_t *node,
                               const xds_field_t *field, void *out) {
    const xds_field_t value = {.type = XDS_ENUM, .values = field->values};
    uint32_t unused;

    (void)out;
    return xds_decode_field(x, node, &value, &unused);
}

static bool decode_keepalive(xds_decoder_t *x, const model_node_t *node,
                             const xds_field_t *field, void *out) {
    uint32_t ms = 0;

    if (!xds_decode_duration(x, node, field, &ms)) {
        return false;
    }

    if (ms == 0) {
        return xds_later(x, node, XDS_LATER_APART, field,
                         "connections without an idle timeout");
    }

    memcpy(out, &ms, sizeof(ms));
    return true;
}

static const xds_field_t common_http_fields[] = {
    {.name = "idle_timeout",
     .type = XDS_CUSTOM,
     .offset = CONNECTION(keepalive_timeout_ms),
     .decode = decode_keepalive},
    {.name = "max_requests_per_connection",
     .type = XDS_U32,
     .offset = CONNECTION(keepalive_requests)},
    {.name = "headers_with_underscores_action",
     .type = XDS_CUSTOM,
     .values = underscores,
     .decode = decode_underscores},
    {.name = "max_connection_duration", .type = XDS_LATER_APART},
    {.name = "max_connection_duration_jitter", .type = XDS_LATER_APART},
    {.name = "max_headers_count", .type = XDS_LATER_APART},
    {.name = "max_response_headers_kb", .type = XDS_LATER_APART},
    {.name = "max_stream_duration", .type = XDS_LATER_APART},
};

static const xds_message_t common_http = {
    .name = "envoy.config.core.v3.HttpProtocolOptions",
    XDS_FIELDS(common_http_fields),
};

static bool decode_http1(xds_decoder_t *x, const model_node_t *node,
                         const xds_field_t *field, void *out) {
    (void)out;

    return xds_is(x, node, MODEL_NODE_MAP) &&
           (node->count == 0 ||
            xds_later(x, node, XDS_LATER_APART, field, "an option of HTTP/1"));
}

/* Windows and the like are nginx's own. */
static bool decode_http2(xds_decoder_t *x, const model_node_t *node,
                         const xds_field_t *field, void *out) {
    model_cluster_t *cluster = out;

    cluster->protocol = MODEL_HTTP2;
    return xds_is(x, node, MODEL_NODE_MAP) &&
           (node->count == 0 ||
            xds_later(x, node, XDS_LATER_SEEN, field, "an option of HTTP/2"));
}

#define PROTOCOL_ONE "more than one protocol"

static const xds_field_t explicit_fields[] = {
    {.name = "http_protocol_options",
     .type = XDS_CUSTOM,
     .oneof = PROTOCOL_ONE,
     .decode = decode_http1},
    {.name = "http2_protocol_options",
     .type = XDS_CUSTOM,
     .oneof = PROTOCOL_ONE,
     .decode = decode_http2},
    {.name = "http3_protocol_options",
     .type = XDS_LATER_APART,
     .oneof = PROTOCOL_ONE},
};

static const xds_message_t explicit_http = {
    .name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions."
            "ExplicitHttpConfig",
    XDS_FIELDS(explicit_fields),
};

static const xds_field_t options_fields[] = {
    {.name = "common_http_protocol_options",
     .type = XDS_MESSAGE,
     .message = &common_http},
    {.name = "explicit_http_config",
     .type = XDS_MESSAGE,
     .oneof = PROTOCOL_ONE,
     .message = &explicit_http},
    {.name = "use_downstream_protocol_config",
     .type = XDS_LATER_APART,
     .oneof = PROTOCOL_ONE},
    {.name = "auto_config", .type = XDS_LATER_APART, .oneof = PROTOCOL_ONE},
    {.name = "upstream_http_protocol_options", .type = XDS_LATER_APART},
    {.name = "http_filters", .type = XDS_LATER_APART},
    {.name = "header_validation_config", .type = XDS_LATER_APART},
    {.name = "outlier_detection", .type = XDS_LATER_APART},
    {.name = "request_mirror_policies", .type = XDS_LATER_APART},
    {.name = "hash_policy", .type = XDS_LATER},
    {.name = "retry_policy", .type = XDS_LATER_APART},
};

static const xds_message_t protocol_options = {
    .name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    XDS_FIELDS(options_fields),
};

static bool decode_extensions(xds_decoder_t *x, const model_node_t *node,
                              const xds_field_t *field, void *out) {
    bool ok = true;

    if (node->kind != MODEL_NODE_MAP) {
        return model_wrong(&x->d, node, "a map of names to extensions");
    }

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        bool known =
            mesh_str_eq(xds_type(n), mesh_str_from(field->message->name));

        model_push_key(&x->d, n->key);
        ok &= known ? xds_decode_any(x, n, field->message, out)
                    : xds_type_later(x, n, "an extension of type");
        model_pop(&x->d);
    }

    return ok;
}

/* --- connections --------------------------------------------------------- */

static bool decode_transport_socket(xds_decoder_t *x, const model_node_t *node,
                                    const xds_field_t *field, void *out) {
    mesh_str_t type = xds_type(xds_child(node, "typed_config"));

    (void)out;

    if (!xds_is(x, node, MODEL_NODE_MAP)) {
        return false;
    }

    return mesh_str_eq(type, MESH_STR("envoy.extensions.transport_sockets."
                                      "raw_buffer.v3.RawBuffer")) ||
           xds_later(x, node, XDS_LATER_APART, field, XDS_THIS_FIELD);
}

/* TCP metadata exchange applies only after an ALPN that is never negotiated. */
static bool decode_filters(xds_decoder_t *x, const model_node_t *node,
                           const xds_field_t *field, void *out) {
    bool ok = xds_is(x, node, MODEL_NODE_LIST);

    (void)out;

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        const model_node_t *name = xds_child(n, "name");

        if (name == NULL ||
            !mesh_str_eq(name->text, MESH_STR("istio.metadata_exchange"))) {
            ok &= xds_later(x, n, XDS_LATER_APART, field, "a network filter");
        }
    }

    return ok;
}

static const xds_value_t selections[] = {
    {"USE_CONFIGURED_PROTOCOL", 0, 0},
    {"USE_DOWNSTREAM_PROTOCOL", 1, XDS_VALUE_APART},
    {NULL, 0, 0},
};

/* --- the cluster --------------------------------------------------------- */

#define TYPE_ONE "both type and cluster_type"
#define LB_ONE "more than one balancer's parameters"

static const xds_field_t cluster_fields[] = {
    {.name = "name",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED,
     .offset = CLUSTER(name),
     .decode = xds_decode_cluster_name},
    {.name = "type",
     .type = XDS_CUSTOM,
     .oneof = TYPE_ONE,
     .offset = FORM(type),
     .values = types,
     .decode = decode_type},
    {.name = "cluster_type",
     .type = XDS_CUSTOM,
     .flags = XDS_ONLY_NONE,
     .oneof = TYPE_ONE,
     .offset = FORM(type),
     .decode = decode_custom_type},
    {.name = "eds_cluster_config",
     .type = XDS_MESSAGE,
     .offset = FORM(service),
     .message = &eds_cluster_config},
    {.name = "load_assignment",
     .type = XDS_CUSTOM,
     .message = &xds_load_assignment,
     .decode = decode_set},
    {.name = "connect_timeout",
     .type = XDS_DURATION,
     .offset = CLUSTER(connect_timeout_ms),
     .min = 1,
     .fallback = CONNECT_MS},
    {.name = "lb_policy",
     .type = XDS_ENUM,
     .offset = FORM(policy),
     .values = policies},
    {.name = "load_balancing_policy",
     .type = XDS_MESSAGE,
     .offset = FORM(out.cluster),
     .message = &xds_load_balancing_policy},
    {.name = "ring_hash_lb_config",
     .type = XDS_CUSTOM,
     .oneof = LB_ONE,
     .offset = FORM(out),
     .message = &xds_ring_hash_lb_config,
     .decode = xds_decode_lb_old},
    {.name = "maglev_lb_config",
     .type = XDS_CUSTOM,
     .oneof = LB_ONE,
     .offset = FORM(out),
     .message = &xds_maglev_lb_config,
     .decode = xds_decode_lb_old},
    {.name = "least_request_lb_config",
     .type = XDS_CUSTOM,
     .oneof = LB_ONE,
     .offset = FORM(out),
     .message = &xds_least_request_lb_config,
     .decode = xds_decode_lb_old},
    {.name = "round_robin_lb_config",
     .type = XDS_CUSTOM,
     .oneof = LB_ONE,
     .offset = FORM(out),
     .message = &xds_round_robin_lb_config,
     .decode = xds_decode_lb_old},
    {.name = "lb_subset_config",
     .type = XDS_CUSTOM,
     .offset = FORM(out),
     .message = &xds_lb_subset_config,
     .decode = xds_decode_subset_old},
    {.name = "common_lb_config",
     .type = XDS_MESSAGE,
     .offset = FORM(out.cluster),
     .message = &common_lb_config},
    {.name = "outlier_detection",
     .type = XDS_CUSTOM,
     .offset = CLUSTER(outlier),
     .message = &xds_outlier_detection,
     .decode = xds_decode_outlier},
    {.name = "circuit_breakers",
     .type = XDS_MESSAGE,
     .flags = XDS_ONLY_NONE,
     .message = &circuit_breakers},
    {.name = "max_requests_per_connection",
     .type = XDS_U32,
     .offset = CLUSTER(keepalive_requests)},
    {.name = "common_http_protocol_options",
     .type = XDS_MESSAGE,
     .offset = FORM(out.cluster),
     .message = &common_http},
    {.name = "http_protocol_options",
     .type = XDS_CUSTOM,
     .decode = decode_http1},
    {.name = "http2_protocol_options",
     .type = XDS_CUSTOM,
     .offset = FORM(out.cluster),
     .decode = decode_http2},
    {.name = "typed_extension_protocol_options",
     .type = XDS_CUSTOM,
     .offset = FORM(out.cluster),
     .message = &protocol_options,
     .decode = decode_extensions},
    {.name = "dns_lookup_family",
     .type = XDS_ENUM,
     .offset = FORM(family),
     .values = families},
    {.name = "transport_socket",
     .type = XDS_CUSTOM,
     .flags = XDS_ONLY_NONE,
     .decode = decode_transport_socket},
    {.name = "filters",
     .type = XDS_CUSTOM,
     .decode = decode_filters,
     .because = "TCP metadata exchange is the only one that is sent"},
    {.name = "protocol_selection",
     .type = XDS_ENUM,
     .offset = FORM(unused),
     .values = selections},
    {.name = "alt_stat_name",
     .type = XDS_IGNORED,
     .because = "metrics carry the cluster's name"},
    {.name = "per_connection_buffer_limit_bytes",
     .type = XDS_IGNORED,
     .because = "buffers are nginx's own"},
    {.name = "respect_dns_ttl",
     .type = XDS_IGNORED,
     .because = "answers are kept for their TTL, always"},
    {.name = "wait_for_warm_on_init",
     .type = XDS_IGNORED,
     .because = "a root is published whole"},
    {.name = "ignore_health_on_host_removal",
     .type = XDS_IGNORED,
     .because = "what is removed is gone, healthy or not"},
    {.name = "metadata", .type = XDS_LATER_SEEN},
    {.name = "stats_matcher", .type = XDS_LATER_SEEN},
    {.name = "cleanup_interval", .type = XDS_LATER_SEEN},
    {.name = "track_timeout_budgets", .type = XDS_LATER_SEEN},
    {.name = "track_cluster_stats", .type = XDS_LATER_SEEN},
    {.name = "original_dst_lb_config", .type = XDS_LATER, .oneof = LB_ONE},
    {.name = "per_connection_buffer_high_watermark_timeout",
     .type = XDS_LATER_APART},
    {.name = "health_checks", .type = XDS_LATER_APART},
    {.name = "upstream_http_protocol_options", .type = XDS_LATER_APART},
    {.name = "dns_refresh_rate", .type = XDS_LATER_APART},
    {.name = "dns_jitter", .type = XDS_LATER_APART},
    {.name = "dns_failure_refresh_rate", .type = XDS_LATER_APART},
    {.name = "dns_resolvers", .type = XDS_LATER_APART},
    {.name = "use_tcp_for_dns_lookups", .type = XDS_LATER_APART},
    {.name = "dns_resolution_config", .type = XDS_LATER_APART},
    {.name = "typed_dns_resolver_config", .type = XDS_LATER_APART},
    {.name = "upstream_bind_config", .type = XDS_LATER_APART},
    {.name = "transport_socket_matches", .type = XDS_LATER_APART},
    {.name = "transport_socket_matcher", .type = XDS_LATER_APART},
    {.name = "upstream_connection_options", .type = XDS_LATER_APART},
    {.name = "close_connections_on_host_health_failure",
     .type = XDS_LATER_APART},
    {.name = "lrs_server", .type = XDS_LATER_APART},
    {.name = "lrs_report_endpoint_metrics", .type = XDS_LATER_APART},
    {.name = "upstream_config", .type = XDS_LATER_APART},
    {.name = "preconnect_policy", .type = XDS_LATER_APART},
    {.name = "connection_pool_per_downstream_connection",
     .type = XDS_LATER_APART},
    {.name = "queuing_policies", .type = XDS_LATER_APART},
};

/* Another balancer's parameters say nothing, as in Envoy. */
static void keep_own_parameters(model_cluster_t *cluster) {
    mesh_lb_e lb = cluster->lb;

    if (lb != MESH_LB_RING_HASH) {
        cluster->lb_ring_min = 0;
        cluster->lb_ring_max = 0;
    }

    if (lb != MESH_LB_MAGLEV) {
        cluster->lb_table_size = 0;
    }

    if (lb != MESH_LB_RING_HASH && lb != MESH_LB_MAGLEV) {
        cluster->lb_balance_factor = 0;
    }

    if (lb != MESH_LB_LEAST_REQUEST) {
        cluster->lb_bias_set = false;
        cluster->lb_bias_milli = 0;
        cluster->lb_full_scan = false;
        cluster->lb_choices = 0;
    }

    if (lb != MESH_LB_LEAST_REQUEST && lb != MESH_LB_ROUND_ROBIN) {
        cluster->slow_start_ms = 0;
    }

    /* Envoy takes it beside them, and does nothing with it. */
    if (mesh_lb_hashes(lb)) {
        cluster->zone_aware = (model_zone_aware_t){.set = false};
    }

    cluster->lb_choices = cluster->lb_choices ? cluster->lb_choices : 2;
    model_lb_defaults(cluster);
}

/* load_balancing_policy outdoes lb_policy, which names no balancer then. */
static bool finish_balancer(xds_decoder_t *x, const model_node_t *node,
                            cluster_form_t *form) {
    bool config = form->out.by_policy;

    if (!config && form->policy == POLICY_CONFIG) {
        return model_wrong_found(&x->d, node,
                                 "LOAD_BALANCING_POLICY_CONFIG alone",
                                 "load_balancing_policy beside it");
    }

    if (!config && form->policy != POLICY_PROVIDED) {
        form->out.cluster.lb = (mesh_lb_e)form->policy;
    } else if (!config && form->type != TYPE_OTHER) {
        return model_wrong_found(&x->d, node, "CLUSTER_PROVIDED",
                                 "a balancer for a cluster of this type");
    }

    keep_own_parameters(&form->out.cluster);
    return true;
}

static bool finish_names(xds_decoder_t *x, const model_node_t *node,
                         cluster_form_t *form) {
    xds_cluster_t *out = &form->out;
    bool named = model_set_is_named(&out->set.set);

    if (form->type == TYPE_EDS) {
        out->cluster.endpoint_set =
            mesh_str_eq(form->service, out->cluster.name) ? MESH_STR("")
                                                          : form->service;

        return !out->has_set ||
               model_wrong_found(&x->d, node, "both EDS and load_assignment",
                                 "one of them");
    }

    if (form->service.len != 0) {
        return model_wrong_found(&x->d, node, "eds_cluster_config",
                                 "it beside type: EDS only");
    }

    if (named && form->type == TYPE_STATIC) {
        return model_wrong_found(&x->d, node, "a name in a STATIC cluster",
                                 "addresses, or type: STRICT_DNS");
    }

    out->dns.family = (model_dns_family_e)form->family;
    out->dns.logical = form->type == TYPE_LOGICAL_DNS;
    out->set.set.name = out->cluster.name;
    return true;
}

static bool finish_cluster(xds_decoder_t *x, const model_node_t *node,
                           uint64_t seen, void *out) {
    cluster_form_t *form = out;
    model_cluster_t *cluster = &form->out.cluster;

    (void)seen;
    cluster->place = model_place(&x->d, node);

    /* Unless subsets heed them, no request does: all go to subsets. */
    if (cluster->nselectors != 0 && !form->out.subset.locality_aware) {
        form->out.weighted = false;
    }

    if (cluster->keepalive_timeout_ms == 0) {
        cluster->keepalive_timeout_ms = 60 * 1000;
    }

    return finish_balancer(x, node, form) && finish_names(x, node, form);
}

const xds_message_t xds_cluster = {
    .name = "envoy.config.cluster.v3.Cluster",
    XDS_FIELDS(cluster_fields),
    .finish = finish_cluster,
};

bool xds_decode_cluster(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    cluster_form_t form;

    (void)field;
    memset(&form, 0, sizeof(form));
    form.out.by_policy = xds_child(node, "load_balancing_policy") != NULL;
    form.out.cluster.panic_percent = PANIC_PERCENT;
    form.out.cluster.overprovisioning = MESH_LB_OVERPROVISIONING;
    form.out.cluster.keepalive_idle = IDLE_CONNECTIONS;

    if (!xds_decode_any(x, node, &xds_cluster, &form)) {
        return false;
    }

    memcpy(out, &form.out, sizeof(form.out));
    return true;
}
