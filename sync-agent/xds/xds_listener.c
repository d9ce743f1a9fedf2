/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Listener: only what its HTTP connection managers say of route tables, and
 * of the paths that they match.  Where nginx listens, nginx.conf says;
 * addresses are kept for `meshctl listeners`.
 */

#include "xds_resources.h"

#define HTTP_MAX 256 /* connection managers of a listener */

#define HTTP(member) offsetof(xds_http_t, member)

/* --- http filters -------------------------------------------------------- */

/* Filters that do nothing unless a route asks for it. */
static const char *const idle_filters[] = {
    "envoy.extensions.filters.http.router.v3.Router",
    "envoy.extensions.filters.http.cors.v3.Cors",
    "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
};

static bool is_idle(const model_node_t *any, mesh_str_t type) {
    if (mesh_str_eq(type, MESH_STR("envoy.extensions.filters.http.fault.v3."
                                   "HTTPFault"))) {
        return any->count == 1;
    }

    for (size_t i = 0; i < mesh_nelts(idle_filters); i++) {
        if (mesh_str_eq(type, mesh_str_from(idle_filters[i]))) {
            return true;
        }
    }

    return false;
}

static bool take_filter(xds_decoder_t *x, const model_node_t *any, bool session,
                        xds_http_t *http) {
    const model_node_t *outer = x->typed;
    bool ok;

    model_push_field(&x->d, "typed_config");
    x->typed = any;
    ok = session ? xds_decode_session(x, any, NULL, &http->session)
                 : xds_decode_message(x, any, &xds_buffer, &http->body_limit);
    x->typed = outer;
    model_pop(&x->d);
    return ok;
}

typedef struct {
    const model_node_t *any;
    bool disabled;
} filter_form_t;

#define CONFIG_ONE "both typed_config and config_discovery"

static const xds_field_t http_filter_fields[] = {
    XDS_EXTENSION_NAME,
    {.name = "typed_config",
     .type = XDS_CUSTOM,
     .oneof = CONFIG_ONE,
     .offset = offsetof(filter_form_t, any),
     .message = &xds_stateful_session,
     .decode = xds_keep_node},
    {.name = "config_discovery", .type = XDS_LATER_APART, .oneof = CONFIG_ONE},
    {.name = "disabled",
     .type = XDS_BOOL,
     .offset = offsetof(filter_form_t, disabled)},
    {.name = "is_optional",
     .type = XDS_IGNORED,
     .because = "what is not built is told, optional or not"},
};

static const xds_message_t http_filter = {
    .name = "envoy.extensions.filters.network.http_connection_manager.v3."
            "HttpFilter",
    XDS_FIELDS(http_filter_fields),
};

/* A disabled one is for routes that have settings of their own for it. */
static bool decode_filter(xds_decoder_t *x, const model_node_t *node,
                          const xds_field_t *field, void *out) {
    filter_form_t form = {.any = NULL};

    if (!xds_decode_message(x, node, field->message, &form)) {
        return false;
    }

    mesh_str_t type = xds_type(form.any);
    bool session = mesh_str_eq(type, mesh_str_from(xds_stateful_session.name));

    if (form.disabled || is_idle(form.any, type) ||
        xds_child(node, "config_discovery") != NULL) {
        return true;
    }

    if (!session && !mesh_str_eq(type, mesh_str_from(xds_buffer.name))) {
        return xds_type_later(x, form.any != NULL ? form.any : node,
                              "an http filter of type");
    }

    return take_filter(x, form.any, session, out);
}

static const xds_field_t http_filter_element = {
    .type = XDS_CUSTOM,
    .message = &http_filter,
    .decode = decode_filter,
};

/* --- the connection manager ---------------------------------------------- */

typedef struct {
    xds_http_t http;
    bool normalize;
    bool merge;
    uint32_t slashes;
    bool has_table;
} manager_form_t;

#define FORM(member) offsetof(manager_form_t, member)

static const xds_value_t slash_actions[] = {
    {"IMPLEMENTATION_SPECIFIC_DEFAULT", 0, MESH_SLASHES_KEEP},
    {"KEEP_UNCHANGED", 1, MESH_SLASHES_KEEP},
    {"REJECT_REQUEST", 2, MESH_SLASHES_REJECT},
    {"UNESCAPE_AND_REDIRECT", 3, MESH_SLASHES_REDIRECT},
    {"UNESCAPE_AND_FORWARD", 4, MESH_SLASHES_UNESCAPE},
    {NULL, 0, 0},
};

static const xds_field_t rds_fields[] = {
    {.name = "route_config_name",
     .type = XDS_STRING,
     .flags = XDS_REQUIRED,
     .offset = HTTP(table),
     .min = 1,
     .max = MESH_NAME_MAX},
    {.name = "config_source",
     .type = XDS_IGNORED,
     .because = "tables are found by name, whatever source they come from"},
};

static const xds_message_t rds = {
    .name = "envoy.extensions.filters.network.http_connection_manager.v3.Rds",
    XDS_FIELDS(rds_fields),
};

static bool decode_inlined(xds_decoder_t *x, const model_node_t *node,
                           const xds_field_t *field, void *out) {
    manager_form_t *form = out;

    form->has_table = true;
    return xds_decode_table(x, node, field, &form->http.inlined);
}

#define ROUTES_ONE "more than one source of routes"

#define SEEN(text)                                                             \
    { .name = (text), .type = XDS_LATER_SEEN }

#define APART(text)                                                            \
    { .name = (text), .type = XDS_LATER_APART }

static const xds_field_t manager_fields[] = {
    {.name = "rds", .type = XDS_MESSAGE, .oneof = ROUTES_ONE, .message = &rds},
    {.name = "route_config",
     .type = XDS_CUSTOM,
     .oneof = ROUTES_ONE,
     .message = &xds_route_configuration,
     .decode = decode_inlined},
    {.name = "http_filters",
     .type = XDS_LIST,
     .offset = FORM(http),
     .element = &http_filter_element},
    {.name = "normalize_path", .type = XDS_BOOL, .offset = FORM(normalize)},
    {.name = "merge_slashes", .type = XDS_BOOL, .offset = FORM(merge)},
    {.name = "path_with_escaped_slashes_action",
     .type = XDS_ENUM,
     .offset = FORM(slashes),
     .values = slash_actions},
    {.name = "stream_idle_timeout",
     .type = XDS_CUSTOM,
     .offset = HTTP(idle_timeout_ms),
     .decode = xds_decode_idle},
    {.name = "scoped_routes", .type = XDS_LATER, .oneof = ROUTES_ONE},
    {.name = "strip_any_host_port", .type = XDS_LATER},
    {.name = "strip_matching_host_port", .type = XDS_LATER},
    {.name = "strip_trailing_host_dot", .type = XDS_LATER},
    {.name = "path_normalization_options", .type = XDS_LATER},
    {.name = "early_header_mutation_extensions", .type = XDS_LATER},
    {.name = "original_ip_detection_extensions", .type = XDS_LATER},
    {.name = "stat_prefix",
     .type = XDS_IGNORED,
     .because = "metrics are named by listener, route and cluster"},
    APART("local_reply_config"),
    APART("typed_header_validation_config"),
    APART("forward_client_cert_details"),
    APART("set_current_client_cert_details"),
    APART("forward_client_cert_matcher"),
    SEEN("codec_type"),
    SEEN("add_user_agent"),
    SEEN("tracing"),
    SEEN("common_http_protocol_options"),
    SEEN("http1_safe_max_connection_duration"),
    SEEN("http_protocol_options"),
    SEEN("http2_protocol_options"),
    SEEN("http3_protocol_options"),
    SEEN("server_name"),
    SEEN("server_header_transformation"),
    SEEN("scheme_header_transformation"),
    SEEN("max_request_headers_kb"),
    SEEN("stream_flush_timeout"),
    SEEN("request_timeout"),
    SEEN("request_headers_timeout"),
    SEEN("drain_timeout"),
    SEEN("drain_timeout_jitter"),
    SEEN("delayed_close_timeout"),
    SEEN("access_log"),
    SEEN("access_log_flush_interval"),
    SEEN("flush_access_log_on_new_request"),
    SEEN("access_log_options"),
    SEEN("use_remote_address"),
    SEEN("xff_num_trusted_hops"),
    SEEN("internal_address_config"),
    SEEN("skip_xff_append"),
    SEEN("via"),
    SEEN("generate_request_id"),
    SEEN("preserve_external_request_id"),
    SEEN("always_set_request_id_in_response"),
    SEEN("proxy_100_continue"),
    SEEN("represent_ipv4_remote_address_as_ipv4_mapped_ipv6"),
    SEEN("upgrade_configs"),
    SEEN("request_id_extension"),
    SEEN("stream_error_on_invalid_http_message"),
    SEEN("proxy_status_config"),
    SEEN("append_x_forwarded_port"),
    SEEN("append_local_overload"),
    SEEN("add_proxy_protocol_connection_state"),
    SEEN("forward_proto_config"),
    SEEN("record_route_resolution_stats"),
};

static bool finish_manager(xds_decoder_t *x, const model_node_t *node,
                           uint64_t seen, void *out) {
    manager_form_t *form = out;
    xds_http_t *http = &form->http;

    (void)seen;
    http->place = model_place(&x->d, node);
    http->flags = form->slashes << MESH_SLASHES_SHIFT;
    http->flags |= form->normalize ? MESH_NORMALIZE_RFC3986 : 0;
    http->flags |= form->merge ? MESH_MERGE_SLASHES : 0;

    return http->table.len != 0 || form->has_table ||
           model_wrong_found(&x->d, node, "no routes",
                             "one of rds, route_config");
}

static const xds_message_t manager = {
    .name = "envoy.extensions.filters.network.http_connection_manager.v3."
            "HttpConnectionManager",
    XDS_FIELDS(manager_fields),
    .finish = finish_manager,
};

/* --- filter chains ------------------------------------------------------- */

/* Only connection managers are looked into. */
static bool decode_any(xds_decoder_t *x, const model_node_t *node,
                       const xds_field_t *field, void *out) {
    xds_listener_t *listener = out;
    manager_form_t form;

    if (!mesh_str_eq(xds_type(node), mesh_str_from(field->message->name))) {
        return xds_later(x, node, XDS_LATER_SEEN, field,
                         "a network filter other than HttpConnectionManager");
    }

    memset(&form, 0, sizeof(form));

    if (!xds_decode_any(x, node, field->message, &form)) {
        return false;
    }

    if (listener->count == HTTP_MAX) {
        return model_wrong_found(&x->d, node, "more than 256 of them",
                                 "at most 256 connection managers");
    }

    listener->v = xds_grow(x->d.arena, listener->v, listener->count,
                           sizeof(*listener->v));
    listener->v[listener->count++] = form.http;
    return true;
}

static const xds_field_t filter_fields[] = {
    XDS_EXTENSION_NAME,
    {.name = "typed_config",
     .type = XDS_CUSTOM,
     .message = &manager,
     .decode = decode_any},
    {.name = "config_discovery", .type = XDS_LATER},
};

static const xds_message_t filter = {
    .name = "envoy.config.listener.v3.Filter",
    XDS_FIELDS(filter_fields),
};

static const xds_field_t filter_element = {
    .type = XDS_MESSAGE,
    .message = &filter,
};

static const xds_field_t chain_fields[] = {
    {.name = "filters", .type = XDS_LIST, .element = &filter_element},
    SEEN("filter_chain_match"),
    SEEN("use_proxy_proto"),
    SEEN("metadata"),
    SEEN("transport_socket"),
    SEEN("transport_socket_connect_timeout"),
    SEEN("name"),
};

static const xds_message_t filter_chain = {
    .name = "envoy.config.listener.v3.FilterChain",
    XDS_FIELDS(chain_fields),
};

static const xds_field_t chain_element = {
    .type = XDS_MESSAGE,
    .message = &filter_chain,
};

/* --- the listener -------------------------------------------------------- */

static const xds_field_t api_fields[] = {
    {.name = "api_listener",
     .type = XDS_CUSTOM,
     .message = &manager,
     .decode = decode_any},
};

static const xds_message_t api_listener = {
    .name = "envoy.config.listener.v3.ApiListener",
    XDS_FIELDS(api_fields),
};

static const xds_field_t listener_fields[] = {
    {.name = "name",
     .type = XDS_STRING,
     .offset = offsetof(xds_listener_t, name),
     .max = MESH_NAME_MAX},
    {.name = "filter_chains", .type = XDS_LIST, .element = &chain_element},
    {.name = "default_filter_chain",
     .type = XDS_MESSAGE,
     .message = &filter_chain},
    {.name = "api_listener", .type = XDS_MESSAGE, .message = &api_listener},
    {.name = "max_connections_to_accept_per_socket_event",
     .type = XDS_IGNORED,
     .because = "how many connections a worker accepts at once is nginx's "
                "multi_accept"},
    SEEN("address"),
    SEEN("additional_addresses"),
    SEEN("stat_prefix"),
    SEEN("stats_matcher"),
    SEEN("filter_chain_matcher"),
    SEEN("use_original_dst"),
    SEEN("per_connection_buffer_limit_bytes"),
    SEEN("per_connection_buffer_high_watermark_timeout"),
    SEEN("metadata"),
    SEEN("deprecated_v1"),
    SEEN("drain_type"),
    SEEN("listener_filters"),
    SEEN("listener_filters_timeout"),
    SEEN("continue_on_listener_filters_timeout"),
    SEEN("transparent"),
    SEEN("freebind"),
    SEEN("socket_options"),
    SEEN("tcp_fast_open_queue_length"),
    SEEN("traffic_direction"),
    SEEN("udp_listener_config"),
    SEEN("connection_balance_config"),
    SEEN("reuse_port"),
    SEEN("enable_reuse_port"),
    SEEN("access_log"),
    SEEN("tcp_backlog_size"),
    SEEN("bind_to_port"),
    SEEN("internal_listener"),
    SEEN("enable_mptcp"),
    SEEN("ignore_global_conn_limit"),
    SEEN("bypass_overload_manager"),
    SEEN("tcp_keepalive"),
    {.name = "fcds_config", .type = XDS_LATER},
};

const xds_message_t xds_listener = {
    .name = "envoy.config.listener.v3.Listener",
    XDS_FIELDS(listener_fields),
};

/* --- where it listens ---------------------------------------------------- */

static mesh_str_t text_of(const model_node_t *node) {
    if (node == NULL || node->kind != MODEL_NODE_SCALAR) {
        return MESH_STR("");
    }
    return node->text;
}

/* Empty: of a kind that has none. */
static mesh_str_t address_text(arena_t *arena, const model_node_t *address) {
    const model_node_t *socket = xds_child(address, "socket_address");
    mesh_str_t path = text_of(xds_child(xds_child(address, "pipe"), "path"));
    mesh_str_t host = text_of(xds_child(socket, "address"));
    mesh_str_t port = text_of(xds_child(socket, "port_value"));

    if (path.len != 0) {
        return mesh_str_from(
            arena_printf(arena, "unix:%.*s", (int)path.len, path.data));
    }

    if (host.len == 0) {
        return MESH_STR("");
    }

    if (port.len == 0) {
        port = text_of(xds_child(socket, "named_port"));
    }

    bool ipv6 = memchr(host.data, ':', host.len) != NULL;

    return mesh_str_from(arena_printf(
        arena, "%s%.*s%s:%.*s", ipv6 ? "[" : "", (int)host.len, host.data,
        ipv6 ? "]" : "", (int)port.len, port.len ? port.data : ""));
}

static void add_address(xds_decoder_t *x, const model_node_t *address,
                        xds_listener_t *listener) {
    mesh_str_t text = address_text(x->d.arena, address);

    if (text.len == 0) {
        return;
    }

    listener->addresses =
        xds_grow(x->d.arena, listener->addresses, listener->naddresses,
                 sizeof(*listener->addresses));
    listener->addresses[listener->naddresses++] = text;
}

bool xds_decode_listener(xds_decoder_t *x, const model_node_t *node,
                         const xds_field_t *field, void *out) {
    const model_node_t *more = xds_child(node, "additional_addresses");

    (void)field;

    if (!xds_decode_any(x, node, &xds_listener, out)) {
        return false;
    }

    add_address(x, xds_child(node, "address"), out);

    if (more != NULL && more->kind == MODEL_NODE_LIST) {
        for (const model_node_t *n = more->first; n != NULL; n = n->next) {
            add_address(x, xds_child(n, "address"), out);
        }
    }

    return true;
}

static bool has_table(const xds_listens_t *listens, mesh_str_t name) {
    for (uint32_t i = 0; i < listens->ntables; i++) {
        if (mesh_str_eq(listens->tables[i], name)) {
            return true;
        }
    }

    return false;
}

const xds_listens_t *xds_listens(const xds_t *xds, arena_t *arena,
                                 uint32_t *count) {
    xds_listens_t *v = arena_alloc(arena, sizeof(*v) * (xds->nlisteners + 1));

    for (uint32_t i = 0; i < xds->nlisteners; i++) {
        const xds_listener_t *listener = &xds->listeners[i];
        mesh_str_t *tables =
            arena_alloc(arena, sizeof(*tables) * (listener->count + 1));

        v[i] = (xds_listens_t){.name = listener->name,
                               .naddresses = listener->naddresses,
                               .addresses = listener->addresses,
                               .tables = tables};

        for (uint32_t k = 0; k < listener->count; k++) {
            mesh_str_t name = listener->v[k].table;

            if (!has_table(&v[i], name)) {
                tables[v[i].ntables++] = name;
            }
        }
    }

    *count = xds->nlisteners;
    return v;
}
