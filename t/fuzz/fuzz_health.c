/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Hostile health words: whatever the file holds, reading it stays in bounds
 * and a view of it is a whole one.
 *
 * Odd first byte: the input is the file.  Even: the head is right (or nothing
 * behind it would ever be reached) and the input fills epochs and words.
 */

#include <stdlib.h>

/* Fuzz targets link no test library. */
#include "cluster_fixture.c"

#define FUZZ_NOW UINT64_C(5000)
#define FUZZ_WORDS 8

static void check(bool ok) {
    if (!ok) {
        abort();
    }
}

static fixture_t *cluster(void) {
    static const fixture_endpoint_t endpoints[] = {
        {.id = 0, .weight = 1},
        {.id = 1, .weight = 2},
        {.id = 7, .weight = 0},
        {.id = 8, .weight = 1},
        {.id = 9, .weight = 1, .slotless = true}};
    static fixture_t *f;

    if (f == NULL) {
        f = fixture_new(&(fixture_spec_t){
            .panic_percent = 50, .count = 5, .endpoints = endpoints});
    }
    return f;
}

static void use(const mesh_health_t *health) {
    fixture_t *f = cluster();
    const mesh_cluster_view_t *view =
        mesh_cluster_view(&f->snapshot, f->root, f->bind, health, NULL, false,
                          FUZZ_NOW, &f->arena);

    check(view != NULL && view->total == 5);
    for (uint32_t i = 0; i < view->total; i++) {
        bool known = view->endpoints[i].slot < health->endpoints;
        check(known || !(view->endpoints[i].out & MESH_OUT_DRAINED));
    }
    check(mesh_cluster_view_current(view, f->bind, health, FUZZ_NOW + 999));
    for (uint32_t slot = 0; slot < 2 * FUZZ_WORDS; slot++) {
        check(mesh_health_bits(health, slot, slot * 3) <= MESH_HEALTH_CAUSES);
    }
    (void)mesh_health_epoch(health, UINT64_MAX);
    (void)mesh_health_changes(health);
    while (f->nblocks > 0) {
        free(f->blocks[--f->nblocks]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mesh_health_t health;

    if (size == 0) {
        return 0;
    }
    bool whole = data[0] & 1;
    size_t total = whole ? size - 1 : mesh_health_size(FUZZ_WORDS);
    uint8_t *file = calloc(1, total + 8);
    check(file != NULL);
    if (whole) {
        memcpy(file, data + 1, size - 1);
    } else {
        memcpy(file + 16, data + 1, mesh_min(size - 1, total - 16));
        mesh_health_head_t head;
        mesh_health_head(&head, FUZZ_WORDS, 0);
        memcpy(file, &head, 16);
    }
    mesh_status_t rc = mesh_health_init(&health, file, total);
    check(whole || rc == MESH_OK);
    check((rc == MESH_OK) == (health.head != NULL));
    use(&health);
    if (rc == MESH_OK) {
        (void)mesh_health_set(&health, data[0] % (2 * FUZZ_WORDS), 5, 6, 8);
    }
    free(file);
    return 0;
}
