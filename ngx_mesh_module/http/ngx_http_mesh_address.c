/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Endpoints as nginx wants them: socket address and text.  The text is built
 * by hand, since every request needs it: logs and $upstream_addr point at it.
 */

#include "ngx_http_mesh_upstream.h"


/* Text of an IPv4 endpoint: on the path of every request. */
static size_t
ngx_http_mesh_ipv4_text(u_char *text, const uint8_t *addr, ngx_uint_t port)
{
    u_char      *p, digits[5];
    ngx_uint_t   i, n;

    p = text;

    for (i = 0; i < 4; i++) {
        n = addr[i];

        if (n >= 100) {
            *p++ = (u_char) ('0' + n / 100);
        }

        if (n >= 10) {
            *p++ = (u_char) ('0' + n / 10 % 10);
        }

        *p++ = (u_char) ('0' + n % 10);
        *p++ = (i < 3) ? '.' : ':';
    }

    i = 0;

    do {
        digits[i++] = (u_char) ('0' + port % 10);
        port /= 10;
    } while (port);

    while (i) {
        *p++ = digits[--i];
    }

    return p - text;
}


static ngx_int_t
ngx_http_mesh_unix_address(ngx_http_mesh_upstream_t *up,
    ngx_peer_connection_t *pc, const mesh_endpoint_t *endpoint)
{
    u_char              *p;
    ngx_str_t           *name;
    mesh_str_t           path;
    struct sockaddr_un  *un;

    path = mesh_get_str(up->view->root->snapshot, endpoint->host);

    if (path.len >= sizeof(un->sun_path)) {
        return NGX_ERROR;
    }

    p = ngx_palloc(up->request->pool, sizeof(ngx_str_t) + sizeof(*un)
                                      + sizeof("unix:") + path.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    name = (ngx_str_t *) p;
    un = (struct sockaddr_un *) (p + sizeof(ngx_str_t));

    ngx_memzero(un, sizeof(*un));
    un->sun_family = AF_UNIX;
    ngx_memcpy(un->sun_path, path.data, path.len);

    name->data = (u_char *) (un + 1);
    name->len = sizeof("unix:") - 1 + path.len;
    p = ngx_cpymem(name->data, "unix:", sizeof("unix:") - 1);
    ngx_memcpy(p, path.data, path.len);

    pc->sockaddr = (struct sockaddr *) un;
    pc->socklen = sizeof(*un);
    pc->name = name;

    up->lease.host.len = path.len;
    up->lease.host.data = p;

    return NGX_OK;
}


static void
ngx_http_mesh_ip_address(ngx_http_mesh_upstream_t *up,
    ngx_http_mesh_address_t *address, const mesh_endpoint_t *endpoint)
{
    ngx_memzero(&address->u, sizeof(address->u));

    if (endpoint->family == MESH_FAMILY_IPV4) {
        address->u.in.sin_family = AF_INET;
        address->u.in.sin_port = htons(endpoint->port);
        ngx_memcpy(&address->u.in.sin_addr, endpoint->addr, 4);

        address->name.len = ngx_http_mesh_ipv4_text(address->text,
                                                    endpoint->addr,
                                                    endpoint->port);
        return;
    }

    address->u.in6.sin6_family = AF_INET6;
    address->u.in6.sin6_port = htons(endpoint->port);
    ngx_memcpy(&address->u.in6.sin6_addr, endpoint->addr, 16);

    address->name.len = mesh_endpoint_text(up->view->root->snapshot, endpoint,
                                           (char *) address->text,
                                           sizeof(address->text));
}


ngx_int_t
ngx_http_mesh_connect(ngx_http_mesh_upstream_t *up, ngx_peer_connection_t *pc,
    const mesh_endpoint_t *endpoint)
{
    ngx_int_t                 rc;
    ngx_http_mesh_address_t  *address;

    if (endpoint->family == MESH_FAMILY_UNIX) {

        if (ngx_http_mesh_unix_address(up, pc, endpoint) != NGX_OK) {
            return NGX_ERROR;
        }

        return ngx_http_mesh_idle_get(up, pc, endpoint);
    }

    address = &up->address;

    if (up->attempts > 1) {
        address = ngx_palloc(up->request->pool,
                             sizeof(ngx_http_mesh_address_t));
        if (address == NULL) {
            return NGX_ERROR;
        }
    }

    up->lease.host.len = 0;
    up->current = address;

    rc = ngx_http_mesh_idle_get(up, pc, endpoint);

    if (rc == NGX_DONE) {
        *address = *ngx_http_mesh_idle_address(up);

    } else {
        ngx_http_mesh_ip_address(up, address, endpoint);
    }

    address->name.data = address->text;

    pc->sockaddr = &address->u.sockaddr;
    pc->socklen = (endpoint->family == MESH_FAMILY_IPV4)
                  ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    pc->name = &address->name;

    return rc;
}
