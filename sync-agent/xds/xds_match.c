/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What headers, query parameters and cookies must be, in Envoy's messages.
 */

#include "xds_table.h"

#define MATCHES_MAX 64

typedef struct {
    model_match_t match; /* the form of all messages here begins with it */
    bool present;
    const model_node_t *name;
} match_form_t;

#define MATCH(member) offsetof(match_form_t, match.member)

/* --- conditions on a text ------------------------------------------------ */

/* The conditions' rows come first, in this order. */
enum {
    STRING_EXACT,
    STRING_PREFIX,
    STRING_SUFFIX,
    STRING_CONTAINS,
    STRING_REGEX,
    STRING_CONDITIONS,
};

static const mesh_match_op_e string_ops[] = {
    [STRING_EXACT] = MESH_MATCH_EXACT,
    [STRING_PREFIX] = MESH_MATCH_PREFIX,
    [STRING_SUFFIX] = MESH_MATCH_SUFFIX,
    [STRING_CONTAINS] = MESH_MATCH_CONTAINS,
    [STRING_REGEX] = MESH_MATCH_REGEX,
};

/* min: bytes; max: bytes, 0: a header's */
static bool decode_text(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    mesh_str_t text;

    if (!model_header_value(&x->d, node, &text)) {
        return false;
    }

    if (text.len < field->min) {
        return model_wrong(&x->d, node, "text that is not empty");
    }

    if (field->max != 0 && text.len > field->max) {
        return model_wrong(&x->d, node, "at most 256 bytes");
    }

    memcpy(out, &text, sizeof(text));
    return true;
}

#define STRING_ONE "more than one condition"

#define TEXT(text, least, most)                                                \
    {                                                                          \
        .name = (text), .type = XDS_CUSTOM, .oneof = STRING_ONE,               \
        .offset = MATCH(value), .min = (least), .max = (most),                 \
        .decode = decode_text                                                  \
    }

#define REGEX(text)                                                            \
    {                                                                          \
        .name = (text), .type = XDS_MESSAGE, .oneof = STRING_ONE,              \
        .offset = MATCH(value), .message = &xds_regex_matcher                  \
    }

static const xds_field_t string_fields[] = {
    [STRING_EXACT] = TEXT("exact", 0, 0),
    [STRING_PREFIX] = TEXT("prefix", 1, 0),
    [STRING_SUFFIX] = TEXT("suffix", 1, 0),
    [STRING_CONTAINS] = TEXT("contains", 1, MESH_CONTAINS_MAX),
    [STRING_REGEX] = REGEX("safe_regex"),
    {.name = "ignore_case", .type = XDS_BOOL, .offset = MATCH(ignore_case)},
    {.name = "custom", .type = XDS_LATER, .oneof = STRING_ONE},
};

/* Of a pattern, ignore_case says nothing. */
static bool finish_string(xds_decoder_t *x, const model_node_t *node,
                          uint64_t seen, void *out) {
    model_match_t *match = out;
    uint64_t condition = seen & ((1 << STRING_CONDITIONS) - 1);

    if (condition == 0) {
        return model_wrong_found(&x->d, node, "no condition",
                                 "one of exact, prefix, suffix, contains, "
                                 "safe_regex");
    }

    match->op = string_ops[__builtin_ctzll(condition)];

    if (match->op == MESH_MATCH_REGEX) {
        match->ignore_case = false;
    }

    return !match->ignore_case || model_fold(&x->d, node, &match->value);
}

const xds_message_t xds_string_matcher = {
    .name = "envoy.type.matcher.v3.StringMatcher",
    XDS_FIELDS(string_fields),
    .finish = finish_string,
};

/* --- headers ------------------------------------------------------------- */

static bool decode_name(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    (void)field;

    if (!model_is_text(node)) {
        return model_wrong(&x->d, node, "a name");
    }

    memcpy(out, &node, sizeof(node));
    return true;
}

/* The name as the native front end has it: as a key. */
static bool take_name(xds_decoder_t *x, match_form_t *form,
                      mesh_match_from_e from) {
    model_node_t key = *form->name;
    bool ok;

    key.key = key.text;
    key.key_line = key.line;
    key.key_column = key.column;
    model_push_field(&x->d, "name");
    ok = model_match_name(&x->d, &key, from, &form->match);
    model_pop(&x->d);
    return ok;
}

static bool decode_i64(xds_decoder_t *x, const model_node_t *node,
                       const xds_field_t *field, void *out) {
    (void)field;

    if (node->kind != MODEL_NODE_SCALAR || !model_parse_i64(node->text, out)) {
        return model_wrong(&x->d, node,
                           "a whole number of 64 bits such as -10 or 5");
    }

    return true;
}

static const xds_field_t range_fields[] = {
    {.name = "start",
     .type = XDS_CUSTOM,
     .offset = offsetof(model_match_t, start),
     .decode = decode_i64},
    {.name = "end",
     .type = XDS_CUSTOM,
     .offset = offsetof(model_match_t, end),
     .decode = decode_i64},
};

static bool finish_range(xds_decoder_t *x, const model_node_t *node,
                         uint64_t seen, void *out) {
    const model_match_t *match = out;

    (void)seen;

    return match->start < match->end ||
           model_wrong_found(&x->d, node, "a range that no number is in",
                             "start below end, which is not in it");
}

static const xds_message_t int64_range = {
    .name = "envoy.type.v3.Int64Range",
    XDS_FIELDS(range_fields),
    .finish = finish_range,
};

enum {
    HEADER_NAME,
    HEADER_EXACT,
    HEADER_PREFIX,
    HEADER_SUFFIX,
    HEADER_CONTAINS,
    HEADER_REGEX,
    HEADER_RANGE,
    HEADER_PRESENT,
    HEADER_STRING,
};

static const xds_field_t header_fields[] = {
    [HEADER_NAME] = {.name = "name",
                     .type = XDS_CUSTOM,
                     .flags = XDS_REQUIRED,
                     .offset = offsetof(match_form_t, name),
                     .decode = decode_name},
    [HEADER_EXACT] = TEXT("exact_match", 0, 0),
    [HEADER_PREFIX] = TEXT("prefix_match", 1, 0),
    [HEADER_SUFFIX] = TEXT("suffix_match", 1, 0),
    [HEADER_CONTAINS] = TEXT("contains_match", 1, MESH_CONTAINS_MAX),
    [HEADER_REGEX] = REGEX("safe_regex_match"),
    [HEADER_RANGE] = {.name = "range_match",
                      .type = XDS_MESSAGE,
                      .oneof = STRING_ONE,
                      .message = &int64_range},
    [HEADER_PRESENT] = {.name = "present_match",
                        .type = XDS_BOOL,
                        .oneof = STRING_ONE,
                        .offset = offsetof(match_form_t, present)},
    [HEADER_STRING] = {.name = "string_match",
                       .type = XDS_MESSAGE,
                       .oneof = STRING_ONE,
                       .message = &xds_string_matcher},
    {.name = "invert_match", .type = XDS_BOOL, .offset = MATCH(invert)},
    {.name = "treat_missing_header_as_empty",
     .type = XDS_BOOL,
     .offset = MATCH(missing_as_empty)},
};

static mesh_match_op_e header_op(uint64_t seen, const match_form_t *form) {
    static const mesh_match_op_e ops[] = {
        [HEADER_EXACT] = MESH_MATCH_EXACT,
        [HEADER_PREFIX] = MESH_MATCH_PREFIX,
        [HEADER_SUFFIX] = MESH_MATCH_SUFFIX,
        [HEADER_CONTAINS] = MESH_MATCH_CONTAINS,
        [HEADER_REGEX] = MESH_MATCH_REGEX,
        [HEADER_RANGE] = MESH_MATCH_RANGE,
        [HEADER_PRESENT] = MESH_MATCH_PRESENT,
    };
    uint64_t condition =
        seen & ((1 << (HEADER_PRESENT + 1)) - 1) & ~UINT64_C(1);

    if (seen >> HEADER_STRING & 1) {
        return form->match.op;
    }

    return condition != 0 ? ops[__builtin_ctzll(condition)]
                          : MESH_MATCH_PRESENT;
}

/* Without a condition it is asked for its presence. */
static bool finish_header(xds_decoder_t *x, const model_node_t *node,
                          uint64_t seen, void *out) {
    match_form_t *form = out;
    model_match_t *match = &form->match;

    match->op = header_op(seen, form);

    if (match->op == MESH_MATCH_PRESENT) {
        if ((seen >> HEADER_PRESENT & 1) && !form->present) {
            match->invert = !match->invert;
        }

        if (match->missing_as_empty) {
            return model_wrong_found(
                &x->d, node, "treat_missing_header_as_empty with a presence",
                "one of them");
        }
    }

    return take_name(x, form, MESH_FROM_HEADER);
}

const xds_message_t xds_header_matcher = {
    .name = "envoy.config.route.v3.HeaderMatcher",
    XDS_FIELDS(header_fields),
    .finish = finish_header,
};

/* --- query parameters ---------------------------------------------------- */

enum { QUERY_NAME, QUERY_STRING, QUERY_PRESENT };

static const xds_field_t query_fields[] = {
    [QUERY_NAME] = {.name = "name",
                    .type = XDS_CUSTOM,
                    .flags = XDS_REQUIRED,
                    .offset = offsetof(match_form_t, name),
                    .decode = decode_name},
    [QUERY_STRING] = {.name = "string_match",
                      .type = XDS_MESSAGE,
                      .oneof = STRING_ONE,
                      .message = &xds_string_matcher},
    [QUERY_PRESENT] = {.name = "present_match",
                       .type = XDS_BOOL,
                       .oneof = STRING_ONE,
                       .offset = offsetof(match_form_t, present)},
};

static bool finish_query(xds_decoder_t *x, const model_node_t *node,
                         uint64_t seen, void *out) {
    match_form_t *form = out;

    (void)node;

    if (!(seen >> QUERY_STRING & 1)) {
        form->match.op = MESH_MATCH_PRESENT;
        form->match.invert = (seen >> QUERY_PRESENT & 1) && !form->present;
    }

    return take_name(x, form, MESH_FROM_QUERY);
}

const xds_message_t xds_query_matcher = {
    .name = "envoy.config.route.v3.QueryParameterMatcher",
    XDS_FIELDS(query_fields),
    .finish = finish_query,
};

/* --- cookies ------------------------------------------------------------- */

static const xds_field_t cookie_fields[] = {
    {.name = "name",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED,
     .offset = offsetof(match_form_t, name),
     .decode = decode_name},
    {.name = "string_match",
     .type = XDS_MESSAGE,
     .flags = XDS_REQUIRED,
     .message = &xds_string_matcher},
    {.name = "invert_match", .type = XDS_BOOL, .offset = MATCH(invert)},
};

static bool finish_cookie(xds_decoder_t *x, const model_node_t *node,
                          uint64_t seen, void *out) {
    (void)node;
    (void)seen;

    return take_name(x, out, MESH_FROM_COOKIE);
}

const xds_message_t xds_cookie_matcher = {
    .name = "envoy.config.route.v3.CookieMatcher",
    XDS_FIELDS(cookie_fields),
    .finish = finish_cookie,
};

/* --- the lists ----------------------------------------------------------- */

bool xds_decode_matches(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    model_matches_t *matches = out;
    uint32_t index = 0;
    bool ok = true;

    if (!xds_is(x, node, MODEL_NODE_LIST)) {
        return false;
    }

    if (node->count > MATCHES_MAX) {
        return model_wrong_found(&x->d, node, "more than 64", "at most 64");
    }

    matches->v = arena_alloc(x->d.arena, sizeof(*matches->v) * node->count);

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        match_form_t form = {.present = false};

        model_push_index(&x->d, index++);
        ok &= xds_decode_message(x, n, field->message, &form);
        matches->v[matches->count++] = form.match;
        model_pop(&x->d);
    }

    return ok;
}
