/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Drains: they follow their endpoints through any history of roots, slots
 * and agents, and end when the endpoint leaves.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent_log.h"
#include "fault.h"
#include "health.h"
#include "mesh_cluster.h"
#include "mesh_runtime.h"
#include "publish_zone.h"

#define CLUSTERS 5
#define ADDRESSES 4096

typedef struct {
    zone_t zone;
    mesh_world_t world;
    health_t *health;
    bool drained[CLUSTERS][ADDRESSES]; /* as it should be */
} bed_t;

static health_root_t published(const bed_t *b) {
    health_root_t root;
    root.root = publisher_root(b->zone.p, &root.s);
    return root;
}

static void open_health(bed_t *b) {
    health_root_t root = published(b);
    b->health = health_open(b->zone.dir, &root);
}

static bed_t *bed_new(uint64_t seed, uint32_t nendpoints) {
    bed_t *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    zone_init(&b->zone);
    mesh_world_init(&b->world, seed, CLUSTERS, nendpoints, 2, false);
    zone_open(&b->zone);
    assert_int_equal(zone_publish(&b->zone, &b->world), PUBLISH_DONE);
    open_health(b);
    return b;
}

static void bed_free(bed_t *b) {
    health_close(b->health);
    zone_free(&b->zone);
    mesh_world_free(&b->world);
    free(b);
}

static const char *cluster_name(uint32_t i) {
    static char name[32];
    snprintf(name, sizeof(name), "cluster-%u", i);
    return name;
}

static const char *address(uint32_t addr) {
    static char text[32];
    snprintf(text, sizeof(text), "127.%u.%u.%u:9080", addr >> 16 & 255,
             addr >> 8 & 255, addr & 255);
    return text;
}

static mesh_status_t drain(bed_t *b, uint32_t cluster, uint32_t addr,
                           bool drained) {
    health_root_t root = published(b);
    char error[HEALTH_ERROR_MAX];
    health_target_t target;
    return health_drain(b->health, &root, cluster_name(cluster), address(addr),
                        drained, &target, error);
}

static void publish(bed_t *b, uint64_t oldest) {
    assert_int_not_equal(zone_publish(&b->zone, &b->world), PUBLISH_REFUSED);
    health_root_t root = published(b);
    (void)health_follow(b->health, &root, oldest);
}

/* What a worker makes of it: MESH_OUT_DRAINED of the views' endpoints. */
static uint32_t count_drained(bed_t *b, const mesh_health_t *words,
                              uint32_t cluster, arena_t *arena) {
    health_root_t root = published(b);
    mesh_str_t name = mesh_str_from(cluster_name(cluster));
    const mesh_rec_bind_cluster_t *bind = mesh_cluster_bind(
        root.s, root.root, name, mesh_hash32(name.data, name.len));
    mesh_arena_t memory = {(void *(*)(void *, size_t))arena_alloc, arena};
    uint32_t count = 0;

    if (bind == NULL) {
        return 0;
    }
    const mesh_cluster_view_t *view = mesh_cluster_view(
        root.s, root.root, bind, words, NULL, false, 0, &memory);
    for (uint32_t i = 0; i < view->total; i++) {
        const uint8_t *a = view->endpoints[i].endpoint->addr;
        bool out = (view->endpoints[i].out & MESH_OUT_DRAINED) != 0;
        uint32_t addr = (uint32_t)a[1] << 16 | (uint32_t)a[2] << 8 | a[3];
        assert_int_equal(out, b->drained[cluster][addr]);
        count += out;
    }
    return count;
}

static void check(bed_t *b) {
    mesh_health_file_t file;
    arena_t *arena = arena_new();
    uint32_t count = 0;

    assert_int_equal(mesh_health_open(&file, b->zone.dir, NULL), MESH_OK);
    for (uint32_t i = 0; i < CLUSTERS; i++) {
        count += count_drained(b, &file.health, i, arena);
    }
    assert_int_equal(health_drained(b->health), count);
    mesh_health_close(&file);
    arena_free(arena);
}

static bool is_there(const bed_t *b, uint32_t cluster, uint32_t addr) {
    const mesh_world_cluster_t *c = &b->world.clusters[cluster];
    for (uint32_t i = 0; c->present && i < c->count; i++) {
        if (c->v[i].addr == addr) {
            return true;
        }
    }
    return false;
}

static void forget_the_gone(bed_t *b) {
    for (uint32_t i = 0; i < CLUSTERS; i++) {
        for (uint32_t addr = 0; addr < ADDRESSES; addr++) {
            b->drained[i][addr] = b->drained[i][addr] && is_there(b, i, addr);
        }
    }
}

static void drain_some(bed_t *b) {
    uint32_t i = mesh_world_random(&b->world, CLUSTERS);
    const mesh_world_cluster_t *c = &b->world.clusters[i];
    bool drained = mesh_world_random(&b->world, 3) > 0;

    if (!c->present || c->count == 0) {
        return;
    }
    uint32_t addr = c->v[mesh_world_random(&b->world, c->count)].addr;
    assert_int_equal(drain(b, i, addr, drained),
                     b->drained[i][addr] != drained ? MESH_OK : MESH_DECLINED);
    b->drained[i][addr] = drained;
}

static void restart(bed_t *b) {
    health_close(b->health);
    zone_kill(&b->zone);
    zone_open(&b->zone);
    open_health(b);
}

static void test_any_history(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        bed_t *b = bed_new(seed, 12);
        for (unsigned i = 0; i < 150; i++) {
            switch (mesh_world_random(&b->world, 6)) {
            case 0:
            case 1:
                drain_some(b);
                break;
            case 2:
                restart(b);
                break;
            default:
                mesh_world_edit(&b->world);
                publish(b, mesh_world_random(&b->world, 2) ? UINT64_MAX : 0);
                forget_the_gone(b);
            }
            check(b);
        }
        bed_free(b);
    }
}

/* Until no worker serves the root that had it: it gets nothing there either. */
static void test_the_word_of_who_left_stays_for_a_while(void **state) {
    (void)state;
    bed_t *b = bed_new(1, 1);
    mesh_health_file_t file;
    uint64_t tag = mesh_runtime_tag(mesh_hash64("cluster-0", 9));
    health_root_t root = published(b);
    mesh_endpoint_t e = {
        .family = MESH_FAMILY_IPV4, .port = 9080, .addr = {127, 0, 0, 0}};
    health_target_t target;
    char error[HEALTH_ERROR_MAX];

    assert_int_equal(health_drain(b->health, &root, "cluster-0",
                                  "127.0.0.0:9080", true, &target, error),
                     MESH_OK);
    assert_int_equal(target.tag, mesh_endpoint_tag(root.s, tag, &e));
    assert_int_equal(mesh_health_open(&file, b->zone.dir, NULL), MESH_OK);
    assert_int_equal(mesh_health_changes(&file.health), target.changes);

    mesh_world_remove_endpoint(&b->world, 0);
    publish(b, 1);
    assert_int_equal(health_drained(b->health), 0);
    uint32_t bits = mesh_health_bits(&file.health, target.slot, target.tag);
    assert_int_equal(bits, MESH_HEALTH_DRAINED);
    publish(b, 1); /* a worker is at generation 1 still */
    bits = mesh_health_bits(&file.health, target.slot, target.tag);
    assert_int_equal(bits, MESH_HEALTH_DRAINED);
    publish(b, 2);
    bits = mesh_health_bits(&file.health, target.slot, target.tag);
    assert_int_equal(bits, 0);
    assert_false(health_follows(b->health));
    mesh_health_close(&file);
    bed_free(b);
}

static void test_names_that_are_none(void **state) {
    (void)state;
    bed_t *b = bed_new(1, 3);
    health_root_t root = published(b);
    health_root_t none = {NULL, NULL};
    health_target_t target;
    char error[HEALTH_ERROR_MAX];

    assert_int_equal(health_drain(b->health, &root, "nobody", "127.0.0.0:9080",
                                  true, &target, error),
                     MESH_ERROR);
    assert_string_equal(error,
                        "there is no cluster \"nobody\" in the published mesh");
    assert_int_equal(health_drain(b->health, &root, "cluster-1",
                                  "127.0.0.0:9080", true, &target, error),
                     MESH_ERROR);
    assert_string_equal(error, "cluster \"cluster-1\" has no endpoint "
                               "\"127.0.0.0:9080\"; meshctl endpoints lists "
                               "them");
    assert_int_equal(health_drain(b->health, &none, "cluster-0",
                                  "127.0.0.0:9080", true, &target, error),
                     MESH_ERROR);
    assert_int_equal(drain(b, 0, 0, false), MESH_DECLINED);
    assert_int_equal(health_drained(b->health), 0);
    bed_free(b);
}

static void overwrite(const bed_t *b, const void *data, size_t len) {
    char path[160];
    snprintf(path, sizeof(path), "%s/%s.other", b->zone.dir, MESH_ZONE_HEALTH);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_int_equal(write(fd, data, len), len);
    close(fd);
    char name[160];
    snprintf(name, sizeof(name), "%s/%s", b->zone.dir, MESH_ZONE_HEALTH);
    assert_int_equal(rename(path, name), 0);
}

/* A file that somebody took away or broke is made again, with all drains. */
static void test_a_lost_file_is_made_again(void **state) {
    (void)state;
    bed_t *b = bed_new(1, 3);
    assert_int_equal(drain(b, 0, 1, true), MESH_OK);
    b->drained[0][1] = true;
    check(b);
    overwrite(b, "garbage", 7);
    assert_int_equal(drain(b, 1, 3, true), MESH_OK);
    b->drained[1][3] = true;
    check(b);

    /* The next agent has nothing but the file. */
    health_close(b->health);
    overwrite(b, "garbage", 7);
    open_health(b);
    memset(b->drained, 0, sizeof(b->drained));
    check(b);
    bed_free(b);
}

/* Words that could not be read at the start are not lost to who asks. */
static void test_a_file_that_cannot_be_opened_at_first(void **state) {
    (void)state;
    fault_t fault = {.kinds = FAULT_CALLS, .err = EMFILE};
    uint32_t addr;

    agent_log_setup(AGENT_LOG_ERROR, AGENT_LOG_TEXT);
    while (fault_again(&fault)) {
        bed_t *b = bed_new(11, 4);
        addr = b->world.clusters[1].v[0].addr;
        assert_int_equal(drain(b, 1, addr, true), MESH_OK);
        assert_int_equal(drain(b, 2, b->world.clusters[2].v[0].addr, true),
                         MESH_OK);
        health_close(b->health);
        fault_begin(&fault);
        open_health(b);
        fault_end();
        assert_int_equal(drain(b, 1, addr, false), MESH_OK);
        assert_int_equal(drain(b, 1, addr, false), MESH_DECLINED);
        assert_int_equal(health_drained(b->health), 1);
        b->drained[2][b->world.clusters[2].v[0].addr] = true;
        check(b);
        bed_free(b);
    }
    assert_in_range(fault.at, 3, 20);
}

/* More endpoints than the file had words: a larger one, nothing lost. */
static void test_slots_beyond_the_file(void **state) {
    (void)state;
    bed_t *b = bed_new(1, 4);
    assert_int_equal(drain(b, 0, 1, true), MESH_OK);
    b->drained[0][1] = true;
    for (uint32_t addr = 0; addr < ADDRESSES; addr++) {
        mesh_world_add_endpoint(&b->world, 4, addr);
    }
    publish(b, UINT64_MAX);
    for (uint32_t addr = 0; addr < ADDRESSES; addr += 501) {
        assert_int_equal(drain(b, 4, addr, true), MESH_OK);
        b->drained[4][addr] = true;
    }
    check(b);
    restart(b);
    check(b);
    mesh_health_file_t file;
    assert_int_equal(mesh_health_open(&file, b->zone.dir, NULL), MESH_OK);
    assert_true(file.health.endpoints <= 2 * MESH_HEALTH_WORDS);
    mesh_health_close(&file);
    bed_free(b);
}

static uint32_t slot_of(bed_t *b, uint32_t cluster, uint32_t addr) {
    health_root_t root = published(b);
    char error[HEALTH_ERROR_MAX];
    health_target_t target;
    assert_int_equal(health_drain(b->health, &root, cluster_name(cluster),
                                  address(addr), true, &target, error),
                     MESH_DECLINED);
    return target.slot;
}

/* nginx came back with a smaller mesh_zone: the endpoint has another slot. */
static void test_a_drain_follows_its_slot(void **state) {
    (void)state;
    bed_t *b = bed_new(1, 4);
    while (b->world.clusters[0].count > 0) {
        mesh_world_remove_endpoint(&b->world, 0);
    }
    for (unsigned i = 0; i < MESH_HISTORY_MAX + 2; i++) {
        mesh_world_touch_endpoint(&b->world, 1);
        publish(b, UINT64_MAX);
    }
    assert_int_equal(drain(b, 4, 19, true), MESH_OK);
    b->drained[4][19] = true;
    uint32_t before = slot_of(b, 4, 19);

    mesh_runtime_file_t runtime;
    mesh_runtime_sizes_t sizes = {4, 16, 16, before};
    assert_int_equal(mesh_runtime_open(&runtime, b->zone.dir, &sizes, false, 1),
                     MESH_OK);
    mesh_world_touch_endpoint(&b->world, 1);
    publish(b, UINT64_MAX);
    check(b);
    assert_true(slot_of(b, 4, 19) < before);
    mesh_runtime_close(&runtime);
    bed_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_history),
        cmocka_unit_test(test_the_word_of_who_left_stays_for_a_while),
        cmocka_unit_test(test_names_that_are_none),
        cmocka_unit_test(test_a_lost_file_is_made_again),
        cmocka_unit_test(test_a_file_that_cannot_be_opened_at_first),
        cmocka_unit_test(test_slots_beyond_the_file),
        cmocka_unit_test(test_a_drain_follows_its_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
