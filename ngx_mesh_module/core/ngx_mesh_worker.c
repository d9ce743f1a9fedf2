/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A worker's life on the zone: begin, tick, end; the control page; and what
 * http and stream ask for.
 */

#include <sys/stat.h>

#include "ngx_mesh_worker.h"


#define NGX_MESH_TICK            1000   /* ms; all is in place */
#define NGX_MESH_TICK_SEARCH     100    /* files are missing */
#define NGX_MESH_TICK_NO_BELL    20


ngx_mesh_worker_t  ngx_mesh_worker;

/* What debug logging prints for events that are not a connection's. */
static ngx_connection_t   ngx_mesh_no_connection = { .fd = (ngx_socket_t) -1 };


/* --- the control page ---------------------------------------------------- */

static void
ngx_mesh_control_drop(ngx_mesh_worker_t *w)
{
    if (w->control) {
        mesh_control_unmap(w->control);
        w->control = NULL;
    }

    /* Numbers and offsets begin anew in another zone directory. */
    w->seen = 0;
    w->adopted = 0;
    w->retry = 0;
    ngx_mesh_mapping_drop(w);
}


static void
ngx_mesh_control_bad(ngx_mesh_worker_t *w, mesh_status_t rc,
    mesh_zone_error_t *error)
{
    if (w->page_bad) {
        return;
    }

    w->page_bad = 1;
    w->why = (rc == MESH_VERSION)
             ? "the mesh zone has a format that this module does not read"
             : "the mesh zone's control page cannot be read";

    ngx_mesh_log_refusal(w, error->err, w->why);
}


/*
 * Maps the control page that the directory shows now.  One that was mapped
 * goes on when it has vanished, until another one is there.
 */
static ngx_int_t
ngx_mesh_control_find(ngx_mesh_worker_t *w)
{
    struct stat            before, after;
    mesh_status_t          rc;
    mesh_zone_error_t      error;
    const mesh_control_t  *control;
    char                   path[MESH_ZONE_PATH_MAX];

    if (mesh_zone_path(path, sizeof(path), (char *) w->zone->path.data,
                       MESH_ZONE_CONTROL, 0)
        != MESH_OK
        || stat(path, &before) == -1)
    {
        return NGX_DECLINED;
    }

    if (w->control
        && before.st_dev == w->control_dev
        && before.st_ino == w->control_ino)
    {
        return NGX_OK;
    }

    ngx_memzero(&error, offsetof(mesh_zone_error_t, path) + 1);

    rc = mesh_control_map((char *) w->zone->path.data, &control, &error);

    if (rc != MESH_OK) {
        if (rc != MESH_DECLINED) {
            ngx_mesh_control_bad(w, rc, &error);
        }

        return NGX_DECLINED;
    }

    if (stat(path, &after) == -1
        || before.st_ino != after.st_ino || before.st_dev != after.st_dev)
    {
        mesh_control_unmap(control);
        return NGX_DECLINED;
    }

    if (w->control) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "mesh: zone \"%V\" was made anew", &w->zone->path);
    }

    ngx_mesh_control_drop(w);

    w->page_bad = 0;
    w->control = control;
    w->control_dev = after.st_dev;
    w->control_ino = after.st_ino;

    return NGX_OK;
}


/* --- the tick ------------------------------------------------------------ */

/* Looks at the files; returns the time until it should be done again. */
static ngx_msec_t
ngx_mesh_look(ngx_mesh_worker_t *w)
{
    ngx_int_t  bell, control;

    /* The watch first: what happens after it rings. */
    bell = ngx_mesh_bell_watch(&w->zone->path, ngx_cycle->log);
    control = ngx_mesh_control_find(w);
    ngx_mesh_health_find(w);

    if (w->root == NULL && w->control == NULL && !w->page_bad) {
        w->why = "the mesh zone is empty: is mesh-agent running?";
    }

    if (bell == NGX_ERROR) {
        return NGX_MESH_TICK_NO_BELL;
    }

    return (bell == NGX_OK && control == NGX_OK && !w->retry)
           ? NGX_MESH_TICK : NGX_MESH_TICK_SEARCH;
}


static void
ngx_mesh_tick_handler(ngx_event_t *ev)
{
    ngx_msec_t          next;
    ngx_mesh_worker_t  *w;

    w = &ngx_mesh_worker;

    next = ngx_mesh_look(w);

    ngx_mesh_adopt(w, NGX_MESH_SLICE);
    ngx_mesh_health_look(w);
    ngx_mesh_runtime_tick(w);

    if (w->stale && w->root) {
        ngx_mesh_views_sweep(w->root);
        w->stale = 0;
    }

    ngx_add_timer(&w->tick, next);
}


void
ngx_mesh_worker_wake(ngx_uint_t changed)
{
    ngx_mesh_worker_t  *w;

    w = &ngx_mesh_worker;

    if (changed && ngx_mesh_look(w) != NGX_MESH_TICK) {
        ngx_add_timer(&w->tick, NGX_MESH_TICK_SEARCH);
    }

    ngx_mesh_adopt(w, NGX_MESH_SLICE);
    ngx_mesh_health_look(w);
}


/* --- begin and end ------------------------------------------------------- */

static void
ngx_mesh_event_init(ngx_event_t *ev, ngx_event_handler_pt handler,
    ngx_log_t *log)
{
    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->handler = handler;
    ev->data = &ngx_mesh_no_connection;
    ev->log = log;
    ev->cancelable = 1;
}


ngx_int_t
ngx_mesh_worker_start(ngx_cycle_t *cycle, ngx_mesh_core_conf_t *mcf)
{
    ngx_msec_t          next;
    ngx_mesh_worker_t  *w;

    w = &ngx_mesh_worker;
    ngx_memzero(w, sizeof(ngx_mesh_worker_t));

    if (ngx_mesh_views_start(mcf->sizes.clusters, cycle->log) != NGX_OK) {
        return NGX_ERROR;
    }

    w->zone = mcf->zone;
    w->fallback = mcf->fallback;
    w->listeners = mcf->listeners;
    w->why = "nothing was published yet";

    if (ngx_mesh_runtime_start(w) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_mesh_event_init(&w->adopt, ngx_mesh_adopt_handler, cycle->log);
    ngx_mesh_event_init(&w->tick, ngx_mesh_tick_handler, cycle->log);
    ngx_mesh_event_init(&w->health_timer, ngx_mesh_health_handler,
                        cycle->log);

    next = ngx_mesh_look(w);

    /* No view is there that could be older. */
    w->health_seen = mesh_health_changes(&w->health.health);
    ngx_mesh_health_acknowledge(w);

    /* No request was accepted yet: all of it at once. */
    while (w->control && ngx_mesh_adopt_slice(w, 0) == NGX_AGAIN) {
        /* void */
    }

    ngx_mesh_fallback(w);
    ngx_mesh_runtime_tick(w);

    ngx_add_timer(&w->tick, next);

    return NGX_OK;
}


void
ngx_mesh_worker_stop(void)
{
    ngx_uint_t          i;
    ngx_mesh_worker_t  *w;

    w = &ngx_mesh_worker;

    if (w->zone == NULL) {
        return;
    }

    if (w->root) {
        for (i = 0; i < w->nhandlers; i++) {
            w->handlers[i](NULL);
        }
    }

    if (w->tick.timer_set) {
        ngx_del_timer(&w->tick);
    }

    if (w->health_timer.timer_set) {
        ngx_del_timer(&w->health_timer);
    }

    if (w->adopt.posted) {
        ngx_delete_posted_event(&w->adopt);
    }

    ngx_mesh_bell_close();
    ngx_mesh_views_stop();
    mesh_health_close(&w->health);

    if (w->root) {
        ngx_mesh_root_release(w->root);
        w->root = NULL;
    }

    ngx_mesh_control_drop(w);

    ngx_mesh_runtime_stop(w);

    w->zone = NULL;
}


/* --- for http and stream ------------------------------------------------- */

ngx_mesh_root_t *
ngx_mesh_root_acquire(void)
{
    ngx_mesh_worker_t  *w;

    w = &ngx_mesh_worker;

    if (w->control
        && mesh_control_word(w->control) != w->seen
        && !w->adopt.posted)
    {
        ngx_mesh_adopt(w, NGX_MESH_SLICE_REQUEST);
    }

    if (w->root) {
        w->root->refs++;
    }

    return w->root;
}


const char *
ngx_mesh_no_root(void)
{
    return ngx_mesh_worker.why ? ngx_mesh_worker.why
                               : "mesh_zone is not configured";
}


mesh_runtime_t *
ngx_mesh_runtime(void)
{
    return ngx_mesh_worker.runtime;
}


ngx_str_t *
ngx_mesh_zone_path(void)
{
    return ngx_mesh_worker.zone ? &ngx_mesh_worker.zone->path : NULL;
}


ngx_int_t
ngx_mesh_on_adopted(ngx_mesh_adopted_pt handler)
{
    ngx_uint_t          i;
    ngx_mesh_worker_t  *w;

    w = &ngx_mesh_worker;

    for (i = 0; i < w->nhandlers; i++) {
        if (w->handlers[i] == handler) {
            return NGX_OK;
        }
    }

    if (w->nhandlers == NGX_MESH_HANDLERS) {
        return NGX_ERROR;
    }

    w->handlers[w->nhandlers++] = handler;

    return NGX_OK;
}
