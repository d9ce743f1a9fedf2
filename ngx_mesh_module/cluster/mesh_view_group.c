/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The groups of a subset: its members by priority and, where localities have
 * weights, by locality; what of each group may be picked; and who gets how
 * much of the load.
 */

#include "mesh_cluster_impl.h"
#include "mesh_priority.h"


#define GROUP_LEVELS     MESH_VIEW_PRIORITIES
#define GROUP_FEW        1000           /* points, if they are exact ... */
#define GROUP_MANY       1000000        /* ... and else */

/*
 * A member as a number that sorts: its priority, where its locality is in the
 * list of weights, and its index.  Nothing of it depends on where records
 * are, so groups have one order in all files and on all machines.
 */
#define GROUP_INDEX_BITS      32
#define GROUP_LOCALITY_BITS   9
#define GROUP_INDEX(key)                                                      \
    ((uint32_t) ((key) & ((UINT64_C(1) << GROUP_INDEX_BITS) - 1)))
#define GROUP_LOCALITY(key)                                                   \
    ((uint32_t) ((key) >> GROUP_INDEX_BITS                                  \
                   & ((UINT64_C(1) << GROUP_LOCALITY_BITS) - 1)))
#define GROUP_PRIORITY(key)                                                   \
    ((uint32_t) ((key) >> (GROUP_INDEX_BITS + GROUP_LOCALITY_BITS)))


typedef struct {
    mesh_level_t                        levels[GROUP_LEVELS];
    bool                                split[GROUP_LEVELS];
    uint32_t                            nlevels;
    uint32_t                            factor;
    const mesh_rec_locality_weights_t  *weights;    /* or NULL */
    mesh_zone_e                         zone;
    bool                                panic_fails;
    uint32_t                            fails;  /* percent of priority 0 */
    uint64_t                            shares[MESH_ZONES_MAX];
} group_plan_t;


#define GROUP_RUNS   64

typedef struct {
    uint32_t  group;                    /* a key without its index */
    uint32_t  size;
    uint32_t  next;
} group_run_t;


static uint32_t
group_factor(const mesh_view_build_t *b)
{
    const mesh_rec_lb_t  *params;

    params = b->view->params;

    return params != NULL && params->overprovisioning
           ? params->overprovisioning : MESH_LB_OVERPROVISIONING;
}


static const mesh_rec_locality_weights_t *
group_weights(const mesh_view_build_t *b)
{
    const mesh_rec_lb_t  *params;

    params = b->view->params;

    return params != NULL ? mesh_get(b->s, params->weights) : NULL;
}


/* Where an endpoint's locality is in the list; its length: nowhere. */
static uint32_t
group_locality(const mesh_rec_locality_weights_t *weights,
    const mesh_view_endpoint_t *v)
{
    uint32_t                       i;
    const mesh_locality_weight_t  *w;

    for (i = 0; i < weights->count; i++) {
        w = &weights->v[i];

        if (w->locality == v->endpoint->locality
            && (w->priority == v->priority
                || w->priority == MESH_PRIORITY_ANY))
        {
            break;
        }
    }

    return i;
}


void
mesh_view_places(mesh_view_build_t *b)
{
    uint32_t                            i;
    const mesh_rec_locality_weights_t  *weights;

    weights = group_weights(b);

    for (i = 0; i < b->view->total; i++) {
        b->endpoints[i].place = weights
                                ? group_locality(weights, &b->endpoints[i])
                                : 0;
    }
}


static mesh_ref_t
group_locality_of(const mesh_view_build_t *b, const group_plan_t *plan,
    uint32_t place)
{
    if (mesh_zone_on(plan->zone)) {
        return b->view->zones->v[place].locality;
    }

    return place < plan->weights->count ? plan->weights->v[place].locality : 0;
}


/* How many of a priority's requests get no endpoint, in percent. */
static uint32_t
group_failing(const group_plan_t *plan, uint32_t priority)
{
    if (plan->panic_fails && plan->levels[priority].panic) {
        return 100;
    }

    return priority == 0 ? plan->fails : 0;
}


static uint32_t
group_locality_weight(const mesh_rec_locality_weights_t *weights, uint32_t i)
{
    return i < weights->count ? weights->v[i].weight : 0;
}


/* Adds those that count, and the usable ones of them. */
static void
group_count(const mesh_view_build_t *b, const uint32_t *members, uint32_t n,
    mesh_level_t *level)
{
    uint32_t                     i;
    const mesh_view_endpoint_t  *v;

    for (i = 0; i < n; i++) {
        v = &b->endpoints[members[i]];

        level->total += !(v->out & MESH_OUT_WISHED);
        level->usable += (v->out == 0);
    }
}


/* Usable or not, so that what is made of them outlives an ejection. */
static void
group_hash(mesh_view_build_t *b, mesh_view_group_t *group,
    const uint32_t *members, uint32_t n)
{
    uint32_t  i;

    group->hashed = b->hashed;
    group->mask = group->panic ? MESH_OUT_WISHED : ~(uint32_t) MESH_OUT_TOLD;

    for (i = 0; i < n; i++) {
        if (b->endpoints[members[i]].weight != 0) {
            *b->hashed++ = members[i];
            group->nhashed++;
        }
    }
}


static void
group_sum(mesh_view_build_t *b, mesh_view_group_t *group)
{
    uint32_t  i;
    uint64_t  sum;

    sum = 0;
    group->upto = b->upto;

    for (i = 0; i < group->count; i++) {
        sum += b->endpoints[group->pick[i]].weight;
        *b->upto++ = sum;
    }
}


/* Members to picks, in place: what stays keeps its order. */
static void
group_fill(mesh_view_build_t *b, mesh_view_group_t *group, uint32_t *members,
    uint32_t n)
{
    uint32_t                     i, out, first;
    const mesh_view_endpoint_t  *v;

    if (b->hashed != NULL) {
        group_hash(b, group, members, n);
    }

    out = group->panic ? MESH_OUT_WISHED : UINT32_MAX;
    first = 0;
    group->equal = true;
    group->pick = members;
    group->count = 0;

    for (i = 0; i < n; i++) {
        v = &b->endpoints[members[i]];

        if (v->out & out) {
            continue;
        }

        if (group->count == 0) {
            first = v->weight;
        }

        if (v->weight != first) {
            group->equal = false;
        }

        group->total += v->weight;
        members[group->count++] = v->ordinal;
    }

    if (!group->equal) {
        group_sum(b, group);
    }
}


/* Most clusters: one priority, and localities do not matter. */
static void
group_one(mesh_view_build_t *b, mesh_view_subset_t *subset, uint32_t *members,
    uint32_t priority, uint32_t factor)
{
    mesh_level_t        level;
    mesh_view_group_t  *group;

    memset(&level, 0, sizeof(level));
    group_count(b, members, subset->members, &level);
    mesh_priority_loads(&level, 1, factor, b->cluster->panic_percent);

    group = subset->groups;
    group->priority = priority;
    group->members = subset->members;
    group->usable = level.usable;
    group->points = 100;
    group->panic = level.panic && level.total > 0;
    group_fill(b, group, members, subset->members);

    subset->usable = level.usable;
    subset->panic = group->panic;
    subset->count = group->count;
    subset->points = group->points;
    subset->ngroups = 1;
    subset->sole = group;
}


/* Envoy's fail_traffic_on_panic is about both clusters' panic. */
static void
group_plan_zones(const mesh_view_build_t *b, group_plan_t *plan,
    const uint32_t *members, uint32_t n)
{
    const mesh_rec_zone_aware_t  *params;

    params = b->view->zones->params;

    plan->zone = mesh_view_zone_shares(b, members, n, plan->levels[0].panic,
                                       plan->shares);
    plan->split[0] = mesh_zone_on(plan->zone);
    plan->panic_fails = params->flags & MESH_ZONE_FAIL_ON_PANIC;

    if (plan->panic_fails && plan->zone == MESH_ZONE_LOCAL_PANIC) {
        plan->fails = params->enabled_percent;
    }
}


/*
 * What each priority gets, and which of them is divided by locality: not in
 * panic, and not if no usable endpoint's locality has a weight.
 */
static void
group_plan(const mesh_view_build_t *b, group_plan_t *plan,
    const uint32_t *members, uint32_t n)
{
    uint32_t                     i;
    const mesh_view_endpoint_t  *v;

    for (i = 0; i < n; i++) {
        v = &b->endpoints[members[i]];
        group_count(b, &members[i], 1, &plan->levels[v->priority]);
        plan->nlevels = mesh_max(plan->nlevels, v->priority + 1);
    }

    mesh_priority_loads(plan->levels, plan->nlevels, plan->factor,
                        b->cluster->panic_percent);

    for (i = 0; i < n && plan->weights != NULL; i++) {
        v = &b->endpoints[members[i]];

        if (v->out == 0
            && !plan->levels[v->priority].panic
            && !plan->split[v->priority]
            && group_locality_weight(plan->weights, v->place))
        {
            plan->split[v->priority] = true;
        }
    }

    if (b->view->zones != NULL) {
        group_plan_zones(b, plan, members, n);
    }
}


static void
group_sift(uint64_t *keys, uint32_t i, uint32_t n)
{
    uint32_t  child;
    uint64_t  key;

    key = keys[i];

    while ((child = 2 * i + 1) < n) {

        if (child + 1 < n && keys[child + 1] > keys[child]) {
            child++;
        }

        if (keys[child] <= key) {
            break;
        }

        keys[i] = keys[child];
        i = child;
    }

    keys[i] = key;
}


/* Where a group is among those found so far, or is to be put. */
static uint32_t
group_place(const group_run_t *runs, uint32_t count, uint32_t group)
{
    uint32_t  low, high, middle;

    low = 0;
    high = count;

    while (low < high) {
        middle = low + (high - low) / 2;

        if (runs[middle].group < group) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    return low;
}


/* Groups that occur, in order, with their sizes; 0: too many. */
static uint32_t
group_runs(const uint64_t *keys, uint32_t n, group_run_t *runs)
{
    uint32_t  i, at, group, count;

    at = 0;
    count = 0;

    for (i = 0; i < n; i++) {
        group = (uint32_t) (keys[i] >> GROUP_INDEX_BITS);

        if (at == count || runs[at].group != group) {
            at = group_place(runs, count, group);
        }

        if (at == count || runs[at].group != group) {

            if (count == GROUP_RUNS) {
                return 0;
            }

            memmove(&runs[at + 1], &runs[at],
                    (count - at) * sizeof(group_run_t));
            runs[at] = (group_run_t) { group, 0, 0 };
            count++;
        }

        runs[at].size++;
    }

    return count;
}


/*
 * Keys that are in order of their indexes, as they are made, into order, by
 * counting: linear, as long as there are few groups.  `indexes` has room for
 * n and is scratch.
 */
static bool
group_distribute(uint64_t *keys, uint32_t n, uint32_t *indexes)
{
    uint32_t     i, k, count, group, sum;
    group_run_t  runs[GROUP_RUNS];

    count = group_runs(keys, n, runs);

    for (k = 0, sum = 0; k < count; k++) {
        runs[k].next = sum;
        sum += runs[k].size;
    }

    for (i = 0, k = 0; count != 0 && i < n; i++) {
        group = (uint32_t) (keys[i] >> GROUP_INDEX_BITS);

        if (runs[k].group != group) {
            k = group_place(runs, count, group);
        }

        indexes[runs[k].next++] = GROUP_INDEX(keys[i]);
    }

    for (k = 0, i = 0; k < count; k++) {
        for ( /* void */ ; i < runs[k].next; i++) {
            keys[i] = (uint64_t) runs[k].group << GROUP_INDEX_BITS
                      | indexes[i];
        }
    }

    return count != 0;
}


/* Heapsort: no memory, and no input that makes it slow. */
static void
group_sort(uint64_t *keys, uint32_t n)
{
    uint32_t  i;
    uint64_t  key;

    for (i = n / 2; i-- > 0; /* void */) {
        group_sift(keys, i, n);
    }

    for (i = n; i-- > 1; /* void */) {
        key = keys[0];
        keys[0] = keys[i];
        keys[i] = key;
        group_sift(keys, 0, i);
    }
}


/*
 * Sorted keys of the members, which are theirs afterwards; returns how many
 * groups they make.
 */
static uint32_t
group_keys(const mesh_view_build_t *b, const group_plan_t *plan,
    uint32_t *members, uint32_t n, uint64_t *keys)
{
    uint32_t                     i, groups;
    uint32_t                     locality;
    const mesh_view_endpoint_t  *v;

    for (i = 0; i < n; i++) {
        v = &b->endpoints[members[i]];
        locality = plan->split[v->priority] ? v->place : 0;

        keys[i] = ((uint64_t) v->priority << GROUP_LOCALITY_BITS | locality)
                  << GROUP_INDEX_BITS | members[i];
    }

    if (!group_distribute(keys, n, members)) {
        group_sort(keys, n);
    }

    groups = 1;

    for (i = 1; i < n; i++) {
        groups += keys[i] >> GROUP_INDEX_BITS
                  != keys[i - 1] >> GROUP_INDEX_BITS;
    }

    return groups;
}


/* A group and its `n` members; returns its weight among its priority's. */
static uint64_t
group_member(mesh_view_build_t *b, const group_plan_t *plan,
    mesh_view_group_t *group, uint32_t *members, uint32_t n)
{
    uint32_t      weight;
    mesh_level_t  level;

    group->panic = plan->levels[group->priority].panic
                   && plan->levels[group->priority].total > 0;
    group->split = plan->split[group->priority];
    weight = group_failing(plan, group->priority) < 100;

    memset(&level, 0, sizeof(level));
    group_count(b, members, n, &level);
    group->usable = level.usable;

    if (group->split) {
        group->locality = group_locality_of(b, plan, group->place);

        if (mesh_zone_on(plan->zone)) {
            /* A retry may leave the zone, so all have what they have. */
            group_fill(b, group, members, n);
            return plan->shares[group->place];
        }

        weight = group_locality_weight(plan->weights, group->place);
    }

    if (weight == 0) {
        /* none of its members is ever picked */
        group->equal = true;
        group->pick = members;
        return 0;
    }

    group_fill(b, group, members, n);

    return mesh_locality_weight(weight, level.usable, level.total,
                                plan->factor);
}


static uint64_t
group_divisor(uint64_t a, uint64_t b)
{
    uint64_t  rest;

    while (b != 0) {
        rest = a % b;
        a = b;
        b = rest;
    }

    return a;
}


/*
 * The priority's points to its groups by weight, with running sums, so that
 * nothing is left over; whoever has a weight has a point.
 */
static void
group_points(mesh_view_group_t *groups, const uint64_t *weights, uint32_t n,
    uint32_t points)
{
    uint32_t            i, before, now;
    uint64_t            upto, total;
    mesh_view_group_t  *most;

    total = 0;

    for (i = 0; i < n; i++) {
        total += weights[i];
    }

    if (n == 1 || total == 0) {
        groups[0].points = points;
        return;
    }

    upto = 0;
    before = 0;
    most = groups;

    for (i = 0; i < n; i++) {
        upto += weights[i];
        now = (uint32_t) ((unsigned __int128) upto * points / total);
        groups[i].points = now - before;
        before = now;

        if (groups[i].points > most->points) {
            most = &groups[i];
        }
    }

    for (i = 0; i < n; i++) {
        if (weights[i] != 0 && groups[i].points == 0 && most->points > 1) {
            groups[i].points = 1;
            most->points--;
        }
    }
}


/* How many neighbours from `first` on are of its priority. */
static uint32_t
group_run(const mesh_view_subset_t *subset, uint32_t first)
{
    uint32_t  n;

    n = 1;

    while (first + n < subset->ngroups
           && subset->groups[first + n].priority
              == subset->groups[first].priority)
    {
        n++;
    }

    return n;
}


/*
 * Where one priority has all load: the weights themselves, without what they
 * have in common, if those are few points; shares are exact then in blocks
 * of as many tickets.  0: too many.
 */
static uint32_t
group_few(const uint64_t *weights, uint32_t n)
{
    uint32_t  i;
    uint64_t  total, divisor;

    total = 0;
    divisor = 0;

    for (i = 0; i < n; i++) {
        total += weights[i];
        divisor = group_divisor(weights[i], divisor);
    }

    return divisor != 0 && total / divisor <= GROUP_FEW
           ? (uint32_t) (total / divisor) : 0;
}


static uint32_t
group_sum_of_points(const mesh_view_subset_t *subset,
    const group_plan_t *plan, const uint64_t *weights)
{
    bool      split;
    uint32_t  i, n, few, points;

    split = plan->fails != 0;
    points = 0;

    for (i = 0; i < subset->ngroups; i += n) {
        n = group_run(subset, i);
        split = split || subset->groups[i].split;

        if (plan->levels[subset->groups[i].priority].load == 100) {
            few = group_few(&weights[i], n);
            points = subset->groups[i].split ? few : 100;
        }
    }

    if (points != 0) {
        return points;
    }

    return split ? GROUP_MANY : 100;
}


/*
 * Prime to the points, so that all are visited, and near the golden ratio's
 * part of them, so that runs of any length are spread evenly.  For the two
 * usual sizes, those whose ratio has the smallest partial quotients.
 */
static uint32_t
group_step(uint32_t points)
{
    uint32_t  step;

    if (points == 100) {
        return 39;
    }

    if (points == GROUP_MANY) {
        return 618073;
    }

    step = (uint32_t) (points * UINT64_C(618) / 1000);
    step = mesh_max(step, 1);

    while (group_divisor(step, points) != 1) {
        step++;
    }

    return step;
}


static void
group_share(mesh_view_subset_t *subset, const group_plan_t *plan,
    const uint64_t *weights)
{
    uint32_t            i, n, load, failing, start;
    mesh_view_group_t  *group;

    subset->points = group_sum_of_points(subset, plan, weights);
    subset->step = group_step(subset->points);

    for (i = 0; i < subset->ngroups; i += n) {
        n = group_run(subset, i);
        group = &subset->groups[i];

        load = (uint32_t) ((uint64_t) plan->levels[group->priority].load
                           * subset->points / 100);
        failing = (uint32_t) ((uint64_t) load
                              * group_failing(plan, group->priority) / 100);

        group_points(group, &weights[i], n, load - failing);

        subset->failing += failing;
        subset->panic |= group->panic && load != 0;
    }

    start = 0;

    for (i = 0; i < subset->ngroups; i++) {
        group = &subset->groups[i];
        group->start = start;
        start += group->points;

        subset->count += group->count;

        if (group->points == subset->points) {
            subset->sole = group;
        }
    }

    subset->zone = plan->zone;
}


/* The keys are where sums will be, and go before the first of them comes. */
static void
group_members(const mesh_view_subset_t *subset, const uint64_t *keys,
    uint32_t *members)
{
    uint32_t            i;
    mesh_view_group_t  *group;

    group = subset->groups;

    for (i = 0; i < subset->members; i++) {

        if (i > 0 && keys[i] >> GROUP_INDEX_BITS
                     != keys[i - 1] >> GROUP_INDEX_BITS)
        {
            group++;
        }

        group->priority = GROUP_PRIORITY(keys[i]);
        group->place = GROUP_LOCALITY(keys[i]);
        group->members++;
        members[i] = GROUP_INDEX(keys[i]);
    }
}


static bool
group_several(mesh_view_build_t *b, mesh_view_subset_t *subset,
    uint32_t *members, group_plan_t *plan)
{
    uint32_t            i;
    uint64_t           *weights;
    mesh_view_group_t  *group;

    group_plan(b, plan, members, subset->members);

    subset->ngroups = group_keys(b, plan, members, subset->members, b->upto);

    subset->groups = mesh_alloc(b->arena, subset->ngroups
                                          * (sizeof(mesh_view_group_t)
                                             + sizeof(uint64_t)));
    if (subset->groups == NULL) {
        return false;
    }

    memset(subset->groups, 0, subset->ngroups * sizeof(mesh_view_group_t));
    weights = (uint64_t *) (subset->groups + subset->ngroups);

    group_members(subset, b->upto, members);

    for (i = 0; i < subset->ngroups; i++) {
        group = &subset->groups[i];
        weights[i] = group_member(b, plan, group, members, group->members);
        members += group->members;
    }

    for (i = 0; i < plan->nlevels; i++) {
        subset->usable += plan->levels[i].usable;
    }

    group_share(subset, plan, weights);

    return true;
}


bool
mesh_view_group(mesh_view_build_t *b, mesh_view_subset_t *subset,
    uint32_t *members)
{
    uint32_t      i, least, most, priority;
    group_plan_t  plan;

    least = UINT32_MAX;
    most = 0;

    for (i = 0; i < subset->members; i++) {
        priority = b->endpoints[members[i]].priority;
        least = mesh_min(least, priority);
        most = mesh_max(most, priority);
    }

    if (subset->members == 0
        || (least == most && group_weights(b) == NULL
            && b->view->zones == NULL))
    {
        group_one(b, subset, members, most, group_factor(b));
        return true;
    }

    memset(&plan, 0, sizeof(plan));
    plan.factor = group_factor(b);
    plan.weights = group_weights(b);

    return group_several(b, subset, members, &plan);
}


static const mesh_view_group_t *
group_find(const mesh_view_subset_t *subset, const mesh_view_endpoint_t *v)
{
    bool                      before;
    uint32_t                  low, high, middle;
    const mesh_view_group_t  *group;

    low = 0;
    high = subset->ngroups - 1;

    while (low < high) {
        middle = low + (high - low) / 2;
        group = &subset->groups[middle];

        before = group->priority < v->priority
                 || (group->priority == v->priority && group->split
                     && group->place < v->place);

        if (before) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    return &subset->groups[low];
}


void
mesh_view_tell(mesh_view_build_t *b)
{
    uint32_t                   i, k;
    uint64_t                   load[GROUP_LEVELS];
    mesh_view_endpoint_t      *v;
    const mesh_view_subset_t  *all;
    const mesh_view_group_t   *group;

    all = &b->subsets[0];

    if (all->ngroups == 1 && all->failing == 0) {
        return;
    }

    memset(load, 0, sizeof(load));

    for (k = 0; k < all->ngroups; k++) {
        load[all->groups[k].priority] += all->groups[k].points;
    }

    for (i = 0; i < b->view->total; i++) {
        v = &b->endpoints[i];
        group = group_find(all, v);

        if (v->out != 0 || group->points != 0) {
            continue;
        }

        if (b->view->zones != NULL
            && (load[v->priority] || group->count == 0))
        {
            v->out = MESH_OUT_ZONE;

        } else {
            v->out = load[v->priority] ? MESH_OUT_LOCALITY
                                       : MESH_OUT_PRIORITY;
        }
    }
}
