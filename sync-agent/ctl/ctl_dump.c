/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `meshctl dump [clusters|routes]`: what the snapshot holds, as JSON in the
 * words of the configuration.  It is JSON for people, too (indented).
 */

#include <stdio.h>

#include "ctl_args.h"
#include "ctl_compiled.h"
#include "ctl_dump.h"
#include "ctl_match.h"
#include "ctl_policy.h"
#include "ctl_sent.h"
#include "ctl_share.h"
#include "ctl_table.h"
#include "ctl_zone.h"
#include "mesh_lb.h"

static void add_text(const ctl_zone_t *zone, cJSON *json, const char *key,
                     mesh_ref_t ref) {
    if (ref != 0) {
        cJSON_AddStringToObject(json, key,
                                ctl_text(zone, mesh_get_str(zone->s, ref)));
    }
}

static void add_nonzero(cJSON *json, const char *key, uint64_t value) {
    if (value != 0) {
        ctl_json_u64(json, key, value);
    }
}

static void add_labels(const ctl_zone_t *zone, cJSON *json, const char *key,
                       mesh_ref_t ref) {
    const mesh_rec_labels_t *labels = mesh_get(zone->s, ref);

    if (labels == NULL) {
        return;
    }
    cJSON *item = cJSON_AddObjectToObject(json, key);
    for (uint32_t i = 0; i < labels->count; i++) {
        add_text(zone, item,
                 ctl_text(zone, mesh_get_str(zone->s, labels->v[i].name)),
                 labels->v[i].value);
    }
}

/* --- clusters -------------------------------------------------------------*/

static cJSON *endpoint_json(const ctl_zone_t *zone, const mesh_endpoint_t *e) {
    static const char *const health[] = {"unknown", "healthy", "unhealthy",
                                         "draining", "degraded"};
    cJSON *item = cJSON_CreateObject();
    char text[256];

    mesh_endpoint_text(zone->s, e, text, sizeof(text));
    cJSON_AddStringToObject(item, "address", text);
    ctl_json_u64(item, "weight", e->weight);
    add_nonzero(item, "priority", e->priority);
    if (e->health != 0 && e->health < mesh_nelts(health)) {
        cJSON_AddStringToObject(item, "health", health[e->health]);
    }
    add_labels(zone, item, "labels", e->labels);
    const mesh_rec_locality_t *locality = mesh_get(zone->s, e->locality);
    if (locality != NULL) {
        add_text(zone, item, "region", locality->region);
        add_text(zone, item, "zone", locality->zone);
        add_text(zone, item, "sub_zone", locality->sub_zone);
    }
    return item;
}

static void add_endpoints(const ctl_zone_t *zone, cJSON *json,
                          const mesh_rec_bind_cluster_t *bind) {
    const mesh_rec_endpoint_set_t *set =
        bind ? mesh_get(zone->s, bind->set) : NULL;
    cJSON *list = cJSON_AddArrayToObject(json, "endpoints");

    for (uint32_t i = 0; set && i < set->count; i++) {
        const mesh_rec_endpoint_chunk_t *chunk = mesh_get(zone->s, set->v[i]);
        for (uint32_t k = 0; k < chunk->count; k++) {
            cJSON_AddItemToArray(list, endpoint_json(zone, &chunk->v[k]));
        }
    }
}

static void add_outlier(const ctl_zone_t *zone, cJSON *json, mesh_ref_t ref) {
    const mesh_rec_outlier_t *o = mesh_get(zone->s, ref);

    if (o == NULL) {
        return;
    }
    cJSON *item = cJSON_AddObjectToObject(json, "outlier_detection");
    ctl_json_u64(item, "consecutive_5xx", o->consecutive_5xx);
    ctl_json_u64(item, "consecutive_gateway_failure",
                 o->consecutive_gateway_failure);
    ctl_json_u64(item, "consecutive_local_failure",
                 o->consecutive_local_failure);
    cJSON_AddBoolToObject(item, "split_local",
                          o->flags & MESH_OUTLIER_SPLIT_LOCAL);
    ctl_json_u64(item, "base_ejection_ms", o->base_ejection_ms);
    ctl_json_u64(item, "max_ejection_ms", o->max_ejection_ms);
    add_nonzero(item, "jitter_ms", o->jitter_ms);
    ctl_json_u64(item, "max_ejection_percent", o->max_ejection_percent);
}

static void add_weights(const ctl_zone_t *zone, cJSON *json, mesh_ref_t ref) {
    const mesh_rec_locality_weights_t *weights = mesh_get(zone->s, ref);

    if (weights == NULL) {
        return;
    }
    cJSON *list = cJSON_AddArrayToObject(json, "locality_weights");
    for (uint32_t i = 0; i < weights->count; i++) {
        const mesh_locality_weight_t *w = &weights->v[i];
        const mesh_rec_locality_t *locality = mesh_get(zone->s, w->locality);
        cJSON *item = cJSON_CreateObject();
        if (locality != NULL) {
            add_text(zone, item, "region", locality->region);
            add_text(zone, item, "zone", locality->zone);
            add_text(zone, item, "sub_zone", locality->sub_zone);
        }
        if (w->priority != MESH_PRIORITY_ANY) {
            ctl_json_u64(item, "priority", w->priority);
        }
        ctl_json_u64(item, "weight", w->weight);
        cJSON_AddItemToArray(list, item);
    }
}

static void add_zone_aware(const ctl_zone_t *zone, cJSON *json,
                           mesh_ref_t ref) {
    const mesh_rec_zone_aware_t *rec = mesh_get(zone->s, ref);

    if (rec == NULL) {
        return;
    }
    cJSON *item = cJSON_AddObjectToObject(json, "zone_aware");
    add_text(zone, item, "local_cluster", rec->local);
    ctl_json_u64(item, "routing_enabled", rec->enabled_percent);
    ctl_json_u64(item, "min_cluster_size", rec->min_size);
    add_nonzero(item, "force_local_zone", rec->force_min);
    cJSON_AddBoolToObject(item, "fail_traffic_on_panic",
                          rec->flags & MESH_ZONE_FAIL_ON_PANIC);
    cJSON_AddStringToObject(item, "locality_basis",
                            rec->flags & MESH_ZONE_BY_WEIGHT ? "weight"
                                                             : "count");
}

static void add_lb_params(const ctl_zone_t *zone, cJSON *json, mesh_ref_t ref) {
    const mesh_rec_lb_t *lb = mesh_get(zone->s, ref);

    if (lb == NULL) {
        return;
    }
    add_nonzero(json, "table_size", lb->table_size);
    add_nonzero(json, "minimum_ring_size", lb->ring_min);
    add_nonzero(json, "maximum_ring_size", lb->ring_max);
    add_nonzero(json, "hash_balance_factor", lb->balance_factor);
    if (lb->flags & MESH_LB_FULL_SCAN) {
        cJSON_AddTrueToObject(json, "full_scan");
    }
    if (lb->flags & MESH_LB_BIAS) {
        cJSON_AddNumberToObject(json, "active_request_bias",
                                lb->bias_milli / 1000.0);
    }
    add_nonzero(json, "decay_time_ms", lb->decay_ms);
    add_nonzero(json, "default_rtt_ms", lb->default_rtt_ms);
    if (lb->slow_start_ms != 0) {
        cJSON *slow = cJSON_AddObjectToObject(json, "slow_start");
        ctl_json_u64(slow, "window_ms", lb->slow_start_ms);
        cJSON_AddNumberToObject(slow, "aggression",
                                lb->aggression_milli / 1000.0);
        ctl_json_u64(slow, "min_weight_percent", lb->min_weight_percent);
    }
    if (lb->flags & MESH_LB_FAILOVER) {
        cJSON_AddTrueToObject(json, "locality_failover");
    }
    add_nonzero(json, "overprovisioning_factor", lb->overprovisioning);
    add_weights(zone, json, lb->weights);
    add_zone_aware(zone, json, lb->zone_aware);
}

/* What is the case unless said is not told. */
static void add_fallback(const ctl_zone_t *zone, cJSON *json, const char *name,
                         const mesh_rec_subsets_t *subsets, uint32_t fallback) {
    if (fallback == MESH_FALLBACK_ANY) {
        cJSON_AddStringToObject(json, name, "any");
    } else if (fallback >= MESH_FALLBACK_SUBSET &&
               fallback < MESH_FALLBACK_KEYS) {
        add_text(zone, cJSON_AddObjectToObject(json, name), "subset",
                 subsets->v[fallback - MESH_FALLBACK_SUBSET].name);
    }
}

/* Those whose bits are in `which`. */
static void add_keys(const ctl_zone_t *zone, cJSON *json,
                     const mesh_rec_refs_t *keys, uint32_t which) {
    cJSON *list = cJSON_AddArrayToObject(json, "keys");

    for (uint32_t i = 0; i < keys->count; i++) {
        if (which & (1u << i)) {
            cJSON_AddItemToArray(
                list, cJSON_CreateString(
                          ctl_text(zone, mesh_get_str(zone->s, keys->v[i]))));
        }
    }
}

static void add_selectors(const ctl_zone_t *zone, cJSON *json,
                          const mesh_rec_subsets_t *subsets) {
    const mesh_rec_selectors_t *rec = mesh_get(zone->s, subsets->selectors);

    if (rec == NULL) {
        return;
    }
    cJSON *list = cJSON_AddArrayToObject(json, "subset_selectors");
    for (uint32_t i = 0; i < rec->count; i++) {
        const mesh_selector_t *selector = &rec->v[i];
        const mesh_rec_refs_t *keys = mesh_get(zone->s, selector->keys);
        cJSON *item = cJSON_CreateObject();

        add_keys(zone, item, keys, UINT32_MAX);
        add_fallback(zone, item, "fallback", subsets, selector->fallback);
        if (selector->fallback == MESH_FALLBACK_NONE) {
            cJSON_AddStringToObject(item, "fallback", "none");
        } else if (selector->fallback == MESH_FALLBACK_KEYS) {
            add_keys(zone, cJSON_AddObjectToObject(item, "fallback"), keys,
                     selector->fallback_keys);
        }
        cJSON_AddItemToArray(list, item);
    }
}

static void add_subsets(const ctl_zone_t *zone, cJSON *json, mesh_ref_t ref) {
    static const struct {
        uint32_t flag;
        const char *name;
    } flags[] = {
        {MESH_SUBSETS_REQUIRED, "subset_required"},
        {MESH_SUBSETS_REDUNDANT, "subset_redundant_labels"},
        {MESH_SUBSETS_PANIC_ANY, "subset_fallback_any"},
    };
    const mesh_rec_subsets_t *subsets = mesh_get(zone->s, ref);

    if (subsets == NULL) {
        return;
    }
    cJSON *list = cJSON_AddObjectToObject(json, "subsets");
    for (uint32_t i = 0; i < subsets->count; i++) {
        add_labels(zone, list,
                   ctl_text(zone, mesh_get_str(zone->s, subsets->v[i].name)),
                   subsets->v[i].labels);
    }
    add_fallback(zone, json, "subset_fallback", subsets, subsets->fallback);
    add_selectors(zone, json, subsets);
    for (size_t i = 0; i < mesh_nelts(flags); i++) {
        if (subsets->flags & flags[i].flag) {
            cJSON_AddTrueToObject(json, flags[i].name);
        }
    }
}

static cJSON *cluster_json(const ctl_zone_t *zone,
                           const mesh_map_entry_t *entry) {
    const mesh_rec_bind_cluster_t *bind = mesh_get(zone->s, entry->value);
    const mesh_rec_cluster_t *c = mesh_get(zone->s, bind->cluster);
    cJSON *item = cJSON_CreateObject();

    cJSON_AddStringToObject(item, "lb",
                            c->lb < MESH_LB_MAX ? mesh_lb[c->lb].name : "?");
    add_lb_params(zone, item, c->lb_params);
    ctl_json_u64(item, "lb_choices", c->lb_choices);
    add_text(zone, item, "endpoint_set", c->endpoint_set);
    cJSON_AddStringToObject(item, "protocol",
                            c->flags & MESH_CLUSTER_HTTP2 ? "http2" : "http1");
    ctl_json_u64(item, "panic_percent", c->panic_percent);
    ctl_json_u64(item, "connect_timeout_ms", c->connect_timeout_ms);
    ctl_json_u64(item, "keepalive_idle", c->keepalive_idle);
    ctl_json_u64(item, "keepalive_timeout_ms", c->keepalive_timeout_ms);
    add_nonzero(item, "keepalive_requests", c->keepalive_requests);
    if (bind->slot != MESH_SLOT_NONE) {
        ctl_json_u64(item, "slot", bind->slot);
    }
    add_outlier(zone, item, c->outlier);
    add_subsets(zone, item, c->subsets);
    add_endpoints(zone, item, bind);
    return item;
}

static void dump_clusters(const ctl_zone_t *zone, cJSON *json) {
    const mesh_rec_binding_t *binding = mesh_get(zone->s, zone->root->binding);
    cJSON *map = cJSON_AddObjectToObject(json, "clusters");
    uint32_t count;
    const mesh_map_entry_t **v =
        ctl_zone_sorted(zone, binding ? binding->clusters : 0, &count);

    for (uint32_t i = 0; i < count; i++) {
        cJSON_AddItemToObject(map,
                              ctl_text(zone, mesh_get_str(zone->s, v[i]->name)),
                              cluster_json(zone, v[i]));
    }
}

/* --- routes ---------------------------------------------------------------*/

static void add_methods(cJSON *json, uint16_t methods) {
    static const char *const names[] = {"GET",     "HEAD",   "POST",
                                        "PUT",     "DELETE", "CONNECT",
                                        "OPTIONS", "TRACE",  "PATCH"};
    if (methods == 0) {
        return;
    }
    cJSON *list = cJSON_AddArrayToObject(json, "methods");
    for (size_t i = 0; i < mesh_nelts(names); i++) {
        if (methods >> i & 1) {
            cJSON_AddItemToArray(list, cJSON_CreateString(names[i]));
        }
    }
    if (methods & MESH_METHOD_OTHER) {
        cJSON_AddItemToArray(list, cJSON_CreateString("other"));
    }
}

static void add_match(const ctl_zone_t *zone, cJSON *json,
                      const mesh_rec_route_t *route) {
    static const char *const names[] = {
        [MESH_PATH_PREFIX] = "prefix",
        [MESH_PATH_EXACT] = "exact",
        [MESH_PATH_SEPARATED] = "separated_prefix",
        [MESH_PATH_REGEX] = "regex",
        [MESH_PATH_TEMPLATE] = "template",
    };
    cJSON *match = cJSON_AddObjectToObject(json, "match");

    add_text(zone, match, names[route->path_match], route->path);
    if (route->flags & MESH_ROUTE_IGNORE_CASE) {
        cJSON_AddTrueToObject(match, "ignore_case");
    }
    add_methods(match, route->methods);
    ctl_match_dump(zone, match, mesh_get(zone->s, route->matches));
    if (route->flags & MESH_ROUTE_GRPC) {
        cJSON_AddTrueToObject(match, "grpc");
    }
    ctl_addresses_dump(zone, match, mesh_get(zone->s, route->addresses));
    if (route->flags & MESH_ROUTE_SHARE) {
        ctl_share_dump(zone, match, route->share_ppm, route->share);
    }
}

static void add_ops(const ctl_zone_t *zone, cJSON *json, const char *key,
                    mesh_ref_t ref) {
    const mesh_rec_header_ops_t *ops = mesh_get(zone->s, ref);

    if (ops == NULL) {
        return;
    }
    cJSON *list = cJSON_AddArrayToObject(json, key);
    for (uint32_t i = 0; i < ops->count; i++) {
        const mesh_header_op_t *op = &ops->v[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "op", ctl_op_name(op->op));
        add_text(zone, item, "name", op->name);
        if (op->value != 0) {
            cJSON_AddStringToObject(item, "value",
                                    ctl_text(zone, ctl_op_text(zone, op)));
        }
        if (op->flags & MESH_OP_KEEP_EMPTY) {
            cJSON_AddTrueToObject(item, "keep_empty_value");
        }
        cJSON_AddItemToArray(list, item);
    }
}

static void add_split(const ctl_zone_t *zone, cJSON *json, mesh_ref_t ref) {
    const mesh_rec_split_t *split = mesh_get(zone->s, ref);
    uint32_t before = 0;

    if (split == NULL) {
        return;
    }
    cJSON *list = cJSON_AddArrayToObject(json, "route");
    for (uint32_t i = 0; i < split->count; i++) {
        const mesh_split_entry_t *e = &split->v[i];
        cJSON *item = cJSON_CreateObject();
        add_text(zone, item,
                 e->flags & MESH_SPLIT_HEADER ? "cluster_header" : "cluster",
                 e->cluster);
        add_nonzero(item, "cluster_not_found_status", e->not_found);
        add_text(zone, item, "subset", e->subset);
        ctl_json_u64(item, "weight", e->upto - before);
        add_text(zone, item, "host_rewrite", e->host_rewrite);
        add_ops(zone, item, "request_headers", e->request_ops);
        add_ops(zone, item, "response_headers", e->response_ops);
        before = e->upto;
        cJSON_AddItemToArray(list, item);
    }
}

static void add_split_by(const ctl_zone_t *zone, cJSON *json,
                         const mesh_rec_route_t *route) {
    if (route->split_header != 0) {
        add_text(zone, cJSON_AddObjectToObject(json, "split_by"), "header",
                 route->split_header);
    } else if (route->flags & MESH_ROUTE_SPLIT_HASH) {
        cJSON_AddStringToObject(json, "split_by", "hash");
    }
}

/* Which statuses and which of gRPC's, where `on` says so. */
static void add_statuses(const ctl_zone_t *zone, cJSON *json,
                         const mesh_rec_retry_t *retry) {
    const mesh_rec_u32s_t *codes = mesh_get(zone->s, retry->codes);
    cJSON *list = codes ? cJSON_AddArrayToObject(json, "statuses") : NULL;

    for (uint32_t i = 0; codes && i < codes->count; i++) {
        cJSON_AddItemToArray(list, cJSON_CreateNumber(codes->v[i]));
    }
    list = retry->grpc ? cJSON_AddArrayToObject(json, "grpc_statuses") : NULL;
    for (uint32_t i = 0; i < 32; i++) {
        if (retry->grpc >> i & 1) {
            cJSON_AddItemToArray(list, cJSON_CreateNumber(i));
        }
    }
}

static void add_retry(const ctl_zone_t *zone, cJSON *json, mesh_ref_t ref) {
    static const char *const names[] = {
        "connect-failure", "reset",  "gateway-error", "5xx",
        "status",          "unsafe", "grpc"};
    const mesh_rec_retry_t *retry = mesh_get(zone->s, ref);

    if (retry == NULL) {
        return;
    }
    cJSON *item = cJSON_AddObjectToObject(json, "retries");
    ctl_json_u64(item, "attempts", retry->attempts);
    add_nonzero(item, "per_try_timeout_ms", retry->per_try_timeout_ms);
    cJSON *on = cJSON_AddArrayToObject(item, "on");
    for (size_t i = 0; i < mesh_nelts(names); i++) {
        if (retry->on >> i & 1) {
            cJSON_AddItemToArray(on, cJSON_CreateString(names[i]));
        }
    }
    add_statuses(zone, item, retry);
}

static void add_regex_rewrite(const ctl_zone_t *zone, cJSON *json,
                              const char *name,
                              const mesh_rec_rewrite_t *rewrite) {
    const mesh_rec_regex_t *regex = mesh_get(zone->s, rewrite->regex);
    cJSON *to = cJSON_AddObjectToObject(json, name);

    add_text(zone, to, "pattern", regex->pattern);
    cJSON_AddStringToObject(
        to, "substitution",
        ctl_text(zone, mesh_get_str(zone->s, rewrite->text)));
}

static void add_hash_policies(const ctl_zone_t *zone, cJSON *json,
                              mesh_ref_t ref) {
    static const char *const names[] = {"header", "cookie", "source_ip",
                                        "query_parameter", "path"};
    const mesh_rec_hash_policies_t *policies = mesh_get(zone->s, ref);

    if (policies == NULL) {
        return;
    }
    cJSON *list = cJSON_AddArrayToObject(json, "hash_policy");
    for (uint32_t i = 0; i < policies->count; i++) {
        const mesh_hash_policy_t *p = &policies->v[i];
        cJSON *item = cJSON_CreateObject();
        if (p->name != 0) {
            add_text(zone, item, names[p->from], p->name);
        } else {
            cJSON_AddTrueToObject(item, names[p->from]);
        }
        add_text(zone, item, "set_cookie", p->attributes);
        if (p->rewrite != 0) {
            add_regex_rewrite(zone, item, "regex_rewrite",
                              mesh_get(zone->s, p->rewrite));
        }
        if (p->flags & MESH_HASH_TERMINAL) {
            cJSON_AddTrueToObject(item, "terminal");
        }
        cJSON_AddItemToArray(list, item);
    }
}

static void add_session(const ctl_zone_t *zone, cJSON *json, mesh_ref_t ref) {
    const mesh_rec_session_t *session = mesh_get(zone->s, ref);

    if (session == NULL) {
        return;
    }
    cJSON *item = cJSON_AddObjectToObject(json, "stateful_session");
    add_text(zone, item,
             session->flags & MESH_SESSION_HEADER ? "header" : "cookie",
             session->name);
    add_text(zone, item, "set_cookie", session->attributes);
    if (session->flags & MESH_SESSION_STRICT) {
        cJSON_AddTrueToObject(item, "strict");
    }
}

static void add_rewrite(const ctl_zone_t *zone, cJSON *json, mesh_ref_t ref) {
    const mesh_rec_rewrite_t *rewrite = mesh_get(zone->s, ref);

    if (rewrite == NULL) {
        return;
    }
    cJSON *item = cJSON_AddObjectToObject(json, "rewrite");
    if (rewrite->path == MESH_REWRITE_REGEX) {
        add_regex_rewrite(zone, item, "regex", rewrite);
    } else if (rewrite->path == MESH_REWRITE_TEMPLATE) {
        add_text(zone, item, "template", rewrite->text);
    } else if (rewrite->path == MESH_REWRITE_WHOLE) {
        const mesh_rec_format_t *format = mesh_get(zone->s, rewrite->text);
        add_text(zone, item, "path", format->text);
    }
    add_text(zone, item, "host_from_header", rewrite->header);
    if (rewrite->host == MESH_HOST_PATH) {
        add_regex_rewrite(zone, item, "host_from_path",
                          mesh_get(zone->s, rewrite->host_rewrite));
    }
    if (rewrite->host == MESH_HOST_ENDPOINT) {
        cJSON_AddTrueToObject(item, "host_from_endpoint");
    }
    if (rewrite->flags & MESH_REWRITE_FORWARD_HOST) {
        cJSON_AddTrueToObject(item, "append_x_forwarded_host");
    }
}

cJSON *ctl_dump_route(const ctl_zone_t *zone, const mesh_rec_route_t *route) {
    const mesh_rec_redirect_t *redirect = mesh_get(zone->s, route->redirect);
    const mesh_rec_direct_t *direct = mesh_get(zone->s, route->direct);
    cJSON *item = cJSON_CreateObject();

    add_text(zone, item, "name", route->name);
    add_match(zone, item, route);
    add_split(zone, item, route->split);
    add_split_by(zone, item, route);
    if (redirect != NULL) {
        cJSON *to = cJSON_AddObjectToObject(item, "redirect");
        ctl_json_u64(to, "status", redirect->status);
        cJSON_AddBoolToObject(to, "strip_query",
                              redirect->flags & MESH_REDIRECT_STRIP_QUERY);
        add_text(zone, to, "scheme", redirect->scheme);
        add_text(zone, to, "host", redirect->host);
        add_text(zone, to, "path", redirect->path);
        add_text(zone, to, "prefix", redirect->prefix);
        add_rewrite(zone, to, redirect->rewrite);
        add_nonzero(to, "port", redirect->port);
    }
    if (direct != NULL) {
        cJSON *respond = cJSON_AddObjectToObject(item, "respond");
        ctl_json_u64(respond, "status", direct->status);
        add_text(zone, respond, "body", direct->body);
    }
    add_text(zone, item, "prefix_rewrite", route->prefix_rewrite);
    add_text(zone, item, "host_rewrite", route->host_rewrite);
    add_rewrite(zone, item, route->rewrite);
    add_ops(zone, item, "request_headers", route->request_ops);
    add_ops(zone, item, "response_headers", route->response_ops);
    add_retry(zone, item, route->retry);
    add_hash_policies(zone, item, route->hash_policies);
    add_session(zone, item, route->session);
    ctl_policies_dump(zone, item, route);
    add_nonzero(item, "timeout_ms", route->timeout_ms);
    add_nonzero(item, "idle_timeout_ms", route->idle_timeout_ms);
    return item;
}

static cJSON *vhost_json(const ctl_zone_t *zone,
                         const mesh_rec_vhost_t *vhost) {
    const mesh_rec_refs_t *routes = mesh_get(zone->s, vhost->routes);
    cJSON *item = cJSON_CreateObject();

    add_text(zone, item, "name", vhost->name);
    add_ops(zone, item, "request_headers", vhost->request_ops);
    add_ops(zone, item, "response_headers", vhost->response_ops);
    cJSON *list = cJSON_AddArrayToObject(item, "routes");
    for (uint32_t i = 0; routes && i < routes->count; i++) {
        cJSON_AddItemToArray(
            list, ctl_dump_route(zone, mesh_get(zone->s, routes->v[i])));
    }
    return item;
}

/* One entry a domain; `format` puts the "*" back where it stood. */
static void add_domains(const ctl_zone_t *zone, cJSON *json, mesh_ref_t map,
                        const char *before, const char *behind) {
    uint32_t count;
    const mesh_map_entry_t **v = ctl_zone_sorted(zone, map, &count);

    for (uint32_t i = 0; i < count; i++) {
        const char *domain = arena_printf(
            zone->arena, "%s%s%s", before,
            ctl_text(zone, mesh_get_str(zone->s, v[i]->name)), behind);
        cJSON_AddItemToObject(json, domain,
                              vhost_json(zone, mesh_get(zone->s, v[i]->value)));
    }
}

static void add_options(cJSON *json, uint32_t flags) {
    static const char *const slashes[] = {"keep", "reject", "redirect",
                                          "unescape"};
    uint32_t action = (flags & MESH_SLASHES_MASK) >> MESH_SLASHES_SHIFT;

    cJSON_AddBoolToObject(json, "normalize_path",
                          flags & MESH_NORMALIZE_RFC3986);
    cJSON_AddBoolToObject(json, "merge_slashes", flags & MESH_MERGE_SLASHES);
    cJSON_AddStringToObject(json, "escaped_slashes",
                            action < mesh_nelts(slashes) ? slashes[action]
                                                         : "?");
    cJSON_AddBoolToObject(json, "ignore_port", !(flags & MESH_HOST_KEEP_PORT));
}

static void dump_routes(const ctl_zone_t *zone, cJSON *json) {
    const mesh_rec_policy_t *policy = mesh_get(zone->s, zone->root->policy);
    cJSON *map = cJSON_AddObjectToObject(json, "route_tables");
    uint32_t count;
    const mesh_map_entry_t **v =
        ctl_zone_sorted(zone, policy ? policy->route_tables : 0, &count);

    for (uint32_t i = 0; i < count; i++) {
        const mesh_rec_route_table_t *table = mesh_get(zone->s, v[i]->value);
        cJSON *item = cJSON_AddObjectToObject(
            map, ctl_text(zone, mesh_get_str(zone->s, v[i]->name)));
        add_options(item, table->flags);
        cJSON *domains = cJSON_AddObjectToObject(item, "domains");
        add_domains(zone, domains, table->exact, "", "");
        add_domains(zone, domains, table->suffix, "*", "");
        add_domains(zone, domains, table->prefix, "", "*");
        if (table->any != 0) {
            cJSON_AddItemToObject(
                domains, "*", vhost_json(zone, mesh_get(zone->s, table->any)));
        }
    }
}

static void dump_runtime(const ctl_zone_t *zone, cJSON *json) {
    const mesh_rec_policy_t *policy = mesh_get(zone->s, zone->root->policy);
    const mesh_rec_runtime_values_t *runtime =
        mesh_get(zone->s, policy ? policy->runtime : 0);
    cJSON *map = cJSON_AddObjectToObject(json, "runtime");

    for (uint32_t i = 0; runtime && i < runtime->count; i++) {
        const mesh_runtime_value_t *v = &runtime->v[i];

        cJSON_AddRawToObject(map, ctl_text(zone, mesh_get_str(zone->s, v->key)),
                             ctl_share_text(zone, v->ppm, v->denominator));
    }
}

cJSON *ctl_dump_json(const ctl_zone_t *zone, bool clusters, bool routes) {
    cJSON *json = cJSON_CreateObject();

    ctl_json_u64(json, "generation", zone->root->generation);
    if (clusters) {
        dump_clusters(zone, json);
    }
    if (routes) {
        dump_routes(zone, json);
        dump_runtime(zone, json);
    }
    return json;
}

int ctl_dump(const ctl_args_t *args) {
    const char *what = args->argc ? args->argv[0] : "";
    bool clusters = what[0] == '\0' || strcmp(what, "clusters") == 0;
    bool routes = what[0] == '\0' || strcmp(what, "routes") == 0;
    ctl_zone_t zone;

    if (!clusters && !routes) {
        fprintf(stderr, "meshctl: dump clusters, routes, or both\n");
        return CTL_EXIT_USAGE;
    }
    int rc = ctl_zone_of(&zone, args);
    if (rc != CTL_EXIT_OK) {
        return rc;
    }
    cJSON *json = ctl_dump_json(&zone, clusters, routes);
    if (args->json) {
        ctl_json_print(json, stdout);
    } else {
        ctl_json_print_lines(json, stdout);
    }
    ctl_zone_close(&zone);
    return CTL_EXIT_OK;
}
