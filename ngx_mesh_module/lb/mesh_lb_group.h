/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which group of a subset a request goes to, where there are several: by its
 * hash or its ticket, and by what it has tried.
 */

#ifndef MESH_LB_GROUP_H
#define MESH_LB_GROUP_H

#include "mesh_lb.h"


/*
 * Sets pick->group, and pick->ticket to the ticket inside of it: those of a
 * group are 0, 1, 2, ... as they were of the subset, so what is chosen inside
 * does not depend on how the group was.  pick->subset->count > 0.
 */
void mesh_lb_group(mesh_pick_t *pick);


#endif /* MESH_LB_GROUP_H */
