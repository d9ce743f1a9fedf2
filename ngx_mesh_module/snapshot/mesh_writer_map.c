/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Maps in their canonical form: built whole, or from another map and a few
 * changes, which costs the leaves that they touch and the directory.
 */

#include <stdlib.h>

#include "mesh_writer_impl.h"


static int
map_cmp(const void *one, const void *two, void *ctx)
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
map_hash(mesh_writer_t *w, mesh_map_entry_t *entry)
{
    mesh_str_t  name;

    name = mesh_writer_text(w, entry->name);
    if (name.data == NULL) {
        (void) mesh_writer_fail(w, "a map's entry without a name");
        return false;
    }

    entry->hash = mesh_hash32(name.data, name.len);

    return true;
}


static bool
map_order(mesh_writer_t *w, mesh_map_entry_t *entries, uint32_t count)
{
    uint32_t  i;

    for (i = 0; i < count; i++) {
        if (!map_hash(w, &entries[i])) {
            return false;
        }
    }

    qsort_r(entries, count, sizeof(*entries), map_cmp, w);

    for (i = 1; i < count; i++) {
        if (map_cmp(&entries[i - 1], &entries[i], w) == 0) {
            (void) mesh_writer_fail(w, "two entries of one name in a map");
            return false;
        }
    }

    return true;
}


static mesh_ref_t
map_leaf(mesh_writer_t *w, uint16_t value_kind,
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
map_leaves(mesh_writer_t *w, mesh_rec_map_t *map,
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

        map->leaf[slot] = map_leaf(w, map->value_kind, entries + from,
                                   i - from);
        if (map->leaf[slot] == 0) {
            return false;
        }
    }

    return true;
}


/* A MAP to be filled and freed; NULL: the writer failed. */
static mesh_rec_map_t *
map_alloc(mesh_writer_t *w, uint16_t value_kind, uint32_t count)
{
    uint64_t         size;
    unsigned         bits;
    mesh_rec_map_t  *map;

    bits = mesh_map_bits(count);
    size = offsetof(mesh_rec_map_t, leaf) + (sizeof(mesh_ref_t) << bits);

    /* Not in the scratch memory: that is for the leaves meanwhile. */
    map = size <= MESH_RECORD_MAX ? calloc(1, size) : NULL;
    if (map == NULL) {
        (void) mesh_writer_fail(w, "no memory");
        return NULL;
    }

    map->rec.kind = MESH_KIND_MAP;
    map->rec.size = (uint32_t) size;
    map->value_kind = value_kind;
    map->bits = (uint16_t) bits;
    map->count = count;
    map->leaves = UINT32_C(1) << bits;

    return map;
}


mesh_ref_t
mesh_writer_put_map(mesh_writer_t *w, uint16_t value_kind,
    mesh_map_entry_t *entries, uint32_t count)
{
    mesh_ref_t       ref;
    mesh_rec_map_t  *map;

    if (count == 0 || w->error != NULL || !map_order(w, entries, count)) {
        return 0;
    }

    map = map_alloc(w, value_kind, count);
    if (map == NULL) {
        return 0;
    }

    ref = 0;

    if (map_leaves(w, map, entries)) {
        ref = mesh_writer_put(w, &map->rec);
    }

    free(map);

    return ref;
}


/* --- changes ------------------------------------------------------------- */

typedef struct {
    mesh_writer_t            *w;
    mesh_ref_t                old;      /* MAP; 0: an empty one */
    uint16_t                  value_kind;
    const mesh_map_change_t  *changes;  /* in order of (hash, name) */
    uint32_t                  count;
    mesh_map_entry_t         *entries;  /* where leaves are merged */
    uint32_t                  room;
} map_update_t;


static const mesh_rec_map_t *
map_old(const map_update_t *u)
{
    return u->old ? mesh_writer_at(u->w, u->old) : NULL;
}


static int
map_change_cmp(const void *one, const void *two, void *ctx)
{
    const mesh_map_change_t  *a = one;
    const mesh_map_change_t  *b = two;

    return map_cmp(&a->entry, &b->entry, ctx);
}


static bool
map_order_changes(mesh_writer_t *w, mesh_map_change_t *changes, uint32_t count)
{
    uint32_t  i;

    for (i = 0; i < count; i++) {
        if (!map_hash(w, &changes[i].entry)) {
            return false;
        }
    }

    qsort_r(changes, count, sizeof(*changes), map_change_cmp, w);

    for (i = 1; i < count; i++) {
        if (map_change_cmp(&changes[i - 1], &changes[i], w) == 0) {
            (void) mesh_writer_fail(w, "two changes of one name in a map");
            return false;
        }
    }

    return true;
}


/*
 * Appends the entries of an old leaf (0: none) with `n` changes to
 * u->entries[at], and returns how many entries there are then; 0 with
 * w->error if memory is out.
 */
static uint32_t
map_merge(map_update_t *u, uint32_t at, mesh_ref_t ref,
    const mesh_map_change_t *change, uint32_t n)
{
    int                         rc;
    uint32_t                    i, k, left;
    mesh_map_entry_t           *p;
    const mesh_rec_map_leaf_t  *leaf;

    leaf = ref ? mesh_writer_at(u->w, ref) : NULL;
    left = leaf ? leaf->count : 0;

    if (at + left + n > u->room) {
        u->room = (at + left + n) * 2;

        p = realloc(u->entries, u->room * sizeof(*p));
        if (p == NULL) {
            return mesh_writer_fail(u->w, "no memory");
        }

        u->entries = p;
    }

    for (i = 0, k = 0; i < left || k < n; /* void */ ) {

        rc = k == n ? -1
             : i == left ? 1 : map_cmp(&leaf->v[i], &change[k].entry, u->w);

        if (rc < 0) {
            u->entries[at++] = leaf->v[i++];
            continue;
        }

        if (rc == 0) {
            i++;
        }

        if (!change[k].gone) {
            u->entries[at++] = change[k].entry;
        }

        k++;
    }

    return at;
}


/* How many of the changes from `k` on are in the same leaf. */
static uint32_t
map_run(const map_update_t *u, uint32_t k, unsigned bits, uint32_t slot)
{
    uint32_t  n;

    for (n = 0; k + n < u->count; n++) {
        if (mesh_map_leaf(u->changes[k + n].entry.hash, bits) != slot) {
            break;
        }
    }

    return n;
}


/* All entries of the old map with the changes, in order. */
static uint32_t
map_merge_all(map_update_t *u)
{
    unsigned    bits;
    uint32_t    slot, leaves, k, n, total;
    mesh_ref_t  ref;

    const mesh_rec_map_t  *old = map_old(u);

    bits = old ? old->bits : 0;
    leaves = old ? old->leaves : 1;
    total = 0;

    for (slot = 0, k = 0; slot < leaves; slot++, k += n) {
        n = map_run(u, k, bits, slot);
        ref = old ? old->leaf[slot] : 0;

        total = map_merge(u, total, ref, u->changes + k, n);

        if (u->w->error != NULL) {
            return 0;
        }
    }

    return total;
}


/* Entries of the new map; what is not there cannot go. */
static uint32_t
map_count(const map_update_t *u)
{
    uint32_t                    i, k, slot, total;
    const mesh_rec_map_t       *old;
    const mesh_rec_map_leaf_t  *leaf;
    const mesh_map_entry_t     *entry;

    old = map_old(u);
    total = old ? old->count : 0;

    for (k = 0; k < u->count; k++) {
        entry = &u->changes[k].entry;
        slot = old ? mesh_map_leaf(entry->hash, old->bits) : 0;
        leaf = old && old->leaf[slot] ? mesh_writer_at(u->w, old->leaf[slot])
                                      : NULL;

        for (i = 0; leaf != NULL && i < leaf->count; i++) {
            if (map_cmp(&leaf->v[i], entry, u->w) == 0) {
                total--;
                break;
            }
        }

        total += !u->changes[k].gone;
    }

    return total;
}


/* The leaves that the changes touch; the others are the old map's. */
static bool
map_change_leaves(map_update_t *u, mesh_rec_map_t *map)
{
    uint32_t    k, n, slot, entries;
    mesh_ref_t  ref;

    for (k = 0; k < u->count; k += n) {
        slot = mesh_map_leaf(u->changes[k].entry.hash, map->bits);
        n = map_run(u, k, map->bits, slot);

        entries = map_merge(u, 0, map->leaf[slot], u->changes + k, n);

        ref = entries ? map_leaf(u->w, map->value_kind, u->entries, entries)
                      : 0;

        if (u->w->error != NULL) {
            return false;
        }

        map->leaf[slot] = ref;
    }

    return true;
}


static mesh_ref_t
map_update(map_update_t *u)
{
    uint32_t               total;
    mesh_ref_t             ref;
    mesh_rec_map_t        *map;
    const mesh_rec_map_t  *old;

    total = map_count(u);
    if (total == 0) {
        return 0;
    }

    old = map_old(u);

    if (old == NULL || old->bits != mesh_map_bits(total)) {
        total = map_merge_all(u);
        return mesh_writer_put_map(u->w, u->value_kind, u->entries, total);
    }

    map = map_alloc(u->w, u->value_kind, total);
    if (map == NULL) {
        return 0;
    }

    memcpy(map->leaf, old->leaf, old->leaves * sizeof(mesh_ref_t));

    ref = map_change_leaves(u, map) ? mesh_writer_put(u->w, &map->rec) : 0;

    free(map);

    return ref;
}


mesh_ref_t
mesh_writer_update_map(mesh_writer_t *w, uint16_t value_kind, mesh_ref_t map,
    mesh_map_change_t *changes, uint32_t count)
{
    mesh_ref_t    ref;
    map_update_t  u;

    if (w->error != NULL || count == 0) {
        return w->error != NULL ? 0 : map;
    }

    if (!map_order_changes(w, changes, count)) {
        return 0;
    }

    memset(&u, 0, sizeof(u));
    u.w = w;
    u.old = map;
    u.value_kind = value_kind;
    u.changes = changes;
    u.count = count;

    ref = map_update(&u);

    free(u.entries);

    return ref;
}
