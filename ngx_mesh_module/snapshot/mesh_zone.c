/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The files of a zone's directory, by POSIX calls: names, reading.  What only
 * the agent does is in mesh_zone_write.c.
 *
 * A file on tmpfs has holes behind its end of writing, and reading a hole
 * allocates it: a mapping covers the whole capacity, but no byte past what
 * fstat says is ever read.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE                     /* F_OFD_SETLK, MADV_DONTDUMP, memfd */
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mesh_zone_impl.h"


_Static_assert(sizeof(mesh_control_t) <= MESH_CONTROL_SIZE, "layout");


mesh_status_t
mesh_zone_fail(mesh_zone_error_t *error, const char *what, int err,
    const char *path)
{
    if (error != NULL) {
        error->what = what;
        error->err = err;
        error->version = 0;
        (void) snprintf(error->path, sizeof(error->path), "%s", path);
    }

    return err == ENOSPC || err == EDQUOT ? MESH_NO_SPACE : MESH_ERROR;
}


mesh_status_t
mesh_zone_path(char *out, size_t size, const char *dir, const char *name,
    unsigned number)
{
    int          n;
    const char  *mark;

    mark = strstr(name, "%u");

    if (mark == NULL) {
        n = snprintf(out, size, "%s/%s", dir, name);

    } else {
        n = snprintf(out, size, "%s/%.*s%u%s", dir, (int) (mark - name), name,
                     number, mark + 2);
    }

    return n < 0 || (size_t) n >= size ? MESH_ERROR : MESH_OK;
}


int
mesh_zone_open_file(const char *dir, const char *name, unsigned number,
    int flags, mode_t mode, mesh_zone_error_t *error)
{
    int   fd;
    char  path[MESH_ZONE_PATH_MAX];

    if (mesh_zone_path(path, sizeof(path), dir, name, number) != MESH_OK) {
        (void) mesh_zone_fail(error, "path", ENAMETOOLONG, dir);
        return -1;
    }

    /* a FIFO in a file's place would wait for its other end */
    fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode);
    if (fd == -1) {
        (void) mesh_zone_fail(error, "open", errno, path);
        return -1;
    }

    /* whatever the umask says: workers run as another user */
    if ((flags & O_CREAT) && fchmod(fd, mode) == -1) {
        (void) mesh_zone_fail(error, "fchmod", errno, path);
        (void) close(fd);
        return -1;
    }

    return fd;
}


/* --- the control page --------------------------------------------------- */

mesh_status_t
mesh_zone_map_control(int fd, int prot, void **out)
{
    void            *p;
    struct stat      st;
    mesh_control_t  *control;

    if (fstat(fd, &st) == -1) {
        return MESH_ERROR;
    }

    if (st.st_size < MESH_CONTROL_SIZE) {
        return MESH_DECLINED;
    }

    p = mmap(NULL, MESH_CONTROL_SIZE, prot, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        return MESH_ERROR;
    }

    control = p;
    *out = p;

    if (memcmp(control->magic, MESH_CONTROL_MAGIC, sizeof(control->magic))
        == 0)
    {
        if (mesh_format_reads(control->version)) {
            return MESH_OK;
        }

        (void) munmap(p, MESH_CONTROL_SIZE);
        return MESH_VERSION;
    }

    (void) munmap(p, MESH_CONTROL_SIZE);
    return MESH_CORRUPT;
}


mesh_status_t
mesh_zone_control_failed(mesh_status_t rc, const char *dir,
    mesh_zone_error_t *error)
{
    switch (rc) {
    case MESH_CORRUPT:
        (void) mesh_zone_fail(error, "mesh.ctl is not a control page", 0, dir);
        return rc;
    case MESH_VERSION:
        (void) mesh_zone_fail(error, "mesh.ctl is of a format version that "
                              "this build does not read", 0, dir);
        return rc;
    default:
        return mesh_zone_fail(error, "map mesh.ctl", errno, dir);
    }
}


mesh_status_t
mesh_control_map(const char *dir, const mesh_control_t **control,
    mesh_zone_error_t *error)
{
    int                 fd;
    void               *p;
    mesh_status_t       rc;
    mesh_zone_error_t   ignored;

    if (error == NULL) {
        error = &ignored;
    }

    fd = mesh_zone_open_file(dir, MESH_ZONE_CONTROL, 0, O_RDONLY, 0, error);
    if (fd == -1) {
        return error->err == ENOENT ? MESH_DECLINED : MESH_ERROR;
    }

    rc = mesh_zone_map_control(fd, PROT_READ, &p);

    if (rc == MESH_OK) {
        *control = p;

    } else if (rc != MESH_DECLINED) {
        rc = mesh_zone_control_failed(rc, dir, error);
    }

    (void) close(fd);

    return rc;
}


void
mesh_control_unmap(const mesh_control_t *control)
{
    if (control != NULL) {
        (void) munmap((void *) (uintptr_t) control, MESH_CONTROL_SIZE);
    }
}


/* --- mapping snapshots --------------------------------------------------- */

static void
mapping_free(mesh_mapping_t *m)
{
    mesh_snapshot_t  *s = &m->snapshot;

    if (s->base != NULL) {
        (void) munmap((void *) (uintptr_t) s->base, s->capacity);
    }

    if (s->starts != NULL) {
        (void) munmap(s->starts, mesh_snapshot_starts_size(s->capacity));
    }

    if (m->fd != -1) {
        (void) close(m->fd);
    }

    free(m);
}


/*
 * The capacity is in the head, which is read before anything is mapped:
 * the mapping is made once and never moves.  Both mappings are address space
 * until bytes are touched.
 */
static const char *
mapping_map(mesh_mapping_t *m, uint64_t capacity)
{
    void             *base, *starts;
    size_t            starts_size;
    mesh_snapshot_t  *s = &m->snapshot;

    starts_size = mesh_snapshot_starts_size(capacity);
    s->capacity = capacity;

    base = mmap(NULL, capacity, PROT_READ, MAP_SHARED, m->fd, 0);
    if (base == MAP_FAILED) {
        return "map";
    }

    s->base = base;

    starts = mmap(NULL, starts_size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (starts == MAP_FAILED) {
        return "map memory";
    }

    s->starts = starts;

    (void) madvise(base, capacity, MADV_DONTDUMP);
    (void) madvise(starts, starts_size, MADV_DONTDUMP);

    return NULL;
}


static const char *
mapping_begin(mesh_mapping_t *m, int *err, uint32_t *version)
{
    ssize_t            n;
    const char        *what;
    struct stat        st;
    mesh_status_t      rc;
    mesh_snapshot_t    s;
    mesh_file_head_t   head;

    n = pread(m->fd, &head, sizeof(head), 0);

    if (n == -1 || fstat(m->fd, &st) == -1) {
        *err = errno;
        return "read";
    }

    *err = 0;

    rc = mesh_snapshot_init(&s, &head, UINT64_MAX, (uint64_t) n, NULL);

    if (rc != MESH_OK) {
        *version = (rc == MESH_VERSION) ? head.version : 0;
        return s.error.reason;
    }

    what = mapping_map(m, s.capacity);
    if (what != NULL) {
        *err = errno;
        return what;
    }

    (void) mesh_snapshot_init(&m->snapshot, m->snapshot.base, s.capacity,
                              mesh_min((uint64_t) st.st_size, s.capacity),
                              m->snapshot.starts);

    /* The head was there a moment ago: a file only grows. */
    return m->snapshot.error.reason;
}


static mesh_mapping_t *
mapping_open(int fd, const char *path, mesh_zone_error_t *error)
{
    int              err;
    uint32_t         version;
    const char      *what;
    mesh_mapping_t  *m;

    m = calloc(1, sizeof(*m));
    if (m == NULL) {
        (void) mesh_zone_fail(error, "allocate", ENOMEM, path);
        (void) close(fd);
        return NULL;
    }

    m->fd = fd;
    m->refs = 1;

    version = 0;
    what = mapping_begin(m, &err, &version);

    if (what != NULL) {
        (void) mesh_zone_fail(error, what, err, path);

        if (error != NULL) {
            error->version = version;
        }

        mapping_free(m);
        return NULL;
    }

    return m;
}


mesh_mapping_t *
mesh_mapping_open(const char *dir, uint32_t file_number,
    mesh_zone_error_t *error)
{
    int              fd;
    char             path[MESH_ZONE_PATH_MAX];
    mesh_mapping_t  *m;

    fd = mesh_zone_open_file(dir, MESH_ZONE_SNAPSHOT, file_number, O_RDONLY, 0,
                             error);
    if (fd == -1) {
        return NULL;
    }

    (void) mesh_zone_path(path, sizeof(path), dir, MESH_ZONE_SNAPSHOT,
                          file_number);

    m = mapping_open(fd, path, error);

    if (m != NULL && m->snapshot.file_number != file_number) {
        (void) mesh_zone_fail(error, "the head says another file number", 0,
                              path);
        mapping_free(m);
        return NULL;
    }

    return m;
}


/* A file without a name that has what is in `from`; -1 with *what, errno. */
static int
mapping_copy(int from, const char **what)
{
    int          fd, err;
    ssize_t      n;
    struct stat  st;

    *what = "read";

    if (fstat(from, &st) == -1) {
        return -1;
    }

    if (!S_ISREG(st.st_mode)) {
        *what = "not a file";
        errno = 0;
        return -1;
    }

    *what = "copy";

    fd = memfd_create(MESH_ZONE_SNAPSHOT, MFD_CLOEXEC);
    if (fd == -1) {
        return -1;
    }

    do {
        n = sendfile(fd, from, NULL, 1 << 30);
    } while (n > 0);

    if (n == -1) {
        err = errno;
        (void) close(fd);
        errno = err;
        return -1;
    }

    return fd;
}


mesh_mapping_t *
mesh_mapping_open_path(const char *path, mesh_zone_error_t *error)
{
    int          fd, copy;
    const char  *what;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd == -1) {
        (void) mesh_zone_fail(error, "open", errno, path);
        return NULL;
    }

    copy = mapping_copy(fd, &what);

    if (copy == -1) {
        (void) mesh_zone_fail(error, what, errno, path);
    }

    (void) close(fd);

    return copy == -1 ? NULL : mapping_open(copy, path, error);
}


mesh_mapping_t *
mesh_mapping_again(const mesh_mapping_t *m, mesh_zone_error_t *error)
{
    int  fd;

    fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
    if (fd == -1) {
        (void) mesh_zone_fail(error, "duplicate", errno, "");
        return NULL;
    }

    return mapping_open(fd, "", error);
}


void
mesh_mapping_unref(mesh_mapping_t *m)
{
    if (m != NULL && --m->refs == 0) {
        mapping_free(m);
    }
}


static mesh_status_t
mapping_refuse(mesh_mapping_t *m, mesh_ref_t ref, const char *reason)
{
    m->snapshot.error.offset = (uint64_t) ref << 3;
    m->snapshot.error.kind = MESH_KIND_ROOT;
    m->snapshot.error.field = NULL;
    m->snapshot.error.reason = reason;

    return MESH_CORRUPT;
}


mesh_status_t
mesh_mapping_adopt(mesh_mapping_t *m, mesh_ref_t ref, uint64_t budget)
{
    uint64_t          end, size;
    struct stat       st;
    mesh_status_t     rc;
    mesh_snapshot_t  *s = &m->snapshot;

    if (fstat(m->fd, &st) == -1) {
        return MESH_ERROR;
    }

    size = mesh_min((uint64_t) st.st_size, s->capacity);

    end = mesh_snapshot_root_end(s->base, size, ref);
    if (end == 0) {
        return mapping_refuse(m, ref, "no root is there");
    }

    rc = mesh_snapshot_verify(s, end, budget);
    if (rc != MESH_OK) {
        return rc;
    }

    if (mesh_snapshot_root(s, ref) == NULL) {
        return mapping_refuse(m, ref, "no record starts there");
    }

    return MESH_OK;
}
