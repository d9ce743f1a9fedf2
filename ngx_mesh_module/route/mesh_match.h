/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Conditions on values of a request that have names, with the semantics of
 * Envoy's StringMatcher, HeaderMatcher, QueryParameterMatcher and
 * CookieMatcher; of the connection's server name and port as well.  Of
 * headers that are there more than once, each is looked at, and one that
 * holds is enough; of parameters and cookies, the first.  A header that is
 * missing does not match, even inverted, unless the match says that it is as
 * good as an empty one; what else is missing matches if inverted.  Parameters
 * are compared as they were sent, nothing decoded.
 */

#ifndef MESH_MATCH_H
#define MESH_MATCH_H

#include "mesh_base.h"
#include "mesh_format.h"
#include "mesh_request.h"
#include "mesh_snapshot.h"


/* The parts of mesh_match_test(): one value; none; what is no header. */
bool mesh_match_text(const mesh_snapshot_t *s, const mesh_match_t *m,
    const mesh_request_t *r, mesh_str_t text);
bool mesh_match_missing(const mesh_snapshot_t *s, const mesh_match_t *m,
    const mesh_request_t *r);
bool mesh_match_single(const mesh_snapshot_t *s, const mesh_match_t *m,
    const mesh_request_t *r, mesh_header_iter_t *iter, mesh_str_t *value);


/*
 * The first parameter of that name in a query, as it was sent; the first
 * cookie, without quotes around it.  false: there is none.
 */
bool mesh_match_query(mesh_str_t query, mesh_str_t name, mesh_str_t *value);
bool mesh_match_cookies(const mesh_request_t *r, mesh_str_t name,
    mesh_str_t *value);


/* A zeroed iterator begins. */
static inline bool
mesh_match_next(const mesh_snapshot_t *s, const mesh_match_t *m,
    const mesh_request_t *r, mesh_header_iter_t *iter, mesh_str_t *value)
{
    if (m->from != MESH_FROM_HEADER) {
        return mesh_match_single(s, m, r, iter, value);
    }

    return r->calls->header(r, mesh_get_str(s, m->name), m->hash, iter, value);
}


/* Inline for headers that are not there: most, on the way to a route. */
static inline bool
mesh_match_test(const mesh_snapshot_t *s, const mesh_match_t *m,
    const mesh_request_t *r)
{
    bool                invert;
    mesh_str_t          value;
    mesh_header_iter_t  iter = { NULL, 0 };

    if (!mesh_match_next(s, m, r, &iter, &value)) {
        return m->flags && mesh_match_missing(s, m, r);
    }

    invert = (m->flags & MESH_MATCH_INVERT) != 0;

    do {
        if (mesh_match_text(s, m, r, value)) {
            return !invert;
        }

    } while (mesh_match_next(s, m, r, &iter, &value));

    return invert;
}

/*
 * The first value that a match looks at, for explain; false: there is none.
 */
bool mesh_match_value(const mesh_snapshot_t *s, const mesh_match_t *m,
    const mesh_request_t *r, mesh_str_t *value);


/* Does the text match a REGEX? */
bool mesh_match_regex(const mesh_snapshot_t *s, mesh_ref_t ref,
    const mesh_request_t *r, mesh_str_t text);

/* A gRPC request, by its content type. */
bool mesh_match_grpc(const mesh_request_t *r);

/* Does the client's address begin with one of these? */
bool mesh_match_addresses(const mesh_rec_addresses_t *addresses,
    const mesh_request_t *r);


/*
 * ASCII text in lower case.  `out` holds text.len bytes, and is what is
 * returned.
 */
mesh_str_t mesh_str_lower(mesh_str_t text, char *out);

/* Does the text begin with this one, which is in lower case? */
bool mesh_str_starts_folded(mesh_str_t text, mesh_str_t lower);

/* Is it this one? */
static inline bool
mesh_str_eq_folded(mesh_str_t text, mesh_str_t lower)
{
    return text.len == lower.len && mesh_str_starts_folded(text, lower);
}


#endif /* MESH_MATCH_H */
