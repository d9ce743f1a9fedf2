/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A host that follows the endpoint.  nginx writes the request's header before
 * it asks for an endpoint, and keeps it for retries.  So the header is made
 * once more, by the same module, when an endpoint of another name is picked;
 * of what comes out, nothing but the header is taken.
 */

#include "ngx_http_mesh_upstream.h"


static ngx_int_t
ngx_http_mesh_header_again(ngx_http_mesh_upstream_t *up)
{
    ngx_int_t                  rc;
    unsigned                   no_buffering;
    ngx_chain_t               *bufs;
    ngx_http_request_t        *r;
    ngx_http_upstream_t       *u;
    ngx_output_chain_ctx_t     output;
    ngx_http_mesh_loc_conf_t  *mlcf;

    r = up->request;
    u = up->upstream;

    /* A resumed body has changed what these look like. */

    bufs = u->request_bufs;
    output = u->output;
    no_buffering = r->request_body_no_buffering;

    u->request_bufs = up->body;
    r->request_body_no_buffering = up->no_buffering;

    rc = u->create_request(r);

    if (rc == NGX_OK && r->headers_in.upgrade) {
        mlcf = ngx_http_get_module_loc_conf(r, ngx_http_mesh_module);
        rc = ngx_http_mesh_upgrade(r, mlcf->own);
    }

    if (rc == NGX_OK) {
        bufs->buf = u->request_bufs->buf;
        up->header = bufs->buf;
    }

    u->request_bufs = bufs;
    u->output = output;
    r->request_body_no_buffering = no_buffering;

    return rc;
}


/* As the request would have been sent without its endpoint's name. */
static mesh_str_t
ngx_http_mesh_host_of(ngx_http_mesh_upstream_t *up,
    const mesh_endpoint_t *endpoint)
{
    ngx_http_mesh_ctx_t  *ctx;

    ctx = up->ctx;

    if (endpoint->host && endpoint->family != MESH_FAMILY_UNIX) {
        return mesh_get_str(up->view->root->snapshot, endpoint->host);
    }

    return ctx->request.authority.len ? ctx->request.authority
                                      : ctx->cluster_name;
}


ngx_int_t
ngx_http_mesh_host_follow(ngx_http_mesh_upstream_t *up,
    const mesh_endpoint_t *endpoint)
{
    u_char                *p;
    mesh_str_t             host;
    ngx_http_mesh_ctx_t   *ctx;
    ngx_http_request_t    *r;

    r = up->request;
    ctx = up->ctx;

    if (up->upstream->request_bufs == NULL) {
        return NGX_OK;
    }

    if (up->attempts == 0) {
        up->body = up->upstream->request_bufs->next;
        up->no_buffering = r->request_body_no_buffering;
    }

    host = ngx_http_mesh_host_of(up, endpoint);

    if (mesh_str_eq(host, ctx->host)) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, host.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, host.data, host.len);
    ctx->host = (mesh_str_t) { host.len, (const char *) p };

    if (ctx->host_forwards && ctx->request.authority.len
        && ngx_http_mesh_forward_host(r, ctx->request.authority) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_mesh_header_again(up);
}
