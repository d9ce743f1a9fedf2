/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The file of health words, by POSIX calls.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mesh_health.h"
#include "mesh_zone_impl.h"


#define HEALTH_NEW   MESH_ZONE_HEALTH ".new"


static mesh_status_t
health_map(mesh_health_file_t *file, int fd, int prot,
    mesh_zone_error_t *error)
{
    void           *base;
    struct stat     st;
    mesh_status_t   rc;

    if (fstat(fd, &st) == -1) {
        return mesh_zone_fail(error, "stat", errno, MESH_ZONE_HEALTH);
    }

    if (!S_ISREG(st.st_mode)
        || st.st_size < (off_t) sizeof(mesh_health_head_t))
    {
        (void) mesh_zone_fail(error, "too short for health words", 0,
                              MESH_ZONE_HEALTH);
        return MESH_CORRUPT;
    }

    base = mmap(NULL, (size_t) st.st_size, prot, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        return mesh_zone_fail(error, "map", errno, MESH_ZONE_HEALTH);
    }

    rc = mesh_health_init(&file->health, base, (uint64_t) st.st_size);

    if (rc != MESH_OK) {
        (void) munmap(base, (size_t) st.st_size);
        (void) mesh_zone_fail(error, rc == MESH_VERSION
                              ? "another version of health words"
                              : "not a file of health words", 0,
                              MESH_ZONE_HEALTH);
        return rc;
    }

    file->base = base;
    file->size = (uint64_t) st.st_size;
    file->dev = (uint64_t) st.st_dev;
    file->ino = (uint64_t) st.st_ino;

    return MESH_OK;
}


static mesh_status_t
health_open(mesh_health_file_t *file, const char *dir, bool write,
    mesh_zone_error_t *error)
{
    int                 fd;
    mesh_status_t       rc;
    mesh_zone_error_t   ignored;

    if (error == NULL) {
        error = &ignored;
    }

    memset(file, 0, sizeof(mesh_health_file_t));

    /* Not blocking: nothing but a plain file is waited for. */
    fd = mesh_zone_open_file(dir, MESH_ZONE_HEALTH, 0,
                             (write ? O_RDWR : O_RDONLY) | O_NONBLOCK, 0,
                             error);
    if (fd == -1) {
        return error->err == ENOENT ? MESH_DECLINED : MESH_ERROR;
    }

    rc = health_map(file, fd, write ? PROT_READ | PROT_WRITE : PROT_READ,
                    error);
    (void) close(fd);

    return rc;
}


mesh_status_t
mesh_health_open(mesh_health_file_t *file, const char *dir,
    mesh_zone_error_t *error)
{
    return health_open(file, dir, false, error);
}


bool
mesh_health_current(const mesh_health_file_t *file, const char *dir)
{
    char         path[MESH_ZONE_PATH_MAX];
    struct stat  st;

    return file->base != NULL
           && mesh_zone_path(path, sizeof(path), dir, MESH_ZONE_HEALTH, 0)
              == MESH_OK
           && lstat(path, &st) == 0
           && (uint64_t) st.st_dev == file->dev
           && (uint64_t) st.st_ino == file->ino;
}


/* Every byte is written: a load from a hole of a full tmpfs is a SIGBUS. */
static mesh_status_t
health_write(int fd, uint32_t endpoints, const mesh_health_t *from,
    uint64_t epoch, mesh_zone_error_t *error)
{
    uint64_t        at, end, kept;
    mesh_status_t   rc;

    union {
        mesh_health_head_t  head;
        uint8_t             zeroes[4096];
    } page;

    mesh_health_head(&page.head, endpoints, epoch);
    kept = 0;

    if (from->head != NULL) {
        memcpy(page.head.epochs, from->head->epochs,
               sizeof(page.head.epochs));
        page.head.changes = from->head->changes;
        kept = (uint64_t) from->endpoints * 8;
    }

    at = sizeof(page.head);
    end = mesh_health_size(endpoints);

    rc = mesh_zone_append(fd, &page.head, at, 0, error);

    if (rc == MESH_OK && kept != 0) {
        rc = mesh_zone_append(fd, from->words, kept, at, error);
    }

    memset(&page, 0, sizeof(page));

    for (at += kept; rc == MESH_OK && at < end; at += sizeof(page)) {
        rc = mesh_zone_append(fd, page.zeroes,
                              mesh_min(end - at, sizeof(page)), at, error);
    }

    return rc;
}


static mesh_status_t
health_create(mesh_health_file_t *file, const char *dir, uint32_t endpoints,
    const mesh_health_t *from, uint64_t epoch, mesh_zone_error_t *error)
{
    int            fd;
    char           path[MESH_ZONE_PATH_MAX], made[MESH_ZONE_PATH_MAX];
    mesh_status_t  rc;

    if (mesh_zone_path(path, sizeof(path), dir, MESH_ZONE_HEALTH, 0)
        != MESH_OK
        || mesh_zone_path(made, sizeof(made), dir, HEALTH_NEW, 0) != MESH_OK)
    {
        return mesh_zone_fail(error, "path", ENAMETOOLONG, dir);
    }

    fd = mesh_zone_open_file(dir, HEALTH_NEW, 0, O_RDWR | O_CREAT | O_TRUNC,
                             0644, error);
    if (fd == -1) {
        return MESH_ERROR;
    }

    rc = health_write(fd, endpoints, from, epoch, error);

    if (rc == MESH_OK && rename(made, path) == -1) {
        rc = mesh_zone_fail(error, "rename", errno, made);
    }

    if (rc == MESH_OK) {
        rc = health_map(file, fd, PROT_READ | PROT_WRITE, error);

    } else {
        (void) unlink(made);
    }

    (void) close(fd);

    return rc;
}


mesh_status_t
mesh_health_make(mesh_health_file_t *file, const char *dir,
    uint32_t endpoints, uint64_t epoch, mesh_zone_error_t *error)
{
    uint32_t            words;
    mesh_status_t       rc;
    mesh_health_file_t  old;

    memset(file, 0, sizeof(mesh_health_file_t));

    words = mesh_max(endpoints, MESH_HEALTH_WORDS);

    if (mesh_health_size(words) == 0) {
        return mesh_zone_fail(error, "too many health words", 0, dir);
    }

    rc = health_open(&old, dir, true, error);

    if (rc == MESH_ERROR) {
        /* It may be right: its words are not to be lost. */
        return rc;
    }

    if (rc == MESH_OK && old.health.endpoints >= endpoints) {
        *file = old;
        return MESH_OK;
    }

    if (rc == MESH_OK) {
        words = mesh_max(words, mesh_min(old.health.endpoints,
                                         MESH_HEALTH_WORDS_MAX / 2) * 2);
    }

    /* In steps, and not one by one, as slots come. */
    rc = health_create(file, dir, words, &old.health, epoch, error);
    mesh_health_close(&old);

    return rc;
}


void
mesh_health_close(mesh_health_file_t *file)
{
    if (file->base != NULL) {
        (void) munmap(file->base, file->size);
    }

    memset(file, 0, sizeof(mesh_health_file_t));
}
