/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One piece of work at a time beside the main thread.  It gets what nobody
 * changes meanwhile, and leaves its result where it was told to; a
 * descriptor says when it is done, and joining makes the result visible.
 */

#ifndef AGENT_JOB_H
#define AGENT_JOB_H

#include <pthread.h>

#include "mesh_base.h"

typedef void (*agent_job_pt)(void *ctx);

typedef struct {
    int fd;       /* readable when the work is done; -1: no threads */
    bool running; /* started and not joined */
    bool alone;   /* has a thread; else the work is done by joining */
    bool held;    /* for tests: it does not end by itself */
    pthread_t thread;
    agent_job_pt work;
    void *ctx;
} agent_job_t;

/*
 * `threads` false: work is done in agent_job_join(), as it is when a thread
 * cannot be had.
 */
void agent_job_init(agent_job_t *job, bool threads);

/* What runs is waited for. */
void agent_job_free(agent_job_t *job);

/* Nothing may run; `ctx` is the work's until it is joined. */
void agent_job_start(agent_job_t *job, agent_job_pt work, void *ctx);

/* Joining does not wait for a thread. */
bool agent_job_ended(const agent_job_t *job);

/* Waits until the work is done. */
void agent_job_join(agent_job_t *job);

#endif /* AGENT_JOB_H */
