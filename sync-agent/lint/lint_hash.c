/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Hashes that nobody asks for, and balancers that get none.
 */

#include "lint.h"

static bool some_hashes(const lint_t *lint, const model_route_t *route) {
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
