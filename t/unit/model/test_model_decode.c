/* SPDX-License-Identifier: Apache-2.0 */

/*
 * model_decode*.c: what a right file means.
 */

#include "model_fixture.h"

static const char example[] =
    "clusters:\n"
    "  reviews:\n"
    "    endpoints:\n"
    "      - 127.0.1.2:9080\n"
    "      - {address: 127.0.1.1:9080, labels: {version: v2}, weight: 2,\n"
    "         zone: b}\n"
    "    subsets: {v2: {version: v2}, v1: {version: v1}}\n"
    "    lb: least_request\n"
    "    outlier_detection: {consecutive_5xx: 7, base_ejection_time: 30s}\n"
    "hosts:\n"
    "  - domains: [Shop.Local, \"*.shop.local\"]\n"
    "    routes:\n"
    "      - match: {path: {prefix: /reviews},\n"
    "                headers: {End-User: {exact: jason}}}\n"
    "        route: reviews/v2\n"
    "      - match: {path: {prefix: /reviews}}\n"
    "        route: [{cluster: reviews/v1, weight: 90},\n"
    "                {cluster: reviews/v2, weight: 10}]\n"
    "        retries: {attempts: 2, on: [gateway-error, reset]}\n"
    "        timeout: 3s\n";

static void the_example_of_the_design(void **state) {
    (void)state;

    fixture_t f;

    fixture_good(&f, example);

    const model_cluster_t *cluster = f.part->clusters;

    assert_int_equal(f.part->nclusters, 1);
    assert_text(cluster->name, "reviews");
    assert_int_equal(cluster->place.line, 2);
    assert_int_equal(cluster->lb, MESH_LB_LEAST_REQUEST);
    assert_true(cluster->outlier.set);
    assert_int_equal(cluster->outlier.consecutive_5xx, 7);
    assert_int_equal(cluster->outlier.base_ejection_ms, 30000);
    assert_int_equal(cluster->nsubsets, 2);
    assert_text(cluster->subsets[0].name, "v1"); /* in order of name */
    assert_text(cluster->subsets[1].labels.v[0].value, "v2");

    const model_endpoint_set_t *set = f.part->sets;

    assert_int_equal(f.part->nsets, 1);
    assert_text(set->name, "reviews");
    assert_int_equal(set->count, 2);
    assert_int_equal(set->v[0].addr[3], 1); /* in canonical order */
    assert_int_equal(set->v[0].weight, 2);
    assert_int_equal(set->v[0].port, 9080);
    assert_text(set->v[0].locality.zone, "b");
    assert_text(set->v[0].labels.v[0].name, "version");
    assert_int_equal(set->v[1].weight, 1);

    const model_route_table_t *table = f.part->tables;

    assert_int_equal(f.part->ntables, 1);
    assert_text(table->name, "default");
    assert_int_equal(table->flags, MODEL_TABLE_FLAGS);
    assert_false(table->flags_said);
    assert_int_equal(table->nvhosts, 1);

    const model_vhost_t *host = table->vhosts;

    assert_text(host->name, "shop.local");
    assert_text(host->domains[0], "shop.local");
    assert_text(host->domains[1], "*.shop.local");
    assert_int_equal(host->nroutes, 2);

    const model_route_t *route = host->routes;

    assert_text(route->name, "shop.local/0");
    assert_int_equal(route->nmatches, 1);
    assert_text(route->matches[0].name, "end-user");
    assert_text(route->matches[0].value, "jason");
    assert_int_equal(route->matches[0].op, MESH_MATCH_EXACT);
    assert_text(route->split[0].cluster, "reviews");
    assert_text(route->split[0].subset, "v2");
    assert_int_equal(route->timeout_ms, 15000);
    assert_false(route->retry.set);

    route++;
    assert_int_equal(route->nsplit, 2);
    assert_int_equal(route->split[0].weight, 90);
    assert_true(route->retry.set);
    assert_int_equal(route->retry.attempts, 2);
    assert_int_equal(route->retry.on,
                     MESH_RETRY_GATEWAY_ERROR | MESH_RETRY_RESET);
    assert_int_equal(route->timeout_ms, 3000);

    fixture_close(&f);
}

static void a_cluster_that_says_nothing(void **state) {
    (void)state;

    fixture_t f;

    fixture_good(&f, "clusters: {a: {}, b: {outlier_detection: {}}}");

    const model_cluster_t *a = &f.part->clusters[0];

    assert_int_equal(f.part->nsets, 0);
    assert_int_equal(a->lb, MESH_LB_ROUND_ROBIN);
    assert_int_equal(a->lb_choices, 2);
    assert_int_equal(a->panic_percent, 50);
    assert_int_equal(a->connect_timeout_ms, 5000);
    assert_int_equal(a->keepalive_idle, 64);
    assert_int_equal(a->keepalive_timeout_ms, 60000);
    assert_int_equal(a->keepalive_requests, 0);
    assert_int_equal(a->protocol, MODEL_HTTP1);
    assert_false(a->outlier.set);

    const model_outlier_t *outlier = &f.part->clusters[1].outlier;

    assert_true(outlier->set);
    assert_int_equal(outlier->consecutive_5xx, 5);
    assert_int_equal(outlier->consecutive_gateway_failure, 0);
    assert_int_equal(outlier->consecutive_local_failure, 5);
    assert_int_equal(outlier->max_ejection_ms, 300000);
    assert_int_equal(outlier->jitter_ms, 0);
    assert_int_equal(outlier->max_ejection_percent, 10);
    assert_false(outlier->split_local);

    fixture_close(&f);
}

static void a_cluster_that_says_all(void **state) {
    (void)state;

    fixture_t f;

    fixture_good(&f, "clusters:\n"
                     "  a:\n"
                     "    endpoint_set: shared\n"
                     "    lb: {policy: least_request, choices: 5}\n"
                     "    panic_threshold: 20%\n"
                     "    connect_timeout: 250ms\n"
                     "    keepalive: {max_idle: 0, idle_timeout: 1m,\n"
                     "                max_requests: 1000}\n"
                     "    outlier_detection:\n"
                     "      consecutive_5xx: 0\n"
                     "      consecutive_gateway_failure: 3\n"
                     "      consecutive_local_origin_failure: 4\n"
                     "      split_external_local_origin_errors: true\n"
                     "      base_ejection_time: 10m\n"
                     "      max_ejection_time_jitter: 1.5s\n"
                     "      max_ejection_percent: 100\n"
                     "endpoints:\n"
                     "  shared: ['127.0.0.1:1']\n");

    const model_cluster_t *a = f.part->clusters;

    assert_text(a->endpoint_set, "shared");
    assert_int_equal(a->lb_choices, 5);
    assert_int_equal(a->panic_percent, 20);
    assert_int_equal(a->connect_timeout_ms, 250);
    assert_int_equal(a->keepalive_idle, 0);
    assert_int_equal(a->keepalive_timeout_ms, 60000);
    assert_int_equal(a->keepalive_requests, 1000);
    assert_int_equal(a->outlier.consecutive_5xx, 0);
    assert_int_equal(a->outlier.consecutive_gateway_failure, 3);
    assert_int_equal(a->outlier.consecutive_local_failure, 4);
    assert_true(a->outlier.split_local);
    assert_int_equal(a->outlier.jitter_ms, 1500);
    assert_int_equal(a->outlier.max_ejection_percent, 100);

    /* A base above the usual bound moves it. */
    assert_int_equal(a->outlier.base_ejection_ms, 600000);
    assert_int_equal(a->outlier.max_ejection_ms, 600000);

    assert_int_equal(f.part->nsets, 1);
    assert_text(f.part->sets[0].name, "shared");
    assert_int_equal(f.errors.warnings, 0);

    fixture_close(&f);
}

static void protocols(void **state) {
    (void)state;

    fixture_t f;

    fixture_good(&f, "clusters: {a: {protocol: http1}, b: {protocol: http2},"
                     " c: {protocol: grpc}}");

    assert_int_equal(f.part->clusters[0].protocol, MODEL_HTTP1);
    assert_int_equal(f.part->clusters[1].protocol, MODEL_HTTP2);
    assert_int_equal(f.part->clusters[2].protocol, MODEL_HTTP2);

    fixture_close(&f);
}

static void addresses_of_each_family(void **state) {
    (void)state;

    fixture_t f;

    fixture_good(&f, "clusters:\n"
                     "  a:\n"
                     "    endpoints:\n"
                     "      - '[2001:db8::1]:443'\n"
                     "      - address: unix:/run/app.sock\n"
                     "        health: draining\n"
                     "        locality: {region: r, zone: z, sub_zone: s}\n"
                     "      - {address: '10.1.2.3:65535', weight: 0,\n"
                     "         health: unhealthy}\n");

    const model_endpoint_t *v = f.part->sets[0].v;

    assert_int_equal(v[0].family, MESH_FAMILY_UNIX);
    assert_text(v[0].host, "/run/app.sock");
    assert_int_equal(v[0].health, MESH_HEALTH_DRAINING);
    assert_text(v[0].locality.region, "r");
    assert_text(v[0].locality.sub_zone, "s");

    assert_int_equal(v[1].family, MESH_FAMILY_IPV4);
    assert_memory_equal(v[1].addr, "\x0a\x01\x02\x03\0\0\0\0\0\0\0\0\0\0\0",
                        16);
    assert_int_equal(v[1].port, 65535);
    assert_int_equal(v[1].weight, 0);
    assert_int_equal(v[1].health, MESH_HEALTH_UNHEALTHY);

    assert_int_equal(v[2].family, MESH_FAMILY_IPV6);
    assert_int_equal(v[2].addr[0], 0x20);
    assert_int_equal(v[2].addr[15], 1);
    assert_int_equal(v[2].health, MESH_HEALTH_UNKNOWN);

    fixture_close(&f);
}

/* The one route of a file with one host, in place of the one before. */
static const model_route_t *route_of(fixture_t *f, const char *route) {
    char text[1024];

    if (f->arena != NULL) {
        fixture_close(f);
    }
    snprintf(text, sizeof(text), "hosts: [{domains: a, routes: [%s]}]", route);
    fixture_good(f, text);

    return f->part->tables[0].vhosts[0].routes;
}

static void matches(void **state) {
    (void)state;

    fixture_t f = {.arena = NULL};
    const model_route_t *r;

    r = route_of(&f, "{respond: 204}");
    assert_int_equal(r->path_match, MESH_PATH_PREFIX);
    assert_text(r->path, "/");
    assert_int_equal(r->methods, 0);
    assert_int_equal(r->nmatches, 0);

    r = route_of(&f, "{respond: 204, name: own, match: {path: /p}}");
    assert_text(r->path, "/p");
    assert_text(r->name, "own");

    r = route_of(&f, "{respond: 204, match: {path: {exact: /e}, "
                     "methods: [GET, PATCH], headers: {A: x, "
                     "B: {present: true}, C: {present: false}, "
                     "D: {exact: y, invert: true}}}}");
    assert_int_equal(r->path_match, MESH_PATH_EXACT);
    assert_text(r->path, "/e");
    assert_int_equal(r->methods, MESH_METHOD_GET | MESH_METHOD_PATCH);
    assert_int_equal(r->nmatches, 4);
    assert_text(r->matches[0].name, "a");
    assert_false(r->matches[0].invert);
    assert_int_equal(r->matches[1].op, MESH_MATCH_PRESENT);
    assert_false(r->matches[1].invert);
    assert_true(r->matches[2].invert);
    assert_int_equal(r->matches[3].op, MESH_MATCH_EXACT);
    assert_true(r->matches[3].invert);
    fixture_close(&f);
}

static void conditions(void **state) {
    (void)state;

    fixture_t f = {.arena = NULL};
    const model_route_t *r;
    const model_match_t *m;

    r = route_of(&f, "{respond: 204, match: {path: {separated_prefix: /A/b, "
                     "ignore_case: true}, headers: {"
                     "A: {prefix: Xy}, B: {suffix: Xy, ignore_case: true}, "
                     "C: {contains: z, treat_missing_as_empty: true}, "
                     "D: {range: {start: -9223372036854775808, end: 0}}, "
                     "':path': /x?y, ':scheme': {exact: ''}}}}");
    assert_int_equal(r->path_match, MESH_PATH_SEPARATED);
    assert_true(r->ignore_case);
    assert_text(r->path, "/a/b");
    assert_int_equal(r->nmatches, 6);
    m = r->matches;
    assert_int_equal(m[0].op, MESH_MATCH_PREFIX);
    assert_text(m[0].value, "Xy");
    assert_int_equal(m[1].op, MESH_MATCH_SUFFIX);
    assert_true(m[1].ignore_case);
    assert_text(m[1].value, "xy");
    assert_int_equal(m[2].op, MESH_MATCH_CONTAINS);
    assert_true(m[2].missing_as_empty);
    assert_int_equal(m[3].op, MESH_MATCH_RANGE);
    assert_true(m[3].start == INT64_MIN && m[3].end == 0);
    assert_int_equal(m[4].from, MESH_FROM_PATH);
    assert_text(m[4].name, ":path");
    assert_text(m[4].value, "/x?y");
    assert_int_equal(m[5].from, MESH_FROM_SCHEME);
    assert_int_equal(m[5].op, MESH_MATCH_EXACT);

    r = route_of(&f, "{respond: 204, match: {headers: {Host: {prefix: a}}}}");
    assert_int_equal(r->nmatches, 1);
    assert_int_equal(r->matches[0].from, MESH_FROM_AUTHORITY);
    assert_text(r->matches[0].name, ":authority");

    r = route_of(&f, "{respond: 204, match: {cookies: {S: {present: false}}, "
                     "query: {'K%20': v, l: {contains: X, ignore_case: true}}, "
                     "headers: {h: {exact: y}}}}");
    assert_int_equal(r->nmatches, 4);
    m = r->matches;
    assert_int_equal(m[0].from, MESH_FROM_HEADER);
    assert_int_equal(m[1].from, MESH_FROM_QUERY);
    assert_text(m[1].name, "K%20");
    assert_text(m[1].value, "v");
    assert_text(m[2].value, "x");
    assert_int_equal(m[3].from, MESH_FROM_COOKIE);
    assert_text(m[3].name, "S");
    assert_true(m[3].invert);

    r = route_of(&f, "{respond: 204, match: {port: 8443, sni: A.Local, "
                     "cookies: {S: x}}}");
    assert_int_equal(r->nmatches, 3);
    m = r->matches;
    assert_int_equal(m[0].from, MESH_FROM_COOKIE);
    assert_int_equal(m[1].from, MESH_FROM_SNI);
    assert_text(m[1].name, "sni");
    assert_text(m[1].value, "a.local");
    assert_false(m[1].ignore_case);
    assert_int_equal(m[2].from, MESH_FROM_PORT);
    assert_text(m[2].name, "port");
    assert_text(m[2].value, "8443");
    r = route_of(&f, "{respond: 204, match: {sni: {suffix: .B, "
                     "ignore_case: true, invert: true}}}");
    assert_text(r->matches[0].value, ".b");
    assert_true(r->matches[0].invert);

    r = route_of(&f, "{respond: 204, match: {grpc: true, percentage: 0.25%, "
                     "source: [10.0.0.0/8, '::1', 1.2.3.4]}}");
    assert_true(r->grpc && r->share.set);
    assert_int_equal(r->share.ppm, 2500);
    assert_int_equal(r->addresses.count, 3);
    assert_int_equal(r->addresses.v[0].family, MESH_FAMILY_IPV4);
    assert_int_equal(r->addresses.v[0].bits, 8);
    assert_int_equal(r->addresses.v[1].bits, 128);
    assert_int_equal(r->addresses.v[1].addr[15], 1);
    assert_int_equal(r->addresses.v[2].bits, 32);

    r = route_of(&f, "{respond: 204, match: {percentage: 0, source: '::/0'}}");
    assert_true(r->share.set);
    assert_int_equal(r->share.ppm, 0);
    assert_int_equal(r->addresses.v[0].bits, 0);

    r = route_of(&f, "{respond: 204, match: {percentage: 100.0000}}");
    assert_int_equal(r->share.ppm, MESH_SHARE_ALL);

    r = route_of(&f, "{respond: 204, match: {path: {regex: '/[0-9]+'}, "
                     "cookies: {c: {regex: '(?i)x', invert: true}}}}");
    assert_int_equal(r->path_match, MESH_PATH_REGEX);
    assert_text(r->path, "/[0-9]+");
    assert_int_equal(r->matches[0].op, MESH_MATCH_REGEX);
    assert_text(r->matches[0].value, "(?i)x");

    r = route_of(&f, "{respond: 204, match: {path: {prefix: /A}}}");
    assert_false(r->ignore_case);
    assert_text(r->path, "/A");
    fixture_close(&f);
}

static void actions(void **state) {
    (void)state;

    fixture_t f = {.arena = NULL};
    const model_route_t *r;

    r = route_of(&f, "{route: b, rewrite: {prefix: /v1, host: b.local}, "
                     "idle_timeout: 0, timeout: 0s}");
    assert_int_equal(r->action, MESH_ACTION_ROUTE);
    assert_int_equal(r->split[0].weight, 1);
    assert_int_equal(r->split[0].subset.len, 0);
    assert_true(r->has_prefix_rewrite);
    assert_text(r->prefix_rewrite, "/v1");
    assert_text(r->host_rewrite, "b.local");
    assert_int_equal(r->timeout_ms, 0);

    r = route_of(&f, "{redirect: {scheme: https, host: h, port: 8443, "
                     "prefix_rewrite: '', status: 308, strip_query: true}}");
    assert_int_equal(r->action, MESH_ACTION_REDIRECT);
    assert_text(r->redirect.scheme, "https");
    assert_int_equal(r->redirect.port, 8443);
    assert_true(r->redirect.has_prefix);
    assert_int_equal(r->redirect.status, 308);
    assert_true(r->redirect.strip_query);

    r = route_of(&f, "{redirect: {path: /x}}");
    assert_int_equal(r->redirect.status, 301);
    assert_text(r->redirect.path, "/x");

    r = route_of(&f, "{respond: {status: 503, body: \"sorry\\n\"}}");
    assert_int_equal(r->action, MESH_ACTION_DIRECT);
    assert_int_equal(r->direct_status, 503);
    assert_text(r->direct_body, "sorry\n");
    fixture_close(&f);
}

static void retry_conditions(void **state) {
    (void)state;

    fixture_t f = {.arena = NULL};
    const model_route_t *r;

    r = route_of(&f, "{route: b, retries: {on: [503, connect-failure, 429, "
                     "503, unavailable, cancelled, 5xx], "
                     "retry_unsafe: true, per_try_timeout: 500ms}}");
    assert_int_equal(r->retry.on, MESH_RETRY_CONNECT_FAILURE | MESH_RETRY_5XX |
                                      MESH_RETRY_STATUS | MESH_RETRY_UNSAFE |
                                      MESH_RETRY_GRPC);
    assert_int_equal(r->retry.ncodes, 2);
    assert_int_equal(r->retry.codes[0], 429);
    assert_int_equal(r->retry.codes[1], 503);
    assert_int_equal(r->retry.grpc, 1u << 14 | 1u << 1);
    assert_int_equal(r->retry.attempts, 1);
    assert_int_equal(r->retry.per_try_timeout_ms, 500);

    r = route_of(&f, "{route: b, retries: {on: reset, retry_unsafe: false}}");
    assert_int_equal(r->retry.on, MESH_RETRY_RESET);
    fixture_close(&f);
}

static void header_operations_in_envoys_order(void **state) {
    (void)state;

    fixture_t f = {.arena = NULL};
    const model_route_t *r =
        route_of(&f, "{route: [{cluster: b, response_headers: "
                     "{set: {x-split: '1'}}}], request_headers: "
                     "{add: {X-A: [one, two]}, set: {x-b: ''}, "
                     "remove: [x-c]}}");
    const model_header_ops_t *ops = &r->request_ops;

    assert_int_equal(ops->count, 4);
    assert_int_equal(ops->v[0].op, MESH_OP_REMOVE);
    assert_text(ops->v[0].name, "x-c");
    assert_int_equal(ops->v[1].op, MESH_OP_SET);
    assert_text(ops->v[1].value, "");
    assert_int_equal(ops->v[2].op, MESH_OP_ADD);
    assert_text(ops->v[2].name, "X-A"); /* as written */
    assert_text(ops->v[2].value, "one");
    assert_text(ops->v[3].value, "two");
    assert_int_equal(r->split[0].response_ops.count, 1);
    fixture_close(&f);
}

static void percent_signs(void **state) {
    (void)state;

    static const char *const values[] = {"100%%", "%%", "%%%%REQ", "%REQ(a)%%%",
                                         "%PROTOCOL%%ROUTE_NAME%"};

    for (size_t i = 0; i < mesh_nelts(values); i++) {
        fixture_t f = {.arena = NULL};
        char text[256];

        snprintf(text, sizeof(text),
                 "{route: b, request_headers: {set: {x: '%s'}}}", values[i]);
        assert_text(route_of(&f, text)->request_ops.v[0].value, values[i]);
        fixture_close(&f);
    }
}

static void options_of_the_route_table(void **state) {
    (void)state;

    fixture_t f;

    fixture_good(&f, "route_table: {name: edge, normalize_path: false, "
                     "merge_slashes: true, escaped_slashes: unescape, "
                     "ignore_port: false}\n"
                     "hosts: [{name: h, domains: ['a:8080'], "
                     "routes: [{respond: 200}]}]");

    const model_route_table_t *table = f.part->tables;

    assert_text(table->name, "edge");
    assert_true(table->flags_said);
    assert_int_equal(table->flags,
                     MESH_MERGE_SLASHES | MESH_HOST_KEEP_PORT |
                         MESH_SLASHES_UNESCAPE << MESH_SLASHES_SHIFT);
    assert_text(table->vhosts[0].domains[0], "a:8080");
    assert_text(table->vhosts[0].routes[0].name, "edge/h/0");
    fixture_close(&f);

    /* Said, even if only as usual; and without a host. */
    fixture_good(&f, "route_table: {}");
    assert_int_equal(f.part->ntables, 1);
    assert_int_equal(f.part->tables[0].flags, MODEL_TABLE_FLAGS);
    assert_true(f.part->tables[0].flags_said);
    fixture_close(&f);
}

static void domains_of_each_form(void **state) {
    (void)state;

    static const char *const good[] = {
        "*",        "*.a",   "a.*",       "a",
        "A_B-c.d.", "[::1]", "10.96.0.2", "xn--bcher-kva.example",
        "*-a.b",    "a-*",   "*-a",       "a.b-*"};
    static const char *const bad[] = {"**",  "*.*", "a*b",  ".*",  "*.",
                                      "a/b", "",    "a..b", "a b", "b\xc3\xbc",
                                      "*a",  "a*",  "*-",   "-*",  "*-*"};

    for (size_t i = 0; i < mesh_nelts(good) + mesh_nelts(bad); i++) {
        bool right = i < mesh_nelts(good);
        const char *domain = right ? good[i] : bad[i - mesh_nelts(good)];
        fixture_t f;
        char text[256];

        snprintf(text, sizeof(text),
                 "hosts: [{domains: ['%s'], routes: [{respond: 200}]}]",
                 domain);
        fixture_yaml(&f, text);
        assert_int_equal(f.errors.errors, right ? 0 : 1);
        fixture_close(&f);
    }
}

static void words_of_yaml_1_1_are_text(void **state) {
    (void)state;

    fixture_t f;

    fixture_good(&f, "clusters: {a: {endpoints: [{address: '127.0.0.1:1', "
                     "labels: {a: on, b: yes, c: no, d: off, e: y, "
                     "f: 1:30, g: 0b1, h: 1_000, i: 2001-01-01, j: '5', "
                     "k: \"null\", l: '~', m: 1.2.3, n: .}}]}}");

    const model_labels_t *labels = &f.part->sets[0].v[0].labels;

    assert_int_equal(labels->count, 14);
    assert_text(labels->v[0].value, "on");
    assert_text(labels->v[2].value, "no");
    assert_text(labels->v[10].value, "null");
    fixture_close(&f);
}

static void other_scalars_are_not_text(void **state) {
    (void)state;

    static const char *const values[] = {
        "true", "False", "5",    "-1",    "+1",   "1.5", ".5",   "5.",   "1e3",
        "0x1F", "0o17",  ".inf", "-.INF", ".nan", "~",   "null", "Null", "",
    };

    for (size_t i = 0; i < mesh_nelts(values); i++) {
        fixture_t f;
        char text[256];

        snprintf(text, sizeof(text), "clusters: {a: {subsets: {s: {k: %s}}}}",
                 values[i]);
        fixture_yaml(&f, text);
        assert_int_equal(f.errors.errors, 1);
        fixture_close(&f);
    }
}

static void durations(void **state) {
    (void)state;

    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {
        {"0", 0},
        {"0s", 0},
        {"250ms", 250},
        {"3s", 3000},
        {"1m", 60000},
        {"2h", 7200000},
        {"1.5s", 1500},
        {"0.25s", 250},
        {"1.5m", 90000},
        {"0.001s", 1},
        {"0.0001s", -1},
        {"1.5ms", -1},
        {"5", -1},
        {"s", -1},
        {"1 s", -1},
        {"1d", -1},
        {"-1s", -1},
        {"1m30s", -1},
        {"2147483647ms", 2147483647},
        {"2147483648ms", -1},
        {"999999999999999999999s", -1},
        {".5s", -1},
        {"1.s", -1},
        {"0.000000000s", 0},
        {"0.0000000000s", -1},
    };

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        fixture_t f;
        char text[256];

        snprintf(text, sizeof(text),
                 "hosts: [{domains: a, routes: [{route: b, timeout: '%s'}]}]",
                 cases[i].text);
        fixture_yaml(&f, text);

        if (cases[i].ms < 0) {
            assert_int_equal(f.errors.errors, 1);
        } else {
            assert_int_equal(f.errors.errors, 0);
            assert_int_equal(f.part->tables[0].vhosts[0].routes[0].timeout_ms,
                             cases[i].ms);
        }

        fixture_close(&f);
    }
}

static void limits_of_lengths(void **state) {
    (void)state;

    char name[MESH_NAME_MAX + 2];
    char text[MESH_NAME_MAX + 128];

    for (size_t len = MESH_NAME_MAX; len <= MESH_NAME_MAX + 1; len++) {
        fixture_t f;

        memset(name, 'n', len);
        name[len] = '\0';

        snprintf(text, sizeof(text), "clusters: {? '%s' : {}}", name);
        fixture_yaml(&f, text);
        assert_int_equal(f.errors.errors, len > MESH_NAME_MAX);
        fixture_close(&f);
    }

    for (size_t len = MESH_DOMAIN_MAX; len <= MESH_DOMAIN_MAX + 1; len++) {
        fixture_t f;

        memset(name, 'n', len);
        name[len] = '\0';

        snprintf(text, sizeof(text),
                 "hosts: [{domains: %s, routes: [{respond: 200}]}]", name);
        fixture_yaml(&f, text);
        assert_int_equal(f.errors.errors, len > MESH_DOMAIN_MAX);
        fixture_close(&f);
    }
}

static void balancers(void **state) {
    (void)state;

    fixture_t f;

    fixture_good(&f,
                 "clusters:\n"
                 "  a: {lb: random}\n"
                 "  b: {lb: maglev}\n"
                 "  c: {lb: {policy: maglev, table_size: 251,\n"
                 "           hash_balance_factor: 125}}\n"
                 "  d: {lb: ring_hash}\n"
                 "  e: {lb: {policy: ring_hash, minimum_ring_size: 100000}}\n"
                 "  f: {lb: {policy: ring_hash, maximum_ring_size: 100,\n"
                 "           hash_balance_factor: 200}}\n"
                 "  g: {lb: {policy: least_request, full_scan: true}}\n"
                 "  h: {lb: {policy: least_request,\n"
                 "           active_request_bias: 0.25}}\n"
                 "  i: {lb: {policy: least_request, active_request_bias: 0}}\n"
                 "  j: {lb: {policy: least_request, active_request_bias: 10}}\n"
                 "  k: {lb: peak_ewma}\n"
                 "  l: {lb: {policy: peak_ewma, decay_time: 5s,\n"
                 "           default_rtt: 7ms, choices: 3}}\n"
                 "  m: {lb: {policy: round_robin, slow_start: 30s}}\n"
                 "  n: {lb: {policy: least_request,\n"
                 "           slow_start: {window: 1m, aggression: 1.5,\n"
                 "                        min_weight_percent: 0}}}\n");

    const model_cluster_t *c = f.part->clusters;

    assert_int_equal(c[0].lb, MESH_LB_RANDOM);
    assert_int_equal(c[0].lb_table_size + c[0].lb_ring_min, 0);
    assert_int_equal(c[1].lb, MESH_LB_MAGLEV);
    assert_int_equal(c[1].lb_table_size, 65537);
    assert_int_equal(c[1].lb_balance_factor, 0);
    assert_int_equal(c[2].lb_table_size, 251);
    assert_int_equal(c[2].lb_balance_factor, 125);
    assert_int_equal(c[3].lb, MESH_LB_RING_HASH);
    assert_int_equal(c[3].lb_ring_min, 1024);
    assert_int_equal(c[3].lb_ring_max, 65536);
    assert_int_equal(c[3].lb_table_size, 0);
    assert_int_equal(c[4].lb_ring_min, 100000);
    assert_int_equal(c[4].lb_ring_max, 100000);
    assert_int_equal(c[5].lb_ring_min, 100);
    assert_int_equal(c[5].lb_ring_max, 100);
    assert_int_equal(c[5].lb_balance_factor, 200);
    assert_true(c[6].lb_full_scan && !c[6].lb_bias_set);
    assert_true(!c[7].lb_full_scan && c[7].lb_bias_set);
    assert_int_equal(c[7].lb_bias_milli, 250);
    assert_true(c[8].lb_bias_set);
    assert_int_equal(c[8].lb_bias_milli, 0);
    assert_int_equal(c[9].lb_bias_milli, 10000);
    assert_int_equal(c[10].lb, MESH_LB_PEAK_EWMA);
    assert_int_equal(c[10].lb_decay_ms, 10000);
    assert_int_equal(c[10].lb_default_rtt_ms, 30);
    assert_int_equal(c[10].lb_choices, 2);
    assert_int_equal(c[11].lb_decay_ms, 5000);
    assert_int_equal(c[11].lb_default_rtt_ms, 7);
    assert_int_equal(c[11].lb_choices, 3);
    assert_int_equal(c[11].slow_start_ms + c[11].aggression_milli, 0);
    assert_int_equal(c[12].slow_start_ms, 30000);
    assert_int_equal(c[12].aggression_milli, 1000);
    assert_int_equal(c[12].min_weight_percent, 10);
    assert_int_equal(c[13].slow_start_ms, 60000);
    assert_int_equal(c[13].aggression_milli, 1500);
    assert_int_equal(c[13].min_weight_percent, 0);
    fixture_close(&f);
}

static void hash_policies(void **state) {
    (void)state;

    fixture_t f;

    fixture_good(&f, "clusters: {a: {}}\n"
                     "hosts:\n"
                     "  - domains: ['*']\n"
                     "    routes:\n"
                     "      - route: a\n"
                     "        hash_policy:\n"
                     "          - {header: X-User, terminal: true}\n"
                     "          - cookie: plain\n"
                     "          - cookie: {name: sid, ttl: 1h, path: /x,\n"
                     "              attributes: {SameSite: Lax, Secure: ''}}\n"
                     "          - cookie: {name: session, ttl: 0}\n"
                     "          - {source_ip: true}\n"
                     "          - {query_parameter: user}\n"
                     "          - {path: true}\n"
                     "          - header: {name: X-T, regex_rewrite:\n"
                     "              {pattern: '-.*', substitution: ''}}\n"
                     "      - {route: a, hash_policy: {header: x}}\n"
                     "      - {route: a, stateful_session: {cookie: at}}\n"
                     "      - route: a\n"
                     "        stateful_session:\n"
                     "          cookie: {name: at, ttl: 1m, path: /,\n"
                     "                   attributes: {Secure: ''}}\n"
                     "          strict: true\n"
                     "      - {route: a, stateful_session: {header: X-At}}\n"
                     "      - {route: a, split_by: hash}\n"
                     "      - {route: a, split_by: {header: X-Random}}\n");

    const model_route_t *route = f.part->tables->vhosts->routes;
    const model_hash_policy_t *p = route->hash_policies;

    assert_int_equal(route->nhash_policies, 8);
    assert_int_equal(p[0].from, MESH_HASH_HEADER);
    assert_text(p[0].name, "x-user");
    assert_true(p[0].terminal);
    assert_int_equal(p[1].from, MESH_HASH_COOKIE);
    assert_text(p[1].name, "plain");
    assert_false(p[1].terminal || p[1].generate);
    assert_int_equal(p[1].attributes.len, 0);
    assert_text(p[2].name, "sid");
    assert_true(p[2].generate);
    assert_text(p[2].attributes, "; Max-Age=3600; Path=/x; SameSite=Lax; "
                                 "Secure; HttpOnly");
    assert_true(p[3].generate);
    assert_text(p[3].attributes, "; HttpOnly");
    assert_int_equal(p[4].from, MESH_HASH_SOURCE_IP);
    assert_int_equal(p[5].from, MESH_HASH_QUERY);
    assert_text(p[5].name, "user");
    assert_int_equal(p[6].from, MESH_HASH_PATH);
    assert_int_equal(p[7].from, MESH_HASH_HEADER);
    assert_text(p[7].name, "x-t");
    assert_text(p[7].rewrite.pattern, "-.*");
    assert_text(p[7].rewrite.substitution, "");
    assert_int_equal(p[0].rewrite.pattern.len, 0);
    assert_int_equal(route[1].nhash_policies, 1);
    assert_false(route[1].session.set);
    assert_true(route[2].session.set && !route[2].session.strict);
    assert_text(route[2].session.name, "at");
    assert_text(route[2].session.attributes, "; HttpOnly");
    assert_true(route[3].session.strict);
    assert_text(route[3].session.attributes,
                "; Max-Age=60; Path=/; Secure; HttpOnly");
    assert_false(route[3].session.header);
    assert_true(route[4].session.set && route[4].session.header);
    assert_text(route[4].session.name, "x-at");
    assert_int_equal(route[4].session.attributes.len, 0);
    assert_int_equal(route[3].split_by.by, MODEL_SPLIT_BY_TICKET);
    assert_int_equal(route[5].split_by.by, MODEL_SPLIT_BY_HASH);
    assert_int_equal(route[6].split_by.by, MODEL_SPLIT_BY_HEADER);
    assert_text(route[6].split_by.header, "x-random");
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_design),
        cmocka_unit_test(a_cluster_that_says_nothing),
        cmocka_unit_test(a_cluster_that_says_all),
        cmocka_unit_test(protocols),
        cmocka_unit_test(balancers),
        cmocka_unit_test(hash_policies),
        cmocka_unit_test(addresses_of_each_family),
        cmocka_unit_test(matches),
        cmocka_unit_test(conditions),
        cmocka_unit_test(actions),
        cmocka_unit_test(retry_conditions),
        cmocka_unit_test(header_operations_in_envoys_order),
        cmocka_unit_test(percent_signs),
        cmocka_unit_test(options_of_the_route_table),
        cmocka_unit_test(domains_of_each_form),
        cmocka_unit_test(words_of_yaml_1_1_are_text),
        cmocka_unit_test(other_scalars_are_not_text),
        cmocka_unit_test(durations),
        cmocka_unit_test(limits_of_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
