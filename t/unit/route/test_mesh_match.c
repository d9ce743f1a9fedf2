/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One condition on one value, row by row.  What Envoy 1.40 does was asked of
 * it; test_mesh_route.c compares random conditions with plain words.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "compile.h"
#include "mesh_match.h"
#include "route_fixture.h"

typedef struct {
    model_match_t match;
    const char *values[3]; /* of the header */
    bool holds;
} row_t;

#define MATCH(o, ...)                                                          \
    { .op = MESH_MATCH_##o, .name = mesh_str("x"), __VA_ARGS__ }
#define VALUE(text) .value = mesh_str(text)
#define RANGE_OF(from, below) MATCH(RANGE, .start = (from), .end = (below))
#define INVERTED .invert = true
#define ANY_CASE .ignore_case = true
#define MISSING .missing_as_empty = true

static const row_t rows[] = {
    /* every repeat is looked at, and joined they are never */
    {MATCH(EXACT, VALUE("1")), {"1", "2"}, true},
    {MATCH(EXACT, VALUE("2")), {"1", "2"}, true},
    {MATCH(EXACT, VALUE("1,2")), {"1", "2"}, false},
    {MATCH(EXACT, VALUE("3"), INVERTED), {"1", "2"}, true},
    {MATCH(EXACT, VALUE("1"), INVERTED), {"1", "2"}, false},
    {MATCH(EXACT, VALUE("2"), INVERTED), {"1", "2"}, false},

    /* what is missing does not match, inverted or not */
    {MATCH(EXACT, VALUE("a")), {NULL}, false},
    {MATCH(EXACT, VALUE("a"), INVERTED), {NULL}, false},
    {MATCH(EXACT, VALUE("a"), INVERTED), {"b"}, true},
    {MATCH(EXACT, VALUE("a"), MISSING), {NULL}, false},
    {MATCH(EXACT, VALUE("a"), INVERTED, MISSING), {NULL}, true},
    {MATCH(EXACT, VALUE("a"), INVERTED, MISSING), {"a"}, false},
    {MATCH(EXACT, VALUE(""), MISSING), {NULL}, true},
    {MATCH(EXACT, VALUE("")), {""}, true},
    {MATCH(EXACT, VALUE("")), {NULL}, false},
    {MATCH(PRESENT, ), {""}, true},
    {MATCH(PRESENT, ), {NULL}, false},
    {MATCH(PRESENT, INVERTED), {NULL}, true},
    {MATCH(PRESENT, INVERTED), {"a"}, false},
    {RANGE_OF(0, 10), {NULL}, false},
    {MATCH(RANGE, .end = 10, INVERTED, MISSING), {NULL}, true},

    {MATCH(PREFIX, VALUE("ab")), {"abc"}, true},
    {MATCH(PREFIX, VALUE("ab")), {"ab"}, true},
    {MATCH(PREFIX, VALUE("ab")), {"a"}, false},
    {MATCH(PREFIX, VALUE("ab")), {"Abc"}, false},
    {MATCH(PREFIX, VALUE("ab"), ANY_CASE), {"ABc"}, true},
    {MATCH(SUFFIX, VALUE("bc")), {"abc"}, true},
    {MATCH(SUFFIX, VALUE("bc")), {"bcd"}, false},
    {MATCH(SUFFIX, VALUE("bc")), {"c"}, false},
    {MATCH(SUFFIX, VALUE("bc"), ANY_CASE), {"aBC"}, true},
    {MATCH(CONTAINS, VALUE("bc")), {"abcd"}, true},
    {MATCH(CONTAINS, VALUE("bc")), {"bbc"}, true},
    {MATCH(CONTAINS, VALUE("bc")), {"bdc"}, false},
    {MATCH(CONTAINS, VALUE("bc")), {""}, false},
    {MATCH(CONTAINS, VALUE("bbc"), ANY_CASE), {"BbBC"}, true},
    {MATCH(CONTAINS, VALUE("bbc"), ANY_CASE), {"BBcd"}, true},
    {MATCH(CONTAINS, VALUE("bbc"), ANY_CASE), {"BbB"}, false},
    {MATCH(EXACT, VALUE("abc"), ANY_CASE), {"ABC"}, true},
    {MATCH(EXACT, VALUE("abc"), ANY_CASE), {"ABCD"}, false},
    {MATCH(EXACT, VALUE("@[`{"), ANY_CASE), {"@[`{"}, true},
    {MATCH(EXACT, VALUE("`"), ANY_CASE), {"@"}, false},
    {MATCH(EXACT, VALUE("{"), ANY_CASE), {"["}, false},
    {MATCH(EXACT, VALUE("\xe4"), ANY_CASE), {"\xc4"}, false},

    {RANGE_OF(-10, 5), {"-10"}, true},
    {RANGE_OF(-10, 5), {"-11"}, false},
    {RANGE_OF(-10, 5), {"4"}, true},
    {RANGE_OF(-10, 5), {"5"}, false},
    {RANGE_OF(-10, 5), {"+4"}, true},
    {RANGE_OF(-10, 5), {"04"}, true},
    {RANGE_OF(-10, 5), {"-0"}, true},
    {RANGE_OF(-10, 5), {" \t4 "}, true},
    {RANGE_OF(-10, 5), {"4.0"}, false},
    {RANGE_OF(-10, 5), {"1,2"}, false},
    {RANGE_OF(-10, 5), {"0x1"}, false},
    {RANGE_OF(-10, 5), {"- 1"}, false},
    {RANGE_OF(-10, 5), {"--1"}, false},
    {RANGE_OF(-10, 5), {"-"}, false},
    {RANGE_OF(-10, 5), {"+"}, false},
    {RANGE_OF(-10, 5), {""}, false},
    {RANGE_OF(-10, 5), {"abc"}, false},
    {MATCH(RANGE, .end = 5, INVERTED), {"abc"}, true},
    {RANGE_OF(INT64_MIN, 0), {"-9223372036854775808"}, true},
    {RANGE_OF(INT64_MIN, 0), {"-9223372036854775809"}, false},
    {RANGE_OF(INT64_MIN, INT64_MAX), {"9223372036854775806"}, true},
    {RANGE_OF(INT64_MIN, INT64_MAX), {"9223372036854775807"}, false},
    {RANGE_OF(INT64_MIN, INT64_MAX), {"9223372036854775808"}, false},
    {RANGE_OF(INT64_MIN, INT64_MAX), {"18446744073709551616"}, false},
};

/* A condition as a record. */
typedef struct {
    mesh_writer_t *w;
    image_t image;
    const mesh_match_t *match;
} built_t;

static void build(built_t *b, const model_match_t *match) {
    b->w = mesh_writer_create(1, FIXTURE_CAPACITY);
    mesh_ref_t ref = compile_matches(b->w, match, 1);

    assert_int_equal(image_open(&b->image, b->w), MESH_OK);
    b->match = ((const mesh_rec_matches_t *)mesh_get(&b->image.s, ref))->v;
}

static void build_free(built_t *b) {
    image_close(&b->image);
    mesh_writer_free(b->w);
}

static void test_rows(void **state) {
    (void)state;

    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        fixture_request_t f;
        mesh_str_t value = MESH_STR("none");
        built_t b;

        build(&b, &rows[i].match);
        fixture_request(&f, MESH_STR("GET"), MESH_STR("h"), MESH_STR("/"));
        fixture_add_header(&f, MESH_STR("y"), MESH_STR("y"));
        for (size_t n = 0; rows[i].values[n] != NULL; n++)
            fixture_add_header(&f, MESH_STR("x"),
                               mesh_str_from(rows[i].values[n]));

        if (mesh_match_test(&b.image.s, b.match, &f.r) != rows[i].holds)
            fail_msg("row %zu", i);
        assert_int_equal(mesh_match_value(&b.image.s, b.match, &f.r, &value),
                         rows[i].values[0] != NULL);
        if (rows[i].values[0] != NULL)
            assert_true(mesh_str_eq(value, mesh_str_from(rows[i].values[0])));
        build_free(&b);
    }
}

static bool holds(mesh_match_from_e from, const char *name, const char *want,
                  const mesh_request_t *r) {
    model_match_t match = {.from = from,
                           .op = MESH_MATCH_EXACT,
                           .name = mesh_str_from(name),
                           .value = mesh_str_from(want)};
    built_t b;

    build(&b, &match);

    bool result = mesh_match_test(&b.image.s, b.match, r);

    build_free(&b);
    return result;
}

static void test_pseudo_headers(void **state) {
    fixture_request_t f;
    char target[] = "/p?q=1";
    (void)state;

    fixture_request(&f, MESH_STR("PURGE"), MESH_STR("H:1"),
                    (mesh_str_t){2, target});
    f.r.has_query = true;
    f.r.query = (mesh_str_t){3, target + 3};

    assert_true(mesh_request_is_whole(&f.r));
    assert_true(holds(MESH_FROM_METHOD, ":method", "PURGE", &f.r));
    assert_true(holds(MESH_FROM_AUTHORITY, ":authority", "H:1", &f.r));
    assert_true(holds(MESH_FROM_SCHEME, ":scheme", "http", &f.r));
    assert_true(holds(MESH_FROM_PATH, ":path", "/p?q=1", &f.r));
    assert_false(holds(MESH_FROM_PATH, ":path", "/p", &f.r));

    f.r.query = MESH_STR("q=1");
    assert_false(mesh_request_is_whole(&f.r));
    f.r.query = (mesh_str_t){0, target + 3};
    assert_true(holds(MESH_FROM_PATH, ":path", "/p?", &f.r));
    f.r.query.data = NULL;
    f.r.has_query = false;
    assert_true(mesh_request_is_whole(&f.r));
    assert_true(holds(MESH_FROM_PATH, ":path", "/p", &f.r));

    assert_false(holds(MESH_FROM_SNI, "sni", "", &f.r));
    assert_false(holds(MESH_FROM_PORT, "port", "", &f.r));
    f.sni = MESH_STR("a.local");
    f.port = MESH_STR("8443");
    assert_true(holds(MESH_FROM_SNI, "sni", "a.local", &f.r));
    assert_false(holds(MESH_FROM_SNI, "sni", "local", &f.r));
    assert_true(holds(MESH_FROM_PORT, "port", "8443", &f.r));
    assert_false(holds(MESH_FROM_PORT, "port", "443", &f.r));

    /* HTTP/1.0 without Host */
    f.r.authority = MESH_STR_NULL;
    assert_false(holds(MESH_FROM_AUTHORITY, ":authority", "", &f.r));
}

typedef struct {
    model_match_t match;
    const char *text; /* the query, or the Cookie header; NULL: none */
    const char *more; /* another Cookie header */
    bool holds;
} pairs_row_t;

#define QUERY(o, ...)                                                          \
    {                                                                          \
        .from = MESH_FROM_QUERY, .op = MESH_MATCH_##o, .name = mesh_str("k"),  \
        __VA_ARGS__                                                            \
    }
#define COOKIE(o, ...)                                                         \
    {                                                                          \
        .from = MESH_FROM_COOKIE, .op = MESH_MATCH_##o, .name = mesh_str("s"), \
        __VA_ARGS__                                                            \
    }

static const pairs_row_t pairs[] = {
    {QUERY(EXACT, VALUE("1")), "k=1", NULL, true},
    {QUERY(EXACT, VALUE("1")), "k=1&k=2", NULL, true},
    {QUERY(EXACT, VALUE("1")), "k=2&k=1", NULL, false},
    {QUERY(EXACT, VALUE("1")), "a=b&&k=1", NULL, true},
    {QUERY(EXACT, VALUE("1")), "K=1", NULL, false},
    {QUERY(EXACT, VALUE("1")), "kk=1&ak=1", NULL, false},
    {QUERY(EXACT, VALUE("1")), "%6b=1", NULL, false},
    {QUERY(EXACT, VALUE("1=1")), "k=1=1", NULL, true},
    {QUERY(EXACT, VALUE("1;a=2")), "k=1;a=2", NULL, true},
    {QUERY(EXACT, VALUE("a%20b")), "k=a%20b", NULL, true},
    {QUERY(EXACT, VALUE("a b")), "k=a%20b", NULL, false},
    {QUERY(EXACT, VALUE("a b")), "k=a+b", NULL, false},
    {QUERY(EXACT, VALUE("")), "k", NULL, true},
    {QUERY(EXACT, VALUE("")), "k=", NULL, true},
    {QUERY(EXACT, VALUE("")), "", NULL, false},
    {QUERY(EXACT, VALUE("")), NULL, NULL, false},
    {QUERY(EXACT, VALUE("1"), INVERTED), "a", NULL, true},
    {QUERY(EXACT, VALUE("1"), INVERTED), "k=1", NULL, false},
    {QUERY(PRESENT, ), "a&k", NULL, true},
    {QUERY(PRESENT, ), "a", NULL, false},
    {QUERY(PRESENT, INVERTED), "a", NULL, true},
    {QUERY(PREFIX, VALUE("ab"), ANY_CASE), "k=ABc", NULL, true},
    {QUERY(RANGE, .end = 5), "k=4", NULL, true},
    {QUERY(RANGE, .end = 5), "k=5", NULL, false},

    {COOKIE(EXACT, VALUE("1")), "s=1", NULL, true},
    {COOKIE(EXACT, VALUE("1")), "t=2; s=1; s=3", NULL, true},
    {COOKIE(EXACT, VALUE("1")), "s=3; s=1", NULL, false},
    {COOKIE(EXACT, VALUE("1")), "s=\"1\"", NULL, true},
    {COOKIE(EXACT, VALUE("\"")), "s=\"", NULL, true},
    {COOKIE(EXACT, VALUE("1")), "a=b", "s=1", true},
    {COOKIE(EXACT, VALUE("1")), "s=2", "s=1", false},
    {COOKIE(EXACT, VALUE("1")), "s = 1", NULL, false},
    {COOKIE(EXACT, VALUE("1")), "S=1", NULL, false},
    {COOKIE(EXACT, VALUE("1")), "a=1;s=1", NULL, true},
    {COOKIE(EXACT, VALUE("1")), "a=1;\ts=1", NULL, true},
    {COOKIE(EXACT, VALUE("1")), "a=1,s=1", NULL, false},
    {COOKIE(EXACT, VALUE("1")), "s=1 ; a=1", NULL, false},
    {COOKIE(EXACT, VALUE("1")), "s= 1", NULL, false},
    {COOKIE(EXACT, VALUE("1")), "; ;  s=1", NULL, true},
    {COOKIE(EXACT, VALUE("1")), "s; s=1", NULL, true},
    {COOKIE(EXACT, VALUE("1"), INVERTED), NULL, NULL, true},
    {COOKIE(EXACT, VALUE("1"), INVERTED), "a=2", NULL, true},
    {COOKIE(EXACT, VALUE("1"), INVERTED), "s=2", NULL, true},
    {COOKIE(EXACT, VALUE("1"), INVERTED), "s=1", NULL, false},
    {COOKIE(PRESENT, ), "s=", NULL, true},
    {COOKIE(PRESENT, ), "s", NULL, false},
    {COOKIE(PRESENT, INVERTED), "a", NULL, true},
};

static void test_pairs(void **state) {
    (void)state;

    for (size_t i = 0; i < mesh_nelts(pairs); i++) {
        bool query = pairs[i].match.from == MESH_FROM_QUERY;
        const char *text = pairs[i].text;
        fixture_request_t f;
        built_t b;

        build(&b, &pairs[i].match);
        fixture_request(&f, MESH_STR("GET"), MESH_STR("h"), MESH_STR("/"));
        if (text != NULL && query)
            f.r.query = mesh_str_from(text);
        else if (text != NULL)
            fixture_add_header(&f, MESH_STR("cookie"), mesh_str_from(text));
        if (pairs[i].more != NULL)
            fixture_add_header(&f, MESH_STR("cookie"),
                               mesh_str_from(pairs[i].more));
        if (mesh_match_test(&b.image.s, b.match, &f.r) != pairs[i].holds)
            fail_msg("row %zu: %s", i, text ? text : "none");
        build_free(&b);
    }
}

/* Of each length and byte: eight at once and one by one, and not one more. */
static void test_lower(void **state) {
    char text[256], out[257];
    (void)state;

    for (unsigned c = 0; c < 256; c++) {
        text[c] = (char)c;
    }
    for (size_t len = 0; len <= 256; len++) {
        mesh_str_t in = {len, text + 256 - len};

        memset(out, '#', sizeof(out));
        assert_ptr_equal(mesh_str_lower(in, out).data, out);
        for (size_t i = 0; i < len; i++) {
            assert_int_equal(out[i], mesh_lower(in.data[i]));
        }
        assert_int_equal(out[len], '#');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lower),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_pseudo_headers),
        cmocka_unit_test(test_pairs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
