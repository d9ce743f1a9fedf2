/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Compiling generation after generation.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "compile_line.h"

#define CAPACITY (UINT64_C(256) << 20)

bool always_past(void *ctx, slots_kind_e kind, uint32_t slot,
                 uint64_t generation) {
    (void)ctx;
    (void)kind;
    (void)slot;
    (void)generation;
    return true;
}

void line_init(line_t *line) {
    *line = (line_t){.w = mesh_writer_create(1, CAPACITY)};
    line->slots = slots_new(NULL, always_past, NULL);
    line->compiler = compiler_new(line->w, line->slots);
}

void line_free(line_t *line) {
    compiler_free(line->compiler);
    slots_free(line->slots);
    mesh_writer_free(line->w);
}

uint64_t line_compile(line_t *line, const model_part_t *const *parts,
                      uint32_t nparts) {
    uint64_t before = mesh_writer_size(line->w);
    compile_request_t request = {
        .parts = parts,
        .nparts = nparts,
        .previous = line->root,
        .generation = line->generation + 1,
        .time_ms = 1000 + line->generation,
        .reason = MESH_STR("test"),
    };
    mesh_ref_t ref = compile_root(line->compiler, &request);
    if (ref == 0) {
        fail_msg("compile: %s", mesh_writer_error(line->w));
    }
    if (ref != line->root) {
        line->generation++;
    }
    line->root = ref;
    mesh_writer_commit(line->w, NULL);
    return mesh_writer_size(line->w) - before;
}

uint64_t line_world(line_t *line, mesh_world_t *world) {
    const model_part_t *const *parts = mesh_world_parts(world, false);
    return line_compile(line, parts, world->nparts);
}

const mesh_rec_root_t *root_of(const line_t *line) {
    return mesh_writer_get(line->w, line->root);
}

void assert_same_digest(const line_t *a, const line_t *b) {
    assert_memory_equal(&root_of(a)->digest, &root_of(b)->digest,
                        sizeof(mesh_digest_t));
}

mesh_digest_t parts_digest(const model_part_t *const *parts, uint32_t nparts) {
    line_t line;

    line_init(&line);
    line_compile(&line, parts, nparts);
    mesh_digest_t digest = root_of(&line)->digest;
    line_free(&line);
    return digest;
}
