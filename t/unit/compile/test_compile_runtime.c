/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The runtime: what its values put in force, and that a value that changes
 * costs the hosts that ask for it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "compile_line.h"
#include "route_fixture.h"
#include "text_part.h"

static const char routes[] =
    "clusters: {c: {endpoints: ['127.0.0.1:1']}}\n"
    "hosts:\n"
    "  - domains: a\n"
    "    routes:\n"
    "      - {match: {percentage: {value: 10, runtime_key: k}}, route: c,\n"
    "         mirror: {cluster: c, percentage: {value: 7.5, runtime_key: m}}}\n"
    "      - {match: {percentage: 33.3333}, route: c}\n"
    "      - {route: c, mirror: c}\n"
    "  - {domains: b, routes: [{match: {percentage: {value: 1, runtime_key: "
    "l}}, route: c}]}\n"
    "  - {domains: d, routes: [{route: c, mirror: {cluster: c, percentage: "
    "{value: 5, runtime_key: m}}}]}\n"
    "  - {domains: e, routes: [{route: c}]}\n";

/* A part of a name and a version of its own. */
static model_part_t *part_of(arena_t *arena, const char *name,
                             const char *yaml) {
    static uint64_t versions;
    model_part_t *part = text_part(arena, name, yaml);

    part->version = mesh_str_from(
        arena_printf(arena, "%llu", (unsigned long long)++versions));
    return part;
}

/* The route's record; the host's name is one letter. */
static const mesh_rec_route_t *route_at(const line_t *line, const char *host,
                                        uint32_t index) {
    const mesh_rec_root_t *root = root_of(line);
    const mesh_rec_policy_t *policy = mesh_writer_get(line->w, root->policy);
    const mesh_rec_map_t *tables =
        mesh_writer_get(line->w, policy->route_tables);
    const mesh_rec_map_leaf_t *leaf = mesh_writer_get(line->w, tables->leaf[0]);
    const mesh_rec_route_table_t *table =
        mesh_writer_get(line->w, leaf->v[0].value);
    const mesh_rec_map_t *exact = mesh_writer_get(line->w, table->exact);

    for (uint32_t i = 0; i < 1u << exact->bits; i++) {
        leaf = exact->leaf[i] ? mesh_writer_get(line->w, exact->leaf[i]) : NULL;
        for (uint32_t k = 0; leaf && k < leaf->count; k++) {
            const mesh_rec_string_t *name =
                mesh_writer_get(line->w, leaf->v[k].name);

            if (strcmp(name->data, host) == 0) {
                const mesh_rec_vhost_t *vhost =
                    mesh_writer_get(line->w, leaf->v[k].value);
                const mesh_rec_refs_t *refs =
                    mesh_writer_get(line->w, vhost->routes);
                return mesh_writer_get(line->w, refs->v[index]);
            }
        }
    }
    fail_msg("no host %s", host);
    return NULL;
}

static const mesh_rec_share_t *share_of(const line_t *line, mesh_ref_t ref) {
    return mesh_writer_get(line->w, ref);
}

static const mesh_mirror_t *mirror_of(const line_t *line,
                                      const mesh_rec_route_t *route) {
    const mesh_rec_mirrors_t *mirrors =
        mesh_writer_get(line->w, route->mirrors);

    return &mirrors->v[0];
}

static void values_are_in_force(void **state) {
    arena_t *arena = arena_new();
    const model_part_t *parts[] = {
        part_of(arena, "a", routes),
        part_of(arena, "b", "runtime: {k: 25.5, other: 3}"),
        part_of(arena, "c", "runtime: {k: 99, m: 100}"),
    };
    line_t line;
    (void)state;

    line_init(&line);
    line_compile(&line, parts, 3);
    const mesh_rec_route_t *r = route_at(&line, "a", 0);
    const mesh_rec_share_t *share = share_of(&line, r->share);
    assert_int_equal(r->share_ppm, 255000); /* the first part's */
    assert_int_equal(share->denominator, 10000);
    assert_int_equal(share->default_ppm, 100000);
    assert_int_equal(share->default_denominator, 100);
    assert_int_equal(share->flags, MESH_SHARE_SET);
    const mesh_mirror_t *m = mirror_of(&line, r);
    assert_int_equal(m->share_ppm, MESH_SHARE_ALL);
    assert_int_equal(share_of(&line, m->share)->default_ppm, 75000);
    assert_int_equal(share_of(&line, m->share)->default_denominator, 10000);

    /* Without a key, and with one that nobody set. */
    r = route_at(&line, "a", 1);
    assert_int_equal(r->share_ppm, 333333);
    assert_int_equal(share_of(&line, r->share)->denominator, MESH_SHARE_ALL);
    assert_int_equal(share_of(&line, r->share)->key, 0);
    r = route_at(&line, "a", 2);
    assert_int_equal(r->share, 0);
    assert_int_equal(mirror_of(&line, r)->share_ppm, MESH_SHARE_ALL);
    r = route_at(&line, "b", 0);
    assert_int_equal(r->share_ppm, 10000);
    assert_int_not_equal(share_of(&line, r->share)->key, 0);
    assert_int_equal(share_of(&line, r->share)->flags, 0);

    const mesh_rec_policy_t *policy =
        mesh_writer_get(line.w, root_of(&line)->policy);
    const mesh_rec_runtime_values_t *runtime =
        mesh_writer_get(line.w, policy->runtime);
    assert_int_equal(runtime->count, 3); /* k, m, other */
    assert_int_equal(runtime->v[0].ppm, 255000);
    assert_int_equal(runtime->v[1].ppm, MESH_SHARE_ALL);
    assert_int_equal(runtime->v[2].ppm, 30000);
    line_free(&line);
    arena_free(arena);
}

/* The routes' part stays as it is; only hosts of that key are made anew. */
static void a_value_costs_what_asks_for_it(void **state) {
    static const struct {
        const char *runtime;
        uint32_t work;                            /* hosts: a, b, d, e */
    } steps[] = {{"runtime: {k: 1}", 1},          /* a: k came */
                 {"runtime: {k: 1, m: 2}", 2},    /* a, d */
                 {"runtime: {k: 1, m: 2.00}", 2}, /* counted otherwise */
                 {"runtime: {k: 1, m: 2.00}", 0}, /* another version of it */
                 {"runtime: {m: 2.00, k: 1}", 0}, /* in another order */
                 {"runtime: {k: 1, m: 2.00, x: 5}", 0}, /* nobody's */
                 {"runtime: {l: 0, m: 2.00}", 2},       /* a: k left; b */
                 {"{}", 0}}; /* as in the beginning, which it remembers */
    arena_t *arena = arena_new();
    const model_part_t *parts[2] = {part_of(arena, "a", routes),
                                    part_of(arena, "b", "{}")};
    line_t line;
    (void)state;

    line_init(&line);
    line_compile(&line, parts, 2);
    mesh_digest_t first = root_of(&line)->digest;
    for (size_t i = 0; i < mesh_nelts(steps); i++) {
        parts[1] = part_of(arena, "b", steps[i].runtime);
        line_compile(&line, parts, 2);
        assert_int_equal(compiler_work(line.compiler), steps[i].work);
        mesh_digest_t delta = root_of(&line)->digest;
        mesh_digest_t full = parts_digest(parts, 2);
        assert_memory_equal(&delta, &full, sizeof(delta));
    }
    mesh_digest_t last = root_of(&line)->digest;
    assert_memory_equal(&first, &last, sizeof(first));
    line_free(&line);
    arena_free(arena);
}

/* Of any number of parts with any keys, the first in order counts. */
static void many_parts_make_one_runtime(void **state) {
    enum { PARTS_N = 37 };
    rng_t rng = {11};
    (void)state;

    for (int n = 0; n < 50; n++) {
        arena_t *arena = arena_new();
        const model_part_t *parts[PARTS_N];
        int first[10];
        compile_runtime_t runtime;

        memset(first, -1, sizeof(first));
        for (int i = 0; i < PARTS_N; i++) {
            unsigned key = rng_below(&rng, 10);
            parts[i] =
                text_part(arena, "p",
                          arena_printf(arena, "runtime: {key-%u: %d}", key, i));
            first[key] = first[key] < 0 ? i : first[key];
        }
        compile_runtime_collect(&runtime, parts, PARTS_N);
        uint32_t keys = 0;
        for (unsigned key = 0; key < 10; key++) {
            model_share_t share = {
                .key = mesh_str_from(arena_printf(arena, "key-%u", key))};
            const model_share_t *value = compile_runtime_find(&runtime, &share);

            assert_int_equal(value != NULL, first[key] >= 0);
            if (value != NULL) {
                assert_int_equal(value->ppm, first[key] * 10000);
                keys++;
            }
        }
        assert_int_equal(runtime.count, keys);
        free(runtime.v);
        arena_free(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_in_force),
        cmocka_unit_test(a_value_costs_what_asks_for_it),
        cmocka_unit_test(many_parts_make_one_runtime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
