/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where resources are found, how they are joined, and what Envoy's defaults
 * become.
 */

#include "xds_fixture.h"

static const model_route_t *route(const fixture_t *f, uint32_t table,
                                  uint32_t host, uint32_t i) {
    assert_in_range(table, 0, f->part->ntables - 1);
    assert_in_range(host, 0, f->part->tables[table].nvhosts - 1);
    assert_in_range(i, 0, f->part->tables[table].vhosts[host].nroutes - 1);
    return &f->part->tables[table].vhosts[host].routes[i];
}

#define TO_C "match: {prefix: /}, route: {cluster: c}"
#define HCM                                                                    \
    "'@type': type.googleapis.com/envoy.extensions.filters.network."           \
    "http_connection_manager.v3.HttpConnectionManager"
#define CHAIN "filter_chains: [{filters: [{typed_config: {" HCM ", "
#define CHAIN_END "}}]}]"

/* --- envelopes ----------------------------------------------------------- */

static void resources_are_found_in_every_envelope(void **state) {
    static const char *const all[] = {
        "{name: c, connect_timeout: 1s}",
        "'@type': envoy.config.cluster.v3.Cluster\nname: c",
        "'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster\n"
        "name: c",
        "[{name: c, lb_policy: RANDOM}]",
        "[[{name: c, lbPolicy: RANDOM}]]",
        "{versionInfo: '1', typeUrl: x, resources: [{name: c, "
        "connect_timeout: 1s}]}",
        "{system_version_info: '1', resources: [{name: c, version: '2', "
        "resource: {'@type': a/envoy.config.cluster.v3.Cluster, name: c}}], "
        "removed_resources: [x]}",
        "[{resources: [{name: c, connect_timeout: 1s}]}]",
        "{node: {id: n}, admin: {}, static_resources: {clusters: [{name: c}], "
        "listeners: []}}",
        "{configs: ["
        "{'@type': a/envoy.admin.v3.BootstrapConfigDump, bootstrap: "
        "{static_resources: {clusters: [{name: d}]}}}, "
        "{'@type': a/envoy.admin.v3.ClustersConfigDump, version_info: '1', "
        "dynamic_active_clusters: [{version_info: '1', last_updated: x, "
        "cluster: {'@type': a/envoy.config.cluster.v3.Cluster, name: c}}]}]}",
        "{configs: ["
        "{'@type': a/envoy.admin.v3.ClustersConfigDump, static_clusters: "
        "[{cluster: {'@type': a/envoy.config.cluster.v3.Cluster, name: c}}]}]}",
    };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(all); i++) {
        fixture_t f;

        good(&f, texts(all[i]));
        if (f.part->nclusters != 1) {
            fail_msg("%s: %u clusters", all[i], f.part->nclusters);
        }
        assert_text(f.part->clusters[0].name, "c");
        fixture_close(&f);
    }
}

static void a_dump_has_all_kinds(void **state) {
    fixture_t f;
    (void)state;

    good(&f,
         texts("configs:\n"
               "- '@type': a/envoy.admin.v3.RoutesConfigDump\n"
               "  static_route_configs: [{route_config: {name: s, "
               "virtual_hosts: []}}]\n"
               "  dynamic_route_configs: [{version_info: '1', route_config: "
               "{name: d, virtual_hosts: []}}]\n"
               "- '@type': a/envoy.admin.v3.EndpointsConfigDump\n"
               "  dynamic_endpoint_configs: [{endpoint_config: {cluster_name: "
               "e}}]\n"
               "  static_endpoint_configs: [{endpoint_config: {cluster_name: "
               "g}}]\n"
               "- '@type': a/envoy.admin.v3.ListenersConfigDump\n"
               "  static_listeners: [{listener: {name: l, " CHAIN
               "rds: {route_config_name: s}, merge_slashes: true" CHAIN_END
               "}}]\n"
               "  dynamic_listeners: [{name: m, active_state: {listener: "
               "{name: m, " CHAIN
               "rds: {route_config_name: d}, normalize_path: true" CHAIN_END
               "}}}]\n"
               "- '@type': a/envoy.admin.v3.SecretsConfigDump\n"));
    assert_int_equal(f.part->ntables, 2);
    assert_int_equal(f.part->nsets, 2);
    assert_int_equal(f.part->tables[0].flags,
                     MESH_HOST_KEEP_PORT | MESH_MERGE_SLASHES);
    assert_int_equal(f.part->tables[1].flags,
                     MESH_HOST_KEEP_PORT | MESH_NORMALIZE_RFC3986);
    fixture_close(&f);
}

#define RESOURCE "'@type': a/envoy.config."

/* As Envoy prints it: 0 and {} where nothing was said. */
static const char dump_format[] =
    "configs:\n"
    "- '@type': a/envoy.admin.v3.ClustersConfigDump\n"
    "  static_clusters: [{cluster: {" RESOURCE "cluster.v3.Cluster, name: own, "
    "load_assignment: {cluster_name: own, endpoints: [%s]}}}]\n"
    "- '@type': a/envoy.admin.v3.EndpointsConfigDump\n"
    "  static_endpoint_configs:\n"
    "  - endpoint_config: {cluster_name: own, endpoints: [%s]}\n"
    "  - endpoint_config: {cluster_name: alone, endpoints: [%s]}\n"
    "- '@type': a/envoy.admin.v3.ListenersConfigDump\n"
    "  static_listeners:\n"
    "  - listener: {" RESOURCE "listener.v3.Listener, name: l, %s}\n"
    "  - listener: {" RESOURCE "listener.v3.Listener, name: m, %s}\n"
    "- '@type': a/envoy.admin.v3.RoutesConfigDump\n"
    "  static_route_configs:\n"
    "  - route_config: {name: r, virtual_hosts: []}\n"
    "  - route_config: {virtual_hosts: []}\n"
    "  - route_config: {name: lone, virtual_hosts: []}\n";

static const char dumped_endpoint[] =
    "{locality: {}, load_balancing_weight: 0, lb_endpoints: [{endpoint: "
    "{health_check_config: {}, address: {socket_address: {address: 1.1.1.1, "
    "port_value: 1}}}, health_status: HEALTHY, load_balancing_weight: 1}]}";

static void a_dump_shows_again_what_others_have(void **state) {
    char dump[4096];
    fixture_t f;
    (void)state;

    snprintf(dump, sizeof(dump), dump_format, dumped_endpoint, dumped_endpoint,
             dumped_endpoint,
             CHAIN "route_config: {name: r, virtual_hosts: []}, "
                   "merge_slashes: true" CHAIN_END,
             CHAIN "route_config: {virtual_hosts: []}" CHAIN_END);
    good(&f, texts(dump));
    assert_int_equal(f.part->nsets, 2);
    assert_text(f.part->sets[0].name, "own");
    assert_text(f.part->sets[1].name, "alone");
    assert_int_equal(f.part->ntables, 3);
    assert_text(f.part->tables[0].name, "lone");
    assert_text(f.part->tables[1].name, "r");
    assert_int_equal(f.part->tables[1].flags,
                     MESH_HOST_KEEP_PORT | MESH_MERGE_SLASHES);
    assert_text(f.part->tables[2].name, "m");
    fixture_close(&f);
}

/* A native mesh is none, whatever it has in it. */
static void a_native_mesh_is_recognized_as_one(void **state) {
    static const char *const all[] = {
        "clusters: {c: {endpoints: ['1.2.3.4:5']}}",
        "hosts: [{domains: a.b, routes: [{respond: 200}]}]",
        "route_table: {name: t}",
        "endpoints: {c: []}",
        "{}",
        "5",
    };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(all); i++) {
        fixture_t f;

        fixture_open(&f);
        f.root = model_node_from_yaml(f.arena, "f", mesh_str_from(all[i]),
                                      &f.errors);
        assert_non_null(f.root);
        assert_false(xds_recognize(f.root));
        fixture_close(&f);
    }
}

/* --- joining ------------------------------------------------------------- */

/* As istiod sends them: listeners and tables in responses of their own. */
static void listeners_say_how_other_files_tables_are_read(void **state) {
    fixture_t f;
    (void)state;

    good(&f, texts("{name: l, " CHAIN "rds: {route_config_name: t}, "
                   "normalize_path: true, merge_slashes: true, "
                   "path_with_escaped_slashes_action: UNESCAPE_AND_FORWARD, "
                   "stream_idle_timeout: 7s" CHAIN_END "}",
                   "{name: t, ignore_port_in_host_matching: true, "
                   "virtual_hosts: [{name: v, domains: ['*'], routes: [{" TO_C
                   "}, {match: {prefix: /}, route: {cluster: c, idle_timeout: "
                   "3s}}, {match: {prefix: /}, direct_response: {status: "
                   "404}}]}]}"));
    assert_int_equal(f.part->tables[0].flags,
                     MESH_NORMALIZE_RFC3986 | MESH_MERGE_SLASHES |
                         MESH_SLASHES_UNESCAPE << MESH_SLASHES_SHIFT);
    assert_true(f.part->tables[0].flags_said);
    assert_int_equal(route(&f, 0, 0, 0)->idle_timeout_ms, 7000);
    assert_int_equal(route(&f, 0, 0, 1)->idle_timeout_ms, 3000);
    assert_int_equal(route(&f, 0, 0, 2)->idle_timeout_ms, 0);
    fixture_close(&f);
}

#define LISTENER(options) "{name: l, " CHAIN options CHAIN_END "}"

static void two_listeners_read_one_table_alike(void **state) {
    fixture_t f;
    (void)state;

    good(&f, texts(LISTENER("rds: {route_config_name: t}, merge_slashes: true"),
                   LISTENER("rds: {route_config_name: t}, merge_slashes: true"),
                   "{name: t, virtual_hosts: []}"));
    fixture_close(&f);

    const char *messages =
        load(&f, texts(LISTENER("rds: {route_config_name: t}"),
                       LISTENER("rds: {route_config_name: t}, merge_slashes: "
                                "true"),
                       "{name: t, virtual_hosts: []}"));
    assert_int_equal(f.errors.errors, 1);
    assert_non_null(strstr(messages, "found other options than at f:1:"));
    fixture_close(&f);
}

static void a_listener_has_so_many_managers(void **state) {
    static char text[1 << 17];
    size_t len =
        (size_t)snprintf(text, sizeof(text), "{name: l, filter_chains: [");
    (void)state;

    for (uint32_t i = 0; i < 257; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len,
                                "{filters: [{typed_config: {" HCM
                                ", route_config: {name: t%u}}}]}, ",
                                i);
        assert_true(len + 3 < sizeof(text));

        if (i != 2 && i < 255) {
            continue;
        }

        fixture_t f;

        memcpy(text + len, "]}", 3);
        load(&f, texts(text));
        assert_int_equal(f.errors.errors, i < 256 ? 0 : 1);
        assert_int_equal(f.part->ntables, i < 256 ? i + 1 : 0);
        for (uint32_t k = 0; k < f.part->ntables; k++) {
            char name[16];

            snprintf(name, sizeof(name), "t%u", k);
            assert_text(f.part->tables[k].name, name);
        }
        fixture_close(&f);
    }
}

static void a_table_that_is_not_there_is_told(void **state) {
    fixture_t f;
    (void)state;

    const char *messages =
        good(&f, texts(LISTENER("rds: {route_config_name: none}")));
    assert_non_null(
        strstr(messages, "warning: HttpConnectionManager: found no route "
                         "configuration \"none\", expected one of that name"));
    fixture_close(&f);
}

/* Many a bootstrap calls them all "local_route". */
static void inlined_tables_get_names_of_their_own(void **state) {
    static const char one[] =
        "{name: a, " CHAIN
        "route_config: {name: local_route, virtual_hosts: [{name: v, domains: "
        "['*'], routes: [{" TO_C "}]}]}" CHAIN_END "}";
    static const char two[] =
        "{name: b, " CHAIN
        "route_config: {name: local_route, virtual_hosts: [{name: v, domains: "
        "['*'], routes: [{" TO_C "}]}]}" CHAIN_END "}";
    static const char bare[] =
        "{name: bare, " CHAIN "route_config: {virtual_hosts: []}" CHAIN_END "}";
    fixture_t f;
    (void)state;

    good(&f, texts(one, two, two, bare));
    assert_int_equal(f.part->ntables, 4);
    assert_text(f.part->tables[0].name, "local_route");
    assert_text(f.part->tables[1].name, "b/local_route");
    assert_text(f.part->tables[2].name, "b/local_route/2");
    assert_text(f.part->tables[3].name, "bare");
    assert_text(route(&f, 1, 0, 0)->name, "b/local_route/v/0");
    fixture_close(&f);
}

static void routes_are_named_by_table_and_host(void **state) {
    fixture_t f;
    (void)state;

    good(&f,
         texts("{name: default, virtual_hosts: [{name: v, domains: [a], "
               "routes: [{" TO_C ", name: x}, {" TO_C "}, {" TO_C
               ", name: x}, {" TO_C ", name: y}, {" TO_C ", name: '5'}, {" TO_C
               "}]}]}",
               "{virtual_hosts: [{name: w, domains: [b], routes: [{" TO_C
               "}]}]}",
               "{name: t/u, virtual_hosts: [{name: v, domains: [a], routes: "
               "[{" TO_C ", name: x}]}]}"));
    assert_text(route(&f, 0, 0, 0)->name, "v/x");
    assert_text(route(&f, 0, 0, 1)->name, "v/1");
    assert_text(route(&f, 0, 0, 2)->name, "v/2");
    assert_text(route(&f, 0, 0, 3)->name, "v/y");
    assert_text(route(&f, 0, 0, 4)->name, "v/5");
    assert_text(route(&f, 0, 0, 5)->name, "v/5.1");
    assert_text(f.part->tables[1].name, "default");
    assert_text(route(&f, 1, 0, 0)->name, "w/0");
    assert_text(route(&f, 2, 0, 0)->name, "t/u/v/x");
    fixture_close(&f);
}

/* --- what others say for a route ----------------------------------------- */

#define PER_ROUTE                                                              \
    "'@type': a/envoy.extensions.filters.http.stateful_session.v3."            \
    "StatefulSessionPerRoute"
#define STATE(cookie)                                                          \
    "session_state: {name: x, typed_config: {'@type': "                        \
    "a/envoy.extensions.http.stateful_session.cookie.v3."                      \
    "CookieBasedSessionState, cookie: {name: " cookie "}}}"
#define PER(cookie)                                                            \
    "typed_per_filter_config: {s: {" PER_ROUTE                                 \
    ", stateful_session: {" STATE(cookie) "}}}"

static void sessions_come_from_the_nearest_level(void **state) {
    fixture_t f;
    (void)state;

    good(&f,
         texts(
             LISTENER("rds: {route_config_name: t}, http_filters: [{name: s, "
                      "typed_config: {'@type': "
                      "a/envoy.extensions.filters.http.stateful_session.v3."
                      "StatefulSession, " STATE("low") ", strict: true}}]"),
             "{name: t, virtual_hosts: [{name: v, domains: [a], " PER(
                 "host") ", routes: [{" TO_C
                         ", " PER(
                             "own") "}, {" TO_C "}, {" TO_C
                                    ", typed_per_filter_config: {s: {" PER_ROUTE
                                    ", disabled: true}}}]}, {name: w, domains: "
                                    "[b], routes: "
                                    "[{" TO_C "}]}]}"));
    assert_text(route(&f, 0, 0, 0)->session.name, "own");
    assert_text(route(&f, 0, 0, 1)->session.name, "host");
    assert_false(route(&f, 0, 0, 1)->session.strict);
    assert_false(route(&f, 0, 0, 2)->session.set);
    assert_text(route(&f, 0, 1, 0)->session.name, "low");
    assert_true(route(&f, 0, 1, 0)->session.strict);
    fixture_close(&f);
}

static void sessions_by_header(void **state) {
    fixture_t f;
    (void)state;

    good(&f, texts(LISTENER("rds: {route_config_name: t}"),
                   "{name: t, virtual_hosts: [{name: v, domains: [a], routes: "
                   "[{" TO_C ", typed_per_filter_config: {s: {" PER_ROUTE
                   ", stateful_session: {strict: true, session_state: {name: "
                   "x, typed_config: {'@type': "
                   "a/envoy.extensions.http.stateful_session.header.v3."
                   "HeaderBasedSessionState, name: X-At}}}}}}]}]}"));
    assert_true(route(&f, 0, 0, 0)->session.header);
    assert_true(route(&f, 0, 0, 0)->session.strict);
    assert_text(route(&f, 0, 0, 0)->session.name, "x-at");
    fixture_close(&f);
}

#define CORS(text)                                                             \
    "c: {'@type': a/envoy.extensions.filters.http.cors.v3.CorsPolicy, " text "}"
#define BUFFER(text)                                                           \
    "b: {'@type': "                                                            \
    "a/envoy.extensions.filters.http.buffer.v3.BufferPerRoute, " text "}"
#define ROUTE_OF(text) "{match: {prefix: /}, route: {cluster: c" text "}"

#define CORS_OWN                                                               \
    ROUTE_OF(", cors: {allow_origin_string_match: [{exact: X, ignore_case: "   \
             "true}], allow_methods: OWN, allow_private_network_access: "      \
             "false}}")
#define PER_FILTER(text) "typed_per_filter_config: {" text "}"
#define CORS_HOST ROUTE_OF("}")
#define CORS_TYPED                                                             \
    ROUTE_OF("}, " PER_FILTER(CORS("forward_not_matching_preflights: false")))
#define CORS_LOW                                                               \
    PER_FILTER(CORS("allow_methods: T, allow_headers: T, expose_headers: T"))
#define CORS_MIDDLE PER_FILTER(CORS("allow_headers: H, expose_headers: H"))
#define CORS_TOP ROUTE_OF("}, " PER_FILTER(CORS("expose_headers: R")))

/* Field by field, and what is said to the filter alone if there is any. */
static void cors_is_of_all_levels(void **state) {
    const model_cors_t *cors;
    fixture_t f;
    (void)state;

    good(&f, texts("{name: t, virtual_hosts: [{name: v, domains: [a], cors: "
                   "{allow_methods: HOST, max_age: '5', allow_credentials: "
                   "true, allow_private_network_access: true}, routes: "
                   "[" CORS_OWN ", " CORS_HOST ", " CORS_TYPED "]}]}"));
    cors = &route(&f, 0, 0, 0)->cors;
    assert_int_equal(cors->origins.count, 1);
    assert_text(cors->origins.v[0].name, "origin");
    assert_text(cors->origins.v[0].value, "x");
    assert_text(cors->methods, "OWN");
    assert_text(cors->max_age, "5");
    assert_true(cors->credentials);
    assert_false(cors->private_network);
    assert_true(cors->forward_foreign);
    cors = &route(&f, 0, 0, 1)->cors;
    assert_text(cors->methods, "HOST");
    assert_int_equal(cors->origins.count, 0);
    cors = &route(&f, 0, 0, 2)->cors;
    assert_true(cors->set);
    assert_int_equal(cors->methods.len, 0);
    assert_false(cors->forward_foreign);
    fixture_close(&f);

    good(&f, texts("{name: t, " CORS_LOW ", virtual_hosts: [{name: v, "
                   "domains: [a], cors: {max_age: '1'}, " CORS_MIDDLE
                   ", routes: [" CORS_TOP "]}]}"));
    cors = &route(&f, 0, 0, 0)->cors;
    assert_text(cors->methods, "T");
    assert_text(cors->headers, "H");
    assert_text(cors->expose, "R");
    assert_int_equal(cors->max_age.len, 0);
    fixture_close(&f);
}

#define BUFFER_8 PER_FILTER(BUFFER("buffer: {max_request_bytes: 8}"))
#define BUFFER_NONE ROUTE_OF("}, " PER_FILTER(BUFFER("disabled: true")))
#define PLAIN ROUTE_OF("}")

static void bodies_are_bounded_at_the_nearest_level(void **state) {
    fixture_t f;
    (void)state;

    good(&f, texts(LISTENER("rds: {route_config_name: t}, http_filters: "
                            "[{name: b, typed_config: {'@type': "
                            "a/envoy.extensions.filters.http.buffer.v3.Buffer, "
                            "max_request_bytes: 7}}]"),
                   "{name: t, virtual_hosts: [{name: v, domains: [a], " BUFFER_8
                   ", routes: [" PLAIN ", " BUFFER_NONE
                   "]}, {name: w, domains: [b], routes: [" PLAIN "]}]}"));
    assert_int_equal(route(&f, 0, 0, 0)->body_limit, 8);
    assert_int_equal(route(&f, 0, 0, 1)->body_limit, 0);
    assert_int_equal(route(&f, 0, 1, 0)->body_limit, 7);
    fixture_close(&f);
}

/* One that is disabled does nothing, unless a route asks for it. */
static void disabled_filters_are_for_routes_that_ask(void **state) {
    fixture_t f;
    (void)state;

    good(&f,
         texts(LISTENER("rds: {route_config_name: t}, http_filters: "
                        "[{name: b, disabled: true, typed_config: "
                        "{'@type': a/envoy.extensions.filters.http.buffer."
                        "v3.Buffer, max_request_bytes: 7}}, {name: s, "
                        "typed_config: {'@type': "
                        "a/envoy.extensions.filters.http.stateful_session."
                        "v3.StatefulSession, " STATE(
                            "low") "}, "
                                   "disabled: true}, {name: x, disabled: true, "
                                   "typed_config: {'@type': a/b.C}}]"),
               "{name: t, virtual_hosts: [{name: v, domains: [a], " BUFFER_8
               ", routes: [" PLAIN "]}, {name: w, domains: [b], "
               "routes: [" PLAIN "]}]}"));
    assert_int_equal(route(&f, 0, 0, 0)->body_limit, 8);
    assert_int_equal(route(&f, 0, 1, 0)->body_limit, 0);
    assert_false(route(&f, 0, 1, 0)->session.set);
    fixture_close(&f);
}

#define MIRROR_OWN                                                             \
    ROUTE_OF(", request_mirror_policies: [{cluster: r, runtime_fraction: "     \
             "{default_value: {numerator: 5}}}]}")

/* A level's mirrors are instead of those above. */
static void mirrors_are_of_the_nearest_level(void **state) {
    fixture_t f;
    (void)state;

    good(&f, texts("{name: t, request_mirror_policies: [{cluster: t}, "
                   "{cluster: u}], virtual_hosts: [{name: v, domains: [a], "
                   "request_mirror_policies: [{cluster: h, "
                   "disable_shadow_host_suffix_append: true}], routes: "
                   "[" MIRROR_OWN ", " PLAIN
                   "]}, {name: w, domains: [b], routes: [" PLAIN "]}]}"));
    const model_mirrors_t *mirrors = &route(&f, 0, 0, 0)->mirrors;
    assert_int_equal(mirrors->count, 1);
    assert_text(mirrors->v[0].cluster, "r");
    assert_int_equal(mirrors->v[0].share.ppm, 50000);
    assert_true(mirrors->v[0].shadow_host);
    mirrors = &route(&f, 0, 0, 1)->mirrors;
    assert_int_equal(mirrors->count, 1);
    assert_text(mirrors->v[0].cluster, "h");
    assert_int_equal(mirrors->v[0].share.ppm, MESH_SHARE_ALL);
    assert_false(mirrors->v[0].shadow_host);
    assert_int_equal(route(&f, 0, 1, 0)->mirrors.count, 2);
    fixture_close(&f);
}

#define FOLLOW(text) ROUTE_OF(", internal_redirect_policy: {" text "}}")
#define FOLLOW_ONCE FOLLOW("")
#define FOLLOW_NONE FOLLOW("max_internal_redirects: 0")
#define FOLLOW_301 FOLLOW("redirect_response_codes: [301, 300]")
#define FOLLOW_300 FOLLOW("redirect_response_codes: [300]")

/* Unless it asks for none. */
static void internal_redirects_are_302_once(void **state) {
    fixture_t f;
    (void)state;

    good(&f, texts("{name: t, virtual_hosts: [{name: v, domains: [a], routes: "
                   "[" FOLLOW_ONCE ", " FOLLOW_NONE ", " FOLLOW_301
                   ", " FOLLOW_300 "]}]}"));
    assert_true(route(&f, 0, 0, 0)->follow.set);
    assert_int_equal(route(&f, 0, 0, 0)->follow.max, 1);
    assert_int_equal(route(&f, 0, 0, 0)->follow.codes, MESH_FOLLOW_302);
    assert_false(route(&f, 0, 0, 1)->follow.set);
    assert_int_equal(route(&f, 0, 0, 2)->follow.codes, MESH_FOLLOW_301);
    assert_false(route(&f, 0, 0, 3)->follow.set);
    fixture_close(&f);
}

#define HOST_STAYS                                                             \
    ROUTE_OF(", auto_host_rewrite: false, append_x_forwarded_host: true}")
#define HOST_OF_HEADER                                                         \
    ROUTE_OF(", host_rewrite_header: X-H, append_x_forwarded_host: true}")

/* Nothing to do for who asks for nothing. */
static void hosts_that_stay_are_not_forwarded(void **state) {
    fixture_t f;
    (void)state;

    good(&f, texts("{name: t, virtual_hosts: [{name: v, domains: [a], routes: "
                   "[" HOST_STAYS ", " HOST_OF_HEADER "]}]}"));
    assert_int_equal(route(&f, 0, 0, 0)->rewrite.host, 0);
    assert_false(route(&f, 0, 0, 0)->rewrite.forward_host);
    assert_text(route(&f, 0, 0, 1)->rewrite.header, "x-h");
    assert_true(route(&f, 0, 0, 1)->rewrite.forward_host);
    fixture_close(&f);
}

static void a_host_s_retries_are_for_routes_without(void **state) {
    fixture_t f;
    (void)state;

    good(&f, texts("{virtual_hosts: [{name: v, domains: [a], retry_policy: "
                   "{retry_on: 5xx, num_retries: 4}, routes: [{" TO_C
                   "}, {match: {prefix: /}, route: {cluster: c, retry_policy: "
                   "{retry_on: reset}}}, {match: {prefix: /}, route: {cluster: "
                   "c, retry_policy: {}}}, {match: {prefix: /}, "
                   "direct_response: {status: 200}}]}]}"));
    assert_int_equal(route(&f, 0, 0, 0)->retry.attempts, 4);
    assert_int_equal(route(&f, 0, 0, 1)->retry.attempts, 1);
    assert_int_equal(route(&f, 0, 0, 1)->retry.on,
                     MESH_RETRY_RESET | MESH_RETRY_UNSAFE);
    assert_false(route(&f, 0, 0, 2)->retry.set);
    assert_false(route(&f, 0, 0, 3)->retry.set);
    fixture_close(&f);
}

/* Route's, host's, then the table's, as Envoy evaluates them. */
static void a_table_s_header_operations_come_last(void **state) {
    fixture_t f;
    (void)state;

    good(&f, texts("{request_headers_to_add: [{header: {key: x, value: t}}], "
                   "response_headers_to_remove: [z], virtual_hosts: [{name: v, "
                   "domains: [a], request_headers_to_add: [{header: {key: x, "
                   "value: 'a%%b'}}, {header: {key: e}}, {header: {key: k}, "
                   "keep_empty_value: true, append: false}], "
                   "request_headers_to_remove: [y]}]}"));
    const model_header_ops_t *ops = &f.part->tables[0].vhosts[0].request_ops;
    assert_int_equal(ops->count, 4);
    assert_int_equal(ops->v[0].op, MESH_OP_REMOVE);
    assert_text(ops->v[1].value, "a%%b");
    assert_int_equal(ops->v[2].op, MESH_OP_SET);
    assert_text(ops->v[2].value, "");
    assert_text(ops->v[3].value, "t");
    assert_text(f.part->tables[0].vhosts[0].response_ops.v[0].name, "z");
    fixture_close(&f);
}

/* --- values -------------------------------------------------------------- */

static void envoy_s_defaults_are_filled_in(void **state) {
    fixture_t f;
    (void)state;

    good(&f, texts("{name: c, connect_timeout: null, load_assignment: null, "
                   "outlier_detection: {}, lb_policy: 0}",
                   "{name: d, type: EDS, eds_cluster_config: {service_name: "
                   "d}, lbPolicy: LEAST_REQUEST, leastRequestLbConfig: "
                   "{slow_start_config: {slow_start_window: 60s}}, "
                   "ring_hash_lb_config: null, commonLbConfig: "
                   "{healthyPanicThreshold: {}}}",
                   "{virtual_hosts: [{name: v, domains: [a], routes: [{" TO_C
                   "}, {match: {prefix: ''}, redirect: {https_redirect: "
                   "true}}]}]}"));
    const model_cluster_t *c = &f.part->clusters[0];
    assert_int_equal(c->connect_timeout_ms, 5000);
    assert_int_equal(c->panic_percent, 50);
    assert_int_equal(c->lb_choices, 2);
    assert_int_equal(c->keepalive_timeout_ms, 60000);
    assert_true(c->outlier.set);
    assert_int_equal(c->outlier.consecutive_5xx, 5);
    assert_int_equal(c->outlier.consecutive_gateway_failure, 0);
    assert_int_equal(c->outlier.max_ejection_percent, 10);
    const model_cluster_t *d = &f.part->clusters[1];
    assert_int_equal(d->panic_percent, 0);
    assert_int_equal(d->endpoint_set.len, 0);
    assert_int_equal(d->aggression_milli, 1000);
    assert_int_equal(d->min_weight_percent, 10);
    assert_int_equal(route(&f, 0, 0, 0)->timeout_ms, 15000);
    assert_text(route(&f, 0, 0, 1)->path, "/");
    assert_text(route(&f, 0, 0, 1)->redirect.scheme, "https");
    assert_int_equal(route(&f, 0, 0, 1)->redirect.status, 301);
    fixture_close(&f);
}

static void enforcement_is_all_or_none(void **state) {
    fixture_t f;
    (void)state;

    good(&f, texts("{name: c, outlier_detection: {enforcing_consecutive_5xx: "
                   "0, consecutive_gateway_failure: 7, "
                   "enforcing_consecutive_gateway_failure: 100, "
                   "enforcing_consecutive_local_origin_failure: 0, "
                   "base_ejection_time: 400s, enforcing_success_rate: 0}, "
                   "lb_policy: RANDOM}"));
    const model_outlier_t *o = &f.part->clusters[0].outlier;
    assert_int_equal(o->consecutive_5xx, 0);
    assert_int_equal(o->consecutive_gateway_failure, 7);
    assert_int_equal(o->consecutive_local_failure, 0);
    assert_int_equal(o->max_ejection_ms, 400000);
    fixture_close(&f);
}

static void another_balancer_s_parameters_say_nothing(void **state) {
    fixture_t f;
    (void)state;

    good(&f, texts("{name: c, lb_policy: RANDOM, ring_hash_lb_config: "
                   "{minimum_ring_size: '5'}}",
                   "{name: d, lb_policy: RING_HASH, load_balancing_policy: "
                   "{policies: [{typed_extension_config: {typed_config: "
                   "{'@type': a/b.Own}}}, {typed_extension_config: "
                   "{typed_config: {'@type': "
                   "a/envoy.extensions.load_balancing_policies.maglev.v3."
                   "Maglev, table_size: '251'}}}]}}"));
    assert_int_equal(f.part->clusters[0].lb, MESH_LB_RANDOM);
    assert_int_equal(f.part->clusters[0].lb_ring_min, 0);
    assert_int_equal(f.part->clusters[1].lb, MESH_LB_MAGLEV);
    assert_int_equal(f.part->clusters[1].lb_table_size, 251);
    fixture_close(&f);
}

/* Whichever is written first. */
static void load_balancing_policy_counts_alone(void **state) {
#define OLD                                                                    \
    "ring_hash_lb_config: {minimum_ring_size: '5', maximum_ring_size: '7'}, "  \
    "common_lb_config: {locality_weighted_lb_config: {}, "                     \
    "consistent_hashing_lb_config: {hash_balance_factor: 150}}"
#define NEW                                                                    \
    "load_balancing_policy: {policies: [{typed_extension_config: "             \
    "{typed_config: {'@type': "                                                \
    "a/envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash, "       \
    "minimum_ring_size: '64'}}}]}"
    fixture_t f;
    (void)state;

    good(&f, texts("{name: c, lb_policy: RING_HASH, " OLD ", " NEW "}",
                   "{name: d, " NEW ", " OLD ", lb_policy: RING_HASH}",
                   "{name: e, lb_policy: RING_HASH, " OLD "}"));
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(f.part->clusters[i].lb, MESH_LB_RING_HASH);
        assert_int_equal(f.part->clusters[i].lb_ring_min, 64);
        assert_true(f.part->clusters[i].lb_ring_max > 7);
        assert_int_equal(f.part->clusters[i].lb_balance_factor, 0);
    }
    assert_int_equal(f.part->clusters[2].lb_ring_max, 7);
    assert_int_equal(f.part->clusters[2].lb_balance_factor, 150);
    fixture_close(&f);
}

#define AT(ip, more)                                                           \
    "{endpoint: {address: {socket_address: {address: '" ip                     \
    "', port_value: '5'}}}" more "}"

/* In canonical order; of two of one address, the first. */
static void endpoints_are_put_in_order_once(void **state) {
    fixture_t f;
    (void)state;

    const char *messages = good(
        &f,
        texts(
            "{cluster_name: c, endpoints: [{locality: {zone: a}, "
            "lb_endpoints: [" AT("9.9.9.9", "") ", " AT(
                "1.1.1.1",
                ", load_balancing_weight: 3") "]}, "
                                              "{locality: {zone: b}, "
                                              "lb_endpoints: [" AT(
                                                  "1.1.1.1",
                                                  "") ", " AT("::1",
                                                              ", metadata: "
                                                              "{filter_"
                                                              "metadata: "
                                                              "{envoy.lb: "
                                                              "{v: 2, canary: "
                                                              "true}}}, "
                                                              "health_status: "
                                                              "TIMEOUT") "]}]"
                                                                         "}"));
    const model_endpoint_set_t *set = &f.part->sets[0];
    assert_int_equal(set->count, 3);
    assert_int_equal(set->v[0].addr[0], 1);
    assert_int_equal(set->v[0].weight, 3);
    assert_text(set->v[0].locality.zone, "a");
    assert_int_equal(set->v[1].addr[0], 9);
    assert_int_equal(set->v[2].family, MESH_FAMILY_IPV6);
    assert_int_equal(set->v[2].health, MESH_HEALTH_UNHEALTHY);
    assert_text(set->v[2].labels.v[0].name, "canary");
    assert_text(set->v[2].labels.v[0].value, "true");
    assert_text(set->v[2].labels.v[1].value, "2");
    assert_non_null(strstr(messages, "found an address that is there again"));
    fixture_close(&f);
}

/* A locality with 9.9.9.9 of that weight, and more than that. */
static size_t add_locality(char *out, size_t size, uint32_t weight,
                           uint32_t others) {
    size_t len = (size_t)snprintf(
        out, size,
        "{lb_endpoints: [" AT("9.9.9.9", ", load_balancing_weight: %u"),
        weight);

    for (uint32_t i = 0; i < others && len < size; i++) {
        len +=
            (size_t)snprintf(out + len, size - len, ", " AT("10.%u.%u.%u", ""),
                             weight, i / 256, i % 256);
    }
    len += len < size ? (size_t)snprintf(out + len, size - len, "]}, ") : 0;
    assert_true(len < size);
    return len;
}

/* Whatever the localities' sizes, and so wherever they are in memory. */
static void the_first_of_an_address_is_the_first_written(void **state) {
    static char text[1 << 17];
    static const uint32_t sizes[][3] = {
        {0, 0, 0}, {600, 0, 0}, {0, 600, 0}, {0, 0, 600}, {600, 600, 0},
    };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(sizes); i++) {
        size_t len = (size_t)snprintf(text, sizeof(text),
                                      "{cluster_name: c, endpoints: [");
        fixture_t f;

        for (uint32_t k = 0; k < mesh_nelts(sizes[i]); k++) {
            len += add_locality(text + len, sizeof(text) - len - 3, k + 1,
                                sizes[i][k]);
        }
        memcpy(text + len, "]}", 3);
        good(&f, texts(text));
        assert_int_equal(f.part->sets[0].v[0].addr[0], 9);
        assert_int_equal(f.part->sets[0].v[0].weight, 1);
        fixture_close(&f);
    }
}

static void shares_and_bytes(void **state) {
    static const struct {
        const char *value;
        uint32_t ppm;
    } shares[] = {{"{numerator: 5}", 50000},
                  {"{numerator: 5, denominator: HUNDRED}", 50000},
                  {"{numerator: 5, denominator: 1}", 500},
                  {"{numerator: 5, denominator: MILLION}", 5},
                  {"{numerator: 500}", 1000000},
                  {"{}", 0}};
    static const struct {
        const char *base64;
        const char *text;
    } bodies[] = {
        {"''", ""}, {"aA==", "h"}, {"aGk", "hi"}, {"_-8=", "\xff\xef"}};
    char text[512];
    fixture_t f;
    (void)state;

    for (size_t i = 0; i < mesh_nelts(shares); i++) {
        snprintf(text, sizeof(text),
                 "{virtual_hosts: [{name: v, domains: [a], routes: [{match: "
                 "{prefix: /, runtime_fraction: {default_value: %s, "
                 "runtime_key: k}}, route: {cluster: c}}]}]}",
                 shares[i].value);
        good(&f, texts(text));
        assert_true(route(&f, 0, 0, 0)->share.set);
        assert_int_equal(route(&f, 0, 0, 0)->share.ppm, shares[i].ppm);
        assert_true(mesh_str_eq(route(&f, 0, 0, 0)->share.key, MESH_STR("k")));
        assert_true(f.part->tables[0].keyed);
        fixture_close(&f);
    }
    for (size_t i = 0; i < mesh_nelts(bodies); i++) {
        snprintf(text, sizeof(text),
                 "{virtual_hosts: [{name: v, domains: [a], routes: [{match: "
                 "{prefix: /}, direct_response: {status: 200, body: "
                 "{inline_bytes: %s}}}]}]}",
                 bodies[i].base64);
        good(&f, texts(text));
        assert_text(route(&f, 0, 0, 0)->direct_body, bodies[i].text);
        fixture_close(&f);
    }
}

/* Envoy leaves out words that it does not know. */
static void unknown_retry_conditions_are_told(void **state) {
    fixture_t f;
    (void)state;

    const char *messages =
        good(&f, texts("{virtual_hosts: [{name: v, domains: [a], routes: "
                       "[{match: {prefix: /}, route: {cluster: c, "
                       "retry_policy: {retry_on: ' retriable-4xx , nonsense, "
                       "retriable-status-codes,', retriable_status_codes: "
                       "[503, 418, 503]}}}]}]}"));
    const model_retry_t *retry = &route(&f, 0, 0, 0)->retry;
    assert_int_equal(retry->ncodes, 3);
    assert_int_equal(retry->codes[0], 409);
    assert_int_equal(retry->codes[1], 418);
    assert_int_equal(retry->codes[2], 503);
    assert_int_equal(retry->on, MESH_RETRY_STATUS | MESH_RETRY_UNSAFE);
    assert_non_null(strstr(messages, "found \"nonsense\", expected a condition "
                                     "that Envoy knows"));
    fixture_close(&f);
}

/* As Istio has it with PILOT's older names; a domain that never matches. */
static void domains_with_ports_are_no_mistake(void **state) {
    fixture_t f;
    (void)state;

    good(&f, texts("{ignore_port_in_host_matching: true, virtual_hosts: "
                   "[{name: v, domains: ['a.b:80', A.B]}]}"));
    assert_text(f.part->tables[0].vhosts[0].domains[0], "a.b:80");
    assert_text(f.part->tables[0].vhosts[0].domains[1], "a.b");
    assert_int_equal(f.part->tables[0].vhosts[0].nroutes, 0);
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resources_are_found_in_every_envelope),
        cmocka_unit_test(a_dump_has_all_kinds),
        cmocka_unit_test(a_dump_shows_again_what_others_have),
        cmocka_unit_test(a_native_mesh_is_recognized_as_one),
        cmocka_unit_test(listeners_say_how_other_files_tables_are_read),
        cmocka_unit_test(two_listeners_read_one_table_alike),
        cmocka_unit_test(a_listener_has_so_many_managers),
        cmocka_unit_test(a_table_that_is_not_there_is_told),
        cmocka_unit_test(inlined_tables_get_names_of_their_own),
        cmocka_unit_test(routes_are_named_by_table_and_host),
        cmocka_unit_test(sessions_come_from_the_nearest_level),
        cmocka_unit_test(sessions_by_header),
        cmocka_unit_test(cors_is_of_all_levels),
        cmocka_unit_test(bodies_are_bounded_at_the_nearest_level),
        cmocka_unit_test(disabled_filters_are_for_routes_that_ask),
        cmocka_unit_test(mirrors_are_of_the_nearest_level),
        cmocka_unit_test(internal_redirects_are_302_once),
        cmocka_unit_test(hosts_that_stay_are_not_forwarded),
        cmocka_unit_test(a_host_s_retries_are_for_routes_without),
        cmocka_unit_test(a_table_s_header_operations_come_last),
        cmocka_unit_test(envoy_s_defaults_are_filled_in),
        cmocka_unit_test(enforcement_is_all_or_none),
        cmocka_unit_test(another_balancer_s_parameters_say_nothing),
        cmocka_unit_test(load_balancing_policy_counts_alone),
        cmocka_unit_test(endpoints_are_put_in_order_once),
        cmocka_unit_test(the_first_of_an_address_is_the_first_written),
        cmocka_unit_test(shares_and_bytes),
        cmocka_unit_test(unknown_retry_conditions_are_told),
        cmocka_unit_test(domains_with_ports_are_no_mistake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
