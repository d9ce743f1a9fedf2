/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Routes as Envoy's resources: what they match and what they do; see
 * xds_text.h.
 */

#include "mesh_subset.h"
#include "xds_text_out.h"

/* --- matches ------------------------------------------------------------- */

static void add_regex(out_t *t, cJSON *map, const char *name,
                      mesh_str_t regex) {
    cJSON *matcher = map_in(t, map, name);

    if (one_in(t, 2)) {
        map_in(t, matcher, "google_re2");
    }
    add_str(t, matcher, "regex", regex);
}

static void add_string_condition(out_t *t, cJSON *matcher,
                                 const model_match_t *m) {
    static const char *const names[] = {
        [MESH_MATCH_EXACT] = "exact",
        [MESH_MATCH_PREFIX] = "prefix",
        [MESH_MATCH_SUFFIX] = "suffix",
        [MESH_MATCH_CONTAINS] = "contains",
    };

    if (m->op == MESH_MATCH_REGEX) {
        add_regex(t, matcher, "safe_regex", m->value);
    } else {
        add_str(t, matcher, names[m->op], m->value);
        add_flag(t, matcher, "ignore_case", m->ignore_case);
    }
}

static void add_string_match(out_t *t, cJSON *map, const model_match_t *m) {
    add_string_condition(t, map_in(t, map, "string_match"), m);
}

static void add_header_condition(out_t *t, cJSON *map, const model_match_t *m) {
    static const char *const older[] = {
        [MESH_MATCH_EXACT] = "exact_match",
        [MESH_MATCH_PREFIX] = "prefix_match",
        [MESH_MATCH_SUFFIX] = "suffix_match",
        [MESH_MATCH_CONTAINS] = "contains_match",
    };
    char text[24];

    switch (m->op) {
    case MESH_MATCH_PRESENT:
        if (one_in(t, 2)) {
            add(t, map, "present_match", cJSON_CreateBool(true));
        }
        return;
    case MESH_MATCH_RANGE:
        map = map_in(t, map, "range_match");
        snprintf(text, sizeof(text), "%lld", (long long)m->start);
        add_text(t, map, "start", text);
        snprintf(text, sizeof(text), "%lld", (long long)m->end);
        add_text(t, map, "end", text);
        return;
    case MESH_MATCH_REGEX:
        if (one_in(t, 2)) {
            add_regex(t, map, "safe_regex_match", m->value);
            return;
        }
        break;
    default:
        if (!m->ignore_case && one_in(t, 2)) {
            add_str(t, map, older[m->op], m->value);
            return;
        }
    }
    add_string_match(t, map, m);
}

static void add_share(out_t *t, cJSON *map, const model_share_t *share) {
    cJSON *fraction = map_in(t, map, "runtime_fraction");

    xds_text_percent(t, map_in(t, fraction, "default_value"), share);
    if (share->key.len != 0) {
        add_str(t, fraction, "runtime_key", share->key);
    }
}

static void add_match_of(out_t *t, cJSON *list, const model_match_t *m) {
    cJSON *map = map_of(list);

    add_str(t, map, "name", m->name);
    if (m->from <= MESH_FROM_SCHEME) {
        add_header_condition(t, map, m);
        add_flag(t, map, "invert_match", m->invert);
        add_flag(t, map, "treat_missing_header_as_empty", m->missing_as_empty);
    } else if (m->op == MESH_MATCH_PRESENT) {
        add(t, map, "present_match", cJSON_CreateBool(!m->invert));
    } else {
        add_string_match(t, map, m);
        if (m->from == MESH_FROM_COOKIE) {
            add_flag(t, map, "invert_match", m->invert);
        }
    }
}

static cJSON *policy(out_t *t, cJSON *map, const char *name) {
    cJSON *item = map_in(t, map, name);

    add_text(t, item, "name", "any");
    return map_in(t, item, "typed_config");
}

void xds_text_matches(out_t *t, cJSON *route, const model_route_t *r) {
    static const char *const paths[] = {
        [MESH_PATH_PREFIX] = "prefix",
        [MESH_PATH_EXACT] = "path",
        [MESH_PATH_SEPARATED] = "path_separated_prefix",
    };
    cJSON *match = map_in(t, route, "match");
    cJSON *lists[3] = {NULL, NULL, NULL};
    static const char *const names[] = {"headers", "query_parameters",
                                        "cookies"};

    if (r->path_match == MESH_PATH_REGEX) {
        add_regex(t, match, "safe_regex", r->path);
    } else if (r->path_match == MESH_PATH_TEMPLATE) {
        cJSON *config = policy(t, match, "path_match_policy");

        add_type(config, "envoy.extensions.path.match.uri_template.v3."
                         "UriTemplateMatchConfig");
        add_str(t, config, "path_template", r->path);
    } else {
        add_str(t, match, paths[r->path_match], r->path);
        if (r->ignore_case || one_in(t, 3)) {
            add(t, match, "case_sensitive", cJSON_CreateBool(!r->ignore_case));
        }
    }
    for (uint32_t i = 0; i < r->nmatches; i++) {
        int k = r->matches[i].from == MESH_FROM_QUERY    ? 1
                : r->matches[i].from == MESH_FROM_COOKIE ? 2
                                                         : 0;
        if (lists[k] == NULL) {
            lists[k] = list_in(t, match, names[k]);
        }
        add_match_of(t, lists[k], &r->matches[i]);
    }
    if (r->grpc) {
        map_in(t, match, "grpc");
    }
    if (r->share.set) {
        add_share(t, match, &r->share);
    }
}

/* --- header operations --------------------------------------------------- */

static void add_op(out_t *t, cJSON *list, const model_header_op_t *op) {
    static const struct {
        const char *name;
        int number;
    } actions[] = {
        [MESH_OP_ADD] = {"APPEND_IF_EXISTS_OR_ADD", 0},
        [MESH_OP_SET] = {"OVERWRITE_IF_EXISTS_OR_ADD", 2},
        [MESH_OP_ADD_IF_ABSENT] = {"ADD_IF_ABSENT", 1},
        [MESH_OP_OVERWRITE] = {"OVERWRITE_IF_EXISTS", 3},
    };
    cJSON *map = map_of(list);
    cJSON *header = map_in(t, map, "header");
    bool old = op->op == MESH_OP_ADD || op->op == MESH_OP_SET;

    add_str(t, header, "key", op->name);
    add_str(t, header, "value", op->value);
    add_flag(t, map, "keep_empty_value", op->value.len == 0 || op->keep_empty);
    if (old && one_in(t, 2)) {
        add(t, map, "append", cJSON_CreateBool(op->op == MESH_OP_ADD));
    } else if (op->op != MESH_OP_ADD || one_in(t, 2)) {
        add_enum(t, map, "append_action", actions[op->op].name,
                 actions[op->op].number);
    }
}

static void add_ops(out_t *t, cJSON *map, const char *kind,
                    const model_header_ops_t *ops) {
    cJSON *added = NULL;
    cJSON *removed = NULL;
    char name[64];

    for (uint32_t i = 0; i < ops->count; i++) {
        bool remove = ops->v[i].op == MESH_OP_REMOVE;
        cJSON **list = remove ? &removed : &added;

        if (*list == NULL) {
            snprintf(name, sizeof(name), "%s_headers_to_%s", kind,
                     remove ? "remove" : "add");
            *list = list_in(t, map, name);
        }
        if (remove) {
            cJSON_AddItemToArray(*list, str_of(ops->v[i].name));
        } else {
            add_op(t, *list, &ops->v[i]);
        }
    }
}

void xds_text_ops(out_t *t, cJSON *map, const model_header_ops_t *req,
                  const model_header_ops_t *resp) {
    add_ops(t, map, "request", req);
    add_ops(t, map, "response", resp);
}

/* --- actions ------------------------------------------------------------- */

/* "; Max-Age=5; Path=/a; SameSite=Lax; Secure; HttpOnly" taken apart. */
static void add_cookie(out_t *t, cJSON *map, mesh_str_t name,
                       mesh_str_t attributes, bool ttl) {
    char *text = strndup(attributes.len ? attributes.data : "", attributes.len);
    char *rest = text;
    cJSON *list = NULL;
    uint32_t age = 0;

    add_str(t, map, "name", name);
    for (char *word; (word = strsep(&rest, ";")) != NULL;) {
        word += strspn(word, " ");
        char *value = strchr(word, '=');

        if (*word == '\0' || strcmp(word, "HttpOnly") == 0) {
            continue;
        }
        if (value != NULL) {
            *value++ = '\0';
        }
        if (strcmp(word, "Max-Age") == 0) {
            age = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(word, "Path") == 0) {
            add_text(t, map, "path", value);
        } else {
            list = list ? list : list_in(t, map, "attributes");
            cJSON *item = map_of(list);
            add_text(t, item, "name", word);
            if (value != NULL) {
                add_text(t, item, "value", value);
            }
        }
    }
    if (ttl) {
        add(t, map, "ttl", ms_of(age * 1000));
    }
    free(text);
}

static void add_regex_rewrite(out_t *t, cJSON *map, const char *name,
                              const model_regex_rewrite_t *regex) {
    cJSON *item = map_in(t, map, name);

    add_regex(t, item, "pattern", regex->pattern);
    if (regex->substitution.len != 0 || one_in(t, 2)) {
        add_str(t, item, "substitution", regex->substitution);
    }
}

static void add_hash_policy(out_t *t, cJSON *list,
                            const model_hash_policy_t *p) {
    cJSON *map = map_of(list), *header;

    switch (p->from) {
    case MESH_HASH_HEADER:
        header = map_in(t, map, "header");
        add_str(t, header, "header_name", p->name);
        if (p->rewrite.pattern.len != 0) {
            add_regex_rewrite(t, header, "regex_rewrite", &p->rewrite);
        }
        break;
    case MESH_HASH_COOKIE:
        add_cookie(t, map_in(t, map, "cookie"), p->name, p->attributes,
                   p->generate);
        break;
    case MESH_HASH_QUERY:
        add_str(t, map_in(t, map, "query_parameter"), "name", p->name);
        break;
    default:
        add(t, map_in(t, map, "connection_properties"), "source_ip",
            cJSON_CreateBool(true));
    }
    add_flag(t, map, "terminal", p->terminal);
}

static void add_session(out_t *t, cJSON *filters, const model_session_t *s) {
    cJSON *per = cJSON_AddObjectToObject(filters, "any name");

    add_type(per, "envoy.extensions.filters.http.stateful_session.v3."
                  "StatefulSessionPerRoute");
    if (!s->set) {
        add(t, per, "disabled", cJSON_CreateBool(true));
        return;
    }
    cJSON *session = map_in(t, per, "stateful_session");
    cJSON *state = map_in(t, session, "session_state");
    add_text(t, state, "name", "envoy.http.stateful_session.any");
    cJSON *config = map_in(t, state, "typed_config");
    if (s->header) {
        add_type(config, "envoy.extensions.http.stateful_session.header.v3."
                         "HeaderBasedSessionState");
        add_str(t, config, "name", s->name);
    } else {
        add_type(config, "envoy.extensions.http.stateful_session.cookie.v3."
                         "CookieBasedSessionState");
        add_cookie(t, map_in(t, config, "cookie"), s->name, s->attributes,
                   true);
    }
    add_flag(t, session, "strict", s->strict);
}

static void add_value(out_t *t, cJSON *map, const char *name,
                      mesh_str_t value) {
    if (value.len != 0 || one_in(t, 4)) {
        add_str(t, map, name, value);
    }
}

static void add_cors(out_t *t, cJSON *map, const model_cors_t *c) {
    if (c->origins.count != 0 || one_in(t, 4)) {
        cJSON *list = list_in(t, map, "allow_origin_string_match");

        for (uint32_t i = 0; i < c->origins.count; i++) {
            add_string_condition(t, map_of(list), &c->origins.v[i]);
        }
    }
    add_value(t, map, "allow_methods", c->methods);
    add_value(t, map, "allow_headers", c->headers);
    add_value(t, map, "expose_headers", c->expose);
    add_value(t, map, "max_age", c->max_age);
    add_flag(t, map, "allow_credentials", c->credentials);
    add_flag(t, map, "allow_private_network_access", c->private_network);
    if (!c->forward_foreign || one_in(t, 2)) {
        add(t, map, "forward_not_matching_preflights",
            cJSON_CreateBool(c->forward_foreign));
    }
    if (one_in(t, 4)) {
        cJSON *share =
            map_in(t, map_in(t, map, "filter_enabled"), "default_value");

        add_number(t, share, "numerator", 100);
    }
}

static void add_filters(out_t *t, cJSON *route, const model_route_t *r,
                        bool cors) {
    static const char buffer[] =
        "envoy.extensions.filters.http.buffer.v3.BufferPerRoute";
    cJSON *filters = map_in(t, route, "typed_per_filter_config");

    if (r->session.set || one_in(t, 4)) {
        add_session(t, filters, &r->session);
    }
    if (r->body_limit != 0) {
        cJSON *map = cJSON_AddObjectToObject(filters, "b");

        add_type(map, buffer);
        add_number(t, map_in(t, map, "buffer"), "max_request_bytes",
                   r->body_limit);
    } else if (one_in(t, 4)) {
        cJSON *map = cJSON_AddObjectToObject(filters, "b");

        add_type(map, buffer);
        add(t, map, "disabled", cJSON_CreateBool(true));
    }
    if (cors) {
        cJSON *map = cJSON_AddObjectToObject(filters, "c");

        add_type(map, "envoy.extensions.filters.http.cors.v3.CorsPolicy");
        add_cors(t, map, &r->cors);
    }
}

static void add_mirrors(out_t *t, cJSON *map, const model_mirrors_t *mirrors) {
    cJSON *list;

    if (mirrors->count == 0) {
        return;
    }
    list = list_in(t, map, "request_mirror_policies");
    for (uint32_t i = 0; i < mirrors->count; i++) {
        const model_mirror_t *m = &mirrors->v[i];
        cJSON *item = map_of(list);

        add_str(t, item, "cluster", m->cluster);
        if (m->share.ppm != MESH_SHARE_ALL || m->share.denominator != 100 ||
            m->share.key.len != 0 || one_in(t, 2)) {
            add_share(t, item, &m->share);
        }
        add_flag(t, item, "disable_shadow_host_suffix_append", !m->shadow_host);
    }
}

static void add_follow(out_t *t, cJSON *map,
                       const model_internal_redirects_t *follow) {
    static const uint16_t statuses[] = {301, 302, 303, 307, 308};

    if (!follow->set) {
        return;
    }
    cJSON *policy = map_in(t, map, "internal_redirect_policy");
    if (follow->max != 1 || one_in(t, 2)) {
        add_number(t, policy, "max_internal_redirects", follow->max);
    }
    if (follow->codes != MESH_FOLLOW_302 || one_in(t, 2)) {
        cJSON *list = list_in(t, policy, "redirect_response_codes");

        for (size_t i = 0; i < mesh_nelts(statuses); i++) {
            if (follow->codes & mesh_follow_bit(statuses[i])) {
                cJSON_AddItemToArray(list, cJSON_CreateNumber(statuses[i]));
            }
        }
    }
    add_flag(t, policy, "allow_cross_scheme_redirect", follow->cross_scheme);
}

static void add_retry(out_t *t, cJSON *map, const model_retry_t *r) {
    static const struct {
        const char *word;
        uint32_t on;
        uint32_t grpc;
    } words[] = {{"connect-failure", MESH_RETRY_CONNECT_FAILURE, 0},
                 {"reset", MESH_RETRY_RESET, 0},
                 {"gateway-error", MESH_RETRY_GATEWAY_ERROR, 0},
                 {"5xx", MESH_RETRY_5XX, 0},
                 {"retriable-status-codes", MESH_RETRY_STATUS, 0},
                 {"cancelled", 0, 1u << 1},
                 {"deadline-exceeded", 0, 1u << 4},
                 {"resource-exhausted", 0, 1u << 8},
                 {"internal", 0, 1u << 13},
                 {"unavailable", 0, 1u << 14}};
    char on[256] = "";
    size_t len = 0;

    if (!r->set) {
        return;
    }
    cJSON *retry = map_in(t, map, "retry_policy");
    for (size_t i = 0; i < mesh_nelts(words); i++) {
        if ((r->on & words[i].on) || (r->grpc & words[i].grpc)) {
            len += (size_t)snprintf(on + len, sizeof(on) - len, "%s%s",
                                    len ? (one_in(t, 2) ? ", " : ",") : "",
                                    words[i].word);
        }
    }
    add_text(t, retry, "retry_on", on);
    add_number(t, retry, "num_retries", r->attempts);
    if (r->per_try_timeout_ms != 0) {
        add(t, retry, "per_try_timeout", ms_of(r->per_try_timeout_ms));
    }
    cJSON *codes = list_in(t, retry, "retriable_status_codes");
    for (uint32_t i = 0; i < r->ncodes; i++) {
        cJSON_AddItemToArray(codes, cJSON_CreateNumber(r->codes[i]));
    }
}

static void add_unescaped(cJSON *map, mesh_str_t key, mesh_str_t value) {
    mesh_str_t texts[2] = {key, value};
    char out[2][MESH_SUBSET_NAME_MAX + 1];

    for (int i = 0; i < 2; i++) {
        out[i][mesh_subset_unescape(texts[i], out[i])] = '\0';
    }
    cJSON_AddStringToObject(map, out[0], out[1]);
}

/* The labels that the name of a subset is made of. */
static void add_criteria(out_t *t, cJSON *map, mesh_str_t subset) {
    mesh_str_t label;
    mesh_str_t key;

    if (subset.len == 0) {
        return;
    }
    cJSON *filters =
        map_in(t, map_in(t, map, "metadata_match"), "filter_metadata");
    cJSON *labels = cJSON_AddObjectToObject(filters, "envoy.lb");
    while (mesh_subset_next(&subset, &label, &key)) {
        add_unescaped(
            labels, key,
            (mesh_str_t){label.len - key.len - 1, label.data + key.len + 1});
    }
}

/* Of the route, where the cluster has a label of that key itself. */
static void add_outdone(out_t *t, cJSON *map, mesh_str_t subset) {
    char name[MESH_SUBSET_NAME_MAX];
    mesh_str_t label;
    mesh_str_t key;

    (void)mesh_subset_next(&subset, &label, &key);
    memcpy(name, key.data, key.len);
    memcpy(name + key.len, "=other", 6);
    add_criteria(t, map, (mesh_str_t){key.len + 6, name});
}

static void add_split(out_t *t, cJSON *action, const model_route_t *r) {
    const model_split_t *one = r->split;

    if (r->nsplit == 1 && one->request_ops.count == 0 &&
        one->response_ops.count == 0 && one->weight == 1 &&
        one->host_rewrite.len == 0 && r->split_by.by == MODEL_SPLIT_BY_TICKET) {
        add_str(t, action, one->by_header ? "cluster_header" : "cluster",
                one->cluster);
        add_criteria(t, action, one->subset);
        return;
    }
    if (r->nsplit == 1 && one->subset.len != 0) {
        add_outdone(t, action, one->subset);
    }
    cJSON *weighted = map_in(t, action, "weighted_clusters");
    cJSON *list = list_in(t, weighted, "clusters");
    if (r->split_by.by == MODEL_SPLIT_BY_HEADER) {
        add_str(t, weighted, "header_name", r->split_by.header);
    } else if (r->split_by.by == MODEL_SPLIT_BY_HASH || one_in(t, 4)) {
        add(t, weighted, "use_hash_policy",
            cJSON_CreateBool(r->split_by.by == MODEL_SPLIT_BY_HASH));
    }
    for (uint32_t i = 0; i < r->nsplit; i++) {
        cJSON *item = map_of(list);

        add_str(t, item, r->split[i].by_header ? "cluster_header" : "name",
                r->split[i].cluster);
        add_number(t, item, "weight", r->split[i].weight);
        xds_text_ops(t, item, &r->split[i].request_ops,
                     &r->split[i].response_ops);
        add_criteria(t, item, r->split[i].subset);
        if (r->split[i].host_rewrite.len != 0) {
            add_str(t, item, "host_rewrite_literal", r->split[i].host_rewrite);
        }
    }
}

static void add_not_found(out_t *t, cJSON *action, const model_route_t *r) {
    static const char *const names[] = {"SERVICE_UNAVAILABLE", "NOT_FOUND",
                                        "INTERNAL_SERVER_ERROR"};

    for (uint32_t i = 0; i < r->nsplit; i++) {
        uint32_t status = r->split[i].not_found;
        uint32_t n = status == 404 ? 1 : status == 500 ? 2 : 0;

        if (r->split[i].by_header && (n != 0 || one_in(t, 2))) {
            add_enum(t, action, "cluster_not_found_response_code", names[n], n);
            return;
        }
    }
}

static void add_rewrite(out_t *t, cJSON *action, const model_route_t *r) {
    const model_rewrite_t *to = &r->rewrite;
    cJSON *config;

    if (r->has_prefix_rewrite) {
        add_str(t, action, "prefix_rewrite", r->prefix_rewrite);
    }
    switch (to->path) {
    case MESH_REWRITE_KEEP:
        break;
    case MESH_REWRITE_REGEX:
        add_regex_rewrite(t, action, "regex_rewrite", &to->regex);
        break;
    case MESH_REWRITE_TEMPLATE:
        config = policy(t, action, "path_rewrite_policy");
        add_type(config, "envoy.extensions.path.rewrite.uri_template.v3."
                         "UriTemplateRewriteConfig");
        add_str(t, config, "path_template_rewrite", to->text);
        break;
    case MESH_REWRITE_WHOLE:
        add_str(t, action, "path_rewrite", to->text);
    }
    if (r->host_rewrite.len != 0) {
        add_str(t, action, "host_rewrite_literal", r->host_rewrite);
    } else if (to->host == MESH_HOST_HEADER) {
        add_str(t, action, "host_rewrite_header", to->header);
    } else if (to->host == MESH_HOST_PATH) {
        add_regex_rewrite(t, action, "host_rewrite_path_regex",
                          &to->host_regex);
    } else if (to->host == MESH_HOST_ENDPOINT) {
        add(t, action, "auto_host_rewrite", cJSON_CreateBool(true));
    }
    add_flag(t, action, "append_x_forwarded_host", to->forward_host);
}

static void add_route_action(out_t *t, cJSON *map, const model_route_t *r) {
    cJSON *action = map_in(t, map, "route");

    add_split(t, action, r);
    add_not_found(t, action, r);
    add_rewrite(t, action, r);
    add(t, action, "timeout", ms_of(r->timeout_ms));
    if (r->idle_timeout_ms != 0) {
        add(t, action, "idle_timeout", ms_of(r->idle_timeout_ms));
    }
    add_retry(t, action, &r->retry);
    if (r->nhash_policies != 0) {
        cJSON *list = list_in(t, action, "hash_policy");

        for (uint32_t i = 0; i < r->nhash_policies; i++) {
            add_hash_policy(t, list, &r->hash_policies[i]);
        }
    }
    bool old = one_in(t, 2);
    add_mirrors(t, action, &r->mirrors);
    add_follow(t, action, &r->follow);
    if (r->cors.set && old) {
        add_cors(t, map_in(t, action, "cors"), &r->cors);
    }
    add_filters(t, map, r, r->cors.set && !old);
}

static void add_redirect(out_t *t, cJSON *map, const model_redirect_t *to) {
    static const struct {
        uint32_t status;
        const char *name;
    } codes[] = {{301, "MOVED_PERMANENTLY"},
                 {302, "FOUND"},
                 {303, "SEE_OTHER"},
                 {307, "TEMPORARY_REDIRECT"},
                 {308, "PERMANENT_REDIRECT"}};
    cJSON *out = map_in(t, map, "redirect");

    if (mesh_str_eq(to->scheme, MESH_STR("https")) && one_in(t, 2)) {
        add(t, out, "https_redirect", cJSON_CreateBool(true));
    } else if (to->scheme.len != 0) {
        add_str(t, out, "scheme_redirect", to->scheme);
    }
    if (to->host.len != 0) {
        add_str(t, out, "host_redirect", to->host);
    }
    if (to->port != 0) {
        add_number(t, out, "port_redirect", to->port);
    }
    if (to->path.len != 0) {
        add_str(t, out, "path_redirect", to->path);
    }
    if (to->has_prefix) {
        add_str(t, out, "prefix_rewrite", to->prefix);
    }
    if (to->regex.pattern.len != 0) {
        add_regex_rewrite(t, out, "regex_rewrite", &to->regex);
    }
    for (uint32_t i = 0; i < mesh_nelts(codes); i++) {
        if (codes[i].status == to->status && (i > 0 || one_in(t, 2))) {
            add_enum(t, out, "response_code", codes[i].name, i);
        }
    }
    add_flag(t, out, "strip_query", to->strip_query);
}

static void add_direct(out_t *t, cJSON *map, const model_route_t *r) {
    cJSON *out = map_in(t, map, "direct_response");

    add_number(t, out, "status", r->direct_status);
    if (r->direct_body.len != 0 || one_in(t, 2)) {
        add_str(t, map_in(t, out, "body"), "inline_string", r->direct_body);
    }
}

void xds_text_action(out_t *t, cJSON *map, const model_route_t *r) {
    switch (r->action) {
    case MESH_ACTION_ROUTE:
        add_route_action(t, map, r);
        break;
    case MESH_ACTION_REDIRECT:
        add_redirect(t, map, &r->redirect);
        break;
    case MESH_ACTION_DIRECT:
        add_direct(t, map, r);
    }
}
