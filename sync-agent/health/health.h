/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The agent's side of the health words (mesh_health.h): which endpoints are
 * drained, by name, and the words that say so in the slots that the published
 * root gives them.
 *
 * Nothing but the words is kept: the next agent finds in them, and in the
 * published root, what was drained.  One thread.
 */

#ifndef HEALTH_H
#define HEALTH_H

#include "mesh_health.h"
#include "mesh_snapshot.h"

#define HEALTH_ERROR_MAX 512

typedef struct health_s health_t;

/* What is published; `root` NULL: nothing is. */
typedef struct {
    const mesh_snapshot_t *s;
    const mesh_rec_root_t *root;
} health_root_t;

/*
 * Takes the zone's words, or makes the file; the zone is this process's.
 * Without a file, which is logged, drains are refused until one can be made.
 */
health_t *health_open(const char *dir, const health_root_t *root);
void health_close(health_t *health); /* NULL is fine; the words stay */

/*
 * Another root is published: words go with their endpoints' slots.  The drain
 * of an endpoint that left the mesh has ended; its word stays until no worker
 * serves a root older than that (`oldest`: the generation of the slowest),
 * and is gone in any case when the endpoint comes back.  true: a word changed.
 */
bool health_follow(health_t *health, const health_root_t *root,
                   uint64_t oldest);

/* What to wait for after a change. */
typedef struct {
    uint64_t changes; /* of the file, with this one */
    uint32_t slot;
    uint64_t tag;
} health_target_t;

/*
 * Drains an endpoint, or ends that.  `endpoint` is written as meshctl
 * endpoints does.  MESH_OK: done.  MESH_DECLINED: it was so already.  Else a
 * sentence in `error`, which has HEALTH_ERROR_MAX bytes.
 */
mesh_status_t health_drain(health_t *health, const health_root_t *root,
                           const char *cluster, const char *endpoint,
                           bool drained, health_target_t *target, char *error);

/* How many endpoints of the mesh are drained. */
uint32_t health_drained(const health_t *health);

/* Is there a word that has to follow the root? */
bool health_follows(const health_t *health);

#endif /* HEALTH_H */
