/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Text to model and back to words, for the tests of this room.
 */

#ifndef MODEL_FIXTURE_H
#define MODEL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "model.h"
#include "rng.h"

typedef struct {
    arena_t *arena;
    model_errors_t errors;
    const model_node_t *root;
    model_part_t *part;
} fixture_t;

static inline void fixture_open(fixture_t *f) {
    memset(f, 0, sizeof(*f));
    f->arena = arena_new();
    model_errors_init(&f->errors, f->arena);
}

static inline void fixture_close(fixture_t *f) {
    arena_free(f->arena);
}

/* Decodes as "f.yaml"; the part may be NULL. */
static inline void fixture_yaml(fixture_t *f, const char *text) {
    fixture_open(f);
    f->root = model_node_from_yaml(f->arena, "f.yaml", mesh_str_from(text),
                                   &f->errors);

    if (f->root != NULL) {
        f->part = model_decode(f->arena, "f.yaml", f->root, &f->errors);
    }
}

/* All messages, a line each. */
static inline const char *fixture_messages(fixture_t *f) {
    size_t size = 1;
    size_t len = 0;
    const model_error_t *error;

    for (error = f->errors.first; error != NULL; error = error->next) {
        size += (size_t)model_error_text(error, NULL, 0) + 1;
    }

    char *text = arena_alloc(f->arena, size);

    for (error = f->errors.first; error != NULL; error = error->next) {
        len += (size_t)model_error_text(error, text + len, size - len);
        text[len++] = '\n';
    }

    return text;
}

/* A file that must be right, shown with its messages if it is not. */
static inline void fixture_good(fixture_t *f, const char *text) {
    fixture_yaml(f, text);

    if (f->errors.errors != 0) {
        print_message("%s", fixture_messages(f));
    }

    assert_int_equal(f->errors.errors, 0);
    assert_non_null(f->part);
}

static inline void assert_text(mesh_str_t found, const char *expected) {
    char copy[512];

    assert_true(found.len < sizeof(copy));
    snprintf(copy, sizeof(copy), "%.*s", (int)found.len,
             found.len ? found.data : "");
    assert_string_equal(copy, expected);
}

#endif /* MODEL_FIXTURE_H */
