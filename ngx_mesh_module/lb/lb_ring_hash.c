/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Ring hashing (Karger et al., 1997; "ketama"): each member has points on a
 * ring in proportion to its weight, and a hash belongs to the next point.
 * How many follows Envoy's RING_HASH: as many as make the lightest member's a
 * whole number and the ring at least minimum_ring_size, and never more than
 * maximum_ring_size in all.
 *
 * Points are evenly spread, so a directory by their first bits, of about as
 * many cells as points, makes both sorting and finding cost the same at any
 * size.
 */

#include "mesh_lb_table.h"


#define RING_BITS_MAX   24


/* Points of the lightest member, and the ring's size if that is too much. */
static uint32_t
ring_least(const mesh_lb_members_t *members)
{
    uint64_t              points;
    const mesh_rec_lb_t  *params;

    params = members->view->params;

    points = (uint64_t) (((unsigned __int128) members->least
                          * params->ring_min + members->total - 1)
                         / members->total);

    /* 0: shares of the largest ring instead */

    return (unsigned __int128) points * members->total
           <= (unsigned __int128) params->ring_max * members->least
           ? (uint32_t) points : 0;
}


/* Where a member's points end; `upto`: weights of all up to it. */
static uint32_t
ring_upto(const mesh_lb_members_t *members, uint32_t least, uint64_t upto)
{
    if (least) {
        return (uint32_t) ((unsigned __int128) upto * least / members->least);
    }

    return (uint32_t) ((unsigned __int128) upto
                       * members->view->params->ring_max / members->total);
}


static uint32_t
ring_bits(uint32_t points)
{
    uint32_t  bits;

    for (bits = 1; bits < RING_BITS_MAX && (1u << bits) < points; bits++) {
        /* void */
    }

    return bits;
}


static void
ring_sizes(const mesh_lb_members_t *members, mesh_lb_sizes_t *sizes)
{
    uint32_t  count;

    count = ring_upto(members, ring_least(members), members->total);

    sizes->table = count * sizeof(uint64_t)
                   + ((size_t) 1 << ring_bits(count)) * sizeof(uint32_t);
    sizes->work = 1;
}


typedef void (*ring_visit_pt)(mesh_lb_table_t *table, uint64_t point);

/* All points, in any order but always the same. */
static void
ring_each(const mesh_lb_members_t *members, mesh_lb_table_t *table,
    ring_visit_pt visit)
{
    uint32_t  i, j, n, before, least;
    uint64_t  id, upto, point;

    least = ring_least(members);
    before = 0;
    upto = 0;

    for (i = 0; i < members->group->nhashed; i++) {
        id = mesh_lb_member_id(members, i);
        upto += mesh_lb_member_weight(members, i);
        n = ring_upto(members, least, upto) - before;
        before += n;

        for (j = 0; j < n; j++) {
            point = mesh_mix64(id + (j + 1) * UINT64_C(0x9e3779b97f4a7c15));
            visit(table, (point & ~(uint64_t) UINT32_MAX) | i);
        }
    }
}


static void
ring_count(mesh_lb_table_t *table, uint64_t point)
{
    table->entries[point >> (64 - table->bits)]++;
}


/* A cell's end moves down to its start, point by point, in order. */
static void
ring_put(mesh_lb_table_t *table, uint64_t point)
{
    uint32_t  at, end;

    at = --table->entries[point >> (64 - table->bits)];

    for (end = at; end + 1 < table->count && table->points[end + 1] < point
                   && table->points[end + 1] >> (64 - table->bits)
                      == point >> (64 - table->bits); end++)
    {
        table->points[end] = table->points[end + 1];
    }

    table->points[end] = point;
}


static void
ring_build(const mesh_lb_members_t *members, mesh_lb_table_t *table,
    void *work)
{
    uint32_t  i, sum;

    (void) work;

    table->count = ring_upto(members, ring_least(members), members->total);
    table->bits = ring_bits(table->count);
    table->points = (uint64_t *) (table + 1);
    table->entries = (uint32_t *) (table->points + table->count);

    /* So that a place that is not taken yet belongs to no cell but the last,
     * and is past all of its points. */
    memset(table->points, 0xff, table->count * sizeof(uint64_t));

    ring_each(members, table, ring_count);

    for (sum = 0, i = 0; i < (1u << table->bits); i++) {
        sum += table->entries[i];
        table->entries[i] = sum;
    }

    ring_each(members, table, ring_put);
}


static uint32_t
ring_find(const mesh_lb_table_t *table, uint64_t hash)
{
    uint32_t  i;
    uint64_t  point;

    point = hash & ~(uint64_t) UINT32_MAX;
    i = table->entries[hash >> (64 - table->bits)];

    while (i < table->count && table->points[i] < point) {
        i++;
    }

    return (uint32_t) table->points[i < table->count ? i : 0];
}


const mesh_lb_table_ops_t  lb_ring_hash_table = {
    .sizes = ring_sizes,
    .build = ring_build,
    .find = ring_find,
};


uint32_t
lb_ring_hash_pick(const mesh_pick_t *pick)
{
    return mesh_lb_hash_pick(pick, ring_find);
}
