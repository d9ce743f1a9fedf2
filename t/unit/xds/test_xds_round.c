/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A random mesh, written as Envoy's resources and read again, is the same
 * mesh: every field that both know, in every form.
 */

#include "../model/model_round.h"
#include "compile_line.h"
#include "xds.h"
#include "xds_text.h"

static const model_part_t *read_back(arena_t *arena, const char *text,
                                     bool json, model_errors_t *errors) {
    const model_node_t *root = round_read(arena, text, json, errors);

    if (root == NULL) {
        return NULL;
    }
    assert_true(xds_recognize(root));
    xds_t *xds = xds_new(arena, errors, false);
    xds_add(xds, "f", root);
    return xds_part(xds, "f");
}

static void check_round(uint64_t seed, bool json) {
    rng_t rng = {seed};
    arena_t *arena = arena_new();
    model_errors_t errors;
    char where[MODEL_SAME_MAX];

    model_errors_init(&errors, arena);
    model_part_t *part = model_random_part(arena, &rng, &round_size);
    xds_text_fit(arena, part);
    char *text = xds_text_json(part, &rng);
    const model_part_t *back = read_back(arena, text, json, &errors);
    if (back == NULL || errors.errors != 0) {
        round_show(&errors, text);
        fail_msg("seed %lu is refused", seed);
    }
    /* Tables of resources always say how they are read. */
    if (model_same(part, back, where) != NULL) {
        print_message("%s\n", text);
        fail_msg("seed %lu: %s", seed, where);
    }
    model_check(&back, 1, &errors);
    if (errors.errors != 0) {
        round_show(&errors, text);
        fail_msg("seed %lu does not stand", seed);
    }
    (void)parts_digest(&back, 1);
    free(text);
    arena_free(arena);
}

static void json_comes_back(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        check_round(seed, true);
    }
}

/* JSON is YAML, too. */
static void yaml_comes_back(void **state) {
    (void)state;
    for (uint64_t seed = 5001; seed <= 5500; seed++) {
        check_round(seed, false);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_comes_back),
        cmocka_unit_test(yaml_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
