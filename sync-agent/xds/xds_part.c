/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Resources joined to a part: connection managers to their route tables,
 * names for routes, which are unique in a mesh and not in Envoy.
 */

#include <stdio.h>

#include "xds_resources.h"

/* --- names of routes ----------------------------------------------------- */

typedef struct {
    uint64_t *hashes;
    uint64_t mask;
} names_t;

static void names_init(names_t *names, arena_t *arena, uint32_t count) {
    uint64_t size = 8;

    while (size < 2 * (uint64_t)count) {
        size *= 2;
    }

    names->hashes = arena_alloc(arena, sizeof(*names->hashes) * size);
    names->mask = size - 1;
}

static uint64_t names_hash(mesh_str_t name) {
    return mesh_hash64(name.data, name.len) | 1;
}

/* Where it is, or 0 that it may take the place of. */
static uint64_t *names_find(const names_t *names, uint64_t hash) {
    uint64_t at = hash & names->mask;

    while (names->hashes[at] != 0 && names->hashes[at] != hash) {
        at = (at + 1) & names->mask;
    }

    return &names->hashes[at];
}

static bool names_have(const names_t *names, mesh_str_t name) {
    return *names_find(names, names_hash(name)) != 0;
}

/* False: it was there. */
static bool names_add(names_t *names, mesh_str_t name) {
    uint64_t hash = names_hash(name);
    uint64_t *place = names_find(names, hash);
    bool added = *place == 0;

    *place = hash;
    return added;
}

/* "<table>/<host>/<name>", or the route's number where there is none. */
static void name_routes(arena_t *arena, mesh_str_t table, model_vhost_t *host) {
    bool other = !mesh_str_eq(table, MESH_STR("default"));
    names_t names;

    names_init(&names, arena, host->nroutes);

    for (uint32_t i = 0; i < host->nroutes; i++) {
        model_route_t *route = &host->routes[i];
        char number[32];
        mesh_str_t name = route->name;

        /* Another route may be called by a number, too. */
        for (uint32_t k = 0; name.len == 0 || !names_add(&names, name); k++) {
            snprintf(number, sizeof(number), k != 0 ? "%u.%u" : "%u", i, k);
            name = mesh_str_from(number);
        }

        route->name = mesh_str_from(arena_printf(
            arena, "%.*s%s%.*s/%.*s", other ? (int)table.len : 0,
            other ? table.data : "", other ? "/" : "", (int)host->name.len,
            host->name.data, (int)name.len, name.data));
    }
}

/* --- what a dump shows twice --------------------------------------------- */

/* Routes that are inlined in listeners. */
static void drop_tables(xds_t *xds) {
    uint32_t count = 0;
    names_t inlined;

    for (uint32_t i = 0; i < xds->nlisteners; i++) {
        count += xds->listeners[i].count;
    }

    names_init(&inlined, xds->x.d.arena, count);

    for (uint32_t i = 0; i < xds->nlisteners; i++) {
        for (uint32_t j = 0; j < xds->listeners[i].count; j++) {
            const xds_http_t *http = &xds->listeners[i].v[j];

            if (http->table.len == 0) {
                names_add(&inlined, http->inlined.table.name);
            }
        }
    }

    count = xds->ntables;
    xds->ntables = 0;

    for (uint32_t i = 0; i < count; i++) {
        const xds_table_t *table = &xds->tables[i];

        if (!table->copied || !names_have(&inlined, table->table.name)) {
            xds->tables[xds->ntables++] = *table;
        }
    }
}

/* Endpoints that clusters have themselves. */
static void drop_sets(xds_t *xds) {
    uint32_t count = xds->nsets;
    names_t owners;

    names_init(&owners, xds->x.d.arena, xds->nclusters);

    for (uint32_t i = 0; i < xds->nclusters; i++) {
        if (xds->clusters[i].has_set) {
            names_add(&owners, xds->clusters[i].cluster.name);
        }
    }

    xds->nsets = 0;

    for (uint32_t i = 0; i < count; i++) {
        const xds_set_t *set = &xds->sets[i];

        if (!set->copied || !names_have(&owners, set->set.name)) {
            xds->sets[xds->nsets++] = *set;
        }
    }
}

/* --- connection managers ------------------------------------------------- */

typedef struct {
    xds_t *xds;
    const xds_http_t **said; /* by table: who said how paths are read */
} join_t;

static xds_table_t *find_table(xds_t *xds, mesh_str_t name) {
    for (uint32_t i = 0; i < xds->ntables; i++) {
        if (mesh_str_eq(xds->tables[i].table.name, name)) {
            return &xds->tables[i];
        }
    }

    return NULL;
}

static void complain(const xds_t *xds, const xds_http_t *http, bool warning,
                     const char *found, const char *expected) {
    model_error_t error = {.file = http->place.file,
                           .line = http->place.line,
                           .column = http->place.column,
                           .path = "HttpConnectionManager",
                           .found = found,
                           .expected = expected,
                           .warning = warning};

    model_error_add(xds->x.d.errors, &error, "found %s, expected %s", found,
                    expected);
}

/* What a route does not say, its connection manager may. */
static void join_routes(xds_table_t *table, const xds_http_t *http) {
    uint32_t n = 0;

    for (uint32_t i = 0; i < table->table.nvhosts; i++) {
        model_vhost_t *host = &table->table.vhosts[i];

        for (uint32_t j = 0; j < host->nroutes; j++, n++) {
            model_route_t *route = &host->routes[j];

            if (route->action != MESH_ACTION_ROUTE) {
                continue;
            }

            if (route->idle_timeout_ms == 0) {
                route->idle_timeout_ms = http->idle_timeout_ms;
            }

            if (!table->said[n].session) {
                route->session = http->session;
            }

            if (!table->said[n].body) {
                route->body_limit = http->body_limit;
            }
        }
    }
}

static bool same_session(const model_session_t *a, const model_session_t *b) {
    return a->set == b->set && a->strict == b->strict &&
           mesh_str_eq(a->name, b->name) &&
           mesh_str_eq(a->attributes, b->attributes);
}

/* A table is read in one way, whoever uses it. */
static void join_table(join_t *join, const xds_http_t *http) {
    xds_t *xds = join->xds;
    xds_table_t *table = find_table(xds, http->table);
    char quoted[96];
    char found[160];

    if (table == NULL) {
        model_quote(http->table, quoted, sizeof(quoted));
        snprintf(found, sizeof(found), "no route configuration %s", quoted);
        complain(xds, http, true, found, "one of that name");
        return;
    }

    const xds_http_t **said = &join->said[table - xds->tables];

    if (*said == NULL) {
        *said = http;
        table->table.flags |= http->flags;
        join_routes(table, http);
        return;
    }

    if ((*said)->flags != http->flags ||
        (*said)->idle_timeout_ms != http->idle_timeout_ms ||
        (*said)->body_limit != http->body_limit ||
        !same_session(&(*said)->session, &http->session)) {
        snprintf(found, sizeof(found), "other options than at %s:%u:%u",
                 (*said)->place.file, (*said)->place.line,
                 (*said)->place.column);
        complain(xds, http, false, found, "the same for one route table");
    }
}

/* Its own name unless another has it. */
static mesh_str_t inlined_name(xds_t *xds, const xds_listener_t *listener,
                               uint32_t index) {
    arena_t *arena = xds->x.d.arena;
    mesh_str_t name = listener->v[index].inlined.table.name;

    if (name.len == 0) {
        name = listener->name;
    }

    if (name.len != 0 && find_table(xds, name) == NULL) {
        return name;
    }

    mesh_str_t longer = mesh_str_from(
        arena_printf(arena, "%.*s/%.*s", (int)listener->name.len,
                     listener->name.data ? listener->name.data : "",
                     (int)name.len, name.data ? name.data : ""));

    if (find_table(xds, longer) == NULL) {
        return longer;
    }

    return mesh_str_from(arena_printf(arena, "%.*s/%u", (int)longer.len,
                                      longer.data, xds->ntables));
}

static void take_inlined(xds_t *xds, xds_listener_t *listener) {
    for (uint32_t i = 0; i < listener->count; i++) {
        xds_http_t *http = &listener->v[i];

        if (http->table.len != 0) {
            continue;
        }

        http->inlined.table.name = inlined_name(xds, listener, i);
        http->table = http->inlined.table.name;
        xds_tables_add(xds, &http->inlined);
    }
}

/* --- the part ------------------------------------------------------------ */

static void take_tables(xds_t *xds, model_part_t *part) {
    join_t join = {.xds = xds};

    for (uint32_t i = 0; i < xds->nlisteners; i++) {
        take_inlined(xds, &xds->listeners[i]);
    }

    join.said = arena_alloc(part->arena, sizeof(*join.said) * xds->ntables);

    for (uint32_t i = 0; i < xds->nlisteners; i++) {
        for (uint32_t j = 0; j < xds->listeners[i].count; j++) {
            join_table(&join, &xds->listeners[i].v[j]);
        }
    }

    part->tables =
        arena_alloc(part->arena, sizeof(*part->tables) * xds->ntables);

    for (uint32_t i = 0; i < xds->ntables; i++) {
        model_route_table_t *table = &part->tables[part->ntables++];

        *table = xds->tables[i].table;

        if (table->name.len == 0) {
            table->name = MESH_STR("default");
        }

        for (uint32_t j = 0; j < table->nvhosts; j++) {
            name_routes(part->arena, table->name, &table->vhosts[j]);
        }

        model_mark_keyed(table);
    }
}

static void take_clusters(xds_t *xds, model_part_t *part) {
    uint32_t sets = xds->nsets + xds->nclusters;

    xds_join_sets(xds);
    part->clusters =
        arena_alloc(part->arena, sizeof(*part->clusters) * xds->nclusters);
    part->sets = arena_alloc(part->arena, sizeof(*part->sets) * sets);
    part->named = arena_alloc(part->arena, sizeof(*part->named) * sets);

    for (uint32_t i = 0; i < xds->nclusters; i++) {
        const xds_cluster_t *cluster = &xds->clusters[i];

        part->clusters[part->nclusters++] = cluster->cluster;

        if (!cluster->has_set) {
            continue;
        }

        if (model_set_is_named(&cluster->set.set)) {
            part->named[part->nnamed++] =
                (model_named_set_t){cluster->set.set, cluster->dns};
        } else {
            part->sets[part->nsets++] = cluster->set.set;
        }
    }

    for (uint32_t i = 0; i < xds->nsets; i++) {
        part->sets[part->nsets++] = xds->sets[i].set;
    }
}

/*
 * In Envoy, once a local cluster is named, zones matter to all others that
 * neither hash nor have weights of localities.
 */
static void name_local(const xds_t *xds, model_part_t *part) {
    for (uint32_t i = 0; i < part->nclusters && xds->local_cluster.len; i++) {
        model_cluster_t *c = &part->clusters[i];

        if (mesh_str_eq(c->name, xds->local_cluster)) {
            c->zone_aware = (model_zone_aware_t){.set = false};
        } else if (!mesh_lb_hashes(c->lb) && c->nlocality_weights == 0) {
            if (!c->zone_aware.set) {
                c->zone_aware =
                    (model_zone_aware_t){.set = true,
                                         .enabled_percent = 100,
                                         .min_size = MESH_ZONE_MIN_SIZE};
            }
            c->zone_aware.local_cluster = xds->local_cluster;
        }
    }
}

const model_locality_t *xds_node(const xds_t *xds) {
    return &xds->node;
}

model_part_t *xds_part(xds_t *xds, const char *name) {
    arena_t *arena = xds->x.d.arena;
    model_part_t *part = arena_alloc(arena, sizeof(*part));

    part->arena = arena;
    part->name = arena_strdup(arena, name);
    part->version = MESH_STR("");
    drop_tables(xds);
    drop_sets(xds);
    take_clusters(xds, part);
    name_local(xds, part);
    take_tables(xds, part);
    xds_join_runtime(xds, part);
    return part;
}
