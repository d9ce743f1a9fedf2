/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Routes that lead to routes.  A mesh does not say which addresses lead into
 * it: whoever asks does (--gateway).  What passes there has the same host,
 * unless it was rewritten, and a path as the route says, so a route can only
 * be said to be one that it may come to.
 */

#include "lint.h"
#include "mesh_subset.h"

#define CHAIN_MAX 8

/*
 * Routes and hosts looked at, from one route and from all: where everything
 * leads everywhere, chains are more than anybody can follow.
 */
#define STEPS_OF_ROUTE UINT64_C(200000)
#define STEPS_IN_ALL UINT64_C(20000000)

typedef struct {
    const lint_host_t *host;
    const model_route_t *route;
} node_t;

typedef struct {
    lint_t *lint;
    uint64_t steps; /* that are left */
    uint32_t depth;
    node_t chain[CHAIN_MAX];
    /* The worst so far. */
    uint64_t tries;
    uint32_t length;
    node_t worst[CHAIN_MAX];
    bool loop;
} walk_t;

/* --- addresses ----------------------------------------------------------- */

static bool is_gateway(const lint_t *lint, const model_endpoint_t *endpoint) {
    char text[512];

    model_endpoint_text(endpoint, text, sizeof(text));
    for (uint32_t i = 0; i < lint->ngateways; i++) {
        if (strcmp(lint->gateways[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static bool leads_back(const lint_t *lint, const model_route_t *route) {
    for (uint32_t i = 0; i < route->nsplit; i++) {
        const model_split_t *split = &route->split[i];
        const lint_cluster_t *c = lint_cluster(lint, split->cluster);
        const model_labels_t *labels = NULL;
        model_labels_t named;

        /* Which cluster a header names is not known. */
        if (split->by_header || c == NULL || c->set == NULL) {
            continue;
        }

        for (uint32_t k = 0; k < c->cluster->nsubsets; k++) {
            if (mesh_str_eq(c->cluster->subsets[k].name, split->subset)) {
                labels = &c->cluster->subsets[k].labels;
            }
        }
        if (mesh_subset_by_labels(split->subset)) {
            named = lint_labels(lint, c->cluster, split->subset);
            labels = &named;
        }
        for (uint32_t k = 0; k < c->set->count; k++) {
            if ((labels == NULL || model_has_labels(&c->set->v[k], labels)) &&
                is_gateway(lint, &c->set->v[k])) {
                return true;
            }
        }
    }
    return false;
}

/* --- where a request comes to -------------------------------------------- */

static bool domain_takes(mesh_str_t domain, mesh_str_t name) {
    if (domain.len == 1 && domain.data[0] == '*') {
        return true;
    }
    if (domain.data[0] == '*') {
        mesh_str_t end = {domain.len - 1, domain.data + 1};

        return name.len > end.len &&
               memcmp(name.data + name.len - end.len, end.data, end.len) == 0;
    }
    if (domain.data[domain.len - 1] == '*') {
        return name.len >= domain.len &&
               memcmp(name.data, domain.data, domain.len - 1) == 0;
    }
    return mesh_str_eq(domain, name);
}

/* How well: exact, then suffixes, prefixes, "*"; longer is better. */
static uint64_t domain_rank(mesh_str_t domain) {
    if (domain.len == 1 && domain.data[0] == '*') {
        return 1;
    }
    uint64_t kind = domain.data[0] == '*'                ? 2
                    : domain.data[domain.len - 1] == '*' ? 1
                                                         : 3;
    return kind << 32 | domain.len;
}

static const lint_host_t *host_of(const lint_t *lint, mesh_str_t table,
                                  mesh_str_t name) {
    const lint_host_t *best = NULL;
    uint64_t rank = 0;

    for (uint32_t i = 0; i < lint->nhosts; i++) {
        const model_vhost_t *host = lint->hosts[i].host;

        for (uint32_t k = 0; k < host->ndomains; k++) {
            if (mesh_str_eq(lint->hosts[i].table->name, table) &&
                domain_takes(host->domains[k], name) &&
                domain_rank(host->domains[k]) > rank) {
                rank = domain_rank(host->domains[k]);
                best = &lint->hosts[i];
            }
        }
    }
    return best;
}

/*
 * A host that was rewritten is looked up; else it is the same one again.  One
 * of a header, an endpoint or a weighted cluster is not known: not followed.
 */
static const lint_host_t *next_host(const lint_t *lint, const node_t *node) {
    mesh_str_t name = node->route->host_rewrite;

    if (node->route->rewrite.host != 0) {
        return NULL;
    }
    for (uint32_t i = 0; name.len == 0 && i < node->route->nsplit; i++) {
        if (node->route->split[i].host_rewrite.len != 0) {
            return NULL;
        }
    }
    return name.len == 0 ? node->host
                         : host_of(lint, node->host->table->name, name);
}

/* Paths that a route sends, as a route that would take them. */
static model_route_t sent(const model_route_t *route) {
    model_route_t as = *route;

    if (route->rewrite.path != 0) {
        as.path_match = MESH_PATH_REGEX; /* anything may come of it */
    } else if (route->has_prefix_rewrite) {
        as.path = route->prefix_rewrite;
        as.ignore_case = false;
        if (route->path_match == MESH_PATH_SEPARATED) {
            as.path_match = MESH_PATH_PREFIX;
        } else if (route->path_match != MESH_PATH_PREFIX) {
            as.path_match = MESH_PATH_EXACT;
        }
    }
    return as;
}

/* May a request have a path of both?  One that is not understood may. */
static bool may_meet(const model_route_t *a, const model_route_t *b) {
    bool known = a->path_match <= MESH_PATH_SEPARATED &&
                 b->path_match <= MESH_PATH_SEPARATED;

    return !known || lint_path_covers(a, b) || lint_path_covers(b, a);
}

/* --- chains -------------------------------------------------------------- */

static uint64_t tries_of(const model_route_t *route) {
    return route->retry.set ? (uint64_t)route->retry.attempts + 1 : 1;
}

static void weigh(walk_t *w) {
    uint64_t tries = 1;
    uint32_t retrying = 0;

    for (uint32_t i = 0; i < w->depth; i++) {
        tries *= tries_of(w->chain[i].route);
        retrying += tries_of(w->chain[i].route) > 1;
    }
    if (retrying > 1 && tries > w->tries) {
        w->tries = tries;
        w->length = w->depth;
        memcpy(w->worst, w->chain, w->depth * sizeof(*w->chain));
    }
}

static bool in_chain(const walk_t *w, const model_route_t *route) {
    for (uint32_t i = 0; i < w->depth; i++) {
        if (w->chain[i].route == route) {
            return true;
        }
    }
    return false;
}

static bool spend(walk_t *w, uint64_t steps) {
    if (w->steps < steps) {
        w->steps = 0;
        return false;
    }
    w->steps -= steps;
    return true;
}

/* Depth-first; each route is in a chain once, so it ends. */
static void follow(walk_t *w, node_t node) {
    model_route_t as = sent(node.route);

    w->chain[w->depth++] = node;
    weigh(w);

    const lint_host_t *next = NULL;

    if (leads_back(w->lint, node.route) && spend(w, w->lint->nhosts)) {
        next = next_host(w->lint, &node);
    }
    for (uint32_t i = 0; next && i < next->host->nroutes && spend(w, 1); i++) {
        const model_route_t *route = &next->host->routes[i];

        if (!may_meet(&as, route)) {
            continue;
        }
        if (route == w->chain[0].route) {
            w->loop = true;
        } else if (!in_chain(w, route) && w->depth < CHAIN_MAX) {
            follow(w, (node_t){next, route});
        }
    }
    w->depth--;
}

typedef void (*report_pt)(walk_t *w, const lint_rule_t *rule,
                          const model_route_t *route);

static void each_route(lint_t *lint, const lint_rule_t *rule,
                       report_pt report) {
    uint64_t left = STEPS_IN_ALL;

    for (uint32_t i = 0; i < lint->nhosts && lint->ngateways != 0; i++) {
        const model_vhost_t *host = lint->hosts[i].host;

        for (uint32_t k = 0; k < host->nroutes; k++) {
            const model_route_t *route = &host->routes[k];
            walk_t w = {.lint = lint, .steps = mesh_min(left, STEPS_OF_ROUTE)};
            uint64_t before = w.steps;

            if (leads_back(lint, route) && left == 0) {
                lint_add(lint, rule, &route->place, "route", route->name,
                         "from here on routes are not followed: there are "
                         "too many chains");
                return;
            }
            if (leads_back(lint, route)) {
                follow(&w, (node_t){&lint->hosts[i], route});
                report(&w, rule, route);
            }
            left -= before - w.steps;
        }
    }
}

static void report_tries(walk_t *w, const lint_rule_t *rule,
                         const model_route_t *route) {
    const char *text = "";

    if (w->tries == 0) {
        return;
    }
    for (uint32_t i = 0; i < w->length; i++) {
        const model_route_t *r = w->worst[i].route;

        text = arena_printf(w->lint->arena, "%s%s%s (%llu)", text,
                            i ? ", then " : "", lint_quote(w->lint, r->name),
                            (unsigned long long)tries_of(r));
    }
    lint_add(w->lint, rule, &route->place, "route", route->name,
             "a request may become %llu tries%s: %s",
             (unsigned long long)w->tries, w->steps ? "" : " or more", text);
}

void lint_retry_amplification(lint_t *lint, const lint_rule_t *rule) {
    each_route(lint, rule, report_tries);
}

static void report_loop(walk_t *w, const lint_rule_t *rule,
                        const model_route_t *route) {
    if (w->loop) {
        lint_add(w->lint, rule, &route->place, "route", route->name,
                 "through a gateway it may come to itself again");
    }
}

void lint_route_loop(lint_t *lint, const lint_rule_t *rule) {
    each_route(lint, rule, report_loop);
}
