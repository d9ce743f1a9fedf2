/* SPDX-License-Identifier: Apache-2.0 */

/*
 * $mesh_*: what was decided for a request, and what mesh_route itself needs
 * in proxy_set_header.  All but the last three are not found when nothing
 * was decided; docs/variables.md lists them.
 */

#include "ngx_http_mesh.h"


typedef struct {
    ngx_uint_t   flag;
    const char  *name;
} ngx_http_mesh_flag_t;


/* Envoy's names; NM is ours: no mesh configuration. */
static const ngx_http_mesh_flag_t  ngx_http_mesh_flag_names[] = {
    { NGX_HTTP_MESH_NR,  "NR" },
    { NGX_HTTP_MESH_NC,  "NC" },
    { NGX_HTTP_MESH_UH,  "UH" },
    { NGX_HTTP_MESH_UF,  "UF" },
    { NGX_HTTP_MESH_UC,  "UC" },
    { NGX_HTTP_MESH_UT,  "UT" },
    { NGX_HTTP_MESH_URX, "URX" },
    { NGX_HTTP_MESH_DC,  "DC" },
    { NGX_HTTP_MESH_NM,  "NM" },
};

#define NGX_HTTP_MESH_FLAGS_LEN   64


static ngx_int_t
ngx_http_mesh_variable_set(ngx_http_variable_value_t *v, const u_char *data,
    size_t len)
{
    if (data == NULL || len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = (u_char *) data;
    v->len = len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/* `data` is the offset of a mesh_str_t in the context. */
static ngx_int_t
ngx_http_mesh_variable_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    mesh_str_t           *text;
    ngx_http_mesh_ctx_t  *ctx;

    ctx = ngx_http_mesh_ctx(r, 0);

    if (ctx == NULL) {
        return ngx_http_mesh_variable_set(v, NULL, 0);
    }

    text = (mesh_str_t *) ((u_char *) ctx + data);

    return ngx_http_mesh_variable_set(v, (const u_char *) text->data,
                                      text->len);
}


static ngx_int_t
ngx_http_mesh_variable_generation(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char               *p;
    ngx_http_mesh_ctx_t  *ctx;

    ctx = ngx_http_mesh_ctx(r, 0);

    if (ctx == NULL || ctx->generation == 0) {
        return ngx_http_mesh_variable_set(v, NULL, 0);
    }

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_mesh_variable_set(v, p,
                               ngx_sprintf(p, "%uL", ctx->generation) - p);
}


static ngx_int_t
ngx_http_mesh_variable_hash(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char               *p;
    ngx_http_mesh_ctx_t  *ctx;

    ctx = ngx_http_mesh_ctx(r, 0);

    if (ctx == NULL || ctx->hash == NULL || !ctx->hash->known) {
        return ngx_http_mesh_variable_set(v, NULL, 0);
    }

    p = ngx_pnalloc(r->pool, 16);
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_mesh_variable_set(v, p,
                              ngx_sprintf(p, "%016xL", ctx->hash->hash) - p);
}


static ngx_int_t
ngx_http_mesh_variable_attempts(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char               *p;
    ngx_http_mesh_ctx_t  *ctx;

    ctx = ngx_http_mesh_ctx(r, 0);

    if (ctx == NULL) {
        return ngx_http_mesh_variable_set(v, NULL, 0);
    }

    p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_mesh_variable_set(v, p,
                                  ngx_sprintf(p, "%ui", ctx->attempts) - p);
}


size_t
ngx_http_mesh_flags_text(ngx_uint_t flags, u_char *text, size_t size)
{
    u_char      *p;
    ngx_uint_t   i;

    p = text;

    for (i = 0; i < mesh_nelts(ngx_http_mesh_flag_names); i++) {
        if (flags & ngx_http_mesh_flag_names[i].flag) {
            p = ngx_snprintf(p, text + size - p, "%s%s", p == text ? "" : ",",
                             ngx_http_mesh_flag_names[i].name);
        }
    }

    return p - text;
}


static ngx_int_t
ngx_http_mesh_variable_hops(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char               *p;
    ngx_http_mesh_ctx_t  *ctx;

    ctx = ngx_http_mesh_ctx(r, 0);

    if (ctx == NULL) {
        return ngx_http_mesh_variable_set(v, NULL, 0);
    }

    p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_mesh_variable_set(v, p,
                                      ngx_sprintf(p, "%ui", ctx->hops) - p);
}


static ngx_int_t
ngx_http_mesh_variable_flags(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char               *p;
    ngx_http_mesh_ctx_t  *ctx;

    ctx = ngx_http_mesh_ctx(r, 0);

    if (ctx == NULL || ctx->flags == 0) {
        return ngx_http_mesh_variable_set(v, NULL, 0);
    }

    p = ngx_pnalloc(r->pool, NGX_HTTP_MESH_FLAGS_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_mesh_variable_set(v, p,
                 ngx_http_mesh_flags_text(ctx->flags, p,
                                          NGX_HTTP_MESH_FLAGS_LEN));
}


/* "ROUTE.CLUSTER[.SHARE]"; "-" for a ticket that was not drawn. */
static ngx_int_t
ngx_http_mesh_variable_ticket(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char               *p, *start;
    ngx_http_mesh_ctx_t  *ctx;

    ctx = ngx_http_mesh_ctx(r, 0);

    if (ctx == NULL || ctx->tickets == 0) {
        return ngx_http_mesh_variable_set(v, NULL, 0);
    }

    start = ngx_pnalloc(r->pool, 3 * NGX_INT64_LEN + 2);
    if (start == NULL) {
        return NGX_ERROR;
    }

    p = start;

    if (ctx->tickets & 1) {
        p = ngx_sprintf(p, "%uL", ctx->route_ticket);

    } else {
        *p++ = '-';
    }

    *p++ = '.';

    if (ctx->tickets & 2) {
        p = ngx_sprintf(p, "%uL", ctx->cluster_ticket);

    } else {
        *p++ = '-';
    }

    if (ctx->tickets & 4) {
        p = ngx_sprintf(p, ".%uL", ctx->share_ticket);
    }

    return ngx_http_mesh_variable_set(v, start, p - start);
}


/* `data` is the text while the request is a WebSocket's handshake. */
static ngx_int_t
ngx_http_mesh_variable_upgrade(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    const u_char  *text = (const u_char *) data;

    if (!ngx_http_mesh_is_websocket(r)) {
        *v = ngx_http_variable_null_value;
        return NGX_OK;
    }

    return ngx_http_mesh_variable_set(v, text, ngx_strlen(text));
}


#define ngx_http_mesh_text(field)   offsetof(ngx_http_mesh_ctx_t, field)

static ngx_http_variable_t  ngx_http_mesh_variables[] = {

    { ngx_string("mesh_generation"), NULL,
      ngx_http_mesh_variable_generation, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_route"), NULL, ngx_http_mesh_variable_text,
      ngx_http_mesh_text(route_name), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_cluster"), NULL, ngx_http_mesh_variable_text,
      ngx_http_mesh_text(cluster_name), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_subset"), NULL, ngx_http_mesh_variable_text,
      ngx_http_mesh_text(subset_name), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_endpoint"), NULL, ngx_http_mesh_variable_text,
      ngx_http_mesh_text(endpoint), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_flags"), NULL,
      ngx_http_mesh_variable_flags, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_attempts"), NULL,
      ngx_http_mesh_variable_attempts, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_redirects"), NULL,
      ngx_http_mesh_variable_hops, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_ticket"), NULL,
      ngx_http_mesh_variable_ticket, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_hash"), NULL,
      ngx_http_mesh_variable_hash, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_host"), NULL, ngx_http_mesh_variable_text,
      ngx_http_mesh_text(host), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_connection"), NULL,
      ngx_http_mesh_variable_upgrade, (uintptr_t) "upgrade", 0, 0 },

    { ngx_string("mesh_upgrade"), NULL,
      ngx_http_mesh_variable_upgrade, (uintptr_t) "websocket", 0, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_mesh_variables_init(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_mesh_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}
