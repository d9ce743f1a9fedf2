/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Tables of the consistent-hashing balancers: from a hash to a member of
 * group->hashed.
 *
 * A table is made of all members, usable or not, so it depends on nothing
 * but their addresses and weights: it outlives generations and ejections, and
 * views share it by its key.  A member that must not be picked now is passed
 * over by hashing again (mesh_lb_hash_pick()); only its own requests move,
 * to all others by weight, and they come back with it.
 */

#ifndef MESH_LB_TABLE_H
#define MESH_LB_TABLE_H

#include "mesh_lb.h"


/* Equal keys, equal tables. */
typedef struct {
    uint64_t                content[2];     /* of addresses and weights */
    uint32_t                members;
    uint32_t                lb;
    uint32_t                size[2];        /* parameters of the balancer */
} mesh_lb_key_t;


struct mesh_lb_table_s {
    mesh_lb_key_t           key;
    size_t                  bytes;          /* of all this */
    uint32_t                count;          /* of entries, or of points */
    uint32_t                bits;           /* RING_HASH: of the directory */
    uint32_t               *entries;        /* MAGLEV: members;
                                               RING_HASH: 1 << bits firsts */
    uint64_t               *points;         /* RING_HASH: hash << 32 | member,
                                               ascending; else NULL */
};


/* What a table is made of. */
typedef struct {
    const mesh_snapshot_t      *s;
    const mesh_cluster_view_t  *view;
    const mesh_view_group_t    *group;
    uint64_t                    total;      /* sum of members' weights */
    uint32_t                    least;      /* of the weights */
} mesh_lb_members_t;

typedef struct {
    size_t                  table;          /* bytes to keep */
    size_t                  work;           /* bytes while it is built */
} mesh_lb_sizes_t;


/* Callbacks of such a balancer. */
typedef struct {
    void     (*sizes)(const mesh_lb_members_t *members,
                      mesh_lb_sizes_t *sizes);
    void     (*build)(const mesh_lb_members_t *members,
                      mesh_lb_table_t *table, void *work);
    uint32_t (*find)(const mesh_lb_table_t *table, uint64_t hash);
} mesh_lb_table_ops_t;


/*
 * The key of the table that a group needs.  false: it needs none, or has
 * it already.
 */
bool mesh_lb_table_key(const mesh_snapshot_t *s,
    const mesh_cluster_view_t *view, const mesh_view_group_t *group,
    mesh_lb_key_t *key);

/* For a key of the above: how much memory, and the table in it. */
void mesh_lb_table_sizes(const mesh_snapshot_t *s,
    const mesh_cluster_view_t *view, const mesh_view_group_t *group,
    mesh_lb_sizes_t *sizes);
mesh_lb_table_t *mesh_lb_table_build(const mesh_snapshot_t *s,
    const mesh_cluster_view_t *view, const mesh_view_group_t *group,
    const mesh_lb_key_t *key, void *memory, void *work);

/*
 * What names an endpoint in all tables: its label MESH_LABEL_HASH_KEY, or its
 * address, and nothing else.
 */
uint64_t mesh_lb_member_id(const mesh_lb_members_t *members, uint32_t i);

static inline uint32_t
mesh_lb_member_weight(const mesh_lb_members_t *members, uint32_t i)
{
    return members->view->endpoints[members->group->hashed[i]].weight;
}

/* The pick of such a balancer. */
uint32_t mesh_lb_hash_pick(const mesh_pick_t *pick,
    uint32_t (*find)(const mesh_lb_table_t *table, uint64_t hash));


/* The balancers that have tables: prefix of their ops. */
#define MESH_LB_TABLE_LIST(X)                                                 \
    X(MESH_LB_RING_HASH, lb_ring_hash)                                        \
    X(MESH_LB_MAGLEV, lb_maglev)

#define MESH_LB_TABLE_DECLARE(number, prefix)                                 \
    extern const mesh_lb_table_ops_t  prefix ## _table;

MESH_LB_TABLE_LIST(MESH_LB_TABLE_DECLARE)

#undef MESH_LB_TABLE_DECLARE


#endif /* MESH_LB_TABLE_H */
