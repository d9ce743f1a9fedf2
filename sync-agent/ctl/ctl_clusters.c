/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl clusters: one row a cluster, what it is and how it fares.
 */

#include <stdio.h>

#include "ctl_args.h"
#include "ctl_compiled.h"
#include "ctl_groups.h"
#include "ctl_table.h"
#include "ctl_zone.h"
#include "ctl_zones.h"
#include "mesh_lb.h"

typedef struct {
    const char *name;
    const char *lb;
    uint32_t subsets;
    uint32_t endpoints;
    uint32_t usable;
    bool panic;
    const char *loads;
    uint64_t in_flight;
    uint64_t requests;
    uint64_t failed; /* 5xx to the client */
    uint64_t retries;
    uint32_t ejected;
} row_t;

/* NULL: no runtime, no slot, or one that still is another cluster's. */
static const mesh_cluster_slot_t *slot_of(ctl_zone_t *zone,
                                          const mesh_cluster_view_t *view) {
    mesh_runtime_t *rt = ctl_zone_runtime(zone);
    mesh_str_t name = view->name;

    if (rt == NULL || view->slot >= rt->sizes.clusters) {
        return NULL;
    }
    const mesh_cluster_slot_t *slot = &rt->clusters[view->slot];
    uint64_t tag = mesh_runtime_tag(mesh_hash64(name.data, name.len));

    return mesh_load_acquire(&slot->tag) == tag ? slot : NULL;
}

static void fill_row(ctl_zone_t *zone, const mesh_cluster_view_t *view,
                     row_t *row) {
    const mesh_cluster_slot_t *slot = slot_of(zone, view);
    unsigned lb = view->cluster->lb;

    *row = (row_t){.name = ctl_text(zone, view->name),
                   .lb = lb < MESH_LB_MAX ? mesh_lb[lb].name : "?",
                   .subsets = view->nsubsets - 1,
                   .endpoints = view->total,
                   .usable = view->subsets[0].usable,
                   .panic = view->subsets[0].panic,
                   .loads = ctl_loads(zone, &view->subsets[0])};
    if (slot != NULL) {
        row->in_flight = mesh_load_relaxed(&slot->in_flight);
        row->requests = mesh_load_relaxed(&slot->requests);
        row->failed = mesh_load_relaxed(&slot->status[5]);
        row->retries = mesh_load_relaxed(&slot->retries);
        row->ejected = mesh_cluster_ejected(slot);
    }
}

static cJSON *row_json(const row_t *row) {
    cJSON *item = cJSON_CreateObject();

    cJSON_AddStringToObject(item, "cluster", row->name);
    cJSON_AddStringToObject(item, "lb", row->lb);
    cJSON_AddNumberToObject(item, "subsets", row->subsets);
    cJSON_AddNumberToObject(item, "endpoints", row->endpoints);
    cJSON_AddNumberToObject(item, "usable", row->usable);
    cJSON_AddBoolToObject(item, "panic", row->panic);
    cJSON_AddStringToObject(item, "priority_loads", row->loads);
    cJSON_AddNumberToObject(item, "ejected", row->ejected);
    ctl_json_u64(item, "in_flight", row->in_flight);
    ctl_json_u64(item, "requests", row->requests);
    ctl_json_u64(item, "failed", row->failed);
    ctl_json_u64(item, "retries", row->retries);
    return item;
}

static void row_table(const row_t *row, ctl_table_t *table) {
    ctl_table_add(table, "%s", row->name);
    ctl_table_add(table, "%s", row->lb);
    ctl_table_add(table, "%u", row->subsets);
    ctl_table_add(table, "%u/%u%s", row->usable, row->endpoints,
                  row->panic ? " panic" : "");
    ctl_table_add(table, "%s", row->loads);
    ctl_table_add(table, "%u", row->ejected);
    ctl_table_add(table, "%llu", (unsigned long long)row->in_flight);
    ctl_table_add(table, "%llu", (unsigned long long)row->requests);
    ctl_table_add(table, "%llu", (unsigned long long)row->failed);
    ctl_table_add(table, "%llu", (unsigned long long)row->retries);
}

static void show(ctl_zone_t *zone, const ctl_args_t *args) {
    static const char *const head[] = {
        "CLUSTER",   "LB",       "SUBSETS", "USABLE",  "LOAD %", "EJECTED",
        "IN FLIGHT", "REQUESTS", "5XX",     "RETRIES", NULL};
    const mesh_rec_policy_t *policy = mesh_get(zone->s, zone->root->policy);
    uint32_t count = 0;
    const mesh_map_entry_t **names =
        ctl_zone_sorted(zone, policy->clusters, &count);
    ctl_table_t *table = args->json ? NULL : ctl_table_new(head);
    cJSON *list = args->json ? cJSON_CreateArray() : NULL;

    for (uint32_t i = 0; i < count; i++) {
        const mesh_cluster_view_t *view =
            ctl_zone_view(zone, mesh_get_str(zone->s, names[i]->name));
        row_t row;

        if (view == NULL) {
            continue;
        }
        fill_row(zone, view, &row);
        if (list != NULL) {
            cJSON *item = row_json(&row);
            ctl_zones_json(zone, item, view, &view->subsets[0]);
            cJSON_AddItemToArray(list, item);
        } else {
            row_table(&row, table);
        }
    }
    if (list != NULL) {
        ctl_json_print(list, stdout);
    } else {
        ctl_table_print(table, stdout);
    }
    for (uint32_t i = 0; list == NULL && i < count; i++) {
        const mesh_cluster_view_t *view =
            ctl_zone_view(zone, mesh_get_str(zone->s, names[i]->name));

        if (view != NULL) {
            ctl_zones_print(zone, view->name, view, &view->subsets[0]);
        }
    }
}

int ctl_clusters(const ctl_args_t *args) {
    ctl_zone_t zone;

    int rc = ctl_zone_of(&zone, args);
    if (rc != CTL_EXIT_OK) {
        return rc;
    }
    show(&zone, args);
    ctl_zone_close(&zone);
    return CTL_EXIT_OK;
}
