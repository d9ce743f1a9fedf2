/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `meshctl dump` of random meshes: nothing is left out, and nothing is said
 * otherwise than the model says it.
 */

#include "ctl_call.h"
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

static void same_bool(const cJSON *json, const char *key, bool wanted) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);

    if (cJSON_IsTrue(item) != (cJSON_bool)wanted) {
        fail_msg("%s is not %d", key, wanted);
    }
}

static void same_ops(const cJSON *json, const char *key,
                     const model_header_ops_t *ops) {
    static const char *const names[] = {"add", "set", "remove"};
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, key);

    assert_int_equal(list ? cJSON_GetArraySize(list) : 0, ops->count);
    for (uint32_t i = 0; i < ops->count; i++) {
        const cJSON *item = cJSON_GetArrayItem(list, (int)i);
        same_text(item, "op", mesh_str_from(names[ops->v[i].op]));
        same_text(item, "name", ops->v[i].name);
        same_text(item, "value", ops->v[i].value);
    }
}

static void same_match(const cJSON *json, const model_route_t *r) {
    const cJSON *list = at(json, "headers");
    const cJSON *methods = at(json, "methods");

    same_text(json, r->path_match == MESH_PATH_EXACT ? "exact" : "prefix",
              r->path);
    assert_int_equal(methods ? cJSON_GetArraySize(methods) : 0,
                     __builtin_popcount(r->methods));
    assert_int_equal(list ? cJSON_GetArraySize(list) : 0, r->nmatches);
    for (uint32_t i = 0; i < r->nmatches; i++) {
        const cJSON *item = cJSON_GetArrayItem(list, (int)i);
        same_text(item, "name", r->matches[i].name);
        same_bool(item, "present", r->matches[i].op == MESH_MATCH_PRESENT);
        same_text(item, "exact", r->matches[i].value);
        same_bool(item, "invert", r->matches[i].invert);
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
        same_text(item, "cluster", s->cluster);
        same_text(item, "subset", s->subset);
        same_number(item, "weight", s->weight);
        same_ops(item, "request_headers", &s->request_ops);
        same_ops(item, "response_headers", &s->response_ops);
        item = item->next;
    }
    assert_null(item);
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
        same_bool(redirect, "strip_query", r->redirect.strip_query);
    } else {
        same_number(respond, "status", r->direct_status);
        same_text(respond, "body", r->direct_body);
    }
    same_text(json, "prefix_rewrite", r->prefix_rewrite);
    same_text(json, "host_rewrite", r->host_rewrite);
    same_ops(json, "request_headers", &r->request_ops);
    same_ops(json, "response_headers", &r->response_ops);
    same_retry(at(json, "retries"), &r->retry);
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

static void same_cluster(const cJSON *json, const model_part_t *part,
                         const model_cluster_t *c) {
    const cJSON *subsets = at(json, "subsets");

    assert_non_null(json);
    same_text(json, "lb",
              c->lb == MESH_LB_LEAST_REQUEST ? MESH_STR("least_request")
                                             : MESH_STR("round_robin"));
    same_number(json, "lb_choices", c->lb_choices);
    same_text(json, "endpoint_set", c->endpoint_set);
    same_text(json, "protocol",
              c->protocol == MODEL_HTTP2 ? MESH_STR("http2")
                                         : MESH_STR("http1"));
    same_number(json, "panic_percent", c->panic_percent);
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
    static const model_random_size_t size = {4, 5, 3, 4, NULL, false, false};

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
