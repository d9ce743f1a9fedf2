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


bool
mesh_mirror_drops(mesh_str_t name)
{
    size_t  i;

    for (i = 0; i < mesh_nelts(mirror_dropped); i++) {
        if (mesh_str_eq_folded(name, mirror_dropped[i])) {
            return true;
        }
    }

    return false;
}


bool
mesh_mirror_frames(mesh_str_t name)
{
    return mesh_str_eq_folded(name, MESH_STR("content-length"))
           || mesh_str_eq_folded(name, MESH_STR("transfer-encoding"));
}


bool
mesh_mirror_line(mesh_str_t *head, mesh_str_t *line)
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


bool
mesh_mirror_field(mesh_str_t *head, mesh_str_t *line, mesh_str_t *name)
{
    const char  *colon;

    colon = mesh_mirror_line(head, line) ? memchr(line->data, ':', line->len)
                                         : NULL;

    if (colon == NULL) {
        return false;
    }

    *name = (mesh_str_t) { (size_t) (colon - line->data), line->data };

    return true;
}


/* "METHOD TARGET HTTP/1.0" as HTTP/1.1. */
static bool
mirror_put_first(mesh_text_t *t, mesh_str_t *head)
{
    mesh_str_t   line;
    const char  *blank;

    if (!mesh_mirror_line(head, &line)) {
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
mesh_mirror_head(mesh_str_t head, const mesh_mirror_form_t *form, char *out,
    size_t size)
{
    bool         body;
    mesh_str_t   line, name;
    mesh_text_t  t = { out, size, 0, false };

    if (!mirror_put_first(&t, &head)) {
        return 0;
    }

    mesh_text_put(&t, MESH_STR("Host: "));
    mesh_text_put(&t, form->host);
    mesh_text_put(&t, form->last ? MESH_STR("\r\nConnection: close\r\n")
                                 : MESH_STR("\r\n"));

    body = form->length != 0;

    while (mesh_mirror_field(&head, &line, &name)) {

        if (!mesh_mirror_drops(name)) {
            mesh_text_put(&t, line);
        }

        body = body || mesh_mirror_frames(name);
    }

    if (body) {
        mesh_text_put(&t, MESH_STR("Content-Length: "));
        mesh_text_put_number(&t, form->length, 1);
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
    MIRROR_BY_CODING,           /* chunks are not the last one */
    MIRROR_BY_CHUNKS
} mirror_framing_e;


/* How many digits `text` begins with; 0: none, or too many. */
static size_t
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
            return 0;
        }

        *value = *value * base + (unsigned) digit;
    }

    return i;
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
    a->last = a->last || line.data[7] == '0';

    return MIRROR_FIELD;
}


/* The header is over: what follows? */
static uint8_t
mirror_begin_body(mesh_mirror_answer_t *a)
{
    if (a->status < 200 && a->status != 101) {
        return MIRROR_FIRST;
    }

    if (a->head_only || a->status == 304) {
        return MIRROR_OVER;
    }

    if (a->status == 204) {
        a->last = a->last || a->framing != MIRROR_BY_END;
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


/* "close" in a list? */
static bool
mirror_closes(mesh_str_t list)
{
    mesh_str_t  item;

    while (mesh_header_item(&list, &item)) {
        if (mesh_str_eq_folded(item, MESH_STR("close"))) {
            return true;
        }
    }

    return false;
}


static uint8_t
mirror_length(mesh_mirror_answer_t *a, mesh_str_t value)
{
    size_t    digits;
    uint64_t  length;

    if (a->framing >= MIRROR_BY_CODING) {
        a->last = true;
        return MIRROR_FIELD;
    }

    digits = mirror_digits(value, 10, &length);

    if (digits == 0) {
        return MIRROR_BROKEN;
    }

    a->last = a->last || digits != value.len
              || a->framing == MIRROR_BY_LENGTH;
    a->left = length;
    a->framing = MIRROR_BY_LENGTH;

    return MIRROR_FIELD;
}


static void
mirror_coding(mesh_mirror_answer_t *a, mesh_str_t value)
{
    static const mesh_str_t  chunked = mesh_str("chunked");

    a->last = a->last || a->framing != MIRROR_BY_END
              || !mesh_str_eq_folded(value, chunked);

    if (value.len > chunked.len) {
        value.data += value.len - chunked.len;
        value.len = chunked.len;
    }

    a->framing = mesh_str_eq_folded(value, chunked) ? MIRROR_BY_CHUNKS
                                                    : MIRROR_BY_CODING;
}


/* `cut`: more of the line came than was kept of it. */
static uint8_t
mirror_field(mesh_mirror_answer_t *a, mesh_str_t line, bool cut)
{
    mesh_str_t   name, value;
    const char  *colon;

    if (line.len == 0) {
        return mirror_begin_body(a);
    }

    colon = memchr(line.data, ':', line.len);

    if (line.data[0] == ' ' || line.data[0] == '\t') {
        /* the line before goes on */
        a->last = true;
    }

    if (colon == NULL) {
        /* a name longer than what is kept of a line is none of these */
        a->last = a->last || !cut;
        return MIRROR_FIELD;
    }

    name = (mesh_str_t) { (size_t) (colon - line.data), line.data };
    value = mesh_header_trim((mesh_str_t) { line.len - name.len - 1,
                                            colon + 1 });

    if (mesh_header_trim(name).len != name.len) {
        a->last = true;
    }

    if (mesh_str_eq_folded(name, MESH_STR("transfer-encoding"))) {
        a->last = a->last || cut;
        mirror_coding(a, value);

    } else if (mesh_str_eq_folded(name, MESH_STR("content-length"))) {
        a->last = a->last || cut;
        return mirror_length(a, value);

    } else if (mesh_str_eq_folded(name, MESH_STR("connection"))) {
        a->last = a->last || cut || mirror_closes(value);
    }

    return MIRROR_FIELD;
}


static uint8_t
mirror_size(mesh_mirror_answer_t *a, mesh_str_t line, bool cut)
{
    size_t  digits;

    digits = mirror_digits(line, 16, &a->left);

    if (digits == 0 || (cut && digits == line.len)) {
        return MIRROR_BROKEN;
    }

    if (digits < line.len && memchr("; \t", line.data[digits], 3) == NULL) {
        a->last = true;
    }

    return a->left ? MIRROR_CHUNK : MIRROR_TRAILER;
}


/* What a line that is over means. */
static uint8_t
mirror_take(mesh_mirror_answer_t *a, mesh_str_t line, bool cut)
{
    switch (a->state) {

    case MIRROR_FIRST:
        return mirror_first(a, line);

    case MIRROR_FIELD:
        return mirror_field(a, line, cut);

    case MIRROR_SIZE:
        return mirror_size(a, line, cut);

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
    size_t       n, kept, room;
    mesh_str_t   line;
    const char  *end;

    end = memchr(data, '\n', len);
    n = end ? (size_t) (end - data) : len;

    kept = mesh_min(a->line_len, sizeof(a->line));
    room = sizeof(a->line) - kept;
    room = mesh_min(room, n);

    if (room) {
        memcpy(a->line + kept, data, room);
        kept += room;
    }

    a->line_len = (uint32_t) mesh_min((uint64_t) a->line_len + n, UINT32_MAX);

    if (end == NULL) {
        return n;
    }

    line = (mesh_str_t) { kept, a->line };

    if (line.len && line.data[line.len - 1] == '\r') {
        line.len--;
    }

    a->state = mirror_take(a, line, a->line_len > kept);
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

    if (a->state == MIRROR_BROKEN) {
        return MESH_MIRROR_BAD;
    }

    a->last = a->last || len != 0;

    return MESH_MIRROR_DONE;
}
