/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Is an endpoint's redirect followed inside, instead of being sent to the
 * client?  With the semantics of Envoy's internal_redirect_policy.  What is
 * left to the caller is whether there is a route for where it leads.
 */

#ifndef MESH_FOLLOW_H
#define MESH_FOLLOW_H

#include "mesh_base.h"
#include "mesh_format.h"
#include "mesh_request.h"


typedef enum {
    MESH_FOLLOW_YES = 0,
    MESH_FOLLOW_OTHER = 1,      /* not a status of the policy */
    MESH_FOLLOW_HOPS = 2,       /* there were as many as it allows */
    MESH_FOLLOW_BODY = 3,       /* the request cannot be sent again */
    MESH_FOLLOW_LOCATION = 4,   /* no absolute http URL */
    MESH_FOLLOW_SCHEME = 5      /* another scheme than the request's */
} mesh_follow_verdict_e;

typedef struct {
    unsigned     status;
    uint32_t     hops;          /* followed so far, for this request */
    bool         body_kept;     /* it came whole, and is there */
    mesh_str_t   scheme;        /* of the request */
    mesh_str_t   location;      /* the response's, or empty */
} mesh_follow_state_t;

/* Where it leads; all but the scheme is in the location's memory. */
typedef struct {
    mesh_str_t   scheme;
    mesh_str_t   authority;     /* without user information */
    mesh_str_t   path;          /* not normalised yet */
    mesh_str_t   query;
    bool         has_query;
} mesh_follow_target_t;

mesh_follow_verdict_e mesh_follow_decide(
    const mesh_rec_internal_redirect_t *policy,
    const mesh_follow_state_t *state, mesh_follow_target_t *target);

/* RFC 9110, 15.4.4: is the next request a GET, without a body? */
static inline bool
mesh_follow_is_get(unsigned status, uint16_t method_bit)
{
    return status == 303 && !(method_bit & (MESH_METHOD_GET|MESH_METHOD_HEAD));
}


#endif /* MESH_FOLLOW_H */
