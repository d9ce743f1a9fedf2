/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Clusters that cannot serve, or are not asked to.
 */

#include "lint.h"

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

void lint_empty_subset(lint_t *lint, const lint_rule_t *rule) {
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
