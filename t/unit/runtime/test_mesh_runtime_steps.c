/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Every interleaving that matters, one machine instruction at a time: a child
 * carries out one operation under ptrace, and at each instant at which it
 * changed the runtime the parent kills it, or does something itself.  What
 * stress tests meet once a day is met here each time.
 */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "mesh_runtime.h"
#include "runtime_memory.h"

/*
 * Elsewhere a compare-and-swap may be a pair of instructions that a stop
 * between them makes fail for ever.
 */
#if defined(__x86_64__)

#define TOTAL 4
#define FAR UINT64_C(1000000)
#define CHANGES_MAX 64
#define STEPS_MAX 200000

static const mesh_runtime_sizes_t sizes = {2, 1, 1, TOTAL};

static mesh_runtime_t mine;     /* as worker 1: the parent's */
static mesh_runtime_t childs;   /* the same memory as worker 0 */
static volatile uint32_t *done; /* the child has finished */
static uint8_t *before, *after; /* images of the runtime */

typedef void (*op_t)(mesh_runtime_t *rt);

static void eject_1(mesh_runtime_t *rt) {
    mesh_runtime_eject(rt, 0, 1, TOTAL, 50,
                       mesh_ejected_word(FAR, MESH_EJECTED_5XX), 5);
}

static void uneject_1(mesh_runtime_t *rt) {
    mesh_runtime_uneject(rt, 0, 1, 5, true);
}

static void eject_2(mesh_runtime_t *rt) {
    mesh_runtime_eject(rt, 0, 2, TOTAL, 50,
                       mesh_ejected_word(FAR, MESH_EJECTED_5XX), 5);
}

static void begin_1(mesh_runtime_t *rt) {
    mesh_runtime_begin(rt, 0, 1);
}

static void end_1(mesh_runtime_t *rt) {
    mesh_runtime_end(rt, 0, 1);
}

static void claim_1(mesh_runtime_t *rt) {
    mesh_runtime_claim_endpoint(rt, 1, 77);
}

static uint32_t flags_out(void) {
    uint32_t flags = 0;
    for (uint32_t i = 0; i < TOTAL; i++) {
        flags += mine.endpoints[i].ejected != 0;
    }
    return flags;
}

static uint32_t counted_out(void) {
    return mesh_cluster_ejected(&mine.clusters[0]);
}

/* --- stepping ---------------------------------------------------------------
 */

typedef struct {
    pid_t pid;
    unsigned steps;
} child_t;

static child_t start(op_t op) {
    child_t child = {fork(), 0};
    assert_true(child.pid >= 0);
    if (child.pid == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        op(&childs);
        *done = 1;
        for (;;) {
            pause();
        }
    }
    int status = 0;
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    assert_true(WIFSTOPPED(status));
    return child;
}

/* One instruction; false: the operation is over. */
static bool step(child_t *child) {
    int status = 0;
    assert_int_equal(ptrace(PTRACE_SINGLESTEP, child->pid, NULL, NULL), 0);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    assert_true(WIFSTOPPED(status));
    assert_true(++child->steps < STEPS_MAX);
    return *done == 0;
}

static void slay(child_t *child) {
    kill(child->pid, SIGKILL);
    waitpid(child->pid, NULL, 0);
}

static void save(uint8_t *image) {
    memcpy(image, mine.head, mine.size);
}

static void reset(void) {
    memcpy(mine.head, before, mine.size);
    *done = 0;
}

/* After which instructions of `op` the runtime is another; [0] = 0. */
static unsigned changes_of(op_t op, unsigned *at) {
    unsigned n = 1;
    at[0] = 0;
    reset();
    save(after);
    child_t child = start(op);
    while (step(&child)) {
        if (memcmp(after, mine.head, mine.size) != 0) {
            assert_true(n < CHANGES_MAX);
            at[n++] = child.steps;
            save(after);
        }
    }
    slay(&child);
    return n;
}

/* To the instant after that instruction. */
static void go_to(child_t *child, unsigned at) {
    while (child->steps < at) {
        step(child);
    }
}

static void finish(child_t *child) {
    while (step(child)) {
    }
    slay(child);
}

static int setup(void **state) {
    uint64_t size = mesh_runtime_size(&sizes);
    (void)state;
    runtime_memory_make(&mine, &sizes, 1);
    done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                -1, 0);
    before = malloc(size);
    after = malloc(size);
    if ((void *)done == MAP_FAILED || before == NULL || after == NULL) {
        return -1;
    }
    childs = mine;
    mine.worker = 1;
    mine.workers[0].state = mine.workers[1].state = MESH_WORKER_LIVE;
    save(before);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    runtime_memory_remove(&mine);
    munmap((void *)done, 4096);
    free(before);
    free(after);
    return 0;
}

/* --- what has to hold --------------------------------------------------------
 */

/*
 * A recount is three instants: it looks for pending workers, counts, stores.
 * The child's operation may be anywhere between any two of them.
 */
static void recount_against(op_t op) {
    unsigned at[CHANGES_MAX], stored = 0;
    unsigned n = changes_of(op, at);
    assert_true(n > 4);

    for (unsigned i = 0; i < n; i++) {
        for (unsigned j = i; j < n; j++) {
            for (unsigned k = j; k < n; k++) {
                uint64_t seen;
                reset();
                child_t child = start(op);
                go_to(&child, at[i]);
                bool may = mesh_runtime_recount_begin(&mine, 0, &seen);
                if (may) {
                    go_to(&child, at[j]);
                    uint32_t flags = flags_out();
                    go_to(&child, at[k]);
                    stored += mesh_runtime_recount_end(&mine, 0, seen, flags);
                    assert_true(counted_out() >= flags_out());
                    finish(&child);
                    assert_int_equal(counted_out(), flags_out());
                } else {
                    slay(&child);
                    k = j = n; /* the same for all later instants */
                }
            }
        }
    }
    assert_true(stored > 0);
}

static void test_recount_against_eject(void **state) {
    (void)state;
    recount_against(eject_1);
}

static void test_recount_against_return(void **state) {
    (void)state;
    eject_1(&mine);
    eject_2(&mine); /* so that one too few shows */
    save(before);
    recount_against(uneject_1);
}

/*
 * Two recounts of a count that is too high, and an ejection after the first:
 * the word is as the second one saw it but for its epoch.
 */
static void test_two_recounts(void **state) {
    (void)state;
    unsigned at[CHANGES_MAX];

    mine.clusters[0].ejections = (UINT64_C(7) << 32) + 1;
    save(before);
    unsigned n = changes_of(eject_1, at);

    for (unsigned i = 0; i < n; i++) {
        uint64_t one, two;
        reset();
        assert_true(mesh_runtime_recount_begin(&mine, 0, &one));
        assert_true(mesh_runtime_recount_begin(&mine, 0, &two));
        assert_true(mesh_runtime_recount_end(&mine, 0, one, 0));
        child_t child = start(eject_1);
        go_to(&child, at[i]);
        mesh_runtime_recount_end(&mine, 0, two, 0);
        finish(&child);
        assert_int_equal(counted_out(), flags_out());
    }
}

/* Another worker does something whole at each instant of the child's. */
static void rival_against(op_t op, op_t rival) {
    unsigned at[CHANGES_MAX];
    unsigned n = changes_of(op, at);

    for (unsigned i = 0; i < n; i++) {
        reset();
        child_t child = start(op);
        go_to(&child, at[i]);
        assert_true(counted_out() >= flags_out());
        rival(&mine);
        assert_true(counted_out() >= flags_out());
        assert_true(counted_out() <= 2); /* 50 % of 4 */
        finish(&child);
        assert_int_equal(counted_out(), flags_out());
        assert_int_equal(mine.workers[0].pending_cluster, 0);
    }
}

static void test_rivals(void **state) {
    (void)state;
    static const op_t ops[] = {eject_1, uneject_1, eject_2};

    for (unsigned ejected = 0; ejected < 2; ejected++) {
        if (ejected) {
            reset();
            eject_1(&mine);
            save(before);
        }
        for (unsigned a = 0; a < mesh_nelts(ops); a++) {
            for (unsigned b = 0; b < mesh_nelts(ops); b++) {
                rival_against(ops[a], ops[b]);
            }
        }
    }
}

/* Two places, three workers' wishes: never a third one out. */
static void test_last_place(void **state) {
    (void)state;
    mesh_runtime_eject(&mine, 0, 3, TOTAL, 50,
                       mesh_ejected_word(FAR, MESH_EJECTED_5XX), 5);
    save(before);
    rival_against(eject_1, eject_2);
    assert_int_equal(flags_out(), 2);
}

/* The epoch after the word: a view built in between is built again. */
static void test_views_hear_of_it(void **state) {
    (void)state;
    static const op_t ops[] = {eject_1, uneject_1};

    for (unsigned o = 0; o < 2; o++) {
        reset();
        (o ? eject_1 : uneject_1)(&mine);
        save(before);
        unsigned at[CHANGES_MAX];
        unsigned n = changes_of(ops[o], at);

        for (unsigned i = 0; i < n; i++) {
            reset();
            child_t child = start(ops[o]);
            go_to(&child, at[i]);
            uint32_t epoch = mesh_cluster_epoch(&mine.clusters[0]);
            uint64_t word = mine.endpoints[1].ejected;
            finish(&child);
            assert_true(word == mine.endpoints[1].ejected ||
                        epoch != mesh_cluster_epoch(&mine.clusters[0]));
        }
    }
}

/* kill -9 at each instant; reap; recount. */
static void test_killed_in_ejections(void **state) {
    (void)state;
    static const op_t ops[] = {eject_1, uneject_1};

    for (unsigned ejected = 0; ejected < 2; ejected++) {
        reset();
        (ejected ? eject_1 : uneject_1)(&mine);
        save(before);
        for (unsigned o = 0; o < 2; o++) {
            unsigned at[CHANGES_MAX];
            unsigned n = changes_of(ops[o], at);
            for (unsigned i = 0; i < n; i++) {
                uint64_t seen;
                reset();
                child_t child = start(ops[o]);
                go_to(&child, at[i]);
                slay(&child);
                assert_true(counted_out() >= flags_out());
                mesh_runtime_reap(&mine, 0);
                assert_true(mesh_runtime_recount_begin(&mine, 0, &seen));
                mesh_runtime_recount_end(&mine, 0, seen, flags_out());
                assert_int_equal(counted_out(), flags_out());
            }
        }
    }
}

/*
 * kill -9 at each instant of an attempt's begin and end: what stays after
 * the reap is never more than what the living hold.
 */
static void test_killed_in_attempts(void **state) {
    (void)state;
    static const op_t ops[] = {begin_1, end_1};

    mesh_runtime_begin(&mine, 0, 1);
    mesh_runtime_begin(&childs, 0, 1);
    save(before);
    for (unsigned o = 0; o < 2; o++) {
        unsigned at[CHANGES_MAX], exact = 0;
        unsigned n = changes_of(ops[o], at);
        assert_true(n > 4);
        for (unsigned i = 0; i < n; i++) {
            reset();
            child_t child = start(ops[o]);
            go_to(&child, at[i]);
            slay(&child);
            mesh_runtime_reap(&mine, 0);
            assert_true(mine.endpoints[1].in_flight <= 1);
            assert_true(mine.clusters[0].in_flight <= 1);
            exact += mine.endpoints[1].in_flight == 1 &&
                     mine.clusters[0].in_flight == 1;
            mesh_runtime_end(&mine, 0, 1);
            assert_int_equal(mine.endpoints[1].in_flight, 0);
            assert_int_equal(mine.clusters[0].in_flight, 0);
        }
        assert_true(exact >= n - 2); /* but between the two stores of each */
    }
}

/* kill -9 at each instant of a slot's reset: the next claim finds it clean. */
static void test_killed_in_claims(void **state) {
    (void)state;
    mesh_endpoint_slot_t clean = {.tag = 77, .in_flight = 5};

    memset(&mine.endpoints[1], 0xee, sizeof(clean));
    mine.endpoints[1].in_flight = 5;
    save(before);

    unsigned at[CHANGES_MAX];
    unsigned n = changes_of(claim_1, at);
    for (unsigned i = 0; i < n; i++) {
        reset();
        child_t child = start(claim_1);
        go_to(&child, at[i]);
        slay(&child);
        assert_true(mine.endpoints[1].tag != 77 ||
                    memcmp(&mine.endpoints[1], &clean, sizeof(clean)) == 0);
        claim_1(&mine);
        assert_memory_equal(&mine.endpoints[1], &clean, sizeof(clean));
    }
}

#define STEP_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        STEP_TEST(test_recount_against_eject),
        STEP_TEST(test_recount_against_return),
        STEP_TEST(test_two_recounts),
        STEP_TEST(test_rivals),
        STEP_TEST(test_last_place),
        STEP_TEST(test_views_hear_of_it),
        STEP_TEST(test_killed_in_ejections),
        STEP_TEST(test_killed_in_attempts),
        STEP_TEST(test_killed_in_claims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void test_steps(void **state) {
    (void)state;
    skip();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_steps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
