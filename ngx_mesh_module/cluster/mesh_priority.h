/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How load is divided among the priorities of a cluster, and within one among
 * its localities: Envoy's "priority levels", "overprovisioning factor", "panic
 * threshold" and "locality weighted load balancing", with its arithmetic in
 * whole percents, so that published examples come out the same.
 */

#ifndef MESH_PRIORITY_H
#define MESH_PRIORITY_H

#include "mesh_base.h"
#include "mesh_format.h"


typedef struct {
    uint32_t  total;                    /* endpoints that count */
    uint32_t  usable;                   /* of them */
    uint32_t  health;                   /* percent, found */
    uint32_t  load;                     /* percent, found; 100 in all */
    bool      panic;                    /* found: all of them are used */
} mesh_level_t;


/* Divides the load among levels[0 .. n), n >= 1; the first is preferred. */
void mesh_priority_loads(mesh_level_t *levels, uint32_t n, uint32_t factor,
    uint32_t panic_percent);

/* Are too few of them usable for health to count? */
static inline bool
mesh_level_panics(const mesh_level_t *level, uint32_t panic_percent)
{
    return level->total == 0
           ? panic_percent > 0
           : (uint64_t) level->usable * 100
             < (uint64_t) panic_percent * level->total;
}

/* A locality's weight, less what it lacks in usable endpoints. */
uint64_t mesh_locality_weight(uint32_t weight, uint32_t usable,
    uint32_t total, uint32_t factor);


#endif /* MESH_PRIORITY_H */
