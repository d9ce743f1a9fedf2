/* SPDX-License-Identifier: Apache-2.0 */
/* slow */

/*
 * A publisher's life with one call of the system that fails, or at which the
 * agent is killed, each in turn.  Workers have the old mesh or the new one,
 * whole; what failed is told; the next agent goes on from there, and nothing
 * is left open.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent_log.h"
#include "agent_publish_state.h"
#include "capture.h"
#include "fault.h"
#include "publish_zone.h"

typedef enum {
    FRESH,      /* nothing is there */
    RUNNING,    /* an agent published before */
    COLD,       /* the zone is gone, its copy is there */
    GIVEN_UP,   /* the snapshot is broken, its copy is there */
    COMPACTING, /* the file wants to be compacted */
    KINDS
} kind_e;

/* What is there before: a zone, a mesh in it, and the mesh that comes. */
typedef struct {
    kind_e kind;
    fault_t *fault;
    zone_t z;
    mesh_world_t world;
    mesh_digest_t before; /* all zero: nothing is published */
    mesh_digest_t after;
    publish_outcome_e outcome;
    char told[PUBLISH_TEXT_MAX];
} life_t;

static bool same(const mesh_digest_t *a, const mesh_digest_t *b) {
    return memcmp(a, b, sizeof(*a)) == 0;
}

static bool is_none(const mesh_digest_t *digest) {
    static const mesh_digest_t none;

    return same(digest, &none);
}

/* What a publisher without troubles makes of that world. */
static mesh_digest_t digest_of(mesh_world_t *world) {
    zone_t z;

    zone_init(&z);
    zone_open(&z);
    assert_int_equal(zone_publish(&z, world), PUBLISH_DONE);
    mesh_digest_t digest = zone_digest(&z);
    zone_free(&z);
    return digest;
}

static void break_snapshot(const life_t *life) {
    const char *path = temp_path(&life->z.top, "zone/snapshot.1");
    size_t len;
    char *data = temp_read(path, &len);

    memset(data + len / 2, 0xff, 64);
    temp_write(path, data, len);
    free(data);
}

static void life_make(life_t *life, kind_e kind) {
    static mesh_digest_t after[KINDS];

    *life = (life_t){.kind = kind};
    zone_init(&life->z);
    mesh_world_init(&life->world, 7, 6, 4, 2, true);
    if (kind != FRESH) {
        zone_open(&life->z);
        for (uint32_t i = 0; i < 3; i++) {
            assert_int_equal(zone_publish(&life->z, &life->world),
                             PUBLISH_DONE);
            life->before = zone_digest(&life->z);
            mesh_world_touch_endpoint(&life->world, i);
        }
        zone_close(&life->z);
    }
    if (kind == COLD) {
        temp_remove(life->z.dir);
    }
    if (kind == GIVEN_UP) {
        break_snapshot(life);
    }
    /* The same each time. */
    if (is_none(&after[kind])) {
        after[kind] = digest_of(&life->world);
    }
    life->after = after[kind];
}

static void life_remove(life_t *life) {
    zone_free(&life->z);
    mesh_world_free(&life->world);
}

static bool starts(life_t *life) {
    zone_t *z = &life->z;
    publisher_options_t options = {
        .dir = z->dir, .state_dir = z->state_dir, .capacity = z->capacity};
    mesh_status_t status = MESH_OK;

    life->told[0] = '\0';
    z->p = publisher_open(&options, z->now, &status, life->told);
    return z->p != NULL;
}

/* An agent from its start to its end. */
static void live(life_t *life) {
    zone_t *z = &life->z;

    life->outcome = PUBLISH_REFUSED;
    if (!starts(life)) {
        return;
    }
    life->outcome = zone_publish(z, &life->world);
    snprintf(life->told, sizeof(life->told), "%s", z->result.text);
    if (life->kind == COMPACTING) {
        z->p->compact_at = 0;
    }
    (void)zone_tick(z, PUBLISH_QUIET_MS);
    (void)zone_tick(z, PUBLISH_COPY_MS);
    zone_close(z);
}

static int live_under_fault(void *ctx) {
    life_t *life = ctx;

    fault_begin(life->fault);
    live(life);
    fault_end();
    return 0;
}

/* What new workers get; all zero: nothing that can be read. */
static mesh_digest_t published(const life_t *life) {
    mesh_digest_t digest = {{0}};
    const mesh_control_t *control;
    mesh_zone_error_t error;

    if (mesh_control_map(life->z.dir, &control, &error) != MESH_OK) {
        return digest;
    }
    uint64_t word = mesh_control_word(control);
    mesh_ref_t ref = mesh_word_root(word);
    mesh_control_unmap(control);
    mesh_mapping_t *map =
        mesh_mapping_open(life->z.dir, mesh_word_file(word), &error);
    if (map != NULL && mesh_mapping_adopt(map, ref, 0) == MESH_OK) {
        digest = mesh_snapshot_root(&map->snapshot, ref)->digest;
    }
    if (map != NULL) {
        mesh_mapping_unref(map);
    }
    return digest;
}

/* The old mesh, or none where that was only in the copy. */
static bool is_old(const life_t *life, const mesh_digest_t *digest) {
    bool only_copy = life->kind == COLD || life->kind == GIVEN_UP;

    return same(digest, &life->before) || (only_copy && is_none(digest));
}

/* A copy that is there can be started from, in whatever state it is. */
static void check_copy(const life_t *life) {
    zone_t other = life->z;

    snprintf(other.dir, sizeof(other.dir), "%s/other", other.top.path);
    if (access(temp_path(&other.top, "state/" PUBLISH_LAST_GOOD), F_OK) != 0) {
        return;
    }
    zone_open(&other);
    mesh_digest_t digest = zone_digest(&other);
    assert_true(same(&digest, &life->before) || same(&digest, &life->after));
    zone_kill(&other);
    temp_remove(other.dir);
}

/* The next agent, without troubles. */
static void go_on(life_t *life) {
    zone_t *z = &life->z;

    zone_open(z);
    publish_outcome_e outcome = zone_publish(z, &life->world);
    assert_int_not_equal(outcome, PUBLISH_REFUSED);
    zone_assert_digest(z, &life->after);
    mesh_world_touch_endpoint(&life->world, 1);
    assert_int_equal(zone_publish(z, &life->world), PUBLISH_DONE);
    (void)zone_tick(z, PUBLISH_COPY_MS);
    (void)zone_tick(z, PUBLISH_COPY_MS);
    assert_in_range(zone_files(z), 1, 2);
    zone_close(z);
}

/* --- calls that fail ------------------------------------------------------ */

static void check_failed(const life_t *life, const fault_t *fault) {
    mesh_digest_t now = published(life);
    bool done = life->outcome == PUBLISH_DONE;

    if (done ? !same(&now, &life->after) : !is_old(life, &now)) {
        fail_msg("%s (call %u) failed: outcome %d, and workers have %s",
                 fault->what, fault->at, life->outcome,
                 same(&now, &life->after) ? "the new mesh" : "another one");
    }
    if (!done && life->told[0] == '\0') {
        fail_msg("%s (call %u) failed, and nothing is said of it", fault->what,
                 fault->at);
    }
}

static void sweep(kind_e kind, unsigned kinds, int err, bool partly) {
    fault_t fault = {.kinds = kinds, .err = err};
    unsigned rounds = 0;

    do {
        life_t life;
        fault.partly = partly;
        if (!fault_again(&fault)) {
            break;
        }
        life_make(&life, kind);
        unsigned descriptors = open_descriptors();
        unsigned mappings = mapped_files(&life.z.top);
        life.fault = &fault;
        capture_t c = capture(live_under_fault, &life, NULL);
        assert_int_equal(open_descriptors(), descriptors);
        assert_int_equal(mapped_files(&life.z.top), mappings);
        if (fault.hit) {
            check_failed(&life, &fault);
        } else {
            assert_int_equal(life.outcome, PUBLISH_DONE);
        }
        capture_free(&c);
        check_copy(&life);
        go_on(&life);
        life_remove(&life);
        assert_in_range(++rounds, 1, 200);
    } while (true);
}

static void test_calls_that_fail(void **state) {
    (void)state;

    for (kind_e kind = FRESH; kind < KINDS; kind++) {
        sweep(kind, FAULT_OPEN, EMFILE, false);
        sweep(kind, FAULT_WRITE, EIO, false);
        sweep(kind, FAULT_WRITE, ENOSPC, false);
        sweep(kind, FAULT_WRITE, ENOSPC, true);
        sweep(kind, FAULT_NAME, EACCES, false);
        sweep(kind, FAULT_STAT, EIO, false);
        sweep(kind, FAULT_MAP, ENOMEM, false);
        sweep(kind, FAULT_LOCK, ENOLCK, false);
        sweep(kind, FAULT_READ, EIO, false);
    }
}

/* --- kill -9 -------------------------------------------------------------- */

/* true: it died at that call. */
static bool dies(life_t *life, fault_t *fault) {
    int status;

    fflush(stdout);
    fflush(stderr);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        life->fault = fault;
        (void)live_under_fault(life);
        _exit(life->outcome == PUBLISH_DONE ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) ||
        (WEXITSTATUS(status) != FAULT_DEAD && WEXITSTATUS(status) != 0)) {
        fail_msg("call %u: status %d", fault->at, status);
    }
    return WEXITSTATUS(status) == FAULT_DEAD;
}

static void test_killed_at_every_call(void **state) {
    (void)state;

    for (kind_e kind = FRESH; kind < KINDS; kind++) {
        fault_t fault = {.kinds = FAULT_CALLS, .die = true};
        bool dead = true;

        while (dead) {
            life_t life;
            fault.at++;
            life_make(&life, kind);
            dead = dies(&life, &fault);
            mesh_digest_t now = published(&life);
            assert_true(same(&now, &life.after) ||
                        (dead && is_old(&life, &now)));
            check_copy(&life);
            go_on(&life);
            life_remove(&life);
        }
        assert_in_range(fault.at, 30, 100);
    }
}

/* --- what cannot be looked at --------------------------------------------- */

static int open_only(void *ctx) {
    life_t *life = ctx;

    fault_begin(life->fault);
    (void)starts(life);
    fault_end();
    return 0;
}

/* A copy that is there and cannot be read is no reason to say nothing. */
static void test_a_copy_that_cannot_be_looked_at(void **state) {
    (void)state;
    fault_t fault = {.kinds = FAULT_STAT, .err = EACCES};
    life_t life;
    bool cold = true;

    while (fault_again(&fault)) {
        life_make(&life, COLD);
        life.fault = &fault;
        capture_t c = capture(open_only, &life, NULL);
        cold = life.z.p != NULL && life.z.p->file.root != 0;
        if (!cold && life.told[0] == '\0' &&
            strstr(c.err, "error last-good copy") == NULL) {
            fail_msg("%s (call %u) failed, and no mesh is there:\n%s",
                     fault.what, fault.at, c.err);
        }
        capture_free(&c);
        if (life.z.p != NULL) {
            zone_kill(&life.z);
        }
        life_remove(&life);
    }
    assert_true(cold);
}

int main(void) {
    agent_log_setup(AGENT_LOG_ERROR, AGENT_LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_that_fail),
        cmocka_unit_test(test_killed_at_every_call),
        cmocka_unit_test(test_a_copy_that_cannot_be_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
