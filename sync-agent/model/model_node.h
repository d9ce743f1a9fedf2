/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A tree of configuration as it was written, before it means anything:
 * YAML and JSON both parse into it, and the decoder (model_decode.h) reads
 * nothing else.  Nodes know where they stood, so that every complaint can
 * name file:line:column.
 *
 * Texts are the arena's, nodes are arena_aside()'s: whoever has decoded a tree
 * may drop it, and what the model points at stays.  One thread.
 */

#ifndef MODEL_NODE_H
#define MODEL_NODE_H

#include "agent_arena.h"
#include "mesh_base.h"

#define MODEL_DEPTH_MAX 64
#define MODEL_NODES_MAX 8000000
#define MODEL_FILE_MAX (UINT64_C(256) << 20)

typedef enum {
    MODEL_NODE_NULL,
    MODEL_NODE_SCALAR, /* text; `plain` tells 5 from "5" */
    MODEL_NODE_LIST,
    MODEL_NODE_MAP,
} model_node_kind_e;

typedef struct model_node_s model_node_t;

struct model_node_s {
    model_node_kind_e kind;
    bool plain;      /* an unquoted YAML scalar, a JSON number or literal */
    uint32_t line;   /* from 1; 0: unknown */
    uint32_t column; /* from 1 */
    mesh_str_t key;  /* child of a map: its key */
    uint32_t key_line;
    uint32_t key_column;
    mesh_str_t text;     /* SCALAR; NUL-terminated */
    uint32_t count;      /* LIST, MAP */
    model_node_t *first; /* children in order */
    model_node_t *next;  /* sibling */
};

/*
 * What is wrong with an input; collected, so that one run of --check shows
 * all.  `path` is the field, as "hosts[0].routes[2].timeout"; `resource`
 * names what is refused, as "cluster reviews", or is NULL for the whole part.
 */
typedef struct model_error_s model_error_t;

struct model_error_s {
    const char *file;
    uint32_t line;
    uint32_t column;
    const char *path;
    const char *resource;
    const char *found;    /* or NULL */
    const char *expected; /* or NULL */
    const char *message;  /* whole sentence without the place */
    bool warning;
    model_error_t *next;
};

#define MODEL_ERRORS_MAX 100 /* kept; the rest is counted */

typedef struct {
    arena_t *arena; /* of the texts */
    model_error_t *first;
    model_error_t **last;
    uint32_t errors;
    uint32_t warnings;
} model_errors_t;

void model_errors_init(model_errors_t *errors, arena_t *arena);

/* Adds one; printf's format; all strings are copied. */
void model_error_add(model_errors_t *errors, const model_error_t *place,
                     const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "conf/a.yaml:3:9: hosts[0].routes[1].timeout: found "3x", expected ..." */
int model_error_text(const model_error_t *error, char *out, size_t size);

/* The same without the place. */
int model_error_sentence(const model_error_t *error, char *out, size_t size);

/*
 * Parses a whole document.  NULL with an error added: syntax, depth above
 * MODEL_DEPTH_MAX, duplicate keys, aliases and anchors, several documents,
 * tags, bytes that are not UTF-8, NUL bytes.
 */
model_node_t *model_node_from_yaml(arena_t *arena, const char *file,
                                   mesh_str_t text, model_errors_t *errors);
model_node_t *model_node_from_json(arena_t *arena, const char *file,
                                   mesh_str_t text, model_errors_t *errors);

/* Of a text that begins at this line of its file. */
model_node_t *model_node_from_json_line(arena_t *arena, const char *file,
                                        uint32_t line, mesh_str_t text,
                                        model_errors_t *errors);

/* The child of a map, or NULL. */
const model_node_t *model_node_child(const model_node_t *map, const char *key);

#endif /* MODEL_NODE_H */
