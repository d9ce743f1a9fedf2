/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Inside the http glue: one context per request, configuration, and what its
 * files offer to each other.
 *
 *   ngx_http_mesh_module.c     directives, configuration, phases, set-up
 *   ngx_http_mesh_route.c      mesh_route: decision, rewrites, local answers
 *   ngx_http_mesh_route_conf.c mesh_route: what it configures
 *   ngx_http_mesh_route_headers.c  ... and has endpoints be sent
 *   ngx_http_mesh_listener.c   where nginx listens
 *   ngx_http_mesh_request.c    mesh_request_t from ngx_http_request_t
 *   ngx_http_mesh_headers.c    header operations, both ways
 *   ngx_http_mesh_facts.c      what texts with substitutions ask for
 *   ngx_http_mesh_cors.c       CORS
 *   ngx_http_mesh_follow.c     internal redirects
 *   ngx_http_mesh_mirror*.c    copies of requests
 *   ngx_http_mesh_affinity.c   hash policies, sessions, what they set
 *   ngx_http_mesh_ctx.c        the context; counting finished requests
 *   ngx_http_mesh_upstream.c   peer callbacks: pick, end
 *   ngx_http_mesh_host.c       a host that follows the endpoint
 *   ngx_http_mesh_address.c    endpoints as socket addresses
 *   ngx_http_mesh_outcome.c    what became of an attempt
 *   ngx_http_mesh_attempt.c    retries, deadlines
 *   ngx_http_mesh_timeout.c    times that hardly ever pass
 *   ngx_http_mesh_upgrade.c    WebSocket handshakes
 *   ngx_http_mesh_body.c       sending a request again
 *   ngx_http_mesh_keepalive*.c idle connections
 *   ngx_http_mesh_variables.c  $mesh_*
 *   ngx_http_mesh_page.c       long generated answers, slice by slice
 *   ngx_http_mesh_status.c     mesh_status (JSON)
 *   ngx_http_mesh_metrics.c    mesh_metrics (Prometheus)
 */

#ifndef NGX_HTTP_MESH_H
#define NGX_HTTP_MESH_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_core.h"


/* Envoy's response flags, shown by $mesh_flags. */
#define NGX_HTTP_MESH_NR     0x0001     /* no route, no virtual host */
#define NGX_HTTP_MESH_NC     0x0002     /* no such cluster */
#define NGX_HTTP_MESH_UH     0x0004     /* no healthy endpoint */
#define NGX_HTTP_MESH_UF     0x0008     /* connection failure */
#define NGX_HTTP_MESH_UC     0x0010     /* connection closed by endpoint */
#define NGX_HTTP_MESH_UT     0x0020     /* request timeout */
#define NGX_HTTP_MESH_URX    0x0040     /* retries exhausted */
#define NGX_HTTP_MESH_DC     0x0080     /* client left */
#define NGX_HTTP_MESH_NM     0x0100     /* no mesh configuration (ours) */


/* Where a redirect leads that is about to be followed. */
typedef struct ngx_http_mesh_hop_s  ngx_http_mesh_hop_t;

/* A copy of a request, to be sent to another cluster. */
typedef struct ngx_http_mesh_mirror_s  ngx_http_mesh_mirror_t;


/*
 * Lives from the first need to the end of the request's pool.  Found by
 * ngx_http_mesh_ctx(), which survives internal redirects (nginx wipes r->ctx
 * there) because a pool cleanup carries it.  The root is released when the
 * response header was sent, or at the end.
 */
typedef struct {
    ngx_mesh_root_t           *root;
    mesh_request_t             request;
    mesh_route_match_t         match;       /* route NULL: `upstream{mesh}` */
    const mesh_split_entry_t  *entry;
    const mesh_rec_bind_cluster_t  *bind;   /* of cluster_name; as root */

    /* Copies that outlive the root; in the request's pool. */
    mesh_str_t                 route_name;
    mesh_str_t                 cluster_name;
    mesh_str_t                 subset_name;
    mesh_str_t                 endpoint;    /* text of the last attempt */
    mesh_str_t                 host;        /* what endpoints see as Host */
    uint64_t                   generation;
    uint32_t                   cluster_hash;
    uint32_t                   subset_hash;

    uint32_t                   route_slot;  /* MESH_SLOT_NONE: none */
    uint64_t                   route_ticket;
    uint64_t                   cluster_ticket;  /* of the first pick */
    uint64_t                   share_ticket;
    ngx_uint_t                 tickets;     /* bit 0: route's, 1: cluster's,
                                               2: of a share of requests */

    ngx_uint_t                 attempts;
    ngx_uint_t                 flags;       /* NGX_HTTP_MESH_* */

    mesh_hash_result_t        *hash;        /* NULL: nobody asked for one */
    mesh_session_t            *session;     /* NULL: the route keeps none */
    mesh_cors_t               *cors;        /* NULL: the route has none */
    ngx_http_mesh_hop_t       *hop;         /* to be followed, or NULL */
    ngx_uint_t                 hops;        /* redirects followed */
    ngx_msec_t                 deadline_at; /* with hops: of a former route,
                                               unless 0 */
    ngx_http_mesh_mirror_t    *mirrors;     /* that wait for the body */
    ngx_queue_t                copies;      /* ... for the answer; next NULL:
                                               there never were any */
    off_t                      body_seen;   /* bytes of the body so far */

    const mesh_rec_retry_t    *retry;       /* of the route, or NULL; valid
                                               while root is held */
    uint32_t                   timeout_ms;  /* of the route; 0: none */
    uint32_t                   idle_timeout_ms;
    uint32_t                   body_limit;  /* bytes; 0: none */

    ngx_uint_t                 answer;      /* status of a local answer */
    ngx_str_t                  answer_text; /* its body, or its Location */

    unsigned                   host_follows:1;  /* the endpoint's name is
                                                   its host */
    unsigned                   host_forwards:1; /* ... x-forwarded-host */
    unsigned                   answer_kept:1;   /* error_page may not act */
    unsigned                   routed:1;    /* decided already */
    unsigned                   counted:1;
} ngx_http_mesh_ctx_t;


/* Headers of which mesh_route's location says nothing else. */
#define NGX_HTTP_MESH_OWN_CONNECTION   0x1
#define NGX_HTTP_MESH_OWN_UPGRADE      0x2


typedef struct {
    ngx_flag_t                 route;       /* mesh_route in this location */
    ngx_str_t                  table;       /* its table; "default" */
    ngx_http_complex_value_t  *authority;   /* room */
    ngx_http_handler_pt        http2;       /* grpc_pass of this location;
                                               NULL: nginx has none */

    const char                *needs_zone;  /* the directive that does */
    ngx_array_t               *headers;     /* proxy_set_header's list */
    ngx_array_t               *http2_headers;   /* grpc_set_header's */
    ngx_uint_t                 headers_given;   /* of them, up to and by ... */
    ngx_uint_t                 http2_given;     /* ... mesh_route */
    ngx_uint_t                 own;         /* NGX_HTTP_MESH_OWN_* */

    /* The table, as found in that root: a worker's cache. */
    uint64_t                       serial;
    const mesh_rec_route_table_t  *found;
} ngx_http_mesh_loc_conf_t;


typedef struct {
    ngx_mesh_cluster_ref_t     cluster;     /* "mesh NAME[/SUBSET];" */
    ngx_flag_t                 routed;      /* the hidden upstream of
                                               mesh_route: ctx decides */
} ngx_http_mesh_srv_conf_t;                 /* of an upstream{} block */


typedef struct {
    ngx_array_t                served;      /* each mesh_route: which table,
                                               in which server */
    ngx_array_t                passing;     /* servers with a location that
                                               leads to a mesh upstream */
    ngx_array_t               *passers;     /* modules that pass requests on */
    ngx_int_t                  request_uri; /* index of $request_uri, where
                                               there is a mesh_route */
} ngx_http_mesh_main_conf_t;


/* ngx_http_mesh_listener.c: the directive's server serves that table. */
ngx_int_t ngx_http_mesh_serves(ngx_conf_t *cf, ngx_str_t *table);

/* While a location is merged: notes whether it leads to a mesh upstream. */
ngx_int_t ngx_http_mesh_passes(ngx_conf_t *cf);

void *ngx_http_mesh_create_main_conf(ngx_conf_t *cf);

/* At the end of http{}: where it listens, and for which tables. */
ngx_int_t ngx_http_mesh_listeners(ngx_conf_t *cf);

/* Of ngx_http_mesh_ctx(), where r->ctx has none. */
ngx_http_mesh_ctx_t *ngx_http_mesh_ctx_find(ngx_http_request_t *r,
    ngx_uint_t create);

/* Pins a root for ctx if it has none.  NGX_OK, NGX_DECLINED: none. */
ngx_int_t ngx_http_mesh_pin(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx);

/*
 * ngx_http_mesh_request.c: fills ctx->request, normalised for the table.
 * NGX_OK; NGX_HTTP_BAD_REQUEST; NGX_HTTP_TEMPORARY_REDIRECT: to
 * ctx->request.path; NGX_ERROR.
 */
ngx_int_t ngx_http_mesh_request(ngx_http_request_t *r,
    ngx_http_mesh_ctx_t *ctx, uint32_t table_flags);

/* The same for another path and the query in `request`, which are copied. */
ngx_int_t ngx_http_mesh_request_path(ngx_http_request_t *r,
    mesh_request_t *request, mesh_str_t path, uint32_t table_flags);

/* The absolute URL of `request`, in the pool of `r`. */
ngx_int_t ngx_http_mesh_request_url(ngx_http_request_t *r,
    const mesh_request_t *request, mesh_str_t *url);

/* ngx_http_mesh_upstream.c: peer.init_upstream of mesh upstreams. */
ngx_int_t ngx_http_mesh_init_upstream(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us);

/* ngx_http_mesh_route.c */
char *ngx_http_mesh_route_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_mesh_route_handler(ngx_http_request_t *r);

/* The request is for that path and query from here on: the bytes stay. */
void ngx_http_mesh_set_uri(ngx_http_request_t *r, const u_char *data,
    size_t len);

/*
 * A redirect is followed: acts by ctx->request and ctx->match, as the handler
 * does by its own; NGX_DECLINED: the content handler is next.
 */
ngx_int_t ngx_http_mesh_route_hop(ngx_http_request_t *r,
    ngx_http_mesh_ctx_t *ctx);

/* The binding of a cluster that a record of the root names, or NULL. */
const mesh_rec_bind_cluster_t *ngx_http_mesh_bound(ngx_mesh_root_t *root,
    mesh_ref_t name, uint32_t hash);

uint64_t ngx_http_mesh_share_ticket(const mesh_request_t *request,
    const mesh_rec_route_t *route);

/* At merging: does what this location was given hold together? */
char *ngx_http_mesh_conf_check(ngx_conf_t *cf, ngx_http_mesh_loc_conf_t *conf);

/* ngx_http_mesh_headers.c: header filter for response operations. */
ngx_int_t ngx_http_mesh_headers_init(ngx_conf_t *cf);
ngx_int_t ngx_http_mesh_request_ops(ngx_http_request_t *r,
    ngx_http_mesh_ctx_t *ctx);

/* ngx_http_mesh_route.c: a weighted cluster's own host. */
ngx_int_t ngx_http_mesh_split_host(ngx_http_request_t *r,
    ngx_http_mesh_ctx_t *ctx);

/* Appends to the request's x-forwarded-host, unless it ends so already. */
ngx_int_t ngx_http_mesh_forward_host(ngx_http_request_t *r, mesh_str_t host);

/* The first header of the response, as it is so far. */
bool ngx_http_mesh_response_header(ngx_http_request_t *r, mesh_str_t name,
    mesh_str_t *value);

/*
 * ngx_http_mesh_facts.c: for mesh_substitute_write().  The second adds what
 * the endpoint was sent, which is known with its response.
 */
void ngx_http_mesh_facts(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    mesh_facts_t *facts);
void ngx_http_mesh_facts_sent(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    mesh_facts_t *facts);

/* The only header of that name in the request. */
ngx_int_t ngx_http_mesh_request_set(ngx_http_request_t *r, mesh_str_t name,
    mesh_str_t value);

/* One more header of the response, or the only one of that name. */
ngx_int_t ngx_http_mesh_response_add(ngx_http_request_t *r, mesh_str_t name,
    mesh_str_t value);
ngx_int_t ngx_http_mesh_response_set(ngx_http_request_t *r, mesh_str_t name,
    mesh_str_t value);

/*
 * ngx_http_mesh_cors.c, for a route that has such a policy.  The first
 * decides: NGX_OK; NGX_DONE: a preflight, to be answered here; NGX_ERROR.
 */
ngx_int_t ngx_http_mesh_cors(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx);
ngx_int_t ngx_http_mesh_cors_headers(ngx_http_request_t *r,
    ngx_http_mesh_ctx_t *ctx);

/*
 * ngx_http_mesh_affinity.c.  Set ctx->hash, at once for the route's split, or
 * where the cluster's balancer asks for it and it is not there yet; and
 * ctx->session, of a route that has one; adds the headers of both to the
 * response.
 */
ngx_int_t ngx_http_mesh_hash_request(ngx_http_request_t *r,
    ngx_http_mesh_ctx_t *ctx);
ngx_int_t ngx_http_mesh_hash(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx);
ngx_int_t ngx_http_mesh_session(ngx_http_request_t *r,
    ngx_http_mesh_ctx_t *ctx);
ngx_int_t ngx_http_mesh_affinity_headers(ngx_http_request_t *r,
    ngx_http_mesh_ctx_t *ctx);

/*
 * ngx_http_mesh_upgrade.c.  The second writes the headers in `own` into the
 * upstream's request, which has been created, if it is such a handshake.
 */
ngx_uint_t ngx_http_mesh_is_websocket(ngx_http_request_t *r);
ngx_int_t ngx_http_mesh_upgrade(ngx_http_request_t *r, ngx_uint_t own);

/* ngx_http_mesh_variables.c; the first gives back how long the text is. */
size_t ngx_http_mesh_flags_text(ngx_uint_t flags, u_char *text, size_t size);
ngx_int_t ngx_http_mesh_variables_init(ngx_conf_t *cf);

/* ngx_http_mesh_status.c, ngx_http_mesh_metrics.c: content handlers. */
char *ngx_http_mesh_status_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_mesh_metrics_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* Log phase: counts the finished request once. */
ngx_int_t ngx_http_mesh_log_handler(ngx_http_request_t *r);


extern ngx_module_t  ngx_http_mesh_module;


/* The request's context: NULL if there is none and `create` is 0. */
static ngx_inline ngx_http_mesh_ctx_t *
ngx_http_mesh_ctx(ngx_http_request_t *r, ngx_uint_t create)
{
    ngx_http_mesh_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_mesh_module);

    return ctx ? ctx : ngx_http_mesh_ctx_find(r, create);
}


#endif /* NGX_HTTP_MESH_H */
