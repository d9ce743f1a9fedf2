/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What anybody may send to agent.sock: request lines, then streams of
 * changes, then journals.  What is understood is written and read back the
 * same.
 */

#include <stdio.h>
#include <stdlib.h>

#include "agent_journal.h"
#include "ctl_protocol.h"
#include "source_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok) {
    if (!ok) {
        abort();
    }
}

static void try_line(mesh_str_t line) {
    char error[CTL_ERROR_MAX];
    ctl_request_t request;
    ctl_request_t back;

    const char *failed = ctl_request_parse(line, &request, error);
    if (failed != NULL) {
        check(strlen(failed) > 0 && strlen(failed) < CTL_ERROR_MAX);
        return;
    }
    char *text = ctl_request_text(&request);
    check(text != NULL);
    mesh_str_t again = {strlen(text) - 1, text};
    check(ctl_request_parse(again, &back, error) == NULL);
    check(back.command == request.command);
    if (request.command == CTL_APPLY) {
        check(back.length == request.length);
        check(back.format == request.format);
        check(strcmp(back.part, request.part) == 0);
        check(ctl_part_valid(back.part));
    }
    if (request.command == CTL_DRAIN || request.command == CTL_UNDRAIN) {
        check(strcmp(back.cluster, request.cluster) == 0);
        check(strcmp(back.endpoint, request.endpoint) == 0);
    }
    free(text);
}

static void try_stream(mesh_str_t lines) {
    source_stream_t *stream = source_stream_new("stream:fuzz");
    arena_t *arena = arena_new();
    model_errors_t errors;

    model_errors_init(&errors, arena);
    bool first = source_stream_change(stream, lines, 1, &errors);
    check(first || errors.errors > 0);
    source_bundle_t *bundle = source_stream_bundle(stream);
    check(first || bundle->count == 0);
    /* Changes may be repeated. */
    if (first) {
        uint32_t count = bundle->count;
        check(source_stream_change(stream, lines, 2, &errors));
        source_bundle_free(bundle);
        bundle = source_stream_bundle(stream);
        check(bundle->count == count);
    }
    source_stream_free(stream);
    source_bundle_free(bundle);
    arena_free(arena);
}

static void try_journal(mesh_str_t frames) {
    size_t len;
    char *once = agent_journal_compact(frames, &len);

    if (once == NULL) {
        return;
    }
    /* Compacting what is compact changes nothing. */
    size_t again_len;
    char *again = agent_journal_compact((mesh_str_t){len, once}, &again_len);
    check(len == 0 || again != NULL);
    check(len == 0 || (again_len == len && memcmp(once, again, len) == 0));
    free(again);
    free(once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    mesh_str_t text = {size - 1, (const char *)data + 1};

    switch (data[0] % 3) {
    case 0:
        try_line(text);
        break;
    case 1:
        try_stream(text);
        break;
    default:
        try_journal(text);
    }
    return 0;
}
