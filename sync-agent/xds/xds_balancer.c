/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How a cluster's endpoint is chosen: lb_policy with its messages, and
 * load_balancing_policy with the extensions that say the same.
 */

#include "xds_cluster.h"

#define LB(member) offsetof(model_cluster_t, member)

/* --- numbers that the native front end bounds ---------------------------- */

static bool decode_u32(xds_decoder_t *x, const model_node_t *node,
                       const xds_field_t *field, void *out) {
    const xds_field_t number = {
        .type = XDS_U32, .min = field->min, .max = field->max};

    return xds_decode_field(x, node, &number, out);
}

static bool decode_prime(xds_decoder_t *x, const model_node_t *node,
                         const xds_field_t *field, void *out) {
    model_node_t number = *node;

    (void)field;
    number.plain = true; /* 64 bits are text in protobuf's JSON */
    return model_decode_prime(&x->d, &number, NULL, out);
}

static bool decode_bias(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    model_cluster_t *cluster = out;

    cluster->lb_bias_milli = 0;

    if (!xds_decode_message(x, node, field->message, &cluster->lb_bias_milli)) {
        return false;
    }

    cluster->lb_bias_set = true;
    return cluster->lb_bias_milli <= MESH_LB_BIAS_MAX ||
           model_wrong(&x->d, node, "a bias from 0 to 10");
}

static bool decode_aggression(xds_decoder_t *x, const model_node_t *node,
                              const xds_field_t *field, void *out) {
    uint32_t milli = 0;

    if (!xds_decode_message(x, node, field->message, &milli)) {
        return false;
    }

    if (milli == 0) {
        return model_wrong_found(&x->d, node, "an aggression of 0",
                                 "a number above 0");
    }

    memcpy(out, &milli, sizeof(milli));
    return true;
}

#define SLOW_START_FIELDS                                                      \
    {.name = "slow_start_window",                                              \
     .type = XDS_DURATION,                                                     \
     .offset = LB(slow_start_ms)},                                             \
        {.name = "aggression",                                                 \
         .type = XDS_CUSTOM,                                                   \
         .offset = LB(aggression_milli),                                       \
         .message = &xds_runtime_milli,                                        \
         .decode = decode_aggression},                                         \
    {                                                                          \
        .name = "min_weight_percent", .type = XDS_MESSAGE,                     \
        .offset = LB(min_weight_percent), .message = &xds_percent              \
    }

static const xds_field_t slow_start_fields[] = {
    SLOW_START_FIELDS,
};

/* Envoy's, where nothing was said. */
static bool finish_slow_start(xds_decoder_t *x, const model_node_t *node,
                              uint64_t seen, void *out) {
    model_cluster_t *cluster = out;

    (void)x;
    (void)node;

    if (!(seen >> 1 & 1)) {
        cluster->aggression_milli = 1000;
    }

    if (!(seen >> 2 & 1)) {
        cluster->min_weight_percent = 10;
    }

    return true;
}

static const xds_message_t slow_start_old = {
    .name = "envoy.config.cluster.v3.Cluster.SlowStartConfig",
    XDS_FIELDS(slow_start_fields),
    .finish = finish_slow_start,
};

static const xds_message_t slow_start = {
    .name = "envoy.extensions.load_balancing_policies.common.v3."
            "SlowStartConfig",
    XDS_FIELDS(slow_start_fields),
    .finish = finish_slow_start,
};

/* --- localities ---------------------------------------------------------- */

/* There is nothing in either message. */
const xds_message_t xds_weighted_old = {
    .name = "envoy.config.cluster.v3.Cluster.CommonLbConfig."
            "LocalityWeightedLbConfig",
};

static const xds_message_t weighted = {
    .name = "envoy.extensions.load_balancing_policies.common.v3."
            "LocalityLbConfig.LocalityWeightedLbConfig",
};

bool xds_decode_subset_old(xds_decoder_t *x, const model_node_t *node,
                           const xds_field_t *field, void *out) {
    xds_cluster_t *cluster = out;
    xds_cluster_t unused = {.by_policy = true};

    return xds_decode_message(x, node, field->message,
                              cluster->by_policy ? &unused : cluster);
}

bool xds_decode_weighted_old(xds_decoder_t *x, const model_node_t *node,
                             const xds_field_t *field, void *out) {
    xds_cluster_t *cluster = out;

    cluster->weighted |= !cluster->by_policy;
    return xds_decode_message(x, node, field->message, out);
}

static bool decode_weighted(xds_decoder_t *x, const model_node_t *node,
                            const xds_field_t *field, void *out) {
    xds_cluster_t *cluster = out;

    cluster->weighted = true;
    return xds_decode_message(x, node, field->message, out);
}

#define LOCALITY_ONE "more than one way of localities"

static const xds_field_t locality_fields[] = {
    {.name = "zone_aware_lb_config",
     .type = XDS_MESSAGE,
     .offset = LB(zone_aware),
     .oneof = LOCALITY_ONE,
     .message = &xds_zone_aware},
    {.name = "locality_weighted_lb_config",
     .type = XDS_CUSTOM,
     .oneof = LOCALITY_ONE,
     .message = &weighted,
     .decode = decode_weighted},
};

static const xds_message_t locality_lb = {
    .name = "envoy.extensions.load_balancing_policies.common.v3."
            "LocalityLbConfig",
    XDS_FIELDS(locality_fields),
};

#define LOCALITY_FIELD                                                         \
    {                                                                          \
        .name = "locality_lb_config", .type = XDS_MESSAGE,                     \
        .message = &locality_lb                                                \
    }

#define WEIGHTED_FIELD                                                         \
    {                                                                          \
        .name = "locality_weighted_lb_config", .type = XDS_CUSTOM,             \
        .message = &weighted, .decode = decode_weighted                        \
    }

/* --- beside lb_policy ---------------------------------------------------- */

/* Beside load_balancing_policy it must be right, and says nothing. */
bool xds_decode_lb_old(xds_decoder_t *x, const model_node_t *node,
                       const xds_field_t *field, void *out) {
    xds_cluster_t *cluster = out;
    model_cluster_t unused = {.lb_choices = 0};

    return xds_decode_message(x, node, field->message,
                              cluster->by_policy ? &unused : &cluster->cluster);
}

#define RING_FIELDS                                                            \
    {.name = "minimum_ring_size",                                              \
     .type = XDS_CUSTOM,                                                       \
     .offset = LB(lb_ring_min),                                                \
     .min = 1,                                                                 \
     .max = MESH_LB_RING_MAX,                                                  \
     .decode = decode_u32},                                                    \
        {.name = "maximum_ring_size",                                          \
         .type = XDS_CUSTOM,                                                   \
         .offset = LB(lb_ring_max),                                            \
         .min = 1,                                                             \
         .max = MESH_LB_RING_MAX,                                              \
         .decode = decode_u32},                                                \
    {                                                                          \
        .name = "hash_function", .type = XDS_IGNORED,                          \
        .because = "xxHash is what is used, and nothing but the place of a "   \
                   "key depends on it"                                         \
    }

static bool finish_ring(xds_decoder_t *x, const model_node_t *node,
                        uint64_t seen, void *out) {
    const model_cluster_t *cluster = out;

    return (seen & 3) != 3 || cluster->lb_ring_min <= cluster->lb_ring_max ||
           model_wrong_found(&x->d, node,
                             "a minimum_ring_size above maximum_ring_size",
                             "it at most as large");
}

static const xds_field_t ring_old_fields[] = {
    RING_FIELDS,
};

const xds_message_t xds_ring_hash_lb_config = {
    .name = "envoy.config.cluster.v3.Cluster.RingHashLbConfig",
    XDS_FIELDS(ring_old_fields),
    .finish = finish_ring,
};

static const xds_field_t maglev_old_fields[] = {
    {.name = "table_size",
     .type = XDS_CUSTOM,
     .offset = LB(lb_table_size),
     .decode = decode_prime},
};

const xds_message_t xds_maglev_lb_config = {
    .name = "envoy.config.cluster.v3.Cluster.MaglevLbConfig",
    XDS_FIELDS(maglev_old_fields),
};

#define LEAST_FIELDS(slow)                                                     \
    {.name = "choice_count",                                                   \
     .type = XDS_U32,                                                          \
     .offset = LB(lb_choices),                                                 \
     .min = 2,                                                                 \
     .max = 32},                                                               \
        {.name = "active_request_bias",                                        \
         .type = XDS_CUSTOM,                                                   \
         .message = &xds_runtime_milli,                                        \
         .decode = decode_bias},                                               \
    {                                                                          \
        .name = "slow_start_config", .type = XDS_MESSAGE, .message = &(slow)   \
    }

static const xds_field_t least_old_fields[] = {
    LEAST_FIELDS(slow_start_old),
};

const xds_message_t xds_least_request_lb_config = {
    .name = "envoy.config.cluster.v3.Cluster.LeastRequestLbConfig",
    XDS_FIELDS(least_old_fields),
};

static const xds_field_t round_old_fields[] = {
    {.name = "slow_start_config",
     .type = XDS_MESSAGE,
     .message = &slow_start_old},
};

const xds_message_t xds_round_robin_lb_config = {
    .name = "envoy.config.cluster.v3.Cluster.RoundRobinLbConfig",
    XDS_FIELDS(round_old_fields),
};

/* --- extensions ---------------------------------------------------------- */

#define CONSISTENT_FIELDS                                                      \
    {.name = "hash_balance_factor",                                            \
     .type = XDS_U32,                                                          \
     .offset = LB(lb_balance_factor),                                          \
     .min = 100,                                                               \
     .max = MESH_LB_BALANCE_MAX},                                              \
    {                                                                          \
        .name = "use_hostname_for_hashing", .type = XDS_LATER                  \
    }

static const xds_field_t consistent_fields[] = {
    CONSISTENT_FIELDS,
    {.name = "hash_policy", .type = XDS_LATER},
};

static const xds_message_t consistent_hashing = {
    .name = "envoy.extensions.load_balancing_policies.common.v3."
            "ConsistentHashingLbConfig",
    XDS_FIELDS(consistent_fields),
};

static const xds_field_t consistent_old_fields[] = {
    CONSISTENT_FIELDS,
};

const xds_message_t xds_consistent_hashing = {
    .name = "envoy.config.cluster.v3.Cluster.CommonLbConfig."
            "ConsistentHashingLbConfig",
    XDS_FIELDS(consistent_old_fields),
};

static const xds_field_t ring_fields[] = {
    RING_FIELDS,
    {.name = "consistent_hashing_lb_config",
     .type = XDS_MESSAGE,
     .message = &consistent_hashing},
    CONSISTENT_FIELDS,
    WEIGHTED_FIELD,
};

static const xds_message_t ring_hash = {
    .name = "envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash",
    XDS_FIELDS(ring_fields),
    .finish = finish_ring,
};

static const xds_field_t maglev_fields[] = {
    {.name = "table_size",
     .type = XDS_CUSTOM,
     .offset = LB(lb_table_size),
     .decode = decode_prime},
    {.name = "consistent_hashing_lb_config",
     .type = XDS_MESSAGE,
     .message = &consistent_hashing},
    WEIGHTED_FIELD,
};

static const xds_message_t maglev = {
    .name = "envoy.extensions.load_balancing_policies.maglev.v3.Maglev",
    XDS_FIELDS(maglev_fields),
};

static const xds_value_t selections[] = {
    {"N_CHOICES", 0, 0},
    {"FULL_SCAN", 1, 1},
    {NULL, 0, 0},
};

static bool decode_selection(xds_decoder_t *x, const model_node_t *node,
                             const xds_field_t *field, void *out) {
    const xds_field_t value = {.type = XDS_ENUM, .values = field->values};
    uint32_t scan = 0;

    if (!xds_decode_field(x, node, &value, &scan)) {
        return false;
    }

    *(bool *)out |= scan != 0;
    return true;
}

static const xds_field_t least_fields[] = {
    LEAST_FIELDS(slow_start),
    {.name = "enable_full_scan", .type = XDS_BOOL, .offset = LB(lb_full_scan)},
    {.name = "selection_method",
     .type = XDS_CUSTOM,
     .offset = LB(lb_full_scan),
     .values = selections,
     .decode = decode_selection},
    LOCALITY_FIELD,
};

static const xds_message_t least_request = {
    .name = "envoy.extensions.load_balancing_policies.least_request.v3."
            "LeastRequest",
    XDS_FIELDS(least_fields),
};

static const xds_field_t round_fields[] = {
    {.name = "slow_start_config", .type = XDS_MESSAGE, .message = &slow_start},
    LOCALITY_FIELD,
};

static const xds_message_t round_robin = {
    .name = "envoy.extensions.load_balancing_policies.round_robin.v3."
            "RoundRobin",
    XDS_FIELDS(round_fields),
};

static const xds_field_t random_fields[] = {
    LOCALITY_FIELD,
};

static const xds_message_t random_lb = {
    .name = "envoy.extensions.load_balancing_policies.random.v3.Random",
    XDS_FIELDS(random_fields),
};

const xds_balancer_t xds_balancers[] = {
    {&round_robin, MESH_LB_ROUND_ROBIN},
    {&least_request, MESH_LB_LEAST_REQUEST},
    {&random_lb, MESH_LB_RANDOM},
    {&ring_hash, MESH_LB_RING_HASH},
    {&maglev, MESH_LB_MAGLEV},
    {&xds_subset_lb, MESH_LB_ROUND_ROBIN}, /* its own says which */
    {NULL, MESH_LB_ROUND_ROBIN},
};

/* --- load_balancing_policy ----------------------------------------------- */

static const xds_balancer_t *find_balancer(const model_node_t *any) {
    mesh_str_t type = xds_type(any);
    const xds_balancer_t *balancer = xds_balancers;

    while (balancer->message != NULL &&
           !mesh_str_eq(type, mesh_str_from(balancer->message->name))) {
        balancer++;
    }

    return balancer->message != NULL ? balancer : NULL;
}

static bool decode_balancer(xds_decoder_t *x, const model_node_t *node,
                            const xds_field_t *field, void *out) {
    const xds_balancer_t *balancer = find_balancer(node);
    model_cluster_t *cluster = out;

    (void)field;

    if (balancer == NULL) {
        return xds_later(x, node, XDS_LATER, field, "a balancer of that type");
    }

    cluster->lb = balancer->lb;
    return xds_decode_any(x, node, balancer->message, cluster);
}

static const xds_field_t extension_fields[] = {
    XDS_EXTENSION_FIELDS(NULL, decode_balancer),
};

static const xds_message_t extension = {
    .name = "envoy.config.core.v3.TypedExtensionConfig",
    XDS_FIELDS(extension_fields),
};

static const xds_field_t policy_fields[] = {
    {.name = "typed_extension_config",
     .type = XDS_MESSAGE,
     .flags = XDS_REQUIRED,
     .message = &extension},
};

static const xds_message_t policy = {
    .name = "envoy.config.cluster.v3.LoadBalancingPolicy.Policy",
    XDS_FIELDS(policy_fields),
};

/* The first that is known counts, as in Envoy. */
static bool decode_policies(xds_decoder_t *x, const model_node_t *node,
                            const xds_field_t *field, void *out) {
    const model_node_t *chosen = node->first;
    uint32_t index = 0;
    uint32_t at = 0;
    bool ok;

    if (node->kind != MODEL_NODE_LIST || node->count == 0) {
        return model_wrong(&x->d, node, "a list of at least one policy");
    }

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        const model_node_t *any =
            xds_child(xds_child(n, "typed_extension_config"), "typed_config");

        if (any != NULL && find_balancer(any) != NULL) {
            chosen = n;
            index = at;
            break;
        }

        at++;
    }

    model_push_index(&x->d, index);
    ok = xds_decode_message(x, chosen, field->message, out);
    model_pop(&x->d);
    return ok;
}

static const xds_field_t policies_fields[] = {
    {.name = "policies",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED,
     .message = &policy,
     .decode = decode_policies},
};

const xds_message_t xds_load_balancing_policy = {
    .name = "envoy.config.cluster.v3.LoadBalancingPolicy",
    XDS_FIELDS(policies_fields),
};
