/* SPDX-License-Identifier: Apache-2.0 */

/*
 * When to publish: at once after a rest, else when changes have rested for
 * `quiet`, but not later than `bound` after the first that waits.  Pure;
 * times are CLOCK_MONOTONIC milliseconds.
 */

#ifndef AGENT_DEBOUNCE_H
#define AGENT_DEBOUNCE_H

#include "mesh_base.h"

#define AGENT_IDLE UINT64_MAX

typedef struct {
    uint32_t quiet_ms;
    uint32_t bound_ms;
    bool pending;
    bool published; /* ever */
    uint64_t published_ms;
    uint64_t first_ms; /* change that is not published */
    uint64_t latest_ms;
} agent_debounce_t;

static inline void agent_debounce_change(agent_debounce_t *d, uint64_t now_ms) {
    if (!d->pending) {
        d->pending = true;
        d->first_ms = now_ms;
    }
    d->latest_ms = now_ms;
}

static inline void agent_debounce_published(agent_debounce_t *d,
                                            uint64_t now_ms) {
    d->pending = false;
    d->published = true;
    d->published_ms = now_ms;
}

/* When to publish (it may be past), or AGENT_IDLE. */
static inline uint64_t agent_debounce_due(const agent_debounce_t *d) {
    if (!d->pending) {
        return AGENT_IDLE;
    }
    if (!d->published || d->first_ms >= d->published_ms + d->quiet_ms) {
        return d->first_ms;
    }
    return mesh_min(d->latest_ms + d->quiet_ms, d->first_ms + d->bound_ms);
}

#endif /* AGENT_DEBOUNCE_H */
