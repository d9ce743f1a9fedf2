/* SPDX-License-Identifier: Apache-2.0 */

/* clusters, endpoints and explain where a cluster is zone-aware. */

#include "ctl_call.h"

#include "temp_dir.h"
#include "text_zone.h"

static const char mesh[] =
    "clusters:\n"
    "  shop:\n"
    "    endpoints:\n"
    "      - {address: '127.0.0.1:1', zone: a}\n"
    "      - {address: '127.0.0.2:1', zone: a}\n"
    "      - {address: '127.0.0.3:1', zone: b}\n"
    "      - {address: '127.0.0.4:1', zone: b, health: unhealthy}\n"
    "  near:\n"
    "    endpoints:\n"
    "      - {address: '127.0.0.1:1', zone: a}\n"
    "      - {address: '127.0.0.2:1', zone: b, weight: 3}\n"
    "      - {address: '127.0.0.3:1', zone: b}\n"
    "      - {address: '127.0.0.4:1', zone: d, health: unhealthy}\n"
    "    lb: {policy: round_robin, zone_aware: {local_cluster: shop, "
    "min_cluster_size: 3}}\n"
    "  heavy:\n"
    "    endpoints:\n"
    "      - {address: '127.0.0.1:1', zone: a, weight: 2}\n"
    "      - {address: '127.0.0.2:1', zone: b, weight: 6}\n"
    "    lb: {policy: round_robin, zone_aware: {local_cluster: shop, "
    "min_cluster_size: 2, locality_basis: weight}}\n"
    "  here:\n"
    "    endpoints:\n"
    "      - {address: '127.0.0.1:1', zone: a}\n"
    "      - {address: '127.0.0.2:1', zone: b}\n"
    "    lb: {policy: random, zone_aware: {local_cluster: shop, "
    "force_local_zone: 1, min_cluster_size: 2}}\n"
    "  small:\n"
    "    endpoints:\n"
    "      - {address: '127.0.0.1:1', zone: a}\n"
    "      - {address: '127.0.0.2:1', zone: b}\n"
    "    lb: {policy: random, zone_aware: shop}\n"
    "  who:\n"
    "    endpoints:\n"
    "      - {address: '127.0.0.1:1', zone: a}\n"
    "      - {address: '127.0.0.2:1', zone: b}\n"
    "    lb: {policy: random, zone_aware: {}}\n"
    "  ill:\n"
    "    endpoints:\n"
    "      - {address: '127.0.0.1:1', zone: a}\n"
    "      - {address: '127.0.0.2:1', zone: b, health: unhealthy}\n"
    "      - {address: '127.0.0.3:1', zone: b, health: unhealthy}\n"
    "    lb: {policy: random, zone_aware: {local_cluster: shop, "
    "fail_traffic_on_panic: true}}\n"
    "hosts:\n"
    "  - domains: '*'\n"
    "    routes:\n"
    "      - {match: {path: {exact: /near}}, route: near}\n"
    "      - {match: {path: {exact: /here}}, route: here}\n"
    "      - {match: {path: {exact: /ill}}, route: ill}\n"
    "      - {match: {path: {exact: /shop}}, route: shop}\n";

static int setup(void **state) {
    return text_zone_setup(state, mesh);
}

/* Not all that gets nothing is passed by because of zones. */
static const char others[] =
    "clusters:\n"
    "  shop: {endpoints: [{address: '127.0.0.1:1', zone: a},\n"
    "                     {address: '127.0.0.2:1', zone: b}]}\n"
    "  parts:\n"
    "    endpoints:\n"
    "      - {address: '127.0.0.1:1', zone: a, labels: {v: x}}\n"
    "      - {address: '127.0.0.2:1', zone: b, labels: {v: x}}\n"
    "      - {address: '127.0.0.3:1', zone: b, labels: {v: y}}\n"
    "    subsets: {x: {v: x}}\n"
    "    lb: {policy: random, zone_aware: {local_cluster: shop, "
    "force_local_zone: 1, min_cluster_size: 2}}\n"
    "  weights:\n"
    "    endpoints:\n"
    "      - {address: '127.0.0.1:1', zone: a}\n"
    "      - {address: '127.0.0.2:1', zone: b}\n"
    "      - {address: '127.0.0.3:1', zone: a, priority: 1}\n"
    "    lb: {policy: random, locality_weights: [{zone: a, weight: 1}, "
    "{zone: b, weight: 1}]}\n"
    "hosts:\n"
    "  - domains: '*'\n"
    "    routes:\n"
    "      - {match: {path: /parts}, route: parts/x}\n"
    "      - {match: {path: /weights}, route: weights}\n";

static int setup_others(void **state) {
    return text_zone_setup(state, others);
}

static void expect_near(const cJSON *json, const char *path, double want) {
    const cJSON *item = at(json, path);

    assert_non_null(item);
    if (!(item->valuedouble > want - .01 && item->valuedouble < want + .01)) {
        fail_msg("%s: %f, not %f", path, item->valuedouble, want);
    }
}

/* 2 of 3 of shop are in zone a, 1 of 3 of near: half of it stays. */
static void expect_half(const cJSON *json) {
    assert_true(cJSON_IsTrue(at(json, "zone_aware/on")));
    expect_text(json, "zone_aware/why", "on: this zone takes what it can");
    expect_text(json, "zone_aware/local_cluster", "shop");
    expect_text(json, "zone_aware/locality", "a");
    expect_number(json, "zone_aware/failing_percent", 0);
    assert_int_equal(cJSON_GetArraySize(at(json, "zone_aware/zones")), 3);
    expect_text(json, "zone_aware/zones/0/locality", "a");
    expect_number(json, "zone_aware/zones/0/local_usable", 2);
    expect_near(json, "zone_aware/zones/0/local_percent", 66.667);
    expect_number(json, "zone_aware/zones/0/usable", 1);
    expect_near(json, "zone_aware/zones/0/percent", 33.333);
    expect_near(json, "zone_aware/zones/0/load_percent", 50);
    expect_text(json, "zone_aware/zones/1/locality", "b");
    expect_number(json, "zone_aware/zones/1/local_usable", 1);
    expect_near(json, "zone_aware/zones/1/local_percent", 33.333);
    expect_near(json, "zone_aware/zones/1/percent", 66.667);
    expect_near(json, "zone_aware/zones/1/load_percent", 50);
    expect_text(json, "zone_aware/zones/2/locality", "d");
    expect_number(json, "zone_aware/zones/2/local_usable", 0);
    expect_number(json, "zone_aware/zones/2/usable", 0);
    expect_number(json, "zone_aware/zones/2/percent", 0);
    expect_number(json, "zone_aware/zones/2/load_percent", 0);
}

static void expect_off(const cJSON *json, const char *why) {
    assert_true(cJSON_IsFalse(at(json, "zone_aware/on")));
    expect_text(json, "zone_aware/why", why);
    assert_int_equal(cJSON_GetArraySize(at(json, "zone_aware/zones")), 0);
}

static void test_clusters(void **state) {
    const text_zone_t *f = *state;
    cJSON *json = json_of(f->dir, CTL_EXIT_OK, words("clusters"));
    static const char *const names[] = {"heavy", "here",  "ill", "near",
                                        "shop",  "small", "who"};

    for (int i = 0; i < 7; i++) {
        const cJSON *item = cJSON_GetArrayItem(json, i);
        expect_text(item, "cluster", names[i]);
        assert_int_equal(at(item, "zone_aware") != NULL, i != 4);
    }
    const cJSON *heavy = cJSON_GetArrayItem(json, 0);
    expect_near(heavy, "zone_aware/zones/0/percent", 25);
    expect_near(heavy, "zone_aware/zones/0/local_percent", 66.667);
    expect_near(heavy, "zone_aware/zones/0/load_percent", 37.5);
    expect_text(cJSON_GetArrayItem(json, 1), "zone_aware/why",
                "on: all is forced to stay in this zone");
    expect_off(cJSON_GetArrayItem(json, 2), "off: panic");
    expect_number(cJSON_GetArrayItem(json, 2), "zone_aware/failing_percent",
                  100);
    expect_half(cJSON_GetArrayItem(json, 3));
    expect_off(cJSON_GetArrayItem(json, 5),
               "off: fewer usable endpoints than min_cluster_size");
    expect_off(cJSON_GetArrayItem(json, 6),
               "off: nobody says which the local cluster is");
    expect_text(cJSON_GetArrayItem(json, 6), "zone_aware/local_cluster", "");
    cJSON_Delete(json);

    expect(f->dir, CTL_EXIT_OK, words("clusters"),
           words("\nnear\nzone-aware  on: this zone takes what it can (shop)\n",
                 "LOCAL CLUSTER", "  own  a", "2, 66.67 %", "1/1, 33.33 %",
                 "50 %", "\nill\nzone-aware  off: panic (shop)\n",
                 "100 % of the requests fail in panic",
                 "\nwho\nzone-aware  off: nobody says which the local cluster "
                 "is\n"));
}

static void test_endpoints(void **state) {
    const text_zone_t *f = *state;
    cJSON *json = json_of(f->dir, CTL_EXIT_OK, words("endpoints", "near"));

    expect_half(cJSON_GetArrayItem(json, 0));
    expect_text(json, "0/groups/0/locality", "a");
    expect_near(json, "0/groups/0/load_percent", 50);
    expect_text(json, "0/endpoints/0/state", "usable");
    cJSON_Delete(json);

    json = json_of(f->dir, CTL_EXIT_OK, words("endpoints", "here"));
    expect_text(json, "0/endpoints/0/state", "usable");
    expect_text(json, "0/endpoints/1/state", "zone-aware routing passes it by");
    cJSON_Delete(json);
}

/* A ticket decides the zone, and says so. */
static void test_explain(void **state) {
    const text_zone_t *f = *state;
    unsigned here = 0;

    for (unsigned i = 0; i < 200; i++) {
        char ticket[16];
        snprintf(ticket, sizeof(ticket), "0.%u", i);
        cJSON *json = json_of(
            f->dir, CTL_EXIT_OK,
            words("explain", "GET", "http://x/near", "--ticket", ticket));
        bool own = cJSON_IsTrue(at(json, "groups/0/picked"));

        expect_half(json);
        assert_int_equal(
            own, strcmp(at(json, "endpoint")->valuestring, "127.0.0.1:1") == 0);
        expect_text(json, "endpoints/1/why",
                    own ? "another locality's turn" : "");
        here += own;
        cJSON_Delete(json);
    }
    assert_int_equal(here, 100);

    expect(f->dir, CTL_EXIT_OK, words("explain", "GET", "http://x/here"),
           words("zone-aware  on: all is forced to stay in this zone (shop)",
                 "zone-aware routing passes it by", "routed to 127.0.0.1:1"));
    expect(f->dir, CTL_EXIT_NO, words("explain", "GET", "http://x/ill"),
           words("zone-aware  off: panic (shop)",
                 "100 % of the requests fail in panic"));
    cJSON *json =
        json_of(f->dir, CTL_EXIT_OK, words("explain", "GET", "http://x/shop"));
    assert_null(at(json, "zone_aware"));
    cJSON_Delete(json);
}

/* Whose facts the shares are made of, too. */
static void test_view_without_the_local_cluster(void **state) {
    const text_zone_t *f = *state;
    char path[160];

    snprintf(path, sizeof(path), "%s/view", temp_top.path);
    temp_puts(path, "[{\"cluster\": \"near\", \"endpoints\": []}]");
    expect(f->dir, CTL_EXIT_OK,
           words("explain", "GET", "http://x/near", "--view", path),
           words("zone-aware  on: ", "nothing of cluster \"shop\": as if"));
    temp_puts(path, "[]");
    expect(f->dir, CTL_EXIT_OK,
           words("explain", "GET", "http://x/near", "--view", path),
           words("nothing of cluster \"near\": as if",
                 "nothing of cluster \"shop\": as if"));
}

static void test_others_are_out_otherwise(void **state) {
    const text_zone_t *f = *state;
    cJSON *json =
        json_of(f->dir, CTL_EXIT_OK, words("explain", "GET", "http://x/parts"));

    assert_true(cJSON_IsTrue(at(json, "zone_aware/on")));
    expect_text(json, "endpoints/1/why", "zone-aware routing passes it by");
    expect_text(json, "endpoints/2/why", "not in the subset");
    cJSON_Delete(json);

    json = json_of(f->dir, CTL_EXIT_OK,
                   words("explain", "GET", "http://x/weights"));
    expect_text(json, "endpoints/2/why", "its priority has no load");
    cJSON_Delete(json);
}

static void test_dump(void **state) {
    const text_zone_t *f = *state;
    cJSON *json = json_of(f->dir, CTL_EXIT_OK, words("dump"));

    expect_text(json, "clusters/near/zone_aware/local_cluster", "shop");
    expect_number(json, "clusters/near/zone_aware/min_cluster_size", 3);
    expect_text(json, "clusters/heavy/zone_aware/locality_basis", "weight");
    cJSON_Delete(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_clusters, setup,
                                        text_zone_teardown),
        cmocka_unit_test_setup_teardown(test_endpoints, setup,
                                        text_zone_teardown),
        cmocka_unit_test_setup_teardown(test_explain, setup,
                                        text_zone_teardown),
        cmocka_unit_test_setup_teardown(test_view_without_the_local_cluster,
                                        setup, text_zone_teardown),
        cmocka_unit_test_setup_teardown(test_others_are_out_otherwise,
                                        setup_others, text_zone_teardown),
        cmocka_unit_test_setup_teardown(test_dump, setup, text_zone_teardown),
    };
    return cmocka_run_group_tests(tests, temp_top_make, temp_top_remove);
}
