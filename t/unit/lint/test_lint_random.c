/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A route that is called unreachable is never the first that matches, over
 * random routes and requests whose paths and values collide; and of two
 * paths one of which is said to cover the other, it does.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "lint.h"
#include "model_random.h"
#include "route_naive.h"
#include "route_world.h"

#define WORLDS 3000
#define REQUESTS 200

/* Bit i: route i is called unreachable. */
static uint32_t unreachable(arena_t *arena, world_t *world) {
    model_route_table_t table = {
        .name = MESH_STR("default"), .nvhosts = 1, .vhosts = &world->vhost};
    model_part_t part = {.arena = arena, .ntables = 1, .tables = &table};
    const model_part_t *parts = &part;
    lint_t lint = {.ngateways = 0};
    uint32_t bits = 0;

    lint_run(&lint, arena, &parts, 1);
    for (uint32_t i = 0; i < lint.count; i++) {
        if (strcmp(lint.v[i].rule->code, "unreachable-route") != 0) {
            continue;
        }
        for (uint32_t k = 0; k < world->vhost.nroutes; k++) {
            if (lint.v[i].place == &world->routes[k].place) {
                bits |= 1u << k;
            }
        }
    }
    return bits;
}

static void test_unreachable_is_never_reached(void **state) {
    uint32_t found = 0, reached = 0;
    (void)state;

    for (uint64_t seed = 1; seed <= WORLDS; seed++) {
        choice_t choice = {.rng = {seed}};
        arena_t *arena = arena_new();
        static world_t world;

        world_init(&world, &choice);

        uint32_t bits = unreachable(arena, &world);

        found += (uint32_t)__builtin_popcount(bits);
        for (uint32_t i = 0; bits && i < REQUESTS; i++) {
            fixture_request_t f;
            world_text_t text;
            world_point_t point;

            world_request(&choice, &f, &text);

            uint32_t first = world_first(&world, &f, &point);

            if (first != UINT32_MAX && bits >> first & 1) {
                fail_msg("seed %llu: route %u is reached",
                         (unsigned long long)seed, first);
            }
            reached += first != UINT32_MAX;
        }
        arena_free(arena);
    }
    /* Both happen often enough to mean something. */
    assert_true(found > WORLDS / 4);
    assert_true(reached > 10000);
}

static void test_covering_paths(void **state) {
    choice_t choice = {.rng = {7}};
    static world_t world;
    uint32_t covered = 0;
    (void)state;

    for (uint32_t i = 0; i < WORLDS; i++) {
        world_init(&world, &choice);
        for (uint32_t k = 1; k < world.vhost.nroutes; k++) {
            const model_route_t *a = &world.routes[k - 1];
            const model_route_t *b = &world.routes[k];
            char text[64];

            if (!lint_path_covers(a, b)) {
                continue;
            }
            covered++;
            for (uint32_t n = 0; n < 10; n++) {
                mesh_str_t path = world_path(&choice, text, sizeof(text));

                if (world_path_holds(b, path)) {
                    assert_true(world_path_holds(a, path));
                }
            }
            /* The path itself is one that it takes, if it is one. */
            if (b->path_match < MESH_PATH_REGEX) {
                assert_true(world_path_holds(a, b->path));
            }
        }
    }
    assert_true(covered > WORLDS / 2);
}

/* Whatever a mesh is like, findings are whole, and each is there once. */
static void test_random_meshes(void **state) {
    static const model_random_size_t size = {.clusters = 8,
                                             .endpoints = 4,
                                             .hosts = 6,
                                             .routes = 8,
                                             .names = true,
                                             .wide = true};
    uint32_t findings = 0;
    (void)state;

    for (uint64_t seed = 1; seed <= 500; seed++) {
        static const char *const gateways[] = {"127.0.0.1:80", "h.local:80"};
        rng_t rng = {seed};
        arena_t *arena = arena_new();
        const model_part_t *part = model_random_part(arena, &rng, &size);
        lint_t lint = {.ngateways = 2, .gateways = gateways};

        lint_run(&lint, arena, &part, 1);
        for (uint32_t i = 0; i < lint.count; i++) {
            assert_true(strlen(lint.v[i].subject) > 2);
            assert_true(strlen(lint.v[i].text) > 10);
            for (uint32_t k = 0; k < i; k++) {
                assert_true(lint.v[i].rule != lint.v[k].rule ||
                            strcmp(lint.v[i].subject, lint.v[k].subject) != 0 ||
                            strcmp(lint.v[i].text, lint.v[k].text) != 0);
            }
        }
        findings += lint.count;
        arena_free(arena);
    }
    assert_true(findings > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unreachable_is_never_reached),
        cmocka_unit_test(test_covering_paths),
        cmocka_unit_test(test_random_meshes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
