/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Work beside the main thread: done once, told once, waited for.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <semaphore.h>

#include "agent_job.h"

typedef struct {
    sem_t go;
    unsigned done;
} work_t;

static void work(void *ctx) {
    work_t *w = ctx;
    sem_wait(&w->go);
    w->done++;
}

static bool told(const agent_job_t *job, int timeout_ms) {
    struct pollfd p = {.fd = job->fd, .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

static void test_a_thread_tells_its_end(void **state) {
    (void)state;
    agent_job_t job;
    work_t w = {.done = 0};
    sem_init(&w.go, 0, 0);
    agent_job_init(&job, true);
    for (unsigned i = 1; i <= 3; i++) {
        agent_job_start(&job, work, &w);
        assert_true(job.running && job.alone);
        assert_false(agent_job_ended(&job));
        sem_post(&w.go);
        assert_true(told(&job, 60000));
        assert_true(agent_job_ended(&job));
        agent_job_join(&job);
        assert_int_equal(w.done, i);
        assert_false(job.running);
        assert_false(agent_job_ended(&job));
        assert_false(told(&job, 0));
    }
    agent_job_free(&job);
    sem_destroy(&w.go);
}

static void test_freeing_waits(void **state) {
    (void)state;
    agent_job_t job;
    work_t w = {.done = 0};
    sem_init(&w.go, 0, 1);
    agent_job_init(&job, true);
    agent_job_start(&job, work, &w);
    agent_job_free(&job);
    assert_int_equal(w.done, 1);
    assert_int_equal(job.fd, -1);
    sem_destroy(&w.go);
}

static void test_in_line(void **state) {
    (void)state;
    agent_job_t job;
    work_t w = {.done = 0};
    sem_init(&w.go, 0, 2);
    agent_job_init(&job, false);
    assert_int_equal(job.fd, -1);
    agent_job_start(&job, work, &w);
    assert_true(agent_job_ended(&job));
    job.held = true;
    assert_false(agent_job_ended(&job));
    assert_int_equal(w.done, 0);
    agent_job_join(&job);
    assert_int_equal(w.done, 1);
    agent_job_start(&job, work, &w);
    agent_job_free(&job);
    assert_int_equal(w.done, 2);
    sem_destroy(&w.go);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_thread_tells_its_end),
        cmocka_unit_test(test_freeing_waits),
        cmocka_unit_test(test_in_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
