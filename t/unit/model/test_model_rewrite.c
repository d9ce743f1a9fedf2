/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a route makes of a request, in words: rewrites, redirects, header
 * operations with conditions and substitutions, clusters that a header names.
 * A "^" stands where a document's one error is told.
 */

#include "model_cases.h"

#define REWRITE(rest) ROUTED("rewrite: {" rest "}")
#define REGEX(rest) REWRITE("regex: {" rest "}")
#define TEMPLATE(rewrite)                                                      \
    ROUTED("match: {path: {template: '/{a}/{b=**}'}}, "                        \
           "rewrite: {template: " rewrite "}")
#define OPS(rest) ROUTED("request_headers: {" rest "}")
#define ANSWER(rest) ROUTED("response_headers: {set: {x: " rest "}}")
#define SET(rest) OPS("set: {x: " rest "}")
#define AT ROUTE_AT ".request_headers.set.x: "
#define WANTED "expected text with variables such as %REQ(name)%: "

/* clang-format off */

static const case_t rewrites[] = {
    {REWRITE("path: /a, host: b, append_x_forwarded_host: true"), NULL},
    {REWRITE("path: '/%REQ(x)%', host_from_header: X-Host"), NULL},
    {REWRITE("host_from_endpoint: true"), NULL},
    {REWRITE("host_from_endpoint: ^false"),
     ROUTE_AT ".rewrite.host_from_endpoint: found false, expected true"},
    {REWRITE("host_from_header: ^':path'"),
     ROUTE_AT ".rewrite.host_from_header: found \":path\", expected a header's "
     "name: letters, digits and - of at most 256 bytes"},
    {ROUTED("rewrite: ^{prefix: /a, path: /b}"),
     ROUTE_AT ".rewrite: found more than one path, expected one of prefix, "
     "regex, template, path"},
    {ROUTED("rewrite: ^{host: a, host_from_header: b}"),
     ROUTE_AT ".rewrite: found more than one host, expected one of host, "
     "host_from_header, host_from_endpoint, host_from_path"},
    {REWRITE("host_from_path: {pattern: '^^/([a-z]+)/', substitution: "
             "'\\1.local'}, prefix: /, append_x_forwarded_host: true"), NULL},
    {ROUTED("rewrite: ^{host_from_path: {pattern: a, substitution: b}, "
            "host_from_endpoint: true}"),
     ROUTE_AT ".rewrite: found more than one host, expected one of host, "
     "host_from_header, host_from_endpoint, host_from_path"},
    {REWRITE("host_from_path: {pattern: a, substitution: ^'\\1'}"),
     ROUTE_AT ".rewrite.host_from_path.substitution: found \"\\\\1\", expected "
     "groups up to \\0, as the pattern has no more"},
    {ROUTED("rewrite: ^{append_x_forwarded_host: true}"),
     ROUTE_AT ".rewrite: found append_x_forwarded_host and no other host, "
     "expected one of host, host_from_header, host_from_endpoint, "
     "host_from_path"},
    {REWRITE("path: ^x"),
     ROUTE_AT ".rewrite.path: found \"x\", expected a path that begins with "
     "\"/\""},
    {REWRITE("path: ^'/%RESP(x)%'"),
     ROUTE_AT ".rewrite.path: found \"/%RESP(x)%\", " WANTED
     "a variable that is known with the response only (at byte 1)"},
    {TEMPLATE("'/{b}/x{a}'"), NULL},
    {TEMPLATE("^'/{c}'"),
     ROUTE_AT ".rewrite.template: found \"/{c}\", expected a path with "
     "variables of the template: a variable that the template does not have "
     "(at byte 1)"},
    {REWRITE("template: ^/a"),
     ROUTE_AT ".rewrite.template: found \"/a\", expected it where match.path "
     "is a template"},
};

static const case_t regexes[] = {
    {REGEX("pattern: '/(a)|b', substitution: '/\\\\\\1'"), NULL},
    {REGEX("pattern: a, substitution: ''"), NULL},
    {REWRITE("regex: ^{pattern: a}"),
     ROUTE_AT ".rewrite.regex: found none, expected a rewrite by a regular "
     "expression with \"substitution\""},
    {REGEX("pattern: ^'(?=a)', substitution: b"),
     ROUTE_AT ".rewrite.regex.pattern: found \"(?=a)\", expected a regular "
     "expression of RE2: a group that RE2 does not have (at byte 0)"},
    {REGEX("pattern: '(a)', substitution: ^'\\2'"),
     ROUTE_AT ".rewrite.regex.substitution: found \"\\\\2\", expected groups "
     "up to \\1, as the pattern has no more"},
    {REGEX("pattern: a, substitution: ^'x\\'"),
     ROUTE_AT ".rewrite.regex.substitution: found \"x\\\\\", expected a digit "
     "or another \\ behind a \\"},
    {REGEX("pattern: a, substitution: ^'a b'"),
     ROUTE_AT ".rewrite.regex.substitution: found \"a b\", expected text "
     "without spaces and control characters"},
    {HOSTS("{redirect: {regex_rewrite: {pattern: a, substitution: b}}}"), NULL},
    {HOSTS("{redirect: ^{path: /a, regex_rewrite: {pattern: a, substitution: "
           "b}}}"),
     ROUTE_AT ".redirect: found more than one path, expected one of path, "
     "prefix_rewrite, regex_rewrite"},
};

static const case_t operations[] = {
    {OPS("add_if_absent: {a: b}, overwrite_if_exists: {a: c}"), NULL},
    {OPS("set: {x: {value: '%REQ(a)%', keep_empty_value: true}}, "
         "add: {y: [a, {value: b}]}"), NULL},
    {OPS("set: {x: ^{keep_empty_value: true}}"),
     AT "found none, expected a header's value with \"value\""},
    {OPS("set: {x: ^{value: a, keep_empty_value: true}}"),
     AT "found keep_empty_value of a plain text, expected it beside a value "
     "with a %VARIABLE%"},
    {OPS("add_if_absent: {^host: a}"),
     ROUTE_AT ".request_headers.add_if_absent.host: found \"host\", expected "
     "rewrite.host for the host"},
    {OPS("add_if_absent: {a: ^[b]}"),
     ROUTE_AT ".request_headers.add_if_absent.a: found a list, expected text"},
};

static const case_t substitutions[] = {
    {SET("'%REQ(a?:path):7%%START_TIME(%s)%%PATH(NQ:ORIG):3%'"), NULL},
    {ANSWER("'%RESP(a)%%RESPONSE_CODE%%UPSTREAM_HOST%'"), NULL},
    {SET("^'100%'"), AT "found \"100%\", " WANTED
     "a \"%\" that begins no variable: write \"%%\" (at byte 3)"},
    {SET("^'a%VIRTUAL_CLUSTER_NAME%'"),
     AT "found \"a%VIRTUAL_CLUSTER_NAME%\", " WANTED
     "an unknown variable (at byte 1)"},
    {SET("^'%RESPONSE_CODE%'"), AT "found \"%RESPONSE_CODE%\", " WANTED
     "a variable that is known with the response only (at byte 0)"},
    {SET("^'%REQ%'"), AT "found \"%REQ%\", " WANTED
     "a variable without its brackets (at byte 5)"},
};

static const case_t clusters[] = {
    {HOSTS("{route: {cluster_header: X-Cluster}}"), NULL},
    {HOSTS("{route: [{cluster_header: x, weight: 1, cluster_not_found_status: "
           "404}, a/b]}"), NULL},
    {HOSTS("{route: ^{cluster: a, cluster_header: x}}"),
     ROUTE_AT ".route: found a cluster twice, expected one of cluster, "
     "cluster_header"},
    {HOSTS("{route: ^{weight: 1}}"),
     ROUTE_AT ".route: found no cluster, expected one of cluster, "
     "cluster_header"},
    {HOSTS("{route: ^{cluster: a, cluster_not_found_status: 404}}"),
     ROUTE_AT ".route: found cluster_not_found_status, expected it beside "
     "cluster_header only"},
    {HOSTS("{route: {cluster_header: x, cluster_not_found_status: ^200}}"),
     ROUTE_AT ".route.cluster_not_found_status: found 200, expected a whole "
     "number from 400 to 599"},
    {HOSTS("{route: {cluster_header: ^'a b'}}"),
     ROUTE_AT ".route.cluster_header: found \"a b\", expected a header's name: "
     "letters, digits and - of at most 256 bytes"},
};

/* clang-format on */

static void paths_and_hosts(void **state) {
    (void)state;
    check_all(rewrites);
}

static void regular_expressions(void **state) {
    (void)state;
    check_all(regexes);
}

static void conditional_operations(void **state) {
    (void)state;
    check_all(operations);
}

static void variables(void **state) {
    (void)state;
    check_all(substitutions);
}

static void clusters_by_header(void **state) {
    (void)state;
    check_all(clusters);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_and_hosts),
        cmocka_unit_test(regular_expressions),
        cmocka_unit_test(conditional_operations),
        cmocka_unit_test(variables),
        cmocka_unit_test(clusters_by_header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
