/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The headers that mesh_route has its location send: lists of
 * proxy_set_header and of grpc_set_header.
 *
 * A list of a location's own hides all of an outer level, so those are taken
 * along.  It is the mesh that says which of the two is used, not nginx.conf:
 * what is said with proxy_set_header holds for HTTP/2 as well, unless
 * grpc_set_header says otherwise.  A header that is removed there, say, must
 * not come through because a cluster has another protocol.
 */

#include "ngx_http_mesh_route_conf.h"


typedef struct {
    ngx_keyval_t   header;
    ngx_uint_t     own;                 /* NGX_HTTP_MESH_OWN_* */
} ngx_http_mesh_set_header_t;


/* An empty one is not sent, and costs nothing. */
static const ngx_http_mesh_set_header_t  ngx_http_mesh_proxy_headers[] = {
    { { ngx_string("Host"), ngx_string("$mesh_host") }, 0 },
    { { ngx_string("Connection"), ngx_string("") },
      NGX_HTTP_MESH_OWN_CONNECTION },
    { { ngx_string("Upgrade"), ngx_string("") },
      NGX_HTTP_MESH_OWN_UPGRADE },
    { { ngx_string("X-Forwarded-For"),
        ngx_string("$proxy_add_x_forwarded_for") }, 0 },
};


/*
 * grpc_pass itself takes care of TE and of the others that belong to a
 * connection (RFC 9113, 8.2.2), but not of the last two.
 */
static const ngx_keyval_t  ngx_http_mesh_grpc_headers[] = {
    { ngx_string("X-Forwarded-For"),
      ngx_string("$proxy_add_x_forwarded_for") },
    { ngx_string("Proxy-Connection"), ngx_null_string },
    { ngx_string("HTTP2-Settings"), ngx_null_string },
};


/* Of proxy_set_header, what means nothing to HTTP/2. */
static const ngx_str_t  ngx_http_mesh_http1_names[] = {
    ngx_string("Connection"),
    ngx_string("Content-Length"),
    ngx_string("HTTP2-Settings"),
    ngx_string("Keep-Alive"),
    ngx_string("Proxy-Connection"),
    ngx_string("TE"),
    ngx_string("Transfer-Encoding"),
    ngx_string("Upgrade"),
};


static const ngx_str_t  ngx_http_mesh_host_name = ngx_string("Host");


static ngx_uint_t
ngx_http_mesh_same_key(const ngx_str_t *a, const ngx_str_t *b)
{
    return a->len == b->len && ngx_strncasecmp(a->data, b->data, a->len) == 0;
}


/* The first of at most `n` headers with this key, or NULL. */
static ngx_keyval_t *
ngx_http_mesh_find_key(const ngx_array_t *headers, ngx_uint_t n,
    const ngx_str_t *key)
{
    ngx_uint_t     i;
    ngx_keyval_t  *kv;

    kv = headers->elts;

    for (i = 0; i < n; i++) {
        if (ngx_http_mesh_same_key(&kv[i].key, key)) {
            return &kv[i];
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_http_mesh_is_http1(const ngx_str_t *key)
{
    ngx_uint_t  i;

    for (i = 0; i < mesh_nelts(ngx_http_mesh_http1_names); i++) {
        if (ngx_http_mesh_same_key(key, &ngx_http_mesh_http1_names[i])) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_mesh_add(ngx_array_t *headers, const ngx_keyval_t *more, ngx_uint_t n)
{
    ngx_keyval_t  *kv;

    if (n == 0) {
        return NGX_OK;
    }

    kv = ngx_array_push_n(headers, n);
    if (kv == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(kv, more, n * sizeof(ngx_keyval_t));

    return NGX_OK;
}


/*
 * Puts an empty list of our own in the place of the location's, and returns
 * it with what was in force there.
 */
static ngx_array_t *
ngx_http_mesh_take_list(ngx_conf_t *cf, ngx_module_t *module,
    const ngx_str_t *directive, ngx_array_t *given)
{
    u_char         *confs[3];
    ngx_uint_t      i;
    ngx_array_t    *list;
    ngx_command_t  *cmd;

    ngx_memzero(given, sizeof(ngx_array_t));

    cmd = ngx_http_mesh_command(module, directive);
    if (cmd == NULL) {
        return NULL;
    }

    ngx_http_mesh_levels(cf, module, confs);

    for (i = 0; i < 3; i++) {
        list = *(ngx_array_t **) (confs[i] + cmd->offset);

        if (list != NULL && list != NGX_CONF_UNSET_PTR) {
            *given = *list;
            break;
        }
    }

    list = ngx_array_create(cf->pool, given->nelts + 8, sizeof(ngx_keyval_t));

    *(ngx_array_t **) (confs[0] + cmd->offset) = list;

    return list;
}


/*
 * The authority as HTTP/2 has it.  Before 1.31.4, grpc_set_header with Host
 * sends a field of that name and no ":authority", which has to be the first
 * one; it has been what ":authority" is set by since.
 */
static ngx_int_t
ngx_http_mesh_add_authority(ngx_array_t *list, const ngx_array_t *proxy)
{
    ngx_keyval_t  *host, authority;

    authority.key = ngx_http_mesh_host_name;
    ngx_str_set(&authority.value, "$mesh_host");

    host = ngx_http_mesh_find_key(proxy, proxy->nelts,
                                  &ngx_http_mesh_host_name);
    if (host) {
        authority.value = host->value;
    }

#if (nginx_version < 1031004)

    ngx_str_set(&authority.key, ":authority");

    if (ngx_http_mesh_add(list, &authority, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    authority.key = ngx_http_mesh_host_name;
    ngx_str_null(&authority.value);

#endif

    return ngx_http_mesh_add(list, &authority, 1);
}


static ngx_int_t
ngx_http_mesh_fill_proxy(ngx_array_t *list, const ngx_array_t *given,
    ngx_uint_t *own)
{
    ngx_uint_t                         i;
    const ngx_http_mesh_set_header_t  *set;

    if (ngx_http_mesh_add(list, given->elts, given->nelts) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < mesh_nelts(ngx_http_mesh_proxy_headers); i++) {
        set = &ngx_http_mesh_proxy_headers[i];

        if (ngx_http_mesh_find_key(given, given->nelts, &set->header.key)) {
            continue;
        }

        if (ngx_http_mesh_add(list, &set->header, 1) != NGX_OK) {
            return NGX_ERROR;
        }

        *own |= set->own;
    }

    return NGX_OK;
}


/* `proxy`: what the user says with proxy_set_header. */
static ngx_int_t
ngx_http_mesh_fill_grpc(ngx_array_t *list, const ngx_array_t *given,
    const ngx_array_t *proxy)
{
    ngx_uint_t           i;
    const ngx_keyval_t  *kv;

    if (ngx_http_mesh_find_key(given, given->nelts, &ngx_http_mesh_host_name)
        == NULL
        && ngx_http_mesh_add_authority(list, proxy) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_mesh_add(list, given->elts, given->nelts) != NGX_OK) {
        return NGX_ERROR;
    }

    kv = proxy->elts;

    for (i = 0; i < proxy->nelts; i++) {

        if (ngx_http_mesh_is_http1(&kv[i].key)
            || ngx_http_mesh_same_key(&kv[i].key, &ngx_http_mesh_host_name)
            || ngx_http_mesh_find_key(given, given->nelts, &kv[i].key))
        {
            continue;
        }

        if (ngx_http_mesh_add(list, &kv[i], 1) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    kv = ngx_http_mesh_grpc_headers;

    for (i = 0; i < mesh_nelts(ngx_http_mesh_grpc_headers); i++) {
        if (ngx_http_mesh_find_key(list, list->nelts, &kv[i].key) == NULL
            && ngx_http_mesh_add(list, &kv[i], 1) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


char *
ngx_http_mesh_route_headers(ngx_conf_t *cf, ngx_module_t *grpc,
    ngx_http_mesh_loc_conf_t *mlcf)
{
    ngx_array_t  *list, given, proxy;

    static const ngx_str_t  proxy_name = ngx_string("proxy_set_header");
    static const ngx_str_t  grpc_name = ngx_string("grpc_set_header");

    list = ngx_http_mesh_take_list(cf, &ngx_http_proxy_module, &proxy_name,
                                   &proxy);

    if (list == NULL
        || ngx_http_mesh_fill_proxy(list, &proxy, &mlcf->own) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    mlcf->headers = list;
    mlcf->headers_given = list->nelts;

    if (grpc == NULL) {
        return NGX_CONF_OK;
    }

    list = ngx_http_mesh_take_list(cf, grpc, &grpc_name, &given);

    if (list == NULL
        || ngx_http_mesh_fill_grpc(list, &given, &proxy) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    mlcf->http2_headers = list;
    mlcf->http2_given = list->nelts;

    return NGX_CONF_OK;
}


/* At the end of http{}, so without a line. */
static char *
ngx_http_mesh_too_late(ngx_conf_t *cf, const char *directive, ngx_str_t *key)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"%s %V\" has to stand before \"mesh_route\" in location "
                  "\"%V\"", directive, key, &clcf->name);

    return NGX_CONF_ERROR;
}


char *
ngx_http_mesh_route_headers_check(ngx_conf_t *cf,
    ngx_http_mesh_loc_conf_t *mlcf)
{
    ngx_uint_t                         i, j;
    ngx_keyval_t                      *kv;
    const ngx_http_mesh_set_header_t  *set;

    kv = mlcf->headers->elts;

    for (i = mlcf->headers_given; i < mlcf->headers->nelts; i++) {

        for (j = 0; j < mesh_nelts(ngx_http_mesh_proxy_headers); j++) {
            set = &ngx_http_mesh_proxy_headers[j];

            if (ngx_http_mesh_same_key(&kv[i].key, &set->header.key)) {
                return ngx_http_mesh_too_late(cf, "proxy_set_header",
                                              &kv[i].key);
            }
        }

        if (mlcf->http2_headers
            && !ngx_http_mesh_is_http1(&kv[i].key)
            && ngx_http_mesh_find_key(mlcf->http2_headers,
                                      mlcf->http2_headers->nelts, &kv[i].key)
               == NULL)
        {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "\"proxy_set_header %V\" below \"mesh_route\" does "
                          "not hold for clusters that speak HTTP/2",
                          &kv[i].key);
        }
    }

    if (mlcf->http2_headers == NULL) {
        return NGX_CONF_OK;
    }

    kv = mlcf->http2_headers->elts;

    for (i = mlcf->http2_given; i < mlcf->http2_headers->nelts; i++) {
        if (ngx_http_mesh_find_key(mlcf->http2_headers, mlcf->http2_given,
                                   &kv[i].key))
        {
            return ngx_http_mesh_too_late(cf, "grpc_set_header", &kv[i].key);
        }
    }

    return NGX_CONF_OK;
}
