/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The parts of a request's first line: method and target.  The path's
 * normalisation is in mesh_path.c.
 */

#include "mesh_request.h"


typedef struct {
    mesh_str_t  name;
    uint16_t    bit;
} mesh_method_t;


static const mesh_method_t  mesh_methods[] = {
    { mesh_str("GET"),     MESH_METHOD_GET },
    { mesh_str("POST"),    MESH_METHOD_POST },
    { mesh_str("HEAD"),    MESH_METHOD_HEAD },
    { mesh_str("PUT"),     MESH_METHOD_PUT },
    { mesh_str("DELETE"),  MESH_METHOD_DELETE },
    { mesh_str("OPTIONS"), MESH_METHOD_OPTIONS },
    { mesh_str("PATCH"),   MESH_METHOD_PATCH },
    { mesh_str("CONNECT"), MESH_METHOD_CONNECT },
    { mesh_str("TRACE"),   MESH_METHOD_TRACE },
};


uint16_t
mesh_method_bit(mesh_str_t method)
{
    size_t  i;

    /* Case matters (RFC 9110, 9.1): "get" is another method. */

    for (i = 0; i < mesh_nelts(mesh_methods); i++) {
        if (mesh_str_eq(mesh_methods[i].name, method)) {
            return mesh_methods[i].bit;
        }
    }

    return MESH_METHOD_OTHER;
}


/* What ends a part of a target; every byte of every request is looked up. */
#define MESH_ENDS_AUTHORITY   1
#define MESH_ENDS_PATH        2

static const uint8_t  mesh_target_ends[256] = {
    ['/'] = MESH_ENDS_AUTHORITY,
    ['?'] = MESH_ENDS_AUTHORITY|MESH_ENDS_PATH,
    ['#'] = MESH_ENDS_AUTHORITY|MESH_ENDS_PATH,
};


static size_t
mesh_target_find(mesh_str_t s, size_t from, unsigned ends)
{
    const uint8_t  *p, *first, *last;

    first = (const uint8_t *) s.data;
    last = first + s.len;

    for (p = first + from; p < last; p++) {
        if (mesh_target_ends[*p] & ends) {
            break;
        }
    }

    return (size_t) (p - first);
}


static bool
mesh_scheme_char(char c, bool first)
{
    c = mesh_lower(c);

    if (c >= 'a' && c <= 'z') {
        return true;
    }

    return !first && ((c >= '0' && c <= '9') || c == '+' || c == '-'
                      || c == '.');
}


/* Where the authority of an absolute target begins; 0: not an absolute one. */
static size_t
mesh_target_authority(mesh_str_t target)
{
    size_t  i;

    for (i = 0; i < target.len; i++) {
        if (!mesh_scheme_char(target.data[i], i == 0)) {
            break;
        }
    }

    if (i == 0 || target.len - i < 3
        || memcmp(target.data + i, "://", 3) != 0)
    {
        return 0;
    }

    return i + 3;
}


mesh_status_t
mesh_request_target(mesh_str_t target, mesh_str_t *path, mesh_str_t *query,
    bool *has_query, mesh_str_t *authority)
{
    size_t       begin, end, mark;
    const char  *hash;

    *query = MESH_STR_NULL;
    *authority = MESH_STR_NULL;
    *has_query = false;
    begin = 0;

    if (target.len == 0) {
        return MESH_ERROR;
    }

    if (target.len == 1 && target.data[0] == '*') {
        *path = target;
        return MESH_OK;
    }

    /* "?a=b" is what is left of "http://host?a=b" once the host is cut off. */

    if (target.data[0] != '/' && target.data[0] != '?') {
        begin = mesh_target_authority(target);

        if (begin == 0) {
            return MESH_ERROR;
        }

        end = mesh_target_find(target, begin, MESH_ENDS_AUTHORITY);

        if (end == begin) {
            return MESH_ERROR;
        }

        *authority = (mesh_str_t) { end - begin, target.data + begin };
        begin = end;
    }

    mark = mesh_target_find(target, begin, MESH_ENDS_PATH);
    *path = (mesh_str_t) { mark - begin, target.data + begin };

    if (path->len == 0) {
        *path = MESH_STR("/");
    }

    if (mark < target.len && target.data[mark] == '?') {
        hash = memchr(target.data + mark, '#', target.len - mark);
        end = hash ? (size_t) (hash - target.data) : target.len;
        *has_query = true;
        *query = (mesh_str_t) { end - mark - 1, target.data + mark + 1 };
    }

    return MESH_OK;
}


static bool
mesh_is_blank(char c)
{
    return c == ' ' || c == '\t';
}


mesh_str_t
mesh_header_trim(mesh_str_t value)
{
    while (value.len && mesh_is_blank(value.data[0])) {
        value.data++;
        value.len--;
    }

    while (value.len && mesh_is_blank(value.data[value.len - 1])) {
        value.len--;
    }

    return value;
}


bool
mesh_header_item(mesh_str_t *list, mesh_str_t *item)
{
    size_t       n;
    const char  *comma;

    if (list->len == 0) {
        return false;
    }

    comma = memchr(list->data, ',', list->len);
    n = comma ? (size_t) (comma - list->data) : list->len;

    *item = mesh_header_trim((mesh_str_t) { n, list->data });

    n += comma ? 1 : 0;
    list->data += n;
    list->len -= n;

    return true;
}


mesh_str_t
mesh_authority_host(mesh_str_t authority)
{
    size_t  i;

    /* An IPv6 address is in brackets: its own colons are not reached. */

    for (i = authority.len; i > 0; i--) {
        if (authority.data[i - 1] == ':') {
            return (mesh_str_t) { i - 1, authority.data };
        }

        if (authority.data[i - 1] < '0' || authority.data[i - 1] > '9') {
            break;
        }
    }

    return authority;
}
