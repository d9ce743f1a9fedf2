/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Resources in which one thing is another: each is refused with a place and a
 * reason, or it is right, and then it compiles.
 */

#include "../model/model_fixture.h"
#include "compile_line.h"
#include "model_random.h"
#include "xds.h"
#include "xds_text.h"

#define NODES_MAX 4096

static const model_random_size_t small = {2, 3, 1, 3, NULL, true, true};

typedef struct {
    uint32_t count;
    model_node_t *v[NODES_MAX];
} nodes_t;

static void collect(nodes_t *nodes, model_node_t *node) {
    if (nodes->count < NODES_MAX) {
        nodes->v[nodes->count++] = node;
    }
    for (model_node_t *n = node->first; n != NULL; n = n->next) {
        collect(nodes, n);
    }
}

static void become_scalar(model_node_t *node, const char *text, bool plain) {
    node->kind = MODEL_NODE_SCALAR;
    node->plain = plain;
    node->text = mesh_str_from(text);
    node->count = 0;
    node->first = NULL;
}

/* Another kind, or another value; its place stays. */
static void mutate(arena_t *arena, rng_t *rng, model_node_t *node) {
    static const struct {
        const char *text;
        bool plain;
    } scalars[] = {{"x", false},   {"", false},    {"5", true},
                   {"-1", true},   {"1.5", true},  {"true", true},
                   {"5s", false},  {"a b", false}, {"\x01", false},
                   {":m", false},  {"/", false},   {"99999999999", true},
                   {"%A%", false}, {"(", false},   {"0s", false},
                   {"*", false},   {"1e9", true}};
    uint32_t dice = rng_below(rng, mesh_nelts(scalars) + 5);
    model_node_t *child = arena_alloc(arena, sizeof(*child));

    if (dice < mesh_nelts(scalars)) {
        become_scalar(node, scalars[dice].text, scalars[dice].plain);
        return;
    }
    child->line = node->line;
    child->column = node->column;
    become_scalar(child, "x", false);
    node->text = MESH_STR_NULL;
    switch (dice - mesh_nelts(scalars)) {
    case 0:
        node->kind = MODEL_NODE_NULL;
        node->count = 0;
        node->first = NULL;
        break;
    case 1: /* loses its first child, if it has one */
        if (node->first != NULL) {
            node->first = node->first->next;
            node->count--;
        } else {
            become_scalar(node, "7", true);
        }
        break;
    default:
        node->kind = dice & 1 ? MODEL_NODE_LIST : MODEL_NODE_MAP;
        node->count = dice & 2 ? 1 : 0;
        node->first = node->count ? child : NULL;
        child->key = MESH_STR("name");
        child->key_line = node->line;
        child->key_column = node->column;
    }
}

static void check_errors(const model_errors_t *errors, uint64_t seed) {
    for (const model_error_t *e = errors->first; e != NULL; e = e->next) {
        if (e->line == 0 || e->file == NULL || e->message[0] == '\0') {
            fail_msg("seed %lu: an error without a place: %s", seed,
                     e->message);
        }
    }
}

/* True: it was refused. */
static bool check_mutant(uint64_t seed, bool apart) {
    static nodes_t nodes;
    rng_t rng = {seed};
    fixture_t f;

    fixture_open(&f);
    model_part_t *part = model_random_part(f.arena, &rng, &small);
    xds_text_fit(f.arena, part);
    char *text = xds_text_json(part, &rng);
    model_node_t *root =
        model_node_from_json(f.arena, "f", mesh_str_from(text), &f.errors);
    assert_non_null(root);
    nodes.count = 0;
    collect(&nodes, root);
    mutate(f.arena, &rng, nodes.v[rng_below(&rng, nodes.count)]);
    xds_t *xds = xds_new(f.arena, &f.errors, apart);
    xds_add(xds, "f", root);
    const model_part_t *made = xds_part(xds, "f");
    check_errors(&f.errors, seed);
    bool refused = f.errors.errors != 0;

    /* What is left stands: refused resources are not there by half. */
    model_errors_t twice;
    model_errors_init(&twice, f.arena);
    model_check_names(&made, 1, &twice);
    if (twice.errors == 0) {
        (void)parts_digest(&made, 1);
    }
    free(text);
    fixture_close(&f);
    return refused;
}

static void mutants_are_refused_or_right(void **state) {
    uint32_t refused = 0;
    (void)state;

    for (uint64_t seed = 1; seed <= 6000; seed++) {
        refused += check_mutant(seed, seed & 1);
    }
    /* Most things are not what they were any more. */
    assert_in_range(refused, 2500, 5970);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutants_are_refused_or_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
