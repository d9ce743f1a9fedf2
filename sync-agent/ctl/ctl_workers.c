/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How far the workers of a zone are.
 */

#include "ctl_workers.h"

#include <fcntl.h>

bool ctl_worker_alive(const mesh_runtime_file_t *file, uint32_t slot) {
    struct flock lock = {.l_type = F_WRLCK,
                         .l_whence = SEEK_SET,
                         .l_start = 1 + (off_t)slot,
                         .l_len = 1};

    /* If it cannot be asked, the slot's own word counts. */
    return fcntl(file->fd, F_OFD_GETLK, &lock) == -1 || lock.l_type != F_UNLCK;
}

bool ctl_worker_live(const mesh_runtime_file_t *file, uint32_t slot) {
    return mesh_load_acquire(&file->rt.workers[slot].state) ==
               MESH_WORKER_LIVE &&
           ctl_worker_alive(file, slot);
}

void ctl_workers_count(const mesh_runtime_file_t *file, uint64_t generation,
                       ctl_workers_t *workers) {
    const mesh_runtime_t *rt = &file->rt;

    *workers = (ctl_workers_t){.oldest = UINT64_MAX};
    for (uint32_t i = 0; i < rt->sizes.workers; i++) {
        const mesh_worker_slot_t *worker = &rt->workers[i];
        if (!ctl_worker_live(file, i)) {
            continue;
        }
        uint64_t at = mesh_load_acquire(&worker->generation);
        workers->live++;
        workers->applied += at >= generation;
        workers->oldest = mesh_min(workers->oldest, at);
    }
    if (workers->live == 0) {
        workers->oldest = 0;
    }
}

mesh_status_t ctl_workers_read(const char *zone, uint64_t generation,
                               ctl_workers_t *workers) {
    mesh_runtime_file_t file;

    *workers = (ctl_workers_t){.live = 0};
    mesh_status_t status = mesh_runtime_open_read(&file, zone);
    if (status == MESH_OK) {
        ctl_workers_count(&file, generation, workers);
        mesh_runtime_close(&file);
    }
    return status;
}

mesh_status_t ctl_workers_drained(const char *zone, uint64_t changes,
                                  uint32_t slot, uint64_t tag,
                                  ctl_drained_t *drained) {
    mesh_runtime_file_t file;
    const mesh_runtime_t *rt = &file.rt;

    *drained = (ctl_drained_t){.live = 0};
    mesh_status_t status = mesh_runtime_open_read(&file, zone);
    if (status != MESH_OK) {
        return status;
    }
    for (uint32_t i = 0; i < rt->sizes.workers; i++) {
        if (ctl_worker_live(&file, i)) {
            drained->live++;
            drained->applied +=
                mesh_load_acquire(&rt->workers[i].health) >= changes;
        }
    }
    /* After the workers' words: what began before them is counted here. */
    if (slot < rt->sizes.endpoints &&
        mesh_load_acquire(&rt->endpoints[slot].tag) == tag) {
        drained->in_flight = mesh_load_acquire(&rt->endpoints[slot].in_flight);
    }
    mesh_runtime_close(&file);
    return MESH_OK;
}
