/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Growing a tree of model_node_t; lookups in it; checking raw text.
 */

#include "model_build.h"

#include <stdio.h>

/* Up to this many keys, comparing each pair beats hashing. */
#define PAIRS_MAX 12

void model_build_init(model_build_t *b, arena_t *arena, const char *file,
                      model_errors_t *errors) {
    b->arena = arena;
    b->aside = arena_aside(arena);
    b->file = file;
    b->errors = errors;
    b->root = NULL;
    b->nodes = 0;
    b->depth = 0;
}

bool model_build_error(model_build_t *b, model_pos_t pos, const char *found,
                       const char *expected) {
    model_error_t error = {.file = b->file,
                           .line = pos.line,
                           .column = pos.column,
                           .found = found,
                           .expected = expected};

    model_error_add(b->errors, &error, "found %s, expected %s", found,
                    expected);
    return false;
}

void model_build_key(model_build_t *b, model_pos_t pos, mesh_str_t key) {
    model_level_t *level = &b->level[b->depth - 1];

    level->key = key;
    level->key_pos = pos;
    level->has_key = true;
}

model_node_t *model_build_add(model_build_t *b, model_node_kind_e kind,
                              model_pos_t pos) {
    if (b->nodes == MODEL_NODES_MAX) {
        model_build_error(b, pos, "more than 8000000 values", "a smaller file");
        return NULL;
    }

    b->nodes++;

    model_node_t *node = arena_alloc(b->aside, sizeof(*node));

    node->kind = kind;
    node->line = pos.line;
    node->column = pos.column;

    if (b->depth == 0) {
        b->root = node;
        return node;
    }

    model_level_t *level = &b->level[b->depth - 1];

    if (level->has_key) {
        node->key = level->key;
        node->key_line = level->key_pos.line;
        node->key_column = level->key_pos.column;
        level->has_key = false;
    }

    level->node->count++;
    *level->last = node;
    level->last = &node->next;

    return node;
}

bool model_build_open(model_build_t *b, model_node_kind_e kind,
                      model_pos_t pos) {
    if (b->depth == MODEL_DEPTH_MAX) {
        return model_build_error(b, pos, "a value nested deeper than 64",
                                 "at most 64 levels");
    }

    model_node_t *node = model_build_add(b, kind, pos);

    if (node == NULL) {
        return false;
    }

    model_level_t *level = &b->level[b->depth++];

    level->node = node;
    level->last = &node->first;
    level->has_key = false;

    return true;
}

static bool complain_twice(model_build_t *b, const model_node_t *again,
                           const model_node_t *first) {
    model_pos_t pos = {again->key_line, again->key_column};
    int len = (int)mesh_min(again->key.len, (size_t)60);
    char found[160];

    snprintf(found, sizeof(found), "the key \"%.*s\" a second time", len,
             again->key.data);

    char expected[80];

    snprintf(expected, sizeof(expected), "it once (it is on line %u already)",
             first->key_line);

    return model_build_error(b, pos, found, expected);
}

static bool check_pairs(model_build_t *b, const model_node_t *map) {
    bool ok = true;

    for (const model_node_t *a = map->first; a != NULL; a = a->next) {
        for (const model_node_t *c = map->first; c != a; c = c->next) {
            if (mesh_str_eq(a->key, c->key)) {
                ok = complain_twice(b, a, c);
                break;
            }
        }
    }

    return ok;
}

static bool check_hashed(model_build_t *b, const model_node_t *map) {
    size_t size = 32;

    while (size < (size_t)map->count * 2) {
        size *= 2;
    }

    arena_t *scratch = arena_new();
    const model_node_t **slots = arena_alloc(scratch, size * sizeof(*slots));
    bool ok = true;

    for (const model_node_t *a = map->first; a != NULL; a = a->next) {
        size_t at = mesh_hash64(a->key.data, a->key.len) & (size - 1);

        while (slots[at] != NULL && !mesh_str_eq(slots[at]->key, a->key)) {
            at = (at + 1) & (size - 1);
        }

        if (slots[at] != NULL) {
            ok = complain_twice(b, a, slots[at]);
        } else {
            slots[at] = a;
        }
    }

    arena_free(scratch);
    return ok;
}

bool model_build_close(model_build_t *b) {
    const model_node_t *node = b->level[--b->depth].node;

    if (node->kind != MODEL_NODE_MAP) {
        return true;
    }

    return node->count <= PAIRS_MAX ? check_pairs(b, node)
                                    : check_hashed(b, node);
}

const model_node_t *model_node_child(const model_node_t *map, const char *key) {
    if (map == NULL || map->kind != MODEL_NODE_MAP) {
        return NULL;
    }

    mesh_str_t name = mesh_str_from(key);

    for (const model_node_t *n = map->first; n != NULL; n = n->next) {
        if (mesh_str_eq(n->key, name)) {
            return n;
        }
    }

    return NULL;
}

/* Bytes of the UTF-8 character at p (RFC 3629), 0 if there is none. */
static size_t utf8_len(const uint8_t *p, size_t left) {
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t c = p[0];
    size_t len;

    if (c >= 0xc2 && c <= 0xdf) {
        len = 2;
        c &= 0x1f;
    } else if (c >= 0xe0 && c <= 0xef) {
        len = 3;
        c &= 0x0f;
    } else if (c >= 0xf0 && c <= 0xf4) {
        len = 4;
        c &= 0x07;
    } else {
        return 0;
    }

    if (len > left) {
        return 0;
    }

    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }

        c = c << 6 | (p[i] & 0x3f);
    }

    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
        return 0;
    }

    return len;
}

/*
 * True if none of eight bytes is above 0x7e or below 0x20 (the carry test of
 * "Bit Twiddling Hacks", S. E. Anderson: may be false for no reason, is never
 * true for no reason).
 */
static bool is_plain_word(const uint8_t *p) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t word;

    memcpy(&word, p, sizeof(word));

    uint64_t low = word - ones * 0x20;
    uint64_t high = word + ones;

    return ((low | high | word) & ones * 0x80) == 0;
}

size_t model_text_check(mesh_str_t text) {
    const uint8_t *p = (const uint8_t *)text.data;
    size_t i = 0;

    while (i < text.len) {
        if (i + 8 <= text.len && is_plain_word(p + i)) {
            i += 8;
            continue;
        }

        if (p[i] < 0x80) {
            if ((p[i] < 0x20 && p[i] != '\t' && p[i] != '\n' && p[i] != '\r') ||
                p[i] == 0x7f) {
                return i;
            }

            i++;
            continue;
        }

        size_t len = utf8_len(p + i, text.len - i);

        if (len == 0) {
            return i;
        }

        i += len;
    }

    return text.len;
}

model_pos_t model_text_pos(mesh_str_t text, size_t offset) {
    model_pos_t pos = {1, 1};

    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.data[i] == '\n') {
            pos.line++;
            pos.column = 1;
        } else if (((uint8_t)text.data[i] & 0xc0) != 0x80) {
            pos.column++;
        }
    }

    return pos;
}

bool model_text_accept(model_build_t *b, mesh_str_t text) {
    if (text.len > MODEL_FILE_MAX) {
        return model_build_error(b, (model_pos_t){0, 0}, "more than 256 MiB",
                                 "a smaller file");
    }

    size_t bad = model_text_check(text);

    if (bad == text.len) {
        return true;
    }

    char found[32];

    snprintf(found, sizeof(found), "the byte 0x%02x",
             (unsigned)(uint8_t)text.data[bad]);

    return model_build_error(b, model_text_pos(text, bad), found,
                             "UTF-8 without control characters");
}
