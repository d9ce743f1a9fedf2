/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where nginx listens: gathered from http and stream while they are
 * configured, and told by each worker in the runtime.
 */

#include "ngx_mesh_worker.h"


/* The address as the runtime has it; the path of a Unix socket. */
static mesh_str_t
ngx_mesh_listener_address(mesh_listener_t *row, struct sockaddr *sockaddr)
{
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif
#if (NGX_HAVE_UNIX_DOMAIN)
    struct sockaddr_un   *sun;
#endif

    switch (sockaddr->sa_family) {

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sockaddr;
        row->family = MESH_LISTENER_IPV6;
        ngx_memcpy(row->addr, &sin6->sin6_addr, 16);
        row->port = ntohs(sin6->sin6_port);
        break;
#endif

#if (NGX_HAVE_UNIX_DOMAIN)
    case AF_UNIX:
        sun = (struct sockaddr_un *) sockaddr;
        row->family = MESH_LISTENER_UNIX;
        return (mesh_str_t) {
            strnlen(sun->sun_path, sizeof(sun->sun_path)), sun->sun_path
        };
#endif

    default: /* AF_INET */
        sin = (struct sockaddr_in *) sockaddr;
        row->family = MESH_LISTENER_IPV4;
        ngx_memcpy(row->addr, &sin->sin_addr, 4);
        row->port = ntohs(sin->sin_port);
    }

    return MESH_STR_NULL;
}


ngx_int_t
ngx_mesh_listener_add(ngx_conf_t *cf, ngx_mesh_listener_t *listener)
{
    mesh_str_t             path;
    mesh_listener_t        row;
    ngx_mesh_core_conf_t  *mcf;

    mcf = (ngx_mesh_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                                ngx_mesh_core_module);

    if (mcf->listeners == NULL) {
        mcf->listeners = ngx_pcalloc(cf->cycle->pool,
                                     sizeof(mesh_listeners_t));
        if (mcf->listeners == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_memzero(&row, sizeof(mesh_listener_t));

    row.protocol = (uint8_t) listener->protocol;
    row.flags = (uint32_t) listener->flags;
    path = ngx_mesh_listener_address(&row, listener->sockaddr);

    /* What has no room is counted, and told as a number. */
    (void) mesh_listeners_add(mcf->listeners, &row, path,
                              listener->tables ? listener->tables->elts : NULL,
                              listener->tables ? listener->tables->nelts : 0);

    return NGX_OK;
}


void
ngx_mesh_listeners_tell(ngx_mesh_worker_t *w)
{
    static const mesh_listeners_t  nowhere;

    mesh_listeners_tell(w->runtime, w->runtime->worker,
                        w->listeners ? w->listeners : &nowhere);
}
