/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl endpoints: what a balancer would see, and why an endpoint is out.
 */

#include <stdio.h>

#include "ctl_args.h"
#include "ctl_compiled.h"
#include "ctl_groups.h"
#include "ctl_table.h"
#include "ctl_view.h"
#include "ctl_zone.h"
#include "ctl_zones.h"
#include "mesh_lb.h"
#include "mesh_subset.h"

#define ENDPOINT_TEXT_MAX 320

typedef struct {
    char address[ENDPOINT_TEXT_MAX];
    char state[160];
    const char *hostname; /* that it was resolved from, or "" */
    const char *labels;
    const char *zone;
    const char *locality;
    uint32_t in_flight;
    uint64_t attempts;
    uint64_t failures; /* 5xx, and no answer */
    uint64_t ejections;
} row_t;

/* As routes name it, unless it is longer than that. */
static const char *label_text(const ctl_zone_t *zone,
                              const mesh_label_t *label) {
    mesh_str_t name = mesh_get_str(zone->s, label->name);
    mesh_str_t value = mesh_get_str(zone->s, label->value);
    char text[MESH_SUBSET_NAME_MAX];
    size_t len = mesh_subset_put(text, 0, name, value);

    return len <= sizeof(text)
               ? ctl_text(zone, (mesh_str_t){len, text})
               : arena_printf(zone->arena, "%s=%s", ctl_text(zone, name),
                              ctl_text(zone, value));
}

static const char *labels_text(const ctl_zone_t *zone, mesh_ref_t ref) {
    const mesh_rec_labels_t *labels = mesh_get(zone->s, ref);
    const char *text = "";

    for (uint32_t i = 0; labels && i < labels->count; i++) {
        text = arena_printf(zone->arena, "%s%s%s", text, i ? "," : "",
                            label_text(zone, &labels->v[i]));
    }
    return text;
}

/* DNS keeps it for hosts that follow their endpoint; those of SRV have none. */
static mesh_str_t hostname_of(const ctl_zone_t *zone,
                              const mesh_endpoint_t *endpoint) {
    return endpoint->family == MESH_FAMILY_UNIX
               ? MESH_STR("")
               : mesh_get_str(zone->s, endpoint->host);
}

static void fill_row(const ctl_zone_t *zone, const mesh_cluster_view_t *view,
                     uint32_t i, row_t *row) {
    const mesh_view_endpoint_t *e = &view->endpoints[i];
    const mesh_endpoint_slot_t *slot = ctl_view_slot(zone, view, e);
    const mesh_rec_locality_t *locality =
        mesh_get(zone->s, e->endpoint->locality);

    *row = (row_t){.labels = labels_text(zone, e->endpoint->labels),
                   .hostname = ctl_text(zone, hostname_of(zone, e->endpoint)),
                   .zone = "",
                   .locality = ""};
    mesh_endpoint_text(zone->s, e->endpoint, row->address,
                       sizeof(row->address));
    ctl_endpoint_state(zone, e->out, e->slot, row->state, sizeof(row->state));
    if (locality != NULL) {
        row->zone = ctl_text(zone, mesh_get_str(zone->s, locality->zone));
        row->locality = ctl_locality(zone, e->endpoint->locality);
    }
    if (slot != NULL) {
        row->in_flight = mesh_load_relaxed(&slot->in_flight);
        row->attempts = mesh_load_relaxed(&slot->attempts);
        row->failures = mesh_load_relaxed(&slot->status[0]) +
                        mesh_load_relaxed(&slot->status[5]);
        row->ejections = mesh_load_relaxed(&slot->ejections_total);
    }
}

static cJSON *view_json(const ctl_zone_t *zone,
                        const mesh_cluster_view_t *view) {
    cJSON *json = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(json, "endpoints");

    cJSON_AddStringToObject(json, "cluster", ctl_text(zone, view->name));
    cJSON_AddNumberToObject(json, "usable", view->subsets[0].usable);
    cJSON_AddBoolToObject(json, "panic", view->subsets[0].panic);
    ctl_view_cluster_json(view, json);
    ctl_groups_json(zone, json, &view->subsets[0], NULL);
    ctl_zones_json(zone, json, view, &view->subsets[0]);
    for (uint32_t i = 0; i < view->total; i++) {
        const mesh_view_endpoint_t *e = &view->endpoints[i];
        cJSON *item = cJSON_CreateObject();
        row_t row;

        fill_row(zone, view, i, &row);
        cJSON_AddStringToObject(item, "address", row.address);
        cJSON_AddStringToObject(item, "hostname", row.hostname);
        cJSON_AddNumberToObject(item, "weight", e->endpoint->weight);
        cJSON_AddNumberToObject(item, "priority", e->priority);
        cJSON_AddStringToObject(item, "zone", row.zone);
        cJSON_AddStringToObject(item, "locality", row.locality);
        cJSON_AddStringToObject(item, "labels", row.labels);
        cJSON_AddBoolToObject(item, "usable", e->out == 0);
        cJSON_AddStringToObject(item, "state", row.state);
        cJSON_AddNumberToObject(item, "in_flight", row.in_flight);
        ctl_json_u64(item, "attempts", row.attempts);
        ctl_json_u64(item, "failures", row.failures);
        ctl_json_u64(item, "ejections", row.ejections);
        ctl_view_endpoint_json(zone, view, e, item);
        cJSON_AddItemToArray(list, item);
    }
    return json;
}

/* Whose group is in panic is used though it is out, unless that was wished. */
static bool in_panic(const mesh_cluster_view_t *view, uint32_t i) {
    const mesh_view_subset_t *all = &view->subsets[0];

    for (uint32_t k = 0; k < all->ngroups; k++) {
        if (all->groups[k].panic &&
            mesh_lb_position(&all->groups[k], i) != MESH_PICK_NONE) {
            return true;
        }
    }
    return false;
}

static bool has_hostnames(const ctl_zone_t *zone,
                          const mesh_cluster_view_t *view) {
    for (uint32_t i = 0; i < view->total; i++) {
        if (hostname_of(zone, view->endpoints[i].endpoint).len != 0) {
            return true;
        }
    }
    return false;
}

static void view_table(const ctl_zone_t *zone, const mesh_cluster_view_t *view,
                       bool hostnames, ctl_table_t *table) {
    for (uint32_t i = 0; i < view->total; i++) {
        row_t row;

        fill_row(zone, view, i, &row);
        ctl_table_add(table, "%s", ctl_text(zone, view->name));
        ctl_table_add(table, "%s", row.address);
        if (hostnames) {
            ctl_table_add(table, "%s", row.hostname);
        }
        ctl_table_add(table, "%u", view->endpoints[i].endpoint->weight);
        ctl_table_add(table, "%u", view->endpoints[i].priority);
        ctl_table_add(table, "%s", row.locality);
        ctl_table_add(table, "%s", row.labels);
        ctl_table_add(table, "%u", row.in_flight);
        ctl_table_add(table, "%llu", (unsigned long long)row.attempts);
        ctl_table_add(table, "%llu", (unsigned long long)row.failures);
        ctl_table_add(table, "%llu", (unsigned long long)row.ejections);
        ctl_table_add(table, "%s%s", row.state,
                      view->endpoints[i].out && in_panic(view, i)
                          ? " (panic: used all the same)"
                          : "");
    }
}

/* The views that are shown, in order of name; *count of them. */
static const mesh_cluster_view_t **
views_of(ctl_zone_t *zone, const ctl_args_t *args, uint32_t *count) {
    const mesh_rec_policy_t *policy = mesh_get(zone->s, zone->root->policy);
    uint32_t total = 0;
    const mesh_map_entry_t **names =
        ctl_zone_sorted(zone, policy->clusters, &total);
    const mesh_cluster_view_t **views =
        arena_alloc(zone->arena, (total + 1) * sizeof(*views));

    *count = 0;
    for (uint32_t i = 0; i < total; i++) {
        mesh_str_t name = mesh_get_str(zone->s, names[i]->name);

        if (args->argc && !mesh_str_eq(name, mesh_str_from(args->argv[0]))) {
            continue;
        }
        views[*count] = ctl_zone_view(zone, name);
        *count += views[*count] != NULL;
    }
    return views;
}

static void print_tables(const ctl_zone_t *zone,
                         const mesh_cluster_view_t *const *views,
                         uint32_t count) {
    static const char *const heads[] = {
        "CLUSTER",   "ENDPOINT", "FROM",      "WEIGHT",   "PRIORITY",
        "LOCALITY",  "LABELS",   "IN FLIGHT", "ATTEMPTS", "FAILURES",
        "EJECTIONS", "STATE",    NULL};
    const char *head[mesh_nelts(heads)];
    bool hostnames = false;
    size_t n = 0;

    for (uint32_t i = 0; i < count; i++) {
        hostnames |= has_hostnames(zone, views[i]);
    }
    /* Most meshes have no names: their tables are no wider for it. */
    for (size_t i = 0; i < mesh_nelts(heads); i++) {
        if (hostnames || heads[i] == NULL || strcmp(heads[i], "FROM") != 0) {
            head[n++] = heads[i];
        }
    }
    ctl_table_t *table = ctl_table_new(head);
    for (uint32_t i = 0; i < count; i++) {
        view_table(zone, views[i], hostnames, table);
    }
    ctl_table_print(table, stdout);
    for (uint32_t i = 0; i < count; i++) {
        ctl_groups_print(zone, views[i]->name, &views[i]->subsets[0], NULL);
    }
}

static int show(ctl_zone_t *zone, const ctl_args_t *args) {
    if (args->argc &&
        ctl_zone_view(zone, mesh_str_from(args->argv[0])) == NULL) {
        fprintf(stderr, "meshctl: no cluster \"%s\"\n", args->argv[0]);
        return CTL_EXIT_NO;
    }
    uint32_t count;
    const mesh_cluster_view_t **views = views_of(zone, args, &count);

    if (!args->json) {
        print_tables(zone, views, count);
        return CTL_EXIT_OK;
    }
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < count; i++) {
        cJSON_AddItemToArray(list, view_json(zone, views[i]));
    }
    ctl_json_print(list, stdout);
    return CTL_EXIT_OK;
}

int ctl_endpoints(const ctl_args_t *args) {
    ctl_zone_t zone;

    int rc = ctl_zone_of(&zone, args);
    if (rc != CTL_EXIT_OK) {
        return rc;
    }
    rc = show(&zone, args);
    ctl_zone_close(&zone);
    return rc;
}
