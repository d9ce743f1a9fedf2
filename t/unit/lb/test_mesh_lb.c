/* SPDX-License-Identifier: Apache-2.0 */
/* slow */

/* Balancers as properties: shares, turns, and who gets what is left over. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cluster_fixture.h"

#define NOW UINT64_C(1000)
#define MANY 1000000
#define MOST 64 /* endpoints of the counting tests */

static fixture_t *cluster_with(mesh_lb_e lb, const uint32_t *weights,
                               uint32_t n, mesh_rec_lb_t params,
                               mesh_pick_t *pick) {
    fixture_endpoint_t *e = calloc(n + 1, sizeof(*e));
    for (uint32_t i = 0; i < n; i++) {
        e[i].id = i;
        e[i].weight = weights ? weights[i] : 1;
    }
    fixture_t *f = fixture_new(&(fixture_spec_t){
        .lb = lb, .count = n, .endpoints = e, .params = params});
    free(e);

    const mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);
    *pick = (mesh_pick_t){.view = view, .subset = &view->subsets[0]};
    return f;
}

/* A fixture with these weights, and a pick of its whole cluster. */
static fixture_t *cluster_of(mesh_lb_e lb, const uint32_t *weights, uint32_t n,
                             mesh_pick_t *pick) {
    return cluster_with(lb, weights, n, (mesh_rec_lb_t){0}, pick);
}

static void count_picks(mesh_pick_t pick, uint64_t from, uint32_t picks,
                        uint32_t *counts) {
    for (uint32_t i = 0; i < picks; i++) {
        pick.ticket = from + i;
        uint32_t at = mesh_lb_pick(&pick);
        assert_true(at < pick.view->total);
        counts[at]++;
    }
}

static void test_table_is_complete(void **state) {
    (void)state;
    for (unsigned i = 0; i < MESH_LB_MAX; i++) {
        assert_non_null(mesh_lb[i].name);
        assert_non_null(mesh_lb[i].pick);
    }
    assert_string_equal(mesh_lb[MESH_LB_ROUND_ROBIN].name, "round_robin");
    assert_string_equal(mesh_lb[MESH_LB_LEAST_REQUEST].name, "least_request");
    assert_string_equal(mesh_lb[MESH_LB_RANDOM].name, "random");
    assert_string_equal(mesh_lb[MESH_LB_RING_HASH].name, "ring_hash");
    assert_string_equal(mesh_lb[MESH_LB_MAGLEV].name, "maglev");
    assert_string_equal(mesh_lb[MESH_LB_PEAK_EWMA].name, "peak_ewma");
}

static void test_no_endpoint(void **state) {
    (void)state;
    for (unsigned lb = 0; lb < MESH_LB_MAX; lb++) {
        static const uint32_t zero[3] = {0};
        uint32_t tried[] = {0, 1};
        mesh_pick_t pick;
        fixture_t *f = cluster_of(lb, NULL, 0, &pick);
        assert_int_equal(mesh_lb_pick(&pick), MESH_PICK_NONE);
        pick.tried = tried;
        pick.ntried = 2;
        assert_int_equal(mesh_lb_pick(&pick), MESH_PICK_NONE);
        fixture_free(f);

        f = cluster_of(lb, zero, 3, &pick);
        assert_int_equal(mesh_lb_pick(&pick), MESH_PICK_NONE);
        fixture_free(f);
    }
}

/* Any N tickets in a row are one turn for each of N, from any start. */
static void test_round_robin_is_exact(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 7, 50, 10000};
    static const uint64_t starts[] = {0, 1, 12345,
                                      UINT64_C(0x7fffffffffff0000)};

    for (unsigned s = 0; s < mesh_nelts(sizes); s++) {
        uint32_t n = sizes[s];
        mesh_pick_t pick;
        fixture_t *f = cluster_of(MESH_LB_ROUND_ROBIN, NULL, n, &pick);

        for (unsigned k = 0; k < mesh_nelts(starts); k++) {
            uint32_t *counts = calloc(n, sizeof(*counts));
            count_picks(pick, starts[k], 3 * n, counts);
            for (uint32_t i = 0; i < n; i++) {
                assert_int_equal(counts[i], 3);
            }
            free(counts);
        }
        fixture_free(f);
    }
}

static void check_shares(mesh_lb_e lb, const uint32_t *weights, uint32_t n,
                         double within) {
    uint32_t counts[MOST] = {0};
    uint64_t total = 0;
    mesh_pick_t pick;
    fixture_t *f = cluster_of(lb, weights, n, &pick);

    count_picks(pick, 77, MANY, counts);
    for (uint32_t i = 0; i < n; i++) {
        total += weights[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        double want = (double)MANY * weights[i] / (double)total;
        assert_true(fabs(counts[i] - want) <= within * want + 1);
    }
    fixture_free(f);
}

static void test_weights_within_one_percent(void **state) {
    (void)state;
    static const uint32_t a[] = {1, 2, 3, 4};
    static const uint32_t b[] = {90, 10};
    static const uint32_t c[] = {1, 0, 50, 0, 7, 7, 100};
    static const uint32_t d[] = {1u << 24, 1u << 23, 1u << 22};
    uint32_t random[MOST];
    rng_t seed = {5};

    for (unsigned lb = 0; lb < MESH_LB_MAX; lb++) {
        /* Idle, least request is a random draw: wider by its deviation. */
        double within = lb == MESH_LB_ROUND_ROBIN ? 0.01 : 0.04;
        check_shares(lb, a, mesh_nelts(a), within);
        check_shares(lb, b, mesh_nelts(b), within);
        check_shares(lb, c, mesh_nelts(c), within);
        check_shares(lb, d, mesh_nelts(d), within);
    }
    for (uint32_t i = 0; i < MOST; i++) {
        random[i] = 1 + (uint32_t)(rng_next(&seed) % 20);
    }
    check_shares(MESH_LB_ROUND_ROBIN, random, MOST, 0.01);
    check_shares(MESH_LB_RANDOM, a, mesh_nelts(a), 0.01);
    check_shares(MESH_LB_RANDOM, b, mesh_nelts(b), 0.01);
    check_shares(MESH_LB_RANDOM, d, mesh_nelts(d), 0.01);
}

/* Consecutive tickets are strangers: each pair of picks comes as often. */
static void test_random_has_no_turns(void **state) {
    (void)state;
    enum { N = 10 };
    uint32_t pairs[N][N] = {{0}};
    mesh_pick_t pick;
    fixture_t *f = cluster_of(MESH_LB_RANDOM, NULL, N, &pick);
    uint32_t last = mesh_lb_pick(&pick);

    for (pick.ticket = 1; pick.ticket <= MANY; pick.ticket++) {
        uint32_t at = mesh_lb_pick(&pick);
        pairs[last][at]++;
        last = at;
    }
    for (uint32_t i = 0; i < N; i++) {
        for (uint32_t k = 0; k < N; k++) {
            assert_in_range(pairs[i][k], MANY / 100 * 95 / 100,
                            MANY / 100 * 105 / 100);
        }
    }
    fixture_free(f);
}

static void test_random_reaches_all(void **state) {
    (void)state;
    enum { N = 10000 };
    uint32_t *counts = calloc(N, sizeof(*counts));
    mesh_pick_t pick;
    fixture_t *f = cluster_of(MESH_LB_RANDOM, NULL, N, &pick);

    count_picks(pick, 0, MANY, counts);
    for (uint32_t i = 0; i < N; i++) {
        assert_in_range(counts[i], 50, 160);
    }
    free(counts);
    fixture_free(f);
}

/* A weighted split is even over short runs too, not only in the long one. */
static void test_weighted_discrepancy(void **state) {
    (void)state;
    static const uint32_t weights[] = {90, 10};
    mesh_pick_t pick;
    fixture_t *f = cluster_of(MESH_LB_ROUND_ROBIN, weights, 2, &pick);

    for (uint64_t from = 0; from < 100000; from += 100) {
        uint32_t counts[2] = {0};
        count_picks(pick, from, 100, counts);
        assert_in_range(counts[1], 8, 12);
    }
    fixture_free(f);
}

/* One of N is ejected: what it had goes to all others alike. */
static void test_ejected_share_is_spread(void **state) {
    (void)state;
    static const uint32_t weights[] = {3, 1, 4, 1, 5, 9, 2, 6};
    enum { N = 8, PICKS = 400000 };
    mesh_runtime_t rt;

    for (unsigned weighted = 0; weighted < 2; weighted++) {
        fixture_endpoint_t e[N] = {0};
        uint32_t all = 0;
        for (uint32_t i = 0; i < N; i++) {
            e[i].id = i;
            e[i].weight = weighted ? weights[i] : 1;
            all += e[i].weight;
        }
        fixture_t *f =
            fixture_new(&(fixture_spec_t){.count = N, .endpoints = e});
        fixture_runtime(&rt);
        fixture_view(f, &rt, NOW);

        for (uint32_t out = 0; out < N; out++) {
            uint32_t counts[N] = {0};
            uint64_t word = mesh_ejected_word(NOW + 10, MESH_EJECTED_5XX);
            assert_int_equal(mesh_runtime_eject(&rt, 0, out, N, 100, word, NOW),
                             MESH_OK);
            const mesh_cluster_view_t *view = fixture_view(f, &rt, NOW);
            count_picks(
                (mesh_pick_t){.view = view, .subset = &view->subsets[0]}, out,
                PICKS, counts);

            assert_int_equal(counts[out], 0);
            for (uint32_t i = 0; i < N; i++) {
                double want =
                    (double)PICKS * e[i].weight / (all - e[out].weight);
                assert_true(i == out ||
                            fabs(counts[i] - want) < 0.01 * want + 1);
            }
            assert_true(mesh_runtime_uneject(&rt, 0, out, NOW, true));
        }
        fixture_runtime_free(&rt);
        fixture_free(f);
    }
}

/* Never again while another is left; then some again, but not the last. */
static void test_tried_is_passed_over(void **state) {
    (void)state;
    rng_t seed = {3};

    for (unsigned round = 0; round < 400; round++) {
        uint32_t weights[MOST], tried[MOST * 2];
        uint32_t n = 1 + (uint32_t)(rng_next(&seed) % 12), usable = 0;
        bool picked[MOST] = {false};
        mesh_pick_t pick;

        for (uint32_t i = 0; i < n; i++) {
            weights[i] = (uint32_t)(rng_next(&seed) % 4);
            usable += (weights[i] != 0);
        }
        fixture_t *f = cluster_of(round % MESH_LB_MAX, weights, n, &pick);
        pick.ticket = rng_next(&seed);
        pick.tried = tried;

        for (uint32_t i = 0; usable > 0 && i < usable * 2; i++) {
            pick.ntried = i;
            uint32_t at = mesh_lb_pick(&pick);
            assert_true(at < n);
            assert_true(weights[at] > 0);
            assert_true(i >= usable || !picked[at]);
            assert_true(usable == 1 || i == 0 || at != tried[i - 1]);
            picked[at] = true;
            tried[i] = at;
        }
        fixture_free(f);
    }
}

/* Repeats and endpoints that are not in the subset do no harm. */
static void test_tried_of_elsewhere(void **state) {
    (void)state;
    static const uint32_t weights[] = {1, 0, 2, 3};
    static const uint32_t tried[] = {2, 2, 1, 99, UINT32_MAX, 2, 0};

    for (unsigned lb = 0; lb < MESH_LB_MAX; lb++) {
        mesh_pick_t pick;
        fixture_t *f = cluster_of(lb, weights, 4, &pick);
        pick.tried = tried;
        pick.ntried = mesh_nelts(tried);
        for (pick.ticket = 0; pick.ticket < 100; pick.ticket++) {
            assert_int_equal(mesh_lb_pick(&pick), 3);
        }
        fixture_free(f);
    }
}

/* Retries away from one endpoint fall on all others by weight. */
static void test_tried_share_is_spread(void **state) {
    (void)state;
    static const uint32_t weights[] = {1, 4, 2, 8, 5};
    enum { N = 5, ALL = 20 };

    for (unsigned weighted = 0; weighted < 2; weighted++) {
        for (uint32_t out = 0; out < N; out++) {
            uint32_t counts[N] = {0}, retries = 0;
            mesh_pick_t pick;
            fixture_t *f = cluster_of(MESH_LB_ROUND_ROBIN,
                                      weighted ? weights : NULL, N, &pick);

            for (uint64_t ticket = 0; ticket < MANY / 2; ticket++) {
                pick.ticket = ticket;
                pick.ntried = 0;
                if (mesh_lb_pick(&pick) != out) {
                    continue;
                }
                pick.tried = &out;
                pick.ntried = 1;
                counts[mesh_lb_pick(&pick)]++;
                retries++;
            }

            uint32_t left = weighted ? ALL - weights[out] : N - 1;
            assert_int_equal(counts[out], 0);
            for (uint32_t i = 0; i < N; i++) {
                double want =
                    (double)retries * (weighted ? weights[i] : 1) / left;
                assert_true(i == out ||
                            fabs(counts[i] - want) < 0.05 * want + 5);
            }
            fixture_free(f);
        }
    }
}

static void test_least_request_avoids_load(void **state) {
    (void)state;
    static const uint32_t weights[] = {1, 1, 4};
    mesh_runtime_t rt;
    mesh_pick_t pick;
    fixture_t *f = cluster_of(MESH_LB_LEAST_REQUEST, NULL, 3, &pick);
    uint32_t counts[3] = {0};

    /* Two distinct ones are compared: the busiest is never the better. */
    fixture_runtime(&rt);
    pick.rt = &rt;
    rt.endpoints[1].in_flight = 100;
    count_picks(pick, 0, 10000, counts);
    assert_int_equal(counts[1], 0);
    assert_in_range(counts[0], 4700, 5300);
    fixture_free(f);

    /* 3 in flight of weight 4 are less than 1 of weight 1; 5 are more. */
    f = cluster_of(MESH_LB_LEAST_REQUEST, weights, 3, &pick);
    pick.rt = &rt;
    rt.endpoints[0].in_flight = rt.endpoints[1].in_flight = 1;
    rt.endpoints[2].in_flight = 3;
    pick.tried = (uint32_t[]){0}; /* so 1 and 2 are always the two */
    pick.ntried = 1;
    for (pick.ticket = 0; pick.ticket < 1000; pick.ticket++) {
        rt.endpoints[2].in_flight = 3;
        assert_int_equal(mesh_lb_pick(&pick), 2);
        rt.endpoints[2].in_flight = 5;
        assert_int_equal(mesh_lb_pick(&pick), 1);
    }
    fixture_runtime_free(&rt);
    fixture_free(f);
}

/* Simulated: all load kept, the spread of P2C stays small. */
static void test_least_request_evens_out(void **state) {
    (void)state;
    mesh_runtime_t rt;
    mesh_pick_t pick;
    fixture_t *f = cluster_of(MESH_LB_LEAST_REQUEST, NULL, 50, &pick);
    fixture_runtime(&rt);
    pick.rt = &rt;

    for (pick.ticket = 0; pick.ticket < 50 * 200; pick.ticket++) {
        rt.endpoints[mesh_lb_pick(&pick)].in_flight++;
    }
    for (uint32_t i = 0; i < 50; i++) {
        assert_in_range(rt.endpoints[i].in_flight, 190, 205);
    }
    fixture_runtime_free(&rt);
    fixture_free(f);
}

/* Of all, the least loaded for its weight; of equals, any by weight. */
static void test_full_scan(void **state) {
    (void)state;
    static const uint32_t weights[] = {1, 2, 3, 4, 0};
    mesh_rec_lb_t params = {.flags = MESH_LB_FULL_SCAN};
    uint32_t counts[5] = {0};
    mesh_runtime_t rt;
    mesh_pick_t pick;
    fixture_t *f =
        cluster_with(MESH_LB_LEAST_REQUEST, weights, 5, params, &pick);

    fixture_runtime(&rt);
    pick.rt = &rt;
    count_picks(pick, 0, MANY, counts);
    for (uint32_t i = 0; i < 4; i++) {
        double want = MANY / 10.0 * weights[i];
        assert_true(fabs(counts[i] - want) < 0.01 * want);
    }

    for (uint32_t i = 0; i < 4; i++) {
        rt.endpoints[i].in_flight = 10 * weights[i];
    }
    for (uint32_t least = 0; least < 4; least++) {
        rt.endpoints[least].in_flight--;
        for (pick.ticket = 0; pick.ticket < 100; pick.ticket++) {
            assert_int_equal(mesh_lb_pick(&pick), least);
        }
        pick.tried = &least;
        pick.ntried = 1;
        for (pick.ticket = 0; pick.ticket < 100; pick.ticket++) {
            assert_int_not_equal(mesh_lb_pick(&pick), least);
        }
        pick.ntried = 0;
        rt.endpoints[least].in_flight++;
    }
    fixture_runtime_free(&rt);
    fixture_free(f);
}

/* Envoy's law: weight / (requests in flight + 1) ^ bias. */
static void test_active_request_bias(void **state) {
    (void)state;
    static const uint32_t few[] = {1, 2, 4, 8};
    static const uint32_t load[] = {0, 3, 1, 15};
    static const uint32_t biases[] = {0, 500, 1000, 2000};

    for (unsigned b = 0; b < mesh_nelts(biases); b++) {
        mesh_rec_lb_t params = {.flags = MESH_LB_BIAS | MESH_LB_FULL_SCAN,
                                .bias_milli = biases[b]};
        uint32_t counts[4] = {0};
        double share[4], total = 0;
        mesh_runtime_t rt;
        mesh_pick_t pick;
        fixture_t *f =
            cluster_with(MESH_LB_LEAST_REQUEST, few, 4, params, &pick);

        fixture_runtime(&rt);
        pick.rt = &rt;
        for (uint32_t i = 0; i < 4; i++) {
            rt.endpoints[i].in_flight = load[i];
            share[i] = few[i] / pow(load[i] + 1, biases[b] / 1000.0);
            total += share[i];
        }
        count_picks(pick, 5, MANY, counts);
        for (uint32_t i = 0; i < 4; i++) {
            double want = MANY * share[i] / total;
            assert_true(fabs(counts[i] - want) < 0.01 * want + 4 * sqrt(want));
        }
        fixture_runtime_free(&rt);
        fixture_free(f);
    }
}

/* Of many, nearly so: idle it is the weights' share, and load repels. */
static void test_bias_of_many(void **state) {
    (void)state;
    enum { N = 200 };
    uint32_t weights[N], counts[N] = {0}, total = 0, loaded = 0;
    mesh_rec_lb_t params = {.flags = MESH_LB_BIAS, .bias_milli = 1000};
    mesh_runtime_t rt;
    mesh_pick_t pick;

    for (uint32_t i = 0; i < N; i++) {
        total += weights[i] = 1 + i % 4;
    }
    fixture_t *f =
        cluster_with(MESH_LB_LEAST_REQUEST, weights, N, params, &pick);
    fixture_runtime(&rt);
    pick.rt = &rt;
    count_picks(pick, 0, MANY, counts);
    for (uint32_t i = 0; i < N; i++) {
        double want = (double)MANY * weights[i] / total;
        assert_true(fabs(counts[i] - want) < 0.01 * want + 4 * sqrt(want));
    }

    /* Half of them have 3 in flight: a fifth of what is picked. */
    for (uint32_t i = 0; i < N; i += 2) {
        rt.endpoints[i].in_flight = 3;
    }
    memset(counts, 0, sizeof(counts));
    count_picks(pick, 0, MANY, counts);
    total = 0;
    for (uint32_t i = 0; i < N; i++) {
        loaded += i % 2 ? 0 : counts[i] / weights[i];
        total += counts[i] / weights[i];
    }
    assert_true(loaded > total * 0.18 && loaded < total * 0.24);
    fixture_runtime_free(&rt);
    fixture_free(f);
}

/*
 * So many are compared, and no more: the first is drawn among 10, each other
 * among the 9 that are not the best so far.  Who has least is one of them.
 */
static void test_number_of_choices(void **state) {
    static const uint32_t choices[] = {0, 2, 3, 7};
    (void)state;

    for (unsigned i = 0; i < mesh_nelts(choices); i++) {
        fixture_t *f =
            fixture_new(&(fixture_spec_t){.lb = MESH_LB_LEAST_REQUEST,
                                          .count = 10,
                                          .lb_choices = choices[i]});
        uint32_t counts[10] = {0}, n = mesh_max(choices[i], 2);
        mesh_runtime_t rt;

        fixture_runtime(&rt);
        mesh_cluster_view_t *view = fixture_view(f, &rt, NOW);
        mesh_pick_t pick = {
            .view = view, .subset = &view->subsets[0], .rt = &rt};
        for (uint32_t k = 0; k < 10; k++) {
            rt.endpoints[k].in_flight = k;
        }
        count_picks(pick, 0, 20000, counts);

        double missed = 0.9 * pow(8.0 / 9, n - 1);
        assert_true(fabs(counts[0] / 20000.0 - (1 - missed)) < 0.02);
        assert_int_equal(counts[9], 0);
        fixture_runtime_free(&rt);
        fixture_free(f);
    }
}

/* Nobody has heard of it: 30 ms, more than 29 and less than 31. */
static void test_peak_ewma_default(void **state) {
    (void)state;
    mesh_runtime_t rt;
    mesh_pick_t pick;
    fixture_t *f = cluster_of(MESH_LB_PEAK_EWMA, NULL, 2, &pick);

    fixture_runtime(&rt);
    pick.rt = &rt;
    pick.now_ms = NOW;
    for (uint32_t us = 29000; us <= 31000; us += 2000) {
        rt.endpoints[0].ewma = 0;
        mesh_lb_observe(pick.view, &rt, 0, NOW, us, true);
        for (pick.ticket = 0; pick.ticket < 20; pick.ticket++) {
            assert_int_equal(mesh_lb_pick(&pick), us < 30000 ? 0 : 1);
        }
    }
    fixture_runtime_free(&rt);
    fixture_free(f);
}

/* What is in flight weighs by the weight, of which 2 is the mean here. */
static void test_peak_ewma_weights(void **state) {
    (void)state;
    mesh_runtime_t rt;
    mesh_pick_t pick;
    fixture_t *f = cluster_of(MESH_LB_PEAK_EWMA, (uint32_t[]){1, 3}, 2, &pick);

    fixture_runtime(&rt);
    pick.rt = &rt;
    pick.now_ms = NOW;
    rt.endpoints[0].in_flight = 1; /* 3 times its 1000 us */
    mesh_lb_observe(pick.view, &rt, 0, NOW, 1000, true);
    for (uint32_t us = 2900; us <= 3100; us += 200) {
        rt.endpoints[1].ewma = 0;
        mesh_lb_observe(pick.view, &rt, 1, NOW, us, true);
        for (pick.ticket = 0; pick.ticket < 20; pick.ticket++) {
            assert_int_equal(mesh_lb_pick(&pick), us < 3000 ? 1 : 0);
        }
    }
    fixture_runtime_free(&rt);
    fixture_free(f);
}

/* Slow ones get less, also when they have less to do; silence forgives. */
static void test_peak_ewma(void **state) {
    (void)state;
    uint32_t counts[3] = {0};
    mesh_runtime_t rt;
    mesh_pick_t pick;
    fixture_t *f = cluster_of(MESH_LB_PEAK_EWMA, NULL, 3, &pick);
    const mesh_cluster_view_t *view = pick.view;

    fixture_runtime(&rt);
    pick.rt = &rt;
    pick.now_ms = NOW;
    mesh_lb_observe(view, &rt, 0, NOW, 1000, true);
    mesh_lb_observe(view, &rt, 1, NOW, 50000, true);
    mesh_lb_observe(view, &rt, 2, NOW, 1000, true);
    count_picks(pick, 0, 10000, counts);
    assert_int_equal(counts[1], 0); /* of any two, the other is better */
    assert_in_range(counts[0], 4700, 5300);

    /* Fifty times as slow: it takes fifty times as much to do. */
    pick.tried = (uint32_t[]){0};
    pick.ntried = 1;
    rt.endpoints[2].in_flight = 48;
    assert_int_equal(mesh_lb_pick(&pick), 2);
    rt.endpoints[2].in_flight = 50;
    assert_int_equal(mesh_lb_pick(&pick), 1);

    /* No answer for a while: worth a try again, even idle. */
    rt.endpoints[2].in_flight = 0;
    assert_int_equal(mesh_lb_pick(&pick), 2);
    mesh_lb_observe(view, &rt, 2, NOW + 60000, 1000, true);
    pick.now_ms = NOW + 60000;
    assert_int_equal(mesh_lb_pick(&pick), 1);

    /* Who fails at once is not fast, and ever less so. */
    mesh_lb_observe(view, &rt, 1, NOW + 60000, 1, false);
    assert_int_equal((uint32_t)rt.endpoints[1].ewma, 100000);
    for (unsigned i = 0; i < 40; i++) {
        mesh_lb_observe(view, &rt, 1, NOW + 60000, 1, false);
    }
    assert_int_equal((uint32_t)rt.endpoints[1].ewma, UINT32_MAX);
    assert_int_equal(mesh_lb_pick(&pick), 2);
    rt.endpoints[1].ewma = 0;
    mesh_lb_observe(view, &rt, 1, NOW, 1, false);
    assert_int_equal((uint32_t)rt.endpoints[1].ewma, 30000);
    fixture_runtime_free(&rt);
    fixture_free(f);
}

/* Idle, it is the weights' share; others learn nothing. */
static void test_peak_ewma_idle(void **state) {
    (void)state;
    static const uint32_t weights[] = {1, 2, 3, 4};
    uint32_t counts[4] = {0};
    mesh_runtime_t rt;
    mesh_pick_t pick;
    fixture_t *f = cluster_of(MESH_LB_PEAK_EWMA, weights, 4, &pick);

    fixture_runtime(&rt);
    pick.rt = &rt;
    count_picks(pick, 0, MANY, counts);
    for (uint32_t i = 0; i < 4; i++) {
        double want = MANY / 10.0 * weights[i];
        assert_true(fabs(counts[i] - want) < 0.01 * want);
    }
    fixture_free(f);

    f = cluster_of(MESH_LB_LEAST_REQUEST, weights, 4, &pick);
    mesh_lb_observe(pick.view, &rt, 0, NOW, 1000, true);
    assert_true(rt.endpoints[0].ewma == 0);
    fixture_runtime_free(&rt);
    fixture_free(f);
}

/* Every point of the line, brute force: a draw never leaves its bounds. */
static void test_draw_bounds(void **state) {
    (void)state;
    static const uint32_t weights[] = {2, 7, 1, 3};
    mesh_pick_t pick;
    fixture_t *f = cluster_of(MESH_LB_ROUND_ROBIN, weights, 4, &pick);
    pick.group = pick.subset->groups;

    for (unsigned mask = 0; mask < 16; mask++) {
        uint32_t tried[4], left = 0;
        uint32_t counts[4] = {0};
        pick.tried = tried;
        pick.ntried = 0;
        for (uint32_t i = 0; i < 4; i++) {
            if (mask >> i & 1) {
                tried[pick.ntried++] = i;
            } else {
                left += weights[i];
            }
        }
        assert_int_equal(mesh_lb_draw(&pick, MESH_PICK_NONE, UINT64_MAX) ==
                             MESH_PICK_NONE,
                         left == 0);
        for (uint32_t point = 0; point < left; point++) {
            uint64_t random = UINT64_MAX / left * point + UINT64_MAX / 64;
            counts[mesh_lb_draw(&pick, MESH_PICK_NONE, random)]++;
        }
        for (uint32_t i = 0; i < 4; i++) {
            assert_int_equal(counts[i], mask >> i & 1 ? 0 : weights[i]);
        }
    }
    fixture_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_complete),
        cmocka_unit_test(test_no_endpoint),
        cmocka_unit_test(test_round_robin_is_exact),
        cmocka_unit_test(test_weights_within_one_percent),
        cmocka_unit_test(test_random_has_no_turns),
        cmocka_unit_test(test_random_reaches_all),
        cmocka_unit_test(test_weighted_discrepancy),
        cmocka_unit_test(test_ejected_share_is_spread),
        cmocka_unit_test(test_tried_is_passed_over),
        cmocka_unit_test(test_tried_of_elsewhere),
        cmocka_unit_test(test_tried_share_is_spread),
        cmocka_unit_test(test_least_request_avoids_load),
        cmocka_unit_test(test_least_request_evens_out),
        cmocka_unit_test(test_full_scan),
        cmocka_unit_test(test_active_request_bias),
        cmocka_unit_test(test_bias_of_many),
        cmocka_unit_test(test_number_of_choices),
        cmocka_unit_test(test_peak_ewma_default),
        cmocka_unit_test(test_peak_ewma_weights),
        cmocka_unit_test(test_peak_ewma),
        cmocka_unit_test(test_peak_ewma_idle),
        cmocka_unit_test(test_draw_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
