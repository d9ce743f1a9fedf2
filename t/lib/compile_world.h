/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Meshes for tests of the compiler and the publisher: clusters with endpoints
 * and a virtual host each, spread over parts, edited at random.  A part that
 * was not edited stays the same object, as a source would keep it.
 */

#ifndef COMPILE_WORLD_H
#define COMPILE_WORLD_H

#include "mesh_writer.h"
#include "model.h"

#define MESH_WORLD_LABELS 4
#define MESH_WORLD_TABLES 2

typedef struct {
    uint32_t addr; /* IPv4; differs within a set */
    uint32_t weight;
    uint8_t health;
    uint8_t label;
} mesh_world_endpoint_t;

typedef struct {
    bool present;
    uint32_t timeout_ms;
    uint32_t set_of;   /* whose endpoints it takes: its own, or a neighbour's */
    uint32_t route_ms; /* of its host's first route */
    uint32_t nroutes;
    uint8_t domains; /* besides the exact one: 1 *.suffix, 2 prefix.* */
    uint8_t table;   /* its host is in "default" or in "other" */
    uint32_t count;
    uint32_t room;
    mesh_world_endpoint_t *v; /* in any order */
} mesh_world_cluster_t;

typedef struct {
    uint64_t rng;
    bool routes; /* a virtual host for each cluster */
    uint32_t nclusters;
    mesh_world_cluster_t *clusters;
    uint32_t nparts;
    model_part_t **parts; /* cluster i is in part i % nparts */
    bool *stale;
    uint64_t versions;
} mesh_world_t;

uint32_t mesh_world_random(mesh_world_t *world, uint32_t below);

void mesh_world_init(mesh_world_t *world, uint64_t seed, uint32_t nclusters,
                     uint32_t nendpoints, uint32_t nparts, bool routes);
void mesh_world_free(mesh_world_t *world);

/* One endpoint's weight, health or label changes; or one comes or goes ... */
void mesh_world_touch_endpoint(mesh_world_t *world, uint32_t cluster);
void mesh_world_add_endpoint(mesh_world_t *world, uint32_t cluster,
                             uint32_t addr);
void mesh_world_remove_endpoint(mesh_world_t *world, uint32_t cluster);

/* ... or the first route of a cluster's host ... */
void mesh_world_touch_route(mesh_world_t *world, uint32_t cluster);

/* ... or something at random, clusters included. */
void mesh_world_edit(mesh_world_t *world);

/* ... or besides that a host's domains, routes or table, or whose set it is. */
void mesh_world_edit_any(mesh_world_t *world);

/* Tells that a cluster's part has to be made anew. */
void mesh_world_dirty(mesh_world_t *world, uint32_t cluster);

/* The parts as they are now; `anew`: all of them are other objects. */
const model_part_t *const *mesh_world_parts(mesh_world_t *world, bool anew);

#endif /* COMPILE_WORLD_H */
