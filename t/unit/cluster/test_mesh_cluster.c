/* SPDX-License-Identifier: Apache-2.0 */

/* Views: who is usable, in which subset, until when. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "cluster_fixture.h"

#define NOW UINT64_C(1000000)

static uint64_t word_until(uint64_t ms) {
    return mesh_ejected_word(ms, MESH_EJECTED_5XX);
}

static mesh_status_t eject(mesh_runtime_t *rt, uint32_t endpoint,
                           uint32_t total, uint64_t until_ms) {
    return mesh_runtime_eject(rt, 0, endpoint, total, 100, word_until(until_ms),
                              NOW);
}

static void test_bind(void **state) {
    (void)state;
    fixture_t *f = fixture_new(&(fixture_spec_t){.count = 1});
    mesh_str_t other = MESH_STR("ratings");
    mesh_rec_root_t empty = *f->root;

    assert_null(mesh_cluster_bind(&f->snapshot, f->root, other,
                                  mesh_hash32(other.data, other.len)));
    empty.binding = 0;
    assert_null(mesh_cluster_bind(&f->snapshot, &empty, MESH_STR("reviews"),
                                  mesh_hash32("reviews", 7)));
    fixture_free(f);
}

static void test_tags_differ(void **state) {
    (void)state;
    mesh_snapshot_t s = {0};
    mesh_endpoint_t a = {.family = MESH_FAMILY_IPV4, .port = 80};
    mesh_endpoint_t b = a;
    uint64_t tag = mesh_endpoint_tag(&s, 7, &a);

    assert_int_equal(tag, mesh_endpoint_tag(&s, 7, &b));
    assert_int_not_equal(tag, mesh_endpoint_tag(&s, 8, &a));
    b.weight = 9; /* no part of the key */
    assert_int_equal(tag, mesh_endpoint_tag(&s, 7, &b));
    b.port = 81;
    assert_int_not_equal(tag, mesh_endpoint_tag(&s, 7, &b));
    b = a;
    b.addr[15] = 1;
    assert_int_not_equal(tag, mesh_endpoint_tag(&s, 7, &b));
    b = a;
    b.family = MESH_FAMILY_IPV6;
    assert_int_not_equal(tag, mesh_endpoint_tag(&s, 7, &b));
}

static void test_usable_predicate(void **state) {
    (void)state;
    static const uint32_t by_health[] = {0, 0, MESH_OUT_HEALTH, MESH_OUT_HEALTH,
                                         0};

    for (unsigned i = 0; i < 5 * 2 * 3 * 256; i++) {
        unsigned h = i % 5, weight = i / 5 % 2, ejected = i / 10 % 3;
        uint32_t bits = i / 30;
        mesh_endpoint_t e = {.health = (uint8_t)h, .weight = weight};
        mesh_endpoint_slot_t slot = {0};
        uint32_t want = by_health[h];

        want |= bits & ~(uint32_t)MESH_HEALTH_DRAINED ? MESH_OUT_HEALTH : 0;
        want |= bits & MESH_HEALTH_DRAINED ? MESH_OUT_DRAINED : 0;
        want |= weight ? 0 : MESH_OUT_WEIGHT;
        want |= ejected == 2 ? MESH_OUT_EJECTED : 0;
        slot.ejected = ejected ? word_until(NOW + ejected - 1) : 0;

        assert_int_equal(mesh_endpoint_out(&e, bits, &slot, NOW), want);
        assert_int_equal(mesh_endpoint_out(&e, bits, NULL, NOW),
                         want & ~(uint32_t)MESH_OUT_EJECTED);
    }
}

static void test_empty_cluster(void **state) {
    (void)state;
    fixture_t *f = fixture_new(&(fixture_spec_t){.panic_percent = 50});
    mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);

    assert_int_equal(view->total, 0);
    assert_int_equal(view->nsubsets, 1);
    assert_int_equal(view->subsets[0].count, 0);
    assert_int_equal(view->subsets[0].usable, 0);
    assert_int_equal(view->next_ms, UINT64_MAX);
    assert_ptr_equal(mesh_view_subset(view, MESH_STR(""), 0), view->subsets);
    fixture_free(f);
}

static void test_no_memory(void **state) {
    (void)state;
    fixture_t *f = fixture_new(&(fixture_spec_t){.count = 3});
    f->limit = 0;
    assert_null(fixture_view(f, NULL, NOW));
    f->limit = 1; /* one call is enough */
    assert_non_null(fixture_view(f, NULL, NOW));
    fixture_free(f);
}

static void test_weights_and_sums(void **state) {
    (void)state;
    rng_t seed = {11};

    for (unsigned round = 0; round < 50; round++) {
        fixture_endpoint_t e[200] = {0};
        uint32_t n = 1 + (uint32_t)(rng_next(&seed) % 200);
        for (uint32_t i = 0; i < n; i++) {
            e[i].id = i * 3;
            e[i].weight = (uint32_t)(rng_next(&seed) % (round % 3 + 1));
            e[i].health = (uint8_t)(rng_next(&seed) % 5);
        }

        fixture_t *f =
            fixture_new(&(fixture_spec_t){.count = n, .endpoints = e});
        const mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);
        const mesh_view_subset_t *all = &view->subsets[0];
        uint64_t sum = 0;
        uint32_t k = 0;

        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(view->endpoints[i].ordinal, i);
            assert_int_equal(view->endpoints[i].slot, e[i].id);
            if (e[i].weight == 0 || e[i].health == MESH_HEALTH_UNHEALTHY ||
                e[i].health == MESH_HEALTH_DRAINING) {
                assert_int_not_equal(view->endpoints[i].out, 0);
                continue;
            }
            assert_int_equal(view->endpoints[i].out, 0);
            sum += e[i].weight;
            assert_true(k < all->count);
            assert_int_equal(all->groups->pick[k], i);
            if (!all->groups->equal) {
                assert_int_equal(all->groups->upto[k], sum);
            }
            k++;
        }

        assert_int_equal(all->count, k);
        assert_int_equal(all->usable, k);
        assert_int_equal(all->members, n);
        assert_int_equal(all->groups->total, sum);
        assert_true(all->groups->equal == (all->groups->upto == NULL));
        if (all->groups->equal && k > 0) {
            assert_int_equal(sum % k, 0);
        }
        fixture_free(f);
    }
}

static void test_all_weights_zero(void **state) {
    (void)state;
    fixture_endpoint_t e[] = {{.id = 1}, {.id = 2}};
    fixture_t *f = fixture_new(
        &(fixture_spec_t){.count = 2, .endpoints = e, .panic_percent = 100});
    const mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);

    assert_false(view->subsets[0].panic); /* nobody to pick in panic */
    assert_int_equal(view->subsets[0].count, 0);
    assert_int_equal(view->subsets[0].groups->total, 0);
    fixture_free(f);
}

/* Weight 0 is no failure: three of three with a weight are usable. */
static void test_weight_zero_is_no_panic(void **state) {
    (void)state;
    fixture_endpoint_t e[] = {{.id = 0},
                              {.id = 1},
                              {.id = 2, .weight = 1},
                              {.id = 3, .weight = 1},
                              {.id = 4, .weight = 1}};
    fixture_t *f = fixture_new(
        &(fixture_spec_t){.count = 5, .endpoints = e, .panic_percent = 100});
    const mesh_view_subset_t *all = &fixture_view(f, NULL, NOW)->subsets[0];

    assert_false(all->panic);
    assert_int_equal(all->count, 3);
    fixture_free(f);
}

static void test_subsets_by_labels(void **state) {
    (void)state;
    fixture_endpoint_t e[] = {
        {.id = 0, .weight = 1, .labels = "app=r,version=v1"},
        {.id = 1, .weight = 1, .labels = "app=r,version=v2"},
        {.id = 2, .weight = 3, .labels = "app=r,version=v2,zone=b"},
        {.id = 3, .weight = 1},
        {.id = 4, .weight = 1, .labels = "version=v22"},
        {.id = 5, .weight = 1, .labels = "version=v2"}};
    fixture_subset_t named[] = {{"all-r", "app=r"},
                                {"b", "version=v2,zone=b"},
                                {"none", "version=v3"},
                                {"v2", "version=v2"}};
    static const uint32_t want[][4] = {{0, 1, 2}, {2}, {0}, {1, 2, 5}};
    static const uint32_t counts[] = {3, 1, 0, 3};

    fixture_t *f = fixture_new(&(fixture_spec_t){
        .count = 6, .endpoints = e, .nsubsets = 4, .subsets = named});
    const mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);

    assert_int_equal(view->nsubsets, 5);
    assert_int_equal(view->subsets[0].count, 6);

    for (unsigned i = 0; i < 4; i++) {
        mesh_str_t name = mesh_str_from(named[i].name);
        const mesh_view_subset_t *subset =
            mesh_view_subset(view, name, mesh_hash32(name.data, name.len));

        assert_ptr_equal(subset, &view->subsets[i + 1]);
        assert_int_equal(subset->members, counts[i]);
        assert_int_equal(subset->count, counts[i]);
        assert_memory_equal(subset->groups->pick, want[i],
                            counts[i] * sizeof(uint32_t));
    }

    const mesh_view_subset_t *v2 = &view->subsets[4];
    assert_false(v2->groups->equal);
    assert_int_equal(v2->groups->upto[0], 1);
    assert_int_equal(v2->groups->upto[1], 4);
    assert_int_equal(v2->groups->upto[2], 5);
    assert_null(mesh_view_subset(view, MESH_STR("v9"), mesh_hash32("v9", 2)));
    fixture_free(f);
}

static const mesh_view_subset_t *ask(const mesh_cluster_view_t *view,
                                     const char *name) {
    return mesh_view_subset(view, mesh_str_from(name),
                            mesh_hash32(name, strlen(name)));
}

/* By what a subset is, not by who of it is usable. */
static void test_fallback(void **state) {
    (void)state;
    fixture_endpoint_t e[] = {{.id = 0, .weight = 1, .labels = "v=1"},
                              {.id = 1,
                               .weight = 1,
                               .labels = "v=2",
                               .health = MESH_HEALTH_UNHEALTHY}};
    fixture_subset_t named[] = {
        {"empty", "v=9"}, {"one", "v=1"}, {"out", "v=2"}};

    for (uint32_t fallback = 0; fallback < MESH_FALLBACK_SUBSET + 3;
         fallback++) {
        fixture_t *f = fixture_new(&(fixture_spec_t){.count = 2,
                                                     .endpoints = e,
                                                     .nsubsets = 3,
                                                     .subsets = named,
                                                     .fallback = fallback});
        const mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);
        const mesh_view_subset_t *instead =
            fallback ? &view->subsets[fallback - 1] : NULL;

        assert_ptr_equal(ask(view, "one"), &view->subsets[2]);
        assert_ptr_equal(ask(view, "out"), &view->subsets[3]);
        assert_ptr_equal(ask(view, "nobody's"), instead);
        assert_ptr_equal(ask(view, "empty"),
                         instead ? instead : &view->subsets[1]);
        assert_ptr_equal(ask(view, ""), &view->subsets[0]);
        fixture_free(f);
    }

    fixture_t *f = fixture_new(&(fixture_spec_t){
        .count = 2, .endpoints = e, .fallback = MESH_FALLBACK_ANY});
    const mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);
    assert_ptr_equal(ask(view, "v9"), &view->subsets[0]);
    fixture_free(f);
}

/* Priorities by distance, within those that are told; without gaps. */
static void test_failover(void **state) {
    (void)state;
    fixture_endpoint_t e[] = {
        {.id = 0, .weight = 1, .zone = "eu/a/2"},
        {.id = 1, .weight = 1, .zone = "eu/a/1"},
        {.id = 2, .weight = 1, .zone = "us/a/1"},
        {.id = 3, .weight = 1, .zone = "eu/b/1"},
        {.id = 4, .weight = 1},
        {.id = 5, .weight = 1, .zone = "eu/a/1", .priority = 1},
        {.id = 6, .weight = 1, .zone = "us/c", .priority = 1},
    };
    static const struct {
        const char *node;
        uint32_t priorities[7];
    } rows[] = {
        {"eu/a/1", {1, 0, 3, 2, 3, 4, 5}}, {"eu/a", {0, 0, 2, 1, 2, 3, 4}},
        {"a", {0, 0, 0, 1, 1, 2, 3}},      {"eu/", {0, 0, 1, 0, 1, 2, 3}},
        {"xx/y/z", {0, 0, 0, 0, 0, 1, 1}}, {NULL, {0, 0, 0, 0, 0, 1, 1}},
    };
    mesh_rec_lb_t params = {.flags = MESH_LB_FAILOVER};

    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        fixture_t *f = fixture_new(&(fixture_spec_t){.count = 7,
                                                     .endpoints = e,
                                                     .params = params,
                                                     .node = rows[i].node});
        const mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);

        for (uint32_t k = 0; k < 7; k++) {
            assert_int_equal(view->endpoints[k].priority,
                             rows[i].priorities[k]);
        }
        assert_int_equal(view->subsets[0].groups[0].points, 100);
        fixture_free(f);
    }

    /* Of one that does not ask for it, the node is nobody's business. */
    fixture_t *f = fixture_new(
        &(fixture_spec_t){.count = 7, .endpoints = e, .node = "eu/a/1"});
    assert_int_equal(fixture_view(f, NULL, NOW)->subsets[0].ngroups, 2);
    fixture_free(f);
}

/* The most that there can be: 128 priorities, four distances each. */
static void test_failover_of_all_priorities(void **state) {
    (void)state;
    static const char *const where[] = {"eu/a/1", "eu/a/2", "eu/b", "us/a"};
    fixture_endpoint_t e[512] = {{0}};

    for (uint32_t i = 0; i < 512; i++) {
        e[i] = (fixture_endpoint_t){.id = i,
                                    .weight = 1,
                                    .priority = i / 4,
                                    .zone = where[i % 4],
                                    .health = MESH_HEALTH_UNHEALTHY};
    }
    e[511].health = MESH_HEALTH_HEALTHY;
    fixture_t *f =
        fixture_new(&(fixture_spec_t){.count = 512,
                                      .endpoints = e,
                                      .params = {.flags = MESH_LB_FAILOVER},
                                      .node = "eu/a/1"});
    const mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);
    const mesh_view_subset_t *all = &view->subsets[0];

    assert_int_equal(all->ngroups, 512);
    assert_int_equal(all->groups[511].points, 100);
    assert_int_equal(all->groups[511].priority, 511);
    assert_int_equal(all->count, 1);
    fixture_free(f);
}

/* A view of several groups needs memory for them, too. */
static void test_no_memory_for_groups(void **state) {
    (void)state;
    fixture_endpoint_t e[] = {
        {.id = 0, .weight = 1, .labels = "v=1"},
        {.id = 1, .weight = 1, .labels = "v=1", .priority = 1}};
    fixture_subset_t named[] = {{"all", "v=1"}};
    fixture_t *f = fixture_new(&(fixture_spec_t){
        .count = 2, .endpoints = e, .nsubsets = 1, .subsets = named});

    for (unsigned limit = 0; limit < 3; limit++) {
        f->limit = limit;
        assert_null(fixture_view(f, NULL, NOW));
    }
    f->limit = 3;
    assert_non_null(fixture_view(f, NULL, NOW));
    fixture_free(f);
}

/*
 * Brute force over percentages: panic iff usable/members < percent/100, and
 * there is not enough of it with what is provisioned over.
 */
static void test_panic_threshold(void **state) {
    (void)state;

    for (uint32_t n = 1; n <= 10; n++) {
        for (uint32_t bad = 0; bad <= n; bad++) {
            for (unsigned percent = 0; percent <= 100; percent += 5) {
                fixture_endpoint_t e[10] = {0};
                for (uint32_t i = 0; i < n; i++) {
                    e[i].id = i;
                    e[i].weight = 1;
                    e[i].health =
                        i < bad ? MESH_HEALTH_UNHEALTHY : MESH_HEALTH_HEALTHY;
                }
                fixture_t *f = fixture_new(
                    &(fixture_spec_t){.count = n,
                                      .endpoints = e,
                                      .panic_percent = (uint8_t)percent});
                const mesh_view_subset_t *all =
                    &fixture_view(f, NULL, NOW)->subsets[0];
                bool panic = (double)(n - bad) / n < percent / 100.0 - 1e-9 &&
                             (n - bad) * 140 / n < 100;

                assert_true(all->panic == panic);
                assert_int_equal(all->usable, n - bad);
                assert_int_equal(all->count, panic ? n : n - bad);
                fixture_free(f);
            }
        }
    }
}

static void test_priorities(void **state) {
    (void)state;
    fixture_endpoint_t e[] = {{.id = 0, .weight = 1, .priority = 1},
                              {.id = 1, .weight = 1, .priority = 0},
                              {.id = 2, .weight = 1, .priority = 0},
                              {.id = 3, .weight = 1, .priority = 2}};
    fixture_spec_t spec = {.count = 4, .endpoints = e};

    fixture_t *f = fixture_new(&spec);
    const mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);
    const mesh_view_subset_t *all = &view->subsets[0];
    assert_int_equal(all->count, 4);
    assert_int_equal(all->ngroups, 3);
    assert_int_equal(all->groups[0].points, all->points);
    assert_int_equal(all->groups[0].count, 2);
    assert_int_equal(all->groups[0].pick[0], 1);
    assert_int_equal(all->groups[1].points, 0);
    assert_int_equal(view->endpoints[0].out, MESH_OUT_PRIORITY);
    assert_int_equal(view->endpoints[3].out, MESH_OUT_PRIORITY);
    fixture_free(f);

    e[1].health = e[2].health = MESH_HEALTH_UNHEALTHY;
    f = fixture_new(&spec);
    view = fixture_view(f, NULL, NOW);
    all = &view->subsets[0];
    assert_int_equal(all->count, 2);
    assert_int_equal(all->usable, 2);
    assert_int_equal(all->groups[0].points, 0);
    assert_int_equal(all->groups[1].points, all->points);
    assert_int_equal(all->groups[1].pick[0], 0);
    assert_int_equal(view->endpoints[0].out, 0);
    assert_int_equal(view->endpoints[1].out, MESH_OUT_HEALTH);
    assert_int_equal(view->endpoints[3].out, MESH_OUT_PRIORITY);
    fixture_free(f);
}

static void test_ejection_in_and_out(void **state) {
    (void)state;
    fixture_t *f = fixture_new(&(fixture_spec_t){.count = 4});
    mesh_runtime_t rt;
    fixture_runtime(&rt);

    mesh_cluster_view_t *view = fixture_view(f, &rt, NOW);
    assert_int_equal(view->subsets[0].count, 4);
    assert_true(
        mesh_cluster_view_current(view, f->bind, &f->health, NOW + 99999));

    assert_int_equal(eject(&rt, 2, 4, NOW + 500), MESH_OK);
    assert_true(mesh_cluster_view_current(view, f->bind, &f->health, NOW + 9));
    assert_false(
        mesh_cluster_view_current(view, f->bind, &f->health, NOW + 10));

    view = fixture_view(f, &rt, NOW + 10);
    assert_int_equal(view->subsets[0].count, 3);
    assert_int_equal(view->endpoints[2].out, MESH_OUT_EJECTED);
    assert_int_equal(view->next_ms, NOW + 500);
    assert_true(
        mesh_cluster_view_current(view, f->bind, &f->health, NOW + 499));
    assert_false(
        mesh_cluster_view_current(view, f->bind, &f->health, NOW + 500));
    assert_false(
        mesh_cluster_view_current(view, f->bind + 1, &f->health, NOW + 11));

    view = fixture_view(f, &rt, NOW + 500);
    assert_int_equal(view->subsets[0].count, 4);
    assert_int_equal(mesh_cluster_ejected(&rt.clusters[0]), 0);
    assert_int_equal(rt.endpoints[2].ejected, 0);

    fixture_runtime_free(&rt);
    fixture_free(f);
}

static void test_reader_changes_nothing(void **state) {
    (void)state;
    fixture_t *f = fixture_new(&(fixture_spec_t){.count = 4});
    mesh_runtime_t rt;
    fixture_runtime(&rt);

    /* Nothing is claimed yet: foreign slots tell a reader nothing. */
    rt.endpoints[1].ejected = word_until(NOW + 100);
    mesh_cluster_view_t *view = mesh_cluster_view(
        &f->snapshot, f->root, f->bind, &f->health, &rt, false, NOW, &f->arena);
    assert_int_equal(view->subsets[0].count, 4);
    assert_null(view->runtime);
    assert_int_equal(rt.endpoints[1].tag, 0);
    rt.endpoints[1].ejected = 0;

    fixture_view(f, &rt, NOW);
    assert_int_equal(eject(&rt, 1, 4, NOW + 100), MESH_OK);
    assert_int_equal(mprotect(rt.head, rt.size, PROT_READ), 0);

    view = mesh_cluster_view(&f->snapshot, f->root, f->bind, &f->health, &rt,
                             false, NOW + 50, &f->arena);
    assert_int_equal(view->subsets[0].count, 3);
    assert_ptr_equal(view->runtime, &rt.clusters[0]);
    view = mesh_cluster_view(&f->snapshot, f->root, f->bind, &f->health, &rt,
                             false, NOW + 100, &f->arena);
    assert_int_equal(view->subsets[0].count, 4); /* its time is over */
    assert_int_not_equal(rt.endpoints[1].ejected, 0);

    fixture_runtime_free(&rt);
    fixture_free(f);
}

/* Beyond the runtime's sizes: served, as before there was a runtime. */
static void test_no_slot_is_served(void **state) {
    (void)state;
    fixture_endpoint_t e[] = {
        {.id = 0, .weight = 1, .slotless = true},
        {.id = 1, .weight = 1},
        {.id = 2, .weight = 1, .health = MESH_HEALTH_DRAINING},
        {.id = FIXTURE_SLOTS, .weight = 1}};
    fixture_t *f = fixture_new(
        &(fixture_spec_t){.count = 4, .endpoints = e, .panic_percent = 100});
    mesh_runtime_t rt;
    fixture_runtime(&rt);

    const mesh_cluster_view_t *view = fixture_view(f, &rt, NOW);
    assert_int_equal(view->endpoints[0].slot, MESH_SLOT_NONE);
    assert_int_equal(view->endpoints[3].slot, MESH_SLOT_NONE);
    assert_int_equal(view->endpoints[0].out, 0);
    assert_int_equal(view->endpoints[3].out, 0);
    assert_int_equal(view->subsets[0].usable, 3);

    fixture_runtime_free(&rt);
    fixture_free(f);
}

static void test_cluster_without_slot(void **state) {
    (void)state;
    fixture_t *f =
        fixture_new(&(fixture_spec_t){.count = 2, .slot = MESH_SLOT_NONE});
    mesh_runtime_t rt;
    fixture_runtime(&rt);

    const mesh_cluster_view_t *view = fixture_view(f, &rt, NOW);
    assert_null(view->runtime);
    assert_int_equal(view->slot, MESH_SLOT_NONE);
    assert_int_equal(view->subsets[0].count, 2);

    fixture_runtime_free(&rt);
    fixture_free(f);
}

/* --- health words --------------------------------------------------------- */

static void set_health(fixture_t *f, uint32_t id, uint32_t bits) {
    uint64_t cluster =
        mesh_runtime_tag(mesh_hash64("reviews", strlen("reviews")));
    const mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);

    for (uint32_t i = 0; i < view->total; i++) {
        if (view->endpoints[i].slot == id) {
            (void)mesh_health_set(
                &f->health, id,
                mesh_endpoint_tag(&f->snapshot, cluster,
                                  view->endpoints[i].endpoint),
                cluster, bits);
        }
    }
}

static void health_new(fixture_t *f) {
    void *base = calloc(1, mesh_health_size(64));
    assert_non_null(base);
    mesh_health_head(base, 64, 7);
    assert_int_equal(mesh_health_init(&f->health, base, mesh_health_size(64)),
                     MESH_OK);
}

static void health_free(fixture_t *f) {
    free(f->health.head);
    f->health = (mesh_health_t){.head = NULL};
}

static void test_drained_in_and_out(void **state) {
    (void)state;
    fixture_t *f =
        fixture_new(&(fixture_spec_t){.count = 4, .panic_percent = 100});
    mesh_runtime_t rt;
    fixture_runtime(&rt);

    /* A file that comes is a change; without one nobody is out. */
    mesh_cluster_view_t *view = fixture_view(f, &rt, NOW);
    assert_int_equal(view->subsets[0].count, 4);
    health_new(f);
    assert_false(
        mesh_cluster_view_current(view, f->bind, &f->health, NOW + 10));
    view = fixture_view(f, &rt, NOW);
    assert_true(
        mesh_cluster_view_current(view, f->bind, &f->health, NOW + 99999));

    set_health(f, 2, MESH_HEALTH_DRAINED);
    assert_true(mesh_cluster_view_current(view, f->bind, &f->health, NOW + 9));
    assert_false(
        mesh_cluster_view_current(view, f->bind, &f->health, NOW + 10));
    view = fixture_view(f, &rt, NOW + 10);
    assert_int_equal(view->endpoints[2].out, MESH_OUT_DRAINED);
    assert_int_equal(view->subsets[0].count, 3);
    assert_false(view->subsets[0].panic); /* three of three are usable */

    set_health(f, 2, 0);
    assert_false(
        mesh_cluster_view_current(view, f->bind, &f->health, NOW + 20));
    assert_int_equal(fixture_view(f, &rt, NOW + 20)->subsets[0].count, 4);

    fixture_runtime_free(&rt);
    health_free(f);
    fixture_free(f);
}

/* A drain is a wish: no panic by it, and none that overrules it. */
static void test_drained_and_panic(void **state) {
    (void)state;
    fixture_endpoint_t e[] = {
        {.id = 0, .weight = 1},
        {.id = 1, .weight = 1},
        {.id = 2, .weight = 1, .health = MESH_HEALTH_UNHEALTHY},
        {.id = 3, .weight = 1, .health = MESH_HEALTH_UNHEALTHY}};
    fixture_t *f = fixture_new(
        &(fixture_spec_t){.count = 4, .endpoints = e, .panic_percent = 50});
    health_new(f);

    assert_false(fixture_view(f, NULL, NOW)->subsets[0].panic); /* 2 of 4 */
    set_health(f, 0, MESH_HEALTH_DRAINED);
    const mesh_view_subset_t *all = &fixture_view(f, NULL, NOW)->subsets[0];
    assert_true(all->panic); /* 1 of 3 */
    assert_int_equal(all->count, 3);
    assert_int_equal(all->groups->pick[0], 1);

    for (uint32_t i = 1; i < 4; i++) {
        set_health(f, i, MESH_HEALTH_DRAINED | MESH_HEALTH_CHECK);
    }
    all = &fixture_view(f, NULL, NOW)->subsets[0];
    assert_int_equal(all->count, 0);
    assert_false(all->panic);
    health_free(f);
    fixture_free(f);
}

/* Bits of the slot's former owner, and of slots past the file, say nothing. */
static void test_health_of_somebody_else(void **state) {
    (void)state;
    fixture_endpoint_t e[] = {{.id = 5, .weight = 1}, {.id = 64, .weight = 1}};
    fixture_t *f = fixture_new(&(fixture_spec_t){.count = 2, .endpoints = e});
    health_new(f);
    (void)mesh_health_set(&f->health, 5, 0x123456789, 0, MESH_HEALTH_DRAINED);
    assert_int_equal(fixture_view(f, NULL, NOW)->subsets[0].count, 2);

    /* The other causes are one reason, known or not. */
    set_health(f, 5, 0x80);
    assert_int_equal(fixture_view(f, NULL, NOW)->endpoints[0].out,
                     MESH_OUT_HEALTH);
    health_free(f);
    fixture_free(f);
}

/* An ejected endpoint that leaves takes its place in the count with it. */
static void test_ejected_endpoint_leaves(void **state) {
    (void)state;
    fixture_endpoint_t e[] = {
        {.id = 0, .weight = 1}, {.id = 2, .weight = 1}, {.id = 3, .weight = 1}};
    fixture_t *before = fixture_new(&(fixture_spec_t){.count = 4});
    fixture_t *after =
        fixture_new(&(fixture_spec_t){.count = 3, .endpoints = e});
    mesh_runtime_t rt;
    fixture_runtime(&rt);

    fixture_view(before, &rt, NOW);
    assert_int_equal(eject(&rt, 1, 4, NOW + 1000), MESH_OK);
    assert_int_equal(eject(&rt, 3, 4, NOW + 1000), MESH_OK);
    assert_int_equal(mesh_cluster_ejected(&rt.clusters[0]), 2);

    fixture_view(after, &rt, NOW + 20);
    assert_int_equal(mesh_cluster_ejected(&rt.clusters[0]), 1);

    /* It comes back while its time runs: out still, and counted. */
    mesh_cluster_view_t *view = fixture_view(before, &rt, NOW + 40);
    assert_int_equal(mesh_cluster_ejected(&rt.clusters[0]), 2);
    assert_int_equal(view->subsets[0].count, 2);

    /* Another cluster gets its slot: clean, and the count follows. */
    fixture_t *other =
        fixture_new(&(fixture_spec_t){.name = "x", .slot = 1, .count = 4});
    view = fixture_view(other, &rt, NOW + 60);
    assert_int_equal(view->subsets[0].count, 4);
    assert_int_equal(mesh_cluster_ejected(&rt.clusters[1]), 0);
    fixture_view(after, &rt, NOW + 60);
    assert_int_equal(mesh_cluster_ejected(&rt.clusters[0]), 0);

    fixture_runtime_free(&rt);
    fixture_free(other);
    fixture_free(after);
    fixture_free(before);
}

/* A count that a dead worker left too high: put right once it is reaped. */
static void test_recount_waits_for_pending(void **state) {
    (void)state;
    fixture_t *f = fixture_new(&(fixture_spec_t){.count = 4});
    mesh_runtime_t rt;
    fixture_runtime(&rt);

    fixture_view(f, &rt, NOW);
    rt.workers[2].state = MESH_WORKER_LIVE; /* dies after making room */
    rt.workers[2].pending_cluster = 1;
    rt.workers[2].pending_endpoint = 2;
    rt.clusters[0].ejections += (UINT64_C(1) << 32) + 1;

    mesh_cluster_view_t *view = fixture_view(f, &rt, NOW + 20);
    assert_int_equal(mesh_cluster_ejected(&rt.clusters[0]), 1);

    mesh_runtime_reap(&rt, 2);
    assert_false(
        mesh_cluster_view_current(view, f->bind, &f->health, NOW + 40));
    fixture_view(f, &rt, NOW + 40);
    assert_int_equal(mesh_cluster_ejected(&rt.clusters[0]), 0);

    fixture_runtime_free(&rt);
    fixture_free(f);
}

/* All of them: the first and the last, too. */
static void test_recount_of_all(void **state) {
    (void)state;
    fixture_t *f = fixture_new(&(fixture_spec_t){.count = 4});
    mesh_runtime_t rt;
    fixture_runtime(&rt);

    fixture_view(f, &rt, NOW);
    assert_int_equal(eject(&rt, 0, 4, NOW + 1000), MESH_OK);
    assert_int_equal(eject(&rt, 3, 4, NOW + 1000), MESH_OK);
    rt.clusters[0].ejections += (UINT64_C(1) << 32) + 1;
    assert_int_equal(mesh_cluster_ejected(&rt.clusters[0]), 3);

    mesh_cluster_view_t *view = fixture_view(f, &rt, NOW + 20);
    assert_int_equal(mesh_cluster_ejected(&rt.clusters[0]), 2);
    assert_int_equal(view->subsets[0].count, 2);

    fixture_runtime_free(&rt);
    fixture_free(f);
}

/* What tables are made of: all with a weight, whether they are out or not. */
static void test_hashed_members(void **state) {
    (void)state;
    fixture_endpoint_t e[] = {{.id = 0, .weight = 1},
                              {.id = 1, .weight = 0},
                              {.id = 2, .weight = 3},
                              {.id = 3, .weight = 1}};
    fixture_t *f = fixture_new(
        &(fixture_spec_t){.lb = MESH_LB_MAGLEV, .count = 4, .endpoints = e});
    mesh_runtime_t rt;
    fixture_runtime(&rt);

    for (unsigned ejected = 0; ejected < 2; ejected++) {
        mesh_cluster_view_t *view = fixture_view(f, &rt, NOW + 20 * ejected);
        const mesh_view_subset_t *subset = &view->subsets[0];

        assert_int_equal(subset->count, 3 - ejected);
        assert_int_equal(subset->groups[0].nhashed, 3);
        assert_int_equal(subset->groups[0].hashed[0], 0);
        assert_int_equal(subset->groups[0].hashed[1], 2);
        assert_int_equal(subset->groups[0].hashed[2], 3);
        if (ejected == 0) {
            assert_int_equal(eject(&rt, 2, 4, NOW + 1000), MESH_OK);
        }
    }

    fixture_runtime_free(&rt);
    fixture_free(f);
}

static void test_large(void **state) {
    (void)state;
    fixture_t *f = fixture_new(&(fixture_spec_t){.count = 10000});
    mesh_runtime_t rt;
    fixture_runtime(&rt);

    const mesh_cluster_view_t *view = fixture_view(f, &rt, NOW);
    assert_int_equal(view->total, 10000);
    assert_int_equal(view->subsets[0].count, 10000);
    assert_true(view->subsets[0].groups->equal);
    for (uint32_t i = 0; i < 10000; i++) {
        assert_int_equal(view->subsets[0].groups->pick[i], i);
        assert_int_equal(view->endpoints[i].slot, i);
    }

    fixture_runtime_free(&rt);
    fixture_free(f);
}

static void test_endpoint_text(void **state) {
    (void)state;
    mesh_snapshot_t s = {0};
    char out[64];
    mesh_endpoint_t e = {
        .family = MESH_FAMILY_IPV4, .port = 9080, .addr = {127, 0, 1, 1}};

    assert_int_equal(mesh_endpoint_text(&s, &e, out, sizeof(out)), 14);
    assert_string_equal(out, "127.0.1.1:9080");
    assert_int_equal(mesh_endpoint_text(&s, &e, out, 5), 14);
    assert_string_equal(out, "127.");
    assert_int_equal(mesh_endpoint_text(&s, &e, NULL, 0), 14);

    mesh_endpoint_t six = {
        .family = MESH_FAMILY_IPV6, .port = 80, .addr = {[15] = 1}};
    assert_int_equal(mesh_endpoint_text(&s, &six, out, sizeof(out)), 8);
    assert_string_equal(out, "[::1]:80");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bind),
        cmocka_unit_test(test_tags_differ),
        cmocka_unit_test(test_usable_predicate),
        cmocka_unit_test(test_empty_cluster),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_weights_and_sums),
        cmocka_unit_test(test_all_weights_zero),
        cmocka_unit_test(test_weight_zero_is_no_panic),
        cmocka_unit_test(test_subsets_by_labels),
        cmocka_unit_test(test_fallback),
        cmocka_unit_test(test_failover),
        cmocka_unit_test(test_failover_of_all_priorities),
        cmocka_unit_test(test_no_memory_for_groups),
        cmocka_unit_test(test_panic_threshold),
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_ejection_in_and_out),
        cmocka_unit_test(test_reader_changes_nothing),
        cmocka_unit_test(test_no_slot_is_served),
        cmocka_unit_test(test_cluster_without_slot),
        cmocka_unit_test(test_drained_in_and_out),
        cmocka_unit_test(test_drained_and_panic),
        cmocka_unit_test(test_health_of_somebody_else),
        cmocka_unit_test(test_ejected_endpoint_leaves),
        cmocka_unit_test(test_recount_waits_for_pending),
        cmocka_unit_test(test_recount_of_all),
        cmocka_unit_test(test_hashed_members),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_endpoint_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
