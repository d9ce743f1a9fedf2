/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Rewrites and redirects: another path, another host.
 */

#include "model_decode_route.h"

#include <stdio.h>

#include "mesh_substitute.h"
#include "mesh_template.h"
#include "model_regex.h"

/* --- texts --------------------------------------------------------------- */

#define PATTERN_PREFIX "^(/[^\\x00-\\x20\\x7f]*)?$"
#define PATTERN_AUTHORITY "^[-._:0-9A-Za-z\\[\\]]+$"

static bool has_bad_char(mesh_str_t text) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.data[i];

        if (c <= 0x20 || c == 0x7f) {
            return true;
        }
    }

    return false;
}

bool model_decode_path(model_decoder_t *d, const model_node_t *node,
                       const model_field_t *field, void *out) {
    mesh_str_t text;

    if (!model_decode_string(d, node, field, &text)) {
        return false;
    }

    if (text.len > MESH_TEXT_MAX) {
        return model_wrong(d, node, "at most 65536 bytes");
    }

    if (text.len == 0 || text.data[0] != '/') {
        return model_wrong(d, node, "a path that begins with \"/\"");
    }

    if (has_bad_char(text)) {
        return model_wrong(d, node,
                           "a path without spaces and control characters");
    }

    memcpy(out, &text, sizeof(text));
    return true;
}

/* What replaces a prefix may be nothing at all. */
static bool decode_prefix(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, mesh_str_t *out) {
    if (model_is_text(node) && node->text.len == 0) {
        *out = MESH_STR("");
        return true;
    }

    return model_decode_path(d, node, field, out);
}

bool model_decode_authority(model_decoder_t *d, const model_node_t *node,
                            const model_field_t *field, void *out) {
    static const char expected[] = "a host name or address";
    mesh_str_t text;

    (void)field;

    if (!model_is_text(node) || node->text.len == 0 ||
        node->text.len > MESH_DOMAIN_MAX) {
        return model_wrong(d, node, expected);
    }

    text = node->text;

    for (size_t i = 0; i < text.len; i++) {
        char c = mesh_lower(text.data[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) &&
            memchr("-._:[]", c, 6) == NULL) {
            return model_wrong(d, node, expected);
        }
    }

    memcpy(out, &text, sizeof(text));
    return true;
}

bool model_check_substitutions(model_decoder_t *d, const model_node_t *node,
                               mesh_str_t text, bool response) {
    mesh_substitute_part_t parts[MESH_FORMAT_PARTS_MAX];
    char expected[256];
    uint32_t count;
    size_t at;
    const char *why = mesh_substitute_read(text, response, parts, &count, &at);

    if (why == NULL) {
        return true;
    }

    snprintf(expected, sizeof(expected),
             "text with variables such as %%REQ(name)%%: %s (at byte %zu)", why,
             at);
    return model_wrong(d, node, expected);
}

/* --- regular expressions -------------------------------------------------- */

#define REGEX(member) offsetof(model_regex_rewrite_t, member)

bool model_decode_substitution(model_decoder_t *d, const model_node_t *node,
                               const model_field_t *field, void *out) {
    static const model_field_t text = {.max = MESH_REGEX_MAX};
    mesh_str_t made;

    (void)field;

    if (!model_decode_string(d, node, &text, &made)) {
        return false;
    }

    if (has_bad_char(made)) {
        return model_wrong(d, node,
                           "text without spaces and control characters");
    }

    memcpy(out, &made, sizeof(made));
    return true;
}

static const model_field_t regex_rewrite_fields[] = {
    {.name = "pattern",
     .type = MODEL_CUSTOM,
     .flags = MODEL_REQUIRED,
     .offset = REGEX(pattern),
     .decode = model_decode_regex,
     .expected = "a regular expression",
     .about = "a regular expression of RE2; each match is replaced",
     .min = 1,
     .max = MESH_REGEX_MAX},
    {.name = "substitution",
     .type = MODEL_CUSTOM,
     .flags = MODEL_REQUIRED,
     .offset = REGEX(substitution),
     .decode = model_decode_substitution,
     .expected = "text with \\0 to \\9 for what groups matched",
     .about = "what stands instead, with \\0 to \\9 for groups",
     .max = MESH_REGEX_MAX},
};

/* As RE2: a backslash, and groups that there are. */
bool model_finish_regex_rewrite(model_decoder_t *d, const model_node_t *node,
                                uint64_t seen, void *out) {
    const model_regex_rewrite_t *regex = out;
    uint32_t groups = model_regex_groups(regex->pattern);
    mesh_str_t text = regex->substitution;
    char expected[96] = "";

    (void)seen;

    for (size_t i = 0; i < text.len && expected[0] == '\0'; i++) {
        if (text.data[i] != '\\') {
            continue;
        }
        char c = ++i < text.len ? text.data[i] : ' ';

        if (c >= '0' && c <= '9' && (uint32_t)(c - '0') > groups) {
            snprintf(expected, sizeof(expected),
                     "groups up to \\%u, as the pattern has no more", groups);
        } else if (c != '\\' && (c < '0' || c > '9')) {
            snprintf(expected, sizeof(expected),
                     "a digit or another \\ behind a \\");
        }
    }

    if (expected[0] != '\0') {
        model_push_field(d, "substitution");
        model_wrong(d, model_node_child(node, "substitution"), expected);
        model_pop(d);
        return false;
    }

    return true;
}

const model_object_t model_regex_rewrite_object = {
    .name = "a rewrite by a regular expression",
    MODEL_FIELDS(regex_rewrite_fields),
    .finish = model_finish_regex_rewrite,
};

/* --- redirect ------------------------------------------------------------ */

#define REDIRECT(member) offsetof(model_redirect_t, member)

static bool decode_scheme(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, void *out) {
    (void)field;

    if (!model_is_text(node) || (!mesh_str_eq(node->text, MESH_STR("http")) &&
                                 !mesh_str_eq(node->text, MESH_STR("https")))) {
        return model_wrong(d, node, "http or https");
    }

    memcpy(out, &node->text, sizeof(node->text));
    return true;
}

bool model_decode_redirect_status(model_decoder_t *d, const model_node_t *node,
                                  const model_field_t *field, void *out) {
    static const uint16_t known[] = {301, 302, 303, 307, 308};
    uint64_t value = 0;

    (void)field;

    if (node->kind == MODEL_NODE_SCALAR && node->plain) {
        model_parse_u64(node->text, &value);
    }

    for (size_t i = 0; i < mesh_nelts(known); i++) {
        if (value == known[i]) {
            uint32_t status = known[i];

            memcpy(out, &status, sizeof(status));
            return true;
        }
    }

    return model_wrong(d, node, "one of 301, 302, 303, 307, 308");
}

static bool decode_redirect_prefix(model_decoder_t *d, const model_node_t *node,
                                   const model_field_t *field, void *out) {
    model_redirect_t *redirect = out;

    redirect->has_prefix = true;

    return decode_prefix(d, node, field, &redirect->prefix);
}

static const model_field_t redirect_fields[] = {
    {.name = "scheme",
     .type = MODEL_CUSTOM,
     .offset = REDIRECT(scheme),
     .decode = decode_scheme,
     .expected = "http or https",
     .about = "the new scheme",
     .schema = "{'enum': ['http', 'https']}"},
    {.name = "host",
     .type = MODEL_CUSTOM,
     .offset = REDIRECT(host),
     .decode = model_decode_authority,
     .expected = "a host name or address",
     .about = "the new host",
     .pattern = PATTERN_AUTHORITY,
     .max = MESH_DOMAIN_MAX},
    {.name = "port",
     .type = MODEL_U32,
     .offset = REDIRECT(port),
     .min = 1,
     .max = 65535,
     .about = "the new port"},
    {.name = "path",
     .type = MODEL_CUSTOM,
     .offset = REDIRECT(path),
     .decode = model_decode_path,
     .expected = "a path",
     .about = "the new path, whole",
     .pattern = MODEL_PATTERN_PATH},
    {.name = "prefix_rewrite",
     .type = MODEL_CUSTOM,
     .decode = decode_redirect_prefix,
     .expected = "a path, or nothing",
     .about = "replaces the part of the path that matched",
     .pattern = PATTERN_PREFIX},
    {.name = "status",
     .type = MODEL_CUSTOM,
     .offset = REDIRECT(status),
     .fallback = 301,
     .decode = model_decode_redirect_status,
     .expected = "one of 301, 302, 303, 307, 308",
     .about = "the status of the answer; 301 unless said",
     .schema = "{'enum': [301, 302, 303, 307, 308]}"},
    {.name = "strip_query",
     .type = MODEL_BOOL,
     .offset = REDIRECT(strip_query),
     .about = "the query is left out"},
    {.name = "regex_rewrite",
     .type = MODEL_OBJECT,
     .offset = REDIRECT(regex),
     .object = &model_regex_rewrite_object,
     .about = "replaces what a regular expression matches in the path"},
};

static bool finish_redirect(model_decoder_t *d, const model_node_t *node,
                            uint64_t seen, void *out) {
    const model_redirect_t *redirect = out;

    (void)seen;

    if ((redirect->path.len != 0) + redirect->has_prefix +
            (redirect->regex.pattern.len != 0) >
        1) {
        return model_wrong_found(d, node, "more than one path",
                                 "one of path, prefix_rewrite, regex_rewrite");
    }

    if (redirect->scheme.len == 0 && redirect->host.len == 0 &&
        redirect->port == 0 && redirect->path.len == 0 &&
        !redirect->has_prefix && redirect->regex.pattern.len == 0) {
        return model_wrong_found(
            d, node, "a redirect to where the request is already",
            "a scheme, host, port, path, prefix_rewrite or regex_rewrite");
    }

    return true;
}

static const model_rule_t redirect_rules[] = {
    {MODEL_RULE_SOME, "scheme host port path prefix_rewrite regex_rewrite",
     NULL, NULL},
    {MODEL_RULE_APART, "path prefix_rewrite", NULL, NULL},
    {MODEL_RULE_APART, "path regex_rewrite", NULL, NULL},
    {MODEL_RULE_APART, "prefix_rewrite regex_rewrite", NULL, NULL},
    {MODEL_RULE_ONE, NULL, NULL, NULL},
};

const model_object_t model_redirect_object = {
    .name = "a redirect",
    MODEL_FIELDS(redirect_fields),
    .finish = finish_redirect,
    .rules = redirect_rules,
};

/* --- rewrite ------------------------------------------------------------- */

#define ROUTE(member) offsetof(model_route_t, member)

static bool decode_rewrite_prefix(model_decoder_t *d, const model_node_t *node,
                                  const model_field_t *field, void *out) {
    model_route_t *route = out;

    route->has_prefix_rewrite = true;

    return model_decode_path(d, node, field, &route->prefix_rewrite);
}

static bool decode_template(model_decoder_t *d, const model_node_t *node,
                            const model_field_t *field, void *out) {
    model_route_t *route = out;

    /* Its variables are the match's: model_check_template() looks. */
    route->rewrite.path = MESH_REWRITE_TEMPLATE;

    return model_decode_path(d, node, field, &route->rewrite.text);
}

static bool decode_whole(model_decoder_t *d, const model_node_t *node,
                         const model_field_t *field, void *out) {
    model_route_t *route = out;

    route->rewrite.path = MESH_REWRITE_WHOLE;

    return model_decode_path(d, node, field, &route->rewrite.text) &&
           model_check_substitutions(d, node, node->text, false);
}

static bool decode_host_header(model_decoder_t *d, const model_node_t *node,
                               const model_field_t *field, void *out) {
    model_route_t *route = out;

    route->rewrite.host = MESH_HOST_HEADER;

    return model_decode_header_name(d, node, field, &route->rewrite.header);
}

static bool decode_host_endpoint(model_decoder_t *d, const model_node_t *node,
                                 const model_field_t *field, void *out) {
    static const model_field_t flag = {.type = MODEL_BOOL};
    model_route_t *route = out;
    bool value = false;

    (void)field;

    if (!model_decode_scalar(d, node, &flag, &value)) {
        return false;
    }

    if (!value) {
        return model_wrong(d, node, "true");
    }

    route->rewrite.host = MESH_HOST_ENDPOINT;
    return true;
}

enum {
    REWRITE_PREFIX,
    REWRITE_REGEX,
    REWRITE_TEMPLATE,
    REWRITE_PATH,
    REWRITE_HOST,
    REWRITE_HOST_HEADER,
    REWRITE_HOST_ENDPOINT,
    REWRITE_HOST_PATH,
    REWRITE_FORWARD_HOST,
};

static const model_field_t rewrite_fields[] = {
    [REWRITE_PREFIX] = {.name = "prefix",
                        .type = MODEL_CUSTOM,
                        .decode = decode_rewrite_prefix,
                        .expected = "a path",
                        .about = "replaces the part of the path that matched",
                        .pattern = MODEL_PATTERN_PATH},
    [REWRITE_REGEX] = {.name = "regex",
                       .type = MODEL_OBJECT,
                       .offset = ROUTE(rewrite.regex),
                       .object = &model_regex_rewrite_object,
                       .about = "replaces what a regular expression matches in "
                                "the path"},
    [REWRITE_TEMPLATE] = {.name = "template",
                          .type = MODEL_CUSTOM,
                          .decode = decode_template,
                          .expected = "a path with {variables}",
                          .about = "the path by the variables of the match's "
                                   "template",
                          .pattern = MODEL_PATTERN_PATH},
    [REWRITE_PATH] = {.name = "path",
                      .type = MODEL_CUSTOM,
                      .decode = decode_whole,
                      .expected = "a path",
                      .about = "the whole path, with %VARIABLES%",
                      .pattern = MODEL_PATTERN_PATH},
    [REWRITE_HOST] = {.name = "host",
                      .type = MODEL_CUSTOM,
                      .offset = ROUTE(host_rewrite),
                      .decode = model_decode_authority,
                      .expected = "a host name or address",
                      .about = "the host that the endpoint sees",
                      .pattern = PATTERN_AUTHORITY,
                      .max = MESH_DOMAIN_MAX},
    [REWRITE_HOST_HEADER] = {.name = "host_from_header",
                             .type = MODEL_CUSTOM,
                             .decode = decode_host_header,
                             .expected = "a header's name",
                             .about = "the host is this request header's value",
                             .pattern = MODEL_PATTERN_TOKEN,
                             .max = MESH_HEADER_NAME_MAX},
    [REWRITE_HOST_ENDPOINT] = {.name = "host_from_endpoint",
                               .type = MODEL_CUSTOM,
                               .decode = decode_host_endpoint,
                               .expected = "true",
                               .about = "the host is the endpoint's name",
                               .schema = "{'const': true}"},
    [REWRITE_HOST_PATH] = {.name = "host_from_path",
                           .type = MODEL_OBJECT,
                           .offset = ROUTE(rewrite.host_regex),
                           .object = &model_regex_rewrite_object,
                           .about = "the host is what a regular expression "
                                    "makes of the path"},
    [REWRITE_FORWARD_HOST] = {.name = "append_x_forwarded_host",
                              .type = MODEL_BOOL,
                              .offset = ROUTE(rewrite.forward_host),
                              .about = "the host that was goes on as "
                                       "X-Forwarded-Host"},
};

static const model_field_t host_rewrite_fields[] = {
    {.name = "host",
     .type = MODEL_CUSTOM,
     .flags = MODEL_REQUIRED,
     .decode = model_decode_authority,
     .expected = "a host name or address",
     .about = "the request's host from there on",
     .pattern = PATTERN_AUTHORITY,
     .max = MESH_DOMAIN_MAX},
};

const model_object_t model_host_rewrite_object = {
    .name = "a weighted cluster's rewrite",
    MODEL_FIELDS(host_rewrite_fields),
};

static bool finish_rewrite(model_decoder_t *d, const model_node_t *node,
                           uint64_t seen, void *out) {
    model_route_t *route = out;
    uint64_t paths = seen & ((1u << REWRITE_HOST) - 1);
    uint64_t hosts = seen >> REWRITE_HOST &
                     ((1u << (REWRITE_FORWARD_HOST - REWRITE_HOST)) - 1);

    if ((paths & (paths - 1)) != 0) {
        return model_wrong_found(d, node, "more than one path",
                                 "one of prefix, regex, template, path");
    }

    if ((hosts & (hosts - 1)) != 0) {
        return model_wrong_found(
            d, node, "more than one host",
            "one of host, host_from_header, host_from_endpoint, "
            "host_from_path");
    }

    if (route->rewrite.forward_host && hosts == 0) {
        return model_wrong_found(d, node,
                                 "append_x_forwarded_host and no other host",
                                 "one of host, host_from_header, "
                                 "host_from_endpoint, host_from_path");
    }

    if (route->rewrite.regex.pattern.len != 0) {
        route->rewrite.path = MESH_REWRITE_REGEX;
    }

    if (route->rewrite.host_regex.pattern.len != 0) {
        route->rewrite.host = MESH_HOST_PATH;
    }

    return true;
}

static const model_rule_t rewrite_rules[] = {
    {MODEL_RULE_APART, "prefix regex", NULL, NULL},
    {MODEL_RULE_APART, "prefix template", NULL, NULL},
    {MODEL_RULE_APART, "prefix path", NULL, NULL},
    {MODEL_RULE_APART, "regex template", NULL, NULL},
    {MODEL_RULE_APART, "regex path", NULL, NULL},
    {MODEL_RULE_APART, "template path", NULL, NULL},
    {MODEL_RULE_APART, "host host_from_header", NULL, NULL},
    {MODEL_RULE_APART, "host host_from_endpoint", NULL, NULL},
    {MODEL_RULE_APART, "host host_from_path", NULL, NULL},
    {MODEL_RULE_APART, "host_from_header host_from_endpoint", NULL, NULL},
    {MODEL_RULE_APART, "host_from_header host_from_path", NULL, NULL},
    {MODEL_RULE_APART, "host_from_endpoint host_from_path", NULL, NULL},
    {MODEL_RULE_ONE, NULL, NULL, NULL},
};

const model_object_t model_rewrite_object = {
    .name = "a rewrite",
    MODEL_FIELDS(rewrite_fields),
    .finish = finish_rewrite,
    .rules = rewrite_rules,
};

bool model_check_template(model_decoder_t *d, const model_node_t *node,
                          const model_route_t *route) {
    mesh_template_vars_t names;
    char expected[192];
    const char *why = NULL;
    size_t at;

    if (route->path_match != MESH_PATH_TEMPLATE) {
        why = "it";
        snprintf(expected, sizeof(expected),
                 "it where match.path is a template");
    } else if (mesh_template_check(route->path, &names, &at) == NULL) {
        why = mesh_template_check_rewrite(route->rewrite.text, &names, &at);
        snprintf(expected, sizeof(expected),
                 "a path with variables of the template: %s (at byte %zu)",
                 why ? why : "", at);
    }

    return why == NULL || model_wrong(d, node, expected);
}
