/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Kept texts of parts; see agent_kept.h.
 */

#include "agent_kept.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "agent_file.h"
#include "agent_log.h"
#include "source.h"

#define DIRECTORY "parts"
#define SUFFIX ".part"
#define PATH_SIZE 4096
#define LINE_MAX_SIZE 8192 /* of the first line; a longer name is cut */

/* false: the path is too long. */
static bool path_of(char out[PATH_SIZE], const char *state, const char *part,
                    const char *suffix) {
    char name[SOURCE_VERSION_SIZE];

    source_version(mesh_str_from(part), name);
    int n =
        snprintf(out, PATH_SIZE, "%s/" DIRECTORY "/%s%s", state, name, suffix);
    if (n < 0 || n >= PATH_SIZE) {
        errno = ENAMETOOLONG;
        return false;
    }
    return true;
}

static void make_directories(const char *state) {
    char path[PATH_SIZE];

    (void)agent_make_dir(state, 0755);
    if (snprintf(path, sizeof(path), "%s/" DIRECTORY, state) < PATH_SIZE) {
        (void)agent_make_dir(path, 0700);
    }
}

/* Is the version of what is kept that one? */
static bool is_kept(const char *path, mesh_str_t version) {
    char line[SOURCE_VERSION_SIZE];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd == -1) {
        return false;
    }
    ssize_t n = read(fd, line, sizeof(line));
    close(fd);
    return n == (ssize_t)sizeof(line) && version.len == sizeof(line) - 1 &&
           memcmp(line, version.data, version.len) == 0;
}

static size_t first_line(char line[LINE_MAX_SIZE], const model_part_t *part) {
    int n = snprintf(line, LINE_MAX_SIZE - 1, "%s %s", part->version.data,
                     part->name);
    size_t len = mesh_min((size_t)n, LINE_MAX_SIZE - 2);

    for (size_t i = 0; i < len; i++) {
        line[i] = line[i] == '\n' ? '?' : line[i];
    }
    line[len] = '\n';
    return len + 1;
}

static bool write_text(int fd, const model_part_t *part) {
    char line[LINE_MAX_SIZE];
    struct iovec v[2] = {
        {line, first_line(line, part)},
        {(char *)(uintptr_t)part->text.data, part->text.len},
    };
    size_t left = v[0].iov_len + v[1].iov_len;

    while (left > 0) {
        ssize_t n = writev(fd, v, 2);
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        left -= (size_t)n;
        for (size_t i = 0, done = (size_t)n; i < 2; i++) {
            size_t step = mesh_min(done, v[i].iov_len);
            v[i].iov_base = (char *)v[i].iov_base + step;
            v[i].iov_len -= step;
            done -= step;
        }
    }
    return true;
}

bool agent_kept_write(const char *state, const model_part_t *part) {
    char path[PATH_SIZE];
    char made[PATH_SIZE];

    if (!path_of(path, state, part->name, SUFFIX) ||
        !path_of(made, state, part->name, ".new")) {
        return false;
    }
    if (is_kept(path, part->version)) {
        return true;
    }
    make_directories(state);
    int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd != -1 && write_text(fd, part) && rename(made, path) == 0;
    int saved = errno;
    if (fd != -1) {
        close(fd);
    }
    if (!ok) {
        (void)unlink(made);
    }
    errno = saved;
    return ok;
}

void agent_kept_remove(const char *state, const char *part) {
    char path[PATH_SIZE];

    if (path_of(path, state, part, SUFFIX)) {
        (void)unlink(path);
    }
}

/* The text behind the first line, if it is what that line says. */
static bool take_text(mesh_str_t all, const char *version, mesh_str_t *text,
                      char *error, size_t size) {
    char digest[SOURCE_VERSION_SIZE];
    const char *end = all.len ? memchr(all.data, '\n', all.len) : NULL;

    if (end == NULL) {
        snprintf(error, size, "its kept copy is not whole");
        return false;
    }
    *text = (mesh_str_t){all.len - (size_t)(end + 1 - all.data), end + 1};
    source_version(*text, digest);
    if (!mesh_str_starts(all, mesh_str_from(digest))) {
        snprintf(error, size, "its kept copy is not whole");
        return false;
    }
    if (version != NULL && strcmp(digest, version) != 0) {
        snprintf(error, size, "its kept copy is of another version");
        return false;
    }
    return true;
}

/* `arena` holds the text, and is the bundle's then. */
static source_bundle_t *decode(arena_t *arena, const char *part,
                               mesh_str_t text, char *error, size_t size) {
    arena_t *scratch = arena_new();
    model_errors_t errors;
    source_bundle_t *bundle = NULL;

    model_errors_init(&errors, scratch);
    model_part_t *decoded =
        source_decode(arena, arena_strdup(arena, part), text,
                      source_is_json(part), agent_unix_ms(), &errors);
    if (decoded != NULL) {
        bundle = source_bundle_of(decoded);
    } else {
        snprintf(error, size, "its kept copy is refused by this agent");
    }
    arena_free(scratch);
    return bundle;
}

source_bundle_t *agent_kept_read(const char *state, const char *part,
                                 const char *version, char *error,
                                 size_t size) {
    char path[PATH_SIZE];
    arena_t *arena = arena_new();
    mesh_str_t all, text;
    source_bundle_t *bundle = NULL;

    if (!path_of(path, state, part, SUFFIX) ||
        !agent_file_read(arena, path, MODEL_FILE_MAX + LINE_MAX_SIZE, &all)) {
        snprintf(error, size, "its kept copy: %s", strerror(errno));
    } else if (take_text(all, version, &text, error, size)) {
        bundle = decode(arena, part, text, error, size);
    }
    if (bundle == NULL) {
        arena_free(arena);
    }
    return bundle;
}

/* --- listing -------------------------------------------------------------- */

/*
 * The first line of a file, whose name is made of the part's: one that was
 * cut, or is another file's, does not fit.
 */
static bool take_line(int fd, const char *file, char line[LINE_MAX_SIZE]) {
    char digest[SOURCE_VERSION_SIZE];
    ssize_t n = read(fd, line, LINE_MAX_SIZE);
    char *end = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;
    const size_t len = sizeof(digest) - 1;

    if (end == NULL || (size_t)(end - line) <= len || line[len] != ' ') {
        return false;
    }
    *end = '\0';
    line[len] = '\0';
    source_version(mesh_str_from(line + len + 1), digest);
    return strncmp(file, digest, len) == 0 && strcmp(file + len, SUFFIX) == 0;
}

void agent_kept_each(const char *state, agent_kept_pt each, void *ctx) {
    char path[PATH_SIZE];
    char line[LINE_MAX_SIZE];
    const struct dirent *entry;

    (void)snprintf(path, sizeof(path), "%s/" DIRECTORY, state);
    DIR *dir = opendir(path);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        int fd = entry->d_name[0] == '.'
                     ? -1
                     : openat(dirfd(dir), entry->d_name,
                              O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd == -1) {
            continue;
        }
        if (take_line(fd, entry->d_name, line)) {
            each(ctx, line + SOURCE_VERSION_SIZE, line);
        }
        close(fd);
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

/* --- sweeping ------------------------------------------------------------- */

static int by_text(const void *a, const void *b) {
    return strcmp(a, b);
}

static bool is_wanted(const char *file, const char *names, uint32_t count) {
    char name[SOURCE_VERSION_SIZE];
    size_t len = sizeof(name) - 1;

    if (strlen(file) != len + strlen(SUFFIX) ||
        strcmp(file + len, SUFFIX) != 0) {
        return false;
    }
    memcpy(name, file, len);
    name[len] = '\0';
    return bsearch(name, names, count, sizeof(name), by_text) != NULL;
}

void agent_kept_sweep(const char *state, const char *const *parts,
                      uint32_t count) {
    char path[PATH_SIZE];
    const struct dirent *entry;
    char *names = malloc((size_t)count * SOURCE_VERSION_SIZE + 1);

    (void)snprintf(path, sizeof(path), "%s/" DIRECTORY, state);
    DIR *dir = names != NULL ? opendir(path) : NULL;
    for (uint32_t i = 0; dir != NULL && i < count; i++) {
        source_version(mesh_str_from(parts[i]),
                       names + (size_t)i * SOURCE_VERSION_SIZE);
    }
    if (dir != NULL) {
        qsort(names, count, SOURCE_VERSION_SIZE, by_text);
    }
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.' &&
            !is_wanted(entry->d_name, names, count)) {
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    free(names);
}
