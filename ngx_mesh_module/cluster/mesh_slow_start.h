/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Slow start: an endpoint that has just come in gets a growing part of its
 * weight (Envoy's slow_start_config).  Views in between are rebuilt in steps.
 */

#ifndef MESH_SLOW_START_H
#define MESH_SLOW_START_H

#include "mesh_cluster.h"


/* Weights are this many times what they were while anybody starts slowly. */
#define MESH_SLOW_START_SCALE   128


/*
 * Sets the weights of a view's endpoints, whose `out` is known.  A worker
 * (writable) also notes in the runtime who came in when.  Returns when the
 * view is to be rebuilt; UINT64_MAX: nobody starts slowly.
 */
uint64_t mesh_slow_start(const mesh_cluster_view_t *view,
    mesh_view_endpoint_t *endpoints, mesh_runtime_t *rt, bool writable,
    uint64_t now_ms);


#endif /* MESH_SLOW_START_H */
