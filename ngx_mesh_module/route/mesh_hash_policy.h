/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A route's hash policies: what of a request decides its endpoint, as one
 * number.  Envoy's RouteAction.hash_policy: policies that find nothing do not
 * count, the others are combined in order, and a terminal one ends the list
 * once there is a hash.
 *
 * The hash function is ours (mesh_hash64()), so the numbers are not Envoy's.
 *
 * And what a route's session says of a request, which comes before any hash.
 */

#ifndef MESH_HASH_POLICY_H
#define MESH_HASH_POLICY_H

#include "mesh_request.h"
#include "mesh_snapshot.h"


#define MESH_HASH_VALUE_LEN   16        /* hex digits of a generated value */


typedef struct {
    bool                   known;       /* false: no policy found anything */
    uint64_t               hash;
    uint32_t               generated;   /* bit n: the response sets the cookie
                                           of policy n to `value` */
    char                   value[MESH_HASH_VALUE_LEN];
} mesh_hash_result_t;


/*
 * policies may be NULL: unknown.  `seed` names the connection: one of its
 * requests is given the same cookie as another.
 */
void mesh_hash_policies(const mesh_snapshot_t *s,
    const mesh_rec_hash_policies_t *policies, const mesh_request_t *r,
    uint64_t seed, mesh_hash_result_t *result);

/*
 * The value of a session's cookie, or of the first header of its name; empty:
 * there is none.  lb/mesh_lb_session.h tells what it means.
 */
mesh_str_t mesh_session_value(const mesh_snapshot_t *s,
    const mesh_rec_session_t *session, const mesh_request_t *r);

/*
 * A Set-Cookie value; `attributes` follow the cookie's own as they are.
 * Writes at most `size` bytes and returns how many there are.
 */
size_t mesh_set_cookie(mesh_str_t name, mesh_str_t value,
    mesh_str_t attributes, char *out, size_t size);


#endif /* MESH_HASH_POLICY_H */
