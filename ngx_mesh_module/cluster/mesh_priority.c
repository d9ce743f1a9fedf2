/* SPDX-License-Identifier: Apache-2.0 */

/*
 * See mesh_priority.h.  One deviation: where panic is off and no priority has
 * a health of one per cent, the load goes to the first that has a usable
 * endpoint at all; Envoy gives it to the first, which may have none.
 */

#include "mesh_priority.h"


#define LOCALITY_SCALE   UINT64_C(1000000)      /* of a locality's weight */


static uint32_t
priority_health(const mesh_level_t *level, uint32_t factor)
{
    if (level->total == 0) {
        return 0;
    }

    return (uint32_t) mesh_min((uint64_t) level->usable * factor
                               / level->total, 100);
}


/* Healths are capped at 100 in all, and shares of that are handed out. */
static void
priority_divide(mesh_level_t *levels, uint32_t n, uint32_t health)
{
    uint32_t  i, first, left;

    first = n;
    left = 100;

    for (i = 0; i < n; i++) {
        if (first == n && levels[i].health > 0) {
            first = i;
        }

        levels[i].load = mesh_min(left, levels[i].health * 100 / health);
        left -= levels[i].load;
    }

    /* what rounding left over */

    levels[first].load += left;
}


/* All are in panic: each gets its share of all endpoints, usable or not. */
static void
priority_divide_all(mesh_level_t *levels, uint32_t n)
{
    uint32_t  i, first, left;
    uint64_t  total;

    total = 0;

    for (i = 0; i < n; i++) {
        total += levels[i].total;
    }

    if (total == 0) {
        levels[0].load = 100;
        return;
    }

    first = n;
    left = 100;

    for (i = 0; i < n; i++) {
        if (first == n && levels[i].total > 0) {
            first = i;
        }

        levels[i].load = (uint32_t) ((uint64_t) levels[i].total * 100 / total);
        left -= levels[i].load;
    }

    levels[first].load += left;
}


static void
priority_first_usable(mesh_level_t *levels, uint32_t n)
{
    uint32_t  i, first;

    first = 0;

    for (i = n; i-- > 0; /* void */) {
        if (levels[i].usable > 0) {
            first = i;
        }
    }

    levels[first].load = 100;
}


void
mesh_priority_loads(mesh_level_t *levels, uint32_t n, uint32_t factor,
    uint32_t panic_percent)
{
    bool      all;
    uint32_t  i;
    uint64_t  health;

    health = 0;

    for (i = 0; i < n; i++) {
        levels[i].health = priority_health(&levels[i], factor);
        levels[i].load = 0;
        levels[i].panic = false;
        health += levels[i].health;
    }

    health = mesh_min(health, 100);

    if (health == 100) {
        priority_divide(levels, n, 100);
        return;
    }

    all = true;

    for (i = 0; i < n; i++) {
        levels[i].panic = mesh_level_panics(&levels[i], panic_percent);
        all = all && levels[i].panic;
    }

    if (all) {
        priority_divide_all(levels, n);

    } else if (health > 0) {
        priority_divide(levels, n, (uint32_t) health);

    } else {
        priority_first_usable(levels, n);
    }
}


uint64_t
mesh_locality_weight(uint32_t weight, uint32_t usable, uint32_t total,
    uint32_t factor)
{
    uint64_t  part;

    if (usable == 0) {
        return 0;
    }

    part = (uint64_t) usable * factor * (LOCALITY_SCALE / 100) / total;

    part = mesh_max(part, 1);

    return weight * mesh_min(part, LOCALITY_SCALE);
}
