/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Routes of a host, which are tried in order: what an earlier one leaves to a
 * later one.  Only what is certain is told; conditions that are not
 * understood here are those of another route.
 */

#include "lint.h"

#include <stdlib.h>

#define SAME_PATH_MAX 64 /* routes that are tried one after the other */

/* --- paths --------------------------------------------------------------- */

static bool has_letters(mesh_str_t text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = mesh_lower(text.data[i]);

        if (c >= 'a' && c <= 'z') {
            return true;
        }
    }
    return false;
}

static bool starts(mesh_str_t text, mesh_str_t with, bool any_case) {
    if (text.len < with.len) {
        return false;
    }
    for (size_t i = 0; i < with.len; i++) {
        char a = text.data[i], b = with.data[i];

        if (a != b && !(any_case && mesh_lower(a) == mesh_lower(b))) {
            return false;
        }
    }
    return true;
}

/* The first `text.len` bytes of b's paths are known. */
static bool is_literal(const model_route_t *route) {
    return route->path_match == MESH_PATH_PREFIX ||
           route->path_match == MESH_PATH_EXACT ||
           route->path_match == MESH_PATH_SEPARATED;
}

static bool is_everything(const model_route_t *route) {
    return route->path_match == MESH_PATH_PREFIX && route->path.len <= 1;
}

bool lint_path_covers(const model_route_t *a, const model_route_t *b) {
    if (is_everything(a)) {
        return true;
    }
    if (!is_literal(a) || !is_literal(b)) {
        return a->path_match == b->path_match &&
               a->ignore_case == b->ignore_case &&
               mesh_str_eq(a->path, b->path);
    }
    /* What b takes in any case, a must not want in one. */
    if (b->ignore_case && !a->ignore_case && has_letters(a->path)) {
        return false;
    }
    if (!starts(b->path, a->path, a->ignore_case)) {
        return false;
    }
    bool same = a->path.len == b->path.len;

    switch (a->path_match) {
    case MESH_PATH_PREFIX:
        return true;
    case MESH_PATH_EXACT:
        return same && b->path_match == MESH_PATH_EXACT;
    default:
        return same ? b->path_match != MESH_PATH_PREFIX
                    : b->path.data[a->path.len] == '/';
    }
}

/* --- conditions ---------------------------------------------------------- */

static bool cidr_covers(const mesh_cidr_t *a, const mesh_cidr_t *b) {
    if (a->family != b->family || a->bits > b->bits) {
        return false;
    }
    for (uint32_t i = 0; i < a->bits; i++) {
        if ((a->addr[i / 8] ^ b->addr[i / 8]) & 0x80 >> i % 8) {
            return false;
        }
    }
    return true;
}

static bool clients_cover(const model_addresses_t *a,
                          const model_addresses_t *b) {
    if (a->count == 0) {
        return true;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        uint32_t k = 0;

        while (k < a->count && !cidr_covers(&a->v[k], &b->v[i])) {
            k++;
        }
        if (k == a->count) {
            return false;
        }
    }
    return b->count != 0;
}

static bool same_match(const model_match_t *a, const model_match_t *b) {
    return a->op == b->op && a->invert == b->invert &&
           a->ignore_case == b->ignore_case &&
           a->missing_as_empty == b->missing_as_empty &&
           mesh_str_eq(a->value, b->value) && a->start == b->start &&
           a->end == b->end;
}

static bool ends(mesh_str_t text, mesh_str_t with) {
    return text.len >= with.len &&
           memcmp(text.data + text.len - with.len, with.data, with.len) == 0;
}

static bool contains(mesh_str_t text, mesh_str_t what) {
    return memmem(text.data, text.len, what.data, what.len) != NULL;
}

/* What begins, ends with `text`, has it or is it: has it `a`'s, too? */
static bool text_implies(const model_match_t *a, mesh_match_op_e op,
                         mesh_str_t text) {
    switch (a->op) {
    case MESH_MATCH_PREFIX:
        return (op == MESH_MATCH_EXACT || op == MESH_MATCH_PREFIX) &&
               mesh_str_starts(text, a->value);
    case MESH_MATCH_SUFFIX:
        return (op == MESH_MATCH_EXACT || op == MESH_MATCH_SUFFIX) &&
               ends(text, a->value);
    case MESH_MATCH_CONTAINS:
        return contains(text, a->value);
    default:
        return false;
    }
}

/* Whatever has value `b` has `a`, too: of the same thing, not inverted. */
static bool value_implies(const model_match_t *a, const model_match_t *b) {
    switch (b->op) {
    case MESH_MATCH_EXACT:
    case MESH_MATCH_PREFIX:
    case MESH_MATCH_SUFFIX:
    case MESH_MATCH_CONTAINS:
        return a->op == MESH_MATCH_PRESENT ||
               (a->ignore_case == b->ignore_case &&
                text_implies(a, b->op, b->value));
    case MESH_MATCH_RANGE:
        return a->op == MESH_MATCH_PRESENT ||
               (a->op == MESH_MATCH_RANGE && a->start <= b->start &&
                a->end >= b->end);
    default:
        return a->op == MESH_MATCH_PRESENT;
    }
}

static bool match_implies(const model_match_t *a, const model_match_t *b) {
    if (a->from != b->from || !mesh_str_eq(a->name, b->name)) {
        return false;
    }
    if (same_match(a, b)) {
        return true;
    }
    return !a->invert && !b->invert && !a->missing_as_empty &&
           !b->missing_as_empty && value_implies(a, b);
}

static bool matches_cover(const model_route_t *a, const model_route_t *b) {
    for (uint32_t i = 0; i < a->nmatches; i++) {
        uint32_t k = 0;

        while (k < b->nmatches &&
               !match_implies(&a->matches[i], &b->matches[k])) {
            k++;
        }
        if (k == b->nmatches) {
            return false;
        }
    }
    return true;
}

/*
 * A request has one point for all shares: the smaller is in the greater.  Of
 * one with a key nobody knows how large it will be.
 */
static bool share_covers(const model_share_t *a, const model_share_t *b) {
    if (!a->set) {
        return true;
    }
    return a->key.len == 0 && (a->ppm >= MESH_SHARE_ALL ||
                               (b->set && b->key.len == 0 && b->ppm <= a->ppm));
}

static bool covers(const model_route_t *a, const model_route_t *b) {
    return lint_path_covers(a, b) &&
           (a->methods == 0 ||
            (b->methods != 0 && (b->methods & ~a->methods) == 0)) &&
           (!a->grpc || b->grpc) && share_covers(&a->share, &b->share) &&
           clients_cover(&a->addresses, &b->addresses) && matches_cover(a, b);
}

/* --- by path ------------------------------------------------------------- */

/*
 * Routes of a host in order of their paths in lower case, so that those whose
 * path another's begins with are found by search: all that may cover it, but
 * for "/", which each path is asked for.
 */
typedef struct {
    mesh_str_t path;
    uint32_t index;
} place_t;

static int by_path(const void *a, const void *b) {
    const place_t *x = a, *y = b;
    int rc = mesh_str_cmp(x->path, y->path);

    return rc ? rc : (x->index > y->index) - (x->index < y->index);
}

static place_t *order(const lint_t *lint, const model_vhost_t *host) {
    place_t *v = arena_alloc(lint->arena, (host->nroutes + 1) * sizeof(*v));

    for (uint32_t i = 0; i < host->nroutes; i++) {
        v[i] = (place_t){arena_lower(lint->arena, host->routes[i].path), i};
    }
    qsort(v, host->nroutes, sizeof(*v), by_path);
    return v;
}

/* The first of those with that path; `count` if there is none. */
static uint32_t first_at(const place_t *v, uint32_t count, mesh_str_t path) {
    uint32_t low = 0, high = count;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (mesh_str_cmp(v[mid].path, path) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < count && mesh_str_eq(v[low].path, path) ? low : count;
}

/* The first route before `index` that covers it and has that path. */
static uint32_t cover_at(const model_vhost_t *host, const place_t *v,
                         mesh_str_t path, uint32_t index) {
    for (uint32_t i = first_at(v, host->nroutes, path);
         i < host->nroutes && v[i].index < index &&
         mesh_str_eq(v[i].path, path);
         i++) {
        if (covers(&host->routes[v[i].index], &host->routes[index])) {
            return v[i].index;
        }
    }
    return index;
}

static uint32_t find_cover(const model_vhost_t *host, const place_t *v,
                           const place_t *place) {
    uint32_t best = cover_at(host, v, MESH_STR("/"), place->index);

    for (size_t len = 0; len <= place->path.len; len++) {
        mesh_str_t path = {len, place->path.data};
        uint32_t at = cover_at(host, v, path, place->index);

        best = mesh_min(best, at);
    }
    return best;
}

static void unreachable(lint_t *lint, const lint_rule_t *rule,
                        const model_vhost_t *host) {
    place_t *v = order(lint, host);

    for (uint32_t i = 0; i < host->nroutes; i++) {
        uint32_t cover = find_cover(host, v, &v[i]);

        if (cover != v[i].index) {
            const model_route_t *route = &host->routes[v[i].index];
            const model_route_t *first = &host->routes[cover];
            const char *at = "";

            if (first->place.line != 0) {
                at = arena_printf(lint->arena, " (line %u)", first->place.line);
            }
            lint_add(lint, rule, &route->place, "route", route->name,
                     "route %s%s before it takes all of its requests",
                     lint_quote(lint, first->name), at);
        }
    }
}

void lint_unreachable_route(lint_t *lint, const lint_rule_t *rule) {
    for (uint32_t i = 0; i < lint->nhosts; i++) {
        unreachable(lint, rule, lint->hosts[i].host);
    }
}

void lint_many_routes(lint_t *lint, const lint_rule_t *rule) {
    for (uint32_t i = 0; i < lint->nhosts; i++) {
        const model_vhost_t *host = lint->hosts[i].host;
        place_t *v = order(lint, host);

        for (uint32_t at = 0, n; at < host->nroutes; at += n) {
            for (n = 1; at + n < host->nroutes &&
                        mesh_str_eq(v[at].path, v[at + n].path);) {
                n++;
            }
            if (n <= SAME_PATH_MAX) {
                continue;
            }
            const model_route_t *route = &host->routes[v[at].index];
            lint_add(lint, rule, &route->place, "route", route->name,
                     "%u routes of host %s have the path %s: they are tried "
                     "one after the other; more than %u cost time",
                     n, lint_quote(lint, host->name),
                     lint_quote(lint, route->path), SAME_PATH_MAX);
        }
    }
}

/* --- time ---------------------------------------------------------------- */

void lint_retry_timeout(lint_t *lint, const lint_rule_t *rule) {
    for (uint32_t i = 0; i < lint->nhosts; i++) {
        const model_vhost_t *host = lint->hosts[i].host;

        for (uint32_t k = 0; k < host->nroutes; k++) {
            const model_route_t *route = &host->routes[k];
            uint64_t each = route->retry.per_try_timeout_ms;
            uint64_t tries = (uint64_t)route->retry.attempts + 1;

            if (!route->retry.set || each == 0 || route->timeout_ms == 0 ||
                tries * each <= route->timeout_ms) {
                continue;
            }
            lint_add(lint, rule, &route->place, "route", route->name,
                     "%llu tries of %s take %s, but its timeout is %s: time "
                     "for %llu",
                     (unsigned long long)tries, lint_duration(lint, each),
                     lint_duration(lint, tries * each),
                     lint_duration(lint, route->timeout_ms),
                     (unsigned long long)(route->timeout_ms / each));
        }
    }
}
