/* SPDX-License-Identifier: Apache-2.0 */

/*
 * RouteConfiguration: virtual hosts, routes, and what requests they take.
 */

#include "xds_route.h"
#include "model_decode_route.h"

#define ROUTE(member) offsetof(xds_route_form_t, route.member)
#define TIMEOUT_MS 15000 /* Envoy's */

/* --- match --------------------------------------------------------------- */

typedef struct {
    mesh_str_t path;
    bool case_sensitive;
    bool grpc;
    model_share_t share;
    model_matches_t headers;
    model_matches_t query;
    model_matches_t cookies;
} match_form_t;

#define MATCH(member) offsetof(match_form_t, member)

enum {
    MATCH_PREFIX,
    MATCH_PATH,
    MATCH_SEPARATED,
    MATCH_REGEX,
    MATCH_POLICY,
    MATCH_PATHS,
};

/* "" is a prefix of everything, as "/" is. */
static bool decode_prefix(xds_decoder_t *x, const model_node_t *node,
                          const xds_field_t *field, void *out) {
    static const model_field_t path = {.min = 0};

    (void)field;

    if (model_is_text(node) && node->text.len == 0) {
        memcpy(out, &MESH_STR("/"), sizeof(mesh_str_t));
        return true;
    }

    return model_decode_match_path(&x->d, node, &path, out);
}

static bool decode_path(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    static const model_field_t path = {.min = 0};

    (void)field;

    return model_decode_match_path(&x->d, node, &path, out);
}

static bool decode_separated(xds_decoder_t *x, const model_node_t *node,
                             const xds_field_t *field, void *out) {
    static const model_field_t path = {.min = 0};

    (void)field;

    return model_decode_separated(&x->d, node, &path, out);
}

/* GrpcRouteMatchOptions has no fields. */
static bool decode_grpc(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    static const xds_message_t options = {
        .name = "envoy.config.route.v3.RouteMatch.GrpcRouteMatchOptions"};
    bool grpc = true;

    (void)field;
    memcpy(out, &grpc, sizeof(grpc));

    return xds_decode_message(x, node, &options, out);
}

#define PATH_ONE "more than one path"

static const xds_field_t match_fields[] = {
    [MATCH_PREFIX] = {.name = "prefix",
                      .type = XDS_CUSTOM,
                      .oneof = PATH_ONE,
                      .offset = MATCH(path),
                      .decode = decode_prefix},
    [MATCH_PATH] = {.name = "path",
                    .type = XDS_CUSTOM,
                    .oneof = PATH_ONE,
                    .offset = MATCH(path),
                    .decode = decode_path},
    [MATCH_SEPARATED] = {.name = "path_separated_prefix",
                         .type = XDS_CUSTOM,
                         .oneof = PATH_ONE,
                         .offset = MATCH(path),
                         .decode = decode_separated},
    [MATCH_REGEX] = {.name = "safe_regex",
                     .type = XDS_MESSAGE,
                     .oneof = PATH_ONE,
                     .offset = MATCH(path),
                     .message = &xds_regex_matcher},
    [MATCH_POLICY] = {.name = "path_match_policy",
                      .type = XDS_MESSAGE,
                      .oneof = PATH_ONE,
                      .offset = MATCH(path),
                      .message = &xds_path_match_policy},
    {.name = "case_sensitive",
     .type = XDS_BOOL,
     .offset = MATCH(case_sensitive),
     .fallback = 1},
    {.name = "runtime_fraction",
     .type = XDS_MESSAGE,
     .offset = MATCH(share),
     .message = &xds_runtime_fraction},
    {.name = "headers",
     .type = XDS_CUSTOM,
     .offset = MATCH(headers),
     .message = &xds_header_matcher,
     .decode = xds_decode_matches},
    {.name = "query_parameters",
     .type = XDS_CUSTOM,
     .offset = MATCH(query),
     .message = &xds_query_matcher,
     .decode = xds_decode_matches},
    {.name = "cookies",
     .type = XDS_CUSTOM,
     .offset = MATCH(cookies),
     .message = &xds_cookie_matcher,
     .decode = xds_decode_matches},
    {.name = "grpc",
     .type = XDS_CUSTOM,
     .offset = MATCH(grpc),
     .decode = decode_grpc},
    {.name = "connect_matcher", .type = XDS_LATER, .oneof = PATH_ONE},
    {.name = "tls_context", .type = XDS_LATER},
    {.name = "dynamic_metadata", .type = XDS_LATER},
    {.name = "filter_state", .type = XDS_LATER},
};

/* Of a pattern and a template, case_sensitive says nothing. */
static bool finish_match(xds_decoder_t *x, const model_node_t *node,
                         uint64_t seen, void *out) {
    match_form_t *form = out;

    if ((seen & ((1 << MATCH_PATHS) - 1)) == 0) {
        return model_wrong_found(&x->d, node, "no path",
                                 "one of prefix, path, path_separated_prefix, "
                                 "safe_regex, path_match_policy");
    }

    if (seen & (1 << MATCH_REGEX | 1 << MATCH_POLICY)) {
        form->case_sensitive = true;
    }

    return form->case_sensitive || model_fold(&x->d, node, &form->path);
}

static const xds_message_t route_match = {
    .name = "envoy.config.route.v3.RouteMatch",
    XDS_FIELDS(match_fields),
    .finish = finish_match,
};

static mesh_path_match_e path_match(const model_node_t *node) {
    static const struct {
        const char *name;
        mesh_path_match_e match;
    } forms[] = {{"path", MESH_PATH_EXACT},
                 {"path_separated_prefix", MESH_PATH_SEPARATED},
                 {"safe_regex", MESH_PATH_REGEX},
                 {"path_match_policy", MESH_PATH_TEMPLATE}};

    for (size_t i = 0; i < mesh_nelts(forms); i++) {
        if (xds_child(node, forms[i].name) != NULL) {
            return forms[i].match;
        }
    }

    return MESH_PATH_PREFIX;
}

static bool decode_match(xds_decoder_t *x, const model_node_t *node,
                         const xds_field_t *field, void *out) {
    model_route_t *route = &((xds_route_form_t *)out)->route;
    match_form_t form = {.grpc = false};

    if (!xds_decode_message(x, node, field->message, &form)) {
        return false;
    }

    const model_matches_t *parts[] = {&form.headers, &form.query,
                                      &form.cookies};
    uint32_t total = form.headers.count + form.query.count + form.cookies.count;

    route->path = form.path;
    route->path_match = path_match(node);
    route->ignore_case = !form.case_sensitive;
    route->grpc = form.grpc;
    route->share = form.share;
    route->matches = arena_alloc(x->d.arena, sizeof(*route->matches) * total);

    for (size_t i = 0; i < mesh_nelts(parts); i++) {
        for (uint32_t j = 0; j < parts[i]->count; j++) {
            route->matches[route->nmatches++] = parts[i]->v[j];
        }
    }

    return true;
}

/* --- the route ----------------------------------------------------------- */

#define ROUTE_NAME_MAX 320 /* of table, host and route, which make one name */

/* For people; others' control characters are not for our output. */
static bool decode_name(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    static const model_field_t text = {.max = ROUTE_NAME_MAX};

    (void)field;

    if (!model_decode_string(&x->d, node, &text, out)) {
        return false;
    }

    for (size_t i = 0; i < node->text.len; i++) {
        uint8_t c = (uint8_t)node->text.data[i];

        if (c < 0x20 || c == 0x7f) {
            return model_wrong(&x->d, node,
                               "a name without control characters");
        }
    }

    return true;
}

#define ACTION_ONE "more than one action"

enum { ROUTE_MATCH, ROUTE_ROUTE, ROUTE_REDIRECT, ROUTE_DIRECT };

static const xds_field_t route_fields[] = {
    [ROUTE_MATCH] = {.name = "match",
                     .type = XDS_CUSTOM,
                     .flags = XDS_REQUIRED,
                     .message = &route_match,
                     .decode = decode_match},
    [ROUTE_ROUTE] = {.name = "route",
                     .type = XDS_MESSAGE,
                     .oneof = ACTION_ONE,
                     .message = &xds_route_action},
    [ROUTE_REDIRECT] = {.name = "redirect",
                        .type = XDS_MESSAGE,
                        .oneof = ACTION_ONE,
                        .message = &xds_redirect_action},
    [ROUTE_DIRECT] = {.name = "direct_response",
                      .type = XDS_MESSAGE,
                      .oneof = ACTION_ONE,
                      .message = &xds_direct_response},
    {.name = "name",
     .type = XDS_CUSTOM,
     .offset = ROUTE(name),
     .decode = decode_name},
    XDS_OPS_FIELDS(xds_route_form_t),
    {.name = "typed_per_filter_config",
     .type = XDS_CUSTOM,
     .offset = offsetof(xds_route_form_t, filters),
     .decode = xds_decode_per_filter},
    {.name = "metadata",
     .type = XDS_IGNORED,
     .because = "it names the object that the route was made from"},
    {.name = "stat_prefix",
     .type = XDS_IGNORED,
     .because = "metrics carry the route's name"},
    {.name = "filter_action", .type = XDS_LATER, .oneof = ACTION_ONE},
    {.name = "non_forwarding_action", .type = XDS_LATER, .oneof = ACTION_ONE},
    {.name = "decorator", .type = XDS_LATER_SEEN},
    {.name = "tracing", .type = XDS_LATER_SEEN},
    {.name = "per_request_buffer_limit_bytes", .type = XDS_LATER_APART},
    {.name = "request_body_buffer_limit", .type = XDS_LATER_APART},
    {.name = "route_specifiers", .type = XDS_LATER},
};

static bool check_template(xds_decoder_t *x, const model_node_t *node,
                           const model_route_t *route) {
    const model_node_t *action = xds_child(node, "route");

    if (route->rewrite.path != MESH_REWRITE_TEMPLATE) {
        return true;
    }

    model_push_field(&x->d, "route");
    model_push_field(&x->d, "path_rewrite_policy");

    bool ok = model_check_template(
        &x->d, xds_child(action, "path_rewrite_policy"), route);

    model_pop(&x->d);
    model_pop(&x->d);
    return ok;
}

static bool finish_route(xds_decoder_t *x, const model_node_t *node,
                         uint64_t seen, void *out) {
    xds_route_form_t *form = out;
    model_route_t *route = &form->route;

    if ((seen >> ROUTE_ROUTE & 7) == 0) {
        return model_wrong_found(&x->d, node, "no action",
                                 "one of route, redirect, direct_response");
    }

    route->place = model_place(&x->d, node);
    route->request_ops = xds_join_ops(x->d.arena, &form->request_ops);
    route->response_ops = xds_join_ops(x->d.arena, &form->response_ops);
    route->timeout_ms = form->timeout_said ? route->timeout_ms : TIMEOUT_MS;
    return check_template(x, node, route);
}

static const xds_message_t route_message = {
    .name = "envoy.config.route.v3.Route",
    XDS_FIELDS(route_fields),
    .finish = finish_route,
};

static const xds_field_t route_element = {
    .type = XDS_MESSAGE,
    .message = &route_message,
};

/* --- the virtual host ---------------------------------------------------- */

typedef struct {
    mesh_str_t name;
    uint32_t ndomains;
    mesh_str_t *domains;
    uint32_t nroutes;
    xds_route_form_t *routes;
    xds_header_ops_t request_ops;
    xds_header_ops_t response_ops;
    model_retry_t retry; /* of routes that have none */
    xds_filters_t filters;
    model_mirrors_t mirrors;
    model_cors_t cors;
    uint32_t unused;
    model_place_t place;
} host_form_t;

#define HOST(member) offsetof(host_form_t, member)

static bool decode_domain(xds_decoder_t *x, const model_node_t *node,
                          const xds_field_t *field, void *out) {
    (void)field;

    return model_decode_domain(&x->d, node, NULL, out);
}

static const xds_field_t domain_element = {
    .type = XDS_CUSTOM,
    .decode = decode_domain,
};

static const xds_value_t tls_requirements[] = {
    {"NONE", 0, 0},
    {"EXTERNAL_ONLY", 1, XDS_VALUE_LATER},
    {"ALL", 2, XDS_VALUE_LATER},
    {NULL, 0, 0},
};

static const xds_field_t host_fields[] = {
    {.name = "name",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED | XDS_NO_PRESENCE,
     .offset = HOST(name),
     .decode = decode_name},
    {.name = "domains",
     .type = XDS_LIST,
     .flags = XDS_REQUIRED | XDS_NO_PRESENCE,
     .offset = HOST(domains),
     .count = HOST(ndomains),
     .size = sizeof(mesh_str_t),
     .element = &domain_element},
    {.name = "routes",
     .type = XDS_LIST,
     .offset = HOST(routes),
     .count = HOST(nroutes),
     .size = sizeof(xds_route_form_t),
     .element = &route_element},
    XDS_OPS_FIELDS(host_form_t),
    {.name = "retry_policy",
     .type = XDS_CUSTOM,
     .offset = HOST(retry),
     .message = &xds_retry_policy,
     .decode = xds_decode_retry},
    {.name = "typed_per_filter_config",
     .type = XDS_CUSTOM,
     .offset = HOST(filters),
     .decode = xds_decode_per_filter},
    {.name = "request_mirror_policies",
     .type = XDS_CUSTOM,
     .offset = HOST(mirrors),
     .message = &xds_mirror,
     .decode = xds_decode_mirrors},
    {.name = "cors",
     .type = XDS_MESSAGE,
     .offset = HOST(cors),
     .message = &xds_cors_old},
    {.name = "require_tls",
     .type = XDS_ENUM,
     .offset = HOST(unused),
     .values = tls_requirements},
    {.name = "metadata",
     .type = XDS_IGNORED,
     .because = "it names the object that the host was made from"},
    {.name = "virtual_clusters", .type = XDS_LATER_SEEN},
    {.name = "matcher", .type = XDS_LATER},
    {.name = "rate_limits", .type = XDS_LATER_APART},
    {.name = "include_request_attempt_count", .type = XDS_LATER_APART},
    {.name = "include_attempt_count_in_response", .type = XDS_LATER_APART},
    {.name = "retry_policy_typed_config", .type = XDS_LATER_APART},
    {.name = "hedge_policy", .type = XDS_LATER_APART},
    {.name = "include_is_timeout_retry_header", .type = XDS_LATER_APART},
    {.name = "per_request_buffer_limit_bytes", .type = XDS_LATER_APART},
    {.name = "request_body_buffer_limit", .type = XDS_LATER_APART},
    {.name = "route_specifiers", .type = XDS_LATER},
};

static bool finish_host(xds_decoder_t *x, const model_node_t *node,
                        uint64_t seen, void *out) {
    host_form_t *form = out;

    (void)seen;
    form->place = model_place(&x->d, node);
    return true;
}

static const xds_message_t virtual_host = {
    .name = "envoy.config.route.v3.VirtualHost",
    XDS_FIELDS(host_fields),
    .finish = finish_host,
};

/* --- the table ----------------------------------------------------------- */

typedef struct {
    xds_table_t out;
    bool ignore_port;
    xds_header_ops_t request_ops;
    xds_header_ops_t response_ops;
    xds_filters_t filters;
    model_mirrors_t mirrors;
    uint32_t nhosts;
    host_form_t *hosts;
} table_form_t;

#define TABLE(member) offsetof(table_form_t, member)

/* --- from what was written to the model ---------------------------------- */

/* What a route does not say to a filter, its host or its table may. */
static void take_filters(model_route_t *route, const xds_filters_t *own,
                         const xds_filters_t *host,
                         const xds_filters_t *table) {
    const xds_filters_t *levels[] = {own, host, table};
    const size_t last = mesh_nelts(levels) - 1;
    size_t session = 0;
    size_t body = 0;
    bool cors = false;

    while (session < last && !levels[session]->session_said) {
        session++;
    }

    while (body < last && !levels[body]->body_said) {
        body++;
    }

    route->session = levels[session]->session;
    route->body_limit = levels[body]->body_limit;

    for (size_t i = 0; i <= last; i++) {
        cors |= levels[i]->cors.set;
    }

    if (!cors) {
        return;
    }

    /* What is said to the filter outdoes the older fields. */
    route->cors = own->cors;

    for (size_t i = 1; i <= last; i++) {
        if (levels[i]->cors.set) {
            model_inherit_cors(&route->cors, &levels[i]->cors);
        }
    }
}

/* What a route does not say, its host or its table may. */
static model_route_t take_route(const xds_route_form_t *form,
                                const host_form_t *host,
                                const table_form_t *table) {
    model_route_t route = form->route;

    if (route.action != MESH_ACTION_ROUTE) {
        return route;
    }

    if (!form->retry_said) {
        route.retry = host->retry;
    }

    if (route.mirrors.count == 0) {
        route.mirrors =
            host->mirrors.count != 0 ? host->mirrors : table->mirrors;
    }

    if (host->cors.set) {
        model_inherit_cors(&route.cors, &host->cors);
    }

    take_filters(&route, &form->filters, &host->filters, &table->filters);
    return route;
}

static model_vhost_t take_host(xds_decoder_t *x, const host_form_t *form,
                               const table_form_t *table) {
    model_vhost_t host = {
        .place = form->place,
        .name = form->name,
        .ndomains = form->ndomains,
        .domains = form->domains,
        .nroutes = form->nroutes,
        .request_ops = xds_join_ops(x->d.arena, &form->request_ops),
        .response_ops = xds_join_ops(x->d.arena, &form->response_ops),
    };
    model_header_ops_t more;

    more = xds_join_ops(x->d.arena, &table->request_ops);
    xds_append_ops(x->d.arena, &host.request_ops, &more);
    more = xds_join_ops(x->d.arena, &table->response_ops);
    xds_append_ops(x->d.arena, &host.response_ops, &more);
    host.routes = arena_alloc(x->d.arena, sizeof(*host.routes) * form->nroutes);

    for (uint32_t i = 0; i < form->nroutes; i++) {
        host.routes[i] = take_route(&form->routes[i], form, table);
    }

    return host;
}

static const xds_field_t host_element = {
    .type = XDS_MESSAGE,
    .message = &virtual_host,
};

static const xds_field_t table_fields[] = {
    {.name = "name",
     .type = XDS_CUSTOM,
     .offset = TABLE(out.table.name),
     .decode = decode_name},
    {.name = "virtual_hosts",
     .type = XDS_LIST,
     .offset = TABLE(hosts),
     .count = TABLE(nhosts),
     .size = sizeof(host_form_t),
     .element = &host_element},
    XDS_OPS_FIELDS(table_form_t),
    {.name = "ignore_port_in_host_matching",
     .type = XDS_BOOL,
     .offset = TABLE(ignore_port)},
    {.name = "typed_per_filter_config",
     .type = XDS_CUSTOM,
     .offset = TABLE(filters),
     .decode = xds_decode_per_filter},
    {.name = "request_mirror_policies",
     .type = XDS_CUSTOM,
     .offset = TABLE(mirrors),
     .message = &xds_mirror,
     .decode = xds_decode_mirrors},
    {.name = "validate_clusters",
     .type = XDS_IGNORED,
     .because = "clusters that do not exist are found when all is checked"},
    {.name = "max_direct_response_body_size_bytes",
     .type = XDS_IGNORED,
     .because = "a body has a bound of its own, 65536 bytes"},
    {.name = "metadata",
     .type = XDS_IGNORED,
     .because = "it names the object that the table was made from"},
    {.name = "vhds", .type = XDS_LATER},
    {.name = "internal_only_headers", .type = XDS_LATER_APART},
    {.name = "most_specific_header_mutations_wins", .type = XDS_LATER_APART},
    {.name = "cluster_specifier_plugins", .type = XDS_LATER},
    {.name = "vhost_header", .type = XDS_LATER},
    {.name = "ignore_path_parameters_in_path_matching", .type = XDS_LATER},
    {.name = "route_specifiers", .type = XDS_LATER},
};

static xds_said_t who_said(const xds_filters_t *route,
                           const xds_filters_t *host,
                           const xds_filters_t *table) {
    return (xds_said_t){
        .session =
            route->session_said || host->session_said || table->session_said,
        .body = route->body_said || host->body_said || table->body_said,
    };
}

static bool finish_table(xds_decoder_t *x, const model_node_t *node,
                         uint64_t seen, void *out) {
    table_form_t *form = out;
    model_route_table_t *table = &form->out.table;
    uint32_t routes = 0;

    (void)seen;
    table->place = model_place(&x->d, node);
    table->flags_said = true;
    table->flags = form->ignore_port ? 0 : MESH_HOST_KEEP_PORT;
    table->nvhosts = form->nhosts;
    table->vhosts =
        arena_alloc(x->d.arena, sizeof(*table->vhosts) * form->nhosts);

    for (uint32_t i = 0; i < form->nhosts; i++) {
        table->vhosts[i] = take_host(x, &form->hosts[i], form);
        routes += form->hosts[i].nroutes;
    }

    form->out.said = arena_alloc(x->d.arena, sizeof(*form->out.said) * routes);
    routes = 0;

    for (uint32_t i = 0; i < form->nhosts; i++) {
        const host_form_t *host = &form->hosts[i];

        for (uint32_t j = 0; j < host->nroutes; j++) {
            form->out.said[routes++] = who_said(&host->routes[j].filters,
                                                &host->filters, &form->filters);
        }
    }

    return true;
}

const xds_message_t xds_route_configuration = {
    .name = "envoy.config.route.v3.RouteConfiguration",
    XDS_FIELDS(table_fields),
    .finish = finish_table,
};

bool xds_decode_table(xds_decoder_t *x, const model_node_t *node,
                      const xds_field_t *field, void *out) {
    table_form_t form = {.nhosts = 0};

    (void)field;
    /* Domains with ports are no mistake, if one that may never match. */
    x->d.keep_port = true;

    if (!xds_decode_any(x, node, &xds_route_configuration, &form)) {
        return false;
    }

    memcpy(out, &form.out, sizeof(form.out));
    return true;
}
