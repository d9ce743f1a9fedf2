/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Routes, virtual hosts and route tables as records.
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
    to->subset = compile_str(w, from->subset);
    if (to->subset) {
        to->subset_hash = mesh_hash32(from->subset.data, from->subset.len);
    }
    to->request_ops = compile_header_ops(w, &from->request_ops);
    to->response_ops = compile_header_ops(w, &from->response_ops);
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

/* What the action needs besides the route's own fields. */
static void route_put_action(mesh_writer_t *w, const model_route_t *route,
                             mesh_rec_route_t *rec) {
    switch (route->action) {
    case MESH_ACTION_ROUTE:
        rec->split = route_put_split(w, route);
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
           (route->share.set ? MESH_ROUTE_SHARE : 0u);
}

mesh_ref_t compile_route(mesh_writer_t *w, const model_route_t *route) {
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
        .share_ppm = route->share.set ? route->share.ppm : 0,
    };

    if (route->has_prefix_rewrite) {
        rec.prefix_rewrite = mesh_writer_put_str(w, route->prefix_rewrite);
    }
    if (route->retry.set) {
        rec.retry = route_put_retry(w, &route->retry);
    }
    route_put_action(w, route, &rec);
    return mesh_writer_put(w, &rec.rec);
}

mesh_ref_t compile_vhost(mesh_writer_t *w, const model_vhost_t *vhost) {
    mesh_ref_t *refs = compile_alloc((vhost->nroutes + 1) * sizeof(*refs));

    for (uint32_t i = 0; i < vhost->nroutes; i++) {
        refs[i] = compile_route(w, &vhost->routes[i]);
    }

    mesh_rec_vhost_t rec = {
        .rec = {.kind = MESH_KIND_VHOST, .size = sizeof(rec)},
        .name = mesh_writer_put_str(w, vhost->name),
        .routes =
            mesh_writer_put_refs(w, MESH_KIND_ROUTE, refs, vhost->nroutes),
        .trie = compile_trie(w, vhost->routes, vhost->nroutes, false),
        .folded = compile_trie(w, vhost->routes, vhost->nroutes, true),
        .request_ops = compile_header_ops(w, &vhost->request_ops),
        .response_ops = compile_header_ops(w, &vhost->response_ops),
    };

    free(refs);
    return mesh_writer_put(w, &rec.rec);
}

/* Domains of one form: the map's entries, and which lengths occur. */
typedef struct {
    mesh_map_entry_t *entries;
    uint32_t count;
    uint32_t lens[MESH_DOMAIN_MAX + 1];
} domains_t;

static void domains_add(mesh_writer_t *w, domains_t *domains, mesh_str_t text,
                        mesh_ref_t vhost) {
    mesh_map_entry_t *entry = &domains->entries[domains->count++];

    entry->name = mesh_writer_put_str(w, text);
    entry->value = vhost;
    if (text.len <= MESH_DOMAIN_MAX) {
        domains->lens[text.len] = 1;
    }
}

static mesh_ref_t domains_put(mesh_writer_t *w, const domains_t *domains) {
    return mesh_writer_put_map(w, MESH_KIND_VHOST, domains->entries,
                               domains->count);
}

/* The lengths that occur, longest first. */
static mesh_ref_t domains_put_lens(mesh_writer_t *w, const domains_t *domains) {
    uint32_t lens[MESH_DOMAIN_MAX + 1];
    uint32_t n = 0;

    for (uint32_t len = MESH_DOMAIN_MAX + 1; len-- > 0;) {
        if (domains->lens[len]) {
            lens[n++] = len;
        }
    }
    return mesh_writer_put_u32s(w, lens, n);
}

typedef struct {
    domains_t exact;
    domains_t suffix;
    domains_t prefix;
    mesh_ref_t any;
} table_domains_t;

static void table_add_domain(mesh_writer_t *w, table_domains_t *t,
                             mesh_str_t domain, mesh_ref_t vhost) {
    if (mesh_str_eq(domain, MESH_STR("*"))) {
        t->any = vhost;
    } else if (domain.len && domain.data[0] == '*') {
        mesh_str_t rest = {domain.len - 1, domain.data + 1};
        domains_add(w, &t->suffix, rest, vhost);
    } else if (domain.len && domain.data[domain.len - 1] == '*') {
        mesh_str_t rest = {domain.len - 1, domain.data};
        domains_add(w, &t->prefix, rest, vhost);
    } else {
        domains_add(w, &t->exact, domain, vhost);
    }
}

mesh_ref_t compile_route_table(mesh_writer_t *w, mesh_str_t name,
                               uint32_t flags,
                               const model_vhost_t *const *vhosts,
                               uint32_t count) {
    arena_t *arena = arena_new();
    table_domains_t *t = arena_alloc(arena, sizeof(*t));
    size_t ndomains = 1;

    for (uint32_t i = 0; i < count; i++) {
        ndomains += vhosts[i]->ndomains;
    }

    t->exact.entries = arena_alloc(arena, ndomains * sizeof(mesh_map_entry_t));
    t->suffix.entries = arena_alloc(arena, ndomains * sizeof(mesh_map_entry_t));
    t->prefix.entries = arena_alloc(arena, ndomains * sizeof(mesh_map_entry_t));

    for (uint32_t i = 0; i < count; i++) {
        mesh_ref_t ref = compile_vhost(w, vhosts[i]);

        for (uint32_t d = 0; d < vhosts[i]->ndomains; d++) {
            table_add_domain(w, t, vhosts[i]->domains[d], ref);
        }
    }

    mesh_rec_route_table_t rec = {
        .rec = {.kind = MESH_KIND_ROUTE_TABLE, .size = sizeof(rec)},
        .name = mesh_writer_put_str(w, name),
        .flags = flags,
        .exact = domains_put(w, &t->exact),
        .suffix = domains_put(w, &t->suffix),
        .suffix_lens = domains_put_lens(w, &t->suffix),
        .prefix = domains_put(w, &t->prefix),
        .prefix_lens = domains_put_lens(w, &t->prefix),
        .any = t->any,
    };

    arena_free(arena);
    return mesh_writer_put(w, &rec.rec);
}
