/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Policies of routes: sizes, CORS, internal redirects, mirrors; what a route
 * has from its host.  A "^" stands where a document's one error is told.
 */

#include "model_cases.h"

#define SIZE "a size of 0 to 4294967295 bytes such as 65536, 64k or 1M"
#define STATUSES "one of 301, 302, 303, 307, 308"
#define SHARE                                                                  \
    "a percentage from 0 to 100 such as 10 or 0.5%, with at most 4 decimals"

/* clang-format off */

static const case_t sizes[] = {
    {ROUTED("max_request_body: ^-1"),
     ROUTE_AT ".max_request_body: found -1, expected " SIZE},
    {ROUTED("max_request_body: ^4G"),
     ROUTE_AT ".max_request_body: found \"4G\", expected " SIZE},
    {ROUTED("max_request_body: ^1T"),
     ROUTE_AT ".max_request_body: found \"1T\", expected " SIZE},
    {ROUTED("max_request_body: ^k"),
     ROUTE_AT ".max_request_body: found \"k\", expected " SIZE},
    {ROUTED("max_request_body: ^1.5M"),
     ROUTE_AT ".max_request_body: found \"1.5M\", expected " SIZE},
    {ROUTED("max_request_body: ^''"),
     ROUTE_AT ".max_request_body: found \"\", expected " SIZE},
    {ROUTED("max_request_body: ^[1]"),
     ROUTE_AT ".max_request_body: found a list, expected " SIZE},
    {ROUTED("max_request_body: 4294967295"), NULL},
    {HOSTS("^{respond: 200, max_request_body: 1}"),
     ROUTE_AT ": found max_request_body without a route, expected it beside "
     "route only"},
};

static const case_t cors[] = {
    {ROUTED("cors: {}"), NULL},
    {ROUTED("cors: {allow_origin: '*', allow_methods: '*', max_age: 0}"), NULL},
    {ROUTED("cors: {allow_origin: ^[]}"),
     ROUTE_AT ".cors.allow_origin: found an empty list, expected at least one"},
    {ROUTED("cors: {allow_origin: [a, ^5]}"),
     ROUTE_AT ".cors.allow_origin[1]: found 5, expected text (put it in "
     "quotes)"},
    {ROUTED("cors: {allow_origin: {^present: true}}"),
     ROUTE_AT ".cors.allow_origin.present: found an unknown field, expected "
     "one of exact, prefix, suffix, contains, regex, ignore_case"},
    {ROUTED("cors: {allow_origin: ^{exact: a, suffix: b}}"),
     ROUTE_AT ".cors.allow_origin: found more than one condition, expected one "
     "of exact, prefix, suffix, contains, regex"},
    {ROUTED("cors: {allow_origin: ^{ignore_case: true}}"),
     ROUTE_AT ".cors.allow_origin: found no condition, expected one of exact, "
     "prefix, suffix, contains, regex"},
    {ROUTED("cors: {allow_origin: {regex: ^'('}}"),
     ROUTE_AT ".cors.allow_origin.regex: found \"(\", expected a regular "
     "expression of RE2: a ( without its ) (at byte 0)"},
    {ROUTED("cors: {allow_origin: ^{regex: a, ignore_case: true}}"),
     ROUTE_AT ".cors.allow_origin: found ignore_case with a regex, expected "
     "(?i) before its text"},
    {ROUTED("cors: {allow_methods: ^[]}"),
     ROUTE_AT ".cors.allow_methods: found a list, expected text, or a list of "
     "texts"},
    {ROUTED("cors: {allow_methods: [GET, ^'']}"),
     ROUTE_AT ".cors.allow_methods[1]: found \"\", expected text that is not "
     "empty"},
    {ROUTED("cors: {allow_headers: ^\"a\\nb\"}"),
     ROUTE_AT ".cors.allow_headers: found \"a\\x0ab\", expected a value "
     "without line breaks and control characters"},
    {ROUTED("cors: {expose_headers: ^{a: b}}"),
     ROUTE_AT ".cors.expose_headers: found a map, expected text"},
    {ROUTED("cors: {max_age: ^1500ms}"),
     ROUTE_AT ".cors.max_age: found \"1500ms\", expected whole seconds"},
    {ROUTED("cors: {max_age: ^soon}"),
     ROUTE_AT ".cors.max_age: found \"soon\", expected a duration of at most "
     "24 days such as 250ms, 3s or 1m"},
    {ROUTED("cors: {^filter_enabled: 1}"),
     ROUTE_AT ".cors.filter_enabled: this field is not supported yet"},
    {HOSTS("^{redirect: {host: x}, cors: {}}"),
     ROUTE_AT ": found cors without a route, expected it beside route only"},
};

static const case_t follow[] = {
    {ROUTED("internal_redirects: {}"), NULL},
    {ROUTED("internal_redirects: {codes: [301, 308, 301]}"), NULL},
    {ROUTED("internal_redirects: {codes: [302, ^304]}"),
     ROUTE_AT ".internal_redirects.codes[1]: found 304, expected " STATUSES},
    {ROUTED("internal_redirects: {codes: ^'302'}"),
     ROUTE_AT ".internal_redirects.codes: found \"302\", expected " STATUSES},
    {ROUTED("internal_redirects: {codes: ^[]}"),
     ROUTE_AT ".internal_redirects.codes: found an empty list, expected at "
     "least one"},
    {ROUTED("internal_redirects: ^true"),
     ROUTE_AT ".internal_redirects: found true, expected internal redirects: a "
     "map"},
    {ROUTED("internal_redirects: {^previous_routes: true}"),
     ROUTE_AT ".internal_redirects.previous_routes: this field is not "
     "supported yet"},
    {HOSTS("^{respond: 200, internal_redirects: {}}"),
     ROUTE_AT ": found internal_redirects without a route, expected it beside "
     "route only"},
};

static const case_t mirrors[] = {
    {ROUTED("mirror: a"), NULL},
    {ROUTED("mirror: [a/b, {cluster: c, percentage: 0.0001%}]"), NULL},
    {ROUTED("mirror: [a, a, a, a, a, a, a, a]"), NULL},
    {ROUTED("mirror: ^[a, a, a, a, a, a, a, a, a]"),
     ROUTE_AT ".mirror: found more than 8 mirrors, expected at most 8"},
    {ROUTED("mirror: ^[]"),
     ROUTE_AT ".mirror: found an empty list, expected at least one"},
    {ROUTED("mirror: ^a/"),
     ROUTE_AT ".mirror: found \"a/\", expected a cluster, or a cluster/subset"},
    {ROUTED("mirror: [^{percentage: 1}]"),
     ROUTE_AT ".mirror[0]: found none, expected a mirror with \"cluster\""},
    {ROUTED("mirror: {cluster: a, percentage: ^101}"),
     ROUTE_AT ".mirror.percentage: found 101, expected " SHARE},
    {ROUTED("mirror: {cluster: a, ^cluster_header: x}"),
     ROUTE_AT ".mirror.cluster_header: this field is not supported yet"},
    {HOSTS("^{respond: 200, mirror: a}"),
     ROUTE_AT ": found mirror without a route, expected it beside route only"},
    {"hosts: [{domains: a, routes: [{respond: 200}], "
     "mirror: ^[a, a, a, a, a, a, a, a, a]}]",
     "hosts[0].mirror: found more than 8 mirrors, expected at most 8"},
};

/* clang-format on */

static void sizes_of_bodies(void **state) {
    (void)state;
    check_all(sizes);
}

static void words_of_cors(void **state) {
    (void)state;
    check_all(cors);
}

static void redirects_that_are_followed(void **state) {
    (void)state;
    check_all(follow);
}

static void clusters_that_get_copies(void **state) {
    (void)state;
    check_all(mirrors);
}

/* --- what was decoded ----------------------------------------------------- */

static void sizes_in_all_units(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint32_t bytes;
    } units[] = {{"0", 0},         {"5", 5},
                 {"64k", 65536},   {"1K", 1024},
                 {"3m", 3 << 20},  {"2M", 2 << 20},
                 {"3g", 3u << 30}, {"1G", 1 << 30},
                 {"'100'", 100},   {"4194303k", 4294966272u}};

    for (size_t i = 0; i < mesh_nelts(units); i++) {
        char document[128];
        fixture_t f;

        snprintf(document, sizeof(document), ROUTED("max_request_body: %s"),
                 units[i].text);
        fixture_yaml(&f, document);
        assert_int_equal(f.errors.errors, 0);
        assert_int_equal(f.part->tables[0].vhosts[0].routes[0].body_limit,
                         units[i].bytes);
        fixture_close(&f);
    }
}

/* Field by field from the host, and only where there is somewhere to go. */
static void what_a_route_has_from_its_host(void **state) {
    (void)state;
    fixture_t f;

    fixture_yaml(
        &f, "hosts:\n"
            "  - domains: a\n"
            "    mirror: [m, n]\n"
            "    cors: {allow_origin: [x, y], allow_methods: [A, B],\n"
            "           max_age: 5s, allow_credentials: true,\n"
            "           forward_not_matching_preflights: false}\n"
            "    routes:\n"
            "      - {route: c}\n"
            "      - {route: c, mirror: o, cors: {allow_origin: z,\n"
            "         allow_headers: h, allow_credentials: false}}\n"
            "      - {respond: 200}\n"
            "  - {domains: b, routes: [{route: c, cors: {}}, {route: c}]}\n");
    assert_string_equal(fixture_messages(&f), "");
    const model_route_t *r = f.part->tables[0].vhosts[0].routes;
    const model_route_t *other = f.part->tables[0].vhosts[1].routes;

    assert_int_equal(r[0].mirrors.count, 2);
    assert_int_equal(r[0].cors.origins.count, 2);
    assert_text(r[0].cors.methods, "A, B");
    assert_text(r[0].cors.max_age, "5");
    assert_true(r[0].cors.credentials && !r[0].cors.forward_foreign);

    assert_int_equal(r[1].mirrors.count, 1);
    assert_text(r[1].mirrors.v[0].cluster, "o");
    assert_int_equal(r[1].cors.origins.count, 1);
    assert_text(r[1].cors.origins.v[0].value, "z");
    assert_text(r[1].cors.methods, "A, B");
    assert_text(r[1].cors.headers, "h");
    assert_text(r[1].cors.max_age, "5");
    assert_true(!r[1].cors.credentials && !r[1].cors.forward_foreign);

    assert_int_equal(r[2].mirrors.count, 0);
    assert_false(r[2].cors.set);

    assert_true(other[0].cors.set && other[0].cors.forward_foreign);
    assert_false(other[1].cors.set);
    assert_int_equal(other[0].mirrors.count, 0);
    fixture_close(&f);
}

static void mirrors_and_redirects(void **state) {
    (void)state;
    fixture_t f;

    fixture_yaml(&f, ROUTED("mirror: [a, {cluster: b/s, percentage: 2.5, "
                            "shadow_host: false}], internal_redirects: "
                            "{codes: [308, 301], max: 3}"));
    assert_string_equal(fixture_messages(&f), "");
    const model_route_t *r = f.part->tables[0].vhosts[0].routes;

    assert_int_equal(r->mirrors.v[0].share.ppm, MESH_SHARE_ALL);
    assert_true(r->mirrors.v[0].shadow_host);
    assert_text(r->mirrors.v[1].cluster, "b");
    assert_text(r->mirrors.v[1].subset, "s");
    assert_int_equal(r->mirrors.v[1].share.ppm, 25000);
    assert_false(r->mirrors.v[1].shadow_host);
    assert_int_equal(r->follow.codes, MESH_FOLLOW_301 | MESH_FOLLOW_308);
    assert_int_equal(r->follow.max, 3);
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_of_bodies),
        cmocka_unit_test(words_of_cors),
        cmocka_unit_test(redirects_that_are_followed),
        cmocka_unit_test(clusters_that_get_copies),
        cmocka_unit_test(sizes_in_all_units),
        cmocka_unit_test(what_a_route_has_from_its_host),
        cmocka_unit_test(mirrors_and_redirects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
