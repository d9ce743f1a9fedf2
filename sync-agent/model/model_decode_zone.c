/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Zone-aware routing: when and how much of a cluster's load stays in the
 * proxies' own zone.
 */

#include "model_table.h"

#define ZONE(member) offsetof(model_zone_aware_t, member)

static bool decode_local(model_decoder_t *d, const model_node_t *node,
                         const model_field_t *field, void *out) {
    mesh_str_t *name = out;

    return model_decode_string(d, node, field, name) &&
           model_check_name(d, node, *name, false);
}

static const model_value_t bases[] = {
    {"count", MODEL_BASIS_COUNT},
    {"weight", MODEL_BASIS_WEIGHT},
    {NULL, 0},
};

static const model_field_t zone_aware_fields[] = {
    {.name = "local_cluster",
     .type = MODEL_CUSTOM,
     .offset = ZONE(local_cluster),
     .min = 1,
     .max = MESH_NAME_MAX,
     .decode = decode_local,
     .expected = "text of 1 to 1024 bytes",
     .pattern = MODEL_PATTERN_NAME,
     .about = "the cluster that the proxies here are endpoints of; as "
              "agent.yaml says unless said"},
    {.name = "routing_enabled",
     .type = MODEL_PERCENT,
     .offset = ZONE(enabled_percent),
     .fallback = 100,
     .about = "of requests; others go to any zone"},
    {.name = "min_cluster_size",
     .type = MODEL_U32,
     .offset = ZONE(min_size),
     .max = UINT32_MAX,
     .fallback = MESH_ZONE_MIN_SIZE,
     .about = "with fewer usable endpoints of priority 0, zones do not matter"},
    {.name = "force_local_zone",
     .type = MODEL_U32,
     .offset = ZONE(force_min),
     .min = 1,
     .max = UINT32_MAX,
     .about = "with as many usable endpoints in this zone, all load stays "
              "there"},
    {.name = "fail_traffic_on_panic",
     .type = MODEL_BOOL,
     .offset = ZONE(fail_on_panic),
     .about = "requests fail in panic, instead of going to any endpoint"},
    {.name = "locality_basis",
     .type = MODEL_ENUM,
     .offset = ZONE(basis),
     .values = bases,
     .about = "what is compared of zones: usable endpoints, or their weights"},
};

static bool finish_zone_aware(model_decoder_t *d, const model_node_t *node,
                              uint64_t seen, void *out) {
    (void)d;
    (void)node;
    (void)seen;

    ((model_zone_aware_t *)out)->set = true;
    return true;
}

const model_object_t model_zone_aware_object = {
    .name = "zone-aware routing",
    MODEL_FIELDS(zone_aware_fields),
    .scalar = "local_cluster",
    .finish = finish_zone_aware,
};
