/* SPDX-License-Identifier: Apache-2.0 */

/* Which redirects of endpoints are followed, and where they lead. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mesh_follow.h"

static const mesh_rec_internal_redirect_t plain = {
    .rec = {MESH_KIND_INTERNAL_REDIRECT, 0, 24},
    .max = 1,
    .codes = MESH_FOLLOW_302};

static mesh_follow_verdict_e lead(const char *location,
                                  mesh_follow_target_t *target) {
    mesh_follow_state_t s = {.status = 302,
                             .body_kept = true,
                             .scheme = MESH_STR("http"),
                             .location = mesh_str_from(location)};

    memset(target, 0, sizeof(*target));
    return mesh_follow_decide(&plain, &s, target);
}

/* Every policy and state, against the same said otherwise. */
static void test_all(void **state) {
    (void)state;
    static const unsigned statuses[] = {200, 301, 302, 303, 304, 307, 308, 500};
    static const uint32_t bits[] = {0, 1, 2, 4, 0, 8, 16, 0};

    for (uint32_t i = 0; i < 32 * 8 * 3 * 3 * 2 * 2 * 2; i++) {
        uint32_t left = i;
#define next(n)                                                                \
    (left % (n));                                                              \
    left /= (n)
        uint32_t codes = next(32);
        uint32_t k = next(8);
        uint32_t max = 1 + next(3);
        uint32_t hops = next(3);
        uint32_t kept = next(2);
        uint32_t cross = next(2);
        uint32_t secure = next(2);
#undef next
        mesh_rec_internal_redirect_t policy = {
            .max = max, .codes = codes, .flags = cross};
        mesh_follow_state_t s = {
            .status = statuses[k],
            .hops = hops,
            .body_kept = kept != 0,
            .scheme = MESH_STR("http"),
            .location = mesh_str_from(secure ? "https://a/" : "http://a/")};
        mesh_follow_target_t target;
        bool yes =
            (codes & bits[k]) && hops < max && kept && (cross || !secure);
        mesh_follow_verdict_e verdict =
            mesh_follow_decide(&policy, &s, &target);

        assert_int_equal(verdict == MESH_FOLLOW_YES, yes);
        assert_int_equal(verdict == MESH_FOLLOW_OTHER, !(codes & bits[k]));
        if (verdict == MESH_FOLLOW_HOPS) {
            assert_true(hops >= max);
        }
        if (verdict == MESH_FOLLOW_SCHEME) {
            assert_true(secure && !cross);
        }
    }
}

static void test_targets(void **state) {
    (void)state;
    static const struct {
        const char *location, *authority, *path, *query;
    } cases[] = {
        {"http://a", "a", "/", NULL},
        {"HtTp://A.b:81/x", "A.b:81", "/x", NULL},
        {"http://a?", "a", "/", ""},
        {"http://a/x?y?z#f", "a", "/x", "y?z"},
        {"http://a#f", "a", "/", NULL},
        {"http://u:p@a/", "a", "/", NULL},
        {"http://u@v@a/@", "a", "/@", NULL},
        {"http://[::1]:8/..", "[::1]:8", "/..", NULL},
    };

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        mesh_follow_target_t t;

        assert_int_equal(lead(cases[i].location, &t), MESH_FOLLOW_YES);
        assert_true(mesh_str_eq(t.scheme, MESH_STR("http")));
        assert_true(
            mesh_str_eq(t.authority, mesh_str_from(cases[i].authority)));
        assert_true(mesh_str_eq(t.path, mesh_str_from(cases[i].path)));
        assert_int_equal(t.has_query, cases[i].query != NULL);
        if (t.has_query) {
            assert_true(mesh_str_eq(t.query, mesh_str_from(cases[i].query)));
        }
    }
}

static void test_no_targets(void **state) {
    (void)state;
    static const char *const cases[] = {
        "",
        "/",
        "/x",
        "x",
        "//a/x",
        "*",
        "?q",
        "#f",
        "http:",
        "http:/a",
        "http://",
        "http:///x",
        "http://?q",
        "http://u@",
        "http://u@/x",
        "ftp://a/",
        "httpx://a/",
        "xhttp://a/",
        " http://a/",
        "http://a/ ",
        "http://a/x y",
        "http://a\r\nX: y",
        "http://a/\x7f",
        "http://a/\t",
    };

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        mesh_follow_target_t t;

        if (lead(cases[i], &t) != MESH_FOLLOW_LOCATION) {
            fail_msg("\"%s\" is followed", cases[i]);
        }
    }
}

static void test_see_other(void **state) {
    (void)state;

    for (unsigned status = 300; status < 309; status++) {
        assert_int_equal(mesh_follow_is_get(status, MESH_METHOD_POST),
                         status == 303);
        assert_int_equal(mesh_follow_is_get(status, MESH_METHOD_OTHER),
                         status == 303);
        assert_false(mesh_follow_is_get(status, MESH_METHOD_GET));
        assert_false(mesh_follow_is_get(status, MESH_METHOD_HEAD));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_no_targets),
        cmocka_unit_test(test_see_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
