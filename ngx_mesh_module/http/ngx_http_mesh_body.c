/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Sending a request again.  nginx can repeat a body that it has buffered;
 * grpc_pass, and proxy_pass with proxy_request_buffering off, stream it, and
 * stock nginx never repeats such a request.  A request body filter keeps a
 * copy of the first 64 kB of what is streamed to a mesh upstream, if it might
 * be of use.
 *
 * When all of the body has come and fits, the request is turned into a
 * buffered one for its next attempt.  When more is to come, what has come
 * takes the header's place at the beginning of the stream, and the rest
 * follows as it does in a first attempt.  That is for mesh_route's proxy_pass
 * only: the grpc module keeps a queue of its own, and nginx's own directives
 * have nginx's own rules.
 */

#include "ngx_http_mesh_upstream.h"


#define NGX_HTTP_MESH_H2_PREFACE    24      /* "PRI * HTTP/2.0 ..." */
#define NGX_HTTP_MESH_H2_FRAME      9       /* frame's head */
#define NGX_HTTP_MESH_H2_HEADERS    0x1
#define NGX_HTTP_MESH_H2_CONT       0x9


static ngx_http_request_body_filter_pt  ngx_http_next_request_body_filter;


ngx_uint_t
ngx_http_mesh_is_h2(const ngx_buf_t *b)
{
    return b && b->last - b->start > NGX_HTTP_MESH_H2_PREFACE
           && ngx_memcmp(b->start, "PRI * HTTP/2.0", 14) == 0;
}


/* Could a copy of the body ever be used? */
static ngx_uint_t
ngx_http_mesh_body_wanted(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    const mesh_rec_retry_t    *policy;
    const mesh_rec_route_t    *route;
    ngx_http_mesh_srv_conf_t  *mscf;

    route = ctx->match.route;

    if (route && (route->internal_redirect | route->mirrors)) {
        return 1;
    }

    if (!(r->method & NGX_HTTP_MESH_NON_IDEMPOTENT)) {
        return 1;
    }

    mscf = ngx_http_conf_upstream_srv_conf(r->upstream->conf->upstream,
                                           ngx_http_mesh_module);

    if (!mscf->routed) {
        return (r->upstream->conf->next_upstream
                & NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT) != 0;
    }

    policy = ctx->retry;

    return policy && (policy->on & (MESH_RETRY_UNSAFE|MESH_RETRY_GRPC));
}


/* Unless it is on its way to an endpoint. */
static void
ngx_http_mesh_kept_free(ngx_http_request_t *r, ngx_http_mesh_kept_t *kept)
{
    if (kept->start && !kept->lent) {
        (void) ngx_pfree(r->pool, kept->start);
    }
}


static ngx_int_t
ngx_http_mesh_kept_grow(ngx_http_request_t *r, ngx_http_mesh_kept_t *kept,
    size_t need)
{
    u_char  *p;
    size_t   size;

    if (need > NGX_HTTP_MESH_KEPT) {
        return NGX_DECLINED;
    }

    size = kept->size ? kept->size * 2 : 4096;

    if (kept->start == NULL
        && r->headers_in.content_length_n > 0
        && r->headers_in.content_length_n <= NGX_HTTP_MESH_KEPT)
    {
        size = (size_t) r->headers_in.content_length_n;
    }

    while (size < need) {
        size *= 2;
    }

    p = ngx_palloc(r->pool, ngx_min(size, NGX_HTTP_MESH_KEPT));
    if (p == NULL) {
        return NGX_DECLINED;
    }

    if (kept->len) {
        ngx_memcpy(p, kept->start, kept->len);
        ngx_http_mesh_kept_free(r, kept);
    }

    kept->start = p;
    kept->lent = 0;
    kept->size = ngx_min(size, NGX_HTTP_MESH_KEPT);

    return NGX_OK;
}


static void
ngx_http_mesh_keep(ngx_http_request_t *r, ngx_http_mesh_kept_t *kept,
    ngx_chain_t *in)
{
    size_t        n;
    ngx_chain_t  *cl;

    for (cl = in; cl; cl = cl->next) {

        n = ngx_buf_in_memory(cl->buf) ? cl->buf->last - cl->buf->pos : 0;

        if (cl->buf->in_file
            || (kept->len + n > kept->size
                && ngx_http_mesh_kept_grow(r, kept, kept->len + n) != NGX_OK))
        {
            ngx_http_mesh_kept_free(r, kept);
            kept->start = NULL;
            kept->overflow = 1;
            return;
        }

        if (n) {
            ngx_memcpy(kept->start + kept->len, cl->buf->pos, n);
            kept->len += n;
        }

        if (cl->buf->last_buf) {
            kept->complete = 1;
        }
    }
}


/* A body whose length was not known when its route was found. */
static ngx_int_t
ngx_http_mesh_body_count(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    ngx_chain_t *in)
{
    ngx_chain_t  *cl;

    for (cl = in; cl; cl = cl->next) {
        ctx->body_seen += ngx_buf_size(cl->buf);
    }

    if (ctx->body_seen <= (off_t) ctx->body_limit) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "client sent more than the %uD bytes of a body that mesh "
                  "route \"%V\" takes, generation %uL", ctx->body_limit,
                  (ngx_str_t *) &ctx->route_name, ctx->generation);

    /* as nginx does: what is on its way is read, or the 413 might be lost */
    r->lingering_close = 1;

    return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
}


static ngx_int_t
ngx_http_mesh_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_mesh_ctx_t           *ctx;
    ngx_http_mesh_kept_t          *kept;
    ngx_http_upstream_srv_conf_t  *uscf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_mesh_module);

    if (ctx && ctx->body_limit
        && ngx_http_mesh_body_count(r, ctx, in) != NGX_OK)
    {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    if (!r->request_body_no_buffering || r->upstream == NULL) {
        return ngx_http_next_request_body_filter(r, in);
    }

    uscf = r->upstream->conf ? r->upstream->conf->upstream : NULL;

    if (uscf == NULL || uscf->peer.init != ngx_http_mesh_init) {
        return ngx_http_next_request_body_filter(r, in);
    }

    ctx = ngx_http_mesh_ctx(r, 1);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    kept = &ngx_http_mesh_carrier(ctx)->kept;

    if (!kept->overflow) {

        if (kept->start == NULL && !ngx_http_mesh_body_wanted(r, ctx)) {
            kept->overflow = 1;

        } else {
            ngx_http_mesh_keep(r, kept, in);
        }

        if (ctx->mirrors) {
            ngx_http_mesh_mirrors_body(ctx);
        }
    }

    return ngx_http_next_request_body_filter(r, in);
}


void
ngx_http_mesh_body_filter_init(void)
{
    ngx_http_next_request_body_filter = ngx_http_top_request_body_filter;
    ngx_http_top_request_body_filter = ngx_http_mesh_body_filter;
}


/* Is more to come, and the copy all that has come? */
static ngx_uint_t
ngx_http_mesh_body_resumable(ngx_http_mesh_upstream_t *up)
{
    ngx_http_request_t    *r;
    ngx_http_mesh_kept_t  *kept;

    r = up->request;
    kept = &ngx_http_mesh_carrier(up->ctx)->kept;

    return up->policy
           && up->header
           && r->request_body_no_buffering
           && r->reading_body
           && !kept->complete
           && !kept->overflow
           && !ngx_http_mesh_is_h2(up->header);
}


ngx_uint_t
ngx_http_mesh_body_repeatable(ngx_http_mesh_upstream_t *up)
{
    ngx_http_request_t    *r;
    ngx_http_upstream_t   *u;
    ngx_http_mesh_kept_t  *kept;

    r = up->request;
    u = up->upstream;

    if (!u->request_sent) {
        return 1;
    }

    if (ngx_http_mesh_is_h2(up->header) && !u->request_body_sent) {
        /* the grpc module would go on with the rest in its queue */
        return 0;
    }

    if (!r->request_body_no_buffering) {
        return 1;
    }

    if (ngx_http_mesh_body_resumable(up)) {
        return 1;
    }

    kept = &ngx_http_mesh_carrier(up->ctx)->kept;

    return up->header && kept->complete && !kept->overflow && !r->reading_body;
}


/*
 * The grpc module writes an idle connection's next stream number over the
 * request's header, and takes a new connection's to be 1.
 */
static void
ngx_http_mesh_h2_restore(ngx_buf_t *header)
{
    u_char  *p;
    size_t   len;

    p = header->start + NGX_HTTP_MESH_H2_PREFACE;

    while (header->last - p >= NGX_HTTP_MESH_H2_FRAME) {
        len = (size_t) p[0] << 16 | (size_t) p[1] << 8 | p[2];

        if (p[3] == NGX_HTTP_MESH_H2_HEADERS || p[3] == NGX_HTTP_MESH_H2_CONT)
        {
            p[5] = 0;
            p[6] = 0;
            p[7] = 0;
            p[8] = 1;
        }

        p += NGX_HTTP_MESH_H2_FRAME + len;
    }
}


/*
 * Control frames that the grpc module has queued belong to the connection
 * that is given up; the next one's endpoint would take them for errors.
 */
static void
ngx_http_mesh_h2_flush(ngx_http_upstream_t *u)
{
    ngx_connection_t  *c;

    c = u->peer.connection;

    if (c == NULL) {
        return;
    }

    if (c->read->eof || c->read->error || c->write->error) {
        /* nothing can be sent, but the queue has to go */
        c->write->ready = 0;
    }

    (void) ngx_output_chain(&u->output, NULL);
}


ngx_chain_t *
ngx_http_mesh_link(ngx_pool_t *pool, u_char *start, size_t len)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    b = ngx_calloc_buf(pool);
    cl = ngx_alloc_chain_link(pool);

    if (b == NULL || cl == NULL) {
        return NULL;
    }

    if (len) {
        b->temporary = 1;
        b->start = start;
        b->pos = start;
        b->last = start + len;
        b->end = b->last;
    }

    cl->buf = b;
    cl->next = NULL;

    return cl;
}


/* As proxy_pass frames a streamed body of unknown length. */
static ngx_chain_t *
ngx_http_mesh_chunked(ngx_pool_t *pool, ngx_http_mesh_kept_t *kept)
{
    size_t        len;
    u_char       *p;
    ngx_chain_t  *head, *body, *tail;

    static u_char  last[] = CRLF "0" CRLF CRLF;

    if (kept->len == 0) {
        return ngx_http_mesh_link(pool, last + 2, sizeof(last) - 3);
    }

    len = kept->complete ? sizeof(last) - 1 : sizeof(CRLF) - 1;

    p = ngx_pnalloc(pool, NGX_SIZE_T_LEN + 2);
    if (p == NULL) {
        return NULL;
    }

    head = ngx_http_mesh_link(pool, p,
                              ngx_sprintf(p, "%xz" CRLF, kept->len) - p);
    body = ngx_http_mesh_link(pool, kept->start, kept->len);
    tail = ngx_http_mesh_link(pool, last, len);

    if (head == NULL || body == NULL || tail == NULL) {
        return NULL;
    }

    head->next = body;
    body->next = tail;

    return head;
}


/* The request's header, and what is kept of its body. */
static ngx_chain_t *
ngx_http_mesh_head(ngx_http_mesh_upstream_t *up, ngx_uint_t chunked)
{
    ngx_pool_t            *pool;
    ngx_chain_t           *head;
    ngx_http_mesh_kept_t  *kept;

    pool = up->request->pool;
    kept = &ngx_http_mesh_carrier(up->ctx)->kept;

    head = ngx_alloc_chain_link(pool);
    if (head == NULL) {
        return NULL;
    }

    head->buf = up->header;
    head->next = NULL;

    if (kept->len == 0 && !kept->complete) {
        return head;
    }

    head->next = chunked ? ngx_http_mesh_chunked(pool, kept)
                         : ngx_http_mesh_link(pool, kept->start, kept->len);

    return head->next ? head : NULL;
}


/*
 * The proxy module's own filter, that frames what follows, would take the
 * beginning for a chunk as well.
 */
static ngx_int_t
ngx_http_mesh_framed_filter(void *data, ngx_chain_t *in)
{
    ngx_http_mesh_upstream_t  *up = data;

    if (up->framed) {
        up->framed = 0;
        return ngx_chain_writer(&up->upstream->writer, in);
    }

    return up->output_filter(up->filter_ctx, in);
}


/*
 * What was on its way to the endpoint that is given up is in the copy.  It
 * has to look as if it had been sent: nginx reads no more of a body while its
 * buffers are busy.
 */
static void
ngx_http_mesh_body_drop(ngx_http_mesh_upstream_t *up)
{
    ngx_chain_t  *cl;

    for (cl = up->upstream->writer.out; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
    }

    up->request->request_body->bufs = NULL;
}


static ngx_int_t
ngx_http_mesh_body_resume(ngx_http_mesh_upstream_t *up)
{
    ngx_uint_t            chunked;
    ngx_chain_t          *head;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = up->request;
    u = up->upstream;
    chunked = u->output.output_filter != ngx_chain_writer;

    head = ngx_http_mesh_head(up, chunked);
    if (head == NULL) {
        return NGX_ERROR;
    }

    ngx_http_mesh_carrier(up->ctx)->kept.lent = 1;

    if (chunked && u->output.output_filter != ngx_http_mesh_framed_filter) {
        up->output_filter = u->output.output_filter;
        up->filter_ctx = u->output.filter_ctx;
        u->output.output_filter = ngx_http_mesh_framed_filter;
        u->output.filter_ctx = up;
    }

    up->framed = 1;

    ngx_http_mesh_body_drop(up);

    u->request_bufs = head;

    /*
     * Until the new endpoint is sent to, the client is not read from, but
     * watched, as before the first attempt.
     */

    r->read_event_handler = up->read_handler;

    if (r->connection->read->timer_set) {
        ngx_del_timer(r->connection->read);
    }

    /* nginx has to believe that it has all, until it has decided to go on */

    r->request_body_no_buffering = 0;
    up->resumed = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_mesh_body_repeat(ngx_http_mesh_upstream_t *up)
{
    ngx_uint_t            chunked;
    ngx_chain_t          *head, *cl;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = up->request;
    u = up->upstream;

    if (!u->request_sent) {
        return NGX_OK;
    }

    if (ngx_http_mesh_body_resumable(up)) {
        return ngx_http_mesh_body_resume(up);
    }

    if (ngx_http_mesh_is_h2(up->header)) {
        ngx_http_mesh_h2_flush(u);
        ngx_http_mesh_h2_restore(up->header);
    }

    if (!r->request_body_no_buffering) {
        return NGX_OK;
    }

    chunked = !ngx_http_mesh_is_h2(up->header)
              && u->output.output_filter != ngx_chain_writer;

    head = ngx_http_mesh_head(up, chunked);
    if (head == NULL) {
        return NGX_ERROR;
    }

    if (chunked) {
        /* the proxy module's own filter would take the header for a chunk */
        u->output.output_filter = ngx_chain_writer;
        u->output.filter_ctx = &u->writer;
    }

    for (cl = head; cl->next; cl = cl->next) { /* void */ }

    cl->buf->last_buf = 1;

    u->request_bufs = head;
    r->request_body_no_buffering = 0;

    return NGX_OK;
}


void
ngx_http_mesh_body_stream(ngx_http_mesh_upstream_t *up)
{
    if (up->resumed) {
        up->resumed = 0;
        up->request->request_body_no_buffering = 1;
    }
}
