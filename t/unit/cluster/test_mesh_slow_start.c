/* SPDX-License-Identifier: Apache-2.0 */

/* Slow start: whose window begins when, how weights grow, what stays. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster_fixture.h"

#define NOW UINT64_C(100000)
#define WINDOW 10000
#define N 4

typedef struct {
    fixture_t *f;
    mesh_runtime_t rt;
} world_t;

static void open_world(world_t *w, const fixture_endpoint_t *e,
                       mesh_rec_lb_t params) {
    w->f = fixture_new(
        &(fixture_spec_t){.count = N, .endpoints = e, .params = params});
    fixture_runtime(&w->rt);
}

static void close_world(world_t *w) {
    fixture_runtime_free(&w->rt);
    fixture_free(w->f);
}

static const mesh_rec_lb_t linear = {.slow_start_ms = WINDOW,
                                     .aggression_milli = 1000,
                                     .min_weight_percent = 10};

static void check_weight(const mesh_cluster_view_t *view, uint32_t i,
                         double want) {
    assert_true(fabs(view->endpoints[i].weight - want * 128) <= 1);
}

static void test_a_window(void **state) {
    (void)state;
    static const fixture_endpoint_t e[N] = {{.id = 0, .weight = 1},
                                            {.id = 1, .weight = 1},
                                            {.id = 2, .weight = 10},
                                            {.id = 3, .weight = 0}};
    world_t w;

    open_world(&w, e, linear);

    /* All begin: from the smallest part, together. */
    mesh_cluster_view_t *view = fixture_view(w.f, &w.rt, NOW);
    check_weight(view, 0, 0.1);
    check_weight(view, 2, 1);
    assert_int_equal(view->endpoints[3].weight, 0);
    assert_int_equal(view->next_ms, NOW + WINDOW / 50);
    assert_int_equal(w.rt.endpoints[0].since_ms, NOW);

    view = fixture_view(w.f, &w.rt, NOW + WINDOW / 2);
    check_weight(view, 0, 0.5);
    check_weight(view, 2, 5);
    assert_int_equal(w.rt.endpoints[0].since_ms, NOW);

    /* Over: weights as they are, and nothing to wait for. */
    view = fixture_view(w.f, &w.rt, NOW + WINDOW);
    assert_int_equal(view->endpoints[0].weight, 1);
    assert_int_equal(view->endpoints[2].weight, 10);
    assert_true(view->next_ms == UINT64_MAX);
    close_world(&w);
}

/* One comes back: it alone is slow, and its share of the picks is, too. */
static void test_after_an_ejection(void **state) {
    (void)state;
    static const fixture_endpoint_t e[N] = {{.id = 0, .weight = 2},
                                            {.id = 1, .weight = 2},
                                            {.id = 2, .weight = 2},
                                            {.id = 3, .weight = 2}};
    uint32_t counts[N] = {0};
    world_t w;

    open_world(&w, e, linear);
    fixture_view(w.f, &w.rt, NOW);

    uint64_t now = NOW + WINDOW;
    assert_int_equal(
        mesh_runtime_eject(&w.rt, 0, 1, N, 100,
                           mesh_ejected_word(now + 50, MESH_EJECTED_5XX), now),
        MESH_OK);
    mesh_cluster_view_t *view = fixture_view(w.f, &w.rt, now);
    assert_int_equal(w.rt.endpoints[1].since_ms, 0);
    assert_int_equal(view->endpoints[0].weight, 2);
    assert_int_equal(view->next_ms, now + 50);

    now += 50;
    view = fixture_view(w.f, &w.rt, now);
    assert_int_equal(w.rt.endpoints[1].since_ms, now);
    check_weight(view, 0, 2);
    check_weight(view, 1, 0.2);

    view = fixture_view(w.f, &w.rt, now + WINDOW / 4);
    mesh_pick_t pick = {.view = view, .subset = &view->subsets[0]};
    for (; pick.ticket < 130000; pick.ticket++) {
        counts[mesh_lb_pick(&pick)]++;
    }
    assert_in_range(counts[1], 9900, 10100); /* 1 of 4 + 4 + 4 + 1 */
    assert_in_range(counts[0], 39600, 40400);
    close_world(&w);
}

static void test_aggression(void **state) {
    (void)state;
    static const fixture_endpoint_t e[N] = {{.id = 0, .weight = 100},
                                            {.id = 1, .weight = 100},
                                            {.id = 2, .weight = 100},
                                            {.id = 3, .weight = 100}};
    static const uint32_t milli[] = {500, 1000, 2000};

    for (unsigned i = 0; i < mesh_nelts(milli); i++) {
        mesh_rec_lb_t params = linear;
        world_t w;

        params.aggression_milli = milli[i];
        params.min_weight_percent = 5;
        open_world(&w, e, params);
        fixture_view(w.f, &w.rt, NOW);
        for (uint64_t passed = 0; passed < WINDOW; passed += 997) {
            double part = pow((double)passed / WINDOW, 1000.0 / milli[i]);
            check_weight(fixture_view(w.f, &w.rt, NOW + passed), 0,
                         100 * fmax(part, 0.05));
        }
        close_world(&w);
    }
}

/* A reader changes nothing; without a window nobody looks at the times. */
static void test_readers(void **state) {
    (void)state;
    static const fixture_endpoint_t e[N] = {{.id = 0, .weight = 1},
                                            {.id = 1, .weight = 1},
                                            {.id = 2, .weight = 1},
                                            {.id = 3, .weight = 1}};
    world_t w;

    open_world(&w, e, linear);
    const mesh_cluster_view_t *view = fixture_view(w.f, NULL, NOW);
    assert_int_equal(view->endpoints[0].weight, 1);
    fixture_view(w.f, &w.rt, NOW);
    w.rt.endpoints[1].since_ms = 0;
    view = fixture_reader_view(w.f, &w.rt, NOW + WINDOW / 2);
    check_weight(view, 0, 0.5);
    check_weight(view, 1, 1);
    assert_int_equal(w.rt.endpoints[1].since_ms, 0);

    /* A clock that is a moment behind another worker's. */
    check_weight(fixture_reader_view(w.f, &w.rt, NOW - 5), 0, 0.1);
    close_world(&w);

    open_world(&w, e, (mesh_rec_lb_t){0});
    view = fixture_view(w.f, &w.rt, NOW);
    assert_int_equal(view->endpoints[0].weight, 1);
    assert_int_equal(w.rt.endpoints[0].since_ms, 0);
    assert_true(view->next_ms == UINT64_MAX);
    close_world(&w);
}

/* The largest weights there are do not overflow, the smallest do not vanish. */
static void test_extremes(void **state) {
    (void)state;
    static const fixture_endpoint_t e[N] = {{.id = 0, .weight = 1u << 24},
                                            {.id = 1, .weight = 1},
                                            {.id = 2, .weight = 0},
                                            {.id = 3, .weight = 1u << 24}};
    mesh_rec_lb_t params = linear;
    world_t w;

    params.min_weight_percent = 0;
    open_world(&w, e, params);
    mesh_cluster_view_t *view = fixture_view(w.f, &w.rt, NOW);
    assert_int_equal(view->endpoints[1].weight, 1);
    assert_int_equal(view->endpoints[2].weight, 0);
    view = fixture_view(w.f, &w.rt, NOW + WINDOW - 1);
    check_weight(view, 0, (1u << 24) * (WINDOW - 1.0) / WINDOW);
    assert_true(view->subsets[0].groups->total > UINT32_MAX / 2);
    close_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_window),
        cmocka_unit_test(test_after_an_ejection),
        cmocka_unit_test(test_aggression),
        cmocka_unit_test(test_readers),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
