/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The CORS decision.  A preflight is an OPTIONS request that names an origin
 * and the method it asks for; it is answered here, unless its origin is
 * foreign and the policy lets such go on.
 */

#include "mesh_cors.h"
#include "mesh_match.h"


/* Not there is as good as empty. */
static mesh_str_t
cors_header(const mesh_request_t *r, mesh_str_t name)
{
    mesh_str_t          value;
    mesh_header_iter_t  iter = { NULL, 0 };

    return r->calls->header(r, name, mesh_header_hash(name.data, name.len),
                            &iter, &value)
           ? value : MESH_STR_NULL;
}


/* "*" alone is any, as in Envoy. */
static bool
cors_allowed(const mesh_snapshot_t *s, const mesh_rec_cors_t *cors,
    const mesh_request_t *r, mesh_str_t origin)
{
    uint32_t                   i;
    const mesh_match_t        *m;
    const mesh_rec_matches_t  *origins;

    origins = mesh_get(s, cors->origins);

    for (i = 0; origins != NULL && i < origins->count; i++) {
        m = &origins->v[i];

        if ((m->op == MESH_MATCH_EXACT
             && mesh_str_eq(mesh_get_str(s, m->value), MESH_STR("*")))
            || mesh_match_text(s, m, r, origin))
        {
            return true;
        }
    }

    return false;
}


mesh_cors_t
mesh_cors_decide(const mesh_snapshot_t *s, const mesh_rec_cors_t *cors,
    const mesh_request_t *r)
{
    bool         allowed;
    mesh_cors_t  d;

    memset(&d, 0, sizeof(mesh_cors_t));

    d.origin = cors_header(r, MESH_STR("origin"));

    if (d.origin.len == 0) {
        return d;
    }

    allowed = cors_allowed(s, cors, r, d.origin);

    if (r->method_bit == MESH_METHOD_OPTIONS) {
        d.method = cors_header(r, MESH_STR("access-control-request-method"));
    }

    if (d.method.len == 0) {
        d.verdict = allowed ? MESH_CORS_ALLOWED : MESH_CORS_NONE;
        return d;
    }

    if (allowed) {
        d.verdict = MESH_CORS_PREFLIGHT;

    } else if (cors->flags & MESH_CORS_ANSWER_ALL) {
        d.verdict = MESH_CORS_REFUSED;
    }

    d.headers = cors_header(r, MESH_STR("access-control-request-headers"));
    d.private_network = mesh_str_eq(
        cors_header(r, MESH_STR("access-control-request-private-network")),
        MESH_STR("true"));

    return d;
}


typedef struct {
    mesh_cors_header_t  *v;
    unsigned             n;
} cors_out_t;


static void
cors_add(cors_out_t *out, const char *name, mesh_str_t value)
{
    if (value.len) {
        out->v[out->n].name = mesh_str_from(name);
        out->v[out->n].value = value;
        out->n++;
    }
}


/* "*" is what was asked for: browsers take it for a name with credentials. */
static mesh_str_t
cors_asked(mesh_str_t value, mesh_str_t asked)
{
    return mesh_str_eq(value, MESH_STR("*")) ? asked : value;
}


unsigned
mesh_cors_headers(const mesh_snapshot_t *s, const mesh_rec_cors_t *cors,
    const mesh_cors_t *d, mesh_cors_header_t headers[MESH_CORS_HEADERS_MAX])
{
    cors_out_t  out = { headers, 0 };

    if (d->verdict == MESH_CORS_NONE) {
        return 0;
    }

    if (d->verdict != MESH_CORS_REFUSED) {
        cors_add(&out, "access-control-allow-origin", d->origin);

        if (cors->flags & MESH_CORS_CREDENTIALS) {
            cors_add(&out, "access-control-allow-credentials",
                     MESH_STR("true"));
        }

        cors_add(&out, "access-control-expose-headers",
                 mesh_get_str(s, cors->expose_headers));
    }

    if (d->verdict == MESH_CORS_ALLOWED) {
        return out.n;
    }

    cors_add(&out, "access-control-allow-methods",
             cors_asked(mesh_get_str(s, cors->allow_methods), d->method));
    cors_add(&out, "access-control-allow-headers",
             cors_asked(mesh_get_str(s, cors->allow_headers), d->headers));
    cors_add(&out, "access-control-max-age", mesh_get_str(s, cors->max_age));

    if (d->verdict == MESH_CORS_PREFLIGHT && d->private_network
        && (cors->flags & MESH_CORS_PRIVATE_NETWORK))
    {
        cors_add(&out, "access-control-allow-private-network",
                 MESH_STR("true"));
    }

    return out.n;
}


bool
mesh_cors_varies(mesh_str_t vary)
{
    mesh_str_t  token;

    while (mesh_header_item(&vary, &token)) {
        if (mesh_str_eq_folded(token, MESH_STR("origin"))
            || mesh_str_eq(token, MESH_STR("*")))
        {
            return true;
        }
    }

    return false;
}
