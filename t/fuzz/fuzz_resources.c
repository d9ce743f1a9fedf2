/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Envoy's resources of anybody: parse, decode, join, check, and compile what
 * stands.  Nothing may crash, hang or be accepted half: what is compiled can
 * be read back.
 */

#include <stdlib.h>

#include "compile_slots.h"
#include "xds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool past(void *ctx, slots_kind_e kind, uint32_t slot,
                 uint64_t generation) {
    (void)ctx;
    (void)kind;
    (void)slot;
    (void)generation;
    return true;
}

static void check_errors(const model_errors_t *errors) {
    for (const model_error_t *e = errors->first; e != NULL; e = e->next) {
        char text[256];

        if (model_error_text(e, text, sizeof(text)) <= 0) {
            abort();
        }
    }
}

static void check_sets(const model_part_t *part) {
    for (uint32_t i = 0; i < part->nsets; i++) {
        const model_endpoint_set_t *set = &part->sets[i];

        for (uint32_t j = 1; j < set->count; j++) {
            if (model_endpoint_cmp(&set->v[j - 1], &set->v[j]) >= 0) {
                abort();
            }
        }
    }
}

/* What has no name twice compiles, and stands every check of a reader. */
static void check_compiles(arena_t *arena, const model_part_t *part) {
    mesh_writer_t *w = mesh_writer_create(1, MESH_FILE_CAPACITY_MIN);
    slots_t *slots = slots_new(NULL, past, NULL);
    compiler_t *compiler = compiler_new(w, slots);
    compile_request_t request = {.parts = &part,
                                 .nparts = 1,
                                 .generation = 1,
                                 .reason = MESH_STR("fuzz")};
    mesh_ref_t ref = compile_root(compiler, &request);

    if (ref != 0) {
        mesh_pending_t image = mesh_writer_pending(w);
        uint64_t capacity = mesh_writer_capacity(w);
        mesh_snapshot_t s;

        if (mesh_snapshot_init(&s, image.data, capacity, image.len,
                               arena_alloc(arena, mesh_snapshot_starts_size(
                                                      capacity))) != MESH_OK ||
            mesh_snapshot_verify(&s, image.len, 0) != MESH_OK ||
            mesh_snapshot_root(&s, ref) == NULL) {
            abort();
        }
    }

    compiler_free(compiler);
    slots_free(slots);
    mesh_writer_free(w);
}

/* The first byte: which of the two ways of "not supported yet". */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena_t *arena = arena_new();
    model_errors_t errors;
    model_errors_t twice;

    if (size == 0) {
        arena_free(arena);
        return 0;
    }

    mesh_str_t text = {size - 1, (const char *)data + 1};

    model_errors_init(&errors, arena);
    model_errors_init(&twice, arena);

    const model_node_t *root =
        model_node_from_yaml(arena, "fuzz", text, &errors);

    if (root != NULL) {
        xds_t *xds = xds_new(arena, &errors, data[0] & 1);

        (void)xds_recognize(root);
        xds_add(xds, "fuzz", root);

        const model_part_t *part = xds_part(xds, "fuzz");

        check_sets(part);
        model_check_names(&part, 1, &twice);

        if (twice.errors == 0) {
            check_compiles(arena, part);
        }
    }

    check_errors(&errors);
    check_errors(&twice);
    arena_free(arena);

    return 0;
}
