/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Endpoints as socket addresses, in memory of the caller's: they outlive the
 * snapshot.  And clients' socket addresses as what is matched and hashed.
 */

#include "ngx_mesh_worker.h"


ngx_int_t
ngx_mesh_sockaddr(const ngx_mesh_view_t *view, const mesh_endpoint_t *endpoint,
    ngx_sockaddr_t *sa, socklen_t *len)
{
    mesh_str_t  path;

    ngx_memzero(sa, sizeof(ngx_sockaddr_t));

    switch (endpoint->family) {

    case MESH_FAMILY_IPV4:
        sa->sockaddr_in.sin_family = AF_INET;
        sa->sockaddr_in.sin_port = htons(endpoint->port);
        ngx_memcpy(&sa->sockaddr_in.sin_addr, endpoint->addr, 4);
        *len = sizeof(struct sockaddr_in);
        return NGX_OK;

#if (NGX_HAVE_INET6)
    case MESH_FAMILY_IPV6:
        sa->sockaddr_in6.sin6_family = AF_INET6;
        sa->sockaddr_in6.sin6_port = htons(endpoint->port);
        ngx_memcpy(&sa->sockaddr_in6.sin6_addr, endpoint->addr, 16);
        *len = sizeof(struct sockaddr_in6);
        return NGX_OK;
#endif

#if (NGX_HAVE_UNIX_DOMAIN)
    case MESH_FAMILY_UNIX:
        path = mesh_get_str(view->root->snapshot, endpoint->host);

        if (path.len >= sizeof(sa->sockaddr_un.sun_path)) {
            return NGX_ERROR;
        }

        sa->sockaddr_un.sun_family = AF_UNIX;
        ngx_memcpy(sa->sockaddr_un.sun_path, path.data, path.len);
        *len = sizeof(struct sockaddr_un);
        return NGX_OK;
#endif

    default:
        return NGX_ERROR;
    }
}


ngx_uint_t
ngx_mesh_client_address(const struct sockaddr *sa, mesh_str_t *address)
{
    switch (sa->sa_family) {

#if (NGX_HAVE_INET6)
    case AF_INET6:
        address->data = (const char *)
                            &((const struct sockaddr_in6 *) sa)->sin6_addr;
        address->len = 16;
        return 1;
#endif

    case AF_INET:
        address->data = (const char *)
                            &((const struct sockaddr_in *) sa)->sin_addr;
        address->len = 4;
        return 1;

    default: /* AF_UNIX */
        return 0;
    }
}
