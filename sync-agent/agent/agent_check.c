/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `mesh-agent --check`: every source read once, every error printed, and
 * nothing written anywhere.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent_loop.h"
#include "agent_parts.h"
#include "source_file.h"

typedef struct {
    agent_parts_t parts;
    uint32_t errors;
} check_t;

static void print(const model_errors_t *errors, bool warnings) {
    char text[4096];

    for (const model_error_t *e = errors->first; e; e = e->next) {
        if (e->warning == warnings) {
            (void)model_error_text(e, text, sizeof(text));
            printf("%s\n", text);
        }
    }
}

/* Of the source's clock; what cannot be read is looked at for ever. */
#define CHECK_MS (2 * SOURCE_WRITING_MS)

static void on_part(void *ctx, const char *name, source_bundle_t *bundle) {
    check_t *check = ctx;

    agent_parts_set(&check->parts, name, bundle, 0);
}

static void on_refused(void *ctx, const char *name,
                       const model_errors_t *errors) {
    check_t *check = ctx;

    (void)name;
    check->errors += errors->errors;
    print(errors, false);
}

static void on_gone(void *ctx, const char *name, bool keep,
                    const char *reason) {
    check_t *check = ctx;

    (void)keep;
    check->errors++;
    printf("%s: %s\n", name, reason);
}

static void check_source(check_t *check, const agent_config_source_t *config) {
    source_sink_t sink = {check, on_part, on_refused, on_gone};
    const source_ops_t *ops = source_ops[config->kind];
    const char *error = "failed";
    source_t *source = ops->open(config, &sink, &error);

    if (source == NULL) {
        printf("%s: %s: %s\n", config->path, error, strerror(errno));
        check->errors++;
        return;
    }
    ops->reload(source, 0);
    /* What looks half-written is given up after its time. */
    for (uint64_t due; (due = ops->due(source)) <= CHECK_MS;) {
        ops->ready(source, due);
    }
    ops->close(source);
}

static void check_mesh(check_t *check) {
    arena_t *arena = arena_new();
    const model_part_t **list =
        arena_alloc(arena, (check->parts.count + 1) * sizeof(*list));
    model_errors_t errors;
    uint32_t n = 0;

    /* All of them, without the parts table's setting aside: every error. */
    for (uint32_t i = 0; i < check->parts.count; i++) {
        if (check->parts.v[i].next != NULL) {
            list[n++] = check->parts.v[i].next->items[0]->part;
        }
    }
    model_errors_init(&errors, arena);
    model_check(list, n, &errors);
    check->errors += errors.errors;
    print(&errors, false);
    print(&errors, true);
    arena_free(arena);
}

int agent_check(const agent_config_t *config) {
    check_t check = {.errors = 0};

    agent_parts_init(&check.parts);
    for (uint32_t i = 0; i < config->nsources; i++) {
        check_source(&check, &config->sources[i]);
    }
    /* Routes to clusters of a part that was refused would be said missing. */
    if (check.errors == 0) {
        check_mesh(&check);
    }
    agent_parts_free(&check.parts);
    if (check.errors == 0) {
        printf("ok: %u source%s, no errors\n", config->nsources,
               config->nsources == 1 ? "" : "s");
        return AGENT_EXIT_OK;
    }
    printf("%u error%s\n", check.errors, check.errors == 1 ? "" : "s");
    return AGENT_EXIT_INVALID;
}
