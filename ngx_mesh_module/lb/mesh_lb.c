/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The table of balancers, and the two ways to turn a number into a position
 * by weight that they share.
 */

#include "mesh_lb.h"
#include "mesh_lb_group.h"


/* 2^64 divided by the golden ratio: the most even of additive sequences. */
#define LB_PHI           UINT64_C(0x9e3779b97f4a7c15)

#define LB_CHOICES_MAX   64


#define MESH_LB_ROW(number, prefix, text)                                     \
    [number] = { .name = text, .pick = prefix ## _pick },

const mesh_lb_t  mesh_lb[MESH_LB_MAX] = {
    MESH_LB_LIST(MESH_LB_ROW)
};


/*
 * An endpoint of the group covers [start, start + length) of a line: its
 * weight, or 1 where all are equal.
 */
static uint64_t
lb_line(const mesh_view_group_t *group)
{
    return group->equal ? group->count : group->total;
}


static uint64_t
lb_start(const mesh_view_group_t *group, uint32_t position)
{
    if (group->equal) {
        return position;
    }

    return position ? group->upto[position - 1] : 0;
}


static uint64_t
lb_length(const mesh_view_group_t *group, uint32_t position)
{
    if (group->equal) {
        return 1;
    }

    return group->upto[position] - lb_start(group, position);
}


/* The position that covers a point of the line. */
static uint32_t
lb_covers(const mesh_view_group_t *group, uint64_t point)
{
    uint32_t  low, high, middle;

    if (group->equal) {
        return (uint32_t) point;
    }

    low = 0;
    high = group->count - 1;

    while (low < high) {
        middle = low + (high - low) / 2;

        if (point < group->upto[middle]) {
            high = middle;

        } else {
            low = middle + 1;
        }
    }

    return low;
}


uint32_t
mesh_lb_weighted(const mesh_view_group_t *group, uint64_t ticket)
{
    if (group->equal) {
        return (uint32_t) (ticket % group->count);
    }

    return lb_covers(group, mesh_lb_scale(ticket * LB_PHI, group->total));
}


uint32_t
mesh_lb_position(const mesh_view_group_t *group, uint32_t endpoint)
{
    uint32_t  low, high, middle;

    low = 0;
    high = group->count;

    while (low < high) {
        middle = low + (high - low) / 2;

        if (group->pick[middle] < endpoint) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    return (low < group->count && group->pick[low] == endpoint)
           ? low : MESH_PICK_NONE;
}


/*
 * The lowest position from `from` on that must not be drawn; looking again
 * for each needs no memory and skips what was tried twice.
 */
static uint32_t
lb_next_out(const mesh_pick_t *pick, uint32_t except, uint32_t from)
{
    unsigned  i;
    uint32_t  next, position;

    next = (except != MESH_PICK_NONE && except >= from) ? except
                                                        : MESH_PICK_NONE;

    for (i = 0; i < pick->ntried; i++) {
        position = mesh_lb_position(pick->group, pick->tried[i]);

        if (position != MESH_PICK_NONE && position >= from) {
            next = mesh_min(next, position);
        }
    }

    return next;
}


/*
 * A point of the line without the pieces that are out, moved past each of
 * them that begins at or below it: what is out gives to all in proportion,
 * not to its neighbour.
 */
uint32_t
mesh_lb_draw(const mesh_pick_t *pick, uint32_t except, uint64_t random)
{
    uint32_t                  out;
    uint64_t                  left, point;
    const mesh_view_group_t  *group;

    group = pick->group;
    left = lb_line(group);

    for (out = lb_next_out(pick, except, 0);
         out != MESH_PICK_NONE;
         out = lb_next_out(pick, except, out + 1))
    {
        left -= lb_length(group, out);
    }

    if (left == 0) {
        return MESH_PICK_NONE;
    }

    point = mesh_lb_scale(random, left);

    for (out = lb_next_out(pick, except, 0);
         out != MESH_PICK_NONE && lb_start(group, out) <= point;
         out = lb_next_out(pick, except, out + 1))
    {
        point += lb_length(group, out);
    }

    return lb_covers(group, point);
}


uint32_t
mesh_lb_best_of_few(const mesh_pick_t *pick, mesh_lb_better_pt better)
{
    uint32_t                     best, choices, i, position;
    uint64_t                     random;
    const uint32_t              *indexes;
    const mesh_view_endpoint_t  *endpoints;

    random = mesh_mix64(pick->ticket ^ ((uint64_t) pick->ntried << 56));
    best = mesh_lb_draw(pick, MESH_PICK_NONE, random);

    if (best == MESH_PICK_NONE) {
        return MESH_PICK_NONE;
    }

    indexes = pick->group->pick;
    endpoints = pick->view->endpoints;

    choices = mesh_max(pick->view->cluster->lb_choices, 2);
    choices = mesh_min(choices, LB_CHOICES_MAX);

    for (i = 1; i < choices; i++) {
        random = mesh_mix64(random + i);
        position = mesh_lb_draw(pick, best, random);

        if (position == MESH_PICK_NONE) {
            break;
        }

        if (better(pick, &endpoints[indexes[position]],
                   &endpoints[indexes[best]]))
        {
            best = position;
        }
    }

    return indexes[best];
}


bool
mesh_lb_all_tried(const mesh_pick_t *pick)
{
    uint32_t  n, out;

    if (pick->ntried < pick->group->count) {
        return false;
    }

    n = 0;

    for (out = lb_next_out(pick, MESH_PICK_NONE, 0);
         out != MESH_PICK_NONE;
         out = lb_next_out(pick, MESH_PICK_NONE, out + 1))
    {
        n++;
    }

    return n == pick->group->count;
}


static mesh_lb_pick_pt
lb_choose(const mesh_pick_t *pick)
{
    unsigned  lb;

    lb = pick->view->cluster->lb;

    return mesh_lb[lb < MESH_LB_MAX ? lb : MESH_LB_ROUND_ROBIN].pick;
}


/*
 * In pick->group.  A second round, if there is nobody left: any but the one
 * that failed just now, if there is.
 */
static uint32_t
lb_pick_inside(const mesh_pick_t *pick)
{
    mesh_pick_t  again;

    if (pick->ntried == 0 || !mesh_lb_all_tried(pick)) {
        return lb_choose(pick)(pick);
    }

    again = *pick;
    again.tried = &pick->tried[pick->ntried - 1];
    again.ntried = pick->group->count > 1 ? 1 : 0;
    again.ticket = mesh_mix64(pick->ticket + pick->ntried);

    return lb_choose(&again)(&again);
}


static uint32_t
lb_pick_grouped(mesh_pick_t *pick)
{
    mesh_pick_t  inner;

    inner = *pick;
    mesh_lb_group(&inner);
    pick->group = inner.group;

    return inner.group != NULL ? lb_pick_inside(&inner) : MESH_PICK_NONE;
}


uint32_t
mesh_lb_pick(mesh_pick_t *pick)
{
    if (pick->subset->count == 0) {
        return MESH_PICK_NONE;
    }

    pick->group = pick->subset->sole;

    if (pick->group == NULL) {
        return lb_pick_grouped(pick);
    }

    if (pick->ntried == 0) {
        return lb_choose(pick)(pick);
    }

    return pick->subset->ngroups > 1 ? lb_pick_grouped(pick)
                                     : lb_pick_inside(pick);
}
