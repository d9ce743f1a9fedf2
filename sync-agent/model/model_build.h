/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Growing a tree of model_node_t from a reader's events, with the limits
 * that hold for every front end: depth, number of nodes, duplicate keys.
 */

#ifndef MODEL_BUILD_H
#define MODEL_BUILD_H

#include "model_node.h"

/* Where something stands in the input. */
typedef struct {
    uint32_t line;
    uint32_t column;
} model_pos_t;

typedef struct {
    model_node_t *node;
    model_node_t **last;
    bool has_key; /* a map that waits for the key's value */
    mesh_str_t key;
    model_pos_t key_pos;
} model_level_t;

typedef struct {
    arena_t *arena; /* of texts */
    arena_t *aside; /* of nodes */
    const char *file;
    model_errors_t *errors;
    model_node_t *root;
    uint32_t nodes;
    uint32_t depth;
    model_level_t level[MODEL_DEPTH_MAX];
} model_build_t;

/* Zeroes only what it must: the levels are large. */
void model_build_init(model_build_t *b, arena_t *arena, const char *file,
                      model_errors_t *errors);

/* True when the next scalar is a map's key. */
static inline bool model_build_wants_key(const model_build_t *b) {
    return b->depth != 0 &&
           b->level[b->depth - 1].node->kind == MODEL_NODE_MAP &&
           !b->level[b->depth - 1].has_key;
}

/* `key` lives as long as the arena. */
void model_build_key(model_build_t *b, model_pos_t pos, mesh_str_t key);

/*
 * A node where the reader stands, filled in by the caller; NULL with an
 * error added: too many.
 */
model_node_t *model_build_add(model_build_t *b, model_node_kind_e kind,
                              model_pos_t pos);

/* A map or list: what is added until the close is its children. */
bool model_build_open(model_build_t *b, model_node_kind_e kind,
                      model_pos_t pos);

/* False with an error for each key that is there twice. */
bool model_build_close(model_build_t *b);

/* Always false, for `return model_build_error(...)`. */
bool model_build_error(model_build_t *b, model_pos_t pos, const char *found,
                       const char *expected);

/*
 * The offset of the first byte that is not UTF-8 or is a control character
 * other than tab, CR and LF; text.len if there is none.
 */
size_t model_text_check(mesh_str_t text);

/* Line and column, in characters, of a byte. */
model_pos_t model_text_pos(mesh_str_t text, size_t offset);

/* False with an error: too long, or model_text_check() found something. */
bool model_text_accept(model_build_t *b, mesh_str_t text);

#endif /* MODEL_BUILD_H */
