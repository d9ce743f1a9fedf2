/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One value against one condition, and where values come from.
 */

#include "mesh_match.h"


/*
 * Eight bytes at a time: an upper-case letter is an ASCII byte that carries
 * into its top bit when 0x80 - 'A' is added, and does not when 0x7f - 'Z' is.
 */
static uint64_t
mesh_word_lower(uint64_t word)
{
    uint64_t  low7, from_a, above_z;

    low7 = word & UINT64_C(0x7f7f7f7f7f7f7f7f);
    from_a = low7 + UINT64_C(0x3f3f3f3f3f3f3f3f);
    above_z = low7 + UINT64_C(0x2525252525252525);

    return word | ((from_a ^ above_z) & ~word
                   & UINT64_C(0x8080808080808080)) >> 2;
}


mesh_str_t
mesh_str_lower(mesh_str_t text, char *out)
{
    size_t    i;
    uint64_t  word;

    for (i = 0; i + 8 <= text.len; i += 8) {
        memcpy(&word, text.data + i, 8);
        word = mesh_word_lower(word);
        memcpy(out + i, &word, 8);
    }

    for ( /* void */ ; i < text.len; i++) {
        out[i] = mesh_lower(text.data[i]);
    }

    return (mesh_str_t) { text.len, out };
}


bool
mesh_str_starts_folded(mesh_str_t text, mesh_str_t lower)
{
    size_t  i;

    if (text.len < lower.len) {
        return false;
    }

    for (i = 0; i < lower.len; i++) {
        if (mesh_lower(text.data[i]) != lower.data[i]) {
            return false;
        }
    }

    return true;
}


static bool
mesh_match_starts(const mesh_match_t *m, mesh_str_t text, mesh_str_t want)
{
    return m->flags & MESH_MATCH_IGNORE_CASE
           ? mesh_str_starts_folded(text, want)
           : mesh_str_starts(text, want);
}


static bool
mesh_match_ends(const mesh_match_t *m, mesh_str_t text, mesh_str_t want)
{
    if (text.len < want.len) {
        return false;
    }

    text.data += text.len - want.len;
    text.len = want.len;

    return mesh_match_starts(m, text, want);
}


/* What is looked for in any case is short: MESH_CONTAINS_MAX. */
static bool
mesh_match_contains(const mesh_match_t *m, mesh_str_t text, mesh_str_t want)
{
    size_t  i;

    if (text.len == 0 || want.len == 0) {
        return want.len == 0;
    }

    if ((m->flags & MESH_MATCH_IGNORE_CASE) == 0) {
        return memmem(text.data, text.len, want.data, want.len) != NULL;
    }

    for (i = 0; i + want.len <= text.len; i++) {
        if (mesh_str_starts_folded((mesh_str_t) { want.len, text.data + i },
                                   want))
        {
            return true;
        }
    }

    return false;
}


static bool
mesh_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}


/*
 * A whole decimal number with an optional sign, spaces around it: what
 * absl::SimpleAtoi() reads for Envoy.
 */
static bool
mesh_match_number(mesh_str_t text, int64_t *number)
{
    bool      minus;
    size_t    i;
    uint64_t  value, most;

    while (text.len && mesh_is_space(text.data[0])) {
        text.data++;
        text.len--;
    }

    while (text.len && mesh_is_space(text.data[text.len - 1])) {
        text.len--;
    }

    minus = text.len && text.data[0] == '-';
    most = (uint64_t) INT64_MAX + minus;
    value = 0;
    i = text.len && (minus || text.data[0] == '+');

    if (i == text.len) {
        return false;
    }

    for ( /* void */ ; i < text.len; i++) {
        unsigned  digit = (uint8_t) text.data[i] - '0';

        if (digit > 9 || value > (most - digit) / 10) {
            return false;
        }

        value = value * 10 + digit;
    }

    *number = (int64_t) (minus ? 0 - value : value);

    return true;
}


static bool
mesh_match_range(const mesh_snapshot_t *s, const mesh_match_t *m,
    mesh_str_t text)
{
    int64_t                  number;
    const mesh_rec_range_t  *range;

    range = mesh_get(s, m->value);

    return mesh_match_number(text, &number)
           && number >= range->start && number < range->end;
}


bool
mesh_match_regex(const mesh_snapshot_t *s, mesh_ref_t ref,
    const mesh_request_t *r, mesh_str_t text)
{
    const mesh_rec_regex_t  *regex;

    regex = mesh_get(s, ref);

    return r->calls->regex(r, &regex->digest, mesh_get_str(s, regex->pattern),
                           text);
}


bool
mesh_match_text(const mesh_snapshot_t *s, const mesh_match_t *m,
    const mesh_request_t *r, mesh_str_t text)
{
    mesh_str_t  want;

    if (m->op == MESH_MATCH_PRESENT) {
        return true;
    }

    if (m->op == MESH_MATCH_RANGE) {
        return mesh_match_range(s, m, text);
    }

    if (m->op == MESH_MATCH_REGEX) {
        return mesh_match_regex(s, m->value, r, text);
    }

    want = mesh_get_str(s, m->value);

    switch (m->op) {

    case MESH_MATCH_EXACT:
        return text.len == want.len && mesh_match_starts(m, text, want);

    case MESH_MATCH_PREFIX:
        return mesh_match_starts(m, text, want);

    case MESH_MATCH_SUFFIX:
        return mesh_match_ends(m, text, want);

    default: /* MESH_MATCH_CONTAINS */
        return mesh_match_contains(m, text, want);
    }
}


/* The first part of a text up to a byte, which goes with it. */
static mesh_str_t
mesh_match_cut(mesh_str_t *text, char end)
{
    mesh_str_t   part;
    const char  *at;

    part = *text;
    at = text->len ? memchr(text->data, end, text->len) : NULL;

    if (at == NULL) {
        text->len = 0;
        return part;
    }

    part.len = (size_t) (at - text->data);
    text->data = at + 1;
    text->len -= part.len + 1;

    return part;
}


/* Nothing is decoded; a name without "=" has an empty value. */
bool
mesh_match_query(mesh_str_t query, mesh_str_t name, mesh_str_t *value)
{
    mesh_str_t  part;

    while (query.len) {
        part = mesh_match_cut(&query, '&');

        if (mesh_str_eq(mesh_match_cut(&part, '='), name)) {
            *value = part;
            return true;
        }
    }

    return false;
}


/* In one Cookie header; quotes around a value do not belong to it. */
static bool
mesh_match_cookie(mesh_str_t cookies, mesh_str_t name, mesh_str_t *value)
{
    mesh_str_t  part;

    while (cookies.len) {
        part = mesh_match_cut(&cookies, ';');

        while (part.len && (part.data[0] == ' ' || part.data[0] == '\t')) {
            part.data++;
            part.len--;
        }

        if (part.len <= name.len || part.data[name.len] != '='
            || !mesh_str_starts(part, name))
        {
            continue;
        }

        part.data += name.len + 1;
        part.len -= name.len + 1;

        if (part.len >= 2 && part.data[0] == '"'
            && part.data[part.len - 1] == '"')
        {
            part.data++;
            part.len -= 2;
        }

        *value = part;

        return true;
    }

    return false;
}


bool
mesh_match_cookies(const mesh_request_t *r, mesh_str_t name,
    mesh_str_t *value)
{
    uint32_t            hash;
    mesh_str_t          header, cookies;
    mesh_header_iter_t  iter = { NULL, 0 };

    header = MESH_STR("cookie");
    hash = mesh_header_hash(header.data, header.len);

    while (r->calls->header(r, header, hash, &iter, &cookies)) {
        if (mesh_match_cookie(cookies, name, value)) {
            return true;
        }
    }

    return false;
}


bool
mesh_match_single(const mesh_snapshot_t *s, const mesh_match_t *m,
    const mesh_request_t *r, mesh_header_iter_t *iter, mesh_str_t *value)
{
    if (iter->index++) {
        return false;
    }

    switch (m->from) {

    case MESH_FROM_METHOD:
        *value = r->method;
        return true;

    case MESH_FROM_AUTHORITY:
        *value = r->authority;
        return value->len != 0;

    case MESH_FROM_SCHEME:
        *value = r->scheme;
        return true;

    case MESH_FROM_PATH:
        *value = mesh_request_whole_path(r);
        return true;

    case MESH_FROM_QUERY:
        return mesh_match_query(r->query, mesh_get_str(s, m->name), value);

    case MESH_FROM_SNI:
        return r->calls->sni(r, value);

    case MESH_FROM_PORT:
        return r->calls->port(r, value);

    default: /* MESH_FROM_COOKIE */
        return mesh_match_cookies(r, mesh_get_str(s, m->name), value);
    }
}


bool
mesh_match_missing(const mesh_snapshot_t *s, const mesh_match_t *m,
    const mesh_request_t *r)
{
    bool  invert;

    invert = (m->flags & MESH_MATCH_INVERT) != 0;

    if (m->flags & MESH_MATCH_MISSING) {
        return mesh_match_text(s, m, r, MESH_STR("")) != invert;
    }

    return invert && (m->op == MESH_MATCH_PRESENT
                      || m->from > MESH_FROM_SCHEME);
}


bool
mesh_match_value(const mesh_snapshot_t *s, const mesh_match_t *m,
    const mesh_request_t *r, mesh_str_t *value)
{
    mesh_header_iter_t  iter = { NULL, 0 };

    return mesh_match_next(s, m, r, &iter, value);
}


/* As Envoy's Grpc::Common::isGrpcRequestHeaders(). */
bool
mesh_match_grpc(const mesh_request_t *r)
{
    uint32_t            hash;
    mesh_str_t          name, type, grpc;
    mesh_header_iter_t  iter = { NULL, 0 };

    name = MESH_STR("content-type");
    grpc = MESH_STR("application/grpc");
    hash = mesh_header_hash(name.data, name.len);

    return r->calls->header(r, name, hash, &iter, &type)
           && mesh_str_starts(type, grpc)
           && (type.len == grpc.len || type.data[grpc.len] == '+');
}


static bool
mesh_match_cidr(const mesh_cidr_t *cidr, mesh_str_t address)
{
    uint8_t   differ;
    unsigned  whole;

    if (address.len != (cidr->family == MESH_FAMILY_IPV4 ? 4u : 16u)) {
        return false;
    }

    whole = cidr->bits / 8;

    if (memcmp(cidr->addr, address.data, whole) != 0) {
        return false;
    }

    if (cidr->bits % 8 == 0) {
        return true;
    }

    differ = cidr->addr[whole] ^ (uint8_t) address.data[whole];

    return differ >> (8 - cidr->bits % 8) == 0;
}


bool
mesh_match_addresses(const mesh_rec_addresses_t *addresses,
    const mesh_request_t *r)
{
    uint32_t    i;
    mesh_str_t  address;

    static const char  mapped[12] = "\0\0\0\0\0\0\0\0\0\0\xff\xff";

    if (!r->calls->address(r, &address)) {
        return false;
    }

    /* An IPv4 client of a socket that takes both (RFC 4291, 2.5.5.2). */

    if (address.len == 16
        && memcmp(address.data, mapped, sizeof(mapped)) == 0)
    {
        address.data += sizeof(mapped);
        address.len = 4;
    }

    for (i = 0; i < addresses->count; i++) {
        if (mesh_match_cidr(&addresses->v[i], address)) {
            return true;
        }
    }

    return false;
}
