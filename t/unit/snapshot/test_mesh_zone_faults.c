/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The files of a zone when a system call fails, each in turn: an error that
 * says what was being done, nothing left open or mapped, no lock kept, and
 * the next try works.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"
#include "mesh_zone.h"
#include "snapshot_sample.h"
#include "temp_dir.h"

static mesh_zone_error_t error; /* 4 kB */
static mesh_zone_t zone;

/* What was open and mapped before is all that is afterwards. */
typedef struct {
    unsigned descriptors;
    unsigned mappings;
} held_t;

static held_t held_now(void) {
    return (held_t){open_descriptors(), mapped_files(&temp_top)};
}

static void assert_held(held_t before, const fault_t *fault) {
    const held_t now = held_now();

    if (now.descriptors != before.descriptors ||
        now.mappings != before.mappings) {
        fail_msg("%s (call %u) failed: %u descriptors and %u mappings more",
                 fault->what, fault->at, now.descriptors - before.descriptors,
                 now.mappings - before.mappings);
    }
}

static void assert_told(mesh_status_t rc, const fault_t *fault) {
    assert_int_equal(rc, fault->err == ENOSPC || fault->err == EDQUOT
                             ? MESH_NO_SPACE
                             : MESH_ERROR);
    assert_non_null(error.what);
    assert_true(error.what[0] != '\0');
    assert_int_equal(error.err, fault->err);
}

/* A fresh zone each time: every file of it is made under the fault. */
static void sweep_open(unsigned kinds, int err) {
    fault_t fault = {.kinds = kinds, .err = err};
    unsigned round = 0;

    while (fault_again(&fault)) {
        char name[32];
        (void)snprintf(name, sizeof(name), "zone-%d-%u-%u", err, kinds,
                       round++);
        const char *dir = temp_path(&temp_top, name);
        const held_t before = held_now();

        fault_begin(&fault);
        mesh_status_t rc = mesh_zone_open(&zone, dir, &error);
        fault_end();
        if (fault.hit) {
            assert_told(rc, &fault);
            assert_held(before, &fault);
            rc = mesh_zone_open(&zone, dir, &error);
        }
        assert_int_equal(rc, MESH_OK);
        mesh_zone_close(&zone);
        assert_held(before, &fault);
    }
    assert_in_range(round, 2, 40);
}

static void test_open(void **state) {
    (void)state;
    sweep_open(FAULT_OPEN, EACCES);
    sweep_open(FAULT_NAME, EPERM);
    sweep_open(FAULT_STAT, EIO);
    sweep_open(FAULT_MAP, ENOMEM);
    sweep_open(FAULT_LOCK, ENOLCK);
    sweep_open(FAULT_WRITE, EIO);
    sweep_open(FAULT_WRITE, ENOSPC);
    sweep_open(FAULT_WRITE, EDQUOT);
}

/* What cannot be looked at is there; what is gone, or another's, is not. */
static void test_intact(void **state) {
    (void)state;
    const char *dir = temp_path(&temp_top, "zone");
    static const char *const files[] = {MESH_ZONE_LOCK, MESH_ZONE_BELL,
                                        MESH_ZONE_CONTROL, "snapshot.1"};
    fault_t fault = {.kinds = FAULT_STAT, .err = EACCES};
    char from[128], to[128];

    assert_int_equal(mesh_zone_open(&zone, dir, &error), MESH_OK);
    int fd = mesh_zone_create_snapshot(&zone, 1, &error);
    assert_true(fd >= 0);
    while (fault_again(&fault)) {
        fault_begin(&fault);
        bool intact = mesh_zone_intact(&zone, fd, 1);
        fault_end();
        assert_true(intact);
    }
    assert_in_range(fault.at, 7, 10);
    for (size_t i = 0; i < mesh_nelts(files); i++) {
        (void)snprintf(from, sizeof(from), "%s/%s", dir, files[i]);
        (void)snprintf(to, sizeof(to), "%s/kept", dir);
        assert_int_equal(rename(from, to), 0);
        assert_false(mesh_zone_intact(&zone, fd, 1));
        temp_puts(from, "another's");
        assert_false(mesh_zone_intact(&zone, fd, 1));
        assert_int_equal(rename(to, from), 0);
        assert_true(mesh_zone_intact(&zone, fd, 1));
    }
    assert_false(mesh_zone_intact(&zone, fd, 2));
    assert_true(mesh_zone_intact(&zone, -1, 2));
    (void)close(fd);
    mesh_zone_close(&zone);
}

/* A control page of which half was written is no page yet. */
static void test_half_a_control_page(void **state) {
    (void)state;
    const char *dir = temp_path(&temp_top, "zone");
    const mesh_control_t *control = NULL;
    fault_t fault = {
        .kinds = FAULT_WRITE, .err = ENOSPC, .partly = true, .at = 2};

    fault_begin(&fault);
    const mesh_status_t rc = mesh_zone_open(&zone, dir, &error);
    fault_end();
    assert_true(fault.hit);
    assert_int_equal(rc, MESH_NO_SPACE);
    assert_int_equal(mesh_control_map(dir, &control, NULL), MESH_DECLINED);
    assert_int_equal(mesh_zone_open(&zone, dir, &error), MESH_OK);
    assert_int_equal(mesh_control_map(dir, &control, NULL), MESH_OK);
    assert_int_equal(mesh_control_word(control), 0);
    mesh_control_unmap(control);
    mesh_control_unmap(NULL);
    mesh_zone_close(&zone);
}

/* A signal interrupts; bytes and bell are not lost by it. */
static void test_interrupted(void **state) {
    (void)state;
    char data[5000], back[5000];
    fault_t fault = {.kinds = FAULT_WRITE, .err = EINTR, .at = 1};

    memset(data, 'x', sizeof(data));
    assert_int_equal(
        mesh_zone_open(&zone, temp_path(&temp_top, "zone"), &error), MESH_OK);
    const int fd = mesh_zone_create_snapshot(&zone, 1, &error);
    assert_int_not_equal(fd, -1);
    for (int partly = 0; partly < 2; partly++) {
        fault.at = 1;
        fault.partly = partly;
        fault_begin(&fault);
        assert_int_equal(mesh_zone_append(fd, data, sizeof(data), 100, &error),
                         MESH_OK);
        fault_end();
        assert_true(fault.hit);
        assert_int_equal(pread(fd, back, sizeof(back), 100), sizeof(back));
        assert_memory_equal(back, data, sizeof(back));
        memset(data, 'y', sizeof(data));
    }
    fault.at = 1;
    fault.hit = false;
    fault_begin(&fault);
    mesh_zone_publish(&zone, mesh_word(1, 9), 77);
    fault_end();
    assert_true(fault.hit);
    assert_int_equal(mesh_control_word(zone.control), mesh_word(1, 9));
    (void)close(fd);
    mesh_zone_close(&zone);
}

/* A bell that cannot be rung: the word is what counts. */
static void test_no_bell(void **state) {
    (void)state;
    fault_t fault = {.kinds = FAULT_WRITE, .err = EIO, .at = 1};

    assert_int_equal(
        mesh_zone_open(&zone, temp_path(&temp_top, "zone"), &error), MESH_OK);
    fault_begin(&fault);
    mesh_zone_publish(&zone, mesh_word(3, 8), 5);
    fault_end();
    assert_true(fault.hit);
    assert_int_equal(mesh_control_word(zone.control), mesh_word(3, 8));
    assert_int_equal(zone.control->published_ms, 5);
    mesh_zone_close(&zone);
}

/* --- reading ------------------------------------------------------------ */

static mesh_ref_t publish_sample(const char *dir) {
    sample_t sample;
    mesh_writer_t *w = sample_writer(&sample);
    const mesh_pending_t p = mesh_writer_pending(w);

    assert_int_equal(mesh_zone_open(&zone, dir, &error), MESH_OK);
    const int fd = mesh_zone_create_snapshot(&zone, 1, &error);
    assert_int_equal(mesh_zone_append(fd, p.data, p.len, p.offset, &error),
                     MESH_OK);
    mesh_zone_publish(&zone, mesh_word(1, sample.root), 1);
    (void)close(fd);
    mesh_zone_close(&zone);
    mesh_writer_free(w);
    return sample.root;
}

typedef struct {
    const char *dir;
    mesh_ref_t root;
} published_t;

static bool read_control(const published_t *p) {
    const mesh_control_t *control = NULL;
    const mesh_status_t rc = mesh_control_map(p->dir, &control, &error);

    if (rc == MESH_OK) {
        assert_int_equal(mesh_control_word(control), mesh_word(1, p->root));
        mesh_control_unmap(control);
    }
    return rc == MESH_OK;
}

static bool read_by_number(const published_t *p) {
    mesh_mapping_t *map = mesh_mapping_open(p->dir, 1, &error);

    if (map == NULL) {
        return false;
    }
    const mesh_status_t rc = mesh_mapping_adopt(map, p->root, 0);
    const bool ok = rc == MESH_OK;
    if (!ok) {
        /* The file could not be asked: the next try is as good as the first. */
        assert_int_equal(rc, MESH_ERROR);
        error.what = "adopt";
        fault_end();
        assert_int_equal(mesh_mapping_adopt(map, p->root, 0), MESH_OK);
    }
    assert_non_null(mesh_snapshot_root(&map->snapshot, p->root));
    mesh_mapping_unref(map);
    return ok;
}

static bool read_by_path(const published_t *p) {
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/snapshot.1", p->dir);
    mesh_mapping_t *map = mesh_mapping_open_path(path, &error);

    mesh_mapping_unref(map);
    return map != NULL;
}

static void sweep_read(bool (*reads)(const published_t *p),
                       const published_t *p) {
    fault_t fault = {.kinds = FAULT_CALLS | FAULT_MEMORY, .err = EIO};
    const held_t before = held_now();
    unsigned failures = 0;

    while (fault_again(&fault)) {
        error = (mesh_zone_error_t){0};
        fault_begin(&fault);
        const bool ok = reads(p);
        fault_end();
        assert_int_equal(ok, !fault.hit);
        assert_int_equal(error.what == NULL, ok);
        assert_held(before, &fault);
        failures += fault.hit;
    }
    assert_in_range(failures, 3, 12);
}

static void test_read(void **state) {
    (void)state;
    published_t p = {.dir = temp_path(&temp_top, "zone")};

    p.root = publish_sample(p.dir);
    sweep_read(read_control, &p);
    sweep_read(read_by_number, &p);
    sweep_read(read_by_path, &p);
    mesh_mapping_unref(NULL);
}

/* References into the middle of things are no roots. */
static void test_no_root_there(void **state) {
    (void)state;
    published_t p = {.dir = temp_path(&temp_top, "zone")};

    p.root = publish_sample(p.dir);
    mesh_mapping_t *map = mesh_mapping_open(p.dir, 1, &error);
    assert_non_null(map);
    const mesh_ref_t end = (mesh_ref_t)(p.root + sizeof(mesh_rec_root_t) / 8);

    for (mesh_ref_t ref = 0; ref < end + 16; ref++) {
        const mesh_status_t rc = mesh_mapping_adopt(map, ref, 0);
        if (rc == MESH_OK) {
            assert_non_null(mesh_snapshot_root(&map->snapshot, ref));
        } else {
            assert_int_equal(rc, MESH_CORRUPT);
            assert_null(mesh_snapshot_root(&map->snapshot, ref));
            assert_non_null(map->snapshot.error.reason);
            assert_int_equal(map->snapshot.error.offset, (uint64_t)ref << 3);
        }
    }
    assert_int_equal(mesh_mapping_adopt(map, p.root, 0), MESH_OK);
    assert_ptr_equal(mesh_mapping_ref(map), map);
    mesh_mapping_unref(map);
    assert_non_null(mesh_snapshot_root(&map->snapshot, p.root));
    mesh_mapping_unref(map);
}

/*
 * Bytes that look like a root inside another record: below what is checked
 * they are no start of a record.
 */
static void test_a_root_inside_a_text(void **state) {
    (void)state;
    mesh_writer_t *w = mesh_writer_create(1, MESH_FILE_CAPACITY_MIN);
    mesh_rec_root_t bait = {.rec = {MESH_KIND_ROOT, 0, sizeof(bait)}};
    char text[4 + sizeof(bait) + 8] = {0};

    /* A text's bytes begin at 12: four more are a multiple of 8. */
    memcpy(text + 4, &bait, sizeof(bait));
    const mesh_ref_t ref =
        mesh_writer_put_str(w, (mesh_str_t){sizeof(text), text});
    const sample_t sample = sample_put(w, 1, 0);
    const mesh_pending_t pending = mesh_writer_pending(w);
    const char *dir = temp_path(&temp_top, "zone");

    assert_int_equal(mesh_zone_open(&zone, dir, &error), MESH_OK);
    const int fd = mesh_zone_create_snapshot(&zone, 1, &error);
    assert_int_equal(mesh_zone_append(fd, pending.data, pending.len, 0, &error),
                     MESH_OK);
    mesh_mapping_t *map = mesh_mapping_open(dir, 1, &error);
    assert_int_equal(mesh_mapping_adopt(map, sample.root, 0), MESH_OK);
    assert_int_equal(mesh_mapping_adopt(map, ref + 2, 0), MESH_CORRUPT);
    assert_string_equal(map->snapshot.error.reason, "no record starts there");
    assert_int_equal(mesh_mapping_adopt(map, sample.root, 0), MESH_OK);
    mesh_mapping_unref(map);
    (void)close(fd);
    mesh_zone_close(&zone);
    mesh_writer_free(w);
}

/* --- names -------------------------------------------------------------- */

/* Names at and past the longest path: refused, never cut. */
static void test_long_names(void **state) {
    (void)state;
    const mesh_control_t *control = NULL;
    char dir[MESH_ZONE_PATH_MAX + 64];

    for (size_t len = MESH_ZONE_PATH_MAX - 24; len < MESH_ZONE_PATH_MAX + 2;
         len++) {
        memset(dir, 'x', len);
        dir[0] = '/';
        dir[len] = '\0';
        error = (mesh_zone_error_t){0};
        assert_int_equal(mesh_zone_open(&zone, dir, &error), MESH_ERROR);
        assert_int_equal(error.err, ENAMETOOLONG);
        assert_int_equal(mesh_control_map(dir, &control, &error), MESH_ERROR);
        assert_int_equal(error.err, ENAMETOOLONG);
        assert_null(mesh_mapping_open(dir, 1, &error));
        assert_int_equal(error.err, ENAMETOOLONG);
    }

    /* A directory that can be, with files in it that cannot. */
    static const char step[] = "/0123456789012345678901234567890123456789";
    size_t len = (size_t)snprintf(dir, sizeof(dir), "%s", temp_top.path);
    while (len + sizeof(step) < MESH_ZONE_PATH_MAX - 6) {
        memcpy(dir + len, step, sizeof(step));
        len += sizeof(step) - 1;
        (void)mkdir(dir, 0755);
    }
    dir[len++] = '/';
    while (len < MESH_ZONE_PATH_MAX - 5) {
        dir[len++] = 'y';
    }
    dir[len] = '\0';
    assert_int_equal(mesh_zone_open(&zone, dir, &error), MESH_ERROR);
    assert_int_equal(error.err, ENAMETOOLONG);
    assert_int_equal(zone.lock_fd, -1);
    assert_int_equal(zone.bell_fd, -1);
    (void)rmdir(dir);
}

#define zone_test(f)                                                           \
    cmocka_unit_test_setup_teardown(f, temp_top_make, temp_top_remove)

int main(void) {
    const struct CMUnitTest tests[] = {
        zone_test(test_open),
        zone_test(test_intact),
        zone_test(test_half_a_control_page),
        zone_test(test_interrupted),
        zone_test(test_no_bell),
        zone_test(test_read),
        zone_test(test_no_root_there),
        zone_test(test_a_root_inside_a_text),
        zone_test(test_long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
