/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Writing models; see model_text.h.  First a tree of cJSON, then text.
 */

#include "model_text.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "model_text_words.h"
#include "random_yaml.h"

/* --- clusters ------------------------------------------------------------ */

static cJSON *address_json(const model_endpoint_t *e) {
    char host[INET6_ADDRSTRLEN] = "";
    char text[160];

    switch (e->family) {
    case MODEL_FAMILY_SERVICE:
        snprintf(text, sizeof(text), "srv:%.*s", (int)e->host.len,
                 e->host.data);
        break;
    case MODEL_FAMILY_HOST:
        snprintf(text, sizeof(text), "%.*s:%u", (int)e->host.len, e->host.data,
                 e->port);
        break;
    case MESH_FAMILY_UNIX:
        snprintf(text, sizeof(text), "unix:%.*s", (int)e->host.len,
                 e->host.data);
        break;
    case MESH_FAMILY_IPV6:
        inet_ntop(AF_INET6, e->addr, host, sizeof(host));
        snprintf(text, sizeof(text), "[%s]:%u", host, e->port);
        break;
    default:
        inet_ntop(AF_INET, e->addr, host, sizeof(host));
        snprintf(text, sizeof(text), "%s:%u", host, e->port);
    }
    return cJSON_CreateString(text);
}

static void add_locality(text_t *t, cJSON *map, const model_locality_t *l) {
    if (l->region.len == 0 && l->sub_zone.len == 0) {
        if (l->zone.len == 0) {
            return;
        }
        if (one_in(t, 2)) {
            add_str(map, "zone", l->zone);
            return;
        }
    }
    cJSON *locality = cJSON_AddObjectToObject(map, "locality");
    if (l->region.len) {
        add_str(locality, "region", l->region);
    }
    if (l->zone.len) {
        add_str(locality, "zone", l->zone);
    }
    if (l->sub_zone.len) {
        add_str(locality, "sub_zone", l->sub_zone);
    }
}

static cJSON *endpoint_json(text_t *t, const model_endpoint_t *e) {
    static const char *const healths[] = {NULL, "healthy", "unhealthy",
                                          "draining"};
    cJSON *map = cJSON_CreateObject();

    cJSON_AddItemToObject(map, "address", address_json(e));
    add_number(t, map, "weight", e->weight, 1);
    add_number(t, map, "priority", e->priority, 0);
    if (!leave_out(t, e->labels.count == 0)) {
        cJSON_AddItemToObject(map, "labels", model_text_labels(t, &e->labels));
    }
    if (healths[e->health] != NULL) {
        cJSON_AddStringToObject(map, "health", healths[e->health]);
    }
    add_locality(t, map, &e->locality);
    if (cJSON_GetArraySize(map) == 1 && one_in(t, 2)) {
        cJSON_Delete(map);
        return address_json(e);
    }
    shuffle(t, map);
    return map;
}

static cJSON *set_json(text_t *t, const model_endpoint_set_t *set) {
    cJSON *list = cJSON_CreateArray();

    for (uint32_t i = 0; i < set->count; i++) {
        cJSON_AddItemToArray(list, endpoint_json(t, &set->v[i]));
    }
    shuffle(t, list);
    return list;
}

static void add_outlier(text_t *t, cJSON *map, const model_outlier_t *o) {
    if (!o->set) {
        return;
    }
    cJSON *item = cJSON_AddObjectToObject(map, "outlier_detection");
    add_number(t, item, "consecutive_5xx", o->consecutive_5xx, 5);
    add_number(t, item, "consecutive_gateway_failure",
               o->consecutive_gateway_failure, 0);
    add_number(t, item, "consecutive_local_origin_failure",
               o->consecutive_local_failure, 5);
    add_bool(t, item, "split_external_local_origin_errors", o->split_local,
             false);
    add_ms(t, item, "base_ejection_time", o->base_ejection_ms, 30000);
    /* Unsaid it is 300 s, or the base if that is longer. */
    add_ms(t, item, "max_ejection_time", o->max_ejection_ms,
           mesh_max(o->base_ejection_ms, 300000));
    add_ms(t, item, "max_ejection_time_jitter", o->jitter_ms, 0);
    add_percent(t, item, "max_ejection_percent", o->max_ejection_percent, 10);
    shuffle(t, item);
}

/* With three places, or with as many as it takes. */
static void add_milli(text_t *t, cJSON *map, const char *name, uint32_t milli) {
    char text[32];
    size_t len = (size_t)snprintf(text, sizeof(text), "%u.%03u", milli / 1000,
                                  milli % 1000);

    while (one_in(t, 2) && text[len - 1] == '0' && text[len - 2] != '.') {
        text[--len] = '\0';
    }
    cJSON_AddRawToObject(map, name, text);
}

static void add_slow_start(text_t *t, cJSON *lb, const model_cluster_t *c) {
    if (c->slow_start_ms == 0) {
        return;
    }
    if (c->aggression_milli == 1000 && c->min_weight_percent == 10 &&
        one_in(t, 2)) {
        add_ms(t, lb, "slow_start", c->slow_start_ms, 0);
        return;
    }
    cJSON *item = cJSON_AddObjectToObject(lb, "slow_start");
    add_ms(t, item, "window", c->slow_start_ms, 0);
    if (!leave_out(t, c->aggression_milli == 1000)) {
        add_milli(t, item, "aggression", c->aggression_milli);
    }
    add_percent(t, item, "min_weight_percent", c->min_weight_percent, 10);
    shuffle(t, item);
}

/* Of whoever hashes or measures; what is 0 another balancer has. */
static void add_lb_params(text_t *t, cJSON *lb, const model_cluster_t *c) {
    switch (c->lb) {
    case MESH_LB_RING_HASH:
        add_number(t, lb, "minimum_ring_size", c->lb_ring_min,
                   mesh_min(1024, c->lb_ring_max));
        cJSON_AddNumberToObject(lb, "maximum_ring_size", c->lb_ring_max);
        break;
    case MESH_LB_MAGLEV:
        add_number(t, lb, "table_size", c->lb_table_size, 65537);
        break;
    case MESH_LB_PEAK_EWMA:
        add_ms(t, lb, "decay_time", c->lb_decay_ms, 10000);
        add_ms(t, lb, "default_rtt", c->lb_default_rtt_ms, 30);
        break;
    case MESH_LB_LEAST_REQUEST:
        add_bool(t, lb, "full_scan", c->lb_full_scan, false);
        if (c->lb_bias_set) {
            add_milli(t, lb, "active_request_bias", c->lb_bias_milli);
        }
        break;
    default:
        break;
    }
    if (c->lb_balance_factor) {
        cJSON_AddNumberToObject(lb, "hash_balance_factor",
                                c->lb_balance_factor);
    }
    add_slow_start(t, lb, c);
}

static void add_weights(text_t *t, cJSON *lb, const model_cluster_t *c) {
    cJSON *list = c->nlocality_weights
                      ? cJSON_AddArrayToObject(lb, "locality_weights")
                      : NULL;

    for (uint32_t i = 0; i < c->nlocality_weights; i++) {
        const model_locality_weight_t *w = &c->locality_weights[i];
        cJSON *item = cJSON_CreateObject();

        if (w->locality.region.len) {
            add_str(item, "region", w->locality.region);
        }
        if (w->locality.zone.len) {
            add_str(item, "zone", w->locality.zone);
        }
        if (w->priority != MESH_PRIORITY_ANY) {
            cJSON_AddNumberToObject(item, "priority", w->priority);
        }
        cJSON_AddNumberToObject(item, "weight", w->weight);
        shuffle(t, item);
        cJSON_AddItemToArray(list, item);
    }
}

static void add_zone_aware(text_t *t, cJSON *lb, const model_zone_aware_t *z) {
    if (!z->set) {
        return;
    }
    cJSON *map = cJSON_AddObjectToObject(lb, "zone_aware");

    if (z->local_cluster.len) {
        add_str(map, "local_cluster", z->local_cluster);
    }
    add_number(t, map, "routing_enabled", z->enabled_percent, 100);
    add_number(t, map, "min_cluster_size", z->min_size, MESH_ZONE_MIN_SIZE);
    if (z->force_min) {
        cJSON_AddNumberToObject(map, "force_local_zone", z->force_min);
    }
    add_bool(t, map, "fail_traffic_on_panic", z->fail_on_panic, false);
    if (!leave_out(t, z->basis == MODEL_BASIS_COUNT)) {
        cJSON_AddStringToObject(map, "locality_basis",
                                z->basis == MODEL_BASIS_WEIGHT ? "weight"
                                                               : "count");
    }
    shuffle(t, map);
}

static void add_lb(text_t *t, cJSON *map, const model_cluster_t *c) {
    static const char *const policies[] = {"round_robin", "least_request",
                                           "random",      "ring_hash",
                                           "maglev",      "peak_ewma"};
    const char *policy = policies[c->lb];
    cJSON *lb = cJSON_CreateObject();

    if (c->lb == MESH_LB_LEAST_REQUEST || c->lb == MESH_LB_PEAK_EWMA) {
        add_number(t, lb, "choices", c->lb_choices, 2);
    }
    add_lb_params(t, lb, c);
    add_weights(t, lb, c);
    add_bool(t, lb, "locality_failover", c->lb_failover, false);
    add_zone_aware(t, lb, &c->zone_aware);
    if (cJSON_GetArraySize(lb) == 0 && one_in(t, 2)) {
        cJSON_Delete(lb);
        if (!leave_out(t, c->lb == MESH_LB_ROUND_ROBIN)) {
            cJSON_AddStringToObject(map, "lb", policy);
        }
        return;
    }
    cJSON_AddStringToObject(lb, "policy", policy);
    shuffle(t, lb);
    cJSON_AddItemToObject(map, "lb", lb);
}

static void add_keepalive(text_t *t, cJSON *map, const model_cluster_t *c) {
    cJSON *item = cJSON_CreateObject();

    add_number(t, item, "max_idle", c->keepalive_idle, 64);
    add_ms(t, item, "idle_timeout", c->keepalive_timeout_ms, 60000);
    add_number(t, item, "max_requests", c->keepalive_requests, 0);
    shuffle(t, item);
    if (cJSON_GetArraySize(item) == 0 && one_in(t, 2)) {
        cJSON_Delete(item);
        return;
    }
    cJSON_AddItemToObject(map, "keepalive", item);
}

static void add_protocol(text_t *t, cJSON *map, model_protocol_e protocol) {
    const char *http2 = one_in(t, 2) ? "http2" : "grpc";

    if (!leave_out(t, protocol == MODEL_HTTP1)) {
        cJSON_AddStringToObject(map, "protocol",
                                protocol == MODEL_HTTP2 ? http2 : "http1");
    }
}

static void add_dns(text_t *t, cJSON *map, const model_dns_t *dns) {
    static const char *const families[] = {"v4_preferred", "v4", "v6", "all"};
    cJSON *item = cJSON_CreateObject();

    if (!leave_out(t, dns->family == MODEL_DNS_V4_PREFERRED)) {
        cJSON_AddStringToObject(item, "family", families[dns->family]);
    }
    if (!leave_out(t, !dns->logical)) {
        cJSON_AddStringToObject(item, "lookup",
                                dns->logical ? "logical" : "strict");
    }
    shuffle(t, item);
    if (cJSON_GetArraySize(item) == 0 && one_in(t, 2)) {
        cJSON_Delete(item);
        return;
    }
    cJSON_AddItemToObject(map, "dns", item);
}

/* What stands in a cluster, or apart from it. */
typedef struct {
    const model_endpoint_set_t *set; /* NULL: none */
    const model_dns_t *dns;          /* NULL: there is no name in it */
} own_set_t;

static cJSON *cluster_json(text_t *t, const model_cluster_t *c, own_set_t own) {
    cJSON *map = cJSON_CreateObject();

    if (own.set != NULL) {
        cJSON_AddItemToObject(map, "endpoints", set_json(t, own.set));
    }
    if (own.dns != NULL) {
        add_dns(t, map, own.dns);
    }
    add_protocol(t, map, c->protocol);
    if (c->endpoint_set.len) {
        add_str(map, "endpoint_set", c->endpoint_set);
    }
    add_lb(t, map, c);
    add_percent(t, map, "panic_threshold", c->panic_percent, 50);
    add_number(t, map, "overprovisioning_factor", c->overprovisioning,
               MESH_LB_OVERPROVISIONING);
    model_text_subsets(t, map, c);
    add_ms(t, map, "connect_timeout", c->connect_timeout_ms, 5000);
    add_outlier(t, map, &c->outlier);
    add_keepalive(t, map, c);
    shuffle(t, map);
    return map;
}

static own_set_t set_of(const model_part_t *part, mesh_str_t name) {
    for (uint32_t i = 0; i < part->nsets; i++) {
        if (mesh_str_eq(part->sets[i].name, name)) {
            return (own_set_t){&part->sets[i], NULL};
        }
    }
    for (uint32_t i = 0; i < part->nnamed; i++) {
        const model_named_set_t *named = &part->named[i];

        if (mesh_str_eq(named->set.name, name)) {
            return (own_set_t){&named->set, &named->dns};
        }
    }
    return (own_set_t){NULL, NULL};
}

static bool is_default(const model_dns_t *dns) {
    return dns == NULL || (dns->family == 0 && !dns->logical);
}

static bool is_cluster(const model_part_t *part, mesh_str_t name) {
    for (uint32_t i = 0; i < part->nclusters; i++) {
        if (mesh_str_eq(part->clusters[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* A cluster's own endpoints stand in it, or apart. */
static void add_clusters(text_t *t, cJSON *file, const model_part_t *part) {
    cJSON *clusters = cJSON_AddObjectToObject(file, "clusters");
    cJSON *sets = cJSON_AddObjectToObject(file, "endpoints");

    for (uint32_t i = 0; i < part->nclusters; i++) {
        const model_cluster_t *c = &part->clusters[i];
        own_set_t own = set_of(part, c->name);

        if (own.set != NULL && is_default(own.dns) && one_in(t, 4)) {
            cJSON_AddItemToObject(sets, c->name.data, set_json(t, own.set));
            own = (own_set_t){NULL, NULL};
        }
        cJSON_AddItemToObject(clusters, c->name.data, cluster_json(t, c, own));
    }
    for (uint32_t i = 0; i < part->nsets; i++) {
        if (!is_cluster(part, part->sets[i].name)) {
            cJSON_AddItemToObject(sets, part->sets[i].name.data,
                                  set_json(t, &part->sets[i]));
        }
    }
    for (uint32_t i = 0; i < part->nnamed; i++) {
        const model_endpoint_set_t *set = &part->named[i].set;

        if (!is_cluster(part, set->name)) {
            cJSON_AddItemToObject(sets, set->name.data, set_json(t, set));
        }
    }
    shuffle(t, clusters);
    shuffle(t, sets);
}

/* --- routes -------------------------------------------------------------- */

/* Alone, or in a map. */
static cJSON *value_json(const model_header_op_t *op) {
    if (!op->keep_empty) {
        return str_of(op->value);
    }
    cJSON *map = cJSON_CreateObject();
    add_str(map, "value", op->value);
    cJSON_AddBoolToObject(map, "keep_empty_value", true);
    return map;
}

/* A name of which more are added takes a list. */
static void add_op(cJSON *ops, const model_header_op_t *op) {
    static const char *const names[] = {"add", "set", "remove", "add_if_absent",
                                        "overwrite_if_exists"};
    const char *name = names[op->op];
    cJSON *map = cJSON_GetObjectItemCaseSensitive(ops, name);

    if (op->op == MESH_OP_REMOVE) {
        map = map ? map : cJSON_AddArrayToObject(ops, name);
        cJSON_AddItemToArray(map, str_of(op->name));
        return;
    }
    map = map ? map : cJSON_AddObjectToObject(ops, name);
    cJSON *before = cJSON_GetObjectItemCaseSensitive(map, op->name.data);
    if (before == NULL) {
        cJSON_AddItemToObject(map, op->name.data, value_json(op));
        return;
    }
    if (!cJSON_IsArray(before)) {
        cJSON *list = cJSON_CreateArray();
        cJSON_AddItemToArray(list, cJSON_Duplicate(before, true));
        cJSON_ReplaceItemInObjectCaseSensitive(map, op->name.data, list);
        before = list;
    }
    cJSON_AddItemToArray(before, value_json(op));
}

static void add_ops(text_t *t, cJSON *map, const char *name,
                    const model_header_ops_t *ops) {
    if (leave_out(t, ops->count == 0)) {
        return;
    }
    cJSON *item = cJSON_AddObjectToObject(map, name);
    for (uint32_t i = 0; i < ops->count; i++) {
        add_op(item, &ops->v[i]);
    }
    shuffle(t, item); /* of set, add, remove: not of what is in them */
}

static void add_i64(cJSON *map, const char *name, int64_t value) {
    char text[32];

    snprintf(text, sizeof(text), "%lld", (long long)value);
    cJSON_AddRawToObject(map, name, text); /* a double has 53 bits */
}

static cJSON *match_json(text_t *t, const model_match_t *h) {
    static const char *const ops[] = {"present",  "exact", "prefix", "suffix",
                                      "contains", "range", "regex"};
    bool flags = h->invert || h->ignore_case || h->missing_as_empty;
    bool invert = h->invert;
    cJSON *map;

    if (h->op == MESH_MATCH_EXACT && !flags && one_in(t, 2)) {
        return str_of(h->value);
    }
    map = cJSON_CreateObject();
    if (h->op == MESH_MATCH_PRESENT) {
        bool present = one_in(t, 2); /* "not there" is said in two ways */
        cJSON_AddBoolToObject(map, "present", present);
        invert = h->invert == present;
    } else if (h->op == MESH_MATCH_RANGE) {
        cJSON *range = cJSON_AddObjectToObject(map, "range");
        add_i64(range, "start", h->start);
        add_i64(range, "end", h->end);
        shuffle(t, range);
    } else {
        add_str(map, ops[h->op], h->value);
    }
    add_bool(t, map, "invert", invert, false);
    if (h->ignore_case) {
        cJSON_AddBoolToObject(map, "ignore_case", true);
    }
    if (h->missing_as_empty) {
        cJSON_AddBoolToObject(map, "treat_missing_as_empty", true);
    }
    shuffle(t, map);
    return map;
}

static void add_path(text_t *t, cJSON *match, const model_route_t *r) {
    static const char *const forms[] = {"prefix", "exact", "separated_prefix",
                                        "regex", "template"};
    bool plain = r->path_match == MESH_PATH_PREFIX && !r->ignore_case;

    if (leave_out(t, plain && mesh_str_eq(r->path, MESH_STR("/")))) {
        return;
    }
    if (plain && one_in(t, 2)) {
        add_str(match, "path", r->path);
        return;
    }
    cJSON *path = cJSON_AddObjectToObject(match, "path");
    add_str(path, forms[r->path_match], r->path);
    add_bool(t, path, "ignore_case", r->ignore_case, false);
    shuffle(t, path);
}

/* Those of one place: headers with pseudo-headers, the query, cookies. */
static void add_matches(text_t *t, cJSON *match, const model_route_t *r,
                        const char *name, mesh_match_from_e first,
                        mesh_match_from_e last) {
    cJSON *map = cJSON_CreateObject();

    for (uint32_t i = 0; i < r->nmatches; i++) {
        const model_match_t *m = &r->matches[i];

        if (m->from >= first && m->from <= last) {
            cJSON_AddItemToObject(map, m->name.data, match_json(t, m));
        }
    }
    if (leave_out(t, cJSON_GetArraySize(map) == 0)) {
        cJSON_Delete(map);
        return;
    }
    cJSON_AddItemToObject(match, name, map);
}

static void add_connection(text_t *t, cJSON *match, const model_route_t *r) {
    for (uint32_t i = 0; i < r->nmatches; i++) {
        const model_match_t *m = &r->matches[i];

        if (m->from == MESH_FROM_SNI) {
            cJSON_AddItemToObject(match, "sni", match_json(t, m));
        } else if (m->from == MESH_FROM_PORT) {
            cJSON_AddRawToObject(match, "port", m->value.data);
        }
    }
}

static void add_source(text_t *t, cJSON *match, const model_addresses_t *a) {
    cJSON *list = cJSON_CreateArray();

    for (uint32_t i = 0; i < a->count; i++) {
        const mesh_cidr_t *cidr = &a->v[i];
        bool v4 = cidr->family == MESH_FAMILY_IPV4;
        char host[INET6_ADDRSTRLEN];
        char text[INET6_ADDRSTRLEN + 8];

        inet_ntop(v4 ? AF_INET : AF_INET6, cidr->addr, host, sizeof(host));
        snprintf(text, sizeof(text), "%s/%u", host, cidr->bits);
        if (cidr->bits == (v4 ? 32 : 128) && one_in(t, 2)) {
            *strchr(text, '/') = '\0';
        }
        cJSON_AddItemToArray(list, cJSON_CreateString(text));
    }
    if (a->count == 0) {
        cJSON_Delete(list);
        return;
    }
    add_list(t, match, "source", list);
}

static void add_methods(text_t *t, cJSON *match, uint16_t bits) {
    static const char *const methods[] = {"GET",     "HEAD",   "POST",
                                          "PUT",     "DELETE", "CONNECT",
                                          "OPTIONS", "TRACE",  "PATCH"};
    cJSON *list;

    if (bits == 0) {
        return;
    }
    list = cJSON_CreateArray();
    for (size_t i = 0; i < mesh_nelts(methods); i++) {
        if (bits >> i & 1) {
            cJSON_AddItemToArray(list, cJSON_CreateString(methods[i]));
        }
    }
    shuffle(t, list);
    add_list(t, match, "methods", list);
}

static void add_match(text_t *t, cJSON *map, const model_route_t *r) {
    cJSON *match = cJSON_CreateObject();

    add_path(t, match, r);
    add_methods(t, match, r->methods);
    add_matches(t, match, r, "headers", MESH_FROM_HEADER, MESH_FROM_SCHEME);
    add_matches(t, match, r, "query", MESH_FROM_QUERY, MESH_FROM_QUERY);
    add_matches(t, match, r, "cookies", MESH_FROM_COOKIE, MESH_FROM_COOKIE);
    add_connection(t, match, r);
    add_bool(t, match, "grpc", r->grpc, false);
    add_source(t, match, &r->addresses);
    if (r->share.set) {
        add_share(t, match, &r->share, false);
    }
    shuffle(t, match);
    if (cJSON_GetArraySize(match) == 0 && one_in(t, 2)) {
        cJSON_Delete(match);
        return;
    }
    cJSON_AddItemToObject(map, "match", match);
}

/* "; Max-Age=5; Path=/; Secure; HttpOnly" as fields; HttpOnly is always. */
static void add_attributes(cJSON *cookie, mesh_str_t attributes) {
    char *copy = strndup(attributes.data, attributes.len);
    cJSON *others = cJSON_CreateObject();
    char *save = NULL;

    for (char *at = strtok_r(copy, "; ", &save); at != NULL;
         at = strtok_r(NULL, "; ", &save)) {
        char *value = strchr(at, '=');
        char ttl[32];

        if (value != NULL) {
            *value++ = '\0';
        }
        if (strcmp(at, "Max-Age") == 0) {
            snprintf(ttl, sizeof(ttl), "%ss", value);
            cJSON_ReplaceItemInObjectCaseSensitive(cookie, "ttl",
                                                   cJSON_CreateString(ttl));
        } else if (strcmp(at, "Path") == 0) {
            cJSON_AddStringToObject(cookie, "path", value);
        } else if (strcmp(at, "HttpOnly") != 0) {
            cJSON_AddStringToObject(others, at, value ? value : "");
        }
    }
    cJSON_AddItemToObject(cookie, "attributes", others);
    free(copy);
}

static cJSON *cookie_json(text_t *t, mesh_str_t name, mesh_str_t attributes) {
    cJSON *cookie;

    if (attributes.len == 0 && one_in(t, 2)) {
        return str_of(name);
    }
    cookie = cJSON_CreateObject();
    add_str(cookie, "name", name);
    if (attributes.len != 0) {
        cJSON_AddStringToObject(cookie, "ttl", "0");
        add_attributes(cookie, attributes);
    }
    shuffle(t, cookie);
    return cookie;
}

static void add_given(cJSON *map, const char *name, mesh_str_t text) {
    if (text.len) {
        add_str(map, name, text);
    }
}

static void add_regex(cJSON *map, const char *name,
                      const model_regex_rewrite_t *regex) {
    if (regex->pattern.len) {
        cJSON *item = cJSON_AddObjectToObject(map, name);

        add_str(item, "pattern", regex->pattern);
        add_str(item, "substitution", regex->substitution);
    }
}

/* A name alone, or a map. */
static cJSON *hashed_json(text_t *t, const model_hash_policy_t *p) {
    cJSON *map;

    if (p->rewrite.pattern.len == 0 && one_in(t, 2)) {
        return str_of(p->name);
    }
    map = cJSON_CreateObject();
    add_str(map, "name", p->name);
    add_regex(map, "regex_rewrite", &p->rewrite);
    shuffle(t, map);
    return map;
}

static cJSON *policy_json(text_t *t, const model_hash_policy_t *p) {
    cJSON *map = cJSON_CreateObject();

    switch (p->from) {
    case MESH_HASH_HEADER:
        cJSON_AddItemToObject(map, "header", hashed_json(t, p));
        break;
    case MESH_HASH_COOKIE:
        cJSON_AddItemToObject(map, "cookie",
                              cookie_json(t, p->name, p->attributes));
        break;
    case MESH_HASH_QUERY:
        add_str(map, "query_parameter", p->name);
        break;
    case MESH_HASH_SOURCE_IP:
        cJSON_AddBoolToObject(map, "source_ip", true);
        break;
    case MESH_HASH_PATH:
        cJSON_AddBoolToObject(map, "path", true);
    }
    add_bool(t, map, "terminal", p->terminal, false);
    shuffle(t, map);
    return map;
}

static void add_affinity(text_t *t, cJSON *map, const model_route_t *r) {
    if (r->nhash_policies != 0) {
        cJSON *list = cJSON_CreateArray();
        for (uint32_t i = 0; i < r->nhash_policies; i++) {
            cJSON_AddItemToArray(list, policy_json(t, &r->hash_policies[i]));
        }
        add_list(t, map, "hash_policy", list);
    }
    if (r->split_by.by == MODEL_SPLIT_BY_HASH && one_in(t, 2)) {
        cJSON_AddStringToObject(map, "split_by", "hash");
    } else if (r->split_by.by == MODEL_SPLIT_BY_HASH) {
        cJSON_AddStringToObject(cJSON_AddObjectToObject(map, "split_by"), "by",
                                "hash");
    } else if (r->split_by.by == MODEL_SPLIT_BY_HEADER) {
        add_str(cJSON_AddObjectToObject(map, "split_by"), "header",
                r->split_by.header);
    }
    if (r->session.set) {
        cJSON *item = cJSON_AddObjectToObject(map, "stateful_session");
        if (r->session.header) {
            add_str(item, "header", r->session.name);
        } else {
            cJSON_AddItemToObject(
                item, "cookie",
                cookie_json(t, r->session.name, r->session.attributes));
        }
        add_bool(t, item, "strict", r->session.strict, false);
        shuffle(t, item);
    }
}

static cJSON *split_json(text_t *t, const model_split_t *s) {
    cJSON *map = cJSON_CreateObject();
    char target[160];

    snprintf(target, sizeof(target), "%.*s%s%.*s", (int)s->cluster.len,
             s->cluster.data, s->subset.len ? "/" : "", (int)s->subset.len,
             s->subset.len ? s->subset.data : "");
    cJSON_AddStringToObject(map, s->by_header ? "cluster_header" : "cluster",
                            target);
    if (s->by_header) {
        add_number(t, map, "cluster_not_found_status", s->not_found, 503);
    }
    add_number(t, map, "weight", s->weight, 1);
    add_ops(t, map, "request_headers", &s->request_ops);
    add_ops(t, map, "response_headers", &s->response_ops);
    if (s->host_rewrite.len != 0) {
        add_str(cJSON_AddObjectToObject(map, "rewrite"), "host",
                s->host_rewrite);
    }
    if (cJSON_GetArraySize(map) == 1 && !s->by_header && one_in(t, 2)) {
        cJSON_Delete(map);
        return cJSON_CreateString(target);
    }
    shuffle(t, map);
    return map;
}

static void add_retry(text_t *t, cJSON *map, const model_retry_t *r) {
    static const char *const conditions[] = {"connect-failure", "reset",
                                             "gateway-error", "5xx"};
    static const char *const statuses[] = {[1] = "cancelled",
                                           [4] = "deadline-exceeded",
                                           [8] = "resource-exhausted",
                                           [13] = "internal",
                                           [14] = "unavailable"};
    cJSON *item = cJSON_AddObjectToObject(map, "retries");
    cJSON *on = cJSON_CreateArray();

    for (size_t i = 0; i < mesh_nelts(conditions); i++) {
        if (r->on >> i & 1) {
            cJSON_AddItemToArray(on, cJSON_CreateString(conditions[i]));
        }
    }
    for (size_t i = 0; i < mesh_nelts(statuses); i++) {
        if (r->grpc >> i & 1) {
            cJSON_AddItemToArray(on, cJSON_CreateString(statuses[i]));
        }
    }
    for (uint32_t i = 0; i < r->ncodes; i++) {
        cJSON_AddItemToArray(on, cJSON_CreateNumber(r->codes[i]));
    }
    shuffle(t, on);
    add_list(t, item, "on", on);
    add_number(t, item, "attempts", r->attempts, 1);
    add_ms(t, item, "per_try_timeout", r->per_try_timeout_ms, 0);
    add_bool(t, item, "retry_unsafe", (r->on & MESH_RETRY_UNSAFE) != 0, false);
    shuffle(t, item);
}

static void add_rewrite(text_t *t, cJSON *map, const model_route_t *r) {
    const model_rewrite_t *w = &r->rewrite;
    cJSON *item = cJSON_CreateObject();

    if (r->has_prefix_rewrite) {
        add_str(item, "prefix", r->prefix_rewrite);
    }
    add_given(item, "host", r->host_rewrite);
    add_regex(item, "regex", &w->regex);
    add_given(item, w->path == MESH_REWRITE_WHOLE ? "path" : "template",
              w->text);
    add_given(item, "host_from_header", w->header);
    add_regex(item, "host_from_path", &w->host_regex);
    if (w->host == MESH_HOST_ENDPOINT) {
        cJSON_AddBoolToObject(item, "host_from_endpoint", true);
    }
    if (w->forward_host) {
        cJSON_AddBoolToObject(item, "append_x_forwarded_host", true);
    }
    if (cJSON_GetArraySize(item) == 0) {
        cJSON_Delete(item);
        return;
    }
    shuffle(t, item);
    cJSON_AddItemToObject(map, "rewrite", item);
}

static void add_routed(text_t *t, cJSON *map, const model_route_t *r) {
    cJSON *list = cJSON_CreateArray();

    for (uint32_t i = 0; i < r->nsplit; i++) {
        cJSON_AddItemToArray(list, split_json(t, &r->split[i]));
    }
    add_list(t, map, "route", list);
    add_rewrite(t, map, r);
    if (r->retry.set) {
        add_retry(t, map, &r->retry);
    }
    add_affinity(t, map, r);
    model_text_policies(t, map, r);
}

static void add_redirect(text_t *t, cJSON *map, const model_redirect_t *r) {
    cJSON *to = cJSON_AddObjectToObject(map, "redirect");

    add_number(t, to, "status", r->status, 301);
    add_given(to, "scheme", r->scheme);
    add_given(to, "host", r->host);
    if (r->port) {
        cJSON_AddNumberToObject(to, "port", r->port);
    }
    add_given(to, "path", r->path);
    if (r->has_prefix) {
        add_str(to, "prefix_rewrite", r->prefix);
    }
    add_regex(to, "regex_rewrite", &r->regex);
    add_bool(t, to, "strip_query", r->strip_query, false);
    shuffle(t, to);
}

static cJSON *route_json(text_t *t, const model_route_t *r) {
    cJSON *map = cJSON_CreateObject();

    add_str(map, "name", r->name);
    add_match(t, map, r);
    switch (r->action) {
    case MESH_ACTION_ROUTE:
        add_routed(t, map, r);
        break;
    case MESH_ACTION_REDIRECT:
        add_redirect(t, map, &r->redirect);
        break;
    case MESH_ACTION_DIRECT:
        if (r->direct_body.len == 0 && one_in(t, 2)) {
            cJSON_AddNumberToObject(map, "respond", r->direct_status);
        } else {
            cJSON *respond = cJSON_AddObjectToObject(map, "respond");
            cJSON_AddNumberToObject(respond, "status", r->direct_status);
            add_str(respond, "body", r->direct_body);
        }
    }
    add_ms(t, map, "timeout", r->timeout_ms, 15000);
    add_ms(t, map, "idle_timeout", r->idle_timeout_ms, 0);
    add_ops(t, map, "request_headers", &r->request_ops);
    add_ops(t, map, "response_headers", &r->response_ops);
    shuffle(t, map);
    return map;
}

static cJSON *host_json(text_t *t, const model_vhost_t *h) {
    cJSON *map = cJSON_CreateObject();
    cJSON *domains = cJSON_CreateArray();

    if (!leave_out(t, mesh_str_eq(h->name, h->domains[0]))) {
        add_str(map, "name", h->name);
    }
    for (uint32_t i = 0; i < h->ndomains; i++) {
        cJSON *domain = str_of(h->domains[i]);

        for (char *p = domain->valuestring; *p; p++) {
            if (*p >= 'a' && *p <= 'z' && one_in(t, 5)) {
                *p = (char)(*p - 'a' + 'A'); /* in any case */
            }
        }
        cJSON_AddItemToArray(domains, domain);
    }
    add_list(t, map, "domains", domains);
    cJSON *routes = cJSON_AddArrayToObject(map, "routes");
    for (uint32_t i = 0; i < h->nroutes; i++) {
        cJSON_AddItemToArray(routes, route_json(t, &h->routes[i]));
    }
    add_ops(t, map, "request_headers", &h->request_ops);
    add_ops(t, map, "response_headers", &h->response_ops);
    shuffle(t, map);
    return map;
}

static void add_table(text_t *t, cJSON *file,
                      const model_route_table_t *table) {
    static const char *const slashes[] = {"keep", "reject", "redirect",
                                          "unescape"};

    if (table->flags_said) {
        uint32_t action =
            (table->flags & MESH_SLASHES_MASK) >> MESH_SLASHES_SHIFT;
        cJSON *item = cJSON_AddObjectToObject(file, "route_table");

        if (!mesh_str_eq(table->name, MESH_STR("default"))) {
            add_str(item, "name", table->name);
        }
        add_bool(t, item, "normalize_path",
                 (table->flags & MESH_NORMALIZE_RFC3986) != 0, true);
        add_bool(t, item, "merge_slashes",
                 (table->flags & MESH_MERGE_SLASHES) != 0, false);
        add_bool(t, item, "ignore_port",
                 (table->flags & MESH_HOST_KEEP_PORT) == 0, true);
        if (!leave_out(t, action == MESH_SLASHES_KEEP)) {
            cJSON_AddStringToObject(item, "escaped_slashes", slashes[action]);
        }
        shuffle(t, item);
    }
    cJSON *hosts = cJSON_AddArrayToObject(file, "hosts");
    for (uint32_t i = 0; i < table->nvhosts; i++) {
        cJSON_AddItemToArray(hosts, host_json(t, &table->vhosts[i]));
    }
}

static cJSON *file_json(text_t *t, const model_part_t *part) {
    cJSON *file = cJSON_CreateObject();

    add_clusters(t, file, part);
    if (part->ntables) {
        add_table(t, file, &part->tables[0]);
    }
    if (part->nruntime) {
        cJSON *values = cJSON_AddObjectToObject(file, "runtime");

        for (uint32_t i = 0; i < part->nruntime; i++) {
            char *key =
                strndup(part->runtime[i].name.data, part->runtime[i].name.len);

            cJSON_AddItemToObject(values, key,
                                  share_of(t, &part->runtime[i].share));
            free(key);
        }
        shuffle(t, values);
    }
    shuffle(t, file);
    return file;
}

char *model_text_json(const model_part_t *part, rng_t *rng) {
    text_t t = {rng};
    cJSON *file = file_json(&t, part);
    char *text =
        one_in(&t, 2) ? cJSON_Print(file) : cJSON_PrintUnformatted(file);

    cJSON_Delete(file);
    return text;
}

char *model_text_yaml(const model_part_t *part, rng_t *rng) {
    text_t t = {rng};
    cJSON *file = file_json(&t, part);
    char *text = random_yaml(file, rng);

    cJSON_Delete(file);
    return text;
}
