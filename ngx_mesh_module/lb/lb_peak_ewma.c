/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Of a few drawn by weight, the one with the least cost: how long it takes
 * to answer, times one more than what it has to do.  A heavier one may have
 * more to do, but not in idleness: there, weights have acted already.
 * Finagle's
 * PeakEwma with the power of two choices, and its ten seconds of decay;
 * runtime/mesh_runtime_ewma.c has the average.
 *
 * An attempt without an answer says nothing of how fast answers come, and
 * what fails at once must not look fast: it doubles the average.
 */

#include "mesh_lb.h"


static double
peak_ewma_cost(const mesh_pick_t *pick, const mesh_view_endpoint_t *endpoint)
{
    double                       us, mean, pending;
    uint64_t                     word;
    const mesh_rec_lb_t         *params;
    const mesh_endpoint_slot_t  *slot;

    params = pick->view->params;
    us = params->default_rtt_ms * 1000.0;

    if (pick->rt == NULL || endpoint->slot >= pick->rt->sizes.endpoints) {
        return us;
    }

    slot = &pick->rt->endpoints[endpoint->slot];
    word = mesh_load_relaxed(&slot->ewma);

    if (word != 0) {
        us = mesh_max(mesh_ewma_read(word, pick->now_ms, params->decay_ms),
                      1);
    }

    mean = (double) pick->group->total / pick->group->count;
    pending = mesh_load_relaxed(&slot->in_flight) * mean / endpoint->weight;

    return us * (pending + 1);
}


static bool
peak_ewma_better(const mesh_pick_t *pick, const mesh_view_endpoint_t *a,
    const mesh_view_endpoint_t *b)
{
    return peak_ewma_cost(pick, a) < peak_ewma_cost(pick, b);
}


uint32_t
lb_peak_ewma_pick(const mesh_pick_t *pick)
{
    return mesh_lb_best_of_few(pick, peak_ewma_better);
}


void
mesh_lb_observe(const mesh_cluster_view_t *view, mesh_runtime_t *rt,
    uint32_t index, uint64_t now_ms, uint32_t elapsed_us, bool answered)
{
    uint32_t               slot;
    uint64_t               word, floor;
    mesh_endpoint_slot_t  *endpoint;

    slot = view->endpoints[index].slot;

    if (view->cluster->lb != MESH_LB_PEAK_EWMA
        || slot >= rt->sizes.endpoints)
    {
        return;
    }

    endpoint = &rt->endpoints[slot];

    if (!answered) {
        word = mesh_load_relaxed(&endpoint->ewma);
        floor = mesh_max(2 * (uint64_t) (uint32_t) word,
                         (uint64_t) view->params->default_rtt_ms * 1000);
        floor = mesh_min(floor, UINT32_MAX);

        elapsed_us = (uint32_t) mesh_max(elapsed_us, floor);
    }

    mesh_runtime_observe(endpoint, now_ms, view->params->decay_ms, elapsed_us);
}
