/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The runtime's file when a system call fails, each in turn, and when many
 * processes make it at once: told, nothing left behind, one file under the
 * name.
 */

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fault.h"
#include "mesh_runtime.h"
#include "temp_dir.h"

static const mesh_runtime_sizes_t sizes = {4, 8, 4, 32};
static const mesh_runtime_sizes_t other_sizes = {4, 8, 4, 64};

static const char *zone(void) {
    return temp_path(&temp_top, "zone");
}

static unsigned files_in_zone(void) {
    unsigned count = 0;
    struct dirent *entry;
    DIR *dir = opendir(zone());

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

static void assert_whole(mesh_runtime_file_t *file) {
    assert_int_equal(file->rt.sizes.endpoints, 32);
    assert_int_equal(file->rt.head->version, MESH_RUNTIME_VERSION);
    assert_int_equal(mesh_runtime_claim_worker(file, zone(), 5), MESH_OK);
    mesh_runtime_begin(&file->rt, 0, 31);
    assert_int_equal(file->rt.endpoints[31].in_flight, 1);
}

/*
 * What is in the directory before each try: nothing, a file to go on with,
 * one of other sizes.
 */
typedef enum { THERE_NONE, THERE_GOOD, THERE_OTHER } there_e;

static void prepare(there_e there) {
    mesh_runtime_file_t file;
    char path[256];

    snprintf(path, sizeof(path), "%s/runtime.%u", zone(), MESH_RUNTIME_VERSION);
    (void)unlink(path);
    if (there == THERE_NONE) {
        return;
    }
    assert_int_equal(mesh_runtime_open(
                         &file, zone(),
                         there == THERE_GOOD ? &sizes : &other_sizes, false, 1),
                     MESH_OK);
    file.rt.routes[3].requests = 77;
    mesh_runtime_close(&file);
}

static void sweep_open(there_e there, int err) {
    fault_t fault = {.kinds = FAULT_CALLS & ~(unsigned)FAULT_NAME, .err = err};
    unsigned failures = 0;

    while (fault_again(&fault)) {
        mesh_runtime_file_t file;
        prepare(there);
        const unsigned descriptors = open_descriptors();
        fault_begin(&fault);
        mesh_status_t rc = mesh_runtime_open(&file, zone(), &sizes, false, 50);
        fault_end();
        if (rc != MESH_OK) {
            assert_true(fault.hit);
            assert_non_null(file.what);
            assert_int_equal(file.err, err);
            assert_int_equal(file.fd, -1);
            assert_int_equal(open_descriptors(), descriptors);
            assert_int_equal(mapped_files(&temp_top), 0);
            assert_int_equal(files_in_zone(), there != THERE_NONE);
            failures++;
            rc = mesh_runtime_open(&file, zone(), &sizes, false, 50);
        }
        assert_int_equal(rc, MESH_OK);
        assert_int_equal(files_in_zone(), 1);
        if (there == THERE_GOOD && !file.created) {
            assert_int_equal(file.rt.routes[3].requests, 77);
        } else {
            assert_int_equal(file.rt.routes[3].requests, 0);
        }
        assert_whole(&file);
        mesh_runtime_close(&file);
        assert_int_equal(open_descriptors(), descriptors);
        assert_int_equal(mapped_files(&temp_top), 0);
    }
    assert_in_range(failures, 3, 12);
}

static void test_open(void **state) {
    (void)state;
    sweep_open(THERE_NONE, EIO);
    sweep_open(THERE_GOOD, EIO);
    sweep_open(THERE_OTHER, EIO);
    sweep_open(THERE_NONE, ENOMEM);
}

/* Neither name nor mode can be set: the file that was there stays. */
static void test_names(void **state) {
    (void)state;
    for (there_e there = THERE_NONE; there <= THERE_OTHER; there++) {
        fault_t fault = {.kinds = FAULT_NAME, .err = EPERM};
        while (fault_again(&fault)) {
            mesh_runtime_file_t file;
            prepare(there);
            fault_begin(&fault);
            mesh_status_t rc =
                mesh_runtime_open(&file, zone(), &sizes, false, 50);
            fault_end();
            if (fault.hit && strcmp(fault.what, "unlink") != 0) {
                assert_int_equal(rc, MESH_ERROR);
                assert_int_equal(file.err, EPERM);
                assert_int_equal(files_in_zone(), there != THERE_NONE);
                rc = mesh_runtime_open(&file, zone(), &sizes, false, 50);
            }
            assert_int_equal(rc, MESH_OK);
            assert_whole(&file);
            mesh_runtime_close(&file);
            temp_dir_remove(&temp_top);
            assert_int_equal(mkdir(temp_top.path, 0700), 0);
        }
    }
}

/* A signal between two tries at a lock is no reason to give up. */
static void test_interrupted_lock(void **state) {
    (void)state;
    fault_t fault = {.kinds = FAULT_LOCK, .err = EINTR};
    unsigned rounds = 0;

    while (fault_again(&fault)) {
        mesh_runtime_file_t file;
        fault_begin(&fault);
        assert_int_equal(mesh_runtime_open(&file, zone(), &sizes, false, 50),
                         MESH_OK);
        assert_int_equal(mesh_runtime_claim_worker(&file, zone(), 60), MESH_OK);
        assert_int_equal(mesh_runtime_sweep(&file), 0);
        fault_end();
        mesh_runtime_close(&file);
        rounds++;
    }
    assert_in_range(rounds, 4, 20);
}

static void test_open_read(void **state) {
    (void)state;
    fault_t fault = {.kinds = FAULT_CALLS, .err = EIO};
    mesh_runtime_file_t writer, reader;
    unsigned failures = 0;

    assert_int_equal(mesh_runtime_open(&writer, zone(), &sizes, false, 50),
                     MESH_OK);
    while (fault_again(&fault)) {
        const unsigned descriptors = open_descriptors();
        const unsigned mappings = mapped_files(&temp_top);
        fault_begin(&fault);
        const mesh_status_t rc = mesh_runtime_open_read(&reader, zone());
        fault_end();
        if (fault.hit) {
            assert_true(rc == MESH_ERROR || rc == MESH_CORRUPT);
            assert_non_null(reader.what);
            assert_int_equal(open_descriptors(), descriptors);
            assert_int_equal(mapped_files(&temp_top), mappings);
            failures++;
        } else {
            assert_int_equal(rc, MESH_OK);
            mesh_runtime_close(&reader);
        }
    }
    assert_in_range(failures, 3, 5);
    mesh_runtime_close(&writer);
}

/*
 * A worker that gets no slot of its own goes on without: nothing is held, no
 * slot is taken.
 */
static void test_claim(void **state) {
    (void)state;
    fault_t fault = {.kinds = FAULT_OPEN | FAULT_LOCK | FAULT_STAT, .err = EIO};
    mesh_runtime_file_t file;
    unsigned failures = 0;

    assert_int_equal(mesh_runtime_open(&file, zone(), &sizes, false, 50),
                     MESH_OK);
    while (fault_again(&fault)) {
        mesh_runtime_file_t mine = file;
        const unsigned descriptors = open_descriptors();
        fault_begin(&fault);
        const mesh_status_t rc = mesh_runtime_claim_worker(&mine, zone(), 60);
        fault_end();
        if (rc != MESH_OK) {
            assert_true(fault.hit);
            assert_int_equal(rc, MESH_ERROR);
            assert_int_equal(mine.worker_fd, -1);
            assert_int_equal(mine.rt.worker, MESH_SLOT_NONE);
            assert_int_equal(open_descriptors(), descriptors);
            mesh_runtime_begin(&mine.rt, 0, 0);
            mesh_runtime_end(&mine.rt, 0, 0);
            assert_int_equal(mine.rt.endpoints[0].in_flight, 0);
            failures++;
        } else {
            /* The zone's name may have failed, and /proc have served. */
            assert_int_equal(mine.rt.worker, 0);
            mesh_runtime_reap(&mine.rt, 0);
            (void)close(mine.worker_fd);
        }
        assert_int_equal(file.rt.workers[0].state, MESH_WORKER_FREE);
    }
    assert_in_range(failures, 1, 6);
    mesh_runtime_close(&file);
}

static void test_sweep_without_a_slot(void **state) {
    (void)state;
    mesh_runtime_file_t file;

    assert_int_equal(mesh_runtime_open(&file, zone(), &sizes, false, 50),
                     MESH_OK);
    file.rt.workers[1].state = MESH_WORKER_LIVE;
    assert_int_equal(mesh_runtime_sweep(&file), 0);
    assert_int_equal(mesh_runtime_claim_worker(&file, zone(), 60), MESH_OK);

    /* A lock that cannot be asked for proves nothing about its owner. */
    fault_t fault = {.kinds = FAULT_LOCK, .err = ENOLCK, .at = 1};
    fault_begin(&fault);
    assert_int_equal(mesh_runtime_sweep(&file), 0);
    fault_end();
    assert_true(fault.hit);
    assert_int_equal(file.rt.workers[1].state, MESH_WORKER_LIVE);
    assert_int_equal(mesh_runtime_sweep(&file), 1);
    assert_int_equal(file.rt.workers[1].state, MESH_WORKER_FREE);
    mesh_runtime_close(&file);
}

static void test_every_slot_taken(void **state) {
    (void)state;
    mesh_runtime_file_t file, workers[5];

    assert_int_equal(mesh_runtime_open(&file, zone(), &sizes, false, 50),
                     MESH_OK);
    for (uint32_t i = 0; i < 5; i++) {
        workers[i] = file;
        const mesh_status_t rc =
            mesh_runtime_claim_worker(&workers[i], zone(), 60);
        assert_int_equal(rc, i < 4 ? MESH_OK : MESH_BUSY);
        assert_int_equal(workers[i].rt.worker, i < 4 ? i : MESH_SLOT_NONE);
    }
    assert_int_equal(workers[4].worker_fd, -1);
    for (uint32_t i = 0; i < 4; i++) {
        (void)close(workers[i].worker_fd);
    }
    mesh_runtime_close(&file);
}

/* --- many at once ------------------------------------------------------- */

/*
 * Exit code of a master that opens as soon as the pipe breaks: 0 alone, 1
 * another is there, 2 anything else.  The lone one stays until it is told.
 */
static int master(int start_fd, int won_fd, int end_fd) {
    mesh_runtime_file_t file;
    char byte;

    (void)!read(start_fd, &byte, 1);
    const mesh_status_t rc =
        mesh_runtime_open(&file, zone(), &sizes, false, 50);
    if (rc == MESH_BUSY) {
        return 1;
    }
    if (rc != MESH_OK || file.rt.sizes.endpoints != 32) {
        return 2;
    }
    (void)!write(won_fd, "w", 1);
    (void)!read(end_fd, &byte, 1);
    return 0;
}

static void race(there_e there) {
    enum { MASTERS = 8 };
    pid_t pids[MASTERS];
    int start[2], won[2], end[2];
    unsigned alone = 0;

    prepare(there);
    assert_int_equal(pipe(start) | pipe(won) | pipe(end), 0);
    for (unsigned i = 0; i < MASTERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            close(start[1]);
            close(end[1]);
            _exit(master(start[0], won[1], end[0]));
        }
    }
    close(won[1]);
    close(start[1]); /* all read it at once */
    char byte;
    assert_int_equal(read(won[0], &byte, 1), 1);

    /* All others end by themselves. */
    for (unsigned i = 0; i < MASTERS - 1; i++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 1);
    }
    close(end[1]);
    int status;
    assert_true(wait(&status) > 0);
    assert_int_equal(status, 0);
    alone += WIFEXITED(status);
    assert_int_equal(alone, 1);
    assert_int_equal(files_in_zone(), 1);
    close(start[0]);
    close(won[0]);
    close(end[0]);
}

static void test_one_master_wins(void **state) {
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        race(THERE_NONE);
        race(THERE_GOOD);
        race(THERE_OTHER);
    }
}

#define FILE_TEST(f)                                                           \
    cmocka_unit_test_setup_teardown(f, temp_top_make, temp_top_remove)

int main(void) {
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_open),
        FILE_TEST(test_names),
        FILE_TEST(test_interrupted_lock),
        FILE_TEST(test_open_read),
        FILE_TEST(test_claim),
        FILE_TEST(test_sweep_without_a_slot),
        FILE_TEST(test_every_slot_taken),
        FILE_TEST(test_one_master_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
