/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reading models back; see model_read.h.
 */

#include "model_read.h"

#include <stdlib.h>

#include "mesh_route.h"

typedef struct {
    arena_t *arena;
    const mesh_snapshot_t *s;
} reader_t;

static void *array(const reader_t *r, uint32_t count, size_t size) {
    return arena_alloc(r->arena, count * size);
}

/* Unset is the null string: as the decoder leaves it. */
static mesh_str_t text(const reader_t *r, mesh_ref_t ref) {
    return ref ? mesh_get_str(r->s, ref) : MESH_STR_NULL;
}

static uint32_t map_count(const reader_t *r, mesh_ref_t map) {
    const mesh_rec_map_t *rec = mesh_get(r->s, map);

    return rec ? rec->count : 0;
}

/* --- clusters ------------------------------------------------------------ */

static model_labels_t labels(const reader_t *r, mesh_ref_t ref) {
    const mesh_rec_labels_t *rec = mesh_get(r->s, ref);
    model_labels_t made = {rec ? rec->count : 0, NULL};

    made.v = array(r, made.count, sizeof(*made.v));
    for (uint32_t i = 0; i < made.count; i++) {
        made.v[i] =
            (model_label_t){text(r, rec->v[i].name), text(r, rec->v[i].value)};
    }
    return made;
}

static model_outlier_t outlier(const reader_t *r, mesh_ref_t ref) {
    const mesh_rec_outlier_t *o = mesh_get(r->s, ref);

    if (o == NULL) {
        return (model_outlier_t){.set = false};
    }
    return (model_outlier_t){
        .set = true,
        .consecutive_5xx = o->consecutive_5xx,
        .consecutive_gateway_failure = o->consecutive_gateway_failure,
        .consecutive_local_failure = o->consecutive_local_failure,
        .split_local = (o->flags & MESH_OUTLIER_SPLIT_LOCAL) != 0,
        .base_ejection_ms = o->base_ejection_ms,
        .max_ejection_ms = o->max_ejection_ms,
        .jitter_ms = o->jitter_ms,
        .max_ejection_percent = o->max_ejection_percent,
    };
}

static model_locality_t locality(const reader_t *r, mesh_ref_t ref) {
    const mesh_rec_locality_t *rec = mesh_get(r->s, ref);

    if (rec == NULL) {
        return (model_locality_t){.zone = MESH_STR_NULL};
    }
    return (model_locality_t){text(r, rec->region), text(r, rec->zone),
                              text(r, rec->sub_zone)};
}

static void locality_weights(const reader_t *r, model_cluster_t *c,
                             mesh_ref_t ref) {
    const mesh_rec_locality_weights_t *rec = mesh_get(r->s, ref);

    c->nlocality_weights = rec ? rec->count : 0;
    c->locality_weights =
        array(r, c->nlocality_weights, sizeof(*c->locality_weights));
    for (uint32_t i = 0; i < c->nlocality_weights; i++) {
        c->locality_weights[i] = (model_locality_weight_t){
            .locality = locality(r, rec->v[i].locality),
            .priority = rec->v[i].priority,
            .weight = rec->v[i].weight,
        };
    }
}

static model_zone_aware_t zone_aware(const reader_t *r,
                                     const mesh_rec_zone_aware_t *rec) {
    if (rec == NULL) {
        return (model_zone_aware_t){.set = false};
    }
    return (model_zone_aware_t){
        .set = true,
        .local_cluster = text(r, rec->local),
        .enabled_percent = rec->enabled_percent,
        .min_size = rec->min_size,
        .force_min = rec->force_min,
        .fail_on_panic = (rec->flags & MESH_ZONE_FAIL_ON_PANIC) != 0,
        .basis = rec->flags & MESH_ZONE_BY_WEIGHT ? MODEL_BASIS_WEIGHT
                                                  : MODEL_BASIS_COUNT,
    };
}

static void balancer(const reader_t *r, model_cluster_t *c,
                     const mesh_rec_lb_t *rec) {
    c->overprovisioning = MESH_LB_OVERPROVISIONING;
    if (rec == NULL) {
        return;
    }
    if (rec->overprovisioning) {
        c->overprovisioning = rec->overprovisioning;
    }
    locality_weights(r, c, rec->weights);
    c->zone_aware = zone_aware(r, mesh_get(r->s, rec->zone_aware));
    c->lb_table_size = rec->table_size;
    c->lb_ring_min = rec->ring_min;
    c->lb_ring_max = rec->ring_max;
    c->lb_balance_factor = rec->balance_factor;
    c->lb_full_scan = (rec->flags & MESH_LB_FULL_SCAN) != 0;
    c->lb_bias_set = (rec->flags & MESH_LB_BIAS) != 0;
    c->lb_failover = (rec->flags & MESH_LB_FAILOVER) != 0;
    c->lb_bias_milli = rec->bias_milli;
    c->lb_decay_ms = rec->decay_ms;
    c->lb_default_rtt_ms = rec->default_rtt_ms;
    c->slow_start_ms = rec->slow_start_ms;
    c->aggression_milli = rec->aggression_milli;
    c->min_weight_percent = rec->min_weight_percent;
}

static model_fallback_t
fallback(const reader_t *r, const mesh_rec_subsets_t *subsets, uint32_t said) {
    switch (said) {
    case MESH_FALLBACK_NONE:
        return (model_fallback_t){.kind = MODEL_FALLBACK_NONE};
    case MESH_FALLBACK_ANY:
        return (model_fallback_t){.kind = MODEL_FALLBACK_ANY};
    case MESH_FALLBACK_KEYS:
        return (model_fallback_t){.kind = MODEL_FALLBACK_KEYS};
    case MESH_FALLBACK_CLUSTER:
        return (model_fallback_t){.kind = MODEL_FALLBACK_CLUSTER};
    default:
        return (model_fallback_t){
            .kind = MODEL_FALLBACK_SUBSET,
            .subset = text(r, subsets->v[said - MESH_FALLBACK_SUBSET].name)};
    }
}

static void selector(const reader_t *r, model_selector_t *to,
                     const mesh_rec_subsets_t *subsets,
                     const mesh_selector_t *rec) {
    const mesh_rec_refs_t *keys = mesh_get(r->s, rec->keys);

    to->nkeys = keys->count;
    to->keys = array(r, keys->count, sizeof(*to->keys));
    to->fallback = fallback(r, subsets, rec->fallback);
    to->fallback.keys = array(r, keys->count, sizeof(*to->keys));
    for (uint32_t i = 0; i < keys->count; i++) {
        to->keys[i] = text(r, keys->v[i]);
        if (rec->fallback_keys & (1u << i)) {
            to->fallback.keys[to->fallback.nkeys++] = to->keys[i];
        }
    }
}

static void selectors(const reader_t *r, model_cluster_t *c,
                      const mesh_rec_subsets_t *subsets) {
    const mesh_rec_selectors_t *rec = mesh_get(r->s, subsets->selectors);

    c->nselectors = rec ? rec->count : 0;
    c->selectors = array(r, c->nselectors, sizeof(*c->selectors));
    for (uint32_t i = 0; i < c->nselectors; i++) {
        selector(r, &c->selectors[i], subsets, &rec->v[i]);
    }
}

static void cluster(const reader_t *r, model_cluster_t *c,
                    const mesh_rec_cluster_t *rec) {
    const mesh_rec_subsets_t *subsets = mesh_get(r->s, rec->subsets);

    *c = (model_cluster_t){
        .name = text(r, rec->name),
        .endpoint_set = text(r, rec->endpoint_set),
        .lb = (mesh_lb_e)rec->lb,
        .lb_choices = rec->lb_choices,
        .panic_percent = rec->panic_percent,
        .connect_timeout_ms = rec->connect_timeout_ms,
        .protocol = rec->flags & MESH_CLUSTER_HTTP2 ? MODEL_HTTP2 : MODEL_HTTP1,
        .outlier = outlier(r, rec->outlier),
        .nsubsets = subsets ? subsets->count : 0,
        .keepalive_idle = rec->keepalive_idle,
        .keepalive_timeout_ms = rec->keepalive_timeout_ms,
        .keepalive_requests = rec->keepalive_requests,
    };
    balancer(r, c, mesh_get(r->s, rec->lb_params));
    c->subsets = array(r, c->nsubsets, sizeof(*c->subsets));
    for (uint32_t i = 0; i < c->nsubsets; i++) {
        c->subsets[i] = (model_subset_t){text(r, subsets->v[i].name),
                                         labels(r, subsets->v[i].labels)};
    }
    if (subsets != NULL) {
        c->fallback = fallback(r, subsets, subsets->fallback);
        c->subset_required = subsets->flags & MESH_SUBSETS_REQUIRED;
        c->subset_redundant = subsets->flags & MESH_SUBSETS_REDUNDANT;
        c->subset_panic_any = subsets->flags & MESH_SUBSETS_PANIC_ANY;
        selectors(r, c, subsets);
    }
}

static void endpoint(const reader_t *r, model_endpoint_t *e,
                     const mesh_endpoint_t *rec) {
    *e = (model_endpoint_t){
        .family = rec->family,
        .health = rec->health,
        .port = rec->port,
        .host = text(r, rec->host),
        .weight = rec->weight,
        .priority = rec->priority,
        .labels = labels(r, rec->labels),
    };
    memcpy(e->addr, rec->addr, sizeof(e->addr));
    e->locality = locality(r, rec->locality);
}

static void endpoint_set(const reader_t *r, model_endpoint_set_t *set,
                         mesh_ref_t name, const mesh_rec_endpoint_set_t *rec) {
    *set = (model_endpoint_set_t){.name = text(r, name)};
    set->v = array(r, rec->total, sizeof(*set->v));
    for (uint32_t i = 0; i < rec->count; i++) {
        const mesh_rec_endpoint_chunk_t *chunk = mesh_get(r->s, rec->v[i]);

        for (uint32_t k = 0; k < chunk->count; k++) {
            endpoint(r, &set->v[set->count++], &chunk->v[k]);
        }
    }
}

/* --- routes -------------------------------------------------------------- */

static model_header_ops_t header_ops(const reader_t *r, mesh_ref_t ref) {
    const mesh_rec_header_ops_t *rec = mesh_get(r->s, ref);
    model_header_ops_t ops = {rec ? rec->count : 0, NULL};

    ops.v = array(r, ops.count, sizeof(*ops.v));
    for (uint32_t i = 0; i < ops.count; i++) {
        const mesh_rec_format_t *format = mesh_op_format(r->s, &rec->v[i]);

        ops.v[i] = (model_header_op_t){
            .op = (mesh_header_op_e)rec->v[i].op,
            .keep_empty = (rec->v[i].flags & MESH_OP_KEEP_EMPTY) != 0,
            .name = text(r, rec->v[i].name),
            .value = text(r, format ? format->text : rec->v[i].value)};
    }
    return ops;
}

/* RANGE and REGEX have records of their own, others a text. */
static void match_value(const reader_t *r, model_match_t *match,
                        mesh_ref_t ref) {
    const mesh_rec_range_t *range;
    const mesh_rec_regex_t *regex;

    switch (match->op) {
    case MESH_MATCH_RANGE:
        range = mesh_get(r->s, ref);
        match->start = range->start;
        match->end = range->end;
        break;
    case MESH_MATCH_REGEX:
        regex = mesh_get(r->s, ref);
        match->value = text(r, regex->pattern);
        break;
    default:
        match->value = text(r, ref);
    }
}

static void matches(const reader_t *r, model_route_t *route,
                    const mesh_rec_matches_t *rec) {
    route->nmatches = rec ? rec->count : 0;
    route->matches = array(r, route->nmatches, sizeof(*route->matches));
    for (uint32_t i = 0; i < route->nmatches; i++) {
        const mesh_match_t *from = &rec->v[i];

        route->matches[i] = (model_match_t){
            .from = (mesh_match_from_e)from->from,
            .op = (mesh_match_op_e)from->op,
            .invert = (from->flags & MESH_MATCH_INVERT) != 0,
            .ignore_case = (from->flags & MESH_MATCH_IGNORE_CASE) != 0,
            .missing_as_empty = (from->flags & MESH_MATCH_MISSING) != 0,
            .name = text(r, from->name),
        };
        match_value(r, &route->matches[i], from->value);
    }
}

static void addresses(const reader_t *r, model_route_t *route,
                      const mesh_rec_addresses_t *rec) {
    model_addresses_t *to = &route->addresses;

    to->count = rec ? rec->count : 0;
    to->v = array(r, to->count, sizeof(*to->v));
    for (uint32_t i = 0; i < to->count; i++) {
        to->v[i] = rec->v[i];
    }
}

/* Of a REWRITE by one, or of none. */
static model_regex_rewrite_t regex_rewrite(const reader_t *r, mesh_ref_t ref) {
    const mesh_rec_rewrite_t *rec = mesh_get(r->s, ref);
    model_regex_rewrite_t made = {.pattern = MESH_STR_NULL};

    if (rec != NULL) {
        const mesh_rec_regex_t *regex = mesh_get(r->s, rec->regex);

        made.pattern = text(r, regex->pattern);
        made.substitution = text(r, rec->text);
    }
    return made;
}

static void affinity(const reader_t *r, model_route_t *route,
                     const mesh_rec_hash_policies_t *rec,
                     const mesh_rec_session_t *session) {
    route->nhash_policies = rec ? rec->count : 0;
    route->hash_policies =
        array(r, route->nhash_policies, sizeof(*route->hash_policies));
    for (uint32_t i = 0; i < route->nhash_policies; i++) {
        const mesh_hash_policy_t *from = &rec->v[i];

        route->hash_policies[i] = (model_hash_policy_t){
            .from = (mesh_hash_from_e)from->from,
            .terminal = (from->flags & MESH_HASH_TERMINAL) != 0,
            .generate = (from->flags & MESH_HASH_GENERATE) != 0,
            .name = text(r, from->name),
            .attributes = text(r, from->attributes),
            .rewrite = regex_rewrite(r, from->rewrite),
        };
    }
    if (session != NULL) {
        route->session = (model_session_t){
            .set = true,
            .strict = (session->flags & MESH_SESSION_STRICT) != 0,
            .header = (session->flags & MESH_SESSION_HEADER) != 0,
            .name = text(r, session->name),
            .attributes = text(r, session->attributes),
        };
    }
}

static void cors(const reader_t *r, model_route_t *route,
                 const mesh_rec_cors_t *rec) {
    const mesh_rec_matches_t *origins;

    if (rec == NULL) {
        return;
    }
    origins = mesh_get(r->s, rec->origins);
    route->cors = (model_cors_t){
        .set = true,
        .origins.count = origins ? origins->count : 0,
        .methods = text(r, rec->allow_methods),
        .headers = text(r, rec->allow_headers),
        .expose = text(r, rec->expose_headers),
        .max_age = text(r, rec->max_age),
        .credentials = (rec->flags & MESH_CORS_CREDENTIALS) != 0,
        .private_network = (rec->flags & MESH_CORS_PRIVATE_NETWORK) != 0,
        .forward_foreign = (rec->flags & MESH_CORS_ANSWER_ALL) == 0,
    };
    route->cors.origins.v =
        array(r, route->cors.origins.count, sizeof(*route->cors.origins.v));
    for (uint32_t i = 0; i < route->cors.origins.count; i++) {
        model_match_t *to = &route->cors.origins.v[i];

        to->op = (mesh_match_op_e)origins->v[i].op;
        to->ignore_case = (origins->v[i].flags & MESH_MATCH_IGNORE_CASE) != 0;
        match_value(r, to, origins->v[i].value);
    }
}

/* As it was written: what is in force follows from it and the runtime. */
static model_share_t share(const reader_t *r, mesh_ref_t ref) {
    const mesh_rec_share_t *rec = mesh_get(r->s, ref);

    if (rec == NULL) {
        return (model_share_t){.set = false};
    }
    return (model_share_t){true, rec->default_ppm, rec->default_denominator,
                           text(r, rec->key)};
}

static void policies(const reader_t *r, model_route_t *route,
                     const mesh_rec_route_t *rec) {
    const mesh_rec_mirrors_t *mirrors = mesh_get(r->s, rec->mirrors);
    const mesh_rec_internal_redirect_t *follow =
        mesh_get(r->s, rec->internal_redirect);
    model_mirrors_t *to = &route->mirrors;

    route->body_limit = rec->body_limit;
    cors(r, route, mesh_get(r->s, rec->cors));
    if (follow != NULL) {
        route->follow = (model_internal_redirects_t){
            .set = true,
            .max = follow->max,
            .codes = follow->codes,
            .cross_scheme = (follow->flags & MESH_FOLLOW_CROSS_SCHEME) != 0,
        };
    }
    to->count = mirrors ? mirrors->count : 0;
    to->v = array(r, to->count, sizeof(*to->v));
    for (uint32_t i = 0; i < to->count; i++) {
        to->v[i] = (model_mirror_t){
            .cluster = text(r, mirrors->v[i].cluster),
            .subset = text(r, mirrors->v[i].subset),
            .share = share(r, mirrors->v[i].share),
            .shadow_host = (mirrors->v[i].flags & MESH_MIRROR_SAME_HOST) == 0,
        };
    }
}

static void split(const reader_t *r, model_route_t *route,
                  const mesh_rec_split_t *rec) {
    uint32_t before = 0;

    route->nsplit = rec ? rec->count : 0;
    route->split = array(r, route->nsplit, sizeof(*route->split));
    for (uint32_t i = 0; i < route->nsplit; i++) {
        const mesh_split_entry_t *e = &rec->v[i];

        route->split[i] = (model_split_t){
            .cluster = text(r, e->cluster),
            .subset = text(r, e->subset),
            .by_header = (e->flags & MESH_SPLIT_HEADER) != 0,
            .not_found = e->not_found,
            .weight = e->upto - before,
            .host_rewrite = text(r, e->host_rewrite),
            .request_ops = header_ops(r, e->request_ops),
            .response_ops = header_ops(r, e->response_ops),
        };
        before = e->upto;
    }
}

static model_split_by_t split_by(const reader_t *r,
                                 const mesh_rec_route_t *rec) {
    return (model_split_by_t){
        .by = rec->split_header != 0               ? MODEL_SPLIT_BY_HEADER
              : rec->flags & MESH_ROUTE_SPLIT_HASH ? MODEL_SPLIT_BY_HASH
                                                   : MODEL_SPLIT_BY_TICKET,
        .header = text(r, rec->split_header),
    };
}

static model_rewrite_t rewrite(const reader_t *r, mesh_ref_t ref) {
    const mesh_rec_rewrite_t *rec = mesh_get(r->s, ref);
    model_rewrite_t made = {.path = MESH_REWRITE_KEEP};

    if (rec == NULL) {
        return made;
    }
    made.path = (mesh_path_rewrite_e)rec->path;
    if (rec->path == MESH_REWRITE_REGEX) {
        made.regex = regex_rewrite(r, ref);
    } else if (rec->path == MESH_REWRITE_WHOLE) {
        const mesh_rec_format_t *format = mesh_get(r->s, rec->text);

        made.text = text(r, format->text);
    } else {
        made.text = text(r, rec->text);
    }
    made.host = (mesh_host_rewrite_e)rec->host;
    made.header = text(r, rec->header);
    made.host_regex = regex_rewrite(r, rec->host_rewrite);
    made.forward_host = (rec->flags & MESH_REWRITE_FORWARD_HOST) != 0;
    return made;
}

static model_redirect_t redirect(const reader_t *r,
                                 const mesh_rec_redirect_t *rec) {
    if (rec == NULL) {
        return (model_redirect_t){0};
    }
    return (model_redirect_t){
        .status = rec->status,
        .scheme = text(r, rec->scheme),
        .host = text(r, rec->host),
        .port = rec->port,
        .path = text(r, rec->path),
        .prefix = text(r, rec->prefix),
        .has_prefix = rec->prefix != 0,
        .regex = regex_rewrite(r, rec->rewrite),
        .strip_query = (rec->flags & MESH_REDIRECT_STRIP_QUERY) != 0,
    };
}

static model_retry_t retry(const reader_t *r, const mesh_rec_retry_t *rec) {
    const mesh_rec_u32s_t *codes = rec ? mesh_get(r->s, rec->codes) : NULL;
    model_retry_t made = {.set = rec != NULL};

    if (rec == NULL) {
        return made;
    }
    made.on = rec->on;
    made.attempts = rec->attempts;
    made.per_try_timeout_ms = rec->per_try_timeout_ms;
    made.grpc = rec->grpc;
    made.ncodes = codes ? codes->count : 0;
    made.codes = array(r, made.ncodes, sizeof(*made.codes));
    for (uint32_t i = 0; i < made.ncodes; i++) {
        made.codes[i] = codes->v[i];
    }
    return made;
}

static void route(const reader_t *r, model_route_t *route,
                  const mesh_rec_route_t *rec) {
    const mesh_rec_direct_t *direct = mesh_get(r->s, rec->direct);

    *route = (model_route_t){
        .name = text(r, rec->name),
        .path_match = (mesh_path_match_e)rec->path_match,
        .path = text(r, rec->path),
        .ignore_case = (rec->flags & MESH_ROUTE_IGNORE_CASE) != 0,
        .grpc = (rec->flags & MESH_ROUTE_GRPC) != 0,
        .share = share(r, rec->share),
        .methods = rec->methods,
        .action = (mesh_action_e)rec->action,
        .split_by = split_by(r, rec),
        .redirect = redirect(r, mesh_get(r->s, rec->redirect)),
        .direct_status = direct ? direct->status : 0,
        .direct_body = direct ? text(r, direct->body) : MESH_STR_NULL,
        .has_prefix_rewrite = rec->prefix_rewrite != 0,
        .prefix_rewrite = text(r, rec->prefix_rewrite),
        .host_rewrite = text(r, rec->host_rewrite),
        .rewrite = rewrite(r, rec->rewrite),
        .request_ops = header_ops(r, rec->request_ops),
        .response_ops = header_ops(r, rec->response_ops),
        .retry = retry(r, mesh_get(r->s, rec->retry)),
        .timeout_ms = rec->timeout_ms,
        .idle_timeout_ms = rec->idle_timeout_ms,
    };
    matches(r, route, mesh_get(r->s, rec->matches));
    addresses(r, route, mesh_get(r->s, rec->addresses));
    affinity(r, route, mesh_get(r->s, rec->hash_policies),
             mesh_get(r->s, rec->session));
    policies(r, route, rec);
    split(r, route, mesh_get(r->s, rec->split));
}

/* --- hosts --------------------------------------------------------------- */

typedef struct {
    mesh_ref_t vhost;
    mesh_str_t domain;
} domain_t;

typedef struct {
    uint32_t count;
    domain_t *v;
} domains_t;

static int by_host_and_domain(const void *a, const void *b) {
    const domain_t *x = a;
    const domain_t *y = b;

    if (x->vhost != y->vhost) {
        return x->vhost < y->vhost ? -1 : 1;
    }
    return mesh_str_cmp(x->domain, y->domain);
}

static void add_domains(const reader_t *r, domains_t *domains, mesh_ref_t map,
                        const char *before, const char *behind) {
    mesh_map_iter_t iter = {0, 0};
    const mesh_map_entry_t *e;

    while ((e = mesh_map_next(r->s, map, &iter)) != NULL) {
        mesh_str_t name = mesh_get_str(r->s, e->name);

        domains->v[domains->count++] = (domain_t){
            e->value,
            mesh_str_from(arena_printf(r->arena, "%s%.*s%s", before,
                                       (int)name.len, name.data, behind))};
    }
}

static domains_t domains_of(const reader_t *r,
                            const mesh_rec_route_table_t *rec) {
    uint32_t n = 1 + map_count(r, rec->exact) + map_count(r, rec->suffix) +
                 map_count(r, rec->prefix);
    domains_t domains = {0, array(r, n, sizeof(domain_t))};

    add_domains(r, &domains, rec->exact, "", "");
    add_domains(r, &domains, rec->suffix, "*", "");
    add_domains(r, &domains, rec->prefix, "", "*");
    if (rec->any != 0) {
        domains.v[domains.count++] = (domain_t){rec->any, MESH_STR("*")};
    }
    qsort(domains.v, domains.count, sizeof(*domains.v), by_host_and_domain);
    return domains;
}

/* The domains from `at` on that lead to one host; returns how many. */
static uint32_t host(const reader_t *r, model_vhost_t *h,
                     const domains_t *domains, uint32_t at) {
    const mesh_rec_vhost_t *rec = mesh_get(r->s, domains->v[at].vhost);
    const mesh_rec_refs_t *routes = mesh_get(r->s, rec->routes);

    *h = (model_vhost_t){
        .name = text(r, rec->name),
        .nroutes = routes ? routes->count : 0,
        .request_ops = header_ops(r, rec->request_ops),
        .response_ops = header_ops(r, rec->response_ops),
    };
    h->domains = array(r, domains->count - at, sizeof(*h->domains));
    while (at < domains->count && mesh_get(r->s, domains->v[at].vhost) == rec) {
        h->domains[h->ndomains++] = domains->v[at++].domain;
    }
    h->routes = array(r, h->nroutes, sizeof(*h->routes));
    for (uint32_t i = 0; i < h->nroutes; i++) {
        route(r, &h->routes[i], mesh_get(r->s, routes->v[i]));
    }
    return h->ndomains;
}

static void table(const reader_t *r, model_route_table_t *t,
                  const mesh_rec_route_table_t *rec) {
    domains_t domains = domains_of(r, rec);

    *t = (model_route_table_t){.name = text(r, rec->name), .flags = rec->flags};
    t->vhosts = array(r, domains.count, sizeof(*t->vhosts));
    for (uint32_t at = 0; at < domains.count;) {
        at += host(r, &t->vhosts[t->nvhosts++], &domains, at);
    }
    model_mark_keyed(t);
}

static void runtime(const reader_t *r, model_part_t *part, mesh_ref_t ref) {
    const mesh_rec_runtime_values_t *rec = mesh_get(r->s, ref);

    part->nruntime = rec ? rec->count : 0;
    part->runtime = array(r, part->nruntime, sizeof(*part->runtime));
    for (uint32_t i = 0; i < part->nruntime; i++) {
        part->runtime[i] = (model_runtime_t){
            .name = text(r, rec->v[i].key),
            .share = {.set = true,
                      .ppm = rec->v[i].ppm,
                      .denominator = rec->v[i].denominator},
        };
    }
}

/* --- the root ------------------------------------------------------------ */

model_part_t *model_read_root(arena_t *arena, const mesh_snapshot_t *s,
                              const mesh_rec_root_t *root) {
    reader_t r = {arena, s};
    const mesh_rec_policy_t *policy = mesh_get(s, root->policy);
    const mesh_rec_endpoints_t *endpoints = mesh_get(s, root->endpoints);
    model_part_t *part = arena_alloc(arena, sizeof(*part));
    mesh_map_iter_t iter = {0, 0};
    const mesh_map_entry_t *e;

    part->arena = arena;
    part->name = "read back";
    part->clusters =
        array(&r, map_count(&r, policy->clusters), sizeof(*part->clusters));
    while ((e = mesh_map_next(s, policy->clusters, &iter)) != NULL) {
        cluster(&r, &part->clusters[part->nclusters++], mesh_get(s, e->value));
    }
    iter = (mesh_map_iter_t){0, 0};
    part->sets = array(&r, map_count(&r, endpoints->sets), sizeof(*part->sets));
    while ((e = mesh_map_next(s, endpoints->sets, &iter)) != NULL) {
        endpoint_set(&r, &part->sets[part->nsets++], e->name,
                     mesh_get(s, e->value));
    }
    iter = (mesh_map_iter_t){0, 0};
    part->tables =
        array(&r, map_count(&r, policy->route_tables), sizeof(*part->tables));
    while ((e = mesh_map_next(s, policy->route_tables, &iter)) != NULL) {
        table(&r, &part->tables[part->ntables++], mesh_get(s, e->value));
    }
    runtime(&r, part, policy->runtime);
    return part;
}
