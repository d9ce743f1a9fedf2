/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Rules of the records that say what a request must be besides its path.
 */

#include "mesh_schema_rules.h"


#define RULE_FLAGS                                                            \
    (MESH_MATCH_INVERT | MESH_MATCH_IGNORE_CASE | MESH_MATCH_MISSING)


static const mesh_str_t  rule_pseudo[] = {
    [MESH_FROM_METHOD] = mesh_str(":method"),
    [MESH_FROM_AUTHORITY] = mesh_str(":authority"),
    [MESH_FROM_PATH] = mesh_str(":path"),
    [MESH_FROM_SCHEME] = mesh_str(":scheme"),
    [MESH_FROM_SNI] = mesh_str("sni"),
    [MESH_FROM_PORT] = mesh_str("port"),
};


static const char *
rule_match_name(const mesh_match_t *m, const mesh_schema_reader_t *reader)
{
    mesh_str_t                text;
    const mesh_rec_string_t  *name;

    if (m->from == MESH_FROM_HEADER) {
        return mesh_rule_header_hash(reader, m->name, m->hash)
               ? NULL : "a header's hash is not its name's";
    }

    name = mesh_rule_get(reader, m->name);
    text = (mesh_str_t) { name->len, name->data };

    if (m->from >= mesh_nelts(rule_pseudo)) {
        return "a match on an unknown part of the request";
    }

    if (rule_pseudo[m->from].len
        && !mesh_str_eq(text, rule_pseudo[m->from]))
    {
        return "a match on what has another name";
    }

    if (text.len == 0 || text.len > MESH_NAME_MAX) {
        return "a match on an empty name, or a long one";
    }

    return m->hash ? "a hash where there is no header" : NULL;
}


/* What is compared is there, and of the kind that the operator takes. */
static const char *
rule_match_value(const mesh_match_t *m, const mesh_schema_reader_t *reader)
{
    const mesh_rec_t         *value;
    const mesh_rec_string_t  *text;

    if (m->op == MESH_MATCH_PRESENT) {
        return m->value ? "a value where only presence matters" : NULL;
    }

    value = m->value ? mesh_rule_get(reader, m->value) : NULL;

    if (m->op == MESH_MATCH_RANGE) {
        return value && value->kind == MESH_KIND_RANGE
               ? NULL : "a match on a range without one";
    }

    if (m->op == MESH_MATCH_REGEX) {
        return value && mesh_rule_regex_is(value, 0)
               ? NULL : "a match on a regular expression without one";
    }

    /* No value is an empty text. */

    if (value && value->kind != MESH_KIND_STRING) {
        return "a match on a text without one";
    }

    text = (const mesh_rec_string_t *) value;

    if (m->op == MESH_MATCH_CONTAINS && text
        && text->len > MESH_CONTAINS_MAX)
    {
        return "a text to look for that is too long";
    }

    if ((m->flags & MESH_MATCH_IGNORE_CASE)
        && !mesh_rule_folded(reader, m->value))
    {
        return "a text in any case is not in lower case, or too long";
    }

    return NULL;
}


static const char *
rule_match_flags(const mesh_match_t *m)
{
    if (m->flags & ~RULE_FLAGS || m->reserved != 0) {
        return "unknown flags";
    }

    if ((m->flags & MESH_MATCH_IGNORE_CASE)
        && (m->op == MESH_MATCH_PRESENT || m->op >= MESH_MATCH_RANGE))
    {
        return "case is ignored where there is none";
    }

    if ((m->flags & MESH_MATCH_MISSING)
        && (m->op == MESH_MATCH_PRESENT || m->from > MESH_FROM_SCHEME))
    {
        return "what may be missing is no header with a value";
    }

    return NULL;
}


const char *
mesh_rule_matches(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    uint32_t                   i;
    const char                *reason;
    const mesh_match_t        *m;
    const mesh_rec_matches_t  *matches = (const mesh_rec_matches_t *) rec;

    if (matches->reserved != 0) {
        return "a reserved field is not zero";
    }

    for (i = 0; i < matches->count; i++) {
        m = &matches->v[i];

        if (m->op > MESH_MATCH_REGEX) {
            return "unknown match";
        }

        reason = rule_match_flags(m);

        if (reason == NULL) {
            reason = rule_match_name(m, reader);
        }

        if (reason == NULL) {
            reason = rule_match_value(m, reader);
        }

        if (reason != NULL) {
            return reason;
        }
    }

    return NULL;
}


const char *
mesh_rule_range(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const mesh_rec_range_t  *r = (const mesh_rec_range_t *) rec;

    (void) reader;

    return r->start < r->end ? NULL : "a range that nothing is in";
}


static const char *
rule_cidr(const mesh_cidr_t *cidr)
{
    unsigned  i, most;

    most = cidr->family == MESH_FAMILY_IPV4 ? 32
           : cidr->family == MESH_FAMILY_IPV6 ? 128 : 0;

    if (most == 0 || cidr->bits > most) {
        return "not a range of addresses";
    }

    for (i = cidr->bits; i < 8 * sizeof(cidr->addr); i++) {
        if (cidr->addr[i / 8] & 0x80 >> i % 8) {
            return "bits of an address behind its prefix";
        }
    }

    return cidr->reserved ? "a reserved field is not zero" : NULL;
}


const char *
mesh_rule_addresses(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    uint32_t                     i;
    const char                  *reason;
    const mesh_rec_addresses_t  *a = (const mesh_rec_addresses_t *) rec;

    (void) reader;

    if (a->reserved != 0) {
        return "a reserved field is not zero";
    }

    for (i = 0; i < a->count; i++) {
        reason = rule_cidr(&a->v[i]);

        if (reason != NULL) {
            return reason;
        }
    }

    return NULL;
}


const char *
mesh_rule_regex(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const mesh_rec_regex_t   *r = (const mesh_rec_regex_t *) rec;
    const mesh_rec_string_t  *pattern;

    if (r->flags & ~(uint32_t) MESH_REGEX_SEARCH) {
        return "unknown flags";
    }

    pattern = mesh_rule_get(reader, r->pattern);

    return pattern->len == 0 || pattern->len > MESH_REGEX_MAX
           ? "a regular expression that is empty, or too long" : NULL;
}
