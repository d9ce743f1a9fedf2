/* SPDX-License-Identifier: Apache-2.0 */

/* Between the files of the pool of idle connections; worker state. */

#ifndef NGX_HTTP_MESH_KEEPALIVE_H
#define NGX_HTTP_MESH_KEEPALIVE_H

#include "ngx_http_mesh_upstream.h"


#define NGX_HTTP_MESH_IDLE_BUCKETS   1024       /* a power of two */


struct ngx_http_mesh_idle_s {
    ngx_queue_t                    bucket;
    ngx_queue_t                    queue;       /* of the cluster */
    ngx_connection_t              *connection;
    ngx_uint_t                     seen;        /* adoption that has it */
    ngx_http_mesh_idle_key_t       key;
    ngx_http_mesh_address_t        address;     /* not of a unix socket */
    ngx_str_t                      host;
    ngx_str_t                      sni;
};


struct ngx_http_mesh_idle_cluster_s {
    ngx_queue_t                    idle;
    ngx_uint_t                     count;
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

/* The record of the request's cluster, or NULL: no memory. */
ngx_http_mesh_idle_cluster_t *ngx_http_mesh_idle_cluster(
    ngx_http_mesh_upstream_t *up);

/* Closes an idle connection; all of a cluster. */
void ngx_http_mesh_idle_drop(ngx_http_mesh_idle_t *idle);
void ngx_http_mesh_idle_drop_all(ngx_http_mesh_idle_cluster_t *cluster);


/* --- ngx_http_mesh_keepalive_key.c --------------------------------------- */

/* Fills up->key.  NGX_DECLINED: such a connection is never kept. */
ngx_int_t ngx_http_mesh_idle_key(ngx_http_mesh_upstream_t *up,
    ngx_peer_connection_t *pc, const mesh_endpoint_t *endpoint);


/* --- ngx_http_mesh_keepalive_set.c --------------------------------------- */

/* Is the endpoint still in its cluster's set? */
ngx_uint_t ngx_http_mesh_idle_current(ngx_http_mesh_upstream_t *up);

/* A root was adopted: closes what it does not name. */
void ngx_http_mesh_idle_adopted(ngx_mesh_root_t *root);


static ngx_inline ngx_queue_t *
ngx_http_mesh_idle_bucket(ngx_http_mesh_idle_cluster_t *cluster, uint32_t hash)
{
    return &ngx_http_mesh_idle.buckets[(cluster->hash ^ hash)
                                       & (NGX_HTTP_MESH_IDLE_BUCKETS - 1)];
}


#endif /* NGX_HTTP_MESH_KEEPALIVE_H */
