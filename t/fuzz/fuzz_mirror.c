/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Bytes of endpoints: an answer to a copy ends the same in one piece and in
 * many; a location that is followed is safe in a request's head.  And a head
 * that is copied: nothing that frames a body comes through.
 */

#include <stdlib.h>

#include "mesh_follow.h"
#include "mesh_mirror.h"
#include "mesh_mirror2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answer(const char *data, size_t size) {
    mesh_mirror_answer_t whole = {0}, parts = {0};
    mesh_mirror_progress_e a = mesh_mirror_read(&whole, data, size);
    mesh_mirror_progress_e b = MESH_MIRROR_MORE;

    for (size_t at = 0, n; at < size; at += n) {
        n = mesh_min((size_t)(1 + (uint8_t)data[at] % 7), size - at);
        b = mesh_mirror_read(&parts, data + at, n);
    }

    /* A header that is too long may be seen a piece earlier. */
    if (a != b && a != MESH_MIRROR_BAD && b != MESH_MIRROR_BAD)
        abort();
    if (a == b && (whole.status != parts.status || whole.last != parts.last))
        abort();
}

/* The same over HTTP/2; and no window is overrun, whatever the other says. */
static void check_answer2(const char *data, size_t size) {
    static char body[20000];
    static char request[40000];
    char replies[MESH_MIRROR2_REPLIES];
    const mesh_mirror_form_t form = {.host = MESH_STR("h"),
                                     .length = sizeof(body)};
    size_t len = mesh_mirror2_write(MESH_STR("PUT / HTTP/1.1\r\nX: y\r\n\r\n"),
                                    &form, body, request, sizeof(request));
    mesh_mirror2_t whole = {0}, parts = {0};

    if (len == 0 || len > sizeof(request))
        abort();
    mesh_mirror2_begin(&whole, request, len);
    mesh_mirror2_begin(&parts, request, len);

    mesh_mirror_progress_e a = mesh_mirror2_read(&whole, data, size);
    mesh_mirror_progress_e b = MESH_MIRROR_MORE;

    for (size_t at = 0, n; at < size; at += n) {
        n = mesh_min((size_t)(1 + (uint8_t)data[at] % 7), size - at);
        b = mesh_mirror2_read(&parts, data + at, n);
    }
    if (a != b || whole.status != parts.status ||
        whole.window != parts.window || whole.initial != parts.initial ||
        whole.replies_len != parts.replies_len)
        abort();

    size_t given = 0;
    mesh_str_t piece;

    while ((piece = mesh_mirror2_next(&whole, replies)).len)
        given += piece.len;
    if (given > len + sizeof(replies) || whole.window < 0)
        abort();
}

static void check_location(mesh_str_t text) {
    mesh_rec_internal_redirect_t policy = {.max = 1, .codes = MESH_FOLLOW_302};
    mesh_follow_state_t state = {.status = 302,
                                 .body_kept = true,
                                 .scheme = MESH_STR("http"),
                                 .location = text};
    mesh_follow_target_t t;

    if (mesh_follow_decide(&policy, &state, &t) != MESH_FOLLOW_YES)
        return;
    if (t.authority.len == 0 || t.path.len == 0 || t.path.data[0] != '/')
        abort();
    for (size_t i = 0; i < t.path.len; i++)
        if ((uint8_t)t.path.data[i] <= 0x20 || t.path.data[i] == '?')
            abort();
    for (size_t i = 0; i < t.authority.len; i++)
        if ((uint8_t)t.authority.data[i] <= 0x20 || t.authority.data[i] == '@')
            abort();
}

static void check_head(mesh_str_t head) {
    const mesh_mirror_form_t form = {.host = MESH_STR("h"), .length = 3};
    size_t len = mesh_mirror_head(head, &form, NULL, 0);
    char *out = malloc(len + 1);

    if (mesh_mirror_head(head, &form, out, len) != len)
        abort();
    if (len != 0 && (len < 4 || memcmp(out + len - 4, "\r\n\r\n", 4) != 0))
        abort();
    free(out);

    len = mesh_mirror2_write(head, &form, "abc", NULL, 0);
    out = malloc(len + 1);
    if (mesh_mirror2_write(head, &form, "abc", out, len) != len)
        abort();
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = malloc(size + 1); /* exact, so that a step past it is seen */
    mesh_str_t text = {size, memcpy(copy, data, size)};

    check_answer(copy, size);
    check_answer2(copy, size);
    check_location(text);
    check_head(text);
    free(copy);
    return 0;
}
