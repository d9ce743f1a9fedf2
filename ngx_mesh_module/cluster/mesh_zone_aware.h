/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Zone-aware routing, as Envoy's: as much of a request's load stays in the
 * proxy's own locality as its endpoints there can take without getting more
 * than those elsewhere, if all proxies of the local cluster do the same.
 * What is too much goes to localities that have room, by how much they have.
 */

#ifndef MESH_ZONE_AWARE_H
#define MESH_ZONE_AWARE_H

#include "mesh_base.h"
#include "mesh_format.h"


/* Localities of priority 0; with more of them it is off. */
#define MESH_ZONES_MAX      256


/* How a subset's priority 0 is divided, or why it is not; 0: nobody asked. */
typedef enum {
    MESH_ZONE_NONE = 0,
    MESH_ZONE_DIRECT,                   /* all of it stays */
    MESH_ZONE_FORCED,                   /* stays, whatever it is there */
    MESH_ZONE_RESIDUAL,                 /* as much as has room */
    MESH_ZONE_DISABLED,                 /* for all requests */
    MESH_ZONE_NO_NODE,                  /* nobody knows where the proxies are */
    MESH_ZONE_NO_NAME,                  /* nor what they are */
    MESH_ZONE_NO_LOCAL,                 /* the named cluster is not there */
    MESH_ZONE_ITSELF,                   /* it is the local cluster */
    MESH_ZONE_MANY,                     /* more than MESH_ZONES_MAX */
    MESH_ZONE_PANIC,
    MESH_ZONE_ONE,                      /* there is just one locality */
    MESH_ZONE_LOCAL_ONE,                /* of the local cluster */
    MESH_ZONE_LOCAL_ELSEWHERE,          /* which has nobody here */
    MESH_ZONE_SMALL,                    /* below min_size */
    MESH_ZONE_LOCAL_PANIC,
    MESH_ZONE_MAX
} mesh_zone_e;


/* One locality of priority 0.  The first one is the proxy's own. */
typedef struct {
    uint64_t  local;                    /* usable, of the local cluster: its
                                           endpoints, or their weights */
    uint64_t  upstream;                 /* the same of this cluster */
    uint64_t  weight;                   /* of the usable ones, by which those
                                           requests go that are not enabled */
    uint32_t  members;
    uint32_t  usable;
    uint64_t  share;                    /* found: its part of their sum */
} mesh_zone_share_t;


static inline bool
mesh_zone_on(mesh_zone_e state)
{
    return state >= MESH_ZONE_DIRECT && state <= MESH_ZONE_RESIDUAL;
}

/*
 * Shares of zones[0 .. n), n >= 1, one of which has somebody usable:
 * MESH_ZONE_DIRECT, FORCED or RESIDUAL.  `local`: the sum over all localities
 * of the local cluster, those that are not in `zones` as well.  `enabled`: the
 * percentage of requests that it is for, above 0; others are spread by weight.
 */
mesh_zone_e mesh_zone_shares(mesh_zone_share_t *zones, uint32_t n,
    uint64_t local, uint32_t force_min, uint32_t enabled);

/* In words, for people: "all stays in this zone"; never NULL. */
const char *mesh_zone_text(mesh_zone_e state);


#endif /* MESH_ZONE_AWARE_H */
