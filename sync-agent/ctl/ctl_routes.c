/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl routes [HOST]: virtual hosts with their routes, in the order in
 * which they are tried, and what came of them.  HOST: only those that a
 * request for it would see.
 */

#include <stdio.h>
#include <stdlib.h>

#include "ctl_args.h"
#include "ctl_compiled.h"
#include "ctl_dump.h"
#include "ctl_share.h"
#include "ctl_table.h"
#include "ctl_zone.h"
#include "mesh_route.h"

typedef struct {
    const ctl_args_t *args;
    ctl_zone_t *zone;
    ctl_table_t *table; /* or NULL, and */
    cJSON *list;
    uint32_t shown;
} show_t;

/* A domain and its virtual host, which may have several. */
typedef struct {
    const mesh_rec_vhost_t *vhost;
    const char *domain;
    uint32_t index;
} domain_t;

typedef struct {
    domain_t *v;
    uint32_t count;
} domains_t;

static void add_domains(show_t *show, domains_t *domains, mesh_ref_t map,
                        const char *before, const char *behind) {
    ctl_zone_t *zone = show->zone;
    uint32_t count;
    const mesh_map_entry_t **v = ctl_zone_sorted(zone, map, &count);
    domain_t *all =
        arena_alloc(zone->arena, (domains->count + count + 1) * sizeof(*all));

    if (domains->count) {
        memcpy(all, domains->v, domains->count * sizeof(*all));
    }
    for (uint32_t i = 0; i < count; i++) {
        const char *name = ctl_text(zone, mesh_get_str(zone->s, v[i]->name));
        all[domains->count] = (domain_t){
            mesh_get(zone->s, v[i]->value),
            arena_printf(zone->arena, "%s%s%s", before, name, behind),
            domains->count};
        domains->count++;
    }
    domains->v = all;
}

static int by_vhost(const void *a, const void *b, void *ctx) {
    const mesh_snapshot_t *s = ctx;
    const domain_t *x = a, *y = b;
    int rc = mesh_str_cmp(mesh_get_str(s, x->vhost->name),
                          mesh_get_str(s, y->vhost->name));

    if (rc == 0) {
        rc = (x->vhost > y->vhost) - (x->vhost < y->vhost);
    }
    return rc ? rc : (x->index > y->index) - (x->index < y->index);
}

/*
 * "prefix /reviews, methods ["GET"]": whatever `dump` says of a match, but
 * for a percentage, which has words.
 */
static const char *match_text(const ctl_zone_t *zone,
                              const mesh_rec_route_t *route,
                              const cJSON *dump) {
    const cJSON *item;
    const char *text = "";

    cJSON_ArrayForEach(item, cJSON_GetObjectItem(dump, "match")) {
        char *json = cJSON_PrintUnformatted(item);
        const char *value = cJSON_IsString(item) ? item->valuestring : json;

        if (strcmp(item->string, "percentage") == 0) {
            value = ctl_share_words(zone, route->share_ppm, route->share);
        }
        text = arena_printf(zone->arena, "%s%s%s %s", text, text[0] ? ", " : "",
                            item->string, value);
        cJSON_free(json);
    }
    return text;
}

/* Numbers are raw text in what `dump` makes. */
static const char *member(const ctl_zone_t *zone, const cJSON *json,
                          const char *key) {
    const cJSON *item = cJSON_GetObjectItem(json, key);

    if (cJSON_IsString(item) || cJSON_IsRaw(item)) {
        return item->valuestring;
    }
    return cJSON_IsNumber(item)
               ? arena_printf(zone->arena, "%.0f", item->valuedouble)
               : "";
}

static const char *split_text(const ctl_zone_t *zone, const cJSON *split) {
    bool one = cJSON_GetArraySize(split) == 1;
    const cJSON *item;
    const char *text = "";

    cJSON_ArrayForEach(item, split) {
        const char *subset = member(zone, item, "subset");
        const char *header = member(zone, item, "cluster_header");
        const char *host = member(zone, item, "host_rewrite");

        text = arena_printf(zone->arena, "%s%s%s%s%s%s%s%s%s%s%s", text,
                            text[0] ? ", " : "", header[0] ? "by header " : "",
                            header, member(zone, item, "cluster"),
                            subset[0] ? "/" : "", subset, host[0] ? " as " : "",
                            host, one ? "" : " ",
                            one ? "" : member(zone, item, "weight"));
    }
    return text;
}

static const char *action_text(const ctl_zone_t *zone, const cJSON *route) {
    static const char *const answers[] = {"redirect", "respond"};

    for (size_t i = 0; i < mesh_nelts(answers); i++) {
        const cJSON *answer = cJSON_GetObjectItem(route, answers[i]);
        if (answer != NULL) {
            return arena_printf(zone->arena, "%s %s", answers[i],
                                member(zone, answer, "status"));
        }
    }
    const char *to = split_text(zone, cJSON_GetObjectItem(route, "route"));
    const cJSON *by = cJSON_GetObjectItem(route, "split_by");

    if (by == NULL) {
        return to;
    }
    return cJSON_IsString(by)
               ? arena_printf(zone->arena, "%s by %s", to, by->valuestring)
               : arena_printf(zone->arena, "%s by number in %s", to,
                              member(zone, by, "header"));
}

static void show_route(show_t *show, const char *table, const char *domains,
                       const mesh_rec_route_t *route) {
    ctl_zone_t *zone = show->zone;
    const mesh_route_slot_t *slot = ctl_route_slot(zone, route);
    uint64_t requests = slot ? mesh_load_relaxed(&slot->requests) : 0;
    uint64_t failed = slot ? mesh_load_relaxed(&slot->status[5]) : 0;
    cJSON *json = ctl_dump_route(zone, route);

    if (show->list != NULL) {
        cJSON_AddStringToObject(json, "table", table);
        cJSON_AddStringToObject(json, "domains", domains);
        ctl_json_u64(json, "requests", requests);
        ctl_json_u64(json, "failed", failed);
        cJSON_AddItemToArray(show->list, json);
        return;
    }
    ctl_table_add(show->table, "%s", table);
    ctl_table_add(show->table, "%s", domains);
    ctl_table_add(show->table, "%s",
                  ctl_text(zone, mesh_get_str(zone->s, route->name)));
    ctl_table_add(show->table, "%s", match_text(zone, route, json));
    ctl_table_add(show->table, "%s", action_text(zone, json));
    ctl_table_add(show->table, "%llu", (unsigned long long)requests);
    ctl_table_add(show->table, "%llu", (unsigned long long)failed);
    cJSON_Delete(json);
}

static void show_host(show_t *show, const char *table, const domain_t *v,
                      uint32_t count) {
    ctl_zone_t *zone = show->zone;
    const mesh_rec_refs_t *routes = mesh_get(zone->s, v->vhost->routes);
    const char *domains = v->domain;

    for (uint32_t i = 1; i < count; i++) {
        domains = arena_printf(zone->arena, "%s,%s", domains, v[i].domain);
    }
    for (uint32_t i = 0; routes && i < routes->count; i++) {
        show_route(show, table, domains, mesh_get(zone->s, routes->v[i]));
    }
    show->shown++;
}

static void show_table(show_t *show, const char *name,
                       const mesh_rec_route_table_t *table) {
    ctl_zone_t *zone = show->zone;
    const mesh_rec_vhost_t *only = NULL;
    domains_t d = {0};

    if (show->args->argc) {
        only = mesh_route_vhost(zone->s, table,
                                mesh_str_from(show->args->argv[0]));
    }
    add_domains(show, &d, table->exact, "", "");
    add_domains(show, &d, table->suffix, "*", "");
    add_domains(show, &d, table->prefix, "", "*");
    if (table->any != 0) {
        d.v[d.count] = (domain_t){mesh_get(zone->s, table->any), "*", d.count};
        d.count++;
    }
    qsort_r(d.v, d.count, sizeof(*d.v), by_vhost, (void *)zone->s);
    for (uint32_t i = 0, n; i < d.count; i += n) {
        for (n = 1; i + n < d.count && d.v[i + n].vhost == d.v[i].vhost;) {
            n++;
        }
        if (show->args->argc == 0 || d.v[i].vhost == only) {
            show_host(show, name, &d.v[i], n);
        }
    }
}

static void show_all(show_t *show) {
    ctl_zone_t *zone = show->zone;
    const mesh_rec_policy_t *policy = mesh_get(zone->s, zone->root->policy);
    uint32_t count;
    const mesh_map_entry_t **v =
        ctl_zone_sorted(zone, policy->route_tables, &count);

    for (uint32_t i = 0; i < count; i++) {
        show_table(show, ctl_text(zone, mesh_get_str(zone->s, v[i]->name)),
                   mesh_get(zone->s, v[i]->value));
    }
}

int ctl_routes(const ctl_args_t *args) {
    static const char *const head[] = {"TABLE", "DOMAINS",  "ROUTE", "MATCH",
                                       "TO",    "REQUESTS", "5XX",   NULL};
    ctl_zone_t zone;

    int rc = ctl_zone_of(&zone, args);
    if (rc != CTL_EXIT_OK) {
        return rc;
    }
    show_t show = {.args = args,
                   .zone = &zone,
                   .table = args->json ? NULL : ctl_table_new(head),
                   .list = args->json ? cJSON_CreateArray() : NULL};
    show_all(&show);
    if (show.list != NULL) {
        ctl_json_print(show.list, stdout);
    } else {
        ctl_table_print(show.table, stdout);
    }
    ctl_zone_close(&zone);
    if (args->argc && show.shown == 0) {
        fprintf(stderr, "meshctl: no virtual host for \"%s\"\n", args->argv[0]);
        return CTL_EXIT_NO;
    }
    return CTL_EXIT_OK;
}
