/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A runtime in memory that children share; this process is worker 0 of it.
 * Header only, as fuzz targets link no test library.
 */

#ifndef RUNTIME_MEMORY_H
#define RUNTIME_MEMORY_H

#include <stdlib.h>
#include <sys/mman.h>

#include "mesh_runtime.h"

static inline void runtime_memory_make(mesh_runtime_t *rt,
                                       const mesh_runtime_sizes_t *sizes,
                                       uint64_t now_ms) {
    uint64_t size = mesh_runtime_size(sizes);
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (base == MAP_FAILED ||
        mesh_runtime_init(rt, base, size, sizes, true, now_ms) != MESH_OK) {
        abort();
    }
    rt->worker = 0;
}

static inline void runtime_memory_remove(mesh_runtime_t *rt) {
    munmap(rt->head, rt->size);
}

/* A test's *state is one. */
static inline int runtime_memory_setup(void **state,
                                       const mesh_runtime_sizes_t *sizes,
                                       uint64_t now_ms) {
    mesh_runtime_t *rt = calloc(1, sizeof(*rt));

    if (rt == NULL) {
        return -1;
    }
    runtime_memory_make(rt, sizes, now_ms);
    *state = rt;
    return 0;
}

static inline int runtime_memory_teardown(void **state) {
    runtime_memory_remove(*state);
    free(*state);
    return 0;
}

#endif /* RUNTIME_MEMORY_H */
