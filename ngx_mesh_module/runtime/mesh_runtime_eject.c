/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Ejections: one word per cluster {epoch, ejected}, one word per endpoint.
 *
 * The rule that everything here keeps: ejected >= endpoints whose word is not
 * 0, at every instant and after every crash.  So an ejection makes room in
 * the cluster's word first, and a return gives the room back last.  What is
 * left too high is put right by a recount, which steps aside while any worker
 * is between two steps (pending_cluster).
 */

#include "mesh_runtime.h"


#define EJECT_EPOCH   (UINT64_C(1) << 32)


static void
eject_pending(mesh_runtime_t *rt, uint32_t cluster, uint32_t endpoint)
{
    mesh_worker_slot_t  *worker;

    if (rt->worker >= rt->sizes.workers) {
        return;
    }

    worker = &rt->workers[rt->worker];

    mesh_store_release(&worker->pending_endpoint, endpoint + 1);
    mesh_store_release(&worker->pending_cluster, cluster + 1);
}


static void
eject_done(mesh_runtime_t *rt)
{
    mesh_worker_slot_t  *worker;

    if (rt->worker >= rt->sizes.workers) {
        return;
    }

    worker = &rt->workers[rt->worker];

    mesh_store_release(&worker->pending_cluster, 0);
    mesh_store_release(&worker->pending_endpoint, 0);
}


/* A new epoch, and `less` fewer ejected, but never below 0. */
static void
eject_bump(mesh_cluster_slot_t *cluster, uint32_t less)
{
    uint32_t  n;
    uint64_t  v;

    v = mesh_load_acquire(&cluster->ejections);

    do {
        n = mesh_min((uint32_t) v, less);
    } while (!mesh_cas(&cluster->ejections, &v, v + EJECT_EPOCH - n));
}


/*
 * Room for one more; false: the percentage forbids it.  The epoch tells this
 * word from one that a recount saw when the count was as high by mistake.
 */
static bool
eject_reserve(mesh_cluster_slot_t *cluster, uint32_t total,
    uint32_t max_percent)
{
    uint64_t  v, out;

    v = mesh_load_acquire(&cluster->ejections);

    do {
        out = (uint64_t) (uint32_t) v + 1;

        if (out * 100 > (uint64_t) max_percent * total) {
            return false;
        }

    } while (!mesh_cas(&cluster->ejections, &v, v + EJECT_EPOCH + 1));

    return true;
}


mesh_status_t
mesh_runtime_eject(mesh_runtime_t *rt, uint32_t cluster, uint32_t endpoint,
    uint32_t total, uint32_t max_percent, uint64_t word, uint64_t now_ms)
{
    uint64_t               in;
    mesh_cluster_slot_t   *c;
    mesh_endpoint_slot_t  *e;

    if (cluster >= rt->sizes.clusters || endpoint >= rt->sizes.endpoints) {
        return MESH_DECLINED;
    }

    c = &rt->clusters[cluster];
    e = &rt->endpoints[endpoint];

    if (mesh_load_acquire(&e->ejected) != 0) {
        return MESH_DECLINED;
    }

    eject_pending(rt, cluster, endpoint);

    if (!eject_reserve(c, total, max_percent)) {
        eject_done(rt);
        mesh_fetch_add(&c->ejections_refused, 1);
        return MESH_BUSY;
    }

    in = 0;

    if (!mesh_cas(&e->ejected, &in, word)) {

        /* Another worker was faster and has its own room. */

        eject_bump(c, 1);
        eject_done(rt);
        return MESH_DECLINED;
    }

    mesh_store_relaxed(&e->ejected_ms, now_ms);

    /* Again: a view of the epoch above may have missed the word. */

    eject_bump(c, 0);
    eject_done(rt);

    mesh_fetch_add(&c->ejections_total, 1);
    mesh_fetch_add(&e->ejections_total, 1);

    return MESH_OK;
}


bool
mesh_runtime_uneject(mesh_runtime_t *rt, uint32_t cluster, uint32_t endpoint,
    uint64_t now_ms, bool force)
{
    bool                   won;
    uint64_t               word;
    mesh_cluster_slot_t   *c;
    mesh_endpoint_slot_t  *e;

    if (cluster >= rt->sizes.clusters || endpoint >= rt->sizes.endpoints) {
        return false;
    }

    c = &rt->clusters[cluster];
    e = &rt->endpoints[endpoint];
    word = mesh_load_acquire(&e->ejected);

    if (word == 0 || (!force && mesh_ejected_until(word) > now_ms)) {
        return false;
    }

    eject_pending(rt, cluster, endpoint);

    /*
     * Before the word falls: a recount that looked for pending workers just
     * before this one became pending must not succeed afterwards.
     */
    eject_bump(c, 0);

    won = mesh_cas(&e->ejected, &word, 0);

    if (won) {
        /* Envoy does so too: a return starts with a clean record. */
        mesh_store_relaxed(&e->consecutive_5xx, 0);
        mesh_store_relaxed(&e->consecutive_gateway, 0);
        mesh_store_relaxed(&e->consecutive_local, 0);

        eject_bump(c, 1);
    }

    eject_done(rt);

    return won;
}


bool
mesh_runtime_recount_begin(const mesh_runtime_t *rt, uint32_t cluster,
    uint64_t *seen)
{
    uint32_t  i;

    if (cluster >= rt->sizes.clusters) {
        return false;
    }

    *seen = mesh_load_acquire(&rt->clusters[cluster].ejections);

    for (i = 0; i < rt->sizes.workers; i++) {
        if (mesh_load_acquire(&rt->workers[i].pending_cluster)
            == cluster + 1)
        {
            return false;
        }
    }

    return true;
}


/* The epoch stays: how many are out tells nothing about who is. */
bool
mesh_runtime_recount_end(mesh_runtime_t *rt, uint32_t cluster, uint64_t seen,
    uint32_t ejected)
{
    uint64_t  right;

    if (cluster >= rt->sizes.clusters) {
        return false;
    }

    right = (seen & ~UINT64_C(0xffffffff)) | ejected;

    return mesh_cas(&rt->clusters[cluster].ejections, &seen, right);
}
