/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Round robin by weight over all workers of the node: position by ticket.
 * Equal weights take exact turns; others follow a low-discrepancy sequence
 * (Kronecker's, by the golden ratio), so no worker keeps any state.
 */

#include "mesh_lb.h"


uint32_t
lb_round_robin_pick(const mesh_pick_t *pick)
{
    uint32_t  position;
    uint64_t  random;

    if (pick->ntried == 0) {
        return pick->group->pick[mesh_lb_weighted(pick->group,
                                                  pick->ticket)];
    }

    /* A retry has no turn: it is spread evenly over all that are left. */

    random = mesh_mix64(pick->ticket ^ ((uint64_t) pick->ntried << 56));
    position = mesh_lb_draw(pick, MESH_PICK_NONE, random);

    return position != MESH_PICK_NONE ? pick->group->pick[position]
                                      : MESH_PICK_NONE;
}
