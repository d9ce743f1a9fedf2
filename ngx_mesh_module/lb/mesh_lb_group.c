/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A subset's points are visited once each in every block of as many tickets,
 * in steps of low discrepancy from a start that is a hash of the block: each
 * group has exactly its share of a block, and nearly that of any part of it.
 *
 * A ticket's rank among those of the block that came to the same group is the
 * ticket inside.  With the subset's own ticket there, turns would be in step
 * with the choice of the group, and of two endpoints one would get all.
 */

#include "mesh_lb_group.h"


typedef struct {
    uint32_t  points;
    uint32_t  step;
    uint32_t  begin;                    /* of the block */
    uint64_t  block;
    uint32_t  at;                       /* in the block */
} group_walk_t;


static group_walk_t
group_walk(const mesh_pick_t *pick)
{
    uint64_t      order;
    group_walk_t  walk;

    walk.points = pick->subset->points;
    walk.step = pick->subset->step;
    walk.block = pick->ticket / walk.points;
    walk.at = (uint32_t) (pick->ticket % walk.points);

    order = mesh_mix64(walk.block
                       + ((uint64_t) pick->view->cluster->name_hash << 32)
                       + pick->subset->hash);
    walk.begin = (uint32_t) ((order >> 32) * walk.points >> 32);

    return walk;
}


/*
 * The sum of (step * i + begin) / points, rounded down each, for i below n:
 * points of a lattice below a line, counted as Euclid's algorithm goes.
 */
static uint64_t
group_lattice(uint64_t n, uint64_t points, uint64_t step, uint64_t begin)
{
    uint64_t  sum, top, rest;

    sum = 0;

    for ( ;; ) {
        sum += n * (n - 1) / 2 * (step / points);
        step %= points;
        sum += n * (begin / points);
        begin %= points;

        top = step * n + begin;

        if (top < points) {
            return sum;
        }

        n = top / points;
        begin = top % points;

        rest = points;
        points = step;
        step = rest;
    }
}


/* How many tickets of the block, before this one, came to the group. */
static uint64_t
group_rank(const group_walk_t *walk, const mesh_view_group_t *group)
{
    uint64_t  n, begin;

    n = walk->at;

    if (n == 0) {
        return 0;
    }

    begin = walk->begin + walk->points;

    return group_lattice(n, walk->points, walk->step, begin - group->start)
           - group_lattice(n, walk->points, walk->step,
                           begin - group->start - group->points);
}


/*
 * The first group whose points end behind this one, so it has some; NULL: the
 * point is nobody's.
 */
static const mesh_view_group_t *
group_covers(const mesh_view_subset_t *subset, uint32_t point)
{
    uint32_t                  low, high, middle;
    const mesh_view_group_t  *group;

    if (point >= subset->points - subset->failing) {
        return NULL;
    }

    low = 0;
    high = subset->ngroups - 1;

    while (low < high) {
        middle = low + (high - low) / 2;
        group = &subset->groups[middle];

        if (point < group->start + group->points) {
            high = middle;

        } else {
            low = middle + 1;
        }
    }

    return &subset->groups[low];
}


static void
group_by_ticket(mesh_pick_t *pick)
{
    uint32_t      point;
    group_walk_t  walk;

    walk = group_walk(pick);
    point = (uint32_t) (((uint64_t) walk.at * walk.step + walk.begin)
                        % walk.points);

    pick->group = group_covers(pick->subset, point);

    if (pick->group != NULL && pick->group->points < walk.points) {
        pick->ticket = walk.block * pick->group->points
                       + group_rank(&walk, pick->group);
    }
}


/* Mixed: the hash itself chooses inside of the group. */
static void
group_by_hash(mesh_pick_t *pick)
{
    uint32_t  point;

    point = (uint32_t) mesh_lb_scale(mesh_mix64(~pick->hash),
                                     pick->subset->points);

    pick->group = group_covers(pick->subset, point);
}


/*
 * How well another group would do instead of the chosen one: any of the same
 * priority, else any that has load, else the best priority.  0: not at all.
 */
static uint32_t
group_rating(const mesh_pick_t *pick, const mesh_view_group_t *chosen,
    const mesh_view_group_t *other)
{
    mesh_pick_t  inner;

    inner = *pick;
    inner.group = other;

    if (other->count == 0 || mesh_lb_all_tried(&inner)) {
        return 0;
    }

    if (other->priority == chosen->priority) {
        return MESH_PRIORITY_MAX + 3;
    }

    return other->points ? MESH_PRIORITY_MAX + 2
                         : MESH_PRIORITY_MAX + 1 - other->priority;
}


static uint32_t
group_size(const mesh_view_group_t *group)
{
    return group->points ? group->points : group->count;
}


/*
 * Nothing is left in the chosen group: one of the best others, by their
 * shares, so that no neighbour gets all that it had.
 */
static void
group_elsewhere(mesh_pick_t *pick)
{
    uint32_t                  i, rating, best;
    uint64_t                  total, point;
    mesh_view_group_t        *group;
    const mesh_view_group_t  *chosen;

    chosen = pick->group;
    best = 0;
    total = 0;

    for (i = 0; i < pick->subset->ngroups; i++) {
        group = &pick->subset->groups[i];
        rating = group_rating(pick, chosen, group);

        if (rating > best) {
            best = rating;
            total = 0;
        }

        total += rating == best ? group_size(group) : 0;
    }

    if (best == 0) {
        return;
    }

    pick->ticket = mesh_mix64((pick->hashed ? pick->hash : pick->ticket)
                              + pick->ntried + 1);
    point = mesh_lb_scale(mesh_mix64(~pick->ticket), total);

    for (i = 0; i < pick->subset->ngroups; i++) {
        group = &pick->subset->groups[i];

        if (group_rating(pick, chosen, group) != best) {
            continue;
        }

        if (point < group_size(group)) {
            pick->group = group;
            return;
        }

        point -= group_size(group);
    }
}


void
mesh_lb_group(mesh_pick_t *pick)
{
    if (pick->hashed && mesh_lb_hashes(pick->view->cluster->lb)) {
        group_by_hash(pick);

    } else {
        group_by_ticket(pick);
    }

    if (pick->group == NULL) {
        return;
    }

    if (pick->group->count == 0
        || (pick->ntried != 0 && mesh_lb_all_tried(pick)))
    {
        group_elsewhere(pick);
    }
}
