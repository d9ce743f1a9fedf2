/* SPDX-License-Identifier: Apache-2.0 */

/*
 * agent.yaml: every field, every default, every refusal with its place.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent_config.h"
#include "mesh_format.h"
#include "model_table.h"

typedef struct {
    arena_t *arena;
    model_errors_t errors;
    agent_config_t *config;
} fixture_t;

static void decode(fixture_t *f, const char *text) {
    f->arena = arena_new();
    model_errors_init(&f->errors, f->arena);
    model_node_t *root = model_node_from_yaml(f->arena, "agent.yaml",
                                              mesh_str_from(text), &f->errors);
    f->config = root ? agent_config_decode(f->arena, "agent.yaml", "/etc/mesh",
                                           root, &f->errors)
                     : NULL;
}

static void test_defaults(void **state) {
    (void)state;
    fixture_t f;

    decode(&f, "sources: []\n");
    assert_non_null(f.config);
    assert_string_equal(f.config->zone, "/run/nginx-mesh");
    assert_string_equal(f.config->state, "/var/lib/nginx-mesh");
    assert_string_equal(f.config->socket_path, "/run/nginx-mesh/agent.sock");
    assert_null(f.config->socket_group);
    assert_int_equal(f.config->capacity, MESH_FILE_CAPACITY);
    assert_int_equal(f.config->nsources, 0);
    assert_int_equal(f.config->log_level, AGENT_LOG_INFO);
    assert_int_equal(f.config->log_format, AGENT_LOG_TEXT);
    assert_int_equal(f.config->debounce_quiet_ms, 5);
    assert_int_equal(f.config->debounce_bound_ms, 50);
    assert_null(f.config->dns.servers);
    assert_int_equal(f.config->dns.min_ttl_ms, 5000);
    assert_int_equal(f.config->dns.max_ttl_ms, 300000);
    assert_int_equal(f.config->dns.timeout_ms, 2000);
    arena_free(f.arena);
}

static void test_every_field(void **state) {
    (void)state;
    fixture_t f;

    decode(
        &f,
        "zone: /z\n"
        "state: /s\n"
        "capacity: 2M\n"
        "sources:\n"
        "  - file: /abs/a.yaml\n"
        "  - {directory: parts}\n"
        "socket: {path: /run/x.sock, group: adm}\n"
        "log: {level: debug, format: json}\n"
        "debounce: {quiet: 20ms, bound: 1s}\n"
        "dns:\n"
        "  servers: [127.0.0.1, '127.0.0.2:5353', '[::1]', '[::1]:54']\n"
        "  min_ttl: 1s\n"
        "  max_ttl: 1h\n"
        "  timeout: 300ms\n"
        "node: {region: eu, zone: '1', sub_zone: c, local_cluster: shop.v1}\n");
    assert_non_null(f.config);
    assert_true(mesh_str_eq(f.config->node.region, MESH_STR("eu")));
    assert_true(mesh_str_eq(f.config->node.zone, MESH_STR("1")));
    assert_true(mesh_str_eq(f.config->node.sub_zone, MESH_STR("c")));
    assert_true(mesh_str_eq(f.config->local_cluster, MESH_STR("shop.v1")));
    assert_string_equal(f.config->zone, "/z");
    assert_string_equal(f.config->state, "/s");
    assert_int_equal(f.config->capacity, 2 << 20);
    assert_int_equal(f.config->nsources, 2);
    assert_int_equal(f.config->sources[0].kind, AGENT_SOURCE_FILE);
    assert_string_equal(f.config->sources[0].path, "/abs/a.yaml");
    assert_int_equal(f.config->sources[1].kind, AGENT_SOURCE_DIRECTORY);
    assert_string_equal(f.config->sources[1].path, "/etc/mesh/parts");
    assert_string_equal(f.config->socket_path, "/run/x.sock");
    assert_string_equal(f.config->socket_group, "adm");
    assert_int_equal(f.config->log_level, AGENT_LOG_DEBUG);
    assert_int_equal(f.config->log_format, AGENT_LOG_JSON);
    assert_int_equal(f.config->debounce_quiet_ms, 20);
    assert_int_equal(f.config->debounce_bound_ms, 1000);
    assert_string_equal(f.config->dns.servers,
                        "127.0.0.1,127.0.0.2:5353,[::1],[::1]:54");
    assert_int_equal(f.config->dns.min_ttl_ms, 1000);
    assert_int_equal(f.config->dns.max_ttl_ms, 3600000);
    assert_int_equal(f.config->dns.timeout_ms, 300);
    arena_free(f.arena);
}

static void test_a_short_debounce_raises_its_bound(void **state) {
    (void)state;
    fixture_t f;

    decode(&f, "debounce: 200ms\n");
    assert_non_null(f.config);
    assert_int_equal(f.config->debounce_quiet_ms, 200);
    assert_int_equal(f.config->debounce_bound_ms, 200);
    arena_free(f.arena);
}

/* What is refused, and where it is said to stand. */
static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint32_t line;
        uint32_t column;
        const char *path;
    } cases[] = {
        {"[]", 1, 1, ""},
        {"zone: relative\n", 1, 7, "zone"},
        {"zone: []\n", 1, 7, "zone"},
        {"zone: \"\"\n", 1, 7, "zone"},
        {"state: {a: b}\n", 1, 8, "state"},
        {"capacity: 1\n", 1, 11, "capacity"},
        {"capacity: 9G\n", 1, 11, "capacity"},
        {"capacity: 1T\n", 1, 11, "capacity"},
        {"sources: a\n", 1, 10, "sources"},
        {"sources:\n  - a\n", 2, 5, "sources[0]"},
        {"sources:\n  - {file: a}\n  - {socket: b}\n", 3, 5, "sources[1]"},
        {"sources:\n  - {file: a, directory: b}\n", 2, 5, "sources[0]"},
        {"sources:\n  - {file: [a]}\n", 2, 12, "sources[0].file"},
        {"socket: 7\n", 1, 9, "socket"},
        {"socket: {path: x}\n", 1, 16, "socket.path"},
        {"socket: {mode: 1}\n", 1, 10, "socket.mode"},
        {"log: {level: loud}\n", 1, 14, "log.level"},
        {"log: {format: xml}\n", 1, 15, "log.format"},
        {"debounce: 5\n", 1, 11, "debounce"},
        {"dns: {servers: []}\n", 1, 16, "dns.servers"},
        {"dns: {servers: [localhost]}\n", 1, 17, "dns.servers"},
        {"dns: {servers: ['127.0.0.1:0']}\n", 1, 17, "dns.servers"},
        {"dns: {servers: ['[::1']}\n", 1, 17, "dns.servers"},
        {"dns: {servers: ['::1']}\n", 1, 17, "dns.servers"},
        {"dns: {timeout: 0ms}\n", 1, 16, "dns.timeout"},
        {"node: a\n", 1, 7, "node"},
        {"node: {rack: a}\n", 1, 8, "node.rack"},
        {"node: {zone: ''}\n", 1, 14, "node.zone"},
        {"node: {local_cluster: a/b}\n", 1, 23, "node.local_cluster"},
        {"node: {local_cluster: 'a b'}\n", 1, 23, "node.local_cluster"},
        {"node: {local_cluster: \"a\\x7f\"}\n", 1, 23, "node.local_cluster"},
        {"node: {local_cluster: ''}\n", 1, 23, "node.local_cluster"},
        {"node: {local_cluster: 7}\n", 1, 23, "node.local_cluster"},
        {"node: {region: [a]}\n", 1, 16, "node.region"},
        {"dns: {ttl: 1s}\n", 1, 7, "dns.ttl"},
        {"debounce: {quiet: 61s}\n", 1, 19, "debounce.quiet"},
        {"debounce: []\n", 1, 11, "debounce"},
        {"nonsense: 1\n", 1, 1, "nonsense"},
    };

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        fixture_t f;
        decode(&f, cases[i].text);
        assert_null(f.config);
        assert_int_equal(f.errors.errors, 1);
        const model_error_t *e = f.errors.first;
        assert_string_equal(e->file, "agent.yaml");
        assert_int_equal(e->line, cases[i].line);
        assert_int_equal(e->column, cases[i].column);
        assert_string_equal(e->path, cases[i].path);
        arena_free(f.arena);
    }
}

static void test_every_mistake_is_told(void **state) {
    (void)state;
    fixture_t f;

    decode(&f, "zone: a\nstate: b\ncapacity: c\nlog: {level: d}\nx: 1\n");
    assert_null(f.config);
    assert_int_equal(f.errors.errors, 5);
    arena_free(f.arena);
}

static void test_too_many_sources(void **state) {
    (void)state;
    char text[4096] = "sources:\n";
    fixture_t f;

    for (int i = 0; i <= AGENT_SOURCES_MAX; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "- {file: f%d}\n", i);
    }
    decode(&f, text);
    assert_null(f.config);
    arena_free(f.arena);
}

static void test_a_socket_path_that_no_socket_can_have(void **state) {
    (void)state;
    char text[256];
    fixture_t f;

    snprintf(text, sizeof(text), "socket: {path: /%0107d}\n", 0);
    decode(&f, text);
    assert_null(f.config);
    arena_free(f.arena);
    snprintf(text, sizeof(text), "socket: {path: /%0106d}\n", 0);
    decode(&f, text);
    assert_non_null(f.config);
    arena_free(f.arena);
}

static void test_sizes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } right[] = {{"0", 0},
                 {"17", 17},
                 {"4k", 4096},
                 {"4K", 4096},
                 {"256M", UINT64_C(256) << 20},
                 {"8g", UINT64_C(8) << 30}};
    static const char *const wrong[] = {
        "",
        "M",
        "-1",
        "1.5M",
        "1MB",
        " 1",
        "1 M",
        "0x1",
        "1e3",
        "99999999999999999999",
        "17179869185G" /* 64 bits have 1G of it */};
    uint64_t bytes;

    for (size_t i = 0; i < mesh_nelts(right); i++) {
        assert_true(model_parse_size(mesh_str_from(right[i].text), &bytes));
        assert_int_equal(bytes, right[i].bytes);
    }
    for (size_t i = 0; i < mesh_nelts(wrong); i++) {
        assert_false(model_parse_size(mesh_str_from(wrong[i]), &bytes));
    }
}

static void test_durations(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } right[] = {
        {"0ms", 0}, {"5ms", 5}, {"3s", 3000}, {"2m", 120000}, {"1h", 3600000}};
    static const char *const wrong[] = {
        "", "5", "ms", "5 ms", "-5ms", "5us", "1d", "1.5s", "99999999999s"};
    uint64_t ms;

    for (size_t i = 0; i < mesh_nelts(right); i++) {
        assert_true(agent_parse_duration(mesh_str_from(right[i].text), &ms));
        assert_int_equal(ms, right[i].ms);
    }
    for (size_t i = 0; i < mesh_nelts(wrong); i++) {
        assert_false(agent_parse_duration(mesh_str_from(wrong[i]), &ms));
    }
}

static void test_read(void **state) {
    (void)state;
    char dir[] = "/tmp/mesh-config-XXXXXX";
    char path[64];
    fixture_t f = {.arena = arena_new()};

    assert_non_null(mkdtemp(dir));
    model_errors_init(&f.errors, f.arena);
    snprintf(path, sizeof(path), "%s/agent.yaml", dir);
    assert_null(agent_config_read(f.arena, path, &f.errors));
    assert_int_equal(f.errors.errors, 1);
    assert_null(agent_config_read(f.arena, dir, &f.errors));
    assert_int_equal(f.errors.errors, 2);

    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "sources: [{file: m.yaml}]\n", 26), 26);
    close(fd);
    f.config = agent_config_read(f.arena, path, &f.errors);
    assert_non_null(f.config);
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "%s/m.yaml", dir);
    assert_string_equal(f.config->sources[0].path, wanted);
    unlink(path);
    rmdir(dir);
    arena_free(f.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_field),
        cmocka_unit_test(test_a_short_debounce_raises_its_bound),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_every_mistake_is_told),
        cmocka_unit_test(test_too_many_sources),
        cmocka_unit_test(test_a_socket_path_that_no_socket_can_have),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
