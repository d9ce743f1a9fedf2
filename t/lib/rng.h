/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Random numbers that a seed repeats (splitmix64), so that a failed test can
 * name what failed.  Header only, as fuzz targets link no test library.
 */

#ifndef RNG_H
#define RNG_H

#include "mesh_base.h"

typedef struct {
    uint64_t state;
} rng_t;

static inline uint64_t rng_next(rng_t *rng) {
    rng->state += UINT64_C(0x9e3779b97f4a7c15);
    return mesh_mix64(rng->state);
}

/* In [0, n). */
static inline uint32_t rng_below(rng_t *rng, uint32_t n) {
    return (uint32_t)((rng_next(rng) >> 32) * n >> 32);
}

/* In [min, max]. */
static inline uint64_t rng_range(rng_t *rng, uint64_t min, uint64_t max) {
    uint64_t n = max - min + 1;
    return n == 0 ? rng_next(rng) : min + rng_next(rng) % n;
}

/* One time in n. */
static inline bool rng_one_in(rng_t *rng, uint32_t n) {
    return rng_below(rng, n) == 0;
}

#endif /* RNG_H */
