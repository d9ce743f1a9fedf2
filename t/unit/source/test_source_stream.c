/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Streams: whole documents, changes of resources, and that what did not
 * change stays the same object.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "source_stream.h"

typedef struct {
    source_stream_t *stream;
    arena_t *arena;
    model_errors_t errors;
} fixture_t;

static int setup(void **state) {
    fixture_t *f = calloc(1, sizeof(*f));

    f->stream = source_stream_new("stream:apply");
    f->arena = arena_new();
    model_errors_init(&f->errors, f->arena);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_t *f = *state;

    source_stream_free(f->stream);
    arena_free(f->arena);
    free(f);
    return 0;
}

static bool replace(fixture_t *f, const char *text) {
    return source_stream_replace(f->stream, mesh_str_from(text), false, 5,
                                 &f->errors);
}

static bool change(fixture_t *f, const char *lines) {
    return source_stream_change(f->stream, mesh_str_from(lines), 6, &f->errors);
}

static void add_name(char *out, size_t size, const char *kind,
                     mesh_str_t name) {
    size_t len = strlen(out);
    snprintf(out + len, size - len, "%s%.*s ", kind, (int)name.len, name.data);
}

/* "c:a c:b e:a h:default/x ", in the stream's order. */
static const char *content(fixture_t *f) {
    static char text[8192];
    source_bundle_t *bundle = source_stream_bundle(f->stream);

    text[0] = '\0';
    for (uint32_t i = 0; i < bundle->count; i++) {
        const model_part_t *part = bundle->items[i]->part;
        assert_string_equal(part->name, "stream:apply");
        assert_true(part->version.len > 0);
        for (uint32_t k = 0; k < part->nclusters; k++) {
            add_name(text, sizeof(text), "c:", part->clusters[k].name);
        }
        for (uint32_t k = 0; k < part->nsets; k++) {
            add_name(text, sizeof(text), "e:", part->sets[k].name);
        }
        for (uint32_t k = 0; k < part->nruntime; k++) {
            add_name(text, sizeof(text), "r:", part->runtime[k].name);
            size_t len = strlen(text) - 1;
            snprintf(text + len, sizeof(text) - len, "=%u ",
                     part->runtime[k].share.ppm / 10000);
        }
        for (uint32_t k = 0; k < part->ntables; k++) {
            for (uint32_t h = 0; h < part->tables[k].nvhosts; h++) {
                add_name(text, sizeof(text), "h:", part->tables[k].name);
                text[strlen(text) - 1] = '/';
                add_name(text, sizeof(text), "",
                         part->tables[k].vhosts[h].name);
            }
        }
    }
    source_bundle_free(bundle);
    return text;
}

static const char whole[] = "clusters:\n"
                            "  b: {endpoints: [127.0.0.1:1]}\n"
                            "  a: {endpoints: [127.0.0.1:2]}\n"
                            "hosts:\n"
                            "  - {domains: [y], routes: [{route: a}]}\n"
                            "  - {domains: [x], routes: [{route: b}]}\n";

static void test_replace(void **state) {
    fixture_t *f = *state;

    assert_string_equal(content(f), "");
    assert_true(replace(f, whole));
    assert_string_equal(content(f), "c:b c:a e:b e:a h:default/y h:default/x ");
    assert_true(replace(f, "clusters: {z: {endpoints: []}}"));
    assert_string_equal(content(f), "c:z e:z ");
    assert_false(replace(f, "clusters: {z: 7}"));
    assert_int_equal(f->errors.errors, 1);
    assert_string_equal(f->errors.first->file, "stream:apply");
    assert_string_equal(content(f), "c:z e:z ");
    assert_true(
        source_stream_replace(f->stream, MESH_STR("{}"), true, 5, &f->errors));
    assert_string_equal(content(f), "");
}

static void test_upsert_and_remove(void **state) {
    fixture_t *f = *state;

    assert_true(replace(f, whole));
    assert_true(change(f, "{\"upsert\":{\"clusters\":{\"c\":{\"endpoints\":"
                          "[\"127.0.0.1:3\"]}}}}\n"));
    assert_string_equal(content(f), "c:a c:b c:c e:a e:b e:c "
                                    "h:default/x h:default/y ");
    assert_true(
        change(f, "{\"remove\":{\"clusters\":[\"a\"],\"hosts\":[\"y\"]}}\n\n"
                  "{\"upsert\":{\"hosts\":[{\"domains\":[\"w\"],\"routes\":[{"
                  "\"route\":\"b\"}]}]}}"));
    assert_string_equal(content(f), "c:b c:c e:b e:c h:default/w h:default/x ");
    assert_true(change(f, "{\"remove\":{\"endpoints\":[\"c\"]}}"));
    assert_string_equal(content(f), "c:b c:c e:b h:default/w h:default/x ");
    assert_true(change(f, "{\"upsert\":{\"endpoints\":{\"c\":[]}}}"));
    assert_string_equal(content(f), "c:b c:c e:b e:c h:default/w h:default/x ");
    /* What is not there is no error, so that it can be repeated. */
    assert_true(change(f, "{\"remove\":{\"clusters\":[\"none\"]}}"));
    assert_true(change(f, ""));
}

static void test_hosts_of_other_tables(void **state) {
    fixture_t *f = *state;

    assert_true(replace(f, whole));
    assert_true(
        change(f, "{\"upsert\":{\"route_table\":{\"name\":\"t\"},\"hosts\":[{"
                  "\"domains\":[\"x\"],\"routes\":[{\"route\":\"b\"}]}]}}"));
    assert_non_null(strstr(content(f), "h:default/x "));
    assert_non_null(strstr(content(f), "h:t/x "));
    assert_true(change(f, "{\"remove\":{\"route_table\":{\"name\":\"t\"},"
                          "\"hosts\":[\"x\"]}}"));
    assert_non_null(strstr(content(f), "h:default/x "));
    assert_null(strstr(content(f), "h:t/x "));
}

/* All of a change or nothing of it. */
static void test_refused_changes(void **state) {
    fixture_t *f = *state;
    static const char *const wrong[] = {
        "{",
        "7",
        "[]",
        "{}",
        "{\"upsert\":{},\"remove\":{}}",
        "{\"insert\":{}}",
        "{\"upsert\":7}",
        "{\"upsert\":{\"clusters\":{\"c\":7}}}",
        "{\"upsert\":{\"nonsense\":{}}}",
        "{\"remove\":7}",
        "{\"remove\":{\"nonsense\":[]}}",
        "{\"remove\":{\"clusters\":\"a\"}}",
        "{\"remove\":{\"clusters\":[{}]}}",
    };

    assert_true(replace(f, whole));
    char *before = strdup(content(f));
    for (size_t i = 0; i < mesh_nelts(wrong); i++) {
        char lines[512];
        uint32_t errors = f->errors.errors;
        snprintf(lines, sizeof(lines),
                 "{\"remove\":{\"clusters\":[\"a\"]}}\n%s\n"
                 "{\"upsert\":{\"clusters\":{\"n\":{\"endpoints\":[]}}}}\n",
                 wrong[i]);
        assert_false(change(f, lines));
        assert_true(f->errors.errors > errors);
        assert_string_equal(content(f), before);
    }
    free(before);
}

/* Each error says in which line it is, blank ones counted. */
static void test_all_that_is_wrong(void **state) {
    fixture_t *f = *state;
    static const uint32_t wanted[] = {2, 4, 5, 7};
    const model_error_t *e;
    uint32_t n = 0;

    assert_false(change(f, "{\"upsert\":{\"clusters\":{\"a\":{}}}}\n"
                           "{\"upsert\":{\"clusters\":{\"b\":7}}}\n"
                           "\n"
                           "{\n"
                           "{\"remove\":{\"clusters\":[{}]}}\n"
                           " \t\r\n"
                           "{\"insert\":{}}"));
    for (e = f->errors.first; e != NULL; e = e->next) {
        assert_in_range(n, 0, mesh_nelts(wanted) - 1);
        assert_int_equal(e->line, wanted[n++]);
        assert_string_equal(e->file, "stream:apply");
    }
    assert_int_equal(n, mesh_nelts(wanted));
    assert_int_equal(f->errors.first->column, 28);
    assert_string_equal(f->errors.first->path, "clusters.b");
    assert_string_equal(content(f), "");
}

/* A line too many is refused as well, though nobody reads it. */
static void test_more_wrong_lines_than_are_kept(void **state) {
    fixture_t *f = *state;
    char lines[2 * (MODEL_ERRORS_MAX + 20) + 1];

    for (size_t i = 0; i < sizeof(lines) - 1; i += 2) {
        memcpy(lines + i, "7\n", 3);
    }
    for (int i = 0; i < 2; i++) {
        assert_false(change(f, lines));
    }
    assert_int_equal(f->errors.errors, 2 * MODEL_ERRORS_MAX);
    assert_true(change(f, "{\"upsert\":{\"clusters\":{\"a\":{}}}}"));
    assert_string_equal(content(f), "c:a ");
}

/* What is wrong at its end leaves all that was there before. */
static void test_replace_line(void **state) {
    fixture_t *f = *state;

    assert_true(replace(f, whole));
    assert_true(change(f, "{\"upsert\":{\"clusters\":{\"c\":{}}}}\n"
                          "{\"replace\":{\"clusters\":{\"n\":{\"endpoints\":"
                          "[]}}}}\n"
                          "{\"upsert\":{\"clusters\":{\"m\":{}}}}"));
    assert_string_equal(content(f), "c:m c:n e:n ");
    assert_false(change(f, "{\"replace\":{\"clusters\":{\"b\":7}}}"));
    assert_false(change(f, "{\"replace\":{}}\n{\"replace\":7}"));
    assert_string_equal(content(f), "c:m c:n e:n ");
    assert_true(change(f, "{\"replace\":{}}"));
    assert_string_equal(content(f), "");
}

static const model_cluster_t *cluster_of(const source_bundle_t *bundle,
                                         const char *name) {
    for (uint32_t i = 0; i < bundle->count; i++) {
        const model_part_t *part = bundle->items[i]->part;
        for (uint32_t k = 0; k < part->nclusters; k++) {
            if (mesh_str_eq(part->clusters[k].name, mesh_str_from(name))) {
                return &part->clusters[k];
            }
        }
    }
    return NULL;
}

/* The compiler knows resources by their address and version. */
static void test_unchanged_resources_are_the_same_objects(void **state) {
    fixture_t *f = *state;

    assert_true(replace(f, whole));
    source_bundle_t *first = source_stream_bundle(f->stream);
    assert_true(change(f, "{\"upsert\":{\"clusters\":{\"b\":{\"endpoints\":"
                          "[]}}}}"));
    source_bundle_t *second = source_stream_bundle(f->stream);
    assert_ptr_equal(cluster_of(first, "a"), cluster_of(second, "a"));
    assert_ptr_not_equal(cluster_of(first, "b"), cluster_of(second, "b"));
    assert_true(change(f, "{\"remove\":{\"clusters\":[\"b\"]}}"));
    source_bundle_t *third = source_stream_bundle(f->stream);
    assert_ptr_equal(cluster_of(second, "a"), cluster_of(third, "a"));
    assert_null(cluster_of(third, "b"));
    /* The older ones are whole as long as somebody holds them. */
    assert_int_equal(cluster_of(first, "b")->name.len, 1);
    source_bundle_free(first);
    source_bundle_free(third);
    assert_int_equal(cluster_of(second, "b")->name.len, 1);
    source_bundle_free(second);
}

static void test_restore(void **state) {
    fixture_t *f = *state;

    assert_true(replace(f, whole));
    char *before = strdup(content(f));
    source_bundle_t *good = source_stream_bundle(f->stream);
    assert_true(change(f, "{\"remove\":{\"clusters\":[\"a\",\"b\"]}}"));
    source_stream_restore(f->stream, good);
    source_bundle_free(good);
    assert_string_equal(content(f), before);
    assert_true(change(f, "{\"remove\":{\"clusters\":[\"b\"]}}"));
    assert_null(strstr(content(f), "c:b "));
    source_stream_restore(f->stream, NULL);
    assert_string_equal(content(f), "");
    free(before);
}

/*
 * Any sequence of changes leaves what a set of names says, and gives the
 * memory of what was replaced back (ASan sees to that).
 */
static void test_any_changes(void **state) {
    fixture_t *f = *state;
    bool there[20] = {false};
    uint64_t random = 11;

    for (int i = 0; i < 2000; i++) {
        random = mesh_mix64(random + (uint64_t)i);
        unsigned n = random % 20;
        char line[256];
        there[n] = (random >> 8) % 3 != 0;
        snprintf(line, sizeof(line),
                 there[n] ? "{\"upsert\":{\"clusters\":{\"k%02u\":{"
                            "\"endpoints\":[]}}}}"
                          : "{\"remove\":{\"clusters\":[\"k%02u\"]}}",
                 n);
        assert_true(change(f, line));
    }
    char wanted[8192] = "";
    for (const char *kind = "ce"; *kind; kind++) {
        for (unsigned n = 0; n < 20; n++) {
            size_t len = strlen(wanted);
            if (there[n]) {
                snprintf(wanted + len, sizeof(wanted) - len, "%c:k%02u ", *kind,
                         n);
            }
        }
    }
    assert_string_equal(content(f), wanted);
}

/* A key of the runtime is a resource like others. */
static void test_runtime(void **state) {
    fixture_t *f = *state;

    assert_true(replace(f, "clusters: {b: {endpoints: []}}\n"
                           "runtime: {y: 1, x: 2}"));
    assert_string_equal(content(f), "c:b e:b r:y=1 r:x=2 ");
    assert_true(change(f, "{\"upsert\":{\"runtime\":{\"x\":7,\"z\":\"9%\"}}}"));
    assert_string_equal(content(f), "c:b e:b r:x=7 r:y=1 r:z=9 ");
    assert_true(change(f, "{\"remove\":{\"runtime\":[\"y\",\"none\"]}}"));
    assert_string_equal(content(f), "c:b e:b r:x=7 r:z=9 ");
    assert_false(change(f, "{\"upsert\":{\"runtime\":{\"x\":101}}}"));
    assert_string_equal(f->errors.first->resource, "runtime key \"x\"");
    assert_string_equal(content(f), "c:b e:b r:x=7 r:z=9 ");
}

/* A registry has very many: what a line leaves behind is small. */
static void test_a_line_is_small(void **state) {
    fixture_t *f = *state;
    size_t size = 0;

    for (int i = 0; i < 100; i++) {
        char line[256];
        snprintf(line, sizeof(line),
                 "{\"upsert\": {\"clusters\": {\"c%d\": {\"endpoints\": "
                 "[\"10.0.0.%d:80\"]}}}}",
                 i, i + 1);
        assert_true(change(f, line));
    }
    source_bundle_t *bundle = source_stream_bundle(f->stream);
    assert_int_equal(bundle->count, 200); /* endpoints are their own */
    for (uint32_t i = 0; i < bundle->count; i++) {
        size += arena_size(bundle->items[i]->shared->arena);
    }
    assert_in_range(size, 1, 200 * 4096);
    source_bundle_free(bundle);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_replace),
        TEST(test_upsert_and_remove),
        TEST(test_hosts_of_other_tables),
        TEST(test_refused_changes),
        TEST(test_all_that_is_wrong),
        TEST(test_more_wrong_lines_than_are_kept),
        TEST(test_replace_line),
        TEST(test_unchanged_resources_are_the_same_objects),
        TEST(test_runtime),
        TEST(test_restore),
        TEST(test_a_line_is_small),
        TEST(test_any_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
