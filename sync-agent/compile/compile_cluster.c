/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Clusters: what a cluster is, apart from its endpoints.
 */

#include "compile.h"
#include "compile_memory.h"

static mesh_ref_t compile_outlier(mesh_writer_t *w, const model_outlier_t *o) {
    if (!o->set) {
        return 0;
    }
    mesh_rec_outlier_t rec = {
        .rec = {.kind = MESH_KIND_OUTLIER, .size = sizeof(rec)},
        .consecutive_5xx = o->consecutive_5xx,
        .consecutive_gateway_failure = o->consecutive_gateway_failure,
        .consecutive_local_failure = o->consecutive_local_failure,
        .base_ejection_ms = o->base_ejection_ms,
        .max_ejection_ms = o->max_ejection_ms,
        .jitter_ms = o->jitter_ms,
        .max_ejection_percent = o->max_ejection_percent,
        .flags = o->split_local ? MESH_OUTLIER_SPLIT_LOCAL : 0,
    };
    return mesh_writer_put(w, &rec.rec);
}

static mesh_ref_t compile_weights(mesh_writer_t *w, const model_cluster_t *c) {
    if (c->nlocality_weights == 0) {
        return 0;
    }
    mesh_rec_locality_weights_t *rec =
        compile_record(MESH_KIND_LOCALITY_WEIGHTS,
                       sizeof(*rec) + c->nlocality_weights * sizeof(rec->v[0]));
    rec->count = c->nlocality_weights;
    for (uint32_t i = 0; i < c->nlocality_weights; i++) {
        const model_locality_weight_t *weight = &c->locality_weights[i];
        rec->v[i].locality = compile_locality(w, &weight->locality);
        rec->v[i].priority = weight->priority;
        rec->v[i].weight = weight->weight;
    }
    return compile_put(w, rec);
}

static mesh_ref_t compile_zone_aware(mesh_writer_t *w,
                                     const model_zone_aware_t *z) {
    if (!z->set) {
        return 0;
    }
    mesh_rec_zone_aware_t rec = {
        .rec = {.kind = MESH_KIND_ZONE_AWARE, .size = sizeof(rec)},
        .local = compile_str(w, z->local_cluster),
        .enabled_percent = z->enabled_percent,
        .min_size = z->min_size,
        .force_min = z->force_min,
        .flags = (z->fail_on_panic ? MESH_ZONE_FAIL_ON_PANIC : 0) |
                 (z->basis == MODEL_BASIS_WEIGHT ? MESH_ZONE_BY_WEIGHT : 0),
    };
    return mesh_writer_put(w, &rec.rec);
}

static mesh_ref_t compile_lb(mesh_writer_t *w, const model_cluster_t *c) {
    mesh_rec_lb_t rec = {
        .rec = {.kind = MESH_KIND_LB, .size = sizeof(rec)},
        .table_size = c->lb_table_size,
        .ring_min = c->lb_ring_min,
        .ring_max = c->lb_ring_max,
        .balance_factor = c->lb_balance_factor,
        .flags = (c->lb_full_scan ? MESH_LB_FULL_SCAN : 0) |
                 (c->lb_bias_set ? MESH_LB_BIAS : 0) |
                 (c->lb_failover ? MESH_LB_FAILOVER : 0),
        .bias_milli = c->lb_bias_milli,
        .decay_ms = c->lb_decay_ms,
        .default_rtt_ms = c->lb_default_rtt_ms,
        .slow_start_ms = c->slow_start_ms,
        .aggression_milli = c->aggression_milli,
        .min_weight_percent = c->min_weight_percent,
        .overprovisioning = c->overprovisioning == MESH_LB_OVERPROVISIONING
                                ? 0
                                : c->overprovisioning,
        .weights = compile_weights(w, c),
        .zone_aware = compile_zone_aware(w, &c->zone_aware),
    };
    mesh_rec_lb_t none = {.rec = rec.rec};

    return memcmp(&rec, &none, sizeof(rec)) ? mesh_writer_put(w, &rec.rec) : 0;
}

static uint32_t compile_fallback(const model_cluster_t *c,
                                 const model_fallback_t *fallback) {
    static const uint32_t same[] = {
        [MODEL_FALLBACK_NONE] = MESH_FALLBACK_NONE,
        [MODEL_FALLBACK_ANY] = MESH_FALLBACK_ANY,
        [MODEL_FALLBACK_KEYS] = MESH_FALLBACK_KEYS,
        [MODEL_FALLBACK_CLUSTER] = MESH_FALLBACK_CLUSTER,
    };

    if (fallback->kind != MODEL_FALLBACK_SUBSET) {
        return same[fallback->kind];
    }
    uint32_t i = 0;
    while (!mesh_str_eq(c->subsets[i].name, fallback->subset)) {
        i++; /* it is one of them: the decoder looked */
    }
    return MESH_FALLBACK_SUBSET + i;
}

static mesh_selector_t compile_selector(mesh_writer_t *w,
                                        const model_cluster_t *c,
                                        const model_selector_t *selector) {
    const model_fallback_t *fallback = &selector->fallback;
    mesh_ref_t keys[MESH_SELECTOR_KEYS_MAX];
    mesh_selector_t made = {.fallback = compile_fallback(c, fallback)};
    uint32_t found = 0;

    for (uint32_t i = 0; i < selector->nkeys; i++) {
        keys[i] = mesh_writer_put_str(w, selector->keys[i]);
        if (found < fallback->nkeys &&
            mesh_str_eq(selector->keys[i], fallback->keys[found])) {
            made.fallback_keys |= 1u << i;
            found++;
        }
    }
    made.keys =
        mesh_writer_put_refs(w, MESH_KIND_STRING, keys, selector->nkeys);
    return made;
}

static mesh_ref_t compile_selectors(mesh_writer_t *w,
                                    const model_cluster_t *c) {
    if (c->nselectors == 0) {
        return 0;
    }
    mesh_rec_selectors_t *rec = compile_record(
        MESH_KIND_SELECTORS, sizeof(*rec) + c->nselectors * sizeof(rec->v[0]));
    rec->count = c->nselectors;
    for (uint32_t i = 0; i < c->nselectors; i++) {
        rec->v[i] = compile_selector(w, c, &c->selectors[i]);
    }
    return compile_put(w, rec);
}

static mesh_ref_t compile_subsets(mesh_writer_t *w, const model_cluster_t *c) {
    uint32_t flags = (c->subset_required ? MESH_SUBSETS_REQUIRED : 0) |
                     (c->subset_redundant ? MESH_SUBSETS_REDUNDANT : 0) |
                     (c->subset_panic_any ? MESH_SUBSETS_PANIC_ANY : 0);

    if (c->nsubsets == 0 && c->nselectors == 0 && flags == 0 &&
        c->fallback.kind == MODEL_FALLBACK_NONE) {
        return 0;
    }
    mesh_rec_subsets_t *rec = compile_record(
        MESH_KIND_SUBSETS, sizeof(*rec) + c->nsubsets * sizeof(rec->v[0]));
    rec->count = c->nsubsets;
    rec->fallback = compile_fallback(c, &c->fallback);
    rec->selectors = compile_selectors(w, c);
    rec->flags = flags;
    for (uint32_t i = 0; i < c->nsubsets; i++) {
        const model_subset_t *subset = &c->subsets[i];
        rec->v[i].hash = mesh_hash32(subset->name.data, subset->name.len);
        rec->v[i].name = mesh_writer_put_str(w, subset->name);
        rec->v[i].labels = compile_labels(w, &subset->labels);
    }
    return compile_put(w, rec);
}

mesh_ref_t compile_cluster(mesh_writer_t *w, const model_cluster_t *c) {
    mesh_rec_cluster_t rec = {
        .rec = {.kind = MESH_KIND_CLUSTER, .size = sizeof(rec)},
        .name = mesh_writer_put_str(w, c->name),
        .name_hash = mesh_hash32(c->name.data, c->name.len),
        .lb = (uint8_t)c->lb,
        .panic_percent = (uint8_t)mesh_min(c->panic_percent, 100),
        .flags = c->protocol == MODEL_HTTP2 ? MESH_CLUSTER_HTTP2 : 0,
        .lb_choices = c->lb_choices,
        .connect_timeout_ms = c->connect_timeout_ms,
        .outlier = compile_outlier(w, &c->outlier),
        .subsets = compile_subsets(w, c),
        .lb_params = compile_lb(w, c),
        .keepalive_idle = c->keepalive_idle,
        .keepalive_timeout_ms = c->keepalive_timeout_ms,
        .keepalive_requests = c->keepalive_requests,
    };
    if (!mesh_str_eq(c->endpoint_set, c->name)) {
        rec.endpoint_set = compile_str(w, c->endpoint_set);
    }
    return mesh_writer_put(w, &rec.rec);
}
