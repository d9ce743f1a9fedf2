/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Affinity: hash policies of a route, which say what of a request decides its
 * endpoint, and the cookie or header that names one.
 */

#include "model_decode_route.h"

#include <stdio.h>

#define ATTRIBUTES_MAX 4096

#define PATTERN_COOKIE_PATH "^/[^\\x00-\\x20\\x7f;]*$"
#define PATTERN_ATTRIBUTE "^[^\\x00-\\x1f\\x7f;]*$"

typedef struct {
    mesh_str_t name;
    model_regex_rewrite_t rewrite;
} header_form_t;

typedef struct {
    header_form_t header;
    mesh_str_t query;
    bool source_ip;
    bool path;
    bool terminal;
    model_hash_policy_t cookie;
} hash_form_t;

/* --- cookies ------------------------------------------------------------- */

/* What follows the value: RFC 6265, section 4.1.1, without ";". */
static bool check_attribute(model_decoder_t *d, const model_node_t *node,
                            mesh_str_t text) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.data[i];

        if (c < 0x20 || c == 0x7f || c == ';') {
            return model_wrong(d, node,
                               "text without \";\" and control characters");
        }
    }

    return true;
}

typedef struct {
    mesh_str_t name;
    uint32_t ttl_ms;
    mesh_str_t path;
    mesh_str_t attributes; /* as they are appended */
} cookie_form_t;

static bool decode_cookie_name(model_decoder_t *d, const model_node_t *node,
                               const model_field_t *field, void *out) {
    (void)field;

    if (!model_is_text(node) || !model_is_token(node->text) ||
        node->text.len > MESH_HEADER_NAME_MAX) {
        return model_wrong(d, node,
                           "a cookie's name: letters, digits and - of at "
                           "most 256 bytes");
    }

    memcpy(out, &node->text, sizeof(node->text));
    return true;
}

static bool decode_cookie_path(model_decoder_t *d, const model_node_t *node,
                               const model_field_t *field, void *out) {
    return model_decode_path(d, node, field, out) &&
           check_attribute(d, node, node->text);
}

static bool add_attribute(model_decoder_t *d, const model_node_t *node,
                          mesh_str_t *all) {
    static const model_field_t text = {.max = ATTRIBUTES_MAX};
    mesh_str_t value;

    if (!model_is_token(node->key)) {
        char found[128];

        model_quote(node->key, found, sizeof(found));
        return model_wrong_key(d, node, found,
                               "an attribute's name: letters, digits and -");
    }

    if (!model_decode_string(d, node, &text, &value) ||
        !check_attribute(d, node, value)) {
        return false;
    }

    *all = mesh_str_from(
        arena_printf(d->arena, "%.*s; %.*s%s%.*s", (int)all->len, all->data,
                     (int)node->key.len, node->key.data, value.len ? "=" : "",
                     (int)value.len, value.data));

    return all->len <= ATTRIBUTES_MAX ||
           model_wrong(d, node, "attributes of at most 4096 bytes in all");
}

static bool decode_attributes(model_decoder_t *d, const model_node_t *node,
                              const model_field_t *field, void *out) {
    mesh_str_t all = MESH_STR("");
    bool ok = true;

    (void)field;

    if (node->kind != MODEL_NODE_MAP) {
        return model_wrong(d, node, "a map of text to text");
    }

    for (const model_node_t *c = node->first; ok && c != NULL; c = c->next) {
        model_push_key(d, c->key);
        ok = add_attribute(d, c, &all);
        model_pop(d);
    }

    memcpy(out, &all, sizeof(all));
    return ok;
}

static const model_field_t attribute_element = {
    .type = MODEL_CUSTOM,
    .pattern = PATTERN_ATTRIBUTE,
    .max = ATTRIBUTES_MAX,
};

#define COOKIE(member) offsetof(cookie_form_t, member)

enum { COOKIE_NAME, COOKIE_TTL, COOKIE_PATH, COOKIE_ATTRIBUTES };

static const model_field_t cookie_fields[] = {
    [COOKIE_NAME] = {.name = "name",
                     .type = MODEL_CUSTOM,
                     .flags = MODEL_REQUIRED,
                     .offset = COOKIE(name),
                     .decode = decode_cookie_name,
                     .expected = "a cookie's name",
                     .about = "the cookie's name",
                     .pattern = MODEL_PATTERN_TOKEN,
                     .max = MESH_HEADER_NAME_MAX},
    [COOKIE_TTL] = {.name = "ttl",
                    .type = MODEL_DURATION,
                    .offset = COOKIE(ttl_ms),
                    .max = MODEL_MS_MAX,
                    .about = "a request without the cookie is given one with "
                             "this Max-Age; 0: until the client ends"},
    [COOKIE_PATH] = {.name = "path",
                     .type = MODEL_CUSTOM,
                     .offset = COOKIE(path),
                     .decode = decode_cookie_path,
                     .expected = "a path",
                     .about = "its Path",
                     .pattern = PATTERN_COOKIE_PATH},
    [COOKIE_ATTRIBUTES] = {.name = "attributes",
                           .type = MODEL_CUSTOM,
                           .offset = COOKIE(attributes),
                           .decode = decode_attributes,
                           .expected = "a map of text to text",
                           .about = "more attributes by name",
                           .keys = MODEL_PATTERN_TOKEN,
                           .element = &attribute_element},
};

static bool finish_set_cookie(model_decoder_t *d, const model_node_t *node,
                              uint64_t seen, void *out) {
    const cookie_form_t *form = out;

    (void)seen;

    if (form->ttl_ms % 1000 == 0) {
        return true;
    }

    model_push_field(d, "ttl");
    model_wrong(d, model_node_child(node, "ttl"), "whole seconds");
    model_pop(d);
    return false;
}

static bool finish_cookie(model_decoder_t *d, const model_node_t *node,
                          uint64_t seen, void *out) {
    if (seen >> COOKIE_TTL & 1) {
        return finish_set_cookie(d, node, seen, out);
    }

    if ((seen >> COOKIE_PATH | seen >> COOKIE_ATTRIBUTES) & 1) {
        return model_wrong_found(d, node, "a path or attributes without a ttl",
                                 "ttl, with which the cookie is set, too");
    }

    return true;
}

static const model_rule_t cookie_rules[] = {
    {MODEL_RULE_BESIDE, "path attributes", "ttl", NULL},
    {MODEL_RULE_ONE, NULL, NULL, NULL},
};

static const model_object_t cookie_object = {
    .name = "a cookie",
    MODEL_FIELDS(cookie_fields),
    .scalar = "name",
    .finish = finish_cookie,
    .rules = cookie_rules,
};

/* Envoy's order: Max-Age, Path, attributes, HttpOnly. */
static mesh_str_t cookie_attributes(model_decoder_t *d,
                                    const cookie_form_t *form) {
    char age[32] = "";

    if (form->ttl_ms) {
        snprintf(age, sizeof(age), "; Max-Age=%u", form->ttl_ms / 1000);
    }

    return mesh_str_from(arena_printf(
        d->arena, "%s%s%.*s%.*s; HttpOnly", age,
        form->path.len ? "; Path=" : "", (int)form->path.len,
        form->path.data ? form->path.data : "", (int)form->attributes.len,
        form->attributes.data ? form->attributes.data : ""));
}

static bool decode_cookie(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, void *out) {
    model_hash_policy_t *policy = out;
    cookie_form_t form = {.name = MESH_STR("")};

    (void)field;

    if (!model_decode_object(d, node, &cookie_object, &form)) {
        return false;
    }

    policy->name = form.name;
    policy->generate = model_node_child(node, "ttl") != NULL;

    if (policy->generate) {
        policy->attributes = cookie_attributes(d, &form);
    }

    return true;
}

/* --- the policy ---------------------------------------------------------- */

static const model_field_t header_fields[] = {
    {.name = "name",
     .type = MODEL_CUSTOM,
     .flags = MODEL_REQUIRED,
     .offset = offsetof(header_form_t, name),
     .decode = model_decode_header_name,
     .expected = "a header's name",
     .about = "the header's name",
     .pattern = MODEL_PATTERN_TOKEN,
     .max = MESH_HEADER_NAME_MAX},
    {.name = "regex_rewrite",
     .type = MODEL_OBJECT,
     .offset = offsetof(header_form_t, rewrite),
     .object = &model_regex_rewrite_object,
     .about = "what is hashed instead: the value with what a regular "
              "expression matches in it replaced"},
};

static const model_object_t header_object = {
    .name = "a header",
    MODEL_FIELDS(header_fields),
    .scalar = "name",
};

#define HASH(member) offsetof(hash_form_t, member)

/* In the order of mesh_hash_from_e. */
static const model_field_t hash_fields[] = {
    {.name = "header",
     .type = MODEL_OBJECT,
     .offset = HASH(header),
     .object = &header_object,
     .about = "a header whose value is hashed"},
    {.name = "cookie",
     .type = MODEL_CUSTOM,
     .offset = HASH(cookie),
     .object = &cookie_object,
     .decode = decode_cookie,
     .about = "a cookie whose value is hashed"},
    {.name = "source_ip",
     .type = MODEL_BOOL,
     .offset = HASH(source_ip),
     .about = "the client's address is hashed",
     .min = 1},
    {.name = "query_parameter",
     .type = MODEL_STRING,
     .offset = HASH(query),
     .min = 1,
     .max = MESH_NAME_MAX,
     .about = "the name of a parameter whose value is hashed"},
    {.name = "path",
     .type = MODEL_BOOL,
     .offset = HASH(path),
     .about = "the path without the query is hashed",
     .min = 1},
    {.name = "terminal",
     .type = MODEL_BOOL,
     .offset = HASH(terminal),
     .about = "if there is a hash by now, the rest of the list is passed over"},
    {.name = "filter_state"},
};

static const char EXPECT_HASH[] =
    "one of header, cookie, source_ip, query_parameter, path";

static bool finish_hash(model_decoder_t *d, const model_node_t *node,
                        uint64_t seen, void *out) {
    const hash_form_t *form = out;
    uint64_t what = seen & ((UINT64_C(1) << (MESH_HASH_PATH + 1)) - 1);

    if (what == 0 || (what & (what - 1)) != 0) {
        return model_wrong_found(
            d, node, what ? "more than one policy in one" : "no policy",
            EXPECT_HASH);
    }

    if ((what >> MESH_HASH_SOURCE_IP & 1 && !form->source_ip) ||
        (what >> MESH_HASH_PATH & 1 && !form->path)) {
        return model_wrong_found(d, node, "a policy that is off",
                                 "true, or nothing");
    }

    return true;
}

static const model_rule_t hash_rules[] = {
    {MODEL_RULE_ONE, "header cookie source_ip query_parameter path", NULL,
     NULL},
    {MODEL_RULE_ONE, NULL, NULL, NULL},
};

static const model_object_t hash_object = {
    .name = "a hash policy",
    MODEL_FIELDS(hash_fields),
    .finish = finish_hash,
    .rules = hash_rules,
};

static bool decode_policy(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, void *out) {
    model_hash_policy_t *policy = out;
    hash_form_t form;

    (void)field;
    memset(&form, 0, sizeof(form));

    if (!model_decode_object(d, node, &hash_object, &form)) {
        return false;
    }

    *policy = form.cookie;
    policy->terminal = form.terminal;

    if (form.header.name.len) {
        policy->from = MESH_HASH_HEADER;
        policy->name = form.header.name;
        policy->rewrite = form.header.rewrite;
    } else if (form.query.len) {
        policy->from = MESH_HASH_QUERY;
        policy->name = form.query;
    } else if (form.source_ip) {
        policy->from = MESH_HASH_SOURCE_IP;
    } else if (form.path) {
        policy->from = MESH_HASH_PATH;
    } else {
        policy->from = MESH_HASH_COOKIE;
    }

    return true;
}

const model_field_t model_hash_element = {
    .type = MODEL_CUSTOM,
    .object = &hash_object,
    .decode = decode_policy,
    .expected = EXPECT_HASH,
};

/* --- sessions ------------------------------------------------------------ */

/* Without a ttl: until the client ends. */
static const model_object_t session_cookie_object = {
    .name = "a cookie",
    MODEL_FIELDS(cookie_fields),
    .scalar = "name",
    .finish = finish_set_cookie,
};

static bool decode_session_cookie(model_decoder_t *d, const model_node_t *node,
                                  const model_field_t *field, void *out) {
    model_session_t *session = out;
    cookie_form_t form = {.name = MESH_STR("")};

    if (!model_decode_object(d, node, field->object, &form)) {
        return false;
    }

    session->name = form.name;
    session->attributes = cookie_attributes(d, &form);
    return true;
}

/* It is set in answers, so what those must not set is none. */
static bool decode_session_header(model_decoder_t *d, const model_node_t *node,
                                  const model_field_t *field, void *out) {
    model_session_t *session = out;
    mesh_str_t text;

    (void)field;

    if (!model_is_text(node)) {
        return model_wrong(d, node, "a header's name");
    }

    if (!model_op_name(d, node, node->text, false, &text) ||
        !model_header_name(d, node, text, false, &session->name)) {
        return false;
    }

    session->header = true;
    return !mesh_str_eq(session->name, MESH_STR("content-type")) ||
           model_wrong(d, node, "a header that says nothing else");
}

static const model_field_t session_fields[] = {
    {.name = "cookie",
     .type = MODEL_CUSTOM,
     .object = &session_cookie_object,
     .decode = decode_session_cookie,
     .about = "the cookie that names the endpoint"},
    {.name = "strict",
     .type = MODEL_BOOL,
     .offset = offsetof(model_session_t, strict),
     .about = "503 where the named endpoint must not be picked"},
    {.name = "header",
     .type = MODEL_CUSTOM,
     .decode = decode_session_header,
     .expected = "a header's name",
     .about = "the header that names the endpoint",
     .pattern = MODEL_PATTERN_TOKEN,
     .max = MESH_HEADER_NAME_MAX},
};

static bool finish_session(model_decoder_t *d, const model_node_t *node,
                           uint64_t seen, void *out) {
    model_session_t *session = out;
    bool cookie = (seen & model_bit(&model_session_object, "cookie")) != 0;

    if (cookie == session->header) {
        return model_wrong_found(d, node,
                                 cookie ? "a cookie and a header"
                                        : "neither a cookie nor a header",
                                 "one of cookie, header");
    }

    session->set = true;
    return true;
}

static const model_rule_t session_rules[] = {
    {MODEL_RULE_ONE, "cookie header", NULL, NULL},
    {MODEL_RULE_ONE, NULL, NULL, NULL},
};

const model_object_t model_session_object = {
    .name = "a session",
    MODEL_FIELDS(session_fields),
    .finish = finish_session,
    .rules = session_rules,
};
