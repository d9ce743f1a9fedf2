/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Records being built, sets and counts of references, the memo.
 */

#include "compile_memory.h"

#include <stdio.h>
#include <stdlib.h>

#define TABLE_MIN 64

void *compile_alloc(size_t size) {
    return memset(compile_realloc(NULL, size), 0, size);
}

void *compile_realloc(void *p, size_t size) {
    p = realloc(p, size);
    if (p == NULL) {
        fprintf(stderr, "out of memory: %zu bytes to compile the mesh\n", size);
        abort();
    }
    return p;
}

void *compile_record(uint16_t kind, size_t size) {
    mesh_rec_t *rec = compile_alloc(size);
    rec->kind = kind;
    rec->size = (uint32_t)size;
    return rec;
}

mesh_ref_t compile_put(mesh_writer_t *w, void *rec) {
    mesh_ref_t ref = mesh_writer_put(w, rec);
    free(rec);
    return ref;
}

mesh_ref_t compile_str(mesh_writer_t *w, mesh_str_t text) {
    return text.len > 0 ? mesh_writer_put_str(w, text) : 0;
}

mesh_str_t compile_text(const mesh_writer_t *w, mesh_ref_t ref) {
    if (ref == 0) {
        return MESH_STR("");
    }
    const mesh_rec_string_t *rec = mesh_writer_get(w, ref);
    return (mesh_str_t){rec->len, rec->data};
}

/* --- sets --------------------------------------------------------------- */

static void refset_insert(compile_refset_t *set, mesh_ref_t ref) {
    uint32_t i = (uint32_t)mesh_mix64(ref) & set->mask;
    while (set->v[i] != 0) {
        i = (i + 1) & set->mask;
    }
    set->v[i] = ref;
}

bool compile_refset_has(const compile_refset_t *set, mesh_ref_t ref) {
    uint32_t i = (uint32_t)mesh_mix64(ref) & set->mask;
    for (; set->v[i] != 0; i = (i + 1) & set->mask) {
        if (set->v[i] == ref) {
            return true;
        }
    }
    return false;
}

static void refset_grow(compile_refset_t *set) {
    compile_refset_t old = *set;
    uint32_t size = old.v ? (old.mask + 1) * 2 : TABLE_MIN;
    set->v = compile_alloc((size_t)size * sizeof(mesh_ref_t));
    set->mask = size - 1;
    for (uint32_t i = 0; old.v != NULL && i <= old.mask; i++) {
        if (old.v[i] != 0) {
            refset_insert(set, old.v[i]);
        }
    }
    free(old.v);
}

void compile_refset_reserve(compile_refset_t *set, uint32_t count) {
    while (set->v == NULL || set->mask < count * 2) {
        refset_grow(set);
    }
}

bool compile_refset_add(compile_refset_t *set, mesh_ref_t ref) {
    if (ref == 0 || (set->v != NULL && compile_refset_has(set, ref))) {
        return false;
    }
    if (set->v == NULL || set->count * 2 > set->mask) {
        refset_grow(set);
    }
    refset_insert(set, ref);
    set->count++;
    return true;
}

void compile_refset_free(compile_refset_t *set) {
    free(set->v);
    *set = (compile_refset_t){0};
}

/* --- counts ------------------------------------------------------------- */

static compile_count_t *counts_slot(const compile_counts_t *counts,
                                    mesh_ref_t ref) {
    uint32_t i = (uint32_t)mesh_mix64(ref) & counts->mask;
    while (counts->v[i].ref != 0 && counts->v[i].ref != ref) {
        i = (i + 1) & counts->mask;
    }
    return &counts->v[i];
}

/* Leaves out what is not there any more. */
static void counts_rebuild(compile_counts_t *counts) {
    compile_counts_t old = *counts;
    uint32_t size = TABLE_MIN;
    uint32_t live = 0;
    for (uint32_t i = 0; old.v != NULL && i <= old.mask; i++) {
        live += old.v[i].count > 0;
    }
    while (size < (uint64_t)(live + 1) * 3) {
        size *= 2;
    }
    counts->v = compile_alloc((size_t)size * sizeof(compile_count_t));
    counts->mask = size - 1;
    counts->count = live;
    for (uint32_t i = 0; old.v != NULL && i <= old.mask; i++) {
        if (old.v[i].count > 0) {
            compile_count_t *c = counts_slot(counts, old.v[i].ref);
            c->ref = old.v[i].ref;
            c->count += old.v[i].count;
        }
    }
    free(old.v);
}

uint32_t compile_counts_add(compile_counts_t *counts, mesh_ref_t ref) {
    if (counts->v == NULL || counts->count * 2 > counts->mask) {
        counts_rebuild(counts);
    }
    compile_count_t *c = counts_slot(counts, ref);
    counts->count += c->ref == 0;
    c->ref = ref;
    return ++c->count;
}

uint32_t compile_counts_sub(compile_counts_t *counts, mesh_ref_t ref) {
    return --counts_slot(counts, ref)->count;
}

uint32_t compile_counts_of(const compile_counts_t *counts, mesh_ref_t ref) {
    return counts->v != NULL ? counts_slot(counts, ref)->count : 0;
}

void compile_counts_free(compile_counts_t *counts) {
    free(counts->v);
    *counts = (compile_counts_t){0};
}

/* --- lists -------------------------------------------------------------- */

void compile_refs_add(compile_refs_t *refs, mesh_ref_t ref) {
    if (refs->count == refs->room) {
        refs->room = refs->room ? refs->room * 2 : TABLE_MIN;
        refs->v = compile_realloc(refs->v, refs->room * sizeof(refs->v[0]));
    }
    refs->v[refs->count++] = ref;
}

void compile_refs_free(compile_refs_t *refs) {
    free(refs->v);
    *refs = (compile_refs_t){0};
}

/* --- memo --------------------------------------------------------------- */

static compile_memo_entry_t *memo_slot(const compile_memo_t *memo, uint64_t a,
                                       uint64_t b) {
    uint32_t i = (uint32_t)mesh_mix64(a ^ mesh_mix64(b)) & memo->mask;
    while (memo->v[i].ref != 0 && (memo->v[i].a != a || memo->v[i].b != b)) {
        i = (i + 1) & memo->mask;
    }
    return &memo->v[i];
}

/* Into a table for `count` entries: all, or those that this turn asked for. */
static void memo_rebuild(compile_memo_t *memo, uint32_t count, bool asked) {
    compile_memo_t old = *memo;
    uint32_t size = TABLE_MIN;
    while (size < (uint64_t)count * 3) {
        size *= 2;
    }
    memo->v = compile_alloc((size_t)size * sizeof(compile_memo_entry_t));
    memo->mask = size - 1;
    memo->count = 0;
    for (uint32_t i = 0; old.v != NULL && i <= old.mask; i++) {
        const compile_memo_entry_t *e = &old.v[i];
        if (e->ref != 0 && (!asked || e->turn == memo->turn)) {
            *memo_slot(memo, e->a, e->b) = *e;
            memo->count++;
        }
    }
    free(old.v);
}

const compile_memo_entry_t *compile_memo_find(compile_memo_t *memo, uint64_t a,
                                              uint64_t b) {
    if (memo->v == NULL) {
        return NULL;
    }
    compile_memo_entry_t *e = memo_slot(memo, a, b);
    if (e->ref == 0) {
        return NULL;
    }
    memo->asked += e->turn != memo->turn;
    e->turn = memo->turn;
    return e;
}

void compile_memo_add(compile_memo_t *memo, const compile_memo_entry_t *entry) {
    if (entry->ref == 0) {
        return;
    }
    if (memo->v == NULL || memo->count * 2 > memo->mask) {
        memo_rebuild(memo, memo->count + 1, false);
    }
    compile_memo_entry_t *e = memo_slot(memo, entry->a, entry->b);
    memo->count += e->ref == 0;
    memo->asked += e->ref == 0 || e->turn != memo->turn;
    *e = *entry;
    e->turn = memo->turn;
}

/* What nobody asked for goes in bulk, when it is half of all. */
void compile_memo_turn(compile_memo_t *memo) {
    if (memo->count > 2 * memo->asked + TABLE_MIN) {
        memo_rebuild(memo, memo->asked, true);
    }
    memo->turn++;
    memo->asked = 0;
}

void compile_memo_free(compile_memo_t *memo) {
    free(memo->v);
    *memo = (compile_memo_t){0};
}

/* --- another writer ------------------------------------------------------ */

bool compile_moved(const compile_moved_t *moved, mesh_ref_t *ref) {
    if (*ref != 0) {
        *ref = moved->find(moved->ctx, *ref);
        return *ref != 0;
    }
    return true;
}

void compile_memo_move(compile_memo_t *memo, const compile_moved_t *moved) {
    for (uint32_t i = 0; memo->v != NULL && i <= memo->mask; i++) {
        compile_memo_entry_t *e = &memo->v[i];
        if (e->ref != 0 && (!compile_moved(moved, &e->ref) ||
                            !compile_moved(moved, &e->name))) {
            e->ref = 0;
        }
    }
    /* Those behind a gap would not be found any more. */
    memo_rebuild(memo, memo->count, false);
}

bool compile_counts_move(compile_counts_t *counts,
                         const compile_moved_t *moved) {
    bool all = true;
    for (uint32_t i = 0; counts->v != NULL && i <= counts->mask; i++) {
        compile_count_t *c = &counts->v[i];
        if (c->count > 0) {
            all &= compile_moved(moved, &c->ref);
        }
    }
    /* By their new references they belong elsewhere in the table. */
    counts_rebuild(counts);
    return all;
}

bool compile_refs_move(compile_refs_t *refs, const compile_moved_t *moved) {
    bool all = true;
    for (uint32_t i = 0; i < refs->count; i++) {
        all &= compile_moved(moved, &refs->v[i]);
    }
    return all;
}
