/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Each rule of lint, by meshes that it finds something in and by meshes that
 * are next to them and right.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "lint.h"
#include "text_part.h"

typedef struct {
    const char *yaml;
    uint32_t count;    /* findings of the rule */
    const char *words; /* in the first, or NULL */
} case_t;

typedef struct {
    arena_t *arena;
    lint_t lint;
} found_t;

static const char *const gateway[] = {"127.0.0.9:80", "[::1]:80", "unix:/g",
                                      "gw.local:80"};

static found_t find(const char *yaml) {
    found_t found = {.arena = arena_new()};
    const model_part_t *part = text_part(found.arena, "m.yaml", yaml);

    found.lint.gateways = gateway;
    found.lint.ngateways = mesh_nelts(gateway);
    lint_run(&found.lint, found.arena, &part, 1);
    return found;
}

static void check(const char *code, const case_t *cases, size_t n) {
    bool both[2] = {false, false};

    for (size_t i = 0; i < n; i++) {
        found_t found = find(cases[i].yaml);
        const char *text = NULL;
        uint32_t count = 0;

        for (uint32_t k = 0; k < found.lint.count; k++) {
            const lint_finding_t *f = &found.lint.v[k];

            if (strcmp(f->rule->code, code) == 0) {
                text = count++ == 0 ? f->text : text;
                assert_string_equal(f->place->file, "m.yaml");
                assert_int_not_equal(f->place->line, 0);
            }
        }
        if (count != cases[i].count) {
            fail_msg("%s: %u findings in\n%s", code, count, cases[i].yaml);
        }
        if (cases[i].words != NULL && strstr(text, cases[i].words) == NULL) {
            fail_msg("no \"%s\" in \"%s\"", cases[i].words, text);
        }
        both[count != 0] = true;
        arena_free(found.arena);
    }
    assert_true(both[0] && both[1]);
}

#define CHECK(code, ...)                                                       \
    check(code, (const case_t[]){__VA_ARGS__},                                 \
          mesh_nelts(((const case_t[]){__VA_ARGS__})))

#define CLUSTERS "clusters: {c: {endpoints: ['127.0.0.1:80']}}\n"
#define ROUTES CLUSTERS "hosts: [{domains: a.b, routes: ["

/* Two routes with these matches. */
#define TWO(a, b)                                                              \
    ROUTES "{match: {" a "}, route: c}, {match: {" b "}, respond: 200}]}]"

static void test_unreachable_route(void **state) {
    (void)state;
    CHECK("unreachable-route",
          /* paths */
          {TWO("path: /", "path: /a"), 1, "route \"a.b/0\" (line 2)"},
          {TWO("path: /a", "path: {exact: /a/b}"), 1, NULL},
          {TWO("path: /a", "path: {separated_prefix: /ab}"), 1, NULL},
          {TWO("path: /a/", "path: /a"), 0, NULL},
          {TWO("path: {exact: /a}", "path: /a"), 0, NULL},
          {TWO("path: {exact: /a}", "path: {exact: /a}"), 1, NULL},
          {TWO("path: {separated_prefix: /a}", "path: /ab"), 0, NULL},
          {TWO("path: {separated_prefix: /a}", "path: /a/b"), 1, NULL},
          {TWO("path: {separated_prefix: /a}", "path: {exact: /a}"), 1, NULL},
          {TWO("path: {separated_prefix: /a}", "path: /a"), 0, NULL},
          {TWO("path: {regex: /a+}", "path: {regex: /a+}"), 1, NULL},
          {TWO("path: {regex: /a+}", "path: {exact: /a}"), 0, NULL},
          {TWO("path: /", "path: {regex: '(/a|/b)'}"), 1, NULL},
          {TWO("path: /A", "path: {prefix: /a, ignore_case: true}"), 0, NULL},
          {TWO("path: {prefix: /A, ignore_case: true}", "path: /a"), 1, NULL},
          {TWO("path: /1", "path: {prefix: /1, ignore_case: true}"), 1, NULL},
          /* methods, clients, shares */
          {TWO("methods: [GET, HEAD]", "methods: HEAD"), 1, NULL},
          {TWO("methods: GET", "path: /a"), 0, NULL},
          {TWO("grpc: true", "path: /a"), 0, NULL},
          {TWO("path: /a", "path: /a, grpc: true"), 1, NULL},
          {TWO("source: 10.0.0.0/8", "source: 10.1.0.0/16"), 1, NULL},
          {TWO("source: 10.0.0.0/8", "source: [10.1.0.0/16, '::1']"), 0, NULL},
          {TWO("source: 10.0.0.0/8", "path: /"), 0, NULL},
          {TWO("percentage: 10", "percentage: 5"), 1, NULL},
          {TWO("percentage: 10", "percentage: 30"), 0, NULL},
          {TWO("percentage: 10", "path: /"), 0, NULL},
          {TWO("percentage: 100", "path: /"), 1, NULL},
          {TWO("percentage: {value: 100, runtime_key: k}", "path: /"), 0, NULL},
          {TWO("percentage: 10", "percentage: {value: 5, runtime_key: k}"), 0,
           NULL},
          /* values */
          {TWO("headers: {x: a}", "headers: {x: a, y: b}"), 1, NULL},
          {TWO("headers: {x: a, y: b}", "headers: {x: a}"), 0, NULL},
          {TWO("headers: {x: a}", "query: {x: a}"), 0, NULL},
          {TWO("headers: {x: {prefix: a}}", "headers: {x: abc}"), 1, NULL},
          {TWO("headers: {x: {suffix: bc}}", "headers: {x: abc}"), 1, NULL},
          {TWO("headers: {x: {contains: b}}", "headers: {x: {prefix: ab}}"), 1,
           NULL},
          {TWO("headers: {x: {contains: b}}", "headers: {x: {suffix: b}}"), 1,
           NULL},
          {TWO("headers: {x: {contains: b}}", "headers: {x: {contains: abc}}"),
           1, NULL},
          {TWO("headers: {x: {contains: d}}", "headers: {x: {contains: abc}}"),
           0, NULL},
          {TWO("headers: {x: {present: true}}", "headers: {x: {regex: a+}}"), 1,
           NULL},
          {TWO("headers: {x: {present: false}}", "headers: {x: a}"), 0, NULL},
          {TWO("headers: {x: {range: {start: 0, end: 9}}}",
               "headers: {x: {range: {start: 2, end: 9}}}"),
           1, NULL},
          {TWO("headers: {x: {range: {start: 0, end: 9}}}",
               "headers: {x: {range: {start: 2, end: 10}}}"),
           0, NULL},
          {TWO("headers: {x: {exact: a, invert: true}}", "headers: {x: b}"), 0,
           NULL},
          {TWO("headers: {x: {exact: a, invert: true}}",
               "headers: {x: {exact: a, invert: true}}"),
           1, NULL},
          {TWO("headers: {x: {prefix: a, ignore_case: true}}",
               "headers: {x: ab}"),
           0, NULL}, );
}

static void test_many_routes_on_path(void **state) {
    static char yaml[2][16384];
    (void)state;

    for (int k = 0; k < 2; k++) {
        int len = snprintf(yaml[k], sizeof(yaml[k]), ROUTES);

        for (int i = 0; i < 64 + k; i++) {
            len += snprintf(yaml[k] + len, sizeof(yaml[k]) - (size_t)len,
                            "{match: {path: /a, headers: {x: '%d'}}, "
                            "route: c}, ",
                            i);
        }
        snprintf(yaml[k] + len, sizeof(yaml[k]) - (size_t)len,
                 "{match: {path: /b}, route: c}]}]");
    }
    CHECK("many-routes-on-path", {yaml[0], 0, NULL},
          {yaml[1], 1, "65 routes of host \"a.b\" have the path \"/a\""});
}

#define ONE_ROUTE(rest) ROUTES "{route: c, " rest "}]}]"

static void test_retries_exceed_timeout(void **state) {
    (void)state;
    CHECK(
        "retries-exceed-timeout",
        {ONE_ROUTE("timeout: 3s, retries: {on: reset, attempts: 2, "
                   "per_try_timeout: 1s}"),
         0, NULL},
        {ONE_ROUTE("timeout: 3s, retries: {on: reset, attempts: 3, "
                   "per_try_timeout: 1s}"),
         1, "4 tries of 1s take 4s, but its timeout is 3s: time for 3"},
        {ONE_ROUTE("retries: {on: reset, attempts: 100, "
                   "per_try_timeout: 250ms}"),
         1, "101 tries of 250ms take 25250ms, but its timeout is 15s"},
        {ONE_ROUTE("timeout: 0, retries: {on: reset, attempts: 3, "
                   "per_try_timeout: 1s}"),
         0, NULL},
        {ONE_ROUTE("timeout: 1s, retries: {on: reset, attempts: 9}"), 0, NULL});
}

#define HOST(name, domain)                                                     \
    "{name: " name ", domains: [" domain "], routes: [{respond: 200}]}"
#define HOSTS(a, b) "hosts: [" HOST("p", a) ", " HOST("q", b) "]"

static void test_overlapping_hosts(void **state) {
    (void)state;
    CHECK("overlapping-hosts",
          {HOSTS("'*.local'", "shop.*"), 1,
           "\"shop.local\" is under its \"shop.*\" and under \"*.local\" of "
           "host \"p\""},
          {HOSTS("'*-x.local'", "shop-*"), 1, "\"shop-x.local\" is under"},
          {HOSTS("'*.local'", "shop-*"), 1, "\"shop-.local\" is under"},
          {HOSTS("shop.local", "shop.*"), 0, NULL},
          {HOSTS("'*'", "shop.*"), 0, NULL},
          {"hosts: [" HOST("p", "'*.local', shop.*") "]", 0, NULL});
}

static void test_nested_hosts(void **state) {
    (void)state;
    CHECK("nested-hosts",
          {HOSTS("'*.local'", "shop.local"), 1,
           "\"shop.local\" is under \"*.local\" of host \"p\""},
          {HOSTS("'*.local'", "'*.shop.local'"), 1, NULL},
          {HOSTS("'*-x.local'", "a-x.local"), 1, NULL},
          {HOSTS("a-*", "a-x.local"), 1, NULL},
          {HOSTS("'*-x.local'", "ax.local"), 0, NULL},
          {HOSTS("'*.local'", "'*.other'"), 0, NULL},
          {HOSTS("shop.*", "shop.local"), 1, NULL},
          {HOSTS("shop.*", "shop.local.*"), 1, NULL},
          {HOSTS("shop.*", "ashop.local"), 0, NULL},
          {HOSTS("'*'", "shop.local"), 0, NULL},
          {"hosts: [" HOST("p", "'*.local', shop.local") "]", 0, NULL});
}

static void test_empty_cluster(void **state) {
    (void)state;
    CHECK("empty-cluster", {"clusters: {c: {}}", 1, "no endpoint set"},
          {"clusters: {c: {endpoints: []}}", 1, "it has no endpoints"},
          {CLUSTERS, 0, NULL},
          {"clusters: {c: {}}\nendpoints: {c: ['127.0.0.1:80']}", 0, NULL},
          {"clusters: {c: {endpoint_set: d}}\nendpoints: {d: ['a.b:80']}", 0,
           NULL},
          {"clusters: {c: {endpoint_set: d}}\nendpoints: {c: ['a.b:80']}", 1,
           NULL});
}

#define SUBSETS(weight, labels)                                                \
    "clusters: {c: {endpoints: ['127.0.0.1:80', {address: '127.0.0.2:80', "    \
    "weight: " weight ", labels: {v: a, w: b}}], subsets: {s: " labels "}}}"

#define SELECTED(labels)                                                       \
    "clusters: {c: {subset_selectors: [{keys: k}, {keys: [k, l]}], "           \
    "endpoints: [{address: '127.0.0.1:80', labels: {k: '1'}}, "                \
    "{address: '127.0.0.2:80', labels: {k: a/b, l: ''}}]}}\n"                  \
    "hosts: [{domains: a.b, routes: [{route: 'c/" labels "'}]}]"

#define REDUNDANT(labels)                                                      \
    "clusters: {c: {subset_redundant_labels: true, subset_fallback: any, "     \
    "subset_selectors: [{keys: k}, {keys: [k, m]}, {keys: m}], endpoints: "    \
    "[{address: '127.0.0.1:80', labels: {k: '1', m: '2'}}]}}\n"                \
    "hosts: [{domains: a.b, routes: [{route: 'c/" labels "'}]}]"

static void test_empty_subset(void **state) {
    (void)state;
    CHECK("empty-subset", {SUBSETS("1", "{v: a}"), 0, NULL},
          {SUBSETS("1", "{w: b}"), 0, NULL},
          {SUBSETS("1", "{v: a, w: b}"), 0, NULL},
          {SUBSETS("1", "{v: b}"), 1, "subset \"s\""},
          {SUBSETS("1", "{v: a, x: b}"), 1, NULL}, {SELECTED("k=1"), 0, NULL},
          {SELECTED("k=a%2Fb,l="), 0, NULL},
          {SELECTED("k=2"), 1, "cluster \"c\" has the labels \"k=2\""},
          {SELECTED("l=,k=1"), 1, "the labels \"k=1,l=\""},
          {SELECTED("k=1', mirror: 'c/k=4"), 1, "the labels \"k=4\""},
          {SELECTED("k=1', mirror: 'c/k=1"), 0, NULL},
          {SELECTED("k=4', mirror: 'c/k=4"), 1, NULL},
          /* Labels that the cluster does not look at. */
          {REDUNDANT("a=1,k=1,l=2,z=3"), 0, NULL},
          {REDUNDANT("a=1,k=1,m=2,z=3"), 0, NULL},
          {REDUNDANT("a=1,k=1,m=1"), 1, "the labels \"a=1,k=1,m=1\""},
          {REDUNDANT("k=2,l=2"), 1, "the labels \"k=2,l=2\""});
}

#define FALLING(more)                                                          \
    "clusters: {c: {endpoints: ['127.0.0.1:80'], subset_selectors: "           \
    "[{keys: [a, b], fallback: {keys: b}}, {keys: [a, b, c], fallback: "       \
    "{keys: [b, a]}}" more "}}"

static void test_lost_fallback(void **state) {
    (void)state;
    CHECK("lost-fallback", {FALLING(", {keys: b}]"), 0, NULL},
          {FALLING("]"), 1, "subset_selectors[0] falls back to keys (\"b\")"},
          {FALLING(", {keys: [b, d]}]"), 1, "[0]"},
          {FALLING(", {keys: b}, {keys: [b, d, e], fallback: {keys: [d, e]}}]"),
           1, "[3] falls back to keys (\"d\", ...)"},
          {FALLING(", {keys: d}, {keys: [b, d, e], fallback: {keys: [d, e]}}]"
                   ", subset_redundant_labels: true"),
           1, "[0]"},
          {FALLING(", {keys: d}, {keys: [b, d, e], fallback: {keys: [d, e]}}]"),
           2, "[0]"});
}

static void test_zero_weight(void **state) {
    (void)state;
    CHECK("zero-weight", {SUBSETS("1", "{v: a}"), 0, NULL},
          {SUBSETS("0", "{v: a}"), 1, "subset \"s\" have weight 0"},
          {SUBSETS("0", "{v: b}"), 0, NULL},
          {"clusters: {c: {endpoints: [{address: '1.2.3.4:5', weight: 0}]}}", 1,
           "all of its 1 endpoints"});
}

/* Of two clusters a route leads to one. */
#define OTHER(cluster, route)                                                  \
    "clusters: {m: {endpoints: []}, c: {" cluster " endpoints: []}}\n"         \
    "hosts: [{domains: a.b, routes: [{route: c, " route "}]}]"

static void test_unused_cluster(void **state) {
    (void)state;
    CHECK("unused-cluster", {CLUSTERS, 0, NULL}, {ONE_ROUTE(""), 0, NULL},
          /* Which one a header names is not known. */
          {ROUTES "{route: [{cluster_header: x}]}]}]", 0, NULL},
          {ROUTES "{respond: 200}]}]", 1, "no route leads to it"},
          /* Copies go there, or requests come from there. */
          {OTHER("", "mirror: m"), 0, NULL},
          {OTHER("lb: {policy: random, zone_aware: m},", ""), 0, NULL},
          {OTHER("", ""), 1, "no route leads to it"});
}

#define OUTLIER(text)                                                          \
    "clusters: {c: {endpoints: ['127.0.0.1:80', '127.0.0.2:80'], "             \
    "outlier_detection: {" text "}}}"

static void test_never_ejects(void **state) {
    (void)state;
    CHECK("never-ejects",
          {OUTLIER(""), 1, "10 of 2 endpoints is none; at least 50 ejects one"},
          {OUTLIER("max_ejection_percent: 50"), 0, NULL},
          {OUTLIER("max_ejection_percent: 49"), 1, NULL},
          {OUTLIER("max_ejection_percent: 0"), 1, "ejects none"},
          {OUTLIER("max_ejection_percent: 50, consecutive_5xx: 0"), 1,
           "all counts"},
          {OUTLIER("max_ejection_percent: 50, consecutive_5xx: 0, "
                   "split_external_local_origin_errors: true"),
           0, NULL},
          {OUTLIER("max_ejection_percent: 50, consecutive_5xx: 0, "
                   "consecutive_gateway_failure: 1"),
           0, NULL},
          {"clusters: {c: {endpoints: ['a.b:80'], outlier_detection: {}}}", 0,
           NULL});
}

#define HASHED(lb, rest)                                                       \
    "clusters: {c: {endpoints: ['127.0.0.1:80'], lb: " lb "}}\n"               \
    "hosts: [{domains: a.b, routes: [{route: c" rest "}]}]"

static void test_unused_hash_policy(void **state) {
    (void)state;
    CHECK("unused-hash-policy",
          {HASHED("random", ", hash_policy: {header: x}"), 1, NULL},
          {HASHED("maglev", ", hash_policy: {header: x}"), 0, NULL},
          {HASHED("random", ""), 0, NULL});
}

static void test_unused_runtime_key(void **state) {
    (void)state;
    CHECK("unused-runtime-key",
          {"runtime: {k: 5}", 1, "no percentage asks for it"},
          {"runtime: {k: 5, l: 1, j: 0.5}\n" ROUTES
           "{match: {percentage: {value: 1, runtime_key: k}}, route: c}]}]",
           2, NULL},
          {"runtime: {k: 5}\n" ROUTES
           "{match: {percentage: {value: 1, runtime_key: k}}, route: c}]}]",
           0, NULL},
          {"runtime: {k: 5}\n" ROUTES "{route: c, mirror: {cluster: c, "
           "percentage: {value: 1, runtime_key: k}}}]}]",
           0, NULL},
          {ROUTES
           "{match: {percentage: {value: 1, runtime_key: k}}, route: c}]}]",
           0, NULL});
}

/* One key of as many parts as there are: used in all of them, or in none. */
static void test_runtime_key_of_parts(void **state) {
    arena_t *arena = arena_new();
    const model_part_t *parts[] = {
        text_part(arena, "a.yaml", "runtime: {k: 5, l: 1}"),
        text_part(arena, "b.yaml", "runtime: {j: 2, k: 5}"),
        text_part(arena, "c.yaml", "runtime: {k: 5, j: 2}"),
        text_part(arena, "d.yaml",
                  ROUTES "{match: {percentage: {value: 1, runtime_key: k}}, "
                         "route: c}]}]")};
    static const char *const unused[] = {"a.yaml", "b.yaml", "c.yaml"};
    lint_t lint = {.ngateways = 0};
    (void)state;

    lint_run(&lint, arena, parts, mesh_nelts(parts));
    assert_int_equal(lint.count, mesh_nelts(unused));
    for (uint32_t i = 0; i < lint.count; i++) {
        assert_string_equal(lint.v[i].rule->code, "unused-runtime-key");
        assert_string_equal(lint.v[i].place->file, unused[i]);
        assert_string_not_equal(lint.v[i].subject, "runtime key \"k\"");
    }
    arena_free(arena);
}

#define SPLIT(more)                                                            \
    "clusters: {a: {endpoints: ['127.0.0.1:80']},"                             \
    " b: {endpoints: ['127.0.0.2:80']}}\n"                                     \
    "hosts: [{domains: ['*'], routes: [{" more "}]}]\n"

static void test_unused_split_by(void **state) {
    (void)state;
    CHECK("unused-split-by",
          {SPLIT("route: [a, b], split_by: hash"), 1, "chosen in turn"},
          {SPLIT("route: [a, b], split_by: hash, hash_policy: {header: x}"), 0,
           NULL},
          {SPLIT("route: [a, b], split_by: {header: x}"), 0, NULL},
          {SPLIT("route: [a, b], hash_policy: {header: x}"), 0, NULL},
          {SPLIT("route: a, split_by: {header: x}"), 1, "one cluster"});
    CHECK("unused-hash-policy",
          {SPLIT("route: [a, b], hash_policy: {header: x}"), 1, NULL},
          {SPLIT("route: [a, b], split_by: hash, hash_policy: {header: x}"), 0,
           NULL});
}

static void test_random_hash_balancer(void **state) {
    (void)state;
    CHECK("random-hash-balancer", {HASHED("ring_hash", ""), 1, NULL},
          {HASHED("ring_hash", ", hash_policy: {header: x}"), 0, NULL},
          {HASHED("ring_hash", ", stateful_session: {cookie: x}"), 0, NULL},
          {HASHED("random", ""), 0, NULL});
}

#define KEYED(lb, keys) "clusters: {c: {lb: " lb ", endpoints: [" keys "]}}"
#define KEY(n, key) "{address: '127.0.0." n ":80', hash_key: " key "}"

static void test_repeated_hash_key(void **state) {
    (void)state;
    CHECK("repeated-hash-key",
          {KEYED("maglev", KEY("1", "a") "," KEY("2", "a")), 1,
           "127.0.0.1:80 and 127.0.0.2:80 have the same hash_key \"a\""},
          {KEYED("ring_hash", KEY("3", "a") "," KEY("2", "b") "," KEY(
                                  "1", "a") "," KEY("4", "a")),
           1, "127.0.0.1:80 and 127.0.0.3:80 and 1 more have"},
          {KEYED("ring_hash", KEY("1", "a") "," KEY("2", "b") "," KEY(
                                  "3", "b") "," KEY("4", "a")),
           2, NULL},
          {KEYED("maglev", KEY("1", "a") "," KEY("2", "b")), 0, NULL},
          {KEYED("maglev", "127.0.0.1:80, 127.0.0.2:80"), 0, NULL},
          {KEYED("maglev", "{address: a.b:80, hash_key: a}"), 0, NULL},
          /* Then it is a label as others are. */
          {KEYED("random", KEY("1", "a") "," KEY("2", "a")), 0, NULL});
}

/* A gateway's cluster, and routes of two hosts. */
#define GRAPH(address, first, second)                                          \
    "clusters: {c: {endpoints: ['127.0.0.1:80']}, g: {endpoints: ['" address   \
    "']}}\n"                                                                   \
    "hosts: [{domains: a.b, routes: [" first "]}, "                            \
    "{domains: ['*.b', x.*, '*'], routes: [" second "]}]"
#define RETRIES(n) "retries: {on: reset, attempts: " n "}"

static void test_retry_amplification(void **state) {
    (void)state;
    CHECK(
        "retry-amplification",
        {GRAPH("127.0.0.9:80",
               "{route: g, rewrite: {host: z.b}, " RETRIES("2") "}",
               "{route: c, " RETRIES("3") "}"),
         1, "12 tries: \"a.b/0\" (3), then \"*.b/0\" (4)"},
        {GRAPH("127.0.0.8:80",
               "{route: g, rewrite: {host: z.b}, " RETRIES("2") "}",
               "{route: c, " RETRIES("3") "}"),
         0, NULL},
        {GRAPH("[::1]:80", "{route: g, rewrite: {host: x.z}, " RETRIES("2") "}",
               "{route: c}"),
         0, NULL},
        /* The same host again, by other paths. */
        {GRAPH("gw.local:80",
               "{match: {path: /a}, route: g, rewrite: {prefix: /b}, " RETRIES(
                   "1") "}, {match: {path: /b/c}, route: c, " RETRIES("1") "}",
               "{respond: 200}"),
         1, "4 tries"},
        {GRAPH("unix:/g",
               "{match: {path: /a}, route: g, " RETRIES(
                   "1") "}, {match: {path: /b}, route: c, " RETRIES("1") "}",
               "{respond: 200}"),
         0, NULL},
        /* Whole paths may become anything; hosts of requests are unknown. */
        {GRAPH("unix:/g",
               "{match: {path: /a}, route: g, rewrite: {path: /b}, " RETRIES(
                   "1") "}, {match: {path: /c}, route: c, " RETRIES("1") "}",
               "{respond: 200}"),
         1, NULL},
        {GRAPH("unix:/g",
               "{route: g, rewrite: {host_from_header: x}, " RETRIES("1") "}",
               "{route: c, " RETRIES("1") "}"),
         0, NULL},
        /* What is not understood may be meant. */
        {GRAPH("unix:/g",
               "{match: {path: /a}, route: g, rewrite: {host: q}, " RETRIES(
                   "1") "}",
               "{match: {path: {regex: '/z+'}}, route: c, " RETRIES("1") "}"),
         1, NULL});
}

/* Everything leads everywhere: it ends, and says that there may be more. */
static void test_tangle(void **state) {
    static char yaml[65536];
    int len = snprintf(yaml, sizeof(yaml), "%s",
                       "clusters: {g: {endpoints: ['127.0.0.9:80']}}\n"
                       "hosts: [{domains: a.b, routes: [");
    (void)state;

    for (int i = 0; i < 200; i++) {
        len += snprintf(
            yaml + len, sizeof(yaml) - (size_t)len,
            "{match: {headers: {x: '%d'}}, route: g, " RETRIES("1") "}, ", i);
    }
    snprintf(yaml + len, sizeof(yaml) - (size_t)len, "{respond: 200}]}]");
    found_t found = find(yaml);
    uint32_t chains = 0, given_up = 0;

    for (uint32_t i = 0; i < found.lint.count; i++) {
        const lint_finding_t *f = &found.lint.v[i];

        if (strcmp(f->rule->code, "retry-amplification") != 0) {
            continue;
        }
        if (strstr(f->text, "not followed") != NULL) {
            given_up++;
            continue;
        }
        assert_non_null(strstr(f->text, "256 tries or more: "));
        chains++;
    }
    assert_true(chains > 50);
    assert_int_equal(given_up, 1);
    arena_free(found.arena);
}

/* Only one of its endpoints leads back. */
#define LABELLED(more, labels)                                                 \
    "clusters: {g: {subset_selectors: {keys: k}, " more "endpoints: "          \
    "[{address: '127.0.0.9:80', labels: {k: '1'}}, "                           \
    "{address: '127.0.0.1:80', labels: {k: '2'}}]}}\n"                         \
    "hosts: [{domains: a.b, routes: [{route: 'g/" labels "'}]}]"

static void test_route_loop(void **state) {
    (void)state;
    CHECK("route-loop",
          {GRAPH("127.0.0.9:80", "{route: g}", "{route: c}"), 1, NULL},
          {GRAPH("127.0.0.9:80", "{route: g, rewrite: {host: z.b}}",
                 "{route: c}"),
           0, NULL},
          {GRAPH("127.0.0.9:80", "{route: g, rewrite: {host: z.b}}",
                 "{route: g, rewrite: {host: a.b}}"),
           2, NULL},
          {GRAPH("127.0.0.9:80",
                 "{match: {path: /a}, route: g, rewrite: {prefix: /b}}",
                 "{route: c}"),
           0, NULL},
          {LABELLED("", "k=1"), 1, NULL}, {LABELLED("", "k=2"), 0, NULL},
          {LABELLED("subset_redundant_labels: true, ", "k=1,z=3"), 1, NULL},
          {LABELLED("subset_redundant_labels: true, ", "k=2,z=3"), 0, NULL});
}

/* Of several parts, in order of place; other names, other sets. */
static void test_parts_together(void **state) {
    arena_t *arena = arena_new();
    const model_part_t *parts[] = {
        text_part(arena, "b.yaml", "endpoints: {c: ['127.0.0.1:80']}"),
        text_part(arena, "a.yaml",
                  "clusters:\n  c: {outlier_detection: {}}\n  d: {}\n"),
        text_part(arena, "c.yaml", "clusters: {e: {}}")};
    lint_t lint = {.ngateways = 0};
    (void)state;

    lint_run(&lint, arena, parts, mesh_nelts(parts));
    assert_int_equal(lint.count, 3);
    assert_string_equal(lint.v[0].rule->code, "never-ejects");
    assert_string_equal(lint.v[0].subject, "cluster \"c\"");
    assert_int_equal(lint.v[0].place->line, 2);
    assert_string_equal(lint.v[1].rule->code, "empty-cluster");
    assert_int_equal(lint.v[1].place->line, 3);
    assert_string_equal(lint.v[2].place->file, "c.yaml");
    arena_free(arena);
}

static void test_nothing(void **state) {
    lint_t lint = {.ngateways = 0};
    arena_t *arena = arena_new();
    (void)state;

    lint_run(&lint, arena, NULL, 0);
    assert_int_equal(lint.count, 0);
    arena_free(arena);
}

static void test_codes_differ(void **state) {
    (void)state;

    for (size_t i = 0; i < lint_nrules; i++) {
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(lint_rules[i].code, lint_rules[k].code);
        }
    }
}

/* 20,000 routes of one host: found by search, not by pairs. */
static void test_large_host(void **state) {
    enum { ROUTES_N = 20000 };
    arena_t *arena = arena_new();
    model_route_t *routes = arena_alloc(arena, ROUTES_N * sizeof(*routes));
    model_vhost_t host = {
        .name = MESH_STR("h"), .nroutes = ROUTES_N, .routes = routes};
    model_route_table_t table = {
        .name = MESH_STR("default"), .nvhosts = 1, .vhosts = &host};
    model_part_t part = {.ntables = 1, .tables = &table};
    const model_part_t *parts = &part;
    lint_t lint = {.ngateways = 0};
    (void)state;

    for (uint32_t i = 0; i < ROUTES_N; i++) {
        routes[i].name = mesh_str_from(arena_printf(arena, "r%u", i));
        routes[i].path = mesh_str_from(
            arena_printf(arena, "/p/%u/x", i == ROUTES_N - 1 ? 5 : i));
    }
    lint_run(&lint, arena, &parts, 1);
    assert_int_equal(lint.count, 1);
    assert_string_equal(lint.v[0].subject, "route \"r19999\"");
    arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unreachable_route),
        cmocka_unit_test(test_many_routes_on_path),
        cmocka_unit_test(test_retries_exceed_timeout),
        cmocka_unit_test(test_retry_amplification),
        cmocka_unit_test(test_tangle),
        cmocka_unit_test(test_route_loop),
        cmocka_unit_test(test_overlapping_hosts),
        cmocka_unit_test(test_nested_hosts),
        cmocka_unit_test(test_empty_cluster),
        cmocka_unit_test(test_empty_subset),
        cmocka_unit_test(test_lost_fallback),
        cmocka_unit_test(test_zero_weight),
        cmocka_unit_test(test_unused_cluster),
        cmocka_unit_test(test_never_ejects),
        cmocka_unit_test(test_unused_hash_policy),
        cmocka_unit_test(test_unused_split_by),
        cmocka_unit_test(test_random_hash_balancer),
        cmocka_unit_test(test_repeated_hash_key),
        cmocka_unit_test(test_unused_runtime_key),
        cmocka_unit_test(test_runtime_key_of_parts),
        cmocka_unit_test(test_parts_together),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_codes_differ),
        cmocka_unit_test(test_large_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
