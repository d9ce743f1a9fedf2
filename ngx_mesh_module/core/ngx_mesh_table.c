/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Tables of hashing balancers, by what they were made of.  Views share them:
 * a new view of the same endpoints, after an ejection or with another
 * generation, finds its table here.  A table that no view uses stays for a
 * while, as an adoption drops views before it builds others.
 */

#include "ngx_mesh_worker.h"


#define NGX_MESH_TABLE_CELLS   64
#define NGX_MESH_TABLE_SPARE   (16 * 1024 * 1024)   /* bytes kept unused */


struct ngx_mesh_table_s {
    ngx_queue_t             queue;      /* of its cell */
    ngx_queue_t             spare;      /* of those that nobody uses */
    ngx_uint_t              refs;
    mesh_lb_table_t        *table;      /* behind this */
};


typedef struct {
    ngx_queue_t             cells[NGX_MESH_TABLE_CELLS];
    ngx_queue_t             spare;      /* the one let go last comes first */
    size_t                  bytes;      /* of the spare ones */
} ngx_mesh_tables_t;


static ngx_mesh_tables_t  ngx_mesh_tables;


void
ngx_mesh_tables_start(void)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_MESH_TABLE_CELLS; i++) {
        ngx_queue_init(&ngx_mesh_tables.cells[i]);
    }

    ngx_queue_init(&ngx_mesh_tables.spare);
    ngx_mesh_tables.bytes = 0;
}


static void
ngx_mesh_tables_trim(size_t most)
{
    ngx_queue_t       *q;
    ngx_mesh_table_t  *t;

    while (ngx_mesh_tables.bytes > most) {
        q = ngx_queue_last(&ngx_mesh_tables.spare);
        t = ngx_queue_data(q, ngx_mesh_table_t, spare);

        ngx_mesh_tables.bytes -= t->table->bytes;

        ngx_queue_remove(&t->spare);
        ngx_queue_remove(&t->queue);
        ngx_free(t);
    }
}


void
ngx_mesh_tables_stop(void)
{
    ngx_mesh_tables_trim(0);
}


static ngx_queue_t *
ngx_mesh_table_cell(const mesh_lb_key_t *key)
{
    return &ngx_mesh_tables.cells[key->content[0] % NGX_MESH_TABLE_CELLS];
}


static ngx_mesh_table_t *
ngx_mesh_table_find(const mesh_lb_key_t *key)
{
    ngx_queue_t       *q, *cell;
    ngx_mesh_table_t  *t;

    cell = ngx_mesh_table_cell(key);

    for (q = ngx_queue_head(cell);
         q != ngx_queue_sentinel(cell);
         q = ngx_queue_next(q))
    {
        t = ngx_queue_data(q, ngx_mesh_table_t, queue);

        if (ngx_memcmp(&t->table->key, key, sizeof(mesh_lb_key_t)) == 0) {
            return t;
        }
    }

    return NULL;
}


static ngx_mesh_table_t *
ngx_mesh_table_create(const ngx_mesh_view_t *view,
    const mesh_view_group_t *group, const mesh_lb_key_t *key)
{
    void              *work;
    mesh_lb_sizes_t    sizes;
    ngx_mesh_table_t  *t;

    mesh_lb_table_sizes(view->root->snapshot, view->view, group, &sizes);

    t = ngx_alloc(sizeof(ngx_mesh_table_t) + sizes.table, ngx_cycle->log);
    if (t == NULL) {
        return NULL;
    }

    work = ngx_alloc(sizes.work, ngx_cycle->log);
    if (work == NULL) {
        ngx_free(t);
        return NULL;
    }

    t->table = mesh_lb_table_build(view->root->snapshot, view->view, group,
                                   key, t + 1, work);
    t->refs = 0;

    ngx_free(work);
    ngx_queue_insert_head(ngx_mesh_table_cell(key), &t->queue);

    return t;
}


ngx_mesh_table_t *
ngx_mesh_table_acquire(ngx_mesh_view_t *view, mesh_view_group_t *group)
{
    mesh_lb_key_t      key;
    ngx_mesh_table_t  *t;

    if (!mesh_lb_table_key(view->root->snapshot, view->view, group, &key)) {
        return NULL;
    }

    t = ngx_mesh_table_find(&key);

    if (t == NULL) {
        t = ngx_mesh_table_create(view, group, &key);

        if (t == NULL) {
            return NULL;
        }

    } else if (t->refs == 0) {
        ngx_queue_remove(&t->spare);
        ngx_mesh_tables.bytes -= t->table->bytes;
    }

    t->refs++;
    group->table = t->table;

    return t;
}


void
ngx_mesh_table_release(ngx_mesh_table_t *t)
{
    if (--t->refs) {
        return;
    }

    ngx_queue_insert_head(&ngx_mesh_tables.spare, &t->spare);
    ngx_mesh_tables.bytes += t->table->bytes;

    ngx_mesh_tables_trim(NGX_MESH_TABLE_SPARE);
}
