/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Deciding where a request goes: virtual host, route, weighted cluster, and
 * what happens to it on the way.  Pure; the worker, `meshctl explain` and the
 * tests link exactly this.
 *
 * Cost: one hash lookup per domain form, one walk down the trie, then the
 * routes that share a path, in Envoy's order: the first in the list that
 * matches wins.
 */

#ifndef MESH_ROUTE_H
#define MESH_ROUTE_H

#include "mesh_base.h"
#include "mesh_format.h"
#include "mesh_request.h"
#include "mesh_snapshot.h"


typedef enum {
    MESH_ROUTED = 0,
    MESH_NO_TABLE = 1,
    MESH_NO_VHOST = 2,
    MESH_NO_ROUTE = 3
} mesh_route_result_e;


/* Pointers into the snapshot; valid while its mapping is held. */
typedef struct {
    mesh_route_result_e             result;
    const mesh_rec_route_table_t   *table;
    const mesh_rec_vhost_t         *vhost;
    const mesh_rec_route_t         *route;
    uint32_t                        index;      /* of route in its vhost */
    uint32_t                        point;      /* if a ticket was drawn */
} mesh_route_match_t;


/* The table of that name in a root's policy, or NULL. */
const mesh_rec_route_table_t *mesh_route_table(const mesh_snapshot_t *s,
    const mesh_rec_root_t *root, mesh_str_t name);

/* The virtual host for an authority, or NULL. */
const mesh_rec_vhost_t *mesh_route_vhost(const mesh_snapshot_t *s,
    const mesh_rec_route_table_t *table, mesh_str_t authority);

/*
 * Virtual host, then the first matching route.
 *
 * A share of the requests is, as in Envoy, a point of the request below the
 * share, and a request has one point for all its routes: of 10 % and behind
 * it 30 %, the second gets 20 %.  The point is drawn when a request has come
 * to the first such route, past all others, by that route's ticket.  So a
 * route that is the first on its way gets its share exactly, node-wide.
 */
void mesh_route_match(const mesh_snapshot_t *s,
    const mesh_rec_route_table_t *table, const mesh_request_t *r,
    mesh_route_match_t *match);


/* Which predicate of a route fails first; for explain. */
typedef enum {
    MESH_PREDICATE_NONE = 0,            /* all hold */
    MESH_PREDICATE_PATH,
    MESH_PREDICATE_METHOD,
    MESH_PREDICATE_MATCH,
    MESH_PREDICATE_GRPC,
    MESH_PREDICATE_ADDRESS,
    MESH_PREDICATE_SHARE
} mesh_predicate_e;

typedef struct {
    mesh_predicate_e             failed;
    const mesh_match_t          *match;         /* PREDICATE_MATCH: which */
} mesh_route_test_t;

/*
 * Tries one route with every predicate, without the trie; shares by r->point,
 * which mesh_route_match() gives back but does not need.
 */
mesh_route_test_t mesh_route_test(const mesh_snapshot_t *s,
    const mesh_rec_route_t *route, const mesh_request_t *r);


/*
 * The entry of a split for a ticket.  Consecutive tickets give each entry its
 * share, in short runs, too, and `salt` (the route's name_hash) keeps splits
 * that see the same tickets from aliasing; mesh_split.c tells how.
 */
const mesh_split_entry_t *mesh_split_pick(const mesh_rec_split_t *split,
    uint64_t ticket, uint32_t salt);

/*
 * The point in [0, MESH_SHARE_ALL) of a ticket: of 100 consecutive ones, one
 * in each per cent.
 */
uint32_t mesh_share_point(uint64_t ticket, uint32_t salt);


/*
 * The path that goes upstream when route->prefix_rewrite is set: the part
 * that matched replaced; the query is not touched.  Writes at most `size`
 * bytes and returns the whole length (as snprintf; no NUL).
 */
size_t mesh_route_rewrite(const mesh_snapshot_t *s,
    const mesh_rec_route_t *route, mesh_str_t path, char *out, size_t size);

/* The Location of a redirect; same convention. */
size_t mesh_route_location(const mesh_snapshot_t *s,
    const mesh_rec_route_t *route, const mesh_request_t *r, char *out,
    size_t size);


/*
 * The header operations of a decision in Envoy's order: weighted cluster,
 * route, virtual host.  Fills at most 3 pointers, returns how many.
 */
unsigned mesh_route_header_ops(const mesh_snapshot_t *s,
    const mesh_route_match_t *match, const mesh_split_entry_t *entry,
    bool response, const mesh_rec_header_ops_t *ops[3]);


#endif /* MESH_ROUTE_H */
