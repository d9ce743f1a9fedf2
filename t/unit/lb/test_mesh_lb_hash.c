/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Hashing balancers as properties: shares, what moves when an endpoint goes
 * out or leaves, bounded loads, and tables that depend on content alone.
 */

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
#define KEYS 100000
#define MOST 1000

static const mesh_lb_e hashing[] = {MESH_LB_RING_HASH, MESH_LB_MAGLEV};

typedef struct {
    fixture_t *f;
    mesh_cluster_view_t *view;
    mesh_pick_t pick;
} world_t;

static uint64_t key_of(uint64_t i) {
    return mesh_mix64(i + UINT64_C(0x5bd1e995) * 77);
}

/* Ids first .. first + n - 1, but for one (or MESH_PICK_NONE). */
static void open_world(world_t *w, mesh_lb_e lb, const uint32_t *weights,
                       uint32_t n, uint32_t without, mesh_rec_lb_t params) {
    fixture_endpoint_t *e = calloc(n + 1, sizeof(*e));
    uint32_t count = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (i != without) {
            e[count].id = i;
            e[count++].weight = weights ? weights[i] : 1;
        }
    }
    w->f = fixture_new(&(fixture_spec_t){
        .lb = lb, .count = count, .endpoints = e, .params = params});
    free(e);
    w->view = fixture_view(w->f, NULL, NOW);
    fixture_table(w->f, w->view, 0);
    w->pick = (mesh_pick_t){
        .view = w->view, .subset = &w->view->subsets[0], .hashed = true};
}

static uint32_t pick_key(world_t *w, uint64_t i) {
    w->pick.hash = key_of(i);
    return mesh_lb_pick(&w->pick);
}

/* Enough points for shares to be exact to a fraction of a percent. */
static mesh_rec_lb_t fine(mesh_lb_e lb) {
    return lb == MESH_LB_RING_HASH
               ? (mesh_rec_lb_t){.ring_min = 1 << 20, .ring_max = 8 << 20}
               : (mesh_rec_lb_t){0};
}

static void check_shares(mesh_lb_e lb, const uint32_t *weights, uint32_t n) {
    uint32_t *counts = calloc(n, sizeof(*counts));
    uint64_t total = 0;
    world_t w;

    open_world(&w, lb, weights, n, MESH_PICK_NONE, fine(lb));
    for (uint64_t i = 0; i < MANY; i++) {
        counts[pick_key(&w, i)]++;
    }
    for (uint32_t i = 0; i < n; i++) {
        total += weights[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        double want = (double)MANY * weights[i] / (double)total;
        /* 1 %, and four deviations of what a million keys draw. */
        assert_true(fabs(counts[i] - want) <= 0.01 * want + 4 * sqrt(want));
    }
    fixture_free(w.f);
    free(counts);
}

static void test_shares(void **state) {
    (void)state;
    static const uint32_t a[] = {1, 2, 3, 4};
    static const uint32_t b[] = {90, 10};
    static const uint32_t c[] = {1, 0, 50, 0, 7, 7, 100};
    static const uint32_t d[] = {1u << 24, 1u << 23, 1u << 22};

    for (unsigned i = 0; i < mesh_nelts(hashing); i++) {
        check_shares(hashing[i], a, mesh_nelts(a));
        check_shares(hashing[i], b, mesh_nelts(b));
        check_shares(hashing[i], c, mesh_nelts(c));
        check_shares(hashing[i], d, mesh_nelts(d));
    }
}

/* Entries of the table itself: exact to one, and none is left free. */
static void test_maglev_is_exact(void **state) {
    (void)state;
    rng_t seed = {9};

    for (unsigned round = 0; round < 60; round++) {
        static const uint32_t sizes[] = {2, 3, 251, 65537};
        uint32_t size = sizes[rng_next(&seed) % 4];
        uint32_t n = 1 + (uint32_t)(rng_next(&seed) % 400);
        uint32_t weights[400], *counts = calloc(n, sizeof(*counts));
        uint64_t total = 0;
        world_t w;

        for (uint32_t i = 0; i < n; i++) {
            uint64_t r = rng_next(&seed);
            weights[i] = 1 + (uint32_t)(r % (round % 3 ? 20 : 1 << 24));
            total += weights[i];
        }
        open_world(&w, MESH_LB_MAGLEV, weights, n, MESH_PICK_NONE,
                   (mesh_rec_lb_t){.table_size = size});

        const mesh_lb_table_t *t = w.pick.subset->groups->table;
        assert_int_equal(t->count, size);
        for (uint32_t i = 0; i < size; i++) {
            assert_true(t->entries[i] < n);
            counts[t->entries[i]]++;
        }
        for (uint32_t i = 0; i < n; i++) {
            double want = (double)size * weights[i] / (double)total;
            assert_true(fabs(counts[i] - want) <= 1);
        }
        free(counts);
        fixture_free(w.f);
    }
}

/* Envoy's sizes: the lightest a whole number of points, within min and max. */
static void test_ring_sizes(void **state) {
    (void)state;
    static const uint32_t even[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const uint32_t odd[] = {1, 1000};
    static const uint32_t none[] = {1, 0, 1};
    static const struct {
        const uint32_t *weights;
        uint32_t n, min, max, points;
    } sizes[] = {
        {even, 10, 1024, 65536, 1030}, {even, 10, 1, 65536, 10},
        {even, 10, 20, 25, 20},        {even, 10, 21, 25, 25},
        {even, 10, 1024, 1024, 1024},  {odd, 2, 1024, 65536, 2002},
        {odd, 2, 1024, 1500, 1500},    {even, 1, 1024, 65536, 1024},
        {even, 10, 1, 1, 1},           {none, 3, 1024, 65536, 1024},
    };

    for (unsigned i = 0; i < mesh_nelts(sizes); i++) {
        world_t w;

        open_world(&w, MESH_LB_RING_HASH, sizes[i].weights, sizes[i].n,
                   MESH_PICK_NONE,
                   (mesh_rec_lb_t){.ring_min = sizes[i].min,
                                   .ring_max = sizes[i].max});
        assert_int_equal(w.pick.subset->groups->table->count, sizes[i].points);
        fixture_free(w.f);
    }
}

/* In order, and what is found is the next point, by brute force. */
static void test_ring_is_searched_right(void **state) {
    (void)state;
    rng_t seed = {4};

    for (uint32_t n = 1; n < 400; n = n * 3 / 2 + 1) {
        mesh_rec_lb_t params = {.ring_min = n % 2 ? 1 : 3000,
                                .ring_max = 65536};
        world_t w;

        open_world(&w, MESH_LB_RING_HASH, NULL, n, MESH_PICK_NONE, params);
        const mesh_lb_table_t *t = w.pick.subset->groups->table;

        for (uint32_t i = 1; i < t->count; i++) {
            assert_true(t->points[i - 1] < t->points[i]);
        }
        for (unsigned k = 0; k < 300; k++) {
            uint64_t hash = rng_next(&seed);
            hash = k == 0 ? 0 : k == 1 ? UINT64_MAX : hash;
            uint32_t at = 0;

            while (at < t->count && t->points[at] >> 32 < hash >> 32) {
                at++;
            }
            w.pick.hash = hash;
            assert_int_equal(mesh_lb_pick(&w.pick),
                             (uint32_t)t->points[at % t->count]);
        }
        fixture_free(w.f);
    }
}

/*
 * One leaves the set: its keys move, and few others.  A ring is made for the
 * number of its members (as Envoy's), so some 1 / N of the others' may.
 */
static void test_little_moves_when_one_leaves(void **state) {
    (void)state;

    for (unsigned l = 0; l < mesh_nelts(hashing); l++) {
        for (unsigned n = 10; n <= MOST; n *= 10) {
            world_t all, less;
            uint32_t moved = 0, own = 0;
            uint32_t gone = n / 3;

            open_world(&all, hashing[l], NULL, n, MESH_PICK_NONE,
                       (mesh_rec_lb_t){0});
            open_world(&less, hashing[l], NULL, n, gone, (mesh_rec_lb_t){0});
            for (uint64_t i = 0; i < KEYS; i++) {
                uint32_t before = pick_key(&all, i);
                uint32_t now = pick_key(&less, i);
                now += now >= gone;
                own += before == gone;
                moved += before != gone && before != now;
            }
            print_message("%s, one of %u leaves: %.2f %% its own, %.2f %% "
                          "others'\n",
                          mesh_lb[hashing[l]].name, n, 100.0 * own / KEYS,
                          100.0 * moved / KEYS);
            assert_true(moved <= (hashing[l] == MESH_LB_MAGLEV
                                      ? KEYS * 5 / 100
                                      : KEYS * 3 / 2 / n));
            fixture_free(all.f);
            fixture_free(less.f);
        }
    }
}

/* One goes out: only its keys move, to all others by weight; then back. */
static void test_only_its_own_move_when_one_is_out(void **state) {
    (void)state;
    enum { N = 8 };
    static const uint32_t weights[N] = {3, 1, 4, 1, 5, 9, 2, 6};

    for (unsigned l = 0; l < mesh_nelts(hashing); l++) {
        uint32_t *first = calloc(MANY, sizeof(*first));
        uint32_t counts[N] = {0}, all = 0, moved = 0;
        enum { OUT = 5 };
        mesh_runtime_t rt;
        world_t w;

        open_world(&w, hashing[l], weights, N, MESH_PICK_NONE,
                   fine(hashing[l]));
        for (uint32_t i = 0; i < MANY; i++) {
            first[i] = pick_key(&w, i);
        }

        fixture_runtime(&rt);
        fixture_view(w.f, &rt, NOW);
        assert_int_equal(
            mesh_runtime_eject(&rt, 0, OUT, N, 100,
                               mesh_ejected_word(NOW + 10, MESH_EJECTED_5XX),
                               NOW),
            MESH_OK);

        mesh_cluster_view_t *view = fixture_view(w.f, &rt, NOW);
        mesh_lb_key_t key, before = w.pick.subset->groups->table->key;
        assert_true(mesh_lb_table_key(&w.f->snapshot, view,
                                      view->subsets[0].groups, &key));
        assert_memory_equal(&key, &before, sizeof(key));

        view->subsets[0].groups->table = w.pick.subset->groups->table;
        w.pick.view = view;
        w.pick.subset = &view->subsets[0];
        for (uint32_t i = 0; i < MANY; i++) {
            uint32_t at = pick_key(&w, i);
            assert_int_not_equal(at, OUT);
            assert_true(first[i] == OUT || first[i] == at);
            if (first[i] == OUT) {
                counts[at]++;
                moved++;
            }
        }
        for (uint32_t i = 0; i < N; i++) {
            all += i == OUT ? 0 : weights[i];
        }
        for (uint32_t i = 0; i < N; i++) {
            double want = (double)moved * weights[i] / all;
            assert_true(i == OUT ||
                        fabs(counts[i] - want) < 0.01 * want + 4 * sqrt(want));
        }

        assert_true(mesh_runtime_uneject(&rt, 0, OUT, NOW, true));
        view = fixture_view(w.f, &rt, NOW);
        view->subsets[0].groups->table = w.pick.subset->groups->table;
        w.pick.view = view;
        w.pick.subset = &view->subsets[0];
        for (uint32_t i = 0; i < KEYS; i++) {
            assert_int_equal(pick_key(&w, i), first[i]);
        }
        fixture_runtime_free(&rt);
        fixture_free(w.f);
        free(first);
    }
}

/* 0, 1 and 10,000; weights 0; hardly any usable; tried; without a table. */
static void test_extremes(void **state) {
    (void)state;
    static const uint32_t zero[3] = {0};
    enum { N = 10000 };

    for (unsigned l = 0; l < mesh_nelts(hashing); l++) {
        world_t w;

        open_world(&w, hashing[l], NULL, 0, MESH_PICK_NONE, (mesh_rec_lb_t){0});
        assert_null(w.pick.subset->groups->table);
        assert_int_equal(pick_key(&w, 1), MESH_PICK_NONE);
        fixture_free(w.f);

        open_world(&w, hashing[l], zero, 3, MESH_PICK_NONE, (mesh_rec_lb_t){0});
        assert_null(w.pick.subset->groups->table);
        assert_int_equal(pick_key(&w, 1), MESH_PICK_NONE);
        fixture_free(w.f);

        open_world(&w, hashing[l], NULL, 1, MESH_PICK_NONE, (mesh_rec_lb_t){0});
        assert_int_equal(pick_key(&w, 1), 0);
        w.pick.tried = (uint32_t[]){0};
        w.pick.ntried = 1;
        assert_int_equal(pick_key(&w, 1), 0);
        fixture_free(w.f);

        open_world(&w, hashing[l], NULL, N, MESH_PICK_NONE, (mesh_rec_lb_t){0});
        uint8_t *seen = calloc(N, 1);
        uint32_t reached = 0;
        for (uint32_t i = 0; i < MANY; i++) {
            uint32_t at = pick_key(&w, i);
            assert_true(at < N);
            reached += !seen[at];
            seen[at] = 1;
        }
        assert_true(reached > N * 99 / 100);
        free(seen);
        fixture_free(w.f);
    }
}

static void test_never_what_must_not_be(void **state) {
    (void)state;
    enum { N = 200 };
    rng_t seed = {8};

    for (unsigned round = 0; round < 40; round++) {
        mesh_lb_e lb = hashing[round % 2];
        uint8_t healths[] = {MESH_HEALTH_HEALTHY, MESH_HEALTH_UNHEALTHY,
                             MESH_HEALTH_DRAINING};
        fixture_endpoint_t e[N] = {0};
        uint32_t usable = 0, one_in = 1 + round % 5 * 40;

        for (uint32_t i = 0; i < N; i++) {
            uint64_t r = rng_next(&seed);
            bool in = i == N / 2 || r % one_in == 0;
            e[i].id = i;
            e[i].weight = i == N / 2 ? 1 : (uint32_t)(r >> 8) % 4;
            e[i].health = healths[in ? 0 : 1 + (r >> 16) % 2];
            usable += in && e[i].weight != 0;
        }
        fixture_t *f = fixture_new(
            &(fixture_spec_t){.lb = lb, .count = N, .endpoints = e});
        mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);
        bool table = round % 3 != 0;
        if (table) {
            fixture_table(f, view, 0);
        }

        for (uint32_t k = 0; k < 2000; k++) {
            uint32_t tried[6];
            mesh_pick_t pick = {.view = view,
                                .subset = &view->subsets[0],
                                .tried = tried,
                                .hashed = true,
                                .hash = rng_next(&seed)};
            for (; pick.ntried < mesh_min(usable, 6); pick.ntried++) {
                uint32_t at = mesh_lb_pick(&pick);
                assert_int_equal(at, mesh_lb_pick(&pick)); /* again */
                assert_true(e[at].health == MESH_HEALTH_HEALTHY);
                assert_true(e[at].weight != 0);
                for (unsigned i = 0; i < pick.ntried; i++) {
                    assert_int_not_equal(tried[i], at);
                }
                tried[pick.ntried] = at;
            }
        }
        fixture_free(f);
    }
}

/* Without a hash: at random, by weight, whatever the table says. */
static void test_without_a_hash(void **state) {
    (void)state;
    static const uint32_t weights[] = {1, 2, 3, 4};

    for (unsigned l = 0; l < mesh_nelts(hashing); l++) {
        uint32_t counts[4] = {0};
        world_t w;

        open_world(&w, hashing[l], weights, 4, MESH_PICK_NONE,
                   (mesh_rec_lb_t){0});
        w.pick.hashed = false;
        for (w.pick.ticket = 0; w.pick.ticket < MANY; w.pick.ticket++) {
            counts[mesh_lb_pick(&w.pick)]++;
        }
        for (uint32_t i = 0; i < 4; i++) {
            double want = MANY / 10.0 * weights[i];
            assert_true(fabs(counts[i] - want) < 0.01 * want);
        }
        fixture_free(w.f);
    }
}

/*
 * All requests have a few keys, and none ends: no endpoint gets more than
 * its bound, and one with room keeps its keys.
 */
static void test_bounded_loads(void **state) {
    (void)state;
    enum { N = 10, REQUESTS = 5000 };
    static const uint32_t weights[N] = {1, 1, 1, 1, 1, 1, 2, 2, 2, 3};
    static const uint32_t factors[] = {100, 125, 200};

    for (unsigned i = 0; i < mesh_nelts(factors) * mesh_nelts(hashing); i++) {
        uint32_t factor = factors[i / mesh_nelts(hashing)];
        mesh_rec_lb_t params = fine(hashing[i % 2]);
        mesh_runtime_t rt;
        world_t w;

        params.balance_factor = factor;
        open_world(&w, hashing[i % 2], weights, N, MESH_PICK_NONE, params);
        fixture_runtime(&rt);

        mesh_cluster_view_t *view = fixture_view(w.f, &rt, NOW);
        view->subsets[0].groups->table = w.pick.subset->groups->table;
        w.pick.view = view;
        w.pick.subset = &view->subsets[0];
        w.pick.rt = &rt;

        for (uint32_t n = 0; n < REQUESTS; n++) {
            uint32_t at = pick_key(&w, n % 3);
            double bound =
                ceil(ceil((n + 1) * factor / 100.0) * weights[at] / 15.0);
            mesh_runtime_begin(&rt, 0, view->endpoints[at].slot);
            assert_true(rt.endpoints[at].in_flight <= fmax(bound, 1));
        }
        fixture_runtime_free(&rt);
        fixture_free(w.f);
    }
}

/* Full all of them (of a cluster's subset, say): the least full. */
static void test_all_are_full(void **state) {
    (void)state;
    static const uint32_t loads[] = {40, 30, 10, 20};

    for (unsigned l = 0; l < mesh_nelts(hashing); l++) {
        mesh_runtime_t rt;
        world_t w;

        open_world(&w, hashing[l], NULL, 4, MESH_PICK_NONE,
                   (mesh_rec_lb_t){.balance_factor = 150});
        fixture_runtime(&rt);

        mesh_cluster_view_t *view = fixture_view(w.f, &rt, NOW);
        view->subsets[0].groups->table = w.pick.subset->groups->table;
        w.pick.view = view;
        w.pick.subset = &view->subsets[0];
        w.pick.rt = &rt;
        for (uint32_t i = 0; i < 4; i++) {
            rt.endpoints[i].in_flight = loads[i];
        }
        for (uint32_t i = 0; i < 100; i++) {
            assert_int_equal(pick_key(&w, i), 2);
        }
        fixture_runtime_free(&rt);
        fixture_free(w.f);
    }
}

/* Equal content, equal keys and tables; anything else, another key. */
static void test_keys(void **state) {
    (void)state;
    static const uint32_t ones[] = {1, 1, 1, 1};
    static const uint32_t other[] = {1, 1, 2, 1};

    for (unsigned l = 0; l < mesh_nelts(hashing); l++) {
        world_t a, b, c, d, e;

        open_world(&a, hashing[l], ones, 4, MESH_PICK_NONE, (mesh_rec_lb_t){0});
        open_world(&b, hashing[l], NULL, 4, MESH_PICK_NONE, (mesh_rec_lb_t){0});
        open_world(&c, hashing[l], other, 4, MESH_PICK_NONE,
                   (mesh_rec_lb_t){0});
        open_world(&d, hashing[l], ones, 4, 2, (mesh_rec_lb_t){0});
        open_world(&e, hashing[l], ones, 4, MESH_PICK_NONE,
                   (mesh_rec_lb_t){
                       .table_size = 251, .ring_min = 2048, .ring_max = 65536});

        const mesh_lb_table_t *t = a.pick.subset->groups->table;
        const mesh_lb_table_t *u = b.pick.subset->groups->table;
        assert_memory_equal(&t->key, &u->key, sizeof(t->key));
        assert_int_equal(t->bytes, u->bytes);
        assert_memory_equal(t + 1, u + 1, t->bytes - sizeof(*t));
        assert_memory_not_equal(&t->key, &c.pick.subset->groups->table->key,
                                sizeof(t->key));
        assert_memory_not_equal(&t->key, &d.pick.subset->groups->table->key,
                                sizeof(t->key));
        assert_memory_not_equal(&t->key, &e.pick.subset->groups->table->key,
                                sizeof(t->key));
        fixture_free(a.f);
        fixture_free(b.f);
        fixture_free(c.f);
        fixture_free(d.f);
        fixture_free(e.f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_maglev_is_exact),
        cmocka_unit_test(test_ring_sizes),
        cmocka_unit_test(test_ring_is_searched_right),
        cmocka_unit_test(test_little_moves_when_one_leaves),
        cmocka_unit_test(test_only_its_own_move_when_one_is_out),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_never_what_must_not_be),
        cmocka_unit_test(test_without_a_hash),
        cmocka_unit_test(test_bounded_loads),
        cmocka_unit_test(test_all_are_full),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
