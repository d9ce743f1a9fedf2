/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Copies of requests as memory: made, counted and freed.
 *
 * How many are under way at a time is limited for all together, and for each
 * cluster to as many as are left for all ("dynamic thresholds", Choudhury and
 * Hahne, 1998): a cluster that does not answer takes half of them, two take a
 * third each, and there is always room for another one's.
 */

#include "ngx_http_mesh_mirror.h"


static ngx_uint_t  ngx_http_mesh_mirrors_now;
static size_t      ngx_http_mesh_mirrors_size;

/* Of clusters without a slot. */
static ngx_uint_t  ngx_http_mesh_mirrors_slotless;


static void
ngx_http_mesh_mirror_count_drop(ngx_mesh_view_t *view)
{
    if (view->view->runtime) {
        mesh_fetch_add(&view->view->runtime->mirrors_dropped, 1);
    }
}


/* The count of the view's cluster; NULL: no memory. */
static ngx_uint_t *
ngx_http_mesh_mirror_copies(ngx_mesh_view_t *view)
{
    ngx_http_mesh_idle_cluster_t  *cluster;

    if (view->view->slot == MESH_SLOT_NONE) {
        return &ngx_http_mesh_mirrors_slotless;
    }

    cluster = ngx_http_mesh_idle_cluster(view->view,
                                         ngx_http_mesh_view_tag(view->view));

    return cluster ? &cluster->copies : NULL;
}


/* Is there room for another one? */
static ngx_uint_t
ngx_http_mesh_mirror_room(const ngx_uint_t *copies, size_t size)
{
    ngx_uint_t  most, left;

    most = ngx_min(NGX_HTTP_MESH_MIRRORS,
                   ngx_cycle->connection_n / NGX_HTTP_MESH_MIRRORS_PART);
    left = most - ngx_min(most, ngx_http_mesh_mirrors_now);

    return *copies < left
           && size <= NGX_HTTP_MESH_MIRRORS_SIZE - ngx_http_mesh_mirrors_size;
}


static ngx_http_mesh_mirror_t *
ngx_http_mesh_mirror_alloc(size_t size)
{
    ngx_pool_t              *pool;
    ngx_http_mesh_mirror_t  *m;

    pool = ngx_create_pool(size, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    m = ngx_pcalloc(pool, sizeof(ngx_http_mesh_mirror_t));
    if (m == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    m->pool = pool;
    m->size = size;

    return m;
}


ngx_http_mesh_mirror_t *
ngx_http_mesh_mirror_create(ngx_mesh_view_t *view, const mesh_mirror_t *rec,
    size_t size)
{
    ngx_uint_t              *copies;
    ngx_http_mesh_mirror_t  *m;

    size = sizeof(ngx_pool_t) + sizeof(ngx_http_mesh_mirror_t)
           + ngx_align(size, NGX_ALIGNMENT) + NGX_ALIGNMENT;

    copies = ngx_http_mesh_mirror_copies(view);

    m = (copies && ngx_http_mesh_mirror_room(copies, size))
        ? ngx_http_mesh_mirror_alloc(size) : NULL;

    if (m == NULL) {
        ngx_http_mesh_mirror_count_drop(view);
        return NULL;
    }

    m->copies = copies;
    m->view = ngx_mesh_view_ref(view);
    m->rec = rec;
    m->runtime = view->view->runtime;
    m->cluster = view->view->slot;

    (*copies)++;
    ngx_http_mesh_mirrors_now++;
    ngx_http_mesh_mirrors_size += size;

    return m;
}


u_char *
ngx_http_mesh_mirror_memory(ngx_http_mesh_mirror_t *m, size_t size)
{
    u_char  *p;

    if (size > NGX_HTTP_MESH_MIRRORS_SIZE - ngx_http_mesh_mirrors_size) {
        return NULL;
    }

    p = ngx_pnalloc(m->pool, size);

    if (p) {
        m->size += size;
        ngx_http_mesh_mirrors_size += size;
    }

    return p;
}


void
ngx_http_mesh_mirror_free(ngx_http_mesh_mirror_t *m)
{
    if (m->view) {
        ngx_mesh_view_release(m->view);
    }

    (*m->copies)--;
    ngx_http_mesh_mirrors_now--;
    ngx_http_mesh_mirrors_size -= m->size;

    ngx_destroy_pool(m->pool);
}


void
ngx_http_mesh_mirror_drop(ngx_http_mesh_mirror_t *m)
{
    ngx_http_mesh_mirror_count_drop(m->view);
    ngx_http_mesh_mirror_free(m);
}
