/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Least request among a few that are drawn by weight ("the power of two
 * choices", Mitzenmacher 2001; Envoy's LEAST_REQUEST): attempts in flight of
 * all workers, relative to weight.
 */

#include "mesh_lb.h"


#define LEAST_REQUEST_CHOICES_MAX   64


static uint64_t
least_request_in_flight(const mesh_pick_t *pick,
    const mesh_view_endpoint_t *endpoint)
{
    if (pick->rt == NULL || endpoint->slot >= pick->rt->sizes.endpoints) {
        return 0;
    }

    return mesh_load_relaxed(&pick->rt->endpoints[endpoint->slot].in_flight);
}


static bool
least_request_better(const mesh_pick_t *pick, uint32_t position,
    uint32_t than)
{
    const mesh_view_endpoint_t  *a, *b;

    a = &pick->view->endpoints[pick->subset->pick[position]];
    b = &pick->view->endpoints[pick->subset->pick[than]];

    return least_request_in_flight(pick, a) * b->weight
           < least_request_in_flight(pick, b) * a->weight;
}


uint32_t
lb_least_request_pick(const mesh_pick_t *pick)
{
    uint32_t  best, choices, i, position;
    uint64_t  random;

    random = mesh_mix64(pick->ticket ^ ((uint64_t) pick->ntried << 56));
    best = mesh_lb_draw(pick, MESH_PICK_NONE, random);

    if (best == MESH_PICK_NONE) {
        return MESH_PICK_NONE;
    }

    choices = mesh_max(pick->view->cluster->lb_choices, 2);
    choices = mesh_min(choices, LEAST_REQUEST_CHOICES_MAX);

    for (i = 1; i < choices; i++) {
        random = mesh_mix64(random + i);
        position = mesh_lb_draw(pick, best, random);

        if (position == MESH_PICK_NONE) {
            break;
        }

        if (least_request_better(pick, position, best)) {
            best = position;
        }
    }

    return pick->subset->pick[best];
}
