/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The files of a zone's directory: control page, snapshot files, lock, bell.
 * POSIX calls live here and in runtime/mesh_runtime_file.c, and in no other
 * pure room, so that module, agent and tools open the same files in the same
 * way.
 */

#ifndef MESH_ZONE_H
#define MESH_ZONE_H

#include "mesh_base.h"
#include "mesh_format.h"
#include "mesh_snapshot.h"


#define MESH_ZONE_PATH_MAX   4096


typedef struct {
    const char  *what;                  /* static: what was being done */
    int          err;                   /* errno, or 0 */
    uint32_t     version;               /* that is not read, or 0 */
    char         path[MESH_ZONE_PATH_MAX];
} mesh_zone_error_t;


/* dir + "/" + name, with `number` filled into a "%u" of the name. */
mesh_status_t mesh_zone_path(char *out, size_t size, const char *dir,
    const char *name, unsigned number);


/* --- reading (workers, meshctl) ----------------------------------------- */

/*
 * Maps mesh.ctl read only.  MESH_DECLINED: there is none yet (nothing was
 * published).  The pointer stays valid until mesh_control_unmap().
 */
mesh_status_t mesh_control_map(const char *dir, const mesh_control_t **control,
    mesh_zone_error_t *error);
void mesh_control_unmap(const mesh_control_t *control);

static inline uint64_t
mesh_control_word(const mesh_control_t *control)
{
    return __atomic_load_n(&control->word, __ATOMIC_ACQUIRE);
}


/* A snapshot file that is mapped to read, with its check bitmap. */
typedef struct {
    mesh_snapshot_t  snapshot;
    int              fd;
    unsigned         refs;              /* users in this process */
} mesh_mapping_t;

/*
 * Maps a snapshot file by its number (MADV_DONTDUMP).  refs = 1.  Allocates
 * with malloc and mmap; NULL with *error on failure.
 */
mesh_mapping_t *mesh_mapping_open(const char *dir, uint32_t file_number,
    mesh_zone_error_t *error);

/*
 * Like it, for a file anywhere (the last-good copy), of which it maps a copy
 * in memory: who cuts a mapped file short ends its readers by SIGBUS, and
 * this one is not only the agent's.
 */
mesh_mapping_t *mesh_mapping_open_path(const char *path,
    mesh_zone_error_t *error);

/*
 * Another mapping of the same file, be it unlinked or not, of which nothing
 * is checked yet: for another thread.
 */
mesh_mapping_t *mesh_mapping_again(const mesh_mapping_t *m,
    mesh_zone_error_t *error);

static inline mesh_mapping_t *
mesh_mapping_ref(mesh_mapping_t *m)
{
    m->refs++;
    return m;
}

/* Drops one user; the last one unmaps and frees. */
void mesh_mapping_unref(mesh_mapping_t *m);

/*
 * Checks what the root `ref` needs, as mesh_snapshot_verify(), after asking
 * the file for its size.  MESH_OK: the root may be used.
 */
mesh_status_t mesh_mapping_adopt(mesh_mapping_t *m, mesh_ref_t ref,
    uint64_t budget);


/* --- writing (agent; meshctl --offline) --------------------------------- */

typedef struct {
    char             dir[MESH_ZONE_PATH_MAX];
    int              lock_fd;
    int              bell_fd;
    mesh_control_t  *control;           /* mapped read-write */
    uint64_t         control_dev;
    uint64_t         control_ino;
} mesh_zone_t;

/*
 * Makes the directory if it is missing (0755, keys/ 0700), takes mesh.lock
 * (MESH_BUSY: another agent has it), makes and maps control page and bell.
 */
mesh_status_t mesh_zone_open(mesh_zone_t *zone, const char *dir,
    mesh_zone_error_t *error);
void mesh_zone_close(mesh_zone_t *zone);

/*
 * Does the directory still show what is open here?  Somebody may have removed
 * it: then nobody who comes later finds what is published.  `snapshot_fd` is
 * that of file `file_number`, or -1.
 */
bool mesh_zone_intact(const mesh_zone_t *zone, int snapshot_fd,
    uint32_t file_number);

/*
 * Makes snapshot.<number> (fails if it exists), 0644, and returns its
 * descriptor, or -1.
 */
int mesh_zone_create_snapshot(const mesh_zone_t *zone, uint32_t file_number,
    mesh_zone_error_t *error);

/* pwrite of everything; MESH_NO_SPACE on ENOSPC or EDQUOT. */
mesh_status_t mesh_zone_append(int fd, const void *data, uint64_t len,
    uint64_t offset, mesh_zone_error_t *error);

/* The atomic store that publishes, then the bell. */
void mesh_zone_publish(mesh_zone_t *zone, uint64_t word, uint64_t now_ms);

/*
 * The bell: workers look at the files of the zone.  One that cannot be rung
 * costs time, not truth, for they look by themselves, too.
 */
void mesh_zone_ring(const mesh_zone_t *zone);


#endif /* MESH_ZONE_H */
