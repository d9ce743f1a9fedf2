/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Random models cut to what Envoy's resources can say; see xds_text.h.
 */

#include "mesh_subset.h"
#include "xds_text.h"

static bool fit_fallback(model_fallback_t *fallback, bool any) {
    if (fallback->kind != MODEL_FALLBACK_SUBSET) {
        return false;
    }
    fallback->subset = any ? MESH_STR_NULL : MESH_STR("default_subset");
    fallback->kind = any ? MODEL_FALLBACK_ANY : MODEL_FALLBACK_SUBSET;
    return true;
}

/* The default subset only, and that if something falls back to it. */
static void fit_subsets(model_cluster_t *c) {
    bool any = c->nsubsets == 0 || c->subsets[0].labels.count == 0;
    bool used;

    c->nsubsets = 0;
    if (c->nselectors == 0) {
        c->fallback = (model_fallback_t){.kind = MODEL_FALLBACK_NONE};
        c->subset_required = false;
        c->subset_redundant = false;
        c->subset_panic_any = false;
        return;
    }
    used = fit_fallback(&c->fallback, any);
    for (uint32_t i = 0; i < c->nselectors; i++) {
        used |= fit_fallback(&c->selectors[i].fallback, any);
    }
    c->subset_required = true;
    if (used && !any) {
        c->nsubsets = 1;
        c->subsets[0].name = MESH_STR("default_subset");
    }
}

static void fit_cluster(model_cluster_t *c) {
    if (c->lb == MESH_LB_PEAK_EWMA) {
        c->lb = MESH_LB_ROUND_ROBIN;
        c->lb_choices = 2;
        c->lb_decay_ms = 0;
        c->lb_default_rtt_ms = 0;
    }
    c->keepalive_idle = 64;
    fit_subsets(c);
    c->lb_failover = false;
    c->zone_aware.local_cluster = MESH_STR_NULL;
}

/* Without the gaps of those that are left out. */
static void fit_priorities(model_endpoint_set_t *set) {
    for (uint32_t n = 0; n <= MESH_PRIORITY_MAX; n++) {
        uint32_t least = UINT32_MAX;

        for (uint32_t i = 0; i < set->count; i++) {
            uint32_t priority = set->v[i].priority;

            least = priority >= n ? mesh_min(least, priority) : least;
        }
        for (uint32_t i = 0; i < set->count; i++) {
            if (set->v[i].priority == least) {
                set->v[i].priority = n;
            }
        }
    }
}

static void fit_set(model_endpoint_set_t *set, bool named) {
    uint32_t kept = 0;

    for (uint32_t i = 0; i < set->count; i++) {
        model_endpoint_t *e = &set->v[i];

        if (e->family == MODEL_FAMILY_SERVICE ||
            (e->family == MODEL_FAMILY_HOST && !named)) {
            continue;
        }
        e->weight = e->weight ? e->weight : 1;
        set->v[kept++] = *e;
    }
    set->count = kept;
    fit_priorities(set);
}

static bool owns(const model_part_t *part, mesh_str_t name) {
    for (uint32_t i = 0; i < part->nclusters; i++) {
        if (mesh_str_eq(part->clusters[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* Names are a cluster's own, and something of them must be left. */
static void fit_sets(model_part_t *part) {
    uint32_t kept = 0;

    for (uint32_t i = 0; i < part->nsets; i++) {
        fit_set(&part->sets[i], false);
    }
    for (uint32_t i = 0; i < part->nnamed; i++) {
        model_named_set_t *named = &part->named[i];
        uint32_t last;

        fit_set(&named->set, true);
        last = named->set.count;
        if (last != 0 && owns(part, named->set.name) &&
            named->set.v[last - 1].family == MODEL_FAMILY_HOST) {
            part->named[kept++] = *named;
        } else {
            fit_set(&named->set, false);
            part->sets[part->nsets++] = named->set;
        }
    }
    part->nnamed = kept;
}

static const model_endpoint_set_t *set_of(const model_part_t *part,
                                          const model_cluster_t *c) {
    mesh_str_t name = c->endpoint_set.len != 0 ? c->endpoint_set : c->name;

    for (uint32_t i = 0; i < part->nsets; i++) {
        if (mesh_str_eq(part->sets[i].name, name)) {
            return &part->sets[i];
        }
    }
    for (uint32_t i = 0; i < part->nnamed; i++) {
        if (mesh_str_eq(part->named[i].set.name, name)) {
            return &part->named[i].set;
        }
    }
    return NULL;
}

/* Of each locality and priority; the first of a priority gets load. */
static void fit_weights(arena_t *arena, model_cluster_t *c,
                        const model_endpoint_set_t *set) {
    c->nlocality_weights = 0;
    c->locality_weights =
        arena_alloc(arena, sizeof(*c->locality_weights) * set->count);
    for (uint32_t i = 0; i < set->count; i++) {
        const model_endpoint_t *e = &set->v[i];
        bool there = false;
        bool first = true;

        for (uint32_t k = 0; k < c->nlocality_weights; k++) {
            const model_locality_weight_t *w = &c->locality_weights[k];
            bool same = w->priority == e->priority;

            first &= !same;
            there |= same && model_locality_eq(&w->locality, &e->locality);
        }
        if (!there) {
            c->locality_weights[c->nlocality_weights++] =
                (model_locality_weight_t){e->locality, e->priority,
                                          first ? 1 + i * 7 : i % 3};
        }
    }
}

/* Who shares an assignment shares what it says. */
static void fit_shared(arena_t *arena, model_part_t *part) {
    for (uint32_t i = 0; i < part->nclusters; i++) {
        model_cluster_t *c = &part->clusters[i];
        const model_endpoint_set_t *set = set_of(part, c);

        if (set == NULL) {
            c->overprovisioning = 140;
            c->nlocality_weights = 0;
            continue;
        }
        if (c->nlocality_weights != 0) {
            fit_weights(arena, c, set);
        }
        for (uint32_t k = 0; k < i; k++) {
            if (set_of(part, &part->clusters[k]) == set) {
                c->overprovisioning = part->clusters[k].overprovisioning;
            }
        }
    }
}

static void fit_match(model_match_t *match) {
    bool header = match->from <= MESH_FROM_SCHEME;

    if (header) {
        return;
    }
    if (match->op == MESH_MATCH_RANGE ||
        (match->from == MESH_FROM_COOKIE && match->op == MESH_MATCH_PRESENT)) {
        match->op = MESH_MATCH_EXACT;
        match->value = MESH_STR("v");
        match->start = 0;
        match->end = 0;
    }
    if (match->from == MESH_FROM_QUERY && match->op != MESH_MATCH_PRESENT) {
        match->invert = false;
    }
}

static void fit_matches(model_route_t *r) {
    uint32_t kept = 0;

    for (uint32_t k = 0; k < r->nmatches; k++) {
        if (r->matches[k].from <= MESH_FROM_COOKIE) {
            fit_match(&r->matches[k]);
            r->matches[kept++] = r->matches[k];
        }
    }
    r->nmatches = kept;
}

/* All of a route give one answer, one of three. */
static void fit_split(model_route_t *r) {
    static const uint16_t codes[] = {404, 500, 503};

    for (uint32_t k = 0; k < r->nsplit; k++) {
        /* Named ones are ours alone. */
        if (!mesh_subset_by_labels(r->split[k].subset)) {
            r->split[k].subset = MESH_STR_NULL;
        }
        if (r->split[k].by_header) {
            r->split[k].not_found = codes[r->timeout_ms % mesh_nelts(codes)];
        }
    }
}

static void fit_route(arena_t *arena, model_route_t *r, mesh_str_t table,
                      mesh_str_t host, uint32_t i) {
    bool other = !mesh_str_eq(table, MESH_STR("default"));

    r->name = mesh_str_from(arena_printf(
        arena, "%.*s%s%.*s/%s%u", other ? (int)table.len : 0, table.data,
        other ? "/" : "", (int)host.len, host.data, i % 3 == 0 ? "n" : "", i));
    r->methods = 0;
    r->addresses.count = 0;
    fit_matches(r);
    fit_split(r);
    for (uint32_t k = 0; k < r->nhash_policies; k++) {
        if (r->hash_policies[k].from == MESH_HASH_PATH) {
            r->hash_policies[k].from = MESH_HASH_SOURCE_IP;
        }
    }
    for (uint32_t k = 0; k < r->mirrors.count; k++) {
        r->mirrors.v[k].subset = MESH_STR_NULL;
    }
    if (r->retry.set) {
        r->retry.on |= MESH_RETRY_UNSAFE;
    }
    if (r->action != MESH_ACTION_ROUTE) {
        r->timeout_ms = 15000;
        r->idle_timeout_ms = 0;
    }
}

void xds_text_fit(arena_t *arena, model_part_t *part) {
    for (uint32_t i = 0; i < part->nclusters; i++) {
        fit_cluster(&part->clusters[i]);
    }
    fit_sets(part);
    fit_shared(arena, part);
    for (uint32_t i = 0; i < part->ntables; i++) {
        model_route_table_t *table = &part->tables[i];

        for (uint32_t j = 0; j < table->nvhosts; j++) {
            model_vhost_t *host = &table->vhosts[j];

            for (uint32_t k = 0; k < host->nroutes; k++) {
                fit_route(arena, &host->routes[k], table->name, host->name, k);
            }
        }
    }
}
