/* SPDX-License-Identifier: Apache-2.0 */

/*
 * mesh_route at work: one decision per request, then what follows from it.
 *
 * It runs in the precontent phase.  nginx's own rewrite, limit and access
 * directives have acted by then, so a request that they refuse draws no
 * ticket and pins no root while, say, auth_request waits; and a content
 * handler can still be chosen, which is how local answers are given: sending
 * from a phase handler and finalizing twice would use freed memory.
 */

#include "ngx_http_mesh.h"


static ngx_int_t ngx_http_mesh_answer_handler(ngx_http_request_t *r);


/* Tickets of routes without a runtime slot: node-wide they cannot be. */
static uint64_t  ngx_http_mesh_route_ticket, ngx_http_mesh_any_share_ticket;


static ngx_int_t
ngx_http_mesh_answer(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    ngx_uint_t status, const char *text)
{
    ctx->answer = status;
    ctx->answer_text.len = ngx_strlen(text);
    ctx->answer_text.data = (u_char *) text;
    ctx->answer_kept = 0;

    r->content_handler = ngx_http_mesh_answer_handler;

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_http_mesh_is_redirect(ngx_uint_t status)
{
    return status == 301 || status == 302 || status == 303 || status == 307
           || status == 308;
}


static ngx_int_t
ngx_http_mesh_send_empty(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    ngx_int_t  rc;

    r->headers_out.status = ctx->answer;
    r->headers_out.content_length_n = 0;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_send_special(r, NGX_HTTP_LAST);
}


static ngx_int_t
ngx_http_mesh_send_redirect(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    ngx_table_elt_t  *location;

    location = ngx_list_push(&r->headers_out.headers);
    if (location == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    location->hash = 1;
    ngx_str_set(&location->key, "Location");
    location->value = ctx->answer_text;
#if (nginx_version >= 1023000)
    location->next = NULL;
#endif

    r->headers_out.location = location;

    return ngx_http_mesh_send_empty(r, ctx);
}


static ngx_int_t
ngx_http_mesh_answer_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_str_t                  type;
    ngx_http_mesh_ctx_t       *ctx;
    ngx_http_complex_value_t   body;
    ngx_http_core_loc_conf_t  *clcf;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ctx = ngx_http_mesh_ctx(r, 1);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_mesh_is_redirect(ctx->answer)) {
        return ngx_http_mesh_send_redirect(r, ctx);
    }

    if (ctx->cors && ctx->cors->verdict >= MESH_CORS_PREFLIGHT) {
        return ngx_http_mesh_send_empty(r, ctx);
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!ctx->answer_kept && clcf->error_pages) {
        return ctx->answer;
    }

    ngx_memzero(&body, sizeof(ngx_http_complex_value_t));
    body.value = ctx->answer_text;
    ngx_str_set(&type, "text/plain");

    return ngx_http_send_response(r, ctx->answer, &type, &body);
}


static ngx_int_t
ngx_http_mesh_not_found(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    const char *what)
{
    ngx_str_t  host;

    ctx->flags |= NGX_HTTP_MESH_NR;

    host.len = ctx->request.authority.len;
    host.data = (u_char *) ctx->request.authority.data;

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "%s for host \"%V\" in mesh generation %uL",
                  what, &host, ctx->generation);

    return ngx_http_mesh_answer(r, ctx, NGX_HTTP_NOT_FOUND, what);
}


/* The table, looked up once per root and location. */
static const mesh_rec_route_table_t *
ngx_http_mesh_table(ngx_http_mesh_ctx_t *ctx, ngx_http_mesh_loc_conf_t *mlcf)
{
    mesh_str_t  name;

    if (mlcf->serial != ctx->root->serial) {
        name.data = (const char *) mlcf->table.data;
        name.len = mlcf->table.len;

        mlcf->found = mesh_route_table(ctx->root->snapshot, ctx->root->root,
                                       name);
        mlcf->serial = ctx->root->serial;
    }

    return mlcf->found;
}


/* Puts texts of the snapshot into one piece of the request's pool. */
static ngx_int_t
ngx_http_mesh_keep_texts(ngx_http_request_t *r, mesh_str_t **texts,
    ngx_uint_t n)
{
    u_char      *p;
    size_t       len;
    ngx_uint_t   i;

    len = 0;

    for (i = 0; i < n; i++) {
        len += texts[i]->len;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        if (texts[i]->len) {
            ngx_memcpy(p, texts[i]->data, texts[i]->len);
            texts[i]->data = (const char *) p;
            p += texts[i]->len;
        }
    }

    return NGX_OK;
}


/*
 * Slots of routes, as found in a root: a worker's cache, since the binding's
 * map and the tag's hash cost more than all else that a known route does.
 */
#define NGX_HTTP_MESH_SLOTS   1024

typedef struct {
    const mesh_rec_route_t  *route;
    uint64_t                 serial;    /* of the root */
    uint64_t                 tag;
    uint32_t                 slot;      /* or MESH_SLOT_NONE */
} ngx_http_mesh_slot_t;

static ngx_http_mesh_slot_t  ngx_http_mesh_slots[NGX_HTTP_MESH_SLOTS];


static void
ngx_http_mesh_slot_find(ngx_http_mesh_ctx_t *ctx,
    const mesh_rec_route_t *route, ngx_http_mesh_slot_t *found)
{
    mesh_str_t                 name;
    const mesh_snapshot_t     *s;
    const mesh_map_entry_t    *entry;
    const mesh_rec_binding_t  *binding;

    s = ctx->root->snapshot;
    name = mesh_get_str(s, route->name);
    binding = mesh_get(s, ctx->root->root->binding);
    entry = mesh_map_find(s, binding->routes, name, route->name_hash);

    found->route = route;
    found->serial = ctx->root->serial;
    found->tag = mesh_runtime_tag(mesh_hash64(name.data, name.len));
    found->slot = entry ? entry->aux : MESH_SLOT_NONE;
}


/* The route's runtime slot, or NULL if it has none. */
static mesh_route_slot_t *
ngx_http_mesh_slot(ngx_http_mesh_ctx_t *ctx, const mesh_rec_route_t *route,
    uint32_t *number)
{
    mesh_route_slot_t     *slot;
    ngx_http_mesh_slot_t  *cell;

    cell = &ngx_http_mesh_slots[route->name_hash % NGX_HTTP_MESH_SLOTS];

    if (cell->route != route || cell->serial != ctx->root->serial) {
        ngx_http_mesh_slot_find(ctx, route, cell);
    }

    slot = mesh_runtime_claim_route(ngx_mesh_runtime(), cell->slot, cell->tag);

    if (slot) {
        *number = cell->slot;
    }

    return slot;
}


/* Of a route that takes a share of the requests, which may not get this. */
uint64_t
ngx_http_mesh_share_ticket(const mesh_request_t *request,
    const mesh_rec_route_t *route)
{
    uint32_t              number;
    mesh_route_slot_t    *slot;
    ngx_http_mesh_ctx_t  *ctx;

    ctx = ngx_http_mesh_ctx((ngx_http_request_t *) request->ctx, 0);
    slot = ngx_http_mesh_slot(ctx, route, &number);

    ctx->share_ticket = mesh_fetch_add(slot ? &slot->share_ticket
                                       : &ngx_http_mesh_any_share_ticket,
                                       1);
    ctx->tickets |= 4;

    return ctx->share_ticket;
}


/*
 * What a request brings along chooses in place of a ticket; few routes ask
 * for that.  NGX_DECLINED: it has nothing.
 */
static __attribute__((noinline)) ngx_int_t
ngx_http_mesh_split_by(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    const mesh_rec_split_t *split)
{
    uint64_t                 number;
    mesh_str_t               name;
    const mesh_rec_route_t  *route;

    route = ctx->match.route;

    if (route->split_header) {
        name = mesh_get_str(ctx->root->snapshot, route->split_header);

        if (!mesh_split_number(&ctx->request, name, &number)) {
            return NGX_DECLINED;
        }

        ctx->entry = mesh_split_random(split, number);

        return NGX_OK;
    }

    if (ngx_http_mesh_hash_request(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!ctx->hash->known) {
        return NGX_DECLINED;
    }

    ctx->entry = mesh_split_hash(split, ctx->hash->hash);

    return NGX_OK;
}


/* Draws a ticket only where it decides something. */
static ngx_int_t
ngx_http_mesh_split(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    mesh_route_slot_t *slot)
{
    ngx_int_t                rc;
    const mesh_rec_route_t  *route;
    const mesh_rec_split_t  *split;

    route = ctx->match.route;
    split = mesh_get(ctx->root->snapshot, route->split);

    if (split->count > 1) {

        if ((route->flags & MESH_ROUTE_SPLIT_HASH) || route->split_header) {
            rc = ngx_http_mesh_split_by(r, ctx, split);

            if (rc != NGX_DECLINED) {
                return rc;
            }
        }

        ctx->route_ticket = mesh_fetch_add(slot ? &slot->ticket
                                               : &ngx_http_mesh_route_ticket,
                                           1);
        ctx->tickets |= 1;
    }

    ctx->entry = mesh_split_pick(split, ctx->route_ticket, route->name_hash);

    return NGX_OK;
}


#define NGX_HTTP_MESH_PATH   1024


/* The path that the route makes of it, without the query; few routes do. */
static __attribute__((noinline)) ngx_int_t
ngx_http_mesh_rewrite(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    ngx_str_t *target, size_t query)
{
    u_char                  *p;
    char                     stack[NGX_HTTP_MESH_PATH];
    size_t                   len;
    mesh_facts_t             facts;
    const mesh_rec_route_t  *route;

    route = ctx->match.route;
    ngx_http_mesh_facts(r, ctx, &facts);

    len = mesh_route_rewrite(ctx->root->snapshot, route, &facts, stack,
                             sizeof(stack));

    p = ngx_pnalloc(r->pool, len + query);
    if (p == NULL) {
        return NGX_ERROR;
    }

    target->data = p;
    target->len = len;

    if (len <= sizeof(stack)) {
        ngx_memcpy(p, stack, len);

    } else {
        (void) mesh_route_rewrite(ctx->root->snapshot, route, &facts,
                                  (char *) p, len);
    }

    return NGX_OK;
}


/*
 * $request_uri may have been read before, and is kept by nginx: a cache's key
 * would take what differs upstream for the same.
 */
void
ngx_http_mesh_set_uri(ngx_http_request_t *r, const u_char *data, size_t len)
{
    ngx_http_mesh_main_conf_t  *mmcf;

    mmcf = ngx_http_get_module_main_conf(r, ngx_http_mesh_module);

    r->unparsed_uri.data = (u_char *) data;
    r->unparsed_uri.len = len;
    r->valid_unparsed_uri = 1;

    r->variables[mmcf->request_uri].valid = 0;
}


/*
 * What goes upstream is what was judged: the path is put into the request if
 * it was normalised or rewritten, or if nginx would send its own reading.
 */
static ngx_int_t
ngx_http_mesh_set_target(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    u_char          *p;
    size_t           query;
    ngx_str_t        target;
    mesh_request_t  *request;

    request = &ctx->request;
    query = request->has_query ? 1 + request->query.len : 0;

    if (mesh_route_rewrites(ctx->match.route)) {

        if (ngx_http_mesh_rewrite(r, ctx, &target, query) != NGX_OK) {
            return NGX_ERROR;
        }

    } else {

        if (r->valid_unparsed_uri
            && request->path.data == (const char *) r->unparsed_uri.data
            && request->path.len + query == r->unparsed_uri.len)
        {
            return NGX_OK;
        }

        target.len = request->path.len;
        target.data = ngx_pnalloc(r->pool, target.len + query);

        if (target.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(target.data, request->path.data, target.len);
    }

    if (query) {
        p = target.data + target.len;
        *p++ = '?';
        ngx_memcpy(p, request->query.data, request->query.len);
    }

    ngx_http_mesh_set_uri(r, target.data, target.len + query);

    return NGX_OK;
}


/*
 * A weighted cluster's own host is the request's from here on, as Envoy has
 * it: operations of route and host read it, and the route may rewrite it.
 */
ngx_int_t
ngx_http_mesh_split_host(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    mesh_str_t  host, *texts[1];

    host = mesh_get_str(ctx->root->snapshot, ctx->entry->host_rewrite);
    texts[0] = &host;

    if (ngx_http_mesh_keep_texts(r, texts, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->request.authority = host;

    if (ctx->match.route->host_rewrite == 0) {
        ctx->host = host;
    }

    return NGX_OK;
}


/* What a REWRITE says of the host; of the request as it goes out. */
static __attribute__((noinline)) ngx_int_t
ngx_http_mesh_rewrite_host(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    char                       made[MESH_DOMAIN_MAX];
    mesh_str_t                 host, *texts[1];
    const mesh_rec_rewrite_t  *rewrite;

    rewrite = mesh_get(ctx->root->snapshot, ctx->match.route->rewrite);

    if (mesh_route_host(ctx->root->snapshot, rewrite, &ctx->request, made,
                        &host))
    {
        texts[0] = &host;

        if (rewrite->host == MESH_HOST_PATH
            && ngx_http_mesh_keep_texts(r, texts, 1) != NGX_OK)
        {
            return NGX_ERROR;
        }

        ctx->host = host;
    }

    ctx->host_follows = rewrite->host == MESH_HOST_ENDPOINT;
    ctx->host_forwards = (rewrite->flags & MESH_REWRITE_FORWARD_HOST) != 0;

    host = ctx->request.authority;

    if (ctx->host_forwards && !ctx->host_follows && host.len
        && !mesh_str_eq(ctx->host, host))
    {
        return ngx_http_mesh_forward_host(r, host);
    }

    return NGX_OK;
}


/*
 * Bindings of clusters, as found in a root, by the text that names them: the
 * same text in the same root is the same cluster.
 */
#define NGX_HTTP_MESH_BINDS   1024

typedef struct {
    uint64_t                        serial;     /* of the root */
    mesh_ref_t                      name;
    const mesh_rec_bind_cluster_t  *bind;       /* NULL: there is none */
} ngx_http_mesh_bind_t;

static ngx_http_mesh_bind_t  ngx_http_mesh_binds[NGX_HTTP_MESH_BINDS];


static ngx_inline const mesh_rec_bind_cluster_t *
ngx_http_mesh_bind(ngx_mesh_root_t *root, mesh_ref_t name, uint32_t hash)
{
    ngx_http_mesh_bind_t  *cell;

    cell = &ngx_http_mesh_binds[hash % NGX_HTTP_MESH_BINDS];

    if (cell->serial != root->serial || cell->name != name) {
        cell->serial = root->serial;
        cell->name = name;
        cell->bind = mesh_cluster_bind(root->snapshot, root->root,
                                       mesh_get_str(root->snapshot, name),
                                       hash);
    }

    return cell->bind;
}


const mesh_rec_bind_cluster_t *
ngx_http_mesh_bound(ngx_mesh_root_t *root, mesh_ref_t name, uint32_t hash)
{
    return ngx_http_mesh_bind(root, name, hash);
}


/*
 * The cluster decides which of the location's two content handlers acts.  It
 * is found here, where the split has just named it, and peer.init goes on
 * from its binding: one lookup a request, and no view that waits while a body
 * is read.  A cluster that is missing is peer.init's to refuse.
 */
static ngx_int_t
ngx_http_mesh_protocol(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    ngx_http_mesh_loc_conf_t  *mlcf;
    const mesh_rec_cluster_t  *cluster;

    /* A header's cluster is the one lookup by name that a request pays. */

    ctx->bind = (ctx->entry->flags & MESH_SPLIT_HEADER)
                ? mesh_cluster_bind(ctx->root->snapshot, ctx->root->root,
                                    ctx->cluster_name, ctx->cluster_hash)
                : ngx_http_mesh_bind(ctx->root, ctx->entry->cluster,
                                     ctx->cluster_hash);

    if (ctx->bind == NULL) {
        return NGX_OK;
    }

    cluster = mesh_get(ctx->root->snapshot, ctx->bind->cluster);

    if (!(cluster->flags & MESH_CLUSTER_HTTP2)) {
        return NGX_OK;
    }

    mlcf = ngx_http_get_module_loc_conf(r, ngx_http_mesh_module);

    if (mlcf->http2 == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "mesh cluster \"%V\" speaks HTTP/2, but this nginx has "
                      "no grpc module", (ngx_str_t *) &ctx->cluster_name);
        return NGX_DECLINED;
    }

    r->content_handler = mlcf->http2;

    return NGX_OK;
}


/* A header names no cluster, or one that there is not. */
static __attribute__((noinline)) ngx_int_t
ngx_http_mesh_no_cluster(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    ctx->flags |= NGX_HTTP_MESH_NC;

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "a header asks for mesh cluster \"%V\", which is not in "
                  "generation %uL",
                  (ngx_str_t *) &ctx->cluster_name, ctx->generation);

    return ngx_http_mesh_answer(r, ctx, ctx->entry->not_found,
                                "no such cluster");
}


/*
 * What of a route's policies comes before it draws tickets.  NGX_OK: it goes
 * on; else the phase's result.
 */
static ngx_int_t
ngx_http_mesh_admit(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    ngx_int_t                rc;
    mesh_str_t              *texts[1];
    const mesh_rec_route_t  *route;

    route = ctx->match.route;
    rc = NGX_OK;

    if (route->cors) {
        rc = ngx_http_mesh_cors(r, ctx);
    }

    ctx->body_limit = route->body_limit;

    if (rc == NGX_OK
        && route->body_limit
        && r->headers_in.content_length_n > (off_t) route->body_limit)
    {
        rc = NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    texts[0] = &ctx->route_name;

    if (rc == NGX_ERROR || ngx_http_mesh_keep_texts(r, texts, 1) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc != NGX_DONE) {
        return rc;
    }

    (void) ngx_http_mesh_answer(r, ctx, NGX_HTTP_OK, "");
    ctx->answer_kept = 1;

    return NGX_DECLINED;
}


/* Where it goes, by names that outlive this root. */
static inline ngx_int_t
ngx_http_mesh_names(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    mesh_str_t              *texts[4];
    const mesh_snapshot_t   *s;
    const mesh_rec_route_t  *route;

    s = ctx->root->snapshot;
    route = ctx->match.route;

    ctx->cluster_name = mesh_split_cluster(s, ctx->entry, &ctx->request,
                                           &ctx->cluster_hash);
    ctx->subset_name = mesh_get_str(s, ctx->entry->subset);
    ctx->subset_hash = ctx->entry->subset_hash;
    ctx->host = MESH_STR_NULL;

    if (route->host_rewrite) {
        ctx->host = mesh_get_str(s, route->host_rewrite);
    }

    texts[0] = &ctx->route_name;
    texts[1] = &ctx->cluster_name;
    texts[2] = &ctx->subset_name;
    texts[3] = &ctx->host;

    if (ngx_http_mesh_keep_texts(r, texts, 4) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->host.len == 0) {
        /* HTTP/1.0 without Host: an endpoint needs some */
        ctx->host = ctx->request.authority.len ? ctx->request.authority
                                               : ctx->cluster_name;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_forward(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    mesh_route_slot_t *slot)
{
    ngx_int_t                rc;
    const mesh_rec_route_t  *route;

    route = ctx->match.route;

    if (route->cors | route->body_limit) {
        rc = ngx_http_mesh_admit(r, ctx);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (ngx_http_mesh_split(r, ctx, slot) != NGX_OK
        || ngx_http_mesh_names(r, ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_mesh_protocol(r, ctx) != NGX_OK) {
        return ngx_http_mesh_answer(r, ctx, NGX_HTTP_NOT_IMPLEMENTED,
                                    "no grpc module in this nginx");
    }

    if (ctx->bind == NULL && (ctx->entry->flags & MESH_SPLIT_HEADER)) {
        return ngx_http_mesh_no_cluster(r, ctx);
    }

    ctx->retry = mesh_get(ctx->root->snapshot, route->retry);
    ctx->timeout_ms = route->timeout_ms;
    ctx->idle_timeout_ms = route->idle_timeout_ms;

    /* Of the client's headers, before operations change them. */

    if ((route->hash_policies && ngx_http_mesh_hash(r, ctx) != NGX_OK)
        || (route->session && ngx_http_mesh_session(r, ctx) != NGX_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_mesh_request_ops(r, ctx) != NGX_OK
        || (route->rewrite && ngx_http_mesh_rewrite_host(r, ctx) != NGX_OK)
        || ngx_http_mesh_set_target(r, ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_mesh_redirect(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    u_char                     *p;
    size_t                      len;
    mesh_str_t                 *texts[1];
    const mesh_snapshot_t      *s;
    const mesh_rec_route_t     *route;
    const mesh_rec_redirect_t  *redirect;

    s = ctx->root->snapshot;
    route = ctx->match.route;
    redirect = mesh_get(s, route->redirect);

    len = mesh_route_location(s, route, &ctx->request, NULL, 0);

    texts[0] = &ctx->route_name;
    p = ngx_pnalloc(r->pool, len);

    if (p == NULL || ngx_http_mesh_keep_texts(r, texts, 1) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) mesh_route_location(s, route, &ctx->request, (char *) p, len);

    (void) ngx_http_mesh_answer(r, ctx, redirect->status, "");
    ctx->answer_text.data = p;
    ctx->answer_text.len = len;

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_mesh_direct(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    mesh_str_t                body, *texts[2];
    const mesh_snapshot_t    *s;
    const mesh_rec_direct_t  *direct;

    s = ctx->root->snapshot;
    direct = mesh_get(s, ctx->match.route->direct);
    body = mesh_get_str(s, direct->body);

    texts[0] = &ctx->route_name;
    texts[1] = &body;

    if (ngx_http_mesh_keep_texts(r, texts, 2) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) ngx_http_mesh_answer(r, ctx, direct->status, "");
    ctx->answer_text.data = (u_char *) body.data;
    ctx->answer_text.len = body.len;
    ctx->answer_kept = 1;

    return NGX_DECLINED;
}


/*
 * 307 to the unescaped path.  Absolute, because "//host" after a slash that
 * was escaped would lead elsewhere.
 */
static ngx_int_t
ngx_http_mesh_unescaped(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    mesh_str_t  url;

    if (ngx_http_mesh_request_url(r, &ctx->request, &url) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) ngx_http_mesh_answer(r, ctx, NGX_HTTP_TEMPORARY_REDIRECT, "");
    ctx->answer_text.data = (u_char *) url.data;
    ctx->answer_text.len = url.len;

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_mesh_act(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    mesh_route_slot_t  *slot;

    ctx->route_name = mesh_get_str(ctx->root->snapshot,
                                   ctx->match.route->name);
    slot = ngx_http_mesh_slot(ctx, ctx->match.route, &ctx->route_slot);

    switch (ctx->match.route->action) {

    case MESH_ACTION_REDIRECT:
        return ngx_http_mesh_redirect(r, ctx);

    case MESH_ACTION_DIRECT:
        return ngx_http_mesh_direct(r, ctx);

    default:
        return ngx_http_mesh_forward(r, ctx, slot);
    }
}


static ngx_int_t
ngx_http_mesh_decide(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    const mesh_rec_route_table_t *table)
{
    mesh_route_match(ctx->root->snapshot, table, &ctx->request, &ctx->match);

    if (ctx->match.result == MESH_NO_VHOST) {
        return ngx_http_mesh_not_found(r, ctx, "no virtual host");
    }

    if (ctx->match.result != MESH_ROUTED) {
        return ngx_http_mesh_not_found(r, ctx, "no route");
    }

    return ngx_http_mesh_act(r, ctx);
}


static void
ngx_http_mesh_forget(ngx_http_mesh_ctx_t *ctx)
{
    ctx->answer = 0;
    ctx->entry = NULL;
    ctx->bind = NULL;
    ctx->hash = NULL;
    ctx->session = NULL;
    ctx->cors = NULL;
    ctx->body_limit = 0;
    ctx->host_follows = 0;
    ctx->cluster_name = MESH_STR_NULL;
}


ngx_int_t
ngx_http_mesh_route_hop(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    ngx_http_mesh_forget(ctx);

    return ngx_http_mesh_act(r, ctx);
}


ngx_int_t
ngx_http_mesh_route_handler(ngx_http_request_t *r)
{
    ngx_int_t                      rc;
    ngx_http_mesh_ctx_t           *ctx;
    ngx_http_mesh_loc_conf_t      *mlcf;
    const mesh_rec_route_table_t  *table;

    mlcf = ngx_http_get_module_loc_conf(r, ngx_http_mesh_module);

    if (!mlcf->route) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_mesh_ctx(r, 1);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* An internal redirect may come here again, and is decided anew. */

    ctx->routed = 1;
    ngx_http_mesh_forget(ctx);
    ngx_memzero(&ctx->match, sizeof(mesh_route_match_t));

    if (ngx_http_mesh_pin(r, ctx) != NGX_OK) {
        ctx->flags |= NGX_HTTP_MESH_NM;

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "no mesh configuration: %s", ngx_mesh_no_root());

        return ngx_http_mesh_answer(r, ctx, NGX_HTTP_SERVICE_UNAVAILABLE,
                                    ngx_mesh_no_root());
    }

    table = ngx_http_mesh_table(ctx, mlcf);

    rc = ngx_http_mesh_request(r, ctx, table ? table->flags : 0);

    if (rc == NGX_HTTP_BAD_REQUEST) {
        return ngx_http_mesh_answer(r, ctx, NGX_HTTP_BAD_REQUEST,
                                    "path not allowed");
    }

    if (rc == NGX_HTTP_TEMPORARY_REDIRECT) {
        return ngx_http_mesh_unescaped(r, ctx);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (table == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "no route table \"%V\" in mesh generation %uL",
                      &mlcf->table, ctx->generation);

        return ngx_http_mesh_not_found(r, ctx, "no route table");
    }

    return ngx_http_mesh_decide(r, ctx, table);
}
