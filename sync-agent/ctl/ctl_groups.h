/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Who has how much of a cluster's load: the groups of a subset, as tables and
 * as JSON.
 */

#ifndef CTL_GROUPS_H
#define CTL_GROUPS_H

#include <cjson/cJSON.h>

#include "ctl_zone.h"

/* "eu/a", with "-" for what a locality does not say; "" for none. */
const char *ctl_locality(const ctl_zone_t *zone, mesh_ref_t locality);

/* "70/30": loads of the priorities that have endpoints. */
const char *ctl_loads(const ctl_zone_t *zone, const mesh_view_subset_t *subset);

/* A list of groups; `picked` may be NULL. */
void ctl_groups_json(const ctl_zone_t *zone, cJSON *json,
                     const mesh_view_subset_t *subset,
                     const mesh_view_group_t *picked);

/* Prints a table, if there is more than one group. */
void ctl_groups_print(const ctl_zone_t *zone, mesh_str_t cluster,
                      const mesh_view_subset_t *subset,
                      const mesh_view_group_t *picked);

#endif /* CTL_GROUPS_H */
