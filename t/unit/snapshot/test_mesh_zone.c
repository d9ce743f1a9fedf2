/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The files of a zone: made, locked, published, adopted in slices; full
 * disks, torn files and foreign files are told apart.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mesh_zone.h"
#include "snapshot_sample.h"
#include "snapshot_touch.h"

static char base[] = "/tmp/mesh-zone-XXXXXX";
static char dir[64];

static int make_dir(void **state) {
    (void)state;
    (void)snprintf(base, sizeof(base), "/tmp/mesh-zone-XXXXXX");
    if (mkdtemp(base) == NULL) {
        return -1;
    }
    (void)snprintf(dir, sizeof(dir), "%s/zone", base);
    return 0;
}

static int remove_dir(void **state) {
    (void)state;
    static const char *const names[] = {
        MESH_ZONE_CONTROL, MESH_ZONE_LOCK, MESH_ZONE_BELL, "snapshot.1",
        "snapshot.2",      "snapshot.3",   "other"};
    char path[128];
    for (size_t i = 0; i < mesh_nelts(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof(path), "%s/%s", dir, MESH_ZONE_KEYS);
    (void)rmdir(path);
    (void)rmdir(dir);
    return rmdir(base);
}

static mode_t mode_of(const char *name) {
    char path[128];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

/* A file of the zone's directory with these bytes. */
static void write_file(const char *name, const void *data, size_t len) {
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_int_not_equal(fd, -1);
    assert_int_equal(write(fd, data, len), len);
    (void)close(fd);
}

static void test_paths(void **state) {
    (void)state;
    char path[32];
    assert_int_equal(mesh_zone_path(path, sizeof(path), "/run/m",
                                    MESH_ZONE_SNAPSHOT, 4294967295u),
                     MESH_OK);
    assert_string_equal(path, "/run/m/snapshot.4294967295");
    assert_int_equal(
        mesh_zone_path(path, sizeof(path), "/run/%u", MESH_ZONE_BELL, 1),
        MESH_OK);
    assert_string_equal(path, "/run/%u/mesh.bell");
    assert_int_equal(mesh_zone_path(path, 17, "/run/m", MESH_ZONE_SNAPSHOT, 1),
                     MESH_ERROR);
    assert_int_equal(mesh_zone_path(path, 18, "/run/m", MESH_ZONE_SNAPSHOT, 1),
                     MESH_OK);
}

static void test_open_makes_and_locks(void **state) {
    (void)state;
    static mesh_zone_t zone, second;
    static mesh_zone_error_t error;
    const mesh_control_t *control;

    assert_int_equal(mesh_control_map(dir, &control, &error), MESH_DECLINED);

    const mode_t mask = umask(077);
    assert_int_equal(mesh_zone_open(&zone, dir, &error), MESH_OK);
    (void)umask(mask);
    assert_int_equal(mode_of("."), 0755);
    assert_int_equal(mode_of(MESH_ZONE_KEYS), 0700);
    assert_int_equal(mode_of(MESH_ZONE_CONTROL), 0644);
    assert_int_equal(mode_of(MESH_ZONE_BELL), 0644);
    assert_int_equal(mode_of(MESH_ZONE_LOCK), 0600);

    assert_int_equal(mesh_zone_open(&second, dir, &error), MESH_BUSY);
    assert_non_null(strstr(error.what, "another agent"));
    assert_int_equal(second.lock_fd, -1);

    /* closing what failed took no lock away */
    assert_int_equal(mesh_zone_open(&second, dir, &error), MESH_BUSY);

    assert_int_equal(mesh_control_map(dir, &control, &error), MESH_OK);
    assert_int_equal(mesh_control_word(control), 0);
    mesh_zone_publish(&zone, mesh_word(3, 99), 12345);
    assert_int_equal(mesh_control_word(control), mesh_word(3, 99));
    assert_int_equal(control->published_ms, 12345);

    /* the word outlives its writer, and the next one goes on from it */
    mesh_zone_close(&zone);
    assert_int_equal(mesh_zone_open(&second, dir, &error), MESH_OK);
    assert_int_equal(mesh_word_file(second.control->word), 3);
    assert_int_equal(mesh_word_root(second.control->word), 99);
    mesh_zone_close(&second);
    mesh_control_unmap(control);
    mesh_control_unmap(NULL);
}

static void remove_and_make(const char *name) {
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(unlink(path), 0);
    const int fd = open(path, O_RDWR | O_CREAT, 0644);
    assert_true(fd >= 0);
    (void)close(fd);
}

/* A file of the same name is not the same file. */
static void test_removed_files_are_missed(void **state) {
    (void)state;
    static const char *const names[] = {MESH_ZONE_LOCK, MESH_ZONE_BELL,
                                        MESH_ZONE_CONTROL, "snapshot.7"};
    static mesh_zone_t zone;
    static mesh_zone_error_t error;

    for (size_t i = 0; i < mesh_nelts(names); i++) {
        assert_int_equal(mesh_zone_open(&zone, dir, &error), MESH_OK);
        assert_true(mesh_zone_intact(&zone, -1, 7));
        const int fd = mesh_zone_create_snapshot(&zone, 7, &error);
        assert_true(fd >= 0);
        assert_true(mesh_zone_intact(&zone, fd, 7));
        assert_false(mesh_zone_intact(&zone, fd, 8));
        remove_and_make(names[i]);
        assert_false(mesh_zone_intact(&zone, fd, 7));
        (void)close(fd);
        mesh_zone_close(&zone);
        remove_dir(NULL);
        make_dir(NULL);
    }
}

/* The kernel gives the lock back when its holder dies. */
static void test_lock_dies_with_its_holder(void **state) {
    (void)state;
    static mesh_zone_t zone;
    int up[2], down[2];
    char c;
    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(down), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        (void)close(down[1]);
        c = mesh_zone_open(&zone, dir, NULL) == MESH_OK ? 'y' : 'n';
        if (write(up[1], &c, 1) == 1) {
            (void)!read(down[0], &c, 1);
        }
        _exit(0);
    }
    assert_int_equal(read(up[0], &c, 1), 1);
    assert_int_equal(c, 'y');
    assert_int_equal(mesh_zone_open(&zone, dir, NULL), MESH_BUSY);
    (void)close(down[1]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(mesh_zone_open(&zone, dir, NULL), MESH_OK);
    mesh_zone_close(&zone);
    (void)close(up[0]);
    (void)close(up[1]);
    (void)close(down[0]);
}

static void test_the_bell_rings(void **state) {
    (void)state;
    static mesh_zone_t zone;
    assert_int_equal(mesh_zone_open(&zone, dir, NULL), MESH_OK);
    char path[128];
    assert_int_equal(mesh_zone_path(path, sizeof(path), dir, MESH_ZONE_BELL, 0),
                     MESH_OK);
    const int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    assert_int_not_equal(inotify_add_watch(fd, path, IN_MODIFY), -1);

    for (uint32_t i = 1; i <= 3; i++) {
        mesh_zone_publish(&zone, mesh_word(1, i), i);
        struct pollfd p = {fd, POLLIN, 0};
        assert_int_equal(poll(&p, 1, 5000), 1);
        struct inotify_event event;
        assert_int_equal(read(fd, &event, sizeof(event)), sizeof(event));
        assert_int_equal(event.mask, IN_MODIFY);
    }
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 1);
    (void)close(fd);
    mesh_zone_close(&zone);
}

static void test_foreign_control_pages(void **state) {
    (void)state;
    static mesh_zone_t zone;
    static mesh_zone_error_t error;
    const mesh_control_t *control;
    uint8_t page[MESH_CONTROL_SIZE] = {0};

    assert_int_equal(mesh_zone_open(&zone, dir, NULL), MESH_OK);
    mesh_zone_close(&zone);

    /* as after a crash between making and writing it: made whole */
    write_file(MESH_ZONE_CONTROL, page, 0);
    assert_int_equal(mesh_control_map(dir, &control, &error), MESH_DECLINED);
    assert_int_equal(mesh_zone_open(&zone, dir, &error), MESH_OK);
    mesh_zone_close(&zone);
    assert_int_equal(mesh_control_map(dir, &control, &error), MESH_OK);
    mesh_control_unmap(control);

    write_file(MESH_ZONE_CONTROL, page, sizeof(page));
    assert_int_equal(mesh_control_map(dir, &control, &error), MESH_CORRUPT);
    assert_int_equal(mesh_zone_open(&zone, dir, &error), MESH_CORRUPT);

    mesh_control_t *c = (mesh_control_t *)page;
    memcpy(c->magic, MESH_CONTROL_MAGIC, sizeof(c->magic));
    c->version = MESH_FORMAT_VERSION + 1;
    write_file(MESH_ZONE_CONTROL, page, sizeof(page));
    assert_int_equal(mesh_control_map(dir, &control, &error), MESH_VERSION);
    assert_int_equal(mesh_zone_open(&zone, dir, &error), MESH_VERSION);
}

/* --- snapshots ---------------------------------------------------------- */

static void append(const mesh_writer_t *w, int fd) {
    static mesh_zone_error_t error;
    const mesh_pending_t p = mesh_writer_pending(w);
    assert_int_equal(mesh_zone_append(fd, p.data, p.len, p.offset, &error),
                     MESH_OK);
}

/* An agent that publishes and a worker that follows, slice by slice. */
static void test_adoption(void **state) {
    (void)state;
    static mesh_zone_t zone;
    static mesh_zone_error_t error;
    assert_int_equal(mesh_zone_open(&zone, dir, &error), MESH_OK);
    const int fd = mesh_zone_create_snapshot(&zone, 1, &error);
    assert_int_not_equal(fd, -1);
    assert_int_equal(mode_of("snapshot.1"), 0644);
    assert_int_equal(mesh_zone_create_snapshot(&zone, 1, &error), -1);
    assert_int_equal(error.err, EEXIST);

    mesh_writer_t *w = mesh_writer_create(1, MESH_FILE_CAPACITY);
    mesh_ref_t root = sample_put(w, 1, 0).root;
    append(w, fd);
    mesh_mapping_t *m = mesh_mapping_open(dir, 1, &error);
    assert_non_null(m);
    assert_int_equal(m->snapshot.capacity, MESH_FILE_CAPACITY);
    mesh_writer_commit(w, m->snapshot.base);

    for (uint64_t i = 2; i < 40; i++) {
        const uint64_t before = m->snapshot.verified;
        mesh_status_t rc;
        unsigned slices = 0;
        while ((rc = mesh_mapping_adopt(m, root, 100)) == MESH_AGAIN) {
            slices++;
        }
        assert_int_equal(rc, MESH_OK);
        assert_true(slices > 1);
        /* only what was appended is looked at */
        assert_true(i == 2 || m->snapshot.verified - before < 2048);
        assert_int_equal(mesh_snapshot_root(&m->snapshot, root)->generation,
                         i - 1);
        assert_int_equal(mesh_mapping_adopt(m, root, 100), MESH_OK);

        const mesh_ref_t next = sample_put(w, i, root).root;
        assert_int_equal(mesh_mapping_adopt(m, next, 0), MESH_CORRUPT);
        append(w, fd);
        mesh_writer_commit(w, m->snapshot.base);
        root = next;
    }
    assert_int_equal(mesh_mapping_adopt(m, root, 0), MESH_OK);
    assert_true(touch_everything(&m->snapshot) > 100);
    assert_int_equal(mesh_mapping_adopt(m, root - 1, 0), MESH_CORRUPT);
    assert_non_null(m->snapshot.error.reason);
    assert_int_equal(mesh_mapping_adopt(m, UINT32_MAX, 0), MESH_CORRUPT);
    assert_int_equal(mesh_mapping_adopt(m, 0, 0), MESH_CORRUPT);

    /* no byte past the end was read: the file is as long as written */
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, mesh_writer_size(w));

    mesh_writer_free(w);
    assert_ptr_equal(mesh_mapping_ref(m), m);
    mesh_mapping_unref(m);
    assert_non_null(mesh_snapshot_root(&m->snapshot, root));
    mesh_mapping_unref(m);
    mesh_mapping_unref(NULL);
    (void)close(fd);
    mesh_zone_close(&zone);
}

/* What follows the root may be torn: an agent died while it appended. */
static void test_torn_tail(void **state) {
    (void)state;
    static mesh_zone_t zone;
    assert_int_equal(mesh_zone_open(&zone, dir, NULL), MESH_OK);
    const int fd = mesh_zone_create_snapshot(&zone, 2, NULL);
    mesh_writer_t *w = mesh_writer_create(2, MESH_FILE_CAPACITY_MIN);
    const mesh_ref_t root = sample_put(w, 1, 0).root;
    append(w, fd);
    mesh_writer_commit(w, NULL);
    const mesh_ref_t second = sample_put(w, 2, root).root;
    const mesh_pending_t p = mesh_writer_pending(w);
    assert_int_equal(mesh_zone_append(fd, p.data, p.len / 2, p.offset, NULL),
                     MESH_OK);

    mesh_mapping_t *m = mesh_mapping_open(dir, 2, NULL);
    assert_non_null(m);
    assert_int_equal(mesh_mapping_adopt(m, root, 0), MESH_OK);
    assert_int_equal(mesh_mapping_adopt(m, second, 0), MESH_CORRUPT);

    /* the next agent goes on behind the root, over the torn bytes */
    mesh_writer_t *again = mesh_writer_open(&m->snapshot);
    assert_non_null(again);
    assert_int_equal(sample_put(again, 2, root).root, second);
    append(again, fd);
    mesh_writer_commit(again, m->snapshot.base);
    assert_int_equal(mesh_mapping_adopt(m, second, 0), MESH_OK);
    assert_int_equal(mesh_snapshot_root(&m->snapshot, second)->generation, 2);

    mesh_writer_free(again);
    mesh_writer_free(w);
    mesh_mapping_unref(m);
    (void)close(fd);
    mesh_zone_close(&zone);
}

static void test_foreign_snapshots(void **state) {
    (void)state;
    static mesh_zone_t zone;
    static mesh_zone_error_t error;
    assert_int_equal(mesh_zone_open(&zone, dir, NULL), MESH_OK);

    assert_null(mesh_mapping_open(dir, 1, &error));
    assert_int_equal(error.err, ENOENT);
    write_file("snapshot.1", "short", 5);
    assert_null(mesh_mapping_open(dir, 1, &error));
    assert_int_equal(error.err, 0);
    assert_string_equal(error.what, "not a snapshot file");

    sample_t ref;
    mesh_writer_t *w = sample_writer(&ref);
    size_t size;
    uint8_t *bytes = sample_bytes(w, &size);
    mesh_writer_free(w);
    write_file("snapshot.2", bytes, size);
    assert_null(mesh_mapping_open(dir, 2, &error));
    assert_string_equal(error.what, "the head says another file number");

    /* under any name, when its path is said */
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/snapshot.2", dir);
    mesh_mapping_t *m = mesh_mapping_open_path(path, &error);
    assert_non_null(m);
    assert_int_equal(truncate(path, 0), 0); /* nobody's but the mapping's */
    assert_int_equal(mesh_mapping_adopt(m, ref.root, 0), MESH_OK);

    /* and again without a name, checked for itself */
    assert_int_equal(unlink(path), 0);
    mesh_mapping_t *other = mesh_mapping_again(m, &error);
    mesh_mapping_unref(m);
    assert_non_null(other);
    assert_null(mesh_snapshot_root(&other->snapshot, ref.root));
    assert_int_equal(mesh_mapping_adopt(other, ref.root, 0), MESH_OK);
    assert_non_null(mesh_snapshot_root(&other->snapshot, ref.root));
    mesh_mapping_unref(other);

    ((mesh_file_head_t *)bytes)->version++;
    write_file("snapshot.1", bytes, size);
    assert_null(mesh_mapping_open(dir, 1, &error));
    assert_non_null(strstr(error.what, "format version"));
    free(bytes);

    assert_null(mesh_mapping_open_path(dir, &error));
    assert_string_equal(error.what, "not a file");
    assert_null(mesh_mapping_open_path("/nowhere/at/all", &error));
    assert_int_equal(error.err, ENOENT);
    assert_string_equal(error.path, "/nowhere/at/all");
    mesh_zone_close(&zone);
}

static void test_append_fails(void **state) {
    (void)state;
    static mesh_zone_error_t error;
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_not_equal(full, -1);
    assert_int_equal(mesh_zone_append(full, "x", 1, 0, &error), MESH_NO_SPACE);
    assert_int_equal(error.err, ENOSPC);
    assert_int_equal(mesh_zone_append(full, "x", 1, 0, NULL), MESH_NO_SPACE);
    assert_int_equal(mesh_zone_append(full, "", 0, 0, &error), MESH_OK);
    (void)close(full);
    assert_int_equal(mesh_zone_append(-1, "x", 1, 0, &error), MESH_ERROR);
    assert_int_equal(error.err, EBADF);
}

static void test_open_fails(void **state) {
    (void)state;
    static mesh_zone_t zone;
    static mesh_zone_error_t error;
    static char longer[MESH_ZONE_PATH_MAX + 10];
    memset(longer, 'x', sizeof(longer) - 1);
    assert_int_equal(mesh_zone_open(&zone, longer, &error), MESH_ERROR);
    assert_int_equal(error.err, ENAMETOOLONG);
    assert_null(mesh_mapping_open(longer, 1, &error));
    assert_int_equal(error.err, ENAMETOOLONG);
    assert_int_equal(mesh_zone_open(&zone, "/nowhere/at/all", &error),
                     MESH_ERROR);
    assert_int_equal(error.err, ENOENT);
    assert_int_equal(zone.lock_fd, -1);
}

#define zone_test(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        zone_test(test_open_makes_and_locks),
        zone_test(test_removed_files_are_missed),
        zone_test(test_lock_dies_with_its_holder),
        zone_test(test_the_bell_rings),
        zone_test(test_foreign_control_pages),
        zone_test(test_adoption),
        zone_test(test_torn_tail),
        zone_test(test_foreign_snapshots),
        cmocka_unit_test(test_append_fails),
        zone_test(test_open_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
