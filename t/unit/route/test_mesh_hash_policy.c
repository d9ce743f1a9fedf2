/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Hash policies: which of them count, how they are combined, cookies that
 * are read and made.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "compile.h"
#include "mesh_hash_policy.h"
#include "route_fixture.h"

typedef struct {
    mesh_writer_t *w;
    image_t image;
    const mesh_rec_hash_policies_t *policies;
    fixture_request_t request;
    uint64_t seed;
} world_t;

/* A route with these policies, through compiler and check. */
static void open_world(world_t *world, model_hash_policy_t *policies,
                       uint32_t count) {
    model_split_t split = {.cluster = MESH_STR("c"), .weight = 1};
    model_route_t route = {.name = MESH_STR("r"),
                           .path = MESH_STR("/"),
                           .nsplit = 1,
                           .split = &split,
                           .nhash_policies = count,
                           .hash_policies = policies};

    world->w = mesh_writer_create(1, FIXTURE_CAPACITY);
    mesh_ref_t ref = compile_route(world->w, NULL, &route);
    assert_int_equal(image_open(&world->image, world->w), MESH_OK);

    const mesh_rec_route_t *rec = mesh_get(&world->image.s, ref);
    world->policies = mesh_get(&world->image.s, rec->hash_policies);
    fixture_request(&world->request, MESH_STR("GET"), MESH_STR("h"),
                    MESH_STR("/a/b"));
    world->seed = 0;
}

static void close_world(world_t *world) {
    image_close(&world->image);
    mesh_writer_free(world->w);
}

static mesh_hash_result_t hash_of(const world_t *world) {
    mesh_hash_result_t result;

    mesh_hash_policies(&world->image.s, world->policies, &world->request.r,
                       world->seed, &result);
    return result;
}

static uint64_t text_hash(const char *text) {
    return mesh_hash64(text, strlen(text));
}

static uint64_t rotl(uint64_t h) {
    return h << 1 | h >> 63;
}

static void test_nothing_known(void **state) {
    (void)state;
    model_hash_policy_t one[] = {
        {.from = MESH_HASH_HEADER, .name = MESH_STR("x-user")},
        {.from = MESH_HASH_COOKIE, .name = MESH_STR("sid"), .terminal = true},
        {.from = MESH_HASH_SOURCE_IP, .terminal = true},
        {.from = MESH_HASH_QUERY, .name = MESH_STR("q")},
    };
    world_t world;

    open_world(&world, one, 4);
    assert_false(hash_of(&world).known);
    world.policies = NULL;
    assert_false(hash_of(&world).known);
    close_world(&world);

    open_world(&world, one, 0);
    assert_null(world.policies);
    close_world(&world);
}

static void test_each_source(void **state) {
    (void)state;
    model_hash_policy_t policy[] = {
        {.from = MESH_HASH_HEADER, .name = MESH_STR("x-user")},
        {.from = MESH_HASH_COOKIE, .name = MESH_STR("sid")},
        {.from = MESH_HASH_SOURCE_IP},
        {.from = MESH_HASH_QUERY, .name = MESH_STR("q")},
        {.from = MESH_HASH_PATH},
    };
    static const char *const want[] = {"jason", "7", "\x0a\1\2\3", "a%20b",
                                       "/a/b"};

    for (unsigned i = 0; i < mesh_nelts(policy); i++) {
        world_t world;

        open_world(&world, &policy[i], 1);
        fixture_add_header(&world.request, MESH_STR("x-user"),
                           MESH_STR("jason"));
        fixture_add_header(&world.request, MESH_STR("cookie"),
                           MESH_STR("a=b; sid=7"));
        memcpy(world.request.address, "\x0a\1\2\3", 4);
        world.request.address_len = 4;
        world.request.r.query = MESH_STR("p=1&q=a%20b&q=2");
        world.request.r.has_query = true;

        mesh_hash_result_t result = hash_of(&world);
        assert_true(result.known);
        assert_true(result.hash == text_hash(want[i]));
        assert_int_equal(result.generated, 0);
        close_world(&world);
    }
}

/* In order, each rotating what was before; twice the same is not nothing. */
static void test_combination(void **state) {
    (void)state;
    model_hash_policy_t policy[] = {
        {.from = MESH_HASH_PATH},
        {.from = MESH_HASH_HEADER, .name = MESH_STR("x")},
        {.from = MESH_HASH_PATH},
    };
    world_t world;
    uint64_t path = text_hash("/a/b");

    open_world(&world, policy, 3);
    assert_true(hash_of(&world).hash == (rotl(path) ^ path));
    fixture_add_header(&world.request, MESH_STR("x"), MESH_STR("1"));
    assert_true(hash_of(&world).hash ==
                (rotl(rotl(path) ^ text_hash("1")) ^ path));
    close_world(&world);
}

/* A terminal policy ends the list if there is a hash, its own or not. */
static void test_terminal(void **state) {
    (void)state;
    model_hash_policy_t policy[] = {
        {.from = MESH_HASH_HEADER, .name = MESH_STR("x"), .terminal = true},
        {.from = MESH_HASH_QUERY, .name = MESH_STR("q")},
        {.from = MESH_HASH_HEADER, .name = MESH_STR("y"), .terminal = true},
        {.from = MESH_HASH_PATH},
    };
    world_t world;

    open_world(&world, policy, 4);
    assert_true(hash_of(&world).hash == text_hash("/a/b"));
    world.request.r.query = MESH_STR("q=7");
    assert_true(hash_of(&world).hash == text_hash("7"));
    fixture_add_header(&world.request, MESH_STR("x"), MESH_STR("1"));
    assert_true(hash_of(&world).hash == text_hash("1"));
    close_world(&world);
}

static size_t set_cookie(const world_t *world, const mesh_hash_result_t *made,
                         char *out, size_t size) {
    const mesh_hash_policy_t *policy = &world->policies->v[1];
    mesh_str_t value = {MESH_HASH_VALUE_LEN, made->value};

    return mesh_set_cookie(mesh_get_str(&world->image.s, policy->name), value,
                           mesh_get_str(&world->image.s, policy->attributes),
                           out, size);
}

static void test_generated_cookie(void **state) {
    (void)state;
    model_hash_policy_t policy[] = {
        {.from = MESH_HASH_PATH},
        {.from = MESH_HASH_COOKIE,
         .name = MESH_STR("sid"),
         .generate = true,
         .attributes = MESH_STR("; Max-Age=60; Path=/x; HttpOnly")},
    };
    world_t world;
    char text[128], again[256];

    open_world(&world, policy, 2);
    world.seed = 5;

    mesh_hash_result_t made = hash_of(&world);
    assert_true(made.known);
    assert_int_equal(made.generated, 2);

    size_t len = set_cookie(&world, &made, text, sizeof(text));
    assert_true(len < sizeof(text));
    text[len] = '\0';
    snprintf(again, sizeof(again),
             "sid=\"%.16s\"; Max-Age=60; Path=/x; "
             "HttpOnly",
             made.value);
    assert_string_equal(text, again);

    /* Cut, and never past the end. */
    for (size_t size = 0; size < len; size++) {
        memset(again, 'x', sizeof(again));
        assert_int_equal(set_cookie(&world, &made, again, size), len);
        assert_memory_equal(again, text, size);
        assert_int_equal(again[size], 'x');
    }

    /* The client sends it back, quoted as it was set: the same hash. */
    snprintf(again, sizeof(again), "other; sid=\"%.16s\"", made.value);
    fixture_add_header(&world.request, MESH_STR("cookie"),
                       mesh_str_from(again));
    world.seed = 6;
    mesh_hash_result_t back = hash_of(&world);
    assert_int_equal(back.generated, 0);
    assert_true(back.hash == made.hash);

    /* An empty one is as good as none: another connection, another value. */
    world.request.values[0] = MESH_STR("sid=");
    mesh_hash_result_t fresh = hash_of(&world);
    assert_int_equal(fresh.generated, 2);
    assert_memory_not_equal(fresh.value, made.value, sizeof(made.value));
    close_world(&world);
}

/* Headers of one name all count, in order; one is not the other two. */
static void test_repeated_headers(void **state) {
    (void)state;
    model_hash_policy_t policy = {.from = MESH_HASH_HEADER,
                                  .name = MESH_STR("x")};
    uint64_t hashes[4];
    static const char *const values[4][2] = {
        {"a", "b"}, {"b", "a"}, {"a", "a"}, {"a,b", NULL}};

    for (unsigned i = 0; i < 4; i++) {
        world_t world;

        open_world(&world, &policy, 1);
        for (unsigned k = 0; k < 2 && values[i][k]; k++) {
            fixture_add_header(&world.request, MESH_STR("x"),
                               mesh_str_from(values[i][k]));
        }
        hashes[i] = hash_of(&world).hash;
        for (unsigned k = 0; k < i; k++) {
            assert_true(hashes[k] != hashes[i]);
        }
        close_world(&world);
    }
}

/* A cookie, or the first header of the name; nothing is nobody. */
static void test_session_values(void **state) {
    (void)state;
    for (int header = 0; header < 2; header++) {
        const model_split_t split = {.cluster = MESH_STR("c"), .weight = 1};
        model_route_t route = {
            .name = MESH_STR("r"),
            .path = MESH_STR("/"),
            .nsplit = 1,
            .split = (model_split_t *)&split,
            .session = {.set = true, .header = header, .name = MESH_STR("at")}};
        mesh_writer_t *w = mesh_writer_create(1, FIXTURE_CAPACITY);
        mesh_ref_t ref = compile_route(w, NULL, &route);
        fixture_request_t request;
        image_t image;

        assert_int_equal(image_open(&image, w), MESH_OK);
        const mesh_rec_route_t *rec = mesh_get(&image.s, ref);
        const mesh_rec_session_t *session = mesh_get(&image.s, rec->session);

        fixture_request(&request, MESH_STR("GET"), MESH_STR("h"),
                        MESH_STR("/"));
        assert_int_equal(mesh_session_value(&image.s, session, &request.r).len,
                         0);
        fixture_add_header(&request, MESH_STR("at"), MESH_STR("one"));
        fixture_add_header(&request, MESH_STR("cookie"), MESH_STR("at=two"));
        fixture_add_header(&request, MESH_STR("at"), MESH_STR("three"));
        assert_true(
            mesh_str_eq(mesh_session_value(&image.s, session, &request.r),
                        header ? MESH_STR("one") : MESH_STR("two")));
        image_close(&image);
        mesh_writer_free(w);
    }
}

/* What is hashed is the value as a regular expression makes it. */
static void test_rewritten_header(void **state) {
    (void)state;
    static const struct {
        const char *pattern;
        const char *substitution;
        const char *value;
        const char *hashed;
    } rows[] = {
        {"^([a-z]+)-[0-9]+$", "\\1", "tenant-17", "tenant"},
        {"^([a-z]+)-[0-9]+$", "\\1", "Tenant-17", "Tenant-17"},
        {"[0-9]", "", "1a2b3", "ab"},
        {".*", "", "any", ""},
        {"x*", "-", "", "-"},
        /* It gives up: the value counts as it came. */
        {"(a+)+$", "", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"},
    };

    for (unsigned i = 0; i < mesh_nelts(rows); i++) {
        model_hash_policy_t policy = {
            .from = MESH_HASH_HEADER,
            .name = MESH_STR("x"),
            .rewrite = {mesh_str_from(rows[i].pattern),
                        mesh_str_from(rows[i].substitution)}};
        world_t world;

        open_world(&world, &policy, 1);
        assert_false(hash_of(&world).known);
        fixture_add_header(&world.request, MESH_STR("x"),
                           mesh_str_from(rows[i].value));
        assert_true(hash_of(&world).known);
        assert_true(hash_of(&world).hash == text_hash(rows[i].hashed));

        /* Each of them, in their order. */
        fixture_add_header(&world.request, MESH_STR("x"), MESH_STR("@"));
        mesh_hash_result_t two = hash_of(&world);
        assert_true(two.hash != text_hash(rows[i].hashed));
        close_world(&world);
    }
}

/* Above its bound a rewritten value is none: that which came counts. */
static void test_rewritten_too_long(void **state) {
    (void)state;
    static char value[MESH_REWRITE_MAX];
    model_hash_policy_t policy = {.from = MESH_HASH_HEADER,
                                  .name = MESH_STR("x"),
                                  .rewrite = {MESH_STR("$"), MESH_STR("--")}};

    memset(value, 'v', sizeof(value));
    for (size_t len = MESH_REWRITE_MAX - 3; len < MESH_REWRITE_MAX; len++) {
        bool fits = len + 2 <= MESH_REWRITE_MAX;
        char *want = malloc(MESH_REWRITE_MAX + 2);
        world_t world;

        memcpy(want, value, len);
        memcpy(want + len, "--", 2);
        open_world(&world, &policy, 1);
        fixture_add_header(&world.request, MESH_STR("x"),
                           (mesh_str_t){len, value});
        assert_true(hash_of(&world).hash ==
                    mesh_hash64(want, fits ? len + 2 : len));
        close_world(&world);
        free(want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_values),
        cmocka_unit_test(test_rewritten_header),
        cmocka_unit_test(test_rewritten_too_long),
        cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_each_source),
        cmocka_unit_test(test_combination),
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_generated_cookie),
        cmocka_unit_test(test_repeated_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
