/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Random route models over few, colliding paths and headers, and what
 * routing has to make of them, told plainly.  Header only, for fuzz targets.
 */

#ifndef ROUTE_WORLD_H
#define ROUTE_WORLD_H

#include "compile.h"
#include "route_fixture.h"

#include <strings.h>

#define WORLD_ROUTES 24
#define WORLD_MATCHES 3

typedef struct {
    model_vhost_t vhost;
    model_route_t routes[WORLD_ROUTES];
    model_match_t matches[WORLD_ROUTES][WORLD_MATCHES];
    model_split_t split;
    mesh_str_t domain;
    char names[WORLD_ROUTES][8];
    char paths[WORLD_ROUTES][32];
} world_t;

/* Bytes that decide everything: random ones, or a fuzzer's. */
typedef struct {
    const uint8_t *data;
    size_t len;
    rng_t rng; /* used when data is NULL */
} choice_t;

static inline uint32_t choose(choice_t *choice, uint32_t n) {
    if (choice->data == NULL)
        return rng_below(&choice->rng, n);
    if (choice->len == 0)
        return 0;
    choice->len--;
    return *choice->data++ % n;
}

static inline mesh_str_t world_path(choice_t *choice, char *text, size_t size) {
    static const char *const pieces[] = {"/", "a",   "b", "ab",   "/a", "/b/",
                                         "%", "/a/", ".", "\xff", "A",  "/B"};
    mesh_str_t path = {0, text};
    uint32_t n = choose(choice, 6);

    text[path.len++] = '/';
    for (uint32_t i = 0; i < n; i++) {
        const char *piece = pieces[choose(choice, mesh_nelts(pieces))];
        size_t len = strlen(piece);

        if (path.len + len > size)
            break;
        memcpy(text + path.len, piece, len);
        path.len += len;
    }
    return path;
}

static const mesh_str_t world_names[] = {mesh_str("x"), mesh_str("y-z")};
static const mesh_str_t world_values[] = {
    mesh_str("1"),    mesh_str("2"),  mesh_str(""),   mesh_str("aB"),
    mesh_str("cab"),  mesh_str("-3"), mesh_str("GE"), mesh_str("/a"),
    mesh_str(" +1 "), mesh_str("b")};
static const mesh_str_t world_methods[] = {mesh_str("GET"), mesh_str("POST"),
                                           mesh_str("PURGE")};
static const mesh_str_t world_pseudo[] = {
    [MESH_FROM_METHOD] = mesh_str(":method"),
    [MESH_FROM_AUTHORITY] = mesh_str(":authority"),
    [MESH_FROM_PATH] = mesh_str(":path"),
    [MESH_FROM_SCHEME] = mesh_str(":scheme")};

static inline mesh_str_t world_value(choice_t *choice) {
    return world_values[choose(choice, mesh_nelts(world_values))];
}

/* What the compiler wants of text whose case is ignored. */
static inline mesh_str_t world_lower(mesh_str_t text) {
    static const mesh_str_t lower[] = {mesh_str("ab"), mesh_str("ge")};

    for (size_t i = 0; i < mesh_nelts(lower); i++) {
        if (text.len == 2 && strncasecmp(text.data, lower[i].data, 2) == 0)
            return lower[i];
    }
    return text;
}

static inline void world_match(choice_t *choice, model_match_t *match) {
    match->op = choose(choice, MESH_MATCH_RANGE + 1);
    match->invert = choose(choice, 3) == 1;
    match->from = choose(choice, 3) ? MESH_FROM_HEADER
                                    : choose(choice, MESH_FROM_SCHEME + 1);
    match->name = match->from == MESH_FROM_HEADER
                      ? world_names[choose(choice, 2)]
                      : world_pseudo[match->from];
    if (match->op == MESH_MATCH_PRESENT)
        return;
    match->missing_as_empty = choose(choice, 4) == 1;
    if (match->op == MESH_MATCH_RANGE) {
        match->start = (int64_t)choose(choice, 6) - 4;
        match->end = match->start + 1 + choose(choice, 5);
        return;
    }
    match->value = world_value(choice);
    match->ignore_case = choose(choice, 2) == 1;
    if (match->ignore_case)
        match->value = world_lower(match->value);
}

static inline void world_route(world_t *world, choice_t *choice, uint32_t i) {
    model_route_t *route = &world->routes[i];
    static const uint16_t methods[] = {0, 0, MESH_METHOD_GET,
                                       MESH_METHOD_POST | MESH_METHOD_OTHER};

    world->names[i][0] = 'r';
    world->names[i][1] = (char)('a' + i);
    route->name = (mesh_str_t){2, world->names[i]};
    route->path = world_path(choice, world->paths[i], sizeof(world->paths[i]));
    route->path_match = choose(choice, MESH_PATH_SEPARATED + 1);
    if (route->path_match == MESH_PATH_PREFIX && choose(choice, 8) == 1)
        route->path = MESH_STR("");
    route->ignore_case = choose(choice, 3) == 1;
    for (size_t n = 0; route->ignore_case && n < route->path.len; n++)
        world->paths[i][n] = mesh_lower(world->paths[i][n]);
    route->methods = methods[choose(choice, mesh_nelts(methods))];
    route->action = MESH_ACTION_ROUTE;
    route->nsplit = 1;
    route->split = &world->split;
    route->matches = world->matches[i];
    route->nmatches = choose(choice, 4) ? 0 : 1 + choose(choice, WORLD_MATCHES);

    for (uint32_t h = 0; h < route->nmatches; h++)
        world_match(choice, &route->matches[h]);
}

static inline void world_init(world_t *world, choice_t *choice) {
    memset(world, 0, sizeof(*world));
    world->split.cluster = MESH_STR("c");
    world->split.weight = 1;
    world->domain = MESH_STR("*");
    world->vhost.name = MESH_STR("v");
    world->vhost.ndomains = 1;
    world->vhost.domains = &world->domain;
    world->vhost.routes = world->routes;
    world->vhost.nroutes = choose(choice, WORLD_ROUTES + 1);

    for (uint32_t i = 0; i < world->vhost.nroutes; i++)
        world_route(world, choice, i);
}

/* `text` keeps path and query: 80 bytes. */
static inline void world_request(choice_t *choice, fixture_request_t *f,
                                 char *text) {
    static const mesh_str_t hosts[] = {mesh_str("h"), mesh_str("H:1"),
                                       mesh_str("")};
    mesh_str_t path = world_path(choice, text, 64);

    if (choose(choice, 16) == 1) {
        text[0] = '*';
        path.len = 1;
    }
    fixture_request(f, world_methods[choose(choice, 3)],
                    hosts[choose(choice, 3)], path);
    f->r.has_query = choose(choice, 3) == 1;

    if (f->r.has_query) {
        mesh_str_t query = world_value(choice);

        text[path.len] = '?';
        memcpy(text + path.len + 1, query.data, query.len);
        f->r.query = (mesh_str_t){query.len, text + path.len + 1};
    }

    for (uint32_t i = 0; i < 4; i++) {
        if (choose(choice, 2))
            fixture_add_header(f, world_names[i % 2], world_value(choice));
    }
}

/* --- what it means -------------------------------------------------------*/

static inline bool world_same(mesh_str_t a, mesh_str_t b, bool any_case) {
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        char x = any_case ? mesh_lower(a.data[i]) : a.data[i];
        char y = any_case ? mesh_lower(b.data[i]) : b.data[i];

        if (x != y)
            return false;
    }
    return true;
}

/* Bytes [from, from + len) of a text; what lies behind its end is cut off. */
static inline mesh_str_t world_cut(mesh_str_t text, size_t from, size_t len) {
    from = mesh_min(from, text.len);
    return (mesh_str_t){mesh_min(len, text.len - from), text.data + from};
}

static inline bool world_in_range(const model_match_t *match, mesh_str_t text) {
    char copy[128], *end;
    long long number;

    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    number = strtoll(copy, &end, 10);
    if (end == copy || strspn(end, " ") != strlen(end))
        return false;
    return number >= match->start && number < match->end;
}

static inline bool world_text_holds(const model_match_t *match,
                                    mesh_str_t text) {
    mesh_str_t want = match->value;
    bool any = match->ignore_case;

    switch (match->op) {
    case MESH_MATCH_PRESENT:
        return true;
    case MESH_MATCH_RANGE:
        return world_in_range(match, text);
    case MESH_MATCH_EXACT:
        return world_same(text, want, any);
    case MESH_MATCH_PREFIX:
        return world_same(world_cut(text, 0, want.len), want, any);
    case MESH_MATCH_SUFFIX:
        return text.len >= want.len &&
               world_same(world_cut(text, text.len - want.len, want.len), want,
                          any);
    case MESH_MATCH_CONTAINS:
        for (size_t i = 0; i <= text.len; i++) {
            if (world_same(world_cut(text, i, want.len), want, any))
                return true;
        }
    }
    return false;
}

/* Values that a match looks at; returns how many. */
static inline uint32_t world_values_of(const model_match_t *match,
                                       const fixture_request_t *f,
                                       mesh_str_t *values, char *text) {
    uint32_t n = 0;

    switch (match->from) {
    case MESH_FROM_HEADER:
        for (uint32_t i = 0; i < f->nheaders; i++) {
            if (mesh_str_eq(f->names[i], match->name))
                values[n++] = f->values[i];
        }
        return n;
    case MESH_FROM_METHOD:
        values[0] = f->r.method;
        return 1;
    case MESH_FROM_AUTHORITY:
        values[0] = f->r.authority;
        return f->r.authority.len != 0;
    case MESH_FROM_SCHEME:
        values[0] = f->r.scheme;
        return 1;
    case MESH_FROM_PATH:
        values[0] = (mesh_str_t){f->r.path.len, text};
        memcpy(text, f->r.path.data, f->r.path.len);
        if (f->r.has_query) {
            text[values[0].len++] = '?';
            memcpy(text + values[0].len, f->r.query.data, f->r.query.len);
            values[0].len += f->r.query.len;
        }
        return 1;
    }
    return 0;
}

static inline bool world_match_holds(const model_match_t *match,
                                     const fixture_request_t *f) {
    mesh_str_t values[FIXTURE_HEADERS] = {MESH_STR("")};
    char text[128];
    uint32_t n = world_values_of(match, f, values, text);
    bool holds = false;

    if (n == 0 && match->op != MESH_MATCH_PRESENT) {
        if (!match->missing_as_empty)
            return false;
        n = 1;
    }
    for (uint32_t i = 0; i < n; i++)
        holds = holds || world_text_holds(match, values[i]);
    return holds != match->invert;
}

static inline bool world_path_holds(const model_route_t *route,
                                    mesh_str_t path) {
    mesh_str_t want = route->path;
    bool any = route->ignore_case;

    switch (route->path_match) {
    case MESH_PATH_EXACT:
        return world_same(path, want, any);
    case MESH_PATH_SEPARATED:
        return world_same(path, want, any) ||
               (world_same(world_cut(path, 0, want.len), want, any) &&
                world_same(world_cut(path, want.len, 1), MESH_STR("/"), any));
    case MESH_PATH_PREFIX:
        return world_same(world_cut(path, 0, want.len), want, any) ||
               mesh_str_eq(want, MESH_STR("/"));
    }
    return false;
}

static inline bool world_route_holds(const model_route_t *route,
                                     const fixture_request_t *f) {
    bool rest = route->methods == 0 || (route->methods & f->r.method_bit) != 0;

    for (uint32_t i = 0; i < route->nmatches; i++)
        rest = rest && world_match_holds(&route->matches[i], f);
    return rest && world_path_holds(route, f->r.path);
}

/* The first route that matches, read off the model; UINT32_MAX: none. */
static inline uint32_t world_first(const world_t *world,
                                   const fixture_request_t *f) {
    for (uint32_t i = 0; i < world->vhost.nroutes; i++) {
        if (world_route_holds(&world->routes[i], f))
            return i;
    }
    return UINT32_MAX;
}

#endif /* ROUTE_WORLD_H */
