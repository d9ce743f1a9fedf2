/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Explaining against a real zone: its decision is the router's and the
 * balancer's own, its reasons fit the decision, and it believes nothing that
 * the runtime's bytes say.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent_log.h"
#include "ctl_explain.h"
#include "ctl_workers.h"
#include "text_zone.h"

static const char mesh[] =
    "clusters:\n"
    "  a:\n"
    "    endpoints: [127.0.0.1:1, 127.0.0.2:1, {address: 127.0.0.3:1,"
    " weight: 5, labels: {v: x}}]\n"
    "    subsets: {x: {v: x}, none: {v: y}}\n"
    "  b: {endpoints: [127.0.0.9:1], lb: least_request}\n"
    "  empty: {endpoints: []}\n"
    "hosts:\n"
    "  - domains: [one.test, \"*.one.test\"]\n"
    "    routes:\n"
    "      - {match: {path: {exact: /p}, methods: [POST]}, route: b}\n"
    "      - {match: {path: {prefix: /p}, headers: {k: {exact: v}}},"
    " route: a/x}\n"
    "      - {match: {path: {prefix: /p}, headers: {k: {present: true}}},"
    " route: a/none}\n"
    "      - {match: {path: {prefix: /p/q}}, route: [{cluster: a, weight: 1},"
    " {cluster: b, weight: 3}]}\n"
    "      - {match: {path: {prefix: /p}}, route: a}\n"
    "      - {match: {path: {prefix: /e}}, route: empty}\n"
    "  - domains: [\"*\"]\n"
    "    routes:\n"
    "      - {match: {path: {prefix: /all}}, route: b}\n";

static int setup(void **state) {
    return text_zone_setup(state, mesh);
}

/* One question; `zone` stays open until the caller closes it. */
static void ask(const text_zone_t *f, ctl_zone_t *zone, char **argv,
                ctl_args_t *args, ctl_question_t *q, ctl_decision_t *d) {
    const char *error;

    args->argc = 2;
    args->argv = argv;
    assert_true(ctl_zone_open(zone, f->dir, 0));
    assert_true(ctl_question_make(q, zone->arena, args, &error));
    ctl_decide(zone, q, args, d);
}

static void check_tried(ctl_zone_t *zone, const ctl_question_t *q,
                        const ctl_decision_t *d) {
    const mesh_rec_refs_t *routes =
        d->match.vhost ? mesh_get(zone->s, d->match.vhost->routes) : NULL;

    for (uint32_t i = 0; routes && i < routes->count; i++) {
        const mesh_rec_route_t *route = mesh_get(zone->s, routes->v[i]);
        mesh_route_test_t test = mesh_route_test(zone->s, route, &q->request);
        const char *why = ctl_route_failed(zone, route, &test, q);
        bool matches = test.failed == MESH_PREDICATE_NONE;
        assert_int_equal(matches, strncmp(why, "matches", 7) == 0);
        if (d->match.result == MESH_ROUTED && i <= d->match.index) {
            assert_int_equal(matches, i == d->match.index);
        } else if (d->match.result == MESH_NO_ROUTE) {
            assert_false(matches);
        }
    }
}

static void check_decision(ctl_zone_t *zone, ctl_question_t *q,
                           const ctl_decision_t *d) {
    mesh_route_match_t match;

    mesh_route_match(zone->s, d->match.table, &q->request, &match);
    assert_int_equal(match.result, d->match.result);
    assert_ptr_equal(match.route, d->match.route);
    check_tried(zone, q, d);
    if (match.result != MESH_ROUTED) {
        return;
    }
    const mesh_rec_split_t *split = mesh_get(zone->s, match.route->split);
    assert_ptr_equal(d->entry, mesh_split_pick(split, d->route_ticket,
                                               match.route->name_hash));
    if (d->subset == NULL || d->subset->count == 0) {
        assert_int_equal(d->picked, MESH_PICK_NONE);
        return;
    }
    mesh_pick_t pick = {.ticket = d->cluster_ticket,
                        .view = d->view,
                        .subset = d->subset,
                        .rt = ctl_zone_runtime(zone)};
    assert_int_equal(d->picked, mesh_lb_pick(&pick));
}

static void test_random_requests(void **state) {
    text_zone_t *f = *state;
    static char *const hosts[] = {"one.test", "x.one.test", "ONE.test:80",
                                  "other", ""};
    static char *const paths[] = {"/p",      "/p/q",  "/p/q/r?x", "/e",
                                  "/all",    "/none", "/p/../e",  "/%70",
                                  "/p//q/.", "/"};
    static char *const methods[] = {"GET", "POST", "BREW"};
    static char *const headers[] = {"k: v", "k: w", "K:v", "other: v"};
    unsigned routed = 0;
    uint64_t random = 17;

    for (int i = 0; i < 3000; i++) {
        char url[128];
        char *argv[2] = {methods[random % 3], url};
        ctl_args_t args = {.table = "default", .given = CTL_TAKES_TICKET};
        ctl_zone_t zone;
        ctl_question_t q;
        ctl_decision_t d;

        random = mesh_mix64(random + (uint64_t)i);
        const char *host = hosts[(random >> 8) % 5];
        snprintf(url, sizeof(url), "%s%s%s", host[0] ? "http://" : "", host,
                 paths[(random >> 16) % 10]);
        for (uint64_t h = (random >> 24) % 3; h > 0; h--) {
            args.headers[args.nheaders++] = headers[(random >> (24 + h)) % 4];
        }
        args.route_ticket = random >> 40;
        args.cluster_ticket = random >> 20;
        ask(f, &zone, argv, &args, &q, &d);
        check_decision(&zone, &q, &d);
        routed += d.picked != MESH_PICK_NONE;
        ctl_zone_close(&zone);
    }
    assert_true(routed > 500);
}

static void test_repeated_headers_are_each_there(void **state) {
    text_zone_t *f = *state;
    char *argv[2] = {"GET", "http://one.test/p"};
    ctl_args_t args = {.table = "default",
                       .nheaders = 3,
                       .headers = {"K: a ", "other: x", "k:\tb"}};
    ctl_zone_t zone;
    ctl_question_t q;
    ctl_decision_t d;
    mesh_str_t value;
    mesh_header_iter_t iter = {NULL, 0};

    ask(f, &zone, argv, &args, &q, &d);
    assert_true(
        q.request.calls->header(&q.request, MESH_STR("k"), 0, &iter, &value));
    assert_true(mesh_str_eq(value, MESH_STR("a")));
    assert_true(
        q.request.calls->header(&q.request, MESH_STR("k"), 0, &iter, &value));
    assert_true(mesh_str_eq(value, MESH_STR("b")));
    assert_false(
        q.request.calls->header(&q.request, MESH_STR("k"), 0, &iter, &value));
    assert_int_equal(d.match.index, 2); /* present */
    assert_int_equal(d.picked, MESH_PICK_NONE);
    ctl_zone_close(&zone);
}

/* One route, as it stands in YAML, and why a request is not for it. */
static void check_why(const char *match, const char *header, const char *why) {
    text_zone_t *f;
    char text[512];
    char *argv[2] = {"GET", "http://one.test/P/q?r=s"};
    ctl_args_t args = {.table = "default"};
    ctl_zone_t zone;
    ctl_question_t q;
    ctl_decision_t d;

    if (header[0] != '\0')
        args.headers[args.nheaders++] = (char *)header;
    snprintf(text, sizeof(text),
             "hosts: [{domains: one.test, routes: [{match: {%s}, respond: "
             "204}]}]",
             match);
    assert_int_equal(setup((void **)&f), 0);
    text_zone_publish(f, text);
    ask(f, &zone, argv, &args, &q, &d);

    const mesh_rec_refs_t *routes = mesh_get(zone.s, d.match.vhost->routes);
    const mesh_rec_route_t *route = mesh_get(zone.s, routes->v[0]);
    mesh_route_test_t test = mesh_route_test(zone.s, route, &q.request);

    assert_int_equal(d.match.result == MESH_ROUTED,
                     test.failed == MESH_PREDICATE_NONE);
    const char *said = ctl_route_failed(&zone, route, &test, &q);
    if (strcmp(why, "matches") != 0) { /* behind which may be a percentage */
        assert_string_equal(said, why);
    }
    assert_int_equal(strncmp(said, "matches", 7) == 0,
                     strcmp(why, "matches") == 0);
    ctl_zone_close(&zone);
    text_zone_teardown((void **)&f);
}

static void test_why_a_route_is_not_taken(void **state) {
    static const struct {
        const char *match;
        const char *header;
        const char *why;
    } rows[] = {
        {"path: /p", "", "path is not under /p"},
        {"path: {exact: /P}", "", "path is not exactly /P"},
        {"path: {separated_prefix: /P/Q/r, ignore_case: true}", "",
         "path is not a segment under /p/q/r in any case"},
        {"path: {separated_prefix: /p, ignore_case: true}", "", "matches"},
        {"methods: POST", "", "method is GET"},
        {"headers: {x: y}", "", "header x is not there"},
        {"headers: {x: {exact: y, invert: true}}", "", "header x is not there"},
        {"headers: {x: {present: false}}", "x: 1", "header x is there"},
        {"headers: {x: y}", "x: z", "header x is \"z\", wanted \"y\""},
        {"headers: {x: {exact: y, invert: true}}", "x: y",
         "header x is \"y\", not wanted \"y\""},
        {"headers: {x: {prefix: Y, ignore_case: true}}", "x: zy",
         "header x is \"zy\", wanted prefix \"y\" in any case"},
        {"headers: {x: {suffix: y}}", "x: yz",
         "header x is \"yz\", wanted suffix \"y\""},
        {"headers: {x: {contains: y}}", "x: z",
         "header x is \"z\", wanted contains \"y\""},
        {"headers: {x: {range: {start: -1, end: 3}}}", "x: 3",
         "header x is \"3\", wanted a number from -1 to below 3"},
        {"query: {q: x}", "", "query parameter q is not there"},
        {"query: {r: {prefix: t}}", "",
         "query parameter r is \"s\", wanted prefix \"t\""},
        {"cookies: {a: {present: true}}", "cookie: b=1",
         "cookie a is not there"},
        {"cookies: {b: '2'}", "cookie: a=2; b=1",
         "cookie b is \"1\", wanted \"2\""},
        {"cookies: {b: '1'}, query: {r: s}", "cookie: b=1", "matches"},
        {"path: {regex: '/[a-z]+'}", "", "path is not a match of /[a-z]+"},
        {"path: {regex: '/(?i:p)/.'}", "", "matches"},
        {"headers: {x: {regex: 'a|b'}}", "x: ab",
         "header x is \"ab\", wanted regex \"a|b\""},
        {"grpc: true", "content-type: application/grpcx",
         "content-type is not gRPC's"},
        {"grpc: true", "content-type: application/grpc+proto", "matches"},
        {"source: 10.0.0.0/8", "", "source is not told (--source)"},
        {"percentage: 0", "", "point 0 % is not below 0 %"},
        {"percentage: 100%", "", "matches"},
        {"headers: {':path': {suffix: s}, ':scheme': https}", "",
         "header :scheme is \"http\", wanted \"https\""},
    };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(rows); i++)
        check_why(rows[i].match, rows[i].header, rows[i].why);
}

/* The route that a source and a ticket of shares lead to. */
static void check_share(const char *source, uint64_t ticket, uint32_t index) {
    text_zone_t *f;
    char *argv[2] = {"GET", "http://one.test/"};
    ctl_args_t args = {.table = "default",
                       .given = CTL_TAKES_TICKET,
                       .source = source,
                       .share_ticket = ticket};
    ctl_zone_t zone;
    ctl_question_t q;
    ctl_decision_t d;

    assert_int_equal(setup((void **)&f), 0);
    text_zone_publish(
        f, "hosts: [{domains: one.test, routes: ["
           "{match: {percentage: 30, source: [127.0.0.0/8, '::/0']}, "
           "respond: 201}, "
           "{match: {percentage: 75.5%}, respond: 202}, {respond: 203}]}]");
    ask(f, &zone, argv, &args, &q, &d);
    assert_int_equal(d.match.result, MESH_ROUTED);
    assert_true(q.share_drawn);
    assert_int_equal(q.share_ticket, ticket);
    check_tried(&zone, &q, &d);
    if (d.match.index != index)
        fail_msg("%s, ticket %lu: route %u", source, ticket, d.match.index);
    ctl_zone_close(&zone);
    text_zone_teardown((void **)&f);
}

static void test_shares_by_ticket(void **state) {
    uint32_t first = mesh_hash32("one.test/0", 10);
    uint32_t second = mesh_hash32("one.test/1", 10);
    (void)state;

    for (uint64_t ticket = 0; ticket < 20; ticket++) {
        uint32_t point = mesh_share_point(ticket, first);
        uint32_t other = mesh_share_point(ticket, second);

        check_share("::1", ticket, point < 300000 ? 0 : point < 755000 ? 1 : 2);
        check_share("10.1.2.3", ticket, other < 755000 ? 1 : 2);
    }
}

static void test_questions_that_are_none(void **state) {
    (void)state;
    arena_t *arena = arena_new();
    const char *error;
    ctl_question_t q;
    char *argv[2] = {"GET", ""};
    ctl_args_t args = {.argc = 2, .argv = argv};

    args.nheaders = 1;
    args.headers[0] = " : x";
    argv[1] = "/";
    assert_false(ctl_question_make(&q, arena, &args, &error));
    args.nheaders = 0;
    argv[1] = "http://";
    if (ctl_question_make(&q, arena, &args, &error)) {
        assert_int_equal(q.request.authority.len, 0);
    }
    args.source = "10.0.0.300";
    assert_false(ctl_question_make(&q, arena, &args, &error));
    args.source = "10.0.0.30";
    argv[1] = "one.test";
    assert_true(ctl_question_make(&q, arena, &args, &error));
    assert_true(mesh_str_eq(q.request.path, MESH_STR("/")));
    assert_true(mesh_str_eq(q.request.authority, MESH_STR("one.test")));
    argv[1] = "HTTPS://one.test/x";
    assert_true(ctl_question_make(&q, arena, &args, &error));
    assert_true(mesh_str_eq(q.request.scheme, MESH_STR("https")));
    arena_free(arena);
}

/* --- the runtime ---------------------------------------------------------- */

static void test_ejected_endpoints_are_seen(void **state) {
    text_zone_t *f = *state;
    mesh_runtime_file_t file;
    char *argv[2] = {"GET", "http://one.test/p"};
    ctl_args_t args = {.table = "default"};
    ctl_zone_t zone;
    ctl_question_t q;
    ctl_decision_t d;
    char text[128];

    text_zone_runtime(f, &file);
    ask(f, &zone, argv, &args, &q, &d);
    uint32_t slot = d.view->endpoints[0].slot;
    uint32_t cluster = d.view->slot;
    mesh_str_t name = d.view->name;
    uint64_t tag = mesh_runtime_tag(mesh_hash64(name.data, name.len));
    uint64_t now_ms = agent_now_ms();
    assert_non_null(mesh_runtime_claim_cluster(&file.rt, cluster, tag));
    assert_non_null(mesh_runtime_claim_endpoint(
        &file.rt, slot,
        mesh_endpoint_tag(zone.s, tag, d.view->endpoints[0].endpoint)));
    assert_int_equal(mesh_runtime_eject(&file.rt, cluster, slot, 3, 100,
                                        mesh_ejected_word(now_ms + 60000,
                                                          MESH_EJECTED_GATEWAY),
                                        now_ms),
                     MESH_OK);
    ctl_zone_close(&zone);

    ask(f, &zone, argv, &args, &q, &d);
    assert_true(d.view->endpoints[0].out & MESH_OUT_EJECTED);
    assert_int_equal(d.subset->count, 2);
    ctl_endpoint_state(&zone, d.view->endpoints[0].out, slot, text,
                       sizeof(text));
    assert_non_null(strstr(text, "ejected: consecutive gateway failures, "));
    check_decision(&zone, &q, &d);
    ctl_zone_close(&zone);
    mesh_runtime_close(&file);
}

/* Without --ticket: what the next request would draw, of its own subset. */
static void test_the_next_ticket(void **state) {
    text_zone_t *f = *state;
    mesh_runtime_file_t file;
    char *argv[2] = {"GET", "http://one.test/p"};
    ctl_args_t args = {.table = "default"};
    ctl_zone_t zone;
    ctl_question_t q;
    ctl_decision_t d;

    text_zone_runtime(f, &file);
    ask(f, &zone, argv, &args, &q, &d);
    mesh_str_t name = d.view->name;
    mesh_cluster_slot_t *slot = mesh_runtime_claim_cluster(
        &file.rt, d.view->slot,
        mesh_runtime_tag(mesh_hash64(name.data, name.len)));
    assert_non_null(slot);
    ctl_zone_close(&zone);

    slot->ticket = 5;
    for (uint64_t i = 0; i < MESH_SUBSET_TICKETS; i++) {
        slot->subset_tickets[i] = 100 + i;
    }
    ask(f, &zone, argv, &args, &q, &d);
    assert_ptr_equal(d.subset, &d.view->subsets[0]);
    assert_int_equal(d.cluster_ticket, 5);
    check_decision(&zone, &q, &d);
    ctl_zone_close(&zone);

    args.nheaders = 1;
    args.headers[0] = "k: v";
    ask(f, &zone, argv, &args, &q, &d);
    assert_true(mesh_str_eq(d.subset->name, MESH_STR("x")));
    assert_int_equal(d.cluster_ticket, 100 + (d.subset - d.view->subsets - 1));
    check_decision(&zone, &q, &d);
    ctl_zone_close(&zone);
    mesh_runtime_close(&file);
}

/* Any bytes behind the head: some answer, no crash, no wild pick. */
static void test_hostile_runtime(void **state) {
    text_zone_t *f = *state;
    mesh_runtime_file_t file;
    uint64_t random = 23;

    text_zone_runtime(f, &file);
    uint8_t *bytes = (uint8_t *)file.rt.head + sizeof(mesh_runtime_head_t);
    size_t size = file.rt.size - sizeof(mesh_runtime_head_t);
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i + 8 <= size; i += 8) {
            random = mesh_mix64(random + i);
            uint64_t word = round % 3 == 0 ? UINT64_MAX : random;
            memcpy(bytes + i, &word, 8);
        }
        char *argv[2] = {"GET", "http://one.test/p/q"};
        ctl_args_t args = {.table = "default"};
        ctl_zone_t zone;
        ctl_question_t q;
        ctl_decision_t d;
        ctl_workers_t workers;
        char text[160];
        ask(f, &zone, argv, &args, &q, &d);
        for (uint32_t i = 0; d.view && i < d.view->total; i++) {
            ctl_endpoint_state(&zone, d.view->endpoints[i].out,
                               d.view->endpoints[i].slot, text, sizeof(text));
        }
        assert_true(d.picked == MESH_PICK_NONE || d.picked < d.view->total);
        assert_int_equal(ctl_workers_read(f->dir, 1, &workers), MESH_OK);
        assert_true(workers.live <= 8 && workers.applied <= workers.live);
        ctl_zone_close(&zone);
    }
    mesh_runtime_close(&file);
}

static void test_hostile_runtime_head(void **state) {
    text_zone_t *f = *state;
    mesh_runtime_file_t file;
    char path[256];
    uint64_t random = 29;

    text_zone_runtime(f, &file);
    snprintf(path, sizeof(path), "%s/runtime.%u", f->dir, MESH_RUNTIME_VERSION);
    int fd = open(path, O_RDWR);
    uint8_t head[64];
    assert_int_equal(pread(fd, head, sizeof(head), 0), sizeof(head));
    for (int round = 0; round < 300; round++) {
        random = mesh_mix64(random + (uint64_t)round);
        uint8_t bad[64];
        memcpy(bad, head, sizeof(bad));
        bad[random % 56] ^= (uint8_t)(1 + (random >> 8) % 255);
        assert_int_equal(pwrite(fd, bad, sizeof(bad), 0), sizeof(bad));
        char *argv[2] = {"GET", "http://one.test/p/q"};
        ctl_args_t args = {.table = "default"};
        ctl_zone_t zone;
        ctl_question_t q;
        ctl_decision_t d;
        ask(f, &zone, argv, &args, &q, &d);
        ctl_zone_close(&zone);
    }
    assert_int_equal(pwrite(fd, head, sizeof(head), 0), sizeof(head));
    close(fd);
    mesh_runtime_close(&file);
}

/* --- workers -------------------------------------------------------------- */

static void test_workers(void **state) {
    text_zone_t *f = *state;
    mesh_runtime_file_t file;
    mesh_runtime_file_t other;
    ctl_workers_t workers;

    assert_int_equal(ctl_workers_read(f->dir, 1, &workers), MESH_DECLINED);
    assert_int_equal(workers.live, 0);
    text_zone_runtime(f, &file);
    assert_int_equal(ctl_workers_read(f->dir, 1, &workers), MESH_OK);
    assert_int_equal(workers.live, 0);

    assert_int_equal(mesh_runtime_claim_worker(&file, f->dir, 1), MESH_OK);
    other = file;
    assert_int_equal(mesh_runtime_claim_worker(&other, f->dir, 1), MESH_OK);
    mesh_store_release(&file.rt.workers[0].generation, 7);
    mesh_store_release(&file.rt.workers[1].generation, 5);
    assert_int_equal(ctl_workers_read(f->dir, 6, &workers), MESH_OK);
    assert_int_equal(workers.live, 2);
    assert_int_equal(workers.applied, 1);
    assert_int_equal(workers.oldest, 5);

    /* One that is leaving, and one that died, are not waited for. */
    mesh_store_release(&file.rt.workers[1].state, MESH_WORKER_EXITING);
    assert_int_equal(ctl_workers_read(f->dir, 6, &workers), MESH_OK);
    assert_int_equal(workers.live, 1);
    mesh_store_release(&file.rt.workers[1].state, MESH_WORKER_LIVE);
    close(other.worker_fd);
    assert_false(ctl_worker_alive(&file, 1));
    assert_true(ctl_worker_alive(&file, 0));
    assert_int_equal(ctl_workers_read(f->dir, 6, &workers), MESH_OK);
    assert_int_equal(workers.live, 1);
    assert_int_equal(workers.applied, 1);
    mesh_runtime_close(&file);
}

/* --- texts ---------------------------------------------------------------- */

static void test_texts(void **state) {
    text_zone_t *f = *state;
    ctl_zone_t zone;
    char text[64];

    assert_true(ctl_zone_open(&zone, f->dir, 0));
    assert_string_equal(ctl_text(&zone, MESH_STR("a\x1b[31m\nb\x7f")),
                        "a?[31m?b?");
    ctl_endpoint_state(&zone, 0, 0, text, sizeof(text));
    assert_string_equal(text, "usable");
    ctl_endpoint_state(&zone, MESH_OUT_HEALTH | MESH_OUT_WEIGHT, 0, text,
                       sizeof(text));
    assert_string_equal(text, "unhealthy, weight 0");
    ctl_endpoint_state(&zone, 0xffffffff, 0, text, 20);
    assert_int_equal(strlen(text), 19);
    ctl_age(agent_unix_ms() - 5000, text, sizeof(text));
    assert_string_equal(text, "5s ago");
    ctl_age(agent_unix_ms() - 3 * 86400000LL, text, sizeof(text));
    assert_string_equal(text, "3d ago");
    ctl_age(agent_unix_ms() + 5000, text, sizeof(text));
    assert_string_equal(text, "0s ago");
    ctl_zone_close(&zone);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, setup, text_zone_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_random_requests),
        TEST(test_repeated_headers_are_each_there),
        cmocka_unit_test(test_why_a_route_is_not_taken),
        cmocka_unit_test(test_shares_by_ticket),
        TEST(test_questions_that_are_none),
        TEST(test_ejected_endpoints_are_seen),
        TEST(test_the_next_ticket),
        TEST(test_hostile_runtime),
        TEST(test_hostile_runtime_head),
        TEST(test_workers),
        TEST(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
