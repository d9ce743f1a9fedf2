/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The walk down the trie against trying every route, host lookup against
 * trying every domain, and what a route makes of a request.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "mesh_route.h"
#include "route_naive.h"

typedef struct {
    mesh_writer_t *w;
    image_t image;
    const mesh_rec_route_table_t *table;
} built_t;

static void build(built_t *b, uint32_t flags,
                  const model_vhost_t *const *vhosts, uint32_t count) {
    b->w = mesh_writer_create(1, FIXTURE_CAPACITY);
    mesh_ref_t ref =
        compile_route_table(b->w, MESH_STR("default"), flags, vhosts, count);

    if (ref == 0)
        fail_msg("writer: %s", mesh_writer_error(b->w));
    assert_int_equal(image_open(&b->image, b->w), MESH_OK);
    b->table = mesh_get(&b->image.s, ref);
}

static void build_free(built_t *b) {
    image_close(&b->image);
    mesh_writer_free(b->w);
}

static void assert_text(mesh_str_t got, const char *want) {
    if (!mesh_str_eq(got, mesh_str_from(want)))
        fail_msg("got \"%.*s\", want \"%s\"", (int)got.len, got.data, want);
}

/* --- the trie ----------------------------------------------------------- */

static uint32_t first_by_test(const built_t *b, const mesh_rec_vhost_t *vhost,
                              const mesh_request_t *r) {
    const mesh_rec_refs_t *routes = mesh_get(&b->image.s, vhost->routes);

    for (uint32_t i = 0; routes != NULL && i < routes->count; i++) {
        const mesh_rec_route_t *route = mesh_get(&b->image.s, routes->v[i]);

        if (mesh_route_test(&b->image.s, route, r).failed ==
            MESH_PREDICATE_NONE)
            return i;
    }
    return UINT32_MAX;
}

static void check_world(uint64_t seed, unsigned *routed) {
    choice_t choice = {.rng = {seed}};
    world_t world;
    const model_vhost_t *vhosts[] = {&world.vhost};
    built_t b;

    world_init(&world, &choice);
    build(&b, 0, vhosts, 1);

    for (unsigned i = 0; i < 60; i++) {
        fixture_request_t f;
        mesh_route_match_t match;
        world_text_t text;
        world_point_t point;

        world_request(&choice, &f, &text);
        mesh_route_match(&b.image.s, b.table, &f.r, &match);

        uint32_t want = world_first(&world, &f, &point);

        assert_int_equal(f.draws, point.drawn);
        assert_int_equal(match.point, point.point);
        f.r.point = match.point;
        assert_int_equal(first_by_test(&b, match.vhost, &f.r), want);
        if (match.index != want)
            fail_msg("seed %lu request %u \"%.*s\": %u, want %u", seed, i,
                     (int)f.r.path.len, f.r.path.data, match.index, want);
        assert_int_equal(match.result,
                         want == UINT32_MAX ? MESH_NO_ROUTE : MESH_ROUTED);
        *routed += want != UINT32_MAX;
    }
    build_free(&b);
}

static void test_first_match(void **state) {
    unsigned routed = 0;
    (void)state;

    for (uint64_t seed = 1; seed <= 3000; seed++)
        check_world(seed, &routed);
    assert_true(routed > 50000 && routed < 3000 * 60);
}

/*
 * Cost: of 2,000 routes on paths of their own, a request looks at those on
 * its own way, and at none behind one that has matched.
 */
static void test_cost(void **state) {
    enum { ROUTES = 2000 };
    static model_route_t routes[ROUTES];
    static char texts[ROUTES][32];
    static model_match_t header = {.op = MESH_MATCH_PRESENT,
                                   .name = mesh_str("x")};
    model_split_t split = {.cluster = MESH_STR("c"), .weight = 1};
    mesh_str_t domain = MESH_STR("*");
    model_vhost_t vhost = {.name = MESH_STR("v"),
                           .ndomains = 1,
                           .domains = &domain,
                           .nroutes = ROUTES,
                           .routes = routes};
    const model_vhost_t *vhosts[] = {&vhost};
    fixture_request_t f;
    mesh_route_match_t match;
    built_t b;
    (void)state;

    for (unsigned i = 0; i < ROUTES; i++) {
        int len = snprintf(texts[i], sizeof(texts[i]), "/s/%u/", i);

        routes[i] = (model_route_t){.name = {(size_t)len, texts[i]},
                                    .path = {(size_t)len, texts[i]},
                                    .nmatches = 1,
                                    .matches = &header,
                                    .nsplit = 1,
                                    .split = &split};
    }
    routes[ROUTES - 1].path = MESH_STR("/s/");
    build(&b, 0, vhosts, 1);

    fixture_request(&f, MESH_STR("GET"), MESH_STR("h"), MESH_STR("/s/77/x"));
    fixture_add_header(&f, MESH_STR("x"), MESH_STR(""));
    mesh_route_match(&b.image.s, b.table, &f.r, &match);
    assert_int_equal(match.index, 77);
    assert_int_equal(f.lookups, 2);

    fixture_request(&f, MESH_STR("GET"), MESH_STR("h"), MESH_STR("/t"));
    mesh_route_match(&b.image.s, b.table, &f.r, &match);
    assert_int_equal(match.result, MESH_NO_ROUTE);
    assert_int_equal(f.lookups, 0);
    build_free(&b);
}

/* --- virtual hosts ------------------------------------------------------ */

#define HOSTS 12

typedef struct {
    model_vhost_t vhosts[HOSTS];
    const model_vhost_t *pointers[HOSTS];
    mesh_str_t domains[HOSTS];
    char texts[HOSTS][32];
    uint32_t count;
} hosts_t;

static mesh_str_t random_host(rng_t *rng, char *text, bool upper) {
    static const char letters[] = "ab.-";
    mesh_str_t host = {0, text};
    uint32_t n = rng_below(rng, 7);

    while (host.len < n) {
        char c = letters[rng_below(rng, 4)];

        if (upper && c >= 'a' && rng_below(rng, 2))
            c = (char)(c - 32);
        text[host.len++] = c;
    }
    return host;
}

static void hosts_add(hosts_t *h, mesh_str_t domain) {
    for (uint32_t i = 0; i < h->count; i++) {
        if (mesh_str_eq(h->domains[i], domain))
            return;
    }
    h->domains[h->count] = domain;
    h->vhosts[h->count] = (model_vhost_t){
        .name = domain, .ndomains = 1, .domains = &h->domains[h->count]};
    h->pointers[h->count] = &h->vhosts[h->count];
    h->count++;
}

static void hosts_init(hosts_t *h, rng_t *rng) {
    memset(h, 0, sizeof(*h));
    for (uint32_t i = 0; i < HOSTS; i++) {
        char *text = h->texts[i];
        mesh_str_t domain = random_host(rng, text + 1, false);

        switch (rng_below(rng, 4)) {
        case 0:
            text[0] = '*';
            domain = (mesh_str_t){domain.len + 1, text};
            break;
        case 1:
            text[1 + domain.len++] = '*';
            break;
        default:
            break;
        }
        hosts_add(h, domain);
    }
}

static bool is_suffix(mesh_str_t domain) {
    return domain.len > 1 && domain.data[0] == '*';
}

static bool is_prefix(mesh_str_t domain) {
    return domain.len > 1 && domain.data[0] != '*' &&
           domain.data[domain.len - 1] == '*';
}

/* Rank of a domain for a host in lower case; 0: does not match. */
static unsigned domain_rank(mesh_str_t domain, mesh_str_t host) {
    mesh_str_t rest = {domain.len - 1, domain.data + 1};

    if (mesh_str_eq(domain, MESH_STR("*")))
        return 1;
    if (is_suffix(domain)) {
        mesh_str_t tail = {rest.len, host.data + host.len - rest.len};

        return host.len > rest.len && mesh_str_eq(tail, rest)
                   ? 2000 + (unsigned)rest.len
                   : 0;
    }
    if (is_prefix(domain)) {
        rest.data = domain.data;
        return host.len > rest.len && mesh_str_starts(host, rest)
                   ? 1000 + (unsigned)rest.len
                   : 0;
    }
    return mesh_str_eq(domain, host) ? 3000 : 0;
}

static const model_vhost_t *naive_vhost(const hosts_t *h, mesh_str_t host) {
    const model_vhost_t *best = NULL;
    unsigned best_rank = 0;

    for (uint32_t i = 0; i < h->count; i++) {
        unsigned rank = domain_rank(h->domains[i], host);

        if (rank > best_rank) {
            best_rank = rank;
            best = &h->vhosts[i];
        }
    }
    return best;
}

static void check_host(const hosts_t *h, const built_t *b, rng_t *rng) {
    char text[32], lower[32];
    mesh_str_t host = random_host(rng, text, true);

    for (size_t i = 0; i < host.len; i++)
        lower[i] = mesh_lower(text[i]);

    const model_vhost_t *want = naive_vhost(h, (mesh_str_t){host.len, lower});

    if (rng_below(rng, 2)) {
        memcpy(text + host.len, ":8080", 5);
        host.len += 5;
    }

    const mesh_rec_vhost_t *got = mesh_route_vhost(&b->image.s, b->table, host);

    if (want == NULL) {
        assert_null(got);
        return;
    }
    if (got == NULL)
        fail_msg("\"%.*s\": no virtual host", (int)host.len, host.data);
    if (!mesh_str_eq(mesh_get_str(&b->image.s, got->name), want->name))
        fail_msg("\"%.*s\": got another than \"%.*s\"", (int)host.len,
                 host.data, (int)want->name.len, want->name.data);
}

static void test_hosts(void **state) {
    rng_t rng = {11};
    (void)state;

    for (unsigned i = 0; i < 2000; i++) {
        hosts_t h;
        built_t b;

        hosts_init(&h, &rng);
        build(&b, 0, h.pointers, h.count);
        for (unsigned n = 0; n < 50; n++)
            check_host(&h, &b, &rng);
        build_free(&b);
    }
}

static const char *host_of(const built_t *b, const char *authority) {
    const mesh_rec_vhost_t *vhost =
        mesh_route_vhost(&b->image.s, b->table, mesh_str_from(authority));

    return vhost ? mesh_get_str(&b->image.s, vhost->name).data : "none";
}

static void test_host_forms(void **state) {
    hosts_t h = {.count = 0};
    char longest[400];
    built_t b;
    (void)state;

    hosts_add(&h, MESH_STR("shop.local"));
    hosts_add(&h, MESH_STR("*.shop.local"));
    hosts_add(&h, MESH_STR("*.eu.shop.local"));
    hosts_add(&h, MESH_STR("www.*"));
    hosts_add(&h, MESH_STR("*-a.shop.local"));
    hosts_add(&h, MESH_STR("www-*"));
    hosts_add(&h, MESH_STR("[::1]"));
    build(&b, 0, h.pointers, h.count);

    assert_string_equal(host_of(&b, "shop.local"), "shop.local");
    assert_string_equal(host_of(&b, "SHOP.local:80"), "shop.local");
    assert_string_equal(host_of(&b, "a.shop.local"), "*.shop.local");
    assert_string_equal(host_of(&b, ".shop.local"), "none");
    assert_string_equal(host_of(&b, "a.eu.shop.local:1"), "*.eu.shop.local");
    assert_string_equal(host_of(&b, "www.x"), "www.*");
    assert_string_equal(host_of(&b, "www.shop.local"), "*.shop.local");
    assert_string_equal(host_of(&b, "www."), "none");
    assert_string_equal(host_of(&b, "x-A.shop.local"), "*-a.shop.local");
    assert_string_equal(host_of(&b, "-a.shop.local"), "*.shop.local");
    assert_string_equal(host_of(&b, "WWW-1.local:80"), "www-*");
    assert_string_equal(host_of(&b, "www-"), "none");
    assert_string_equal(host_of(&b, "[::1]:8080"), "[::1]");
    assert_string_equal(host_of(&b, "shop.local."), "none");
    assert_string_equal(host_of(&b, ""), "none");

    memset(longest, 'a', sizeof(longest));
    memcpy(longest + 300, ".SHOP.local", 12);
    assert_string_equal(host_of(&b, longest), "*.shop.local");
    memcpy(longest, "WWW.", 4);
    longest[300] = '\0';
    assert_string_equal(host_of(&b, longest), "www.*");
    build_free(&b);
}

/*
 * Every byte in every place of a word: in a host, what is lower-cased finds
 * the domain that was written so, and no other byte does.
 */
static void test_host_bytes(void **state) {
    (void)state;

    for (size_t at = 0; at < 11; at++) {
        for (unsigned c = 1; c < 256; c++) {
            char domain[] = "eleven-long", host[] = "ELEVEN-LONG";
            hosts_t h = {.count = 0};
            built_t b;

            if (c == ':' || c == '*' || (c >= '0' && c <= '9') ||
                (char)c != mesh_lower((char)c))
                continue;
            domain[at] = (char)c;
            hosts_add(&h, mesh_str_from(domain));
            build(&b, 0, h.pointers, h.count);

            for (unsigned other = 1; other < 256; other++) {
                bool same = mesh_lower((char)other) == (char)c;

                host[at] = (char)other;
                if (same != (strcmp(host_of(&b, host), "none") != 0))
                    fail_msg("byte %u at %zu as %u", c, at, other);
            }
            build_free(&b);
        }
    }
}

static void test_keep_port(void **state) {
    hosts_t h = {.count = 0};
    built_t b;
    (void)state;

    hosts_add(&h, MESH_STR("shop.local:8080"));
    hosts_add(&h, MESH_STR("shop.local"));
    build(&b, MESH_HOST_KEEP_PORT, h.pointers, h.count);

    assert_string_equal(host_of(&b, "shop.local"), "shop.local");
    assert_string_equal(host_of(&b, "Shop.local:8080"), "shop.local:8080");
    assert_string_equal(host_of(&b, "shop.local:80"), "none");
    build_free(&b);
}

static void test_results(void **state) {
    hosts_t h = {.count = 0};
    fixture_request_t f;
    mesh_route_match_t match;
    built_t b;
    (void)state;

    hosts_add(&h, MESH_STR("a"));
    build(&b, 0, h.pointers, h.count);

    fixture_request(&f, MESH_STR("GET"), MESH_STR("a"), MESH_STR("/"));
    mesh_route_match(&b.image.s, NULL, &f.r, &match);
    assert_int_equal(match.result, MESH_NO_TABLE);
    mesh_route_match(&b.image.s, b.table, &f.r, &match);
    assert_int_equal(match.result, MESH_NO_ROUTE);
    assert_non_null(match.vhost);
    assert_null(match.route);
    f.r.authority = MESH_STR("b");
    mesh_route_match(&b.image.s, b.table, &f.r, &match);
    assert_int_equal(match.result, MESH_NO_VHOST);
    build_free(&b);
}

/* --- one route ---------------------------------------------------------- */

/* A table of one route for every host. */
typedef struct {
    built_t b;
    const mesh_rec_route_t *route;
    mesh_route_match_t match;
} one_t;

static void one_init(one_t *one, const model_route_t *route,
                     const model_vhost_t *like) {
    model_route_t copy = *route;
    mesh_str_t domain = MESH_STR("*");
    model_vhost_t vhost = *like;
    const model_vhost_t *vhosts[] = {&vhost};

    copy.name = MESH_STR("r");
    vhost.name = MESH_STR("v");
    vhost.ndomains = 1;
    vhost.domains = &domain;
    vhost.nroutes = 1;
    vhost.routes = &copy;
    build(&one->b, 0, vhosts, 1);

    const mesh_snapshot_t *s = &one->b.image.s;

    one->match.vhost = mesh_get(s, one->b.table->any);
    one->route = mesh_get(
        s,
        ((const mesh_rec_refs_t *)mesh_get(s, one->match.vhost->routes))->v[0]);
    one->match.route = one->route;
}

static const model_vhost_t plain_vhost;

/* One that sends all to a cluster; the plain virtual host's. */
static void one_plain(one_t *one, const model_route_t *route) {
    model_split_t split = {.cluster = MESH_STR("c"), .weight = 1};
    model_route_t copy = *route;

    copy.nsplit = 1;
    copy.split = &split;
    one_init(one, &copy, &plain_vhost);
}

static size_t one_rewrite(const one_t *one, const mesh_facts_t *facts,
                          char *out, size_t size) {
    return mesh_route_rewrite(&one->b.image.s, one->route, facts, out, size);
}

static void test_predicates(void **state) {
    model_match_t headers[] = {
        {.op = MESH_MATCH_EXACT, .name = MESH_STR("x"), .value = MESH_STR("1")},
        {.op = MESH_MATCH_PRESENT, .name = MESH_STR("y"), .invert = true},
    };
    model_route_t route = {.path = MESH_STR("/a"),
                           .methods = MESH_METHOD_GET,
                           .nmatches = 2,
                           .matches = headers};
    fixture_request_t f;
    mesh_route_test_t test;
    one_t one;
    (void)state;

    one_plain(&one, &route);
    fixture_request(&f, MESH_STR("GET"), MESH_STR("h"), MESH_STR("/b"));
    test = mesh_route_test(&one.b.image.s, one.route, &f.r);
    assert_int_equal(test.failed, MESH_PREDICATE_PATH);

    fixture_request(&f, MESH_STR("POST"), MESH_STR("h"), MESH_STR("/a"));
    test = mesh_route_test(&one.b.image.s, one.route, &f.r);
    assert_int_equal(test.failed, MESH_PREDICATE_METHOD);

    fixture_request(&f, MESH_STR("GET"), MESH_STR("h"), MESH_STR("/ab"));
    test = mesh_route_test(&one.b.image.s, one.route, &f.r);
    assert_int_equal(test.failed, MESH_PREDICATE_MATCH);
    assert_text(mesh_get_str(&one.b.image.s, test.match->name), "x");

    fixture_add_header(&f, MESH_STR("x"), MESH_STR("1"));
    test = mesh_route_test(&one.b.image.s, one.route, &f.r);
    assert_int_equal(test.failed, MESH_PREDICATE_NONE);
    assert_null(test.match);

    fixture_add_header(&f, MESH_STR("y"), MESH_STR(""));
    test = mesh_route_test(&one.b.image.s, one.route, &f.r);
    assert_text(mesh_get_str(&one.b.image.s, test.match->name), "y");
    build_free(&one.b);
}

typedef struct {
    mesh_path_match_e match;
    const char *path;
    const char *rewrite;
    const char *in;
    const char *out;
} rewrite_row_t;

static void test_rewrite(void **state) {
    static const rewrite_row_t rows[] = {
        {MESH_PATH_PREFIX, "/api", "/v2", "/api/x", "/v2/x"},
        {MESH_PATH_PREFIX, "/api", "/v2", "/apix", "/v2x"},
        {MESH_PATH_PREFIX, "/api/", "/", "/api/x", "/x"},
        {MESH_PATH_PREFIX, "/api", "/", "/api/x", "//x"},
        {MESH_PATH_PREFIX, "/api/", "", "/api/x", "/x"},
        {MESH_PATH_PREFIX, "/api", "", "/api", "/"},
        {MESH_PATH_PREFIX, "/api", "", "/api/x", "/x"},
        {MESH_PATH_PREFIX, "/", "/v2/", "/x", "/v2/x"},
        {MESH_PATH_PREFIX, "", "/v2", "/x", "/v2/x"},
        {MESH_PATH_PREFIX, "/a", "b", "/a/x", "/b/x"},
        {MESH_PATH_EXACT, "/a", "/b", "/a", "/b"},
        {MESH_PATH_PREFIX, "/", "/v2", "*", "*"},
        {MESH_PATH_PREFIX, "", "/v2", "*", "*"},
        {MESH_PATH_SEPARATED, "/api", "/v2", "/api/x", "/v2/x"},
        {MESH_PATH_SEPARATED, "/api", "/v2", "/api", "/v2"},
        {MESH_PATH_PREFIX, "/api", "/V2", "/API/X", "/V2/X"},
        {MESH_PATH_EXACT, "/api", "/V2", "/Api", "/V2"},
    };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        model_route_t route = {
            .path = mesh_str_from(rows[i].path),
            .path_match = rows[i].match,
            .ignore_case = strstr(rows[i].in, rows[i].path) == NULL,
            .has_prefix_rewrite = true,
            .prefix_rewrite = mesh_str_from(rows[i].rewrite)};
        mesh_str_t in = mesh_str_from(rows[i].in);
        char out[32];
        one_t one;

        one_plain(&one, &route);

        mesh_request_t r = {.path = in};
        mesh_facts_t facts = {.request = &r};
        size_t len = one_rewrite(&one, &facts, out, 32);

        assert_text((mesh_str_t){len, out}, rows[i].out);

        /* A short buffer is filled, not overrun, and the length is told. */
        memset(out, '#', sizeof(out));
        assert_int_equal(one_rewrite(&one, &facts, out, 1), len);
        assert_int_equal(out[0], rows[i].out[0]);
        assert_int_equal(out[1], '#');
        assert_int_equal(one_rewrite(&one, &facts, NULL, 0), len);
        build_free(&one.b);
    }
}

/* As RE2's GlobalReplace(); Envoy has been asked. */
static void test_regex_rewrite(void **state) {
    static const struct {
        const char *pattern;
        const char *substitution;
        const char *in;
        const char *out;
    } rows[] = {
        {"b", "x", "/abab", "/axax"},
        {"^/a", "/b", "/a/a", "/b/a"},
        {"a$", "b", "/a/a", "/a/b"},
        {"/([a-z]+)/([0-9]+)", "/\\2-\\1", "/ab/1/c/2", "/1-ab/2-c"},
        {"(a)|(b)", "<\\1\\2>", "/ab", "/<a><b>"},
        {"a*", "/<", "/baac", "/<//<b/<c/<"},
        {"x*", "-", "/\xc3\xa9", "/-/-\xc3\xa9-"},
        {"x*", "-", "/\xc3", "/-/-\xc3-"},
        {"x*", "-", "/\xc3z", "/-/-\xc3-z-"},
        {"x*", "-", "/\xe2\x82\xac", "/-/-\xe2\x82\xac-"},
        {"x*", "-", "/\xf0\x9f\x98\x80", "/-/-\xf0\x9f\x98\x80-"},
        {"x*", "-", "/\xff", "/-/-\xff-"},
        {"/a", "", "/a", "/"},
        {"/a", "", "/ab", "/b"},
        {"a", "\\\\0", "/a", "/\\0"},
        {"(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)", "\\9\\0", "/abcdefghij",
         "/iabcdefghij"},
        {"none", "x", "/a", "/a"},
        {"a", "b", "*", "*"},
        {"(a+)+b", "x", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaacb",
         "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaacb"},
    };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        model_route_t route = {
            .path = MESH_STR("/"),
            .rewrite = {.path = MESH_REWRITE_REGEX,
                        .regex = {mesh_str_from(rows[i].pattern),
                                  mesh_str_from(rows[i].substitution)}}};
        fixture_request_t f;
        char out[64];
        one_t one;

        one_plain(&one, &route);
        fixture_request(&f, MESH_STR("GET"), MESH_STR("h"),
                        mesh_str_from(rows[i].in));
        mesh_facts_t facts = {.request = &f.r};
        size_t len = one_rewrite(&one, &facts, out, 64);

        assert_text((mesh_str_t){len, out}, rows[i].out);
        for (size_t size = 0; size < len; size++) {
            memset(out, '#', sizeof(out));
            assert_int_equal(one_rewrite(&one, &facts, out, size), len);
            assert_memory_equal(out, rows[i].out, size);
            assert_int_equal(out[size], '#');
        }
        build_free(&one.b);
    }
}

/* What its template has matched, in another order; else the request's path. */
static void test_template_rewrite(void **state) {
    static const struct {
        const char *path;
        const char *text;
        const char *in;
        const char *out;
    } rows[] = {
        {"/{a}/{b}", "/{b}/{a}", "/x/y", "/y/x"},
        {"/v1/{rest=**}", "/{rest}", "/v1/a/b", "/a/b"},
        {"/v1/{rest=**}", "/{rest}", "/v1/", "/"},
        {"/{a}", "/all", "/x", "/all"},
        {"/{a}", "/{a}", "/x/y", "/x/y"}, /* matched by nobody: kept */
        {"/{a}", "/b", "*", "*"},
    };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        model_route_t route = {
            .path = mesh_str_from(rows[i].path),
            .path_match = MESH_PATH_TEMPLATE,
            .rewrite = {.path = MESH_REWRITE_TEMPLATE,
                        .text = mesh_str_from(rows[i].text)}};
        mesh_request_t r = {.path = mesh_str_from(rows[i].in)};
        mesh_facts_t facts = {.request = &r};
        char out[32];
        one_t one;

        one_plain(&one, &route);
        size_t len = one_rewrite(&one, &facts, out, sizeof(out));
        assert_text((mesh_str_t){len, out}, rows[i].out);
        build_free(&one.b);
    }
}

/* A substitution that grows the path over the limit is given up, early. */
static void test_regex_rewrite_too_long(void **state) {
    static char in[MESH_REWRITE_MAX / 4], text[64];
    model_route_t route = {
        .path = MESH_STR("/"),
        .rewrite = {.path = MESH_REWRITE_REGEX,
                    .regex = {MESH_STR("a"), {sizeof(text), text}}}};
    char out[4];
    fixture_request_t f;
    one_t one;
    (void)state;

    memset(text, 'b', sizeof(text));
    memset(in, 'a', sizeof(in));
    in[0] = '/';
    one_plain(&one, &route);
    fixture_request(&f, MESH_STR("GET"), MESH_STR("h"),
                    (mesh_str_t){sizeof(in), in});
    mesh_facts_t facts = {.request = &f.r};
    size_t len = one_rewrite(&one, &facts, out, 3);

    assert_int_equal(len, sizeof(in));
    assert_memory_equal(out, "/aa", 3);
    build_free(&one.b);
}

/* One byte too many, and the path is the request's, not a part of the other. */
static void test_whole_rewrite_too_long(void **state) {
    static char value[MESH_REWRITE_MAX + 8];
    model_route_t route = {.path = MESH_STR("/"),
                           .rewrite = {.path = MESH_REWRITE_WHOLE,
                                       .text = MESH_STR("/%REQ(x-a)%end")}};
    one_t one;
    (void)state;

    memset(value, 'x', sizeof(value));
    one_plain(&one, &route);
    for (size_t more = 0; more < 8; more++) {
        size_t n = MESH_REWRITE_MAX - 6 + more, want = n + 4;
        fixture_request_t f;
        char out[4];

        fixture_request(&f, MESH_STR("GET"), MESH_STR("h"), MESH_STR("/in"));
        fixture_add_header(&f, MESH_STR("x-a"), (mesh_str_t){n, value});
        mesh_facts_t facts = {.request = &f.r};
        size_t len = one_rewrite(&one, &facts, out, 3);

        if (want > MESH_REWRITE_MAX)
            assert_text((mesh_str_t){len, out}, "/in");
        else
            assert_int_equal(len, want);
    }
    build_free(&one.b);
}

static void test_host_and_cluster(void **state) {
    static const struct {
        const char *value; /* NULL: no such header */
        bool host;
    } rows[] = {
        {"a.b:80", true}, {"[::1]:1", true}, {"A_b-", true}, {"", false},
        {"a b", false},   {"a/b", false},    {"a\r", false}, {NULL, false},
    };
    model_split_t split = {.cluster = MESH_STR("x-h"),
                           .by_header = true,
                           .not_found = 404,
                           .weight = 1};
    model_route_t route = {
        .path = MESH_STR("/"),
        .nsplit = 1,
        .split = &split,
        .rewrite = {.host = MESH_HOST_HEADER, .header = MESH_STR("X-H")}};
    one_t one;
    (void)state;

    one_init(&one, &route, &plain_vhost);
    const mesh_snapshot_t *s = &one.b.image.s;
    const mesh_rec_split_t *rec = mesh_get(s, one.route->split);
    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        mesh_str_t value = mesh_str_from(rows[i].value ? rows[i].value : "");
        fixture_request_t f;
        char made[MESH_DOMAIN_MAX];
        mesh_str_t host;
        uint32_t hash;

        fixture_request(&f, MESH_STR("GET"), MESH_STR("h"), MESH_STR("/"));
        if (rows[i].value != NULL)
            fixture_add_header(&f, MESH_STR("x-h"), value);
        assert_int_equal(mesh_route_host(s, mesh_get(s, one.route->rewrite),
                                         &f.r, made, &host),
                         rows[i].host);
        if (rows[i].host)
            assert_true(mesh_str_eq(host, value));
        host = mesh_split_cluster(s, &rec->v[0], &f.r, &hash);
        assert_true(mesh_str_eq(host, value));
        assert_int_equal(hash, mesh_hash32(value.data, value.len));
    }
    assert_int_equal(rec->v[0].not_found, 404);
    build_free(&one.b);
}

/* The host that a regular expression makes of the path, if it is one. */
static void test_host_of_the_path(void **state) {
    static char longest[MESH_DOMAIN_MAX + 3];
    const struct {
        const char *pattern;
        const char *substitution;
        const char *path;
        const char *host; /* NULL: none */
    } rows[] = {
        {"^/([^/]+)/.*$", "\\1.local:8", "/shop/a/b", "shop.local:8"},
        {"^/([^/]+)/.*$", "\\1.local", "/shop", NULL},
        {"^/([^/]+)/.*$", "\\1.local", "/a%20b/", NULL},
        {"[^a-z]", "", "/a/b", "ab"},
        {"/", "", "/", NULL},
        {".*", "", "/a", NULL},
        {"x*", "-", "", "-"},
        {"^/", "", longest, longest + 1},
        {"^", "", longest, NULL},
        {"^/", "a", longest, NULL},
        {"^/(a+)+$", "a", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
         NULL},
    };
    (void)state;

    memset(longest, 'x', MESH_DOMAIN_MAX + 1);
    longest[0] = '/';
    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        model_route_t route = {
            .path = MESH_STR("/"),
            .has_prefix_rewrite = true,
            .prefix_rewrite = MESH_STR("/else"),
            .rewrite = {.host = MESH_HOST_PATH,
                        .host_regex = {mesh_str_from(rows[i].pattern),
                                       mesh_str_from(rows[i].substitution)}}};
        one_t one;
        fixture_request_t f;
        char made[MESH_DOMAIN_MAX];
        mesh_str_t host;

        one_plain(&one, &route);
        fixture_request(&f, MESH_STR("GET"), MESH_STR("h"),
                        mesh_str_from(rows[i].path));
        const mesh_snapshot_t *s = &one.b.image.s;
        assert_int_equal(mesh_route_host(s, mesh_get(s, one.route->rewrite),
                                         &f.r, made, &host),
                         rows[i].host != NULL);
        if (rows[i].host != NULL)
            assert_true(mesh_str_eq(host, mesh_str_from(rows[i].host)));
        build_free(&one.b);
    }
}

typedef struct {
    model_redirect_t redirect;
    const char *authority;
    const char *query; /* NULL: no "?" */
    const char *out;
} location_row_t;

static void test_location(void **state) {
    static const location_row_t rows[] = {
        {{.port = 0}, "h", "q=1", "http://h/api/x?q=1"},
        {{.port = 0}, "h", "", "http://h/api/x?"},
        {{.strip_query = true}, "h", "q", "http://h/api/x"},
        {{.scheme = mesh_str("https")}, "h:80", NULL, "https://h/api/x"},
        {{.scheme = mesh_str("https")}, "h:81", NULL, "https://h:81/api/x"},
        {{.scheme = mesh_str("https")}, "h:443", NULL, "https://h:443/api/x"},
        {{.scheme = mesh_str("http")}, "h:80", NULL, "http://h:80/api/x"},
        {{.path = mesh_str("/new")}, "h:443", NULL, "http://h:443/new"},
        {{.scheme = mesh_str("https"), .port = 8443},
         "h:81",
         NULL,
         "https://h:8443/api/x"},
        {{.port = 65535}, "[::1]:1", NULL, "http://[::1]:65535/api/x"},
        {{.host = mesh_str("o.local")}, "h:81", "q", "http://o.local/api/x?q"},
        {{.path = mesh_str("/new")}, "h", "q", "http://h/new?q"},
        {{.path = mesh_str("/new?a=b")}, "h", "q", "http://h/new?a=b"},
        {{.path = mesh_str("new")}, "h", NULL, "http://h/new"},
        {{.has_prefix = true, .prefix = mesh_str("/v2")},
         "h",
         "q",
         "http://h/v2/x?q"},
        {{.has_prefix = true}, "h", NULL, "http://h/x"},
        {{.regex = {mesh_str("^/api"), mesh_str("/v3")}},
         "h",
         "q",
         "http://h/v3/x?q"},
    };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        model_route_t route = {.path = MESH_STR("/api"),
                               .action = MESH_ACTION_REDIRECT,
                               .redirect = rows[i].redirect};
        fixture_request_t f;
        char out[64];
        one_t one;

        route.redirect.status = 301;
        one_init(&one, &route, &plain_vhost);
        fixture_request(&f, MESH_STR("GET"), mesh_str_from(rows[i].authority),
                        MESH_STR("/api/x"));
        f.r.has_query = rows[i].query != NULL;
        if (f.r.has_query)
            f.r.query = mesh_str_from(rows[i].query);

        size_t len = mesh_route_location(&one.b.image.s, one.route, &f.r, out,
                                         sizeof(out));

        assert_text((mesh_str_t){len, out}, rows[i].out);
        assert_int_equal(
            mesh_route_location(&one.b.image.s, one.route, &f.r, NULL, 0), len);

        /* What does not fit is counted, and not written. */
        for (size_t size = 0; size < len; size++) {
            char part[64];
            memset(part, '#', sizeof(part));
            assert_int_equal(mesh_route_location(&one.b.image.s, one.route,
                                                 &f.r, part, size),
                             len);
            assert_memory_equal(part, out, size);
            assert_int_equal(part[size], '#');
        }
        build_free(&one.b);
    }
}

static void test_header_ops_order(void **state) {
    model_header_op_t ops[] = {
        {.op = MESH_OP_ADD, .name = MESH_STR("A"), .value = MESH_STR("1")},
        {.op = MESH_OP_SET, .name = MESH_STR("B"), .value = MESH_STR("2")},
        {.op = MESH_OP_REMOVE, .name = MESH_STR("C")},
    };
    model_split_t split = {
        .cluster = MESH_STR("c"), .weight = 1, .request_ops = {1, &ops[0]}};
    model_route_t route = {.path = MESH_STR("/"),
                           .request_ops = {1, &ops[1]},
                           .response_ops = {1, &ops[1]},
                           .nsplit = 1,
                           .split = &split};
    model_vhost_t vhost = {.request_ops = {1, &ops[2]}};
    const mesh_rec_header_ops_t *got[3];
    one_t one;
    (void)state;

    one_init(&one, &route, &vhost);

    const mesh_snapshot_t *s = &one.b.image.s;
    const mesh_rec_split_t *rec = mesh_get(s, one.route->split);

    assert_int_equal(
        mesh_route_header_ops(s, &one.match, &rec->v[0], false, got), 3);
    assert_text(mesh_get_str(s, got[0]->v[0].name), "A");
    assert_text(mesh_get_str(s, got[1]->v[0].name), "B");
    assert_text(mesh_get_str(s, got[2]->v[0].name), "C");
    assert_int_equal(mesh_route_header_ops(s, &one.match, NULL, false, got), 2);
    assert_int_equal(
        mesh_route_header_ops(s, &one.match, &rec->v[0], true, got), 1);
    assert_text(mesh_get_str(s, got[0]->v[0].name), "B");
    build_free(&one.b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_match),
        cmocka_unit_test(test_cost),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_host_forms),
        cmocka_unit_test(test_host_bytes),
        cmocka_unit_test(test_keep_port),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_predicates),
        cmocka_unit_test(test_rewrite),
        cmocka_unit_test(test_regex_rewrite),
        cmocka_unit_test(test_template_rewrite),
        cmocka_unit_test(test_regex_rewrite_too_long),
        cmocka_unit_test(test_whole_rewrite_too_long),
        cmocka_unit_test(test_host_and_cluster),
        cmocka_unit_test(test_host_of_the_path),
        cmocka_unit_test(test_location),
        cmocka_unit_test(test_header_ops_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
