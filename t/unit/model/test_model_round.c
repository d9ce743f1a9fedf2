/* SPDX-License-Identifier: Apache-2.0 */
/* slow */

/*
 * A random mesh, written as somebody may write it and read again, is the same
 * mesh: every field of the model, in every form, in YAML and in JSON.
 */

#include "model_round.h"
#include "model_text.h"

static model_part_t *decode(arena_t *arena, const char *text, bool json,
                            model_errors_t *errors) {
    const model_node_t *root = round_read(arena, text, json, errors);

    return root != NULL ? model_decode(arena, "f", root, errors) : NULL;
}

static void check_round(uint64_t seed, bool json) {
    rng_t rng = {seed};
    arena_t *arena = arena_new();
    model_errors_t errors;
    char where[MODEL_SAME_MAX];

    model_errors_init(&errors, arena);
    model_part_t *part = model_random_part(arena, &rng, &round_size);
    char *text =
        json ? model_text_json(part, &rng) : model_text_yaml(part, &rng);
    const model_part_t *back = decode(arena, text, json, &errors);
    if (back == NULL || errors.errors != 0) {
        round_show(&errors, text);
        fail_msg("seed %lu is refused", seed);
    }
    if (model_same(part, back, where) != NULL) {
        print_message("%s\n", text);
        fail_msg("seed %lu: %s", seed, where);
    }
    assert_int_equal(back->ntables ? back->tables->flags_said : 0,
                     part->ntables ? part->tables->flags_said : 0);

    /* It stands on its own, before and after. */
    model_check((const model_part_t *const *)&part, 1, &errors);
    model_check(&back, 1, &errors);
    if (errors.errors != 0) {
        round_show(&errors, text);
        fail_msg("seed %lu does not stand", seed);
    }
    free(text);
    arena_free(arena);
}

static void yaml_comes_back(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        check_round(seed, false);
    }
}

static void json_comes_back(void **state) {
    (void)state;
    for (uint64_t seed = 5001; seed <= 6500; seed++) {
        check_round(seed, true);
    }
}

/* What two ways of writing it mean is the same, whatever was left out. */
static void both_languages_agree(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        rng_t rng = {seed};
        arena_t *arena = arena_new();
        model_errors_t errors;
        char where[MODEL_SAME_MAX];

        model_errors_init(&errors, arena);
        model_part_t *part = model_random_part(arena, &rng, &round_size);
        char *yaml = model_text_yaml(part, &rng);
        char *json = model_text_json(part, &rng);
        const model_part_t *a = decode(arena, yaml, false, &errors);
        const model_part_t *b = decode(arena, json, true, &errors);
        assert_non_null(a);
        assert_non_null(b);
        if (model_same(a, b, where) != NULL) {
            fail_msg("seed %lu: %s", seed, where);
        }
        /* And JSON is YAML. */
        const model_part_t *c = decode(arena, json, false, &errors);
        assert_non_null(c);
        assert_null(model_same(b, c, where));
        free(yaml);
        free(json);
        arena_free(arena);
    }
}

/* One wrong character anywhere: an error or another mesh, never a crash. */
static void a_slip_of_the_keyboard(void **state) {
    (void)state;
    static const char slips[] = "x{}[]:,-#'\"\\\n \t0%&*!|>\x7f\xc3";
    unsigned refused = 0;

    for (uint64_t seed = 1; seed <= 1500; seed++) {
        rng_t rng = {seed};
        arena_t *arena = arena_new();
        model_errors_t errors;
        char where[MODEL_SAME_MAX];

        model_errors_init(&errors, arena);
        model_part_t *part = model_random_part(arena, &rng, &round_size);
        bool json = rng_one_in(&rng, 2);
        char *text =
            json ? model_text_json(part, &rng) : model_text_yaml(part, &rng);
        size_t len = strlen(text);
        text[rng_below(&rng, (uint32_t)len)] =
            slips[rng_below(&rng, sizeof(slips) - 1)];
        const model_part_t *back = decode(arena, text, json, &errors);
        if (back == NULL) {
            assert_int_not_equal(errors.errors, 0);
        } else {
            (void)model_same(part, back, where);
            model_check(&back, 1, &errors);
        }
        refused += errors.errors != 0;
        /* Each error names its place and says what is wrong. */
        for (const model_error_t *e = errors.first; e != NULL; e = e->next) {
            assert_non_null(e->message);
            assert_true(e->message[0] != '\0');
            assert_string_equal(e->file, "f");
        }
        free(text);
        arena_free(arena);
    }
    assert_in_range(refused, 500, 1499);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_comes_back),
        cmocka_unit_test(json_comes_back),
        cmocka_unit_test(both_languages_agree),
        cmocka_unit_test(a_slip_of_the_keyboard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
