/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The last-good copy: what is served at a cold start, as after a reboot,
 * until the agent publishes.
 */

#include <sys/stat.h>

#include "ngx_mesh_worker.h"


/* The last root of a file whose records were all checked, or 0. */
static mesh_ref_t
ngx_mesh_last_root(const mesh_snapshot_t *s)
{
    uint64_t           at;
    mesh_ref_t         found;
    const mesh_rec_t  *rec;

    found = 0;

    for (at = sizeof(mesh_file_head_t); at < s->verified; at += rec->size) {

        rec = mesh_snapshot_record(s, (mesh_ref_t) (at >> 3));
        if (rec == NULL) {
            break;
        }

        if (rec->kind == MESH_KIND_ROOT) {
            found = (mesh_ref_t) (at >> 3);
        }
    }

    return found;
}


static ngx_mesh_root_t *
ngx_mesh_fallback_root(ngx_mesh_worker_t *w, mesh_mapping_t *mapping)
{
    mesh_ref_t              ref;
    struct stat             st;
    mesh_snapshot_t        *s;
    const mesh_rec_root_t  *rec;

    s = &mapping->snapshot;

    if (fstat(mapping->fd, &st) == -1
        || mesh_snapshot_verify(s, (uint64_t) st.st_size, 0) != MESH_OK)
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "mesh: refused last good copy \"%V\": "
                      "record at %uL, kind %uD: %s", &w->fallback,
                      s->error.offset, s->error.kind,
                      s->error.reason ? s->error.reason : "unreadable");
        return NULL;
    }

    ref = ngx_mesh_last_root(s);
    rec = ref ? mesh_snapshot_root(s, ref) : NULL;

    if (rec == NULL) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "mesh: last good copy \"%V\" has no root",
                      &w->fallback);
        return NULL;
    }

    return ngx_mesh_root_create(mapping, rec, 0);
}


void
ngx_mesh_fallback(ngx_mesh_worker_t *w)
{
    time_t              age;
    ngx_uint_t          level;
    ngx_mesh_root_t    *root;
    mesh_mapping_t     *mapping;
    mesh_zone_error_t   error;

    if (w->root || w->fallback.len == 0) {
        return;
    }

    ngx_memzero(&error, offsetof(mesh_zone_error_t, path) + 1);

    mapping = mesh_mapping_open_path((char *) w->fallback.data, &error);

    if (mapping == NULL) {
        level = (error.err == NGX_ENOENT) ? NGX_LOG_NOTICE : NGX_LOG_ERR;

        ngx_log_error(level, ngx_cycle->log, error.err,
                      "mesh: cannot serve last good copy \"%V\": %s",
                      &w->fallback, error.what ? error.what : "mapping");
        return;
    }

    root = ngx_mesh_fallback_root(w, mapping);
    mesh_mapping_unref(mapping);

    if (root == NULL) {
        return;
    }

    age = ngx_time() - (time_t) (root->root->time_ms / 1000);

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "mesh: zone \"%V\" has nothing to serve yet; serving last "
                  "good copy \"%V\" of generation %uL, %T s old",
                  &w->zone->path, &w->fallback, root->root->generation, age);

    ngx_mesh_root_switch(w, root);
}
