/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl history: the roots of the ring, newest first.
 */

#include <stdio.h>

#include "ctl_args.h"
#include "ctl_table.h"
#include "ctl_zone.h"

static void digest_text(const mesh_digest_t *digest, char text[33]) {
    for (size_t i = 0; i < sizeof(digest->b); i++) {
        snprintf(text + 2 * i, 3, "%02x", digest->b[i]);
    }
}

static void print_json(const ctl_zone_t *zone,
                       const mesh_rec_root_t *const *roots, uint32_t count) {
    cJSON *list = cJSON_CreateArray();
    char digest[33];

    for (uint32_t i = 0; i < count; i++) {
        cJSON *item = cJSON_CreateObject();
        digest_text(&roots[i]->digest, digest);
        ctl_json_u64(item, "generation", roots[i]->generation);
        ctl_json_u64(item, "time_ms", roots[i]->time_ms);
        cJSON_AddStringToObject(item, "digest", digest);
        cJSON_AddStringToObject(
            item, "reason",
            ctl_text(zone, mesh_get_str(zone->s, roots[i]->reason)));
        cJSON_AddBoolToObject(item, "pinned",
                              roots[i]->flags & MESH_ROOT_PINNED);
        cJSON_AddBoolToObject(item, "rolled_back",
                              roots[i]->flags & MESH_ROOT_ROLLED_BACK);
        cJSON_AddBoolToObject(item, "cold", roots[i]->flags & MESH_ROOT_COLD);
        cJSON_AddItemToArray(list, item);
    }
    ctl_json_print(list, stdout);
}

static void print_table(const ctl_zone_t *zone,
                        const mesh_rec_root_t *const *roots, uint32_t count) {
    static const char *const head[] = {"GENERATION", "AGE",    "DIGEST",
                                       "FLAGS",      "REASON", NULL};
    ctl_table_t *table = ctl_table_new(head);
    char digest[33], age[64];

    for (uint32_t i = 0; i < count; i++) {
        uint32_t flags = roots[i]->flags;
        digest_text(&roots[i]->digest, digest);
        ctl_age(roots[i]->time_ms, age, sizeof(age));
        ctl_table_add(table, "%llu", (unsigned long long)roots[i]->generation);
        ctl_table_add(table, "%s", age);
        ctl_table_add(table, "%.12s", digest);
        ctl_table_add(table, "%s",
                      flags & MESH_ROOT_PINNED        ? "pinned"
                      : flags & MESH_ROOT_ROLLED_BACK ? "rolled-back"
                      : flags & MESH_ROOT_COLD        ? "cold"
                                                      : "-");
        ctl_table_add(table, "%s",
                      ctl_text(zone, mesh_get_str(zone->s, roots[i]->reason)));
    }
    ctl_table_print(table, stdout);
}

int ctl_history(const ctl_args_t *args) {
    const mesh_rec_root_t *roots[MESH_HISTORY_MAX + 1];
    ctl_zone_t zone;

    if (!ctl_zone_open(&zone, args->zone, 0)) {
        return CTL_EXIT_UNREADABLE;
    }
    uint32_t count = ctl_zone_roots(&zone, roots);
    if (args->json) {
        print_json(&zone, roots, count);
    } else {
        print_table(&zone, roots, count);
    }
    ctl_zone_close(&zone);
    return CTL_EXIT_OK;
}
