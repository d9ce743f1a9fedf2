/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Routes and virtual hosts as records.
 */

#include "compile.h"
#include "compile_memory.h"
#include "compile_trie.h"

#include <stdlib.h>

static void route_put_entry(mesh_writer_t *w, mesh_split_entry_t *to,
                            const model_split_t *from, uint32_t upto) {
    to->upto = upto;
    to->cluster = mesh_writer_put_str(w, from->cluster);
    to->cluster_hash = mesh_hash32(from->cluster.data, from->cluster.len);
    if (from->by_header) {
        to->flags = MESH_SPLIT_HEADER;
        to->not_found = (uint16_t)from->not_found;
        to->cluster_hash =
            mesh_header_hash(from->cluster.data, from->cluster.len);
    }
    to->subset = compile_str(w, from->subset);
    if (to->subset) {
        to->subset_hash = mesh_hash32(from->subset.data, from->subset.len);
    }
    to->request_ops = compile_header_ops(w, &from->request_ops);
    to->response_ops = compile_header_ops(w, &from->response_ops);
    to->host_rewrite = compile_str(w, from->host_rewrite);
}

/* The decoder has seen to it that the weights add up to 1 .. 2^32 - 1. */
static mesh_ref_t route_put_split(mesh_writer_t *w,
                                  const model_route_t *route) {
    mesh_rec_split_t *rec;
    uint32_t count = 0;

    for (uint32_t i = 0; i < route->nsplit; i++) {
        count += route->split[i].weight != 0;
    }

    rec = compile_record(MESH_KIND_SPLIT,
                         sizeof(*rec) + count * sizeof(rec->v[0]));

    for (uint32_t i = 0; i < route->nsplit; i++) {
        const model_split_t *from = &route->split[i];

        if (from->weight != 0) {
            rec->total += from->weight;
            route_put_entry(w, &rec->v[rec->count++], from, rec->total);
        }
    }
    return compile_put(w, rec);
}

static mesh_ref_t route_put_redirect(mesh_writer_t *w,
                                     const model_redirect_t *redirect) {
    mesh_rec_redirect_t rec = {
        .rec = {.kind = MESH_KIND_REDIRECT, .size = sizeof(rec)},
        .status = (uint16_t)redirect->status,
        .flags = redirect->strip_query ? MESH_REDIRECT_STRIP_QUERY : 0,
        .port = redirect->port,
        .scheme = compile_str(w, redirect->scheme),
        .host = compile_str(w, redirect->host),
        .path = compile_str(w, redirect->path),
    };

    if (redirect->has_prefix) {
        rec.prefix = mesh_writer_put_str(w, redirect->prefix);
    }
    if (redirect->regex.pattern.len != 0) {
        model_rewrite_t rewrite = {.path = MESH_REWRITE_REGEX,
                                   .regex = redirect->regex};

        rec.rewrite = compile_rewrite(w, &rewrite);
    }
    return mesh_writer_put(w, &rec.rec);
}

static mesh_ref_t route_put_direct(mesh_writer_t *w,
                                   const model_route_t *route) {
    mesh_rec_direct_t rec = {
        .rec = {.kind = MESH_KIND_DIRECT, .size = sizeof(rec)},
        .status = route->direct_status,
        .body = compile_str(w, route->direct_body),
    };

    return mesh_writer_put(w, &rec.rec);
}

static mesh_ref_t route_put_retry(mesh_writer_t *w,
                                  const model_retry_t *retry) {
    mesh_rec_retry_t rec = {
        .rec = {.kind = MESH_KIND_RETRY, .size = sizeof(rec)},
        .on = retry->on,
        .attempts = retry->attempts,
        .per_try_timeout_ms = retry->per_try_timeout_ms,
        .codes = mesh_writer_put_u32s(w, retry->codes, retry->ncodes),
        .grpc = retry->grpc,
    };

    return mesh_writer_put(w, &rec.rec);
}

static mesh_ref_t route_put_hash_policies(mesh_writer_t *w,
                                          const model_route_t *route) {
    mesh_rec_hash_policies_t *rec;

    if (route->nhash_policies == 0) {
        return 0;
    }

    rec = compile_record(MESH_KIND_HASH_POLICIES,
                         sizeof(*rec) +
                             route->nhash_policies * sizeof(rec->v[0]));
    rec->count = route->nhash_policies;

    for (uint32_t i = 0; i < route->nhash_policies; i++) {
        const model_hash_policy_t *from = &route->hash_policies[i];
        mesh_hash_policy_t *to = &rec->v[i];

        to->from = (uint8_t)from->from;
        to->flags = (uint8_t)((from->terminal ? MESH_HASH_TERMINAL : 0) |
                              (from->generate ? MESH_HASH_GENERATE : 0));
        to->name = compile_str(w, from->name);
        to->attributes = compile_str(w, from->attributes);
        to->rewrite = compile_regex_rewrite(w, &from->rewrite);
        if (from->from == MESH_HASH_HEADER) {
            to->hash = mesh_header_hash(from->name.data, from->name.len);
        }
    }
    return compile_put(w, rec);
}

static mesh_ref_t route_put_session(mesh_writer_t *w,
                                    const model_session_t *session) {
    mesh_rec_session_t rec = {
        .rec = {.kind = MESH_KIND_SESSION, .size = sizeof(rec)},
        .flags = (session->strict ? MESH_SESSION_STRICT : 0) |
                 (session->header ? MESH_SESSION_HEADER : 0),
    };

    if (!session->set) {
        return 0;
    }
    rec.name = mesh_writer_put_str(w, session->name);
    rec.attributes = compile_str(w, session->attributes);
    if (session->header) {
        rec.hash = mesh_header_hash(session->name.data, session->name.len);
    }
    return mesh_writer_put(w, &rec.rec);
}

/* What the action needs besides the route's own fields. */
static void route_put_action(mesh_writer_t *w, const compile_runtime_t *runtime,
                             const model_route_t *route,
                             mesh_rec_route_t *rec) {
    switch (route->action) {
    case MESH_ACTION_ROUTE:
        rec->split = route_put_split(w, route);
        rec->split_header = compile_str(w, route->split_by.header);
        rec->hash_policies = route_put_hash_policies(w, route);
        rec->session = route_put_session(w, &route->session);
        rec->rewrite = compile_rewrite(w, &route->rewrite);
        rec->mirrors = compile_mirrors(w, runtime, &route->mirrors);
        rec->cors = compile_cors(w, &route->cors);
        rec->internal_redirect = compile_follow(w, &route->follow);
        rec->body_limit = route->body_limit;
        break;
    case MESH_ACTION_REDIRECT:
        rec->redirect = route_put_redirect(w, &route->redirect);
        break;
    case MESH_ACTION_DIRECT:
        rec->direct = route_put_direct(w, route);
        break;
    }
}

static uint32_t route_flags(const model_route_t *route) {
    return (route->ignore_case ? MESH_ROUTE_IGNORE_CASE : 0u) |
           (route->grpc ? MESH_ROUTE_GRPC : 0u) |
           (route->addresses.count ? MESH_ROUTE_ADDRESSES : 0u) |
           (route->share.set ? MESH_ROUTE_SHARE : 0u) |
           (route->split_by.by == MODEL_SPLIT_BY_HASH ? MESH_ROUTE_SPLIT_HASH
                                                      : 0u) |
           (route->path_match == MESH_PATH_TEMPLATE ? MESH_ROUTE_TEMPLATE : 0u);
}

mesh_ref_t compile_route(mesh_writer_t *w, const compile_runtime_t *runtime,
                         const model_route_t *route) {
    mesh_rec_route_t rec = {
        .rec = {.kind = MESH_KIND_ROUTE, .size = sizeof(rec)},
        .name = mesh_writer_put_str(w, route->name),
        .name_hash = mesh_hash32(route->name.data, route->name.len),
        .path_match = (uint8_t)route->path_match,
        .action = (uint8_t)route->action,
        .methods = route->methods,
        .flags = route_flags(route),
        .path = mesh_writer_put_str(w, route->path),
        .matches = compile_matches(w, route->matches, route->nmatches),
        .host_rewrite = compile_str(w, route->host_rewrite),
        .request_ops = compile_header_ops(w, &route->request_ops),
        .response_ops = compile_header_ops(w, &route->response_ops),
        .timeout_ms = route->timeout_ms,
        .idle_timeout_ms = route->idle_timeout_ms,
        .addresses = compile_addresses(w, &route->addresses),
    };

    if (route->has_prefix_rewrite) {
        rec.prefix_rewrite = mesh_writer_put_str(w, route->prefix_rewrite);
    }
    if (route->retry.set) {
        rec.retry = route_put_retry(w, &route->retry);
    }
    if (route->path_match == MESH_PATH_REGEX) {
        rec.regex = compile_regex(w, route->path, 0);
    }
    if (route->share.set) {
        rec.share = compile_share(w, runtime, &route->share, &rec.share_ppm);
    }
    route_put_action(w, runtime, route, &rec);
    return mesh_writer_put(w, &rec.rec);
}

/* Routes that are in no trie. */
static mesh_ref_t vhost_put_others(mesh_writer_t *w,
                                   const model_vhost_t *vhost) {
    uint32_t *others = compile_alloc((vhost->nroutes + 1) * sizeof(*others));
    uint32_t count = 0;

    for (uint32_t i = 0; i < vhost->nroutes; i++) {
        if (vhost->routes[i].path_match == MESH_PATH_REGEX) {
            others[count++] = i;
        }
    }

    mesh_ref_t ref = mesh_writer_put_u32s(w, others, count);

    free(others);
    return ref;
}

mesh_ref_t compile_vhost(mesh_writer_t *w, const compile_runtime_t *runtime,
                         const model_vhost_t *vhost) {
    mesh_ref_t *refs = compile_alloc((vhost->nroutes + 1) * sizeof(*refs));

    for (uint32_t i = 0; i < vhost->nroutes; i++) {
        refs[i] = compile_route(w, runtime, &vhost->routes[i]);
    }

    mesh_rec_vhost_t rec = {
        .rec = {.kind = MESH_KIND_VHOST, .size = sizeof(rec)},
        .name = mesh_writer_put_str(w, vhost->name),
        .routes =
            mesh_writer_put_refs(w, MESH_KIND_ROUTE, refs, vhost->nroutes),
        .trie = compile_trie(w, vhost->routes, vhost->nroutes, false),
        .folded = compile_trie(w, vhost->routes, vhost->nroutes, true),
        .others = vhost_put_others(w, vhost),
        .request_ops = compile_header_ops(w, &vhost->request_ops),
        .response_ops = compile_header_ops(w, &vhost->response_ops),
    };

    free(refs);
    return mesh_writer_put(w, &rec.rec);
}
