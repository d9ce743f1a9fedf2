/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Bindings: each cluster with its endpoint set and the slots of both, each
 * route with its slot.  Read from records and not from the model, because a
 * pinned policy has no model any more; from the records that differ from
 * those that were bound last.
 */

#include "compile_state.h"

#include <stdlib.h>

/* --- clusters ----------------------------------------------------------- */

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

static const mesh_rec_lb_t *params_of(const compiler_t *c, mesh_ref_t cluster) {
    const mesh_rec_cluster_t *rec = mesh_writer_get(c->w, cluster);
    return rec->lb_params ? mesh_writer_get(c->w, rec->lb_params) : NULL;
}

/* Only who asks for it differs with where the proxies are. */
static mesh_ref_t node_of(compiler_t *c, mesh_ref_t cluster) {
    const mesh_rec_lb_t *lb = params_of(c, cluster);
    if (lb == NULL ||
        (!(lb->flags & MESH_LB_FAILOVER) && lb->zone_aware == 0)) {
        return 0;
    }
    mesh_ref_t node = c->node != NULL ? compile_locality(c->w, c->node) : 0;
    c->unlocated += node == 0;
    return node;
}

/* What the proxies are, as the cluster says it or else the agent. */
static mesh_ref_t local_of(compiler_t *c, mesh_ref_t cluster) {
    const mesh_rec_lb_t *lb = params_of(c, cluster);
    if (lb == NULL || lb->zone_aware == 0) {
        return 0;
    }
    const mesh_rec_zone_aware_t *zone = mesh_writer_get(c->w, lb->zone_aware);
    mesh_ref_t local =
        zone->local != 0 ? zone->local : compile_str(c->w, c->local_cluster);
    c->nameless += local == 0;
    return local;
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
        .node = node_of(c, cluster),
        .local = local_of(c, cluster),
    };
    c->unbound[SLOTS_ENDPOINT] += unbound;
    c->unbound[SLOTS_CLUSTER] += rec.slot == MESH_SLOT_NONE;
    *whole = unbound == 0 && rec.slot != MESH_SLOT_NONE;
    return mesh_writer_put(c->w, &rec.rec);
}

/* The name of the set that a cluster takes; its own unless it says another. */
static mesh_ref_t foreign_set(const compiler_t *c, mesh_ref_t cluster) {
    const mesh_rec_cluster_t *rec = mesh_writer_get(c->w, cluster);
    return rec->endpoint_set;
}

/* Clusters whose binding is to be made anew. */
typedef struct {
    compile_refset_t seen;
    compile_refs_t names;
} rebind_t;

static void rebind_add(rebind_t *r, mesh_ref_t name) {
    if (compile_refset_add(&r->seen, name)) {
        compile_refs_add(&r->names, name);
    }
}

/* Clusters that differ, and the changes for those that are gone. */
static void rebind_clusters(compiler_t *c, mesh_ref_t clusters, rebind_t *r,
                            compile_changes_t *changes) {
    compile_diffs_t diffs = {0};
    compile_map_diff(c->w, c->bound.clusters, clusters, &diffs);
    for (uint32_t i = 0; i < diffs.count; i++) {
        const compile_diff_t *d = &diffs.v[i];
        if (d->before.name != 0) {
            c->bound.foreign -= foreign_set(c, d->before.value) != 0;
        }
        if (d->after.name != 0) {
            c->bound.foreign += foreign_set(c, d->after.value) != 0;
            rebind_add(r, d->after.name);
        } else {
            compile_changes_gone(changes, d->before.name);
        }
    }
    compile_diffs_free(&diffs);
}

/* Those that take a set of another name: only a look at all tells. */
static void rebind_foreign(const compiler_t *c, mesh_ref_t clusters,
                           const compile_diffs_t *sets, rebind_t *r) {
    compile_refset_t changed = {0};
    for (uint32_t i = 0; i < sets->count; i++) {
        mesh_ref_t name = sets->v[i].after.name;
        (void)compile_refset_add(&changed,
                                 name ? name : sets->v[i].before.name);
    }
    compile_diffs_t all = {0};
    compile_map_diff(c->w, 0, clusters, &all);
    for (uint32_t i = 0; i < all.count; i++) {
        mesh_ref_t set = foreign_set(c, all.v[i].after.value);
        if (set != 0 && compile_refset_has(&changed, set)) {
            rebind_add(r, all.v[i].after.name);
        }
    }
    compile_diffs_free(&all);
    compile_refset_free(&changed);
}

/* Clusters whose sets differ. */
static void rebind_sets(compiler_t *c, mesh_ref_t clusters, mesh_ref_t sets,
                        rebind_t *r) {
    compile_diffs_t diffs = {0};
    compile_map_diff(c->w, c->bound.sets, sets, &diffs);
    for (uint32_t i = 0; i < diffs.count; i++) {
        mesh_ref_t name = diffs.v[i].after.name ? diffs.v[i].after.name
                                                : diffs.v[i].before.name;
        if (compile_map_find(c->w, clusters, name) != NULL) {
            rebind_add(r, name);
        }
    }
    if (c->bound.foreign > 0 && diffs.count > 0) {
        rebind_foreign(c, clusters, &diffs, r);
    }
    compile_diffs_free(&diffs);
}

/* A binding that lacks a slot is made again each time: one may be free. */
static void rebind_lacking(compiler_t *c, mesh_ref_t clusters, rebind_t *r) {
    for (uint32_t i = 0; i < c->bound.lacking.count; i++) {
        mesh_ref_t name = c->bound.lacking.v[i];
        if (compile_map_find(c->w, clusters, name) != NULL) {
            rebind_add(r, name);
        }
    }
    compile_refs_free(&c->bound.lacking);
}

static void bind_one(compiler_t *c, mesh_ref_t clusters, mesh_ref_t sets,
                     mesh_ref_t name, compile_changes_t *changes) {
    mesh_ref_t cluster = compile_map_find(c->w, clusters, name)->value;
    mesh_ref_t foreign = foreign_set(c, cluster);
    const mesh_map_entry_t *set =
        compile_map_find(c->w, sets, foreign ? foreign : name);
    bool whole;
    mesh_ref_t ref =
        bind_anew(c, name, cluster, set != NULL ? set->value : 0, &whole);
    compile_changes_put(changes, name, ref, 0);
    if (!whole) {
        compile_refs_add(&c->bound.lacking, name);
    }
}

static mesh_ref_t bind_clusters(compiler_t *c, mesh_ref_t clusters,
                                mesh_ref_t sets) {
    rebind_t rebind = {.names = {0}};
    compile_changes_t changes = {0};
    rebind_clusters(c, clusters, &rebind, &changes);
    rebind_sets(c, clusters, sets, &rebind);
    rebind_lacking(c, clusters, &rebind);
    for (uint32_t i = 0; i < rebind.names.count; i++) {
        bind_one(c, clusters, sets, rebind.names.v[i], &changes);
    }
    c->bound.map = mesh_writer_update_map(
        c->w, MESH_KIND_BIND_CLUSTER, c->bound.map, changes.v, changes.count);
    c->bound.clusters = clusters;
    c->bound.sets = sets;
    compile_changes_free(&changes);
    compile_refset_free(&rebind.seen);
    compile_refs_free(&rebind.names);
    return c->bound.map;
}

/* --- routes ------------------------------------------------------------- */

/* Virtual hosts that domains lead to, now and not before, and the reverse. */
typedef struct {
    compile_refs_t come;
    compile_refs_t gone;
} moves_t;

static void moves_add(compile_refs_t *refs, mesh_ref_t vhost) {
    if (vhost != 0) {
        compile_refs_add(refs, vhost);
    }
}

static void moves_of_map(const compiler_t *c, mesh_ref_t before,
                         mesh_ref_t after, moves_t *moves) {
    compile_diffs_t diffs = {0};
    compile_map_diff(c->w, before, after, &diffs);
    for (uint32_t i = 0; i < diffs.count; i++) {
        moves_add(&moves->gone, diffs.v[i].before.value);
        moves_add(&moves->come, diffs.v[i].after.value);
    }
    compile_diffs_free(&diffs);
}

static void moves_of_table(const compiler_t *c, mesh_ref_t before,
                           mesh_ref_t after, moves_t *moves) {
    static const mesh_rec_route_table_t none;
    const mesh_rec_route_table_t *a = &none, *b = &none;
    if (before != 0) {
        a = mesh_writer_get(c->w, before);
    }
    if (after != 0) {
        b = mesh_writer_get(c->w, after);
    }
    moves_of_map(c, a->exact, b->exact, moves);
    moves_of_map(c, a->suffix, b->suffix, moves);
    moves_of_map(c, a->prefix, b->prefix, moves);
    moves_add(&moves->gone, a->any);
    moves_add(&moves->come, b->any);
}

static void moves_of_tables(const compiler_t *c, mesh_ref_t tables,
                            moves_t *moves) {
    compile_diffs_t diffs = {0};
    compile_map_diff(c->w, c->routed.tables, tables, &diffs);
    for (uint32_t i = 0; i < diffs.count; i++) {
        moves_of_table(c, diffs.v[i].before.value, diffs.v[i].after.value,
                       moves);
    }
    compile_diffs_free(&diffs);
}

/* NULL: it has no routes. */
static const mesh_rec_refs_t *routes_of(const compiler_t *c, mesh_ref_t vhost) {
    const mesh_rec_vhost_t *rec = mesh_writer_get(c->w, vhost);
    return rec->routes != 0 ? mesh_writer_get(c->w, rec->routes) : NULL;
}

static mesh_ref_t route_name(const compiler_t *c, mesh_ref_t route) {
    const mesh_rec_route_t *rec = mesh_writer_get(c->w, route);
    return rec->name;
}

static uint32_t route_slot(compiler_t *c, mesh_ref_t name) {
    slot_key_t key = slot_key_name(compile_text(c->w, name));
    uint32_t slot = slots_get(c->slots, SLOTS_ROUTE, key);
    if (slot == MESH_SLOT_NONE) {
        c->unbound[SLOTS_ROUTE]++;
        compile_refs_add(&c->routed.lacking, name);
    }
    return slot;
}

static void vhost_comes(compiler_t *c, mesh_ref_t vhost,
                        compile_changes_t *changes) {
    const mesh_rec_refs_t *routes = routes_of(c, vhost);
    if (compile_counts_add(&c->routed.vhosts, vhost) > 1) {
        return;
    }
    for (uint32_t i = 0; routes != NULL && i < routes->count; i++) {
        mesh_ref_t name = route_name(c, routes->v[i]);
        if (compile_counts_add(&c->routed.names, name) == 1) {
            compile_changes_put(changes, name, 0, route_slot(c, name));
        }
    }
}

static void vhost_goes(compiler_t *c, mesh_ref_t vhost,
                       compile_changes_t *changes) {
    const mesh_rec_refs_t *routes = routes_of(c, vhost);
    if (compile_counts_sub(&c->routed.vhosts, vhost) > 0) {
        return;
    }
    for (uint32_t i = 0; routes != NULL && i < routes->count; i++) {
        mesh_ref_t name = route_name(c, routes->v[i]);
        if (compile_counts_sub(&c->routed.names, name) == 0) {
            compile_changes_gone(changes, name);
        }
    }
}

/* Of those that lacked one before; new ones have asked already. */
static void routes_lacking(compiler_t *c, compile_refs_t *lacking,
                           compile_changes_t *changes) {
    for (uint32_t i = 0; i < lacking->count; i++) {
        mesh_ref_t name = lacking->v[i];
        if (compile_counts_of(&c->routed.names, name) > 0) {
            compile_changes_put(changes, name, 0, route_slot(c, name));
        }
    }
    compile_refs_free(lacking);
}

static mesh_ref_t bind_routes(compiler_t *c, mesh_ref_t tables) {
    moves_t moves = {.come = {0}};
    compile_changes_t changes = {0};
    compile_refs_t lacking = c->routed.lacking;
    c->routed.lacking = (compile_refs_t){0};

    moves_of_tables(c, tables, &moves);
    /* First what comes: a name in both stays. */
    for (uint32_t i = 0; i < moves.come.count; i++) {
        vhost_comes(c, moves.come.v[i], &changes);
    }
    for (uint32_t i = 0; i < moves.gone.count; i++) {
        vhost_goes(c, moves.gone.v[i], &changes);
    }
    routes_lacking(c, &lacking, &changes);
    c->routed.map = mesh_writer_update_map(c->w, MESH_KIND_NONE, c->routed.map,
                                           changes.v, changes.count);
    c->routed.tables = tables;
    compile_changes_free(&changes);
    compile_refs_free(&moves.come);
    compile_refs_free(&moves.gone);
    return c->routed.map;
}

/* --- slots that stay ---------------------------------------------------- */

static void touch_cluster(const compiler_t *c, mesh_ref_t bind) {
    const mesh_rec_bind_cluster_t *rec = mesh_writer_get(c->w, bind);
    slots_touch(c->slots, SLOTS_CLUSTER, rec->slot);
    if (rec->slots == 0) {
        return;
    }
    const mesh_rec_refs_t *refs = mesh_writer_get(c->w, rec->slots);
    for (uint32_t i = 0; i < refs->count; i++) {
        const mesh_rec_u32s_t *u = mesh_writer_get(c->w, refs->v[i]);
        for (uint32_t k = 0; k < u->count; k++) {
            slots_touch(c->slots, SLOTS_ENDPOINT, u->v[k]);
        }
    }
}

/* Whatever is bound, anew or not, is bound by this generation. */
static void touch_all(const compiler_t *c) {
    const mesh_rec_map_t *clusters = mesh_writer_get(c->w, c->bound.map);
    for (uint32_t i = 0; clusters != NULL && i < clusters->leaves; i++) {
        const mesh_rec_map_leaf_t *leaf =
            mesh_writer_get(c->w, clusters->leaf[i]);
        for (uint32_t k = 0; leaf != NULL && k < leaf->count; k++) {
            touch_cluster(c, leaf->v[k].value);
        }
    }
    const mesh_rec_map_t *routes = mesh_writer_get(c->w, c->routed.map);
    for (uint32_t i = 0; routes != NULL && i < routes->leaves; i++) {
        const mesh_rec_map_leaf_t *leaf =
            mesh_writer_get(c->w, routes->leaf[i]);
        for (uint32_t k = 0; leaf != NULL && k < leaf->count; k++) {
            slots_touch(c->slots, SLOTS_ROUTE, leaf->v[k].aux);
        }
    }
}

mesh_ref_t compile_binding(compiler_t *c, mesh_ref_t policy,
                           mesh_ref_t endpoints) {
    const mesh_rec_policy_t *p = mesh_writer_get(c->w, policy);
    mesh_ref_t clusters = p->clusters;
    mesh_ref_t route_tables = p->route_tables;
    const mesh_rec_endpoints_t *e = mesh_writer_get(c->w, endpoints);
    mesh_ref_t sets = e->sets;

    memset(c->unbound, 0, sizeof(c->unbound));
    c->unlocated = 0;
    c->nameless = 0;
    mesh_rec_binding_t rec = {
        .rec = {.kind = MESH_KIND_BINDING, .size = sizeof(rec)},
        .clusters = bind_clusters(c, clusters, sets),
        .routes = bind_routes(c, route_tables),
    };
    if (mesh_writer_error(c->w) == NULL) {
        touch_all(c);
    }
    return mesh_writer_put(c->w, &rec.rec);
}

void compile_binding_move(compiler_t *c, const compile_moved_t *moved) {
    compile_bound_t *b = &c->bound;
    compile_routed_t *r = &c->routed;
    bool all =
        compile_moved(moved, &b->clusters) && compile_moved(moved, &b->sets) &&
        compile_moved(moved, &b->map) && compile_refs_move(&b->lacking, moved);
    all = all && compile_moved(moved, &r->tables) &&
          compile_moved(moved, &r->map) &&
          compile_counts_move(&r->vhosts, moved) &&
          compile_counts_move(&r->names, moved) &&
          compile_refs_move(&r->lacking, moved);
    if (!all) {
        compile_binding_free(c);
    }
}

void compile_binding_free(compiler_t *c) {
    compile_refs_free(&c->bound.lacking);
    compile_counts_free(&c->routed.vhosts);
    compile_counts_free(&c->routed.names);
    compile_refs_free(&c->routed.lacking);
    c->bound = (compile_bound_t){0};
    c->routed = (compile_routed_t){0};
}
