/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the publisher reads in the runtime: how far each worker is.  Its
 * bytes are the workers' and are trusted for nothing but when to wait.
 */

#include "agent_publish_state.h"

#include <sys/stat.h>

static void runtime_close(publisher_t *p) {
    if (p->runtime_open) {
        mesh_runtime_close(&p->runtime);
        p->runtime_open = false;
    }
}

/* nginx replaces the file when its sizes change. */
static bool same_file(const publisher_t *p, const struct stat *st) {
    struct stat mine;
    return p->runtime_open && fstat(p->runtime.fd, &mine) == 0 &&
           mine.st_ino == st->st_ino && mine.st_dev == st->st_dev;
}

static void runtime_open(publisher_t *p) {
    runtime_close(p);
    if (mesh_runtime_open_read(&p->runtime, p->zone.dir) != MESH_OK) {
        return;
    }
    p->runtime_open = true;
    if (slots_resize(p->slots, &p->runtime.rt.sizes) &&
        p->file.compiler != NULL) {
        /* Its memo binds slots that are no more. */
        compiler_free(p->file.compiler);
        p->file.compiler = compiler_new(p->file.w, p->slots);
    }
}

void publish_runtime_refresh(publisher_t *p) {
    char path[MESH_ZONE_PATH_MAX];
    struct stat st;
    p->workers_past = UINT64_MAX;
    if (mesh_zone_path(path, sizeof(path), p->zone.dir, MESH_ZONE_RUNTIME,
                       MESH_RUNTIME_VERSION) != MESH_OK ||
        stat(path, &st) != 0) {
        runtime_close(p);
        return;
    }
    if (!same_file(p, &st)) {
        runtime_open(p);
    }
    if (!p->runtime_open) {
        p->workers_past = 0; /* somebody's, but unreadable: reuse nothing */
        return;
    }
    for (uint32_t i = 0; i < p->runtime.rt.sizes.workers; i++) {
        const mesh_worker_slot_t *worker = &p->runtime.rt.workers[i];
        if (mesh_load_acquire(&worker->state) != MESH_WORKER_FREE) {
            uint64_t generation = mesh_load_acquire(&worker->generation);
            p->workers_past = mesh_min(p->workers_past, generation);
        }
    }
}

bool publish_runtime_past(void *ctx, slots_kind_e kind, uint32_t slot,
                          uint64_t generation) {
    const publisher_t *p = ctx;
    if (p->workers_past <= generation) {
        return false;
    }
    if (!p->runtime_open) {
        return true;
    }
    /*
     * A request that outlives its root keeps its slots, and gives back at
     * its end what it took there.
     */
    const mesh_runtime_t *rt = &p->runtime.rt;
    if (kind == SLOTS_CLUSTER && slot < rt->sizes.clusters) {
        return mesh_load_acquire(&rt->clusters[slot].in_flight) == 0;
    }
    if (kind == SLOTS_ENDPOINT && slot < rt->sizes.endpoints) {
        return mesh_load_acquire(&rt->endpoints[slot].in_flight) == 0;
    }
    return true;
}

bool publish_runtime_names(const publisher_t *p, uint32_t file_number) {
    if (!p->runtime_open) {
        return false;
    }
    for (uint32_t i = 0; i < p->runtime.rt.sizes.workers; i++) {
        const mesh_worker_slot_t *worker = &p->runtime.rt.workers[i];
        if (mesh_load_acquire(&worker->state) != MESH_WORKER_FREE &&
            mesh_word_file(mesh_load_acquire(&worker->word)) == file_number) {
            return true;
        }
    }
    return false;
}

uint64_t publish_runtime_generation(const publisher_t *p) {
    uint64_t highest = 0;
    if (!p->runtime_open) {
        return 0;
    }
    for (uint32_t i = 0; i < p->runtime.rt.sizes.workers; i++) {
        const mesh_worker_slot_t *worker = &p->runtime.rt.workers[i];
        uint64_t generation = mesh_load_acquire(&worker->generation);
        /* Hostile bytes must not use up the numbers that are left. */
        if (generation < UINT64_MAX / 2) {
            highest = mesh_max(highest, generation);
        }
    }
    return highest;
}
