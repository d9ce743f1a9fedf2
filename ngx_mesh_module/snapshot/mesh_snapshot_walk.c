/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The walk.  References point backwards, so one pass over the marks from the
 * top, each record marking what it refers to, meets everything.
 */

#include "mesh_schema.h"
#include "mesh_snapshot_walk.h"


typedef struct {
    uint64_t  *marks;
    bool       ring;                    /* leave out this root's history */
} walk_t;


mesh_ref_t
mesh_snapshot_marked(const uint64_t *marks, mesh_ref_t ref)
{
    uint32_t  w;
    uint64_t  word;

    w = ref / 64;
    word = marks[w] & (UINT64_MAX >> (63 - ref % 64));

    while (word == 0) {
        if (w == 0) {
            return 0;
        }

        word = marks[--w];
    }

    return w * 64 + 63 - (mesh_ref_t) __builtin_clzll(word);
}


static mesh_status_t
walk_mark(void *ctx, const mesh_rec_t *rec, uint32_t offset,
    const mesh_ref_field_t *field)
{
    walk_t      *walk = ctx;
    mesh_ref_t   ref;

    (void) field;

    if (walk->ring && offset == offsetof(mesh_rec_root_t, history)) {
        return MESH_OK;
    }

    memcpy(&ref, (const uint8_t *) rec + offset, sizeof(ref));

    if (ref != 0) {
        walk->marks[ref / 64] |= UINT64_C(1) << (ref % 64);
    }

    return MESH_OK;
}


mesh_status_t
mesh_snapshot_walk(const mesh_snapshot_t *s, mesh_ref_t from, unsigned flags,
    uint64_t *marks, mesh_walk_visit_pt visit, void *ctx)
{
    walk_t             walk;
    mesh_ref_t         ref;
    mesh_status_t      rc;
    const mesh_rec_t  *rec;

    if (mesh_snapshot_record(s, from) == NULL) {
        return MESH_DECLINED;
    }

    walk.marks = marks;
    marks[from / 64] |= UINT64_C(1) << (from % 64);

    for (ref = from; ref != 0; ref = mesh_snapshot_marked(marks, ref - 1)) {
        rec = mesh_get(s, ref);

        rc = visit(ctx, ref, rec);

        if (rc == MESH_DECLINED) {
            continue;
        }

        if (rc != MESH_OK) {
            return rc;
        }

        walk.ring = (flags & MESH_WALK_RING) && ref != from
                    && rec->kind == MESH_KIND_ROOT;

        (void) mesh_schema_each_ref(rec, walk_mark, &walk);
    }

    return MESH_OK;
}
