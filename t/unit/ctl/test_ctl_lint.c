/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl lint: where it reads a mesh, what it prints, and how it ends.
 * Rules are in t/unit/lint.
 */

#include "ctl_call.h"
#include "lint.h"
#include "text_zone.h"

static const char mesh[] =
    "clusters:\n"
    "  a: {endpoints: ['127.0.0.1:80'], outlier_detection: {}}\n"
    "  b: {endpoints: ['127.0.0.9:80']}\n"
    "hosts:\n"
    "  - domains: x.test\n"
    "    routes:\n"
    "      - {match: {path: /a}, route: a, retries: {on: reset}}\n"
    "      - {match: {path: /a/b}, route: a}\n"
    "      - {match: {path: /q}, route: a, retries: {on: reset}}\n";

typedef struct {
    text_zone_t *zone;
    char path[160];
    char wrong[160];
} files_t;

static files_t files;

static int setup(void **state) {
    int rc = text_zone_setup(state, mesh);

    files.zone = *state;
    snprintf(files.path, sizeof(files.path), "%s",
             temp_path(&files.zone->top, "m.yaml"));
    snprintf(files.wrong, sizeof(files.wrong), "%s",
             temp_path(&files.zone->top, "wrong.json"));
    temp_puts(files.path, mesh);
    temp_puts(files.wrong, "{\"clusters\": {\"a\": 5}}");
    return rc;
}

#define NEVER                                                                  \
    "warning: cluster \"a\": max_ejection_percent 10 of 1 endpoint is none; "  \
    "at least 100 ejects one [never-ejects]\n"
#define UNUSED "info: cluster \"b\": no route leads to it; "
#define HIDDEN "before it takes all of its requests [unreachable-route]\n"

static void test_files(void **state) {
    (void)state;
    expect(files.zone->dir, CTL_EXIT_NO, words("lint", files.path),
           words("m.yaml:2:3: " NEVER, "m.yaml:3:3: " UNUSED,
                 "m.yaml:8:9: warning: route \"x.test/1\": route "
                 "\"x.test/0\" (line 7) " HIDDEN,
                 "3 findings, 2 warnings\n"));
    cJSON *json =
        json_of(files.zone->dir, CTL_EXIT_NO, words("lint", files.path));
    assert_int_equal(cJSON_GetArraySize(json), 3);
    expect_text(json, "0/code", "never-ejects");
    expect_text(json, "0/severity", "warning");
    expect_number(json, "0/line", 2);
    expect_number(json, "0/column", 3);
    expect_text(json, "0/resource", "cluster \"a\"");
    expect_text(json, "1/severity", "info");
    cJSON_Delete(json);
}

static void test_what_is_published(void **state) {
    (void)state;
    expect(files.zone->dir, CTL_EXIT_NO, words("lint"),
           words(NEVER, UNUSED, HIDDEN, "3 findings, 2 warnings\n"));
    cJSON *json = json_of(files.zone->dir, CTL_EXIT_NO, words("lint"));
    assert_null(at(json, "0/file"));
    assert_null(at(json, "0/line"));
    cJSON_Delete(json);
    expect(files.zone->dir, CTL_EXIT_NO, words("lint", "--at", "1"),
           words("3 findings"));
    expect(files.zone->dir, CTL_EXIT_UNREADABLE, words("lint", "--at", "7"),
           words("generation 7 is not in the history"));
}

static void test_ignore(void **state) {
    (void)state;
    expect(files.zone->dir, CTL_EXIT_OK,
           words("lint", "--ignore", "never-ejects", "--ignore",
                 "unreachable-route"),
           words("1 finding, 0 warnings\n"));
    expect(files.zone->dir, CTL_EXIT_OK,
           words("lint", "--ignore", "never-ejects", "--ignore",
                 "unreachable-route", "--ignore", "unused-cluster", files.path,
                 "-o", "json"),
           words("[]\n"));
    expect(files.zone->dir, CTL_EXIT_USAGE, words("lint", "--ignore", "never"),
           words("no rule of lint is \"never\"; they are: unreachable-route"));
}

static void test_gateway(void **state) {
    (void)state;
    expect(files.zone->dir, CTL_EXIT_NO,
           words("lint", "--gateway", "127.0.0.1:80"),
           words("route \"x.test/0\": through a gateway it may come to itself",
                 "[route-loop]"));
}

static void test_wrong(void **state) {
    (void)state;
    expect(
        files.zone->dir, CTL_EXIT_NO, words("lint", files.path, files.wrong),
        words("wrong.json:1:20: clusters.a: found 5", "nothing else is told"));
    expect(files.zone->dir, CTL_EXIT_UNREADABLE, words("lint", "/nowhere/x"),
           words("/nowhere/x: No such file"));
    expect("/nowhere", CTL_EXIT_UNREADABLE, words("lint"),
           words("nothing was published there"));
    expect(files.zone->dir, CTL_EXIT_USAGE,
           words("lint", files.path, "--at", "1"), words("not of files"));
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, setup, text_zone_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_files),  TEST(test_what_is_published),
        TEST(test_ignore), TEST(test_gateway),
        TEST(test_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
