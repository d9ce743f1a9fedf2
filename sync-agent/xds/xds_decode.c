/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The engine that walks protobuf's JSON along the tables of messages.  It
 * goes on after an error, so that one run names every mistake of a resource.
 */

#include "xds_table.h"

#include <stdio.h>

#define WORDS_MAX 640

/* --- names --------------------------------------------------------------- */

/* "virtual_hosts" and "virtualHosts" are spelled alike. */
static bool same_name(const char *name, mesh_str_t key) {
    size_t i = 0;
    size_t snake = strlen(name);

    if (snake == key.len && memcmp(name, key.data, snake) == 0) {
        return true;
    }

    for (; *name != '\0'; name++) {
        char c = *name;

        if (c == '_') {
            c = *++name;
            c = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        }

        if (i == key.len || key.data[i++] != c) {
            return false;
        }
    }

    return i == key.len;
}

const xds_field_t *xds_find_field(const xds_message_t *message,
                                  mesh_str_t key) {
    for (uint32_t i = 0; i < message->count; i++) {
        const char *name = message->fields[i].name;

        if (key.len != 0 && name[0] == key.data[0] && same_name(name, key)) {
            return &message->fields[i];
        }
    }

    return NULL;
}

const model_node_t *xds_child(const model_node_t *map, const char *name) {
    if (map == NULL || map->kind != MODEL_NODE_MAP) {
        return NULL;
    }

    for (const model_node_t *n = map->first; n != NULL; n = n->next) {
        if (n->kind != MODEL_NODE_NULL && same_name(name, n->key)) {
            return n;
        }
    }

    return NULL;
}

mesh_str_t xds_type(const model_node_t *any) {
    const model_node_t *type = xds_child(any, "@type");

    if (type == NULL || type->kind != MODEL_NODE_SCALAR) {
        return MESH_STR("");
    }

    const char *slash = memrchr(type->text.data, '/', type->text.len);

    if (slash == NULL) {
        return type->text;
    }

    return (mesh_str_t){type->text.len - (size_t)(slash + 1 - type->text.data),
                        slash + 1};
}

static const char *short_name(const xds_message_t *message) {
    const char *dot = strrchr(message->name, '.');

    return dot != NULL ? dot + 1 : message->name;
}

static void list_fields(const xds_message_t *message, char *out, size_t size) {
    size_t len =
        (size_t)snprintf(out, size, "a field of %s: ", short_name(message));
    const char *comma = "";

    for (uint32_t i = 0; i < message->count && len < size; i++) {
        if (message->fields[i].type > XDS_IGNORED) {
            len += (size_t)snprintf(out + len, size - len, "%s%s", comma,
                                    message->fields[i].name);
            comma = ", ";
        }
    }
}

static bool unknown_field(xds_decoder_t *x, const model_node_t *node,
                          const xds_message_t *message) {
    char expected[WORDS_MAX];
    const char *best = NULL;
    uint32_t least = UINT32_MAX;

    for (uint32_t i = 0; i < message->count; i++) {
        const char *name = message->fields[i].name;
        uint32_t distance;

        if (model_near(node->key, mesh_str_from(name), &distance) &&
            distance < least) {
            least = distance;
            best = name;
        }
    }

    if (best != NULL) {
        snprintf(expected, sizeof(expected), "\"%s\"", best);
    } else {
        list_fields(message, expected, sizeof(expected));
    }

    return model_wrong_key(&x->d, node, "an unknown field", expected);
}

/* --- what is not built --------------------------------------------------- */

const void *xds_key(mesh_str_t name) {
    /* No row of a table is at an odd address. */
    return (const void *)(uintptr_t)(mesh_hash64(name.data, name.len) | 1);
}

/* Names of the fields on the way from the resource, without indexes. */
static const char *where_text(const xds_decoder_t *x) {
    char text[512];
    const char *kind = x->d.resource != NULL ? x->d.resource : "file";
    size_t len = (size_t)snprintf(text, sizeof(text), "%s", kind);
    const char *between = ": ";

    for (uint32_t i = x->base; i < x->d.depth && len < sizeof(text); i++) {
        const model_segment_t *s = &x->d.path[i];

        if (s->kind == MODEL_SEGMENT_FIELD) {
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s",
                                    between, (int)s->name.len, s->name.data);
            between = ".";
        }
    }

    return arena_strdup(x->d.arena, text);
}

/* Counts it; true: for the first time. */
static bool count_missing(xds_decoder_t *x, const void *key, const char *what,
                          bool refused) {
    uint32_t i = 0;
    bool field = strcmp(what, XDS_THIS_FIELD) == 0;

    while (i < x->nmissing && x->keys[i] != key) {
        i++;
    }

    if (i == XDS_MISSING_MAX) {
        return false;
    }

    bool first = i == x->nmissing;

    if (first) {
        x->nmissing++;
        x->keys[i] = key;
        x->missing[i].where = where_text(x);
        x->missing[i].what = field ? "" : arena_strdup(x->d.arena, what);
        x->missing[i].refused = refused;
    }

    if (first || x->last[i] != x->resource) {
        x->missing[i].resources++;
        x->last[i] = x->resource;
    }

    return first;
}

bool xds_later(xds_decoder_t *x, const model_node_t *node, xds_type_e kind,
               const void *key, const char *what) {
    bool refused = kind == XDS_LATER || (kind == XDS_LATER_APART && !x->apart);
    bool first = count_missing(x, key, what, refused);

    if (refused) {
        return model_not_yet(&x->d, node, what);
    }

    if (first) {
        model_warn(&x->d, node, what, NULL);
    }

    return true;
}

bool xds_type_later(xds_decoder_t *x, const model_node_t *any,
                    const char *what) {
    mesh_str_t type = xds_type(any);
    char words[192];

    if (type.len == 0) {
        snprintf(words, sizeof(words), "%s that is not told", what);
    } else {
        snprintf(words, sizeof(words), "%s %.*s", what,
                 (int)mesh_min(type.len, (size_t)128), type.data);
    }

    return xds_later(x, any, XDS_LATER_APART, xds_key(type), words);
}

/* Written, but as good as not: false, 0, "" and []. */
static bool is_zero(const model_node_t *node) {
    switch (node->kind) {
    case MODEL_NODE_LIST:
        return node->count == 0;
    case MODEL_NODE_SCALAR:
        return node->text.len == 0 || mesh_str_eq(node->text, MESH_STR("0")) ||
               (node->plain && mesh_str_eq(node->text, MESH_STR("false")));
    default:
        return false;
    }
}

/* Text and lists without presence. */
static bool is_empty(const model_node_t *node) {
    return (node->kind == MODEL_NODE_LIST && node->count == 0) ||
           (node->kind == MODEL_NODE_SCALAR && node->text.len == 0);
}

static bool is_hollow(const model_node_t *node) {
    return is_zero(node) || (node->kind == MODEL_NODE_MAP && node->count == 0);
}

bool xds_is(xds_decoder_t *x, const model_node_t *node,
            model_node_kind_e kind) {
    return node->kind == kind ||
           model_wrong(&x->d, node,
                       kind == MODEL_NODE_MAP ? "a map" : "a list");
}

bool xds_keep_node(xds_decoder_t *x, const model_node_t *node,
                   const xds_field_t *field, void *out) {
    (void)x;
    (void)field;
    memcpy(out, &node, sizeof(node));
    return true;
}

/* --- scalars ------------------------------------------------------------- */

/* A number, or text that is one: 64 bits are text in protobuf's JSON. */
static bool parse_u64(const model_node_t *node, uint64_t *value) {
    return node->kind == MODEL_NODE_SCALAR &&
           model_parse_u64(node->text, value);
}

static bool decode_u32(xds_decoder_t *x, const model_node_t *node,
                       const xds_field_t *field, void *out) {
    uint64_t most = field->max != 0 ? field->max : UINT32_MAX;
    uint64_t value;
    char words[96];

    if (!parse_u64(node, &value) || value < field->min || value > most) {
        snprintf(words, sizeof(words), "a whole number from %llu to %llu",
                 (unsigned long long)field->min, (unsigned long long)most);
        return model_wrong(&x->d, node, words);
    }

    uint32_t v = (uint32_t)value;

    memcpy(out, &v, sizeof(v));
    return true;
}

bool xds_decode_duration(xds_decoder_t *x, const model_node_t *node,
                         const xds_field_t *field, void *out) {
    mesh_str_t text = node->text;
    uint64_t most = field->max != 0 ? field->max : MODEL_MS_MAX;
    uint64_t ms = 0;
    char words[96];
    bool ok = model_is_text(node) && text.len > 1 &&
              text.data[text.len - 1] == 's' && text.data[text.len - 2] != 'm';

    if (!ok || !model_parse_duration(text, &ms) || ms < field->min ||
        ms > most) {
        snprintf(words, sizeof(words),
                 "a duration of %s such as \"1.5s\", in whole milliseconds",
                 field->min == 0 ? "at most 24 days" : "0.001s to 24 days");
        return model_wrong(&x->d, node, words);
    }

    uint32_t v = (uint32_t)ms;

    memcpy(out, &v, sizeof(v));
    return true;
}

static bool wrong_value(xds_decoder_t *x, const model_node_t *node,
                        const xds_value_t *values) {
    char words[320];
    const char *comma = "";
    size_t len = (size_t)snprintf(words, sizeof(words), "one of ");

    for (; values->name != NULL && len < sizeof(words); values++) {
        if (values->value < XDS_VALUE_APART) {
            len += (size_t)snprintf(words + len, sizeof(words) - len, "%s%s",
                                    comma, values->name);
            comma = ", ";
        }
    }

    return model_wrong(&x->d, node, words);
}

static bool decode_enum(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    uint64_t number;
    bool numbered = node->plain && parse_u64(node, &number);
    const xds_value_t *value = field->values;

    if (node->kind != MODEL_NODE_SCALAR) {
        return wrong_value(x, node, field->values);
    }

    while (value->name != NULL &&
           !(numbered ? number == value->number
                      : mesh_str_eq(node->text, mesh_str_from(value->name)))) {
        value++;
    }

    if (value->name == NULL) {
        return wrong_value(x, node, field->values);
    }

    if (value->value >= XDS_VALUE_APART) {
        return xds_later(x, node,
                         value->value == XDS_VALUE_APART ? XDS_LATER_APART
                                                         : XDS_LATER,
                         value, value->name);
    }

    memcpy(out, &value->value, sizeof(value->value));
    return true;
}

static bool decode_scalar(xds_decoder_t *x, const model_node_t *node,
                          const xds_field_t *field, void *out) {
    static const model_field_t flag = {.type = MODEL_BOOL};

    if (field->type == XDS_BOOL) {
        return model_decode_scalar(&x->d, node, &flag, out);
    }

    const model_field_t text = {.min = field->min, .max = field->max};

    return model_decode_string(&x->d, node, &text, out);
}

/* --- lists --------------------------------------------------------------- */

static bool decode_list(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, char *out) {
    char *v = out;
    uint32_t index = 0;
    uint32_t kept = 0;
    bool ok = true;

    if (!xds_is(x, node, MODEL_NODE_LIST)) {
        return false;
    }

    if (field->size != 0) {
        v = arena_alloc(x->d.arena, field->size * node->count);
    }

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        char *at = v + field->size * kept;

        model_push_index(&x->d, index++);

        if (xds_decode_field(x, n, field->element, at)) {
            kept++;
        } else {
            memset(at, 0, field->size);
            ok = false;
        }

        model_pop(&x->d);
    }

    if (field->size != 0) {
        memcpy(out, &v, sizeof(v));
        memcpy(out + (ptrdiff_t)(field->count - field->offset), &kept,
               sizeof(kept));
    }

    return ok;
}

/* --- messages ------------------------------------------------------------ */

bool xds_decode_field(xds_decoder_t *x, const model_node_t *node,
                      const xds_field_t *field, void *out) {
    switch (field->type) {
    case XDS_LATER:
    case XDS_LATER_APART:
    case XDS_LATER_SEEN:
        return is_zero(node) ||
               xds_later(x, node, field->type, field, XDS_THIS_FIELD);

    case XDS_IGNORED:
        return true;

    case XDS_U32:
        return decode_u32(x, node, field, out);

    case XDS_DURATION:
        return xds_decode_duration(x, node, field, out);

    case XDS_ENUM:
        return decode_enum(x, node, field, out);

    case XDS_MESSAGE:
        return xds_decode_message(x, node, field->message, out);

    case XDS_LIST:
        return decode_list(x, node, field, out);

    case XDS_CUSTOM:
        return field->decode(x, node, field, out);

    default:
        return decode_scalar(x, node, field, out);
    }
}

static void set_defaults(const xds_message_t *message, char *out) {
    for (uint32_t i = 0; i < message->count; i++) {
        const xds_field_t *field = &message->fields[i];
        uint32_t value = (uint32_t)field->fallback;

        if (value == 0) {
            continue;
        }

        if (field->type == XDS_BOOL) {
            *(bool *)(out + field->offset) = true;
        } else {
            memcpy(out + field->offset, &value, sizeof(value));
        }
    }
}

typedef struct {
    uint64_t seen;
    const xds_field_t *oneofs[8]; /* rows that were there, one a group */
    uint32_t noneofs;
} walk_t;

static bool check_oneof(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, walk_t *walk) {
    for (uint32_t i = 0; i < walk->noneofs; i++) {
        char expected[96];

        if (strcmp(walk->oneofs[i]->oneof, field->oneof) != 0) {
            continue;
        }

        snprintf(expected, sizeof(expected), "only one of them beside %s",
                 walk->oneofs[i]->name);
        return model_wrong_key(&x->d, node, field->oneof, expected);
    }

    if (walk->noneofs < mesh_nelts(walk->oneofs)) {
        walk->oneofs[walk->noneofs++] = field;
    }

    return true;
}

static bool decode_known(xds_decoder_t *x, const model_node_t *node,
                         const xds_message_t *message, const xds_field_t *field,
                         walk_t *walk, char *out) {
    size_t row = (size_t)(field - message->fields);
    bool unset = (field->flags & XDS_NO_PRESENCE) && is_empty(node);
    bool later = field->type <= XDS_LATER_SEEN && is_zero(node);
    bool hollow =
        x->dumped && (field->flags & XDS_DUMPED_HOLLOW) && is_hollow(node);
    bool ok = true;

    if (unset || later || hollow) {
        return true;
    }

    if (row < 64) {
        if (walk->seen >> row & 1) {
            return model_wrong_key(&x->d, node, "the field a second time",
                                   "it in one spelling");
        }

        walk->seen |= UINT64_C(1) << row;
    }

    if (field->oneof != NULL) {
        ok = check_oneof(x, node, field, walk);
    }

    return xds_decode_field(x, node, field, out + field->offset) && ok;
}

static bool decode_child(xds_decoder_t *x, const model_node_t *parent,
                         const model_node_t *node, const xds_message_t *message,
                         walk_t *walk, char *out) {
    const xds_field_t *field = xds_find_field(message, node->key);
    bool ok;

    if (field == NULL && parent == x->typed &&
        mesh_str_eq(node->key, MESH_STR("@type"))) {
        return true;
    }

    if (field == NULL) {
        model_push_key(&x->d, node->key);
        ok = unknown_field(x, node, message);
    } else {
        model_push_field(&x->d, field->name);
        ok = node->kind == MODEL_NODE_NULL ||
             decode_known(x, node, message, field, walk, out);
    }

    model_pop(&x->d);
    return ok;
}

static bool check_required(xds_decoder_t *x, const model_node_t *node,
                           const xds_message_t *message, uint64_t seen) {
    bool ok = true;

    for (uint32_t i = 0; i < message->count && i < 64; i++) {
        if ((message->fields[i].flags & XDS_REQUIRED) && !(seen >> i & 1)) {
            char expected[160];

            snprintf(expected, sizeof(expected), "%s with %s",
                     short_name(message), message->fields[i].name);
            ok = model_wrong_found(&x->d, node, "none", expected);
        }
    }

    return ok;
}

bool xds_decode_message(xds_decoder_t *x, const model_node_t *node,
                        const xds_message_t *message, void *out) {
    walk_t walk = {.seen = 0};
    bool ok = true;

    set_defaults(message, out);

    if (node->kind != MODEL_NODE_MAP) {
        char expected[160];

        snprintf(expected, sizeof(expected), "%s: a map", short_name(message));
        return model_wrong(&x->d, node, expected);
    }

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        ok &= decode_child(x, node, n, message, &walk, out);
    }

    ok &= check_required(x, node, message, walk.seen);

    return ok && (message->finish == NULL ||
                  message->finish(x, node, walk.seen, out));
}

bool xds_decode_any(xds_decoder_t *x, const model_node_t *any,
                    const xds_message_t *message, void *out) {
    const model_node_t *outer = x->typed;

    x->typed = any;

    bool ok = xds_decode_message(x, any, message, out);

    x->typed = outer;
    return ok;
}
