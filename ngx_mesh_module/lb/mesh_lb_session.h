/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Session affinity by a cookie or a header that names the endpoint (Envoy's
 * stateful_session with either state): its value is base64 of the endpoint's
 * address, as mesh_endpoint_text() writes it.  It comes before
 * the balancer, and names nobody that the balancer must not pick.
 */

#ifndef MESH_LB_SESSION_H
#define MESH_LB_SESSION_H

#include "mesh_lb.h"


#define MESH_SESSION_TEXT_MAX    (sizeof("unix:") + 255)
#define MESH_SESSION_VALUE_MAX   ((MESH_SESSION_TEXT_MAX + 2) / 3 * 4)


typedef struct {
    mesh_str_t   value;         /* as the request has it, or empty */
    bool         strict;        /* another endpoint is not good enough */
} mesh_session_t;


/* Does it name somebody, here or not?  What is no base64 does not. */
bool mesh_lb_session_says(const mesh_session_t *session);

/*
 * The endpoint that the value names, for the first attempt of a request;
 * without one that may be picked, and for retries, mesh_lb_pick(), unless
 * the session is strict and its value named somebody: then
 * MESH_PICK_NONE.
 */
uint32_t mesh_lb_session_pick(mesh_pick_t *pick,
    const mesh_snapshot_t *s, const mesh_session_t *session);

/*
 * The value for an endpoint's text; MESH_SESSION_VALUE_MAX bytes at
 * most.  0: the text is too long for one.
 */
size_t mesh_lb_session_value(mesh_str_t text, char *out);


#endif /* MESH_LB_SESSION_H */
