/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Lines of an input; see ctl_lines.h.  A line that is not sent is made blank
 * and stays, so that numbers are counted from newlines alone.
 */

#include "ctl_lines.h"

#include <stdlib.h>

#include "source_stream.h"

/* --- the input ------------------------------------------------------------*/

void ctl_lines_init(ctl_lines_t *lines, size_t max, ctl_too_long_pt too_long,
                    void *ctx) {
    *lines =
        (ctl_lines_t){.first = 1, .max = max, .too_long = too_long, .ctx = ctx};
}

void ctl_lines_free(ctl_lines_t *lines) {
    free(lines->data);
    lines->data = NULL;
}

static bool has_room(ctl_lines_t *lines, size_t room) {
    size_t want = lines->len + room;

    if (want <= lines->size) {
        return true;
    }
    want = mesh_max(want, lines->size * 2);
    char *data = realloc(lines->data, want);
    if (data == NULL) {
        return false;
    }
    lines->data = data;
    lines->size = want;
    return true;
}

char *ctl_lines_room(ctl_lines_t *lines, size_t *room) {
    if (!has_room(lines, CTL_LINES_PIECE)) {
        return NULL;
    }
    *room = lines->size - lines->len;
    return lines->data + lines->len;
}

/* Drops what there is of the line that is not whole, up to `stop`. */
static void drop_until(ctl_lines_t *lines, size_t stop) {
    size_t gone = stop - lines->whole;

    memmove(lines->data + lines->whole, lines->data + stop, lines->len - stop);
    lines->len -= gone;
}

void ctl_lines_add(ctl_lines_t *lines, size_t n) {
    size_t at = lines->len; /* before it, there is no newline but in `whole` */

    lines->len += n;
    while (at < lines->len) {
        const char *newline = memchr(lines->data + at, '\n', lines->len - at);
        size_t stop = newline ? (size_t)(newline - lines->data) : lines->len;
        if (!lines->cut && stop - lines->whole > lines->max) {
            lines->cut = true;
            lines->too_long(lines->ctx, lines->first + lines->count);
        }
        if (lines->cut) {
            drop_until(lines, stop);
            stop = lines->whole;
        }
        at = stop;
        if (newline != NULL) {
            lines->whole = ++at;
            lines->count++;
            lines->cut = false;
        }
    }
}

bool ctl_lines_end(ctl_lines_t *lines) {
    if (lines->len == lines->whole) {
        return true;
    }
    if (!has_room(lines, 1)) {
        return false;
    }
    lines->data[lines->len] = '\n';
    ctl_lines_add(lines, 1);
    return true;
}

/* --- a batch --------------------------------------------------------------*/

/* The first `len` bytes, which are `count` lines, leave. */
static bool leave(ctl_lines_t *lines, size_t len, uint64_t count,
                  ctl_batch_t *batch) {
    size_t rest = lines->len - len;
    size_t size = rest + CTL_LINES_PIECE;
    char *data = malloc(size);

    if (data == NULL) {
        return false;
    }
    memcpy(data, lines->data + len, rest);
    *batch =
        (ctl_batch_t){.text = lines->data, .len = len, .first = lines->first};
    lines->data = data;
    lines->len = rest;
    lines->size = size;
    lines->whole -= len;
    lines->first += count;
    lines->count -= count;
    return true;
}

bool ctl_lines_take(ctl_lines_t *lines, size_t max, ctl_batch_t *batch,
                    bool *failed) {
    uint64_t count = 0;
    size_t len = 0;

    *failed = false;
    while (len < lines->whole) {
        const char *at = lines->data + len;
        const char *newline = memchr(at, '\n', lines->whole - len);
        size_t end = (size_t)(newline + 1 - lines->data);
        if (count > 0 && end > max) {
            break;
        }
        len = end;
        count++;
    }
    if (count == 0) {
        return false;
    }
    *failed = !leave(lines, len, count, batch);
    return !*failed;
}

void ctl_batch_free(ctl_batch_t *batch) {
    free(batch->text);
    *batch = (ctl_batch_t){.text = NULL};
}

/* What is not blank before `end`; false: all is, and is passed. */
static bool trim(ctl_batch_t *batch, size_t end, ctl_range_t *range) {
    uint64_t number = batch->first;
    size_t at = batch->at;

    *range = (ctl_range_t){.count = 0};
    for (; at < end; number++) {
        char *line = batch->text + at;
        const char *newline = memchr(line, '\n', end - at);
        size_t len = (size_t)(newline - line);
        at += len + 1;
        if (source_stream_is_blank((mesh_str_t){len, line})) {
            continue;
        }
        if (range->count++ == 0) {
            range->text.data = line;
            range->first = number;
        }
        range->text.len = (size_t)(newline + 1 - range->text.data);
        range->last = number;
        range->end = at;
    }
    if (range->count == 0) {
        batch->at = at;
        batch->first = number;
    }
    return range->count > 0;
}

bool ctl_batch_next(ctl_batch_t *batch, ctl_range_t *range) {
    while (batch->text != NULL) {
        bool cut = batch->nends != 0;
        if (trim(batch, cut ? batch->ends[batch->nends - 1] : batch->len,
                 range)) {
            return true;
        }
        if (cut) {
            batch->nends--;
        } else {
            ctl_batch_free(batch);
        }
    }
    return false;
}

void ctl_batch_done(ctl_batch_t *batch, const ctl_range_t *range) {
    batch->at = range->end;
    batch->first = range->last + 1;
}

bool ctl_batch_cut(ctl_batch_t *batch, const ctl_range_t *range) {
    mesh_str_t text = range->text;
    size_t half = text.len / 2;

    if (range->count < 2 || batch->nends == CTL_CUTS_MAX) {
        return false;
    }
    const char *newline = memrchr(text.data, '\n', half);
    if (newline == NULL) {
        newline = memchr(text.data + half, '\n', text.len - half);
    }
    batch->ends[batch->nends++] = (size_t)(newline + 1 - batch->text);
    return true;
}

bool ctl_batch_drop(ctl_batch_t *batch, const ctl_range_t *range,
                    uint64_t line) {
    size_t at = (size_t)(range->text.data - batch->text);

    for (; line > 1 && at < range->end; line--) {
        const char *newline = memchr(batch->text + at, '\n', range->end - at);
        at = (size_t)(newline + 1 - batch->text);
    }
    if (line == 0 || at >= range->end) {
        return false;
    }
    char *newline = memchr(batch->text + at, '\n', range->end - at);
    mesh_str_t text = {(size_t)(newline - batch->text) - at, batch->text + at};
    if (source_stream_is_blank(text)) {
        return false;
    }
    memset(batch->text + at, ' ', text.len);
    return true;
}
