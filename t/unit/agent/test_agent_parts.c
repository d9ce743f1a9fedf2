/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The table of parts: refused alone, tried again, last good kept.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "agent_log.h"
#include "agent_parts.h"
#include "text_part.h"

static agent_parts_t parts;

static int setup(void **state) {
    (void)state;
    agent_parts_init(&parts);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    agent_parts_free(&parts);
    return 0;
}

static void cluster(const char *part, const char *name) {
    char text[256];

    snprintf(text, sizeof(text), "clusters: {%s: {endpoints: [1.2.3.4:5]}}",
             name);
    agent_parts_set(&parts, part, text_bundle(part, text), 1);
}

static void host(const char *part, const char *to) {
    char text[256];

    snprintf(text, sizeof(text),
             "hosts: [{domains: [%s.test], routes: [{route: %s}]}]", part, to);
    agent_parts_set(&parts, part, text_bundle(part, text), 1);
}

static uint32_t settle(void) {
    return agent_parts_settle(&parts, NULL, 2);
}

static uint32_t publish(void) {
    uint32_t candidates = settle();

    agent_parts_accept(&parts, 3);
    return candidates;
}

static const agent_part_t *row_of(const char *name) {
    const agent_part_t *row = agent_parts_find(&parts, name);

    assert_non_null(row);
    return row;
}

static void expect(const char *name, agent_part_state_e wanted) {
    assert_int_equal(row_of(name)->state, wanted);
}

static void test_in_order_of_name(void **state) {
    (void)state;

    cluster("c", "x");
    cluster("a", "y");
    cluster("b", "z");
    assert_true(parts.changed);
    assert_int_equal(settle(), 3);
    assert_false(parts.changed);
    assert_int_equal(parts.nlist, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_string_equal(parts.list[i]->name, parts.v[i].name);
        assert_int_equal(parts.v[i].name[0], 'a' + (char)i);
    }
    agent_parts_accept(&parts, 3);
    expect("a", PART_IN_FORCE);
    assert_int_equal(publish(), 0);
}

static void test_refused_alone_and_tried_again(void **state) {
    (void)state;

    cluster("a", "x");
    host("h", "y");
    assert_int_equal(settle(), 1);
    assert_int_equal(parts.nlist, 1);
    agent_parts_accept(&parts, 3);
    expect("a", PART_IN_FORCE);
    expect("h", PART_REFUSED);
    assert_non_null(strstr(row_of("h")->verdict, "\"y\""));
    assert_null(row_of("h")->good);

    /* What it needs comes: it is taken without being told again. */
    cluster("b", "y");
    assert_int_equal(publish(), 2);
    expect("h", PART_IN_FORCE);
    assert_string_equal(row_of("h")->verdict, "");
}

static void test_a_change_that_breaks_others_is_refused(void **state) {
    (void)state;

    cluster("a", "x");
    host("h", "x");
    assert_int_equal(publish(), 2);
    const source_bundle_t *good = row_of("a")->good;
    cluster("a", "renamed");
    assert_int_equal(settle(), 0);
    assert_int_equal(parts.nlist, 2);
    agent_parts_accept(&parts, 3);
    expect("a", PART_REFUSED);
    assert_ptr_equal(row_of("a")->good, good);
    expect("h", PART_IN_FORCE);

    /* Both together are right. */
    host("h", "renamed");
    assert_int_equal(publish(), 2);
    expect("a", PART_IN_FORCE);
}

/* Errors name a part that did not change: who else came is not refused. */
static void test_who_comes_at_the_same_time(void **state) {
    (void)state;

    cluster("a", "x");
    host("f", "x");
    host("m", "x");
    cluster("z", "unused");
    assert_int_equal(publish(), 4);
    cluster("a", "renamed"); /* breaks f and m */
    cluster("b", "y");
    host("c", "y");
    host("d", "later"); /* needs what is behind it */
    cluster("e", "later");
    agent_parts_gone(&parts, "z", false, "removed", 1);
    assert_int_equal(publish(), 5);
    expect("a", PART_REFUSED);
    assert_non_null(strstr(row_of("a")->verdict, "\"x\""));
    expect("b", PART_IN_FORCE);
    expect("c", PART_IN_FORCE);
    expect("d", PART_IN_FORCE);
    expect("e", PART_IN_FORCE);
    expect("f", PART_IN_FORCE);
    assert_null(agent_parts_find(&parts, "z"));

    /* Very many are not tried one after the other. */
    for (int i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof(name), "many-%d", i);
        cluster(name, name);
    }
    assert_int_equal(publish(), 0);
    expect("many-39", PART_REFUSED);
    cluster("a", "x");
    assert_int_equal(publish(), 41);
}

static void test_two_parts_with_one_name(void **state) {
    (void)state;

    cluster("a", "x");
    publish();
    cluster("b", "x");
    publish();
    expect("a", PART_IN_FORCE);
    expect("b", PART_REFUSED);
}

static void test_broken_content_keeps_the_last_good(void **state) {
    (void)state;
    arena_t *arena = arena_new();
    model_errors_t errors;
    model_error_t place = {.file = "a", .line = 3, .column = 4};

    model_errors_init(&errors, arena);
    model_error_add(&errors, &place, "one");
    model_error_add(&errors, &place, "two");
    cluster("a", "x");
    publish();
    agent_parts_refuse(&parts, "a", &errors, 9);
    const agent_part_t *row = agent_parts_find(&parts, "a");
    assert_int_equal(row->state, PART_REFUSED);
    assert_int_equal(row->verdict_ms, 9);
    assert_string_equal(row->verdict, "a:3:4: one\na:3:4: two");
    assert_non_null(row->good);
    assert_int_equal(settle(), 0);
    assert_int_equal(parts.nlist, 1);
    agent_parts_accept(&parts, 3);
    expect("a", PART_REFUSED);

    /* A candidate that is not published yet is not wanted any more. */
    cluster("a", "y");
    agent_parts_refuse(&parts, "a", &errors, 10);
    assert_null(row_of("a")->next);
    arena_free(arena);
}

static void test_gone(void **state) {
    (void)state;

    cluster("a", "x");
    cluster("b", "y");
    publish();
    agent_parts_gone(&parts, "a", true, "the file is gone", 4);
    expect("a", PART_GONE);
    assert_int_equal(publish(), 0);
    assert_non_null(row_of("a")->good);

    agent_parts_gone(&parts, "a", false, "removed", 5);
    assert_int_equal(settle(), 1);
    assert_int_equal(parts.nlist, 1);
    agent_parts_accept(&parts, 3);
    assert_null(agent_parts_find(&parts, "a"));
    assert_non_null(agent_parts_find(&parts, "b"));
}

static void test_the_publisher_refuses(void **state) {
    (void)state;

    cluster("a", "x");
    publish();
    cluster("a", "y");
    cluster("b", "z");
    assert_int_equal(settle(), 2);
    agent_parts_reject(&parts, "the disk is full", 3);
    expect("a", PART_REFUSED);
    assert_string_equal(row_of("b")->verdict, "the disk is full");
    /* They stay, for the next try. */
    assert_int_equal(publish(), 2);
    expect("a", PART_IN_FORCE);
    expect("b", PART_IN_FORCE);
}

static void test_withdraw(void **state) {
    (void)state;

    cluster("a", "x");
    publish();
    cluster("a", "y");
    cluster("b", "z");
    agent_parts_withdraw(&parts, "a");
    agent_parts_withdraw(&parts, "b");
    agent_parts_withdraw(&parts, "c");
    assert_null(agent_parts_find(&parts, "b"));
    assert_int_equal(settle(), 0);
    assert_int_equal(parts.nlist, 1);
    assert_int_equal(parts.list[0]->clusters[0].name.len, 1);
    assert_int_equal(parts.list[0]->clusters[0].name.data[0], 'x');
}

/*
 * Any history of sets, refusals, removals and rejections: what is in the list
 * is always right as a whole, and what was good stays until it is replaced.
 */
static void test_histories(void **state) {
    (void)state;
    static const char *const names[] = {"a", "b", "c", "d"};
    uint64_t random = 7;

    for (uint64_t i = 0; i < 3000; i++) {
        random = mesh_mix64(random + i + 1);
        const char *name = names[random % 4];
        const char *other = names[(random >> 8) % 4];
        switch ((random >> 16) % 6) {
        case 0:
        case 1:
            cluster(name, other);
            break;
        case 2:
            host(name, other);
            break;
        case 3:
            if (agent_parts_find(&parts, name) != NULL) {
                agent_parts_gone(&parts, name, false, "removed", i);
            }
            break;
        case 4:
            (void)agent_parts_settle(&parts, NULL, i);
            agent_parts_reject(&parts, "no", i);
            break;
        default:
            agent_parts_withdraw(&parts, name);
        }
        (void)agent_parts_settle(&parts, NULL, i);
        arena_t *arena = arena_new();
        model_errors_t errors;
        model_errors_init(&errors, arena);
        model_check(parts.list, parts.nlist, &errors);
        assert_int_equal(errors.errors, 0);
        arena_free(arena);
        if ((random >> 32) % 3) {
            agent_parts_accept(&parts, i);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int quiet(void **state) {
    (void)state;
    agent_log_setup(AGENT_LOG_ERROR + 1, AGENT_LOG_TEXT);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_in_order_of_name),
        TEST(test_refused_alone_and_tried_again),
        TEST(test_a_change_that_breaks_others_is_refused),
        TEST(test_who_comes_at_the_same_time),
        TEST(test_two_parts_with_one_name),
        TEST(test_broken_content_keeps_the_last_good),
        TEST(test_gone),
        TEST(test_the_publisher_refuses),
        TEST(test_withdraw),
        TEST(test_histories),
    };
    return cmocka_run_group_tests(tests, quiet, NULL);
}
