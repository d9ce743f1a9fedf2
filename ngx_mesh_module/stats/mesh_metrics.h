/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The metrics as a table: what is exported from which field of a runtime
 * slot or a view, under which name.  Any process may read; a value is one
 * atomic load.
 */

#ifndef MESH_METRICS_H
#define MESH_METRICS_H

#include "mesh_base.h"
#include "mesh_runtime.h"


typedef enum {
    MESH_METRIC_WORKER,                 /* mesh_worker_slot_t */
    MESH_METRIC_ROUTE,                  /* mesh_route_slot_t */
    MESH_METRIC_CLUSTER,                /* mesh_cluster_slot_t */
    MESH_METRIC_ENDPOINT,               /* mesh_endpoint_slot_t */
    MESH_METRIC_VIEW                    /* mesh_metric_view_t */
} mesh_metric_scope_e;

typedef enum {
    MESH_METRIC_COUNTER,
    MESH_METRIC_GAUGE
} mesh_metric_type_e;

typedef enum {
    MESH_METRIC_U64,
    MESH_METRIC_U32,
    MESH_METRIC_LOW32,                  /* of a uint64_t */
    MESH_METRIC_BOOL,                   /* uint64_t: not 0 */
    MESH_METRIC_US,                     /* uint64_t: shown as seconds */
    MESH_METRIC_STATUS                  /* uint64_t[MESH_STATUS_CLASSES] */
} mesh_metric_form_e;

typedef struct {
    const char           *name;
    const char           *help;
    mesh_metric_scope_e   scope;
    mesh_metric_type_e    type;
    mesh_metric_form_e    form;
    uint16_t              offset;       /* in the scope's slot */
} mesh_metric_t;


/* What a view says of an endpoint; the caller's to fill. */
typedef struct {
    uint64_t              drained;
} mesh_metric_view_t;


extern const mesh_metric_t  mesh_metrics[];
extern const unsigned       mesh_metrics_count;


/* How many values: MESH_STATUS_CLASSES or 1. */
static inline unsigned
mesh_metric_values(const mesh_metric_t *metric)
{
    return metric->form == MESH_METRIC_STATUS ? MESH_STATUS_CLASSES : 1;
}

/* Value `i` of a metric in its scope's slot; METRIC_US: microseconds. */
uint64_t mesh_metric_value(const mesh_metric_t *metric, const void *slot,
    unsigned i);


#endif /* MESH_METRICS_H */
