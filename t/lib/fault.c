/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The wrappers; see fault.h.
 */

#include "fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static _Thread_local fault_t *armed;
static _Thread_local unsigned calls;

bool fault_again(fault_t *fault) {
    if (fault->at != 0 && !fault->hit) {
        return false;
    }
    fault->at++;
    fault->hit = false;
    fault->what = NULL;
    return true;
}

void fault_begin(fault_t *fault) {
    calls = 0;
    armed = fault;
}

void fault_end(void) {
    armed = NULL;
}

/* What the dying process has covered is written down, too. */
extern void __gcov_dump(void) __attribute__((weak));

static void dump_coverage(void) {
    if (__gcov_dump != NULL) {
        armed = NULL;
        __gcov_dump();
    }
}

static _Noreturn void die(void) {
    dump_coverage();
    _exit(FAULT_DEAD);
}

/* true, with errno: this call is the one. */
static bool fails(unsigned kind, const char *what) {
    if (armed == NULL || (armed->kinds & kind) == 0 || ++calls < armed->at ||
        (calls > armed->at && !armed->sticky)) {
        return false;
    }
    if (armed->die) {
        die();
    }
    armed->what = armed->hit ? armed->what : what;
    armed->hit = true;
    errno = armed->err ? armed->err : kind == FAULT_MEMORY ? ENOMEM : EIO;
    return true;
}

/* --wrap makes a call of f one of __wrap_f(), and __real_f() the real f(). */
#define wrap(kind, failed, type, name, params, args)                           \
    type __real_##name params;                                                 \
    type __wrap_##name params;                                                 \
    type __wrap_##name params {                                                \
        return fails(kind, #name) ? (failed) : __real_##name args;             \
    }

/* clang-format off */
wrap(FAULT_MEMORY, NULL, void *, malloc, (size_t size), (size))
wrap(FAULT_MEMORY, NULL, void *, calloc, (size_t n, size_t size), (n, size))
wrap(FAULT_MEMORY, NULL, void *, realloc, (void *p, size_t size), (p, size))
wrap(FAULT_MEMORY, NULL, char *, strdup, (const char *s), (s))
wrap(FAULT_MEMORY, NULL, char *, strndup, (const char *s, size_t n), (s, n))

wrap(FAULT_OPEN, -1, int, mkostemp, (char *path, int flags), (path, flags))
wrap(FAULT_OPEN, NULL, DIR *, opendir, (const char *path), (path))
wrap(FAULT_READ, NULL, struct dirent *, readdir, (DIR *dir), (dir))
wrap(FAULT_WATCH, -1, int, inotify_init1, (int flags), (flags))
wrap(FAULT_WATCH, -1, int, inotify_add_watch,
     (int fd, const char *path, uint32_t mask), (fd, path, mask))
wrap(FAULT_OPEN, -1, int, mkdir, (const char *path, mode_t mode), (path, mode))

wrap(FAULT_OPEN, -1, int, memfd_create, (const char *name, unsigned flags),
     (name, flags))
wrap(FAULT_WRITE, -1, int, ftruncate, (int fd, off_t size), (fd, size))
wrap(FAULT_WRITE, -1, ssize_t, sendfile,
     (int to, int from, off_t *at, size_t n), (to, from, at, n))

wrap(FAULT_NAME, -1, int, rename, (const char *a, const char *b), (a, b))
wrap(FAULT_NAME, -1, int, link, (const char *a, const char *b), (a, b))
wrap(FAULT_NAME, -1, int, unlink, (const char *path), (path))
wrap(FAULT_NAME, -1, int, chmod, (const char *path, mode_t mode), (path, mode))
wrap(FAULT_NAME, -1, int, fchmod, (int fd, mode_t mode), (fd, mode))

wrap(FAULT_STAT, -1, int, stat, (const char *path, struct stat *st), (path, st))
wrap(FAULT_STAT, -1, int, fstat, (int fd, struct stat *st), (fd, st))
wrap(FAULT_STAT, -1, int, fstatvfs, (int fd, struct statvfs *fs), (fd, fs))

wrap(FAULT_READ, -1, ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))
wrap(FAULT_READ, -1, ssize_t, pread, (int fd, void *p, size_t n, off_t at),
     (fd, p, n, at))

wrap(FAULT_MAP, MAP_FAILED, void *, mmap,
     (void *p, size_t size, int prot, int flags, int fd, off_t at),
     (p, size, prot, flags, fd, at))

wrap(FAULT_DIGEST, NULL, EVP_MD_CTX *, EVP_MD_CTX_new, (void), ())
wrap(FAULT_DIGEST, NULL, EVP_MD *, EVP_MD_fetch,
     (OSSL_LIB_CTX *ctx, const char *name, const char *query),
     (ctx, name, query))
wrap(FAULT_DIGEST, 0, int, EVP_DigestInit_ex2,
     (EVP_MD_CTX *ctx, const EVP_MD *md, const OSSL_PARAM *params),
     (ctx, md, params))
wrap(FAULT_DIGEST, 0, int, EVP_DigestUpdate,
     (EVP_MD_CTX *ctx, const void *p, size_t n), (ctx, p, n))
wrap(FAULT_DIGEST, 0, int, EVP_DigestFinal_ex,
     (EVP_MD_CTX *ctx, unsigned char *sum, unsigned *n), (ctx, sum, n))
    /* clang-format on */

    int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
    va_list args;

    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fails(FAULT_OPEN, "open") ? -1 : __real_open(path, flags, mode);
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...) {
    va_list args;

    va_start(args, command);
    void *arg = va_arg(args, void *);
    va_end(args);
    return fails(FAULT_LOCK, "fcntl") ? -1 : __real_fcntl(fd, command, arg);
}

/* No test's machine loses its power, and disks are slow. */
int __wrap_fsync(int fd);
int __wrap_fsync(int fd) {
    (void)fd;
    return fails(FAULT_WRITE, "fsync") ? -1 : 0;
}

/*
 * With `partly` a failing write takes half of its bytes, and the next one,
 * for the rest, is the one that fails.
 */
static bool takes_half(size_t n) {
    if (!armed->partly || n < 2) {
        return false;
    }
    armed->hit = false;
    armed->at++;
    armed->partly = false;
    return true;
}

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n) {
    if (!fails(FAULT_WRITE, "write")) {
        return __real_write(fd, p, n);
    }
    return takes_half(n) ? __real_write(fd, p, n / 2) : -1;
}

ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at) {
    if (!fails(FAULT_WRITE, "pwrite")) {
        return __real_pwrite(fd, p, n, at);
    }
    return takes_half(n) ? __real_pwrite(fd, p, n / 2, at) : -1;
}

_Noreturn void __real_abort(void);
_Noreturn void __wrap_abort(void);
_Noreturn void __wrap_abort(void) {
    dump_coverage();
    __real_abort();
}
