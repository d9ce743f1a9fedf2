/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Priorities, weights of localities, what subsets fall back to, hash keys:
 * what is read, and every mistake in its words.
 */

#include "model_cases.h"

#define SET(rest) "clusters: {a: {endpoints: " rest "}}"
#define WEIGHTS(rest) "clusters: {a: {lb: {policy: maglev, " rest "}}}"
#define ZONE(rest) "clusters: {a: {lb: {policy: random, " rest "}}}"
#define FALLBACK(rest) "clusters: {a: {subsets: {x: {v: x}}, " rest "}}"
#define KEYED(rest)                                                            \
    "clusters: {a: {endpoints: [{address: '1.2.3.4:5', " rest "}]}}"
#define ONE "{address: '1.2.3.4:5'"
#define TWO "{address: '1.2.3.4:6'"

static const case_t priorities[] = {
    {SET("[" ONE ", priority: 1}, " TWO ", priority: 0}]"), NULL},
    {SET("[" ONE "}, " TWO ", priority: 1}]"), NULL},
    {SET("^[" ONE "}, " TWO ", priority: 2}]"),
     "clusters.a.endpoints: found an endpoint of priority 2, expected one of "
     "priority 1 as well"},
    {SET("^[" ONE ", priority: 127}]"),
     "clusters.a.endpoints: found an endpoint of priority 127, expected one "
     "of priority 0 as well"},
    {SET("[" ONE ", priority: ^-1}]"),
     "clusters.a.endpoints[0].priority: found -1, expected a whole number "
     "from 0 to 127"},
    {"endpoints: {a: ^[" ONE ", priority: 1}]}",
     "endpoints.a: found an endpoint of priority 1, expected one of priority "
     "0 as well"},
    /* Names stand for endpoints, too. */
    {SET("[{address: 'h.test:1'}, {address: 'srv:s.test', priority: 1}]"),
     NULL},
    {SET("^[{address: 'h.test:1', priority: 1}]"),
     "clusters.a.endpoints: found an endpoint of priority 1, expected one of "
     "priority 0 as well"},
};

static const case_t weights[] = {
    {WEIGHTS("locality_weights: [{zone: a, weight: 1}, {zone: b, weight: 0}]"),
     NULL},
    {WEIGHTS("locality_weights: [{region: r, zone: a, weight: 1}, {region: s, "
             "zone: a, weight: 1}, {weight: 5}]"),
     NULL},
    {WEIGHTS("locality_weights: [{zone: a, priority: 1, weight: 1}, {zone: a, "
             "weight: 1}]"),
     NULL},
    {WEIGHTS("locality_weights: [{zone: a, weight: 1}, ^{zone: a, priority: 1, "
             "weight: 1}]"),
     "clusters.a.lb.locality_weights[1]: found a locality again, expected "
     "each once, with a priority before without one"},
    {WEIGHTS("locality_weights: [{weight: 1}, ^{weight: 2}]"),
     "clusters.a.lb.locality_weights[1]: found a locality again, expected "
     "each once, with a priority before without one"},
    {WEIGHTS("locality_weights: ^[]"),
     "clusters.a.lb.locality_weights: found an empty list, expected at least "
     "one"},
    {WEIGHTS("locality_weights: ^true"),
     "clusters.a.lb.locality_weights: found true, expected a list"},
    {WEIGHTS("locality_weights: [^{zone: a}]"),
     "clusters.a.lb.locality_weights[0]: found none, expected a locality's "
     "weight with \"weight\""},
    {WEIGHTS("locality_weights: [{zone: a, weight: ^16777217}]"),
     "clusters.a.lb.locality_weights[0].weight: found 16777217, expected a "
     "whole number from 0 to 16777216"},
    {WEIGHTS("locality_weights: [{zone: a, weight: 1, priority: ^128}]"),
     "clusters.a.lb.locality_weights[0].priority: found 128, expected a whole "
     "number from 0 to 127"},
    {WEIGHTS("locality_weights: [{zone: ^'', weight: 1}]"),
     "clusters.a.lb.locality_weights[0].zone: found \"\", expected text that "
     "is not empty"},
};

static const case_t zones[] = {
    {ZONE("zone_aware: {}"), NULL},
    {ZONE("zone_aware: shop"), NULL},
    {ZONE("zone_aware: {local_cluster: shop, routing_enabled: 0, "
          "min_cluster_size: 0, force_local_zone: 1, fail_traffic_on_panic: "
          "true, locality_basis: weight}"),
     NULL},
    {"clusters: {a: {lb: {policy: peak_ewma, zone_aware: {}}}}", NULL},
    {ZONE("zone_aware: ^true"),
     "clusters.a.lb.zone_aware: found true, expected text (put it in "
     "quotes)"},
    {ZONE("zone_aware: ^a/b"),
     "clusters.a.lb.zone_aware: found \"a/b\", expected a name of 1 to 1024 "
     "bytes without \"/\", spaces and control characters"},
    {ZONE("zone_aware: {local_cluster: ^''}"),
     "clusters.a.lb.zone_aware.local_cluster: found \"\", expected text that "
     "is not empty"},
    {ZONE("zone_aware: {routing_enabled: ^101}"),
     "clusters.a.lb.zone_aware.routing_enabled: found 101, expected a "
     "percentage "
     "from 0 to 100"},
    {ZONE("zone_aware: {min_cluster_size: ^-1}"),
     "clusters.a.lb.zone_aware.min_cluster_size: found -1, expected a whole "
     "number from 0 to 4294967295"},
    {ZONE("zone_aware: {force_local_zone: ^0}"),
     "clusters.a.lb.zone_aware.force_local_zone: found 0, expected a whole "
     "number from 1 to 4294967295"},
    {ZONE("zone_aware: {fail_traffic_on_panic: ^1}"),
     "clusters.a.lb.zone_aware.fail_traffic_on_panic: found 1, expected true "
     "or false"},
    {ZONE("zone_aware: {locality_basis: ^hosts}"),
     "clusters.a.lb.zone_aware.locality_basis: found \"hosts\", expected one "
     "of count, weight"},
    {"clusters: {a: {lb: {policy: maglev, ^zone_aware: {}}}}",
     "clusters.a.lb.zone_aware: found a zone of endpoints that hashes choose, "
     "expected it beside another policy than ring_hash and maglev"},
    {"clusters: {a: {lb: {policy: ring_hash, ^zone_aware: shop}}}",
     "clusters.a.lb.zone_aware: found a zone of endpoints that hashes choose, "
     "expected it beside another policy than ring_hash and maglev"},
    {"clusters: {a: {lb: ^{policy: random, zone_aware: {}, locality_failover: "
     "true}}}",
     "clusters.a.lb: found both zone_aware and locality_failover, expected one "
     "of them"},
    {"clusters: {a: {lb: ^{policy: random, zone_aware: {}, locality_weights: "
     "[{zone: a, weight: 1}]}}}",
     "clusters.a.lb: found both zone_aware and locality_weights, expected one "
     "of them"},
    {"clusters: {a: {lb: ^{policy: random, locality_failover: true, "
     "locality_weights: [{zone: a, weight: 1}]}}}",
     "clusters.a.lb: found both locality_failover and locality_weights, "
     "expected one of them"},
};

static const case_t fallbacks[] = {
    {FALLBACK("subset_fallback: none"), NULL},
    {FALLBACK("subset_fallback: any"), NULL},
    {"clusters: {a: {subset_fallback: any}}", NULL},
    {FALLBACK("subset_fallback: {subset: x}"), NULL},
    {FALLBACK("subset_fallback: {subset: ^y}"),
     "clusters.a.subset_fallback.subset: found \"y\", expected a subset of "
     "this cluster"},
    {FALLBACK("subset_fallback: ^x"),
     "clusters.a.subset_fallback: found \"x\", expected none, any or {subset: "
     "NAME}"},
    {FALLBACK("subset_fallback: ^[x]"),
     "clusters.a.subset_fallback: found a list, expected none, any or "
     "{subset: NAME}"},
    {FALLBACK("subset_fallback: ^true"),
     "clusters.a.subset_fallback: found true, expected none, any or {subset: "
     "NAME}"},
    {FALLBACK("subset_fallback: {subset: x, ^v: x}"),
     "clusters.a.subset_fallback.v: found an unknown field, expected one of "
     "subset"},
};

static const case_t keys[] = {
    {KEYED("hash_key: pod-1"), NULL},
    {KEYED("hash_key: pod-1, labels: {a: b, z: y}"), NULL},
    {KEYED("hash_key: ^''"),
     "clusters.a.endpoints[0].hash_key: found \"\", expected text that is not "
     "empty"},
    {KEYED("hash_key: ^7"),
     "clusters.a.endpoints[0].hash_key: found 7, expected text (put it in "
     "quotes)"},
    {"clusters: {a: {endpoints: [^{address: '1.2.3.4:5', hash_key: a, labels: "
     "{hash_key: b}}]}}",
     "clusters.a.endpoints[0]: found both hash_key and a label hash_key, "
     "expected one of them"},
};

static void every_mistake(void **state) {
    (void)state;

    check_all(priorities);
    check_all(weights);
    check_all(zones);
    check_all(fallbacks);
    check_all(keys);
}

static void too_many_localities(void **state) {
    (void)state;

    for (unsigned n = 256; n <= 257; n++) {
        static char text[16384];
        size_t len = (size_t)snprintf(
            text, sizeof(text),
            "clusters: {a: {lb: {policy: random, locality_weights: [");
        fixture_t f;

        for (unsigned i = 0; i < n; i++) {
            len += (size_t)snprintf(text + len, sizeof(text) - len,
                                    "{zone: z%u, weight: %u},", i, i);
        }
        snprintf(text + len, sizeof(text) - len, "]}}}");
        fixture_yaml(&f, text);
        assert_string_equal(
            fixture_messages(&f),
            n == 256 ? ""
                     : "f.yaml:1:55: clusters.a.lb.locality_weights: found "
                       "more than 256 localities, expected at most 256\n");
        fixture_close(&f);
    }
}

/* A hash key is a label in its place. */
static void keys_are_labels(void **state) {
    (void)state;
    static const char *const texts[] = {
        KEYED("hash_key: k, labels: {a: b, z: y}"),
        KEYED("labels: {a: b, hash_key: k, z: y}")};

    for (size_t i = 0; i < mesh_nelts(texts); i++) {
        fixture_t f;
        fixture_yaml(&f, texts[i]);
        const model_labels_t *labels = &f.part->sets[0].v[0].labels;

        assert_int_equal(labels->count, 3);
        assert_true(mesh_str_eq(labels->v[0].name, MESH_STR("a")));
        assert_true(mesh_str_eq(labels->v[1].name, MESH_STR("hash_key")));
        assert_true(mesh_str_eq(labels->v[1].value, MESH_STR("k")));
        assert_true(mesh_str_eq(labels->v[2].name, MESH_STR("z")));
        fixture_close(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mistake),
        cmocka_unit_test(too_many_localities),
        cmocka_unit_test(keys_are_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
