/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Between the files of the core module: the zone as the master opened it,
 * and the one worker state of a process.
 *
 *   ngx_mesh_core_module.c   directive, zone, module callbacks
 *   ngx_mesh_adopt.c         a worker's life: control page, adoption, tick
 *   ngx_mesh_bell.c          inotify: who tells a worker to look
 *   ngx_mesh_view.c          cache of cluster views
 *   ngx_mesh_report.c        outcomes
 */

#ifndef NGX_MESH_WORKER_H
#define NGX_MESH_WORKER_H

#include "ngx_mesh_core.h"


/*
 * A runtime that this process has mapped.  Outlives a cycle: after SIGHUP
 * the new cycle uses the old one's, because a second open file description
 * would meet the first one's lock.  Freed with the last cycle that uses it.
 */
typedef struct {
    ngx_str_t              path;        /* NUL-terminated */
    mesh_runtime_sizes_t   sizes;
    mesh_runtime_file_t    file;
    dev_t                  dev;         /* of the runtime's file */
    ino_t                  ino;
    ngx_uint_t             cycles;      /* that use it */
} ngx_mesh_zone_t;


typedef struct {
    ngx_str_t              path;        /* len 0: mesh_zone was not given */
    ngx_str_t              fallback;    /* NUL-terminated; len 0: none */
    mesh_runtime_sizes_t   sizes;
    ngx_mesh_zone_t       *zone;        /* NULL under nginx -t */
} ngx_mesh_core_conf_t;


/* --- ngx_mesh_adopt.c ---------------------------------------------------- */

/* Begins this process's work on the zone; the current root is adopted. */
ngx_int_t ngx_mesh_worker_start(ngx_cycle_t *cycle,
    ngx_mesh_core_conf_t *mcf);

/* Gives everything back.  Does nothing in a process that did not start. */
void ngx_mesh_worker_stop(void);

/* The zone that this process works on, or NULL. */
ngx_mesh_zone_t *ngx_mesh_worker_zone(void);

/* The root in force without a pin, or NULL. */
ngx_mesh_root_t *ngx_mesh_root_current(void);

/* The bell rang: `changed` when files came or went, else a publishing. */
void ngx_mesh_worker_wake(ngx_uint_t changed);


/* --- ngx_mesh_bell.c ----------------------------------------------------- */

/*
 * Watches the zone's directory and its bell, as far as they exist; may be
 * called again at any time.  NGX_OK: both are watched.  NGX_DECLINED: one is
 * missing.  NGX_ERROR: inotify cannot be had (logged once).
 */
ngx_int_t ngx_mesh_bell_watch(ngx_str_t *dir, ngx_log_t *log);
void ngx_mesh_bell_close(void);


/* --- ngx_mesh_view.c ----------------------------------------------------- */

ngx_int_t ngx_mesh_views_start(ngx_uint_t clusters, ngx_log_t *log);
void ngx_mesh_views_stop(void);

/* Drops the cached views that the root does not bind any more. */
void ngx_mesh_views_sweep(ngx_mesh_root_t *root);


#endif /* NGX_MESH_WORKER_H */
