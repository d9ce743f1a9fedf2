/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The index of a writer's records.  The table probes linearly and is at most
 * half full; removal shifts entries back, so it needs no marks of deletion.
 */

#include <stdlib.h>

#include "mesh_writer_index.h"


#define INDEX_TABLE_MIN   1024


bool
mesh_index_init(mesh_index_t *index)
{
    memset(index, 0, sizeof(*index));

    index->table = calloc(INDEX_TABLE_MIN, sizeof(uint32_t));
    index->mask = INDEX_TABLE_MIN - 1;

    return index->table != NULL;
}


void
mesh_index_free(mesh_index_t *index)
{
    free(index->entries);
    free(index->table);
    free(index->starts);
    free(index->before);
}


static void
index_insert(mesh_index_t *index, uint32_t number)
{
    uint32_t  i;

    i = index->entries[number].hash & index->mask;

    while (index->table[i] != 0) {
        i = (i + 1) & index->mask;
    }

    index->table[i] = number + 1;
}


static bool
index_grow_table(mesh_index_t *index)
{
    uint32_t   i, mask;
    uint32_t  *old, *table;

    if (index->used <= index->mask / 2) {
        return true;
    }

    mask = index->mask * 2 + 1;
    table = calloc((size_t) mask + 1, sizeof(uint32_t));
    if (table == NULL) {
        return false;
    }

    old = index->table;
    i = index->mask;
    index->table = table;
    index->mask = mask;

    do {
        if (old[i] != 0) {
            index_insert(index, old[i] - 1);
        }
    } while (i-- != 0);

    free(old);

    return true;
}


static bool
index_grow_entries(mesh_index_t *index)
{
    uint32_t             n;
    mesh_index_entry_t  *entries;

    if (index->count < index->allocated) {
        return true;
    }

    n = index->allocated ? index->allocated * 2 : 1024;
    entries = realloc(index->entries, n * sizeof(*entries));
    if (entries == NULL) {
        return false;
    }

    index->entries = entries;
    index->allocated = n;

    return true;
}


static bool
index_grow_words(mesh_index_t *index, uint32_t w)
{
    uint32_t   n;
    uint32_t  *before;
    uint64_t  *starts;

    if (w < index->words_allocated) {
        return true;
    }

    n = mesh_max(w + 1, index->words_allocated * 2);

    starts = realloc(index->starts, n * sizeof(*starts));
    if (starts == NULL) {
        return false;
    }

    index->starts = starts;

    before = realloc(index->before, n * sizeof(*before));
    if (before == NULL) {
        return false;
    }

    index->before = before;
    index->words_allocated = n;

    return true;
}


uint32_t
mesh_index_add(mesh_index_t *index, mesh_ref_t ref, uint32_t hash, bool shared)
{
    uint32_t             w;
    mesh_index_entry_t  *entry;

    w = ref / 64;

    if (!index_grow_entries(index) || !index_grow_words(index, w)
        || !index_grow_table(index))
    {
        return MESH_INDEX_NONE;
    }

    while (index->words <= w) {
        index->starts[index->words] = 0;
        index->before[index->words] = index->count;
        index->words++;
    }

    index->starts[w] |= UINT64_C(1) << (ref % 64);

    entry = &index->entries[index->count];
    memset(entry, 0, sizeof(*entry));
    entry->ref = ref;
    entry->hash = hash;

    if (shared) {
        index_insert(index, index->count);
        index->used++;
    }

    return index->count++;
}


/* Closes the gap at `i`: whatever would no longer be found moves into it. */
static void
index_remove_at(mesh_index_t *index, uint32_t i)
{
    uint32_t  next, home;

    for (next = (i + 1) & index->mask;
         index->table[next] != 0;
         next = (next + 1) & index->mask)
    {
        home = index->entries[index->table[next] - 1].hash & index->mask;

        if (((next - home) & index->mask) >= ((next - i) & index->mask)) {
            index->table[i] = index->table[next];
            i = next;
        }
    }

    index->table[i] = 0;
    index->used--;
}


static void
index_remove(mesh_index_t *index, uint32_t number)
{
    uint32_t  i;

    for (i = index->entries[number].hash & index->mask;
         index->table[i] != 0;
         i = (i + 1) & index->mask)
    {
        if (index->table[i] == number + 1) {
            index_remove_at(index, i);
            return;
        }
    }
}


void
mesh_index_truncate(mesh_index_t *index, uint32_t count)
{
    mesh_ref_t  ref;

    while (index->count > count) {
        index_remove(index, index->count - 1);
        ref = index->entries[--index->count].ref;
        index->starts[ref / 64] &= ~(UINT64_C(1) << (ref % 64));
    }

    /* Counts before words above the last record are stale now. */
    index->words = count ? index->entries[count - 1].ref / 64 + 1 : 0;
}


uint32_t
mesh_index_next(const mesh_index_t *index, uint32_t hash, uint32_t *probe)
{
    uint32_t  i, number;

    for (i = *probe & index->mask;
         index->table[i] != 0;
         i = (i + 1) & index->mask)
    {
        number = index->table[i] - 1;

        if (index->entries[number].hash == hash) {
            *probe = i + 1;
            return number;
        }
    }

    return MESH_INDEX_NONE;
}
