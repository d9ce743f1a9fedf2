/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Views with zone-aware routing: when it is on, what it depends on, and where
 * requests go by it.
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
#include "mesh_lb.h"

#define NOW UINT64_C(1000000)
#define MANY 300

/* Clusters as numbers of endpoints in zones. */
typedef struct {
    const char *zone; /* NULL ends them */
    uint32_t count;
    uint32_t out; /* of them, the last ones: unhealthy */
    uint32_t priority;
    uint32_t weight; /* 0: 1 */
} part_t;

#define ALL(zone, count) SOME(zone, count, 0)
#define SOME(zone, count, out)                                                 \
    { zone, count, out, 0, 0 }
#define END                                                                    \
    { NULL, 0, 0, 0, 0 }

typedef struct {
    mesh_rec_zone_aware_t zone;
    fixture_endpoint_t upstream[MANY];
    fixture_endpoint_t locals[MANY];
    fixture_spec_t spec;
    fixture_spec_t local;
    fixture_t *f;
    const mesh_cluster_view_t *view;
    const mesh_view_subset_t *all;
} world_t;

static uint32_t fill(fixture_endpoint_t *e, const part_t *parts,
                     uint32_t first) {
    uint32_t n = 0;

    for (; parts->zone != NULL; parts++) {
        for (uint32_t i = 0; i < parts->count; i++, n++) {
            bool out = i >= parts->count - parts->out;

            e[n] = (fixture_endpoint_t){
                .id = first + n,
                .weight = parts->weight ? parts->weight : 1,
                .zone = parts->zone[0] ? parts->zone : NULL,
                .priority = parts->priority,
                .health = out ? MESH_HEALTH_UNHEALTHY : MESH_HEALTH_HEALTHY};
        }
    }
    return n;
}

static const part_t three[] = {ALL("a", 2), ALL("b", 4), ALL("c", 2), END};
static const part_t ours[] = {ALL("a", 4), ALL("b", 4), ALL("c", 2), END};
static const part_t few[] = {ALL("a", 1), ALL("b", 4), END};
static const part_t one[] = {ALL("a", 9), END};
static const part_t ill[] = {ALL("a", 2), SOME("b", 4, 3), SOME("c", 2, 2),
                             END};

/* The defaults: in zone a, of "shop"; Envoy's parameters. */
static void make(world_t *w, const part_t *upstream, const part_t *locals) {
    memset(w, 0, sizeof(*w));
    w->zone.enabled_percent = 100;
    w->zone.min_size = 2;
    w->spec = (fixture_spec_t){.lb = MESH_LB_ROUND_ROBIN,
                               .panic_percent = 50,
                               .lb_choices = 2,
                               .endpoints = w->upstream,
                               .node = "a",
                               .zone_aware = &w->zone,
                               .local_name = "shop",
                               .local = &w->local};
    w->local = (fixture_spec_t){
        .name = "shop", .slot = 1, .endpoints = w->locals, .panic_percent = 50};
    w->spec.count = fill(w->upstream, upstream, 0);
    w->local.count = fill(w->locals, locals, 5000);
}

static void expect_state(const world_t *w, mesh_zone_e state) {
    if (w->all->zone != state) {
        fail_msg("%s, not %s", mesh_zone_text(w->all->zone),
                 mesh_zone_text(state));
    }
}

static void look(world_t *w, mesh_runtime_t *rt, uint64_t now_ms,
                 mesh_zone_e state) {
    w->view = fixture_view(w->f, rt, now_ms);
    assert_non_null(w->view);
    w->all = &w->view->subsets[0];
    expect_state(w, state);
}

static void open_world(world_t *w, mesh_zone_e state) {
    w->f = fixture_new(&w->spec);
    look(w, NULL, NOW, state);
}

/* A zone's share of the load, in percent; NAN: no group. */
static double load_of(const world_t *w, const mesh_view_subset_t *subset,
                      const char *zone) {
    for (uint32_t i = 0; i < subset->ngroups; i++) {
        const mesh_view_group_t *g = &subset->groups[i];
        const mesh_rec_locality_t *at = mesh_get(&w->f->snapshot, g->locality);

        if (g->split && at != NULL &&
            mesh_str_eq(mesh_get_str(&w->f->snapshot, at->zone),
                        mesh_str_from(zone))) {
            return g->points * 100.0 / subset->points;
        }
    }
    return NAN;
}

static void expect_load(const world_t *w, const char *zone, double percent) {
    double got = load_of(w, w->all, zone);

    if (!(fabs(got - percent) < 1e-3)) {
        fail_msg("zone %s: %f %%, not %f %%", zone, got, percent);
    }
}

/* No more than that: nothing is divided, or nothing fails. */
static void only(world_t *w, mesh_zone_e state) {
    open_world(w, state);
    assert_int_equal(w->all->ngroups > 1,
                     mesh_zone_on(state) || w->spec.count > 100);
    assert_int_equal(w->all->failing, 0);
    fixture_free(w->f);
}

/* Envoy's own example: 40, 40, 20 against 25, 50, 25. */
static void test_residual(void **state) {
    (void)state;
    world_t w;

    make(&w, three, ours);
    open_world(&w, MESH_ZONE_RESIDUAL);
    expect_load(&w, "a", 62.5);
    expect_load(&w, "b", 25);
    expect_load(&w, "c", 12.5);
    assert_int_equal(w.all->points, 8);
    assert_int_equal(w.all->usable, 8);
    assert_int_equal(w.all->count, 8);
    assert_null(w.all->sole);
    for (uint32_t i = 0; i < w.view->total; i++) {
        assert_int_equal(w.view->endpoints[i].out, 0);
    }
    assert_int_equal(w.view->zones->count, 3);
    assert_int_equal(w.view->zones->sum, 10);
    assert_int_equal(w.view->zones->v[0].usable, 4);
    fixture_free(w.f);
}

/* Less of the local cluster is here than of this one. */
static void test_direct(void **state) {
    (void)state;
    world_t w;

    make(&w, three, few);
    open_world(&w, MESH_ZONE_DIRECT);
    expect_load(&w, "a", 100);
    assert_ptr_equal(w.all->sole, &w.all->groups[0]);
    assert_int_equal(w.all->sole->count, 2);
    assert_int_equal(w.view->endpoints[0].out, 0);
    assert_int_equal(w.view->endpoints[2].out, MESH_OUT_ZONE);
    fixture_free(w.f);
}

/* One reason each, as they come in Envoy. */
static void test_reasons(void **state) {
    (void)state;
    static const part_t other[] = {ALL("b", 9), ALL("c", 9), END};
    static const part_t standby[] = {
        ALL("a", 2), {"b", 4, 0, 1, 0}, {"c", 2, 0, 1, 0}, END};
    world_t w;

    make(&w, three, ours);
    only(&w, MESH_ZONE_RESIDUAL);
    w.spec.zone_aware = NULL;
    open_world(&w, MESH_ZONE_NONE);
    assert_null(w.view->zones);
    fixture_free(w.f);

    make(&w, three, ours);
    w.zone.enabled_percent = 0;
    only(&w, MESH_ZONE_DISABLED);

    make(&w, three, ours);
    w.spec.node = NULL;
    only(&w, MESH_ZONE_NO_NODE);

    make(&w, three, ours);
    w.spec.local_name = NULL;
    only(&w, MESH_ZONE_NO_NAME);
    w.spec.local_name = "nobody";
    only(&w, MESH_ZONE_NO_LOCAL);
    w.spec.local_name = "reviews";
    only(&w, MESH_ZONE_ITSELF);

    make(&w, ill, ours);
    only(&w, MESH_ZONE_PANIC);
    w.spec.panic_percent = 0;
    only(&w, MESH_ZONE_DIRECT);

    make(&w, one, ours);
    only(&w, MESH_ZONE_ONE);

    make(&w, standby, ours);
    open_world(&w, MESH_ZONE_ONE);
    assert_int_equal(w.all->groups[0].points, 100);
    fixture_free(w.f);

    make(&w, three, one);
    only(&w, MESH_ZONE_LOCAL_ONE);
    make(&w, three, other);
    only(&w, MESH_ZONE_LOCAL_ELSEWHERE);
    w.spec.node = "eu/a";
    only(&w, MESH_ZONE_LOCAL_ELSEWHERE);

    make(&w, three, ours);
    w.zone.min_size = 8;
    only(&w, MESH_ZONE_RESIDUAL);
    w.zone.min_size = 9;
    only(&w, MESH_ZONE_SMALL);

    make(&w, (const part_t[]){SOME("a", 2, 2), SOME("b", 2, 1), END}, ours);
    w.zone.min_size = 0;
    w.spec.panic_percent = 0;
    only(&w, MESH_ZONE_RESIDUAL);

    make(&w, three, ill);
    only(&w, MESH_ZONE_LOCAL_PANIC);
    w.spec.panic_percent = 37; /* this cluster's: 3 of 8 are usable */
    open_world(&w, MESH_ZONE_RESIDUAL);
    fixture_free(w.f);
}

/* Nobody of this cluster is usable: nothing is divided among nobody. */
static void test_nobody(void **state) {
    (void)state;
    static const part_t dead[] = {SOME("a", 2, 2), SOME("b", 2, 2), END};
    world_t w;

    make(&w, dead, ours);
    w.zone.min_size = 0;
    only(&w, MESH_ZONE_PANIC);
    w.spec.panic_percent = 0;
    only(&w, MESH_ZONE_SMALL);

    /* Of the local one neither: with panic off, there is room for all. */
    make(&w, three, dead);
    only(&w, MESH_ZONE_LOCAL_PANIC);
    w.spec.panic_percent = 0;
    only(&w, MESH_ZONE_DIRECT);
    make(&w, three, (const part_t[]){END});
    w.spec.panic_percent = 0;
    only(&w, MESH_ZONE_LOCAL_ONE);
    w.zone.force_min = 1;
    only(&w, MESH_ZONE_LOCAL_ELSEWHERE);
}

/* Enough here: the local cluster may be in one zone, and have too much. */
static void test_forced(void **state) {
    (void)state;
    world_t w;

    make(&w, three, one);
    w.zone.force_min = 2;
    open_world(&w, MESH_ZONE_FORCED);
    expect_load(&w, "a", 100);
    fixture_free(w.f);

    w.zone.force_min = 3;
    open_world(&w, MESH_ZONE_RESIDUAL);
    expect_load(&w, "a", 25);
    expect_load(&w, "b", 50);
    fixture_free(w.f);
}

/* Usable ones count, of both, and their weights if that is asked for. */
static void test_basis(void **state) {
    (void)state;
    static const part_t heavy[] = {{"a", 3, 1, 0, 1}, {"b", 2, 0, 0, 3}, END};
    static const part_t local[] = {{"a", 2, 1, 0, 2}, {"b", 1, 0, 0, 2}, END};
    world_t w;

    make(&w, heavy, local);
    open_world(&w, MESH_ZONE_DIRECT);
    fixture_free(w.f);

    w.zone.flags = MESH_ZONE_BY_WEIGHT;
    open_world(&w, MESH_ZONE_RESIDUAL);
    expect_load(&w, "a", 50);
    assert_int_equal(w.view->zones->sum, 4);
    fixture_free(w.f);
}

/* Of the local cluster, endpoints of other priorities do not count. */
static void test_priorities(void **state) {
    (void)state;
    static const part_t local[] = {
        ALL("a", 4), ALL("b", 4), ALL("c", 2), {"a", 50, 0, 1, 0}, END};
    static const part_t split[] = {SOME("a", 4, 2),
                                   SOME("b", 8, 4),
                                   SOME("c", 4, 2),
                                   {"c", 3, 0, 1, 0},
                                   END};
    world_t w;

    make(&w, split, local);
    w.spec.panic_percent = 20;
    open_world(&w, MESH_ZONE_RESIDUAL);
    assert_int_equal(w.all->ngroups, 4);
    expect_load(&w, "a", 70 * .625);
    expect_load(&w, "b", 70 * .25);
    expect_load(&w, "c", 70 * .125);
    assert_false(w.all->groups[3].split);
    assert_int_equal(w.all->groups[3].points, w.all->points * 3 / 10);
    fixture_free(w.f);
}

/* Each subset by its own endpoints; the local cluster is one for all. */
static void test_subsets(void **state) {
    (void)state;
    fixture_subset_t named[] = {{"v1", "v=1"}, {"v2", "v=2"}};
    world_t w;

    make(&w, three, ours);
    for (uint32_t i = 0; i < w.spec.count; i++) {
        w.upstream[i].labels = i == 0 || i == 2 || i == 3 ? "v=1" : "v=2";
    }
    w.upstream[1].zone = "c";
    w.spec.nsubsets = 2;
    w.spec.subsets = named;
    open_world(&w, MESH_ZONE_RESIDUAL);
    const mesh_view_subset_t *v1 = &w.view->subsets[1];
    assert_int_equal(v1->zone, MESH_ZONE_RESIDUAL);
    assert_true(fabs(load_of(&w, v1, "a") - 83.325) < .01);
    assert_true(fabs(load_of(&w, v1, "b") - 16.675) < .01);
    const mesh_view_subset_t *v2 = &w.view->subsets[2];
    assert_int_equal(v2->zone, MESH_ZONE_RESIDUAL);
    assert_true(isnan(load_of(&w, v2, "a")));
    assert_true(load_of(&w, v2, "b") == 0);
    assert_true(load_of(&w, v2, "c") == 100);
    fixture_free(w.f);

    w.zone.min_size = 4;
    open_world(&w, MESH_ZONE_RESIDUAL);
    assert_int_equal(w.view->subsets[1].zone, MESH_ZONE_SMALL);
    fixture_free(w.f);
}

/* Endpoints that say no locality are in one of their own, as in Envoy. */
static void test_no_locality(void **state) {
    (void)state;
    static const part_t some[] = {ALL("a", 1), ALL("", 3), END};
    world_t w;

    make(&w, some, some);
    only(&w, MESH_ZONE_DIRECT);
    make(&w, some, ours);
    open_world(&w, MESH_ZONE_RESIDUAL);
    expect_load(&w, "a", 62.5);
    assert_int_equal(w.all->groups[1].locality, 0);
    assert_int_equal(w.all->groups[1].points, 3);
    fixture_free(w.f);
}

/* Places are the same in whatever order localities come. */
static void test_order(void **state) {
    (void)state;
    static const part_t mixed[] = {ALL("b", 1), ALL("", 2),  ALL("a", 1),
                                   ALL("b", 1), ALL("a", 1), END};
    static const part_t locals[] = {ALL("b", 1), ALL("a", 2), ALL("x", 1),
                                    ALL("", 1),  ALL("a", 1), ALL("y", 1),
                                    END};
    static const uint32_t places[] = {1, 2, 2, 0, 1, 0};
    world_t w;

    make(&w, mixed, locals);
    open_world(&w, MESH_ZONE_RESIDUAL);
    const mesh_view_zones_t *zones = w.view->zones;
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(w.view->endpoints[i].place, places[i]);
    }
    assert_int_equal(zones->count, 3);
    assert_int_equal(zones->v[0].usable, 3);
    assert_int_equal(zones->v[1].usable, 1);
    assert_int_equal(zones->v[2].usable, 1);
    assert_int_equal(zones->here, 3);
    assert_int_equal(zones->endpoints, 7);
    assert_int_equal(zones->sum, 7);
    fixture_free(w.f);
}

/* A local cluster of several chunks is counted whole. */
static void test_many_locals(void **state) {
    (void)state;
    static const part_t locals[] = {ALL("a", 64), ALL("b", 65), END};
    world_t w;

    make(&w, three, locals);
    open_world(&w, MESH_ZONE_RESIDUAL);
    assert_int_equal(w.view->zones->endpoints, 129);
    assert_int_equal(w.view->zones->here, 64);
    assert_int_equal(w.view->zones->sum, 129);
    assert_int_equal(w.view->zones->level.total, 129);
    fixture_free(w.f);
}

/* All of it drained or without weight: panic, if there is a threshold. */
static void test_nobody_counts(void **state) {
    (void)state;
    world_t w;

    make(&w, three, ours);
    for (uint32_t i = 0; i < w.local.count; i++) {
        w.locals[i].weight = 0;
    }
    only(&w, MESH_ZONE_LOCAL_PANIC);
    w.spec.panic_percent = 1;
    only(&w, MESH_ZONE_LOCAL_PANIC);
    w.spec.panic_percent = 0;
    only(&w, MESH_ZONE_DIRECT);
}

/* Beyond the runtime's sizes, it is read without. */
static void test_local_without_slot(void **state) {
    (void)state;
    mesh_runtime_t rt;
    world_t w;

    make(&w, three, ours);
    fixture_runtime(&rt);
    w.local.slot = rt.sizes.clusters;
    w.f = fixture_new(&w.spec);
    for (int writable = 0; writable < 2; writable++) {
        w.view = writable ? fixture_view(w.f, &rt, NOW)
                          : fixture_reader_view(w.f, &rt, NOW);
        assert_null(w.view->zones->runtime);
        assert_int_equal(w.view->subsets[0].zone, MESH_ZONE_RESIDUAL);
    }
    fixture_runtime_free(&rt);
    fixture_free(w.f);
}

static void test_many_localities(void **state) {
    (void)state;
    static char names[MANY][8];
    world_t w;

    for (uint32_t n = MESH_ZONES_MAX; n <= MESH_ZONES_MAX + 1; n++) {
        make(&w, three, ours);
        for (uint32_t i = 0; i < n; i++) {
            snprintf(names[i], sizeof(names[i]), "z%u", i);
            w.upstream[i] = (fixture_endpoint_t){
                .id = i, .weight = 1, .zone = i ? names[i] : "a"};
        }
        w.spec.count = n;
        open_world(&w,
                   n > MESH_ZONES_MAX ? MESH_ZONE_MANY : MESH_ZONE_RESIDUAL);
        assert_int_equal(w.all->ngroups, n > MESH_ZONES_MAX ? 1 : n);
        assert_int_equal(w.all->count, n);
        fixture_free(w.f);
    }

    /* Those of other priorities are not counted. */
    for (uint32_t i = 2; i < w.spec.count; i++) {
        w.upstream[i].priority = 1;
    }
    open_world(&w, MESH_ZONE_DIRECT);
    assert_int_equal(w.view->zones->count, 2);
    fixture_free(w.f);
}

/* --- requests ------------------------------------------------------------ */

static char zone_of(const world_t *w, uint32_t index) {
    return w->upstream[index].zone[0];
}

static mesh_pick_t pick_of(const world_t *w) {
    return (mesh_pick_t){.view = w->view, .subset = w->all, .now_ms = NOW};
}

/* Of a block exactly, whatever the balancer; inside it is fair. */
static void test_picks(void **state) {
    (void)state;
    static const mesh_lb_e balancers[] = {MESH_LB_ROUND_ROBIN,
                                          MESH_LB_LEAST_REQUEST, MESH_LB_RANDOM,
                                          MESH_LB_PEAK_EWMA};
    world_t w;

    for (size_t lb = 0; lb < mesh_nelts(balancers); lb++) {
        uint32_t counts[128] = {0}, each[MANY] = {0};

        make(&w, three, ours);
        w.spec.lb = balancers[lb];
        open_world(&w, MESH_ZONE_RESIDUAL);
        mesh_pick_t pick = pick_of(&w);
        for (pick.ticket = 0; pick.ticket < 8000; pick.ticket++) {
            uint32_t at = mesh_lb_pick(&pick);
            assert_true(at < w.view->total);
            counts[(unsigned)zone_of(&w, at)]++;
            each[at]++;
        }
        assert_int_equal(counts['a'], 5000);
        assert_int_equal(counts['b'], 2000);
        assert_int_equal(counts['c'], 1000);
        for (uint32_t i = 0; i < w.view->total; i++) {
            double want = zone_of(&w, i) == 'a' ? 2500 : 500;
            assert_true(fabs(each[i] - want) < 5 * sqrt(want));
            assert_true(balancers[lb] != MESH_LB_ROUND_ROBIN ||
                        each[i] == want);
        }
        fixture_free(w.f);
    }
}

/* All of a zone first, then another one's. */
static void test_retries(void **state) {
    (void)state;
    world_t w;

    make(&w, three, few);
    open_world(&w, MESH_ZONE_DIRECT);
    for (uint64_t ticket = 0; ticket < 200; ticket++) {
        uint32_t tried[8];
        mesh_pick_t pick = pick_of(&w);

        pick.ticket = ticket;
        pick.tried = tried;
        for (pick.ntried = 0; pick.ntried < 8; pick.ntried++) {
            uint32_t at = mesh_lb_pick(&pick);
            assert_true(at < w.view->total);
            assert_int_equal(zone_of(&w, at) == 'a', pick.ntried < 2);
            assert_false(mesh_lb_tried(&pick, at));
            tried[pick.ntried] = at;
        }
    }
    fixture_free(w.f);
}

/* Not enabled for a part of the requests: these go by weight. */
static void test_enabled(void **state) {
    (void)state;
    world_t w;

    make(&w, three, ours);
    w.zone.enabled_percent = 60;
    w.upstream[2].weight = 9; /* in b, which has 12 of 16 then */
    open_world(&w, MESH_ZONE_RESIDUAL);
    expect_load(&w, "a", .6 * 62.5 + .4 * 12.5);
    expect_load(&w, "b", .6 * 25 + .4 * 75);
    expect_load(&w, "c", .6 * 12.5 + .4 * 12.5);
    fixture_free(w.f);
}

/* --- what fails in panic ------------------------------------------------- */

static uint32_t count_failing(const world_t *w, uint32_t tickets) {
    mesh_pick_t pick = pick_of(w);
    uint32_t failed = 0;

    for (pick.ticket = 0; pick.ticket < tickets; pick.ticket++) {
        uint32_t at = mesh_lb_pick(&pick);
        failed += at == MESH_PICK_NONE;
        assert_true(at == MESH_PICK_NONE || w->view->endpoints[at].out == 0);
    }
    return failed;
}

/* The cluster's own panic: nobody gets anything. */
static void test_panic_fails(void **state) {
    (void)state;
    world_t w;

    make(&w, ill, ours);
    open_world(&w, MESH_ZONE_PANIC);
    assert_int_equal(w.all->count, 8);
    assert_true(w.all->panic);
    fixture_free(w.f);

    w.zone.flags = MESH_ZONE_FAIL_ON_PANIC;
    open_world(&w, MESH_ZONE_PANIC);
    assert_int_equal(w.all->failing, w.all->points);
    assert_int_equal(w.all->count, 0);
    assert_int_equal(w.all->usable, 3);
    assert_true(w.all->panic);
    assert_int_equal(w.view->endpoints[0].out, MESH_OUT_ZONE);
    assert_int_equal(w.view->endpoints[7].out, MESH_OUT_HEALTH);
    assert_int_equal(count_failing(&w, 100), 100);
    fixture_free(w.f);

    /* It is no matter of the local cluster. */
    w.spec.local_name = NULL;
    open_world(&w, MESH_ZONE_NO_NAME);
    assert_int_equal(w.all->failing, w.all->points);
    fixture_free(w.f);
}

/* One priority panics: its part fails, the other keeps its own. */
static void test_one_priority_fails(void **state) {
    (void)state;
    static const part_t two[] = {
        SOME("a", 5, 4), SOME("b", 5, 4), {"a", 10, 5, 1, 0}, END};
    world_t w;

    make(&w, two, ours);
    w.zone.flags = MESH_ZONE_FAIL_ON_PANIC;
    open_world(&w, MESH_ZONE_PANIC);
    /* Healths are 28 and 70 of 98. */
    assert_int_equal(w.all->points, 100);
    assert_int_equal(w.all->failing, 29);
    assert_int_equal(w.all->count, 5);
    assert_null(w.all->sole);
    assert_int_equal(w.view->endpoints[0].out, MESH_OUT_ZONE);
    assert_int_equal(w.view->endpoints[10].out, 0);
    assert_int_equal(count_failing(&w, 1000), 290);

    /* A retry does not come there either. */
    uint32_t tried[5] = {10, 11, 12, 13, 14};
    mesh_pick_t pick = pick_of(&w);
    for (pick.ticket = 0; pick.ticket < 100; pick.ticket++) {
        pick.tried = tried;
        pick.ntried = 5;
        uint32_t at = mesh_lb_pick(&pick);
        assert_true(at == MESH_PICK_NONE || at >= 10);
    }
    fixture_free(w.f);
}

/* The local cluster's panic: of those that it is enabled for. */
static void test_local_panic_fails(void **state) {
    (void)state;
    static const uint32_t enabled[] = {100, 30, 1};
    static const part_t split[] = {
        SOME("a", 4, 2), SOME("b", 4, 2), {"c", 3, 0, 1, 0}, END};
    world_t w;

    for (size_t i = 0; i < mesh_nelts(enabled); i++) {
        make(&w, three, ill);
        w.zone.flags = MESH_ZONE_FAIL_ON_PANIC;
        w.zone.enabled_percent = enabled[i];
        open_world(&w, MESH_ZONE_LOCAL_PANIC);
        assert_false(w.all->panic);
        assert_int_equal(w.all->ngroups, 1);
        assert_int_equal(count_failing(&w, 10000), 100 * enabled[i]);
        assert_int_equal(w.view->endpoints[0].out,
                         enabled[i] == 100 ? MESH_OUT_ZONE : 0);
        fixture_free(w.f);
    }

    /* Only of priority 0, which has 70 %. */
    make(&w, split, ill);
    w.zone.flags = MESH_ZONE_FAIL_ON_PANIC;
    w.zone.enabled_percent = 33;
    open_world(&w, MESH_ZONE_LOCAL_PANIC);
    assert_int_equal(w.all->points, 1000000);
    assert_int_equal(w.all->failing, 231000);
    assert_int_equal(w.all->groups[1].points, 300000);
    fixture_free(w.f);

    w.zone.enabled_percent = 100;
    open_world(&w, MESH_ZONE_LOCAL_PANIC);
    assert_int_equal(w.all->failing * 10, w.all->points * 7);
    assert_int_equal(w.all->groups[1].points * 10, w.all->points * 3);
    assert_int_equal(w.all->count, 3);
    assert_int_equal(w.view->endpoints[0].out, MESH_OUT_ZONE);
    fixture_free(w.f);

    /* Without panic nothing fails. */
    make(&w, three, ours);
    w.zone.flags = MESH_ZONE_FAIL_ON_PANIC;
    open_world(&w, MESH_ZONE_RESIDUAL);
    assert_int_equal(w.all->failing, 0);
    assert_int_equal(count_failing(&w, 80), 0);
    fixture_free(w.f);
}

/* Nothing but the failing part has load, and it is all: no endpoint. */
static void test_sole_priority_fails(void **state) {
    (void)state;
    static const part_t two[] = {SOME("a", 10, 6), {"b", 4, 2, 1, 0}, END};
    world_t w;

    make(&w, two, ours);
    w.zone.flags = MESH_ZONE_FAIL_ON_PANIC;
    w.spec.params.overprovisioning = 1;
    open_world(&w, MESH_ZONE_PANIC);
    assert_int_equal(w.all->failing, w.all->points);
    assert_int_equal(w.all->count, 2); /* who stands by */
    assert_int_equal(count_failing(&w, 100), 100);
    fixture_free(w.f);
}

/* --- changes of the local cluster ---------------------------------------- */

static bool current(const world_t *w, const mesh_cluster_view_t *view,
                    uint64_t now_ms) {
    return mesh_cluster_view_current(view, w->f->bind, &w->f->health, now_ms);
}

/* Ejects the local cluster's first; its own views claim its slots. */
static void eject_local(const world_t *w, mesh_runtime_t *rt) {
    const mesh_rec_bind_cluster_t *shop =
        mesh_cluster_local(&w->f->snapshot, w->f->root, w->f->bind);

    assert_non_null(shop);
    assert_non_null(mesh_cluster_view(&w->f->snapshot, w->f->root, shop,
                                      &w->f->health, rt, true, NOW,
                                      &w->f->arena));
    assert_int_equal(
        mesh_runtime_eject(rt, 1, 5000, w->local.count, 100,
                           mesh_ejected_word(NOW + 500, MESH_EJECTED_5XX), NOW),
        MESH_OK);
}

/* An ejection there asks for a new view here, and its end, too. */
static void test_local_ejection(void **state) {
    (void)state;
    static const part_t even[] = {ALL("a", 1), ALL("b", 1), END};
    static const part_t local[] = {ALL("a", 2), ALL("b", 1), END};
    mesh_runtime_t rt;
    world_t w;

    make(&w, even, local);
    w.f = fixture_new(&w.spec);
    fixture_runtime(&rt);

    look(&w, &rt, NOW, MESH_ZONE_RESIDUAL);
    assert_ptr_equal(w.view->zones->runtime, &rt.clusters[1]);
    assert_true(current(&w, w.view, NOW + 99999));

    eject_local(&w, &rt);
    assert_true(current(&w, w.view, NOW + 9));
    assert_false(current(&w, w.view, NOW + 10));

    look(&w, &rt, NOW + 10, MESH_ZONE_DIRECT);
    assert_int_equal(w.view->zones->level.usable, 2);
    assert_int_equal(w.view->next_ms, NOW + 500);
    assert_true(current(&w, w.view, NOW + 499));
    assert_false(current(&w, w.view, NOW + 500));

    /* It is not for this cluster to end it. */
    look(&w, &rt, NOW + 500, MESH_ZONE_RESIDUAL);
    assert_int_not_equal(rt.endpoints[5000].ejected, 0);
    assert_int_equal(w.view->next_ms, UINT64_MAX);

    /* A tool sees the same, and claims nothing. */
    w.view = fixture_reader_view(w.f, &rt, NOW + 10);
    assert_int_equal(w.view->subsets[0].zone, MESH_ZONE_DIRECT);
    rt.clusters[1].tag++;
    w.view = fixture_reader_view(w.f, &rt, NOW + 10);
    assert_null(w.view->zones->runtime);
    assert_int_equal(w.view->subsets[0].zone, MESH_ZONE_DIRECT);

    fixture_runtime_free(&rt);
    fixture_free(w.f);
}

/* Without slots of its own, the local cluster still ends views in time. */
static void test_local_ends_without_slot(void **state) {
    (void)state;
    mesh_runtime_t rt;
    world_t w;

    make(&w, three, ours);
    w.spec.slot = MESH_SLOT_NONE;
    w.f = fixture_new(&w.spec);
    fixture_runtime(&rt);
    eject_local(&w, &rt);
    look(&w, &rt, NOW, MESH_ZONE_RESIDUAL);
    assert_null(w.view->runtime);
    assert_true(current(&w, w.view, NOW + 499));
    assert_false(current(&w, w.view, NOW + 500));
    fixture_runtime_free(&rt);
    fixture_free(w.f);
}

/* A drain there: another part of it is here, and views follow. */
static void test_local_drain(void **state) {
    (void)state;
    mesh_health_head_t head = {0};
    static uint64_t words[FIXTURE_SLOTS];
    world_t w;

    make(&w, three, ours);
    w.f = fixture_new(&w.spec);
    w.f->health = (mesh_health_t){&head, words, FIXTURE_SLOTS};
    look(&w, NULL, NOW, MESH_ZONE_RESIDUAL);
    assert_true(current(&w, w.view, NOW + 99999));

    const mesh_view_zones_t *zones = w.view->zones;
    mesh_endpoint_t e = {.family = MESH_FAMILY_IPV4, .port = 9080};
    for (uint32_t id = 5000; id < 5003; id++) {
        memcpy(e.addr, (uint8_t[]){10, 0, (uint8_t)(id >> 8), (uint8_t)id}, 4);
        uint64_t tag = mesh_endpoint_tag(&w.f->snapshot, zones->tag, &e);
        assert_true(mesh_health_set(&w.f->health, id, tag, zones->tag,
                                    MESH_HEALTH_DRAINED));
    }
    assert_false(current(&w, w.view, NOW + 10));
    /* 1 of 7 is here, and 2 of 8 of this one; drained are not ill. */
    look(&w, NULL, NOW + 10, MESH_ZONE_DIRECT);
    assert_int_equal(w.view->zones->level.total, 7);
    assert_int_equal(w.view->zones->level.usable, 7);
    memset(words, 0, sizeof(words));
    fixture_free(w.f);
}

/* Those who are not zone-aware have no local cluster. */
static void test_local_of(void **state) {
    (void)state;
    world_t w;

    make(&w, three, ours);
    w.f = fixture_new(&w.spec);
    const mesh_rec_bind_cluster_t *shop =
        mesh_cluster_local(&w.f->snapshot, w.f->root, w.f->bind);
    assert_int_equal(shop->slot, 1);
    assert_null(mesh_cluster_local(&w.f->snapshot, w.f->root, shop));
    assert_null(mesh_cluster_local(&w.f->snapshot, NULL, w.f->bind));

    const mesh_cluster_view_t *view =
        mesh_cluster_view(&w.f->snapshot, NULL, w.f->bind, &w.f->health, NULL,
                          false, NOW, &w.f->arena);
    assert_int_equal(view->subsets[0].zone, MESH_ZONE_NO_LOCAL);
    assert_true(current(&w, view, NOW + 99999));
    fixture_free(w.f);
}

static void test_no_memory(void **state) {
    (void)state;
    world_t w;

    make(&w, three, ours);
    w.f = fixture_new(&w.spec);
    for (unsigned limit = 0; limit < 3; limit++) {
        w.f->limit = limit;
        assert_null(fixture_view(w.f, NULL, NOW));
    }
    w.f->limit = 3;
    assert_non_null(fixture_view(w.f, NULL, NOW));
    fixture_free(w.f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_residual),
        cmocka_unit_test(test_direct),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_forced),
        cmocka_unit_test(test_basis),
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_subsets),
        cmocka_unit_test(test_no_locality),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_many_locals),
        cmocka_unit_test(test_nobody_counts),
        cmocka_unit_test(test_local_without_slot),
        cmocka_unit_test(test_many_localities),
        cmocka_unit_test(test_picks),
        cmocka_unit_test(test_retries),
        cmocka_unit_test(test_enabled),
        cmocka_unit_test(test_panic_fails),
        cmocka_unit_test(test_one_priority_fails),
        cmocka_unit_test(test_local_panic_fails),
        cmocka_unit_test(test_sole_priority_fails),
        cmocka_unit_test(test_local_ejection),
        cmocka_unit_test(test_local_ends_without_slot),
        cmocka_unit_test(test_local_drain),
        cmocka_unit_test(test_local_of),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
