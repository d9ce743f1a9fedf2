/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Affinity: hash policies, and the filter of stateful sessions.  Both have
 * cookies, whose rules are the native front end's: what was read is handed to
 * it as the tree that it knows, with the places where things stood.
 */

#include "model_decode_route.h"
#include "xds_table.h"

/* --- trees for the native decoder ---------------------------------------- */

static model_node_t *new_node(xds_decoder_t *x, const model_node_t *place,
                              model_node_kind_e kind) {
    model_node_t *node = arena_alloc(x->d.arena, sizeof(*node));

    node->kind = kind;
    node->line = place->line;
    node->column = place->column;
    return node;
}

/* A copy of the value, under that key. */
static void put(xds_decoder_t *x, model_node_t *map, mesh_str_t key,
                const model_node_t *value) {
    model_node_t *copy = arena_alloc(x->d.arena, sizeof(*copy));
    model_node_t **last = &map->first;

    if (value == NULL) {
        return;
    }

    *copy = *value;
    copy->key = key;
    copy->next = NULL;

    if (copy->key_line == 0) {
        copy->key_line = copy->line;
        copy->key_column = copy->column;
    }

    while (*last != NULL) {
        last = &(*last)->next;
    }

    *last = copy;
    map->count++;
}

static void put_flag(xds_decoder_t *x, model_node_t *map, const char *key) {
    model_node_t *node = new_node(x, map, MODEL_NODE_SCALAR);

    node->plain = true;
    node->text = MESH_STR("true");
    put(x, map, mesh_str_from(key), node);
}

/* --- cookies ------------------------------------------------------------- */

typedef struct {
    const model_node_t *node[4];
    model_node_t *attributes;
} cookie_form_t;

enum { COOKIE_NAME, COOKIE_TTL, COOKIE_PATH, COOKIE_ATTRIBUTES };

typedef struct {
    const model_node_t *name;
    const model_node_t *value;
} attribute_t;

static const xds_field_t attribute_fields[] = {
    {.name = "name",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED,
     .offset = offsetof(attribute_t, name),
     .decode = xds_keep_node},
    {.name = "value",
     .type = XDS_CUSTOM,
     .offset = offsetof(attribute_t, value),
     .decode = xds_keep_node},
};

static const xds_message_t hash_attribute = {
    .name = "envoy.config.route.v3.RouteAction.HashPolicy.CookieAttribute",
    XDS_FIELDS(attribute_fields),
};

static const xds_message_t session_attribute = {
    .name = "envoy.type.http.v3.CookieAttribute",
    XDS_FIELDS(attribute_fields),
};

/* A list of pairs, which is a map to the native decoder. */
static bool decode_attributes(xds_decoder_t *x, const model_node_t *node,
                              const xds_field_t *field, void *out) {
    model_node_t *map = new_node(x, node, MODEL_NODE_MAP);
    uint32_t index = 0;
    bool ok = true;

    if (!xds_is(x, node, MODEL_NODE_LIST)) {
        return false;
    }

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        attribute_t attribute = {NULL, NULL};
        model_node_t *empty = new_node(x, n, MODEL_NODE_SCALAR);

        empty->text = MESH_STR("");
        model_push_index(&x->d, index++);

        if (!xds_decode_message(x, n, field->message, &attribute)) {
            ok = false;
        } else if (!model_is_text(attribute.name)) {
            ok = model_wrong(&x->d, attribute.name, "an attribute's name");
        } else {
            put(x, map, attribute.name->text,
                attribute.value != NULL ? attribute.value : empty);
        }

        model_pop(&x->d);
    }

    memcpy(out, &map, sizeof(map));
    return ok;
}

/* Its own unit only, as protobuf has it. */
static bool keep_duration(xds_decoder_t *x, const model_node_t *node,
                          const xds_field_t *field, void *out) {
    uint32_t ms;

    return xds_decode_duration(x, node, field, &ms) &&
           xds_keep_node(x, node, field, out);
}

#define COOKIE_FIELDS(of)                                                      \
    [COOKIE_NAME] = {.name = "name",                                           \
                     .type = XDS_CUSTOM,                                       \
                     .flags = XDS_REQUIRED,                                    \
                     .offset = offsetof(cookie_form_t, node[COOKIE_NAME]),     \
                     .decode = xds_keep_node},                                 \
    [COOKIE_TTL] = {.name = "ttl",                                             \
                    .type = XDS_CUSTOM,                                        \
                    .offset = offsetof(cookie_form_t, node[COOKIE_TTL]),       \
                    .decode = keep_duration},                                  \
    [COOKIE_PATH] = {.name = "path",                                           \
                     .type = XDS_CUSTOM,                                       \
                     .flags = XDS_NO_PRESENCE,                                 \
                     .offset = offsetof(cookie_form_t, node[COOKIE_PATH]),     \
                     .decode = xds_keep_node},                                 \
    [COOKIE_ATTRIBUTES] = {                                                    \
        .name = "attributes",                                                  \
        .type = XDS_CUSTOM,                                                    \
        .flags = XDS_NO_PRESENCE,                                              \
        .offset = offsetof(cookie_form_t, node[COOKIE_ATTRIBUTES]),            \
        .message = &(of),                                                      \
        .decode = decode_attributes}

static const xds_field_t hash_cookie_fields[] = {
    COOKIE_FIELDS(hash_attribute),
};

static const xds_field_t session_cookie_fields[] = {
    COOKIE_FIELDS(session_attribute),
};

static const xds_message_t hash_cookie = {
    .name = "envoy.config.route.v3.RouteAction.HashPolicy.Cookie",
    XDS_FIELDS(hash_cookie_fields),
};

static const xds_message_t session_cookie = {
    .name = "envoy.type.http.v3.Cookie",
    XDS_FIELDS(session_cookie_fields),
};

/* As {name, ttl, path, attributes}, or NULL. */
static bool decode_cookie(xds_decoder_t *x, const model_node_t *node,
                          const xds_field_t *field, void *out) {
    static const char *const names[] = {"name", "ttl", "path", "attributes"};
    cookie_form_t form = {.attributes = NULL};
    model_node_t *map = new_node(x, node, MODEL_NODE_MAP);

    if (!xds_decode_message(x, node, field->message, &form)) {
        return false;
    }

    for (size_t i = 0; i < mesh_nelts(names); i++) {
        put(x, map, mesh_str_from(names[i]), form.node[i]);
    }

    memcpy(out, &map, sizeof(map));
    return true;
}

/* --- hash policies ------------------------------------------------------- */

typedef struct {
    const model_node_t *name;
    model_regex_rewrite_t rewrite;
} header_form_t;

typedef struct {
    header_form_t header;
    const model_node_t *cookie;
    const model_node_t *query;
    bool source_ip;
    bool terminal;
} hash_form_t;

#define HASH(member) offsetof(hash_form_t, member)

/* Envoy's hash of it has the query in it, the native one has not. */
static bool decode_header_name(xds_decoder_t *x, const model_node_t *node,
                               const xds_field_t *field, void *out) {
    if (node->kind == MODEL_NODE_SCALAR && node->text.len != 0 &&
        node->text.data[0] == ':') {
        return xds_later(x, node, XDS_LATER, field,
                         "a hash of a pseudo-header");
    }

    return xds_keep_node(x, node, field, out);
}

static const xds_field_t hash_header_fields[] = {
    {.name = "header_name",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED,
     .offset = offsetof(header_form_t, name),
     .decode = decode_header_name},
    {.name = "regex_rewrite",
     .type = XDS_MESSAGE,
     .offset = offsetof(header_form_t, rewrite),
     .message = &xds_regex_rewrite},
};

static const xds_message_t hash_header = {
    .name = "envoy.config.route.v3.RouteAction.HashPolicy.Header",
    XDS_FIELDS(hash_header_fields),
};

static const xds_field_t hash_properties_fields[] = {
    {.name = "source_ip", .type = XDS_BOOL},
};

static const xds_message_t hash_properties = {
    .name = "envoy.config.route.v3.RouteAction.HashPolicy.ConnectionProperties",
    XDS_FIELDS(hash_properties_fields),
};

static const xds_field_t hash_query_fields[] = {
    {.name = "name",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED,
     .decode = xds_keep_node},
};

static const xds_message_t hash_query = {
    .name = "envoy.config.route.v3.RouteAction.HashPolicy.QueryParameter",
    XDS_FIELDS(hash_query_fields),
};

#define HASH_ONE "more than one policy in one"

static const xds_field_t hash_fields[] = {
    {.name = "header",
     .type = XDS_MESSAGE,
     .oneof = HASH_ONE,
     .offset = HASH(header),
     .message = &hash_header},
    {.name = "cookie",
     .type = XDS_CUSTOM,
     .oneof = HASH_ONE,
     .offset = HASH(cookie),
     .message = &hash_cookie,
     .decode = decode_cookie},
    {.name = "connection_properties",
     .type = XDS_MESSAGE,
     .oneof = HASH_ONE,
     .offset = HASH(source_ip),
     .message = &hash_properties},
    {.name = "query_parameter",
     .type = XDS_MESSAGE,
     .oneof = HASH_ONE,
     .offset = HASH(query),
     .message = &hash_query},
    {.name = "terminal", .type = XDS_BOOL, .offset = HASH(terminal)},
    {.name = "filter_state", .type = XDS_LATER, .oneof = HASH_ONE},
};

const xds_message_t xds_hash_policy = {
    .name = "envoy.config.route.v3.RouteAction.HashPolicy",
    XDS_FIELDS(hash_fields),
};

static bool decode_hash_policy(xds_decoder_t *x, const model_node_t *node,
                               const xds_field_t *field, void *out) {
    hash_form_t form = {.terminal = false};
    model_node_t *map = new_node(x, node, MODEL_NODE_MAP);
    model_hash_policy_t *policy = out;

    if (!xds_decode_message(x, node, field->message, &form)) {
        return false;
    }

    put(x, map, MESH_STR("header"), form.header.name);
    put(x, map, MESH_STR("cookie"), form.cookie);
    put(x, map, MESH_STR("query_parameter"), form.query);

    if (form.source_ip) {
        put_flag(x, map, "source_ip");
    }

    if (form.terminal) {
        put_flag(x, map, "terminal");
    }

    if (!model_decode_field(&x->d, map, &model_hash_element, policy)) {
        return false;
    }

    policy->rewrite = form.header.rewrite;
    return true;
}

const xds_field_t xds_hash_policy_element = {
    .type = XDS_CUSTOM,
    .message = &xds_hash_policy,
    .decode = decode_hash_policy,
};

/* --- sessions ------------------------------------------------------------ */

static const xds_field_t cookie_state_fields[] = {
    {.name = "cookie",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED,
     .message = &session_cookie,
     .decode = decode_cookie},
};

static const xds_message_t cookie_state = {
    .name = "envoy.extensions.http.stateful_session.cookie.v3."
            "CookieBasedSessionState",
    XDS_FIELDS(cookie_state_fields),
};

static const xds_field_t header_state_fields[] = {
    {.name = "name",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED,
     .decode = xds_keep_node},
};

static const xds_message_t header_state = {
    .name = "envoy.extensions.http.stateful_session.header.v3."
            "HeaderBasedSessionState",
    XDS_FIELDS(header_state_fields),
};

/* Trees of a cookie, of a header's name: one of them. */
typedef struct {
    const model_node_t *cookie;
    const model_node_t *header;
} state_form_t;

/* One of the row's message and its element's. */
static bool decode_state(xds_decoder_t *x, const model_node_t *node,
                         const xds_field_t *field, void *out) {
    const xds_message_t *other = field->element->message;
    mesh_str_t type = xds_type(node);
    state_form_t *form = out;

    if (mesh_str_eq(type, mesh_str_from(field->message->name))) {
        return xds_decode_any(x, node, field->message, &form->cookie);
    }

    return mesh_str_eq(type, mesh_str_from(other->name))
               ? xds_decode_any(x, node, other, &form->header)
               : xds_later(x, node, XDS_LATER, field,
                           "a session that is neither a cookie nor a header");
}

static const xds_field_t header_state_element = {.message = &header_state};

static const xds_field_t state_fields[] = {
    XDS_EXTENSION_NAME,
    {.name = "typed_config",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED,
     .message = &cookie_state,
     .element = &header_state_element,
     .decode = decode_state},
};

static const xds_message_t session_state = {
    .name = "envoy.config.core.v3.TypedExtensionConfig",
    XDS_FIELDS(state_fields),
};

typedef struct {
    state_form_t state;
    bool strict;
} session_form_t;

static const xds_field_t session_fields[] = {
    {.name = "session_state",
     .type = XDS_MESSAGE,
     .offset = offsetof(session_form_t, state),
     .message = &session_state},
    {.name = "strict",
     .type = XDS_BOOL,
     .offset = offsetof(session_form_t, strict)},
    {.name = "stat_prefix",
     .type = XDS_IGNORED,
     .because = "metrics are named by route and cluster"},
    {.name = "status_on_strict_destination_not_found", .type = XDS_LATER_APART},
};

const xds_message_t xds_stateful_session = {
    .name = "envoy.extensions.filters.http.stateful_session.v3.StatefulSession",
    XDS_FIELDS(session_fields),
};

bool xds_decode_session(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    session_form_t form = {.strict = false};
    model_node_t *map = new_node(x, node, MODEL_NODE_MAP);

    (void)field;

    if (!xds_decode_message(x, node, &xds_stateful_session, &form)) {
        return false;
    }

    /* Without a state the filter does nothing. */
    if (form.state.cookie == NULL && form.state.header == NULL) {
        return true;
    }

    put(x, map, MESH_STR("cookie"), form.state.cookie);
    put(x, map, MESH_STR("header"), form.state.header);

    if (form.strict) {
        put_flag(x, map, "strict");
    }

    return model_decode_object(&x->d, map, &model_session_object, out);
}

typedef struct {
    model_session_t session;
    bool disabled;
} per_route_t;

#define PER_ROUTE_ONE "both disabled and a session"

static const xds_field_t per_route_fields[] = {
    {.name = "disabled",
     .type = XDS_BOOL,
     .oneof = PER_ROUTE_ONE,
     .offset = offsetof(per_route_t, disabled)},
    {.name = "stateful_session",
     .type = XDS_CUSTOM,
     .oneof = PER_ROUTE_ONE,
     .offset = offsetof(per_route_t, session),
     .message = &xds_stateful_session,
     .decode = xds_decode_session},
};

const xds_message_t xds_session_route = {
    .name = "envoy.extensions.filters.http.stateful_session.v3."
            "StatefulSessionPerRoute",
    XDS_FIELDS(per_route_fields),
};

bool xds_decode_session_route(xds_decoder_t *x, const model_node_t *any,
                              model_session_t *out) {
    per_route_t form = {.disabled = false};

    if (!xds_decode_any(x, any, &xds_session_route, &form)) {
        return false;
    }

    *out = form.session;
    return true;
}
