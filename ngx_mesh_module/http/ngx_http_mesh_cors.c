/* SPDX-License-Identifier: Apache-2.0 */

/*
 * CORS: preflights are answered here, and responses get their headers, after
 * all header operations, so that an endpoint's own words do not count.
 */

#include "ngx_http_mesh.h"


ngx_int_t
ngx_http_mesh_cors(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    const mesh_rec_cors_t  *cors;

    cors = mesh_get(ctx->root->snapshot, ctx->match.route->cors);

    ctx->cors = ngx_palloc(r->pool, sizeof(mesh_cors_t));
    if (ctx->cors == NULL) {
        return NGX_ERROR;
    }

    *ctx->cors = mesh_cors_decide(ctx->root->snapshot, cors, &ctx->request);

    return ctx->cors->verdict >= MESH_CORS_PREFLIGHT ? NGX_DONE : NGX_OK;
}


static ngx_uint_t
ngx_http_mesh_cors_varies(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    mesh_str_t        value;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    static ngx_str_t  vary = ngx_string("vary");

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].hash == 0
                || h[i].key.len != vary.len
                || ngx_strncasecmp(h[i].key.data, vary.data, vary.len) != 0)
            {
                continue;
            }

            value.len = h[i].value.len;
            value.data = (const char *) h[i].value.data;

            if (mesh_cors_varies(value)) {
                return 1;
            }
        }
    }

    return 0;
}


/* "Vary" for a request without an origin, too: a cache must not mix them. */
ngx_int_t
ngx_http_mesh_cors_headers(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    unsigned                i, n;
    mesh_cors_header_t      headers[MESH_CORS_HEADERS_MAX];
    const mesh_rec_cors_t  *cors;

    cors = mesh_get(ctx->root->snapshot, ctx->match.route->cors);

    n = mesh_cors_headers(ctx->root->snapshot, cors, ctx->cors, headers);

    for (i = 0; i < n; i++) {
        if (ngx_http_mesh_response_set(r, headers[i].name, headers[i].value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_http_mesh_cors_varies(r)) {
        return NGX_OK;
    }

    return ngx_http_mesh_response_add(r, MESH_STR("vary"), MESH_STR("origin"));
}
