/* SPDX-License-Identifier: Apache-2.0 */

/*
 * When an endpoint came in is in its runtime slot, for all workers: set by
 * the first view that finds it usable, cleared by one that finds it out, so
 * a window begins with the first sight, after an ejection, and with a health
 * that came back.
 */

#include <math.h>

#include "mesh_slow_start.h"


#define SLOW_START_STEPS     50         /* of a window, ... */
#define SLOW_START_STEP_MS   100        /* ... at least this long */


/* When it came in; 0: it is out, or nobody knows. */
static uint64_t
slow_start_since(const mesh_view_endpoint_t *v, mesh_endpoint_slot_t *slot,
    bool writable, uint64_t now_ms)
{
    uint64_t  since;

    since = mesh_load_relaxed(&slot->since_ms);

    if (!writable) {
        return v->out ? 0 : since;
    }

    if (v->out) {
        if (since != 0) {
            mesh_store_relaxed(&slot->since_ms, 0);
        }

        return 0;
    }

    if (since == 0 && mesh_cas(&slot->since_ms, &since, now_ms)) {
        return now_ms;
    }

    return since;
}


/* The part of its weight, in [min, 1]. */
static double
slow_start_part(const mesh_rec_lb_t *params, uint64_t passed_ms)
{
    double  part;

    part = (double) passed_ms / params->slow_start_ms;

    if (params->aggression_milli != 1000) {
        part = pow(part, 1000.0 / params->aggression_milli);
    }

    return fmax(part, params->min_weight_percent / 100.0);
}


uint64_t
mesh_slow_start(const mesh_cluster_view_t *view,
    mesh_view_endpoint_t *endpoints, mesh_runtime_t *rt, bool writable,
    uint64_t now_ms)
{
    bool                   slow;
    double                 part;
    uint32_t               i;
    uint64_t               since;
    mesh_view_endpoint_t  *v;
    const mesh_rec_lb_t   *params;

    params = view->params;

    if (rt == NULL || params == NULL || params->slow_start_ms == 0) {
        return UINT64_MAX;
    }

    slow = false;

    for (i = 0; i < view->total; i++) {
        v = &endpoints[i];
        part = 1;

        if (v->slot < rt->sizes.endpoints) {
            since = slow_start_since(v, &rt->endpoints[v->slot], writable,
                                     now_ms);

            if (since != 0 && now_ms < since + params->slow_start_ms) {
                slow = true;
                part = slow_start_part(params, now_ms > since ? now_ms - since
                                                              : 0);
            }
        }

        if (v->weight != 0) {
            v->weight = (uint32_t) fmax(v->weight * part
                                        * MESH_SLOW_START_SCALE, 1);
        }
    }

    if (slow) {
        return now_ms + mesh_max(params->slow_start_ms / SLOW_START_STEPS,
                                 SLOW_START_STEP_MS);
    }

    for (i = 0; i < view->total; i++) {
        endpoints[i].weight /= MESH_SLOW_START_SCALE;
    }

    return UINT64_MAX;
}
