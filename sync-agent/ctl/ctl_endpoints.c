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

#define ENDPOINT_TEXT_MAX 320

typedef struct {
    char address[ENDPOINT_TEXT_MAX];
    char state[160];
    const char *labels;
    const char *zone;
    const char *locality;
    uint32_t in_flight;
    uint64_t attempts;
    uint64_t failures; /* 5xx, and no answer */
    uint64_t ejections;
} row_t;

static const char *labels_text(const ctl_zone_t *zone, mesh_ref_t ref) {
    const mesh_rec_labels_t *labels = mesh_get(zone->s, ref);
    const char *text = "";

    for (uint32_t i = 0; labels && i < labels->count; i++) {
        text = arena_printf(
            zone->arena, "%s%s%s=%s", text, i ? "," : "",
            ctl_text(zone, mesh_get_str(zone->s, labels->v[i].name)),
            ctl_text(zone, mesh_get_str(zone->s, labels->v[i].value)));
    }
    return text;
}

static void fill_row(const ctl_zone_t *zone, const mesh_cluster_view_t *view,
                     uint32_t i, row_t *row) {
    const mesh_view_endpoint_t *e = &view->endpoints[i];
    const mesh_endpoint_slot_t *slot = ctl_view_slot(zone, view, e);
    const mesh_rec_locality_t *locality =
        mesh_get(zone->s, e->endpoint->locality);

    *row = (row_t){.labels = labels_text(zone, e->endpoint->labels),
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

static void view_table(const ctl_zone_t *zone, const mesh_cluster_view_t *view,
                       ctl_table_t *table) {
    for (uint32_t i = 0; i < view->total; i++) {
        row_t row;

        fill_row(zone, view, i, &row);
        ctl_table_add(table, "%s", ctl_text(zone, view->name));
        ctl_table_add(table, "%s", row.address);
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

static int show(ctl_zone_t *zone, const ctl_args_t *args) {
    static const char *const head[] = {
        "CLUSTER",   "ENDPOINT", "WEIGHT",   "PRIORITY",  "LOCALITY", "LABELS",
        "IN FLIGHT", "ATTEMPTS", "FAILURES", "EJECTIONS", "STATE",    NULL};
    const mesh_rec_policy_t *policy = mesh_get(zone->s, zone->root->policy);
    if (args->argc &&
        ctl_zone_view(zone, mesh_str_from(args->argv[0])) == NULL) {
        fprintf(stderr, "meshctl: no cluster \"%s\"\n", args->argv[0]);
        return CTL_EXIT_NO;
    }
    uint32_t count = 0;
    const mesh_map_entry_t **names =
        ctl_zone_sorted(zone, policy->clusters, &count);
    ctl_table_t *table = args->json ? NULL : ctl_table_new(head);
    cJSON *list = args->json ? cJSON_CreateArray() : NULL;

    for (uint32_t i = 0; i < count; i++) {
        mesh_str_t name = mesh_get_str(zone->s, names[i]->name);
        if (args->argc && !mesh_str_eq(name, mesh_str_from(args->argv[0]))) {
            continue;
        }
        const mesh_cluster_view_t *view = ctl_zone_view(zone, name);
        if (view == NULL) {
            continue;
        }
        if (list != NULL) {
            cJSON_AddItemToArray(list, view_json(zone, view));
        } else {
            view_table(zone, view, table);
        }
    }
    if (list != NULL) {
        ctl_json_print(list, stdout);
    } else {
        ctl_table_print(table, stdout);
    }
    for (uint32_t i = 0; list == NULL && i < count; i++) {
        mesh_str_t name = mesh_get_str(zone->s, names[i]->name);
        const mesh_cluster_view_t *view = ctl_zone_view(zone, name);
        if (view != NULL &&
            (!args->argc || mesh_str_eq(name, mesh_str_from(args->argv[0])))) {
            ctl_groups_print(zone, name, &view->subsets[0], NULL);
        }
    }
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
