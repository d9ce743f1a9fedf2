/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What workers say of http{}'s listeners: the addresses as nginx has put them
 * together at the end of its configuration, and the route tables that the
 * servers on each of them serve.
 */

#include "ngx_http_mesh.h"


/* A mesh_route, and the server that it stands in. */
typedef struct {
    ngx_http_core_srv_conf_t  *server;
    ngx_str_t                  table;
} ngx_http_mesh_served_t;


void *
ngx_http_mesh_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_mesh_main_conf_t  *mmcf;

    mmcf = ngx_palloc(cf->pool, sizeof(ngx_http_mesh_main_conf_t));
    if (mmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&mmcf->served, cf->pool, 4,
                       sizeof(ngx_http_mesh_served_t))
        != NGX_OK)
    {
        return NULL;
    }

    return mmcf;
}


ngx_int_t
ngx_http_mesh_serves(ngx_conf_t *cf, ngx_str_t *table)
{
    ngx_http_mesh_served_t     *served;
    ngx_http_mesh_main_conf_t  *mmcf;

    mmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_mesh_module);

    served = ngx_array_push(&mmcf->served);
    if (served == NULL) {
        return NGX_ERROR;
    }

    served->server = ngx_http_conf_get_module_srv_conf(cf,
                                                       ngx_http_core_module);
    served->table = *table;

    return NGX_OK;
}


/* Is there an upstream{} of the mesh that a proxy_pass may lead to? */
static ngx_uint_t
ngx_http_mesh_has_upstreams(ngx_conf_t *cf)
{
    ngx_uint_t                       i;
    ngx_http_mesh_srv_conf_t        *mscf;
    ngx_http_upstream_srv_conf_t   **uscf;
    ngx_http_upstream_main_conf_t   *umcf;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    uscf = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        if (uscf[i]->srv_conf == NULL) {
            continue;
        }

        mscf = ngx_http_conf_upstream_srv_conf(uscf[i], ngx_http_mesh_module);

        if (mscf && mscf->cluster.name.len) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_mesh_add_table(ngx_array_t *tables, ngx_str_t *table)
{
    ngx_uint_t   i;
    mesh_str_t  *name, add;

    add.len = table->len;
    add.data = (char *) table->data;
    name = tables->elts;

    for (i = 0; i < tables->nelts; i++) {
        if (mesh_str_eq(name[i], add)) {
            return NGX_OK;
        }
    }

    name = ngx_array_push(tables);
    if (name == NULL) {
        return NGX_ERROR;
    }

    *name = add;

    return NGX_OK;
}


/* Tables of an address's servers, in the order in which they are written. */
static ngx_int_t
ngx_http_mesh_tables(ngx_http_mesh_main_conf_t *mmcf,
    ngx_http_conf_addr_t *addr, ngx_mesh_listener_t *listener)
{
    ngx_uint_t                  i, k;
    ngx_http_mesh_served_t     *served;
    ngx_http_core_srv_conf_t  **cscf;

    served = mmcf->served.elts;
    cscf = addr->servers.elts;

    for (i = 0; i < mmcf->served.nelts; i++) {

        if (served[i].server == addr->default_server) {
            listener->flags |= MESH_LISTENER_DEFAULT;
        }

        for (k = 0; k < addr->servers.nelts; k++) {
            if (served[i].server == cscf[k]
                && ngx_http_mesh_add_table(listener->tables, &served[i].table)
                   != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* Since 1.25.1 HTTP/2 is the server's, and a parameter of listen only still. */
static ngx_uint_t
ngx_http_mesh_http2(ngx_conf_t *cf, ngx_http_conf_addr_t *addr)
{
#if (NGX_HTTP_V2 && nginx_version >= 1025001)

    ngx_uint_t                  i, m;
    ngx_module_t               *module;
    ngx_http_v2_srv_conf_t     *h2scf;
    ngx_http_core_srv_conf_t  **cscf;

    cscf = addr->servers.elts;

    /* By name: nginx may have been built without it. */

    for (m = 0; cf->cycle->modules[m]; m++) {
        module = cf->cycle->modules[m];

        if (ngx_strcmp(module->name, "ngx_http_v2_module") != 0) {
            continue;
        }

        for (i = 0; i < addr->servers.nelts; i++) {
            h2scf = cscf[i]->ctx->srv_conf[module->ctx_index];

            if (h2scf->enable == 1) {
                return 1;
            }
        }
    }

#endif

    return addr->opt.http2;
}


static ngx_uint_t
ngx_http_mesh_listener_flags(ngx_conf_t *cf, ngx_http_conf_addr_t *addr)
{
    ngx_uint_t  flags;

    flags = addr->opt.ssl ? MESH_LISTENER_SSL : 0;

    flags |= addr->opt.reuseport ? MESH_LISTENER_REUSEPORT : 0;

#if (nginx_version >= 1025000)
    if (addr->opt.quic) {
        return flags | MESH_LISTENER_UDP;
    }
#endif

    return flags | (ngx_http_mesh_http2(cf, addr) ? MESH_LISTENER_HTTP2 : 0);
}


static ngx_int_t
ngx_http_mesh_listener(ngx_conf_t *cf, ngx_http_mesh_main_conf_t *mmcf,
    ngx_http_conf_addr_t *addr, ngx_uint_t flags)
{
    ngx_mesh_listener_t  listener;

    listener.sockaddr = addr->opt.sockaddr;
    listener.protocol = MESH_LISTENER_HTTP;
    listener.flags = flags | ngx_http_mesh_listener_flags(cf, addr);
    listener.tables = ngx_array_create(cf->temp_pool, 2, sizeof(mesh_str_t));

    if (listener.tables == NULL
        || ngx_http_mesh_tables(mmcf, addr, &listener) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_mesh_listener_add(cf, &listener);
}


ngx_int_t
ngx_http_mesh_listeners(ngx_conf_t *cf)
{
    ngx_uint_t                  p, a, flags;
    ngx_http_conf_port_t       *port;
    ngx_http_conf_addr_t       *addr;
    ngx_http_core_main_conf_t  *cmcf;
    ngx_http_mesh_main_conf_t  *mmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    mmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_mesh_module);

    flags = ngx_http_mesh_has_upstreams(cf) ? MESH_LISTENER_UPSTREAMS : 0;

    if (cmcf->ports == NULL || (flags == 0 && mmcf->served.nelts == 0)) {
        return NGX_OK;
    }

    port = cmcf->ports->elts;

    for (p = 0; p < cmcf->ports->nelts; p++) {
        addr = port[p].addrs.elts;

        for (a = 0; a < port[p].addrs.nelts; a++) {
            if (ngx_http_mesh_listener(cf, mmcf, &addr[a], flags) != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}
