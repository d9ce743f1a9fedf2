/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Outlier detection by consecutive failures, as Envoy's
 * (docs: arch_overview/upstream/outlier): what an attempt's outcome does to
 * its endpoint.
 */

#ifndef MESH_OUTLIER_H
#define MESH_OUTLIER_H

#include "mesh_base.h"
#include "mesh_format.h"
#include "mesh_runtime.h"


/* What became of one attempt at an endpoint. */
typedef enum {
    MESH_OUTCOME_NONE = 0,              /* no vote: client left, cancelled */
    MESH_OUTCOME_STATUS,                /* a response header came */
    MESH_OUTCOME_CONNECT_FAILURE,       /* refused, unreachable, TLS */
    MESH_OUTCOME_CONNECT_TIMEOUT,
    MESH_OUTCOME_TIMEOUT,               /* sent, no header in time */
    MESH_OUTCOME_RESET                  /* closed before the header's end */
} mesh_outcome_kind_e;

typedef struct {
    mesh_outcome_kind_e  kind;
    unsigned             status;        /* HTTP status; OUTCOME_STATUS only */
    int                  grpc;          /* grpc-status, or -1 */
} mesh_outcome_t;


/* The HTTP status by which an outcome counts, gRPC statuses mapped. */
unsigned mesh_outcome_status(const mesh_outcome_t *outcome);


typedef struct {
    bool            ejected;            /* by this call */
    bool            refused;            /* max_ejection_percent forbade it */
    mesh_ejected_e  why;
    uint64_t        duration_ms;        /* of the ejection */
    uint32_t        streak;             /* failures in a row */
} mesh_outlier_verdict_t;

/*
 * Counts an outcome at an endpoint and ejects it when a streak is full.
 * `total`: endpoints in the cluster.  `random`: for jitter.  policy NULL:
 * nothing happens.  Worker only.
 */
mesh_outlier_verdict_t mesh_outlier_report(mesh_runtime_t *rt,
    const mesh_rec_outlier_t *policy, uint32_t cluster, uint32_t endpoint,
    uint32_t total, const mesh_outcome_t *outcome, uint64_t random,
    uint64_t now_ms);


#endif /* MESH_OUTLIER_H */
