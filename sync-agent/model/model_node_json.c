/* SPDX-License-Identifier: Apache-2.0 */

/*
 * JSON (RFC 8259) into nodes.  Not by libcjson, which knows no positions,
 * recurses, takes more than JSON, and needs a second tree: this reader is
 * one loop over a copy of the text, in which strings are unescaped in place.
 * Stricter than the RFC where it leaves room: no duplicate keys, no NUL, no
 * lone surrogates, and the bounds of model_node.h.
 */

#include "model_build.h"

#include <stdio.h>

typedef enum {
    WANT_VALUE,
    WANT_VALUE_OR_END, /* after "[" */
    WANT_KEY,
    WANT_KEY_OR_END, /* after "{" */
    WANT_COMMA,      /* or the end of the map or list */
    WANT_NOTHING,    /* after the whole value */
} want_e;

typedef struct {
    model_build_t b;
    char *p;
    char *end; /* a NUL */
    uint32_t line;
    const char *line_start;
    size_t continued; /* bytes since then that only continue a character */
    bool failed;      /* a duplicate key: the rest is read for more of them */
} json_t;

/* Of a place in the current line, not before the last string in it. */
static model_pos_t pos_at(const json_t *j, const char *at) {
    size_t column = (size_t)(at - j->line_start) - j->continued + 1;

    return (model_pos_t){j->line, (uint32_t)column};
}

static bool wrong(json_t *j, const char *at, const char *expected) {
    model_pos_t pos = pos_at(j, at);
    uint8_t c = (uint8_t)*at;
    char found[32];

    if (at >= j->end) {
        return model_build_error(&j->b, pos, "the end of the file", expected);
    }

    if (c >= 0x80) {
        return model_build_error(&j->b, pos, "a character beyond ASCII",
                                 expected);
    }

    if (c > 0x20 && c < 0x7f) {
        snprintf(found, sizeof(found), "\"%c\"", c);
    } else {
        snprintf(found, sizeof(found), "the byte 0x%02x", (unsigned)c);
    }

    return model_build_error(&j->b, pos, found, expected);
}

/* The only place where JSON may have line ends. */
static void skip_space(json_t *j) {
    char *p = j->p;

    for (;; p++) {
        if (*p == '\n') {
            j->line++;
            j->line_start = p + 1;
            j->continued = 0;
        } else if (*p != ' ' && *p != '\r' && *p != '\t') {
            break;
        }
    }

    j->p = p;
}

/* --- strings ------------------------------------------------------------- */

static bool read_hex(const char *p, uint32_t *value) {
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        char c = mesh_lower(p[i]);
        uint32_t digit;

        if (c >= '0' && c <= '9') {
            digit = (uint32_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = (uint32_t)(c - 'a') + 10;
        } else {
            return false;
        }

        v = v << 4 | digit;
    }

    *value = v;
    return true;
}

static char *put_utf8(char *out, uint32_t c) {
    if (c < 0x80) {
        *out++ = (char)c;
        return out;
    }

    if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *out++ = (char)(0xe0 | c >> 12);
        } else {
            *out++ = (char)(0xf0 | c >> 18);
            *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        }

        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
    }

    *out++ = (char)(0x80 | (c & 0x3f));
    return out;
}

/* After "\u"; j->p goes behind what was read. */
static bool read_unicode(json_t *j, char **out) {
    const char *at = j->p - 2;
    uint32_t c;

    if (!read_hex(j->p, &c)) {
        return wrong(j, at, "four hex digits after \\u");
    }

    j->p += 4;

    if (c >= 0xd800 && c <= 0xdbff) {
        uint32_t low;

        if (j->p[0] != '\\' || j->p[1] != 'u' || !read_hex(j->p + 2, &low) ||
            low < 0xdc00 || low > 0xdfff) {
            return wrong(j, at, "both halves of a surrogate pair");
        }

        c = 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
        j->p += 6;
    } else if (c >= 0xdc00 && c <= 0xdfff) {
        return wrong(j, at, "both halves of a surrogate pair");
    }

    if (c == 0) {
        return wrong(j, at, "text without a NUL");
    }

    *out = put_utf8(*out, c);
    return true;
}

/* At "\\". */
static bool read_escape(json_t *j, char **out) {
    static const char names[] = "\"\\/bfnrt";
    static const char means[] = "\"\\/\b\f\n\r\t";
    char c = j->p[1];

    j->p += 2;

    if (c == 'u') {
        return read_unicode(j, out);
    }

    const char *name = c != '\0' ? strchr(names, c) : NULL;

    if (name == NULL) {
        return wrong(j, j->p - 2, "an escape that JSON knows");
    }

    *(*out)++ = means[name - names];
    return true;
}

/* Behind the opening quote; plain ASCII goes the short way. */
static bool read_string(json_t *j, mesh_str_t *text) {
    char *start = j->p;
    char *p = start;

    while (*(signed char *)p >= 0x20 && *p != '"' && *p != '\\') {
        p++;
    }

    char *out = p;

    j->p = p;

    while (*j->p != '"') {
        uint8_t c = (uint8_t)*j->p;

        if (c < 0x20) {
            return wrong(j, j->p, "the end of the text: \"");
        }

        j->continued += (c & 0xc0) == 0x80;

        if (c == '\\') {
            if (!read_escape(j, &out)) {
                return false;
            }
        } else {
            *out++ = *j->p++;
        }
    }

    *out = '\0';
    *text = (mesh_str_t){(size_t)(out - start), start};
    j->p++;

    return true;
}

/* --- other values -------------------------------------------------------- */

static const char *skip_digits(const char *p) {
    while (*p >= '0' && *p <= '9') {
        p++;
    }

    return p;
}

/* The end of a number, or NULL. */
static const char *scan_number(const char *p) {
    if (*p == '-') {
        p++;
    }

    const char *digits = p;

    p = skip_digits(p);

    if (p == digits || (*digits == '0' && p - digits > 1)) {
        return NULL;
    }

    if (*p == '.') {
        const char *part = ++p;

        p = skip_digits(p);

        if (p == part) {
            return NULL;
        }
    }

    if (*p == 'e' || *p == 'E') {
        p++;

        if (*p == '+' || *p == '-') {
            p++;
        }

        const char *power = p;

        p = skip_digits(p);

        if (p == power) {
            return NULL;
        }
    }

    return p;
}

static bool read_plain(json_t *j) {
    static const char expected[] = "a JSON value";
    static const char *const words[] = {"null", "true", "false"};
    const char *end = NULL;
    model_node_kind_e kind = MODEL_NODE_SCALAR;

    for (size_t i = 0; i < mesh_nelts(words); i++) {
        size_t len = strlen(words[i]);

        if (strncmp(j->p, words[i], len) == 0) {
            kind = i == 0 ? MODEL_NODE_NULL : MODEL_NODE_SCALAR;
            end = j->p + len;
        }
    }

    if (end == NULL && (end = scan_number(j->p)) == NULL) {
        return wrong(j, j->p, expected);
    }

    model_node_t *node = model_build_add(&j->b, kind, pos_at(j, j->p));

    if (node == NULL) {
        return false;
    }

    if (kind == MODEL_NODE_SCALAR) {
        mesh_str_t text = {(size_t)(end - j->p), j->p};

        node->plain = true;
        node->text = arena_str(j->b.arena, text);
    }

    j->p += end - j->p;
    return true;
}

/* --- the loop ------------------------------------------------------------ */

static want_e after_value(const json_t *j) {
    return j->b.depth == 0 ? WANT_NOTHING : WANT_COMMA;
}

static bool read_value(json_t *j, want_e *want) {
    char c = *j->p;

    if (c == '{' || c == '[') {
        model_node_kind_e kind = c == '{' ? MODEL_NODE_MAP : MODEL_NODE_LIST;

        if (!model_build_open(&j->b, kind, pos_at(j, j->p))) {
            return false;
        }

        j->p++;
        *want = c == '{' ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
        return true;
    }

    if (c != '"') {
        if (!read_plain(j)) {
            return false;
        }

        *want = after_value(j);
        return true;
    }

    model_node_t *node =
        model_build_add(&j->b, MODEL_NODE_SCALAR, pos_at(j, j->p));

    j->p++;

    if (node == NULL || !read_string(j, &node->text)) {
        return false;
    }

    *want = after_value(j);
    return true;
}

static bool read_key(json_t *j) {
    model_pos_t pos = pos_at(j, j->p);
    mesh_str_t key;

    if (*j->p != '"') {
        return wrong(j, j->p, "a key in quotes");
    }

    j->p++;

    if (!read_string(j, &key)) {
        return false;
    }

    if (key.len == 0) {
        return model_build_error(&j->b, pos, "an empty key", "a name");
    }

    model_build_key(&j->b, pos, key);
    skip_space(j);

    if (*j->p != ':') {
        return wrong(j, j->p, "\":\" after the key");
    }

    j->p++;
    return true;
}

static void close_level(json_t *j, want_e *want) {
    j->p++;

    if (!model_build_close(&j->b)) {
        j->failed = true;
    }

    *want = after_value(j);
}

/* A comma, or the end of what is open. */
static bool read_comma(json_t *j, want_e *want) {
    bool map = j->b.level[j->b.depth - 1].node->kind == MODEL_NODE_MAP;

    if (*j->p == (map ? '}' : ']')) {
        close_level(j, want);
        return true;
    }

    if (*j->p != ',') {
        return wrong(j, j->p, map ? "\",\" or \"}\"" : "\",\" or \"]\"");
    }

    j->p++;
    *want = map ? WANT_KEY : WANT_VALUE;
    return true;
}

static bool read_step(json_t *j, want_e *want) {
    switch (*want) {
    case WANT_VALUE_OR_END:
        if (*j->p == ']') {
            close_level(j, want);
            return true;
        }

        return read_value(j, want);

    case WANT_VALUE:
        return read_value(j, want);

    case WANT_KEY_OR_END:
        if (*j->p == '}') {
            close_level(j, want);
            return true;
        }

        /* fall through */
    case WANT_KEY:
        *want = WANT_VALUE;
        return read_key(j);

    default:
        return read_comma(j, want);
    }
}

static bool read_all(json_t *j) {
    want_e want = WANT_VALUE;

    while (want != WANT_NOTHING) {
        skip_space(j);

        if (!read_step(j, &want)) {
            return false;
        }
    }

    skip_space(j);

    if (j->p != j->end) {
        return wrong(j, j->p, "the end of the file");
    }

    return !j->failed;
}

model_node_t *model_node_from_json(arena_t *arena, const char *file,
                                   mesh_str_t text, model_errors_t *errors) {
    return model_node_from_json_line(arena, file, 1, text, errors);
}

model_node_t *model_node_from_json_line(arena_t *arena, const char *file,
                                        uint32_t line, mesh_str_t text,
                                        model_errors_t *errors) {
    json_t j;

    model_build_init(&j.b, arena, file, errors);

    if (!model_text_accept(&j.b, text)) {
        return NULL;
    }

    j.p = (char *)arena_str(arena, text).data;
    j.end = j.p + text.len;
    j.line = line;
    j.line_start = j.p;
    j.continued = 0;
    j.failed = false;

    return read_all(&j) ? j.b.root : NULL;
}
