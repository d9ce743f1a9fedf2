/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reading a snapshot that is mapped somewhere.  Pure: works on bytes and on
 * memory that the caller gives.
 *
 * What lies below `verified` was checked record by record: known kind, size,
 * every reference backwards to the start of a record of an allowed kind, the
 * kind's own rule.  All accessors take references out of checked records
 * only, and therefore need no checks of their own.
 *
 * Any process may read.  One mesh_snapshot_t belongs to one thread.
 */

#ifndef MESH_SNAPSHOT_H
#define MESH_SNAPSHOT_H

#include "mesh_base.h"
#include "mesh_format.h"


typedef struct {
    uint64_t     offset;                /* of the record that was refused */
    uint32_t     kind;
    const char  *field;                 /* or NULL; static text */
    const char  *reason;                /* static text; NULL: none yet */
} mesh_snapshot_error_t;


typedef struct {
    const uint8_t          *base;       /* the mapping; caller's */
    uint64_t                capacity;   /* bytes mapped */
    uint64_t                verified;   /* end of what was checked */
    uint64_t               *starts;     /* bitmap: a record starts at bit*8 */
    uint32_t                file_number;
    mesh_snapshot_error_t   error;
} mesh_snapshot_t;


/* Bytes that `starts` needs for a file of that capacity; must be zeroed. */
size_t mesh_snapshot_starts_size(uint64_t capacity);

/*
 * Begins with a mapping of `capacity` bytes of which `size` exist in the
 * file; checks the head (MESH_CORRUPT, MESH_VERSION).  `starts` is zeroed
 * memory of mesh_snapshot_starts_size(capacity) bytes that outlives `s`.
 */
mesh_status_t mesh_snapshot_init(mesh_snapshot_t *s, const void *base,
    uint64_t capacity, uint64_t size, uint64_t *starts);

/*
 * Checks records up to the byte `end` (the caller made sure that the file
 * has that many), at most about `budget` bytes in this call (0: no bound).
 * MESH_OK: verified == end.  MESH_AGAIN: call again.  MESH_CORRUPT: s->error
 * tells; what was verified before stays usable.
 */
mesh_status_t mesh_snapshot_verify(mesh_snapshot_t *s, uint64_t end,
    uint64_t budget);

/*
 * The byte where the record at `ref` ends, to be asked before it is checked:
 * needs mesh_rec_t at ref inside `size` bytes; 0 if that cannot be a record.
 */
uint64_t mesh_snapshot_root_end(const void *base, uint64_t size,
    mesh_ref_t ref);

/* The root at `ref`, or NULL if no checked ROOT starts there. */
const mesh_rec_root_t *mesh_snapshot_root(const mesh_snapshot_t *s,
    mesh_ref_t ref);

/* A checked record of any kind at `ref`, or NULL. For tools. */
const mesh_rec_t *mesh_snapshot_record(const mesh_snapshot_t *s,
    mesh_ref_t ref);


/* The record behind a reference of a checked record; NULL for 0. */
static inline const void *
mesh_get(const mesh_snapshot_t *s, mesh_ref_t ref)
{
    return ref ? s->base + ((uint64_t) ref << 3) : NULL;
}


/* The text behind a STRING reference; empty for 0.  NUL-terminated. */
static inline mesh_str_t
mesh_get_str(const mesh_snapshot_t *s, mesh_ref_t ref)
{
    const mesh_rec_string_t  *rec;

    if (ref == 0) {
        return MESH_STR("");
    }

    rec = mesh_get(s, ref);

    return (mesh_str_t) { rec->len, rec->data };
}


/* The entry of that name in a MAP (0: an empty one), or NULL. */
const mesh_map_entry_t *mesh_map_find(const mesh_snapshot_t *s,
    mesh_ref_t map, mesh_str_t name, uint32_t hash);

/*
 * All entries of a MAP, leaf by leaf.  Begin with a zeroed iterator; returns
 * NULL after the last.
 */
typedef struct {
    uint32_t     leaf;
    uint32_t     entry;
} mesh_map_iter_t;

const mesh_map_entry_t *mesh_map_next(const mesh_snapshot_t *s,
    mesh_ref_t map, mesh_map_iter_t *iter);


#endif /* MESH_SNAPSHOT_H */
