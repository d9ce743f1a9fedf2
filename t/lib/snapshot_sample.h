/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A small snapshot that uses every kind and every field of the format once,
 * for tests of whatever reads, checks or copies snapshots.
 */

#ifndef SNAPSHOT_SAMPLE_H
#define SNAPSHOT_SAMPLE_H

#include "mesh_snapshot.h"
#include "mesh_writer.h"

/* Records of the sample, by what they are. */
typedef struct {
    mesh_ref_t text;   /* STRING "reviews" */
    mesh_ref_t path;   /* STRING "/reviews" */
    mesh_ref_t header; /* STRING "end-user" */
    mesh_ref_t labels;
    mesh_ref_t ops;
    mesh_ref_t split;
    mesh_ref_t routes; /* REFS of two ROUTEs */
    mesh_ref_t trie;   /* over them */
    mesh_ref_t vhost;
    mesh_ref_t table;
    mesh_ref_t cluster;
    mesh_ref_t near;  /* LB with ZONE_AWARE */
    mesh_ref_t chunk; /* 3 endpoints */
    mesh_ref_t set;   /* chunk */
    mesh_ref_t slots; /* REFS of U32S of 3 */
    mesh_ref_t bind;
    mesh_ref_t map; /* MAP of CLUSTER */
    mesh_ref_t policy;
    mesh_ref_t endpoints;
    mesh_ref_t binding;
    mesh_ref_t root;
} sample_t;

/*
 * Puts the sample's records, with `generation` and `previous` (0: none) in
 * its root; the weight of an endpoint is the generation, so that each one has
 * content of its own.
 */
sample_t sample_put(mesh_writer_t *w, uint64_t generation, mesh_ref_t previous);

/* Two generations of it in a new writer; *s gets the records of the second. */
mesh_writer_t *sample_writer(sample_t *s);

/* The bytes of a writer's file: malloc, exactly as long as the file is. */
uint8_t *sample_bytes(const mesh_writer_t *w, size_t *size);

/* Checks such bytes in memory; *starts is to be freed. MESH_OK or why not. */
mesh_status_t sample_check(mesh_snapshot_t *s, const uint8_t *bytes,
                           size_t size, uint64_t **starts);

/* A name, as a reference of the writer. */
mesh_ref_t sample_str(mesh_writer_t *w, const char *text);

#endif /* SNAPSHOT_SAMPLE_H */
