/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Zone-aware routing, for people and machines: is it on, and if not, why; what
 * each locality has, of the local cluster and of this one, and what it gets.
 */

#ifndef CTL_ZONES_H
#define CTL_ZONES_H

#include <cjson/cJSON.h>

#include "ctl_zone.h"

/* Adds "zone_aware", if the cluster asks for it. */
void ctl_zones_json(const ctl_zone_t *zone, cJSON *json,
                    const mesh_cluster_view_t *view,
                    const mesh_view_subset_t *subset);

/* Prints some lines, if it does; `cluster` may be empty. */
void ctl_zones_print(const ctl_zone_t *zone, mesh_str_t cluster,
                     const mesh_cluster_view_t *view,
                     const mesh_view_subset_t *subset);

#endif /* CTL_ZONES_H */
