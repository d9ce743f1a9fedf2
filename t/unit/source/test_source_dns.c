/* SPDX-License-Identifier: Apache-2.0 */
/* slow */

/*
 * Names in endpoint sets as a part of their own: what the sink has of a set
 * is what its names resolve to, with all that stands beside each of them.
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
#include "source_dns.h"
#include "text_part.h"

#define PATIENCE_MS 30000 /* only a test that fails waits so long */

typedef struct {
    dns_server_t server;
    source_t *source;
    source_bundle_t *bundle; /* what the sink has; NULL: nothing */
    unsigned told;
    arena_t *arena;     /* of the followed part */
    const char *before; /* the published sets, as YAML */
    char text[2048];
} fixture_t;

static void on_part(void *ctx, const char *name, source_bundle_t *bundle) {
    fixture_t *f = ctx;

    assert_string_equal(name, SOURCE_DNS_PART);
    if (f->bundle != NULL) {
        source_bundle_free(f->bundle);
    }
    f->bundle = bundle;
    f->told++;
}

static void on_refused(void *ctx, const char *name,
                       const model_errors_t *errors) {
    (void)ctx;
    (void)errors;
    fail_msg("%s is refused", name);
}

static void on_gone(void *ctx, const char *name, bool keep,
                    const char *reason) {
    fixture_t *f = ctx;

    assert_string_equal(name, SOURCE_DNS_PART);
    assert_false(keep);
    assert_true(reason[0] != '\0');
    assert_non_null(f->bundle);
    source_bundle_free(f->bundle);
    f->bundle = NULL;
    f->told++;
}

/* What an earlier agent published. */
static bool before(void *ctx, arena_t *arena, mesh_str_t name,
                   model_endpoint_set_t *set) {
    const fixture_t *f = ctx;

    if (f->before == NULL) {
        return false;
    }
    const model_part_t *part = text_part(arena, "test", f->before);
    for (uint32_t i = 0; i < part->nsets; i++) {
        if (mesh_str_eq(part->sets[i].name, name)) {
            *set = part->sets[i];
            return true;
        }
    }
    return false;
}

static void start(fixture_t *f) {
    agent_config_dns_t config = {.servers = f->server.at,
                                 .min_ttl_ms = 5,
                                 .max_ttl_ms = 60000,
                                 .timeout_ms = 50};
    source_sink_t sink = {f, on_part, on_refused, on_gone};
    const char *error = NULL;

    f->source = source_dns_open(&config, &sink, before, f, &error);
    assert_non_null(f->source);
}

static int setup(void **state) {
    fixture_t *f = calloc(1, sizeof(*f));

    agent_log_setup(AGENT_LOG_ERROR, AGENT_LOG_TEXT);
    dns_server_start(&f->server);
    start(f);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_t *f = *state;

    f->source->ops->close(f->source);
    dns_server_stop(&f->server);
    if (f->bundle != NULL) {
        source_bundle_free(f->bundle);
    }
    arena_free(f->arena);
    free(f);
    return 0;
}

/* The part before may go: the source has what it needs of it. */
static void follow(fixture_t *f, const char *yaml) {
    arena_t *arena = arena_new();
    const model_part_t *part = text_part(arena, "test", yaml);

    source_dns_follow(f->source, &part, 1, agent_now_ms());
    arena_free(f->arena);
    f->arena = arena;
}

static void add(fixture_t *f, size_t *len, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add(fixture_t *f, size_t *len, const char *format, ...) {
    va_list args;

    va_start(args, format);
    *len +=
        (size_t)vsnprintf(f->text + *len, sizeof(f->text) - *len, format, args);
    va_end(args);
    assert_true(*len < sizeof(f->text));
}

static void add_endpoint(fixture_t *f, size_t *len, const model_endpoint_t *e) {
    char host[INET6_ADDRSTRLEN];

    inet_ntop(e->family == MESH_FAMILY_IPV4 ? AF_INET : AF_INET6, e->addr, host,
              sizeof(host));
    add(f, len, e->family == MESH_FAMILY_IPV6 ? " [%s]:%u" : " %s:%u", host,
        e->port);
    if (e->weight != 1) {
        add(f, len, "*%u", e->weight);
    }
    for (uint32_t i = 0; i < e->labels.count; i++) {
        add(f, len, ",%s=%s", e->labels.v[i].name.data,
            e->labels.v[i].value.data);
    }
    if (e->locality.zone.len) {
        add(f, len, "@%s", e->locality.zone.data);
    }
}

/* "a: 127.0.0.1:80*3,v=x@z1; b:": sets in order, with what is in them. */
static const char *text_of(fixture_t *f) {
    size_t len = 0;

    f->text[0] = '\0';
    for (uint32_t i = 0; f->bundle != NULL && i < f->bundle->count; i++) {
        const model_part_t *part = f->bundle->items[i]->part;
        assert_true(part->resolved);
        assert_int_equal(part->nsets, 1);
        add(f, &len, "%s%s:", len ? "; " : "", part->sets->name.data);
        for (uint32_t k = 0; k < part->sets->count; k++) {
            const model_endpoint_t *e = &part->sets->v[k];
            assert_true(k == 0 || model_endpoint_cmp(e - 1, e) < 0);
            add_endpoint(f, &len, e);
        }
    }
    return f->text;
}

static void step(fixture_t *f, uint64_t end_ms) {
    struct pollfd fd = {.fd = f->source->ops->fd(f->source), .events = POLLIN};
    uint64_t now_ms = agent_now_ms();
    uint64_t due = mesh_min(f->source->ops->due(f->source), end_ms);

    (void)poll(&fd, 1, due > now_ms ? (int)(due - now_ms) : 0);
    f->source->ops->ready(f->source, agent_now_ms());
}

static void await(fixture_t *f, const char *wanted) {
    uint64_t end_ms = agent_now_ms() + PATIENCE_MS;

    while (strcmp(text_of(f), wanted) != 0) {
        if (agent_now_ms() > end_ms) {
            fail_msg("it is \"%s\", not \"%s\"", f->text, wanted);
        }
        step(f, end_ms);
    }
}

/* Until it was asked for so often: what it makes of that is there. */
static void await_questions(fixture_t *f, uint32_t count) {
    uint32_t asked = dns_server_asked(&f->server);

    while (dns_server_asked(&f->server) < asked + count) {
        step(f, agent_now_ms() + 10);
    }
}

/* --- sets ----------------------------------------------------------------- */

static void test_what_stands_beside_a_name(void **state) {
    fixture_t *f = *state;

    dns_server_a(&f->server, "x.test", 0, "127.0.0.2 127.0.0.1");
    dns_server_aaaa(&f->server, "x.test", 0, "::1");
    dns_server_srv(&f->server, "_s._tcp.x.test", 0, "1 7 8080 x.test");
    follow(f, "clusters:\n"
              "  a: {endpoints: [{address: 'x.test:80', weight: 3,"
              " labels: {v: x}, zone: z1}, '127.0.0.9:1']}\n"
              "  b: {endpoints: ['x.test:81'], dns: {family: all}}\n"
              "  c: {endpoints: ['x.test:82'], dns: {family: v6}}\n"
              "  d: {endpoints: ['x.test:83'], dns: {lookup: logical}}\n"
              "  e: {endpoints: [{address: 'srv:_s._tcp.x.test', weight: 9,"
              " labels: {v: y}}]}\n"
              "  plain: {endpoints: ['1.2.3.4:5']}\n"
              "endpoints: {f: ['x.test:84', 'none.test:1']}\n");
    await(f, "a: 127.0.0.1:80*3,v=x@z1 127.0.0.2:80*3,v=x@z1 127.0.0.9:1; "
             "b: 127.0.0.1:81 127.0.0.2:81 [::1]:81; c: [::1]:82; "
             "d: 127.0.0.1:83; "
             "e: 127.0.0.1:8080*7,v=y 127.0.0.2:8080*7,v=y; "
             "f: 127.0.0.1:84 127.0.0.2:84");
}

/* Two names may have an address in common, and an address may be there. */
static void test_addresses_in_common(void **state) {
    fixture_t *f = *state;

    dns_server_a(&f->server, "x.test", 0, "127.0.0.1 127.0.0.2");
    dns_server_a(&f->server, "y.test", 0, "127.0.0.2 127.0.0.3");
    follow(f, "clusters: {a: {endpoints: ['x.test:80', 'y.test:80',"
              " '127.0.0.3:80', 'y.test:81']}}");
    await(f, "a: 127.0.0.1:80 127.0.0.2:80 127.0.0.2:81 127.0.0.3:80"
             " 127.0.0.3:81");

    /* The first name, or none, where the address is there without one. */
    static const char *const names[] = {"x.test", "x.test", "y.test", "",
                                        "y.test"};
    const model_endpoint_set_t *set = f->bundle->items[0]->part->sets;

    for (uint32_t i = 0; i < mesh_nelts(names); i++) {
        assert_true(mesh_str_eq(set->v[i].host, mesh_str_from(names[i])));
    }
}

/* As hosts are written; those of services have names of their own. */
static void test_names_stay_with_addresses(void **state) {
    fixture_t *f = *state;

    dns_server_a(&f->server, "x.test", 0, "127.0.0.1");
    dns_server_srv(&f->server, "_s._tcp.x.test", 0, "1 7 8080 x.test");
    follow(f, "clusters: {a: {endpoints: ['x.test.:80',"
              " 'srv:_s._tcp.x.test']}}");
    await(f, "a: 127.0.0.1:80 127.0.0.1:8080*7");
    const model_endpoint_set_t *set = f->bundle->items[0]->part->sets;

    assert_true(mesh_str_eq(set->v[0].host, MESH_STR("x.test")));
    assert_int_equal(set->v[1].host.len, 0);
}

/* Only the sets that changed are others: the rest are the same objects. */
static void test_a_set_stays_the_same_object(void **state) {
    fixture_t *f = *state;

    dns_server_a(&f->server, "x.test", 0, "127.0.0.1");
    dns_server_a(&f->server, "y.test", 0, "127.0.0.2");
    follow(f, "clusters: {a: {endpoints: ['x.test:80']},"
              " b: {endpoints: ['y.test:80']}}");
    await(f, "a: 127.0.0.1:80; b: 127.0.0.2:80");
    const model_part_t *a = f->bundle->items[0]->part;
    const model_part_t *b = f->bundle->items[1]->part;
    unsigned told = f->told;
    await_questions(f, 20);
    assert_int_equal(f->told, told); /* nothing changed: nothing is told */
    dns_server_a(&f->server, "y.test", 0, "127.0.0.3");
    await(f, "a: 127.0.0.1:80; b: 127.0.0.3:80");
    assert_ptr_equal(f->bundle->items[0]->part, a);
    assert_ptr_not_equal(f->bundle->items[1]->part, b);
    follow(f, "clusters: {b: {endpoints: ['y.test:80']}}");
    assert_string_equal(text_of(f), "b: 127.0.0.3:80");
    follow(f, "clusters: {}");
    assert_null(f->bundle);
}

/* --- failures ------------------------------------------------------------- */

static void test_failures_keep_what_there_was(void **state) {
    fixture_t *f = *state;

    dns_server_a(&f->server, "x.test", 0, "127.0.0.1");
    dns_server_a(&f->server, "y.test", 0, "127.0.0.2");
    follow(f, "clusters: {a: {endpoints: ['x.test:80', 'y.test:80']}}");
    await(f, "a: 127.0.0.1:80 127.0.0.2:80");
    unsigned told = f->told;
    dns_server_mode(&f->server, DNS_SERVER_BROKEN);
    await_questions(f, 8);
    assert_int_equal(f->told, told);
    /* A name that goes is no failure. */
    dns_server_mode(&f->server, DNS_SERVER_RIGHT);
    dns_server_forget(&f->server, "x.test");
    await(f, "a: 127.0.0.2:80");
    dns_server_forget(&f->server, "y.test");
    await(f, "a:");
}

/* A new name beside known ones: the set goes on until all are known. */
static void test_a_name_that_is_not_known_yet(void **state) {
    fixture_t *f = *state;

    dns_server_a(&f->server, "x.test", 0, "127.0.0.1");
    follow(f, "clusters: {a: {endpoints: ['x.test:80']}}");
    await(f, "a: 127.0.0.1:80");
    dns_server_mode(&f->server, DNS_SERVER_SILENT);
    follow(f, "clusters: {a: {endpoints: ['y.test:80', 'x.test:81']}}");
    await_questions(f, 3);
    assert_string_equal(text_of(f), "a: 127.0.0.1:80");
    dns_server_a(&f->server, "y.test", 0, "127.0.0.2");
    dns_server_mode(&f->server, DNS_SERVER_RIGHT);
    await(f, "a: 127.0.0.1:81 127.0.0.2:80");
}

/* --- the first answer ----------------------------------------------------- */

static void test_the_first_answer_is_waited_for(void **state) {
    fixture_t *f = *state;
    uint64_t before_ms = agent_now_ms();

    assert_int_equal(source_dns_wait(f->source), 0);
    dns_server_mode(&f->server, DNS_SERVER_SILENT);
    dns_server_a(&f->server, "x.test", 0, "127.0.0.1");
    follow(f, "clusters: {a: {endpoints: ['x.test:80']}}");
    assert_in_range(source_dns_wait(f->source), before_ms + SOURCE_DNS_WAIT_MS,
                    agent_now_ms() + SOURCE_DNS_WAIT_MS);
    dns_server_mode(&f->server, DNS_SERVER_RIGHT);
    await(f, "a: 127.0.0.1:80");
    assert_int_equal(source_dns_wait(f->source), 0);
    /* One that is there already is not waited for. */
    dns_server_mode(&f->server, DNS_SERVER_SILENT);
    follow(f, "clusters: {a: {endpoints: ['y.test:80']}}");
    assert_int_equal(source_dns_wait(f->source), 0);
}

static void test_a_failure_is_not_waited_for(void **state) {
    fixture_t *f = *state;

    dns_server_mode(&f->server, DNS_SERVER_BROKEN);
    follow(f, "clusters: {a: {endpoints: ['x.test:80', '127.0.0.9:1']}}");
    assert_int_not_equal(source_dns_wait(f->source), 0);
    /* The address beside it is there from the start. */
    assert_string_equal(text_of(f), "a: 127.0.0.9:1");
    while (source_dns_wait(f->source) != 0) {
        step(f, agent_now_ms() + 10);
    }
    assert_string_equal(text_of(f), "a: 127.0.0.9:1");
}

/* The next agent goes on with what is published, until DNS answers. */
static void test_what_was_published_goes_on(void **state) {
    fixture_t *f = *state;

    f->before = "endpoints: {a: ['127.0.0.7:80', '127.0.0.8:80']}";
    dns_server_mode(&f->server, DNS_SERVER_SILENT);
    dns_server_a(&f->server, "x.test", 0, "127.0.0.1");
    follow(f, "clusters: {a: {endpoints: ['x.test:80']},"
              " b: {endpoints: ['x.test:81']}}");
    assert_string_equal(text_of(f), "a: 127.0.0.7:80 127.0.0.8:80");
    await_questions(f, 3);
    assert_string_equal(text_of(f), "a: 127.0.0.7:80 127.0.0.8:80");
    dns_server_mode(&f->server, DNS_SERVER_RIGHT);
    await(f, "a: 127.0.0.1:80; b: 127.0.0.1:81");
}

/* --- how names fare ------------------------------------------------------- */

/* What was reported: all times are of now. */
typedef struct {
    fixture_t *f;
    uint64_t now_ms;
    char text[4096]; /* of names, a line each */
    size_t len;
    uint32_t names;
    uint32_t failing; /* of them */
    unsigned notes;
    source_note_t note;
    char note_text[SOURCE_NOTE_MAX];
    source_name_state_e last;
} heard_t;

static void hear_note(void *ctx, const char *part, const source_note_t *note) {
    heard_t *h = ctx;

    assert_string_equal(part, SOURCE_DNS_PART);
    assert_int_equal(h->names, 0); /* it is the first thing */
    assert_in_range(strlen(note->text), 0, SOURCE_NOTE_MAX - 1);
    assert_in_range(note->since_ms, 0, h->now_ms);
    assert_true(note->since_ms == 0 || note->failing != 0);
    h->notes++;
    h->note = *note;
    h->note.text = h->note_text;
    memcpy(h->note_text, note->text, strlen(note->text) + 1);
}

/* What is true of every name. */
static void check_name(const heard_t *h, const source_name_t *name) {
    bool fails = name->state < SOURCE_NAME_WAITING;

    assert_true(name->state >= h->last); /* those that fail come first */
    assert_in_range(name->since_ms, 0, h->now_ms);
    assert_in_range(name->had_ms, 0, h->now_ms);
    assert_in_range(name->nsets, 1, SOURCE_NAME_SETS_MAX);
    assert_true(name->sets_left_out == 0 ||
                name->nsets == SOURCE_NAME_SETS_MAX);
    assert_in_range(strlen(name->verdict), fails ? 1 : 0,
                    SOURCE_VERDICT_MAX - 1);
    if (name->state == SOURCE_NAME_OK) {
        assert_true(name->answered && name->since_ms == 0);
    }
    if (name->state == SOURCE_NAME_FAILING) {
        assert_int_equal(name->addresses, 0);
    }
}

static void hear(heard_t *h, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void hear(heard_t *h, const char *format, ...) {
    va_list args;

    va_start(args, format);
    h->len += (size_t)vsnprintf(h->text + h->len, sizeof(h->text) - h->len,
                                format, args);
    va_end(args);
    assert_true(h->len < sizeof(h->text));
}

/* "a.test A failing 0 (x,y): NXDOMAIN; it never had addresses" */
static void hear_name(void *ctx, const char *part, const source_name_t *name) {
    heard_t *h = ctx;

    assert_string_equal(part, SOURCE_DNS_PART);
    check_name(h, name);
    h->last = name->state;
    h->names++;
    h->failing += name->state < SOURCE_NAME_WAITING;
    if (h->names > 8) {
        return;
    }
    hear(h, "%.*s %s %s %u (", (int)name->name.len, name->name.data, name->type,
         source_name_state(name->state), name->addresses);
    for (uint32_t i = 0; i < name->nsets; i++) {
        hear(h, "%s%.*s", i ? "," : "", (int)name->sets[i].len,
             name->sets[i].data);
    }
    if (name->sets_left_out) {
        hear(h, " +%u", name->sets_left_out);
    }
    hear(h, ")%s%s\n", name->verdict[0] ? ": " : "", name->verdict);
}

static void report(fixture_t *f, heard_t *h, bool names) {
    source_report_t to = {h, hear_note, names ? hear_name : NULL};

    *h = (heard_t){.f = f, .now_ms = agent_now_ms()};
    f->source->ops->report(f->source, h->now_ms, &to);
    assert_in_range(h->notes, 0, 1);
    if (names) {
        assert_int_equal(h->note.names, h->names);
        assert_int_equal(h->note.failing, h->failing);
    }
}

/* Until its names fare so. */
static void await_report(fixture_t *f, const char *wanted) {
    uint64_t end_ms = agent_now_ms() + PATIENCE_MS;
    heard_t h;

    for (report(f, &h, true); strcmp(h.text, wanted) != 0;
         report(f, &h, true)) {
        if (agent_now_ms() > end_ms) {
            fail_msg("it is \"%s\", not \"%s\"", h.text, wanted);
        }
        step(f, end_ms);
    }
}

/* What the note says, with "AGE" for each age. */
static void expect_note(fixture_t *f, source_name_state_e state,
                        const char *wanted) {
    char text[SOURCE_NOTE_MAX];
    size_t n = 0;
    heard_t h;

    report(f, &h, false);
    assert_int_equal(h.names, 0);
    assert_int_equal(h.note.state, state);
    for (const char *p = h.note_text; *p != '\0';) {
        size_t digits = strspn(p, "0123456789");

        if (digits != 0 && strchr("smhd", p[digits]) != NULL &&
            p[digits] != '\0') {
            memcpy(text + n, "AGE", 3);
            n += 3;
            p += digits + 1;
        } else {
            text[n++] = *p++;
        }
        assert_true(n < sizeof(text) - 4);
    }
    text[n] = '\0';
    assert_string_equal(text, wanted);
}

/* From the start there is nothing, or no server. */
static void test_names_that_were_never_there(void **state) {
    fixture_t *f = *state;
    heard_t h;

    report(f, &h, true);
    assert_int_equal(h.notes, 0); /* without names there is nothing to say */
    dns_server_aaaa(&f->server, "six.test", 0, "::1");
    dns_server_a(&f->server, "ok.test", 0, "127.0.0.1");
    dns_server_mode(&f->server, DNS_SERVER_SILENT);
    follow(f, "clusters:\n"
              "  a: {endpoints: ['none.test:1', 'none.test:2', 'ok.test:1']}\n"
              "  b: {endpoints: ['six.test:1'], dns: {family: v4}}\n"
              "  c: {endpoints: ['none.test:1', 'srv:_s._tcp.test']}\n");
    await_report(f, "_s._tcp.test SRV waiting 0 (c): asked for the first time\n"
                    "none.test A/AAAA waiting 0 (a,c): asked for the first "
                    "time\n"
                    "ok.test A/AAAA waiting 0 (a): asked for the first time\n"
                    "six.test A waiting 0 (b): asked for the first time\n");
    expect_note(f, SOURCE_NAME_WAITING,
                "first answers of 4 of 4 names are waited for");
    await_report(f, "_s._tcp.test SRV failing 0 (c): timeout; it was never "
                    "answered\n"
                    "none.test A/AAAA failing 0 (a,c): timeout; it was never "
                    "answered\n"
                    "ok.test A/AAAA failing 0 (a): timeout; it was never "
                    "answered\n"
                    "six.test A failing 0 (b): timeout; it was never "
                    "answered\n");
    dns_server_mode(&f->server, DNS_SERVER_RIGHT);
    await_report(f, "_s._tcp.test SRV failing 0 (c): NXDOMAIN; it never had "
                    "addresses\n"
                    "none.test A/AAAA failing 0 (a,c): NXDOMAIN; it never had "
                    "addresses\n"
                    "six.test A failing 0 (b): no answer of that type; it "
                    "never had addresses\n"
                    "ok.test A/AAAA ok 1 (a)\n");
    expect_note(f, SOURCE_NAME_FAILING,
                "3 of 4 names fail: _s._tcp.test (NXDOMAIN, AGE), none.test "
                "(NXDOMAIN, AGE), six.test (no answer of that type, AGE)");
}

/* Lost, kept, back, taken out. */
static void test_names_that_come_and_go(void **state) {
    fixture_t *f = *state;
    heard_t h;

    dns_server_a(&f->server, "x.test", 0, "127.0.0.1 127.0.0.2");
    dns_server_a(&f->server, "y.test", 60, "127.0.0.3 127.0.0.4");
    follow(f, "clusters: {a: {endpoints: ['x.test:1']},"
              " b: {endpoints: ['y.test:1'], dns: {lookup: logical}}}");
    await_report(f, "x.test A/AAAA ok 2 (a)\ny.test A/AAAA ok 1 (b)\n");
    expect_note(f, SOURCE_NAME_OK, "");
    uint64_t before_ms = agent_now_ms();
    dns_server_mode(&f->server, DNS_SERVER_BROKEN);
    await_report(
        f, "x.test A/AAAA kept 2 (a): server's failure; its addresses go on\n"
           "y.test A/AAAA ok 1 (b)\n");
    expect_note(
        f, SOURCE_NAME_KEPT,
        "1 of 2 names fails: x.test (server's failure, AGE, 2 addresses kept)");
    report(f, &h, true);
    assert_in_range(h.note.since_ms, before_ms, h.now_ms);
    uint64_t since_ms = h.note.since_ms;
    /* Another reason does not begin anew. */
    dns_server_mode(&f->server, DNS_SERVER_SILENT);
    await_report(f, "x.test A/AAAA kept 2 (a): timeout; its addresses go on\n"
                    "y.test A/AAAA ok 1 (b)\n");
    dns_server_forget(&f->server, "x.test");
    dns_server_mode(&f->server, DNS_SERVER_RIGHT);
    await_report(f, "x.test A/AAAA failing 0 (a): NXDOMAIN; it had addresses "
                    "before\n"
                    "y.test A/AAAA ok 1 (b)\n");
    report(f, &h, true);
    assert_int_equal(h.note.since_ms, since_ms);
    dns_server_a(&f->server, "x.test", 0, "127.0.0.9");
    await_report(f, "x.test A/AAAA ok 1 (a)\ny.test A/AAAA ok 1 (b)\n");
    expect_note(f, SOURCE_NAME_OK, "");
    dns_server_forget(&f->server, "x.test");
    await_report(f, "x.test A/AAAA failing 0 (a): NXDOMAIN; it had addresses "
                    "before\n"
                    "y.test A/AAAA ok 1 (b)\n");
    report(f, &h, true);
    assert_true(h.note.since_ms > since_ms);
    follow(f, "clusters: {b: {endpoints: ['y.test:1', 'y.test:2']}}");
    await_report(f, "y.test A/AAAA ok 2 (b)\n");
    follow(f, "clusters: {b: {endpoints: ['1.2.3.4:1']}}");
    report(f, &h, true);
    assert_int_equal(h.notes, 0);
}

/* That there is no IPv6 address does not say that there is no other. */
static void test_a_family_that_fails(void **state) {
    fixture_t *f = *state;

    dns_server_a(&f->server, "x.test", 0, "127.0.0.1");
    follow(f, "clusters: {a: {endpoints: ['x.test:1']}}");
    await_report(f, "x.test A/AAAA ok 1 (a)\n");
    dns_server_mode_of(&f->server, "x.test", "A", DNS_SERVER_FORMERR);
    await_report(f, "x.test A/AAAA kept 1 (a): DNS server claims query was "
                    "misformatted; its addresses go on\n");
    assert_string_equal(text_of(f), "a: 127.0.0.1:1");
    /* Nor does it matter that nobody tells of those that are not wanted. */
    dns_server_mode_of(&f->server, "x.test", "AAAA", DNS_SERVER_BROKEN);
    await_report(f, "x.test A/AAAA ok 1 (a)\n");
    dns_server_a(&f->server, "x.test", 0, "127.0.0.2");
    await(f, "a: 127.0.0.2:1");
}

static void test_services_whose_targets_fail(void **state) {
    fixture_t *f = *state;

    dns_server_srv(&f->server, "_s._tcp.test", 0,
                   "1 5 80 x.test 1 5 81 y.test 2 5 82 z.test");
    dns_server_a(&f->server, "x.test", 0, "127.0.0.1");
    follow(f, "clusters: {a: {endpoints: ['srv:_s._tcp.test']}}");
    await_report(f, "_s._tcp.test SRV partial 1 (a): NXDOMAIN of y.test; no "
                    "addresses of 1 of 2 targets\n");
    expect_note(f, SOURCE_NAME_PARTIAL,
                "1 of 1 name fails: _s._tcp.test (NXDOMAIN of y.test, AGE, "
                "1 address left)");
    /* A target whose server fails is a failure of the whole. */
    dns_server_a(&f->server, "y.test", 0, "127.0.0.2");
    await_report(f, "_s._tcp.test SRV ok 2 (a)\n");
    dns_server_mode_of(&f->server, "y.test", NULL, DNS_SERVER_BROKEN);
    await_report(f,
                 "_s._tcp.test SRV kept 2 (a): server's failure of y.test; its "
                 "addresses go on\n");
    dns_server_mode_of(&f->server, "", NULL, DNS_SERVER_RIGHT);
    await_report(f, "_s._tcp.test SRV ok 2 (a)\n");
    dns_server_forget(&f->server, "x.test");
    dns_server_forget(&f->server, "y.test");
    await_report(f, "_s._tcp.test SRV failing 0 (a): NXDOMAIN of x.test; it "
                    "had addresses before\n");
    dns_server_srv(&f->server, "_s._tcp.test", 0, "0 0 0 .");
    await_report(f, "_s._tcp.test SRV failing 0 (a): the service has no "
                    "target; it had addresses before\n");
    dns_server_srv(&f->server, "_s._tcp.test", 0, NULL);
    await_report(f, "_s._tcp.test SRV failing 0 (a): no answer of that type; "
                    "it had addresses before\n");
}

/* A set that was published before goes on until all its names are answered. */
static void test_sets_that_go_on(void **state) {
    fixture_t *f = *state;

    f->source->ops->close(f->source);
    f->before = "endpoints: {a: ['127.0.0.7:80', '127.0.0.8:80'],"
                " c: ['127.0.0.1:1']}";
    start(f);
    dns_server_mode(&f->server, DNS_SERVER_BROKEN);
    follow(f, "clusters: {a: {endpoints: ['srv:_s._tcp.test', 'x.test:80']},"
              " b: {endpoints: ['y.test:80']}}");
    await_report(f,
                 "x.test A/AAAA failing 0 (a): server's failure; it was never "
                 "answered, until then its set goes on as it was\n"
                 "y.test A/AAAA failing 0 (b): server's failure; it was never "
                 "answered\n"
                 "_s._tcp.test SRV kept 0 (a): server's failure; it was not "
                 "answered yet, its addresses of before go on\n");
    dns_server_srv(&f->server, "_s._tcp.test", 0, "1 5 80 y.test");
    dns_server_a(&f->server, "y.test", 0, "127.0.0.1");
    dns_server_a(&f->server, "x.test", 0, "127.0.0.2");
    dns_server_mode_of(&f->server, "x.test", NULL, DNS_SERVER_SILENT);
    dns_server_mode(&f->server, DNS_SERVER_RIGHT);
    await_report(f, "x.test A/AAAA failing 0 (a): timeout; it was never "
                    "answered, until then its set goes on as it was\n"
                    "_s._tcp.test SRV ok 0 (a): another name of its set was "
                    "never answered, until then the set goes on as it was\n"
                    "y.test A/AAAA ok 1 (b)\n");
    assert_string_equal(text_of(f), "a: 127.0.0.7:80 127.0.0.8:80; "
                                    "b: 127.0.0.1:80");
    dns_server_mode_of(&f->server, "", NULL, DNS_SERVER_RIGHT);
    await_report(f, "_s._tcp.test SRV ok 1 (a)\nx.test A/AAAA ok 1 (a)\n"
                    "y.test A/AAAA ok 1 (b)\n");
    /* What an address is of is known where it was resolved by name. */
    dns_server_mode_of(&f->server, "z.test", NULL, DNS_SERVER_SILENT);
    follow(f, "clusters: {b: {endpoints: ['y.test.:80', 'z.test:80']}}");
    await_report(f, "z.test A/AAAA failing 0 (b): timeout; it was never "
                    "answered, until then its set goes on as it was\n"
                    "y.test. A/AAAA ok 1 (b): another name of its set was "
                    "never answered, until then the set goes on as it was\n");
}

/* --- many of them --------------------------------------------------------- */

/* A set "all" of so many names that begin with a number. */
static void follow_many(fixture_t *f, uint32_t count, const char *rest) {
    char *yaml = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&yaml, &size);

    fputs("endpoints:\n  all:\n", out);
    for (uint32_t i = 0; i < count; i++) {
        fprintf(out, "  - '%06u%s:1'\n", i, rest);
    }
    fclose(out);
    follow(f, yaml);
    free(yaml);
}

/* A line has some of them, however long they are. */
static void test_a_note_is_bounded(void **state) {
    fixture_t *f = *state;
    char rest[DNS_NAME_MAX];
    heard_t h;

    for (uint32_t len = 8; len < DNS_NAME_MAX - 8; len += 61) {
        for (uint32_t i = 0; i < len; i++) {
            rest[i] = i % 50 == 0 ? '.' : 'a';
        }
        rest[len] = '\0';
        follow_many(f, 12, rest);
        do {
            step(f, agent_now_ms() + 10);
            report(f, &h, true);
        } while (h.failing != 12);
        assert_non_null(strstr(h.note_text, "12 of 12 names fail: 000000."));
        const char *more = strstr(h.note_text, ", and ");
        assert_non_null(more);
        assert_string_equal(more, len < 200 ? ", and 8 more" : ", and 9 more");
    }
}

static void test_a_name_of_many_sets(void **state) {
    fixture_t *f = *state;

    dns_server_a(&f->server, "x.test", 0, "127.0.0.1");
    follow(f, "endpoints: {a: ['x.test:1'], b: ['x.test:1'], c: ['x.test:1'],"
              " d: ['x.test:1'], e: ['x.test:1'], f: ['x.test:1'],"
              " g: ['x.test:1'], h: ['x.test:1'], i: ['x.test:1'],"
              " j: ['x.test:1'], k: ['x.test:1']}");
    await_report(f, "x.test A/AAAA ok 1 (a,b,c,d,e,f,g,h +3)\n");
    expect_note(f, SOURCE_NAME_OK, "");
}

/* Those beyond the limit are told: they are not asked for. */
static void test_too_many_names(void **state) {
    fixture_t *f = *state;
    heard_t h;

    follow_many(f, DNS_NAMES_MAX + 2, ".test");
    report(f, &h, true);
    assert_int_equal(h.names, DNS_NAMES_MAX + 2);
    assert_int_equal(h.note.failing, 2);
    assert_string_equal(h.note_text,
                        "2 of 65538 names fail: 065536.test (too many names), "
                        "065537.test (too many names)");
    assert_non_null(strstr(h.text, "065537.test A/AAAA failing 0 (all): not "
                                   "asked for: there are more than 65536 "
                                   "names\n000000.test A/AAAA waiting 0"));
}

/* --- versions ------------------------------------------------------------- */

static const char *version_of(fixture_t *f, const char *set) {
    static char versions[2][64];
    static unsigned next;
    char yaml[512];

    f->source->ops->close(f->source);
    snprintf(yaml, sizeof(yaml), "endpoints: {a: [%s]}", set);
    f->before = yaml;
    start(f);
    follow(f, "clusters: {a: {endpoints: ['x.test:80']}}");
    assert_int_equal(f->bundle->count, 1);
    char *version = versions[next++ % 2];
    snprintf(version, sizeof(versions[0]), "%s",
             f->bundle->items[0]->part->version.data);
    f->before = NULL;
    return version;
}

/*
 * Another set has another version, whatever is different in it: the compiler
 * knows what it has compiled by that and the place in memory.
 */
static void test_versions_are_of_all_that_there_is(void **state) {
    fixture_t *f = *state;
    static const char *const sets[] = {
        "",
        "'127.0.0.1:80'",
        "'127.0.0.1:81'",
        "'127.0.0.2:80'",
        "'[::1]:80'",
        "'127.0.0.1:80', '127.0.0.2:80'",
        "{address: '127.0.0.1:80', weight: 2}",
        "{address: '127.0.0.1:80', health: draining}",
        "{address: '127.0.0.1:80', labels: {a: b}}",
        "{address: '127.0.0.1:80', labels: {a: c}}",
        "{address: '127.0.0.1:80', labels: {ab: ''}}",
        "{address: '127.0.0.1:80', labels: {a: b, c: d}}",
        "{address: '127.0.0.1:80', zone: z}",
        "{address: '127.0.0.1:80', locality: {region: z}}",
        "{address: '127.0.0.1:80', locality: {sub_zone: z}}",
        "'unix:/a'",
        "'unix:/b'",
    };

    dns_server_mode(&f->server, DNS_SERVER_SILENT);
    for (size_t i = 0; i < mesh_nelts(sets); i++) {
        for (size_t k = 0; k <= i; k++) {
            const char *a = version_of(f, sets[i]);
            const char *b = version_of(f, sets[k]);
            if ((strcmp(a, b) == 0) != (i == k)) {
                fail_msg("[%s] and [%s] have versions %s and %s", sets[i],
                         sets[k], a, b);
            }
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_what_stands_beside_a_name),
        TEST(test_addresses_in_common),
        TEST(test_names_stay_with_addresses),
        TEST(test_a_set_stays_the_same_object),
        TEST(test_failures_keep_what_there_was),
        TEST(test_a_name_that_is_not_known_yet),
        TEST(test_the_first_answer_is_waited_for),
        TEST(test_a_failure_is_not_waited_for),
        TEST(test_what_was_published_goes_on),
        TEST(test_names_that_were_never_there),
        TEST(test_names_that_come_and_go),
        TEST(test_a_family_that_fails),
        TEST(test_services_whose_targets_fail),
        TEST(test_sets_that_go_on),
        TEST(test_a_note_is_bounded),
        TEST(test_a_name_of_many_sets),
        TEST(test_too_many_names),
        TEST(test_versions_are_of_all_that_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
