/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Building a snapshot: appends records to memory, one of each content.
 *
 * The writer keeps an image of the whole file: what is committed is the
 * caller's (a mapping of the file, or NULL), what is appended since is the
 * writer's.  mesh_writer_pending() gives the bytes that a caller has to write
 * to the file before mesh_writer_commit(); mesh_writer_rollback() forgets
 * them, as after a full disk.
 *
 * Agent and tools only (it allocates); never part of a worker.  One thread.
 */

#ifndef MESH_WRITER_H
#define MESH_WRITER_H

#include "mesh_base.h"
#include "mesh_format.h"
#include "mesh_snapshot.h"


typedef struct mesh_writer_s  mesh_writer_t;


/*
 * A new, empty file image with that number (not 0) and capacity (bytes,
 * MESH_FILE_CAPACITY_MIN to _MAX).  NULL: other values, or no memory.
 */
mesh_writer_t *mesh_writer_create(uint32_t file_number, uint64_t capacity);

/*
 * Goes on with a file whose bytes below s->verified were checked.  s->base
 * stays mapped, and shows what the caller commits, as long as the writer
 * lives.  Index and digests are computed afresh from the records.  NULL: no
 * memory, or a record whose stored digest is not its content's; such a file
 * is to be left, not gone on with.
 */
mesh_writer_t *mesh_writer_open(const mesh_snapshot_t *s);

void mesh_writer_free(mesh_writer_t *w);


/*
 * The reference of a record with this content: an identical one that is
 * there already (bytes compared), or a new one.  `rec` is a whole record
 * whose rec.kind, rec.flags and rec.size are set (any size: it is padded
 * with zeroes to a multiple of 8 and the stored size says so) and whose
 * digest, if the kind has one, is ignored and filled in by the writer.
 * References in it must come from this writer.
 * Returns 0 when it fails: mesh_writer_error() tells why (capacity, memory,
 * a record that breaks its schema).  After a failure only rollback helps;
 * later puts return 0 as well, so callers may check once at the end.
 */
mesh_ref_t mesh_writer_put(mesh_writer_t *w, const mesh_rec_t *rec);

/* STRING records; the empty string is a record too. */
mesh_ref_t mesh_writer_put_str(mesh_writer_t *w, mesh_str_t text);


/*
 * A canonical MAP of these entries (`name`, `value`, `aux` set; `hash` is
 * filled in; the array is reordered).  Names must differ.  Returns 0 for no
 * entries and when it fails.
 */
mesh_ref_t mesh_writer_put_map(mesh_writer_t *w, uint16_t value_kind,
    mesh_map_entry_t *entries, uint32_t count);

/* What becomes of one name of a map. */
typedef struct {
    mesh_map_entry_t  entry;            /* `hash` is filled in */
    bool              gone;             /* only entry.name counts */
} mesh_map_change_t;

/*
 * The MAP that `map` (0: an empty one) is with these changes: the same bytes
 * as mesh_writer_put_map() of all entries, at the cost of the leaves that
 * change.  The array is reordered; names must differ; a name that is not
 * there may be gone.  0 for no entries and when it fails.
 */
mesh_ref_t mesh_writer_update_map(mesh_writer_t *w, uint16_t value_kind,
    mesh_ref_t map, mesh_map_change_t *changes, uint32_t count);

/* REFS of one kind; 0 for no elements and when it fails. */
mesh_ref_t mesh_writer_put_refs(mesh_writer_t *w, uint16_t value_kind,
    const mesh_ref_t *refs, uint32_t count);

/* U32S; 0 for no elements and when it fails. */
mesh_ref_t mesh_writer_put_u32s(mesh_writer_t *w, const uint32_t *v,
    uint32_t count);


/* NULL, or why the writer failed; static text. */
const char *mesh_writer_error(const mesh_writer_t *w);

/*
 * Content digest of a record: over its bytes with each reference replaced by
 * the digest of what it points at, so equal on all machines.
 */
mesh_digest_t mesh_writer_digest(const mesh_writer_t *w, mesh_ref_t ref);

/*
 * The record behind a reference of this writer, pending ones included; valid
 * until the next put.
 */
const void *mesh_writer_get(const mesh_writer_t *w, mesh_ref_t ref);


/* What has to be written to the file: `len` bytes at `offset`. */
typedef struct {
    uint64_t     offset;
    uint64_t     len;
    const void  *data;
} mesh_pending_t;

mesh_pending_t mesh_writer_pending(const mesh_writer_t *w);

/*
 * The pending bytes are in the file now.  `base` shows them: the mapping of
 * the file (its capacity, read only, may be the same as before), or NULL to
 * keep the bytes in the writer.
 */
void mesh_writer_commit(mesh_writer_t *w, const void *base);

/* Forgets what was appended since the last commit. */
void mesh_writer_rollback(mesh_writer_t *w);

uint64_t mesh_writer_size(const mesh_writer_t *w);       /* with pending */
uint64_t mesh_writer_capacity(const mesh_writer_t *w);
uint32_t mesh_writer_file_number(const mesh_writer_t *w);


/*
 * Compaction: a copier puts what a record of a snapshot reaches into the
 * fresh writer `to`, children first, each record once.
 */
typedef struct mesh_copier_s  mesh_copier_t;

/* NULL: no memory.  `to` outlives it. */
mesh_copier_t *mesh_copier_create(mesh_writer_t *to);
void mesh_copier_free(mesh_copier_t *c);

/*
 * Copies the checked record at `ref` and whatever it reaches that is not
 * copied yet, and returns its reference in `to`, or 0.  The roots in a root's
 * history come along, without the histories of their own: those would keep
 * everything that was ever published.  `from` is the same file at every call,
 * and may have grown.
 */
mesh_ref_t mesh_copier_copy(mesh_copier_t *c, const mesh_snapshot_t *from,
    mesh_ref_t ref);

/*
 * Where a record of the old file went; 0: it did not come along.  Roots are
 * found as members of a ring only, without history.
 */
mesh_ref_t mesh_copier_find(const mesh_copier_t *c, mesh_ref_t ref);

/* One copy by a copier of its own. */
mesh_ref_t mesh_writer_copy(mesh_writer_t *to, const mesh_snapshot_t *from,
    mesh_ref_t root);


#endif /* MESH_WRITER_H */
