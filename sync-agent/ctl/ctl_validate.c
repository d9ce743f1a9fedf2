/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl validate: what the agent would say of these files together.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent_file.h"
#include "ctl_args.h"
#include "model.h"

static bool is_json(const char *path) {
    const char *dot = strrchr(path, '.');

    return dot && strcmp(dot, ".json") == 0;
}

static const char *plural(uint64_t n) {
    return n == 1 ? "" : "s";
}

int ctl_validate(const ctl_args_t *args) {
    arena_t *arena = arena_new();
    const model_part_t **parts =
        arena_alloc(arena, (size_t)args->argc * sizeof(*parts));
    uint32_t count = 0;
    model_errors_t errors;
    char line[4096];

    model_errors_init(&errors, arena);
    for (int i = 0; i < args->argc; i++) {
        const char *path = args->argv[i];
        mesh_str_t text;
        if (!agent_file_read(arena, path, MODEL_FILE_MAX, &text)) {
            fprintf(stderr, "meshctl: %s: %s\n", path, strerror(errno));
            arena_free(arena);
            return CTL_EXIT_UNREADABLE;
        }
        model_node_t *root =
            is_json(path) ? model_node_from_json(arena, path, text, &errors)
                          : model_node_from_yaml(arena, path, text, &errors);
        model_part_t *part =
            root ? model_decode(arena, path, root, &errors) : NULL;
        if (part != NULL) {
            parts[count++] = part;
        }
    }
    /* Of a part that is missing, everything would be said missing. */
    if (errors.errors == 0) {
        model_check(parts, count, &errors);
    }
    for (const model_error_t *e = errors.first; e; e = e->next) {
        (void)model_error_text(e, line, sizeof(line));
        printf("%s\n", line);
    }
    int rc = errors.errors ? CTL_EXIT_NO : CTL_EXIT_OK;
    printf("%d file%s, %u error%s, %u warning%s\n", args->argc,
           plural((uint64_t)args->argc), errors.errors, plural(errors.errors),
           errors.warnings, plural(errors.warnings));
    arena_free(arena);
    return rc;
}
