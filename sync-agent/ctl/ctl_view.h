/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is seen of endpoints, written down (`meshctl -o json endpoints`) and
 * read again (`explain --view`): a decision may be repeated later, or with
 * other facts.
 */

#ifndef CTL_VIEW_H
#define CTL_VIEW_H

#include <cjson/cJSON.h>

#include "ctl_args.h"
#include "ctl_zone.h"
#include "model_node.h"

#define CTL_VIEW_MAX (UINT64_C(256) << 20) /* bytes of a file */

/* What a balancer knows of a cluster, as members of `json`. */
void ctl_view_cluster_json(const mesh_cluster_view_t *view, cJSON *json);

/* And of an endpoint, where there is something to tell. */
void ctl_view_endpoint_json(const ctl_zone_t *zone,
                            const mesh_cluster_view_t *view,
                            const mesh_view_endpoint_t *e, cJSON *json);

/* The endpoint's slot; NULL: none, or still another endpoint's. */
const mesh_endpoint_slot_t *ctl_view_slot(const ctl_zone_t *zone,
                                          const mesh_cluster_view_t *view,
                                          const mesh_view_endpoint_t *e);

/*
 * From now on the zone has seen what a view's text says, and nothing else.
 * What it says of clusters and endpoints that are not there is passed over,
 * with a warning; there is one for silence about endpoints that are, too.
 * false with errors added: it is no view.  `name`: the file's, for messages.
 */
bool ctl_view_take(ctl_zone_t *zone, const char *name, mesh_str_t text,
                   model_errors_t *errors);

/* The file of --view, if there is one; gives meshctl's exit code. */
int ctl_view_open(ctl_zone_t *zone, const ctl_args_t *args);

/* A decision came to this cluster: warns, once, if the view says nothing of it,
   or of the local cluster that its zone-aware routing asks for. */
void ctl_view_asked(ctl_zone_t *zone, const mesh_cluster_view_t *view);

void ctl_view_free(ctl_view_t *view);

#endif /* CTL_VIEW_H */
