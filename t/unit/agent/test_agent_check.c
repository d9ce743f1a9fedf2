/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `mesh-agent` as it is called: its command line, and --check, which reads
 * everything, prints every error, and writes nothing.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture.h"
#include "temp_dir.h"

/* The program's main() is the test's to call. */
#define main agent_main
int agent_main(int argc, char **argv);
#include "../../../sync-agent/main/mesh-agent.c"
#undef main

typedef struct {
    int argc;
    char *argv[8];
} call_t;

static int call_main(void *ctx) {
    call_t *call = ctx;

    optind = 1;
    return agent_main(call->argc, call->argv);
}

#define run(...)                                                               \
    ({                                                                         \
        call_t call = {0, {"mesh-agent", __VA_ARGS__}};                        \
        while (call.argc < 8 && call.argv[call.argc] != NULL) {                \
            call.argc++;                                                       \
        }                                                                      \
        capture(call_main, &call, NULL);                                       \
    })

static void expect(capture_t c, int code, const char *out, const char *err) {
    if (c.code != code || strstr(c.out, out) == NULL ||
        strstr(c.err, err) == NULL) {
        fail_msg("exit %d\n%s\n%s", c.code, c.out, c.err);
    }
    capture_free(&c);
}

/* --check of an agent.yaml with these lines. */
static capture_t check(const char *lines) {
    const char *path = temp_path(&temp_top, "agent.yaml");
    char text[1024];

    snprintf(text, sizeof(text), "zone: %s/zone\nstate: %s/state\n%s\n",
             temp_top.path, temp_top.path, lines);
    temp_puts(path, text);
    capture_t c = run("--check", "-c", (char *)(uintptr_t)path);
    /* It writes nothing. */
    assert_int_equal(access(temp_path(&temp_top, "zone"), F_OK), -1);
    assert_int_equal(access(temp_path(&temp_top, "state"), F_OK), -1);
    return c;
}

static void test_command_line(void **state) {
    (void)state;

    expect(run("--version"), 0, "mesh-agent " MESH_VERSION_TEXT "\n", "");
    expect(run("--help"), 0, "usage: mesh-agent -c FILE", "");
    expect(run("-h"), 0, "exit: 0  ended by TERM", "");
    expect(run(NULL), 2, "", "usage: mesh-agent -c FILE");
    expect(run("--check"), 2, "", "usage: mesh-agent");
    expect(run("-c"), 2, "", "option requires an argument");
    expect(run("-x"), 2, "", "invalid option");
    expect(run("-c", "a.yaml", "more"), 2, "", "usage: mesh-agent");
    expect(run("-c", "/nowhere/a.yaml"), 1, "",
           "/nowhere/a.yaml: cannot be read: No such file");
    expect(run("-c", "/nowhere/a.yaml", "--check"), 1,
           "/nowhere/a.yaml: cannot be read: No such file", "");
}

static void test_right(void **state) {
    (void)state;

    expect(check(""), 0, "ok: 0 sources, no errors\n", "");
    temp_puts(temp_path(&temp_top, "a.yaml"),
              "clusters: {a: {endpoints: ['1.1.1.1:1']}, empty: {}}\n");
    mkdir(temp_path(&temp_top, "d"), 0700);
    temp_puts(temp_path(&temp_top, "d/r.json"),
              "{\"hosts\": [{\"domains\": \"x\", \"routes\": [{\"route\": "
              "\"a\"}]}]}");
    capture_t c = check("sources: [{file: a.yaml}, {directory: d}]");
    assert_int_equal(c.code, 0);
    assert_non_null(strstr(c.out, "ok: 2 sources, no errors\n"));
    /* A warning is told once, with its place first. */
    const char *warning = strstr(c.out, "a.yaml:1:");
    assert_non_null(warning);
    assert_non_null(strstr(warning, "warning: cluster \"empty\": found no "
                                    "endpoints, expected some"));
    assert_true(warning == c.out || warning[-1] == '/');
    assert_int_not_equal(strncmp(c.out, "warning: ", 9), 0);
    capture_free(&c);
}

static void test_wrong(void **state) {
    (void)state;

    temp_puts(temp_path(&temp_top, "a.yaml"),
              "clusters: {a: {lb: fast}}\nhosts: 5\n");
    temp_puts(temp_path(&temp_top, "b.yaml"), "clusters: [");
    capture_t c =
        check("sources: [{file: a.yaml}, {file: b.yaml}, {file: none.yaml}]");
    assert_int_equal(c.code, 1);
    assert_non_null(strstr(c.out, "/a.yaml:1:20: clusters.a.lb: found "));
    assert_non_null(strstr(c.out, "/a.yaml:2:8: hosts: found 5, "));
    assert_non_null(strstr(c.out, "/b.yaml:"));
    assert_non_null(strstr(c.out, "/none.yaml: the file is gone\n"));
    assert_non_null(strstr(c.out, "4 errors\n"));
    capture_free(&c);

    /* Rules across sources, once each of them is right. */
    temp_puts(temp_path(&temp_top, "a.yaml"),
              "hosts: [{domains: x, routes: [{route: b}, {route: c}]}]");
    temp_puts(temp_path(&temp_top, "b.yaml"), "clusters: {b: {}}");
    c = check("sources: [{file: a.yaml}, {file: b.yaml}]");
    assert_int_equal(c.code, 1);
    assert_non_null(strstr(c.out, "/a.yaml:1:43: route \"x/1\": found cluster "
                                  "\"c\", expected a cluster of the mesh"));
    assert_non_null(strstr(c.out, "1 error\n"));
    capture_free(&c);

    expect(check("sources: 5\ncapacity: tiny"), 1,
           "agent.yaml:3:10: sources: found \"5\", expected a list of at most "
           "64 sources\n",
           "");
    expect(check("sources: [{directory: none}]"), 1,
           "/none: cannot be read: No such file or directory\n1 error\n", "");
}

/* It ends, though a running agent would look at these again and again. */
static void test_unreadable(void **state) {
    (void)state;

    mkdir(temp_path(&temp_top, "a.yaml"), 0700);
    mkfifo(temp_path(&temp_top, "b.yaml"), 0600);
    mkdir(temp_path(&temp_top, "d"), 0700);
    mkdir(temp_path(&temp_top, "d/c.yaml"), 0700);
    temp_puts(temp_path(&temp_top, "empty.yaml"), "");
    capture_t c = check("sources: [{file: a.yaml}, {file: b.yaml}, "
                        "{directory: d}, {directory: a.yaml/none}]");
    assert_int_equal(c.code, 1);
    assert_non_null(strstr(c.out, "/a.yaml: cannot be read: Is a directory"));
    assert_non_null(strstr(c.out, "/b.yaml: cannot be read: Invalid"));
    assert_non_null(strstr(c.out, "/c.yaml: cannot be read: Is a directory"));
    assert_non_null(strstr(c.out, "/none: cannot be read: No such file"));
    assert_non_null(strstr(c.out, "4 errors\n"));
    capture_free(&c);
    /* One that may be half written is waited for, and then told. */
    c = check("sources: [{file: empty.yaml}]");
    assert_int_equal(c.code, 1);
    assert_non_null(strstr(c.out, "/empty.yaml:"));
    capture_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_command_line, temp_top_make,
                                        temp_top_remove),
        cmocka_unit_test_setup_teardown(test_right, temp_top_make,
                                        temp_top_remove),
        cmocka_unit_test_setup_teardown(test_wrong, temp_top_make,
                                        temp_top_remove),
        cmocka_unit_test_setup_teardown(test_unreadable, temp_top_make,
                                        temp_top_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
