/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A writer with its compiler, and the generation it is at: what tests of
 * compiling go along.  Failures fail the test.
 */

#ifndef COMPILE_LINE_H
#define COMPILE_LINE_H

#include "compile.h"
#include "compile_slots.h"
#include "compile_world.h"

typedef struct {
    mesh_writer_t *w;
    slots_t *slots;
    compiler_t *compiler;
    mesh_ref_t root;
    uint64_t generation;
} line_t;

void line_init(line_t *line);
void line_free(line_t *line);

/* Compiles the next generation; the bytes that it appended. */
uint64_t line_compile(line_t *line, const model_part_t *const *parts,
                      uint32_t nparts);
uint64_t line_world(line_t *line, mesh_world_t *world);

const mesh_rec_root_t *root_of(const line_t *line);
void assert_same_digest(const line_t *a, const line_t *b);

/* The content's digest of parts, compiled alone. */
mesh_digest_t parts_digest(const model_part_t *const *parts, uint32_t nparts);

/* No worker holds anything. */
bool always_past(void *ctx, slots_kind_e kind, uint32_t slot,
                 uint64_t generation);

#endif /* COMPILE_LINE_H */
