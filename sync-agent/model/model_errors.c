/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is wrong with an input, in order of discovery; the first
 * MODEL_ERRORS_MAX are kept and all are counted, so a hostile file costs a
 * bounded amount of memory.
 */

#include "model_node.h"

#include <stdarg.h>
#include <stdio.h>

#define MESSAGE_MAX 1024

void model_errors_init(model_errors_t *errors, arena_t *arena) {
    memset(errors, 0, sizeof(*errors));

    errors->arena = arena;
    errors->last = &errors->first;
}

static const char *copy(arena_t *arena, const char *text) {
    return text != NULL ? arena_strdup(arena, text) : NULL;
}

void model_error_add(model_errors_t *errors, const model_error_t *place,
                     const char *format, ...) {
    if (place->warning) {
        errors->warnings++;
    } else {
        errors->errors++;
    }

    if ((uint64_t)errors->errors + errors->warnings > MODEL_ERRORS_MAX) {
        return;
    }

    char message[MESSAGE_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);

    arena_t *arena = errors->arena;
    model_error_t *error = arena_alloc(arena, sizeof(*error));

    *error = *place;
    error->file = copy(arena, place->file);
    error->path = copy(arena, place->path);
    error->resource = copy(arena, place->resource);
    error->found = copy(arena, place->found);
    error->expected = copy(arena, place->expected);
    error->message = arena_strdup(arena, message);
    error->next = NULL;

    *errors->last = error;
    errors->last = &error->next;
}

int model_error_text(const model_error_t *error, char *out, size_t size) {
    char place[32] = "";

    if (error->line != 0) {
        snprintf(place, sizeof(place), ":%u:%u", error->line, error->column);
    }

    int len =
        snprintf(out, size,
                 "%s%s: ", error->file != NULL ? error->file : "input", place);
    size_t used = mesh_min((size_t)len, size);

    return len + model_error_sentence(error, out + used, size - used);
}

int model_error_sentence(const model_error_t *error, char *out, size_t size) {
    bool path = error->path != NULL && error->path[0] != '\0';

    return snprintf(out, size, "%s%s%s%s", error->warning ? "warning: " : "",
                    path ? error->path : "", path ? ": " : "", error->message);
}
