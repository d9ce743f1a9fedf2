/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Health words, as a worker knows them: the mapped file, and which of its
 * changes the worker is known to go by.
 *
 * Views compare the file's epochs by themselves, so no change waits for
 * anybody here.  But a view may serve on for MESH_VIEW_MIN_MS after it is
 * outdated, and "meshctl drain --wait" wants to know when that is over: a
 * change is acknowledged that much after it was seen.
 */

#include "ngx_mesh_worker.h"


void
ngx_mesh_health_find(ngx_mesh_worker_t *w)
{
    char                *dir;
    mesh_status_t        rc;
    mesh_zone_error_t    error;
    mesh_health_file_t   file;

    dir = (char *) w->zone->path.data;

    if (mesh_health_current(&w->health, dir)) {
        return;
    }

    ngx_memzero(&error, offsetof(mesh_zone_error_t, path) + 1);

    rc = mesh_health_open(&file, dir, &error);

    if (rc == MESH_DECLINED) {
        /* One that was mapped goes on until another one is there. */
        w->health_bad = 0;
        return;
    }

    mesh_health_close(&w->health);
    w->health = file;

    if (rc == MESH_OK) {
        w->health_bad = 0;
        return;
    }

    if (!w->health_bad) {
        w->health_bad = 1;
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, error.err,
                      "mesh: \"%V/" MESH_ZONE_HEALTH "\": %s; "
                      "no endpoint is drained or down by it",
                      &w->zone->path, error.what ? error.what : "unreadable");
    }
}


void
ngx_mesh_health_acknowledge(ngx_mesh_worker_t *w)
{
    mesh_worker_slot_t  *slot;

    slot = &w->runtime->workers[w->runtime->worker];

    mesh_store_release(&slot->health, w->health_seen);
}


void
ngx_mesh_health_look(ngx_mesh_worker_t *w)
{
    uint64_t  changes;

    if (w->health_timer.timer_set) {
        return;
    }

    changes = mesh_health_changes(&w->health.health);

    if (changes == w->health_seen) {
        return;
    }

    w->health_seen = changes;
    ngx_add_timer(&w->health_timer, MESH_VIEW_MIN_MS);
}


/* Views from before that look are too old to be used. */
void
ngx_mesh_health_handler(ngx_event_t *ev)
{
    ngx_mesh_health_acknowledge(&ngx_mesh_worker);
    ngx_mesh_health_look(&ngx_mesh_worker);
}
