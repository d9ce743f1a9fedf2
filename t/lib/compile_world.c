/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Meshes for tests of the compiler and the publisher.
 */

#include "compile_world.h"

#include <stdio.h>
#include <stdlib.h>

uint32_t mesh_world_random(mesh_world_t *world, uint32_t below) {
    world->rng += UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(mesh_mix64(world->rng) % below);
}

static mesh_world_endpoint_t some_endpoint(mesh_world_t *w, uint32_t addr) {
    return (mesh_world_endpoint_t){
        .addr = addr,
        .weight = 1 + mesh_world_random(w, 10),
        .health = (uint8_t)mesh_world_random(w, 3),
        .label = (uint8_t)mesh_world_random(w, MESH_WORLD_LABELS),
    };
}

void mesh_world_dirty(mesh_world_t *world, uint32_t cluster) {
    world->stale[cluster % world->nparts] = true;
}

static bool has_addr(const mesh_world_cluster_t *c, uint32_t addr) {
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->v[i].addr == addr) {
            return true;
        }
    }
    return false;
}

static void append(mesh_world_t *world, mesh_world_cluster_t *c,
                   uint32_t addr) {
    if (c->count == c->room) {
        c->room = c->room ? c->room * 2 : 16;
        c->v = realloc(c->v, c->room * sizeof(c->v[0]));
    }
    c->v[c->count++] = some_endpoint(world, addr);
}

void mesh_world_add_endpoint(mesh_world_t *world, uint32_t cluster,
                             uint32_t addr) {
    mesh_world_cluster_t *c = &world->clusters[cluster];
    if (!has_addr(c, addr)) {
        append(world, c, addr);
        mesh_world_dirty(world, cluster);
    }
}

void mesh_world_remove_endpoint(mesh_world_t *world, uint32_t cluster) {
    mesh_world_cluster_t *c = &world->clusters[cluster];
    if (c->count > 0) {
        c->v[mesh_world_random(world, c->count)] = c->v[c->count - 1];
        c->count--;
        mesh_world_dirty(world, cluster);
    }
}

void mesh_world_touch_endpoint(mesh_world_t *world, uint32_t cluster) {
    mesh_world_cluster_t *c = &world->clusters[cluster];
    if (c->count > 0) {
        mesh_world_endpoint_t *e = &c->v[mesh_world_random(world, c->count)];
        uint32_t weight = e->weight;
        *e = some_endpoint(world, e->addr);
        e->weight = weight % 1000 + 1;
        mesh_world_dirty(world, cluster);
    }
}

void mesh_world_touch_route(mesh_world_t *world, uint32_t cluster) {
    world->clusters[cluster].route_ms++;
    mesh_world_dirty(world, cluster);
}

static void edit_host(mesh_world_t *world, mesh_world_cluster_t *c) {
    switch (mesh_world_random(world, 4)) {
    case 0:
        c->nroutes = 1 + mesh_world_random(world, 3);
        break;
    case 1:
        c->domains = (uint8_t)mesh_world_random(world, 4);
        break;
    case 2:
        c->table = (uint8_t)mesh_world_random(world, MESH_WORLD_TABLES);
        break;
    default:
        c->route_ms++;
        break;
    }
}

void mesh_world_edit(mesh_world_t *world) {
    uint32_t cluster = mesh_world_random(world, world->nclusters);
    mesh_world_cluster_t *c = &world->clusters[cluster];
    switch (mesh_world_random(world, 6)) {
    case 0:
        c->present = !c->present;
        break;
    case 1:
        c->timeout_ms = 1 + mesh_world_random(world, 5);
        break;
    case 2:
        mesh_world_remove_endpoint(world, cluster);
        break;
    case 3:
    case 4:
        mesh_world_add_endpoint(world, cluster, mesh_world_random(world, 4096));
        break;
    default:
        mesh_world_touch_endpoint(world, cluster);
        break;
    }
    mesh_world_dirty(world, cluster);
}

void mesh_world_edit_any(mesh_world_t *world) {
    uint32_t cluster = mesh_world_random(world, world->nclusters);
    mesh_world_cluster_t *c = &world->clusters[cluster];
    switch (mesh_world_random(world, 4)) {
    case 0:
        edit_host(world, c);
        break;
    case 1:
        c->set_of = mesh_world_random(world, world->nclusters);
        break;
    default:
        mesh_world_edit(world);
        return;
    }
    mesh_world_dirty(world, cluster);
}

void mesh_world_init(mesh_world_t *world, uint64_t seed, uint32_t nclusters,
                     uint32_t nendpoints, uint32_t nparts, bool routes) {
    *world = (mesh_world_t){.rng = seed,
                            .routes = routes,
                            .nclusters = nclusters,
                            .nparts = nparts};
    world->clusters = calloc(nclusters, sizeof(world->clusters[0]));
    world->parts = calloc(nparts, sizeof(world->parts[0]));
    world->stale = calloc(nparts, sizeof(world->stale[0]));
    for (uint32_t i = 0; i < nclusters; i++) {
        mesh_world_cluster_t *c = &world->clusters[i];
        c->present = true;
        c->timeout_ms = 1 + i % 5;
        c->set_of = i;
        c->route_ms = 15000;
        c->nroutes = 1;
        for (uint32_t k = 0; k < nendpoints; k++) {
            append(world, c, i * nendpoints + k);
        }
        mesh_world_dirty(world, i);
    }
}

void mesh_world_free(mesh_world_t *world) {
    for (uint32_t i = 0; i < world->nclusters; i++) {
        free(world->clusters[i].v);
    }
    for (uint32_t i = 0; i < world->nparts; i++) {
        if (world->parts[i] != NULL) {
            arena_free(world->parts[i]->arena);
        }
    }
    free(world->clusters);
    free(world->parts);
    free(world->stale);
}

/* --- models ------------------------------------------------------------- */

static mesh_str_t name_of(arena_t *a, const char *format, uint32_t i) {
    return mesh_str_from(arena_printf(a, format, i));
}

static model_endpoint_t endpoint_of(arena_t *a,
                                    const mesh_world_endpoint_t *e) {
    model_endpoint_t m = {
        .family = MESH_FAMILY_IPV4,
        .health = e->health,
        .port = 9080,
        .addr = {127, (uint8_t)(e->addr >> 16), (uint8_t)(e->addr >> 8),
                 (uint8_t)e->addr},
        .weight = e->weight,
        .locality = {.zone = name_of(a, "zone-%u", e->addr % 3)},
    };
    if (e->label > 0) {
        m.labels.count = 1;
        m.labels.v = arena_alloc(a, sizeof(model_label_t));
        m.labels.v[0].name = MESH_STR("version");
        m.labels.v[0].value = name_of(a, "v%u", e->label);
    }
    return m;
}

static void set_of(arena_t *a, const mesh_world_cluster_t *c, uint32_t i,
                   model_endpoint_set_t *set) {
    set->name = name_of(a, "cluster-%u", i);
    set->count = c->count;
    set->v = arena_alloc(a, (c->count + 1) * sizeof(model_endpoint_t));
    for (uint32_t k = 0; k < c->count; k++) {
        set->v[k] = endpoint_of(a, &c->v[k]);
    }
    qsort(set->v, set->count, sizeof(model_endpoint_t), model_endpoint_cmp);
}

static void cluster_of(arena_t *a, const mesh_world_cluster_t *c, uint32_t i,
                       model_cluster_t *cluster) {
    cluster->name = name_of(a, "cluster-%u", i);
    if (c->set_of != i) {
        cluster->endpoint_set = name_of(a, "cluster-%u", c->set_of);
    }
    cluster->lb = MESH_LB_ROUND_ROBIN;
    cluster->lb_choices = 2;
    cluster->panic_percent = 50;
    cluster->connect_timeout_ms = c->timeout_ms;
    cluster->keepalive_idle = 64;
    cluster->outlier.set = i % 2 == 0;
    cluster->outlier.consecutive_5xx = 5;
    cluster->outlier.max_ejection_percent = 10;
}

static void route_of(arena_t *a, const mesh_world_cluster_t *c, uint32_t i,
                     uint32_t k, model_route_t *route) {
    route->name = mesh_str_from(arena_printf(a, "host-%u/%u", i, k));
    route->path = k == 0 ? MESH_STR("/") : name_of(a, "/path-%u", k);
    route->action = MESH_ACTION_ROUTE;
    route->timeout_ms = k == 0 ? c->route_ms : 1000;
    route->nsplit = 1;
    route->split = arena_alloc(a, sizeof(model_split_t));
    route->split[0].cluster = name_of(a, "cluster-%u", i);
    route->split[0].weight = 1;
}

static void vhost_of(arena_t *a, const mesh_world_cluster_t *c, uint32_t i,
                     model_vhost_t *vhost) {
    vhost->name = name_of(a, "host-%u", i);
    vhost->domains = arena_alloc(a, 3 * sizeof(mesh_str_t));
    vhost->domains[vhost->ndomains++] = name_of(a, "c%u.test", i);
    if (c->domains & 1) {
        vhost->domains[vhost->ndomains++] = name_of(a, "*.c%u.test", i);
    }
    if (c->domains & 2) {
        vhost->domains[vhost->ndomains++] = name_of(a, "c%u.*", i);
    }
    vhost->nroutes = c->nroutes;
    vhost->routes = arena_alloc(a, c->nroutes * sizeof(model_route_t));
    for (uint32_t k = 0; k < c->nroutes; k++) {
        route_of(a, c, i, k, &vhost->routes[k]);
    }
}

static void tables_of(arena_t *a, const mesh_world_t *world, uint32_t number,
                      model_part_t *part) {
    static const char *const names[MESH_WORLD_TABLES] = {"default", "other"};
    uint32_t room = world->nclusters / world->nparts + 1;
    part->tables =
        arena_alloc(a, MESH_WORLD_TABLES * sizeof(model_route_table_t));
    for (uint32_t t = 0; t < MESH_WORLD_TABLES; t++) {
        model_vhost_t *vhosts = arena_alloc(a, room * sizeof(model_vhost_t));
        uint32_t n = 0;
        for (uint32_t i = number; i < world->nclusters; i += world->nparts) {
            const mesh_world_cluster_t *c = &world->clusters[i];
            if (c->present && c->table == t) {
                vhost_of(a, c, i, &vhosts[n++]);
            }
        }
        if (n > 0) {
            part->tables[part->ntables++] =
                (model_route_table_t){.name = mesh_str_from(names[t]),
                                      .flags = MODEL_TABLE_FLAGS,
                                      .nvhosts = n,
                                      .vhosts = vhosts};
        }
    }
}

static model_part_t *make_part(mesh_world_t *world, uint32_t number) {
    arena_t *a = arena_new();
    model_part_t *part = arena_alloc(a, sizeof(*part));
    uint32_t room = world->nclusters / world->nparts + 1;
    part->arena = a;
    part->name = arena_printf(a, "part-%u", number);
    part->version = mesh_str_from(
        arena_printf(a, "%llu", (unsigned long long)++world->versions));
    part->time_ms = world->versions;
    part->clusters = arena_alloc(a, room * sizeof(model_cluster_t));
    part->sets = arena_alloc(a, room * sizeof(model_endpoint_set_t));
    uint32_t n = 0;
    for (uint32_t i = number; i < world->nclusters; i += world->nparts) {
        if (world->clusters[i].present) {
            cluster_of(a, &world->clusters[i], i, &part->clusters[n]);
            set_of(a, &world->clusters[i], i, &part->sets[n]);
            n++;
        }
    }
    part->nclusters = n;
    part->nsets = n;
    if (world->routes) {
        tables_of(a, world, number, part);
    }
    return part;
}

const model_part_t *const *mesh_world_parts(mesh_world_t *world, bool anew) {
    for (uint32_t i = 0; i < world->nparts; i++) {
        if (anew || world->stale[i] || world->parts[i] == NULL) {
            model_part_t *old = world->parts[i];
            world->parts[i] = make_part(world, i);
            world->stale[i] = false;
            if (old != NULL) {
                arena_free(old->arena);
            }
        }
    }
    return (const model_part_t *const *)world->parts;
}
