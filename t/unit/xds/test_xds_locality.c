/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What assignments and a bootstrap say of priorities, localities and zones.
 */

#include "xds_fixture.h"

#define GROUP(zone, rest, port)                                                \
    "{locality: {zone: " zone "}" rest                                         \
    ", lb_endpoints: [{endpoint: {address: "                                   \
    "{socket_address: {address: 1.2.3.4, port_value: " port "}}}}]}"

/* A priority without endpoints is none. */
static void priorities_have_no_gaps(void **state) {
    const model_endpoint_set_t *set;
    fixture_t f;
    (void)state;

    good(&f, texts("{cluster_name: c, endpoints: [" GROUP(
                       "a", ", priority: 9",
                       "1") "," GROUP("a", ", priority: 2",
                                      "2") ", {priority: 0}]}",
                   "{name: c, connect_timeout: 1s, type: EDS}"));
    set = &f.part->sets[0];
    assert_int_equal(set->count, 2);
    assert_int_equal(set->v[0].priority, 1);
    assert_int_equal(set->v[1].priority, 0);
    fixture_close(&f);
}

static void weights_are_for_clusters_that_ask(void **state) {
    static const char assignment[] =
        "{cluster_name: c, policy: {overprovisioning_factor: 200}, endpoints: "
        "[" GROUP("a", ", load_balancing_weight: 3", "1") "," GROUP(
            "b", "", "2") "," GROUP("a", ", load_balancing_weight: 4",
                                    "3") "]}";
    static const char *const clusters[] = {
        "{name: c, connect_timeout: 1s, type: EDS, common_lb_config: "
        "{locality_weighted_lb_config: "
        "{}}}",
        "{name: c, connect_timeout: 1s, type: EDS, load_balancing_policy: "
        "{policies: "
        "[{typed_extension_config: {name: r, typed_config: {'@type': "
        "a/envoy.extensions.load_balancing_policies.random.v3.Random, "
        "locality_lb_config: {locality_weighted_lb_config: {}}}}}]}}",
        "{name: c, type: EDS, connect_timeout: 1s}",
        /* The policy outdoes what is beside it. */
        "{name: c, connect_timeout: 1s, type: EDS, common_lb_config: "
        "{locality_weighted_lb_config: "
        "{}}, load_balancing_policy: {policies: [{typed_extension_config: "
        "{name: r, typed_config: {'@type': "
        "a/envoy.extensions.load_balancing_policies.random.v3.Random}}}]}}",
    };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(clusters); i++) {
        fixture_t f;

        good(&f, texts(assignment, clusters[i]));
        const model_cluster_t *c = &f.part->clusters[0];

        assert_int_equal(c->overprovisioning, 200);
        assert_int_equal(c->nlocality_weights, i < 2 ? 2 : 0);
        if (i < 2) {
            assert_text(c->locality_weights[0].locality.zone, "a");
            assert_int_equal(c->locality_weights[0].weight, 4);
            assert_int_equal(c->locality_weights[0].priority, 0);
            assert_int_equal(c->locality_weights[1].weight, 0);
        }
        assert_int_equal(f.errors.warnings, 0);
        fixture_close(&f);
    }
}

/* A bootstrap says who and where the proxies are. */
static void local_cluster_of_a_bootstrap(void **state) {
    static const char bootstrap[] =
        "{node: {id: n, locality: {region: eu, zone: a}}, cluster_manager: "
        "{local_cluster_name: me, outlier_detection: {}}, static_resources: "
        "{clusters: [{name: me, connect_timeout: 1s, common_lb_config: "
        "{zone_aware_lb_config: {}}}, {name: plain, connect_timeout: 1s}, "
        "{name: said, connect_timeout: 1s, common_lb_config: "
        "{zone_aware_lb_config: {min_cluster_size: '2', routing_enabled: "
        "{value: 30}}}}, {name: hashed, connect_timeout: 1s, lb_policy: "
        "MAGLEV, common_lb_config: {zone_aware_lb_config: {}}}, {name: "
        "weighted, type: EDS, connect_timeout: 1s, common_lb_config: "
        "{locality_weighted_lb_config: {}}}]}}";
    static const struct {
        const char *name;
        bool set;
        uint32_t min_size;
        uint32_t enabled;
    } want[] = {{"me", false, 0, 0},
                {"plain", true, 6, 100},
                {"said", true, 2, 30},
                {"hashed", false, 0, 0},
                {"weighted", false, 0, 0}};
    fixture_t f;
    (void)state;

    good(&f, texts("{cluster_name: weighted, endpoints: [" GROUP(
                       "a", ", load_balancing_weight: 1", "1") "]}",
                   bootstrap));
    assert_int_equal(f.part->nclusters, 5);
    for (uint32_t i = 0; i < 5; i++) {
        const model_cluster_t *c = &f.part->clusters[i];
        const model_zone_aware_t *z = &c->zone_aware;

        assert_text(c->name, want[i].name);
        assert_int_equal(z->set, want[i].set);
        assert_int_equal(z->min_size, want[i].min_size);
        assert_int_equal(z->enabled_percent, want[i].enabled);
        assert_text(z->local_cluster, want[i].set ? "me" : "");
    }
    fixture_close(&f);

    good(&f, texts("{static_resources: {clusters: [{name: said, "
                   "connect_timeout: 1s, common_lb_config: "
                   "{zone_aware_lb_config: {}}}, {name: plain, "
                   "connect_timeout: 1s}]}}"));
    assert_true(f.part->clusters[0].zone_aware.set);
    assert_text(f.part->clusters[0].zone_aware.local_cluster, "");
    assert_false(f.part->clusters[1].zone_aware.set);
    fixture_close(&f);
}

#define WEIGHTED(name)                                                         \
    "{name: " name ", type: EDS, connect_timeout: 1s, common_lb_config: "      \
    "{locality_weighted_lb_config: {}}}"

static void weights_that_are_none_or_of_nobody(void **state) {
    fixture_t f;
    (void)state;

    good(&f, texts("{cluster_name: c, endpoints: [" GROUP("a", "", "1") "]}",
                   WEIGHTED("c")));
    assert_int_equal(f.part->clusters[0].nlocality_weights, 0);
    assert_int_equal(f.errors.warnings, 0);
    fixture_close(&f);

    const char *messages =
        good(&f, texts("{cluster_name: x, endpoints: [" GROUP(
                           "a", ", load_balancing_weight: 1", "1") "]}",
                       "{cluster_name: y, policy: {overprovisioning_factor: "
                       "100}, endpoints: []}",
                       WEIGHTED("c")));
    assert_non_null(strstr(messages, "endpoint assignment \"x\": found weights "
                                     "or an overprovisioning_factor for a "
                                     "cluster that is not among"));
    assert_int_equal(f.errors.warnings, 1);
    fixture_close(&f);

    messages =
        load(&f, texts("{cluster_name: c, endpoints: [" GROUP(
                           "a", ", load_balancing_weight: 1",
                           "1") "," GROUP("a", ", priority: 1", "2") "]}",
                       WEIGHTED("c")));
    assert_int_equal(f.errors.errors, 1);
    assert_non_null(strstr(messages, "found a priority without "
                                     "load_balancing_weight beside one"));
    fixture_close(&f);
}

static void weights_of_too_many_localities(void **state) {
    static char text[65536];
    size_t len =
        (size_t)snprintf(text, sizeof(text), "{cluster_name: c, endpoints: [");
    (void)state;

    for (uint32_t i = 0; i < 257; i++) {
        len += (size_t)snprintf(
            text + len, sizeof(text) - len,
            GROUP("z%u", ", load_balancing_weight: 1", "%u") ", ", i, i + 1);
        assert_true(len + 8 < sizeof(text));

        if (i < 255) {
            continue;
        }

        fixture_t f;

        memcpy(text + len, "]}", 3);
        load(&f, texts(text, WEIGHTED("c")));
        assert_int_equal(f.errors.errors, i == 255 ? 0 : 1);
        assert_int_equal(f.part->clusters[0].nlocality_weights,
                         i == 255 ? 256 : 0);
        fixture_close(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(priorities_have_no_gaps),
        cmocka_unit_test(weights_are_for_clusters_that_ask),
        cmocka_unit_test(local_cluster_of_a_bootstrap),
        cmocka_unit_test(weights_that_are_none_or_of_nobody),
        cmocka_unit_test(weights_of_too_many_localities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
