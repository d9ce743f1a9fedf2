/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How fast an endpoint answers, as one word: when it was observed last (low
 * 32 bits of milliseconds) and the average then (microseconds, at least 1).
 *
 * Peak EWMA as Finagle has it (twitter/finagle, PeakEwma.scala; linkerd and
 * Envoy's contrib took it over): a slower answer is believed at once, a
 * faster one by how much time has passed, and silence counts as fast, so
 * that an endpoint that was slow once is tried again.
 */

#include <math.h>

#include "mesh_runtime.h"


static double
ewma_weight(uint64_t word, uint64_t now_ms, uint32_t decay_ms)
{
    uint32_t  passed;

    passed = (uint32_t) now_ms - (uint32_t) (word >> 32);

    /* another worker's clock may be a moment ahead */

    return passed > INT32_MAX ? 1 : exp(-(double) passed / decay_ms);
}


uint32_t
mesh_ewma_read(uint64_t word, uint64_t now_ms, uint32_t decay_ms)
{
    return (uint32_t) ((uint32_t) word * ewma_weight(word, now_ms, decay_ms));
}


uint64_t
mesh_ewma_observe(uint64_t word, uint64_t now_ms, uint32_t decay_ms,
    uint32_t sample_us)
{
    double    weight;
    uint32_t  us, now;

    us = (uint32_t) word;
    now = (uint32_t) now_ms;

    if (us == 0 || sample_us >= us) {
        us = sample_us;

    } else {
        weight = ewma_weight(word, now_ms, decay_ms);
        us = (uint32_t) (us * weight + sample_us * (1 - weight));
    }

    if (word != 0 && now - (uint32_t) (word >> 32) > INT32_MAX) {
        now = (uint32_t) (word >> 32);
    }

    return (uint64_t) now << 32 | mesh_max(us, 1);
}


void
mesh_runtime_observe(mesh_endpoint_slot_t *endpoint, uint64_t now_ms,
    uint32_t decay_ms, uint32_t sample_us)
{
    uint64_t  word;

    word = mesh_load_relaxed(&endpoint->ewma);

    while (!mesh_cas(&endpoint->ewma, &word,
                     mesh_ewma_observe(word, now_ms, decay_ms, sample_us)))
    {
        /* the other one's answer counts as well */
    }
}
