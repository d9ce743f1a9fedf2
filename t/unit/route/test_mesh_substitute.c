/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Texts with substitutions: what is one, and what comes out.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "compile.h"
#include "mesh_substitute.h"
#include "route_fixture.h"

typedef struct {
    const char *text;
    const char *why; /* NULL: right */
} read_row_t;

static void test_read(void **state) {
    static const char none[] = "a \"%\" that begins no variable: write \"%%\"";
    static const char header[] =
        "a variable that wants a header's name, or two with \"?\" between";
    static const char path[] = "a path that is not (WQ) or (NQ), with :ORIG, "
                               ":PATH or :ORIG_OR_PATH";
    static const char max[] = "a length that is not 1 to 65535";
    static const char brackets[] = "brackets behind a variable that has none";
    static const read_row_t rows[] = {
        {"", NULL},
        {"plain", NULL},
        {"%%", NULL},
        {"%REQ(a)%", NULL},
        {"%REQ(:path?A_b):65535%", NULL},
        {"%START_TIME%", NULL},
        {"%START_TIME()%", NULL},
        {"%START_TIME(%Y %9f)x)%", NULL},
        {"%PATH%%PATH()%", NULL},
        {"%PATH(WQ:)%", path},
        {"%PATH(NQ:PATH):1%", NULL},
        {"%QUERY_PARAM(a b)%", NULL},
        {"%", none},
        {"a%", none},
        {"%%%", none},
        {"% REQ(a)%", none},
        {"%req(a)%", none},
        {"%NOPE%", "an unknown variable"},
        {"x%REQUEST%", "an unknown variable"},
        {"%REQ%", "a variable without its brackets"},
        {"%REQ()%", header},
        {"%REQ(a", "a ( without its )"},
        {"%REQ(a)", "a variable without the \"%\" at its end"},
        {"%REQ(a)x%", "a variable without the \"%\" at its end"},
        {"%REQ(a b)%", header},
        {"%REQ(a?)%", header},
        {"%REQ(?a)%", header},
        {"%REQ(a?b?c)%", header},
        {"%REQ(:)%", header},
        {"%REQ(a):0%", max},
        {"%REQ(a):%", max},
        {"%REQ(a):65536%", max},
        {"%REQ(a):9999999999999999999999%", max},
        {"%PROTOCOL()%", brackets},
        {"%PROTOCOL", "a variable without the \"%\" at its end"},
        {"%START_TIME():3%", "a ( without its )"},
        {"%PATH(X)%", path},
        {"%PATH(WQ:X)%", path},
        {"%QUERY_PARAM()%", "a name that is empty"},
        {"%QUERY_PARAM%", "a variable without its brackets"},
    };
    mesh_substitute_part_t parts[MESH_FORMAT_PARTS_MAX];
    uint32_t count;
    size_t at;
    (void)state;

    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        mesh_str_t text = mesh_str_from(rows[i].text);
        const char *why = mesh_substitute_read(text, false, parts, &count, &at);

        if (rows[i].why == NULL ? why != NULL
                                : why == NULL || strcmp(why, rows[i].why) != 0)
            fail_msg("%s: %s", rows[i].text, why ? why : "right");
    }
}

static void test_read_bounds(void **state) {
    mesh_substitute_part_t parts[MESH_FORMAT_PARTS_MAX];
    char text[2 * MESH_FORMAT_PARTS_MAX + 3];
    uint32_t count;
    size_t at;
    (void)state;

    memset(text, '%', sizeof(text));
    assert_null(
        mesh_substitute_read((mesh_str_t){2 * MESH_FORMAT_PARTS_MAX, text},
                             false, parts, &count, &at));
    assert_int_equal(count, MESH_FORMAT_PARTS_MAX);
    assert_string_equal(
        mesh_substitute_read((mesh_str_t){2 * MESH_FORMAT_PARTS_MAX + 2, text},
                             false, parts, &count, &at),
        "more than 64 pieces");
    assert_null(
        mesh_substitute_read(MESH_STR("%RESP(a)%"), true, parts, &count, &at));
    assert_non_null(
        mesh_substitute_read(MESH_STR("%RESP(a)%"), false, parts, &count, &at));
}

/* --- writing ------------------------------------------------------------- */

static mesh_str_t fact(const mesh_facts_t *facts, unsigned var, char *buffer) {
    (void)facts;
    if (var == MESH_VAR_HOSTNAME)
        return MESH_STR("a\r\nb\0c");
    return (mesh_str_t){(size_t)snprintf(buffer, MESH_FACT_MAX, "<%u>", var),
                        buffer};
}

static bool response(const mesh_facts_t *facts, mesh_str_t name,
                     mesh_str_t *value) {
    (void)facts;
    *value = MESH_STR("answer");
    return mesh_str_eq(name, MESH_STR("x-r"));
}

typedef struct {
    const char *text;
    const char *out;
} write_row_t;

static void check_rows(const write_row_t *rows, size_t count,
                       const mesh_facts_t *facts) {
    for (size_t i = 0; i < count; i++) {
        mesh_writer_t *w = mesh_writer_create(1, FIXTURE_CAPACITY);
        mesh_ref_t ref = compile_format(w, mesh_str_from(rows[i].text));
        image_t image;
        char out[256];

        assert_int_equal(image_open(&image, w), MESH_OK);
        const mesh_rec_format_t *format = mesh_get(&image.s, ref);
        size_t len =
            mesh_substitute_write(&image.s, format, facts, out, sizeof(out));

        if (!mesh_str_eq((mesh_str_t){len, out}, mesh_str_from(rows[i].out)))
            fail_msg("%s is \"%.*s\", not \"%s\"", rows[i].text, (int)len, out,
                     rows[i].out);
        /* A short buffer is filled and not overrun. */
        for (size_t size = 0; size <= len; size++) {
            memset(out, '#', sizeof(out));
            assert_int_equal(
                mesh_substitute_write(&image.s, format, facts, out, size), len);
            assert_memory_equal(out, rows[i].out, size);
            assert_int_equal(out[size], '#');
        }
        image_close(&image);
        mesh_writer_free(w);
    }
}

static void facts_init(fixture_request_t *f, mesh_facts_t *facts) {
    static const char target[] = "/p/q?a=1&b=%41%zz%4&a=2&c";

    fixture_request(f, MESH_STR("PUT"), MESH_STR("h:80"),
                    (mesh_str_t){4, target});
    f->r.has_query = true;
    f->r.query = (mesh_str_t){sizeof(target) - 6, target + 5};
    fixture_add_header(f, MESH_STR("x-a"), MESH_STR("alpha"));
    fixture_add_header(f, MESH_STR("x-a"), MESH_STR("second"));
    fixture_add_header(f, MESH_STR("x-e"), MESH_STR(""));
    fixture_add_header(f, MESH_STR("x-h"), MESH_STR("a\r\nx-evil: 1\0"));
    *facts = (mesh_facts_t){.request = &f->r,
                            .start_ms = UINT64_C(1709210096007),
                            .fact = fact,
                            .response = response};
}

static void test_write(void **state) {
    static const write_row_t rows[] = {
        {"100%%", "100%"},
        {"%%REQ(x)%%", "%REQ(x)%"},
        {"a%REQ(X-A)%b", "aalphab"},
        {"%REQ(x-none)%", ""},
        {"%REQ(x-none?x-a)%", "alpha"},
        {"%REQ(x-e?x-a)%", ""},
        {"%REQ(x-a):2%%REQ(x-a):99%", "alalpha"},
        {"%REQ(x-h)%", "a  x-evil: 1 "},
        {"%REQ(:method)% %REQ(:scheme)% %REQ(host)%", "PUT http h:80"},
        {"%REQ(:path)%", "/p/q?a=1&b=%41%zz%4&a=2&c"},
        {"%REQ(x-envoy-original-path)%", ""},
        {"%REQ(X-ENVOY-ORIGINAL-PATH?:PATH):4%", "/p/q"},
        {"%RESP(x-no?X-R)%", "answer"},
        {"%RESP(x-no)%", ""},
        {"%PATH(NQ)%", "/p/q"},
        {"%PATH(NQ:ORIG)%", ""},
        {"%QUERY_PARAM(a)%", "1"},
        {"%QUERY_PARAM(b)%", "A%zz%4"},
        {"%QUERY_PARAM(c)%", ""},
        {"%QUERY_PARAM(d)%", ""},
        {"%PROTOCOL%", "<9>"},
        {"%UPSTREAM_CLUSTER%", "<12>"},
        {"%START_TIME%", "2024-02-29T12:34:56.007Z"},
        {"%START_TIME(%Y/%m/%d %H-%M-%S %z %Z)%",
         "2024/02/29 12-34-56 +0000 UTC"},
        {"%START_TIME(%s %f %1f %3f %6f %9f %E3S)%",
         "1709210096 007000000 0 007 007000 007000000 56.007"},
        {"%START_TIME(%F %T)%", "2024-02-29 12:34:56"},
    };
    fixture_request_t f;
    mesh_facts_t facts;
    (void)state;

    facts_init(&f, &facts);
    check_rows(rows, mesh_nelts(rows), &facts);
}

/* What was sent, where it is known. */
static void test_write_sent(void **state) {
    static const write_row_t rows[] = {
        {"%REQ(:path)%", "/new?x"},
        {"%REQ(:authority)%", "other"},
        {"%REQ(x-envoy-original-path):4%", "/p/q"},
        {"%PATH(NQ:PATH)%", "/new"},
        {"%PATH(NQ)%", "/p/q"},
        {"%PATH(NQ:ORIG)%", "/p/q"},
    };
    fixture_request_t f;
    mesh_facts_t facts;
    (void)state;

    facts_init(&f, &facts);
    facts.sent_path = MESH_STR("/new?x");
    facts.sent_host = MESH_STR("other");
    check_rows(rows, mesh_nelts(rows), &facts);
}

/* Years are right for as long as they have four digits. */
static void test_times(void **state) {
    static const struct {
        uint64_t seconds;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {951782400, "2000-02-29T00:00:00.000Z"},
        {951868799, "2000-02-29T23:59:59.000Z"},
        {951868800, "2000-03-01T00:00:00.000Z"},
        {4107542400, "2100-03-01T00:00:00.000Z"},
        {4107542399, "2100-02-28T23:59:59.000Z"},
        {253402300799, "9999-12-31T23:59:59.000Z"},
    };
    fixture_request_t f;
    mesh_facts_t facts;
    (void)state;

    facts_init(&f, &facts);
    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        const write_row_t row = {"%START_TIME%", rows[i].text};

        facts.start_ms = rows[i].seconds * 1000;
        check_rows(&row, 1, &facts);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),  cmocka_unit_test(test_read_bounds),
        cmocka_unit_test(test_write), cmocka_unit_test(test_write_sent),
        cmocka_unit_test(test_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
