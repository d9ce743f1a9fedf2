/* SPDX-License-Identifier: Apache-2.0 */

/* The arithmetic of zone-aware routing: Envoy's examples and its laws. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mesh_zone_aware.h"
#include "rng.h"

#define MOST 8

typedef struct {
    uint32_t n;
    uint32_t local[MOST]; /* of the local cluster; [0]: the own zone */
    uint32_t elsewhere;   /* of it, where this cluster is not */
    uint32_t upstream[MOST];
    uint32_t force;
    mesh_zone_e state;
    double shares[MOST]; /* percent */
} row_t;

static mesh_zone_e share(const row_t *row, uint32_t enabled,
                         const uint32_t *weights, double *out) {
    mesh_zone_share_t zones[MOST];
    uint64_t local = row->elsewhere;
    double sum = 0;

    for (uint32_t i = 0; i < row->n; i++) {
        local += row->local[i];
        zones[i] = (mesh_zone_share_t){
            .local = row->local[i],
            .upstream = row->upstream[i],
            .members = row->upstream[i],
            .usable = row->upstream[i],
            .weight = weights != NULL ? weights[i] : row->upstream[i],
            .share = 12345, /* it is found, whatever was there */
        };
    }
    mesh_zone_e state =
        mesh_zone_shares(zones, row->n, local, row->force, enabled);
    for (uint32_t i = 0; i < row->n; i++) {
        sum += (double)zones[i].share;
    }
    for (uint32_t i = 0; i < row->n; i++) {
        out[i] = (double)zones[i].share / sum;
    }
    return state;
}

/* The first two are those of Envoy's documentation, the third its source's. */
static void test_examples(void **state) {
    (void)state;
    static const row_t rows[] = {
        {3, {20, 20, 10}, 0, {25, 12, 13}, 0, MESH_ZONE_DIRECT, {100, 0, 0}},
        {3, {20, 40, 40}, 0, {10, 50, 40}, 0, MESH_ZONE_RESIDUAL, {50, 50, 0}},
        {3,
         {40, 40, 20},
         0,
         {25, 50, 25},
         0,
         MESH_ZONE_RESIDUAL,
         {62.5, 25, 12.5}},
        {3, {1, 1, 1}, 0, {2, 2, 2}, 0, MESH_ZONE_DIRECT, {100, 0, 0}},
        {2, {1, 1}, 0, {4999, 5001}, 0, MESH_ZONE_RESIDUAL, {99.98, .02}},
        {2, {4999, 5001}, 0, {1, 1}, 0, MESH_ZONE_DIRECT, {100, 0}},
        {2, {1, 1}, 0, {1, 3}, 1, MESH_ZONE_FORCED, {100, 0}},
        {2, {1, 1}, 0, {1, 3}, 2, MESH_ZONE_RESIDUAL, {50, 50}},
        {2, {1, 1}, 0, {1, 1}, 9, MESH_ZONE_DIRECT, {100, 0}},
        /* Nobody here, or of the local cluster, or of either. */
        {3, {1, 1, 1}, 0, {0, 1, 2}, 1, MESH_ZONE_RESIDUAL, {0, 0, 100}},
        {2, {0, 1}, 0, {1, 5}, 0, MESH_ZONE_DIRECT, {100, 0}},
        {3, {0, 1, 1}, 0, {0, 1, 3}, 0, MESH_ZONE_RESIDUAL, {0, 0, 100}},
        {2, {0, 0}, 0, {1, 9}, 0, MESH_ZONE_DIRECT, {100, 0}},
        {2, {0, 0}, 0, {0, 9}, 0, MESH_ZONE_RESIDUAL, {0, 100}},
        /* Room that a locality without this cluster's endpoints asks for. */
        {2, {2, 1}, 1, {1, 3}, 0, MESH_ZONE_RESIDUAL, {50, 50}},
        {2, {1, 0}, 3, {1, 3}, 0, MESH_ZONE_DIRECT, {100, 0}},
        /* Nobody has room: all of those who have anybody, alike. */
        {4,
         {0, 1, 3, 0},
         0,
         {0, 1, 3, 0},
         0,
         MESH_ZONE_RESIDUAL,
         {0, 50, 50, 0}},
        /* The same, as far as ten thousandths tell. */
        {3,
         {10001, 9999, 10000},
         0,
         {9999, 10001, 10000},
         0,
         MESH_ZONE_DIRECT,
         {100, 0, 0}},
    };

    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        double got[MOST];

        mesh_zone_e on = share(&rows[i], 100, NULL, got);
        if (on != rows[i].state) {
            fail_msg("row %zu: %d", i, (int)on);
        }
        for (uint32_t k = 0; k < rows[i].n; k++) {
            if (fabs(got[k] * 100 - rows[i].shares[k]) > 1e-3) {
                fail_msg("row %zu, zone %u: %f", i, k, got[k] * 100);
            }
        }
    }
}

/* Rounding of both down can leave none with room: then all that can. */
static void test_rounding_leaves_none(void **state) {
    (void)state;
    static const row_t row = {.n = 3,
                              .local = {3334, 3333, 3333},
                              .upstream = {33331, 33334, 33335},
                              .state = MESH_ZONE_RESIDUAL};
    double got[MOST];

    assert_int_equal(share(&row, 100, NULL, got), MESH_ZONE_RESIDUAL);
    assert_true(fabs(got[0] - .9997 - .0003 / 3) < 1e-9);
    assert_true(fabs(got[1] - .0003 / 3) < 1e-9);
    assert_true(fabs(got[2] - .0003 / 3) < 1e-9);
}

/* Who it is not enabled for goes by weight. */
static void test_enabled(void **state) {
    (void)state;
    static const row_t residual = {
        .n = 3, .local = {40, 40, 20}, .upstream = {25, 50, 25}};
    static const row_t direct = {.n = 2, .local = {1, 1}, .upstream = {1, 1}};
    static const uint32_t weights[] = {100, 300, 600};
    double got[MOST];

    for (uint32_t e = 1; e < 100; e++) {
        share(&residual, e, weights, got);
        double part = e / 100.0;
        assert_true(fabs(got[0] - (part * .625 + (1 - part) * .1)) < 1e-6);
        assert_true(fabs(got[1] - (part * .25 + (1 - part) * .3)) < 1e-6);
        assert_true(fabs(got[2] - (part * .125 + (1 - part) * .6)) < 1e-6);

        assert_int_equal(share(&direct, e, NULL, got), MESH_ZONE_DIRECT);
        assert_true(fabs(got[0] - (part + (1 - part) / 2)) < 1e-6);
    }
}

/* As Envoy draws them: ten thousandths, rounded down, then by what is left. */
static void naive(const row_t *row, double *out) {
    uint64_t local = row->elsewhere, upstream = 0, room = 0;
    uint64_t l[MOST], u[MOST];

    for (uint32_t i = 0; i < row->n; i++) {
        local += row->local[i];
        upstream += row->upstream[i];
    }
    for (uint32_t i = 0; i < row->n; i++) {
        l[i] = local ? UINT64_C(10000) * row->local[i] / local : 0;
        u[i] = upstream ? UINT64_C(10000) * row->upstream[i] / upstream : 0;
        room += i > 0 && u[i] > l[i] ? u[i] - l[i] : 0;
    }
    double stays = u[0] > 0 && u[0] >= l[0] ? 1
                   : l[0] ? (double)(u[0] * 10000 / l[0]) / 10000
                          : 0;
    out[0] = stays;
    for (uint32_t i = 1; i < row->n; i++) {
        double has = u[i] > l[i] ? (double)(u[i] - l[i]) : 0;
        out[i] = room ? (1 - stays) * has / (double)room : 0;
    }
    assert_true(room != 0 || stays == 1);
}

static row_t random_row(rng_t *rng, uint32_t most) {
    row_t row = {.n = (uint32_t)rng_range(rng, 2, MOST)};

    for (uint32_t i = 0; i < row.n; i++) {
        row.local[i] = rng_one_in(rng, 6) ? 0 : rng_below(rng, most);
        row.upstream[i] = rng_one_in(rng, 6) ? 0 : rng_below(rng, most);
    }
    row.elsewhere = rng_one_in(rng, 3) ? rng_below(rng, most) : 0;
    row.upstream[row.n - 1] += most; /* somebody, and room for all */
    return row;
}

static void test_as_envoy_draws(void **state) {
    (void)state;
    rng_t rng = {1};

    for (unsigned i = 0; i < 100000; i++) {
        row_t row = random_row(&rng, i % 2 ? 12 : 5000);
        double got[MOST], want[MOST], sum = 0;

        row.local[row.n - 1] = 0;
        mesh_zone_e on = share(&row, 100, NULL, got);
        naive(&row, want);
        for (uint32_t k = 0; k < row.n; k++) {
            sum += got[k];
            if (fabs(got[k] - want[k]) > 1e-9) {
                fail_msg("row %u, zone %u: %f, not %f", i, k, got[k], want[k]);
            }
        }
        assert_true(fabs(sum - 1) < 1e-9);
        assert_int_equal(on == MESH_ZONE_DIRECT, got[0] == 1);
    }
}

/* What all proxies of all zones do together: each endpoint gets the same. */
static void test_capacity(void **state) {
    (void)state;
    rng_t rng = {2};

    for (unsigned i = 0; i < 20000; i++) {
        row_t row = random_row(&rng, 200);
        double load[MOST] = {0}, locals = 0, upstreams = 0;

        row.elsewhere = 0;
        for (uint32_t k = 0; k < row.n; k++) {
            locals += row.local[k];
            upstreams += row.upstream[k];
        }
        for (uint32_t z = 0; z < row.n; z++) {
            row_t seen = row;
            double got[MOST];

            seen.local[0] = row.local[z];
            seen.local[z] = row.local[0];
            seen.upstream[0] = row.upstream[z];
            seen.upstream[z] = row.upstream[0];
            share(&seen, 100, NULL, got);
            for (uint32_t k = 0; k < row.n && locals > 0; k++) {
                uint32_t at = k == 0 ? z : k == z ? 0 : k;
                load[at] += row.local[z] / locals * got[k];
            }
        }
        for (uint32_t k = 0; k < row.n && locals > 0; k++) {
            double want = row.upstream[k] / upstreams;
            if (fabs(load[k] - want) > .004) {
                fail_msg("row %u, zone %u: %f, not %f", i, k, load[k], want);
            }
        }
    }
}

/* The same part of both everywhere: nothing leaves its zone. */
static void test_alike_stays(void **state) {
    (void)state;
    rng_t rng = {3};

    for (unsigned i = 0; i < 20000; i++) {
        row_t row = random_row(&rng, 100);
        uint32_t times = (uint32_t)rng_range(&rng, 1, 9);
        double got[MOST];

        row.elsewhere = 0;
        row.upstream[0] = row.upstream[0] ? row.upstream[0] : 1;
        for (uint32_t k = 0; k < row.n; k++) {
            row.local[k] = row.upstream[k] * times;
        }
        if (share(&row, 100, NULL, got) != MESH_ZONE_DIRECT) {
            fail_msg("row %u", i);
        }
        assert_true(got[0] == 1);
    }
}

/* Weights of 2^24 each, of many: no sum is too large. */
static void test_large(void **state) {
    (void)state;
    static mesh_zone_share_t zones[MESH_ZONES_MAX];
    uint64_t one = (UINT64_C(1) << 24) * 1000000;
    double sum = 0;

    for (uint32_t enabled = 99; enabled <= 100; enabled++) {
        for (uint32_t i = 0; i < MESH_ZONES_MAX; i++) {
            zones[i] = (mesh_zone_share_t){.local = i < 2 ? one * 64 : one,
                                           .upstream = one,
                                           .weight = one,
                                           .members = 1000000,
                                           .usable = 1000000};
        }
        assert_int_equal(mesh_zone_shares(zones, MESH_ZONES_MAX,
                                          one * (254 + 128), 0, enabled),
                         MESH_ZONE_RESIDUAL);
        sum = 0;
        for (uint32_t i = 0; i < MESH_ZONES_MAX; i++) {
            sum += (double)zones[i].share;
        }
        /* 39 of 1675 parts stay; zone 1 has no room; 254 share the rest. */
        double part = enabled / 100.0;
        double stays = part * 232 / 10000 + (1 - part) / 256;
        double other = part * (1 - .0232) / 254 + (1 - part) / 256;
        assert_true(fabs((double)zones[0].share / sum - stays) < 1e-6);
        assert_true(fabs((double)zones[1].share / sum - (1 - part) / 256) <
                    1e-6);
        assert_true(fabs((double)zones[255].share / sum - other) < 1e-6);
    }
}

static void test_texts(void **state) {
    (void)state;

    for (unsigned i = 0; i < MESH_ZONE_MAX + 2; i++) {
        const char *text = mesh_zone_text((mesh_zone_e)i);
        bool on = mesh_zone_on((mesh_zone_e)i);

        assert_non_null(text);
        assert_int_equal(strncmp(text, "on", 2) == 0, on);
        assert_int_equal(strncmp(text, "off", 3) == 0, !on);
        for (unsigned k = 0; k < i && i < MESH_ZONE_MAX; k++) {
            assert_string_not_equal(text, mesh_zone_text((mesh_zone_e)k));
        }
    }
    assert_int_equal(mesh_zone_on(MESH_ZONE_DIRECT), 1);
    assert_int_equal(mesh_zone_on(MESH_ZONE_FORCED), 1);
    assert_int_equal(mesh_zone_on(MESH_ZONE_RESIDUAL), 1);
    assert_int_equal(mesh_zone_on(MESH_ZONE_NONE), 0);
    assert_int_equal(mesh_zone_on(MESH_ZONE_DISABLED), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_rounding_leaves_none),
        cmocka_unit_test(test_enabled),
        cmocka_unit_test(test_as_envoy_draws),
        cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_alike_stays),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
