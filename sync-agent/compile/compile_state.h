/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The compiler's own state and steps; for compile_root.c, compile_parts.c,
 * compile_tables.c and compile_bind.c alone.
 *
 * All of it is memory of what was compiled last, so that a change costs what
 * it touched; without any of it the same records come out.
 */

#ifndef COMPILE_STATE_H
#define COMPILE_STATE_H

#include "compile.h"
#include "compile_map.h"
#include "compile_memory.h"
#include "compile_slots.h"

/* Resources of one kind: each one's record, and the map of all by name. */
typedef struct {
    compile_memo_t memo; /* by resource pointer, name and part version */
    compile_map_t map;
} compile_kind_t;

typedef struct {
    uint32_t count;
    struct compile_table_s *v; /* in order of name */
} compile_tables_t;

/* What the binding was made for, and what it is. */
typedef struct {
    mesh_ref_t clusters;    /* MAP of the policy */
    mesh_ref_t sets;        /* MAP of the endpoints */
    mesh_ref_t map;         /* of both and the slots */
    uint32_t foreign;       /* clusters whose set has another name */
    compile_refs_t lacking; /* names of clusters that lack a slot */
} compile_bound_t;

typedef struct {
    mesh_ref_t tables;       /* MAP of the policy */
    mesh_ref_t map;          /* of its routes and their slots */
    compile_counts_t vhosts; /* how many domains lead to each */
    compile_counts_t names;  /* how many routes of those have each name */
    compile_refs_t lacking;  /* names of routes without a slot */
} compile_routed_t;

struct compiler_s {
    mesh_writer_t *w;
    slots_t *slots;
    compile_kind_t clusters;
    compile_kind_t sets;
    compile_tables_t tables;
    compile_map_t tables_map;
    compile_bound_t bound;
    compile_routed_t routed;
    compile_runtime_t runtime;    /* of this compile */
    const model_locality_t *node; /* the request's */
    mesh_str_t local_cluster;     /* likewise */
    uint32_t nameless;            /* clusters that asked for that in vain */
    uint32_t unlocated; /* clusters that asked for it in vain in this compile */
    uint32_t unbound[SLOTS_KINDS]; /* names without a slot in this compile */
    uint32_t work; /* resources that this compile found in no memo */
};

/* Parts by name: the canonical order.  free() it. */
const model_part_t **compile_sorted(const compile_request_t *request);

/*
 * A resource's key in a memo.  Pointer and version name it only while its
 * arena lives; another arena may put another resource of the same version
 * there, so its name is in the key as well.
 */
void compile_key(const void *resource, mesh_str_t version, mesh_str_t name,
                 compile_memo_entry_t *key);

/* compile_parts.c: POLICY and ENDPOINTS of sorted parts. */
mesh_ref_t compile_parts_policy(compiler_t *c, const model_part_t *const *parts,
                                uint32_t nparts);
mesh_ref_t compile_parts_endpoints(compiler_t *c,
                                   const model_part_t *const *parts,
                                   uint32_t nparts);

/* compile_tables.c: the policy's map of route tables. */
mesh_ref_t compile_parts_tables(compiler_t *c, const model_part_t *const *parts,
                                uint32_t nparts);
void compile_tables_move(compile_tables_t *tables,
                         const compile_moved_t *moved);
void compile_tables_free(compile_tables_t *tables);

/* compile_bind.c: BINDING of a policy and endpoints. */
mesh_ref_t compile_binding(compiler_t *c, mesh_ref_t policy,
                           mesh_ref_t endpoints);
void compile_binding_move(compiler_t *c, const compile_moved_t *moved);
void compile_binding_free(compiler_t *c);

#endif /* COMPILE_STATE_H */
