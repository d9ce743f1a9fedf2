/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The publisher: the only writer of a zone's snapshot files and control
 * page.  It compiles parts, appends what is new, switches the control word,
 * keeps files small, and keeps a last-good copy on disk for a cold start
 * (docs/publishing.md).
 *
 * A publishing is whole or did not happen; killed at any instant, the next
 * publisher_open() continues from what the control word names.  Time is a
 * parameter.  All calls are one thread's; copies that may wait are made by
 * another, which only the publisher knows.
 */

#ifndef AGENT_PUBLISH_H
#define AGENT_PUBLISH_H

#include "mesh_base.h"
#include "mesh_format.h"
#include "mesh_snapshot.h"
#include "model.h"

#define PUBLISH_TEXT_MAX 512
#define PUBLISH_LAST_GOOD "last-good.snapshot" /* in the state directory */

/* When a copy goes to the state directory. */
#define PUBLISH_QUIET_MS 1000
#define PUBLISH_COPY_MS 30000

/*
 * A file is compacted when it is that many times as large as what is live in
 * it, and has that much garbage at least.
 */
#define PUBLISH_COMPACT_FACTOR 2
#define PUBLISH_COMPACT_MIN (UINT64_C(1) << 20)

#define PUBLISH_IDLE UINT64_MAX

typedef struct publisher_s publisher_t;

typedef struct {
    uint64_t unix_ms;
    uint64_t mono_ms; /* CLOCK_MONOTONIC */
} publish_time_t;

typedef struct {
    const char *dir;          /* the zone's; made if missing */
    const char *state_dir;    /* for the last-good copy; NULL: none is kept */
    uint64_t capacity;        /* bytes of a file; 0: MESH_FILE_CAPACITY */
    model_locality_t node;    /* where the proxies are; empty: unknown */
    mesh_str_t local_cluster; /* and what; empty: unknown */
    bool threads;             /* false: what may wait is done in the tick */
} publisher_options_t;

/*
 * Takes the zone's lock and continues from its files.  A zone without a
 * published root takes the last-good copy, if there is one, and publishes it
 * at once (MESH_ROOT_COLD).  NULL with a whole sentence in `error`, which
 * has PUBLISH_TEXT_MAX bytes; *status: MESH_BUSY when another agent holds
 * the zone.
 */
publisher_t *publisher_open(const publisher_options_t *options,
                            publish_time_t now, mesh_status_t *status,
                            char *error);

/*
 * false: somebody has removed files of the zone.  Who has them open goes on;
 * a worker that starts would find nothing, or something else.
 */
bool publisher_intact(const publisher_t *publisher);

/* Waits for what is under way, and for the last-good copy; NULL is fine. */
void publisher_close(publisher_t *publisher, publish_time_t now);

typedef struct {
    const model_part_t *const *parts;
    uint32_t nparts;
    const char *reason;
    publish_time_t now;
    model_errors_t *errors; /* takes warnings; may be NULL */
} publish_request_t;

typedef enum {
    PUBLISH_DONE,
    PUBLISH_UNCHANGED, /* the same content is published already */
    PUBLISH_REFUSED,   /* `text` says why; the last good root goes on */
} publish_outcome_e;

typedef struct {
    publish_outcome_e outcome;
    uint64_t generation; /* of the root that is published now; 0: none */
    uint64_t word;       /* the control word */
    uint64_t appended;   /* bytes */
    bool compacted;      /* it went to a new file */
    bool later; /* refused for a reason that is not the mesh's: no space on
                   the disk, an older worker; the same may be taken later */
    char text[PUBLISH_TEXT_MAX];
} publish_result_t;

/*
 * Publishes the mesh that the parts make; a pinned or rolled-back policy
 * part stays, as told below.
 */
publish_outcome_e publisher_publish(publisher_t *publisher,
                                    const publish_request_t *request,
                                    publish_result_t *result);

/*
 * Publishes the parts with the policy of an older generation of the history:
 * endpoints and trust are those of now.  It holds until the policy that the
 * sources give differs from what they gave last, or is pinned.
 */
publish_outcome_e publisher_rollback(publisher_t *publisher,
                                     uint64_t generation,
                                     const publish_request_t *request,
                                     publish_result_t *result);

/*
 * Holds the policy that is published now against the sources, until unpin;
 * a pin survives the agent.
 */
publish_outcome_e publisher_pin(publisher_t *publisher,
                                const publish_request_t *request,
                                publish_result_t *result);
publish_outcome_e publisher_unpin(publisher_t *publisher,
                                  const publish_request_t *request,
                                  publish_result_t *result);

/*
 * Work that may wait: compaction, unlinking of old files, the last-good copy.
 * Returns the CLOCK_MONOTONIC milliseconds when it wants to be called again,
 * or PUBLISH_IDLE: after the next publishing.  It also wants to be called
 * when publisher_fd() (-1: no threads) is readable.
 */
int publisher_fd(const publisher_t *publisher);
uint64_t publisher_tick(publisher_t *publisher, publish_time_t now);

typedef struct {
    uint64_t generation; /* 0: nothing published yet */
    uint64_t time_ms;    /* unix time of that root */
    uint64_t word;
    uint32_t flags;   /* MESH_ROOT_* of that root */
    uint32_t history; /* roots in the ring, this one apart */
    uint64_t size;    /* bytes of the file */
    uint64_t capacity;
    uint64_t compactions;
    uint64_t last_good_ms; /* unix time of the copy; 0: none by this process */
} publisher_info_t;

void publisher_info(const publisher_t *publisher, publisher_info_t *info);

/*
 * The published root in its snapshot, or NULL; both until the next call that
 * may publish or compact.
 */
const mesh_rec_root_t *publisher_root(const publisher_t *publisher,
                                      const mesh_snapshot_t **snapshot);

/* true, with a sentence in `text`: nothing new can be published just now. */
bool publisher_held(publisher_t *publisher, char text[PUBLISH_TEXT_MAX]);

/* Tells the workers that something else than the root has changed. */
void publisher_ring(const publisher_t *publisher);

#endif /* AGENT_PUBLISH_H */
