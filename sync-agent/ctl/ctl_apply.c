/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl apply -f FILE|- and meshctl remove PART: parts over the socket, as
 * a whole or (ctl_follow.c) line by line.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent_file.h"
#include "ctl_client.h"
#include "ctl_follow.h"
#include "source.h"

/* By --format, else by the file's name, else by the first byte. */
static bool format_of(const ctl_args_t *args, mesh_str_t text,
                      ctl_format_e *format) {
    size_t len = strlen(args->file);

    if (args->format != NULL) {
        for (int i = CTL_YAML; i <= CTL_LINES; i++) {
            if (strcmp(args->format, ctl_format_name((ctl_format_e)i)) == 0) {
                *format = (ctl_format_e)i;
                return true;
            }
        }
        fprintf(stderr, "meshctl: --format is yaml, json or lines\n");
        return false;
    }
    if (len > 6 && strcmp(args->file + len - 6, ".jsonl") == 0) {
        *format = CTL_LINES;
    } else if (source_is_json(args->file)) {
        *format = CTL_JSON;
    } else {
        bool change = mesh_str_starts(text, MESH_STR("{\"upsert\"")) ||
                      mesh_str_starts(text, MESH_STR("{\"remove\"")) ||
                      mesh_str_starts(text, MESH_STR("{\"replace\""));
        *format = change ? CTL_LINES : CTL_YAML;
    }
    return true;
}

int ctl_apply(const ctl_args_t *args) {
    ctl_request_t request = {.command = CTL_APPLY,
                             .applied = (args->given & CTL_TAKES_WAIT) != 0,
                             .timeout_ms = args->timeout_ms};
    bool follow = (args->given & CTL_TAKES_FOLLOW) != 0;
    arena_t *arena = arena_new();
    int rc = CTL_EXIT_USAGE;

    memcpy(request.part, args->part, strlen(args->part) + 1);
    if (args->file == NULL) {
        fprintf(stderr, "meshctl: apply needs -f FILE, or -f - for standard "
                        "input\n");
    } else if (follow && args->format != NULL &&
               strcmp(args->format, ctl_format_name(CTL_LINES)) != 0) {
        fprintf(stderr, "meshctl: --follow takes lines, not %s\n",
                args->format);
    } else if (follow) {
        request.format = CTL_LINES;
        rc = ctl_follow(args, &request);
    } else if (!agent_file_read_input(arena, args->file, MODEL_FILE_MAX,
                                      &request.body)) {
        fprintf(stderr, "meshctl: %s: %s\n", args->file, strerror(errno));
        rc = CTL_EXIT_UNREADABLE;
    } else if (format_of(args, request.body, &request.format)) {
        request.length = request.body.len;
        rc = ctl_client_run(args, &request);
    }
    arena_free(arena);
    return rc;
}

int ctl_remove(const ctl_args_t *args) {
    ctl_request_t request = {.command = CTL_REMOVE,
                             .applied = (args->given & CTL_TAKES_WAIT) != 0,
                             .timeout_ms = args->timeout_ms};

    if (!ctl_part_valid(args->argv[0])) {
        fprintf(stderr, "meshctl: \"%s\" is not the name of a part\n",
                args->argv[0]);
        return CTL_EXIT_USAGE;
    }
    memcpy(request.part, args->argv[0], strlen(args->argv[0]) + 1);
    return ctl_client_run(args, &request);
}
