/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which requests are mirrored, and what is copied of them: the head that is
 * sent to their own endpoint, and a body of at most 64 kB.  A copy is made
 * when the request is about to be sent, and begins when its body has come.
 */

#include "ngx_http_mesh_mirror.h"


static uint64_t  ngx_http_mesh_mirror_ticket;


static ngx_mesh_view_t *
ngx_http_mesh_mirror_view(ngx_http_mesh_ctx_t *ctx, const mesh_mirror_t *rec)
{
    const mesh_rec_bind_cluster_t  *bind;

    bind = ngx_http_mesh_bound(ctx->root, rec->cluster, rec->cluster_hash);

    return bind ? ngx_mesh_view_bound(ctx->root, bind) : NULL;
}


/*
 * The head in HTTP/1.1, of a request whose own endpoint speaks HTTP/2.  What
 * proxy_set_header says is not in it but for X-Forwarded-For.
 */
static mesh_str_t
ngx_http_mesh_mirror_http1(ngx_http_request_t *r)
{
    u_char           *p;
    size_t            len;
    ngx_uint_t        i;
    mesh_str_t        head;
    ngx_table_elt_t  *h;
    ngx_list_part_t  *part;

    len = r->method_name.len + 1 + r->unparsed_uri.len
          + sizeof(" HTTP/1.1" CRLF) - 1;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            len += h[i].key.len + h[i].value.len + sizeof(": " CRLF) - 1;
        }
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return MESH_STR_NULL;
    }

    head.data = (const char *) p;

    p = ngx_sprintf(p, "%V %V HTTP/1.1" CRLF, &r->method_name,
                    &r->unparsed_uri);

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            p = ngx_sprintf(p, "%V: %V" CRLF, &h[i].key, &h[i].value);
        }
    }

    head.len = p - (u_char *) head.data;

    return head;
}


static mesh_str_t
ngx_http_mesh_mirror_head(ngx_http_mesh_upstream_t *up)
{
    mesh_str_t  head;

    if (up->header == NULL) {
        return MESH_STR_NULL;
    }

    if (ngx_http_mesh_is_h2(up->header)) {
        return ngx_http_mesh_mirror_http1(up->request);
    }

    head.data = (const char *) up->header->start;
    head.len = up->header->last - up->header->start;

    return head;
}


/* Another copy in the list of those that wait for the body. */
static void
ngx_http_mesh_mirror_add(ngx_http_mesh_upstream_t *up,
    const mesh_mirror_t *rec, mesh_str_t head)
{
    u_char                  *p;
    size_t                   len;
    ngx_mesh_view_t         *view;
    ngx_http_request_t      *r;
    ngx_http_mesh_ctx_t     *ctx;
    ngx_http_mesh_mirror_t  *m;

    r = up->request;
    ctx = up->ctx;

    view = ngx_http_mesh_mirror_view(ctx, rec);
    if (view == NULL) {
        return;
    }

    len = mesh_mirror_host(rec, ctx->host, NULL, 0);

    m = ngx_http_mesh_mirror_create(view, rec, head.len + len);

    ngx_mesh_view_release(view);

    if (m == NULL) {
        return;
    }

    p = ngx_pnalloc(m->pool, head.len + len);
    if (p == NULL) {
        ngx_http_mesh_mirror_drop(m);
        return;
    }

    ngx_memcpy(p, head.data, head.len);
    m->head = (mesh_str_t) { head.len, (const char *) p };

    p += head.len;
    (void) mesh_mirror_host(rec, ctx->host, (char *) p, len);
    m->host = (mesh_str_t) { len, (const char *) p };

    m->timeout = ctx->timeout_ms ? ctx->timeout_ms : NGX_HTTP_MESH_MIRROR_MS;
    m->answer.head_only = (r->method == NGX_HTTP_HEAD);
    m->method = mesh_method_bit((mesh_str_t) {
                                    r->method_name.len,
                                    (const char *) r->method_name.data });

    m->next = ctx->mirrors;
    ctx->mirrors = m;
}


static uint64_t
ngx_http_mesh_mirror_draw(ngx_http_mesh_ctx_t *ctx)
{
    mesh_runtime_t  *rt;

    rt = ngx_mesh_runtime();

    return mesh_fetch_add(ctx->route_slot < rt->sizes.routes
                          ? &rt->routes[ctx->route_slot].mirror_ticket
                          : &ngx_http_mesh_mirror_ticket, 1);
}


static void
ngx_http_mesh_mirror_send_all(ngx_http_mesh_ctx_t *ctx, const u_char *body,
    size_t len)
{
    ngx_http_mesh_mirror_t  *m, *next;

    if (ctx->copies.next == NULL) {
        ngx_queue_init(&ctx->copies);
    }

    for (m = ctx->mirrors; m; m = next) {
        next = m->next;
        ngx_http_mesh_mirror_send(m, body, len, &ctx->copies);
    }

    ctx->mirrors = NULL;
}


void
ngx_http_mesh_mirrors_answered(ngx_http_mesh_ctx_t *ctx)
{
    if (ctx->copies.next) {
        ngx_http_mesh_mirror_send_now(&ctx->copies);
    }
}


void
ngx_http_mesh_mirrors_drop(ngx_http_mesh_ctx_t *ctx)
{
    ngx_http_mesh_mirror_t  *m, *next;

    for (m = ctx->mirrors; m; m = next) {
        next = m->next;
        ngx_http_mesh_mirror_drop(m);
    }

    ctx->mirrors = NULL;
}


/* Puts a body into one piece of `len` bytes; NGX_ERROR: its file is gone. */
static ngx_int_t
ngx_http_mesh_mirror_copy(u_char *p, ngx_chain_t *cl)
{
    size_t      n;
    ngx_buf_t  *b;

    for ( /* void */ ; cl; cl = cl->next) {
        b = cl->buf;
        n = (size_t) ngx_buf_size(b);

        if (ngx_buf_in_memory(b)) {
            ngx_memcpy(p, b->pos, n);

        } else if (n && ngx_read_file(b->file, p, n, b->file_pos)
                        != (ssize_t) n)
        {
            return NGX_ERROR;
        }

        p += n;
    }

    return NGX_OK;
}


/* Of a body that nginx has buffered, some of it in a file perhaps. */
static void
ngx_http_mesh_mirror_buffered(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    off_t         len;
    u_char       *body;
    ngx_chain_t  *cl, *bufs;

    bufs = r->request_body ? r->request_body->bufs : NULL;
    len = 0;

    for (cl = bufs; cl; cl = cl->next) {
        len += ngx_buf_size(cl->buf);
    }

    if (len == 0) {
        ngx_http_mesh_mirror_send_all(ctx, NULL, 0);
        return;
    }

    body = len <= NGX_HTTP_MESH_KEPT ? ngx_palloc(r->pool, (size_t) len)
                                     : NULL;

    if (body == NULL || ngx_http_mesh_mirror_copy(body, bufs) != NGX_OK) {
        ngx_http_mesh_mirrors_drop(ctx);

    } else {
        ngx_http_mesh_mirror_send_all(ctx, body, (size_t) len);
    }

    if (body) {
        (void) ngx_pfree(r->pool, body);
    }
}


void
ngx_http_mesh_mirrors_body(ngx_http_mesh_ctx_t *ctx)
{
    ngx_http_mesh_kept_t  *kept;

    kept = &ngx_http_mesh_carrier(ctx)->kept;

    if (kept->overflow) {
        ngx_http_mesh_mirrors_drop(ctx);

    } else if (kept->complete) {
        ngx_http_mesh_mirror_send_all(ctx, kept->start, kept->len);
    }
}


void
ngx_http_mesh_mirrors(ngx_http_mesh_upstream_t *up)
{
    uint32_t                   i;
    uint64_t                   ticket;
    mesh_str_t                 head;
    ngx_http_request_t        *r;
    ngx_http_mesh_ctx_t       *ctx;
    ngx_http_mesh_kept_t      *kept;
    const mesh_rec_mirrors_t  *mirrors;

    r = up->request;
    ctx = up->ctx;
    kept = &ngx_http_mesh_carrier(ctx)->kept;
    mirrors = mesh_get(ctx->root->snapshot, ctx->match.route->mirrors);

    if (ngx_http_mesh_is_websocket(r)) {
        return;
    }

    ticket = ngx_http_mesh_mirror_draw(ctx);
    head = MESH_STR_NULL;

    for (i = 0; i < mirrors->count; i++) {

        if (!mesh_mirror_wanted(&mirrors->v[i], ticket)) {
            continue;
        }

        if (head.len == 0) {
            head = ngx_http_mesh_mirror_head(up);
        }

        if (head.len) {
            ngx_http_mesh_mirror_add(up, &mirrors->v[i], head);
        }
    }

    if (ctx->mirrors == NULL) {
        return;
    }

    if (r->request_body_no_buffering || kept->complete || kept->overflow) {
        ngx_http_mesh_mirrors_body(ctx);
        return;
    }

    ngx_http_mesh_mirror_buffered(r, ctx);
}
