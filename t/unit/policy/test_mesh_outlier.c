/* SPDX-License-Identifier: Apache-2.0 */

/* Outcomes to streaks to ejections, and how long these last. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mesh_outlier.h"
#include "runtime_memory.h"

#define TOTAL 10
#define NOW UINT64_C(1000000)

static const mesh_rec_outlier_t standard = {.consecutive_5xx = 5,
                                            .consecutive_gateway_failure = 3,
                                            .consecutive_local_failure = 2,
                                            .base_ejection_ms = 30000,
                                            .max_ejection_ms = 300000,
                                            .max_ejection_percent = 100};

static const mesh_outcome_t refused = {MESH_OUTCOME_CONNECT_FAILURE, 0, -1};

static mesh_outcome_t status(unsigned code) {
    return (mesh_outcome_t){MESH_OUTCOME_STATUS, code, -1};
}

static int setup(void **state) {
    static const mesh_runtime_sizes_t sizes = {2, 2, 2, 32};

    return runtime_memory_setup(state, &sizes, 1);
}

static mesh_outlier_verdict_t tell(mesh_runtime_t *rt,
                                   const mesh_rec_outlier_t *policy,
                                   mesh_outcome_t outcome, uint64_t now_ms) {
    return mesh_outlier_report(rt, policy, 1, 4, TOTAL, &outcome, 0, now_ms);
}

/* How many of these in a row it takes; 0: more than 20. */
static unsigned row_until_ejected(mesh_runtime_t *rt,
                                  const mesh_rec_outlier_t *policy,
                                  mesh_outcome_t outcome, mesh_ejected_e *why) {
    for (unsigned i = 1; i <= 20; i++) {
        mesh_outlier_verdict_t v = tell(rt, policy, outcome, NOW);
        assert_false(v.refused);
        if (v.ejected) {
            *why = v.why;
            assert_int_equal(v.streak, i);
            assert_int_equal(mesh_ejected_why(rt->endpoints[4].ejected), *why);
            assert_true(mesh_runtime_uneject(rt, 1, 4, NOW, true));
            return i;
        }
        assert_int_equal(rt->endpoints[4].ejected, 0);
    }
    *why = MESH_EJECTED_NOT;
    return 0;
}

/* --- what an outcome counts as ---------------------------------------------
 */

static void test_status_of_outcomes(void **state) {
    (void)state;
    static const struct {
        mesh_outcome_t outcome;
        unsigned status;
    } cases[] = {
        {{MESH_OUTCOME_NONE, 0, -1}, 0},
        {{MESH_OUTCOME_STATUS, 418, -1}, 418},
        {{MESH_OUTCOME_CONNECT_FAILURE, 0, -1}, 503},
        {{MESH_OUTCOME_CONNECT_TIMEOUT, 0, -1}, 504},
        {{MESH_OUTCOME_TIMEOUT, 0, -1}, 504},
        {{MESH_OUTCOME_RESET, 0, -1}, 503},
        {{MESH_OUTCOME_STATUS, 200, 0}, 200},
        {{MESH_OUTCOME_STATUS, 200, 1}, 499},
        {{MESH_OUTCOME_STATUS, 200, 2}, 500},
        {{MESH_OUTCOME_STATUS, 200, 4}, 504},
        {{MESH_OUTCOME_STATUS, 200, 8}, 429},
        {{MESH_OUTCOME_STATUS, 200, 12}, 501},
        {{MESH_OUTCOME_STATUS, 200, 13}, 500},
        {{MESH_OUTCOME_STATUS, 200, 14}, 503},
        {{MESH_OUTCOME_STATUS, 200, 16}, 401},
        {{MESH_OUTCOME_STATUS, 200, 17}, 500},
        {{MESH_OUTCOME_STATUS, 200, INT32_MAX}, 500},
    };
    for (unsigned i = 0; i < mesh_nelts(cases); i++) {
        assert_int_equal(mesh_outcome_status(&cases[i].outcome),
                         cases[i].status);
    }
}

/* --- streaks ---------------------------------------------------------------
 */

static void test_which_streak_fills(void **state) {
    mesh_runtime_t *rt = *state;
    mesh_rec_outlier_t only_5xx = standard, split = standard, off = standard;
    mesh_ejected_e why;
    only_5xx.consecutive_gateway_failure = 0;
    split.flags = MESH_OUTLIER_SPLIT_LOCAL;
    off.consecutive_5xx = off.consecutive_gateway_failure = 0;

    const struct {
        const mesh_rec_outlier_t *policy;
        mesh_outcome_t outcome;
        unsigned count;
        mesh_ejected_e why;
    } cases[] = {
        {&standard, status(500), 5, MESH_EJECTED_5XX},
        {&standard, status(501), 5, MESH_EJECTED_5XX},
        {&standard, status(599), 5, MESH_EJECTED_5XX},
        {&standard, status(502), 3, MESH_EJECTED_GATEWAY},
        {&standard, status(503), 3, MESH_EJECTED_GATEWAY},
        {&standard, status(504), 3, MESH_EJECTED_GATEWAY},
        {&standard, status(200), 0, MESH_EJECTED_NOT},
        {&standard, status(404), 0, MESH_EJECTED_NOT},
        {&standard, status(600), 0, MESH_EJECTED_NOT},
        {&standard, refused, 3, MESH_EJECTED_GATEWAY},
        {&standard, {MESH_OUTCOME_TIMEOUT, 0, -1}, 3, MESH_EJECTED_GATEWAY},
        {&standard, {MESH_OUTCOME_STATUS, 200, 14}, 3, MESH_EJECTED_GATEWAY},
        {&standard, {MESH_OUTCOME_STATUS, 200, 13}, 5, MESH_EJECTED_5XX},
        {&standard, {MESH_OUTCOME_STATUS, 200, 5}, 0, MESH_EJECTED_NOT},
        {&standard, {MESH_OUTCOME_NONE, 0, -1}, 0, MESH_EJECTED_NOT},
        {&only_5xx, status(503), 5, MESH_EJECTED_5XX},
        {&only_5xx, refused, 5, MESH_EJECTED_5XX},
        {&split, refused, 2, MESH_EJECTED_LOCAL},
        {&split, {MESH_OUTCOME_RESET, 0, -1}, 2, MESH_EJECTED_LOCAL},
        {&split, status(503), 3, MESH_EJECTED_GATEWAY},
        {&off, status(503), 0, MESH_EJECTED_NOT},
        {&off, refused, 0, MESH_EJECTED_NOT},
        {NULL, status(503), 0, MESH_EJECTED_NOT},
    };
    for (unsigned i = 0; i < mesh_nelts(cases); i++) {
        memset(rt->endpoints, 0, sizeof(*rt->endpoints) * 32);
        assert_int_equal(
            row_until_ejected(rt, cases[i].policy, cases[i].outcome, &why),
            cases[i].count);
        assert_int_equal(why, cases[i].why);
    }
}

/* Any success in between and the row starts again; a model checks it all. */
static void test_streaks_by_a_model(void **state) {
    mesh_runtime_t *rt = *state;
    uint64_t seed = 4;

    for (unsigned split = 0; split < 2; split++) {
        mesh_rec_outlier_t policy = standard;
        policy.flags = split ? MESH_OUTLIER_SPLIT_LOCAL : 0;
        unsigned any = 0, gateway = 0, local = 0, ejections = 0;
        memset(rt->endpoints, 0, sizeof(*rt->endpoints) * 32);

        for (unsigned i = 0; i < 20000; i++) {
            seed = mesh_mix64(seed + i);
            static const unsigned codes[] = {200, 500, 503, 0};
            unsigned code = codes[seed % 4];
            bool is_local = code == 0;

            if (split && is_local) {
                local++;
            } else {
                code = is_local ? 503 : code;
                any = code >= 500 ? any + 1 : 0;
                gateway = code == 503 ? gateway + 1 : 0;
                local = is_local ? local : 0;
            }

            bool full_gateway = gateway == 3, full_any = any == 5;
            bool full = full_gateway || full_any || (split && local == 2);
            mesh_outlier_verdict_t v =
                tell(rt, &policy, is_local ? refused : status(code), NOW);
            assert_true(v.ejected == full);
            if (full) {
                any = gateway = local = 0;
                ejections++;
                mesh_runtime_uneject(rt, 1, 4, NOW, true);
            }
        }
        assert_true(ejections > 1000);
        assert_int_equal(rt->endpoints[4].ejections_total, ejections);
    }
}

/* --- ejections -------------------------------------------------------------
 */

static mesh_outlier_verdict_t
fill(mesh_runtime_t *rt, const mesh_rec_outlier_t *policy, uint64_t now_ms) {
    mesh_outlier_verdict_t v = {0};
    for (unsigned i = 0; i < policy->consecutive_5xx; i++) {
        assert_false(v.ejected);
        v = tell(rt, policy, status(500), now_ms);
    }
    return v;
}

static void test_duration_grows_to_its_bound(void **state) {
    mesh_runtime_t *rt = *state;
    uint64_t now = NOW;

    for (unsigned times = 1; times <= 15; times++) {
        mesh_outlier_verdict_t v = fill(rt, &standard, now);
        assert_true(v.ejected);
        assert_int_equal(v.duration_ms, 30000 * mesh_min(times, 10));
        assert_int_equal(mesh_ejected_until(rt->endpoints[4].ejected),
                         now + v.duration_ms);
        now += v.duration_ms;
        assert_true(mesh_runtime_uneject(rt, 1, 4, now, false));
    }
    assert_int_equal(rt->endpoints[4].times_ejected, 10);
}

/* 10 s in take one off the multiplier, as Envoy's interval does. */
static void test_multiplier_decays(void **state) {
    mesh_runtime_t *rt = *state;

    for (unsigned in_s = 0; in_s < 80; in_s += 5) {
        memset(rt->endpoints, 0, sizeof(*rt->endpoints) * 32);
        rt->endpoints[4].times_ejected = 4; /* so it was out for 120 s */
        rt->endpoints[4].ejected_ms = NOW;

        uint64_t now = NOW + 120000 + in_s * 1000;
        unsigned left = 4 - mesh_min(4, in_s / 10);
        assert_int_equal(fill(rt, &standard, now).duration_ms,
                         30000 * (left + 1));
        assert_int_equal(rt->endpoints[4].times_ejected, left + 1);
        mesh_runtime_uneject(rt, 1, 4, now, true);
    }
}

static void test_jitter(void **state) {
    mesh_runtime_t *rt = *state;
    mesh_rec_outlier_t policy = standard;
    policy.consecutive_5xx = 1;
    policy.jitter_ms = 1000;
    mesh_outcome_t outcome = status(500);
    uint64_t low = UINT64_MAX, high = 0;

    for (uint64_t i = 0; i < 5000; i++) {
        rt->endpoints[4].times_ejected = 0;
        mesh_outlier_verdict_t v = mesh_outlier_report(
            rt, &policy, 1, 4, TOTAL, &outcome, mesh_mix64(i), NOW);
        assert_true(v.ejected);
        low = mesh_min(low, v.duration_ms);
        high = mesh_max(high, v.duration_ms);
        mesh_runtime_uneject(rt, 1, 4, NOW, true);
    }
    assert_in_range(low, 30000, 30010);
    assert_in_range(high, 30990, 31000);
}

/* A base above the maximum is its own maximum. */
static void test_base_above_maximum(void **state) {
    mesh_runtime_t *rt = *state;
    mesh_rec_outlier_t policy = standard;
    policy.base_ejection_ms = UINT32_MAX;
    policy.max_ejection_ms = 0;
    rt->endpoints[4].times_ejected = UINT32_MAX;
    rt->endpoints[4].ejected_ms = NOW;
    assert_int_equal(fill(rt, &policy, NOW).duration_ms, UINT32_MAX);
}

static void test_percentage_refuses(void **state) {
    mesh_runtime_t *rt = *state;
    mesh_rec_outlier_t policy = standard;
    policy.max_ejection_percent = 9; /* of 10: none */

    for (unsigned round = 0; round < 3; round++) {
        mesh_outlier_verdict_t v = fill(rt, &policy, NOW);
        assert_false(v.ejected);
        assert_true(v.refused);
        assert_int_equal(v.why, MESH_EJECTED_5XX);
    }
    assert_int_equal(rt->endpoints[4].times_ejected, 0);
    assert_int_equal(rt->clusters[1].ejections_refused, 3);
}

/* What still fails of an ejected one is no second ejection. */
static void test_ejected_already(void **state) {
    mesh_runtime_t *rt = *state;
    assert_true(fill(rt, &standard, NOW).ejected);
    mesh_outlier_verdict_t v = fill(rt, &standard, NOW + 1);
    assert_false(v.ejected);
    assert_false(v.refused);
    assert_int_equal(rt->endpoints[4].times_ejected, 1);
    assert_int_equal(mesh_cluster_ejected(&rt->clusters[1]), 1);
}

static void test_endpoint_without_slot(void **state) {
    mesh_runtime_t *rt = *state;
    mesh_outcome_t outcome = status(500);
    for (unsigned i = 0; i < 10; i++) {
        mesh_outlier_verdict_t v = mesh_outlier_report(
            rt, &standard, 1, MESH_SLOT_NONE, TOTAL, &outcome, 0, NOW);
        assert_false(v.ejected || v.refused);
    }
}

#define SLOT_TEST(f)                                                           \
    cmocka_unit_test_setup_teardown(f, setup, runtime_memory_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_of_outcomes),
        SLOT_TEST(test_which_streak_fills),
        SLOT_TEST(test_streaks_by_a_model),
        SLOT_TEST(test_duration_grows_to_its_bound),
        SLOT_TEST(test_multiplier_decays),
        SLOT_TEST(test_jitter),
        SLOT_TEST(test_base_above_maximum),
        SLOT_TEST(test_percentage_refuses),
        SLOT_TEST(test_ejected_already),
        SLOT_TEST(test_endpoint_without_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
