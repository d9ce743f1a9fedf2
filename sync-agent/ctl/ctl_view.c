/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A view as it is written and read; see ctl_view.h.
 *
 * Times are told by how long ago or how long still, so that a view means the
 * same whenever it is read.  It becomes a runtime and health words in memory
 * that nobody else sees, of which the workers' own code makes the clusters'
 * views.
 */

#include "ctl_view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent_file.h"
#include "ctl_load.h"
#include "ctl_table.h"
#include "model_table.h"

#define TOLD_MAX 10 /* names in one warning */
#define TIME_MAX (UINT64_C(1) << 40)

typedef struct {
    const char *name;
    uint32_t value;
} word_t;

static const word_t causes[] = {{"registry", MESH_HEALTH_REGISTRY},
                                {"eds", MESH_HEALTH_EDS},
                                {"check", MESH_HEALTH_CHECK},
                                {"drained", MESH_HEALTH_DRAINED}};

static const word_t ejections[] = {{"5xx", MESH_EJECTED_5XX},
                                   {"gateway", MESH_EJECTED_GATEWAY},
                                   {"local", MESH_EJECTED_LOCAL},
                                   {"unknown", MESH_EJECTED_NOT}};

struct ctl_view_s {
    mesh_runtime_t rt;
    void *runtime;
    void *health;
    const char *name;
    uint8_t *told; /* by cluster's slot: the view has it, or it was warned of */
};

/* --- writing -------------------------------------------------------------- */

const mesh_endpoint_slot_t *ctl_view_slot(const ctl_zone_t *zone,
                                          const mesh_cluster_view_t *view,
                                          const mesh_view_endpoint_t *e) {
    const mesh_runtime_t *rt = ctl_zone_seen(zone);

    if (rt == NULL || e->slot >= rt->sizes.endpoints) {
        return NULL;
    }
    const mesh_endpoint_slot_t *slot = &rt->endpoints[e->slot];
    uint64_t tag = mesh_endpoint_tag(zone->s, view->tag, e->endpoint);

    return mesh_load_acquire(&slot->tag) == tag ? slot : NULL;
}

void ctl_view_cluster_json(const mesh_cluster_view_t *view, cJSON *json) {
    if (view->runtime == NULL) {
        return;
    }
    ctl_json_u64(json, "ticket", mesh_load_relaxed(&view->runtime->ticket));
    cJSON *list = cJSON_AddArrayToObject(json, "subset_tickets");
    for (size_t i = 0; i < MESH_SUBSET_TICKETS; i++) {
        char text[24];

        snprintf(text, sizeof(text), "%llu",
                 (unsigned long long)mesh_load_relaxed(
                     &view->runtime->subset_tickets[i]));
        cJSON_AddItemToArray(list, cJSON_CreateRaw(text));
    }
}

static void add_ejected(const ctl_zone_t *zone, cJSON *json, uint64_t word) {
    uint64_t until = mesh_ejected_until(word);
    const char *why = "unknown";

    if (word == 0) {
        return;
    }
    for (size_t i = 0; i < mesh_nelts(ejections); i++) {
        if (ejections[i].value == mesh_ejected_why(word)) {
            why = ejections[i].name;
        }
    }
    cJSON *item = cJSON_AddObjectToObject(json, "ejected");
    cJSON_AddStringToObject(item, "why", why);
    ctl_json_u64(item, "for_ms",
                 until > zone->now_ms ? until - zone->now_ms : 0);
}

static void add_ewma(const ctl_zone_t *zone, cJSON *json, uint64_t word) {
    uint32_t age = (uint32_t)zone->now_ms - (uint32_t)(word >> 32);

    if (word == 0) {
        return;
    }
    /* A worker's clock may be a moment ahead. */
    cJSON *item = cJSON_AddObjectToObject(json, "ewma");
    ctl_json_u64(item, "us", (uint32_t)word);
    ctl_json_u64(item, "age_ms", age > INT32_MAX ? 0 : age);
}

void ctl_view_endpoint_json(const ctl_zone_t *zone,
                            const mesh_cluster_view_t *view,
                            const mesh_view_endpoint_t *e, cJSON *json) {
    const mesh_endpoint_slot_t *slot = ctl_view_slot(zone, view, e);
    uint32_t bits =
        mesh_health_bits(&zone->health.health, e->slot,
                         mesh_endpoint_tag(zone->s, view->tag, e->endpoint));
    cJSON *list = cJSON_AddArrayToObject(json, "down");

    for (size_t i = 0; i < mesh_nelts(causes); i++) {
        if (bits & causes[i].value) {
            cJSON_AddItemToArray(list, cJSON_CreateString(causes[i].name));
        }
    }
    if (slot == NULL) {
        return;
    }
    uint64_t since = mesh_load_relaxed(&slot->since_ms);
    add_ejected(zone, json, mesh_load_acquire(&slot->ejected));
    add_ewma(zone, json, mesh_load_relaxed(&slot->ewma));
    if (since != 0) {
        ctl_json_u64(json, "in_for_ms",
                     zone->now_ms > since ? zone->now_ms - since : 0);
    }
}

/* --- memory ----------------------------------------------------------------
 */

/* The highest slots that the binding has, and one. */
static void measure(const ctl_zone_t *zone, mesh_runtime_sizes_t *sizes) {
    const mesh_rec_binding_t *binding = mesh_get(zone->s, zone->root->binding);
    mesh_map_iter_t iter = {0};
    const mesh_map_entry_t *entry;

    *sizes = (mesh_runtime_sizes_t){1, 1, 1, 1};
    while ((entry = mesh_map_next(zone->s, binding->clusters, &iter)) != NULL) {
        const mesh_rec_bind_cluster_t *bind = mesh_get(zone->s, entry->value);
        const mesh_rec_refs_t *slots = mesh_get(zone->s, bind->slots);

        if (bind->slot < MESH_RUNTIME_SLOTS_MAX) {
            sizes->clusters = mesh_max(sizes->clusters, bind->slot + 1);
        }
        for (uint32_t i = 0; slots && i < slots->count; i++) {
            const mesh_rec_u32s_t *v = mesh_get(zone->s, slots->v[i]);

            for (uint32_t k = 0; k < v->count; k++) {
                if (v->v[k] < MESH_RUNTIME_SLOTS_MAX) {
                    sizes->endpoints = mesh_max(sizes->endpoints, v->v[k] + 1);
                }
            }
        }
    }
}

static bool make_runtime(ctl_view_t *view, const mesh_runtime_sizes_t *sizes,
                         uint64_t now_ms) {
    uint64_t size = mesh_runtime_size(sizes);
    uint64_t health = mesh_health_size(sizes->endpoints);

    /* Large ones come from mmap(): what is not touched is not there. */
    view->runtime = calloc(1, size);
    view->health = calloc(1, health);
    view->told = calloc(sizes->clusters, 1);
    return view->runtime != NULL && view->health != NULL &&
           view->told != NULL &&
           mesh_runtime_init(&view->rt, view->runtime, size, sizes, true,
                             now_ms) == MESH_OK;
}

void ctl_view_free(ctl_view_t *view) {
    if (view != NULL) {
        free(view->runtime);
        free(view->health);
        free(view->told);
        free(view);
    }
}

/* All slots are their clusters' own, and empty. */
static void claim(const ctl_zone_t *zone, ctl_view_t *view) {
    const mesh_rec_binding_t *binding = mesh_get(zone->s, zone->root->binding);
    mesh_map_iter_t iter = {0};
    const mesh_map_entry_t *entry;

    while ((entry = mesh_map_next(zone->s, binding->clusters, &iter)) != NULL) {
        const mesh_rec_bind_cluster_t *bind = mesh_get(zone->s, entry->value);
        mesh_str_t name = mesh_get_str(zone->s, bind->name);

        if (bind->slot < view->rt.sizes.clusters) {
            view->rt.clusters[bind->slot].tag =
                mesh_runtime_tag(mesh_hash64(name.data, name.len));
        }
    }
}

/* Tickets of routes stay the zone's: a view says nothing of them. */
static bool freeze(ctl_zone_t *zone, const char *name) {
    ctl_view_t *view = calloc(1, sizeof(*view));
    mesh_runtime_sizes_t sizes;

    measure(zone, &sizes);
    if (view == NULL || !make_runtime(view, &sizes, zone->now_ms)) {
        ctl_view_free(view);
        return false;
    }
    view->name = arena_strdup(zone->arena, name);
    claim(zone, view);
    if (zone->has_runtime) {
        view->rt.routes = zone->runtime.rt.routes;
        view->rt.sizes.routes = zone->runtime.rt.sizes.routes;
    }
    mesh_health_close(&zone->health);
    mesh_health_head(view->health, sizes.endpoints, 1);
    (void)mesh_health_init(&zone->health.health, view->health,
                           mesh_health_size(sizes.endpoints));
    zone->view = view;
    zone->seen = &view->rt;
    return true;
}

/* --- reading ---------------------------------------------------------------
 */

/* What a file says of an endpoint. */
typedef struct {
    uint32_t down;
    bool is_ejected;
    uint32_t ejected_why;
    uint64_t ejected_for_ms;
    uint32_t in_flight;
    uint32_t ewma_us; /* 0: no answer yet */
    uint64_t ewma_age_ms;
    bool is_in;
    uint64_t in_for_ms;
} facts_t;

typedef struct {
    ctl_zone_t *zone;
    const char *name; /* the file's */
    model_errors_t *errors;
} reader_t;

static bool wrong(const reader_t *r, const model_node_t *node,
                  const char *expected) {
    char found[128];
    model_error_t error = {.file = r->name,
                           .line = node->line,
                           .column = node->column,
                           .expected = expected};

    model_describe(node, found, sizeof(found));
    model_error_add(r->errors, &error, "found %s, expected %s", found,
                    expected);
    return false;
}

/* Absent is as good as 0; large ones are text, as JSON's numbers are not. */
static bool number(const reader_t *r, const model_node_t *map, const char *key,
                   uint64_t max, uint64_t *out) {
    const model_node_t *node = model_node_child(map, key);
    char expected[64];

    *out = 0;
    if (node == NULL || (node->kind == MODEL_NODE_SCALAR &&
                         ctl_parse_u64(node->text.data, out) && *out <= max)) {
        return true;
    }
    snprintf(expected, sizeof(expected), "%s: a number up to %llu", key,
             (unsigned long long)max);
    return wrong(r, node, expected);
}

static const word_t *find_word(const word_t *words, size_t count,
                               const model_node_t *node) {
    for (size_t i = 0; i < count && model_is_text(node); i++) {
        if (mesh_str_eq(node->text, mesh_str_from(words[i].name))) {
            return &words[i];
        }
    }
    return NULL;
}

static bool read_down(const reader_t *r, const model_node_t *endpoint,
                      facts_t *facts) {
    const model_node_t *list = model_node_child(endpoint, "down");

    if (list == NULL) {
        return true;
    }
    if (list->kind != MODEL_NODE_LIST) {
        return wrong(r, list, "down: a list of causes");
    }
    for (const model_node_t *n = list->first; n != NULL; n = n->next) {
        const word_t *cause = find_word(causes, mesh_nelts(causes), n);

        if (cause == NULL) {
            return wrong(r, n, "registry, eds, check or drained");
        }
        facts->down |= cause->value;
    }
    return true;
}

static bool read_ejected(const reader_t *r, const model_node_t *endpoint,
                         facts_t *facts) {
    const model_node_t *node = model_node_child(endpoint, "ejected");

    if (node == NULL || node->kind == MODEL_NODE_NULL) {
        return true;
    }
    if (node->kind != MODEL_NODE_MAP) {
        return wrong(r, node, "ejected: {\"why\": ..., \"for_ms\": ...}");
    }
    const model_node_t *why = model_node_child(node, "why");

    facts->is_ejected = true;
    facts->ejected_why = MESH_EJECTED_NOT;
    if (why != NULL) {
        const word_t *word = find_word(ejections, mesh_nelts(ejections), why);

        if (word == NULL) {
            return wrong(r, why, "5xx, gateway, local or unknown");
        }
        facts->ejected_why = word->value;
    }
    return number(r, node, "for_ms", TIME_MAX, &facts->ejected_for_ms);
}

static bool read_ewma(const reader_t *r, const model_node_t *endpoint,
                      facts_t *facts) {
    const model_node_t *node = model_node_child(endpoint, "ewma");
    uint64_t us;

    if (node == NULL || node->kind == MODEL_NODE_NULL) {
        return true;
    }
    if (node->kind != MODEL_NODE_MAP) {
        return wrong(r, node, "ewma: {\"us\": ..., \"age_ms\": ...}");
    }
    if (!number(r, node, "us", UINT32_MAX, &us) ||
        !number(r, node, "age_ms", INT32_MAX, &facts->ewma_age_ms)) {
        return false;
    }
    facts->ewma_us = (uint32_t)us;
    return true;
}

static bool read_facts(const reader_t *r, const model_node_t *endpoint,
                       facts_t *facts) {
    uint64_t in_flight;

    *facts =
        (facts_t){.is_in = model_node_child(endpoint, "in_for_ms") != NULL};
    if (!number(r, endpoint, "in_flight", UINT32_MAX, &in_flight) ||
        !number(r, endpoint, "in_for_ms", TIME_MAX, &facts->in_for_ms)) {
        return false;
    }
    facts->in_flight = (uint32_t)in_flight;
    return read_down(r, endpoint, facts) && read_ejected(r, endpoint, facts) &&
           read_ewma(r, endpoint, facts);
}

/* --- from the file to the zone ---------------------------------------------
 */

static void put_facts(ctl_zone_t *zone, const mesh_cluster_view_t *cluster,
                      uint32_t index, const facts_t *facts) {
    const mesh_view_endpoint_t *e = &cluster->endpoints[index];
    uint64_t tag = mesh_endpoint_tag(zone->s, cluster->tag, e->endpoint);
    mesh_runtime_t *rt = &zone->view->rt;
    uint64_t now = zone->now_ms;

    if (e->slot >= rt->sizes.endpoints) {
        return; /* beyond what workers keep of endpoints */
    }
    mesh_endpoint_slot_t *slot = &rt->endpoints[e->slot];

    *slot = (mesh_endpoint_slot_t){.tag = tag, .in_flight = facts->in_flight};
    if (facts->is_ejected) {
        slot->ejected =
            mesh_ejected_word(now + facts->ejected_for_ms, facts->ejected_why);
    }
    if (facts->ewma_us != 0) {
        uint32_t at = (uint32_t)(now - facts->ewma_age_ms);
        slot->ewma = (uint64_t)at << 32 | facts->ewma_us;
    }
    if (facts->is_in) {
        slot->since_ms = now > facts->in_for_ms ? now - facts->in_for_ms : 1;
    }
    (void)mesh_health_set(&zone->health.health, e->slot, tag, cluster->tag,
                          facts->down);
}

typedef struct {
    const char *address;
    uint32_t index;
    bool told;
} place_t;

static int by_address(const void *a, const void *b) {
    return strcmp(((const place_t *)a)->address, ((const place_t *)b)->address);
}

/* The cluster's endpoints by address. */
static place_t *places_of(const ctl_zone_t *zone,
                          const mesh_cluster_view_t *view) {
    place_t *places =
        arena_alloc(zone->arena, view->total * sizeof(*places) + 1);

    for (uint32_t i = 0; i < view->total; i++) {
        char text[320];

        mesh_endpoint_text(zone->s, view->endpoints[i].endpoint, text,
                           sizeof(text));
        places[i] = (place_t){ctl_text(zone, mesh_str_from(text)), i, false};
    }
    qsort(places, view->total, sizeof(*places), by_address);
    return places;
}

/* "a, b, c and 5 more". */
typedef struct {
    const char *text;
    uint32_t count;
} names_t;

static void add_name(const ctl_zone_t *zone, names_t *names, const char *name) {
    if (names->count++ < TOLD_MAX) {
        names->text =
            arena_printf(zone->arena, "%s%s%s", names->text ? names->text : "",
                         names->text ? ", " : "", name);
    }
}

/* `node`: the cluster's name, or the list of all. */
static void warn(const reader_t *r, const model_node_t *node,
                 const names_t *names, const char *what) {
    model_error_t place = {.file = r->name,
                           .line = node->line,
                           .column = node->column,
                           .warning = true};
    char quoted[128] = "", more[32] = "";

    if (names->count == 0) {
        return;
    }
    if (node->kind == MODEL_NODE_SCALAR) {
        model_quote(node->text, quoted, sizeof(quoted));
    }
    if (names->count > TOLD_MAX) {
        snprintf(more, sizeof(more), " and %u more", names->count - TOLD_MAX);
    }
    model_error_add(r->errors, &place, "%s%s%s: %s%s",
                    quoted[0] ? "cluster " : "", quoted, what, names->text,
                    more);
}

static bool read_endpoint(const reader_t *r, const model_node_t *node,
                          const mesh_cluster_view_t *view, place_t *places,
                          names_t *strangers) {
    const model_node_t *address = model_node_child(node, "address");
    facts_t facts;

    if (node->kind != MODEL_NODE_MAP || address == NULL ||
        !model_is_text(address)) {
        return wrong(r, node, "an endpoint with an \"address\"");
    }
    if (!read_facts(r, node, &facts)) {
        return false;
    }
    const char *text = ctl_text(r->zone, address->text);
    place_t key = {.address = text};
    place_t *place = view->total == 0 ? NULL
                                      : bsearch(&key, places, view->total,
                                                sizeof(key), by_address);

    if (place == NULL) {
        add_name(r->zone, strangers, text);
        return true;
    }
    if (place->told) {
        return wrong(r, address, "each endpoint once");
    }
    place->told = true;
    put_facts(r->zone, view, place->index, &facts);
    return true;
}

static bool read_endpoints(const reader_t *r, const model_node_t *name,
                           const model_node_t *list,
                           const mesh_cluster_view_t *view) {
    place_t *places = places_of(r->zone, view);
    names_t strangers = {NULL, 0}, silent = {NULL, 0};

    for (const model_node_t *n = list->first; n != NULL; n = n->next) {
        if (!read_endpoint(r, n, view, places, &strangers)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < view->total; i++) {
        if (!places[i].told) {
            add_name(r->zone, &silent, places[i].address);
        }
    }
    warn(r, name, &strangers, ": not among its endpoints, and passed over");
    warn(r, name, &silent, ": the view says nothing of them");
    return true;
}

static bool read_tickets(const reader_t *r, const model_node_t *node,
                         mesh_cluster_slot_t *slot) {
    const model_node_t *list = model_node_child(node, "subset_tickets");
    size_t i = 0;

    if (!number(r, node, "ticket", UINT64_MAX, &slot->ticket)) {
        return false;
    }
    if (list != NULL && list->kind != MODEL_NODE_LIST) {
        return wrong(r, list, "subset_tickets: a list of 4 numbers");
    }
    for (const model_node_t *n = list ? list->first : NULL; n; n = n->next) {
        if (i == MESH_SUBSET_TICKETS || n->kind != MODEL_NODE_SCALAR ||
            !ctl_parse_u64(n->text.data, &slot->subset_tickets[i++])) {
            return wrong(r, n, "subset_tickets: a list of 4 numbers");
        }
    }
    return true;
}

static bool read_cluster(const reader_t *r, const model_node_t *node,
                         names_t *strangers) {
    const model_node_t *name = model_node_child(node, "cluster");
    const model_node_t *list = model_node_child(node, "endpoints");
    ctl_view_t *seen = r->zone->view;

    if (node->kind != MODEL_NODE_MAP || name == NULL || !model_is_text(name) ||
        list == NULL || list->kind != MODEL_NODE_LIST) {
        return wrong(r, node, "a map with \"cluster\" and \"endpoints\"");
    }
    const mesh_cluster_view_t *view = ctl_zone_view(r->zone, name->text);
    if (view == NULL) {
        add_name(r->zone, strangers, ctl_text(r->zone, name->text));
        return true;
    }
    if (view->slot < seen->rt.sizes.clusters) {
        if (seen->told[view->slot]) {
            return wrong(r, name, "each cluster once");
        }
        seen->told[view->slot] = true;
        if (!read_tickets(r, node, &seen->rt.clusters[view->slot])) {
            return false;
        }
    }
    return read_endpoints(r, name, list, view);
}

bool ctl_view_take(ctl_zone_t *zone, const char *name, mesh_str_t text,
                   model_errors_t *errors) {
    reader_t r = {.zone = zone, .name = name, .errors = errors};
    names_t strangers = {NULL, 0};
    const model_node_t *root =
        model_node_from_json(zone->arena, name, text, errors);

    if (root == NULL) {
        return false;
    }
    if (root->kind != MODEL_NODE_LIST) {
        return wrong(&r, root, "a list of clusters, as endpoints prints it");
    }
    if (!freeze(zone, name)) {
        model_error_add(errors, &(model_error_t){.file = name},
                        "no memory for a view");
        return false;
    }
    for (const model_node_t *n = root->first; n != NULL; n = n->next) {
        if (!read_cluster(&r, n, &strangers)) {
            return false;
        }
    }
    warn(&r, root, &strangers, "no such clusters, and passed over");
    arena_drop_aside(zone->arena);
    return true;
}

int ctl_view_open(ctl_zone_t *zone, const ctl_args_t *args) {
    model_errors_t errors;
    mesh_str_t text;

    if (args->view == NULL) {
        return CTL_EXIT_OK;
    }
    if (!agent_file_read_input(zone->arena, args->view, CTL_VIEW_MAX, &text)) {
        fprintf(stderr, "meshctl: %s: %s\n", args->view, strerror(errno));
        return CTL_EXIT_UNREADABLE;
    }
    model_errors_init(&errors, zone->arena);
    bool taken = ctl_view_take(zone, args->view, text, &errors);
    for (const model_error_t *e = errors.first; e != NULL; e = e->next) {
        ctl_load_print(e, "meshctl: ", stderr);
    }
    return taken ? CTL_EXIT_OK : CTL_EXIT_UNREADABLE;
}

static void asked(const ctl_zone_t *zone, uint32_t slot, mesh_str_t name) {
    ctl_view_t *seen = zone->view;

    if (slot >= seen->rt.sizes.clusters || seen->told[slot]) {
        return;
    }
    seen->told[slot] = true;
    fprintf(stderr,
            "meshctl: %s: nothing of cluster \"%s\": as if nothing had been "
            "seen there\n",
            seen->name, ctl_text(zone, name));
}

/* Shares of localities are made of the local cluster's facts as well. */
void ctl_view_asked(ctl_zone_t *zone, const mesh_cluster_view_t *view) {
    const mesh_view_zones_t *zones = view->zones;

    if (zone->view == NULL) {
        return;
    }
    asked(zone, view->slot, view->name);
    if (zones != NULL && zones->off == MESH_ZONE_NONE) {
        asked(zone, zones->local->slot,
              mesh_get_str(zone->s, zones->local->name));
    }
}
