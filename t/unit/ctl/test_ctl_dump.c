/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `meshctl dump` of random meshes: nothing is left out, and nothing is said
 * otherwise than the model says it.
 */

#include "ctl_call.h"

#include <arpa/inet.h>
#include <math.h>

#include "model_random.h"
#include "text_zone.h"

static const cJSON *domain_of(const cJSON *json, mesh_str_t table,
                              mesh_str_t domain) {
    const cJSON *tables = at(json, "route_tables");
    char key[300];

    snprintf(key, sizeof(key), "%.*s", (int)table.len, table.data);
    const cJSON *t = cJSON_GetObjectItemCaseSensitive(tables, key);
    snprintf(key, sizeof(key), "%.*s", (int)domain.len, domain.data);
    const cJSON *host = cJSON_GetObjectItemCaseSensitive(at(t, "domains"), key);
    if (host == NULL) {
        fail_msg("domain %s is not there", key);
    }
    return host;
}

static void same_text(const cJSON *json, const char *key, mesh_str_t wanted) {
    const char *text =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));
    mesh_str_t found = text ? mesh_str_from(text) : MESH_STR("");
    char plain[2048];

    /* As people may see it: no control characters. */
    snprintf(plain, sizeof(plain), "%.*s", (int)wanted.len,
             wanted.len ? wanted.data : "");
    for (char *p = plain; *p; p++) {
        *p = *p == '\t' ? '?' : *p;
    }
    if (!mesh_str_eq(found, mesh_str_from(plain))) {
        fail_msg("%s is \"%s\", not \"%s\"", key, text ? text : "", plain);
    }
}

static void same_number(const cJSON *json, const char *key, uint64_t wanted) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);

    if ((item ? item->valuedouble : 0) != (double)wanted) {
        fail_msg("%s is %.0f, not %llu", key, item ? item->valuedouble : 0.0,
                 (unsigned long long)wanted);
    }
}

/* Exact, where a double is not. */
static void same_i64(const cJSON *json, const char *key, int64_t wanted) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);

    assert_non_null(item);
    if (cJSON_IsString(item)) {
        assert_true(strtoll(item->valuestring, NULL, 10) == wanted);
    } else {
        assert_true(item->valuedouble == (double)wanted);
    }
}

static void same_bool(const cJSON *json, const char *key, bool wanted) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);

    if (cJSON_IsTrue(item) != (cJSON_bool)wanted) {
        fail_msg("%s is not %d", key, wanted);
    }
}

static void same_ops(const cJSON *json, const char *key,
                     const model_header_ops_t *ops) {
    static const char *const names[] = {"add", "set", "remove", "add_if_absent",
                                        "overwrite_if_exists"};
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, key);

    assert_int_equal(list ? cJSON_GetArraySize(list) : 0, ops->count);
    for (uint32_t i = 0; i < ops->count; i++) {
        const cJSON *item = cJSON_GetArrayItem(list, (int)i);
        same_text(item, "op", mesh_str_from(names[ops->v[i].op]));
        same_text(item, "name", ops->v[i].name);
        same_text(item, "value", ops->v[i].value);
        same_bool(item, "keep_empty_value", ops->v[i].keep_empty);
    }
}

static void same_value(const cJSON *json, const model_match_t *m) {
    static const char *const names[] = {
        [MESH_MATCH_EXACT] = "exact",       [MESH_MATCH_PREFIX] = "prefix",
        [MESH_MATCH_SUFFIX] = "suffix",     [MESH_MATCH_REGEX] = "regex",
        [MESH_MATCH_CONTAINS] = "contains",
    };

    assert_non_null(json);
    same_text(json, "name", m->name);
    same_bool(json, "invert", m->invert);
    same_bool(json, "ignore_case", m->ignore_case);
    same_bool(json, "treat_missing_as_empty", m->missing_as_empty);
    same_bool(json, "present", m->op == MESH_MATCH_PRESENT);
    for (size_t i = 0; i < mesh_nelts(names); i++) {
        if (names[i] != NULL && i != m->op) {
            assert_null(at(json, names[i]));
        }
    }
    if (m->op == MESH_MATCH_RANGE) {
        same_i64(at(json, "range"), "start", m->start);
        same_i64(at(json, "range"), "end", m->end);
    } else if (m->op != MESH_MATCH_PRESENT) {
        same_text(json, names[m->op], m->value);
    }
}

static void same_values(const cJSON *json, const model_route_t *r) {
    uint32_t counts[4] = {0};
    const char *const names[] = {"headers", "query", "cookies", "connection"};

    for (uint32_t i = 0; i < r->nmatches; i++) {
        const model_match_t *m = &r->matches[i];
        int list = m->from == MESH_FROM_QUERY    ? 1
                   : m->from == MESH_FROM_COOKIE ? 2
                   : m->from > MESH_FROM_COOKIE  ? 3
                                                 : 0;
        same_value(
            cJSON_GetArrayItem(at(json, names[list]), (int)counts[list]++), m);
    }
    for (size_t i = 0; i < mesh_nelts(names); i++) {
        const cJSON *list = at(json, names[i]);
        assert_int_equal(list ? cJSON_GetArraySize(list) : 0, counts[i]);
    }
}

static void same_source(const cJSON *list, const model_route_t *r) {
    assert_int_equal(list ? cJSON_GetArraySize(list) : 0, r->addresses.count);
    for (uint32_t i = 0; i < r->addresses.count; i++) {
        const mesh_cidr_t *c = &r->addresses.v[i];
        char host[INET6_ADDRSTRLEN], text[64];

        inet_ntop(c->family == MESH_FAMILY_IPV4 ? AF_INET : AF_INET6, c->addr,
                  host, sizeof(host));
        snprintf(text, sizeof(text), "%s/%u", host, c->bits);
        assert_string_equal(cJSON_GetArrayItem(list, (int)i)->valuestring,
                            text);
    }
}

/* Whose dump is compared. */
static const model_part_t *whole;

static const model_share_t *value_of(mesh_str_t key) {
    for (uint32_t i = 0; key.len != 0 && i < whole->nruntime; i++) {
        if (mesh_str_eq(whole->runtime[i].name, key)) {
            return &whole->runtime[i].share;
        }
    }
    return NULL;
}

static void same_percentage(const cJSON *json, const model_share_t *share) {
    assert_true(cJSON_IsNumber(json));
    assert_true(fabs(json->valuedouble * 10000 - share->ppm) < 0.01);
}

/* What is in force, and what it was made of. */
static void same_share(const cJSON *json, const model_share_t *share) {
    const model_share_t *value = value_of(share->key);

    if (share->key.len == 0) {
        same_percentage(json, share);
        return;
    }
    same_text(json, "runtime_key", share->key);
    same_percentage(at(json, "default"), share);
    same_percentage(at(json, "value"), value ? value : share);
    assert_int_equal(cJSON_IsTrue(at(json, "set")), value != NULL);
}

static void same_runtime(const cJSON *json) {
    assert_int_equal(cJSON_GetArraySize(json), whole->nruntime);
    for (uint32_t i = 0; i < whole->nruntime; i++) {
        const model_runtime_t *r = &whole->runtime[i];
        char *key = strndup(r->name.data, r->name.len);

        same_percentage(cJSON_GetObjectItemCaseSensitive(json, key), &r->share);
        free(key);
    }
}

static void same_match(const cJSON *json, const model_route_t *r) {
    static const char *const names[] = {
        [MESH_PATH_PREFIX] = "prefix",
        [MESH_PATH_EXACT] = "exact",
        [MESH_PATH_SEPARATED] = "separated_prefix",
        [MESH_PATH_REGEX] = "regex",
        [MESH_PATH_TEMPLATE] = "template",
    };
    const cJSON *methods = at(json, "methods");
    const cJSON *share = at(json, "percentage");

    same_text(json, names[r->path_match], r->path);
    same_bool(json, "ignore_case", r->ignore_case);
    same_bool(json, "grpc", r->grpc);
    assert_int_equal(methods ? cJSON_GetArraySize(methods) : 0,
                     __builtin_popcount(r->methods));
    same_values(json, r);
    same_source(at(json, "source"), r);
    assert_int_equal(share != NULL, r->share.set);
    if (share != NULL) {
        same_share(share, &r->share);
    }
}

static void same_regex(const cJSON *json, const model_regex_rewrite_t *r) {
    assert_int_equal(json != NULL, r->pattern.len != 0);
    same_text(json, "pattern", r->pattern);
    same_text(json, "substitution", r->substitution);
}

static void same_affinity(const cJSON *json, const model_route_t *r) {
    static const char *const names[] = {"header", "cookie", "source_ip",
                                        "query_parameter", "path"};
    const cJSON *by = at(json, "split_by");
    assert_int_equal(by != NULL, r->split_by.by != MODEL_SPLIT_BY_TICKET);
    if (r->split_by.by == MODEL_SPLIT_BY_HASH) {
        same_text(json, "split_by", MESH_STR("hash"));
    } else if (by != NULL) {
        same_text(by, "header", r->split_by.header);
    }
    const cJSON *list = at(json, "hash_policy");
    const cJSON *session = at(json, "stateful_session");

    assert_int_equal(list ? cJSON_GetArraySize(list) : 0, r->nhash_policies);
    for (uint32_t i = 0; i < r->nhash_policies; i++) {
        const model_hash_policy_t *p = &r->hash_policies[i];
        const cJSON *item = cJSON_GetArrayItem(list, (int)i);
        if (p->name.len) {
            same_text(item, names[p->from], p->name);
        } else {
            same_bool(item, names[p->from], true);
        }
        same_text(item, "set_cookie", p->attributes);
        same_regex(at(item, "regex_rewrite"), &p->rewrite);
        same_bool(item, "terminal", p->terminal);
    }
    assert_int_equal(session != NULL, r->session.set);
    same_text(session, r->session.header ? "header" : "cookie",
              r->session.name);
    same_text(session, "set_cookie", r->session.attributes);
    same_bool(session, "strict", r->session.strict);
}

static void same_cors(const cJSON *json, const model_cors_t *cors) {
    assert_int_equal(json != NULL, cors->set);
    if (json == NULL) {
        return;
    }
    const cJSON *list = at(json, "allow_origin");
    assert_int_equal(list ? cJSON_GetArraySize(list) : 0, cors->origins.count);
    for (uint32_t i = 0; i < cors->origins.count; i++) {
        const cJSON *item = cJSON_GetArrayItem(list, (int)i);
        assert_null(at(item, "name"));
        model_match_t unnamed = cors->origins.v[i];
        unnamed.name = MESH_STR_NULL;
        same_value(item, &unnamed);
    }
    same_text(json, "allow_methods", cors->methods);
    same_text(json, "allow_headers", cors->headers);
    same_text(json, "expose_headers", cors->expose);
    same_text(json, "max_age", cors->max_age);
    same_bool(json, "allow_credentials", cors->credentials);
    same_bool(json, "allow_private_network_access", cors->private_network);
    assert_int_equal(cJSON_IsFalse(at(json, "forward_not_matching_preflights")),
                     !cors->forward_foreign);
}

static void same_policies(const cJSON *json, const model_route_t *r) {
    static const uint16_t known[] = {301, 302, 303, 307, 308};
    const cJSON *follow = at(json, "internal_redirects");
    const cJSON *mirrors = at(json, "mirror");

    same_cors(at(json, "cors"), &r->cors);
    same_number(json, "max_request_body", r->body_limit);
    assert_int_equal(follow != NULL, r->follow.set);
    if (follow != NULL) {
        const cJSON *code = at(follow, "codes")->child;
        same_number(follow, "max", r->follow.max);
        same_bool(follow, "allow_cross_scheme", r->follow.cross_scheme);
        for (size_t i = 0; i < mesh_nelts(known); i++) {
            if (r->follow.codes & mesh_follow_bit(known[i])) {
                assert_int_equal(code->valueint, known[i]);
                code = code->next;
            }
        }
        assert_null(code);
    }
    assert_int_equal(mirrors ? cJSON_GetArraySize(mirrors) : 0,
                     r->mirrors.count);
    for (uint32_t i = 0; i < r->mirrors.count; i++) {
        const model_mirror_t *m = &r->mirrors.v[i];
        const cJSON *item = cJSON_GetArrayItem(mirrors, (int)i);
        const cJSON *share = at(item, "percentage");
        same_text(item, "cluster", m->cluster);
        same_text(item, "subset", m->subset);
        if (share != NULL) {
            same_share(share, &m->share);
        } else {
            assert_int_equal(m->share.ppm, MESH_SHARE_ALL);
            assert_int_equal(m->share.key.len, 0);
        }
        assert_int_equal(cJSON_IsFalse(at(item, "shadow_host")),
                         !m->shadow_host);
    }
}

static void same_retry(const cJSON *json, const model_retry_t *r) {
    if (!r->set) {
        assert_null(json);
        return;
    }
    same_number(json, "attempts", r->attempts);
    same_number(json, "per_try_timeout_ms", r->per_try_timeout_ms);
    assert_int_equal(cJSON_GetArraySize(at(json, "on")),
                     __builtin_popcount(r->on));
    const cJSON *codes = at(json, "statuses");
    assert_int_equal(codes ? cJSON_GetArraySize(codes) : 0, r->ncodes);
    for (uint32_t i = 0; i < r->ncodes; i++) {
        assert_int_equal(cJSON_GetArrayItem(codes, (int)i)->valueint,
                         r->codes[i]);
    }
    const cJSON *grpc = at(json, "grpc_statuses");
    assert_int_equal(grpc ? cJSON_GetArraySize(grpc) : 0,
                     __builtin_popcount(r->grpc));
    for (const cJSON *i = grpc ? grpc->child : NULL; i; i = i->next) {
        assert_true(r->grpc >> i->valueint & 1);
    }
}

static void same_split(const cJSON *list, const model_route_t *r) {
    const cJSON *item = list->child;

    for (uint32_t i = 0; i < r->nsplit; i++) {
        const model_split_t *s = &r->split[i];
        if (s->weight == 0) {
            continue;
        }
        same_text(item, s->by_header ? "cluster_header" : "cluster",
                  s->cluster);
        same_number(item, "cluster_not_found_status", s->not_found);
        same_text(item, "subset", s->subset);
        same_number(item, "weight", s->weight);
        same_text(item, "host_rewrite", s->host_rewrite);
        same_ops(item, "request_headers", &s->request_ops);
        same_ops(item, "response_headers", &s->response_ops);
        item = item->next;
    }
    assert_null(item);
}

static void same_rewrite(const cJSON *json, const model_rewrite_t *r) {
    same_regex(at(json, "regex"), &r->regex);
    same_text(json, r->path == MESH_REWRITE_WHOLE ? "path" : "template",
              r->text);
    same_text(json, "host_from_header", r->header);
    same_regex(at(json, "host_from_path"), &r->host_regex);
    same_bool(json, "host_from_endpoint", r->host == MESH_HOST_ENDPOINT);
    same_bool(json, "append_x_forwarded_host", r->forward_host);
}

static void same_route(const cJSON *json, const model_route_t *r) {
    const cJSON *redirect = at(json, "redirect");
    const cJSON *respond = at(json, "respond");

    same_text(json, "name", r->name);
    same_match(at(json, "match"), r);
    assert_int_equal(at(json, "route") != NULL, r->action == MESH_ACTION_ROUTE);
    assert_int_equal(redirect != NULL, r->action == MESH_ACTION_REDIRECT);
    assert_int_equal(respond != NULL, r->action == MESH_ACTION_DIRECT);
    if (r->action == MESH_ACTION_ROUTE) {
        same_split(at(json, "route"), r);
    } else if (redirect != NULL) {
        same_number(redirect, "status", r->redirect.status);
        same_text(redirect, "scheme", r->redirect.scheme);
        same_text(redirect, "host", r->redirect.host);
        same_number(redirect, "port", r->redirect.port);
        same_text(redirect, "path", r->redirect.path);
        same_text(redirect, "prefix", r->redirect.prefix);
        same_regex(at(at(redirect, "rewrite"), "regex"), &r->redirect.regex);
        same_bool(redirect, "strip_query", r->redirect.strip_query);
    } else {
        same_number(respond, "status", r->direct_status);
        same_text(respond, "body", r->direct_body);
    }
    same_text(json, "prefix_rewrite", r->prefix_rewrite);
    same_text(json, "host_rewrite", r->host_rewrite);
    same_rewrite(at(json, "rewrite"), &r->rewrite);
    same_ops(json, "request_headers", &r->request_ops);
    same_ops(json, "response_headers", &r->response_ops);
    same_retry(at(json, "retries"), &r->retry);
    same_affinity(json, r);
    same_policies(json, r);
    same_number(json, "timeout_ms", r->timeout_ms);
    same_number(json, "idle_timeout_ms", r->idle_timeout_ms);
}

static void same_host(const cJSON *json, const model_vhost_t *h) {
    const cJSON *routes = at(json, "routes");

    same_text(json, "name", h->name);
    same_ops(json, "request_headers", &h->request_ops);
    same_ops(json, "response_headers", &h->response_ops);
    assert_int_equal(cJSON_GetArraySize(routes), h->nroutes);
    for (uint32_t i = 0; i < h->nroutes; i++) {
        same_route(cJSON_GetArrayItem(routes, (int)i), &h->routes[i]);
    }
}

static void same_labels(const cJSON *json, const model_labels_t *labels) {
    assert_int_equal(json ? cJSON_GetArraySize(json) : 0, labels->count);
    for (uint32_t i = 0; i < labels->count; i++) {
        assert_non_null(
            cJSON_GetObjectItemCaseSensitive(json, labels->v[i].name.data));
        same_text(json, labels->v[i].name.data, labels->v[i].value);
    }
}

static void same_outlier(const cJSON *json, const model_outlier_t *o) {
    assert_int_equal(json != NULL, o->set);
    if (!o->set) {
        return;
    }
    same_number(json, "consecutive_5xx", o->consecutive_5xx);
    same_number(json, "consecutive_gateway_failure",
                o->consecutive_gateway_failure);
    same_number(json, "consecutive_local_failure",
                o->consecutive_local_failure);
    same_bool(json, "split_local", o->split_local);
    same_number(json, "base_ejection_ms", o->base_ejection_ms);
    same_number(json, "max_ejection_ms", o->max_ejection_ms);
    same_number(json, "jitter_ms", o->jitter_ms);
    same_number(json, "max_ejection_percent", o->max_ejection_percent);
}

static void same_endpoints(const cJSON *list, const model_endpoint_set_t *set) {
    static const char *const healths[] = {"", "healthy", "unhealthy",
                                          "draining"};

    assert_int_equal(cJSON_GetArraySize(list), set ? set->count : 0);
    for (uint32_t i = 0; set && i < set->count; i++) {
        const cJSON *item = cJSON_GetArrayItem(list, (int)i);
        const model_endpoint_t *e = &set->v[i];
        same_number(item, "weight", e->weight);
        same_text(item, "health", mesh_str_from(healths[e->health]));
        same_labels(at(item, "labels"), &e->labels);
        same_text(item, "region", e->locality.region);
        same_text(item, "zone", e->locality.zone);
        same_text(item, "sub_zone", e->locality.sub_zone);
        same_number(item, "priority", e->priority);
        if (e->family == MESH_FAMILY_UNIX) {
            const char *address = at(item, "address")->valuestring;
            assert_true(mesh_str_eq(mesh_str_from(address + 5), e->host));
        }
    }
}

static const model_endpoint_set_t *set_of(const model_part_t *part,
                                          const model_cluster_t *c) {
    mesh_str_t name = c->endpoint_set.len ? c->endpoint_set : c->name;

    for (uint32_t i = 0; i < part->nsets; i++) {
        if (mesh_str_eq(part->sets[i].name, name)) {
            return &part->sets[i];
        }
    }
    return NULL;
}

static void same_milli(const cJSON *json, const char *key, bool there,
                       uint32_t milli) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);

    assert_int_equal(item != NULL, there);
    assert_true(!there || fabs(item->valuedouble * 1000 - milli) < 0.01);
}

static void same_lb(const cJSON *json, const model_cluster_t *c) {
    static const char *const policies[] = {"round_robin", "least_request",
                                           "random",      "ring_hash",
                                           "maglev",      "peak_ewma"};
    const cJSON *slow = at(json, "slow_start");

    same_text(json, "lb", mesh_str_from(policies[c->lb]));
    same_number(json, "lb_choices", c->lb_choices);
    same_number(json, "table_size", c->lb_table_size);
    same_number(json, "minimum_ring_size", c->lb_ring_min);
    same_number(json, "maximum_ring_size", c->lb_ring_max);
    same_number(json, "hash_balance_factor", c->lb_balance_factor);
    same_bool(json, "full_scan", c->lb_full_scan);
    same_bool(json, "locality_failover", c->lb_failover);
    same_milli(json, "active_request_bias", c->lb_bias_set, c->lb_bias_milli);
    same_number(json, "decay_time_ms", c->lb_decay_ms);
    same_number(json, "default_rtt_ms", c->lb_default_rtt_ms);
    same_number(slow, "window_ms", c->slow_start_ms);
    same_milli(slow, "aggression", c->slow_start_ms != 0, c->aggression_milli);
    same_number(slow, "min_weight_percent", c->min_weight_percent);
}

static void same_weights(const cJSON *list, const model_cluster_t *c) {
    assert_int_equal(list ? cJSON_GetArraySize(list) : 0, c->nlocality_weights);
    for (uint32_t i = 0; i < c->nlocality_weights; i++) {
        const cJSON *item = cJSON_GetArrayItem(list, (int)i);
        const model_locality_weight_t *w = &c->locality_weights[i];
        bool any = w->priority == MESH_PRIORITY_ANY;

        same_text(item, "region", w->locality.region);
        same_text(item, "zone", w->locality.zone);
        same_number(item, "weight", w->weight);
        same_number(item, "priority", any ? 0 : w->priority);
        assert_int_equal(at(item, "priority") == NULL, any);
    }
}

static void same_zone_aware(const cJSON *json, const model_zone_aware_t *z) {
    assert_int_equal(json != NULL, z->set);
    if (!z->set) {
        return;
    }
    same_text(json, "local_cluster", z->local_cluster);
    same_number(json, "routing_enabled", z->enabled_percent);
    same_number(json, "min_cluster_size", z->min_size);
    same_number(json, "force_local_zone", z->force_min);
    same_bool(json, "fail_traffic_on_panic", z->fail_on_panic);
    same_text(json, "locality_basis",
              z->basis == MODEL_BASIS_WEIGHT ? MESH_STR("weight")
                                             : MESH_STR("count"));
}

static void same_keys(const cJSON *json, const mesh_str_t *keys,
                      uint32_t count) {
    const cJSON *list = at(json, "keys");

    assert_int_equal(cJSON_GetArraySize(list), count);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(mesh_str_eq(
            keys[i],
            mesh_str_from(cJSON_GetArrayItem(list, (int)i)->valuestring)));
    }
}

static void same_fallback(const cJSON *json, const char *name,
                          const model_fallback_t *f, const char *none) {
    same_text(json, name,
              f->kind == MODEL_FALLBACK_ANY    ? MESH_STR("any")
              : f->kind == MODEL_FALLBACK_NONE ? mesh_str_from(none)
                                               : MESH_STR_NULL);
    same_text(at(json, name), "subset", f->subset);
    same_keys(at(json, name), f->keys, f->nkeys);
}

static void same_selectors(const cJSON *json, const model_cluster_t *c) {
    const cJSON *list = at(json, "subset_selectors");

    assert_int_equal(cJSON_GetArraySize(list), c->nselectors);
    for (uint32_t i = 0; i < c->nselectors; i++) {
        const model_selector_t *selector = &c->selectors[i];
        const cJSON *item = cJSON_GetArrayItem(list, (int)i);

        same_keys(item, selector->keys, selector->nkeys);
        same_fallback(item, "fallback", &selector->fallback, "none");
    }
    same_bool(json, "subset_required", c->subset_required);
    same_bool(json, "subset_redundant_labels", c->subset_redundant);
    same_bool(json, "subset_fallback_any", c->subset_panic_any);
}

static void same_cluster(const cJSON *json, const model_part_t *part,
                         const model_cluster_t *c) {
    const cJSON *subsets = at(json, "subsets");

    assert_non_null(json);
    same_lb(json, c);
    same_text(json, "endpoint_set", c->endpoint_set);
    same_text(json, "protocol",
              c->protocol == MODEL_HTTP2 ? MESH_STR("http2")
                                         : MESH_STR("http1"));
    same_number(json, "panic_percent", c->panic_percent);
    same_number(json, "overprovisioning_factor",
                c->overprovisioning == MESH_LB_OVERPROVISIONING
                    ? 0
                    : c->overprovisioning);
    same_weights(at(json, "locality_weights"), c);
    same_zone_aware(at(json, "zone_aware"), &c->zone_aware);
    same_fallback(json, "subset_fallback", &c->fallback, "");
    same_selectors(json, c);
    same_number(json, "connect_timeout_ms", c->connect_timeout_ms);
    same_number(json, "keepalive_idle", c->keepalive_idle);
    same_number(json, "keepalive_timeout_ms", c->keepalive_timeout_ms);
    same_number(json, "keepalive_requests", c->keepalive_requests);
    same_outlier(at(json, "outlier_detection"), &c->outlier);
    assert_int_equal(subsets ? cJSON_GetArraySize(subsets) : 0, c->nsubsets);
    for (uint32_t i = 0; i < c->nsubsets; i++) {
        same_labels(cJSON_GetArrayItem(subsets, (int)i), &c->subsets[i].labels);
    }
    same_endpoints(at(json, "endpoints"), set_of(part, c));
}

static void same_dump(const cJSON *json, const model_part_t *part) {
    whole = part;
    same_runtime(at(json, "runtime"));
    const cJSON *clusters = at(json, "clusters");

    assert_int_equal(cJSON_GetArraySize(clusters), part->nclusters);
    for (uint32_t i = 0; i < part->nclusters; i++) {
        const model_cluster_t *c = &part->clusters[i];
        same_cluster(cJSON_GetObjectItemCaseSensitive(clusters, c->name.data),
                     part, c);
    }
    for (uint32_t i = 0; i < part->ntables; i++) {
        const model_route_table_t *t = &part->tables[i];
        const cJSON *table =
            cJSON_GetArrayItem(at(json, "route_tables"), (int)i);
        same_bool(table, "normalize_path", t->flags & MESH_NORMALIZE_RFC3986);
        same_bool(table, "merge_slashes", t->flags & MESH_MERGE_SLASHES);
        same_bool(table, "ignore_port", !(t->flags & MESH_HOST_KEEP_PORT));
        for (uint32_t k = 0; k < t->nvhosts; k++) {
            for (uint32_t n = 0; n < t->vhosts[k].ndomains; n++) {
                same_host(domain_of(json, t->name, t->vhosts[k].domains[n]),
                          &t->vhosts[k]);
            }
        }
    }
}

/* Of a random mesh nothing is left out, and nothing is said otherwise. */
static void test_dump_says_all(void **state) {
    (void)state;
    text_zone_t zone;
    text_zone_t *f = &zone;
    static const model_random_size_t size = {4, 5, 3, 4, NULL, false, true};

    text_zone_make(f);
    for (uint64_t seed = 1; seed <= 60; seed++) {
        rng_t rng = {seed};
        arena_t *arena = arena_new();
        model_part_t *part = model_random_part(arena, &rng, &size);
        /* Something to publish, whatever the rest is. */
        static model_cluster_t own = {.name = mesh_str("own")};
        own.connect_timeout_ms = (uint32_t)seed;
        if (part->nclusters == 0) {
            part->clusters = &own;
            part->nclusters = 1;
        }
        text_zone_publish_part(f, part);
        cJSON *json = json_of(f->dir, CTL_EXIT_OK, words("dump"));
        same_dump(json, part);
        cJSON_Delete(json);
        arena_free(arena);
    }
    text_zone_remove(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dump_says_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
