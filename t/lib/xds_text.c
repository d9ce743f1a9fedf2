/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Writing models as Envoy's resources; see xds_text.h.
 */

#include "xds_text.h"

#include "xds_text_out.h"

/* --- tables -------------------------------------------------------------- */

static void add_route(out_t *t, cJSON *map, const model_route_t *r,
                      uint32_t i) {
    char name[16];

    if (i % 3 == 0) {
        snprintf(name, sizeof(name), "n%u", i);
        add_text(t, map, "name", name);
    }
    xds_text_matches(t, map, r);
    xds_text_action(t, map, r);
    xds_text_ops(t, map, &r->request_ops, &r->response_ops);
}

static cJSON *add_table(out_t *t, cJSON *map,
                        const model_route_table_t *table) {
    cJSON *hosts = list_in(t, map, "virtual_hosts");

    add_str(t, map, "name", table->name);
    add_flag(t, map, "ignore_port_in_host_matching",
             !(table->flags & MESH_HOST_KEEP_PORT));
    for (uint32_t i = 0; i < table->nvhosts; i++) {
        const model_vhost_t *h = &table->vhosts[i];
        cJSON *host = map_of(hosts);
        cJSON *domains = list_in(t, host, "domains");
        cJSON *routes = list_in(t, host, "routes");

        add_str(t, host, "name", h->name);
        for (uint32_t k = 0; k < h->ndomains; k++) {
            cJSON_AddItemToArray(domains, str_of(h->domains[k]));
        }
        for (uint32_t k = 0; k < h->nroutes; k++) {
            add_route(t, map_of(routes), &h->routes[k], k);
        }
        xds_text_ops(t, host, &h->request_ops, &h->response_ops);
    }
    return map;
}

/* A connection manager with the table in it, or its name. */
static void add_listener(out_t *t, cJSON *map, const model_route_table_t *table,
                         bool inlined) {
    static const char *const actions[] = {
        [MESH_SLASHES_KEEP] = "KEEP_UNCHANGED",
        [MESH_SLASHES_REJECT] = "REJECT_REQUEST",
        [MESH_SLASHES_REDIRECT] = "UNESCAPE_AND_REDIRECT",
        [MESH_SLASHES_UNESCAPE] = "UNESCAPE_AND_FORWARD",
    };
    uint32_t slashes = (table->flags & MESH_SLASHES_MASK) >> MESH_SLASHES_SHIFT;

    add_type(map, "envoy.config.listener.v3.Listener");
    add_text(t, map, "name", "l");
    cJSON *chain = one_in(t, 2) ? map_of(list_in(t, map, "filter_chains"))
                                : map_in(t, map, "default_filter_chain");
    cJSON *filter = map_of(list_in(t, chain, "filters"));
    cJSON *manager = map_in(t, filter, "typed_config");
    add_type(manager, "envoy.extensions.filters.network."
                      "http_connection_manager.v3.HttpConnectionManager");
    add_flag(t, manager, "normalize_path",
             (table->flags & MESH_NORMALIZE_RFC3986) != 0);
    add_flag(t, manager, "merge_slashes",
             (table->flags & MESH_MERGE_SLASHES) != 0);
    add_text(t, manager, "path_with_escaped_slashes_action", actions[slashes]);
    if (inlined) {
        add_table(t, map_in(t, manager, "route_config"), table);
    } else {
        add_str(t, map_in(t, manager, "rds"), "route_config_name", table->name);
    }
    cJSON *filters = list_in(t, manager, "http_filters");
    if (one_in(t, 3)) {
        cJSON *off = map_of(filters);
        cJSON *buffer = map_in(t, off, "typed_config");

        add(t, off, "disabled", cJSON_CreateBool(true));
        add_type(buffer, "envoy.extensions.filters.http.buffer.v3.Buffer");
        add_number(t, buffer, "max_request_bytes", 5);
    }
    cJSON *router = map_in(t, map_of(filters), "typed_config");
    add_type(router, "envoy.extensions.filters.http.router.v3.Router");
}

/* --- the document -------------------------------------------------------- */

typedef enum { FORM_LIST, FORM_RESPONSE, FORM_DELTA, FORM_COUNT } form_e;

/* A place for the next resource. */
static cJSON *resource(out_t *t, cJSON *list, form_e form) {
    cJSON *map = map_of(list);

    if (form != FORM_DELTA) {
        return map;
    }
    add_text(t, map, "version", "1");
    return map_in(t, map, "resource");
}

/* "share.x" is { "share": { "x" } } as well, and 5 is 5 of a hundred. */
static void add_values(out_t *t, cJSON *layer, const model_part_t *part) {
    for (uint32_t i = 0; i < part->nruntime; i++) {
        const model_runtime_t *r = &part->runtime[i];
        char *name = strndup(r->name.data, r->name.len);
        char *dot = strchr(name, '.');
        cJSON *map = layer;
        const char *key = name;

        if (dot != NULL && one_in(t, 2)) {
            *dot = '\0';
            key = dot + 1;
            map = cJSON_GetObjectItemCaseSensitive(layer, name);
            map = map ? map : cJSON_AddObjectToObject(layer, name);
        }
        if (r->share.denominator == 100 && one_in(t, 2)) {
            cJSON_AddNumberToObject(map, key, r->share.ppm / 10000);
        } else {
            xds_text_percent(t, cJSON_AddObjectToObject(map, key), &r->share);
        }
        free(name);
    }
}

static void add_resources(out_t *t, cJSON *list, const model_part_t *part,
                          form_e form) {
    for (uint32_t i = 0; i < part->ntables; i++) {
        bool inlined = one_in(t, 2);

        add_listener(t, resource(t, list, form), &part->tables[i], inlined);
        if (!inlined) {
            cJSON *map = resource(t, list, form);

            add_type(map, "envoy.config.route.v3.RouteConfiguration");
            add_table(t, map, &part->tables[i]);
        }
    }
    bool *inlined = calloc(part->nclusters + 1, sizeof(*inlined));
    for (uint32_t i = 0; i < part->nclusters; i++) {
        inlined[i] = xds_text_cluster(t, resource(t, list, form), part,
                                      &part->clusters[i]);
    }
    for (uint32_t i = 0; i < part->nsets; i++) {
        bool there = false;

        for (uint32_t k = 0; k < part->nclusters; k++) {
            there |= inlined[k] &&
                     mesh_str_eq(part->clusters[k].name, part->sets[i].name);
        }
        if (!there) {
            cJSON *map = resource(t, list, form);

            add_type(map, "envoy.config.endpoint.v3.ClusterLoadAssignment");
            xds_text_assignment(t, map, part, &part->sets[i]);
        }
    }
    free(inlined);
    if (part->nruntime) {
        cJSON *map = resource(t, list, form);

        add_type(map, "envoy.service.runtime.v3.Runtime");
        add_text(t, map, "name", "r");
        add_values(t, cJSON_AddObjectToObject(map, "layer"), part);
    }
}

char *xds_text_json(const model_part_t *part, rng_t *rng) {
    out_t t = {rng, rng_one_in(rng, 2)};
    form_e form = rng_below(rng, FORM_COUNT);
    cJSON *root =
        form == FORM_LIST ? cJSON_CreateArray() : cJSON_CreateObject();
    cJSON *list = root;

    if (form != FORM_LIST) {
        add_text(&t, root, "nonce", "n");
        list = list_in(&t, root, "resources");
    }
    add_resources(&t, list, part, form);
    char *text =
        one_in(&t, 2) ? cJSON_Print(root) : cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}
