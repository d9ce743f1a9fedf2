/* SPDX-License-Identifier: Apache-2.0 */

/* Loads of priorities as Envoy publishes them, and properties of any. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mesh_priority.h"
#include "rng.h"

typedef struct {
    uint32_t usable[3]; /* of 100; the rest of the array is no priority */
    uint32_t load[3];
    const char *panic; /* "010": the second is */
} row_t;

static void check_rows(const row_t *rows, size_t count, uint32_t n,
                       uint32_t percent) {
    for (size_t i = 0; i < count; i++) {
        mesh_level_t levels[3] = {{0}};

        for (uint32_t k = 0; k < n; k++) {
            levels[k] =
                (mesh_level_t){.total = 100, .usable = rows[i].usable[k]};
        }
        mesh_priority_loads(levels, n, 140, percent);
        for (uint32_t k = 0; k < n; k++) {
            assert_int_equal(levels[k].load, rows[i].load[k]);
            assert_true(levels[k].panic == (rows[i].panic[k] == '1'));
        }
    }
}

/* "Priority levels", whose rows with too little health are without panic. */
static void test_published_levels(void **state) {
    (void)state;
    static const row_t two[] = {
        {{100, 100}, {100, 0}, "00"}, {{72, 100}, {100, 0}, "00"},
        {{72, 72}, {100, 0}, "00"},   {{71, 100}, {99, 1}, "00"},
        {{71, 71}, {99, 1}, "00"},    {{50, 100}, {70, 30}, "00"},
        {{50, 50}, {70, 30}, "00"},   {{25, 100}, {35, 65}, "00"},
        {{25, 25}, {50, 50}, "00"},   {{0, 100}, {0, 100}, "00"}};
    static const row_t three[] = {
        {{100, 100, 100}, {100, 0, 0}, "000"},
        {{72, 72, 100}, {100, 0, 0}, "000"},
        {{71, 71, 100}, {99, 1, 0}, "000"},
        {{50, 50, 100}, {70, 30, 0}, "000"},
        {{25, 100, 100}, {35, 65, 0}, "000"},
        {{25, 25, 100}, {35, 35, 30}, "000"},
        {{25, 25, 20}, {37, 35, 28}, "000"}}; /* asked: Envoy 1.40 */

    check_rows(two, mesh_nelts(two), 2, 0);
    check_rows(three, mesh_nelts(three), 3, 0);
}

/* "Panic threshold": only where all healths together are below 100. */
static void test_published_panic(void **state) {
    (void)state;
    static const row_t rows[] = {
        {{72, 100}, {100, 0}, "00"}, {{25, 100}, {35, 65}, "00"},
        {{0, 100}, {0, 100}, "00"},  {{71, 71}, {99, 1}, "00"},
        {{50, 60}, {70, 30}, "00"},  {{25, 25}, {50, 50}, "11"},
        {{5, 65}, {8, 92}, "10"}, /* asked: Envoy 1.40 */
        {{0, 0}, {50, 50}, "11"}};

    check_rows(rows, mesh_nelts(rows), 2, 50);
}

/* In panic of all, load follows numbers, and the rest goes to the first. */
static void test_all_in_panic(void **state) {
    (void)state;
    mesh_level_t levels[4] = {
        {.total = 0}, {.total = 1}, {.total = 2, .usable = 0}, {.total = 0}};

    mesh_priority_loads(levels, 4, 140, 50);
    assert_int_equal(levels[0].load, 0);
    assert_int_equal(levels[1].load, 34);
    assert_int_equal(levels[2].load, 66);
    assert_int_equal(levels[3].load, 0);

    memset(levels, 0, sizeof(levels));
    mesh_priority_loads(levels, 4, 140, 50);
    assert_int_equal(levels[0].load, 100);
}

/* Too few for one per cent of health, and no panic: whoever has one. */
static void test_first_usable(void **state) {
    (void)state;
    mesh_level_t levels[3] = {{.total = 10},
                              {.total = 1000, .usable = 1},
                              {.total = 500, .usable = 1}};

    mesh_priority_loads(levels, 3, 140, 0);
    assert_int_equal(levels[0].load, 0);
    assert_int_equal(levels[1].load, 100);
    assert_false(levels[1].panic);
}

static void check_loads(const mesh_level_t *levels, uint32_t n, uint32_t factor,
                        uint32_t percent) {
    uint32_t load = 0, health = 0, usable = 0;

    for (uint32_t i = 0; i < n; i++) {
        load += levels[i].load;
        health += levels[i].health;
        usable += levels[i].usable;
        assert_true(levels[i].health <= 100);
        if (levels[i].panic) {
            assert_true(percent > 0);
            assert_true(levels[i].usable * 100 <
                            percent * (uint64_t)levels[i].total ||
                        levels[i].total == 0);
        }
    }
    assert_int_equal(load, 100);
    for (uint32_t i = 0; i < n; i++) {
        /* Whoever has load has somebody to bear it. */
        if (levels[i].load > 0 && usable > 0) {
            assert_true(levels[i].usable > 0 || levels[i].panic);
        }
        if (health >= 100) {
            assert_false(levels[i].panic);
            assert_true(levels[i].load <= levels[i].health);
        }
    }
    if (factor >= 100 && levels[0].usable == levels[0].total &&
        levels[0].total > 0) {
        assert_int_equal(levels[0].load, 100);
    }
}

static void test_any(void **state) {
    (void)state;
    rng_t rng = {5};

    for (unsigned round = 0; round < 100000; round++) {
        mesh_level_t levels[8];
        uint32_t n = 1 + (uint32_t)(rng_next(&rng) % 8);
        uint32_t factor = 1 + (uint32_t)(rng_next(&rng) % 300);
        uint32_t percent = (uint32_t)(rng_next(&rng) % 101);

        for (uint32_t i = 0; i < n; i++) {
            levels[i].total = (uint32_t)(rng_next(&rng) % 12);
            levels[i].usable =
                (uint32_t)(rng_next(&rng) % (levels[i].total + 1));
        }
        mesh_priority_loads(levels, n, factor, percent);
        check_loads(levels, n, factor, percent);
    }
}

static void test_extremes(void **state) {
    (void)state;
    mesh_level_t levels[2] = {{.total = UINT32_MAX, .usable = UINT32_MAX},
                              {.total = UINT32_MAX, .usable = 1}};

    mesh_priority_loads(levels, 2, MESH_LB_OVERPROVISIONING_MAX, 100);
    assert_int_equal(levels[0].load, 100);
    assert_int_equal(levels[1].load, 0);
}

/* weight x min(1, factor x share), in millionths. */
static void test_locality_weight(void **state) {
    (void)state;

    assert_int_equal(mesh_locality_weight(80, 4, 4, 140), 80000000);
    assert_int_equal(mesh_locality_weight(80, 3, 4, 140), 80000000);
    assert_int_equal(mesh_locality_weight(80, 2, 4, 140), 56000000);
    assert_int_equal(mesh_locality_weight(80, 2, 4, 100), 40000000);
    assert_int_equal(mesh_locality_weight(80, 0, 4, 140), 0);
    assert_int_equal(mesh_locality_weight(80, 0, 0, 140), 0);
    assert_int_equal(mesh_locality_weight(0, 4, 4, 140), 0);
    /* Hardly any, but some. */
    assert_int_equal(mesh_locality_weight(3, 1, 1u << 24, 1), 3);
    assert_int_equal(mesh_locality_weight(1u << 24, 1u << 24, 1u << 24,
                                          MESH_LB_OVERPROVISIONING_MAX),
                     (UINT64_C(1) << 24) * 1000000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_levels),
        cmocka_unit_test(test_published_panic),
        cmocka_unit_test(test_all_in_panic),
        cmocka_unit_test(test_first_usable),
        cmocka_unit_test(test_any),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_locality_weight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
