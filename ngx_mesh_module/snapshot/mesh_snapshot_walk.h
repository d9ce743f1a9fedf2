/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Visiting what a record of a checked snapshot reaches: for compaction, dumps
 * and tests.  Pure; the memory is the caller's.
 */

#ifndef MESH_SNAPSHOT_WALK_H
#define MESH_SNAPSHOT_WALK_H

#include "mesh_base.h"
#include "mesh_format.h"
#include "mesh_snapshot.h"


/*
 * Roots of the ring are visited without their own histories.  Otherwise each
 * root would keep all roots before it alive, for ever.
 */
#define MESH_WALK_RING   0x01


typedef mesh_status_t (*mesh_walk_visit_pt)(void *ctx, mesh_ref_t ref,
    const mesh_rec_t *rec);

/*
 * Calls visit once for each record that the checked record at `from` reaches,
 * itself first, in order of falling offset: a record comes after all that
 * refer to it.  `marks` is zeroed memory of mesh_snapshot_starts_size(
 * s->verified) bytes; afterwards it has a bit for each visited record, as
 * s->starts.  Needs no stack, however deep the references go.  A visit that
 * returns MESH_DECLINED goes no deeper there; the walk stops at the first
 * other result that is not MESH_OK and returns it.  MESH_DECLINED: no checked
 * record starts at `from`.
 */
mesh_status_t mesh_snapshot_walk(const mesh_snapshot_t *s, mesh_ref_t from,
    unsigned flags, uint64_t *marks, mesh_walk_visit_pt visit, void *ctx);

/* The highest marked reference that is not above `ref`, or 0. */
mesh_ref_t mesh_snapshot_marked(const uint64_t *marks, mesh_ref_t ref);


#endif /* MESH_SNAPSHOT_WALK_H */
