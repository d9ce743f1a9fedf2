/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Compaction.  What a record reaches and was not copied yet is marked from
 * the top down, then put into the fresh writer from the bottom up, so that
 * children are there first.  Roots of the ring lose their own histories
 * (MESH_WALK_RING).
 */

#include <stdlib.h>

#include "mesh_snapshot_walk.h"
#include "mesh_writer_impl.h"


#define MESH_COPIER_TABLE   1024


typedef struct {
    mesh_ref_t   old;                   /* 0: free */
    mesh_ref_t   fresh;
} copy_entry_t;


struct mesh_copier_s {
    mesh_writer_t          *to;

    copy_entry_t           *table;      /* at most half full */
    uint32_t                mask;
    uint32_t                count;

    /* of the copy that is being made */
    const mesh_snapshot_t  *from;
    mesh_ref_t              top;
    mesh_ref_t             *list;       /* what it adds, falling */
    uint32_t                listed;
    uint32_t                allocated;
};


mesh_copier_t *
mesh_copier_create(mesh_writer_t *to)
{
    mesh_copier_t  *c;

    c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return NULL;
    }

    c->table = calloc(MESH_COPIER_TABLE, sizeof(copy_entry_t));
    if (c->table == NULL) {
        free(c);
        return NULL;
    }

    c->to = to;
    c->mask = MESH_COPIER_TABLE - 1;

    return c;
}


void
mesh_copier_free(mesh_copier_t *c)
{
    if (c != NULL) {
        free(c->table);
        free(c->list);
        free(c);
    }
}


/* --- where records went -------------------------------------------------- */

static copy_entry_t *
copy_slot(const mesh_copier_t *c, mesh_ref_t ref)
{
    uint32_t  i;

    i = (uint32_t) mesh_mix64(ref) & c->mask;

    while (c->table[i].old != 0 && c->table[i].old != ref) {
        i = (i + 1) & c->mask;
    }

    return &c->table[i];
}


mesh_ref_t
mesh_copier_find(const mesh_copier_t *c, mesh_ref_t ref)
{
    return copy_slot(c, ref)->fresh;
}


static bool
copy_grow(mesh_copier_t *c)
{
    uint32_t       i, mask;
    copy_entry_t  *old;

    if (c->count <= c->mask / 2) {
        return true;
    }

    old = c->table;
    mask = c->mask;

    c->table = calloc(((size_t) mask + 1) * 2, sizeof(copy_entry_t));
    if (c->table == NULL) {
        c->table = old;
        return false;
    }

    c->mask = mask * 2 + 1;

    for (i = 0; i <= mask; i++) {
        if (old[i].old != 0) {
            *copy_slot(c, old[i].old) = old[i];
        }
    }

    free(old);

    return true;
}


/*
 * A root at the top keeps its history; where it went must not be taken for
 * what it will be in a later root's ring.
 */
static bool
copy_is_head(const mesh_copier_t *c, mesh_ref_t ref, const mesh_rec_t *rec)
{
    return ref == c->top && rec->kind == MESH_KIND_ROOT;
}


static bool
copy_remember(mesh_copier_t *c, mesh_ref_t ref, mesh_ref_t fresh)
{
    copy_entry_t  *entry;

    if (!copy_grow(c)) {
        return false;
    }

    entry = copy_slot(c, ref);
    entry->old = ref;
    entry->fresh = fresh;
    c->count++;

    return true;
}


/* --- copying ------------------------------------------------------------- */

static mesh_status_t
copy_note(void *ctx, mesh_ref_t ref, const mesh_rec_t *rec)
{
    uint32_t        n;
    mesh_ref_t     *p;
    mesh_copier_t  *c = ctx;

    if (!copy_is_head(c, ref, rec) && mesh_copier_find(c, ref) != 0) {
        return MESH_DECLINED;
    }

    if (c->listed == c->allocated) {
        n = c->allocated ? c->allocated * 2 : 1024;

        p = realloc(c->list, n * sizeof(*p));
        if (p == NULL) {
            return MESH_NO_MEMORY;
        }

        c->list = p;
        c->allocated = n;
    }

    c->list[c->listed++] = ref;

    return MESH_OK;
}


typedef struct {
    const mesh_copier_t  *copier;
    uint8_t              *rec;          /* the copy whose fields change */
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
        ref = mesh_copier_find(f->copier, ref);
        memcpy(f->rec + offset, &ref, sizeof(ref));
    }

    return MESH_OK;
}


static mesh_ref_t
copy_record(mesh_copier_t *c, mesh_ref_t ref)
{
    void              *rec;
    mesh_ref_t         fresh;
    copy_fields_t      fields;
    const mesh_rec_t  *from;

    from = mesh_get(c->from, ref);

    rec = mesh_writer_scratch(c->to, from->kind, from->size);
    if (rec == NULL) {
        return 0;
    }

    memcpy(rec, from, from->size);

    if (from->kind == MESH_KIND_ROOT && ref != c->top) {
        ((mesh_rec_root_t *) rec)->history = 0;
    }

    /* The fields that the copy has, not those of the record behind it. */
    fields.copier = c;
    fields.rec = rec;
    (void) mesh_schema_each_ref(rec, copy_field, &fields);

    fresh = mesh_writer_put(c->to, rec);

    if (fresh == 0 || copy_is_head(c, ref, from)) {
        return fresh;
    }

    return copy_remember(c, ref, fresh)
           ? fresh : mesh_writer_fail(c->to, "no memory");
}


static mesh_ref_t
copy_all(mesh_copier_t *c, uint64_t *marks)
{
    mesh_ref_t  fresh;

    if (mesh_snapshot_walk(c->from, c->top, MESH_WALK_RING, marks, copy_note,
                           c)
        != MESH_OK)
    {
        return mesh_writer_fail(c->to, "no memory");
    }

    if (c->listed == 0) {
        return mesh_copier_find(c, c->top);
    }

    fresh = 0;

    while (c->listed != 0) {
        fresh = copy_record(c, c->list[--c->listed]);
        if (fresh == 0) {
            return 0;
        }
    }

    return fresh;
}


mesh_ref_t
mesh_copier_copy(mesh_copier_t *c, const mesh_snapshot_t *from, mesh_ref_t ref)
{
    uint64_t    *marks;
    mesh_ref_t   fresh;

    if (mesh_snapshot_record(from, ref) == NULL) {
        return mesh_writer_fail(c->to, "no checked record to copy");
    }

    marks = calloc(1, mesh_snapshot_starts_size(from->verified));
    if (marks == NULL) {
        return mesh_writer_fail(c->to, "no memory");
    }

    c->from = from;
    c->top = ref;
    c->listed = 0;

    fresh = copy_all(c, marks);

    free(marks);

    return fresh;
}


mesh_ref_t
mesh_writer_copy(mesh_writer_t *to, const mesh_snapshot_t *from,
    mesh_ref_t root)
{
    mesh_ref_t      ref;
    mesh_copier_t  *c;

    c = mesh_copier_create(to);
    if (c == NULL) {
        return mesh_writer_fail(to, "no memory");
    }

    ref = mesh_copier_copy(c, from, root);

    mesh_copier_free(c);

    return ref;
}
