/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a request must be and what of it decides its endpoint: conditions on
 * values, clients, shares, hash policies, sessions; and the parameters of
 * balancers.  A "^" stands where a document's one error is told.
 */

#include "model_cases.h"

#define MATCH(rest) ROUTED("match: {" rest "}")
#define HEADERS(rest) MATCH("headers: {" rest "}")
#define QUERY(rest) MATCH("query: {" rest "}")
#define COOKIES(rest) MATCH("cookies: {" rest "}")
#define AT ROUTE_AT ".match"

/* clang-format off */

/* --- values --------------------------------------------------------------- */

#define CONDITIONS                                                             \
    "one of exact, prefix, suffix, contains, present, range, regex"
#define I64 "a whole number of 64 bits such as -10 or 5"

static const case_t values[] = {
    {HEADERS("a: {exact: x}, b: {prefix: x}, c: {suffix: x}, d: {contains: x},"
             " e: {present: true}, f: {range: {start: 0, end: 1}},"
             " g: {regex: x}"), NULL},
    {QUERY("a: {exact: x}, b: {prefix: x}, c: {suffix: x}, d: {contains: x},"
           " e: {present: true}, f: {range: {start: 0, end: 1}},"
           " g: {regex: x}"), NULL},
    {COOKIES("a: '', b: {present: false, invert: true}"), NULL},
    {HEADERS("x: ^{exact: a, prefix: b}"),
     AT ".headers.x: found more than one condition, expected " CONDITIONS},
    {QUERY("x: ^{present: true, regex: b}"),
     AT ".query.x: found more than one condition, expected " CONDITIONS},
    {COOKIES("x: ^{ignore_case: true}"),
     AT ".cookies.x: found no condition, expected " CONDITIONS},
    {QUERY("x: {prefix: ^''}"),
     AT ".query.x.prefix: found \"\", expected text that is not empty"},
    {COOKIES("x: {suffix: ^''}"),
     AT ".cookies.x.suffix: found \"\", expected text that is not empty"},
    {HEADERS("x: {contains: ^''}"),
     AT ".headers.x.contains: found \"\", expected text that is not empty"},
    {HEADERS("x: {prefix: ^5}"),
     AT ".headers.x.prefix: found 5, expected text (put it in quotes)"},
    {QUERY("x: {suffix: ^\"a\\nb\"}"),
     AT ".query.x.suffix: found \"a\\x0ab\", expected a value without line "
     "breaks and control characters"},
    {QUERY("x: {contains: ^[a]}"),
     AT ".query.x.contains: found a list, expected text"},
    {QUERY("x: ^5"),
     AT ".query.x: found 5, expected text (put it in quotes)"},
    {COOKIES("x: ^[a]"),
     AT ".cookies.x: found a list, expected a value match: a map"},

    {HEADERS("x: {range: {start: -9223372036854775808,"
             " end: 9223372036854775807}}"), NULL},
    {HEADERS("x: {range: {start: 0, end: ^9223372036854775808}}"),
     AT ".headers.x.range.end: found 9223372036854775808, expected " I64},
    {HEADERS("x: {range: {start: ^-9223372036854775809, end: 1}}"),
     AT ".headers.x.range.start: found -9223372036854775809, expected " I64},
    {HEADERS("x: {range: ^{start: 1, end: 1}}"),
     AT ".headers.x.range: found a range that no number is in, expected start "
     "below end, which is not in it"},
    {HEADERS("x: {range: ^{start: 1}}"),
     AT ".headers.x.range: found none, expected a range with \"end\""},
    {HEADERS("x: {range: ^{end: 1}}"),
     AT ".headers.x.range: found none, expected a range with \"start\""},
    {HEADERS("x: {range: {start: ^'1', end: 2}}"),
     AT ".headers.x.range.start: found \"1\", expected " I64},
    {HEADERS("x: {range: {start: ^1.0, end: 2}}"),
     AT ".headers.x.range.start: found 1.0, expected " I64},
    {HEADERS("x: {range: {start: ^0x1, end: 2}}"),
     AT ".headers.x.range.start: found 0x1, expected " I64},
    {HEADERS("x: {range: {start: ^+1, end: 2}}"),
     AT ".headers.x.range.start: found +1, expected " I64},
    {HEADERS("x: {range: ^[1, 2]}"),
     AT ".headers.x.range: found a list, expected a range: a map"},
    {HEADERS("x: {range: {start: 1, end: 2, ^step: 1}}"),
     AT ".headers.x.range.step: found an unknown field, expected one of start, "
     "end"},

    {HEADERS("x: ^{present: true, ignore_case: true}"),
     AT ".headers.x: found ignore_case without a text, expected it with exact, "
     "prefix, suffix, contains"},
    {QUERY("x: ^{range: {start: 1, end: 2}, ignore_case: true}"),
     AT ".query.x: found ignore_case without a text, expected it with exact, "
     "prefix, suffix, contains"},
    {COOKIES("x: ^{regex: a, ignore_case: true}"),
     AT ".cookies.x: found ignore_case with a regex, expected (?i) before its "
     "text"},
    {COOKIES("x: {regex: a, ignore_case: false}"), NULL},
    {HEADERS("x: ^{present: true, treat_missing_as_empty: true}"),
     AT ".headers.x: found treat_missing_as_empty with present, expected one "
     "of them"},
    {HEADERS("x: {present: true, treat_missing_as_empty: false}"), NULL},
    {QUERY("x: {exact: a, ^treat_missing_as_empty: true}"),
     AT ".query.x.treat_missing_as_empty: found an unknown field, expected "
     "one of exact, prefix, suffix, contains, present, range, regex, "
     "ignore_case, invert"},
};

/* --- names ---------------------------------------------------------------- */

#define PARAMETER                                                              \
    "a parameter's name of at most 1024 bytes, as it is sent: without "        \
    "spaces, &, = and #"
#define COOKIE "a cookie's name of at most 1024 bytes: without spaces, = and ;"
#define PSEUDO "a header, :method, :authority, :path or :scheme"

static const case_t names[] = {
    {HEADERS("':method': GET, ':path': /, ':scheme': http, ':authority': a"),
     NULL},
    {HEADERS("^':status': '200'"),
     AT ".headers[\":status\"]: found \":status\", expected " PSEUDO},
    {HEADERS("^':': '200'"),
     AT ".headers[\":\"]: found \":\", expected " PSEUDO},
    {HEADERS("^':Path': /"),
     AT ".headers[\":Path\"]: found \":Path\", expected " PSEUDO},
    {HEADERS("HOST: a"), NULL},
    {MATCH("headers: ^{host: a, ':authority': b}"),
     AT ".headers: found \":authority\", expected each header once, in any "
     "case"},
    {HEADERS("^'': a"), "found an empty key, expected a name"},
    {QUERY("'a;b': x, '%20': x, '[]': x, A: x, a: x, '?': x"), NULL},
    {QUERY("^'a b': x"),
     AT ".query[\"a b\"]: found \"a b\", expected " PARAMETER},
    {QUERY("^'a=b': x"),
     AT ".query[\"a=b\"]: found \"a=b\", expected " PARAMETER},
    {QUERY("^'a&b': x"),
     AT ".query[\"a&b\"]: found \"a&b\", expected " PARAMETER},
    {QUERY("^'a#b': x"),
     AT ".query[\"a#b\"]: found \"a#b\", expected " PARAMETER},
    {QUERY("^\"\\x7f\": x"),
     AT ".query[\"\\x7f\"]: found \"\\x7f\", expected " PARAMETER},
    {COOKIES("'a&b': x, a: x, A: x"), NULL},
    {COOKIES("^'a=b': x"),
     AT ".cookies[\"a=b\"]: found \"a=b\", expected " COOKIE},
    {COOKIES("^'a;b': x"),
     AT ".cookies[\"a;b\"]: found \"a;b\", expected " COOKIE},
    {MATCH("query: ^[a]"), AT ".query: found a list, expected a map"},
    {MATCH("cookies: ^a"), AT ".cookies: found \"a\", expected a map"},
};

/* --- paths ---------------------------------------------------------------- */

#define RE2 "a regular expression of RE2: "

static const case_t paths[] = {
    {MATCH("path: {separated_prefix: /a/b, ignore_case: true}"), NULL},
    {MATCH("path: {separated_prefix: ^/}"),
     AT ".path.separated_prefix: found \"/\", expected a path that does not "
     "end in \"/\""},
    {MATCH("path: {separated_prefix: ^/a/}"),
     AT ".path.separated_prefix: found \"/a/\", expected a path that does not "
     "end in \"/\""},
    {MATCH("path: {separated_prefix: ^'/a?b'}"),
     AT ".path.separated_prefix: found \"/a?b\", expected a path without a "
     "query and a fragment"},
    {MATCH("path: ^{prefix: /a, regex: b}"),
     AT ".path: found more than one path, expected one of prefix, exact, "
     "separated_prefix, regex, template"},
    {MATCH("path: ^{ignore_case: true}"),
     AT ".path: found no path, expected one of prefix, exact, "
     "separated_prefix, regex, template"},
    {MATCH("path: ^{regex: /a, ignore_case: true}"),
     AT ".path: found ignore_case with a regex, expected (?i) before its text"},
    {MATCH("path: {regex: ^''}"),
     AT ".path.regex: found \"\", expected text that is not empty"},
    {MATCH("path: {regex: ^5}"),
     AT ".path.regex: found 5, expected text (put it in quotes)"},
    {MATCH("path: {template: '/{a}'}"), NULL},
    {MATCH("path: {template: ^'/{a}{b}'}"),
     AT ".path.template: found \"/{a}{b}\", expected a template of paths: two "
        "variables in one segment (at byte 4)"},
    {MATCH("path: {template: ^''}"),
     AT ".path.template: found \"\", expected text that is not empty"},
    {MATCH("path: ^{template: /a, ignore_case: true}"),
     AT ".path: found ignore_case with a template, expected one of them"},
};

/* --- clients, shares ------------------------------------------------------ */

#define CIDR                                                                   \
    "an address or a range of them such as 10.0.0.0/8 or 2001:db8::/32"
#define ZEROES "only zeroes behind the prefix, as in 10.0.0.0/8"
#define SHARE                                                                  \
    "a percentage from 0 to 100 such as 10 or 0.5%, with at most 4 decimals"

static const case_t clients[] = {
    {MATCH("source: 10.0.0.0/8"), NULL},
    {MATCH("source: [0.0.0.0/0, '::/0', 1.2.3.4, '::1', 1.2.3.4/32,"
           " '2001:db8::1/128']"), NULL},
    {MATCH("source: ^[]"),
     AT ".source: found an empty list, expected at least one"},
    {MATCH("source: ^5"), AT ".source: found 5, expected " CIDR},
    {MATCH("source: [1.2.3.4, ^x]"),
     AT ".source[1]: found \"x\", expected " CIDR},
    {MATCH("source: ^''"), AT ".source: found \"\", expected " CIDR},
    {MATCH("source: ^1.2.3.4/33"),
     AT ".source: found \"1.2.3.4/33\", expected " CIDR},
    {MATCH("source: ^'::/129'"),
     AT ".source: found \"::/129\", expected " CIDR},
    {MATCH("source: ^1.2.3.4/"),
     AT ".source: found \"1.2.3.4/\", expected " CIDR},
    {MATCH("source: ^/8"), AT ".source: found \"/8\", expected " CIDR},
    {MATCH("source: ^1.2.3.4/8/8"),
     AT ".source: found \"1.2.3.4/8/8\", expected " CIDR},
    {MATCH("source: ^1.2.3.4/-1"),
     AT ".source: found \"1.2.3.4/-1\", expected " CIDR},
    {MATCH("source: ^'[::1]'"),
     AT ".source: found \"[::1]\", expected " CIDR},
    {MATCH("source: ^1.2.3"), AT ".source: found \"1.2.3\", expected " CIDR},
    {MATCH("source: ^10.0.0.1/8"),
     AT ".source: found \"10.0.0.1/8\", expected " ZEROES},
    {MATCH("source: ^128.0.0.0/0"),
     AT ".source: found \"128.0.0.0/0\", expected " ZEROES},
    {MATCH("source: ^'2001:db8::1/127'"),
     AT ".source: found \"2001:db8::1/127\", expected " ZEROES},
    {MATCH("percentage: 0"), NULL},
    {MATCH("percentage: 100.0000%"), NULL},
    {MATCH("percentage: {value: 5}"), NULL},
    {MATCH("percentage: {value: 5, runtime_key: a.b}"), NULL},
    {MATCH("percentage: ^{runtime_key: a.b}"),
     AT ".percentage: found none, expected a percentage with \"value\""},
    {MATCH("percentage: {value: ^101}"),
     AT ".percentage.value: found 101, expected " SHARE},
    {MATCH("percentage: {value: 5, runtime_key: ^'a b'}"),
     AT ".percentage.runtime_key: found \"a b\", expected a key of 1 to 256 "
        "characters without blanks"},
    {MATCH("percentage: {value: 5, runtime_key: ^5}"),
     AT ".percentage.runtime_key: found 5, expected a key of 1 to 256 "
        "characters without blanks"},
    {MATCH("percentage: '0.0001'"), NULL},
    {MATCH("percentage: ^0.00001"),
     AT ".percentage: found 0.00001, expected " SHARE},
    {MATCH("percentage: ^100.0001"),
     AT ".percentage: found 100.0001, expected " SHARE},
    {MATCH("percentage: ^101"), AT ".percentage: found 101, expected " SHARE},
    {MATCH("percentage: ^-1"), AT ".percentage: found -1, expected " SHARE},
    {MATCH("percentage: ^'%'"),
     AT ".percentage: found \"%\", expected " SHARE},
    {MATCH("percentage: ^'5.%'"),
     AT ".percentage: found \"5.%\", expected " SHARE},
    {MATCH("percentage: ^'.5'"),
     AT ".percentage: found \".5\", expected " SHARE},
    {MATCH("percentage: ^1e1"), AT ".percentage: found 1e1, expected " SHARE},
    {MATCH("percentage: ^''"), AT ".percentage: found \"\", expected " SHARE},
    {MATCH("percentage: ^~"),
     AT ".percentage: found nothing, expected a percentage: a map"},
    {MATCH("percentage: ^[5]"),
     AT ".percentage: found a list, expected a percentage: a map"},
    {MATCH("percentage: ^18446744073709551616"),
     AT ".percentage: found 18446744073709551616, expected " SHARE},
};

/* --- affinity ------------------------------------------------------------- */

#define HASH(rest) ROUTED("hash_policy: " rest)
#define SESSION(rest) ROUTED("stateful_session: " rest)
#define SPLIT(rest) ROUTED("split_by: " rest)
#define SPLIT_AT ROUTE_AT ".split_by"
#define HASH_AT ROUTE_AT ".hash_policy"
#define SESSION_AT ROUTE_AT ".stateful_session"
#define POLICIES "one of header, cookie, source_ip, query_parameter, path"
#define STATES "one of cookie, header"
#define COOKIE_NAME                                                            \
    "a cookie's name: letters, digits and - of at most 256 bytes"

static const case_t affinity[] = {
    {HASH("[{header: X-A}, {cookie: a}, {source_ip: true},"
          " {query_parameter: a b}, {path: true, terminal: true}]"), NULL},
    {HASH("{header: X-A}"), NULL},
    {HASH("^[]"), HASH_AT ": found an empty list, expected at least one"},
    {HASH("^{}"), HASH_AT ": found no policy, expected " POLICIES},
    {HASH("[{path: true}, ^{terminal: true}]"),
     HASH_AT "[1]: found no policy, expected " POLICIES},
    {HASH("^{header: a, path: true}"),
     HASH_AT ": found more than one policy in one, expected " POLICIES},
    {HASH("^{source_ip: false}"),
     HASH_AT ": found a policy that is off, expected true, or nothing"},
    {HASH("^{path: false}"),
     HASH_AT ": found a policy that is off, expected true, or nothing"},
    {HASH("{header: ^5}"),
     HASH_AT ".header: found 5, expected a header's name"},
    {HASH("{header: ^'a b'}"),
     HASH_AT ".header: found \"a b\", expected a header's name: letters, "
     "digits and - of at most 256 bytes"},
    {HASH("{header: {name: X-A, regex_rewrite: "
          "{pattern: '^^(.)', substitution: '\\1'}}}"), NULL},
    {HASH("{header: {name: ^5}}"),
     HASH_AT ".header.name: found 5, expected a header's name"},
    {HASH("{header: ^{regex_rewrite: {pattern: a, substitution: b}}}"),
     HASH_AT ".header: found none, expected a header with \"name\""},
    {HASH("{header: ^[a]}"),
     HASH_AT ".header: found a list, expected a header: a map"},
    {HASH("{header: {name: a, regex_rewrite: ^{pattern: a}}}"),
     HASH_AT ".header.regex_rewrite: found none, expected a rewrite by a "
     "regular expression with \"substitution\""},
    {HASH("{header: {name: a, regex_rewrite: "
          "{pattern: a, substitution: ^'\\1'}}}"),
     HASH_AT ".header.regex_rewrite.substitution: found \"\\\\1\", expected "
     "groups up to \\0, as the pattern has no more"},
    {HASH("{header: {name: a, regex_rewrite: "
          "{pattern: a, substitution: ^'b c'}}}"),
     HASH_AT ".header.regex_rewrite.substitution: found \"b c\", expected text "
     "without spaces and control characters"},
    {HASH("{cookie: {name: a, ^regex_rewrite: {}}}"),
     HASH_AT ".cookie.regex_rewrite: found an unknown field, expected one of "
     "name, ttl, path, attributes"},
    {HASH("{query_parameter: ^''}"),
     HASH_AT ".query_parameter: found \"\", expected text that is not empty"},
    {HASH("{^filter_state: x}"),
     HASH_AT ".filter_state: this field is not supported yet"},
    {HASH("{cookie: ^''}"),
     HASH_AT ".cookie: found \"\", expected " COOKIE_NAME},
    {HASH("{cookie: ^'a b'}"),
     HASH_AT ".cookie: found \"a b\", expected " COOKIE_NAME},
    {HASH("{cookie: ^5}"), HASH_AT ".cookie: found 5, expected " COOKIE_NAME},
    {HASH("{cookie: ^[a]}"),
     HASH_AT ".cookie: found a list, expected a cookie: a map"},
    {HASH("{cookie: ^{ttl: 5s}}"),
     HASH_AT ".cookie: found none, expected a cookie with \"name\""},
    {HASH("{cookie: ^{name: a, path: /}}"),
     HASH_AT ".cookie: found a path or attributes without a ttl, expected ttl, "
     "with which the cookie is set, too"},
    {HASH("{cookie: ^{name: a, attributes: {b: c}}}"),
     HASH_AT ".cookie: found a path or attributes without a ttl, expected ttl, "
     "with which the cookie is set, too"},
    {HASH("{cookie: {name: a, ttl: ^1500ms}}"),
     HASH_AT ".cookie.ttl: found \"1500ms\", expected whole seconds"},
    {HASH("{cookie: {name: a, ttl: 0, path: ^a}}"),
     HASH_AT ".cookie.path: found \"a\", expected a path that begins with "
     "\"/\""},
    {HASH("{cookie: {name: a, ttl: 0, path: ^/a;b}}"),
     HASH_AT ".cookie.path: found \"/a;b\", expected text without \";\" and "
     "control characters"},
    {HASH("{cookie: {name: a, ttl: 0, attributes: {^'a b': c}}}"),
     HASH_AT ".cookie.attributes[\"a b\"]: found \"a b\", expected an "
     "attribute's name: letters, digits and -"},
    {HASH("{cookie: {name: a, ttl: 0, attributes: {b: ^'c;d'}}}"),
     HASH_AT ".cookie.attributes.b: found \"c;d\", expected text without \";\" "
     "and control characters"},
    {HASH("{cookie: {name: a, ttl: 0, attributes: {b: ^5}}}"),
     HASH_AT ".cookie.attributes.b: found 5, expected text (put it in quotes)"},
    {HASH("{cookie: {name: a, ttl: 0, attributes: ^[b]}}"),
     HASH_AT ".cookie.attributes: found a list, expected a map of text to "
     "text"},
    {HOSTS("^{respond: 200, hash_policy: {path: true}}"),
     ROUTE_AT ": found a hash_policy without a route, expected it beside route "
     "only"},

    {SPLIT("hash"), NULL},
    {SPLIT("{by: hash}"), NULL},
    {SPLIT("{header: X-Random}"), NULL},
    {SPLIT("^random"), SPLIT_AT ": found \"random\", expected one of hash"},
    {SPLIT("^{}"), SPLIT_AT ": found nothing, expected one of by, header"},
    {SPLIT("^{by: hash, header: a}"),
     SPLIT_AT ": found two of them, expected one of by, header"},
    {SPLIT("{header: ^5}"),
     SPLIT_AT ".header: found 5, expected a header's name"},
    {SPLIT("{header: ^'a b'}"),
     SPLIT_AT ".header: found \"a b\", expected a header's name: letters, "
     "digits and - of at most 256 bytes"},
    {HOSTS("^{respond: 200, split_by: hash}"),
     ROUTE_AT ": found split_by without a route, expected it beside route "
     "only"},

    {SESSION("{cookie: a}"), NULL},
    {SESSION("{cookie: {name: a, path: /x, attributes: {SameSite: Lax}}}"),
     NULL},
    {SESSION("{header: X-At, strict: true}"), NULL},
    {SESSION("^{}"),
     SESSION_AT ": found neither a cookie nor a header, expected " STATES},
    {SESSION("^{cookie: a, header: b}"),
     SESSION_AT ": found a cookie and a header, expected " STATES},
    {SESSION("{header: ^5}"),
     SESSION_AT ".header: found 5, expected a header's name"},
    {SESSION("{header: ^'a b'}"),
     SESSION_AT ".header: found \"a b\", expected a header's name: letters, "
     "digits and - of at most 256 bytes"},
    {SESSION("{header: ^':path'}"),
     SESSION_AT ".header: found \":path\", expected a header that is not a "
     "pseudo-header"},
    {SESSION("{header: ^Content-Length}"),
     SESSION_AT ".header: found \"Content-Length\", expected a header that "
     "does not frame the body"},
    {SESSION("{header: ^Content-Type}"),
     SESSION_AT ".header: found \"Content-Type\", expected a header that says "
     "nothing else"},
    {SESSION("^a"), SESSION_AT ": found \"a\", expected a session: a map"},
    {SESSION("{cookie: {name: a, ttl: ^1ms}}"),
     SESSION_AT ".cookie.ttl: found \"1ms\", expected whole seconds"},
    {HOSTS("^{redirect: {host: h}, stateful_session: {cookie: a}}"),
     ROUTE_AT ": found a stateful_session without a route, expected it beside "
     "route only"},
};

/* --- balancers ------------------------------------------------------------ */

#define LB(rest) "clusters: {a: {lb: {" rest "}}}"
#define LB_AT "clusters.a.lb"
#define BIAS "a number from 0 to 10, such as 1 or 0.5"
#define AGGRESSION "a number above 0 and up to 100, such as 1 or 1.5"

static const case_t balancers[] = {
    {LB("policy: maglev, table_size: 2"), NULL},
    {LB("policy: maglev, table_size: 5000011"), NULL},
    {LB("policy: maglev, table_size: ^65536"),
     LB_AT ".table_size: found 65536, expected a prime number, such as 65537"},
    {LB("policy: maglev, table_size: ^1"),
     LB_AT ".table_size: found 1, expected a whole number from 2 to 5000011"},
    {LB("policy: maglev, table_size: ^5000012"),
     LB_AT ".table_size: found 5000012, expected a whole number from 2 to "
     "5000011"},
    {LB("policy: maglev, table_size: ^4999696"), /* 2236 * 2236 */
     LB_AT ".table_size: found 4999696, expected a prime number, such as "
     "65537"},
    {LB("policy: maglev, ^choices: 3"),
     LB_AT ".choices: found a parameter of another balancer, expected it "
     "beside policy: least_request or peak_ewma only"},
    {LB("policy: random, ^slow_start: 5s"),
     LB_AT ".slow_start: found a parameter of another balancer, expected it "
     "beside policy: round_robin or least_request only"},
    {LB("policy: round_robin, ^full_scan: true"),
     LB_AT ".full_scan: found a parameter of another balancer, expected it "
     "beside policy: least_request only"},
    {LB("policy: ring_hash, ^table_size: 3"),
     LB_AT ".table_size: found a parameter of another balancer, expected it "
     "beside policy: maglev only"},
    {LB("policy: least_request, ^hash_balance_factor: 150"),
     LB_AT ".hash_balance_factor: found a parameter of another balancer, "
     "expected it beside policy: ring_hash or maglev only"},
    {LB("policy: ring_hash, minimum_ring_size: 5, maximum_ring_size: ^4"),
     LB_AT ".maximum_ring_size: found 4, expected at least minimum_ring_size"},
    {LB("policy: ring_hash, minimum_ring_size: 8388608"), NULL},
    {LB("policy: ring_hash, maximum_ring_size: 5"), NULL},
    {LB("policy: least_request, active_request_bias: 10"), NULL},
    {LB("policy: least_request, active_request_bias: 0.125"), NULL},
    {LB("policy: least_request, active_request_bias: 0"), NULL},
    {LB("policy: least_request, active_request_bias: ^10.001"),
     LB_AT ".active_request_bias: found 10.001, expected " BIAS},
    {LB("policy: least_request, active_request_bias: ^0.0001"),
     LB_AT ".active_request_bias: found 0.0001, expected " BIAS},
    {LB("policy: least_request, active_request_bias: ^-1"),
     LB_AT ".active_request_bias: found -1, expected " BIAS},
    {LB("policy: least_request, active_request_bias: ^'1'"),
     LB_AT ".active_request_bias: found \"1\", expected " BIAS},
    {LB("policy: least_request, active_request_bias: ^1e0"),
     LB_AT ".active_request_bias: found 1e0, expected " BIAS},
    {LB("policy: least_request, active_request_bias: ^1."),
     LB_AT ".active_request_bias: found 1., expected " BIAS},
    {LB("policy: round_robin, slow_start: 10s"), NULL},
    {LB("policy: round_robin, slow_start: ^{aggression: 1}"),
     LB_AT ".slow_start: found none, expected a slow start with \"window\""},
    {LB("policy: round_robin, slow_start: {window: 1s, aggression: ^0}"),
     LB_AT ".slow_start.aggression: found 0, expected " AGGRESSION},
    {LB("policy: round_robin, slow_start: {window: 1s, aggression: ^100.001}"),
     LB_AT ".slow_start.aggression: found 100.001, expected " AGGRESSION},
    {LB("policy: round_robin, slow_start: {window: 1s, aggression: 0.001}"),
     NULL},
    {LB("policy: round_robin, slow_start: ^5"),
     LB_AT ".slow_start: found 5, expected a duration of 1ms to 24 days such "
     "as 250ms, 3s or 1m"},
};

/* clang-format on */

static void conditions_on_values(void **state) {
    (void)state;
    check_all(values);
}

static void names_of_values(void **state) {
    (void)state;
    check_all(names);
}

static void conditions_on_paths(void **state) {
    (void)state;
    check_all(paths);
}

static void clients_and_shares(void **state) {
    (void)state;
    check_all(clients);
}

static void hash_policies_and_sessions(void **state) {
    (void)state;
    check_all(affinity);
}

static void parameters_of_balancers(void **state) {
    (void)state;
    check_all(balancers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_on_values),
        cmocka_unit_test(names_of_values),
        cmocka_unit_test(conditions_on_paths),
        cmocka_unit_test(clients_and_shares),
        cmocka_unit_test(hash_policies_and_sessions),
        cmocka_unit_test(parameters_of_balancers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
