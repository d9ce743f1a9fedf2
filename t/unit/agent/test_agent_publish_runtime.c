/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which formats of snapshots workers say that they read, and what the
 * publisher makes of it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "agent_log.h"
#include "agent_publish_state.h"
#include "fault.h"
#include "publish_zone.h"

#define WORKERS 4

typedef struct {
    zone_t zone;
    mesh_world_t world;
    mesh_runtime_file_t master;
    mesh_runtime_file_t workers[2]; /* live ones, in slots 0 and 1 */
} bed_t;

static void begin(bed_t *b) {
    mesh_runtime_sizes_t sizes = {WORKERS, 64, 64, 1024};
    zone_init(&b->zone);
    mesh_world_init(&b->world, 1, 3, 4, 1, true);
    zone_open(&b->zone);
    assert_int_equal(
        mesh_runtime_open(&b->master, b->zone.dir, &sizes, false, 1), MESH_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(
            mesh_runtime_open(&b->workers[i], b->zone.dir, &sizes, true, 1),
            MESH_OK);
        assert_int_equal(
            mesh_runtime_claim_worker(&b->workers[i], b->zone.dir, 1), MESH_OK);
    }
}

static void end(bed_t *b) {
    for (unsigned i = 0; i < 2; i++) {
        mesh_runtime_close(&b->workers[i]);
    }
    mesh_runtime_close(&b->master);
    zone_free(&b->zone);
    mesh_world_free(&b->world);
}

static mesh_worker_slot_t *slot(bed_t *b, uint32_t i) {
    return &b->master.rt.workers[i];
}

static publish_outcome_e publish(bed_t *b) {
    mesh_world_touch_endpoint(&b->world, 1);
    return zone_publish(&b->zone, &b->world);
}

static void test_workers_say_what_they_read(void **state) {
    (void)state;
    bed_t b;
    begin(&b);
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_int_equal(slot(&b, i)->newest, i < 2 ? MESH_FORMAT_VERSION : 0);
        assert_int_equal(slot(&b, i)->oldest, i < 2 ? MESH_FORMAT_OLDEST : 0);
    }
    mesh_runtime_close(&b.workers[0]);
    assert_int_equal(slot(&b, 0)->newest, 0);
    assert_int_equal(publish(&b), PUBLISH_DONE);
    end(&b);
}

static void test_ranges(void **state) {
    (void)state;
    static const struct {
        uint16_t oldest;
        uint16_t newest;
        bool reads; /* version 1 */
    } cases[] = {{1, 1, true},  {1, 2, true},  {0, 1, true},
                 {2, 2, false}, {2, 9, false}, {0, 2, false},
                 {9, 2, false}, {0, 0, true},  {1, 65535, true}};
    bed_t b;
    begin(&b);
    for (unsigned i = 0; i < mesh_nelts(cases); i++) {
        slot(&b, 1)->oldest = cases[i].oldest;
        slot(&b, 1)->newest = cases[i].newest;
        assert_int_equal(publish(&b),
                         cases[i].reads ? PUBLISH_DONE : PUBLISH_REFUSED);
    }
    end(&b);
}

static void test_none_holds_until_that_changes(void **state) {
    (void)state;
    char text[PUBLISH_TEXT_MAX];
    bed_t b;
    begin(&b);
    assert_int_equal(publish(&b), PUBLISH_DONE);
    mesh_digest_t before = zone_digest(&b.zone);
    uint64_t word = zone_word(&b.zone);

    slot(&b, 1)->oldest = 2;
    slot(&b, 1)->newest = 3;
    slot(&b, 1)->pid = 4711;
    assert_int_equal(publish(&b), PUBLISH_REFUSED);
    assert_string_equal(
        b.zone.result.text,
        "no format of snapshots is read by all workers: this agent writes 1 "
        "to 1, and worker 1 (pid 4711) reads 2 to 3");
    assert_true(publisher_held(b.zone.p, text));
    assert_string_equal(text, b.zone.result.text);
    publish_request_t request = zone_request(&b.zone, &b.world);
    assert_int_equal(publisher_pin(b.zone.p, &request, &b.zone.result),
                     PUBLISH_REFUSED);
    zone_assert_digest(&b.zone, &before);
    assert_int_equal(zone_word(&b.zone), word);

    /* One that leaves adopts nothing; one that is dead neither. */
    slot(&b, 1)->state = MESH_WORKER_EXITING;
    assert_false(publisher_held(b.zone.p, text));
    slot(&b, 1)->state = MESH_WORKER_LIVE;
    assert_true(publisher_held(b.zone.p, text));
    *slot(&b, 3) = *slot(&b, 1);
    mesh_runtime_close(&b.workers[1]);
    assert_int_equal(slot(&b, 1)->state, MESH_WORKER_FREE);
    assert_int_equal(slot(&b, 3)->state, MESH_WORKER_LIVE);
    assert_false(publisher_held(b.zone.p, text));
    assert_int_equal(publish(&b), PUBLISH_DONE);
    assert_int_equal(b.zone.result.generation, 2);
    end(&b);
}

/*
 * Workers that cannot be looked at may be anywhere: no slot is given to
 * another while one of them may still count there.
 */
static void test_a_runtime_that_cannot_be_looked_at(void **state) {
    (void)state;
    fault_t fault = {.kinds = FAULT_STAT | FAULT_OPEN | FAULT_MAP};
    bed_t b;
    begin(&b);
    assert_int_equal(publish(&b), PUBLISH_DONE);
    slot(&b, 0)->generation = 1;
    slot(&b, 1)->generation = 1;
    assert_int_equal(publish(&b), PUBLISH_DONE);
    while (fault_again(&fault)) {
        fault_begin(&fault);
        publish_runtime_refresh(b.zone.p);
        fault_end();
        for (slots_kind_e kind = SLOTS_CLUSTER; kind <= SLOTS_ROUTE; kind++) {
            if (publish_runtime_past(b.zone.p, kind, 0, 1)) {
                fail_msg("%s (call %u) failed: no worker is there any more",
                         fault.what, fault.at);
            }
        }
    }
    /* Looked at again, they are where they were. */
    assert_false(publish_runtime_past(b.zone.p, SLOTS_CLUSTER, 0, 1));
    slot(&b, 0)->generation = 2;
    slot(&b, 1)->generation = 2;
    publish_runtime_refresh(b.zone.p);
    assert_true(publish_runtime_past(b.zone.p, SLOTS_CLUSTER, 0, 1));
    end(&b);
}

int main(void) {
    agent_log_setup(AGENT_LOG_ERROR, AGENT_LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers_say_what_they_read),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_none_holds_until_that_changes),
        cmocka_unit_test(test_a_runtime_that_cannot_be_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
