/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Between the files of the core module: the zone as the master opened it,
 * and the one worker state of a process.
 *
 *   ngx_mesh_core_module.c   directive, zone, module callbacks
 *   ngx_mesh_worker.c        a worker's begin, tick, end; the control page
 *   ngx_mesh_adopt.c         from a control word to the root in force
 *   ngx_mesh_fallback.c      the last-good copy at a cold start
 *   ngx_mesh_slot.c          the worker's slot in the runtime
 *   ngx_mesh_listener.c      where nginx listens
 *   ngx_mesh_regex.c         compiled regular expressions
 *   ngx_mesh_health.c        health words
 *   ngx_mesh_bell.c          inotify: who tells a worker to look
 *   ngx_mesh_view.c          cache of cluster views
 *   ngx_mesh_table.c         tables that views share
 *   ngx_mesh_report.c        outcomes
 */

#ifndef NGX_MESH_WORKER_H
#define NGX_MESH_WORKER_H

#include <ngx_event.h>

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
    mesh_listeners_t      *listeners;   /* NULL: nowhere */
} ngx_mesh_core_conf_t;


#define NGX_MESH_HANDLERS        4

#define NGX_MESH_SLICE           (256 * 1024)   /* bytes checked beside ... */
#define NGX_MESH_SLICE_REQUEST   (64 * 1024)    /* ... and within a request */


typedef struct {
    ngx_mesh_zone_t         *zone;      /* NULL: not started */
    ngx_str_t                fallback;
    mesh_runtime_t          *runtime;
    mesh_runtime_t           alone;     /* without a slot: private */
    mesh_listeners_t        *listeners; /* of the configuration; NULL: none */

    const mesh_control_t    *control;   /* NULL: none yet */
    dev_t                    control_dev;
    ino_t                    control_ino;

    uint64_t                 seen;      /* the last word that was looked at */
    uint64_t                 adopted;   /* the word of `root`; 0: of another
                                           control page or the fallback */
    ngx_uint_t               retry;     /* `seen` could not be read; the tick
                                           tries again */
    ngx_uint_t               page_bad;  /* a control page was refused */
    mesh_mapping_t          *mapping;   /* of the newest word's file */
    uint32_t                 file;      /* its number; 0: the fallback's */
    ngx_mesh_root_t         *root;      /* in force, pinned; or NULL */
    const char              *why;       /* there is none */

    mesh_health_file_t       health;
    ngx_uint_t               health_bad;    /* one was refused */
    uint64_t                 health_seen;   /* its changes at the last look */

    ngx_mesh_adopted_pt      handlers[NGX_MESH_HANDLERS];
    ngx_uint_t               nhandlers;

    ngx_event_t              adopt;     /* the next slice */
    ngx_event_t              tick;
    ngx_event_t              health_timer;
    ngx_uint_t               ticks;
    ngx_uint_t               stale;     /* views are to be swept */
} ngx_mesh_worker_t;


extern ngx_mesh_worker_t  ngx_mesh_worker;


/* --- ngx_mesh_worker.c --------------------------------------------------- */

/* Begins this process's work on the zone; the current root is adopted. */
ngx_int_t ngx_mesh_worker_start(ngx_cycle_t *cycle,
    ngx_mesh_core_conf_t *mcf);

/* Gives everything back.  Does nothing in a process that did not start. */
void ngx_mesh_worker_stop(void);

/* The bell rang: `changed` when files came or went, else a publishing. */
void ngx_mesh_worker_wake(ngx_uint_t changed);


/* --- ngx_mesh_adopt.c ---------------------------------------------------- */

/* A root with one reference, or NULL: no memory. */
ngx_mesh_root_t *ngx_mesh_root_create(mesh_mapping_t *mapping,
    const mesh_rec_root_t *rec, uint64_t word);

/* Puts a root in force; takes over the caller's reference. */
void ngx_mesh_root_switch(ngx_mesh_worker_t *w, ngx_mesh_root_t *root);

/*
 * Works on the control word for about `budget` bytes (0: to the end).
 * NGX_AGAIN: there is more to do.
 */
ngx_int_t ngx_mesh_adopt_slice(ngx_mesh_worker_t *w, uint64_t budget);

/* A slice now, the rest by itself. */
void ngx_mesh_adopt(ngx_mesh_worker_t *w, uint64_t budget);
void ngx_mesh_adopt_handler(ngx_event_t *ev);

/* Lets the file of the newest word go. */
void ngx_mesh_mapping_drop(ngx_mesh_worker_t *w);

/* "mesh: WHAT; generation 12 goes on". */
void ngx_mesh_log_refusal(ngx_mesh_worker_t *w, ngx_err_t err,
    const char *what);


/* --- ngx_mesh_fallback.c ------------------------------------------------- */

/* Serves the last-good copy if there is nothing else. */
void ngx_mesh_fallback(ngx_mesh_worker_t *w);


/* ngx_mesh_regex.c */
void ngx_mesh_regex_exit(void);

/* --- ngx_mesh_slot.c ----------------------------------------------------- */

/*
 * Claims a slot.  Without a free one the worker gets a runtime of its own,
 * and the tick goes on trying.  NGX_ERROR: no memory for that.
 */
ngx_int_t ngx_mesh_runtime_start(ngx_mesh_worker_t *w);
void ngx_mesh_runtime_stop(ngx_mesh_worker_t *w);
void ngx_mesh_runtime_tick(ngx_mesh_worker_t *w);

/* Writes into the slot what is in force, and that a root was refused. */
void ngx_mesh_acknowledge(ngx_mesh_worker_t *w);
void ngx_mesh_acknowledge_refusal(ngx_mesh_worker_t *w);


/* --- ngx_mesh_listener.c ------------------------------------------------- */

/* Says in the slot where this configuration listens. */
void ngx_mesh_listeners_tell(ngx_mesh_worker_t *w);


/* --- ngx_mesh_health.c --------------------------------------------------- */

/* Maps the file that the zone's directory shows now. */
void ngx_mesh_health_find(ngx_mesh_worker_t *w);

/* Has it changed?  Then that is acknowledged soon. */
void ngx_mesh_health_look(ngx_mesh_worker_t *w);
void ngx_mesh_health_handler(ngx_event_t *ev);

/* Writes into the slot that no view is older than the last look. */
void ngx_mesh_health_acknowledge(ngx_mesh_worker_t *w);


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

/* Drops the cached views that the root does not bind any more, or all. */
void ngx_mesh_views_sweep(ngx_mesh_root_t *root);
void ngx_mesh_views_drop(void);


/* --- ngx_mesh_table.c ---------------------------------------------------- */

typedef struct ngx_mesh_table_s  ngx_mesh_table_t;

void ngx_mesh_tables_start(void);

/* Frees what nobody uses. */
void ngx_mesh_tables_stop(void);

/*
 * Gives a group of a view its table: one of equal content, or a new one.
 * NULL: it needs none, or has it, or there is no memory.
 */
ngx_mesh_table_t *ngx_mesh_table_acquire(ngx_mesh_view_t *view,
    mesh_view_group_t *group);
void ngx_mesh_table_release(ngx_mesh_table_t *table);


#endif /* NGX_MESH_WORKER_H */
