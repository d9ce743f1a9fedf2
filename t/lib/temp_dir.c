/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Directories of tests.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "temp_dir.h"

void temp_dir_make(temp_dir_t *dir) {
    snprintf(dir->path, sizeof(dir->path), "/tmp/mesh-test-XXXXXX");
    assert_non_null(mkdtemp(dir->path));
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw) {
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void temp_remove(const char *path) {
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void temp_dir_remove(const temp_dir_t *dir) {
    temp_remove(dir->path);
}

temp_dir_t temp_top;

int temp_top_make(void **state) {
    (void)state;
    temp_dir_make(&temp_top);
    return 0;
}

int temp_top_remove(void **state) {
    (void)state;
    temp_dir_remove(&temp_top);
    return 0;
}

const char *temp_path(const temp_dir_t *dir, const char *name) {
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % mesh_nelts(paths)];
    int n = snprintf(path, sizeof(paths[0]), "%s%s%s", dir->path,
                     *name ? "/" : "", name);

    assert_true(n > 0 && (size_t)n < sizeof(paths[0]));
    return path;
}

void temp_write(const char *path, const void *data, size_t len) {
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

void temp_puts(const char *path, const char *text) {
    temp_write(path, text, strlen(text));
}

char *temp_read(const char *path, size_t *len) {
    struct stat st;
    FILE *file = fopen(path, "r");

    if (file == NULL) {
        return NULL;
    }
    assert_int_equal(fstat(fileno(file), &st), 0);
    char *text = malloc((size_t)st.st_size + 1);
    assert_non_null(text);
    *len = fread(text, 1, (size_t)st.st_size, file);
    text[*len] = '\0';
    fclose(file);
    return text;
}

unsigned open_descriptors(void) {
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");

    assert_non_null(dir);
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count;
}

unsigned mapped_files(const temp_dir_t *dir) {
    unsigned count = 0;
    char line[1024];
    FILE *maps = fopen("/proc/self/maps", "r");

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps) != NULL) {
        count += strstr(line, dir->path) != NULL;
    }
    fclose(maps);
    return count;
}
