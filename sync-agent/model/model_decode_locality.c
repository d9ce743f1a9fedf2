/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Who gets load and who stands in: weights of localities, priorities.
 */

#include "model_table.h"

#include <stdio.h>

#define NAME_MAX_BYTES 256 /* as an endpoint's locality */

/* --- weights ------------------------------------------------------------- */

#define WEIGHT(member) offsetof(model_locality_weight_t, member)

static const model_field_t weight_fields[] = {
    {.name = "region",
     .type = MODEL_STRING,
     .offset = WEIGHT(locality.region),
     .min = 1,
     .max = NAME_MAX_BYTES,
     .about = "the region"},
    {.name = "zone",
     .type = MODEL_STRING,
     .offset = WEIGHT(locality.zone),
     .min = 1,
     .max = NAME_MAX_BYTES,
     .about = "the zone"},
    {.name = "sub_zone",
     .type = MODEL_STRING,
     .offset = WEIGHT(locality.sub_zone),
     .min = 1,
     .max = NAME_MAX_BYTES,
     .about = "the sub-zone"},
    {.name = "weight",
     .type = MODEL_U32,
     .flags = MODEL_REQUIRED,
     .offset = WEIGHT(weight),
     .max = MODEL_LOCALITY_WEIGHT_MAX,
     .about = "its part of the sum; 0: no load"},
    {.name = "priority",
     .type = MODEL_U32,
     .offset = WEIGHT(priority),
     .max = MESH_PRIORITY_MAX,
     .about = "of endpoints of this priority; of all unless said",
     .fallback = MESH_PRIORITY_ANY},
};

static const model_object_t weight_object = {
    .name = "a locality's weight",
    MODEL_FIELDS(weight_fields),
};

const model_field_t model_locality_weight_element = {
    .type = MODEL_OBJECT,
    .object = &weight_object,
};

bool model_locality_eq(const model_locality_t *a, const model_locality_t *b) {
    return mesh_str_eq(a->region, b->region) && mesh_str_eq(a->zone, b->zone) &&
           mesh_str_eq(a->sub_zone, b->sub_zone);
}

/* Of two that both hold for an endpoint, one would never be looked at. */
static bool check_weights(model_decoder_t *d, const model_node_t *node,
                          const model_cluster_t *cluster) {
    const model_node_t *n = node->first;

    for (uint32_t i = 0; i < cluster->nlocality_weights; i++, n = n->next) {
        const model_locality_weight_t *w = &cluster->locality_weights[i];

        for (uint32_t k = 0; k < i; k++) {
            const model_locality_weight_t *before =
                &cluster->locality_weights[k];

            if (!model_locality_eq(&w->locality, &before->locality) ||
                (before->priority != w->priority &&
                 before->priority != MESH_PRIORITY_ANY)) {
                continue;
            }

            model_push_index(d, i);
            model_wrong_found(d, n, "a locality again",
                              "each once, with a priority before without one");
            model_pop(d);
            return false;
        }
    }

    return true;
}

bool model_decode_locality_weights(model_decoder_t *d, const model_node_t *node,
                                   const model_field_t *field, void *out) {
    static const model_field_t list = {
        .type = MODEL_LIST,
        .flags = MODEL_FILLED,
        .offset = offsetof(model_cluster_form_t, cluster.locality_weights),
        .count = offsetof(model_cluster_form_t, cluster.nlocality_weights),
        .size = sizeof(model_locality_weight_t),
        .element = &model_locality_weight_element,
    };
    model_cluster_t *cluster = &((model_cluster_form_t *)out)->cluster;

    (void)field;

    if (node->kind == MODEL_NODE_LIST &&
        node->count > MESH_LOCALITY_WEIGHTS_MAX) {
        return model_wrong_found(d, node, "more than 256 localities",
                                 "at most 256");
    }

    return model_decode_field(d, node, &list, (char *)out + list.offset) &&
           check_weights(d, node, cluster);
}

/* --- priorities ---------------------------------------------------------- */

bool model_check_priorities(model_decoder_t *d, const model_node_t *node,
                            const model_endpoint_set_t *set) {
    bool used[MESH_PRIORITY_MAX + 1] = {false};
    uint32_t last = 0;
    uint32_t gap = 0;
    char found[64];
    char expected[64];

    for (uint32_t i = 0; i < set->count; i++) {
        used[set->v[i].priority] = true;
        last = mesh_max(last, set->v[i].priority);
    }

    while (gap < last && used[gap]) {
        gap++;
    }

    if (set->count == 0 || gap == last) {
        return true;
    }

    snprintf(found, sizeof(found), "an endpoint of priority %u", last);
    snprintf(expected, sizeof(expected), "one of priority %u as well", gap);

    return model_wrong_found(d, node, found, expected);
}
