/* SPDX-License-Identifier: Apache-2.0 */

/*
 * At random by weight (Envoy's RANDOM).  The ticket is all the randomness
 * there is: mixed, so that consecutive ones have nothing to do with each
 * other, and with the cluster, so that equal tickets of two clusters have not
 * either.
 */

#include "mesh_lb.h"


uint32_t
lb_random_pick(const mesh_pick_t *pick)
{
    uint32_t  position;

    position = mesh_lb_draw(pick, MESH_PICK_NONE, mesh_lb_random(pick));

    return position != MESH_PICK_NONE ? pick->group->pick[position]
                                      : MESH_PICK_NONE;
}
