/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Watching paths, links included; see source_watch.h.
 */

#include "source_watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define WATCH_MASK                                                             \
    (IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE |          \
     IN_MOVED_FROM | IN_MOVED_TO | IN_MOVE_SELF | IN_DELETE_SELF | IN_ONLYDIR)

/* As the kernel's own limit (path_resolution(7)). */
#define LINKS_MAX 40

typedef struct {
    int wd;
    uint32_t round;
} watched_t;

typedef struct {
    int wd;
    uint64_t since_ms;
    char name[256];
} writing_t;

struct source_watch_s {
    int fd;
    uint32_t round;
    bool blind;
    uint32_t nwatched;
    uint32_t nwriting;
    watched_t watched[SOURCE_WATCHES_MAX];
    writing_t writing[SOURCE_WRITING_MAX];
};

/* A path being walked: `at` is resolved, `rest` is not yet. */
typedef struct {
    char at[PATH_MAX];
    char rest[2 * PATH_MAX];
    int links;
} walk_t;

source_watch_t *source_watch_new(void) {
    source_watch_t *watch = calloc(1, sizeof(*watch));

    if (watch == NULL) {
        return NULL;
    }
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->fd == -1) {
        int saved = errno;
        free(watch);
        errno = saved;
        return NULL;
    }
    return watch;
}

void source_watch_free(source_watch_t *watch) {
    if (watch != NULL) {
        close(watch->fd);
        free(watch);
    }
}

int source_watch_fd(const source_watch_t *watch) {
    return watch->fd;
}

unsigned source_watch_count(const source_watch_t *watch) {
    return watch->nwatched;
}

void source_watch_begin(source_watch_t *watch) {
    watch->round++;
    watch->blind = false;
}

bool source_watch_blind(const source_watch_t *watch) {
    return watch->blind;
}

static int watch_add(source_watch_t *watch, const char *dir) {
    int wd = inotify_add_watch(watch->fd, dir, WATCH_MASK);

    if (wd == -1) {
        watch->blind = true;
        return -1;
    }
    for (uint32_t i = 0; i < watch->nwatched; i++) {
        if (watch->watched[i].wd == wd) {
            watch->watched[i].round = watch->round;
            return wd;
        }
    }
    if (watch->nwatched == SOURCE_WATCHES_MAX) {
        inotify_rm_watch(watch->fd, wd);
        watch->blind = true;
        return -1;
    }
    watch->watched[watch->nwatched++] = (watched_t){wd, watch->round};
    return wd;
}

void source_watch_directory(source_watch_t *watch, const char *path) {
    bool blind = watch->blind;

    if (watch_add(watch, path) == -1 && (errno == ENOENT || errno == ENOTDIR)) {
        watch->blind = blind; /* what is above it sees it come */
    }
}

static void forget_writing(source_watch_t *watch, int wd, const char *name) {
    for (uint32_t i = 0; i < watch->nwriting;) {
        writing_t *w = &watch->writing[i];
        if (w->wd == wd && (name == NULL || strcmp(w->name, name) == 0)) {
            *w = watch->writing[--watch->nwriting];
        } else {
            i++;
        }
    }
}

static void forget_watch(source_watch_t *watch, int wd) {
    for (uint32_t i = 0; i < watch->nwatched; i++) {
        if (watch->watched[i].wd == wd) {
            watch->watched[i] = watch->watched[--watch->nwatched];
            break;
        }
    }
    forget_writing(watch, wd, NULL);
}

void source_watch_end(source_watch_t *watch) {
    for (uint32_t i = 0; i < watch->nwatched;) {
        if (watch->watched[i].round == watch->round) {
            i++;
            continue;
        }
        int wd = watch->watched[i].wd;
        inotify_rm_watch(watch->fd, wd);
        forget_watch(watch, wd);
    }
}

/* The next component, cut from walk->rest; false at the end. */
static bool walk_next(walk_t *walk, char name[256]) {
    char *p = walk->rest;

    while (*p == '/') {
        p++;
    }
    size_t len = strcspn(p, "/");
    if (len == 0 || len > 255) {
        return false;
    }
    memcpy(name, p, len);
    name[len] = '\0';
    memmove(walk->rest, p + len, strlen(p + len) + 1);
    return true;
}

static bool walk_is_last(const walk_t *walk) {
    return walk->rest[strspn(walk->rest, "/")] == '\0';
}

static bool walk_join(const walk_t *walk, const char *name,
                      char out[PATH_MAX]) {
    const char *slash = strcmp(walk->at, "/") == 0 ? "" : "/";
    int n = snprintf(out, PATH_MAX, "%s%s%s", walk->at, slash, name);
    return n > 0 && n < PATH_MAX;
}

/* Goes on where a link points. */
static bool walk_follow(walk_t *walk, const char *link) {
    char target[PATH_MAX];
    char rest[2 * PATH_MAX];

    ssize_t n = readlink(link, target, sizeof(target) - 1);
    if (n <= 0 || ++walk->links > LINKS_MAX) {
        return false;
    }
    target[n] = '\0';
    int len = snprintf(rest, sizeof(rest), "%s/%s", target, walk->rest);
    if (len < 0 || (size_t)len >= sizeof(rest)) {
        return false;
    }
    memcpy(walk->rest, rest, (size_t)len + 1);
    if (target[0] == '/') {
        memcpy(walk->at, "/", 2);
    }
    return true;
}

void source_watch_path(source_watch_t *watch, const char *path,
                       source_place_t *place) {
    walk_t walk = {.links = 0};
    char full[PATH_MAX];
    struct stat st;

    place->wd = -1;
    place->name[0] = '\0';
    if (strlen(path) >= PATH_MAX) {
        return;
    }
    memcpy(walk.at, path[0] == '/' ? "/" : ".", 2);
    memcpy(walk.rest, path, strlen(path) + 1);

    while (walk_next(&walk, place->name)) {
        if (!walk_join(&walk, place->name, full)) {
            return;
        }
        if (lstat(full, &st) == -1) {
            /* The deepest directory that exists will see it come. */
            (void)watch_add(watch, walk.at);
            return;
        }
        if (S_ISLNK(st.st_mode)) {
            (void)watch_add(watch, walk.at);
            if (!walk_follow(&walk, full)) {
                return;
            }
        } else if (walk_is_last(&walk)) {
            place->wd = watch_add(watch, walk.at);
            return;
        } else {
            memcpy(walk.at, full, strlen(full) + 1);
        }
    }
}

static void writing_begins(source_watch_t *watch, int wd, const char *name,
                           uint64_t now_ms) {
    size_t len = strlen(name);

    if (len == 0 || len > 255 || watch->nwriting == SOURCE_WRITING_MAX) {
        return;
    }
    for (uint32_t i = 0; i < watch->nwriting; i++) {
        if (watch->writing[i].wd == wd &&
            strcmp(watch->writing[i].name, name) == 0) {
            return;
        }
    }
    writing_t *w = &watch->writing[watch->nwriting++];
    w->wd = wd;
    w->since_ms = mesh_max(now_ms, 1);
    memcpy(w->name, name, len + 1);
}

static bool take(source_watch_t *watch, const struct inotify_event *event,
                 uint64_t now_ms) {
    const char *name = event->len ? event->name : "";

    if (event->mask & IN_Q_OVERFLOW) {
        watch->nwriting = 0;
        return true;
    }
    if (event->mask & IN_IGNORED) {
        forget_watch(watch, event->wd);
        return true;
    }
    if (event->mask & IN_MODIFY) {
        writing_begins(watch, event->wd, name, now_ms);
        return false;
    }
    if (event->mask &
        (IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)) {
        forget_writing(watch, event->wd, name);
    }
    return true;
}

bool source_watch_drain(source_watch_t *watch, uint64_t now_ms) {
    _Alignas(struct inotify_event) char buffer[16384];
    bool changed = false;

    for (;;) {
        ssize_t n = read(watch->fd, buffer, sizeof(buffer));
        if (n <= 0) {
            return changed;
        }
        for (char *p = buffer; p < buffer + n;) {
            const struct inotify_event *event = (const void *)p;
            changed |= take(watch, event, now_ms);
            p += sizeof(*event) + event->len;
        }
    }
}

uint64_t source_watch_writing(const source_watch_t *watch,
                              const source_place_t *place) {
    for (uint32_t i = 0; i < watch->nwriting; i++) {
        if (watch->writing[i].wd == place->wd &&
            strcmp(watch->writing[i].name, place->name) == 0) {
            return watch->writing[i].since_ms;
        }
    }
    return 0;
}
