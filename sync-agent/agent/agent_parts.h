/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The parts of the mesh by name: what is in force (the last good), what came
 * in and waits for publishing, and the verdict on the latest content.
 *
 * A part is refused alone.  Rules across parts (a route to a cluster that no
 * part has) are checked with all candidates together, so that two files that
 * belong together may come in any order; candidates that break the mesh wait
 * and are tried again with every later change.
 */

#ifndef AGENT_PARTS_H
#define AGENT_PARTS_H

#include "mesh_base.h"
#include "model.h"
#include "source_bundle.h"

#define AGENT_VERDICT_MAX 8192 /* bytes of a part's verdict; more is cut */
#define AGENT_BLAMED_MAX 16384

typedef enum {
    PART_WAITING,  /* taken, not yet published */
    PART_IN_FORCE, /* the latest content is published */
    PART_REFUSED,  /* the latest content is not; the last good, if any, is */
    PART_GONE,     /* its file is not there; the last good goes on */
} agent_part_state_e;

typedef struct {
    char *name;
    source_bundle_t *good; /* NULL: none */
    source_bundle_t *next; /* candidate */
    bool leaving;          /* candidate: not to be there any more */
    bool listed;           /* the candidate is in the list */
    bool told;             /* that it is refused or gone, to the log */
    agent_part_state_e state;
    char *verdict; /* lines of errors, "" if there are none */
    char *blamed;  /* of each of these lines, the resource that it is of, or
                      nothing: lines, too */
    uint64_t verdict_ms;
    uint64_t good_ms;            /* unix time when `good` came into force */
    const source_bundle_t *kept; /* the `good` that was written down */
} agent_part_t;

typedef struct {
    agent_part_t *v; /* in order of name */
    uint32_t count;
    bool changed; /* something came in since the last accept */
    const model_part_t **list;
    uint32_t nlist;
    uint32_t room;
} agent_parts_t;

void agent_parts_init(agent_parts_t *parts);
void agent_parts_free(agent_parts_t *parts);

/* NULL: no part of that name. */
agent_part_t *agent_parts_find(const agent_parts_t *parts, const char *name);

const char *agent_part_state(const agent_part_t *part);

/* After a restart: the candidate is what is published already. */
void agent_part_recognize(agent_part_t *part, uint64_t unix_ms);

/* After a restart: its last good, by what was kept.  Owned from now on. */
void agent_part_stand_in(agent_part_t *part, source_bundle_t *good,
                         uint64_t unix_ms);

/* New content; owned from now on. */
void agent_parts_set(agent_parts_t *parts, const char *name,
                     source_bundle_t *bundle, uint64_t unix_ms);

void agent_parts_refuse(agent_parts_t *parts, const char *name,
                        const model_errors_t *errors, uint64_t unix_ms);

void agent_parts_gone(agent_parts_t *parts, const char *name, bool keep,
                      const char *reason, uint64_t unix_ms);

/* Its candidate is given up; a part without a last good leaves the table. */
void agent_parts_withdraw(agent_parts_t *parts, const char *name);

/*
 * Checks what would be published and sets aside candidates that break it.
 * Afterwards parts->list holds what to publish.  Returns how many candidates
 * it holds.  `warnings` takes what is not an error.
 */
uint32_t agent_parts_settle(agent_parts_t *parts, model_errors_t *warnings,
                            uint64_t unix_ms);

/* What is in the list is published: candidates become the last good. */
void agent_parts_accept(agent_parts_t *parts, uint64_t unix_ms);

/* The publisher refused the list: candidates stay, with this verdict. */
void agent_parts_reject(agent_parts_t *parts, const char *reason,
                        uint64_t unix_ms);

/* The texts of all errors, a line each, cut at `size`. */
void agent_errors_text(const model_errors_t *errors, const char *file,
                       char *out, size_t size);

#endif /* AGENT_PARTS_H */
