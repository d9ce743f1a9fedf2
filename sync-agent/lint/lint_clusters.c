/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Clusters that cannot serve, or are not asked to.
 */

#include "lint.h"
#include "mesh_subset.h"

void lint_empty_cluster(lint_t *lint, const lint_rule_t *rule) {
    for (uint32_t i = 0; i < lint->nclusters; i++) {
        const lint_cluster_t *c = &lint->clusters[i];

        if (c->set == NULL || c->set->count == 0) {
            lint_add(lint, rule, &c->cluster->place, "cluster",
                     c->cluster->name, "it has no endpoints%s",
                     c->set == NULL ? ": no endpoint set has its name" : "");
        }
    }
}

typedef struct {
    uint32_t members;
    uint64_t weight;
} share_t;

static share_t share_of(const model_endpoint_set_t *set,
                        const model_labels_t *labels) {
    share_t share = {0, 0};

    for (uint32_t i = 0; i < set->count; i++) {
        if (labels == NULL || model_has_labels(&set->v[i], labels)) {
            share.members++;
            share.weight += set->v[i].weight;
        }
    }
    return share;
}

typedef struct {
    mesh_str_t cluster; /* empty: a header names it */
    mesh_str_t subset;
} target_t;

/* Of the weighted clusters, then of the mirrors. */
static target_t target_of(const model_route_t *route, uint32_t i) {
    if (i >= route->nsplit) {
        i -= route->nsplit;
        return (target_t){route->mirrors.v[i].cluster,
                          route->mirrors.v[i].subset};
    }
    const model_split_t *split = &route->split[i];

    return (target_t){split->by_header ? MESH_STR_NULL : split->cluster,
                      split->subset};
}

static bool is_named_before(const model_route_t *route, uint32_t index) {
    target_t target = target_of(route, index);

    while (index-- > 0) {
        target_t other = target_of(route, index);

        if (mesh_str_eq(other.cluster, target.cluster) &&
            mesh_str_eq(other.subset, target.subset)) {
            return true;
        }
    }
    return false;
}

/* How many of a selector's keys are among those; all are in order. */
static uint32_t keys_in(const model_selector_t *selector, const mesh_str_t *key,
                        size_t step, uint32_t count) {
    uint32_t found = 0;

    for (uint32_t i = 0; i < count && found < selector->nkeys; i++) {
        found += mesh_str_eq(*key, selector->keys[found]);
        key = (const mesh_str_t *)((const char *)key + step);
    }
    return found;
}

/* Takes the labels out that the cluster does not look at. */
static void leave_redundant(const model_cluster_t *cluster,
                            model_labels_t *labels) {
    const model_selector_t *most = NULL;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < cluster->nselectors; i++) {
        const model_selector_t *s = &cluster->selectors[i];

        if (keys_in(s, &labels->v[0].name, sizeof(labels->v[0]),
                    labels->count) == s->nkeys &&
            (most == NULL || s->nkeys > most->nkeys)) {
            most = s;
        }
    }
    for (uint32_t i = 0; most != NULL && i < labels->count; i++) {
        if (kept < most->nkeys &&
            mesh_str_eq(labels->v[i].name, most->keys[kept])) {
            labels->v[kept++] = labels->v[i];
        }
    }
    labels->count = most != NULL ? kept : labels->count;
}

model_labels_t lint_labels(const lint_t *lint, const model_cluster_t *cluster,
                           mesh_str_t name) {
    model_labels_t labels = model_subset_labels(lint->arena, name);

    if (cluster->subset_redundant) {
        leave_redundant(cluster, &labels);
    }
    return labels;
}

/* By labels, which are as good as a subset's once the cluster has selectors. */
static void empty_labels(lint_t *lint, const lint_rule_t *rule,
                         const model_route_t *route) {
    for (uint32_t i = 0; i < route->nsplit + route->mirrors.count; i++) {
        target_t target = target_of(route, i);
        const lint_cluster_t *c = lint_cluster(lint, target.cluster);

        if (c == NULL || c->set == NULL || c->set->count == 0 ||
            c->cluster->nselectors == 0 ||
            !mesh_subset_by_labels(target.subset) ||
            is_named_before(route, i)) {
            continue;
        }
        model_labels_t labels = lint_labels(lint, c->cluster, target.subset);
        if (share_of(c->set, &labels).members == 0) {
            lint_add(lint, rule, &route->place, "route", route->name,
                     "no endpoint of cluster %s has the labels %s",
                     lint_quote(lint, target.cluster),
                     lint_quote(lint, target.subset));
        }
    }
}

void lint_empty_subset(lint_t *lint, const lint_rule_t *rule) {
    for (uint32_t i = 0; i < lint->nhosts; i++) {
        const model_vhost_t *host = lint->hosts[i].host;

        for (uint32_t k = 0; k < host->nroutes; k++) {
            empty_labels(lint, rule, &host->routes[k]);
        }
    }
    for (uint32_t i = 0; i < lint->nclusters; i++) {
        const lint_cluster_t *c = &lint->clusters[i];
        const model_cluster_t *cluster = c->cluster;

        /* Of a cluster without endpoints all subsets are. */
        if (c->set == NULL || c->set->count == 0) {
            continue;
        }
        for (uint32_t k = 0; k < cluster->nsubsets; k++) {
            const model_subset_t *subset = &cluster->subsets[k];

            if (share_of(c->set, &subset->labels).members == 0) {
                lint_add(lint, rule, &cluster->place, "cluster", cluster->name,
                         "no endpoint has the labels of subset %s",
                         lint_quote(lint, subset->name));
            }
        }
    }
}

/* Does a selector make subsets of these keys? */
static bool is_selected(const model_cluster_t *cluster,
                        const model_fallback_t *keys) {
    bool found = false;

    for (uint32_t i = 0; i < cluster->nselectors && !found; i++) {
        const model_selector_t *s = &cluster->selectors[i];

        found = keys_in(s, keys->keys, sizeof(keys->keys[0]), keys->nkeys) ==
                    s->nkeys &&
                (s->nkeys == keys->nkeys || cluster->subset_redundant);
    }
    return found;
}

void lint_lost_fallback(lint_t *lint, const lint_rule_t *rule) {
    for (uint32_t i = 0; i < lint->nclusters; i++) {
        const model_cluster_t *cluster = lint->clusters[i].cluster;

        for (uint32_t k = 0; k < cluster->nselectors; k++) {
            const model_fallback_t *fallback = &cluster->selectors[k].fallback;

            if (fallback->kind == MODEL_FALLBACK_KEYS &&
                !is_selected(cluster, fallback)) {
                lint_add(lint, rule, &cluster->place, "cluster", cluster->name,
                         "subset_selectors[%u] falls back to keys (%s%s) that "
                         "no selector has",
                         k, lint_quote(lint, fallback->keys[0]),
                         fallback->nkeys > 1 ? ", ..." : "");
            }
        }
    }
}

void lint_zero_weight(lint_t *lint, const lint_rule_t *rule) {
    for (uint32_t i = 0; i < lint->nclusters; i++) {
        const lint_cluster_t *c = &lint->clusters[i];
        const model_cluster_t *cluster = c->cluster;

        if (c->set == NULL || c->set->count == 0) {
            continue;
        }
        if (share_of(c->set, NULL).weight == 0) {
            lint_add(lint, rule, &cluster->place, "cluster", cluster->name,
                     "all of its %u endpoints have weight 0", c->set->count);
            continue;
        }
        for (uint32_t k = 0; k < cluster->nsubsets; k++) {
            const model_subset_t *subset = &cluster->subsets[k];
            share_t share = share_of(c->set, &subset->labels);

            if (share.members != 0 && share.weight == 0) {
                lint_add(lint, rule, &cluster->place, "cluster", cluster->name,
                         "all endpoints of subset %s have weight 0",
                         lint_quote(lint, subset->name));
            }
        }
    }
}

void lint_unused_cluster(lint_t *lint, const lint_rule_t *rule) {
    /* nginx.conf may name them: without routes, it must. */
    for (uint32_t i = 0; i < lint->nclusters && lint->nhosts != 0; i++) {
        const lint_cluster_t *c = &lint->clusters[i];

        if (!c->used && !c->other && !lint->any_used) {
            lint_add(lint, rule, &c->cluster->place, "cluster",
                     c->cluster->name,
                     "no route leads to it; an upstream in nginx.conf may");
        }
    }
}

void lint_never_ejects(lint_t *lint, const lint_rule_t *rule) {
    for (uint32_t i = 0; i < lint->nclusters; i++) {
        const lint_cluster_t *c = &lint->clusters[i];
        const model_cluster_t *cluster = c->cluster;
        const model_outlier_t *o = &cluster->outlier;

        if (!o->set) {
            continue;
        }
        if (o->consecutive_5xx == 0 && o->consecutive_gateway_failure == 0 &&
            !(o->split_local && o->consecutive_local_failure != 0)) {
            lint_add(lint, rule, &cluster->place, "cluster", cluster->name,
                     "all counts of its outlier_detection are off");
            continue;
        }
        if (o->max_ejection_percent == 0) {
            lint_add(lint, rule, &cluster->place, "cluster", cluster->name,
                     "max_ejection_percent 0 ejects none");
            continue;
        }
        /* How many endpoints a name stands for is not known. */
        if (c->set == NULL || c->set->count == 0 || c->named ||
            (uint64_t)c->set->count * o->max_ejection_percent >= 100) {
            continue;
        }
        lint_add(lint, rule, &cluster->place, "cluster", cluster->name,
                 "max_ejection_percent %u of %u endpoint%s is none; at least "
                 "%u ejects one",
                 o->max_ejection_percent, c->set->count,
                 c->set->count == 1 ? "" : "s",
                 (100 + c->set->count - 1) / c->set->count);
    }
}
