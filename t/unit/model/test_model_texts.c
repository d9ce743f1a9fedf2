/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Fields that hold text: names, domains, addresses, paths, headers, labels;
 * and how maps and lists may be put together.  A "^" in a document stands
 * where its one error is told; the character itself is taken out.
 */

#include "model_cases.h"
#include "model_table.h"

#define ROUTED_BEFORE "hosts: [{domains: [a.b], routes: [{route: c, "
#define ENDPOINT(address) "clusters: {a: {endpoints: [" address "]}}"

#define SELECTORS(text) "clusters: {a: {subset_selectors: " text "}}"

#define NAME                                                                   \
    "a name of 1 to 1024 bytes without \"/\", spaces and control characters"
#define DOMAIN "a domain such as shop.local, *.shop.local, shop.* or *"
#define ADDRESS                                                                \
    "an address such as 127.0.1.1:9080, [::1]:9080, unix:/run/app.sock or "    \
    "reviews.local:9080"
#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10
#define LABEL63 A60 "aaa"
#define NAME253 LABEL63 "." LABEL63 "." LABEL63 "." A60 "a"
#define HEADER "a header's name: letters, digits and - of at most 256 bytes"
#define PATH "a path that begins with \"/\""

/* clang-format off */

/* --- names --------------------------------------------------------------- */

static const case_t names[] = {
    {"clusters: {a.b-c_d: {}}", NULL},
    {"clusters: {'%:@!*': {}}", NULL},
    {"clusters: {'\xc3\xa9': {}}", NULL},
    {"clusters: {^'a b': {}}",
     "clusters[\"a b\"]: found \"a b\", expected " NAME},
    {"clusters: {^\"a\\tb\": {}}",
     "clusters[\"a\\x09b\"]: found \"a\\x09b\", expected " NAME},
    {"clusters: {^\"a\\x7f\": {}}",
     "clusters[\"a\\x7f\"]: found \"a\\x7f\", expected " NAME},
    {"clusters: {^'/': {}}",
     "clusters[\"/\"]: found \"/\", expected " NAME},
    {"endpoints: {^'a/b': []}",
     "endpoints[\"a/b\"]: found \"a/b\", expected " NAME},
    {"clusters: {a: {subsets: {^'x/y': {}}}}",
     "clusters.a.subsets[\"x/y\"]: found \"x/y\", expected " NAME},
    {"clusters: {a: {endpoint_set: b}}", NULL},
    {"clusters: {a: {endpoint_set: ^''}}",
     "clusters.a.endpoint_set: found \"\", expected text that is not empty"},
    {"clusters: {a: {endpoint_set: ^'b/c'}}",
     "clusters.a.endpoint_set: found \"b/c\", expected " NAME},
    {"clusters: {a: {endpoint_set: ^5}}",
     "clusters.a.endpoint_set: found 5, expected text (put it in quotes)"},
    {"clusters: {a: {endpoint_set: ^[b]}}",
     "clusters.a.endpoint_set: found a list, expected text"},
    {"clusters: {a: ^{endpoint_set: b, endpoints: []}}",
     "clusters.a: found both endpoints and endpoint_set, expected one of "
     "them"},
    {"route_table: {name: ^''}",
     "route_table.name: found \"\", expected text that is not empty"},
    {"route_table: {name: ^'a b'}",
     "route_table.name: found \"a b\", expected " NAME},
    {"route_table: {name: ^true}",
     "route_table.name: found true, expected text (put it in quotes)"},
    {ROUTED("name: any text at all")
     , NULL},
    {ROUTED("name: ^''"),
     "hosts[0].routes[0].name: found \"\", expected text that is not empty"},
    {ROUTED("name: ^\"a\\nb\""),
     "hosts[0].routes[0].name: found \"a\\x0ab\", expected a name without "
     "control characters"},
    {ROUTED("name: ^7"),
     "hosts[0].routes[0].name: found 7, expected text (put it in quotes)"},
    {"hosts: [{name: ^\"\\x7f\", domains: a.b, routes: [{respond: 200}]}]",
     "hosts[0].name: found \"\\x7f\", expected a name without control "
     "characters"},
    {HOSTS("{route: ^/v1}"),
     "hosts[0].routes[0].route: found \"/v1\", expected a cluster, or a "
     "cluster/subset"},
    {HOSTS("{route: ^c/}"),
     "hosts[0].routes[0].route: found \"c/\", expected a cluster, or a "
     "cluster/subset"},
    {HOSTS("{route: ^'c/v 1'}"),
     "hosts[0].routes[0].route: found \"v 1\", expected " NAME},
    {HOSTS("{route: 'c/a%2Fb=1,b='}"), NULL},
    {HOSTS("{route: ^'c/a=1, b=2'}"),
     "hosts[0].routes[0].route: found \"a=1, b=2\", expected labels of a "
     "subset as key=value,key=value, each key once, with %20 for a space, in "
     "at most 1024 bytes"},
    {HOSTS("{route: ^'c/a=1/2'}"),
     "hosts[0].routes[0].route: found \"c/a=1/2\", expected a cluster/subset "
     "with %2F for a \"/\" in its labels"},
    {HOSTS("{route: ^'c d/v1'}"),
     "hosts[0].routes[0].route: found \"c d\", expected " NAME},
    {HOSTS("{route: ^''}"),
     "hosts[0].routes[0].route: found \"\", expected " NAME},
    {HOSTS("{route: ^5}"),
     "hosts[0].routes[0].route: found 5, expected a cluster, or a "
     "cluster/subset"},
    {HOSTS("{route: [{cluster: c}, ^5]}"),
     "hosts[0].routes[0].route[1]: found 5, expected a cluster, or a "
     "cluster/subset"},
    {HOSTS("{route: [^{weight: 5}]}"),
     "hosts[0].routes[0].route[0]: found no cluster, expected one of cluster, "
     "cluster_header"},
    {HOSTS("{route: [c, ^[d]]}"),
     "hosts[0].routes[0].route[1]: found a list, expected a weighted cluster: "
     "a map"},
    {HOSTS("{route: ^~}"),
     "hosts[0].routes[0].route: found nothing, expected a list"},
};

/* --- domains ------------------------------------------------------------- */

#define DOMAINS(list) "hosts: [{domains: " list ", routes: [{respond: 200}]}]"

static const case_t domains[] = {
    {DOMAINS("shop.local"), NULL},
    {DOMAINS("['*', '*.a', 'a.*', '[::1]', 127.0.0.1, a_b, A.B, a.b.]"), NULL},
    {"route_table: {ignore_port: false}\n"
     DOMAINS("['a:80', '[::1]:80', '*.a:80']"), NULL},
    {"route_table: {ignore_port: False}\n" DOMAINS("'a:80'"), NULL},
    {DOMAINS("[^'']"),
     "hosts[0].domains[0]: found \"\", expected " DOMAIN},
    {DOMAINS("^'*.'"), "hosts[0].domains: found \"*.\", expected " DOMAIN},
    {DOMAINS("^'*a'"), "hosts[0].domains: found \"*a\", expected " DOMAIN},
    {DOMAINS("^'a*'"), "hosts[0].domains: found \"a*\", expected " DOMAIN},
    {DOMAINS("^'.*'"), "hosts[0].domains: found \".*\", expected " DOMAIN},
    {DOMAINS("^'**'"), "hosts[0].domains: found \"**\", expected " DOMAIN},
    {DOMAINS("^'*.a.*'"),
     "hosts[0].domains: found \"*.a.*\", expected " DOMAIN},
    {DOMAINS("^'a.*.b'"),
     "hosts[0].domains: found \"a.*.b\", expected " DOMAIN},
    {DOMAINS("^'a..b'"), "hosts[0].domains: found \"a..b\", expected " DOMAIN},
    {DOMAINS("^'*..b'"), "hosts[0].domains: found \"*..b\", expected " DOMAIN},
    {DOMAINS("^'a/b'"), "hosts[0].domains: found \"a/b\", expected " DOMAIN},
    {DOMAINS("^'http://a'"),
     "hosts[0].domains: found \"http://a\", expected " DOMAIN},
    {DOMAINS("^'\xc3\xa9.b'"),
     "hosts[0].domains: found \"\xc3\xa9.b\", expected " DOMAIN},
    {DOMAINS("[a, ^{b: c}]"),
     "hosts[0].domains[1]: found a map, expected " DOMAIN},
    {DOMAINS("^'[::1]:80'"),
     "hosts[0].domains: found \"[::1]:80\", expected a domain without a port, "
     "or ignore_port: false in route_table"},
    {DOMAINS("^'a:'"),
     "hosts[0].domains: found \"a:\", expected a domain without a port, or "
     "ignore_port: false in route_table"},
    {DOMAINS("^'*:80'"), "hosts[0].domains: found \"*:80\", expected " DOMAIN},
    {DOMAINS("^{}"),
     "hosts[0].domains: found a map, expected " DOMAIN},
    {DOMAINS("^~"), "hosts[0].domains: found nothing, expected a list"},
};

/* --- addresses ----------------------------------------------------------- */

static const case_t addresses[] = {
    {ENDPOINT("127.0.0.1:1, '127.0.0.1:65535', '[::1]:1', "
              "'[::ffff:1.2.3.4]:1', '[fe80::1]:080', 'unix:/x', "
              "'unix:/a b'"), NULL},
    {ENDPOINT("^''"),
     "clusters.a.endpoints[0]: found \"\", expected " ADDRESS},
    {ENDPOINT("^5"), "clusters.a.endpoints[0]: found 5, expected " ADDRESS},
    {ENDPOINT("^~"),
     "clusters.a.endpoints[0]: found nothing, expected an endpoint: a map"},
    {ENDPOINT("^[a]"),
     "clusters.a.endpoints[0]: found a list, expected an endpoint: a map"},
    {ENDPOINT("{address: ^[a]}"),
     "clusters.a.endpoints[0].address: found a list, expected " ADDRESS},
    {ENDPOINT("{address: ^true}"),
     "clusters.a.endpoints[0].address: found true, expected " ADDRESS},
    {ENDPOINT("^':80'"),
     "clusters.a.endpoints[0]: found \":80\", expected " ADDRESS},
    {ENDPOINT("^'1.2.3.4:'"),
     "clusters.a.endpoints[0]: found \"1.2.3.4:\", expected a port from 1 to "
     "65535 after the \":\""},
    {ENDPOINT("^'1.2.3.4:65536'"),
     "clusters.a.endpoints[0]: found \"1.2.3.4:65536\", expected a port from 1 "
     "to 65535 after the \":\""},
    {ENDPOINT("^'1.2.3.4:+80'"),
     "clusters.a.endpoints[0]: found \"1.2.3.4:+80\", expected a port from 1 "
     "to 65535 after the \":\""},
    {ENDPOINT("^'1.2.3.4:http'"),
     "clusters.a.endpoints[0]: found \"1.2.3.4:http\", expected a port from 1 "
     "to 65535 after the \":\""},
    {ENDPOINT("^'1.2.3:80'"),
     "clusters.a.endpoints[0]: found \"1.2.3:80\", expected " ADDRESS},
    {ENDPOINT("^'01.2.3.4:80'"),
     "clusters.a.endpoints[0]: found \"01.2.3.4:80\", expected " ADDRESS},
    {ENDPOINT("^'1.2.3.4.5:80'"),
     "clusters.a.endpoints[0]: found \"1.2.3.4.5:80\", expected " ADDRESS},
    {ENDPOINT("^'111.222.333.444.555.666.777:80'"),
     "clusters.a.endpoints[0]: found \"111.222.333.444.555.666.777:80\", "
     "expected " ADDRESS},
    {ENDPOINT("^'[]:80'"),
     "clusters.a.endpoints[0]: found \"[]:80\", expected " ADDRESS},
    {ENDPOINT("^'[::1:80'"),
     "clusters.a.endpoints[0]: found \"[::1:80\", expected " ADDRESS},
    {ENDPOINT("^'[::g]:80'"),
     "clusters.a.endpoints[0]: found \"[::g]:80\", expected " ADDRESS},
    {ENDPOINT("^'[fe80::1%eth0]:80'"),
     "clusters.a.endpoints[0]: found \"[fe80::1%eth0]:80\", expected "
     ADDRESS},
    {ENDPOINT("^'[1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18:19:20:21]:80'"),
     "clusters.a.endpoints[0]: found "
     "\"[1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18:19:20:21]:80\", "
     "expected " ADDRESS},
    {ENDPOINT("^'a b:80'"),
     "clusters.a.endpoints[0]: found \"a b:80\", expected " ADDRESS},
    {ENDPOINT("'Db_1.x-y:80'"), NULL},
    {ENDPOINT("'db.:80', '1a:80', 'a-:80', 'srv:_http._tcp.db.local.'"), NULL},
    {ENDPOINT("^'.:80'"),
     "clusters.a.endpoints[0]: found \".:80\", expected " ADDRESS},
    {ENDPOINT("^'.db:80'"),
     "clusters.a.endpoints[0]: found \".db:80\", expected " ADDRESS},
    {ENDPOINT("^'a..b:80'"),
     "clusters.a.endpoints[0]: found \"a..b:80\", expected " ADDRESS},
    {ENDPOINT("^'a..:80'"),
     "clusters.a.endpoints[0]: found \"a..:80\", expected " ADDRESS},
    {ENDPOINT("'" LABEL63 ":80'"), NULL},
    {ENDPOINT("^'" LABEL63 "a:80'"),
     "clusters.a.endpoints[0]: found \"" A60 "...\", "
     "expected " ADDRESS},
    {ENDPOINT("'" NAME253 ":80'"), NULL},
    {ENDPOINT("'" NAME253 ".:80'"), NULL},
    {ENDPOINT("^'a" NAME253 ":80'"),
     "clusters.a.endpoints[0]: found \"" A60 "...\", "
     "expected " ADDRESS},
    {ENDPOINT("'srv:" NAME253 "'"), NULL},
    {ENDPOINT("^'srv:'"),
     "clusters.a.endpoints[0]: found \"srv:\", expected a name after srv:"},
    {ENDPOINT("^'srv:a.local:80'"),
     "clusters.a.endpoints[0]: found \"srv:a.local:80\", expected a name after "
     "srv:"},
    {ENDPOINT("^'srv:1.2.3.4'"),
     "clusters.a.endpoints[0]: found \"srv:1.2.3.4\", expected a name after "
     "srv:"},
    {ENDPOINT("^'srv:a..b'"),
     "clusters.a.endpoints[0]: found \"srv:a..b\", expected a name after srv:"},
    {ENDPOINT("^'unix:'"),
     "clusters.a.endpoints[0]: found \"unix:\", expected an absolute path "
     "after unix:"},
    {ENDPOINT("^'unix:/'"),
     "clusters.a.endpoints[0]: found \"unix:/\", expected an absolute path "
     "after unix:"},
    {ENDPOINT("^\"unix:/a\\nb\""),
     "clusters.a.endpoints[0]: found \"unix:/a\\x0ab\", expected a path "
     "without control characters"},
    {ENDPOINT("^'unix:/0123456789012345678901234567890123456789012345678901234"
              "567890123456789012345678901234567890123456789012345678'"),
     "clusters.a.endpoints[0]: found \"unix:/0123456789012345678901234567890123"
     "45678901234567890123...\", expected a path of at most 107 bytes"},
    {ENDPOINT("{address: 'unix:/a'}, 'unix:/b', ^'unix:/a'"),
     "clusters.a.endpoints[2]: found \"unix:/a\", expected each address once "
     "(first on line 1)"},
    {"endpoints:\n  a:\n    - '[::1]:80'\n    - 127.0.0.1:80\n"
     "    - address: ^'[0:0::1]:80'\n",
     "endpoints.a[2]: found \"[0:0::1]:80\", expected each address once "
     "(first on line 3)"},
    {"endpoints: {a: ^5}", "endpoints.a: found 5, expected a list"},
    {"endpoints: {a: ^~}", "endpoints.a: found nothing, expected a list"},
    {"endpoints: ^[]", "endpoints: found a list, expected a map"},
};

/* --- labels, localities -------------------------------------------------- */

#define LABELED(rest) ENDPOINT("{address: '1.2.3.4:5', " rest "}")

static const case_t labels[] = {
    {LABELED("labels: {}"), NULL},
    {LABELED("labels: {b: x, a: '', 'any text /': 'and \xc3\xa9'}"), NULL},
    {LABELED("labels: ^[a]"),
     "clusters.a.endpoints[0].labels: found a list, expected labels: a map of "
     "text to text"},
    {LABELED("labels: ^x"),
     "clusters.a.endpoints[0].labels: found \"x\", expected labels: a map of "
     "text to text"},
    {LABELED("labels: {v: ^1.10}"),
     "clusters.a.endpoints[0].labels.v: found 1.10, expected text (put it in "
     "quotes)"},
    {LABELED("labels: {v: ^true}"),
     "clusters.a.endpoints[0].labels.v: found true, expected text (put it in "
     "quotes)"},
    {LABELED("labels: {v: ^{}}"),
     "clusters.a.endpoints[0].labels.v: found a map, expected text"},
    {LABELED("labels: {v: ^~}"),
     "clusters.a.endpoints[0].labels.v: found nothing, expected text"},
    {LABELED("zone: ^''"),
     "clusters.a.endpoints[0].zone: found \"\", expected text that is not "
     "empty"},
    {LABELED("zone: ^2"),
     "clusters.a.endpoints[0].zone: found 2, expected text (put it in "
     "quotes)"},
    {LABELED("locality: {region: r, zone: z, sub_zone: s}"), NULL},
    {LABELED("locality: {}"), NULL},
    {LABELED("locality: {sub_zone: ^''}"),
     "clusters.a.endpoints[0].locality.sub_zone: found \"\", expected text "
     "that is not empty"},
    {LABELED("locality: {^rack: r}"),
     "clusters.a.endpoints[0].locality.rack: found an unknown field, expected "
     "one of region, zone, sub_zone"},
    {LABELED("locality: ^z"),
     "clusters.a.endpoints[0].locality: found \"z\", expected a locality: a "
     "map"},
    {ENDPOINT("^{address: '1.2.3.4:5', zone: z, locality: {region: r}}"),
     "clusters.a.endpoints[0]: found both zone and locality, expected one of "
     "them"},
    {"clusters: {a: {subsets: {x: ^v2}}}",
     "clusters.a.subsets.x: found \"v2\", expected labels: a map of text to "
     "text"},
    {"clusters: {a: {subsets: ^[x]}}",
     "clusters.a.subsets: found a list, expected a map"},
    {"clusters: {a: {subsets: {^x=y: {}}}}",
     "clusters.a.subsets[\"x=y\"]: found \"x=y\", expected a name without "
     "\"=\", which is for subset_selectors"},
    {SELECTORS("[{keys: x}, {keys: [x, y], fallback: {keys: x}}]"), NULL},
    {SELECTORS("[{keys: x}, ^{keys: [x, y, x]}]"),
     "clusters.a.subset_selectors[1]: found key \"x\" twice, expected "
     "each key once"},
    {SELECTORS("[{keys: x}, ^{keys: [y, x], fallback: {keys: [z]}}]"),
     "clusters.a.subset_selectors[1]: found a fallback to key \"z\", "
     "expected keys of the selector"},
    {SELECTORS("[^{keys: [y, x], fallback: {keys: [x, w]}}]"),
     "clusters.a.subset_selectors[0]: found a fallback to key \"w\", "
     "expected keys of the selector"},
    {SELECTORS("[^{keys: [y, x], fallback: {keys: [x, y]}}]"),
     "clusters.a.subset_selectors[0]: found a fallback to all of the "
     "keys, expected some of the selector's keys, not all"},
    {SELECTORS("[^{keys: [y, x], fallback: {keys: [x, x]}}]"),
     "clusters.a.subset_selectors[0]: found key \"x\" twice, expected "
     "each key once"},
    {SELECTORS("[{keys: x}, {keys: y}, ^{keys: x}]"),
     "clusters.a.subset_selectors[2]: found a selector of the same keys "
     "as another one, expected each set of keys once"},
    {SELECTORS("[{keys: x}, {keys: y, fallback: {subset: ^z}}]"),
     "clusters.a.subset_selectors[1].fallback.subset: found \"z\", "
     "expected a subset of this cluster"},
    {SELECTORS("{keys: y, fallback: {subset: ^z}}"),
     "clusters.a.subset_selectors.fallback.subset: found \"z\", expected "
     "a subset of this cluster"},
    {SELECTORS("{keys: y}, subset_fallback: {subset: ^z}"),
     "clusters.a.subset_fallback.subset: found \"z\", expected a subset "
     "of this cluster"},
};

/* --- paths, hosts -------------------------------------------------------- */

static const case_t paths[] = {
    {ROUTED("match: {path: /}"), NULL},
    {ROUTED("match: {path: {exact: '/a%20b:@!$&(),;=+~\xc3\xa9'}}"), NULL},
    {ROUTED("match: {path: ^''}"),
     "hosts[0].routes[0].match.path: found \"\", expected " PATH},
    {ROUTED("match: {path: ^5}"),
     "hosts[0].routes[0].match.path: found 5, expected text (put it in "
     "quotes)"},
    {ROUTED("match: {path: ^[/a]}"),
     "hosts[0].routes[0].match.path: found a list, expected a path match: a "
     "map"},
    {ROUTED("match: {path: ^'/a b'}"),
     "hosts[0].routes[0].match.path: found \"/a b\", expected a path without "
     "spaces and control characters"},
    {ROUTED("match: {path: {prefix: ^\"/a\\x7f\"}}"),
     "hosts[0].routes[0].match.path.prefix: found \"/a\\x7f\", expected a path "
     "without spaces and control characters"},
    {ROUTED("match: {path: {exact: ^'/a#b'}}"),
     "hosts[0].routes[0].match.path.exact: found \"/a#b\", expected a path "
     "without a query and a fragment"},
    {ROUTED("match: {path: ^{}}"),
     "hosts[0].routes[0].match.path: found no path, expected one of prefix, "
     "exact, separated_prefix, regex, template"},
    {ROUTED("match: {path: ^{exact: /a, prefix: /a}}"),
     "hosts[0].routes[0].match.path: found more than one path, expected one "
     "of prefix, exact, separated_prefix, regex, template"},
    {ROUTED("match: {path: {^suffix: /a}}"),
     "hosts[0].routes[0].match.path.suffix: found an unknown field, expected "
     "one of prefix, exact, separated_prefix, regex, template, ignore_case"},
    {ROUTED("match: ^/a"),
     "hosts[0].routes[0].match: found \"/a\", expected a match: a map"},
    {ROUTED("match: {methods: GET}"), NULL},
    {ROUTED("match: {methods: [GET, GET, PATCH]}"), NULL},
    {ROUTED("match: {methods: ^[]}"),
     "hosts[0].routes[0].match.methods: found an empty list, expected at least "
     "one"},
    {ROUTED("match: {methods: ^5}"),
     "hosts[0].routes[0].match.methods: found 5, expected one of GET, HEAD, "
     "POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH"},
    {ROUTED("match: {methods: ^{GET: 1}}"),
     "hosts[0].routes[0].match.methods: found a map, expected one of GET, "
     "HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH"},

    {ROUTED("rewrite: {prefix: /, host: 'h:1'}"), NULL},
    {ROUTED("rewrite: {prefix: ^''}"),
     "hosts[0].routes[0].rewrite.prefix: found \"\", expected " PATH},
    {ROUTED("rewrite: {prefix: ^x}"),
     "hosts[0].routes[0].rewrite.prefix: found \"x\", expected " PATH},
    {ROUTED("rewrite: {host: ^''}"),
     "hosts[0].routes[0].rewrite.host: found \"\", expected a host name or "
     "address"},
    {ROUTED("rewrite: {host: ^'a b'}"),
     "hosts[0].routes[0].rewrite.host: found \"a b\", expected a host name or "
     "address"},
    {ROUTED("rewrite: {host: ^5}"),
     "hosts[0].routes[0].rewrite.host: found 5, expected a host name or "
     "address"},
    {ROUTED("rewrite: {host: ^\"a\\r\\nb\"}"),
     "hosts[0].routes[0].rewrite.host: found \"a\\x0d\\x0ab\", expected a host "
     "name or address"},
    {ROUTED("rewrite: ^/x"),
     "hosts[0].routes[0].rewrite: found \"/x\", expected a rewrite: a map"},

    {HOSTS("{redirect: {host: 'A-b_c.d:80', scheme: https, path: '/x?y#z'}}"),
     NULL},
    {HOSTS("{redirect: {prefix_rewrite: ''}}"), NULL},
    {HOSTS("{redirect: {prefix_rewrite: ^x}}"),
     "hosts[0].routes[0].redirect.prefix_rewrite: found \"x\", expected " PATH},
    {HOSTS("{redirect: {prefix_rewrite: ^5}}"),
     "hosts[0].routes[0].redirect.prefix_rewrite: found 5, expected text (put "
     "it in quotes)"},
    {HOSTS("{redirect: {path: ^''}}"),
     "hosts[0].routes[0].redirect.path: found \"\", expected " PATH},
    {HOSTS("{redirect: ^{path: /, prefix_rewrite: ''}}"),
     "hosts[0].routes[0].redirect: found more than one path, expected one of "
     "path, prefix_rewrite, regex_rewrite"},
    {HOSTS("{redirect: ^{strip_query: true, status: 302}}"),
     "hosts[0].routes[0].redirect: found a redirect to where the request is "
     "already, expected a scheme, host, port, path, prefix_rewrite or "
     "regex_rewrite"},
    {HOSTS("{redirect: {scheme: ^HTTP}}"),
     "hosts[0].routes[0].redirect.scheme: found \"HTTP\", expected http or "
     "https"},
    {HOSTS("{redirect: {scheme: ^~}}"),
     "hosts[0].routes[0].redirect.scheme: found nothing, expected http or "
     "https"},
    {HOSTS("{redirect: ^/x}"),
     "hosts[0].routes[0].redirect: found \"/x\", expected a redirect: a map"},

    {HOSTS("{respond: 200}"), NULL},
    {HOSTS("{respond: {status: 599, body: ''}}"), NULL},
    {HOSTS("{respond: {status: 200, body: ^5}}"),
     "hosts[0].routes[0].respond.body: found 5, expected text (put it in "
     "quotes)"},
    {HOSTS("{respond: ^[200]}"),
     "hosts[0].routes[0].respond: found a list, expected a direct response: a "
     "map"},
};

/* --- headers ------------------------------------------------------------- */

#define MATCHED(rest) ROUTED("match: {headers: {" rest "}}")
#define SET(rest) ROUTED("request_headers: {set: {" rest "}}")
#define AT "hosts[0].routes[0].match.headers"
#define CONDITIONS                                                            \
    "one of exact, prefix, suffix, contains, present, range, regex"
#define OPS "hosts[0].routes[0].request_headers"

static const case_t headers[] = {
    {MATCHED("X-A: v, \"!#$%&'*+-._`|~1\": v, a: '', b: \"\\t\""), NULL},
    {MATCHED("x: {present: true}, y: {present: false, invert: true}"), NULL},
    {MATCHED("^'a:b': v"),
     AT "[\"a:b\"]: found \"a:b\", expected " HEADER},
    {MATCHED("^'\xc3\xa9': v"),
     AT "[\"\xc3\xa9\"]: found \"\xc3\xa9\", expected " HEADER},
    {MATCHED("':path': v, ':method': v, ':authority': v, ':scheme': v"), NULL},
    {MATCHED("^':status': v"),
     AT "[\":status\"]: found \":status\", expected a header, :method, "
     ":authority, :path or :scheme"},
    {MATCHED("x: ^{}"), AT ".x: found no condition, expected " CONDITIONS},
    {MATCHED("x: ^{invert: true}"),
     AT ".x: found no condition, expected " CONDITIONS},
    {MATCHED("x: ^{exact: a, present: true}"),
     AT ".x: found more than one condition, expected " CONDITIONS},
    {MATCHED("x: {prefix: ^''}"),
     AT ".x.prefix: found \"\", expected text that is not empty"},
    {MATCHED("x: ^[a]"),
     AT ".x: found a list, expected a header match: a map"},
    {MATCHED("x: ^~"), AT ".x: found nothing, expected a header match: a map"},
    {MATCHED("x: ^true"),
     AT ".x: found true, expected text (put it in quotes)"},
    {MATCHED("x: ^\"a\\rb\""),
     AT ".x: found \"a\\x0db\", expected a value without line breaks and "
     "control characters"},
    {MATCHED("x: {exact: ^\"\\x01\"}"),
     AT ".x.exact: found \"\\x01\", expected a value without line breaks and "
     "control characters"},
    {MATCHED("x: {present: ^yes}"),
     AT ".x.present: found \"yes\", expected true or false"},
    {ROUTED("match: {headers: ^[x]}"), AT ": found a list, expected a map"},
    {ROUTED("match: {headers: ^{x-a: 'v', X-A: 'w'}}"),
     AT ": found \"x-a\", expected each header once, in any case"},

    {SET("X-A: v, x-a: w"), NULL},
    {ROUTED("request_headers: {}"), NULL},
    {ROUTED("request_headers: {add: {a: [], b: [x, y]}, set: {}, remove: []}"),
     NULL},
    {SET("^'a b': v"),
     OPS ".set[\"a b\"]: found \"a b\", expected " HEADER},
    {SET("^TE: v"), OPS ".set.TE: found \"TE\", expected a header that is not "
     "the connection's own"},
    {SET("^Transfer-Encoding: v"),
     OPS ".set.Transfer-Encoding: found \"Transfer-Encoding\", expected a "
     "header that does not frame the body"},
    {SET("^content-length: '5'"),
     OPS ".set.content-length: found \"content-length\", expected a header "
     "that does not frame the body"},
    {SET("^UPGRADE: v"),
     OPS ".set.UPGRADE: found \"UPGRADE\", expected a header that is not the "
     "connection's own"},
    {SET("x: ^5"), OPS ".set.x: found 5, expected text (put it in quotes)"},
    {SET("x: ^[a]"), OPS ".set.x: found a list, expected text"},
    {SET("x: ^~"), OPS ".set.x: found nothing, expected text"},
    {ROUTED("request_headers: {set: ^[x]}"),
     OPS ".set: found a list, expected a map of header names to values"},
    {ROUTED("request_headers: {add: ^x}"),
     OPS ".add: found \"x\", expected a map of header names to values"},
    {ROUTED("request_headers: {add: {x: [a, ^5]}}"),
     OPS ".add.x[1]: found 5, expected text (put it in quotes)"},
    {ROUTED("request_headers: {add: {x: [a, ^\"b\\nc\"]}}"),
     OPS ".add.x[1]: found \"b\\x0ac\", expected a value without line breaks "
     "and control characters"},
    {ROUTED("request_headers: {add: {^Host: v}}"),
     OPS ".add.Host: found \"Host\", expected rewrite.host for the host"},
    {ROUTED("request_headers: {remove: ^x}"),
     OPS ".remove: found \"x\", expected a list of header names"},
    {ROUTED("request_headers: {remove: [a, ^5]}"),
     OPS ".remove[1]: found 5, expected a header's name"},
    {ROUTED("request_headers: {remove: [^':path']}"),
     OPS ".remove[0]: found \":path\", expected a header that is not a "
     "pseudo-header"},
    {ROUTED("request_headers: {remove: [^'']}"),
     OPS ".remove[0]: found \"\", expected " HEADER},
    {ROUTED("request_headers: ^[x]"),
     OPS ": found a list, expected header operations: a map"},
    {HOSTS("{route: [{cluster: c, response_headers: {set: {^host: x}}}]}"),
     "hosts[0].routes[0].route[0].response_headers.set.host: found \"host\", "
     "expected rewrite.host for the host"},
    {"hosts: [{domains: a.b, routes: [{respond: 200}], request_headers: "
     "{remove: [^te]}}]",
     "hosts[0].request_headers.remove[0]: found \"te\", expected a header that "
     "is not the connection's own"},
};

/* --- retries ------------------------------------------------------------- */

#define CONDITION                                                             \
    "connect-failure, reset, gateway-error, 5xx, a status from 400 to 599, "  \
    "or a gRPC status: cancelled, deadline-exceeded, resource-exhausted, "    \
    "internal, unavailable"
#define ON "hosts[0].routes[0].retries.on"

static const case_t retries[] = {
    {ROUTED("retries: {on: [connect-failure, reset, gateway-error, 5xx, 400, "
            "599, cancelled, deadline-exceeded, resource-exhausted, internal, "
            "unavailable, 400]}"), NULL},
    {ROUTED("retries: {on: 503}"), NULL},
    {ROUTED("retries: {on: ^399}"), ON ": found 399, expected " CONDITION},
    {ROUTED("retries: {on: ^600}"), ON ": found 600, expected " CONDITION},
    {ROUTED("retries: {on: ^-503}"), ON ": found -503, expected " CONDITION},
    {ROUTED("retries: {on: ^503.0}"), ON ": found 503.0, expected " CONDITION},
    {ROUTED("retries: {on: ^'503'}"),
     ON ": found \"503\", expected " CONDITION},
    {ROUTED("retries: {on: ^true}"), ON ": found true, expected " CONDITION},
    {ROUTED("retries: {on: ^''}"), ON ": found \"\", expected " CONDITION},
    {ROUTED("retries: {on: [reset, ^[503]]}"),
     ON "[1]: found a list, expected " CONDITION},
    {ROUTED("retries: {on: ^{reset: true}}"),
     ON ": found a map, expected " CONDITION},
    {ROUTED("retries: {on: [^~]}"), ON "[0]: found nothing, expected "
     CONDITION},
    {ROUTED("retries: {on: ^~}"), ON ": found nothing, expected a list"},
    {ROUTED("retries: {on: ^[]}"),
     ON ": found an empty list, expected at least one"},
    {ROUTED("retries: {on: ^retriable-4xx}"),
     ON ": retriable-4xx is not supported yet"},
    {ROUTED("retries: {on: [reset, ^envoy-ratelimited]}"),
     ON "[1]: envoy-ratelimited is not supported yet"},
    {ROUTED("retries: ^reset"),
     "hosts[0].routes[0].retries: found \"reset\", expected retries: a map"},
};

/* --- maps and lists ------------------------------------------------------ */

static const case_t shapes[] = {
    {"{}", NULL},
    {"clusters: {}\nhosts: []\nendpoints: {}\nroute_table: {}", NULL},
    {"^[]", "found a list, expected a mesh: a map"},
    {"^~", "found nothing, expected a mesh: a map"},
    {"clusters: ^5", "clusters: found 5, expected a map"},
    {"clusters: ^~", "clusters: found nothing, expected a map"},
    {"hosts: ^{}", "hosts: found a map, expected a list"},
    {"hosts: [^a]", "hosts[0]: found \"a\", expected a host: a map"},
    {"hosts: [^{domains: a}]",
     "hosts[0]: found none, expected a host with \"routes\""},
    {HOSTS("^a"), "hosts[0].routes[0]: found \"a\", expected a route: a map"},
    {"hosts: [{domains: a, routes: ^{}}]",
     "hosts[0].routes: found a map, expected a list"},
    {"route_table: ^x",
     "route_table: found \"x\", expected a route table: a map"},
    {"clusters: {a: {outlier_detection: ^true}}",
     "clusters.a.outlier_detection: found true, expected outlier detection: a "
     "map"},
    {"clusters: {a: {keepalive: ^5}}",
     "clusters.a.keepalive: found 5, expected keepalive: a map"},
    {"clusters: {a: {lb: ^[x]}}",
     "clusters.a.lb: found a list, expected a balancer: a map"},
    {"clusters: {a: {lb: ^{}}}",
     "clusters.a.lb: found none, expected a balancer with \"policy\""},
    {HOSTS("{route: c, ^retrys: {on: reset}}"),
     "hosts[0].routes[0].retrys: found an unknown field, expected \"retries\""},
    {HOSTS("{route: c, ^Timeout: 3s}"),
     "hosts[0].routes[0].Timeout: found an unknown field, expected "
     "\"timeout\""},
    {HOSTS("{route: c, ^itmeout: 3s}"),
     "hosts[0].routes[0].itmeout: found an unknown field, expected "
     "\"timeout\""},
    {"^cluster: {}",
     "cluster: found an unknown field, expected \"clusters\""},
    {"^hsots: []", "hsots: found an unknown field, expected \"hosts\""},
    {"clusters: {a: {^lbs: 1}}",
     "clusters.a.lbs: found an unknown field, expected \"lb\""},
    {"clusters: {a: {^a_name_of_more_than_any_field_has_12345678901234567890123"
     "45678901: 1}}",
     "clusters.a[\"a_name_of_more_than_any_field_has_12345678901234567890123456"
     "...\"]: found an unknown field, expected one of endpoints, "
     "endpoint_set, subsets, subset_selectors, subset_fallback, "
     "subset_required, subset_redundant_labels, subset_fallback_any, lb, "
     "panic_threshold, overprovisioning_factor, "
     "connect_timeout, protocol, outlier_detection, "
     "keepalive, dns"},
    /* Warnings refuse nothing. */
    {"clusters: {a: {outlier_detection: {consecutive_local_origin_failure: "
     "^3}}}",
     "warning: clusters.a.outlier_detection.consecutive_local_origin_failure: "
     "found a count that nothing uses, expected "
     "split_external_local_origin_errors: true beside it"},
};
/* clang-format on */

static void names_of_things(void **state) {
    (void)state;
    check_all(names);
}

static void domains_of_hosts(void **state) {
    (void)state;
    check_all(domains);
}

static void addresses_of_endpoints(void **state) {
    (void)state;
    check_all(addresses);
}

static void labels_and_localities(void **state) {
    (void)state;
    check_all(labels);
}

static void paths_and_hosts(void **state) {
    (void)state;
    check_all(paths);
}

static void headers_and_values(void **state) {
    (void)state;
    check_all(headers);
}

static void conditions_of_retries(void **state) {
    (void)state;
    check_all(retries);
}

static void maps_and_lists(void **state) {
    (void)state;
    check_all(shapes);
}

/* --- limits --------------------------------------------------------------- */

/* `n` of them are right, one more is refused with the message. */
static void check_limit(const char *before, const char *between,
                        const char *behind, unsigned n, const char *message) {
    for (unsigned more = 0; more < 2; more++) {
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);
        fixture_t f;

        fputs(before, out);
        for (unsigned i = 0; i < n + more; i++) {
            fprintf(out, between, i);
        }
        fputs(behind, out);
        fclose(out);
        fixture_yaml(&f, text);
        if (more == 0) {
            assert_string_equal(fixture_messages(&f), "");
        } else {
            assert_non_null(strstr(fixture_messages(&f), message));
            assert_int_equal(f.errors.errors, 1);
        }
        free(text);
        fixture_close(&f);
    }
}

static void how_many(void **state) {
    (void)state;
    check_limit("clusters: {a: {endpoints: [{address: '1.2.3.4:5', labels: {",
                "k%u: v, ", "}}]}}", 64,
                ".labels: found more than 64 labels, expected at most 64");
    check_limit("clusters: {a: {subsets: {s: {", "k%u: v, ", "}}}}", 64,
                ".subsets.s: found more than 64 labels, expected at most 64");
    check_limit("clusters: {a: {subset_selectors: [", "{keys: k%u}, ", "]}}",
                64,
                ".subset_selectors: found more than 64 selectors, expected at "
                "most 64");
    check_limit("clusters: {a: {subset_selectors: {keys: [", "k%u, ", "]}}}",
                16,
                ".subset_selectors: found more than 16 keys, expected at most "
                "16");
    check_limit("hosts: [{domains: a.b, routes: [{route: c, match: {headers: {",
                "h%u: v, ", "}}}]}]", 64,
                ".headers: found more than 64, expected at most 64");
    check_limit("hosts: [{domains: a.b, routes: [{route: c, match: {query: {",
                "q%u: v, ", "}}}]}]", 64,
                ".query: found more than 64, expected at most 64");
    check_limit("hosts: [{domains: a.b, routes: [{route: c, match: {cookies: {",
                "k%u: v, ", "}}}]}]", 64,
                ".cookies: found more than 64, expected at most 64");
    check_limit("hosts: [{domains: a.b, routes: [{route: c, match: {source: [",
                "10.0.0.%u, ", "]}}]}]", 256,
                ".source: found more than 256 ranges, expected at most 256");
    check_limit("hosts: [{domains: a.b, routes: [{route: c, request_headers: "
                "{set: {",
                "h%u: v, ", "}}}]}]", 256,
                ".set: found more than 256 headers, expected at most 256");
    check_limit("hosts: [{domains: a.b, routes: [{route: c, request_headers: "
                "{add: {x: [",
                "v%u, ", "]}}}]}]", 256,
                ".add: found more than 256 headers, expected at most 256");
    check_limit("hosts: [{domains: a.b, routes: [{route: c, request_headers: "
                "{remove: [",
                "h%u, ", "]}}]}]", 256,
                ".remove: found more than 256 headers, expected at most 256");
}

/* `n` bytes are right, one more is refused with the message. */
static void check_length(const char *before, char fill, const char *behind,
                         unsigned n, const char *message) {
    for (unsigned more = 0; more < 2; more++) {
        size_t size = strlen(before) + strlen(behind) + n + 2;
        char *text = malloc(size);
        char *at = stpcpy(text, before);
        fixture_t f;

        memset(at, fill, n + more);
        memcpy(at + n + more, behind, strlen(behind) + 1);
        fixture_yaml(&f, text);
        if (more == 0) {
            assert_string_equal(fixture_messages(&f), "");
        } else if (strstr(fixture_messages(&f), message) == NULL) {
            fail_msg("%s: %s", before, fixture_messages(&f));
        }
        free(text);
        fixture_close(&f);
    }
}

static void how_long(void **state) {
    (void)state;
    check_length("clusters:\n  ? ", 'x', "\n  : {}\n", 1024, NAME);
    check_length("clusters: {a: {endpoint_set: ", 'x', "}}", 1024,
                 "at most 1024 bytes");
    check_length(ROUTED_BEFORE "name: ", 'x', "}]}]", 1024,
                 "at most 1024 bytes");
    check_length("hosts: [{domains: ", 'x', ", routes: [{respond: 200}]}]", 255,
                 DOMAIN);
    check_length(ROUTED_BEFORE "match: {path: /", 'x', "}}]}]", 65535,
                 "at most 65536 bytes");
    check_length(ROUTED_BEFORE "match: {headers: {\"", 'x', "\": v}}}]}]", 256,
                 HEADER);
    check_length(ROUTED_BEFORE "match: {headers: {a: ", 'x', "}}}]}]", 65536,
                 "at most 65536 bytes");
    check_length(ROUTED_BEFORE "rewrite: {host: ", 'x', "}}]}]", 255,
                 "a host name or address");
    check_length("hosts: [{domains: a.b, routes: [{respond: {status: 200, "
                 "body: ",
                 'x', "}}]}]", 65536, "at most 65536 bytes");
    check_length("clusters: {a: {endpoints: [{address: '1.2.3.4:5', labels: "
                 "{k: ",
                 'x', "}}]}}", 256, "at most 256 bytes");
    check_length("clusters: {a: {endpoints: [{address: '1.2.3.4:5', labels: "
                 "{\"",
                 'x', "\": v}}]}}", 256,
                 "found a long name, expected at most 256 bytes");
    check_length("clusters: {a: {endpoints: [{address: '1.2.3.4:5', zone: ",
                 'x', "}]}}", 256, "at most 256 bytes");
    check_length("clusters: {a: {endpoints: ['unix:/", 'x', "']}}", 106,
                 "a path of at most 107 bytes");
}

/* --- what messages show --------------------------------------------------- */

static bool is_whole_utf8(const char *text) {
    size_t len = strlen(text);
    const uint8_t *p = (const uint8_t *)text;

    for (size_t i = 0; i < len;) {
        size_t n = p[i] < 0x80 ? 1 : p[i] < 0xe0 ? 2 : p[i] < 0xf0 ? 3 : 4;

        for (size_t k = 1; k < n; k++) {
            if (i + k >= len || (p[i + k] & 0xc0) != 0x80) {
                return false;
            }
        }
        i += n;
    }
    return true;
}

/*
 * Whatever is in the text and however little room there is: between quotes,
 * whole characters, nothing that moves a terminal, and dots where it is cut.
 */
static void quoting_any_text(void **state) {
    (void)state;
    static const char *const pieces[] = {
        "a",    "word ", "\"",       "\\",           "\n",
        "\x1b", "\x7f",  "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    rng_t seed = {3};

    for (int round = 0; round < 20000; round++) {
        char text[256] = "";
        char out[128];
        size_t size = 12 + rng_next(&seed) % (sizeof(out) - 12);

        for (uint64_t n = rng_next(&seed) % 40; n > 0; n--) {
            strncat(text, pieces[rng_next(&seed) % mesh_nelts(pieces)], 8);
        }
        memset(out, '#', sizeof(out));
        model_quote(mesh_str_from(text), out, size);
        size_t len = strlen(out);
        assert_true(len < size);
        assert_true(size == sizeof(out) || out[size] == '#');
        assert_int_equal(out[0], '"');
        assert_int_equal(out[len - 1], '"');
        assert_true(is_whole_utf8(out));

        /* What is shown, escapes taken back, is how the text begins. */
        size_t at = 0;
        bool cut = len > 4 && strcmp(out + len - 4, "...\"") == 0;
        for (size_t i = 1; i < len - (cut ? 4 : 1); i++, at++) {
            unsigned c = (uint8_t)out[i];
            assert_true(c >= 0x20 && c != 0x7f);
            if (c == '\\' && out[i + 1] == 'x') {
                assert_int_equal(sscanf(out + i + 2, "%2x", &c), 1);
                i += 3;
            } else if (c == '\\') {
                c = (uint8_t)out[++i];
            }
            assert_int_equal((uint8_t)text[at], c);
        }
        assert_int_equal(text[at] != '\0', cut);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_things),
        cmocka_unit_test(domains_of_hosts),
        cmocka_unit_test(addresses_of_endpoints),
        cmocka_unit_test(labels_and_localities),
        cmocka_unit_test(paths_and_hosts),
        cmocka_unit_test(headers_and_values),
        cmocka_unit_test(conditions_of_retries),
        cmocka_unit_test(maps_and_lists),
        cmocka_unit_test(how_many),
        cmocka_unit_test(how_long),
        cmocka_unit_test(quoting_any_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
