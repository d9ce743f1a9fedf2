/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The publisher on real files: what is published reads back as a worker
 * reads it; last-good copies; rollback and pin.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

#include "agent_log.h"
#include "agent_publish_state.h"
#include "publish_zone.h"

/* --- life --------------------------------------------------------------- */

static void test_publishes_what_a_worker_reads(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    mesh_world_init(&world, 1, 10, 8, 3, true);
    zone_open(&z);
    assert_int_equal(zone_word(&z), 0);
    assert_int_equal(publisher_tick(z.p, z.now), PUBLISH_IDLE);
    for (unsigned i = 1; i <= 30; i++) {
        assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
        assert_int_equal(z.result.generation, i);
        view_t view;
        view_open(&z, &view);
        assert_int_equal(view.word, z.result.word);
        assert_int_equal(view.root->generation, i);
        assert_int_equal(view.root->time_ms, z.now.unix_ms);
        assert_string_equal(
            mesh_get_str(&view.map->snapshot, view.root->reason).data, "test");
        view_close(&view);
        mesh_world_touch_endpoint(&world, i % 10);
    }
    publisher_info_t info;
    publisher_info(z.p, &info);
    assert_int_equal(info.generation, 30);
    assert_int_equal(info.history, 29);
    assert_int_equal(info.size, zone_file_size(&z, 1));
    zone_free(&z);
    mesh_world_free(&world);
}

static void test_unchanged_writes_nothing(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    mesh_world_init(&world, 2, 10, 8, 3, true);
    zone_open(&z);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    uint64_t size = zone_file_size(&z, 1);
    uint64_t word = zone_word(&z);
    for (unsigned i = 0; i < 5; i++) {
        (void)mesh_world_parts(&world, true);
        assert_int_equal(zone_publish(&z, &world), PUBLISH_UNCHANGED);
        assert_int_equal(z.result.appended, 0);
    }
    assert_int_equal(zone_word(&z), word);
    assert_int_equal(zone_file_size(&z, 1), size);
    zone_free(&z);
    mesh_world_free(&world);
}

static void test_one_publisher_a_zone(void **state) {
    (void)state;
    zone_t z;
    zone_init(&z);
    zone_open(&z);
    publisher_options_t options = {.dir = z.dir};
    char error[PUBLISH_TEXT_MAX] = "";
    mesh_status_t status;
    assert_null(publisher_open(&options, z.now, &status, error));
    assert_int_equal(status, MESH_BUSY);
    assert_int_not_equal(error[0], '\0');
    zone_free(&z);
}

static void test_a_capacity_out_of_bounds(void **state) {
    (void)state;
    zone_t z;
    zone_init(&z);
    publisher_options_t options = {.dir = z.dir, .capacity = 1000};
    char error[PUBLISH_TEXT_MAX] = "";
    mesh_status_t status;
    assert_null(publisher_open(&options, z.now, &status, error));
    assert_non_null(strstr(error, "1000"));
    zone_free(&z);
}

/* --- last good ---------------------------------------------------------- */

static void test_last_good_after_a_quiet_second(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    mesh_world_init(&world, 16, 5, 5, 1, false);
    zone_open(&z);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    assert_int_equal(zone_tick(&z, 0), z.now.mono_ms + PUBLISH_QUIET_MS);
    assert_false(zone_has_last_good(&z));
    zone_tick(&z, PUBLISH_QUIET_MS - 1);
    assert_false(zone_has_last_good(&z));
    assert_int_equal(zone_tick(&z, 1), PUBLISH_IDLE);
    assert_true(zone_has_last_good(&z));
    uint64_t copied_ms = z.now.mono_ms;

    mesh_world_touch_endpoint(&world, 1);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    assert_int_equal(zone_tick(&z, 2 * PUBLISH_QUIET_MS),
                     copied_ms + PUBLISH_COPY_MS);
    publisher_info_t info;
    publisher_info(z.p, &info);
    uint64_t first = info.last_good_ms;
    assert_int_equal(zone_tick(&z, PUBLISH_COPY_MS), PUBLISH_IDLE);
    publisher_info(z.p, &info);
    assert_true(info.last_good_ms > first);
    zone_free(&z);
    mesh_world_free(&world);
}

/* Without a quiet second it is copied as well. */
static void test_last_good_of_a_busy_mesh(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    mesh_world_init(&world, 17, 5, 5, 1, false);
    zone_open(&z);
    for (unsigned i = 0; i < PUBLISH_COPY_MS / 500 + 2; i++) {
        assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
        zone_tick(&z, 500);
        mesh_world_touch_endpoint(&world, i % 5);
    }
    assert_true(zone_has_last_good(&z));
    zone_free(&z);
    mesh_world_free(&world);
}

static void test_cold_start(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    mesh_world_init(&world, 18, 10, 10, 2, true);
    zone_open(&z);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
        mesh_world_touch_endpoint(&world, i);
    }
    uint64_t taken_ms = z.now.unix_ms;
    mesh_digest_t digest = zone_digest(&z);
    uint64_t slots = zone_slots(&z);
    zone_close(&z); /* TERM: the copy is written */
    zone_wipe(&z);

    z.now.unix_ms += 3600000;
    zone_open(&z);
    view_t view;
    view_open(&z, &view);
    assert_int_equal(view.root->flags, MESH_ROOT_COLD);
    assert_int_equal(view.root->generation, 6);
    assert_int_equal(view.root->time_ms, taken_ms);
    assert_memory_equal(&view.root->digest, &digest, sizeof(digest));
    view_close(&view);
    assert_int_equal(zone_slots(&z), slots);

    /* The first answer of a source ends it, be it the same mesh or not. */
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    view_open(&z, &view);
    assert_int_equal(view.root->flags, 0);
    assert_int_equal(view.root->generation, 7);
    view_close(&view);
    zone_free(&z);
    mesh_world_free(&world);
}

static void test_a_broken_last_good(void **state) {
    (void)state;
    static const uint64_t at[] = {0, 80, 2000};
    for (unsigned i = 0; i < mesh_nelts(at); i++) {
        zone_t z;
        mesh_world_t world;
        char path[160];
        zone_init(&z);
        mesh_world_init(&world, 19, 10, 10, 2, true);
        zone_open(&z);
        assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
        zone_close(&z);
        zone_wipe(&z);
        snprintf(path, sizeof(path), "%s/" PUBLISH_LAST_GOOD, z.state_dir);
        assert_int_equal(truncate(path, (off_t)at[i]), 0);
        zone_open(&z);
        assert_int_equal(zone_word(&z), 0);
        assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
        zone_free(&z);
        mesh_world_free(&world);
    }
}

/* --- rollback and pin --------------------------------------------------- */

static void set_timeout(mesh_world_t *world, uint32_t timeout_ms) {
    world->clusters[0].timeout_ms = timeout_ms;
    mesh_world_dirty(world, 0);
}

static uint32_t timeout_of(const zone_t *z, uint32_t *flags) {
    view_t view;
    view_open(z, &view);
    const mesh_snapshot_t *s = &view.map->snapshot;
    const mesh_rec_policy_t *policy = mesh_get(s, view.root->policy);
    mesh_str_t name = MESH_STR("cluster-0");
    const mesh_map_entry_t *e = mesh_map_find(s, policy->clusters, name,
                                              mesh_hash32(name.data, name.len));
    const mesh_rec_cluster_t *cluster = mesh_get(s, e->value);
    uint32_t timeout_ms = cluster->connect_timeout_ms;
    *flags = view.root->flags;
    view_close(&view);
    return timeout_ms;
}

static void assert_policy(const zone_t *z, uint32_t timeout_ms,
                          uint32_t flags) {
    uint32_t found;
    assert_int_equal(timeout_of(z, &found), timeout_ms);
    assert_int_equal(found, flags);
}

static void begin_three_policies(zone_t *z, mesh_world_t *world) {
    zone_init(z);
    mesh_world_init(world, 20, 3, 4, 1, true);
    zone_open(z);
    for (uint32_t i = 1; i <= 3; i++) {
        set_timeout(world, 100 * i);
        assert_int_equal(zone_publish(z, world), PUBLISH_DONE);
    }
    assert_policy(z, 300, 0);
}

static publish_outcome_e rollback(zone_t *z, mesh_world_t *world,
                                  uint64_t generation) {
    publish_request_t request = zone_request(z, world);
    return publisher_rollback(z->p, generation, &request, &z->result);
}

static void test_rollback_holds_until_the_sources_move(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    begin_three_policies(&z, &world);
    assert_int_equal(rollback(&z, &world, 99), PUBLISH_REFUSED);
    assert_int_equal(rollback(&z, &world, 1), PUBLISH_DONE);
    assert_policy(&z, 100, MESH_ROOT_ROLLED_BACK);
    assert_int_equal(z.result.generation, 4);

    /* Endpoints go on, and so does an agent that starts anew. */
    mesh_world_touch_endpoint(&world, 1);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    assert_policy(&z, 100, MESH_ROOT_ROLLED_BACK);
    zone_kill(&z);
    zone_open(&z);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_UNCHANGED);
    z.p->compact_at = 0;
    zone_tick(&z, 1);
    mesh_world_touch_endpoint(&world, 2);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    assert_policy(&z, 100, MESH_ROOT_ROLLED_BACK);

    set_timeout(&world, 400);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    assert_policy(&z, 400, 0);
    zone_free(&z);
    mesh_world_free(&world);
}

static void test_pin_holds_until_unpin(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    begin_three_policies(&z, &world);
    publish_request_t request = zone_request(&z, &world);
    assert_int_equal(publisher_pin(z.p, &request, &z.result), PUBLISH_DONE);
    assert_policy(&z, 300, MESH_ROOT_PINNED);
    set_timeout(&world, 400);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_UNCHANGED);
    zone_kill(&z);
    zone_open(&z);
    mesh_world_touch_endpoint(&world, 2);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
    assert_policy(&z, 300, MESH_ROOT_PINNED);

    assert_int_equal(rollback(&z, &world, 2), PUBLISH_DONE);
    assert_policy(&z, 200, MESH_ROOT_PINNED | MESH_ROOT_ROLLED_BACK);
    set_timeout(&world, 500);
    assert_int_equal(zone_publish(&z, &world), PUBLISH_UNCHANGED);

    request = zone_request(&z, &world);
    assert_int_equal(publisher_unpin(z.p, &request, &z.result), PUBLISH_DONE);
    assert_policy(&z, 500, 0);
    zone_free(&z);
    mesh_world_free(&world);
}

static void test_nothing_to_pin(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    mesh_world_init(&world, 21, 3, 4, 1, true);
    zone_open(&z);
    publish_request_t request = zone_request(&z, &world);
    assert_int_equal(publisher_pin(z.p, &request, &z.result), PUBLISH_REFUSED);
    assert_int_equal(rollback(&z, &world, 1), PUBLISH_REFUSED);
    zone_free(&z);
    mesh_world_free(&world);
}

/* A rollback that needs a new file takes the older policy along. */
static void test_rollback_into_the_next_file(void **state) {
    (void)state;
    zone_t z;
    mesh_world_t world;
    zone_init(&z);
    z.capacity = MESH_FILE_CAPACITY_MIN;
    mesh_world_init(&world, 22, 20, 60, 20, false);
    zone_open(&z);
    bool compacted = false;
    for (uint32_t i = 1; !compacted && i < 3000; i++) {
        set_timeout(&world, 2 * i);
        assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
        uint64_t generation = z.result.generation;
        set_timeout(&world, 2 * i + 1);
        mesh_world_touch_endpoint(&world, i % 20);
        assert_int_equal(zone_publish(&z, &world), PUBLISH_DONE);
        assert_int_equal(rollback(&z, &world, generation), PUBLISH_DONE);
        assert_policy(&z, 2 * i, MESH_ROOT_ROLLED_BACK);
        compacted = z.result.compacted;
    }
    assert_true(compacted);
    zone_free(&z);
    mesh_world_free(&world);
}

int main(void) {
    agent_log_setup(AGENT_LOG_ERROR, AGENT_LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_publishes_what_a_worker_reads),
        cmocka_unit_test(test_unchanged_writes_nothing),
        cmocka_unit_test(test_one_publisher_a_zone),
        cmocka_unit_test(test_a_capacity_out_of_bounds),
        cmocka_unit_test(test_last_good_after_a_quiet_second),
        cmocka_unit_test(test_last_good_of_a_busy_mesh),
        cmocka_unit_test(test_cold_start),
        cmocka_unit_test(test_a_broken_last_good),
        cmocka_unit_test(test_rollback_holds_until_the_sources_move),
        cmocka_unit_test(test_pin_holds_until_unpin),
        cmocka_unit_test(test_nothing_to_pin),
        cmocka_unit_test(test_rollback_into_the_next_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
