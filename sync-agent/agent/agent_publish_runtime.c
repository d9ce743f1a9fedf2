/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the publisher reads in the runtime: how far each worker is.  Its
 * bytes are the workers' and are trusted for nothing but when to wait.
 */

#include "agent_publish_state.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ctl_workers.h"

static void runtime_close(publisher_t *p) {
    if (p->runtime_open) {
        mesh_runtime_close(&p->runtime);
        p->runtime_open = false;
    }
}

/* nginx replaces the file when its sizes change; workers could cut it. */
static bool same_file(const publisher_t *p, const struct stat *st) {
    struct stat mine;
    return p->runtime_open && fstat(p->runtime.fd, &mine) == 0 &&
           mine.st_ino == st->st_ino && mine.st_dev == st->st_dev &&
           mesh_runtime_whole(&p->runtime);
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
                       MESH_RUNTIME_VERSION) != MESH_OK) {
        return;
    }
    if (stat(path, &st) != 0) {
        if (errno == ENOENT) {
            runtime_close(p);
        } else {
            p->workers_past = 0; /* somebody may be there: reuse nothing */
        }
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

typedef struct {
    uint32_t oldest;
    uint32_t newest;
} formats_t;

static formats_t formats_of(const mesh_worker_slot_t *worker) {
    uint32_t newest = mesh_load_relaxed(&worker->newest);
    uint32_t oldest = mesh_load_relaxed(&worker->oldest);
    return (formats_t){oldest ? oldest : newest, newest};
}

/*
 * A live worker that does not read that version, or MESH_SLOT_NONE.  One that
 * leaves adopts nothing any more; one that says nothing is not asked, since
 * readers look at the head themselves.
 */
static uint32_t who_does_not_read(const publisher_t *p, uint32_t version) {
    for (uint32_t i = 0; i < p->runtime.rt.sizes.workers; i++) {
        const mesh_worker_slot_t *worker = &p->runtime.rt.workers[i];
        if (mesh_load_acquire(&worker->state) != MESH_WORKER_LIVE) {
            continue;
        }
        formats_t formats = formats_of(worker);
        bool reads = formats.newest == 0 ||
                     (version >= formats.oldest && version <= formats.newest);
        if (!reads && ctl_worker_alive(&p->runtime, i)) {
            return i;
        }
    }
    return MESH_SLOT_NONE;
}

uint32_t publish_runtime_version(const publisher_t *p, char *text) {
    uint32_t blocker = MESH_SLOT_NONE;
    for (uint32_t version = MESH_FORMAT_VERSION;
         p->runtime_open && version >= MESH_FORMAT_OLDEST; version--) {
        uint32_t slot = who_does_not_read(p, version);
        if (slot == MESH_SLOT_NONE) {
            return version;
        }
        blocker = blocker == MESH_SLOT_NONE ? slot : blocker;
    }
    if (!p->runtime_open) {
        return MESH_FORMAT_VERSION;
    }
    const mesh_worker_slot_t *worker = &p->runtime.rt.workers[blocker];
    formats_t formats = formats_of(worker);
    snprintf(text, PUBLISH_TEXT_MAX,
             "no format of snapshots is read by all workers: this agent writes "
             "%d to %d, and worker %u (pid %u) reads %u to %u",
             MESH_FORMAT_OLDEST, MESH_FORMAT_VERSION, blocker,
             mesh_load_relaxed(&worker->pid), formats.oldest, formats.newest);
    return 0;
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
