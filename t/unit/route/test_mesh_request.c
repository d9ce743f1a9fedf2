/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Methods, targets and path normalisation.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "route_fixture.h"

#define RFC MESH_NORMALIZE_RFC3986
#define MERGE MESH_MERGE_SLASHES
#define SLASHES(mode) ((uint32_t)(mode) << MESH_SLASHES_SHIFT)
#define REJECT SLASHES(MESH_SLASHES_REJECT)
#define REDIRECT SLASHES(MESH_SLASHES_REDIRECT)
#define UNESCAPE SLASHES(MESH_SLASHES_UNESCAPE)

static void assert_text(mesh_str_t got, const char *want) {
    if (!mesh_str_eq(got, mesh_str_from(want)))
        fail_msg("got \"%.*s\", want \"%s\"", (int)got.len, got.data, want);
}

static void test_methods(void **state) {
    (void)state;
    assert_int_equal(mesh_method_bit(MESH_STR("GET")), MESH_METHOD_GET);
    assert_int_equal(mesh_method_bit(MESH_STR("HEAD")), MESH_METHOD_HEAD);
    assert_int_equal(mesh_method_bit(MESH_STR("TRACE")), MESH_METHOD_TRACE);
    assert_int_equal(mesh_method_bit(MESH_STR("CONNECT")), MESH_METHOD_CONNECT);
    assert_int_equal(mesh_method_bit(MESH_STR("get")), MESH_METHOD_OTHER);
    assert_int_equal(mesh_method_bit(MESH_STR("GETT")), MESH_METHOD_OTHER);
    assert_int_equal(mesh_method_bit(MESH_STR("")), MESH_METHOD_OTHER);
    assert_int_equal(mesh_method_bit(MESH_STR("PURGE")), MESH_METHOD_OTHER);
}

typedef struct {
    const char *target;
    mesh_status_t rc;
    const char *path;
    const char *query;
    bool has_query;
    const char *authority;
} target_row_t;

static void test_targets(void **state) {
    static const target_row_t rows[] = {
        {"/", MESH_OK, "/", "", false, ""},
        {"/a/b?c=d", MESH_OK, "/a/b", "c=d", true, ""},
        {"/a?", MESH_OK, "/a", "", true, ""},
        {"/a?b?c", MESH_OK, "/a", "b?c", true, ""},
        {"/a#f?x", MESH_OK, "/a", "", false, ""},
        {"/a?b#c?d", MESH_OK, "/a", "b", true, ""},
        {"*", MESH_OK, "*", "", false, ""},
        {"http://h/p?q", MESH_OK, "/p", "q", true, "h"},
        {"HTTPS://h:8443/", MESH_OK, "/", "", false, "h:8443"},
        {"http://h", MESH_OK, "/", "", false, "h"},
        {"http://h?q", MESH_OK, "/", "q", true, "h"},
        {"http://h#f", MESH_OK, "/", "", false, "h"},
        {"?q=1", MESH_OK, "/", "q=1", true, ""},
        {"//h/p", MESH_OK, "//h/p", "", false, ""},
        {"", MESH_ERROR, NULL, NULL, false, NULL},
        {"http:///p", MESH_ERROR, NULL, NULL, false, NULL},
        {"://h/p", MESH_ERROR, NULL, NULL, false, NULL},
        {"1http://h/p", MESH_ERROR, NULL, NULL, false, NULL},
        {"h:443", MESH_ERROR, NULL, NULL, false, NULL},
        {"**", MESH_ERROR, NULL, NULL, false, NULL},
        {"a/b", MESH_ERROR, NULL, NULL, false, NULL},
    };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        mesh_str_t path, query, authority;
        bool has_query;
        mesh_status_t rc =
            mesh_request_target(mesh_str_from(rows[i].target), &path, &query,
                                &has_query, &authority);

        if (rc != rows[i].rc)
            fail_msg("%s: %d", rows[i].target, rc);
        if (rc != MESH_OK)
            continue;
        assert_text(path, rows[i].path);
        assert_text(query, rows[i].query);
        assert_text(authority, rows[i].authority);
        assert_int_equal(has_query, rows[i].has_query);
    }
}

static bool is_among(const char *bytes, unsigned c) {
    return c != '\0' && strchr(bytes, (int)c) != NULL;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* RFC 3986, 3.1: of each byte, whether a scheme may begin with it, have it. */
static void test_schemes(void **state) {
    (void)state;

    for (unsigned c = 0; c < 256; c++) {
        char target[] = {(char)c, 's', (char)c, ':', '/', '/', 'h', '/'};
        mesh_str_t path, query, authority;
        bool has_query, begins = is_among(LETTERS, c);
        bool has = is_among(LETTERS DIGITS "+-.", c);

        /* What begins with these is no absolute target. */
        if (c != '/' && c != '?') {
            assert_int_equal(
                mesh_request_target((mesh_str_t){sizeof(target), target}, &path,
                                    &query, &has_query, &authority),
                begins ? MESH_OK : MESH_ERROR);
        }
        target[0] = 'x';
        assert_int_equal(
            mesh_request_target((mesh_str_t){sizeof(target), target}, &path,
                                &query, &has_query, &authority),
            has ? MESH_OK : MESH_ERROR);
    }
}

static void test_authority_host(void **state) {
    (void)state;
    assert_text(mesh_authority_host(MESH_STR("a.b:80")), "a.b");
    assert_text(mesh_authority_host(MESH_STR("a.b:")), "a.b");
    assert_text(mesh_authority_host(MESH_STR("a.b")), "a.b");
    assert_text(mesh_authority_host(MESH_STR("[::1]:8080")), "[::1]");
    assert_text(mesh_authority_host(MESH_STR("[::1]")), "[::1]");
    assert_text(mesh_authority_host(MESH_STR("a:b")), "a:b");
    assert_text(mesh_authority_host(MESH_STR("80")), "80");
    assert_text(mesh_authority_host(MESH_STR("")), "");
}

static void test_header_trim(void **state) {
    (void)state;
    assert_text(mesh_header_trim(MESH_STR("\t a \tb\t ")), "a \tb");
    assert_text(mesh_header_trim(MESH_STR("a")), "a");
    assert_text(mesh_header_trim(MESH_STR(" \t ")), "");
    assert_text(mesh_header_trim(MESH_STR("\v")), "\v");
}

static void test_header_items(void **state) {
    (void)state;
    mesh_str_t list = MESH_STR("a,\tb c ,, d,"), item;
    static const char *const items[] = {"a", "b c", "", "d"};

    for (size_t i = 0; i < mesh_nelts(items); i++) {
        assert_true(mesh_header_item(&list, &item));
        assert_text(item, items[i]);
    }
    assert_false(mesh_header_item(&list, &item));
    list = MESH_STR_NULL;
    assert_false(mesh_header_item(&list, &item));
}

typedef struct {
    uint32_t flags;
    const char *in;
    mesh_path_verdict_e verdict;
    const char *out;
} path_row_t;

static const path_row_t path_rows[] = {
    {RFC, "/", MESH_PATH_SAME, "/"},
    {RFC, "/a/b/c", MESH_PATH_SAME, "/a/b/c"},
    {RFC, "/a/../b", MESH_PATH_CHANGED, "/b"},
    {RFC, "/a/./b", MESH_PATH_CHANGED, "/a/b"},
    {RFC, "/a/..", MESH_PATH_CHANGED, "/"},
    {RFC, "/a/b/..", MESH_PATH_CHANGED, "/a/"},
    {RFC, "/a/.", MESH_PATH_CHANGED, "/a/"},
    {RFC, "/../../a", MESH_PATH_CHANGED, "/a"},
    {RFC, "/..", MESH_PATH_CHANGED, "/"},
    {RFC, "/a/...", MESH_PATH_SAME, "/a/..."},
    {RFC, "/.a/..b/c.", MESH_PATH_SAME, "/.a/..b/c."},
    {RFC, "/%2e%2e/", MESH_PATH_CHANGED, "/"},
    {RFC, "/a/%2E%2e/b", MESH_PATH_CHANGED, "/b"},
    {RFC, "/a/.%2e/b", MESH_PATH_CHANGED, "/b"},
    {RFC, "/%61%7e", MESH_PATH_CHANGED, "/a~"},
    {RFC, "/%c3%a9", MESH_PATH_CHANGED, "/%C3%A9"},
    {RFC, "/%20", MESH_PATH_SAME, "/%20"},
    {RFC, "/%252e%252e/", MESH_PATH_SAME, "/%252e%252e/"},
    {RFC, "/a\\..\\b", MESH_PATH_CHANGED, "/b"},
    {RFC, "//", MESH_PATH_SAME, "//"},
    {RFC, "/a//../b", MESH_PATH_CHANGED, "/a/b"},
    {RFC, "*", MESH_PATH_SAME, "*"},

    {RFC | MERGE, "//", MESH_PATH_CHANGED, "/"},
    {RFC | MERGE, "/a///b//", MESH_PATH_CHANGED, "/a/b/"},
    {RFC | MERGE, "/a//../b", MESH_PATH_CHANGED, "/a/b"},
    {MERGE, "/a//./b", MESH_PATH_CHANGED, "/a/./b"},

    {RFC, "/a%2Fb", MESH_PATH_SAME, "/a%2Fb"},
    {RFC, "/a%2fb", MESH_PATH_CHANGED, "/a%2Fb"},
    {RFC | REJECT, "/a%2Fb", MESH_PATH_REJECT, NULL},
    {RFC | REJECT, "/a%5cb", MESH_PATH_REJECT, NULL},
    {RFC | REJECT, "/ab", MESH_PATH_SAME, "/ab"},
    {RFC | REDIRECT, "/a%2Fb", MESH_PATH_REDIRECT, "/a/b"},
    {RFC | REDIRECT, "/x/%2e%2e%2fb", MESH_PATH_REDIRECT, "/b"},
    {RFC | REDIRECT, "/a/./b", MESH_PATH_CHANGED, "/a/b"},
    {RFC | UNESCAPE, "/a%2Fb", MESH_PATH_CHANGED, "/a/b"},
    {RFC | UNESCAPE, "/a%5Cb", MESH_PATH_CHANGED, "/a/b"},
    {RFC | UNESCAPE, "/a%2f..%2fb", MESH_PATH_CHANGED, "/b"},
    {RFC | UNESCAPE, "/a%252Fb", MESH_PATH_SAME, "/a%252Fb"},
    {RFC | UNESCAPE | MERGE, "/a%2F%2Fb", MESH_PATH_CHANGED, "/a/b"},

    {0, "/a/../b", MESH_PATH_SAME, "/a/../b"},
    {0, "/%2e%2e//\\%2f", MESH_PATH_SAME, "/%2e%2e//\\%2f"},
    {UNESCAPE, "/%2e%2f%5c", MESH_PATH_CHANGED, "/%2e/\\"},

    {0, "/%00", MESH_PATH_REJECT, NULL},
    {RFC, "/a%00b", MESH_PATH_REJECT, NULL},
    {RFC | UNESCAPE, "/%00/..", MESH_PATH_REJECT, NULL},

    {RFC, "/%", MESH_PATH_SAME, "/%"},
    {RFC, "/%2", MESH_PATH_SAME, "/%2"},
    {RFC, "/%zz/%4", MESH_PATH_SAME, "/%zz/%4"},
    {RFC, "/%g1%41", MESH_PATH_CHANGED, "/%g1A"},
    {RFC, "/%%32f", MESH_PATH_SAME, "/%%32f"},
    {RFC, "/%2%46", MESH_PATH_SAME, "/%2%46"},
    {RFC, "/%%32%46", MESH_PATH_CHANGED, "/%%32F"},
};

static void test_paths(void **state) {
    (void)state;

    for (size_t i = 0; i < mesh_nelts(path_rows); i++) {
        const path_row_t *row = &path_rows[i];
        mesh_str_t in = mesh_str_from(row->in), out;
        char buffer[64];
        mesh_path_verdict_e verdict =
            mesh_path_normalize(row->flags, in, buffer, &out);

        if (verdict != row->verdict)
            fail_msg("%s: verdict %d", row->in, (int)verdict);
        if (row->out != NULL)
            assert_text(out, row->out);
        if (verdict == MESH_PATH_SAME)
            assert_ptr_equal(out.data, in.data);
    }
}

/* RFC 3986, 2.3: of each escape, whether it is one that need not be. */
static void test_escapes(void **state) {
    (void)state;

    for (unsigned c = 1; c < 256; c++) {
        static const char hex[] = "0123456789ABCDEF";
        char in[] = {'/', 'x', '%', hex[c >> 4], hex[c & 15]};
        char plain[] = {'/', 'x', (char)c}, buffer[sizeof(in)];
        bool unreserved = is_among(LETTERS DIGITS "-._~", c);
        mesh_str_t text = {sizeof(in), in}, out;
        mesh_path_verdict_e verdict =
            mesh_path_normalize(RFC, text, buffer, &out);

        assert_int_equal(verdict,
                         unreserved ? MESH_PATH_CHANGED : MESH_PATH_SAME);
        assert_true(mesh_str_eq(
            out, unreserved ? (mesh_str_t){sizeof(plain), plain} : text));
        for (size_t i = 3; i < sizeof(in); i++) {
            in[i] = (char)mesh_lower(in[i]);
        }
        (void)mesh_path_normalize(RFC, text, buffer, &out);
        assert_int_equal(out.len, unreserved ? sizeof(plain) : sizeof(in));
    }
}

static void test_raw_nul(void **state) {
    mesh_str_t in = {4, "/a\0b"}, out;
    char buffer[8];
    (void)state;

    assert_int_equal(mesh_path_normalize(0, in, buffer, &out),
                     MESH_PATH_REJECT);
    assert_int_equal(mesh_path_normalize(RFC, in, buffer, &out),
                     MESH_PATH_REJECT);
}

/* Pieces of which hostile paths are made. */
static const char *const pieces[] = {
    "/",   "/",   ".",   "..",  "/../", "/./", "%",   "%2",  "%2f",
    "%2F", "%5c", "%2e", "%2E", "%25",  "%32", "%46", "%30", "%41",
    "\\",  "a",   "f",   "2",   "%zz",  "//",  "%C3", "5",   "e",
};

static mesh_str_t random_path(rng_t *rng, char *text, size_t size) {
    mesh_str_t path = {1, text};
    uint32_t n = rng_below(rng, 14);

    text[0] = '/';
    for (uint32_t i = 0; i < n; i++) {
        const char *piece = pieces[rng_below(rng, mesh_nelts(pieces))];
        size_t len = strlen(piece);

        if (path.len + len > size)
            break;
        memcpy(text + path.len, piece, len);
        path.len += len;
    }
    return path;
}

static bool has_dot_segment(mesh_str_t path) {
    for (size_t i = 0; i < path.len; i++) {
        if (path.data[i] != '/')
            continue;

        size_t n = 0;

        while (i + 1 + n < path.len && path.data[i + 1 + n] != '/')
            n++;
        if ((n == 1 || n == 2) && path.data[i + 1] == '.' &&
            path.data[i + n] == '.')
            return true;
    }
    return false;
}

static bool contains(mesh_str_t text, const char *what) {
    size_t n = strlen(what);

    for (size_t i = 0; i + n <= text.len; i++) {
        if (memcmp(text.data + i, what, n) == 0)
            return true;
    }
    return false;
}

/* What was normalised stays as it is, and holds what the flags promise. */
static void check_normal(uint32_t flags, mesh_str_t in, mesh_str_t out) {
    mesh_str_t again;
    char *buffer = malloc(out.len + 1);

    assert_true(out.len <= in.len);
    assert_true(out.len > 0 && out.data[0] == '/');
    if (mesh_path_normalize(flags, out, buffer, &again) != MESH_PATH_SAME) {
        fail_msg("%#x \"%.*s\" -> \"%.*s\" -> \"%.*s\"", flags, (int)in.len,
                 in.data, (int)out.len, out.data, (int)again.len, again.data);
    }
    if (flags & RFC) {
        assert_false(has_dot_segment(out));
        assert_false(contains(out, "\\"));
    }
    if (flags & MERGE)
        assert_false(contains(out, "//"));
    if ((flags & MESH_SLASHES_MASK) >= REDIRECT)
        assert_false(contains(out, "%2F") || contains(out, "%2f"));
    free(buffer);
}

static void test_normal_is_final(void **state) {
    rng_t rng = {1};
    unsigned changed = 0;
    (void)state;

    for (unsigned i = 0; i < 400000; i++) {
        char text[64];
        mesh_str_t in = random_path(&rng, text, sizeof(text)), out;
        uint32_t flags = (rng_below(&rng, 4) ? RFC : 0) |
                         (rng_below(&rng, 2) ? MERGE : 0) |
                         SLASHES(rng_below(&rng, 4));
        /* On the heap and exact, so that sanitizers see one byte too many. */
        char *buffer = malloc(in.len);
        mesh_path_verdict_e verdict =
            mesh_path_normalize(flags, in, buffer, &out);

        changed += verdict == MESH_PATH_CHANGED;
        if (verdict != MESH_PATH_REJECT)
            check_normal(flags, in, out);
        free(buffer);
    }
    assert_true(changed > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_schemes),
        cmocka_unit_test(test_authority_host),
        cmocka_unit_test(test_header_trim),
        cmocka_unit_test(test_header_items),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_raw_nul),
        cmocka_unit_test(test_normal_is_final),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
