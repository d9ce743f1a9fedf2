/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What headers, query parameters and cookies must be: conditions with a text,
 * a range or nothing to be compared with.
 */

#include "model_regex.h"
#include "model_table.h"

#include <stdio.h>

typedef struct {
    model_match_t match;
    bool present;
} match_form_t;

/* The conditions, of which a match has one; their rows come first. */
enum {
    MATCH_EXACT,
    MATCH_PREFIX,
    MATCH_SUFFIX,
    MATCH_CONTAINS,
    MATCH_PRESENT,
    MATCH_RANGE,
    MATCH_REGEX,
    MATCH_CONDITIONS,
};

static const mesh_match_op_e match_ops[] = {
    [MATCH_EXACT] = MESH_MATCH_EXACT,
    [MATCH_PREFIX] = MESH_MATCH_PREFIX,
    [MATCH_SUFFIX] = MESH_MATCH_SUFFIX,
    [MATCH_CONTAINS] = MESH_MATCH_CONTAINS,
    [MATCH_PRESENT] = MESH_MATCH_PRESENT,
    [MATCH_RANGE] = MESH_MATCH_RANGE,
    [MATCH_REGEX] = MESH_MATCH_REGEX,
};

static bool decode_text(model_decoder_t *d, const model_node_t *node,
                        const model_field_t *field, void *out) {
    mesh_str_t text;

    if (!model_header_value(d, node, &text)) {
        return false;
    }

    if (text.len < field->min) {
        return model_wrong(d, node, "text that is not empty");
    }

    if (field->max != 0 && text.len > field->max) {
        return model_wrong(d, node, "at most 256 bytes");
    }

    memcpy(out, &text, sizeof(text));
    return true;
}

bool model_decode_regex(model_decoder_t *d, const model_node_t *node,
                        const model_field_t *field, void *out) {
    static const model_field_t text = {.min = 1, .max = MESH_REGEX_MAX};
    mesh_str_t pattern;
    char why[192];
    char expected[256];

    (void)field;

    if (!model_decode_string(d, node, &text, &pattern)) {
        return false;
    }

    if (!model_regex_valid(pattern, why, sizeof(why))) {
        snprintf(expected, sizeof(expected), "a regular expression of RE2: %s",
                 why);
        return model_wrong(d, node, expected);
    }

    memcpy(out, &pattern, sizeof(pattern));
    return true;
}

static const char EXPECT_I64[] = "a whole number of 64 bits such as -10 or 5";

static bool decode_i64(model_decoder_t *d, const model_node_t *node,
                       const model_field_t *field, void *out) {
    (void)field;

    if (node->kind != MODEL_NODE_SCALAR || !node->plain ||
        !model_parse_i64(node->text, out)) {
        return model_wrong(d, node, EXPECT_I64);
    }

    return true;
}

static const model_field_t range_fields[] = {
    {.name = "start",
     .type = MODEL_CUSTOM,
     .flags = MODEL_REQUIRED,
     .offset = offsetof(model_match_t, start),
     .decode = decode_i64,
     .expected = EXPECT_I64,
     .about = "the least number",
     .schema = "{'type': 'integer'}"},
    {.name = "end",
     .type = MODEL_CUSTOM,
     .flags = MODEL_REQUIRED,
     .offset = offsetof(model_match_t, end),
     .decode = decode_i64,
     .expected = EXPECT_I64,
     .about = "the first number that is too great",
     .schema = "{'type': 'integer'}"},
};

static bool finish_range(model_decoder_t *d, const model_node_t *node,
                         uint64_t seen, void *out) {
    const model_match_t *match = out;

    (void)seen;

    return match->start < match->end ||
           model_wrong_found(d, node, "a range that no number is in",
                             "start below end, which is not in it");
}

static const model_object_t range_object = {
    .name = "a range",
    MODEL_FIELDS(range_fields),
    .finish = finish_range,
};

#define TEXT(text, least, most, words)                                         \
    {                                                                          \
        .name = (text), .type = MODEL_CUSTOM,                                  \
        .offset = offsetof(match_form_t, match.value), .min = (least),         \
        .max = (most), .decode = decode_text, .expected = "text",              \
        .about = (words), .pattern = MODEL_PATTERN_VALUE                       \
    }

#define FLAG(text, member, words)                                              \
    {                                                                          \
        .name = (text), .type = MODEL_BOOL,                                    \
        .offset = offsetof(match_form_t, member), .about = (words)             \
    }

static const model_field_t match_fields[] = {
    [MATCH_EXACT] = TEXT("exact", 0, 0, "the value is this"),
    [MATCH_PREFIX] = TEXT("prefix", 1, 0, "it begins with this"),
    [MATCH_SUFFIX] = TEXT("suffix", 1, 0, "it ends with this"),
    [MATCH_CONTAINS] =
        TEXT("contains", 1, MESH_CONTAINS_MAX, "this is somewhere in it"),
    [MATCH_PRESENT] = FLAG("present", present, "it is there, or not"),
    [MATCH_RANGE] =
        {.name = "range",
         .type = MODEL_OBJECT,
         .offset = offsetof(match_form_t, match),
         .object = &range_object,
         .about = "it is a decimal number, at least start and below end"},
    [MATCH_REGEX] =
        {.name = "regex",
         .type = MODEL_CUSTOM,
         .offset = offsetof(match_form_t, match.value),
         .decode = model_decode_regex,
         .expected = "a regular expression",
         .about = "the whole value matches this regular expression of RE2",
         .min = 1,
         .max = MESH_REGEX_MAX},
    FLAG("ignore_case", match.ignore_case, "ASCII letters in any case"),
    FLAG("invert", match.invert, "must not match"),

    /* The last: only headers have it. */
    FLAG("treat_missing_as_empty", match.missing_as_empty,
         "a header that is not there is as good as an empty one"),
};

static bool finish_match(model_decoder_t *d, const model_node_t *node,
                         uint64_t seen, void *out) {
    match_form_t *form = out;
    model_match_t *match = &form->match;
    uint64_t condition = seen & ((1 << MATCH_CONDITIONS) - 1);

    if (condition == 0 || (condition & (condition - 1)) != 0) {
        return model_wrong_found(
            d, node,
            condition == 0 ? "no condition" : "more than one condition",
            "one of exact, prefix, suffix, contains, present, range, regex");
    }

    match->op = match_ops[__builtin_ctzll(condition)];

    if (match->op == MESH_MATCH_PRESENT && !form->present) {
        match->invert = !match->invert;
    }

    if (match->op == MESH_MATCH_PRESENT && match->missing_as_empty) {
        return model_wrong_found(d, node, "treat_missing_as_empty with present",
                                 "one of them");
    }

    if (!match->ignore_case) {
        return true;
    }

    if (match->op == MESH_MATCH_REGEX) {
        return model_wrong_found(d, node, "ignore_case with a regex",
                                 "(?i) before its text");
    }

    if (match->op == MESH_MATCH_PRESENT || match->op == MESH_MATCH_RANGE) {
        return model_wrong_found(d, node, "ignore_case without a text",
                                 "it with exact, prefix, suffix, contains");
    }

    return model_fold(d, node, &match->value);
}

#define MATCH_RULES                                                            \
    {MODEL_RULE_ONE, "exact prefix suffix contains present range regex", NULL, \
     NULL},                                                                    \
    {                                                                          \
        MODEL_RULE_VALUE, "regex present range", "ignore_case", "false"        \
    }

static const model_rule_t header_rules[] = {
    MATCH_RULES,
    {MODEL_RULE_VALUE, "present", "treat_missing_as_empty", "false"},
    {MODEL_RULE_ONE, NULL, NULL, NULL},
};

static const model_rule_t value_rules[] = {
    MATCH_RULES,
    {MODEL_RULE_ONE, NULL, NULL, NULL},
};

static const model_object_t header_object = {
    .name = "a header match",
    MODEL_FIELDS(match_fields),
    .scalar = "exact",
    .finish = finish_match,
    .rules = header_rules,
};

static const model_object_t value_object = {
    .name = "a value match",
    .fields = match_fields,
    .count = mesh_nelts(match_fields) - 1,
    .scalar = "exact",
    .finish = finish_match,
    .rules = value_rules,
};

/* --- origins ------------------------------------------------------------- */

/* Of an origin, a text is compared, and nothing else. */
enum {
    ORIGIN_EXACT,
    ORIGIN_PREFIX,
    ORIGIN_SUFFIX,
    ORIGIN_CONTAINS,
    ORIGIN_REGEX,
    ORIGIN_CONDITIONS,
};

static const model_field_t origin_fields[] = {
    [ORIGIN_EXACT] = TEXT("exact", 1, 0, "the origin is this"),
    [ORIGIN_PREFIX] = TEXT("prefix", 1, 0, "it begins with this"),
    [ORIGIN_SUFFIX] = TEXT("suffix", 1, 0, "it ends with this"),
    [ORIGIN_CONTAINS] =
        TEXT("contains", 1, MESH_CONTAINS_MAX, "this is somewhere in it"),
    [ORIGIN_REGEX] = {.name = "regex",
                      .type = MODEL_CUSTOM,
                      .offset = offsetof(match_form_t, match.value),
                      .decode = model_decode_regex,
                      .expected = "a regular expression",
                      .about = "the whole origin matches this regular "
                               "expression of RE2",
                      .min = 1,
                      .max = MESH_REGEX_MAX},
    FLAG("ignore_case", match.ignore_case, "ASCII letters in any case"),
};

static bool finish_origin(model_decoder_t *d, const model_node_t *node,
                          uint64_t seen, void *out) {
    static const mesh_match_op_e ops[] = {
        [ORIGIN_EXACT] = MESH_MATCH_EXACT,
        [ORIGIN_PREFIX] = MESH_MATCH_PREFIX,
        [ORIGIN_SUFFIX] = MESH_MATCH_SUFFIX,
        [ORIGIN_CONTAINS] = MESH_MATCH_CONTAINS,
        [ORIGIN_REGEX] = MESH_MATCH_REGEX,
    };
    model_match_t *match = &((match_form_t *)out)->match;

    seen &= (1 << ORIGIN_CONDITIONS) - 1;

    if (seen == 0 || (seen & (seen - 1)) != 0) {
        return model_wrong_found(
            d, node, seen == 0 ? "no condition" : "more than one condition",
            "one of exact, prefix, suffix, contains, regex");
    }

    match->op = ops[__builtin_ctzll(seen)];
    match->from = MESH_FROM_HEADER;
    match->name = MESH_STR("origin");

    if (match->ignore_case && match->op == MESH_MATCH_REGEX) {
        return model_wrong_found(d, node, "ignore_case with a regex",
                                 "(?i) before its text");
    }

    return !match->ignore_case || model_fold(d, node, &match->value);
}

static const model_rule_t origin_rules[] = {
    {MODEL_RULE_ONE, "exact prefix suffix contains regex", NULL, NULL},
    {MODEL_RULE_VALUE, "regex", "ignore_case", "false"},
    {MODEL_RULE_ONE, NULL, NULL, NULL},
};

static const model_object_t origin_object = {
    .name = "an origin",
    MODEL_FIELDS(origin_fields),
    .scalar = "exact",
    .finish = finish_origin,
    .rules = origin_rules,
};

static bool decode_origin(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, void *out) {
    match_form_t form = {.present = false};

    if (!model_decode_object(d, node, field->object, &form)) {
        return false;
    }

    memcpy(out, &form.match, sizeof(form.match));
    return true;
}

const model_field_t model_origin_element = {
    .type = MODEL_CUSTOM,
    .object = &origin_object,
    .decode = decode_origin,
    .expected = "an origin such as https://shop.local, or a map",
};

const model_field_t model_header_match_element = {
    .type = MODEL_OBJECT,
    .object = &header_object,
};

const model_field_t model_value_match_element = {
    .type = MODEL_OBJECT,
    .object = &value_object,
};

bool model_fold(model_decoder_t *d, const model_node_t *node,
                mesh_str_t *text) {
    if (text->len > MESH_FOLDED_MAX) {
        return model_wrong_found(d, node, "a longer text in any case",
                                 "at most 1024 bytes with ignore_case");
    }

    *text = arena_lower(d->arena, *text);
    return true;
}

/* --- names --------------------------------------------------------------- */

static bool pseudo_key(model_decoder_t *d, const model_node_t *node,
                       model_match_t *match) {
    static const struct {
        const char *name;
        mesh_match_from_e from;
    } pseudo[] = {
        {":method", MESH_FROM_METHOD},
        {":authority", MESH_FROM_AUTHORITY},
        {":path", MESH_FROM_PATH},
        {":scheme", MESH_FROM_SCHEME},
    };

    for (size_t i = 0; i < mesh_nelts(pseudo); i++) {
        if (mesh_str_eq(node->key, mesh_str_from(pseudo[i].name))) {
            match->from = pseudo[i].from;
            match->name = node->key;
            return true;
        }
    }

    return model_wrong_name(d, node, node->key, true,
                            "a header, :method, :authority, :path or :scheme");
}

static bool header_key(model_decoder_t *d, const model_node_t *node,
                       void *out) {
    model_match_t *match = &((match_form_t *)out)->match;

    if (node->key.len != 0 && node->key.data[0] == ':') {
        return pseudo_key(d, node, match);
    }

    if (!model_header_name(d, node, node->key, true, &match->name)) {
        return false;
    }
    /*
     * There may be several, of which the first goes upstream, and an absolute
     * target overrules them all (RFC 9112, section 3.2.2).
     */
    if (mesh_str_eq(match->name, MESH_STR("host"))) {
        match->from = MESH_FROM_AUTHORITY;
        match->name = MESH_STR(":authority");
    }
    return true;
}

/* A name that could be there: not empty, and none of what ends names. */
static bool value_key(model_decoder_t *d, const model_node_t *node,
                      const char *ends, const char *expected,
                      mesh_str_t *name) {
    bool ok = node->key.len != 0 && node->key.len <= MESH_NAME_MAX;

    for (size_t i = 0; ok && i < node->key.len; i++) {
        uint8_t c = (uint8_t)node->key.data[i];

        ok = c > 0x20 && c != 0x7f && strchr(ends, c) == NULL;
    }

    *name = node->key;
    return ok || model_wrong_name(d, node, node->key, true, expected);
}

static bool query_key(model_decoder_t *d, const model_node_t *node, void *out) {
    model_match_t *match = &((match_form_t *)out)->match;

    match->from = MESH_FROM_QUERY;
    return value_key(d, node, "&=#",
                     "a parameter's name of at most 1024 bytes, as it is "
                     "sent: without spaces, &, = and #",
                     &match->name);
}

static bool cookie_key(model_decoder_t *d, const model_node_t *node,
                       void *out) {
    model_match_t *match = &((match_form_t *)out)->match;

    match->from = MESH_FROM_COOKIE;
    return value_key(d, node, "=;",
                     "a cookie's name of at most 1024 bytes: without spaces, "
                     "= and ;",
                     &match->name);
}

/* --- the maps ------------------------------------------------------------ */

typedef struct {
    uint32_t count;
    match_form_t *v;
} match_forms_t;

/* Keys of a map differ, but headers have them in any case. */
static bool same_name(model_decoder_t *d, const model_node_t *node,
                      const match_forms_t *forms) {
    for (uint32_t i = 0; i < forms->count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (mesh_str_eq(forms->v[i].match.name, forms->v[j].match.name)) {
                return model_wrong_name(d, node, forms->v[i].match.name, false,
                                        "each header once, in any case");
            }
        }
    }

    return true;
}

static bool decode_matches(model_decoder_t *d, const model_node_t *node,
                           const model_field_t *element, model_key_pt key,
                           model_matches_t *out) {
    match_forms_t forms = {0, NULL};
    const model_field_t map = {.type = MODEL_MAP,
                               .offset = offsetof(match_forms_t, v),
                               .count = offsetof(match_forms_t, count),
                               .size = sizeof(match_form_t),
                               .element = element,
                               .key = key};

    if (node->count > MODEL_MATCHES_MAX) {
        return model_wrong_found(d, node, "more than 64", "at most 64");
    }

    if (!model_decode_field(d, node, &map, &forms.v) ||
        !same_name(d, node, &forms)) {
        return false;
    }

    out->count = forms.count;
    out->v = arena_alloc(d->arena, sizeof(*out->v) * forms.count);

    for (uint32_t i = 0; i < forms.count; i++) {
        out->v[i] = forms.v[i].match;
    }

    return true;
}

bool model_match_name(model_decoder_t *d, const model_node_t *node,
                      mesh_match_from_e from, model_match_t *match) {
    static const model_key_pt keys[] = {
        [MESH_FROM_HEADER] = header_key,
        [MESH_FROM_QUERY] = query_key,
        [MESH_FROM_COOKIE] = cookie_key,
    };
    match_form_t form = {.match = *match};

    if (!keys[from](d, node, &form)) {
        return false;
    }

    match->from = form.match.from;
    match->name = form.match.name;
    return true;
}

bool model_decode_headers(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, void *out) {
    (void)field;

    return decode_matches(d, node, &model_header_match_element, header_key,
                          out);
}

bool model_decode_query(model_decoder_t *d, const model_node_t *node,
                        const model_field_t *field, void *out) {
    (void)field;

    return decode_matches(d, node, &model_value_match_element, query_key, out);
}

bool model_decode_cookies(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, void *out) {
    (void)field;

    return decode_matches(d, node, &model_value_match_element, cookie_key, out);
}

/* --- the connection ------------------------------------------------------ */

static void one_match(model_decoder_t *d, const model_match_t *match,
                      model_matches_t *out) {
    out->count = 1;
    out->v = arena_alloc(d->arena, sizeof(*out->v));
    out->v[0] = *match;
}

/* Names of hosts have no case; a view has them in lower case. */
bool model_decode_sni(model_decoder_t *d, const model_node_t *node,
                      const model_field_t *field, void *out) {
    match_form_t form;
    model_match_t *match = &form.match;

    (void)field;
    memset(&form, 0, sizeof(form));

    if (!model_decode_object(d, node, &value_object, &form)) {
        return false;
    }

    match->from = MESH_FROM_SNI;
    match->name = MESH_STR("sni");

    if (match->op >= MESH_MATCH_EXACT && match->op <= MESH_MATCH_CONTAINS &&
        !match->ignore_case && !model_fold(d, node, &match->value)) {
        return false;
    }

    match->ignore_case = false;
    one_match(d, match, out);
    return true;
}

bool model_decode_port(model_decoder_t *d, const model_node_t *node,
                       const model_field_t *field, void *out) {
    const model_field_t number = {
        .type = MODEL_U32, .min = field->min, .max = field->max};
    model_match_t match = {.from = MESH_FROM_PORT,
                           .op = MESH_MATCH_EXACT,
                           .name = MESH_STR("port")};
    uint32_t port;

    if (!model_decode_field(d, node, &number, &port)) {
        return false;
    }

    const char *text = arena_printf(d->arena, "%u", port);
    match.value = mesh_str_from(text);
    one_match(d, &match, out);
    return true;
}
