/* SPDX-License-Identifier: Apache-2.0 */

/* What workers say of stream{}'s listeners. */

#include <nginx.h>

#include "ngx_stream_mesh.h"


static ngx_uint_t
ngx_stream_mesh_has_upstreams(ngx_conf_t *cf)
{
    ngx_uint_t                         i;
    ngx_stream_mesh_srv_conf_t        *mscf;
    ngx_stream_upstream_srv_conf_t   **us;
    ngx_stream_upstream_main_conf_t   *umcf;

    umcf = ngx_stream_conf_get_module_main_conf(cf,
                                                ngx_stream_upstream_module);
    us = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        if (us[i]->srv_conf == NULL) {
            continue;
        }

        mscf = ngx_stream_conf_upstream_srv_conf(us[i],
                                                 ngx_stream_mesh_module);

        if (mscf && mscf->cluster.name.len) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_stream_mesh_listener(ngx_conf_t *cf, struct sockaddr *sockaddr, int type,
    ngx_uint_t ssl, ngx_uint_t reuseport)
{
    ngx_mesh_listener_t  listener;

    listener.sockaddr = sockaddr;
    listener.protocol = MESH_LISTENER_STREAM;
    listener.flags = MESH_LISTENER_UPSTREAMS
                     | (ssl ? MESH_LISTENER_SSL : 0)
                     | (type == SOCK_DGRAM ? MESH_LISTENER_UDP : 0)
                     | (reuseport ? MESH_LISTENER_REUSEPORT : 0);
    listener.tables = NULL;

    return ngx_mesh_listener_add(cf, &listener);
}


#if (nginx_version >= 1025005)

/* Servers by name: addresses by port, as http has them. */
ngx_int_t
ngx_stream_mesh_listeners(ngx_conf_t *cf)
{
    ngx_uint_t                    p, a;
    ngx_stream_conf_port_t       *port;
    ngx_stream_conf_addr_t       *addr;
    ngx_stream_listen_opt_t      *opt;
    ngx_stream_core_main_conf_t  *cmcf;

    cmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_stream_core_module);

    if (cmcf->ports == NULL || !ngx_stream_mesh_has_upstreams(cf)) {
        return NGX_OK;
    }

    port = cmcf->ports->elts;

    for (p = 0; p < cmcf->ports->nelts; p++) {
        addr = port[p].addrs.elts;

        for (a = 0; a < port[p].addrs.nelts; a++) {
            opt = &addr[a].opt;

            if (ngx_stream_mesh_listener(cf, opt->sockaddr, opt->type,
                                         opt->ssl, opt->reuseport)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}

#else

ngx_int_t
ngx_stream_mesh_listeners(ngx_conf_t *cf)
{
    ngx_uint_t                    i;
    ngx_stream_listen_t          *ls;
    ngx_stream_core_main_conf_t  *cmcf;

    if (!ngx_stream_mesh_has_upstreams(cf)) {
        return NGX_OK;
    }

    cmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_stream_core_module);
    ls = cmcf->listen.elts;

    for (i = 0; i < cmcf->listen.nelts; i++) {
        if (ngx_stream_mesh_listener(cf, ls[i].sockaddr, ls[i].type,
                                     ls[i].ssl, ls[i].reuseport)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}

#endif
