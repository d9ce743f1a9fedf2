/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The runtime's words: layout, slots and their tags, gauges with their
 * ledgers, reaping.  docs/runtime.md draws the file and goes through the
 * crashes.
 */

#include "mesh_listener.h"


/*
 * How often a slot that somebody else resets is looked at again before this
 * process resets it too: the other one may be dead.
 */
#define RUNTIME_BUSY_SPINS   256


/* Slots are cleared word by word, whatever the fields' types. */
typedef uint32_t __attribute__((__may_alias__))  runtime_word_t;

typedef struct {
    size_t  size;                       /* of the slot */
    size_t  keep;                       /* offset of what stays, or size */
    size_t  keep_size;
} runtime_shape_t;


static const runtime_shape_t  runtime_cluster_shape = {
    sizeof(mesh_cluster_slot_t),
    offsetof(mesh_cluster_slot_t, in_flight),
    sizeof(uint64_t)
};

static const runtime_shape_t  runtime_endpoint_shape = {
    sizeof(mesh_endpoint_slot_t),
    offsetof(mesh_endpoint_slot_t, in_flight),
    sizeof(uint32_t)
};

static const runtime_shape_t  runtime_route_shape = {
    sizeof(mesh_route_slot_t),
    sizeof(mesh_route_slot_t),
    0
};


static bool
runtime_sizes_ok(const mesh_runtime_sizes_t *sizes)
{
    return sizes->workers != 0
           && sizes->workers <= MESH_RUNTIME_WORKERS_MAX
           && sizes->clusters != 0
           && sizes->clusters <= MESH_RUNTIME_SLOTS_MAX
           && sizes->routes != 0
           && sizes->routes <= MESH_RUNTIME_SLOTS_MAX
           && sizes->endpoints != 0
           && sizes->endpoints <= MESH_RUNTIME_SLOTS_MAX;
}


uint64_t
mesh_runtime_size(const mesh_runtime_sizes_t *sizes)
{
    uint64_t  rows;

    if (!runtime_sizes_ok(sizes)) {
        return 0;
    }

    rows = (uint64_t) sizes->endpoints + sizes->clusters;

    return sizeof(mesh_runtime_head_t)
           + (uint64_t) sizes->workers * sizeof(mesh_worker_slot_t)
           + (uint64_t) sizes->clusters * sizeof(mesh_cluster_slot_t)
           + (uint64_t) sizes->routes * sizeof(mesh_route_slot_t)
           + (uint64_t) sizes->endpoints * sizeof(mesh_endpoint_slot_t)
           + sizes->workers * rows * sizeof(uint32_t);
}


/* Behind the rest; ledgers may end in the middle of eight bytes. */
static uint64_t
runtime_listeners_at(const mesh_runtime_sizes_t *sizes)
{
    return (mesh_runtime_size(sizes) + 7) & ~UINT64_C(7);
}


uint64_t
mesh_runtime_file_size(const mesh_runtime_sizes_t *sizes)
{
    if (!runtime_sizes_ok(sizes)) {
        return 0;
    }

    return runtime_listeners_at(sizes)
           + (uint64_t) sizes->workers * MESH_LISTENERS_BYTES;
}


static void
runtime_lay(mesh_runtime_t *rt, void *base, const mesh_runtime_sizes_t *sizes)
{
    uint8_t  *p;

    p = base;
    rt->head = base;
    rt->sizes = *sizes;
    rt->size = mesh_runtime_size(sizes);
    rt->worker = MESH_SLOT_NONE;

    p += sizeof(mesh_runtime_head_t);
    rt->workers = (void *) p;

    p += (uint64_t) sizes->workers * sizeof(mesh_worker_slot_t);
    rt->clusters = (void *) p;

    p += (uint64_t) sizes->clusters * sizeof(mesh_cluster_slot_t);
    rt->routes = (void *) p;

    p += (uint64_t) sizes->routes * sizeof(mesh_route_slot_t);
    rt->endpoints = (void *) p;

    p += (uint64_t) sizes->endpoints * sizeof(mesh_endpoint_slot_t);
    rt->ledgers = (void *) p;

    rt->listeners = NULL;
    rt->listeners_each = 0;
}


void
mesh_runtime_add_listeners(mesh_runtime_t *rt)
{
    uint64_t  at;

    at = runtime_listeners_at(&rt->sizes);

    rt->listeners = (uint8_t *) rt->head + at;
    rt->listeners_each = MESH_LISTENERS_BYTES;

    mesh_store_relaxed(&rt->head->listeners_each, rt->listeners_each);
    mesh_store_release(&rt->head->listeners, at);
}


/* A later build may say more of a worker: then what is known comes first. */
static void
runtime_find_listeners(mesh_runtime_t *rt, uint64_t size)
{
    uint32_t  each;
    uint64_t  at;

    at = mesh_load_acquire(&rt->head->listeners);
    each = mesh_load_relaxed(&rt->head->listeners_each);

    if (at % 8 != 0 || at < rt->size || at > size
        || each % 8 != 0 || each < MESH_LISTENERS_BYTES
        || (size - at) / each < rt->sizes.workers)
    {
        return;
    }

    rt->listeners = (uint8_t *) rt->head + at;
    rt->listeners_each = each;
}


static mesh_status_t
runtime_init_fresh(mesh_runtime_t *rt, void *base, uint64_t size,
    const mesh_runtime_sizes_t *want, uint64_t now_ms)
{
    uint64_t              need;
    mesh_runtime_head_t  *head;

    if (want == NULL) {
        return MESH_ERROR;
    }

    need = mesh_runtime_size(want);

    if (need == 0) {
        return MESH_ERROR;
    }

    if (size < need) {
        return MESH_NO_SPACE;
    }

    runtime_lay(rt, base, want);

    head = rt->head;
    memcpy(head->magic, MESH_RUNTIME_MAGIC, sizeof(head->magic));
    head->version = MESH_RUNTIME_VERSION;
    head->workers = want->workers;
    head->clusters = want->clusters;
    head->routes = want->routes;
    head->endpoints = want->endpoints;
    head->size = need;
    head->created_ms = now_ms;

    if (size >= mesh_runtime_file_size(want)) {
        mesh_runtime_add_listeners(rt);
    }

    return MESH_OK;
}


static bool
runtime_sizes_eq(const mesh_runtime_sizes_t *a, const mesh_runtime_sizes_t *b)
{
    return a->workers == b->workers && a->clusters == b->clusters
           && a->routes == b->routes && a->endpoints == b->endpoints;
}


mesh_status_t
mesh_runtime_init(mesh_runtime_t *rt, void *base, uint64_t size,
    const mesh_runtime_sizes_t *want, bool fresh, uint64_t now_ms)
{
    mesh_runtime_sizes_t        sizes;
    const mesh_runtime_head_t  *head;

    if (fresh) {
        return runtime_init_fresh(rt, base, size, want, now_ms);
    }

    head = base;

    if (size < sizeof(mesh_runtime_head_t)
        || memcmp(head->magic, MESH_RUNTIME_MAGIC, sizeof(head->magic)) != 0)
    {
        return MESH_CORRUPT;
    }

    if (mesh_load_relaxed(&head->version) != MESH_RUNTIME_VERSION) {
        return MESH_VERSION;
    }

    /* Once: who maps it read only may face somebody who changes it. */
    sizes.workers = mesh_load_relaxed(&head->workers);
    sizes.clusters = mesh_load_relaxed(&head->clusters);
    sizes.routes = mesh_load_relaxed(&head->routes);
    sizes.endpoints = mesh_load_relaxed(&head->endpoints);

    if (!runtime_sizes_ok(&sizes)
        || mesh_runtime_size(&sizes) > size
        || mesh_load_relaxed(&head->size) != mesh_runtime_size(&sizes))
    {
        return MESH_CORRUPT;
    }

    if (want != NULL && !runtime_sizes_eq(want, &sizes)) {
        return MESH_DECLINED;
    }

    runtime_lay(rt, base, &sizes);
    runtime_find_listeners(rt, size);

    return MESH_OK;
}


static void
runtime_clear(void *slot, const runtime_shape_t *shape)
{
    size_t           i;
    runtime_word_t  *words;

    words = slot;

    /* The tag stands first and is not the clearer's business. */

    for (i = sizeof(uint64_t); i < shape->size; i += sizeof(runtime_word_t)) {
        if (i >= shape->keep && i < shape->keep + shape->keep_size) {
            continue;
        }

        mesh_store_relaxed(&words[i / sizeof(runtime_word_t)], 0);
    }
}


/*
 * old tag -> BUSY -> (cleared) -> new tag.  A slot with the new tag is clean
 * whoever died on the way; a slot that was never used is clean already.
 */
static void
runtime_claim(uint64_t *word, uint64_t tag, const runtime_shape_t *shape)
{
    unsigned  spins;
    uint64_t  found;

    for (spins = 0; /* void */ ; spins++) {

        found = mesh_load_acquire(word);

        if (found == tag) {
            return;
        }

        if (found == 0) {
            if (mesh_cas(word, &found, tag)) {
                return;
            }

            continue;
        }

        if (found == MESH_TAG_BUSY) {
            if (spins < RUNTIME_BUSY_SPINS) {
                continue;
            }

        } else if (!mesh_cas(word, &found, MESH_TAG_BUSY)) {
            continue;
        }

        runtime_clear(word, shape);

        found = MESH_TAG_BUSY;

        if (mesh_cas(word, &found, tag)) {
            return;
        }
    }
}


mesh_cluster_slot_t *
mesh_runtime_claim_cluster(mesh_runtime_t *rt, uint32_t slot, uint64_t tag)
{
    mesh_cluster_slot_t  *cluster;

    if (slot >= rt->sizes.clusters) {
        return NULL;
    }

    cluster = &rt->clusters[slot];

    if (mesh_load_acquire(&cluster->tag) != tag) {
        runtime_claim(&cluster->tag, tag, &runtime_cluster_shape);
    }

    return cluster;
}


mesh_endpoint_slot_t *
mesh_runtime_claim_endpoint(mesh_runtime_t *rt, uint32_t slot, uint64_t tag)
{
    mesh_endpoint_slot_t  *endpoint;

    if (slot >= rt->sizes.endpoints) {
        return NULL;
    }

    endpoint = &rt->endpoints[slot];

    if (mesh_load_acquire(&endpoint->tag) != tag) {
        runtime_claim(&endpoint->tag, tag, &runtime_endpoint_shape);
    }

    return endpoint;
}


mesh_route_slot_t *
mesh_runtime_claim_route(mesh_runtime_t *rt, uint32_t slot, uint64_t tag)
{
    mesh_route_slot_t  *route;

    if (slot >= rt->sizes.routes) {
        return NULL;
    }

    route = &rt->routes[slot];

    if (mesh_load_acquire(&route->tag) != tag) {
        runtime_claim(&route->tag, tag, &runtime_route_shape);
    }

    return route;
}


/*
 * Compare-and-swap rather than add and subtract: a gauge stops at 0, and the
 * ledger's stores keep their place around it.
 */
static void
runtime_add32(uint32_t *gauge, uint32_t n)
{
    uint32_t  v;

    v = mesh_load_relaxed(gauge);

    while (!mesh_cas(gauge, &v, v + n)) { /* void */ }
}


static void
runtime_add64(uint64_t *gauge, uint64_t n)
{
    uint64_t  v;

    v = mesh_load_relaxed(gauge);

    while (!mesh_cas(gauge, &v, v + n)) { /* void */ }
}


static void
runtime_sub32(uint32_t *gauge, uint32_t n)
{
    uint32_t  v;

    v = mesh_load_relaxed(gauge);

    while (!mesh_cas(gauge, &v, v - mesh_min(v, n))) { /* void */ }
}


static void
runtime_sub64(uint64_t *gauge, uint64_t n)
{
    uint64_t  v;

    v = mesh_load_relaxed(gauge);

    while (!mesh_cas(gauge, &v, v - mesh_min(v, n))) { /* void */ }
}


static uint32_t *
runtime_ledger(const mesh_runtime_t *rt, uint32_t worker)
{
    uint64_t  rows;

    rows = (uint64_t) rt->sizes.endpoints + rt->sizes.clusters;

    return rt->ledgers + worker * rows;
}


/* One writer per row: this process. */
static void
runtime_row_add(uint32_t *row, uint32_t *high, uint32_t slot)
{
    if (mesh_load_relaxed(high) <= slot) {
        mesh_store_release(high, slot + 1);
    }

    mesh_store_release(row, mesh_load_relaxed(row) + 1);
}


static void
runtime_row_sub(uint32_t *row)
{
    uint32_t  v;

    v = mesh_load_relaxed(row);

    if (v != 0) {
        mesh_store_release(row, v - 1);
    }
}


/*
 * The ledger says at least what the gauges hold, at every instant: a worker
 * that dies between the two stores gives back one too many, which ends when
 * the endpoint is idle once, and never one too few, which would stay.
 */
void
mesh_runtime_begin(mesh_runtime_t *rt, uint32_t cluster, uint32_t endpoint)
{
    uint32_t            *ledger;
    mesh_worker_slot_t  *worker;

    if (rt->worker >= rt->sizes.workers) {
        return;
    }

    worker = &rt->workers[rt->worker];
    ledger = runtime_ledger(rt, rt->worker);

    if (endpoint < rt->sizes.endpoints) {
        runtime_row_add(&ledger[endpoint], &worker->high_endpoint, endpoint);
        runtime_add32(&rt->endpoints[endpoint].in_flight, 1);
    }

    if (cluster < rt->sizes.clusters) {
        runtime_row_add(&ledger[rt->sizes.endpoints + cluster],
                        &worker->high_cluster, cluster);
        runtime_add64(&rt->clusters[cluster].in_flight, 1);
    }
}


void
mesh_runtime_end(mesh_runtime_t *rt, uint32_t cluster, uint32_t endpoint)
{
    uint32_t  *ledger;

    if (rt->worker >= rt->sizes.workers) {
        return;
    }

    ledger = runtime_ledger(rt, rt->worker);

    if (endpoint < rt->sizes.endpoints) {
        runtime_sub32(&rt->endpoints[endpoint].in_flight, 1);
        runtime_row_sub(&ledger[endpoint]);
    }

    if (cluster < rt->sizes.clusters) {
        runtime_sub64(&rt->clusters[cluster].in_flight, 1);
        runtime_row_sub(&ledger[rt->sizes.endpoints + cluster]);
    }
}


/* Rows past the high-water marks are holes: reading them would make pages. */
static void
runtime_reap_ledger(mesh_runtime_t *rt, uint32_t worker)
{
    uint32_t                   i, n, held, *ledger;
    const mesh_worker_slot_t  *slot;

    slot = &rt->workers[worker];
    ledger = runtime_ledger(rt, worker);

    n = mesh_load_acquire(&slot->high_endpoint);
    n = mesh_min(n, rt->sizes.endpoints);

    for (i = 0; i < n; i++) {
        held = mesh_load_acquire(&ledger[i]);

        if (held != 0) {
            runtime_sub32(&rt->endpoints[i].in_flight, held);
            mesh_store_release(&ledger[i], 0);
        }
    }

    ledger += rt->sizes.endpoints;

    n = mesh_load_acquire(&slot->high_cluster);
    n = mesh_min(n, rt->sizes.clusters);

    for (i = 0; i < n; i++) {
        held = mesh_load_acquire(&ledger[i]);

        if (held != 0) {
            runtime_sub64(&rt->clusters[i].in_flight, held);
            mesh_store_release(&ledger[i], 0);
        }
    }
}


/*
 * Whatever step of an ejection the worker died at, the cluster's count is
 * right or one too high.  A new epoch makes every worker build its view
 * afresh, and the first one recounts.
 */
static void
runtime_reap_pending(mesh_runtime_t *rt, mesh_worker_slot_t *slot)
{
    uint32_t  pending;

    pending = mesh_load_acquire(&slot->pending_cluster);

    mesh_store_release(&slot->pending_cluster, 0);
    mesh_store_release(&slot->pending_endpoint, 0);

    if (pending != 0 && pending - 1 < rt->sizes.clusters) {
        runtime_add64(&rt->clusters[pending - 1].ejections,
                      UINT64_C(1) << 32);
    }
}


void
mesh_runtime_reap(mesh_runtime_t *rt, uint32_t worker)
{
    mesh_worker_slot_t  *slot;

    if (worker >= rt->sizes.workers) {
        return;
    }

    slot = &rt->workers[worker];

    runtime_reap_ledger(rt, worker);
    runtime_reap_pending(rt, slot);
    mesh_listeners_tell(rt, worker, NULL);

    mesh_store_relaxed(&slot->pid, 0);
    mesh_store_relaxed(&slot->newest, 0);
    mesh_store_relaxed(&slot->oldest, 0);
    mesh_store_relaxed(&slot->refused, 0);
    mesh_store_relaxed(&slot->word, 0);
    mesh_store_relaxed(&slot->generation, 0);
    mesh_store_relaxed(&slot->adopted_ms, 0);
    mesh_store_relaxed(&slot->adoptions, 0);
    mesh_store_relaxed(&slot->requests, 0);
    mesh_store_relaxed(&slot->high_endpoint, 0);
    mesh_store_relaxed(&slot->high_cluster, 0);
    mesh_store_relaxed(&slot->health, 0);
    mesh_store_relaxed(&slot->regex_limits, 0);
    mesh_store_release(&slot->state, MESH_WORKER_FREE);
}
