/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl listeners, and what explain makes of them: workers' words, which
 * are believed in nothing; the listeners of Envoy's resources.
 */

#include "ctl_call.h"
#include "mesh_listener.h"
#include "text_part.h"
#include "text_zone.h"

static const char mesh[] =
    "clusters: {a: {endpoints: ['127.0.0.1:1']}}\n"
    "hosts: [{domains: ['*'], routes: [{name: d, route: a}]}]\n";

static const char other_table[] =
    "route_table: {name: shop}\n"
    "hosts: [{domains: ['*'], routes: [{name: s, route: a}]}]\n";

#define WORKERS_MAX 10

typedef struct {
    text_zone_t *zone;
    int count;
    mesh_runtime_file_t files[WORKERS_MAX]; /* one worker each */
} fixture_t;

static void publish(const text_zone_t *zone) {
    arena_t *arena = arena_new();
    model_part_t *part = text_part(arena, "test", mesh);
    model_route_table_t tables[] = {
        part->tables[0], text_part(arena, "other", other_table)->tables[0]};

    part->tables = tables;
    part->ntables = 2;
    text_zone_publish_part(zone, part);
    arena_free(arena);
}

static int setup(void **state) {
    fixture_t *f = calloc(1, sizeof(*f));

    f->zone = calloc(1, sizeof(*f->zone));
    text_zone_make(f->zone);
    publish(f->zone);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_t *f = *state;

    while (f->count > 0) {
        mesh_runtime_close(&f->files[--f->count]);
    }
    text_zone_remove(f->zone);
    free(f->zone);
    free(f);
    return 0;
}

/* A worker that has adopted a generation; NULL: it says nothing. */
static mesh_worker_slot_t *worker(fixture_t *f, uint64_t generation,
                                  const mesh_listeners_t *said) {
    mesh_runtime_sizes_t sizes = {16, 64, 64, 64};
    mesh_runtime_file_t *file = &f->files[f->count];

    assert_int_equal(
        mesh_runtime_open(file, f->zone->dir, &sizes, f->count++ != 0, 1),
        MESH_OK);
    assert_int_equal(mesh_runtime_claim_worker(file, f->zone->dir, 1), MESH_OK);
    mesh_worker_slot_t *slot = &file->rt.workers[file->rt.worker];
    slot->generation = generation;
    if (said != NULL) {
        mesh_listeners_tell(&file->rt, file->rt.worker, said);
    }
    return slot;
}

static void add(mesh_listeners_t *said, uint8_t family, uint16_t port,
                uint32_t flags, const char *table) {
    mesh_listener_t row = {.family = family, .port = port, .flags = flags};
    mesh_str_t name = mesh_str_from(table ? table : "");

    assert_true(
        mesh_listeners_add(said, &row, MESH_STR_NULL, &name, table ? 1 : 0));
}

static void add_both(mesh_listeners_t *said) {
    add(said, MESH_LISTENER_IPV4, 80, MESH_LISTENER_DEFAULT, "default");
    add(said, MESH_LISTENER_IPV4, 81,
        MESH_LISTENER_SSL | MESH_LISTENER_HTTP2 | MESH_LISTENER_REUSEPORT,
        "shop");
}

/* --- the table ------------------------------------------------------------ */

static void the_table(void **state) {
    fixture_t *f = *state;
    mesh_listeners_t said = {.count = 0};
    mesh_listener_t unix_socket = {.protocol = MESH_LISTENER_STREAM,
                                   .flags = MESH_LISTENER_UPSTREAMS};
    mesh_str_t both[] = {MESH_STR("default"), MESH_STR("shop")};
    mesh_listener_t six = {.family = MESH_LISTENER_IPV6,
                           .port = 443,
                           .flags = MESH_LISTENER_UDP | MESH_LISTENER_SSL};

    add_both(&said);
    mesh_listeners_add(&said, &six, MESH_STR_NULL, both, 2);
    mesh_listeners_add(&said, &unix_socket, MESH_STR("/run/\x1b[2J"), NULL, 0);
    add(&said, MESH_LISTENER_IPV4, 82, 0, NULL);
    worker(f, 1, &said);
    worker(f, 3, &said);
    expect(f->zone->dir, CTL_EXIT_OK, words("listeners"),
           words("ADDRESS         PROTOCOL      TABLE             WORKERS  "
                 "GENERATION\n"
                 "0.0.0.0:80      http          default           2 of 2   "
                 "1 to 3\n"
                 "0.0.0.0:81      https, http2  shop              2 of 2   "
                 "1 to 3\n"
                 "[::]:443        http3         default, shop     2 of 2   "
                 "1 to 3\n"
                 "unix:/run/?[2J  tcp           (upstreams only)  2 of 2   "
                 "1 to 3\n"
                 "0.0.0.0:82      http          -                 2 of 2   "
                 "1 to 3\n"));
}

static void for_machines(void **state) {
    fixture_t *f = *state;
    mesh_listeners_t said = {.count = 0};

    add_both(&said);
    worker(f, 7, &said);
    cJSON *json = json_of(f->zone->dir, CTL_EXIT_OK, words("listeners"));
    assert_int_equal(cJSON_GetArraySize(json), 2);
    expect_text(json, "0/address", "0.0.0.0:80");
    expect_text(json, "0/protocol", "http");
    expect_text(json, "0/tables/0", "default");
    expect_number(json, "0/workers", 1);
    expect_number(json, "0/live", 1);
    expect_number(json, "0/generation", 7);
    assert_true(cJSON_IsTrue(at(json, "0/default_server")));
    assert_true(cJSON_IsFalse(at(json, "0/ssl")));
    assert_true(cJSON_IsTrue(at(json, "1/ssl")));
    assert_true(cJSON_IsTrue(at(json, "1/http2")));
    assert_true(cJSON_IsTrue(at(json, "1/reuseport")));
    assert_true(cJSON_IsFalse(at(json, "1/upstreams")));
    cJSON_Delete(json);
}

/* Between a reload's two configurations. */
static void workers_that_differ(void **state) {
    fixture_t *f = *state;
    mesh_listeners_t one = {.count = 0}, two = {.count = 0};

    add(&one, MESH_LISTENER_IPV4, 80, 0, "default");
    add_both(&two);
    worker(f, 1, &one);
    worker(f, 2, &two);
    mesh_worker_slot_t *leaving = worker(f, 2, &one);
    leaving->state = MESH_WORKER_EXITING;
    expect(f->zone->dir, CTL_EXIT_OK, words("listeners"),
           words("0.0.0.0:80  http          default  1 of 2   1\n",
                 "0.0.0.0:81  https, http2  shop     1 of 2   2\n",
                 "0.0.0.0:80  http          default  1 of 2   2\n"));
}

static void without_a_listener(void **state) {
    fixture_t *f = *state;
    mesh_listeners_t none = {.count = 0}, more = {.left_out = 3};

    expect(f->zone->dir, CTL_EXIT_NO, words("listeners"),
           words("there is no worker of nginx"));
    worker(f, 1, &none);
    expect(f->zone->dir, CTL_EXIT_NO, words("listeners"),
           words("listens nowhere for the mesh"));
    cJSON *json = json_of(f->zone->dir, CTL_EXIT_NO, words("listeners"));
    assert_int_equal(cJSON_GetArraySize(json), 0);
    cJSON_Delete(json);
    worker(f, 1, NULL);
    add_both(&more);
    worker(f, 1, &more);
    expect(f->zone->dir, CTL_EXIT_OK, words("listeners"),
           words("1 of 3", "1 of 3 workers do not say", "3 more"));
    expect("/nowhere", CTL_EXIT_UNREADABLE, words("listeners"),
           words("nothing was published there"));
}

/* More than are told together: how many more is told. */
static void more_than_fit(void **state) {
    fixture_t *f = *state;

    for (uint16_t i = 0; i < 10; i++) {
        mesh_listeners_t said = {.count = 0};

        for (uint16_t k = 0; k < MESH_LISTENERS_MAX; k++) {
            add(&said, MESH_LISTENER_IPV4,
                (uint16_t)(1 + i * MESH_LISTENERS_MAX + k), 0, NULL);
        }
        worker(f, 1, &said);
    }
    expect(f->zone->dir, CTL_EXIT_OK, words("listeners"),
           words("0.0.0.0:1024", "96 more"));
}

/* Columns are as wide as their characters, not their bytes. */
static void columns_of_characters(void **state) {
    fixture_t *f = *state;
    mesh_listeners_t said = {.count = 0};

    add(&said, MESH_LISTENER_IPV4, 80, 0,
        "\xc3\xa4\xc3\xb6\xe2\x82\xac\xf0\x9f"
        "\x98\x80xxxx");
    add(&said, MESH_LISTENER_IPV4, 81, 0, "default");
    worker(f, 1, &said);
    expect(f->zone->dir, CTL_EXIT_OK, words("listeners"),
           words("http      \xc3\xa4\xc3\xb6\xe2\x82\xac\xf0\x9f\x98\x80xxxx  "
                 "1 of 1",
                 "http      default   1 of 1"));
}

/* --- explain -------------------------------------------------------------- */

static void explain_tells_the_listener(void **state) {
    fixture_t *f = *state;
    const char *dir = f->zone->dir;
    mesh_listeners_t said = {.count = 0};

    add_both(&said);
    worker(f, 1, &said);
    expect(dir, CTL_EXIT_OK, words("explain", "GET", "http://x/"),
           words("listener    0.0.0.0:80 http, table default (1 worker)\n"
                 "request     GET x /\n",
                 "->  d "));
    expect(dir, CTL_EXIT_OK,
           words("explain", "GET", "http://x/", "--port", "81"),
           words("listener    0.0.0.0:81 https, http2, table shop (1 worker)\n",
                 "->  s "));
    expect(dir, CTL_EXIT_OK,
           words("explain", "GET", "http://x/", "--port", "81", "--table",
                 "default"),
           words("listener    0.0.0.0:81 https", "->  d "));
    expect(dir, CTL_EXIT_OK,
           words("explain", "GET", "http://x/", "--table", "shop"),
           words("listener    0.0.0.0:81 https", "->  s "));
    expect(dir, CTL_EXIT_OK,
           words("explain", "GET", "http://x/", "--port", "9"),
           words("listener    none on port 9\n", "->  d "));
    cJSON *json = json_of(dir, CTL_EXIT_OK,
                          words("explain", "GET", "http://x/", "--port", "81"));
    expect_text(json, "listeners/0/address", "0.0.0.0:81");
    expect_text(json, "listeners/0/tables/0", "shop");
    expect_text(json, "route", "s");
    cJSON_Delete(json);
}

static void explain_guesses_nothing(void **state) {
    fixture_t *f = *state;
    const char *dir = f->zone->dir;
    mesh_listeners_t said = {.count = 0};
    mesh_str_t both[] = {MESH_STR("shop"), MESH_STR("default")};
    mesh_listener_t six = {.family = MESH_LISTENER_IPV6, .port = 80};

    cJSON *json =
        json_of(dir, CTL_EXIT_OK, words("explain", "GET", "http://x/"));
    assert_null(at(json, "listeners"));
    cJSON_Delete(json);

    /* Two listeners for the table, two tables of a listener. */
    add(&said, MESH_LISTENER_IPV4, 80, 0, "shop");
    mesh_listeners_add(&said, &six, MESH_STR_NULL, both, 2);
    add(&said, MESH_LISTENER_IPV4, 82, 0, "default");
    worker(f, 1, &said);
    json = json_of(dir, CTL_EXIT_OK, words("explain", "GET", "http://x/"));
    assert_null(at(json, "listeners"));
    expect_text(json, "route", "d");
    cJSON_Delete(json);
    expect(dir, CTL_EXIT_OK,
           words("explain", "GET", "http://x/", "--port", "80"),
           words("0.0.0.0:80 http, table shop (1 worker)\n"
                 "listener    [::]:80 http, tables shop, default (1 worker)\n",
                 "->  d "));
}

/* Each request of a file has a port of its own. */
static void explain_of_a_file(void **state) {
    fixture_t *f = *state;
    mesh_listeners_t said = {.count = 0};
    char path[128];

    add_both(&said);
    worker(f, 1, &said);
    snprintf(path, sizeof(path), "%s/requests", f->zone->top.path);
    temp_puts(path, "GET http://x/\n--port 81\n\nGET http://x/\n--port 80\n");
    expect(f->zone->dir, CTL_EXIT_OK, words("explain", "-f", path),
           words("table shop", "->  s ", "table default", "->  d "));
}

/* --- hostile bytes -------------------------------------------------------- */

static void bytes_that_lie(void **state) {
    fixture_t *f = *state;
    mesh_listeners_t said = {.count = 0};

    add_both(&said);
    mesh_worker_slot_t *slot = worker(f, 1, &said);
    mesh_listeners_t *place = (void *)f->files[0].rt.listeners;

    for (uint32_t i = 0; i < sizeof(*place) / 4; i++) {
        uint32_t *word = (uint32_t *)place + i, before = *word;

        *word = i % 2 ? 0xffffffff : 0x00010001;
        capture_t c = call(f->zone->dir, words("listeners"));
        assert_in_range(c.code, CTL_EXIT_OK, CTL_EXIT_NO);
        capture_free(&c);
        *word = before;
    }
    place->v[0].family = 9;
    expect(f->zone->dir, CTL_EXIT_NO, words("listeners"),
           words("1 of 1 workers do not say"));
    slot->pid = 1;
    expect(f->zone->dir, CTL_EXIT_NO, words("listeners"),
           words("1 of 1 workers do not say"));
}

/* --- resources ------------------------------------------------------------ */

#define HCM                                                                    \
    "{name: hcm, typed_config: {'@type': type.googleapis.com/envoy.extensions" \
    ".filters.network.http_connection_manager.v3.HttpConnectionManager, "      \
    "stat_prefix: s, "

static const char resources[] =
    "static_resources:\n"
    "  listeners:\n"
    "  - name: in\n"
    "    address: {socket_address: {address: 0.0.0.0, port_value: 80}}\n"
    "    additionalAddresses: [{address: {socketAddress: {address: '::', "
    "portValue: 80}}}]\n"
    "    filter_chains:\n"
    "    - filters: [" HCM "rds: {route_config_name: web}}}]\n"
    "    - filters: [" HCM "rds: {route_config_name: web}}}]\n"
    "    - filters: [" HCM "rds: {route_config_name: api}}}]\n"
    "  - name: side\n"
    "    address: {pipe: {path: /run/side}}\n"
    "    filter_chains:\n"
    "    - filters: [" HCM "route_config: {virtual_hosts: []}}}]\n"
    "  - name: api\n"
    "    api_listener: {api_listener: {'@type': type.googleapis.com/envoy."
    "extensions.filters.network.http_connection_manager.v3."
    "HttpConnectionManager, stat_prefix: s, rds: {route_config_name: web}}}\n";

static void of_resources(void **state) {
    fixture_t *f = *state;
    const char *dir = f->zone->dir;
    char path[128], native[128];

    snprintf(path, sizeof(path), "%s/envoy.yaml", f->zone->top.path);
    snprintf(native, sizeof(native), "%s/mesh.yaml", f->zone->top.path);
    temp_puts(path, resources);
    temp_puts(native, mesh);
    expect(dir, CTL_EXIT_OK, words("listeners", "--resources", path),
           words("ADDRESS              LISTENER  TABLE\n"
                 "0.0.0.0:80, [::]:80  in        web, api\n"
                 "unix:/run/side       side      side\n"
                 "-                    api       web\n"));
    cJSON *json =
        json_of(dir, CTL_EXIT_OK, words("listeners", "--resources", path));
    expect_text(json, "0/name", "in");
    expect_text(json, "0/addresses/1", "[::]:80");
    expect_text(json, "0/tables/1", "api");
    assert_int_equal(cJSON_GetArraySize(at(json, "2/addresses")), 0);
    cJSON_Delete(json);
    expect(dir, CTL_EXIT_NO, words("listeners", "--resources", native),
           words("there is no listener in these files"));
    expect(dir, CTL_EXIT_UNREADABLE,
           words("listeners", "--resources", "/nowhere"), words("/nowhere"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_table, setup, teardown),
        cmocka_unit_test_setup_teardown(for_machines, setup, teardown),
        cmocka_unit_test_setup_teardown(workers_that_differ, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_listener, setup, teardown),
        cmocka_unit_test_setup_teardown(more_than_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(columns_of_characters, setup, teardown),
        cmocka_unit_test_setup_teardown(explain_tells_the_listener, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(explain_guesses_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(explain_of_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_that_lie, setup, teardown),
        cmocka_unit_test_setup_teardown(of_resources, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
