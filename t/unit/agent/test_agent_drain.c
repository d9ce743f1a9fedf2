/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Draining through a whole agent, with one worker in the runtime that is the
 * test's own: what is asked, what is answered, and what is waited for.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl_zone.h"
#include "live_agent.h"
#include "mesh_runtime.h"

#define MESH                                                                   \
    "clusters: {a: {endpoints: ['127.0.0.1:80', '127.0.0.2:80',"               \
    " '127.0.0.3:80']}, b: {endpoints: ['unix:/run/x']}}\n"
#define LONG_MS 60000 /* only a test that fails waits so long */

typedef struct {
    live_agent_t agent;
    mesh_runtime_file_t runtime; /* worker 0 is live */
} fixture_t;

static int setup(void **state) {
    fixture_t *f = calloc(1, sizeof(*f));
    mesh_runtime_sizes_t sizes = {4, 64, 64, 64};

    live_agent_make(&f->agent);
    live_agent_start(&f->agent, "");
    assert_true(live_agent_apply(&f->agent, CTL_YAML, MESH));
    assert_int_equal(
        mesh_runtime_open(&f->runtime, f->agent.zone, &sizes, false, 1),
        MESH_OK);
    assert_int_equal(mesh_runtime_claim_worker(&f->runtime, f->agent.zone, 1),
                     MESH_OK);
    f->runtime.rt.workers[0].generation = 1;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_t *f = *state;

    mesh_runtime_close(&f->runtime);
    live_agent_remove(&f->agent);
    free(f);
    return 0;
}

static cJSON *ask(const fixture_t *f, ctl_command_e command,
                  const char *cluster, const char *endpoint, uint32_t wait_ms) {
    ctl_request_t request = {
        .command = command, .applied = wait_ms != 0, .timeout_ms = wait_ms};

    snprintf(request.cluster, sizeof(request.cluster), "%s", cluster);
    snprintf(request.endpoint, sizeof(request.endpoint), "%s", endpoint);
    return live_agent_ask(&f->agent, &request);
}

/* "drained 3", or the error; "drained 3 applied" where it was waited for. */
static const char *told(cJSON *answer) {
    static char text[512];
    const cJSON *in_flight = cJSON_GetObjectItem(answer, "in_flight");
    const char *what =
        cJSON_GetStringValue(cJSON_GetObjectItem(answer, "outcome"));
    const char *error =
        cJSON_GetStringValue(cJSON_GetObjectItem(answer, "error"));
    size_t len = (size_t)snprintf(text, sizeof(text), "%s",
                                  what    ? what
                                  : error ? error
                                          : "?");

    /* Refused is said as such, and nothing else is. */
    assert_int_equal(cJSON_IsTrue(cJSON_GetObjectItem(answer, "ok")),
                     what != NULL);
    if (in_flight != NULL) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, " %.0f",
                                in_flight->valuedouble);
    }
    if (cJSON_IsTrue(cJSON_GetObjectItem(answer, "applied"))) {
        snprintf(text + len, sizeof(text) - len, " applied");
    }
    cJSON_Delete(answer);
    return text;
}

/* The state of each endpoint of the cluster, as meshctl tells it. */
static const char *states_of(const fixture_t *f, const char *cluster) {
    static char text[256];
    ctl_zone_t zone;
    size_t len = 0;

    assert_true(ctl_zone_open(&zone, f->agent.zone, 0));
    const mesh_cluster_view_t *view =
        ctl_zone_view(&zone, mesh_str_from(cluster));
    text[0] = '\0';
    for (uint32_t i = 0; i < view->total; i++) {
        len += (size_t)snprintf(
            text + len, sizeof(text) - len, "%s",
            view->endpoints[i].out & MESH_OUT_DRAINED ? "d" : "u");
    }
    ctl_zone_close(&zone);
    return text;
}

static double drained_of(const fixture_t *f) {
    ctl_request_t request = {.command = CTL_STATUS};
    cJSON *status = live_agent_ask(&f->agent, &request);
    double n = cJSON_GetObjectItem(status, "drained")->valuedouble;

    cJSON_Delete(status);
    return n;
}

/* The slot that counts at an endpoint. */
static mesh_endpoint_slot_t *slot_of(fixture_t *f, const char *cluster,
                                     uint32_t i) {
    ctl_zone_t zone;

    assert_true(ctl_zone_open(&zone, f->agent.zone, 0));
    const mesh_cluster_view_t *view =
        ctl_zone_view(&zone, mesh_str_from(cluster));
    uint64_t tag = mesh_runtime_tag(mesh_hash64(cluster, strlen(cluster)));
    mesh_endpoint_slot_t *slot = mesh_runtime_claim_endpoint(
        &f->runtime.rt, view->endpoints[i].slot,
        mesh_endpoint_tag(zone.s, tag, view->endpoints[i].endpoint));
    ctl_zone_close(&zone);
    assert_non_null(slot);
    return slot;
}

/* --- without waiting ------------------------------------------------------ */

static void test_drain_and_undrain(void **state) {
    fixture_t *f = *state;

    assert_string_equal(states_of(f, "a"), "uuu");
    slot_of(f, "a", 1)->in_flight = 3;
    assert_string_equal(told(ask(f, CTL_DRAIN, "a", "127.0.0.2:80", 0)),
                        "drained 3");
    assert_string_equal(states_of(f, "a"), "udu");
    assert_string_equal(states_of(f, "b"), "u");
    assert_string_equal(told(ask(f, CTL_DRAIN, "a", "127.0.0.2:80", 0)),
                        "unchanged 3");
    assert_string_equal(told(ask(f, CTL_DRAIN, "b", "unix:/run/x", 0)),
                        "drained 0");
    assert_string_equal(states_of(f, "b"), "d");
    assert_int_equal(drained_of(f), 2);
    assert_string_equal(told(ask(f, CTL_UNDRAIN, "a", "127.0.0.2:80", 0)),
                        "undrained 3");
    assert_string_equal(told(ask(f, CTL_UNDRAIN, "a", "127.0.0.2:80", 0)),
                        "unchanged 3");
    assert_string_equal(states_of(f, "a"), "uuu");
}

static void test_what_is_not_there(void **state) {
    fixture_t *f = *state;
    static const struct {
        const char *cluster;
        const char *endpoint;
        const char *part;
    } wrong[] = {{"z", "127.0.0.1:80", "no cluster \"z\""},
                 {"a", "127.0.0.9:80", "has no endpoint \"127.0.0.9:80\""},
                 {"a", "127.0.0.1", "has no endpoint \"127.0.0.1\""},
                 {"b", "127.0.0.2:80", "has no endpoint \"127.0.0.2:80\""}};

    for (size_t i = 0; i < mesh_nelts(wrong); i++) {
        for (int wait = 0; wait < 2; wait++) {
            const char *text =
                told(ask(f, wait ? CTL_UNDRAIN : CTL_DRAIN, wrong[i].cluster,
                         wrong[i].endpoint, wait ? LONG_MS : 0));
            if (strstr(text, wrong[i].part) == NULL) {
                fail_msg("%s: %s", wrong[i].part, text);
            }
        }
    }
    assert_int_equal(drained_of(f), 0);
}

/* --- waiting -------------------------------------------------------------- */

/* Another process that is the worker: takes the words, and ends attempts. */
static pid_t worker(fixture_t *f, mesh_endpoint_slot_t *slot) {
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        usleep(20000);
        mesh_store_release(&f->runtime.rt.workers[0].health, UINT64_MAX);
        usleep(20000);
        mesh_store_release(&slot->in_flight, 0);
        _exit(0);
    }
    return pid;
}

static void test_waiting(void **state) {
    fixture_t *f = *state;
    mesh_endpoint_slot_t *slot = slot_of(f, "a", 0);

    slot->in_flight = 2;
    /* The worker does not take it in time ... */
    assert_string_equal(told(ask(f, CTL_DRAIN, "a", "127.0.0.1:80", 10)),
                        "done, but 1 of 1 workers have not taken it in time 2");
    assert_string_equal(states_of(f, "a"), "duu");
    /* ... or takes it, and attempts go on. */
    f->runtime.rt.workers[0].health = UINT64_MAX;
    assert_string_equal(told(ask(f, CTL_DRAIN, "a", "127.0.0.1:80", 10)),
                        "drained, but attempts were still in flight when the "
                        "time was over: 2 2 applied");
    f->runtime.rt.workers[0].health = 0;
    pid_t pid = worker(f, slot);
    assert_string_equal(told(ask(f, CTL_DRAIN, "a", "127.0.0.1:80", LONG_MS)),
                        "drained 0 applied");
    assert_int_equal(waitpid(pid, NULL, 0), pid);

    /* Taking it back waits for the worker, not for attempts. */
    f->runtime.rt.workers[0].health = 0;
    slot->in_flight = 1;
    pid = worker(f, slot);
    const char *text = told(ask(f, CTL_UNDRAIN, "a", "127.0.0.1:80", LONG_MS));
    assert_int_equal(strncmp(text, "undrained ", 10), 0);
    assert_non_null(strstr(text, " applied"));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Without any worker there is nobody to wait for. */
static void test_no_worker(void **state) {
    fixture_t *f = *state;

    mesh_runtime_close(&f->runtime);
    assert_string_equal(told(ask(f, CTL_DRAIN, "a", "127.0.0.1:80", LONG_MS)),
                        "drained 0 applied");
    assert_string_equal(told(ask(f, CTL_UNDRAIN, "a", "127.0.0.1:80", LONG_MS)),
                        "undrained 0 applied");
}

/* --- what outlives ------------------------------------------------------- */

static void test_drains_outlive_the_agent(void **state) {
    fixture_t *f = *state;

    assert_string_equal(told(ask(f, CTL_DRAIN, "a", "127.0.0.2:80", 0)),
                        "drained 0");
    live_agent_kill(&f->agent);
    live_agent_start(&f->agent, "");
    assert_string_equal(states_of(f, "a"), "udu");
    assert_int_equal(drained_of(f), 1);
    /* With another mesh around it, in another place of it. */
    assert_true(live_agent_apply(
        &f->agent, CTL_YAML,
        "clusters: {A: {endpoints: ['127.0.0.2:80']}, a: {endpoints:"
        " ['126.0.0.1:80', '127.0.0.2:80', '127.0.0.3:80']}}"));
    assert_string_equal(states_of(f, "a"), "udu");
    assert_string_equal(states_of(f, "A"), "u");
    /* It ends when the endpoint leaves, and does not come back with it. */
    assert_true(live_agent_apply(&f->agent, CTL_YAML,
                                 "clusters: {a: {endpoints: []}}"));
    assert_int_equal(drained_of(f), 0);
    assert_true(live_agent_apply(&f->agent, CTL_YAML, MESH));
    assert_string_equal(states_of(f, "a"), "uuu");
    live_agent_stop(&f->agent);
}

/* One that asks and leaves, and one that waits while the mesh changes. */
static void test_waiting_over_a_change(void **state) {
    fixture_t *f = *state;
    mesh_endpoint_slot_t *slot = slot_of(f, "a", 0);

    slot->in_flight = 1;
    f->runtime.rt.workers[0].health = UINT64_MAX;
    pid_t pid = fork();
    if (pid == 0) {
        const char *text =
            told(ask(f, CTL_DRAIN, "a", "127.0.0.1:80", LONG_MS));
        _exit(strcmp(text, "drained 0 applied") == 0 ? 0 : 1);
    }
    while (strcmp(states_of(f, "a"), "duu") != 0) {
        usleep(1000);
    }
    assert_true(live_agent_apply(&f->agent, CTL_YAML,
                                 "clusters: {a: {endpoints: ['127.0.0.1:80',"
                                 " '127.0.0.4:80']}}"));
    assert_string_equal(states_of(f, "a"), "du");
    mesh_store_release(&slot->in_flight, 0);
    int status = 1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_drain_and_undrain),
        TEST(test_what_is_not_there),
        TEST(test_waiting),
        TEST(test_no_worker),
        TEST(test_drains_outlive_the_agent),
        TEST(test_waiting_over_a_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
