/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Names among endpoints in a whole agent: what is in force has the addresses
 * of its own names, whatever else was tried and refused meanwhile.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent_log.h"
#include "ctl_zone.h"
#include "dns_server.h"
#include "live_agent.h"

#define PATIENCE_MS 30000 /* only a test that fails waits so long */

typedef struct {
    live_agent_t agent;
    dns_server_t server;
} fixture_t;

static void start(fixture_t *f) {
    char yaml[256];

    snprintf(yaml, sizeof(yaml),
             "debounce: {quiet: 1ms, bound: 5ms}\n"
             "dns: {servers: ['%s'], min_ttl: 5ms, timeout: 50ms}\n"
             "sources: [{file: mesh.yaml}]\n",
             f->server.at);
    live_agent_start(&f->agent, yaml);
}

static int setup(void **state) {
    fixture_t *f = calloc(1, sizeof(*f));

    live_agent_make(&f->agent);
    dns_server_start(&f->server);
    dns_server_a(&f->server, "x.test", 0, "127.0.0.1");
    dns_server_a(&f->server, "y.test", 0, "127.0.0.2");
    start(f);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_t *f = *state;

    live_agent_remove(&f->agent);
    dns_server_stop(&f->server);
    free(f);
    return 0;
}

/* "127.0.0.1:80 127.0.0.2:80"; "-": there is no such cluster. */
static const char *endpoints_of(const fixture_t *f, const char *cluster) {
    static char text[512];
    ctl_zone_t zone;
    size_t len = 0;

    snprintf(text, sizeof(text), "-");
    if (!ctl_zone_open(&zone, f->agent.zone, 0)) {
        return text;
    }
    const mesh_cluster_view_t *view =
        ctl_zone_view(&zone, mesh_str_from(cluster));
    if (view != NULL) {
        text[0] = '\0';
    }
    for (uint32_t i = 0; view != NULL && i < view->total; i++) {
        char address[128];
        mesh_endpoint_text(zone.s, view->endpoints[i].endpoint, address,
                           sizeof(address));
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
                                len ? " " : "", address);
    }
    ctl_zone_close(&zone);
    return text;
}

static void await(const fixture_t *f, const char *cluster, const char *wanted) {
    uint64_t end_ms = agent_now_ms() + PATIENCE_MS;

    while (strcmp(endpoints_of(f, cluster), wanted) != 0) {
        if (agent_now_ms() > end_ms) {
            fail_msg("%s has \"%s\", not \"%s\"", cluster,
                     endpoints_of(f, cluster), wanted);
        }
        usleep(1000);
    }
}

/* It has them now, and when names were asked for again and again. */
static void stays(const fixture_t *f, const char *cluster, const char *wanted) {
    uint32_t asked = dns_server_asked(&f->server);

    do {
        const char *found = endpoints_of(f, cluster);
        if (strcmp(found, wanted) != 0) {
            fail_msg("%s has \"%s\", not \"%s\"", cluster, found, wanted);
        }
        usleep(1000);
    } while (dns_server_asked(&f->server) < asked + 10);
}

/* In one step, as careful editors do. */
static void put_mesh(const fixture_t *f, const char *yaml) {
    const char *made = temp_path(&f->agent.top, ".made");

    temp_puts(made, yaml);
    assert_int_equal(rename(made, temp_path(&f->agent.top, "mesh.yaml")), 0);
}

static void await_refusal(const fixture_t *f) {
    uint64_t end_ms = agent_now_ms() + PATIENCE_MS;

    for (bool refused = false; !refused;) {
        ctl_request_t request = {.command = CTL_STATUS};
        cJSON *status = live_agent_ask(&f->agent, &request);
        const cJSON *part;

        cJSON_ArrayForEach(part, cJSON_GetObjectItem(status, "parts")) {
            const char *state =
                cJSON_GetStringValue(cJSON_GetObjectItem(part, "state"));
            refused |= strcmp(state, "refused") == 0;
        }
        cJSON_Delete(status);
        assert_true(agent_now_ms() < end_ms);
    }
}

#define NAMED(name) "clusters: {a: {endpoints: ['" name ":80']}}\n"
#define OTHER "other: {endpoints: ['y.test:80']}"
#define TO_NOWHERE "hosts: [{domains: '*', routes: [{route: nowhere}]}]\n"

static void test_names_and_addresses(void **state) {
    fixture_t *f = *state;

    put_mesh(f, NAMED("x.test"));
    await(f, "a", "127.0.0.1:80");
    put_mesh(f, NAMED("y.test"));
    await(f, "a", "127.0.0.2:80");
    dns_server_a(&f->server, "y.test", 0, "127.0.0.3 127.0.0.4");
    await(f, "a", "127.0.0.3:80 127.0.0.4:80");
    put_mesh(f, NAMED("1.2.3.4"));
    await(f, "a", "1.2.3.4:80");
}

static void stays_after_refusal(fixture_t *f, const char *good,
                                const char *refused, const char *endpoints) {
    put_mesh(f, good);
    await(f, "a", endpoints);
    put_mesh(f, refused);
    await_refusal(f);
    /* Something else is published meanwhile. */
    assert_true(live_agent_apply(&f->agent, CTL_YAML, "clusters: {" OTHER "}"));
    await(f, "other", "127.0.0.2:80");
    if (strstr(good, "test") != NULL) {
        stays(f, "a", endpoints);
    }
    assert_string_equal(endpoints_of(f, "a"), endpoints);
}

static void test_a_refused_part_without_the_name(void **state) {
    stays_after_refusal(*state, NAMED("x.test"), TO_NOWHERE, "127.0.0.1:80");
}

static void test_a_refused_part_with_another_name(void **state) {
    stays_after_refusal(*state, NAMED("x.test"), NAMED("y.test") TO_NOWHERE,
                        "127.0.0.1:80");
}

static void test_a_refused_part_with_an_address(void **state) {
    stays_after_refusal(*state, NAMED("x.test"), NAMED("1.2.3.4") TO_NOWHERE,
                        "127.0.0.1:80");
}

static void test_a_refused_part_with_a_name(void **state) {
    stays_after_refusal(*state, NAMED("1.2.3.4"), NAMED("x.test") TO_NOWHERE,
                        "1.2.3.4:80");
}

static void test_a_broken_part(void **state) {
    stays_after_refusal(*state, NAMED("x.test"), "clusters: 5", "127.0.0.1:80");
}

/* What waited for another part comes into force with its own names. */
static void test_a_part_that_waited(void **state) {
    fixture_t *f = *state;

    stays_after_refusal(f, NAMED("x.test"), NAMED("y.test") TO_NOWHERE,
                        "127.0.0.1:80");
    assert_true(
        live_agent_apply(&f->agent, CTL_YAML,
                         "clusters: {nowhere: {endpoints: ['x.test:81']}}"));
    await(f, "a", "127.0.0.2:80");
    await(f, "nowhere", "127.0.0.1:81");
}

/* The next agent goes on with what is published; DNS is down. */
static void test_the_next_agent(void **state) {
    fixture_t *f = *state;

    put_mesh(f, "clusters: {a: {endpoints: [{address: 'x.test:80',"
                " labels: {v: one}, zone: z}]}}");
    await(f, "a", "127.0.0.1:80");
    live_agent_kill(&f->agent);
    dns_server_mode(&f->server, DNS_SERVER_SILENT);
    start(f);
    stays(f, "a", "127.0.0.1:80");
    dns_server_mode(&f->server, DNS_SERVER_RIGHT);
    dns_server_a(&f->server, "x.test", 0, "127.0.0.5");
    await(f, "a", "127.0.0.5:80");
    live_agent_stop(&f->agent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_names_and_addresses),
        TEST(test_a_refused_part_without_the_name),
        TEST(test_a_refused_part_with_another_name),
        TEST(test_a_refused_part_with_an_address),
        TEST(test_a_refused_part_with_a_name),
        TEST(test_a_broken_part),
        TEST(test_a_part_that_waited),
        TEST(test_the_next_agent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
