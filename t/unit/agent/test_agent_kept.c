/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Kept texts of parts: what comes back is what was in force, or nothing.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent_kept.h"
#include "agent_log.h"
#include "source.h"
#include "temp_dir.h"
#include "text_part.h"

static const char *const state_dir = temp_top.path;

static void keep(const char *name, const char *text) {
    source_bundle_t *bundle = text_bundle(name, text);
    const model_part_t *part = bundle->items[0]->part;

    assert_true(mesh_str_eq(part->text, mesh_str_from(text)));
    assert_true(agent_kept_write(state_dir, part));
    source_bundle_free(bundle);
}

static bool has(const char *name, const char *text, const char *version) {
    char error[256] = "";
    source_bundle_t *bundle =
        agent_kept_read(state_dir, name, version, error, sizeof(error));

    if (bundle == NULL) {
        assert_true(error[0] != '\0');
        return false;
    }
    const model_part_t *part = bundle->items[0]->part;
    bool same = mesh_str_eq(part->text, mesh_str_from(text));
    assert_string_equal(part->name, name);
    source_bundle_free(bundle);
    return same;
}

static const char *version_of(const char *text) {
    static char version[SOURCE_VERSION_SIZE];

    source_version(mesh_str_from(text), version);
    return version;
}

/* The one file in it. */
static const char *the_file(void) {
    static char path[512];
    char dir[128];
    const struct dirent *e;
    unsigned count = 0;

    snprintf(dir, sizeof(dir), "%s/parts", state_dir);
    DIR *d = opendir(dir);
    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        if (e->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
            count++;
        }
    }
    closedir(d);
    assert_int_equal(count, 1);
    return path;
}

static const char a1[] = "clusters: {a: {endpoints: [127.0.0.1:80]}}\n";
static const char a2[] = "clusters: {a: {endpoints: [127.0.0.2:80]}}\n";

static void test_kept_and_read(void **state) {
    (void)state;
    struct stat st, again;

    assert_false(has("/etc/a.yaml", a1, NULL));
    keep("/etc/a.yaml", a1);
    assert_true(has("/etc/a.yaml", a1, NULL));
    assert_true(has("/etc/a.yaml", a1, version_of(a1)));
    assert_false(has("/etc/a.yaml", a1, version_of(a2)));
    assert_false(has("/etc/b.yaml", a1, NULL));
    assert_int_equal(stat(the_file(), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    /* The same again is not written again; another text takes its place. */
    keep("/etc/a.yaml", a1);
    assert_int_equal(stat(the_file(), &again), 0);
    assert_int_equal(again.st_ino, st.st_ino);
    keep("/etc/a.yaml", a2);
    assert_true(has("/etc/a.yaml", a2, version_of(a2)));
    agent_kept_remove(state_dir, "/etc/a.yaml");
    agent_kept_remove(state_dir, "/etc/a.yaml");
    assert_false(has("/etc/a.yaml", a2, NULL));
}

/* Names that a first line or a file name could not hold as they are. */
static void test_names(void **state) {
    (void)state;
    static char name[12000];

    memset(name, 'x', sizeof(name) - 1);
    keep(name, a1);
    assert_true(has(name, a1, version_of(a1)));
    agent_kept_remove(state_dir, name);
    keep("/a\nb/../c d.yaml", a2);
    assert_true(has("/a\nb/../c d.yaml", a2, version_of(a2)));
    the_file();
}

/* A copy that was cut anywhere, or of which any byte is another one. */
static void test_broken_copies(void **state) {
    (void)state;
    char all[512];

    keep("/etc/a.yaml", a1);
    int fd = open(the_file(), O_RDWR);
    ssize_t len = pread(fd, all, sizeof(all), 0);
    assert_true(len > 40);
    size_t text = sizeof(a1) - 1;
    for (ssize_t i = 0; i < len; i++) {
        assert_int_equal(ftruncate(fd, i), 0);
        assert_false(has("/etc/a.yaml", a1, NULL));
        assert_int_equal(pwrite(fd, all, (size_t)len, 0), len);

        /* The name in the first line is for people. */
        bool counts = i < SOURCE_VERSION_SIZE - 1 || i >= len - (ssize_t)text;
        char byte = all[i] ^ 1;
        assert_int_equal(pwrite(fd, &byte, 1, i), 1);
        assert_int_equal(has("/etc/a.yaml", a1, NULL),
                         !counts && all[i] != '\n');
        assert_int_equal(pwrite(fd, all, (size_t)len, 0), len);
    }
    assert_true(has("/etc/a.yaml", a1, version_of(a1)));
    close(fd);
}

static void test_sweep(void **state) {
    (void)state;
    static const char *const names[] = {"/a", "/b", "/c", "/d"};
    static const char *const stay[] = {"/c", "/none", "/a"};
    char path[128];

    agent_kept_sweep(state_dir, stay, 3); /* nothing is there */
    for (unsigned i = 0; i < 4; i++) {
        keep(names[i], a1);
    }
    snprintf(path, sizeof(path), "%s/parts/x.new", state_dir);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    agent_kept_sweep(state_dir, stay, 3);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(has(names[i], a1, NULL), i % 2 == 0);
    }
    assert_int_equal(access(path, F_OK), -1);
    agent_kept_sweep(state_dir, stay, 0);
    assert_false(has("/a", a1, NULL));
}

static void note(void *ctx, const char *name, const char *version) {
    char *all = ctx;
    size_t len = strlen(all);

    snprintf(all + len, 256 - len, "%s=%.4s;", name, version);
}

/* Those that are whole, under the names that they had. */
static void test_each(void **state) {
    (void)state;
    char all[256] = "", path[256], wanted[64], *name, long_name[9000];

    agent_kept_each(state_dir, note, all); /* nothing is there */
    assert_string_equal(all, "");
    keep("/etc/a.yaml", a1);
    snprintf(wanted, sizeof(wanted), "/etc/a.yaml=%.4s;", version_of(a1));
    agent_kept_each(state_dir, note, all);
    assert_string_equal(all, wanted);

    /* A file of another name, a directory, one that is cut short. */
    snprintf(path, sizeof(path), "%s", the_file());
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    keep(long_name, a1);
    keep("/etc/b\n.yaml", a1);
    name = strrchr(path, '/') + 1;
    name[0] = name[0] == 'a' ? 'b' : 'a';
    temp_puts(path, "abc /etc/c.yaml\n");
    name[0] = '0';
    (void)mkdir(path, 0700);
    all[0] = '\0';
    agent_kept_each(state_dir, note, all);
    assert_string_equal(all, wanted);

    snprintf(path, sizeof(path), "%s/parts", state_dir);
    keep("/etc/a.yaml", "clusters: {b: {}}\n");
    all[0] = '\0';
    agent_kept_each(state_dir, note, all);
    assert_string_not_equal(all, wanted);
    assert_non_null(strstr(all, "/etc/a.yaml="));
}

static void test_no_place(void **state) {
    (void)state;
    source_bundle_t *bundle = text_bundle("/etc/a.yaml", a1);
    const model_part_t *part = bundle->items[0]->part;
    char path[128];

    assert_false(agent_kept_write("/proc/nowhere", part));
    snprintf(path, sizeof(path), "%s/parts", state_dir);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    assert_false(agent_kept_write(state_dir, part));
    assert_int_equal(errno, ENOTDIR);
    source_bundle_free(bundle);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, temp_top_make, temp_top_remove)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_kept_and_read), TEST(test_names), TEST(test_broken_copies),
        TEST(test_sweep),         TEST(test_each),  TEST(test_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
