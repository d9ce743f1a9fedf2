/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Bindings: each cluster with its endpoint set and the slots of both, each
 * route with its slot.  Read from records and not from the model, because a
 * pinned policy has no model any more.
 */

#include "compile_state.h"

#include <stdlib.h>

static void touch_chunks(const compiler_t *c, mesh_ref_t slots) {
    if (slots == 0) {
        return;
    }
    const mesh_rec_refs_t *refs = mesh_writer_get(c->w, slots);
    for (uint32_t i = 0; i < refs->count; i++) {
        const mesh_rec_u32s_t *u = mesh_writer_get(c->w, refs->v[i]);
        for (uint32_t k = 0; k < u->count; k++) {
            slots_touch(c->slots, SLOTS_ENDPOINT, u->v[k]);
        }
    }
}

static mesh_ref_t put_chunk_slots(compiler_t *c, slot_key_t cluster,
                                  mesh_ref_t ref, uint32_t *unbound) {
    uint32_t v[MESH_CHUNK_MAX];
    const mesh_rec_endpoint_chunk_t *chunk = mesh_writer_get(c->w, ref);
    uint32_t count = chunk->count;
    for (uint32_t i = 0; i < count; i++) {
        mesh_str_t host = compile_text(c->w, chunk->v[i].host);
        slot_key_t key = slot_key_endpoint(cluster, &chunk->v[i], host);
        v[i] = slots_get(c->slots, SLOTS_ENDPOINT, key);
        *unbound += v[i] == MESH_SLOT_NONE;
    }
    return mesh_writer_put_u32s(c->w, v, count);
}

static mesh_ref_t put_set_slots(compiler_t *c, slot_key_t cluster,
                                mesh_ref_t set, uint32_t *unbound) {
    if (set == 0) {
        return 0;
    }
    const mesh_rec_endpoint_set_t *rec = mesh_writer_get(c->w, set);
    uint32_t count = rec->count;
    mesh_ref_t *refs = compile_alloc(count * sizeof(refs[0]) + 1);
    memcpy(refs, rec->v, count * sizeof(refs[0]));
    for (uint32_t i = 0; i < count; i++) {
        refs[i] = put_chunk_slots(c, cluster, refs[i], unbound);
    }
    mesh_ref_t slots = mesh_writer_put_refs(c->w, MESH_KIND_U32S, refs, count);
    free(refs);
    return slots;
}

static mesh_ref_t bind_anew(compiler_t *c, mesh_ref_t name, mesh_ref_t cluster,
                            mesh_ref_t set, bool *whole) {
    uint32_t unbound = 0;
    slot_key_t key = slot_key_name(compile_text(c->w, name));
    mesh_rec_bind_cluster_t rec = {
        .rec = {.kind = MESH_KIND_BIND_CLUSTER, .size = sizeof(rec)},
        .name = name,
        .cluster = cluster,
        .set = set,
        .slots = put_set_slots(c, key, set, &unbound),
        .slot = slots_get(c->slots, SLOTS_CLUSTER, key),
    };
    c->unbound[SLOTS_ENDPOINT] += unbound;
    c->unbound[SLOTS_CLUSTER] += rec.slot == MESH_SLOT_NONE;
    *whole = unbound == 0 && rec.slot != MESH_SLOT_NONE;
    return mesh_writer_put(c->w, &rec.rec);
}

/* A binding that lacks a slot is made again next time: one may be free. */
static mesh_ref_t bind_cluster(compiler_t *c, mesh_ref_t name,
                               mesh_ref_t cluster, mesh_ref_t set) {
    compile_memo_entry_t memo;
    if (compile_memo_find(&c->binds, cluster, set, &memo)) {
        const mesh_rec_bind_cluster_t *rec = mesh_writer_get(c->w, memo.ref);
        slots_touch(c->slots, SLOTS_CLUSTER, rec->slot);
        touch_chunks(c, rec->slots);
        return memo.ref;
    }
    bool whole;
    mesh_ref_t ref = bind_anew(c, name, cluster, set, &whole);
    if (whole) {
        memo = (compile_memo_entry_t){cluster, set, ref, name};
        compile_memo_add(&c->binds, &memo);
    }
    return ref;
}

static mesh_ref_t bind_clusters(compiler_t *c, mesh_ref_t clusters,
                                mesh_ref_t sets) {
    compile_entries_t entries = {0};
    compile_entries_of(&entries, c->w, sets);
    compile_memo_t by_name = {0};
    for (uint32_t i = 0; i < entries.count; i++) {
        compile_memo_entry_t e = {entries.v[i].name, 0, entries.v[i].value, 0};
        compile_memo_add(&by_name, &e);
    }

    entries.count = 0;
    compile_entries_of(&entries, c->w, clusters);
    for (uint32_t i = 0; i < entries.count; i++) {
        mesh_map_entry_t *e = &entries.v[i];
        const mesh_rec_cluster_t *rec = mesh_writer_get(c->w, e->value);
        mesh_ref_t set_name = rec->endpoint_set ? rec->endpoint_set : e->name;
        /* One text is one STRING: equal names are equal references. */
        compile_memo_entry_t set = {0};
        if (!compile_memo_find(&by_name, set_name, 0, &set)) {
            set.ref = 0;
        }
        e->value = bind_cluster(c, e->name, e->value, set.ref);
    }
    mesh_ref_t map = mesh_writer_put_map(c->w, MESH_KIND_BIND_CLUSTER,
                                         entries.v, entries.count);
    compile_memo_free(&by_name);
    free(entries.v);
    return map;
}

/* --- routes ------------------------------------------------------------- */

typedef struct {
    compiler_t *c;
    compile_refset_t vhosts;
    compile_refset_t names;
    compile_entries_t routes;
} routes_t;

static void vhost_routes(routes_t *r, mesh_ref_t vhost) {
    const mesh_writer_t *w = r->c->w;
    if (!compile_refset_add(&r->vhosts, vhost)) {
        return;
    }
    const mesh_rec_vhost_t *rec = mesh_writer_get(w, vhost);
    if (rec->routes == 0) {
        return;
    }
    const mesh_rec_refs_t *refs = mesh_writer_get(w, rec->routes);
    for (uint32_t i = 0; i < refs->count; i++) {
        const mesh_rec_route_t *route = mesh_writer_get(w, refs->v[i]);
        if (!compile_refset_add(&r->names, route->name)) {
            continue;
        }
        slot_key_t key = slot_key_name(compile_text(w, route->name));
        uint32_t slot = slots_get(r->c->slots, SLOTS_ROUTE, key);
        r->c->unbound[SLOTS_ROUTE] += slot == MESH_SLOT_NONE;
        compile_entries_add(&r->routes, route->name, 0, slot);
    }
}

static void table_routes(routes_t *r, mesh_ref_t table) {
    const mesh_rec_route_table_t *rec = mesh_writer_get(r->c->w, table);
    const mesh_ref_t maps[] = {rec->exact, rec->suffix, rec->prefix};
    for (unsigned i = 0; i < mesh_nelts(maps); i++) {
        compile_entries_t vhosts = {0};
        compile_entries_of(&vhosts, r->c->w, maps[i]);
        for (uint32_t k = 0; k < vhosts.count; k++) {
            vhost_routes(r, vhosts.v[k].value);
        }
        free(vhosts.v);
    }
    vhost_routes(r, rec->any);
}

static void touch_routes(const compiler_t *c) {
    compile_entries_t routes = {0};
    compile_entries_of(&routes, c->w, c->routes);
    for (uint32_t i = 0; i < routes.count; i++) {
        slots_touch(c->slots, SLOTS_ROUTE, routes.v[i].aux);
    }
    free(routes.v);
}

static mesh_ref_t bind_routes(compiler_t *c, mesh_ref_t route_tables) {
    if (route_tables != 0 && route_tables == c->route_tables) {
        touch_routes(c);
        return c->routes;
    }
    routes_t r = {.c = c};
    compile_entries_t tables = {0};
    compile_entries_of(&tables, c->w, route_tables);
    for (uint32_t i = 0; i < tables.count; i++) {
        table_routes(&r, tables.v[i].value);
    }
    free(tables.v);
    compile_refset_free(&r.vhosts);
    compile_refset_free(&r.names);

    c->routes =
        mesh_writer_put_map(c->w, MESH_KIND_NONE, r.routes.v, r.routes.count);
    c->route_tables = c->unbound[SLOTS_ROUTE] == 0 ? route_tables : 0;
    free(r.routes.v);
    return c->routes;
}

mesh_ref_t compile_binding(compiler_t *c, mesh_ref_t policy,
                           mesh_ref_t endpoints) {
    const mesh_rec_policy_t *p = mesh_writer_get(c->w, policy);
    mesh_ref_t clusters = p->clusters;
    mesh_ref_t route_tables = p->route_tables;
    const mesh_rec_endpoints_t *e = mesh_writer_get(c->w, endpoints);
    mesh_ref_t sets = e->sets;

    memset(c->unbound, 0, sizeof(c->unbound));
    mesh_rec_binding_t rec = {
        .rec = {.kind = MESH_KIND_BINDING, .size = sizeof(rec)},
        .clusters = bind_clusters(c, clusters, sets),
        .routes = bind_routes(c, route_tables),
    };
    return mesh_writer_put(c->w, &rec.rec);
}
