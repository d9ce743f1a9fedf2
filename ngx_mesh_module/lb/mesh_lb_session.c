/* SPDX-License-Identifier: Apache-2.0 */

/*
 * From a cookie to an endpoint: the address in it is looked up among the
 * view's endpoints, which are in order of family, address, port and path.
 */

#include <arpa/inet.h>

#include "mesh_lb_session.h"


static const char  session_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";


/* An endpoint's key, as far as a view is in order of it. */
typedef struct {
    uint8_t      family;
    uint16_t     port;
    uint8_t      addr[16];
    mesh_str_t   path;
} session_key_t;


size_t
mesh_lb_session_value(mesh_str_t text, char *out)
{
    size_t    i, n;
    uint32_t  word;

    if (text.len > MESH_SESSION_TEXT_MAX) {
        return 0;
    }

    n = 0;

    for (i = 0; i < text.len; i += 3) {
        word = (uint32_t) (uint8_t) text.data[i] << 16;

        if (i + 1 < text.len) {
            word |= (uint32_t) (uint8_t) text.data[i + 1] << 8;
        }

        if (i + 2 < text.len) {
            word |= (uint8_t) text.data[i + 2];
        }

        out[n++] = session_digits[word >> 18];
        out[n++] = session_digits[word >> 12 & 63];
        out[n++] = i + 1 < text.len ? session_digits[word >> 6 & 63] : '=';
        out[n++] = i + 2 < text.len ? session_digits[word & 63] : '=';
    }

    return n;
}


/*
 * The text of a value, with a NUL; false: it is no base64, or of nothing.  One
 * that is too long is "", as it is nobody's.
 */
static bool
session_decode(mesh_str_t value, char *out, size_t *len)
{
    bool         fits;
    size_t       i, n;
    uint32_t     word, bits;
    const char  *digit;

    while (value.len && value.data[value.len - 1] == '=') {
        value.len--;
    }

    fits = true;

    n = 0;
    word = 0;
    bits = 0;

    for (i = 0; i < value.len; i++) {
        digit = memchr(session_digits, value.data[i], 64);

        if (digit == NULL) {
            return false;
        }

        word = word << 6 | (uint32_t) (digit - session_digits);
        bits += 6;

        if (bits >= 8) {
            bits -= 8;
            fits = fits && n < MESH_SESSION_TEXT_MAX;

            if (fits) {
                out[n++] = (char) (word >> bits & 0xff);
            }
        }
    }

    *len = fits ? n : 0;
    out[*len] = '\0';

    return n != 0;
}


static bool
session_port(const char *text, uint16_t *port)
{
    uint32_t  value;

    value = 0;

    if (*text == '\0') {
        return false;
    }

    for ( /* void */ ; *text; text++) {

        if (*text < '0' || *text > '9' || value > 65535) {
            return false;
        }

        value = value * 10 + (uint32_t) (*text - '0');
    }

    *port = (uint16_t) value;

    return value <= 65535;
}


/* The reverse of mesh_endpoint_text(); changes the text. */
static bool
session_key(char *text, size_t len, session_key_t *key)
{
    char  *end;

    memset(key, 0, sizeof(*key));

    if (memchr(text, '\0', len) != NULL) {
        return false;
    }

    if (strncmp(text, "unix:", 5) == 0) {
        key->family = MESH_FAMILY_UNIX;
        key->path = mesh_str_from(text + 5);
        return true;
    }

    end = strrchr(text, ':');

    if (end == NULL || !session_port(end + 1, &key->port)) {
        return false;
    }

    *end = '\0';

    if (text[0] == '[' && end > text && end[-1] == ']') {
        end[-1] = '\0';
        key->family = MESH_FAMILY_IPV6;
        return inet_pton(AF_INET6, text + 1, key->addr) == 1;
    }

    key->family = MESH_FAMILY_IPV4;

    return inet_pton(AF_INET, text, key->addr) == 1;
}


static int
session_cmp(const mesh_snapshot_t *s, const session_key_t *key,
    const mesh_endpoint_t *endpoint)
{
    int  rc;

    rc = key->family - endpoint->family;

    if (rc == 0) {
        rc = memcmp(key->addr, endpoint->addr, sizeof(key->addr));
    }

    if (rc == 0) {
        rc = key->port - endpoint->port;
    }

    if (rc || key->family != MESH_FAMILY_UNIX) {
        return rc;
    }

    return mesh_str_cmp(key->path, mesh_get_str(s, endpoint->host));
}


static uint32_t
session_find(const mesh_snapshot_t *s, const mesh_cluster_view_t *view,
    const session_key_t *key)
{
    int       rc;
    uint32_t  low, high, middle;

    low = 0;
    high = view->total;

    while (low < high) {
        middle = low + (high - low) / 2;
        rc = session_cmp(s, key, view->endpoints[middle].endpoint);

        if (rc == 0) {
            return middle;
        }

        if (rc < 0) {
            high = middle;

        } else {
            low = middle + 1;
        }
    }

    return MESH_PICK_NONE;
}


/* May it be picked?  Of any priority: the session came before the load. */
static bool
session_may(mesh_pick_t *pick, uint32_t index)
{
    uint32_t  i;

    for (i = 0; i < pick->subset->ngroups; i++) {
        pick->group = &pick->subset->groups[i];

        if (mesh_lb_position(pick->group, index) != MESH_PICK_NONE) {
            return true;
        }
    }

    return false;
}


bool
mesh_lb_session_says(const mesh_session_t *session)
{
    char    text[MESH_SESSION_TEXT_MAX + 1];
    size_t  len;

    return session_decode(session->value, text, &len);
}


uint32_t
mesh_lb_session_pick(mesh_pick_t *pick, const mesh_snapshot_t *s,
    const mesh_session_t *session)
{
    char           text[MESH_SESSION_TEXT_MAX + 1];
    size_t         len;
    uint32_t       index;
    session_key_t  key;

    if (session->value.len == 0
        || pick->ntried != 0
        || !session_decode(session->value, text, &len))
    {
        return mesh_lb_pick(pick);
    }

    index = MESH_PICK_NONE;

    if (session_key(text, len, &key)) {
        index = session_find(s, pick->view, &key);
    }

    if (index != MESH_PICK_NONE && session_may(pick, index)) {
        return index;
    }

    return session->strict ? MESH_PICK_NONE : mesh_lb_pick(pick);
}
