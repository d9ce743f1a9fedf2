/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Scalars: what they are by YAML 1.2's core schema, and the types that
 * tables give them.  Text and numbers are not mixed: a version label 1.10
 * without quotes would be read as 1.1 by another tool, so it is refused.
 */

#include "model_table.h"

#include <stdio.h>

#define QUOTE_MAX 60 /* bytes of a value shown in a message */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static size_t skip_digits(mesh_str_t text, size_t i) {
    while (i < text.len && is_digit(text.data[i])) {
        i++;
    }

    return i;
}

static bool is_based(mesh_str_t text) {
    if (text.len < 3 || text.data[0] != '0' ||
        (text.data[1] != 'x' && text.data[1] != 'o')) {
        return false;
    }

    for (size_t i = 2; i < text.len; i++) {
        char c = mesh_lower(text.data[i]);
        bool octal = c >= '0' && c <= '7';
        bool hex = is_digit(c) || (c >= 'a' && c <= 'f');

        if (text.data[1] == 'x' ? !hex : !octal) {
            return false;
        }
    }

    return true;
}

static bool is_special(mesh_str_t text) {
    static const char *const words[] = {".inf", ".Inf", ".INF",
                                        ".nan", ".NaN", ".NAN"};

    if (text.len == 5 && (text.data[0] == '-' || text.data[0] == '+')) {
        text.data++;
        text.len--;
    }

    for (size_t i = 0; i < mesh_nelts(words); i++) {
        if (mesh_str_eq(text, mesh_str_from(words[i]))) {
            return true;
        }
    }

    return false;
}

static bool is_decimal(mesh_str_t text) {
    size_t i = 0;

    if (text.data[0] == '-' || text.data[0] == '+') {
        i++;
    }

    size_t whole = i;

    i = skip_digits(text, i);

    size_t digits = i - whole;

    if (i < text.len && text.data[i] == '.') {
        size_t point = ++i;

        i = skip_digits(text, i);
        digits += i - point;
    }

    if (digits == 0) {
        return false;
    }

    if (i < text.len && (text.data[i] | 0x20) == 'e') {
        i++;

        if (i < text.len && (text.data[i] == '-' || text.data[i] == '+')) {
            i++;
        }

        size_t power = i;

        i = skip_digits(text, i);

        if (i == power) {
            return false;
        }
    }

    return i == text.len;
}

static bool is_bool(mesh_str_t text, bool *value) {
    static const char *const words[] = {"false", "true",  "False",
                                        "True",  "FALSE", "TRUE"};

    for (size_t i = 0; i < mesh_nelts(words); i++) {
        if (mesh_str_eq(text, mesh_str_from(words[i]))) {
            *value = i & 1;
            return true;
        }
    }

    return false;
}

model_scalar_e model_scalar_kind(const model_node_t *node) {
    mesh_str_t text = node->text;
    bool value;

    if (!node->plain || text.len == 0) {
        return MODEL_SCALAR_TEXT;
    }

    char c = text.data[0];

    if (is_digit(c) || c == '-' || c == '+' || c == '.') {
        if (is_decimal(text) || is_based(text) || is_special(text)) {
            return MODEL_SCALAR_NUMBER;
        }

        return MODEL_SCALAR_TEXT;
    }

    return (c | 0x20) == 't' || (c | 0x20) == 'f'
               ? is_bool(text, &value) ? MODEL_SCALAR_BOOL : MODEL_SCALAR_TEXT
               : MODEL_SCALAR_TEXT;
}

bool model_is_text(const model_node_t *node) {
    return node->kind == MODEL_NODE_SCALAR &&
           model_scalar_kind(node) == MODEL_SCALAR_TEXT;
}

/* Bytes of the character at `i`, as far as they are there. */
static size_t char_len(mesh_str_t text, size_t i) {
    size_t n = 1;

    if ((uint8_t)text.data[i] < 0x80) {
        return n;
    }

    while (i + n < text.len && ((uint8_t)text.data[i + n] & 0xc0) == 0x80) {
        n++;
    }

    return n;
}

void model_quote(mesh_str_t text, char *out, size_t size) {
    size_t len = 0;
    size_t i = 0;

    out[len++] = '"';

    while (i < text.len) {
        uint8_t c = (uint8_t)text.data[i];
        size_t n = char_len(text, i);

        /* Room for it or its escape, the dots, the quote and the NUL. */
        if (i + n > QUOTE_MAX || len + mesh_max(n, (size_t)4) + 5 > size) {
            break;
        }

        if (c < 0x20 || c == 0x7f) {
            len += (size_t)snprintf(out + len, size - len, "\\x%02x", c);
        } else {
            if (c == '"' || c == '\\') {
                out[len++] = '\\';
            }

            memcpy(out + len, text.data + i, n);
            len += n;
        }

        i += n;
    }

    snprintf(out + len, size - len, "%s", i < text.len ? "...\"" : "\"");
}

void model_describe(const model_node_t *node, char *out, size_t size) {
    switch (node->kind) {
    case MODEL_NODE_NULL:
        snprintf(out, size, "nothing");
        break;

    case MODEL_NODE_LIST:
        snprintf(out, size, "a list");
        break;

    case MODEL_NODE_MAP:
        snprintf(out, size, "a map");
        break;

    case MODEL_NODE_SCALAR:
        if (model_is_text(node)) {
            model_quote(node->text, out, size);
        } else {
            snprintf(out, size, "%.*s",
                     (int)mesh_min(node->text.len, (size_t)QUOTE_MAX),
                     node->text.data);
        }

        break;
    }
}

bool model_parse_u64(mesh_str_t text, uint64_t *value) {
    uint64_t v = 0;

    if (text.len == 0 || text.len > 18) {
        return false;
    }

    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.data[i])) {
            return false;
        }

        v = v * 10 + (uint64_t)(text.data[i] - '0');
    }

    *value = v;
    return true;
}

bool model_parse_size(mesh_str_t text, uint64_t *bytes) {
    static const char units[] = "kmg";
    const char *unit;
    unsigned shift = 0;
    uint64_t value;

    if (text.len == 0) {
        return false;
    }

    unit = strchr(units, mesh_lower(text.data[text.len - 1]));

    if (unit != NULL && *unit != '\0') {
        shift = 10 * (unsigned)(unit - units + 1);
        text.len--;
    }

    if (!model_parse_u64(text, &value) || value > UINT64_MAX >> shift) {
        return false;
    }

    *bytes = value << shift;
    return true;
}

bool model_parse_i64(mesh_str_t text, int64_t *value) {
    bool minus = text.len != 0 && text.data[0] == '-';
    uint64_t most = (uint64_t)INT64_MAX + minus;
    uint64_t v = 0;

    if (text.len == minus) {
        return false;
    }

    for (size_t i = minus; i < text.len; i++) {
        if (!is_digit(text.data[i])) {
            return false;
        }

        uint64_t digit = (uint64_t)(text.data[i] - '0');

        if (v > (most - digit) / 10) {
            return false;
        }

        v = v * 10 + digit;
    }

    *value = (int64_t)(minus ? 0 - v : v);
    return true;
}

/* Milliseconds of a unit, 0 if there is none such. */
static uint64_t unit_ms(mesh_str_t unit) {
    if (mesh_str_eq(unit, MESH_STR("ms"))) {
        return 1;
    }

    if (unit.len != 1) {
        return 0;
    }

    switch (unit.data[0]) {
    case 's':
        return 1000;
    case 'm':
        return 60 * 1000;
    case 'h':
        return 60 * 60 * 1000;
    default:
        return 0;
    }
}

bool model_parse_duration(mesh_str_t text, uint64_t *ms) {
    size_t end = skip_digits(text, 0);
    uint64_t whole;

    if (!model_parse_u64((mesh_str_t){end, text.data}, &whole) ||
        whole > UINT32_MAX) {
        return false;
    }

    if (end == text.len) {
        *ms = 0;
        return whole == 0;
    }

    uint64_t part = 0;
    uint64_t scale = 1;

    if (text.data[end] == '.') {
        size_t point = end + 1;

        end = skip_digits(text, point);

        mesh_str_t digits = {end - point, text.data + point};

        if (digits.len > 9 || !model_parse_u64(digits, &part)) {
            return false;
        }

        for (size_t i = 0; i < digits.len; i++) {
            scale *= 10;
        }
    }

    uint64_t unit = unit_ms((mesh_str_t){text.len - end, text.data + end});

    /* Less than a millisecond is not rounded away. */
    if (unit == 0 || part * unit % scale != 0) {
        return false;
    }

    *ms = whole * unit + part * unit / scale;
    return true;
}

bool model_decode_string(model_decoder_t *d, const model_node_t *node,
                         const model_field_t *field, void *out) {
    if (!model_is_text(node)) {
        return model_wrong(d, node,
                           node->kind == MODEL_NODE_SCALAR
                               ? "text (put it in quotes)"
                               : "text");
    }

    mesh_str_t text = node->text;
    char words[64];

    if (text.len < field->min) {
        return model_wrong(d, node, "text that is not empty");
    }

    if (field->max != 0 && text.len > field->max) {
        snprintf(words, sizeof(words), "at most %llu bytes",
                 (unsigned long long)field->max);
        return model_wrong(d, node, words);
    }

    memcpy(out, &text, sizeof(text));
    return true;
}

static bool wrong_range(model_decoder_t *d, const model_node_t *node,
                        const model_field_t *field) {
    char words[96];

    if (field->type == MODEL_DURATION) {
        snprintf(words, sizeof(words),
                 "a duration of %s such as 250ms, 3s or 1m",
                 field->min == 0 ? "at most 24 days" : "1ms to 24 days");
    } else if (field->type == MODEL_PERCENT) {
        snprintf(words, sizeof(words), "a percentage from 0 to 100");
    } else {
        snprintf(words, sizeof(words), "a whole number from %llu to %llu",
                 (unsigned long long)field->min,
                 (unsigned long long)field->max);
    }

    return model_wrong(d, node, words);
}

static bool decode_number(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, void *out) {
    mesh_str_t text = node->text;
    uint64_t value = 0;
    bool ok;

    if (node->kind != MODEL_NODE_SCALAR) {
        return wrong_range(d, node, field);
    }

    switch (field->type) {
    case MODEL_DURATION:
        ok = model_parse_duration(text, &value);
        break;

    case MODEL_PERCENT:
        if (text.len > 1 && text.data[text.len - 1] == '%') {
            text.len--;
            ok = model_parse_u64(text, &value);
            break;
        }

        /* fall through */
    default:
        ok = node->plain && model_parse_u64(text, &value);
        break;
    }

    if (!ok || value < field->min ||
        value > (field->type == MODEL_PERCENT ? 100 : field->max)) {
        return wrong_range(d, node, field);
    }

    uint32_t v = (uint32_t)value;

    memcpy(out, &v, sizeof(v));
    return true;
}

static bool wrong_value(model_decoder_t *d, const model_node_t *node,
                        const model_value_t *values) {
    char words[256];
    const char *comma = "";
    size_t len = (size_t)snprintf(words, sizeof(words), "one of ");

    for (; values->name != NULL && len < sizeof(words); values++) {
        if (values->value != MODEL_VALUE_LATER) {
            len += (size_t)snprintf(words + len, sizeof(words) - len, "%s%s",
                                    comma, values->name);
            comma = ", ";
        }
    }

    return model_wrong(d, node, words);
}

static bool decode_value(model_decoder_t *d, const model_node_t *node,
                         const model_field_t *field, void *out) {
    if (!model_is_text(node)) {
        return wrong_value(d, node, field->values);
    }

    const model_value_t *value = field->values;

    while (value->name != NULL &&
           !mesh_str_eq(node->text, mesh_str_from(value->name))) {
        value++;
    }

    if (value->name == NULL) {
        return wrong_value(d, node, field->values);
    }

    if (value->value == MODEL_VALUE_LATER) {
        return model_not_yet(d, node, value->name);
    }

    if (field->type == MODEL_BIT) {
        *(uint32_t *)out |= value->value;
    } else if (field->size == 1) {
        *(uint8_t *)out = (uint8_t)value->value;
    } else {
        *(uint32_t *)out = value->value;
    }

    return true;
}

bool model_decode_scalar(model_decoder_t *d, const model_node_t *node,
                         const model_field_t *field, void *out) {
    if (field->type == MODEL_ENUM || field->type == MODEL_BIT) {
        return decode_value(d, node, field, out);
    }

    if (field->type != MODEL_BOOL) {
        return decode_number(d, node, field, out);
    }

    if (node->kind != MODEL_NODE_SCALAR || !node->plain ||
        !is_bool(node->text, out)) {
        return model_wrong(d, node, "true or false");
    }

    return true;
}

/*
 * Optimal string alignment (Damerau 1964) of short words.  Only distances up
 * to NEAR_MAX count, so only cells that near the diagonal are looked at.
 */
#define NEAR_MAX 3
#define NEAR_LEN 64
#define FAR 100u

static uint32_t near_cell(mesh_str_t text, mesh_str_t name, size_t i, size_t j,
                          uint32_t row[3][NEAR_LEN + 2]) {
    const uint32_t *up = row[(i + 2) % 3];
    char a = mesh_lower(text.data[i - 1]);
    char b = mesh_lower(name.data[j - 1]);
    uint32_t best = up[j - 1] + (a != b);

    best = mesh_min(best, up[j] + 1);
    best = mesh_min(best, row[i % 3][j - 1] + 1);

    if (i > 1 && j > 1 && a == mesh_lower(name.data[j - 2]) &&
        mesh_lower(text.data[i - 2]) == b) {
        best = mesh_min(best, row[(i + 1) % 3][j - 2] + 1);
    }

    return best;
}

bool model_near(mesh_str_t text, mesh_str_t name, uint32_t *distance) {
    uint32_t row[3][NEAR_LEN + 2];
    size_t n = name.len;

    if (text.len > NEAR_LEN || n > NEAR_LEN || text.len + NEAR_MAX < n ||
        n + NEAR_MAX < text.len) {
        return false;
    }

    for (size_t j = 0; j <= n; j++) {
        row[0][j] = (uint32_t)j;
    }

    for (size_t i = 1; i <= text.len; i++) {
        size_t first = i > NEAR_MAX ? i - NEAR_MAX : 1;
        size_t last = mesh_min(n, i + NEAR_MAX);

        row[i % 3][first - 1] = first == 1 ? (uint32_t)i : FAR;

        for (size_t j = first; j <= last; j++) {
            row[i % 3][j] = near_cell(text, name, i, j, row);
        }

        row[i % 3][last + 1] = FAR;
    }

    *distance = row[text.len % 3][n];

    return *distance <= (n <= 3 ? 1u : n <= 7 ? 2u : NEAR_MAX);
}
