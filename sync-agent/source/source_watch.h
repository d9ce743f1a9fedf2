/* SPDX-License-Identifier: Apache-2.0 */

/*
 * inotify on everything that a path's meaning depends on: the directory that
 * holds the file, and each directory that holds a symbolic link on the way
 * (Kubernetes swaps "..data", deployments swap "current").  Files themselves
 * are never watched: a rename over one would leave the watch on the old file.
 *
 * It also remembers which names are being written, so that a half-written
 * file is not read.
 */

#ifndef SOURCE_WATCH_H
#define SOURCE_WATCH_H

#include "mesh_base.h"

#define SOURCE_WATCHES_MAX 8192
#define SOURCE_WRITING_MAX 1024

typedef struct source_watch_s source_watch_t;

/* Where a path ended: a directory's watch, and the name in it. */
typedef struct {
    int wd; /* -1: not known */
    char name[256];
} source_place_t;

source_watch_t *source_watch_new(void); /* NULL with errno */
void source_watch_free(source_watch_t *watch);
int source_watch_fd(const source_watch_t *watch);

/*
 * A round: begin, name every path of interest, end.  What was not named in
 * the round is watched no more.
 */
void source_watch_begin(source_watch_t *watch);
void source_watch_path(source_watch_t *watch, const char *path,
                       source_place_t *place);
void source_watch_directory(source_watch_t *watch, const char *path);
void source_watch_end(source_watch_t *watch);

/*
 * Something in the last round could not be watched, as no right or no watch
 * was left for it: no event tells of it.
 */
bool source_watch_blind(const source_watch_t *watch);

/*
 * Takes all events that wait.  true: something may have changed, beyond
 * writing that goes on.
 */
bool source_watch_drain(source_watch_t *watch, uint64_t now_ms);

/* Since when the file is being written; 0: it is not, as far as is known. */
uint64_t source_watch_writing(const source_watch_t *watch,
                              const source_place_t *place);

/* How many directories are watched, for tests. */
unsigned source_watch_count(const source_watch_t *watch);

#endif /* SOURCE_WATCH_H */
