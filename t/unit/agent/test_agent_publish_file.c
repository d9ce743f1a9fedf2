/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The publisher's files: restarts and crashes at any point, compaction,
 * full files and full disks.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent_log.h"
#include "agent_publish_state.h"
#include "publish_zone.h"

/* --- restarts and crashes ----------------------------------------------- */

static void test_a_restart_continues(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    mesh_world_init(&world, 3, 10, 8, 3, true);
    for (unsigned i = 1; i <= 20; i++) {
        zone_open(&z);
        if (i > 1) {
            /* What it finds is what it left. */
            assert_int_equal(zone_publish(&z, &world), PUBLISH_UNCHANGED);
        }
        mesh_world_touch_endpoint(&world, i % 10);
        uint64_t slots = i > 1 ? zone_slots(&z) : 0;
        assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
        assert_int_equal(z.result.generation, i);
        if (i > 1) {
            assert_int_equal(zone_slots(&z), slots);
        }
        zone_kill(&z);
    }
    assert_int_equal(zone_files(&z), 1);
    zone_free(&z);
    mesh_world_free(&world);
}

static void append_garbage(const zone_t *z, uint32_t number, size_t n) {
    char path[160];
    snprintf(path, sizeof(path), "%s/snapshot.%u", z->dir, number);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    assert_true(fd >= 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(write(fd, "\xa5", 1), 1);
    }
    close(fd);
}

/* Died after some bytes were appended and before the word was stored. */
static void test_killed_while_appending(void **state) {
    (void)state;
    static const size_t torn[] = {1, 7, 8, 64, 5000};
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    mesh_world_init(&world, 4, 10, 8, 3, true);
    zone_open(&z);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    for (unsigned i = 0; i < mesh_nelts(torn); i++) {
        uint64_t word = zone_word(&z);
        uint64_t size = zone_file_size(&z, 1);
        zone_kill(&z);
        append_garbage(&z, 1, torn[i]);
        zone_open(&z);
        assert_int_equal(zone_word(&z), word);
        assert_int_equal(zone_file_size(&z, 1), size);
        mesh_world_touch_endpoint(&world, i);
        assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
        (void)zone_digest(&z);
    }
    zone_free(&z);
    mesh_world_free(&world);
}

/* Died with everything appended, even checked, but for the store. */
static void test_killed_before_the_store(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    mesh_world_init(&world, 5, 10, 8, 3, true);
    zone_open(&z);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    uint64_t word = zone_word(&z);
    mesh_digest_t digest = zone_digest(&z);

    mesh_world_touch_endpoint(&world, 1);
    compile_request_t r = {.parts = mesh_world_parts(&world, false),
                           .nparts = world.nparts,
                           .previous = z.p->file.root,
                           .generation = 2};
    char text[PUBLISH_TEXT_MAX];
    mesh_ref_t ref = compile_root(z.p->file.compiler, &r);
    assert_int_equal(publish_file_flush(&z.p->zone, &z.p->file, ref, text),
                     MESH_OK);
    zone_kill(&z);

    assert_int_equal(zone_word(&z), word);
    zone_open(&z);
    zone_assert_digest(&z, &digest);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    assert_int_equal(z.result.generation, 2);
    zone_free(&z);
    mesh_world_free(&world);
}

/* Died in a compaction: the next file is there, whole or in part. */
static void test_killed_while_compacting(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    mesh_world_init(&world, 6, 10, 8, 3, true);
    zone_open(&z);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    mesh_digest_t digest = zone_digest(&z);
    zone_kill(&z);
    append_garbage(&z, 2, 1000);
    append_garbage(&z, 9, 10);

    zone_open(&z);
    zone_assert_digest(&z, &digest);
    assert_int_equal(zone_files(&z), 1);
    z.p->compact_at = 0;
    zone_tick(&z, 1);
    assert_int_equal(mesh_word_file(zone_word(&z)), 2);
    zone_assert_digest(&z, &digest);
    zone_free(&z);
    mesh_world_free(&world);
}

/* Died before the first root was published. */
static void test_killed_before_the_first_root(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    mesh_world_init(&world, 7, 10, 8, 3, true);
    zone_open(&z);
    zone_kill(&z);
    append_garbage(&z, 1, 100);
    zone_open(&z);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    assert_int_equal(mesh_word_file(zone_word(&z)), 1);
    zone_free(&z);
    mesh_world_free(&world);
}

static void test_a_corrupt_file_is_given_up(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    char path[160];
    zone_init(&z);
    mesh_world_init(&world, 8, 10, 8, 3, true);
    zone_open(&z);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    zone_kill(&z);
    snprintf(path, sizeof(path), "%s/snapshot.1", z.dir);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "\xff\xff\xff\xff", 4, 72), 4);
    close(fd);

    zone_open(&z);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    assert_int_equal(mesh_word_file(zone_word(&z)), 2);
    (void)zone_digest(&z);
    zone_free(&z);
    mesh_world_free(&world);
}

/* --- compaction and full files ------------------------------------------ */

static void test_compaction_keeps_everything(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    mesh_world_init(&world, 9, 10, 20, 3, true);
    zone_open(&z);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
        mesh_world_touch_endpoint(&world, i % 10);
    }
    mesh_digest_t digest = zone_digest(&z);
    uint64_t slots = zone_slots(&z);
    uint64_t size = zone_file_size(&z, 1);
    view_t old;
    view_open(&z, &old);

    z.p->compact_at = 0;
    zone_tick(&z, 1);
    assert_int_equal(mesh_word_file(zone_word(&z)), 2);
    zone_assert_digest(&z, &digest);
    assert_int_equal(zone_slots(&z), slots);
    assert_true(zone_file_size(&z, 2) < size);
    publisher_info_t info;
    publisher_info(z.p, &info);
    assert_int_equal(info.generation, 100);
    assert_int_equal(info.history, MESH_HISTORY_MAX);
    assert_int_equal(info.compactions, 1);

    /* Who still reads the old file reads on. */
    assert_memory_equal(&old.root->digest, &digest, sizeof(digest));
    view_close(&old);

    /* A delta after it is still a delta, and slots hold. */
    publish_outcome_e outcome = zone_publish(&z, &world);
    assert_int_equal(outcome, PUBLISH_DONE);
    assert_int_equal(z.result.generation, 101);
    assert_in_range(z.result.appended, 1, 16384);
    assert_int_equal(zone_slots(&z), slots);
    zone_free(&z);
    mesh_world_free(&world);
}

/* A file that is found is compacted when it has grown, whatever its size. */
static void test_compaction_after_a_restart(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    mesh_world_init(&world, 24, 20, 50, 3, true);
    zone_open(&z);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    zone_kill(&z);
    zone_open(&z);
    uint64_t size = zone_file_size(&z, 1);
    uint64_t before = size;
    for (unsigned i = 0; mesh_word_file(zone_word(&z)) == 1; i++) {
        before = zone_file_size(&z, 1);
        assert_true(before <= size + PUBLISH_COMPACT_MIN);
        mesh_world_touch_endpoint(&world, i % 20);
        assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
        (void)zone_tick(&z, 1);
    }
    assert_true(before > size + PUBLISH_COMPACT_MIN - 32768);

    /* From then on it is known how much is live. */
    uint64_t live = zone_file_size(&z, 2);
    assert_int_equal(z.p->compact_at, live + PUBLISH_COMPACT_MIN);
    zone_free(&z);
    mesh_world_free(&world);
}

static void test_old_files_go(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    mesh_world_init(&world, 10, 5, 5, 1, false);
    zone_open(&z);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    for (unsigned i = 2; i <= 6; i++) {
        z.p->compact_at = 0;
        zone_tick(&z, 1);
        assert_int_equal(mesh_word_file(zone_word(&z)), i);
        assert_int_equal(zone_files(&z), 2); /* this one and the one before */
    }
    zone_free(&z);
    mesh_world_free(&world);
}

/* A live worker's slot names file 1: it stays as long as that is so. */
static void test_a_workers_file_stays(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    mesh_world_init(&world, 11, 5, 5, 1, false);
    zone_open(&z);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);

    mesh_runtime_file_t rt;
    mesh_runtime_sizes_t sizes = {4, 64, 64, 256};
    assert_int_equal(mesh_runtime_open(&rt, z.dir, &sizes, false, 1), MESH_OK);
    mesh_worker_slot_t *worker = &rt.rt.workers[2];
    worker->word = zone_word(&z);
    worker->generation = 1;
    worker->state = MESH_WORKER_LIVE;

    for (unsigned i = 0; i < 4; i++) {
        z.p->compact_at = 0;
        zone_tick(&z, 1);
    }
    assert_int_equal(mesh_word_file(zone_word(&z)), 5);
    assert_int_equal(zone_files(&z), 3);
    assert_int_not_equal(zone_file_size(&z, 1), 0);
    worker->word = zone_word(&z);
    assert_int_not_equal(zone_tick(&z, 1000), 0);
    assert_int_equal(zone_files(&z), 2);

    mesh_runtime_close(&rt);
    zone_free(&z);
    mesh_world_free(&world);
}

static void test_slots_wait_for_workers(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    mesh_world_init(&world, 12, 1, 2, 1, false);
    zone_open(&z);
    mesh_runtime_file_t rt;
    mesh_runtime_sizes_t sizes = {4, 64, 64, 256};
    assert_int_equal(mesh_runtime_open(&rt, z.dir, &sizes, false, 1), MESH_OK);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    rt.rt.workers[0].state = MESH_WORKER_LIVE;
    rt.rt.workers[0].generation = 7;
    publish_runtime_refresh(z.p);
    assert_true(publish_runtime_past(z.p, SLOTS_ENDPOINT, 3, 6));
    assert_false(publish_runtime_past(z.p, SLOTS_ENDPOINT, 3, 7));
    rt.rt.endpoints[3].in_flight = 1;
    assert_false(publish_runtime_past(z.p, SLOTS_ENDPOINT, 3, 6));
    assert_true(publish_runtime_past(z.p, SLOTS_ENDPOINT, 4, 6));
    rt.rt.clusters[3].in_flight = 1;
    assert_false(publish_runtime_past(z.p, SLOTS_CLUSTER, 3, 6));
    rt.rt.workers[0].state = MESH_WORKER_FREE;
    publish_runtime_refresh(z.p);
    assert_true(publish_runtime_past(z.p, SLOTS_ENDPOINT, 4, 1000));
    mesh_runtime_close(&rt);
    zone_free(&z);
    mesh_world_free(&world);
}

/* The runtime that nginx makes has fewer slots than were given away. */
static void test_a_smaller_runtime_comes(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    mesh_world_init(&world, 13, 4, 10, 2, false);
    zone_open(&z);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    mesh_runtime_file_t rt;
    mesh_runtime_sizes_t sizes = {4, 64, 64, 16};
    assert_int_equal(mesh_runtime_open(&rt, z.dir, &sizes, false, 1), MESH_OK);
    arena_t *arena = arena_new();
    model_errors_t errors;
    model_errors_init(&errors, arena);
    publish_request_t request = zone_request(&z, &world);
    request.errors = &errors;
    assert_int_equal(publisher_publish(z.p, &request, &z.result), PUBLISH_DONE);
    assert_int_equal(errors.warnings, 1);
    assert_int_equal(slots_used(z.p->slots, SLOTS_ENDPOINT), 16);
    arena_free(arena);
    mesh_runtime_close(&rt);
    zone_free(&z);
    mesh_world_free(&world);
}

/*
 * A file of the least capacity under a mesh that needs a good part of it:
 * edits go on for ever, by compaction alone.
 */
static void test_a_small_capacity_compacts(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    z.capacity = MESH_FILE_CAPACITY_MIN;
    mesh_world_init(&world, 14, 20, 100, 20, false);
    zone_open(&z);
    unsigned compacted = 0;
    for (unsigned i = 0; i < 600; i++) {
        assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
        compacted += z.result.compacted;
        assert_true(zone_file_size(&z, mesh_word_file(z.result.word)) <=
                    z.capacity);
        mesh_world_touch_endpoint(&world, i % 20);
    }
    assert_int_not_equal(compacted, 0);
    publisher_info_t info;
    publisher_info(z.p, &info);
    assert_int_equal(info.generation, 600);
    assert_int_equal(info.compactions, compacted);
    (void)zone_digest(&z);
    zone_free(&z);
    mesh_world_free(&world);
}

static void test_what_does_not_fit_is_refused(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t small, large;
    zone_init(&z);
    z.capacity = MESH_FILE_CAPACITY_MIN;
    mesh_world_init(&small, 15, 10, 10, 2, true);
    mesh_world_init(&large, 15, 1000, 50, 2, true);
    zone_open(&z);

    assert_int_equal(zone_publish(&z, &large), PUBLISH_REFUSED);
    assert_non_null(strstr(z.result.text, "capacity"));
    assert_false(z.result.later); /* it would not fit then, either */
    assert_int_equal(zone_word(&z), 0);
    assert_int_equal(zone_files(&z), 0);

    assert_int_equal(zone_publish(&z, &small), PUBLISH_DONE);
    uint64_t word = zone_word(&z);
    uint64_t size = zone_file_size(&z, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(zone_publish(&z, &large), PUBLISH_REFUSED);
        assert_false(z.result.later);
        assert_int_equal(zone_word(&z), word);
        assert_int_equal(zone_file_size(&z, 1), size);
        assert_int_equal(zone_files(&z), 1);
    }
    mesh_world_touch_endpoint(&small, 1);
    assert_int_equal(zone_publish(&z, &small), PUBLISH_DONE);
    assert_int_equal(z.result.generation, 2);
    zone_free(&z);
    mesh_world_free(&small);
    mesh_world_free(&large);
}

/* --- a full disk -------------------------------------------------------- */

static void test_a_full_disk(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    if (!zone_small_disk(&z, "size=4m")) {
        zone_free(&z);
        skip();
    }
    mesh_world_init(&world, 23, 20, 100, 5, true);
    zone_open(&z);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    for (unsigned i = 0; i < 5; i++) {
        uint64_t word = zone_word(&z);
        mesh_digest_t digest = zone_digest(&z);
        zone_fill_disk(&z, true);
        publish_outcome_e outcome;
        do {
            /* What is left of the last page may take a few. */
            word = zone_word(&z);
            digest = zone_digest(&z);
            mesh_world_touch_endpoint(&world, i);
            outcome = zone_publish(&z, &world);
        } while (outcome == PUBLISH_DONE);
        assert_int_equal(outcome, PUBLISH_REFUSED);
        assert_int_not_equal(z.result.text[0], '\0');
        assert_true(z.result.later);
        assert_int_equal(zone_word(&z), word);
        zone_assert_digest(&z, &digest);
        assert_int_equal(zone_files(&z), 1);

        zone_fill_disk(&z, false);
        assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
        (void)zone_digest(&z);
    }
    zone_close(&z);
    zone_large_disk(&z);
    zone_free(&z);
    mesh_world_free(&world);
}

int main(void) {
    agent_log_setup(AGENT_LOG_ERROR, AGENT_LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_restart_continues),
        cmocka_unit_test(test_killed_while_appending),
        cmocka_unit_test(test_killed_before_the_store),
        cmocka_unit_test(test_killed_while_compacting),
        cmocka_unit_test(test_killed_before_the_first_root),
        cmocka_unit_test(test_a_corrupt_file_is_given_up),
        cmocka_unit_test(test_compaction_keeps_everything),
        cmocka_unit_test(test_compaction_after_a_restart),
        cmocka_unit_test(test_old_files_go),
        cmocka_unit_test(test_a_workers_file_stays),
        cmocka_unit_test(test_slots_wait_for_workers),
        cmocka_unit_test(test_a_smaller_runtime_comes),
        cmocka_unit_test(test_a_small_capacity_compacts),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
        cmocka_unit_test(test_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
