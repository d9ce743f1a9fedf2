/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Mirrors: shares, a writer of heads, and a reader that forgets what it
 * reads.  Both are for HTTP/1.1 (RFC 9112).
 */

#include "mesh_match.h"
#include "mesh_mirror.h"
#include "mesh_route.h"
#include "mesh_text.h"


bool
mesh_mirror_wanted(const mesh_mirror_t *mirror, uint64_t ticket)
{
    return mirror->share_ppm == MESH_SHARE_ALL
           || mesh_share_point(ticket, mirror->cluster_hash)
              < mirror->share_ppm;
}


/* --- writing ------------------------------------------------------------- */

size_t
mesh_mirror_host(const mesh_mirror_t *mirror, mesh_str_t host, char *out,
    size_t size)
{
    mesh_str_t   name, port;
    mesh_text_t  t = { out, size, 0, false };

    if (mirror->flags & MESH_MIRROR_SAME_HOST) {
        mesh_text_put(&t, host);
        return t.len;
    }

    name = mesh_authority_host(host);
    port = (mesh_str_t) { host.len - name.len, host.data + name.len };

    mesh_text_put(&t, name);
    mesh_text_put(&t, MESH_STR("-shadow"));
    mesh_text_put(&t, port);

    return t.len;
}


/* Of a connection, or of how a body is sent. */
static const mesh_str_t  mirror_dropped[] = {
    mesh_str("connection"),
    mesh_str("content-length"),
    mesh_str("expect"),
    mesh_str("host"),
    mesh_str("http2-settings"),
    mesh_str("keep-alive"),
    mesh_str("proxy-connection"),
    mesh_str("te"),
    mesh_str("transfer-encoding"),
    mesh_str("upgrade"),
};


static bool
mirror_is_dropped(mesh_str_t name)
{
    size_t  i;

    for (i = 0; i < mesh_nelts(mirror_dropped); i++) {
        if (mesh_str_eq_folded(name, mirror_dropped[i])) {
            return true;
        }
    }

    return false;
}


/* The next line, with its end; false: there is none that ends. */
static bool
mirror_line(mesh_str_t *head, mesh_str_t *line)
{
    const char  *end;

    end = head->len ? memchr(head->data, '\n', head->len) : NULL;

    if (end == NULL) {
        return false;
    }

    *line = (mesh_str_t) { (size_t) (end + 1 - head->data), head->data };
    head->data += line->len;
    head->len -= line->len;

    return true;
}


/* "METHOD TARGET HTTP/1.0" as HTTP/1.1. */
static bool
mirror_put_first(mesh_text_t *t, mesh_str_t *head)
{
    mesh_str_t   line;
    const char  *blank;

    if (!mirror_line(head, &line)) {
        return false;
    }

    blank = memrchr(line.data, ' ', line.len);

    if (blank == NULL || blank == line.data) {
        return false;
    }

    mesh_text_put(t, (mesh_str_t) { (size_t) (blank - line.data), line.data });
    mesh_text_put(t, MESH_STR(" HTTP/1.1\r\n"));

    return true;
}


size_t
mesh_mirror_head(mesh_str_t head, mesh_str_t host, uint64_t length, char *out,
    size_t size)
{
    bool         body;
    mesh_str_t   line, name;
    const char  *colon;
    mesh_text_t  t = { out, size, 0, false };

    if (!mirror_put_first(&t, &head)) {
        return 0;
    }

    mesh_text_put(&t, MESH_STR("Host: "));
    mesh_text_put(&t, host);
    mesh_text_put(&t, MESH_STR("\r\nConnection: close\r\n"));

    body = length != 0;

    while (mirror_line(&head, &line)) {
        colon = memchr(line.data, ':', line.len);

        if (colon == NULL) {
            break;
        }

        name = (mesh_str_t) { (size_t) (colon - line.data), line.data };

        if (!mirror_is_dropped(name)) {
            mesh_text_put(&t, line);
        }

        body = body || mesh_str_eq_folded(name, MESH_STR("content-length"))
               || mesh_str_eq_folded(name, MESH_STR("transfer-encoding"));
    }

    if (body) {
        mesh_text_put(&t, MESH_STR("Content-Length: "));
        mesh_text_put_number(&t, length, 1);
        mesh_text_put(&t, MESH_STR("\r\n"));
    }

    mesh_text_put(&t, MESH_STR("\r\n"));

    return t.len;
}


/* --- reading ------------------------------------------------------------- */

typedef enum {
    MIRROR_FIRST = 0,           /* a status line */
    MIRROR_FIELD,               /* a header field, or the empty line */
    MIRROR_BODY,                /* `left` bytes */
    MIRROR_ENDLESS,             /* up to the connection's end */
    MIRROR_SIZE,                /* a chunk's size */
    MIRROR_CHUNK,               /* `left` bytes */
    MIRROR_CHUNK_END,           /* the line behind them */
    MIRROR_TRAILER,
    MIRROR_OVER,
    MIRROR_BROKEN
} mirror_state_e;

typedef enum {
    MIRROR_BY_END = 0,
    MIRROR_BY_LENGTH,
    MIRROR_BY_CHUNKS
} mirror_framing_e;


static bool
mirror_digits(mesh_str_t text, unsigned base, uint64_t *value)
{
    int     digit;
    size_t  i;

    *value = 0;

    for (i = 0; i < text.len; i++) {
        digit = mesh_hex(text.data[i]);

        if (digit < 0) {
            break;
        }

        if (digit >= (int) base || *value > (UINT64_MAX >> 4) - 15) {
            return false;
        }

        *value = *value * base + (unsigned) digit;
    }

    return i != 0;
}


/* "HTTP/1.x NNN"; those of 1xx are followed by another. */
static uint8_t
mirror_first(mesh_mirror_answer_t *a, mesh_str_t line)
{
    uint64_t  status;

    if (line.len < 12 || memcmp(line.data, "HTTP/1.", 7) != 0
        || line.data[8] != ' '
        || !mirror_digits((mesh_str_t) { 3, line.data + 9 }, 10, &status)
        || status < 100 || status > 999)
    {
        return MIRROR_BROKEN;
    }

    a->status = (unsigned) status;
    a->framing = MIRROR_BY_END;

    return MIRROR_FIELD;
}


/* The header is over: what follows? */
static uint8_t
mirror_begin_body(mesh_mirror_answer_t *a)
{
    if (a->status < 200 && a->status != 101) {
        return MIRROR_FIRST;
    }

    if (a->head_only || a->status == 204 || a->status == 304) {
        return MIRROR_OVER;
    }

    switch (a->framing) {

    case MIRROR_BY_CHUNKS:
        return MIRROR_SIZE;

    case MIRROR_BY_LENGTH:
        return a->left ? MIRROR_BODY : MIRROR_OVER;

    default:
        return MIRROR_ENDLESS;
    }
}


static uint8_t
mirror_field(mesh_mirror_answer_t *a, mesh_str_t line)
{
    mesh_str_t   name, value;
    const char  *colon;

    if (line.len == 0) {
        return mirror_begin_body(a);
    }

    colon = memchr(line.data, ':', line.len);

    if (colon == NULL) {
        /* a name longer than what is kept of a line is none of these */
        return MIRROR_FIELD;
    }

    name = (mesh_str_t) { (size_t) (colon - line.data), line.data };
    value = mesh_header_trim((mesh_str_t) { line.len - name.len - 1,
                                            colon + 1 });

    if (mesh_str_eq_folded(name, MESH_STR("transfer-encoding"))) {
        a->framing = MIRROR_BY_CHUNKS;

    } else if (mesh_str_eq_folded(name, MESH_STR("content-length"))
               && a->framing != MIRROR_BY_CHUNKS)
    {
        if (!mirror_digits(value, 10, &a->left)) {
            return MIRROR_BROKEN;
        }

        a->framing = MIRROR_BY_LENGTH;
    }

    return MIRROR_FIELD;
}


/* What a line that is over means. */
static uint8_t
mirror_take(mesh_mirror_answer_t *a, mesh_str_t line)
{
    switch (a->state) {

    case MIRROR_FIRST:
        return mirror_first(a, line);

    case MIRROR_FIELD:
        return mirror_field(a, line);

    case MIRROR_SIZE:
        if (!mirror_digits(line, 16, &a->left)) {
            return MIRROR_BROKEN;
        }

        return a->left ? MIRROR_CHUNK : MIRROR_TRAILER;

    case MIRROR_CHUNK_END:
        return line.len ? MIRROR_BROKEN : MIRROR_SIZE;

    default: /* MIRROR_TRAILER */
        return line.len ? MIRROR_TRAILER : MIRROR_OVER;
    }
}


/* Takes the bytes of a line, and tells how many. */
static size_t
mirror_read_line(mesh_mirror_answer_t *a, const char *data, size_t len)
{
    size_t       n, room;
    mesh_str_t   line;
    const char  *end;

    end = memchr(data, '\n', len);
    n = end ? (size_t) (end - data) : len;

    room = sizeof(a->line) - a->line_len;
    room = mesh_min(room, n);

    if (room) {
        memcpy(a->line + a->line_len, data, room);
        a->line_len += (uint32_t) room;
    }

    if (end == NULL) {
        return n;
    }

    line = (mesh_str_t) { a->line_len, a->line };

    if (line.len && line.data[line.len - 1] == '\r') {
        line.len--;
    }

    a->state = mirror_take(a, line);
    a->line_len = 0;

    return n + 1;
}


static size_t
mirror_read_body(mesh_mirror_answer_t *a, size_t len)
{
    size_t  n;

    n = (size_t) mesh_min((uint64_t) len, a->left);
    a->left -= n;

    if (a->left == 0) {
        a->state = a->state == MIRROR_BODY ? MIRROR_OVER : MIRROR_CHUNK_END;
    }

    return n;
}


mesh_mirror_progress_e
mesh_mirror_read(mesh_mirror_answer_t *a, const char *data, size_t len)
{
    size_t  n;

    while (len && a->state < MIRROR_OVER && a->state != MIRROR_ENDLESS) {

        if (a->state == MIRROR_BODY || a->state == MIRROR_CHUNK) {
            n = mirror_read_body(a, len);

        } else {
            n = mirror_read_line(a, data, len);

            if (a->state <= MIRROR_FIELD) {
                a->seen += (uint32_t) mesh_min(n, MESH_MIRROR_HEADER_MAX);

                if (a->seen > MESH_MIRROR_HEADER_MAX) {
                    a->state = MIRROR_BROKEN;
                }
            }
        }

        data += n;
        len -= n;
    }

    if (a->state <= MIRROR_FIELD) {
        return MESH_MIRROR_MORE;
    }

    if (a->state < MIRROR_OVER) {
        return MESH_MIRROR_STATUS;
    }

    return a->state == MIRROR_OVER ? MESH_MIRROR_DONE : MESH_MIRROR_BAD;
}
