/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A directory of a test's own, and files in it.  Failures fail the test.
 */

#ifndef TEMP_DIR_H
#define TEMP_DIR_H

#include "mesh_base.h"

typedef struct {
    char path[64];
} temp_dir_t;

void temp_dir_make(temp_dir_t *dir);
void temp_dir_remove(const temp_dir_t *dir); /* with all that is in it */

/* One of the whole program, made for each test: setup and teardown. */
extern temp_dir_t temp_top;
int temp_top_make(void **state);
int temp_top_remove(void **state);

/* dir/name; the last eight are good. */
const char *temp_path(const temp_dir_t *dir, const char *name);

/* A file or a directory with all that is in it. */
void temp_remove(const char *path);

/* Truncates and writes. */
void temp_write(const char *path, const void *data, size_t len);
void temp_puts(const char *path, const char *text);

/* The whole file, a NUL behind it; free() it.  NULL: there is none. */
char *temp_read(const char *path, size_t *len);

/*
 * What a failed operation must give back: this process's descriptors, and its
 * mappings of files below the directory.
 */
unsigned open_descriptors(void);
unsigned mapped_files(const temp_dir_t *dir);

#endif /* TEMP_DIR_H */
