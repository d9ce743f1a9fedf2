/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What workers say of http{}'s listeners: the addresses as nginx has put them
 * together at the end of its configuration, the route tables that the servers
 * on each of them serve, and whether they lead to upstream{}s of the mesh.
 */

#include "ngx_http_mesh_route_conf.h"


/* A mesh_route, and the server that it stands in. */
typedef struct {
    ngx_http_core_srv_conf_t  *server;
    ngx_str_t                  table;
} ngx_http_mesh_served_t;


/* Where a module that passes requests on has its upstream settings. */
typedef struct {
    ngx_uint_t                 ctx_index;
    size_t                     offset;      /* of ngx_http_upstream_conf_t */
} ngx_http_mesh_passer_t;


/* Of each such module, a directive that is one of these settings. */
static const struct {
    const char                *module;
    ngx_str_t                  directive;
} ngx_http_mesh_passers[] = {
    { "ngx_http_proxy_module", ngx_string("proxy_connect_timeout") },
    { "ngx_http_grpc_module", ngx_string("grpc_connect_timeout") },
    { "ngx_http_fastcgi_module", ngx_string("fastcgi_connect_timeout") },
    { "ngx_http_uwsgi_module", ngx_string("uwsgi_connect_timeout") },
    { "ngx_http_scgi_module", ngx_string("scgi_connect_timeout") },
    { "ngx_http_memcached_module", ngx_string("memcached_connect_timeout") },
};


void *
ngx_http_mesh_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_mesh_main_conf_t  *mmcf;

    mmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_mesh_main_conf_t));
    if (mmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&mmcf->served, cf->pool, 4,
                       sizeof(ngx_http_mesh_served_t))
        != NGX_OK
        || ngx_array_init(&mmcf->passing, cf->pool, 4,
                          sizeof(ngx_http_core_srv_conf_t *))
           != NGX_OK)
    {
        return NULL;
    }

    return mmcf;
}


/* --- mesh_route ---------------------------------------------------------- */


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


/* --- upstream{}s of the mesh --------------------------------------------- */

static ngx_int_t
ngx_http_mesh_find_passers(ngx_conf_t *cf, ngx_http_mesh_main_conf_t *mmcf)
{
    ngx_uint_t               i;
    ngx_module_t            *module;
    ngx_command_t           *cmd;
    ngx_http_mesh_passer_t  *passer;

    mmcf->passers = ngx_array_create(cf->pool, 2,
                                     sizeof(ngx_http_mesh_passer_t));
    if (mmcf->passers == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < mesh_nelts(ngx_http_mesh_passers); i++) {
        module = ngx_http_mesh_module_of(cf, ngx_http_mesh_passers[i].module);
        cmd = module ? ngx_http_mesh_command(module,
                                          &ngx_http_mesh_passers[i].directive)
                     : NULL;
        if (cmd == NULL) {
            continue;
        }

        passer = ngx_array_push(mmcf->passers);
        if (passer == NULL) {
            return NGX_ERROR;
        }

        passer->ctx_index = module->ctx_index;
        passer->offset = cmd->offset
                         - offsetof(ngx_http_upstream_conf_t,
                                    connect_timeout);
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_mesh_is_upstream(ngx_http_upstream_srv_conf_t *uscf)
{
    ngx_http_mesh_srv_conf_t  *mscf;

    if (uscf == NULL || uscf->srv_conf == NULL) {
        return 0;
    }

    mscf = ngx_http_conf_upstream_srv_conf(uscf, ngx_http_mesh_module);

    return mscf && mscf->cluster.name.len;
}


/* Locations of a server are merged one behind the other. */
static ngx_int_t
ngx_http_mesh_add_passing(ngx_array_t *passing,
    ngx_http_core_srv_conf_t *server)
{
    ngx_http_core_srv_conf_t  **last;

    last = passing->elts;

    if (passing->nelts && last[passing->nelts - 1] == server) {
        return NGX_OK;
    }

    last = ngx_array_push(passing);
    if (last == NULL) {
        return NGX_ERROR;
    }

    *last = server;

    return NGX_OK;
}


ngx_int_t
ngx_http_mesh_passes(ngx_conf_t *cf)
{
    u_char                     *conf;
    ngx_uint_t                  i;
    ngx_http_conf_ctx_t        *ctx;
    ngx_http_mesh_passer_t     *passer;
    ngx_http_upstream_conf_t   *u;
    ngx_http_mesh_main_conf_t  *mmcf;

    ctx = cf->ctx;
    mmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_mesh_module);

    if (mmcf->passers == NULL
        && ngx_http_mesh_find_passers(cf, mmcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    passer = mmcf->passers->elts;

    for (i = 0; i < mmcf->passers->nelts; i++) {
        conf = ctx->loc_conf[passer[i].ctx_index];
        u = (ngx_http_upstream_conf_t *) (conf + passer[i].offset);

        if (ngx_http_mesh_is_upstream(u->upstream)
            && ngx_http_mesh_add_passing(&mmcf->passing,
                             ctx->srv_conf[ngx_http_core_module.ctx_index])
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Is there one, whether or not a location names it? */
static ngx_uint_t
ngx_http_mesh_has_upstreams(ngx_conf_t *cf)
{
    ngx_uint_t                       i;
    ngx_http_upstream_srv_conf_t   **uscf;
    ngx_http_upstream_main_conf_t   *umcf;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    uscf = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {
        if (ngx_http_mesh_is_upstream(uscf[i])) {
            return 1;
        }
    }

    return 0;
}


/* --- listeners ----------------------------------------------------------- */

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


/* Does a location of the address's servers lead to one? */
static ngx_uint_t
ngx_http_mesh_passing(ngx_http_mesh_main_conf_t *mmcf,
    ngx_http_conf_addr_t *addr)
{
    ngx_uint_t                  i, k;
    ngx_http_core_srv_conf_t  **passing, **cscf;

    passing = mmcf->passing.elts;
    cscf = addr->servers.elts;

    for (i = 0; i < mmcf->passing.nelts; i++) {
        for (k = 0; k < addr->servers.nelts; k++) {
            if (passing[i] == cscf[k]) {
                return 1;
            }
        }
    }

    return 0;
}


/* Since 1.25.1 HTTP/2 is the server's, and a parameter of listen only still. */
static ngx_uint_t
ngx_http_mesh_http2(ngx_conf_t *cf, ngx_http_conf_addr_t *addr)
{
#if (NGX_HTTP_V2 && nginx_version >= 1025001)

    ngx_uint_t                  i;
    ngx_module_t               *module;
    ngx_http_v2_srv_conf_t     *h2scf;
    ngx_http_core_srv_conf_t  **cscf;

    cscf = addr->servers.elts;
    module = ngx_http_mesh_module_of(cf, "ngx_http_v2_module");

    for (i = 0; module && i < addr->servers.nelts; i++) {
        h2scf = cscf[i]->ctx->srv_conf[module->ctx_index];

        if (h2scf->enable == 1) {
            return 1;
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
    ngx_http_conf_addr_t *addr)
{
    ngx_mesh_listener_t  listener;

    listener.sockaddr = addr->opt.sockaddr;
    listener.protocol = MESH_LISTENER_HTTP;
    listener.flags = ngx_http_mesh_listener_flags(cf, addr)
                     | (ngx_http_mesh_passing(mmcf, addr)
                        ? MESH_LISTENER_UPSTREAMS : 0);
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
    ngx_uint_t                  p, a;
    ngx_http_conf_port_t       *port;
    ngx_http_conf_addr_t       *addr;
    ngx_http_core_main_conf_t  *cmcf;
    ngx_http_mesh_main_conf_t  *mmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    mmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_mesh_module);

    if (cmcf->ports == NULL
        || (mmcf->served.nelts == 0 && !ngx_http_mesh_has_upstreams(cf)))
    {
        return NGX_OK;
    }

    port = cmcf->ports->elts;

    for (p = 0; p < cmcf->ports->nelts; p++) {
        addr = port[p].addrs.elts;

        for (a = 0; a < port[p].addrs.nelts; a++) {
            if (ngx_http_mesh_listener(cf, mmcf, &addr[a]) != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}
