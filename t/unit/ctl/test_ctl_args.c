/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl's command line and its tables.
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

#include "ctl_args.h"
#include "ctl_table.h"

static int run_nothing(const ctl_args_t *args) {
    (void)args;
    return 0;
}

static const ctl_command_row_t rows[] = {
    {"plain", 0, 0, 0, run_nothing, "", "takes nothing", NULL},
    {"some",
     CTL_TAKES_HEADER | CTL_TAKES_TICKET | CTL_TAKES_SOURCE | CTL_TAKES_AT, 1,
     2, run_nothing, "A [B]", "takes some", NULL},
    {"send",
     CTL_TAKES_FILE | CTL_TAKES_PART | CTL_TAKES_FORMAT | CTL_TAKES_WAIT |
         CTL_TAKES_TIMEOUT | CTL_TAKES_APPLIED | CTL_TAKES_TABLE,
     0, 0, run_nothing, "", "takes the rest", NULL},
    {"look", CTL_TAKES_HASH | CTL_TAKES_IGNORE | CTL_TAKES_GATEWAY, 0, 0,
     run_nothing, "", "takes others", NULL},
};

/* Splits at blanks; what is printed goes to /dev/null. */
static const ctl_command_row_t *parse(const char *line, ctl_args_t *args,
                                      int *exit_code) {
    static char text[512];
    char *argv[32] = {"meshctl"};
    int argc = 1;

    snprintf(text, sizeof(text), "%s", line);
    for (char *p = text; *p;) {
        argv[argc++] = p;
        p += strcspn(p, " ");
        if (*p) {
            *p++ = '\0';
        }
    }
    static char *kept[32];
    memcpy(kept, argv, sizeof(argv));
    fflush(stdout);
    int null = open("/dev/null", O_WRONLY);
    int out = dup(STDOUT_FILENO);
    int err = dup(STDERR_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    const ctl_command_row_t *row =
        ctl_args_parse(argc, kept, rows, mesh_nelts(rows), args, exit_code);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    close(null);
    return row;
}

static void test_defaults(void **state) {
    (void)state;
    ctl_args_t args;
    int rc;

    assert_ptr_equal(parse("plain", &args, &rc), &rows[0]);
    assert_string_equal(args.zone, "/run/nginx-mesh");
    assert_string_equal(args.table, "default");
    assert_string_equal(args.part, "apply");
    assert_false(args.json);
    assert_int_equal(args.given, 0);
    assert_int_equal(args.argc, 0);
}

static void test_options_before_and_behind(void **state) {
    (void)state;
    ctl_args_t args;
    int rc;

    assert_ptr_equal(parse("--zone /z some -H a:b x -o json --header c:d y "
                           "--ticket 3.18446744073709551615 --at 7",
                           &args, &rc),
                     &rows[1]);
    assert_string_equal(args.zone, "/z");
    assert_true(args.json);
    assert_int_equal(args.argc, 2);
    assert_string_equal(args.argv[0], "x");
    assert_string_equal(args.argv[1], "y");
    assert_int_equal(args.nheaders, 2);
    assert_string_equal(args.headers[1], "c:d");
    assert_int_equal(args.route_ticket, 3);
    assert_int_equal(args.cluster_ticket, UINT64_MAX);
    assert_int_equal(args.at, 7);

    assert_ptr_equal(
        parse("send -f - --part p --format lines --wait --timeout 1.5 "
              "--applied 9 --table t --socket /s -o table",
              &args, &rc),
        &rows[2]);
    assert_string_equal(args.file, "-");
    assert_string_equal(args.part, "p");
    assert_string_equal(args.format, "lines");
    assert_true(args.given & CTL_TAKES_WAIT);
    assert_int_equal(args.timeout_ms, 1500);
    assert_int_equal(args.applied, 9);
    assert_string_equal(args.table, "t");
    assert_string_equal(args.socket, "/s");

    /* As $mesh_ticket prints a ticket that was not drawn. */
    assert_non_null(parse("some x --ticket -.5", &args, &rc));
    assert_int_equal(args.route_ticket, 0);
    assert_int_equal(args.cluster_ticket, 5);
    assert_int_equal(args.share_ticket, 0);
    assert_non_null(parse("some x --ticket 1.-.9 --source ::1", &args, &rc));
    assert_int_equal(args.share_ticket, 9);
    assert_string_equal(args.source, "::1");
}

static void test_usage(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",
        "nonsense",
        "plain x",
        "plain -f x",
        "some",
        "some a b c",
        "some a --table t",
        "some a -H nocolon",
        "some a --ticket 5",
        "some a --ticket 5.",
        "some a --ticket .5",
        "some a --ticket 1.2.",
        "some a --ticket 1.2.3.4",
        "some a --ticket a.b",
        "plain --source ::1",
        "some a --ticket 18446744073709551616.0",
        "some a --at 0",
        "some a --at x",
        "send --part ../x",
        "send --timeout x",
        "send --timeout -1",
        "send --timeout 601",
        "send --timeout nan",
        "plain -o xml",
        "plain --nonsense",
        "plain --zone",
    };
    ctl_args_t args;
    int rc;

    for (size_t i = 0; i < mesh_nelts(wrong); i++) {
        rc = -1;
        assert_null(parse(wrong[i], &args, &rc));
        assert_int_equal(rc, CTL_EXIT_USAGE);
    }
}

static void test_help_and_version(void **state) {
    (void)state;
    ctl_args_t args;
    int rc;

    assert_null(parse("--help", &args, &rc));
    assert_int_equal(rc, CTL_EXIT_OK);
    assert_null(parse("--version", &args, &rc));
    assert_int_equal(rc, CTL_EXIT_OK);
}

static void test_too_many_headers(void **state) {
    (void)state;
    char *argv[2 * CTL_HEADERS_MAX + 8] = {"meshctl", "some", "x"};
    ctl_args_t args;
    int argc = 3;
    int rc;

    for (int i = 0; i < CTL_HEADERS_MAX; i++) {
        argv[argc++] = "-H";
        argv[argc++] = "a:b";
    }
    assert_non_null(
        ctl_args_parse(argc, argv, rows, mesh_nelts(rows), &args, &rc));
    argv[argc++] = "-H";
    argv[argc++] = "a:b";
    assert_null(ctl_args_parse(argc, argv, rows, mesh_nelts(rows), &args, &rc));
    assert_int_equal(rc, CTL_EXIT_USAGE);
}

/* As many as there is room for, and no more. */
static void expect_room(const char *option, const char *value, int most) {
    char *argv[160] = {"meshctl", "look"};
    char name[16];
    ctl_args_t args;
    int argc = 2;
    int rc;

    snprintf(name, sizeof(name), "--%s", option);
    for (int i = 0; i < most; i++) {
        argv[argc++] = name;
        argv[argc++] = (char *)(uintptr_t)value;
    }
    assert_non_null(
        ctl_args_parse(argc, argv, rows, mesh_nelts(rows), &args, &rc));
    assert_int_equal(args.nignored + args.ngateways, most);
    argv[argc++] = name;
    argv[argc++] = (char *)(uintptr_t)value;
    assert_null(ctl_args_parse(argc, argv, rows, mesh_nelts(rows), &args, &rc));
    assert_int_equal(rc, CTL_EXIT_USAGE);
}

static void test_repeated_options(void **state) {
    (void)state;
    ctl_args_t args;
    int rc;

    expect_room("ignore", "code", CTL_IGNORES_MAX);
    expect_room("gateway", "1.2.3.4:5", CTL_GATEWAYS_MAX);
    assert_non_null(parse("look --hash fF09", &args, &rc));
    assert_int_equal(args.hash, 0xff09);
    assert_null(parse("look --hash 0x1", &args, &rc));
    assert_null(parse("look --hash 12345678901234567", &args, &rc));
    assert_null(parse("look --applied 1", &args, &rc));
}

/* Help is made of the rows: every command and every option is in it. */
static void test_rows_are_whole(void **state) {
    (void)state;

    for (size_t i = 0; i < ctl_noptions; i++) {
        const ctl_option_row_t *row = &ctl_options[i];
        char usage[96];

        ctl_option_usage(row, usage, sizeof(usage));
        assert_true(usage[row->needed ? 0 : 1] == '-');
        assert_non_null(row->about);
        assert_non_null(row->take);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(row->name, ctl_options[k].name);
            assert_true(!row->takes || !(row->takes & ctl_options[k].takes));
            assert_true(!row->letter || row->letter != ctl_options[k].letter);
        }
    }
}

static void test_numbers(void **state) {
    (void)state;
    uint64_t n;

    assert_true(ctl_parse_u64("0", &n) && n == 0);
    assert_true(ctl_parse_u64("18446744073709551615", &n) && n == UINT64_MAX);
    assert_false(ctl_parse_u64("18446744073709551616", &n));
    assert_false(ctl_parse_u64("", &n));
    assert_false(ctl_parse_u64("-1", &n));
    assert_false(ctl_parse_u64("1 ", &n));
    assert_false(ctl_parse_u64("0x1", &n));
}

/* --- tables -------------------------------------------------------------- */

static void test_table(void **state) {
    (void)state;
    static const char *const head[] = {"A", "LONG", "C", NULL};
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    ctl_table_t *table = ctl_table_new(head);

    ctl_table_add(table, "%s", "wide cell");
    ctl_table_add(table, "%d", 7);
    ctl_table_add(table, "%s", "x");
    ctl_table_add(table, "%s", "");
    ctl_table_add(table, "%s", "b");
    ctl_table_add(table, "%s", "y");
    ctl_table_add(table, "%s", "z");
    ctl_table_add(table, "%s", "");
    ctl_table_add(table, "%s", "");
    ctl_table_print(table, out);
    fclose(out);
    assert_string_equal(text, "A          LONG  C\n"
                              "wide cell  7     x\n"
                              "           b     y\n"
                              "z\n");
    free(text);
}

static void test_many_rows(void **state) {
    (void)state;
    static const char *const head[] = {"N", "SQUARE", NULL};
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    ctl_table_t *table = ctl_table_new(head);
    unsigned lines = 0;

    for (int i = 0; i < 1000; i++) {
        ctl_table_add(table, "%d", i);
        ctl_table_add(table, "%d", i * i);
    }
    ctl_table_print(table, out);
    fclose(out);
    for (const char *p = text; *p; p++) {
        lines += *p == '\n';
    }
    assert_int_equal(lines, 1001);
    free(text);
}

/* A double holds whole numbers up to 2^53. */
static void test_large_numbers_in_json(void **state) {
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cJSON *json = cJSON_CreateObject();

    ctl_json_u64(json, "a", UINT64_C(9007199254740992));
    ctl_json_u64(json, "b", UINT64_MAX);
    ctl_json_print(json, out);
    fclose(out);
    assert_string_equal(
        text, "{\"a\":9007199254740992,\"b\":\"18446744073709551615\"}\n");
    free(text);
}

static void test_numbers_of_json(void **state) {
    (void)state;
    cJSON *json = cJSON_Parse("{\"a\": 7, \"b\": \"18446744073709551615\", "
                              "\"c\": -1, \"d\": 1e17, \"e\": true, "
                              "\"f\": \"x\"}");
    uint64_t n = 0;

    assert_true(ctl_json_get_u64(json, "a", &n) && n == 7);
    assert_true(ctl_json_get_u64(json, "b", &n) && n == UINT64_MAX);
    assert_false(ctl_json_get_u64(json, "c", &n));
    assert_false(ctl_json_get_u64(json, "d", &n));
    assert_false(ctl_json_get_u64(json, "e", &n));
    assert_false(ctl_json_get_u64(json, "f", &n));
    assert_false(ctl_json_get_u64(json, "g", &n));
    cJSON_Delete(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_options_before_and_behind),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_help_and_version),
        cmocka_unit_test(test_too_many_headers),
        cmocka_unit_test(test_repeated_options),
        cmocka_unit_test(test_rows_are_whole),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_large_numbers_in_json),
        cmocka_unit_test(test_numbers_of_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
