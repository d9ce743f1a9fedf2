/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A random mesh, written as Envoy's resources and read again, is the same
 * mesh: every field that both know, in every form.
 */

#include "../model/model_fixture.h"
#include "compile_line.h"
#include "model_random.h"
#include "model_same.h"
#include "xds.h"
#include "xds_text.h"

static const model_random_size_t small = {4, 6, 3, 4, NULL, true, true};

static void show(const model_errors_t *errors, const char *text) {
    char line[1024];

    for (const model_error_t *e = errors->first; e != NULL; e = e->next) {
        model_error_text(e, line, sizeof(line));
        print_message("%s\n", line);
    }
    print_message("%s\n", text);
}

static const model_part_t *read_back(arena_t *arena, const char *text,
                                     bool json, model_errors_t *errors) {
    const model_node_t *root =
        json ? model_node_from_json(arena, "f", mesh_str_from(text), errors)
             : model_node_from_yaml(arena, "f", mesh_str_from(text), errors);

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
    model_part_t *part = model_random_part(arena, &rng, &small);
    xds_text_fit(arena, part);
    char *text = xds_text_json(part, &rng);
    const model_part_t *back = read_back(arena, text, json, &errors);
    if (back == NULL || errors.errors != 0) {
        show(&errors, text);
        fail_msg("seed %lu is refused", seed);
    }
    /* Tables of resources always say how they are read. */
    if (model_same(part, back, where) != NULL) {
        print_message("%s\n", text);
        fail_msg("seed %lu: %s", seed, where);
    }
    model_check(&back, 1, &errors);
    if (errors.errors != 0) {
        show(&errors, text);
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
