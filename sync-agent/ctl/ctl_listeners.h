/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where nginx listens for the mesh, as its workers say in the runtime.
 */

#ifndef CTL_LISTENERS_H
#define CTL_LISTENERS_H

#include <cjson/cJSON.h>

#include "ctl_args.h"
#include "ctl_zone.h"

/* In the zone's arena.  Without a runtime there are no workers. */
const ctl_listeners_t *ctl_listeners_read(const ctl_zone_t *zone);

/*
 * The listeners of a request, in the zone's arena: those on --port, whose only
 * table, if they have one, becomes args->table unless --table is given;
 * without --port the only one for args->table.  NULL: that cannot be told, or
 * nothing is known of listeners.
 */
typedef struct ctl_listening_s ctl_listening_t;

const ctl_listening_t *ctl_listeners_match(const ctl_zone_t *zone,
                                           ctl_args_t *args);

/* "listener    0.0.0.0:80 http, table default (2 workers)", and JSON of it. */
void ctl_listening_print(const ctl_zone_t *zone, const ctl_args_t *args,
                         const ctl_listening_t *listening);
void ctl_listening_json(const ctl_zone_t *zone,
                        const ctl_listening_t *listening, cJSON *json);

#endif /* CTL_LISTENERS_H */
