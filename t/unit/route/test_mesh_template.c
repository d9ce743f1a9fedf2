/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Path templates: which are some, what they match and take, and what is made
 * of it.  Envoy's rules; t/e2e/test_envoy_rewrite.py asks Envoy itself.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "mesh_template.h"
#include "rng.h"

typedef struct {
    const char *text;
    const char *why; /* NULL: right */
    size_t at;
} check_row_t;

static const char PLAIN[] = "a character that a segment does not have";
static const char SEVERAL[] = "text before a variable of several segments";
static const char TWO[] = "two variables in one segment";
static const char BEHIND[] = "a \"*\" or a variable behind \"**\"";

static void test_check(void **state) {
    static const char name[] =
        "a variable's name is a letter and up to 15 letters, digits, \"_\"";
    static const check_row_t rows[] = {
        {"/", NULL, 0},
        {"/a", NULL, 0},
        {"/a/", NULL, 0},
        {"/*", NULL, 0},
        {"/**", NULL, 0},
        {"/{a}", NULL, 0},
        {"/{a=*}/{b=**}", NULL, 0},
        {"/{a=b/*/c}/d", NULL, 0},
        {"/{a1_B}.mp4", NULL, 0},
        {"/a/**.mp4", NULL, 0},
        {"/**/a/{b=c}", NULL, 0},
        {"/a.b_c~d%20!$&'()+,;:@-", NULL, 0},
        {"/{abcdefghijklmnop}", NULL, 0},
        {"/{a}/{b}/{c}/{d}/{e}", NULL, 0},
        {"", "no \"/\" at the beginning", 0},
        {"a", "no \"/\" at the beginning", 0},
        {"*", "no \"/\" at the beginning", 0},
        {"//", PLAIN, 1},
        {"/a//b", PLAIN, 3},
        {"/a=b/=", NULL, 0},
        {"/v{a}", NULL, 0},
        {"/v{a}.x/y-{b}", NULL, 0},
        {"/{a}x/b", NULL, 0},
        {"/{a}x/", NULL, 0},
        {"/x{a=*}y/z", NULL, 0},
        {"/x{a=**}y/z{b=w}", NULL, 0},
        {"/x{a=b=c}", NULL, 0},
        {"/{a=b/*}x/c", NULL, 0},
        {"/x{a}/y{b}/z{c}/w{d}/v{e}", NULL, 0},
        {"/a b", "something behind a segment that is no \"/\"", 2},
        {"/a*", "something behind a segment that is no \"/\"", 2},
        {"/a{b", "a { without its }", 4},
        {"/a{}", name, 3},
        {"/a{b=c/d}", SEVERAL, 6},
        {"/a{b=*/d}", SEVERAL, 6},
        {"/a{b}{c}", TWO, 5},
        {"/a{b}c{d}", TWO, 6},
        {"/{b}c{d}", TWO, 5},
        {"/a{b}*", PLAIN, 5},
        {"/a{b}c*", "something behind a segment that is no \"/\"", 6},
        {"/a{b}/c{b}", "a variable that is there twice", 9},
        {"/a{b=*c}", "a segment of a variable is \"*\", \"**\" or text", 6},
        {"/**x{a}", "something behind the text that ends the path", 4},
        {"/*{a}", PLAIN, 2},
        {"/{a=**}/x{b}", BEHIND, 11},
        {"/?", PLAIN, 1},
        {"/\xc3\xa9", PLAIN, 1},
        {"/***", PLAIN, 3},
        {"/{a}{b}", TWO, 4},
        {"/*.mp4/x", "something behind the text that ends the path", 6},
        {"/**/*", BEHIND, 4},
        {"/**/**", BEHIND, 4},
        {"/**/{a}", BEHIND, 6},
        {"/**/{a=*}", BEHIND, 7},
        {"/{a=**/*}", BEHIND, 7},
        {"/{}", name, 2},
        {"/{1a}", name, 4},
        {"/{_a}", name, 4},
        {"/{abcdefghijklmnopq}", name, 19},
        {"/{a-b}", "a { without its }", 3},
        {"/{a", "a { without its }", 3},
        {"/{a=", PLAIN, 4},
        {"/{a=}", PLAIN, 4},
        {"/{a=b", "a segment of a variable is \"*\", \"**\" or text", 5},
        {"/{a=b/}", PLAIN, 6},
        {"/{a=b*}", "a segment of a variable is \"*\", \"**\" or text", 5},
        {"/{a}/{a}", "a variable that is there twice", 7},
        {"/{a}/{b}/{c}/{d}/{e}/{f}", "more than 5 variables", 23},
    };
    mesh_template_vars_t names;
    size_t at;
    (void)state;

    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        mesh_str_t text = mesh_str_from(rows[i].text);
        const char *why = mesh_template_check(text, &names, &at);

        if (rows[i].why == NULL ? why != NULL
                                : why == NULL || strcmp(why, rows[i].why) != 0)
            fail_msg("%s: %s", rows[i].text, why ? why : "right");
        if (why != NULL && at != rows[i].at)
            fail_msg("%s: at %zu", rows[i].text, at);
    }
}

typedef struct {
    const char *text;
    const char *path;
    const char *vars; /* NULL: no match; "a=x b=y" */
} match_row_t;

static void test_match(void **state) {
    static const match_row_t rows[] = {
        {"/", "/", ""},
        {"/", "/a", NULL},
        {"/", "", NULL},
        {"/a/b", "/a/b", ""},
        {"/a/b", "/a/b/", NULL},
        {"/a/", "/a/", ""},
        {"/a/", "/a", NULL},
        {"/*", "/x", ""},
        {"/*", "/", NULL},
        {"/*", "/x/y", NULL},
        {"/*/b", "/x/b", ""},
        {"/*/b", "//b", NULL},
        {"/**", "/", ""},
        {"/**", "/x/y/", ""},
        {"/**", "*", NULL},
        {"/a/**", "/a", NULL},
        {"/a/**/b", "/a/b", NULL},
        {"/a/**/b", "/a//b", ""},
        {"/a/**/b", "/a/x/b/b", ""},
        {"/**.mp4", "/.mp4", ""},
        {"/**.mp4", "/a/b.mp4", ""},
        {"/**.mp4", "/a/b.mp3", NULL},
        {"/{a}.mp4", "/x.mp4", "a=x"},
        {"/{a}.mp4", "/.mp4", NULL},
        {"/{a}.mp4", "/x.mp4.mp4", "a=x.mp4"},
        {"/{a}.mp4", "/x/y.mp4", NULL},
        {"/{a}/{b}", "/x/y", "a=x b=y"},
        {"/{a=*}", "/x", "a=x"},
        {"/{a=**}", "/x/y", "a=x/y"},
        {"/{a=**}", "/", "a="},
        {"/v1/{a=b/*/c}/{d}", "/v1/b/x/c/y", "a=b/x/c d=y"},
        {"/v1/{a=b/*/c}/{d}", "/v1/b/c/y", NULL},
        {"/{a=x/**}/b/{c=d}", "/x/1/2/b/d", "a=x/1/2 c=d"},
        {"/x{a}", "/xy", "a=y"},
        {"/x{a}", "/x", NULL},
        {"/x{a}", "/xy/z", NULL},
        {"/x.{b}", "/x.js", "b=js"},
        {"/x.{b}", "/xyjs", NULL},
        {"/v{a}.x/y", "/v1.2.x/y", "a=1.2"},
        {"/v{a}.x/y", "/v.x/y", NULL},
        {"/v{a}.x/y", "/v.x.x/y", "a=.x"},
        {"/v{a}.x/y", "/v1.x/y/", NULL},
        {"/{a}x/{b}y", "/xx/yyy", "a=x b=yy"},
        {"/{a}x/{b}y", "/x/yyy", NULL},
        {"/{a}x/", "/1x/", "a=1"},
        {"/x{a=**}y/z", "/x1/2y/z", "a=1/2"},
        {"/x{a=**}y/z", "/xy/z", "a="},
        {"/x{a=**}y/z", "/xy/y/z", "a=y/"},
        {"/x{a=**}y/z", "/x/yy/z", "a=/y"},
        {"/x{a=b}y", "/xby", "a=b"},
        {"/x{a=b=c}", "/xb=c", "a=b=c"},
        {"/{a=b/*}x/c", "/b/xx/c", "a=b/x"},
        {"/{a=*/b}x", "/1/bx", "a=1/b"},
        {"/{a=*/b}x", "/1/b/x", NULL},
        {"/=", "/=", ""},
        {"/{a=**}/b=c", "/1/b=c", "a=1"},
        {"/{a}", "/a=b", "a=a=b"},
        {"/{a}", "/a*b", "a=a*b"},
        {"/{a}", "/a\"b", NULL}, /* no character of a path */
        {"/{a}", "/a b", NULL},
        {"/{a}", "/\xc3\xa9", NULL},
        {"/{a}", "/%20~", "a=%20~"},
    };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        mesh_template_vars_t vars, names;
        char got[64] = "";
        size_t at, len = 0;
        mesh_str_t text = mesh_str_from(rows[i].text);
        mesh_str_t path = mesh_str_from(rows[i].path);

        assert_null(mesh_template_check(text, &names, &at));
        bool matches = mesh_template_match(text, path, &vars);
        if (matches != (rows[i].vars != NULL) ||
            matches != mesh_template_match(text, path, NULL))
            fail_msg("%s of %s: %d", rows[i].text, rows[i].path, matches);
        if (!matches)
            continue;
        for (unsigned k = 0; k < vars.count; k++)
            len += (size_t)snprintf(
                got + len, sizeof(got) - len, "%s%.*s=%.*s", k ? " " : "",
                (int)vars.v[k].name.len, vars.v[k].name.data,
                (int)vars.v[k].value.len, vars.v[k].value.data);
        assert_string_equal(got, rows[i].vars);
        assert_int_equal(vars.count, names.count);

        mesh_str_t prefix = mesh_template_prefix(text);
        assert_true(mesh_str_starts(path, prefix));
    }
}

static void test_prefix(void **state) {
    (void)state;
    assert_int_equal(mesh_template_prefix(MESH_STR("/a/{b}/c")).len, 3);
    assert_int_equal(mesh_template_prefix(MESH_STR("/a/*")).len, 3);
    assert_int_equal(mesh_template_prefix(MESH_STR("/a/b")).len, 4);
    assert_int_equal(mesh_template_prefix(MESH_STR("/a/b.{c}")).len, 5);
}

static void test_rewrite(void **state) {
    static const struct {
        const char *rewrite;
        const char *out; /* NULL: wrong */
        size_t at;
    } rows[] = {
        {"/", "/", 0},
        {"/{a}", "/1", 0},
        {"/x{b}y/{a}{a}", "/x2/3y/11", 0},
        {"/x/", "/x/", 0},
        {"", NULL, 0},
        {"x", NULL, 0},
        {"{a}", NULL, 0},
        {"/x//y", NULL, 3},
        {"/{c}", NULL, 1},
        {"/{a", NULL, 1},
        {"/a}", NULL, 2},
        {"/a*=", "/a*=", 0},
        {"/a?b", NULL, 2},
    };
    mesh_template_vars_t vars;
    size_t at;
    (void)state;

    assert_true(mesh_template_match(MESH_STR("/{a}/{b=*/*}"),
                                    MESH_STR("/1/2/3"), &vars));
    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        mesh_str_t rewrite = mesh_str_from(rows[i].rewrite);
        char out[32];
        mesh_text_t t = {out, sizeof(out), 0, false};
        const char *why = mesh_template_check_rewrite(rewrite, &vars, &at);

        if ((why == NULL) != (rows[i].out != NULL))
            fail_msg("%s: %s", rows[i].rewrite, why ? why : "right");
        if (why != NULL) {
            assert_int_equal(at, rows[i].at);
            continue;
        }
        mesh_template_expand(rewrite, &vars, &t);
        assert_int_equal(t.len, strlen(rows[i].out));
        assert_memory_equal(out, rows[i].out, t.len);
    }
    assert_string_equal(
        mesh_template_check_rewrite((mesh_str_t){3, "/{a}"}, &vars, &at),
        "a { without its }");
}

/* Whatever stands in a snapshot is read within its bounds. */
static void test_any_bytes(void **state) {
    static const char alphabet[] = "/*{}=ab.";
    rng_t rng = {1};
    unsigned right = 0, matched = 0;
    (void)state;

    for (unsigned n = 0; n < 200000; n++) {
        char text[12], path[12], out[64];
        mesh_str_t a = {rng_below(&rng, 12), text};
        mesh_str_t b = {rng_below(&rng, 12), path};
        mesh_template_vars_t vars, names;
        mesh_text_t t = {out, sizeof(out), 0, false};
        size_t at;

        for (size_t i = 0; i < 12; i++) {
            text[i] = alphabet[rng_below(&rng, sizeof(alphabet) - 1)];
            path[i] = "/ab."[rng_below(&rng, 4)];
        }
        text[0] = path[0] = '/';
        bool is = mesh_template_check(a, &names, &at) == NULL;
        bool does = mesh_template_match(a, b, &vars);

        assert_true(does == mesh_template_match(a, b, NULL));
        assert_true(vars.count <= MESH_TEMPLATE_VARS);
        right += is;
        matched += is && does;
        if (is && does) {
            assert_int_equal(vars.count, names.count);
            assert_true(mesh_str_starts(b, mesh_template_prefix(a)));
        }
        if (does)
            mesh_template_expand(a, &vars, &t);
    }
    assert_true(right > 1000 && matched > 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),     cmocka_unit_test(test_match),
        cmocka_unit_test(test_prefix),    cmocka_unit_test(test_rewrite),
        cmocka_unit_test(test_any_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
