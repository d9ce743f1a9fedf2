/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The hash that a route's policies make of a request, and the cookies that
 * the answer sets for it.  Only for clusters whose balancer asks for one:
 * nobody gets a cookie that decides nothing.
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
ngx_http_mesh_hash(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    const mesh_snapshot_t           *s;
    const mesh_rec_cluster_t        *cluster;
    const mesh_rec_hash_policies_t  *policies;

    s = ctx->root->snapshot;
    policies = mesh_get(s, ctx->match.route->hash_policies);

    if (policies == NULL || ctx->bind == NULL) {
        return NGX_OK;
    }

    cluster = mesh_get(s, ctx->bind->cluster);

    if (!mesh_lb_hashes(cluster->lb)) {
        return NGX_OK;
    }

    ctx->hash = ngx_palloc(r->pool, sizeof(mesh_hash_result_t));
    if (ctx->hash == NULL) {
        return NGX_ERROR;
    }

    mesh_hash_policies(s, policies, &ctx->request,
                       ngx_http_mesh_hash_seed(r->connection), ctx->hash);

    return NGX_OK;
}


ngx_int_t
ngx_http_mesh_hash_cookies(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    size_t                           len;
    u_char                          *p;
    uint32_t                         i;
    ngx_table_elt_t                 *h;
    const mesh_snapshot_t           *s;
    const mesh_hash_policy_t        *policy;
    const mesh_rec_hash_policies_t  *policies;

    s = ctx->root->snapshot;
    policies = mesh_get(s, ctx->match.route->hash_policies);

    for (i = 0; policies && i < policies->count; i++) {

        if (!(ctx->hash->generated & (UINT32_C(1) << i))) {
            continue;
        }

        policy = &policies->v[i];
        len = mesh_hash_set_cookie(s, policy, ctx->hash, NULL, 0);

        p = ngx_pnalloc(r->pool, len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        (void) mesh_hash_set_cookie(s, policy, ctx->hash, (char *) p, len);

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
    }

    return NGX_OK;
}
