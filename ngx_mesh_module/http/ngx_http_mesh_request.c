/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The request view: what of an nginx request routing may see.  The path comes
 * from the raw request target, not from r->uri, which nginx has normalised by
 * rules of its own and possibly rewritten.
 */

#include "ngx_http_mesh.h"


#define NGX_HTTP_MESH_PATH_STACK   1024


/*
 * By name alone: with "ignore_invalid_headers off" nginx keeps a header like
 * "x.y" with a hash of some of its letters.
 */
static ngx_uint_t
ngx_http_mesh_is_header(const ngx_table_elt_t *h, mesh_str_t name)
{
    return h->key.len == name.len
           && ngx_memcmp(h->lowcase_key, name.data, name.len) == 0;
}


static bool
ngx_http_mesh_header(const mesh_request_t *request, mesh_str_t name,
    uint32_t hash, mesh_header_iter_t *iter, mesh_str_t *value)
{
    ngx_uint_t              i;
    ngx_table_elt_t        *h;
    ngx_http_request_t     *r;
    const ngx_list_part_t  *part;

    part = iter->part;
    i = iter->index;

    if (part == NULL) {
        r = request->ctx;
        part = &r->headers_in.headers.part;
    }

    for ( /* void */ ; part; part = part->next, i = 0) {
        h = part->elts;

        for ( /* void */ ; i < part->nelts; i++) {

            if (!ngx_http_mesh_is_header(&h[i], name)) {
                continue;
            }

            value->data = (const char *) h[i].value.data;
            value->len = h[i].value.len;

            /* nginx leaves tabs around a value, and an endpoint drops them. */
            *value = mesh_header_trim(*value);

            iter->part = part;
            iter->index = i + 1;

            return true;
        }
    }

    return false;
}


/* As nginx sees it: realip and the PROXY protocol have acted. */
static bool
ngx_http_mesh_client(const mesh_request_t *request, mesh_str_t *address)
{
    ngx_http_request_t  *r;

    r = request->ctx;

    return ngx_mesh_client_address(r->connection->sockaddr, address);
}


/*
 * In lower case.  Memory of the next call's as well: a match is done with it
 * by then, and most clients' names need none.
 */
static bool
ngx_http_mesh_sni(const mesh_request_t *request, mesh_str_t *name)
{
#if (NGX_HTTP_SSL && defined SSL_CTRL_SET_TLSEXT_HOSTNAME)

    const char          *sni;
    ngx_http_request_t  *r;

    static char  lower[TLSEXT_MAXLEN_host_name];

    r = request->ctx;

    if (r->connection->ssl == NULL) {
        return false;
    }

    sni = SSL_get_servername(r->connection->ssl->connection,
                             TLSEXT_NAMETYPE_host_name);
    if (sni == NULL) {
        return false;
    }

    *name = mesh_str_from(sni);

    if (name->len > sizeof(lower)) {
        return false;
    }

    *name = mesh_str_lower(*name, lower);

    return name->len != 0;

#else

    return false;

#endif
}


/* Of the address that the connection was accepted at. */
static bool
ngx_http_mesh_port(const mesh_request_t *request, mesh_str_t *port)
{
    ngx_uint_t           n;
    ngx_http_request_t  *r;

    static u_char  text[NGX_INT_T_LEN];

    r = request->ctx;

    if (ngx_connection_local_sockaddr(r->connection, NULL, 0) != NGX_OK) {
        return false;
    }

    n = ngx_inet_get_port(r->connection->local_sockaddr);

    port->data = (const char *) text;
    port->len = ngx_sprintf(text, "%ui", n) - text;

    return n != 0;
}


static bool
ngx_http_mesh_regex(const mesh_request_t *request, const mesh_digest_t *digest,
    mesh_str_t pattern, mesh_str_t text)
{
    return ngx_mesh_regex_match(digest, pattern, text);
}


static mesh_found_e
ngx_http_mesh_regex_search(const mesh_request_t *request,
    const mesh_digest_t *digest, mesh_str_t pattern, mesh_str_t text,
    mesh_found_t *found)
{
    return ngx_mesh_regex_search(digest, pattern, text, found);
}


static const mesh_request_calls_t  ngx_http_mesh_calls = {
    ngx_http_mesh_header,
    ngx_http_mesh_client,
    ngx_http_mesh_sni,
    ngx_http_mesh_port,
    ngx_http_mesh_share_ticket,
    ngx_http_mesh_regex,
    ngx_http_mesh_regex_search,
    NULL
};


/* RFC 9112, 3.2.2: the authority of an absolute target beats Host. */
static mesh_str_t
ngx_http_mesh_authority(ngx_http_request_t *r)
{
    u_char      *last;
    mesh_str_t   authority;

    if (r->host_start) {
        last = r->host_end;

        if (*last == ':') {
            do { last++; } while (*last >= '0' && *last <= '9');
        }

        authority.data = (const char *) r->host_start;
        authority.len = last - r->host_start;
        return authority;
    }

    if (r->headers_in.host) {
        authority.data = (const char *) r->headers_in.host->value.data;
        authority.len = r->headers_in.host->value.len;
        return authority;
    }

    return MESH_STR_NULL;
}


/*
 * The target as the client sent it, or, after a rewrite, an internal redirect
 * or in a subrequest, as nginx would send it to an upstream.
 */
static ngx_int_t
ngx_http_mesh_target(ngx_http_request_t *r, mesh_str_t *target)
{
    u_char     *p;
    size_t      len;
    uintptr_t   escape;

    if (r->valid_unparsed_uri) {
        target->data = (const char *) r->unparsed_uri.data;
        target->len = r->unparsed_uri.len;
        return NGX_OK;
    }

    escape = 2 * ngx_escape_uri(NULL, r->uri.data, r->uri.len,
                                NGX_ESCAPE_URI);
    len = r->uri.len + escape + 1 + r->args.len;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    target->data = (const char *) p;

    if (escape) {
        p = (u_char *) ngx_escape_uri(p, r->uri.data, r->uri.len,
                                      NGX_ESCAPE_URI);
    } else {
        p = ngx_cpymem(p, r->uri.data, r->uri.len);
    }

    if (r->args.len) {
        *p++ = '?';
        p = ngx_cpymem(p, r->args.data, r->args.len);
    }

    target->len = p - (u_char *) target->data;

    return NGX_OK;
}


/* Puts the path and, behind it, the query into the request's pool. */
static ngx_int_t
ngx_http_mesh_keep_path(ngx_http_request_t *r, mesh_request_t *request,
    mesh_str_t path)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool,
                    path.len + request->has_query + request->query.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    request->path.data = (const char *) p;
    request->path.len = path.len;

    p = ngx_cpymem(p, path.data, path.len);

    if (request->has_query) {
        *p++ = '?';
        ngx_memcpy(p, request->query.data, request->query.len);
        request->query.data = (const char *) p;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_normalize(ngx_http_request_t *r, mesh_request_t *request,
    uint32_t flags)
{
    char                *buffer, stack[NGX_HTTP_MESH_PATH_STACK];
    mesh_str_t           out;
    mesh_path_verdict_e  verdict;

    buffer = stack;

    if (request->path.len > sizeof(stack)) {
        buffer = ngx_pnalloc(r->pool, request->path.len);
        if (buffer == NULL) {
            return NGX_ERROR;
        }
    }

    verdict = mesh_path_normalize(flags, request->path, buffer, &out);

    if (verdict == MESH_PATH_SAME && mesh_request_is_whole(request)) {
        return NGX_OK;
    }

    if (verdict == MESH_PATH_REJECT) {
        return NGX_HTTP_BAD_REQUEST;
    }

    if (ngx_http_mesh_keep_path(r, request, out) != NGX_OK) {
        return NGX_ERROR;
    }

    return verdict == MESH_PATH_REDIRECT ? NGX_HTTP_TEMPORARY_REDIRECT
                                         : NGX_OK;
}


static mesh_str_t
ngx_http_mesh_scheme(ngx_http_request_t *r)
{
#if (NGX_HTTP_SSL)

    if (r->connection->ssl) {
        return MESH_STR("https");
    }

#endif

    return MESH_STR("http");
}


ngx_int_t
ngx_http_mesh_request(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    uint32_t table_flags)
{
    mesh_str_t       target, authority;
    mesh_request_t  *request;

    request = &ctx->request;

    request->method.data = (const char *) r->method_name.data;
    request->method.len = r->method_name.len;

    /* nginx has compared the most frequent one already. */
    request->method_bit = r->method == NGX_HTTP_GET
                          ? MESH_METHOD_GET : mesh_method_bit(request->method);

    request->scheme = ngx_http_mesh_scheme(r);
    request->authority = ngx_http_mesh_authority(r);
    request->calls = &ngx_http_mesh_calls;
    request->ctx = r;

    if (ngx_http_mesh_target(r, &target) != NGX_OK) {
        return NGX_ERROR;
    }

    if (mesh_request_target(target, &request->path, &request->query,
                            &request->has_query, &authority)
        != MESH_OK)
    {
        return NGX_HTTP_BAD_REQUEST;
    }

    return ngx_http_mesh_normalize(r, request, table_flags);
}


ngx_int_t
ngx_http_mesh_request_path(ngx_http_request_t *r, mesh_request_t *request,
    mesh_str_t path, uint32_t table_flags)
{
    if (ngx_http_mesh_keep_path(r, request, path) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_mesh_normalize(r, request, table_flags);
}


ngx_int_t
ngx_http_mesh_request_url(ngx_http_request_t *r, const mesh_request_t *request,
    mesh_str_t *url)
{
    u_char  *p;

    url->len = request->scheme.len + sizeof("://") - 1
               + request->authority.len + request->path.len
               + request->has_query + request->query.len;

    p = ngx_pnalloc(r->pool, url->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    url->data = (const char *) p;

    p = ngx_cpymem(p, request->scheme.data, request->scheme.len);
    p = ngx_cpymem(p, "://", sizeof("://") - 1);
    p = ngx_cpymem(p, request->authority.data, request->authority.len);
    p = ngx_cpymem(p, request->path.data, request->path.len);

    if (request->has_query) {
        *p++ = '?';
        ngx_memcpy(p, request->query.data, request->query.len);
    }

    return NGX_OK;
}
