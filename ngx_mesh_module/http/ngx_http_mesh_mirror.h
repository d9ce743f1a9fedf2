/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Mirrored requests.  Each has a pool, a connection and times of its own, and
 * nothing of the request that it is a copy of: that one does not wait for it
 * and may end first.  Nor does it wait for the worker meanwhile: a copy begins
 * when its request was answered or was waited for long enough.
 *
 *   ngx_http_mesh_mirror.c         which requests, and what is copied
 *   ngx_http_mesh_mirror_life.c    how many there may be
 *   ngx_http_mesh_mirror_send.c    the copy on its way
 */

#ifndef NGX_HTTP_MESH_MIRROR_H
#define NGX_HTTP_MESH_MIRROR_H

#include "ngx_http_mesh_keepalive.h"


/*
 * Of a worker at a time: so many, no more than this part of its connections,
 * and so many bytes of requests.
 */
#define NGX_HTTP_MESH_MIRRORS        1024
#define NGX_HTTP_MESH_MIRRORS_PART   4
#define NGX_HTTP_MESH_MIRRORS_SIZE   (16 * 1024 * 1024)

/* Of an answer; its connection is closed when there is more. */
#define NGX_HTTP_MESH_MIRROR_ANSWER  (1024 * 1024)

/* For an endpoint to close, as it was asked to. */
#define NGX_HTTP_MESH_MIRROR_CLOSE   1000

/* Of a connection: its record among idle ones fits. */
#define NGX_HTTP_MESH_MIRROR_POOL    512

/* For the answer of the request that is copied. */
#define NGX_HTTP_MESH_MIRROR_WAIT    5

/* Without a timeout of the route's. */
#define NGX_HTTP_MESH_MIRROR_MS      15000


struct ngx_http_mesh_mirror_s {
    ngx_http_mesh_mirror_t        *next;        /* that waits for a body, too */
    ngx_pool_t                    *pool;
    ngx_event_t                    post;        /* to begin a bit later */
    ngx_queue_t                    queue;       /* of the request's copies */
    ngx_peer_connection_t          peer;

    ngx_mesh_view_t               *view;        /* until its status came */
    const mesh_mirror_t           *rec;         /* as long as the view */
    mesh_cluster_slot_t           *runtime;     /* or NULL */
    uint32_t                       cluster;     /* slots */
    uint32_t                       endpoint;
    uint32_t                       index;       /* in view->endpoints */
    uint64_t                       begun_us;
    ngx_uint_t                    *copies;      /* of its cluster */

    mesh_str_t                     head;        /* of the request copied */
    mesh_str_t                     host;
    ngx_str_t                      name;        /* the endpoint's */
    ngx_str_t                      request;
    u_char                        *pos;         /* of what is sent now */
    u_char                        *last;
    mesh_mirror2_t                *http2;       /* the connection's */
    size_t                         size;        /* of all of this */
    ngx_msec_t                     timeout;
    ngx_msec_t                     deadline;
    mesh_mirror_answer_t           answer;
    size_t                         answered;    /* bytes of it */
    uint16_t                       method;      /* MESH_METHOD_* */

    ngx_http_mesh_lease_t          lease;

    unsigned                       counted:1;   /* in the gauges */
    unsigned                       two:1;       /* over HTTP/2 */
    unsigned                       over:1;      /* the endpoint is to close */

    ngx_sockaddr_t                 address;
    u_char                         text[NGX_HTTP_MESH_ENDPOINT_LEN];
    u_char                         replies[MESH_MIRROR2_REPLIES];
};


/* --- ngx_http_mesh_mirror_life.c ----------------------------------------- */

/*
 * A copy for that mirror, still without a body, or NULL: it is dropped, and
 * that was counted.  `size`: bytes of what the caller puts into its pool.
 */
ngx_http_mesh_mirror_t *ngx_http_mesh_mirror_create(ngx_mesh_view_t *view,
    const mesh_mirror_t *rec, size_t size);

/* Some more of its pool; NULL: there is no memory, or all have too much. */
u_char *ngx_http_mesh_mirror_memory(ngx_http_mesh_mirror_t *m, size_t size);

/* Gives up one that was not sent. */
void ngx_http_mesh_mirror_drop(ngx_http_mesh_mirror_t *m);

/* Frees one that was. */
void ngx_http_mesh_mirror_free(ngx_http_mesh_mirror_t *m);


/* --- ngx_http_mesh_mirror_send.c ----------------------------------------- */

/*
 * Sends it with that body, which is copied, soon.  It is in `copies` until it
 * begins, in NGX_HTTP_MESH_MIRROR_WAIT ms unless that is called before.
 */
void ngx_http_mesh_mirror_send(ngx_http_mesh_mirror_t *m, const u_char *body,
    size_t len, ngx_queue_t *copies);

/* Begins all of them when what goes on now is done. */
void ngx_http_mesh_mirror_send_now(ngx_queue_t *copies);


#endif /* NGX_HTTP_MESH_MIRROR_H */
