/* SPDX-License-Identifier: Apache-2.0 */

/* Cookies that name an endpoint: there and back, and what they must not do. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cluster_fixture.h"
#include "mesh_lb_session.h"

#define NOW UINT64_C(1000)

static mesh_str_t value_of(const char *text, char *out) {
    size_t len = mesh_lb_session_value(mesh_str_from(text), out);

    return (mesh_str_t){len, out};
}

static mesh_session_t session_to(const fixture_t *f,
                                 const mesh_cluster_view_t *view, uint32_t i,
                                 char *value) {
    char text[256];

    mesh_endpoint_text(&f->snapshot, view->endpoints[i].endpoint, text,
                       sizeof(text));
    return (mesh_session_t){.value = value_of(text, value)};
}

/* RFC 4648, section 10. */
static void test_values(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"127.0.0.1:80", "MTI3LjAuMC4xOjgw"},
    };
    char out[MESH_SESSION_VALUE_MAX], longest[MESH_SESSION_TEXT_MAX + 2];

    for (unsigned i = 0; i < mesh_nelts(pairs); i++) {
        assert_true(mesh_str_eq(value_of(pairs[i][0], out),
                                mesh_str_from(pairs[i][1])));
    }
    memset(longest, 'x', sizeof(longest));
    longest[MESH_SESSION_TEXT_MAX + 1] = '\0';
    assert_int_equal(value_of(longest, out).len, 0);
    longest[MESH_SESSION_TEXT_MAX] = '\0';
    assert_int_equal(value_of(longest, out).len, MESH_SESSION_VALUE_MAX);
}

static void test_each_is_found(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 64, 65, 10000};

    for (unsigned s = 0; s < mesh_nelts(sizes); s++) {
        char value[MESH_SESSION_VALUE_MAX];
        fixture_t *f = fixture_new(&(fixture_spec_t){.count = sizes[s]});
        const mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);
        mesh_pick_t pick = {.view = view, .subset = &view->subsets[0]};

        for (uint32_t i = 0; i < sizes[s]; i++) {
            mesh_session_t session = session_to(f, view, i, value);
            pick.ticket = i * 7;
            assert_int_equal(
                mesh_lb_session_pick(&pick, &f->snapshot, &session), i);
        }
        fixture_free(f);
    }
}

/* Not one that is out, has no weight or is elsewhere; nor for a retry. */
static void test_only_who_may_be_picked(void **state) {
    (void)state;
    fixture_endpoint_t e[4] = {
        {.id = 1, .weight = 1},
        {.id = 2, .weight = 0},
        {.id = 3, .weight = 1, .health = MESH_HEALTH_UNHEALTHY},
        {.id = 4, .weight = 1, .labels = "v=2"}};
    fixture_subset_t subset = {"two", "v=2"};
    fixture_t *f = fixture_new(&(fixture_spec_t){
        .count = 4, .endpoints = e, .nsubsets = 1, .subsets = &subset});
    const mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);
    char value[MESH_SESSION_VALUE_MAX];

    for (unsigned strict = 0; strict < 2; strict++) {
        for (uint32_t i = 0; i < 4; i++) {
            mesh_session_t session = session_to(f, view, i, value);
            mesh_pick_t pick = {.view = view, .subset = &view->subsets[0]};
            bool in = i == 0 || i == 3;

            session.strict = strict;
            for (pick.ticket = 0; pick.ticket < 10; pick.ticket++) {
                uint32_t at =
                    mesh_lb_session_pick(&pick, &f->snapshot, &session);
                assert_int_equal(at, in       ? i
                                     : strict ? MESH_PICK_NONE
                                              : mesh_lb_pick(&pick));
            }

            pick.tried = &i;
            pick.ntried = 1;
            assert_int_equal(
                mesh_lb_session_pick(&pick, &f->snapshot, &session),
                mesh_lb_pick(&pick));

            pick.ntried = 0;
            pick.subset = &view->subsets[1];
            assert_int_equal(
                mesh_lb_session_pick(&pick, &f->snapshot, &session),
                i == 3 || !strict ? 3 : MESH_PICK_NONE);
        }
    }
    fixture_free(f);
}

/*
 * A stranger's bytes are as good as none, and none is not strict, nor is what
 * is no base64; what names nobody is.
 */
static void test_garbage(void **state) {
    (void)state;
    static const char *const texts[] = {
        "10.0.0.0",
        "10.0.0.0:",
        "10.0.0.0:65536",
        "10.0.0.0:80x",
        "10.0.0.0:99999999999999999999",
        "10.0.0:80",
        "[::1]:80",
        "[::1:80",
        "[10.0.0.0]:80",
        "unix:",
        "unix:/x",
        ":80",
        "[",
        "]:80",
        "10.0.0.0 :80",
        "-1.0.0.0:80",
    };
    static const char *const values[] = {"*", "====", "MTI3LjAuMC4xOjgw!",
                                         "A", "AAAA", "//////"};
    const unsigned none = mesh_nelts(texts) + 4;
    fixture_t *f = fixture_new(&(fixture_spec_t){.count = 5});
    const mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);
    mesh_pick_t pick = {.view = view, .subset = &view->subsets[0], .ticket = 3};
    char value[MESH_SESSION_VALUE_MAX + 9];

    for (unsigned i = 0; i < mesh_nelts(texts) + mesh_nelts(values); i++) {
        mesh_session_t session = {
            .value = i < mesh_nelts(texts)
                         ? value_of(texts[i], value)
                         : mesh_str_from(values[i - mesh_nelts(texts)])};
        assert_int_equal(mesh_lb_session_pick(&pick, &f->snapshot, &session),
                         mesh_lb_pick(&pick));
        bool says = i < mesh_nelts(texts) || i >= none;
        assert_int_equal(mesh_lb_session_says(&session), says);
        session.strict = true;
        assert_int_equal(mesh_lb_session_pick(&pick, &f->snapshot, &session),
                         says ? MESH_PICK_NONE : mesh_lb_pick(&pick));
    }

    memset(value, 'A', sizeof(value));
    mesh_session_t session = {.value = {sizeof(value), value}};
    assert_int_equal(mesh_lb_session_pick(&pick, &f->snapshot, &session),
                     mesh_lb_pick(&pick));
    session.strict = true;
    assert_int_equal(mesh_lb_session_pick(&pick, &f->snapshot, &session),
                     MESH_PICK_NONE);
    value[sizeof(value) - 1] = '*';
    assert_int_equal(mesh_lb_session_pick(&pick, &f->snapshot, &session),
                     mesh_lb_pick(&pick));
    session = (mesh_session_t){.strict = true};
    assert_int_equal(mesh_lb_session_pick(&pick, &f->snapshot, &session),
                     mesh_lb_pick(&pick));
    fixture_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_each_is_found),
        cmocka_unit_test(test_only_who_may_be_picked),
        cmocka_unit_test(test_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
