/* SPDX-License-Identifier: Apache-2.0 */

/*
 * See ctl_zones.h.
 */

#include "ctl_zones.h"

#include <stdio.h>

#include "ctl_groups.h"
#include "ctl_table.h"

/* Of one locality; percent. */
typedef struct {
    const char *locality;
    uint32_t local; /* usable endpoints of the local cluster */
    double local_percent;
    uint32_t usable; /* and of this one */
    uint32_t members;
    double percent;
    double load;
} row_t;

static uint64_t basis(const mesh_cluster_view_t *view,
                      const mesh_view_endpoint_t *e) {
    bool by_weight = view->zones->params->flags & MESH_ZONE_BY_WEIGHT;

    return e->out & ~MESH_OUT_TOLD ? 0 : by_weight ? e->endpoint->weight : 1;
}

/* By what zones are measured, of those of the subset's group. */
static uint64_t measure(const mesh_cluster_view_t *view,
                        const mesh_view_group_t *group) {
    uint64_t sum = 0;

    for (uint32_t i = 0; i < group->count; i++) {
        sum += basis(view, &view->endpoints[group->pick[i]]);
    }
    return sum;
}

static double percent(uint64_t part, uint64_t whole) {
    return whole ? (double)part * 100.0 / (double)whole : 0;
}

static uint64_t measure_all(const mesh_cluster_view_t *view,
                            const mesh_view_subset_t *subset) {
    uint64_t sum = 0;

    for (uint32_t i = 0; i < subset->ngroups; i++) {
        sum += subset->groups[i].priority == 0
                   ? measure(view, &subset->groups[i])
                   : 0;
    }
    return sum;
}

/* `all`: what measure_all() gives. */
static row_t row_of(const ctl_zone_t *zone, const mesh_cluster_view_t *view,
                    const mesh_view_subset_t *subset,
                    const mesh_view_group_t *group, uint64_t all) {
    const mesh_view_zones_t *zones = view->zones;
    const mesh_view_zone_t *z = &zones->v[group->place];

    return (row_t){
        .locality = ctl_locality(zone, z->locality),
        .local = z->usable,
        .local_percent = percent(z->local, zones->sum),
        .usable = group->usable,
        .members = group->members,
        .percent = percent(measure(view, group), all),
        .load = percent(group->points, subset->points),
    };
}

static const char *local_name(const ctl_zone_t *zone,
                              const mesh_cluster_view_t *view) {
    return view->bind->local
               ? ctl_text(zone, mesh_get_str(zone->s, view->bind->local))
               : "";
}

void ctl_zones_json(const ctl_zone_t *zone, cJSON *json,
                    const mesh_cluster_view_t *view,
                    const mesh_view_subset_t *subset) {
    if (view->zones == NULL) {
        return;
    }
    cJSON *item = cJSON_AddObjectToObject(json, "zone_aware");
    cJSON_AddBoolToObject(item, "on", mesh_zone_on(subset->zone));
    cJSON_AddStringToObject(item, "why", mesh_zone_text(subset->zone));
    cJSON_AddStringToObject(item, "local_cluster", local_name(zone, view));
    cJSON_AddStringToObject(item, "locality",
                            ctl_locality(zone, view->bind->node));
    cJSON_AddNumberToObject(item, "failing_percent",
                            percent(subset->failing, subset->points));
    cJSON *list = cJSON_AddArrayToObject(item, "zones");
    uint64_t all = measure_all(view, subset);

    for (uint32_t i = 0; i < subset->ngroups && mesh_zone_on(subset->zone);
         i++) {
        if (subset->groups[i].priority != 0) {
            break;
        }
        row_t row = row_of(zone, view, subset, &subset->groups[i], all);
        cJSON *z = cJSON_CreateObject();
        cJSON_AddStringToObject(z, "locality", row.locality);
        cJSON_AddNumberToObject(z, "local_usable", row.local);
        cJSON_AddNumberToObject(z, "local_percent", row.local_percent);
        cJSON_AddNumberToObject(z, "usable", row.usable);
        cJSON_AddNumberToObject(z, "percent", row.percent);
        cJSON_AddNumberToObject(z, "load_percent", row.load);
        cJSON_AddItemToArray(list, z);
    }
}

void ctl_zones_print(const ctl_zone_t *zone, mesh_str_t cluster,
                     const mesh_cluster_view_t *view,
                     const mesh_view_subset_t *subset) {
    static const char *const head[] = {"",       "LOCALITY", "LOCAL CLUSTER",
                                       "USABLE", "LOAD",     NULL};

    if (view->zones == NULL) {
        return;
    }
    if (cluster.len != 0) {
        printf("\n%s\n", ctl_text(zone, cluster));
    }
    printf("zone-aware  %s%s%s%s\n", mesh_zone_text(subset->zone),
           view->bind->local ? " (" : "", local_name(zone, view),
           view->bind->local ? ")" : "");
    if (subset->failing != 0) {
        printf("zone-aware  %.4g %% of the requests fail in panic\n",
               percent(subset->failing, subset->points));
    }
    if (!mesh_zone_on(subset->zone)) {
        return;
    }

    ctl_table_t *table = ctl_table_new(head);
    uint64_t all = measure_all(view, subset);

    for (uint32_t i = 0; i < subset->ngroups && subset->groups[i].priority == 0;
         i++) {
        row_t row = row_of(zone, view, subset, &subset->groups[i], all);
        bool own = subset->groups[i].place == 0;

        ctl_table_add(table, "%s", own ? "  own" : "     ");
        ctl_table_add(table, "%s", row.locality);
        ctl_table_add(table, "%u, %.4g %%", row.local, row.local_percent);
        ctl_table_add(table, "%u/%u, %.4g %%", row.usable, row.members,
                      row.percent);
        ctl_table_add(table, "%.4g %%", row.load);
    }
    ctl_table_print(table, stdout);
}
