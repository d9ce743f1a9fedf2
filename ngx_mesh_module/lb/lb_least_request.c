/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Least request among a few that are drawn by weight ("the power of two
 * choices", Mitzenmacher 2001; Envoy's LEAST_REQUEST): attempts in flight of
 * all workers, relative to weight.
 *
 * full_scan compares all of them.  active_request_bias, with unequal weights,
 * draws by weight / (attempts + 1) ^ bias, which is Envoy's law; of many
 * endpoints, among some that were drawn by weight.
 */

#include <math.h>

#include "mesh_lb.h"


#define LEAST_REQUEST_ALL     64        /* no more than this: all ... */
#define LEAST_REQUEST_DRAWN   16        /* ... else so many are weighed */


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
least_request_better(const mesh_pick_t *pick, const mesh_view_endpoint_t *a,
    const mesh_view_endpoint_t *b)
{
    return least_request_in_flight(pick, a) * b->weight
           < least_request_in_flight(pick, b) * a->weight;
}


/* Equals are drawn by weight, each as it comes. */
static uint32_t
least_request_scan(const mesh_pick_t *pick)
{
    uint32_t                     i, best;
    uint64_t                     random, ties;
    const mesh_view_endpoint_t  *endpoint, *least;

    best = MESH_PICK_NONE;
    least = NULL;
    ties = 0;
    random = mesh_lb_random(pick);

    for (i = 0; i < pick->group->count; i++) {

        if (mesh_lb_tried(pick, pick->group->pick[i])) {
            continue;
        }

        endpoint = &pick->view->endpoints[pick->group->pick[i]];

        if (least == NULL || least_request_better(pick, endpoint, least)) {
            ties = 0;

        } else if (least_request_better(pick, least, endpoint)) {
            continue;
        }

        ties += endpoint->weight;
        random = mesh_mix64(random + i + 1);

        if (mesh_lb_scale(random, ties) < endpoint->weight) {
            least = endpoint;
            best = pick->group->pick[i];
        }
    }

    return best;
}


static double
least_request_share(const mesh_pick_t *pick,
    const mesh_view_endpoint_t *endpoint)
{
    double    bias;
    uint64_t  load;

    bias = pick->view->params->bias_milli / 1000.0;
    load = least_request_in_flight(pick, endpoint) + 1;

    return bias == 1 ? 1.0 / (double) load : pow((double) load, -bias);
}


/* Who is weighed, and how much each; how many. */
static uint32_t
least_request_candidates(const mesh_pick_t *pick, uint32_t *indexes,
    double *shares)
{
    uint32_t                     i, n, index, position;
    uint64_t                     random;
    const mesh_view_endpoint_t  *endpoint;

    n = 0;

    if (pick->group->count <= LEAST_REQUEST_ALL) {

        for (i = 0; i < pick->group->count; i++) {
            index = pick->group->pick[i];

            if (!mesh_lb_tried(pick, index)) {
                endpoint = &pick->view->endpoints[index];
                indexes[n] = index;
                shares[n++] = endpoint->weight
                              * least_request_share(pick, endpoint);
            }
        }

        return n;
    }

    random = mesh_lb_random(pick);

    for (i = 0; i < LEAST_REQUEST_DRAWN; i++) {
        random = mesh_mix64(random + i);
        position = mesh_lb_draw(pick, MESH_PICK_NONE, random);

        if (position != MESH_PICK_NONE) {
            index = pick->group->pick[position];
            indexes[n] = index;
            shares[n++] = least_request_share(pick,
                                              &pick->view->endpoints[index]);
        }
    }

    return n;
}


static uint32_t
least_request_biased(const mesh_pick_t *pick)
{
    double    total, point, shares[LEAST_REQUEST_ALL];
    uint32_t  i, n, indexes[LEAST_REQUEST_ALL];

    n = least_request_candidates(pick, indexes, shares);

    if (n == 0) {
        return MESH_PICK_NONE;
    }

    total = 0;

    for (i = 0; i < n; i++) {
        total += shares[i];
    }

    /* 53 bits are what a double holds */

    point = total * (double) (mesh_mix64(~mesh_lb_random(pick)) >> 11)
            * 0x1p-53;

    for (i = 0; i < n - 1 && point >= shares[i]; i++) {
        point -= shares[i];
    }

    return indexes[i];
}


uint32_t
lb_least_request_pick(const mesh_pick_t *pick)
{
    const mesh_rec_lb_t  *params;

    params = pick->view->params;

    if (params != NULL) {

        if ((params->flags & MESH_LB_BIAS) && !pick->group->equal) {
            return least_request_biased(pick);
        }

        if (params->flags & MESH_LB_FULL_SCAN) {
            return least_request_scan(pick);
        }
    }

    return mesh_lb_best_of_few(pick, least_request_better);
}
