/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What was applied over the socket, kept in the state directory, so that the
 * next agent knows it: <state>/streams/<part>.journal holds the requests as
 * they came (line and body), the last whole document first.  Written after
 * the publishing and before the answer; not synced, as a part is worth no
 * more than the snapshot on tmpfs.
 */

#ifndef AGENT_JOURNAL_H
#define AGENT_JOURNAL_H

#include "agent_job.h"
#include "ctl_protocol.h"
#include "mesh_base.h"

#define AGENT_JOURNAL_MAX (UINT64_C(512) << 20)
#define AGENT_JOURNAL_SLACK (UINT64_C(1) << 20) /* of changes, then compact */

/*
 * A shorter file of the same meaning, beside the journal: of its first `size`
 * bytes, which nobody changes.
 */
typedef struct {
    char *from;
    char *to;
    uint64_t size;
    uint64_t len; /* of `to`, with what was added */
    bool ok;
    bool stale; /* the journal was written anew meanwhile */
} agent_journal_compaction_t;

/* Requests, one behind the other. */
typedef struct {
    char *data;
    size_t len;
    bool whole; /* the first of them replaces everything */
} agent_frames_t;

typedef struct {
    char *part; /* as in requests */
    char *path;
    agent_frames_t pending; /* not in force yet */
    agent_frames_t owed; /* in force, to be written; what failed waits here */
    size_t owed_aim;     /* its length when it was compacted last */
    uint64_t size;       /* of the file */
    uint64_t aim;        /* size after the last rewriting */
    bool failed;         /* the last try did; said once until one does not */
    agent_job_t *job;    /* that compacts it, shared; NULL: commit does it */
    agent_journal_compaction_t *compaction; /* under way; or NULL */
} agent_journal_t;

void agent_journal_init(agent_journal_t *journal, const char *state,
                        const char *part);

/* What is under way was collected. */
void agent_journal_free(agent_journal_t *journal);

/* An apply that will be written when it is in force, or dropped. */
void agent_journal_add(agent_journal_t *journal, const ctl_request_t *request);

/*
 * What was added is in force.  What cannot be written is `owed`, and tried
 * again, in its order, at each commit and retry.
 */
void agent_journal_commit(agent_journal_t *journal);
void agent_journal_retry(agent_journal_t *journal);

/* The job was joined: takes over what it made for this journal, if it did. */
void agent_journal_collect(agent_journal_t *journal);
void agent_journal_drop(agent_journal_t *journal);

/* The part is gone. */
void agent_journal_remove(agent_journal_t *journal);

/*
 * Calls `apply` for each request of the file, in order; stops at the first
 * that is cut off or not understood.  Returns how many.
 */
typedef void (*agent_journal_pt)(void *ctx, const ctl_request_t *request);
uint32_t agent_journal_read(agent_journal_t *journal, agent_journal_pt apply,
                            void *ctx);

/* Calls `found` for the part of each journal in the state directory. */
typedef void (*agent_journal_found_pt)(void *ctx, const char *part);
void agent_journal_list(const char *state, agent_journal_found_pt found,
                        void *ctx);

/*
 * agent_journal_compact.c: frames without the lines that later lines of the
 * same resources have made pointless.  NULL: not understood; free() it.
 */
char *agent_journal_compact(mesh_str_t frames, size_t *len);

#endif /* AGENT_JOURNAL_H */
