/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Copies over HTTP/2: what is sent when, and frames that come (RFC 9113).
 */

#include "mesh_mirror2_impl.h"


/* --- sending ------------------------------------------------------------- */

static void
mirror2_reply(mesh_mirror2_t *m, mirror2_frame_e type, unsigned flags,
    const uint8_t *payload, uint32_t len)
{
    uint8_t  *p;

    if (sizeof(m->replies) - m->replies_len < MIRROR2_HEAD + len) {
        /* asked faster than answers are taken */
        m->broken = true;
        return;
    }

    p = m->replies + m->replies_len;

    mirror2_put_head(p, len, type, flags);

    if (len) {
        memcpy(p + MIRROR2_HEAD, payload, len);
    }

    m->replies_len += MIRROR2_HEAD + len;
}


void
mesh_mirror2_begin(mesh_mirror2_t *m, char *request, size_t len)
{
    size_t    at;
    uint8_t   update[4], *frame;

    if (m->stream == 0) {
        m->stream = 1;
        m->window = MIRROR2_DEFAULT;
        m->initial = MIRROR2_DEFAULT;
        m->at = 0;

    } else {
        m->stream += 2;
        m->last = m->stream >= INT32_MAX - 2;
        m->at = MIRROR2_OPENING;
    }

    if (m->data) {
        mirror2_put_u32(update, m->data);
        mirror2_reply(m, FRAME_WINDOW_UPDATE, 0, update, 4);
        m->data = 0;
    }

    m->request = request;
    m->len = len;
    m->part = 0;
    m->due = 0;
    m->stream_window = m->initial;
    m->status = 0;
    m->over = false;

    for (at = MIRROR2_OPENING; at + MIRROR2_HEAD <= len;
         at += MIRROR2_HEAD + mirror2_len(frame))
    {
        frame = (uint8_t *) request + at;
        mirror2_put_u32(frame + 5, m->stream);
    }
}


/* The opening, where it is due, and all frames of fields. */
static size_t
mirror2_fields_end(const mesh_mirror2_t *m)
{
    size_t          at;
    const uint8_t  *frame;

    for (at = MIRROR2_OPENING; at < m->len;
         at += MIRROR2_HEAD + mirror2_len(frame))
    {
        frame = (const uint8_t *) m->request + at;

        if (frame[3] == FRAME_DATA) {
            break;
        }
    }

    return at;
}


/*
 * A frame of DATA, or as much of it as windows allow as a frame of its own:
 * its head, which is put into `out`, and at the next call its payload.  An
 * endpoint may never open a window further before it was used.
 */
static mesh_str_t
mirror2_next_data(mesh_mirror2_t *m, char *out)
{
    char       *frame;
    int64_t     n;
    uint32_t    len;
    mesh_str_t  piece;

    frame = m->request + m->at;
    len = mirror2_len((uint8_t *) frame);

    if (m->due) {
        piece = (mesh_str_t) { m->due, frame + MIRROR2_HEAD + m->part };
        m->part += m->due;
        m->due = 0;

    } else {
        n = mesh_min(m->window, m->stream_window);
        n = mesh_min(n, (int64_t) len - m->part);

        if (n <= 0) {
            return MESH_STR_NULL;
        }

        m->window -= n;
        m->stream_window -= n;

        if (n < len) {
            m->due = (uint32_t) n;
            mirror2_put_head((uint8_t *) out, m->due, FRAME_DATA,
                             m->part + m->due == len ? (uint8_t) frame[4] : 0);
            mirror2_put_u32((uint8_t *) out + 5, m->stream);
            return (mesh_str_t) { MIRROR2_HEAD, out };
        }

        piece = (mesh_str_t) { MIRROR2_HEAD + len, frame };
        m->part = len;
    }

    if (m->part == len) {
        m->at += MIRROR2_HEAD + len;
        m->part = 0;
    }

    return piece;
}


mesh_str_t
mesh_mirror2_next(mesh_mirror2_t *m, char *out)
{
    size_t      end;
    mesh_str_t  piece;

    if (m->at != 0 && m->due == 0 && m->replies_len) {
        piece = (mesh_str_t) { m->replies_len, out };
        memcpy(out, m->replies, m->replies_len);
        m->replies_len = 0;
        return piece;
    }

    if (m->at >= m->len) {
        return MESH_STR_NULL;
    }

    if (m->at > MIRROR2_OPENING) {
        return mirror2_next_data(m, out);
    }

    end = mirror2_fields_end(m);
    piece = (mesh_str_t) { end - m->at, m->request + m->at };
    m->at = end;

    return piece;
}


bool
mesh_mirror2_sent(const mesh_mirror2_t *m)
{
    return m->at >= m->len;
}


/* --- reading frames ------------------------------------------------------ */

static void
mirror2_settings(mesh_mirror2_t *m)
{
    uint8_t   at;
    uint32_t  value;

    for (at = 0; at + 6 <= m->kept_len; at += 6) {
        value = mirror2_u32(m->kept + at + 2);

        if (m->kept[at] != 0 || m->kept[at + 1] != SETTING_WINDOW) {
            continue;
        }

        if (value > INT32_MAX) {
            m->broken = true;
            break;
        }

        m->stream_window += (int64_t) value - m->initial;
        m->initial = value;
    }

    m->kept_len = 0;
}


/* All fields of an answer, or of its trailers, have come. */
static void
mirror2_fields_done(mesh_mirror2_t *m)
{
    m->in_fields = false;

    if (m->status < 200) {
        m->status = mesh_mirror2_status(m->field, m->field_len);

        if (m->status < 100 || m->status > 999
            || (m->status < 200 && m->fields_end))
        {
            m->broken = true;
            return;
        }

    } else if (!m->fields_end) {
        m->broken = true;
        return;
    }

    m->over = m->fields_end;
}


/* The beginning of a frame of fields, without what is before these. */
static void
mirror2_fields(mesh_mirror2_t *m)
{
    size_t   skip, n;
    uint8_t  flags;

    flags = m->head[4];
    skip = 0;

    if (m->head[3] == FRAME_HEADERS) {
        m->fields_end = (flags & MIRROR2_END_STREAM) != 0;
        m->field_len = 0;
        skip = (flags & MIRROR2_PADDED ? 1 : 0)
               + (flags & MIRROR2_PRIORITY ? 5 : 0);
    }

    skip = mesh_min(skip, (size_t) m->kept_len);
    n = mesh_min((size_t) m->kept_len - skip,
                 sizeof(m->field) - m->field_len);

    if (n) {
        memcpy(m->field + m->field_len, m->kept + skip, n);
        m->field_len += (uint8_t) n;
    }

    m->in_fields = true;

    if (flags & MIRROR2_END_HEADERS) {
        mirror2_fields_done(m);
    }
}


static void
mirror2_update(mesh_mirror2_t *m, uint32_t stream)
{
    int64_t   *window;

    if (mirror2_len(m->head) != 4) {
        m->broken = true;
        return;
    }

    window = stream == 0 ? &m->window
             : stream == m->stream ? &m->stream_window : NULL;

    if (window) {
        *window += mirror2_u32(m->kept) & INT32_MAX;
        m->broken = m->broken || *window > INT32_MAX;
    }
}


/* Of the connection. */
static void
mirror2_control(mesh_mirror2_t *m, uint32_t len)
{
    bool  ack;

    ack = (m->head[4] & MIRROR2_ACK) != 0;

    switch (m->head[3]) {

    case FRAME_SETTINGS:
        mirror2_settings(m);
        m->broken = m->broken || len % 6 != 0 || (ack && len != 0);

        if (!ack && !m->broken) {
            mirror2_reply(m, FRAME_SETTINGS, MIRROR2_ACK, NULL, 0);
        }

        break;

    case FRAME_PING:
        if (len != 8) {
            m->broken = true;

        } else if (!ack) {
            mirror2_reply(m, FRAME_PING, MIRROR2_ACK, m->kept, 8);
        }

        break;

    case FRAME_GOAWAY:
        m->last = true;

        if (len < 8) {
            m->broken = true;

        } else if (!m->over
                   && (mirror2_u32(m->kept) & INT32_MAX) < m->stream)
        {
            m->broken = true;
            m->refused = true;
        }

        break;

    case FRAME_WINDOW_UPDATE:
        mirror2_update(m, 0);
        break;

    case FRAME_DATA:
    case FRAME_HEADERS:
    case FRAME_RST_STREAM:
    case FRAME_PUSH_PROMISE:
        m->broken = true;
        break;

    default:
        break;
    }
}


/* Of the request under way; a former one's are over. */
static void
mirror2_stream(mesh_mirror2_t *m, uint32_t stream)
{
    switch (m->head[3]) {

    case FRAME_HEADERS:
    case FRAME_CONTINUATION:
        if (stream != m->stream || m->over) {
            m->broken = true;
        } else {
            mirror2_fields(m);
        }

        break;

    case FRAME_DATA:
        m->data += mirror2_len(m->head);
        m->broken = m->broken || m->data > MESH_MIRROR2_WINDOW;

        if (stream != m->stream || m->over) {
            break;
        }

        m->broken = m->broken || m->status < 200;
        m->over = (m->head[4] & MIRROR2_END_STREAM) != 0;
        break;

    case FRAME_RST_STREAM:

        if (stream == m->stream && !m->over) {
            m->broken = true;
            m->refused = mirror2_len(m->head) == 4
                         && mirror2_u32(m->kept) == REFUSED_STREAM;
        }

        break;

    case FRAME_WINDOW_UPDATE:
        mirror2_update(m, stream);
        break;

    case FRAME_SETTINGS:
    case FRAME_PUSH_PROMISE:
    case FRAME_PING:
    case FRAME_GOAWAY:
        m->broken = true;
        break;

    default:
        break;
    }
}


static void
mirror2_frame_done(mesh_mirror2_t *m)
{
    uint32_t  stream;

    stream = mirror2_u32(m->head + 5) & INT32_MAX;

    if (m->in_fields != (m->head[3] == FRAME_CONTINUATION)) {
        m->broken = true;

    } else if (stream == 0) {
        mirror2_control(m, mirror2_len(m->head));

    } else {
        mirror2_stream(m, stream);
    }

    m->head_len = 0;
    m->kept_len = 0;
}


static size_t
mirror2_read_head(mesh_mirror2_t *m, const char *data, size_t len)
{
    size_t  n;

    n = mesh_min(len, (size_t) MIRROR2_HEAD - m->head_len);

    memcpy(m->head + m->head_len, data, n);
    m->head_len += (uint8_t) n;

    if (m->head_len == MIRROR2_HEAD) {
        m->left = mirror2_len(m->head);
        m->broken = m->broken || m->left > MIRROR2_FRAME;
    }

    return n;
}


static size_t
mirror2_read_payload(mesh_mirror2_t *m, const char *data, size_t len)
{
    size_t  n, room;

    n = mesh_min(len, (size_t) m->left);
    room = sizeof(m->kept) - m->kept_len;

    if (room == 0 && m->head[3] == FRAME_SETTINGS) {
        mirror2_settings(m);
        room = sizeof(m->kept) - m->kept_len;
    }

    if (room) {
        /* no more at a time, or settings would be missed */
        n = m->head[3] == FRAME_SETTINGS ? mesh_min(n, room) : n;
        room = mesh_min(n, room);
        memcpy(m->kept + m->kept_len, data, room);
        m->kept_len += (uint8_t) room;
    }

    m->left -= (uint32_t) n;

    return n;
}


mesh_mirror_progress_e
mesh_mirror2_read(mesh_mirror2_t *m, const char *data, size_t len)
{
    size_t  n;

    while (len && !m->broken) {

        n = m->head_len < MIRROR2_HEAD ? mirror2_read_head(m, data, len)
                                       : mirror2_read_payload(m, data, len);
        data += n;
        len -= n;

        if (m->head_len == MIRROR2_HEAD && m->left == 0 && !m->broken) {
            mirror2_frame_done(m);
        }
    }

    if (m->broken) {
        return MESH_MIRROR_BAD;
    }

    if (m->over) {
        m->last = m->last || m->head_len != 0;
        return MESH_MIRROR_DONE;
    }

    return m->status < 200 ? MESH_MIRROR_MORE : MESH_MIRROR_STATUS;
}
