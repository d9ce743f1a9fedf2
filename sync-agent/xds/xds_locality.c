/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What an assignment says of its cluster: weights of localities, and how much
 * of what is usable counts as there.  The model has both in the cluster.
 */

#include <stdio.h>
#include <stdlib.h>

#include "xds_resources.h"

/* --- whose assignment it is ---------------------------------------------- */

static mesh_str_t set_name(const model_cluster_t *cluster) {
    return cluster->endpoint_set.len != 0 ? cluster->endpoint_set
                                          : cluster->name;
}

typedef struct {
    xds_set_t *set;
    bool used;
} owned_t;

static int by_name(const void *a, const void *b) {
    const owned_t *x = a;
    const owned_t *y = b;

    return mesh_str_cmp(x->set->set.name, y->set->set.name);
}

static owned_t *find_set(owned_t *sets, uint32_t count, mesh_str_t name) {
    xds_set_t wanted = {.set = {.name = name}};
    owned_t key = {.set = &wanted};

    return count != 0 ? bsearch(&key, sets, count, sizeof(*sets), by_name)
                      : NULL;
}

static void tell(const xds_t *xds, const xds_set_t *set, bool warning,
                 const char *found, const char *expected) {
    char quoted[96];
    char path[128];

    model_quote(set->set.name, quoted, sizeof(quoted));
    snprintf(path, sizeof(path), "endpoint assignment %s", quoted);

    model_error_t error = {
        .file = set->set.place.file,
        .line = set->set.place.line,
        .column = set->set.place.column,
        .path = arena_strdup(xds->x.d.arena, path),
        .found = arena_strdup(xds->x.d.arena, found),
        .expected = expected,
        .warning = warning,
    };

    model_error_add(xds->x.d.errors, &error, "found %s, expected %s", found,
                    expected);
}

/* --- weights ------------------------------------------------------------- */

/*
 * Envoy forgets the weights of a priority that has none above 0; here they
 * are all or none.
 */
static bool check_weights(const xds_t *xds, const xds_set_t *set) {
    bool there[MESH_PRIORITY_MAX + 1] = {false};
    bool some[MESH_PRIORITY_MAX + 1] = {false};

    if (set->nweights > MESH_LOCALITY_WEIGHTS_MAX) {
        tell(xds, set, false, "more than 256 localities with weights",
             "at most 256");
        return false;
    }

    for (uint32_t i = 0; i < set->nweights; i++) {
        uint32_t priority = set->weights[i].priority;

        there[priority] = true;
        some[priority] |= set->weights[i].weight != 0;
    }

    for (uint32_t i = 0; i <= MESH_PRIORITY_MAX; i++) {
        if (there[i] && !some[i]) {
            tell(xds, set, false,
                 "a priority without load_balancing_weight beside one with it",
                 "weights in all of them");
            return false;
        }
    }

    return true;
}

static bool has_weights(const xds_set_t *set) {
    for (uint32_t i = 0; i < set->nweights; i++) {
        if (set->weights[i].weight != 0) {
            return true;
        }
    }

    return false;
}

static void take(const xds_t *xds, xds_cluster_t *cluster,
                 const xds_set_t *set) {
    model_cluster_t *c = &cluster->cluster;

    if (set->overprovisioning != 0) {
        c->overprovisioning = set->overprovisioning;
    }

    /* Without any, or any above 0, localities do not matter. */
    if (cluster->weighted && has_weights(set) && check_weights(xds, set)) {
        c->nlocality_weights = set->nweights;
        c->locality_weights = set->weights;
    }
}

/* All sets by name: those in clusters may be another's, too. */
static owned_t *sort_sets(xds_t *xds, uint32_t *count) {
    owned_t *sets = arena_alloc(xds->x.d.arena,
                                sizeof(*sets) * (xds->nsets + xds->nclusters));

    *count = 0;

    for (uint32_t i = 0; i < xds->nsets; i++) {
        sets[(*count)++] = (owned_t){.set = &xds->sets[i]};
    }

    for (uint32_t i = 0; i < xds->nclusters; i++) {
        if (xds->clusters[i].has_set) {
            sets[(*count)++] = (owned_t){&xds->clusters[i].set, true};
        }
    }

    if (*count > 1) {
        qsort(sets, *count, sizeof(*sets), by_name);
    }

    return sets;
}

void xds_join_sets(xds_t *xds) {
    uint32_t count;
    owned_t *sets = sort_sets(xds, &count);

    for (uint32_t i = 0; i < xds->nclusters; i++) {
        xds_cluster_t *cluster = &xds->clusters[i];
        owned_t *owned = find_set(sets, count, set_name(&cluster->cluster));

        if (cluster->has_set) {
            take(xds, cluster, &cluster->set);
        } else if (owned != NULL) {
            owned->used = true;
            take(xds, cluster, owned->set);
        }
    }

    /* Once: there may be thousands, and all for one reason. */
    for (uint32_t i = 0; i < count; i++) {
        const xds_set_t *set = sets[i].set;

        if (!sets[i].used && (set->overprovisioning != 0 || has_weights(set))) {
            tell(xds, set, true,
                 "weights or an overprovisioning_factor for a cluster that is "
                 "not among the resources",
                 "the cluster, too: they are passed over");
            return;
        }
    }
}
