/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Work beside the main thread; see agent_job.h.
 */

#include "agent_job.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

/* Nobody waits for it; whoever waits for the main thread is first. */
#define NICE 5

void agent_job_init(agent_job_t *job, bool threads) {
    *job = (agent_job_t){.fd = -1};
    if (threads) {
        job->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    }
}

void agent_job_free(agent_job_t *job) {
    if (job->running) {
        agent_job_join(job);
    }
    if (job->fd >= 0) {
        close(job->fd);
    }
    job->fd = -1;
}

static void *run(void *arg) {
    agent_job_t *job = arg;
    uint64_t one = 1;
    /* Of this thread alone, on Linux. */
    (void)setpriority(PRIO_PROCESS, 0, NICE);
    job->work(job->ctx);
    (void)!write(job->fd, &one, sizeof(one));
    return NULL;
}

void agent_job_start(agent_job_t *job, agent_job_pt work, void *ctx) {
    job->work = work;
    job->ctx = ctx;
    job->running = true;
    job->alone =
        job->fd >= 0 && pthread_create(&job->thread, NULL, run, job) == 0;
}

bool agent_job_ended(const agent_job_t *job) {
    struct pollfd told = {.fd = job->fd, .events = POLLIN};
    return job->running && !job->held &&
           (!job->alone || poll(&told, 1, 0) == 1);
}

void agent_job_join(agent_job_t *job) {
    uint64_t count;
    if (job->alone) {
        pthread_join(job->thread, NULL);
        (void)!read(job->fd, &count, sizeof(count));
    } else {
        job->work(job->ctx);
    }
    job->running = false;
}
