/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the compiler keeps its intermediate things in: records being built, a
 * set of references, and the memo of what was compiled already.  Memory that
 * is out ends the process with a message, as in agent_arena.h.
 */

#ifndef COMPILE_MEMORY_H
#define COMPILE_MEMORY_H

#include "mesh_base.h"
#include "mesh_format.h"
#include "mesh_writer.h"

/* Zeroed; free() it. */
void *compile_alloc(size_t size);
void *compile_realloc(void *p, size_t size);

/* A zeroed record of that many bytes, for compile_put(). */
void *compile_record(uint16_t kind, size_t size);

/* mesh_writer_put() of a record made by compile_record(), which it frees. */
mesh_ref_t compile_put(mesh_writer_t *w, void *rec);

/* 0 for the empty string, which the formats that use it read as unset. */
mesh_ref_t compile_str(mesh_writer_t *w, mesh_str_t text);

/* The text behind a STRING of the writer; valid until the next put. */
mesh_str_t compile_text(const mesh_writer_t *w, mesh_ref_t ref);

/* A set of references; zeroed it is empty. */
typedef struct {
    mesh_ref_t *v;
    uint32_t count;
    uint32_t mask;
} compile_refset_t;

void compile_refset_reserve(compile_refset_t *set, uint32_t count);

/* false: it was there already, or is 0. */
bool compile_refset_add(compile_refset_t *set, mesh_ref_t ref);
bool compile_refset_has(const compile_refset_t *set, mesh_ref_t ref);
void compile_refset_free(compile_refset_t *set);

/* How often each reference is there; zeroed it is empty. */
typedef struct {
    mesh_ref_t ref; /* 0: free */
    uint32_t count; /* 0: not there any more */
} compile_count_t;

typedef struct {
    compile_count_t *v;
    uint32_t count; /* of v that are not free */
    uint32_t mask;
} compile_counts_t;

/* One more, or one less; returns how often it is there then. */
uint32_t compile_counts_add(compile_counts_t *counts, mesh_ref_t ref);
uint32_t compile_counts_sub(compile_counts_t *counts, mesh_ref_t ref);
uint32_t compile_counts_of(const compile_counts_t *counts, mesh_ref_t ref);
void compile_counts_free(compile_counts_t *counts);

/* A list of references; zeroed it is empty. */
typedef struct {
    mesh_ref_t *v;
    uint32_t count;
    uint32_t room;
} compile_refs_t;

void compile_refs_add(compile_refs_t *refs, mesh_ref_t ref);
void compile_refs_free(compile_refs_t *refs);

/*
 * What a resource was compiled to.  Entries that one compile does not ask
 * for are gone some time after the next compile_memo_turn().
 */
typedef struct {
    uint64_t a;
    uint64_t b;
    mesh_ref_t ref; /* 0: no entry */
    mesh_ref_t name;
    uint32_t turn; /* that asked for it last */
} compile_memo_entry_t;

typedef struct {
    compile_memo_entry_t *v;
    uint32_t count;
    uint32_t mask;
    uint32_t asked; /* entries of this turn */
    uint32_t turn;
} compile_memo_t;

/* NULL: not there.  The name may be 0. */
const compile_memo_entry_t *compile_memo_find(compile_memo_t *memo, uint64_t a,
                                              uint64_t b);
void compile_memo_add(compile_memo_t *memo, const compile_memo_entry_t *entry);
void compile_memo_turn(compile_memo_t *memo);
void compile_memo_free(compile_memo_t *memo);

/* --- another writer ------------------------------------------------------ */

/* Where a reference went, in the writer that goes on; 0: nowhere. */
typedef struct {
    mesh_ref_t (*find)(const void *ctx, mesh_ref_t ref);
    const void *ctx;
} compile_moved_t;

/* Translates; false: it did not come along.  0 stays 0. */
bool compile_moved(const compile_moved_t *moved, mesh_ref_t *ref);

/* Entries that did not come along are forgotten. */
void compile_memo_move(compile_memo_t *memo, const compile_moved_t *moved);

/* false: something did not come along, and it is of no use any more. */
bool compile_counts_move(compile_counts_t *counts,
                         const compile_moved_t *moved);
bool compile_refs_move(compile_refs_t *refs, const compile_moved_t *moved);

#endif /* COMPILE_MEMORY_H */
