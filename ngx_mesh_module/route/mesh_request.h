/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The one view of a request that routing, access rules, limits and explain
 * read, and that nothing else reads for decisions.
 */

#ifndef MESH_REQUEST_H
#define MESH_REQUEST_H

#include "mesh_base.h"
#include "mesh_format.h"


typedef struct mesh_request_s  mesh_request_t;

/* A place among a request's headers, its callback's own. */
typedef struct {
    const void      *part;
    size_t           index;
} mesh_header_iter_t;

/*
 * The next header of a lower-case name, in the order of the request; a zeroed
 * iterator begins.  true and *value (request's memory), or false if there is
 * none any more.
 */
typedef bool (*mesh_header_pt)(const mesh_request_t *r, mesh_str_t name,
    uint32_t hash, mesh_header_iter_t *iter, mesh_str_t *value);

typedef enum {
    MESH_FOUND_NO = 0,
    MESH_FOUND_YES = 1,
    MESH_FOUND_LIMIT = 2                /* gave up */
} mesh_found_e;

#define MESH_FOUND_GROUPS   10          /* the whole, and \1 to \9 */

/* Looking for a pattern in a text, again and again. */
typedef struct {
    size_t           at;                /* where to begin */
    unsigned         count;             /* how often it was found so far */
    size_t           v[2 * MESH_FOUND_GROUPS];  /* begin and end of groups;
                                                   SIZE_MAX: not there */
} mesh_found_t;

/* What a view asks its maker for, only when a route wants to know. */
typedef struct {
    mesh_header_pt   header;

    /* The client's address, 4 or 16 bytes in network order; false: none. */
    bool           (*address)(const mesh_request_t *r, mesh_str_t *address);

    /*
     * The name that the client's TLS asked for, in lower case; the port that
     * the connection was accepted on, in decimal.  false: none.
     */
    bool           (*sni)(const mesh_request_t *r, mesh_str_t *name);
    bool           (*port)(const mesh_request_t *r, mesh_str_t *port);

    /* The next ticket of a route that takes a share of its requests. */
    uint64_t       (*ticket)(const mesh_request_t *r,
                             const mesh_rec_route_t *route);

    /*
     * Does the whole text match?  The digest is the pattern's.  One that
     * cannot be compiled, or takes too long, matches nothing.
     */
    bool           (*regex)(const mesh_request_t *r,
                            const mesh_digest_t *digest, mesh_str_t pattern,
                            mesh_str_t text);

    /* The first place from found->at on where it matches; of a rewrite. */
    mesh_found_e   (*search)(const mesh_request_t *r,
                             const mesh_digest_t *digest, mesh_str_t pattern,
                             mesh_str_t text, mesh_found_t *found);

    /* NULL but where a random value decides in place of tickets: explain. */
    uint64_t       (*random)(const mesh_request_t *r);
} mesh_request_calls_t;

struct mesh_request_s {
    mesh_str_t       method;            /* as sent */
    uint16_t         method_bit;        /* MESH_METHOD_*, _OTHER if unknown */
    mesh_str_t       scheme;            /* "http", "https" */
    mesh_str_t       authority;         /* as sent, port included */
    mesh_str_t       path;              /* no query; as the table normalises */
    mesh_str_t       query;             /* after "?", without it */
    bool             has_query;         /* "?" was there, and is in memory
                                           between path and query */
    uint32_t         point;             /* in [0, MESH_SHARE_ALL) once it is
                                           drawn; 0 is in every share */
    const mesh_request_calls_t  *calls;
    void            *ctx;               /* of `calls` */
};


/* Path, "?" and query. */
static inline mesh_str_t
mesh_request_whole_path(const mesh_request_t *r)
{
    return (mesh_str_t) { r->path.len + r->has_query + r->query.len,
                          r->path.data };
}

/*
 * Does the query follow the path as mesh_request_whole_path() needs it?  If
 * not, the caller has to put both into one piece of memory.
 */
static inline bool
mesh_request_is_whole(const mesh_request_t *r)
{
    return !r->has_query || r->query.data == r->path.data + r->path.len + 1;
}


/* MESH_METHOD_* of a method's name. */
uint16_t mesh_method_bit(mesh_str_t method);

/*
 * Splits a raw request target into path and query: origin form, absolute
 * form (the authority in it is given back if there is one), "*".  A fragment
 * is cut off.  MESH_ERROR: not a target.
 */
mesh_status_t mesh_request_target(mesh_str_t target, mesh_str_t *path,
    mesh_str_t *query, bool *has_query, mesh_str_t *authority);

/* A header's value without the blanks around it (RFC 9110, 5.5). */
mesh_str_t mesh_header_trim(mesh_str_t value);

/* The next of a value's items, which commas are between; false: no more. */
bool mesh_header_item(mesh_str_t *list, mesh_str_t *item);

/* The authority without ":port", if it has one. */
mesh_str_t mesh_authority_host(mesh_str_t authority);


typedef enum {
    MESH_PATH_SAME = 0,                 /* *out = in */
    MESH_PATH_CHANGED = 1,              /* *out is in `buffer` */
    MESH_PATH_REJECT = 2,               /* 400 */
    MESH_PATH_REDIRECT = 3              /* 307 to *out */
} mesh_path_verdict_e;

/*
 * Normalises a path as a route table's flags say (RFC 3986 section 6.2.2 and
 * Envoy's path_with_escaped_slashes_action, merge_slashes).  `buffer` holds
 * path.len bytes.  Never longer than the input; idempotent.
 * Always rejected: a NUL byte, raw or as %00.
 */
mesh_path_verdict_e mesh_path_normalize(uint32_t flags, mesh_str_t path,
    char *buffer, mesh_str_t *out);


#endif /* MESH_REQUEST_H */
