/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Subsets while they are decoded, of both front ends (model_decode_subset.c).
 */

#ifndef MODEL_SUBSET_H
#define MODEL_SUBSET_H

#include "model_table.h"

extern const model_field_t model_subset_element; /* model_subset_t */
bool model_subset_key(model_decoder_t *d, const model_node_t *node, void *out);
extern const model_field_t model_selector_element; /* model_selector_t */
extern const model_object_t model_fallback_object; /* model_fallback_t */
extern const model_value_t model_fallback_words[]; /* or one of these */
bool model_decode_fallback(model_decoder_t *d, const model_node_t *node,
                           const model_field_t *field, void *out);

/* Sorts keys; false: a key twice, too many, a fallback to others. */
bool model_check_selector(model_decoder_t *d, const model_node_t *node,
                          model_selector_t *selector);
/* Is there none of the same keys before it?  It is the cluster's. */
bool model_selector_is_new(const model_cluster_t *cluster,
                           const model_selector_t *selector);
/* When all fields of a cluster are decoded. */
bool model_finish_subsets(model_decoder_t *d, const model_node_t *node,
                          model_cluster_t *cluster);

/* A subset as a route names it; the one of these labels (mesh_subset.h). */
bool model_decode_subset(model_decoder_t *d, const model_node_t *node,
                         mesh_str_t text, mesh_str_t *subset);
bool model_subset_of(model_decoder_t *d, const model_node_t *node,
                     const model_labels_t *labels, mesh_str_t *subset);

#endif /* MODEL_SUBSET_H */
