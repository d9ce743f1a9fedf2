/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Writing models as Envoy's resources; see xds_text.h.
 */

#include "xds_text.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

/* --- protobuf's JSON ----------------------------------------------------- */

typedef struct {
    rng_t *rng;
    bool camel;
} out_t;

static bool one_in(out_t *t, uint32_t n) {
    return rng_one_in(t->rng, n);
}

/* In the spelling of the document. */
static void add(out_t *t, cJSON *map, const char *name, cJSON *item) {
    char key[96];
    size_t len = 0;

    if (!t->camel) {
        cJSON_AddItemToObject(map, name, item);
        return;
    }
    for (; *name != '\0'; name++) {
        bool up = *name == '_';

        name += up;
        key[len++] = (char)(up && *name >= 'a' ? *name - 32 : *name);
    }
    key[len] = '\0';
    cJSON_AddItemToObject(map, key, item);
}

static cJSON *str_of(mesh_str_t text) {
    char *copy = strndup(text.len ? text.data : "", text.len);
    cJSON *item = cJSON_CreateString(copy);

    free(copy);
    return item;
}

static void add_str(out_t *t, cJSON *map, const char *name, mesh_str_t text) {
    add(t, map, name, str_of(text));
}

static void add_text(out_t *t, cJSON *map, const char *name,
                     const char *value) {
    add(t, map, name, cJSON_CreateString(value));
}

/* A number, or the text that 64 bits are. */
static void add_number(out_t *t, cJSON *map, const char *name, uint64_t value) {
    char text[24];

    if (one_in(t, 3)) {
        snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
        add_text(t, map, name, text);
    } else {
        add(t, map, name, cJSON_CreateNumber((double)value));
    }
}

static void add_flag(out_t *t, cJSON *map, const char *name, bool value) {
    if (value || one_in(t, 4)) {
        add(t, map, name, cJSON_CreateBool(value));
    } else if (one_in(t, 5)) {
        add(t, map, name, cJSON_CreateNull());
    }
}

static cJSON *ms_of(uint32_t ms) {
    char text[32];

    if (ms % 1000 == 0) {
        snprintf(text, sizeof(text), "%us", ms / 1000);
    } else {
        snprintf(text, sizeof(text), "%u.%03us", ms / 1000, ms % 1000);
    }
    return cJSON_CreateString(text);
}

static cJSON *map_in(out_t *t, cJSON *map, const char *name) {
    cJSON *item = cJSON_CreateObject();

    add(t, map, name, item);
    return item;
}

static cJSON *list_in(out_t *t, cJSON *map, const char *name) {
    cJSON *item = cJSON_CreateArray();

    add(t, map, name, item);
    return item;
}

static cJSON *map_of(cJSON *list) {
    cJSON *item = cJSON_CreateObject();

    cJSON_AddItemToArray(list, item);
    return item;
}

static void add_type(cJSON *map, const char *type) {
    char text[192];

    snprintf(text, sizeof(text), "type.googleapis.com/%s", type);
    cJSON_AddStringToObject(map, "@type", text);
}

/* By name or by number. */
static void add_enum(out_t *t, cJSON *map, const char *field, const char *name,
                     uint32_t number) {
    if (one_in(t, 2)) {
        add_text(t, map, field, name);
    } else {
        add(t, map, field, cJSON_CreateNumber(number));
    }
}

/* --- endpoints ----------------------------------------------------------- */

static void add_address(out_t *t, cJSON *endpoint, const model_endpoint_t *e) {
    cJSON *address = map_in(t, endpoint, "address");
    char ip[INET6_ADDRSTRLEN];

    if (e->family == MESH_FAMILY_UNIX) {
        add_str(t, map_in(t, address, "pipe"), "path", e->host);
        return;
    }
    cJSON *sock = map_in(t, address, "socket_address");
    if (e->family == MODEL_FAMILY_HOST) {
        add_str(t, sock, "address", e->host);
    } else {
        inet_ntop(e->family == MESH_FAMILY_IPV4 ? AF_INET : AF_INET6, e->addr,
                  ip, sizeof(ip));
        add_text(t, sock, "address", ip);
    }
    add_number(t, sock, "port_value", e->port);
    if (one_in(t, 3)) {
        add_enum(t, sock, "protocol", "TCP", 0);
    }
}

static void add_endpoint(out_t *t, cJSON *group, const model_endpoint_t *e) {
    static const char *const healths[] = {"UNKNOWN", "HEALTHY", "UNHEALTHY",
                                          "DRAINING"};
    cJSON *item = map_of(group);

    add_address(t, map_in(t, item, "endpoint"), e);
    if (e->health != 0 || one_in(t, 3)) {
        add_enum(t, item, "health_status", healths[e->health], e->health);
    }
    if (e->weight != 1 || one_in(t, 3)) {
        add_number(t, item, "load_balancing_weight", e->weight);
    }
    if (e->labels.count != 0) {
        cJSON *filters =
            map_in(t, map_in(t, item, "metadata"), "filter_metadata");
        cJSON *lb = cJSON_AddObjectToObject(filters, "envoy.lb");

        for (uint32_t i = 0; i < e->labels.count; i++) {
            char *name =
                strndup(e->labels.v[i].name.data, e->labels.v[i].name.len);

            cJSON_AddItemToObject(lb, name, str_of(e->labels.v[i].value));
            free(name);
        }
    }
}

/* A locality each: they need not be together. */
static void add_assignment(out_t *t, cJSON *map,
                           const model_endpoint_set_t *set) {
    cJSON *groups = list_in(t, map, "endpoints");

    add_str(t, map, "cluster_name", set->name);
    for (uint32_t i = 0; i < set->count; i++) {
        const model_locality_t *at = &set->v[i].locality;
        cJSON *group = map_of(groups);
        cJSON *locality = map_in(t, group, "locality");

        add_str(t, locality, "region", at->region);
        add_str(t, locality, "zone", at->zone);
        add_str(t, locality, "sub_zone", at->sub_zone);
        add_endpoint(t, list_in(t, group, "lb_endpoints"), &set->v[i]);
    }
}

/* --- clusters ------------------------------------------------------------ */

static void add_milli(out_t *t, cJSON *map, const char *name, uint32_t milli) {
    add(t, map_in(t, map, name), "default_value",
        cJSON_CreateNumber(milli / 1000.0));
}

static void add_slow_start(out_t *t, cJSON *map, const model_cluster_t *c) {
    if (c->slow_start_ms == 0) {
        return;
    }
    cJSON *slow = map_in(t, map, "slow_start_config");
    add(t, slow, "slow_start_window", ms_of(c->slow_start_ms));
    add_milli(t, slow, "aggression", c->aggression_milli);
    cJSON *percent = map_in(t, slow, "min_weight_percent");
    add(t, percent, "value", cJSON_CreateNumber(c->min_weight_percent));
}

static void add_balance_factor(out_t *t, cJSON *map, const char *name,
                               const model_cluster_t *c) {
    if (c->lb_balance_factor != 0) {
        add_number(t, map_in(t, map, name), "hash_balance_factor",
                   c->lb_balance_factor);
    }
}

static void add_parameters(out_t *t, cJSON *map, const model_cluster_t *c) {
    switch (c->lb) {
    case MESH_LB_ROUND_ROBIN:
        add_slow_start(t, map, c);
        break;
    case MESH_LB_LEAST_REQUEST:
        add_slow_start(t, map, c);
        add_number(t, map, "choice_count", c->lb_choices);
        if (c->lb_bias_set) {
            add_milli(t, map, "active_request_bias", c->lb_bias_milli);
        }
        break;
    case MESH_LB_RING_HASH:
        add_number(t, map, "minimum_ring_size", c->lb_ring_min);
        add_number(t, map, "maximum_ring_size", c->lb_ring_max);
        break;
    case MESH_LB_MAGLEV:
        add_number(t, map, "table_size", c->lb_table_size);
        break;
    default:
        break;
    }
}

static const struct {
    const char *policy;
    uint32_t number;
    const char *message;
    const char *extension;
} balancers[] = {
    [MESH_LB_ROUND_ROBIN] = {"ROUND_ROBIN", 0, "round_robin_lb_config",
                             "round_robin.v3.RoundRobin"},
    [MESH_LB_LEAST_REQUEST] = {"LEAST_REQUEST", 1, "least_request_lb_config",
                               "least_request.v3.LeastRequest"},
    [MESH_LB_RANDOM] = {"RANDOM", 3, NULL, "random.v3.Random"},
    [MESH_LB_RING_HASH] = {"RING_HASH", 2, "ring_hash_lb_config",
                           "ring_hash.v3.RingHash"},
    [MESH_LB_MAGLEV] = {"MAGLEV", 5, "maglev_lb_config", "maglev.v3.Maglev"},
};

/* The next of the policies: Envoy takes the first that it knows. */
static cJSON *extension(out_t *t, cJSON *policies) {
    cJSON *item = map_in(t, map_of(policies), "typed_extension_config");

    add_text(t, item, "name", "any");
    return map_in(t, item, "typed_config");
}

/* The full scan has no place beside lb_policy. */
static void add_balancer(out_t *t, cJSON *map, const model_cluster_t *c) {
    if (!c->lb_full_scan && one_in(t, 2)) {
        cJSON *common = map_in(t, map, "common_lb_config");

        add_balance_factor(t, common, "consistent_hashing_lb_config", c);
        add(t, map_in(t, common, "healthy_panic_threshold"), "value",
            cJSON_CreateNumber(c->panic_percent));
        add_enum(t, map, "lb_policy", balancers[c->lb].policy,
                 balancers[c->lb].number);
        if (balancers[c->lb].message != NULL) {
            add_parameters(t, map_in(t, map, balancers[c->lb].message), c);
        }
        return;
    }
    cJSON *common = map_in(t, map, "common_lb_config");
    add(t, map_in(t, common, "healthy_panic_threshold"), "value",
        cJSON_CreateNumber(c->panic_percent));
    cJSON *policies =
        list_in(t, map_in(t, map, "load_balancing_policy"), "policies");
    char type[128];
    if (one_in(t, 3)) {
        add_type(extension(t, policies), "a.b.Unknown");
    }
    snprintf(type, sizeof(type), "envoy.extensions.load_balancing_policies.%s",
             balancers[c->lb].extension);
    cJSON *config = extension(t, policies);
    add_type(config, type);
    add_parameters(t, config, c);
    if (c->lb_full_scan && one_in(t, 2)) {
        add_enum(t, config, "selection_method", "FULL_SCAN", 1);
    } else if (c->lb == MESH_LB_LEAST_REQUEST) {
        add_flag(t, config, "enable_full_scan", c->lb_full_scan);
    }
    if (mesh_lb_hashes(c->lb)) {
        add_balance_factor(t, config, "consistent_hashing_lb_config", c);
    }
}

static void add_outlier(out_t *t, cJSON *map, const model_outlier_t *o) {
    if (!o->set) {
        return;
    }
    cJSON *out = map_in(t, map, "outlier_detection");
    add_number(t, out, "consecutive_5xx", o->consecutive_5xx);
    add_number(t, out, "consecutive_gateway_failure",
               o->consecutive_gateway_failure);
    add_number(t, out, "enforcing_consecutive_gateway_failure", 100);
    add_number(t, out, "consecutive_local_origin_failure",
               o->consecutive_local_failure);
    add_flag(t, out, "split_external_local_origin_errors", o->split_local);
    add(t, out, "base_ejection_time", ms_of(o->base_ejection_ms));
    add(t, out, "max_ejection_time", ms_of(o->max_ejection_ms));
    add(t, out, "max_ejection_time_jitter", ms_of(o->jitter_ms));
    add_number(t, out, "max_ejection_percent", o->max_ejection_percent);
    if (one_in(t, 2)) {
        add_number(t, out, "enforcing_success_rate", 0);
    }
}

static void add_protocol(out_t *t, cJSON *map, const model_cluster_t *c) {
    static const char name[] =
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    bool extension = one_in(t, 2);
    cJSON *options = map;

    if (extension) {
        cJSON *all = map_in(t, map, "typed_extension_protocol_options");

        options = cJSON_AddObjectToObject(all, name);
        add_type(options, name);
    }
    cJSON *common = map_in(t, options, "common_http_protocol_options");
    add(t, common, "idle_timeout", ms_of(c->keepalive_timeout_ms));
    add_number(t, common, "max_requests_per_connection", c->keepalive_requests);
    if (extension) {
        options = map_in(t, options, "explicit_http_config");
    }
    if (c->protocol == MODEL_HTTP2) {
        map_in(t, options, "http2_protocol_options");
    } else if (extension || one_in(t, 2)) {
        map_in(t, options, "http_protocol_options");
    }
}

static const model_endpoint_set_t *find_set(const model_part_t *part,
                                            mesh_str_t name) {
    for (uint32_t i = 0; i < part->nsets; i++) {
        if (mesh_str_eq(part->sets[i].name, name)) {
            return &part->sets[i];
        }
    }
    return NULL;
}

static const model_named_set_t *find_named(const model_part_t *part,
                                           mesh_str_t name) {
    for (uint32_t i = 0; i < part->nnamed; i++) {
        if (mesh_str_eq(part->named[i].set.name, name)) {
            return &part->named[i];
        }
    }
    return NULL;
}

static void add_names(out_t *t, cJSON *map, const model_named_set_t *named) {
    static const struct {
        const char *name;
        uint32_t number;
    } families[] = {
        [MODEL_DNS_V4_PREFERRED] = {"V4_PREFERRED", 3},
        [MODEL_DNS_V4] = {"V4_ONLY", 1},
        [MODEL_DNS_V6] = {"V6_ONLY", 2},
        [MODEL_DNS_ALL] = {"ALL", 4},
    };

    add_enum(t, map, "type", named->dns.logical ? "LOGICAL_DNS" : "STRICT_DNS",
             named->dns.logical ? 2 : 1);
    add_enum(t, map, "dns_lookup_family", families[named->dns.family].name,
             families[named->dns.family].number);
    add_assignment(t, map_in(t, map, "load_assignment"), &named->set);
}

/* Endpoints of its own in it, if the dice say so and nobody else has them. */
static void add_source(out_t *t, cJSON *map, const model_part_t *part,
                       const model_cluster_t *c, bool *inlined) {
    const model_endpoint_set_t *set = find_set(part, c->name);
    const model_named_set_t *named = find_named(part, c->name);

    *inlined = false;
    if (c->endpoint_set.len == 0 && named != NULL) {
        add_names(t, map, named);
    } else if (c->endpoint_set.len == 0 && set != NULL && one_in(t, 2)) {
        *inlined = true;
        if (one_in(t, 2)) {
            add_enum(t, map, "type", "STATIC", 0);
        }
        add_assignment(t, map_in(t, map, "load_assignment"), set);
    } else {
        cJSON *eds = map_in(t, map, "eds_cluster_config");

        add_enum(t, map, "type", "EDS", 3);
        if (c->endpoint_set.len != 0 || one_in(t, 2)) {
            add_str(t, eds, "service_name",
                    c->endpoint_set.len ? c->endpoint_set : c->name);
        }
    }
}

static bool add_cluster(out_t *t, cJSON *map, const model_part_t *part,
                        const model_cluster_t *c) {
    bool inlined;

    add_type(map, "envoy.config.cluster.v3.Cluster");
    add_str(t, map, "name", c->name);
    add_str(t, map, "alt_stat_name", c->name);
    add_source(t, map, part, c, &inlined);
    add(t, map, "connect_timeout", ms_of(c->connect_timeout_ms));
    add_balancer(t, map, c);
    add_outlier(t, map, &c->outlier);
    add_protocol(t, map, c);
    return inlined;
}

/* --- matches ------------------------------------------------------------- */

static void add_regex(out_t *t, cJSON *map, const char *name,
                      mesh_str_t regex) {
    cJSON *matcher = map_in(t, map, name);

    if (one_in(t, 2)) {
        map_in(t, matcher, "google_re2");
    }
    add_str(t, matcher, "regex", regex);
}

static void add_string_match(out_t *t, cJSON *map, const model_match_t *m) {
    static const char *const names[] = {
        [MESH_MATCH_EXACT] = "exact",
        [MESH_MATCH_PREFIX] = "prefix",
        [MESH_MATCH_SUFFIX] = "suffix",
        [MESH_MATCH_CONTAINS] = "contains",
    };
    cJSON *matcher = map_in(t, map, "string_match");

    if (m->op == MESH_MATCH_REGEX) {
        add_regex(t, matcher, "safe_regex", m->value);
    } else {
        add_str(t, matcher, names[m->op], m->value);
        add_flag(t, matcher, "ignore_case", m->ignore_case);
    }
}

static void add_header_condition(out_t *t, cJSON *map, const model_match_t *m) {
    static const char *const older[] = {
        [MESH_MATCH_EXACT] = "exact_match",
        [MESH_MATCH_PREFIX] = "prefix_match",
        [MESH_MATCH_SUFFIX] = "suffix_match",
        [MESH_MATCH_CONTAINS] = "contains_match",
    };
    char text[24];

    switch (m->op) {
    case MESH_MATCH_PRESENT:
        if (one_in(t, 2)) {
            add(t, map, "present_match", cJSON_CreateBool(true));
        }
        return;
    case MESH_MATCH_RANGE:
        map = map_in(t, map, "range_match");
        snprintf(text, sizeof(text), "%lld", (long long)m->start);
        add_text(t, map, "start", text);
        snprintf(text, sizeof(text), "%lld", (long long)m->end);
        add_text(t, map, "end", text);
        return;
    case MESH_MATCH_REGEX:
        if (one_in(t, 2)) {
            add_regex(t, map, "safe_regex_match", m->value);
            return;
        }
        break;
    default:
        if (!m->ignore_case && one_in(t, 2)) {
            add_str(t, map, older[m->op], m->value);
            return;
        }
    }
    add_string_match(t, map, m);
}

static void add_match_of(out_t *t, cJSON *list, const model_match_t *m) {
    cJSON *map = map_of(list);

    add_str(t, map, "name", m->name);
    if (m->from <= MESH_FROM_SCHEME) {
        add_header_condition(t, map, m);
        add_flag(t, map, "invert_match", m->invert);
        add_flag(t, map, "treat_missing_header_as_empty", m->missing_as_empty);
    } else if (m->op == MESH_MATCH_PRESENT) {
        add(t, map, "present_match", cJSON_CreateBool(!m->invert));
    } else {
        add_string_match(t, map, m);
        if (m->from == MESH_FROM_COOKIE) {
            add_flag(t, map, "invert_match", m->invert);
        }
    }
}

static cJSON *policy(out_t *t, cJSON *map, const char *name) {
    cJSON *item = map_in(t, map, name);

    add_text(t, item, "name", "any");
    return map_in(t, item, "typed_config");
}

static void add_match(out_t *t, cJSON *route, const model_route_t *r) {
    static const char *const paths[] = {
        [MESH_PATH_PREFIX] = "prefix",
        [MESH_PATH_EXACT] = "path",
        [MESH_PATH_SEPARATED] = "path_separated_prefix",
    };
    cJSON *match = map_in(t, route, "match");
    cJSON *lists[3] = {NULL, NULL, NULL};
    static const char *const names[] = {"headers", "query_parameters",
                                        "cookies"};

    if (r->path_match == MESH_PATH_REGEX) {
        add_regex(t, match, "safe_regex", r->path);
    } else if (r->path_match == MESH_PATH_TEMPLATE) {
        cJSON *config = policy(t, match, "path_match_policy");

        add_type(config, "envoy.extensions.path.match.uri_template.v3."
                         "UriTemplateMatchConfig");
        add_str(t, config, "path_template", r->path);
    } else {
        add_str(t, match, paths[r->path_match], r->path);
        if (r->ignore_case || one_in(t, 3)) {
            add(t, match, "case_sensitive", cJSON_CreateBool(!r->ignore_case));
        }
    }
    for (uint32_t i = 0; i < r->nmatches; i++) {
        int k = r->matches[i].from == MESH_FROM_QUERY    ? 1
                : r->matches[i].from == MESH_FROM_COOKIE ? 2
                                                         : 0;
        if (lists[k] == NULL) {
            lists[k] = list_in(t, match, names[k]);
        }
        add_match_of(t, lists[k], &r->matches[i]);
    }
    if (r->grpc) {
        map_in(t, match, "grpc");
    }
    if (r->share.set) {
        cJSON *value =
            map_in(t, map_in(t, match, "runtime_fraction"), "default_value");

        add_number(t, value, "numerator", r->share.ppm);
        add_enum(t, value, "denominator", "MILLION", 2);
    }
}

/* --- header operations --------------------------------------------------- */

static void add_op(out_t *t, cJSON *list, const model_header_op_t *op) {
    static const struct {
        const char *name;
        int number;
    } actions[] = {
        [MESH_OP_ADD] = {"APPEND_IF_EXISTS_OR_ADD", 0},
        [MESH_OP_SET] = {"OVERWRITE_IF_EXISTS_OR_ADD", 2},
        [MESH_OP_ADD_IF_ABSENT] = {"ADD_IF_ABSENT", 1},
        [MESH_OP_OVERWRITE] = {"OVERWRITE_IF_EXISTS", 3},
    };
    cJSON *map = map_of(list);
    cJSON *header = map_in(t, map, "header");
    bool old = op->op == MESH_OP_ADD || op->op == MESH_OP_SET;

    add_str(t, header, "key", op->name);
    add_str(t, header, "value", op->value);
    add_flag(t, map, "keep_empty_value", op->value.len == 0 || op->keep_empty);
    if (old && one_in(t, 2)) {
        add(t, map, "append", cJSON_CreateBool(op->op == MESH_OP_ADD));
    } else if (op->op != MESH_OP_ADD || one_in(t, 2)) {
        add_enum(t, map, "append_action", actions[op->op].name,
                 actions[op->op].number);
    }
}

static void add_ops(out_t *t, cJSON *map, const char *kind,
                    const model_header_ops_t *ops) {
    cJSON *added = NULL;
    cJSON *removed = NULL;
    char name[64];

    for (uint32_t i = 0; i < ops->count; i++) {
        bool remove = ops->v[i].op == MESH_OP_REMOVE;
        cJSON **list = remove ? &removed : &added;

        if (*list == NULL) {
            snprintf(name, sizeof(name), "%s_headers_to_%s", kind,
                     remove ? "remove" : "add");
            *list = list_in(t, map, name);
        }
        if (remove) {
            cJSON_AddItemToArray(*list, str_of(ops->v[i].name));
        } else {
            add_op(t, *list, &ops->v[i]);
        }
    }
}

static void add_both_ops(out_t *t, cJSON *map, const model_header_ops_t *req,
                         const model_header_ops_t *resp) {
    add_ops(t, map, "request", req);
    add_ops(t, map, "response", resp);
}

/* --- actions ------------------------------------------------------------- */

/* "; Max-Age=5; Path=/a; SameSite=Lax; Secure; HttpOnly" taken apart. */
static void add_cookie(out_t *t, cJSON *map, mesh_str_t name,
                       mesh_str_t attributes, bool ttl) {
    char *text = strndup(attributes.len ? attributes.data : "", attributes.len);
    char *rest = text;
    cJSON *list = NULL;
    uint32_t age = 0;

    add_str(t, map, "name", name);
    for (char *word; (word = strsep(&rest, ";")) != NULL;) {
        word += strspn(word, " ");
        char *value = strchr(word, '=');

        if (*word == '\0' || strcmp(word, "HttpOnly") == 0) {
            continue;
        }
        if (value != NULL) {
            *value++ = '\0';
        }
        if (strcmp(word, "Max-Age") == 0) {
            age = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(word, "Path") == 0) {
            add_text(t, map, "path", value);
        } else {
            list = list ? list : list_in(t, map, "attributes");
            cJSON *item = map_of(list);
            add_text(t, item, "name", word);
            if (value != NULL) {
                add_text(t, item, "value", value);
            }
        }
    }
    if (ttl) {
        add(t, map, "ttl", ms_of(age * 1000));
    }
    free(text);
}

static void add_hash_policy(out_t *t, cJSON *list,
                            const model_hash_policy_t *p) {
    cJSON *map = map_of(list);

    switch (p->from) {
    case MESH_HASH_HEADER:
        add_str(t, map_in(t, map, "header"), "header_name", p->name);
        break;
    case MESH_HASH_COOKIE:
        add_cookie(t, map_in(t, map, "cookie"), p->name, p->attributes,
                   p->generate);
        break;
    case MESH_HASH_QUERY:
        add_str(t, map_in(t, map, "query_parameter"), "name", p->name);
        break;
    default:
        add(t, map_in(t, map, "connection_properties"), "source_ip",
            cJSON_CreateBool(true));
    }
    add_flag(t, map, "terminal", p->terminal);
}

static void add_session(out_t *t, cJSON *route, const model_session_t *s) {
    cJSON *per = cJSON_AddObjectToObject(
        map_in(t, route, "typed_per_filter_config"), "any name");

    add_type(per, "envoy.extensions.filters.http.stateful_session.v3."
                  "StatefulSessionPerRoute");
    if (!s->set) {
        add(t, per, "disabled", cJSON_CreateBool(true));
        return;
    }
    cJSON *session = map_in(t, per, "stateful_session");
    cJSON *state = map_in(t, session, "session_state");
    add_text(t, state, "name", "envoy.http.stateful_session.cookie");
    cJSON *config = map_in(t, state, "typed_config");
    add_type(config, "envoy.extensions.http.stateful_session.cookie.v3."
                     "CookieBasedSessionState");
    cJSON *cookie = map_in(t, config, "cookie");
    add_cookie(t, cookie, s->name, s->attributes, true);
    add_flag(t, session, "strict", s->strict);
}

static void add_retry(out_t *t, cJSON *map, const model_retry_t *r) {
    static const struct {
        const char *word;
        uint32_t on;
        uint32_t grpc;
    } words[] = {{"connect-failure", MESH_RETRY_CONNECT_FAILURE, 0},
                 {"reset", MESH_RETRY_RESET, 0},
                 {"gateway-error", MESH_RETRY_GATEWAY_ERROR, 0},
                 {"5xx", MESH_RETRY_5XX, 0},
                 {"retriable-status-codes", MESH_RETRY_STATUS, 0},
                 {"cancelled", 0, 1u << 1},
                 {"deadline-exceeded", 0, 1u << 4},
                 {"resource-exhausted", 0, 1u << 8},
                 {"internal", 0, 1u << 13},
                 {"unavailable", 0, 1u << 14}};
    char on[256] = "";
    size_t len = 0;

    if (!r->set) {
        return;
    }
    cJSON *retry = map_in(t, map, "retry_policy");
    for (size_t i = 0; i < mesh_nelts(words); i++) {
        if ((r->on & words[i].on) || (r->grpc & words[i].grpc)) {
            len += (size_t)snprintf(on + len, sizeof(on) - len, "%s%s",
                                    len ? (one_in(t, 2) ? ", " : ",") : "",
                                    words[i].word);
        }
    }
    add_text(t, retry, "retry_on", on);
    add_number(t, retry, "num_retries", r->attempts);
    if (r->per_try_timeout_ms != 0) {
        add(t, retry, "per_try_timeout", ms_of(r->per_try_timeout_ms));
    }
    cJSON *codes = list_in(t, retry, "retriable_status_codes");
    for (uint32_t i = 0; i < r->ncodes; i++) {
        cJSON_AddItemToArray(codes, cJSON_CreateNumber(r->codes[i]));
    }
}

static void add_split(out_t *t, cJSON *action, const model_route_t *r) {
    const model_split_t *one = r->split;

    if (r->nsplit == 1 && one->request_ops.count == 0 &&
        one->response_ops.count == 0 && one->weight == 1) {
        add_str(t, action, one->by_header ? "cluster_header" : "cluster",
                one->cluster);
        return;
    }
    cJSON *list =
        list_in(t, map_in(t, action, "weighted_clusters"), "clusters");
    for (uint32_t i = 0; i < r->nsplit; i++) {
        cJSON *item = map_of(list);

        add_str(t, item, r->split[i].by_header ? "cluster_header" : "name",
                r->split[i].cluster);
        add_number(t, item, "weight", r->split[i].weight);
        add_both_ops(t, item, &r->split[i].request_ops,
                     &r->split[i].response_ops);
    }
}

static void add_not_found(out_t *t, cJSON *action, const model_route_t *r) {
    static const char *const names[] = {"SERVICE_UNAVAILABLE", "NOT_FOUND",
                                        "INTERNAL_SERVER_ERROR"};

    for (uint32_t i = 0; i < r->nsplit; i++) {
        uint32_t status = r->split[i].not_found;
        uint32_t n = status == 404 ? 1 : status == 500 ? 2 : 0;

        if (r->split[i].by_header && (n != 0 || one_in(t, 2))) {
            add_enum(t, action, "cluster_not_found_response_code", names[n], n);
            return;
        }
    }
}

static void add_regex_rewrite(out_t *t, cJSON *map,
                              const model_regex_rewrite_t *regex) {
    cJSON *item = map_in(t, map, "regex_rewrite");

    add_regex(t, item, "pattern", regex->pattern);
    if (regex->substitution.len != 0 || one_in(t, 2)) {
        add_str(t, item, "substitution", regex->substitution);
    }
}

static void add_rewrite(out_t *t, cJSON *action, const model_route_t *r) {
    const model_rewrite_t *to = &r->rewrite;
    cJSON *config;

    if (r->has_prefix_rewrite) {
        add_str(t, action, "prefix_rewrite", r->prefix_rewrite);
    }
    switch (to->path) {
    case MESH_REWRITE_KEEP:
        break;
    case MESH_REWRITE_REGEX:
        add_regex_rewrite(t, action, &to->regex);
        break;
    case MESH_REWRITE_TEMPLATE:
        config = policy(t, action, "path_rewrite_policy");
        add_type(config, "envoy.extensions.path.rewrite.uri_template.v3."
                         "UriTemplateRewriteConfig");
        add_str(t, config, "path_template_rewrite", to->text);
        break;
    case MESH_REWRITE_WHOLE:
        add_str(t, action, "path_rewrite", to->text);
    }
    if (r->host_rewrite.len != 0) {
        add_str(t, action, "host_rewrite_literal", r->host_rewrite);
    } else if (to->host == MESH_HOST_HEADER) {
        add_str(t, action, "host_rewrite_header", to->header);
    } else if (to->host == MESH_HOST_ENDPOINT) {
        add(t, action, "auto_host_rewrite", cJSON_CreateBool(true));
    }
    add_flag(t, action, "append_x_forwarded_host", to->forward_host);
}

static void add_route_action(out_t *t, cJSON *map, const model_route_t *r) {
    cJSON *action = map_in(t, map, "route");

    add_split(t, action, r);
    add_not_found(t, action, r);
    add_rewrite(t, action, r);
    add(t, action, "timeout", ms_of(r->timeout_ms));
    if (r->idle_timeout_ms != 0) {
        add(t, action, "idle_timeout", ms_of(r->idle_timeout_ms));
    }
    add_retry(t, action, &r->retry);
    if (r->nhash_policies != 0) {
        cJSON *list = list_in(t, action, "hash_policy");

        for (uint32_t i = 0; i < r->nhash_policies; i++) {
            add_hash_policy(t, list, &r->hash_policies[i]);
        }
    }
    if (r->session.set || one_in(t, 4)) {
        add_session(t, map, &r->session);
    }
}

static void add_redirect(out_t *t, cJSON *map, const model_redirect_t *to) {
    static const struct {
        uint32_t status;
        const char *name;
    } codes[] = {{301, "MOVED_PERMANENTLY"},
                 {302, "FOUND"},
                 {303, "SEE_OTHER"},
                 {307, "TEMPORARY_REDIRECT"},
                 {308, "PERMANENT_REDIRECT"}};
    cJSON *out = map_in(t, map, "redirect");

    if (mesh_str_eq(to->scheme, MESH_STR("https")) && one_in(t, 2)) {
        add(t, out, "https_redirect", cJSON_CreateBool(true));
    } else if (to->scheme.len != 0) {
        add_str(t, out, "scheme_redirect", to->scheme);
    }
    if (to->host.len != 0) {
        add_str(t, out, "host_redirect", to->host);
    }
    if (to->port != 0) {
        add_number(t, out, "port_redirect", to->port);
    }
    if (to->path.len != 0) {
        add_str(t, out, "path_redirect", to->path);
    }
    if (to->has_prefix) {
        add_str(t, out, "prefix_rewrite", to->prefix);
    }
    if (to->regex.pattern.len != 0) {
        add_regex_rewrite(t, out, &to->regex);
    }
    for (uint32_t i = 0; i < mesh_nelts(codes); i++) {
        if (codes[i].status == to->status && (i > 0 || one_in(t, 2))) {
            add_enum(t, out, "response_code", codes[i].name, i);
        }
    }
    add_flag(t, out, "strip_query", to->strip_query);
}

static void add_direct(out_t *t, cJSON *map, const model_route_t *r) {
    cJSON *out = map_in(t, map, "direct_response");

    add_number(t, out, "status", r->direct_status);
    if (r->direct_body.len != 0 || one_in(t, 2)) {
        add_str(t, map_in(t, out, "body"), "inline_string", r->direct_body);
    }
}

/* --- tables -------------------------------------------------------------- */

static void add_route(out_t *t, cJSON *map, const model_route_t *r,
                      uint32_t i) {
    char name[16];

    if (i % 3 == 0) {
        snprintf(name, sizeof(name), "n%u", i);
        add_text(t, map, "name", name);
    }
    add_match(t, map, r);
    switch (r->action) {
    case MESH_ACTION_ROUTE:
        add_route_action(t, map, r);
        break;
    case MESH_ACTION_REDIRECT:
        add_redirect(t, map, &r->redirect);
        break;
    case MESH_ACTION_DIRECT:
        add_direct(t, map, r);
    }
    add_both_ops(t, map, &r->request_ops, &r->response_ops);
}

static cJSON *add_table(out_t *t, cJSON *map,
                        const model_route_table_t *table) {
    cJSON *hosts = list_in(t, map, "virtual_hosts");

    add_str(t, map, "name", table->name);
    add_flag(t, map, "ignore_port_in_host_matching",
             !(table->flags & MESH_HOST_KEEP_PORT));
    for (uint32_t i = 0; i < table->nvhosts; i++) {
        const model_vhost_t *h = &table->vhosts[i];
        cJSON *host = map_of(hosts);
        cJSON *domains = list_in(t, host, "domains");
        cJSON *routes = list_in(t, host, "routes");

        add_str(t, host, "name", h->name);
        for (uint32_t k = 0; k < h->ndomains; k++) {
            cJSON_AddItemToArray(domains, str_of(h->domains[k]));
        }
        for (uint32_t k = 0; k < h->nroutes; k++) {
            add_route(t, map_of(routes), &h->routes[k], k);
        }
        add_both_ops(t, host, &h->request_ops, &h->response_ops);
    }
    return map;
}

/* A connection manager with the table in it, or its name. */
static void add_listener(out_t *t, cJSON *map, const model_route_table_t *table,
                         bool inlined) {
    static const char *const actions[] = {
        [MESH_SLASHES_KEEP] = "KEEP_UNCHANGED",
        [MESH_SLASHES_REJECT] = "REJECT_REQUEST",
        [MESH_SLASHES_REDIRECT] = "UNESCAPE_AND_REDIRECT",
        [MESH_SLASHES_UNESCAPE] = "UNESCAPE_AND_FORWARD",
    };
    uint32_t slashes = (table->flags & MESH_SLASHES_MASK) >> MESH_SLASHES_SHIFT;

    add_type(map, "envoy.config.listener.v3.Listener");
    add_text(t, map, "name", "l");
    cJSON *chain = one_in(t, 2) ? map_of(list_in(t, map, "filter_chains"))
                                : map_in(t, map, "default_filter_chain");
    cJSON *filter = map_of(list_in(t, chain, "filters"));
    cJSON *manager = map_in(t, filter, "typed_config");
    add_type(manager, "envoy.extensions.filters.network."
                      "http_connection_manager.v3.HttpConnectionManager");
    add_flag(t, manager, "normalize_path",
             (table->flags & MESH_NORMALIZE_RFC3986) != 0);
    add_flag(t, manager, "merge_slashes",
             (table->flags & MESH_MERGE_SLASHES) != 0);
    add_text(t, manager, "path_with_escaped_slashes_action", actions[slashes]);
    if (inlined) {
        add_table(t, map_in(t, manager, "route_config"), table);
    } else {
        add_str(t, map_in(t, manager, "rds"), "route_config_name", table->name);
    }
    cJSON *filters = list_in(t, manager, "http_filters");
    cJSON *router = map_in(t, map_of(filters), "typed_config");
    add_type(router, "envoy.extensions.filters.http.router.v3.Router");
}

/* --- the document -------------------------------------------------------- */

typedef enum { FORM_LIST, FORM_RESPONSE, FORM_DELTA, FORM_COUNT } form_e;

/* A place for the next resource. */
static cJSON *resource(out_t *t, cJSON *list, form_e form) {
    cJSON *map = map_of(list);

    if (form != FORM_DELTA) {
        return map;
    }
    add_text(t, map, "version", "1");
    return map_in(t, map, "resource");
}

static void add_resources(out_t *t, cJSON *list, const model_part_t *part,
                          form_e form) {
    for (uint32_t i = 0; i < part->ntables; i++) {
        bool inlined = one_in(t, 2);

        add_listener(t, resource(t, list, form), &part->tables[i], inlined);
        if (!inlined) {
            cJSON *map = resource(t, list, form);

            add_type(map, "envoy.config.route.v3.RouteConfiguration");
            add_table(t, map, &part->tables[i]);
        }
    }
    bool *inlined = calloc(part->nclusters + 1, sizeof(*inlined));
    for (uint32_t i = 0; i < part->nclusters; i++) {
        inlined[i] =
            add_cluster(t, resource(t, list, form), part, &part->clusters[i]);
    }
    for (uint32_t i = 0; i < part->nsets; i++) {
        bool there = false;

        for (uint32_t k = 0; k < part->nclusters; k++) {
            there |= inlined[k] &&
                     mesh_str_eq(part->clusters[k].name, part->sets[i].name);
        }
        if (!there) {
            cJSON *map = resource(t, list, form);

            add_type(map, "envoy.config.endpoint.v3.ClusterLoadAssignment");
            add_assignment(t, map, &part->sets[i]);
        }
    }
    free(inlined);
}

char *xds_text_json(const model_part_t *part, rng_t *rng) {
    out_t t = {rng, rng_one_in(rng, 2)};
    form_e form = rng_below(rng, FORM_COUNT);
    cJSON *root =
        form == FORM_LIST ? cJSON_CreateArray() : cJSON_CreateObject();
    cJSON *list = root;

    if (form != FORM_LIST) {
        add_text(&t, root, "nonce", "n");
        list = list_in(&t, root, "resources");
    }
    add_resources(&t, list, part, form);
    char *text =
        one_in(&t, 2) ? cJSON_Print(root) : cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}
