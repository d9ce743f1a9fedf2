/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What sources say of themselves in the answer to `status`: any source, DNS
 * or a registry with a connection.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent_log.h"
#include "agent_report.h"
#include "ctl_table.h"

/* A source that says what the test wants. */
typedef struct {
    source_t base;
    const char *part; /* NULL: nothing at all */
    source_note_t note;
    const source_name_t *names; /* told again and again, `count` of them */
    uint32_t nnames;
    uint32_t count;
    unsigned asked; /* for names, too */
} fake_t;

static void fake_report(const source_t *source, uint64_t now_ms,
                        const source_report_t *to) {
    fake_t *fake = (fake_t *)source;

    assert_in_range(now_ms, 1, agent_now_ms());
    if (fake->part == NULL) {
        return;
    }
    to->note(to->ctx, fake->part, &fake->note);
    fake->asked += to->name != NULL;
    for (uint32_t i = 0; to->name != NULL && i < fake->count; i++) {
        to->name(to->ctx, fake->part, &fake->names[i % fake->nnames]);
    }
}

static const source_ops_t fake_ops = {.name = "fake", .report = fake_report};

static agent_t agent;
static fake_t dns, registry;

static int setup(void **state) {
    (void)state;
    dns = registry = (fake_t){.base = {.ops = &fake_ops}};
    agent =
        (agent_t){.dns = &dns.base, .nsources = 1, .sources = {&registry.base}};
    return 0;
}

static cJSON *report(bool names, const char *parts) {
    cJSON *json = cJSON_Parse(parts);

    assert_non_null(json);
    agent_report(&agent, names, json);
    /* As whoever asked reads it. */
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    json = cJSON_Parse(text);
    cJSON_free(text);
    return json;
}

static void expect(bool names, const char *parts, const char *wanted) {
    cJSON *json = report(names, parts);
    char *text = cJSON_PrintUnformatted(json);

    assert_string_equal(text, wanted);
    cJSON_free(text);
    cJSON_Delete(json);
}

#define PARTS "[{\"name\":\"a\",\"state\":\"in force\"},{\"name\":\"b\"}]"

static void test_nothing_to_say(void **state) {
    (void)state;
    expect(true, PARTS, PARTS);
    expect(false, "[]", "[]");
}

/* A part that is there, and one that was never told of. */
static void test_notes(void **state) {
    (void)state;
    dns.part = "b";
    dns.note = (source_note_t){.state = SOURCE_NAME_OK, .text = ""};
    registry.part = "zookeeper";
    registry.note = (source_note_t){.state = SOURCE_NAME_FAILING,
                                    .text = "no connection: refused",
                                    .names = 3,
                                    .failing = 2};
    expect(false, PARTS,
           "[{\"name\":\"a\",\"state\":\"in force\"},{\"name\":\"b\","
           "\"source\":{\"state\":\"ok\",\"since_ms\":0,\"text\":\"\","
           "\"names\":0,\"failing\":0}},{\"name\":\"zookeeper\",\"state\":"
           "\"none\",\"last_good\":false,\"version\":\"\",\"good_ms\":0,"
           "\"verdict_ms\":0,\"verdict\":[],\"source\":{\"state\":"
           "\"failing\",\"since_ms\":0,\"text\":\"no connection: refused\","
           "\"names\":3,\"failing\":2}}]");
    assert_int_equal(dns.asked + registry.asked, 0);
}

static uint64_t number(const cJSON *json, const char *key) {
    uint64_t value = 0;

    assert_true(ctl_json_get_u64(json, key, &value));
    return value;
}

/* The monotonic clock says nothing to who asks. */
static void test_times(void **state) {
    uint64_t mono_ms = agent_now_ms(), unix_ms = agent_unix_ms();
    const source_name_t names[] = {{.name = MESH_STR("x"),
                                    .type = "watch",
                                    .state = SOURCE_NAME_KEPT,
                                    .addresses = 7,
                                    .answered = true,
                                    .since_ms = mono_ms - 60000,
                                    .had_ms = mono_ms - 90000,
                                    .next_ms = mono_ms + 1000000,
                                    .verdict = "lost",
                                    .nsets = 2,
                                    .sets = {MESH_STR("s"), MESH_STR("t")},
                                    .sets_left_out = 4},
                                   {.name = MESH_STR("y"),
                                    .type = "watch",
                                    .state = SOURCE_NAME_PARTIAL,
                                    .held = true,
                                    .next_ms = mono_ms - 5,
                                    .since_ms = mono_ms + 1000000,
                                    .verdict = ""}};

    (void)state;
    registry.part = "a";
    registry.note = (source_note_t){
        .state = SOURCE_NAME_KEPT, .text = "t", .since_ms = mono_ms - 60000};
    registry.names = names;
    registry.nnames = registry.count = 2;
    cJSON *json = report(true, PARTS);
    const cJSON *a = cJSON_GetArrayItem(json, 0);
    const cJSON *list = cJSON_GetObjectItem(a, "names");
    const cJSON *x = cJSON_GetArrayItem(list, 0);
    const cJSON *y = cJSON_GetArrayItem(list, 1);
    uint64_t took_ms = agent_now_ms() - mono_ms + 1000;

    assert_in_range(number(cJSON_GetObjectItem(a, "source"), "since_ms"),
                    unix_ms - 61000, unix_ms - 60000 + took_ms);
    assert_in_range(number(x, "since_ms"), unix_ms - 61000,
                    unix_ms - 60000 + took_ms);
    assert_in_range(number(x, "had_ms"), unix_ms - 91000,
                    unix_ms - 90000 + took_ms);
    assert_in_range(number(x, "next_in_ms"), 1000000 - took_ms, 1000000);
    assert_int_equal(number(y, "next_in_ms"), 0); /* it is due */
    assert_int_equal(number(y, "since_ms"), 0);   /* not of this world */
    cJSON_DeleteItemFromObject((cJSON *)x, "since_ms");
    cJSON_DeleteItemFromObject((cJSON *)x, "had_ms");
    cJSON_DeleteItemFromObject((cJSON *)x, "next_in_ms");
    char *text = cJSON_PrintUnformatted(x);
    assert_string_equal(text,
                        "{\"name\":\"x\",\"type\":\"watch\",\"state\":\"kept\","
                        "\"addresses\":7,\"answered\":true,\"held\":false,"
                        "\"verdict\":\"lost\",\"sets\":[\"s\",\"t\"],"
                        "\"sets_left_out\":4}");
    cJSON_free(text);
    cJSON_Delete(json);
}

/* So many, and so many bytes; the rest is counted. */
static void test_bounds(void **state) {
    static char large[1025];
    source_name_t name = {.name = MESH_STR("x"), .type = "A", .verdict = ""};

    (void)state;
    memset(large, 'l', 1024);
    dns.part = "a";
    dns.note = (source_note_t){.text = ""};
    dns.names = &name;
    dns.nnames = 1;
    dns.count = AGENT_NAMES_MAX + 5;
    cJSON *json = report(true, PARTS);
    const cJSON *a = cJSON_GetArrayItem(json, 0);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(a, "names")),
                     AGENT_NAMES_MAX);
    assert_int_equal(number(a, "names_left_out"), 5);
    cJSON_Delete(json);

    name.nsets = SOURCE_NAME_SETS_MAX;
    for (uint32_t i = 0; i < name.nsets; i++) {
        name.sets[i] = mesh_str_from(large);
    }
    /* Together, of all parts. */
    dns.count = registry.count = AGENT_NAMES_MAX / 4;
    registry.part = "b";
    registry.note = dns.note;
    registry.names = &name;
    registry.nnames = 1;
    json = report(true, PARTS);
    char *text = cJSON_PrintUnformatted(json);
    uint64_t told = 0, left_out = 0;
    const cJSON *part;
    cJSON_ArrayForEach(part, json) {
        const cJSON *list = cJSON_GetObjectItem(part, "names");
        told += (uint64_t)cJSON_GetArraySize(list);
        left_out += number(part, "names_left_out");
    }
    assert_in_range(strlen(text), AGENT_NAMES_BYTES / 2,
                    AGENT_NAMES_BYTES * 5 / 4);
    assert_int_equal(told + left_out, AGENT_NAMES_MAX / 2);
    assert_in_range(told, 500, AGENT_NAMES_MAX / 4 - 1);
    cJSON_free(text);
    cJSON_Delete(json);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_to_say),
        TEST(test_notes),
        TEST(test_times),
        TEST(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
