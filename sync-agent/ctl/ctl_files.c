/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Mesh files as arguments.
 */

#include "ctl_files.h"

#include <errno.h>

#include "agent_file.h"

static bool is_json(const char *path) {
    const char *dot = strrchr(path, '.');

    return dot && strcmp(dot, ".json") == 0;
}

static bool read_one(ctl_files_t *files, const char *path) {
    arena_t *arena = files->arena;
    mesh_str_t text;

    if (!agent_file_read(arena, path, MODEL_FILE_MAX, &text)) {
        fprintf(stderr, "meshctl: %s: %s\n", path, strerror(errno));
        return false;
    }
    model_node_t *root =
        is_json(path) ? model_node_from_json(arena, path, text, &files->errors)
                      : model_node_from_yaml(arena, path, text, &files->errors);
    model_part_t *part =
        root ? model_decode(arena, path, root, &files->errors) : NULL;
    if (part != NULL) {
        files->parts[files->count++] = part;
    }
    return true;
}

bool ctl_files_read(ctl_files_t *files, arena_t *arena,
                    const ctl_args_t *args) {
    *files = (ctl_files_t){.arena = arena};
    files->parts =
        arena_alloc(arena, (size_t)args->argc * sizeof(*files->parts));
    model_errors_init(&files->errors, arena);
    for (int i = 0; i < args->argc; i++) {
        if (!read_one(files, args->argv[i])) {
            return false;
        }
    }
    /* Of a part that is missing, everything would be said missing. */
    if (files->errors.errors == 0) {
        model_check(files->parts, files->count, &files->errors);
    }
    return true;
}

void ctl_files_print(const ctl_files_t *files, bool warnings, FILE *out) {
    char line[4096];

    for (const model_error_t *e = files->errors.first; e; e = e->next) {
        if (warnings || !e->warning) {
            (void)model_error_text(e, line, sizeof(line));
            fprintf(out, "%s\n", line);
        }
    }
}
