/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Route models as records: what routing makes of them is what the model
 * says, and equal models give equal digests.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mesh_route.h"
#include "route_naive.h"

static void check_world(uint64_t seed) {
    choice_t choice = {.rng = {seed}};
    mesh_writer_t *w = mesh_writer_create(1, FIXTURE_CAPACITY);
    world_t world;
    image_t image;

    world_init(&world, &choice);

    const model_vhost_t *vhosts[] = {&world.vhost};
    mesh_ref_t ref = compile_route_table(w, MESH_STR("t"), 0, vhosts, 1);

    assert_int_equal(image_open(&image, w), MESH_OK);

    for (unsigned i = 0; i < 60; i++) {
        fixture_request_t f;
        mesh_route_match_t match;
        world_text_t text;
        world_point_t point;

        world_request(&choice, &f, &text);
        mesh_route_match(&image.s, mesh_get(&image.s, ref), &f.r, &match);
        if (match.index != world_first(&world, &f, &point))
            fail_msg("seed %lu request %u", seed, i);
    }
    image_close(&image);
    mesh_writer_free(w);
}

static void test_routes_as_the_model_says(void **state) {
    (void)state;
    for (uint64_t seed = 100000; seed < 103000; seed++)
        check_world(seed);
}

static mesh_digest_t table_digest(const model_vhost_t *const *vhosts,
                                  uint32_t count, bool something_before) {
    mesh_writer_t *w = mesh_writer_create(7, FIXTURE_CAPACITY);

    if (something_before)
        mesh_writer_put_str(w, MESH_STR("moves every offset"));

    mesh_ref_t ref = compile_route_table(w, MESH_STR("t"), 0, vhosts, count);

    assert_true(ref != 0);

    mesh_digest_t digest = mesh_writer_digest(w, ref);

    mesh_writer_free(w);
    return digest;
}

static void test_equal_models_equal_digests(void **state) {
    (void)state;

    for (uint64_t seed = 1; seed <= 200; seed++) {
        choice_t choice = {.rng = {seed}};
        world_t a, b;

        world_init(&a, &choice);
        world_init(&b, &choice);
        a.domain = MESH_STR("a.local");
        b.domain = MESH_STR("*.b.local");

        const model_vhost_t *one[] = {&a.vhost, &b.vhost};
        const model_vhost_t *two[] = {&b.vhost, &a.vhost};
        mesh_digest_t x = table_digest(one, 2, false);
        mesh_digest_t y = table_digest(two, 2, true);

        assert_memory_equal(&x, &y, sizeof(x));

        b.domain = MESH_STR("*.c.local");
        y = table_digest(two, 2, false);
        assert_memory_not_equal(&x, &y, sizeof(x));
    }
}

static void test_nothing_new_is_appended(void **state) {
    choice_t choice = {.rng = {5}};
    mesh_writer_t *w = mesh_writer_create(1, FIXTURE_CAPACITY);
    world_t world;
    (void)state;

    world_init(&world, &choice);

    const model_vhost_t *vhosts[] = {&world.vhost};
    mesh_ref_t first = compile_route_table(w, MESH_STR("t"), 0, vhosts, 1);
    uint64_t size = mesh_writer_size(w);

    assert_int_equal(compile_route_table(w, MESH_STR("t"), 0, vhosts, 1),
                     first);
    assert_int_equal(mesh_writer_size(w), size);
    mesh_writer_free(w);
}

static void test_split_leaves_out_weightless(void **state) {
    model_split_t split[] = {
        {.cluster = MESH_STR("a"), .weight = 90},
        {.cluster = MESH_STR("b"), .weight = 0},
        {.cluster = MESH_STR("c"), .subset = MESH_STR("v2"), .weight = 10},
    };
    model_route_t route = {.name = MESH_STR("r"),
                           .path = MESH_STR("/"),
                           .nsplit = 3,
                           .split = split};
    mesh_writer_t *w = mesh_writer_create(1, FIXTURE_CAPACITY);
    mesh_ref_t ref = compile_route(w, NULL, &route);
    image_t image;
    (void)state;

    assert_int_equal(image_open(&image, w), MESH_OK);

    const mesh_rec_route_t *rec = mesh_get(&image.s, ref);
    const mesh_rec_split_t *got = mesh_get(&image.s, rec->split);

    assert_int_equal(got->count, 2);
    assert_int_equal(got->total, 100);
    assert_int_equal(got->v[0].upto, 90);
    assert_int_equal(got->v[0].subset, 0);
    assert_int_equal(got->v[1].upto, 100);
    assert_int_equal(got->v[1].cluster_hash, mesh_hash32("c", 1));
    assert_int_equal(got->v[1].subset_hash, mesh_hash32("v2", 2));
    image_close(&image);
    mesh_writer_free(w);
}

static void test_fields(void **state) {
    uint32_t codes[] = {409, 503};
    model_match_t match[] = {
        {.op = MESH_MATCH_EXACT,
         .invert = true,
         .ignore_case = true,
         .name = MESH_STR("end-user"),
         .value = MESH_STR("jason")},
        {.from = MESH_FROM_METHOD,
         .op = MESH_MATCH_RANGE,
         .missing_as_empty = true,
         .name = MESH_STR(":method"),
         .start = INT64_MIN,
         .end = 7},
    };
    model_route_t route = {
        .name = MESH_STR("r"),
        .path = MESH_STR("/p"),
        .path_match = MESH_PATH_EXACT,
        .ignore_case = true,
        .methods = MESH_METHOD_PUT,
        .nmatches = 2,
        .matches = match,
        .action = MESH_ACTION_DIRECT,
        .direct_status = 418,
        .direct_body = MESH_STR("teapot"),
        .has_prefix_rewrite = true,
        .host_rewrite = MESH_STR("o"),
        .retry = {.set = true,
                  .on = MESH_RETRY_STATUS,
                  .attempts = 3,
                  .per_try_timeout_ms = 250,
                  .ncodes = 2,
                  .codes = codes},
        .timeout_ms = 15000,
        .idle_timeout_ms = 7,
    };
    mesh_writer_t *w = mesh_writer_create(1, FIXTURE_CAPACITY);
    mesh_ref_t ref = compile_route(w, NULL, &route);
    image_t image;
    (void)state;

    assert_int_equal(image_open(&image, w), MESH_OK);

    const mesh_snapshot_t *s = &image.s;
    const mesh_rec_route_t *rec = mesh_get(s, ref);
    const mesh_rec_direct_t *direct = mesh_get(s, rec->direct);
    const mesh_rec_retry_t *retry = mesh_get(s, rec->retry);
    const mesh_rec_u32s_t *got = mesh_get(s, retry->codes);
    const mesh_rec_matches_t *matches = mesh_get(s, rec->matches);

    assert_int_equal(rec->path_match, MESH_PATH_EXACT);
    assert_int_equal(rec->methods, MESH_METHOD_PUT);
    assert_int_equal(rec->timeout_ms, 15000);
    assert_int_equal(rec->idle_timeout_ms, 7);
    assert_int_equal(rec->split, 0);
    assert_int_not_equal(rec->prefix_rewrite, 0);
    assert_int_equal(mesh_get_str(s, rec->prefix_rewrite).len, 0);
    assert_string_equal(mesh_get_str(s, rec->host_rewrite).data, "o");
    assert_int_equal(direct->status, 418);
    assert_string_equal(mesh_get_str(s, direct->body).data, "teapot");
    assert_int_equal(retry->on, MESH_RETRY_STATUS);
    assert_int_equal(retry->attempts, 3);
    assert_int_equal(retry->per_try_timeout_ms, 250);
    assert_int_equal(got->count, 2);
    assert_int_equal(got->v[1], 503);
    assert_int_equal(rec->flags, MESH_ROUTE_IGNORE_CASE);
    assert_int_equal(matches->count, 2);
    assert_int_equal(matches->v[0].flags,
                     MESH_MATCH_INVERT | MESH_MATCH_IGNORE_CASE);
    assert_int_equal(matches->v[0].hash, mesh_header_hash("end-user", 8));
    assert_string_equal(mesh_get_str(s, matches->v[0].value).data, "jason");

    const mesh_rec_range_t *range = mesh_get(s, matches->v[1].value);

    assert_int_equal(matches->v[1].flags, MESH_MATCH_MISSING);
    assert_int_equal(matches->v[1].from, MESH_FROM_METHOD);
    assert_int_equal(matches->v[1].hash, 0);
    assert_true(range->start == INT64_MIN && range->end == 7);
    image_close(&image);
    mesh_writer_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes_as_the_model_says),
        cmocka_unit_test(test_equal_models_equal_digests),
        cmocka_unit_test(test_nothing_new_is_appended),
        cmocka_unit_test(test_split_leaves_out_weightless),
        cmocka_unit_test(test_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
