/* SPDX-License-Identifier: Apache-2.0 */

/* Slots, gauges and ejections, by several processes at once. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "mesh_runtime.h"
#include "rng.h"
#include "runtime_memory.h"

#define WORKERS 6
#define CLUSTERS 8
#define ENDPOINTS 64
#define FAR UINT64_C(1000000)

static const mesh_runtime_sizes_t sizes = {WORKERS, CLUSTERS, 4, ENDPOINTS};

static int setup(void **state) {
    return runtime_memory_setup(state, &sizes, 5);
}

static uint64_t out_until(uint64_t ms) {
    return mesh_ejected_word(ms, MESH_EJECTED_5XX);
}

static uint32_t count_flags(const mesh_runtime_t *rt, uint32_t n) {
    uint32_t flags = 0;
    for (uint32_t i = 0; i < n; i++) {
        flags += mesh_load_acquire(&rt->endpoints[i].ejected) != 0;
    }
    return flags;
}

/* --- layout --------------------------------------------------------------- */

static void test_size(void **state) {
    (void)state;
    mesh_runtime_sizes_t s = {1, 1, 1, 1};
    assert_int_equal(mesh_runtime_size(&s), 4096 + 256 + 256 + 128 + 128 + 8);

    mesh_runtime_sizes_t standard = {MESH_RUNTIME_WORKERS,
                                     MESH_RUNTIME_CLUSTERS, MESH_RUNTIME_ROUTES,
                                     MESH_RUNTIME_ENDPOINTS};
    assert_true(mesh_runtime_size(&standard) < UINT64_C(64) << 20);

    for (unsigned field = 0; field < 4; field++) {
        uint32_t bad[] = {0, UINT32_MAX, MESH_RUNTIME_SLOTS_MAX + 1};
        for (unsigned i = 0; i < mesh_nelts(bad); i++) {
            mesh_runtime_sizes_t b = s;
            ((uint32_t *)&b)[field] = bad[i];
            assert_int_equal(mesh_runtime_size(&b), 0);
        }
    }
}

static void test_init_checks(void **state) {
    mesh_runtime_t *rt = *state, other;
    mesh_runtime_head_t *head = rt->head, saved = *head;
    mesh_runtime_sizes_t want = sizes;

    assert_int_equal(mesh_runtime_init(&other, head, rt->size, &want, false, 0),
                     MESH_OK);
    assert_ptr_equal(other.ledgers, rt->ledgers);
    assert_int_equal(other.worker, MESH_SLOT_NONE);
    assert_int_equal(mesh_runtime_init(&other, head, rt->size, NULL, false, 0),
                     MESH_OK);

    want.routes++;
    assert_int_equal(mesh_runtime_init(&other, head, rt->size, &want, false, 0),
                     MESH_DECLINED);
    assert_int_equal(
        mesh_runtime_init(&other, head, rt->size - 1, NULL, false, 0),
        MESH_CORRUPT);
    assert_int_equal(mesh_runtime_init(&other, head, 4095, NULL, false, 0),
                     MESH_CORRUPT);

    head->magic[3] ^= 1;
    assert_int_equal(mesh_runtime_init(&other, head, rt->size, NULL, false, 0),
                     MESH_CORRUPT);
    *head = saved;
    head->version++;
    assert_int_equal(mesh_runtime_init(&other, head, rt->size, NULL, false, 0),
                     MESH_VERSION);
    *head = saved;
    head->endpoints++;
    assert_int_equal(mesh_runtime_init(&other, head, rt->size, NULL, false, 0),
                     MESH_CORRUPT);
    *head = saved;

    assert_int_equal(mesh_runtime_init(&other, head, 5000, &sizes, true, 0),
                     MESH_NO_SPACE);
    want = (mesh_runtime_sizes_t){0};
    assert_int_equal(mesh_runtime_init(&other, head, rt->size, &want, true, 0),
                     MESH_ERROR);
    assert_int_equal(mesh_runtime_init(&other, head, rt->size, NULL, true, 0),
                     MESH_ERROR);
}

/* Each slot is written through its own pointer: nothing overlaps. */
static void test_arrays_do_not_overlap(void **state) {
    mesh_runtime_t *rt = *state;
    uint8_t *end = (uint8_t *)rt->head + rt->size;

    memset(rt->workers, 1, sizeof(*rt->workers) * WORKERS);
    memset(rt->clusters, 2, sizeof(*rt->clusters) * CLUSTERS);
    memset(rt->routes, 3, sizeof(*rt->routes) * sizes.routes);
    memset(rt->endpoints, 4, sizeof(*rt->endpoints) * ENDPOINTS);
    memset(rt->ledgers, 5, WORKERS * (ENDPOINTS + CLUSTERS) * 4);

    assert_int_equal(rt->workers[WORKERS - 1].reserved[10], 1);
    assert_int_equal(rt->clusters[CLUSTERS - 1].reserved[0], 2);
    assert_int_equal(rt->routes[sizes.routes - 1].reserved[0], 3);
    assert_int_equal(rt->endpoints[ENDPOINTS - 1].since_ms & 0xff, 4);
    assert_int_equal(end[-1], 5);
    assert_int_equal(rt->head->version, MESH_RUNTIME_VERSION);
}

/* --- tags ------------------------------------------------------------------
 */

static void test_claim(void **state) {
    mesh_runtime_t *rt = *state;

    assert_null(mesh_runtime_claim_cluster(rt, MESH_SLOT_NONE, 1));
    assert_null(mesh_runtime_claim_endpoint(rt, ENDPOINTS, 1));
    assert_null(mesh_runtime_claim_route(rt, sizes.routes, 1));

    mesh_endpoint_slot_t *e = mesh_runtime_claim_endpoint(rt, 3, 77);
    assert_ptr_equal(e, &rt->endpoints[3]);
    e->attempts = 9;
    assert_int_equal(mesh_runtime_claim_endpoint(rt, 3, 77)->attempts, 9);

    memset(e, 0xee, sizeof(*e));
    e->in_flight = 5; /* of attempts that go on */
    mesh_endpoint_slot_t clean = {.tag = 78, .in_flight = 5};
    assert_memory_equal(mesh_runtime_claim_endpoint(rt, 3, 78), &clean,
                        sizeof(clean));

    mesh_cluster_slot_t *c = mesh_runtime_claim_cluster(rt, 1, 7);
    memset(c, 0xee, sizeof(*c));
    c->in_flight = 6;
    mesh_cluster_slot_t clean_cluster = {.tag = 8, .in_flight = 6};
    assert_memory_equal(mesh_runtime_claim_cluster(rt, 1, 8), &clean_cluster,
                        sizeof(clean_cluster));

    mesh_route_slot_t *r = mesh_runtime_claim_route(rt, 1, 7);
    memset(r, 0xee, sizeof(*r));
    mesh_route_slot_t clean_route = {.tag = 8};
    assert_memory_equal(mesh_runtime_claim_route(rt, 1, 8), &clean_route,
                        sizeof(clean_route));
}

/* A worker died in the middle of a reset: the next one finishes it. */
static void test_claim_helps_out(void **state) {
    mesh_runtime_t *rt = *state;
    mesh_endpoint_slot_t clean = {.tag = 5};

    memset(&rt->endpoints[0], 0xee, sizeof(clean));
    rt->endpoints[0].in_flight = 0;
    rt->endpoints[0].tag = MESH_TAG_BUSY;
    assert_memory_equal(mesh_runtime_claim_endpoint(rt, 0, 5), &clean,
                        sizeof(clean));
}

static void test_tags_are_never_special(void **state) {
    (void)state;
    assert_int_equal(mesh_runtime_tag(0), 1);
    assert_int_equal(mesh_runtime_tag(MESH_TAG_BUSY), 1);
    assert_int_equal(mesh_runtime_tag(42), 42);
}

/* Runs `body` in processes of their own, all at once; 0 from each. */
static void run_together(mesh_runtime_t *rt, unsigned processes,
                         int (*body)(mesh_runtime_t *rt, unsigned number)) {
    pid_t pids[WORKERS];
    uint64_t *gate = &rt->routes[0].ticket;

    mesh_store_release(gate, 0);
    for (unsigned i = 0; i < processes; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            rt->worker = i;
            mesh_fetch_add(gate, 1);
            while (mesh_load_acquire(gate) < processes) {
            }
            _exit(body(rt, i));
        }
    }
    for (unsigned i = 0; i < processes; i++) {
        int status = -1;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
}

/* Nobody ever sees the old content under the new tag. */
static int claim_body(mesh_runtime_t *rt, unsigned number) {
    (void)number;
    for (uint32_t i = 0; i < ENDPOINTS; i++) {
        mesh_endpoint_slot_t *e = mesh_runtime_claim_endpoint(rt, i, 1000 + i);
        if (mesh_load_acquire(&e->ejected) != 0 || e->times_ejected != 0 ||
            e->in_flight != i) {
            return 1;
        }
    }
    return 0;
}

static void test_claim_together(void **state) {
    mesh_runtime_t *rt = *state;

    for (unsigned round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < ENDPOINTS; i++) {
            memset(&rt->endpoints[i], 0xee, sizeof(rt->endpoints[i]));
            rt->endpoints[i].in_flight = i;
        }
        run_together(rt, 3, claim_body);
    }
}

/* --- gauges ----------------------------------------------------------------
 */

/* Random attempts of all workers; then they die one by one. */
static void test_reap_gives_back(void **state) {
    mesh_runtime_t *rt = *state;
    static uint32_t held[WORKERS][ENDPOINTS], attempts[WORKERS][CLUSTERS];
    rng_t seed = {1};

    memset(held, 0, sizeof(held));
    memset(attempts, 0, sizeof(attempts));
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t w = rng_next(&seed) % WORKERS;
        uint32_t e = rng_next(&seed) % ENDPOINTS, c = e % CLUSTERS;
        rt->worker = w;
        if (held[w][e] == 0 || rng_next(&seed) % 2) {
            mesh_runtime_begin(rt, c, e);
            held[w][e]++;
            attempts[w][c]++;
        } else {
            mesh_runtime_end(rt, c, e);
            held[w][e]--;
            attempts[w][c]--;
        }
    }

    for (unsigned dead = 0; dead <= WORKERS; dead++) {
        for (uint32_t e = 0; e < ENDPOINTS; e++) {
            uint32_t sum = 0;
            for (unsigned w = dead; w < WORKERS; w++) {
                sum += held[w][e];
            }
            assert_int_equal(rt->endpoints[e].in_flight, sum);
        }
        for (uint32_t c = 0; c < CLUSTERS; c++) {
            uint64_t sum = 0;
            for (unsigned w = dead; w < WORKERS; w++) {
                sum += attempts[w][c];
            }
            assert_int_equal(rt->clusters[c].in_flight, sum);
        }
        mesh_runtime_reap(rt, dead);
    }
    for (uint32_t i = 0; i < WORKERS * (ENDPOINTS + CLUSTERS); i++) {
        assert_int_equal(rt->ledgers[i], 0);
    }
}

static void test_gauges_never_underflow(void **state) {
    mesh_runtime_t *rt = *state;
    mesh_runtime_end(rt, 1, 2);
    assert_int_equal(rt->endpoints[2].in_flight, 0);
    assert_int_equal(rt->clusters[1].in_flight, 0);

    /* The ledger of one that died between two stores says one too many. */
    mesh_runtime_begin(rt, 1, 2);
    rt->ledgers[2] = 3;
    mesh_runtime_reap(rt, 0);
    assert_int_equal(rt->endpoints[2].in_flight, 0);
    assert_int_equal(rt->clusters[1].in_flight, 0);
}

static void test_no_slot_no_gauge(void **state) {
    mesh_runtime_t *rt = *state;
    mesh_runtime_begin(rt, MESH_SLOT_NONE, MESH_SLOT_NONE);
    mesh_runtime_begin(rt, CLUSTERS, 1);
    assert_int_equal(rt->endpoints[1].in_flight, 1);
    mesh_runtime_end(rt, CLUSTERS, 1);
    mesh_runtime_end(rt, MESH_SLOT_NONE, MESH_SLOT_NONE);
    rt->worker = MESH_SLOT_NONE;
    mesh_runtime_begin(rt, 1, 1);
    assert_int_equal(rt->endpoints[1].in_flight, 0);
    mesh_runtime_reap(rt, WORKERS); /* no such slot: nothing */
}

/* Rows that were never used are holes and are not read. */
static void test_high_water_marks(void **state) {
    mesh_runtime_t *rt = *state;
    mesh_runtime_begin(rt, 2, 10);
    mesh_runtime_begin(rt, 1, 4);
    assert_int_equal(rt->workers[0].high_endpoint, 11);
    assert_int_equal(rt->workers[0].high_cluster, 3);

    rt->endpoints[11].in_flight = 1;
    rt->ledgers[11] = 1;
    mesh_runtime_reap(rt, 0);
    assert_int_equal(rt->endpoints[10].in_flight, 0);
    assert_int_equal(rt->endpoints[11].in_flight, 1);
    assert_int_equal(rt->workers[0].high_endpoint, 0);
}

static int attempts_body(mesh_runtime_t *rt, unsigned number) {
    rng_t seed = {number + 100};
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t e = rng_next(&seed) % 4;
        mesh_runtime_begin(rt, 0, e);
        mesh_runtime_end(rt, 0, e);
    }
    mesh_runtime_begin(rt, 0, number);
    return 0;
}

static void test_gauges_together(void **state) {
    mesh_runtime_t *rt = *state;
    run_together(rt, 4, attempts_body);
    for (uint32_t e = 0; e < 4; e++) {
        assert_int_equal(rt->endpoints[e].in_flight, 1);
    }
    assert_int_equal(rt->clusters[0].in_flight, 4);
    for (uint32_t w = 0; w < 4; w++) {
        mesh_runtime_reap(rt, w);
    }
    assert_int_equal(rt->clusters[0].in_flight, 0);
}

/* --- ejections -------------------------------------------------------------
 */

/* Brute force: exactly floor(percent * total / 100) can be out. */
static void test_percent_arithmetic(void **state) {
    mesh_runtime_t *rt = *state;

    for (uint32_t total = 1; total <= ENDPOINTS; total++) {
        for (uint32_t percent = 0; percent <= 100; percent++) {
            uint32_t out = 0;
            memset(rt->endpoints, 0, sizeof(*rt->endpoints) * ENDPOINTS);
            memset(rt->clusters, 0, sizeof(*rt->clusters));

            for (uint32_t e = 0; e < total; e++) {
                mesh_status_t rc = mesh_runtime_eject(rt, 0, e, total, percent,
                                                      out_until(FAR), 1);
                assert_true(rc == MESH_OK || rc == MESH_BUSY);
                out += rc == MESH_OK;
            }
            assert_int_equal(out, percent * total / 100);
            assert_int_equal(mesh_cluster_ejected(&rt->clusters[0]), out);
            assert_int_equal(count_flags(rt, total), out);
            assert_int_equal(rt->clusters[0].ejections_total, out);
            assert_int_equal(rt->clusters[0].ejections_refused, total - out);
        }
    }
}

static void test_huge_numbers_do_not_wrap(void **state) {
    mesh_runtime_t *rt = *state;
    rt->clusters[0].ejections = UINT32_MAX - 1;
    assert_int_equal(mesh_runtime_eject(rt, 0, 1, 1000, 100, out_until(FAR), 1),
                     MESH_BUSY);
    rt->clusters[0].ejections = 0;
    assert_int_equal(
        mesh_runtime_eject(rt, 0, 1, UINT32_MAX, UINT32_MAX, out_until(FAR), 1),
        MESH_OK);
}

static void test_eject_and_return(void **state) {
    mesh_runtime_t *rt = *state;
    mesh_endpoint_slot_t *e = &rt->endpoints[7];
    uint32_t epoch = mesh_cluster_epoch(&rt->clusters[2]);
    uint64_t seen;

    e->consecutive_5xx = e->consecutive_gateway = e->consecutive_local = 9;
    assert_int_equal(mesh_runtime_eject(rt, 2, 7, 10, 10, out_until(600), 100),
                     MESH_OK);
    assert_int_not_equal(mesh_cluster_epoch(&rt->clusters[2]), epoch);
    assert_int_equal(mesh_ejected_until(e->ejected), 600);
    assert_int_equal(mesh_ejected_why(e->ejected), MESH_EJECTED_5XX);
    assert_int_equal(e->ejected_ms, 100);
    assert_int_equal(e->ejections_total, 1);
    assert_int_equal(rt->workers[0].pending_cluster, 0);

    assert_int_equal(mesh_runtime_eject(rt, 2, 7, 10, 100, out_until(900), 200),
                     MESH_DECLINED);
    assert_int_equal(mesh_runtime_eject(rt, 2, 8, 10, 10, out_until(900), 200),
                     MESH_BUSY);
    assert_int_equal(
        mesh_runtime_eject(rt, CLUSTERS, 8, 10, 10, out_until(900), 200),
        MESH_DECLINED);

    epoch = mesh_cluster_epoch(&rt->clusters[2]);
    assert_false(mesh_runtime_uneject(rt, 2, 7, 599, false));
    assert_int_equal(mesh_cluster_epoch(&rt->clusters[2]), epoch);
    assert_true(mesh_runtime_uneject(rt, 2, 7, 600, false));
    assert_false(mesh_runtime_uneject(rt, 2, 7, 601, false));
    assert_int_not_equal(mesh_cluster_epoch(&rt->clusters[2]), epoch);
    assert_int_equal(mesh_cluster_ejected(&rt->clusters[2]), 0);
    assert_int_equal(e->consecutive_5xx, 0);
    assert_int_equal(e->consecutive_gateway, 0);
    assert_int_equal(e->consecutive_local, 0);

    assert_int_equal(mesh_runtime_eject(rt, 2, 7, 10, 10, out_until(9000), 700),
                     MESH_OK);
    assert_true(mesh_runtime_uneject(rt, 2, 7, 701, true));
    assert_false(mesh_runtime_uneject(rt, 2, ENDPOINTS, 701, true));
    assert_false(mesh_runtime_uneject(rt, CLUSTERS, 7, 701, true));
    assert_int_equal(
        mesh_runtime_eject(rt, 2, ENDPOINTS, 10, 10, out_until(900), 200),
        MESH_DECLINED);
    assert_false(mesh_runtime_recount_begin(rt, CLUSTERS, &seen));
}

#define STRESS_TOTAL 20
#define STRESS_PERCENT 30 /* so 6 of 20 */
#define STRESS_LIMIT 6

/*
 * No epoch passed while the words were read: then as many are out as the
 * cluster says, or fewer, and never more than the limit.
 */
static bool stress_holds(const mesh_runtime_t *rt) {
    uint64_t before = mesh_load_acquire(&rt->clusters[0].ejections);
    uint32_t flags = count_flags(rt, STRESS_TOTAL);
    uint64_t after = mesh_load_acquire(&rt->clusters[0].ejections);
    return (uint32_t)before <= STRESS_LIMIT &&
           (before != after || flags <= (uint32_t)before);
}

static int stress_body(mesh_runtime_t *rt, unsigned number) {
    rng_t seed = {number + 7};
    mesh_runtime_t *mine = rt;

    for (unsigned i = 0; i < 30000; i++) {
        uint32_t e = rng_next(&seed) % STRESS_TOTAL;

        if (number == 0 && i % 2) { /* a recount among all that */
            uint64_t seen;
            if (mesh_runtime_recount_begin(mine, 0, &seen)) {
                mesh_runtime_recount_end(mine, 0, seen,
                                         count_flags(mine, STRESS_TOTAL));
            }
        } else if (rng_next(&seed) % 2) {
            mesh_runtime_eject(mine, 0, e, STRESS_TOTAL, STRESS_PERCENT,
                               out_until(FAR), i);
        } else {
            mesh_runtime_uneject(mine, 0, e, i, true);
        }
        if (!stress_holds(mine)) {
            return 1;
        }
    }
    return 0;
}

static void test_ejections_together(void **state) {
    mesh_runtime_t *rt = *state;

    run_together(rt, 4, stress_body);
    assert_int_equal(mesh_cluster_ejected(&rt->clusters[0]),
                     count_flags(rt, STRESS_TOTAL));
    assert_true(rt->clusters[0].ejections_total > 0);
    assert_true(rt->clusters[0].ejections_refused > 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_int_equal(rt->workers[i].pending_cluster, 0);
    }
}

/*
 * Every instant at which a worker can die in an ejection or a return, as the
 * words look then: the count is never too low, and right after the reap and
 * a recount.
 */
static void test_crash_points(void **state) {
    mesh_runtime_t *rt = *state;
    static const struct {
        uint32_t counted;
        bool flagged;
    } points[] = {{0, false}, {1, false}, {1, true}};

    for (unsigned p = 0; p < mesh_nelts(points); p++) {
        memset(rt->endpoints, 0, sizeof(*rt->endpoints) * ENDPOINTS);
        uint64_t seen, epoch = UINT64_C(9) << 32;
        rt->clusters[0].ejections = epoch + points[p].counted;
        rt->endpoints[3].ejected = points[p].flagged ? out_until(FAR) : 0;
        rt->workers[1].state = MESH_WORKER_LIVE;
        rt->workers[1].pending_cluster = 1;
        rt->workers[1].pending_endpoint = 4;

        assert_false(mesh_runtime_recount_begin(rt, 0, &seen));
        assert_true(mesh_runtime_recount_begin(rt, 1, &seen));
        mesh_runtime_reap(rt, 1);
        assert_int_equal(rt->workers[1].state, MESH_WORKER_FREE);
        assert_int_equal(rt->workers[1].pending_endpoint, 0);
        assert_int_not_equal(mesh_cluster_epoch(&rt->clusters[0]), 9);

        assert_true(mesh_runtime_recount_begin(rt, 0, &seen));
        assert_true(mesh_runtime_recount_end(rt, 0, seen, count_flags(rt, 10)));
        assert_int_equal(mesh_cluster_ejected(&rt->clusters[0]),
                         points[p].flagged);
    }
}

/* What was counted before an ejection may not be stored after it. */
static void test_recount_is_late(void **state) {
    mesh_runtime_t *rt = *state;
    uint64_t seen;

    assert_true(mesh_runtime_recount_begin(rt, 0, &seen));
    assert_int_equal(mesh_runtime_eject(rt, 0, 1, 4, 100, out_until(FAR), 1),
                     MESH_OK);
    assert_false(mesh_runtime_recount_end(rt, 0, seen, 0));

    /* There and back again is another epoch, though the count is the same. */
    assert_true(mesh_runtime_recount_begin(rt, 0, &seen));
    mesh_runtime_uneject(rt, 0, 1, 1, true);
    mesh_runtime_eject(rt, 0, 2, 4, 100, out_until(FAR), 1);
    assert_false(mesh_runtime_recount_end(rt, 0, seen, 0));
    assert_int_equal(mesh_cluster_ejected(&rt->clusters[0]), 1);
    assert_false(mesh_runtime_recount_begin(rt, CLUSTERS, &seen));
}

#define SLOT_TEST(f)                                                           \
    cmocka_unit_test_setup_teardown(f, setup, runtime_memory_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size),
        SLOT_TEST(test_init_checks),
        SLOT_TEST(test_arrays_do_not_overlap),
        SLOT_TEST(test_claim),
        SLOT_TEST(test_claim_helps_out),
        cmocka_unit_test(test_tags_are_never_special),
        SLOT_TEST(test_claim_together),
        SLOT_TEST(test_reap_gives_back),
        SLOT_TEST(test_gauges_never_underflow),
        SLOT_TEST(test_no_slot_no_gauge),
        SLOT_TEST(test_high_water_marks),
        SLOT_TEST(test_gauges_together),
        SLOT_TEST(test_percent_arithmetic),
        SLOT_TEST(test_huge_numbers_do_not_wrap),
        SLOT_TEST(test_eject_and_return),
        SLOT_TEST(test_ejections_together),
        SLOT_TEST(test_crash_points),
        SLOT_TEST(test_recount_is_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
