/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a route does with a request: clusters, redirect, direct response.
 */

#include "model_decode_route.h"
#include "xds_route.h"

#define ROUTE(member) offsetof(xds_route_form_t, route.member)

/* --- names of clusters --------------------------------------------------- */

bool xds_decode_cluster_name(xds_decoder_t *x, const model_node_t *node,
                             const xds_field_t *field, void *out) {
    static const model_field_t text = {.min = 1, .max = MESH_NAME_MAX};

    (void)field;

    return model_decode_string(&x->d, node, &text, out) &&
           model_check_name(&x->d, node, node->text, false);
}

static bool decode_cluster(xds_decoder_t *x, const model_node_t *node,
                           const xds_field_t *field, void *out) {
    model_route_t *route = &((xds_route_form_t *)out)->route;

    route->nsplit = 1;
    route->split = arena_alloc(x->d.arena, sizeof(*route->split));
    route->split->weight = 1;

    return xds_decode_cluster_name(x, node, field, &route->split->cluster);
}

static bool decode_cluster_header(xds_decoder_t *x, const model_node_t *node,
                                  const xds_field_t *field, void *out) {
    model_split_t *split = out;

    split->by_header = true;

    return xds_decode_header_name(x, node, field, &split->cluster);
}

static bool decode_one_header(xds_decoder_t *x, const model_node_t *node,
                              const xds_field_t *field, void *out) {
    model_route_t *route = &((xds_route_form_t *)out)->route;

    route->nsplit = 1;
    route->split = arena_alloc(x->d.arena, sizeof(*route->split));
    route->split->weight = 1;

    return decode_cluster_header(x, node, field, route->split);
}

static bool decode_host(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    (void)field;

    return model_decode_authority(&x->d, node, NULL, out);
}

/* --- weighted clusters --------------------------------------------------- */

typedef struct {
    model_split_t split;
    xds_header_ops_t request_ops;
    xds_header_ops_t response_ops;
    model_labels_t labels;
} split_form_t;

#define SPLIT(member) offsetof(split_form_t, member)

static bool decode_split_filters(xds_decoder_t *x, const model_node_t *node,
                                 const xds_field_t *field, void *out) {
    (void)out;

    return xds_is(x, node, MODEL_NODE_MAP) &&
           (node->count == 0 || xds_later(x, node, XDS_LATER_APART, field,
                                          "a weighted cluster's own filters"));
}

#define CLUSTER_ONE "more than one way to a cluster"

static const xds_field_t split_fields[] = {
    {.name = "name",
     .type = XDS_CUSTOM,
     .flags = XDS_NO_PRESENCE,
     .oneof = CLUSTER_ONE,
     .offset = SPLIT(split.cluster),
     .decode = xds_decode_cluster_name},
    {.name = "cluster_header",
     .type = XDS_CUSTOM,
     .flags = XDS_NO_PRESENCE,
     .oneof = CLUSTER_ONE,
     .offset = SPLIT(split),
     .decode = decode_cluster_header},
    {.name = "weight",
     .type = XDS_U32,
     .flags = XDS_REQUIRED,
     .offset = SPLIT(split.weight)},
    XDS_OPS_FIELDS(split_form_t),
    {.name = "typed_per_filter_config",
     .type = XDS_CUSTOM,
     .decode = decode_split_filters},
    {.name = "metadata_match",
     .type = XDS_MESSAGE,
     .offset = offsetof(split_form_t, labels),
     .message = &xds_metadata},
    {.name = "host_rewrite_literal",
     .type = XDS_CUSTOM,
     .flags = XDS_NO_PRESENCE,
     .offset = SPLIT(split.host_rewrite),
     .decode = decode_host},
};

static bool finish_split(xds_decoder_t *x, const model_node_t *node,
                         uint64_t seen, void *out) {
    split_form_t *form = out;

    /* The first two rows say where to. */
    if ((seen & 3) == 0) {
        return model_wrong_found(&x->d, node, "no cluster",
                                 "one of name, cluster_header");
    }

    form->split.request_ops = xds_join_ops(x->d.arena, &form->request_ops);
    form->split.response_ops = xds_join_ops(x->d.arena, &form->response_ops);
    return true;
}

static const xds_message_t cluster_weight = {
    .name = "envoy.config.route.v3.WeightedCluster.ClusterWeight",
    XDS_FIELDS(split_fields),
    .finish = finish_split,
};

static bool decode_clusters(xds_decoder_t *x, const model_node_t *node,
                            const xds_field_t *field, void *out) {
    xds_route_form_t *route_form = out;
    model_route_t *route = &route_form->route;
    uint64_t total = 0;
    bool ok = true;

    if (node->kind != MODEL_NODE_LIST || node->count == 0) {
        return model_wrong(&x->d, node, "a list of at least one");
    }

    route->split = arena_alloc(x->d.arena, sizeof(*route->split) * node->count);
    route_form->split_labels =
        arena_alloc(x->d.arena, sizeof(model_labels_t) * node->count);

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        split_form_t form = {.split = {.weight = 0}};

        model_push_index(&x->d, route->nsplit);
        ok &= xds_decode_message(x, n, field->message, &form);
        route_form->split_labels[route->nsplit] = form.labels;
        route->split[route->nsplit++] = form.split;
        total += form.split.weight;
        model_pop(&x->d);
    }

    if (ok && (total == 0 || total > UINT32_MAX)) {
        return model_wrong_found(&x->d, node,
                                 total == 0 ? "only weights of 0"
                                            : "weights above 4294967295 in all",
                                 total == 0 ? "at least one above 0"
                                            : "smaller ones");
    }

    return ok;
}

#define RANDOM_ONE "more than one that chooses"

static bool decode_random_header(xds_decoder_t *x, const model_node_t *node,
                                 const xds_field_t *field, void *out) {
    model_split_by_t *split_by = out;

    /* An empty one is none. */
    if (model_is_text(node) && node->text.len == 0) {
        return true;
    }

    split_by->by = MODEL_SPLIT_BY_HEADER;

    return xds_decode_header_name(x, node, field, &split_by->header);
}

static bool decode_use_hash(xds_decoder_t *x, const model_node_t *node,
                            const xds_field_t *field, void *out) {
    static const xds_field_t flag = {.type = XDS_BOOL};
    model_split_by_t *split_by = out;
    bool set = false;

    (void)field;

    if (!xds_decode_field(x, node, &flag, &set)) {
        return false;
    }

    split_by->by = set ? MODEL_SPLIT_BY_HASH : split_by->by;
    return true;
}

static const xds_field_t weighted_fields[] = {
    {.name = "clusters",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED,
     .message = &cluster_weight,
     .decode = decode_clusters},
    {.name = "total_weight",
     .type = XDS_IGNORED,
     .because = "weights count as parts of their sum"},
    {.name = "runtime_key_prefix", .type = XDS_LATER_SEEN},
    {.name = "header_name",
     .type = XDS_CUSTOM,
     .oneof = RANDOM_ONE,
     .offset = ROUTE(split_by),
     .decode = decode_random_header},
    {.name = "use_hash_policy",
     .type = XDS_CUSTOM,
     .oneof = RANDOM_ONE,
     .offset = ROUTE(split_by),
     .decode = decode_use_hash},
};

static const xds_message_t weighted_cluster = {
    .name = "envoy.config.route.v3.WeightedCluster",
    XDS_FIELDS(weighted_fields),
};

/* --- the action ---------------------------------------------------------- */

static bool decode_rewrite(xds_decoder_t *x, const model_node_t *node,
                           const xds_field_t *field, void *out) {
    static const model_field_t path = {.min = 0};
    model_route_t *route = &((xds_route_form_t *)out)->route;

    (void)field;
    route->has_prefix_rewrite = true;

    return model_decode_path(&x->d, node, &path, &route->prefix_rewrite);
}

static bool decode_regex(xds_decoder_t *x, const model_node_t *node,
                         const xds_field_t *field, void *out) {
    model_rewrite_t *rewrite = out;

    rewrite->path = MESH_REWRITE_REGEX;

    return xds_decode_message(x, node, field->message, &rewrite->regex);
}

static bool decode_policy(xds_decoder_t *x, const model_node_t *node,
                          const xds_field_t *field, void *out) {
    model_rewrite_t *rewrite = out;

    /* Its variables are the match's: finish_route() looks. */
    rewrite->path = MESH_REWRITE_TEMPLATE;

    return xds_decode_message(x, node, field->message, &rewrite->text);
}

static bool decode_whole(xds_decoder_t *x, const model_node_t *node,
                         const xds_field_t *field, void *out) {
    static const model_field_t path = {.min = 0};
    model_rewrite_t *rewrite = out;

    (void)field;
    rewrite->path = MESH_REWRITE_WHOLE;

    return model_decode_path(&x->d, node, &path, &rewrite->text) &&
           model_check_substitutions(&x->d, node, node->text, false);
}

static bool decode_host_header(xds_decoder_t *x, const model_node_t *node,
                               const xds_field_t *field, void *out) {
    model_rewrite_t *rewrite = out;

    rewrite->host = MESH_HOST_HEADER;

    return xds_decode_header_name(x, node, field, &rewrite->header);
}

static bool decode_host_path(xds_decoder_t *x, const model_node_t *node,
                             const xds_field_t *field, void *out) {
    model_rewrite_t *rewrite = out;

    rewrite->host = MESH_HOST_PATH;

    return xds_decode_message(x, node, field->message, &rewrite->host_regex);
}

static bool decode_auto_host(xds_decoder_t *x, const model_node_t *node,
                             const xds_field_t *field, void *out) {
    static const xds_field_t flag = {.type = XDS_BOOL};
    model_rewrite_t *rewrite = out;
    bool set = false;

    (void)field;

    if (!xds_decode_field(x, node, &flag, &set)) {
        return false;
    }

    rewrite->host = set ? MESH_HOST_ENDPOINT : rewrite->host;
    return true;
}

static bool decode_timeout(xds_decoder_t *x, const model_node_t *node,
                           const xds_field_t *field, void *out) {
    xds_route_form_t *form = out;

    form->timeout_said = true;

    return xds_decode_duration(x, node, field, &form->route.timeout_ms);
}

/* None at all: nginx has its own. */
bool xds_decode_idle(xds_decoder_t *x, const model_node_t *node,
                     const xds_field_t *field, void *out) {
    uint32_t ms = 0;

    if (!xds_decode_duration(x, node, field, &ms)) {
        return false;
    }

    memcpy(out, &ms, sizeof(ms));
    return ms != 0 ||
           xds_later(x, node, XDS_LATER_APART, field, "no idle timeout at all");
}

static bool decode_retry(xds_decoder_t *x, const model_node_t *node,
                         const xds_field_t *field, void *out) {
    xds_route_form_t *form = out;

    form->retry_said = true;

    return xds_decode_retry(x, node, field, &form->route.retry);
}

static bool decode_hash_policies(xds_decoder_t *x, const model_node_t *node,
                                 const xds_field_t *field, void *out) {
    static const xds_field_t list = {
        .type = XDS_LIST,
        .offset = offsetof(model_route_t, hash_policies),
        .count = offsetof(model_route_t, nhash_policies),
        .size = sizeof(model_hash_policy_t),
        .element = &xds_hash_policy_element,
    };
    model_route_t *route = &((xds_route_form_t *)out)->route;

    (void)field;

    if (node->count > MESH_HASH_POLICIES_MAX) {
        return model_wrong(&x->d, node, "at most 16 hash policies");
    }

    return xds_decode_field(x, node, &list, &route->hash_policies);
}

static const xds_value_t not_found_codes[] = {
    {"SERVICE_UNAVAILABLE", 0, 503},
    {"NOT_FOUND", 1, 404},
    {"INTERNAL_SERVER_ERROR", 2, 500},
    {NULL, 0, 0},
};

static const xds_value_t priorities[] = {
    {"DEFAULT", 0, 0},
    {"HIGH", 1, XDS_VALUE_APART},
    {NULL, 0, 0},
};

static const xds_value_t internal_redirects[] = {
    {"PASS_THROUGH_INTERNAL_REDIRECT", 0, 0},
    {"HANDLE_INTERNAL_REDIRECT", 1, XDS_VALUE_APART},
    {NULL, 0, 0},
};

#define PATH_ONE "more than one rewrite of the path"
#define HOST_ONE "more than one rewrite of the host"

static const xds_field_t action_fields[] = {
    {.name = "cluster",
     .type = XDS_CUSTOM,
     .oneof = CLUSTER_ONE,
     .decode = decode_cluster},
    {.name = "weighted_clusters",
     .type = XDS_MESSAGE,
     .oneof = CLUSTER_ONE,
     .message = &weighted_cluster},
    {.name = "cluster_header",
     .type = XDS_CUSTOM,
     .oneof = CLUSTER_ONE,
     .decode = decode_one_header},
    {.name = "cluster_specifier_plugin",
     .type = XDS_LATER,
     .oneof = CLUSTER_ONE},
    {.name = "inline_cluster_specifier_plugin",
     .type = XDS_LATER,
     .oneof = CLUSTER_ONE},
    {.name = "prefix_rewrite",
     .type = XDS_CUSTOM,
     .flags = XDS_NO_PRESENCE,
     .oneof = PATH_ONE,
     .decode = decode_rewrite},
    {.name = "regex_rewrite",
     .type = XDS_CUSTOM,
     .oneof = PATH_ONE,
     .offset = ROUTE(rewrite),
     .message = &xds_regex_rewrite,
     .decode = decode_regex},
    {.name = "path_rewrite_policy",
     .type = XDS_CUSTOM,
     .oneof = PATH_ONE,
     .offset = ROUTE(rewrite),
     .message = &xds_path_rewrite_policy,
     .decode = decode_policy},
    {.name = "path_rewrite",
     .type = XDS_CUSTOM,
     .flags = XDS_NO_PRESENCE,
     .oneof = PATH_ONE,
     .offset = ROUTE(rewrite),
     .decode = decode_whole},
    {.name = "host_rewrite_literal",
     .type = XDS_CUSTOM,
     .oneof = HOST_ONE,
     .offset = ROUTE(host_rewrite),
     .decode = decode_host},
    {.name = "host_rewrite_header",
     .type = XDS_CUSTOM,
     .oneof = HOST_ONE,
     .offset = ROUTE(rewrite),
     .decode = decode_host_header},
    {.name = "auto_host_rewrite",
     .type = XDS_CUSTOM,
     .oneof = HOST_ONE,
     .offset = ROUTE(rewrite),
     .decode = decode_auto_host},
    {.name = "host_rewrite_path_regex",
     .type = XDS_CUSTOM,
     .oneof = HOST_ONE,
     .offset = ROUTE(rewrite),
     .message = &xds_regex_rewrite,
     .decode = decode_host_path},
    {.name = "append_x_forwarded_host",
     .type = XDS_BOOL,
     .offset = ROUTE(rewrite.forward_host)},
    {.name = "timeout", .type = XDS_CUSTOM, .decode = decode_timeout},
    {.name = "idle_timeout",
     .type = XDS_CUSTOM,
     .offset = ROUTE(idle_timeout_ms),
     .decode = xds_decode_idle},
    {.name = "retry_policy",
     .type = XDS_CUSTOM,
     .message = &xds_retry_policy,
     .decode = decode_retry},
    {.name = "hash_policy",
     .type = XDS_CUSTOM,
     .message = &xds_hash_policy,
     .decode = decode_hash_policies},
    {.name = "cluster_not_found_response_code",
     .type = XDS_ENUM,
     .offset = offsetof(xds_route_form_t, not_found),
     .fallback = 503,
     .values = not_found_codes},
    {.name = "priority",
     .type = XDS_ENUM,
     .offset = offsetof(xds_route_form_t, unused),
     .values = priorities},
    {.name = "internal_redirect_action",
     .type = XDS_ENUM,
     .offset = offsetof(xds_route_form_t, unused),
     .values = internal_redirects},
    {.name = "request_mirror_policies",
     .type = XDS_CUSTOM,
     .offset = ROUTE(mirrors),
     .message = &xds_mirror,
     .decode = xds_decode_mirrors},
    {.name = "cors",
     .type = XDS_MESSAGE,
     .offset = ROUTE(cors),
     .message = &xds_cors_old},
    {.name = "internal_redirect_policy",
     .type = XDS_MESSAGE,
     .offset = ROUTE(follow),
     .message = &xds_internal_redirects},
    {.name = "metadata_match",
     .type = XDS_MESSAGE,
     .offset = offsetof(xds_route_form_t, labels),
     .message = &xds_metadata},
    {.name = "host_rewrite", .type = XDS_LATER, .oneof = HOST_ONE},
    {.name = "flush_timeout", .type = XDS_LATER_APART},
    {.name = "early_data_policy", .type = XDS_LATER_APART},
    {.name = "retry_policy_typed_config", .type = XDS_LATER_APART},
    {.name = "rate_limits", .type = XDS_LATER_APART},
    {.name = "include_vh_rate_limits", .type = XDS_LATER_APART},
    {.name = "max_grpc_timeout", .type = XDS_LATER_APART},
    {.name = "grpc_timeout_offset", .type = XDS_LATER_APART},
    {.name = "upgrade_configs", .type = XDS_LATER_APART},
    {.name = "max_internal_redirects", .type = XDS_LATER_APART},
    {.name = "hedge_policy", .type = XDS_LATER_APART},
    {.name = "max_stream_duration", .type = XDS_LATER_APART},
};

/* Names that are written are there, or the mesh is refused. */
static bool take_not_found(xds_decoder_t *x, const model_node_t *node,
                           xds_route_form_t *form) {
    static const char name[] = "cluster_not_found_response_code";
    bool used = form->not_found == 503;

    for (uint32_t i = 0; i < form->route.nsplit; i++) {
        model_split_t *split = &form->route.split[i];

        if (split->by_header) {
            split->not_found = form->not_found;
            used = true;
        }
    }

    if (used) {
        return true;
    }

    model_push_field(&x->d, name);

    bool ok = xds_later(x, xds_child(node, name), XDS_LATER_APART, name,
                        "an answer for a cluster that is named, and missing");

    model_pop(&x->d);
    return ok;
}

static bool take_labels(xds_decoder_t *x, const model_node_t *node,
                        xds_route_form_t *form) {
    static const model_labels_t none = {.count = 0};
    bool ok = true;

    for (uint32_t i = 0; i < form->route.nsplit && ok; i++) {
        ok = xds_set_criteria(
            x, node, &form->labels,
            form->split_labels != NULL ? &form->split_labels[i] : &none,
            &form->route.split[i]);
    }

    return ok;
}

/* The first three rows say where to. */
static bool finish_action(xds_decoder_t *x, const model_node_t *node,
                          uint64_t seen, void *out) {
    xds_route_form_t *form = out;
    model_route_t *route = &form->route;

    route->action = MESH_ACTION_ROUTE;

    if ((seen & 7) == 0) {
        return model_wrong_found(
            &x->d, node, "no cluster",
            "one of cluster, weighted_clusters, cluster_header");
    }

    /* A host that stays is not forwarded. */
    if (route->host_rewrite.len == 0 && route->rewrite.host == 0) {
        route->rewrite.forward_host = false;
    }

    return take_labels(x, node, form) && take_not_found(x, node, form);
}

const xds_message_t xds_route_action = {
    .name = "envoy.config.route.v3.RouteAction",
    XDS_FIELDS(action_fields),
    .finish = finish_action,
};

/* --- redirect ------------------------------------------------------------ */

static bool decode_scheme(xds_decoder_t *x, const model_node_t *node,
                          const xds_field_t *field, void *out) {
    (void)field;

    if (!model_is_text(node) || (!mesh_str_eq(node->text, MESH_STR("http")) &&
                                 !mesh_str_eq(node->text, MESH_STR("https")))) {
        return model_wrong(&x->d, node, "http or https");
    }

    memcpy(out, &node->text, sizeof(node->text));
    return true;
}

static bool decode_redirect_path(xds_decoder_t *x, const model_node_t *node,
                                 const xds_field_t *field, void *out) {
    static const model_field_t path = {.min = 0};

    (void)field;

    return model_decode_path(&x->d, node, &path, out);
}

/* What replaces a prefix may be nothing at all. */
static bool decode_redirect_prefix(xds_decoder_t *x, const model_node_t *node,
                                   const xds_field_t *field, void *out) {
    model_redirect_t *redirect = &((xds_route_form_t *)out)->route.redirect;

    redirect->has_prefix = true;

    if (model_is_text(node) && node->text.len == 0) {
        redirect->prefix = MESH_STR("");
        return true;
    }

    return decode_redirect_path(x, node, field, &redirect->prefix);
}

static const xds_value_t redirect_codes[] = {
    {"MOVED_PERMANENTLY", 0, 301},  {"FOUND", 1, 302},
    {"SEE_OTHER", 2, 303},          {"TEMPORARY_REDIRECT", 3, 307},
    {"PERMANENT_REDIRECT", 4, 308}, {NULL, 0, 0},
};

#define SCHEME_ONE "more than one scheme"
static const xds_field_t redirect_fields[] = {
    {.name = "https_redirect",
     .type = XDS_BOOL,
     .oneof = SCHEME_ONE,
     .offset = offsetof(xds_route_form_t, https)},
    {.name = "scheme_redirect",
     .type = XDS_CUSTOM,
     .oneof = SCHEME_ONE,
     .offset = ROUTE(redirect.scheme),
     .decode = decode_scheme},
    {.name = "host_redirect",
     .type = XDS_CUSTOM,
     .flags = XDS_NO_PRESENCE,
     .offset = ROUTE(redirect.host),
     .decode = decode_host},
    {.name = "port_redirect",
     .type = XDS_U32,
     .offset = ROUTE(redirect.port),
     .max = 65535},
    {.name = "path_redirect",
     .type = XDS_CUSTOM,
     .oneof = PATH_ONE,
     .offset = ROUTE(redirect.path),
     .decode = decode_redirect_path},
    {.name = "prefix_rewrite",
     .type = XDS_CUSTOM,
     .oneof = PATH_ONE,
     .decode = decode_redirect_prefix},
    {.name = "response_code",
     .type = XDS_ENUM,
     .offset = ROUTE(redirect.status),
     .values = redirect_codes},
    {.name = "strip_query",
     .type = XDS_BOOL,
     .offset = ROUTE(redirect.strip_query)},
    {.name = "regex_rewrite",
     .type = XDS_MESSAGE,
     .oneof = PATH_ONE,
     .offset = ROUTE(redirect.regex),
     .message = &xds_regex_rewrite},
    {.name = "path_rewrite", .type = XDS_LATER, .oneof = PATH_ONE},
};

static bool finish_redirect(xds_decoder_t *x, const model_node_t *node,
                            uint64_t seen, void *out) {
    xds_route_form_t *form = out;
    model_redirect_t *redirect = &form->route.redirect;

    (void)seen;
    form->route.action = MESH_ACTION_REDIRECT;

    if (form->https) {
        redirect->scheme = MESH_STR("https");
    }

    if (redirect->status == 0) {
        redirect->status = 301;
    }

    if (redirect->scheme.len == 0 && redirect->host.len == 0 &&
        redirect->port == 0 && redirect->path.len == 0 &&
        !redirect->has_prefix && redirect->regex.pattern.len == 0) {
        return model_wrong_found(&x->d, node,
                                 "a redirect to where the request is already",
                                 "a scheme, host, port or path");
    }

    return true;
}

const xds_message_t xds_redirect_action = {
    .name = "envoy.config.route.v3.RedirectAction",
    XDS_FIELDS(redirect_fields),
    .finish = finish_redirect,
};

/* --- direct response ----------------------------------------------------- */

static const xds_field_t direct_fields[] = {
    {.name = "status",
     .type = XDS_U32,
     .flags = XDS_REQUIRED,
     .offset = ROUTE(direct_status),
     .min = 200,
     .max = 599},
    {.name = "body",
     .type = XDS_MESSAGE,
     .offset = ROUTE(direct_body),
     .message = &xds_data_source},
    {.name = "body_format", .type = XDS_LATER},
};

static bool finish_direct(xds_decoder_t *x, const model_node_t *node,
                          uint64_t seen, void *out) {
    (void)x;
    (void)node;
    (void)seen;
    ((xds_route_form_t *)out)->route.action = MESH_ACTION_DIRECT;
    return true;
}

const xds_message_t xds_direct_response = {
    .name = "envoy.config.route.v3.DirectResponseAction",
    XDS_FIELDS(direct_fields),
    .finish = finish_direct,
};
