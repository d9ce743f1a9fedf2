/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How far the workers of a zone are, read from the runtime, whose bytes are
 * trusted for nothing: a number that makes no sense leads to a wrong line of
 * output and to nothing else.
 */

#ifndef CTL_WORKERS_H
#define CTL_WORKERS_H

#include "mesh_base.h"
#include "mesh_runtime.h"

typedef struct {
    uint32_t live;
    uint32_t applied; /* of them: at the generation or past it */
    uint64_t oldest;  /* generation of the slowest; 0 if there is none */
} ctl_workers_t;

/*
 * Is there a process behind the slot?  It holds a lock of its own on the
 * runtime file, which the kernel drops at its death (mesh_runtime_file.c:
 * byte 1 + slot).
 */
bool ctl_worker_alive(const mesh_runtime_file_t *file, uint32_t slot);

/* ... that is not leaving: one that does adopts and accepts nothing more. */
bool ctl_worker_live(const mesh_runtime_file_t *file, uint32_t slot);

/* Workers of an open runtime. */
void ctl_workers_count(const mesh_runtime_file_t *file, uint64_t generation,
                       ctl_workers_t *workers);

/*
 * Opens the zone's runtime for it.  MESH_DECLINED: there is none, which
 * counts as no workers.
 */
mesh_status_t ctl_workers_read(const char *zone, uint64_t generation,
                               ctl_workers_t *workers);

typedef struct {
    uint32_t live;
    uint32_t applied;   /* of them: no attempt begins by older health words */
    uint32_t in_flight; /* attempts at the endpoint, of all workers */
} ctl_drained_t;

/*
 * How far a change of a health word is: `changes` counts it (mesh_health.h),
 * `slot` and `tag` are the endpoint's.
 */
mesh_status_t ctl_workers_drained(const char *zone, uint64_t changes,
                                  uint32_t slot, uint64_t tag,
                                  ctl_drained_t *drained);

#endif /* CTL_WORKERS_H */
