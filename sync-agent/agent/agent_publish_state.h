/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The publisher's own state; for agent_publish*.c alone.
 */

#ifndef AGENT_PUBLISH_STATE_H
#define AGENT_PUBLISH_STATE_H

#include "agent_job.h"
#include "agent_publish.h"
#include "compile.h"
#include "compile_slots.h"
#include "mesh_runtime.h"
#include "mesh_zone.h"

/* A snapshot file that is written. */
typedef struct {
    uint32_t number;
    int fd;              /* -1: not made yet */
    mesh_mapping_t *map; /* NULL: not made yet; verified to its last root */
    mesh_writer_t *w;
    compiler_t *compiler; /* NULL: none yet */
    mesh_ref_t root;      /* the newest whole one */
} publish_file_t;

/* How much of the history comes along with a root. */
typedef enum {
    PUBLISH_COPY_WHOLE,
    PUBLISH_COPY_SOME, /* the newest, up to half of the capacity */
    PUBLISH_COPY_NONE,
    PUBLISH_COPY_LEVELS
} publish_copy_e;

/*
 * A copy of the published root that is made beside the main thread: into the
 * next snapshot file, or into the state directory.  It reads the file as a
 * worker does, by a mapping of its own, and nothing of the publisher.
 */
typedef struct {
    bool compaction; /* else: the last-good copy */

    mesh_mapping_t *map;
    mesh_ref_t root;
    uint32_t number;         /* of the next file */
    uint64_t capacity;       /* of the copy's writer */
    const mesh_zone_t *zone; /* only its directory */
    const char *state_dir;
    uint64_t unix_ms; /* when it was begun */

    mesh_status_t status;
    char text[PUBLISH_TEXT_MAX];
    publish_copy_e level;
    publish_file_t next;   /* of a compaction: whole, with the root in it */
    mesh_copier_t *copier; /* and how it came there */
} publish_job_t;

struct publisher_s {
    mesh_zone_t zone;
    char state_dir[MESH_ZONE_PATH_MAX]; /* empty: none */
    uint64_t capacity;
    arena_t *texts; /* of both */
    model_locality_t node;
    mesh_str_t local_cluster;
    publish_file_t file; /* the current one; w is NULL before the first */
    uint32_t last_file;  /* no file of a higher number was ever published */
    slots_t *slots;
    uint64_t generation; /* of the last root; never falls */

    mesh_runtime_file_t runtime;
    bool runtime_open;
    uint64_t workers_past; /* every live worker has adopted a later root */

    bool held_known; /* `held` is the policy that sources gave last */
    mesh_digest_t held;

    uint64_t compact_at; /* size of the file that asks for compaction */
    uint64_t compactions;
    bool old_files; /* there may be some to unlink */

    bool dirty;            /* the last-good copy is older than the root */
    uint64_t dirty_ms;     /* since when, and ... */
    uint64_t published_ms; /* ... the last publishing: CLOCK_MONOTONIC */
    uint64_t copied_ms;    /* the last copy, CLOCK_MONOTONIC */
    bool copied;
    uint64_t last_good_ms;

    agent_job_t thread;
    publish_job_t job; /* of the thread, while it runs */
};

/* --- agent_publish_file.c ----------------------------------------------- */

/* A fresh file in memory; NULL writer when memory is out. */
void publish_file_begin(publish_file_t *file, uint32_t number,
                        uint64_t capacity);

/*
 * Continues with what the control word names.  false with text: it cannot be
 * read.
 */
bool publish_file_continue(publisher_t *p, uint64_t word, char *text);

/*
 * Writes and checks everything up to `root`, which is published by nothing
 * but publish_file_switch().  On failure the file on disk is as before.
 */
mesh_status_t publish_file_flush(const mesh_zone_t *zone, publish_file_t *file,
                                 mesh_ref_t root, char *text);

/* Makes it the current file, and its root the published one. */
void publish_file_switch(publisher_t *p, publish_file_t *file,
                         uint64_t mono_ms);

/* Forgets what was appended since the last flush. */
void publish_file_rollback(publisher_t *p, publish_file_t *file);

/* Closes; `unlink_it`: it was never published. */
void publish_file_drop(const mesh_zone_t *zone, publish_file_t *file,
                       bool unlink_it);

/* Why the writer failed. */
void publish_file_text(const publish_file_t *file, char *text);

/* Unlinks snapshot files that nobody needs; false: some have to wait. */
bool publish_file_sweep(publisher_t *p);

/* --- agent_publish_copy.c ----------------------------------------------- */

/*
 * A root with that much of its history; again for a later root of the same
 * file it copies what is new.  0: no room.
 */
mesh_ref_t publish_copy_root(mesh_copier_t *copier, mesh_writer_t *to,
                             const mesh_snapshot_t *from, mesh_ref_t root,
                             publish_copy_e level);

/*
 * A copy that is read back at a cold start: a generation of its own (higher
 * than `above`), with the time of what it is a copy of.
 */
mesh_ref_t publish_copy_cold(mesh_writer_t *to, const mesh_snapshot_t *from,
                             mesh_ref_t root, publish_copy_e level,
                             uint64_t above);

/* The last-good copy to, and from, the state directory. */
void publish_last_good_write(publish_job_t *job);
mesh_mapping_t *publish_last_good_open(const publisher_t *p, mesh_ref_t *root,
                                       char *text);

/* --- agent_publish_job.c ------------------------------------------------ */

/*
 * Both begin with the root that is published now, and when no job runs.
 * Without threads they are done when it is collected.
 */
void publish_compaction_start(publisher_t *p, publish_time_t now);
void publish_last_good_start(publisher_t *p, publish_time_t now);

/*
 * Takes over what the job made, if it has ended, or after waiting for it: a
 * compaction is caught up with what was published meanwhile, and switched to.
 */
void publish_job_collect(publisher_t *p, publish_time_t now, bool wait);

/* A file is asked to be compacted when it has grown to that size. */
uint64_t publish_compaction_size(uint64_t live, uint64_t capacity);

/* A compaction failed: not again until some of what is left is used up. */
void publish_compaction_later(publisher_t *p);

/* --- agent_publish_runtime.c -------------------------------------------- */

/* Looks whether there is a runtime, and where its workers are. */
void publish_runtime_refresh(publisher_t *p);
bool publish_runtime_past(void *ctx, slots_kind_e kind, uint32_t slot,
                          uint64_t generation);

/* A live worker's slot names that snapshot file. */
bool publish_runtime_names(const publisher_t *p, uint32_t file_number);

/*
 * The newest format version, of those that this build writes, that all live
 * workers read; 0: there is none, and text says who is in the way.
 */
uint32_t publish_runtime_version(const publisher_t *p, char *text);

/* The highest generation that a worker says it has adopted. */
uint64_t publish_runtime_generation(const publisher_t *p);

#endif /* AGENT_PUBLISH_STATE_H */
