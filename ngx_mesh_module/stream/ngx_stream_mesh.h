/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Between the files of the stream module: the balancer with its directives,
 * and what is said of listeners.
 */

#ifndef NGX_STREAM_MESH_H
#define NGX_STREAM_MESH_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_stream.h>

#include "ngx_mesh_core.h"


/* Of an upstream{}; without `mesh`, the cluster has no name. */
typedef struct {
    ngx_mesh_cluster_ref_t  cluster;
    ngx_flag_t              by_source;      /* the client's address is hashed */
} ngx_stream_mesh_srv_conf_t;


/* At the end of stream{}: where it listens, if it has `mesh` upstreams. */
ngx_int_t ngx_stream_mesh_listeners(ngx_conf_t *cf);


extern ngx_module_t  ngx_stream_mesh_module;


#endif /* NGX_STREAM_MESH_H */
