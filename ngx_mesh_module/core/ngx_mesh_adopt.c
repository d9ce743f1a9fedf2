/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Adoption: from a control word to the root in force.
 *
 * A changed control word is met by whoever looks first: a request that wants
 * a root, the bell, or the tick.  Each checks one slice of what was appended;
 * if that was not all, a posted event goes on in the next round of the event
 * loop, while requests are served by the old root.
 */

#include "ngx_mesh_worker.h"


ngx_mesh_root_t *
ngx_mesh_root_create(mesh_mapping_t *mapping, const mesh_rec_root_t *rec,
    uint64_t word)
{
    ngx_mesh_root_t  *root;

    static uint64_t  serial;

    root = ngx_alloc(sizeof(ngx_mesh_root_t), ngx_cycle->log);
    if (root == NULL) {
        return NULL;
    }

    root->snapshot = &mapping->snapshot;
    root->root = rec;
    root->word = word;
    root->mapping = mesh_mapping_ref(mapping);
    root->serial = ++serial;
    root->refs = 1;

    return root;
}


void
ngx_mesh_root_release(ngx_mesh_root_t *root)
{
    if (--root->refs) {
        return;
    }

    mesh_mapping_unref(root->mapping);
    ngx_free(root);
}


void
ngx_mesh_root_switch(ngx_mesh_worker_t *w, ngx_mesh_root_t *root)
{
    ngx_uint_t        i, level, moved;
    ngx_mesh_root_t  *old;

    old = w->root;
    w->root = root;
    w->why = NULL;

    ngx_mesh_acknowledge(w);

    moved = (old != NULL && old->mapping != root->mapping);
    level = (old == NULL || moved) ? NGX_LOG_NOTICE : NGX_LOG_INFO;

    ngx_log_error(level, ngx_cycle->log, 0,
                  "mesh: adopted generation %uL (file %uD, root %uD)",
                  root->root->generation, mesh_word_file(root->word),
                  mesh_word_root(root->word));

    for (i = 0; i < w->nhandlers; i++) {
        w->handlers[i](root);
    }

    if (moved) {
        /* Cached views are the last to hold the old file. */
        ngx_mesh_views_sweep(root);

    } else {
        w->stale = 1;
    }

    if (old) {
        ngx_mesh_root_release(old);
    }
}


/* --- adoption ------------------------------------------------------------ */

void
ngx_mesh_mapping_drop(ngx_mesh_worker_t *w)
{
    if (w->mapping) {
        mesh_mapping_unref(w->mapping);
        w->mapping = NULL;
    }
}


void
ngx_mesh_log_refusal(ngx_mesh_worker_t *w, ngx_err_t err, const char *what)
{
    if (w->root) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, err,
                      "mesh: %s; generation %uL goes on", what,
                      w->root->root->generation);
    } else {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, err,
                      "mesh: %s; there is no older one to serve", what);
    }
}


/* The word's bytes break the format: never tried again. */
static void
ngx_mesh_refuse(ngx_mesh_worker_t *w, uint64_t word, mesh_status_t rc)
{
    u_char                 *p;
    mesh_snapshot_error_t  *e;
    u_char                  text[256];

    e = &w->mapping->snapshot.error;

    if (rc == MESH_OK || e->reason == NULL) {
        p = ngx_snprintf(text, sizeof(text) - 1,
                         "refused snapshot %uD: no root at %uL",
                         w->file, (uint64_t) mesh_word_root(word) << 3);
    } else {
        p = ngx_snprintf(text, sizeof(text) - 1,
                         "refused snapshot %uD: record at %uL, kind %uD%s%s: "
                         "%s", w->file, e->offset, e->kind,
                         e->field ? ", field " : "", e->field ? e->field : "",
                         e->reason);
    }

    *p = '\0';

    ngx_mesh_log_refusal(w, 0, (char *) text);

    ngx_mesh_acknowledge_refusal(w);

    w->why = "the mesh snapshot is corrupt";

    /* The next word is checked from the file's beginning. */
    ngx_mesh_mapping_drop(w);
}


/* A head does not change: not tried again, either. */
static void
ngx_mesh_refuse_version(ngx_mesh_worker_t *w, uint32_t file, uint32_t version)
{
    u_char  *p;
    u_char   text[256];

    p = ngx_snprintf(text, sizeof(text) - 1,
                     "refused snapshot %uD: it is of format version %uD, "
                     "and this module reads %d to %d", file, version,
                     MESH_FORMAT_OLDEST, MESH_FORMAT_VERSION);
    *p = '\0';

    ngx_mesh_log_refusal(w, 0, (char *) text);

    ngx_mesh_acknowledge_refusal(w);

    w->retry = 0;
    w->why = "the mesh snapshot has a format that this module does not read";
}


/* The word could not be read now: the tick tries again. */
static void
ngx_mesh_postpone(ngx_mesh_worker_t *w, ngx_err_t err, const char *what,
    const char *path)
{
    u_char  *p;
    u_char   text[256];

    if (w->retry == 0) {
        p = ngx_snprintf(text, sizeof(text) - 1, "%s \"%s\" failed", what,
                         path);
        *p = '\0';
        ngx_mesh_log_refusal(w, err, (char *) text);
    }

    w->retry = 1;
    w->why = "the mesh snapshot cannot be opened";
}


static ngx_int_t
ngx_mesh_adopt_map(ngx_mesh_worker_t *w, uint32_t file)
{
    mesh_mapping_t     *mapping;
    mesh_zone_error_t   error;

    if (w->mapping && w->file == file) {
        return NGX_OK;
    }

    ngx_memzero(&error, offsetof(mesh_zone_error_t, path) + 1);

    mapping = mesh_mapping_open((char *) w->zone->path.data, file, &error);

    if (mapping == NULL && error.version) {
        ngx_mesh_refuse_version(w, file, error.version);
        return NGX_ERROR;
    }

    if (mapping == NULL) {
        ngx_mesh_postpone(w, error.err, error.what ? error.what : "mapping",
                          error.path);
        return NGX_ERROR;
    }

    ngx_mesh_mapping_drop(w);

    w->mapping = mapping;
    w->file = file;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_adopt_slice(ngx_mesh_worker_t *w, uint64_t budget)
{
    uint64_t                word;
    mesh_status_t           rc;
    ngx_mesh_root_t        *root;
    const mesh_rec_root_t  *rec;

    word = mesh_control_word(w->control);

    if (word == w->seen && !w->retry) {
        return NGX_OK;
    }

    if (word == 0 || word == w->adopted) {
        /* Nothing, or taken back what was refused. */
        w->seen = word;
        w->retry = 0;
        return NGX_OK;
    }

    if (ngx_mesh_adopt_map(w, mesh_word_file(word)) != NGX_OK) {
        /* The file of a word that has passed may be gone already. */
        w->seen = word;
        return mesh_control_word(w->control) == word ? NGX_OK : NGX_AGAIN;
    }

    rc = mesh_mapping_adopt(w->mapping, mesh_word_root(word), budget);

    if (rc == MESH_AGAIN) {
        return NGX_AGAIN;
    }

    w->seen = word;

    if (rc != MESH_OK && rc != MESH_CORRUPT && rc != MESH_VERSION) {
        ngx_mesh_postpone(w, ngx_errno, "reading", "snapshot");
        return NGX_OK;
    }

    w->retry = 0;

    rec = (rc == MESH_OK) ? mesh_snapshot_root(&w->mapping->snapshot,
                                               mesh_word_root(word))
                          : NULL;
    if (rec == NULL) {
        ngx_mesh_refuse(w, word, rc);
        return NGX_OK;
    }

    root = ngx_mesh_root_create(w->mapping, rec, word);
    if (root == NULL) {
        w->retry = 1;
        return NGX_OK;
    }

    w->adopted = word;
    ngx_mesh_root_switch(w, root);

    return NGX_OK;
}


void
ngx_mesh_adopt(ngx_mesh_worker_t *w, uint64_t budget)
{
    if (w->control == NULL) {
        return;
    }

    if (ngx_mesh_adopt_slice(w, budget) == NGX_AGAIN && !w->adopt.posted) {
        ngx_post_event(&w->adopt, &ngx_posted_next_events);
    }
}


void
ngx_mesh_adopt_handler(ngx_event_t *ev)
{
    ngx_mesh_adopt(&ngx_mesh_worker, NGX_MESH_SLICE);
}
