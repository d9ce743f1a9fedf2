/* SPDX-License-Identifier: Apache-2.0 */
/* slow */

/*
 * Names against a DNS server that answers, is silent, breaks or lies: an
 * answer is taken, a failure keeps what there was, and what is asked for is
 * asked for again.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent_log.h"
#include "dns_resolver.h"
#include "dns_server.h"
#include "rng.h"
#include "temp_dir.h"

#define MANY 300          /* more than may be under way at a time */
#define PATIENCE_MS 30000 /* only a test that fails waits so long */

typedef struct {
    dns_server_t server;
    dns_resolver_t *r;
    const dns_question_t *questions;
    uint32_t count;
    const dns_answer_t *answers[MANY];
    unsigned changes;
    char text[512];
} fixture_t;

static void ask_all(fixture_t *f) {
    dns_resolver_begin(f->r);
    for (uint32_t i = 0; i < f->count; i++) {
        f->answers[i] =
            dns_resolver_ask(f->r, &f->questions[i], agent_now_ms());
    }
    dns_resolver_end(f->r);
}

static void on_changed(void *ctx) {
    fixture_t *f = ctx;

    f->changes++;
    ask_all(f);
}

static void follow(fixture_t *f, const dns_question_t *questions,
                   uint32_t count) {
    f->questions = questions;
    f->count = count;
    ask_all(f);
}

static int setup(void **state) {
    fixture_t *f = calloc(1, sizeof(*f));
    const char *error = NULL;

    agent_log_setup(AGENT_LOG_ERROR, AGENT_LOG_TEXT);
    dns_server_start(&f->server);
    dns_options_t options = {.servers = f->server.at,
                             .min_ttl_ms = 5,
                             .max_ttl_ms = 60000,
                             .timeout_ms = 50,
                             .changed = on_changed,
                             .ctx = f};
    f->r = dns_resolver_new(&options, &error);
    assert_non_null(f->r);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_t *f = *state;

    dns_resolver_free(f->r);
    dns_server_stop(&f->server);
    free(f);
    return 0;
}

/* Until then, or as long as nothing is ready or due. */
static void step(fixture_t *f, uint64_t end_ms) {
    struct pollfd fd = {.fd = dns_resolver_fd(f->r), .events = POLLIN};
    uint64_t now_ms = agent_now_ms();
    uint64_t due = mesh_min(dns_resolver_due(f->r, now_ms), end_ms);

    (void)poll(&fd, 1, due > now_ms ? (int)(due - now_ms) : 0);
    dns_resolver_ready(f->r, agent_now_ms());
}

/* "asked", "failed 1.2.3.4", "1.2.3.4 [::1]:80*3": state, addresses. */
static const char *text_of(fixture_t *f, uint32_t i) {
    static const char *const states[] = {"asked", "", "failed"};
    const dns_answer_t *answer = f->answers[i];
    int len = snprintf(f->text, sizeof(f->text), "%s", states[answer->state]);

    for (uint32_t k = 0; k < answer->count; k++) {
        const dns_address_t *a = &answer->v[k];
        char host[INET6_ADDRSTRLEN];
        inet_ntop(a->family == MESH_FAMILY_IPV4 ? AF_INET : AF_INET6, a->addr,
                  host, sizeof(host));
        len += snprintf(f->text + len, sizeof(f->text) - (size_t)len, "%s%s",
                        len ? " " : "", host);
        if (a->port != 0) {
            len += snprintf(f->text + len, sizeof(f->text) - (size_t)len,
                            ":%u*%u", a->port, a->weight);
        }
    }
    /* What is not whole says why and since when, and nothing else does. */
    assert_int_equal(answer->why != NULL,
                     answer->state == DNS_FAILED || answer->missing != 0 ||
                         (answer->state == DNS_ANSWERED && answer->count == 0));
    assert_int_equal(answer->why != NULL, answer->since_ms != 0);
    assert_int_equal(answer->had_ms != 0 || answer->count == 0, true);
    assert_int_equal(answer->target != NULL, answer->missing != 0);
    return f->text;
}

static void await(fixture_t *f, uint32_t i, const char *wanted) {
    uint64_t end_ms = agent_now_ms() + PATIENCE_MS;

    while (strcmp(text_of(f, i), wanted) != 0) {
        if (agent_now_ms() > end_ms) {
            fail_msg("%s is \"%s\", not \"%s\"", f->questions[i].name.data,
                     f->text, wanted);
        }
        step(f, end_ms);
    }
}

static void run(fixture_t *f, uint64_t ms) {
    uint64_t end_ms = agent_now_ms() + ms;

    while (agent_now_ms() < end_ms) {
        step(f, end_ms);
    }
}

static const dns_question_t plain[] = {{.name = mesh_str("a.test")}};

/* --- addresses ------------------------------------------------------------ */

static void test_families(void **state) {
    fixture_t *f = *state;
    static const dns_question_t questions[] = {
        {.name = mesh_str("both.test"), .family = DNS_V4_PREFERRED},
        {.name = mesh_str("both.test"), .family = DNS_V4},
        {.name = mesh_str("both.test"), .family = DNS_V6},
        {.name = mesh_str("both.test"), .family = DNS_ALL},
        {.name = mesh_str("six.test"), .family = DNS_V4_PREFERRED},
        {.name = mesh_str("six.test"), .family = DNS_V4},
        {.name = mesh_str("none.test"), .family = DNS_ALL},
    };

    dns_server_a(&f->server, "both.test", 60, "127.0.0.9 127.0.0.1");
    dns_server_aaaa(&f->server, "both.test", 60, "::9 ::1");
    dns_server_aaaa(&f->server, "six.test", 60, "::7");
    follow(f, questions, mesh_nelts(questions));
    assert_string_equal(text_of(f, 0), "asked");
    /* In order, so that the same answer in another order is no change. */
    await(f, 0, "127.0.0.1 127.0.0.9");
    await(f, 1, "127.0.0.1 127.0.0.9");
    await(f, 2, "::1 ::9");
    await(f, 3, "127.0.0.1 127.0.0.9 ::1 ::9");
    await(f, 4, "::7");
    await(f, 5, "");
    await(f, 6, "");
    assert_true(f->answers[5]->known);
}

static void test_records_that_change(void **state) {
    fixture_t *f = *state;

    dns_server_a(&f->server, "a.test", 0, "127.0.0.1 127.0.0.2");
    follow(f, plain, 1);
    await(f, 0, "127.0.0.1 127.0.0.2");
    unsigned changes = f->changes;
    dns_server_a(&f->server, "a.test", 0, "127.0.0.2 127.0.0.1 127.0.0.1");
    uint32_t asked = dns_server_asked(&f->server);
    while (dns_server_asked(&f->server) < asked + 6) {
        run(f, 1);
    }
    assert_int_equal(f->changes, changes); /* the same in another order */
    dns_server_a(&f->server, "a.test", 0, "127.0.0.3");
    await(f, 0, "127.0.0.3");
    dns_server_a(&f->server, "a.test", 0, NULL);
    await(f, 0, "");
    dns_server_forget(&f->server, "a.test");
    run(f, 20);
    dns_server_a(&f->server, "a.test", 0, "127.0.0.4");
    await(f, 0, "127.0.0.4");
    dns_server_forget(&f->server, "a.test");
    await(f, 0, "");
    assert_int_equal(f->answers[0]->state, DNS_ANSWERED);
}

/* --- services ------------------------------------------------------------- */

static void test_services(void **state) {
    fixture_t *f = *state;
    static const dns_question_t questions[] = {
        {.name = mesh_str("_http._tcp.s.test"), .srv = true},
        {.name = mesh_str("_http._tcp.s.test"), .srv = true, .family = DNS_V6},
        {.name = mesh_str("_none._tcp.s.test"), .srv = true},
    };
    const char *name = "_http._tcp.s.test";

    dns_server_a(&f->server, "x.test", 0, "127.0.0.1 127.0.0.2");
    dns_server_aaaa(&f->server, "x.test", 0, "::1");
    dns_server_a(&f->server, "y.test", 0, "127.0.0.3");
    dns_server_srv(&f->server, name, 0,
                   "1 10 80 x.test 1 0 81 y.test 2 5 82 y.test");
    follow(f, questions, mesh_nelts(questions));
    /* The best priority only; a weight of 0 is the least there is. */
    await(f, 0, "127.0.0.1:80*10 127.0.0.2:80*10 127.0.0.3:81*1");
    await(f, 1, "::1:80*10");
    await(f, 2, "");
    /* Other weights are another answer. */
    dns_server_srv(&f->server, name, 0, "1 65535 65535 x.test");
    await(f, 0, "127.0.0.1:65535*65535 127.0.0.2:65535*65535");
    /* "." is a service that is not there (RFC 2782), as is a port of 0. */
    dns_server_srv(&f->server, name, 0, "0 0 80 .");
    await(f, 0, "");
    dns_server_srv(&f->server, name, 0, "0 0 0 x.test");
    await(f, 0, "");
    /* A target without addresses is one less. */
    dns_server_srv(&f->server, name, 0, "1 1 80 gone.test 1 1 80 y.test");
    await(f, 0, "127.0.0.3:80*1");
    dns_server_forget(&f->server, name);
    await(f, 0, "");
}

/* --- failures ------------------------------------------------------------- */

static void test_failures_keep_what_there_was(void **state) {
    fixture_t *f = *state;
    static const dns_server_mode_e modes[] = {
        DNS_SERVER_SILENT, DNS_SERVER_BROKEN, DNS_SERVER_GARBAGE,
        DNS_SERVER_CUT};
    static const dns_question_t questions[] = {
        {.name = mesh_str("a.test")},
        {.name = mesh_str("_x._tcp.a.test"), .srv = true},
        {.name = mesh_str("b.test")},
    };

    dns_server_a(&f->server, "a.test", 0, "127.0.0.1");
    dns_server_srv(&f->server, "_x._tcp.a.test", 0, "1 2 80 a.test");
    dns_server_a(&f->server, "b.test", 0, "127.0.0.2");
    for (size_t i = 0; i < mesh_nelts(modes); i++) {
        dns_server_mode(&f->server, DNS_SERVER_RIGHT);
        follow(f, questions, 2); /* b.test is new, or new again */
        await(f, 0, "127.0.0.1");
        await(f, 1, "127.0.0.1:80*2");
        dns_server_mode(&f->server, modes[i]);
        follow(f, questions, 3);
        await(f, 0, "failed 127.0.0.1");
        await(f, 1, "failed 127.0.0.1:80*2");
        await(f, 2, "failed");
        assert_true(f->answers[0]->known);
        assert_false(f->answers[2]->known);
        /* It is asked for again, and again later. */
        dns_server_mode(&f->server, DNS_SERVER_RIGHT);
        await(f, 0, "127.0.0.1");
        await(f, 1, "127.0.0.1:80*2");
        await(f, 2, "127.0.0.2");
    }
}

/* After a failure it waits for longer and longer. */
static void test_failures_are_asked_for_less_often(void **state) {
    fixture_t *f = *state;
    uint64_t last = 0;

    dns_server_mode(&f->server, DNS_SERVER_BROKEN);
    follow(f, plain, 1);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t now_ms = agent_now_ms() + i * 100000; /* the test's clock */
        uint32_t asked = dns_server_asked(&f->server);
        /* It is due; until the answer is there it is not due again. */
        do {
            dns_resolver_ready(f->r, now_ms);
        } while (dns_server_asked(&f->server) == asked ||
                 dns_resolver_due(f->r, now_ms) < now_ms + 900);
        uint64_t wait = dns_resolver_due(f->r, now_ms) - now_ms;
        assert_in_range(wait, last, DNS_RETRY_MAX_MS);
        assert_in_range(wait, i == 0 ? 1 : DNS_RETRY_MS, DNS_RETRY_MAX_MS);
        last = wait;
    }
    assert_int_equal(last, DNS_RETRY_MAX_MS);
}

/* --- many ----------------------------------------------------------------- */

/* What is under way is bounded, and each of them has its turn. */
static void test_many_names(void **state) {
    fixture_t *f = *state;
    static char names[MANY][16];
    static dns_question_t questions[MANY];
    uint64_t end_ms = agent_now_ms() + PATIENCE_MS;
    uint32_t failed, busiest = 0, retries = 0;

    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "n%u.test", i);
        questions[i] = (dns_question_t){.name = mesh_str_from(names[i])};
    }
    dns_server_a(&f->server, "n250.test", 60, "127.0.0.1");
    dns_server_mode(&f->server, DNS_SERVER_SILENT);
    follow(f, questions, MANY);
    do {
        uint32_t under_way = 0, again = 0;

        failed = 0;
        step(f, end_ms);
        for (uint32_t i = 0; i < MANY; i++) {
            bool asked = f->answers[i]->next_ms == UINT64_MAX;
            under_way += asked;
            again += asked && f->answers[i]->state == DNS_FAILED;
            failed += f->answers[i]->state == DNS_FAILED;
        }
        retries = mesh_max(retries, again);
        busiest = mesh_max(busiest, under_way);
        /* Who has to wait does not keep the loop awake. */
        assert_true(under_way < DNS_UNDER_WAY_MAX ||
                    dns_resolver_due(f->r, agent_now_ms()) != 0);
        assert_true(agent_now_ms() < end_ms);
    } while (failed < MANY || retries < DNS_RETRIES_MAX);
    assert_int_equal(busiest, DNS_UNDER_WAY_MAX);
    assert_int_equal(retries, DNS_RETRIES_MAX);
    /* Names that are forgotten while they are under way are so no more. */
    follow(f, NULL, 0);
    dns_server_mode(&f->server, DNS_SERVER_RIGHT);
    follow(f, questions, MANY);
    await(f, 250, "127.0.0.1");
    for (uint32_t i = 0; i < MANY; i++) {
        await(f, i, i == 250 ? "127.0.0.1" : "");
    }
}

/*
 * Who is due again at once does not outdo who waits for room.  (That there is
 * no such name is an answer.)
 */
static void test_each_has_its_turn(void **state) {
    fixture_t *f = *state;
    static char names[MANY][16];
    static dns_question_t questions[MANY];
    uint64_t end_ms = agent_now_ms() + PATIENCE_MS;
    uint64_t now_ms = agent_now_ms();
    uint32_t waiting;

    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "n%u.test", i);
        questions[i] = (dns_question_t){.name = mesh_str_from(names[i])};
    }
    follow(f, questions, MANY);
    do {
        struct pollfd fd = {.fd = dns_resolver_fd(f->r), .events = POLLIN};

        /* Of all answers the time is over. */
        now_ms += 60000;
        dns_resolver_ready(f->r, now_ms);
        (void)poll(&fd, 1, 50);
        waiting = 0;
        for (uint32_t i = 0; i < MANY; i++) {
            waiting += f->answers[i]->state == DNS_ASKED;
        }
        if (agent_now_ms() > end_ms) {
            fail_msg("%u names have no turn", waiting);
        }
    } while (waiting != 0);
}

/* --- times to live -------------------------------------------------------- */

static void test_times_to_live(void **state) {
    fixture_t *f = *state;
    static const struct {
        uint32_t ttl_s;
        uint64_t ms;
    } cases[] = {{0, 5}, {1, 1000}, {7, 7000}, {60, 60000}, {86400, 60000}};

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%zu.test", i);
        dns_question_t question = {.name = mesh_str_from(name)};
        dns_server_a(&f->server, name, cases[i].ttl_s, "127.0.0.1");
        follow(f, &question, 1);
        uint64_t before_ms = agent_now_ms();
        await(f, 0, "127.0.0.1");
        uint64_t after_ms = agent_now_ms();
        uint64_t due = dns_resolver_due(f->r, after_ms);
        assert_in_range(due, before_ms + cases[i].ms, after_ms + cases[i].ms);
        follow(f, NULL, 0);
    }
    /* The smallest of an SRV answer and its targets'. */
    static const dns_question_t service[] = {
        {.name = mesh_str("s.test"), .srv = true}};
    dns_server_srv(&f->server, "s.test", 50, "1 1 80 n2.test 1 1 81 n3.test");
    follow(f, service, 1);
    uint64_t before_ms = agent_now_ms();
    await(f, 0, "127.0.0.1:80*1 127.0.0.1:81*1");
    uint64_t due = dns_resolver_due(f->r, agent_now_ms());
    assert_in_range(due, before_ms + 7000, agent_now_ms() + 7000);
}

/* --- rounds --------------------------------------------------------------- */

static void test_names_come_and_go(void **state) {
    fixture_t *f = *state;
    static const char *const names[] = {"a.test", "b.test", "c.test", "d.test"};
    dns_question_t questions[4];
    rng_t rng = {7};

    for (unsigned round = 0; round < 300; round++) {
        uint32_t count = 0;
        for (size_t i = 0; i < mesh_nelts(names); i++) {
            char address[16];
            snprintf(address, sizeof(address), "127.0.0.%u",
                     1 + rng_below(&rng, 9));
            if (rng_one_in(&rng, 4)) {
                dns_server_a(&f->server, names[i], 0, address);
            }
            if (rng_one_in(&rng, 2)) {
                questions[count++] =
                    (dns_question_t){.name = mesh_str_from(names[i]),
                                     .srv = rng_one_in(&rng, 4)};
            }
        }
        /* While queries are under way their names are forgotten. */
        follow(f, questions, count);
        run(f, rng_below(&rng, 3));
    }
    dns_server_a(&f->server, "a.test", 0, "127.0.1.1");
    follow(f, plain, 1);
    await(f, 0, "127.0.1.1");
    follow(f, NULL, 0);
    uint32_t asked = dns_server_asked(&f->server);
    run(f, 30);
    assert_in_range(dns_server_asked(&f->server), asked, asked + 2);
    /* The last thing that happens is a question (and teardown). */
    follow(f, plain, 1);
    dns_resolver_ready(f->r, agent_now_ms());
}

static void test_questions_that_are_none(void **state) {
    fixture_t *f = *state;
    char text[DNS_NAME_MAX + 2];
    dns_question_t question = {.name = mesh_str("")};

    memset(text, 'a', sizeof(text));
    assert_null(dns_resolver_ask(f->r, &question, 1));
    question.name = (mesh_str_t){DNS_NAME_MAX + 1, text};
    assert_null(dns_resolver_ask(f->r, &question, 1));
    question.name.len = DNS_NAME_MAX;
    assert_non_null(dns_resolver_ask(f->r, &question, 1));
    /* The same question is the same answer; another family is another. */
    const dns_answer_t *first = dns_resolver_ask(f->r, &question, 1);
    question.family = DNS_V6;
    assert_ptr_not_equal(dns_resolver_ask(f->r, &question, 1), first);
    question.family = DNS_V4_PREFERRED;
    assert_ptr_equal(dns_resolver_ask(f->r, &question, 1), first);
    dns_resolver_begin(f->r);
    dns_resolver_end(f->r);

    uint32_t taken = 0;
    for (uint32_t i = 0; i < DNS_NAMES_MAX + 10; i++) {
        snprintf(text, sizeof(text), "%u.test", i * 7919 % 100003);
        question.name = mesh_str_from(text);
        taken += dns_resolver_ask(f->r, &question, 1) != NULL;
    }
    assert_int_equal(taken, DNS_NAMES_MAX);
}

static void test_servers_that_are_none(void **state) {
    fixture_t *f = *state;
    dns_options_t options = {
        .servers = "nowhere", .changed = on_changed, .ctx = f};
    const char *error = NULL;
    unsigned descriptors = open_descriptors();

    assert_null(dns_resolver_new(&options, &error));
    assert_non_null(error);
    assert_int_equal(open_descriptors(), descriptors);
    dns_resolver_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_families),
        TEST(test_records_that_change),
        TEST(test_services),
        TEST(test_failures_keep_what_there_was),
        TEST(test_failures_are_asked_for_less_often),
        TEST(test_many_names),
        TEST(test_each_has_its_turn),
        TEST(test_times_to_live),
        TEST(test_names_come_and_go),
        TEST(test_questions_that_are_none),
        TEST(test_servers_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
