/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Subsets by labels: what routes ask for, what of a cluster heeds them.
 */

#include "xds_fixture.h"

#define CLUSTER(rest)                                                          \
    "{name: c, connect_timeout: 1s, type: STATIC, load_assignment: "           \
    "{cluster_name: c, endpoints: [{locality: {zone: z}, "                     \
    "load_balancing_weight: 2, lb_endpoints: [{endpoint: {address: "           \
    "{socket_address: {address: 1.2.3.4, port_value: 5}}}}]}]}" rest "}"
#define SELECTORS "subset_selectors: [{keys: [a]}]"
#define LABELS(labels)                                                         \
    "metadata_match: {filter_metadata: {envoy.lb: {" labels "}}}"
#define TABLE(action)                                                          \
    "{name: t, virtual_hosts: [{name: v, domains: [a], routes: [{match: "      \
    "{prefix: /}, route: {" action "}}]}]}"

static const model_route_t *route_of(const fixture_t *f) {
    return &f->part->tables[0].vhosts[0].routes[0];
}

static void routes_and_their_clusters_have_labels(void **state) {
    fixture_t f;
    (void)state;

    good(&f, texts(CLUSTER(""),
                   TABLE("weighted_clusters: {clusters: [{name: c, weight: "
                         "1, " LABELS("b: own, d: '4'") "}, {name: c, weight: "
                                                        "1}]}, " LABELS(
                                                            "c: '3', b: route, "
                                                            "a: '1'"))));
    const model_route_t *route = route_of(&f);

    assert_text(route->split[0].subset, "a=1,b=own,c=3,d=4");
    assert_text(route->split[1].subset, "a=1,b=route,c=3");
    assert_true(route->split[0].criteria && route->split[1].criteria);
    fixture_close(&f);

    good(&f, texts(CLUSTER(""), TABLE("cluster: c")));
    assert_int_equal(route_of(&f)->split[0].subset.len, 0);
    assert_false(route_of(&f)->split[0].criteria);
    fixture_close(&f);
}

/* Envoy takes each; where nobody can be, we say so. */
static void labels_may_lead_to_nobody(void **state) {
    static const struct {
        const char *cluster;
        uint32_t warnings;
    } cases[] = {
        {CLUSTER(""), 0}, /* labels mean nothing to it */
        {CLUSTER(", lb_subset_config: {" SELECTORS "}"), 1},
        {CLUSTER(", lb_subset_config: {subset_selectors: [{keys: [b]}]}"), 0},
        {CLUSTER(", lb_subset_config: {" SELECTORS ", fallback_policy: 1}"), 0},
    };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        fixture_t f;

        good(&f,
             texts(cases[i].cluster, TABLE("cluster: c, " LABELS("b: '1'"))));
        const model_part_t *part = f.part;

        model_check(&part, 1, &f.errors);
        assert_int_equal(f.errors.errors, 0);
        assert_int_equal(f.errors.warnings, cases[i].warnings);
        if (cases[i].warnings != 0) {
            assert_non_null(strstr(fixture_messages(&f),
                                   "found subset \"b=1\", expected a subset"));
        }
        fixture_close(&f);
    }
}

static void labels_fit_in_a_name(void **state) {
    static char text[2048];
    (void)state;

    for (int more = 0; more < 2; more++) {
        fixture_t f;
        int value = 249 + more; /* with "aa=" and commas 1024 in all */

        snprintf(
            text, sizeof(text),
            TABLE("cluster: c, " LABELS("aa: %0*d, bb: %0256d, cc: %0256d, "
                                        "dd: %0248d")),
            value, 0, 0, 0, 0);
        const char *messages = load(&f, texts(CLUSTER(""), text));

        assert_int_equal(f.errors.errors, more);
        if (more == 0) {
            assert_int_equal(route_of(&f)->split[0].subset.len, 1024);
        } else {
            assert_non_null(strstr(messages, "found labels of more than 1024"));
        }
        fixture_close(&f);
    }
}

/* All requests go to subsets, which know no localities unless told to. */
static void weights_of_localities_in_subsets(void **state) {
    static const struct {
        const char *cluster;
        uint32_t weights;
    } cases[] = {
#define WEIGHTED(rest)                                                         \
    CLUSTER(", common_lb_config: {locality_weighted_lb_config: {}}" rest)
        {WEIGHTED(""), 1},
        {WEIGHTED(", lb_subset_config: {" SELECTORS "}"), 0},
        {WEIGHTED(", lb_subset_config: {" SELECTORS
                  ", locality_weight_aware: true}"),
         1},
        {WEIGHTED(", lb_subset_config: {subset_selectors: []}"), 1},
    };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        fixture_t f;

        good(&f, texts(cases[i].cluster));
        assert_int_equal(f.part->clusters[0].nlocality_weights,
                         cases[i].weights);
        fixture_close(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_and_their_clusters_have_labels),
        cmocka_unit_test(labels_may_lead_to_nobody),
        cmocka_unit_test(labels_fit_in_a_name),
        cmocka_unit_test(weights_of_localities_in_subsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
