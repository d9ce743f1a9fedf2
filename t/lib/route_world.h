/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Random route models over few, colliding paths and headers, and what
 * routing has to make of them, told plainly.  Header only, for fuzz targets.
 */

#ifndef ROUTE_WORLD_H
#define ROUTE_WORLD_H

#include "compile.h"
#include "route_fixture.h"

#define WORLD_ROUTES 24
#define WORLD_HEADERS 2

typedef struct {
    model_vhost_t vhost;
    model_route_t routes[WORLD_ROUTES];
    model_header_match_t headers[WORLD_ROUTES][WORLD_HEADERS];
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
    static const char *const pieces[] = {"/",   "a", "b",   "ab", "/a",
                                         "/b/", "%", "/a/", ".",  "\xff"};
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
static const mesh_str_t world_values[] = {mesh_str("1"), mesh_str("2"),
                                          mesh_str("")};
static const mesh_str_t world_methods[] = {mesh_str("GET"), mesh_str("POST"),
                                           mesh_str("PURGE")};

static inline void world_route(world_t *world, choice_t *choice, uint32_t i) {
    model_route_t *route = &world->routes[i];
    static const uint16_t methods[] = {0, 0, MESH_METHOD_GET,
                                       MESH_METHOD_POST | MESH_METHOD_OTHER};

    world->names[i][0] = 'r';
    world->names[i][1] = (char)('a' + i);
    route->name = (mesh_str_t){2, world->names[i]};
    route->path = world_path(choice, world->paths[i], sizeof(world->paths[i]));
    route->path_match = choose(choice, 3) ? MESH_PATH_PREFIX : MESH_PATH_EXACT;
    if (route->path_match == MESH_PATH_PREFIX && choose(choice, 8) == 1)
        route->path = MESH_STR("");
    route->methods = methods[choose(choice, mesh_nelts(methods))];
    route->action = MESH_ACTION_ROUTE;
    route->nsplit = 1;
    route->split = &world->split;
    route->headers = world->headers[i];
    route->nheaders = choose(choice, 4) ? 0 : 1 + choose(choice, WORLD_HEADERS);

    for (uint32_t h = 0; h < route->nheaders; h++) {
        model_header_match_t *match = &route->headers[h];

        match->op = choose(choice, 2) ? MESH_HEADER_EXACT : MESH_HEADER_PRESENT;
        match->invert = choose(choice, 3) == 1;
        match->name = world_names[choose(choice, 2)];
        if (match->op == MESH_HEADER_EXACT)
            match->value = world_values[choose(choice, 3)];
    }
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

/* `text` keeps the path: 64 bytes. */
static inline void world_request(choice_t *choice, fixture_request_t *f,
                                 char *text) {
    mesh_str_t path = world_path(choice, text, 64);

    if (choose(choice, 16) == 1)
        path = MESH_STR("*");
    fixture_request(f, world_methods[choose(choice, 3)], MESH_STR("h"), path);

    for (uint32_t i = 0; i < 2; i++) {
        if (choose(choice, 2))
            fixture_add_header(f, world_names[i],
                               world_values[choose(choice, 3)]);
    }
}

static inline bool world_header_holds(const model_header_match_t *match,
                                      const fixture_request_t *f) {
    bool holds = false;

    for (uint32_t i = 0; i < f->nheaders; i++) {
        if (mesh_str_eq(f->names[i], match->name))
            holds = match->op == MESH_HEADER_PRESENT ||
                    mesh_str_eq(f->values[i], match->value);
    }
    return holds != match->invert;
}

static inline bool world_route_holds(const model_route_t *route,
                                     const fixture_request_t *f) {
    bool path = route->path_match == MESH_PATH_EXACT
                    ? mesh_str_eq(f->r.path, route->path)
                    : mesh_str_starts(f->r.path, route->path) ||
                          mesh_str_eq(route->path, MESH_STR("/"));
    bool rest = route->methods == 0 || (route->methods & f->r.method_bit) != 0;

    for (uint32_t i = 0; i < route->nheaders; i++)
        rest = rest && world_header_holds(&route->headers[i], f);
    return path && rest;
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
