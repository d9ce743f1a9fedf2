/* SPDX-License-Identifier: Apache-2.0 */

/* The retry decision, over the whole space of its inputs. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mesh_retry.h"

/* Codes {409, 503} at offset 8 of an image: ref 1. */
static const struct {
    uint64_t none;
    mesh_rec_u32s_t list;
    uint32_t v[2];
} image = {0, {{MESH_KIND_U32S, 0, 24}, 2}, {409, 503}};

static const mesh_snapshot_t snapshot = {.base = (const uint8_t *)&image};

#define IDEMPOTENT                                                             \
    (MESH_METHOD_GET | MESH_METHOD_HEAD | MESH_METHOD_OPTIONS |                \
     MESH_METHOD_TRACE | MESH_METHOD_PUT | MESH_METHOD_DELETE)

static mesh_outcome_t status(unsigned code) {
    return (mesh_outcome_t){MESH_OUTCOME_STATUS, code, -1};
}

static mesh_outcome_t local(mesh_outcome_kind_e kind) {
    return (mesh_outcome_t){kind, 0, -1};
}

static mesh_retry_verdict_e decide(const mesh_rec_retry_t *policy,
                                   mesh_outcome_t outcome) {
    mesh_retry_state_t s = {.policy = policy,
                            .method = MESH_METHOD_GET,
                            .sent = true,
                            .body_kept = true,
                            .left_ms = 1};
    return mesh_retry_decide(&snapshot, &s, &outcome);
}

/* One bit of `on` at a time against every kind of outcome. */
static void test_conditions(void **state) {
    (void)state;
    const mesh_outcome_t outcomes[] = {
        local(MESH_OUTCOME_NONE),
        local(MESH_OUTCOME_CONNECT_FAILURE),
        local(MESH_OUTCOME_CONNECT_TIMEOUT),
        local(MESH_OUTCOME_TIMEOUT),
        local(MESH_OUTCOME_RESET),
        status(200),
        status(409),
        status(500),
        status(502),
        status(503),
        status(504),
        status(505),
        {MESH_OUTCOME_STATUS, 200, 14},
        {MESH_OUTCOME_STATUS, 200, 13},
        {MESH_OUTCOME_STATUS, 200, 40},
    };
    static const struct {
        uint32_t on;
        const char *retried; /* one character per outcome */
    } rows[] = {
        {0, "..............."},
        {MESH_RETRY_CONNECT_FAILURE, ".yy............"},
        {MESH_RETRY_RESET, ".yyyy.........."},
        {MESH_RETRY_GATEWAY_ERROR, ".yyyy...yyy...."},
        {MESH_RETRY_5XX, ".yyyy..yyyyy..."},
        {MESH_RETRY_STATUS, "......y..y....."},
        {MESH_RETRY_GRPC, "............y.."},
        {MESH_RETRY_UNSAFE, "..............."},
        {MESH_RETRY_CONNECT_FAILURE | MESH_RETRY_STATUS, ".yy...y..y....."},
    };

    for (unsigned r = 0; r < mesh_nelts(rows); r++) {
        mesh_rec_retry_t policy = {
            .on = rows[r].on, .attempts = 2, .codes = 1, .grpc = 1u << 14};
        assert_int_equal(strlen(rows[r].retried), mesh_nelts(outcomes));
        for (unsigned i = 0; i < mesh_nelts(outcomes); i++) {
            assert_int_equal(decide(&policy, outcomes[i]),
                             rows[r].retried[i] == 'y' ? MESH_RETRY_YES
                                                       : MESH_RETRY_NO);
        }
    }
}

static void test_no_policy_no_codes(void **state) {
    (void)state;
    mesh_rec_retry_t policy = {.on = MESH_RETRY_STATUS, .attempts = 1};
    assert_int_equal(decide(NULL, status(503)), MESH_RETRY_NO);
    assert_int_equal(decide(&policy, status(503)), MESH_RETRY_NO);
    policy.attempts = 0;
    policy.on = MESH_RETRY_5XX;
    assert_int_equal(decide(&policy, status(503)), MESH_RETRY_NO);
}

static void test_attempts_run_out(void **state) {
    (void)state;
    mesh_outcome_t outcome = status(503), fine = status(200);

    for (uint32_t attempts = 1; attempts < 5; attempts++) {
        mesh_rec_retry_t policy = {.on = MESH_RETRY_5XX, .attempts = attempts};
        mesh_retry_state_t s = {.policy = &policy,
                                .method = MESH_METHOD_GET,
                                .sent = true,
                                .body_kept = true,
                                .left_ms = UINT64_MAX};
        for (; s.retries < attempts; s.retries++) {
            assert_int_equal(mesh_retry_decide(&snapshot, &s, &outcome),
                             MESH_RETRY_YES);
        }
        assert_int_equal(mesh_retry_decide(&snapshot, &s, &outcome),
                         MESH_RETRY_EXHAUSTED);
        assert_int_equal(mesh_retry_decide(&snapshot, &s, &fine),
                         MESH_RETRY_NO);
    }
}

/*
 * All combinations: a request whose bytes were sent goes out again only if it
 * is idempotent or the policy takes it on itself, whole, in time, and before
 * the client has seen anything.  This is the promise; it is written here
 * without regard to how the code gets there.
 */
static void test_never_twice_unless_safe(void **state) {
    (void)state;
    static const uint16_t methods[] = {0,
                                       MESH_METHOD_GET,
                                       MESH_METHOD_HEAD,
                                       MESH_METHOD_POST,
                                       MESH_METHOD_PUT,
                                       MESH_METHOD_DELETE,
                                       MESH_METHOD_CONNECT,
                                       MESH_METHOD_OPTIONS,
                                       MESH_METHOD_TRACE,
                                       MESH_METHOD_PATCH,
                                       MESH_METHOD_OTHER};
    unsigned again = 0;

    for (unsigned m = 0; m < mesh_nelts(methods); m++) {
        for (unsigned bits = 0; bits < 64; bits++) {
            for (int kind = 0; kind <= MESH_OUTCOME_RESET; kind++) {
                mesh_rec_retry_t policy = {
                    .on = MESH_RETRY_5XX | (bits & 1 ? MESH_RETRY_UNSAFE : 0),
                    .attempts = 1};
                mesh_retry_state_t s = {.policy = &policy,
                                        .method = methods[m],
                                        .sent = bits >> 1 & 1,
                                        .reused = bits >> 2 & 1,
                                        .body_kept = bits >> 3 & 1,
                                        .header_sent = bits >> 4 & 1,
                                        .left_ms = bits >> 5 & 1};
                mesh_outcome_t o = {(mesh_outcome_kind_e)kind, 503, -1};
                mesh_retry_verdict_e v = mesh_retry_decide(&snapshot, &s, &o);

                bool leave = (methods[m] & IDEMPOTENT) || (bits & 1);
                bool may = kind != MESH_OUTCOME_NONE && !s.header_sent &&
                           s.left_ms > 0 && (!s.sent || (s.body_kept && leave));
                bool race = kind == MESH_OUTCOME_RESET && s.reused;
                assert_int_equal(v, !may   ? MESH_RETRY_NO
                                    : race ? MESH_RETRY_RACE
                                           : MESH_RETRY_YES);
                again += v != MESH_RETRY_NO;
            }
        }
    }
    assert_true(again > 100);
}

/* A race costs no attempt, needs no policy, and ends. */
static void test_races(void **state) {
    (void)state;
    mesh_rec_retry_t policy = {.on = MESH_RETRY_RESET, .attempts = 1};
    mesh_outcome_t reset = local(MESH_OUTCOME_RESET);
    mesh_retry_state_t s = {.method = MESH_METHOD_GET,
                            .sent = true,
                            .reused = true,
                            .body_kept = true,
                            .left_ms = UINT64_MAX};

    for (; s.races < MESH_RETRY_RACES_MAX; s.races++) {
        assert_int_equal(mesh_retry_decide(&snapshot, &s, &reset),
                         MESH_RETRY_RACE);
    }
    assert_int_equal(mesh_retry_decide(&snapshot, &s, &reset), MESH_RETRY_NO);
    s.policy = &policy;
    assert_int_equal(mesh_retry_decide(&snapshot, &s, &reset), MESH_RETRY_YES);

    /* Used up attempts leave the free replay. */
    s.races = 0;
    s.retries = 1;
    assert_int_equal(mesh_retry_decide(&snapshot, &s, &reset), MESH_RETRY_RACE);
    s.reused = false;
    assert_int_equal(mesh_retry_decide(&snapshot, &s, &reset),
                     MESH_RETRY_EXHAUSTED);

    s.policy = NULL;
    s.reused = true;
    s.method = MESH_METHOD_POST;
    assert_int_equal(mesh_retry_decide(&snapshot, &s, &reset), MESH_RETRY_NO);
    s.sent = false;
    s.body_kept = false;
    assert_int_equal(mesh_retry_decide(&snapshot, &s, &reset), MESH_RETRY_RACE);

    mesh_outcome_t other = local(MESH_OUTCOME_TIMEOUT);
    assert_int_equal(mesh_retry_decide(&snapshot, &s, &other), MESH_RETRY_NO);
}

/* gRPC is always POST: a listed grpc-status is leave, an HTTP one is not. */
static void test_grpc_is_leave_enough(void **state) {
    (void)state;
    mesh_rec_retry_t policy = {.on = MESH_RETRY_GRPC | MESH_RETRY_5XX,
                               .attempts = 1,
                               .grpc = 1u << 14};
    mesh_retry_state_t s = {.policy = &policy,
                            .method = MESH_METHOD_POST,
                            .sent = true,
                            .body_kept = true,
                            .left_ms = 5};
    mesh_outcome_t unavailable = {MESH_OUTCOME_STATUS, 200, 14};
    mesh_outcome_t http = status(503);

    assert_int_equal(mesh_retry_decide(&snapshot, &s, &unavailable),
                     MESH_RETRY_YES);
    assert_int_equal(mesh_retry_decide(&snapshot, &s, &http), MESH_RETRY_NO);
    s.body_kept = false;
    assert_int_equal(mesh_retry_decide(&snapshot, &s, &unavailable),
                     MESH_RETRY_NO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_no_policy_no_codes),
        cmocka_unit_test(test_attempts_run_out),
        cmocka_unit_test(test_never_twice_unless_safe),
        cmocka_unit_test(test_races),
        cmocka_unit_test(test_grpc_is_leave_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
