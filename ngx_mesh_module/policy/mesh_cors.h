/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Scripts of other origins: what a browser may be told (the Fetch standard's
 * CORS protocol), with the semantics of Envoy's cors filter.
 */

#ifndef MESH_CORS_H
#define MESH_CORS_H

#include "mesh_base.h"
#include "mesh_format.h"
#include "mesh_request.h"
#include "mesh_snapshot.h"


typedef enum {
    MESH_CORS_NONE = 0,         /* not of another origin, or of a foreign one:
                                   as if there were no policy */
    MESH_CORS_ALLOWED = 1,      /* the response says so */
    MESH_CORS_PREFLIGHT = 2,    /* 200 at once, which says so */
    MESH_CORS_REFUSED = 3       /* 200 at once, which names no origin */
} mesh_cors_verdict_e;

typedef struct {
    mesh_cors_verdict_e  verdict;
    mesh_str_t           origin;            /* request's memory */
    mesh_str_t           method;            /* what a preflight asks for */
    mesh_str_t           headers;
    bool                 private_network;
} mesh_cors_t;

mesh_cors_t mesh_cors_decide(const mesh_snapshot_t *s,
    const mesh_rec_cors_t *cors, const mesh_request_t *r);


#define MESH_CORS_HEADERS_MAX   7

typedef struct {
    mesh_str_t           name;
    mesh_str_t           value;
} mesh_cors_header_t;

/*
 * What the response says besides "vary: origin", which it says in any case;
 * each replaces all of its name.  Returns how many.
 */
unsigned mesh_cors_headers(const mesh_snapshot_t *s,
    const mesh_rec_cors_t *cors, const mesh_cors_t *decision,
    mesh_cors_header_t headers[MESH_CORS_HEADERS_MAX]);

/* Does a value of Vary name the origin already, or everything? */
bool mesh_cors_varies(mesh_str_t vary);


#endif /* MESH_CORS_H */
