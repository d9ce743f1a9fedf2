/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Request lines: what is understood, what is refused and how it is said, and
 * that what is written is read back.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl_protocol.h"
#include "model_node.h"

static const char *parse(const char *line, ctl_request_t *request) {
    static char error[CTL_ERROR_MAX];
    return ctl_request_parse(mesh_str_from(line), request, error);
}

static void test_understood(void **state) {
    (void)state;
    ctl_request_t r;

    assert_null(parse("{\"command\":\"status\"}", &r));
    assert_int_equal(r.command, CTL_STATUS);
    assert_int_equal(r.length, 0);
    assert_false(r.applied);
    assert_int_equal(r.timeout_ms, CTL_TIMEOUT_MS);
    assert_false(r.names || r.resources);

    assert_null(parse("{\"command\":\"status\",\"names\":true,"
                      "\"resources\":false}",
                      &r));
    assert_true(r.names);
    assert_false(r.resources);

    assert_null(parse(" { \"length\": 12, \"part\": \"a.b-c_D9\", \"command\":"
                      " \"apply\", \"format\": \"lines\", \"wait\": "
                      "\"applied\", \"timeout_ms\": 0 } \t\r",
                      &r));
    assert_int_equal(r.command, CTL_APPLY);
    assert_int_equal(r.format, CTL_LINES);
    assert_int_equal(r.length, 12);
    assert_string_equal(r.part, "a.b-c_D9");
    assert_true(r.applied);
    assert_int_equal(r.timeout_ms, 0);

    assert_null(parse("{\"command\":\"rollback\",\"generation\":9007199254740"
                      "992,\"wait\":\"published\"}",
                      &r));
    assert_int_equal(r.generation, UINT64_C(9007199254740992));
    assert_false(r.applied);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *line;
        const char *told;
    } cases[] = {
        {"", "expected one JSON object"},
        {"{", "expected one JSON object"},
        {"[]", "expected one JSON object"},
        {"null", "expected one JSON object"},
        {"{\"command\":\"status\"}{}", "expected one JSON object"},
        {"{}", "\"command\" is missing"},
        {"{\"command\":1}", "command: expected status, apply"},
        {"{\"command\":\"STATUS\"}", "command: expected"},
        {"{\"Command\":\"status\"}", "\"command\" is missing"},
        {"{\"command\":\"status\",\"colour\":1}", "unknown field \"colour\""},
        {"{\"command\":\"apply\"}", "apply needs \"part\""},
        {"{\"command\":\"apply\",\"part\":\"a\"}", "apply needs \"length\""},
        {"{\"command\":\"apply\",\"part\":\"\",\"length\":0}",
         "part: expected"},
        {"{\"command\":\"apply\",\"part\":\".a\",\"length\":0}",
         "part: expected"},
        {"{\"command\":\"apply\",\"part\":\"a/b\",\"length\":0}",
         "part: expected"},
        {"{\"command\":\"apply\",\"part\":7,\"length\":0}", "part: expected"},
        {"{\"command\":\"apply\",\"part\":\"a\",\"length\":-1}",
         "length: expected"},
        {"{\"command\":\"apply\",\"part\":\"a\",\"length\":1e99}",
         "length: expected"},
        {"{\"command\":\"apply\",\"part\":\"a\",\"length\":\"1\"}",
         "length: expected"},
        {"{\"command\":\"apply\",\"part\":\"a\",\"length\":0,\"format\":\"x\"}",
         "format: expected"},
        {"{\"command\":\"status\",\"length\":1}", "status takes no body"},
        {"{\"command\":\"rollback\"}", "rollback needs \"generation\""},
        {"{\"command\":\"rollback\",\"generation\":0}", "generation: expected"},
        {"{\"command\":\"rollback\",\"generation\":\"0\"}",
         "generation: expected"},
        {"{\"command\":\"rollback\",\"generation\":\"1x\"}",
         "generation: expected"},
        {"{\"command\":\"status\",\"resources\":1}", "resources: expected"},
        {"{\"command\":\"status\",\"names\":\"x\"}", "names: expected"},
        {"{\"command\":\"rollback\",\"generation\":1.5}",
         "generation: expected"},
        {"{\"command\":\"pin\",\"wait\":\"long\"}", "wait: expected"},
        {"{\"command\":\"pin\",\"wait\":true}", "wait: expected"},
        {"{\"command\":\"pin\",\"timeout_ms\":600001}", "timeout_ms: expected"},
    };

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        ctl_request_t r;
        const char *error = parse(cases[i].line, &r);
        assert_non_null(error);
        if (strstr(error, cases[i].told) == NULL) {
            assert_string_equal(error, cases[i].told);
        }
    }
}

static void test_bounds(void **state) {
    (void)state;
    char *line = malloc(CTL_LINE_MAX + 2);
    char text[128];
    ctl_request_t r;

    memset(line, ' ', CTL_LINE_MAX + 1);
    line[CTL_LINE_MAX + 1] = '\0';
    memcpy(line, "{\"command\":\"status\"}", 20);
    assert_non_null(parse(line, &r));
    line[CTL_LINE_MAX] = '\0';
    assert_null(parse(line, &r));
    memset(line, '[', CTL_LINE_MAX);
    assert_non_null(parse(line, &r));
    free(line);

    snprintf(text, sizeof(text),
             "{\"command\":\"apply\",\"part\":\"a\",\"length\":%llu}",
             (unsigned long long)MODEL_FILE_MAX);
    assert_null(parse(text, &r));
    snprintf(text, sizeof(text),
             "{\"command\":\"apply\",\"part\":\"a\",\"length\":%llu}",
             (unsigned long long)MODEL_FILE_MAX + 1);
    assert_non_null(parse(text, &r));
}

static void test_who_may(void **state) {
    (void)state;
    assert_false(ctl_command_writes(CTL_STATUS));
    for (int i = CTL_APPLY; i <= CTL_RELOAD; i++) {
        assert_true(ctl_command_writes((ctl_command_e)i));
    }
}

static void test_parts(void **state) {
    (void)state;
    char name[CTL_PART_MAX + 2];

    assert_true(ctl_part_valid("a"));
    assert_true(ctl_part_valid("Apply-2.x_y"));
    assert_false(ctl_part_valid(""));
    assert_false(ctl_part_valid(".."));
    assert_false(ctl_part_valid("a b"));
    assert_false(ctl_part_valid("a\n"));
    assert_false(ctl_part_valid("\xc3\xa4"));
    memset(name, 'x', sizeof(name));
    name[CTL_PART_MAX] = '\0';
    assert_true(ctl_part_valid(name));
    name[CTL_PART_MAX] = 'x';
    name[CTL_PART_MAX + 1] = '\0';
    assert_false(ctl_part_valid(name));
}

static void test_written_is_read_back(void **state) {
    (void)state;
    uint64_t random = 5;

    for (int i = 0; i < 500; i++) {
        random = mesh_mix64(random + (uint64_t)i);
        ctl_request_t r = {.command = (ctl_command_e)(random % 7),
                           .format = (ctl_format_e)((random >> 8) % 3),
                           .applied = (random >> 12) & 1,
                           .timeout_ms = (uint32_t)(random >> 16) % 600001,
                           .generation = random | 1,
                           .resources = (random >> 7) & 1,
                           .length = (random >> 30) % 1000000,
                           .part = "part"};
        ctl_request_t back;
        char *line = ctl_request_text(&r);
        size_t len = strlen(line);
        char error[CTL_ERROR_MAX];
        assert_int_equal(line[len - 1], '\n');
        assert_null(
            ctl_request_parse((mesh_str_t){len - 1, line}, &back, error));
        assert_int_equal(back.command, r.command);
        assert_int_equal(back.applied, r.applied);
        if (r.applied) {
            assert_int_equal(back.timeout_ms, r.timeout_ms);
        }
        if (r.command == CTL_APPLY) {
            assert_int_equal(back.format, r.format);
            assert_int_equal(back.length, r.length);
            assert_string_equal(back.part, r.part);
        }
        if (r.command == CTL_ROLLBACK) {
            assert_int_equal(back.generation, r.generation);
            assert_int_equal(back.resources, r.resources);
        }
        free(line);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_understood),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_who_may),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_written_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
