/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Random meshes of every field as records: a worker may read them, they say
 * what the model says, and a change gives what a compile from nothing gives.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "compile_line.h"
#include "mesh_writer_impl.h"
#include "model_random.h"
#include "model_read.h"
#include "model_same.h"
#include "route_fixture.h"
#include "snapshot_touch.h"

static const model_random_size_t small = {6, 150, 4, 6, NULL, false, true};

static int by_text(const void *a, const void *b) {
    return mesh_str_cmp(*(const mesh_str_t *)a, *(const mesh_str_t *)b);
}

/*
 * What compiling does not keep: entries without weight, the order of a
 * host's domains, a table that has no host and says the defaults.
 */
static void canonical(model_part_t *part) {
    for (uint32_t t = 0; t < part->ntables; t++) {
        for (uint32_t i = 0; i < part->tables[t].nvhosts; i++) {
            model_vhost_t *host = &part->tables[t].vhosts[i];

            qsort(host->domains, host->ndomains, sizeof(*host->domains),
                  by_text);
            for (uint32_t k = 0; k < host->nroutes; k++) {
                model_route_t *route = &host->routes[k];
                uint32_t kept = 0;

                for (uint32_t n = 0; n < route->nsplit; n++) {
                    if (route->split[n].weight != 0) {
                        route->split[kept++] = route->split[n];
                    }
                }
                route->nsplit = kept;
            }
        }
    }
}

/* All that was committed, checked as a worker checks it. */
static void open_line(image_t *image, const line_t *line, uint64_t seed) {
    uint64_t size = mesh_writer_size(line->w);

    image->base = memcpy(malloc(size), mesh_writer_at(line->w, 0), size);
    image->starts = calloc(1, mesh_snapshot_starts_size(FIXTURE_CAPACITY));
    if (mesh_snapshot_init(&image->s, image->base, FIXTURE_CAPACITY, size,
                           image->starts) != MESH_OK ||
        mesh_snapshot_verify(&image->s, size, 0) != MESH_OK) {
        fail_msg("seed %lu: %s", seed, image->s.error.reason);
    }
}

/* The root as workers get it: checked, and every byte of it read. */
static void check_root(const line_t *line, const model_part_t *wanted,
                       uint64_t seed) {
    arena_t *arena = arena_new();
    char where[MODEL_SAME_MAX];
    image_t image;

    open_line(&image, line, seed);
    const mesh_rec_root_t *root = mesh_snapshot_root(&image.s, line->root);
    assert_non_null(root);
    assert_true(touch_everything(&image.s) > 5);
    model_part_t *back = model_read_root(arena, &image.s, root);
    if (model_same(wanted, back, where) != NULL) {
        fail_msg("seed %lu: %s", seed, where);
    }
    image_close(&image);
    arena_free(arena);
}

static void test_comes_back(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        rng_t rng = {seed};
        arena_t *arena = arena_new();
        model_part_t *part = model_random_part(arena, &rng, &small);
        line_t line;

        line_init(&line);
        line_compile(&line, (const model_part_t *const *)&part, 1);
        canonical(part);
        check_root(&line, part, seed);
        line_free(&line);
        arena_free(arena);
    }
}

/* --- several parts, changing --------------------------------------------- */

#define PARTS 4

typedef struct {
    rng_t rng;
    arena_t *arenas[PARTS];
    model_part_t *parts[PARTS];
    uint64_t versions;
} mesh_t;

/* Another content for a part, in other memory. */
static void renew(mesh_t *mesh, uint32_t i) {
    static const char *const tags[PARTS] = {"-a", "-b", "-c", "-d"};
    static char names[PARTS][16];
    model_random_size_t size = small;

    arena_free(mesh->arenas[i]);
    mesh->arenas[i] = arena_new();
    size.tag = tags[i];
    size.endpoints = 40;
    model_part_t *part = model_random_part(mesh->arenas[i], &mesh->rng, &size);
    snprintf(names[i], sizeof(names[i]), "part %u", i);
    part->name = names[i];
    part->version = mesh_str_from(arena_printf(
        mesh->arenas[i], "%llu", (unsigned long long)++mesh->versions));
    part->time_ms = mesh->versions;
    if (part->ntables && part->tables->flags_said) {
        /* All of one table say the same. */
        part->tables->name = mesh_str_from(tags[i]);
    }
    mesh->parts[i] = part;
}

static mesh_digest_t digest_of(const mesh_t *mesh, rng_t *rng) {
    const model_part_t *shuffled[PARTS];

    for (uint32_t i = 0; i < PARTS; i++) {
        uint32_t at = rng_below(rng, i + 1);
        shuffled[i] = shuffled[at];
        shuffled[at] = mesh->parts[i];
    }
    return parts_digest(shuffled, PARTS);
}

/*
 * Part after part changes; what one compiler makes of each change has the
 * digest of a new compiler's work on all, in any order.
 */
static void check_edits(uint64_t seed) {
    mesh_t mesh = {.rng = {seed}};
    line_t line;

    line_init(&line);
    for (uint32_t i = 0; i < PARTS; i++) {
        renew(&mesh, i);
    }
    for (uint32_t step = 0; step < 12; step++) {
        if (step > 0) {
            renew(&mesh, rng_below(&mesh.rng, PARTS));
        }
        line_compile(&line, (const model_part_t *const *)mesh.parts, PARTS);
        mesh_digest_t delta = root_of(&line)->digest;
        mesh_digest_t full = digest_of(&mesh, &mesh.rng);
        if (memcmp(&delta, &full, sizeof(delta)) != 0) {
            fail_msg("seed %lu step %u: another digest", seed, step);
        }
        /* Nothing changed: nothing is appended. */
        assert_int_equal(
            line_compile(&line, (const model_part_t *const *)mesh.parts, PARTS),
            0);
    }
    for (uint32_t i = 0; i < PARTS; i++) {
        arena_free(mesh.arenas[i]);
    }
    line_free(&line);
}

static void test_changes(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 25; seed++) {
        check_edits(seed);
    }
}

/* The union of parts is what each of them says. */
static void test_union(void **state) {
    (void)state;
    for (uint64_t seed = 100; seed < 140; seed++) {
        mesh_t mesh = {.rng = {seed}};
        model_part_t whole = {.name = "whole"};
        arena_t *arena = arena_new();
        line_t line;

        line_init(&line);
        for (uint32_t i = 0; i < PARTS; i++) {
            renew(&mesh, i);
            whole.nclusters += mesh.parts[i]->nclusters;
            whole.nsets += mesh.parts[i]->nsets;
            whole.nruntime += mesh.parts[i]->nruntime;
        }
        line_compile(&line, (const model_part_t *const *)mesh.parts, PARTS);
        whole.clusters =
            arena_alloc(arena, whole.nclusters * sizeof(*whole.clusters));
        whole.sets = arena_alloc(arena, whole.nsets * sizeof(*whole.sets));
        whole.runtime =
            arena_alloc(arena, whole.nruntime * sizeof(*whole.runtime));
        whole.nclusters = whole.nsets = whole.nruntime = 0;
        for (uint32_t i = 0; i < PARTS; i++) {
            const model_part_t *part = mesh.parts[i];
            for (uint32_t k = 0; k < part->nclusters; k++) {
                whole.clusters[whole.nclusters++] = part->clusters[k];
            }
            for (uint32_t k = 0; k < part->nsets; k++) {
                whole.sets[whole.nsets++] = part->sets[k];
            }
            for (uint32_t k = 0; k < part->nruntime; k++) {
                whole.runtime[whole.nruntime++] = part->runtime[k];
            }
        }
        image_t image;
        char where[MODEL_SAME_MAX];
        open_line(&image, &line, seed);
        model_part_t *back = model_read_root(
            arena, &image.s, mesh_snapshot_root(&image.s, line.root));
        uint32_t hosts = 0, found = 0;
        for (uint32_t i = 0; i < PARTS; i++) {
            hosts +=
                mesh.parts[i]->ntables ? mesh.parts[i]->tables->nvhosts : 0;
        }
        for (uint32_t i = 0; i < back->ntables; i++) {
            found += back->tables[i].nvhosts;
        }
        assert_int_equal(found, hosts);
        back->ntables = 0;
        if (model_same(&whole, back, where) != NULL) {
            fail_msg("seed %lu: %s", seed, where);
        }
        image_close(&image);
        for (uint32_t i = 0; i < PARTS; i++) {
            arena_free(mesh.arenas[i]);
        }
        line_free(&line);
        arena_free(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_back),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_union),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
