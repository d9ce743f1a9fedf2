/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Redirects of endpoints that are followed inside.
 *
 * When such a response header comes, all that could forbid it is looked at,
 * and where it leads is routed: until then the response may still go to the
 * client.  Then, to nginx, the attempt has failed and another one is made; the
 * moment it asks for an endpoint, this request's upstream is ended, and the
 * request is given to its location's content handler anew.
 *
 * nginx's own internal redirect would look for a location by the new path,
 * which is an endpoint's word: locations that are not meant for clients are
 * none for endpoints either.  The location stays, and the table decides.
 */

#include "ngx_http_mesh_upstream.h"


struct ngx_http_mesh_hop_s {
    mesh_request_t      request;
    mesh_route_match_t  match;
    mesh_str_t          original;       /* URL, of the request before */
    ngx_uint_t          get;            /* without its body */
};


static const char *const  ngx_http_mesh_follow_why[] = {
    [MESH_FOLLOW_HOPS] = "too many hops",
    [MESH_FOLLOW_BODY] = "the request's body is not kept",
    [MESH_FOLLOW_LOCATION] = "its location is no absolute http URL",
    [MESH_FOLLOW_SCHEME] = "its location has another scheme",
};


/* Has all of the body come, and is it there?  nginx has what it buffers. */
static ngx_uint_t
ngx_http_mesh_follow_body(ngx_http_mesh_upstream_t *up)
{
    ngx_http_request_t    *r;
    ngx_http_mesh_kept_t  *kept;

    r = up->request;
    kept = &ngx_http_mesh_carrier(up->ctx)->kept;

    if (r->reading_body || kept->overflow) {
        return 0;
    }

    return kept->complete
           || (!r->request_body_no_buffering && kept->len == 0);
}


/* The location's memory may go with the response. */
static ngx_int_t
ngx_http_mesh_follow_request(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    ngx_http_mesh_hop_t *hop, const mesh_follow_target_t *target)
{
    u_char          *p;
    mesh_request_t  *request;

    request = &hop->request;

    *request = ctx->request;
    request->point = 0;
    request->scheme = target->scheme;
    request->query = target->query;
    request->has_query = target->has_query;

    p = ngx_pnalloc(r->pool, target->authority.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, target->authority.data, target->authority.len);
    request->authority.data = (const char *) p;
    request->authority.len = target->authority.len;

    if (hop->get) {
        request->method = MESH_STR("GET");
        request->method_bit = MESH_METHOD_GET;
    }

    return ngx_http_mesh_request_path(r, request, target->path,
                                      ctx->match.table->flags);
}


/* NGX_OK: the hop is ready; NGX_DECLINED: there is no such route. */
static ngx_int_t
ngx_http_mesh_follow_prepare(ngx_http_mesh_upstream_t *up, ngx_uint_t status,
    const mesh_follow_target_t *target)
{
    ngx_http_request_t   *r;
    ngx_http_mesh_ctx_t  *ctx;
    ngx_http_mesh_hop_t  *hop;

    r = up->request;
    ctx = up->ctx;

    hop = ngx_pcalloc(r->pool, sizeof(ngx_http_mesh_hop_t));
    if (hop == NULL) {
        return NGX_ERROR;
    }

    hop->get = mesh_follow_is_get(status, ctx->request.method_bit);

    if (ngx_http_mesh_request_url(r, &ctx->request, &hop->original) != NGX_OK
        || ngx_http_mesh_follow_request(r, ctx, hop, target) != NGX_OK)
    {
        return NGX_ERROR;
    }

    mesh_route_match(ctx->root->snapshot, ctx->match.table, &hop->request,
                     &hop->match);

    if (hop->match.result != MESH_ROUTED) {
        return NGX_DECLINED;
    }

    ctx->hop = hop;

    return NGX_OK;
}


static void
ngx_http_mesh_follow_count(ngx_http_mesh_ctx_t *ctx, ngx_uint_t followed)
{
    mesh_runtime_t     *rt;
    mesh_route_slot_t  *slot;

    rt = ngx_mesh_runtime();

    if (ctx->route_slot < rt->sizes.routes) {
        slot = &rt->routes[ctx->route_slot];

        mesh_fetch_add(followed ? &slot->internal_redirects
                                : &slot->internal_redirects_refused, 1);
    }
}


ngx_int_t
ngx_http_mesh_follow(ngx_http_mesh_upstream_t *up, ngx_uint_t status)
{
    const char                          *why;
    ngx_table_elt_t                     *location;
    ngx_http_mesh_ctx_t                 *ctx;
    mesh_follow_state_t                  state;
    mesh_follow_target_t                 target;
    mesh_follow_verdict_e                verdict;
    const mesh_rec_internal_redirect_t  *policy;

    ctx = up->ctx;
    policy = mesh_get(ctx->root->snapshot, ctx->match.route->internal_redirect);

    if (policy == NULL) {
        return NGX_DECLINED;
    }

    state.status = (unsigned) status;
    state.hops = (uint32_t) ctx->hops;
    state.body_kept = ngx_http_mesh_follow_body(up);
    state.scheme = ctx->request.scheme;
    state.location = MESH_STR_NULL;

    location = up->upstream->headers_in.location;

    if (location) {
        state.location.len = location->value.len;
        state.location.data = (const char *) location->value.data;
    }

    verdict = mesh_follow_decide(policy, &state, &target);

    if (verdict == MESH_FOLLOW_OTHER) {
        return NGX_DECLINED;
    }

    why = ngx_http_mesh_follow_why[verdict];

    if (verdict == MESH_FOLLOW_YES) {

        if (ngx_http_mesh_follow_prepare(up, status, &target) == NGX_OK) {
            ngx_http_mesh_follow_count(ctx, 1);
            return NGX_OK;
        }

        why = "there is no route for its location";
    }

    ngx_http_mesh_follow_count(ctx, 0);

    ngx_log_error(NGX_LOG_INFO, up->request->connection->log, 0,
                  "redirect of mesh route \"%V\" goes to the client: %s, "
                  "generation %uL", (ngx_str_t *) &ctx->route_name, why,
                  ctx->generation);

    return NGX_DECLINED;
}


/* The next content handler finds a body that nginx has buffered, or none. */
static ngx_int_t
ngx_http_mesh_follow_rewind(ngx_http_mesh_upstream_t *up)
{
    ngx_chain_t           *cl;
    ngx_http_request_t    *r;
    ngx_http_mesh_hop_t   *hop;
    ngx_http_mesh_kept_t  *kept;

    r = up->request;
    hop = up->ctx->hop;
    kept = &ngx_http_mesh_carrier(up->ctx)->kept;

    r->request_body_no_buffering = 0;

    if (hop->get) {
        r->method = NGX_HTTP_GET;
        ngx_str_set(&r->method_name, "GET");
        r->headers_in.content_length_n = -1;
        r->headers_in.content_length = NULL;
        r->headers_in.chunked = 0;
        kept->len = 0;
        kept->complete = 0;

        if (r->request_body) {
            r->request_body->bufs = NULL;
            r->request_body->temp_file = NULL;
        }

        return NGX_OK;
    }

    if (!kept->complete) {
        return NGX_OK;
    }

    if (kept->len == 0) {
        r->request_body->bufs = NULL;
        return NGX_OK;
    }

    cl = ngx_http_mesh_link(r->pool, kept->start, kept->len);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    kept->lent = 1;
    r->request_body->bufs = cl;

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_follow_route(ngx_http_mesh_upstream_t *up)
{
    ngx_http_request_t   *r;
    ngx_http_mesh_ctx_t  *ctx;
    ngx_http_mesh_hop_t  *hop;

    r = up->request;
    ctx = up->ctx;
    hop = ctx->hop;

    if (ngx_http_mesh_follow_rewind(up) != NGX_OK
        || ngx_http_mesh_request_set(r, MESH_STR("x-envoy-original-url"),
                                     hop->original)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_mesh_set_uri(r, (const u_char *) hop->request.path.data,
                          mesh_request_whole_path(&hop->request).len);

    ctx->hop = NULL;
    ctx->hops++;
    ctx->request = hop->request;
    ctx->match = hop->match;

    if (up->deadline.handler) {
        ctx->deadline_at = up->deadline.at;
    }

    return ngx_http_mesh_route_hop(r, ctx);
}


/* As the content phase does it. */
static ngx_int_t
ngx_http_mesh_follow_content(ngx_http_mesh_upstream_t *up)
{
    ngx_int_t                  rc;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = up->request;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    r->content_handler = clcf->handler;

    rc = ngx_http_mesh_follow_route(up);

    return rc == NGX_DECLINED ? r->content_handler(r) : rc;
}


ngx_int_t
ngx_http_mesh_follow_go(ngx_http_mesh_upstream_t *up)
{
    ngx_http_request_t  *r;

    r = up->request;

    /* the state of an attempt that is not made */

    ngx_http_mesh_restore_status(up);
    r->upstream_states->nelts--;

    ngx_http_mesh_upstream_end(r, NGX_DECLINED);

    up->following = 0;
    ngx_http_mesh_upstream_release(up);

    r->write_event_handler = ngx_http_request_empty_handler;

    ngx_http_finalize_request(r, ngx_http_mesh_follow_content(up));

    return NGX_ERROR;
}
