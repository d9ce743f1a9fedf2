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

static bool is_named_before(const model_route_t *route, uint32_t index) {
    const model_split_t *split = &route->split[index];

    while (index-- > 0) {
        if (mesh_str_eq(route->split[index].cluster, split->cluster) &&
            mesh_str_eq(route->split[index].subset, split->subset)) {
            return true;
        }
    }
    return false;
}

/* By labels, which are as good as a subset's once the cluster has selectors. */
static void empty_labels(lint_t *lint, const lint_rule_t *rule,
                         const model_route_t *route) {
    for (uint32_t i = 0; i < route->nsplit; i++) {
        const model_split_t *split = &route->split[i];
        const lint_cluster_t *c = lint_cluster(lint, split->cluster);

        if (split->by_header || c == NULL || c->set == NULL ||
            c->set->count == 0 || c->cluster->nselectors == 0 ||
            !mesh_subset_by_labels(split->subset) ||
            is_named_before(route, i)) {
            continue;
        }
        model_labels_t labels = model_subset_labels(lint->arena, split->subset);
        if (share_of(c->set, &labels).members == 0) {
            lint_add(lint, rule, &route->place, "route", route->name,
                     "no endpoint of cluster %s has the labels %s",
                     lint_quote(lint, split->cluster),
                     lint_quote(lint, split->subset));
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
