/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `meshctl routes` and `meshctl clusters`: each once, in its order, with what
 * the runtime counts of it and of nobody else.
 */

#include "agent_log.h"
#include "ctl_call.h"
#include "ctl_zone.h"
#include "model_random.h"
#include "text_zone.h"

static const char mesh[] =
    "clusters:\n"
    "  a:\n"
    "    endpoints: [127.0.0.1:1, {address: '127.0.0.2:1', weight: 0},"
    " {address: '127.0.0.3:1', health: unhealthy, labels: {v: x}}]\n"
    "    subsets: {x: {v: x}}\n"
    "  b: {endpoints: ['[::1]:9'], lb: least_request, protocol: grpc}\n"
    "  c: {}\n"
    "hosts:\n"
    "  - domains: [z.test, \"*.z.test\", \"z.*\"]\n"
    "    routes:\n"
    "      - {name: post, match: {path: {exact: /p}, methods: [POST, PUT],"
    " headers: {k: v}}, route: b}\n"
    "      - {name: split, match: {path: /p}, route: [{cluster: a/x,"
    " weight: 1}, {cluster: b, weight: 3}]}\n"
    "      - {name: moved, match: {path: /old}, redirect: {host: h}}\n"
    "      - {name: tea, match: {path: /tea}, respond: 418}\n"
    "  - {domains: '*', routes: [{name: any, route: c}]}\n"
    "  - {domains: a.test, routes: [{name: first, route: gone}]}\n";

static int setup(void **state) {
    return text_zone_setup(state, mesh);
}

/* --- routes --------------------------------------------------------------- */

static void expect_names(const text_zone_t *f, const char *host,
                         const char *const *names) {
    cJSON *json = host ? json_of(f->dir, CTL_EXIT_OK, words("routes", host))
                       : json_of(f->dir, CTL_EXIT_OK, words("routes"));
    int n = 0;

    for (; names[n] != NULL; n++) {
        expect_text(cJSON_GetArrayItem(json, n), "name", names[n]);
    }
    assert_int_equal(cJSON_GetArraySize(json), n);
    cJSON_Delete(json);
}

static void test_routes_of_hosts(void **state) {
    text_zone_t *f = *state;
    const char *const *z = words("post", "split", "moved", "tea");

    /* Virtual hosts by name, their routes as they are tried. */
    expect_names(f, NULL,
                 words("any", "first", "post", "split", "moved", "tea"));
    expect_names(f, "z.test", z);
    expect_names(f, "Z.TEST:8080", z);
    expect_names(f, "www.z.test", z);
    expect_names(f, "z.example", z);
    expect_names(f, "a.test", words("first"));
    expect_names(f, "b.test", words("any"));
    expect_names(f, "", words("any"));
    expect(f->dir, CTL_EXIT_OK, words("routes", "a.test"),
           words("TABLE", "DOMAINS", "default", "a.test", "first", "gone"));

    text_zone_publish(f,
                      "hosts: [{domains: a.test, routes: [{respond: 200}]}]");
    expect(f->dir, CTL_EXIT_NO, words("routes", "b.test"),
           words("meshctl: no virtual host for \"b.test\""));
    expect_names(f, "a.test", words("a.test/0"));
    expect(f->dir, CTL_EXIT_OK, words("routes", "b.test", "--at", "1"),
           words("any"));
    expect(f->dir, CTL_EXIT_UNREADABLE, words("routes", "--at", "7"),
           words("generation 7 is not in the history"));
    expect(f->dir, CTL_EXIT_USAGE, words("routes", "a", "b"),
           words("usage: meshctl routes"));
}

static void test_what_a_row_says(void **state) {
    text_zone_t *f = *state;

    expect(f->dir, CTL_EXIT_OK, words("routes"),
           words("z.test,*.z.test,z.*",
                 "exact /p, methods [\"POST\",\"PUT\"], "
                 "headers [{\"name\":\"k\",",
                 "  b  ", "a/x 1, b 3", "redirect 301", "respond 418"));
    cJSON *json = json_of(f->dir, CTL_EXIT_OK, words("routes", "z.test"));
    expect_text(json, "0/table", "default");
    expect_text(json, "0/domains", "z.test,*.z.test,z.*");
    expect_text(json, "0/match/exact", "/p");
    expect_text(json, "1/route/0/subset", "x");
    expect_number(json, "3/respond/status", 418);
    expect_number(json, "1/requests", 0);
    cJSON_Delete(json);
}

static uint32_t slot_of_route(const text_zone_t *f, const char *name) {
    ctl_zone_t zone;

    assert_true(ctl_zone_open(&zone, f->dir, 0));
    const mesh_rec_binding_t *binding = mesh_get(zone.s, zone.root->binding);
    const mesh_map_entry_t *entry =
        mesh_map_find(zone.s, binding->routes, mesh_str_from(name),
                      mesh_hash32(name, strlen(name)));
    assert_non_null(entry);
    uint32_t slot = entry->aux;
    ctl_zone_close(&zone);
    return slot;
}

/* Of the slot's owner only; without a slot nothing is counted. */
static void test_counters_of_routes(void **state) {
    text_zone_t *f = *state;
    mesh_runtime_file_t file;
    uint32_t index = slot_of_route(f, "split");

    text_zone_runtime(f, &file);
    mesh_route_slot_t *slot = mesh_runtime_claim_route(
        &file.rt, index, mesh_runtime_tag(mesh_hash64("split", 5)));
    assert_non_null(slot);
    slot->requests = 12345;
    slot->status[5] = 67;
    cJSON *json = json_of(f->dir, CTL_EXIT_OK, words("routes", "z.test"));
    expect_number(json, "0/requests", 0);
    expect_number(json, "1/requests", 12345);
    expect_number(json, "1/failed", 67);
    cJSON_Delete(json);
    expect(f->dir, CTL_EXIT_OK, words("routes"), words("12345", "67"));
    slot->tag ^= 4;
    json = json_of(f->dir, CTL_EXIT_OK, words("routes", "z.test"));
    expect_number(json, "1/requests", 0);
    cJSON_Delete(json);
    mesh_runtime_close(&file);
}

/* --- routes of random meshes ---------------------------------------------- */

static int by_name(const void *a, const void *b) {
    return mesh_str_cmp(((const model_vhost_t *)a)->name,
                        ((const model_vhost_t *)b)->name);
}

static bool is(const cJSON *json, const char *key, mesh_str_t wanted) {
    const char *text =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));

    return text != NULL && mesh_str_eq(mesh_str_from(text), wanted);
}

/* Each of the domains is in the text, and nothing else. */
static void has_domains(const cJSON *row, const model_vhost_t *h) {
    const char *text = at(row, "domains")->valuestring;
    size_t len = 0;

    for (uint32_t i = 0; i < h->ndomains; i++) {
        const char *found = strstr(text, h->domains[i].data);
        assert_non_null(found);
        len += h->domains[i].len + (i ? 1 : 0);
    }
    assert_int_equal(strlen(text), len);
}

static uint32_t check_host(const cJSON *json, uint32_t at_row,
                           const model_vhost_t *h) {
    for (uint32_t i = 0; i < h->nroutes; i++) {
        const cJSON *row = cJSON_GetArrayItem(json, (int)(at_row + i));

        if (!is(row, "name", h->routes[i].name)) {
            fail_msg("row %u is not route %s", at_row + i,
                     h->routes[i].name.data);
        }
        has_domains(row, h);
    }
    return at_row + h->nroutes;
}

static void test_routes_of_random_meshes(void **state) {
    text_zone_t *f = *state;
    static const model_random_size_t size = {2, 2, 6, 5, NULL, false, false};
    uint64_t published = 1;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        rng_t rng = {seed};
        arena_t *arena = arena_new();
        model_part_t *part = model_random_part(arena, &rng, &size);

        if (part->ntables == 0) {
            arena_free(arena);
            continue;
        }
        text_zone_publish_part(f, part);
        published++;
        model_route_table_t *t = part->tables;
        qsort(t->vhosts, t->nvhosts, sizeof(*t->vhosts), by_name);
        cJSON *json = json_of(f->dir, CTL_EXIT_OK, words("routes"));
        uint32_t row = 0;
        for (uint32_t i = 0; i < t->nvhosts; i++) {
            row = check_host(json, row, &t->vhosts[i]);
        }
        assert_int_equal(cJSON_GetArraySize(json), row);
        cJSON_Delete(json);
        arena_free(arena);
    }
    assert_in_range(published, 30, 61);
}

/* --- clusters ------------------------------------------------------------- */

static void test_clusters(void **state) {
    text_zone_t *f = *state;
    mesh_runtime_file_t file;
    ctl_zone_t zone;

    text_zone_runtime(f, &file);
    assert_true(ctl_zone_open(&zone, f->dir, 0));
    const mesh_cluster_view_t *view = ctl_zone_view(&zone, MESH_STR("a"));
    mesh_cluster_slot_t *slot = mesh_runtime_claim_cluster(
        &file.rt, view->slot, mesh_runtime_tag(mesh_hash64("a", 1)));
    ctl_zone_close(&zone);
    slot->in_flight = 3;
    slot->requests = 5000;
    slot->status[5] = 40;
    slot->retries = 9;

    cJSON *json = json_of(f->dir, CTL_EXIT_OK, words("clusters"));
    assert_int_equal(cJSON_GetArraySize(json), 3);
    expect_text(json, "0/cluster", "a");
    expect_text(json, "0/lb", "round_robin");
    expect_number(json, "0/subsets", 1);
    expect_number(json, "0/endpoints", 3);
    expect_number(json, "0/usable", 1);
    expect_number(json, "0/in_flight", 3);
    expect_number(json, "0/requests", 5000);
    expect_number(json, "0/failed", 40);
    expect_number(json, "0/retries", 9);
    expect_number(json, "0/ejected", 0);
    expect_text(json, "1/lb", "least_request");
    expect_number(json, "1/requests", 0);
    expect_text(json, "2/cluster", "c");
    expect_number(json, "2/endpoints", 0);
    cJSON_Delete(json);
    expect(f->dir, CTL_EXIT_OK, words("clusters"),
           words("CLUSTER", "1/3", "5000", "1/1", "0/0"));

    slot->tag ^= 4;
    json = json_of(f->dir, CTL_EXIT_OK, words("clusters"));
    expect_number(json, "0/requests", 0);
    cJSON_Delete(json);
    mesh_runtime_close(&file);
    expect(f->dir, CTL_EXIT_UNREADABLE, words("clusters", "--at", "7"),
           words("generation 7 is not in the history"));
}

/* --- drain ---------------------------------------------------------------- */

static void test_drain_without_an_agent(void **state) {
    text_zone_t *f = *state;
    char text[MESH_NAME_MAX + 2];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < 2; i++) {
        const char *what = i ? "undrain" : "drain";

        expect(f->dir, CTL_EXIT_UNREADABLE, words(what, "a", "127.0.0.1:1"),
               words("agent.sock: No such file"));
        expect(f->dir, CTL_EXIT_USAGE, words(what, "a"),
               words("usage: meshctl ", what));
        expect(f->dir, CTL_EXIT_USAGE, words(what, "", "127.0.0.1:1"),
               words("a cluster's name has up to 1024 bytes"));
        expect(f->dir, CTL_EXIT_USAGE, words(what, "a", ""),
               words("an endpoint's address up to"));
        expect(f->dir, CTL_EXIT_USAGE, words(what, text, "127.0.0.1:1"),
               words("a cluster's name has up to 1024 bytes"));
        expect(f->dir, CTL_EXIT_USAGE, words(what, "a", text),
               words("an endpoint's address up to"));
    }
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, setup, text_zone_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_routes_of_hosts),    TEST(test_what_a_row_says),
        TEST(test_counters_of_routes), TEST(test_routes_of_random_meshes),
        TEST(test_clusters),           TEST(test_drain_without_an_agent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
