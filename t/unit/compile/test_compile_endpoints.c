/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Endpoint sets and clusters as records: canonical order, chunks cut by
 * content, every field where it belongs.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "compile.h"
#include "compile_memory.h"
#include "compile_world.h"

#define CAPACITY (UINT64_C(64) << 20)

static const mesh_rec_endpoint_set_t *
compile_world_set(mesh_writer_t *w, mesh_world_t *world, mesh_ref_t *ref) {
    *ref = compile_endpoint_set(w, &world->parts[0]->sets[0]);
    if (*ref == 0) {
        fail_msg("%s", mesh_writer_error(w));
    }
    return mesh_writer_get(w, *ref);
}

/* The chunks hold the model's endpoints, and end where the format says. */
static void check_set(const mesh_writer_t *w,
                      const mesh_rec_endpoint_set_t *set,
                      const model_endpoint_set_t *model) {
    uint32_t n = 0;
    assert_int_equal(set->total, model->count);
    for (uint32_t i = 0; i < set->count; i++) {
        const mesh_rec_endpoint_chunk_t *chunk = mesh_writer_get(w, set->v[i]);
        assert_in_range(chunk->count, 1, MESH_CHUNK_MAX);
        for (uint32_t k = 0; k < chunk->count; k++, n++) {
            const mesh_endpoint_t *e = &chunk->v[k];
            const model_endpoint_t *m = &model->v[n];
            assert_memory_equal(e->addr, m->addr, sizeof(e->addr));
            assert_int_equal(e->port, m->port);
            assert_int_equal(e->weight, m->weight);
            assert_int_equal(e->health, m->health);
            assert_int_equal(e->key_hash, model_endpoint_hash(m));
            assert_int_equal(e->labels != 0, m->labels.count != 0);
            const mesh_rec_locality_t *l = mesh_writer_get(w, e->locality);
            assert_true(
                mesh_str_eq(compile_text(w, l->zone), m->locality.zone));
            bool ends = (e->key_hash & MESH_CHUNK_MASK) == 0;
            bool last = k + 1 == chunk->count;
            assert_false(ends && !last);
            assert_false(last && !ends && chunk->count < MESH_CHUNK_MAX &&
                         i + 1 < set->count);
        }
    }
    assert_int_equal(n, model->count);
}

static void test_chunks_as_the_format_says(void **state) {
    (void)state;
    static const uint32_t sizes[] = {0, 1, 2, 63, 64, 65, 500, 3000};
    for (unsigned i = 0; i < mesh_nelts(sizes); i++) {
        mesh_world_t world;
        mesh_ref_t ref;
        mesh_world_init(&world, i + 1, 1, sizes[i], 1, false);
        (void)mesh_world_parts(&world, false);
        mesh_writer_t *w = mesh_writer_create(1, CAPACITY);
        check_set(w, compile_world_set(w, &world, &ref),
                  &world.parts[0]->sets[0]);
        mesh_writer_free(w);
        mesh_world_free(&world);
    }
}

static uint32_t new_chunks(const mesh_rec_endpoint_set_t *before,
                           const mesh_rec_endpoint_set_t *after) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < after->count; i++) {
        uint32_t k = 0;
        while (k < before->count && before->v[k] != after->v[i]) {
            k++;
        }
        n += k == before->count;
    }
    return n;
}

/* An endpoint that comes, goes or changes leaves other runs alone. */
static void test_a_change_stays_in_its_run(void **state) {
    (void)state;
    mesh_world_t world;
    mesh_ref_t ref;
    uint32_t sum = 0;
    mesh_world_init(&world, 5, 1, 3000, 1, false);
    (void)mesh_world_parts(&world, false);
    mesh_writer_t *w = mesh_writer_create(1, CAPACITY);
    const mesh_rec_endpoint_set_t *set = compile_world_set(w, &world, &ref);
    for (unsigned i = 0; i < 100; i++) {
        size_t size = set->rec.size;
        mesh_rec_endpoint_set_t *before = memcpy(malloc(size), set, size);
        if (i % 2 == 0) {
            mesh_world_add_endpoint(&world, 0, (UINT32_C(1) << 16) + i * 7);
        } else {
            mesh_world_remove_endpoint(&world, 0);
        }
        (void)mesh_world_parts(&world, false);
        set = compile_world_set(w, &world, &ref);
        uint32_t changed = new_chunks(before, set);
        /* A run is a few chunks at most: one in e^2 is above the limit. */
        assert_in_range(changed, 0, 12);
        sum += changed;
        free(before);
    }
    assert_in_range(sum, 1, 300);
    mesh_writer_free(w);
    mesh_world_free(&world);
}

static void test_endpoints_that_are_there_twice(void **state) {
    (void)state;
    mesh_world_t world;
    mesh_ref_t one, two;
    mesh_world_init(&world, 6, 1, 100, 1, false);
    (void)mesh_world_parts(&world, false);
    mesh_writer_t *w = mesh_writer_create(1, CAPACITY);
    (void)compile_world_set(w, &world, &one);

    model_endpoint_set_t twice = world.parts[0]->sets[0];
    model_endpoint_t *v = calloc(twice.count * 2, sizeof(*v));
    for (uint32_t i = 0; i < twice.count; i++) {
        v[i] = v[twice.count * 2 - 1 - i] = twice.v[i];
    }
    twice.v = v;
    twice.count *= 2;
    two = compile_endpoint_set(w, &twice);
    assert_int_equal(one, two);
    free(v);
    mesh_writer_free(w);
    mesh_world_free(&world);
}

static void test_a_unix_endpoint(void **state) {
    (void)state;
    model_endpoint_t e = {.family = MESH_FAMILY_UNIX,
                          .host = MESH_STR("/run/app.sock"),
                          .weight = 3};
    model_endpoint_set_t model = {.name = MESH_STR("app"), .count = 1, .v = &e};
    mesh_writer_t *w = mesh_writer_create(1, CAPACITY);
    const mesh_rec_endpoint_set_t *set =
        mesh_writer_get(w, compile_endpoint_set(w, &model));
    const mesh_rec_endpoint_chunk_t *chunk = mesh_writer_get(w, set->v[0]);
    assert_true(mesh_str_eq(compile_text(w, chunk->v[0].host), e.host));
    assert_int_equal(chunk->v[0].labels, 0);
    assert_int_equal(chunk->v[0].locality, 0);
    mesh_writer_free(w);
}

static void test_a_whole_cluster(void **state) {
    (void)state;
    model_label_t labels[] = {{MESH_STR("version"), MESH_STR("v1")}};
    model_subset_t subsets[] = {
        {MESH_STR("all"), {0, NULL}},
        {MESH_STR("v1"), {1, labels}},
    };
    model_cluster_t c = {
        .name = MESH_STR("reviews"),
        .endpoint_set = MESH_STR("shared"),
        .lb = MESH_LB_LEAST_REQUEST,
        .lb_choices = 3,
        .panic_percent = 40,
        .connect_timeout_ms = 7,
        .protocol = MODEL_HTTP2,
        .outlier = {.set = true,
                    .consecutive_5xx = 5,
                    .consecutive_gateway_failure = 4,
                    .consecutive_local_failure = 3,
                    .split_local = true,
                    .base_ejection_ms = 30,
                    .max_ejection_ms = 300,
                    .jitter_ms = 2,
                    .max_ejection_percent = 11},
        .nsubsets = 2,
        .subsets = subsets,
        .keepalive_idle = 8,
        .keepalive_timeout_ms = 9,
        .keepalive_requests = 10,
    };
    mesh_writer_t *w = mesh_writer_create(1, CAPACITY);
    mesh_ref_t ref = compile_cluster(w, &c);
    assert_int_not_equal(ref, 0);
    const mesh_rec_cluster_t *r = mesh_writer_get(w, ref);
    assert_true(mesh_str_eq(compile_text(w, r->name), c.name));
    assert_true(mesh_str_eq(compile_text(w, r->endpoint_set), c.endpoint_set));
    assert_int_equal(r->name_hash, mesh_hash32("reviews", 7));
    assert_int_equal(r->lb, MESH_LB_LEAST_REQUEST);
    assert_int_equal(r->lb_choices, 3);
    assert_int_equal(r->panic_percent, 40);
    assert_int_equal(r->connect_timeout_ms, 7);
    assert_int_equal(r->flags, MESH_CLUSTER_HTTP2);
    assert_int_equal(r->keepalive_idle, 8);
    assert_int_equal(r->keepalive_timeout_ms, 9);
    assert_int_equal(r->keepalive_requests, 10);
    const mesh_rec_outlier_t *o = mesh_writer_get(w, r->outlier);
    assert_int_equal(o->consecutive_5xx, 5);
    assert_int_equal(o->consecutive_gateway_failure, 4);
    assert_int_equal(o->consecutive_local_failure, 3);
    assert_int_equal(o->flags, MESH_OUTLIER_SPLIT_LOCAL);
    assert_int_equal(o->base_ejection_ms, 30);
    assert_int_equal(o->max_ejection_ms, 300);
    assert_int_equal(o->jitter_ms, 2);
    assert_int_equal(o->max_ejection_percent, 11);
    const mesh_rec_subsets_t *s = mesh_writer_get(w, r->subsets);
    assert_int_equal(s->count, 2);
    const mesh_rec_labels_t *none = mesh_writer_get(w, s->v[0].labels);
    const mesh_rec_labels_t *v1 = mesh_writer_get(w, s->v[1].labels);
    assert_int_equal(none->count, 0);
    assert_int_equal(v1->count, 1);
    assert_true(mesh_str_eq(compile_text(w, v1->v[0].value), MESH_STR("v1")));

    /* A set of the cluster's own name is the default, however it is said. */
    c.endpoint_set = c.name;
    mesh_ref_t named = compile_cluster(w, &c);
    c.endpoint_set = MESH_STR("");
    assert_int_equal(named, compile_cluster(w, &c));
    mesh_writer_free(w);
}

static void test_header_ops(void **state) {
    (void)state;
    model_header_op_t v[] = {
        {MESH_OP_SET, false, MESH_STR("X-Team"), MESH_STR("")},
        {MESH_OP_ADD, false, MESH_STR("via"), MESH_STR("mesh")},
        {MESH_OP_REMOVE, false, MESH_STR("Server"), MESH_STR("ignored")},
    };
    model_header_ops_t ops = {3, v};
    mesh_writer_t *w = mesh_writer_create(1, CAPACITY);
    const mesh_rec_header_ops_t *r =
        mesh_writer_get(w, compile_header_ops(w, &ops));
    assert_int_equal(r->count, 3);
    assert_int_equal(r->v[0].hash, mesh_header_hash("x-team", 6));
    assert_true(mesh_str_eq(compile_text(w, r->v[0].name), MESH_STR("X-Team")));
    assert_int_not_equal(r->v[0].value, 0);
    assert_int_equal(r->v[2].op, MESH_OP_REMOVE);
    assert_int_equal(r->v[2].value, 0);
    ops.count = 0;
    assert_int_equal(compile_header_ops(w, &ops), 0);
    mesh_writer_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks_as_the_format_says),
        cmocka_unit_test(test_a_change_stays_in_its_run),
        cmocka_unit_test(test_endpoints_that_are_there_twice),
        cmocka_unit_test(test_a_unix_endpoint),
        cmocka_unit_test(test_a_whole_cluster),
        cmocka_unit_test(test_header_ops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
