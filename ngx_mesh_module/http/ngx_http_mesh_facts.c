/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What texts with substitutions can ask for: addresses, names, what became of
 * the request.
 */

#include "ngx_http_mesh.h"


static mesh_str_t
ngx_http_mesh_fact_str(ngx_str_t *s)
{
    return (mesh_str_t) { s->len, (const char *) s->data };
}


static mesh_str_t
ngx_http_mesh_fact_address(struct sockaddr *sa, socklen_t len,
    ngx_uint_t port, char buffer[MESH_FACT_MAX])
{
    size_t  n;

    if (sa == NULL) {
        return MESH_STR("");
    }

    n = ngx_sock_ntop(sa, len, (u_char *) buffer, MESH_FACT_MAX, port);

    return (mesh_str_t) { n, buffer };
}


static mesh_str_t
ngx_http_mesh_fact_number(ngx_uint_t n, char buffer[MESH_FACT_MAX])
{
    u_char  *p;

    p = ngx_sprintf((u_char *) buffer, "%ui", n);

    return (mesh_str_t) { p - (u_char *) buffer, buffer };
}


static mesh_str_t
ngx_http_mesh_fact_protocol(ngx_http_request_t *r)
{
    switch (r->http_version) {
    case NGX_HTTP_VERSION_10:
        return MESH_STR("HTTP/1.0");
    case NGX_HTTP_VERSION_11:
        return MESH_STR("HTTP/1.1");
    case NGX_HTTP_VERSION_20:
        return MESH_STR("HTTP/2");
#if (NGX_HTTP_VERSION_30)
    case NGX_HTTP_VERSION_30:
        return MESH_STR("HTTP/3");
#endif
    default:
        return ngx_http_mesh_fact_str(&r->http_protocol);
    }
}


/* By nginx's own variable, which knows whether there is TLS at all. */
static mesh_str_t
ngx_http_mesh_fact_server_name(ngx_http_request_t *r)
{
    ngx_str_t                   name;
    ngx_http_variable_value_t  *v;

    ngx_str_set(&name, "ssl_server_name");

    v = ngx_http_get_variable(r, &name,
                              ngx_hash_key(name.data, name.len));

    if (v == NULL || v->not_found) {
        return MESH_STR("");
    }

    return (mesh_str_t) { v->len, (const char *) v->data };
}


static mesh_str_t
ngx_http_mesh_fact_local(ngx_http_request_t *r, unsigned var,
    char buffer[MESH_FACT_MAX])
{
    ngx_connection_t  *c;

    c = r->connection;

    if (ngx_connection_local_sockaddr(c, NULL, 0) != NGX_OK) {
        return MESH_STR("");
    }

    switch (var) {
    case MESH_VAR_DOWNSTREAM_LOCAL_ADDRESS:
        return ngx_http_mesh_fact_address(c->local_sockaddr, c->local_socklen,
                                          1, buffer);
    case MESH_VAR_DOWNSTREAM_LOCAL_PORT:
        return ngx_http_mesh_fact_number(
                                       ngx_inet_get_port(c->local_sockaddr),
                                       buffer);
    default:
        return ngx_http_mesh_fact_address(c->local_sockaddr, c->local_socklen,
                                          0, buffer);
    }
}


static mesh_str_t
ngx_http_mesh_fact_decided(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    unsigned var, char buffer[MESH_FACT_MAX])
{
    size_t  n;

    switch (var) {
    case MESH_VAR_UPSTREAM_HOST:
        return ctx->endpoint;
    case MESH_VAR_UPSTREAM_CLUSTER:
        return ctx->cluster_name;
    case MESH_VAR_ROUTE_NAME:
        return ctx->route_name;
    case MESH_VAR_RESPONSE_CODE:
        return ngx_http_mesh_fact_number(r->headers_out.status, buffer);
    case MESH_VAR_RESPONSE_FLAGS:
        n = ngx_http_mesh_flags_text(ctx->flags, (u_char *) buffer,
                                     MESH_FACT_MAX);
        return n ? (mesh_str_t) { n, buffer } : MESH_STR("-");
    default:
        return MESH_STR("");
    }
}


static mesh_str_t
ngx_http_mesh_fact(const mesh_facts_t *facts, unsigned var,
    char buffer[MESH_FACT_MAX])
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = facts->request->ctx;
    c = r->connection;

    switch (var) {
    case MESH_VAR_DOWNSTREAM_REMOTE_ADDRESS:
        return ngx_http_mesh_fact_address(c->sockaddr, c->socklen, 1, buffer);
    case MESH_VAR_DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT:
        return ngx_http_mesh_fact_address(c->sockaddr, c->socklen, 0, buffer);
    case MESH_VAR_DOWNSTREAM_REMOTE_PORT:
        return ngx_http_mesh_fact_number(ngx_inet_get_port(c->sockaddr),
                                         buffer);
    case MESH_VAR_DOWNSTREAM_LOCAL_ADDRESS:
    case MESH_VAR_DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT:
    case MESH_VAR_DOWNSTREAM_LOCAL_PORT:
        return ngx_http_mesh_fact_local(r, var, buffer);
    case MESH_VAR_PROTOCOL:
        return ngx_http_mesh_fact_protocol(r);
    case MESH_VAR_HOSTNAME:
        return ngx_http_mesh_fact_str((ngx_str_t *) &ngx_cycle->hostname);
    case MESH_VAR_REQUESTED_SERVER_NAME:
        return ngx_http_mesh_fact_server_name(r);
    default:
        return ngx_http_mesh_fact_decided(r, facts->ctx, var, buffer);
    }
}


static bool
ngx_http_mesh_fact_response(const mesh_facts_t *facts, mesh_str_t name,
    mesh_str_t *value)
{
    return ngx_http_mesh_response_header(facts->request->ctx, name, value);
}


void
ngx_http_mesh_facts(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    mesh_facts_t *facts)
{
    facts->request = &ctx->request;
    facts->sent_path = MESH_STR_NULL;
    facts->sent_host = MESH_STR_NULL;
    facts->start_ms = (uint64_t) r->start_sec * 1000 + r->start_msec;
    facts->fact = ngx_http_mesh_fact;
    facts->response = ngx_http_mesh_fact_response;
    facts->ctx = ctx;
}


void
ngx_http_mesh_facts_sent(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    mesh_facts_t *facts)
{
    if (ctx->match.route->action != MESH_ACTION_ROUTE) {
        return;
    }

    if (mesh_route_rewrites(ctx->match.route)) {
        facts->sent_path = ngx_http_mesh_fact_str(&r->unparsed_uri);
    }

    facts->sent_host = ctx->host;
}
