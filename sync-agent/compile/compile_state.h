/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The compiler's own state and steps; for compile_root.c, compile_parts.c
 * and compile_bind.c alone.
 */

#ifndef COMPILE_STATE_H
#define COMPILE_STATE_H

#include "compile.h"
#include "compile_memory.h"
#include "compile_slots.h"

struct compiler_s {
    mesh_writer_t *w;
    slots_t *slots;
    compile_memo_t resources; /* by resource pointer and part version */
    compile_memo_t binds;     /* by CLUSTER and ENDPOINT_SET */
    mesh_ref_t route_tables;  /* whose `routes` map was bound last */
    mesh_ref_t routes;
    uint32_t unbound[SLOTS_KINDS]; /* names without a slot in this compile */
};

/* Entries of a map, being collected. */
typedef struct {
    mesh_map_entry_t *v;
    uint32_t count;
    uint32_t room;
} compile_entries_t;

void compile_entries_add(compile_entries_t *entries, mesh_ref_t name,
                         mesh_ref_t value, uint32_t aux);

/* All entries of a MAP of the writer (0: none), copied out. */
void compile_entries_of(compile_entries_t *entries, const mesh_writer_t *w,
                        mesh_ref_t map);

/* Parts by name: the canonical order.  free() it. */
const model_part_t **compile_sorted(const compile_request_t *request);

/* compile_parts.c: POLICY and ENDPOINTS of sorted parts. */
mesh_ref_t compile_parts_policy(compiler_t *c, const model_part_t *const *parts,
                                uint32_t nparts);
mesh_ref_t compile_parts_endpoints(compiler_t *c,
                                   const model_part_t *const *parts,
                                   uint32_t nparts);

/* compile_bind.c: BINDING of a policy and endpoints. */
mesh_ref_t compile_binding(compiler_t *c, mesh_ref_t policy,
                           mesh_ref_t endpoints);

#endif /* COMPILE_STATE_H */
