/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Hashes that nobody asks for, and balancers that get none.
 */

#include "lint.h"

#include <stdio.h>
#include <stdlib.h>

static bool some_hashes(const lint_t *lint, const model_route_t *route) {
    if (route->split_by.by == MODEL_SPLIT_BY_HASH) {
        return true;
    }
    for (uint32_t i = 0; i < route->nsplit; i++) {
        const lint_cluster_t *c = lint_cluster(lint, route->split[i].cluster);

        if (route->split[i].by_header || c == NULL ||
            mesh_lb_hashes(c->cluster->lb)) {
            return true;
        }
    }
    return false;
}

void lint_hash_policy(lint_t *lint, const lint_rule_t *rule) {
    for (uint32_t i = 0; i < lint->nhosts; i++) {
        const model_vhost_t *host = lint->hosts[i].host;

        for (uint32_t k = 0; k < host->nroutes; k++) {
            const model_route_t *route = &host->routes[k];

            if (route->nhash_policies != 0 && route->nsplit != 0 &&
                !some_hashes(lint, route)) {
                lint_add(lint, rule, &route->place, "route", route->name,
                         "its hash_policy decides nothing: none of its "
                         "clusters has lb: ring_hash or maglev");
            }
        }
    }
}

void lint_split_by(lint_t *lint, const lint_rule_t *rule) {
    for (uint32_t i = 0; i < lint->nhosts; i++) {
        const model_vhost_t *host = lint->hosts[i].host;

        for (uint32_t k = 0; k < host->nroutes; k++) {
            const model_route_t *route = &host->routes[k];

            if (route->split_by.by == MODEL_SPLIT_BY_HASH &&
                route->nhash_policies == 0) {
                lint_add(lint, rule, &route->place, "route", route->name,
                         "split_by: hash without a hash_policy: its clusters "
                         "are chosen in turn");
            } else if (route->split_by.by != MODEL_SPLIT_BY_TICKET &&
                       route->nsplit == 1) {
                lint_add(lint, rule, &route->place, "route", route->name,
                         "its split_by decides nothing: it has one cluster");
            }
        }
    }
}

void lint_hash_balancer(lint_t *lint, const lint_rule_t *rule) {
    for (uint32_t i = 0; i < lint->nclusters; i++) {
        const lint_cluster_t *c = &lint->clusters[i];

        if (c->used && !c->fed && mesh_lb_hashes(c->cluster->lb)) {
            lint_add(lint, rule, &c->cluster->place, "cluster",
                     c->cluster->name,
                     "it chooses by hash, but no route to it has a "
                     "hash_policy: its endpoints are random");
        }
    }
}

/* --- hash keys ----------------------------------------------------------- */

typedef struct {
    mesh_str_t key;
    const model_endpoint_t *endpoint;
} keyed_t;

static int by_key(const void *a, const void *b) {
    const keyed_t *x = a, *y = b;
    int rc = mesh_str_cmp(x->key, y->key);

    return rc != 0 ? rc : model_endpoint_cmp(x->endpoint, y->endpoint);
}

static uint32_t take_keys(const model_endpoint_set_t *set, keyed_t *v) {
    uint32_t n = 0;

    for (uint32_t i = 0; i < set->count; i++) {
        const model_labels_t *labels = &set->v[i].labels;

        for (uint32_t k = 0; k < labels->count; k++) {
            if (mesh_str_eq(labels->v[k].name, MESH_STR(MESH_LABEL_HASH_KEY)) &&
                labels->v[k].value.len != 0) {
                v[n++] = (keyed_t){labels->v[k].value, &set->v[i]};
            }
        }
    }
    return n;
}

static void repeated_key(lint_t *lint, const lint_rule_t *rule,
                         const model_cluster_t *cluster, const keyed_t *v,
                         uint32_t count) {
    char one[128], other[128], more[64] = "";

    model_endpoint_text(v[0].endpoint, one, sizeof(one));
    model_endpoint_text(v[1].endpoint, other, sizeof(other));
    if (count > 2) {
        snprintf(more, sizeof(more), " and %u more", count - 2);
    }
    lint_add(lint, rule, &cluster->place, "cluster", cluster->name,
             "its endpoints %s and %s%s have the same hash_key %s: they "
             "contend for the same requests",
             one, other, more, lint_quote(lint, v[0].key));
}

void lint_hash_key(lint_t *lint, const lint_rule_t *rule) {
    for (uint32_t i = 0; i < lint->nclusters; i++) {
        const lint_cluster_t *c = &lint->clusters[i];

        if (c->set == NULL || c->set->count == 0 ||
            !mesh_lb_hashes(c->cluster->lb)) {
            continue;
        }
        keyed_t *v = arena_alloc(lint->arena, c->set->count * sizeof(*v));
        uint32_t count = take_keys(c->set, v);

        if (count != 0) {
            qsort(v, count, sizeof(*v), by_key);
        }
        for (uint32_t at = 0, n; at < count; at += n) {
            for (n = 1; at + n < count && mesh_str_eq(v[at].key, v[at + n].key);
                 n++) {
            }
            if (n > 1) {
                repeated_key(lint, rule, c->cluster, &v[at], n);
            }
        }
    }
}
