/* SPDX-License-Identifier: Apache-2.0 */

/*
 * model_node_yaml.c: trees, positions, and what is refused;
 * model_yaml_plain.c: gives libyaml's tree or none.
 */

#include "model_fixture.h"
#include "model_yaml_plain.h"

/* Writes a tree in one line: "t" for quoted text, t for plain. */
static size_t write_node(const model_node_t *node, char *out, size_t size) {
    size_t len = 0;

    if (node->key.len != 0) {
        len += (size_t)snprintf(out, size, "%s=", node->key.data);
    }

    switch (node->kind) {
    case MODEL_NODE_NULL:
        return len + (size_t)snprintf(out + len, size - len, "null");

    case MODEL_NODE_SCALAR:
        return len + (size_t)snprintf(out + len, size - len,
                                      node->plain ? "%s" : "\"%s\"",
                                      node->text.data);

    default:
        break;
    }

    bool map = node->kind == MODEL_NODE_MAP;
    uint32_t count = 0;

    len += (size_t)snprintf(out + len, size - len, map ? "{" : "[");

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        if (count++ != 0) {
            len += (size_t)snprintf(out + len, size - len, " ");
        }

        len += write_node(n, out + len, size - len);
    }

    assert_int_equal(count, node->count);

    return len + (size_t)snprintf(out + len, size - len, map ? "}" : "]");
}

static const model_node_t *parse(fixture_t *f, const char *text) {
    fixture_open(f);
    f->root = model_node_from_yaml(f->arena, "f.yaml", mesh_str_from(text),
                                   &f->errors);

    return f->root;
}

static void assert_tree(const char *text, const char *expected) {
    fixture_t f;
    char tree[1024];

    assert_non_null(parse(&f, text));
    write_node(f.root, tree, sizeof(tree));
    assert_string_equal(tree, expected);
    fixture_close(&f);
}

static void trees(void **state) {
    (void)state;

    assert_tree("a: 1", "{a=1}");
    assert_tree("a: '1'", "{a=\"1\"}");
    assert_tree("a:\n  - b\n  - c: d\n    e: f\n", "{a=[b {c=d e=f}]}");
    assert_tree("a:\n- b\n- c\n", "{a=[b c]}");
    assert_tree("- - a\n  - b\n- c", "[[a b] c]");
    assert_tree("a: {b: [c, d], e: }", "{a={b=[c d] e=null}}");
    assert_tree("a:\nb: ~\nc: Null", "{a=null b=null c=null}");
    assert_tree("a: \"x\\n\\u00e9\\\"\"", "{a=\"x\n\xc3\xa9\"\"}");
    assert_tree("a: 'it''s'", "{a=\"it's\"}");
    assert_tree("a: b c  # comment\n# more\nd: e#f", "{a=b c d=e#f}");
    assert_tree("a: b\n  c", "{a=b c}");
    assert_tree("a: |\n  b\n  c\nd: >-\n  e\n  f\n",
                "{a=\"b\nc\n\" d=\"e f\"}");
    assert_tree("\"a b\": c", "{a b=c}");
    assert_tree("5: a\ntrue: b", "{5=a true=b}");
    assert_tree("---\na: b\n...\n", "{a=b}");
    assert_tree("%YAML 1.2\n---\na: b\n", "{a=b}");
    assert_tree("\xef\xbb\xbf"
                "a: b\nc: d",
                "{a=b c=d}");
    assert_tree("a: b\r\nc:\r\n  - d\r\n", "{a=b c=[d]}");
    assert_tree("a: http://x:80/y", "{a=http://x:80/y}");
    assert_tree("a: unix:/run/x", "{a=unix:/run/x}");
    assert_tree("a: [127.0.0.1:80, x]", "{a=[127.0.0.1:80 x]}");
    assert_tree("a: -1\nb: -x\nc: ?x\nd: :x", "{a=-1 b=-x c=?x d=:x}");
    assert_tree("{}", "{}");
    assert_tree("[]", "[]");
    assert_tree("plain", "plain");
    assert_tree("{\"a\":\"b\",\"c\":[1,2]}", "{a=\"b\" c=[1 2]}");
}

static void positions_are_of_keys_and_values(void **state) {
    (void)state;

    fixture_t f;

    assert_non_null(parse(&f, "# top\n"
                              "clusters:\n"
                              "  a:  x\n"
                              "  \xc3\xa9:  {k: v}\n"
                              "  l:\n"
                              "    - 'q'\n"));

    const model_node_t *clusters = f.root->first;
    const model_node_t *a = clusters->first;
    const model_node_t *accent = a->next;
    const model_node_t *l = accent->next;

    assert_int_equal(clusters->key_line, 2);
    assert_int_equal(clusters->key_column, 1);
    assert_int_equal(a->key_line, 3);
    assert_int_equal(a->key_column, 3);
    assert_int_equal(a->line, 3);
    assert_int_equal(a->column, 7);
    assert_int_equal(accent->column, 7); /* characters, not bytes */
    assert_int_equal(accent->first->column, 11);
    assert_int_equal(l->first->line, 6);
    assert_int_equal(l->first->column, 7);
    assert_ptr_equal(model_node_child(clusters, "l"), l);
    assert_null(model_node_child(clusters, "none"));
    assert_null(model_node_child(a, "none"));
    assert_null(model_node_child(NULL, "none"));

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

        if (depth <= MODEL_DEPTH_MAX) {
            assert_non_null(f.root);
        } else {
            assert_null(f.root);
            assert_string_equal(fixture_messages(&f),
                                "f.yaml:1:65: found a value nested deeper "
                                "than 64, expected at most 64 levels\n");
        }

        fixture_close(&f);
    }
}

/* A million brackets end at the 65th, not after a second. */
static void hostile_depth_ends_early(void **state) {
    (void)state;

    fixture_t f;
    size_t size = 1000000;
    char *text = malloc(size + 1);

    assert_non_null(text);
    memset(text, '[', size);
    text[size] = '\0';

    assert_null(parse(&f, text));
    assert_int_equal(f.errors.errors, 1);
    free(text);
    fixture_close(&f);
}

static void every_duplicate_key_is_named(void **state) {
    (void)state;

    fixture_t f;

    assert_null(parse(&f, "a: {x: 1, x: 2}\n"
                          "b: {x: 1, y: 2, x: 3, y: 4}\n"
                          "a: 5\n"));
    assert_string_equal(
        fixture_messages(&f),
        "f.yaml:1:11: found the key \"x\" a second time, expected it once "
        "(it is on line 1 already)\n"
        "f.yaml:2:17: found the key \"x\" a second time, expected it once "
        "(it is on line 2 already)\n"
        "f.yaml:2:23: found the key \"y\" a second time, expected it once "
        "(it is on line 2 already)\n"
        "f.yaml:3:1: found the key \"a\" a second time, expected it once "
        "(it is on line 1 already)\n");
    fixture_close(&f);
}

/* Small maps compare pairs, large ones hash: both find the one double. */
static void duplicates_in_maps_of_any_size(void **state) {
    (void)state;

    for (unsigned count = 2; count < 100; count += 7) {
        for (unsigned twice = 0; twice < count; twice++) {
            fixture_t f;
            char text[2048];
            size_t len = 0;

            for (unsigned i = 0; i < count; i++) {
                len += (size_t)snprintf(text + len, sizeof(text) - len,
                                        "k%u: v\n", i);
            }

            assert_non_null(parse(&f, text));
            fixture_close(&f);

            snprintf(text + len, sizeof(text) - len, "k%u: v\n", twice);
            assert_null(parse(&f, text));
            assert_int_equal(f.errors.errors, 1);
            assert_int_equal(f.errors.first->line, count + 1);
            fixture_close(&f);
        }
    }
}

static void what_is_not_text_is_refused(void **state) {
    (void)state;

    static const struct {
        const char *text;
        size_t len;
        uint32_t line;
        uint32_t column;
    } cases[] = {
        {"a: \xff", 4, 1, 4},
        {"a: b\nc: \xc0\x80", 10, 2, 4},
        {"a: \xed\xa0\x80", 6, 1, 4},
        {"\xc3\xa9: \xc3", 5, 1, 4},
        {"a: \xf4\x90\x80\x80", 7, 1, 4},
        {"a: b\0c", 6, 1, 5},
        {"a: \x1b[0m", 7, 1, 4},
        {"a: \x7f", 4, 1, 4},
        {"12345678\x01", 9, 1, 9},
        {"1234567\x1f", 8, 1, 8},
        {"a: \xc2\x85", 5, 1, 4},
        {"a: \"b\xe2\x80\xa8\"", 9, 1, 6},
        {"a: b\n# \xe2\x80\xa9", 10, 2, 3},
    };

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        fixture_t f;
        mesh_str_t text = {cases[i].len, cases[i].text};

        fixture_open(&f);
        assert_null(model_node_from_yaml(f.arena, "f.yaml", text, &f.errors));
        assert_int_equal(f.errors.errors, 1);
        assert_int_equal(f.errors.first->line, cases[i].line);
        assert_int_equal(f.errors.first->column, cases[i].column);
        fixture_close(&f);
    }
}

static void anchors_tags_and_nul_are_refused_everywhere(void **state) {
    (void)state;

    static const char *const texts[] = {
        "a: &b [c]",
        "a: &b {c: d}",
        "&k a: b",
        "a: !x {b: c}",
        "a: ! b",
        "- !!map {}",
        "a: \"b\\0c\"",
        "\"a\\0b\": c",
        "\"\": a",
        "? {a: b}\n: c",
        "%TAG ! x:\n--- a",
        "a: b\n---\nc: d",
        "a: [b",
        "a: \"b",
        "a: b: c",
        "a:\n b: c\n  d: e",
        "- a\nb: c",
        "*a",
        "a: >\n b\n*c",
        "{a: b, <<: {c: d}}",
    };

    for (size_t i = 0; i < mesh_nelts(texts); i++) {
        fixture_t f;

        assert_null(parse(&f, texts[i]));
        assert_int_equal(f.errors.errors, 1);
        fixture_close(&f);
    }
}

/* What is generated comes back, whatever the style it is written in. */
static void random_trees_come_back(void **state) {
    (void)state;

    rng_t random = {11};

    for (int round = 0; round < 300; round++) {
        char text[8192];
        char expected[4096];
        size_t len = 0;
        size_t want = (size_t)snprintf(expected, sizeof(expected), "{");
        unsigned count = 1 + rng_next(&random) % 40;

        for (unsigned i = 0; i < count; i++) {
            unsigned value = (unsigned)(rng_next(&random) % 1000);
            const char *space = i != 0 ? " " : "";
            char *at = text + len;
            char *to = expected + want;
            size_t left = sizeof(text) - len;
            size_t room = sizeof(expected) - want;

            switch (rng_next(&random) % 5) {
            case 0:
                len += (size_t)snprintf(at, left, "k%u: v%u\n", i, value);
                want +=
                    (size_t)snprintf(to, room, "%sk%u=v%u", space, i, value);
                break;
            case 1:
                len += (size_t)snprintf(at, left, "'k%u':   \"v%u\" # c\n", i,
                                        value);
                want += (size_t)snprintf(to, room, "%sk%u=\"v%u\"", space, i,
                                         value);
                break;
            case 2:
                len += (size_t)snprintf(
                    at, left, "k%u:\n  - a: %u\n    b: [x, 'y']\n", i, value);
                want += (size_t)snprintf(to, room, "%sk%u=[{a=%u b=[x \"y\"]}]",
                                         space, i, value);
                break;
            case 3:
                len += (size_t)snprintf(
                    at, left, "k%u: {a: %u, 'b': {c: [ ]}}\n\n", i, value);
                want += (size_t)snprintf(to, room, "%sk%u={a=%u b={c=[]}}",
                                         space, i, value);
                break;
            default:
                len +=
                    (size_t)snprintf(at, left, "k%u:\n- %u\n-   z\n", i, value);
                want +=
                    (size_t)snprintf(to, room, "%sk%u=[%u z]", space, i, value);
                break;
            }
        }

        snprintf(expected + want, sizeof(expected) - want, "}");
        assert_tree(text, expected);
    }
}

static bool same(const model_node_t *a, const model_node_t *b) {
    if (a->kind != b->kind || a->plain != b->plain || a->line != b->line ||
        a->column != b->column || a->key_line != b->key_line ||
        a->key_column != b->key_column || a->count != b->count ||
        !mesh_str_eq(a->key, b->key) || !mesh_str_eq(a->text, b->text)) {
        return false;
    }

    const model_node_t *y = b->first;

    for (const model_node_t *x = a->first; x != NULL; x = x->next) {
        if (!same(x, y)) {
            return false;
        }

        y = y->next;
    }

    return true;
}

/* True if the short way was taken; then libyaml agrees. */
static bool compare_ways(const char *text) {
    fixture_t f;

    fixture_open(&f);

    const model_node_t *plain =
        model_yaml_plain(f.arena, "f.yaml", mesh_str_from(text));

    if (plain != NULL) {
        const model_node_t *full =
            model_yaml_full(f.arena, "f.yaml", mesh_str_from(text), &f.errors);

        if (full == NULL || !same(plain, full)) {
            print_message("the two ways differ in:\n%s\n%s\n", text,
                          fixture_messages(&f));
            fail();
        }
    }

    fixture_close(&f);

    return plain != NULL;
}

/* Soups of what YAML is made of, a good part of them not YAML. */
static void the_short_way_agrees_with_libyaml(void **state) {
    (void)state;

    static const char *const parts[] = {
        "a",      "b",          "c1",
        "key",    ": ",         ": ",
        ":",      "- ",         "- ",
        "\n",     "\n",         "\n",
        "\n  ",   "\n    ",     "\n- ",
        "\n  - ", "  ",         " ",
        "{",      "}",          "[",
        "]",      ", ",         ",",
        "'x y'",  "\"z\"",      "''",
        "\"\"",   " # c",       "#",
        "~",      "null",       "-1",
        "1.5",    "/p/q",       "h://x:1",
        "|",      ">",          "?",
        "-",      "%",          "*",
        "@",      "1.2.3.4:80", "\n---\n",
        "...",    "x=y",        "&d",
        "\na: ",  "\nb:\n  - ", "{a: b, c: [d, 'e']}",
        "(f)",    "!",          "<<",
    };
    rng_t random = {17};
    unsigned taken = 0;

    for (int round = 0; round < 150000; round++) {
        char text[256];
        size_t len = 0;
        unsigned count = 1 + (unsigned)(rng_next(&random) % 14);

        for (unsigned i = 0; i < count; i++) {
            const char *part = parts[rng_next(&random) % mesh_nelts(parts)];

            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", part);
        }

        taken += compare_ways(text);
    }

    /* Enough of them were YAML of the simple kind to mean something. */
    assert_true(taken > 1000);
}

/* What is written here and by generators does not need libyaml. */
static void the_usual_style_takes_the_short_way(void **state) {
    (void)state;

    assert_true(compare_ways("# The shop.\n"
                             "clusters:\n"
                             "  a.default.svc:\n"
                             "    lb: least_request  # two choices\n"
                             "    endpoints:\n"
                             "      - 127.0.1.1:9080\n"
                             "      - {address: 127.0.1.2:9080,"
                             " labels: {version: v2}, weight: 2}\n"
                             "      - address: unix:/run/a.sock\n"
                             "        labels:\n"
                             "          version: \"1.10\"\n"
                             "\n"
                             "hosts:\n"
                             "- name: shop\n"
                             "  domains: [shop.local, \"*\"]\n"
                             "  routes:\n"
                             "  - match:\n"
                             "      path: {prefix: /a}\n"
                             "    route:\n"
                             "    - {cluster: a/v1, weight: 90}\n"
                             "  - respond: 404"));
    assert_true(compare_ways("- - a\n  - b\n-   c: d\n    e: f\n- g\n"));
    assert_false(compare_ways("a:\n"));
    assert_false(compare_ways("a: b: c"));
    assert_false(compare_ways("a: 1\na: 2"));
    assert_false(compare_ways(""));
    assert_false(compare_ways("a: b\n c: d"));
    assert_false(compare_ways("a:\n    b: c\n  d: e"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees),
        cmocka_unit_test(positions_are_of_keys_and_values),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(hostile_depth_ends_early),
        cmocka_unit_test(every_duplicate_key_is_named),
        cmocka_unit_test(duplicates_in_maps_of_any_size),
        cmocka_unit_test(what_is_not_text_is_refused),
        cmocka_unit_test(anchors_tags_and_nul_are_refused_everywhere),
        cmocka_unit_test(random_trees_come_back),
        cmocka_unit_test(the_short_way_agrees_with_libyaml),
        cmocka_unit_test(the_usual_style_takes_the_short_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
