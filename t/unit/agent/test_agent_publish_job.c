/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the publisher does beside the main thread: copies that are made while
 * publishing goes on, their failures, and death in between.
 *
 * Where the order of things matters, the work is held: it is done in line
 * when the test lets it go.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent_log.h"
#include "agent_publish_state.h"
#include "publish_zone.h"

static void begin(zone_t *z, mesh_world_t *world, uint64_t seed, bool threads) {
    zone_init(z);
    z->threads = threads;
    mesh_world_init(world, seed, 20, 30, 10, true);
    zone_open(z);
    assert_int_equal(zone_publish(z, world), PUBLISH_DONE);
}

static void end(zone_t *z, mesh_world_t *world) {
    zone_free(z);
    mesh_world_free(world);
}

static void publish_edit(zone_t *z, mesh_world_t *world) {
    mesh_world_touch_endpoint(world, mesh_world_random(world, 20));
    mesh_world_touch_route(world, mesh_world_random(world, 20));
    assert_int_equal(zone_publish(z, world), PUBLISH_DONE);
}

/* What a compile of everything, without any history, gives. */
static void assert_as_compiled(const zone_t *z, mesh_world_t *world) {
    mesh_writer_t *w = mesh_writer_create(1, MESH_FILE_CAPACITY);
    slots_t *slots = slots_new(NULL, publish_runtime_past, z->p);
    compiler_t *compiler = compiler_new(w, slots);
    compile_request_t r = {.parts = mesh_world_parts(world, false),
                           .nparts = world->nparts,
                           .generation = 1};
    mesh_ref_t ref = compile_root(compiler, &r);
    mesh_digest_t digest = mesh_writer_digest(w, ref);
    zone_assert_digest(z, &digest);
    compiler_free(compiler);
    slots_free(slots);
    mesh_writer_free(w);
}

static uint64_t last_good_generation(const zone_t *z) {
    char text[PUBLISH_TEXT_MAX];
    mesh_ref_t ref;
    mesh_mapping_t *map = publish_last_good_open(z->p, &ref, text);
    if (map == NULL) {
        fail_msg("last-good copy: %s", text);
    }
    uint64_t generation = mesh_snapshot_root(&map->snapshot, ref)->generation;
    mesh_mapping_unref(map);
    return generation;
}

/* --- the last-good copy ------------------------------------------------- */

static void test_last_good_beside(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    begin(&z, &world, 1, true);
    (void)zone_tick(&z, 0);
    assert_int_equal(zone_tick(&z, PUBLISH_QUIET_MS), PUBLISH_IDLE);
    assert_true(z.p->thread.running);
    assert_int_equal(zone_await(&z), PUBLISH_IDLE);
    assert_false(z.p->thread.running);
    assert_int_equal(last_good_generation(&z), 1);
    publisher_info_t info;
    publisher_info(z.p, &info);
    assert_int_equal(info.last_good_ms, z.now.unix_ms);
    end(&z, &world);
}

/* It is of the root that was published when it began; the rest is due. */
static void test_last_good_of_when_it_began(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    begin(&z, &world, 2, false);
    z.p->thread.held = true;
    (void)zone_tick(&z, PUBLISH_QUIET_MS);
    assert_true(z.p->thread.running);
    uint64_t copied_ms = z.now.mono_ms;
    for (unsigned i = 0; i < 5; i++) {
        publish_edit(&z, &world);
        assert_int_equal(zone_tick(&z, 500), PUBLISH_IDLE);
    }
    z.p->thread.held = false;
    assert_int_equal(zone_tick(&z, 0), copied_ms + PUBLISH_COPY_MS);
    assert_int_equal(last_good_generation(&z), 1);
    assert_int_equal(zone_tick(&z, PUBLISH_COPY_MS), PUBLISH_IDLE);
    assert_int_equal(last_good_generation(&z), 6);
    end(&z, &world);
}

static void test_term_waits_for_the_last_copy(void **state) {
    (void)state;
    for (unsigned threads = 0; threads < 2; threads++) {
        zone_t z;
        mesh_world_t world;
        begin(&z, &world, 3, threads);
        z.p->thread.held = true;
        (void)zone_tick(&z, PUBLISH_QUIET_MS);
        publish_edit(&z, &world);
        mesh_digest_t digest = zone_digest(&z);
        zone_close(&z);
        zone_wipe(&z);
        zone_open(&z);
        zone_assert_digest(&z, &digest);
        end(&z, &world);
    }
}

/* A file where the directory should be; it is told, and tried again. */
static void test_last_good_that_cannot_be_written(void **state) {
    (void)state;
    for (unsigned threads = 0; threads < 2; threads++) {
        zone_t z;
        mesh_world_t world;
        begin(&z, &world, 4, threads);
        int fd = open(z.state_dir, O_WRONLY | O_CREAT, 0600);
        assert_true(fd >= 0);
        close(fd);
        (void)zone_tick(&z, PUBLISH_QUIET_MS);
        uint64_t copied_ms = z.now.mono_ms;
        uint64_t next = threads ? zone_await(&z) : zone_tick(&z, 0);
        assert_int_equal(next, copied_ms + PUBLISH_COPY_MS);
        assert_int_not_equal(z.p->job.status, MESH_OK);
        assert_non_null(strstr(z.p->job.text, z.state_dir));
        publisher_info_t info;
        publisher_info(z.p, &info);
        assert_int_equal(info.last_good_ms, 0);

        unlink(z.state_dir);
        (void)zone_tick(&z, PUBLISH_COPY_MS);
        if (threads) {
            (void)zone_await(&z);
        }
        assert_int_equal(last_good_generation(&z), 1);
        end(&z, &world);
    }
}

/* The file that it reads is unlinked, before it begins or meanwhile. */
static void test_last_good_of_a_file_that_goes(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    begin(&z, &world, 5, false);
    z.p->thread.held = true;
    (void)zone_tick(&z, PUBLISH_QUIET_MS);
    char path[160];
    snprintf(path, sizeof(path), "%s/snapshot.1", z.dir);
    assert_int_equal(unlink(path), 0);
    publish_edit(&z, &world);
    z.p->thread.held = false;
    (void)zone_tick(&z, 0);
    assert_int_equal(last_good_generation(&z), 1);
    (void)zone_tick(&z, PUBLISH_COPY_MS);
    assert_int_equal(last_good_generation(&z), 2);
    end(&z, &world);
}

/* --- compaction --------------------------------------------------------- */

static void test_publishing_goes_on_while_compacting(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    begin(&z, &world, 6, false);
    for (unsigned i = 0; i < 100; i++) {
        publish_edit(&z, &world);
    }
    z.p->compact_at = 0;
    z.p->thread.held = true;
    (void)zone_tick(&z, 1);
    uint64_t most = 0;
    for (unsigned i = 0; i < 40; i++) {
        publish_edit(&z, &world);
        most = mesh_max(most, z.result.appended);
        assert_int_equal(mesh_word_file(z.result.word), 1);
        (void)zone_tick(&z, 10);
    }
    mesh_digest_t digest = zone_digest(&z);
    uint64_t slots = zone_slots(&z);
    z.p->thread.held = false;
    (void)zone_tick(&z, 1);

    assert_int_equal(mesh_word_file(zone_word(&z)), 2);
    zone_assert_digest(&z, &digest);
    assert_int_equal(zone_slots(&z), slots);
    publisher_info_t info;
    publisher_info(z.p, &info);
    assert_int_equal(info.generation, 141);
    assert_int_equal(info.history, MESH_HISTORY_MAX);
    assert_int_equal(info.compactions, 1);

    /* Changes cost what they cost before, in bytes and in work. */
    for (unsigned i = 0; i < 40; i++) {
        publish_edit(&z, &world);
        assert_in_range(z.result.appended, 1, most);
        assert_in_range(compiler_work(z.p->file.compiler), 1, 12);
        assert_as_compiled(&z, &world);
    }
    zone_kill(&z);
    zone_open(&z);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_UNCHANGED);
    end(&z, &world);
}

/* Rollback and pin in the middle of it, and what they hold afterwards. */
static void test_rollback_while_compacting(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    begin(&z, &world, 7, false);
    publish_edit(&z, &world);
    publish_edit(&z, &world);
    z.p->compact_at = 0;
    z.p->thread.held = true;
    (void)zone_tick(&z, 1);
    publish_request_t request = zone_request(&z, &world);
    assert_int_equal(publisher_rollback(z.p, 1, &request, &z.result),
                     PUBLISH_DONE);
    mesh_world_touch_endpoint(&world, 3);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    z.p->thread.held = false;
    (void)zone_tick(&z, 1);
    assert_int_equal(mesh_word_file(zone_word(&z)), 2);

    publisher_info_t info;
    publisher_info(z.p, &info);
    assert_int_equal(info.flags, MESH_ROOT_ROLLED_BACK);
    request = zone_request(&z, &world);
    assert_int_equal(publisher_rollback(z.p, 2, &request, &z.result),
                     PUBLISH_DONE);
    request = zone_request(&z, &world);
    assert_int_equal(publisher_pin(z.p, &request, &z.result), PUBLISH_DONE);
    request = zone_request(&z, &world);
    assert_int_equal(publisher_unpin(z.p, &request, &z.result), PUBLISH_DONE);
    assert_as_compiled(&z, &world);
    end(&z, &world);
}

/* The file is full before the next one is ready: the change waits for it. */
static void test_a_full_file_waits_for_the_next(void **state) {
    (void)state;
    for (unsigned threads = 0; threads < 2; threads++) {
        zone_t z;
        mesh_world_t world;
        zone_init(&z);
        z.threads = threads;
        z.capacity = MESH_FILE_CAPACITY_MIN;
        mesh_world_init(&world, 8, 20, 100, 20, false);
        zone_open(&z);
        assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
        z.p->compact_at = 0;
        z.p->thread.held = true;
        (void)zone_tick(&z, 1);
        uint64_t generation = 1;
        do {
            mesh_world_touch_endpoint(&world, generation % 20);
            assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
            assert_int_equal(z.result.generation, ++generation);
        } while (!z.result.compacted && generation < 10000);
        assert_true(z.result.compacted);
        assert_false(z.p->thread.running);
        assert_int_equal(mesh_word_file(z.result.word), 2);
        assert_as_compiled(&z, &world);
        end(&z, &world);
    }
}

/* The same, when what fills it is a rollback: to and fro between two. */
static void test_a_full_file_under_a_rollback(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    mesh_digest_t digest[2];
    zone_init(&z);
    z.capacity = MESH_FILE_CAPACITY_MIN;
    mesh_world_init(&world, 9, 20, 100, 20, false);
    zone_open(&z);
    /* Garbage, so that nothing is in the next file where it was in this. */
    for (unsigned i = 0; i < MESH_HISTORY_MAX; i++) {
        mesh_world_touch_endpoint(&world, i % 20);
        assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    }
    for (unsigned i = 0; i < 2; i++) {
        world.clusters[0].timeout_ms = 100 + i;
        mesh_world_dirty(&world, 0);
        assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
        digest[i] = zone_digest(&z);
    }
    z.p->compact_at = 0;
    z.p->thread.held = true;
    (void)zone_tick(&z, 1);
    uint64_t generation = z.result.generation;
    do {
        publish_request_t request = zone_request(&z, &world);
        assert_int_equal(
            publisher_rollback(z.p, generation - 1, &request, &z.result),
            PUBLISH_DONE);
        assert_int_equal(z.result.generation, ++generation);
        zone_assert_digest(&z, &digest[(generation + 1) % 2]);
    } while (!z.result.compacted && generation < 20000);
    assert_true(z.result.compacted);
    assert_int_equal(z.p->compactions, 1);
    end(&z, &world);
}

/* --- failures ----------------------------------------------------------- */

/* A disk without room for a second file: nothing is lost, nothing is left. */
static void test_no_room_for_the_next_file(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    if (!zone_small_disk(&z, "size=4m")) {
        zone_free(&z);
        skip();
    }
    z.threads = true;
    mesh_world_init(&world, 10, 20, 100, 5, true);
    zone_open(&z);
    for (unsigned i = 0; i < 3; i++) {
        mesh_world_touch_endpoint(&world, i);
        assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
        uint64_t word = zone_word(&z);
        zone_fill_disk(&z, true);
        z.p->compact_at = 0;
        (void)zone_tick(&z, 1);
        (void)zone_await(&z);
        assert_int_not_equal(z.p->job.status, MESH_OK);
        assert_int_equal(zone_word(&z), word);
        assert_int_equal(zone_files(&z), 1);
        assert_true(z.p->compact_at > 0);
        zone_fill_disk(&z, false);
    }
    z.p->compact_at = 0;
    (void)zone_tick(&z, 1);
    (void)zone_await(&z);
    assert_int_equal(mesh_word_file(zone_word(&z)), 2);
    assert_as_compiled(&z, &world);
    zone_close(&z);
    zone_large_disk(&z);
    end(&z, &world);
}

/* The copy is there, and the disk is full before the rest can follow it. */
static void test_no_room_to_catch_up(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    if (!zone_small_disk(&z, "size=8m")) {
        zone_free(&z);
        skip();
    }
    z.threads = true;
    mesh_world_init(&world, 11, 20, 100, 20, true);
    zone_open(&z);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    z.p->compact_at = 0;
    z.p->thread.held = true;
    (void)zone_tick(&z, 1);
    for (unsigned i = 0; i < 20; i++) {
        mesh_world_touch_endpoint(&world, i);
        assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    }
    uint64_t word = zone_word(&z);
    mesh_digest_t digest = zone_digest(&z);
    z.p->thread.held = false;
    struct timespec pause = {.tv_nsec = 1000000};
    while (!agent_job_ended(&z.p->thread)) {
        nanosleep(&pause, NULL);
    }
    zone_fill_disk(&z, true);
    assert_int_equal(zone_files(&z), 2);
    (void)zone_tick(&z, 1);
    assert_int_equal(z.p->job.status, MESH_NO_SPACE);
    assert_int_equal(zone_word(&z), word);
    zone_assert_digest(&z, &digest);
    assert_int_equal(zone_files(&z), 1);

    /* The compiler still knows what it knew. */
    zone_fill_disk(&z, false);
    mesh_world_touch_endpoint(&world, 1);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    assert_int_equal(compiler_work(z.p->file.compiler), 3);
    zone_close(&z);
    zone_large_disk(&z);
    end(&z, &world);
}

/* The next file cannot be made, whatever the reason. */
static void test_a_next_file_that_cannot_be_made(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    char path[160];
    begin(&z, &world, 12, false);
    snprintf(path, sizeof(path), "%s/snapshot.2", z.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    z.p->compact_at = 0;
    (void)zone_tick(&z, 1);
    assert_int_equal(z.p->job.status, MESH_ERROR);
    assert_non_null(strstr(z.p->job.text, "snapshot.2"));
    publish_edit(&z, &world);
    assert_int_equal(mesh_word_file(zone_word(&z)), 1);
    rmdir(path);
    z.p->compact_at = 0;
    (void)zone_tick(&z, 1);
    assert_int_equal(mesh_word_file(zone_word(&z)), 2);
    end(&z, &world);
}

/* Looking for old files leaves the one that is being made alone. */
static void test_sweeping_while_compacting(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    begin(&z, &world, 13, true);
    z.p->compact_at = 0;
    z.p->thread.held = true;
    (void)zone_tick(&z, 1);
    struct timespec pause = {.tv_nsec = 1000000};
    while (zone_file_size(&z, 2) == 0) {
        nanosleep(&pause, NULL);
    }
    (void)publish_file_sweep(z.p);
    assert_int_equal(zone_files(&z), 2);
    z.p->thread.held = false;
    (void)zone_await(&z);
    assert_int_equal(mesh_word_file(zone_word(&z)), 2);
    end(&z, &world);
}

/* Killed when the next file is whole and the word does not name it. */
static void test_killed_before_the_switch(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    begin(&z, &world, 14, true);
    publish_edit(&z, &world);
    mesh_digest_t digest = zone_digest(&z);
    zone_kill(&z);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        zone_open(&z);
        z.p->compact_at = 0;
        z.p->thread.held = true;
        (void)zone_tick(&z, 1);
        pthread_join(z.p->thread.thread, NULL);
        _exit(zone_files(&z) == 2 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(zone_files(&z), 2);
    zone_open(&z);
    assert_int_equal(zone_files(&z), 1);
    zone_assert_digest(&z, &digest);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_UNCHANGED);
    end(&z, &world);
}

/* Everything at once, for the tools that look for races. */
static void test_a_busy_publisher(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    begin(&z, &world, 15, true);
    for (unsigned i = 0; i < 400; i++) {
        mesh_world_edit_any(&world);
        publish_outcome_e outcome = zone_publish(&z, &world);
        assert_int_not_equal(outcome, PUBLISH_REFUSED);
        if (i % 10 == 0) {
            z.p->compact_at = 0;
        }
        (void)zone_tick(&z, i % 7 == 0 ? PUBLISH_COPY_MS : 1);
        assert_as_compiled(&z, &world);
    }
    publisher_info_t info;
    publisher_info(z.p, &info);
    assert_in_range(info.compactions, 2, 41);
    assert_true(info.last_good_ms > 0);
    end(&z, &world);
}

int main(void) {
    agent_log_setup(AGENT_LOG_ERROR, AGENT_LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_good_beside),
        cmocka_unit_test(test_last_good_of_when_it_began),
        cmocka_unit_test(test_term_waits_for_the_last_copy),
        cmocka_unit_test(test_last_good_that_cannot_be_written),
        cmocka_unit_test(test_last_good_of_a_file_that_goes),
        cmocka_unit_test(test_publishing_goes_on_while_compacting),
        cmocka_unit_test(test_rollback_while_compacting),
        cmocka_unit_test(test_a_full_file_waits_for_the_next),
        cmocka_unit_test(test_a_full_file_under_a_rollback),
        cmocka_unit_test(test_no_room_for_the_next_file),
        cmocka_unit_test(test_no_room_to_catch_up),
        cmocka_unit_test(test_a_next_file_that_cannot_be_made),
        cmocka_unit_test(test_sweeping_while_compacting),
        cmocka_unit_test(test_killed_before_the_switch),
        cmocka_unit_test(test_a_busy_publisher),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
