/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Envoy's resources, as protobuf's JSON or YAML of the same shape, into the
 * model: clusters, endpoints, route configurations, and of listeners what
 * they say of routes; of the runtime what may be percentages.  Alone, in lists,
 * in discovery responses, in an Envoy bootstrap, in what Envoy's /config_dump
 * prints.  Several files make one part, as their resources name each other.
 *
 * No I/O, no clock; memory is the arena's; one thread.
 */

#ifndef XDS_H
#define XDS_H

#include "model.h"

typedef struct xds_s xds_t;

typedef enum {
    XDS_CLUSTERS,
    XDS_ASSIGNMENTS,
    XDS_ROUTES,
    XDS_LISTENERS,
    XDS_RUNTIMES,
    XDS_KINDS,
} xds_kind_e;

typedef struct {
    uint32_t taken;
    uint32_t refused;
} xds_count_t;

/* Something that is not built, of all resources that were added. */
typedef struct {
    const char *where;  /* "cluster: common_lb_config.zone_aware_lb_config" */
    const char *what;   /* words for what is there; "": all of it */
    uint32_t resources; /* that have it */
    bool refused;       /* they were refused for it */
} xds_missing_t;

/*
 * `apart`: what is not built and decides neither route nor cluster nor
 * endpoint is passed over with a warning; else its resource is refused.
 */
xds_t *xds_new(arena_t *arena, model_errors_t *errors, bool apart);

/* Does it look like Envoy's, and not like a native mesh? */
bool xds_recognize(const model_node_t *root);

/*
 * Takes what is in the tree, resource by resource: one that breaks a rule is
 * left out, with its errors.
 */
void xds_add(xds_t *xds, const char *file, const model_node_t *root);

/* Everything that was added, joined by names.  Once. */
model_part_t *xds_part(xds_t *xds, const char *name);

/* Where a bootstrap says that the proxies are; empty: none says it. */
const model_locality_t *xds_node(const xds_t *xds);

/* By kind, of what was added. */
const xds_count_t *xds_counts(const xds_t *xds);

/* Where an Envoy would listen, and for which route tables. */
typedef struct {
    mesh_str_t name;
    uint32_t naddresses;
    const mesh_str_t *addresses; /* "0.0.0.0:80", "unix:/path" */
    uint32_t ntables;
    const mesh_str_t *tables; /* each once */
} xds_listens_t;

/* Of all listeners that were taken, in order; after xds_part(). */
const xds_listens_t *xds_listens(const xds_t *xds, arena_t *arena,
                                 uint32_t *count);

/* In order of appearance; at most 256. */
const xds_missing_t *xds_missing(const xds_t *xds, uint32_t *count);

/* "cluster" and so on. */
const char *xds_kind_name(xds_kind_e kind);

#endif /* XDS_H */
