/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where nginx listens for the mesh, as its workers say in the runtime.
 */

#ifndef CTL_LISTENERS_H
#define CTL_LISTENERS_H

#include <cjson/cJSON.h>

#include "ctl_args.h"
#include "ctl_zone.h"
#include "mesh_listener.h"

typedef struct {
    mesh_listener_t row;
    const char *address;  /* "0.0.0.0:80", "[::]:80", "unix:/path" */
    const char *protocol; /* for people: "https, http2" */
    uint32_t ntables;
    mesh_str_t *tables;
    uint32_t workers;        /* that say it */
    uint64_t oldest, newest; /* generations that they have adopted */
} ctl_listener_t;

struct ctl_listeners_s {
    uint32_t live;     /* workers that accept connections */
    uint32_t silent;   /* of them: say nothing of listeners */
    uint32_t left_out; /* listeners that had no room, of one worker */
    uint32_t count;
    ctl_listener_t *v; /* as nginx.conf has them */
};

/* In the zone's arena.  Without a runtime there are no workers. */
const ctl_listeners_t *ctl_listeners_read(const ctl_zone_t *zone);

/* Names of its tables, or what there is in their place. */
const char *ctl_listener_tables(const ctl_zone_t *zone,
                                const ctl_listener_t *listener);

cJSON *ctl_listener_json(const ctl_zone_t *zone,
                         const ctl_listener_t *listener);

/*
 * The listeners of a request, in the zone's arena: those on --port, whose only
 * table, if they have one, becomes args->table unless --table is given;
 * without --port the only one for args->table.  NULL: that cannot be told, or
 * nothing is known of listeners.
 */
typedef struct {
    uint32_t count;
    const ctl_listener_t **v;
} ctl_listening_t;

const ctl_listening_t *ctl_listeners_match(const ctl_zone_t *zone,
                                           ctl_args_t *args);

/* "listener    0.0.0.0:80 http, table default (2 workers)", and JSON of it. */
void ctl_listening_print(const ctl_zone_t *zone, const ctl_args_t *args,
                         const ctl_listening_t *listening);
void ctl_listening_json(const ctl_zone_t *zone,
                        const ctl_listening_t *listening, cJSON *json);

#endif /* CTL_LISTENERS_H */
