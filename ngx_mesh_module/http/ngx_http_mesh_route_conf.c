/* SPDX-License-Identifier: Apache-2.0 */

/*
 * "mesh_route [TABLE];" as configuration: a location that proxies to one
 * hidden upstream{} whose endpoints are chosen per request.
 *
 * It has two content handlers: proxy_pass's, which is the location's, and
 * grpc_pass's, which a request to a cluster that speaks HTTP/2 is given
 * instead (grpc_pass carries any HTTP).  Their modules keep their settings
 * apart, so one location serves both: nothing is redirected or swapped, and
 * all that stands in it holds for either.
 *
 * Everything is said in nginx's own directives, through nginx's own parser,
 * so that it means what it would mean if the user had written it.  A
 * directive that stands before mesh_route in the same location, or in the
 * server or http section, is left as it is.
 *
 * Bodies stream both ways: nothing waits for a whole body, nothing is written
 * to disk, nothing is refused for its size.  Retries live on the bounded copy
 * that ngx_http_mesh_body.c keeps.
 */

#include "ngx_http_mesh_route_conf.h"


#define NGX_HTTP_MESH_UPSTREAM   "mesh_route"

#define NGX_HTTP_MESH_LOCATION   0      /* left alone if set in location */
#define NGX_HTTP_MESH_ANY        1      /* ... or in server, or in http */

#define NGX_HTTP_MESH_TEXT       512

/* What the route decides; docs/directives.md has it. */
#define NGX_HTTP_MESH_CACHE_KEY                                               \
    "$scheme://$mesh_host|$mesh_cluster/$mesh_subset|$request_uri"


typedef struct {
    ngx_module_t  *module;
    ngx_uint_t     level;
    ngx_str_t      name;
    ngx_str_t      value;
} ngx_http_mesh_default_t;


static const ngx_http_mesh_default_t  ngx_http_mesh_defaults[] = {

    /* keepalive and WebSocket need it */
    { &ngx_http_proxy_module, NGX_HTTP_MESH_LOCATION,
      ngx_string("proxy_http_version"), ngx_string("1.1") },

    { &ngx_http_proxy_module, NGX_HTTP_MESH_ANY,
      ngx_string("proxy_request_buffering"), ngx_string("off") },

    /* server-sent events and slow streams would wait for a full buffer */
    { &ngx_http_proxy_module, NGX_HTTP_MESH_ANY,
      ngx_string("proxy_buffering"), ngx_string("off") },

    { &ngx_http_proxy_module, NGX_HTTP_MESH_ANY,
      ngx_string("proxy_max_temp_file_size"), ngx_string("0") },

    { &ngx_http_core_module, NGX_HTTP_MESH_ANY,
      ngx_string("client_max_body_size"), ngx_string("0") },
};


/* Parses `text`, which ends with "}", where the parser stands. */
static char *
ngx_http_mesh_parse(ngx_conf_t *cf, ngx_uint_t cmd_type, ngx_str_t *text)
{
    char             *rv;
    ngx_buf_t         b;
    ngx_conf_t        save;
    ngx_conf_file_t   file;

    ngx_memzero(&b, sizeof(ngx_buf_t));
    b.start = text->data;
    b.pos = text->data;
    b.last = text->data + text->len;
    b.end = b.last;
    b.temporary = 1;

    /* a size of 0 has the parser read nothing behind the buffer */
    ngx_memzero(&file, sizeof(ngx_conf_file_t));
    file.file.fd = cf->conf_file->file.fd;
    file.file.name = cf->conf_file->file.name;
    file.file.log = cf->log;
    file.buffer = &b;
    file.line = cf->conf_file->line;

    save = *cf;
    cf->conf_file = &file;
    cf->cmd_type = cmd_type;
    cf->module_type = NGX_HTTP_MODULE;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    return rv;
}


ngx_module_t *
ngx_http_mesh_module_of(ngx_conf_t *cf, const char *name)
{
    ngx_uint_t  i;

    for (i = 0; cf->cycle->modules[i]; i++) {
        if (ngx_strcmp(cf->cycle->modules[i]->name, name) == 0) {
            return cf->cycle->modules[i];
        }
    }

    return NULL;
}


ngx_command_t *
ngx_http_mesh_command(ngx_module_t *module, const ngx_str_t *name)
{
    ngx_command_t  *cmd;

    for (cmd = module->commands; cmd->name.len; cmd++) {
        if (cmd->name.len == name->len
            && ngx_strncmp(cmd->name.data, name->data, name->len) == 0)
        {
            return cmd;
        }
    }

    return NULL;
}


void
ngx_http_mesh_levels(ngx_conf_t *cf, ngx_module_t *module, u_char *confs[3])
{
    ngx_http_conf_ctx_t       *ctx, *http;
    ngx_http_core_srv_conf_t  *cscf;

    ctx = cf->ctx;
    cscf = ctx->srv_conf[ngx_http_core_module.ctx_index];
    http = (ngx_http_conf_ctx_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                                ngx_http_module);

    confs[0] = ctx->loc_conf[module->ctx_index];
    confs[1] = cscf->ctx->loc_conf[module->ctx_index];
    confs[2] = http->loc_conf[module->ctx_index];
}


/* Every scalar of these directives is unset as -1 (ngx_conf_file.h). */
static ngx_uint_t
ngx_http_mesh_is_set(ngx_conf_t *cf, const ngx_http_mesh_default_t *d,
    ngx_command_t *cmd)
{
    u_char      *confs[3];
    ngx_uint_t   i, n;

    ngx_http_mesh_levels(cf, d->module, confs);

    n = (d->level == NGX_HTTP_MESH_LOCATION) ? 1 : 3;

    for (i = 0; i < n; i++) {
        if (*(ngx_int_t *) (confs[i] + cmd->offset) != NGX_CONF_UNSET) {
            return 1;
        }
    }

    return 0;
}


/* The one hidden upstream{}; made at the first need. */
static char *
ngx_http_mesh_upstream_conf(ngx_conf_t *cf)
{
    ngx_uint_t                       i;
    ngx_http_mesh_srv_conf_t        *mscf;
    ngx_http_upstream_srv_conf_t   **uscf;
    ngx_http_upstream_main_conf_t   *umcf;

    static ngx_str_t  name = ngx_string(NGX_HTTP_MESH_UPSTREAM);
    static ngx_str_t  text = ngx_string("upstream " NGX_HTTP_MESH_UPSTREAM
                                        " { mesh " NGX_HTTP_MESH_UPSTREAM
                                        "; } }");

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    mscf = NULL;

    for ( ;; ) {
        uscf = umcf->upstreams.elts;

        for (i = 0; i < umcf->upstreams.nelts; i++) {
            if (uscf[i]->srv_conf && uscf[i]->host.len == name.len
                && ngx_strncmp(uscf[i]->host.data, name.data, name.len) == 0)
            {
                mscf = ngx_http_conf_upstream_srv_conf(uscf[i],
                                                       ngx_http_mesh_module);
                break;
            }
        }

        if (mscf) {
            break;
        }

        if (ngx_http_mesh_parse(cf, NGX_HTTP_MAIN_CONF, &text)
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (!mscf->routed) {

        if (mscf->cluster.name.len != name.len
            || ngx_strncmp(mscf->cluster.name.data, name.data, name.len) != 0)
        {
            return "needs the name \"" NGX_HTTP_MESH_UPSTREAM "\", which an "
                   "upstream{} of yours has";
        }

        mscf->routed = 1;
        mscf->cluster.name = MESH_STR_NULL;
    }

    return NGX_CONF_OK;
}


/* A grpc_pass whose handler is kept for later and is not the location's. */
static char *
ngx_http_mesh_http2_conf(ngx_conf_t *cf, ngx_http_mesh_loc_conf_t *mlcf)
{
    ngx_http_handler_pt        handler;
    ngx_http_core_loc_conf_t  *clcf;

    static ngx_str_t  text = ngx_string("grpc_pass grpc://"
                                        NGX_HTTP_MESH_UPSTREAM "; }");

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    handler = clcf->handler;

    if (ngx_http_mesh_parse(cf, NGX_HTTP_LOC_CONF, &text) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    mlcf->http2 = clcf->handler;
    clcf->handler = handler;

    return NGX_CONF_OK;
}


static char *
ngx_http_mesh_location_conf(ngx_conf_t *cf, ngx_http_mesh_loc_conf_t *mlcf)
{
    u_char                         *p, *last;
    ngx_str_t                       text;
    unsigned                        auto_redirect;
    ngx_uint_t                      i;
    ngx_module_t                   *grpc;
    ngx_command_t                  *cmd;
    ngx_http_core_loc_conf_t       *clcf;
    const ngx_http_mesh_default_t  *d;

    text.data = ngx_pnalloc(cf->pool, NGX_HTTP_MESH_TEXT);
    if (text.data == NULL) {
        return NGX_CONF_ERROR;
    }

    last = text.data + NGX_HTTP_MESH_TEXT;
    p = ngx_slprintf(text.data, last, "proxy_pass http://%s; ",
                     NGX_HTTP_MESH_UPSTREAM);

    for (i = 0; i < mesh_nelts(ngx_http_mesh_defaults); i++) {
        d = &ngx_http_mesh_defaults[i];
        cmd = ngx_http_mesh_command(d->module, &d->name);

        if (cmd && !ngx_http_mesh_is_set(cf, d, cmd)) {
            p = ngx_slprintf(p, last, "%V %V; ", &d->name, &d->value);
        }
    }

    p = ngx_slprintf(p, last, "}");
    text.len = p - text.data;

    /* "location /a/" answers "/a" as well with a redirect, if it proxies */
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    auto_redirect = clcf->auto_redirect;
    grpc = ngx_http_mesh_module_of(cf, "ngx_http_grpc_module");

    if (grpc && ngx_http_mesh_http2_conf(cf, mlcf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_mesh_parse(cf, NGX_HTTP_LOC_CONF, &text) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    clcf->auto_redirect = auto_redirect;

    return ngx_http_mesh_route_headers(cf, grpc, mlcf);
}


/* In server{}: a "location /" with it. */
static char *
ngx_http_mesh_server_conf(ngx_conf_t *cf, ngx_str_t *table)
{
    u_char     *p, *last;
    ngx_str_t   text;

    text.data = ngx_pnalloc(cf->pool, NGX_HTTP_MESH_TEXT + table->len);
    if (text.data == NULL) {
        return NGX_CONF_ERROR;
    }

    last = text.data + NGX_HTTP_MESH_TEXT + table->len;
    p = ngx_slprintf(text.data, last, "location / { mesh_route \"%V\"; } }",
                     table);
    text.len = p - text.data;

    return ngx_http_mesh_parse(cf, NGX_HTTP_SRV_CONF, &text);
}


/*
 * Headers with "_" are as good as others to a mesh; nginx drops them unless
 * told.
 */
static void
ngx_http_mesh_underscores(ngx_conf_t *cf)
{
    ngx_http_conf_ctx_t       *http;
    ngx_http_core_srv_conf_t  *cscf, *outer;

    http = (ngx_http_conf_ctx_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                                ngx_http_module);
    outer = http->srv_conf[ngx_http_core_module.ctx_index];
    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    if (cscf->underscores_in_headers == NGX_CONF_UNSET
        && outer->underscores_in_headers == NGX_CONF_UNSET)
    {
        cscf->underscores_in_headers = 1;
    }
}


/* The name of the table that the directive asks for. */
static char *
ngx_http_mesh_route_table(ngx_conf_t *cf, ngx_str_t *table)
{
    size_t      i;
    ngx_str_t  *value;

    if (cf->args->nelts == 1) {
        ngx_str_set(table, "default");
        return NGX_CONF_OK;
    }

    value = cf->args->elts;
    *table = value[1];

    if (table->len == 0) {
        return "takes the name of a route table, which is not empty";
    }

    /* it is put into a directive of ours */

    for (i = 0; i < table->len; i++) {
        if (table->data[i] == '"' || table->data[i] == '\\'
            || table->data[i] == '$')
        {
            return "takes the name of a route table, without \", \\ and $";
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_mesh_route_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_mesh_loc_conf_t  *mlcf = conf;

    char                       *rv;
    ngx_str_t                   table;
    ngx_http_mesh_main_conf_t  *mmcf;

    static ngx_str_t  request_uri = ngx_string("request_uri");

    rv = ngx_http_mesh_route_table(cf, &table);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (cf->cmd_type & NGX_HTTP_SRV_CONF) {
        return ngx_http_mesh_server_conf(cf, &table);
    }

    if (mlcf->route != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    rv = ngx_http_mesh_upstream_conf(cf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_http_mesh_location_conf(cf, mlcf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    mmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_mesh_module);
    mmcf->request_uri = ngx_http_get_variable_index(cf, &request_uri);

    if (mmcf->request_uri == NGX_ERROR
        || ngx_http_mesh_serves(cf, &table) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_http_mesh_underscores(cf);

    mlcf->route = 1;
    mlcf->table = table;
    mlcf->needs_zone = "mesh_route";

    return NGX_CONF_OK;
}


#if (NGX_HTTP_CACHE)

/*
 * nginx's own key is the upstream's name and the path, and all that mesh_route
 * serves has one upstream.  A key of the user's, of whatever level, has been
 * merged already, and refuses this one as its duplicate.
 */
static char *
ngx_http_mesh_cache_key(ngx_conf_t *cf)
{
    char           *rv;
    ngx_str_t       words[2];
    ngx_array_t     args, *save;
    ngx_command_t  *cmd;

    ngx_str_set(&words[0], "proxy_cache_key");
    ngx_str_set(&words[1], NGX_HTTP_MESH_CACHE_KEY);

    cmd = ngx_http_mesh_command(&ngx_http_proxy_module, &words[0]);

    if (cmd == NULL) {
        return NGX_CONF_OK;
    }

    ngx_memzero(&args, sizeof(ngx_array_t));
    args.elts = words;
    args.nelts = 2;

    save = cf->args;
    cf->args = &args;

    rv = cmd->set(cf, cmd, ngx_http_conf_get_module_loc_conf(cf,
                                                       ngx_http_proxy_module));

    cf->args = save;

    return rv == NGX_CONF_ERROR ? rv : NGX_CONF_OK;
}

#endif


char *
ngx_http_mesh_conf_check(ngx_conf_t *cf, ngx_http_mesh_loc_conf_t *conf)
{
#if (NGX_HTTP_CACHE)

    if (conf->route == 1 && ngx_http_mesh_cache_key(cf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

#endif

    if (conf->needs_zone && !ngx_mesh_zone_configured(cf->cycle)) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%s\" needs \"mesh_zone\" in the main or http section",
                      conf->needs_zone);
        return NGX_CONF_ERROR;
    }

    return conf->headers ? ngx_http_mesh_route_headers_check(cf, conf)
                         : NGX_CONF_OK;
}
