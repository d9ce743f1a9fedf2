/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Headers: their names and values, and what a route does to them.
 */

#include "model_table.h"

#include <stdio.h>

#define OPS_MAX 256

/* tchar of RFC 9110, section 5.6.2. */
bool model_is_token(mesh_str_t text) {
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < text.len; i++) {
        char c = mesh_lower(text.data[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) &&
            memchr(others, c, sizeof(others) - 1) == NULL) {
            return false;
        }
    }

    return text.len != 0;
}

bool model_wrong_name(model_decoder_t *d, const model_node_t *node,
                      mesh_str_t text, bool is_key, const char *expected) {
    char found[128];

    model_quote(text, found, sizeof(found));

    return is_key ? model_wrong_key(d, node, found, expected)
                  : model_wrong_found(d, node, found, expected);
}

bool model_header_name(model_decoder_t *d, const model_node_t *node,
                       mesh_str_t text, bool is_key, mesh_str_t *out) {
    if (!model_is_token(text) || text.len > MESH_HEADER_NAME_MAX) {
        return model_wrong_name(d, node, text, is_key,
                                "a header's name: letters, digits and - of at "
                                "most 256 bytes");
    }

    mesh_str_t copy = arena_str(d->arena, text);
    char *at = (char *)copy.data;

    for (size_t i = 0; i < copy.len; i++) {
        at[i] = mesh_lower(at[i]);
    }

    *out = copy;
    return true;
}

bool model_header_value(model_decoder_t *d, const model_node_t *node,
                        mesh_str_t *out) {
    static const model_field_t text = {.max = MESH_TEXT_MAX};

    if (!model_decode_string(d, node, &text, out)) {
        return false;
    }

    for (size_t i = 0; i < out->len; i++) {
        uint8_t c = (uint8_t)out->data[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return model_wrong(d, node,
                               "a value without line breaks and control "
                               "characters");
        }
    }

    return true;
}

/* --- operations ---------------------------------------------------------- */

typedef struct {
    const char *name;
    const char *reason;
} refused_t;

/* What a connection or the proxy owns (RFC 9110, section 7.6.1). */
static const refused_t refused[] = {
    {"host", "rewrite.host for the host"},
    {"connection", "a header that is not the connection's own"},
    {"keep-alive", "a header that is not the connection's own"},
    {"proxy-connection", "a header that is not the connection's own"},
    {"te", "a header that is not the connection's own"},
    {"trailer", "a header that is not the connection's own"},
    {"transfer-encoding", "a header that does not frame the body"},
    {"content-length", "a header that does not frame the body"},
    {"upgrade", "a header that is not the connection's own"},
};

static bool op_name(model_decoder_t *d, const model_node_t *node,
                    mesh_str_t text, bool is_key, mesh_str_t *out) {
    if (text.len != 0 && text.data[0] == ':') {
        return model_wrong_name(d, node, text, is_key,
                                "a header that is not a pseudo-header");
    }

    if (!model_header_name(d, node, text, is_key, out)) {
        return false;
    }

    for (size_t i = 0; i < mesh_nelts(refused); i++) {
        if (mesh_str_eq(*out, mesh_str_from(refused[i].name))) {
            return model_wrong_name(d, node, text, is_key, refused[i].reason);
        }
    }

    /* The name goes out as it was written. */
    *out = text;
    return true;
}

/* Envoy's %COMMAND(...)%: text here, a surprise for who means it. */
static bool has_command(mesh_str_t value) {
    for (size_t i = 0; i + 2 < value.len; i++) {
        if (value.data[i] != '%') {
            continue;
        }

        size_t j = i + 1;

        while (j < value.len &&
               ((value.data[j] >= 'A' && value.data[j] <= 'Z') ||
                value.data[j] == '_')) {
            j++;
        }

        if (j > i + 2 && j < value.len &&
            (value.data[j] == '%' || value.data[j] == '(')) {
            return true;
        }
    }

    return false;
}

static bool op_value(model_decoder_t *d, const model_node_t *node,
                     mesh_str_t *out) {
    if (!model_header_value(d, node, out)) {
        return false;
    }

    return !has_command(*out) ||
           model_not_yet(d, node, "a %COMMAND% in a header's value");
}

/* Values of one name: one, or a list of them. */
static bool decode_values(model_decoder_t *d, const model_node_t *node,
                          model_header_ops_t *ops, mesh_header_op_e op) {
    model_header_op_t entry = {.op = op};
    bool ok = op_name(d, node, node->key, true, &entry.name);

    if (op != MESH_OP_ADD || node->kind != MODEL_NODE_LIST) {
        ok &= op_value(d, node, &entry.value);
        ops->v[ops->count++] = entry;
        return ok;
    }

    uint32_t index = 0;

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        model_push_index(d, index++);
        ok &= op_value(d, n, &entry.value);
        ops->v[ops->count++] = entry;
        model_pop(d);
    }

    return ok;
}

static bool decode_pairs(model_decoder_t *d, const model_node_t *node,
                         model_header_ops_t *ops, mesh_header_op_e op) {
    uint32_t most = 0;
    bool ok = true;

    if (node->kind != MODEL_NODE_MAP) {
        return model_wrong(d, node, "a map of header names to values");
    }

    /* A list where none may be is one wrong value, and so is an empty one. */
    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        bool list = op == MESH_OP_ADD && n->kind == MODEL_NODE_LIST;

        most += list ? n->count : 1;
    }

    if (most > OPS_MAX) {
        return model_wrong_found(d, node, "more than 256 headers",
                                 "at most 256");
    }

    ops->v = arena_alloc(d->arena, sizeof(*ops->v) * most);

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        model_push_key(d, n->key);
        ok &= decode_values(d, n, ops, op);
        model_pop(d);
    }

    return ok;
}

static bool decode_set_op(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, void *out) {
    (void)field;

    return decode_pairs(d, node, out, MESH_OP_SET);
}

static bool decode_add_op(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, void *out) {
    (void)field;

    return decode_pairs(d, node, out, MESH_OP_ADD);
}

static bool decode_remove_op(model_decoder_t *d, const model_node_t *node,
                             const model_field_t *field, void *out) {
    model_header_ops_t *ops = out;
    uint32_t index = 0;
    bool ok = true;

    (void)field;

    if (node->kind != MODEL_NODE_LIST) {
        return model_wrong(d, node, "a list of header names");
    }

    if (node->count > OPS_MAX) {
        return model_wrong_found(d, node, "more than 256 headers",
                                 "at most 256");
    }

    ops->v = arena_alloc(d->arena, sizeof(*ops->v) * node->count);

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        model_header_op_t *entry = &ops->v[ops->count++];

        model_push_index(d, index++);
        entry->op = MESH_OP_REMOVE;

        if (!model_is_text(n)) {
            ok = model_wrong(d, n, "a header's name");
        } else {
            ok &= op_name(d, n, n->text, false, &entry->name);
        }

        model_pop(d);
    }

    return ok;
}

static const model_field_t op_element = {
    .type = MODEL_CUSTOM,
    .pattern = MODEL_PATTERN_VALUE,
    .max = MESH_TEXT_MAX,
};

static const model_field_t op_list_element = {
    .type = MODEL_LIST,
    .flags = MODEL_SINGLE,
    .element = &op_element,
};

static const model_field_t op_name_element = {
    .type = MODEL_CUSTOM,
    .pattern = MODEL_PATTERN_TOKEN,
    .max = MESH_HEADER_NAME_MAX,
};

typedef struct {
    model_header_ops_t set;
    model_header_ops_t add;
    model_header_ops_t remove;
} ops_form_t;

static const model_field_t ops_fields[] = {
    {.name = "set",
     .type = MODEL_CUSTOM,
     .offset = offsetof(ops_form_t, set),
     .decode = decode_set_op,
     .expected = "a map of header names to values",
     .about = "headers by name: the only one of that name",
     .keys = MODEL_PATTERN_TOKEN,
     .element = &op_element},
    {.name = "add",
     .type = MODEL_CUSTOM,
     .offset = offsetof(ops_form_t, add),
     .decode = decode_add_op,
     .expected = "a map of header names to values or lists of values",
     .about = "headers by name: one more of that name, or several",
     .keys = MODEL_PATTERN_TOKEN,
     .element = &op_list_element},
    {.name = "remove",
     .type = MODEL_CUSTOM,
     .offset = offsetof(ops_form_t, remove),
     .decode = decode_remove_op,
     .expected = "a list of header names",
     .about = "names of headers that are taken out first",
     .element = &op_name_element,
     .max = OPS_MAX},
    {.name = "add_if_absent"},
    {.name = "overwrite_if_exists"},
    {.name = "remove_on_match"},
};

const model_object_t model_header_ops_object = {
    .name = "header operations",
    MODEL_FIELDS(ops_fields),
};

/* Envoy's order: removals first, so that `remove` never undoes an `add`. */
bool model_decode_header_ops(model_decoder_t *d, const model_node_t *node,
                             const model_field_t *field, void *out) {
    model_header_ops_t *ops = out;
    ops_form_t form = {{0, NULL}, {0, NULL}, {0, NULL}};

    (void)field;

    if (!model_decode_object(d, node, &model_header_ops_object, &form)) {
        return false;
    }

    const model_header_ops_t *parts[] = {&form.remove, &form.set, &form.add};
    uint32_t total = form.remove.count + form.set.count + form.add.count;

    ops->v = arena_alloc(d->arena, sizeof(*ops->v) * total);

    for (size_t i = 0; i < mesh_nelts(parts); i++) {
        if (parts[i]->count != 0) {
            memcpy(ops->v + ops->count, parts[i]->v,
                   sizeof(*ops->v) * parts[i]->count);
            ops->count += parts[i]->count;
        }
    }

    return true;
}
