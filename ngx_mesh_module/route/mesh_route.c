/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Virtual host by authority, route by path, method and headers.
 */

#include "mesh_match.h"
#include "mesh_route.h"
#include "mesh_template.h"


const mesh_rec_route_table_t *
mesh_route_table(const mesh_snapshot_t *s, const mesh_rec_root_t *root,
    mesh_str_t name)
{
    const mesh_map_entry_t   *entry;
    const mesh_rec_policy_t  *policy;

    policy = mesh_get(s, root->policy);

    entry = mesh_map_find(s, policy->route_tables, name,
                          mesh_hash32(name.data, name.len));

    return entry ? mesh_get(s, entry->value) : NULL;
}


static const mesh_rec_vhost_t *
mesh_vhost_find(const mesh_snapshot_t *s, mesh_ref_t map, mesh_str_t domain)
{
    const mesh_map_entry_t  *entry;

    entry = mesh_map_find(s, map, domain,
                          mesh_hash32(domain.data, domain.len));

    return entry ? mesh_get(s, entry->value) : NULL;
}


/*
 * The longest wildcard: `host` is in lower case and as much of the real one
 * as a domain may be long; `len` is the real length.  The asterisk stands for
 * at least one byte.
 */
static const mesh_rec_vhost_t *
mesh_vhost_wildcard(const mesh_snapshot_t *s, mesh_ref_t map, mesh_ref_t lens,
    mesh_str_t host, size_t len, bool suffix)
{
    uint32_t                 i, n;
    mesh_str_t               part;
    const mesh_rec_vhost_t  *vhost;
    const mesh_rec_u32s_t   *u32s;

    if (map == 0 || lens == 0) {
        return NULL;
    }

    u32s = mesh_get(s, lens);

    for (i = 0; i < u32s->count; i++) {
        n = u32s->v[i];

        if (n >= len || n > host.len) {
            continue;
        }

        part = (mesh_str_t) { n, host.data + (suffix ? host.len - n : 0) };
        vhost = mesh_vhost_find(s, map, part);

        if (vhost) {
            return vhost;
        }
    }

    return NULL;
}


const mesh_rec_vhost_t *
mesh_route_vhost(const mesh_snapshot_t *s,
    const mesh_rec_route_table_t *table, mesh_str_t authority)
{
    size_t                   cut;
    char                     head_buffer[MESH_DOMAIN_MAX];
    char                     tail_buffer[MESH_DOMAIN_MAX];
    mesh_str_t               host, head, tail;
    const mesh_rec_vhost_t  *vhost;

    /* A trailing dot stays: "a.b." is not "a.b" to Envoy, either. */

    host = authority;

    if ((table->flags & MESH_HOST_KEEP_PORT) == 0) {
        host = mesh_authority_host(host);
    }

    head = (mesh_str_t) { mesh_min(host.len, MESH_DOMAIN_MAX), host.data };
    head = mesh_str_lower(head, head_buffer);
    tail = head;

    if (host.len > MESH_DOMAIN_MAX) {
        cut = host.len - MESH_DOMAIN_MAX;
        tail = (mesh_str_t) { MESH_DOMAIN_MAX, host.data + cut };
        tail = mesh_str_lower(tail, tail_buffer);

    } else {
        vhost = mesh_vhost_find(s, table->exact, head);

        if (vhost) {
            return vhost;
        }
    }

    vhost = mesh_vhost_wildcard(s, table->suffix, table->suffix_lens, tail,
                                host.len, true);

    if (vhost == NULL) {
        vhost = mesh_vhost_wildcard(s, table->prefix, table->prefix_lens,
                                    head, host.len, false);
    }

    return vhost ? vhost : mesh_get(s, table->any);
}


#define MESH_ROUTE_MORE                                                       \
    (MESH_ROUTE_GRPC | MESH_ROUTE_ADDRESSES | MESH_ROUTE_SHARE                \
     | MESH_ROUTE_TEMPLATE)


/* What few routes ask. */
static __attribute__((noinline)) mesh_predicate_e
mesh_route_test_more(const mesh_snapshot_t *s, const mesh_rec_route_t *route,
    const mesh_request_t *r)
{
    if ((route->flags & MESH_ROUTE_TEMPLATE)
        && !mesh_template_match(mesh_get_str(s, route->path), r->path, NULL))
    {
        /* A trie knows what it begins with. */
        return MESH_PREDICATE_PATH;
    }

    if ((route->flags & MESH_ROUTE_GRPC) && !mesh_match_grpc(r)) {
        return MESH_PREDICATE_GRPC;
    }

    if ((route->flags & MESH_ROUTE_ADDRESSES)
        && !mesh_match_addresses(mesh_get(s, route->addresses), r))
    {
        return MESH_PREDICATE_ADDRESS;
    }

    if ((route->flags & MESH_ROUTE_SHARE)
        && (r->calls->random ? !mesh_share_has(s, route->share,
                                               route->share_ppm,
                                               r->calls->random(r))
                             : r->point >= route->share_ppm))
    {
        return MESH_PREDICATE_SHARE;
    }

    return MESH_PREDICATE_NONE;
}


/* Everything but the path. */
static mesh_route_test_t
mesh_route_test_rest(const mesh_snapshot_t *s, const mesh_rec_route_t *route,
    const mesh_request_t *r)
{
    uint32_t                   i;
    const mesh_rec_matches_t  *matches;

    if (route->methods && (route->methods & r->method_bit) == 0) {
        return (mesh_route_test_t) { MESH_PREDICATE_METHOD, NULL };
    }

    matches = mesh_get(s, route->matches);

    for (i = 0; matches && i < matches->count; i++) {
        if (!mesh_match_test(s, &matches->v[i], r)) {
            return (mesh_route_test_t) { MESH_PREDICATE_MATCH,
                                         &matches->v[i] };
        }
    }

    if (route->flags & MESH_ROUTE_MORE) {
        return (mesh_route_test_t) { mesh_route_test_more(s, route, r), NULL };
    }

    return (mesh_route_test_t) { MESH_PREDICATE_NONE, NULL };
}


static bool
mesh_route_path_test(const mesh_snapshot_t *s, const mesh_rec_route_t *route,
    const mesh_request_t *r)
{
    bool        starts;
    mesh_str_t  path, want;

    path = r->path;
    want = mesh_get_str(s, route->path);

    starts = route->flags & MESH_ROUTE_IGNORE_CASE
             ? mesh_str_starts_folded(path, want)
             : mesh_str_starts(path, want);

    switch (route->path_match) {

    case MESH_PATH_EXACT:
        return starts && path.len == want.len;

    case MESH_PATH_SEPARATED:
        return starts && (path.len == want.len || path.data[want.len] == '/');

    case MESH_PATH_REGEX:
        return mesh_match_regex(s, route->regex, r, path);

    case MESH_PATH_TEMPLATE:
        return true;                    /* mesh_route_test_more()'s */

    default: /* MESH_PATH_PREFIX */
        /* "/" is everything, so that "*" of OPTIONS has a route, too. */
        return starts || mesh_str_eq(want, MESH_STR("/"));
    }
}


mesh_route_test_t
mesh_route_test(const mesh_snapshot_t *s, const mesh_rec_route_t *route,
    const mesh_request_t *r)
{
    if (!mesh_route_path_test(s, route, r)) {
        return (mesh_route_test_t) { MESH_PREDICATE_PATH, NULL };
    }

    return mesh_route_test_rest(s, route, r);
}


/* What a walk down the trie carries along. */
typedef struct {
    const mesh_snapshot_t    *snapshot;
    const mesh_request_t     *request;
    const mesh_rec_refs_t    *routes;
    const mesh_rec_trie_t    *trie;
    const mesh_rec_u32s_t    *lists;
    mesh_str_t                labels;
    uint32_t                  best;         /* smallest index that matches */
} mesh_walk_t;


/* Ascending indexes: the first that matches is the only one of the run. */
static void
mesh_walk_run(mesh_walk_t *walk, uint32_t list, uint32_t count)
{
    uint32_t                 i, index;
    mesh_route_test_t        test;
    const mesh_rec_route_t  *route;

    for (i = 0; i < count; i++) {
        index = walk->lists->v[list + i];

        if (index >= walk->best) {
            return;
        }

        route = mesh_get(walk->snapshot, walk->routes->v[index]);
        test = mesh_route_test_rest(walk->snapshot, route, walk->request);

        if (test.failed == MESH_PREDICATE_NONE) {
            walk->best = index;
            return;
        }
    }
}


/* The child whose label the rest of the path begins with, or NULL. */
static const mesh_trie_node_t *
mesh_walk_child(const mesh_walk_t *walk, const mesh_trie_node_t *node,
    mesh_str_t rest)
{
    uint8_t                  first;
    uint32_t                 low, high, middle;
    mesh_str_t               label;
    const mesh_trie_node_t  *child;

    if (rest.len == 0) {
        return NULL;
    }

    low = 0;
    high = node->children;

    while (low < high) {
        middle = (low + high) / 2;
        child = &walk->trie->v[node->first_child + middle];
        first = (uint8_t) walk->labels.data[child->label];

        if (first == (uint8_t) rest.data[0]) {
            label = (mesh_str_t) { child->label_len,
                                   walk->labels.data + child->label };
            return mesh_str_starts(rest, label) ? child : NULL;
        }

        if (first < (uint8_t) rest.data[0]) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    return NULL;
}


static void
mesh_walk(mesh_walk_t *walk, mesh_ref_t trie, mesh_str_t path)
{
    mesh_str_t               rest;
    const mesh_trie_node_t  *node;

    walk->trie = mesh_get(walk->snapshot, trie);
    walk->lists = mesh_get(walk->snapshot, walk->trie->lists);
    walk->labels = mesh_get_str(walk->snapshot, walk->trie->labels);

    rest = path;

    for (node = &walk->trie->v[0];
         node != NULL;
         node = mesh_walk_child(walk, node, rest))
    {
        rest.data += node->label_len;
        rest.len -= node->label_len;

        if (node->prefixes) {
            mesh_walk_run(walk, node->list, node->prefixes);
        }

        if (rest.len == 0 && node->exacts) {
            mesh_walk_run(walk, node->list + node->prefixes, node->exacts);
        }
    }
}


/*
 * In a trie in lower case.  One byte more than the longest path in it has is
 * enough of the request's to tell whether it is that path or goes on.
 */
static __attribute__((noinline)) void
mesh_walk_folded(mesh_walk_t *walk, mesh_ref_t trie, mesh_str_t path)
{
    char  buffer[MESH_FOLDED_MAX + 2];

    path.len = mesh_min(path.len, sizeof(buffer));

    mesh_walk(walk, trie, mesh_str_lower(path, buffer));
}


/* Routes that no trie can find, in their places before the best so far. */
static __attribute__((noinline)) void
mesh_walk_others(mesh_walk_t *walk, const mesh_rec_u32s_t *others)
{
    uint32_t                 i;
    mesh_route_test_t        test;
    const mesh_rec_route_t  *route;

    for (i = 0; i < others->count && others->v[i] < walk->best; i++) {
        route = mesh_get(walk->snapshot, walk->routes->v[others->v[i]]);

        /* What is cheap comes first. */
        test = mesh_route_test_rest(walk->snapshot, route, walk->request);

        if (test.failed == MESH_PREDICATE_NONE
            && mesh_route_path_test(walk->snapshot, route, walk->request))
        {
            walk->best = others->v[i];
        }
    }
}


static uint32_t
mesh_route_find(const mesh_snapshot_t *s, const mesh_rec_vhost_t *vhost,
    const mesh_request_t *r)
{
    mesh_walk_t  walk;

    if (vhost->routes == 0 || vhost->trie == 0) {
        return UINT32_MAX;
    }

    walk.snapshot = s;
    walk.request = r;
    walk.routes = mesh_get(s, vhost->routes);
    walk.best = UINT32_MAX;

    mesh_walk(&walk, vhost->trie, r->path);

    if (vhost->folded) {
        mesh_walk_folded(&walk, vhost->folded, r->path);
    }

    if (vhost->others) {
        mesh_walk_others(&walk, mesh_get(s, vhost->others));
    }

    return walk.best;
}


static void
mesh_route_take(const mesh_snapshot_t *s, mesh_route_match_t *match,
    uint32_t index)
{
    const mesh_rec_refs_t  *routes;

    match->index = index;

    if (index == UINT32_MAX) {
        match->route = NULL;
        match->result = MESH_NO_ROUTE;
        return;
    }

    routes = mesh_get(s, match->vhost->routes);
    match->route = mesh_get(s, routes->v[index]);
    match->result = MESH_ROUTED;
}


/*
 * The first route takes a share of the requests.  All before it were passed
 * over for other reasons, and if this request is not in its share, the point
 * decides about the ones behind it, too.
 */
static __attribute__((noinline)) void
mesh_route_draw(const mesh_snapshot_t *s, mesh_route_match_t *match,
    const mesh_request_t *r)
{
    uint64_t         ticket;
    mesh_request_t   drawn;

    ticket = r->calls->ticket(r, match->route);
    match->point = mesh_share_point(ticket, match->route->name_hash);

    if (match->point < match->route->share_ppm) {
        return;
    }

    drawn = *r;
    drawn.point = match->point;

    mesh_route_take(s, match, mesh_route_find(s, match->vhost, &drawn));
}


void
mesh_route_match(const mesh_snapshot_t *s,
    const mesh_rec_route_table_t *table, const mesh_request_t *r,
    mesh_route_match_t *match)
{
    memset(match, 0, sizeof(mesh_route_match_t));

    if (table == NULL) {
        match->result = MESH_NO_TABLE;
        return;
    }

    match->table = table;
    match->vhost = mesh_route_vhost(s, table, r->authority);

    if (match->vhost == NULL) {
        match->result = MESH_NO_VHOST;
        return;
    }

    mesh_route_take(s, match, mesh_route_find(s, match->vhost, r));

    if (match->route && (match->route->flags & MESH_ROUTE_SHARE)
        && r->calls->random == NULL)
    {
        mesh_route_draw(s, match, r);
    }
}


unsigned
mesh_route_header_ops(const mesh_snapshot_t *s,
    const mesh_route_match_t *match, const mesh_split_entry_t *entry,
    bool response, const mesh_rec_header_ops_t *ops[3])
{
    unsigned    i, n;
    mesh_ref_t  refs[3];

    refs[0] = entry == NULL ? 0
              : response ? entry->response_ops : entry->request_ops;
    refs[1] = response ? match->route->response_ops
                       : match->route->request_ops;
    refs[2] = response ? match->vhost->response_ops
                       : match->vhost->request_ops;
    n = 0;

    if ((refs[0] | refs[1] | refs[2]) == 0) {
        return 0;
    }

    for (i = 0; i < 3; i++) {
        if (refs[i]) {
            ops[n++] = mesh_get(s, refs[i]);
        }
    }

    return n;
}
