/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Header operations of a decision: on the request before it goes upstream,
 * on the response on its way back.  What frames a message is nginx's, and
 * Host is host_rewrite's: operations on those do nothing.
 */

#include "ngx_http_mesh.h"


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;


static const mesh_str_t  ngx_http_mesh_framing[] = {
    mesh_str("host"),
    mesh_str("connection"),
    mesh_str("content-length"),
    mesh_str("transfer-encoding"),
};


static ngx_uint_t
ngx_http_mesh_is_framing(mesh_str_t name)
{
    ngx_uint_t  i;

    for (i = 0; i < mesh_nelts(ngx_http_mesh_framing); i++) {
        if (name.len == ngx_http_mesh_framing[i].len
            && ngx_strncasecmp((u_char *) name.data,
                               (u_char *) ngx_http_mesh_framing[i].data,
                               name.len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_mesh_same_name(const ngx_str_t *key, mesh_str_t name)
{
    return key->len == name.len
           && ngx_strncasecmp(key->data, (u_char *) name.data, name.len) == 0;
}


/* A header of its own memory: the snapshot may go before it does. */
static ngx_int_t
ngx_http_mesh_fill(ngx_pool_t *pool, ngx_table_elt_t *h, mesh_str_t name,
    mesh_str_t value)
{
    u_char  *p;

    p = ngx_pnalloc(pool, 2 * name.len + value.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->key.data = p;
    h->key.len = name.len;
    p = ngx_cpymem(p, name.data, name.len);

    h->lowcase_key = p;
    ngx_strlow(p, h->key.data, name.len);
    h->hash = ngx_hash_key(p, name.len);
    p += name.len;

    h->value.data = p;
    h->value.len = value.len;
    p = ngx_cpymem(p, value.data, value.len);
    *p = '\0';

    return NGX_OK;
}


/* --- requests ------------------------------------------------------------ */

static void
ngx_http_mesh_request_remove(ngx_array_t *headers, mesh_str_t name)
{
    ngx_uint_t        i, n;
    ngx_table_elt_t  *h;

    h = headers->elts;
    n = 0;

    for (i = 0; i < headers->nelts; i++) {
        if (!ngx_http_mesh_same_name(&h[i].key, name)) {
            h[n++] = h[i];
        }
    }

    headers->nelts = n;
}


static ngx_int_t
ngx_http_mesh_request_apply(ngx_http_request_t *r, ngx_array_t *headers,
    const mesh_snapshot_t *s, const mesh_rec_header_ops_t *ops)
{
    uint32_t                 i;
    mesh_str_t               name;
    ngx_table_elt_t         *h;
    const mesh_header_op_t  *op;

    for (i = 0; i < ops->count; i++) {
        op = &ops->v[i];
        name = mesh_get_str(s, op->name);

        if (ngx_http_mesh_is_framing(name)) {
            continue;
        }

        if (op->op != MESH_OP_ADD) {
            ngx_http_mesh_request_remove(headers, name);
        }

        if (op->op == MESH_OP_REMOVE) {
            continue;
        }

        h = ngx_array_push(headers);

        if (h == NULL
            || ngx_http_mesh_fill(r->pool, h, name,
                                  mesh_get_str(s, op->value))
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * A copy of the request's headers as one array.  nginx's pointers into the
 * old list stay valid; what is proxied is the list.
 */
static ngx_array_t *
ngx_http_mesh_request_headers(ngx_http_request_t *r)
{
    ngx_uint_t        n;
    ngx_array_t      *headers;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    n = 4;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        n += part->nelts;
    }

    headers = ngx_array_create(r->pool, n, sizeof(ngx_table_elt_t));
    if (headers == NULL) {
        return NULL;
    }

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        if (part->nelts == 0) {
            continue;
        }

        h = ngx_array_push_n(headers, part->nelts);
        if (h == NULL) {
            return NULL;
        }

        ngx_memcpy(h, part->elts, part->nelts * sizeof(ngx_table_elt_t));
    }

    return headers;
}


static void
ngx_http_mesh_request_use(ngx_http_request_t *r, ngx_array_t *headers)
{
    ngx_list_t  *list;

    list = &r->headers_in.headers;

    list->part.elts = headers->elts;
    list->part.nelts = headers->nelts;
    list->part.next = NULL;
    list->last = &list->part;
    list->nalloc = headers->nalloc;
}


ngx_int_t
ngx_http_mesh_request_set(ngx_http_request_t *r, mesh_str_t name,
    mesh_str_t value)
{
    ngx_array_t      *headers;
    ngx_table_elt_t  *h;

    headers = ngx_http_mesh_request_headers(r);
    if (headers == NULL) {
        return NGX_ERROR;
    }

    ngx_http_mesh_request_remove(headers, name);

    h = ngx_array_push(headers);

    if (h == NULL || ngx_http_mesh_fill(r->pool, h, name, value) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_mesh_request_use(r, headers);

    return NGX_OK;
}


ngx_int_t
ngx_http_mesh_request_ops(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    unsigned                      i, n;
    ngx_array_t                  *headers;
    const mesh_rec_header_ops_t  *ops[3];

    n = mesh_route_header_ops(ctx->root->snapshot, &ctx->match, ctx->entry,
                              false, ops);
    if (n == 0) {
        return NGX_OK;
    }

    headers = ngx_http_mesh_request_headers(r);
    if (headers == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        if (ngx_http_mesh_request_apply(r, headers, ctx->root->snapshot,
                                        ops[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    ngx_http_mesh_request_use(r, headers);

    return NGX_OK;
}


/* --- responses ----------------------------------------------------------- */

/* Those that nginx keeps beside the list, too, and writes from there. */
static ngx_table_elt_t **
ngx_http_mesh_response_known(ngx_http_request_t *r, mesh_str_t name)
{
    if (ngx_http_mesh_same_name(&(ngx_str_t) ngx_string("server"), name)) {
        return &r->headers_out.server;
    }

    if (ngx_http_mesh_same_name(&(ngx_str_t) ngx_string("date"), name)) {
        return &r->headers_out.date;
    }

    if (ngx_http_mesh_same_name(&(ngx_str_t) ngx_string("location"), name)) {
        return &r->headers_out.location;
    }

    return NULL;
}


static void
ngx_http_mesh_response_remove(ngx_http_request_t *r, mesh_str_t name)
{
    ngx_uint_t         i;
    ngx_list_part_t   *part;
    ngx_table_elt_t   *h, **known;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash && ngx_http_mesh_same_name(&h[i].key, name)) {
                h[i].hash = 0;
            }
        }
    }

    known = ngx_http_mesh_response_known(r, name);

    if (known) {
        *known = NULL;
    }
}


ngx_int_t
ngx_http_mesh_response_add(ngx_http_request_t *r, mesh_str_t name,
    mesh_str_t value)
{
    ngx_table_elt_t  *h, **known;

    h = ngx_list_push(&r->headers_out.headers);

    if (h == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_mesh_fill(r->pool, h, name, value) != NGX_OK) {
        /* the list must not hold an element that is not filled in */
        ngx_memzero(h, sizeof(ngx_table_elt_t));
        return NGX_ERROR;
    }

    known = ngx_http_mesh_response_known(r, name);

    if (known) {
        *known = h;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_mesh_response_set(ngx_http_request_t *r, mesh_str_t name,
    mesh_str_t value)
{
    ngx_http_mesh_response_remove(r, name);

    return ngx_http_mesh_response_add(r, name, value);
}


/* Content-Type is not in the list at all. */
static ngx_int_t
ngx_http_mesh_response_type(ngx_http_request_t *r, ngx_uint_t op,
    mesh_str_t value)
{
    ngx_str_t  *type;
    u_char     *p;

    type = &r->headers_out.content_type;

    if (op == MESH_OP_ADD && type->len) {
        return NGX_OK;
    }

    ngx_str_null(&r->headers_out.charset);
    ngx_str_null(type);
    r->headers_out.content_type_len = 0;
    r->headers_out.content_type_lowcase = NULL;

    if (op == MESH_OP_REMOVE || value.len == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, value.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, value.data, value.len);
    type->data = p;
    type->len = value.len;
    r->headers_out.content_type_len = value.len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_response_apply(ngx_http_request_t *r, const mesh_snapshot_t *s,
    const mesh_header_op_t *op)
{
    mesh_str_t  name, value;

    name = mesh_get_str(s, op->name);
    value = mesh_get_str(s, op->value);

    if (ngx_http_mesh_is_framing(name)) {
        return NGX_OK;
    }

    if (ngx_http_mesh_same_name(&(ngx_str_t) ngx_string("content-type"),
                                name))
    {
        return ngx_http_mesh_response_type(r, op->op, value);
    }

    if (op->op != MESH_OP_ADD) {
        ngx_http_mesh_response_remove(r, name);
    }

    if (op->op == MESH_OP_REMOVE) {
        return NGX_OK;
    }

    return ngx_http_mesh_response_add(r, name, value);
}


static ngx_int_t
ngx_http_mesh_response_ops(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    uint32_t                      j;
    unsigned                      i, n;
    const mesh_rec_header_ops_t  *ops[3];

    n = mesh_route_header_ops(ctx->root->snapshot, &ctx->match, ctx->entry,
                              true, ops);

    for (i = 0; i < n; i++) {
        for (j = 0; j < ops[i]->count; j++) {
            if (ngx_http_mesh_response_apply(r, ctx->root->snapshot,
                                             &ops[i]->v[j])
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_headers_filter(ngx_http_request_t *r)
{
    ngx_http_mesh_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_mesh_module);

    if (ctx && ctx->root && ctx->match.route) {

        if ((ctx->hash || ctx->session)
            && ngx_http_mesh_affinity_cookies(r, ctx) != NGX_OK)
        {
            return NGX_ERROR;
        }

        /* a preflight's answer is not the route's, as in Envoy */

        if ((ctx->cors == NULL || ctx->cors->verdict < MESH_CORS_PREFLIGHT)
            && ngx_http_mesh_response_ops(r, ctx) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ctx->cors && ngx_http_mesh_cors_headers(r, ctx) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_next_header_filter(r);
}


/*
 * To be installed after, and therefore to run before, the filter that lets
 * the root go.
 */
ngx_int_t
ngx_http_mesh_headers_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_mesh_headers_filter;

    return NGX_OK;
}
