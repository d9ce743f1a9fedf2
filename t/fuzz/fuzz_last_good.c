/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Any bytes as the last-good copy of a state directory: refused with a
 * reason, or a root from which a cold start makes a snapshot that passes the
 * workers' checks.  A right head is put before the input where its first byte
 * is odd.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent_publish_state.h"
#include "mesh_writer_impl.h"
#include "snapshot_touch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static publisher_t p;

static const char *path_of_copy(void) {
    static char path[MESH_ZONE_PATH_MAX + 64];

    snprintf(path, sizeof(path), "%s/" PUBLISH_LAST_GOOD, p.state_dir);
    return path;
}

static void remove_state(void) {
    (void)unlink(path_of_copy());
    (void)rmdir(p.state_dir);
}

static void make_state(void) {
    if (p.state_dir[0] != '\0') {
        return;
    }
    snprintf(p.state_dir, sizeof(p.state_dir), "/tmp/mesh-fuzz-XXXXXX");
    touch_must(mkdtemp(p.state_dir) != NULL);
    touch_must(atexit(remove_state) == 0);
}

static void put(const uint8_t *data, size_t size) {
    const mesh_file_head_t head = {.magic = MESH_FORMAT_MAGIC,
                                   .version = MESH_FORMAT_VERSION,
                                   .head_size = sizeof(head),
                                   .file_number = 1,
                                   .capacity = MESH_FILE_CAPACITY_MIN};
    bool with_head = data[0] & 1;
    int fd =
        open(path_of_copy(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    touch_must(fd != -1);
    touch_must(!with_head || write(fd, &head, sizeof(head)) == sizeof(head));
    touch_must(write(fd, data + 1, size - 1) == (ssize_t)(size - 1));
    close(fd);
}

/* The bytes of the writer as a worker checks them. */
static void check_bytes(const mesh_writer_t *w, mesh_ref_t ref) {
    uint64_t size = mesh_writer_size(w);
    uint8_t *bytes = malloc(size);
    uint64_t *starts = calloc(1, mesh_snapshot_starts_size(size) + 1);
    mesh_snapshot_t s;

    touch_must(bytes != NULL && starts != NULL);
    memcpy(bytes, mesh_writer_at(w, 0), size);
    touch_must(mesh_snapshot_init(&s, bytes, size, size, starts) == MESH_OK);
    touch_must(mesh_snapshot_verify(&s, size, 0) == MESH_OK);
    const mesh_rec_root_t *root = mesh_snapshot_root(&s, ref);
    touch_must(root != NULL && (root->flags & MESH_ROOT_COLD));
    touch_must(root->generation > 5);
    free(starts);
    free(bytes);
}

static void start_from(const mesh_mapping_t *map, mesh_ref_t root) {
    for (int level = 0; level < PUBLISH_COPY_LEVELS; level++) {
        mesh_writer_t *w = mesh_writer_create(1, MESH_FILE_CAPACITY_MIN);
        touch_must(w != NULL);
        mesh_ref_t ref = publish_copy_cold(w, &map->snapshot, root,
                                           (publish_copy_e)level, 5);
        touch_must(ref != 0 || mesh_writer_error(w) != NULL ||
                   level == PUBLISH_COPY_WHOLE);
        if (ref != 0) {
            check_bytes(w, ref);
        }
        mesh_writer_free(w);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[PUBLISH_TEXT_MAX];
    mesh_ref_t root = 0;

    if (size == 0) {
        return 0;
    }
    make_state();
    put(data, size);
    mesh_mapping_t *map = publish_last_good_open(&p, &root, text);
    if (map == NULL) {
        touch_must(text[0] != '\0');
        return 0;
    }
    touch_must(mesh_snapshot_root(&map->snapshot, root) != NULL);
    start_from(map, root);
    mesh_mapping_unref(map);
    return 0;
}
