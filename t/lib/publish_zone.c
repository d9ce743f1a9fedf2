/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A publisher on a zone of its own in a temporary directory.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent_publish_state.h"
#include "publish_zone.h"

void zone_init(zone_t *z) {
    *z = (zone_t){.now = {1000000, 5000}};
    temp_dir_make(&z->top);
    snprintf(z->dir, sizeof(z->dir), "%s/zone", z->top.path);
    snprintf(z->state_dir, sizeof(z->state_dir), "%s/state", z->top.path);
}

void zone_open(zone_t *z) {
    publisher_options_t options = {.dir = z->dir,
                                   .state_dir = z->state_dir,
                                   .capacity = z->capacity,
                                   .threads = z->threads};
    char error[PUBLISH_TEXT_MAX] = "";
    mesh_status_t status;
    z->p = publisher_open(&options, z->now, &status, error);
    if (z->p == NULL) {
        fail_msg("open: %s", error);
    }
}

void zone_close(zone_t *z) {
    publisher_close(z->p, z->now);
    z->p = NULL;
}

void zone_kill(zone_t *z) {
    z->p->dirty = false;
    publisher_close(z->p, z->now);
    z->p = NULL;
}

void zone_free(zone_t *z) {
    if (z->p != NULL) {
        zone_close(z);
    }
    temp_dir_remove(&z->top);
}

publish_request_t zone_request(zone_t *z, mesh_world_t *world) {
    z->now.unix_ms += 10;
    z->now.mono_ms += 10;
    return (publish_request_t){.parts = mesh_world_parts(world, false),
                               .nparts = world->nparts,
                               .reason = "test",
                               .now = z->now};
}

publish_outcome_e zone_publish(zone_t *z, mesh_world_t *world) {
    publish_request_t request = zone_request(z, world);
    return publisher_publish(z->p, &request, &z->result);
}

uint64_t zone_tick(zone_t *z, uint64_t after_ms) {
    z->now.unix_ms += after_ms;
    z->now.mono_ms += after_ms;
    return publisher_tick(z->p, z->now);
}

uint64_t zone_await(zone_t *z) {
    struct pollfd told = {.fd = publisher_fd(z->p), .events = POLLIN};
    assert_int_equal(poll(&told, 1, 60000), 1);
    return zone_tick(z, 0);
}

void zone_wipe(const zone_t *z) {
    temp_remove(z->dir);
}

bool zone_has_last_good(const zone_t *z) {
    char path[160];
    snprintf(path, sizeof(path), "%s/" PUBLISH_LAST_GOOD, z->state_dir);
    return access(path, R_OK) == 0;
}

/* --- the disk ----------------------------------------------------------- */

bool zone_small_disk(const zone_t *z, const char *size) {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        return false;
    }
    return mount("tmpfs", z->top.path, "tmpfs", 0, size) == 0;
}

void zone_large_disk(const zone_t *z) {
    assert_int_equal(umount2(z->top.path, MNT_DETACH), 0);
}

void zone_fill_disk(const zone_t *z, bool fill) {
    char path[160];
    snprintf(path, sizeof(path), "%s/ballast", z->top.path);
    unlink(path);
    if (!fill) {
        return;
    }
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    static const char block[4096];
    while (write(fd, block, sizeof(block)) > 0) {
        /* until it is full */
    }
    close(fd);
}

/* --- as a worker sees it ------------------------------------------------ */

static void view_word(const zone_t *z, uint64_t word, view_t *view) {
    mesh_zone_error_t error = {0};
    view->word = word;
    view->map = mesh_mapping_open(z->dir, mesh_word_file(word), &error);
    if (view->map == NULL) {
        fail_msg("%s %s", error.what, error.path);
    }
    mesh_ref_t ref = mesh_word_root(word);
    assert_int_equal(mesh_mapping_adopt(view->map, ref, 0), MESH_OK);
    view->root = mesh_snapshot_root(&view->map->snapshot, ref);
    assert_non_null(view->root);
}

uint64_t zone_word(const zone_t *z) {
    const mesh_control_t *control;
    mesh_zone_error_t error;
    assert_int_equal(mesh_control_map(z->dir, &control, &error), MESH_OK);
    uint64_t word = mesh_control_word(control);
    mesh_control_unmap(control);
    return word;
}

void view_open(const zone_t *z, view_t *view) {
    view_word(z, zone_word(z), view);
}

void view_close(view_t *view) {
    mesh_mapping_unref(view->map);
}

mesh_digest_t zone_digest(const zone_t *z) {
    view_t view;
    view_open(z, &view);
    mesh_digest_t digest = view.root->digest;
    view_close(&view);
    return digest;
}

void zone_assert_digest(const zone_t *z, const mesh_digest_t *digest) {
    mesh_digest_t now = zone_digest(z);
    assert_memory_equal(&now, digest, sizeof(now));
}

uint64_t zone_file_size(const zone_t *z, uint32_t number) {
    char path[160];
    struct stat st;
    snprintf(path, sizeof(path), "%s/snapshot.%u", z->dir, number);
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

unsigned zone_files(const zone_t *z) {
    unsigned n = 0;
    DIR *dir = opendir(z->dir);
    const struct dirent *e;
    while ((e = readdir(dir)) != NULL) {
        n += strncmp(e->d_name, "snapshot.", 9) == 0;
    }
    closedir(dir);
    return n;
}

uint64_t zone_slots(const zone_t *z) {
    view_t view;
    view_open(z, &view);
    const mesh_snapshot_t *s = &view.map->snapshot;
    const mesh_rec_binding_t *binding = mesh_get(s, view.root->binding);
    mesh_map_iter_t iter = {0};
    const mesh_map_entry_t *e;
    uint64_t hash = 1;
    while ((e = mesh_map_next(s, binding->clusters, &iter)) != NULL) {
        const mesh_rec_bind_cluster_t *b = mesh_get(s, e->value);
        const mesh_rec_refs_t *slots = mesh_get(s, b->slots);
        hash = mesh_mix64(hash ^ b->slot);
        for (uint32_t i = 0; slots != NULL && i < slots->count; i++) {
            const mesh_rec_u32s_t *u = mesh_get(s, slots->v[i]);
            hash = mesh_mix64(hash ^
                              mesh_hash64(u->v, u->count * sizeof(uint32_t)));
        }
    }
    iter = (mesh_map_iter_t){0};
    while ((e = mesh_map_next(s, binding->routes, &iter)) != NULL) {
        hash = mesh_mix64(hash ^ e->aux);
    }
    view_close(&view);
    return hash;
}
