/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A part by its resources: what is in force, and what is refused of it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent_log.h"
#include "agent_resources.h"
#include "source.h"
#include "source_stream.h"
#include "text_part.h"

static agent_parts_t parts;

static int setup(void **state) {
    (void)state;
    agent_parts_init(&parts);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    agent_parts_free(&parts);
    return 0;
}

static void publish(void) {
    assert_int_equal(agent_parts_settle(&parts, NULL, 2), 1);
    agent_parts_accept(&parts, 3);
}

/* "cluster "a": VERSION, VERDICT", a line each. */
static char *told(const char *name) {
    uint32_t left_out = 7;
    cJSON *list =
        agent_resources_json(agent_parts_find(&parts, name), &left_out);
    char *text = strdup("");
    const cJSON *item;

    assert_int_equal(left_out, 0);
    cJSON_ArrayForEach(item, list) {
        const cJSON *version = cJSON_GetObjectItem(item, "version");
        const cJSON *verdict = cJSON_GetObjectItem(item, "verdict");
        char *more;

        assert_true(asprintf(&more, "%s%s%s%s%s\n", text,
                             cJSON_GetObjectItem(item, "resource")->valuestring,
                             version ? ", in force" : "", verdict ? ": " : "",
                             verdict ? verdict->valuestring : "") > 0);
        free(text);
        text = more;
        if (version != NULL) {
            assert_int_equal(strlen(version->valuestring),
                             SOURCE_VERSION_SIZE - 1);
            assert_non_null(cJSON_GetObjectItem(item, "time_ms"));
        }
    }
    cJSON_Delete(list);
    return text;
}

static void expect(const char *name, const char *wanted) {
    char *text = told(name);

    assert_string_equal(text, wanted);
    free(text);
}

#define FILE_TEXT                                                              \
    "clusters: {a: {endpoints: ['127.0.0.1:80']}, b: {}}\n"                    \
    "endpoints: {x: ['127.0.0.1:81']}\n"                                       \
    "hosts: [{domains: a.b, routes: [{route: a}]}]"

static void test_file(void **state) {
    (void)state;
    agent_parts_set(&parts, "f.yaml", text_bundle("f.yaml", FILE_TEXT), 1);
    expect("f.yaml", "");
    publish();
    expect("f.yaml", "cluster \"a\", in force\n"
                     "cluster \"b\", in force\n"
                     "endpoint set \"x\", in force\n"
                     "host \"a.b\", in force\n");
    assert_int_equal(
        strlen(agent_resources_version(agent_parts_find(&parts, "f.yaml"))),
        SOURCE_VERSION_SIZE - 1);
}

static void refuse(const char *name, const char *yaml) {
    arena_t *arena = arena_new();
    model_errors_t errors;

    model_errors_init(&errors, arena);
    assert_null(
        source_decode(arena, name, mesh_str_from(yaml), false, 1, &errors));
    agent_parts_refuse(&parts, name, &errors, 4);
    arena_free(arena);
}

/* What is refused, beside what goes on; what is of no resource is neither's. */
static void test_refused(void **state) {
    (void)state;
    agent_parts_set(&parts, "f.yaml", text_bundle("f.yaml", FILE_TEXT), 1);
    publish();
    refuse("f.yaml", "clusters: {a: {lb: q, dns: 5}, c: {lb: q}}\nnonsense: 1");
    char *text = told("f.yaml");

    assert_non_null(strstr(text, "cluster \"a\", in force: f.yaml:1:20: "));
    assert_non_null(strstr(text, "\nf.yaml:1:28: clusters.a.dns: "));
    assert_non_null(strstr(text, "cluster \"b\", in force\n"));
    assert_non_null(strstr(text, "\ncluster \"c\": f.yaml:1:"));
    assert_null(strstr(text, "nonsense"));
    free(text);

    /* What was right before is in force again. */
    agent_parts_set(&parts, "f.yaml", text_bundle("f.yaml", FILE_TEXT), 5);
    text = told("f.yaml");
    assert_null(strstr(text, ": f.yaml"));
    free(text);
}

/* Rules across parts blame a route. */
static void test_refused_together(void **state) {
    (void)state;
    agent_parts_set(&parts, "f.yaml",
                    text_bundle("f.yaml", "hosts: [{domains: a.b, routes: "
                                          "[{route: q}]}]"),
                    1);
    assert_int_equal(agent_parts_settle(&parts, NULL, 2), 0);
    char *text = told("f.yaml");

    assert_ptr_equal(strstr(text, "route \"a.b/0\": f.yaml:1:"), text);
    free(text);
}

/* Each of a stream's has its own version. */
static void test_stream(void **state) {
    source_stream_t *stream = source_stream_new("stream:s");
    arena_t *arena = arena_new();
    model_errors_t errors;
    uint32_t more;
    (void)state;

    model_errors_init(&errors, arena);
    assert_true(source_stream_change(
        stream,
        MESH_STR("{\"upsert\": {\"clusters\": {\"a\": {\"endpoints\": []}}}}\n"
                 "{\"upsert\": {\"clusters\": {\"b\": {\"lb\": "
                 "\"random\"}}}}\n"),
        9, &errors));
    agent_parts_set(&parts, "stream:s", source_stream_bundle(stream), 1);
    publish();
    /* There, endpoints are a resource beside their cluster. */
    expect("stream:s", "cluster \"a\", in force\n"
                       "cluster \"b\", in force\n"
                       "endpoint set \"a\", in force\n");
    cJSON *list =
        agent_resources_json(agent_parts_find(&parts, "stream:s"), &more);
    const char *one =
        cJSON_GetObjectItem(cJSON_GetArrayItem(list, 0), "version")
            ->valuestring;
    const char *two =
        cJSON_GetObjectItem(cJSON_GetArrayItem(list, 1), "version")
            ->valuestring;
    assert_string_not_equal(one, two);
    cJSON_Delete(list);
    assert_string_equal(
        agent_resources_version(agent_parts_find(&parts, "stream:s")), "");
    source_stream_free(stream);
    arena_free(arena);
}

/* More than an answer may hold are counted. */
static void test_many(void **state) {
    enum { EXTRA = 5 };
    static char text[64 * (AGENT_RESOURCES_MAX + EXTRA)];
    size_t len = (size_t)snprintf(text, sizeof(text), "clusters:\n");
    uint32_t more;
    (void)state;

    for (uint32_t i = 0; i < AGENT_RESOURCES_MAX + EXTRA; i++) {
        len +=
            (size_t)snprintf(text + len, sizeof(text) - len, "  c%u: {}\n", i);
    }
    agent_parts_set(&parts, "f.yaml", text_bundle("f.yaml", text), 1);
    publish();
    cJSON *list =
        agent_resources_json(agent_parts_find(&parts, "f.yaml"), &more);
    assert_int_equal(cJSON_GetArraySize(list), AGENT_RESOURCES_MAX);
    assert_int_equal(more, EXTRA);
    cJSON_Delete(list);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_file),   TEST(test_refused), TEST(test_refused_together),
        TEST(test_stream), TEST(test_many),
    };

    agent_log_setup(AGENT_LOG_ERROR + 1, AGENT_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
