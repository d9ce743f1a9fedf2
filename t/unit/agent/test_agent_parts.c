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
#include "source.h"

static source_bundle_t *bundle_of(const char *name, const char *text) {
    arena_t *arena = arena_new();
    model_errors_t errors;

    model_errors_init(&errors, arena);
    model_part_t *part = source_decode(arena, arena_strdup(arena, name),
                                       mesh_str_from(arena_strdup(arena, text)),
                                       false, 1, &errors);
    assert_non_null(part);
    return source_bundle_of(part);
}

static void cluster(agent_parts_t *parts, const char *part, const char *name) {
    char text[256];

    snprintf(text, sizeof(text), "clusters: {%s: {endpoints: [1.2.3.4:5]}}",
             name);
    agent_parts_set(parts, part, bundle_of(part, text), 1);
}

static void host(agent_parts_t *parts, const char *part, const char *to) {
    char text[256];

    snprintf(text, sizeof(text),
             "hosts: [{domains: [%s.test], routes: [{route: %s}]}]", part, to);
    agent_parts_set(parts, part, bundle_of(part, text), 1);
}

static uint32_t publish(agent_parts_t *parts) {
    uint32_t candidates = agent_parts_settle(parts, NULL, 2);

    agent_parts_accept(parts, 3);
    return candidates;
}

static agent_part_state_e state_of(const agent_parts_t *parts,
                                   const char *name) {
    const agent_part_t *row = agent_parts_find(parts, name);

    assert_non_null(row);
    return row->state;
}

static void test_in_order_of_name(void **state) {
    (void)state;
    agent_parts_t parts;

    agent_parts_init(&parts);
    cluster(&parts, "c", "x");
    cluster(&parts, "a", "y");
    cluster(&parts, "b", "z");
    assert_true(parts.changed);
    assert_int_equal(agent_parts_settle(&parts, NULL, 2), 3);
    assert_false(parts.changed);
    assert_int_equal(parts.nlist, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_string_equal(parts.list[i]->name, parts.v[i].name);
        assert_int_equal(parts.v[i].name[0], 'a' + (char)i);
    }
    agent_parts_accept(&parts, 3);
    assert_int_equal(state_of(&parts, "a"), PART_IN_FORCE);
    assert_int_equal(publish(&parts), 0);
    agent_parts_free(&parts);
}

static void test_refused_alone_and_tried_again(void **state) {
    (void)state;
    agent_parts_t parts;

    agent_parts_init(&parts);
    cluster(&parts, "a", "x");
    host(&parts, "h", "y");
    assert_int_equal(agent_parts_settle(&parts, NULL, 2), 1);
    assert_int_equal(parts.nlist, 1);
    agent_parts_accept(&parts, 3);
    assert_int_equal(state_of(&parts, "a"), PART_IN_FORCE);
    assert_int_equal(state_of(&parts, "h"), PART_REFUSED);
    assert_non_null(strstr(agent_parts_find(&parts, "h")->verdict, "\"y\""));
    assert_null(agent_parts_find(&parts, "h")->good);

    /* What it needs comes: it is taken without being told again. */
    cluster(&parts, "b", "y");
    assert_int_equal(publish(&parts), 2);
    assert_int_equal(state_of(&parts, "h"), PART_IN_FORCE);
    assert_string_equal(agent_parts_find(&parts, "h")->verdict, "");
    agent_parts_free(&parts);
}

static void test_a_change_that_breaks_others_is_refused(void **state) {
    (void)state;
    agent_parts_t parts;

    agent_parts_init(&parts);
    cluster(&parts, "a", "x");
    host(&parts, "h", "x");
    assert_int_equal(publish(&parts), 2);
    const source_bundle_t *good = agent_parts_find(&parts, "a")->good;
    cluster(&parts, "a", "renamed");
    assert_int_equal(agent_parts_settle(&parts, NULL, 2), 0);
    assert_int_equal(parts.nlist, 2);
    agent_parts_accept(&parts, 3);
    assert_int_equal(state_of(&parts, "a"), PART_REFUSED);
    assert_ptr_equal(agent_parts_find(&parts, "a")->good, good);
    assert_int_equal(state_of(&parts, "h"), PART_IN_FORCE);

    /* Both together are right. */
    host(&parts, "h", "renamed");
    assert_int_equal(publish(&parts), 2);
    assert_int_equal(state_of(&parts, "a"), PART_IN_FORCE);
    agent_parts_free(&parts);
}

static void test_two_parts_with_one_name(void **state) {
    (void)state;
    agent_parts_t parts;

    agent_parts_init(&parts);
    cluster(&parts, "a", "x");
    publish(&parts);
    cluster(&parts, "b", "x");
    publish(&parts);
    assert_int_equal(state_of(&parts, "a"), PART_IN_FORCE);
    assert_int_equal(state_of(&parts, "b"), PART_REFUSED);
    agent_parts_free(&parts);
}

static void test_broken_content_keeps_the_last_good(void **state) {
    (void)state;
    arena_t *arena = arena_new();
    model_errors_t errors;
    agent_parts_t parts;
    model_error_t place = {.file = "a", .line = 3, .column = 4};

    model_errors_init(&errors, arena);
    model_error_add(&errors, &place, "one");
    model_error_add(&errors, &place, "two");
    agent_parts_init(&parts);
    cluster(&parts, "a", "x");
    publish(&parts);
    agent_parts_refuse(&parts, "a", &errors, 9);
    const agent_part_t *row = agent_parts_find(&parts, "a");
    assert_int_equal(row->state, PART_REFUSED);
    assert_int_equal(row->verdict_ms, 9);
    assert_string_equal(row->verdict, "a:3:4: one\na:3:4: two");
    assert_non_null(row->good);
    assert_int_equal(agent_parts_settle(&parts, NULL, 2), 0);
    assert_int_equal(parts.nlist, 1);
    agent_parts_accept(&parts, 3);
    assert_int_equal(state_of(&parts, "a"), PART_REFUSED);

    /* A candidate that is not published yet is not wanted any more. */
    cluster(&parts, "a", "y");
    agent_parts_refuse(&parts, "a", &errors, 10);
    assert_null(agent_parts_find(&parts, "a")->next);
    agent_parts_free(&parts);
    arena_free(arena);
}

static void test_gone(void **state) {
    (void)state;
    agent_parts_t parts;

    agent_parts_init(&parts);
    cluster(&parts, "a", "x");
    cluster(&parts, "b", "y");
    publish(&parts);
    agent_parts_gone(&parts, "a", true, "the file is gone", 4);
    assert_int_equal(state_of(&parts, "a"), PART_GONE);
    assert_int_equal(publish(&parts), 0);
    assert_non_null(agent_parts_find(&parts, "a")->good);

    agent_parts_gone(&parts, "a", false, "removed", 5);
    assert_int_equal(agent_parts_settle(&parts, NULL, 2), 1);
    assert_int_equal(parts.nlist, 1);
    agent_parts_accept(&parts, 3);
    assert_null(agent_parts_find(&parts, "a"));
    assert_non_null(agent_parts_find(&parts, "b"));
    agent_parts_free(&parts);
}

static void test_the_publisher_refuses(void **state) {
    (void)state;
    agent_parts_t parts;

    agent_parts_init(&parts);
    cluster(&parts, "a", "x");
    publish(&parts);
    cluster(&parts, "a", "y");
    cluster(&parts, "b", "z");
    assert_int_equal(agent_parts_settle(&parts, NULL, 2), 2);
    agent_parts_reject(&parts, "the disk is full", 3);
    assert_int_equal(state_of(&parts, "a"), PART_REFUSED);
    assert_string_equal(agent_parts_find(&parts, "b")->verdict,
                        "the disk is full");
    /* They stay, for the next try. */
    assert_int_equal(publish(&parts), 2);
    assert_int_equal(state_of(&parts, "a"), PART_IN_FORCE);
    assert_int_equal(state_of(&parts, "b"), PART_IN_FORCE);
    agent_parts_free(&parts);
}

static void test_withdraw(void **state) {
    (void)state;
    agent_parts_t parts;

    agent_parts_init(&parts);
    cluster(&parts, "a", "x");
    publish(&parts);
    cluster(&parts, "a", "y");
    cluster(&parts, "b", "z");
    agent_parts_withdraw(&parts, "a");
    agent_parts_withdraw(&parts, "b");
    agent_parts_withdraw(&parts, "c");
    assert_null(agent_parts_find(&parts, "b"));
    assert_int_equal(agent_parts_settle(&parts, NULL, 2), 0);
    assert_int_equal(parts.nlist, 1);
    assert_int_equal(parts.list[0]->clusters[0].name.len, 1);
    assert_int_equal(parts.list[0]->clusters[0].name.data[0], 'x');
    agent_parts_free(&parts);
}

/*
 * Any history of sets, refusals, removals and rejections: what is in the list
 * is always right as a whole, and what was good stays until it is replaced.
 */
static void test_histories(void **state) {
    (void)state;
    static const char *const names[] = {"a", "b", "c", "d"};
    uint64_t random = 7;
    agent_parts_t parts;

    agent_parts_init(&parts);
    for (uint64_t i = 0; i < 3000; i++) {
        random = mesh_mix64(random + i + 1);
        const char *name = names[random % 4];
        const char *other = names[(random >> 8) % 4];
        switch ((random >> 16) % 6) {
        case 0:
        case 1:
            cluster(&parts, name, other);
            break;
        case 2:
            host(&parts, name, other);
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
    agent_parts_free(&parts);
}

static int quiet(void **state) {
    (void)state;
    agent_log_setup(AGENT_LOG_ERROR + 1, AGENT_LOG_TEXT);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order_of_name),
        cmocka_unit_test(test_refused_alone_and_tried_again),
        cmocka_unit_test(test_a_change_that_breaks_others_is_refused),
        cmocka_unit_test(test_two_parts_with_one_name),
        cmocka_unit_test(test_broken_content_keeps_the_last_good),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_the_publisher_refuses),
        cmocka_unit_test(test_withdraw),
        cmocka_unit_test(test_histories),
    };
    return cmocka_run_group_tests(tests, quiet, NULL);
}
