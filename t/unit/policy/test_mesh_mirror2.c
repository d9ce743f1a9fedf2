/* SPDX-License-Identifier: Apache-2.0 */

/* Copies over HTTP/2: what is written, what is sent when, what is read. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesh_mirror2.h"
#include "rng.h"

#define OPENING 64

typedef struct {
    char v[200000];
    size_t len;
} bytes_t;

static void put(bytes_t *b, const void *data, size_t len) {
    assert_true(b->len + len <= sizeof(b->v));
    if (len) {
        memcpy(b->v + b->len, data, len);
    }
    b->len += len;
}

static void put_frame(bytes_t *b, unsigned type, unsigned flags,
                      uint32_t stream, const void *payload, size_t len) {
    const uint8_t head[9] = {(uint8_t)(len >> 16),
                             (uint8_t)(len >> 8),
                             (uint8_t)len,
                             (uint8_t)type,
                             (uint8_t)flags,
                             (uint8_t)(stream >> 24),
                             (uint8_t)(stream >> 16),
                             (uint8_t)(stream >> 8),
                             (uint8_t)stream};

    put(b, head, sizeof(head));
    put(b, payload, len);
}

#define frame(b, type, flags, stream, text)                                    \
    put_frame(b, type, flags, stream, text, sizeof(text) - 1)

/* --- what is written ------------------------------------------------------ */

static size_t read_int(const uint8_t **p, unsigned bits) {
    size_t value = *(*p)++ & ((1u << bits) - 1);
    unsigned shift = 0;

    if (value < (1u << bits) - 1) {
        return value;
    }
    do {
        value += (size_t)(**p & 127) << shift;
        shift += 7;
    } while (*(*p)++ & 128);
    return value;
}

static void put_text(bytes_t *b, const char *text) {
    put(b, text, strlen(text));
    b->v[b->len] = '\0';
}

/* "name: value\n" of each field, by the few forms that are written. */
static const char *fields_of(const uint8_t *p, size_t len) {
    static const char *const names[] = {[1] = ":authority",
                                        [2] = ":method",
                                        [4] = ":path",
                                        [28] = "content-length"};
    static bytes_t out;
    const uint8_t *end = p + len;

    out.len = 0;
    /* No table, which each block says. */
    assert_int_equal(*p++, 0x20);
    while (p < end) {
        if (*p == 0x86) {
            p++;
            put_text(&out, ":scheme: http\n");
            continue;
        }
        assert_int_equal(*p & 0xf0, 0);
        size_t index = read_int(&p, 4);
        if (index) {
            assert_true(index < mesh_nelts(names) && names[index] != NULL);
            put_text(&out, names[index]);
        } else {
            size_t n = read_int(&p, 7);
            put(&out, p, n);
            p += n;
        }
        put_text(&out, ": ");
        size_t n = read_int(&p, 7);
        put(&out, p, n);
        put_text(&out, "\n");
        p += n;
    }
    assert_ptr_equal(p, end);
    return out.v;
}

typedef struct {
    bytes_t fields;
    bytes_t body;
    uint32_t frames;
} request_t;

/* Takes frames apart, which must be of one stream and in order. */
static void take_apart(const char *data, size_t len, uint32_t stream,
                       request_t *r) {
    const uint8_t *p = (const uint8_t *)data;
    bool fields = true;
    bool ended = false;

    *r = (request_t){.frames = 0};
    for (size_t at = 0; at < len; r->frames++) {
        size_t n = (size_t)p[at] << 16 | (size_t)p[at + 1] << 8 | p[at + 2];
        unsigned type = p[at + 3], flags = p[at + 4];

        assert_true(at + 9 + n <= len && n != 0 && n <= 16384);
        assert_int_equal(p[at + 8], stream);
        assert_int_equal(type, !fields ? 0 : at == 0 ? 1 : 9);
        put(fields ? &r->fields : &r->body, p + at + 9, n);
        ended |= (type != 9 && (flags & 1) != 0);
        fields = fields && (flags & 4) == 0;
        at += 9 + n;
        assert_true(!ended || at == len || fields || r->body.len == 0);
    }
    assert_true(ended && !fields);
}

static size_t write_request(const char *head, const char *body, size_t len,
                            char *out, size_t size) {
    const mesh_mirror_form_t form = {.host = MESH_STR("h"), .length = len};

    return mesh_mirror2_write(mesh_str_from(head), &form, body, out, size);
}

static char request[200000];

static size_t written(const char *head, const char *body, size_t len) {
    size_t size = write_request(head, body, len, NULL, 0);

    assert_in_range(size, OPENING + 10, sizeof(request) - 1);
    memset(request, '#', sizeof(request));
    /* All or nothing. */
    assert_int_equal(write_request(head, body, len, request, size - 1), size);
    assert_int_equal(request[0], '#');
    assert_int_equal(write_request(head, body, len, request, size), size);
    assert_int_equal(request[size], '#');
    return size;
}

static const char *fields(const char *head, const char *body, size_t len) {
    static request_t r;
    size_t size = written(head, body, len);

    take_apart(request + OPENING, size - OPENING, 0, &r);
    assert_int_equal(r.body.len, len);
    assert_true(len == 0 || memcmp(r.body.v, body, len) == 0);
    return fields_of((const uint8_t *)r.fields.v, r.fields.len);
}

#define FIRST ":method: GET\n:scheme: http\n:authority: h\n:path: /x?y\n"

static void test_requests(void **state) {
    (void)state;
    assert_string_equal(fields("GET /x?y HTTP/1.0\r\nHost: a\r\nX-A:  1 \r\n"
                               "x-b:\r\n\r\nbody",
                               NULL, 0),
                        FIRST "x-a: 1\nx-b: \n");
    assert_string_equal(
        fields("GET /x?y HTTP/1.1\r\nConnection: x\r\nTE: a\r\n"
               "Keep-Alive: c\r\nExpect: e\r\nUpgrade: u\r\n\r\n",
               NULL, 0),
        FIRST);
    assert_string_equal(
        fields("GET /x?y HTTP/1.1\r\nTE: Trailers\r\n\r\n", NULL, 0),
        FIRST "te: Trailers\n");
    assert_string_equal(
        fields("GET /x?y HTTP/1.1\r\nContent-Length: 7\r\n\r\n", NULL, 0),
        FIRST "content-length: 0\n");
    assert_string_equal(
        fields("GET /x?y HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "abc",
               3),
        FIRST "content-length: 3\n");
    assert_string_equal(fields("PUT * HTTP/1.1\r\nX: y", "a", 1),
                        ":method: PUT\n:scheme: http\n:authority: h\n:path: *\n"
                        "content-length: 1\n");
}

static void test_no_requests(void **state) {
    (void)state;
    static const char *const cases[] = {"",          "GET",    "GET / HTTP/1.1",
                                        "GET\r\n",   " x\r\n", "GET x\r\n",
                                        "GET  x\r\n"};

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        assert_int_equal(write_request(cases[i], NULL, 0, NULL, 0), 0);
    }
}

/* Of all sizes: frames end where they must, and nothing is lost. */
static void test_sizes(void **state) {
    (void)state;
    static const size_t sizes[] = {1,    126,   127,   128,   254,   255,  4095,
                                   4096, 16200, 16384, 16400, 40000, 65536};
    static bytes_t head, wanted;
    static char body[65536];
    static request_t r;

    memset(body, 'b', sizeof(body));
    for (size_t i = 0; i < mesh_nelts(sizes); i++) {
        char digits[32];

        snprintf(digits, sizeof(digits), "%zu\n", sizes[i]);
        head.len = wanted.len = 0;
        put_text(&head, "GET /x?y HTTP/1.1\r\nX: ");
        put(&head, body, sizes[i]);
        put_text(&head, "\r\n\r\n");
        put_text(&wanted, FIRST "x: ");
        put(&wanted, body, sizes[i]);
        put_text(&wanted, "\ncontent-length: ");
        put_text(&wanted, digits);
        assert_string_equal(fields(head.v, body, sizes[i]), wanted.v);

        size_t len = written(head.v, body, sizes[i]);
        take_apart(request + OPENING, len - OPENING, 0, &r);
        assert_int_equal(r.frames, (r.fields.len + 16383) / 16384 +
                                       (sizes[i] + 4095) / 4096);
    }
}

/* --- what is sent when ---------------------------------------------------- */

static mesh_mirror2_t m;

/* All that can be sent now. */
static size_t sent(bytes_t *to) {
    char room[MESH_MIRROR2_REPLIES];
    mesh_str_t piece;
    size_t before = to->len;

    while ((piece = mesh_mirror2_next(&m, room)).len != 0) {
        put(to, piece.data, piece.len);
    }
    return to->len - before;
}

static mesh_mirror_progress_e read_all(const bytes_t *b) {
    return mesh_mirror2_read(&m, b->v, b->len);
}

#define OK200 "\x88"

static void begin(size_t body) {
    static char zeros[65536];
    size_t size = written("GET / HTTP/1.1\r\n\r\n", zeros, body);

    mesh_mirror2_begin(&m, request, size);
}

static void fresh(size_t body) {
    m = (mesh_mirror2_t){.stream = 0};
    begin(body);
}

static void test_opening(void **state) {
    (void)state;
    static bytes_t out;

    out.len = 0;
    fresh(0);
    assert_int_equal(sent(&out), m.len);
    assert_true(mesh_mirror2_sent(&m));
    assert_memory_equal(out.v, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    assert_memory_equal(out.v + 24,
                        "\0\0\x12\4\0\0\0\0\0"
                        "\0\1\0\0\0\0"
                        "\0\2\0\0\0\0"
                        "\0\4\0\x40\0\0"
                        "\0\0\4\x8\0\0\0\0\0\0\x3f\0\1",
                        40);
    assert_memory_equal(out.v + OPENING + 3, "\1\5\0\0\0\1", 6);
}

static void test_windows(void **state) {
    (void)state;
    static bytes_t out, in;

    /* Without a word from the endpoint: frames of 4096 bytes, the last one
     * without its last byte. */
    fresh(65536);
    out.len = in.len = 0;
    size_t head = m.len - 16 * 4105;
    assert_int_equal(sent(&out), head + 16 * 4105 - 1);
    assert_memory_equal(out.v + out.len - 4104, "\0\xf\xff\0\0\0\0\0\1", 9);
    assert_false(mesh_mirror2_sent(&m));
    /* One window is not enough, both are. */
    frame(&in, 8, 0, 0, "\0\0\x10\0");
    assert_int_equal(read_all(&in), MESH_MIRROR_MORE);
    assert_int_equal(sent(&out), 0);
    in.len = 0;
    frame(&in, 8, 0, 1, "\0\0\x10\0");
    assert_int_equal(read_all(&in), MESH_MIRROR_MORE);
    assert_int_equal(sent(&out), 10);
    assert_memory_equal(out.v + out.len - 10, "\0\0\1\0\1\0\0\0\1", 9);
    assert_true(mesh_mirror2_sent(&m));

    /* A smaller one of streams, then a larger one; the setting is answered. */
    fresh(65536);
    out.len = in.len = 0;
    frame(&in, 4, 0, 0, "\0\3\0\0\0\x80\0\4\0\0\x20\0");
    assert_int_equal(read_all(&in), MESH_MIRROR_MORE);
    assert_int_equal(sent(&out), head + 9 + 2 * 4105);
    assert_memory_equal(out.v + head, "\0\0\0\4\1\0\0\0\0", 9);
    in.len = 0;
    frame(&in, 4, 0, 0, "\0\4\0\0\x40\0");
    assert_int_equal(read_all(&in), MESH_MIRROR_MORE);
    assert_int_equal(sent(&out), 9 + 2 * 4105);

    /* None at all, and no answer to what was never asked. */
    fresh(10);
    out.len = in.len = 0;
    frame(&in, 4, 0, 0, "\0\4\0\0\0\0");
    frame(&in, 4, 1, 0, "");
    assert_int_equal(read_all(&in), MESH_MIRROR_MORE);
    assert_int_equal(sent(&out), m.len - 19 + 9);
}

/* An endpoint opens a window for what it has got, which is all of it. */
static void test_windows_of_few_bytes(void **state) {
    (void)state;
    static bytes_t out, in;
    static request_t whole, r;
    static char body[9000];

    for (size_t i = 0; i < sizeof(body); i++) {
        body[i] = (char)(i * 7 + i / 256);
    }
    for (uint32_t window = 1; window < 5000; window += window / 3 + 1) {
        const uint8_t row[6] = {
            0, 4, 0, 0, (uint8_t)(window >> 8), (uint8_t)window};

        m = (mesh_mirror2_t){.stream = 0};
        size_t size = written("GET / HTTP/1.1\r\n\r\n", body, sizeof(body));
        mesh_mirror2_begin(&m, request, size);
        take_apart(request + OPENING, size - OPENING, 1, &whole);

        out.len = in.len = 0;
        put_frame(&in, 4, 0, 0, row, sizeof(row));
        assert_int_equal(read_all(&in), MESH_MIRROR_MORE);
        while (!mesh_mirror2_sent(&m)) {
            assert_true(sent(&out) > 0);
            in.len = 0;
            for (uint32_t stream = 0; stream < 2; stream++) {
                put_frame(&in, 8, 0, stream, row + 2, 4);
            }
            assert_int_equal(read_all(&in), MESH_MIRROR_MORE);
        }
        /* Of these the answer to its settings is one, behind all fields. */
        size_t fields = OPENING + 9 + whole.fields.len;
        assert_memory_equal(out.v + fields, "\0\0\0\4\1\0\0\0\0", 9);
        memmove(out.v + fields, out.v + fields + 9, out.len - fields - 9);
        take_apart(out.v + OPENING, out.len - 9 - OPENING, 1, &r);
        assert_int_equal(r.body.len, sizeof(body));
        assert_memory_equal(r.body.v, body, sizeof(body));
        /* And what was written can be sent anew. */
        take_apart(request + OPENING, size - OPENING, 1, &r);
        assert_memory_equal(r.body.v, body, sizeof(body));
    }
}

/* A frame of DATA that is sent in two pieces stays one. */
static void test_replies_wait_for_a_frame(void **state) {
    (void)state;
    static bytes_t in;
    char room[MESH_MIRROR2_REPLIES];
    mesh_str_t piece;

    fresh(10);
    in.len = 0;
    frame(&in, 4, 0, 0, "\0\4\0\0\0\3");
    assert_int_equal(read_all(&in), MESH_MIRROR_MORE);
    assert_int_equal(mesh_mirror2_next(&m, room).len, m.len - 19);
    assert_int_equal(mesh_mirror2_next(&m, room).len, 9);
    piece = mesh_mirror2_next(&m, room);
    assert_int_equal(piece.len, 9);
    assert_memory_equal(piece.data, "\0\0\3\0\0\0\0\0\1", 9);
    in.len = 0;
    frame(&in, 6, 0, 0, "12345678");
    assert_int_equal(read_all(&in), MESH_MIRROR_MORE);
    assert_int_equal(mesh_mirror2_next(&m, room).len, 3);
    assert_int_equal(mesh_mirror2_next(&m, room).len, 17);
    assert_int_equal(mesh_mirror2_next(&m, room).len, 0);
}

static void test_settings_of_many_rows(void **state) {
    (void)state;
    static bytes_t in;
    char rows[6 * 40] = "";

    for (size_t i = 0; i < 40; i++) {
        rows[6 * i + 1] = 4;
        rows[6 * i + 5] = (char)i;
    }
    for (size_t piece = 1; piece < 300; piece++) {
        fresh(0);
        in.len = 0;
        put_frame(&in, 4, 0, 0, rows, sizeof(rows));
        for (size_t at = 0; at < in.len; at += piece) {
            assert_int_equal(
                mesh_mirror2_read(&m, in.v + at, mesh_min(piece, in.len - at)),
                MESH_MIRROR_MORE);
        }
        assert_int_equal(m.initial, 39);
        assert_int_equal(m.stream_window, 39);
        assert_int_equal(m.replies_len, 9);
    }
}

static void test_another_request(void **state) {
    (void)state;
    static bytes_t out, in;

    fresh(0);
    out.len = in.len = 0;
    sent(&out);
    frame(&in, 1, 4, 1, OK200);
    frame(&in, 0, 1, 1, "hello");
    assert_int_equal(read_all(&in), MESH_MIRROR_DONE);
    assert_false(m.last);

    /* The window is opened by what has come. */
    begin(3);
    out.len = in.len = 0;
    assert_int_equal(sent(&out), m.len - OPENING + 13);
    assert_memory_equal(out.v, "\0\0\4\x8\0\0\0\0\0\0\0\0\5", 13);
    assert_memory_equal(out.v + 13 + 3, "\1\4\0\0\0\3", 6);
    assert_int_equal(m.status, 0);
    /* What is of the former one does nothing. */
    frame(&in, 8, 0, 1, "\0\0\0\1");
    frame(&in, 3, 0, 1, "\0\0\0\0");
    assert_int_equal(read_all(&in), MESH_MIRROR_MORE);
    in.len = 0;
    frame(&in, 1, 5, 3, "\x89");
    assert_int_equal(read_all(&in), MESH_MIRROR_DONE);
    assert_int_equal(m.status, 204);
    assert_false(m.last);

    /* There is an end to streams' numbers. */
    m.stream = INT32_MAX - 6;
    begin(0);
    assert_false(m.last);
    begin(0);
    assert_true(m.last);
}

static void test_pings(void **state) {
    (void)state;
    static bytes_t out, in;

    fresh(0);
    out.len = in.len = 0;
    frame(&in, 6, 0, 0, "12345678");
    assert_int_equal(read_all(&in), MESH_MIRROR_MORE);
    /* Not before the opening. */
    sent(&out);
    assert_memory_equal(out.v, "PRI", 3);
    assert_memory_equal(out.v + out.len - 17,
                        "\0\0\x8\6\1\0\0\0\0"
                        "12345678",
                        17);
    in.len = 0;
    frame(&in, 6, 1, 0, "12345678");
    assert_int_equal(read_all(&in), MESH_MIRROR_MORE);
    assert_int_equal(sent(&out), 0);
    /* There is an end to what waits. */
    mesh_mirror_progress_e progress = MESH_MIRROR_MORE;
    in.len = 0;
    frame(&in, 6, 0, 0, "12345678");
    for (int i = 0; i < 100 && progress == MESH_MIRROR_MORE; i++) {
        progress = read_all(&in);
    }
    assert_int_equal(progress, MESH_MIRROR_BAD);
}

/* --- answers -------------------------------------------------------------- */

/* Read in pieces of all sizes, on stream 1. */
static void answer(const bytes_t *in, mesh_mirror_progress_e wanted,
                   unsigned status, bool last) {
    for (size_t piece = 1; piece <= in->len; piece++) {
        mesh_mirror_progress_e progress = MESH_MIRROR_MORE;

        fresh(0);
        for (size_t at = 0; at < in->len; at += piece) {
            size_t n = mesh_min(piece, in->len - at);
            char *copy = malloc(n);
            memcpy(copy, in->v + at, n);
            progress = mesh_mirror2_read(&m, copy, n);
            free(copy);
        }
        if (progress != wanted || (status && m.status != status) ||
            (progress == MESH_MIRROR_DONE && m.last != last)) {
            fail_msg("in pieces of %zu: %d, status %u, last %d", piece,
                     progress, m.status, m.last);
        }
    }
}

#define field(text, status)                                                    \
    do {                                                                       \
        in.len = 0;                                                            \
        frame(&in, 1, 5, 1, text);                                             \
        answer(&in, status ? MESH_MIRROR_DONE : MESH_MIRROR_BAD, status,       \
               false);                                                         \
    } while (0)

static void test_statuses(void **state) {
    (void)state;
    static bytes_t in;

    field("\x88", 200);
    field("\x8e", 500);
    field("\x20\x8d", 404); /* the table has no size */
    field("\x3e\x20\x8a", 206);
    field("\x48\x03"
          "503",
          503);
    field("\x08\x03"
          "201",
          201);
    field("\x18\x03"
          "999x",
          999);
    field("\0\7:status\003302", 302);
    field("\x40\7:status\003302", 302);
    field("\x10\x85\xb8\x84\x8d\x36\xa3\003418", 418);
    /* Huffman's: 302 as RFC 7541 has it, C.6.1; 307, 999, 200, 000 */
    field("\x48\x82\x64\x02", 302);
    field("\x48\x83\x64\x0e\xff", 307);
    field("\x08\x83\x7d\xf7\xff", 999);
    field("\x08\x82\x10\x01", 200);
    field("\x08\x82\0\1", 0);
    field("\x08\x82\x10\x00", 0);     /* padded with zeroes */
    field("\x08\x83\x10\x01\xff", 0); /* padded with a byte */
    field("\x08\x81\x10", 0);
    field("\x08\x82\xff\xff", 0);
    /* None. */
    field("", 0);
    field("\x20", 0);
    field("\x3f\x01\x88", 0);
    field("\x87", 0);
    field("\x8f", 0);
    field("\xbe", 0);
    field("\x48\x02"
          "20",
          0);
    field("\x48\x04"
          "2000",
          0);
    field("\x48\x03"
          "2x0",
          0);
    field("\x48\x03"
          "20",
          0);
    field("\x48\x03"
          "099",
          0);
    field("\x48", 0);
    field("\x4f\x03"
          "200",
          0);
    field("\0\7:statux\003302", 0);
    field("\0\3x-y\003302", 0);
}

static void test_answers(void **state) {
    (void)state;
    static bytes_t in;
    static char data[16384];

    in.len = 0;
    frame(&in, 4, 0, 0, "");
    frame(&in, 1, 4, 1, OK200);
    answer(&in, MESH_MIRROR_STATUS, 200, false);
    put_frame(&in, 0, 0, 1, data, 300);
    frame(&in, 0, 1, 1, "");
    answer(&in, MESH_MIRROR_DONE, 200, false);

    /* Before it, informational ones; behind it, trailers; in parts. */
    in.len = 0;
    frame(&in, 1, 4, 1,
          "\x08\x03"
          "103");
    frame(&in, 1, 0, 1, "\x48");
    frame(&in, 9, 0, 1,
          "\x03"
          "2");
    frame(&in, 9, 4, 1, "07");
    answer(&in, MESH_MIRROR_STATUS, 207, false);
    frame(&in, 0, 8, 1, "\3dat\0\0\0");
    frame(&in, 1, 1, 1, "\x40");
    answer(&in, MESH_MIRROR_STATUS, 207, false);
    frame(&in, 9, 4, 1,
          "\x0bgrpc-status\1"
          "0");
    answer(&in, MESH_MIRROR_DONE, 207, false);

    /* With padding and priority; unknown frames and settings are skipped. */
    in.len = 0;
    frame(&in, 0x77, 0xff, 0, "anything");
    frame(&in, 0x77, 0xff, 1, "anything");
    frame(&in, 2, 0, 1, "\0\0\0\0\0");
    frame(&in, 1, 4 | 1 | 8 | 0x20, 1, "\2\0\0\0\0\x10\x88xx");
    answer(&in, MESH_MIRROR_DONE, 200, false);

    /* A goodbye that lets this one be. */
    in.len = 0;
    frame(&in, 7, 0, 0, "\0\0\0\1\0\0\0\0bye");
    frame(&in, 1, 5, 1, OK200);
    answer(&in, MESH_MIRROR_DONE, 200, true);
    /* And one that comes behind, and a frame that has only begun. */
    in.len = 0;
    frame(&in, 1, 5, 1, OK200);
    frame(&in, 7, 0, 0, "\0\0\0\0\0\0\0\0");
    answer(&in, MESH_MIRROR_DONE, 200, true);
    in.len = 0;
    frame(&in, 1, 5, 1, OK200);
    put(&in, "\0\0", 2);
    answer(&in, MESH_MIRROR_DONE, 200, true);
    /* The rest of a request may be unwanted. */
    in.len = 0;
    frame(&in, 1, 5, 1, OK200);
    frame(&in, 3, 0, 1, "\0\0\0\0");
    fresh(0);
    assert_int_equal(read_all(&in), MESH_MIRROR_DONE);
    assert_false(m.last);
}

#define bad(frames)                                                            \
    do {                                                                       \
        in.len = 0;                                                            \
        frames;                                                                \
        answer(&in, MESH_MIRROR_BAD, 0, false);                                \
    } while (0)

static void test_bad_answers(void **state) {
    (void)state;
    static bytes_t in;

    bad(put(&in, "HTTP/1.1 400 Bad Request\r\n\r\n", 28));
    bad(frame(&in, 0, 0, 1, "early"));
    bad(frame(&in, 0, 0, 0, "x"));
    bad(frame(&in, 1, 5, 3, OK200));
    bad(frame(&in, 1, 5, 0, OK200));
    bad(frame(&in, 9, 4, 1, OK200));
    bad(frame(&in, 1, 5, 1,
              "\x08\x03"
              "100"));
    bad(frame(&in, 1, 1, 1, OK200); frame(&in, 0, 0, 1, "x"));
    bad(frame(&in, 1, 1, 1, OK200); frame(&in, 1, 4, 1, "x"));
    bad(frame(&in, 1, 1, 1, OK200); frame(&in, 6, 0, 0, "12345678"));
    bad(frame(&in, 1, 4, 1, OK200); frame(&in, 1, 4, 1, "no end"));
    bad(frame(&in, 1, 5, 1, OK200); frame(&in, 1, 5, 1, "more"));
    bad(frame(&in, 3, 0, 1, "\0\0\0\x7"));
    bad(frame(&in, 3, 0, 0, "\0\0\0\x7"));
    bad(frame(&in, 4, 0, 0, "\0\4\0\0\0"));
    bad(frame(&in, 4, 1, 0, "\0\4\0\0\0\0"));
    bad(frame(&in, 4, 0, 1, ""));
    bad(frame(&in, 4, 0, 0, "\0\4\x80\0\0\0"));
    bad(frame(&in, 5, 4, 1, "\0\0\0\2"));
    bad(frame(&in, 6, 0, 0, "1234567"));
    bad(frame(&in, 6, 0, 1, "12345678"));
    bad(frame(&in, 7, 0, 0, "\0\0\0\1"));
    bad(frame(&in, 7, 0, 0, "\0\0\0\0\0\0\0\0"));
    bad(frame(&in, 7, 0, 1, "\0\0\0\1\0\0\0\0"));
    bad(frame(&in, 8, 0, 0, "\0\0\1"));
    bad(frame(&in, 8, 0, 0, "\x7f\xff\xff\xff"));
    bad(frame(&in, 8, 0, 1, "\x7f\xff\xff\xff"));
    bad(put(&in, "\0\x40\1\0\0\0\0\0\1", 9));
}

/* What was not even begun can be sent once more. */
static void test_refused(void **state) {
    (void)state;
    static const struct {
        unsigned type;
        uint32_t stream;
        const char payload[8];
        size_t len;
        bool refused;
    } cases[] = {
        {7, 0, "\0\0\0\0\0\0\0", 8, true}, {7, 0, "\0\0\0\0\0\0\0", 7, false},
        {3, 1, "\0\0\0\7", 4, true},       {3, 1, "\0\0\0\2", 4, false},
        {3, 1, "\0\0\0\7", 5, false},
    };
    static bytes_t in;

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        fresh(0);
        in.len = 0;
        put_frame(&in, cases[i].type, 0, cases[i].stream, cases[i].payload,
                  cases[i].len);
        assert_int_equal(read_all(&in), MESH_MIRROR_BAD);
        assert_int_equal(m.refused, cases[i].refused);
    }
}

/* Found by the fuzzer: a bad row at the end of what is kept of a frame. */
static void test_a_bad_row_of_settings(void **state) {
    (void)state;
    static bytes_t in;
    char rows[6 * 40];

    for (size_t bad = 0; bad < 40; bad++) {
        memset(rows, 0x77, sizeof(rows));
        rows[6 * bad] = 0;
        rows[6 * bad + 1] = 4;
        rows[6 * bad + 2] = (char)0xff;
        in.len = 0;
        put_frame(&in, 4, 0, 0, rows, sizeof(rows));
        answer(&in, MESH_MIRROR_BAD, 0, false);
        assert_int_equal(m.status, 0);
        assert_false(m.over || m.last);
        assert_in_range(m.kept_len, 0, sizeof(m.kept));
    }
}

/* More than its window is what no endpoint may send. */
static void test_too_much(void **state) {
    (void)state;
    static bytes_t in;
    static char data[16384];
    mesh_mirror_progress_e progress = MESH_MIRROR_STATUS;
    size_t got = 0;

    fresh(0);
    in.len = 0;
    frame(&in, 1, 4, 1, OK200);
    assert_int_equal(read_all(&in), MESH_MIRROR_STATUS);
    in.len = 0;
    put_frame(&in, 0, 0, 1, data, sizeof(data));
    while (progress == MESH_MIRROR_STATUS && got < 2 * MESH_MIRROR2_WINDOW) {
        progress = read_all(&in);
        got += sizeof(data);
    }
    assert_int_equal(progress, MESH_MIRROR_BAD);
    assert_int_equal(got, MESH_MIRROR2_WINDOW + sizeof(data));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_no_requests),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_opening),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_windows_of_few_bytes),
        cmocka_unit_test(test_replies_wait_for_a_frame),
        cmocka_unit_test(test_settings_of_many_rows),
        cmocka_unit_test(test_another_request),
        cmocka_unit_test(test_pings),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_a_bad_row_of_settings),
        cmocka_unit_test(test_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
