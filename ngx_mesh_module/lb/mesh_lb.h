/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Balancers: one file, one row of mesh_lb[] each (lb/README.md).  They read
 * views and runtime gauges only, take tickets as a parameter, and never pick
 * an endpoint that this request has tried while another is left.
 */

#ifndef MESH_LB_H
#define MESH_LB_H

#include "mesh_base.h"
#include "mesh_cluster.h"
#include "mesh_format.h"
#include "mesh_runtime.h"


#define MESH_PICK_NONE   UINT32_MAX


/*
 * All balancers, in order of mesh_lb_e: number, prefix of the pick function,
 * name in configuration.
 */
#define MESH_LB_LIST(X)                                                       \
    X(MESH_LB_ROUND_ROBIN, lb_round_robin, "round_robin")                     \
    X(MESH_LB_LEAST_REQUEST, lb_least_request, "least_request")               \
    X(MESH_LB_RANDOM, lb_random, "random")                                    \
    X(MESH_LB_RING_HASH, lb_ring_hash, "ring_hash")                           \
    X(MESH_LB_MAGLEV, lb_maglev, "maglev")                                    \
    X(MESH_LB_PEAK_EWMA, lb_peak_ewma, "peak_ewma")


/*
 * `ticket`: drawn once per request; its retries use the same one (otherwise
 * they would take turns away from somebody).
 */
typedef struct {
    uint64_t                    ticket;
    const mesh_cluster_view_t  *view;
    const mesh_view_subset_t   *subset;
    const mesh_view_group_t    *group;          /* in it: mesh_lb_pick()'s */
    const mesh_runtime_t       *rt;             /* or NULL */
    const uint32_t             *tried;          /* indexes into endpoints */
    unsigned                    ntried;
    bool                        hashed;         /* the request has a hash */
    uint64_t                    hash;           /* mesh_hash_policies() */
    uint64_t                    now_ms;         /* as the runtime's times */
} mesh_pick_t;


/* An index into view->endpoints, or MESH_PICK_NONE. group->count > 0. */
typedef uint32_t (*mesh_lb_pick_pt)(const mesh_pick_t *pick);

typedef struct {
    const char       *name;             /* as in configuration */
    mesh_lb_pick_pt   pick;
} mesh_lb_t;

extern const mesh_lb_t  mesh_lb[MESH_LB_MAX];

#define MESH_LB_DECLARE(number, prefix, text)                                 \
    uint32_t prefix ## _pick(const mesh_pick_t *pick);

MESH_LB_LIST(MESH_LB_DECLARE)

#undef MESH_LB_DECLARE


/*
 * Chooses a group of the subset by its share of the load, and in it by the
 * cluster's balancer; one whose endpoints were all tried gives way to another.
 * If every endpoint of the subset was tried, one is picked again.  Says in
 * pick->group where.  MESH_PICK_NONE: the subset has no endpoint to pick, or
 * none for this ticket (subset->failing).
 */
uint32_t mesh_lb_pick(mesh_pick_t *pick);

/*
 * An attempt at view->endpoints[index] took so long until its response
 * header, or until it failed: for balancers that learn from it.
 */
void mesh_lb_observe(const mesh_cluster_view_t *view, mesh_runtime_t *rt,
    uint32_t index, uint64_t now_ms, uint32_t elapsed_us, bool answered);

/* Does mesh_lb_observe() want to know? */
static inline bool
mesh_lb_learns(const mesh_cluster_view_t *view)
{
    return view->cluster->lb == MESH_LB_PEAK_EWMA;
}

/*
 * The position in group->pick for a point of the ticket: proportional to
 * weights, low discrepancy over consecutive tickets.  For balancers.
 */
uint32_t mesh_lb_weighted(const mesh_view_group_t *group, uint64_t ticket);

/*
 * Likewise a position, but drawn by weight among those that were not tried,
 * leaving out the position `except` too (or MESH_PICK_NONE), by 64 random
 * bits.  MESH_PICK_NONE: nothing is left.  For balancers.
 */
uint32_t mesh_lb_draw(const mesh_pick_t *pick, uint32_t except,
    uint64_t random);

/*
 * The best of some endpoints that are drawn by weight (lb_choices of the
 * cluster) and were not tried: none of them is `better` than it.
 */
typedef bool (*mesh_lb_better_pt)(const mesh_pick_t *pick,
    const mesh_view_endpoint_t *a, const mesh_view_endpoint_t *b);

uint32_t mesh_lb_best_of_few(const mesh_pick_t *pick,
    mesh_lb_better_pt better);

/* Where in group->pick an endpoint is; MESH_PICK_NONE: not to be picked. */
uint32_t mesh_lb_position(const mesh_view_group_t *group, uint32_t index);

/* Has this request tried all of pick->group? */
bool mesh_lb_all_tried(const mesh_pick_t *pick);

/* Has this request tried view->endpoints[index]? */
static inline bool
mesh_lb_tried(const mesh_pick_t *pick, uint32_t index)
{
    unsigned  i;

    for (i = 0; i < pick->ntried; i++) {
        if (pick->tried[i] == index) {
            return true;
        }
    }

    return false;
}

/* fraction / 2^64 of `whole`. */
static inline uint64_t
mesh_lb_scale(uint64_t fraction, uint64_t whole)
{
    return (uint64_t) (((unsigned __int128) fraction * whole) >> 64);
}

/* 64 random bits, the same for the same ticket, cluster and attempt. */
static inline uint64_t
mesh_lb_random(const mesh_pick_t *pick)
{
    return mesh_mix64(pick->ticket * UINT64_C(0x9e3779b97f4a7c15)
                      ^ pick->view->cluster->name_hash
                      ^ ((uint64_t) pick->ntried << 56));
}


#endif /* MESH_LB_H */
