/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What tests have in common that write a random mesh and read it again.
 */

#ifndef MODEL_ROUND_H
#define MODEL_ROUND_H

#include "model_fixture.h"
#include "model_random.h"
#include "model_same.h"

static const model_random_size_t round_size = {4, 6, 3, 4, NULL, true, true};

static inline const model_node_t *round_read(arena_t *arena, const char *text,
                                             bool json,
                                             model_errors_t *errors) {
    return json ? model_node_from_json(arena, "f", mesh_str_from(text), errors)
                : model_node_from_yaml(arena, "f", mesh_str_from(text), errors);
}

static inline void round_show(const model_errors_t *errors, const char *text) {
    char line[1024];

    for (const model_error_t *e = errors->first; e != NULL; e = e->next) {
        model_error_text(e, line, sizeof(line));
        print_message("%s\n", line);
    }
    print_message("%s\n", text);
}

#endif /* MODEL_ROUND_H */
