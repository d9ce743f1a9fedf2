/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Texts that a route makes of a request: the rewritten path, the Location of
 * a redirect, the host.
 */

#include "mesh_route.h"
#include "mesh_template.h"


/*
 * The path with what matched replaced.  What goes out always begins with a
 * slash: "/api/" rewritten to "" leaves no path that HTTP could carry.
 */
static void
rewrite_prefix(mesh_text_t *t, const mesh_snapshot_t *s,
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


/* --- by a regular expression --------------------------------------------- */

/* How many bytes of UTF-8 begin here; RE2 never looks between them. */
static size_t
rewrite_rune(mesh_str_t text, size_t at)
{
    size_t   i, n;
    uint8_t  c;

    c = (uint8_t) text.data[at];
    n = c < 0xc2 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 1;

    if (n > text.len - at) {
        return 1;
    }

    for (i = 1; i < n; i++) {
        if (((uint8_t) text.data[at + i] & 0xc0) != 0x80) {
            return 1;
        }
    }

    return n;
}


/* "\1" is a group, "\\" a backslash. */
static void
rewrite_put_match(mesh_text_t *t, mesh_str_t text, mesh_str_t instead,
    const mesh_found_t *found)
{
    char      c;
    size_t    i;
    unsigned  group;

    for (i = 0; i < instead.len; i++) {
        c = instead.data[i];

        if (c != '\\' || i + 1 == instead.len) {
            mesh_text_put(t, (mesh_str_t) { 1, instead.data + i });
            continue;
        }

        c = instead.data[++i];
        group = (unsigned) (c - '0');

        if (c < '0' || c > '9') {
            mesh_text_put(t, (mesh_str_t) { 1, instead.data + i });

        } else if (found->v[2 * group] != SIZE_MAX) {
            mesh_text_put(t, (mesh_str_t) {
                             found->v[2 * group + 1] - found->v[2 * group],
                             text.data + found->v[2 * group] });
        }
    }
}


bool
mesh_rewrite_text(const mesh_snapshot_t *s, const mesh_rec_rewrite_t *rewrite,
    const mesh_request_t *r, mesh_str_t text, mesh_text_t *t)
{
    size_t                   last, n;
    mesh_str_t               pattern, instead;
    mesh_found_e             rc;
    mesh_found_t             found = { 0, 0, { 0 } };
    const mesh_rec_regex_t  *regex;

    regex = mesh_get(s, rewrite->regex);
    pattern = mesh_get_str(s, regex->pattern);
    instead = mesh_get_str(s, rewrite->text);
    last = SIZE_MAX;

    while (found.at <= text.len) {
        n = found.at;
        rc = r->calls->search(r, &regex->digest, pattern, text, &found);

        if (rc != MESH_FOUND_YES) {
            mesh_text_put(t, (mesh_str_t) { text.len - n, text.data + n });
            return rc == MESH_FOUND_NO && t->len <= MESH_REWRITE_MAX;
        }

        mesh_text_put(t, (mesh_str_t) { found.v[0] - n, text.data + n });

        if (found.v[0] == found.v[1] && found.v[0] == last) {
            /* Nothing, right behind the last match, is none. */
            found.at = found.v[0];

            if (found.at == text.len) {
                break;
            }

            n = rewrite_rune(text, found.at);
            mesh_text_put(t, (mesh_str_t) { n, text.data + found.at });
            found.at += n;

        } else {
            rewrite_put_match(t, text, instead, &found);
            found.at = found.v[1];
            last = found.at;
        }

        found.count++;

        if (t->len > MESH_REWRITE_MAX) {
            return false;
        }
    }

    return t->len <= MESH_REWRITE_MAX;
}


/* --- the path ------------------------------------------------------------ */

/* As the route's template has matched it; false: it has not. */
static bool
rewrite_template(mesh_text_t *t, const mesh_snapshot_t *s,
    const mesh_rec_route_t *route, const mesh_rec_rewrite_t *rewrite,
    mesh_str_t path)
{
    mesh_template_vars_t  vars;

    if (!mesh_template_match(mesh_get_str(s, route->path), path, &vars)) {
        return false;
    }

    mesh_template_expand(mesh_get_str(s, rewrite->text), &vars, t);

    return true;
}


/*
 * What came out is a path if it begins with a slash: what did not is given
 * one, and what could not be made, or is too long, is the request's.
 */
static void
rewrite_path(mesh_text_t *out, const mesh_snapshot_t *s,
    const mesh_rec_route_t *route, const mesh_rec_rewrite_t *rewrite,
    const mesh_facts_t *facts)
{
    bool                   ok;
    char                   first;
    size_t                 room;
    mesh_str_t             path;
    mesh_text_t            t;

    _Static_assert(MESH_REWRITE_MAX <= MESH_TEXT_MAX,
                   "a text that is too long is a path that is too long");

    path = facts->request->path;
    room = out->len < out->size ? out->size - out->len : 0;
    first = '\0';
    t = (mesh_text_t) { room ? out->out + out->len : &first,
                        room ? room : 1, 0, false };
    ok = path.len != 0 && path.data[0] == '/';

    if (ok && rewrite->path == MESH_REWRITE_REGEX) {
        ok = mesh_rewrite_text(s, rewrite, facts->request, path, &t);

    } else if (ok && rewrite->path == MESH_REWRITE_TEMPLATE) {
        ok = rewrite_template(&t, s, route, rewrite, path);

    } else if (ok) {
        t.len = mesh_substitute_path(s, mesh_get(s, rewrite->text), facts,
                                     t.out, t.size);
    }

    if (!ok || t.len > MESH_REWRITE_MAX) {
        mesh_text_put(out, path);
        return;
    }

    if (t.len == 0 || t.out[0] != '/') {
        if (room > 1) {
            memmove(t.out + 1, t.out, mesh_min(t.len, room - 1));
        }

        if (room) {
            t.out[0] = '/';
        }

        t.len++;
    }

    out->len += t.len;
}


size_t
mesh_route_rewrite(const mesh_snapshot_t *s, const mesh_rec_route_t *route,
    const mesh_facts_t *facts, char *out, size_t size)
{
    mesh_text_t                t = { out, size, 0, false };
    const mesh_rec_rewrite_t  *rewrite;

    rewrite = mesh_get(s, route->rewrite);

    if (rewrite && rewrite->path != MESH_REWRITE_KEEP) {
        rewrite_path(&t, s, route, rewrite, facts);

    } else if (route->prefix_rewrite) {
        rewrite_prefix(&t, s, route, facts->request->path,
                       route->prefix_rewrite);

    } else {
        mesh_text_put(&t, facts->request->path);
    }

    return t.len;
}


/* --- redirects ----------------------------------------------------------- */

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


/* The path, and whether the request's query may follow it. */
static bool
location_path(mesh_text_t *t, const mesh_snapshot_t *s,
    const mesh_rec_route_t *route, const mesh_rec_redirect_t *redirect,
    const mesh_request_t *r)
{
    mesh_str_t    path;
    mesh_facts_t  facts;

    if (redirect->path) {
        path = mesh_get_str(s, redirect->path);

        if (path.len == 0 || path.data[0] != '/') {
            mesh_text_put(t, MESH_STR("/"));
        }

        mesh_text_put(t, path);

        return path.len == 0 || memchr(path.data, '?', path.len) == NULL;
    }

    if (redirect->prefix) {
        rewrite_prefix(t, s, route, r->path, redirect->prefix);

    } else if (redirect->rewrite) {
        facts = (mesh_facts_t) { .request = r };
        rewrite_path(t, s, route, mesh_get(s, redirect->rewrite), &facts);

    } else {
        mesh_text_put(t, r->path);
    }

    return true;
}


size_t
mesh_route_location(const mesh_snapshot_t *s, const mesh_rec_route_t *route,
    const mesh_request_t *r, char *out, size_t size)
{
    mesh_text_t                 t = { out, size, 0, false };
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
        mesh_text_put(&t, MESH_STR(":"));
        mesh_text_put_number(&t, redirect->port, 1);
    }

    if (location_path(&t, s, route, redirect, r)
        && r->has_query && (redirect->flags & MESH_REDIRECT_STRIP_QUERY) == 0)
    {
        mesh_text_put(&t, MESH_STR("?"));
        mesh_text_put(&t, r->query);
    }

    return t.len;
}


/* --- hosts and clusters -------------------------------------------------- */

static bool
host_is_one(mesh_str_t host)
{
    char    c;
    size_t  i;

    for (i = 0; i < host.len; i++) {
        c = mesh_lower(host.data[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            && (c == '\0' || strchr("-._:[]", c) == NULL))
        {
            return false;
        }
    }

    return host.len != 0 && host.len <= MESH_DOMAIN_MAX;
}


bool
mesh_route_host(const mesh_snapshot_t *s, const mesh_rec_rewrite_t *rewrite,
    const mesh_request_t *r, char buffer[MESH_DOMAIN_MAX], mesh_str_t *host)
{
    mesh_text_t         t = { buffer, MESH_DOMAIN_MAX, 0, false };
    mesh_header_iter_t  iter = { NULL, 0 };

    if (rewrite->host == MESH_HOST_PATH) {
        if (!mesh_rewrite_text(s, mesh_get(s, rewrite->host_rewrite), r,
                               r->path, &t)
            || t.len > MESH_DOMAIN_MAX)
        {
            return false;
        }

        *host = (mesh_str_t) { t.len, buffer };

        return host_is_one(*host);
    }

    return rewrite->host == MESH_HOST_HEADER
           && r->calls->header(r, mesh_get_str(s, rewrite->header),
                               rewrite->header_hash, &iter, host)
           && host_is_one(*host);
}


mesh_str_t
mesh_split_by_header(const mesh_snapshot_t *s,
    const mesh_split_entry_t *entry, const mesh_request_t *r, uint32_t *hash)
{
    mesh_str_t          value;
    mesh_header_iter_t  iter = { NULL, 0 };

    if (!r->calls->header(r, mesh_get_str(s, entry->cluster),
                          entry->cluster_hash, &iter, &value)
        || value.len > MESH_NAME_MAX)
    {
        value = MESH_STR("");
    }

    *hash = mesh_hash32(value.data, value.len);

    return value;
}
