/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The publisher's snapshot files: making, continuing, appending, unlinking.
 */

#include "agent_publish_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void say(char *text, const mesh_zone_error_t *error) {
    if (error->version != 0) {
        snprintf(text, PUBLISH_TEXT_MAX, "%.256s is of format version %u: %s",
                 error->path, error->version, error->what);
        return;
    }
    snprintf(text, PUBLISH_TEXT_MAX, "%s %.256s: %s",
             error->what ? error->what : "snapshot", error->path,
             error->err ? strerror(error->err) : "broken content");
}

static bool snapshot_path(const mesh_zone_t *zone, uint32_t number,
                          char *path) {
    return mesh_zone_path(path, MESH_ZONE_PATH_MAX, zone->dir,
                          MESH_ZONE_SNAPSHOT, number) == MESH_OK;
}

void publish_file_begin(publish_file_t *file, uint32_t number,
                        uint64_t capacity) {
    *file = (publish_file_t){.number = number, .fd = -1};
    file->w = mesh_writer_create(number, capacity);
}

void publish_file_text(const publish_file_t *file, char *text) {
    const char *why = mesh_writer_error(file->w);
    snprintf(text, PUBLISH_TEXT_MAX, "%s (capacity of %llu bytes)",
             why ? why : "the mesh does not fit",
             (unsigned long long)mesh_writer_capacity(file->w));
}

void publish_file_drop(const mesh_zone_t *zone, publish_file_t *file,
                       bool unlink_it) {
    char path[MESH_ZONE_PATH_MAX];
    compiler_free(file->compiler);
    if (file->w != NULL) {
        mesh_writer_free(file->w);
    }
    if (file->map != NULL) {
        mesh_mapping_unref(file->map);
    }
    if (file->fd >= 0) {
        close(file->fd);
        if (unlink_it && snapshot_path(zone, file->number, path)) {
            unlink(path);
        }
    }
    *file = (publish_file_t){.fd = -1};
}

/* --- continuing --------------------------------------------------------- */

/*
 * Bytes behind the published root are of an agent that died before it could
 * name them in the control word: no worker has seen them.
 */
static bool cut_tail(publish_file_t *file) {
    return ftruncate(file->fd, (off_t)file->map->snapshot.verified) == 0;
}

static bool map_again(const mesh_zone_t *zone, publish_file_t *file,
                      mesh_ref_t root, char *text) {
    mesh_zone_error_t error = {0};
    file->map = mesh_mapping_open(zone->dir, file->number, &error);
    if (file->map == NULL) {
        say(text, &error);
        return false;
    }
    if (root != 0 && mesh_mapping_adopt(file->map, root, 0) != MESH_OK) {
        const mesh_snapshot_error_t *e = &file->map->snapshot.error;
        snprintf(text, PUBLISH_TEXT_MAX,
                 "snapshot.%u cannot be read: %s at byte %llu", file->number,
                 e->reason ? e->reason : "its root is missing",
                 (unsigned long long)e->offset);
        return false;
    }
    return true;
}

bool publish_file_continue(publisher_t *p, uint64_t word, char *text) {
    char path[MESH_ZONE_PATH_MAX];
    publish_file_t file = {.number = mesh_word_file(word), .fd = -1};
    if (!map_again(&p->zone, &file, mesh_word_root(word), text)) {
        publish_file_drop(&p->zone, &file, false);
        return false;
    }
    if (!snapshot_path(&p->zone, file.number, path) ||
        (file.fd = open(path, O_RDWR | O_CLOEXEC)) < 0 || !cut_tail(&file)) {
        snprintf(text, PUBLISH_TEXT_MAX, "open %.256s: %s", path,
                 strerror(errno));
        publish_file_drop(&p->zone, &file, false);
        return false;
    }
    file.root = mesh_word_root(word);
    file.w = mesh_writer_open(&file.map->snapshot);
    if (file.w == NULL) {
        snprintf(text, PUBLISH_TEXT_MAX,
                 "%.256s cannot be continued: a record's digest is not that "
                 "of its content, or memory is out",
                 path);
        publish_file_drop(&p->zone, &file, false);
        return false;
    }
    file.compiler = compiler_new(file.w, p->slots);
    p->file = file;
    return true;
}

/* --- appending ---------------------------------------------------------- */

static mesh_status_t make_file(const mesh_zone_t *zone, publish_file_t *file,
                               char *text) {
    char path[MESH_ZONE_PATH_MAX];
    mesh_zone_error_t error = {0};
    if (file->fd >= 0) {
        return MESH_OK;
    }
    if (snapshot_path(zone, file->number, path)) {
        unlink(path); /* of an agent that died before it published it */
    }
    file->fd = mesh_zone_create_snapshot(zone, file->number, &error);
    if (file->fd < 0) {
        say(text, &error);
        return error.err == ENOSPC || error.err == EDQUOT ? MESH_NO_SPACE
                                                          : MESH_ERROR;
    }
    return MESH_OK;
}

static mesh_status_t append(publish_file_t *file, char *text) {
    mesh_zone_error_t error = {0};
    mesh_pending_t pending = mesh_writer_pending(file->w);
    mesh_status_t status = mesh_zone_append(file->fd, pending.data, pending.len,
                                            pending.offset, &error);
    if (status != MESH_OK) {
        say(text, &error);
        (void)!ftruncate(file->fd, (off_t)pending.offset);
    }
    return status;
}

/* The same check that every worker makes, before any worker can see it. */
static mesh_status_t check(const mesh_zone_t *zone, publish_file_t *file,
                           mesh_ref_t root, char *text) {
    if (file->map == NULL) {
        return map_again(zone, file, root, text) ? MESH_OK : MESH_CORRUPT;
    }
    if (mesh_mapping_adopt(file->map, root, 0) == MESH_OK) {
        return MESH_OK;
    }
    const mesh_snapshot_error_t *e = &file->map->snapshot.error;
    snprintf(text, PUBLISH_TEXT_MAX, "the new root does not read back: %s%s%s",
             e->field ? e->field : "", e->field ? ": " : "",
             e->reason ? e->reason : "no root");
    return MESH_CORRUPT;
}

mesh_status_t publish_file_flush(const mesh_zone_t *zone, publish_file_t *file,
                                 mesh_ref_t root, char *text) {
    mesh_status_t status = make_file(zone, file, text);
    if (status == MESH_OK) {
        status = append(file, text);
    }
    if (status == MESH_OK) {
        status = check(zone, file, root, text);
    }
    if (status == MESH_OK) {
        mesh_writer_commit(file->w, file->map->snapshot.base);
        file->root = root;
    }
    return status;
}

void publish_file_rollback(publisher_t *p, publish_file_t *file) {
    char text[PUBLISH_TEXT_MAX];
    mesh_writer_rollback(file->w);
    compiler_free(file->compiler);
    file->compiler = compiler_new(file->w, p->slots);
    uint64_t size = mesh_writer_size(file->w);
    if (file->fd < 0 || file->map == NULL) {
        return;
    }
    (void)!ftruncate(file->fd, (off_t)size);
    if (file->map->snapshot.verified == size) {
        return;
    }
    /* It has marks of records that are gone: look at the file afresh. */
    mesh_mapping_t *old = file->map;
    if (map_again(&p->zone, file, file->root, text)) {
        mesh_writer_commit(file->w, file->map->snapshot.base);
        mesh_mapping_unref(old);
    } else {
        if (file->map != NULL) {
            mesh_mapping_unref(file->map);
        }
        file->map = old;
    }
}

/*
 * The file that compaction leaves stays on disk until the sweep: workers read
 * it until they have adopted this one.
 */
void publish_file_switch(publisher_t *p, publish_file_t *file,
                         uint64_t mono_ms) {
    uint64_t word = mesh_word(file->number, file->root);
    if (file != &p->file) {
        publish_file_drop(&p->zone, &p->file, false);
        p->file = *file;
        p->old_files = true;
    }
    p->last_file = file->number;
    mesh_zone_publish(&p->zone, word, mono_ms);
}

/* --- unlinking ---------------------------------------------------------- */

static bool is_snapshot(const char *name, uint32_t *number) {
    static const char prefix[] = "snapshot.";
    if (strncmp(name, prefix, sizeof(prefix) - 1) != 0) {
        return false;
    }
    char *end;
    errno = 0;
    unsigned long n = strtoul(name + sizeof(prefix) - 1, &end, 10);
    *number = (uint32_t)n;
    return errno == 0 && *end == '\0' && end != name + sizeof(prefix) - 1 &&
           n <= UINT32_MAX;
}

/*
 * The previous file stays: a worker may have read the control word and not
 * opened the file yet.  A file above the current one was never published,
 * unless it is being made just now.
 */
static bool needed(const publisher_t *p, uint32_t number) {
    uint32_t current = p->last_file;
    if (number > current) {
        return p->thread.running && p->job.compaction &&
               number == p->job.number;
    }
    return number == current || number + 1 == current ||
           publish_runtime_names(p, number);
}

bool publish_file_sweep(publisher_t *p) {
    char path[MESH_ZONE_PATH_MAX];
    publish_runtime_refresh(p);
    DIR *dir = opendir(p->zone.dir);
    if (dir == NULL) {
        return false;
    }
    bool all = true;
    const struct dirent *e;
    while ((e = readdir(dir)) != NULL) {
        uint32_t number;
        if (!is_snapshot(e->d_name, &number)) {
            continue;
        }
        if (!needed(p, number)) {
            if (snapshot_path(&p->zone, number, path)) {
                unlink(path);
            }
        } else if (number + 1 < p->last_file) {
            all = false;
        }
    }
    closedir(dir);
    return all;
}
