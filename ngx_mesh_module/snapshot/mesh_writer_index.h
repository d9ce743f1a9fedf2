/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a writer knows about the records of its file: where each one starts,
 * its content digest, and which one has a given content.
 *
 * Records get numbers in order of the file.  A bitmap of starts with a count
 * before each word turns a reference into a number in constant time; a hash
 * table finds candidates of equal content.
 */

#ifndef MESH_WRITER_INDEX_H
#define MESH_WRITER_INDEX_H

#include "mesh_base.h"
#include "mesh_format.h"


#define MESH_INDEX_NONE   UINT32_MAX


typedef struct {
    mesh_ref_t      ref;
    uint32_t        hash;               /* of the record's bytes */
    mesh_digest_t   digest;
} mesh_index_entry_t;


typedef struct {
    mesh_index_entry_t  *entries;
    uint32_t             count;
    uint32_t             allocated;

    uint32_t            *table;         /* number + 1; 0: free */
    uint32_t             mask;
    uint32_t             used;

    uint64_t            *starts;
    uint32_t            *before;        /* records that start in words < w */
    uint32_t             words;         /* of `before` that are filled */
    uint32_t             words_allocated;
} mesh_index_t;


/* Begins with a zeroed index; false: no memory. */
bool mesh_index_init(mesh_index_t *index);
void mesh_index_free(mesh_index_t *index);

/*
 * Adds the record at `ref`, above all that are there, and returns its number,
 * or MESH_INDEX_NONE without memory.  shared: content lookups may find it.
 */
uint32_t mesh_index_add(mesh_index_t *index, mesh_ref_t ref, uint32_t hash,
    bool shared);

/* Forgets all records from that number on. */
void mesh_index_truncate(mesh_index_t *index, uint32_t count);

/* The number of the record that starts at `ref`, or MESH_INDEX_NONE. */
static inline uint32_t
mesh_index_number(const mesh_index_t *index, mesh_ref_t ref)
{
    uint32_t  w;
    uint64_t  bit;

    w = ref / 64;
    bit = UINT64_C(1) << (ref % 64);

    if (w >= index->words || (index->starts[w] & bit) == 0) {
        return MESH_INDEX_NONE;
    }

    return index->before[w]
           + (uint32_t) __builtin_popcountll(index->starts[w] & (bit - 1));
}

/*
 * Records of that hash, one a call; begin with *probe = hash.  Returns a
 * number, or MESH_INDEX_NONE after the last.
 */
uint32_t mesh_index_next(const mesh_index_t *index, uint32_t hash,
    uint32_t *probe);


#endif /* MESH_WRITER_INDEX_H */
