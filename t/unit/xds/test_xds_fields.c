/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The tables of messages have every field that Envoy's have, and no other;
 * docs/model-fields.md says the same of what becomes of them; what is ignored
 * has a reason.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "xds_resources.h"

#define MESSAGES_MAX 160

typedef struct {
    uint32_t count;
    const xds_message_t *v[MESSAGES_MAX];
} messages_t;

static char fields_text[65536];
static char docs_text[131072];
static char page_text[131072];

/* __FILE__ is absolute in every build of ours, or relative to the top. */
static int read_text(const char *name, char *text, size_t size) {
    static const char here[] = "t/unit/xds/test_xds_fields.c";
    int top = (int)(strlen(__FILE__) - strlen(here));
    char path[4096];

    snprintf(path, sizeof(path), "%.*s%s", top, __FILE__, name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return -1;
    }
    text[fread(text, 1, size - 1, file)] = '\0';
    return fclose(file);
}

static int read_texts(void **state) {
    (void)state;

    return read_text("t/unit/xds/envoy-fields.txt", fields_text,
                     sizeof(fields_text)) |
           read_text("docs/model-fields.md", docs_text, sizeof(docs_text)) |
           read_text("docs/resources.md", page_text, sizeof(page_text));
}

/* --- the tables ---------------------------------------------------------- */

static void collect(messages_t *m, const xds_message_t *message) {
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->v[i] == message) {
            return;
        }
    }
    assert_true(m->count < MESSAGES_MAX);
    m->v[m->count++] = message;
    for (uint32_t i = 0; i < message->count; i++) {
        const xds_field_t *field = &message->fields[i];

        if (field->message != NULL) {
            collect(m, field->message);
        }
        if (field->element != NULL && field->element->message != NULL) {
            collect(m, field->element->message);
        }
    }
}

static void collect_all(messages_t *m) {
    static const xds_message_t *const roots[] = {
        &xds_listener,        &xds_cluster,
        &xds_load_assignment, &xds_route_configuration,
        &xds_response,        &xds_bootstrap,
        &xds_runtime,
    };

    m->count = 0;
    for (size_t i = 0; i < mesh_nelts(roots); i++) {
        collect(m, roots[i]);
    }
    for (size_t i = 0; xds_per_filter[i] != NULL; i++) {
        collect(m, xds_per_filter[i]);
    }
    for (const xds_balancer_t *b = xds_balancers; b->message; b++) {
        collect(m, b->message);
    }
}

static bool has_field(const xds_message_t *message, const char *name) {
    return xds_find_field(message, mesh_str_from(name)) != NULL;
}

/* --- Envoy's ------------------------------------------------------------- */

/* The lines of a message's fields, or NULL. */
static const char *fields_of(const char *message) {
    char line[160];

    snprintf(line, sizeof(line), "\n%s\n", message);
    const char *at = strstr(fields_text, line);
    return at ? at + strlen(line) : NULL;
}

/* The next field; false: that was the last. */
static bool next_field(const char **at, char *name, size_t size) {
    if (**at != ' ') {
        return false;
    }
    size_t len = strcspn(*at, "\n");
    assert_true(len < size);
    snprintf(name, size, "%.*s", (int)len - 1, *at + 1);
    *at += len + ((*at)[len] == '\n');
    return true;
}

static bool envoy_has(const char *message, const char *field) {
    const char *at = fields_of(message);
    char name[96];

    while (next_field(&at, name, sizeof(name))) {
        if (strcmp(name, field) == 0) {
            return true;
        }
    }
    return false;
}

static void tables_have_all_of_envoys_fields(void **state) {
    messages_t m;
    (void)state;

    collect_all(&m);
    assert_true(m.count > 60);
    for (uint32_t i = 0; i < m.count; i++) {
        const char *at = fields_of(m.v[i]->name);
        char name[96];

        if (at == NULL) {
            fail_msg("envoy-fields.txt has no %s", m.v[i]->name);
        }
        while (next_field(&at, name, sizeof(name))) {
            if (!has_field(m.v[i], name)) {
                fail_msg("no row of %s.%s", m.v[i]->name, name);
            }
        }
    }
}

/* Two messages have one table: their older names are told in the newer's. */
static bool is_of_twin(const char *message, const char *field) {
    return strcmp(message, "envoy.service.discovery.v3.DiscoveryResponse") ==
               0 &&
           (strcmp(field, "system_version_info") == 0 ||
            strcmp(field, "removed_resources") == 0 ||
            strcmp(field, "removed_resource_names") == 0);
}

static void tables_have_no_field_that_envoy_has_not(void **state) {
    messages_t m;
    (void)state;

    collect_all(&m);
    for (uint32_t i = 0; i < m.count; i++) {
        for (uint32_t k = 0; k < m.v[i]->count; k++) {
            const char *name = m.v[i]->fields[k].name;

            if (!envoy_has(m.v[i]->name, name) &&
                !is_of_twin(m.v[i]->name, name)) {
                fail_msg("Envoy knows no %s.%s", m.v[i]->name, name);
            }
        }
    }
}

static void what_is_ignored_has_a_reason(void **state) {
    messages_t m;
    (void)state;

    collect_all(&m);
    for (uint32_t i = 0; i < m.count; i++) {
        for (uint32_t k = 0; k < m.v[i]->count; k++) {
            const xds_field_t *field = &m.v[i]->fields[k];

            if (field->type == XDS_IGNORED && field->because == NULL) {
                fail_msg("no reason: %s.%s", m.v[i]->name, field->name);
            }
        }
    }
}

/* Rows that finish() asks for by bit are among the first 64. */
static void required_rows_are_seen(void **state) {
    messages_t m;
    (void)state;

    collect_all(&m);
    for (uint32_t i = 0; i < m.count; i++) {
        for (uint32_t k = 64; k < m.v[i]->count; k++) {
            assert_false(m.v[i]->fields[k].flags & XDS_REQUIRED);
            assert_true(m.v[i]->fields[k].type <= XDS_IGNORED);
        }
    }
}

/* --- the page ------------------------------------------------------------ */

/* The third cell of the field's row; false: it has none. */
static bool doc_of(const char *message, const char *field, char *out,
                   size_t size) {
    char cell[256];

    snprintf(cell, sizeof(cell), "\n| %s.%s | ", message, field);
    const char *at = strstr(docs_text, cell);
    if (at == NULL) {
        return false;
    }
    at = strchr(at + strlen(cell), '|');
    assert_non_null(at);
    snprintf(out, size, "%.*s", (int)strcspn(at + 2, "\n"), at + 2);
    return true;
}

static const char *word_of(const xds_field_t *field) {
    if (field->type <= XDS_LATER_SEEN || (field->flags & XDS_ONLY_NONE)) {
        return "later:";
    }
    return field->type == XDS_IGNORED || field->because != NULL
               ? "ignored because"
               : "`";
}

static void page_and_tables_say_the_same(void **state) {
    uint32_t rows = 0;
    bool ok = true;
    messages_t m;
    (void)state;

    collect_all(&m);
    for (uint32_t i = 0; i < m.count; i++) {
        for (uint32_t k = 0; k < m.v[i]->count; k++) {
            const xds_field_t *field = &m.v[i]->fields[k];
            char where[512];

            if (!doc_of(m.v[i]->name, field->name, where, sizeof(where))) {
                continue;
            }
            rows++;
            if (strncmp(where, word_of(field), strlen(word_of(field))) != 0) {
                print_message("%s.%s: the table says \"%s\", the page %s\n",
                              m.v[i]->name, field->name, word_of(field), where);
                ok = false;
            }
        }
    }
    assert_true(rows > 100);
    assert_true(ok);
}

/* --- docs/resources.md --------------------------------------------------- */

static const struct {
    const char *words;
    xds_type_e type; /* XDS_CUSTOM: what is read */
} kinds[] = {
    {"read", XDS_CUSTOM},
    {"ignored", XDS_IGNORED},
    {"later", XDS_LATER},
    {"later, apart", XDS_LATER_APART},
    {"later, seen", XDS_LATER_SEEN},
};

static xds_type_e kind_of(const xds_field_t *field) {
    if (field->flags & XDS_ONLY_NONE) {
        return XDS_LATER_APART;
    }
    return field->type > XDS_IGNORED ? XDS_CUSTOM : field->type;
}

/* "- later: `a`, `b`\n", or nothing. */
static size_t list_kind(const xds_message_t *message, size_t kind, char *out,
                        size_t size) {
    const char *between = "";
    size_t len = 0;

    for (uint32_t i = 0; i < message->count; i++) {
        const xds_field_t *field = &message->fields[i];

        if (kind_of(field) != kinds[kind].type) {
            continue;
        }
        if (len == 0) {
            len = (size_t)snprintf(out, size, "- %s: ", kinds[kind].words);
        }
        len += (size_t)snprintf(out + len, size - len, "%s`%s`", between,
                                field->name);
        if (kinds[kind].type == XDS_IGNORED) {
            len += (size_t)snprintf(out + len, size - len, " (%s)",
                                    field->because);
        }
        between = ", ";
    }
    if (len != 0) {
        len += (size_t)snprintf(out + len, size - len, "\n");
    }
    return len;
}

/* What holds resources is told in words. */
static bool is_envelope(const xds_message_t *message) {
    return message == &xds_response || message == &xds_bootstrap ||
           strstr(message->name, "discovery") != NULL ||
           strstr(message->name, "bootstrap") != NULL;
}

static void page_lists_every_field(void **state) {
    static char text[16384];
    messages_t m;
    bool ok = true;
    (void)state;

    collect_all(&m);
    for (uint32_t i = 0; i < m.count; i++) {
        if (is_envelope(m.v[i])) {
            continue;
        }
        size_t len =
            (size_t)snprintf(text, sizeof(text), "\n### %s\n\n", m.v[i]->name);
        for (size_t k = 0; k < mesh_nelts(kinds); k++) {
            len += list_kind(m.v[i], k, text + len, sizeof(text) - len);
        }
        if (strstr(page_text, text) == NULL) {
            printf("docs/resources.md lacks this:%s", text);
            ok = false;
        }
    }
    assert_true(ok);
}

/* --- every field with every kind of value ------------------------------------
 */

/* It is right, or it is told what is wrong, with its place. */
static void try_value(const xds_message_t *message, const char *field,
                      const char *value, bool apart) {
    static uint64_t form[8192]; /* as large as any */
    arena_t *arena = arena_new();
    model_errors_t errors;
    xds_decoder_t *x = arena_alloc(arena, sizeof(*x));
    char text[256];

    model_errors_init(&errors, arena);
    snprintf(text, sizeof(text), "{\"%s\": %s}", field, value);
    const model_node_t *root =
        model_node_from_json(arena, "f", mesh_str_from(text), &errors);
    assert_non_null(root);
    memset(form, 0, sizeof(form));
    x->d.arena = arena;
    x->d.file = "f";
    x->d.errors = &errors;
    x->apart = apart;

    bool ok = xds_decode_message(x, root, message, form);

    if (ok != (errors.errors == 0)) {
        fail_msg("%s: %s is %s with %u errors", message->name, text,
                 ok ? "right" : "wrong", errors.errors);
    }
    for (const model_error_t *e = errors.first; e != NULL; e = e->next) {
        assert_int_equal(e->line, 1);
        assert_true(e->column > 0);
    }
    arena_free(arena);
}

static void what_is_wrong_is_told(void **state) {
    static const char *const values[] = {
        "[]",
        "[[]]",
        "[{}]",
        "[\"x\"]",
        "[5]",
        "{}",
        "{\"a\": 5}",
        "{\"a\": []}",
        "\"\"",
        "\"x\"",
        "\"a b\"",
        "\"/a?\"",
        "\"5s\"",
        "\"0s\"",
        "5",
        "-5",
        "0",
        "1.5",
        "50.0",
        "99999999999",
        "true",
        "false",
        "null",
        "\"\\u0001\"",
        "\"%A%\"",
        "{\"@type\": \"a/b.C\"}",
        "{\"value\": 5}",
        "{\"default_value\": 0.0}",
    };
    messages_t m;
    (void)state;

    collect_all(&m);
    for (uint32_t i = 0; i < m.count; i++) {
        if (is_envelope(m.v[i])) {
            continue;
        }
        for (uint32_t k = 0; k < m.v[i]->count; k++) {
            for (size_t n = 0; n < mesh_nelts(values); n++) {
                try_value(m.v[i], m.v[i]->fields[k].name, values[n], n & 1);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_have_all_of_envoys_fields),
        cmocka_unit_test(tables_have_no_field_that_envoy_has_not),
        cmocka_unit_test(what_is_ignored_has_a_reason),
        cmocka_unit_test(required_rows_are_seen),
        cmocka_unit_test(page_and_tables_say_the_same),
        cmocka_unit_test(page_lists_every_field),
        cmocka_unit_test(what_is_wrong_is_told),
    };

    return cmocka_run_group_tests(tests, read_texts, NULL);
}
