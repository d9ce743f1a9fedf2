/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The engine that walks a tree along the tables.  It goes on after an error,
 * so that one run names every mistake of a file.
 */

#include "model_table.h"

#include <stdio.h>

#define PATH_MAX_LEN 512
#define WORDS_MAX 640

void model_push_field(model_decoder_t *d, const char *name) {
    d->path[d->depth++] =
        (model_segment_t){MODEL_SEGMENT_FIELD, 0, mesh_str_from(name)};
}

void model_push_key(model_decoder_t *d, mesh_str_t key) {
    d->path[d->depth++] = (model_segment_t){MODEL_SEGMENT_KEY, 0, key};
}

void model_push_index(model_decoder_t *d, uint32_t index) {
    d->path[d->depth++] =
        (model_segment_t){MODEL_SEGMENT_INDEX, index, MESH_STR_NULL};
}

void model_pop(model_decoder_t *d) {
    d->depth--;
}

/* Keys that could be mistaken for a path are written as ["key"]. */
static bool is_word(mesh_str_t name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = mesh_lower(name.data[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
              c == '-')) {
            return false;
        }
    }

    return name.len != 0 && name.len <= 64;
}

static void path_text(const model_decoder_t *d, char *out, size_t size) {
    size_t len = 0;

    out[0] = '\0';

    for (uint32_t i = 0; i < d->depth && len < size; i++) {
        const model_segment_t *s = &d->path[i];
        char quoted[128];
        int n;

        if (s->kind == MODEL_SEGMENT_INDEX) {
            n = snprintf(out + len, size - len, "[%u]", s->index);
        } else if (is_word(s->name)) {
            n = snprintf(out + len, size - len, "%s%.*s", i ? "." : "",
                         (int)s->name.len, s->name.data);
        } else {
            model_quote(s->name, quoted, sizeof(quoted));
            n = snprintf(out + len, size - len, "[%s]", quoted);
        }

        len += (size_t)n;
    }
}

static void add_error(model_decoder_t *d, model_error_t *error) {
    char path[PATH_MAX_LEN];
    char resource[128];

    path_text(d, path, sizeof(path));
    error->path = path;
    error->file = d->file;

    if (d->resource != NULL) {
        char name[96];

        model_quote(d->resource_name, name, sizeof(name));
        snprintf(resource, sizeof(resource), "%s %s", d->resource, name);
        error->resource = resource;
    }

    if (error->expected != NULL) {
        model_error_add(d->errors, error, "found %s, expected %s", error->found,
                        error->expected);
    } else {
        model_error_add(d->errors, error, "%s is not supported yet",
                        error->found);
    }
}

bool model_wrong_found(model_decoder_t *d, const model_node_t *node,
                       const char *found, const char *expected) {
    model_error_t error = {.line = node->line,
                           .column = node->column,
                           .found = found,
                           .expected = expected};

    add_error(d, &error);
    return false;
}

bool model_wrong_key(model_decoder_t *d, const model_node_t *node,
                     const char *found, const char *expected) {
    model_error_t error = {.line = node->key_line,
                           .column = node->key_column,
                           .found = found,
                           .expected = expected};

    add_error(d, &error);
    return false;
}

bool model_wrong(model_decoder_t *d, const model_node_t *node,
                 const char *expected) {
    char found[128];

    model_describe(node, found, sizeof(found));
    return model_wrong_found(d, node, found, expected);
}

bool model_not_yet(model_decoder_t *d, const model_node_t *node,
                   const char *what) {
    return model_wrong_found(d, node, what, NULL);
}

void model_warn(model_decoder_t *d, const model_node_t *node, const char *found,
                const char *expected) {
    model_error_t error = {.line = node->line,
                           .column = node->column,
                           .found = found,
                           .expected = expected,
                           .warning = true};

    add_error(d, &error);
}

model_place_t model_place(const model_decoder_t *d, const model_node_t *node) {
    bool key = node->key_line != 0;

    return (model_place_t){d->file, key ? node->key_line : node->line,
                           key ? node->key_column : node->column};
}

uint64_t model_bit(const model_object_t *object, const char *name) {
    for (uint32_t i = 0; i < object->count; i++) {
        if (strcmp(object->fields[i].name, name) == 0) {
            return UINT64_C(1) << i;
        }
    }

    return 0;
}

static const model_field_t *find_field(const model_object_t *object,
                                       mesh_str_t name) {
    for (uint32_t i = 0; i < object->count; i++) {
        const char *known = object->fields[i].name;

        if (known[0] == name.data[0] &&
            strncmp(known, name.data, name.len) == 0 &&
            known[name.len] == '\0') {
            return &object->fields[i];
        }
    }

    return NULL;
}

/* "one of a, b, c" of the fields that are built. */
static void list_fields(const model_object_t *object, char *out, size_t size) {
    size_t len = (size_t)snprintf(out, size, "one of ");
    const char *comma = "";

    for (uint32_t i = 0; i < object->count && len < size; i++) {
        if (object->fields[i].type != MODEL_LATER) {
            len += (size_t)snprintf(out + len, size - len, "%s%s", comma,
                                    object->fields[i].name);
            comma = ", ";
        }
    }
}

static bool unknown_field(model_decoder_t *d, const model_node_t *node,
                          const model_object_t *object) {
    char expected[WORDS_MAX];
    const char *best = NULL;
    uint32_t least = UINT32_MAX;

    for (uint32_t i = 0; i < object->count; i++) {
        uint32_t distance;
        const char *name = object->fields[i].name;

        if (model_near(node->key, mesh_str_from(name), &distance) &&
            distance < least) {
            least = distance;
            best = name;
        }
    }

    if (best != NULL) {
        snprintf(expected, sizeof(expected), "\"%s\"", best);
    } else {
        list_fields(object, expected, sizeof(expected));
    }

    return model_wrong_key(d, node, "an unknown field", expected);
}

static void put_u32(void *at, size_t size, uint64_t value) {
    if (size == 1) {
        uint8_t v = (uint8_t)value;

        memcpy(at, &v, 1);
    } else {
        uint32_t v = (uint32_t)value;

        memcpy(at, &v, 4);
    }
}

static void set_defaults(const model_object_t *object, char *out) {
    for (uint32_t i = 0; i < object->count; i++) {
        const model_field_t *field = &object->fields[i];

        if (field->fallback == 0) {
            continue;
        }

        if (field->type == MODEL_BOOL) {
            *(bool *)(out + field->offset) = true;
        } else {
            put_u32(out + field->offset, field->size, field->fallback);
        }
    }
}

/* Defaults of the object and of the objects in it that were not there. */
static void set_missing(const model_object_t *object, uint64_t seen,
                        char *out) {
    for (uint32_t i = 0; i < object->count; i++) {
        const model_field_t *field = &object->fields[i];

        if (field->type == MODEL_OBJECT && !(seen >> i & 1)) {
            set_defaults(field->object, out + field->offset);
        }
    }
}

static bool check_required(model_decoder_t *d, const model_node_t *node,
                           const model_object_t *object, uint64_t seen) {
    bool ok = true;

    for (uint32_t i = 0; i < object->count; i++) {
        const model_field_t *field = &object->fields[i];

        if ((field->flags & MODEL_REQUIRED) && !(seen >> i & 1)) {
            char expected[96];

            snprintf(expected, sizeof(expected), "%s with \"%s\"", object->name,
                     field->name);
            ok = model_wrong_found(d, node, "none", expected);
        }
    }

    return ok;
}

/* A scalar or list where a map stands usually. */
static bool decode_short(model_decoder_t *d, const model_node_t *node,
                         const model_object_t *object, char *out) {
    mesh_str_t name = mesh_str_from(object->scalar);
    const model_field_t *field = find_field(object, name);
    uint64_t seen = UINT64_C(1) << (field - object->fields);

    if (!model_decode_field(d, node, field, out + field->offset) ||
        !check_required(d, node, object, seen)) {
        return false;
    }

    set_missing(object, seen, out);

    return object->finish == NULL || object->finish(d, node, seen, out);
}

static bool decode_child(model_decoder_t *d, const model_node_t *child,
                         const model_object_t *object, uint64_t *seen,
                         char *out) {
    const model_field_t *field = find_field(object, child->key);

    if (field == NULL) {
        model_push_key(d, child->key);

        bool ok = unknown_field(d, child, object);

        model_pop(d);
        return ok;
    }

    model_push_field(d, field->name);

    bool ok = model_decode_field(d, child, field, out + field->offset);

    model_pop(d);
    *seen |= UINT64_C(1) << (field - object->fields);

    return ok;
}

bool model_decode_object(model_decoder_t *d, const model_node_t *node,
                         const model_object_t *object, void *out) {
    uint64_t seen = 0;
    bool ok = true;

    set_defaults(object, out);

    if (node->kind == MODEL_NODE_SCALAR && object->scalar != NULL) {
        return decode_short(d, node, object, out);
    }

    if (node->kind != MODEL_NODE_MAP) {
        char expected[96];

        snprintf(expected, sizeof(expected), "%s: a map", object->name);
        return model_wrong(d, node, expected);
    }

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        ok &= decode_child(d, n, object, &seen, out);
    }

    ok &= check_required(d, node, object, seen);
    set_missing(object, seen, out);

    return ok && (object->finish == NULL || object->finish(d, node, seen, out));
}

/* What a resource is called before it is decoded. */
static mesh_str_t resource_name(const model_node_t *node) {
    if (node->key.len != 0) {
        return node->key;
    }

    const model_node_t *name = model_node_child(node, "name");

    if (name == NULL) {
        name = model_node_child(node, "domains");

        if (name != NULL && name->kind == MODEL_NODE_LIST) {
            name = name->first;
        }
    }

    return name != NULL ? name->text : MESH_STR_NULL;
}

static bool decode_element(model_decoder_t *d, const model_node_t *node,
                           const model_field_t *field, char *out) {
    const model_field_t *element = field->element;

    if (element->resource != NULL) {
        d->resource = element->resource;
        d->resource_name = resource_name(node);
    }

    /* The key is looked at even if the value is wrong, and the reverse. */
    bool ok = field->key == NULL || field->key(d, node, out);

    ok &= model_decode_field(d, node, element, out + element->offset);

    if (element->resource != NULL) {
        d->resource = NULL;
    }

    return ok;
}

/* A list that nobody wrote (MODEL_SINGLE) has no line and no index. */
static void push_element(model_decoder_t *d, const model_node_t *parent,
                         const model_node_t *node, uint32_t index) {
    if (parent->line == 0) {
        return;
    }

    if (parent->kind == MODEL_NODE_MAP) {
        model_push_key(d, node->key);
    } else {
        model_push_index(d, index);
    }
}

static bool decode_elements(model_decoder_t *d, const model_node_t *node,
                            const model_field_t *field, char *out) {
    char *v = out;
    uint32_t kept = 0;
    uint32_t index = 0;
    bool ok = true;

    if (field->size != 0) {
        v = arena_alloc(d->arena, field->size * node->count);
    }

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        push_element(d, node, n, index++);

        char *at = v + field->size * kept;

        if (decode_element(d, n, field, at)) {
            kept++;
        } else {
            memset(at, 0, field->size);
            ok = false;
        }

        if (node->line != 0) {
            model_pop(d);
        }
    }

    if (field->size != 0) {
        memcpy(out, &v, sizeof(v));
        put_u32(out + (ptrdiff_t)(field->count - field->offset), 4, kept);
    }

    return ok;
}

static bool decode_collection(model_decoder_t *d, const model_node_t *node,
                              const model_field_t *field, char *out) {
    bool map = field->type == MODEL_MAP;

    if (node->kind != (map ? MODEL_NODE_MAP : MODEL_NODE_LIST)) {
        if (!(field->flags & MODEL_SINGLE) || node->kind == MODEL_NODE_NULL) {
            return model_wrong(d, node, map ? "a map" : "a list");
        }

        /* The one element, in brackets that nobody wrote. */
        model_node_t alone = *node;
        model_node_t list = {
            .kind = MODEL_NODE_LIST, .count = 1, .first = &alone};

        alone.next = NULL;
        return decode_elements(d, &list, field, out);
    }

    if ((field->flags & MODEL_FILLED) && node->count == 0) {
        return model_wrong_found(
            d, node, map ? "an empty map" : "an empty list", "at least one");
    }

    return decode_elements(d, node, field, out);
}

bool model_decode_field(model_decoder_t *d, const model_node_t *node,
                        const model_field_t *field, void *out) {
    switch (field->type) {
    case MODEL_LATER:
        return model_wrong_key(d, node, "this field", NULL);

    case MODEL_OBJECT:
        return model_decode_object(d, node, field->object, out);

    case MODEL_LIST:
    case MODEL_MAP:
        return decode_collection(d, node, field, out);

    case MODEL_CUSTOM:
        return field->decode(d, node, field, out);

    case MODEL_STRING:
        return model_decode_string(d, node, field, out);

    default:
        return model_decode_scalar(d, node, field, out);
    }
}
