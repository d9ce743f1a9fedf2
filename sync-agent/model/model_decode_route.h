/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The tables of a route's parts (model_decode_action.c,
 * model_decode_rewrite.c, model_decode_hash.c), for the table of the route
 * (model_decode_route.c).
 */

#ifndef MODEL_DECODE_ROUTE_H
#define MODEL_DECODE_ROUTE_H

#include "model_table.h"

extern const model_field_t model_split_element;    /* model_split_t */
extern const model_object_t model_redirect_object; /* model_redirect_t */
extern const model_object_t model_respond_object;  /* model_route_t */
extern const model_object_t model_rewrite_object;  /* model_route_t */
extern const model_object_t model_retry_object;    /* model_retry_t */
extern const model_object_t model_split_by_object; /* model_split_by_t */
extern const model_field_t model_hash_element;     /* model_hash_policy_t */
extern const model_object_t model_session_object;  /* model_session_t */

/* model_decode_client.c: model_addresses_t; model_share_t. */
bool model_decode_addresses(model_decoder_t *d, const model_node_t *node,
                            const model_field_t *field, void *out);
extern const model_object_t model_share_object;

/* And the runtime: model_runtime_t, by keys. */
extern const model_field_t model_runtime_element;
bool model_runtime_key(model_decoder_t *d, const model_node_t *node, void *out);

/* A weighted cluster's own rewrite: a mesh_str_t. */
extern const model_object_t model_host_rewrite_object;

/* A route's policies (model_decode_policy.c). */
extern const model_object_t model_cors_object; /* model_cors_t */
extern const model_object_t
    model_follow_object; /* model_internal_redirects_t */
extern const model_field_t model_mirror_element; /* model_mirror_t */

/* "64k", "1M", "1G", 100: a uint32_t of bytes. */
bool model_decode_size(model_decoder_t *d, const model_node_t *node,
                       const model_field_t *field, void *out);

/* What `from`, which is set, says and `cors` does not. */
void model_inherit_cors(model_cors_t *cors, const model_cors_t *from);

/* Gives the host's policies to its routes that say none. */
void model_inherit_policies(model_vhost_t *host);

/* Into a split or a mirror: "cluster", "cluster/subset". */
bool model_decode_target(model_decoder_t *d, const model_node_t *node,
                         mesh_str_t *cluster, mesh_str_t *subset);

/* One of 301, 302, 303, 307, 308 into a uint32_t. */
bool model_decode_redirect_status(model_decoder_t *d, const model_node_t *node,
                                  const model_field_t *field, void *out);

/* A mesh_str_t that begins with "/". */
bool model_decode_path(model_decoder_t *d, const model_node_t *node,
                       const model_field_t *field, void *out);

/* A mesh_str_t: what a whole path may be. */
bool model_decode_template(model_decoder_t *d, const model_node_t *node,
                           const model_field_t *field, void *out);

/* A rewrite by a template, which `node` is, and the match it belongs to. */
bool model_check_template(model_decoder_t *d, const model_node_t *node,
                          const model_route_t *route);

/* model_regex_rewrite_t; its mesh_str_t; after it and the pattern. */
extern const model_object_t model_regex_rewrite_object;
bool model_decode_substitution(model_decoder_t *d, const model_node_t *node,
                               const model_field_t *field, void *out);
bool model_finish_regex_rewrite(model_decoder_t *d, const model_node_t *node,
                                uint64_t seen, void *out);

#endif /* MODEL_DECODE_ROUTE_H */
