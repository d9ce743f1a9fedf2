/* SPDX-License-Identifier: Apache-2.0 */
/* slow */

/*
 * A whole agent: sources, socket, publishing, streams that outlive it.  What
 * is asked of it over its socket is answered with what came of it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent_loop.h"
#include "agent_publish.h"
#include "ctl_client.h"
#include "ctl_zone.h"
#include "live_agent.h"
#include "mesh_runtime.h"

#define ONE "clusters: {one: {endpoints: ['1.1.1.1:1']}}\n"
#define TWO "clusters: {two: {endpoints: ['2.2.2.2:2']}}\n"
#define FILE_SOURCE "sources: [{file: mesh.yaml}]"

static int setup(void **state) {
    live_agent_t *agent = calloc(1, sizeof(*agent));

    live_agent_make(agent);
    *state = agent;
    return 0;
}

static int teardown(void **state) {
    live_agent_t *agent = *state;

    live_agent_remove(agent);
    free(agent);
    return 0;
}

static const char *at(const live_agent_t *agent, const char *name) {
    return temp_path(&agent->top, name);
}

/* Puts a file in one step, as careful editors do. */
static void put_file(const live_agent_t *agent, const char *name,
                     const char *text) {
    const char *made = at(agent, ".made");

    temp_puts(made, text);
    assert_int_equal(rename(made, at(agent, name)), 0);
}

/* --- asking --------------------------------------------------------------- */

static const cJSON *get(const cJSON *json, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(json, key);
}

static const char *text_of(const cJSON *json, const char *key) {
    const char *text = cJSON_GetStringValue(get(json, key));

    return text ? text : "";
}

static cJSON *status_of(const live_agent_t *agent) {
    ctl_request_t request = {.command = CTL_STATUS};

    return live_agent_ask(agent, &request);
}

/* The state of a part, as "refused: first line of its verdict". */
static const char *part_of(const live_agent_t *agent, const char *name) {
    static char text[512];
    cJSON *status = status_of(agent);
    const cJSON *part;

    snprintf(text, sizeof(text), "none");
    cJSON_ArrayForEach(part, get(status, "parts")) {
        const char *full = text_of(part, "name");
        size_t len = strlen(full), n = strlen(name);
        if (len >= n && strcmp(full + len - n, name) == 0) {
            const cJSON *line = cJSON_GetArrayItem(get(part, "verdict"), 0);
            snprintf(text, sizeof(text), "%s%s%s", text_of(part, "state"),
                     line ? ": " : "", line ? line->valuestring : "");
        }
    }
    cJSON_Delete(status);
    return text;
}

static double generation_of(const live_agent_t *agent) {
    cJSON *status = status_of(agent);
    double generation = get(status, "generation")->valuedouble;

    cJSON_Delete(status);
    return generation;
}

/* Asks and gives what came of it: "published", or the error. */
static const char *ask(const live_agent_t *agent, ctl_command_e command,
                       uint64_t generation, const char *part) {
    static char text[512];
    ctl_request_t request = {.command = command, .generation = generation};

    snprintf(request.part, sizeof(request.part), "%s", part);
    cJSON *answer = live_agent_ask(agent, &request);
    bool ok = cJSON_IsTrue(get(answer, "ok"));
    snprintf(text, sizeof(text), "%s",
             text_of(answer, ok ? "outcome" : "error"));
    cJSON_Delete(answer);
    return text;
}

/* Is there a cluster of that name in what workers get? */
static bool has(const live_agent_t *agent, const char *cluster) {
    ctl_zone_t zone;

    if (!ctl_zone_open(&zone, agent->zone, 0)) {
        return false;
    }
    bool there = ctl_zone_view(&zone, mesh_str_from(cluster)) != NULL;
    ctl_zone_close(&zone);
    return there;
}

static void assert_logged(const live_agent_t *agent, const char *text) {
    char *log = live_agent_log(agent);

    if (strstr(log, text) == NULL) {
        fail_msg("\"%s\" is not in the log:\n%s", text, log);
    }
    free(log);
}

/* --- from start to end ---------------------------------------------------- */

static void test_publishes_and_ends(void **state) {
    live_agent_t *agent = *state;

    put_file(agent, "mesh.yaml", ONE);
    live_agent_start(agent, FILE_SOURCE);
    assert_true(has(agent, "one"));
    cJSON *status = status_of(agent);
    assert_true(cJSON_IsTrue(get(status, "ok")));
    assert_int_equal(get(status, "generation")->valueint, 1);
    assert_int_equal(get(status, "pid")->valueint, agent->pid);
    assert_string_equal(text_of(status, "zone"), agent->zone);
    assert_int_equal(get(get(status, "workers"), "live")->valueint, 0);
    assert_true(cJSON_IsFalse(get(status, "pinned")));
    assert_null(get(status, "held_by"));
    cJSON_Delete(status);
    assert_string_equal(part_of(agent, "mesh.yaml"), "in force");

    live_agent_stop(agent);
    live_agent_await(agent, "STOPPING=1");
    assert_logged(agent, "ending signal=TERM");
    /* Its socket is gone, its last-good copy is there. */
    assert_int_equal(access(agent->socket, F_OK), -1);
    assert_int_equal(access(at(agent, "state/" PUBLISH_LAST_GOOD), F_OK), 0);
    assert_true(has(agent, "one"));
}

static void test_a_zone_of_another(void **state) {
    live_agent_t *agent = *state;
    live_agent_t second = *agent;

    live_agent_start(agent, "");
    assert_int_equal(live_agent_run(&second, ""), AGENT_EXIT_ZONE);
    assert_logged(agent, "the zone has an agent already");
    live_agent_stop(agent);
}

static void test_places_that_cannot_be(void **state) {
    live_agent_t *agent = *state;
    char yaml[256];

    /* A file where the socket goes: it is not the agent's to remove. */
    temp_puts(at(agent, "taken"), "x");
    snprintf(yaml, sizeof(yaml), "socket: {path: %s}", at(agent, "taken"));
    assert_int_equal(live_agent_run(agent, yaml), AGENT_EXIT_ZONE);
    assert_logged(agent, "the control socket cannot be made");
    assert_int_equal(live_agent_run(agent, "socket: {group: no-such-group}"),
                     AGENT_EXIT_ZONE);
    assert_logged(agent, "there is no group");
    assert_int_equal(live_agent_run(agent, "zone2: x"), AGENT_EXIT_INVALID);

    snprintf(agent->zone, sizeof(agent->zone), "%s/taken/zone",
             agent->top.path);
    assert_int_equal(live_agent_run(agent, ""), AGENT_EXIT_ZONE);
    assert_logged(agent, "the zone cannot be opened");
}

static void test_edits_and_signals(void **state) {
    live_agent_t *agent = *state;

    put_file(agent, "mesh.yaml", ONE);
    live_agent_start(agent, "debounce: {quiet: 1ms, bound: 5ms}\n" FILE_SOURCE);
    put_file(agent, "mesh.yaml", TWO);
    live_agent_await(agent, "STATUS=generation 2");
    assert_true(has(agent, "two"));
    assert_false(has(agent, "one"));

    put_file(agent, "mesh.yaml", "clusters: {bad: {lb: fastest}}");
    assert_int_equal(kill(agent->pid, SIGHUP), 0);
    live_agent_await(agent, "RELOADING=1");
    live_agent_await(agent, "READY=1");
    assert_non_null(strstr(part_of(agent, "mesh.yaml"), "refused: "));
    assert_non_null(strstr(part_of(agent, "mesh.yaml"),
                           "mesh.yaml:1:22: clusters.bad.lb: found"));
    assert_true(has(agent, "two"));
    assert_logged(agent, "part refused");

    /* Gone for good: the last good goes on. */
    assert_int_equal(unlink(at(agent, "mesh.yaml")), 0);
    assert_int_equal(kill(agent->pid, SIGHUP), 0);
    live_agent_await(agent, "READY=1");
    while (strncmp(part_of(agent, "mesh.yaml"), "gone", 4) != 0) {
        usleep(1000);
    }
    assert_string_equal(part_of(agent, "mesh.yaml"), "gone: the file is gone");
    assert_true(has(agent, "two"));

    put_file(agent, "mesh.yaml", ONE);
    live_agent_await(agent, "STATUS=generation 3");
    assert_true(has(agent, "one"));
    assert_int_equal(kill(agent->pid, SIGINT), 0);
    live_agent_await(agent, "STOPPING=1");
    live_agent_stop(agent);
}

static void test_two_sources(void **state) {
    live_agent_t *agent = *state;

    mkdir(at(agent, "dir"), 0700);
    put_file(agent, "dir/routes.yaml",
             "hosts: [{domains: '*', routes: [{route: one}]}]");
    live_agent_start(agent, "sources: [{file: mesh.yaml}, {directory: dir}]");
    /* A route to what is not there yet waits. */
    assert_non_null(strstr(part_of(agent, "routes.yaml"), "refused: "));
    put_file(agent, "mesh.yaml", ONE);
    live_agent_await(agent, "STATUS=generation 1 ");
    assert_string_equal(part_of(agent, "routes.yaml"), "in force");
    live_agent_stop(agent);
}

/* --- the socket ----------------------------------------------------------- */

static void test_applied_parts(void **state) {
    live_agent_t *agent = *state;

    live_agent_start(agent, "");
    assert_true(live_agent_apply(agent, CTL_YAML, ONE));
    assert_true(has(agent, "one"));
    assert_true(live_agent_apply(
        agent, CTL_LINES,
        "{\"upsert\": {\"clusters\": {\"two\": {\"endpoints\": []}}}}\n"
        "{\"remove\": {\"clusters\": [\"one\"]}}\n"));
    assert_true(has(agent, "two"));
    assert_false(has(agent, "one"));
    assert_true(live_agent_apply(
        agent, CTL_JSON, "{\"clusters\": {\"three\": {\"endpoints\": []}}}"));
    assert_false(has(agent, "two"));
    assert_string_equal(part_of(agent, "stream:p"), "in force");
    double generation = generation_of(agent);

    /* Wrong by itself, wrong together: nothing changes. */
    assert_false(live_agent_apply(agent, CTL_YAML, "clusters: 5"));
    assert_false(live_agent_apply(agent, CTL_YAML, "hosts: ["));
    assert_false(live_agent_apply(
        agent, CTL_YAML, "hosts: [{domains: a, routes: [{route: nowhere}]}]"));
    assert_false(live_agent_apply(
        agent, CTL_LINES,
        "{\"upsert\": {\"hosts\": [{\"domains\": \"a\", \"routes\": "
        "[{\"route\": \"nowhere\"}]}]}}"));
    assert_true(has(agent, "three"));
    assert_int_equal(generation_of(agent), generation);
    assert_non_null(
        strstr(part_of(agent, "stream:p"), "found cluster \"nowhere\""));

    /* And the stream is what it was: the next change builds on it. */
    assert_true(live_agent_apply(
        agent, CTL_LINES,
        "{\"upsert\": {\"hosts\": [{\"domains\": \"a\", \"routes\": "
        "[{\"route\": \"three\"}]}]}}"));
    assert_string_equal(ask(agent, CTL_REMOVE, 0, "p"), "published");
    assert_false(has(agent, "three"));
    assert_string_equal(part_of(agent, "stream:p"), "none");
    assert_string_equal(ask(agent, CTL_REMOVE, 0, "p"),
                        "there is no such part");
    assert_string_equal(ask(agent, CTL_REMOVE, 0, "q"),
                        "there is no such part");
    live_agent_stop(agent);
}

static void test_streams_outlive_the_agent(void **state) {
    live_agent_t *agent = *state;

    live_agent_start(agent, "");
    assert_true(live_agent_apply(agent, CTL_YAML, ONE));
    assert_true(live_agent_apply(
        agent, CTL_LINES,
        "{\"upsert\": {\"clusters\": {\"more\": {\"endpoints\": []}}}}"));
    assert_false(live_agent_apply(agent, CTL_YAML, "clusters: 5"));
    live_agent_kill(agent);

    live_agent_start(agent, "");
    assert_true(has(agent, "one"));
    assert_true(has(agent, "more"));
    assert_string_equal(part_of(agent, "stream:p"), "in force");
    assert_string_equal(ask(agent, CTL_REMOVE, 0, "p"), "published");
    live_agent_stop(agent);
    live_agent_start(agent, "");
    assert_string_equal(part_of(agent, "stream:p"), "none");
    live_agent_stop(agent);

    /* What an older agent took and this one does not. */
    mkdir(at(agent, "state/streams"), 0700);
    temp_puts(at(agent, "state/streams/old.journal"),
              "{\"command\":\"apply\",\"part\":\"old\",\"format\":\"yaml\","
              "\"length\":11}\nclusters: 5");
    live_agent_start(agent, "");
    assert_logged(agent, "a kept request is refused now");
    live_agent_stop(agent);
}

/* A disk that has room again gets what it missed, changes or none. */
static void test_streams_are_written_later(void **state) {
    live_agent_t *agent = *state;
    char *log;

    assert_int_equal(mkdir(agent->state, 0700), 0);
    temp_puts(at(agent, "state/streams"), "no directory");
    live_agent_start(agent, "");
    assert_true(live_agent_apply(agent, CTL_YAML, ONE));
    assert_true(live_agent_apply(
        agent, CTL_LINES,
        "{\"upsert\": {\"clusters\": {\"more\": {\"endpoints\": []}}}}"));
    assert_logged(agent, "an applied part cannot be kept for the next agent");
    usleep(1200000); /* not the first time that it is tried again, either */
    assert_int_equal(unlink(at(agent, "state/streams")), 0);
    for (int i = 0; i < 1000; i++) {
        log = live_agent_log(agent);
        bool again = strstr(log, "an applied part is kept again") != NULL;
        free(log);
        if (again) {
            break;
        }
        usleep(10000);
    }
    assert_logged(agent, "an applied part is kept again");
    live_agent_kill(agent);

    live_agent_start(agent, "");
    assert_string_equal(part_of(agent, "stream:p"), "in force");
    assert_true(has(agent, "one"));
    assert_true(has(agent, "more"));
    live_agent_stop(agent);

    /* Nor is it lost when the agent ends before its second is over. */
    char *old = strdup(at(agent, "state/away"));
    assert_int_equal(rename(at(agent, "state/streams"), old), 0);
    temp_puts(at(agent, "state/streams"), "no directory");
    live_agent_start(agent, "");
    assert_true(live_agent_apply(agent, CTL_YAML, TWO));
    assert_int_equal(unlink(at(agent, "state/streams")), 0);
    live_agent_stop(agent);
    live_agent_start(agent, "");
    assert_string_equal(part_of(agent, "stream:p"), "in force");
    assert_true(has(agent, "two"));
    live_agent_stop(agent);
    free(old);
}

static void test_too_many_streams(void **state) {
    live_agent_t *agent = *state;
    unsigned taken = 0;

    live_agent_start(agent, "");
    for (int i = 0; i < 70; i++) {
        char body[128];
        ctl_request_t request = {.command = CTL_APPLY};
        snprintf(body, sizeof(body), "clusters: {c%d: {endpoints: []}}", i);
        snprintf(request.part, sizeof(request.part), "part-%d", i);
        request.length = strlen(body);
        request.body = mesh_str_from(body);
        cJSON *answer = live_agent_ask(agent, &request);
        if (cJSON_IsTrue(get(answer, "ok"))) {
            taken++;
        } else {
            assert_string_equal(text_of(answer, "error"),
                                "too many parts: 64 are applied already");
        }
        cJSON_Delete(answer);
    }
    assert_int_equal(taken, 64);
    live_agent_stop(agent);
}

/* Those that are gone, or were never there, leave room for others. */
static void test_streams_come_and_go(void **state) {
    live_agent_t *agent = *state;

    live_agent_start(agent, "debounce: 0ms");
    for (int i = 0; i < 200; i++) {
        char part[32];
        ctl_request_t request = {.command = CTL_APPLY};
        bool wrong = i % 4 == 0;

        snprintf(part, sizeof(part), "part-%d", i);
        assert_string_equal(ask(agent, CTL_REMOVE, 0, part),
                            "there is no such part");
        memcpy(request.part, part, sizeof(part));
        request.body = mesh_str_from(wrong ? "clusters: [" : ONE);
        request.length = request.body.len;
        cJSON *answer = live_agent_ask(agent, &request);
        assert_string_equal(text_of(answer, "outcome"),
                            wrong ? "refused" : "published");
        cJSON_Delete(answer);
        if (!wrong) {
            assert_string_equal(ask(agent, CTL_REMOVE, 0, part), "published");
        }
    }
    assert_true(live_agent_apply(agent, CTL_YAML, TWO));
    live_agent_kill(agent);
    live_agent_start(agent, "");
    assert_true(has(agent, "two") && !has(agent, "one"));
    live_agent_stop(agent);
}

/* false: this user may not. */
static bool mount_zone(const live_agent_t *agent) {
    return (mkdir(agent->zone, 0755) == 0 || errno == EEXIST) &&
           unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", agent->zone, "tmpfs", 0, "size=1m") == 0;
}

/* What the zone has no room for is not wrong: it may be sent again. */
static void test_a_full_zone(void **state) {
    live_agent_t *agent = *state;
    static const char block[4096];
    char ballast[160];
    char body[512];
    ctl_request_t request = {
        .command = CTL_APPLY, .format = CTL_LINES, .part = "p"};

    if (!mount_zone(agent)) {
        skip();
    }
    live_agent_start(agent, "");
    assert_true(live_agent_apply(agent, CTL_YAML, ONE));
    snprintf(ballast, sizeof(ballast), "%s/ballast", agent->zone);
    int fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, block, sizeof(block)) > 0) {
        /* until it is full */
    }
    close(fd);
    /* What is left of the last page may take a few. */
    bool held = false;
    for (int i = 0; i < 1000 && !held; i++) {
        snprintf(body, sizeof(body),
                 "{\"upsert\": {\"clusters\": {\"one\": {\"endpoints\": "
                 "[\"10.1.%d.%d:1\"]}}}}",
                 i / 200, i % 200 + 1);
        request.body = mesh_str_from(body);
        request.length = request.body.len;
        cJSON *answer = live_agent_ask(agent, &request);
        held = cJSON_IsTrue(get(answer, "retry"));
        assert_true(held || cJSON_IsTrue(get(answer, "ok")));
        assert_string_equal(text_of(answer, "outcome"),
                            held ? "" : "published");
        cJSON_Delete(answer);
    }
    assert_true(held);
    unlink(ballast);
    cJSON *answer = live_agent_ask(agent, &request);
    assert_string_equal(text_of(answer, "outcome"), "published");
    cJSON_Delete(answer);
    live_agent_stop(agent);
    assert_int_equal(umount2(agent->zone, MNT_DETACH), 0);
}

static void test_policy(void **state) {
    live_agent_t *agent = *state;

    live_agent_start(agent, "");
    assert_string_equal(ask(agent, CTL_PIN, 0, ""),
                        "nothing is published yet that could be pinned");
    assert_string_equal(ask(agent, CTL_ROLLBACK, 1, ""),
                        "generation 1 is not in the history");
    assert_int_equal(generation_of(agent), 0);
    assert_true(live_agent_apply(agent, CTL_YAML, ONE));
    assert_true(live_agent_apply(agent, CTL_YAML, TWO));
    assert_string_equal(ask(agent, CTL_ROLLBACK, 1, ""), "published");
    assert_true(has(agent, "one"));
    assert_string_equal(ask(agent, CTL_ROLLBACK, 77, ""),
                        "generation 77 is not in the history");
    assert_string_equal(ask(agent, CTL_ROLLBACK, 2, ""), "published");
    assert_true(has(agent, "two"));

    assert_string_equal(ask(agent, CTL_PIN, 0, ""), "published");
    assert_string_equal(ask(agent, CTL_PIN, 0, ""), "unchanged");
    assert_true(live_agent_apply(agent, CTL_YAML, ONE));
    assert_true(has(agent, "two"));
    assert_string_equal(ask(agent, CTL_UNPIN, 0, ""), "published");
    assert_true(has(agent, "one"));
    assert_string_equal(ask(agent, CTL_RELOAD, 0, ""), "unchanged");
    assert_logged(agent, "rollback to generation 1");
    live_agent_stop(agent);
}

static void forget_kept_parts(const live_agent_t *agent) {
    char path[128];

    snprintf(path, sizeof(path), "%s/parts", agent->state);
    temp_remove(path);
}

/*
 * A part that the published root has, that is refused from the start and whose
 * last good was not kept: publishing without it would take it out of the mesh.
 */
static void test_held(void **state) {
    live_agent_t *agent = *state;

    put_file(agent, "mesh.yaml", ONE);
    live_agent_start(agent, FILE_SOURCE);
    live_agent_stop(agent);
    put_file(agent, "mesh.yaml", "clusters: 5");
    forget_kept_parts(agent);
    live_agent_start(agent, FILE_SOURCE);
    assert_true(has(agent, "one"));
    cJSON *status = status_of(agent);
    assert_non_null(strstr(text_of(status, "held_by"), "mesh.yaml"));
    cJSON_Delete(status);
    assert_non_null(strstr(ask(agent, CTL_PIN, 0, ""), "held: part "));
    assert_false(live_agent_apply(agent, CTL_YAML, TWO));
    assert_true(has(agent, "one"));

    put_file(agent, "mesh.yaml", TWO);
    live_agent_await(agent, "STATUS=generation 2");
    assert_true(has(agent, "two"));
    live_agent_stop(agent);
}

/* --- waiting for workers -------------------------------------------------- */

/* A worker as it is seen by the agent: a slot with a lock on it. */
static void open_worker(const live_agent_t *agent, mesh_runtime_file_t *file) {
    mesh_runtime_sizes_t sizes = {8, 64, 64, 64};

    assert_int_equal(mesh_runtime_open(file, agent->zone, &sizes, false, 1),
                     MESH_OK);
    assert_int_equal(mesh_runtime_claim_worker(file, agent->zone, 1), MESH_OK);
}

static cJSON *apply_and_wait(const live_agent_t *agent, const char *body,
                             uint32_t timeout_ms) {
    ctl_request_t request = {.command = CTL_APPLY,
                             .part = "p",
                             .applied = true,
                             .timeout_ms = timeout_ms,
                             .length = strlen(body),
                             .body = mesh_str_from(body)};

    return live_agent_ask(agent, &request);
}

static void test_waits_for_workers(void **state) {
    live_agent_t *agent = *state;
    mesh_runtime_file_t file;

    live_agent_start(agent, "");
    open_worker(agent, &file);
    cJSON *answer = apply_and_wait(agent, ONE, 10);
    assert_true(cJSON_IsFalse(get(answer, "ok")));
    assert_true(cJSON_IsFalse(get(answer, "applied")));
    assert_string_equal(
        text_of(answer, "error"),
        "published, but not all workers have adopted it in time");
    assert_int_equal(get(get(answer, "workers"), "live")->valueint, 1);
    cJSON_Delete(answer);

    /* It follows while somebody waits. */
    file.rt.workers[0].generation = 1;
    pid_t worker = fork();
    if (worker == 0) {
        while (!has(agent, "two")) {
            usleep(500);
        }
        mesh_store_release(&file.rt.workers[0].generation, 2);
        _exit(0);
    }
    answer = apply_and_wait(agent, TWO, 60000);
    assert_true(cJSON_IsTrue(get(answer, "ok")));
    assert_true(cJSON_IsTrue(get(answer, "applied")));
    assert_string_equal(text_of(answer, "outcome"), "published");
    assert_int_equal(get(answer, "generation")->valueint, 2);
    cJSON_Delete(answer);
    assert_int_equal(waitpid(worker, NULL, 0), worker);

    /* A refused part is told at once, whoever waits for what. */
    answer = apply_and_wait(
        agent, "hosts: [{domains: a, routes: [{route: nowhere}]}]", 60000);
    assert_true(cJSON_IsFalse(get(answer, "ok")));
    assert_string_equal(text_of(answer, "error"), "the part is refused");
    assert_non_null(cJSON_GetArrayItem(get(answer, "verdict"), 0));
    cJSON_Delete(answer);
    mesh_runtime_close(&file);
    live_agent_stop(agent);
}

/* --- agent.yaml read again ------------------------------------------------ */

/* Asks for it; what was said is in the answer's verdict, line by line. */
static const char *reload(const live_agent_t *agent, bool accepted) {
    static char text[4096];
    ctl_request_t request = {.command = CTL_RELOAD};
    cJSON *answer = live_agent_ask(agent, &request);
    const cJSON *line;
    size_t used = 0;

    text[0] = '\0';
    cJSON_ArrayForEach(line, get(answer, "verdict")) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s\n",
                                 line->valuestring);
        assert_true(used < sizeof(text));
    }
    assert_int_equal(cJSON_IsTrue(get(answer, "ok")), accepted);
    cJSON_Delete(answer);
    return text;
}

static void put_config(const live_agent_t *agent, const char *zone,
                       const char *yaml) {
    char text[2048];

    snprintf(text, sizeof(text), "zone: %s\nstate: %s\n%s\n", zone,
             agent->state, yaml);
    put_file(agent, "agent.yaml", text);
}

static void await_cluster(const live_agent_t *agent, const char *cluster) {
    while (!has(agent, cluster)) {
        usleep(1000);
    }
}

/*
 * What stays runs on, whatever became of the memory of the agent.yaml that it
 * was opened by.
 */
static void test_sources_come_and_go(void **state) {
    static const struct {
        const char *yaml;
        bool one, two;
    } lists[] = {
        {"sources: [{file: mesh.yaml}, {directory: d}]", true, true},
        {"sources: [{directory: d}]\nlog: {level: debug}", false, true},
        {"sources: [{directory: d}, {file: mesh.yaml}]", true, true},
        {"debounce: {quiet: 1ms, bound: 5ms}", false, false},
        {"sources: [{file: d/two.yaml}]", false, true},
    };
    live_agent_t *agent = *state;

    assert_int_equal(mkdir(at(agent, "d"), 0700), 0);
    put_file(agent, "mesh.yaml", ONE);
    put_file(agent, "d/two.yaml", TWO);
    live_agent_start(agent, FILE_SOURCE);
    assert_true(live_agent_apply(agent, CTL_YAML, "clusters: {applied: {}}"));
    for (size_t i = 0; i < 4 * mesh_nelts(lists); i++) {
        size_t list = i * 3 % mesh_nelts(lists);
        put_config(agent, agent->zone, lists[list].yaml);
        assert_string_equal(reload(agent, true), "");
        assert_int_equal(has(agent, "one"), lists[list].one);
        assert_int_equal(has(agent, "two"), lists[list].two);
        assert_true(has(agent, "applied")); /* it was in no source of these */
    }
    for (size_t list = 0; list <= 2; list += 2) {
        put_config(agent, agent->zone, lists[list].yaml);
        assert_string_equal(reload(agent, true), "");
    }
    put_file(agent, "mesh.yaml", "clusters: {three: {}}");
    await_cluster(agent, "three");
    assert_false(has(agent, "one"));
    live_agent_stop(agent);
}

#define DNS_KEPT "servers: ['127.0.0.1:53']", "min_ttl: 5s", "max_ttl: 60s"
#define KEPT                                                                   \
    "capacity: 8M\ndns: {servers: ['127.0.0.1:53'], min_ttl: 5s, "             \
    "max_ttl: 60s, timeout: 2s}\n" FILE_SOURCE

/* What the process stands on: each is told, and the rest takes effect. */
static void test_what_cannot_change(void **state) {
    static const char *const told[] = {
        "zone cannot change without a restart: \"",
        "socket.path cannot change without a restart: \"",
        "capacity cannot change without a restart: 8388608 bytes stay",
        "dns cannot change without a restart: what it was stays",
        "node cannot change without a restart: what it was stays",
    };
    static const char *const dns[] = {"servers: ['127.0.0.1:54']",
                                      "min_ttl: 6s", "max_ttl: 70s",
                                      "timeout: 3s"};
    live_agent_t *agent = *state;
    char yaml[512];

    put_file(agent, "mesh.yaml", ONE);
    live_agent_start(agent, KEPT);
    assert_string_equal(reload(agent, true), "");
    snprintf(yaml, sizeof(yaml),
             "capacity: 9M\nnode: {zone: b}\nsocket: {path: %s/s}",
             agent->top.path);
    put_config(agent, at(agent, "elsewhere"), yaml);
    const char *text = reload(agent, true);
    for (size_t i = 0; i < mesh_nelts(told); i++) {
        if (strstr(text, told[i]) == NULL) {
            fail_msg("no '%s' in %s", told[i], text);
        }
    }
    assert_null(strstr(text, "state cannot"));
    assert_false(has(agent, "one")); /* it had no sources */
    assert_int_equal(access(at(agent, "elsewhere"), F_OK), -1);
    assert_int_equal(access(at(agent, "s"), F_OK), -1);

    /* Each setting of DNS by itself; those that are back are no change. */
    for (size_t i = 0; i < mesh_nelts(dns); i++) {
        const char *v[] = {DNS_KEPT, "timeout: 2s"};
        v[i] = dns[i];
        snprintf(yaml, sizeof(yaml),
                 "capacity: 8M\ndns: {%s, %s, %s, %s}\n" FILE_SOURCE, v[0],
                 v[1], v[2], v[3]);
        put_config(agent, agent->zone, yaml);
        text = reload(agent, true);
        assert_non_null(strstr(text, told[3]));
        assert_int_equal(strchr(text, '\n')[1], '\0'); /* nothing else */
        put_config(agent, agent->zone, KEPT);
        assert_string_equal(reload(agent, true), "");
    }
    assert_true(has(agent, "one"));
    live_agent_stop(agent);
}

/* All of it or nothing; the sources are read again all the same. */
static void test_a_wrong_agent_yaml(void **state) {
    static const struct {
        const char *yaml, *said;
    } wrong[] = {
        {"sources: [{file: other.yaml}]\nnope: 1",
         "agent.yaml:4:1: nope: unknown field"},
        {"sources: []\ncapacity: 1x", "agent.yaml:4:11: capacity: found"},
        {"sources: [", "agent.yaml:"},
        {"sources: []\nsocket: {group: no-such-group}", "there is no group"},
    };
    live_agent_t *agent = *state;

    put_file(agent, "mesh.yaml", ONE);
    put_file(agent, "other.yaml", TWO);
    live_agent_start(agent, FILE_SOURCE);
    for (size_t i = 0; i < mesh_nelts(wrong); i++) {
        put_config(agent, agent->zone, wrong[i].yaml);
        const char *text = reload(agent, false);
        if (strstr(text, wrong[i].said) == NULL) {
            fail_msg("no '%s' in %s", wrong[i].said, text);
        }
        assert_true(has(agent, "one"));
        assert_false(has(agent, "two"));
        cJSON *status = status_of(agent);
        assert_non_null(cJSON_GetArrayItem(get(status, "configuration"), 0));
        cJSON_Delete(status);
    }
    assert_int_equal(unlink(at(agent, "agent.yaml")), 0);
    put_file(agent, "mesh.yaml", TWO);
    assert_non_null(strstr(reload(agent, false), "No such file"));
    await_cluster(agent, "two");
    put_config(agent, agent->zone, FILE_SOURCE);
    assert_string_equal(reload(agent, true), "");
    live_agent_stop(agent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_publishes_and_ends),
        TEST(test_a_zone_of_another),
        TEST(test_places_that_cannot_be),
        TEST(test_edits_and_signals),
        TEST(test_two_sources),
        TEST(test_applied_parts),
        TEST(test_streams_outlive_the_agent),
        TEST(test_streams_are_written_later),
        TEST(test_too_many_streams),
        TEST(test_streams_come_and_go),
        TEST(test_a_full_zone),
        TEST(test_policy),
        TEST(test_held),
        TEST(test_waits_for_workers),
        TEST(test_sources_come_and_go),
        TEST(test_what_cannot_change),
        TEST(test_a_wrong_agent_yaml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
