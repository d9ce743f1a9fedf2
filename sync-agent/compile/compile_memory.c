/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Records being built, sets of references, the memo.
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

static bool refset_has(const compile_refset_t *set, mesh_ref_t ref) {
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

bool compile_refset_add(compile_refset_t *set, mesh_ref_t ref) {
    if (ref == 0 || (set->v != NULL && refset_has(set, ref))) {
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

/* --- memo --------------------------------------------------------------- */

static compile_memo_entry_t *table_slot(const compile_memo_table_t *t,
                                        uint64_t a, uint64_t b) {
    uint32_t i = (uint32_t)mesh_mix64(a ^ mesh_mix64(b)) & t->mask;
    while (t->v[i].ref != 0 && (t->v[i].a != a || t->v[i].b != b)) {
        i = (i + 1) & t->mask;
    }
    return &t->v[i];
}

static void table_grow(compile_memo_table_t *t) {
    compile_memo_table_t old = *t;
    uint32_t size = old.v ? (old.mask + 1) * 2 : TABLE_MIN;
    t->v = compile_alloc((size_t)size * sizeof(compile_memo_entry_t));
    t->mask = size - 1;
    for (uint32_t i = 0; old.v != NULL && i <= old.mask; i++) {
        if (old.v[i].ref != 0) {
            *table_slot(t, old.v[i].a, old.v[i].b) = old.v[i];
        }
    }
    free(old.v);
}

static void table_put(compile_memo_table_t *t,
                      const compile_memo_entry_t *entry) {
    if (t->v == NULL || t->count * 2 > t->mask) {
        table_grow(t);
    }
    compile_memo_entry_t *e = table_slot(t, entry->a, entry->b);
    t->count += e->ref == 0;
    *e = *entry;
}

static bool table_find(const compile_memo_table_t *t, uint64_t a, uint64_t b,
                       compile_memo_entry_t *entry) {
    if (t->v == NULL) {
        return false;
    }
    *entry = *table_slot(t, a, b);
    return entry->ref != 0;
}

bool compile_memo_find(compile_memo_t *memo, uint64_t a, uint64_t b,
                       compile_memo_entry_t *entry) {
    if (table_find(&memo->now, a, b, entry)) {
        return true;
    }
    if (!table_find(&memo->before, a, b, entry)) {
        return false;
    }
    table_put(&memo->now, entry);
    return true;
}

void compile_memo_add(compile_memo_t *memo, const compile_memo_entry_t *entry) {
    if (entry->ref != 0) {
        table_put(&memo->now, entry);
    }
}

void compile_memo_turn(compile_memo_t *memo) {
    free(memo->before.v);
    memo->before = memo->now;
    memo->now = (compile_memo_table_t){0};
}

void compile_memo_free(compile_memo_t *memo) {
    free(memo->now.v);
    free(memo->before.v);
    *memo = (compile_memo_t){0};
}
