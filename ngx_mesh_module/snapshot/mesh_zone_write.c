/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What only the one writer of a zone does: the lock, the control page, new
 * snapshot files, appending, publishing.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE                     /* F_OFD_SETLK */
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mesh_atomic.h"
#include "mesh_zone_impl.h"


static mesh_status_t
zone_make_dir(const char *path, mode_t mode, mesh_zone_error_t *error)
{
    if (mkdir(path, mode) == -1) {
        return errno == EEXIST ? MESH_OK
                               : mesh_zone_fail(error, "mkdir", errno, path);
    }

    /* whatever the umask says */
    if (chmod(path, mode) == -1) {
        return mesh_zone_fail(error, "chmod", errno, path);
    }

    return MESH_OK;
}


static mesh_status_t
zone_make_dirs(const char *dir, mesh_zone_error_t *error)
{
    char           path[MESH_ZONE_PATH_MAX];
    mesh_status_t  rc;

    rc = zone_make_dir(dir, 0755, error);
    if (rc != MESH_OK) {
        return rc;
    }

    if (mesh_zone_path(path, sizeof(path), dir, MESH_ZONE_KEYS, 0)
        != MESH_OK)
    {
        return mesh_zone_fail(error, "path", ENAMETOOLONG, dir);
    }

    return zone_make_dir(path, 0700, error);
}


/*
 * A lock of the open file description: unlike a process's POSIX lock it is
 * not lost when any other descriptor of the file is closed.  0600, because
 * whoever may open the file could hold the agent off by a lock of his own.
 */
static mesh_status_t
zone_lock(mesh_zone_t *zone, mesh_zone_error_t *error)
{
    struct flock  lock;

    zone->lock_fd = mesh_zone_open_file(zone->dir, MESH_ZONE_LOCK, 0,
                                        O_RDWR | O_CREAT, 0600, error);
    if (zone->lock_fd == -1) {
        return MESH_ERROR;
    }

    memset(&lock, 0, sizeof(lock));
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;

    if (fcntl(zone->lock_fd, F_OFD_SETLK, &lock) == 0) {
        return MESH_OK;
    }

    if (errno == EAGAIN || errno == EACCES) {
        (void) mesh_zone_fail(error, "another agent holds mesh.lock", 0,
                              zone->dir);
        return MESH_BUSY;
    }

    return mesh_zone_fail(error, "lock", errno, zone->dir);
}


/*
 * Written whole rather than truncated to size: a store into a hole of a full
 * tmpfs is a SIGBUS, and a reader sees either no page or one with its magic.
 */
static mesh_status_t
zone_write_control(int fd, const char *dir, mesh_zone_error_t *error)
{
    mesh_status_t  rc;

    union {
        mesh_control_t  control;
        uint8_t         bytes[MESH_CONTROL_SIZE];
    } page;

    memset(&page, 0, sizeof(page));
    memcpy(page.control.magic, MESH_CONTROL_MAGIC,
           sizeof(page.control.magic));
    page.control.version = MESH_FORMAT_VERSION;

    rc = mesh_zone_append(fd, &page, sizeof(page), 0, error);

    return rc == MESH_OK ? rc
                         : mesh_zone_fail(error, "write mesh.ctl", errno, dir);
}


static mesh_status_t
zone_take_control(mesh_zone_t *zone, int fd, mesh_zone_error_t *error)
{
    void          *p;
    struct stat    st;
    mesh_status_t  rc;

    if (fstat(fd, &st) == -1) {
        return mesh_zone_fail(error, "fstat", errno, zone->dir);
    }

    rc = mesh_zone_map_control(fd, PROT_READ | PROT_WRITE, &p);

    if (rc == MESH_DECLINED) {
        return rc;
    }

    if (rc != MESH_OK) {
        return mesh_zone_control_failed(rc, zone->dir, error);
    }

    zone->control = p;
    zone->control_dev = st.st_dev;
    zone->control_ino = st.st_ino;

    return MESH_OK;
}


/*
 * Under a name that is free: workers may still have mapped what was there,
 * and tell by the inode that numbers and offsets begin anew.
 */
static mesh_status_t
zone_create_control(mesh_zone_t *zone, mesh_zone_error_t *error)
{
    int            fd;
    char           path[MESH_ZONE_PATH_MAX];
    mesh_status_t  rc;

    if (mesh_zone_path(path, sizeof(path), zone->dir, MESH_ZONE_CONTROL, 0)
        != MESH_OK)
    {
        return mesh_zone_fail(error, "path", ENAMETOOLONG, zone->dir);
    }

    if (unlink(path) == -1 && errno != ENOENT) {
        return mesh_zone_fail(error, "unlink", errno, path);
    }

    fd = mesh_zone_open_file(zone->dir, MESH_ZONE_CONTROL, 0,
                             O_RDWR | O_CREAT | O_EXCL, 0644, error);
    if (fd == -1) {
        return MESH_ERROR;
    }

    rc = zone_write_control(fd, zone->dir, error);

    if (rc == MESH_OK) {
        rc = zone_take_control(zone, fd, error);
    }

    (void) close(fd);

    return rc;
}


static mesh_status_t
zone_open_control(mesh_zone_t *zone, mesh_zone_error_t *error)
{
    int                 fd;
    mesh_status_t       rc;
    mesh_zone_error_t   ignored;

    if (error == NULL) {
        error = &ignored;
    }

    fd = mesh_zone_open_file(zone->dir, MESH_ZONE_CONTROL, 0, O_RDWR, 0,
                             error);
    if (fd == -1) {
        rc = error->err == ENOENT ? MESH_DECLINED : MESH_ERROR;

    } else {
        rc = zone_take_control(zone, fd, error);
        (void) close(fd);
    }

    return rc == MESH_DECLINED ? zone_create_control(zone, error) : rc;
}


/* One byte, written now, so that ringing later needs no space. */
static mesh_status_t
zone_open_bell(mesh_zone_t *zone, mesh_zone_error_t *error)
{
    zone->bell_fd = mesh_zone_open_file(zone->dir, MESH_ZONE_BELL, 0,
                                        O_RDWR | O_CREAT, 0644, error);
    if (zone->bell_fd == -1) {
        return MESH_ERROR;
    }

    return mesh_zone_append(zone->bell_fd, "", 1, 0, error);
}


mesh_status_t
mesh_zone_open(mesh_zone_t *zone, const char *dir, mesh_zone_error_t *error)
{
    int            n;
    mesh_status_t  rc;

    memset(zone, 0, sizeof(*zone));
    zone->lock_fd = -1;
    zone->bell_fd = -1;

    n = snprintf(zone->dir, sizeof(zone->dir), "%s", dir);
    if (n < 0 || (size_t) n >= sizeof(zone->dir)) {
        return mesh_zone_fail(error, "path", ENAMETOOLONG, dir);
    }

    rc = zone_make_dirs(dir, error);

    if (rc == MESH_OK) {
        rc = zone_lock(zone, error);
    }

    if (rc == MESH_OK) {
        rc = zone_open_bell(zone, error);
    }

    if (rc == MESH_OK) {
        rc = zone_open_control(zone, error);
    }

    if (rc != MESH_OK) {
        mesh_zone_close(zone);
    }

    return rc;
}


void
mesh_zone_close(mesh_zone_t *zone)
{
    mesh_control_unmap(zone->control);
    zone->control = NULL;

    if (zone->bell_fd != -1) {
        (void) close(zone->bell_fd);
        zone->bell_fd = -1;
    }

    if (zone->lock_fd != -1) {
        (void) close(zone->lock_fd);
        zone->lock_fd = -1;
    }
}


static bool
zone_shows(const mesh_zone_t *zone, const char *name, unsigned number,
    uint64_t dev, uint64_t ino)
{
    char         path[MESH_ZONE_PATH_MAX];
    struct stat  st;

    if (mesh_zone_path(path, sizeof(path), zone->dir, name, number) != MESH_OK)
    {
        return false;
    }

    /* What cannot be looked at is not therefore gone. */

    if (stat(path, &st) == -1) {
        return errno != ENOENT && errno != ENOTDIR;
    }

    return st.st_dev == dev && st.st_ino == ino;
}


static bool
zone_shows_fd(const mesh_zone_t *zone, const char *name, unsigned number,
    int fd)
{
    struct stat  st;

    return fstat(fd, &st) == -1
           || zone_shows(zone, name, number, st.st_dev, st.st_ino);
}


bool
mesh_zone_intact(const mesh_zone_t *zone, int snapshot_fd,
    uint32_t file_number)
{
    return zone_shows_fd(zone, MESH_ZONE_LOCK, 0, zone->lock_fd)
           && zone_shows_fd(zone, MESH_ZONE_BELL, 0, zone->bell_fd)
           && zone_shows(zone, MESH_ZONE_CONTROL, 0, zone->control_dev,
                         zone->control_ino)
           && (snapshot_fd == -1
               || zone_shows_fd(zone, MESH_ZONE_SNAPSHOT, file_number,
                                snapshot_fd));
}


int
mesh_zone_create_snapshot(const mesh_zone_t *zone, uint32_t file_number,
    mesh_zone_error_t *error)
{
    return mesh_zone_open_file(zone->dir, MESH_ZONE_SNAPSHOT, file_number,
                               O_RDWR | O_CREAT | O_EXCL, 0644, error);
}


mesh_status_t
mesh_zone_append(int fd, const void *data, uint64_t len, uint64_t offset,
    mesh_zone_error_t *error)
{
    ssize_t         n;
    const uint8_t  *p;

    p = data;

    while (len != 0) {
        n = pwrite(fd, p, len, (off_t) offset);

        if (n == -1 && errno == EINTR) {
            continue;
        }

        if (n <= 0) {
            return mesh_zone_fail(error, "write", n == 0 ? ENOSPC : errno, "");
        }

        p += n;
        len -= (uint64_t) n;
        offset += (uint64_t) n;
    }

    return MESH_OK;
}


void
mesh_zone_ring(const mesh_zone_t *zone)
{
    ssize_t  n;

    do {
        n = pwrite(zone->bell_fd, "", 1, 0);
    } while (n == -1 && errno == EINTR);
}


void
mesh_zone_publish(mesh_zone_t *zone, uint64_t word, uint64_t now_ms)
{
    mesh_store_relaxed(&zone->control->published_ms, now_ms);
    mesh_store_release(&zone->control->word, word);

    /* After the store, so that whoever wakes up sees it. */
    mesh_zone_ring(zone);
}
