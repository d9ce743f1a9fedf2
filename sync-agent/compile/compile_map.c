/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Following a map, and comparing two of them.
 */

#include "compile_map.h"
#include "mesh_schema.h"

#include <stdlib.h>

#define ROOM_MIN 64

/* Room for one more of these. */
#define make_room(list)                                                        \
    do {                                                                       \
        if ((list)->count == (list)->room) {                                   \
            (list)->room = (list)->room ? (list)->room * 2 : ROOM_MIN;         \
            (list)->v = compile_realloc((list)->v,                             \
                                        (list)->room * sizeof((list)->v[0]));  \
        }                                                                      \
    } while (0)

void compile_entries_reserve(compile_entries_t *entries, uint32_t count) {
    if (count > entries->room) {
        entries->room = count;
        entries->v = compile_realloc(entries->v, count * sizeof(entries->v[0]));
    }
}

void compile_entries_add(compile_entries_t *entries, mesh_ref_t name,
                         mesh_ref_t value, uint32_t aux) {
    make_room(entries);
    entries->v[entries->count++] =
        (mesh_map_entry_t){.name = name, .value = value, .aux = aux};
}

static void change_add(compile_changes_t *changes,
                       const mesh_map_entry_t *entry, bool gone) {
    make_room(changes);
    changes->v[changes->count++] =
        (mesh_map_change_t){.entry = *entry, .gone = gone};
}

void compile_changes_put(compile_changes_t *changes, mesh_ref_t name,
                         mesh_ref_t value, uint32_t aux) {
    mesh_map_entry_t entry = {.name = name, .value = value, .aux = aux};
    change_add(changes, &entry, false);
}

void compile_changes_gone(compile_changes_t *changes, mesh_ref_t name) {
    mesh_map_entry_t entry = {.name = name};
    change_add(changes, &entry, true);
}

void compile_changes_free(compile_changes_t *changes) {
    free(changes->v);
    *changes = (compile_changes_t){0};
}

/* --- following ---------------------------------------------------------- */

/* A part of a list of entries. */
typedef struct {
    const mesh_map_entry_t *v;
    uint32_t count;
} span_t;

static bool same_entry(const mesh_map_entry_t *a, const mesh_map_entry_t *b) {
    return a->name == b->name && a->value == b->value && a->aux == b->aux;
}

/* Leaves what is between equal beginnings and equal ends. */
static void trim(span_t *old, span_t *new) {
    while (old->count > 0 && new->count > 0 && same_entry(old->v, new->v)) {
        old->v++, old->count--;
        new->v++, new->count--;
    }
    while (old->count > 0 && new->count > 0 &&
           same_entry(&old->v[old->count - 1], &new->v[new->count - 1])) {
        old->count--;
        new->count--;
    }
}

static void changes_of(compile_changes_t *changes, span_t old, span_t new) {
    compile_refset_t names = {0};
    for (uint32_t i = 0; i < new.count; i++) {
        bool same = i < old.count && same_entry(&old.v[i], &new.v[i]);
        (void)compile_refset_add(&names, new.v[i].name);
        if (!same) {
            change_add(changes, &new.v[i], false);
        }
    }
    for (uint32_t i = 0; i < old.count; i++) {
        if (compile_refset_add(&names, old.v[i].name)) {
            change_add(changes, &old.v[i], true);
        }
    }
    compile_refset_free(&names);
}

/* A copy is put: putting reorders. */
static mesh_ref_t put_whole(mesh_writer_t *w, uint16_t value_kind,
                            const compile_entries_t *entries) {
    if (entries->count == 0) {
        return 0;
    }
    size_t size = entries->count * sizeof(entries->v[0]);
    mesh_map_entry_t *copy = memcpy(compile_alloc(size), entries->v, size);
    mesh_ref_t ref = mesh_writer_put_map(w, value_kind, copy, entries->count);
    free(copy);
    return ref;
}

mesh_ref_t compile_map_follow(mesh_writer_t *w, compile_map_t *map,
                              uint16_t value_kind, compile_entries_t *entries) {
    span_t old = {map->entries.v, map->entries.count};
    span_t new = {entries->v, entries->count};
    trim(&old, &new);
    if (map->map == 0 || old.count + new.count > entries->count / 2) {
        map->map = put_whole(w, value_kind, entries);
    } else {
        compile_changes_t changes = {0};
        changes_of(&changes, old, new);
        map->map = mesh_writer_update_map(w, value_kind, map->map, changes.v,
                                          changes.count);
        compile_changes_free(&changes);
    }
    free(map->entries.v);
    map->entries = *entries;
    *entries = (compile_entries_t){0};
    return map->map;
}

void compile_map_move(compile_map_t *map, const compile_moved_t *moved) {
    bool all = compile_moved(moved, &map->map);
    for (uint32_t i = 0; all && i < map->entries.count; i++) {
        mesh_map_entry_t *e = &map->entries.v[i];
        all = compile_moved(moved, &e->name) && compile_moved(moved, &e->value);
    }
    if (!all) {
        compile_map_free(map);
    }
}

void compile_map_free(compile_map_t *map) {
    free(map->entries.v);
    *map = (compile_map_t){0};
}

/* --- MAPs --------------------------------------------------------------- */

static const mesh_rec_map_leaf_t *
leaf_of(const mesh_writer_t *w, const mesh_rec_map_t *map, uint32_t hash) {
    if (map == NULL) {
        return NULL;
    }
    return mesh_writer_get(w, map->leaf[mesh_map_leaf(hash, map->bits)]);
}

static const mesh_rec_map_t *map_of(const mesh_writer_t *w, mesh_ref_t map) {
    return map != 0 ? mesh_writer_get(w, map) : NULL;
}

/* One text is one STRING: equal names are equal references. */
static const mesh_map_entry_t *leaf_find(const mesh_rec_map_leaf_t *leaf,
                                         mesh_ref_t name) {
    for (uint32_t i = 0; leaf != NULL && i < leaf->count; i++) {
        if (leaf->v[i].name == name) {
            return &leaf->v[i];
        }
    }
    return NULL;
}

const mesh_map_entry_t *compile_map_find(const mesh_writer_t *w, mesh_ref_t map,
                                         mesh_ref_t name) {
    mesh_str_t text = compile_text(w, name);
    uint32_t hash = mesh_hash32(text.data, text.len);
    return leaf_find(leaf_of(w, map_of(w, map), hash), name);
}

static void diff_add(compile_diffs_t *diffs, const mesh_map_entry_t *before,
                     const mesh_map_entry_t *after) {
    make_room(diffs);
    compile_diff_t *d = &diffs->v[diffs->count++];
    *d = (compile_diff_t){0};
    if (before != NULL) {
        d->before = *before;
    }
    if (after != NULL) {
        d->after = *after;
    }
}

/*
 * Entries of a leaf that the other map does not have, or has with another
 * value; those are told once, from the side of `after`.
 */
static void diff_leaf(const mesh_writer_t *w, const mesh_rec_map_leaf_t *leaf,
                      const mesh_rec_map_t *other, bool leaf_is_after,
                      compile_diffs_t *diffs) {
    for (uint32_t i = 0; leaf != NULL && i < leaf->count; i++) {
        const mesh_map_entry_t *e = &leaf->v[i];
        const mesh_map_entry_t *o =
            leaf_find(leaf_of(w, other, e->hash), e->name);
        if (leaf_is_after && (o == NULL || !same_entry(o, e))) {
            diff_add(diffs, o, e);
        } else if (!leaf_is_after && o == NULL) {
            diff_add(diffs, e, NULL);
        }
    }
}

static void diff_side(const mesh_writer_t *w, const mesh_rec_map_t *map,
                      const mesh_rec_map_t *other, bool map_is_after,
                      compile_diffs_t *diffs) {
    for (uint32_t i = 0; map != NULL && i < map->leaves; i++) {
        bool alike = other != NULL && other->bits == map->bits;
        if (map->leaf[i] != 0 && (!alike || other->leaf[i] != map->leaf[i])) {
            diff_leaf(w, mesh_writer_get(w, map->leaf[i]), other, map_is_after,
                      diffs);
        }
    }
}

void compile_map_diff(const mesh_writer_t *w, mesh_ref_t before,
                      mesh_ref_t after, compile_diffs_t *diffs) {
    if (before != after) {
        const mesh_rec_map_t *a = map_of(w, before);
        const mesh_rec_map_t *b = map_of(w, after);
        diff_side(w, b, a, true, diffs);
        diff_side(w, a, b, false, diffs);
    }
}

void compile_diffs_free(compile_diffs_t *diffs) {
    free(diffs->v);
    *diffs = (compile_diffs_t){0};
}
