/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reading a whole file of bounded size; making directories.
 */

#include "agent_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads to the end: the size from fstat() is a hint, a pipe has none. */
bool agent_file_read_fd(arena_t *arena, int fd, uint64_t max, size_t hint,
                        mesh_str_t *text) {
    size_t size = hint + 4096;
    char *buffer = arena_alloc(arena, size);
    size_t len = 0;

    for (;;) {
        if (len + 1 >= size) {
            char *larger = arena_alloc(arena, size * 2);
            memcpy(larger, buffer, len);
            buffer = larger;
            size *= 2;
        }
        ssize_t n = read(fd, buffer + len, size - len - 1);
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n == -1) {
            return false;
        }
        if (n == 0) {
            break;
        }
        len += (size_t)n;
        if (len > max) {
            errno = EFBIG;
            return false;
        }
    }
    buffer[len] = '\0';
    *text = (mesh_str_t){len, buffer};
    return true;
}

bool agent_file_read(arena_t *arena, const char *path, uint64_t max,
                     mesh_str_t *text) {
    /* Non-blocking, so that a FIFO in place of a file cannot stop us. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd == -1) {
        return false;
    }
    struct stat st;
    bool ok = false;
    if (fstat(fd, &st) == 0) {
        if (S_ISDIR(st.st_mode)) {
            errno = EISDIR;
        } else if (!S_ISREG(st.st_mode)) {
            errno = EINVAL;
        } else if ((uint64_t)st.st_size > max) {
            errno = EFBIG;
        } else {
            ok = agent_file_read_fd(arena, fd, max, (size_t)st.st_size, text);
        }
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return ok;
}

bool agent_file_read_input(arena_t *arena, const char *path, uint64_t max,
                           mesh_str_t *text) {
    if (strcmp(path, "-") == 0) {
        return agent_file_read_fd(arena, STDIN_FILENO, max, 0, text);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd == -1) {
        return false;
    }
    bool ok = agent_file_read_fd(arena, fd, max, 0, text);
    int saved = errno;
    close(fd);
    errno = saved;
    return ok;
}

bool agent_make_dir(const char *path, mode_t mode) {
    if (mkdir(path, mode) != 0) {
        return errno == EEXIST;
    }
    return chmod(path, mode) == 0;
}
