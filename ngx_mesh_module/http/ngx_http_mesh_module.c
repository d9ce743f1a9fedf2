/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The http module: its one table of directives, its configurations, its
 * phases, and the log phase that counts each finished request once.
 */

#include "ngx_http_mesh_upstream.h"


static void *ngx_http_mesh_create_srv_conf(ngx_conf_t *cf);
static void *ngx_http_mesh_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_mesh_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_mesh_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_mesh_postconfiguration(ngx_conf_t *cf);
static char *ngx_http_mesh_zone_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_mesh_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_command_t  ngx_http_mesh_commands[] = {

    { ngx_string("mesh_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_mesh_zone_directive,
      0,
      0,
      NULL },

    { ngx_string("mesh"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE1,
      ngx_http_mesh_directive,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_route"),
      NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_mesh_route_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_mesh_status_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_mesh_metrics_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_mesh_module_ctx = {
    ngx_http_mesh_preconfiguration,         /* preconfiguration */
    ngx_http_mesh_postconfiguration,        /* postconfiguration */

    ngx_http_mesh_create_main_conf,         /* create main configuration */
    NULL,                                   /* init main configuration */

    ngx_http_mesh_create_srv_conf,          /* create server configuration */
    NULL,                                   /* merge server configuration */

    ngx_http_mesh_create_loc_conf,          /* create location configuration */
    ngx_http_mesh_merge_loc_conf            /* merge location configuration */
};


ngx_module_t  ngx_http_mesh_module = {
    NGX_MODULE_V1,
    &ngx_http_mesh_module_ctx,              /* module context */
    ngx_http_mesh_commands,                 /* module directives */
    NGX_HTTP_MODULE,                        /* module type */
    NULL,                                   /* init master */
    NULL,                                   /* init module */
    NULL,                                   /* init process */
    NULL,                                   /* init thread */
    NULL,                                   /* exit thread */
    NULL,                                   /* exit process */
    NULL,                                   /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_mesh_create_srv_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_mesh_srv_conf_t));
}


static void *
ngx_http_mesh_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_mesh_loc_conf_t  *mlcf;

    mlcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_mesh_loc_conf_t));
    if (mlcf == NULL) {
        return NULL;
    }

    mlcf->route = NGX_CONF_UNSET;
    mlcf->authority = NGX_CONF_UNSET_PTR;

    return mlcf;
}


/*
 * A mesh_route is its location's own, like proxy_pass: a nested location
 * that wants it says so, but an "if" or limit_except inherits it.
 */
static char *
ngx_http_mesh_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_mesh_loc_conf_t  *prev = parent;
    ngx_http_mesh_loc_conf_t  *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    if (conf->route == NGX_CONF_UNSET) {
        clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

        conf->route = 0;

        if (clcf->noname) {
            conf->route = prev->route;
            conf->http2 = prev->http2;
            conf->own = prev->own;
        }
    }

    ngx_conf_merge_str_value(conf->table, prev->table, "default");
    ngx_conf_merge_ptr_value(conf->authority, prev->authority, NULL);

    if (ngx_http_mesh_passes(cf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_mesh_conf_check(cf, conf);
}


static char *
ngx_http_mesh_zone_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_mesh_zone_directive(cf);
}


static char *
ngx_http_mesh_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_mesh_srv_conf_t  *mscf = conf;

    char                          *rv;
    ngx_http_upstream_server_t    *server;
    ngx_http_upstream_srv_conf_t  *uscf;

    rv = ngx_mesh_cluster_directive(cf, &mscf->cluster);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    uscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_upstream_module);

    if (uscf->peer.init_upstream) {
        return "cannot stand beside another balancer";
    }

    /* nginx refuses an upstream{} without a server */

    server = ngx_array_push(uscf->servers);
    if (server == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(server, sizeof(ngx_http_upstream_server_t));

    uscf->peer.init_upstream = ngx_http_mesh_init_upstream;
    uscf->flags = NGX_HTTP_UPSTREAM_CREATE;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_mesh_preconfiguration(ngx_conf_t *cf)
{
    if (ngx_mesh_abi_check(cf, NGX_MESH_ABI, "ngx_http_mesh_module")
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_mesh_variables_init(cf);
}


static ngx_int_t
ngx_http_mesh_add_handler(ngx_conf_t *cf, ngx_http_phases phase,
    ngx_http_handler_pt handler)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[phase].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = handler;

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_postconfiguration(ngx_conf_t *cf)
{
    if (ngx_http_mesh_add_handler(cf, NGX_HTTP_LOG_PHASE,
                                  ngx_http_mesh_log_handler)
        != NGX_OK
        || ngx_http_mesh_add_handler(cf, NGX_HTTP_PRECONTENT_PHASE,
                                     ngx_http_mesh_route_handler)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_mesh_upstreams(cf) != NGX_OK
        || ngx_http_mesh_listeners(cf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_mesh_header_filter_init();
    ngx_http_mesh_body_filter_init();

    /*
     * The last one installed runs first: header operations need the root that
     * the filter above lets go.
     */

    return ngx_http_mesh_headers_init(cf);
}
