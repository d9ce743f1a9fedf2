/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Copies of a root: into the next snapshot file, and as the last-good copy
 * into the state directory and back.
 */

#include "agent_publish_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- roots -------------------------------------------------------------- */

static mesh_ref_t copy(mesh_writer_t *to, const mesh_snapshot_t *from,
                       mesh_ref_t ref) {
    return ref != 0 ? mesh_writer_copy(to, from, ref) : 0;
}

static void copy_parts(mesh_writer_t *to, const mesh_snapshot_t *from,
                       mesh_rec_root_t *root) {
    root->policy = copy(to, from, root->policy);
    root->endpoints = copy(to, from, root->endpoints);
    root->identity = copy(to, from, root->identity);
    root->binding = copy(to, from, root->binding);
    root->reason = copy(to, from, root->reason);
    root->sources = copy(to, from, root->sources);
    root->history = 0;
}

/* The newest roots of the ring, as long as they leave room. */
static mesh_ref_t copy_some(mesh_writer_t *to, const mesh_snapshot_t *from,
                            mesh_ref_t history) {
    mesh_ref_t refs[MESH_HISTORY_MAX];
    uint32_t count = 0;
    const mesh_rec_refs_t *old = mesh_get(from, history);
    for (uint32_t i = 0; old != NULL && i < old->count; i++) {
        if (mesh_writer_size(to) > mesh_writer_capacity(to) / 2) {
            break;
        }
        mesh_rec_root_t root = *mesh_snapshot_root(from, old->v[i]);
        copy_parts(to, from, &root);
        refs[count++] = mesh_writer_put(to, &root.rec);
    }
    return mesh_writer_put_refs(to, MESH_KIND_ROOT, refs, count);
}

mesh_ref_t publish_copy_root(mesh_writer_t *to, const mesh_snapshot_t *from,
                             mesh_ref_t ref, publish_copy_e level) {
    if (level == PUBLISH_COPY_WHOLE) {
        mesh_ref_t whole = mesh_writer_copy(to, from, ref);
        bool large = mesh_writer_size(to) > mesh_writer_capacity(to) / 2;
        return large ? 0 : whole;
    }
    mesh_rec_root_t root = *mesh_snapshot_root(from, ref);
    mesh_ref_t history = root.history;
    copy_parts(to, from, &root);
    if (level == PUBLISH_COPY_SOME) {
        root.history = copy_some(to, from, history);
    }
    return mesh_writer_put(to, &root.rec);
}

mesh_ref_t publish_copy_cold(mesh_writer_t *to, const mesh_snapshot_t *from,
                             mesh_ref_t ref, publish_copy_e level,
                             uint64_t above) {
    ref = publish_copy_root(to, from, ref, level);
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

static bool write_file(const publisher_t *p, const mesh_pending_t *pending,
                       char *text) {
    char path[MESH_ZONE_PATH_MAX], made[MESH_ZONE_PATH_MAX];
    if (mesh_zone_path(path, sizeof(path), p->state_dir, PUBLISH_LAST_GOOD,
                       0) != MESH_OK ||
        mesh_zone_path(made, sizeof(made), p->state_dir,
                       PUBLISH_LAST_GOOD ".new", 0) != MESH_OK) {
        errno = ENAMETOOLONG;
        return failed(text, "name in", p->state_dir);
    }
    if (mkdir(p->state_dir, 0750) != 0 && errno != EEXIST) {
        return failed(text, "make", p->state_dir);
    }
    int fd =
        open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0) {
        return failed(text, "make", made);
    }
    bool ok =
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
    if (rename(made, path) != 0 || !sync_dir(p->state_dir)) {
        return failed(text, "rename", made);
    }
    return true;
}

/* The root is the last record of the copy: there is no control page. */
bool publish_last_good_write(publisher_t *p, char *text) {
    const publish_file_t *file = &p->file;
    mesh_ref_t ref = 0;
    mesh_writer_t *w = NULL;
    for (int level = 0; ref == 0 && level < PUBLISH_COPY_LEVELS; level++) {
        mesh_writer_free(w);
        w = mesh_writer_create(1, mesh_writer_capacity(file->w));
        if (w != NULL) {
            ref = publish_copy_root(w, &file->map->snapshot, file->root,
                                    (publish_copy_e)level);
        }
    }
    if (ref == 0) {
        snprintf(text, PUBLISH_TEXT_MAX, "last-good copy: %s",
                 w != NULL ? mesh_writer_error(w) : "out of memory");
        mesh_writer_free(w);
        return false;
    }
    mesh_pending_t pending = mesh_writer_pending(w);
    bool ok = write_file(p, &pending, text);
    mesh_writer_free(w);
    return ok;
}

mesh_mapping_t *publish_last_good_open(const publisher_t *p, mesh_ref_t *root,
                                       char *text) {
    char path[MESH_ZONE_PATH_MAX];
    struct stat st;
    mesh_zone_error_t error = {0};
    text[0] = '\0';
    if (p->state_dir[0] == '\0' ||
        mesh_zone_path(path, sizeof(path), p->state_dir, PUBLISH_LAST_GOOD,
                       0) != MESH_OK ||
        stat(path, &st) != 0) {
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
