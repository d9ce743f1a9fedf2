/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Messages that many others hold: percentages, patterns, data, operations on
 * headers.
 */

#include "mesh_substitute.h"
#include "xds_table.h"

#define OPS_MAX 256
#define THOUSANDTHS 1000

/* --- numbers ------------------------------------------------------------- */

static const xds_value_t denominators[] = {
    {"HUNDRED", 0, 100},
    {"TEN_THOUSAND", 1, 10000},
    {"MILLION", 2, 1000000},
    {NULL, 0, 0},
};

typedef struct {
    uint32_t numerator;
    uint32_t denominator;
} fraction_t;

static const xds_field_t fraction_fields[] = {
    {.name = "numerator",
     .type = XDS_U32,
     .offset = offsetof(fraction_t, numerator)},
    {.name = "denominator",
     .type = XDS_ENUM,
     .offset = offsetof(fraction_t, denominator),
     .values = denominators},
};

static const xds_message_t fractional_percent = {
    .name = "envoy.type.v3.FractionalPercent",
    XDS_FIELDS(fraction_fields),
};

/* More than all is all, as in Envoy. */
bool xds_decode_percent(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    model_share_t *share = out;
    fraction_t form = {0, 100};

    (void)field;

    if (!xds_decode_message(x, node, &fractional_percent, &form)) {
        return false;
    }

    uint64_t ppm =
        (uint64_t)form.numerator * (MESH_SHARE_ALL / form.denominator);

    share->set = true;
    share->ppm = (uint32_t)mesh_min(ppm, (uint64_t)MESH_SHARE_ALL);
    share->denominator = form.denominator;
    return true;
}

static bool decode_runtime_key(xds_decoder_t *x, const model_node_t *node,
                               const xds_field_t *field, void *out) {
    (void)field;

    if (!model_is_text(node) ||
        (node->text.len != 0 && !model_is_runtime_key(node->text))) {
        return model_wrong(&x->d, node,
                           "a key of at most 256 characters without blanks");
    }

    memcpy(out, &node->text, sizeof(node->text));
    return true;
}

static const xds_field_t runtime_fraction_fields[] = {
    {.name = "default_value",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED,
     .message = &fractional_percent,
     .decode = xds_decode_percent},
    {.name = "runtime_key",
     .type = XDS_CUSTOM,
     .offset = offsetof(model_share_t, key),
     .decode = decode_runtime_key},
};

const xds_message_t xds_runtime_fraction = {
    .name = "envoy.config.core.v3.RuntimeFractionalPercent",
    XDS_FIELDS(runtime_fraction_fields),
};

/* A double as far as it can be told in thousandths: "1.5", "2.0". */
static bool parse_milli(const model_node_t *node, uint32_t *milli) {
    mesh_str_t text = node->text;

    if (node->kind != MODEL_NODE_SCALAR ||
        memchr(text.data, '.', text.len) == NULL) {
        return node->kind == MODEL_NODE_SCALAR &&
               model_parse_milli(text, milli);
    }

    while (text.data[text.len - 1] == '0') {
        text.len--;
    }

    if (text.data[text.len - 1] == '.') {
        text.len--;
    }

    return model_parse_milli(text, milli);
}

static bool decode_value(xds_decoder_t *x, const model_node_t *node,
                         const xds_field_t *field, void *out) {
    uint64_t value = 0;
    mesh_str_t text = node->text;

    (void)field;

    /* 50.0 is 50. */
    if (node->kind == MODEL_NODE_SCALAR && text.len > 2 &&
        memcmp(text.data + text.len - 2, ".0", 2) == 0) {
        text.len -= 2;
    }

    if (node->kind != MODEL_NODE_SCALAR || !model_parse_u64(text, &value) ||
        value > 100) {
        return model_wrong(&x->d, node, "a whole number from 0 to 100");
    }

    uint32_t v = (uint32_t)value;

    memcpy(out, &v, sizeof(v));
    return true;
}

static const xds_field_t percent_fields[] = {
    {.name = "value", .type = XDS_CUSTOM, .decode = decode_value},
};

/* An empty message is 0, whatever the default of who holds it. */
static bool finish_percent(xds_decoder_t *x, const model_node_t *node,
                           uint64_t seen, void *out) {
    uint32_t none = 0;

    (void)x;
    (void)node;

    if (seen == 0) {
        memcpy(out, &none, sizeof(none));
    }

    return true;
}

const xds_message_t xds_percent = {
    .name = "envoy.type.v3.Percent",
    XDS_FIELDS(percent_fields),
    .finish = finish_percent,
};

static bool decode_double(xds_decoder_t *x, const model_node_t *node,
                          const xds_field_t *field, void *out) {
    uint32_t milli = 0;

    (void)field;

    if (!parse_milli(node, &milli)) {
        return model_wrong(&x->d, node,
                           "a number from 0 to 10 such as 1.5, with at most "
                           "3 decimals");
    }

    memcpy(out, &milli, sizeof(milli));
    return true;
}

static const xds_field_t runtime_double_fields[] = {
    {.name = "default_value", .type = XDS_CUSTOM, .decode = decode_double},
    {.name = "runtime_key", .type = XDS_LATER_SEEN},
};

const xds_message_t xds_runtime_milli = {
    .name = "envoy.config.core.v3.RuntimeDouble",
    XDS_FIELDS(runtime_double_fields),
};

/* --- texts --------------------------------------------------------------- */

typedef struct {
    mesh_str_t regex;
} regex_t;

static bool decode_pattern(xds_decoder_t *x, const model_node_t *node,
                           const xds_field_t *field, void *out) {
    (void)field;
    return model_decode_regex(&x->d, node, NULL, out);
}

static const xds_field_t regex_fields[] = {
    {.name = "google_re2",
     .type = XDS_IGNORED,
     .because = "RE2's syntax is the only one, and steps are limited here"},
    {.name = "regex",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED,
     .offset = offsetof(regex_t, regex),
     .decode = decode_pattern},
};

const xds_message_t xds_regex_matcher = {
    .name = "envoy.type.matcher.v3.RegexMatcher",
    XDS_FIELDS(regex_fields),
};

/* RFC 4648, either alphabet; padding may be left out.  -1: not a digit. */
static int base64_digit(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
                                 "qrstuvwxyz0123456789+/";
    const char *at = memchr(digits, c == '-' ? '+' : c == '_' ? '/' : c, 64);

    return at != NULL ? (int)(at - digits) : -1;
}

static bool decode_bytes(xds_decoder_t *x, const model_node_t *node,
                         const xds_field_t *field, void *out) {
    mesh_str_t text = node->text;
    uint32_t bits = 0;
    uint32_t have = 0;
    size_t len = 0;
    bool ok = node->kind == MODEL_NODE_SCALAR;

    (void)field;

    while (text.len != 0 && text.data[text.len - 1] == '=') {
        text.len--;
    }

    char *bytes = arena_alloc(x->d.arena, text.len + 1);

    for (size_t i = 0; ok && i < text.len; i++) {
        int digit = base64_digit(text.data[i]);

        ok = digit >= 0;
        bits = (bits << 6 | (uint32_t)(digit & 63)) & 0xffffff;
        have += 6;

        if (have >= 8) {
            have -= 8;
            bytes[len++] = (char)(bits >> have);
        }
    }

    if (!ok || len > MESH_TEXT_MAX) {
        return model_wrong(&x->d, node, "base64 of at most 65536 bytes");
    }

    memcpy(out, &(mesh_str_t){len, bytes}, sizeof(mesh_str_t));
    return true;
}

#define DATA_ONE "more than one kind of data"

static const xds_field_t data_fields[] = {
    {.name = "inline_string",
     .type = XDS_STRING,
     .oneof = DATA_ONE,
     .max = MESH_TEXT_MAX},
    {.name = "inline_bytes",
     .type = XDS_CUSTOM,
     .oneof = DATA_ONE,
     .decode = decode_bytes},
    {.name = "filename", .type = XDS_LATER, .oneof = DATA_ONE},
    {.name = "environment_variable", .type = XDS_LATER, .oneof = DATA_ONE},
    {.name = "watched_directory", .type = XDS_LATER},
};

const xds_message_t xds_data_source = {
    .name = "envoy.config.core.v3.DataSource",
    XDS_FIELDS(data_fields),
};

/* --- operations on headers ----------------------------------------------- */

typedef struct {
    model_header_op_t op;
    bool has_append;
    bool append; /* older word for append_action */
    uint32_t action;
    bool keep_empty;
} option_t;

static bool decode_key(xds_decoder_t *x, const model_node_t *node,
                       const xds_field_t *field, void *out) {
    (void)field;

    if (!model_is_text(node)) {
        return model_wrong(&x->d, node, "a header's name");
    }

    return model_op_name(&x->d, node, node->text, false, out);
}

static bool decode_header_value(xds_decoder_t *x, const model_node_t *node,
                                const xds_field_t *field, void *out) {
    mesh_str_t *value = out;

    (void)field;

    return model_header_value(&x->d, node, value) &&
           model_check_substitutions(&x->d, node, *value, x->d.response);
}

static const xds_field_t header_value_fields[] = {
    {.name = "key",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED,
     .offset = offsetof(model_header_op_t, name),
     .decode = decode_key},
    {.name = "value",
     .type = XDS_CUSTOM,
     .offset = offsetof(model_header_op_t, value),
     .decode = decode_header_value},
    {.name = "raw_value", .type = XDS_LATER},
};

static const xds_message_t header_value = {
    .name = "envoy.config.core.v3.HeaderValue",
    XDS_FIELDS(header_value_fields),
};

enum { OPTION_HEADER, OPTION_APPEND, OPTION_ACTION };

static const xds_value_t actions[] = {
    {"APPEND_IF_EXISTS_OR_ADD", 0, MESH_OP_ADD},
    {"ADD_IF_ABSENT", 1, MESH_OP_ADD_IF_ABSENT},
    {"OVERWRITE_IF_EXISTS_OR_ADD", 2, MESH_OP_SET},
    {"OVERWRITE_IF_EXISTS", 3, MESH_OP_OVERWRITE},
    {NULL, 0, 0},
};

static const xds_field_t option_fields[] = {
    [OPTION_HEADER] = {.name = "header",
                       .type = XDS_MESSAGE,
                       .flags = XDS_REQUIRED,
                       .offset = offsetof(option_t, op),
                       .message = &header_value},
    [OPTION_APPEND] = {.name = "append",
                       .type = XDS_BOOL,
                       .offset = offsetof(option_t, append)},
    [OPTION_ACTION] = {.name = "append_action",
                       .type = XDS_ENUM,
                       .offset = offsetof(option_t, action),
                       .values = actions},
    {.name = "keep_empty_value",
     .type = XDS_BOOL,
     .offset = offsetof(option_t, keep_empty)},
};

static bool finish_option(xds_decoder_t *x, const model_node_t *node,
                          uint64_t seen, void *out) {
    option_t *option = out;
    bool append = seen >> OPTION_APPEND & 1;

    if (append && option->action != MESH_OP_ADD) {
        return model_wrong_found(&x->d, node, "both append and append_action",
                                 "one of them");
    }

    option->op.op =
        append && !option->append ? MESH_OP_SET : (uint8_t)option->action;
    option->op.keep_empty =
        option->keep_empty && mesh_substitute_has(option->op.value);
    return true;
}

const xds_message_t xds_header_value_option = {
    .name = "envoy.config.core.v3.HeaderValueOption",
    XDS_FIELDS(option_fields),
    .finish = finish_option,
};

/* Room for what is in the list; false with an error: it is none, or long. */
static bool new_ops(xds_decoder_t *x, const model_node_t *node,
                    model_header_ops_t *ops) {
    if (!xds_is(x, node, MODEL_NODE_LIST)) {
        return false;
    }

    if (node->count > OPS_MAX) {
        return model_wrong_found(&x->d, node, "more than 256 headers",
                                 "at most 256");
    }

    ops->v = arena_alloc(x->d.arena, sizeof(*ops->v) * node->count);
    return true;
}

bool xds_decode_ops_add(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    model_header_ops_t *ops = out;
    uint32_t index = 0;
    bool ok = true;

    if (!new_ops(x, node, ops)) {
        return false;
    }

    x->d.response = strncmp(field->name, "response", 8) == 0;

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        option_t option = {.keep_empty = false};

        model_push_index(&x->d, index++);
        option.op.value = MESH_STR("");

        if (!xds_decode_message(x, n, &xds_header_value_option, &option)) {
            ok = false;
        } else if (option.op.value.len != 0 || option.keep_empty) {
            ops->v[ops->count++] = option.op;
        }

        model_pop(&x->d);
    }

    return ok;
}

bool xds_decode_ops_remove(xds_decoder_t *x, const model_node_t *node,
                           const xds_field_t *field, void *out) {
    model_header_ops_t *ops = out;
    uint32_t index = 0;
    bool ok = true;

    if (!new_ops(x, node, ops)) {
        return false;
    }

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        model_header_op_t *op = &ops->v[ops->count++];

        model_push_index(&x->d, index++);
        op->op = MESH_OP_REMOVE;
        ok &= decode_key(x, n, field, &op->name);
        model_pop(&x->d);
    }

    return ok;
}

void xds_append_ops(arena_t *arena, model_header_ops_t *ops,
                    const model_header_ops_t *more) {
    model_header_ops_t all = {0, NULL};

    if (more->count == 0) {
        return;
    }

    all.v = arena_alloc(arena, sizeof(*all.v) * (ops->count + more->count));

    if (ops->count != 0) {
        memcpy(all.v, ops->v, sizeof(*all.v) * ops->count);
    }

    memcpy(all.v + ops->count, more->v, sizeof(*all.v) * more->count);
    all.count = ops->count + more->count;
    *ops = all;
}

model_header_ops_t xds_join_ops(arena_t *arena, const xds_header_ops_t *ops) {
    model_header_ops_t all = ops->remove;

    xds_append_ops(arena, &all, &ops->add);
    return all;
}
