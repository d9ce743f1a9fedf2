/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Lines of an input that comes in pieces, and what of a batch is sent after
 * refusals: every good line once and in order, every bad one alone.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl_lines.h"
#include "rng.h"

typedef struct {
    uint64_t v[64];
    unsigned n;
} numbers_t;

static void note(void *ctx, uint64_t line) {
    numbers_t *numbers = ctx;

    assert_true(numbers->n < mesh_nelts(numbers->v));
    numbers->v[numbers->n++] = line;
}

static void feed(ctl_lines_t *lines, const char *text, size_t len) {
    size_t room;
    char *to = ctl_lines_room(lines, &room);

    assert_non_null(to);
    assert_in_range(len, 0, room);
    memcpy(to, text, len);
    ctl_lines_add(lines, len);
}

static bool take(ctl_lines_t *lines, size_t max, ctl_batch_t *batch) {
    bool failed;
    bool taken = ctl_lines_take(lines, max, batch, &failed);

    assert_false(failed);
    return taken;
}

/* The next range as "3-5/2:text"; false: there is none. */
static bool range_is(ctl_batch_t *batch, ctl_range_t *range,
                     const char *wanted) {
    char text[512];

    if (!ctl_batch_next(batch, range)) {
        assert_null(wanted);
        return false;
    }
    snprintf(text, sizeof(text), "%lu-%lu/%lu:%.*s", range->first, range->last,
             range->count, (int)range->text.len, range->text.data);
    assert_string_equal(text, wanted);
    return true;
}

/* --- pieces ----------------------------------------------------------------*/

static void test_a_line_is_there_when_it_is_whole(void **state) {
    (void)state;
    ctl_lines_t lines;
    ctl_batch_t batch;
    ctl_range_t range;
    numbers_t told = {.n = 0};

    ctl_lines_init(&lines, 100, note, &told);
    assert_false(take(&lines, 10, &batch));
    feed(&lines, "on", 2);
    assert_false(take(&lines, 10, &batch));
    feed(&lines, "e\n\ntw", 5);
    assert_true(take(&lines, 10, &batch));
    assert_true(range_is(&batch, &range, "1-1/1:one\n"));
    ctl_batch_done(&batch, &range);
    assert_false(range_is(&batch, &range, NULL));
    feed(&lines, "o\n \t\r\n\nthree\n\r\n\nfour", 20);
    assert_true(take(&lines, 100, &batch));
    assert_true(range_is(&batch, &range, "3-6/2:two\n \t\r\n\nthree\n"));
    ctl_batch_done(&batch, &range);
    assert_false(range_is(&batch, &range, NULL));
    assert_false(take(&lines, 100, &batch));
    /* The last one needs no newline. */
    assert_true(ctl_lines_end(&lines));
    assert_true(take(&lines, 100, &batch));
    assert_true(range_is(&batch, &range, "9-9/1:four\n"));
    ctl_batch_free(&batch);
    assert_true(ctl_lines_end(&lines));
    assert_false(take(&lines, 100, &batch));
    assert_int_equal(told.n, 0);
    ctl_lines_free(&lines);
}

static void test_a_batch_is_bounded(void **state) {
    (void)state;
    ctl_lines_t lines;
    ctl_batch_t batch;
    ctl_range_t range;

    ctl_lines_init(&lines, 100, note, NULL);
    feed(&lines, "a\nbb\nccc\nlonger than that\ne\n", 29);
    assert_true(take(&lines, 5, &batch));
    assert_true(range_is(&batch, &range, "1-2/2:a\nbb\n"));
    ctl_batch_free(&batch);
    assert_true(take(&lines, 5, &batch));
    assert_true(range_is(&batch, &range, "3-3/1:ccc\n"));
    ctl_batch_free(&batch);
    assert_true(take(&lines, 5, &batch));
    assert_true(range_is(&batch, &range, "4-4/1:longer than that\n"));
    ctl_batch_free(&batch);
    assert_true(take(&lines, 5, &batch));
    assert_true(range_is(&batch, &range, "5-5/1:e\n"));
    ctl_batch_free(&batch);
    ctl_lines_free(&lines);
}

/*
 * Whatever the pieces, it is the same: a line of 8 bytes is taken, one of 9
 * is told once and is blank.
 */
static void test_any_pieces(void **state) {
    (void)state;
    static const char text[] = "123456789\n12345678\n\n1234567890123456\nx\n"
                               "123456789012345678901234567890";

    for (size_t piece = 1; piece <= sizeof(text); piece++) {
        ctl_lines_t lines;
        ctl_batch_t batch;
        ctl_range_t range;
        numbers_t told = {.n = 0};

        ctl_lines_init(&lines, 8, note, &told);
        for (size_t at = 0; at < sizeof(text) - 1; at += piece) {
            feed(&lines, text + at, mesh_min(piece, sizeof(text) - 1 - at));
            /* What is too long is not kept. */
            assert_in_range(lines.len, 0, 9 + 1 + 1 + 1 + 2 + 8 + piece);
        }
        assert_true(ctl_lines_end(&lines));
        assert_true(take(&lines, 1000, &batch));
        assert_true(range_is(&batch, &range, "2-5/2:12345678\n\n\nx\n"));
        ctl_batch_free(&batch);
        assert_int_equal(told.n, 3);
        assert_int_equal(told.v[0], 1);
        assert_int_equal(told.v[1], 4);
        assert_int_equal(told.v[2], 6);
        ctl_lines_free(&lines);
    }
}

/* --- refusals -------------------------------------------------------------*/

static void test_a_refused_batch_is_cut(void **state) {
    (void)state;
    ctl_lines_t lines;
    ctl_batch_t batch;
    ctl_range_t range;

    ctl_lines_init(&lines, 100, note, NULL);
    feed(&lines, "\na\n\nb\nc\nd\n\n", 11);
    assert_true(take(&lines, 100, &batch));
    assert_true(range_is(&batch, &range, "2-6/4:a\n\nb\nc\nd\n"));
    assert_true(ctl_batch_cut(&batch, &range));
    assert_true(range_is(&batch, &range, "2-2/1:a\n"));
    assert_false(ctl_batch_cut(&batch, &range));
    ctl_batch_done(&batch, &range);
    assert_true(range_is(&batch, &range, "4-6/3:b\nc\nd\n"));
    /* The same again, after a connection that broke. */
    assert_true(range_is(&batch, &range, "4-6/3:b\nc\nd\n"));
    assert_true(ctl_batch_drop(&batch, &range, 2));
    assert_false(ctl_batch_drop(&batch, &range, 2));
    assert_false(ctl_batch_drop(&batch, &range, 0));
    assert_false(ctl_batch_drop(&batch, &range, 4));
    assert_true(range_is(&batch, &range, "4-6/2:b\n \nd\n"));
    assert_true(ctl_batch_drop(&batch, &range, 1));
    assert_true(range_is(&batch, &range, "6-6/1:d\n"));
    assert_true(ctl_batch_drop(&batch, &range, 1));
    assert_false(range_is(&batch, &range, NULL));
    ctl_lines_free(&lines);
}

#define LINES_MAX 300

/* An agent that refuses what has a bad line, and may say which. */
typedef struct {
    bool bad[LINES_MAX + 1];
    bool known[LINES_MAX + 1]; /* it says so */
    unsigned left;             /* to be taken */
    uint64_t last;             /* taken */
    unsigned refused;
    unsigned requests;
} world_t;

static size_t make_input(world_t *w, rng_t *rng, char *text) {
    uint32_t n = 1 + rng_below(rng, LINES_MAX);
    uint32_t bad = 1 + rng_below(rng, 60);
    size_t len = 0;

    *w = (world_t){.left = 0};
    for (uint32_t i = 1; i <= n; i++) {
        if (!rng_one_in(rng, 7)) {
            w->bad[i] = rng_one_in(rng, bad);
            w->known[i] = w->bad[i] && rng_one_in(rng, 2);
            w->left += !w->bad[i];
            len += (size_t)snprintf(text + len, 110, "%u%*s", i,
                                    (int)rng_below(rng, 90), "");
        }
        text[len++] = '\n';
    }
    return len;
}

static void answer(world_t *w, ctl_batch_t *batch, const ctl_range_t *range) {
    bool dropped = false, bad = false;
    uint64_t number = range->first;
    const char *end = range->text.data + range->text.len;

    w->requests++;
    for (const char *at = range->text.data; at < end; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (*at != '\n' && *at != ' ') {
            assert_int_equal(strtoul(at, NULL, 10), number);
            bad |= w->bad[number];
        }
        at = newline + 1;
    }
    for (uint64_t i = range->first; bad && i <= range->last; i++) {
        if (w->known[i] && ctl_batch_drop(batch, range, i - range->first + 1)) {
            w->refused++;
            dropped = true;
        }
    }
    if (bad && !dropped && !ctl_batch_cut(batch, range)) {
        assert_true(w->bad[range->first]);
        w->refused++;
        ctl_batch_done(batch, range);
    }
    if (!bad) {
        assert_true(range->first > w->last);
        w->last = range->last;
        w->left -= (unsigned)range->count;
        ctl_batch_done(batch, range);
    }
}

static void test_any_refusals(void **state) {
    (void)state;
    static char text[LINES_MAX * 110];

    for (uint64_t seed = 1; seed <= 2000; seed++) {
        rng_t rng = {seed};
        world_t w;
        size_t len = make_input(&w, &rng, text), at = 0;
        size_t max = 1 + rng_below(&rng, 5000);
        ctl_lines_t lines;
        ctl_batch_t batch = {.text = NULL};
        ctl_range_t range;
        unsigned bad = 0;

        ctl_lines_init(&lines, 1000, note, NULL);
        while (at < len || lines.whole > 0) {
            size_t some = rng_below(&rng, 3000);
            size_t n = mesh_min(some, len - at);
            feed(&lines, text + at, n);
            at += n;
            while (take(&lines, max, &batch)) {
                while (ctl_batch_next(&batch, &range)) {
                    answer(&w, &batch, &range);
                }
            }
        }
        for (uint32_t i = 1; i <= LINES_MAX; i++) {
            bad += w.bad[i];
        }
        if (w.left != 0 || w.refused != bad) {
            fail_msg("seed %lu: %u left, %u of %u refused", seed, w.left,
                     w.refused, bad);
        }
        ctl_lines_free(&lines);
    }
}

/* A bad line among many costs no more than two requests a halving. */
static void test_one_of_many(void **state) {
    (void)state;
    static char text[200000];
    ctl_lines_t lines;
    ctl_batch_t batch;
    ctl_range_t range;
    unsigned requests = 0;
    size_t len = 0, at = 0;

    for (int i = 1; i <= 10000; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%d\n", i);
    }
    ctl_lines_init(&lines, 1000, note, NULL);
    for (; at < len; at += 50000) {
        feed(&lines, text + at, mesh_min(50000, len - at));
    }
    assert_true(take(&lines, 1 << 20, &batch));
    while (ctl_batch_next(&batch, &range)) {
        bool bad = range.first <= 7777 && range.last >= 7777;
        requests++;
        if (!bad || !ctl_batch_cut(&batch, &range)) {
            ctl_batch_done(&batch, &range);
        }
    }
    assert_in_range(requests, 14, 32);
    ctl_lines_free(&lines);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_is_there_when_it_is_whole),
        cmocka_unit_test(test_a_batch_is_bounded),
        cmocka_unit_test(test_any_pieces),
        cmocka_unit_test(test_a_refused_batch_is_cut),
        cmocka_unit_test(test_any_refusals),
        cmocka_unit_test(test_one_of_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
