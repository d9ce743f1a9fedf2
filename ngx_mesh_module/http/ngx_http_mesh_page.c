/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Long generated answers, slice by slice; ngx_http_mesh_page.h tells why.
 */

#include "ngx_http_mesh_page.h"


static void ngx_http_mesh_page_write(ngx_http_request_t *r);


static void
ngx_http_mesh_page_drop_view(ngx_http_mesh_page_t *page)
{
    if (page->view) {
        ngx_mesh_view_release(page->view);
        page->view = NULL;
    }
}


static void
ngx_http_mesh_page_cleanup(void *data)
{
    ngx_http_mesh_page_t  *page = data;

    ngx_http_mesh_page_drop_view(page);

    if (page->root) {
        ngx_mesh_root_release(page->root);
        page->root = NULL;
    }
}


void
ngx_http_mesh_page_rewind(ngx_http_mesh_page_t *page)
{
    ngx_memzero(&page->iter, sizeof(mesh_map_iter_t));
    page->index = 0;
    page->items = 0;
}


ngx_uint_t
ngx_http_mesh_page_cluster(ngx_http_mesh_page_t *page)
{
    const mesh_snapshot_t   *s;
    const mesh_map_entry_t  *entry;

    ngx_http_mesh_page_drop_view(page);

    if (page->binding == NULL) {
        return 0;
    }

    s = page->root->snapshot;

    for ( ;; ) {
        entry = mesh_map_next(s, page->binding->clusters, &page->iter);
        if (entry == NULL) {
            return 0;
        }

        page->name = mesh_get_str(s, entry->name);
        page->bind = mesh_get(s, entry->value);
        page->view = ngx_mesh_view_acquire(page->root, page->name,
                                           entry->hash);
        if (page->view) {
            return 1;
        }
    }
}


static ngx_buf_t *
ngx_http_mesh_page_fill(ngx_http_mesh_page_t *page, ngx_chain_t *cl)
{
    ngx_buf_t  *b;

    b = cl->buf;

    if (b->start == NULL) {
        b->start = ngx_palloc(page->request->pool, NGX_HTTP_MESH_PAGE_BUFFER);
        if (b->start == NULL) {
            return NULL;
        }

        b->end = b->start + NGX_HTTP_MESH_PAGE_BUFFER;
        b->tag = (ngx_buf_tag_t) &ngx_http_mesh_module;
        b->memory = 1;
        b->recycled = 1;
    }

    b->pos = b->start;
    b->last = b->start;
    b->flush = 1;

    while (!page->done && b->end - b->last >= NGX_HTTP_MESH_PAGE_ITEM) {
        b->last = page->next(page, b->last);
    }

    if (page->done) {
        b->last_buf = (page->request == page->request->main);
        b->last_in_chain = 1;
    }

    return b;
}


static ngx_int_t
ngx_http_mesh_page_slice(ngx_http_mesh_page_t *page)
{
    ngx_int_t     rc;
    ngx_chain_t  *out;

    out = ngx_chain_get_free_buf(page->request->pool, &page->free);

    if (out == NULL || ngx_http_mesh_page_fill(page, out) == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_output_filter(page->request, out);

    ngx_chain_update_chains(page->request->pool, &page->free, &page->busy,
                            &out, (ngx_buf_tag_t) &ngx_http_mesh_module);

    return rc;
}


/* One slice, then whoever else waits. */
static void
ngx_http_mesh_page_run(ngx_http_mesh_page_t *page)
{
    ngx_int_t                  rc;
    ngx_event_t               *wev;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = page->request;
    c = r->connection;
    wev = c->write;
    rc = NGX_OK;

    if (r->buffered || c->buffered) {
        rc = ngx_http_output_filter(r, NULL);
    }

    if (rc != NGX_ERROR && !page->done && !r->buffered && !c->buffered) {
        rc = ngx_http_mesh_page_slice(page);
    }

    if (rc == NGX_ERROR || c->error) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    if (page->done) {
        /* nginx's own writer sends what is left */
        ngx_http_finalize_request(r, rc);
        return;
    }

    if (!r->buffered && !c->buffered) {
        if (wev->timer_set) {
            ngx_del_timer(wev);
        }

        ngx_post_event(wev, &ngx_posted_next_events);
        return;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}


static void
ngx_http_mesh_page_write(ngx_http_request_t *r)
{
    ngx_event_t           *wev;
    ngx_http_mesh_page_t  *page;
    ngx_pool_cleanup_t    *cln;

    wev = r->connection->write;

    if (wev->timedout) {
        r->connection->timedout = 1;
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        page = cln->data;

        if (cln->handler == ngx_http_mesh_page_cleanup
            && page->request == r)
        {
            ngx_http_mesh_page_run(page);
            return;
        }
    }
}


static ngx_http_mesh_page_t *
ngx_http_mesh_page_create(ngx_http_request_t *r, ngx_http_mesh_page_pt next)
{
    ngx_pool_cleanup_t    *cln;
    ngx_http_mesh_page_t  *page;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_mesh_page_t));
    if (cln == NULL) {
        return NULL;
    }

    page = cln->data;
    ngx_memzero(page, sizeof(ngx_http_mesh_page_t));

    cln->handler = ngx_http_mesh_page_cleanup;

    page->request = r;
    page->next = next;
    page->root = ngx_mesh_root_acquire();

    if (page->root) {
        page->binding = mesh_get(page->root->snapshot,
                                 page->root->root->binding);
    }

    return page;
}


ngx_int_t
ngx_http_mesh_page(ngx_http_request_t *r, ngx_str_t *type,
    ngx_http_mesh_page_pt next)
{
    ngx_int_t              rc;
    ngx_http_mesh_page_t  *page;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    page = ngx_http_mesh_page_create(r, next);
    if (page == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    r->main->count++;
    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_mesh_page_write;

    ngx_http_mesh_page_run(page);

    return NGX_DONE;
}
