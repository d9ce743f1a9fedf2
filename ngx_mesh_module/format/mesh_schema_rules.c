/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Rules of the plain shapes, clusters, endpoints and roots; those of routes
 * are in mesh_schema_rules_route.c.
 *
 * Reserved fields and unknown flags are refused: a field that a later writer
 * gives a meaning may decide access, and skipping it would fail open.
 */

#include "mesh_schema_rules.h"


/* --- plain shapes ------------------------------------------------------- */

static bool
rule_known_kind(uint16_t kind)
{
    return mesh_schema(kind) != NULL;
}


const char *
mesh_rule_u32s(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const mesh_rec_u32s_t  *u = (const mesh_rec_u32s_t *) rec;

    (void) reader;

    return u->count ? NULL : "an empty list";
}


const char *
mesh_rule_refs(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const mesh_rec_refs_t  *refs = (const mesh_rec_refs_t *) rec;

    (void) reader;

    if (refs->reserved != 0) {
        return "a reserved field is not zero";
    }

    if (!rule_known_kind(refs->value_kind)) {
        return "references to an unknown kind";
    }

    return refs->count ? NULL : "an empty list";
}


const char *
mesh_rule_map(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    uint32_t                    i;
    uint64_t                    total;
    const mesh_rec_map_t       *map = (const mesh_rec_map_t *) rec;
    const mesh_rec_map_leaf_t  *leaf;

    if (map->value_kind != MESH_KIND_NONE
        && !rule_known_kind(map->value_kind))
    {
        return "a map of an unknown kind";
    }

    if (map->count == 0) {
        return "an empty map";
    }

    if (map->bits != mesh_map_bits(map->count)
        || map->leaves != UINT32_C(1) << map->bits)
    {
        return "a map's leaves do not follow from its count";
    }

    total = 0;

    for (i = 0; i < map->leaves; i++) {
        if (map->leaf[i] == 0) {
            continue;
        }

        leaf = mesh_rule_get(reader, map->leaf[i]);

        if (leaf->value_kind != map->value_kind) {
            return "a map's leaf is of another kind";
        }

        /* A leaf is in order, so its ends tell for all between. */
        if (mesh_map_leaf(leaf->v[0].hash, map->bits) != i
            || mesh_map_leaf(leaf->v[leaf->count - 1].hash, map->bits) != i)
        {
            return "a map's leaf holds entries of another";
        }

        total += leaf->count;
    }

    return total == map->count ? NULL : "a map's count is not its leaves'";
}


const char *
mesh_rule_map_leaf(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    uint32_t                    i;
    const mesh_map_entry_t     *e;
    const mesh_rec_map_leaf_t  *leaf = (const mesh_rec_map_leaf_t *) rec;

    if (leaf->reserved != 0) {
        return "a reserved field is not zero";
    }

    if (leaf->value_kind != MESH_KIND_NONE
        && !rule_known_kind(leaf->value_kind))
    {
        return "a map of an unknown kind";
    }

    if (leaf->count == 0) {
        return "an empty leaf";
    }

    for (i = 0; i < leaf->count; i++) {
        e = &leaf->v[i];

        if (!mesh_rule_hash(reader, e->name, e->hash)) {
            return "an entry's hash is not its name's";
        }

        if (i > 0 && (e->hash < e[-1].hash
                      || (e->hash == e[-1].hash
                          && mesh_rule_cmp(reader, e[-1].name, e->name) >= 0)))
        {
            return "entries are not in order of hash and name";
        }
    }

    return NULL;
}


/* --- clusters ----------------------------------------------------------- */

/*
 * A balancer looks at this many endpoints for one pick: more is no better
 * choice, only a worker that stands still.
 */
#define RULE_LB_CHOICES_MAX   64


static bool
rule_is_prime(uint32_t n)
{
    uint32_t  i;

    for (i = 2; i * i <= n; i++) {
        if (n % i == 0) {
            return false;
        }
    }

    return n >= 2;
}


/* Bounds of each; a permutation of the table ends because it is prime. */
const char *
mesh_rule_lb(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const mesh_rec_lb_t  *lb = (const mesh_rec_lb_t *) rec;

    (void) reader;

    if (lb->table_size != 0
        && (lb->table_size > MESH_LB_TABLE_MAX
            || !rule_is_prime(lb->table_size)))
    {
        return "table_size is not a prime up to 5000011";
    }

    if (lb->ring_max > MESH_LB_RING_MAX || lb->ring_min > lb->ring_max) {
        return "a ring is not of min to max, at most 8388608 points";
    }

    if (lb->balance_factor != 0
        && (lb->balance_factor < 100
            || lb->balance_factor > MESH_LB_BALANCE_MAX))
    {
        return "balance_factor is not 100 to 1000000";
    }

    if (lb->flags & ~(uint32_t) (MESH_LB_FULL_SCAN | MESH_LB_BIAS
                                 | MESH_LB_FAILOVER))
    {
        return "unknown flags";
    }

    if ((lb->flags & MESH_LB_FAILOVER) && lb->weights != 0) {
        return "failover and weights of localities";
    }

    if (lb->bias_milli > MESH_LB_BIAS_MAX) {
        return "bias_milli is above 10000";
    }

    if (lb->slow_start_ms != 0
        && (lb->aggression_milli == 0 || lb->min_weight_percent > 100))
    {
        return "slow start without an aggression, or above the weight";
    }

    if (lb->overprovisioning > MESH_LB_OVERPROVISIONING_MAX) {
        return "overprovisioning is above 1000000";
    }

    if (lb->zone_aware != 0
        && (lb->weights != 0 || (lb->flags & MESH_LB_FAILOVER)))
    {
        return "zone_aware and failover or weights of localities";
    }

    return NULL;
}


const char *
mesh_rule_zone_aware(const mesh_rec_t *rec,
    const mesh_schema_reader_t *reader)
{
    const mesh_rec_zone_aware_t  *z = (const mesh_rec_zone_aware_t *) rec;

    (void) reader;

    if (z->enabled_percent > 100) {
        return "enabled_percent is above 100";
    }

    if (z->flags & ~(uint32_t) (MESH_ZONE_FAIL_ON_PANIC
                                | MESH_ZONE_BY_WEIGHT))
    {
        return "unknown flags";
    }

    return z->reserved ? "a reserved field is not zero" : NULL;
}


const char *
mesh_rule_locality_weights(const mesh_rec_t *rec,
    const mesh_schema_reader_t *reader)
{
    uint32_t                            i;
    const mesh_rec_locality_weights_t  *w;

    (void) reader;

    w = (const mesh_rec_locality_weights_t *) rec;

    if (w->reserved != 0) {
        return "a reserved field is not zero";
    }

    if (w->count > MESH_LOCALITY_WEIGHTS_MAX) {
        return "more than 256 localities";
    }

    for (i = 0; i < w->count; i++) {
        if (w->v[i].priority > MESH_PRIORITY_MAX
            && w->v[i].priority != MESH_PRIORITY_ANY)
        {
            return "a priority above 127";
        }
    }

    return NULL;
}


/* A balancer has the parameters that it cannot do without. */
static const char *
rule_lb_params(const mesh_rec_cluster_t *c, const mesh_rec_lb_t *lb)
{
    if (c->lb == MESH_LB_MAGLEV && (lb == NULL || lb->table_size == 0)) {
        return "maglev without a table_size";
    }

    if (c->lb == MESH_LB_RING_HASH && (lb == NULL || lb->ring_min == 0)) {
        return "ring_hash without a ring_min";
    }

    /* Tables are made of weights, which must not move. */

    if (mesh_lb_hashes(c->lb) && lb->slow_start_ms != 0) {
        return "slow start of a balancer that hashes";
    }

    /* The hash chooses, wherever the endpoint is. */

    if (mesh_lb_hashes(c->lb) && lb->zone_aware != 0) {
        return "zone_aware of a balancer that hashes";
    }

    if (c->lb == MESH_LB_PEAK_EWMA
        && (lb == NULL || lb->decay_ms == 0 || lb->default_rtt_ms == 0))
    {
        return "peak_ewma without its times";
    }

    return NULL;
}


const char *
mesh_rule_cluster(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const mesh_rec_cluster_t  *c = (const mesh_rec_cluster_t *) rec;

    if (!mesh_rule_hash(reader, c->name, c->name_hash)) {
        return "name_hash is not the name's";
    }

    if (c->lb >= MESH_LB_MAX) {
        return "unknown balancer";
    }

    if (c->panic_percent > 100) {
        return "panic_percent is above 100";
    }

    if (c->lb_choices > RULE_LB_CHOICES_MAX) {
        return "lb_choices is above 64";
    }

    if (c->flags & ~(uint32_t) MESH_CLUSTER_HTTP2) {
        return "unknown flags";
    }

    return rule_lb_params(c, c->lb_params ? mesh_rule_get(reader, c->lb_params)
                                          : NULL);
}


const char *
mesh_rule_outlier(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const mesh_rec_outlier_t  *o = (const mesh_rec_outlier_t *) rec;

    (void) reader;

    if (o->max_ejection_percent > 100) {
        return "max_ejection_percent is above 100";
    }

    return o->flags & ~(uint32_t) MESH_OUTLIER_SPLIT_LOCAL ? "unknown flags"
                                                          : NULL;
}


#define RULE_SUBSETS_FLAGS                                                    \
    ((uint32_t) (MESH_SUBSETS_REQUIRED | MESH_SUBSETS_REDUNDANT               \
                 | MESH_SUBSETS_PANIC_ANY))


static bool
rule_fallback(const mesh_rec_subsets_t *s, uint32_t fallback)
{
    return fallback < MESH_FALLBACK_SUBSET
           || fallback - MESH_FALLBACK_SUBSET < s->count;
}


static bool
rule_selectors_fallbacks(const mesh_rec_subsets_t *s,
    const mesh_schema_reader_t *reader)
{
    uint32_t                     i, fallback;
    const mesh_rec_selectors_t  *selectors;

    selectors = s->selectors ? mesh_rule_get(reader, s->selectors) : NULL;

    for (i = 0; selectors != NULL && i < selectors->count; i++) {
        fallback = selectors->v[i].fallback;

        if (fallback < MESH_FALLBACK_KEYS && !rule_fallback(s, fallback)) {
            return false;
        }
    }

    return true;
}


/* Some of a selector's keys, not all; of any other fallback, none. */
static bool
rule_fallback_keys(const mesh_selector_t *selector, uint32_t count)
{
    uint32_t  all;

    all = (UINT32_C(1) << count) - 1;

    return selector->fallback == MESH_FALLBACK_KEYS
           ? selector->fallback_keys != 0 && selector->fallback_keys < all
           : selector->fallback_keys == 0;
}


static const char *
rule_selector(const mesh_selector_t *selector,
    const mesh_schema_reader_t *reader)
{
    uint32_t                i;
    const mesh_rec_refs_t  *keys;

    keys = mesh_rule_get(reader, selector->keys);

    if (keys->value_kind != MESH_KIND_STRING || keys->count == 0
        || keys->count > MESH_SELECTOR_KEYS_MAX)
    {
        return "a selector without keys, or with more than 16";
    }

    for (i = 1; i < keys->count; i++) {
        if (mesh_rule_cmp(reader, keys->v[i - 1], keys->v[i]) >= 0) {
            return "a selector's keys are not in order";
        }
    }

    if (!rule_fallback_keys(selector, keys->count)) {
        return "a selector's fallback has keys that are not some of its own";
    }

    return selector->reserved ? "a reserved field is not zero" : NULL;
}


const char *
mesh_rule_selectors(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    uint32_t                     i;
    const char                  *reason;
    const mesh_rec_selectors_t  *s = (const mesh_rec_selectors_t *) rec;

    if (s->reserved != 0) {
        return "a reserved field is not zero";
    }

    if (s->count > MESH_SELECTORS_MAX) {
        return "more than 64 selectors";
    }

    reason = NULL;

    for (i = 0; i < s->count && reason == NULL; i++) {
        reason = rule_selector(&s->v[i], reader);
    }

    return reason;
}


const char *
mesh_rule_subsets(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    uint32_t                   i;
    const mesh_rec_subsets_t  *s = (const mesh_rec_subsets_t *) rec;

    if (!rule_fallback(s, s->fallback)) {
        return "the fallback is no subset";
    }

    if (s->flags & ~RULE_SUBSETS_FLAGS) {
        return "unknown flags";
    }

    if (!rule_selectors_fallbacks(s, reader)) {
        return "a selector's fallback is no subset";
    }

    for (i = 0; i < s->count; i++) {
        if (s->v[i].reserved != 0) {
            return "a reserved field is not zero";
        }

        if (!mesh_rule_hash(reader, s->v[i].name, s->v[i].hash)) {
            return "a subset's hash is not its name's";
        }

        if (i > 0
            && mesh_rule_cmp(reader, s->v[i - 1].name, s->v[i].name) >= 0)
        {
            return "subsets are not in order of name";
        }
    }

    return NULL;
}


const char *
mesh_rule_labels(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    uint32_t                  i;
    const mesh_rec_labels_t  *l = (const mesh_rec_labels_t *) rec;

    if (l->reserved != 0) {
        return "a reserved field is not zero";
    }

    for (i = 1; i < l->count; i++) {
        if (mesh_rule_cmp(reader, l->v[i - 1].name, l->v[i].name) >= 0) {
            return "labels are not in order of name";
        }
    }

    return NULL;
}


/* --- endpoints ---------------------------------------------------------- */

#define RULE_WEIGHT_MAX   (UINT32_C(1) << 24)


const char *
mesh_rule_endpoint_set(const mesh_rec_t *rec,
    const mesh_schema_reader_t *reader)
{
    uint32_t                          i;
    uint64_t                          total;
    const mesh_rec_endpoint_set_t    *set;
    const mesh_rec_endpoint_chunk_t  *chunk;

    set = (const mesh_rec_endpoint_set_t *) rec;

    if (set->reserved != 0) {
        return "a reserved field is not zero";
    }

    total = 0;

    for (i = 0; i < set->count; i++) {
        chunk = mesh_rule_get(reader, set->v[i]);
        total += chunk->count;
    }

    return total == set->total ? NULL : "total is not the chunks' sum";
}


static const char *
rule_endpoint(const mesh_endpoint_t *e)
{
    if (e->family != MESH_FAMILY_IPV4 && e->family != MESH_FAMILY_IPV6
        && e->family != MESH_FAMILY_UNIX)
    {
        return "unknown address family";
    }

    if (e->family == MESH_FAMILY_UNIX && e->host == 0) {
        return "a unix endpoint without its path";
    }

    if (e->health > MESH_HEALTH_DEGRADED) {
        return "unknown health";
    }

    if (e->priority > MESH_PRIORITY_MAX) {
        return "a priority above 127";
    }

    return e->weight > RULE_WEIGHT_MAX ? "a weight above 2^24" : NULL;
}


const char *
mesh_rule_endpoint_chunk(const mesh_rec_t *rec,
    const mesh_schema_reader_t *reader)
{
    uint32_t                          i;
    const char                       *reason;
    const mesh_rec_endpoint_chunk_t  *chunk;

    (void) reader;

    chunk = (const mesh_rec_endpoint_chunk_t *) rec;

    if (chunk->reserved != 0) {
        return "a reserved field is not zero";
    }

    if (chunk->count == 0 || chunk->count > MESH_CHUNK_MAX) {
        return "a chunk holds 1 to 64 endpoints";
    }

    for (i = 0; i < chunk->count; i++) {
        reason = rule_endpoint(&chunk->v[i]);
        if (reason != NULL) {
            return reason;
        }
    }

    return NULL;
}


const char *
mesh_rule_locality(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const mesh_rec_locality_t  *l = (const mesh_rec_locality_t *) rec;

    (void) reader;

    return l->reserved ? "a reserved field is not zero" : NULL;
}


/* --- roots -------------------------------------------------------------- */

const char *
mesh_rule_policy(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const mesh_rec_policy_t  *p = (const mesh_rec_policy_t *) rec;

    if (!mesh_rule_map_of(reader, p->clusters, MESH_KIND_CLUSTER)) {
        return "clusters is no map of clusters";
    }

    if (!mesh_rule_map_of(reader, p->route_tables, MESH_KIND_ROUTE_TABLE)) {
        return "route_tables is no map of route tables";
    }

    return NULL;
}


const char *
mesh_rule_endpoints(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const mesh_rec_endpoints_t  *e = (const mesh_rec_endpoints_t *) rec;

    if (!mesh_rule_map_of(reader, e->sets, MESH_KIND_ENDPOINT_SET)) {
        return "sets is no map of endpoint sets";
    }

    return e->reserved ? "a reserved field is not zero" : NULL;
}


const char *
mesh_rule_identity(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const mesh_rec_identity_t  *i = (const mesh_rec_identity_t *) rec;

    (void) reader;

    return i->reserved[0] || i->reserved[1] ? "a reserved field is not zero"
                                            : NULL;
}


const char *
mesh_rule_binding(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const mesh_rec_binding_t  *b = (const mesh_rec_binding_t *) rec;

    if (!mesh_rule_map_of(reader, b->clusters, MESH_KIND_BIND_CLUSTER)) {
        return "clusters is no map of bindings";
    }

    if (!mesh_rule_map_of(reader, b->routes, MESH_KIND_NONE)) {
        return "routes is no map of slots";
    }

    return NULL;
}


/* Slots are read by an endpoint's place in its chunk: same shape. */
static const char *
rule_parallel(const mesh_rec_endpoint_set_t *set, const mesh_rec_refs_t *slots,
    const mesh_schema_reader_t *reader)
{
    uint32_t                          i;
    const mesh_rec_u32s_t            *u;
    const mesh_rec_endpoint_chunk_t  *chunk;

    if ((set ? set->count : 0) != (slots ? slots->count : 0)) {
        return "slots are not parallel to the set's chunks";
    }

    for (i = 0; slots != NULL && i < slots->count; i++) {
        u = mesh_rule_get(reader, slots->v[i]);
        chunk = mesh_rule_get(reader, set->v[i]);

        if (u->count != chunk->count) {
            return "slots are not parallel to a chunk's endpoints";
        }
    }

    return NULL;
}


const char *
mesh_rule_bind_cluster(const mesh_rec_t *rec,
    const mesh_schema_reader_t *reader)
{
    const mesh_rec_bind_cluster_t  *b;

    b = (const mesh_rec_bind_cluster_t *) rec;

    if (b->reserved != 0) {
        return "a reserved field is not zero";
    }

    if (!mesh_rule_refs_of(reader, b->slots, MESH_KIND_U32S)) {
        return "slots are no lists of numbers";
    }

    return rule_parallel(b->set ? mesh_rule_get(reader, b->set) : NULL,
                         b->slots ? mesh_rule_get(reader, b->slots) : NULL,
                         reader);
}


const char *
mesh_rule_sources(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const mesh_rec_sources_t  *s = (const mesh_rec_sources_t *) rec;

    (void) reader;

    return s->reserved ? "a reserved field is not zero" : NULL;
}


#define RULE_ROOT_FLAGS                                                       \
    (uint32_t) (MESH_ROOT_PINNED | MESH_ROOT_ROLLED_BACK | MESH_ROOT_COLD)


const char *
mesh_rule_root(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const mesh_rec_root_t  *root = (const mesh_rec_root_t *) rec;
    const mesh_rec_refs_t  *history;

    if (!mesh_rule_refs_of(reader, root->history, MESH_KIND_ROOT)) {
        return "history is no list of roots";
    }

    if (root->history != 0) {
        history = mesh_rule_get(reader, root->history);
        if (history->count > MESH_HISTORY_MAX) {
            return "more than 64 roots in the history";
        }
    }

    return root->flags & ~RULE_ROOT_FLAGS ? "unknown flags" : NULL;
}
