/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The runtime's file with real locks: masters, forks, and workers that are
 * killed.  Children report through pipes; nobody sleeps.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "mesh_listener.h"
#include "rng.h"

#define ENDPOINTS 32
#define FAR UINT64_C(1000000)

static const mesh_runtime_sizes_t sizes = {4, 8, 4, ENDPOINTS};

static char dir[64];

static int setup(void **state) {
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/mesh-runtime-XXXXXX");
    return mkdtemp(dir) != NULL ? 0 : -1;
}

/* A file left behind (a temporary one) is a failure. */
static int teardown(void **state) {
    (void)state;
    char path[128];
    snprintf(path, sizeof(path), "%s/runtime.%u", dir, MESH_RUNTIME_VERSION);
    unlink(path);
    return rmdir(dir);
}

static mesh_status_t open_as(mesh_runtime_file_t *file, bool share) {
    return mesh_runtime_open(file, dir, &sizes, share, 50);
}

/* A child that runs `body` and then waits to be killed. */
typedef struct {
    pid_t pid;
    int from; /* its reports */
} child_t;

typedef void (*child_body_t)(void *ctx, int report);

static child_t start(child_body_t body, void *ctx) {
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    child_t child = {.pid = fork(), .from = pipes[0]};
    assert_true(child.pid >= 0);
    if (child.pid == 0) {
        close(pipes[0]);
        body(ctx, pipes[1]);
        for (;;) {
            pause();
        }
    }
    close(pipes[1]);
    return child;
}

static uint32_t report_of(const child_t *child) {
    uint32_t value = 12345678;
    assert_int_equal(read(child->from, &value, sizeof(value)), sizeof(value));
    return value;
}

static void report(int to, uint32_t value) {
    if (write(to, &value, sizeof(value)) != sizeof(value)) {
        _exit(9);
    }
}

static void slay(const child_t *child) {
    assert_int_equal(kill(child->pid, SIGKILL), 0);
    assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
    close(child->from);
}

/* --- the file --------------------------------------------------------------
 */

static void test_made_and_kept(void **state) {
    (void)state;
    mesh_runtime_file_t file;
    struct stat st;

    assert_int_equal(open_as(&file, false), MESH_OK);
    assert_true(file.created);
    assert_false(file.replaced);
    assert_int_equal(fstat(file.fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_int_equal(st.st_size, mesh_runtime_file_size(&sizes));
    assert_non_null(file.rt.listeners);
    assert_int_equal(file.rt.head->created_ms, 50);
    file.rt.endpoints[3].attempts = 33;
    mesh_runtime_close(&file);

    assert_int_equal(open_as(&file, false), MESH_OK);
    assert_false(file.created);
    assert_int_equal(file.rt.endpoints[3].attempts, 33);
    mesh_runtime_close(&file);
}

/* As a build from before listeners has left it, with a worker that goes on. */
static void test_grown(void **state) {
    (void)state;
    mesh_runtime_file_t file, old, reader;
    mesh_listeners_t said = {.left_out = 3}, read;

    assert_int_equal(open_as(&file, false), MESH_OK);
    file.rt.endpoints[3].attempts = 33;
    file.rt.head->listeners = 0;
    file.rt.head->listeners_each = 0;
    assert_int_equal(ftruncate(file.fd, (off_t)mesh_runtime_size(&sizes)), 0);
    mesh_runtime_close(&file);

    assert_int_equal(mesh_runtime_open_read(&old, dir), MESH_OK);
    assert_null(old.rt.listeners);
    assert_false(mesh_listeners_read(&old.rt, 0, &read));

    assert_int_equal(open_as(&file, false), MESH_OK);
    assert_false(file.created);
    assert_int_equal(file.rt.size, mesh_runtime_file_size(&sizes));
    assert_int_equal(file.rt.endpoints[3].attempts, 33);
    assert_int_equal(mesh_runtime_claim_worker(&file, dir, 1), MESH_OK);
    mesh_listeners_tell(&file.rt, file.rt.worker, &said);

    /* What the old one has mapped is as it was. */
    assert_true(mesh_runtime_whole(&old));
    assert_int_equal(old.rt.endpoints[3].attempts, 33);
    assert_int_equal(old.rt.workers[0].state, MESH_WORKER_LIVE);

    assert_int_equal(mesh_runtime_open_read(&reader, dir), MESH_OK);
    assert_true(mesh_listeners_read(&reader.rt, 0, &read));
    assert_int_equal(read.left_out, 3);
    mesh_runtime_close(&file);
    assert_false(mesh_listeners_read(&reader.rt, 0, &read));
    mesh_runtime_close(&reader);
    mesh_runtime_close(&old);
}

/* A tmpfs over the directory, which only this process sees. */
static bool mount_small(const char *size) {
    return unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", dir, "tmpfs", 0, size) == 0;
}

/* As an older build has left it, where there is no space for more. */
static void grow_without_space(void *ctx, int to) {
    (void)ctx;
    mesh_runtime_file_t file;
    mesh_listeners_t said = {.left_out = 3};
    static const char block[4096];
    char path[128];

    if (!mount_small("size=1m")) {
        report(to, 2);
        return;
    }
    if (open_as(&file, false) != MESH_OK ||
        mesh_runtime_claim_worker(&file, dir, 1) != MESH_OK) {
        report(to, 3);
        return;
    }
    file.rt.head->listeners = 0;
    file.rt.head->listeners_each = 0;
    int cut = ftruncate(file.fd, (off_t)mesh_runtime_size(&sizes));
    mesh_runtime_close(&file);

    snprintf(path, sizeof(path), "%s/filler", dir);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    while (write(fd, block, sizeof(block)) > 0) {
        /* until it is full */
    }
    if (cut != 0 || open_as(&file, false) != MESH_OK ||
        mesh_runtime_claim_worker(&file, dir, 1) != MESH_OK) {
        report(to, 3);
        return;
    }
    mesh_listeners_tell(&file.rt, file.rt.worker, &said);
    report(to, file.rt.listeners == NULL);
}

/* A store that finds no page would be a SIGBUS of each new worker. */
static void test_grown_without_space(void **state) {
    (void)state;
    child_t child = start(grow_without_space, NULL);
    uint32_t value = report_of(&child);

    slay(&child);
    if (value == 2) {
        skip(); /* no right to mount */
    }
    assert_int_equal(value, 1);
}

static void make_without_limit(void *ctx, int to) {
    (void)ctx;
    mesh_runtime_file_t file;

    if (!mount_small("size=0")) {
        report(to, 2);
        return;
    }
    report(to, open_as(&file, false) == MESH_OK);
}

/* A file system that counts no blocks has none to spare, either. */
static void test_made_without_limit(void **state) {
    (void)state;
    child_t child = start(make_without_limit, NULL);
    uint32_t value = report_of(&child);

    slay(&child);
    if (value == 2) {
        skip(); /* no right to mount */
    }
    assert_int_equal(value, 1);
}

static void test_missing_directory(void **state) {
    (void)state;
    mesh_runtime_file_t file;
    char deep[128];

    rmdir(dir);
    assert_int_equal(open_as(&file, false), MESH_OK);
    mesh_runtime_close(&file);

    snprintf(deep, sizeof(deep), "%s/no/such", dir);
    assert_int_equal(mesh_runtime_open(&file, deep, &sizes, false, 1),
                     MESH_ERROR);
    assert_int_equal(file.err, ENOENT);
    assert_non_null(file.what);
    mesh_runtime_close(&file); /* harmless after a failure */
}

static void test_bad_sizes_and_names(void **state) {
    (void)state;
    mesh_runtime_file_t file;
    mesh_runtime_sizes_t none = {0};
    static char name[5000];

    assert_int_equal(mesh_runtime_open(&file, dir, &none, false, 1),
                     MESH_ERROR);
    memset(name, 'a', sizeof(name) - 1);
    assert_int_equal(mesh_runtime_open(&file, name, &sizes, false, 1),
                     MESH_ERROR);
    assert_int_equal(file.err, ENAMETOOLONG);
    assert_int_equal(mesh_runtime_open_read(&file, name), MESH_ERROR);
}

/* What breaks a file so that the next master makes a new one. */
static void break_sizes(int fd) {
    uint32_t workers = 5;
    assert_int_equal(pwrite(fd, &workers, 4, 12), 4);
}

static void break_magic(int fd) {
    assert_int_equal(pwrite(fd, "X", 1, 2), 1);
}

static void break_version(int fd) {
    assert_int_equal(pwrite(fd, "\7", 1, 8), 1);
}

static void break_length(int fd) {
    assert_int_equal(ftruncate(fd, 5000), 0);
}

static void break_head(int fd) {
    assert_int_equal(ftruncate(fd, 0), 0);
}

static void break_boot(int fd) {
    uint64_t later = 51; /* than the `now` of open_as() */
    assert_int_equal(
        pwrite(fd, &later, 8, offsetof(mesh_runtime_head_t, created_ms)), 8);
}

static void test_replaced(void **state) {
    (void)state;
    static void (*const breaks[])(int fd) = {break_sizes,   break_magic,
                                             break_version, break_length,
                                             break_head,    break_boot};

    for (unsigned i = 0; i < mesh_nelts(breaks); i++) {
        mesh_runtime_file_t file;
        assert_int_equal(open_as(&file, false), MESH_OK);
        file.rt.routes[0].requests = 1;
        breaks[i](file.fd);
        mesh_runtime_close(&file);

        assert_int_equal(open_as(&file, false), MESH_OK);
        assert_true(file.replaced);
        assert_int_equal(file.rt.routes[0].requests, 0);
        assert_int_equal(file.rt.head->workers, sizes.workers);
        mesh_runtime_close(&file);
    }
}

/* A file that cannot be made whole leaves nothing behind. */
static void limited_body(void *ctx, int to) {
    (void)ctx;
    mesh_runtime_file_t file;
    struct rlimit limit = {4096, 4096};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    report(to, (uint32_t)open_as(&file, false));
    report(to, (uint32_t)file.err);
}

static void test_no_room(void **state) {
    (void)state;
    child_t child = start(limited_body, NULL);
    assert_int_equal((int)report_of(&child), MESH_ERROR);
    assert_int_equal(report_of(&child), EFBIG);
    slay(&child);
}

/* --- masters ---------------------------------------------------------------
 */

static void test_second_master(void **state) {
    (void)state;
    mesh_runtime_file_t one, two, child;

    assert_int_equal(open_as(&one, false), MESH_OK);
    assert_int_equal(open_as(&two, false), MESH_BUSY);
    assert_string_equal(two.what, "lock of the runtime file");

    /* USR2's child shares it, and holds it when the old master has gone. */
    assert_int_equal(open_as(&child, true), MESH_OK);
    assert_ptr_not_equal(child.rt.head, one.rt.head);
    child.rt.routes[0].requests = 8;
    assert_int_equal(one.rt.routes[0].requests, 8);
    mesh_runtime_close(&one);
    assert_int_equal(open_as(&two, false), MESH_BUSY);
    mesh_runtime_close(&child);
    assert_int_equal(open_as(&two, false), MESH_OK);
    mesh_runtime_close(&two);
}

/* A reload with other sizes: a new file under the name, the old one lives. */
static void test_reload_with_other_sizes(void **state) {
    (void)state;
    mesh_runtime_file_t old, fresh;
    mesh_runtime_sizes_t more = sizes;
    more.endpoints *= 2;

    assert_int_equal(open_as(&old, false), MESH_OK);
    assert_int_equal(mesh_runtime_open(&fresh, dir, &more, true, 60), MESH_OK);
    assert_true(fresh.replaced);
    fresh.rt.routes[0].requests = 1;
    assert_int_equal(old.rt.routes[0].requests, 0);

    /* A worker of the old one claims in the old one. */
    assert_int_equal(mesh_runtime_claim_worker(&old, dir, 61), MESH_OK);
    assert_int_equal(mesh_runtime_claim_worker(&fresh, dir, 61), MESH_OK);
    assert_int_equal(old.rt.worker, 0);
    assert_int_equal(fresh.rt.worker, 0);
    mesh_runtime_close(&old);
    mesh_runtime_close(&fresh);
}

/* nginx's daemon(): the parent ends, its child has the lock. */
static void daemon_body(void *ctx, int to) {
    mesh_runtime_file_t file;
    (void)ctx;
    report(to, (uint32_t)open_as(&file, false));
    pid_t pid = fork();
    if (pid != 0) {
        report(to, (uint32_t)pid);
        _exit(0);
    }
}

static void test_lock_survives_daemon(void **state) {
    (void)state;
    mesh_runtime_file_t file;
    child_t child = start(daemon_body, NULL);

    assert_int_equal(report_of(&child), MESH_OK);
    pid_t heir = (pid_t)report_of(&child);
    assert_int_equal(waitpid(child.pid, NULL, 0), child.pid);
    assert_int_equal(open_as(&file, false), MESH_BUSY);

    /* Its end of the pipe closes when it is dead, locks before that. */
    char byte;
    kill(heir, SIGKILL);
    assert_int_equal(read(child.from, &byte, 1), 0);
    close(child.from);
    while (kill(heir, 0) == 0 && open_as(&file, false) != MESH_OK) {
    }
    mesh_runtime_close(&file);
    assert_int_equal(open_as(&file, false), MESH_OK);
    mesh_runtime_close(&file);
}

/* --- readers ---------------------------------------------------------------
 */

static void test_open_read(void **state) {
    (void)state;
    mesh_runtime_file_t file, reader;

    assert_int_equal(mesh_runtime_open_read(&reader, dir), MESH_DECLINED);
    assert_int_equal(open_as(&file, false), MESH_OK);
    file.rt.clusters[1].requests = 4;
    assert_int_equal(mesh_runtime_open_read(&reader, dir), MESH_OK);
    assert_int_equal(reader.rt.clusters[1].requests, 4);
    assert_int_equal(reader.rt.sizes.endpoints, ENDPOINTS);
    mesh_runtime_close(&reader);

    break_version(file.fd);
    assert_int_equal(mesh_runtime_open_read(&reader, dir), MESH_VERSION);
    break_magic(file.fd);
    assert_int_equal(mesh_runtime_open_read(&reader, dir), MESH_CORRUPT);
    assert_int_equal(ftruncate(file.fd, 100), 0);
    assert_int_equal(mesh_runtime_open_read(&reader, dir), MESH_CORRUPT);
    assert_int_equal(reader.fd, -1);
    mesh_runtime_close(&file);
}

/* --- workers ---------------------------------------------------------------
 */

/* As nginx's worker: inherits the master's descriptor, opens its own. */
static void worker_body(void *ctx, int to) {
    mesh_runtime_file_t *file = ctx;
    mesh_status_t rc = mesh_runtime_claim_worker(file, dir, 70);
    if (rc != MESH_OK) {
        report(to, 1000);
        return;
    }
    uint32_t slot = file->rt.worker;
    mesh_runtime_begin(&file->rt, 1, 2);
    mesh_runtime_begin(&file->rt, 1, 10 + slot);
    report(to, slot);
}

static void test_workers_claim_and_die(void **state) {
    (void)state;
    mesh_runtime_file_t file;
    child_t workers[4];
    uint32_t seen = 0;

    assert_int_equal(open_as(&file, false), MESH_OK);
    for (unsigned i = 0; i < 4; i++) {
        workers[i] = start(worker_body, &file);
        uint32_t slot = report_of(&workers[i]);
        assert_true(slot < 4);
        seen |= 1u << slot;
        assert_int_equal(file.rt.workers[slot].pid, workers[i].pid);
        assert_int_equal(file.rt.workers[slot].state, MESH_WORKER_LIVE);
    }
    assert_int_equal(seen, 15);
    assert_int_equal(file.rt.endpoints[2].in_flight, 4);

    child_t fifth = start(worker_body, &file); /* no slot is left */
    assert_int_equal(report_of(&fifth), 1000);
    slay(&fifth);

    /* The kernel frees a dead one's slot, and its heir gives back. */
    slay(&workers[2]);
    workers[2] = start(worker_body, &file);
    assert_int_equal(report_of(&workers[2]), 2);
    assert_int_equal(file.rt.endpoints[2].in_flight, 4);
    assert_int_equal(file.rt.endpoints[12].in_flight, 1);
    assert_int_equal(file.rt.clusters[1].in_flight, 8);

    for (unsigned i = 1; i < 4; i++) {
        slay(&workers[i]);
    }
    slay(&workers[0]);

    /* A new worker in slot 0 reaps there, and the others by a sweep. */
    assert_int_equal(mesh_runtime_sweep(&file), 0);
    assert_int_equal(mesh_runtime_claim_worker(&file, dir, 80), MESH_OK);
    assert_int_equal(file.rt.worker, 0);
    assert_int_equal(file.rt.clusters[1].in_flight, 6);
    assert_int_equal(mesh_runtime_sweep(&file), 3);
    assert_int_equal(mesh_runtime_sweep(&file), 0);
    assert_int_equal(file.rt.clusters[1].in_flight, 0);
    assert_int_equal(file.rt.endpoints[2].in_flight, 0);
    assert_int_equal(file.rt.workers[0].state, MESH_WORKER_LIVE);
    mesh_runtime_close(&file);
}

/* The living are not reaped, whatever their slot says. */
static void test_sweep_spares_the_living(void **state) {
    (void)state;
    mesh_runtime_file_t file;

    assert_int_equal(open_as(&file, false), MESH_OK);
    child_t worker = start(worker_body, &file);
    uint32_t slot = report_of(&worker);
    file.rt.workers[slot].pid = 1; /* for people; proves nothing */

    assert_int_equal(mesh_runtime_claim_worker(&file, dir, 80), MESH_OK);
    assert_int_not_equal(file.rt.worker, slot);
    assert_int_equal(mesh_runtime_sweep(&file), 0);
    assert_int_equal(file.rt.endpoints[2].in_flight, 1);
    slay(&worker);
    assert_int_equal(mesh_runtime_sweep(&file), 1);
    assert_int_equal(file.rt.endpoints[2].in_flight, 0);
    mesh_runtime_close(&file);
}

static void test_close_frees_the_slot(void **state) {
    (void)state;
    mesh_runtime_file_t file, reader;

    assert_int_equal(open_as(&file, false), MESH_OK);
    assert_int_equal(mesh_runtime_claim_worker(&file, dir, 80), MESH_OK);
    mesh_runtime_begin(&file.rt, 0, 5);
    assert_int_equal(mesh_runtime_open_read(&reader, dir), MESH_OK);
    assert_int_equal(reader.rt.workers[0].state, MESH_WORKER_LIVE);
    mesh_runtime_close(&file);
    assert_int_equal(reader.rt.workers[0].state, MESH_WORKER_FREE);
    assert_int_equal(reader.rt.endpoints[5].in_flight, 0);
    mesh_runtime_close(&reader);
}

/* Attempts, ejections and returns without end, until it is killed. */
static void busy_body(void *ctx, int to) {
    mesh_runtime_file_t *file = ctx;
    rng_t seed = {(uint64_t)getpid()};
    uint32_t held = 0, endpoints[16];

    if (mesh_runtime_claim_worker(file, dir, 70) != MESH_OK) {
        _exit(8);
    }
    report(to, file->rt.worker);
    for (;;) {
        uint32_t e = rng_next(&seed) % ENDPOINTS;
        if (held < 16 && rng_next(&seed) % 2) {
            mesh_runtime_begin(&file->rt, 0, e);
            endpoints[held++] = e;
        } else if (held > 0) {
            mesh_runtime_end(&file->rt, 0, endpoints[--held]);
        }
        mesh_runtime_eject(&file->rt, 0, e, ENDPOINTS, 25,
                           mesh_ejected_word(FAR, MESH_EJECTED_5XX), 1);
        mesh_runtime_uneject(&file->rt, 0, rng_next(&seed) % ENDPOINTS, 1,
                             true);
    }
}

static uint32_t count_flags(const mesh_runtime_t *rt) {
    uint32_t flags = 0;
    for (uint32_t i = 0; i < ENDPOINTS; i++) {
        flags += rt->endpoints[i].ejected != 0;
    }
    return flags;
}

/*
 * kill -9 at any instant: never more out than counted, and everything right
 * after the reap and one recount.
 */
static void test_killed_at_any_instant(void **state) {
    (void)state;
    mesh_runtime_file_t file;
    rng_t seed = {99};
    uint64_t seen;

    assert_int_equal(open_as(&file, false), MESH_OK);
    assert_int_equal(mesh_runtime_claim_worker(&file, dir, 70), MESH_OK);
    mesh_runtime_t *rt = &file.rt;

    for (unsigned round = 0; round < 60; round++) {
        child_t a = start(busy_body, &file), b = start(busy_body, &file);
        report_of(&a);
        report_of(&b);
        uint64_t until = mesh_load_acquire(&rt->clusters[0].ejections_total) +
                         rng_next(&seed) % 300;
        while (mesh_load_acquire(&rt->clusters[0].ejections_total) < until) {
            assert_true(mesh_cluster_ejected(&rt->clusters[0]) <= 8);
        }
        slay(&a);
        slay(&b);

        assert_true(mesh_cluster_ejected(&rt->clusters[0]) >= count_flags(rt));
        assert_true(mesh_cluster_ejected(&rt->clusters[0]) <= 8);
        assert_int_equal(mesh_runtime_sweep(&file), 2);

        assert_int_equal(rt->clusters[0].in_flight, 0);
        for (uint32_t i = 0; i < ENDPOINTS; i++) {
            assert_int_equal(rt->endpoints[i].in_flight, 0);
        }
        assert_true(mesh_runtime_recount_begin(rt, 0, &seen));
        assert_true(mesh_runtime_recount_end(rt, 0, seen, count_flags(rt)));
        assert_int_equal(mesh_cluster_ejected(&rt->clusters[0]),
                         count_flags(rt));
    }
    mesh_runtime_close(&file);
}

#define FILE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_made_and_kept),
        FILE_TEST(test_grown),
        FILE_TEST(test_grown_without_space),
        FILE_TEST(test_made_without_limit),
        FILE_TEST(test_missing_directory),
        FILE_TEST(test_bad_sizes_and_names),
        FILE_TEST(test_replaced),
        FILE_TEST(test_no_room),
        FILE_TEST(test_second_master),
        FILE_TEST(test_reload_with_other_sizes),
        FILE_TEST(test_lock_survives_daemon),
        FILE_TEST(test_open_read),
        FILE_TEST(test_workers_claim_and_die),
        FILE_TEST(test_sweep_spares_the_living),
        FILE_TEST(test_close_frees_the_slot),
        FILE_TEST(test_killed_at_any_instant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
