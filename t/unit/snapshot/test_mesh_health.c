/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Health words: whose they are, what a change touches, and files that are
 * missing, short, garbage, too small or of a full disk.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"
#include "mesh_health.h"
#include "temp_dir.h"

#define TAG UINT64_C(0x1122334455667788)
#define CLUSTER UINT64_C(42)
#define EPOCH UINT64_C(1000)

static const char *const dir = temp_top.path;

static const char *path_of(const char *name) {
    return temp_path(&temp_top, name);
}

/* --- in memory ------------------------------------------------------------ */

static uint64_t memory[(4096 + 8 * 8) / 8];

static void fresh(mesh_health_t *health) {
    memset(memory, 0, sizeof(memory));
    mesh_health_head((mesh_health_head_t *)memory, 8, EPOCH);
    assert_int_equal(mesh_health_init(health, memory, sizeof(memory)), MESH_OK);
}

static void test_no_file_says_nothing(void **state) {
    (void)state;
    mesh_health_t none = {.head = NULL};

    assert_int_equal(mesh_health_bits(&none, 0, TAG), 0);
    assert_int_equal(mesh_health_bits(&none, UINT32_MAX, TAG), 0);
    assert_int_equal(mesh_health_epoch(&none, CLUSTER), 0);
    assert_int_equal(mesh_health_changes(&none), 0);
    assert_false(mesh_health_set(&none, 0, TAG, CLUSTER, 1));
}

static void test_a_word_is_its_tags(void **state) {
    (void)state;
    mesh_health_t h;
    fresh(&h);

    assert_true(mesh_health_set(&h, 3, TAG, CLUSTER, MESH_HEALTH_DRAINED));
    assert_int_equal(mesh_health_bits(&h, 3, TAG), MESH_HEALTH_DRAINED);
    assert_int_equal(mesh_health_bits(&h, 4, TAG), 0);
    assert_int_equal(mesh_health_bits(&h, 8, TAG), 0);
    assert_int_equal(mesh_health_bits(&h, UINT32_MAX, TAG), 0);
    for (unsigned bit = 8; bit < 64; bit++) {
        assert_int_equal(mesh_health_bits(&h, 3, TAG ^ UINT64_C(1) << bit), 0);
    }
    /* The slot's next owner, then nobody. */
    assert_true(mesh_health_set(&h, 3, ~TAG, CLUSTER, MESH_HEALTH_EDS));
    assert_int_equal(mesh_health_bits(&h, 3, TAG), 0);
    assert_int_equal(mesh_health_bits(&h, 3, ~TAG), MESH_HEALTH_EDS);
    assert_true(mesh_health_set(&h, 3, ~TAG, CLUSTER, 0));
    assert_int_equal(h.words[3], 0);
}

static void test_changes_are_told(void **state) {
    (void)state;
    mesh_health_t h;
    fresh(&h);

    assert_int_equal(mesh_health_epoch(&h, CLUSTER), EPOCH);
    assert_true(mesh_health_set(&h, 0, TAG, CLUSTER, 1));
    assert_int_equal(mesh_health_epoch(&h, CLUSTER), EPOCH + 1);
    assert_int_equal(mesh_health_changes(&h), EPOCH + 1);
    assert_int_equal(mesh_health_epoch(&h, CLUSTER + 1), EPOCH);

    /* The same again is no change. */
    assert_false(mesh_health_set(&h, 0, TAG, CLUSTER, 1));
    assert_false(mesh_health_set(&h, 1, TAG, CLUSTER, 0));
    assert_false(mesh_health_set(&h, 8, TAG, CLUSTER, 1));
    assert_int_equal(mesh_health_changes(&h), EPOCH + 1);
}

static void test_heads_that_are_none(void **state) {
    (void)state;
    mesh_health_t h;
    mesh_health_head_t *head = (mesh_health_head_t *)memory;

    for (size_t size = 0; size < sizeof(memory); size += 8) {
        fresh(&h);
        assert_int_equal(mesh_health_init(&h, memory, size), MESH_CORRUPT);
        assert_null(h.head);
        assert_int_equal(h.endpoints, 0);
    }
    static const uint32_t counts[] = {0, 9, MESH_HEALTH_WORDS_MAX + 1,
                                      UINT32_MAX};
    for (unsigned i = 0; i < mesh_nelts(counts); i++) {
        fresh(&h);
        head->endpoints = counts[i];
        assert_int_equal(mesh_health_init(&h, memory, sizeof(memory)),
                         MESH_CORRUPT);
    }
    fresh(&h);
    head->version++;
    assert_int_equal(mesh_health_init(&h, memory, sizeof(memory)),
                     MESH_VERSION);
    assert_null(h.head);
    fresh(&h);
    head->magic[0] ^= 1;
    assert_int_equal(mesh_health_init(&h, memory, sizeof(memory)),
                     MESH_CORRUPT);
}

/* --- the file ------------------------------------------------------------- */

static void test_made_and_read(void **state) {
    (void)state;
    mesh_health_file_t w, r;
    struct stat st;

    assert_int_equal(mesh_health_open(&r, dir, NULL), MESH_DECLINED);
    assert_null(r.base);
    umask(077);
    assert_int_equal(mesh_health_make(&w, dir, 1, EPOCH, NULL), MESH_OK);
    umask(022);
    assert_int_equal(w.health.endpoints, MESH_HEALTH_WORDS);
    assert_int_equal(stat(path_of(MESH_ZONE_HEALTH), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(st.st_size, mesh_health_size(MESH_HEALTH_WORDS));
    assert_true(st.st_blocks * 512 >= st.st_size); /* no holes */
    assert_int_equal(access(path_of(MESH_ZONE_HEALTH ".new"), F_OK), -1);

    assert_int_equal(mesh_health_open(&r, dir, NULL), MESH_OK);
    assert_true(mesh_health_current(&r, dir));
    assert_true(mesh_health_set(&w.health, 9, TAG, CLUSTER, 8));
    assert_int_equal(mesh_health_bits(&r.health, 9, TAG), 8);
    assert_int_equal(mesh_health_changes(&r.health), EPOCH + 1);

    /* The next agent finds it. */
    mesh_health_close(&w);
    mesh_health_close(&w);
    assert_int_equal(mesh_health_make(&w, dir, 1, 1, NULL), MESH_OK);
    assert_int_equal(mesh_health_bits(&w.health, 9, TAG), 8);
    assert_true(mesh_health_current(&r, dir));
    mesh_health_close(&w);
    mesh_health_close(&r);
}

static void test_a_larger_one_takes_the_words_over(void **state) {
    (void)state;
    mesh_health_file_t w, r, larger;

    assert_int_equal(mesh_health_make(&w, dir, 1, EPOCH, NULL), MESH_OK);
    assert_true(mesh_health_set(&w.health, 9, TAG, CLUSTER, 8));
    assert_int_equal(mesh_health_open(&r, dir, NULL), MESH_OK);
    assert_int_equal(
        mesh_health_make(&larger, dir, MESH_HEALTH_WORDS + 1, 5, NULL),
        MESH_OK);
    assert_int_equal(larger.health.endpoints, 2 * MESH_HEALTH_WORDS);
    assert_int_equal(mesh_health_bits(&larger.health, 9, TAG), 8);
    assert_int_equal(mesh_health_changes(&larger.health), EPOCH + 1);
    assert_int_equal(mesh_health_epoch(&larger.health, CLUSTER), EPOCH + 1);
    assert_int_equal(mesh_health_epoch(&larger.health, CLUSTER + 1), EPOCH);

    /* Who has the old one mapped can go on reading it, and sees it is old. */
    assert_false(mesh_health_current(&r, dir));
    assert_int_equal(mesh_health_bits(&r.health, 9, TAG), 8);

    /* A full file system: a reason, and what was there. */
    struct rlimit limit = {65536 + 4096 * 4, RLIM_INFINITY};
    mesh_health_file_t none;
    mesh_zone_error_t error;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_not_equal(
        mesh_health_make(&none, dir, 100 * MESH_HEALTH_WORDS, 5, &error),
        MESH_OK);
    limit.rlim_cur = RLIM_INFINITY;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(error.err, EFBIG);
    assert_null(none.base);
    assert_true(mesh_health_current(&larger, dir));
    assert_int_equal(access(path_of(MESH_ZONE_HEALTH ".new"), F_OK), -1);
    assert_int_not_equal(
        mesh_health_make(&none, dir, MESH_HEALTH_WORDS_MAX + 1, 5, &error),
        MESH_OK);
    mesh_health_close(&w);
    mesh_health_close(&r);
    mesh_health_close(&larger);
}

static void put(const void *data, size_t len) {
    int fd =
        open(path_of(MESH_ZONE_HEALTH), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_int_not_equal(fd, -1);
    assert_int_equal(write(fd, data, len), len);
    (void)close(fd);
}

static void test_garbage_is_no_words(void **state) {
    (void)state;
    static char bytes[20000];
    mesh_health_file_t f;
    mesh_zone_error_t error;
    static const size_t sizes[] = {0, 1, 7, 4095, 4096, 4097, 20000};

    memset(bytes, 'x', sizeof(bytes));
    for (int magic = 0; magic < 2; magic++) {
        for (unsigned i = 0; i < mesh_nelts(sizes); i++) {
            put(bytes, sizes[i]);
            error = (mesh_zone_error_t){.what = NULL};
            assert_int_equal(mesh_health_open(&f, dir, &error), MESH_CORRUPT);
            assert_null(f.base);
            assert_non_null(error.what);
            assert_int_equal(mesh_health_bits(&f.health, 0, TAG), 0);
        }
        /* A right head of a file that was cut: 4096 words it has not got. */
        mesh_health_head((mesh_health_head_t *)bytes, 4096, EPOCH);
    }
    /* The agent makes it anew, with epochs that nobody has seen. */
    assert_int_equal(mesh_health_make(&f, dir, 1, 777, &error), MESH_OK);
    assert_int_equal(mesh_health_changes(&f.health), 777);
    assert_int_equal(f.health.words[0], 0);
    mesh_health_close(&f);

    /* What is no file is not waited for, either. */
    assert_int_equal(unlink(path_of(MESH_ZONE_HEALTH)), 0);
    assert_int_equal(mkfifo(path_of(MESH_ZONE_HEALTH), 0644), 0);
    assert_int_equal(mesh_health_open(&f, dir, &error), MESH_CORRUPT);
    assert_int_equal(unlink(path_of(MESH_ZONE_HEALTH)), 0);
    assert_int_equal(symlink("/etc/passwd", path_of(MESH_ZONE_HEALTH)), 0);
    assert_int_equal(mesh_health_open(&f, dir, &error), MESH_ERROR);
    assert_int_equal(unlink(path_of(MESH_ZONE_HEALTH)), 0);
    assert_int_equal(mkdir(path_of(MESH_ZONE_HEALTH), 0755), 0);
    assert_int_not_equal(mesh_health_open(&f, dir, &error), MESH_OK);
    assert_int_not_equal(mesh_health_make(&f, dir, 1, 1, &error), MESH_OK);
}

/* --- calls that fail ------------------------------------------------------ */

static void assert_words(const mesh_health_file_t *f) {
    assert_int_equal(mesh_health_bits(&f->health, 9, TAG), 8);
    assert_true(mesh_health_changes(&f->health) >= EPOCH + 1);
}

/* Whatever fails: what was there stays, and the next try finds it. */
static void sweep_make(uint32_t endpoints, unsigned kinds, int err,
                       bool partly) {
    fault_t fault = {.kinds = kinds, .err = err};

    while (fault.partly = partly, fault_again(&fault)) {
        mesh_health_file_t w, again;
        mesh_zone_error_t error = {.what = NULL};

        temp_remove(path_of(MESH_ZONE_HEALTH));
        assert_int_equal(mesh_health_make(&w, dir, 1, EPOCH, NULL), MESH_OK);
        assert_true(mesh_health_set(&w.health, 9, TAG, CLUSTER, 8));
        mesh_health_close(&w);
        unsigned descriptors = open_descriptors();
        fault_begin(&fault);
        mesh_status_t rc = mesh_health_make(&w, dir, endpoints, 5, &error);
        fault_end();
        if (rc != MESH_OK) {
            assert_true(fault.hit);
            assert_non_null(error.what);
            assert_int_equal(error.err, err);
            assert_null(w.base);
            assert_int_equal(mapped_files(&temp_top), 0);
        } else {
            assert_words(&w);
        }
        assert_int_equal(open_descriptors(), descriptors);
        mesh_health_close(&w);
        assert_int_equal(mesh_health_make(&again, dir, endpoints, 5, &error),
                         MESH_OK);
        assert_words(&again);
        mesh_health_close(&again);
        assert_int_equal(access(path_of(MESH_ZONE_HEALTH ".new"), F_OK), -1);
    }
}

static void test_calls_that_fail(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1, MESH_HEALTH_WORDS + 1};

    for (size_t i = 0; i < mesh_nelts(sizes); i++) {
        sweep_make(sizes[i], FAULT_OPEN, EMFILE, false);
        sweep_make(sizes[i], FAULT_STAT, EIO, false);
        sweep_make(sizes[i], FAULT_MAP, ENOMEM, false);
        sweep_make(sizes[i], FAULT_NAME, EACCES, false);
        sweep_make(sizes[i], FAULT_WRITE, ENOSPC, false);
        sweep_make(sizes[i], FAULT_WRITE, ENOSPC, true);
    }
}

#define FILE_TEST(name)                                                        \
    cmocka_unit_test_setup_teardown(name, temp_top_make, temp_top_remove)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_file_says_nothing),
        cmocka_unit_test(test_a_word_is_its_tags),
        cmocka_unit_test(test_changes_are_told),
        cmocka_unit_test(test_heads_that_are_none),
        FILE_TEST(test_made_and_read),
        FILE_TEST(test_a_larger_one_takes_the_words_over),
        FILE_TEST(test_garbage_is_no_words),
        FILE_TEST(test_calls_that_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
