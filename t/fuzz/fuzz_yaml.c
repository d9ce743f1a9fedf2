/* SPDX-License-Identifier: Apache-2.0 */

/*
 * YAML of anybody: parse, decode, check, lint.  Nothing may crash, hang or be
 * accepted half.  Where the short way gives a tree, libyaml gives the same.
 */

#include <stdlib.h>

#include "lint.h"
#include "model.h"
#include "model_yaml_plain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_errors(const model_errors_t *errors) {
    for (const model_error_t *e = errors->first; e != NULL; e = e->next) {
        char text[256];

        if (model_error_text(e, text, sizeof(text)) <= 0) {
            abort();
        }
    }
}

static void same(const model_node_t *a, const model_node_t *b) {
    if (a->kind != b->kind || a->plain != b->plain || a->line != b->line ||
        a->column != b->column || a->key_line != b->key_line ||
        a->key_column != b->key_column || a->count != b->count ||
        !mesh_str_eq(a->key, b->key) || !mesh_str_eq(a->text, b->text)) {
        abort();
    }

    const model_node_t *y = b->first;

    for (const model_node_t *x = a->first; x != NULL; x = x->next) {
        same(x, y);
        y = y->next;
    }
}

static void check_short_way(arena_t *arena, mesh_str_t text) {
    const model_node_t *plain = model_yaml_plain(arena, "fuzz.yaml", text);

    if (plain != NULL) {
        model_errors_t errors;

        model_errors_init(&errors, arena);

        const model_node_t *full =
            model_yaml_full(arena, "fuzz.yaml", text, &errors);

        if (full == NULL) {
            abort();
        }

        same(plain, full);
    }
}

static void check_part(const model_part_t *part) {
    for (uint32_t i = 0; i < part->nsets; i++) {
        const model_endpoint_set_t *set = &part->sets[i];

        for (uint32_t j = 1; j < set->count; j++) {
            if (model_endpoint_cmp(&set->v[j - 1], &set->v[j]) >= 0) {
                abort();
            }
        }
    }
}

/* Findings have words and places, in order. */
static void check_lint(arena_t *arena, const model_part_t *part) {
    static const char *const gateways[] = {"127.0.1.1:9080", "a:1"};
    lint_t lint = {.ngateways = 2, .gateways = gateways};

    lint_run(&lint, arena, &part, 1);

    for (uint32_t i = 0; i < lint.count; i++) {
        const lint_finding_t *f = &lint.v[i];

        if (f->subject[0] == '\0' || f->text[0] == '\0' ||
            f->place->line == 0 ||
            (i && f->place->line < lint.v[i - 1].place->line)) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena_t *arena = arena_new();
    mesh_str_t text = {size, (const char *)data};
    model_errors_t errors;

    model_errors_init(&errors, arena);

    const model_node_t *root =
        model_node_from_yaml(arena, "fuzz.yaml", text, &errors);

    if ((root == NULL) != (errors.errors != 0)) {
        abort();
    }

    if (root != NULL) {
        check_short_way(arena, text);

        const model_part_t *part =
            model_decode(arena, "fuzz.yaml", root, &errors);

        if (part != NULL) {
            check_part(part);
            model_check(&part, 1, &errors);
        }

        if (part != NULL && errors.errors == 0) {
            check_lint(arena, part);
        }
    }

    check_errors(&errors);
    arena_free(arena);

    return 0;
}
