/* SPDX-License-Identifier: Apache-2.0 */

/* Between the files of the pool of idle connections; worker state. */

#ifndef NGX_HTTP_MESH_KEEPALIVE_H
#define NGX_HTTP_MESH_KEEPALIVE_H

#include "ngx_http_mesh_upstream.h"


#define NGX_HTTP_MESH_IDLE_BUCKETS   1024       /* a power of two */


/* Reads what has come on an idle connection; NGX_OK: it stays one. */
typedef ngx_int_t (*ngx_http_mesh_idle_read_pt)(ngx_connection_t *c,
    void *data);


struct ngx_http_mesh_idle_s {
    ngx_queue_t                    bucket;
    ngx_queue_t                    queue;       /* of the cluster */
    ngx_connection_t              *connection;
    ngx_uint_t                     seen;        /* adoption that has it */
    ngx_http_mesh_idle_key_t       key;
    ngx_http_mesh_address_t        address;     /* not of a unix socket */
    ngx_str_t                      host;
    ngx_str_t                      sni;
    ngx_http_mesh_idle_read_pt     read;        /* NULL: whatever comes ends
                                                   it */
    void                          *data;        /* read's */
};


struct ngx_http_mesh_idle_cluster_s {
    ngx_queue_t                    idle;
    ngx_uint_t                     count;
    ngx_uint_t                     copies;      /* mirrored requests that are
                                                   on their way to it */
    uint64_t                       tag;         /* of the runtime slot */
    ngx_str_t                      name;
    uint32_t                       hash;
    mesh_digest_t                  set;         /* `idle` is within it */
};


typedef struct {
    ngx_queue_t                    buckets[NGX_HTTP_MESH_IDLE_BUCKETS];
    ngx_http_mesh_idle_cluster_t **clusters;    /* by runtime slot */
    uint32_t                       used;        /* slots below it may be set */
    ngx_uint_t                     adoption;
} ngx_http_mesh_idle_table_t;


extern ngx_http_mesh_idle_table_t  ngx_http_mesh_idle;


/* --- ngx_http_mesh_keepalive.c ------------------------------------------- */

/* The record of a cluster that has a slot of that tag; NULL: no memory. */
ngx_http_mesh_idle_cluster_t *ngx_http_mesh_idle_cluster(
    const mesh_cluster_view_t *view, uint64_t tag);

/* An idle connection of that key, no longer among them, or NULL. */
ngx_connection_t *ngx_http_mesh_idle_take(ngx_http_mesh_lease_t *lease,
    ngx_log_t *log);

/*
 * A connection that has done its work becomes idle; `read` may be NULL, and
 * is kept with `data` in its record.  NGX_DECLINED: it may not be kept, and is
 * still the caller's.
 */
ngx_int_t ngx_http_mesh_idle_keep(ngx_http_mesh_lease_t *lease,
    ngx_connection_t *c, ngx_http_mesh_idle_read_pt read, void *data);

/* Closes an idle connection; all of a cluster. */
void ngx_http_mesh_idle_drop(ngx_http_mesh_idle_t *idle);
void ngx_http_mesh_idle_drop_all(ngx_http_mesh_idle_cluster_t *cluster);


/* --- ngx_http_mesh_keepalive_key.c --------------------------------------- */

/* Fills up->lease.key.  NGX_DECLINED: such a connection is never kept. */
ngx_int_t ngx_http_mesh_idle_key(ngx_http_mesh_upstream_t *up,
    ngx_peer_connection_t *pc, const mesh_endpoint_t *endpoint);


/* --- ngx_http_mesh_keepalive_set.c --------------------------------------- */

/* Is the endpoint still in its cluster's set? */
ngx_uint_t ngx_http_mesh_idle_current(ngx_http_mesh_lease_t *lease);

/* A root was adopted: closes what it does not name. */
void ngx_http_mesh_idle_adopted(ngx_mesh_root_t *root);


static ngx_inline ngx_queue_t *
ngx_http_mesh_idle_bucket(ngx_http_mesh_idle_cluster_t *cluster, uint32_t hash)
{
    return &ngx_http_mesh_idle.buckets[(cluster->hash ^ hash)
                                       & (NGX_HTTP_MESH_IDLE_BUCKETS - 1)];
}


/* Of its cluster's slot; 0: it has none. */
static ngx_inline uint64_t
ngx_http_mesh_view_tag(const mesh_cluster_view_t *view)
{
    return view->runtime ? mesh_load_relaxed(&view->runtime->tag) : 0;
}


/* What is known of a view goes on being needed when that is gone. */
static ngx_inline void
ngx_http_mesh_lease_init(ngx_http_mesh_lease_t *lease, ngx_mesh_view_t *view)
{
    const mesh_rec_cluster_t       *cluster;
    const mesh_cluster_view_t      *v;
    const mesh_rec_endpoint_set_t  *set;

    v = view->view;
    cluster = v->cluster;

    lease->tag = ngx_http_mesh_view_tag(v);
    lease->most = cluster->keepalive_idle;
    lease->timeout_ms = cluster->keepalive_timeout_ms;
    lease->requests = cluster->keepalive_requests;

    set = mesh_get(view->root->snapshot, v->bind->set);

    if (set) {
        lease->set = set->digest;
    }
}


/*
 * The key of a connection in clear text from any address, and the beginning of
 * any other one's; lease->pooled is the caller's.  `protocol`: those of
 * another are never the same.
 */
static ngx_inline ngx_int_t
ngx_http_mesh_idle_key_plain(ngx_http_mesh_lease_t *lease,
    const mesh_cluster_view_t *view, const mesh_endpoint_t *endpoint,
    void *protocol)
{
    ngx_http_mesh_idle_key_t  *key;

    if (lease->most == 0 || view->slot == MESH_SLOT_NONE) {
        return NGX_DECLINED;
    }

    key = &lease->key;
    ngx_memzero(key, sizeof(ngx_http_mesh_idle_key_t));

    key->cluster = ngx_http_mesh_idle_cluster(view, lease->tag);

    if (key->cluster == NULL) {
        return NGX_DECLINED;
    }

    key->protocol = protocol;
    key->hash = endpoint->key_hash;
    key->port = endpoint->port;
    key->family = endpoint->family;
    ngx_memcpy(key->addr, endpoint->addr, 16);

    return NGX_OK;
}


#endif /* NGX_HTTP_MESH_KEEPALIVE_H */
