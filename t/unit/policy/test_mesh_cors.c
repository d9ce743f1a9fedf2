/* SPDX-License-Identifier: Apache-2.0 */

/*
 * CORS: the decision over the space of its inputs, against a table of the
 * Fetch standard's words, and the headers that follow from it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "compile.h"
#include "mesh_cors.h"
#include "route_fixture.h"

typedef struct {
    mesh_writer_t *w;
    image_t image;
    const mesh_rec_cors_t *cors;
    fixture_request_t request;
} world_t;

/* A policy through compiler and check. */
static void open_world(world_t *world, const model_cors_t *cors) {
    world->w = mesh_writer_create(1, FIXTURE_CAPACITY);
    mesh_ref_t ref = compile_cors(world->w, cors);
    assert_int_equal(image_open(&world->image, world->w), MESH_OK);
    world->cors = mesh_get(&world->image.s, ref);
}

static void close_world(world_t *world) {
    image_close(&world->image);
    mesh_writer_free(world->w);
}

static void ask(world_t *world, const char *method, const char *origin,
                const char *asked) {
    fixture_request_t *f = &world->request;

    fixture_request(f, mesh_str_from(method), MESH_STR("h"), MESH_STR("/"));
    f->nheaders = 0;
    if (origin != NULL) {
        f->names[f->nheaders] = MESH_STR("origin");
        f->values[f->nheaders++] = mesh_str_from(origin);
    }
    if (asked != NULL) {
        f->names[f->nheaders] = MESH_STR("access-control-request-method");
        f->values[f->nheaders++] = mesh_str_from(asked);
    }
}

static void also(world_t *world, const char *name, const char *value) {
    fixture_request_t *f = &world->request;

    f->names[f->nheaders] = mesh_str_from(name);
    f->values[f->nheaders++] = mesh_str_from(value);
}

static mesh_cors_t decide(const world_t *world) {
    return mesh_cors_decide(&world->image.s, world->cors, &world->request.r);
}

/* The headers as "name=value;name=value;". */
static const char *headers(const world_t *world, const mesh_cors_t *d) {
    static char text[1024];
    mesh_cors_header_t v[MESH_CORS_HEADERS_MAX];
    unsigned n = mesh_cors_headers(&world->image.s, world->cors, d, v);
    size_t len = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < n; i++) {
        assert_true(v[i].name.len > 15 && v[i].value.len > 0);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s=%.*s;",
                                (int)v[i].name.len - 15, v[i].name.data + 15,
                                (int)v[i].value.len, v[i].value.data);
    }
    return text;
}

static model_match_t origin(mesh_match_op_e op, const char *value, bool fold) {
    return (model_match_t){.from = MESH_FROM_HEADER,
                           .op = op,
                           .ignore_case = fold,
                           .name = MESH_STR("origin"),
                           .value = mesh_str_from(value)};
}

static void test_origins(void **state) {
    (void)state;
    model_match_t v[] = {origin(MESH_MATCH_EXACT, "http://a.test", false),
                         origin(MESH_MATCH_PREFIX, "http://p.", true),
                         origin(MESH_MATCH_SUFFIX, ".s", false),
                         origin(MESH_MATCH_CONTAINS, "mid", false),
                         origin(MESH_MATCH_REGEX, "https?://[a-z]+", false)};
    static const struct {
        const char *origin;
        bool allowed;
    } cases[] = {
        {"http://a.test", true},
        {"http://A.test", false},
        {"http://a.test:80", false},
        {"HTTP://P.x", true},
        {"x.s", true},
        {"x.S", false},
        {"amidst", true},
        {"https://abc", true},
        {"https://abc1", false},
        {"*", false},
        {"null", false},
    };
    model_cors_t cors = {.set = true, .origins = {5, v}};
    world_t world;

    open_world(&world, &cors);
    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        ask(&world, "GET", cases[i].origin, NULL);
        mesh_cors_t d = decide(&world);
        assert_int_equal(d.verdict,
                         cases[i].allowed ? MESH_CORS_ALLOWED : MESH_CORS_NONE);
        ask(&world, "OPTIONS", cases[i].origin, "PUT");
        d = decide(&world);
        assert_int_equal(d.verdict, cases[i].allowed ? MESH_CORS_PREFLIGHT
                                                     : MESH_CORS_REFUSED);
    }
    close_world(&world);
}

/* Nobody's list of origins is nobody's; "*" is anybody's. */
static void test_nobody_and_anybody(void **state) {
    (void)state;
    model_cors_t cors = {.set = true, .forward_foreign = true};
    model_match_t any = origin(MESH_MATCH_EXACT, "*", false);
    world_t world;

    open_world(&world, &cors);
    ask(&world, "GET", "http://a", NULL);
    assert_int_equal(decide(&world).verdict, MESH_CORS_NONE);
    close_world(&world);

    cors.origins = (model_matches_t){1, &any};
    open_world(&world, &cors);
    ask(&world, "GET", "http://a", NULL);
    assert_int_equal(decide(&world).verdict, MESH_CORS_ALLOWED);
    close_world(&world);
}

/* Each method, origin, asked method and switch. */
static void test_verdicts(void **state) {
    (void)state;
    static const char *const methods[] = {"GET",     "HEAD",    "POST",
                                          "OPTIONS", "options", "BREW"};
    static const char *const origins[] = {NULL, "", "http://own", "http://x"};
    static const char *const asked[] = {NULL, "", "GET"};
    model_match_t own = origin(MESH_MATCH_EXACT, "http://own", false);

    for (unsigned forward = 0; forward < 2; forward++) {
        model_cors_t cors = {
            .set = true, .origins = {1, &own}, .forward_foreign = forward != 0};
        world_t world;

        open_world(&world, &cors);
        for (size_t m = 0; m < mesh_nelts(methods); m++) {
            for (size_t o = 0; o < mesh_nelts(origins); o++) {
                for (size_t a = 0; a < mesh_nelts(asked); a++) {
                    bool preflight = m == 3 && o >= 2 && a == 2;
                    mesh_cors_verdict_e wanted = MESH_CORS_NONE;

                    if (o == 2) {
                        wanted =
                            preflight ? MESH_CORS_PREFLIGHT : MESH_CORS_ALLOWED;
                    } else if (o == 3 && preflight && !forward) {
                        wanted = MESH_CORS_REFUSED;
                    }
                    ask(&world, methods[m], origins[o], asked[a]);
                    assert_int_equal(decide(&world).verdict, wanted);
                }
            }
        }
        close_world(&world);
    }
}

static void test_headers(void **state) {
    (void)state;
    model_match_t any = origin(MESH_MATCH_EXACT, "*", false);
    model_cors_t cors = {.set = true,
                         .origins = {1, &any},
                         .methods = MESH_STR("GET, PUT"),
                         .headers = MESH_STR("*"),
                         .expose = MESH_STR("x-e"),
                         .max_age = MESH_STR("0"),
                         .credentials = true,
                         .private_network = true};
    world_t world;

    open_world(&world, &cors);
    ask(&world, "GET", "http://a", "GET");
    mesh_cors_t d = decide(&world);
    assert_string_equal(headers(&world, &d),
                        "allow-origin=http://a;allow-credentials=true;"
                        "expose-headers=x-e;");
    ask(&world, "OPTIONS", "http://a", "PUT");
    d = decide(&world);
    assert_string_equal(headers(&world, &d),
                        "allow-origin=http://a;allow-credentials=true;"
                        "expose-headers=x-e;allow-methods=GET, PUT;max-age=0;");
    also(&world, "access-control-request-headers", "x-1, x-2");
    also(&world, "access-control-request-private-network", "true");
    d = decide(&world);
    assert_string_equal(headers(&world, &d),
                        "allow-origin=http://a;allow-credentials=true;"
                        "expose-headers=x-e;allow-methods=GET, PUT;"
                        "allow-headers=x-1, x-2;max-age=0;"
                        "allow-private-network=true;");
    d.verdict = MESH_CORS_REFUSED;
    assert_string_equal(headers(&world, &d),
                        "allow-methods=GET, PUT;allow-headers=x-1, x-2;"
                        "max-age=0;");
    d.verdict = MESH_CORS_NONE;
    assert_string_equal(headers(&world, &d), "");
    close_world(&world);
}

static void test_what_is_not_said(void **state) {
    (void)state;
    model_match_t any = origin(MESH_MATCH_EXACT, "*", false);
    model_cors_t cors = {.set = true, .origins = {1, &any}};
    world_t world;

    open_world(&world, &cors);
    ask(&world, "OPTIONS", "http://a", "PUT");
    also(&world, "access-control-request-private-network", "true");
    mesh_cors_t d = decide(&world);
    assert_string_equal(headers(&world, &d), "allow-origin=http://a;");
    close_world(&world);
}

static void test_vary(void **state) {
    (void)state;
    static const struct {
        const char *vary;
        bool names;
    } cases[] = {
        {"", false},        {"origin", true},    {"Origin", true},
        {"accept", false},  {"a,origin", true},  {"a , ORIGIN ,b", true},
        {"origins", false}, {"xorigin", false},  {"*", true},
        {"a, *", true},     {",", false},        {"origin,", true},
        {"or igin", false}, {"a;origin", false},
    };

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        if (mesh_cors_varies(mesh_str_from(cases[i].vary)) != cases[i].names) {
            fail_msg("vary: %s", cases[i].vary);
        }
    }
    assert_false(mesh_cors_varies(MESH_STR_NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_nobody_and_anybody),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_what_is_not_said),
        cmocka_unit_test(test_vary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
