/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A copy as HTTP/2.  It is written whole, and numbered when its connection is
 * known.  Its DATA goes in small frames, which fit into most windows whole.
 */

#include "mesh_match.h"
#include "mesh_mirror2_impl.h"
#include "mesh_request.h"
#include "mesh_text.h"


/* No table of fields, no pushes, and windows beyond what is read. */
static void
mirror2_put_opening(uint8_t *p)
{
    static const uint8_t  settings[] = {
        0, 1, 0, 0, 0, 0,
        0, 2, 0, 0, 0, 0,
        0, SETTING_WINDOW, MESH_MIRROR2_WINDOW >> 24,
        (MESH_MIRROR2_WINDOW >> 16) & 0xff,
        (MESH_MIRROR2_WINDOW >> 8) & 0xff, MESH_MIRROR2_WINDOW & 0xff
    };
    static const mesh_str_t  preface
        = mesh_str("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

    _Static_assert(24 + 2 * MIRROR2_HEAD + sizeof(settings) + 4
                   == MIRROR2_OPENING, "an opening");

    memcpy(p, preface.data, preface.len);
    p += preface.len;

    mirror2_put_head(p, sizeof(settings), FRAME_SETTINGS, 0);
    memcpy(p + MIRROR2_HEAD, settings, sizeof(settings));
    p += MIRROR2_HEAD + sizeof(settings);

    mirror2_put_head(p, 4, FRAME_WINDOW_UPDATE, 0);
    mirror2_put_u32(p + MIRROR2_HEAD, MESH_MIRROR2_WINDOW - MIRROR2_DEFAULT);
}


static void
mirror2_put_byte(mesh_text_t *t, unsigned byte)
{
    char  c = (char) byte;

    mesh_text_put(t, (mesh_str_t) { 1, &c });
}


/* A string as it is, with its length in 7 bits and what follows them. */
static void
mirror2_put_string(mesh_text_t *t, mesh_str_t text, bool lower)
{
    size_t  i, len;

    len = text.len;

    if (len < 127) {
        mirror2_put_byte(t, (unsigned) len);

    } else {
        mirror2_put_byte(t, 127);

        for (len -= 127; len >= 128; len >>= 7) {
            mirror2_put_byte(t, (unsigned) (len & 127) | 128);
        }

        mirror2_put_byte(t, (unsigned) len);
    }

    if (!lower) {
        mesh_text_put(t, text);
        return;
    }

    for (i = 0; i < text.len; i++) {
        mirror2_put_byte(t, (uint8_t) mesh_lower(text.data[i]));
    }
}


static void
mirror2_put_field(mesh_text_t *t, unsigned name, mesh_str_t value)
{
    static const unsigned  most = 15;   /* in 4 bits */

    mirror2_put_byte(t, mesh_min(name, most));

    if (name >= most) {
        mirror2_put_byte(t, name - most);
    }

    mirror2_put_string(t, value, false);
}


static bool
mirror2_put_first(mesh_text_t *t, mesh_str_t *head, mesh_str_t host)
{
    size_t       len;
    mesh_str_t   line;
    const char  *blank, *last;

    if (!mesh_mirror_line(head, &line)) {
        return false;
    }

    blank = memchr(line.data, ' ', line.len);
    last = memrchr(line.data, ' ', line.len);

    if (blank == NULL || blank == line.data || last <= blank + 1) {
        return false;
    }

    len = (size_t) (blank - line.data);

    /*
     * RFC 7541, 4.2: due in the first block behind settings that allow a
     * smaller table than before, and in any block no harm.
     */
    mirror2_put_byte(t, FIELD_NO_TABLE);

    mirror2_put_field(t, FIELD_METHOD, (mesh_str_t) { len, line.data });
    mirror2_put_byte(t, 0x80 | FIELD_HTTP);
    mirror2_put_field(t, FIELD_AUTHORITY, host);
    mirror2_put_field(t, FIELD_PATH, (mesh_str_t) {
                          (size_t) (last - blank) - 1, blank + 1 });

    return true;
}


/* "te: trailers" is the one that may go on, and gRPC wants it. */
static bool
mirror2_drops(mesh_str_t name, mesh_str_t value)
{
    return mesh_mirror_drops(name)
           && !(mesh_str_eq_folded(name, MESH_STR("te"))
                && mesh_str_eq_folded(value, MESH_STR("trailers")));
}


static bool
mirror2_put_fields(mesh_text_t *t, mesh_str_t head,
    const mesh_mirror_form_t *form)
{
    bool         body;
    char         digits[24];
    mesh_str_t   line, name, value;
    mesh_text_t  number = { digits, sizeof(digits), 0, false };

    if (!mirror2_put_first(t, &head, form->host)) {
        return false;
    }

    body = form->length != 0;

    while (mesh_mirror_field(&head, &line, &name)) {
        value = (mesh_str_t) { line.len - name.len - 1,
                               line.data + name.len + 1 };

        while (value.len && (value.data[value.len - 1] == '\n'
                             || value.data[value.len - 1] == '\r'))
        {
            value.len--;
        }

        value = mesh_header_trim(value);
        body = body || mesh_mirror_frames(name);

        if (name.len && !mirror2_drops(name, value)) {
            mirror2_put_byte(t, 0);
            mirror2_put_string(t, name, true);
            mirror2_put_string(t, value, false);
        }
    }

    if (body) {
        mesh_text_put_number(&number, form->length, 1);
        mirror2_put_field(t, FIELD_LENGTH, (mesh_str_t) { number.len, digits });
    }

    return true;
}


/*
 * Frames of a block of fields whose `len` bytes stand where its last frame
 * will end.
 */
static void
mirror2_cut_fields(uint8_t *out, const uint8_t *block, size_t len, bool end)
{
    bool      first;
    size_t    n;
    unsigned  flags;

    for (first = true; len; first = false) {
        n = mesh_min(len, (size_t) MIRROR2_FRAME);

        flags = n == len ? MIRROR2_END_HEADERS : 0;
        flags |= first && end ? MIRROR2_END_STREAM : 0;

        memmove(out + MIRROR2_HEAD, block, n);
        mirror2_put_head(out, (uint32_t) n,
                         first ? FRAME_HEADERS : FRAME_CONTINUATION, flags);

        out += MIRROR2_HEAD + n;
        block += n;
        len -= n;
    }
}


static void
mirror2_cut_body(uint8_t *out, const char *body, uint64_t len)
{
    size_t  n;

    while (len) {
        n = (size_t) mesh_min(len, (uint64_t) MIRROR2_DATA);

        mirror2_put_head(out, (uint32_t) n, FRAME_DATA,
                         n == len ? MIRROR2_END_STREAM : 0);
        memcpy(out + MIRROR2_HEAD, body, n);

        out += MIRROR2_HEAD + n;
        body += n;
        len -= n;
    }
}


size_t
mesh_mirror2_write(mesh_str_t head, const mesh_mirror_form_t *form,
    const char *body, char *out, size_t size)
{
    size_t       heads, block, whole;
    mesh_text_t  t = { NULL, 0, 0, false };

    if (!mirror2_put_fields(&t, head, form)) {
        return 0;
    }

    block = t.len;
    heads = (block + MIRROR2_FRAME - 1) / MIRROR2_FRAME * MIRROR2_HEAD;
    whole = MIRROR2_OPENING + heads + block + form->length
            + (form->length + MIRROR2_DATA - 1) / MIRROR2_DATA * MIRROR2_HEAD;

    if (size < whole) {
        return whole;
    }

    mirror2_put_opening((uint8_t *) out);
    out += MIRROR2_OPENING;

    t = (mesh_text_t) { out + heads, block, 0, false };
    (void) mirror2_put_fields(&t, head, form);

    mirror2_cut_fields((uint8_t *) out, (uint8_t *) out + heads, block,
                       form->length == 0);
    mirror2_cut_body((uint8_t *) out + heads + block, body, form->length);

    return whole;
}
