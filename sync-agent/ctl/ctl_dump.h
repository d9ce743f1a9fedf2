/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a root holds, as JSON in the words of the configuration.
 */

#ifndef CTL_DUMP_H
#define CTL_DUMP_H

#include <cjson/cJSON.h>

#include "ctl_zone.h"

/*
 * "generation", and of that root's content what is asked for: "clusters" by
 * name, "route_tables" by name and domain.  The caller's to delete.
 */
cJSON *ctl_dump_json(const ctl_zone_t *zone, bool clusters, bool routes);

/* One route: "name", "match", and its action.  The caller's to delete. */
cJSON *ctl_dump_route(const ctl_zone_t *zone, const mesh_rec_route_t *route);

#endif /* CTL_DUMP_H */
