/* SPDX-License-Identifier: Apache-2.0 */

/*
 * model_node_json.c: RFC 8259 and nothing else, with positions; what both
 * languages can say, both readers read alike.
 */

#include "model_fixture.h"

static const model_node_t *parse(fixture_t *f, const char *text) {
    fixture_open(f);
    f->root = model_node_from_json(f->arena, "f.json", mesh_str_from(text),
                                   &f->errors);

    return f->root;
}

static void mistakes_in_their_words(void **state) {
    (void)state;

    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"", "f.json:1:1: found the end of the file, expected a JSON value\n"},
        {"{\n  \"a\": 1,\n}",
         "f.json:3:1: found \"}\", expected a key in quotes\n"},
        {"[1, 2",
         "f.json:1:6: found the end of the file, expected \",\" or \"]\"\n"},
        {"{\"a\" 1}",
         "f.json:1:6: found \"1\", expected \":\" after the key\n"},
        {"[1 2]", "f.json:1:4: found \"2\", expected \",\" or \"]\"\n"},
        {"[1}", "f.json:1:3: found \"}\", expected \",\" or \"]\"\n"},
        {"[1]]", "f.json:1:4: found \"]\", expected the end of the file\n"},
        {"[\"\\q\"]",
         "f.json:1:3: found \"\\\", expected an escape that JSON knows\n"},
        {"[\"\\u12x4\"]",
         "f.json:1:3: found \"\\\", expected four hex digits after \\u\n"},
        {"[\"\\ud800x\"]", "f.json:1:3: found \"\\\", expected both halves of "
                           "a surrogate pair\n"},
        {"[\"\\udc00\"]", "f.json:1:3: found \"\\\", expected both halves of "
                          "a surrogate pair\n"},
        {"[\"\\u0000\"]",
         "f.json:1:3: found \"\\\", expected text without a NUL\n"},
        {"[\"a\nb\"]", "f.json:1:4: found the byte 0x0a, expected the end of "
                       "the text: \"\n"},
        {"[\"a", "f.json:1:4: found the end of the file, expected the end of "
                 "the text: \"\n"},
        {"{\"\xc3\xa9\xc3\xa9\": x}",
         "f.json:1:8: found \"x\", expected a JSON value\n"},
        {"{\"\": 1}", "f.json:1:2: found an empty key, expected a name\n"},
        {"{\"a\": 1, \"a\": 2}",
         "f.json:1:10: found the key \"a\" a second time, expected it once "
         "(it is on line 1 already)\n"},
        {"[\xc3\xa9]",
         "f.json:1:2: found a character beyond ASCII, expected a JSON "
         "value\n"},
        {"{\"a\": \"\\u00e9\\n\xc3\xa9\", b: 1}",
         "f.json:1:20: found \"b\", expected a key in quotes\n"},
    };

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        fixture_t f;

        assert_null(parse(&f, cases[i].text));
        assert_string_equal(fixture_messages(&f), cases[i].message);
        fixture_close(&f);
    }
}

static void only_json_is_json(void **state) {
    (void)state;

    static const char *const good[] = {
        "0",        "-0",      "1.5",   "1e5",
        "-1.25E-3", "true",    "null",  "\"\"",
        "{}",       "[]",      " [ ] ", "\t{\r\n}",
        "[[[]]]",   "\"\\/\"", "[1,2]", "{\"a\":{\"b\":[]}}"};
    static const char *const bad[] = {"01",
                                      "1.",
                                      ".5",
                                      "+1",
                                      "-",
                                      "1e",
                                      "1e+",
                                      "0x1",
                                      "True",
                                      "nul",
                                      "'a'",
                                      "[1,]",
                                      "{a:1}",
                                      "NaN",
                                      "//a",
                                      "[1]a",
                                      "tru",
                                      "{,}",
                                      "[,]",
                                      "{\"a\"}",
                                      "[1,,2]",
                                      "\"\t\"",
                                      "{]",
                                      "truee",
                                      "1 2",
                                      "nulll",
                                      "}",
                                      "]",
                                      ",",
                                      ":",
                                      "\xef\xbb\xbf{}"};

    for (size_t i = 0; i < mesh_nelts(good); i++) {
        fixture_t f;

        assert_non_null(parse(&f, good[i]));
        assert_int_equal(f.errors.errors, 0);
        fixture_close(&f);
    }

    for (size_t i = 0; i < mesh_nelts(bad); i++) {
        fixture_t f;

        assert_null(parse(&f, bad[i]));
        assert_int_equal(f.errors.errors, 1);
        fixture_close(&f);
    }
}

static void escapes_mean_what_they_say(void **state) {
    (void)state;

    fixture_t f;

    assert_non_null(parse(&f, "{\"k\\u0041\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t"
                              "\\u00e9\\u20ac\\ud83d\\ude00.\"}"));

    const model_node_t *node = f.root->first;

    assert_text(node->key, "kA");
    assert_text(node->text, "\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac"
                            "\xf0\x9f\x98\x80.");
    assert_int_equal(node->text.data[node->text.len], '\0');
    assert_false(node->plain);
    fixture_close(&f);
}

static void depth_is_bounded(void **state) {
    (void)state;

    for (unsigned depth = MODEL_DEPTH_MAX; depth <= MODEL_DEPTH_MAX + 1;
         depth++) {
        fixture_t f;
        char text[256] = "";

        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        parse(&f, text);
        assert_int_equal(f.root != NULL, depth <= MODEL_DEPTH_MAX);
        fixture_close(&f);
    }
}

static void assert_same(const model_node_t *a, const model_node_t *b) {
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->line, b->line);
    assert_int_equal(a->column, b->column);
    assert_int_equal(a->key_line, b->key_line);
    assert_int_equal(a->key_column, b->key_column);
    assert_int_equal(a->count, b->count);
    assert_true(mesh_str_eq(a->key, b->key));
    assert_true(mesh_str_eq(a->text, b->text));

    const model_node_t *y = b->first;

    for (const model_node_t *x = a->first; x != NULL; x = x->next) {
        assert_non_null(y);
        assert_same(x, y);
        y = y->next;
    }

    assert_null(y);
}

typedef struct {
    char text[16384];
    size_t len;
    rng_t random;
} writer_t;

static void put(writer_t *w, const char *text) {
    w->len += (size_t)snprintf(w->text + w->len, sizeof(w->text) - w->len, "%s",
                               text);
}

static void put_value(writer_t *w, unsigned depth) {
    static const char *const scalars[] = {
        "1",
        "-2.5",
        "true",
        "null",
        "\"text\"",
        "\"\"",
        "\"caf\xc3\xa9\"",
        "\"a: [b], #c\"",
        "false",
        "0",
        "\"\\n\\t\\\"\"",
        "\"\xf0\x9f\x98\x80\"",
    };
    static const char *const spaces[] = {"", " ", "\n  ", "\n\n "};
    unsigned count = (unsigned)(rng_next(&w->random) % 5);
    uint64_t kind = rng_next(&w->random) % 4;

    if (depth == 0 || kind < 2) {
        put(w, scalars[rng_next(&w->random) % mesh_nelts(scalars)]);
        return;
    }

    put(w, kind == 2 ? "{" : "[");

    for (unsigned i = 0; i < count; i++) {
        char key[32];

        put(w, i != 0 ? "," : "");
        put(w, spaces[rng_next(&w->random) % mesh_nelts(spaces)]);

        if (kind == 2) {
            snprintf(key, sizeof(key), "\"k%u\": ", i);
            put(w, key);
        }

        put_value(w, depth - 1);
    }

    put(w, spaces[rng_next(&w->random) % mesh_nelts(spaces)]);
    put(w, kind == 2 ? "}" : "]");
}

/* JSON is YAML: both readers give the same tree at the same places. */
static void both_readers_agree(void **state) {
    (void)state;

    writer_t *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    w->random = (rng_t){5};

    for (int round = 0; round < 500; round++) {
        fixture_t f;

        w->len = 0;
        put(w, "{\"root\": ");
        put_value(w, 5);
        put(w, "}");

        if (w->len >= sizeof(w->text) - 1) {
            continue;
        }

        parse(&f, w->text);
        assert_non_null(f.root);

        const model_node_t *yaml = model_node_from_yaml(
            f.arena, "f.json", mesh_str_from(w->text), &f.errors);

        assert_non_null(yaml);
        assert_same(f.root, yaml);
        fixture_close(&f);
    }

    free(w);
}

static void decodes_like_yaml(void **state) {
    (void)state;

    fixture_t f;

    parse(&f, "{\"clusters\": {\"a\": {\"endpoints\": [\"127.0.0.1:1\", "
              "{\"address\": \"127.0.0.1:2\", \"weight\": 3}], "
              "\"connect_timeout\": \"2s\", \"panic_threshold\": 10}}}");
    f.part = model_decode(f.arena, "f.json", f.root, &f.errors);

    assert_int_equal(f.errors.errors, 0);
    assert_int_equal(f.part->sets[0].v[1].weight, 3);
    assert_int_equal(f.part->clusters[0].connect_timeout_ms, 2000);
    assert_int_equal(f.part->clusters[0].panic_percent, 10);
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_in_their_words),
        cmocka_unit_test(only_json_is_json),
        cmocka_unit_test(escapes_mean_what_they_say),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(both_readers_agree),
        cmocka_unit_test(decodes_like_yaml),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
