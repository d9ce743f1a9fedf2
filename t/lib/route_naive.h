/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What routing has to make of the models and requests of route_world.h, read
 * off the model as plainly as can be: no trie, no order but the list's.
 */

#ifndef ROUTE_NAIVE_H
#define ROUTE_NAIVE_H

#include <regex.h>
#include <stdio.h>

#include "mesh_route.h"
#include "route_world.h"

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

/* By POSIX's engine. */
static inline bool world_matches(mesh_str_t pattern, mesh_str_t text) {
    static regex_t kept[mesh_nelts(world_regexes)];
    static bool compiled[mesh_nelts(world_regexes)];
    char all[64], copy[160];
    size_t i = 0;

    while (!mesh_str_eq(world_regexes[i], pattern))
        i++;
    if (!compiled[i]) {
        snprintf(all, sizeof(all), "^(%.*s)$", (int)pattern.len, pattern.data);
        if (regcomp(&kept[i], all, REG_EXTENDED | REG_NOSUB) != 0)
            abort();
        compiled[i] = true;
    }
    snprintf(copy, sizeof(copy), "%.*s", (int)text.len, text.data);
    return regexec(&kept[i], copy, 0, NULL, 0) == 0;
}

static inline bool world_is_template(mesh_str_t text, mesh_str_t path) {
    static regex_t kept[mesh_nelts(world_templates)];
    static bool compiled[mesh_nelts(world_templates)];
    char copy[160];
    size_t i = 0;

    while (!mesh_str_eq(world_templates[i].text, text))
        i++;
    if (!compiled[i]) {
        if (regcomp(&kept[i], world_templates[i].regex,
                    REG_EXTENDED | REG_NOSUB) != 0)
            abort();
        compiled[i] = true;
    }
    snprintf(copy, sizeof(copy), "%.*s", (int)path.len, path.data);
    return regexec(&kept[i], copy, 0, NULL, 0) == 0;
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
    case MESH_MATCH_REGEX:
        return world_matches(want, text);
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

static inline size_t world_find(mesh_str_t text, size_t from, char c) {
    while (from < text.len && text.data[from] != c)
        from++;
    return from;
}

/* The first of a name among pairs; those without "=" are names if `bare`. */
static inline bool world_pair(mesh_str_t pairs, char end, bool bare,
                              mesh_str_t name, mesh_str_t *value) {
    for (size_t at = 0, next; at < pairs.len; at = next + 1) {
        next = world_find(pairs, at, end);

        mesh_str_t pair = {next - at, pairs.data + at};

        while (!bare && pair.len && *pair.data == ' ')
            pair = world_cut(pair, 1, pair.len);

        size_t mark = world_find(pair, 0, '=');

        if (world_same(world_cut(pair, 0, mark), name, false) &&
            (mark < pair.len || bare)) {
            *value = world_cut(pair, mark + 1, pair.len);
            return true;
        }
    }
    return false;
}

static inline bool world_cookie(const fixture_request_t *f, mesh_str_t name,
                                mesh_str_t *value) {
    for (uint32_t i = 0; i < f->nheaders; i++) {
        if (!mesh_str_eq(f->names[i], MESH_STR("cookie")) ||
            !world_pair(f->values[i], ';', false, name, value))
            continue;
        if (value->len >= 2 && value->data[0] == '"' &&
            value->data[value->len - 1] == '"')
            *value = world_cut(*value, 1, value->len - 2);
        return true;
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
    case MESH_FROM_QUERY:
        return world_pair(f->r.query, '&', true, match->name, values);
    case MESH_FROM_SNI:
        values[0] = f->sni;
        return f->sni.len != 0;
    case MESH_FROM_PORT:
        values[0] = f->port;
        return f->port.len != 0;
    case MESH_FROM_COOKIE:
        return world_cookie(f, match->name, values);
    }
    return 0;
}

static inline bool world_match_holds(const model_match_t *match,
                                     const fixture_request_t *f) {
    mesh_str_t values[FIXTURE_HEADERS] = {MESH_STR("")};
    char text[160];
    uint32_t n = world_values_of(match, f, values, text);
    bool holds = false;

    if (n == 0 && match->op != MESH_MATCH_PRESENT &&
        match->from <= MESH_FROM_SCHEME) {
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
    case MESH_PATH_REGEX:
        return world_matches(want, path);
    case MESH_PATH_TEMPLATE:
        return world_is_template(want, path);
    case MESH_PATH_PREFIX:
        return world_same(world_cut(path, 0, want.len), want, any) ||
               mesh_str_eq(want, MESH_STR("/"));
    }
    return false;
}

static inline bool world_is_grpc(const fixture_request_t *f) {
    for (uint32_t i = 0; i < f->nheaders; i++) {
        if (mesh_str_eq(f->names[i], MESH_STR("content-type")))
            return mesh_str_eq(f->values[i], MESH_STR("application/grpc")) ||
                   mesh_str_starts(f->values[i], MESH_STR("application/grpc+"));
    }
    return false;
}

static inline bool world_in_cidr(const mesh_cidr_t *cidr, const uint8_t *addr,
                                 uint32_t len) {
    if (len != (cidr->family == MESH_FAMILY_IPV4 ? 4 : 16))
        return false;
    for (uint32_t i = 0; i < cidr->bits; i++) {
        if ((cidr->addr[i / 8] ^ addr[i / 8]) & 0x80 >> i % 8)
            return false;
    }
    return true;
}

static inline bool world_from(const model_addresses_t *addresses,
                              const fixture_request_t *f) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool ipv4 = f->address_len == 16 && memcmp(f->address, mapped, 12) == 0;
    bool found = addresses->count == 0;

    for (uint32_t i = 0; i < addresses->count; i++)
        found = found ||
                world_in_cidr(&addresses->v[i], f->address + (ipv4 ? 12 : 0),
                              ipv4 ? 4 : f->address_len);
    return found;
}

/* All but shares. */
static inline bool world_route_holds(const model_route_t *route,
                                     const fixture_request_t *f) {
    bool rest = route->methods == 0 || (route->methods & f->r.method_bit) != 0;

    rest = rest && (!route->grpc || world_is_grpc(f));
    rest = rest && world_from(&route->addresses, f);

    for (uint32_t i = 0; i < route->nmatches; i++)
        rest = rest && world_match_holds(&route->matches[i], f);
    return rest && world_path_holds(route, f->r.path);
}

/* The point of a request, drawn for the first that takes a share. */
typedef struct {
    bool drawn;
    uint32_t point;
} world_point_t;

/* The first route that matches, read off the model; UINT32_MAX: none. */
static inline uint32_t world_first(const world_t *world,
                                   const fixture_request_t *f,
                                   world_point_t *p) {
    *p = (world_point_t){false, 0};
    for (uint32_t i = 0; i < world->vhost.nroutes; i++) {
        const model_route_t *route = &world->routes[i];

        if (!world_route_holds(route, f))
            continue;
        if (!route->share.set)
            return i;
        if (!p->drawn && route->share.ppm != 0) {
            p->drawn = true;
            p->point = mesh_share_point(
                f->ticket, mesh_hash32(route->name.data, route->name.len));
        }
        if (p->drawn && p->point < route->share.ppm)
            return i;
    }
    return UINT32_MAX;
}

#endif /* ROUTE_NAIVE_H */
