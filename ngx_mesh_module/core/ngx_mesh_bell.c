/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The doorbell: inotify on the bell that the agent writes at each publishing,
 * and on the zone's directory, where files come and go when the agent is
 * started late or the run directory is wiped.
 *
 * The bell only makes things fast.  Nothing is lost without it: requests
 * read the control word themselves, and the worker's tick looks at it.
 */

#include <sys/inotify.h>

#include "ngx_mesh_worker.h"


#define NGX_MESH_BELL_EVENTS                                                  \
    (IN_MODIFY|IN_ATTRIB|IN_DELETE_SELF|IN_MOVE_SELF)

#define NGX_MESH_DIR_EVENTS                                                   \
    (IN_CREATE|IN_MOVED_TO|IN_DELETE|IN_DELETE_SELF|IN_MOVE_SELF|IN_ONLYDIR)


static ngx_connection_t  *ngx_mesh_bell;
static ngx_uint_t         ngx_mesh_bell_failed;


static void
ngx_mesh_bell_handler(ngx_event_t *rev)
{
    ssize_t                n, at;
    ngx_uint_t             changed;
    ngx_connection_t      *c;
    struct inotify_event   event;
    u_char                 buf[4096];

    c = rev->data;

    if (c->close) {
        /* A draining worker at its shutdown timeout; the tick goes on. */
        ngx_mesh_bell_close();
        return;
    }

    changed = 0;

    for ( ;; ) {
        n = read(c->fd, buf, sizeof(buf));

        if (n <= 0) {
            break;
        }

        for (at = 0;
             at + (ssize_t) sizeof(struct inotify_event) <= n;
             at += sizeof(struct inotify_event) + event.len)
        {
            ngx_memcpy(&event, buf + at, sizeof(struct inotify_event));

            if (event.mask & ~IN_MODIFY) {
                changed = 1;
            }
        }
    }

    rev->ready = 0;

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_mesh_bell_close();
    }

    ngx_mesh_worker_wake(changed);
}


static ngx_int_t
ngx_mesh_bell_open(ngx_log_t *log)
{
    int                fd;
    ngx_connection_t  *c;

    fd = inotify_init1(IN_NONBLOCK|IN_CLOEXEC);

    if (fd == -1) {
        ngx_log_error(NGX_LOG_WARN, log, ngx_errno,
                      "mesh: no inotify (fs.inotify.max_user_instances?); "
                      "looking for new snapshots on a timer instead");
        return NGX_ERROR;
    }

    c = ngx_get_connection(fd, log);

    if (c == NULL) {
        (void) close(fd);
        return NGX_ERROR;
    }

    c->read->handler = ngx_mesh_bell_handler;
    c->read->log = log;
    c->write->log = log;
    c->log = log;

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_close_connection(c);
        return NGX_ERROR;
    }

    ngx_mesh_bell = c;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_bell_watch(ngx_str_t *dir, ngx_log_t *log)
{
    int   fd;
    char  path[MESH_ZONE_PATH_MAX];

    if (ngx_mesh_bell == NULL) {

        if (ngx_mesh_bell_failed) {
            return NGX_ERROR;
        }

        if (ngx_mesh_bell_open(log) != NGX_OK) {
            ngx_mesh_bell_failed = 1;
            return NGX_ERROR;
        }
    }

    fd = ngx_mesh_bell->fd;

    /* A watch that exists already is found again by the file's inode. */
    if (inotify_add_watch(fd, (char *) dir->data, NGX_MESH_DIR_EVENTS) == -1) {
        return NGX_DECLINED;
    }

    if (mesh_zone_path(path, sizeof(path), (char *) dir->data, MESH_ZONE_BELL,
                       0)
        != MESH_OK
        || inotify_add_watch(fd, path, NGX_MESH_BELL_EVENTS) == -1)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


void
ngx_mesh_bell_close(void)
{
    if (ngx_mesh_bell) {
        ngx_close_connection(ngx_mesh_bell);
        ngx_mesh_bell = NULL;
    }

    /* Not opened again: only a worker that ends closes it. */
    ngx_mesh_bell_failed = 1;
}
