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
#include "mesh_substitute.h"


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
 * The same as Envoy does it with a random value: by its remainder, entry
 * after entry.
 */
const mesh_split_entry_t *mesh_split_random(const mesh_rec_split_t *split,
    uint64_t random);

/*
 * By the hash that a route's policies make of a request: the same entry for
 * the same hash, in every split of these weights.  Whose point it is, too.
 */
const mesh_split_entry_t *mesh_split_hash(const mesh_rec_split_t *split,
    uint64_t hash);
uint32_t mesh_split_hash_point(const mesh_rec_split_t *split, uint64_t hash);

/*
 * The number that a request has in a header, for mesh_split_random(), as
 * Envoy reads it: decimal, at most 64 bits.  false: there is no such header,
 * more than one, or it has something else.
 */
bool mesh_split_number(const mesh_request_t *r, mesh_str_t name,
    uint64_t *number);

/*
 * Is a random value in a share, as Envoy says: its remainder of the SHARE's
 * denominator is below the numerator, which share_ppm tells.
 */
bool mesh_share_has(const mesh_snapshot_t *s, mesh_ref_t share, uint32_t ppm,
    uint64_t random);

/*
 * The point in [0, MESH_SHARE_ALL) of a ticket: of 100 consecutive ones, one
 * in each per cent.
 */
uint32_t mesh_share_point(uint64_t ticket, uint32_t salt);


/* Does the path go upstream as another one? */
static inline bool
mesh_route_rewrites(const mesh_rec_route_t *route)
{
    return (route->prefix_rewrite | route->rewrite) != 0;
}

/*
 * The path that goes upstream when the route rewrites it, without the query.
 * Writes at most `size` bytes and returns the whole length (as snprintf; no
 * NUL).  `facts` are for a whole path with substitutions.  One that cannot be
 * made, by a limit of regular expressions or of length, is the request's.
 */
size_t mesh_route_rewrite(const mesh_snapshot_t *s,
    const mesh_rec_route_t *route, const mesh_facts_t *facts, char *out,
    size_t size);

/*
 * What a REWRITE by a regular expression makes of a text, written as
 * mesh_text_t does; `out` is empty before.  false: there is none, by a limit
 * of regular expressions or above MESH_REWRITE_MAX.
 */
bool mesh_rewrite_text(const mesh_snapshot_t *s,
    const mesh_rec_rewrite_t *rewrite, const mesh_request_t *r,
    mesh_str_t text, mesh_text_t *out);

/* The Location of a redirect; same convention. */
size_t mesh_route_location(const mesh_snapshot_t *s,
    const mesh_rec_route_t *route, const mesh_request_t *r, char *out,
    size_t size);

/*
 * The host by a header of the request as it goes out, or made of the path as
 * it came, in the buffer; false: there is none, or it is no host.
 */
bool mesh_route_host(const mesh_snapshot_t *s,
    const mesh_rec_rewrite_t *rewrite, const mesh_request_t *r,
    char buffer[MESH_DOMAIN_MAX], mesh_str_t *host);

/*
 * The cluster of a split's entry: its name, or, of MESH_SPLIT_HEADER, what
 * the request's header has.  Empty: there is no such header.
 */
mesh_str_t mesh_split_by_header(const mesh_snapshot_t *s,
    const mesh_split_entry_t *entry, const mesh_request_t *r, uint32_t *hash);

static inline mesh_str_t
mesh_split_cluster(const mesh_snapshot_t *s, const mesh_split_entry_t *entry,
    const mesh_request_t *r, uint32_t *hash)
{
    if (entry->flags & MESH_SPLIT_HEADER) {
        return mesh_split_by_header(s, entry, r, hash);
    }

    *hash = entry->cluster_hash;

    return mesh_get_str(s, entry->cluster);
}


/*
 * The header operations of a decision in Envoy's order: weighted cluster,
 * route, virtual host.  Fills at most 3 pointers, returns how many.
 */
unsigned mesh_route_header_ops(const mesh_snapshot_t *s,
    const mesh_route_match_t *match, const mesh_split_entry_t *entry,
    bool response, const mesh_rec_header_ops_t *ops[3]);


/*
 * Of each level of operations in turn: what is removed goes first; then all
 * others look at what is there and make their values; then those that replace
 * act, and then those that add.  So none sees what another has done.
 */

/* Does it act, now that such a header is there or not? */
static inline bool
mesh_op_acts(const mesh_header_op_t *op, bool exists)
{
    return op->op == MESH_OP_ADD_IF_ABSENT ? !exists
           : op->op != MESH_OP_OVERWRITE || exists;
}

static inline bool
mesh_op_replaces(const mesh_header_op_t *op)
{
    return op->op == MESH_OP_SET || op->op == MESH_OP_OVERWRITE;
}

/* The FORMAT that makes its value, or NULL: its value is a text. */
static inline const mesh_rec_format_t *
mesh_op_format(const mesh_snapshot_t *s, const mesh_header_op_t *op)
{
    const mesh_rec_t  *value;

    value = mesh_get(s, op->value);

    return value && value->kind == MESH_KIND_FORMAT
           ? (const mesh_rec_format_t *) value : NULL;
}


#endif /* MESH_ROUTE_H */
