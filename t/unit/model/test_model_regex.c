/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which regular expressions are let through, what they match, and that no
 * match takes long.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "mesh_regex.h"
#include "model_regex.h"

static void test_accepted(void **state) {
    static const char *const patterns[] = {
        "/",
        "/[0-9]+",
        "a|b|",
        "(a|(?:b)|(?P<n>c))*?",
        "a{2}b{2,}c{2,3}?",
        "[]a][^]a][a-z-][-a][\\]\\-\\^\\d\\W][[:alpha:]_][[:^word:]]",
        "\\A\\bx\\B\\z",
        "(?i)a(?s:.)(?m-i:^b$)(?U)c(?-U)d",
        "\\.\\_\\/\\{\\}\\x41\\t\\n\\a",
        "(?i:a)+",
        "}]",
        "[[a]",
        "a{1000}",
    };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(patterns); i++) {
        char error[192] = "";

        if (!model_regex_valid(mesh_str_from(patterns[i]), error,
                               sizeof(error)))
            fail_msg("%s: %s", patterns[i], error);
    }
}

static void test_refused(void **state) {
    static const struct {
        const char *pattern;
        const char *why;
    } rows[] = {
        {"a\\", "a \\ at the end (at byte 1)"},
        {"a\\sb", "\\s is not the same to RE2 and PCRE2: write [[:space:]] "
                  "(at byte 1)"},
        {"[\\S]", "\\s is not the same to RE2 and PCRE2: write [[:space:]] "
                  "(at byte 0)"},
        {"(a)\\1", "neither references nor octal numbers (at byte 3)"},
        {"\\v", "an escape that RE2 and PCRE2 do not share (at byte 0)"},
        {"\\C", "an escape that RE2 and PCRE2 do not share (at byte 0)"},
        {"\\pL", "an escape that RE2 and PCRE2 do not share (at byte 0)"},
        {"\\Ka", "an escape that RE2 and PCRE2 do not share (at byte 0)"},
        {"\\Z", "an escape that RE2 and PCRE2 do not share (at byte 0)"},
        {"[\\b]", "an escape that RE2 and PCRE2 do not share (at byte 0)"},
        {"\\xff", "\\x wants two digits, from 00 to 7f (at byte 0)"},
        {"\\x{41}", "\\x wants two digits, from 00 to 7f (at byte 0)"},
        {"(?=a)", "a group that RE2 does not have (at byte 0)"},
        {"(?<!a)", "a group that RE2 does not have (at byte 0)"},
        {"(?>a)", "a group that RE2 does not have (at byte 0)"},
        {"(?|a)", "a group that RE2 does not have (at byte 0)"},
        {"(?R)", "a group that RE2 does not have (at byte 0)"},
        {"(?1)", "a group that RE2 does not have (at byte 0)"},
        {"(?x)a", "a group that RE2 does not have (at byte 0)"},
        {"(?)a", "a group that RE2 does not have (at byte 0)"},
        {"(?i-:a)", "a group that RE2 does not have (at byte 0)"},
        {"(?#a)", "a group that RE2 does not have (at byte 0)"},
        {"(?P<>a)", NULL},
        {"(?P=a)", "a group that RE2 does not have (at byte 0)"},
        {"(*FAIL)", "nothing to repeat (at byte 1)"},
        {"*a", "nothing to repeat (at byte 0)"},
        {"a|*", "nothing to repeat (at byte 2)"},
        {"a**", "nothing to repeat (at byte 2)"},
        {"a*+", "nothing to repeat (at byte 2)"},
        {"a++", "nothing to repeat (at byte 2)"},
        {"a{2}{3}", "nothing to repeat (at byte 4)"},
        {"a{,3}", "a { that begins no repeat: write \\{ (at byte 1)"},
        {"a{3,2}", "a { that begins no repeat: write \\{ (at byte 1)"},
        {"a{1001}", "more than 1000 repeats (at byte 1)"},
        {"(a", "a ( without its ) (at byte 1)"},
        {"a)", "a ) without its ( (at byte 1)"},
        {"[a", "a [ without its ] (at byte 0)"},
        {"[", "a [ without its ] (at byte 0)"},
        {"[a-\\d]", "a range of what is no character (at byte 0)"},
        {"[\\d-a]", "a range of what is no character (at byte 0)"},
        {"[[:alpha:]-z]", "a range of what is no character (at byte 0)"},
        {"[[:none:]]", "an unknown class in [: :] (at byte 0)"},
        {"[[.a.]]", "an unknown class in [. .] or [= =] (at byte 0)"},
        {"\xc3\xa4", "bytes of printable ASCII only (at byte 0)"},
        {"[z-a]", NULL}, /* PCRE2's own words */
        {"((a{1000}){1000}){1000}", NULL},
    };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        char error[192] = "";

        if (model_regex_valid(mesh_str_from(rows[i].pattern), error,
                              sizeof(error)))
            fail_msg("%s is let through", rows[i].pattern);
        if (rows[i].why != NULL)
            assert_string_equal(error, rows[i].why);
        assert_true(error[0] != '\0');
    }
}

static mesh_regex_result_e match(const char *pattern, mesh_str_t text) {
    pcre2_jit_stack *stack = mesh_regex_stack();
    mesh_regex_t re;
    int error;
    size_t at;

    assert_true(
        mesh_regex_compile(&re, mesh_str_from(pattern), stack, &error, &at));

    mesh_regex_result_e result = mesh_regex_match(&re, text);

    mesh_regex_free(&re);
    pcre2_jit_stack_free(stack);
    return result;
}

static void test_whole_texts_match(void **state) {
    static const struct {
        const char *pattern;
        const char *text;
        bool matches;
    } rows[] = {
        {"/[0-9]+", "/12", true},
        {"/[0-9]+", "/12a", false},
        {"/[0-9]+", "x/12", false},
        {"a|ab", "ab", true},
        {"a$", "a", true},
        {"a$", "a\n", false},
        {"a.b", "a\nb", false},
        {"(?s)a.b", "a\nb", true},
        {"(?m)a$\nb", "a\nb", true},
        {"(?i)ab", "aB", true},
        {"", "", true},
        {"a*", "", true},
        {"[^/]+", "a\xff", true},
    };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        if ((match(rows[i].pattern, mesh_str_from(rows[i].text)) ==
             MESH_REGEX_YES) != rows[i].matches)
            fail_msg("%s on \"%s\"", rows[i].pattern, rows[i].text);
    }
}

/*
 * A snapshot may give a pattern of a match and one of a rewrite the same
 * digest, by which compiled ones are kept: then what was made for one text is
 * used for searching, and has no room for groups.
 */
static void test_search_without_room(void **state) {
    static const char text[] = "ab";
    mesh_found_t found = {.at = 0};
    mesh_regex_t re;
    int error;
    size_t at;
    (void)state;

    assert_true(mesh_regex_compile(&re, MESH_STR("(?P<n>a)(?P<m>b)"), NULL,
                                   &error, &at));
    assert_int_equal(mesh_regex_search(&re, mesh_str_from(text), &found),
                     MESH_FOUND_YES);
    assert_int_equal(found.v[0], 0);
    assert_int_equal(found.v[1], 2);
    for (size_t i = 2; i < mesh_nelts(found.v); i++)
        assert_int_equal(found.v[i], SIZE_MAX);
    mesh_regex_free(&re);
}

static double seconds(void) {
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Patterns that never end, on the longest of headers. */
static void test_limits(void **state) {
    static const char *const patterns[] = {"(a+)+b",
                                           "(a|a)*b",
                                           "(a*)*b",
                                           "(a|aa)+b",
                                           "(.*)(.*)(.*)(.*)(.*)(.*)(.*)b",
                                           "(.*a){20}b",
                                           "(a?){1000}b"};
    enum { LONG = 32 * 1024 };
    char *text = malloc(LONG);
    (void)state;

    /* Without a "b" PCRE2 would not even begin. */
    memset(text, 'a', LONG);
    text[LONG - 2] = 'b';
    for (size_t i = 0; i < mesh_nelts(patterns); i++) {
        double begin = seconds();

        assert_int_not_equal(match(patterns[i], (mesh_str_t){LONG, text}),
                             MESH_REGEX_YES);
        if (seconds() - begin > 2)
            fail_msg("%s takes %f s", patterns[i], seconds() - begin);
    }

    /* The first of them was given up; what is merely long is not. */
    assert_int_equal(match(patterns[0], (mesh_str_t){LONG, text}),
                     MESH_REGEX_LIMIT);
    assert_int_equal(match("(a|b)*", (mesh_str_t){LONG, text}), MESH_REGEX_YES);
    assert_int_equal(match("[^/]*a.*", (mesh_str_t){LONG, text}),
                     MESH_REGEX_YES);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_whole_texts_match),
        cmocka_unit_test(test_search_without_room),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
