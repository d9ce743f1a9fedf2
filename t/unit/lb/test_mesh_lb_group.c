/* SPDX-License-Identifier: Apache-2.0 */
/* slow */

/*
 * Groups of a subset: shares of priorities and localities, turns inside of
 * them, where retries go, and what hashes choose.
 */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cluster_fixture.h"
#include "mesh_lb_group.h"

#define NOW UINT64_C(1000)
#define MANY 1000000
#define MOST 64
#define UP MESH_HEALTH_HEALTHY
#define DOWN MESH_HEALTH_UNHEALTHY

typedef struct {
    fixture_t *f;
    mesh_cluster_view_t *view;
    mesh_pick_t pick;
} world_t;

static void open_world(world_t *w, fixture_spec_t spec) {
    w->f = fixture_new(&spec);
    w->view = fixture_view(w->f, NULL, NOW);
    assert_non_null(w->view);
    w->pick = (mesh_pick_t){.view = w->view, .subset = &w->view->subsets[0]};
    fixture_table(w->f, w->view, 0);
}

static void close_world(world_t *w) {
    fixture_free(w->f);
}

/* Two of four are left of priority 0: 70 and 30. */
static const fixture_endpoint_t half[] = {
    {.id = 0, .weight = 1, .health = UP},
    {.id = 1, .weight = 1, .health = DOWN},
    {.id = 2, .weight = 1, .health = UP, .priority = 1},
    {.id = 3, .weight = 1, .health = UP},
    {.id = 4, .weight = 1, .health = DOWN},
    {.id = 5, .weight = 1, .health = UP, .priority = 1},
};

/* Each block of 100 exactly, each window of 20 nearly; turns inside. */
static void test_priorities_by_ticket(void **state) {
    (void)state;
    world_t w;
    open_world(&w, (fixture_spec_t){.count = 6, .endpoints = half});

    assert_int_equal(w.pick.subset->points, 100);
    assert_int_equal(w.pick.subset->count, 4);
    assert_int_equal(w.pick.subset->usable, 4);
    for (uint64_t block = 0; block < 50; block++) {
        uint32_t counts[6] = {0};

        for (uint64_t at = 0; at < 100; at++) {
            w.pick.ticket = block * 100 + at;
            counts[mesh_lb_pick(&w.pick)]++;
            if (at % 20 == 19) {
                double want = 0.7 * (double)(at + 1);
                assert_true(fabs(counts[0] + counts[3] - want) <= 2.5);
                assert_true(abs((int)counts[0] - (int)counts[3]) <= 1);
                assert_true(abs((int)counts[2] - (int)counts[5]) <= 1);
            }
        }
        assert_int_equal(counts[0], 35);
        assert_int_equal(counts[3], 35);
        assert_int_equal(counts[2], 15);
        assert_int_equal(counts[5], 15);
    }
    close_world(&w);
}

/* A group's tickets are 0, 1, 2, ..., none twice and none left out. */
static void check_inner(world_t *w, uint32_t blocks, uint32_t per_block) {
    uint64_t next[MOST] = {0};

    for (uint64_t t = 0; t < (uint64_t)blocks * per_block; t++) {
        mesh_pick_t pick = w->pick;

        pick.ticket = t;
        mesh_lb_group(&pick);
        size_t g = (size_t)(pick.group - pick.subset->groups);
        assert_true(g < pick.subset->ngroups);
        assert_int_equal(pick.ticket, next[g]);
        next[g]++;
    }
    for (uint32_t g = 0; g < w->pick.subset->ngroups; g++) {
        assert_int_equal(next[g], (uint64_t)w->pick.subset->groups[g].points *
                                      blocks * per_block /
                                      w->pick.subset->points);
    }
}

static const fixture_weight_t weights[] = {{"a", 0, 1},
                                           {"b", MESH_PRIORITY_ANY, 500},
                                           {"c", MESH_PRIORITY_ANY, 33},
                                           {NULL, MESH_PRIORITY_ANY, 7},
                                           {"d", MESH_PRIORITY_ANY, 0}};

static const fixture_endpoint_t zones[] = {
    {.id = 0, .weight = 1, .zone = "a"},
    {.id = 1, .weight = 1, .zone = "b"},
    {.id = 2, .weight = 3, .zone = "b"},
    {.id = 3, .weight = 1},
    {.id = 4, .weight = 1, .zone = "c"},
    {.id = 5, .weight = 1, .zone = "d"}, /* weight 0 */
    {.id = 6, .weight = 1, .zone = "e"}, /* none */
    {.id = 7, .weight = 2, .zone = "b"},
    {.id = 8, .weight = 1, .zone = "c", .priority = 1},
};
static const double zone_shares[] = {
    1.0 / 541, 500.0 / 541 / 6, 500.0 / 541 / 2,
    7.0 / 541, 33.0 / 541,      0,
    0,         500.0 / 541 / 3, 0};

static fixture_spec_t zone_spec(mesh_lb_e lb) {
    return (fixture_spec_t){.lb = lb,
                            .count = 9,
                            .endpoints = zones,
                            .nweights = 5,
                            .weights = weights};
}

static void test_tickets_inside(void **state) {
    (void)state;
    world_t w;

    open_world(&w, (fixture_spec_t){.count = 6, .endpoints = half});
    check_inner(&w, 30, 100);
    close_world(&w);

    open_world(&w, zone_spec(MESH_LB_ROUND_ROBIN));
    assert_int_equal(w.pick.subset->points, 541);
    check_inner(&w, 100, 541);
    close_world(&w);

    fixture_weight_t many[] = {{"a", MESH_PRIORITY_ANY, 1},
                               {"b", MESH_PRIORITY_ANY, 99999},
                               {"c", MESH_PRIORITY_ANY, 31337}};
    fixture_spec_t spec = zone_spec(MESH_LB_ROUND_ROBIN);
    spec.nweights = 3;
    spec.weights = many;
    open_world(&w, spec);
    assert_int_equal(w.pick.subset->points, MANY);
    check_inner(&w, 1, MANY);
    close_world(&w);
}

/* Localities, and weights in them, within 1 % (or what a draw allows). */
static void test_localities(void **state) {
    (void)state;

    for (unsigned lb = 0; lb < MESH_LB_MAX; lb++) {
        world_t w;
        mesh_runtime_t rt;
        uint32_t counts[9] = {0};

        fixture_runtime(&rt);
        open_world(&w, zone_spec(lb));
        w.pick.rt = &rt;
        w.pick.hashed = mesh_lb_hashes(lb);
        for (uint32_t i = 0; i < MANY; i++) {
            w.pick.ticket = i;
            w.pick.hash = mesh_mix64(i);
            counts[mesh_lb_pick(&w.pick)]++;
        }
        for (uint32_t i = 0; i < 9; i++) {
            double want = zone_shares[i] * MANY;
            double off = fabs(counts[i] - want);
            /* Rings are as uneven inside as their points. */
            double bound = lb == MESH_LB_RING_HASH ? 0.2 : 0.01;

            assert_true(off <= bound * want || off <= 4 * sqrt(want));
        }
        assert_int_equal(w.view->endpoints[5].out, MESH_OUT_LOCALITY);
        assert_int_equal(w.view->endpoints[8].out, MESH_OUT_PRIORITY);
        close_world(&w);
        fixture_runtime_free(&rt);
    }
}

/* 3 : 1, and who stands by. */
static fixture_spec_t quarters(mesh_lb_e lb) {
    static const fixture_endpoint_t e[] = {
        {.id = 0, .weight = 1, .zone = "a"},
        {.id = 1, .weight = 1, .zone = "b"},
        {.id = 2, .weight = 1, .zone = "a", .priority = 1}};
    static const fixture_weight_t two[] = {{"a", MESH_PRIORITY_ANY, 75},
                                           {"b", MESH_PRIORITY_ANY, 25}};

    return (fixture_spec_t){
        .lb = lb, .count = 3, .endpoints = e, .nweights = 2, .weights = two};
}

/* They are three of each four tickets, from wherever one begins. */
static void test_few_points(void **state) {
    (void)state;
    world_t w;

    open_world(&w, quarters(MESH_LB_ROUND_ROBIN));
    assert_int_equal(w.pick.subset->points, 4);
    for (uint64_t block = 0; block < 1000; block++) {
        uint32_t counts[3] = {0};
        for (uint64_t at = 0; at < 4; at++) {
            w.pick.ticket = block * 4 + at;
            counts[mesh_lb_pick(&w.pick)]++;
        }
        assert_int_equal(counts[0], 3);
        assert_int_equal(counts[1], 1);
    }
    close_world(&w);
}

/* Any number of points: each is visited once in a block. */
static void test_any_points(void **state) {
    (void)state;
    static const fixture_endpoint_t e[] = {{.id = 0, .weight = 1, .zone = "a"},
                                           {.id = 1, .weight = 1, .zone = "b"}};

    for (uint32_t points = 2; points < 1100; points += points < 40 ? 1 : 53) {
        fixture_weight_t two[] = {{"a", MESH_PRIORITY_ANY, points - 1},
                                  {"b", MESH_PRIORITY_ANY, 1}};
        world_t w;
        open_world(
            &w, (fixture_spec_t){
                    .count = 2, .endpoints = e, .nweights = 2, .weights = two});
        uint32_t all = w.pick.subset->points;
        assert_int_equal(all, points <= 1000 ? points : MANY);
        check_inner(&w, all == MANY ? 1 : 20, all);
        close_world(&w);
    }
}

/* A locality's weight shrinks with its health, past what is provisioned. */
static void test_localities_by_health(void **state) {
    (void)state;
    fixture_endpoint_t e[8] = {{0}};
    static const fixture_weight_t even[] = {{"a", MESH_PRIORITY_ANY, 5},
                                            {"b", MESH_PRIORITY_ANY, 5}};
    static const uint32_t want[] = {500000, 500000, 411764, 259259, 0};

    for (uint32_t down = 0; down < 5; down++) {
        world_t w;
        for (uint32_t i = 0; i < 8; i++) {
            e[i] = (fixture_endpoint_t){.id = i,
                                        .weight = 1,
                                        .zone = i < 4 ? "a" : "b",
                                        .health = i < down ? DOWN : UP};
        }
        open_world(&w, (fixture_spec_t){.count = 8,
                                        .endpoints = e,
                                        .nweights = 2,
                                        .weights = even});
        const mesh_view_subset_t *s = w.pick.subset;
        assert_int_equal(s->ngroups, 2);
        assert_int_equal(s->groups[0].points + s->groups[1].points, s->points);
        double share = (double)s->groups[0].points * 1000000 / s->points;
        assert_true(fabs(share - want[down]) <= 1);
        close_world(&w);
    }
}

/* Panic, and localities that all weigh nothing: as if there were none. */
static void test_localities_that_do_not_matter(void **state) {
    (void)state;
    fixture_endpoint_t e[] = {
        {.id = 0, .weight = 1, .zone = "a", .health = DOWN},
        {.id = 1, .weight = 1, .zone = "b"}};
    static const fixture_weight_t only_a[] = {{"a", MESH_PRIORITY_ANY, 5}};
    world_t w;
    fixture_spec_t spec = {
        .count = 2, .endpoints = e, .nweights = 1, .weights = only_a};

    open_world(&w, spec);
    assert_int_equal(w.pick.subset->ngroups, 1);
    assert_int_equal(w.pick.subset->count, 1);
    assert_int_equal(mesh_lb_pick(&w.pick), 1);
    close_world(&w);

    spec.panic_percent = 100;
    open_world(&w, spec);
    assert_int_equal(w.pick.subset->ngroups, 1);
    assert_int_equal(w.pick.subset->count, 2);
    assert_true(w.pick.subset->panic);
    close_world(&w);

    e[0].health = UP;
    e[1].health = DOWN;
    spec.panic_percent = 50;
    open_world(&w, spec);
    assert_int_equal(mesh_lb_pick(&w.pick), 0);
    assert_false(w.pick.group->panic);
    close_world(&w);
}

/* What has a weight has a point, and all points are given. */
static void test_small_weights(void **state) {
    (void)state;
    static char names[200][8];
    fixture_endpoint_t e[200] = {{0}};
    fixture_weight_t weighed[200];
    world_t w;

    for (uint32_t i = 0; i < 200; i++) {
        snprintf(names[i], sizeof(names[i]), "z%u", i);
        e[i] = (fixture_endpoint_t){.id = i, .weight = 1, .zone = names[i]};
        weighed[i] = (fixture_weight_t){names[i], MESH_PRIORITY_ANY,
                                        i == 77 ? 1u << 24 : i % 2};
    }
    open_world(&w, (fixture_spec_t){.count = 200,
                                    .endpoints = e,
                                    .nweights = 200,
                                    .weights = weighed});
    uint64_t sum = 0;
    for (uint32_t i = 0; i < w.pick.subset->ngroups; i++) {
        const mesh_view_group_t *group = &w.pick.subset->groups[i];
        assert_true((group->points > 0) == (group->count > 0));
        sum += group->points;
    }
    assert_int_equal(sum, w.pick.subset->points);
    assert_int_equal(w.pick.subset->count, 100);
    close_world(&w);
}

/* --- any cluster, any retry ----------------------------------------------- */

static void random_endpoints(rng_t *rng, fixture_endpoint_t *e, uint32_t n) {
    static const char *const names[] = {NULL, "a", "b", "c", "d"};
    uint32_t priorities = 1 + (uint32_t)(rng_next(rng) % 4);
    uint32_t ill = (uint32_t)(rng_next(rng) % 5);

    for (uint32_t i = 0; i < n; i++) {
        e[i] = (fixture_endpoint_t){
            .id = i,
            .weight = (uint32_t)(rng_next(rng) % 4),
            .zone = names[rng_next(rng) % 5],
            .priority = (uint32_t)(rng_next(rng) % priorities),
            .health = rng_next(rng) % 5 < ill ? DOWN : UP};
    }
}

static bool may(const mesh_view_subset_t *subset, uint32_t index) {
    for (uint32_t i = 0; i < subset->ngroups; i++) {
        if (mesh_lb_position(&subset->groups[i], index) != MESH_PICK_NONE) {
            return true;
        }
    }
    return false;
}

/* All attempts of a request: each endpoint that may be picked, once. */
static void check_attempts(world_t *w) {
    const mesh_view_subset_t *subset = w->pick.subset;
    uint32_t tried[MOST];
    bool seen[MOST] = {false};

    w->pick.tried = tried;
    for (w->pick.ntried = 0; w->pick.ntried < subset->count;) {
        uint32_t at = mesh_lb_pick(&w->pick);

        assert_true(at < w->view->total);
        assert_true(may(subset, at));
        assert_false(seen[at]);
        assert_int_not_equal(mesh_lb_position(w->pick.group, at),
                             MESH_PICK_NONE);
        assert_true(w->pick.group->panic ||
                    !(w->view->endpoints[at].out & ~MESH_OUT_TOLD));
        if (w->pick.ntried == 0) {
            assert_true(w->pick.group->points > 0);
        }
        seen[at] = true;
        tried[w->pick.ntried++] = at;
    }
    /* Nothing is left, and yet it goes on. */
    assert_int_equal(mesh_lb_pick(&w->pick) == MESH_PICK_NONE,
                     subset->count == 0);
    w->pick.ntried = 0;
}

static void test_any_attempts(void **state) {
    (void)state;
    rng_t rng = {17};

    for (unsigned round = 0; round < 1500; round++) {
        static const fixture_weight_t some[] = {{"a", MESH_PRIORITY_ANY, 3},
                                                {"b", 0, 1},
                                                {"b", 1, 0},
                                                {"c", MESH_PRIORITY_ANY, 0},
                                                {NULL, MESH_PRIORITY_ANY, 2}};
        fixture_endpoint_t e[24];
        uint32_t n = (uint32_t)(rng_next(&rng) % 25);
        world_t w;

        random_endpoints(&rng, e, n);
        open_world(&w, (fixture_spec_t){.lb = round % MESH_LB_MAX,
                                        .count = n,
                                        .endpoints = e,
                                        .panic_percent =
                                            (uint8_t)(rng_next(&rng) % 101),
                                        .nweights = rng_next(&rng) % 2 ? 5 : 0,
                                        .weights = some});
        for (unsigned k = 0; k < 10; k++) {
            w.pick.ticket = rng_next(&rng);
            w.pick.hash = rng_next(&rng);
            w.pick.hashed = rng_next(&rng) % 2;
            check_attempts(&w);
        }
        close_world(&w);
    }
}

/* --- retries -------------------------------------------------------------- */

/* Priority 0 first, all of it, and then priority 1, which had no load. */
static void test_retry_leaves_a_priority(void **state) {
    (void)state;
    static const fixture_endpoint_t e[] = {
        {.id = 0, .weight = 1},
        {.id = 1, .weight = 1},
        {.id = 2, .weight = 1, .priority = 2},
        {.id = 3, .weight = 1, .priority = 1}};
    world_t w;
    uint32_t tried[4];

    open_world(&w, (fixture_spec_t){.count = 4, .endpoints = e});
    w.pick.tried = tried;
    for (w.pick.ticket = 0; w.pick.ticket < 100; w.pick.ticket++) {
        for (w.pick.ntried = 0; w.pick.ntried < 4; w.pick.ntried++) {
            tried[w.pick.ntried] = mesh_lb_pick(&w.pick);
            assert_int_equal(w.pick.group->priority,
                             w.pick.ntried < 2 ? 0 : w.pick.ntried - 1);
        }
        assert_int_equal(tried[0] + tried[1], 1);
        assert_int_equal(tried[2], 3);
        assert_int_equal(tried[3], 2);
    }
    close_world(&w);
}

/* From a locality that was all tried, to the others by weight. */
static void test_retry_leaves_a_locality(void **state) {
    (void)state;
    static const fixture_endpoint_t e[] = {
        {.id = 0, .weight = 1, .zone = "a"},
        {.id = 1, .weight = 1, .zone = "b"},
        {.id = 2, .weight = 1, .zone = "c"},
        {.id = 3, .weight = 1, .priority = 1}};
    static const fixture_weight_t three[] = {{"a", MESH_PRIORITY_ANY, 5},
                                             {"b", MESH_PRIORITY_ANY, 3},
                                             {"c", MESH_PRIORITY_ANY, 1}};
    world_t w;
    uint32_t tried[4], counts[4] = {0}, n = 0;

    open_world(
        &w, (fixture_spec_t){
                .count = 4, .endpoints = e, .nweights = 3, .weights = three});
    w.pick.tried = tried;
    for (w.pick.ticket = 0; w.pick.ticket < 90000; w.pick.ticket++) {
        w.pick.ntried = 0;
        tried[0] = mesh_lb_pick(&w.pick);
        if (tried[0] == 0) {
            w.pick.ntried = 1;
            counts[mesh_lb_pick(&w.pick)]++;
            n++;
        }
    }
    assert_int_equal(counts[0] + counts[3], 0);
    assert_in_range(counts[1], n * 0.74, n * 0.76);
    close_world(&w);
}

/* --- hashes --------------------------------------------------------------- */

/* Who stays with priority 0 stays there, and at its endpoint. */
static void test_hash_stays(void **state) {
    (void)state;

    for (unsigned round = 0; round < 2; round++) {
        mesh_lb_e lb = round ? MESH_LB_MAGLEV : MESH_LB_RING_HASH;
        fixture_endpoint_t e[20];
        uint32_t first[5000], to_other = 0;
        world_t w;

        for (uint32_t i = 0; i < 20; i++) {
            e[i] =
                (fixture_endpoint_t){.id = i, .weight = 1, .priority = i >= 10};
        }
        for (uint32_t down = 0; down < 6; down += 5) {
            for (uint32_t i = 0; i < down; i++) {
                e[i].health = DOWN;
            }
            open_world(&w,
                       (fixture_spec_t){.lb = lb, .count = 20, .endpoints = e});
            w.pick.hashed = true;
            for (uint32_t i = 0; i < 5000; i++) {
                w.pick.hash = mesh_mix64(i);
                w.pick.ticket = i * 7;
                uint32_t at = mesh_lb_pick(&w.pick);
                w.pick.ticket++;
                assert_int_equal(mesh_lb_pick(&w.pick), at);
                if (down == 0) {
                    first[i] = at;
                } else if (at >= 10) {
                    to_other++;
                } else if (first[i] >= 5) {
                    assert_int_equal(at, first[i]);
                }
            }
            close_world(&w);
        }
        /* 5 of 10 x 1.4: 30 % go to priority 1. */
        assert_in_range(to_other, 1400, 1600);
    }
}

/* A hash without a balancer that hashes, or that without a hash: tickets. */
static void test_hash_needs_both(void **state) {
    (void)state;
    static const struct {
        mesh_lb_e lb;
        bool hashed;
    } rows[] = {{MESH_LB_ROUND_ROBIN, true}, {MESH_LB_MAGLEV, false}};
    world_t w;

    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        uint32_t counts[3] = {0};

        open_world(&w, quarters(rows[i].lb));
        w.pick.hashed = rows[i].hashed;
        for (w.pick.ticket = 0; w.pick.ticket < 400; w.pick.ticket++) {
            counts[mesh_lb_pick(&w.pick)]++;
        }
        assert_int_equal(counts[0], 300);
        assert_int_equal(counts[1], 100);
        close_world(&w);
    }
}

/* The hash that led to a group chooses evenly inside of it. */
static void test_hash_is_not_used_twice(void **state) {
    (void)state;
    world_t w;
    fixture_spec_t spec = {.lb = MESH_LB_MAGLEV, .count = 6, .endpoints = half};
    uint32_t counts[6] = {0};

    open_world(&w, spec);
    w.pick.hashed = true;
    for (uint64_t i = 0; i < 100000; i++) {
        w.pick.hash = mesh_mix64(i);
        counts[mesh_lb_pick(&w.pick)]++;
    }
    assert_in_range(counts[0], 34000, 36000);
    assert_in_range(counts[3], 34000, 36000);
    assert_in_range(counts[2], 14000, 16000);
    assert_in_range(counts[5], 14000, 16000);
    close_world(&w);
}

/* An endpoint is known by its hash_key: another address changes nothing. */
static void test_hash_key(void **state) {
    (void)state;

    for (unsigned round = 0; round < 2; round++) {
        mesh_lb_e lb = round ? MESH_LB_MAGLEV : MESH_LB_RING_HASH;
        fixture_endpoint_t e[3] = {
            {.id = 1, .weight = 1, .labels = "app=x,hash_key=one"},
            {.id = 2, .weight = 1, .labels = "hash_key=two,v=1"},
            {.id = 3, .weight = 1}};
        world_t a, b, c;

        open_world(&a, (fixture_spec_t){.lb = lb, .count = 3, .endpoints = e});
        e[0].labels = "hash_key=two"; /* change places */
        e[1].labels = "hash_key=one";
        open_world(&b, (fixture_spec_t){.lb = lb, .count = 3, .endpoints = e});
        e[0].labels = NULL;
        e[1].labels = NULL;
        open_world(&c, (fixture_spec_t){.lb = lb, .count = 3, .endpoints = e});

        uint32_t differ = 0;
        a.pick.hashed = b.pick.hashed = c.pick.hashed = true;
        for (uint64_t i = 0; i < 3000; i++) {
            a.pick.hash = b.pick.hash = c.pick.hash = mesh_mix64(i);
            uint32_t at = mesh_lb_pick(&a.pick);
            static const uint32_t other[] = {1, 0, 2};
            /* Of Maglev's table, some entries depend on the order of turns. */
            if (mesh_lb_pick(&b.pick) != other[at]) {
                differ++;
            }
            assert_true(mesh_lb_pick(&c.pick) < 3);
        }
        assert_true(differ < 300);
        close_world(&a);
        close_world(&b);
        close_world(&c);
    }
}

/* --- sizes ---------------------------------------------------------------- */

static void test_many(void **state) {
    (void)state;
    fixture_endpoint_t *e = calloc(10000, sizeof(*e));
    static const char *const names[] = {"a", "b", "c"};
    static const fixture_weight_t three[] = {{"a", MESH_PRIORITY_ANY, 1},
                                             {"b", MESH_PRIORITY_ANY, 1},
                                             {"c", MESH_PRIORITY_ANY, 2}};
    uint32_t counts[3] = {0};
    world_t w;

    for (uint32_t i = 0; i < 10000; i++) {
        e[i] = (fixture_endpoint_t){.id = i,
                                    .weight = 1 + i % 3,
                                    .zone = names[i % 3],
                                    .priority = i % 2,
                                    .health = i % 4 == 0 ? DOWN : UP};
    }
    open_world(&w, (fixture_spec_t){.count = 10000,
                                    .endpoints = e,
                                    .nweights = 3,
                                    .weights = three});
    assert_int_equal(w.pick.subset->ngroups, 6);
    for (w.pick.ticket = 0; w.pick.ticket < 100000; w.pick.ticket++) {
        uint32_t at = mesh_lb_pick(&w.pick);
        assert_int_equal(w.view->endpoints[at].out, 0);
        counts[at % 3]++;
    }
    assert_in_range(counts[0], 24900, 25100);
    assert_in_range(counts[2], 49900, 50100);
    /* Groups are in order, and each in canonical order. */
    for (uint32_t g = 0; g < 6; g++) {
        const mesh_view_group_t *group = &w.pick.subset->groups[g];
        assert_int_equal(group->priority, g / 3);
        for (uint32_t i = 1; i < group->count; i++) {
            assert_true(group->pick[i - 1] < group->pick[i]);
        }
    }
    close_world(&w);
    free(e);
}

static void test_nobody(void **state) {
    (void)state;
    fixture_endpoint_t e[] = {{.id = 0, .zone = "a"},
                              {.id = 1, .zone = "b", .priority = 1}};
    world_t w;

    open_world(&w, (fixture_spec_t){.count = 2,
                                    .endpoints = e,
                                    .panic_percent = 50,
                                    .nweights = 5,
                                    .weights = weights});
    assert_int_equal(w.pick.subset->count, 0);
    assert_int_equal(mesh_lb_pick(&w.pick), MESH_PICK_NONE);
    close_world(&w);
    open_world(&w, (fixture_spec_t){.nweights = 5, .weights = weights});
    assert_int_equal(w.pick.subset->ngroups, 1);
    assert_int_equal(mesh_lb_pick(&w.pick), MESH_PICK_NONE);
    close_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_priorities_by_ticket),
        cmocka_unit_test(test_tickets_inside),
        cmocka_unit_test(test_localities),
        cmocka_unit_test(test_few_points),
        cmocka_unit_test(test_any_points),
        cmocka_unit_test(test_localities_by_health),
        cmocka_unit_test(test_localities_that_do_not_matter),
        cmocka_unit_test(test_small_weights),
        cmocka_unit_test(test_any_attempts),
        cmocka_unit_test(test_retry_leaves_a_priority),
        cmocka_unit_test(test_retry_leaves_a_locality),
        cmocka_unit_test(test_hash_stays),
        cmocka_unit_test(test_hash_needs_both),
        cmocka_unit_test(test_hash_is_not_used_twice),
        cmocka_unit_test(test_hash_key),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
