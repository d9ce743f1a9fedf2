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


static const ngx_str_t  ngx_http_mesh_content_type =
    ngx_string("content-type");


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


/* --- both ---------------------------------------------------------------- */

/* An operation that acts, with the value that it has made. */
typedef struct {
    const mesh_header_op_t  *op;
    mesh_str_t               name;
    mesh_str_t               value;
} ngx_http_mesh_act_t;


/* Operations on a request or a response. */
typedef struct ngx_http_mesh_ops_s  ngx_http_mesh_ops_t;

struct ngx_http_mesh_ops_s {
    ngx_http_request_t   *request;
    ngx_http_mesh_ctx_t  *ctx;
    void                 *data;
    ngx_uint_t          (*has)(void *data, mesh_str_t name);
    ngx_int_t           (*act)(ngx_http_mesh_ops_t *o,
                               const ngx_http_mesh_act_t *act);
    mesh_facts_t          facts;
};


#define NGX_HTTP_MESH_ACTS    16
#define NGX_HTTP_MESH_VALUE   512


/* NGX_DECLINED: a value came out empty, and an empty one does not count. */
static ngx_int_t
ngx_http_mesh_value(ngx_http_mesh_ops_t *o, ngx_http_mesh_act_t *act)
{
    char                     *p, stack[NGX_HTTP_MESH_VALUE];
    size_t                    len;
    const mesh_snapshot_t    *s;
    const mesh_rec_format_t  *format;

    s = o->ctx->root->snapshot;
    format = mesh_op_format(s, act->op);

    if (format == NULL) {
        act->value = mesh_get_str(s, act->op->value);
        return NGX_OK;
    }

    len = mesh_substitute_write(s, format, &o->facts, stack, sizeof(stack));

    if (len == 0) {
        act->value = MESH_STR("");
        return act->op->flags & MESH_OP_KEEP_EMPTY ? NGX_OK : NGX_DECLINED;
    }

    p = ngx_pnalloc(o->request->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (len <= sizeof(stack)) {
        ngx_memcpy(p, stack, len);

    } else {
        (void) mesh_substitute_write(s, format, &o->facts, p, len);
    }

    act->value = (mesh_str_t) { len, p };

    return NGX_OK;
}


/* Removes, and collects the others that act; returns how many, or NGX_ERROR. */
static ngx_int_t
ngx_http_mesh_collect(ngx_http_mesh_ops_t *o,
    const mesh_rec_header_ops_t *ops, ngx_http_mesh_act_t *acts)
{
    uint32_t              i;
    ngx_int_t             rc, n;
    ngx_http_mesh_act_t  *act;

    n = 0;

    for (i = 0; i < ops->count; i++) {
        act = &acts[n];
        act->op = &ops->v[i];
        act->name = mesh_get_str(o->ctx->root->snapshot, act->op->name);
        act->value = MESH_STR("");

        if (ngx_http_mesh_is_framing(act->name)) {
            continue;
        }

        if (act->op->op == MESH_OP_REMOVE) {
            if (o->act(o, act) != NGX_OK) {
                return NGX_ERROR;
            }

            continue;
        }

        if (act->op->op > MESH_OP_REMOVE
            && !mesh_op_acts(act->op, o->has(o->data, act->name)))
        {
            continue;
        }

        rc = ngx_http_mesh_value(o, act);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        n += (rc == NGX_OK);
    }

    return n;
}


/* One level; see mesh_op_acts(). */
static ngx_int_t
ngx_http_mesh_apply(ngx_http_mesh_ops_t *o, const mesh_rec_header_ops_t *ops)
{
    ngx_int_t             i, n;
    ngx_uint_t            replaces;
    ngx_http_mesh_act_t  *acts, stack[NGX_HTTP_MESH_ACTS];

    acts = stack;

    if (ops->count > NGX_HTTP_MESH_ACTS) {
        acts = ngx_palloc(o->request->pool,
                          ops->count * sizeof(ngx_http_mesh_act_t));
        if (acts == NULL) {
            return NGX_ERROR;
        }
    }

    n = ngx_http_mesh_collect(o, ops, acts);

    if (n == NGX_ERROR) {
        return NGX_ERROR;
    }

    replaces = 2;

    while (replaces--) {
        for (i = 0; i < n; i++) {
            if (mesh_op_replaces(acts[i].op) == replaces
                && o->act(o, &acts[i]) != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* --- requests ------------------------------------------------------------ */

/* The array is the request's list, which substitutions read, too. */
static void
ngx_http_mesh_request_list(ngx_http_request_t *r, ngx_array_t *headers)
{
    ngx_list_t  *list;

    list = &r->headers_in.headers;

    list->part.elts = headers->elts;
    list->part.nelts = headers->nelts;
    list->part.next = NULL;
    list->last = &list->part;
    list->nalloc = headers->nalloc;
}


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


static ngx_uint_t
ngx_http_mesh_request_has(void *data, mesh_str_t name)
{
    ngx_array_t  *headers = data;

    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    h = headers->elts;

    for (i = 0; i < headers->nelts; i++) {
        if (ngx_http_mesh_same_name(&h[i].key, name)) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_mesh_request_act(ngx_http_mesh_ops_t *o,
    const ngx_http_mesh_act_t *act)
{
    ngx_array_t      *headers;
    ngx_table_elt_t  *h;

    headers = o->data;

    if (act->op->op == MESH_OP_REMOVE || mesh_op_replaces(act->op)) {
        ngx_http_mesh_request_remove(headers, act->name);
    }

    if (act->op->op != MESH_OP_REMOVE) {
        h = ngx_array_push(headers);

        if (h == NULL
            || ngx_http_mesh_fill(o->request->pool, h, act->name, act->value)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    ngx_http_mesh_request_list(o->request, headers);

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

    ngx_http_mesh_request_list(r, headers);

    return NGX_OK;
}


static __attribute__((noinline)) ngx_int_t
ngx_http_mesh_request_change(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    const mesh_rec_header_ops_t **ops, unsigned n)
{
    unsigned              i;
    ngx_array_t          *headers;
    ngx_http_mesh_ops_t   o;

    headers = ngx_http_mesh_request_headers(r);
    if (headers == NULL) {
        return NGX_ERROR;
    }

    o.request = r;
    o.ctx = ctx;
    o.data = headers;
    o.has = ngx_http_mesh_request_has;
    o.act = ngx_http_mesh_request_act;
    ngx_http_mesh_facts(r, ctx, &o.facts);

    for (i = 0; i < n; i++) {
        if (ngx_http_mesh_apply(&o, ops[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Where the weighted cluster makes another host behind its own operations. */
static __attribute__((noinline)) ngx_int_t
ngx_http_mesh_request_split(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    const mesh_rec_header_ops_t **ops, unsigned n)
{
    unsigned  own;

    own = (ctx->entry->request_ops != 0);

    if ((own && ngx_http_mesh_request_change(r, ctx, ops, 1) != NGX_OK)
        || ngx_http_mesh_split_host(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return n > own ? ngx_http_mesh_request_change(r, ctx, ops + own, n - own)
                   : NGX_OK;
}


ngx_int_t
ngx_http_mesh_request_ops(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    unsigned                      n;
    const mesh_rec_header_ops_t  *ops[3];

    n = mesh_route_header_ops(ctx->root->snapshot, &ctx->match, ctx->entry,
                              false, ops);

    if (ctx->entry->host_rewrite) {
        return ngx_http_mesh_request_split(r, ctx, ops, n);
    }

    return n ? ngx_http_mesh_request_change(r, ctx, ops, n) : NGX_OK;
}


ngx_int_t
ngx_http_mesh_forward_host(ngx_http_request_t *r, mesh_str_t host)
{
    u_char           *p;
    ngx_uint_t        i;
    ngx_str_t         had;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *found;

    static const mesh_str_t  name = mesh_str("x-forwarded-host");

    found = NULL;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (ngx_http_mesh_same_name(&h[i].key, name)) {
                found = &h[i];
            }
        }
    }

    if (found == NULL) {
        h = ngx_list_push(&r->headers_in.headers);

        return h ? ngx_http_mesh_fill(r->pool, h, name, host) : NGX_ERROR;
    }

    had = found->value;

    if (had.len >= host.len
        && ngx_memcmp(had.data + had.len - host.len, host.data, host.len) == 0
        && (had.len == host.len || had.data[had.len - host.len - 1] == ','))
    {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, had.len + 1 + host.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    found->value.data = p;
    found->value.len = had.len + 1 + host.len;

    p = ngx_cpymem(p, had.data, had.len);
    *p++ = ',';
    ngx_memcpy(p, host.data, host.len);

    return NGX_OK;
}


/* --- responses ----------------------------------------------------------- */

bool
ngx_http_mesh_response_header(ngx_http_request_t *r, mesh_str_t name,
    mesh_str_t *value)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    if (ngx_http_mesh_same_name(&ngx_http_mesh_content_type, name)) {
        value->data = (const char *) r->headers_out.content_type.data;
        value->len = r->headers_out.content_type.len;
        return value->len != 0;
    }

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash && ngx_http_mesh_same_name(&h[i].key, name)) {
                value->data = (const char *) h[i].value.data;
                value->len = h[i].value.len;
                return true;
            }
        }
    }

    return false;
}


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

    if ((op == MESH_OP_ADD || op == MESH_OP_ADD_IF_ABSENT) && type->len) {
        /* there can be no second one */
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


static ngx_uint_t
ngx_http_mesh_response_has(void *data, mesh_str_t name)
{
    ngx_http_request_t  *r = data;

    mesh_str_t  value;

    return ngx_http_mesh_response_header(r, name, &value);
}


static ngx_int_t
ngx_http_mesh_response_act(ngx_http_mesh_ops_t *o,
    const ngx_http_mesh_act_t *act)
{
    ngx_http_request_t  *r;

    r = o->request;

    if (ngx_http_mesh_same_name(&ngx_http_mesh_content_type, act->name)) {
        return ngx_http_mesh_response_type(r, act->op->op, act->value);
    }

    if (act->op->op == MESH_OP_REMOVE || mesh_op_replaces(act->op)) {
        ngx_http_mesh_response_remove(r, act->name);
    }

    if (act->op->op == MESH_OP_REMOVE) {
        return NGX_OK;
    }

    return ngx_http_mesh_response_add(r, act->name, act->value);
}


static __attribute__((noinline)) ngx_int_t
ngx_http_mesh_response_change(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    const mesh_rec_header_ops_t **ops, unsigned n)
{
    unsigned             i;
    ngx_http_mesh_ops_t  o;

    o.request = r;
    o.ctx = ctx;
    o.data = r;
    o.has = ngx_http_mesh_response_has;
    o.act = ngx_http_mesh_response_act;
    ngx_http_mesh_facts(r, ctx, &o.facts);
    ngx_http_mesh_facts_sent(r, ctx, &o.facts);

    for (i = 0; i < n; i++) {
        if (ngx_http_mesh_apply(&o, ops[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_response_ops(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    unsigned                      n;
    const mesh_rec_header_ops_t  *ops[3];

    n = mesh_route_header_ops(ctx->root->snapshot, &ctx->match, ctx->entry,
                              true, ops);

    return n ? ngx_http_mesh_response_change(r, ctx, ops, n) : NGX_OK;
}


static ngx_int_t
ngx_http_mesh_headers_filter(ngx_http_request_t *r)
{
    ngx_http_mesh_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_mesh_module);

    if (ctx && ctx->root && ctx->match.route) {

        if ((ctx->hash || ctx->session)
            && ngx_http_mesh_affinity_headers(r, ctx) != NGX_OK)
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
