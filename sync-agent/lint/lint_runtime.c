/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The runtime's keys, and the percentages that ask for them.
 */

#include "lint.h"

#include <stdlib.h>

static int by_key(const void *a, const void *b) {
    const lint_runtime_t *x = a, *y = b;

    return mesh_str_cmp(x->value->name, y->value->name);
}

static void mark(lint_t *lint, const model_share_t *share) {
    model_runtime_t wanted = {.name = share->key};
    lint_runtime_t key = {.value = &wanted};

    if (share->key.len == 0) {
        return;
    }
    lint_runtime_t *found = bsearch(&key, lint->runtime, lint->nruntime,
                                    sizeof(*lint->runtime), by_key);

    if (found == NULL) {
        return;
    }
    /* Two parts may have it. */
    while (found > lint->runtime && by_key(found - 1, &key) == 0) {
        found--;
    }
    while (found < lint->runtime + lint->nruntime && by_key(found, &key) == 0) {
        found++->used = true;
    }
}

void lint_mark_runtime(lint_t *lint) {
    if (lint->nruntime == 0) {
        return;
    }
    qsort(lint->runtime, lint->nruntime, sizeof(*lint->runtime), by_key);
    for (uint32_t i = 0; i < lint->nhosts; i++) {
        const model_vhost_t *host = lint->hosts[i].host;

        for (uint32_t k = 0; host->keyed && k < host->nroutes; k++) {
            const model_route_t *route = &host->routes[k];

            mark(lint, &route->share);
            for (uint32_t n = 0; n < route->mirrors.count; n++) {
                mark(lint, &route->mirrors.v[n].share);
            }
        }
    }
}

void lint_unused_runtime_key(lint_t *lint, const lint_rule_t *rule) {
    for (uint32_t i = 0; i < lint->nruntime; i++) {
        const lint_runtime_t *r = &lint->runtime[i];

        if (!r->used) {
            lint_add(lint, rule, &r->value->place, "runtime key",
                     r->value->name, "no percentage asks for it");
        }
    }
}
