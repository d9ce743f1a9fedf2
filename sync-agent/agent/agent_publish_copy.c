/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Copies of a root: into the next snapshot file, and as the last-good copy
 * into the state directory and back.
 */

#include "agent_publish_state.h"

#include "agent_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- roots -------------------------------------------------------------- */

static mesh_ref_t copy(mesh_copier_t *copier, const mesh_snapshot_t *from,
                       mesh_ref_t ref) {
    return ref != 0 ? mesh_copier_copy(copier, from, ref) : 0;
}

static void copy_parts(mesh_copier_t *copier, const mesh_snapshot_t *from,
                       mesh_rec_root_t *root) {
    root->policy = copy(copier, from, root->policy);
    root->endpoints = copy(copier, from, root->endpoints);
    root->identity = copy(copier, from, root->identity);
    root->binding = copy(copier, from, root->binding);
    root->reason = copy(copier, from, root->reason);
    root->sources = copy(copier, from, root->sources);
    root->history = 0;
}

/* The newest roots of the ring, as long as they leave room. */
static mesh_ref_t copy_some(mesh_copier_t *copier, mesh_writer_t *to,
                            const mesh_snapshot_t *from, mesh_ref_t history) {
    mesh_ref_t refs[MESH_HISTORY_MAX];
    uint32_t count = 0;
    const mesh_rec_refs_t *old = mesh_get(from, history);
    for (uint32_t i = 0; old != NULL && i < old->count; i++) {
        if (mesh_writer_size(to) > mesh_writer_capacity(to) / 2) {
            break;
        }
        mesh_rec_root_t root = *mesh_snapshot_root(from, old->v[i]);
        copy_parts(copier, from, &root);
        refs[count++] = mesh_writer_put(to, &root.rec);
    }
    return mesh_writer_put_refs(to, MESH_KIND_ROOT, refs, count);
}

mesh_ref_t publish_copy_root(mesh_copier_t *copier, mesh_writer_t *to,
                             const mesh_snapshot_t *from, mesh_ref_t ref,
                             publish_copy_e level) {
    if (level == PUBLISH_COPY_WHOLE) {
        mesh_ref_t whole = mesh_copier_copy(copier, from, ref);
        bool large = mesh_writer_size(to) > mesh_writer_capacity(to) / 2;
        return large ? 0 : whole;
    }
    mesh_rec_root_t root = *mesh_snapshot_root(from, ref);
    mesh_ref_t history = root.history;
    copy_parts(copier, from, &root);
    if (level == PUBLISH_COPY_SOME) {
        root.history = copy_some(copier, to, from, history);
    }
    return mesh_writer_put(to, &root.rec);
}

mesh_ref_t publish_copy_cold(mesh_writer_t *to, const mesh_snapshot_t *from,
                             mesh_ref_t ref, publish_copy_e level,
                             uint64_t above) {
    mesh_copier_t *copier = mesh_copier_create(to);
    if (copier == NULL) {
        return 0;
    }
    ref = publish_copy_root(copier, to, from, ref, level);
    mesh_copier_free(copier);
    if (ref == 0) {
        return 0;
    }
    mesh_rec_root_t root = *(const mesh_rec_root_t *)mesh_writer_get(to, ref);
    root.generation = mesh_max(root.generation, above) + 1;
    root.flags |= MESH_ROOT_COLD;
    root.reason = mesh_writer_put_str(to, MESH_STR("cold start"));
    return mesh_writer_put(to, &root.rec);
}

/* --- the state directory ------------------------------------------------ */

static bool failed(char *text, const char *what, const char *path) {
    snprintf(text, PUBLISH_TEXT_MAX, "last-good copy: %s %.256s: %s", what,
             path, strerror(errno));
    return false;
}

static bool sync_dir(const char *dir) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool ok = fsync(fd) == 0;
    close(fd);
    return ok;
}

static bool write_file(const char *state_dir, const mesh_pending_t *pending,
                       char *text) {
    char path[MESH_ZONE_PATH_MAX], made[MESH_ZONE_PATH_MAX];
    if (mesh_zone_path(path, sizeof(path), state_dir, PUBLISH_LAST_GOOD, 0) !=
            MESH_OK ||
        mesh_zone_path(made, sizeof(made), state_dir, PUBLISH_LAST_GOOD ".new",
                       0) != MESH_OK) {
        errno = ENAMETOOLONG;
        return failed(text, "name in", state_dir);
    }
    if (!agent_make_dir(state_dir, 0755)) {
        return failed(text, "make", state_dir);
    }
    int fd =
        open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) {
        return failed(text, "make", made);
    }
    /* nginx's workers read it (mesh_zone's fallback), whatever the umask. */
    bool ok =
        fchmod(fd, 0644) == 0 &&
        mesh_zone_append(fd, pending->data, pending->len, 0, NULL) == MESH_OK &&
        fsync(fd) == 0;
    int err = errno;
    close(fd);
    errno = err;
    if (!ok) {
        failed(text, "write", made);
        unlink(made);
        return false;
    }
    if (rename(made, path) != 0 || !sync_dir(state_dir)) {
        return failed(text, "rename", made);
    }
    return true;
}

/* The root is the last record of the copy: there is no control page. */
/* The root with as much of its history as fits; NULL with text. */
static mesh_writer_t *copy_of(const publish_job_t *job, char *text) {
    for (int level = 0; level < PUBLISH_COPY_LEVELS; level++) {
        mesh_writer_t *w = mesh_writer_create(1, job->capacity);
        mesh_copier_t *copier = w != NULL ? mesh_copier_create(w) : NULL;
        mesh_ref_t ref = 0;
        if (copier != NULL) {
            ref = publish_copy_root(copier, w, &job->map->snapshot, job->root,
                                    (publish_copy_e)level);
        }
        mesh_copier_free(copier);
        if (ref != 0) {
            return w;
        }
        const char *why = copier != NULL ? mesh_writer_error(w) : NULL;
        snprintf(text, PUBLISH_TEXT_MAX, "last-good copy: %s",
                 why != NULL ? why : "out of memory");
        mesh_writer_free(w);
    }
    return NULL;
}

void publish_last_good_write(publish_job_t *job) {
    mesh_writer_t *w = copy_of(job, job->text);
    job->status = MESH_ERROR;
    if (w != NULL) {
        mesh_pending_t pending = mesh_writer_pending(w);
        if (write_file(job->state_dir, &pending, job->text)) {
            job->status = MESH_OK;
        }
        mesh_writer_free(w);
    }
}

mesh_mapping_t *publish_last_good_open(const publisher_t *p, mesh_ref_t *root,
                                       char *text) {
    char path[MESH_ZONE_PATH_MAX];
    struct stat st;
    mesh_zone_error_t error = {0};
    text[0] = '\0';
    if (p->state_dir[0] == '\0' ||
        mesh_zone_path(path, sizeof(path), p->state_dir, PUBLISH_LAST_GOOD,
                       0) != MESH_OK) {
        return NULL;
    }
    if (stat(path, &st) != 0) {
        if (errno != ENOENT) {
            failed(text, "look at", path);
        }
        return NULL;
    }
    mesh_mapping_t *map = mesh_mapping_open_path(path, &error);
    if (map == NULL) {
        snprintf(text, PUBLISH_TEXT_MAX, "last-good copy %.256s: %s: %s", path,
                 error.what ? error.what : "open",
                 error.err ? strerror(error.err) : "broken content");
        return NULL;
    }
    uint64_t size = (uint64_t)st.st_size;
    *root = size < sizeof(mesh_rec_root_t)
                ? 0
                : (mesh_ref_t)((size - sizeof(mesh_rec_root_t)) / 8);
    if (mesh_mapping_adopt(map, *root, 0) != MESH_OK ||
        map->snapshot.verified != size) {
        snprintf(text, PUBLISH_TEXT_MAX, "last-good copy %.256s: %s", path,
                 map->snapshot.error.reason ? map->snapshot.error.reason
                                            : "it does not end with a root");
        mesh_mapping_unref(map);
        return NULL;
    }
    return map;
}
