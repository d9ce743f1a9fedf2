/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Random route models and requests over few, colliding paths and values.
 * Header only, for fuzz targets; route_naive.h tells what they mean.
 */

#ifndef ROUTE_WORLD_H
#define ROUTE_WORLD_H

#include "compile.h"
#include "route_fixture.h"

#include <strings.h>

#define WORLD_ROUTES 24
#define WORLD_MATCHES 3
#define WORLD_ADDRESSES 2

typedef struct {
    model_vhost_t vhost;
    model_route_t routes[WORLD_ROUTES];
    model_match_t matches[WORLD_ROUTES][WORLD_MATCHES];
    mesh_cidr_t addresses[WORLD_ROUTES][WORLD_ADDRESSES];
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
static const mesh_str_t world_regexes[] = {
    mesh_str("/(a|b)*"),     mesh_str("/[^/]+/?"),      mesh_str("/ab?.*"),
    mesh_str("1|aB|GE.|h+"), mesh_str("[0-9 +-]{1,3}"), mesh_str(".*b")};

/* Templates, and what they are as POSIX's regular expressions. */
static const struct {
    mesh_str_t text;
    const char *regex;
} world_templates[] = {
    {mesh_str("/*"), "^/[a-zA-Z0-9.%~!$&'()*+,;=:@_-]+$"},
    {mesh_str("/a/*"), "^/a/[a-zA-Z0-9.%~!$&'()*+,;=:@_-]+$"},
    {mesh_str("/{x}/b"), "^/[a-zA-Z0-9.%~!$&'()*+,;=:@_-]+/b$"},
    {mesh_str("/a/**"), "^/a/[a-zA-Z0-9.%~!$&'()*+,;=:@_/-]*$"},
    {mesh_str("/**b"), "^/[a-zA-Z0-9.%~!$&'()*+,;=:@_/-]*b$"},
    {mesh_str("/{x}b"), "^/[a-zA-Z0-9.%~!$&'()*+,;=:@_-]+b$"},
    {mesh_str("/{x=a/*}/{y=**}/b"),
     "^/a/[a-zA-Z0-9.%~!$&'()*+,;=:@_-]+/[a-zA-Z0-9.%~!$&'()*+,;=:@_/-]*/b$"},
    {mesh_str("/a/b"), "^/a/b$"},
    {mesh_str("/a{x}"), "^/a[a-zA-Z0-9.%~!$&'()*+,;=:@_-]+$"},
    {mesh_str("/{x}b/a{y}b"), "^/[a-zA-Z0-9.%~!$&'()*+,;=:@_-]+b/"
                              "a[a-zA-Z0-9.%~!$&'()*+,;=:@_-]+b$"},
    {mesh_str("/a{x=**}b/b"), "^/a[a-zA-Z0-9.%~!$&'()*+,;=:@_/-]*b/b$"},
};
static const mesh_str_t world_types[] = {mesh_str("application/grpc"),
                                         mesh_str("application/grpc+x"),
                                         mesh_str("application/grpc-web")};
static const mesh_str_t world_pseudo[] = {
    [MESH_FROM_METHOD] = mesh_str(":method"),
    [MESH_FROM_AUTHORITY] = mesh_str(":authority"),
    [MESH_FROM_PATH] = mesh_str(":path"),
    [MESH_FROM_SCHEME] = mesh_str(":scheme"),
    [MESH_FROM_QUERY] = mesh_str("k"),
    [MESH_FROM_COOKIE] = mesh_str("k"),
    [MESH_FROM_SNI] = mesh_str("sni"),
    [MESH_FROM_PORT] = mesh_str("port")};

/* Of queries and Cookie headers, well formed or not. */
static inline mesh_str_t world_pairs(choice_t *choice, char *text,
                                     size_t size) {
    static const char *const pieces[] = {
        "k=", "k", "&",       "; ", "=", "\"", "1", "aB",
        "K",  " ", "k=1&k=2", ";",  "2", "x",  "b", "k=\"b\""};
    mesh_str_t pairs = {0, text};
    uint32_t n = choose(choice, 8);

    for (uint32_t i = 0; i < n; i++) {
        const char *piece = pieces[choose(choice, mesh_nelts(pieces))];
        size_t len = strlen(piece);

        if (pairs.len + len > size)
            break;
        memcpy(text + pairs.len, piece, len);
        pairs.len += len;
    }
    return pairs;
}

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
    match->op = choose(choice, MESH_MATCH_REGEX + 1);
    match->invert = choose(choice, 3) == 1;
    match->from = choose(choice, 3) ? MESH_FROM_HEADER
                                    : choose(choice, MESH_FROM_PORT + 1);
    match->name = match->from == MESH_FROM_HEADER
                      ? world_names[choose(choice, 2)]
                      : world_pseudo[match->from];
    if (match->op == MESH_MATCH_PRESENT)
        return;
    match->missing_as_empty =
        match->from <= MESH_FROM_SCHEME && choose(choice, 4) == 1;
    if (match->op == MESH_MATCH_RANGE) {
        match->start = (int64_t)choose(choice, 6) - 4;
        match->end = match->start + 1 + choose(choice, 5);
        return;
    }
    if (match->op == MESH_MATCH_REGEX) {
        match->value = world_regexes[choose(choice, 6)];
        return;
    }
    match->value = world_value(choice);
    match->ignore_case = choose(choice, 2) == 1;
    if (match->ignore_case)
        match->value = world_lower(match->value);
}

/* Few bits, so that they are often the same. */
static inline uint8_t world_address(choice_t *choice, uint8_t addr[16]) {
    uint8_t len = choose(choice, 2) ? 4 : 16;

    for (uint8_t i = 0; i < len; i++)
        addr[i] = choose(choice, 8) == 1 ? 0x81 : 0;
    if (len == 16 && choose(choice, 2) == 1) {
        memset(addr, 0, 10);
        memset(addr + 10, 0xff, 2);
    }
    return len;
}

static inline void world_cidr(choice_t *choice, mesh_cidr_t *cidr) {
    uint8_t len = world_address(choice, cidr->addr);

    cidr->family = len == 4 ? MESH_FAMILY_IPV4 : MESH_FAMILY_IPV6;
    cidr->bits = (uint8_t)choose(choice, 8u * len + 1);
    for (uint32_t i = cidr->bits; i < 128; i++)
        cidr->addr[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
}

static inline void world_more(world_t *world, choice_t *choice, uint32_t i) {
    static const uint32_t shares[] = {0, 1, 100000, 300000, 999999, 1000000};
    model_route_t *route = &world->routes[i];

    route->grpc = choose(choice, 8) == 1;
    if (choose(choice, 8) == 1) {
        route->addresses.count = 1 + choose(choice, WORLD_ADDRESSES);
        route->addresses.v = world->addresses[i];
        for (uint32_t n = 0; n < route->addresses.count; n++)
            world_cidr(choice, &route->addresses.v[n]);
    }
    if (choose(choice, 5) == 1) {
        route->share.set = true;
        route->share.denominator = MESH_SHARE_ALL;
        route->share.ppm = shares[choose(choice, mesh_nelts(shares))];
    }
}

static inline void world_route(world_t *world, choice_t *choice, uint32_t i) {
    model_route_t *route = &world->routes[i];
    static const uint16_t methods[] = {0, 0, MESH_METHOD_GET,
                                       MESH_METHOD_POST | MESH_METHOD_OTHER};

    world->names[i][0] = 'r';
    world->names[i][1] = (char)('a' + i);
    route->name = (mesh_str_t){2, world->names[i]};
    route->path = world_path(choice, world->paths[i], sizeof(world->paths[i]));
    route->path_match = choose(choice, MESH_PATH_TEMPLATE + 1);
    if (route->path_match == MESH_PATH_PREFIX && choose(choice, 8) == 1)
        route->path = MESH_STR("");
    if (route->path_match == MESH_PATH_REGEX)
        route->path = world_regexes[choose(choice, 6)];
    if (route->path_match == MESH_PATH_TEMPLATE)
        route->path =
            world_templates[choose(choice, mesh_nelts(world_templates))].text;
    route->ignore_case =
        route->path_match < MESH_PATH_REGEX && choose(choice, 3) == 1;
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
    world_more(world, choice, i);
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

/* What a request's texts are in. */
typedef struct {
    char target[128];
    char cookies[2][32];
} world_text_t;

static inline void world_request(choice_t *choice, fixture_request_t *f,
                                 world_text_t *text) {
    static const mesh_str_t hosts[] = {mesh_str("h"), mesh_str("H:1"),
                                       mesh_str("")};
    mesh_str_t path = world_path(choice, text->target, 64);

    if (choose(choice, 16) == 1) {
        text->target[0] = '*';
        path.len = 1;
    }
    fixture_request(f, world_methods[choose(choice, 3)],
                    hosts[choose(choice, 3)], path);
    f->r.has_query = choose(choice, 2) == 1;

    if (f->r.has_query) {
        text->target[path.len] = '?';
        f->r.query = world_pairs(choice, text->target + path.len + 1, 48);
    }

    for (uint32_t i = 0; i < 4; i++) {
        if (choose(choice, 2))
            fixture_add_header(f, world_names[i % 2], world_value(choice));
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (choose(choice, 2))
            fixture_add_header(f, MESH_STR("cookie"),
                               world_pairs(choice, text->cookies[i], 32));
    }
    if (choose(choice, 2))
        fixture_add_header(f, MESH_STR("content-type"),
                           world_types[choose(choice, 3)]);
    if (choose(choice, 8) != 1)
        f->address_len = world_address(choice, f->address);
    if (choose(choice, 3))
        f->sni = world_value(choice);
    if (choose(choice, 3))
        f->port = world_value(choice);
    f->ticket = choose(choice, 200);
}

#endif /* ROUTE_WORLD_H */
