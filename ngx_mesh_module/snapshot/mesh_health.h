/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Health words: what the agent knows of endpoints apart from the snapshot, in
 * a file of its own (mesh.health), so that an endpoint that goes down or is
 * drained costs no new generation.
 *
 *     head, with an epoch for each group of clusters | words[endpoints]
 *
 * A word belongs to the endpoint's slot in the runtime: the upper 56 bits are
 * those of the tag of whoever it is about, the lower 8 are causes.  One load
 * gives both, so a slot that went to another endpoint is never judged by the
 * former one's bits.
 *
 * Whoever derives something from words remembers mesh_health_epoch() of the
 * cluster from before it read them, and derives it anew when that changes.
 *
 * One writer: the agent that holds mesh.lock.  Workers and tools map the file
 * read only.  It is made whole and given its name by rename(), a larger one
 * takes its place when it has too few words, and it never shrinks, so no load
 * inside what fstat() said meets a hole or the file's end.
 */

#ifndef MESH_HEALTH_H
#define MESH_HEALTH_H

#include "mesh_base.h"
#include "mesh_zone.h"


#define MESH_HEALTH_MAGIC        "MESHHLT"      /* 8 bytes with its NUL */
#define MESH_HEALTH_VERSION      1
#define MESH_HEALTH_EPOCHS       256

#define MESH_HEALTH_WORDS        4096           /* of a new file, at least */
#define MESH_HEALTH_WORDS_MAX    (UINT32_C(1) << 24)


/* Why an endpoint is down; bits of a word. */
#define MESH_HEALTH_REGISTRY     0x01
#define MESH_HEALTH_EDS          0x02
#define MESH_HEALTH_CHECK        0x04           /* active health checks */
#define MESH_HEALTH_DRAINED      0x08
#define MESH_HEALTH_CAUSES       UINT64_C(0xff) /* room for more */


typedef struct {
    char       magic[8];
    uint32_t   version;
    uint32_t   endpoints;               /* words behind the head */
    uint64_t   changes;                 /* rises with each change */
    uint64_t   epochs[MESH_HEALTH_EPOCHS];  /* of clusters, by their tags */
    uint8_t    reserved[4096 - 24 - 8 * MESH_HEALTH_EPOCHS];
} mesh_health_head_t;


_Static_assert(sizeof(mesh_health_head_t) == 4096, "layout");


/* The words as one process sees them; all zero: no file, no bit is set. */
typedef struct {
    mesh_health_head_t  *head;          /* NULL: none */
    uint64_t            *words;
    uint32_t             endpoints;     /* taken from the head once */
} mesh_health_t;


/* Bytes of a file of so many words; 0: none, or past the maximum. */
uint64_t mesh_health_size(uint32_t endpoints);

/*
 * Looks at `size` bytes of a file.  MESH_CORRUPT, MESH_VERSION: *health says
 * that no bit is set.
 */
mesh_status_t mesh_health_init(mesh_health_t *health, void *base,
    uint64_t size);

/* A head for a new file; its epochs and `changes` begin at `epoch`. */
void mesh_health_head(mesh_health_head_t *head, uint32_t endpoints,
    uint64_t epoch);

/* MESH_HEALTH_* of the endpoint with that slot and tag. */
uint32_t mesh_health_bits(const mesh_health_t *health, uint32_t slot,
    uint64_t tag);

/* The epoch of a cluster, by its runtime tag; 0 without a file. */
uint64_t mesh_health_epoch(const mesh_health_t *health, uint64_t cluster_tag);

/* The count of changes; 0 without a file. */
uint64_t mesh_health_changes(const mesh_health_t *health);

/*
 * Writes a word, then the cluster's epoch and `changes`.  false: it is so
 * already, or there is no word for the slot.
 */
bool mesh_health_set(mesh_health_t *health, uint32_t slot, uint64_t tag,
    uint64_t cluster_tag, uint32_t bits);


/* --- the file (mesh_zone_health.c; POSIX) -------------------------------- */

typedef struct {
    mesh_health_t  health;
    void          *base;                /* NULL: nothing is mapped */
    uint64_t       size;
    uint64_t       dev;
    uint64_t       ino;
} mesh_health_file_t;

/*
 * Maps what the zone's directory has, read only.  MESH_DECLINED: no file.  On
 * any failure *file says that no bit is set.
 */
mesh_status_t mesh_health_open(mesh_health_file_t *file, const char *dir,
    mesh_zone_error_t *error);

/* Is this (mapped) still the one that the directory has? */
bool mesh_health_current(const mesh_health_file_t *file, const char *dir);

/*
 * For the agent: maps it to be written, with `endpoints` words at least.  One
 * that is too small is replaced by a larger one with its words.  One that is
 * missing or broken is replaced by a new one, whose epochs begin at `epoch`:
 * a number that no earlier file has reached, such as the time.  On failure
 * nothing is mapped, and the directory has what it had.
 */
mesh_status_t mesh_health_make(mesh_health_file_t *file, const char *dir,
    uint32_t endpoints, uint64_t epoch, mesh_zone_error_t *error);

/* Twice does no harm. */
void mesh_health_close(mesh_health_file_t *file);


#endif /* MESH_HEALTH_H */
