/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Texts that a route makes of a request: the rewritten path, the Location of
 * a redirect.
 */

#include "mesh_route.h"


/* Output that counts what it could not write, as snprintf does. */
typedef struct {
    char    *out;
    size_t   size;
    size_t   len;
} mesh_text_t;


static void
mesh_text_put(mesh_text_t *t, mesh_str_t s)
{
    if (t->len < t->size && s.len) {
        memcpy(t->out + t->len, s.data, mesh_min(s.len, t->size - t->len));
    }

    t->len += s.len;
}


/*
 * The path with what matched replaced.  What goes out always begins with a
 * slash: "/api/" rewritten to "" leaves no path that HTTP could carry.
 */
static void
mesh_text_put_path(mesh_text_t *t, const mesh_snapshot_t *s,
    const mesh_rec_route_t *route, mesh_str_t path, mesh_ref_t prefix)
{
    mesh_str_t  matched, instead, rest;

    /* As in Envoy, a regular expression has matched the whole path. */

    matched = route->regex ? path : mesh_get_str(s, route->path);
    instead = mesh_get_str(s, prefix);

    if (path.len < matched.len || path.len == 0 || path.data[0] != '/') {
        /* "*", matched by the prefix "/". */
        mesh_text_put(t, path);
        return;
    }

    rest = (mesh_str_t) { path.len - matched.len, path.data + matched.len };

    if ((instead.len == 0 && (rest.len == 0 || rest.data[0] != '/'))
        || (instead.len != 0 && instead.data[0] != '/'))
    {
        mesh_text_put(t, MESH_STR("/"));
    }

    mesh_text_put(t, instead);
    mesh_text_put(t, rest);
}


size_t
mesh_route_rewrite(const mesh_snapshot_t *s, const mesh_rec_route_t *route,
    mesh_str_t path, char *out, size_t size)
{
    mesh_text_t  t = { out, size, 0 };

    mesh_text_put_path(&t, s, route, path, route->prefix_rewrite);

    return t.len;
}


/*
 * The request's own authority in a redirect: its port goes when the redirect
 * names another one, and when it is the default of a scheme that is left
 * ("http on 80" sent to https), as in Envoy.
 */
static mesh_str_t
mesh_location_authority(const mesh_request_t *r, mesh_str_t scheme, bool port)
{
    mesh_str_t  host, had, left;

    host = mesh_authority_host(r->authority);
    had = (mesh_str_t) { r->authority.len - host.len,
                         r->authority.data + host.len };
    left = mesh_str_eq(r->scheme, MESH_STR("https")) ? MESH_STR(":443")
                                                     : MESH_STR(":80");

    if (port
        || (!mesh_str_eq(scheme, r->scheme) && mesh_str_eq(had, left)))
    {
        return host;
    }

    return r->authority;
}


static void
mesh_text_put_port(mesh_text_t *t, uint32_t port)
{
    char      digits[11];
    unsigned  i;

    i = sizeof(digits);

    do {
        digits[--i] = (char) ('0' + port % 10);
        port /= 10;
    } while (port);

    digits[--i] = ':';
    mesh_text_put(t, (mesh_str_t) { sizeof(digits) - i, digits + i });
}


/* The path, and whether the request's query may follow it. */
static bool
mesh_text_put_location_path(mesh_text_t *t, const mesh_snapshot_t *s,
    const mesh_rec_route_t *route, const mesh_rec_redirect_t *redirect,
    const mesh_request_t *r)
{
    mesh_str_t  path;

    if (redirect->path) {
        path = mesh_get_str(s, redirect->path);

        if (path.len == 0 || path.data[0] != '/') {
            mesh_text_put(t, MESH_STR("/"));
        }

        mesh_text_put(t, path);

        return path.len == 0 || memchr(path.data, '?', path.len) == NULL;
    }

    if (redirect->prefix) {
        mesh_text_put_path(t, s, route, r->path, redirect->prefix);

    } else {
        mesh_text_put(t, r->path);
    }

    return true;
}


size_t
mesh_route_location(const mesh_snapshot_t *s, const mesh_rec_route_t *route,
    const mesh_request_t *r, char *out, size_t size)
{
    mesh_text_t                 t = { out, size, 0 };
    mesh_str_t                  scheme, authority;
    const mesh_rec_redirect_t  *redirect;

    redirect = mesh_get(s, route->redirect);

    scheme = redirect->scheme ? mesh_get_str(s, redirect->scheme)
                              : r->scheme;

    if (redirect->host) {
        authority = mesh_get_str(s, redirect->host);

    } else {
        authority = mesh_location_authority(r, scheme, redirect->port != 0);
    }

    mesh_text_put(&t, scheme);
    mesh_text_put(&t, MESH_STR("://"));
    mesh_text_put(&t, authority);

    if (redirect->port) {
        mesh_text_put_port(&t, redirect->port);
    }

    if (mesh_text_put_location_path(&t, s, route, redirect, r)
        && r->has_query && (redirect->flags & MESH_REDIRECT_STRIP_QUERY) == 0)
    {
        mesh_text_put(&t, MESH_STR("?"));
        mesh_text_put(&t, r->query);
    }

    return t.len;
}
