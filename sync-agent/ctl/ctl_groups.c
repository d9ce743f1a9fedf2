/* SPDX-License-Identifier: Apache-2.0 */

/*
 * See ctl_groups.h.
 */

#include "ctl_groups.h"

#include <stdio.h>

#include "ctl_table.h"

/* Localities without a weight are one group, behind the listed ones. */
static const char *place_of(const ctl_zone_t *zone,
                            const mesh_view_group_t *group) {
    if (!group->split) {
        return "";
    }
    if (group->locality == 0) {
        return group->count || group->points ? "" : "others";
    }
    return ctl_locality(zone, group->locality);
}

/* Percent of the subset's load. */
static double load_of(const mesh_view_subset_t *subset,
                      const mesh_view_group_t *group) {
    return subset->points ? group->points * 100.0 / subset->points : 0;
}

static const char *part_of(const ctl_zone_t *zone, mesh_ref_t text) {
    return text ? ctl_text(zone, mesh_get_str(zone->s, text)) : "-";
}

const char *ctl_locality(const ctl_zone_t *zone, mesh_ref_t locality) {
    const mesh_rec_locality_t *rec = mesh_get(zone->s, locality);

    if (rec == NULL) {
        return "";
    }
    if (rec->region == 0 && rec->sub_zone == 0) {
        return part_of(zone, rec->zone);
    }
    return arena_printf(zone->arena, "%s/%s%s%s", part_of(zone, rec->region),
                        part_of(zone, rec->zone), rec->sub_zone ? "/" : "",
                        rec->sub_zone ? part_of(zone, rec->sub_zone) : "");
}

const char *ctl_loads(const ctl_zone_t *zone,
                      const mesh_view_subset_t *subset) {
    const char *text = "";
    uint32_t n;

    for (uint32_t i = 0; i < subset->ngroups; i += n) {
        const mesh_view_group_t *group = &subset->groups[i];
        double load = 0;

        for (n = 0;
             i + n < subset->ngroups && group[n].priority == group->priority;
             n++) {
            load += load_of(subset, &group[n]);
        }
        text = arena_printf(zone->arena, "%s%s%.0f", text, i ? "/" : "", load);
    }
    return text;
}

void ctl_groups_json(const ctl_zone_t *zone, cJSON *json,
                     const mesh_view_subset_t *subset,
                     const mesh_view_group_t *picked) {
    cJSON *list = cJSON_AddArrayToObject(json, "groups");

    for (uint32_t i = 0; i < subset->ngroups; i++) {
        const mesh_view_group_t *group = &subset->groups[i];
        cJSON *item = cJSON_CreateObject();

        cJSON_AddNumberToObject(item, "priority", group->priority);
        if (group->split) {
            cJSON_AddStringToObject(item, "locality", place_of(zone, group));
        }
        cJSON_AddNumberToObject(item, "load_percent", load_of(subset, group));
        cJSON_AddNumberToObject(item, "usable", group->usable);
        cJSON_AddNumberToObject(item, "endpoints", group->members);
        cJSON_AddBoolToObject(item, "panic", group->panic);
        if (picked != NULL) {
            cJSON_AddBoolToObject(item, "picked", group == picked);
        }
        cJSON_AddItemToArray(list, item);
    }
}

void ctl_groups_print(const ctl_zone_t *zone, mesh_str_t cluster,
                      const mesh_view_subset_t *subset,
                      const mesh_view_group_t *picked) {
    static const char *const head[] = {"",     "PRIORITY", "LOCALITY",
                                       "LOAD", "USABLE",   NULL};

    if (subset->ngroups == 1) {
        return;
    }
    if (cluster.len != 0) {
        printf("\n%s\n", ctl_text(zone, cluster));
    }

    ctl_table_t *table = ctl_table_new(head);

    for (uint32_t i = 0; i < subset->ngroups; i++) {
        const mesh_view_group_t *group = &subset->groups[i];

        ctl_table_add(table, "%s", group == picked ? "  ->" : "    ");
        ctl_table_add(table, "%u", group->priority);
        ctl_table_add(table, "%s", place_of(zone, group));
        ctl_table_add(table, "%.4g %%", load_of(subset, group));
        ctl_table_add(table, "%u/%u%s", group->usable, group->members,
                      group->panic ? " panic" : "");
    }
    ctl_table_print(table, stdout);
}
