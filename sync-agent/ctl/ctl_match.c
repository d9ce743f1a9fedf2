/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Conditions in words; see ctl_match.h.
 */

#include "ctl_match.h"

#include <arpa/inet.h>

static const char *const ops[] = {
    [MESH_MATCH_PRESENT] = "present",   [MESH_MATCH_EXACT] = "exact",
    [MESH_MATCH_PREFIX] = "prefix",     [MESH_MATCH_SUFFIX] = "suffix",
    [MESH_MATCH_CONTAINS] = "contains", [MESH_MATCH_RANGE] = "range",
    [MESH_MATCH_REGEX] = "regex",
};

/* What has the value; headers and pseudo-headers are alike. */
static const char *source_of(const mesh_match_t *match) {
    switch (match->from) {
    case MESH_FROM_QUERY:
        return "query parameter";
    case MESH_FROM_COOKIE:
        return "cookie";
    case MESH_FROM_SNI:
    case MESH_FROM_PORT:
        return "the connection's";
    default:
        return "header";
    }
}

/* The list of it in the configuration. */
static const char *list_of(const mesh_match_t *match) {
    switch (match->from) {
    case MESH_FROM_QUERY:
        return "query";
    case MESH_FROM_COOKIE:
        return "cookies";
    case MESH_FROM_SNI:
    case MESH_FROM_PORT:
        return "connection";
    default:
        return "headers";
    }
}

static mesh_str_t text_of(const ctl_zone_t *zone, const mesh_match_t *match) {
    const mesh_rec_regex_t *regex = mesh_get(zone->s, match->value);

    return mesh_get_str(zone->s, match->op == MESH_MATCH_REGEX ? regex->pattern
                                                               : match->value);
}

/* What a value is wanted to be. */
static const char *wanted(const ctl_zone_t *zone, const mesh_match_t *match) {
    if (match->op == MESH_MATCH_RANGE) {
        const mesh_rec_range_t *range = mesh_get(zone->s, match->value);

        return arena_printf(zone->arena, "a number from %lld to below %lld",
                            (long long)range->start, (long long)range->end);
    }
    return arena_printf(zone->arena, "%s%s\"%s\"%s",
                        match->op == MESH_MATCH_EXACT ? "" : ops[match->op],
                        match->op == MESH_MATCH_EXACT ? "" : " ",
                        ctl_text(zone, text_of(zone, match)),
                        match->flags & MESH_MATCH_IGNORE_CASE ? " in any case"
                                                              : "");
}

const char *ctl_match_failed(const ctl_zone_t *zone, const mesh_match_t *match,
                             const mesh_request_t *r) {
    const char *name =
        arena_printf(zone->arena, "%s %s", source_of(match),
                     ctl_text(zone, mesh_get_str(zone->s, match->name)));
    mesh_str_t value;

    if (!mesh_match_value(zone->s, match, r, &value)) {
        return arena_printf(zone->arena, "%s is not there", name);
    }
    if (match->op == MESH_MATCH_PRESENT) {
        return arena_printf(zone->arena, "%s is there", name);
    }
    return arena_printf(
        zone->arena, "%s is \"%s\", %swanted %s", name, ctl_text(zone, value),
        match->flags & MESH_MATCH_INVERT ? "not " : "", wanted(zone, match));
}

/* cJSON's own numbers have 15 digits. */
static void add_i64(const ctl_zone_t *zone, cJSON *json, const char *key,
                    int64_t value) {
    cJSON_AddRawToObject(json, key,
                         arena_printf(zone->arena, "%lld", (long long)value));
}

static cJSON *match_json(const ctl_zone_t *zone, const mesh_match_t *match) {
    cJSON *item = cJSON_CreateObject();

    cJSON_AddStringToObject(item, "name",
                            ctl_text(zone, mesh_get_str(zone->s, match->name)));
    if (match->op == MESH_MATCH_PRESENT) {
        cJSON_AddTrueToObject(item, ops[match->op]);
    } else if (match->op == MESH_MATCH_RANGE) {
        const mesh_rec_range_t *range = mesh_get(zone->s, match->value);
        cJSON *to = cJSON_AddObjectToObject(item, ops[match->op]);

        add_i64(zone, to, "start", range->start);
        add_i64(zone, to, "end", range->end);
    } else {
        cJSON_AddStringToObject(item, ops[match->op],
                                ctl_text(zone, text_of(zone, match)));
    }
    if (match->flags & MESH_MATCH_IGNORE_CASE) {
        cJSON_AddTrueToObject(item, "ignore_case");
    }
    if (match->flags & MESH_MATCH_MISSING) {
        cJSON_AddTrueToObject(item, "treat_missing_as_empty");
    }
    if (match->flags & MESH_MATCH_INVERT) {
        cJSON_AddTrueToObject(item, "invert");
    }
    return item;
}

void ctl_match_dump(const ctl_zone_t *zone, cJSON *json,
                    const mesh_rec_matches_t *matches) {
    for (uint32_t i = 0; matches && i < matches->count; i++) {
        const char *key = list_of(&matches->v[i]);
        cJSON *list = cJSON_GetObjectItemCaseSensitive(json, key);

        if (list == NULL) {
            list = cJSON_AddArrayToObject(json, key);
        }
        cJSON_AddItemToArray(list, match_json(zone, &matches->v[i]));
    }
}

void ctl_origins_dump(const ctl_zone_t *zone, cJSON *json,
                      const mesh_rec_matches_t *origins) {
    if (origins == NULL) {
        return;
    }
    cJSON *list = cJSON_AddArrayToObject(json, "allow_origin");

    for (uint32_t i = 0; i < origins->count; i++) {
        cJSON *item = match_json(zone, &origins->v[i]);

        cJSON_DeleteItemFromObject(item, "name");
        cJSON_AddItemToArray(list, item);
    }
}

void ctl_addresses_dump(const ctl_zone_t *zone, cJSON *json,
                        const mesh_rec_addresses_t *addresses) {
    if (addresses == NULL) {
        return;
    }
    cJSON *list = cJSON_AddArrayToObject(json, "source");

    for (uint32_t i = 0; i < addresses->count; i++) {
        const mesh_cidr_t *cidr = &addresses->v[i];
        int family = cidr->family == MESH_FAMILY_IPV4 ? AF_INET : AF_INET6;
        char text[INET6_ADDRSTRLEN] = "";

        inet_ntop(family, cidr->addr, text, sizeof(text));
        cJSON_AddItemToArray(
            list, cJSON_CreateString(
                      arena_printf(zone->arena, "%s/%u", text, cidr->bits)));
    }
}
