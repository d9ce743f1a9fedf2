/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The key of an idle connection: what a request needs of one.
 */

#include "ngx_http_mesh_keepalive.h"


static ngx_int_t
ngx_http_mesh_idle_key_local(ngx_http_mesh_idle_key_t *key,
    ngx_peer_connection_t *pc)
{
    struct sockaddr_in   *in;
    struct sockaddr_in6  *in6;

    if (pc->local == NULL) {
        return NGX_OK;
    }

    key->local_family = pc->local->sockaddr->sa_family;

#if (NGX_HAVE_TRANSPARENT_PROXY)
    key->transparent = pc->transparent;
#endif

    switch (key->local_family) {

    case AF_INET:
        in = (struct sockaddr_in *) pc->local->sockaddr;
        key->local_port = in->sin_port;
        ngx_memcpy(key->local_addr, &in->sin_addr, 4);
        return NGX_OK;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        in6 = (struct sockaddr_in6 *) pc->local->sockaddr;
        key->local_port = in6->sin6_port;
        ngx_memcpy(key->local_addr, &in6->sin6_addr, 16);
        return NGX_OK;
#endif

    default:
        return NGX_DECLINED;
    }
}


#if (NGX_HTTP_SSL)

/*
 * The client certificate of a location may be a variable: such connections
 * have no place in a pool.
 */
static ngx_int_t
ngx_http_mesh_idle_key_tls(ngx_http_mesh_upstream_t *up)
{
    ngx_http_upstream_t       *u;
    ngx_http_upstream_conf_t  *conf;

    u = up->upstream;
    conf = u->conf;

    if (conf->ssl_certificate && conf->ssl_certificate->value.len
        && (conf->ssl_certificate->lengths
            || conf->ssl_certificate_key->lengths))
    {
        return NGX_DECLINED;
    }

    up->lease.key.tls = conf->ssl->ctx;
    up->lease.key.verify = conf->ssl_verify | conf->ssl_server_name << 1;
    up->lease.sni = u->ssl_name;

    if (conf->ssl_name
        && ngx_http_complex_value(up->request, conf->ssl_name,
                                  &up->lease.sni)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}

#endif


ngx_int_t
ngx_http_mesh_idle_key(ngx_http_mesh_upstream_t *up, ngx_peer_connection_t *pc,
    const mesh_endpoint_t *endpoint)
{
    ngx_http_mesh_lease_t  *lease;

    lease = &up->lease;
    lease->pooled = 0;

    if (ngx_http_mesh_idle_key_plain(lease, up->view->view, endpoint,
                                     up->upstream->output.tag)
        != NGX_OK
        || ngx_http_mesh_idle_key_local(&lease->key, pc) != NGX_OK)
    {
        return NGX_DECLINED;
    }

#if (NGX_HTTP_SSL)
    if (up->upstream->ssl && ngx_http_mesh_idle_key_tls(up) != NGX_OK) {
        return NGX_DECLINED;
    }
#endif

    lease->pooled = 1;

    return NGX_OK;
}
