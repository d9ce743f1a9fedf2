/* SPDX-License-Identifier: Apache-2.0 */

/*
 * agent_arena.c: what is handed out is aligned, zeroed, apart from all else,
 * and stays as it was written.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent_arena.h"
#include "rng.h"

typedef struct {
    uint8_t *p;
    size_t size;
    uint8_t mark;
} piece_t;

#define PIECES 4000

static void drops_what_is_aside(void **state) {
    (void)state;

    arena_t *arena = arena_new();
    char *kept = arena_strdup(arena, "kept");
    size_t size = arena_size(arena);

    for (int i = 0; i < 3; i++) {
        arena_t *aside = arena_aside(arena);

        memset(arena_alloc(aside, 100000), 1, 100000);
        assert_ptr_equal(arena_aside(arena), aside);
        assert_true(arena_size(arena) > size + 100000);
        arena_drop_aside(arena);
        assert_int_equal(arena_size(arena), size);
    }

    arena_drop_aside(arena);
    (void)arena_aside(arena);
    assert_string_equal(kept, "kept");
    arena_free(arena);
}

static void keeps_pieces_apart(void **state) {
    (void)state;

    arena_t *arena = arena_new();
    piece_t *pieces = calloc(PIECES, sizeof(*pieces));
    rng_t random = {7};

    assert_non_null(pieces);

    for (size_t i = 0; i < PIECES; i++) {
        piece_t *piece = &pieces[i];

        /* Mostly small, some larger than any block so far. */
        piece->size = rng_next(&random) % (i % 97 == 0 ? 50000 : 90);
        piece->mark = (uint8_t)(rng_next(&random) | 1);
        piece->p = arena_alloc(arena, piece->size);

        assert_non_null(piece->p);
        assert_int_equal((uintptr_t)piece->p % 16, 0);

        for (size_t j = 0; j < piece->size; j++) {
            assert_int_equal(piece->p[j], 0);
        }

        memset(piece->p, piece->mark, piece->size);
    }

    for (size_t i = 0; i < PIECES; i++) {
        for (size_t j = 0; j < pieces[i].size; j++) {
            assert_int_equal(pieces[i].p[j], pieces[i].mark);
        }
    }

    free(pieces);
    arena_free(arena);
}

static void strings_and_records_mix(void **state) {
    (void)state;

    arena_t *arena = arena_new();
    char *texts[500];
    uint64_t *words[500];

    for (unsigned i = 0; i < 500; i++) {
        texts[i] = arena_printf(arena, "text %u", i);
        words[i] = arena_alloc(arena, sizeof(**words) * (i % 7 + 1));
        *words[i] = i;
    }

    for (unsigned i = 0; i < 500; i++) {
        char expected[32];

        snprintf(expected, sizeof(expected), "text %u", i);
        assert_string_equal(texts[i], expected);
        assert_int_equal(*words[i], i);
    }

    arena_free(arena);
}

static void copies_have_a_nul(void **state) {
    (void)state;

    arena_t *arena = arena_new();
    char source[] = "abcdef";
    mesh_str_t part = {3, source + 1};
    mesh_str_t copy = arena_str(arena, part);
    mesh_str_t empty = arena_str(arena, MESH_STR_NULL);
    mesh_str_t lower = arena_lower(arena, MESH_STR("A-z9 \xc3\x84"));

    assert_true(mesh_str_eq(lower, MESH_STR("a-z9 \xc3\x84")));
    assert_int_equal(lower.data[lower.len], '\0');
    char *text = arena_strdup(arena, source);

    source[1] = 'X';

    assert_int_equal(copy.len, 3);
    assert_string_equal(copy.data, "bcd");
    assert_int_equal(empty.len, 0);
    assert_string_equal(empty.data, "");
    assert_string_equal(text, "abcdef");

    arena_free(arena);
}

static void long_text_is_whole(void **state) {
    (void)state;

    arena_t *arena = arena_new();
    char *text = arena_printf(arena, "%0100000d", 7);

    assert_int_equal(strlen(text), 100000);
    assert_int_equal(text[99999], '7');

    arena_free(arena);
}

static void empty_pieces_differ(void **state) {
    (void)state;

    arena_t *arena = arena_new();
    void *a = arena_alloc(arena, 0);
    void *b = arena_alloc(arena, 0);

    assert_non_null(a);
    assert_ptr_not_equal(a, b);

    arena_free(arena);
    arena_free(NULL);
}

/* The waste of rounding and of blocks is bounded. */
static void size_follows_use(void **state) {
    (void)state;

    arena_t *arena = arena_new();
    size_t before = arena_size(arena);
    size_t used = 0;

    for (int i = 0; i < 100000; i++) {
        arena_alloc(arena, 80);
        used += 80;
    }

    assert_true(before < 4096);
    assert_true(arena_size(arena) >= used);
    assert_true(arena_size(arena) < used * 2 + (8u << 20));

    arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_pieces_apart),
        cmocka_unit_test(drops_what_is_aside),
        cmocka_unit_test(strings_and_records_mix),
        cmocka_unit_test(copies_have_a_nul),
        cmocka_unit_test(long_text_is_whole),
        cmocka_unit_test(empty_pieces_differ),
        cmocka_unit_test(size_follows_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
