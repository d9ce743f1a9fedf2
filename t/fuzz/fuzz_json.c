/* SPDX-License-Identifier: Apache-2.0 */

/*
 * JSON of anybody: parse, decode, check.  What our reader takes, libyaml
 * takes as well and reads alike, as JSON is a part of YAML.
 */

#include <stdlib.h>

#include "model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const model_node_t *a, const model_node_t *b) {
    if (a->kind != b->kind || a->count != b->count ||
        !mesh_str_eq(a->key, b->key) || !mesh_str_eq(a->text, b->text)) {
        abort();
    }

    const model_node_t *y = b->first;

    for (const model_node_t *x = a->first; x != NULL; x = x->next) {
        same(x, y);
        y = y->next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena_t *arena = arena_new();
    mesh_str_t text = {size, (const char *)data};
    model_errors_t errors;
    model_errors_t other;

    model_errors_init(&errors, arena);
    model_errors_init(&other, arena);

    const model_node_t *root =
        model_node_from_json(arena, "fuzz.json", text, &errors);

    if ((root == NULL) != (errors.errors != 0)) {
        abort();
    }

    if (root != NULL) {
        const model_node_t *yaml =
            model_node_from_yaml(arena, "fuzz.json", text, &other);

        /* libyaml refuses tabs as indentation and keys beyond 1024 bytes. */
        if (yaml != NULL) {
            same(root, yaml);
        }

        const model_part_t *part =
            model_decode(arena, "fuzz.json", root, &errors);

        if (part != NULL) {
            model_check(&part, 1, &errors);
        }
    }

    arena_free(arena);

    return 0;
}
