/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The table of mesh_metrics.def, and how a value is read.
 */

#include "mesh_metrics.h"


typedef mesh_worker_slot_t    mesh_metric_WORKER_t;
typedef mesh_route_slot_t     mesh_metric_ROUTE_t;
typedef mesh_cluster_slot_t   mesh_metric_CLUSTER_t;
typedef mesh_endpoint_slot_t  mesh_metric_ENDPOINT_t;
typedef mesh_metric_view_t    mesh_metric_VIEW_t;


#define M(scope, name, type, form, field, help)                               \
    { name, help, MESH_METRIC_##scope, MESH_METRIC_##type,                    \
      MESH_METRIC_##form, offsetof(mesh_metric_##scope##_t, field) },

const mesh_metric_t  mesh_metrics[] = {
#include "mesh_metrics.def"
};

#undef M


const unsigned  mesh_metrics_count = mesh_nelts(mesh_metrics);


uint64_t
mesh_metric_value(const mesh_metric_t *metric, const void *slot, unsigned i)
{
    uint64_t        value;
    const uint8_t  *field;

    field = (const uint8_t *) slot + metric->offset;

    if (metric->form == MESH_METRIC_U32) {
        return mesh_load_relaxed((const uint32_t *) (const void *) field);
    }

    value = mesh_load_relaxed((const uint64_t *) (const void *) field + i);

    switch (metric->form) {

    case MESH_METRIC_LOW32:
        return (uint32_t) value;

    case MESH_METRIC_BOOL:
        return value != 0;

    default:
        return value;
    }
}
