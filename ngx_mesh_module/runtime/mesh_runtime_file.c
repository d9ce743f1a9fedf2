/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The runtime's file: made whole and then given its name, mapped shared, and
 * locked in bytes that the kernel lets go when their holder dies.
 *
 *     byte 0         masters.  The first proves that it is alone by a write
 *                    lock and keeps a read lock; one that may share (USR2's
 *                    child, a reload) takes a read lock beside it.
 *     byte 1 + slot  the worker in that slot
 *
 * All are open file description locks: those of fcntl(2) that a fork does not
 * lose and that a close() of another descriptor does not drop.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "mesh_format.h"
#include "mesh_runtime.h"


#define FILE_PATH_MAX   4096
#define FILE_TRIES      16      /* others may replace the file meanwhile */


typedef struct {
    char                         path[FILE_PATH_MAX];
    char                         made[FILE_PATH_MAX + 16];
    const mesh_runtime_sizes_t  *sizes;
    bool                         share;
    uint64_t                     now_ms;
} file_open_t;


static mesh_status_t
file_failed(mesh_runtime_file_t *file, mesh_status_t status, const char *what)
{
    file->what = what;
    file->err = errno;

    return status;
}


static void
file_init(mesh_runtime_file_t *file)
{
    memset(file, 0, sizeof(mesh_runtime_file_t));

    file->fd = -1;
    file->worker_fd = -1;
    file->rt.worker = MESH_SLOT_NONE;
}


static mesh_status_t
file_path(mesh_runtime_file_t *file, char *out, const char *dir)
{
    int  n;

    n = snprintf(out, FILE_PATH_MAX, "%s/" MESH_ZONE_RUNTIME, dir,
                 (unsigned) MESH_RUNTIME_VERSION);

    if (n < 0 || n >= FILE_PATH_MAX) {
        errno = ENAMETOOLONG;
        return file_failed(file, MESH_ERROR, "name of the runtime file");
    }

    return MESH_OK;
}


/* type: F_WRLCK, F_RDLCK or F_UNLCK. */
static mesh_status_t
file_lock(int fd, short type, uint32_t byte)
{
    struct flock  lock;

    memset(&lock, 0, sizeof(lock));

    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;

    while (fcntl(fd, F_OFD_SETLK, &lock) == -1) {

        if (errno == EAGAIN || errno == EACCES) {
            return MESH_BUSY;
        }

        if (errno != EINTR) {
            return MESH_ERROR;
        }
    }

    return MESH_OK;
}


static mesh_status_t
file_lock_master(mesh_runtime_file_t *file, int fd, bool share)
{
    mesh_status_t  rc;

    rc = MESH_OK;

    if (!share) {
        rc = file_lock(fd, F_WRLCK, 0);
    }

    if (rc == MESH_OK) {
        rc = file_lock(fd, F_RDLCK, 0);
    }

    if (rc != MESH_OK) {
        return file_failed(file, rc, "lock of the runtime file");
    }

    return MESH_OK;
}


static void *
file_map(int fd, uint64_t size, int prot)
{
    void  *base;

    base = mmap(NULL, size, prot, MAP_SHARED, fd, 0);

    if (base == MAP_FAILED) {
        return NULL;
    }

    /* A core dump of a worker has no use for 50 MB of counters. */
    (void) madvise(base, size, MADV_DONTDUMP);

    return base;
}


static bool
file_same(int fd, const char *path)
{
    struct stat  a, b;

    return fstat(fd, &a) == 0 && stat(path, &b) == 0
           && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}


/*
 * Pages come with the first store, and a store that finds no page is a SIGBUS:
 * better no file, or a shorter one, than one that kills workers.  A tmpfs
 * without a limit counts no blocks at all.
 */
static bool
file_has_space(int fd, uint64_t size)
{
    struct statvfs  fs;

    return fstatvfs(fd, &fs) == -1
           || fs.f_blocks == 0
           || (uint64_t) fs.f_bavail * fs.f_frsize >= size;
}


/*
 * What an older build has made has no place for listeners.  The head tells of
 * one when it is there, and workers of that build never look behind its size.
 */
static void
file_grow(int fd, uint64_t *size, const file_open_t *o)
{
    uint64_t             want;
    mesh_runtime_head_t  head;

    want = mesh_runtime_file_size(o->sizes);

    if (*size == mesh_runtime_size(o->sizes)
        && pread(fd, &head, sizeof(head), 0) == (ssize_t) sizeof(head)
        && head.listeners == 0
        && file_has_space(fd, want - *size)
        && ftruncate(fd, (off_t) want) == 0)
    {
        *size = want;
    }
}


/*
 * Maps what is there.  MESH_DECLINED: it is of no use to this master (sizes,
 * layout, an earlier boot) and may be replaced.
 */
static mesh_status_t
file_adopt(mesh_runtime_file_t *file, int fd, const file_open_t *o)
{
    void           *base;
    uint64_t        size;
    struct stat     st;
    mesh_status_t   rc;

    if (fstat(fd, &st) == -1) {
        return file_failed(file, MESH_ERROR, "fstat of the runtime file");
    }

    size = (uint64_t) st.st_size;

    if (!S_ISREG(st.st_mode) || size < sizeof(mesh_runtime_head_t)) {
        return MESH_DECLINED;
    }

    file_grow(fd, &size, o);

    base = file_map(fd, size, PROT_READ | PROT_WRITE);
    if (base == NULL) {
        return file_failed(file, MESH_ERROR, "mmap of the runtime file");
    }

    rc = mesh_runtime_init(&file->rt, base, size, o->sizes, false, 0);

    /* The monotonic clock fell: its times are of a boot that is over. */

    if (rc != MESH_OK || file->rt.head->created_ms > o->now_ms) {
        (void) munmap(base, size);
        return MESH_DECLINED;
    }

    file->rt.size = size;

    if (file->rt.listeners == NULL
        && size >= mesh_runtime_file_size(o->sizes))
    {
        mesh_runtime_add_listeners(&file->rt);
    }

    return MESH_OK;
}


/* Fills a new file under a passing name: never seen half made. */
static mesh_status_t
file_fill(mesh_runtime_file_t *file, int fd, const file_open_t *o)
{
    void           *base;
    uint64_t        size;
    mesh_status_t   rc;

    size = mesh_runtime_file_size(o->sizes);

    if (!file_has_space(fd, size)) {
        errno = ENOSPC;
        return file_failed(file, MESH_NO_SPACE, "space for the runtime file");
    }

    if (fchmod(fd, 0644) == -1 || ftruncate(fd, (off_t) size) == -1) {
        return file_failed(file, MESH_ERROR, "ftruncate of the runtime file");
    }

    base = file_map(fd, size, PROT_READ | PROT_WRITE);
    if (base == NULL) {
        return file_failed(file, MESH_ERROR, "mmap of the runtime file");
    }

    rc = mesh_runtime_init(&file->rt, base, size, o->sizes, true, o->now_ms);
    file->rt.size = size;

    return rc;
}


static void
file_unmap(mesh_runtime_file_t *file)
{
    if (file->rt.head != NULL) {
        (void) munmap(file->rt.head, file->rt.size);
        file->rt.head = NULL;
    }
}


/*
 * replace: renames over what is there; otherwise the name must be free, and
 * MESH_AGAIN says that somebody else just took it.
 */
static mesh_status_t
file_create(mesh_runtime_file_t *file, file_open_t *o, bool replace)
{
    int            fd;
    mesh_status_t  rc;

    (void) snprintf(o->made, sizeof(o->made), "%s.XXXXXX", o->path);

    fd = mkostemp(o->made, O_CLOEXEC);
    if (fd == -1) {
        return file_failed(file, MESH_ERROR, "making the runtime file");
    }

    rc = file_lock_master(file, fd, false);

    if (rc == MESH_OK) {
        rc = file_fill(file, fd, o);
    }

    if (rc == MESH_OK && replace && rename(o->made, o->path) == -1) {
        rc = file_failed(file, MESH_ERROR, "rename of the runtime file");
    }

    if (rc == MESH_OK && !replace && link(o->made, o->path) == -1) {
        rc = file_failed(file, errno == EEXIST ? MESH_AGAIN : MESH_ERROR,
                         "link of the runtime file");
    }

    if (rc != MESH_OK || !replace) {
        (void) unlink(o->made);
    }

    if (rc != MESH_OK) {
        file_unmap(file);
        (void) close(fd);
        return rc;
    }

    file->fd = fd;
    file->created = true;
    file->replaced = replace;

    return MESH_OK;
}


/* MESH_AGAIN: the name leads to another file by now. */
static mesh_status_t
file_try(mesh_runtime_file_t *file, file_open_t *o)
{
    int            fd;
    mesh_status_t  rc;

    fd = open(o->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd == -1) {
        if (errno == ENOENT) {
            return file_create(file, o, false);
        }

        return file_failed(file, MESH_ERROR, "open of the runtime file");
    }

    rc = file_lock_master(file, fd, o->share);

    if (rc == MESH_OK && !file_same(fd, o->path)) {
        rc = MESH_AGAIN;
    }

    if (rc == MESH_OK) {
        rc = file_adopt(file, fd, o);
    }

    if (rc == MESH_OK) {
        file->fd = fd;
        return MESH_OK;
    }

    if (rc == MESH_DECLINED) {
        rc = file_create(file, o, true);
    }

    (void) close(fd);

    return rc;
}


mesh_status_t
mesh_runtime_open(mesh_runtime_file_t *file, const char *dir,
    const mesh_runtime_sizes_t *sizes, bool share, uint64_t now_ms)
{
    unsigned       tries;
    file_open_t    o;
    mesh_status_t  rc;

    file_init(file);

    o.sizes = sizes;
    o.share = share;
    o.now_ms = now_ms;

    if (mesh_runtime_size(sizes) == 0) {
        errno = EINVAL;
        return file_failed(file, MESH_ERROR, "sizes of the runtime");
    }

    rc = file_path(file, o.path, dir);
    if (rc != MESH_OK) {
        return rc;
    }

    if (mkdir(dir, 0755) == -1 && errno != EEXIST) {
        return file_failed(file, MESH_ERROR, "mkdir of the zone's directory");
    }

    for (tries = 0; tries < FILE_TRIES; tries++) {
        rc = file_try(file, &o);

        if (rc != MESH_AGAIN) {
            return rc;
        }
    }

    errno = EAGAIN;
    return file_failed(file, MESH_BUSY, "open of the runtime file");
}


mesh_status_t
mesh_runtime_open_read(mesh_runtime_file_t *file, const char *dir)
{
    char            path[FILE_PATH_MAX];
    void           *base;
    uint64_t        size;
    struct stat     st;
    mesh_status_t   rc;

    file_init(file);

    rc = file_path(file, path, dir);
    if (rc != MESH_OK) {
        return rc;
    }

    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (file->fd == -1) {
        return file_failed(file, errno == ENOENT ? MESH_DECLINED : MESH_ERROR,
                           "open of the runtime file");
    }

    rc = MESH_CORRUPT;
    size = 0;

    if (fstat(file->fd, &st) == 0) {
        size = (uint64_t) st.st_size;
    }

    if (size >= sizeof(mesh_runtime_head_t)) {
        base = file_map(file->fd, size, PROT_READ);

        if (base != NULL) {
            rc = mesh_runtime_init(&file->rt, base, size, NULL, false, 0);
            file->rt.head = base;
            file->rt.size = size;
        }
    }

    if (rc != MESH_OK) {
        errno = 0;
        (void) file_failed(file, rc, "head of the runtime file");
        mesh_runtime_close(file);
    }

    return rc;
}


void
mesh_runtime_close(mesh_runtime_file_t *file)
{
    if (file->rt.head != NULL && file->rt.worker != MESH_SLOT_NONE) {
        mesh_runtime_reap(&file->rt, file->rt.worker);
        file->rt.worker = MESH_SLOT_NONE;
    }

    file_unmap(file);

    if (file->worker_fd != -1) {
        (void) close(file->worker_fd);
        file->worker_fd = -1;
    }

    if (file->fd != -1) {
        (void) close(file->fd);
        file->fd = -1;
    }
}


bool
mesh_runtime_whole(const mesh_runtime_file_t *file)
{
    struct stat  st;

    return fstat(file->fd, &st) == -1
           || (uint64_t) st.st_size >= file->rt.size;
}


/*
 * A description of its own for this process: a lock on the master's would
 * belong to all workers at once.  A reload with other sizes may have put
 * another file under the name, so the descriptor's own path is the second
 * try.
 */
static int
file_reopen(const mesh_runtime_file_t *file, const char *path)
{
    int   fd;
    char  self[64];

    if (file_same(file->fd, path)) {
        fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

        if (fd != -1) {
            return fd;
        }
    }

    (void) snprintf(self, sizeof(self), "/proc/self/fd/%d", file->fd);

    return open(self, O_RDWR | O_CLOEXEC);
}


static void
file_occupy(mesh_runtime_t *rt, uint32_t slot, uint64_t now_ms)
{
    mesh_worker_slot_t  *worker;

    worker = &rt->workers[slot];

    if (mesh_load_acquire(&worker->state) != MESH_WORKER_FREE) {
        mesh_runtime_reap(rt, slot);
    }

    mesh_store_relaxed(&worker->pid, (uint32_t) getpid());
    mesh_store_relaxed(&worker->adopted_ms, now_ms);
    mesh_store_relaxed(&worker->oldest, (uint16_t) MESH_FORMAT_OLDEST);
    mesh_store_relaxed(&worker->newest, (uint16_t) MESH_FORMAT_VERSION);

    /* Last: a live worker has said all of this. */
    mesh_store_release(&worker->state, MESH_WORKER_LIVE);

    rt->worker = slot;
}


mesh_status_t
mesh_runtime_claim_worker(mesh_runtime_file_t *file, const char *dir,
    uint64_t now_ms)
{
    int             fd;
    char            path[FILE_PATH_MAX];
    uint32_t        i;
    mesh_status_t   rc;

    rc = file_path(file, path, dir);
    if (rc != MESH_OK) {
        return rc;
    }

    if (!mesh_runtime_whole(file)) {
        errno = 0;
        return file_failed(file, MESH_CORRUPT, "size of the runtime file");
    }

    fd = file_reopen(file, path);
    if (fd == -1) {
        return file_failed(file, MESH_ERROR, "open of the runtime file");
    }

    for (i = 0; i < file->rt.sizes.workers; i++) {

        rc = file_lock(fd, F_WRLCK, 1 + i);

        if (rc == MESH_OK) {
            file->worker_fd = fd;
            file_occupy(&file->rt, i, now_ms);
            return MESH_OK;
        }

        if (rc != MESH_BUSY) {
            break;
        }
    }

    (void) file_failed(file, rc, "claim of a worker slot");
    (void) close(fd);

    return rc;
}


unsigned
mesh_runtime_sweep(mesh_runtime_file_t *file)
{
    uint32_t         i;
    unsigned         reaped;
    mesh_runtime_t  *rt;

    rt = &file->rt;
    reaped = 0;

    if (file->worker_fd == -1) {
        return 0;
    }

    for (i = 0; i < rt->sizes.workers; i++) {

        /* One's own lock would be granted again. */

        if (i == rt->worker
            || mesh_load_acquire(&rt->workers[i].state) == MESH_WORKER_FREE
            || file_lock(file->worker_fd, F_WRLCK, 1 + i) != MESH_OK)
        {
            continue;
        }

        if (mesh_load_acquire(&rt->workers[i].state) != MESH_WORKER_FREE) {
            mesh_runtime_reap(rt, i);
            reaped++;
        }

        (void) file_lock(file->worker_fd, F_UNLCK, 1 + i);
    }

    return reaped;
}
