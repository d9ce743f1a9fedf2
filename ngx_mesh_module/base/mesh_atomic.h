/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Atomics on plain words of mapped files.  GCC and Clang builtins rather
 * than <stdatomic.h>, because the words are fields of a file layout and have
 * to stay plain integers there.  All pure rooms and glue use these and no
 * others.
 */

#ifndef MESH_ATOMIC_H
#define MESH_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>


#define mesh_load_relaxed(p)       __atomic_load_n((p), __ATOMIC_RELAXED)
#define mesh_load_acquire(p)       __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define mesh_store_relaxed(p, v)   __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define mesh_store_release(p, v)   __atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* The value before. */
#define mesh_fetch_add(p, v)                                                  \
    __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define mesh_fetch_sub(p, v)                                                  \
    __atomic_fetch_sub((p), (v), __ATOMIC_RELAXED)

/* On failure *expected holds what was found. */
#define mesh_cas(p, expected, v)                                              \
    __atomic_compare_exchange_n((p), (expected), (v), false,                  \
                                __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)


#endif /* MESH_ATOMIC_H */
