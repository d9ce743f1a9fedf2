/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What was taken of Envoy's resources, before it is joined to a part.
 */

#ifndef XDS_RESOURCES_H
#define XDS_RESOURCES_H

#include "xds.h"
#include "xds_table.h"

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
};

/* Gives clusters what is said of them where their endpoints are. */
void xds_join_sets(xds_t *xds);

/* One more, copied. */
void xds_tables_add(xds_t *xds, const xds_table_t *table);

#endif /* XDS_RESOURCES_H */
