/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl as it is called, from its command line to what it prints: what the
 * zone holds, why an endpoint is out, what is wrong; with no agent there.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent_log.h"
#include "agent_publish.h"
#include "agent_version.h"
#include "ctl_call.h"
#include "ctl_explain.h"
#include "mesh_zone.h"
#include "text_zone.h"

static const char mesh[] =
    "clusters:\n"
    "  a:\n"
    "    endpoints: [127.0.0.1:1, 127.0.0.2:1, {address: 127.0.0.3:1,"
    " weight: 5, labels: {v: x, w: '1'}, zone: z1, health: unhealthy}]\n"
    "    subsets: {x: {v: x}, none: {v: y}}\n"
    "    panic_threshold: 40\n"
    "  b: {endpoints: ['[::1]:9', 'unix:/run/b'], lb: least_request}\n"
    "  c: {}\n"
    "hosts:\n"
    "  - domains: [one.test, \"*.one.test\"]\n"
    "    routes:\n"
    "      - {name: post, match: {path: {exact: /p}, methods: [POST]},"
    " route: b}\n"
    "      - {name: header, match: {path: /p, headers: {k: v}}, route: a/x}\n"
    "      - {name: split, match: {path: /p/q}, route: [{cluster: a,"
    " weight: 1}, {cluster: b, weight: 3}], rewrite: {prefix: /w}}\n"
    "      - {name: plain, match: {path: /p}, route: a, rewrite:"
    " {host: h.test}}\n"
    "      - {name: empty, match: {path: /e}, route: c}\n"
    "      - {name: moved, match: {path: /old}, redirect:"
    " {prefix_rewrite: /new, status: 308}}\n"
    "      - {name: tea, match: {path: /tea}, respond: {status: 418,"
    " body: short}}\n"
    "  - {domains: strict.test, routes: [{match: {headers: {k:"
    " {present: false}}}, route: a}]}\n";

static int setup(void **state) {
    return text_zone_setup(state, mesh);
}

/* --- the command line ----------------------------------------------------- */

typedef struct {
    int code;
    const char *const *argv;
    const char *const *parts;
} case_t;

static const case_t wrong[] = {
    {CTL_EXIT_USAGE, words("nonsense"), words("unknown command \"nonsense\"")},
    {CTL_EXIT_USAGE, words("--nonsense"), words("see meshctl --help")},
    {CTL_EXIT_USAGE, words("status", "x"),
     words("no status of \"x\"; there are resources and names")},
    {CTL_EXIT_USAGE, words("status", "resources", "x"),
     words("usage: meshctl status")},
    {CTL_EXIT_USAGE, words("status", "--at", "1"),
     words("status takes no --at", "usage: meshctl status")},
    {CTL_EXIT_USAGE, words("explain"),
     words("usage: meshctl explain METHOD URL")},
    {CTL_EXIT_USAGE, words("explain", "GET"),
     words("usage: meshctl explain METHOD URL")},
    {CTL_EXIT_USAGE, words("explain", "GET", "/", "x"),
     words("usage: meshctl explain")},
    {CTL_EXIT_USAGE, words("explain", "GET", "/", "-H", "k"),
     words("\"k\" is not a value for --header 'name: value'")},
    {CTL_EXIT_USAGE, words("explain", "GET", "/", "-H"),
     words("option requires an argument", "see meshctl --help")},
    {CTL_EXIT_USAGE, words("explain", "GET", "/", "--ticket", "1"),
     words("\"1\" is not a value for --ticket R.C[.S]")},
    {CTL_EXIT_USAGE, words("explain", "GET", "/", "--at", "0"),
     words("\"0\" is not a value for --at GENERATION")},
    {CTL_EXIT_USAGE, words("explain", "GET", "http://"),
     words("the URL is not one")},
    {CTL_EXIT_USAGE, words("explain", "GET", "/", "-H", " :v"),
     words("a header is \"name: value\"")},
    {CTL_EXIT_USAGE, words("endpoints", "a", "b"),
     words("usage: meshctl endpoints")},
    {CTL_EXIT_USAGE, words("dump", "nothing"),
     words("dump clusters, routes, or both")},
    {CTL_EXIT_USAGE, words("history", "x"), words("usage: meshctl history")},
    {CTL_EXIT_USAGE, words("rollback"),
     words("usage: meshctl rollback GENERATION")},
    {CTL_EXIT_USAGE, words("rollback", "0"),
     words("\"0\" is not a generation")},
    {CTL_EXIT_USAGE, words("rollback", "-1"),
     words("invalid option", "see meshctl --help")},
    {CTL_EXIT_USAGE, words("rollback", "one"),
     words("\"one\" is not a generation")},
    {CTL_EXIT_USAGE, words("rollback", "18446744073709551616"),
     words("is not a generation")},
    {CTL_EXIT_USAGE, words("pin", "x"), words("usage: meshctl pin")},
    {CTL_EXIT_USAGE, words("unpin", "x"), words("usage: meshctl unpin")},
    {CTL_EXIT_USAGE, words("reload", "x"), words("usage: meshctl reload")},
    {CTL_EXIT_USAGE, words("reload", "-f", "x"),
     words("usage: meshctl reload")},
    {CTL_EXIT_USAGE, words("apply"), words("apply needs -f FILE")},
    {CTL_EXIT_USAGE, words("apply", "x"),
     words("usage: meshctl apply -f FILE")},
    {CTL_EXIT_USAGE, words("apply", "-f", "-", "--format", "toml"),
     words("--format is yaml, json or lines")},
    {CTL_EXIT_USAGE, words("apply", "-f", "x", "--part", "../x"),
     words("\"../x\" is not a value for --part NAME")},
    {CTL_EXIT_USAGE, words("apply", "-f", "x", "--part", ""),
     words("\"\" is not a value for --part NAME")},
    {CTL_EXIT_USAGE, words("remove"), words("usage: meshctl remove PART")},
    {CTL_EXIT_USAGE, words("remove", "a/b"),
     words("\"a/b\" is not the name of a part")},
    {CTL_EXIT_USAGE, words("remove", ".a"),
     words("\".a\" is not the name of a part")},
    {CTL_EXIT_USAGE, words("wait", "x"), words("usage: meshctl wait")},
    {CTL_EXIT_USAGE, words("wait", "--timeout", "-1"),
     words("\"-1\" is not a value for --timeout SECONDS")},
    {CTL_EXIT_USAGE, words("wait", "--timeout", "601"),
     words("\"601\" is not a value for --timeout SECONDS")},
    {CTL_EXIT_USAGE, words("wait", "--timeout", "nan"),
     words("\"nan\" is not a value for --timeout SECONDS")},
    {CTL_EXIT_USAGE, words("wait", "--timeout", "5s"),
     words("\"5s\" is not a value for --timeout SECONDS")},
    {CTL_EXIT_USAGE, words("wait", "--applied", "x"),
     words("\"x\" is not a value for --applied GENERATION")},
    {CTL_EXIT_USAGE, words("validate"),
     words("usage: meshctl validate FILE...")},
    {CTL_EXIT_USAGE, words("-o", "xml", "status"),
     words("\"xml\" is not a value for --output json|table")},
    {CTL_EXIT_USAGE, words("-o"), words("option requires an argument")},
};

static void test_usage(void **state) {
    text_zone_t *f = *state;

    for (size_t i = 0; i < mesh_nelts(wrong); i++) {
        expect(f->dir, wrong[i].code, wrong[i].argv, wrong[i].parts);
    }
    call_t nothing = {1, {"meshctl"}};
    capture_t c = capture(call_main, &nothing, NULL);
    assert_int_equal(c.code, CTL_EXIT_USAGE);
    capture_free(&c);
}

static void test_help_names_every_command(void **state) {
    text_zone_t *f = *state;

    for (size_t i = 0; i < mesh_nelts(commands); i++) {
        char line[256], about[256];
        snprintf(line, sizeof(line), "\n  %s%s%s", commands[i].name,
                 commands[i].usage[0] ? " " : "", commands[i].usage);
        snprintf(about, sizeof(about), "\n      %s\n", commands[i].about);
        expect(f->dir, CTL_EXIT_OK, words("--help"), words(line, about));
        expect(f->dir, CTL_EXIT_OK, words("status", "-h"), words(line, about));
    }
    expect(f->dir, CTL_EXIT_OK, words("--version"),
           words("meshctl " MESH_VERSION_TEXT "\n"));
}

/* --- zones that cannot be read -------------------------------------------- */

static void expect_unreadable(const char *zone, const char *why) {
    static const char *const commands_of[][4] = {{"explain", "GET", "/", NULL},
                                                 {"endpoints", NULL},
                                                 {"dump", NULL},
                                                 {"history", NULL},
                                                 {"status", NULL},
                                                 {"dump", "--at", "1", NULL}};

    for (size_t i = 0; i < mesh_nelts(commands_of); i++) {
        expect(zone, CTL_EXIT_UNREADABLE, commands_of[i],
               words("meshctl: zone ", why));
    }
}

static void test_no_zone(void **state) {
    text_zone_t *f = *state;
    const char *none = temp_path(&f->top, "none");

    expect_unreadable(none, "nothing was published there");
    cJSON *json = json_of(none, CTL_EXIT_UNREADABLE, words("status"));
    expect_text(json, "zone", none);
    expect_number(json, "generation", 0);
    assert_true(cJSON_IsNull(at(json, "agent")));
    cJSON_Delete(json);
    expect(none, CTL_EXIT_NO, words("wait", "--timeout", "0"),
           words("not in time: nothing is published"));

    /* A zone of an agent that has published nothing. */
    static mesh_zone_t zone;
    static mesh_zone_error_t error;
    const char *fresh = temp_path(&f->top, "fresh");
    assert_int_equal(mesh_zone_open(&zone, fresh, &error), MESH_OK);
    expect_unreadable(fresh, "nothing was published yet");

    /* A word that names no file. */
    mesh_zone_publish(&zone, mesh_word(7, 100), 1);
    expect_unreadable(fresh, "snapshot.7: No such file");
    expect(fresh, CTL_EXIT_NO, words("wait", "--timeout", "0"),
           words("nothing is published"));
    mesh_zone_close(&zone);
}

static void test_broken_zone(void **state) {
    text_zone_t *f = *state;
    char path[256];
    size_t len, control_len;

    snprintf(path, sizeof(path), "%s/snapshot.1", f->dir);
    char *good = temp_read(path, &len);
    char *bad = malloc(len);
    memcpy(bad, good, len);
    bad[len - 32] ^= 0x10; /* the root's policy */
    temp_write(path, bad, len);
    expect_unreadable(f->dir, "reference");
    temp_write(path, good, len / 2 & ~(size_t)7);
    expect_unreadable(f->dir, "no root is there");
    temp_write(path, "short", 5);
    expect_unreadable(f->dir, "not a snapshot file");
    temp_write(path, good, len);
    expect(f->dir, CTL_EXIT_OK, words("history"), words("GENERATION"));

    snprintf(path, sizeof(path), "%s/mesh.ctl", f->dir);
    char *control = temp_read(path, &control_len);
    control[0] ^= 1;
    temp_write(path, control, control_len);
    expect_unreadable(f->dir, "mesh.ctl is not a control page");
    control[0] ^= 1;
    control[8] ^= 1;
    temp_write(path, control, control_len);
    expect_unreadable(f->dir, "mesh.ctl is of a format version that this");
    free(control);
    free(good);
    free(bad);
}

static void test_a_broken_runtime_is_left_out(void **state) {
    text_zone_t *f = *state;
    char path[256];

    snprintf(path, sizeof(path), "%s/runtime.%u", f->dir, MESH_RUNTIME_VERSION);
    temp_puts(path, "no runtime at all");
    expect(f->dir, CTL_EXIT_OK, words("endpoints", "b"),
           words("the runtime is left out", "[::1]:9"));
    cJSON *json = json_of(f->dir, CTL_EXIT_OK, words("status"));
    assert_int_equal(cJSON_GetArraySize(at(json, "workers")), 0);
    cJSON_Delete(json);
}

/* --- status, history ------------------------------------------------------ */

static void test_status(void **state) {
    text_zone_t *f = *state;
    mesh_runtime_file_t file, dead;

    expect(f->dir, CTL_EXIT_OK, words("status"),
           words("generation  1, ", "reason      test\n", "SOURCE",
                 "no agent answers; workers go on with what is published"));
    cJSON *json = json_of(f->dir, CTL_EXIT_OK, words("status"));
    expect_text(json, "zone", f->dir);
    expect_number(json, "generation", 1);
    expect_number(json, "clusters", 3);
    expect_number(json, "snapshot/file", 1);
    expect_text(json, "sources/0/name", "test");
    assert_true(cJSON_IsFalse(at(json, "pinned")));
    assert_true(cJSON_IsFalse(at(json, "cold")));
    cJSON_Delete(json);

    text_zone_runtime(f, &file);
    assert_int_equal(mesh_runtime_claim_worker(&file, f->dir, 1), MESH_OK);
    dead = file;
    assert_int_equal(mesh_runtime_claim_worker(&dead, f->dir, 1), MESH_OK);
    close(dead.worker_fd);
    file.rt.workers[0].generation = 1;
    file.rt.workers[0].adoptions = 3;
    expect(f->dir, CTL_EXIT_OK, words("status"),
           words("WORKER", "live", "dead", "ADOPTIONS"));
    file.rt.workers[0].state = MESH_WORKER_EXITING;
    json = json_of(f->dir, CTL_EXIT_OK, words("status"));
    expect_text(json, "workers/0/state", "exiting");
    expect_text(json, "workers/1/state", "dead");
    expect_number(json, "workers/0/generation", 1);
    expect_number(json, "workers/0/adoptions", 3);
    expect_number(json, "workers/0/pid", getpid());
    assert_int_equal(cJSON_GetArraySize(at(json, "workers")), 2);
    cJSON_Delete(json);
    mesh_runtime_close(&file);
}

static void test_history(void **state) {
    text_zone_t *f = *state;

    text_zone_publish(f, "clusters: {two: {endpoints: ['1.2.3.4:5']}}");
    text_zone_publish(f, "clusters: {three: {endpoints: ['1.2.3.4:5']}}");
    cJSON *json = json_of(f->dir, CTL_EXIT_OK, words("history"));
    assert_int_equal(cJSON_GetArraySize(json), 3);
    for (int i = 0; i < 3; i++) {
        const cJSON *root = cJSON_GetArrayItem(json, i);
        expect_number(root, "generation", 3 - i);
        expect_text(root, "reason", "test");
        assert_int_equal(strlen(at(root, "digest")->valuestring), 32);
        assert_true(cJSON_IsFalse(at(root, "pinned")));
    }
    assert_string_not_equal(at(json, "0/digest")->valuestring,
                            at(json, "1/digest")->valuestring);
    cJSON_Delete(json);
    expect(f->dir, CTL_EXIT_OK, words("history"),
           words("GENERATION", "AGE", "DIGEST", "FLAGS", "REASON", "0s ago"));

    /* Each of them can still be looked at. */
    expect(f->dir, CTL_EXIT_OK, words("endpoints", "two", "--at", "2"),
           words("1.2.3.4:5"));
    expect(f->dir, CTL_EXIT_NO, words("endpoints", "two"),
           words("no cluster \"two\""));
    expect(
        f->dir, CTL_EXIT_OK,
        words("explain", "POST", "one.test/p", "--at", "1", "--ticket", "0.0"),
        words("routed to unix:/run/b"));
    expect(f->dir, CTL_EXIT_UNREADABLE, words("dump", "--at", "9"),
           words("generation 9 is not in the history"));
}

static void test_flags_of_roots(void **state) {
    text_zone_t *f = *state;
    arena_t *arena = arena_new();
    publish_time_t now = {agent_unix_ms(), agent_now_ms()};
    char state_dir[128];
    publisher_options_t options = {.dir = f->dir, .state_dir = state_dir};
    publish_request_t request = {.reason = "changed \x1b[31m", .now = now};
    publish_result_t result;
    mesh_status_t status;
    char error[PUBLISH_TEXT_MAX];

    snprintf(state_dir, sizeof(state_dir), "%s/state", f->top.path);
    publisher_t *p = publisher_open(&options, now, &status, error);
    assert_non_null(p);
    assert_int_equal(publisher_pin(p, &request, &result), PUBLISH_DONE);
    publisher_close(p, now);
    expect(f->dir, CTL_EXIT_OK, words("status"),
           words(", pinned", "reason      changed ?[31m\n"));
    expect(f->dir, CTL_EXIT_OK, words("history"), words("pinned"));

    p = publisher_open(&options, now, &status, error);
    assert_int_equal(publisher_unpin(p, &request, &result), PUBLISH_DONE);
    assert_int_equal(publisher_rollback(p, 1, &request, &result), PUBLISH_DONE);
    publisher_close(p, now);
    expect(f->dir, CTL_EXIT_OK, words("status"), words(", rolled back"));
    cJSON *json = json_of(f->dir, CTL_EXIT_OK, words("history"));
    assert_true(cJSON_IsTrue(at(json, "0/rolled_back")));
    cJSON_Delete(json);

    /* A boot: the zone is empty, the copy on disk is served. */
    text_zone_t fresh = *f;
    snprintf(fresh.dir, sizeof(fresh.dir), "%s/zone2", f->top.path);
    options.dir = fresh.dir;
    p = publisher_open(&options, now, &status, error);
    publisher_close(p, now);
    expect(fresh.dir, CTL_EXIT_OK, words("status"),
           words(", from the last-good copy"));
    json = json_of(fresh.dir, CTL_EXIT_OK, words("status"));
    assert_true(cJSON_IsTrue(at(json, "cold")));
    cJSON_Delete(json);
    expect(fresh.dir, CTL_EXIT_OK, words("history"), words("rolled-back"));
    arena_free(arena);
}

/* --- endpoints ------------------------------------------------------------ */

static mesh_endpoint_slot_t *slot_at(const text_zone_t *f,
                                     mesh_runtime_file_t *file,
                                     const char *cluster, uint32_t i,
                                     uint32_t *cluster_slot) {
    ctl_zone_t zone;

    assert_true(ctl_zone_open(&zone, f->dir, 0));
    const mesh_cluster_view_t *view =
        ctl_zone_view(&zone, mesh_str_from(cluster));
    uint64_t tag = mesh_runtime_tag(mesh_hash64(cluster, strlen(cluster)));
    *cluster_slot = view->slot;
    assert_non_null(mesh_runtime_claim_cluster(&file->rt, view->slot, tag));
    mesh_endpoint_slot_t *slot = mesh_runtime_claim_endpoint(
        &file->rt, view->endpoints[i].slot,
        mesh_endpoint_tag(zone.s, tag, view->endpoints[i].endpoint));
    assert_non_null(slot);
    ctl_zone_close(&zone);
    return slot;
}

static void test_endpoints(void **state) {
    text_zone_t *f = *state;
    mesh_runtime_file_t file;
    uint32_t cluster;

    text_zone_runtime(f, &file);
    mesh_endpoint_slot_t *slot = slot_at(f, &file, "a", 0, &cluster);
    slot->in_flight = 7;
    slot->attempts = 1000;
    slot->status[0] = 3;
    slot->status[2] = 990;
    slot->status[5] = 4;
    slot->ejections_total = 2;
    uint64_t now_ms = agent_now_ms();
    slot->ejected = mesh_ejected_word(now_ms + 55000, MESH_EJECTED_5XX);

    cJSON *json = json_of(f->dir, CTL_EXIT_OK, words("endpoints", "a"));
    const cJSON *first = at(json, "0/endpoints/0");
    expect_text(json, "0/cluster", "a");
    expect_number(json, "0/usable", 1);
    assert_true(cJSON_IsTrue(at(json, "0/panic"))); /* 1 of 3 < 40 % */
    expect_text(first, "address", "127.0.0.1:1");
    expect_number(first, "in_flight", 7);
    expect_number(first, "attempts", 1000);
    expect_number(first, "failures", 7);
    expect_number(first, "ejections", 2);
    assert_true(cJSON_IsFalse(at(first, "usable")));
    assert_non_null(
        strstr(at(first, "state")->valuestring, "ejected: consecutive 5xx, 5"));
    expect_text(json, "0/endpoints/1/state", "usable");
    expect_text(json, "0/endpoints/2/state", "unhealthy");
    expect_text(json, "0/endpoints/2/labels", "v=x,w=1");
    expect_text(json, "0/endpoints/2/zone", "z1");
    expect_number(json, "0/endpoints/2/weight", 5);
    cJSON_Delete(json);

    expect(f->dir, CTL_EXIT_OK, words("endpoints"),
           words("CLUSTER", "127.0.0.1:1", "[::1]:9", "unix:/run/b", "1000",
                 "(panic: used all the same)", "v=x,w=1"));
    json = json_of(f->dir, CTL_EXIT_OK, words("endpoints"));
    assert_int_equal(cJSON_GetArraySize(json), 3);
    expect_text(json, "2/cluster", "c");
    assert_int_equal(cJSON_GetArraySize(at(json, "2/endpoints")), 0);
    cJSON_Delete(json);
    expect(f->dir, CTL_EXIT_NO, words("endpoints", "zz"),
           words("no cluster \"zz\""));

    /* A slot of somebody else tells nothing. */
    slot->tag ^= 4;
    json = json_of(f->dir, CTL_EXIT_OK, words("endpoints", "a"));
    expect_number(json, "0/endpoints/0/attempts", 0);
    expect_text(json, "0/endpoints/0/state", "usable");
    cJSON_Delete(json);
    mesh_runtime_close(&file);
}

/* --- explain -------------------------------------------------------------- */

static const case_t explained[] = {
    {0, words("explain", "POST", "http://one.test/p", "--ticket", "0.1"),
     words("request     POST one.test /p", "host        one.test", "  ->  post",
           "matches", "  ->  b\n", "by least_request",
           "result      routed to ")},
    {0,
     words("explain", "GET", "x.one.test/p", "-H", "K: v", "--ticket", "0.0"),
     words("method is GET", "  ->  header", "  ->  a/x", "not in the subset",
           "panic: too few are usable, so all are candidates",
           "routed to 127.0.0.3:1")},
    {0, words("explain", "GET", "one.test/p", "-H", "k: w", "--ticket", "0.0"),
     words("header k is \"w\", wanted \"v\"", "path is not under /p/q",
           "  ->  plain", "unhealthy", "by round_robin, ticket 0",
           "routed to 127.0.0.1:1")},
    {0, words("explain", "GET", "one.test/p/q/r?x=1", "--ticket", "5.7"),
     words("header k is not there", "  ->  split", "1 of 4", "3 of 4",
           "by ticket 5", "/p/q/r goes out as /w/r")},
    {1, words("explain", "GET", "one.test/e"),
     words("  ->  empty", "      the cluster has no endpoints\n",
           "result      no endpoint, status 503")},
    {0, words("explain", "GET", "https://one.test:8443/old/x?y"),
     words(
         "result      redirect to https://one.test:8443/new/x?y, status 308")},
    {0, words("explain", "GET", "one.test/tea"),
     words("result      direct response, status 418")},
    {1, words("explain", "GET", "one.test/nowhere"),
     words("path is not exactly /p", "result      no route, status 404")},
    {1, words("explain", "GET", "two.test/p"),
     words("result      no virtual host, status 404")},
    {1, words("explain", "GET", "one.test/p", "--table", "other"),
     words("result      no route table of that name, status 404")},
    {1, words("explain", "GET", "one.test/p%00"),
     words("result      path rejected, status 400")},
    {1, words("explain", "GET", "strict.test/", "-H", "k: v"),
     words("header k is there", "no route")},
    {0,
     words("explain", "GET", "/p", "-H", "Host: ONE.test:80", "-H", "a: b",
           "--ticket", "-.3"),
     words("request     GET ONE.test:80 /p", "ticket 3")},
    {0, words("explain", "GET", "one.test/x/../%70/./", "--ticket", "0.0"),
     words("request     GET one.test /p/", "  ->  plain")},
    {1, words("explain", "OPTIONS", "*", "-H", "host: one.test"),
     words("request     OPTIONS one.test *", "no route")},
};

static void test_explain(void **state) {
    text_zone_t *f = *state;

    for (size_t i = 0; i < mesh_nelts(explained); i++) {
        expect(f->dir, explained[i].code, explained[i].argv,
               explained[i].parts);
    }
}

static void test_explain_json(void **state) {
    text_zone_t *f = *state;

    cJSON *json =
        json_of(f->dir, CTL_EXIT_OK,
                words("explain", "GET", "one.test/p/q/r", "--ticket", "1.2"));
    expect_number(json, "generation", 1);
    expect_text(json, "virtual_host", "one.test");
    expect_text(json, "route", "split");
    expect_text(json, "path", "/w/r");
    expect_number(json, "ticket/route", 1);
    expect_number(json, "ticket/cluster", 2);
    assert_true(cJSON_IsTrue(at(json, "ticket/route_counts")));
    assert_int_equal(cJSON_GetArraySize(at(json, "tried")), 3);
    expect_text(json, "tried/0/why", "path is not exactly /p");
    assert_true(cJSON_IsTrue(at(json, "tried/2/matches")));
    expect_text(json, "result", "routed");
    assert_true(cJSON_IsString(at(json, "endpoint")));
    expect_number(json, "timeout_ms", 15000);
    cJSON_Delete(json);

    json = json_of(f->dir, CTL_EXIT_OK,
                   words("explain", "GET", "one.test/p", "--ticket", "0.1"));
    expect_text(json, "host", "h.test");
    expect_text(json, "endpoint", "127.0.0.2:1");
    expect_text(json, "endpoints/2/why", "unhealthy");
    assert_true(cJSON_IsFalse(at(json, "endpoints/2/candidate")));
    assert_true(cJSON_IsFalse(at(json, "ticket/route_counts")));
    cJSON_Delete(json);

    json =
        json_of(f->dir, CTL_EXIT_OK, words("explain", "GET", "one.test/old"));
    expect_text(json, "result", "redirect");
    expect_number(json, "status", 308);
    expect_text(json, "location", "http://one.test/new");
    cJSON_Delete(json);

    json = json_of(f->dir, CTL_EXIT_NO, words("explain", "GET", "two.test/"));
    expect_text(json, "result", "no virtual host");
    assert_null(at(json, "virtual_host"));
    cJSON_Delete(json);
}

/* Tables that look at paths otherwise; routes to what is not there. */
static void test_explain_other_tables(void **state) {
    text_zone_t *f = *state;

    text_zone_publish(f, "route_table: {escaped_slashes: redirect}\n"
                         "hosts: [{domains: '*', routes: [{route: gone}]}]\n");
    expect(f->dir, CTL_EXIT_OK, words("explain", "GET", "x.test/a%2Fb"),
           words("result      path redirected to /a/b, status 307"));
    cJSON *json =
        json_of(f->dir, CTL_EXIT_OK, words("explain", "GET", "x.test/a%2Fb"));
    expect_text(json, "result", "path redirected");
    cJSON_Delete(json);
    expect(f->dir, CTL_EXIT_NO, words("explain", "GET", "x.test/"),
           words("result      no such cluster, status 503"));

    text_zone_publish(f,
                      "route_table: {escaped_slashes: reject}\n"
                      "clusters: {a: {endpoints: ['1.2.3.4:5']}}\n"
                      "hosts: [{domains: '*', routes: [{route: a/none}]}]\n");
    expect(f->dir, CTL_EXIT_NO, words("explain", "GET", "x.test/a%5cb"),
           words("result      path rejected"));
    expect(f->dir, CTL_EXIT_NO, words("explain", "GET", "x.test/"),
           words("result      no such subset, status 503"));
}

/* A route to each kind of subset. */
#define TO_LABELS(cluster)                                                     \
    "clusters: {a: {endpoints: [{address: '1.2.3.4:5', labels: {k: '1'}}, "    \
    "{address: '1.2.3.5:5', labels: {k: '2', l: '2', 'x y': /=}}], "           \
    "subset_selectors: "                                                       \
    "[{keys: k}, {keys: [k, l], fallback: {keys: k}}]" cluster "}, "           \
    "b: {endpoints: ['1.2.3.6:7'], subset_required: true}}\n"                  \
    "hosts: [{domains: '*', routes: [{match: {path: /1}, route: 'a/k=2'}, "    \
    "{match: {path: /2}, route: 'a/k=2,l=1'}, {match: {path: /3}, route: "     \
    "'a/k=3'}, {match: {path: /4}, route: 'a/k=1,z=1'}, {match: {path: /5}, "  \
    "route: a}, {match: {path: /6}, route: b}]}]\n"

static void test_explain_labels(void **state) {
    static const struct {
        const char *mesh;
        const char *path;
        int code;
        const char *said; /* NULL: nothing of fallbacks */
    } cases[] = {
        {TO_LABELS(""), "x.test/1", CTL_EXIT_OK, NULL},
        {TO_LABELS(""), "x.test/2", CTL_EXIT_OK,
         "\nfallback: no endpoint has these labels, so subset k=2\n"},
        {TO_LABELS(""), "x.test/3", CTL_EXIT_NO,
         "\nsubset: none, as no endpoint has these labels, and there is no "
         "fallback\n"},
        {TO_LABELS(""), "x.test/4", CTL_EXIT_NO,
         "\nsubset: none, as no selector has the keys of these labels, and "
         "there is no fallback\n"},
        {TO_LABELS(""), "x.test/5", CTL_EXIT_OK, NULL},
        {TO_LABELS(""), "x.test/6", CTL_EXIT_NO,
         "\nsubset: none, as the route names no subset, and there is no "
         "fallback\n"},
        {TO_LABELS(", subset_fallback: any"), "x.test/3", CTL_EXIT_OK,
         "\nfallback: no endpoint has these labels, so any of the cluster\n"},
        {TO_LABELS(", subset_fallback: any"), "x.test/4", CTL_EXIT_OK,
         "\nfallback: no selector has the keys of these labels, so any of the "
         "cluster\n"},
        {TO_LABELS(", subset_redundant_labels: true"), "x.test/1", CTL_EXIT_OK,
         NULL},
        {TO_LABELS(", subset_redundant_labels: true"), "x.test/2", CTL_EXIT_OK,
         "\nfallback: no endpoint has these labels, so subset k=2\n"},
        {TO_LABELS(", subset_redundant_labels: true"), "x.test/4", CTL_EXIT_OK,
         "\nlabels: others are left out, so subset k=1\n"},
    };
    text_zone_t *f = *state;

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        bool fell = cases[i].said != NULL &&
                    strncmp(cases[i].said, "\nfallback", 9) == 0;

        if (i == 0 || strcmp(cases[i].mesh, cases[i - 1].mesh) != 0) {
            text_zone_publish(f, cases[i].mesh);
        }
        expect(f->dir, cases[i].code, words("explain", "GET", cases[i].path),
               words(cases[i].said ? cases[i].said : "result      routed to "));
        cJSON *json = json_of(f->dir, cases[i].code,
                              words("explain", "GET", cases[i].path));
        assert_int_equal(at(json, "fallback") != NULL, fell);
        cJSON_Delete(json);
    }
    /* As routes name them. */
    expect(f->dir, CTL_EXIT_OK, words("endpoints", "a"),
           words(" k=2,l=2,x%20y=%2F%3D "));
}

/* --- dump (all of it: test_ctl_dump.c) ------------------------------------ */

static void test_dump_of_parts(void **state) {
    text_zone_t *f = *state;

    cJSON *json = json_of(f->dir, CTL_EXIT_OK, words("dump", "clusters"));
    assert_non_null(at(json, "clusters/b"));
    assert_null(at(json, "route_tables"));
    cJSON_Delete(json);
    json = json_of(f->dir, CTL_EXIT_OK, words("dump", "routes"));
    assert_null(at(json, "clusters"));
    assert_non_null(at(json, "route_tables/default/domains/*.one.test"));
    expect_text(json, "route_tables/default/escaped_slashes", "keep");
    cJSON_Delete(json);
    /* For people the same, indented. */
    expect(f->dir, CTL_EXIT_OK, words("dump"),
           words("\n  \"clusters\": {\n", "\"unix:/run/b\""));
}

/* --- wait, validate ------------------------------------------------------- */

static void test_wait(void **state) {
    text_zone_t *f = *state;
    mesh_runtime_file_t file;

    expect(f->dir, CTL_EXIT_NO, words("wait", "--timeout", "0"),
           words("not in time: there is no worker of nginx"));
    text_zone_runtime(f, &file);
    assert_int_equal(mesh_runtime_claim_worker(&file, f->dir, 1), MESH_OK);
    expect(f->dir, CTL_EXIT_NO, words("wait", "--timeout", "0.02"),
           words("0 of 1 workers have 1"));
    file.rt.workers[0].generation = 1;
    expect(f->dir, CTL_EXIT_OK, words("wait"),
           words("generation 1 is on all 1 workers"));
    cJSON *json = json_of(f->dir, CTL_EXIT_NO,
                          words("wait", "--applied", "2", "--timeout", "0"));
    assert_true(cJSON_IsFalse(at(json, "ok")));
    expect_number(json, "wanted", 2);
    expect_number(json, "generation", 1);
    expect_number(json, "live", 1);
    cJSON_Delete(json);
    json = json_of(f->dir, CTL_EXIT_OK, words("wait", "--applied", "1"));
    assert_true(cJSON_IsTrue(at(json, "ok")));
    expect_number(json, "applied", 1);
    cJSON_Delete(json);
    mesh_runtime_close(&file);
}

static void test_validate(void **state) {
    text_zone_t *f = *state;
    const char *good = temp_path(&f->top, "good.yaml");
    const char *routes = temp_path(&f->top, "routes.json");
    const char *bad = temp_path(&f->top, "bad.yaml");

    temp_puts(good, "clusters: {a: {endpoints: ['1.2.3.4:5']}, empty: {}}\n");
    temp_puts(routes, "{\"hosts\": [{\"domains\": \"x\", \"routes\": "
                      "[{\"route\": \"a\"}]}]}");
    temp_puts(bad, "clusters: {a: {lb: fastest}}\nhosts: 5\n");
    expect(f->dir, CTL_EXIT_OK, words("validate", good, routes),
           words("warning: cluster \"empty\": found no endpoints",
                 "2 files, 0 errors, 1 warning"));
    expect(f->dir, CTL_EXIT_NO, words("validate", routes),
           words("routes.json:1:", "found cluster \"a\"",
                 "1 file, 1 error, 0 warnings"));
    expect(f->dir, CTL_EXIT_NO, words("validate", good, bad, routes),
           words("bad.yaml:1:20: clusters.a.lb: found \"fastest\"",
                 "bad.yaml:2:8: hosts: found 5, expected a list",
                 "3 files, 2 errors, 0 warnings"));
    /* A YAML file under a JSON name is no JSON. */
    temp_puts(routes, "clusters: {}");
    expect(f->dir, CTL_EXIT_NO, words("validate", routes),
           words("routes.json:1:1: found \"c\", expected a JSON value"));
    expect(f->dir, CTL_EXIT_UNREADABLE,
           words("validate", good, temp_path(&f->top, "none")),
           words("none: No such file or directory"));
    expect(f->dir, CTL_EXIT_UNREADABLE, words("validate", f->dir),
           words(": Is a directory"));
}

/* --- without an agent ----------------------------------------------------- */

static void test_no_agent(void **state) {
    text_zone_t *f = *state;
    char why[160];
    char long_path[300];
    const char *file = temp_path(&f->top, "part.yaml");

    temp_puts(file, "clusters: {}\n");
    snprintf(why, sizeof(why), "agent at %s/agent.sock: No such file", f->dir);
    expect(f->dir, CTL_EXIT_UNREADABLE, words("pin"), words(why));
    expect(f->dir, CTL_EXIT_UNREADABLE, words("unpin"), words(why));
    expect(f->dir, CTL_EXIT_UNREADABLE, words("reload"), words(why));
    expect(f->dir, CTL_EXIT_UNREADABLE, words("rollback", "1"), words(why));
    expect(f->dir, CTL_EXIT_UNREADABLE, words("remove", "p"), words(why));
    expect(f->dir, CTL_EXIT_UNREADABLE, words("apply", "-f", file), words(why));
    expect(f->dir, CTL_EXIT_UNREADABLE, words("apply", "-f", "-"), words(why));
    expect(f->dir, CTL_EXIT_UNREADABLE,
           words("apply", "-f", temp_path(&f->top, "none")),
           words("none: No such file or directory"));
    expect(f->dir, CTL_EXIT_UNREADABLE, words("--socket", "/nowhere", "pin"),
           words("agent at /nowhere: "));
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[0] = '/';
    long_path[sizeof(long_path) - 1] = '\0';
    expect(f->dir, CTL_EXIT_UNREADABLE, words("--socket", long_path, "pin"),
           words("File name too long"));
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, setup, text_zone_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_usage),
        TEST(test_help_names_every_command),
        TEST(test_no_zone),
        TEST(test_broken_zone),
        TEST(test_a_broken_runtime_is_left_out),
        TEST(test_status),
        TEST(test_history),
        TEST(test_flags_of_roots),
        TEST(test_endpoints),
        TEST(test_explain),
        TEST(test_explain_json),
        TEST(test_explain_other_tables),
        TEST(test_explain_labels),
        TEST(test_dump_of_parts),
        TEST(test_wait),
        TEST(test_validate),
        TEST(test_no_agent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
