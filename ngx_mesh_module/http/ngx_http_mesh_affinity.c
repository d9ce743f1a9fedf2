/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Requests that belong together: the hash that a route's policies make of
 * one, the cookie or header that names its endpoint, and those that the
 * answer sets.  A hash only where the route's split or the cluster's balancer
 * asks for one: nobody gets a cookie that decides nothing.
 */

#include "ngx_http_mesh.h"


/*
 * What names the client's connection, so that its requests are given the
 * same cookie, even the streams of HTTP/2 that come at the same time.
 */
static uint64_t
ngx_http_mesh_hash_seed(ngx_connection_t *c)
{
    return mesh_hash64(c->sockaddr, c->socklen) ^ mesh_mix64(c->number);
}


ngx_int_t
ngx_http_mesh_hash_request(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    const mesh_snapshot_t  *s;

    s = ctx->root->snapshot;

    ctx->hash = ngx_palloc(r->pool, sizeof(mesh_hash_result_t));
    if (ctx->hash == NULL) {
        return NGX_ERROR;
    }

    mesh_hash_policies(s, mesh_get(s, ctx->match.route->hash_policies),
                       &ctx->request, ngx_http_mesh_hash_seed(r->connection),
                       ctx->hash);

    return NGX_OK;
}


ngx_int_t
ngx_http_mesh_hash(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    const mesh_rec_cluster_t  *cluster;

    if (ctx->hash || ctx->bind == NULL) {
        return NGX_OK;
    }

    cluster = mesh_get(ctx->root->snapshot, ctx->bind->cluster);

    return mesh_lb_hashes(cluster->lb) ? ngx_http_mesh_hash_request(r, ctx)
                                       : NGX_OK;
}


ngx_int_t
ngx_http_mesh_session(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    const mesh_snapshot_t     *s;
    const mesh_rec_session_t  *rec;

    s = ctx->root->snapshot;
    rec = mesh_get(s, ctx->match.route->session);

    ctx->session = ngx_palloc(r->pool, sizeof(mesh_session_t));
    if (ctx->session == NULL) {
        return NGX_ERROR;
    }

    ctx->session->strict = (rec->flags & MESH_SESSION_STRICT) != 0;
    ctx->session->value = mesh_session_value(s, rec, &ctx->request);

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_set_cookie(ngx_http_request_t *r, mesh_str_t name,
    mesh_str_t value, mesh_str_t attributes)
{
    size_t            len;
    u_char           *p;
    ngx_table_elt_t  *h;

    len = mesh_set_cookie(name, value, attributes, NULL, 0);

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) mesh_set_cookie(name, value, attributes, (char *) p, len);

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "Set-Cookie");
    h->value.data = p;
    h->value.len = len;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_hash_cookies(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    uint32_t                         i;
    mesh_str_t                       value;
    const mesh_snapshot_t           *s;
    const mesh_hash_policy_t        *policy;
    const mesh_rec_hash_policies_t  *policies;

    s = ctx->root->snapshot;
    policies = mesh_get(s, ctx->match.route->hash_policies);

    value.data = ctx->hash->value;
    value.len = MESH_HASH_VALUE_LEN;

    for (i = 0; policies && i < policies->count; i++) {
        policy = &policies->v[i];

        if ((ctx->hash->generated & (UINT32_C(1) << i))
            && ngx_http_mesh_set_cookie(r, mesh_get_str(s, policy->name),
                                        value,
                                        mesh_get_str(s, policy->attributes))
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Only where the client has another one, or none. */
static ngx_int_t
ngx_http_mesh_name_endpoint(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    char                       text[MESH_SESSION_VALUE_MAX];
    mesh_str_t                 value;
    const mesh_snapshot_t     *s;
    const mesh_rec_session_t  *rec;

    s = ctx->root->snapshot;
    rec = mesh_get(s, ctx->match.route->session);

    value.data = text;
    value.len = mesh_lb_session_value(ctx->endpoint, text);

    if (value.len == 0 || mesh_str_eq(value, ctx->session->value)) {
        return NGX_OK;
    }

    if (rec->flags & MESH_SESSION_HEADER) {
        return ngx_http_mesh_response_set(r, mesh_get_str(s, rec->name),
                                          value);
    }

    return ngx_http_mesh_set_cookie(r, mesh_get_str(s, rec->name), value,
                                    mesh_get_str(s, rec->attributes));
}


ngx_int_t
ngx_http_mesh_affinity_headers(ngx_http_request_t *r,
    ngx_http_mesh_ctx_t *ctx)
{
    /* an answer of our own comes from nowhere */

    if (ctx->attempts == 0
        || (ctx->flags & (NGX_HTTP_MESH_UF|NGX_HTTP_MESH_UC|NGX_HTTP_MESH_UT
                          |NGX_HTTP_MESH_UH)))
    {
        return NGX_OK;
    }

    if (ctx->hash && ctx->hash->generated
        && ngx_http_mesh_hash_cookies(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ctx->session ? ngx_http_mesh_name_endpoint(r, ctx) : NGX_OK;
}
