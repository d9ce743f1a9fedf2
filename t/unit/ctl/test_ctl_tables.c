/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is made of meshctl's tables: completion, manual pages, schemas.  The
 * shells themselves, groff and validators are in t/agent.
 */

#include "agent_args.h"
#include "ctl_call.h"
#include "lint.h"
#include "model_table.h"
#include "text_zone.h"

static const char mesh[] =
    "clusters:\n"
    "  one: {endpoints: ['127.0.0.1:80', '[::1]:80', 'unix:/s']}\n"
    "  other: {endpoint_set: set}\n"
    "  \"a;b\": {}\n"
    "endpoints: {set: ['127.0.0.2:80']}\n"
    "hosts:\n"
    "  - {domains: [x.test, '*.x.test', 'y.*'], routes: [{route: one}]}\n";

static int setup(void **state) {
    return text_zone_setup(state, mesh);
}

/* "one two" of "one\tabout\ntwo\n". */
static void offers(const text_zone_t *f, const char *const *line,
                   const char *wanted) {
    const char *all[40] = {"completion", "words", "--"};
    char found[2048] = "";
    size_t len = 0;

    for (size_t n = 3; *line != NULL; n++) {
        all[n] = *line++;
    }
    capture_t c = call(f->dir, all);
    assert_int_equal(c.code, CTL_EXIT_OK);
    for (const char *p = c.out; *p != '\0';) {
        size_t word = strcspn(p, "\t\n");

        len += (size_t)snprintf(found + len, sizeof(found) - len, "%s%.*s",
                                len ? " " : "", (int)word, p);
        p += strcspn(p, "\n") + 1;
    }
    capture_free(&c);
    assert_string_equal(found, wanted);
}

static void test_words(void **state) {
    text_zone_t *f = *state;

    offers(f, words("un"), "unpin undrain");
    offers(f, words("status", "res"), "resources");
    offers(f, words("-"), "--zone --socket -o --output --help --version");
    offers(f, words("pin", "--"), "--zone --socket --output --wait --timeout");
    offers(f, words("-o", ""), "json table");
    offers(f, words("--output=t"), "--output=table");
    offers(f, words("--nonsense=t"), "");
    offers(f, words("explain", "TR"), "TRACE");
    offers(f, words("explain", "-H", ""), "");
    offers(f, words("validate", "a", "b"), ":files");
    offers(f, words("--zone", "a"), ":directories");
    offers(f, words("lint", "--ignore", "empty"), "empty-cluster empty-subset");
    offers(f, words("history", ""), "");
    offers(f, words("routes", "x.test", ""), "");
    offers(f, words("pin", "--wait", "--t"), "--timeout");
    offers(f, words(""),
           "status explain clusters routes endpoints listeners dump history "
           "diff rollback pin unpin reload drain undrain apply "
           "remove wait validate compile lint schema completion man");
}

static void test_words_of_the_zone(void **state) {
    text_zone_t *f = *state;

    /* "a;b" would end the command. */
    offers(f, words("endpoints", "o"), "one other");
    offers(f, words("endpoints", ""), "one other");
    offers(f, words("drain", "one", ""), "unix:/s 127.0.0.1:80 [::1]:80");
    offers(f, words("drain", "one", "127"), "127.0.0.1:80");
    offers(f, words("drain", "other", ""), "127.0.0.2:80");
    offers(f, words("drain", "gone", ""), "");
    offers(f, words("routes", ""), "x.test");
    offers(f, words("explain", "GET", "/", "--table", ""), "default");
    offers(f, words("rollback", ""), "1");
    offers(f, words("routes", "--at", ""), "1");
    offers(f, words("--zone", "/nowhere", "endpoints", ""), "");
    offers(f, words("--zone=/nowhere", "endpoints", ""), "");
}

static void test_completion_scripts(void **state) {
    text_zone_t *f = *state;

    expect(f->dir, CTL_EXIT_OK, words("completion", "bash"),
           words("complete -F _meshctl meshctl\n"));
    expect(f->dir, CTL_EXIT_OK, words("completion", "zsh"),
           words("#compdef meshctl\n"));
    expect(f->dir, CTL_EXIT_OK, words("completion", "fish"),
           words("complete -c meshctl "));
    expect(f->dir, CTL_EXIT_USAGE, words("completion", "csh"),
           words("bash|zsh|fish"));
    expect(f->dir, CTL_EXIT_USAGE, words("completion", "bash", "x"),
           words("bash|zsh|fish"));
    expect(f->dir, CTL_EXIT_OK, words("completion", "words"), words(""));
}

/* --- manual pages --------------------------------------------------------- */

static void expect_line(const capture_t *c, const char *begin,
                        const char *name) {
    char text[128];

    snprintf(text, sizeof(text), "\n%s%s\\fR", begin, name);
    if (strstr(c->out, text) == NULL) {
        fail_msg("no %s in\n%s", text + 1, c->out);
    }
}

static void test_manual_of_meshctl(void **state) {
    text_zone_t *f = *state;
    capture_t c = call(f->dir, words("man"));

    assert_int_equal(c.code, CTL_EXIT_OK);
    assert_ptr_equal(strstr(c.out, ".TH MESHCTL 1 "), c.out);
    for (size_t i = 0; i < mesh_nelts(commands); i++) {
        expect_line(&c, "\\fB", commands[i].name);
    }
    /* An option that stands for arguments is told once. */
    assert_non_null(strstr(c.out,
                           "\n\\fBexplain\\fR METHOD URL | \\-f FILE|\\- "
                           "[\\-H "));
    assert_non_null(
        strstr(c.out, "\n\\fBapply\\fR \\-f FILE|\\- [\\-\\-part "));
    assert_non_null(strstr(c.out, "\\fB\\-H\\fR, \\fB\\-\\-header\\fR "
                                  "\\fI\\(aqname: value\\(aq\\fR\n"));
    for (size_t i = 0; i < ctl_noptions; i++) {
        if (!ctl_options[i].letter) {
            expect_line(&c, "\\fB\\-\\-", ctl_options[i].name);
        }
    }
    /* No line begins with what groff takes for a request of its own. */
    for (const char *p = c.out; (p = strchr(p, '\n')) != NULL; p++) {
        assert_true(p[1] != '\'');
        assert_true(p[1] != '.' || (p[2] >= 'A' && p[2] <= 'Z'));
    }
    capture_free(&c);
}

static void test_manual_of_the_agent(void **state) {
    text_zone_t *f = *state;

    expect(f->dir, CTL_EXIT_OK, words("man", "mesh-agent"),
           words(".TH MESH-AGENT 8 ",
                 "\\fB\\-c\\fR, \\fB\\-\\-config\\fR "
                 "\\fIFILE\\fR\nAgent.yaml.\n",
                 "\\fB\\-\\-check\\fR\n"));
    expect(f->dir, CTL_EXIT_OK, words("man", "agent.yaml"),
           words(".TH AGENT.YAML 5 ", "\n.TP\n\\fBdns.min_ttl\\fR\n",
                 "\n.TP\n\\fBzone\\fR\n"));
    expect(f->dir, CTL_EXIT_USAGE, words("man", "x"),
           words("no page \"x\"; there are meshctl mesh-agent mesh.yaml"));
}

static void test_manual_of_the_mesh(void **state) {
    text_zone_t *f = *state;
    capture_t c = call(f->dir, words("man", "mesh.yaml"));

    for (uint32_t i = 0; i < model_cluster_object.count; i++) {
        const model_field_t *field = &model_cluster_object.fields[i];

        if (field->type != MODEL_LATER) {
            expect_line(&c, "\\fB", field->name);
        }
    }
    assert_null(strstr(c.out, "\\fBhealth_checks\\fR"));
    assert_non_null(strstr(c.out, "\n\\fBtimeout\\fR (a duration; default "
                                  "15s)\n"));
    assert_non_null(strstr(c.out, "\n\\fBdomains\\fR (a domain such as "));
    assert_non_null(strstr(c.out, "\n\\fBattempts\\fR (a number, 1 to 100; "
                                  "default 1)\n"));
    assert_non_null(strstr(c.out, "\n\\fBstatus\\fR (a number, 200 to 599; "
                                  "required)\n"));
    capture_free(&c);
}

/* --- schemas -------------------------------------------------------------- */

static void test_schemas(void **state) {
    text_zone_t *f = *state;
    capture_t c = call(f->dir, words("schema"));
    cJSON *json = cJSON_Parse(c.out);

    assert_int_equal(c.code, CTL_EXIT_OK);
    expect_text(json, "$schema",
                "https://json-schema.org/draft/2020-12/schema");
    assert_non_null(at(json, "properties/clusters"));
    cJSON_Delete(json);
    capture_free(&c);
    c = call(f->dir, words("schema", "agent"));
    json = cJSON_Parse(c.out);
    assert_non_null(at(json, "properties/dns/properties/servers/items"));
    expect_text(json, "properties/debounce/anyOf/1/type", "object");
    cJSON_Delete(json);
    capture_free(&c);
    expect(f->dir, CTL_EXIT_USAGE, words("schema", "x"),
           words("there are mesh and agent"));
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, setup, text_zone_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_words),
        TEST(test_words_of_the_zone),
        TEST(test_completion_scripts),
        TEST(test_manual_of_meshctl),
        TEST(test_manual_of_the_agent),
        TEST(test_manual_of_the_mesh),
        TEST(test_schemas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
