/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A file, or the files of a directory, one part each.
 *
 * Any event leads to a look at every file: a stat() that finds nothing new is
 * cheaper than to be wrong about what an event means.  Content is told apart
 * by its digest, so touching or rewriting a file with the same text says
 * nothing to the sink.
 */

#include "source_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "agent_file.h"
#include "agent_log.h"
#include "source_watch.h"

typedef struct {
    char *path; /* the part's name, too */
    bool listed;
    bool known; /* the sink has heard of it */
    bool gone;  /* and heard that it is gone */
    int error;  /* errno that the sink has heard */
    struct stat seen;
    char version[SOURCE_VERSION_SIZE]; /* content the sink has heard */
    uint64_t away_since;
    uint64_t empty_since;
} file_t;

#define OVERFULL (-1) /* a trouble that has no errno */

typedef struct {
    source_t source;
    source_watch_t *watch;
    char *path;
    bool directory;
    int trouble; /* of the directory, that the sink has heard; 0: none */
    file_t *files;
    uint32_t count;
    uint64_t due_ms;
    bool blind; /* no event tells of some of it */
} source_file_t;

static source_file_t *self_of(source_t *source) {
    return (source_file_t *)source;
}

static void wake(source_file_t *self, uint64_t at_ms) {
    self->due_ms = mesh_min(self->due_ms, at_ms);
}

static file_t *file_add(source_file_t *self, const char *path) {
    file_t *files =
        realloc(self->files, (self->count + 1) * sizeof(*self->files));
    if (files == NULL) {
        return NULL;
    }
    self->files = files;
    file_t *file = &files[self->count];
    *file = (file_t){.path = strdup(path)};
    if (file->path == NULL) {
        return NULL;
    }
    self->count++;
    return file;
}

static void file_remove(source_file_t *self, uint32_t i) {
    free(self->files[i].path);
    self->files[i] = self->files[--self->count];
}

static void tell_unreadable(source_file_t *self, file_t *file, int error,
                            uint64_t now_ms) {
    wake(self, now_ms + SOURCE_BLIND_MS); /* no event tells of its end */
    if (file->error == error) {
        return;
    }
    arena_t *arena = arena_new();
    model_errors_t errors;
    model_error_t place = {.file = file->path};

    model_errors_init(&errors, arena);
    model_error_add(&errors, &place, "cannot be read: %s", strerror(error));
    file->error = error;
    file->known = true;
    file->version[0] = '\0';
    self->source.sink.refused(self->source.sink.ctx, file->path, &errors);
    arena_free(arena);
}

static void tell_gone(source_file_t *self, file_t *file, bool keep,
                      const char *reason) {
    file->known = true;
    file->gone = true;
    file->error = 0;
    file->version[0] = '\0';
    file->seen = (struct stat){0};
    self->source.sink.gone(self->source.sink.ctx, file->path, keep, reason);
}

/* true: it has been away for long enough to say so. */
static bool away(source_file_t *self, file_t *file, uint64_t now_ms) {
    if (file->gone) {
        return false;
    }
    if (!file->known) {
        return true;
    }
    if (file->away_since == 0) {
        file->away_since = mesh_max(now_ms, 1);
    }
    if (now_ms - file->away_since < SOURCE_GONE_MS) {
        wake(self, file->away_since + SOURCE_GONE_MS);
        return false;
    }
    file->away_since = 0;
    return true;
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* true: somebody is writing it, and has not done so for too long. */
static bool half_written(source_file_t *self, file_t *file,
                         const source_place_t *place, const struct stat *st,
                         uint64_t now_ms) {
    uint64_t since = source_watch_writing(self->watch, place);

    /* Truncated and not yet written: no event tells it in time. */
    if (st->st_size != 0 || !S_ISREG(st->st_mode)) {
        file->empty_since = 0;
    } else if (file->empty_since == 0) {
        file->empty_since = mesh_max(now_ms, 1);
    }
    if (since == 0 && (since = file->empty_since) == 0) {
        return false;
    }
    if (now_ms - since >= SOURCE_WRITING_MS) {
        return false;
    }
    wake(self, since + SOURCE_WRITING_MS);
    return true;
}

/* `arena` holds the text; it is the part's then, or freed. */
static void decode(source_file_t *self, file_t *file, arena_t *arena,
                   mesh_str_t text) {
    arena_t *scratch = arena_new();
    model_errors_t errors;

    model_errors_init(&errors, scratch);
    model_part_t *part =
        source_decode(arena, arena_strdup(arena, file->path), text,
                      source_is_json(file->path), agent_unix_ms(), &errors);
    if (part != NULL) {
        self->source.sink.part(self->source.sink.ctx, file->path,
                               source_bundle_of(part));
    } else {
        arena_free(arena);
        self->source.sink.refused(self->source.sink.ctx, file->path, &errors);
    }
    arena_free(scratch);
}

/*
 * Times of files move in ticks of up to 10 ms, so a second change of the same
 * size may leave no trace in stat(): a file that is this young is read again
 * at the next event.
 */
static bool too_fresh(const struct stat *st) {
    uint64_t mtime_ms = (uint64_t)st->st_mtim.tv_sec * 1000 +
                        (uint64_t)st->st_mtim.tv_nsec / 1000000;
    return agent_unix_ms() < mtime_ms + 50;
}

static void take_content(source_file_t *self, file_t *file, arena_t *arena,
                         mesh_str_t text, const struct stat *st) {
    char version[SOURCE_VERSION_SIZE];

    source_version(text, version);
    file->seen = *st;
    if (too_fresh(st)) {
        file->seen.st_ino = 0;
    }
    file->error = 0;
    file->known = true;
    file->gone = false;
    if (strcmp(version, file->version) == 0) {
        arena_free(arena);
        return;
    }
    memcpy(file->version, version, sizeof(version));
    decode(self, file, arena, text);
}

static void look(source_file_t *self, file_t *file, bool force,
                 uint64_t now_ms) {
    source_place_t place;
    struct stat st;

    source_watch_path(self->watch, file->path, &place);
    if (stat(file->path, &st) == -1) {
        if (errno != ENOENT && errno != ENOTDIR) {
            tell_unreadable(self, file, errno, now_ms);
        } else if (away(self, file, now_ms)) {
            tell_gone(self, file, true, "the file is gone");
        }
        return;
    }
    file->away_since = 0;
    if (!force && same_file(&st, &file->seen)) {
        return;
    }
    if (half_written(self, file, &place, &st, now_ms)) {
        return;
    }
    arena_t *arena = arena_new();
    mesh_str_t text;
    if (!agent_file_read(arena, file->path, MODEL_FILE_MAX, &text)) {
        tell_unreadable(self, file, errno, now_ms);
        arena_free(arena);
        return;
    }
    /* Writing may have begun between stat() and read(). */
    if (source_watch_drain(self->watch, now_ms)) {
        wake(self, now_ms);
    }
    if (half_written(self, file, &place, &st, now_ms)) {
        arena_free(arena);
        return;
    }
    take_content(self, file, arena, text, &st);
}

static bool wanted_name(const char *name) {
    static const char *const ends[] = {".yaml", ".yml", ".json"};
    size_t len = strlen(name);

    if (name[0] == '.') {
        return false; /* editors' and kubelet's own */
    }
    for (size_t i = 0; i < mesh_nelts(ends); i++) {
        size_t n = strlen(ends[i]);
        if (len > n && strcmp(name + len - n, ends[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void list_name(source_file_t *self, const char *name, bool *full) {
    char path[4096];
    int n = snprintf(path, sizeof(path), "%s/%s", self->path, name);

    if (n < 0 || (size_t)n >= sizeof(path)) {
        return;
    }
    for (uint32_t i = 0; i < self->count; i++) {
        if (strcmp(self->files[i].path, path) == 0) {
            self->files[i].listed = true;
            return;
        }
    }
    if (self->count == SOURCE_FILES_MAX) {
        *full = true;
        return;
    }
    file_t *file = file_add(self, path);
    if (file != NULL) {
        file->listed = true;
    }
}

/* Told as a part of the directory's own name. */
static void tell_directory(source_file_t *self, int trouble) {
    if (trouble != 0 && trouble != self->trouble) {
        arena_t *arena = arena_new();
        model_errors_t errors;
        model_error_t place = {.file = self->path};
        model_errors_init(&errors, arena);
        if (trouble == OVERFULL) {
            model_error_add(&errors, &place,
                            "more than %d files; the others are not read",
                            SOURCE_FILES_MAX);
        } else {
            model_error_add(&errors, &place, "cannot be read: %s",
                            strerror(trouble));
        }
        self->source.sink.refused(self->source.sink.ctx, self->path, &errors);
        arena_free(arena);
    } else if (trouble == 0 && self->trouble != 0) {
        self->source.sink.gone(self->source.sink.ctx, self->path, false,
                               "the directory is right again");
    }
    self->trouble = trouble;
}

/* false with errno: it cannot be read; its files keep their last good. */
static bool list(source_file_t *self) {
    source_place_t place;

    source_watch_path(self->watch, self->path, &place);
    source_watch_directory(self->watch, self->path);
    DIR *dir = opendir(self->path);
    if (dir == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < self->count; i++) {
        self->files[i].listed = false;
    }
    struct dirent *entry;
    bool full = false;
    while (errno = 0, (entry = readdir(dir)) != NULL) {
        if (wanted_name(entry->d_name)) {
            list_name(self, entry->d_name, &full);
        }
    }
    int error = errno; /* of a list that is not whole */
    closedir(dir);
    if (error == 0) {
        tell_directory(self, full ? OVERFULL : 0);
    }
    errno = error;
    return error == 0;
}

static void scan_directory(source_file_t *self, bool force, uint64_t now_ms) {
    if (!list(self)) {
        if (errno != ENOENT && errno != ENOTDIR) {
            wake(self, now_ms + SOURCE_BLIND_MS);
        }
        if (self->count == 0) {
            tell_directory(self, errno); /* nobody else would say so */
        }
        for (uint32_t i = 0; i < self->count; i++) {
            if (away(self, &self->files[i], now_ms)) {
                tell_gone(self, &self->files[i], true,
                          "its directory cannot be read");
            }
        }
        return;
    }
    for (uint32_t i = 0; i < self->count;) {
        file_t *file = &self->files[i];
        if (file->listed) {
            look(self, file, force, now_ms);
            i++;
        } else if (file->gone || away(self, file, now_ms)) {
            tell_gone(self, file, false, "the file was removed");
            file_remove(self, i);
        } else {
            i++;
        }
    }
}

static void scan(source_file_t *self, bool force, uint64_t now_ms) {
    self->due_ms = SOURCE_IDLE;
    source_watch_begin(self->watch);
    if (self->directory) {
        scan_directory(self, force, now_ms);
    } else {
        look(self, &self->files[0], force, now_ms);
    }
    source_watch_end(self->watch);
    bool blind = source_watch_blind(self->watch);
    if (blind) {
        wake(self, now_ms + SOURCE_BLIND_MS);
    }
    if (blind && !self->blind) {
        agent_log(AGENT_LOG_WARN,
                  "changes are looked for each second: a directory cannot be "
                  "watched",
                  agent_s("path", self->path));
    }
    self->blind = blind;
}

static void file_close(source_t *source) {
    source_file_t *self = self_of(source);

    while (self->count) {
        file_remove(self, self->count - 1);
    }
    free(self->files);
    free(self->path);
    source_watch_free(self->watch);
    free(self);
}

static source_t *file_open(const agent_config_source_t *config,
                           const source_sink_t *sink, const char **error) {
    source_file_t *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        *error = "out of memory";
        return NULL;
    }
    self->directory = config->kind == AGENT_SOURCE_DIRECTORY;
    self->source.ops = source_ops[config->kind];
    self->source.sink = *sink;
    self->due_ms = SOURCE_IDLE;
    self->watch = source_watch_new();
    self->path = strdup(config->path);
    if (self->path == NULL ||
        (!self->directory && file_add(self, self->path) == NULL)) {
        *error = "out of memory";
    } else if (self->watch == NULL) {
        *error = "inotify_init1() failed";
    } else {
        return &self->source;
    }
    file_close(&self->source);
    return NULL;
}

static int file_fd(const source_t *source) {
    return source_watch_fd(((const source_file_t *)source)->watch);
}

static void file_ready(source_t *source, uint64_t now_ms) {
    source_file_t *self = self_of(source);
    bool changed = source_watch_drain(self->watch, now_ms);

    if (changed || now_ms >= self->due_ms) {
        scan(self, false, now_ms);
    }
}

static uint64_t file_due(const source_t *source) {
    return ((const source_file_t *)source)->due_ms;
}

static void file_reload(source_t *source, uint64_t now_ms) {
    source_file_t *self = self_of(source);

    (void)source_watch_drain(self->watch, now_ms);
    scan(self, true, now_ms);
}

static bool file_claims(const agent_config_source_t *config, const char *part) {
    return strcmp(config->path, part) == 0;
}

/* Its files, and the part under its own name that says there are too many. */
static bool directory_claims(const agent_config_source_t *config,
                             const char *part) {
    size_t len = strlen(config->path);

    if (strncmp(config->path, part, len) != 0) {
        return false;
    }
    return part[len] == '\0' ||
           (part[len] == '/' && strchr(part + len + 1, '/') == NULL &&
            wanted_name(part + len + 1));
}

const source_ops_t source_file_ops = {
    .name = "file",
    .open = file_open,
    .fd = file_fd,
    .ready = file_ready,
    .due = file_due,
    .reload = file_reload,
    .close = file_close,
    .report = source_no_report,
    .claims = file_claims,
};

const source_ops_t source_directory_ops = {
    .name = "directory",
    .report = source_no_report,
    .claims = directory_claims,
    .open = file_open,
    .fd = file_fd,
    .ready = file_ready,
    .due = file_due,
    .reload = file_reload,
    .close = file_close,
};
