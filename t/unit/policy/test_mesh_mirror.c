/* SPDX-License-Identifier: Apache-2.0 */

/* Mirrors: shares, heads that are written, answers that are read. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesh_mirror.h"
#include "rng.h"

/* --- shares --------------------------------------------------------------- */

static void test_shares(void **state) {
    (void)state;
    static const uint32_t percents[] = {0, 1, 7, 50, 99, 100};

    for (size_t i = 0; i < mesh_nelts(percents); i++) {
        mesh_mirror_t m = {.share_ppm = percents[i] * (MESH_SHARE_ALL / 100),
                           .cluster_hash = 0x12345};

        for (uint64_t first = 0; first < 3000; first += 100) {
            uint32_t taken = 0;
            for (uint64_t ticket = first; ticket < first + 100; ticket++) {
                taken += mesh_mirror_wanted(&m, ticket);
            }
            assert_int_equal(taken, percents[i]);
        }
    }
}

/* Two mirrors of one route are not always sent the same requests. */
static void test_shares_differ(void **state) {
    (void)state;
    mesh_mirror_t a = {.share_ppm = MESH_SHARE_ALL / 2, .cluster_hash = 1};
    mesh_mirror_t b = {.share_ppm = MESH_SHARE_ALL / 2, .cluster_hash = 2};
    uint32_t both = 0;

    for (uint64_t ticket = 0; ticket < 10000; ticket++) {
        both +=
            mesh_mirror_wanted(&a, ticket) && mesh_mirror_wanted(&b, ticket);
    }
    assert_in_range(both, 2000, 3000);
}

/* --- heads ---------------------------------------------------------------- */

static const char *host_of(const char *host, uint32_t flags) {
    static char out[128];
    mesh_mirror_t m = {.flags = flags};
    size_t len = mesh_mirror_host(&m, mesh_str_from(host), NULL, 0);

    assert_true(len < sizeof(out));
    memset(out, 'x', sizeof(out));
    assert_int_equal(mesh_mirror_host(&m, mesh_str_from(host), out, len), len);
    assert_int_equal(out[len], 'x');
    out[len] = '\0';
    return out;
}

static void test_hosts(void **state) {
    (void)state;
    assert_string_equal(host_of("a.b", 0), "a.b-shadow");
    assert_string_equal(host_of("a.b:80", 0), "a.b-shadow:80");
    assert_string_equal(host_of("[::1]", 0), "[::1]-shadow");
    assert_string_equal(host_of("[::1]:80", 0), "[::1]-shadow:80");
    assert_string_equal(host_of("", 0), "-shadow");
    assert_string_equal(host_of("a.b:80", MESH_MIRROR_SAME_HOST), "a.b:80");
}

static const char *head_as(const char *head, uint64_t length, bool last) {
    static char out[512];
    const mesh_mirror_form_t form = {
        .host = MESH_STR("h-shadow"), .length = length, .last = last};
    size_t len = mesh_mirror_head(mesh_str_from(head), &form, NULL, 0);

    assert_true(len < sizeof(out));
    /* Cut off anywhere, it says the same length and writes no more. */
    for (size_t size = 0; size <= len; size++) {
        memset(out, '#', sizeof(out));
        assert_int_equal(
            mesh_mirror_head(mesh_str_from(head), &form, out, size), len);
        assert_int_equal(out[size], '#');
    }
    out[len] = '\0';
    return out;
}

static const char *head_of(const char *head, uint64_t length) {
    return head_as(head, length, false);
}

#define FIRST "GET /x?y HTTP/1.1\r\nHost: h-shadow\r\n"

static void test_heads(void **state) {
    (void)state;
    assert_string_equal(
        head_of("GET /x?y HTTP/1.0\r\nHost: h\r\nX: 1\r\nx: 2\r\n\r\n", 0),
        FIRST "X: 1\r\nx: 2\r\n\r\n");
    assert_string_equal(
        head_of("GET /x?y HTTP/1.1\r\nConnection: x\r\nUPGRADE: a\r\nTe: b\r\n"
                "Keep-Alive: c\r\nProxy-Connection: d\r\nExpect: e\r\n"
                "HTTP2-Settings: f\r\nX-Te: g\r\n\r\nbody",
                0),
        FIRST "X-Te: g\r\n\r\n");
    assert_string_equal(
        head_of("GET /x?y HTTP/1.1\r\nContent-Length: 7\r\n\r\n", 0),
        FIRST "Content-Length: 0\r\n\r\n");
    assert_string_equal(
        head_of("GET /x?y HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                65536),
        FIRST "Content-Length: 65536\r\n\r\n");
    assert_string_equal(head_of("GET /x?y HTTP/1.1\r\n\r\n", 1),
                        FIRST "Content-Length: 1\r\n\r\n");
    assert_string_equal(head_of("GET /x?y HTTP/1.1\r\n", 0), FIRST "\r\n");
    assert_string_equal(
        head_as("GET /x?y HTTP/1.1\r\nConnection: x\r\n\r\n", 2, true),
        FIRST "Connection: close\r\nContent-Length: 2\r\n\r\n");
}

static void test_no_heads(void **state) {
    (void)state;
    static const char *const cases[] = {"", "GET", "GET / HTTP/1.1", "GET\r\n",
                                        " x\r\n"};
    const mesh_mirror_form_t form = {.host = MESH_STR("h")};

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        assert_int_equal(
            mesh_mirror_head(mesh_str_from(cases[i]), &form, NULL, 0), 0);
    }
}

/* --- answers -------------------------------------------------------------- */

/* Whole, byte by byte, and in pieces: the same end. */
static mesh_mirror_progress_e read_in(const char *data, size_t len,
                                      size_t piece, bool head_only,
                                      unsigned *status) {
    mesh_mirror_answer_t a = {.head_only = head_only};
    mesh_mirror_progress_e progress = MESH_MIRROR_MORE;

    for (size_t at = 0; at < len; at += piece) {
        size_t n = mesh_min(piece, len - at);
        char *copy = malloc(n);
        memcpy(copy, data + at, n);
        progress = mesh_mirror_read(&a, copy, n);
        free(copy);
    }
    *status = a.status;
    return progress;
}

static void read_all(const char *text, bool head_only,
                     mesh_mirror_progress_e wanted, unsigned status) {
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        unsigned got;

        if (read_in(text, strlen(text), piece, head_only, &got) != wanted ||
            got != status) {
            fail_msg("%s in pieces of %zu", text, piece);
        }
    }
}

#define OK "HTTP/1.1 200 OK\r\n"

static void test_answers(void **state) {
    (void)state;
    read_all(OK "Content-Length: 0\r\n\r\n", false, MESH_MIRROR_DONE, 200);
    read_all(OK "content-length:5\n\nhello", false, MESH_MIRROR_DONE, 200);
    read_all(OK "Content-Length: 6\r\n\r\nhello", false, MESH_MIRROR_STATUS,
             200);
    read_all(OK "Content-Length: 5\r\n\r\nhello more", false, MESH_MIRROR_DONE,
             200);
    read_all(OK "\r\nuntil the end", false, MESH_MIRROR_STATUS, 200);
    read_all("HTTP/1.0 503\r\n\r\n", false, MESH_MIRROR_STATUS, 503);
    read_all(OK "X: y\r\n", false, MESH_MIRROR_MORE, 200);
    read_all("HTTP/1.1 20", false, MESH_MIRROR_MORE, 0);
    read_all(OK "Content-Length: 9\r\n\r\n", true, MESH_MIRROR_DONE, 200);
    read_all("HTTP/1.1 204 X\r\n\r\n", false, MESH_MIRROR_DONE, 204);
    read_all("HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n", false,
             MESH_MIRROR_DONE, 304);
    read_all("HTTP/1.1 100 X\r\nContent-Length: 9\r\n\r\n" OK
             "Content-Length: 0\r\n\r\n",
             false, MESH_MIRROR_DONE, 200);
    read_all("HTTP/1.1 101 X\r\n\r\n", false, MESH_MIRROR_STATUS, 101);
}

#define ZEROS                                                                  \
    "00000000000000000000000000000000"                                         \
    "00000000000000000000000000000000"

static void test_chunks(void **state) {
    (void)state;
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"
    read_all(CHUNKED "0\r\n\r\n", false, MESH_MIRROR_DONE, 200);
    read_all(CHUNKED "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", false,
             MESH_MIRROR_DONE, 200);
    read_all(CHUNKED "1\r\na\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n", false,
             MESH_MIRROR_DONE, 200);
    read_all(CHUNKED "3\r\nabc\r\n", false, MESH_MIRROR_STATUS, 200);
    read_all(CHUNKED "3\r\nabcd\r\n", false, MESH_MIRROR_BAD, 200);
    read_all(CHUNKED "\r\n", false, MESH_MIRROR_BAD, 200);
    read_all(CHUNKED "x\r\n", false, MESH_MIRROR_BAD, 200);
    read_all(CHUNKED "fffffffffffffffff\r\n", false, MESH_MIRROR_BAD, 200);
    /* More zeros than are kept of a line: what follows them is not known. */
    read_all(CHUNKED ZEROS "3\r\nabc\r\n0\r\n\r\n", false, MESH_MIRROR_BAD,
             200);
    read_all(CHUNKED "3 ;" ZEROS "\r\nabc\r\n0\r\n\r\n", false,
             MESH_MIRROR_DONE, 200);
    /* A length beside it does not count. */
    read_all(OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"
                "Content-Length: 2\r\n\r\n0\r\n\r\n",
             false, MESH_MIRROR_DONE, 200);
}

/* Read whole and byte by byte: may another answer follow? */
static bool is_last(const char *text, bool head_only) {
    bool last[2];

    for (int i = 0; i < 2; i++) {
        mesh_mirror_answer_t a = {.head_only = head_only};
        size_t piece = i == 0 ? strlen(text) : 1;
        mesh_mirror_progress_e progress = MESH_MIRROR_MORE;

        for (size_t at = 0; at < strlen(text); at += piece) {
            progress = mesh_mirror_read(&a, text + at, piece);
        }
        if (progress != MESH_MIRROR_DONE) {
            fail_msg("%s is not over", text);
        }
        last[i] = a.last;
    }
    assert_int_equal(last[0], last[1]);
    return last[0];
}

static void test_connections_kept(void **state) {
    (void)state;
    static const char *const kept[] = {
        OK "Content-Length: 0\r\n\r\n",
        OK "Content-Length: 05\r\n\r\nhello",
        OK "Connection: keep-alive, x\r\ncontent-length: 0 \r\n\r\n",
        OK "Connection: closed\r\nContent-Length: 0\r\n\r\n",
        OK "X: " ZEROS ZEROS "\r\n" ZEROS ZEROS ": y\r\nContent-Length: 0\r\n"
           "\r\n",
        CHUNKED "3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n",
        OK "transfer-encoding: Chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 204 X\r\n\r\n",
        "HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.1 103 X\r\nLink: a\r\n\r\n" OK "Content-Length: 0\r\n\r\n",
    };
    /* Asked to close, or another reader could see another end. */
    static const char *const last[] = {
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        OK "Connection: close\r\nContent-Length: 0\r\n\r\n",
        OK "Content-Length: 0\r\nconnection: x, Close\t,y\r\n\r\n",
        OK "Connection: " ZEROS ",close\r\nContent-Length: 0\r\n\r\n",
        OK "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
        OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
        OK "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
           "0\r\n\r\n",
        OK "Content-Length: 1, 1\r\n\r\nx",
        OK "Content-Length: 1x\r\n\r\nx",
        OK "Content-Length: " ZEROS "1\r\n\r\n",
        OK "Content-Length : 5\r\nContent-Length: 0\r\n\r\n",
        OK "X: y\r\n Content-Length: 5\r\nContent-Length: 0\r\n\r\n",
        OK "X: y\r\n\t" ZEROS ZEROS "\r\nContent-Length: 0\r\n\r\n",
        OK "nothing\r\nContent-Length: 0\r\n\r\n",
        OK "Content-Length: 0\r\n\r\nmore",
        CHUNKED "0\r\n\r\nH",
        CHUNKED "1x\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 204 X\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n",
    };

    for (size_t i = 0; i < mesh_nelts(kept); i++) {
        if (is_last(kept[i], false)) {
            fail_msg("closed after %s", kept[i]);
        }
    }
    for (size_t i = 0; i < mesh_nelts(last); i++) {
        if (!is_last(last[i], false)) {
            fail_msg("kept after %s", last[i]);
        }
    }
    assert_false(is_last(OK "Content-Length: 9\r\n\r\n", true));
    assert_true(is_last(OK "Content-Length: 9\r\n\r\nx", true));
    /* Up to the end, whatever length is told besides. */
    read_all(OK "Content-Length: 1\r\nTransfer-Encoding: gzip\r\n\r\nxx", false,
             MESH_MIRROR_STATUS, 200);
}

static void test_bad_answers(void **state) {
    (void)state;
    static const char *const cases[] = {
        "\n",
        "SSH-2.0-x\r\n",
        "HTTP/2.0 200 OK\r\n",
        "HTTP/1.1 2x0 OK\r\n",
        "HTTP/1.1 099 OK\r\n",
        "HTTP/1.1  200 OK\r\n",
        OK "Content-Length: x\r\n",
        OK "Content-Length: -1\r\n",
        OK "Content-Length: 99999999999999999999\r\n",
    };

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        unsigned status;

        if (read_in(cases[i], strlen(cases[i]), 1, false, &status) !=
            MESH_MIRROR_BAD) {
            fail_msg("%s is read", cases[i]);
        }
    }
}

/* A header has an end, in one line or in many, in one answer or many. */
static void test_long_headers(void **state) {
    (void)state;
    static const char *const pieces[] = {"yyyyyyyyyyyyyyyy", "x: y\r\n",
                                         "HTTP/1.1 100 X\r\n\r\n"};

    for (size_t i = 0; i < mesh_nelts(pieces); i++) {
        mesh_mirror_answer_t a = {.state = 0};
        mesh_mirror_progress_e progress = MESH_MIRROR_MORE;
        size_t sent = 0;

        if (i < 2) {
            progress = mesh_mirror_read(&a, OK, strlen(OK));
        }
        while (progress == MESH_MIRROR_MORE && sent < 200000) {
            progress = mesh_mirror_read(&a, pieces[i], strlen(pieces[i]));
            sent += strlen(pieces[i]);
        }
        assert_int_equal(progress, MESH_MIRROR_BAD);
        assert_in_range(sent, MESH_MIRROR_HEADER_MAX - 100,
                        MESH_MIRROR_HEADER_MAX + 100);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_shares_differ),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_no_heads),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_connections_kept),
        cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_long_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
