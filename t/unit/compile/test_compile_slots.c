/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Slots: stable over generations, of one name each, and not given away while
 * a root of the ring or a worker may still use them.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "compile_memory.h"
#include "compile_slots.h"
#include "compile_world.h"

#define CAPACITY (UINT64_C(64) << 20)
#define SLOTS_MAX 4096

/* Workers are past everything below `past`. */
static bool past_word(void *ctx, slots_kind_e kind, uint32_t slot,
                      uint64_t generation) {
    const uint64_t *past = ctx;
    (void)kind;
    (void)slot;
    return generation < *past;
}

static slot_key_t key_of(uint32_t i) {
    return slot_key_name((mesh_str_t){sizeof(i), (const char *)&i});
}

static void test_a_name_keeps_its_slot(void **state) {
    (void)state;
    uint64_t past = UINT64_MAX;
    slots_t *slots = slots_new(NULL, past_word, &past);
    uint32_t first[500];
    slots_begin(slots, 1, 1);
    for (uint32_t i = 0; i < 500; i++) {
        first[i] = slots_get(slots, SLOTS_ENDPOINT, key_of(i));
        assert_int_equal(first[i], i);
    }
    for (uint64_t generation = 2; generation < 5; generation++) {
        slots_begin(slots, generation, 1);
        for (uint32_t i = 500; i-- > 0;) {
            assert_int_equal(slots_get(slots, SLOTS_ENDPOINT, key_of(i)),
                             first[i]);
        }
    }
    assert_int_equal(slots_used(slots, SLOTS_ENDPOINT), 500);
    assert_int_equal(slots_used(slots, SLOTS_CLUSTER), 0);
    slots_free(slots);
}

static void test_capacity_is_the_end(void **state) {
    (void)state;
    uint64_t past = UINT64_MAX;
    mesh_runtime_sizes_t sizes = {1, 2, 3, 4};
    slots_t *slots = slots_new(&sizes, past_word, &past);
    slots_begin(slots, 1, 1);
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(slots_get(slots, SLOTS_CLUSTER, key_of(i)),
                         i < 2 ? i : MESH_SLOT_NONE);
        assert_int_equal(slots_get(slots, SLOTS_ROUTE, key_of(i)),
                         i < 3 ? i : MESH_SLOT_NONE);
        assert_int_equal(slots_get(slots, SLOTS_ENDPOINT, key_of(i)),
                         i < 4 ? i : MESH_SLOT_NONE);
    }
    slots_free(slots);
}

static void test_reuse_waits_for_ring_and_workers(void **state) {
    (void)state;
    uint64_t past = 0;
    mesh_runtime_sizes_t sizes = {1, 1, 1, 1};
    slots_t *slots = slots_new(&sizes, past_word, &past);
    slots_begin(slots, 1, 1);
    assert_int_equal(slots_get(slots, SLOTS_ENDPOINT, key_of(1)), 0);

    past = 2;
    slots_begin(slots, 2, 1); /* the ring has generation 1 */
    assert_int_equal(slots_get(slots, SLOTS_ENDPOINT, key_of(2)),
                     MESH_SLOT_NONE);
    past = 1;
    slots_begin(slots, 3, 2); /* a worker is at generation 1 */
    assert_int_equal(slots_get(slots, SLOTS_ENDPOINT, key_of(2)),
                     MESH_SLOT_NONE);
    past = 2;
    slots_begin(slots, 4, 2);
    assert_int_equal(slots_get(slots, SLOTS_ENDPOINT, key_of(2)), 0);
    assert_int_equal(slots_get(slots, SLOTS_ENDPOINT, key_of(1)),
                     MESH_SLOT_NONE);
    slots_free(slots);
}

static void test_touching_keeps(void **state) {
    (void)state;
    uint64_t past = UINT64_MAX;
    mesh_runtime_sizes_t sizes = {1, 1, 1, 2};
    slots_t *slots = slots_new(&sizes, past_word, &past);
    slots_begin(slots, 1, 1);
    slots_get(slots, SLOTS_ENDPOINT, key_of(1));
    slots_get(slots, SLOTS_ENDPOINT, key_of(2));
    slots_begin(slots, 5, 1);
    slots_touch(slots, SLOTS_ENDPOINT, 1);
    slots_touch(slots, SLOTS_ENDPOINT, MESH_SLOT_NONE);
    slots_begin(slots, 6, 5);
    assert_int_equal(slots_get(slots, SLOTS_ENDPOINT, key_of(3)), 0);
    assert_int_equal(slots_get(slots, SLOTS_ENDPOINT, key_of(2)), 1);
    slots_free(slots);
}

static void test_smaller_runtime(void **state) {
    (void)state;
    uint64_t past = UINT64_MAX;
    slots_t *slots = slots_new(NULL, past_word, &past);
    slots_begin(slots, 1, 1);
    for (uint32_t i = 0; i < 100; i++) {
        slots_get(slots, SLOTS_ENDPOINT, key_of(i));
    }
    mesh_runtime_sizes_t sizes = {1, 1, 1, 60};
    assert_true(slots_resize(slots, &sizes));
    assert_int_equal(slots_used(slots, SLOTS_ENDPOINT), 60);
    assert_int_equal(slots_get(slots, SLOTS_ENDPOINT, key_of(59)), 59);
    assert_int_equal(slots_get(slots, SLOTS_ENDPOINT, key_of(60)),
                     MESH_SLOT_NONE);
    sizes.endpoints = 61;
    assert_false(slots_resize(slots, &sizes));
    assert_int_equal(slots_get(slots, SLOTS_ENDPOINT, key_of(60)), 60);
    slots_free(slots);
}

static void test_endpoint_keys_differ(void **state) {
    (void)state;
    slot_key_t c = slot_key_name(MESH_STR("c"));
    slot_key_t d = slot_key_name(MESH_STR("d"));
    mesh_endpoint_t e = {.family = MESH_FAMILY_IPV4, .port = 80};
    mesh_endpoint_t heavy = e, other = e, family = e;
    heavy.weight = 9;
    heavy.health = 2;
    heavy.labels = 77;
    other.port = 81;
    family.family = MESH_FAMILY_IPV6;
    mesh_str_t none = MESH_STR("");
    slot_key_t key = slot_key_endpoint(c, &e, none);
    slot_key_t same = slot_key_endpoint(c, &heavy, none);
    assert_memory_equal(&key, &same, sizeof(key));
    slot_key_t differ[] = {slot_key_endpoint(d, &e, none),
                           slot_key_endpoint(c, &other, none),
                           slot_key_endpoint(c, &family, none),
                           slot_key_endpoint(c, &e, MESH_STR("/run/a.sock"))};
    for (unsigned i = 0; i < mesh_nelts(differ); i++) {
        assert_true(differ[i].a != key.a && differ[i].b != key.b);
    }
}

/* --- over edits of a mesh ----------------------------------------------- */

typedef struct {
    mesh_writer_t *w;
    slots_t *slots;
    compiler_t *compiler;
    mesh_ref_t root;
    uint64_t generation;
    uint64_t past;
    /* Whose each slot was, and in which generation it was bound last. */
    slot_key_t owner[SLOTS_MAX];
    uint64_t last[SLOTS_MAX];
    unsigned reused;
} edits_t;

static void check_slot(edits_t *t, uint32_t slot, slot_key_t key,
                       uint64_t oldest) {
    assert_in_range(slot, 0, SLOTS_MAX - 1);
    bool same = t->owner[slot].a == key.a && t->owner[slot].b == key.b;
    if (t->last[slot] == t->generation) {
        fail_msg("slot %u is bound twice", slot);
    }
    if (t->last[slot] != 0 && !same) {
        assert_true(t->last[slot] < oldest);
        assert_true(t->last[slot] < t->past);
        t->reused++;
    }
    t->owner[slot] = key;
    t->last[slot] = t->generation;
}

static void check_bind(edits_t *t, const mesh_rec_bind_cluster_t *b,
                       uint64_t oldest) {
    const mesh_writer_t *w = t->w;
    slot_key_t cluster = slot_key_name(compile_text(w, b->name));
    const mesh_rec_endpoint_set_t *set = mesh_writer_get(w, b->set);
    if (set == NULL || set->count == 0) {
        assert_int_equal(b->slots, 0);
        return;
    }
    const mesh_rec_refs_t *slots = mesh_writer_get(w, b->slots);
    assert_int_equal(slots->count, set->count);
    for (uint32_t i = 0; i < set->count; i++) {
        const mesh_rec_endpoint_chunk_t *chunk = mesh_writer_get(w, set->v[i]);
        const mesh_rec_u32s_t *v = mesh_writer_get(w, slots->v[i]);
        assert_int_equal(v->count, chunk->count);
        for (uint32_t k = 0; k < v->count; k++) {
            check_slot(t, v->v[k],
                       slot_key_endpoint(cluster, &chunk->v[k], MESH_STR("")),
                       oldest);
        }
    }
}

static uint64_t oldest_of(const edits_t *t, const mesh_rec_root_t *root) {
    if (root->history == 0) {
        return root->generation;
    }
    const mesh_rec_refs_t *ring = mesh_writer_get(t->w, root->history);
    const mesh_rec_root_t *old =
        mesh_writer_get(t->w, ring->v[ring->count - 1]);
    return old->generation;
}

static void check_root(edits_t *t) {
    const mesh_rec_root_t *root = mesh_writer_get(t->w, t->root);
    const mesh_rec_binding_t *binding = mesh_writer_get(t->w, root->binding);
    const mesh_rec_map_t *map = mesh_writer_get(t->w, binding->clusters);
    uint64_t oldest = oldest_of(t, root);
    for (uint32_t i = 0; map != NULL && i < map->leaves; i++) {
        const mesh_rec_map_leaf_t *leaf = mesh_writer_get(t->w, map->leaf[i]);
        for (uint32_t k = 0; leaf != NULL && k < leaf->count; k++) {
            check_bind(t, mesh_writer_get(t->w, leaf->v[k].value), oldest);
        }
    }
}

static void compile_step(edits_t *t, mesh_world_t *world) {
    compile_request_t request = {.parts = mesh_world_parts(world, false),
                                 .nparts = world->nparts,
                                 .previous = t->root,
                                 .generation = t->generation + 1};
    mesh_ref_t ref = compile_root(t->compiler, &request);
    assert_int_not_equal(ref, 0);
    if (ref != t->root) {
        t->root = ref;
        t->generation++;
        check_root(t);
    }
    mesh_writer_commit(t->w, NULL);
}

static unsigned run_edits(uint64_t seed, unsigned steps) {
    mesh_world_t world;
    edits_t *t = calloc(1, sizeof(*t));
    mesh_runtime_sizes_t sizes = {1, 64, 64, SLOTS_MAX};
    mesh_world_init(&world, seed, 8, 12, 3, false);
    t->w = mesh_writer_create(1, CAPACITY);
    t->slots = slots_new(&sizes, past_word, &t->past);
    t->compiler = compiler_new(t->w, t->slots);
    for (unsigned i = 0; i < steps; i++) {
        compile_step(t, &world);
        /* Workers follow, now at once and now late. */
        if (mesh_world_random(&world, 4) == 0) {
            t->past = t->generation;
        }
        if (mesh_world_random(&world, 100) == 0) {
            compiler_free(t->compiler);
            t->compiler = compiler_new(t->w, t->slots);
        }
        mesh_world_edit(&world);
    }
    unsigned reused = t->reused;
    compiler_free(t->compiler);
    slots_free(t->slots);
    mesh_writer_free(t->w);
    mesh_world_free(&world);
    free(t);
    return reused;
}

static void test_slots_over_edits(void **state) {
    (void)state;
    unsigned reused = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        reused += run_edits(seed, 600);
    }
    assert_int_not_equal(reused, 0);
}

static void test_over_capacity_is_a_warning(void **state) {
    (void)state;
    uint64_t past = UINT64_MAX;
    mesh_runtime_sizes_t sizes = {1, 3, 2, 10};
    mesh_world_t world;
    mesh_world_init(&world, 3, 4, 5, 1, true);
    mesh_writer_t *w = mesh_writer_create(1, CAPACITY);
    slots_t *slots = slots_new(&sizes, past_word, &past);
    compiler_t *compiler = compiler_new(w, slots);
    arena_t *arena = arena_new();
    model_errors_t errors;
    model_errors_init(&errors, arena);
    compile_request_t request = {.parts = mesh_world_parts(&world, false),
                                 .nparts = world.nparts,
                                 .generation = 1,
                                 .errors = &errors};
    mesh_ref_t first = compile_root(compiler, &request);
    assert_int_not_equal(first, 0);
    assert_int_equal(errors.errors, 0);
    assert_int_equal(errors.warnings, 3);

    /* Room comes: what had no slot gets one, without any edit. */
    sizes = (mesh_runtime_sizes_t){1, 10, 10, 100};
    assert_false(slots_resize(slots, &sizes));
    request.previous = first;
    request.generation = 2;
    mesh_ref_t second = compile_root(compiler, &request);
    assert_int_not_equal(second, first);
    assert_int_equal(errors.warnings, 3);
    assert_int_equal(slots_used(slots, SLOTS_ENDPOINT), 20);
    assert_int_equal(slots_used(slots, SLOTS_CLUSTER), 4);
    assert_int_equal(slots_used(slots, SLOTS_ROUTE), 4);

    arena_free(arena);
    compiler_free(compiler);
    slots_free(slots);
    mesh_writer_free(w);
    mesh_world_free(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_name_keeps_its_slot),
        cmocka_unit_test(test_capacity_is_the_end),
        cmocka_unit_test(test_reuse_waits_for_ring_and_workers),
        cmocka_unit_test(test_touching_keeps),
        cmocka_unit_test(test_smaller_runtime),
        cmocka_unit_test(test_endpoint_keys_differ),
        cmocka_unit_test(test_slots_over_edits),
        cmocka_unit_test(test_over_capacity_is_a_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
