/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Journals of applied parts; see agent_journal.h.
 */

#include "agent_journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent_file.h"
#include "agent_log.h"

#define DIRECTORY "streams"
#define SUFFIX ".journal"

static char *concat(const char *a, const char *b, const char *c,
                    const char *d) {
    size_t size = strlen(a) + strlen(b) + strlen(c) + strlen(d) + 1;
    char *text = malloc(size);

    if (text == NULL) {
        abort();
    }
    snprintf(text, size, "%s%s%s%s", a, b, c, d);
    return text;
}

void agent_journal_init(agent_journal_t *journal, const char *state,
                        const char *part) {
    *journal = (agent_journal_t){
        .part = concat(part, "", "", ""),
        .path = concat(state, "/" DIRECTORY "/", part, SUFFIX)};
}

void agent_journal_free(agent_journal_t *journal) {
    free(journal->part);
    free(journal->path);
    free(journal->pending.data);
    free(journal->owed.data);
}

/* What is being made of the journal is not its content any more. */
static void outdated(agent_journal_t *journal) {
    if (journal->compaction != NULL) {
        journal->compaction->stale = true;
    }
}

static void failed(agent_journal_t *journal, const char *what) {
    if (!journal->failed) {
        agent_log(
            AGENT_LOG_WARN, "an applied part cannot be kept for the next agent",
            agent_s("part", journal->part), agent_s("path", journal->path),
            agent_s("what", what), agent_s("errno", strerror(errno)));
    }
    journal->failed = true;
}

static void frames_clear(agent_frames_t *frames) {
    free(frames->data);
    *frames = (agent_frames_t){.len = 0};
}

static void frames_add(agent_frames_t *frames, const char *data, size_t len) {
    char *all = realloc(frames->data, frames->len + len + 1);

    if (all == NULL) {
        abort();
    }
    if (len > 0) {
        memcpy(all + frames->len, data, len);
    }
    frames->data = all;
    frames->len += len;
}

void agent_journal_drop(agent_journal_t *journal) {
    frames_clear(&journal->pending);
}

void agent_journal_add(agent_journal_t *journal, const ctl_request_t *request) {
    ctl_request_t frame = *request;
    frame.applied = false;
    char *line = ctl_request_text(&frame);

    if (line == NULL) {
        abort();
    }
    if (request->format != CTL_LINES) {
        frames_clear(&journal->pending);
        journal->pending.whole = true;
    }
    frames_add(&journal->pending, line, strlen(line));
    frames_add(&journal->pending, request->body.data, request->body.len);
    free(line);
}

/* Pending frames are in force: they are owed behind those that are. */
static void owe(agent_journal_t *journal) {
    agent_frames_t *pending = &journal->pending;
    agent_frames_t *owed = &journal->owed;

    if (owed->len == 0 || pending->whole) {
        frames_clear(owed);
        *owed = *pending;
        *pending = (agent_frames_t){.len = 0};
    } else {
        frames_add(owed, pending->data, pending->len);
        frames_clear(pending);
    }
}

/* However long a disk is full, no more is kept than what counts. */
static void shorten_owed(agent_journal_t *journal) {
    agent_frames_t *owed = &journal->owed;

    if (owed->len <= 2 * journal->owed_aim + AGENT_JOURNAL_SLACK) {
        return;
    }
    size_t len;
    char *fewer =
        agent_journal_compact((mesh_str_t){owed->len, owed->data}, &len);
    if (fewer != NULL) {
        free(owed->data);
        owed->data = fewer;
        owed->len = len;
    }
    journal->owed_aim = owed->len;
}

static bool write_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static void make_directories(const agent_journal_t *journal) {
    char *path = concat(journal->path, "", "", "");
    char *streams = strrchr(path, '/');

    *streams = '\0';
    char *state = strrchr(path, '/');
    *state = '\0';
    (void)agent_make_dir(path, 0755);
    *state = '/';
    (void)agent_make_dir(path, 0700);
    free(path);
}

/* Whole or not at all. */
static bool rewrite(agent_journal_t *journal, const char *data, size_t len) {
    char *tmp = concat(journal->path, ".tmp", "", "");

    outdated(journal);
    make_directories(journal);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd != -1 && write_all(fd, data, len);
    if (fd != -1) {
        close(fd);
    }
    ok = ok && rename(tmp, journal->path) == 0;
    if (ok) {
        journal->size = journal->aim = len;
    } else {
        failed(journal, "rewriting");
        (void)unlink(tmp); /* of a full disk, others need it */
    }
    free(tmp);
    return ok;
}

static int open_end(const agent_journal_t *journal) {
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC;
    int fd = open(journal->path, flags, 0600);

    if (fd == -1 && errno == ENOENT) {
        make_directories(journal);
        fd = open(journal->path, flags, 0600);
    }
    if (fd != -1 && lseek(fd, (off_t)journal->size, SEEK_SET) == -1) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/*
 * Behind the last whole frame: what is there of one that was cut off would
 * hide the next.
 */
static bool append(agent_journal_t *journal) {
    int fd = open_end(journal);
    bool ok = fd != -1 && write_all(fd, journal->owed.data, journal->owed.len);
    if (ok) {
        journal->size += journal->owed.len;
    } else {
        failed(journal, "appending");
        outdated(journal);
    }
    if (fd != -1) {
        (void)!ftruncate(fd, (off_t)journal->size);
        close(fd);
    }
    return ok;
}

/* --- compacting ---------------------------------------------------------- */

static bool write_file(const char *path, const char *data, size_t len) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd != -1 && write_all(fd, data, len);

    if (fd != -1) {
        close(fd);
    }
    return ok;
}

/* So many bytes of the file's beginning, which may grow; free() it. */
static char *read_start(const char *path, uint64_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = fd != -1 ? malloc(size + 1) : NULL;
    uint64_t at = 0;

    while (text != NULL && at < size) {
        ssize_t n = pread(fd, text + at, size - at, (off_t)at);
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            free(text);
            text = NULL;
        } else {
            at += (uint64_t)n;
        }
    }
    if (fd != -1) {
        close(fd);
    }
    return text;
}

/* Beside the main thread: reads the journal's beginning and nothing else. */
static void compact(void *ctx) {
    agent_journal_compaction_t *c = ctx;
    char *text = read_start(c->from, c->size);
    size_t len = 0;

    if (text != NULL) {
        char *frames = agent_journal_compact((mesh_str_t){c->size, text}, &len);
        c->ok = frames != NULL && write_file(c->to, frames, len);
        c->len = len;
        free(frames);
    }
    free(text);
}

/* What was appended since: a few frames. */
static bool copy_rest(const agent_journal_t *journal,
                      agent_journal_compaction_t *c) {
    int from = open(c->from, O_RDONLY | O_CLOEXEC);
    int to = open(c->to, O_WRONLY | O_APPEND | O_CLOEXEC);
    bool ok = from != -1 && to != -1;
    uint64_t at = c->size;

    while (ok && at < journal->size) {
        char data[65536];
        size_t most = mesh_min(sizeof(data), journal->size - at);
        ssize_t n = pread(from, data, most, (off_t)at);
        ok = n > 0 && write_all(to, data, (size_t)n);
        if (ok) {
            at += (uint64_t)n;
            c->len += (uint64_t)n;
        }
    }
    if (from != -1) {
        close(from);
    }
    if (to != -1) {
        close(to);
    }
    return ok;
}

void agent_journal_collect(agent_journal_t *journal) {
    agent_journal_compaction_t *c = journal->compaction;

    if (c == NULL) {
        return;
    }
    journal->compaction = NULL;
    if (c->ok && !c->stale && copy_rest(journal, c) &&
        rename(c->to, c->from) == 0) {
        journal->size = c->len;
    } else {
        (void)unlink(c->to);
    }
    if (!c->stale) {
        /* Not again until as much has come again. */
        journal->aim = journal->size;
    }
    free(c->from);
    free(c->to);
    free(c);
}

/* With a job of its own thread, unless that is busy with another journal. */
static void start_compaction(agent_journal_t *journal) {
    if (journal->compaction != NULL ||
        (journal->job != NULL && journal->job->running)) {
        return;
    }
    agent_journal_compaction_t *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        abort();
    }
    c->from = concat(journal->path, "", "", "");
    c->to = concat(journal->path, ".compact", "", "");
    c->size = journal->size;
    journal->compaction = c;
    if (journal->job != NULL) {
        agent_job_start(journal->job, compact, c);
    } else {
        compact(c);
        agent_journal_collect(journal);
    }
}

void agent_journal_commit(agent_journal_t *journal) {
    if (journal->pending.len > 0) {
        owe(journal);
    }
    agent_journal_retry(journal);
}

void agent_journal_retry(agent_journal_t *journal) {
    agent_frames_t *owed = &journal->owed;

    if (owed->len == 0) {
        return;
    }
    bool ok =
        owed->whole ? rewrite(journal, owed->data, owed->len) : append(journal);
    if (!ok) {
        shorten_owed(journal);
        return;
    }
    if (journal->failed) {
        agent_log(AGENT_LOG_INFO, "an applied part is kept again",
                  agent_s("part", journal->part));
    }
    journal->failed = false;
    frames_clear(owed);
    journal->owed_aim = 0;
    if (journal->size > 2 * journal->aim + AGENT_JOURNAL_SLACK) {
        start_compaction(journal);
    }
}

void agent_journal_remove(agent_journal_t *journal) {
    frames_clear(&journal->pending);
    frames_clear(&journal->owed);
    journal->failed = false;
    outdated(journal);
    if (journal->size != 0) {
        (void)unlink(journal->path);
    }
    journal->size = journal->aim = 0;
}

uint32_t agent_journal_read(agent_journal_t *journal, agent_journal_pt apply,
                            void *ctx) {
    arena_t *arena = arena_new();
    char error[CTL_ERROR_MAX];
    mesh_str_t text = MESH_STR("");
    uint32_t count = 0;
    size_t at = 0;

    if (!agent_file_read(arena, journal->path, AGENT_JOURNAL_MAX, &text)) {
        struct stat st;
        failed(journal, "reading");
        /* It may be read another time: what comes goes behind it. */
        at = stat(journal->path, &st) == 0 ? (size_t)st.st_size : 0;
    }
    while (at < text.len) {
        ctl_request_t request;
        const char *line = text.data + at;
        const char *end = memchr(line, '\n', text.len - at);
        if (end == NULL ||
            ctl_request_parse((mesh_str_t){(size_t)(end - line), line},
                              &request, error) != NULL) {
            break;
        }
        size_t body = at + (size_t)(end - line) + 1;
        if (request.command != CTL_APPLY || text.len - body < request.length) {
            break;
        }
        request.body = (mesh_str_t){(size_t)request.length, text.data + body};
        apply(ctx, &request);
        count++;
        at = body + (size_t)request.length;
    }
    /* What is cut off is cut away, or the next frame would follow it. */
    if (at < text.len && truncate(journal->path, (off_t)at) == -1) {
        failed(journal, "cutting");
    }
    journal->size = journal->aim = at;
    arena_free(arena);
    return count;
}

void agent_journal_list(const char *state, agent_journal_found_pt found,
                        void *ctx) {
    char *path = concat(state, "/" DIRECTORY, "", "");
    DIR *dir = opendir(path);
    struct dirent *entry;

    free(path);
    if (dir == NULL) {
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);
        size_t end = strlen(SUFFIX);
        if (len <= end || strcmp(entry->d_name + len - end, SUFFIX) != 0) {
            continue;
        }
        char part[256];
        memcpy(part, entry->d_name, len - end);
        part[len - end] = '\0';
        if (ctl_part_valid(part)) {
            found(ctx, part);
        }
    }
    closedir(dir);
}
