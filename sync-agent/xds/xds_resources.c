/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which resources a tree holds, and how they come to one part.
 */

#include "xds_resources.h"
#include "xds.h"

#include <stdio.h>

#define DEPTH_MAX 4 /* lists of responses in lists */

/* --- what was taken ------------------------------------------------------ */

void *xds_grow(arena_t *arena, void *v, uint32_t count, size_t size) {
    /* Full when count is a power of two. */
    if (count != 0 && (count & (count - 1)) != 0) {
        return v;
    }

    void *more = arena_alloc(arena, size * (count != 0 ? 2 * count : 1));

    if (count != 0) {
        memcpy(more, v, size * count);
    }

    return more;
}

#define GROW(x, list, n)                                                       \
    ((list) = xds_grow((x)->d.arena, list, n, sizeof(*(list))))

static bool take_cluster(xds_decoder_t *x, const model_node_t *node,
                         xds_t *xds) {
    xds_cluster_t cluster;

    memset(&cluster, 0, sizeof(cluster));

    if (!xds_decode_cluster(x, node, NULL, &cluster)) {
        return false;
    }

    GROW(x, xds->clusters, xds->nclusters);
    xds->clusters[xds->nclusters++] = cluster;
    return true;
}

static bool take_assignment(xds_decoder_t *x, const model_node_t *node,
                            xds_t *xds) {
    xds_set_t set = {.nweights = 0};

    if (!xds_decode_assignment(x, node, NULL, &set)) {
        return false;
    }

    if (!model_check_name(&x->d, node, set.set.name, false)) {
        return false;
    }

    if (model_set_is_named(&set.set)) {
        return model_wrong_found(&x->d, node, "a name among EDS endpoints",
                                 "addresses");
    }

    set.copied = x->copied;
    GROW(x, xds->sets, xds->nsets);
    xds->sets[xds->nsets++] = set;
    return true;
}

void xds_tables_add(xds_t *xds, const xds_table_t *table) {
    GROW(&xds->x, xds->tables, xds->ntables);
    xds->tables[xds->ntables++] = *table;
}

static bool take_routes(xds_decoder_t *x, const model_node_t *node,
                        xds_t *xds) {
    xds_table_t table;

    memset(&table, 0, sizeof(table));

    if (!xds_decode_table(x, node, NULL, &table)) {
        return false;
    }

    table.copied = x->copied;
    xds_tables_add(xds, &table);
    return true;
}

static bool take_listener(xds_decoder_t *x, const model_node_t *node,
                          xds_t *xds) {
    xds_listener_t listener;

    memset(&listener, 0, sizeof(listener));

    if (!xds_decode_listener(x, node, NULL, &listener)) {
        return false;
    }

    GROW(x, xds->listeners, xds->nlisteners);
    xds->listeners[xds->nlisteners++] = listener;
    return true;
}

static bool take_runtime(xds_decoder_t *x, const model_node_t *node,
                         xds_t *xds) {
    return xds_decode_any(x, node, &xds_runtime, xds);
}

static const struct {
    const char *name;
    const xds_message_t *message;
    const char *key; /* the field of its name */
    bool (*take)(xds_decoder_t *x, const model_node_t *node, xds_t *xds);
} kinds[] = {
    [XDS_CLUSTERS] = {"cluster", &xds_cluster, "name", take_cluster},
    [XDS_ASSIGNMENTS] = {"endpoint assignment", &xds_load_assignment,
                         "cluster_name", take_assignment},
    [XDS_ROUTES] = {"route configuration", &xds_route_configuration, "name",
                    take_routes},
    [XDS_LISTENERS] = {"listener", &xds_listener, "name", take_listener},
    [XDS_RUNTIMES] = {"runtime", &xds_runtime, "name", take_runtime},
};

const char *xds_kind_name(xds_kind_e kind) {
    return kinds[kind].name;
}

static bool take(xds_decoder_t *x, const model_node_t *node, xds_kind_e kind) {
    xds_t *xds = (xds_t *)x;
    const model_node_t *name = xds_child(node, kinds[kind].key);

    x->resource++;
    x->base = x->d.depth;
    x->d.resource = kinds[kind].name;
    x->d.resource_name = name != NULL && name->kind == MODEL_NODE_SCALAR
                             ? name->text
                             : MESH_STR("");

    bool ok = kinds[kind].take(x, node, xds);

    x->d.resource = NULL;
    xds->counts[kind].taken += ok;
    xds->counts[kind].refused += !ok;
    return ok;
}

/* --- one resource -------------------------------------------------------- */

static xds_kind_e kind_of_type(mesh_str_t type) {
    xds_kind_e kind = 0;

    while (kind < XDS_KINDS &&
           !mesh_str_eq(type, mesh_str_from(kinds[kind].message->name))) {
        kind++;
    }

    return kind;
}

/* Fields that no other of the messages has. */
static const struct {
    const char *field;
    xds_kind_e kind;
} signs[] = {
    {"virtual_hosts", XDS_ROUTES},
    {"filter_chains", XDS_LISTENERS},
    {"default_filter_chain", XDS_LISTENERS},
    {"api_listener", XDS_LISTENERS},
    {"cluster_name", XDS_ASSIGNMENTS},
    {"connect_timeout", XDS_CLUSTERS},
    {"load_assignment", XDS_CLUSTERS},
    {"eds_cluster_config", XDS_CLUSTERS},
    {"lb_policy", XDS_CLUSTERS},
    {"load_balancing_policy", XDS_CLUSTERS},
    {"layer", XDS_RUNTIMES},
};

static xds_kind_e kind_of(const model_node_t *node) {
    mesh_str_t type = xds_type(node);

    if (type.len != 0) {
        return kind_of_type(type);
    }

    for (size_t i = 0; i < mesh_nelts(signs); i++) {
        if (xds_child(node, signs[i].field) != NULL) {
            return signs[i].kind;
        }
    }

    return XDS_KINDS;
}

/* Of a kind that the place tells, or that it says itself. */
static bool decode_any_resource(xds_decoder_t *x, const model_node_t *node,
                                const xds_field_t *field, void *out) {
    xds_kind_e kind = kind_of(node);
    char found[160];

    (void)field;
    (void)out;

    if (kind != XDS_KINDS) {
        return take(x, node, kind);
    }

    mesh_str_t type = xds_type(node);

    if (type.len == 0) {
        return model_wrong(&x->d, node, "a resource with its \"@type\"");
    }

    snprintf(found, sizeof(found), "a resource of type %.*s",
             (int)mesh_min(type.len, (size_t)100), type.data);
    return xds_later(x, node, XDS_LATER_SEEN, xds_key(type), found);
}

#define TAKE(function, kind)                                                   \
    static bool function(xds_decoder_t *x, const model_node_t *node,           \
                         const xds_field_t *field, void *out) {                \
        (void)field;                                                           \
        (void)out;                                                             \
        return take(x, node, kind);                                            \
    }

TAKE(decode_cluster, XDS_CLUSTERS)
TAKE(decode_listener, XDS_LISTENERS)

#define ELEMENT(name, function)                                                \
    static const xds_field_t name = {.type = XDS_CUSTOM, .decode = (function)}

ELEMENT(cluster_element, decode_cluster);
ELEMENT(listener_element, decode_listener);

#define PASSED(text)                                                           \
    {                                                                          \
        .name = (text), .type = XDS_IGNORED,                                   \
        .because = "it says nothing of the mesh"                               \
    }

/* --- discovery responses ------------------------------------------------- */

static const xds_field_t delta_fields[] = {
    {.name = "resource", .type = XDS_CUSTOM, .decode = decode_any_resource},
    PASSED("name"),
    PASSED("resource_name"),
    PASSED("aliases"),
    PASSED("version"),
    PASSED("ttl"),
    PASSED("cache_control"),
    PASSED("metadata"),
};

static const xds_message_t delta_resource = {
    .name = "envoy.service.discovery.v3.Resource",
    XDS_FIELDS(delta_fields),
};

/* A resource, or one in the envelope of a delta response. */
static bool decode_resource(xds_decoder_t *x, const model_node_t *node,
                            const xds_field_t *field, void *out) {
    bool envelope =
        xds_child(node, "resource") != NULL &&
        (xds_type(node).len == 0 ||
         mesh_str_eq(xds_type(node), mesh_str_from(delta_resource.name)));

    return envelope ? xds_decode_any(x, node, &delta_resource, out)
                    : decode_any_resource(x, node, field, out);
}

static const xds_field_t resource_element = {
    .type = XDS_CUSTOM,
    .message = &delta_resource,
    .decode = decode_resource,
};

static const xds_field_t response_fields[] = {
    {.name = "resources", .type = XDS_LIST, .element = &resource_element},
    PASSED("version_info"),
    PASSED("system_version_info"),
    PASSED("canary"),
    PASSED("type_url"),
    PASSED("nonce"),
    PASSED("control_plane"),
    PASSED("resource_errors"),
    PASSED("removed_resources"),
    PASSED("removed_resource_names"),
};

/* Of both protocols: DeltaDiscoveryResponse has other names for some. */
const xds_message_t xds_response = {
    .name = "envoy.service.discovery.v3.DiscoveryResponse",
    XDS_FIELDS(response_fields),
};

/* --- a bootstrap --------------------------------------------------------- */

static const xds_field_t static_fields[] = {
    {.name = "clusters", .type = XDS_LIST, .element = &cluster_element},
    {.name = "listeners", .type = XDS_LIST, .element = &listener_element},
    {.name = "secrets", .type = XDS_LATER_SEEN},
};

static const xds_message_t static_resources = {
    .name = "envoy.config.bootstrap.v3.Bootstrap.StaticResources",
    XDS_FIELDS(static_fields),
};

/* Of a message that is passed over: one field, and where it goes. */
static bool decode_inner(xds_decoder_t *x, const model_node_t *node,
                         const xds_field_t *inner, void *out) {
    bool ok = true;

    if (!xds_is(x, node, MODEL_NODE_MAP)) {
        return false;
    }

    const model_node_t *child = xds_child(node, inner->name);

    if (child != NULL) {
        model_push_field(&x->d, inner->name);
        ok = xds_decode_field(x, child, inner, out);
        model_pop(&x->d);
    }

    return ok;
}

static bool decode_node(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    static const xds_field_t locality = {
        .name = "locality", .type = XDS_MESSAGE, .message = &xds_locality};

    (void)field;
    (void)out;
    return decode_inner(x, node, &locality, &((xds_t *)x)->node);
}

static bool decode_manager(xds_decoder_t *x, const model_node_t *node,
                           const xds_field_t *field, void *out) {
    static const xds_field_t local = {.name = "local_cluster_name",
                                      .type = XDS_CUSTOM,
                                      .flags = XDS_NO_PRESENCE,
                                      .decode = xds_decode_cluster_name};

    (void)field;
    (void)out;
    return decode_inner(x, node, &local, &((xds_t *)x)->local_cluster);
}

static const xds_field_t bootstrap_fields[] = {
    {.name = "static_resources",
     .type = XDS_MESSAGE,
     .message = &static_resources},
    {.name = "node", .type = XDS_CUSTOM, .decode = decode_node},
    PASSED("node_context_params"),
    PASSED("dynamic_resources"),
    {.name = "cluster_manager", .type = XDS_CUSTOM, .decode = decode_manager},
    PASSED("hds_config"),
    PASSED("flags_path"),
    PASSED("stats_sinks"),
    PASSED("deferred_stat_options"),
    PASSED("stats_config"),
    PASSED("stats_flush_interval"),
    PASSED("stats_flush_on_admin"),
    PASSED("stats_eviction_interval"),
    PASSED("watchdog"),
    PASSED("watchdogs"),
    PASSED("tracing"),
    {.name = "layered_runtime",
     .type = XDS_MESSAGE,
     .message = &xds_layered_runtime},
    PASSED("admin"),
    PASSED("overload_manager"),
    PASSED("enable_dispatcher_stats"),
    PASSED("header_prefix"),
    PASSED("stats_server_version_override"),
    PASSED("use_tcp_for_dns_lookups"),
    PASSED("dns_resolution_config"),
    PASSED("typed_dns_resolver_config"),
    PASSED("bootstrap_extensions"),
    PASSED("fatal_actions"),
    PASSED("config_sources"),
    PASSED("default_config_source"),
    PASSED("default_socket_interface"),
    PASSED("certificate_provider_instances"),
    PASSED("inline_headers"),
    PASSED("perf_tracing_file_path"),
    PASSED("default_regex_engine"),
    PASSED("xds_delegate_extension"),
    PASSED("xds_config_tracker_extension"),
    PASSED("listener_manager"),
    PASSED("application_log_config"),
    PASSED("grpc_async_client_manager_config"),
    PASSED("memory_allocator_manager"),
    PASSED("enable_worker_cpu_affinity"),
};

const xds_message_t xds_bootstrap = {
    .name = "envoy.config.bootstrap.v3.Bootstrap",
    XDS_FIELDS(bootstrap_fields),
};

/* --- what /config_dump prints -------------------------------------------- */

/* What is static is so because a listener or a cluster has it in itself. */
static bool decode_copy(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    x->copied = true;

    bool ok = decode_any_resource(x, node, field, out);

    x->copied = false;
    return ok;
}

#define HOLDER(table, text, function)                                          \
    static const xds_field_t table##_fields[] = {                              \
        {.name = (text), .type = XDS_CUSTOM, .decode = (function)},            \
        PASSED("version_info"),                                                \
        PASSED("last_updated"),                                                \
        PASSED("error_state"),                                                 \
        PASSED("client_status"),                                               \
    };                                                                         \
    static const xds_message_t table##_message = {                             \
        .name = "envoy.admin.v3." #table,                                      \
        XDS_FIELDS(table##_fields),                                            \
    };                                                                         \
    static const xds_field_t table = {.type = XDS_MESSAGE,                     \
                                      .message = &table##_message}

HOLDER(HeldCluster, "cluster", decode_any_resource);
HOLDER(HeldRoutes, "route_config", decode_any_resource);
HOLDER(HeldEndpoints, "endpoint_config", decode_any_resource);
HOLDER(CopiedRoutes, "route_config", decode_copy);
HOLDER(CopiedEndpoints, "endpoint_config", decode_copy);
HOLDER(HeldListener, "listener", decode_any_resource);

static const xds_field_t dynamic_listener_fields[] = {
    {.name = "active_state",
     .type = XDS_MESSAGE,
     .message = &HeldListener_message},
    PASSED("name"),
    PASSED("warming_state"),
    PASSED("draining_state"),
    PASSED("error_state"),
    PASSED("client_status"),
};

static const xds_message_t dynamic_listener_message = {
    .name = "envoy.admin.v3.ListenersConfigDump.DynamicListener",
    XDS_FIELDS(dynamic_listener_fields),
};

static const xds_field_t dynamic_listener = {
    .type = XDS_MESSAGE,
    .message = &dynamic_listener_message,
};

static const xds_field_t dump_fields[] = {
    {.name = "static_clusters", .type = XDS_LIST, .element = &HeldCluster},
    {.name = "dynamic_active_clusters",
     .type = XDS_LIST,
     .element = &HeldCluster},
    {.name = "static_route_configs",
     .type = XDS_LIST,
     .element = &CopiedRoutes},
    {.name = "dynamic_route_configs", .type = XDS_LIST, .element = &HeldRoutes},
    {.name = "static_endpoint_configs",
     .type = XDS_LIST,
     .element = &CopiedEndpoints},
    {.name = "dynamic_endpoint_configs",
     .type = XDS_LIST,
     .element = &HeldEndpoints},
    {.name = "static_listeners", .type = XDS_LIST, .element = &HeldListener},
    {.name = "dynamic_listeners",
     .type = XDS_LIST,
     .element = &dynamic_listener},
    PASSED("version_info"),
    PASSED("dynamic_warming_clusters"),
};

/* ClustersConfigDump, RoutesConfigDump and so on, whose fields differ. */
static const xds_message_t dump = {
    .name = "envoy.admin.v3.ConfigDump",
    XDS_FIELDS(dump_fields),
};

static bool ends_in(mesh_str_t type, const char *name) {
    size_t len = strlen(name);

    return type.len > len && memcmp(type.data + type.len - len, name, len) == 0;
}

/* Its resources are in the other dumps as well. */
static bool decode_dumped_bootstrap(xds_decoder_t *x, const model_node_t *node,
                                    const xds_field_t *field, void *out) {
    static const char *const rest[] = {"node", "cluster_manager",
                                       "layered_runtime"};
    bool ok = true;

    (void)field;
    (void)out;

    for (size_t i = 0; i < mesh_nelts(rest); i++) {
        const xds_field_t *row =
            xds_find_field(&xds_bootstrap, mesh_str_from(rest[i]));

        ok = decode_inner(x, node, row, x) && ok;
    }

    return ok;
}

HOLDER(HeldBootstrap, "bootstrap", decode_dumped_bootstrap);

static bool decode_dump(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    static const char *const known[] = {
        "ClustersConfigDump", "RoutesConfigDump", "EndpointsConfigDump",
        "ListenersConfigDump"};
    mesh_str_t type = xds_type(node);

    for (size_t i = 0; i < mesh_nelts(known); i++) {
        if (ends_in(type, known[i])) {
            x->dumped = true;

            bool ok = xds_decode_any(x, node, field->message, out);

            x->dumped = false;
            return ok;
        }
    }

    return !ends_in(type, "BootstrapConfigDump") ||
           xds_decode_any(x, node, HeldBootstrap.message, out);
}

static const xds_field_t dump_element = {
    .type = XDS_CUSTOM,
    .message = &dump,
    .decode = decode_dump,
};

static const xds_field_t configs_fields[] = {
    {.name = "configs", .type = XDS_LIST, .element = &dump_element},
};

static const xds_message_t configs = {
    .name = "envoy.admin.v3.ConfigDump",
    XDS_FIELDS(configs_fields),
};

/* --- a whole file -------------------------------------------------------- */

static const struct {
    const char *field;
    const xds_message_t *message;
} envelopes[] = {
    {"resources", &xds_response},
    {"static_resources", &xds_bootstrap},
    {"layered_runtime", &xds_bootstrap},
    {"configs", &configs},
};

static const xds_message_t *envelope_of(const model_node_t *node) {
    for (size_t i = 0; i < mesh_nelts(envelopes); i++) {
        if (xds_child(node, envelopes[i].field) != NULL) {
            return envelopes[i].message;
        }
    }

    return NULL;
}

bool xds_recognize(const model_node_t *root) {
    if (root->kind == MODEL_NODE_LIST) {
        return true;
    }

    return root->kind == MODEL_NODE_MAP &&
           (xds_child(root, "@type") != NULL || envelope_of(root) != NULL ||
            kind_of(root) != XDS_KINDS);
}

static void add(xds_decoder_t *x, const model_node_t *node, uint32_t depth) {
    const xds_message_t *envelope = envelope_of(node);
    uint32_t index = 0;

    if (node->kind == MODEL_NODE_LIST && depth < DEPTH_MAX) {
        for (const model_node_t *n = node->first; n != NULL; n = n->next) {
            model_push_index(&x->d, index++);
            add(x, n, depth + 1);
            model_pop(&x->d);
        }
    } else if (envelope != NULL) {
        (void)xds_decode_any(x, node, envelope, x);
    } else {
        (void)decode_resource(x, node, &resource_element, x);
    }
}

void xds_add(xds_t *xds, const char *file, const model_node_t *root) {
    xds->x.d.file = arena_strdup(xds->x.d.arena, file);
    add(&xds->x, root, 0);
}

xds_t *xds_new(arena_t *arena, model_errors_t *errors, bool apart) {
    xds_t *xds = arena_alloc(arena, sizeof(*xds));

    xds->x.d.arena = arena;
    xds->x.d.errors = errors;
    xds->x.apart = apart;
    return xds;
}

const xds_count_t *xds_counts(const xds_t *xds) {
    return xds->counts;
}

const xds_missing_t *xds_missing(const xds_t *xds, uint32_t *count) {
    *count = xds->x.nmissing;
    return xds->x.missing;
}
