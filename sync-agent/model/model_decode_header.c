/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Headers: their names and values, and what a route does to them.
 */

#include "model_table.h"

#include <stdio.h>

#include "mesh_substitute.h"

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

    *out = arena_lower(d->arena, text);
    return true;
}

bool model_decode_header_name(model_decoder_t *d, const model_node_t *node,
                              const model_field_t *field, void *out) {
    return model_is_text(node)
               ? model_header_name(d, node, node->text, false, out)
               : model_wrong(d, node, field->expected);
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

bool model_op_name(model_decoder_t *d, const model_node_t *node,
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

/* A value, or a map of it and what becomes of it when it is empty. */
typedef struct {
    mesh_str_t value;
    bool keep_empty;
} value_form_t;

static bool decode_value(model_decoder_t *d, const model_node_t *node,
                         const model_field_t *field, void *out) {
    mesh_str_t *value = out;

    (void)field;

    return model_header_value(d, node, value) &&
           model_check_substitutions(d, node, *value, d->response);
}

static const model_field_t value_fields[] = {
    {.name = "value",
     .type = MODEL_CUSTOM,
     .flags = MODEL_REQUIRED,
     .offset = offsetof(value_form_t, value),
     .decode = decode_value,
     .expected = "text",
     .about = "the value, with %VARIABLES%",
     .pattern = MODEL_PATTERN_VALUE,
     .max = MESH_TEXT_MAX},
    {.name = "keep_empty_value",
     .type = MODEL_BOOL,
     .offset = offsetof(value_form_t, keep_empty),
     .about = "the header is there even if its variables are empty"},
};

static bool finish_value(model_decoder_t *d, const model_node_t *node,
                         uint64_t seen, void *out) {
    const value_form_t *form = out;

    (void)seen;

    return !form->keep_empty || mesh_substitute_has(form->value) ||
           model_wrong_found(d, node, "keep_empty_value of a plain text",
                             "it beside a value with a %VARIABLE%");
}

static const model_object_t value_object = {
    .name = "a header's value",
    MODEL_FIELDS(value_fields),
    .scalar = "value",
    .finish = finish_value,
};

static const model_field_t value_element = {
    .type = MODEL_OBJECT,
    .object = &value_object,
};

static bool op_value(model_decoder_t *d, const model_node_t *node,
                     model_header_op_t *op) {
    value_form_t form = {.keep_empty = false};

    if (!(node->kind == MODEL_NODE_MAP
              ? model_decode_object(d, node, &value_object, &form)
              : decode_value(d, node, NULL, &form.value))) {
        return false;
    }

    op->value = form.value;
    op->keep_empty = form.keep_empty;
    return true;
}

/* Values of one name: one, or a list of them. */
static bool decode_values(model_decoder_t *d, const model_node_t *node,
                          model_header_ops_t *ops, mesh_header_op_e op) {
    model_header_op_t entry = {.op = op};
    bool ok = model_op_name(d, node, node->key, true, &entry.name);

    if (op != MESH_OP_ADD || node->kind != MODEL_NODE_LIST) {
        ok &= op_value(d, node, &entry);
        ops->v[ops->count++] = entry;
        return ok;
    }

    uint32_t index = 0;

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        model_push_index(d, index++);
        ok &= op_value(d, n, &entry);
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

/* One of a name, but for `add`. */
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

static bool decode_absent_op(model_decoder_t *d, const model_node_t *node,
                             const model_field_t *field, void *out) {
    (void)field;

    return decode_pairs(d, node, out, MESH_OP_ADD_IF_ABSENT);
}

static bool decode_overwrite_op(model_decoder_t *d, const model_node_t *node,
                                const model_field_t *field, void *out) {
    (void)field;

    return decode_pairs(d, node, out, MESH_OP_OVERWRITE);
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
            ok &= model_op_name(d, n, n->text, false, &entry->name);
        }

        model_pop(d);
    }

    return ok;
}

static const model_field_t op_list_element = {
    .type = MODEL_LIST,
    .flags = MODEL_SINGLE,
    .element = &value_element,
};

static const model_field_t op_name_element = {
    .type = MODEL_CUSTOM,
    .pattern = MODEL_PATTERN_TOKEN,
    .max = MESH_HEADER_NAME_MAX,
};

typedef struct {
    model_header_ops_t remove;
    model_header_ops_t set;
    model_header_ops_t overwrite;
    model_header_ops_t add;
    model_header_ops_t absent;
} ops_form_t;

static const model_field_t ops_fields[] = {
    {.name = "set",
     .type = MODEL_CUSTOM,
     .offset = offsetof(ops_form_t, set),
     .decode = decode_set_op,
     .expected = "a map of header names to values",
     .about = "headers by name: the only one of that name",
     .keys = MODEL_PATTERN_TOKEN,
     .element = &value_element},
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
    {.name = "add_if_absent",
     .type = MODEL_CUSTOM,
     .offset = offsetof(ops_form_t, absent),
     .decode = decode_absent_op,
     .expected = "a map of header names to values",
     .about = "headers by name: where there is none of that name",
     .keys = MODEL_PATTERN_TOKEN,
     .element = &value_element},
    {.name = "overwrite_if_exists",
     .type = MODEL_CUSTOM,
     .offset = offsetof(ops_form_t, overwrite),
     .decode = decode_overwrite_op,
     .expected = "a map of header names to values",
     .about = "headers by name: the only one, where there is one",
     .keys = MODEL_PATTERN_TOKEN,
     .element = &value_element},
    {.name = "remove_on_match"},
};

const model_object_t model_header_ops_object = {
    .name = "header operations",
    MODEL_FIELDS(ops_fields),
};

/* Envoy's order: removals first, so that `remove` never undoes an `add`. */
static bool decode_ops(model_decoder_t *d, const model_node_t *node,
                       model_header_ops_t *ops) {
    ops_form_t form = {.remove = {0, NULL}};

    if (!model_decode_object(d, node, &model_header_ops_object, &form)) {
        return false;
    }

    const model_header_ops_t *parts[] = {
        &form.remove, &form.set, &form.overwrite, &form.add, &form.absent};
    uint32_t total = 0;

    for (size_t i = 0; i < mesh_nelts(parts); i++) {
        total += parts[i]->count;
    }

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

bool model_decode_request_ops(model_decoder_t *d, const model_node_t *node,
                              const model_field_t *field, void *out) {
    (void)field;

    d->response = false;

    return decode_ops(d, node, out);
}

bool model_decode_response_ops(model_decoder_t *d, const model_node_t *node,
                               const model_field_t *field, void *out) {
    (void)field;

    d->response = true;

    return decode_ops(d, node, out);
}
