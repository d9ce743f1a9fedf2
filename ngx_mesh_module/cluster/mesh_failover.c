/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Priorities from localities, as Istio's locality failover: of each priority,
 * endpoints of the proxies' own sub zone come first, then those of the zone,
 * of the region, and all others; what stands behind only has load as far as
 * those before lack health.
 */

#include "mesh_cluster_impl.h"


/* What the proxies' locality does not say makes no difference. */
static uint32_t
failover_distance(const mesh_rec_locality_t *node,
    const mesh_rec_locality_t *locality)
{
    static const mesh_rec_locality_t  none;

    if (locality == NULL) {
        locality = &none;
    }

    /* Equal texts are equal references. */

    if (node->region != 0 && node->region != locality->region) {
        return 3;
    }

    if (node->zone != 0 && node->zone != locality->zone) {
        return 2;
    }

    return node->sub_zone != 0 && node->sub_zone != locality->sub_zone;
}


/* Those that occur become 0, 1, 2, ... */
static void
failover_close_gaps(mesh_view_build_t *b)
{
    uint32_t  i, n, rank[MESH_VIEW_PRIORITIES];

    memset(rank, 0, sizeof(rank));

    for (i = 0; i < b->view->total; i++) {
        rank[b->endpoints[i].priority] = 1;
    }

    for (n = 0, i = 0; i < MESH_VIEW_PRIORITIES; i++) {
        n += rank[i];
        rank[i] = n - 1;
    }

    for (i = 0; i < b->view->total; i++) {
        b->endpoints[i].priority = rank[b->endpoints[i].priority];
    }
}


void
mesh_view_failover(mesh_view_build_t *b, mesh_ref_t node)
{
    uint32_t                    i;
    mesh_view_endpoint_t       *v;
    const mesh_rec_lb_t        *params;
    const mesh_rec_locality_t  *here;

    params = b->view->params;
    here = mesh_get(b->s, node);

    if (here == NULL || params == NULL || !(params->flags & MESH_LB_FAILOVER)) {
        return;
    }

    for (i = 0; i < b->view->total; i++) {
        v = &b->endpoints[i];
        v->priority = v->priority * MESH_VIEW_DISTANCES
                      + failover_distance(here, mesh_get(b->s,
                                                    v->endpoint->locality));
    }

    failover_close_gaps(b);
}
