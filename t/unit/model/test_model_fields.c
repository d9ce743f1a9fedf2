/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Every field that has a number, a duration, a percentage, a bool or a word:
 * what docs/yaml.md says of it, its bounds on both sides, what it is when
 * nobody says it, and for each kind of wrong value the exact words and the
 * exact place.
 */

#include "model_fixture.h"

/* Where a field stands: the document around it. */
typedef struct {
    const char *before;
    const char *behind;
    const char *path;
} around_t;

#define ROUTE "hosts: [{domains: [a.b], routes: [{"

static const around_t cluster = {"clusters: {a: {", "}}", "clusters.a"};
static const around_t lb = {"clusters: {a: {lb: {policy: least_request, ",
                            "}}}", "clusters.a.lb"};
static const around_t lb_alone = {"clusters: {a: {lb: {", "}}}",
                                  "clusters.a.lb"};
static const around_t outlier = {"clusters: {a: {outlier_detection: {", "}}}",
                                 "clusters.a.outlier_detection"};
static const around_t keepalive = {"clusters: {a: {keepalive: {", "}}}",
                                   "clusters.a.keepalive"};
static const around_t endpoint = {
    "clusters: {a: {endpoints: [{address: '127.0.0.1:80', ", "}]}}",
    "clusters.a.endpoints[0]"};
static const around_t route = {ROUTE "route: c, ", "}]}]",
                               "hosts[0].routes[0]"};
static const around_t split = {ROUTE "route: [{cluster: c}, {cluster: d, ",
                               "}]}]}]", "hosts[0].routes[0].route[1]"};
static const around_t redirect = {ROUTE "redirect: {host: h, ", "}}]}]",
                                  "hosts[0].routes[0].redirect"};
static const around_t respond = {ROUTE "respond: {", "}}]}]",
                                 "hosts[0].routes[0].respond"};
static const around_t retry = {ROUTE "route: c, retries: {on: reset, ", "}}]}]",
                               "hosts[0].routes[0].retries"};
static const around_t header = {
    ROUTE "route: c, match: {headers: {x: {exact: v, ", "}}}}]}]",
    "hosts[0].routes[0].match.headers.x"};
#define BALANCER(policy)                                                       \
    { "clusters: {a: {lb: {policy: " policy ", ", "}}}", "clusters.a.lb" }
static const around_t ring = BALANCER("ring_hash");
static const around_t maglev = BALANCER("maglev");
static const around_t ewma = BALANCER("peak_ewma");
#define WEIGHT "clusters: {a: {lb: {policy: random, locality_weights: [{zone: z"
static const around_t weight_alone = {WEIGHT ", ", "}]}}}",
                                      "clusters.a.lb.locality_weights[0]"};
static const around_t weight = {WEIGHT ", weight: 1, ", "}]}}}",
                                "clusters.a.lb.locality_weights[0]"};
static const around_t zone = {
    "clusters: {a: {lb: {policy: random, zone_aware: {", "}}}}",
    "clusters.a.lb.zone_aware"};
static const around_t slow_alone = {
    "clusters: {a: {lb: {policy: least_request, slow_start: {", "}}}}",
    "clusters.a.lb.slow_start"};
static const around_t slow = {
    "clusters: {a: {lb: {policy: round_robin, slow_start: {window: 1s, ",
    "}}}}", "clusters.a.lb.slow_start"};
static const around_t dns = {"clusters: {a: {endpoints: ['h.test:1'], dns: {",
                             "}}}", "clusters.a.dns"};
static const around_t match = {ROUTE "route: c, match: {", "}}]}]",
                               "hosts[0].routes[0].match"};
static const around_t path = {ROUTE "route: c, match: {path: {prefix: /, ",
                              "}}}]}]", "hosts[0].routes[0].match.path"};
static const around_t query = {ROUTE
                               "route: c, match: {query: {x: {suffix: v, ",
                               "}}}}]}]", "hosts[0].routes[0].match.query.x"};
static const around_t cookie = {
    ROUTE "route: c, match: {cookies: {x: {contains: v, ", "}}}}]}]",
    "hosts[0].routes[0].match.cookies.x"};
static const around_t hash = {ROUTE "route: c, hash_policy: {header: x, ",
                              "}}]}]", "hosts[0].routes[0].hash_policy"};
static const around_t session = {
    ROUTE "route: c, stateful_session: {cookie: x, ", "}}]}]",
    "hosts[0].routes[0].stateful_session"};
static const around_t cors = {ROUTE "route: c, cors: {allow_origin: x, ",
                              "}}]}]", "hosts[0].routes[0].cors"};
static const around_t follow = {
    ROUTE "route: c, internal_redirects: {codes: 302, ", "}}]}]",
    "hosts[0].routes[0].internal_redirects"};
static const around_t mirror = {ROUTE "route: c, mirror: {cluster: d, ",
                                "}}]}]", "hosts[0].routes[0].mirror"};
static const around_t table = {"route_table: {", "}", "route_table"};

/* --- what was decoded ----------------------------------------------------- */

typedef uint64_t (*get_pt)(const model_part_t *part);

#define getter(name, value)                                                    \
    static uint64_t get_##name(const model_part_t *part) {                     \
        return (uint64_t)(value);                                              \
    }

#define CLUSTER part->clusters[0]
#define HOST part->tables[0].vhosts[0]

getter(panic, CLUSTER.panic_percent);
getter(connect, CLUSTER.connect_timeout_ms);
getter(overprovisioning, CLUSTER.overprovisioning);
getter(weight_priority, CLUSTER.locality_weights[0].priority);
getter(weight_of, CLUSTER.locality_weights[0].weight);
getter(zone_enabled, CLUSTER.zone_aware.enabled_percent);
getter(zone_size, CLUSTER.zone_aware.min_size);
getter(zone_force, CLUSTER.zone_aware.force_min);
getter(zone_fail, CLUSTER.zone_aware.fail_on_panic);
getter(choices, CLUSTER.lb_choices);
getter(policy, CLUSTER.lb);
getter(c5xx, CLUSTER.outlier.consecutive_5xx);
getter(cgw, CLUSTER.outlier.consecutive_gateway_failure);
getter(clocal, CLUSTER.outlier.consecutive_local_failure);
getter(split_local, CLUSTER.outlier.split_local);
getter(base, CLUSTER.outlier.base_ejection_ms);
getter(most, CLUSTER.outlier.max_ejection_ms);
getter(jitter, CLUSTER.outlier.jitter_ms);
getter(percent, CLUSTER.outlier.max_ejection_percent);
getter(idle, CLUSTER.keepalive_idle);
getter(idle_time, CLUSTER.keepalive_timeout_ms);
getter(requests, CLUSTER.keepalive_requests);
getter(weight, part->sets[0].v[0].weight);
getter(health, part->sets[0].v[0].health);
getter(priority, part->sets[0].v[0].priority);
getter(timeout, HOST.routes[0].timeout_ms);
getter(route_idle, HOST.routes[0].idle_timeout_ms);
getter(split_weight, HOST.routes[0].split[1].weight);
getter(port, HOST.routes[0].redirect.port);
getter(strip, HOST.routes[0].redirect.strip_query);
getter(redirect_status, HOST.routes[0].redirect.status);
getter(status, HOST.routes[0].direct_status);
getter(attempts, HOST.routes[0].retry.attempts);
getter(try_timeout, HOST.routes[0].retry.per_try_timeout_ms);
getter(unsafe, (HOST.routes[0].retry.on & MESH_RETRY_UNSAFE) != 0);
getter(invert, HOST.routes[0].matches[0].invert);
getter(any_case, HOST.routes[0].matches[0].ignore_case);
getter(missing, HOST.routes[0].matches[0].missing_as_empty);
getter(path_case, HOST.routes[0].ignore_case);
getter(grpc, HOST.routes[0].grpc);
getter(terminal, HOST.routes[0].hash_policies[0].terminal);
getter(strict, HOST.routes[0].session.strict);
getter(credentials, HOST.routes[0].cors.credentials);
getter(private_network, HOST.routes[0].cors.private_network);
getter(forward, HOST.routes[0].cors.forward_foreign);
getter(hops, HOST.routes[0].follow.max);
getter(cross, HOST.routes[0].follow.cross_scheme);
getter(shadow, HOST.routes[0].mirrors.v[0].shadow_host);
getter(ring_min, CLUSTER.lb_ring_min);
getter(ring_max, CLUSTER.lb_ring_max);
getter(balance, CLUSTER.lb_balance_factor);
getter(full_scan, CLUSTER.lb_full_scan);
getter(decay, CLUSTER.lb_decay_ms);
getter(rtt, CLUSTER.lb_default_rtt_ms);
getter(window, CLUSTER.slow_start_ms);
getter(least_weight, CLUSTER.min_weight_percent);
getter(protocol, CLUSTER.protocol);
getter(dns_family, part->named[0].dns.family);
getter(dns_lookup, part->named[0].dns.logical);
getter(normalize, (part->tables[0].flags & MESH_NORMALIZE_RFC3986) != 0);
getter(merge, (part->tables[0].flags & MESH_MERGE_SLASHES) != 0);
getter(port_out, (part->tables[0].flags & MESH_HOST_KEEP_PORT) == 0);
getter(slashes, part->tables[0].flags >> MESH_SLASHES_SHIFT & 7);

/* --- fields --------------------------------------------------------------- */

typedef enum { NUMBER, DURATION, PERCENT, BOOL } type_e;

typedef struct {
    const around_t *around;
    const char *name;
    type_e type;
    uint64_t min;
    uint64_t max;
    uint64_t fallback;
    get_pt get;
} field_t;

#define DAYS_24 2147483647 /* ms: nginx's timers */

static const field_t fields[] = {
    {&cluster, "panic_threshold", PERCENT, 0, 100, 50, get_panic},
    {&cluster, "overprovisioning_factor", NUMBER, 1, 1000000, 140,
     get_overprovisioning},
    {&weight, "priority", NUMBER, 0, 127, UINT32_MAX, get_weight_priority},
    {&weight_alone, "weight", NUMBER, 0, 16777216, UINT64_MAX, get_weight_of},
    {&zone, "routing_enabled", PERCENT, 0, 100, 100, get_zone_enabled},
    {&zone, "min_cluster_size", NUMBER, 0, UINT32_MAX, 6, get_zone_size},
    {&zone, "force_local_zone", NUMBER, 1, UINT32_MAX, 0, get_zone_force},
    {&zone, "fail_traffic_on_panic", BOOL, 0, 1, 0, get_zone_fail},
    {&cluster, "connect_timeout", DURATION, 1, DAYS_24, 5000, get_connect},
    {&lb, "choices", NUMBER, 2, 32, 2, get_choices},
    {&ewma, "choices", NUMBER, 2, 32, 2, get_choices},
    {&lb, "full_scan", BOOL, 0, 1, 0, get_full_scan},
    {&ring, "minimum_ring_size", NUMBER, 1, 8388608, 1024, get_ring_min},
    {&ring, "maximum_ring_size", NUMBER, 1, 8388608, 65536, get_ring_max},
    {&ring, "hash_balance_factor", NUMBER, 100, 1000000, 0, get_balance},
    {&maglev, "hash_balance_factor", NUMBER, 100, 1000000, 0, get_balance},
    {&ewma, "decay_time", DURATION, 1, DAYS_24, 10000, get_decay},
    {&ewma, "default_rtt", DURATION, 1, DAYS_24, 30, get_rtt},
    {&slow_alone, "window", DURATION, 1, DAYS_24, UINT64_MAX, get_window},
    {&slow, "min_weight_percent", PERCENT, 0, 100, 10, get_least_weight},
    {&outlier, "consecutive_5xx", NUMBER, 0, 1000000, 5, get_c5xx},
    {&outlier, "consecutive_gateway_failure", NUMBER, 0, 1000000, 0, get_cgw},
    {&outlier, "consecutive_local_origin_failure", NUMBER, 0, 1000000, 5,
     get_clocal},
    {&outlier, "split_external_local_origin_errors", BOOL, 0, 1, 0,
     get_split_local},
    {&outlier, "base_ejection_time", DURATION, 1, DAYS_24, 30000, get_base},
    {&outlier, "max_ejection_time", DURATION, 30000, DAYS_24, 300000, get_most},
    {&outlier, "max_ejection_time_jitter", DURATION, 0, DAYS_24, 0, get_jitter},
    {&outlier, "max_ejection_percent", PERCENT, 0, 100, 10, get_percent},
    {&keepalive, "max_idle", NUMBER, 0, 65535, 64, get_idle},
    {&keepalive, "idle_timeout", DURATION, 1, DAYS_24, 60000, get_idle_time},
    {&keepalive, "max_requests", NUMBER, 0, UINT32_MAX, 0, get_requests},
    {&endpoint, "weight", NUMBER, 0, 16777216, 1, get_weight},
    {&route, "timeout", DURATION, 0, DAYS_24, 15000, get_timeout},
    {&route, "idle_timeout", DURATION, 0, DAYS_24, 0, get_route_idle},
    {&split, "weight", NUMBER, 0, UINT32_MAX, 1, get_split_weight},
    {&redirect, "port", NUMBER, 1, 65535, 0, get_port},
    {&redirect, "strip_query", BOOL, 0, 1, 0, get_strip},
    {&respond, "status", NUMBER, 200, 599, UINT64_MAX, get_status},
    {&retry, "attempts", NUMBER, 1, 100, 1, get_attempts},
    {&retry, "per_try_timeout", DURATION, 0, DAYS_24, 0, get_try_timeout},
    {&retry, "retry_unsafe", BOOL, 0, 1, 0, get_unsafe},
    {&header, "invert", BOOL, 0, 1, 0, get_invert},
    {&header, "ignore_case", BOOL, 0, 1, 0, get_any_case},
    {&header, "treat_missing_as_empty", BOOL, 0, 1, 0, get_missing},
    {&query, "invert", BOOL, 0, 1, 0, get_invert},
    {&query, "ignore_case", BOOL, 0, 1, 0, get_any_case},
    {&cookie, "invert", BOOL, 0, 1, 0, get_invert},
    {&cookie, "ignore_case", BOOL, 0, 1, 0, get_any_case},
    {&path, "ignore_case", BOOL, 0, 1, 0, get_path_case},
    {&match, "grpc", BOOL, 0, 1, 0, get_grpc},
    {&hash, "terminal", BOOL, 0, 1, 0, get_terminal},
    {&session, "strict", BOOL, 0, 1, 0, get_strict},
    {&cors, "allow_credentials", BOOL, 0, 1, 0, get_credentials},
    {&cors, "allow_private_network_access", BOOL, 0, 1, 0, get_private_network},
    {&cors, "forward_not_matching_preflights", BOOL, 0, 1, 1, get_forward},
    {&follow, "max", NUMBER, 1, 16, 1, get_hops},
    {&follow, "allow_cross_scheme", BOOL, 0, 1, 0, get_cross},
    {&mirror, "shadow_host", BOOL, 0, 1, 1, get_shadow},
    {&table, "normalize_path", BOOL, 0, 1, 1, get_normalize},
    {&table, "merge_slashes", BOOL, 0, 1, 0, get_merge},
    {&table, "ignore_port", BOOL, 0, 1, 1, get_port_out},
};

/* Shares of weights are added up: two of 2^32 - 1 are too many. */
static uint64_t most_of(const field_t *field) {
    return field->around == &split ? UINT32_MAX - 1 : field->max;
}

static char text[2048];

static void make(const around_t *around, const char *name, const char *value) {
    snprintf(text, sizeof(text), "%s%s: %s%s", around->before, name, value,
             around->behind);
}

static void expect(const field_t *field, const char *value, uint64_t wanted) {
    fixture_t f;

    make(field->around, field->name, value);
    fixture_yaml(&f, text);
    if (f.errors.errors != 0 || f.part == NULL) {
        fail_msg("%s\n%s", text, fixture_messages(&f));
    }
    if (field->get(f.part) != wanted) {
        fail_msg("%s\ngives %llu", text,
                 (unsigned long long)field->get(f.part));
    }
    fixture_close(&f);
}

/* One error, at the value, in these words. */
static void refuse(const around_t *around, const char *name, const char *value,
                   const char *found, const char *expected) {
    char message[1024];
    fixture_t f;

    make(around, name, value);
    snprintf(message, sizeof(message),
             "f.yaml:1:%zu: %s.%s: found %s, expected %s\n",
             strlen(around->before) + strlen(name) + 3, around->path, name,
             found, expected);
    fixture_yaml(&f, text);
    if (f.errors.errors != 1 || strcmp(fixture_messages(&f), message) != 0) {
        fail_msg("%s\ngives  %swanted %s", text, fixture_messages(&f), message);
    }
    fixture_close(&f);
}

static const char *expected_of(const field_t *field) {
    static char words[96];

    switch (field->type) {
    case NUMBER:
        snprintf(words, sizeof(words), "a whole number from %llu to %llu",
                 (unsigned long long)field->min,
                 (unsigned long long)field->max);
        return words;
    case DURATION:
        return field->min == 0
                   ? "a duration of at most 24 days such as 250ms, 3s or 1m"
                   : "a duration of 1ms to 24 days such as 250ms, 3s or 1m";
    case PERCENT:
        return "a percentage from 0 to 100";
    default:
        return "true or false";
    }
}

/* --- what is right -------------------------------------------------------- */

static void a_field_that_nobody_says(void **state) {
    (void)state;

    for (size_t i = 0; i < mesh_nelts(fields); i++) {
        const field_t *field = &fields[i];
        fixture_t f;

        if (field->fallback == UINT64_MAX) {
            continue; /* it has to be said */
        }
        snprintf(text, sizeof(text), "%s%s", field->around->before,
                 field->around->behind);
        fixture_yaml(&f, text);
        if (f.errors.errors != 0 || field->get(f.part) != field->fallback) {
            fail_msg("%s.%s: %llu\n%s", field->around->path, field->name,
                     f.part ? (unsigned long long)field->get(f.part) : 0,
                     fixture_messages(&f));
        }
        fixture_close(&f);
    }
}

static void numbers(void **state) {
    (void)state;

    for (size_t i = 0; i < mesh_nelts(fields); i++) {
        const field_t *field = &fields[i];
        const uint64_t values[] = {field->min, field->min + 1,
                                   (field->min + most_of(field)) / 2,
                                   most_of(field) - 1, most_of(field)};

        for (size_t k = 0; field->type == NUMBER && k < mesh_nelts(values);
             k++) {
            char value[32];

            snprintf(value, sizeof(value), "%llu",
                     (unsigned long long)values[k]);
            expect(field, value, values[k]);
            snprintf(value, sizeof(value), "00%llu",
                     (unsigned long long)values[k]);
            expect(field, value, values[k]); /* decimal, as YAML 1.2 */
        }
    }
}

static void durations(void **state) {
    (void)state;

    for (size_t i = 0; i < mesh_nelts(fields); i++) {
        const field_t *field = &fields[i];
        char value[32];

        if (field->type != DURATION) {
            continue;
        }
        snprintf(value, sizeof(value), "%llums",
                 (unsigned long long)field->min);
        expect(field, value, field->min);
        expect(field, "2147483647ms", DAYS_24);
        expect(field, "2147483.647s", DAYS_24);
        expect(field, "30001ms", 30001);
        expect(field, "90s", 90000);
        expect(field, "31.25s", 31250);
        expect(field, "2m", 120000);
        expect(field, "1.5m", 90000);
        expect(field, "0.5h", 1800000);
        expect(field, "596h", 2145600000);
        expect(field, "'45s'", 45000);
        expect(field, "\"45s\"", 45000);
        expect(field, "045s", 45000);
        expect(field, "100.000000000s", 100000);
        if (field->min == 0) {
            expect(field, "0", 0);
            expect(field, "'0'", 0);
            expect(field, "0s", 0);
            expect(field, "0.0h", 0);
        }
    }
}

static void percentages(void **state) {
    (void)state;

    for (size_t i = 0; i < mesh_nelts(fields); i++) {
        const field_t *field = &fields[i];

        if (field->type == PERCENT) {
            expect(field, "0", 0);
            expect(field, "100", 100);
            expect(field, "33", 33);
            expect(field, "0%", 0);
            expect(field, "100%", 100);
            expect(field, "'7%'", 7);
            expect(field, "007%", 7);
        }
    }
}

static void bools(void **state) {
    (void)state;
    static const char *const yes[] = {"true", "True", "TRUE"};
    static const char *const no[] = {"false", "False", "FALSE"};

    for (size_t i = 0; i < mesh_nelts(fields); i++) {
        for (size_t k = 0; fields[i].type == BOOL && k < 3; k++) {
            expect(&fields[i], yes[k], 1);
            expect(&fields[i], no[k], 0);
        }
    }
}

/* --- what is wrong -------------------------------------------------------- */

/* Of any type: what stands there instead, and how it is called. */
static const struct {
    const char *value;
    const char *found;
} never[] = {
    {"[1]", "a list"},
    {"[]", "a list"},
    {"{a: 1}", "a map"},
    {"{}", "a map"},
    {"~", "nothing"},
    {"null", "nothing"},
    {"-1", "-1"},
    {"+1", "+1"},
    {"1.5", "1.5"},
    {"1e2", "1e2"},
    {"0x20", "0x20"},
    {"0o17", "0o17"},
    {".inf", ".inf"},
    {"-.Inf", "-.Inf"},
    {".NAN", ".NAN"},
    {"much", "\"much\""},
    {"''", "\"\""},
    {"' 5'", "\" 5\""},
    {"1 2", "\"1 2\""},
    {"1_000", "\"1_000\""},
    {"18446744073709551616", "18446744073709551616"},
    {"999999999999999999999999", "999999999999999999999999"},
    {"\"\\x1b[2J\"", "\"\\x1b[2J\""},
};

static void no_value_of_any_type(void **state) {
    (void)state;

    for (size_t i = 0; i < mesh_nelts(fields); i++) {
        const field_t *field = &fields[i];

        for (size_t k = 0; k < mesh_nelts(never); k++) {
            refuse(field->around, field->name, never[k].value, never[k].found,
                   expected_of(field));
        }
    }
}

static void beyond_the_bounds(void **state) {
    (void)state;

    for (size_t i = 0; i < mesh_nelts(fields); i++) {
        const field_t *field = &fields[i];
        const char *expected = expected_of(field);
        char value[32];

        switch (field->type) {
        case NUMBER:
            snprintf(value, sizeof(value), "%llu",
                     (unsigned long long)field->max + 1);
            refuse(field->around, field->name, value, value, expected);
            if (field->min > 0) {
                snprintf(value, sizeof(value), "%llu",
                         (unsigned long long)field->min - 1);
                refuse(field->around, field->name, value, value, expected);
            }
            break;
        case DURATION:
            refuse(field->around, field->name, "2147483648ms",
                   "\"2147483648ms\"", expected);
            refuse(field->around, field->name, "597h", "\"597h\"", expected);
            if (field->min == 1) {
                refuse(field->around, field->name, "0", "0", expected);
                refuse(field->around, field->name, "0ms", "\"0ms\"", expected);
            }
            break;
        case PERCENT:
            refuse(field->around, field->name, "101", "101", expected);
            refuse(field->around, field->name, "101%", "\"101%\"", expected);
            break;
        default:
            break;
        }
    }
}

static void numbers_in_quotes_and_words(void **state) {
    (void)state;

    for (size_t i = 0; i < mesh_nelts(fields); i++) {
        const field_t *field = &fields[i];
        const char *expected = expected_of(field);

        switch (field->type) {
        case NUMBER:
        case PERCENT:
            refuse(field->around, field->name, "'50'", "\"50\"", expected);
            refuse(field->around, field->name, "true", "true", expected);
            refuse(field->around, field->name, "50s", "\"50s\"", expected);
            refuse(field->around, field->name, "'%'", "\"%\"", expected);
            break;
        case DURATION:
            refuse(field->around, field->name, "5", "5", expected);
            refuse(field->around, field->name, "false", "false", expected);
            refuse(field->around, field->name, "50%", "\"50%\"", expected);
            break;
        default:
            refuse(field->around, field->name, "'true'", "\"true\"", expected);
            refuse(field->around, field->name, "yes", "\"yes\"", expected);
            refuse(field->around, field->name, "on", "\"on\"", expected);
            refuse(field->around, field->name, "tRUE", "\"tRUE\"", expected);
            refuse(field->around, field->name, "1", "1", expected);
            refuse(field->around, field->name, "0", "0", expected);
        }
    }
}

/* In quotes, each of them is refused by each field of the type. */
static void refuse_all(type_e type, const char *const *values, size_t count) {
    for (size_t i = 0; i < mesh_nelts(fields); i++) {
        for (size_t k = 0; fields[i].type == type && k < count; k++) {
            char quoted[32];
            char found[32];

            snprintf(quoted, sizeof(quoted), "'%s'", values[k]);
            snprintf(found, sizeof(found), "\"%s\"", values[k]);
            refuse(fields[i].around, fields[i].name, quoted, found,
                   expected_of(&fields[i]));
        }
    }
}

static void what_is_no_duration(void **state) {
    (void)state;
    static const char *const values[] = {
        "3d",    "3 s",   "s",          "ms",    "3S",   "3sec",
        "1h30m", "1.5ms", "1.0005s",    "1.s",   ".5s",  "1.0000000001h",
        "1..5s", "-3s",   "+3s",        "0.5ms", "1e3s", "3s ago",
        "3us",   "1.5",   "5000000000s"};

    refuse_all(DURATION, values, mesh_nelts(values));
}

static void what_is_no_percentage(void **state) {
    (void)state;
    static const char *const values[] = {"50 %", "%50", "50%%", "x%",
                                         "1.5%", "-1%", "1000%"};

    refuse_all(PERCENT, values, mesh_nelts(values));
}

/* --- words ---------------------------------------------------------------- */

typedef struct {
    const around_t *around;
    const char *name;
    get_pt get;
    const char *expected;
    struct {
        const char *word;
        uint64_t value;
    } words[8];
} choice_t;

#define LB_WORDS                                                               \
    "one of round_robin, least_request, random, ring_hash, maglev, peak_ewma"

static const choice_t choices[] = {
    {&lb_alone,
     "policy",
     get_policy,
     LB_WORDS,
     {{"round_robin", MESH_LB_ROUND_ROBIN},
      {"least_request", MESH_LB_LEAST_REQUEST},
      {"random", MESH_LB_RANDOM},
      {"ring_hash", MESH_LB_RING_HASH},
      {"maglev", MESH_LB_MAGLEV},
      {"peak_ewma", MESH_LB_PEAK_EWMA}}},
    {&cluster,
     "lb",
     get_policy,
     LB_WORDS,
     {{"round_robin", MESH_LB_ROUND_ROBIN},
      {"least_request", MESH_LB_LEAST_REQUEST},
      {"random", MESH_LB_RANDOM},
      {"ring_hash", MESH_LB_RING_HASH},
      {"maglev", MESH_LB_MAGLEV},
      {"peak_ewma", MESH_LB_PEAK_EWMA}}},
    {&cluster,
     "protocol",
     get_protocol,
     "one of http1, http2, grpc",
     {{"http1", MODEL_HTTP1}, {"http2", MODEL_HTTP2}, {"grpc", MODEL_HTTP2}}},
    {&dns,
     "family",
     get_dns_family,
     "one of v4_preferred, v4, v6, all",
     {{"v4_preferred", MODEL_DNS_V4_PREFERRED},
      {"v4", MODEL_DNS_V4},
      {"v6", MODEL_DNS_V6},
      {"all", MODEL_DNS_ALL}}},
    {&dns,
     "lookup",
     get_dns_lookup,
     "one of strict, logical",
     {{"strict", 0}, {"logical", 1}}},
    {&endpoint,
     "health",
     get_health,
     "one of healthy, unhealthy, draining",
     {{"healthy", MESH_HEALTH_HEALTHY},
      {"unhealthy", MESH_HEALTH_UNHEALTHY},
      {"draining", MESH_HEALTH_DRAINING}}},
    {&table,
     "escaped_slashes",
     get_slashes,
     "one of keep, reject, redirect, unescape",
     {{"keep", MESH_SLASHES_KEEP},
      {"reject", MESH_SLASHES_REJECT},
      {"redirect", MESH_SLASHES_REDIRECT},
      {"unescape", MESH_SLASHES_UNESCAPE}}},
    {&redirect,
     "status",
     get_redirect_status,
     "one of 301, 302, 303, 307, 308",
     {{"301", 301}, {"302", 302}, {"303", 303}, {"307", 307}, {"308", 308}}},
};

static void one_of_some_words(void **state) {
    (void)state;

    for (size_t i = 0; i < mesh_nelts(choices); i++) {
        const choice_t *choice = &choices[i];
        const field_t as_field = {choice->around, choice->name, NUMBER, 0, 0, 0,
                                  choice->get};

        for (size_t k = 0; choice->words[k].word != NULL; k++) {
            expect(&as_field, choice->words[k].word, choice->words[k].value);
        }
        for (size_t k = 0; k < mesh_nelts(never); k++) {
            /* Maps of `lb` have fields of their own. */
            if (strcmp(choice->name, "lb") == 0 && never[k].value[0] == '{') {
                continue;
            }
            if (strcmp(choice->name, "lb") == 0 &&
                (never[k].value[0] == '[' || never[k].value[0] == '~' ||
                 never[k].value[0] == 'n')) {
                refuse(choice->around, choice->name, never[k].value,
                       never[k].found, "a balancer: a map");
                continue;
            }
            refuse(choice->around, choice->name, never[k].value, never[k].found,
                   choice->expected);
        }
        char found[64];
        char wrong[64];
        snprintf(wrong, sizeof(wrong), "'%sx'", choice->words[0].word);
        snprintf(found, sizeof(found), "\"%sx\"", choice->words[0].word);
        refuse(choice->around, choice->name, wrong, found, choice->expected);
    }
}

/* A status in quotes is text; a word in quotes is the word. */
static void words_in_quotes(void **state) {
    (void)state;
    const field_t health = {&endpoint, "health", NUMBER, 0, 0, 0, get_health};

    expect(&health, "'draining'", MESH_HEALTH_DRAINING);
    refuse(&redirect, "status", "'301'", "\"301\"",
           "one of 301, 302, 303, 307, 308");
    refuse(&endpoint, "health", "Healthy", "\"Healthy\"",
           "one of healthy, unhealthy, draining");
}

/* Any from 0 to 127, but none without those before it. */
static void priorities(void **state) {
    (void)state;
    const field_t priority = {&endpoint, "priority", NUMBER,      0,
                              127,       0,          get_priority};

    expect(&priority, "0", 0);
    for (size_t k = 0; k < mesh_nelts(never); k++) {
        refuse(&endpoint, "priority", never[k].value, never[k].found,
               expected_of(&priority));
    }
    refuse(&endpoint, "priority", "128", "128", expected_of(&priority));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_that_nobody_says),
        cmocka_unit_test(numbers),
        cmocka_unit_test(durations),
        cmocka_unit_test(percentages),
        cmocka_unit_test(bools),
        cmocka_unit_test(no_value_of_any_type),
        cmocka_unit_test(beyond_the_bounds),
        cmocka_unit_test(numbers_in_quotes_and_words),
        cmocka_unit_test(what_is_no_duration),
        cmocka_unit_test(what_is_no_percentage),
        cmocka_unit_test(one_of_some_words),
        cmocka_unit_test(words_in_quotes),
        cmocka_unit_test(priorities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
