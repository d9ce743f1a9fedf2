/* SPDX-License-Identifier: Apache-2.0 */

/*
 * WebSocket handshakes.  mesh_route's location sends neither Connection nor
 * Upgrade; the few requests that need them get them here, when their header
 * is written already, so that all others do not pay for two variables.
 */

#include "ngx_http_mesh_upstream.h"


/* RFC 9110, 7.8: without it, Upgrade is not meant for this hop. */
static ngx_uint_t
ngx_http_mesh_connection_upgrade(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == sizeof("connection") - 1
                && ngx_strncmp(h[i].lowcase_key, "connection",
                               sizeof("connection") - 1)
                   == 0
                && ngx_strcasestrn(h[i].value.data, "upgrade",
                                   sizeof("upgrade") - 2)
                   != NULL)
            {
                return 1;
            }
        }
    }

    return 0;
}


/*
 * Only WebSocket may leave HTTP/1.1: an upgrade to h2c, say, would let a
 * client speak past every rule.
 */
ngx_uint_t
ngx_http_mesh_is_websocket(ngx_http_request_t *r)
{
    ngx_table_elt_t  *upgrade;

    static ngx_str_t  websocket = ngx_string("websocket");

    upgrade = r->headers_in.upgrade;

    return upgrade && r->http_version == NGX_HTTP_VERSION_11
           && upgrade->value.len == websocket.len
           && ngx_strncasecmp(upgrade->value.data, websocket.data,
                              websocket.len)
              == 0
           && ngx_http_mesh_connection_upgrade(r);
}


/*
 * The line end that the header's empty line follows.  The first one: a body
 * of proxy_set_body is in the same buffer.
 */
static u_char *
ngx_http_mesh_header_end(ngx_buf_t *b)
{
    u_char  *p;

    for (p = b->pos; p + 4 <= b->last; p++) {
        if (ngx_memcmp(p, CRLF CRLF, 4) == 0) {
            return p + 2;
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_mesh_upgrade(ngx_http_request_t *r, ngx_uint_t own)
{
    u_char       *end;
    ngx_buf_t    *b, *header;
    ngx_chain_t  *cl;

    static const u_char  connection[] = "Connection: upgrade" CRLF;
    static const u_char  upgrade[] = "Upgrade: websocket" CRLF;

    cl = r->upstream->request_bufs;

    if (own == 0 || cl == NULL || !ngx_http_mesh_is_websocket(r)) {
        return NGX_OK;
    }

    header = cl->buf;

    if (ngx_http_mesh_is_h2(header)) {
        /* which knows no such handshake: the endpoint gets a plain GET */
        return NGX_OK;
    }

    end = ngx_http_mesh_header_end(header);

    if (end == NULL) {
        return NGX_OK;
    }

    b = ngx_create_temp_buf(r->pool, header->last - header->pos
                                     + sizeof(connection) + sizeof(upgrade));
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_cpymem(b->last, header->pos, end - header->pos);

    if (own & NGX_HTTP_MESH_OWN_CONNECTION) {
        b->last = ngx_cpymem(b->last, connection, sizeof(connection) - 1);
    }

    if (own & NGX_HTTP_MESH_OWN_UPGRADE) {
        b->last = ngx_cpymem(b->last, upgrade, sizeof(upgrade) - 1);
    }

    b->last = ngx_cpymem(b->last, end, header->last - end);
    b->flush = header->flush;
    b->last_buf = header->last_buf;
    b->last_in_chain = header->last_in_chain;
    b->tag = header->tag;

    cl->buf = b;

    return NGX_OK;
}
