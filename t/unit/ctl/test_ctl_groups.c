/* SPDX-License-Identifier: Apache-2.0 */

/*
 * endpoints, clusters and explain where a cluster has priorities, weights of
 * localities, and subsets that fall back.
 */

#include "ctl_call.h"

#include "text_zone.h"

static const char mesh[] =
    "clusters:\n"
    "  near:\n"
    "    endpoints:\n"
    "      - {address: '127.0.0.1:1', locality: {region: eu, zone: a}}\n"
    "      - {address: '127.0.0.2:1', locality: {region: eu, zone: b}}\n"
    "      - {address: '127.0.0.3:1', zone: c, health: unhealthy}\n"
    "      - {address: '127.0.0.4:1', zone: d}\n"
    "    lb: {policy: round_robin, locality_weights: [{region: eu, zone: a, "
    "weight: 3}, {region: eu, zone: b, weight: 1}]}\n"
    "    subset_fallback: any\n"
    "  far:\n"
    "    endpoints:\n"
    "      - {address: '127.0.0.1:1', health: unhealthy, labels: {v: x}}\n"
    "      - {address: '127.0.0.2:1'}\n"
    "      - {address: '127.0.0.3:1', priority: 1}\n"
    "      - {address: '127.0.0.4:1', priority: 2}\n"
    "    subsets: {x: {v: x}, none: {v: y}}\n"
    "    subset_fallback: {subset: x}\n"
    "  plain: {endpoints: ['127.0.0.9:1']}\n"
    "hosts:\n"
    "  - domains: '*'\n"
    "    routes:\n"
    "      - {match: {path: {exact: /near}}, route: near}\n"
    "      - {match: {path: {exact: /gone}}, route: near/v9}\n"
    "      - {match: {path: {exact: /far}}, route: far}\n"
    "      - {match: {path: {exact: /none}}, route: far/none}\n";

static int setup(void **state) {
    return text_zone_setup(state, mesh);
}

static void test_endpoints(void **state) {
    const text_zone_t *f = *state;
    cJSON *json = json_of(f->dir, CTL_EXIT_OK, words("endpoints", "far"));

    assert_int_equal(cJSON_GetArraySize(at(json, "0/groups")), 3);
    expect_number(json, "0/groups/0/priority", 0);
    expect_number(json, "0/groups/0/load_percent", 70);
    expect_number(json, "0/groups/0/usable", 1);
    expect_number(json, "0/groups/0/endpoints", 2);
    expect_number(json, "0/groups/1/load_percent", 30);
    expect_number(json, "0/groups/2/load_percent", 0);
    expect_text(json, "0/endpoints/0/state", "unhealthy");
    expect_text(json, "0/endpoints/2/state", "usable");
    expect_text(json, "0/endpoints/3/state", "its priority has no load");
    expect_number(json, "0/endpoints/3/priority", 2);
    cJSON_Delete(json);

    json = json_of(f->dir, CTL_EXIT_OK, words("endpoints", "near"));
    expect_text(json, "0/groups/0/locality", "eu/a");
    expect_text(json, "0/groups/1/locality", "eu/b");
    expect_text(json, "0/groups/2/locality", "others");
    expect_number(json, "0/groups/0/load_percent", 75);
    expect_number(json, "0/groups/1/load_percent", 25);
    expect_text(json, "0/endpoints/0/locality", "eu/a");
    expect_text(json, "0/endpoints/3/state", "its locality has no weight");
    double load = 0;
    for (int i = 0; i < 3; i++) {
        const cJSON *group = cJSON_GetArrayItem(at(json, "0/groups"), i);
        load += at(group, "load_percent")->valuedouble;
    }
    assert_true(load > 99.999 && load < 100.001);
    cJSON_Delete(json);

    expect(f->dir, CTL_EXIT_OK, words("endpoints"),
           words("PRIORITY", "LOCALITY", "LOAD", "\nnear\n", "\nfar\n", "70 %",
                 "75 %", "1/2", "its priority has no load", "eu/a"));
    expect(f->dir, CTL_EXIT_OK, words("clusters"), words("70/30/0", "100"));
}

/* By tickets: of 100, 70 go to priority 0; the groups and who is where. */
static void test_explain(void **state) {
    const text_zone_t *f = *state;
    unsigned counts[3] = {0};

    for (unsigned i = 0; i < 100; i++) {
        char ticket[16];
        snprintf(ticket, sizeof(ticket), "0.%u", i);
        cJSON *json = json_of(
            f->dir, CTL_EXIT_OK,
            words("explain", "GET", "http://x/far", "--ticket", ticket));
        for (int k = 0; k < 3; k++) {
            const cJSON *group = cJSON_GetArrayItem(at(json, "groups"), k);
            counts[k] += cJSON_IsTrue(at(group, "picked"));
        }
        bool first = strcmp(at(json, "endpoint")->valuestring, "127.0.0.2:1");
        expect_text(json, "endpoints/1/why",
                    first ? "another priority's turn" : "");
        expect_text(json, "endpoints/0/why", "unhealthy");
        expect_text(json, "endpoints/3/why", "its priority has no load");
        cJSON_Delete(json);
    }
    assert_int_equal(counts[0], 70);
    assert_int_equal(counts[1], 30);

    expect(f->dir, CTL_EXIT_OK,
           words("explain", "GET", "http://x/near", "--ticket", "0.0"),
           words("PRIORITY  LOCALITY", "eu/a", "75 %",
                 "another locality's turn", "its locality has no weight"));
    expect(f->dir, CTL_EXIT_OK, words("explain", "GET", "http://x/gone"),
           words("fallback: no endpoint in the subset, so any of the cluster",
                 "result      routed to"));
    expect(f->dir, CTL_EXIT_OK, words("explain", "GET", "http://x/none"),
           words("fallback: no endpoint in the subset, so subset x", "panic",
                 "routed to 127.0.0.1:1"));
    cJSON *json =
        json_of(f->dir, CTL_EXIT_OK, words("explain", "GET", "http://x/none"));
    expect_text(json, "fallback", "x");
    cJSON_Delete(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_endpoints, setup,
                                        text_zone_teardown),
        cmocka_unit_test_setup_teardown(test_explain, setup,
                                        text_zone_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
