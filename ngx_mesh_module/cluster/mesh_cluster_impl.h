/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the sources that build a view share.
 */

#ifndef MESH_CLUSTER_IMPL_H
#define MESH_CLUSTER_IMPL_H

#include "mesh_cluster.h"


/*
 * Out even in panic, and therefore no part of what health and the panic
 * threshold are measured against: a weight of 0 or a drain is a wish, not a
 * failure.
 */
#define MESH_OUT_WISHED   (MESH_OUT_WEIGHT | MESH_OUT_DRAINED)


/* Priorities of a view: those of endpoints, times their distances. */
#define MESH_VIEW_DISTANCES    4
#define MESH_VIEW_PRIORITIES   ((MESH_PRIORITY_MAX + 1) * MESH_VIEW_DISTANCES)


/* A subset that a selector makes, while the view is built. */
typedef struct {
    uint32_t    hash;                   /* of selector and values */
    uint32_t    selector;               /* its index */
    mesh_ref_t  labels;                 /* of one of its members */
    uint32_t    members;
    uint32_t    next;                   /* where the next member goes */
} mesh_view_found_t;


typedef struct {
    const mesh_snapshot_t          *s;
    const mesh_health_t            *health;
    mesh_runtime_t                 *rt;         /* or NULL */
    bool                            writable;
    uint64_t                        now_ms;
    const mesh_arena_t             *arena;

    const mesh_rec_cluster_t       *cluster;
    const mesh_rec_endpoint_set_t  *set;        /* or NULL */
    const mesh_rec_refs_t          *slots;      /* or NULL */
    const mesh_rec_subsets_t       *named;      /* or NULL */
    const mesh_rec_selectors_t     *selectors;  /* or NULL */
    uint64_t                        tag;        /* the cluster's */
    uint32_t                        ejected;    /* words that are not 0 */

    mesh_cluster_view_t            *view;
    mesh_view_endpoint_t           *endpoints;
    mesh_view_subset_t             *subsets;
    mesh_view_group_t              *groups;     /* one a subset */
    uint64_t                       *upto;       /* the next free one */
    uint32_t                       *pick;
    uint32_t                       *hashed;     /* or NULL: nobody hashes */
    uint32_t                       *index;      /* the view's */
    char                           *name;       /* where the next is put */

    /* What selectors make (mesh_view_selector.c). */
    mesh_view_found_t              *found;
    uint32_t                        nfound;
    uint32_t                        found_members;  /* of all of them */
    uint32_t                        found_mask;
    uint32_t                       *found_index;    /* 1 + which; 0: none */
    uint32_t                       *found_of;       /* by selector, endpoint */
    size_t                          names;          /* bytes of all names */
} mesh_view_build_t;


/*
 * A cluster's runtime slot, which a worker makes the cluster's own, so that
 * whoever ejects an endpoint later is heard of.  NULL: there is none.
 */
mesh_cluster_slot_t *mesh_view_cluster_slot(const mesh_view_build_t *b,
    uint32_t slot, uint64_t tag);

/* An endpoint's, if it is its own already; NULL: it is not. */
mesh_endpoint_slot_t *mesh_view_endpoint_slot(const mesh_view_build_t *b,
    uint32_t slot, uint64_t tag);

/*
 * Finds the subsets that selectors make of `total` endpoints; then puts them
 * behind the named ones, with all that they have.  false: no memory.
 */
bool mesh_view_select(mesh_view_build_t *b, uint32_t total);
bool mesh_view_fill_found(mesh_view_build_t *b);

/* The entries of an index of n: a power of two, of which half stay empty. */
uint32_t mesh_view_index_size(uint32_t n);

/* What is in the one of subsets by name. */
void mesh_view_index(mesh_view_build_t *b);

/*
 * Makes the groups of a subset from its members, whose indexes are in
 * members[0 .. subset->members) and are rearranged.  false: no memory.
 */
bool mesh_view_group(mesh_view_build_t *b, mesh_view_subset_t *subset,
    uint32_t *members);

/* Before: priorities by the distance from a LOCALITY, if it is to be so. */
void mesh_view_failover(mesh_view_build_t *b, mesh_ref_t node);

/* Then: the places of endpoints' localities, for all subsets. */
void mesh_view_places(mesh_view_build_t *b);

/* Or those of zone-aware routing, and view->zones.  false: no memory. */
bool mesh_view_zones(mesh_view_build_t *b, const mesh_rec_root_t *root);

/*
 * The shares of localities by their places, for the members of priority 0
 * among these; if it is on.  `panic`: that priority's.
 */
mesh_zone_e mesh_view_zone_shares(const mesh_view_build_t *b,
    const uint32_t *members, uint32_t n, bool panic,
    uint64_t shares[MESH_ZONES_MAX]);

/* When all are made: where requests that name no subset go, or NULL. */
mesh_view_subset_t *mesh_view_unnamed(const mesh_cluster_view_t *view);

/* And: sets MESH_OUT_TOLD by the whole cluster's groups. */
void mesh_view_tell(mesh_view_build_t *b);


#endif /* MESH_CLUSTER_IMPL_H */
