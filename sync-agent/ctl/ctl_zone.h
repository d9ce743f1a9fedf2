/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A zone's files as a tool reads them, with agent and nginx dead or alive.
 */

#ifndef CTL_ZONE_H
#define CTL_ZONE_H

#include "agent_arena.h"
#include "mesh_cluster.h"
#include "mesh_health.h"
#include "mesh_runtime.h"
#include "mesh_snapshot.h"
#include "mesh_zone.h"

typedef struct ctl_compiled_s ctl_compiled_t;   /* ctl_compiled.c */
typedef struct ctl_listeners_s ctl_listeners_t; /* ctl_listeners.h */
typedef struct ctl_view_s ctl_view_t;           /* ctl_view.c */

typedef struct {
    const char *dir;
    arena_t *arena;      /* freed by ctl_zone_close() */
    mesh_arena_t memory; /* the same, for pure code */
    mesh_mapping_t *map;
    ctl_compiled_t *compiled; /* in place of `map`: --resources */
    const mesh_snapshot_t *s;
    const mesh_rec_root_t *root;    /* the asked one */
    const mesh_rec_root_t *current; /* the published one */
    uint64_t word;
    mesh_health_file_t health; /* all zero: none, or none that can be read */
    bool has_runtime;
    mesh_runtime_file_t runtime;
    const ctl_listeners_t *listeners; /* NULL: not read */
    ctl_view_t *view;                 /* in place of what is seen now: --view */
    mesh_runtime_t *seen;             /* the view's, or NULL */
    uint64_t now_ms;                  /* CLOCK_MONOTONIC */
} ctl_zone_t;

/*
 * `generation` 0: the published one; else one of the history.  false after a
 * message on standard error: there is nothing to read, or it is corrupt.
 */
bool ctl_zone_open(ctl_zone_t *zone, const char *dir, uint64_t generation);
void ctl_zone_close(ctl_zone_t *zone);

/*
 * What is derived from the zone from now on is in that arena.  The caller
 * frees it, and puts the zone's own back first.
 */
void ctl_zone_use_arena(ctl_zone_t *zone, arena_t *arena);
void ctl_compiled_free(ctl_compiled_t *compiled);

/* Roots, newest first, the published one included. */
uint32_t ctl_zone_roots(const ctl_zone_t *zone,
                        const mesh_rec_root_t *roots[MESH_HISTORY_MAX + 1]);

/* NULL without a usable runtime. */
mesh_runtime_t *ctl_zone_runtime(ctl_zone_t *zone);
const mesh_runtime_t *ctl_zone_seen(const ctl_zone_t *zone);

/* The view of a cluster, or NULL: no such cluster. */
const mesh_cluster_view_t *ctl_zone_view(ctl_zone_t *zone, mesh_str_t name);

/* The route's slot, or NULL: none, or still another route's. */
const mesh_route_slot_t *ctl_route_slot(ctl_zone_t *zone,
                                        const mesh_rec_route_t *route);

/* Names of a map in canonical (bytewise) order; in the zone's arena. */
const mesh_map_entry_t **ctl_zone_sorted(const ctl_zone_t *zone, mesh_ref_t map,
                                         uint32_t *count);

/* "usable", or why it is out: "ejected: consecutive 5xx for 12.3s more". */
void ctl_endpoint_state(const ctl_zone_t *zone, uint32_t out, uint32_t slot,
                        char *text, size_t size);

/* "3s ago", "2h ago"; unix milliseconds. */
void ctl_age(uint64_t unix_ms, char *text, size_t size);

/* Text of the snapshot or of a slot, control characters as "?". */
const char *ctl_text(const ctl_zone_t *zone, mesh_str_t text);

#endif /* CTL_ZONE_H */
