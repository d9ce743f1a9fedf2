/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Random meshes; see model_random.h.
 */

#include "model_random.h"
#include "mesh_subset.h"
#include "model_random_draw.h"

#include <stdio.h>
#include <stdlib.h>

#include "model_table.h"

#define MS_MAX 2147483647

/* Text with everything that text may have in it, UTF-8 too. */
static mesh_str_t text(maker_t *m) {
    static const char *const others[] = {
        "",    "true", "null",
        "~",   "5",    "1e3",
        "- x", "a: b", "# no",
        " ",   "x ",   "\xc3\xa9",
        "%41", "0x1f", "*",
        "&a",  "!t",   "'",
        "\"",  "no",   "\xe2\x82\xac\xf0\x9f\x98\x80",
        "{}"};

    return one_in(m, 3) ? mesh_str_from(others[below(m, mesh_nelts(others))])
                        : word(m, TEXT, below(m, 10));
}

static mesh_str_t path(maker_t *m) {
    char out[40] = "/";
    size_t len = 1;

    for (uint32_t i = below(m, 20); i > 0; i--) {
        out[len++] = (LOWER "/.-_~%:@!")[below(m, 35)];
    }
    out[len] = '\0';
    return mesh_str_from(arena_strdup(m->arena, out));
}

/* --- clusters ------------------------------------------------------------ */

/* Few names, in order, and values, so that subsets have members. */
static const char *const label_names[] = {"a b", MESH_LABEL_HASH_KEY, "tier",
                                          "version", "x.y/z"};

static model_labels_t labels(maker_t *m) {
    model_labels_t made = {0, arena_alloc(m->arena, 5 * sizeof(*made.v))};

    for (size_t i = 0; i < mesh_nelts(label_names); i++) {
        if (one_in(m, 2)) {
            made.v[made.count++] =
                (model_label_t){mesh_str_from(label_names[i]),
                                one_in(m, 4) ? text(m) : MESH_STR("v1")};
        }
    }
    return made;
}

/* Labels of letters, digits, "-" and "_"; a dot at the end or none. */
static void name_endpoint(maker_t *m, model_endpoint_t *e, uint32_t id) {
    bool service = one_in(m, 2);
    mesh_str_t label = word(m, LOWER "ABC-_0189", id);

    e->family = service ? MODEL_FAMILY_SERVICE : MODEL_FAMILY_HOST;
    e->port = service ? 0 : e->port;
    e->host = mesh_str_from(
        arena_printf(m->arena, "%s.a%s", label.data, one_in(m, 3) ? "." : ""));
}

static void endpoint(maker_t *m, model_endpoint_t *e, uint32_t id) {
    static const uint8_t healths[] = {MESH_HEALTH_UNKNOWN, MESH_HEALTH_HEALTHY,
                                      MESH_HEALTH_UNHEALTHY,
                                      MESH_HEALTH_DRAINING};

    *e = (model_endpoint_t){.family = MESH_FAMILY_IPV4,
                            .health = healths[below(m, 4)],
                            .port = (uint16_t)number(m, 1, 65535),
                            .weight = number(m, 0, 1u << 24),
                            .labels = labels(m)};
    switch (below(m, m->names ? 5 : 4)) {
    case 0:
        e->family = MESH_FAMILY_IPV6;
        for (int i = 0; i < 12; i++) {
            e->addr[i] = one_in(m, 2) ? 0 : (uint8_t)below(m, 256);
        }
        memcpy(e->addr + 12, &id, 4);
        break;
    case 1:
        e->family = MESH_FAMILY_UNIX;
        e->port = 0;
        e->host = mesh_str_from(arena_printf(m->arena, "/run/s %u.sock", id));
        break;
    case 4:
        name_endpoint(m, e, id);
        break;
    default:
        e->addr[0] = (uint8_t)(1 + below(m, 200));
        memcpy(e->addr + 1, &id, 3);
    }
    for (int i = 0; i < 3; i++) {
        mesh_str_t *where[] = {&e->locality.region, &e->locality.zone,
                               &e->locality.sub_zone};
        if (one_in(m, 3)) {
            *where[i] = word(m, LOWER, below(m, 3));
        }
    }
}

/* From 0 on, and none is left out. */
static void priorities(maker_t *m, model_endpoint_set_t *set) {
    uint32_t most = mesh_min(set->count, MESH_PRIORITY_MAX + 1);
    uint32_t n = 1 + below(m, one_in(m, 4) ? most : mesh_min(most, 3));
    uint32_t from = below(m, set->count);

    for (uint32_t i = 0; i < set->count; i++) {
        set->v[(from + i) % set->count].priority = i < n ? i : below(m, n);
    }
}

static void endpoint_set(maker_t *m, model_endpoint_set_t *set, uint32_t most) {
    set->count = below(m, most + 1);
    set->v = arena_alloc(m->arena, set->count * sizeof(*set->v));
    for (uint32_t i = 0; i < set->count; i++) {
        endpoint(m, &set->v[i], i + 1);
    }
    qsort(set->v, set->count, sizeof(*set->v), model_endpoint_cmp);
    if (set->count > 0 && one_in(m, 3)) {
        priorities(m, set);
    }
}

static model_outlier_t outlier(maker_t *m) {
    model_outlier_t o = {
        .consecutive_5xx = 5,
        .consecutive_local_failure = 5,
        .base_ejection_ms = 30000,
        .max_ejection_ms = 300000,
        .max_ejection_percent = 10,
    };

    if (one_in(m, 2)) {
        return o;
    }
    o.set = true;
    o.consecutive_5xx = number(m, 0, 1000000);
    o.consecutive_gateway_failure = number(m, 0, 1000000);
    o.consecutive_local_failure = number(m, 0, 1000000);
    o.split_local = one_in(m, 2);
    o.base_ejection_ms = number(m, 1, MS_MAX);
    o.max_ejection_ms = (uint32_t)rng_range(m->rng, o.base_ejection_ms, MS_MAX);
    o.jitter_ms = number(m, 0, MS_MAX);
    o.max_ejection_percent = number(m, 0, 100);
    return o;
}

static int by_subset(const void *a, const void *b) {
    return mesh_str_cmp(((const model_subset_t *)a)->name,
                        ((const model_subset_t *)b)->name);
}

/* What the balancer has, and its defaults; what it has not is 0. */
static void balancer(maker_t *m, model_cluster_t *c) {
    static const uint32_t primes[] = {2, 251, 65537, 5000011};
    bool weighs = c->lb <= MESH_LB_LEAST_REQUEST;

    c->lb_choices = c->lb == MESH_LB_LEAST_REQUEST || c->lb == MESH_LB_PEAK_EWMA
                        ? number(m, 2, 32)
                        : 2;
    c->lb_full_scan = c->lb == MESH_LB_LEAST_REQUEST && wide_one_in(m, 2);
    c->lb_bias_set = c->lb == MESH_LB_LEAST_REQUEST && wide_one_in(m, 2);
    c->lb_bias_milli = c->lb_bias_set ? number(m, 0, MESH_LB_BIAS_MAX) : 0;
    if (weighs && wide_one_in(m, 2)) {
        c->slow_start_ms = number(m, 1, MS_MAX);
        c->aggression_milli = number(m, 1, 100000);
        c->min_weight_percent = number(m, 0, 100);
    }
    if (mesh_lb_hashes(c->lb) && one_in(m, 2)) {
        c->lb_balance_factor = number(m, 100, MESH_LB_BALANCE_MAX);
    }
    switch (c->lb) {
    case MESH_LB_RING_HASH:
        c->lb_ring_min = number(m, 1, MESH_LB_RING_MAX);
        c->lb_ring_max = number(m, c->lb_ring_min, MESH_LB_RING_MAX);
        break;
    case MESH_LB_MAGLEV:
        c->lb_table_size = primes[below(m, mesh_nelts(primes))];
        break;
    case MESH_LB_PEAK_EWMA:
        c->lb_decay_ms = number(m, 1, MS_MAX);
        c->lb_default_rtt_ms = number(m, 1, MS_MAX);
        break;
    default:
        break;
    }
}

static void locality_weights(maker_t *m, model_cluster_t *c) {
    c->nlocality_weights = below(m, 5);
    c->locality_weights =
        arena_alloc(m->arena, 5 * sizeof(*c->locality_weights));
    for (uint32_t i = 0; i < c->nlocality_weights; i++) {
        c->locality_weights[i] = (model_locality_weight_t){
            .locality = {.region =
                             one_in(m, 2) ? word(m, LOWER, i) : MESH_STR_NULL,
                         .zone = word(m, LOWER, i)},
            .priority = one_in(m, 2) ? MESH_PRIORITY_ANY
                                     : number(m, 0, MESH_PRIORITY_MAX),
            .weight = number(m, 0, MODEL_LOCALITY_WEIGHT_MAX),
        };
    }
}

/* The local cluster is one that is there already: names are made in order. */
static void zone_aware(maker_t *m, model_cluster_t *c, uint32_t id) {
    c->zone_aware = (model_zone_aware_t){
        .set = true,
        .enabled_percent = number(m, 0, 100),
        .min_size = number(m, 0, UINT32_MAX),
        .force_min = one_in(m, 2) ? 0 : number(m, 1, UINT32_MAX),
        .fail_on_panic = one_in(m, 2),
        .basis = one_in(m, 2) ? MODEL_BASIS_WEIGHT : MODEL_BASIS_COUNT,
    };
    if (id > 0 && one_in(m, 2)) {
        c->zone_aware.local_cluster = c[-1].name;
    }
}

static void fallback(maker_t *m, const model_cluster_t *c,
                     model_fallback_t *fallback) {
    if (one_in(m, 3)) {
        fallback->kind = MODEL_FALLBACK_ANY;
    } else if (c->nsubsets > 0 && one_in(m, 2)) {
        fallback->kind = MODEL_FALLBACK_SUBSET;
        fallback->subset = c->subsets[below(m, c->nsubsets)].name;
    }
}

static void selector(maker_t *m, const model_cluster_t *c, model_selector_t *to,
                     uint32_t which) {
    to->keys = arena_alloc(m->arena, 5 * sizeof(*to->keys));
    for (uint32_t i = 0; i < mesh_nelts(label_names); i++) {
        if (which & (1u << i)) {
            to->keys[to->nkeys++] = mesh_str_from(label_names[i]);
        }
    }
    if (to->nkeys > 1 && one_in(m, 3)) {
        to->fallback.kind = MODEL_FALLBACK_KEYS;
        to->fallback.nkeys = 1 + below(m, to->nkeys - 1);
        to->fallback.keys = to->keys + below(m, 2) * (to->fallback.nkeys == 1);
    } else if (one_in(m, 2)) {
        fallback(m, c, &to->fallback);
    } else {
        to->fallback.kind = MODEL_FALLBACK_CLUSTER;
    }
}

static void selectors(maker_t *m, model_cluster_t *c) {
    uint32_t first = 1 + below(m, 31);
    c->nselectors = below(m, 3);
    c->selectors = arena_alloc(m->arena, 2 * sizeof(*c->selectors));
    for (uint32_t i = 0; i < c->nselectors; i++) {
        selector(m, c, &c->selectors[i], i == 0 ? first : 1 + first % 31);
    }
    c->subset_required = one_in(m, 3);
    c->subset_redundant = one_in(m, 3);
    c->subset_panic_any = one_in(m, 3);
}

/* Of the whole cluster, a named subset, or one by labels. */
static mesh_str_t subset_of(maker_t *m, const model_cluster_t *c) {
    uint32_t which = below(m, 1 + 2 * (c->nsubsets + c->nselectors));
    char name[MESH_SUBSET_NAME_MAX];
    size_t len = 0;

    if (which >= c->nsubsets + c->nselectors) {
        return MESH_STR_NULL;
    }
    if (which < c->nsubsets) {
        return c->subsets[which].name;
    }
    const model_selector_t *s = &c->selectors[which - c->nsubsets];
    mesh_str_t value = one_in(m, 4) ? MESH_STR("a,b=c %/") : MESH_STR("v1");
    for (uint32_t i = 0; i < s->nkeys; i++) {
        len = mesh_subset_put(name, len, s->keys[i], value);
    }
    return arena_str(m->arena, (mesh_str_t){len, name});
}

static void cluster(maker_t *m, model_cluster_t *c, uint32_t id) {
    *c = (model_cluster_t){
        .name = word(m, LOWER "-._%:", id),
        .lb = (mesh_lb_e)below(m, m->wide ? MESH_LB_MAX : 2),
        .panic_percent = number(m, 0, 100),
        .overprovisioning = one_in(m, 2)
                                ? MESH_LB_OVERPROVISIONING
                                : number(m, 1, MESH_LB_OVERPROVISIONING_MAX),
        .connect_timeout_ms = number(m, 1, MS_MAX),
        .protocol = one_in(m, 3) ? MODEL_HTTP2 : MODEL_HTTP1,
        .outlier = outlier(m),
        .keepalive_idle = number(m, 0, 65535),
        .keepalive_timeout_ms = number(m, 1, MS_MAX),
        .keepalive_requests = number(m, 0, UINT32_MAX),
        .nsubsets = below(m, 4),
    };
    balancer(m, c);
    c->subsets = arena_alloc(m->arena, 4 * sizeof(*c->subsets));
    for (uint32_t i = 0; i < c->nsubsets; i++) {
        c->subsets[i] = (model_subset_t){word(m, LOWER "-.", i), labels(m)};
    }
    qsort(c->subsets, c->nsubsets, sizeof(*c->subsets), by_subset);
    if (wide_one_in(m, 2)) {
        locality_weights(m, c);
    }
    c->lb_failover = c->nlocality_weights == 0 && wide_one_in(m, 3);
    if (c->nlocality_weights == 0 && !c->lb_failover &&
        !mesh_lb_hashes(c->lb) && wide_one_in(m, 2)) {
        zone_aware(m, c, id);
    }
    fallback(m, c, &c->fallback);
    if (m->wide) {
        selectors(m, c);
    }
}

/* Another set of the part: of addresses, or with names in it. */
static void take_set(maker_t *m, mesh_str_t name, bool own, uint32_t most) {
    model_part_t *part = m->part;
    model_endpoint_set_t set = {.name = name};

    endpoint_set(m, &set, most);
    if (!model_set_is_named(&set)) {
        part->sets[part->nsets++] = set;
        return;
    }
    /* How it is resolved is said in the cluster only. */
    model_dns_t dns = {own ? (model_dns_family_e)below(m, 4) : 0,
                       own && one_in(m, 2)};
    part->named[part->nnamed++] = (model_named_set_t){set, dns};
}

/* Sets of their own, sets of others, none at all. */
static void clusters(maker_t *m, const model_random_size_t *size) {
    model_part_t *part = m->part;
    uint32_t n = below(m, size->clusters + 1);

    part->clusters = arena_alloc(m->arena, n * sizeof(*part->clusters));
    part->sets = arena_alloc(m->arena, (n + 1) * sizeof(*part->sets));
    part->named = arena_alloc(m->arena, (n + 1) * sizeof(*part->named));
    for (uint32_t i = 0; i < n; i++) {
        model_cluster_t *c = &part->clusters[part->nclusters++];

        cluster(m, c, i);
        if (one_in(m, 5) && part->nsets > 0) {
            c->endpoint_set = part->sets[below(m, part->nsets)].name;
        } else if (!one_in(m, 6)) {
            take_set(m, c->name, true, size->endpoints);
        }
    }
    if (one_in(m, 3)) {
        take_set(m, word(m, LOWER, 100000), false, size->endpoints);
    }
}

/* --- routes -------------------------------------------------------------- */

/* Text in which "%" is "%%". */
static mesh_str_t plain(maker_t *m, mesh_str_t from) {
    char *to = arena_alloc(m->arena, 2 * from.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < from.len; i++) {
        to[len++] = from.data[i];
        if (from.data[i] == '%') {
            to[len++] = '%';
        }
    }
    return (mesh_str_t){len, to};
}

/* With every kind of variable; those of responses only where they may be. */
static mesh_str_t substitutions(maker_t *m, bool response) {
    static const char *const parts[] = {
        "%REQ(x-a)%",
        "%REQ(X-Envoy-Original-Path?:PATH):20%",
        "%START_TIME%",
        "%START_TIME(%Y/%m/%d %T.%3f)%",
        "%DOWNSTREAM_REMOTE_ADDRESS%",
        "%PATH(NQ:ORIG)%",
        "%QUERY_PARAM(q):5%",
        "%UPSTREAM_CLUSTER%",
        "%RESP(x-b?x-c)%",
        "%RESPONSE_CODE%",
        "%UPSTREAM_HOST%",
    };
    mesh_str_t before = plain(m, text(m));
    uint32_t known = response ? mesh_nelts(parts) : 8;

    return mesh_str_from(arena_printf(
        m->arena, "%.*s%s%s", (int)before.len, before.data,
        parts[below(m, known)], one_in(m, 2) ? parts[below(m, known)] : ""));
}

/* Removals, sets, overwrites, adds, additions: as the decoder puts them. */
static model_header_ops_t header_ops(maker_t *m, bool response) {
    static const mesh_header_op_e order[] = {MESH_OP_REMOVE, MESH_OP_SET,
                                             MESH_OP_OVERWRITE, MESH_OP_ADD,
                                             MESH_OP_ADD_IF_ABSENT};
    model_header_ops_t ops = {0, NULL};

    if (one_in(m, 2)) {
        return ops;
    }
    ops.v = arena_alloc(m->arena, 15 * sizeof(*ops.v));
    for (size_t i = 0; i < mesh_nelts(order); i++) {
        for (uint32_t n = below(m, 4); n > 0; n--) {
            model_header_op_t *op = &ops.v[ops.count++];

            op->op = order[i];
            op->name = word(m, LOWER "ABC-!#$&'*+.^_`|~", n);
            if (order[i] == MESH_OP_ADD && ops.count > 1 &&
                op[-1].op == MESH_OP_ADD && one_in(m, 3)) {
                op->name = op[-1].name; /* one more of that name */
            }
            if (order[i] == MESH_OP_REMOVE) {
                op->value = MESH_STR_NULL;
            } else if (one_in(m, 3)) {
                op->value = substitutions(m, response);
                op->keep_empty = one_in(m, 3);
            } else {
                op->value = plain(m, text(m));
            }
        }
    }
    return ops;
}

/* Of a header, a pseudo-header, a parameter or a cookie. */
static void value_match(maker_t *m, model_match_t *match, uint32_t id) {
    static const char *const pseudo[] = {NULL, ":method", ":authority", ":path",
                                         ":scheme"};
    bool is_text;

    match->op = (mesh_match_op_e)below(m, m->wide ? MESH_MATCH_REGEX + 1 : 2);
    match->invert = one_in(m, 3);
    match->name = word(m, LOWER "-", id);
    if (match->from == MESH_FROM_HEADER && id < 4 && wide_one_in(m, 4)) {
        match->from = (mesh_match_from_e)(1 + id); /* each once */
        match->name = mesh_str_from(pseudo[1 + id]);
    }
    is_text = match->op >= MESH_MATCH_EXACT && match->op <= MESH_MATCH_CONTAINS;
    match->ignore_case = is_text && wide_one_in(m, 3);
    match->missing_as_empty = match->op != MESH_MATCH_PRESENT &&
                              match->from <= MESH_FROM_SCHEME &&
                              wide_one_in(m, 3);
    if (match->op == MESH_MATCH_EXACT && !match->ignore_case) {
        match->value = text(m);
    } else if (is_text) {
        match->value = word(m, LOWER "-/ ", id);
    } else if (match->op == MESH_MATCH_REGEX) {
        match->value = mesh_str_from(
            arena_printf(m->arena, "(?i)[%s]+.*", word(m, LOWER, id).data));
    } else if (match->op == MESH_MATCH_RANGE) {
        match->start = one_in(m, 3) ? INT64_MIN : -(int64_t)below(m, 1000);
        match->end = one_in(m, 3) ? INT64_MAX : 1 + (int64_t)below(m, 1000);
    }
}

/* A server name is in lower case, a port is a number. */
static void connection_matches(maker_t *m, model_route_t *r) {
    model_match_t *match = &r->matches[r->nmatches];

    if (wide_one_in(m, 3)) {
        *match = (model_match_t){.from = MESH_FROM_SNI};
        value_match(m, match, 0);
        match->ignore_case = false;
        if (match->op == MESH_MATCH_EXACT) {
            match->value = word(m, LOWER ".", 1);
        }
        match->name = MESH_STR("sni");
        r->nmatches++;
        match++;
    }
    if (wide_one_in(m, 3)) {
        *match = (model_match_t){.from = MESH_FROM_PORT,
                                 .op = MESH_MATCH_EXACT,
                                 .name = MESH_STR("port")};
        match->value =
            mesh_str_from(arena_printf(m->arena, "%u", 1 + below(m, 65535)));
        r->nmatches++;
    }
}

static void value_matches(maker_t *m, model_route_t *r) {
    static const mesh_match_from_e from[] = {MESH_FROM_HEADER, MESH_FROM_QUERY,
                                             MESH_FROM_COOKIE};

    r->matches = arena_alloc(m->arena, 11 * sizeof(*r->matches));
    for (size_t k = 0; k < (m->wide ? mesh_nelts(from) : 1); k++) {
        uint32_t n = one_in(m, 2) ? below(m, 4) : 0;

        for (uint32_t i = 0; i < n; i++) {
            model_match_t *match = &r->matches[r->nmatches++];

            *match = (model_match_t){.from = from[k]};
            value_match(m, match, i);
        }
    }
    connection_matches(m, r);
}

/* Whole bytes, nothing but zeroes behind them. */
static void addresses(maker_t *m, model_addresses_t *a) {
    a->count = wide_one_in(m, 3) ? 1 + below(m, 3) : 0;
    a->v = arena_alloc(m->arena, a->count * sizeof(*a->v));
    for (uint32_t i = 0; i < a->count; i++) {
        bool v4 = one_in(m, 2);
        uint32_t bytes = below(m, v4 ? 5 : 17);

        a->v[i] = (mesh_cidr_t){
            .family = v4 ? MESH_FAMILY_IPV4 : MESH_FAMILY_IPV6,
            .bits = (uint8_t)(bytes * 8),
        };
        for (uint32_t k = 0; k < bytes; k++) {
            a->v[i].addr[k] = (uint8_t)(1 + below(m, 255));
        }
    }
}

static void path_match(maker_t *m, model_route_t *r) {
    mesh_str_t base = path(m);

    r->path_match =
        (mesh_path_match_e)below(m, m->wide ? MESH_PATH_TEMPLATE + 1 : 2);
    r->ignore_case = r->path_match < MESH_PATH_REGEX && wide_one_in(m, 3);
    switch (r->path_match) {
    case MESH_PATH_PREFIX:
        r->path = one_in(m, 3) ? MESH_STR("/") : base;
        break;
    case MESH_PATH_EXACT:
        r->path = base;
        break;
    case MESH_PATH_SEPARATED:
        r->path = mesh_str_from(arena_printf(m->arena, "%sx", base.data));
        break;
    case MESH_PATH_REGEX:
        r->path = mesh_str_from(arena_printf(m->arena, "%s[^/]*", base.data));
        break;
    case MESH_PATH_TEMPLATE:
        r->path = mesh_str_from(arena_printf(
            m->arena, "/%s/{a}%s", word(m, LOWER "-._~%:@!", 0).data,
            one_in(m, 2) ? "/*/{b=x/**}" : ".mp4"));
    }
}

/* Some of the keys have values, see runtime(). */
#define KEYS 8

static mesh_str_t key(maker_t *m, uint32_t i) {
    return mesh_str_from(arena_printf(m->arena, "share.%s=%u", m->tag, i));
}

static model_share_t share(maker_t *m) {
    static const uint32_t denominators[] = {100, 10000, MESH_SHARE_ALL};
    uint32_t of = denominators[below(m, mesh_nelts(denominators))];

    return (model_share_t){
        .set = true,
        .ppm = number(m, 0, of) * (MESH_SHARE_ALL / of),
        .denominator = of,
        .key = one_in(m, 2) ? key(m, below(m, KEYS)) : MESH_STR_NULL,
    };
}

static void runtime(maker_t *m) {
    model_part_t *part = m->part;

    part->runtime = arena_alloc(m->arena, KEYS * sizeof(*part->runtime));
    for (uint32_t i = 0; i < KEYS; i++) {
        if (wide_one_in(m, 2)) {
            model_runtime_t *r = &part->runtime[part->nruntime++];

            r->name = key(m, i);
            r->share = share(m);
            r->share.key = MESH_STR_NULL;
        }
    }
}

static void matches(maker_t *m, model_route_t *r) {
    static const uint16_t methods[] = {
        MESH_METHOD_GET,   MESH_METHOD_HEAD,    MESH_METHOD_POST,
        MESH_METHOD_PUT,   MESH_METHOD_DELETE,  MESH_METHOD_CONNECT,
        MESH_METHOD_TRACE, MESH_METHOD_OPTIONS, MESH_METHOD_PATCH};

    path_match(m, r);
    for (uint32_t n = below(m, 4); n > 0; n--) {
        r->methods |= methods[below(m, mesh_nelts(methods))];
    }
    value_matches(m, r);
    r->grpc = wide_one_in(m, 4);
    addresses(m, &r->addresses);
    if (wide_one_in(m, 4)) {
        r->share = share(m);
    }
}

/* What follows a cookie's value, as the decoder puts it. */
static mesh_str_t attributes(maker_t *m) {
    uint32_t age = one_in(m, 2) ? number(m, 1, MS_MAX / 1000) : 0;
    const char *text = age ? arena_printf(m->arena, "; Max-Age=%u", age) : "";
    return mesh_str_from(arena_printf(
        m->arena, "%s%s%s%s; HttpOnly", text, one_in(m, 2) ? "; Path=/a" : "",
        one_in(m, 2) ? "; SameSite=Lax" : "", one_in(m, 2) ? "; Secure" : ""));
}

static model_regex_rewrite_t regex_rewrite(maker_t *m) {
    return (model_regex_rewrite_t){
        mesh_str_from(arena_printf(m->arena, "/(%s)|_+([0-9]*)$",
                                   word(m, LOWER "-/", 0).data)),
        one_in(m, 3) ? MESH_STR("") : MESH_STR("/\\2\\\\\\0")};
}

static void affinity(maker_t *m, model_route_t *r) {
    r->nhash_policies = wide_one_in(m, 2) ? below(m, 4) : 0;
    r->hash_policies =
        arena_alloc(m->arena, r->nhash_policies * sizeof(*r->hash_policies));
    for (uint32_t i = 0; i < r->nhash_policies; i++) {
        model_hash_policy_t *p = &r->hash_policies[i];

        *p = (model_hash_policy_t){
            .from = (mesh_hash_from_e)below(m, MESH_HASH_PATH + 1),
            .terminal = one_in(m, 3),
        };
        if (p->from != MESH_HASH_SOURCE_IP && p->from != MESH_HASH_PATH) {
            p->name = word(m, LOWER "-", i);
        }
        p->generate = p->from == MESH_HASH_COOKIE && one_in(m, 2);
        p->attributes = p->generate ? attributes(m) : MESH_STR_NULL;
        if (p->from == MESH_HASH_HEADER && one_in(m, 2)) {
            p->rewrite = regex_rewrite(m);
        }
    }
    r->split_by.by = (model_split_by_e)(wide_one_in(m, 2) ? below(m, 3) : 0);
    if (r->split_by.by == MODEL_SPLIT_BY_HEADER) {
        r->split_by.header = word(m, LOWER "-", 0);
    }
    if (wide_one_in(m, 4)) {
        r->session = (model_session_t){.set = true,
                                       .strict = one_in(m, 2),
                                       .name = word(m, LOWER "AB-_", 0),
                                       .attributes = attributes(m)};
        if (one_in(m, 2)) {
            r->session.header = true;
            r->session.name = word(m, LOWER "-_", 0);
            r->session.attributes = MESH_STR_NULL;
        }
    }
}

static void origins(maker_t *m, model_matches_t *list) {
    list->count = below(m, 4);
    list->v = arena_alloc(m->arena, list->count * sizeof(*list->v));
    for (uint32_t i = 0; i < list->count; i++) {
        model_match_t *origin = &list->v[i];
        uint32_t op = below(m, 5);

        *origin = (model_match_t){
            .from = MESH_FROM_HEADER,
            .op = op == 4 ? MESH_MATCH_REGEX
                          : (mesh_match_op_e)(MESH_MATCH_EXACT + op),
            .name = MESH_STR("origin"),
            .value = one_in(m, 5) ? MESH_STR("*") : word(m, LOWER ":/.", i),
        };
        if (origin->op == MESH_MATCH_REGEX) {
            origin->value = MESH_STR("https?://[a-z]+");
        } else {
            origin->ignore_case = one_in(m, 2);
        }
    }
}

static mesh_str_t joined(maker_t *m, const char *text) {
    return one_in(m, 2) ? mesh_str_from(text) : MESH_STR("");
}

static model_mirrors_t mirrors(maker_t *m) {
    const model_part_t *part = m->part;
    model_mirrors_t made = {0, arena_alloc(m->arena, 3 * sizeof(*made.v))};

    for (uint32_t n = below(m, 4); n > 0; n--) {
        const model_cluster_t *c = &part->clusters[below(m, part->nclusters)];
        model_mirror_t *to = &made.v[made.count];

        if (c->protocol == MODEL_HTTP2) {
            continue; /* refused */
        }
        made.count++;
        to->cluster = c->name;
        to->subset = subset_of(m, c);
        to->share = share(m);
        to->shadow_host = one_in(m, 2);
    }
    return made;
}

static void policies(maker_t *m, model_route_t *r) {
    if (wide_one_in(m, 3)) {
        r->cors = (model_cors_t){
            .set = true,
            .methods = joined(m, "GET, POST"),
            .headers = joined(m, "x-a, content-type, *"),
            .expose = joined(m, "x-b,x-c"),
            .max_age = joined(m, one_in(m, 2) ? "0" : "86400"),
            .credentials = one_in(m, 2),
            .private_network = one_in(m, 2),
            .forward_foreign = one_in(m, 2),
        };
        origins(m, &r->cors.origins);
    }
    if (wide_one_in(m, 3)) {
        r->follow = (model_internal_redirects_t){
            .set = true,
            .max = number(m, 1, MESH_FOLLOW_MAX),
            .codes = number(m, 1, MESH_FOLLOW_ALL),
            .cross_scheme = one_in(m, 2),
        };
    }
    if (wide_one_in(m, 3)) {
        r->mirrors = mirrors(m);
    }
    if (wide_one_in(m, 3)) {
        r->body_limit = number(m, 0, UINT32_MAX);
    }
}

static void split(maker_t *m, model_route_t *r) {
    const model_part_t *part = m->part;

    r->nsplit = 1 + (one_in(m, 2) ? below(m, 4) : 0);
    r->split = arena_alloc(m->arena, r->nsplit * sizeof(*r->split));
    for (uint32_t i = 0; i < r->nsplit; i++) {
        model_split_t *s = &r->split[i];
        const model_cluster_t *c = &part->clusters[below(m, part->nclusters)];

        s->cluster = c->name;
        s->by_header = wide_one_in(m, 5);
        if (s->by_header) {
            s->cluster = word(m, LOWER "-", i);
            s->not_found = number(m, 400, 599);
        } else {
            s->subset = subset_of(m, c);
        }
        s->weight = i == 0 ? number(m, 1, 1u << 29) : number(m, 0, 1u << 29);
        s->request_ops = header_ops(m, false);
        s->response_ops = header_ops(m, true);
        if (wide_one_in(m, 3)) {
            s->host_rewrite = word(m, LOWER "-._:", 0);
        }
    }
}

static model_retry_t retry(maker_t *m) {
    static const uint8_t statuses[] = {1, 4, 8, 13, 14};
    model_retry_t made = {.set = true,
                          .on = 1 + below(m, 15), /* the first four bits */
                          .attempts = number(m, 1, 100),
                          .per_try_timeout_ms = number(m, 0, MS_MAX)};

    for (size_t i = 0; one_in(m, 2) && i < mesh_nelts(statuses); i++) {
        made.grpc |= one_in(m, 2) ? 1u << statuses[i] : 0;
    }
    made.on |= made.grpc ? MESH_RETRY_GRPC : 0;
    made.on |= one_in(m, 3) ? MESH_RETRY_UNSAFE : 0;
    made.codes = arena_alloc(m->arena, 8 * sizeof(*made.codes));
    for (uint32_t code = 400; one_in(m, 2) && made.ncodes < 8;) {
        code += 1 + below(m, 40);
        if (code > 599) {
            break;
        }
        made.codes[made.ncodes++] = code;
        made.on |= MESH_RETRY_STATUS;
    }
    return made;
}

/* What of path and host the other fields leave. */
static void rewrite(maker_t *m, model_route_t *r) {
    model_rewrite_t *to = &r->rewrite;

    if (!r->has_prefix_rewrite && wide_one_in(m, 2)) {
        to->path = (mesh_path_rewrite_e)below(m, MESH_REWRITE_WHOLE + 1);
    }
    if (to->path == MESH_REWRITE_TEMPLATE &&
        r->path_match != MESH_PATH_TEMPLATE) {
        to->path = MESH_REWRITE_REGEX;
    }
    if (to->path == MESH_REWRITE_REGEX) {
        to->regex = regex_rewrite(m);
    } else if (to->path == MESH_REWRITE_TEMPLATE) {
        to->text = MESH_STR("/to/{a}/{a}x");
    } else if (to->path == MESH_REWRITE_WHOLE) {
        to->text = one_in(m, 2) ? MESH_STR("/w/%REQ(x-a)%") : MESH_STR("/w");
    }
    if (r->host_rewrite.len == 0 && wide_one_in(m, 2)) {
        to->host = (mesh_host_rewrite_e)below(m, MESH_HOST_PATH + 1);
        to->header = to->host == MESH_HOST_HEADER ? word(m, LOWER "-", 0)
                                                  : MESH_STR_NULL;
        if (to->host == MESH_HOST_PATH) {
            to->host_regex = regex_rewrite(m);
        }
    }
    to->forward_host = (r->host_rewrite.len || to->host) && wide_one_in(m, 2);
}

static model_redirect_t redirect(maker_t *m) {
    static const uint16_t known[] = {301, 302, 303, 307, 308};
    model_redirect_t to = {.status = known[below(m, 5)],
                           .strip_query = one_in(m, 2)};

    if (one_in(m, 2)) {
        to.scheme = one_in(m, 2) ? MESH_STR("http") : MESH_STR("https");
    }
    if (one_in(m, 2)) {
        to.host = word(m, LOWER "-._:[]", 0);
    }
    if (one_in(m, 2)) {
        to.port = number(m, 1, 65535);
    }
    if (one_in(m, 2)) {
        to.path = path(m);
    } else if (one_in(m, 2) || (!to.scheme.len && !to.host.len && !to.port)) {
        to.has_prefix = true;
        to.prefix = one_in(m, 3) ? MESH_STR("") : path(m);
    } else if (wide_one_in(m, 2)) {
        to.regex = regex_rewrite(m);
    }
    return to;
}

static void action(maker_t *m, model_route_t *r) {
    r->action = (mesh_action_e)below(m, 3);
    if (r->action == MESH_ACTION_ROUTE && m->part->nclusters == 0) {
        r->action = MESH_ACTION_DIRECT;
    }
    r->redirect.status = 301;
    r->retry.attempts = 1;
    switch (r->action) {
    case MESH_ACTION_ROUTE:
        split(m, r);
        if (one_in(m, 2)) {
            r->has_prefix_rewrite = true;
            r->prefix_rewrite = path(m);
        }
        if (one_in(m, 2)) {
            r->host_rewrite = word(m, LOWER "-._:", 0);
        }
        rewrite(m, r);
        if (one_in(m, 2)) {
            r->retry = retry(m);
        }
        affinity(m, r);
        policies(m, r);
        break;
    case MESH_ACTION_REDIRECT:
        r->redirect = redirect(m);
        break;
    case MESH_ACTION_DIRECT:
        r->direct_status = number(m, 200, 599);
        r->direct_body = text(m);
        break;
    }
}

static void route(maker_t *m, model_route_t *r, mesh_str_t host, uint32_t i) {
    r->name = one_in(m, 2) ? word(m, NAME, i) : MESH_STR_NULL;
    /* Unique in the mesh: the host's name is. */
    r->name = mesh_str_from(
        arena_printf(m->arena, "%.*s/%u%s%.*s", (int)host.len, host.data, i,
                     r->name.len ? "/" : "", (int)r->name.len,
                     r->name.len ? r->name.data : ""));
    matches(m, r);
    action(m, r);
    r->timeout_ms = number(m, 0, MS_MAX);
    r->idle_timeout_ms = number(m, 0, MS_MAX);
    r->request_ops = header_ops(m, false);
    r->response_ops = header_ops(m, true);
}

static void host(maker_t *m, model_vhost_t *h, uint32_t id, uint32_t most) {
    static const char *const forms[] = {"%s.x%u", "*.%s.y%u", "%s%u.*",
                                        "*-%s.z%u", "%s%u-*"};

    h->ndomains = 1 + below(m, 3);
    h->domains = arena_alloc(m->arena, h->ndomains * sizeof(*h->domains));
    for (uint32_t i = 0; i < h->ndomains; i++) {
        mesh_str_t name = word(m, LOWER "-_", id * 4 + i);
        char *domain = arena_printf(
            m->arena, forms[below(m, mesh_nelts(forms))], name.data, i);

        h->domains[i] = mesh_str_from(domain);
    }
    if (id == 0 && m->tag[0] == '\0' && one_in(m, 2)) {
        h->domains[0] = MESH_STR("*");
    }
    h->name = one_in(m, 2) ? h->domains[0] : word(m, NAME, id); /* no domain */
    h->nroutes = 1 + below(m, most);
    h->routes = arena_alloc(m->arena, h->nroutes * sizeof(*h->routes));
    for (uint32_t i = 0; i < h->nroutes; i++) {
        route(m, &h->routes[i], h->name, i);
    }
    h->request_ops = header_ops(m, false);
    h->response_ops = header_ops(m, true);
}

static void table(maker_t *m, const model_random_size_t *size) {
    model_route_table_t *t = arena_alloc(m->arena, sizeof(*t));

    t->flags_said = one_in(m, 2);
    t->name =
        t->flags_said && one_in(m, 2) ? word(m, LOWER, 0) : MESH_STR("default");
    t->flags = MODEL_TABLE_FLAGS;
    if (t->flags_said) {
        t->flags = below(m, 4) << MESH_SLASHES_SHIFT;
        t->flags |= one_in(m, 2) ? MESH_NORMALIZE_RFC3986 : 0;
        t->flags |= one_in(m, 2) ? MESH_MERGE_SLASHES : 0;
        t->flags |= one_in(m, 2) ? MESH_HOST_KEEP_PORT : 0;
    }
    t->nvhosts = below(m, size->hosts + 1);
    t->vhosts = arena_alloc(m->arena, t->nvhosts * sizeof(*t->vhosts));
    for (uint32_t i = 0; i < t->nvhosts; i++) {
        host(m, &t->vhosts[i], i, size->routes);
    }
    model_mark_keyed(t);
    if (t->nvhosts != 0 || t->flags_said) {
        m->part->ntables = 1;
        m->part->tables = t;
    }
}

model_part_t *model_random_part(arena_t *arena, rng_t *rng,
                                const model_random_size_t *size) {
    model_part_t *part = arena_alloc(arena, sizeof(*part));
    maker_t m = {arena,       rng,       part, size->tag ? size->tag : "",
                 size->names, size->wide};

    part->arena = arena;
    part->name = "random";
    part->version = MESH_STR("");
    clusters(&m, size);
    table(&m, size);
    runtime(&m);
    return part;
}
