/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The writer's index against a plain list: numbers by reference, candidates
 * by hash, and what a truncation leaves, also when hashes collide.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "mesh_writer_index.h"

enum { N = 5000 };

static uint64_t seed = 0x1dec5;

static uint32_t random_below(uint32_t n) {
    seed += UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(mesh_mix64(seed) >> 32) % n;
}

typedef struct {
    mesh_ref_t ref;
    uint32_t hash;
    bool shared;
} model_t;

static uint32_t count_found(const mesh_index_t *index, uint32_t hash,
                            uint32_t number, bool *found) {
    uint32_t probe = hash, at, n = 0;
    *found = false;
    while ((at = mesh_index_next(index, hash, &probe)) != MESH_INDEX_NONE) {
        assert_int_equal(index->entries[at].hash, hash);
        *found = *found || at == number;
        n++;
    }
    return n;
}

static void check(const mesh_index_t *index, const model_t *model,
                  uint32_t count, uint32_t hashes) {
    assert_int_equal(index->count, count);
    uint32_t *per_hash = calloc(hashes, sizeof(*per_hash));
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(mesh_index_number(index, model[i].ref), i);
        assert_int_equal(index->entries[i].ref, model[i].ref);
        per_hash[model[i].hash % hashes] += model[i].shared;
        const mesh_ref_t next = model[i].ref + 1;
        if (i + 1 == count || model[i + 1].ref != next) {
            assert_int_equal(mesh_index_number(index, next), MESH_INDEX_NONE);
        }
    }
    for (uint32_t i = 0; i < count; i += 1 + i / 64) {
        bool found;
        const uint32_t n = count_found(index, model[i].hash, i, &found);
        assert_int_equal(found, model[i].shared);
        assert_int_equal(n, per_hash[model[i].hash % hashes]);
    }
    assert_int_equal(mesh_index_number(index, UINT32_MAX), MESH_INDEX_NONE);
    free(per_hash);
}

/* As many hashes as said: few of them make long runs in the table. */
static void run(uint32_t hashes) {
    static model_t model[N];
    mesh_index_t index;
    assert_true(mesh_index_init(&index));
    uint32_t count = 0;

    for (int round = 0; round < 40; round++) {
        const uint32_t want = random_below(N);
        if (want < count) {
            mesh_index_truncate(&index, want);
            count = want;
        }
        while (count < want) {
            model_t *m = &model[count];
            const mesh_ref_t last = count ? m[-1].ref : 7;
            m->ref = last + 1 + (random_below(4) ? random_below(5) : 300);
            /* spread, so that homes wrap around the table's end, too */
            m->hash = UINT32_MAX - random_below(hashes);
            m->shared = random_below(10) != 0;
            assert_int_equal(mesh_index_add(&index, m->ref, m->hash, m->shared),
                             count);
            count++;
        }
        check(&index, model, count, hashes);
    }
    mesh_index_truncate(&index, 0);
    assert_int_equal(index.used, 0);
    for (uint32_t i = 0; i <= index.mask; i++) {
        assert_int_equal(index.table[i], 0);
    }
    mesh_index_free(&index);
}

static void test_many_hashes(void **state) {
    (void)state;
    run(1u << 20);
}

static void test_neighbouring_hashes(void **state) {
    (void)state;
    run(2000);
}

static void test_colliding_hashes(void **state) {
    (void)state;
    run(37);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_hashes),
        cmocka_unit_test(test_neighbouring_hashes),
        cmocka_unit_test(test_colliding_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
