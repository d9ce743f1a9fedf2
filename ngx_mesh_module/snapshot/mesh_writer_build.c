/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The plain shapes: texts, lists, and maps in their canonical form.
 */

#include <stdlib.h>

#include "mesh_writer_impl.h"


void *
mesh_writer_scratch(mesh_writer_t *w, uint16_t kind, uint64_t size)
{
    void        *p;
    mesh_rec_t  *rec;

    if (size > MESH_RECORD_MAX) {
        (void) mesh_writer_fail(w, "a record is too large");
        return NULL;
    }

    if (size > w->scratch_size) {
        p = realloc(w->scratch, size * 2);
        if (p == NULL) {
            (void) mesh_writer_fail(w, "no memory");
            return NULL;
        }

        w->scratch = p;
        w->scratch_size = size * 2;
    }

    memset(w->scratch, 0, size);

    rec = w->scratch;
    rec->kind = kind;
    rec->size = (uint32_t) size;

    return rec;
}


mesh_ref_t
mesh_writer_put_str(mesh_writer_t *w, mesh_str_t text)
{
    mesh_rec_string_t  *rec;

    /* with the NUL, which the scratch memory has already */
    rec = mesh_writer_scratch(w, MESH_KIND_STRING,
                              sizeof(*rec) + (uint64_t) text.len + 1);
    if (rec == NULL) {
        return 0;
    }

    rec->len = (uint32_t) text.len;

    if (text.len != 0) {
        memcpy(rec->data, text.data, text.len);
    }

    return mesh_writer_put(w, &rec->rec);
}


mesh_ref_t
mesh_writer_put_refs(mesh_writer_t *w, uint16_t value_kind,
    const mesh_ref_t *refs, uint32_t count)
{
    mesh_rec_refs_t  *rec;

    if (count == 0) {
        return 0;
    }

    rec = mesh_writer_scratch(w, MESH_KIND_REFS,
                              offsetof(mesh_rec_refs_t, v)
                              + (uint64_t) count * sizeof(*refs));
    if (rec == NULL) {
        return 0;
    }

    rec->value_kind = value_kind;
    rec->count = count;
    memcpy(rec->v, refs, count * sizeof(*refs));

    return mesh_writer_put(w, &rec->rec);
}


mesh_ref_t
mesh_writer_put_u32s(mesh_writer_t *w, const uint32_t *v, uint32_t count)
{
    mesh_rec_u32s_t  *rec;

    if (count == 0) {
        return 0;
    }

    rec = mesh_writer_scratch(w, MESH_KIND_U32S,
                              offsetof(mesh_rec_u32s_t, v)
                              + (uint64_t) count * sizeof(*v));
    if (rec == NULL) {
        return 0;
    }

    rec->count = count;
    memcpy(rec->v, v, count * sizeof(*v));

    return mesh_writer_put(w, &rec->rec);
}


/* --- maps --------------------------------------------------------------- */

static int
build_map_cmp(const void *one, const void *two, void *ctx)
{
    const mesh_writer_t     *w = ctx;
    const mesh_map_entry_t  *a = one;
    const mesh_map_entry_t  *b = two;

    if (a->hash != b->hash) {
        return a->hash < b->hash ? -1 : 1;
    }

    return mesh_str_cmp(mesh_writer_text(w, a->name),
                        mesh_writer_text(w, b->name));
}


static bool
build_map_order(mesh_writer_t *w, mesh_map_entry_t *entries, uint32_t count)
{
    uint32_t    i;
    mesh_str_t  name;

    for (i = 0; i < count; i++) {
        name = mesh_writer_text(w, entries[i].name);
        if (name.data == NULL) {
            (void) mesh_writer_fail(w, "a map's entry without a name");
            return false;
        }

        entries[i].hash = mesh_hash32(name.data, name.len);
    }

    qsort_r(entries, count, sizeof(*entries), build_map_cmp, w);

    for (i = 1; i < count; i++) {
        if (build_map_cmp(&entries[i - 1], &entries[i], w) == 0) {
            (void) mesh_writer_fail(w, "two entries of one name in a map");
            return false;
        }
    }

    return true;
}


static mesh_ref_t
build_map_leaf(mesh_writer_t *w, uint16_t value_kind,
    const mesh_map_entry_t *entries, uint32_t count)
{
    mesh_rec_map_leaf_t  *leaf;

    leaf = mesh_writer_scratch(w, MESH_KIND_MAP_LEAF,
                               offsetof(mesh_rec_map_leaf_t, v)
                               + (uint64_t) count * sizeof(*entries));
    if (leaf == NULL) {
        return 0;
    }

    leaf->value_kind = value_kind;
    leaf->count = count;
    memcpy(leaf->v, entries, count * sizeof(*entries));

    return mesh_writer_put(w, &leaf->rec);
}


/* The leaves of ordered entries: each is a run of one range of hashes. */
static bool
build_map_leaves(mesh_writer_t *w, mesh_rec_map_t *map,
    const mesh_map_entry_t *entries)
{
    uint32_t  i, from, slot;

    for (i = 0; i < map->count; /* void */ ) {
        from = i;
        slot = mesh_map_leaf(entries[from].hash, map->bits);

        do {
            i++;
        } while (i < map->count
                 && mesh_map_leaf(entries[i].hash, map->bits) == slot);

        map->leaf[slot] = build_map_leaf(w, map->value_kind, entries + from,
                                         i - from);
        if (map->leaf[slot] == 0) {
            return false;
        }
    }

    return true;
}


mesh_ref_t
mesh_writer_put_map(mesh_writer_t *w, uint16_t value_kind,
    mesh_map_entry_t *entries, uint32_t count)
{
    uint64_t         size;
    unsigned         bits;
    mesh_ref_t       ref;
    mesh_rec_map_t  *map;

    if (count == 0 || w->error != NULL
        || !build_map_order(w, entries, count))
    {
        return 0;
    }

    bits = mesh_map_bits(count);
    size = offsetof(mesh_rec_map_t, leaf)
           + (sizeof(mesh_ref_t) << bits);

    /* Not in the scratch memory: that is for the leaves meanwhile. */
    map = size <= MESH_RECORD_MAX ? calloc(1, size) : NULL;
    if (map == NULL) {
        return mesh_writer_fail(w, "no memory");
    }

    map->rec.kind = MESH_KIND_MAP;
    map->rec.size = (uint32_t) size;
    map->value_kind = value_kind;
    map->bits = (uint16_t) bits;
    map->count = count;
    map->leaves = UINT32_C(1) << bits;

    ref = 0;

    if (build_map_leaves(w, map, entries)) {
        ref = mesh_writer_put(w, &map->rec);
    }

    free(map);

    return ref;
}
