/* SPDX-License-Identifier: Apache-2.0 */

/*
 * model_check.c: rules across parts.
 */

#include "model_fixture.h"

#define PARTS_MAX 4

typedef struct {
    fixture_t f;
    const model_part_t *parts[PARTS_MAX];
    uint32_t count;
} mesh_t;

/* Files a.yaml, b.yaml, ... that are right each for itself. */
static const char *check(mesh_t *m, const char *const *texts, uint32_t count) {
    memset(m, 0, sizeof(*m));
    fixture_open(&m->f);

    for (uint32_t i = 0; i < count; i++) {
        char name[] = "?.yaml";

        name[0] = (char)('a' + i);

        const model_node_t *root = model_node_from_yaml(
            m->f.arena, name, mesh_str_from(texts[i]), &m->f.errors);

        assert_non_null(root);
        m->parts[i] = model_decode(m->f.arena, name, root, &m->f.errors);
        assert_int_equal(m->f.errors.errors, 0);
    }

    model_check(m->parts, count, &m->f.errors);
    return fixture_messages(&m->f);
}

static void assert_check(const char *first, const char *second,
                         const char *expected) {
    const char *const texts[] = {first, second};
    mesh_t m;

    assert_string_equal(check(&m, texts, second != NULL ? 2 : 1), expected);
    fixture_close(&m.f);
}

#define ENDPOINTS "endpoints: ['127.0.0.1:1']"
#define HOST(domain, route)                                                    \
    "hosts: [{domains: '" domain "', routes: [" route "]}]\n"

static void a_whole_mesh_passes(void **state) {
    (void)state;

    assert_check("clusters: {a: {" ENDPOINTS "}}\n" HOST("x", "{route: a}"),
                 HOST("y", "{route: a}, {redirect: {host: x}}"), "");
}

static void routes_to_nowhere(void **state) {
    (void)state;

    assert_check(
        "clusters: {reviews: {" ENDPOINTS "}, ratings: {" ENDPOINTS
        "}}\n" HOST("x", "{route: reveiws}, {route: [{cluster: ratings}, "
                         "{cluster: nothing}]}"),
        NULL,
        "a.yaml:2:33: route \"x/0\": found cluster \"reveiws\", expected a "
        "cluster of the mesh, such as \"reviews\"\n"
        "a.yaml:2:51: route \"x/1\": found cluster \"nothing\", expected a "
        "cluster of the mesh\n");
}

static void routes_to_subsets_that_are_not(void **state) {
    (void)state;

    assert_check(
        "clusters:\n"
        "  a:\n"
        "    endpoints: [{address: '127.0.0.1:1', labels: {v: '1'}},\n"
        "                {address: '127.0.0.1:2', labels: {v: '2'}}]\n"
        "    subsets: {v1: {v: '1'}, v2: {v: '2'}}\n"
        "  b: {" ENDPOINTS "}\n" HOST("x", "{route: a/v3}, {route: b/v1}"),
        NULL,
        "a.yaml:7:33: route \"x/0\": found subset \"v3\", expected a subset "
        "of cluster \"a\": v1, v2\n"
        "a.yaml:7:48: route \"x/1\": found subset \"v1\", expected no subset, "
        "as cluster \"b\" has none\n");
}

static void routes_to_labels_that_are_not(void **state) {
    (void)state;

    assert_check("clusters:\n"
                 "  a: {" ENDPOINTS ", subset_selectors: [{keys: v}, {keys: "
                 "[s, 'x y/z']}], subsets: {one: {v: '1'}}}\n" HOST(
                     "x", "{route: a/w=1}, {route: a/v=1}, {route: a/one}, "
                          "{route: 'a/v=1,w=2'}, {route: a/s=1}"),
                 NULL,
                 "a.yaml:3:33: route \"x/0\": found subset \"w=1\", expected a "
                 "subset of cluster \"a\": one, v=..., s=...,x%20y%2Fz=...\n"
                 "a.yaml:3:81: route \"x/3\": found subset \"v=1,w=2\", "
                 "expected a subset of cluster \"a\": one, v=..., "
                 "s=...,x%20y%2Fz=...\n"
                 "a.yaml:3:103: route \"x/4\": found subset \"s=1\", expected "
                 "a subset of cluster \"a\": one, v=..., s=...,x%20y%2Fz=...\n"
                 "a.yaml:2:3: warning: cluster \"a\": found no endpoint in "
                 "subset \"one\", expected one with its labels\n");
    /* Where labels may be left out, those of a selector are there, still. */
    assert_check("clusters:\n"
                 "  a: {" ENDPOINTS ", subset_selectors: [{keys: [v, w]}], "
                 "subset_redundant_labels: true}\n" HOST(
                     "x", "{route: 'a/a=1,v=1,w=1,x=1'}, {route: 'a/u=1,w=1'}"),
                 NULL,
                 "a.yaml:3:63: route \"x/1\": found subset \"u=1,w=1\", "
                 "expected a subset of cluster \"a\": v=...,w=...\n");
    /* Nobody's requests. */
    assert_check("clusters:\n"
                 "  a: {" ENDPOINTS ", subset_selectors: [{keys: v}], "
                 "subset_required: true}\n"
                 "  b: {" ENDPOINTS ", subset_required: true}\n"
                 "  c: {" ENDPOINTS ", subset_required: true, "
                 "subset_fallback: any}\n" HOST("x", "{route: a}, {route: b}, "
                                                     "{route: c}"),
                 NULL,
                 "a.yaml:5:33: warning: route \"x/0\": found no subset, "
                 "expected a subset of cluster \"a\": v=...\n"
                 "a.yaml:5:45: warning: route \"x/1\": found no subset, "
                 "expected no subset_required, as cluster \"b\" has none\n");
}

static void names_across_files(void **state) {
    (void)state;

    assert_check("clusters: {a: {" ENDPOINTS "}}",
                 "clusters:\n"
                 "  a: {" ENDPOINTS "}\n",
                 "b.yaml:2:3: cluster \"a\": found the name of another "
                 "cluster, expected it once in the mesh (first at "
                 "a.yaml:1:12)\n"
                 "b.yaml:2:7: endpoint set \"a\": found the name of another "
                 "endpoint set, expected it once in the mesh (first at "
                 "a.yaml:1:16)\n");
}

static void domains_across_files(void **state) {
    (void)state;

    assert_check(
        "hosts: [{name: h, domains: [x, Y], routes: [{respond: 200}]}]",
        "hosts: [{name: i, domains: [z, y], routes: [{respond: 200}]}]",
        "b.yaml:1:9: host \"i\": found the domain \"y\" again, expected it "
        "once in the mesh (first at a.yaml:1:9)\n");

    /* Another table is another world, down to the names of its routes. */
    assert_check(HOST("x", "{respond: 200}"),
                 "route_table: {name: t}\n" HOST("x", "{respond: 200}"), "");
}

static void names_of_hosts_and_routes(void **state) {
    (void)state;

    assert_check(
        "hosts: [{name: h, domains: x, routes: [{name: r, respond: 200}]}]",
        "hosts: [{name: h, domains: y, routes: [{name: r, respond: 200}]}]",
        "b.yaml:1:9: host \"h\": found the name of another host, expected it "
        "once in the mesh (first at a.yaml:1:9)\n"
        "b.yaml:1:40: route \"r\": found the name of another route, expected "
        "it once in the mesh (first at a.yaml:1:40)\n");
}

static void runtime_keys_across_files(void **state) {
    (void)state;

    assert_check("runtime: {a: 5, b: 1}", "runtime: {a: 5, c: 2}", "");
    assert_check("runtime: {a: 5}", "runtime:\n  a: 6\n",
                 "b.yaml:2:3: runtime key \"a\": found another value, "
                 "expected the same as at a.yaml:1:11\n");
    assert_check("runtime: {a: 5}", "runtime: {a: 5.0}",
                 "b.yaml:1:11: runtime key \"a\": found another value, "
                 "expected the same as at a.yaml:1:11\n");
}

static void options_of_one_table_in_two_files(void **state) {
    (void)state;

    assert_check("route_table: {merge_slashes: true}",
                 "route_table: {merge_slashes: true}", "");
    assert_check("route_table: {merge_slashes: true}",
                 HOST("x", "{respond: 200}"), "");
    assert_check("route_table: {merge_slashes: true}",
                 "route_table: {merge_slashes: false}",
                 "b.yaml:1:1: route table \"default\": found other options, "
                 "expected the same as at a.yaml:1:1\n");
}

static void warnings_of_clusters(void **state) {
    (void)state;

    assert_check("clusters: {a: {}}", NULL,
                 "a.yaml:1:12: warning: cluster \"a\": found no endpoints, "
                 "expected some, here or from another source\n");

    assert_check("clusters: {a: {" ENDPOINTS ", subsets: {s: {v: '1'}}}}", NULL,
                 "a.yaml:1:12: warning: cluster \"a\": found no endpoint in "
                 "subset \"s\", expected one with its labels\n");
}

/* Unless one of the route's clusters does. */
static void hashes_that_nothing_uses(void **state) {
    (void)state;

    static const char clusters[] =
        "clusters: {a: {" ENDPOINTS "}, b: {lb: maglev, " ENDPOINTS "}}\n";

    assert_check(clusters,
                 HOST("x", "{route: [a, b], hash_policy: {path: true}}"), "");
    assert_check(clusters,
                 HOST("x", "{name: r, route: a, hash_policy: {path: true}}"),
                 "b.yaml:1:33: warning: route \"r\": found a hash_policy that "
                 "nothing uses, expected a cluster with lb: ring_hash or "
                 "maglev, or split_by: hash\n");
    assert_check(clusters,
                 HOST("x", "{route: a, hash_policy: {path: true},"
                           " split_by: hash}"),
                 "");
}

static void endpoints_from_another_file(void **state) {
    (void)state;

    assert_check("clusters: {a: {}, b: {endpoint_set: shared}}",
                 "endpoints: {a: ['127.0.0.1:1'], shared: ['127.0.0.1:2']}",
                 "");
}

/* The warning is there exactly when not even one may be ejected. */
static void ejection_that_can_never_be(void **state) {
    (void)state;

    for (unsigned count = 1; count <= 12; count++) {
        for (unsigned percent = 0; percent <= 100; percent += 5) {
            char text[1024];
            size_t len =
                (size_t)snprintf(text, sizeof(text),
                                 "clusters: {a: {outlier_detection: "
                                 "{max_ejection_percent: %u}, endpoints: [",
                                 percent);

            for (unsigned i = 0; i < count; i++) {
                len += (size_t)snprintf(text + len, sizeof(text) - len,
                                        "'127.0.0.1:%u', ", i + 1);
            }

            snprintf(text + len, sizeof(text) - len, "]}}");

            const char *const texts[] = {text};
            mesh_t m;

            check(&m, texts, 1);
            assert_int_equal(m.f.errors.warnings,
                             count * percent < 100 ? 1 : 0);
            fixture_close(&m.f);
        }
    }

    assert_check("clusters: {a: {" ENDPOINTS ", outlier_detection: {}}}", NULL,
                 "a.yaml:1:12: warning: cluster \"a\": found "
                 "max_ejection_percent 10 with 1 endpoint, which ejects none, "
                 "expected at least 100 to eject one\n");
}

/* With a fallback, a subset may be anything; a zone without weight is told. */
static void fallbacks_and_localities(void **state) {
    (void)state;

    assert_check("clusters: {a: {" ENDPOINTS
                 ", subset_fallback: any}}\n" HOST("x", "{route: a/v9}"),
                 NULL, "");
    assert_check("clusters: {a: {" ENDPOINTS
                 ", subset_fallback: none}}\n" HOST("x", "{route: a/v9}"),
                 NULL,
                 "a.yaml:2:33: route \"x/0\": found subset \"v9\", expected no "
                 "subset, as cluster \"a\" has none\n");
    assert_check(
        "clusters: {a: {endpoints: [{address: '127.0.0.1:1', zone: a}, "
        "{address: '127.0.0.1:2', zone: b}, {address: '127.0.0.1:3', "
        "zone: b, priority: 1}], lb: {policy: random, "
        "locality_weights: [{zone: a, weight: 1}, {zone: b, priority: "
        "1, weight: 0}]}}}",
        NULL,
        "a.yaml:1:12: warning: cluster \"a\": found an endpoint of zone "
        "\"b\" and priority 0 without load, expected its locality among "
        "locality_weights\n");
}

/* Whose endpoints the proxies are: another cluster, of any part. */
static void local_clusters(void **state) {
    (void)state;

    assert_check("clusters: {a: {" ENDPOINTS
                 ", lb: {policy: random, zone_aware: shop}}}",
                 "clusters: {shop: {" ENDPOINTS "}}", "");
    assert_check("clusters: {a: {" ENDPOINTS
                 ", lb: {policy: random, zone_aware: {}}}}",
                 NULL, "");
    assert_check("clusters: {a: {" ENDPOINTS
                 ", lb: {policy: random, zone_aware: shop}}}",
                 "clusters: {shap: {" ENDPOINTS "}}",
                 "a.yaml:1:12: cluster \"a\": found local cluster \"shop\", "
                 "expected a cluster of the mesh, such as \"shap\"\n");
    /* One without endpoints, too. */
    assert_check("clusters: {a: {lb: {policy: random, zone_aware: a}}}", NULL,
                 "a.yaml:1:12: cluster \"a\": found local cluster \"a\", "
                 "expected another cluster than itself\n"
                 "a.yaml:1:12: warning: cluster \"a\": found no endpoints, "
                 "expected some, here or from another source\n");
}

static void subsets_need_all_their_labels(void **state) {
    (void)state;

    static const struct {
        const char *labels;
        unsigned warnings;
    } cases[] = {
        {"{}", 0},           {"{a: x}", 0},       {"{a: x, c: z}", 0},
        {"{a: y}", 1},       {"{b: x}", 1},       {"{d: x}", 1},
        {"{a: x, d: z}", 1}, {"{c: z, b: y}", 0}, {"{b: y, c: zz}", 1},
    };

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        char text[256];

        snprintf(text, sizeof(text),
                 "clusters: {k: {endpoints: [{address: '127.0.0.1:1', "
                 "labels: {c: z, a: x, b: y}}], subsets: {s: %s}}}",
                 cases[i].labels);

        const char *const texts[] = {text};
        mesh_t m;

        check(&m, texts, 1);
        assert_int_equal(m.f.errors.warnings, cases[i].warnings);
        fixture_close(&m.f);
    }
}

/* Names beyond the first growth of an index are found. */
static void many_names(void **state) {
    (void)state;

    size_t size = 200000;
    char *text = malloc(size);
    size_t len;

    assert_non_null(text);
    len = (size_t)snprintf(text, size, "clusters:\n");

    for (unsigned i = 0; i < 2000; i++) {
        len += (size_t)snprintf(text + len, size - len,
                                "  c%u: {" ENDPOINTS "}\n", i);
    }

    len += (size_t)snprintf(text + len, size - len,
                            "hosts:\n- domains: x\n  routes:\n");

    for (unsigned i = 0; i < 2001; i++) {
        len += (size_t)snprintf(text + len, size - len, "  - route: c%u\n", i);
    }

    assert_true(len < size);

    const char *const texts[] = {text};
    mesh_t m;

    check(&m, texts, 1);
    assert_int_equal(m.f.errors.errors, 1);
    assert_string_equal(m.f.errors.first->found, "cluster \"c2000\"");
    fixture_close(&m.f);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_mesh_passes),
        cmocka_unit_test(routes_to_nowhere),
        cmocka_unit_test(routes_to_subsets_that_are_not),
        cmocka_unit_test(routes_to_labels_that_are_not),
        cmocka_unit_test(names_across_files),
        cmocka_unit_test(domains_across_files),
        cmocka_unit_test(names_of_hosts_and_routes),
        cmocka_unit_test(runtime_keys_across_files),
        cmocka_unit_test(options_of_one_table_in_two_files),
        cmocka_unit_test(warnings_of_clusters),
        cmocka_unit_test(hashes_that_nothing_uses),
        cmocka_unit_test(endpoints_from_another_file),
        cmocka_unit_test(ejection_that_can_never_be),
        cmocka_unit_test(fallbacks_and_localities),
        cmocka_unit_test(local_clusters),
        cmocka_unit_test(subsets_need_all_their_labels),
        cmocka_unit_test(many_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
