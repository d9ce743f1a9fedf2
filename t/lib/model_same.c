/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Comparing parts; see model_same.h.
 */

#include "model_same.h"

#include <stdio.h>

typedef struct {
    char *where;
    size_t base; /* of the words for the resource */
    bool differs;
} same_t;

/* Keeps the first difference. */
static void expect(same_t *s, bool same, const char *what) {
    if (!same && !s->differs) {
        snprintf(s->where + s->base, MODEL_SAME_MAX - s->base, "%s", what);
        s->differs = true;
    }
}

#define same(member) expect(s, a->member == b->member, #member)
#define same_str(member) expect(s, mesh_str_eq(a->member, b->member), #member)

static void begin(same_t *s, const char *kind, mesh_str_t name, uint32_t i) {
    if (!s->differs) {
        s->base = (size_t)snprintf(
            s->where, MODEL_SAME_MAX, "%s %.*s[%u]: ", kind,
            (int)mesh_min(name.len, (size_t)80), name.len ? name.data : "", i);
    }
}

static void same_labels(same_t *s, const model_labels_t *a,
                        const model_labels_t *b) {
    same(count);
    for (uint32_t i = 0; !s->differs && i < a->count; i++) {
        same_str(v[i].name);
        same_str(v[i].value);
    }
}

static void same_ops(same_t *s, const model_header_ops_t *a,
                     const model_header_ops_t *b) {
    same(count);
    for (uint32_t i = 0; !s->differs && i < a->count; i++) {
        same(v[i].op);
        same_str(v[i].name);
        same(v[i].keep_empty);
        same_str(v[i].value);
    }
}

static void same_outlier(same_t *s, const model_outlier_t *a,
                         const model_outlier_t *b) {
    same(set);
    if (!a->set) {
        return;
    }
    same(consecutive_5xx);
    same(consecutive_gateway_failure);
    same(consecutive_local_failure);
    same(split_local);
    same(base_ejection_ms);
    same(max_ejection_ms);
    same(jitter_ms);
    same(max_ejection_percent);
}

static void same_balancer(same_t *s, const model_cluster_t *a,
                          const model_cluster_t *b) {
    same(lb);
    same(lb_choices);
    same(lb_table_size);
    same(lb_ring_min);
    same(lb_ring_max);
    same(lb_balance_factor);
    same(lb_full_scan);
    same(lb_failover);
    same(lb_bias_set);
    same(lb_bias_milli);
    same(lb_decay_ms);
    same(lb_default_rtt_ms);
    same(slow_start_ms);
    same(aggression_milli);
    same(min_weight_percent);
    same(zone_aware.set);
    same_str(zone_aware.local_cluster);
    same(zone_aware.enabled_percent);
    same(zone_aware.min_size);
    same(zone_aware.force_min);
    same(zone_aware.fail_on_panic);
    same(zone_aware.basis);
}

static void same_weights(same_t *s, const model_cluster_t *a,
                         const model_cluster_t *b) {
    same(nlocality_weights);
    for (uint32_t i = 0; !s->differs && i < a->nlocality_weights; i++) {
        begin(s, "locality weight of cluster", a->name, i);
        same_str(locality_weights[i].locality.region);
        same_str(locality_weights[i].locality.zone);
        same_str(locality_weights[i].locality.sub_zone);
        same(locality_weights[i].priority);
        same(locality_weights[i].weight);
    }
}

static void same_keys(same_t *s, const mesh_str_t *a, uint32_t na,
                      const mesh_str_t *b, uint32_t nb) {
    expect(s, na == nb, "nkeys");
    for (uint32_t i = 0; !s->differs && i < na; i++) {
        expect(s, mesh_str_eq(a[i], b[i]), "keys");
    }
}

static void same_fallback(same_t *s, const model_fallback_t *a,
                          const model_fallback_t *b) {
    same(kind);
    same_str(subset);
    same_keys(s, a->keys, a->nkeys, b->keys, b->nkeys);
}

static void same_selectors(same_t *s, const model_cluster_t *a,
                           const model_cluster_t *b) {
    same(nselectors);
    for (uint32_t i = 0; !s->differs && i < a->nselectors; i++) {
        const model_selector_t *x = &a->selectors[i];
        const model_selector_t *y = &b->selectors[i];

        begin(s, "selector of cluster", a->name, i);
        same_keys(s, x->keys, x->nkeys, y->keys, y->nkeys);
        same_fallback(s, &x->fallback, &y->fallback);
    }
}

static void same_cluster(same_t *s, const model_cluster_t *a,
                         const model_cluster_t *b) {
    begin(s, "cluster", a->name, 0);
    same_str(name);
    same_str(endpoint_set);
    same_balancer(s, a, b);
    same(panic_percent);
    same(overprovisioning);
    same_weights(s, a, b);
    same(subset_required);
    same(subset_redundant);
    same(subset_panic_any);
    same_fallback(s, &a->fallback, &b->fallback);
    same(connect_timeout_ms);
    same(protocol);
    same_outlier(s, &a->outlier, &b->outlier);
    same(keepalive_idle);
    same(keepalive_timeout_ms);
    same(keepalive_requests);
    same_selectors(s, a, b);
    same(nsubsets);
    for (uint32_t i = 0; !s->differs && i < a->nsubsets; i++) {
        begin(s, "subset of cluster", a->name, i);
        same_str(subsets[i].name);
        same_labels(s, &a->subsets[i].labels, &b->subsets[i].labels);
    }
}

static void same_endpoint(same_t *s, const model_endpoint_t *a,
                          const model_endpoint_t *b) {
    same(family);
    same(health);
    same(port);
    expect(s, memcmp(a->addr, b->addr, sizeof(a->addr)) == 0, "addr");
    same_str(host);
    same(weight);
    same(priority);
    same_labels(s, &a->labels, &b->labels);
    same_str(locality.region);
    same_str(locality.zone);
    same_str(locality.sub_zone);
}

static void same_set(same_t *s, const model_endpoint_set_t *a,
                     const model_endpoint_set_t *b) {
    begin(s, "set", a->name, 0);
    same_str(name);
    same(count);
    for (uint32_t i = 0; !s->differs && i < a->count; i++) {
        begin(s, "endpoint of set", a->name, i);
        same_endpoint(s, &a->v[i], &b->v[i]);
    }
}

static void same_action(same_t *s, const model_route_t *a,
                        const model_route_t *b) {
    same(action);
    switch (a->action) {
    case MESH_ACTION_ROUTE:
        same(nsplit);
        for (uint32_t i = 0; !s->differs && i < a->nsplit; i++) {
            same_str(split[i].cluster);
            same_str(split[i].subset);
            same(split[i].by_header);
            same(split[i].not_found);
            same(split[i].weight);
            same_str(split[i].host_rewrite);
            same_ops(s, &a->split[i].request_ops, &b->split[i].request_ops);
            same_ops(s, &a->split[i].response_ops, &b->split[i].response_ops);
        }
        break;
    case MESH_ACTION_REDIRECT:
        same(redirect.status);
        same_str(redirect.scheme);
        same_str(redirect.host);
        same(redirect.port);
        same_str(redirect.path);
        same_str(redirect.prefix);
        same(redirect.has_prefix);
        same_str(redirect.regex.pattern);
        same_str(redirect.regex.substitution);
        same(redirect.strip_query);
        break;
    case MESH_ACTION_DIRECT:
        same(direct_status);
        same_str(direct_body);
    }
}

static void same_retry(same_t *s, const model_retry_t *a,
                       const model_retry_t *b) {
    same(set);
    if (!a->set) {
        return;
    }
    same(on);
    same(attempts);
    same(per_try_timeout_ms);
    same(grpc);
    same(ncodes);
    for (uint32_t i = 0; !s->differs && i < a->ncodes; i++) {
        same(codes[i]);
    }
}

static void same_matches(same_t *s, const model_route_t *a,
                         const model_route_t *b) {
    same(addresses.count);
    for (uint32_t i = 0; !s->differs && i < a->addresses.count; i++) {
        const mesh_cidr_t *x = &a->addresses.v[i];
        const mesh_cidr_t *y = &b->addresses.v[i];

        expect(s, memcmp(x, y, sizeof(*x)) == 0, "addresses[]");
    }
    same(nmatches);
    for (uint32_t i = 0; !s->differs && i < a->nmatches; i++) {
        same(matches[i].from);
        same(matches[i].op);
        same(matches[i].invert);
        same(matches[i].ignore_case);
        same(matches[i].missing_as_empty);
        same_str(matches[i].name);
        same_str(matches[i].value);
        same(matches[i].start);
        same(matches[i].end);
    }
}

static void same_affinity(same_t *s, const model_route_t *a,
                          const model_route_t *b) {
    same(nhash_policies);
    for (uint32_t i = 0; !s->differs && i < a->nhash_policies; i++) {
        same(hash_policies[i].from);
        same(hash_policies[i].terminal);
        same(hash_policies[i].generate);
        same_str(hash_policies[i].name);
        same_str(hash_policies[i].attributes);
        same_str(hash_policies[i].rewrite.pattern);
        same_str(hash_policies[i].rewrite.substitution);
    }
    same(split_by.by);
    same_str(split_by.header);
    same(session.set);
    same(session.strict);
    same(session.header);
    same_str(session.name);
    same_str(session.attributes);
}

static void same_policies(same_t *s, const model_route_t *a,
                          const model_route_t *b) {
    same(body_limit);
    same(follow.set);
    if (a->follow.set) {
        same(follow.max);
        same(follow.codes);
        same(follow.cross_scheme);
    }
    same(mirrors.count);
    for (uint32_t i = 0; !s->differs && i < a->mirrors.count; i++) {
        same_str(mirrors.v[i].cluster);
        same_str(mirrors.v[i].subset);
        same(mirrors.v[i].share.ppm);
        same(mirrors.v[i].share.denominator);
        same_str(mirrors.v[i].share.key);
        same(mirrors.v[i].shadow_host);
    }
    same(cors.set);
    if (!a->cors.set) {
        return;
    }
    same(cors.origins.count);
    for (uint32_t i = 0; !s->differs && i < a->cors.origins.count; i++) {
        same(cors.origins.v[i].op);
        same(cors.origins.v[i].ignore_case);
        same_str(cors.origins.v[i].value);
    }
    same_str(cors.methods);
    same_str(cors.headers);
    same_str(cors.expose);
    same_str(cors.max_age);
    same(cors.credentials);
    same(cors.private_network);
    same(cors.forward_foreign);
}

static void same_route(same_t *s, const model_route_t *a,
                       const model_route_t *b) {
    same_str(name);
    same(path_match);
    same_str(path);
    same(methods);
    same(ignore_case);
    same(grpc);
    same(share.set);
    same(share.ppm);
    same(share.denominator);
    same_str(share.key);
    same_matches(s, a, b);
    same_action(s, a, b);
    same(has_prefix_rewrite);
    same_str(prefix_rewrite);
    same_str(host_rewrite);
    same(rewrite.path);
    same_str(rewrite.regex.pattern);
    same_str(rewrite.regex.substitution);
    same_str(rewrite.text);
    same(rewrite.host);
    same_str(rewrite.header);
    same_str(rewrite.host_regex.pattern);
    same_str(rewrite.host_regex.substitution);
    same(rewrite.forward_host);
    same_retry(s, &a->retry, &b->retry);
    same_affinity(s, a, b);
    same_policies(s, a, b);
    same(timeout_ms);
    same(idle_timeout_ms);
    same_ops(s, &a->request_ops, &b->request_ops);
    same_ops(s, &a->response_ops, &b->response_ops);
}

static void same_host(same_t *s, const model_vhost_t *a,
                      const model_vhost_t *b) {
    begin(s, "host", a->name, 0);
    same_str(name);
    same(ndomains);
    for (uint32_t i = 0; !s->differs && i < a->ndomains; i++) {
        same_str(domains[i]);
    }
    same_ops(s, &a->request_ops, &b->request_ops);
    same_ops(s, &a->response_ops, &b->response_ops);
    same(nroutes);
    for (uint32_t i = 0; !s->differs && i < a->nroutes; i++) {
        begin(s, "route of host", a->name, i);
        same_route(s, &a->routes[i], &b->routes[i]);
    }
}

/* The resource of that name in the other part; there must be one. */
#define find(s, list, count, wanted, kind)                                     \
    ({                                                                         \
        uint32_t at = 0;                                                       \
        while (at < (count) && !mesh_str_eq((list)[at].name, wanted)) {        \
            at++;                                                              \
        }                                                                      \
        begin(s, kind, wanted, 0);                                             \
        expect(s, at < (count), "is not there");                               \
        at;                                                                    \
    })

static void same_value(same_t *s, const model_runtime_t *a,
                       const model_runtime_t *b) {
    begin(s, "runtime key", a->name, 0);
    same(share.ppm);
    same(share.denominator);
}

static void same_table(same_t *s, const model_route_table_t *a,
                       const model_route_table_t *b) {
    begin(s, "table", a->name, 0);
    same(flags);
    same(nvhosts);
    for (uint32_t i = 0; !s->differs && i < a->nvhosts; i++) {
        uint32_t k = find(s, b->vhosts, b->nvhosts, a->vhosts[i].name, "host");
        if (!s->differs) {
            same_host(s, &a->vhosts[i], &b->vhosts[k]);
        }
    }
}

const char *model_same(const model_part_t *a, const model_part_t *b,
                       char where[MODEL_SAME_MAX]) {
    same_t state = {.where = where};
    same_t *s = &state;

    same(nclusters);
    same(nsets);
    same(nnamed);
    same(ntables);
    same(nruntime);
    for (uint32_t i = 0; !s->differs && i < a->nclusters; i++) {
        uint32_t k =
            find(s, b->clusters, b->nclusters, a->clusters[i].name, "cluster");
        if (!s->differs) {
            same_cluster(s, &a->clusters[i], &b->clusters[k]);
        }
    }
    for (uint32_t i = 0; !s->differs && i < a->nsets; i++) {
        uint32_t k = find(s, b->sets, b->nsets, a->sets[i].name, "set");
        if (!s->differs) {
            same_set(s, &a->sets[i], &b->sets[k]);
        }
    }
    for (uint32_t i = 0; !s->differs && i < a->nnamed; i++) {
        mesh_str_t name = a->named[i].set.name;
        uint32_t k = 0;
        while (k < b->nnamed && !mesh_str_eq(b->named[k].set.name, name)) {
            k++;
        }
        begin(s, "named set", name, 0);
        expect(s, k < b->nnamed, "is not there");
        if (!s->differs) {
            same_set(s, &a->named[i].set, &b->named[k].set);
            expect(s, a->named[i].dns.family == b->named[k].dns.family,
                   "dns family");
            expect(s, a->named[i].dns.logical == b->named[k].dns.logical,
                   "dns lookup");
        }
    }
    for (uint32_t i = 0; !s->differs && i < a->ntables; i++) {
        uint32_t k = find(s, b->tables, b->ntables, a->tables[i].name, "table");
        if (!s->differs) {
            same_table(s, &a->tables[i], &b->tables[k]);
        }
    }
    for (uint32_t i = 0; !s->differs && i < a->nruntime; i++) {
        uint32_t k =
            find(s, b->runtime, b->nruntime, a->runtime[i].name, "runtime key");
        if (!s->differs) {
            same_value(s, &a->runtime[i], &b->runtime[k]);
        }
    }
    return s->differs ? where : NULL;
}
