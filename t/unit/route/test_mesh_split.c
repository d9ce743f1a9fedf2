/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Shares of weighted splits: exact in the long run, even in the short run,
 * independent of each other.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "mesh_route.h"
#include "route_fixture.h"

#define ENTRIES 8

typedef struct {
    mesh_rec_split_t head;
    mesh_split_entry_t entries[ENTRIES];
} split_t;

static void split_init(split_t *split, const uint32_t *weights, uint32_t n) {
    memset(split, 0, sizeof(*split));
    for (uint32_t i = 0; i < n; i++) {
        split->head.total += weights[i];
        split->entries[i].upto = split->head.total;
    }
    split->head.count = n;
}

static uint32_t pick(const split_t *split, uint64_t ticket, uint32_t salt) {
    const mesh_split_entry_t *entry =
        mesh_split_pick(&split->head, ticket, salt);

    return (uint32_t)(entry - split->head.v);
}

typedef struct {
    uint32_t n;
    uint32_t weights[ENTRIES];
} weights_t;

/* The first SIMPLE are what people write: shares are even in short runs. */
static const weights_t rows[] = {
    {2, {50, 50}},
    {2, {90, 10}},
    {2, {99, 1}},
    {2, {95, 5}},
    {2, {1, 2}},
    {3, {1, 1, 1}},
    {3, {80, 15, 5}},
    {4, {1, 1, 1, 1}},
    {2, {75, 25}},
    {2, {98, 2}},
    {2, {97, 3}},
    {4, {1, 2, 3, 4}},
    {3, {70, 20, 10}},
    {2, {4000000000u, 200000000u}},
#define SIMPLE 14
    {3, {33, 33, 34}},
    {2, {999, 1}},
    {2, {123457, 54321}},
    {5, {1009, 2003, 17, 4001, 30011}},
    {3, {4000000000u, 1, 294967294u}},
};

static void test_shares(void **state) {
    const unsigned tickets = 1000000;
    (void)state;

    for (size_t row = 0; row < mesh_nelts(rows); row++) {
        unsigned seen[ENTRIES] = {0};
        split_t split;

        split_init(&split, rows[row].weights, rows[row].n);
        for (unsigned t = 0; t < tickets; t++)
            seen[pick(&split, t, 7 + (uint32_t)row)]++;

        for (uint32_t i = 0; i < rows[row].n; i++) {
            double want =
                (double)tickets * rows[row].weights[i] / split.head.total;

            /* A share of next to nothing may be one ticket off. */
            if (seen[i] < want * 0.99 - 1 || seen[i] > want * 1.01 + 1)
                fail_msg("row %zu entry %u: %u of %f", row, i, seen[i], want);
        }
    }
}

/* The share of each entry over any 1,000 tickets in a row. */
static double worst_window(const split_t *split, uint32_t salt,
                           uint64_t first) {
    enum { WINDOW = 1000, SPAN = 20000 };
    static uint8_t picks[SPAN];
    int seen[ENTRIES] = {0};
    double worst = 0;

    for (unsigned t = 0; t < SPAN; t++) {
        picks[t] = (uint8_t)pick(split, first + t, salt);
        seen[picks[t]]++;
        if (t >= WINDOW)
            seen[picks[t - WINDOW]]--;
        if (t + 1 < WINDOW)
            continue;

        for (uint32_t i = 0; i < split->head.count; i++) {
            uint32_t from = i ? split->entries[i - 1].upto : 0;
            double want = (double)WINDOW * (split->entries[i].upto - from) /
                          split->head.total;
            double off = seen[i] - want;

            worst = mesh_max(worst, off < 0 ? -off : off);
        }
    }
    return worst;
}

static void test_windows(void **state) {
    rng_t rng = {2};
    (void)state;

    for (size_t row = 0; row < mesh_nelts(rows); row++) {
        split_t split;

        split_init(&split, rows[row].weights, rows[row].n);
        for (unsigned i = 0; i < 20; i++) {
            uint32_t salt = (uint32_t)rng_next(&rng);
            double worst = worst_window(&split, salt, rng_next(&rng) >> 8);

            if (worst > (row < SIMPLE ? 2.0 : 6.0))
                fail_msg("row %zu salt %u: off by %f", row, salt, worst);
        }
    }
}

/*
 * Two splits that see the same tickets (a route's, then one behind it):
 * each pair of entries gets the product of both shares.
 */
static void check_product(const weights_t *a, const weights_t *b,
                          uint32_t salt_a, uint32_t salt_b) {
    const unsigned tickets = 400000;
    unsigned seen[ENTRIES][ENTRIES] = {{0}};
    split_t x, y;

    split_init(&x, a->weights, a->n);
    split_init(&y, b->weights, b->n);
    for (unsigned t = 0; t < tickets; t++)
        seen[pick(&x, t, salt_a)][pick(&y, t, salt_b)]++;

    for (uint32_t i = 0; i < a->n; i++) {
        for (uint32_t j = 0; j < b->n; j++) {
            double want = (double)a->weights[i] / x.head.total * b->weights[j] /
                          y.head.total;
            double off = (double)seen[i][j] / tickets - want;

            if (off > 0.004 || off < -0.004)
                fail_msg("salts %u %u, %u x %u: %f, want %f", salt_a, salt_b, i,
                         j, want + off, want);
        }
    }
}

static void test_nested(void **state) {
    rng_t rng = {3};
    (void)state;

    for (unsigned i = 0; i < 60; i++) {
        const weights_t *a = &rows[rng_below(&rng, mesh_nelts(rows))];
        const weights_t *b = &rows[rng_below(&rng, mesh_nelts(rows))];

        check_product(a, b, (uint32_t)rng_next(&rng), (uint32_t)rng_next(&rng));
    }
    check_product(&rows[0], &rows[0], 1, 2);
    check_product(&rows[0], &rows[0], 0, UINT32_MAX);
}

/*
 * A balancer behind the split walks its endpoints in turn by the same pace:
 * every entry must still meet every endpoint.
 */
static void test_not_in_step(void **state) {
    const unsigned tickets = 400000;
    (void)state;

    for (unsigned endpoints = 2; endpoints <= 10; endpoints++) {
        unsigned seen[2][10] = {{0}};
        split_t split;

        split_init(&split, rows[0].weights, 2);
        for (unsigned t = 0; t < tickets; t++)
            seen[pick(&split, t, endpoints)][t % endpoints]++;

        for (unsigned i = 0; i < endpoints; i++) {
            double share = (double)seen[0][i] * endpoints / tickets;

            assert_true(share > 0.48 && share < 0.52);
        }
    }
}

static void test_single(void **state) {
    const uint32_t one[] = {5};
    split_t split;
    (void)state;

    split_init(&split, one, 1);
    assert_int_equal(pick(&split, 0, 0), 0);
    assert_int_equal(pick(&split, UINT64_MAX, UINT32_MAX), 0);
}

/*
 * A share of whole per cents is exact in each block of 100 tickets, and never
 * far off in any run; one of less than that in the long run.
 */
static void test_share_points(void **state) {
    static const uint32_t shares[] = {0,      1,      2500,    10000,  100000,
                                      330000, 500000, 1000000, 750001, 999999};
    (void)state;

    for (uint32_t salt = 1; salt < 200; salt++) {
        for (size_t i = 0; i < mesh_nelts(shares); i++) {
            uint32_t share = shares[i], in = 0, block = 0, run = 0;

            for (uint64_t t = 0; t < 10000; t++) {
                uint32_t point = mesh_share_point(t, salt);

                assert_true(point < MESH_SHARE_ALL);
                in += point < share;
                run += point < share;
                if (t % 100 == 99) {
                    assert_true(in - block == share / 10000 ||
                                (share % 10000 != 0 &&
                                 in - block == share / 10000 + 1));
                    block = in;
                }
                if (t % 20 == 19) {
                    double want = share / 50000.0;

                    assert_true(run >= want - 3 && run <= want + 3);
                    run = 0;
                }
            }
            assert_true(in >= share / 100.0 - 3 && in <= share / 100.0 + 3);
        }
    }
}

/* As Envoy walks through clusters, until it is past the value. */
static uint32_t walk(const weights_t *row, uint64_t random) {
    uint64_t total = 0, end = 0;

    for (uint32_t i = 0; i < row->n; i++)
        total += row->weights[i];
    for (uint32_t i = 0; i < row->n; i++) {
        uint64_t begin = end;

        end += row->weights[i];
        if (random % total >= begin && random % total < end)
            return i;
    }
    return UINT32_MAX;
}

static void test_random_values(void **state) {
    rng_t rng = {5};
    (void)state;

    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        split_t split;

        split_init(&split, rows[i].weights, rows[i].n);
        for (uint64_t n = 0; n < 3000; n++) {
            uint64_t random = n < 1000 ? n : rng_next(&rng);

            assert_int_equal(mesh_split_random(&split.head, random) -
                                 split.head.v,
                             walk(&rows[i], random));
        }
    }
}

/* --- by what a request has ----------------------------------------------- */

static uint32_t hashed(const split_t *split, uint64_t hash) {
    const mesh_split_entry_t *entry = mesh_split_hash(&split->head, hash);
    uint32_t point = mesh_split_hash_point(&split->head, hash);

    assert_true(point < entry->upto);
    assert_true(entry == split->head.v || point >= entry[-1].upto);
    return (uint32_t)(entry - split->head.v);
}

/* Of keys as users have them, and of hashes that count. */
static void test_hash_shares(void **state) {
    enum { COUNT = 200000 };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        uint32_t seen[2][ENTRIES] = {{0}};
        split_t split;

        split_init(&split, rows[i].weights, rows[i].n);
        for (uint32_t n = 0; n < COUNT; n++) {
            char key[32];
            int len = snprintf(key, sizeof(key), "user%u", n);

            seen[0][hashed(&split, mesh_hash64(key, (size_t)len))]++;
            seen[1][hashed(&split, n)]++;
        }
        for (uint32_t k = 0; k < rows[i].n; k++) {
            double share = (double)rows[i].weights[k] / split.head.total;

            for (int by = 0; by < 2; by++) {
                double got = (double)seen[by][k] / COUNT;
                assert_true(got > share - 0.005 && got < share + 0.005);
            }
        }
    }
}

/* With other weights those move that must, whatever the sum is. */
static void test_hash_stays(void **state) {
    static const uint32_t was[] = {90, 10}, less[] = {80, 20}, small[] = {9, 1},
                          large[] = {900000000, 100000000};
    enum { COUNT = 100000 };
    uint32_t moved = 0;
    split_t a, b, c, d;
    (void)state;

    split_init(&a, was, 2);
    split_init(&b, less, 2);
    split_init(&c, small, 2);
    split_init(&d, large, 2);
    for (uint32_t n = 0; n < COUNT; n++) {
        uint64_t hash = mesh_hash64(&n, sizeof(n));
        uint32_t at = hashed(&a, hash);

        assert_int_equal(hashed(&c, hash), at);
        assert_int_equal(hashed(&d, hash), at);
        assert_true(hashed(&b, hash) >= at);
        moved += hashed(&b, hash) != at;
    }
    assert_in_range(moved, COUNT / 10 - 500, COUNT / 10 + 500);
}

/*
 * What balancers take of a hash is shared in each cluster as in the whole:
 * its remainder, its upper bits, and the group's (mesh_lb_group.c).
 */
static void test_hash_independent(void **state) {
    static const uint32_t weights[] = {50, 50};
    static const uint32_t hundred[] = {30, 70};
    enum { COUNT = 200000 };
    split_t split, other;
    (void)state;

    split_init(&split, weights, 2);
    split_init(&other, hundred, 2);
    for (int by = 0; by < 4; by++) {
        uint32_t seen[2][10] = {{0}}, total[2] = {0};

        for (uint32_t n = 0; n < COUNT; n++) {
            uint64_t hash = mesh_hash64(&n, sizeof(n));
            uint32_t at = hashed(by % 2 ? &split : &other, hash);
            uint64_t takes[] = {hash % 10, hash % 100 / 10,
                                (hash >> 32) * 10 >> 32,
                                (mesh_mix64(~hash) >> 32) * 10 >> 32};

            seen[at][takes[by]]++;
            total[at]++;
        }
        for (int k = 0; k < 10; k++) {
            for (int at = 0; at < 2; at++) {
                double got = (double)seen[at][k] / total[at];
                assert_true(got > 0.09 && got < 0.11);
            }
        }
    }
}

typedef struct {
    const char *values[2];
    bool known;
    uint64_t number;
} number_t;

static bool find_value(const mesh_request_t *r, mesh_str_t name, uint32_t hash,
                       mesh_header_iter_t *iter, mesh_str_t *value) {
    const number_t *row = r->ctx;
    size_t at = iter->index;

    assert_int_equal(hash, mesh_header_hash("x-random", 8));
    assert_int_equal(name.len, 8);
    if (at == 2 || row->values[at] == NULL) {
        return false;
    }
    *value = mesh_str_from(row->values[at]);
    iter->index++;
    return true;
}

/* What Envoy takes for a number; t/conformance/test_sticky.py asks it. */
static void test_numbers(void **state) {
    static const number_t numbers[] = {
        {{"0", NULL}, true, 0},
        {{"7", NULL}, true, 7},
        {{"007", NULL}, true, 7},
        {{"+7", NULL}, true, 7},
        {{" \t7\t ", NULL}, true, 7},
        {{"18446744073709551615", NULL}, true, UINT64_MAX},
        {{"000018446744073709551615", NULL}, true, UINT64_MAX},
        {{"18446744073709551616", NULL}, false, 0},
        {{"18446744073709551620", NULL}, false, 0},
        {{"99999999999999999999", NULL}, false, 0},
        {{"", NULL}, false, 0},
        {{" ", NULL}, false, 0},
        {{"+", NULL}, false, 0},
        {{"-", NULL}, false, 0},
        {{"-0", NULL}, false, 0},
        {{"-1", NULL}, false, 0},
        {{"+ 1", NULL}, false, 0},
        {{"++1", NULL}, false, 0},
        {{"1 2", NULL}, false, 0},
        {{"1.0", NULL}, false, 0},
        {{"0x10", NULL}, false, 0},
        {{"1/", NULL}, false, 0},
        {{"1:", NULL}, false, 0},
        {{"\xff", NULL}, false, 0},
        {{"7", "7"}, false, 0},
        {{"7", ""}, false, 0},
        {{NULL, NULL}, false, 0},
    };
    mesh_request_calls_t calls = {.header = find_value};
    (void)state;

    for (size_t i = 0; i < mesh_nelts(numbers); i++) {
        number_t row = numbers[i];
        mesh_request_t r = {.calls = &calls, .ctx = &row};
        uint64_t number = 0;

        assert_int_equal(mesh_split_number(&r, MESH_STR("x-random"), &number),
                         row.known);
        assert_int_equal(number, row.number);
    }
}

/* Numerator and denominator, and what is left of a random value. */
static void test_random_shares(void **state) {
    static const uint32_t of[] = {100, 10000, 1000000};
    rng_t rng = {6};
    (void)state;

    for (int n = 0; n < 20000; n++) {
        uint32_t denominator = of[rng_below(&rng, 3)];
        uint32_t numerator = rng_below(&rng, denominator + 1);
        uint64_t random = rng_one_in(&rng, 2) ? rng_below(&rng, denominator * 2)
                                              : rng_next(&rng);
        struct {
            uint64_t none; /* a reference is an offset / 8 */
            mesh_rec_share_t rec;
        } image = {.rec = {.denominator = denominator}};
        mesh_snapshot_t s = {.base = (const uint8_t *)&image};

        assert_int_equal(
            mesh_share_has(&s, offsetof(__typeof__(image), rec) / 8,
                           numerator * (MESH_SHARE_ALL / denominator), random),
            random % denominator < numerator);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_not_in_step),
        cmocka_unit_test(test_single),
        cmocka_unit_test(test_share_points),
        cmocka_unit_test(test_random_values),
        cmocka_unit_test(test_hash_shares),
        cmocka_unit_test(test_hash_stays),
        cmocka_unit_test(test_hash_independent),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_random_shares),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
