/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The rules, and what they look things up in.
 */

#include "lint.h"
#include "model_table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const lint_rule_t lint_rules[] = {
    {"unreachable-route", LINT_WARNING, lint_unreachable_route,
     "an earlier route of the host takes every request of this one"},
    {"many-routes-on-path", LINT_WARNING, lint_many_routes,
     "more than 64 routes of a host have the same path: they are tried one "
     "after the other"},
    {"retries-exceed-timeout", LINT_WARNING, lint_retry_timeout,
     "the tries do not fit into the route's timeout"},
    {"retry-amplification", LINT_WARNING, lint_retry_amplification,
     "a route with retries leads through a gateway to a route with retries: "
     "they multiply"},
    {"route-loop", LINT_WARNING, lint_route_loop,
     "a route leads through a gateway to itself"},
    {"overlapping-hosts", LINT_WARNING, lint_overlapping_hosts,
     "a name is both under a host's *.domain and another host's domain.*"},
    {"nested-hosts", LINT_INFO, lint_nested_hosts,
     "a host's domain is under the wildcard of another host, whose routes it "
     "does not get"},
    {"empty-cluster", LINT_WARNING, lint_empty_cluster,
     "a cluster has no endpoints"},
    {"empty-subset", LINT_WARNING, lint_empty_subset,
     "no endpoint has a subset's labels, or those of a route"},
    {"lost-fallback", LINT_WARNING, lint_lost_fallback,
     "a subset selector falls back to keys that no selector has"},
    {"zero-weight", LINT_WARNING, lint_zero_weight,
     "all endpoints of a cluster or a subset have weight 0: they get nothing"},
    {"unused-cluster", LINT_INFO, lint_unused_cluster,
     "no route or mirror leads to a cluster, and none names it as its local "
     "one, in a mesh that has routes"},
    {"never-ejects", LINT_WARNING, lint_never_ejects,
     "outlier detection that ejects no endpoint"},
    {"unused-hash-policy", LINT_WARNING, lint_hash_policy,
     "hash policies of a route none of whose clusters hashes"},
    {"unused-split-by", LINT_WARNING, lint_split_by,
     "a route's clusters are chosen by hash, but it has no hash policy, or it "
     "has one cluster"},
    {"random-hash-balancer", LINT_INFO, lint_hash_balancer,
     "no route to a cluster with lb: ring_hash or maglev has a hash policy: "
     "its endpoints are random"},
    {"repeated-hash-key", LINT_WARNING, lint_hash_key,
     "endpoints of a cluster that hashes have the same hash_key"},
    {"unused-runtime-key", LINT_INFO, lint_unused_runtime_key,
     "no percentage asks for a key of the runtime"},
};

const size_t lint_nrules = mesh_nelts(lint_rules);

/* --- words --------------------------------------------------------------- */

const char *lint_quote(const lint_t *lint, mesh_str_t name) {
    char text[128];

    model_quote(name, text, sizeof(text));
    return arena_strdup(lint->arena, text);
}

const char *lint_duration(const lint_t *lint, uint64_t ms) {
    if (ms % 1000 != 0) {
        return arena_printf(lint->arena, "%llums", (unsigned long long)ms);
    }
    return arena_printf(lint->arena, "%llus", (unsigned long long)ms / 1000);
}

void lint_add(lint_t *lint, const lint_rule_t *rule, const model_place_t *place,
              const char *subject, mesh_str_t name, const char *format, ...) {
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);

    if (lint->count == lint->room) {
        uint32_t room = lint->room ? lint->room * 2 : 64;
        lint_finding_t *v = arena_alloc(lint->arena, room * sizeof(*v));

        if (lint->count != 0) {
            memcpy(v, lint->v, lint->count * sizeof(*v));
        }
        lint->v = v;
        lint->room = room;
    }
    lint->v[lint->count] = (lint_finding_t){
        .rule = rule,
        .place = place,
        .subject =
            arena_printf(lint->arena, "%s %s", subject, lint_quote(lint, name)),
        .text = arena_strdup(lint->arena, text),
        .index = lint->count,
    };
    lint->count++;
}

/* --- what rules look at -------------------------------------------------- */

static int by_name(const void *a, const void *b) {
    const lint_cluster_t *x = a, *y = b;

    return mesh_str_cmp(x->cluster->name, y->cluster->name);
}

lint_cluster_t *lint_cluster(const lint_t *lint, mesh_str_t name) {
    model_cluster_t wanted = {.name = name};
    lint_cluster_t key = {.cluster = &wanted};

    return lint->nclusters == 0 ? NULL
                                : bsearch(&key, lint->clusters, lint->nclusters,
                                          sizeof(key), by_name);
}

typedef struct {
    const model_endpoint_set_t *set;
    bool named;
} set_t;

static int by_set_name(const void *a, const void *b) {
    const set_t *x = a, *y = b;

    return mesh_str_cmp(x->set->name, y->set->name);
}

static void take_parts(lint_t *lint, const model_part_t *const *parts,
                       uint32_t count, set_t *sets, uint32_t *nsets) {
    for (uint32_t i = 0; i < count; i++) {
        const model_part_t *part = parts[i];

        for (uint32_t k = 0; k < part->nclusters; k++) {
            lint->clusters[lint->nclusters++].cluster = &part->clusters[k];
        }
        for (uint32_t k = 0; k < part->nsets; k++) {
            sets[(*nsets)++] = (set_t){&part->sets[k], false};
        }
        for (uint32_t k = 0; k < part->nnamed; k++) {
            sets[(*nsets)++] = (set_t){&part->named[k].set, true};
        }
        for (uint32_t k = 0; k < part->nruntime; k++) {
            lint->runtime[lint->nruntime++].value = &part->runtime[k];
        }
        for (uint32_t k = 0; k < part->ntables; k++) {
            for (uint32_t n = 0; n < part->tables[k].nvhosts; n++) {
                lint->hosts[lint->nhosts++] =
                    (lint_host_t){&part->tables[k], &part->tables[k].vhosts[n]};
            }
        }
    }
}

static void join_sets(lint_t *lint, set_t *sets, uint32_t nsets) {
    if (nsets == 0) {
        return;
    }
    qsort(sets, nsets, sizeof(*sets), by_set_name);
    for (uint32_t i = 0; i < lint->nclusters; i++) {
        lint_cluster_t *c = &lint->clusters[i];
        model_endpoint_set_t wanted = {.name = c->cluster->endpoint_set.len
                                                   ? c->cluster->endpoint_set
                                                   : c->cluster->name};
        set_t key = {&wanted, false};
        const set_t *set =
            bsearch(&key, sets, nsets, sizeof(*sets), by_set_name);

        if (set != NULL) {
            c->set = set->set;
            c->named = set->named;
        }
    }
}

static void mark_other(lint_t *lint, mesh_str_t name) {
    lint_cluster_t *c = lint_cluster(lint, name);

    if (c != NULL) {
        c->other = true;
    }
}

static void mark_used(lint_t *lint) {
    for (uint32_t i = 0; i < lint->nclusters; i++) {
        mark_other(lint, lint->clusters[i].cluster->zone_aware.local_cluster);
    }
    for (uint32_t i = 0; i < lint->nhosts; i++) {
        const model_vhost_t *host = lint->hosts[i].host;

        for (uint32_t k = 0; k < host->nroutes; k++) {
            const model_route_t *route = &host->routes[k];

            for (uint32_t n = 0; n < route->nsplit; n++) {
                if (route->split[n].by_header) {
                    lint->any_used = true;
                    continue;
                }
                lint_cluster_t *c = lint_cluster(lint, route->split[n].cluster);

                if (c != NULL) {
                    c->used = true;
                    c->fed |= route->nhash_policies != 0 || route->session.set;
                }
            }
            for (uint32_t n = 0; n < route->mirrors.count; n++) {
                mark_other(lint, route->mirrors.v[n].cluster);
            }
        }
    }
}

static int by_place(const void *a, const void *b) {
    const lint_finding_t *x = a, *y = b;
    const char *one = x->place->file ? x->place->file : "";
    const char *other = y->place->file ? y->place->file : "";
    int rc = strcmp(one, other);

    if (rc != 0) {
        return rc;
    }
    if (x->place->line != y->place->line) {
        return x->place->line < y->place->line ? -1 : 1;
    }
    return x->index < y->index ? -1 : 1;
}

void lint_run(lint_t *lint, arena_t *arena, const model_part_t *const *parts,
              uint32_t count) {
    uint32_t clusters = 0, sets = 0, hosts = 0, values = 0, nsets = 0;

    lint->arena = arena;
    for (uint32_t i = 0; i < count; i++) {
        clusters += parts[i]->nclusters;
        sets += parts[i]->nsets + parts[i]->nnamed;
        values += parts[i]->nruntime;
        for (uint32_t k = 0; k < parts[i]->ntables; k++) {
            hosts += parts[i]->tables[k].nvhosts;
        }
    }

    set_t *all = arena_alloc(arena, (sets + 1) * sizeof(*all));

    lint->clusters =
        arena_alloc(arena, (clusters + 1) * sizeof(*lint->clusters));
    lint->hosts = arena_alloc(arena, (hosts + 1) * sizeof(*lint->hosts));
    lint->runtime = arena_alloc(arena, (values + 1) * sizeof(*lint->runtime));
    take_parts(lint, parts, count, all, &nsets);
    qsort(lint->clusters, lint->nclusters, sizeof(*lint->clusters), by_name);
    join_sets(lint, all, nsets);
    mark_used(lint);
    lint_mark_runtime(lint);
    for (size_t i = 0; i < lint_nrules; i++) {
        lint_rules[i].run(lint, &lint_rules[i]);
    }
    if (lint->count != 0) {
        qsort(lint->v, lint->count, sizeof(*lint->v), by_place);
    }
}
