/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Parts that are written as YAML.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "source.h"
#include "text_part.h"

model_part_t *text_part(arena_t *arena, const char *name, const char *yaml) {
    model_errors_t errors;
    char text[1024];

    model_errors_init(&errors, arena);
    model_part_t *part = source_decode(arena, arena_strdup(arena, name),
                                       mesh_str_from(arena_strdup(arena, yaml)),
                                       false, 1, &errors);
    if (part == NULL) {
        model_error_text(errors.first, text, sizeof(text));
        fail_msg("%s", text);
    }
    return part;
}

source_bundle_t *text_bundle(const char *name, const char *yaml) {
    return source_bundle_of(text_part(arena_new(), name, yaml));
}
