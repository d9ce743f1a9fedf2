/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Long generated answers: written item by item into a few buffers, one buffer
 * a turn of the event loop, so that a page over 100,000 endpoints does not
 * keep other requests waiting and takes no memory by its size.
 */

#ifndef NGX_HTTP_MESH_PAGE_H
#define NGX_HTTP_MESH_PAGE_H

#include "ngx_http_mesh.h"


#define NGX_HTTP_MESH_PAGE_BUFFER   65536
#define NGX_HTTP_MESH_PAGE_ITEM     16384   /* room that an item finds */


typedef struct ngx_http_mesh_page_s  ngx_http_mesh_page_t;

/*
 * Writes the next item at `p`, at most NGX_HTTP_MESH_PAGE_ITEM bytes, and
 * returns its end; sets page->done with the last one.
 */
typedef u_char *(*ngx_http_mesh_page_pt)(ngx_http_mesh_page_t *page,
    u_char *p);

struct ngx_http_mesh_page_s {
    ngx_http_request_t              *request;
    ngx_http_mesh_page_pt            next;
    ngx_mesh_root_t                 *root;      /* pinned, or NULL: none */
    const mesh_rec_binding_t        *binding;   /* of root, or NULL */
    ngx_mesh_view_t                 *view;      /* of the cluster at hand */
    const mesh_rec_bind_cluster_t   *bind;      /* the same */
    mesh_str_t                       name;      /* the same */
    mesh_map_iter_t                  iter;      /* over binding's maps */
    ngx_uint_t                       phase;
    ngx_uint_t                       index;     /* within the phase */
    ngx_uint_t                       items;     /* written in the phase */
    ngx_chain_t                     *free;
    ngx_chain_t                     *busy;
    unsigned                         done:1;
};


/* For a content handler: answers GET and HEAD with the page. */
ngx_int_t ngx_http_mesh_page(ngx_http_request_t *r, ngx_str_t *type,
    ngx_http_mesh_page_pt next);

/* The next cluster of the root in bind, name and view; 0: no more. */
ngx_uint_t ngx_http_mesh_page_cluster(ngx_http_mesh_page_t *page);

/* Begins with the maps from their first entry again. */
void ngx_http_mesh_page_rewind(ngx_http_mesh_page_t *page);


#endif /* NGX_HTTP_MESH_PAGE_H */
