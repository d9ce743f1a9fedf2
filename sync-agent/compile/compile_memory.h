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

/* false: it was there already, or is 0. */
bool compile_refset_add(compile_refset_t *set, mesh_ref_t ref);
void compile_refset_free(compile_refset_t *set);

/*
 * What a resource was compiled to.  Entries that one compile does not ask
 * for are gone after the next compile_memo_turn().
 */
typedef struct {
    uint64_t a;
    uint64_t b;
    mesh_ref_t ref; /* 0: no entry */
    mesh_ref_t name;
} compile_memo_entry_t;

typedef struct {
    compile_memo_entry_t *v;
    uint32_t count;
    uint32_t mask;
} compile_memo_table_t;

typedef struct {
    compile_memo_table_t now;
    compile_memo_table_t before;
} compile_memo_t;

bool compile_memo_find(compile_memo_t *memo, uint64_t a, uint64_t b,
                       compile_memo_entry_t *entry);
void compile_memo_add(compile_memo_t *memo, const compile_memo_entry_t *entry);
void compile_memo_turn(compile_memo_t *memo);
void compile_memo_free(compile_memo_t *memo);

#endif /* COMPILE_MEMORY_H */
