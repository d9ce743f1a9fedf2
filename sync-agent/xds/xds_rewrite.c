/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Rewrites, in Envoy's messages: another path, another host.  What may stand
 * in them is the native front end's rule.
 */

#include "model_decode_route.h"
#include "xds_table.h"

/* --- regular expressions ------------------------------------------------- */

#define REGEX(member) offsetof(model_regex_rewrite_t, member)

static bool decode_substitution(xds_decoder_t *x, const model_node_t *node,
                                const xds_field_t *field, void *out) {
    (void)field;

    return model_decode_substitution(&x->d, node, NULL, out);
}

static const xds_field_t regex_fields[] = {
    {.name = "pattern",
     .type = XDS_MESSAGE,
     .flags = XDS_REQUIRED,
     .offset = REGEX(pattern),
     .message = &xds_regex_matcher},
    {.name = "substitution",
     .type = XDS_CUSTOM,
     .offset = REGEX(substitution),
     .decode = decode_substitution},
};

static bool finish_regex(xds_decoder_t *x, const model_node_t *node,
                         uint64_t seen, void *out) {
    model_regex_rewrite_t *regex = out;

    if (regex->substitution.data == NULL) {
        regex->substitution = MESH_STR("");
    }

    return model_finish_regex_rewrite(&x->d, node, seen, regex);
}

const xds_message_t xds_regex_rewrite = {
    .name = "envoy.type.matcher.v3.RegexMatchAndSubstitute",
    XDS_FIELDS(regex_fields),
    .finish = finish_regex,
};

/* --- templates ----------------------------------------------------------- */

static bool decode_template(xds_decoder_t *x, const model_node_t *node,
                            const xds_field_t *field, void *out) {
    (void)field;

    return model_decode_template(&x->d, node, NULL, out);
}

static bool decode_path(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    static const model_field_t path = {.min = 0};

    (void)field;

    return model_decode_path(&x->d, node, &path, out);
}

static const xds_field_t match_fields[] = {
    {.name = "path_template",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED,
     .decode = decode_template},
};

static const xds_message_t template_match = {
    .name = "envoy.extensions.path.match.uri_template.v3."
            "UriTemplateMatchConfig",
    XDS_FIELDS(match_fields),
};

static const xds_field_t rewrite_fields[] = {
    {.name = "path_template_rewrite",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED,
     .decode = decode_path},
};

static const xds_message_t template_rewrite = {
    .name = "envoy.extensions.path.rewrite.uri_template.v3."
            "UriTemplateRewriteConfig",
    XDS_FIELDS(rewrite_fields),
};

/* The text of the one kind of policy that there is. */
static bool decode_policy(xds_decoder_t *x, const model_node_t *node,
                          const xds_field_t *field, void *out) {
    if (!mesh_str_eq(xds_type(node), mesh_str_from(field->message->name))) {
        return xds_later(x, node, XDS_LATER, field,
                         "a policy that is no uri_template");
    }

    return xds_decode_any(x, node, field->message, out);
}

static const xds_field_t match_policy_fields[] = {
    XDS_EXTENSION_FIELDS(&template_match, decode_policy),
};

const xds_message_t xds_path_match_policy = {
    .name = "envoy.config.core.v3.TypedExtensionConfig",
    XDS_FIELDS(match_policy_fields),
};

static const xds_field_t rewrite_policy_fields[] = {
    XDS_EXTENSION_FIELDS(&template_rewrite, decode_policy),
};

const xds_message_t xds_path_rewrite_policy = {
    .name = "envoy.config.core.v3.TypedExtensionConfig",
    XDS_FIELDS(rewrite_policy_fields),
};

/* --- names of headers ---------------------------------------------------- */

bool xds_decode_header_name(xds_decoder_t *x, const model_node_t *node,
                            const xds_field_t *field, void *out) {
    if (!model_is_text(node)) {
        return model_wrong(&x->d, node, "a header's name");
    }

    if (node->text.len != 0 && node->text.data[0] == ':') {
        return xds_later(x, node, XDS_LATER, field, "a pseudo-header here");
    }

    return model_header_name(&x->d, node, node->text, false, out);
}
