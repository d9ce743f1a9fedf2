/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the files of the upstream side share: the state of a request at its
 * endpoints.
 */

#ifndef NGX_HTTP_MESH_UPSTREAM_H
#define NGX_HTTP_MESH_UPSTREAM_H

#include "ngx_http_mesh.h"


#define NGX_HTTP_MESH_TRIED        8    /* endpoints remembered as tried */
#define NGX_HTTP_MESH_KEPT         65536    /* bytes of a body kept */

/* As ngx_http_upstream_next() has it. */
#define NGX_HTTP_MESH_NON_IDEMPOTENT                                          \
    (NGX_HTTP_POST|NGX_HTTP_LOCK|NGX_HTTP_PATCH)

#define NGX_HTTP_MESH_ENDPOINT_LEN                                            \
    (sizeof("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535"))


typedef struct ngx_http_mesh_idle_s          ngx_http_mesh_idle_t;
typedef struct ngx_http_mesh_idle_cluster_s  ngx_http_mesh_idle_cluster_t;


/*
 * May an idle connection carry another request?  Only if all of this is the
 * same.  Compared as bytes: no holes.
 */
typedef struct {
    ngx_http_mesh_idle_cluster_t  *cluster;
    void                          *protocol;    /* u->output.tag */
    void                          *tls;         /* SSL_CTX, or NULL */
    uint32_t                       hash;        /* endpoint's key_hash */
    uint16_t                       port;
    uint8_t                        family;
    uint8_t                        verify;      /* of TLS */
    uint8_t                        addr[16];
    uint8_t                        local_addr[16];
    uint16_t                       local_port;
    uint16_t                       local_family;    /* 0: not bound */
    uint32_t                       transparent;
} ngx_http_mesh_idle_key_t;


/* By what a connection is taken from the idle ones, and kept afterwards. */
typedef struct {
    ngx_http_mesh_idle_t          *idle;        /* record of the connection
                                                   in use, or NULL */
    ngx_http_mesh_idle_key_t       key;
    ngx_str_t                      host;        /* unix path */
    ngx_str_t                      sni;
    uint64_t                       tag;         /* of the cluster's slot */
    mesh_digest_t                  set;         /* endpoint set picked from */
    uint32_t                       most;        /* that its cluster keeps */
    uint32_t                       timeout_ms;
    uint32_t                       requests;    /* of a connection */

    unsigned                       pooled:1;    /* `key` is complete */
} ngx_http_mesh_lease_t;


/* An endpoint as nginx wants it; one per attempt, kept for logs. */
typedef struct {
    ngx_str_t                      name;
    union {
        struct sockaddr            sockaddr;
        struct sockaddr_in         in;
        struct sockaddr_in6        in6;
    } u;
    u_char                         text[NGX_HTTP_MESH_ENDPOINT_LEN];
} ngx_http_mesh_address_t;


typedef struct ngx_http_mesh_upstream_s  ngx_http_mesh_upstream_t;

/* A time that has been set or not; see ngx_http_mesh_timeout.c. */
typedef struct {
    ngx_queue_t                    queue;
    ngx_msec_t                     at;
    ngx_int_t                      ident;
    ngx_event_t                   *event;       /* where there is no queue */
    ngx_http_mesh_upstream_t      *upstream;
    void                         (*handler)(ngx_http_mesh_upstream_t *up);
    unsigned                       set:1;
} ngx_http_mesh_timeout_t;


struct ngx_http_mesh_upstream_s {
    ngx_http_request_t            *request;
    ngx_http_upstream_t           *upstream;
    ngx_http_mesh_ctx_t           *ctx;

    ngx_mesh_view_t               *view;        /* pinned until the response
                                                   header was sent */
    const mesh_view_subset_t      *subset;
    mesh_cluster_slot_t           *runtime;     /* or NULL; ours as long as
                                                   its tag is the lease's */
    uint32_t                       cluster;     /* slots, for what outlives */
    uint32_t                       endpoint;    /* the view */

    uint32_t                       index;       /* of the attempt under way in
                                                   view->endpoints, or
                                                   MESH_PICK_NONE */
    uint32_t                       ntried;
    uint32_t                       tried[NGX_HTTP_MESH_TRIED];
    uint64_t                       begun_us;    /* of the attempt; 0: nobody
                                                   wants to know */

    /* retries */
    const mesh_rec_retry_t        *policy;      /* NULL: nginx's directives
                                                   decide */
    mesh_outcome_t                 refused;     /* the response that is ... */
    ngx_uint_t                     refusal;     /* ... given up for a retry */
    ngx_uint_t                     attempts;    /* of this upstream */
    ngx_uint_t                     retries;
    ngx_uint_t                     races;
    ngx_int_t                    (*process_header)(ngx_http_request_t *r);
    ngx_int_t                    (*reinit_request)(ngx_http_request_t *r);
    ngx_buf_t                     *header;      /* request header, to repeat */
    ngx_chain_t                   *body;        /* what follows it; of a host
                                                   that follows the endpoint */
    ngx_http_event_handler_pt      read_handler;    /* client's, while nothing
                                                       is sent to endpoints */
    ngx_output_chain_filter_pt     output_filter;   /* the module's own */
    void                          *filter_ctx;

    /* times */
    ngx_http_mesh_timeout_t        deadline;    /* of the whole request; no
                                                   handler: none */
    ngx_http_mesh_timeout_t        try_deadline;    /* of one attempt */

    ngx_http_mesh_lease_t          lease;       /* keep-alive */

    unsigned                       drawn:1;     /* the request's ticket */
    unsigned                       reported:1;  /* the attempt's outcome */
    unsigned                       counted:1;   /* in the gauges */
    unsigned                       raced:1;     /* replaying a race */
    unsigned                       expired:1;   /* the deadline passed */
    unsigned                       resumed:1;   /* a body that is being read */
    unsigned                       framed:1;    /* what is sent first */
    unsigned                       no_buffering:1;  /* before any attempt */
    unsigned                       following:1; /* its redirect */

    ngx_http_mesh_address_t       *current;     /* of this attempt, if it is
                                                   not a unix socket */
    ngx_http_mesh_address_t        address;     /* of the first attempt */
    ngx_http_upstream_conf_t       conf;        /* the request's own */
};


/* The first bytes of a request body, until they are too many. */
typedef struct {
    u_char                        *start;
    size_t                         len;
    size_t                         size;
    unsigned                       complete:1;
    unsigned                       overflow:1;
    unsigned                       lent:1;      /* an endpoint may be sent it */
} ngx_http_mesh_kept_t;


/*
 * All of a request, carried by its pool's cleanup and used again by later
 * requests; ctx comes first.  Not from the pool, which it would make grow by
 * another block.
 */
typedef struct ngx_http_mesh_carrier_s  ngx_http_mesh_carrier_t;

struct ngx_http_mesh_carrier_s {
    ngx_http_mesh_ctx_t            ctx;
    ngx_http_request_t            *request;
    ngx_http_mesh_upstream_t      *upstream;
    ngx_http_mesh_kept_t           kept;

    ngx_http_mesh_carrier_t       *next;        /* of the spare ones */
    ngx_http_mesh_upstream_t       first;       /* `upstream`, mostly */
};


#define ngx_http_mesh_carrier(ctx)   ((ngx_http_mesh_carrier_t *) (ctx))


/*
 * A length that the compiler does not know.  A known one of some hundred
 * bytes has gcc write "rep stos" and "rep movs", whose start takes longer
 * than all that the library's memset() and memcpy() do.
 */
static ngx_inline size_t
ngx_http_mesh_length_of(size_t length)
{
    __asm__ ("" : "+r" (length));

    return length;
}


/* --- ngx_http_mesh_ctx.c ------------------------------------------------- */

/* Lets the root go; twice does no harm. */
void ngx_http_mesh_unpin(ngx_http_mesh_ctx_t *ctx);


/* --- ngx_http_mesh_upstream.c -------------------------------------------- */

/* peer.init; also tells an upstream that is ours. */
ngx_int_t ngx_http_mesh_init(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);

/* Takes back peer.init where a newer nginx wrapped it. */
ngx_int_t ngx_http_mesh_upstreams(ngx_conf_t *cf);

/*
 * Ends an upstream in its init or get, but not its request, which the caller
 * finalizes.  When that returns NGX_ERROR, nginx finds the upstream finalized
 * already, as it does after a client's abort.
 */
void ngx_http_mesh_upstream_end(ngx_http_request_t *r, ngx_int_t rc);

/* Lets the view go; ends timers.  Twice does no harm. */
void ngx_http_mesh_upstream_release(ngx_http_mesh_upstream_t *up);


/* --- ngx_http_mesh_address.c --------------------------------------------- */

/*
 * A connection to the endpoint (NGX_DONE), or its address for one (NGX_OK);
 * NGX_ERROR.  Each attempt has an address of its own: $upstream_addr shows
 * all of them.
 */
ngx_int_t ngx_http_mesh_connect(ngx_http_mesh_upstream_t *up,
    ngx_peer_connection_t *pc, const mesh_endpoint_t *endpoint);


/* --- ngx_http_mesh_outcome.c --------------------------------------------- */

/* Response header: report it, let root and view go. */
void ngx_http_mesh_header_filter_init(void);

/* Lets the view go. */
void ngx_http_mesh_view_done(ngx_http_mesh_upstream_t *up);

/* Tells a balancer that learns (mesh_lb_learns()) how an attempt went. */
void ngx_http_mesh_observe(ngx_mesh_view_t *view, uint32_t index,
    uint64_t begun_us, const mesh_outcome_t *outcome);

/* Tells the core module, once per attempt. */
void ngx_http_mesh_report(ngx_http_mesh_upstream_t *up,
    const mesh_outcome_t *outcome);

/* The flags that an outcome sets. */
void ngx_http_mesh_flags(ngx_http_mesh_upstream_t *up,
    const mesh_outcome_t *outcome);

/* What became of the attempt under way, by nginx's own traces. */
void ngx_http_mesh_outcome(ngx_http_mesh_upstream_t *up,
    ngx_peer_connection_t *pc, ngx_uint_t state, mesh_outcome_t *outcome);

/* grpc-status of the response, or -1. */
int ngx_http_mesh_grpc_status(ngx_http_upstream_t *u);


/* --- ngx_http_mesh_attempt.c --------------------------------------------- */

/* Once per request: policy, timeouts, hooks. */
ngx_int_t ngx_http_mesh_attempts_init(ngx_http_mesh_upstream_t *up);

/* An attempt begins. */
void ngx_http_mesh_attempt_begin(ngx_http_mesh_upstream_t *up);

/*
 * An attempt has failed: will there be another one?  Sets nginx's own
 * switches accordingly.
 */
mesh_retry_verdict_e ngx_http_mesh_attempt_failed(ngx_http_mesh_upstream_t *up,
    ngx_peer_connection_t *pc, const mesh_outcome_t *outcome);

/* For a route that says nothing about retries. */
extern const mesh_rec_retry_t  ngx_http_mesh_default_retry;

/* $upstream_status of a response that did not go to the client. */
void ngx_http_mesh_restore_status(ngx_http_mesh_upstream_t *up);

void ngx_http_mesh_timers_delete(ngx_http_mesh_upstream_t *up);


/* --- ngx_http_mesh_follow.c ---------------------------------------------- */

/*
 * A redirect has come, and root and view are held: NGX_OK if it is to be
 * followed: then ngx_http_mesh_follow_go(), in the place of the next pick.
 */
ngx_int_t ngx_http_mesh_follow(ngx_http_mesh_upstream_t *up,
    ngx_uint_t status);
ngx_int_t ngx_http_mesh_follow_go(ngx_http_mesh_upstream_t *up);


/* --- ngx_http_mesh_mirror.c ---------------------------------------------- */

/* A request of a route with mirrors is about to be sent; the root is held. */
void ngx_http_mesh_mirrors(ngx_http_mesh_upstream_t *up);

/* More of the body has come, while ctx->mirrors wait for it. */
void ngx_http_mesh_mirrors_body(ngx_http_mesh_ctx_t *ctx);

/* It will not come. */
void ngx_http_mesh_mirrors_drop(ngx_http_mesh_ctx_t *ctx);

/* The request has its answer, or none: copies need not wait any more. */
void ngx_http_mesh_mirrors_answered(ngx_http_mesh_ctx_t *ctx);


/* --- ngx_http_mesh_timeout.c --------------------------------------------- */

/*
 * Calls t->handler(t->upstream), both set by the caller, in `length`
 * milliseconds; a time that is set already is set anew.  The rest of `t` is
 * zeroed before its first use.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_mesh_timeout_add(ngx_http_mesh_timeout_t *t,
    ngx_msec_t length);

/* Takes a time back; twice does no harm. */
void ngx_http_mesh_timeout_delete(ngx_http_mesh_timeout_t *t);


/* --- ngx_http_mesh_host.c ------------------------------------------------ */

/*
 * Before an attempt at the endpoint: makes the request's header anew if its
 * host is another one.
 */
ngx_int_t ngx_http_mesh_host_follow(ngx_http_mesh_upstream_t *up,
    const mesh_endpoint_t *endpoint);


/* --- ngx_http_mesh_body.c ------------------------------------------------ */

void ngx_http_mesh_body_filter_init(void);

/*
 * Is a request, as it was created, HTTP/2?  By its first bytes: grpc_pass, and
 * proxy_pass of newer nginx.
 */
ngx_uint_t ngx_http_mesh_is_h2(const ngx_buf_t *header);

/* Could the whole request be sent again? */
ngx_uint_t ngx_http_mesh_body_repeatable(ngx_http_mesh_upstream_t *up);

/* Prepares u->request_bufs to send the request again. */
ngx_int_t ngx_http_mesh_body_repeat(ngx_http_mesh_upstream_t *up);

/* A link with a buffer of that memory; NULL: there is no memory for it. */
ngx_chain_t *ngx_http_mesh_link(ngx_pool_t *pool, u_char *start, size_t len);

/* nginx has gone on to the next attempt: the rest of the body is streamed. */
void ngx_http_mesh_body_stream(ngx_http_mesh_upstream_t *up);


/* --- ngx_http_mesh_keepalive.c ------------------------------------------- */

/*
 * NGX_DONE: pc->connection is an idle one; NGX_OK: connect.  For a unix
 * socket, up->lease.host is its path.
 */
ngx_int_t ngx_http_mesh_idle_get(ngx_http_mesh_upstream_t *up,
    ngx_peer_connection_t *pc, const mesh_endpoint_t *endpoint);

/* The address of the connection that was got. */
const ngx_http_mesh_address_t *ngx_http_mesh_idle_address(
    ngx_http_mesh_upstream_t *up);

/* Keeps pc->connection, if it may be kept, and sets that to NULL. */
void ngx_http_mesh_idle_save(ngx_http_mesh_upstream_t *up,
    ngx_peer_connection_t *pc, ngx_uint_t state);


#endif /* NGX_HTTP_MESH_UPSTREAM_H */
