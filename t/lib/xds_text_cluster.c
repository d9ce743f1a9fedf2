/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Clusters and their endpoints as Envoy's resources; see xds_text.h.
 */

#include <arpa/inet.h>

#include "xds_text_out.h"

/* --- endpoints ----------------------------------------------------------- */

static void add_address(out_t *t, cJSON *endpoint, const model_endpoint_t *e) {
    cJSON *address = map_in(t, endpoint, "address");
    char ip[INET6_ADDRSTRLEN];

    if (e->family == MESH_FAMILY_UNIX) {
        add_str(t, map_in(t, address, "pipe"), "path", e->host);
        return;
    }
    cJSON *sock = map_in(t, address, "socket_address");
    if (e->family == MODEL_FAMILY_HOST) {
        add_str(t, sock, "address", e->host);
    } else {
        inet_ntop(e->family == MESH_FAMILY_IPV4 ? AF_INET : AF_INET6, e->addr,
                  ip, sizeof(ip));
        add_text(t, sock, "address", ip);
    }
    add_number(t, sock, "port_value", e->port);
    if (one_in(t, 3)) {
        add_enum(t, sock, "protocol", "TCP", 0);
    }
}

static void add_endpoint(out_t *t, cJSON *group, const model_endpoint_t *e) {
    static const char *const healths[] = {"UNKNOWN", "HEALTHY", "UNHEALTHY",
                                          "DRAINING"};
    cJSON *item = map_of(group);

    add_address(t, map_in(t, item, "endpoint"), e);
    if (e->health != 0 || one_in(t, 3)) {
        add_enum(t, item, "health_status", healths[e->health], e->health);
    }
    if (e->weight != 1 || one_in(t, 3)) {
        add_number(t, item, "load_balancing_weight", e->weight);
    }
    if (e->labels.count != 0) {
        cJSON *filters =
            map_in(t, map_in(t, item, "metadata"), "filter_metadata");
        cJSON *lb = cJSON_AddObjectToObject(filters, "envoy.lb");

        for (uint32_t i = 0; i < e->labels.count; i++) {
            char *name =
                strndup(e->labels.v[i].name.data, e->labels.v[i].name.len);

            cJSON_AddItemToObject(lb, name, str_of(e->labels.v[i].value));
            free(name);
        }
    }
}

static mesh_str_t set_name(const model_cluster_t *c) {
    return c->endpoint_set.len != 0 ? c->endpoint_set : c->name;
}

static uint32_t weight_of(const model_cluster_t *c, const model_endpoint_t *e) {
    for (uint32_t i = 0; c != NULL && i < c->nlocality_weights; i++) {
        const model_locality_weight_t *w = &c->locality_weights[i];

        if (w->priority == e->priority &&
            model_locality_eq(&w->locality, &e->locality)) {
            return w->weight;
        }
    }
    return 0;
}

/* A locality each: they need not be together. */
void xds_text_assignment(out_t *t, cJSON *map, const model_part_t *part,
                         const model_endpoint_set_t *set) {
    const model_cluster_t *weighted = NULL;
    const model_cluster_t *cluster = NULL;
    cJSON *groups = list_in(t, map, "endpoints");

    for (uint32_t i = 0; i < part->nclusters; i++) {
        const model_cluster_t *c = &part->clusters[i];

        if (mesh_str_eq(set_name(c), set->name)) {
            cluster = c;
            weighted = c->nlocality_weights != 0 ? c : weighted;
        }
    }
    add_str(t, map, "cluster_name", set->name);
    if (cluster != NULL && (cluster->overprovisioning != 140 || one_in(t, 3))) {
        add_number(t, map_in(t, map, "policy"), "overprovisioning_factor",
                   cluster->overprovisioning);
    }
    for (uint32_t i = 0; i < set->count; i++) {
        const model_locality_t *at = &set->v[i].locality;
        uint32_t weight = weight_of(weighted, &set->v[i]);
        cJSON *group = map_of(groups);
        cJSON *locality = map_in(t, group, "locality");

        add_str(t, locality, "region", at->region);
        add_str(t, locality, "zone", at->zone);
        add_str(t, locality, "sub_zone", at->sub_zone);
        if (weight != 0) {
            add_number(t, group, "load_balancing_weight", weight);
        }
        if (set->v[i].priority != 0 || one_in(t, 3)) {
            add_number(t, group, "priority", set->v[i].priority);
        }
        add_endpoint(t, list_in(t, group, "lb_endpoints"), &set->v[i]);
    }
}

/* --- clusters ------------------------------------------------------------ */

static void add_milli(out_t *t, cJSON *map, const char *name, uint32_t milli) {
    add(t, map_in(t, map, name), "default_value",
        cJSON_CreateNumber(milli / 1000.0));
}

static void add_slow_start(out_t *t, cJSON *map, const model_cluster_t *c) {
    if (c->slow_start_ms == 0) {
        return;
    }
    cJSON *slow = map_in(t, map, "slow_start_config");
    add(t, slow, "slow_start_window", ms_of(c->slow_start_ms));
    add_milli(t, slow, "aggression", c->aggression_milli);
    cJSON *percent = map_in(t, slow, "min_weight_percent");
    add(t, percent, "value", cJSON_CreateNumber(c->min_weight_percent));
}

static void add_balance_factor(out_t *t, cJSON *map, const char *name,
                               const model_cluster_t *c) {
    if (c->lb_balance_factor != 0) {
        add_number(t, map_in(t, map, name), "hash_balance_factor",
                   c->lb_balance_factor);
    }
}

static void add_parameters(out_t *t, cJSON *map, const model_cluster_t *c) {
    switch (c->lb) {
    case MESH_LB_ROUND_ROBIN:
        add_slow_start(t, map, c);
        break;
    case MESH_LB_LEAST_REQUEST:
        add_slow_start(t, map, c);
        add_number(t, map, "choice_count", c->lb_choices);
        if (c->lb_bias_set) {
            add_milli(t, map, "active_request_bias", c->lb_bias_milli);
        }
        break;
    case MESH_LB_RING_HASH:
        add_number(t, map, "minimum_ring_size", c->lb_ring_min);
        add_number(t, map, "maximum_ring_size", c->lb_ring_max);
        break;
    case MESH_LB_MAGLEV:
        add_number(t, map, "table_size", c->lb_table_size);
        break;
    default:
        break;
    }
}

static const struct {
    const char *policy;
    uint32_t number;
    const char *message;
    const char *extension;
} balancers[] = {
    [MESH_LB_ROUND_ROBIN] = {"ROUND_ROBIN", 0, "round_robin_lb_config",
                             "round_robin.v3.RoundRobin"},
    [MESH_LB_LEAST_REQUEST] = {"LEAST_REQUEST", 1, "least_request_lb_config",
                               "least_request.v3.LeastRequest"},
    [MESH_LB_RANDOM] = {"RANDOM", 3, NULL, "random.v3.Random"},
    [MESH_LB_RING_HASH] = {"RING_HASH", 2, "ring_hash_lb_config",
                           "ring_hash.v3.RingHash"},
    [MESH_LB_MAGLEV] = {"MAGLEV", 5, "maglev_lb_config", "maglev.v3.Maglev"},
};

/* The next of the policies: Envoy takes the first that it knows. */
static cJSON *extension(out_t *t, cJSON *policies) {
    cJSON *item = map_in(t, map_of(policies), "typed_extension_config");

    add_text(t, item, "name", "any");
    return map_in(t, item, "typed_config");
}

/* The message beside lb_policy has three fields. */
static void add_zone_aware(out_t *t, cJSON *map, const model_zone_aware_t *z,
                           bool old) {
    if (!z->set) {
        return;
    }
    cJSON *zone = map_in(t, map, "zone_aware_lb_config");

    if (z->enabled_percent != 100 || one_in(t, 2)) {
        add(t, map_in(t, zone, "routing_enabled"), "value",
            cJSON_CreateNumber(z->enabled_percent));
    }
    if (z->min_size != MESH_ZONE_MIN_SIZE || one_in(t, 2)) {
        add_number(t, zone, "min_cluster_size", z->min_size);
    }
    add_flag(t, zone, "fail_traffic_on_panic", z->fail_on_panic);
    if (old) {
        return;
    }
    if (z->force_min == 1 && one_in(t, 2)) {
        add_flag(t, zone, "force_locality_direct_routing", true);
    } else if (z->force_min != 0) {
        cJSON *force = map_in(t, zone, "force_local_zone");
        if (z->force_min != 1 || one_in(t, 2)) {
            add_number(t, force, "min_size", z->force_min);
        }
        add_flag(t, zone, "force_locality_direct_routing", one_in(t, 2));
    }
    if (z->basis == MODEL_BASIS_WEIGHT || one_in(t, 2)) {
        add_enum(t, zone, "locality_basis",
                 z->basis == MODEL_BASIS_WEIGHT ? "HEALTHY_HOSTS_WEIGHT"
                                                : "HEALTHY_HOSTS_NUM",
                 z->basis);
    }
}

static void add_keys(out_t *t, cJSON *map, const char *name,
                     const mesh_str_t *keys, uint32_t count) {
    cJSON *list = list_in(t, map, name);

    for (uint32_t i = count; i > 0; i--) {
        cJSON_AddItemToArray(list, str_of(keys[i - 1]));
    }
    if (count > 0 && one_in(t, 3)) {
        cJSON_AddItemToArray(list, str_of(keys[0])); /* they are a set */
    }
}

static void add_selector(out_t *t, cJSON *list,
                         const model_selector_t *selector) {
    static const struct {
        const char *name;
        uint32_t number;
    } policies[] = {
        [MODEL_FALLBACK_NONE] = {"NO_FALLBACK", 1},
        [MODEL_FALLBACK_ANY] = {"ANY_ENDPOINT", 2},
        [MODEL_FALLBACK_SUBSET] = {"DEFAULT_SUBSET", 3},
        [MODEL_FALLBACK_KEYS] = {"KEYS_SUBSET", 4},
        [MODEL_FALLBACK_CLUSTER] = {"NOT_DEFINED", 0},
    };
    model_fallback_e kind = selector->fallback.kind;
    cJSON *item = map_of(list);

    add_keys(t, item, "keys", selector->keys, selector->nkeys);
    if (kind != MODEL_FALLBACK_CLUSTER || one_in(t, 2)) {
        add_enum(t, item, "fallback_policy", policies[kind].name,
                 policies[kind].number);
    }
    if (kind == MODEL_FALLBACK_KEYS) {
        add_keys(t, item, "fallback_keys_subset", selector->fallback.keys,
                 selector->fallback.nkeys);
    }
}

/* Some that have no selector say the rest, too, which means nothing then. */
static bool says_subsets(out_t *t, const model_cluster_t *c) {
    return c->nselectors != 0 || one_in(t, 4);
}

static void add_subsets(out_t *t, cJSON *map, const model_cluster_t *c) {
    static const char *const policies[] = {"NO_FALLBACK", "ANY_ENDPOINT",
                                           "DEFAULT_SUBSET"};
    bool none = c->nselectors == 0;
    uint32_t policy = none ? rng_below(t->rng, 3) : c->fallback.kind;
    cJSON *list;

    add_enum(t, map, "fallback_policy", policies[policy], policy);
    if (c->nsubsets != 0) {
        cJSON *labels = map_in(t, map, "default_subset");

        for (uint32_t i = 0; i < c->subsets[0].labels.count; i++) {
            const model_label_t *label = &c->subsets[0].labels.v[i];
            char *name = strndup(label->name.data, label->name.len);

            cJSON_AddItemToObject(labels, name, str_of(label->value));
            free(name);
        }
    }
    list = list_in(t, map, "subset_selectors");
    for (uint32_t i = 0; i < c->nselectors; i++) {
        add_selector(t, list, &c->selectors[i]);
    }
    add_flag(t, map, "locality_weight_aware",
             c->nlocality_weights != 0 || one_in(t, 2));
    add_flag(t, map, "panic_mode_any",
             c->subset_panic_any || (none && one_in(t, 2)));
    add_flag(t, map, "list_as_any", false);
}

/* The balancer that subsets have, if there are any, else the cluster's. */
static cJSON *add_subset_balancer(out_t *t, cJSON *policies,
                                  const model_cluster_t *c) {
    if (!says_subsets(t, c)) {
        return policies;
    }
    cJSON *config = extension(t, policies);
    add_type(config, "envoy.extensions.load_balancing_policies.subset.v3."
                     "Subset");
    add_subsets(t, config, c);
    add_flag(t, config, "allow_redundant_keys",
             c->subset_redundant || (c->nselectors == 0 && one_in(t, 2)));
    return list_in(t, map_in(t, config, "subset_lb_policy"), "policies");
}

/* The full scan has no place beside lb_policy, nor has what came later. */
static void add_balancer(out_t *t, cJSON *map, const model_cluster_t *c) {
    const model_zone_aware_t *zone = &c->zone_aware;

    if (!c->lb_full_scan && zone->force_min == 0 && !c->subset_redundant &&
        zone->basis == MODEL_BASIS_COUNT && one_in(t, 2)) {
        cJSON *common = map_in(t, map, "common_lb_config");

        add_balance_factor(t, common, "consistent_hashing_lb_config", c);
        add(t, map_in(t, common, "healthy_panic_threshold"), "value",
            cJSON_CreateNumber(c->panic_percent));
        if (c->nlocality_weights != 0) {
            map_in(t, common, "locality_weighted_lb_config");
        }
        add_zone_aware(t, common, zone, true);
        if (says_subsets(t, c)) {
            add_subsets(t, map_in(t, map, "lb_subset_config"), c);
        }
        add_enum(t, map, "lb_policy", balancers[c->lb].policy,
                 balancers[c->lb].number);
        if (balancers[c->lb].message != NULL) {
            add_parameters(t, map_in(t, map, balancers[c->lb].message), c);
        }
        return;
    }
    cJSON *common = map_in(t, map, "common_lb_config");
    add(t, map_in(t, common, "healthy_panic_threshold"), "value",
        cJSON_CreateNumber(c->panic_percent));
    cJSON *policies =
        list_in(t, map_in(t, map, "load_balancing_policy"), "policies");
    char type[128];
    policies = add_subset_balancer(t, policies, c);
    if (one_in(t, 3)) {
        add_type(extension(t, policies), "a.b.Unknown");
    }
    /* What Envoy passes over beside it. */
    if (one_in(t, 3)) {
        add_number(t, map_in(t, map, "ring_hash_lb_config"),
                   "maximum_ring_size", 7);
        add_number(t, map_in(t, common, "consistent_hashing_lb_config"),
                   "hash_balance_factor", 150);
    }
    snprintf(type, sizeof(type), "envoy.extensions.load_balancing_policies.%s",
             balancers[c->lb].extension);
    cJSON *config = extension(t, policies);
    add_type(config, type);
    add_parameters(t, config, c);
    if (c->lb_full_scan && one_in(t, 2)) {
        add_enum(t, config, "selection_method", "FULL_SCAN", 1);
    } else if (c->lb == MESH_LB_LEAST_REQUEST) {
        add_flag(t, config, "enable_full_scan", c->lb_full_scan);
    }
    if (mesh_lb_hashes(c->lb)) {
        add_balance_factor(t, config, "consistent_hashing_lb_config", c);
    }
    if (c->nlocality_weights != 0) {
        map_in(t,
               mesh_lb_hashes(c->lb) ? config
                                     : map_in(t, config, "locality_lb_config"),
               "locality_weighted_lb_config");
    }
    if (zone->set) {
        add_zone_aware(t, map_in(t, config, "locality_lb_config"), zone, false);
    }
}

static void add_outlier(out_t *t, cJSON *map, const model_outlier_t *o) {
    if (!o->set) {
        return;
    }
    cJSON *out = map_in(t, map, "outlier_detection");
    add_number(t, out, "consecutive_5xx", o->consecutive_5xx);
    add_number(t, out, "consecutive_gateway_failure",
               o->consecutive_gateway_failure);
    add_number(t, out, "enforcing_consecutive_gateway_failure", 100);
    add_number(t, out, "consecutive_local_origin_failure",
               o->consecutive_local_failure);
    add_flag(t, out, "split_external_local_origin_errors", o->split_local);
    add(t, out, "base_ejection_time", ms_of(o->base_ejection_ms));
    add(t, out, "max_ejection_time", ms_of(o->max_ejection_ms));
    add(t, out, "max_ejection_time_jitter", ms_of(o->jitter_ms));
    add_number(t, out, "max_ejection_percent", o->max_ejection_percent);
    if (one_in(t, 2)) {
        add_number(t, out, "enforcing_success_rate", 0);
    }
}

static void add_protocol(out_t *t, cJSON *map, const model_cluster_t *c) {
    static const char name[] =
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    bool extension = one_in(t, 2);
    cJSON *options = map;

    if (extension) {
        cJSON *all = map_in(t, map, "typed_extension_protocol_options");

        options = cJSON_AddObjectToObject(all, name);
        add_type(options, name);
    }
    cJSON *common = map_in(t, options, "common_http_protocol_options");
    add(t, common, "idle_timeout", ms_of(c->keepalive_timeout_ms));
    add_number(t, common, "max_requests_per_connection", c->keepalive_requests);
    if (extension) {
        options = map_in(t, options, "explicit_http_config");
    }
    if (c->protocol == MODEL_HTTP2) {
        map_in(t, options, "http2_protocol_options");
    } else if (extension || one_in(t, 2)) {
        map_in(t, options, "http_protocol_options");
    }
}

static const model_endpoint_set_t *find_set(const model_part_t *part,
                                            mesh_str_t name) {
    for (uint32_t i = 0; i < part->nsets; i++) {
        if (mesh_str_eq(part->sets[i].name, name)) {
            return &part->sets[i];
        }
    }
    return NULL;
}

static const model_named_set_t *find_named(const model_part_t *part,
                                           mesh_str_t name) {
    for (uint32_t i = 0; i < part->nnamed; i++) {
        if (mesh_str_eq(part->named[i].set.name, name)) {
            return &part->named[i];
        }
    }
    return NULL;
}

static void add_names(out_t *t, cJSON *map, const model_part_t *part,
                      const model_named_set_t *named) {
    static const struct {
        const char *name;
        uint32_t number;
    } families[] = {
        [MODEL_DNS_V4_PREFERRED] = {"V4_PREFERRED", 3},
        [MODEL_DNS_V4] = {"V4_ONLY", 1},
        [MODEL_DNS_V6] = {"V6_ONLY", 2},
        [MODEL_DNS_ALL] = {"ALL", 4},
    };

    add_enum(t, map, "type", named->dns.logical ? "LOGICAL_DNS" : "STRICT_DNS",
             named->dns.logical ? 2 : 1);
    add_enum(t, map, "dns_lookup_family", families[named->dns.family].name,
             families[named->dns.family].number);
    xds_text_assignment(t, map_in(t, map, "load_assignment"), part,
                        &named->set);
}

/* Endpoints of its own in it, if the dice say so and nobody else has them. */
static void add_source(out_t *t, cJSON *map, const model_part_t *part,
                       const model_cluster_t *c, bool *inlined) {
    const model_endpoint_set_t *set = find_set(part, c->name);
    const model_named_set_t *named = find_named(part, c->name);

    *inlined = false;
    if (c->endpoint_set.len == 0 && named != NULL) {
        add_names(t, map, part, named);
    } else if (c->endpoint_set.len == 0 && set != NULL && one_in(t, 2)) {
        *inlined = true;
        if (one_in(t, 2)) {
            add_enum(t, map, "type", "STATIC", 0);
        }
        xds_text_assignment(t, map_in(t, map, "load_assignment"), part, set);
    } else {
        cJSON *eds = map_in(t, map, "eds_cluster_config");

        add_enum(t, map, "type", "EDS", 3);
        if (c->endpoint_set.len != 0 || one_in(t, 2)) {
            add_str(t, eds, "service_name",
                    c->endpoint_set.len ? c->endpoint_set : c->name);
        }
    }
}

bool xds_text_cluster(out_t *t, cJSON *map, const model_part_t *part,
                      const model_cluster_t *c) {
    bool inlined;

    add_type(map, "envoy.config.cluster.v3.Cluster");
    add_str(t, map, "name", c->name);
    add_str(t, map, "alt_stat_name", c->name);
    add_source(t, map, part, c, &inlined);
    add(t, map, "connect_timeout", ms_of(c->connect_timeout_ms));
    add_balancer(t, map, c);
    add_outlier(t, map, &c->outlier);
    add_protocol(t, map, c);
    return inlined;
}
