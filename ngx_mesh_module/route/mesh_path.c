/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Path normalisation, in Envoy's order: escaped slashes, then RFC 3986
 * section 6.2.2 (escapes of unreserved characters decoded, the others in
 * upper case, "\" read as "/", dot segments removed), then slashes merged.
 *
 * One property decides the details: the result, normalised again, stays as
 * it is.  Otherwise an endpoint that normalises too would see another path
 * than the one that was judged.  So nothing may be decoded that makes an
 * escape out of a stray "%": "%%32f" must not become "%2f".
 */

#include "mesh_request.h"


typedef struct {
    char        *out;
    size_t       len;
    size_t       stray;             /* behind a stray "%" in out; 0: none */
    uint32_t     flags;
    unsigned     slashes;           /* mesh_escaped_slashes_e */
    bool         escaped_slash;     /* one was met */
} mesh_path_t;


static bool
mesh_path_unreserved(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9')
           || c == '-' || c == '.' || c == '_' || c == '~';
}


/* Would this byte, put behind a stray "%", make an escape of it? */
static bool
mesh_path_completes(const mesh_path_t *p, int c)
{
    return p->stray != 0 && p->len - p->stray < 2 && mesh_hex((char) c) >= 0;
}


static void
mesh_path_put(mesh_path_t *p, int c)
{
    if (c == '\\' && (p->flags & MESH_NORMALIZE_RFC3986)) {
        c = '/';
    }

    p->out[p->len++] = (char) c;
}


static void
mesh_path_put_escape(mesh_path_t *p, const char *escape, int c)
{
    static const char  hex[] = "0123456789ABCDEF";

    if (c == '/' || c == '\\') {
        p->escaped_slash = true;

        if (p->slashes >= MESH_SLASHES_REDIRECT) {
            mesh_path_put(p, c);
            return;
        }
    }

    if ((p->flags & MESH_NORMALIZE_RFC3986) == 0) {
        memcpy(p->out + p->len, escape, 3);
        p->len += 3;
        return;
    }

    if (mesh_path_unreserved(c) && !mesh_path_completes(p, c)) {
        mesh_path_put(p, c);
        return;
    }

    p->out[p->len++] = '%';
    p->out[p->len++] = hex[c >> 4];
    p->out[p->len++] = hex[c & 15];
}


/* false: a NUL byte. */
static bool
mesh_path_decode(mesh_path_t *p, mesh_str_t in)
{
    int     c;
    size_t  i;

    for (i = 0; i < in.len; i++) {

        if (in.data[i] == '\0') {
            return false;
        }

        if (in.data[i] != '%') {
            mesh_path_put(p, in.data[i]);
            continue;
        }

        c = mesh_unescape(in, i);

        if (c == 0) {
            return false;
        }

        if (c < 0) {
            mesh_path_put(p, '%');
            p->stray = p->len;
            continue;
        }

        mesh_path_put_escape(p, in.data + i, c);
        i += 2;
    }

    return true;
}


/* RFC 3986, 5.2.4, in place; the path begins with "/". */
static size_t
mesh_path_dots(char *path, size_t len)
{
    size_t  in, out, begin, n;

    out = 0;

    for (in = 0; in < len; in = begin + n) {

        /* path[in] is a slash, the segment behind it is n bytes long. */

        begin = in + 1;
        n = 0;

        while (begin + n < len && path[begin + n] != '/') {
            n++;
        }

        if ((n == 1 && path[begin] == '.')
            || (n == 2 && path[begin] == '.' && path[begin + 1] == '.'))
        {
            if (n == 2) {
                while (out > 0 && path[--out] != '/') { /* void */ }
            }

            if (begin + n == len) {
                path[out++] = '/';
            }

            continue;
        }

        memmove(path + out, path + in, n + 1);
        out += n + 1;
    }

    return out;
}


static size_t
mesh_path_merge(char *path, size_t len)
{
    size_t  in, out;

    out = 0;

    for (in = 0; in < len; in++) {
        if (path[in] == '/' && out > 0 && path[out - 1] == '/') {
            continue;
        }

        path[out++] = path[in];
    }

    return out;
}


/*
 * Most paths need nothing.  What may: an escape, a backslash, a NUL, and "."
 * or "/" behind a slash.  An automaton finds that out, as every byte of every
 * request goes through it.
 */
#define MESH_PLAIN    0
#define MESH_SLASH    1             /* behind a slash */
#define MESH_NEEDED   2

static const uint8_t  mesh_path_next[2][256] = {
    [MESH_PLAIN] = {
        ['\0'] = MESH_NEEDED, ['%'] = MESH_NEEDED, ['\\'] = MESH_NEEDED,
        ['/'] = MESH_SLASH
    },
    [MESH_SLASH] = {
        ['\0'] = MESH_NEEDED, ['%'] = MESH_NEEDED, ['\\'] = MESH_NEEDED,
        ['/'] = MESH_NEEDED, ['.'] = MESH_NEEDED
    }
};


static bool
mesh_path_plain(mesh_str_t path)
{
    unsigned        state;
    const uint8_t  *p, *last;

    state = MESH_PLAIN;
    p = (const uint8_t *) path.data;

    for (last = p + path.len; p < last; p++) {
        state = mesh_path_next[state][*p];

        if (state == MESH_NEEDED) {
            return false;
        }
    }

    return true;
}


/* Apart from the rest, whose registers it would save for nothing. */
static __attribute__((noinline)) mesh_path_verdict_e
mesh_path_rewrite(uint32_t flags, mesh_str_t path, char *buffer,
    mesh_str_t *out)
{
    mesh_path_t  p;

    memset(&p, 0, sizeof(mesh_path_t));
    p.out = buffer;
    p.flags = flags;
    p.slashes = (flags & MESH_SLASHES_MASK) >> MESH_SLASHES_SHIFT;

    if (!mesh_path_decode(&p, path)) {
        return MESH_PATH_REJECT;
    }

    if (p.escaped_slash && p.slashes == MESH_SLASHES_REJECT) {
        return MESH_PATH_REJECT;
    }

    if ((flags & MESH_NORMALIZE_RFC3986) && p.out[0] == '/') {
        p.len = mesh_path_dots(buffer, p.len);
    }

    if (flags & MESH_MERGE_SLASHES) {
        p.len = mesh_path_merge(buffer, p.len);
    }

    *out = (mesh_str_t) { p.len, buffer };

    if (p.escaped_slash && p.slashes == MESH_SLASHES_REDIRECT) {
        return MESH_PATH_REDIRECT;
    }

    if (mesh_str_eq(*out, path)) {
        *out = path;
        return MESH_PATH_SAME;
    }

    return MESH_PATH_CHANGED;
}


mesh_path_verdict_e
mesh_path_normalize(uint32_t flags, mesh_str_t path, char *buffer,
    mesh_str_t *out)
{
    if (mesh_path_plain(path)) {
        *out = path;
        return MESH_PATH_SAME;
    }

    return mesh_path_rewrite(flags, path, buffer, out);
}
