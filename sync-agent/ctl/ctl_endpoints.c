/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl endpoints: what a balancer would see, and why an endpoint is out.
 */

#include <stdio.h>

#include "ctl_args.h"
#include "ctl_table.h"
#include "ctl_zone.h"

#define ENDPOINT_TEXT_MAX 320

static const mesh_endpoint_slot_t *slot_of(const ctl_zone_t *zone,
                                           uint32_t slot) {
    return zone->has_runtime && slot < zone->runtime.rt.sizes.endpoints
               ? &zone->runtime.rt.endpoints[slot]
               : NULL;
}

static cJSON *view_json(const ctl_zone_t *zone,
                        const mesh_cluster_view_t *view) {
    cJSON *json = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(json, "endpoints");

    cJSON_AddStringToObject(json, "cluster", ctl_text(zone, view->name));
    cJSON_AddNumberToObject(json, "usable", view->subsets[0].usable);
    cJSON_AddBoolToObject(json, "panic", view->subsets[0].panic);
    for (uint32_t i = 0; i < view->total; i++) {
        const mesh_view_endpoint_t *e = &view->endpoints[i];
        const mesh_endpoint_slot_t *slot = slot_of(zone, e->slot);
        char at[ENDPOINT_TEXT_MAX], state[160];
        cJSON *item = cJSON_CreateObject();

        mesh_endpoint_text(zone->s, e->endpoint, at, sizeof(at));
        ctl_endpoint_state(zone, e->out, e->slot, state, sizeof(state));
        cJSON_AddStringToObject(item, "address", at);
        cJSON_AddNumberToObject(item, "weight", e->weight);
        cJSON_AddBoolToObject(item, "usable", e->out == 0);
        cJSON_AddStringToObject(item, "state", state);
        if (slot != NULL) {
            cJSON_AddNumberToObject(item, "in_flight",
                                    mesh_load_relaxed(&slot->in_flight));
            ctl_json_u64(item, "attempts", mesh_load_relaxed(&slot->attempts));
        }
        cJSON_AddItemToArray(list, item);
    }
    return json;
}

static void view_table(const ctl_zone_t *zone, const mesh_cluster_view_t *view,
                       ctl_table_t *table) {
    for (uint32_t i = 0; i < view->total; i++) {
        const mesh_view_endpoint_t *e = &view->endpoints[i];
        const mesh_endpoint_slot_t *slot = slot_of(zone, e->slot);
        char at[ENDPOINT_TEXT_MAX], state[160];

        mesh_endpoint_text(zone->s, e->endpoint, at, sizeof(at));
        ctl_endpoint_state(zone, e->out, e->slot, state, sizeof(state));
        ctl_table_add(table, "%s", ctl_text(zone, view->name));
        ctl_table_add(table, "%s", at);
        ctl_table_add(table, "%u", e->weight);
        ctl_table_add(
            table, "%llu",
            slot ? (unsigned long long)mesh_load_relaxed(&slot->attempts)
                 : 0ULL);
        ctl_table_add(table, "%s", state);
    }
}

static int show(ctl_zone_t *zone, const ctl_args_t *args) {
    static const char *const head[] = {"CLUSTER",  "ENDPOINT", "WEIGHT",
                                       "ATTEMPTS", "STATE",    NULL};
    const mesh_rec_policy_t *policy = mesh_get(zone->s, zone->root->policy);
    uint32_t count = 0, shown = 0;
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
        shown++;
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
    if (args->argc && shown == 0) {
        fprintf(stderr, "meshctl: no cluster \"%s\"\n", args->argv[0]);
        return CTL_EXIT_NO;
    }
    return CTL_EXIT_OK;
}

int ctl_endpoints(const ctl_args_t *args) {
    ctl_zone_t zone;

    if (!ctl_zone_open(&zone, args->zone, args->at)) {
        return CTL_EXIT_UNREADABLE;
    }
    int rc = show(&zone, args);
    ctl_zone_close(&zone);
    return rc;
}
