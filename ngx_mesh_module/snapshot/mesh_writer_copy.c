/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Compaction.  What a root reaches is marked from the top down, then put into
 * the fresh writer from the bottom up, so that children are there first.
 * Roots of the ring lose their own histories (MESH_WALK_RING).
 */

#include <stdlib.h>

#include "mesh_snapshot_walk.h"
#include "mesh_writer_impl.h"


typedef struct {
    mesh_writer_t          *to;
    const mesh_snapshot_t  *from;
    mesh_ref_t              root;
    uint64_t               *marks;
    mesh_ref_t             *old;        /* marked references, falling */
    mesh_ref_t             *fresh;      /* parallel: where they are now */
    uint32_t                count;
    uint32_t                allocated;
} copy_t;


static mesh_status_t
copy_note(void *ctx, mesh_ref_t ref, const mesh_rec_t *rec)
{
    copy_t      *c = ctx;
    uint32_t     n;
    mesh_ref_t  *p;

    (void) rec;

    if (c->count == c->allocated) {
        n = c->allocated ? c->allocated * 2 : 1024;
        p = realloc(c->old, n * sizeof(*p));
        if (p == NULL) {
            return MESH_NO_MEMORY;
        }

        c->old = p;
        c->allocated = n;
    }

    c->old[c->count++] = ref;

    return MESH_OK;
}


static mesh_ref_t
copy_find(const copy_t *c, mesh_ref_t ref)
{
    uint32_t  low, high, middle;

    low = 0;
    high = c->count;

    while (high - low > 1) {
        middle = low + (high - low) / 2;

        if (c->old[middle] >= ref) {
            low = middle;

        } else {
            high = middle;
        }
    }

    return c->fresh[low];
}


typedef struct {
    const copy_t  *copy;
    uint8_t       *rec;                 /* the copy whose fields change */
} copy_fields_t;


static mesh_status_t
copy_field(void *ctx, const mesh_rec_t *rec, uint32_t offset,
    const mesh_ref_field_t *field)
{
    mesh_ref_t      ref;
    copy_fields_t  *f = ctx;

    (void) field;

    memcpy(&ref, (const uint8_t *) rec + offset, sizeof(ref));

    if (ref != 0) {
        ref = copy_find(f->copy, ref);
        memcpy(f->rec + offset, &ref, sizeof(ref));
    }

    return MESH_OK;
}


static mesh_ref_t
copy_record(copy_t *c, mesh_ref_t ref)
{
    void              *rec;
    copy_fields_t      fields;
    const mesh_rec_t  *from;

    from = mesh_get(c->from, ref);

    rec = mesh_writer_scratch(c->to, from->kind, from->size);
    if (rec == NULL) {
        return 0;
    }

    memcpy(rec, from, from->size);

    if (from->kind == MESH_KIND_ROOT && ref != c->root) {
        ((mesh_rec_root_t *) rec)->history = 0;
    }

    /* The fields that the copy has, not those of the record behind it. */
    fields.copy = c;
    fields.rec = rec;
    (void) mesh_schema_each_ref(rec, copy_field, &fields);

    return mesh_writer_put(c->to, rec);
}


static mesh_ref_t
copy_all(copy_t *c)
{
    uint32_t  i;

    if (mesh_snapshot_walk(c->from, c->root, MESH_WALK_RING, c->marks,
                           copy_note, c) != MESH_OK)
    {
        return mesh_writer_fail(c->to, "no memory");
    }

    c->fresh = calloc(c->count, sizeof(mesh_ref_t));
    if (c->fresh == NULL) {
        return mesh_writer_fail(c->to, "no memory");
    }

    for (i = c->count; i-- > 0; /* void */ ) {
        c->fresh[i] = copy_record(c, c->old[i]);
        if (c->fresh[i] == 0) {
            return 0;
        }
    }

    return c->fresh[0];
}


mesh_ref_t
mesh_writer_copy(mesh_writer_t *to, const mesh_snapshot_t *from,
    mesh_ref_t root)
{
    copy_t      c;
    mesh_ref_t  ref;

    if (mesh_snapshot_record(from, root) == NULL) {
        return mesh_writer_fail(to, "no checked record to copy");
    }

    memset(&c, 0, sizeof(c));
    c.to = to;
    c.from = from;
    c.root = root;
    c.marks = calloc(1, mesh_snapshot_starts_size(from->verified));

    ref = c.marks ? copy_all(&c) : mesh_writer_fail(to, "no memory");

    free(c.marks);
    free(c.old);
    free(c.fresh);

    return ref;
}
