/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A worker's private view of a cluster: which endpoints may be picked now,
 * per subset, in the shape that balancers read.  Derived from one snapshot,
 * the health words and the runtime; rebuilt when any of them changed, at most
 * every MESH_VIEW_MIN_MS.  Immutable once built.
 */

#ifndef MESH_CLUSTER_H
#define MESH_CLUSTER_H

#include "mesh_base.h"
#include "mesh_format.h"
#include "mesh_health.h"
#include "mesh_priority.h"
#include "mesh_runtime.h"
#include "mesh_snapshot.h"
#include "mesh_zone_aware.h"


#define MESH_VIEW_MIN_MS   10


/* Why an endpoint is out; 0 means it is usable.  Bits. */
#define MESH_OUT_HEALTH     0x01        /* its source or a health word */
#define MESH_OUT_EJECTED    0x02
#define MESH_OUT_WEIGHT     0x04        /* weight 0 */
#define MESH_OUT_PRIORITY   0x10        /* its priority has no load */
#define MESH_OUT_DRAINED    0x20        /* by an operator; a health word */
#define MESH_OUT_LOCALITY   0x40        /* its locality has no weight */
#define MESH_OUT_ZONE       0x80        /* zone-aware routing passes it by */

/* Told to people only: what a pick from the whole cluster passes over. */
#define MESH_OUT_TOLD       (MESH_OUT_PRIORITY | MESH_OUT_LOCALITY            \
                             | MESH_OUT_ZONE)


typedef struct {
    const mesh_endpoint_t  *endpoint;   /* in the snapshot */
    uint32_t                slot;       /* MESH_SLOT_NONE: beyond the
                                           runtime's sizes; served, but
                                           neither counted nor ejected */
    uint32_t                weight;
    uint32_t                out;        /* MESH_OUT_* when it was built */
    uint32_t                ordinal;    /* in the endpoint set */
    uint32_t                priority;   /* in this view */
    uint32_t                place;      /* of its locality in the list of
                                           weights; its length: nowhere.  Or
                                           in zones->v */
} mesh_view_endpoint_t;


typedef struct mesh_lb_table_s  mesh_lb_table_t;   /* mesh_lb_table.h */


/*
 * What a balancer chooses among: endpoints of one priority, or of one locality
 * in it.  `pick` holds those that are usable; in panic all of them that have a
 * weight and are not drained.  Canonical order, so equal on all workers.
 */
typedef struct {
    uint32_t                priority;
    uint32_t                place;      /* if split, of its locality, as its
                                           endpoints' */
    mesh_ref_t              locality;   /* LOCALITY of that place, or 0 */
    uint32_t                start;      /* points of the groups before it */
    uint32_t                points;     /* its share of subset->points */
    uint32_t                members;
    uint32_t                usable;     /* of them */
    bool                    split;      /* its priority is, by locality */
    bool                    panic;
    bool                    equal;      /* all weights in `pick` are equal */
    uint32_t                count;      /* of `pick` */
    uint64_t                total;      /* sum of weights in `pick` */
    const uint32_t         *pick;       /* indexes into view->endpoints */
    const uint64_t         *upto;       /* running sums; NULL if equal */

    /*
     * Where hashes choose (mesh_lb_hashes()): all of the group with a weight,
     * to be picked or not.  One that has a bit of `mask` in `out` is not to
     * be picked.  The table is lb's, and set by whoever prepares it.
     */
    const uint32_t         *hashed;     /* indexes into view->endpoints */
    uint32_t                nhashed;
    uint32_t                mask;       /* MESH_OUT_* */
    const mesh_lb_table_t  *table;      /* or NULL: none yet */
} mesh_view_group_t;


/*
 * Where a request is sent: the whole cluster or one subset.  Its groups share
 * the load by points, and are in order of priority; one without points has no
 * load, but a retry may go there.  Mostly there is one group.
 */
typedef struct {
    mesh_str_t              name;       /* empty: the whole cluster */
    uint32_t                hash;
    uint32_t                members;    /* in the set, with these labels */
    uint32_t                usable;     /* of the members */
    bool                    panic;      /* of a group that has load */
    uint32_t                count;      /* that its groups may pick */
    uint32_t                points;     /* of all groups, and of failing;
                                           up to a million */
    uint32_t                failing;    /* the last of them: nobody's, requests
                                           there fail */
    mesh_zone_e             zone;       /* if it is asked for: on, or why not */
    uint32_t                step;       /* from point to point of tickets */
    uint64_t                ticket;     /* where the slot has no word for it */
    uint32_t                ngroups;    /* >= 1 */
    mesh_view_group_t      *groups;
    mesh_view_group_t      *sole;       /* who has all load; NULL: several */
} mesh_view_subset_t;


/* Which labels divide a cluster, and what is used where nobody has them. */
typedef struct {
    const mesh_str_t   *keys;           /* in order */
    uint32_t            count;
    uint32_t            fallback;       /* MESH_FALLBACK_* */
    uint32_t            fallback_keys;  /* KEYS: 1 << index of what stays */
} mesh_view_selector_t;


/* Of the local cluster, in one locality of this cluster's priority 0. */
typedef struct {
    mesh_ref_t  locality;               /* LOCALITY, or 0 */
    uint32_t    usable;
    uint64_t    local;                  /* by what they are measured */
} mesh_view_zone_t;


/* What zone-aware routing knows of the local cluster (mesh_view_zone.c). */
typedef struct {
    const mesh_rec_zone_aware_t    *params;
    mesh_zone_e                     off;        /* in all subsets; or NONE */

    /* Part of the view's key, as its own. */
    const mesh_rec_bind_cluster_t  *local;      /* NULL: there is none */
    uint64_t                        tag;
    uint64_t                        health_epoch;
    mesh_cluster_slot_t            *runtime;    /* NULL: no slot */
    uint32_t                        epoch;

    uint32_t                        endpoints;  /* of priority 0 */
    uint32_t                        here;       /* of them, where the node is */
    mesh_ref_t                      first;      /* locality of the first */
    bool                            several;    /* others are elsewhere */
    mesh_level_t                    level;      /* who counts, who is usable */
    uint64_t                        sum;        /* of `local`, elsewhere too */
    uint32_t                        last;       /* place that was found last */
    uint32_t                        count;
    mesh_view_zone_t                v[];        /* the node's own first */
} mesh_view_zones_t;


typedef struct {
    /* The key: another value of any of these asks for a new view. */
    const mesh_rec_bind_cluster_t  *bind;
    uint32_t                        epoch;
    uint64_t                        health_epoch;

    uint64_t                        tag;            /* the cluster's */
    const mesh_rec_cluster_t       *cluster;
    const mesh_rec_outlier_t       *outlier;        /* or NULL */
    const mesh_rec_lb_t            *params;         /* or NULL */
    uint32_t                        slot;
    mesh_cluster_slot_t            *runtime;        /* NULL: no slot */
    mesh_str_t                      name;
    uint64_t                        built_ms;
    uint64_t                        next_ms;        /* first ejection to end,
                                                       or step of slow start;
                                                       UINT64_MAX: none */
    uint32_t                        total;          /* endpoints in the set */
    uint32_t                        nsubsets;       /* with the whole: >= 1 */
    uint32_t                        index_mask;
    const mesh_rec_subsets_t       *named;          /* or NULL */
    uint32_t                        nselectors;
    mesh_view_selector_t           *selectors;
    const mesh_view_endpoint_t     *endpoints;      /* [total] */
    mesh_view_subset_t             *subsets;        /* [0]: the whole cluster,
                                                       the named, by labels */
    mesh_view_subset_t             *unnamed;        /* who names none; NULL:
                                                       nowhere */
    const uint32_t                 *index;          /* of subsets, by hash; 0:
                                                       none */
    mesh_view_zones_t              *zones;          /* NULL: nobody asked */
} mesh_cluster_view_t;


/*
 * The binding of a cluster in a root, or NULL: no such cluster.  One map
 * lookup; the only one on the request path.
 */
const mesh_rec_bind_cluster_t *mesh_cluster_bind(const mesh_snapshot_t *s,
    const mesh_rec_root_t *root, mesh_str_t name, uint32_t hash);

/* Likewise of the local cluster, which that one wants to know, or NULL. */
const mesh_rec_bind_cluster_t *mesh_cluster_local(const mesh_snapshot_t *s,
    const mesh_rec_root_t *root, const mesh_rec_bind_cluster_t *bind);

/*
 * The runtime slots of a chunk's endpoints, of the binding's lists (or NULL),
 * and the one of an endpoint: MESH_SLOT_NONE if nothing says it.
 */
static inline const mesh_rec_u32s_t *
mesh_chunk_slots(const mesh_snapshot_t *s, const mesh_rec_refs_t *lists,
    uint32_t chunk)
{
    return lists != NULL && chunk < lists->count
           ? mesh_get(s, lists->v[chunk]) : NULL;
}

static inline uint32_t
mesh_chunk_slot(const mesh_rec_u32s_t *slots, uint32_t i)
{
    return slots != NULL && i < slots->count ? slots->v[i] : MESH_SLOT_NONE;
}

/* What an endpoint is by its address alone, the same in all clusters. */
uint64_t mesh_endpoint_id(const mesh_snapshot_t *s,
    const mesh_endpoint_t *endpoint);

/* Tag of an endpoint's runtime slot: its key within its cluster. */
uint64_t mesh_endpoint_tag(const mesh_snapshot_t *s, uint64_t cluster_tag,
    const mesh_endpoint_t *endpoint);

/*
 * The usable predicate: 0, or MESH_OUT_* bits.  `health`: its health word's
 * MESH_HEALTH_*; rt_slot may be NULL.
 */
uint32_t mesh_endpoint_out(const mesh_endpoint_t *endpoint, uint32_t health,
    const mesh_endpoint_slot_t *rt_slot, uint64_t now_ms);

/*
 * Builds a view in memory of `arena` (one or few calls).  First takes back
 * endpoints whose ejection is over, if `rt` is writable (a worker's).  rt may
 * be NULL: explain without a runtime.  `root`: where the local cluster is
 * looked for.  NULL: no memory.
 */
mesh_cluster_view_t *mesh_cluster_view(const mesh_snapshot_t *s,
    const mesh_rec_root_t *root, const mesh_rec_bind_cluster_t *bind,
    const mesh_health_t *health,
    mesh_runtime_t *rt, bool writable, uint64_t now_ms,
    const mesh_arena_t *arena);

/* The part of the key that the local cluster is; another one's binding is
   looked for when a root is adopted. */
static inline bool
mesh_view_zones_current(const mesh_cluster_view_t *view,
    const mesh_health_t *health, uint64_t now_ms)
{
    const mesh_view_zones_t  *zones;

    zones = view->zones;

    if (zones->off != MESH_ZONE_NONE) {
        return true;
    }

    return zones->health_epoch == mesh_health_epoch(health, zones->tag)
           && (zones->runtime == NULL
               || zones->epoch == mesh_cluster_epoch(zones->runtime))
           && now_ms < view->next_ms;
}

/*
 * May this view still serve?  false: another binding; or another epoch of
 * the runtime or of health words, or an ended ejection, and the view is older
 * than MESH_VIEW_MIN_MS.
 */
static inline bool
mesh_cluster_view_current(const mesh_cluster_view_t *view,
    const mesh_rec_bind_cluster_t *bind, const mesh_health_t *health,
    uint64_t now_ms)
{
    if (view->bind != bind) {
        return false;
    }

    if (view->health_epoch == mesh_health_epoch(health, view->tag)
        && (view->runtime == NULL
            || (view->epoch == mesh_cluster_epoch(view->runtime)
                && now_ms < view->next_ms))
        && (view->zones == NULL
            || mesh_view_zones_current(view, health, now_ms)))
    {
        return true;
    }

    return now_ms - view->built_ms < MESH_VIEW_MIN_MS;
}

/*
 * The subset of that name, or what the cluster says instead of one that does
 * not exist or has no members, or NULL.  hash 0 and empty: who names none.
 * Labels (mesh_subset.h) mean nothing to a cluster that has no subsets.
 */
mesh_view_subset_t *mesh_view_subset(const mesh_cluster_view_t *view,
    mesh_str_t name, uint32_t hash);

/*
 * For explanations.  The name without the labels that the cluster leaves out,
 * in `out` of MESH_SUBSET_NAME_MAX or as it is; and is it of labels that are
 * the keys of a selector?
 */
mesh_str_t mesh_view_meant(const mesh_cluster_view_t *view, mesh_str_t name,
    char *out);
bool mesh_view_selects(const mesh_cluster_view_t *view, mesh_str_t name);

/*
 * Where picks from this subset draw their tickets.  Not the cluster's one for
 * all: a split between two subsets would hand each of them tickets in step
 * with it, and of two endpoints one would get everything.  Subsets beyond the
 * slot's words have turns of the worker's own, and not of the node's.
 */
static inline uint64_t *
mesh_view_ticket(mesh_cluster_slot_t *slot, const mesh_cluster_view_t *view,
    const mesh_view_subset_t *subset)
{
    size_t  i;

    i = (size_t) (subset - view->subsets);

    if (i > MESH_SUBSET_TICKETS) {
        return &view->subsets[i].ticket;
    }

    return i ? &slot->subset_tickets[i - 1] : &slot->ticket;
}

/* "127.0.1.1:9080", "[::1]:80", "unix:/path"; as snprintf, with a NUL. */
size_t mesh_endpoint_text(const mesh_snapshot_t *s,
    const mesh_endpoint_t *endpoint, char *out, size_t size);


#endif /* MESH_CLUSTER_H */
