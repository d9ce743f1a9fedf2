/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Cluster views, kept by the cluster's runtime slot and counted.  Each lives
 * in memory of its own, which goes when the cache and the last request have
 * let it go, so nothing grows with the number of snapshots.
 */

#include "ngx_mesh_worker.h"


/* Cells for clusters that got no slot (mesh_zone clusters= is too small). */
#define NGX_MESH_VIEW_SPARE   64


typedef struct ngx_mesh_chunk_s  ngx_mesh_chunk_t;

struct ngx_mesh_chunk_s {
    ngx_mesh_chunk_t  *next;
    max_align_t        data[];
};


/* A table that a group of the view looks into. */
typedef struct ngx_mesh_table_use_s  ngx_mesh_table_use_t;

struct ngx_mesh_table_use_s {
    ngx_mesh_table_use_t  *next;
    ngx_mesh_table_t      *table;
};


typedef struct {
    ngx_mesh_view_t        pub;         /* first: what users hold */
    ngx_queue_t            queue;       /* of all that are cached */
    ngx_uint_t             cell;
    ngx_mesh_chunk_t      *chunks;
    ngx_mesh_table_use_t  *tables;      /* in chunks */
} ngx_mesh_cached_view_t;


typedef struct {
    ngx_mesh_cached_view_t  **cells;    /* [clusters + spare] */
    ngx_uint_t                clusters;
    ngx_queue_t               queue;
} ngx_mesh_views_t;


static ngx_mesh_views_t  ngx_mesh_views;


ngx_int_t
ngx_mesh_views_start(ngx_uint_t clusters, ngx_log_t *log)
{
    ngx_queue_init(&ngx_mesh_views.queue);
    ngx_mesh_tables_start();

    ngx_mesh_views.clusters = clusters;
    ngx_mesh_views.cells = ngx_calloc((clusters + NGX_MESH_VIEW_SPARE)
                                      * sizeof(ngx_mesh_cached_view_t *),
                                      log);

    return ngx_mesh_views.cells ? NGX_OK : NGX_ERROR;
}


static void
ngx_mesh_view_drop(ngx_mesh_cached_view_t *cached)
{
    ngx_queue_remove(&cached->queue);
    ngx_mesh_views.cells[cached->cell] = NULL;
    ngx_mesh_view_release(&cached->pub);
}


void
ngx_mesh_views_drop(void)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&ngx_mesh_views.queue)) {
        q = ngx_queue_head(&ngx_mesh_views.queue);
        ngx_mesh_view_drop(ngx_queue_data(q, ngx_mesh_cached_view_t, queue));
    }
}


void
ngx_mesh_views_stop(void)
{
    ngx_mesh_views_drop();
    ngx_mesh_tables_stop();
    ngx_free(ngx_mesh_views.cells);
    ngx_mesh_views.cells = NULL;
}


void
ngx_mesh_views_sweep(ngx_mesh_root_t *root)
{
    ngx_queue_t                    *q, *next;
    mesh_cluster_view_t            *view;
    ngx_mesh_cached_view_t         *cached;
    const mesh_rec_bind_cluster_t  *bind;

    for (q = ngx_queue_head(&ngx_mesh_views.queue);
         q != ngx_queue_sentinel(&ngx_mesh_views.queue);
         q = next)
    {
        next = ngx_queue_next(q);
        cached = ngx_queue_data(q, ngx_mesh_cached_view_t, queue);
        view = cached->pub.view;

        if (cached->pub.root->mapping == root->mapping) {
            bind = mesh_cluster_bind(root->snapshot, root->root, view->name,
                                     view->cluster->name_hash);
            if (bind == view->bind
                && (view->zones == NULL
                    || view->zones->local
                       == mesh_cluster_local(root->snapshot, root->root,
                                             bind)))
            {
                continue;
            }
        }

        ngx_mesh_view_drop(cached);
    }
}


static void *
ngx_mesh_view_alloc(void *ctx, size_t size)
{
    ngx_mesh_cached_view_t *cached = ctx;

    ngx_mesh_chunk_t  *chunk;

    chunk = ngx_alloc(offsetof(ngx_mesh_chunk_t, data) + size,
                      ngx_cycle->log);
    if (chunk == NULL) {
        return NULL;
    }

    chunk->next = cached->chunks;
    cached->chunks = chunk;

    return chunk->data;
}


static void
ngx_mesh_view_free(ngx_mesh_cached_view_t *cached)
{
    ngx_mesh_chunk_t      *chunk, *next;
    ngx_mesh_table_use_t  *use;

    for (use = cached->tables; use; use = use->next) {
        ngx_mesh_table_release(use->table);
    }

    for (chunk = cached->chunks; chunk; chunk = next) {
        next = chunk->next;
        ngx_free(chunk);
    }

    ngx_free(cached);
}


static ngx_mesh_cached_view_t *
ngx_mesh_view_build(ngx_mesh_root_t *root,
    const mesh_rec_bind_cluster_t *bind)
{
    mesh_arena_t             arena;
    ngx_mesh_cached_view_t  *cached;

    cached = ngx_calloc(sizeof(ngx_mesh_cached_view_t), ngx_cycle->log);
    if (cached == NULL) {
        return NULL;
    }

    arena.alloc = ngx_mesh_view_alloc;
    arena.ctx = cached;

    cached->pub.view = mesh_cluster_view(root->snapshot, root->root, bind,
                                         &ngx_mesh_worker.health.health,
                                         ngx_mesh_worker.runtime, true,
                                         ngx_current_msec, &arena);
    if (cached->pub.view == NULL) {
        ngx_mesh_view_free(cached);
        return NULL;
    }

    cached->pub.root = root;
    cached->pub.refs = 1;
    root->refs++;

    return cached;
}


static ngx_uint_t
ngx_mesh_view_cell(const mesh_rec_bind_cluster_t *bind)
{
    if (bind->slot < ngx_mesh_views.clusters) {
        return bind->slot;
    }

    return ngx_mesh_views.clusters
           + mesh_mix64((uintptr_t) bind) % NGX_MESH_VIEW_SPARE;
}


ngx_mesh_view_t *
ngx_mesh_view_acquire(ngx_mesh_root_t *root, mesh_str_t name, uint32_t hash)
{
    const mesh_rec_bind_cluster_t  *bind;

    bind = mesh_cluster_bind(root->snapshot, root->root, name, hash);

    return bind ? ngx_mesh_view_bound(root, bind) : NULL;
}


ngx_mesh_view_t *
ngx_mesh_view_bound(ngx_mesh_root_t *root, const mesh_rec_bind_cluster_t *bind)
{
    ngx_uint_t               cell;
    ngx_mesh_cached_view_t  *cached, *fresh;

    cell = ngx_mesh_view_cell(bind);
    cached = ngx_mesh_views.cells[cell];

    if (cached
        && mesh_cluster_view_current(cached->pub.view, bind,
                                     &ngx_mesh_worker.health.health,
                                     ngx_current_msec))
    {
        return ngx_mesh_view_ref(&cached->pub);
    }

    fresh = ngx_mesh_view_build(root, bind);

    if (fresh == NULL) {
        /* An outdated view of the same endpoints is better than none. */
        return (cached && cached->pub.view->bind == bind)
               ? ngx_mesh_view_ref(&cached->pub) : NULL;
    }

    if (root != ngx_mesh_worker.root) {
        /* A request that began before the adoption: not worth keeping. */
        return &fresh->pub;
    }

    if (cached) {
        ngx_mesh_view_drop(cached);
    }

    fresh->cell = cell;
    ngx_mesh_views.cells[cell] = fresh;
    ngx_queue_insert_tail(&ngx_mesh_views.queue, &fresh->queue);

    return ngx_mesh_view_ref(&fresh->pub);
}


ngx_mesh_view_t *
ngx_mesh_view_renew(ngx_mesh_view_t *view)
{
    ngx_mesh_view_t      *fresh;
    mesh_cluster_view_t  *cv;

    cv = view->view;

    if (mesh_cluster_view_current(cv, cv->bind, &ngx_mesh_worker.health.health,
                                  ngx_current_msec))
    {
        return view;
    }

    fresh = ngx_mesh_view_bound(view->root, cv->bind);
    if (fresh == NULL) {
        return view;
    }

    ngx_mesh_view_release(view);

    return fresh;
}


void
ngx_mesh_view_release(ngx_mesh_view_t *view)
{
    if (--view->refs) {
        return;
    }

    ngx_mesh_root_release(view->root);
    ngx_mesh_view_free((ngx_mesh_cached_view_t *) view);
}


static void
ngx_mesh_view_table(ngx_mesh_view_t *view, mesh_view_group_t *group)
{
    ngx_mesh_table_use_t    *use;
    ngx_mesh_cached_view_t  *cached;

    cached = (ngx_mesh_cached_view_t *) view;

    use = ngx_mesh_view_alloc(cached, sizeof(ngx_mesh_table_use_t));
    if (use == NULL) {
        return;
    }

    use->table = ngx_mesh_table_acquire(view, group);

    if (use->table) {
        use->next = cached->tables;
        cached->tables = use;
    }
}


void
ngx_mesh_view_hash(ngx_mesh_view_t *view, ngx_uint_t subset)
{
    uint32_t             i;
    mesh_view_group_t   *group;
    mesh_view_subset_t  *s;

    s = &view->view->subsets[subset];

    for (i = 0; i < s->ngroups; i++) {
        group = &s->groups[i];

        /* A retry that comes to one without load is spread without one. */

        if (group->nhashed && group->table == NULL && group->points) {
            ngx_mesh_view_table(view, group);
        }
    }
}
