/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Any input of `meshctl apply --follow`, in any pieces, with any refusals:
 * what is sent of each line is that line under its number, every line that
 * is not too long is dealt with once, and memory is bounded.
 */

#include <stdlib.h>

#include "ctl_lines.h"
#include "source_stream.h"

#define LONGEST 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    mesh_str_t text;   /* the whole input */
    const char *at;    /* where the next line begins */
    uint64_t number;   /* of it */
    uint64_t too_long; /* lines that were told */
    uint64_t random;
} input_t;

static void must(bool ok) {
    if (!ok) {
        abort();
    }
}

static uint64_t roll(input_t *in, uint64_t n) {
    in->random = mesh_mix64(in->random + 1);
    return in->random % n;
}

static mesh_str_t next_line(input_t *in) {
    const char *end = in->text.data + in->text.len;
    const char *newline = memchr(in->at, '\n', (size_t)(end - in->at));
    mesh_str_t line = {(size_t)((newline ? newline : end) - in->at), in->at};

    in->at += line.len + (newline != NULL);
    in->number++;
    return line;
}

/* Up to that number, only what need not be sent. */
static mesh_str_t line_of(input_t *in, uint64_t number) {
    mesh_str_t line;

    must(number >= in->number);
    while (in->number < number) {
        line = next_line(in);
        must(line.len > LONGEST || source_stream_is_blank(line));
    }
    return next_line(in);
}

static void too_long(void *ctx, uint64_t line) {
    input_t *in = ctx;

    must(line > 0);
    in->too_long++;
}

/* Refused alone, or taken: its lines are those of the input. */
static void settle(input_t *in, const ctl_range_t *range) {
    const char *at = range->text.data;
    uint64_t count = 0;

    for (uint64_t i = range->first; i <= range->last; i++) {
        const char *newline = memchr(at, '\n', range->text.len);
        mesh_str_t sent = {(size_t)(newline - at), at};
        at = newline + 1;
        if (!source_stream_is_blank(sent)) {
            must(mesh_str_eq(sent, line_of(in, i)));
            count++;
        }
    }
    must(at == range->text.data + range->text.len && count == range->count);
}

static void send(input_t *in, ctl_batch_t *batch) {
    ctl_range_t range;

    while (ctl_batch_next(batch, &range)) {
        if (roll(in, 3) == 0 && ctl_batch_cut(batch, &range)) {
            continue;
        }
        settle(in, &range);
        ctl_batch_done(batch, &range);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input_t in = {{size, (const char *)data}, (const char *)data, 1, 0, size};
    ctl_batch_t batch;
    ctl_lines_t lines;
    bool failed;

    ctl_lines_init(&lines, LONGEST, too_long, &in);
    for (size_t at = 0; at <= size;) {
        size_t room, n = roll(&in, 64) + 1;
        n = mesh_min(n, size - at);
        char *to = ctl_lines_room(&lines, &room);
        must(to != NULL && room >= n);
        if (n > 0) {
            memcpy(to, data + at, n);
        }
        ctl_lines_add(&lines, n);
        at += n;
        must(lines.len - lines.whole <= LONGEST);
        if (at == size) {
            must(ctl_lines_end(&lines));
            at++;
        }
        while (ctl_lines_take(&lines, roll(&in, 200), &batch, &failed)) {
            send(&in, &batch);
        }
        must(!failed && lines.whole == 0);
    }
    /* What is left of the input is too long, or is nothing. */
    while (in.at < in.text.data + size) {
        mesh_str_t line = next_line(&in);
        must(line.len > LONGEST || source_stream_is_blank(line));
    }
    uint64_t longer = 0;
    in.at = in.text.data;
    while (in.at < in.text.data + size) {
        longer += next_line(&in).len > LONGEST;
    }
    must(longer == in.too_long);
    ctl_lines_free(&lines);
    return 0;
}
