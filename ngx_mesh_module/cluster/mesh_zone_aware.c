/* SPDX-License-Identifier: Apache-2.0 */

/*
 * See mesh_zone_aware.h; the arithmetic is that of Envoy's
 * ZoneAwareLoadBalancerBase, in its ten thousandths, rounded as there.
 *
 * Two deviations.  A request that it is not enabled for goes to any endpoint:
 * in Envoy the balancer chooses among all of them, here its part of the load
 * is divided among localities by weight beforehand, so that groups do not
 * overlap and a request pays for one choice.  And where nobody has room, which
 * rounding makes possible, all localities that have somebody usable get the
 * same, where Envoy draws those without anybody, too.
 */

#include "mesh_zone_aware.h"


#define ZONE_PARTS   10000                      /* Envoy's unit of shares */
#define ZONE_SCALE   UINT64_C(1000000000)   /* shares, where two are mixed */


static uint64_t
zone_part(uint64_t part, uint64_t whole)
{
    return whole ? part * ZONE_PARTS / whole : 0;
}


static uint64_t
zone_upstream(const mesh_zone_share_t *zones, uint32_t n)
{
    uint32_t  i;
    uint64_t  total;

    total = 0;

    for (i = 0; i < n; i++) {
        total += zones[i].upstream;
    }

    return total;
}


/* What each of the others has left; the sum of it. */
static uint64_t
zone_capacities(mesh_zone_share_t *zones, uint32_t n, uint64_t local,
    uint64_t upstream)
{
    uint32_t  i;
    uint64_t  has, wants, total;

    total = 0;
    zones[0].share = 0;

    for (i = 1; i < n; i++) {
        has = zone_part(zones[i].upstream, upstream);
        wants = zone_part(zones[i].local, local);

        zones[i].share = has > wants ? has - wants : 0;
        total += zones[i].share;
    }

    if (total != 0) {
        return total;
    }

    for (i = 0; i < n; i++) {
        zones[i].share = (zones[i].usable != 0);
        total += zones[i].share;
    }

    return total;
}


static void
zone_residual(mesh_zone_share_t *zones, uint32_t n, uint64_t local,
    uint64_t upstream)
{
    uint32_t  i;
    uint64_t  stays, total, wants;

    wants = zone_part(zones[0].local, local);
    stays = wants ? zone_part(zones[0].upstream, upstream) * ZONE_PARTS
                    / wants
                  : 0;

    total = zone_capacities(zones, n, local, upstream);

    for (i = 0; i < n; i++) {
        zones[i].share *= ZONE_PARTS - stays;
    }

    zones[0].share += stays * total;
}


/* So much of the shares, and for the rest of the requests the weights. */
static void
zone_mix(mesh_zone_share_t *zones, uint32_t n, uint32_t enabled)
{
    uint32_t           i;
    uint64_t           part;
    unsigned __int128  share, weight;

    share = 0;
    weight = 0;

    for (i = 0; i < n; i++) {
        share += zones[i].share;
        weight += zones[i].weight;
    }

    for (i = 0; i < n && share != 0 && weight != 0; i++) {
        part = (uint64_t) (zones[i].share * (unsigned __int128) ZONE_SCALE
                           / share);

        zones[i].share = part * enabled
                         + (uint64_t) (zones[i].weight
                                       * (unsigned __int128) ZONE_SCALE
                                       / weight) * (100 - enabled);
    }
}


mesh_zone_e
mesh_zone_shares(mesh_zone_share_t *zones, uint32_t n, uint64_t local,
    uint32_t force_min, uint32_t enabled)
{
    uint32_t     i;
    uint64_t     has, upstream;
    mesh_zone_e  state;

    upstream = zone_upstream(zones, n);
    has = zone_part(zones[0].upstream, upstream);

    if (has > 0 && has >= zone_part(zones[0].local, local)) {
        state = MESH_ZONE_DIRECT;

    } else if (force_min != 0 && zones[0].usable >= force_min) {
        state = MESH_ZONE_FORCED;

    } else {
        state = MESH_ZONE_RESIDUAL;
    }

    if (state == MESH_ZONE_RESIDUAL) {
        zone_residual(zones, n, local, upstream);

    } else {
        for (i = 0; i < n; i++) {
            zones[i].share = (i == 0);
        }
    }

    if (enabled < 100) {
        zone_mix(zones, n, enabled);
    }

    return state;
}


const char *
mesh_zone_text(mesh_zone_e state)
{
    static const char *const  texts[MESH_ZONE_MAX] = {
        [MESH_ZONE_NONE] = "off",
        [MESH_ZONE_DIRECT] = "on: all stays in this zone",
        [MESH_ZONE_FORCED] = "on: all is forced to stay in this zone",
        [MESH_ZONE_RESIDUAL] = "on: this zone takes what it can",
        [MESH_ZONE_DISABLED] = "off: routing_enabled is 0",
        [MESH_ZONE_NO_NODE] = "off: the agent does not say where this node is",
        [MESH_ZONE_NO_NAME] = "off: nobody says which the local cluster is",
        [MESH_ZONE_NO_LOCAL] = "off: the local cluster is not in the mesh",
        [MESH_ZONE_ITSELF] = "off: it is the local cluster itself",
        [MESH_ZONE_MANY] = "off: more than 256 localities",
        [MESH_ZONE_PANIC] = "off: panic",
        [MESH_ZONE_ONE] = "off: priority 0 has fewer than two localities",
        [MESH_ZONE_LOCAL_ONE] =
            "off: the local cluster has fewer than two localities",
        [MESH_ZONE_LOCAL_ELSEWHERE] =
            "off: the local cluster has no endpoint where this node is",
        [MESH_ZONE_SMALL] = "off: fewer usable endpoints than min_cluster_size",
        [MESH_ZONE_LOCAL_PANIC] = "off: the local cluster is in panic",
    };

    return state < MESH_ZONE_MAX ? texts[state] : "off";
}
