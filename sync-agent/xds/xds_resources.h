/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What was taken of Envoy's resources, before it is joined to a part.
 */

#ifndef XDS_RESOURCES_H
#define XDS_RESOURCES_H

#include "xds.h"
#include "xds_cluster.h"

extern const xds_message_t xds_response;
extern const xds_message_t xds_bootstrap;

struct xds_s {
    xds_decoder_t x; /* the first: decoders find the rest by it */
    xds_count_t counts[XDS_KINDS];
    uint32_t nclusters;
    xds_cluster_t *clusters;
    uint32_t nsets;
    xds_set_t *sets;
    uint32_t ntables;
    xds_table_t *tables;
    uint32_t nlisteners;
    xds_listener_t *listeners;
    uint32_t nvalues;
    model_runtime_t *values;  /* of the runtime; later ones count */
    model_locality_t node;    /* a bootstrap's; empty: not said */
    mesh_str_t local_cluster; /* likewise */
};

/* Gives clusters what is said of them where their endpoints are. */
void xds_join_sets(xds_t *xds);

/* xds_runtime.c: a google.protobuf.Struct of values, into `out`, a xds_t. */
extern const xds_message_t xds_runtime;         /* RTDS's resource */
extern const xds_message_t xds_layered_runtime; /* a bootstrap's */

/* The values by key, for the part. */
void xds_join_runtime(xds_t *xds, model_part_t *part);

/* One more, copied. */
void xds_tables_add(xds_t *xds, const xds_table_t *table);

#endif /* XDS_RESOURCES_H */
