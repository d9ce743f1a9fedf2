/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Texts that are made of requests: output that counts what it could not
 * write, as snprintf does, but without a NUL.
 */

#ifndef MESH_TEXT_H
#define MESH_TEXT_H

#include "mesh_base.h"


typedef struct {
    char    *out;
    size_t   size;
    size_t   len;                       /* that it takes; may be above size */
    bool     path;                      /* strangers' bytes that would end a
                                           path are escaped */
} mesh_text_t;


static inline void
mesh_text_put(mesh_text_t *t, mesh_str_t s)
{
    if (t->len < t->size && s.len) {
        memcpy(t->out + t->len, s.data, mesh_min(s.len, t->size - t->len));
    }

    t->len += s.len;
}


static inline void
mesh_text_put_escaped(mesh_text_t *t, mesh_str_t s)
{
    char     hex[3];
    size_t   i;
    uint8_t  c;

    for (i = 0; i < s.len; i++) {
        c = (uint8_t) s.data[i];

        if (c > 0x20 && c < 0x7f && c != '?' && c != '#') {
            mesh_text_put(t, (mesh_str_t) { 1, s.data + i });
            continue;
        }

        hex[0] = '%';
        hex[1] = "0123456789ABCDEF"[c >> 4];
        hex[2] = "0123456789ABCDEF"[c & 15];
        mesh_text_put(t, (mesh_str_t) { 3, hex });
    }
}


/* What a stranger sent: CR, LF and NUL would end a header, or worse. */
static inline void
mesh_text_put_clean(mesh_text_t *t, mesh_str_t s)
{
    char    c;
    size_t  i, n;

    if (t->path) {
        mesh_text_put_escaped(t, s);
        return;
    }

    n = t->len < t->size ? mesh_min(s.len, t->size - t->len) : 0;

    for (i = 0; i < n; i++) {
        c = s.data[i];
        t->out[t->len + i] = (c == '\r' || c == '\n' || c == '\0') ? ' ' : c;
    }

    t->len += s.len;
}


/* In decimal, with zeroes before it up to `width` (20 at most). */
static inline void
mesh_text_put_number(mesh_text_t *t, uint64_t n, unsigned width)
{
    char      digits[20];
    unsigned  i;

    i = sizeof(digits);

    do {
        digits[--i] = (char) ('0' + n % 10);
        n /= 10;
    } while (n || sizeof(digits) - i < width);

    mesh_text_put(t, (mesh_str_t) { sizeof(digits) - i, digits + i });
}


#endif /* MESH_TEXT_H */
