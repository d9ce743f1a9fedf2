/* SPDX-License-Identifier: Apache-2.0 */

/*
 * May this attempt be followed by another one?  Pure decision in Envoy's
 * terms (router filter, x-envoy-retry-on), with nginx's caution: a request
 * that is not safe to repeat is not, unless the policy says so or nothing
 * of it was sent.
 */

#ifndef MESH_RETRY_H
#define MESH_RETRY_H

#include "mesh_base.h"
#include "mesh_format.h"
#include "mesh_outlier.h"
#include "mesh_snapshot.h"


#define MESH_RETRY_RACES_MAX   3        /* free replays of one request */


typedef struct {
    const mesh_rec_retry_t  *policy;        /* or NULL */
    uint16_t                 method;        /* MESH_METHOD_* */
    bool                     sent;          /* any byte went to the endpoint */
    bool                     reused;        /* on an idle connection, and no
                                               byte of a response came */
    bool                     body_kept;     /* all that came of the body can
                                               be sent again */
    bool                     header_sent;   /* response begun downstream */
    uint32_t                 retries;       /* done so far, races apart */
    uint32_t                 races;         /* keepalive races replayed */
    uint64_t                 left_ms;       /* of the deadline; UINT64_MAX */
} mesh_retry_state_t;

typedef enum {
    MESH_RETRY_NO = 0,              /* the outcome stands */
    MESH_RETRY_YES = 1,
    MESH_RETRY_RACE = 2,            /* free replay of a keepalive race */
    MESH_RETRY_EXHAUSTED = 3        /* wanted, but attempts are used up */
} mesh_retry_verdict_e;

mesh_retry_verdict_e mesh_retry_decide(const mesh_snapshot_t *s,
    const mesh_retry_state_t *state, const mesh_outcome_t *outcome);


#endif /* MESH_RETRY_H */
