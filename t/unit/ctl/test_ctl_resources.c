/* SPDX-License-Identifier: Apache-2.0 */

/*
 * --resources FILE: meshctl's reading commands without agent, nginx and zone,
 * on Envoy's resources and on native files.
 */

#include "ctl_call.h"
#include "temp_dir.h"

static const char bootstrap[] =
    "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}\n"
    "static_resources:\n"
    "  listeners:\n"
    "  - name: in\n"
    "    address: {socket_address: {address: 0.0.0.0, port_value: 80}}\n"
    "    filter_chains:\n"
    "    - filters:\n"
    "      - name: hcm\n"
    "        typed_config:\n"
    "          '@type': type.googleapis.com/envoy.extensions.filters.network"
    ".http_connection_manager.v3.HttpConnectionManager\n"
    "          stat_prefix: in\n"
    "          normalize_path: true\n"
    "          route_config:\n"
    "            name: local\n"
    "            virtual_hosts:\n"
    "            - name: shop\n"
    "              domains: [shop.local]\n"
    "              routes:\n"
    "              - match: {prefix: /a, headers: [{name: k, string_match: "
    "{exact: v}}]}\n"
    "                direct_response: {status: 418}\n"
    "              - match: {prefix: /a}\n"
    "                route: {weighted_clusters: {clusters: [{name: a, weight: "
    "9}, {name: b, weight: 1}]}, max_grpc_timeout: 1s}\n"
    "              - match: {path: /old}\n"
    "                redirect: {path_redirect: /new, response_code: FOUND}\n"
    "              - match: {prefix: /t}\n"
    "                route: {cluster: t}\n"
    "          http_filters:\n"
    "          - name: envoy.filters.http.router\n"
    "            typed_config: {'@type': type.googleapis.com/envoy.extensions"
    ".filters.http.router.v3.Router}\n"
    "  clusters:\n"
    "  - name: a\n"
    "    type: STATIC\n"
    "    load_assignment: {cluster_name: a, endpoints: [{lb_endpoints: "
    "[{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: "
    "11}}}}]}]}\n"
    "  - {name: b, type: STATIC}\n"
    "  - {name: t, type: STRICT_DNS, transport_socket: {name: tls}, "
    "load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: "
    "{socket_address: {address: t.local, port_value: 80}}}}]}]}}\n";

static const char routes[] =
    "{\"name\": \"one\", \"virtualHosts\": [{\"name\": \"v\", \"domains\": "
    "[\"*\"], \"routes\": [{\"match\": {\"prefix\": \"/\"}, \"route\": "
    "{\"cluster\": \"none/of/ours\"}}]}]}";

static const char native[] =
    "clusters: {n: {endpoints: [127.0.0.9:1]}}\n"
    "hosts: [{domains: n.local, routes: [{route: n}]}]\n";

typedef struct {
    const char *envoy;
    const char *routes;
    const char *native;
} files_t;

static files_t files_of(void) {
    static char envoy_path[128], routes_path[128], native_path[128];

    snprintf(envoy_path, sizeof(envoy_path), "%s/envoy.yaml", temp_top.path);
    snprintf(routes_path, sizeof(routes_path), "%s/routes.json", temp_top.path);
    snprintf(native_path, sizeof(native_path), "%s/native.yaml", temp_top.path);
    temp_puts(envoy_path, bootstrap);
    temp_puts(routes_path, routes);
    temp_puts(native_path, native);
    return (files_t){envoy_path, routes_path, native_path};
}

/* --- explain ------------------------------------------------------------- */

static void a_bootstrap_is_explained(void **state) {
    files_t f = files_of();
    (void)state;

    expect("/none", CTL_EXIT_OK,
           words("explain", "GET", "http://shop.local/x/../a", "--resources",
                 f.envoy, "--ticket", "0.0"),
           words("host        shop", "local/shop/0  header k is not there",
                 "local/shop/1  matches", "a  9 of 10", "b  1 of 10",
                 "127.0.0.1:11", "passed over what is not supported yet"));
    cJSON *json = json_of("/none", CTL_EXIT_OK,
                          words("explain", "GET", "http://shop.local/a", "-H",
                                "k: v", "--resources", f.envoy));
    expect_text(json, "result", "direct response");
    expect_number(json, "status", 418);
    expect_text(json, "route", "local/shop/0");
    cJSON_Delete(json);
    json = json_of("/none", CTL_EXIT_OK,
                   words("explain", "GET", "http://shop.local/old?q",
                         "--resources", f.envoy));
    expect_number(json, "status", 302);
    expect_text(json, "location", "http://shop.local/new?q");
    cJSON_Delete(json);
    expect("/none", CTL_EXIT_NO,
           words("explain", "GET", "http://other/", "--resources", f.envoy),
           words("no virtual host"));
    /* A name is not asked for; the cluster is known all the same. */
    expect(
        "/none", CTL_EXIT_NO,
        words("explain", "GET", "http://shop.local/t", "--resources", f.envoy),
        words("->  t\n", "result      no endpoint"));
}

/* Tickets choose among weighted clusters, each its share. */
static void tickets_choose_the_cluster(void **state) {
    files_t f = files_of();
    uint32_t b = 0;
    (void)state;

    for (uint32_t i = 0; i < 10; i++) {
        char ticket[16];

        snprintf(ticket, sizeof(ticket), "%u.0", i);
        capture_t c = call("/none", words("-o", "json", "explain", "GET",
                                          "http://shop.local/a", "--ticket",
                                          ticket, "--resources", f.envoy));
        cJSON *json = cJSON_Parse(c.out);
        b += strcmp(cJSON_GetStringValue(at(json, "cluster")), "b") == 0;
        cJSON_Delete(json);
        capture_free(&c);
    }
    assert_int_equal(b, 1);
}

/* Routes alone: what they lead to is another's. */
static void routes_alone_are_enough(void **state) {
    char path[128];
    (void)state;

    snprintf(path, sizeof(path), "%s/alone.json", temp_top.path);
    temp_puts(path, "{\"virtual_hosts\": [{\"name\": \"v\", \"domains\": "
                    "[\"*\"], \"routes\": [{\"match\": {\"prefix\": \"/\"}, "
                    "\"route\": {\"cluster\": \"far\"}}]}]}");
    expect("/none", CTL_EXIT_OK,
           words("explain", "GET", "http://any/", "--resources", path),
           words("->  far", "routed to a cluster that is not told"));
}

static void tables_are_asked_for_by_name(void **state) {
    files_t f = files_of();
    char path[128];
    (void)state;

    snprintf(path, sizeof(path), "%s/two.yaml", temp_top.path);
    temp_puts(path, "[{name: one, virtual_hosts: []}, {name: two, "
                    "virtual_hosts: [{name: v, domains: ['*'], routes: "
                    "[{match: {prefix: /}, direct_response: {status: "
                    "204}}]}]}]");
    expect("/none", CTL_EXIT_USAGE,
           words("explain", "GET", "http://a/", "--resources", path),
           words("which route table? --table one, two"));
    expect("/none", CTL_EXIT_OK,
           words("explain", "GET", "http://a/", "--resources", path, "--table",
                 "two"),
           words("direct response, status 204"));
    expect("/none", CTL_EXIT_NO,
           words("explain", "GET", "http://a/", "--resources", path, "--table",
                 "three"),
           words("no route table of that name"));
    expect("/none", CTL_EXIT_OK,
           words("explain", "GET", "http://n.local/", "--resources", f.envoy,
                 "--resources", f.native, "--table", "default"),
           words("routed to 127.0.0.9:1"));
}

/* --- the other commands -------------------------------------------------- */

static void other_commands_read_resources(void **state) {
    files_t f = files_of();
    (void)state;

    expect("/none", CTL_EXIT_OK, words("clusters", "--resources", f.envoy),
           words("a  ", "b  ", "t  "));
    expect("/none", CTL_EXIT_OK, words("routes", "--resources", f.envoy),
           words("local/shop/0", "local/shop/3"));
    expect("/none", CTL_EXIT_OK, words("endpoints", "--resources", f.envoy),
           words("127.0.0.1:11", "usable"));
    expect("/none", CTL_EXIT_OK, words("dump", "--resources", f.native),
           words("n.local"));
    expect("/none", CTL_EXIT_USAGE,
           words("dump", "--resources", f.native, "--at", "1"),
           words("resources have no generations"));
    expect("/none", CTL_EXIT_USAGE, words("history", "--resources", f.native),
           words("usage: meshctl history"));
}

/* --- what is wrong ------------------------------------------------------- */

static void what_is_wrong_is_told_and_the_rest_is_used(void **state) {
    files_t f = files_of();
    char path[128];
    (void)state;

    snprintf(path, sizeof(path), "%s/wrong.yaml", temp_top.path);
    temp_puts(path, "[{name: bad, lb_policy: NONE}, {name: good, "
                    "connect_timeout: 1s}]");
    expect("/none", CTL_EXIT_OK, words("clusters", "--resources", path),
           words("wrong.yaml:1:25: [0].lb_policy: found \"NONE\"", "good"));
    expect("/none", CTL_EXIT_UNREADABLE,
           words("clusters", "--resources", "/none/of/this"),
           words("/none/of/this: No such file or directory"));
    temp_puts(path, "[{name: c, connect_timeout: 1s}, {name: c, "
                    "connect_timeout: 1s}]");
    expect("/none", CTL_EXIT_NO, words("clusters", "--resources", path),
           words("cluster \"c\": found the name of another cluster"));
    temp_puts(path, "{{");
    expect("/none", CTL_EXIT_OK,
           words("clusters", "--resources", path, "--resources", f.native),
           words("wrong.yaml:1:", "n  "));
}

/* --- validate ------------------------------------------------------------ */

static void validate_says_what_is_supported(void **state) {
    files_t f = files_of();
    (void)state;

    expect("/none", CTL_EXIT_NO, words("validate", f.envoy),
           words("static_resources.listeners[0].filter_chains[0].filters[0]."
                 "typed_config.route_config.virtual_hosts[0].routes[1].route."
                 "max_grpc_timeout: this field is not supported yet",
                 "RESOURCE             TAKEN  REFUSED\n"
                 "cluster              2      1\n",
                 "listener             0      1\n",
                 "cluster: transport_socket ", "listener: address ",
                 "1 file, 2 errors, 1 warning"));
    expect("/none", CTL_EXIT_NO, words("validate", f.routes),
           words("cluster: found \"none/of/ours\", expected a name of 1 to"));
    cJSON *json = json_of("/none", CTL_EXIT_NO, words("validate", f.envoy));
    expect_number(json, "errors", 2);
    expect_number(json, "warnings", 1);
    expect_text(json, "messages/2/message", "this field is not supported yet");
    expect_text(json, "messages/2/resource", "cluster \"t\"");
    expect_text(json, "messages/2/field",
                "static_resources.clusters[2].transport_socket");
    expect_text(json, "resources/0/kind", "cluster");
    expect_number(json, "resources/0/taken", 2);
    expect_number(json, "resources/0/refused", 1);
    expect_text(json, "not_supported_yet/2/field", "cluster: transport_socket");
    assert_true(cJSON_IsTrue(at(json, "not_supported_yet/2/refused")));
    cJSON_Delete(json);
}

static void validate_says_the_same_of_native_files_as_json(void **state) {
    files_t f = files_of();
    (void)state;

    cJSON *json = json_of("/none", CTL_EXIT_OK, words("validate", f.native));
    expect_number(json, "files", 1);
    expect_number(json, "errors", 0);
    assert_null(at(json, "resources"));
    cJSON_Delete(json);
}

/* --- compile ------------------------------------------------------------- */

static const char whole[] =
    "{static_resources: {clusters: [{name: c, load_assignment: {endpoints: "
    "[{lb_endpoints: [{endpoint: {address: {socket_address: {address: "
    "127.0.0.7, port_value: 7}}}}]}]}}]}}\n";

static void compile_says_what_files_become(void **state) {
    files_t f = files_of();
    (void)state;

    expect("/none", CTL_EXIT_OK, words("compile", f.native),
           words("clusters    1\n", "endpoints   1\n", "hosts       1\n",
                 "routes      1\n", "bytes       ", "digest      "));
    cJSON *one = json_of("/none", CTL_EXIT_OK, words("compile", f.native));
    cJSON *two = json_of("/none", CTL_EXIT_OK, words("compile", f.native));
    expect_number(one, "clusters", 1);
    assert_int_equal(strlen(cJSON_GetStringValue(at(one, "digest"))), 32);
    expect_text(two, "digest", cJSON_GetStringValue(at(one, "digest")));
    assert_null(at(one, "generation"));
    cJSON_Delete(one);
    cJSON_Delete(two);
    /* Nothing is half. */
    expect("/none", CTL_EXIT_NO, words("compile", f.native, f.envoy),
           words("max_grpc_timeout: this field is not supported yet"));
    expect("/none", CTL_EXIT_UNREADABLE, words("compile", "/none"),
           words("No such file"));
}

static void compile_makes_a_zone(void **state) {
    files_t f = files_of();
    char zone[128], path[128];
    (void)state;

    snprintf(zone, sizeof(zone), "%s/zone", temp_top.path);
    snprintf(path, sizeof(path), "%s/whole.yaml", temp_top.path);
    temp_puts(path, whole);
    expect("/none", CTL_EXIT_OK,
           words("compile", f.native, path, "--into", zone),
           words("clusters    2\n", "generation  1\n"));
    expect(zone, CTL_EXIT_OK, words("explain", "GET", "http://n.local/"),
           words("routed to 127.0.0.9:1"));
    expect(zone, CTL_EXIT_OK, words("endpoints", "c"), words("127.0.0.7:7"));
    expect("/none", CTL_EXIT_OK,
           words("compile", f.native, path, "--into", zone),
           words("generation  1, which was there already"));
    cJSON *json = json_of("/none", CTL_EXIT_OK,
                          words("compile", f.native, "--into", zone));
    expect_number(json, "generation", 2);
    assert_true(cJSON_IsTrue(at(json, "changed")));
    cJSON_Delete(json);
    expect(zone, CTL_EXIT_OK, words("history"), words("meshctl compile"));
    /* Nobody took these files at a time, or as a version. */
    capture_t status = call(zone, words("status"));
    assert_non_null(strstr(status.out, "native.yaml"));
    assert_null(strstr(status.out, "d ago"));
    capture_free(&status);
    expect("/none", CTL_EXIT_UNREADABLE,
           words("compile", f.native, "--into", path),
           words("meshctl: ", "whole.yaml"));
}

/* Names are an agent's to ask for. */
static void compile_tells_of_names(void **state) {
    char path[128];
    (void)state;

    snprintf(path, sizeof(path), "%s/names.yaml", temp_top.path);
    temp_puts(path, "clusters: {a: {endpoints: ['host.local:1']}}\n");
    expect("/none", CTL_EXIT_OK, words("compile", path),
           words("the names of 1 endpoint sets are left out", "endpoints   0"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bootstrap_is_explained),
        cmocka_unit_test(tickets_choose_the_cluster),
        cmocka_unit_test(routes_alone_are_enough),
        cmocka_unit_test(tables_are_asked_for_by_name),
        cmocka_unit_test(other_commands_read_resources),
        cmocka_unit_test(what_is_wrong_is_told_and_the_rest_is_used),
        cmocka_unit_test(validate_says_what_is_supported),
        cmocka_unit_test(validate_says_the_same_of_native_files_as_json),
        cmocka_unit_test(compile_says_what_files_become),
        cmocka_unit_test(compile_makes_a_zone),
        cmocka_unit_test(compile_tells_of_names),
    };

    return cmocka_run_group_tests(tests, temp_top_make, temp_top_remove);
}
