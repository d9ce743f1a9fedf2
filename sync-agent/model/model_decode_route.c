/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Routes: what a request must be, and the rules that join match and action.
 */

#include "model_decode_route.h"

#include <stdio.h>

#include "mesh_template.h"

#define PATTERN_TEXT "^[^\\x00-\\x1f\\x7f]*$"
#define PATTERN_MATCH_PATH "^/[^\\x00-\\x20\\x7f?#]*$"
#define PATTERN_SEPARATED "^/[^\\x00-\\x20\\x7f?#]*[^\\x00-\\x20\\x7f?#/]$"
#define HOST_CHARS "[-._:0-9A-Za-z\\[\\]]+"
#define PATTERN_DOMAIN                                                         \
    "^(?!.*[.][.])([*]|[*][-.]" HOST_CHARS "|" HOST_CHARS                      \
    "[-.][*]|" HOST_CHARS ")$"
#define PATTERN_HEADER                                                         \
    "^(:(method|authority|path|scheme)|[-!#$%&'*+.^_`|~0-9A-Za-z]+)$"
#define PATTERN_QUERY "^[^\\x00-\\x20\\x7f&=#]+$"
#define PATTERN_COOKIE "^[^\\x00-\\x20\\x7f=;]+$"
#define SCHEMA_SIZE                                                            \
    "{'anyOf': [{'type': 'integer', 'minimum': 0, 'maximum': 4294967295}, "    \
    "{'type': 'string', 'pattern': '^[0-9]+[kKmMgG]?$'}]}"

/* --- match --------------------------------------------------------------- */

typedef struct {
    mesh_str_t text;
    bool ignore_case;
    mesh_path_match_e match; /* finish_path's */
} path_form_t;

enum {
    PATH_PREFIX,
    PATH_EXACT,
    PATH_SEPARATED,
    PATH_REGEX,
    PATH_TEMPLATE,
    PATH_FORMS
};

/* A path to match is compared without the query. */
bool model_decode_match_path(model_decoder_t *d, const model_node_t *node,
                             const model_field_t *field, void *out) {
    if (!model_decode_path(d, node, field, out)) {
        return false;
    }

    if (memchr(node->text.data, '?', node->text.len) != NULL ||
        memchr(node->text.data, '#', node->text.len) != NULL) {
        return model_wrong(d, node, "a path without a query and a fragment");
    }

    return true;
}

/* "/" would be everything, and "/a/" nothing that people mean. */
bool model_decode_separated(model_decoder_t *d, const model_node_t *node,
                            const model_field_t *field, void *out) {
    if (!model_decode_match_path(d, node, field, out)) {
        return false;
    }

    return node->text.data[node->text.len - 1] != '/' ||
           model_wrong(d, node, "a path that does not end in \"/\"");
}

bool model_decode_template(model_decoder_t *d, const model_node_t *node,
                           const model_field_t *field, void *out) {
    static const model_field_t text = {.min = 1, .max = MESH_REGEX_MAX};
    mesh_template_vars_t names;
    char expected[192];
    mesh_str_t made;
    size_t at;

    (void)field;

    if (!model_decode_string(d, node, &text, &made)) {
        return false;
    }

    const char *why = mesh_template_check(made, &names, &at);

    if (why != NULL) {
        snprintf(expected, sizeof(expected),
                 "a template of paths: %s (at byte %zu)", why, at);
        return model_wrong(d, node, expected);
    }

    memcpy(out, &made, sizeof(made));
    return true;
}

static const model_field_t path_fields[] = {
    [PATH_PREFIX] = {.name = "prefix",
                     .type = MODEL_CUSTOM,
                     .offset = offsetof(path_form_t, text),
                     .decode = model_decode_match_path,
                     .expected = "a path",
                     .about = "the path begins with this",
                     .pattern = PATTERN_MATCH_PATH},
    [PATH_EXACT] = {.name = "exact",
                    .type = MODEL_CUSTOM,
                    .offset = offsetof(path_form_t, text),
                    .decode = model_decode_match_path,
                    .expected = "a path",
                    .about = "the path is this",
                    .pattern = PATTERN_MATCH_PATH},
    [PATH_SEPARATED] = {.name = "separated_prefix",
                        .type = MODEL_CUSTOM,
                        .offset = offsetof(path_form_t, text),
                        .decode = model_decode_separated,
                        .expected = "a path that does not end in \"/\"",
                        .about =
                            "the path is this, or begins with it and a slash",
                        .pattern = PATTERN_SEPARATED},
    [PATH_REGEX] = {.name = "regex",
                    .type = MODEL_CUSTOM,
                    .offset = offsetof(path_form_t, text),
                    .decode = model_decode_regex,
                    .expected = "a regular expression",
                    .about =
                        "the whole path matches this regular expression of RE2",
                    .min = 1,
                    .max = MESH_REGEX_MAX},
    [PATH_TEMPLATE] = {.name = "template",
                       .type = MODEL_CUSTOM,
                       .offset = offsetof(path_form_t, text),
                       .decode = model_decode_template,
                       .expected = "a template of paths",
                       .about = "the whole path fits this template, as "
                                "/users/{id}/**",
                       .pattern = MODEL_PATTERN_PATH},
    {.name = "ignore_case",
     .type = MODEL_BOOL,
     .offset = offsetof(path_form_t, ignore_case),
     .about = "ASCII letters in any case"},
};

static bool finish_path(model_decoder_t *d, const model_node_t *node,
                        uint64_t seen, void *out) {
    static const mesh_path_match_e forms[] = {
        [PATH_PREFIX] = MESH_PATH_PREFIX,       [PATH_EXACT] = MESH_PATH_EXACT,
        [PATH_SEPARATED] = MESH_PATH_SEPARATED, [PATH_REGEX] = MESH_PATH_REGEX,
        [PATH_TEMPLATE] = MESH_PATH_TEMPLATE,
    };
    path_form_t *form = out;

    seen &= (1 << PATH_FORMS) - 1;

    if (seen == 0 || (seen & (seen - 1)) != 0) {
        return model_wrong_found(
            d, node, seen == 0 ? "no path" : "more than one path",
            "one of prefix, exact, separated_prefix, regex, template");
    }

    form->match = forms[__builtin_ctzll(seen)];

    if (form->ignore_case && form->match == MESH_PATH_REGEX) {
        return model_wrong_found(d, node, "ignore_case with a regex",
                                 "(?i) before its text");
    }

    if (form->ignore_case && form->match == MESH_PATH_TEMPLATE) {
        return model_wrong_found(d, node, "ignore_case with a template",
                                 "one of them");
    }

    return !form->ignore_case || model_fold(d, node, &form->text);
}

static const model_rule_t path_rules[] = {
    {MODEL_RULE_ONE, "prefix exact separated_prefix regex template", NULL,
     NULL},
    {MODEL_RULE_VALUE, "regex template", "ignore_case", "false"},
    {MODEL_RULE_ONE, NULL, NULL, NULL},
};

static const model_object_t path_object = {
    .name = "a path match",
    MODEL_FIELDS(path_fields),
    .scalar = "prefix",
    .finish = finish_path,
    .rules = path_rules,
};

static const model_value_t methods[] = {
    {"GET", MESH_METHOD_GET},         {"HEAD", MESH_METHOD_HEAD},
    {"POST", MESH_METHOD_POST},       {"PUT", MESH_METHOD_PUT},
    {"DELETE", MESH_METHOD_DELETE},   {"CONNECT", MESH_METHOD_CONNECT},
    {"OPTIONS", MESH_METHOD_OPTIONS}, {"TRACE", MESH_METHOD_TRACE},
    {"PATCH", MESH_METHOD_PATCH},     {NULL, 0},
};

typedef struct {
    model_matches_t headers;
    model_matches_t query;
    model_matches_t cookies;
    model_matches_t sni;  /* one, or none */
    model_matches_t port; /* one, or none */
    bool grpc;
    model_addresses_t addresses;
    model_share_t share;
    path_form_t path;
    uint32_t methods;
} match_form_t;

static const model_field_t method_element = {
    .type = MODEL_BIT,
    .values = methods,
};

static const model_field_t match_fields[] = {
    {.name = "path",
     .type = MODEL_OBJECT,
     .offset = offsetof(match_form_t, path),
     .object = &path_object,
     .about = "the path without the query; text alone is a prefix"},
    {.name = "headers",
     .type = MODEL_CUSTOM,
     .offset = offsetof(match_form_t, headers),
     .element = &model_header_match_element,
     .decode = model_decode_headers,
     .expected = "a map of header names to what they must be",
     .about = "what headers must be, by name",
     .keys = PATTERN_HEADER,
     .max = MODEL_MATCHES_MAX},
    {.name = "query",
     .type = MODEL_CUSTOM,
     .offset = offsetof(match_form_t, query),
     .element = &model_value_match_element,
     .decode = model_decode_query,
     .expected = "a map of parameters' names to what they must be",
     .about = "what parameters of the query must be, by name",
     .keys = PATTERN_QUERY,
     .max = MODEL_MATCHES_MAX},
    {.name = "cookies",
     .type = MODEL_CUSTOM,
     .offset = offsetof(match_form_t, cookies),
     .element = &model_value_match_element,
     .decode = model_decode_cookies,
     .expected = "a map of cookies' names to what they must be",
     .about = "what cookies must be, by name",
     .keys = PATTERN_COOKIE,
     .max = MODEL_MATCHES_MAX},
    {.name = "sni",
     .type = MODEL_CUSTOM,
     .flags = MODEL_ALONE,
     .offset = offsetof(match_form_t, sni),
     .element = &model_value_match_element,
     .decode = model_decode_sni,
     .expected = "a server name, or what it must be",
     .about = "the name that the client's TLS asked for"},
    {.name = "port",
     .type = MODEL_CUSTOM,
     .offset = offsetof(match_form_t, port),
     .min = 1,
     .max = 65535,
     .decode = model_decode_port,
     .expected = "a port",
     .about = "the port that the connection was accepted at",
     .schema = "{'type': 'integer', 'minimum': 1, 'maximum': 65535}"},
    {.name = "methods",
     .type = MODEL_LIST,
     .flags = MODEL_SINGLE | MODEL_FILLED,
     .offset = offsetof(match_form_t, methods),
     .element = &method_element,
     .about = "the methods that it takes"},
    {.name = "grpc",
     .type = MODEL_BOOL,
     .offset = offsetof(match_form_t, grpc),
     .about = "gRPC requests only"},
    {.name = "source",
     .type = MODEL_CUSTOM,
     .offset = offsetof(match_form_t, addresses),
     .decode = model_decode_addresses,
     .expected = "a list of address ranges",
     .about = "addresses of clients, or ranges of them",
     .flags = MODEL_SINGLE | MODEL_FILLED,
     .element = &model_address_element,
     .max = MODEL_ADDRESSES_MAX},
    {.name = "percentage",
     .type = MODEL_OBJECT,
     .offset = offsetof(match_form_t, share),
     .object = &model_share_object,
     .about = "this share of the requests that match else"},
    {.name = "tls"},
};

static const model_object_t match_object = {
    .name = "a match",
    MODEL_FIELDS(match_fields),
};

static void join_matches(model_decoder_t *d, const match_form_t *form,
                         model_route_t *route) {
    const model_matches_t *parts[] = {&form->headers, &form->query,
                                      &form->cookies, &form->sni, &form->port};
    uint32_t total = 0;

    for (size_t i = 0; i < mesh_nelts(parts); i++) {
        total += parts[i]->count;
    }
    route->matches = arena_alloc(d->arena, sizeof(*route->matches) * total);

    for (size_t i = 0; i < mesh_nelts(parts); i++) {
        for (uint32_t j = 0; j < parts[i]->count; j++) {
            route->matches[route->nmatches++] = parts[i]->v[j];
        }
    }
}

static bool decode_match(model_decoder_t *d, const model_node_t *node,
                         const model_field_t *field, void *out) {
    model_route_t *route = out;
    match_form_t form;

    memset(&form, 0, sizeof(form));

    if (!model_decode_object(d, node, field->object, &form)) {
        return false;
    }

    route->path_match = form.path.match;
    route->ignore_case = form.path.ignore_case;
    route->path = form.path.text;
    route->methods = (uint16_t)form.methods;
    route->grpc = form.grpc;
    route->addresses = form.addresses;
    route->share = form.share;
    join_matches(d, &form, route);

    return true;
}

/* --- the route ----------------------------------------------------------- */

static bool decode_name(model_decoder_t *d, const model_node_t *node,
                        const model_field_t *field, void *out) {
    if (!model_decode_string(d, node, field, out)) {
        return false;
    }

    for (size_t i = 0; i < node->text.len; i++) {
        uint8_t c = (uint8_t)node->text.data[i];

        if (c < 0x20 || c == 0x7f) {
            return model_wrong(d, node, "a name without control characters");
        }
    }

    return true;
}

enum {
    ROUTE_NAME,
    ROUTE_MATCH,
    ROUTE_ROUTE,
    ROUTE_REDIRECT,
    ROUTE_RESPOND,
    ROUTE_REWRITE,
    ROUTE_RETRIES,
    ROUTE_HASH_POLICY,
    ROUTE_SESSION,
    ROUTE_SPLIT_BY,
    ROUTE_MIRROR,
    ROUTE_CORS,
    ROUTE_FOLLOW,
    ROUTE_BODY,
    ROUTE_TIMEOUT,
};

#define ROUTE(member) offsetof(model_route_t, member)

static const model_field_t route_fields[] = {
    [ROUTE_NAME] = {.name = "name",
                    .type = MODEL_CUSTOM,
                    .offset = ROUTE(name),
                    .min = 1,
                    .max = MESH_NAME_MAX,
                    .decode = decode_name,
                    .expected = "text",
                    .about = "the route's name, once in the mesh",
                    .pattern = PATTERN_TEXT},
    [ROUTE_MATCH] = {.name = "match",
                     .type = MODEL_CUSTOM,
                     .object = &match_object,
                     .decode = decode_match,
                     .about = "what a request must be; everything unless said"},
    [ROUTE_ROUTE] = {.name = "route",
                     .type = MODEL_LIST,
                     .flags = MODEL_SINGLE | MODEL_FILLED,
                     .offset = ROUTE(split),
                     .count = ROUTE(nsplit),
                     .size = sizeof(model_split_t),
                     .element = &model_split_element,
                     .about = "where it goes: a cluster, cluster/subset, or "
                              "several with weights"},
    [ROUTE_REDIRECT] = {.name = "redirect",
                        .type = MODEL_OBJECT,
                        .offset = ROUTE(redirect),
                        .object = &model_redirect_object,
                        .about = "answer with a redirect"},
    [ROUTE_RESPOND] = {.name = "respond",
                       .type = MODEL_OBJECT,
                       .object = &model_respond_object,
                       .about = "answer at once: a status, or more"},
    [ROUTE_REWRITE] =
        {.name = "rewrite",
         .type = MODEL_OBJECT,
         .object = &model_rewrite_object,
         .about = "what the endpoint sees instead of the request's own"},
    [ROUTE_RETRIES] = {.name = "retries",
                       .type = MODEL_OBJECT,
                       .offset = ROUTE(retry),
                       .object = &model_retry_object,
                       .about = "what is tried again"},
    [ROUTE_HASH_POLICY] = {.name = "hash_policy",
                           .type = MODEL_LIST,
                           .flags = MODEL_SINGLE | MODEL_FILLED,
                           .offset = ROUTE(hash_policies),
                           .count = ROUTE(nhash_policies),
                           .size = sizeof(model_hash_policy_t),
                           .element = &model_hash_element,
                           .about = "what of a request decides its endpoint, "
                                    "for ring_hash and maglev"},
    [ROUTE_SESSION] =
        {.name = "stateful_session",
         .type = MODEL_OBJECT,
         .offset = ROUTE(session),
         .object = &model_session_object,
         .about = "a client stays at the endpoint that a cookie names"},
    [ROUTE_SPLIT_BY] = {.name = "split_by",
                        .type = MODEL_OBJECT,
                        .offset = ROUTE(split_by),
                        .object = &model_split_by_object,
                        .about = "what of a request decides its weighted "
                                 "cluster; nothing unless said"},
    [ROUTE_MIRROR] = {.name = "mirror",
                      .type = MODEL_LIST,
                      .flags = MODEL_SINGLE | MODEL_FILLED,
                      .offset = ROUTE(mirrors.v),
                      .count = ROUTE(mirrors.count),
                      .size = sizeof(model_mirror_t),
                      .element = &model_mirror_element,
                      .about = "clusters that are sent copies of requests; "
                               "their answers are thrown away"},
    [ROUTE_CORS] = {.name = "cors",
                    .type = MODEL_OBJECT,
                    .offset = ROUTE(cors),
                    .object = &model_cors_object,
                    .about = "which other origins' pages may ask"},
    [ROUTE_FOLLOW] = {.name = "internal_redirects",
                      .type = MODEL_OBJECT,
                      .offset = ROUTE(follow),
                      .object = &model_follow_object,
                      .about = "redirects of endpoints that are followed here"},
    [ROUTE_BODY] = {.name = "max_request_body",
                    .type = MODEL_CUSTOM,
                    .offset = ROUTE(body_limit),
                    .decode = model_decode_size,
                    .expected = "a size such as 64k or 1M",
                    .about = "the longest body of a request; 413 beyond it",
                    .schema = SCHEMA_SIZE},
    [ROUTE_TIMEOUT] = {.name = "timeout",
                       .type = MODEL_DURATION,
                       .offset = ROUTE(timeout_ms),
                       .max = MODEL_MS_MAX,
                       .fallback = 15 * 1000,
                       .about =
                           "the whole request with its retries; 0: no limit"},
    {.name = "idle_timeout",
     .type = MODEL_DURATION,
     .offset = ROUTE(idle_timeout_ms),
     .max = MODEL_MS_MAX,
     .about = "between two bytes; nginx's own unless said"},
    {.name = "request_headers",
     .type = MODEL_CUSTOM,
     .offset = ROUTE(request_ops),
     .object = &model_header_ops_object,
     .decode = model_decode_request_ops,
     .about =
         "what is done to the request's headers on the way to the endpoint"},
    {.name = "response_headers",
     .type = MODEL_CUSTOM,
     .offset = ROUTE(response_ops),
     .object = &model_header_ops_object,
     .decode = model_decode_response_ops,
     .about =
         "what is done to the response's headers on the way to the client"},
    {.name = "fault"},
    {.name = "rate_limit"},
    {.name = "rate_limits"},
    {.name = "rbac"},
    {.name = "jwt"},
    {.name = "ext_authz"},
    {.name = "hedge"},
    {.name = "tracing"},
    {.name = "metadata"},
    {.name = "upgrades"},
    {.name = "priority"},
    {.name = "max_grpc_timeout"},
    {.name = "max_stream_duration"},
    {.name = "lua"},
};

static bool finish_actions(model_decoder_t *d, const model_node_t *node,
                           uint64_t seen, model_route_t *route) {
    uint64_t actions = seen >> ROUTE_ROUTE & 7;

    switch (actions) {
    case 1:
        route->action = MESH_ACTION_ROUTE;
        return true;
    case 2:
        route->action = MESH_ACTION_REDIRECT;
        break;
    case 4:
        route->action = MESH_ACTION_DIRECT;
        break;
    default:
        return model_wrong_found(
            d, node, actions == 0 ? "no action" : "more than one action",
            "one of route, redirect, respond");
    }

    if (seen >> ROUTE_REWRITE & 1) {
        return model_wrong_found(d, node, "a rewrite without a route",
                                 "it beside route only");
    }

    if (seen >> ROUTE_RETRIES & 1) {
        return model_wrong_found(d, node, "retries without a route",
                                 "them beside route only");
    }

    if (seen >> ROUTE_SESSION & 1) {
        return model_wrong_found(d, node, "a stateful_session without a route",
                                 "it beside route only");
    }

    for (uint32_t i = ROUTE_SPLIT_BY; i <= ROUTE_BODY; i++) {
        if (seen >> i & 1) {
            char found[64];

            snprintf(found, sizeof(found), "%s without a route",
                     route_fields[i].name);
            return model_wrong_found(d, node, found, "it beside route only");
        }
    }

    if (seen >> ROUTE_HASH_POLICY & 1) {
        return model_wrong_found(d, node, "a hash_policy without a route",
                                 "it beside route only");
    }

    return true;
}

static bool check_weights(model_decoder_t *d, const model_node_t *node,
                          const model_route_t *route) {
    uint64_t total = 0;
    bool ok = true;

    if (route->action != MESH_ACTION_ROUTE) {
        return true;
    }

    for (uint32_t i = 0; i < route->nsplit; i++) {
        total += route->split[i].weight;
    }

    const model_node_t *list = model_node_child(node, "route");

    model_push_field(d, "route");

    if (total == 0) {
        ok = model_wrong_found(d, list, "only weights of 0",
                               "at least one above 0");
    } else if (total > UINT32_MAX) {
        ok = model_wrong_found(d, list, "weights above 4294967295 in all",
                               "smaller ones");
    }

    model_pop(d);
    return ok;
}

static bool check_hash_policies(model_decoder_t *d, const model_node_t *node,
                                const model_route_t *route) {
    if (route->nhash_policies <= MESH_HASH_POLICIES_MAX) {
        return true;
    }

    model_push_field(d, "hash_policy");
    model_wrong(d, model_node_child(node, "hash_policy"),
                "at most 16 hash policies");
    model_pop(d);
    return false;
}

static bool check_mirrors(model_decoder_t *d, const model_node_t *node,
                          const model_mirrors_t *mirrors) {
    if (mirrors->count <= MESH_MIRRORS_MAX) {
        return true;
    }

    model_push_field(d, "mirror");
    model_wrong_found(d, model_node_child(node, "mirror"),
                      "more than 8 mirrors", "at most 8");
    model_pop(d);
    return false;
}

static void check_try_timeout(model_decoder_t *d, const model_node_t *node,
                              const model_route_t *route) {
    const model_node_t *retries = model_node_child(node, "retries");
    const model_node_t *timeout = model_node_child(retries, "per_try_timeout");

    if (timeout == NULL || route->timeout_ms == 0 ||
        route->retry.per_try_timeout_ms < route->timeout_ms) {
        return;
    }

    model_push_field(d, "retries");
    model_push_field(d, "per_try_timeout");
    model_warn(d, timeout, "a try as long as the whole request",
               "less than timeout, so that a retry fits in");
    model_pop(d);
    model_pop(d);
}

static bool check_template(model_decoder_t *d, const model_node_t *node,
                           const model_route_t *route) {
    const model_node_t *rewrite = model_node_child(node, "rewrite");

    if (route->rewrite.path != MESH_REWRITE_TEMPLATE) {
        return true;
    }

    model_push_field(d, "rewrite");
    model_push_field(d, "template");

    bool ok =
        model_check_template(d, model_node_child(rewrite, "template"), route);

    model_pop(d);
    model_pop(d);
    return ok;
}

static bool finish_route(model_decoder_t *d, const model_node_t *node,
                         uint64_t seen, void *out) {
    model_route_t *route = out;

    route->place = model_place(d, node);

    if (route->path.len == 0) {
        route->path = MESH_STR("/");
    }

    if (!finish_actions(d, node, seen, route) ||
        !check_weights(d, node, route) || !check_template(d, node, route) ||
        !check_hash_policies(d, node, route) ||
        !check_mirrors(d, node, &route->mirrors)) {
        return false;
    }

    check_try_timeout(d, node, route);
    return true;
}

static const model_rule_t route_rules[] = {
    {MODEL_RULE_ONE, "route redirect respond", NULL, NULL},
    {MODEL_RULE_BESIDE,
     "rewrite retries stateful_session hash_policy split_by mirror cors "
     "internal_redirects max_request_body",
     "route", NULL},
    {MODEL_RULE_ONE, NULL, NULL, NULL},
};

static const model_object_t route_object = {
    .name = "a route",
    MODEL_FIELDS(route_fields),
    .finish = finish_route,
    .rules = route_rules,
};

/* --- the host ------------------------------------------------------------ */

static const char EXPECT_DOMAIN[] =
    "a domain such as shop.local, *.shop.local, shop.* or *";

/* What may stand beside an asterisk: "*.local", "*-a.local", "shop.*". */
static bool is_beside(char c) {
    return c == '.' || c == '-';
}

/* A host name, an address, with a port where the table keeps ports. */
static bool is_domain(mesh_str_t text) {
    if (text.len == 0 || text.len > MESH_DOMAIN_MAX) {
        return false;
    }

    if (text.len == 1 && text.data[0] == '*') {
        return true;
    }

    if (text.data[0] == '*') {
        text.data++;
        text.len--;

        if (text.len < 2 || !is_beside(text.data[0])) {
            return false;
        }
    } else if (text.data[text.len - 1] == '*') {
        text.len--;

        if (text.len < 2 || !is_beside(text.data[text.len - 1])) {
            return false;
        }
    }

    for (size_t i = 0; i < text.len; i++) {
        char c = mesh_lower(text.data[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) &&
            memchr("-._:[]", c, 6) == NULL) {
            return false;
        }
    }

    return memmem(text.data, text.len, "..", 2) == NULL;
}

static bool has_port(mesh_str_t domain) {
    const char *colon = memrchr(domain.data, ':', domain.len);

    return colon != NULL &&
           memchr(colon, ']', domain.len - (size_t)(colon - domain.data)) ==
               NULL;
}

bool model_decode_domain(model_decoder_t *d, const model_node_t *node,
                         const model_field_t *field, void *out) {
    (void)field;

    if (!model_is_text(node) || !is_domain(node->text)) {
        return model_wrong(d, node, EXPECT_DOMAIN);
    }

    /* It would never match. */
    if (!d->keep_port && has_port(node->text)) {
        return model_wrong(d, node,
                           "a domain without a port, or ignore_port: false "
                           "in route_table");
    }

    mesh_str_t copy = arena_lower(d->arena, node->text);

    memcpy(out, &copy, sizeof(copy));
    return true;
}

static const model_field_t domain_element = {
    .type = MODEL_CUSTOM,
    .decode = model_decode_domain,
    .expected = EXPECT_DOMAIN,
    .pattern = PATTERN_DOMAIN,
    .max = MESH_DOMAIN_MAX,
};

static const model_field_t route_element = {
    .type = MODEL_OBJECT,
    .object = &route_object,
};

#define HOST(member) offsetof(model_vhost_t, member)

static const model_field_t host_fields[] = {
    {.name = "name",
     .type = MODEL_CUSTOM,
     .offset = HOST(name),
     .min = 1,
     .max = MESH_NAME_MAX,
     .decode = decode_name,
     .expected = "text",
     .about = "the host's name; its first domain unless said",
     .pattern = PATTERN_TEXT},
    {.name = "domains",
     .type = MODEL_LIST,
     .flags = MODEL_REQUIRED | MODEL_SINGLE | MODEL_FILLED,
     .offset = HOST(domains),
     .count = HOST(ndomains),
     .size = sizeof(mesh_str_t),
     .element = &domain_element,
     .about =
         "shop.local, *.shop.local, shop.* or *; exact wins, then the longest"},
    {.name = "routes",
     .type = MODEL_LIST,
     .flags = MODEL_REQUIRED | MODEL_FILLED,
     .offset = HOST(routes),
     .count = HOST(nroutes),
     .size = sizeof(model_route_t),
     .element = &route_element,
     .about = "its routes; the first that matches wins"},
    {.name = "request_headers",
     .type = MODEL_CUSTOM,
     .offset = HOST(request_ops),
     .object = &model_header_ops_object,
     .decode = model_decode_request_ops,
     .about =
         "what is done to the request's headers on the way to the endpoint"},
    {.name = "response_headers",
     .type = MODEL_CUSTOM,
     .offset = HOST(response_ops),
     .object = &model_header_ops_object,
     .decode = model_decode_response_ops,
     .about =
         "what is done to the response's headers on the way to the client"},
    {.name = "mirror",
     .type = MODEL_LIST,
     .flags = MODEL_SINGLE | MODEL_FILLED,
     .offset = HOST(mirrors.v),
     .count = HOST(mirrors.count),
     .size = sizeof(model_mirror_t),
     .element = &model_mirror_element,
     .about = "mirrors of routes that say none themselves"},
    {.name = "cors",
     .type = MODEL_OBJECT,
     .offset = HOST(cors),
     .object = &model_cors_object,
     .about = "of its routes, for what they do not say themselves"},
    {.name = "retries"},
    {.name = "timeout"},
    {.name = "rate_limit"},
    {.name = "rate_limits"},
    {.name = "rbac"},
    {.name = "jwt"},
    {.name = "ext_authz"},
    {.name = "tls"},
    {.name = "require_tls"},
    {.name = "hash_policy"},
    {.name = "attempt_count_header"},
};

static bool finish_host(model_decoder_t *d, const model_node_t *node,
                        uint64_t seen, void *out) {
    model_vhost_t *host = out;

    (void)seen;

    host->place = model_place(d, node);

    if (host->name.len == 0) {
        host->name = host->domains[0];
    }

    if (!check_mirrors(d, node, &host->mirrors)) {
        return false;
    }

    model_inherit_policies(host);
    return true;
}

const model_object_t model_host_object = {
    .name = "a host",
    MODEL_FIELDS(host_fields),
    .finish = finish_host,
};
