/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl listeners: where nginx listens for the mesh; of resources, where
 * Envoy would.
 */

#include "ctl_listeners.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "ctl_load.h"
#include "ctl_table.h"
#include "ctl_workers.h"
#include "mesh_listener.h"

/* Different ones of all workers, which say the same unless they lie. */
#define LISTENERS_MAX 1024

typedef struct {
    mesh_listener_t row;
    const char *address;  /* "0.0.0.0:80", "[::]:80", "unix:/path" */
    const char *protocol; /* for people: "https, http2" */
    uint32_t ntables;
    mesh_str_t *tables;
    uint32_t workers;        /* that say it */
    uint64_t oldest, newest; /* generations that they have adopted */
} listener_t;

struct ctl_listeners_s {
    uint32_t live;     /* workers that accept connections */
    uint32_t silent;   /* of them: say nothing of listeners */
    uint32_t left_out; /* listeners that had no room, of one worker */
    uint32_t count;
    listener_t *v; /* as nginx.conf has them */
};

struct ctl_listening_s {
    uint32_t count;
    const listener_t **v;
};

/* --- as workers say ------------------------------------------------------- */

static const char *address_text(const ctl_zone_t *zone,
                                const mesh_listeners_t *said,
                                const mesh_listener_t *row) {
    char ip[INET6_ADDRSTRLEN] = "?";
    bool ipv6 = row->family == MESH_LISTENER_IPV6;

    if (row->family == MESH_LISTENER_UNIX) {
        return arena_printf(zone->arena, "unix:%s",
                            ctl_text(zone, mesh_listener_path(said, row)));
    }
    (void)inet_ntop(ipv6 ? AF_INET6 : AF_INET, row->addr, ip, sizeof(ip));
    return arena_printf(zone->arena, ipv6 ? "[%s]:%u" : "%s:%u", ip, row->port);
}

static const char *protocol_text(const mesh_listener_t *row) {
    bool ssl = row->flags & MESH_LISTENER_SSL;
    bool udp = row->flags & MESH_LISTENER_UDP;

    if (row->protocol == MESH_LISTENER_STREAM) {
        return udp ? ssl ? "dtls" : "udp" : ssl ? "tls" : "tcp";
    }
    if (udp) {
        return "http3";
    }
    if (row->flags & MESH_LISTENER_HTTP2) {
        return ssl ? "https, http2" : "http, http2";
    }
    return ssl ? "https" : "http";
}

static void take_tables(const ctl_zone_t *zone, const mesh_listeners_t *said,
                        listener_t *listener) {
    uint32_t at = 0;
    mesh_str_t name;

    listener->tables =
        arena_alloc(zone->arena, (listener->row.tables_len + 1u) *
                                     sizeof(*listener->tables));
    while (mesh_listener_table(said, &listener->row, &at, &name)) {
        listener->tables[listener->ntables++] =
            mesh_str_from(ctl_text(zone, name));
    }
}

static bool same(const listener_t *a, const listener_t *b) {
    if (a->row.protocol != b->row.protocol || a->row.flags != b->row.flags ||
        a->ntables != b->ntables || strcmp(a->address, b->address) != 0) {
        return false;
    }
    for (uint32_t i = 0; i < a->ntables; i++) {
        if (!mesh_str_eq(a->tables[i], b->tables[i])) {
            return false;
        }
    }
    return true;
}

/* The one that another worker has told already, or a new one; NULL: full. */
static listener_t *find(ctl_listeners_t *all, const listener_t *listener) {
    for (uint32_t i = 0; i < all->count; i++) {
        if (same(&all->v[i], listener)) {
            return &all->v[i];
        }
    }
    if (all->count == LISTENERS_MAX) {
        return NULL;
    }
    all->v[all->count] = *listener;
    return &all->v[all->count++];
}

static void take_worker(const ctl_zone_t *zone, const mesh_listeners_t *said,
                        uint64_t generation, ctl_listeners_t *all) {
    uint32_t left_out = said->left_out;

    for (uint32_t i = 0; i < said->count; i++) {
        const mesh_listener_t *row = &said->v[i];
        listener_t one = {.row = *row,
                          .address = address_text(zone, said, row),
                          .protocol = protocol_text(row),
                          .oldest = UINT64_MAX};

        take_tables(zone, said, &one);
        listener_t *listener = find(all, &one);
        if (listener != NULL) {
            listener->workers++;
            listener->oldest = mesh_min(listener->oldest, generation);
            listener->newest = mesh_max(listener->newest, generation);
        } else {
            left_out++;
        }
    }
    all->left_out = mesh_max(all->left_out, left_out);
}

/* Workers that are leaving have closed their listeners. */
const ctl_listeners_t *ctl_listeners_read(const ctl_zone_t *zone) {
    ctl_listeners_t *all = arena_alloc(zone->arena, sizeof(*all));
    mesh_listeners_t said;

    all->v = arena_alloc(zone->arena, LISTENERS_MAX * sizeof(*all->v));
    for (uint32_t i = 0;
         zone->has_runtime && i < zone->runtime.rt.sizes.workers; i++) {
        const mesh_worker_slot_t *worker = &zone->runtime.rt.workers[i];

        if (!ctl_worker_live(&zone->runtime, i)) {
            continue;
        }
        all->live++;
        if (!mesh_listeners_read(&zone->runtime.rt, i, &said)) {
            all->silent++;
            continue;
        }
        take_worker(zone, &said, mesh_load_acquire(&worker->generation), all);
    }
    return all;
}

/* --- one of them --------------------------------------------------------- */

static const char *join(arena_t *arena, const mesh_str_t *v, uint32_t count) {
    const char *text = "";

    for (uint32_t i = 0; i < count; i++) {
        text = arena_printf(arena, "%s%s%.*s", text, i ? ", " : "",
                            (int)v[i].len, v[i].data);
    }
    return text;
}

/* Names of its tables, or what there is in their place. */
static const char *tables_text(const ctl_zone_t *zone,
                               const listener_t *listener) {
    if (listener->ntables != 0) {
        return join(zone->arena, listener->tables, listener->ntables);
    }
    return listener->row.flags & MESH_LISTENER_UPSTREAMS ? "(upstreams only)"
                                                         : "-";
}

static void json_names(cJSON *json, const char *key, const mesh_str_t *v,
                       uint32_t count, arena_t *arena) {
    cJSON *list = cJSON_AddArrayToObject(json, key);

    for (uint32_t i = 0; i < count; i++) {
        cJSON_AddItemToArray(list, cJSON_CreateString(join(arena, &v[i], 1)));
    }
}

static cJSON *json_of(const ctl_zone_t *zone, const listener_t *listener) {
    static const struct {
        const char *key;
        uint32_t flag;
    } flags[] = {{"ssl", MESH_LISTENER_SSL},
                 {"http2", MESH_LISTENER_HTTP2},
                 {"udp", MESH_LISTENER_UDP},
                 {"reuseport", MESH_LISTENER_REUSEPORT},
                 {"default_server", MESH_LISTENER_DEFAULT},
                 {"upstreams", MESH_LISTENER_UPSTREAMS}};
    bool stream = listener->row.protocol == MESH_LISTENER_STREAM;
    cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "address", listener->address);
    cJSON_AddStringToObject(json, "protocol", stream ? "stream" : "http");
    for (size_t i = 0; i < mesh_nelts(flags); i++) {
        cJSON_AddBoolToObject(json, flags[i].key,
                              (listener->row.flags & flags[i].flag) != 0);
    }
    json_names(json, "tables", listener->tables, listener->ntables,
               zone->arena);
    ctl_json_u64(json, "workers", listener->workers);
    ctl_json_u64(json, "generation", listener->oldest);
    return json;
}

/* --- of a request --------------------------------------------------------- */

static bool serves(const listener_t *listener, mesh_str_t table) {
    for (uint32_t i = 0; i < listener->ntables; i++) {
        if (mesh_str_eq(listener->tables[i], table)) {
            return true;
        }
    }
    return false;
}

static bool matches(const listener_t *listener, const ctl_args_t *args) {
    const mesh_listener_t *row = &listener->row;
    uint64_t port = 0;

    if (row->protocol != MESH_LISTENER_HTTP) {
        return false;
    }
    if (args->port == NULL) {
        return serves(listener, mesh_str_from(args->table));
    }
    return row->family != MESH_LISTENER_UNIX &&
           ctl_parse_u64(args->port, &port) && row->port == port;
}

/* The one table of all these, or NULL. */
static const char *only_table(const ctl_listening_t *listening) {
    const listener_t *first = listening->count ? listening->v[0] : NULL;

    for (uint32_t i = 0; i < listening->count; i++) {
        const listener_t *listener = listening->v[i];

        if (listener->ntables != 1 ||
            !mesh_str_eq(listener->tables[0], first->tables[0])) {
            return NULL;
        }
    }
    return first ? first->tables[0].data : NULL;
}

const ctl_listening_t *ctl_listeners_match(const ctl_zone_t *zone,
                                           ctl_args_t *args) {
    const ctl_listeners_t *all = zone->listeners;

    if (all == NULL || all->count == 0) {
        return NULL;
    }
    ctl_listening_t *found = arena_alloc(zone->arena, sizeof(*found));
    found->v = arena_alloc(zone->arena, all->count * sizeof(*found->v));
    for (uint32_t i = 0; i < all->count; i++) {
        if (matches(&all->v[i], args)) {
            found->v[found->count++] = &all->v[i];
        }
    }
    if (args->port == NULL) {
        return found->count == 1 ? found : NULL;
    }
    const char *table = only_table(found);
    if (table != NULL && !(args->given & CTL_TAKES_TABLE)) {
        args->table = table;
    }
    return found;
}

void ctl_listening_print(const ctl_zone_t *zone, const ctl_args_t *args,
                         const ctl_listening_t *listening) {
    for (uint32_t i = 0; i < listening->count; i++) {
        const listener_t *listener = listening->v[i];
        const char *table = listener->ntables > 1 ? "tables " : "table ";

        printf("listener    %s %s, %s%s (%u worker%s)\n", listener->address,
               listener->protocol, listener->ntables ? table : "",
               tables_text(zone, listener), listener->workers,
               listener->workers == 1 ? "" : "s");
    }
    if (listening->count == 0) {
        printf("listener    none on port %s\n", args->port);
    }
}

void ctl_listening_json(const ctl_zone_t *zone,
                        const ctl_listening_t *listening, cJSON *json) {
    cJSON *list = cJSON_AddArrayToObject(json, "listeners");

    for (uint32_t i = 0; i < listening->count; i++) {
        cJSON_AddItemToArray(list, json_of(zone, listening->v[i]));
    }
}

/* --- shown ---------------------------------------------------------------- */

static void print_table(const ctl_zone_t *zone, const ctl_listeners_t *all) {
    static const char *const head[] = {"ADDRESS", "PROTOCOL",   "TABLE",
                                       "WORKERS", "GENERATION", NULL};
    ctl_table_t *table = ctl_table_new(head);

    for (uint32_t i = 0; i < all->count; i++) {
        const listener_t *listener = &all->v[i];

        ctl_table_add(table, "%s", listener->address);
        ctl_table_add(table, "%s", listener->protocol);
        ctl_table_add(table, "%s", tables_text(zone, listener));
        ctl_table_add(table, "%u of %u", listener->workers, all->live);
        if (listener->oldest == listener->newest) {
            ctl_table_add(table, "%llu", (unsigned long long)listener->oldest);
        } else {
            ctl_table_add(table, "%llu to %llu",
                          (unsigned long long)listener->oldest,
                          (unsigned long long)listener->newest);
        }
    }
    ctl_table_print(table, stdout);
}

static void print_json(const ctl_zone_t *zone, const ctl_listeners_t *all) {
    cJSON *list = cJSON_CreateArray();

    for (uint32_t i = 0; i < all->count; i++) {
        cJSON *json = json_of(zone, &all->v[i]);

        ctl_json_u64(json, "live", all->live);
        cJSON_AddItemToArray(list, json);
    }
    ctl_json_print(list, stdout);
}

/* What is not in the table. */
static void complain(const ctl_listeners_t *all) {
    if (all->left_out != 0) {
        fprintf(stderr,
                "meshctl: and %u more, which a worker has no room for\n",
                all->left_out);
    }
    if (all->live == 0) {
        fputs("meshctl: there is no worker of nginx\n", stderr);
    } else if (all->silent != 0) {
        fprintf(stderr,
                "meshctl: %u of %u workers do not say where they listen: are "
                "their modules older?\n",
                all->silent, all->live);
    } else if (all->count == 0) {
        fputs("meshctl: nginx listens nowhere for the mesh: it has neither "
              "mesh_route nor upstreams of the mesh\n",
              stderr);
    }
}

static int listeners_of_zone(const ctl_args_t *args) {
    ctl_zone_t zone;

    if (!ctl_zone_open(&zone, args->zone, 0)) {
        return CTL_EXIT_UNREADABLE;
    }
    const ctl_listeners_t *all = ctl_listeners_read(&zone);
    if (args->json) {
        print_json(&zone, all);
    } else if (all->count != 0) {
        print_table(&zone, all);
    }
    fflush(stdout);
    complain(all);
    int code = all->count != 0 ? CTL_EXIT_OK : CTL_EXIT_NO;
    ctl_zone_close(&zone);
    return code;
}

/* --- of resources --------------------------------------------------------- */

static void print_resources(const xds_listens_t *v, uint32_t count,
                            arena_t *arena) {
    static const char *const head[] = {"ADDRESS", "LISTENER", "TABLE", NULL};
    ctl_table_t *table = ctl_table_new(head);

    for (uint32_t i = 0; i < count; i++) {
        const xds_listens_t *l = &v[i];
        const char *cells[] = {
            l->naddresses ? join(arena, l->addresses, l->naddresses) : "-",
            join(arena, &l->name, 1),
            l->ntables ? join(arena, l->tables, l->ntables) : "-"};

        for (size_t k = 0; k < mesh_nelts(cells); k++) {
            char *cell = arena_strdup(arena, cells[k]);

            ctl_plain(cell);
            ctl_table_add(table, "%s", cell);
        }
    }
    ctl_table_print(table, stdout);
}

static void print_resources_json(const xds_listens_t *v, uint32_t count,
                                 arena_t *arena) {
    cJSON *list = cJSON_CreateArray();

    for (uint32_t i = 0; i < count; i++) {
        cJSON *json = cJSON_CreateObject();

        cJSON_AddStringToObject(json, "name", join(arena, &v[i].name, 1));
        json_names(json, "addresses", v[i].addresses, v[i].naddresses, arena);
        json_names(json, "tables", v[i].tables, v[i].ntables, arena);
        cJSON_AddItemToArray(list, json);
    }
    ctl_json_plain(list);
    ctl_json_print(list, stdout);
}

static int listeners_of_resources(const ctl_args_t *args) {
    arena_t *arena = arena_new();
    ctl_load_t load;
    uint32_t count;

    if (!ctl_load(&load, arena, args->resources, args->nresources, true)) {
        arena_free(arena);
        return CTL_EXIT_UNREADABLE;
    }
    ctl_load_complain(&load.errors);
    const xds_listens_t *v = xds_listens(load.xds, arena, &count);
    if (args->json) {
        print_resources_json(v, count, arena);
    } else if (count != 0) {
        print_resources(v, count, arena);
    }
    if (count == 0) {
        fputs("meshctl: there is no listener in these files: where nginx "
              "listens, nginx.conf says\n",
              stderr);
    }
    arena_free(arena);
    return count != 0 ? CTL_EXIT_OK : CTL_EXIT_NO;
}

int ctl_listeners(const ctl_args_t *args) {
    return args->nresources ? listeners_of_resources(args)
                            : listeners_of_zone(args);
}
