/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An input that comes in pieces, as numbered lines, and what of them is sent
 * next.  Pure: no I/O here.
 *
 * Whole lines leave as a batch.  Of a batch, a range is sent at a time: all
 * of it first; a range that is refused is cut in two, until a line is refused
 * alone, or loses the lines that are known to be wrong.  So lines stay in
 * their order, and what belongs together stays so if it can.
 */

#ifndef CTL_LINES_H
#define CTL_LINES_H

#include "mesh_base.h"

#define CTL_LINES_PIECE 65536 /* what a read may bring at least */

typedef void (*ctl_too_long_pt)(void *ctx, uint64_t line);

typedef struct {
    char *data; /* what has not left, from the beginning of a line */
    size_t len;
    size_t size;
    uint64_t first; /* number of the line at its beginning, from 1 */
    size_t whole;   /* bytes of whole lines */
    uint64_t count; /* of them */
    size_t max;     /* bytes of a line */
    bool cut;       /* the rest of a line that is too long is awaited */
    ctl_too_long_pt too_long;
    void *ctx;
} ctl_lines_t;

/* `too_long` is told of a line that is longer than `max`; it is empty then. */
void ctl_lines_init(ctl_lines_t *lines, size_t max, ctl_too_long_pt too_long,
                    void *ctx);
void ctl_lines_free(ctl_lines_t *lines);

/* Where to read into: at least CTL_LINES_PIECE bytes.  NULL: no memory. */
char *ctl_lines_room(ctl_lines_t *lines, size_t *room);

/* So many bytes were read there. */
void ctl_lines_add(ctl_lines_t *lines, size_t n);

/* The input is over: its last line counts without a newline, too. */
bool ctl_lines_end(ctl_lines_t *lines);

/* A cut takes at most half of the bytes, or leaves one line. */
#define CTL_CUTS_MAX 64

typedef struct {
    char *text; /* whole lines */
    size_t len;
    size_t at;                 /* where the next range begins */
    uint64_t first;            /* number of the line there */
    size_t ends[CTL_CUTS_MAX]; /* of ranges that were cut, the next last */
    unsigned nends;
} ctl_batch_t;

/* Lines of a batch; neither the first nor the last of them is blank. */
typedef struct {
    mesh_str_t text;
    uint64_t first; /* numbers */
    uint64_t last;
    uint64_t count; /* without blank ones */
    size_t end;     /* in the batch */
} ctl_range_t;

/*
 * Whole lines of at most `max` bytes, or one that is longer.  false: there
 * are none, or no memory (then *failed).
 */
bool ctl_lines_take(ctl_lines_t *lines, size_t max, ctl_batch_t *batch,
                    bool *failed);

/* What is to be sent; false: nothing is left, and the batch was freed. */
bool ctl_batch_next(ctl_batch_t *batch, ctl_range_t *range);
void ctl_batch_free(ctl_batch_t *batch);

/* That range is done with. */
void ctl_batch_done(ctl_batch_t *batch, const ctl_range_t *range);

/* The next one is a part of that; false: it is one line. */
bool ctl_batch_cut(ctl_batch_t *batch, const ctl_range_t *range);

/*
 * A line of the range (from 1) is not sent again; false: it is none, or was
 * not to be sent anyway.
 */
bool ctl_batch_drop(ctl_batch_t *batch, const ctl_range_t *range,
                    uint64_t line);

#endif /* CTL_LINES_H */
