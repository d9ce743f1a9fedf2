/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Hostile runtime bytes: what agent and tools read of a runtime must stay in
 * bounds and change nothing; what a worker finds in one must not lead it out
 * of bounds either.
 *
 * Odd first byte: the input is the file.  Even: the head is right (or nothing
 * behind it would ever be reached) and the input fills the slots.
 */

#include <stdlib.h>

/* Fuzz targets link no test library. */
#include "cluster_fixture.c"

#include "mesh_listener.h"
#include "mesh_outlier.h"

#define FUZZ_NOW UINT64_C(5000)
#define FUZZ_SIZE_MAX 65536

static fixture_t *fuzz_cluster(void) {
    static const fixture_endpoint_t endpoints[] = {
        {.id = 0, .weight = 1, .labels = "version=v1", .zone = "a"},
        {.id = 1, .weight = 2, .labels = "version=v2", .zone = "b"},
        {.id = 2, .weight = 2, .labels = "version=v2", .zone = "a"},
        {.id = 3, .weight = 0},
        {.id = 4, .weight = 1, .health = MESH_HEALTH_UNHEALTHY},
        {.id = 5, .weight = 1, .priority = 1},
        {.id = 6, .weight = 1, .slotless = true},
        {.id = 40, .weight = 1}};
    static const fixture_subset_t subsets[] = {{"v1", "version=v1"},
                                               {"v2", "version=v2"}};
    static const fixture_endpoint_t locals[] = {
        {.id = 2, .weight = 1, .zone = "a"},
        {.id = 3, .weight = 1, .zone = "a"},
        {.id = 7, .weight = 1, .zone = "b"},
        {.id = 41, .weight = 1, .zone = "b"}};
    static const mesh_rec_zone_aware_t zone = {.enabled_percent = 100};
    static const fixture_spec_t local = {
        .name = "shop", .slot = 0, .count = 4, .endpoints = locals};
    static fixture_t *f;

    if (f == NULL) {
        f = fixture_new(&(fixture_spec_t){.zone_aware = &zone,
                                          .node = "a",
                                          .local_name = "shop",
                                          .local = &local,
                                          .lb = MESH_LB_LEAST_REQUEST,
                                          .panic_percent = 50,
                                          .slot = 1,
                                          .count = 8,
                                          .endpoints = endpoints,
                                          .nsubsets = 2,
                                          .subsets = subsets});
    }
    return f;
}

static void check(bool ok) {
    if (!ok) {
        abort();
    }
}

static void use_view(const mesh_cluster_view_t *view,
                     const mesh_runtime_t *rt) {
    check(view->total == 8 && view->nsubsets == 3);

    for (uint32_t i = 0; i < view->nsubsets; i++) {
        const mesh_view_subset_t *subset = &view->subsets[i];
        check(subset->count <= subset->members);
        for (uint64_t ticket = 0; ticket < 8; ticket++) {
            uint32_t tried[] = {0, 2};
            mesh_pick_t pick = {.ticket = ticket,
                                .view = view,
                                .subset = subset,
                                .rt = rt,
                                .tried = tried,
                                .ntried = ticket % 3};
            uint32_t at = mesh_lb_pick(&pick);
            check(at == MESH_PICK_NONE ? subset->count == 0 : at < 8);
        }
    }
}

static mesh_cluster_view_t *view_of(fixture_t *f, mesh_runtime_t *rt,
                                    bool writable) {
    mesh_cluster_view_t *view =
        mesh_cluster_view(&f->snapshot, f->root, f->bind, &f->health, rt,
                          writable, FUZZ_NOW, &f->arena);
    check(view != NULL);
    use_view(view, rt);
    return view;
}

/* Whatever they say, it is read from the copy. */
static void read_listeners(const mesh_runtime_t *rt) {
    mesh_listeners_t *copy = malloc(sizeof(*copy));

    check(copy != NULL);
    for (uint32_t w = 0; w <= rt->sizes.workers; w++) {
        if (!mesh_listeners_read(rt, w, copy)) {
            continue;
        }
        for (uint32_t i = 0; i < copy->count; i++) {
            mesh_str_t path = mesh_listener_path(copy, &copy->v[i]), name;
            uint32_t at = 0;

            check(path.data + path.len <= copy->text + copy->text_len);
            while (mesh_listener_table(copy, &copy->v[i], &at, &name)) {
                check(name.data + name.len < copy->text + copy->text_len);
            }
        }
    }
    free(copy);
}

static void forget(fixture_t *f) {
    while (f->nblocks > 0) {
        free(f->blocks[--f->nblocks]);
    }
}

static void read_only(fixture_t *f, mesh_runtime_t *rt) {
    void *before = malloc(rt->size);
    check(before != NULL);
    memcpy(before, rt->head, rt->size);
    view_of(f, rt, false);
    read_listeners(rt);
    check(memcmp(before, rt->head, rt->size) == 0);
    free(before);
    forget(f);
}

static void as_worker(fixture_t *f, mesh_runtime_t *rt, uint8_t choice) {
    static const mesh_rec_outlier_t policy = {.consecutive_5xx = 1,
                                              .base_ejection_ms = 10,
                                              .max_ejection_percent = 40};
    mesh_outcome_t outcome = {MESH_OUTCOME_STATUS, 500, -1};
    uint32_t endpoint = choice % 9;

    rt->worker = choice % 4; /* one past the end as well */
    view_of(f, rt, true);
    mesh_runtime_begin(rt, 1, endpoint);
    mesh_outlier_report(rt, &policy, 1, endpoint, 8, &outcome, choice,
                        FUZZ_NOW);
    mesh_runtime_end(rt, 1, endpoint);
    mesh_runtime_uneject(rt, 1, endpoint, FUZZ_NOW + choice, choice % 2);

    for (uint32_t i = 0; i <= rt->sizes.workers; i++) {
        mesh_runtime_reap(rt, i);
    }

    /* Nobody is between two steps now: one more view makes it right. */
    const mesh_cluster_view_t *view = view_of(f, rt, true);
    view = view_of(f, rt, true);
    if (view->runtime != NULL) {
        uint32_t flags = 0;
        for (uint32_t i = 0; i < view->total; i++) {
            uint32_t slot = view->endpoints[i].slot;
            flags +=
                slot < rt->sizes.endpoints && rt->endpoints[slot].ejected != 0;
        }
        check(mesh_cluster_ejected(view->runtime) == flags);
    }
    forget(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fixture_t *f = fuzz_cluster();
    mesh_runtime_t rt;

    if (size < 4 || size > FUZZ_SIZE_MAX) {
        return 0;
    }

    mesh_runtime_sizes_t sizes = {1 + data[1] % 3, 1 + data[2] % 3, 1,
                                  1 + data[3] % 8};
    bool raw = data[0] & 1;
    uint64_t total = raw ? size - 4 : mesh_runtime_file_size(&sizes);
    uint8_t *base = calloc(1, total ? total : 1);
    check(base != NULL);

    if (raw) {
        memcpy(base, data + 4, size - 4);
    } else {
        size_t head = sizeof(mesh_runtime_head_t);
        check(mesh_runtime_init(&rt, base, total, &sizes, true, 1) == MESH_OK);
        memcpy(base + head, data + 4, mesh_min(total - head, size - 4));
        if (data[0] & 2) {
            /* Few inputs are as long as the way to the listeners. */
            uint64_t at = rt.head->listeners;
            memcpy(base + at, data + 4, mesh_min(total - at, size - 4));
        }
    }

    if (mesh_runtime_init(&rt, base, total, NULL, false, 0) == MESH_OK) {
        read_only(f, &rt);
        as_worker(f, &rt, data[0] >> 1);
    } else {
        check(raw);
    }

    free(base);
    return 0;
}
