/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A worker's slot in the runtime: claimed at its start, given back at its
 * end, and what it says to the agent in between.
 */

#include <sys/mman.h>

#include "ngx_mesh_worker.h"


#define NGX_MESH_SWEEP_TICKS     10     /* ticks between sweeps */


void
ngx_mesh_acknowledge(ngx_mesh_worker_t *w)
{
    mesh_worker_slot_t  *slot;

    slot = &w->runtime->workers[w->runtime->worker];

    mesh_store_relaxed(&slot->generation, w->root->root->generation);
    mesh_store_relaxed(&slot->adopted_ms, (uint64_t) ngx_current_msec);
    (void) mesh_fetch_add(&slot->adoptions, 1);

    /* The agent reads the word first: the rest belongs to it or is newer. */
    mesh_store_release(&slot->word, w->root->word);
}


void
ngx_mesh_acknowledge_refusal(ngx_mesh_worker_t *w)
{
    (void) mesh_fetch_add(&w->runtime->workers[w->runtime->worker].refused, 1);
}


static mesh_status_t
ngx_mesh_runtime_claim(ngx_mesh_worker_t *w)
{
    return mesh_runtime_claim_worker(&w->zone->file,
                                     (char *) w->zone->path.data,
                                     ngx_current_msec);
}


/*
 * Attempts that began in the private runtime end in the shared one; views of
 * the private one count there until they are built anew.
 */
static void
ngx_mesh_runtime_join(ngx_mesh_worker_t *w)
{
    uint32_t         i, n, rows;
    mesh_runtime_t  *rt;

    rt = &w->zone->file.rt;
    rows = rt->sizes.endpoints + rt->sizes.clusters;

    for (i = 0; i < rows; i++) {
        for (n = w->alone.ledgers[i]; n; n--) {

            if (i < rt->sizes.endpoints) {
                mesh_runtime_begin(rt, MESH_SLOT_NONE, i);
            } else {
                mesh_runtime_begin(rt, i - rt->sizes.endpoints,
                                   MESH_SLOT_NONE);
            }
        }
    }

    w->runtime = rt;
    ngx_mesh_views_drop();

    ngx_mesh_listeners_tell(w);
    ngx_mesh_health_acknowledge(w);

    if (w->root) {
        ngx_mesh_acknowledge(w);
    }

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "mesh: got a worker slot of the runtime");
}


/* No slot of the shared runtime: this worker counts for itself alone. */
static ngx_int_t
ngx_mesh_runtime_alone(ngx_mesh_worker_t *w)
{
    void                  *base;
    uint64_t               size;
    mesh_runtime_sizes_t   sizes;

    sizes = w->zone->sizes;
    sizes.workers = 1;
    size = mesh_runtime_size(&sizes);

    base = mmap(NULL, (size_t) size, PROT_READ|PROT_WRITE,
                MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED
        || mesh_runtime_init(&w->alone, base, size, &sizes, true,
                             ngx_current_msec)
           != MESH_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, ngx_cycle->log, ngx_errno,
                      "mesh: no memory for a runtime");
        return NGX_ERROR;
    }

    w->alone.worker = 0;
    w->runtime = &w->alone;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_runtime_start(ngx_mesh_worker_t *w)
{
    mesh_status_t         rc;
    mesh_runtime_file_t  *file;

    rc = ngx_mesh_runtime_claim(w);
    file = &w->zone->file;

    if (rc == MESH_OK) {
        w->runtime = &file->rt;
        ngx_mesh_listeners_tell(w);
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, rc == MESH_BUSY ? 0 : file->err,
                  "mesh: %s of \"%V\" (workers=%uD); until there is one, "
                  "ejections and counters of this worker are its own",
                  rc == MESH_BUSY ? "no free worker slot in the runtime"
                  : file->what ? file->what : "no worker slot",
                  &w->zone->path, w->zone->sizes.workers);

    return ngx_mesh_runtime_alone(w);
}


void
ngx_mesh_runtime_stop(ngx_mesh_worker_t *w)
{
    /* Attempts that an end by TERM cut off are given back here. */
    mesh_runtime_reap(w->runtime, w->runtime->worker);

    w->runtime->worker = MESH_SLOT_NONE;
}


void
ngx_mesh_runtime_tick(ngx_mesh_worker_t *w)
{
    ngx_uint_t           n;
    mesh_worker_slot_t  *slot;

    if (w->runtime == &w->alone) {
        if (ngx_mesh_runtime_claim(w) != MESH_OK) {
            return;
        }

        ngx_mesh_runtime_join(w);
    }

    if (ngx_exiting) {
        slot = &w->runtime->workers[w->runtime->worker];
        mesh_store_relaxed(&slot->state, (uint32_t) MESH_WORKER_EXITING);
    }

    if (w->ticks++ % NGX_MESH_SWEEP_TICKS) {
        return;
    }

    n = mesh_runtime_sweep(&w->zone->file);

    if (n) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "mesh: gave back what %ui dead workers held", n);
    }
}
