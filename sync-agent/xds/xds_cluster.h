/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A cluster, while its message and those of its balancer are decoded.
 */

#ifndef XDS_CLUSTER_H
#define XDS_CLUSTER_H

#include "xds_table.h"

/* xds_balancer.c: into model_cluster_t. */
extern const xds_message_t xds_ring_hash_lb_config;
extern const xds_message_t xds_maglev_lb_config;
extern const xds_message_t xds_least_request_lb_config;
extern const xds_message_t xds_round_robin_lb_config;
extern const xds_message_t xds_consistent_hashing;
extern const xds_message_t xds_load_balancing_policy;

/* Types that a load_balancing_policy may have; a NULL message ends them. */
typedef struct {
    const xds_message_t *message;
    mesh_lb_e lb;
} xds_balancer_t;

extern const xds_balancer_t xds_balancers[];

/* xds_outlier.c: model_outlier_t */
extern const xds_message_t xds_outlier_detection;
bool xds_decode_outlier(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out);

/* xds_balancer.c: what stands beside lb_policy, for a xds_cluster_t. */
bool xds_decode_lb_old(xds_decoder_t *x, const model_node_t *node,
                       const xds_field_t *field, void *out);
bool xds_decode_subset_old(xds_decoder_t *x, const model_node_t *node,
                           const xds_field_t *field, void *out);
bool xds_decode_weighted_old(xds_decoder_t *x, const model_node_t *node,
                             const xds_field_t *field, void *out);
extern const xds_message_t xds_weighted_old;

/* xds_zone_aware.c: model_zone_aware_t; beside lb_policy, of a xds_cluster_t.
 */
extern const xds_message_t xds_zone_aware;
extern const xds_message_t xds_zone_aware_old;
bool xds_decode_zone_aware_old(xds_decoder_t *x, const model_node_t *node,
                               const xds_field_t *field, void *out);

/* xds_subset.c: subsets of a xds_cluster_t. */
extern const xds_message_t xds_lb_subset_config;
extern const xds_message_t xds_subset_lb;

/* xds_cluster.c */
typedef struct {
    model_cluster_t cluster; /* the first: balancers' messages are given it */
    struct {
        uint32_t unused;     /* of what means what is the case anyway */
        bool locality_aware; /* weights of localities count in subsets */
        bool inside;         /* of the balancer that subsets have */
        model_labels_t fallback;
    } subset;
    bool by_policy; /* load_balancing_policy is there, which counts */
    bool weighted;  /* weights of localities are asked for */
    bool has_set;   /* endpoints in the cluster itself */
    xds_set_t set;
    model_dns_t dns;
} xds_cluster_t;

extern const xds_message_t xds_cluster;

/* xds_cluster_t of a xds_cluster. */
bool xds_decode_cluster(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out);

#endif /* XDS_CLUSTER_H */
