/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Rules of the records that decide where a request goes.
 */

#include "mesh_schema_rules.h"


#define RULE_TABLE_FLAGS                                                      \
    (uint32_t) (MESH_NORMALIZE_RFC3986 | MESH_MERGE_SLASHES                   \
                | MESH_HOST_KEEP_PORT)

#define RULE_METHODS                                                          \
    (MESH_METHOD_GET | MESH_METHOD_HEAD | MESH_METHOD_POST | MESH_METHOD_PUT  \
     | MESH_METHOD_DELETE | MESH_METHOD_CONNECT | MESH_METHOD_OPTIONS         \
     | MESH_METHOD_TRACE | MESH_METHOD_PATCH | MESH_METHOD_OTHER)

#define RULE_ROUTE_FLAGS                                                      \
    (uint32_t) (MESH_ROUTE_SKIP_VHOST_OPS | MESH_ROUTE_IGNORE_CASE            \
                | MESH_ROUTE_GRPC | MESH_ROUTE_ADDRESSES | MESH_ROUTE_SHARE    \
                | MESH_ROUTE_SPLIT_HASH | MESH_ROUTE_TEMPLATE)

#define RULE_RETRY_ON                                                         \
    (uint32_t) (MESH_RETRY_CONNECT_FAILURE | MESH_RETRY_RESET                 \
             | MESH_RETRY_GATEWAY_ERROR | MESH_RETRY_5XX | MESH_RETRY_STATUS  \
             | MESH_RETRY_UNSAFE | MESH_RETRY_GRPC)

#define RULE_CODES_MAX   500            /* 100 .. 599 */


/* Lengths that a lookup tries, longest first; short, as each costs a hash. */
static const char *
rule_lens(const mesh_schema_reader_t *reader, mesh_ref_t ref)
{
    uint32_t                i;
    const mesh_rec_u32s_t  *u;

    if (ref == 0) {
        return NULL;
    }

    u = mesh_rule_get(reader, ref);

    if (u->v[0] > MESH_NAME_MAX || u->count > MESH_NAME_MAX) {
        return "a domain longer than a name may be";
    }

    for (i = 1; i < u->count; i++) {
        if (u->v[i] >= u->v[i - 1]) {
            return "lengths are not in falling order";
        }
    }

    return NULL;
}


const char *
mesh_rule_route_table(const mesh_rec_t *rec,
    const mesh_schema_reader_t *reader)
{
    uint32_t                       slashes;
    const char                    *reason;
    const mesh_rec_route_table_t  *t = (const mesh_rec_route_table_t *) rec;

    if (!mesh_rule_map_of(reader, t->exact, MESH_KIND_VHOST)
        || !mesh_rule_map_of(reader, t->suffix, MESH_KIND_VHOST)
        || !mesh_rule_map_of(reader, t->prefix, MESH_KIND_VHOST))
    {
        return "domains are no map of virtual hosts";
    }

    slashes = (t->flags & MESH_SLASHES_MASK) >> MESH_SLASHES_SHIFT;

    if (t->flags & ~(RULE_TABLE_FLAGS | MESH_SLASHES_MASK)
        || slashes > MESH_SLASHES_UNESCAPE)
    {
        return "unknown flags";
    }

    reason = rule_lens(reader, t->suffix_lens);

    return reason ? reason : rule_lens(reader, t->prefix_lens);
}


/* Indexes of routes; in order, as the first that matches is taken. */
static const char *
rule_others(const mesh_rec_u32s_t *others, uint32_t routes)
{
    uint32_t  i;

    for (i = 0; i < others->count; i++) {
        if (others->v[i] >= routes) {
            return "a route that the virtual host does not have";
        }

        if (i > 0 && others->v[i] <= others->v[i - 1]) {
            return "routes are not in ascending order";
        }
    }

    return NULL;
}


const char *
mesh_rule_vhost(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    uint32_t                 routes;
    const mesh_rec_refs_t   *refs;
    const mesh_rec_trie_t   *trie, *folded;
    const mesh_rec_vhost_t  *v = (const mesh_rec_vhost_t *) rec;

    if (!mesh_rule_refs_of(reader, v->routes, MESH_KIND_ROUTE)) {
        return "routes is no list of routes";
    }

    refs = v->routes ? mesh_rule_get(reader, v->routes) : NULL;
    trie = v->trie ? mesh_rule_get(reader, v->trie) : NULL;
    folded = v->folded ? mesh_rule_get(reader, v->folded) : NULL;
    routes = refs ? refs->count : 0;

    /* A trie's indexes are below its `routes`. */
    if ((trie ? trie->routes : 0) != routes
        || (folded ? folded->routes : routes) != routes)
    {
        return "the trie is over another number of routes";
    }

    if (v->flags != 0) {
        return "unknown flags";
    }

    return v->others ? rule_others(mesh_rule_get(reader, v->others), routes)
                     : NULL;
}


/* --- the trie ----------------------------------------------------------- */

/* What a walk over a trie's nodes has used of each array so far. */
typedef struct {
    const mesh_rec_trie_t  *trie;
    const char             *labels;
    uint32_t                labels_len;
    const uint32_t         *lists;
    uint32_t                lists_count;
    uint64_t                children;
    uint64_t                listed;
} rule_trie_t;


static const char *
rule_trie_label(const rule_trie_t *t, uint32_t i)
{
    const mesh_trie_node_t  *node = &t->trie->v[i];

    if ((uint64_t) node->label + node->label_len > t->labels_len) {
        return "a label is outside the labels";
    }

    if ((i == 0) != (node->label_len == 0)) {
        return "only the first node's label is empty";
    }

    return NULL;
}


/*
 * Children come after their node, so a walk down ends; in all there are no
 * more than nodes, so looking at each from its parent stays linear.
 */
static const char *
rule_trie_children(rule_trie_t *t, uint32_t i)
{
    uint32_t                 n;
    const char              *reason;
    const mesh_trie_node_t  *node, *child;

    node = &t->trie->v[i];

    if (node->children == 0) {
        return NULL;
    }

    t->children += node->children;

    if (node->first_child <= i || t->children >= t->trie->count
        || (uint64_t) node->first_child + node->children > t->trie->count)
    {
        return "children are outside the trie";
    }

    child = &t->trie->v[node->first_child];

    for (n = 0; n < node->children; n++) {
        reason = rule_trie_label(t, node->first_child + n);
        if (reason != NULL) {
            return reason;
        }

        if (n > 0
            && (uint8_t) t->labels[child[n].label]
               <= (uint8_t) t->labels[child[n - 1].label])
        {
            return "children are not in order of their first byte";
        }
    }

    return NULL;
}


static const char *
rule_trie_run(const rule_trie_t *t, const uint32_t *run, uint32_t count)
{
    uint32_t  i;

    for (i = 0; i < count; i++) {
        if (run[i] >= t->trie->routes) {
            return "a route that the virtual host does not have";
        }

        if (i > 0 && run[i] <= run[i - 1]) {
            return "routes of a node are not in ascending order";
        }
    }

    return NULL;
}


static const char *
rule_trie_lists(rule_trie_t *t, const mesh_trie_node_t *node)
{
    uint64_t         n;
    const char      *reason;
    const uint32_t  *run;

    n = (uint64_t) node->prefixes + node->exacts;

    if (n == 0) {
        return NULL;
    }

    t->listed += n;

    if (node->list + n > t->lists_count || t->listed > t->lists_count) {
        return "routes of a node are outside the lists";
    }

    run = t->lists + node->list;
    reason = rule_trie_run(t, run, node->prefixes);

    return reason ? reason
                  : rule_trie_run(t, run + node->prefixes, node->exacts);
}


const char *
mesh_rule_trie(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    uint32_t                  i;
    const char               *reason;
    rule_trie_t               t;
    const mesh_rec_u32s_t    *lists;
    const mesh_rec_string_t  *labels;

    memset(&t, 0, sizeof(t));
    t.trie = (const mesh_rec_trie_t *) rec;

    if (t.trie->count == 0) {
        return "a trie without a node";
    }

    if (t.trie->labels != 0) {
        labels = mesh_rule_get(reader, t.trie->labels);
        t.labels = labels->data;
        t.labels_len = labels->len;
    }

    if (t.trie->lists != 0) {
        lists = mesh_rule_get(reader, t.trie->lists);
        t.lists = lists->v;
        t.lists_count = lists->count;
    }

    for (i = 0; i < t.trie->count; i++) {
        reason = rule_trie_label(&t, i);

        if (reason == NULL) {
            reason = rule_trie_children(&t, i);
        }

        if (reason == NULL) {
            reason = rule_trie_lists(&t, &t.trie->v[i]);
        }

        if (reason != NULL) {
            return reason;
        }
    }

    return NULL;
}


/* --- routes ------------------------------------------------------------- */

/* The record of a route's action is there, and no other action's. */
static const char *
rule_action(const mesh_rec_route_t *r)
{
    if (r->action > MESH_ACTION_DIRECT) {
        return "unknown action";
    }

    if ((r->split != 0) != (r->action == MESH_ACTION_ROUTE)
        || (r->redirect != 0) != (r->action == MESH_ACTION_REDIRECT)
        || (r->direct != 0) != (r->action == MESH_ACTION_DIRECT))
    {
        return "a route has the record of its action and no other";
    }

    if (r->hash_policies != 0 && r->action != MESH_ACTION_ROUTE) {
        return "hash policies of a route that goes nowhere";
    }

    if (r->session != 0 && r->action != MESH_ACTION_ROUTE) {
        return "a session of a route that goes nowhere";
    }

    if ((r->mirrors | r->cors | r->internal_redirect | r->body_limit) != 0
        && r->action != MESH_ACTION_ROUTE)
    {
        return "policies of a route that goes nowhere";
    }

    return NULL;
}


/* What chooses in a split, in place of a ticket. */
static const char *
rule_split_by(const mesh_rec_route_t *r, const mesh_schema_reader_t *reader)
{
    const mesh_rec_string_t  *name;

    if (r->split_header == 0 && !(r->flags & MESH_ROUTE_SPLIT_HASH)) {
        return NULL;
    }

    if (r->action != MESH_ACTION_ROUTE) {
        return "a choice of clusters of a route that goes nowhere";
    }

    if (r->split_header == 0) {
        return NULL;
    }

    if (r->flags & MESH_ROUTE_SPLIT_HASH) {
        return "a split by hash and by a header";
    }

    name = mesh_rule_get(reader, r->split_header);

    return name->len != 0 && name->len <= MESH_HEADER_NAME_MAX
           && mesh_rule_folded(reader, r->split_header)
           ? NULL : "a header's name is empty, too long or not in lower case";
}


/* What the kind of path match wants. */
static const char *
rule_path(const mesh_rec_route_t *r, const mesh_schema_reader_t *reader)
{
    if (r->path_match > MESH_PATH_TEMPLATE) {
        return "unknown path match";
    }

    if ((r->regex != 0) != (r->path_match == MESH_PATH_REGEX)
        || (r->regex != 0
            && ((r->flags & MESH_ROUTE_IGNORE_CASE)
                || !mesh_rule_regex_is(mesh_rule_get(reader, r->regex), 0))))
    {
        return "a regular expression that does not count, or none";
    }

    if (((r->flags & MESH_ROUTE_TEMPLATE) != 0)
        != (r->path_match == MESH_PATH_TEMPLATE)
        || ((r->flags & MESH_ROUTE_TEMPLATE)
            && (r->flags & MESH_ROUTE_IGNORE_CASE)))
    {
        return "a template that does not count, or none";
    }

    if ((r->flags & MESH_ROUTE_IGNORE_CASE)
        && !mesh_rule_folded(reader, r->path))
    {
        return "a path in any case is not in lower case, or too long";
    }

    return NULL;
}


/* A rewrite instead of the fields that do the same. */
static const char *
rule_rewrite_of(const mesh_rec_route_t *r, const mesh_schema_reader_t *reader)
{
    const mesh_rec_rewrite_t  *w;

    if (r->rewrite == 0) {
        return NULL;
    }

    w = mesh_rule_get(reader, r->rewrite);

    if (r->action != MESH_ACTION_ROUTE) {
        return "a rewrite of a route that goes nowhere";
    }

    if ((w->path != MESH_REWRITE_KEEP && r->prefix_rewrite != 0)
        || (w->host != MESH_HOST_KEEP && r->host_rewrite != 0))
    {
        return "two rewrites of the same";
    }

    return w->path == MESH_REWRITE_TEMPLATE
           && r->path_match != MESH_PATH_TEMPLATE
           ? "a rewrite of a template without one" : NULL;
}


const char *
mesh_rule_route(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const char              *reason;
    const mesh_rec_route_t  *r = (const mesh_rec_route_t *) rec;

    if (!mesh_rule_hash(reader, r->name, r->name_hash)) {
        return "name_hash is not the name's";
    }

    if (r->methods & ~RULE_METHODS) {
        return "unknown methods";
    }

    if (r->flags & ~RULE_ROUTE_FLAGS) {
        return "unknown flags";
    }

    reason = rule_path(r, reader);

    if (reason != NULL) {
        return reason;
    }

    if ((r->addresses != 0) != ((r->flags & MESH_ROUTE_ADDRESSES) != 0)) {
        return "addresses that do not count, or none that do";
    }

    reason = mesh_rule_route_share(r, reader);

    if (reason == NULL) {
        reason = rule_action(r);
    }

    if (reason == NULL) {
        reason = rule_split_by(r, reader);
    }

    return reason ? reason : rule_rewrite_of(r, reader);
}


/* A cluster by its name, or by the name of a header. */
static const char *
rule_split_cluster(const mesh_split_entry_t *e,
    const mesh_schema_reader_t *reader)
{
    if (e->flags & ~MESH_SPLIT_HEADER) {
        return "unknown flags";
    }

    if (!mesh_rule_hash(reader, e->subset, e->subset_hash)) {
        return "a hash is not its name's";
    }

    if (!(e->flags & MESH_SPLIT_HEADER)) {
        if (!mesh_rule_hash(reader, e->cluster, e->cluster_hash)) {
            return "a hash is not its name's";
        }

        return e->not_found ? "an answer without use" : NULL;
    }

    if (e->not_found < 400 || e->not_found > 599) {
        return "a header's cluster has no error to answer with";
    }

    return mesh_rule_header_hash(reader, e->cluster, e->cluster_hash)
           ? NULL : "a header's hash is not its name's";
}


const char *
mesh_rule_split(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    uint32_t                   i, upto;
    const char                *reason;
    const mesh_split_entry_t  *e;
    const mesh_rec_split_t    *s = (const mesh_rec_split_t *) rec;

    upto = 0;

    for (i = 0; i < s->count; i++) {
        e = &s->v[i];

        if (e->upto <= upto) {
            return "weights are not in ascending order";
        }

        reason = rule_split_cluster(e, reader);

        if (reason != NULL) {
            return reason;
        }

        upto = e->upto;
    }

    if (s->total == 0) {
        return "a split without weight";
    }

    return upto == s->total ? NULL : "total is not the last weight";
}


const char *
mesh_rule_direct(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const mesh_rec_direct_t  *d = (const mesh_rec_direct_t *) rec;

    (void) reader;

    return d->status < 200 || d->status > 599 ? "status is not 200 to 599"
                                              : NULL;
}


const char *
mesh_rule_retry(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    uint32_t                 i;
    const mesh_rec_u32s_t   *codes;
    const mesh_rec_retry_t  *r = (const mesh_rec_retry_t *) rec;

    if (r->on & ~RULE_RETRY_ON || r->flags != 0) {
        return "unknown flags";
    }

    if (r->codes == 0) {
        return NULL;
    }

    codes = mesh_rule_get(reader, r->codes);

    if (codes->count > RULE_CODES_MAX) {
        return "more codes than there are";
    }

    for (i = 1; i < codes->count; i++) {
        if (codes->v[i] <= codes->v[i - 1]) {
            return "codes are not in ascending order";
        }
    }

    return NULL;
}


/* Names where a policy has one, and attributes where a cookie is set. */
static const char *
rule_hash_policy(const mesh_hash_policy_t *p,
    const mesh_schema_reader_t *reader)
{
    bool  named;

    if (p->from > MESH_HASH_PATH) {
        return "unknown hash policy";
    }

    if (p->flags & ~(MESH_HASH_TERMINAL | MESH_HASH_GENERATE)
        || p->reserved != 0)
    {
        return "unknown flags";
    }

    named = p->from == MESH_HASH_HEADER || p->from == MESH_HASH_COOKIE
            || p->from == MESH_HASH_QUERY;

    if (named != (p->name != 0)) {
        return "a hash policy has a name exactly where it looks by name";
    }

    if (p->from == MESH_HASH_HEADER) {
        if (!mesh_rule_header_hash(reader, p->name, p->hash)) {
            return "a header's hash is not its name's";
        }

    } else if (p->hash != 0) {
        return "a hash of what is no header";
    }

    if ((p->flags & MESH_HASH_GENERATE) && p->from != MESH_HASH_COOKIE) {
        return "only a cookie can be generated";
    }

    if (p->attributes != 0 && !(p->flags & MESH_HASH_GENERATE)) {
        return "attributes of a cookie that is not generated";
    }

    return p->rewrite != 0
           && (p->from != MESH_HASH_HEADER
               || !mesh_rule_regex_alone(reader, p->rewrite))
           ? "only a header is rewritten, by a regular expression" : NULL;
}


const char *
mesh_rule_hash_policies(const mesh_rec_t *rec,
    const mesh_schema_reader_t *reader)
{
    uint32_t                         i;
    const char                      *reason;
    const mesh_rec_hash_policies_t  *h;

    h = (const mesh_rec_hash_policies_t *) rec;

    if (h->reserved != 0) {
        return "a reserved field is not zero";
    }

    if (h->count > MESH_HASH_POLICIES_MAX) {
        return "more than 16 hash policies";
    }

    for (i = 0; i < h->count; i++) {
        reason = rule_hash_policy(&h->v[i], reader);

        if (reason != NULL) {
            return reason;
        }
    }

    return NULL;
}


const char *
mesh_rule_session(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const mesh_rec_session_t  *session = (const mesh_rec_session_t *) rec;

    if (session->flags & ~(MESH_SESSION_STRICT | MESH_SESSION_HEADER)) {
        return "unknown flags";
    }

    if ((session->flags & MESH_SESSION_HEADER) == 0) {
        return session->hash != 0 ? "a hash of what is no header" : NULL;
    }

    if (!mesh_rule_header_hash(reader, session->name, session->hash)) {
        return "a header's hash is not its name's";
    }

    return session->attributes != 0 ? "attributes of a header" : NULL;
}
