/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A reader of a small part of YAML, five times as fast as libyaml, so that a
 * whole mesh of 100,000 endpoints is read in well under 100 ms.  ASCII
 * without tabs; maps and lists in block style; maps, lists in flow style on
 * one line; plain scalars of one line, of few characters; quoted ones
 * without escapes.  Whatever is not surely of that part, mistakes included,
 * makes it give up: then libyaml reads the whole text and finds the words.
 * t/fuzz/fuzz_yaml.c holds it to libyaml's reading, positions included.
 */

#include "model_yaml_plain.h"

#include "model_build.h"

/* Deeper is left to the reader that can say so. */
#define DEPTH_MAX 48
#define KEY_MAX 512

typedef struct {
    model_build_t b;
    model_errors_t ignored;
    const char *p;
    const char *end;
    const char *line_start;
    uint32_t line;
    bool pending; /* a key whose value begins on a later line */
    uint32_t indent[DEPTH_MAX];
} plain_t;

enum {
    FIRST = 1,  /* may begin a plain scalar */
    INSIDE = 2, /* may go on, in flow style too */
    BLOCK = 4,  /* may go on in block style */
    ALNUM = 8,
};

#define WORD (FIRST | INSIDE | BLOCK | ALNUM)
#define MARK (FIRST | INSIDE | BLOCK)
#define LATER (INSIDE | BLOCK)

/* A subset of what YAML allows, by far: see the head. */
static const uint8_t classes[256] = {
    ['a' ... 'z'] = WORD, ['A' ... 'Z'] = WORD, ['0' ... '9'] = WORD,
    ['/'] = MARK,         ['.'] = MARK,         ['_'] = MARK,
    ['+'] = MARK,         ['~'] = MARK,         ['-'] = LATER,
    ['@'] = LATER,        ['='] = LATER,        ['%'] = LATER,
    ['|'] = LATER,        ['*'] = LATER,        [','] = BLOCK,
    [';'] = BLOCK,        ['('] = BLOCK,        [')'] = BLOCK,
};

static uint8_t class_of(char c) {
    return classes[(uint8_t)c];
}

static char peek(const plain_t *r, size_t ahead) {
    return (size_t)(r->end - r->p) > ahead ? r->p[ahead] : '\n';
}

static model_pos_t pos_of(const plain_t *r, const char *at) {
    return (model_pos_t){r->line, (uint32_t)(at - r->line_start) + 1};
}

static void skip_spaces(plain_t *r) {
    while (peek(r, 0) == ' ') {
        r->p++;
    }
}

/* --- scalars ------------------------------------------------------------- */

/* In quotes without escapes, on one line. */
static bool read_quoted(plain_t *r, mesh_str_t *text) {
    char quote = *r->p++;
    const char *start = r->p;

    while (r->p < r->end && *r->p != quote && *r->p != '\\' && *r->p != '\n') {
        r->p++;
    }

    if (peek(r, 0) != quote || peek(r, 1) == quote) {
        return false;
    }

    *text = (mesh_str_t){(size_t)(r->p - start), start};
    r->p++;

    return true;
}

static bool may_begin(const plain_t *r) {
    uint8_t class = class_of(peek(r, 0));

    if (peek(r, 0) == '-') {
        class = class_of(peek(r, 1)) & ALNUM ? FIRST : 0;
    }

    return class & FIRST;
}

/* A colon is text only right before a letter, a digit or a slash. */
static bool read_plain(plain_t *r, bool flow, mesh_str_t *text) {
    const char *start = r->p;
    const char *last = r->p;
    uint8_t wanted = flow ? INSIDE : BLOCK;

    if (!may_begin(r)) {
        return false;
    }

    for (;;) {
        char c = peek(r, 0);

        if (class_of(c) & wanted ||
            (c == ':' && (class_of(peek(r, 1)) & ALNUM || peek(r, 1) == '/'))) {
            last = ++r->p;
        } else if (c == ' ' && !flow && class_of(peek(r, 1)) & ALNUM) {
            r->p++;
        } else {
            break;
        }
    }

    *text = (mesh_str_t){(size_t)(last - start), start};
    return true;
}

static bool read_scalar(plain_t *r, bool flow, mesh_str_t *text, bool *plain) {
    char c = peek(r, 0);

    *plain = c != '"' && c != '\'';

    return *plain ? read_plain(r, flow, text) : read_quoted(r, text);
}

static bool is_null(mesh_str_t text) {
    return mesh_str_eq(text, MESH_STR("~")) ||
           mesh_str_eq(text, MESH_STR("null")) ||
           mesh_str_eq(text, MESH_STR("Null")) ||
           mesh_str_eq(text, MESH_STR("NULL"));
}

static bool add_scalar(plain_t *r, model_pos_t pos, mesh_str_t text,
                       bool plain) {
    bool null = plain && is_null(text);
    model_node_t *node =
        model_build_add(&r->b, null ? MODEL_NODE_NULL : MODEL_NODE_SCALAR, pos);

    if (node == NULL) {
        return false;
    }

    if (!null) {
        node->plain = plain;
        node->text = arena_str(r->b.arena, text);
    }

    return true;
}

static bool add_key(plain_t *r, model_pos_t pos, mesh_str_t key) {
    if (key.len == 0 || key.len > KEY_MAX) {
        return false;
    }

    model_build_key(&r->b, pos, arena_str(r->b.arena, key));
    return true;
}

/* --- flow style ---------------------------------------------------------- */

static bool read_flow(plain_t *r);

static bool read_flow_value(plain_t *r) {
    model_pos_t pos = pos_of(r, r->p);
    mesh_str_t text;
    bool plain;

    if (peek(r, 0) == '{' || peek(r, 0) == '[') {
        return read_flow(r);
    }

    return read_scalar(r, true, &text, &plain) &&
           add_scalar(r, pos, text, plain);
}

static bool read_flow_key(plain_t *r) {
    model_pos_t pos = pos_of(r, r->p);
    mesh_str_t key;
    bool plain;

    if (!read_scalar(r, true, &key, &plain) || peek(r, 0) != ':' ||
        peek(r, 1) != ' ' || !add_key(r, pos, key)) {
        return false;
    }

    r->p++;
    skip_spaces(r);

    return true;
}

/* Recursive, but no deeper than DEPTH_MAX. */
static bool read_flow(plain_t *r) {
    bool map = peek(r, 0) == '{';
    char close = map ? '}' : ']';

    if (r->b.depth >= DEPTH_MAX ||
        !model_build_open(&r->b, map ? MODEL_NODE_MAP : MODEL_NODE_LIST,
                          pos_of(r, r->p))) {
        return false;
    }

    r->p++;
    skip_spaces(r);

    while (peek(r, 0) != close) {
        if ((map && !read_flow_key(r)) || !read_flow_value(r)) {
            return false;
        }

        skip_spaces(r);

        if (peek(r, 0) == ',') {
            r->p++;
            skip_spaces(r);

            if (peek(r, 0) == close) {
                return false;
            }
        } else if (peek(r, 0) != close) {
            return false;
        }
    }

    r->p++;
    return model_build_close(&r->b);
}

/* --- block style --------------------------------------------------------- */

/* Only spaces and a comment until the line ends. */
static bool read_line_end(plain_t *r) {
    const char *before = r->p;

    skip_spaces(r);

    if (peek(r, 0) == '#' && r->p > before) {
        const char *eol = memchr(r->p, '\n', (size_t)(r->end - r->p));

        r->p = eol != NULL ? eol : r->end;
    }

    return peek(r, 0) == '\n';
}

static bool open_block(plain_t *r, model_node_kind_e kind, const char *at) {
    uint32_t depth = r->b.depth;

    if (depth >= DEPTH_MAX || !model_build_open(&r->b, kind, pos_of(r, at))) {
        return false;
    }

    r->indent[depth] = (uint32_t)(at - r->line_start);
    r->pending = false;

    return true;
}

/* Behind a key's colon or a dash, where something stands on this line. */
static bool read_block_value(plain_t *r) {
    model_pos_t pos = pos_of(r, r->p);
    mesh_str_t text;
    bool plain;

    if (peek(r, 0) == '{' || peek(r, 0) == '[') {
        return read_flow(r) && read_line_end(r);
    }

    return read_scalar(r, false, &text, &plain) && read_line_end(r) &&
           add_scalar(r, pos, text, plain);
}

/* At what may be "key:"; false with r->p as it was if it is not. */
static bool read_key(plain_t *r, mesh_str_t *key) {
    const char *start = r->p;
    bool plain;

    if (read_scalar(r, false, key, &plain) && peek(r, 0) == ':' &&
        (peek(r, 1) == ' ' || peek(r, 1) == '\n')) {
        r->p++;
        return true;
    }

    r->p = start;
    return false;
}

static bool read_entry(plain_t *r, const char *at, mesh_str_t key) {
    if (!add_key(r, pos_of(r, at), key)) {
        return false;
    }

    if (read_line_end(r)) {
        r->pending = true;
        return true;
    }

    /* At least one space behind the colon, or it would be no key. */
    return read_block_value(r);
}

static bool is_dash(const plain_t *r) {
    return peek(r, 0) == '-' && peek(r, 1) == ' ';
}

/* An item of a list that is open; what it holds may open more. */
static bool read_items(plain_t *r) {
    mesh_str_t key;

    for (;;) {
        r->p++;
        skip_spaces(r);

        const char *at = r->p;

        if (is_dash(r)) {
            if (!open_block(r, MODEL_NODE_LIST, at)) {
                return false;
            }

            continue;
        }

        if (peek(r, 0) == '\n' || peek(r, 0) == '#') {
            return false;
        }

        if (read_key(r, &key)) {
            return open_block(r, MODEL_NODE_MAP, at) && read_entry(r, at, key);
        }

        return read_block_value(r);
    }
}

static bool in_list(const plain_t *r) {
    return r->b.level[r->b.depth - 1].node->kind == MODEL_NODE_LIST;
}

/* Ends what is indented more than a line that begins at `column`. */
static bool close_blocks(plain_t *r, uint32_t column, bool dash) {
    while (r->b.depth != 0) {
        uint32_t top = r->indent[r->b.depth - 1];

        if (top < column || (top == column && (dash || !in_list(r)))) {
            break;
        }

        if (!model_build_close(&r->b)) {
            return false;
        }
    }

    return r->b.depth != 0 && r->indent[r->b.depth - 1] == column;
}

/* Opens what the line begins, if it does not go on with what is open. */
static bool place_line(plain_t *r, const char *at, bool dash) {
    uint32_t column = (uint32_t)(at - r->line_start);
    model_node_kind_e kind = dash ? MODEL_NODE_LIST : MODEL_NODE_MAP;

    if (r->b.root == NULL) {
        return open_block(r, kind, at);
    }

    if (r->pending) {
        uint32_t top = r->indent[r->b.depth - 1];

        /* A key without a value is left to libyaml. */
        return (column > top || (column == top && dash)) &&
               open_block(r, kind, at);
    }

    return close_blocks(r, column, dash) && in_list(r) == dash;
}

static bool read_line(plain_t *r) {
    const char *at = r->p;
    bool dash = is_dash(r);
    mesh_str_t key;

    /* "...", "%YAML", "---" end or begin a document. */
    if (at == r->line_start && (*at == '.' || *at == '%')) {
        return false;
    }

    if (!dash && !read_key(r, &key)) {
        return false;
    }

    if (!place_line(r, at, dash)) {
        return false;
    }

    return dash ? read_items(r) : read_entry(r, at, key);
}

static bool read_lines(plain_t *r) {
    while (r->p < r->end) {
        r->line++;
        r->line_start = r->p;
        skip_spaces(r);

        if (peek(r, 0) == '#') {
            const char *eol = memchr(r->p, '\n', (size_t)(r->end - r->p));

            r->p = eol != NULL ? eol : r->end;
        } else if (peek(r, 0) != '\n' && !read_line(r)) {
            return false;
        }

        /* The last line may have no end. */
        r->p += r->p < r->end;
    }

    if (r->pending) {
        return false;
    }

    while (r->b.depth != 0) {
        if (!model_build_close(&r->b)) {
            return false;
        }
    }

    return true;
}

/* ASCII without tabs and CRs; other control characters are gone already. */
static bool is_simple(mesh_str_t text) {
    uint64_t high = 0;
    size_t i = 0;

    for (; i + 8 <= text.len; i += 8) {
        uint64_t word;

        memcpy(&word, text.data + i, sizeof(word));
        high |= word;
    }

    for (; i < text.len; i++) {
        high |= (uint8_t)text.data[i];
    }

    return (high & UINT64_C(0x8080808080808080)) == 0 &&
           memchr(text.data, '\t', text.len) == NULL &&
           memchr(text.data, '\r', text.len) == NULL;
}

model_node_t *model_yaml_plain(arena_t *arena, const char *file,
                               mesh_str_t text) {
    plain_t r;

    if (text.len == 0 || !is_simple(text)) {
        return NULL;
    }

    model_errors_init(&r.ignored, arena);
    model_build_init(&r.b, arena, file, &r.ignored);
    r.p = text.data;
    r.end = text.data + text.len;
    r.line_start = r.p;
    r.line = 0;
    r.pending = false;

    return read_lines(&r) ? r.b.root : NULL;
}
