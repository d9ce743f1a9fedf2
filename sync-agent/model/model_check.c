/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Rules across parts.  Each kind of name is indexed once, so the check is
 * linear in the mesh; only the search for a near name of a cluster that does
 * not exist looks at them all, and only for errors that are kept.
 */

#include "mesh_subset.h"
#include "model_table.h"

#include <stdio.h>

typedef struct {
    mesh_str_t table; /* whose names these are, or empty */
    mesh_str_t name;
    const void *item;
    const model_place_t *place;
} entry_t;

/*
 * Entries as they were added, and a table of their numbers plus 1, each
 * below the upper half of its name's hash, so that a search reads nothing
 * but the table and the entry it finds.
 */
typedef struct {
    uint32_t count;
    uint64_t mask;
    uint64_t *slots;
    entry_t *v;
} index_t;

typedef struct {
    model_errors_t *errors;
    index_t clusters;
    index_t sets;
    index_t hosts;
    index_t domains;
    index_t routes;
    index_t tables;
    index_t runtime;
} check_t;

/* --- index --------------------------------------------------------------- */

/* For up to `most` names. */
static void index_init(index_t *index, arena_t *arena, uint32_t most) {
    uint64_t size = 16;

    while (size < (uint64_t)most * 2) {
        size *= 2;
    }

    index->count = 0;
    index->mask = size - 1;
    index->slots = arena_alloc(arena, size * sizeof(uint64_t));
    index->v = arena_alloc(arena, most * sizeof(entry_t));
}

static bool index_is(const index_t *index, uint64_t slot, uint64_t hash,
                     const entry_t *wanted) {
    if ((slot ^ hash) >> 32 != 0) {
        return false;
    }

    const entry_t *entry = &index->v[(uint32_t)slot - 1];

    return mesh_str_eq(entry->name, wanted->name) &&
           mesh_str_eq(entry->table, wanted->table);
}

/* The slot that has the name, or where it would be. */
static uint64_t *index_slot(const index_t *index, const entry_t *wanted,
                            uint64_t *hash) {
    *hash = mesh_hash64(wanted->name.data, wanted->name.len);

    if (wanted->table.len != 0) {
        *hash ^= mesh_mix64(mesh_hash64(wanted->table.data, wanted->table.len));
    }

    uint64_t at = *hash & index->mask;

    while (index->slots[at] != 0 &&
           !index_is(index, index->slots[at], *hash, wanted)) {
        at = (at + 1) & index->mask;
    }

    return &index->slots[at];
}

static const entry_t *index_find(const index_t *index, mesh_str_t name) {
    uint64_t hash;
    entry_t wanted = {.name = name};
    uint64_t slot = *index_slot(index, &wanted, &hash);

    return slot != 0 ? &index->v[(uint32_t)slot - 1] : NULL;
}

/* NULL if it is new and added, else who has the name. */
static const entry_t *index_add(index_t *index, const entry_t *entry) {
    uint64_t hash;
    uint64_t *slot = index_slot(index, entry, &hash);

    if (*slot != 0) {
        return &index->v[(uint32_t)*slot - 1];
    }

    index->v[index->count++] = *entry;
    *slot = (hash >> 32 << 32) | index->count;

    return NULL;
}

/* --- words --------------------------------------------------------------- */

#define QUOTED 96

static void complain(check_t *c, const model_place_t *place, bool warning,
                     const char *kind, mesh_str_t name, const char *found,
                     const char *expected) {
    char quoted[QUOTED];
    char resource[QUOTED + 32];

    model_quote(name, quoted, sizeof(quoted));
    snprintf(resource, sizeof(resource), "%s %s", kind, quoted);

    model_error_t error = {.file = place->file,
                           .line = place->line,
                           .column = place->column,
                           .path = resource,
                           .resource = resource,
                           .found = found,
                           .expected = expected,
                           .warning = warning};

    model_error_add(c->errors, &error, "found %s, expected %s", found,
                    expected);
}

static void complain_twice(check_t *c, const model_place_t *place,
                           const char *kind, mesh_str_t name, const char *found,
                           const entry_t *first) {
    char expected[256];

    snprintf(expected, sizeof(expected),
             "it once in the mesh (first at %s:%u:%u)", first->place->file,
             first->place->line, first->place->column);
    complain(c, place, false, kind, name, found, expected);
}

/* --- collecting ---------------------------------------------------------- */

static void collect_set(check_t *c, const model_endpoint_set_t *set) {
    const entry_t *first = index_add(
        &c->sets,
        &(entry_t){.name = set->name, .item = set, .place = &set->place});

    if (first != NULL) {
        complain_twice(c, &set->place, "endpoint set", set->name,
                       "the name of another endpoint set", first);
    }
}

static void collect_clusters(check_t *c, const model_part_t *part) {
    for (uint32_t i = 0; i < part->nclusters; i++) {
        const model_cluster_t *cluster = &part->clusters[i];
        const entry_t *first =
            index_add(&c->clusters, &(entry_t){.name = cluster->name,
                                               .item = cluster,
                                               .place = &cluster->place});

        if (first != NULL) {
            complain_twice(c, &cluster->place, "cluster", cluster->name,
                           "the name of another cluster", first);
        }
    }

    /* What other parts' names give is not there a second time. */
    for (uint32_t i = 0; i < part->nsets && !part->resolved; i++) {
        collect_set(c, &part->sets[i]);
    }

    for (uint32_t i = 0; i < part->nnamed; i++) {
        collect_set(c, &part->named[i].set);
    }
}

static void collect_host(check_t *c, const model_route_table_t *table,
                         const model_vhost_t *host) {
    entry_t entry = {table->name, host->name, host, &host->place};
    const entry_t *first = index_add(&c->hosts, &entry);

    if (first != NULL) {
        complain_twice(c, &host->place, "host", host->name,
                       "the name of another host", first);
    }

    for (uint32_t i = 0; i < host->ndomains; i++) {
        entry.name = host->domains[i];
        first = index_add(&c->domains, &entry);

        if (first != NULL) {
            char quoted[QUOTED];
            char found[QUOTED + 32];

            model_quote(host->domains[i], quoted, sizeof(quoted));
            snprintf(found, sizeof(found), "the domain %s again", quoted);
            complain_twice(c, &host->place, "host", host->name, found, first);
        }
    }

    for (uint32_t i = 0; i < host->nroutes; i++) {
        const model_route_t *route = &host->routes[i];

        first = index_add(&c->routes, &(entry_t){.name = route->name,
                                                 .item = route,
                                                 .place = &route->place});

        /* A host's second name would be told twice. */
        if (first != NULL) {
            complain_twice(c, &route->place, "route", route->name,
                           "the name of another route", first);
        }
    }
}

/* Parts that say how one table reads paths say the same. */
static void collect_tables(check_t *c, const model_part_t *part) {
    for (uint32_t i = 0; i < part->ntables; i++) {
        const model_route_table_t *table = &part->tables[i];

        for (uint32_t j = 0; j < table->nvhosts; j++) {
            collect_host(c, table, &table->vhosts[j]);
        }

        if (!table->flags_said) {
            continue;
        }

        const entry_t *first =
            index_add(&c->tables, &(entry_t){.name = table->name,
                                             .item = table,
                                             .place = &table->place});

        if (first != NULL &&
            ((const model_route_table_t *)first->item)->flags != table->flags) {
            char expected[256];

            snprintf(expected, sizeof(expected), "the same as at %s:%u:%u",
                     first->place->file, first->place->line,
                     first->place->column);
            complain(c, &table->place, false, "route table", table->name,
                     "other options", expected);
        }
    }
}

/* Parts that have the same key have the same value. */
static void collect_runtime(check_t *c, const model_part_t *part) {
    for (uint32_t i = 0; i < part->nruntime; i++) {
        const model_runtime_t *value = &part->runtime[i];
        const entry_t *first =
            index_add(&c->runtime, &(entry_t){.name = value->name,
                                              .item = value,
                                              .place = &value->place});

        if (first == NULL) {
            continue;
        }

        const model_runtime_t *other = first->item;

        if (other->share.ppm != value->share.ppm ||
            other->share.denominator != value->share.denominator) {
            char expected[256];

            snprintf(expected, sizeof(expected), "the same as at %s:%u:%u",
                     first->place->file, first->place->line,
                     first->place->column);
            complain(c, &value->place, false, "runtime key", value->name,
                     "another value", expected);
        }
    }
}

/* --- routes to clusters -------------------------------------------------- */

static const char *near_cluster(check_t *c, mesh_str_t name, char *out,
                                size_t size) {
    uint32_t least = UINT32_MAX;

    snprintf(out, size, "a cluster of the mesh");

    if (c->errors->errors >= MODEL_ERRORS_MAX) {
        return out;
    }

    for (uint32_t i = 0; i < c->clusters.count; i++) {
        const entry_t *entry = &c->clusters.v[i];
        uint32_t distance;

        if (model_near(name, entry->name, &distance) && distance < least) {
            char quoted[QUOTED];

            least = distance;
            model_quote(entry->name, quoted, sizeof(quoted));
            snprintf(out, size, "a cluster of the mesh, such as %s", quoted);
        }
    }

    return out;
}

static const model_subset_t *find_subset(const model_cluster_t *cluster,
                                         mesh_str_t name) {
    for (uint32_t i = 0; i < cluster->nsubsets; i++) {
        if (mesh_str_eq(cluster->subsets[i].name, name)) {
            return &cluster->subsets[i];
        }
    }

    return NULL;
}

/* Labels are nothing to a cluster without subsets, as in Envoy. */
static bool means_nothing(const model_cluster_t *cluster) {
    return cluster->nsubsets == 0 && cluster->nselectors == 0;
}

/* What a route may name; `any`: it names one already. */
static void list_subsets(const model_cluster_t *cluster, bool any, char *out,
                         size_t size) {
    char quoted[QUOTED];
    size_t len;

    model_quote(cluster->name, quoted, sizeof(quoted));

    if (means_nothing(cluster)) {
        snprintf(out, size, "%s, as cluster %s has none",
                 any ? "no subset" : "no subset_required", quoted);
        return;
    }

    len = (size_t)snprintf(out, size, "a subset of cluster %s: ", quoted);

    for (uint32_t i = 0; i < cluster->nsubsets && len < size; i++) {
        mesh_str_t name = cluster->subsets[i].name;

        len += (size_t)snprintf(out + len, size - len, "%s%.*s", i ? ", " : "",
                                (int)mesh_min(name.len, (size_t)60), name.data);
    }

    for (uint32_t i = 0; i < cluster->nselectors && len < size; i++) {
        const model_selector_t *selector = &cluster->selectors[i];

        for (uint32_t k = 0; k < selector->nkeys && len < size; k++) {
            const char *before = k ? "," : i || cluster->nsubsets ? ", " : "";
            char key[MESH_SUBSET_NAME_MAX];
            size_t n =
                mesh_subset_put(key, 0, selector->keys[k], MESH_STR_NULL);

            len += (size_t)snprintf(out + len, size - len, "%s%.*s...", before,
                                    (int)mesh_min(n, (size_t)60), key);
        }
    }
}

/*
 * Are these labels those that the selector looks at, and no others, or some
 * that may be left out?
 */
static bool selects(const model_cluster_t *cluster,
                    const model_selector_t *selector, mesh_str_t name) {
    mesh_str_t label;
    mesh_str_t key;
    uint32_t i = 0;

    while (mesh_subset_next(&name, &label, &key)) {
        if (i < selector->nkeys && mesh_subset_is_key(key, selector->keys[i])) {
            i++;
        } else if (!cluster->subset_redundant) {
            return false;
        }
    }

    return i == selector->nkeys;
}

/* A subset that may have endpoints, or something that is used instead. */
static bool leads_somewhere(const model_cluster_t *cluster, mesh_str_t subset) {
    bool found = cluster->fallback.kind != MODEL_FALLBACK_NONE ||
                 (subset.len == 0 && !cluster->subset_required) ||
                 find_subset(cluster, subset) != NULL;

    for (uint32_t i = 0; i < cluster->nselectors && !found; i++) {
        found = mesh_subset_by_labels(subset) &&
                selects(cluster, &cluster->selectors[i], subset);
    }

    return found;
}

/*
 * `criteria`: it came as Envoy's metadata_match, which may ask for what is
 * not there.
 */
static void check_target(check_t *c, const model_route_t *route,
                         mesh_str_t name, mesh_str_t subset, bool criteria) {
    const entry_t *entry = index_find(&c->clusters, name);
    char quoted[QUOTED];
    char found[QUOTED + 16];
    char expected[256];

    if (entry == NULL) {
        model_quote(name, quoted, sizeof(quoted));
        snprintf(found, sizeof(found), "cluster %s", quoted);
        complain(c, &route->place, false, "route", route->name, found,
                 near_cluster(c, name, expected, sizeof(expected)));
        return;
    }

    const model_cluster_t *cluster = entry->item;

    if (leads_somewhere(cluster, subset) ||
        (criteria && means_nothing(cluster))) {
        return;
    }

    model_quote(subset, quoted, sizeof(quoted));
    snprintf(found, sizeof(found), "%s%s", subset.len ? "subset " : "no subset",
             subset.len ? quoted : "");
    list_subsets(cluster, subset.len != 0, expected, sizeof(expected));

    /* Who requires one may want to refuse such requests. */
    complain(c, &route->place, criteria || subset.len == 0, "route",
             route->name, found, expected);
}

/* Other balancers look at no hash. */
static void check_hashed(check_t *c, const model_route_t *route) {
    if (route->split_by.by == MODEL_SPLIT_BY_HASH) {
        return;
    }

    for (uint32_t i = 0; i < route->nsplit; i++) {
        const entry_t *entry =
            index_find(&c->clusters, route->split[i].cluster);

        /* What is not there is an error already. */
        if (entry == NULL || route->split[i].by_header ||
            mesh_lb_hashes(((const model_cluster_t *)entry->item)->lb)) {
            return;
        }
    }

    complain(c, &route->place, true, "route", route->name,
             "a hash_policy that nothing uses",
             "a cluster with lb: ring_hash or maglev, or split_by: hash");
}

static void check_routes(check_t *c, const model_part_t *part) {
    for (uint32_t i = 0; i < part->ntables; i++) {
        const model_route_table_t *table = &part->tables[i];

        for (uint32_t j = 0; j < table->nvhosts; j++) {
            const model_vhost_t *host = &table->vhosts[j];

            for (uint32_t k = 0; k < host->nroutes; k++) {
                const model_route_t *route = &host->routes[k];

                for (uint32_t n = 0; n < route->nsplit; n++) {
                    const model_split_t *split = &route->split[n];

                    /* Which cluster a header will name, nobody knows. */
                    if (!split->by_header) {
                        check_target(c, route, split->cluster, split->subset,
                                     split->criteria);
                    }
                }

                for (uint32_t n = 0; n < route->mirrors.count; n++) {
                    check_target(c, route, route->mirrors.v[n].cluster,
                                 route->mirrors.v[n].subset, false);
                }

                if (route->nhash_policies != 0) {
                    check_hashed(c, route);
                }
            }
        }
    }
}

/* --- clusters and their endpoints ---------------------------------------- */

static void check_subsets(check_t *c, const model_cluster_t *cluster,
                          const model_endpoint_set_t *set) {
    for (uint32_t i = 0; i < cluster->nsubsets; i++) {
        const model_subset_t *subset = &cluster->subsets[i];
        bool some = false;

        for (uint32_t j = 0; j < set->count && !some; j++) {
            some = model_has_labels(&set->v[j], &subset->labels);
        }

        if (!some) {
            char quoted[QUOTED];
            char found[QUOTED + 32];

            model_quote(subset->name, quoted, sizeof(quoted));
            snprintf(found, sizeof(found), "no endpoint in subset %s", quoted);
            complain(c, &cluster->place, true, "cluster", cluster->name, found,
                     "one with its labels");
        }
    }
}

static bool has_weight(const model_cluster_t *cluster,
                       const model_endpoint_t *endpoint) {
    for (uint32_t i = 0; i < cluster->nlocality_weights; i++) {
        const model_locality_weight_t *w = &cluster->locality_weights[i];

        if (model_locality_eq(&w->locality, &endpoint->locality) &&
            (w->priority == endpoint->priority ||
             w->priority == MESH_PRIORITY_ANY)) {
            return true;
        }
    }

    return cluster->nlocality_weights == 0;
}

/* Once a cluster: a locality is mostly left out with all of its endpoints. */
static void check_localities(check_t *c, const model_cluster_t *cluster,
                             const model_endpoint_set_t *set) {
    for (uint32_t i = 0; i < set->count; i++) {
        if (has_weight(cluster, &set->v[i])) {
            continue;
        }

        mesh_str_t zone = set->v[i].locality.zone;
        char quoted[QUOTED];
        char found[QUOTED + 96];

        model_quote(zone, quoted, sizeof(quoted));
        snprintf(found, sizeof(found),
                 "an endpoint of zone %s and priority %u without load", quoted,
                 set->v[i].priority);
        complain(c, &cluster->place, true, "cluster", cluster->name, found,
                 "its locality among locality_weights");
        return;
    }
}

/* ejected / total <= percent / 100 must leave room for one. */
static void check_ejection(check_t *c, const model_cluster_t *cluster,
                           const model_endpoint_set_t *set) {
    const model_outlier_t *outlier = &cluster->outlier;
    uint64_t room = (uint64_t)set->count * outlier->max_ejection_percent;

    /* How many endpoints a name stands for is not known here. */
    if (!outlier->set || set->count == 0 || room >= 100 ||
        model_set_is_named(set)) {
        return;
    }

    char found[96];
    char expected[64];

    snprintf(found, sizeof(found),
             "max_ejection_percent %u with %u endpoint%s, which ejects none",
             outlier->max_ejection_percent, set->count,
             set->count == 1 ? "" : "s");
    snprintf(expected, sizeof(expected), "at least %u to eject one",
             (100 + set->count - 1) / set->count);
    complain(c, &cluster->place, true, "cluster", cluster->name, found,
             expected);
}

/* Who the proxies are, as far as the mesh says it. */
static void check_local(check_t *c, const model_cluster_t *cluster) {
    mesh_str_t local = cluster->zone_aware.local_cluster;
    char quoted[QUOTED];
    char found[QUOTED + 32];
    char expected[256];

    if (local.len == 0) {
        return;
    }

    model_quote(local, quoted, sizeof(quoted));
    snprintf(found, sizeof(found), "local cluster %s", quoted);

    if (mesh_str_eq(local, cluster->name)) {
        complain(c, &cluster->place, false, "cluster", cluster->name, found,
                 "another cluster than itself");
    } else if (index_find(&c->clusters, local) == NULL) {
        complain(c, &cluster->place, false, "cluster", cluster->name, found,
                 near_cluster(c, local, expected, sizeof(expected)));
    }
}

static void check_clusters(check_t *c, const model_part_t *part) {
    for (uint32_t i = 0; i < part->nclusters; i++) {
        const model_cluster_t *cluster = &part->clusters[i];

        check_local(c, cluster);

        bool own = cluster->endpoint_set.len == 0;
        mesh_str_t name = own ? cluster->name : cluster->endpoint_set;
        const entry_t *entry = index_find(&c->sets, name);

        if (entry == NULL ||
            ((const model_endpoint_set_t *)entry->item)->count == 0) {
            complain(c, &cluster->place, true, "cluster", cluster->name,
                     "no endpoints", "some, here or from another source");
            continue;
        }

        check_subsets(c, cluster, entry->item);
        check_ejection(c, cluster, entry->item);
        check_localities(c, cluster, entry->item);
    }
}

/* Indexes with room for every name of the parts. */
static void check_init(check_t *c, arena_t *arena,
                       const model_part_t *const *parts, uint32_t count) {
    uint32_t clusters = 0, sets = 0, tables = 0;
    uint32_t hosts = 0, domains = 0, routes = 0, runtime = 0;

    for (uint32_t i = 0; i < count; i++) {
        clusters += parts[i]->nclusters;
        sets += parts[i]->nsets + parts[i]->nnamed;
        tables += parts[i]->ntables;
        runtime += parts[i]->nruntime;

        for (uint32_t j = 0; j < parts[i]->ntables; j++) {
            const model_route_table_t *table = &parts[i]->tables[j];

            hosts += table->nvhosts;

            for (uint32_t k = 0; k < table->nvhosts; k++) {
                domains += table->vhosts[k].ndomains;
                routes += table->vhosts[k].nroutes;
            }
        }
    }

    index_init(&c->clusters, arena, clusters);
    index_init(&c->sets, arena, sets);
    index_init(&c->hosts, arena, hosts);
    index_init(&c->domains, arena, domains);
    index_init(&c->routes, arena, routes);
    index_init(&c->tables, arena, tables);
    index_init(&c->runtime, arena, runtime);
}

static void check_names(check_t *c, arena_t *scratch,
                        const model_part_t *const *parts, uint32_t count) {
    check_init(c, scratch, parts, count);

    for (uint32_t i = 0; i < count; i++) {
        collect_clusters(c, parts[i]);
        collect_tables(c, parts[i]);
        collect_runtime(c, parts[i]);
    }
}

void model_check_names(const model_part_t *const *parts, uint32_t count,
                       model_errors_t *errors) {
    arena_t *scratch = arena_new();
    check_t c = {.errors = errors};

    check_names(&c, scratch, parts, count);
    arena_free(scratch);
}

void model_check(const model_part_t *const *parts, uint32_t count,
                 model_errors_t *errors) {
    arena_t *scratch = arena_new();
    check_t c = {.errors = errors};

    check_names(&c, scratch, parts, count);

    for (uint32_t i = 0; i < count; i++) {
        check_routes(&c, parts[i]);
        check_clusters(&c, parts[i]);
    }

    arena_free(scratch);
}
