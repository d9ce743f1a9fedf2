/* SPDX-License-Identifier: Apache-2.0 */

/* Peak EWMA: slower at once, faster by time, silence, and many writers. */

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mesh_runtime.h"

#define DECAY 10000

static void test_first_answer(void **state) {
    (void)state;
    uint64_t word = mesh_ewma_observe(0, 5000, DECAY, 700);

    assert_int_equal(mesh_ewma_read(word, 5000, DECAY), 700);

    /* An answer in no time at all is an answer. */
    word = mesh_ewma_observe(0, 0, DECAY, 0);
    assert_true(word != 0);
    assert_int_equal(mesh_ewma_read(word, 0, DECAY), 1);
}

static void test_peaks(void **state) {
    (void)state;
    uint64_t word = mesh_ewma_observe(0, 1000, DECAY, 1000);

    word = mesh_ewma_observe(word, 1000, DECAY, 90000);
    assert_int_equal(mesh_ewma_read(word, 1000, DECAY), 90000);

    /* At the same moment a faster one counts for nothing ... */
    word = mesh_ewma_observe(word, 1000, DECAY, 1000);
    assert_int_equal(mesh_ewma_read(word, 1000, DECAY), 90000);

    /* ... after the decay time for 1 - 1/e. */
    word = mesh_ewma_observe(word, 1000 + DECAY, DECAY, 1000);
    double want = 90000 * exp(-1) + 1000 * (1 - exp(-1));
    assert_true(fabs((double)(uint32_t)word - want) <= 1);
}

static void test_silence(void **state) {
    (void)state;
    uint64_t word = mesh_ewma_observe(0, 1000, DECAY, 100000);

    assert_int_equal(mesh_ewma_read(word, 1000 + DECAY, DECAY),
                     (uint32_t)(100000 * exp(-1)));
    assert_int_equal(mesh_ewma_read(word, 1000 + 20 * DECAY, DECAY), 0);
}

/* Low 32 bits of milliseconds: over the edge, and of a clock ahead of ours. */
static void test_time(void **state) {
    (void)state;
    uint64_t edge = UINT64_C(0x1ffffffff);
    uint64_t word = mesh_ewma_observe(0, edge - 1000, DECAY, 50000);

    assert_int_equal(mesh_ewma_read(word, edge + 9000, DECAY),
                     (uint32_t)(50000 * exp(-1)));
    assert_int_equal(mesh_ewma_read(word, edge - 1500, DECAY), 50000);

    /* What was seen later is not made older. */
    uint64_t late = mesh_ewma_observe(word, edge - 1500, DECAY, 60000);
    assert_int_equal(late >> 32, word >> 32);
}

#define ROUNDS 20000

static mesh_endpoint_slot_t slot;

static void *writer(void *arg) {
    uint32_t base = *(uint32_t *)arg;

    for (uint32_t i = 0; i < ROUNDS; i++) {
        mesh_runtime_observe(&slot, 1000, DECAY, base + i);
    }
    return NULL;
}

/* In one moment the largest of all answers stands, whoever saw it. */
static void test_many_writers(void **state) {
    (void)state;
    static uint32_t bases[] = {1, 500000, 100};
    pthread_t threads[3];

    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, writer, &bases[i]),
                         0);
    }
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(mesh_ewma_read(slot.ewma, 1000, DECAY),
                     500000 + ROUNDS - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_answer), cmocka_unit_test(test_peaks),
        cmocka_unit_test(test_silence),      cmocka_unit_test(test_time),
        cmocka_unit_test(test_many_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
