/* SPDX-License-Identifier: Apache-2.0 */
/* slow */

/*
 * Whole meshes as roots: equal models give equal digests however they came to
 * be, and a change costs what it touched.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "compile_line.h"
#include "compile_map.h"
#include "compile_memory.h"
#include "mesh_writer_impl.h"
#include "snapshot_sample.h"
#include "text_part.h"

#define CAPACITY (UINT64_C(256) << 20)

/* A compiler without any memory of it makes the very same records. */
static void assert_same_records(line_t *line, const mesh_world_t *world) {
    compiler_t *forgetful = compiler_new(line->w, line->slots);
    compile_request_t request = {
        .parts = (const model_part_t *const *)world->parts,
        .nparts = world->nparts,
        .previous = line->root,
        .generation = line->generation + 1,
    };
    assert_int_equal(compile_root(forgetful, &request), line->root);
    compiler_free(forgetful);
    mesh_writer_rollback(line->w);
}

static mesh_ref_t find_moved(const void *ctx, mesh_ref_t ref) {
    return mesh_copier_find(ctx, ref);
}

/* As compaction does: into a fresh writer, with what the compiler knows. */
static void line_move(line_t *line) {
    size_t size = mesh_writer_size(line->w);
    uint64_t *starts;
    mesh_snapshot_t s;
    uint8_t *bytes = memcpy(malloc(size), mesh_writer_at(line->w, 0), size);
    assert_int_equal(sample_check(&s, bytes, size, &starts), MESH_OK);
    mesh_writer_t *to = mesh_writer_create(2, CAPACITY);
    mesh_copier_t *copier = mesh_copier_create(to);
    line->root = mesh_copier_copy(copier, &s, line->root);
    assert_int_not_equal(line->root, 0);
    mesh_writer_commit(to, NULL);
    compiler_move(line->compiler, to, find_moved, copier);
    mesh_copier_free(copier);
    mesh_writer_free(line->w);
    line->w = to;
    free(starts);
    free(bytes);
}

/* --- digests ------------------------------------------------------------ */

static void test_order_of_parts_does_not_matter(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed < 20; seed++) {
        mesh_world_t world;
        line_t forward, shuffled;
        mesh_world_init(&world, seed, 40, 10, 7, true);
        const model_part_t *const *parts = mesh_world_parts(&world, false);
        const model_part_t *other[7];
        memcpy(other, parts, sizeof(other));
        for (uint32_t i = 7; i > 1; i--) {
            uint32_t k = mesh_world_random(&world, i);
            const model_part_t *part = other[i - 1];
            other[i - 1] = other[k];
            other[k] = part;
        }
        line_init(&forward);
        line_init(&shuffled);
        line_compile(&forward, parts, 7);
        line_compile(&shuffled, other, 7);
        assert_same_digest(&forward, &shuffled);
        assert_int_equal(mesh_writer_size(forward.w),
                         mesh_writer_size(shuffled.w));
        line_free(&forward);
        line_free(&shuffled);
        mesh_world_free(&world);
    }
}

static void test_order_of_resources_does_not_matter(void **state) {
    (void)state;
    mesh_world_t world;
    line_t one, many;
    mesh_world_init(&world, 3, 30, 8, 5, true);
    line_init(&many);
    line_world(&many, &world);

    /* The same clusters, all in one part, endpoints in another order. */
    mesh_world_t again;
    mesh_world_init(&again, 3, 30, 8, 1, true);
    const model_part_t *const *parts = mesh_world_parts(&again, false);
    model_endpoint_set_t *set = &again.parts[0]->sets[0];
    for (uint32_t i = 0; i < set->count / 2; i++) {
        model_endpoint_t e = set->v[i];
        set->v[i] = set->v[set->count - 1 - i];
        set->v[set->count - 1 - i] = e;
    }
    line_init(&one);
    line_compile(&one, parts, 1);
    assert_same_digest(&one, &many);

    line_free(&one);
    line_free(&many);
    mesh_world_free(&world);
    mesh_world_free(&again);
}

static void check_delta_against_full(uint64_t seed) {
    mesh_world_t world;
    line_t delta;
    mesh_world_init(&world, seed, 12, 20, 5, seed % 2 == 0);
    line_init(&delta);
    for (unsigned step = 0; step < 60; step++) {
        line_world(&delta, &world);
        assert_same_records(&delta, &world);
        if (seed % 3 == 0 && step % 7 == 0) {
            line_move(&delta);
            assert_same_records(&delta, &world);
        }

        line_t fresh;
        line_init(&fresh);
        line_compile(&fresh, mesh_world_parts(&world, step % 3 == 0),
                     world.nparts);
        assert_same_digest(&delta, &fresh);
        line_free(&fresh);

        unsigned edits = 1 + mesh_world_random(&world, 3);
        for (unsigned i = 0; i < edits; i++) {
            mesh_world_edit_any(&world);
        }
    }
    line_free(&delta);
    mesh_world_free(&world);
}

static void test_delta_is_what_a_full_compile_gives(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        check_delta_against_full(seed);
    }
}

static void test_a_change_changes_the_digest(void **state) {
    (void)state;
    mesh_world_t world;
    line_t line;
    mesh_world_init(&world, 5, 10, 10, 2, true);
    line_init(&line);
    line_world(&line, &world);
    for (unsigned i = 0; i < 20; i++) {
        mesh_rec_root_t before = *root_of(&line);
        mesh_world_touch_endpoint(&world, i % 10);
        line_world(&line, &world);
        assert_memory_not_equal(&root_of(&line)->digest, &before.digest,
                                sizeof(mesh_digest_t));
        assert_int_equal(root_of(&line)->policy, before.policy);
    }
    line_free(&line);
    mesh_world_free(&world);
}

/* --- what a change costs ------------------------------------------------ */

static void test_unchanged_appends_nothing(void **state) {
    (void)state;
    mesh_world_t world;
    line_t line;
    mesh_world_init(&world, 7, 50, 50, 10, true);
    line_init(&line);
    line_world(&line, &world);
    mesh_ref_t root = line.root;

    assert_int_equal(line_world(&line, &world), 0);
    assert_int_equal(line.root, root);

    /* New objects of new versions, and the same content. */
    const model_part_t *const *parts = mesh_world_parts(&world, true);
    assert_int_equal(line_compile(&line, parts, world.nparts), 0);
    assert_int_equal(line.root, root);
    line_free(&line);
    mesh_world_free(&world);
}

static void check_append(uint32_t clusters, uint32_t endpoints,
                         uint32_t parts) {
    mesh_world_t world;
    line_t line;
    uint64_t most = 0;
    mesh_world_init(&world, 11, clusters, endpoints, parts, true);
    line_init(&line);
    line_world(&line, &world);
    for (unsigned i = 0; i < 100; i++) {
        uint32_t cluster = mesh_world_random(&world, clusters);
        switch (i % 3) {
        case 0:
            mesh_world_touch_endpoint(&world, cluster);
            break;
        case 1:
            mesh_world_add_endpoint(&world, cluster, (UINT32_C(1) << 20) + i);
            break;
        default:
            mesh_world_remove_endpoint(&world, cluster);
            break;
        }
        uint64_t appended = line_world(&line, &world);
        most = mesh_max(most, appended);
        assert_in_range(appended, 1, 16384);
    }
    print_message("one endpoint of %u x %u appends at most %llu bytes\n",
                  clusters, endpoints, (unsigned long long)most);
    line_free(&line);
    mesh_world_free(&world);
}

static void test_one_endpoint_is_cheap(void **state) {
    (void)state;
    check_append(1, 50, 1);
    check_append(1, 10000, 1);
    check_append(20, 50, 5);
    check_append(2000, 50, 2000);
}

/* Whatever the mesh has besides, the parts that differ are compiled. */
static void test_a_delta_compiles_what_differs(void **state) {
    (void)state;
    mesh_world_t world;
    line_t line;
    mesh_world_init(&world, 41, 300, 5, 300, true);
    line_init(&line);
    line_world(&line, &world);
    assert_int_equal(compiler_work(line.compiler), 900);
    for (unsigned i = 0; i < 200; i++) {
        uint32_t cluster = mesh_world_random(&world, 300);
        if (i % 2) {
            mesh_world_touch_route(&world, cluster);
        } else {
            mesh_world_touch_endpoint(&world, cluster);
        }
        if (i % 50 == 49) {
            line_move(&line);
        }
        line_world(&line, &world);
        /* A cluster, its endpoints and its host. */
        assert_int_equal(compiler_work(line.compiler), 3);
        line_world(&line, &world);
        assert_int_equal(compiler_work(line.compiler), 0);
    }
    line_free(&line);
    mesh_world_free(&world);
}

/* Two lines of the same edits, one of which changes its writer. */
static void test_a_move_costs_no_later_change_anything(void **state) {
    (void)state;
    mesh_world_t world;
    line_t stays, moves;
    mesh_world_init(&world, 43, 200, 50, 200, true);
    line_init(&stays);
    line_init(&moves);
    line_world(&stays, &world);
    line_world(&moves, &world);
    line_move(&moves);
    for (unsigned i = 0; i < 100; i++) {
        mesh_world_edit_any(&world);
        uint64_t appended = line_world(&stays, &world);
        uint32_t work = compiler_work(stays.compiler);
        assert_in_range(line_world(&moves, &world), 0, appended);
        assert_int_equal(compiler_work(moves.compiler), work);
        assert_same_digest(&stays, &moves);
        assert_same_records(&moves, &world);
        if (i == 50) {
            line_move(&moves);
        }
    }
    line_free(&stays);
    line_free(&moves);
    mesh_world_free(&world);
}

/* What only an older policy had is gone; what is missing is compiled again. */
static void test_a_move_with_a_pinned_policy(void **state) {
    (void)state;
    mesh_world_t world;
    line_t line;
    mesh_world_init(&world, 47, 20, 5, 20, true);
    line_init(&line);
    line_world(&line, &world);
    mesh_ref_t pinned = root_of(&line)->policy;
    for (unsigned i = 0; i < 70; i++) {
        mesh_world_touch_route(&world, i % 20);
        mesh_world_touch_endpoint(&world, i % 20);
        compile_request_t request = {.parts = mesh_world_parts(&world, false),
                                     .nparts = world.nparts,
                                     .previous = line.root,
                                     .policy = pinned,
                                     .generation = ++line.generation,
                                     .flags = MESH_ROOT_PINNED};
        line.root = compile_root(line.compiler, &request);
        assert_int_not_equal(line.root, 0);
        mesh_writer_commit(line.w, NULL);
        if (i == 65) {
            line_move(&line);
            pinned = root_of(&line)->policy;
        }
    }
    line_world(&line, &world);
    assert_same_records(&line, &world);
    assert_int_equal(root_of(&line)->flags, 0);
    line_free(&line);
    mesh_world_free(&world);
}

/* The node's locality is in bindings that ask for it, and in no content. */
static void test_where_the_node_is(void **state) {
    (void)state;
    arena_t *arena = arena_new();
    const model_part_t *part =
        text_part(arena, "a.yaml",
                  "clusters:\n"
                  "  near: {endpoints: ['127.0.0.1:1'], lb: {policy: random, "
                  "locality_failover: true}}\n"
                  "  plain: {endpoints: ['127.0.0.1:1']}\n");
    static const model_locality_t nodes[] = {{.zone = mesh_str("a")},
                                             {.zone = mesh_str("b")},
                                             {.zone = mesh_str("")}};
    mesh_digest_t policy = {{0}};
    model_errors_t errors;

    for (size_t i = 0; i < mesh_nelts(nodes); i++) {
        line_t line;
        line_init(&line);
        model_errors_init(&errors, arena);
        compile_request_t request = {.parts = &part,
                                     .nparts = 1,
                                     .node = &nodes[i],
                                     .generation = 1,
                                     .errors = &errors};
        line.root = compile_root(line.compiler, &request);
        assert_int_not_equal(line.root, 0);
        assert_int_equal(errors.warnings, i == 2);

        const mesh_rec_root_t *root = root_of(&line);
        const mesh_rec_policy_t *rec = mesh_writer_get(line.w, root->policy);
        if (i == 0) {
            policy = rec->digest;
        }
        assert_memory_equal(&policy, &rec->digest, sizeof(policy));

        static const char *const names[] = {"near", "plain"};
        for (size_t k = 0; k < 2; k++) {
            const mesh_rec_binding_t *binding =
                mesh_writer_get(line.w, root->binding);
            const mesh_map_entry_t *entry = compile_map_find(
                line.w, binding->clusters,
                mesh_writer_put_str(line.w, mesh_str_from(names[k])));
            const mesh_rec_bind_cluster_t *bind =
                mesh_writer_get(line.w, entry->value);
            assert_int_equal(bind->node != 0, k == 0 && i < 2);
        }
        line_free(&line);
    }
    arena_free(arena);
}

static mesh_str_t local_of(const line_t *line, const char *name) {
    const mesh_rec_binding_t *binding =
        mesh_writer_get(line->w, root_of(line)->binding);
    const mesh_map_entry_t *entry =
        compile_map_find(line->w, binding->clusters,
                         mesh_writer_put_str(line->w, mesh_str_from(name)));
    const mesh_rec_bind_cluster_t *bind =
        mesh_writer_get(line->w, entry->value);
    assert_int_equal(bind->node != 0, strcmp(name, "plain") != 0);
    return bind->local ? compile_text(line->w, bind->local) : MESH_STR_NULL;
}

/* The policy's own, or the agent's; a warning where there is neither. */
static void test_what_the_node_is(void **state) {
    (void)state;
    arena_t *arena = arena_new();
    const model_part_t *part =
        text_part(arena, "a.yaml",
                  "clusters:\n"
                  "  said: {endpoints: ['127.0.0.1:1'], lb: {policy: random, "
                  "zone_aware: plain}}\n"
                  "  asked: {endpoints: ['127.0.0.1:1'], lb: {policy: random, "
                  "zone_aware: {}}}\n"
                  "  plain: {endpoints: ['127.0.0.1:1']}\n");
    static const model_locality_t node = {.zone = mesh_str("a")};
    model_errors_t errors;

    for (int named = 0; named < 2; named++) {
        line_t line;
        line_init(&line);
        model_errors_init(&errors, arena);
        compile_request_t request = {.parts = &part,
                                     .nparts = 1,
                                     .node = &node,
                                     .local_cluster = named ? MESH_STR("shop")
                                                            : MESH_STR_NULL,
                                     .generation = 1,
                                     .errors = &errors};
        line.root = compile_root(line.compiler, &request);
        assert_int_not_equal(line.root, 0);
        assert_int_equal(errors.warnings, !named);
        assert_true(mesh_str_eq(local_of(&line, "said"), MESH_STR("plain")));
        assert_true(
            mesh_str_eq(local_of(&line, "asked"), request.local_cluster));
        assert_int_equal(local_of(&line, "plain").len, 0);
        line_free(&line);
    }
    arena_free(arena);
}

static void test_one_route_among_many_hosts(void **state) {
    (void)state;
    mesh_world_t world;
    line_t line;
    uint64_t most = 0;
    mesh_world_init(&world, 53, 10000, 1, 10000, true);
    line_init(&line);
    line_world(&line, &world);
    for (unsigned i = 0; i < 20; i++) {
        mesh_world_touch_route(&world, mesh_world_random(&world, 10000));
        uint64_t appended = line_world(&line, &world);
        most = mesh_max(most, appended);
        assert_int_equal(compiler_work(line.compiler), 3);
        assert_in_range(appended, 1, 16384);
    }
    print_message("one route of 10000 hosts appends at most %llu bytes\n",
                  (unsigned long long)most);
    line_free(&line);
    mesh_world_free(&world);
}

static uint64_t size_of(uint32_t clusters, uint32_t endpoints, bool routes) {
    mesh_world_t world;
    line_t line;
    mesh_world_init(&world, 13, clusters, endpoints, 4, routes);
    line_init(&line);
    uint64_t size = line_world(&line, &world);
    line_free(&line);
    mesh_world_free(&world);
    return size;
}

static void test_bytes_of_a_large_mesh(void **state) {
    (void)state;
    uint64_t bare = size_of(2000, 0, false) / 2000;
    uint64_t routed = size_of(2000, 0, true) / 2000;
    uint64_t whole = size_of(2000, 50, true);
    uint64_t endpoint = (whole - routed * 2000) / 100000;
    print_message("bytes: %llu a cluster, %llu with a host, %llu an endpoint, "
                  "%llu in all\n",
                  (unsigned long long)bare, (unsigned long long)routed,
                  (unsigned long long)endpoint, (unsigned long long)whole);
    assert_in_range(routed, 1, 1024);
    assert_in_range(endpoint, 1, 160);
}

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Figures for people: shared machines make no promises to assert. */
static void test_figures(void **state) {
    (void)state;
    for (unsigned routes = 0; routes < 2; routes++) {
        mesh_world_t world;
        line_t line;
        mesh_world_init(&world, 17, 2000, 50, 2000, routes);
        (void)mesh_world_parts(&world, false);
        line_init(&line);
        double start = now_ms();
        line_world(&line, &world);
        double full = now_ms() - start;
        double worst = 0, sum = 0;
        for (unsigned i = 0; i < 50; i++) {
            mesh_world_touch_endpoint(&world, mesh_world_random(&world, 2000));
            (void)mesh_world_parts(&world, false);
            start = now_ms();
            line_world(&line, &world);
            double took = now_ms() - start;
            worst = mesh_max(worst, took);
            sum += took;
        }
        start = now_ms();
        line_compile(&line, mesh_world_parts(&world, true), world.nparts);
        double again = now_ms() - start;
        print_message("2000 x 50, %s: full %.1f ms, the same from new parts "
                      "%.1f ms, one endpoint %.2f ms (worst %.2f)\n",
                      routes ? "a host each" : "no hosts", full, again,
                      sum / 50, worst);
        assert_true(full > 0 && worst > 0);
        line_free(&line);
        mesh_world_free(&world);
    }
}

/* --- roots -------------------------------------------------------------- */

static void test_history_is_a_ring(void **state) {
    (void)state;
    mesh_world_t world;
    line_t line;
    mesh_world_init(&world, 19, 3, 5, 1, false);
    line_init(&line);
    for (uint32_t i = 0; i < MESH_HISTORY_MAX + 10; i++) {
        mesh_world_touch_endpoint(&world, 0);
        line_world(&line, &world);
        const mesh_rec_root_t *root = root_of(&line);
        assert_int_equal(root->generation, i + 1);
        if (i == 0) {
            assert_int_equal(root->history, 0);
            continue;
        }
        const mesh_rec_refs_t *ring = mesh_writer_get(line.w, root->history);
        assert_int_equal(ring->count, mesh_min(i, MESH_HISTORY_MAX));
        for (uint32_t k = 0; k < ring->count; k++) {
            const mesh_rec_root_t *old = mesh_writer_get(line.w, ring->v[k]);
            assert_int_equal(old->generation, i - k);
        }
    }
    line_free(&line);
    mesh_world_free(&world);
}

static void test_an_older_policy_with_new_endpoints(void **state) {
    (void)state;
    mesh_world_t world;
    line_t line;
    mesh_world_init(&world, 23, 4, 5, 2, true);
    line_init(&line);
    line_world(&line, &world);
    mesh_rec_root_t first = *root_of(&line);

    world.clusters[1].timeout_ms = 99;
    mesh_world_dirty(&world, 1);
    mesh_world_touch_endpoint(&world, 2);
    line_world(&line, &world);
    mesh_rec_root_t second = *root_of(&line);
    assert_int_not_equal(first.policy, second.policy);

    compile_request_t request = {
        .parts = mesh_world_parts(&world, false),
        .nparts = world.nparts,
        .previous = line.root,
        .policy = first.policy,
        .generation = 3,
        .reason = MESH_STR("rollback"),
        .flags = MESH_ROOT_ROLLED_BACK,
    };
    mesh_ref_t ref = compile_root(line.compiler, &request);
    assert_int_not_equal(ref, 0);
    const mesh_rec_root_t *third = mesh_writer_get(line.w, ref);
    assert_int_equal(third->policy, first.policy);
    assert_int_equal(third->endpoints, second.endpoints);
    assert_int_equal(third->flags, MESH_ROOT_ROLLED_BACK);
    line_free(&line);
    mesh_world_free(&world);
}

static void test_sources_are_told_once_each(void **state) {
    (void)state;
    mesh_world_t world;
    line_t line;
    mesh_world_init(&world, 29, 600, 0, 600, false);
    (void)mesh_world_parts(&world, false);
    /* As a stream does: the same name for many parts. */
    for (uint32_t i = 300; i < 600; i++) {
        world.parts[i]->name = "a stream";
    }
    line_init(&line);
    line_world(&line, &world);
    const mesh_rec_sources_t *sources =
        mesh_writer_get(line.w, root_of(&line)->sources);
    assert_int_equal(sources->count, 256);
    unsigned streams = 0;
    for (uint32_t i = 0; i < sources->count; i++) {
        mesh_str_t name = compile_text(line.w, sources->v[i].name);
        if (mesh_str_eq(name, MESH_STR("a stream"))) {
            assert_int_equal(sources->v[i].time_ms, 600);
            streams++;
        }
    }
    assert_int_equal(streams, 1);
    line_free(&line);
    mesh_world_free(&world);
}

static void test_an_empty_mesh(void **state) {
    (void)state;
    line_t line;
    line_init(&line);
    line_compile(&line, NULL, 0);
    const mesh_rec_root_t *root = root_of(&line);
    const mesh_rec_policy_t *policy = mesh_writer_get(line.w, root->policy);
    assert_int_equal(policy->clusters, 0);
    assert_int_equal(policy->route_tables, 0);
    assert_int_equal(line_compile(&line, NULL, 0), 0);
    line_free(&line);
}

static void test_a_name_that_is_there_twice(void **state) {
    (void)state;
    mesh_world_t a, b;
    line_t line;
    mesh_world_init(&a, 31, 5, 3, 1, false);
    mesh_world_init(&b, 31, 5, 3, 1, false);
    b.clusters[0].timeout_ms = 77;
    const model_part_t *parts[] = {mesh_world_parts(&b, false)[0],
                                   mesh_world_parts(&a, false)[0]};
    a.parts[0]->name = "first";
    b.parts[0]->name = "second";
    line_init(&line);
    line_compile(&line, parts, 2);

    line_t alone;
    line_init(&alone);
    line_world(&alone, &a);
    assert_same_digest(&line, &alone);
    line_free(&alone);
    line_free(&line);
    mesh_world_free(&a);
    mesh_world_free(&b);
}

static void test_a_full_writer_is_told(void **state) {
    (void)state;
    mesh_world_t world;
    mesh_world_init(&world, 37, 500, 50, 5, true);
    mesh_writer_t *w = mesh_writer_create(1, MESH_FILE_CAPACITY_MIN);
    slots_t *slots = slots_new(NULL, always_past, NULL);
    compiler_t *compiler = compiler_new(w, slots);
    compile_request_t request = {.parts = mesh_world_parts(&world, false),
                                 .nparts = world.nparts,
                                 .generation = 1};
    assert_int_equal(compile_root(compiler, &request), 0);
    assert_non_null(mesh_writer_error(w));
    compiler_free(compiler);
    slots_free(slots);
    mesh_writer_free(w);
    mesh_world_free(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_of_parts_does_not_matter),
        cmocka_unit_test(test_order_of_resources_does_not_matter),
        cmocka_unit_test(test_delta_is_what_a_full_compile_gives),
        cmocka_unit_test(test_a_change_changes_the_digest),
        cmocka_unit_test(test_unchanged_appends_nothing),
        cmocka_unit_test(test_one_endpoint_is_cheap),
        cmocka_unit_test(test_a_delta_compiles_what_differs),
        cmocka_unit_test(test_a_move_costs_no_later_change_anything),
        cmocka_unit_test(test_a_move_with_a_pinned_policy),
        cmocka_unit_test(test_where_the_node_is),
        cmocka_unit_test(test_what_the_node_is),
        cmocka_unit_test(test_one_route_among_many_hosts),
        cmocka_unit_test(test_bytes_of_a_large_mesh),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_history_is_a_ring),
        cmocka_unit_test(test_an_older_policy_with_new_endpoints),
        cmocka_unit_test(test_sources_are_told_once_each),
        cmocka_unit_test(test_an_empty_mesh),
        cmocka_unit_test(test_a_name_that_is_there_twice),
        cmocka_unit_test(test_a_full_writer_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
