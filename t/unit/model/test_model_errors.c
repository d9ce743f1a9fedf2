/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What users read when a file is wrong: the exact words for each mistake,
 * all mistakes of a file in one run, and a bound for hostile files.
 */

#include "model_fixture.h"

typedef struct {
    const char *text;
    const char *message; /* the only one */
} mistake_t;

/* clang-format off */
static const mistake_t mistakes[] = {
    {"clusters: {a: {timout: 3s}}",
     "f.yaml:1:16: clusters.a.timout: found an unknown field, "
     "expected one of endpoints, endpoint_set, subsets, subset_selectors, "
     "subset_fallback, subset_required, subset_redundant_labels, "
     "subset_fallback_any, lb, panic_threshold, overprovisioning_factor, "
     "connect_timeout, protocol, "
     "outlier_detection, keepalive, dns"},
    {"clusters: {a: {connect_timout: 3s}}",
     "f.yaml:1:16: clusters.a.connect_timout: found an "
     "unknown field, expected \"connect_timeout\""},
    {"clusters: {a: {connect_timeout: 3}}",
     "f.yaml:1:33: clusters.a.connect_timeout: found 3, "
     "expected a duration of 1ms to 24 days such as 250ms, 3s "
     "or 1m"},
    {"clusters: {a: {connect_timeout: 3x}}",
     "f.yaml:1:33: clusters.a.connect_timeout: found \"3x\", "
     "expected a duration of 1ms to 24 days such as 250ms, 3s "
     "or 1m"},
    {"clusters: {a: {connect_timeout: 1.5ms}}",
     "f.yaml:1:33: clusters.a.connect_timeout: found "
     "\"1.5ms\", expected a duration of 1ms to 24 days such "
     "as 250ms, 3s or 1m"},
    {"clusters: {a: {lb: fastest}}",
     "f.yaml:1:20: clusters.a.lb: found \"fastest\", expected "
     "one of round_robin, least_request, random, ring_hash, maglev, peak_ewma"},
    {"clusters: {a: {lb: original_dst}}",
     "f.yaml:1:20: clusters.a.lb: original_dst is not supported yet"},
    {"clusters: {a: {lb: {policy: maglev, table_size: 65536}}}",
     "f.yaml:1:49: clusters.a.lb.table_size: found 65536, expected a prime "
     "number, such as 65537"},
    {"clusters: {a: {lb: {policy: maglev, table_size: 5000012}}}",
     "f.yaml:1:49: clusters.a.lb.table_size: found 5000012, expected a "
     "whole number from 2 to 5000011"},
    {"clusters: {a: {lb: {policy: maglev, minimum_ring_size: 5}}}",
     "f.yaml:1:37: clusters.a.lb.minimum_ring_size: found a parameter of "
     "another balancer, expected it beside policy: ring_hash only"},
    {"clusters: {a: {lb: {policy: ring_hash, minimum_ring_size: 5, "
     "maximum_ring_size: 4}}}",
     "f.yaml:1:81: clusters.a.lb.maximum_ring_size: found 4, expected at "
     "least minimum_ring_size"},
    {"clusters: {a: {lb: {policy: ring_hash, maximum_ring_size: 8388609}}}",
     "f.yaml:1:59: clusters.a.lb.maximum_ring_size: found 8388609, expected "
     "a whole number from 1 to 8388608"},
    {"clusters: {a: {lb: {policy: ring_hash, hash_balance_factor: 99}}}",
     "f.yaml:1:61: clusters.a.lb.hash_balance_factor: found 99, expected a "
     "whole number from 100 to 1000000"},
    {"clusters: {a: {lb: {policy: random, hash_balance_factor: 150}}}",
     "f.yaml:1:37: clusters.a.lb.hash_balance_factor: found a parameter of "
     "another balancer, expected it beside policy: ring_hash or maglev only"},
    {"clusters: {a: {protocol: h2c}}",
     "f.yaml:1:26: clusters.a.protocol: found \"h2c\", expected "
     "one of http1, http2, grpc"},
    {"clusters: {a: {protocol: http3}}",
     "f.yaml:1:26: clusters.a.protocol: http3 is not supported "
     "yet"},
    {"clusters: {a: {http2: {}}}",
     "f.yaml:1:16: clusters.a.http2: this field is not "
     "supported yet"},
    {"clusters: {a: {lb: {choices: 3}}}",
     "f.yaml:1:20: clusters.a.lb: found none, expected a "
     "balancer with \"policy\""},
    {"clusters: {a: {lb: {policy: random, choices: 3}}}",
     "f.yaml:1:37: clusters.a.lb.choices: found a parameter of another "
     "balancer, expected it beside policy: least_request or peak_ewma only"},
    {"clusters: {a: {lb: {policy: peak_ewma, full_scan: true}}}",
     "f.yaml:1:40: clusters.a.lb.full_scan: found a parameter of another "
     "balancer, expected it beside policy: least_request only"},
    {"clusters: {a: {lb: {policy: maglev, active_request_bias: 1}}}",
     "f.yaml:1:37: clusters.a.lb.active_request_bias: found a parameter of "
     "another balancer, expected it beside policy: least_request only"},
    {"clusters: {a: {lb: {policy: least_request, active_request_bias: "
     "10.001}}}",
     "f.yaml:1:65: clusters.a.lb.active_request_bias: found 10.001, expected "
     "a number from 0 to 10, such as 1 or 0.5"},
    {"clusters: {a: {lb: {policy: least_request, active_request_bias: "
     "-1}}}",
     "f.yaml:1:65: clusters.a.lb.active_request_bias: found -1, expected a "
     "number from 0 to 10, such as 1 or 0.5"},
    {"clusters: {a: {lb: {policy: least_request, active_request_bias: "
     "0.1234}}}",
     "f.yaml:1:65: clusters.a.lb.active_request_bias: found 0.1234, expected "
     "a number from 0 to 10, such as 1 or 0.5"},
    {"clusters: {a: {lb: {policy: least_request, active_request_bias: "
     "'1'}}}",
     "f.yaml:1:65: clusters.a.lb.active_request_bias: found \"1\", expected "
     "a number from 0 to 10, such as 1 or 0.5"},
    {"clusters: {a: {lb: {policy: least_request, decay_time: 1s}}}",
     "f.yaml:1:44: clusters.a.lb.decay_time: found a parameter of another "
     "balancer, expected it beside policy: peak_ewma only"},
    {"clusters: {a: {lb: {policy: random, default_rtt: 1s}}}",
     "f.yaml:1:37: clusters.a.lb.default_rtt: found a parameter of another "
     "balancer, expected it beside policy: peak_ewma only"},
    {"clusters: {a: {lb: {policy: peak_ewma, default_rtt: 0}}}",
     "f.yaml:1:53: clusters.a.lb.default_rtt: found 0, expected a duration "
     "of 1ms to 24 days such as 250ms, 3s or 1m"},
    {"clusters: {a: {lb: {policy: maglev, slow_start: 3s}}}",
     "f.yaml:1:37: clusters.a.lb.slow_start: found a parameter of another "
     "balancer, expected it beside policy: round_robin or least_request only"},
    {"clusters: {a: {lb: {policy: round_robin, slow_start: {aggression: 1}}}}",
     "f.yaml:1:54: clusters.a.lb.slow_start: found none, expected a slow "
     "start with \"window\""},
    {"clusters: {a: {lb: {policy: round_robin, slow_start: {window: 1s, "
     "aggression: 0}}}}",
     "f.yaml:1:79: clusters.a.lb.slow_start.aggression: found 0, expected a "
     "number above 0 and up to 100, such as 1 or 1.5"},
    {"clusters: {a: {lb: {policy: round_robin, slow_start: {window: 1s, "
     "min_weight_percent: 101}}}}",
     "f.yaml:1:87: clusters.a.lb.slow_start.min_weight_percent: found 101, "
     "expected a percentage from 0 to 100"},
    {"clusters: {a: {lb: {policy: least_request, choices: 1}}}",
     "f.yaml:1:53: clusters.a.lb.choices: found 1, expected a "
     "whole number from 2 to 32"},
    {"clusters: {a: {endpoints: [127.0.0.1]}}",
     "f.yaml:1:28: clusters.a.endpoints[0]: found "
     "\"127.0.0.1\", expected an address such as "
     "127.0.1.1:9080, [::1]:9080, unix:/run/app.sock or "
     "reviews.local:9080"},
    {"clusters: {a: {endpoints: ['127.0.0.1:0']}}",
     "f.yaml:1:28: clusters.a.endpoints[0]: found "
     "\"127.0.0.1:0\", expected a port from 1 to 65535 after "
     "the \":\""},
    {"clusters: {a: {endpoints: ['127.0.0.256:80']}}",
     "f.yaml:1:28: clusters.a.endpoints[0]: found "
     "\"127.0.0.256:80\", expected an address such as "
     "127.0.1.1:9080, [::1]:9080, unix:/run/app.sock or "
     "reviews.local:9080"},
    {"clusters: {a: {endpoints: ['srv:a b']}}",
     "f.yaml:1:28: clusters.a.endpoints[0]: found \"srv:a b\", "
     "expected a name after srv:"},
    {"clusters: {a: {endpoints: ['127.0.0.1:1'], dns: {family: v4}}}",
     "f.yaml:1:49: clusters.a.dns: found dns without a name among the "
     "endpoints, expected one such as reviews.local:9080"},
    {"clusters: {a: {endpoints: ['a.b:1'], dns: {ttl: 5s}}}",
     "f.yaml:1:44: clusters.a.dns.ttl: this field is not supported yet"},
    {"clusters: {a: {endpoints: ['::1:80']}}",
     "f.yaml:1:28: clusters.a.endpoints[0]: found \"::1:80\", "
     "expected an address such as 127.0.1.1:9080, [::1]:9080, "
     "unix:/run/app.sock or reviews.local:9080"},
    {"clusters: {a: {endpoints: ['unix:run/x']}}",
     "f.yaml:1:28: clusters.a.endpoints[0]: found "
     "\"unix:run/x\", expected an absolute path after unix:"},
    {"clusters: {a: {endpoints: [{weight: 1}]}}",
     "f.yaml:1:28: clusters.a.endpoints[0]: found none, "
     "expected an endpoint with \"address\""},
    {"clusters: {a: {endpoints: ['127.0.0.1:80', "
     "'127.0.0.2:80', {address: '127.0.0.1:80'}]}}",
     "f.yaml:1:70: clusters.a.endpoints[2]: found "
     "\"127.0.0.1:80\", expected each address once (first on "
     "line 1)"},
    {"clusters: {a: {endpoints: [{address: '127.0.0.1:80', "
     "weight: 99999999}]}}",
     "f.yaml:1:62: clusters.a.endpoints[0].weight: found "
     "99999999, expected a whole number from 0 to 16777216"},
    {"clusters: {a: {endpoints: [{address: '127.0.0.1:80', "
     "labels: {version: 2}}]}}",
     "f.yaml:1:72: clusters.a.endpoints[0].labels.version: "
     "found 2, expected text (put it in quotes)"},
    {"clusters: {a: {endpoints: [{address: '127.0.0.1:80', "
     "priority: 1}]}}",
     "f.yaml:1:27: clusters.a.endpoints: found an endpoint of priority 1, "
     "expected one of priority 0 as well"},
    {"clusters: {a: {endpoints: [{address: '127.0.0.1:80', "
     "health: sick}]}}",
     "f.yaml:1:62: clusters.a.endpoints[0].health: found "
     "\"sick\", expected one of healthy, unhealthy, draining"},
    {"clusters: {a: {endpoints: {a: b}}}",
     "f.yaml:1:27: clusters.a.endpoints: found a map, "
     "expected a list"},
    {"clusters: {a/b: {}}",
     "f.yaml:1:12: clusters[\"a/b\"]: found \"a/b\", expected "
     "a name of 1 to 1024 bytes without \"/\", spaces and "
     "control characters"},
    {"clusters: {a: {panic_threshold: 101}}",
     "f.yaml:1:33: clusters.a.panic_threshold: found 101, "
     "expected a percentage from 0 to 100"},
    {"clusters: {a: {tls: {}}}",
     "f.yaml:1:16: clusters.a.tls: this field is not "
     "supported yet"},
    {"clusters: {a: {outlier_detection: {base_ejection_time: "
     "10s, max_ejection_time: 5s}}}",
     "f.yaml:1:80: "
     "clusters.a.outlier_detection.max_ejection_time: found "
     "\"5s\", expected at least base_ejection_time"},
    {"clusters: [a]",
     "f.yaml:1:11: clusters: found a list, expected a map"},
    {"clusters: {a: }",
     "f.yaml:1:15: clusters.a: found nothing, expected a "
     "cluster: a map"},
    {"a: 1",
     "f.yaml:1:1: a: found an unknown field, expected one of "
     "clusters, endpoints, hosts, route_table, runtime"},
    {"hosts: [{domains: ['*'], routes: [{route: c, hash_policy: [{"
     "terminal: true}]}]}]",
     "f.yaml:1:60: hosts[0].routes[0].hash_policy[0]: found no pol"
     "icy, expected one of header, cookie, source_ip, query_parame"
     "ter, path"},
    {"hosts: [{domains: ['*'], routes: [{route: c, hash_policy: [{"
     "header: a, cookie: b}]}]}]",
     "f.yaml:1:60: hosts[0].routes[0].hash_policy[0]: found more t"
     "han one policy in one, expected one of header, cookie, sourc"
     "e_ip, query_parameter, path"},
    {"hosts: [{domains: ['*'], routes: [{route: c, hash_policy: [{"
     "path: false}]}]}]",
     "f.yaml:1:60: hosts[0].routes[0].hash_policy[0]: found a poli"
     "cy that is off, expected true, or nothing"},
    {"hosts: [{domains: ['*'], routes: [{route: c, hash_policy: [{"
     "header: 'a b'}]}]}]",
     "f.yaml:1:69: hosts[0].routes[0].hash_policy[0].header: found"
     " \"a b\", expected a header's name: letters, digits and - of a"
     "t most 256 bytes"},
    {"hosts: [{domains: ['*'], routes: [{route: c, hash_policy: [{"
     "header: {}}]}]}]",
     "f.yaml:1:69: hosts[0].routes[0].hash_policy[0].header: found"
     " none, expected a header with \"name\""},
    {"hosts: [{domains: ['*'], routes: [{route: c, hash_policy: [{"
     "cookie: 'a;'}]}]}]",
     "f.yaml:1:69: hosts[0].routes[0].hash_policy[0].cookie: found"
     " \"a;\", expected a cookie's name: letters, digits and - of at"
     " most 256 bytes"},
    {"hosts: [{domains: ['*'], routes: [{route: c, hash_policy: [{"
     "cookie: {ttl: 1s}}]}]}]",
     "f.yaml:1:69: hosts[0].routes[0].hash_policy[0].cookie: found"
     " none, expected a cookie with \"name\""},
    {"hosts: [{domains: ['*'], routes: [{route: c, hash_policy: [{"
     "cookie: {name: a, ttl: 1500ms}}]}]}]",
     "f.yaml:1:84: hosts[0].routes[0].hash_policy[0].cookie.ttl: f"
     "ound \"1500ms\", expected whole seconds"},
    {"hosts: [{domains: ['*'], routes: [{route: c, hash_policy: [{"
     "cookie: {name: a, path: /}}]}]}]",
     "f.yaml:1:69: hosts[0].routes[0].hash_policy[0].cookie: found"
     " a path or attributes without a ttl, expected ttl, with whic"
     "h the cookie is set, too"},
    {"hosts: [{domains: ['*'], routes: [{route: c, hash_policy: [{"
     "cookie: {name: a, ttl: 0, path: '/;'}}]}]}]",
     "f.yaml:1:93: hosts[0].routes[0].hash_policy[0].cookie.path: "
     "found \"/;\", expected text without \";\" and control characters"},
    {"hosts: [{domains: ['*'], routes: [{route: c, hash_policy: [{"
     "cookie: {name: a, ttl: 0, attributes: {'x y': z}}}]}]}]",
     "f.yaml:1:100: hosts[0].routes[0].hash_policy[0].cookie.attri"
     "butes[\"x y\"]: found \"x y\", expected an attribute's name: let"
     "ters, digits and -"},
    {"hosts: [{domains: ['*'], routes: [{route: c, hash_policy: [{"
     "cookie: {name: a, ttl: 0, attributes: {x: 'y;z'}}}]}]}]",
     "f.yaml:1:103: hosts[0].routes[0].hash_policy[0].cookie.attri"
     "butes.x: found \"y;z\", expected text without \";\" and control "
     "characters"},
    {"hosts: [{domains: ['*'], routes: [{route: c, hash_policy: [{"
     "cookie: {name: a, ttl: 0, attributes: [x]}}]}]}]",
     "f.yaml:1:99: hosts[0].routes[0].hash_policy[0].cookie.attrib"
     "utes: found a list, expected a map of text to text"},
    {"hosts: [{domains: ['*'], routes: [{route: c, hash_policy: [{"
     "query_parameter: 7}]}]}]",
     "f.yaml:1:78: hosts[0].routes[0].hash_policy[0].query_paramet"
     "er: found 7, expected text (put it in quotes)"},
    {"hosts: [{domains: ['*'], routes: [{route: c, hash_policy: [{"
     "filter_state: x}]}]}]",
     "f.yaml:1:61: hosts[0].routes[0].hash_policy[0].filter_state:"
     " this field is not supported yet"},
    {"hosts: [{domains: ['*'], routes: [{route: c, hash_policy: []"
     "}]}]",
     "f.yaml:1:59: hosts[0].routes[0].hash_policy: found an empty "
     "list, expected at least one"},
    {"hosts: [{domains: ['*'], routes: [{respond: 200, hash_policy"
     ": {path: true}}]}]",
     "f.yaml:1:35: hosts[0].routes[0]: found a hash_policy without"
     " a route, expected it beside route only"},
    {"hosts: [{domains: ['*'], routes: [{route: c, hash_policy: [{"
     "path: true}, {path: true}, {path: true}, {path: true}, {path"
     ": true}, {path: true}, {path: true}, {path: true}, {path: tr"
     "ue}, {path: true}, {path: true}, {path: true}, {path: true},"
     " {path: true}, {path: true}, {path: true}, {path: true}]}]}]",
     "f.yaml:1:59: hosts[0].routes[0].hash_policy: found a list, e"
     "xpected at most 16 hash policies"},
    {"hosts: [{domains: ['*'], routes: [{route: c, stateful_sessio"
     "n: {strict: true}}]}]",
     "f.yaml:1:64: hosts[0].routes[0].stateful_session: found neither a cookie"
     " nor a header, expected one of cookie, header"},
    {"hosts: [{domains: ['*'], routes: [{route: c, stateful_sessio"
     "n: {cookie: {path: /}}}]}]",
     "f.yaml:1:73: hosts[0].routes[0].stateful_session.cookie: fou"
     "nd none, expected a cookie with \"name\""},
    {"hosts: [{domains: ['*'], routes: [{route: c, stateful_sessio"
     "n: {cookie: {name: a, ttl: 1ms}}}]}]",
     "f.yaml:1:88: hosts[0].routes[0].stateful_session.cookie.ttl:"
     " found \"1ms\", expected whole seconds"},
    {"hosts: [{domains: ['*'], routes: [{route: c, "
     "stateful_session: {cookie: a, header: b}}]}]",
     "f.yaml:1:64: hosts[0].routes[0].stateful_session: found a cookie and a "
     "header, expected one of cookie, header"},
    {"hosts: [{domains: ['*'], routes: [{route: c, stateful_sessio"
     "n: a}]}]",
     "f.yaml:1:64: hosts[0].routes[0].stateful_session: found \"a\","
     " expected a session: a map"},
    {"hosts: [{domains: ['*'], routes: [{respond: 200, stateful_se"
     "ssion: {cookie: a}}]}]",
     "f.yaml:1:35: hosts[0].routes[0]: found a stateful_session wi"
     "thout a route, expected it beside route only"},
    {"hosts: [{routes: [{respond: 200}]}]",
     "f.yaml:1:9: hosts[0]: found none, expected a host with "
     "\"domains\""},
    {"hosts: [{domains: [a b], routes: [{respond: 200}]}]",
     "f.yaml:1:20: hosts[0].domains[0]: found \"a b\", "
     "expected a domain such as shop.local, *.shop.local, "
     "shop.* or *"},
    {"hosts: [{domains: [], routes: [{respond: 200}]}]",
     "f.yaml:1:19: hosts[0].domains: found an empty list, "
     "expected at least one"},
    {"hosts: [{domains: [a.b], routes: []}]",
     "f.yaml:1:34: hosts[0].routes: found an empty list, "
     "expected at least one"},
    {"hosts: [{domains: ['*x'], routes: [{respond: 200}]}]",
     "f.yaml:1:20: hosts[0].domains[0]: found \"*x\", "
     "expected a domain such as shop.local, *.shop.local, "
     "shop.* or *"},
    {"hosts: [{domains: [5], routes: [{respond: 200}]}]",
     "f.yaml:1:20: hosts[0].domains[0]: found 5, expected a "
     "domain such as shop.local, *.shop.local, shop.* or *"},
    {"hosts: [{domains: ['a:80'], routes: [{respond: 200}]}]",
     "f.yaml:1:20: hosts[0].domains[0]: found \"a:80\", "
     "expected a domain without a port, or ignore_port: false "
     "in route_table"},
    {"hosts: [{domains: a, routes: [{}]}]",
     "f.yaml:1:31: hosts[0].routes[0]: found no action, "
     "expected one of route, redirect, respond"},
    {"hosts: [{domains: a, routes: [{respond: 200, redirect: "
     "{host: b}}]}]",
     "f.yaml:1:31: hosts[0].routes[0]: found more than one "
     "action, expected one of route, redirect, respond"},
    {"hosts: [{domains: a, routes: [{respond: 99}]}]",
     "f.yaml:1:41: hosts[0].routes[0].respond: found 99, "
     "expected a whole number from 200 to 599"},
    {"hosts: [{domains: a, routes: [{respond: {body: x}}]}]",
     "f.yaml:1:41: hosts[0].routes[0].respond: found none, "
     "expected a direct response with \"status\""},
    {"hosts: [{domains: a, routes: [{redirect: {}}]}]",
     "f.yaml:1:42: hosts[0].routes[0].redirect: found a "
     "redirect to where the request is already, expected a "
     "scheme, host, port, path, prefix_rewrite or regex_rewrite"},
    {"hosts: [{domains: a, routes: [{redirect: {host: b, "
     "status: 300}}]}]",
     "f.yaml:1:60: hosts[0].routes[0].redirect.status: found "
     "300, expected one of 301, 302, 303, 307, 308"},
    {"hosts: [{domains: a, routes: [{redirect: {path: /b, "
     "prefix_rewrite: /c}}]}]",
     "f.yaml:1:42: hosts[0].routes[0].redirect: found more than "
     "one path, expected one of path, prefix_rewrite, regex_rewrite"},
    {"hosts: [{domains: a, routes: [{redirect: {scheme: "
     "ftp}}]}]",
     "f.yaml:1:51: hosts[0].routes[0].redirect.scheme: found "
     "\"ftp\", expected http or https"},
    {"hosts: [{domains: a, routes: [{route: b/c/d}]}]",
     "f.yaml:1:39: hosts[0].routes[0].route: found \"b/c\", "
     "expected a name of 1 to 1024 bytes without \"/\", "
     "spaces and control characters"},
    {"hosts: [{domains: a, routes: [{route: [{cluster: b, "
     "weight: 0}]}]}]",
     "f.yaml:1:39: hosts[0].routes[0].route: found only "
     "weights of 0, expected at least one above 0"},
    {"hosts: [{domains: a, routes: [{route: [{cluster: b, "
     "weight: 4294967295}, {cluster: c}]}]}]",
     "f.yaml:1:39: hosts[0].routes[0].route: found weights "
     "above 4294967295 in all, expected smaller ones"},
    {"hosts: [{domains: a, routes: [{route: []}]}]",
     "f.yaml:1:39: hosts[0].routes[0].route: found an empty "
     "list, expected at least one"},
    {"hosts: [{domains: a, routes: [{route: b, match: {path: "
     "reviews}}]}]",
     "f.yaml:1:56: hosts[0].routes[0].match.path: found "
     "\"reviews\", expected a path that begins with \"/\""},
    {"hosts: [{domains: a, routes: [{route: b, match: {path: "
     "{exact: /a, prefix: /b}}}]}]",
     "f.yaml:1:56: hosts[0].routes[0].match.path: found more "
     "than one path, expected one of prefix, exact, separated_prefix, regex, "
     "template"},
    {"hosts: [{domains: a, routes: [{route: b, match: {path: "
     "{ignore_case: true}}}]}]",
     "f.yaml:1:56: hosts[0].routes[0].match.path: found no path, expected "
     "one of prefix, exact, separated_prefix, regex, template"},
    {"hosts: [{domains: a, routes: [{route: b, match: {path: "
     "{separated_prefix: /a/}}}]}]",
     "f.yaml:1:75: hosts[0].routes[0].match.path.separated_prefix: found "
     "\"/a/\", expected a path that does not end in \"/\""},
    {"hosts: [{domains: a, routes: [{route: b, match: {path: "
     "{regex: '/a(?=b)'}}}]}]",
     "f.yaml:1:64: hosts[0].routes[0].match.path.regex: found \"/a(?=b)\", "
     "expected a regular expression of RE2: a group that RE2 does not have "
     "(at byte 2)"},
    {"hosts: [{domains: a, routes: [{route: b, match: {path: "
     "{regex: /a, ignore_case: true}}}]}]",
     "f.yaml:1:56: hosts[0].routes[0].match.path: found ignore_case with a "
     "regex, expected (?i) before its text"},
    {"hosts: [{domains: a, routes: [{route: b, match: {path: "
     "/a?b=c}}]}]",
     "f.yaml:1:56: hosts[0].routes[0].match.path: found "
     "\"/a?b=c\", expected a path without a query and a "
     "fragment"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{methods: [get]}}]}]",
     "f.yaml:1:60: hosts[0].routes[0].match.methods[0]: found "
     "\"get\", expected one of GET, HEAD, POST, PUT, DELETE, "
     "CONNECT, OPTIONS, TRACE, PATCH"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{headers: {'end user': x}}}]}]",
     "f.yaml:1:60: hosts[0].routes[0].match.headers[\"end "
     "user\"]: found \"end user\", expected a header's name: "
     "letters, digits and - of at most 256 bytes"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{headers: {':status': x}}}]}]",
     "f.yaml:1:60: "
     "hosts[0].routes[0].match.headers[\":status\"]: found "
     "\":status\", expected a header, :method, :authority, :path or "
     ":scheme"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{headers: {x: {exact: a, present: true}}}}]}]",
     "f.yaml:1:63: hosts[0].routes[0].match.headers.x: found "
     "more than one condition, expected one of exact, prefix, suffix, "
     "contains, present, range, regex"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{headers: {x: {invert: true}}}}]}]",
     "f.yaml:1:63: hosts[0].routes[0].match.headers.x: found "
     "no condition, expected one of exact, prefix, suffix, "
     "contains, present, range, regex"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{query: {'a=b': c}}}]}]",
     "f.yaml:1:58: hosts[0].routes[0].match.query[\"a=b\"]: found \"a=b\", "
     "expected a parameter's name of at most 1024 bytes, as it is sent: "
     "without spaces, &, = and #"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{cookies: {'a;': c}}}]}]",
     "f.yaml:1:60: hosts[0].routes[0].match.cookies[\"a;\"]: found \"a;\", "
     "expected a cookie's name of at most 1024 bytes: without spaces, = "
     "and ;"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{query: {a: {exact: b, treat_missing_as_empty: true}}}}]}]",
     "f.yaml:1:72: "
     "hosts[0].routes[0].match.query.a.treat_missing_as_empty: found an "
     "unknown field, expected one of exact, prefix, suffix, contains, present, "
     "range, regex, ignore_case, invert"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{query: {a: {regex: '\\s'}}}}]}]",
     "f.yaml:1:69: hosts[0].routes[0].match.query.a.regex: found \"\\\\s\", "
     "expected a regular expression of RE2: \\s is not the same to RE2 and "
     "PCRE2: write [[:space:]] (at byte 0)"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{query: x}}]}]",
     "f.yaml:1:57: hosts[0].routes[0].match.query: found \"x\", "
     "expected a map"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{percentage: 100.1}}]}]",
     "f.yaml:1:62: hosts[0].routes[0].match.percentage: found 100.1, expected "
     "a percentage from 0 to 100 such as 10 or 0.5%, with at most 4 decimals"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{percentage: 0.00001}}]}]",
     "f.yaml:1:62: hosts[0].routes[0].match.percentage: found 0.00001, "
     "expected a percentage from 0 to 100 such as 10 or 0.5%, with at most 4 "
     "decimals"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{percentage: -1}}]}]",
     "f.yaml:1:62: hosts[0].routes[0].match.percentage: found -1, expected a "
     "percentage from 0 to 100 such as 10 or 0.5%, with at most 4 decimals"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{source: 10.0.0.1/8}}]}]",
     "f.yaml:1:58: hosts[0].routes[0].match.source: found \"10.0.0.1/8\", "
     "expected only zeroes behind the prefix, as in 10.0.0.0/8"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{source: [10.0.0.0/33]}}]}]",
     "f.yaml:1:59: hosts[0].routes[0].match.source[0]: found \"10.0.0.0/33\", "
     "expected an address or a range of them such as 10.0.0.0/8 or "
     "2001:db8::/32"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{source: shop.local}}]}]",
     "f.yaml:1:58: hosts[0].routes[0].match.source: found \"shop.local\", "
     "expected an address or a range of them such as 10.0.0.0/8 or "
     "2001:db8::/32"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{source: []}}]}]",
     "f.yaml:1:58: hosts[0].routes[0].match.source: found an empty list, "
     "expected at least one"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{grpc: 1}}]}]",
     "f.yaml:1:56: hosts[0].routes[0].match.grpc: found 1, expected true or "
     "false"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{headers: {x: {regex: '[z-a]', ignore_case: true}}}}]}]",
     "f.yaml:1:71: hosts[0].routes[0].match.headers.x.regex: found "
     "\"[z-a]\", expected a regular expression of RE2: range out of order in "
     "character class (at byte 3)"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{headers: {x: {prefix: ''}}}}]}]",
     "f.yaml:1:72: hosts[0].routes[0].match.headers.x.prefix: found \"\", "
     "expected text that is not empty"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{headers: {x: {present: true, treat_missing_as_empty: true}}}}]}]",
     "f.yaml:1:63: hosts[0].routes[0].match.headers.x: found "
     "treat_missing_as_empty with present, expected one of them"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{headers: {x: {present: true, ignore_case: true}}}}]}]",
     "f.yaml:1:63: hosts[0].routes[0].match.headers.x: found "
     "ignore_case without a text, expected it with exact, prefix, suffix, "
     "contains"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{headers: {x: {range: {start: 1.5, end: 2}}}}}]}]",
     "f.yaml:1:79: hosts[0].routes[0].match.headers.x.range.start: found "
     "1.5, expected a whole number of 64 bits such as -10 or 5"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{headers: {x: {range: {start: 0, end: 9223372036854775808}}}}}]}]",
     "f.yaml:1:87: hosts[0].routes[0].match.headers.x.range.end: found "
     "9223372036854775808, expected a whole number of 64 bits such as -10 "
     "or 5"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{headers: {x: {range: {start: 2, end: 2}}}}}]}]",
     "f.yaml:1:71: hosts[0].routes[0].match.headers.x.range: found a range "
     "that no number is in, expected start below end, which is not in it"},
    {"hosts: [{domains: a, routes: [{route: b, match: "
     "{headers: {x: 5}}}]}]",
     "f.yaml:1:63: hosts[0].routes[0].match.headers.x: found "
     "5, expected text (put it in quotes)"},
    {"hosts: [{domains: a, routes: [{route: b, "
     "request_headers: {set: {Host: x}}}]}]",
     "f.yaml:1:66: "
     "hosts[0].routes[0].request_headers.set.Host: found "
     "\"Host\", expected rewrite.host for the host"},
    {"hosts: [{domains: a, routes: [{route: b, "
     "request_headers: {set: {':path': x}}}]}]",
     "f.yaml:1:66: "
     "hosts[0].routes[0].request_headers.set[\":path\"]: "
     "found \":path\", expected a header that is not a "
     "pseudo-header"},
    {"hosts: [{domains: a, routes: [{route: b, "
     "request_headers: {remove: [Connection]}}]}]",
     "f.yaml:1:69: "
     "hosts[0].routes[0].request_headers.remove[0]: found "
     "\"Connection\", expected a header that is not the "
     "connection's own"},
    {"hosts: [{domains: a, routes: [{route: b, "
     "request_headers: {set: {x: \"a\\nb\"}}}]}]",
     "f.yaml:1:69: hosts[0].routes[0].request_headers.set.x: "
     "found \"a\\x0ab\", expected a value without line breaks "
     "and control characters"},
    {"hosts: [{domains: a, routes: [{route: b, "
     "request_headers: {set: {x: '%START%'}}}]}]",
     "f.yaml:1:69: hosts[0].routes[0].request_headers.set.x: found "
     "\"%START%\", expected text with variables such as %REQ(name)%: an "
     "unknown variable (at byte 0)"},
    {"hosts: [{domains: a, routes: [{route: b, retries: "
     "{attempts: 2}}]}]",
     "f.yaml:1:51: hosts[0].routes[0].retries: found none, "
     "expected retries with \"on\""},
    {"hosts: [{domains: a, routes: [{route: b, retries: {on: "
     "[bad-day]}}]}]",
     "f.yaml:1:57: hosts[0].routes[0].retries.on[0]: found "
     "\"bad-day\", expected connect-failure, reset, "
     "gateway-error, 5xx, a status from 400 to 599, or a gRPC "
     "status: cancelled, deadline-exceeded, "
     "resource-exhausted, internal, unavailable"},
    {"hosts: [{domains: a, routes: [{route: b, retries: {on: "
     "[200]}}]}]",
     "f.yaml:1:57: hosts[0].routes[0].retries.on[0]: found "
     "200, expected connect-failure, reset, gateway-error, "
     "5xx, a status from 400 to 599, or a gRPC status: "
     "cancelled, deadline-exceeded, resource-exhausted, "
     "internal, unavailable"},
    {"hosts: [{domains: a, routes: [{route: b, retries: {on: "
     "[refused-stream]}}]}]",
     "f.yaml:1:57: hosts[0].routes[0].retries.on[0]: "
     "refused-stream is not supported yet"},
    {"hosts: [{domains: a, routes: [{route: b, retries: {on: "
     "reset, attempts: 0}}]}]",
     "f.yaml:1:73: hosts[0].routes[0].retries.attempts: found "
     "0, expected a whole number from 1 to 100"},
    {"hosts: [{domains: a, routes: [{route: b, timeout: "
     "30d}]}]",
     "f.yaml:1:51: hosts[0].routes[0].timeout: found \"30d\", "
     "expected a duration of at most 24 days such as 250ms, "
     "3s or 1m"},
    {"hosts: [{domains: a, routes: [{respond: 200, retries: "
     "{on: reset}}]}]",
     "f.yaml:1:31: hosts[0].routes[0]: found retries without "
     "a route, expected them beside route only"},
    {"hosts: [{domains: a, routes: [{respond: 200, rewrite: "
     "{prefix: /}}]}]",
     "f.yaml:1:31: hosts[0].routes[0]: found a rewrite "
     "without a route, expected it beside route only"},
    {"hosts: [{domains: a, routes: [{route: b, timeout: 1s, "
     "retries: {on: reset, per_try_timeout: 2s}}]}]",
     "f.yaml:1:93: warning: "
     "hosts[0].routes[0].retries.per_try_timeout: found a try "
     "as long as the whole request, expected less than "
     "timeout, so that a retry fits in"},
    {"hosts: [{domains: a, routes: [{route: b, rewrite: "
     "{host_from_path: x}}]}]",
     "f.yaml:1:68: hosts[0].routes[0].rewrite.host_from_path: found "
     "\"x\", expected a rewrite by a regular expression: a map"},
    {"hosts: [{domains: a, routes: [{route: b, fault: x}]}]",
     "f.yaml:1:42: hosts[0].routes[0].fault: this field is "
     "not supported yet"},
    {"route_table: {normalise_path: true}",
     "f.yaml:1:15: route_table.normalise_path: found an "
     "unknown field, expected \"normalize_path\""},
    {"route_table: {merge_slashes: yes}",
     "f.yaml:1:30: route_table.merge_slashes: found \"yes\", "
     "expected true or false"},
    {"route_table: {escaped_slashes: drop}",
     "f.yaml:1:32: route_table.escaped_slashes: found "
     "\"drop\", expected one of keep, reject, redirect, "
     "unescape"},
};

static const mistake_t broken[] = {
    {"a: &x 1",
     "f.yaml:1:4: found an anchor (&), expected the value "
     "written out where it is used"},
    {"a: *x",
     "f.yaml:1:4: found an alias (*), expected the value "
     "written out"},
    {"a: !!str 1",
     "f.yaml:1:4: found a tag (!), expected a plain value"},
    {"a: 1\na: 2",
     "f.yaml:2:1: found the key \"a\" a second time, expected "
     "it once (it is on line 1 already)"},
    {"--- 1\n--- 2",
     "f.yaml:2:1: found a second document, expected one "
     "document in a file"},
    {"{a: 1",
     "f.yaml:2:1: YAML: did not find expected ',' or '}' "
     "(while parsing a flow mapping)"},
    {"a: \x07",
     "f.yaml:1:4: found the byte 0x07, expected UTF-8 without "
     "control characters"},
    {"",
     "f.yaml:1:1: found an empty file, expected clusters or "
     "hosts"},
    {"5",
     "f.yaml:1:1: found 5, expected a mesh: a map"},
    {"<<: {a: 1}",
     "f.yaml:1:1: found the merge key <<, expected the fields "
     "written out"},
    {"? [a]\n: 1",
     "f.yaml:1:3: found a key that is a list or a map, "
     "expected a name"},
    {"a:\n\t- 1",
     "f.yaml:2:1: found a tab, expected blanks: YAML does not indent with "
     "tabs"},
    {"\xef\xbb\xbf" "a: [\xc3\xbc]\r\nb: %REQ(x)%",
     "f.yaml:2:4: found text that begins with %, expected it in quotes"},
    {"a: @x",
     "f.yaml:1:4: found text that begins with @, expected it in quotes"},
    {"a: `x`",
     "f.yaml:1:4: found text that begins with `, expected it in quotes"},
    {"a: [*.x.y]",
     "f.yaml:1:5: found text that begins with *, expected it in quotes"},
    {"a: [*]",
     "f.yaml:1:5: found text that begins with *, expected it in quotes"},
    {"a: [&.x]",
     "f.yaml:1:5: found text that begins with &, expected it in quotes"},
};
/* clang-format on */

static void each_mistake_in_its_words(void **state) {
    (void)state;

    for (size_t i = 0; i < mesh_nelts(mistakes); i++) {
        fixture_t f;
        char expected[1024];

        fixture_yaml(&f, mistakes[i].text);
        snprintf(expected, sizeof(expected), "%s\n", mistakes[i].message);
        assert_string_equal(fixture_messages(&f), expected);
        assert_int_equal(f.errors.errors + f.errors.warnings, 1);
        fixture_close(&f);
    }
}

static void broken_syntax_gives_no_tree(void **state) {
    (void)state;

    for (size_t i = 0; i < mesh_nelts(broken); i++) {
        fixture_t f;
        char expected[1024];

        fixture_yaml(&f, broken[i].text);
        snprintf(expected, sizeof(expected), "%s\n", broken[i].message);
        assert_string_equal(fixture_messages(&f), expected);
        assert_null(f.part);
        fixture_close(&f);
    }
}

static void one_run_tells_all(void **state) {
    (void)state;

    fixture_t f;

    fixture_yaml(&f, "clusters:\n"
                     "  a:\n"
                     "    lb: fastest\n"
                     "    connect_timeout: soon\n"
                     "    endpoints:\n"
                     "      - 127.0.0.1\n"
                     "      - {address: '127.0.0.1:1', weight: -1}\n"
                     "  good: {endpoints: ['127.0.0.1:1']}\n"
                     "hosts:\n"
                     "  - domains: ['*']\n"
                     "    routes:\n"
                     "      - {match: {path: x}, route: a}\n"
                     "      - {route: good, timeout: 1}\n");

    assert_string_equal(
        fixture_messages(&f),
        "f.yaml:3:9: clusters.a.lb: found \"fastest\", expected one of "
        "round_robin, least_request, random, ring_hash, maglev, peak_ewma\n"
        "f.yaml:4:22: clusters.a.connect_timeout: found \"soon\", expected a "
        "duration of 1ms to 24 days such as 250ms, 3s or 1m\n"
        "f.yaml:6:9: clusters.a.endpoints[0]: found \"127.0.0.1\", expected "
        "an address such as 127.0.1.1:9080, [::1]:9080, unix:/run/app.sock "
        "or reviews.local:9080\n"
        "f.yaml:7:42: clusters.a.endpoints[1].weight: found -1, expected a "
        "whole number from 0 to 16777216\n"
        "f.yaml:12:24: hosts[0].routes[0].match.path: found \"x\", expected "
        "a path that begins with \"/\"\n"
        "f.yaml:13:32: hosts[0].routes[1].timeout: found 1, expected a "
        "duration of at most 24 days such as 250ms, 3s or 1m\n");

    /* What is right is there. */
    assert_non_null(f.part);
    assert_int_equal(f.part->nclusters, 1);
    assert_text(f.part->clusters[0].name, "good");
    assert_int_equal(f.part->nsets, 1);
    assert_int_equal(f.part->ntables, 0);

    assert_string_equal(f.errors.first->resource, "cluster \"a\"");
    assert_string_equal(f.errors.first->found, "\"fastest\"");
    assert_string_equal(f.errors.first->expected,
                        "one of round_robin, least_request, random, ring_hash, "
                        "maglev, peak_ewma");
    fixture_close(&f);
}

static void long_and_strange_values_are_shown_short(void **state) {
    (void)state;

    fixture_t f;

    fixture_yaml(&f, "clusters: {a: {lb: \"\\e[31mred\\\"\\\\ and a value "
                     "that goes on far beyond what fits on a line\"}}");
    assert_string_equal(
        fixture_messages(&f),
        "f.yaml:1:20: clusters.a.lb: found \"\\x1b[31mred\\\"\\\\ and a value "
        "that goes on far beyond what fits on ...\", expected one of "
        "round_robin, least_request, random, ring_hash, maglev, peak_ewma\n");
    fixture_close(&f);
}

static void keys_with_dots_are_quoted_in_paths(void **state) {
    (void)state;

    fixture_t f;

    fixture_yaml(&f, "clusters: {reviews.default.svc: {lb: x}}");
    assert_string_equal(
        fixture_messages(&f),
        "f.yaml:1:38: clusters[\"reviews.default.svc\"].lb: "
        "found \"x\", expected one of round_robin, "
        "least_request, random, ring_hash, maglev, peak_ewma\n");
    fixture_close(&f);
}

static void many_errors_are_counted_but_not_kept(void **state) {
    (void)state;

    fixture_t f;
    size_t size = 64 + 5000 * 8;
    char *text = malloc(size);
    size_t len = (size_t)snprintf(text, size, "clusters: {a: {endpoints: [");

    assert_non_null(text);

    for (int i = 0; i < 5000; i++) {
        len += (size_t)snprintf(text + len, size - len, "x, ");
    }

    snprintf(text + len, size - len, "x]}}");
    fixture_yaml(&f, text);

    uint32_t kept = 0;

    for (model_error_t *e = f.errors.first; e != NULL; e = e->next) {
        kept++;
    }

    assert_int_equal(f.errors.errors, 5001);
    assert_int_equal(kept, MODEL_ERRORS_MAX);
    free(text);
    fixture_close(&f);
}

/* Lists where one value may be: each is told, and none takes memory. */
static void lists_of_values_that_set_does_not_take(void **state) {
    (void)state;

    fixture_t f;
    size_t size = 128 + 250 * 16;
    char *text = malloc(size);
    size_t len = (size_t)snprintf(text, size,
                                  "hosts: [{domains: a, routes: [{route: b, "
                                  "request_headers: {set: {");

    for (int i = 0; i < 250; i++) {
        len += (size_t)snprintf(text + len, size - len, "h%d: [], ", i);
    }

    snprintf(text + len, size - len, "z: [x, y]}}}]}]");
    fixture_yaml(&f, text);
    assert_int_equal(f.errors.errors, 251);
    assert_string_equal(f.errors.first->message, "found a list, expected text");
    free(text);
    fixture_close(&f);

    /* `add` takes a list, and an empty one adds nothing. */
    fixture_good(&f, "hosts: [{domains: a, routes: [{respond: 200, "
                     "request_headers: {add: {a: [], b: [x, y], c: z}}}]}]");
    assert_int_equal(f.part->tables->vhosts->routes->request_ops.count, 3);
    fixture_close(&f);
}

static void text_is_cut_as_snprintf_cuts(void **state) {
    (void)state;

    const model_error_t error = {.file = "a.yaml",
                                 .line = 3,
                                 .column = 9,
                                 .path = "hosts[0]",
                                 .message = "found x, expected y"};
    char out[16];

    assert_int_equal(model_error_text(&error, out, sizeof(out)), 41);
    assert_string_equal(out, "a.yaml:3:9: hos");

    const model_error_t bare = {.message = "it broke", .warning = true};

    model_error_text(&bare, out, sizeof(out));
    assert_string_equal(out, "input: warning:");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_in_its_words),
        cmocka_unit_test(broken_syntax_gives_no_tree),
        cmocka_unit_test(one_run_tells_all),
        cmocka_unit_test(long_and_strange_values_are_shown_short),
        cmocka_unit_test(keys_with_dots_are_quoted_in_paths),
        cmocka_unit_test(many_errors_are_counted_but_not_kept),
        cmocka_unit_test(lists_of_values_that_set_does_not_take),
        cmocka_unit_test(text_is_cut_as_snprintf_cuts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
