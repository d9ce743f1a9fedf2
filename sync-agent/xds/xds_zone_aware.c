/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Zone-aware routing, in the message beside lb_policy and in the newer one of
 * balancers, which says more.  What the local cluster is stands in Envoy's
 * bootstrap and here in agent.yaml.
 */

#include "xds_cluster.h"

#define ZONE(member) offsetof(model_zone_aware_t, member)

/* 64 bits, which are text in protobuf's JSON. */
static bool decode_size(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    const xds_field_t number = {.type = XDS_U32, .max = UINT32_MAX};
    model_node_t plain = *node;

    (void)field;
    plain.plain = true;
    return xds_decode_field(x, &plain, &number, out);
}

enum { ZONE_ENABLED, ZONE_MIN_SIZE };

#define ZONE_FIELDS                                                            \
    [ZONE_ENABLED] = {.name = "routing_enabled",                               \
                      .type = XDS_MESSAGE,                                     \
                      .offset = ZONE(enabled_percent),                         \
                      .message = &xds_percent},                                \
    [ZONE_MIN_SIZE] = {.name = "min_cluster_size",                             \
                       .type = XDS_CUSTOM,                                     \
                       .offset = ZONE(min_size),                               \
                       .decode = decode_size},                                 \
    {                                                                          \
        .name = "fail_traffic_on_panic", .type = XDS_BOOL,                     \
        .offset = ZONE(fail_on_panic)                                          \
    }

/* Envoy's, where nothing was said. */
static bool finish_zone_aware(xds_decoder_t *x, const model_node_t *node,
                              uint64_t seen, void *out) {
    model_zone_aware_t *zone = out;

    (void)x;
    (void)node;

    zone->set = true;

    if (!(seen >> ZONE_ENABLED & 1)) {
        zone->enabled_percent = 100;
    }

    if (!(seen >> ZONE_MIN_SIZE & 1)) {
        zone->min_size = MESH_ZONE_MIN_SIZE;
    }

    return true;
}

static const xds_field_t zone_aware_old_fields[] = {
    ZONE_FIELDS,
};

const xds_message_t xds_zone_aware_old = {
    .name = "envoy.config.cluster.v3.Cluster.CommonLbConfig.ZoneAwareLbConfig",
    XDS_FIELDS(zone_aware_old_fields),
    .finish = finish_zone_aware,
};

/* Beside load_balancing_policy it must be right, and says nothing. */
bool xds_decode_zone_aware_old(xds_decoder_t *x, const model_node_t *node,
                               const xds_field_t *field, void *out) {
    xds_cluster_t *cluster = out;
    model_zone_aware_t unused = {.set = false};

    return xds_decode_message(
        x, node, field->message,
        cluster->by_policy ? &unused : &cluster->cluster.zone_aware);
}

static const xds_field_t force_fields[] = {
    {.name = "min_size",
     .type = XDS_U32,
     .offset = ZONE(force_min),
     .min = 1,
     .max = UINT32_MAX},
};

static bool finish_force(xds_decoder_t *x, const model_node_t *node,
                         uint64_t seen, void *out) {
    (void)x;
    (void)node;

    if (seen == 0) {
        ((model_zone_aware_t *)out)->force_min = 1;
    }

    return true;
}

static const xds_message_t force_local_zone = {
    .name = "envoy.extensions.load_balancing_policies.common.v3."
            "LocalityLbConfig.ZoneAwareLbConfig.ForceLocalZone",
    XDS_FIELDS(force_fields),
    .finish = finish_force,
};

/* The deprecated way; the other one counts where both are there. */
static bool decode_direct(xds_decoder_t *x, const model_node_t *node,
                          const xds_field_t *field, void *out) {
    const xds_field_t flag = {.type = XDS_BOOL};
    model_zone_aware_t *zone = out;
    bool direct = false;

    (void)field;

    if (!xds_decode_field(x, node, &flag, &direct)) {
        return false;
    }

    if (direct && zone->force_min == 0) {
        zone->force_min = 1;
    }

    return true;
}

static const xds_value_t bases[] = {
    {"HEALTHY_HOSTS_NUM", 0, MODEL_BASIS_COUNT},
    {"HEALTHY_HOSTS_WEIGHT", 1, MODEL_BASIS_WEIGHT},
    {NULL, 0, 0},
};

static const xds_field_t zone_aware_fields[] = {
    ZONE_FIELDS,
    {.name = "force_local_zone",
     .type = XDS_MESSAGE,
     .message = &force_local_zone},
    {.name = "force_locality_direct_routing",
     .type = XDS_CUSTOM,
     .decode = decode_direct},
    {.name = "locality_basis",
     .type = XDS_ENUM,
     .offset = ZONE(basis),
     .values = bases},
};

const xds_message_t xds_zone_aware = {
    .name = "envoy.extensions.load_balancing_policies.common.v3."
            "LocalityLbConfig.ZoneAwareLbConfig",
    XDS_FIELDS(zone_aware_fields),
    .finish = finish_zone_aware,
};
