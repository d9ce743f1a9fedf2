/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl apply --follow and an agent that answers as a script says: what is
 * sent again, what is not, and what is told of it.
 */

#include "ctl_call.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "temp_dir.h"

#define OK(generation)                                                         \
    "{\"ok\":true,\"outcome\":\"published\",\"generation\":" generation "}\n"
#define REFUSED "{\"ok\":false,\"outcome\":\"refused\",\"error\":\"no\","

/* One a request; behind the last, all is well. */
typedef struct {
    const char *answer; /* NULL: none, and the connection is closed */
    bool close;         /* after it */
} step_t;

typedef struct {
    temp_dir_t top;
    char socket[100];
    pid_t pid;
} fake_t;

static int setup(void **state) {
    fake_t *f = calloc(1, sizeof(*f));

    temp_dir_make(&f->top);
    snprintf(f->socket, sizeof(f->socket), "%s/agent.sock", f->top.path);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fake_t *f = *state;

    if (f->pid != 0) {
        kill(f->pid, SIGKILL);
        waitpid(f->pid, NULL, 0);
    }
    temp_dir_remove(&f->top);
    free(f);
    return 0;
}

/* The body of the next request; NULL: there is none. */
static char *take_body(FILE *in) {
    char line[4096];

    if (fgets(line, sizeof(line), in) == NULL) {
        return NULL;
    }
    cJSON *json = cJSON_Parse(line);
    size_t len = (size_t)at(json, "length")->valuedouble;
    char *body = calloc(1, len + 1);
    cJSON_Delete(json);
    if (fread(body, 1, len, in) != len) {
        free(body);
        return NULL;
    }
    return body;
}

/* What it was sent goes to a file: each body, then "|". */
static void serve(int listener, FILE *log, const step_t *steps) {
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        FILE *in = fdopen(dup(fd), "r");
        char *body;
        while ((body = take_body(in)) != NULL) {
            static const step_t after = {OK("99"), false};
            const step_t *step =
                steps->answer || steps->close ? steps++ : &after;
            fprintf(log, "%s|", body);
            fflush(log);
            free(body);
            if (step->answer != NULL) {
                (void)!send(fd, step->answer, strlen(step->answer),
                            MSG_NOSIGNAL);
            }
            if (step->close) {
                break;
            }
        }
        fclose(in);
        close(fd);
    }
}

/* An empty step ends them. */
static void fake_start(fake_t *f, const step_t *steps) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->socket);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    fflush(stdout);
    fflush(stderr);
    FILE *log = fopen(temp_path(&f->top, "sent"), "w");
    f->pid = fork();
    if (f->pid == 0) {
        serve(fd, log, steps);
    }
    fclose(log);
    close(fd);
}

static capture_t follow(fake_t *f, const char *input, bool json) {
    call_t c = {.argc = 8,
                .argv = {"meshctl", "--socket", f->socket, "-o",
                         json ? "json" : "table", "apply", "-f-", "--follow"}};

    return capture(call_main, &c, input);
}

/* All that was sent, told and printed. */
typedef struct {
    const char *input;
    step_t steps[8];
    const char *sent;
    const char *out;
    const char *err;
    int code;
} case_t;

static const case_t cases[] = {
    {"", {{0}}, "", "", "", CTL_EXIT_OK},
    {"\n \n", {{0}}, "", "", "", CTL_EXIT_OK},
    {"a\nb\n\nc",
     {{OK("5"), false}},
     "a\nb\n\nc\n|",
     "published: generation 5, lines 1..4\n",
     "",
     CTL_EXIT_OK},
    {"\n\na\n\n",
     {{OK("5"), false}},
     "a\n|",
     "published: generation 5, line 3\n",
     "",
     CTL_EXIT_OK},
    /* The agent says which lines are wrong: the others go together. */
    {"\na\nb\nc\nd\n",
     {{REFUSED "\"errors\":[{\"line\":2,\"column\":7,\"text\":\"one\"},"
               "{\"line\":2,\"column\":9,\"text\":\"two\"},"
               "{\"line\":4,\"column\":1,\"text\":\"three\"}]}\n",
       false}},
     "a\nb\nc\nd\n|a\n \nc\n|",
     "published: generation 99, lines 2..4\n",
     "<stdin>:3:7: one\n<stdin>:3:9: two\n<stdin>:5:1: three\n",
     CTL_EXIT_NO},
    /* It does not: the one is found by halves. */
    {"a\nb\nc\n",
     {{REFUSED "\"verdict\":[\"p: w\"]}\n", false},
      {OK("1"), false},
      {REFUSED "\"verdict\":[\"p: x\"]}\n", false},
      {REFUSED "\"verdict\":[\"p: y\",5,\"p: z\"]}\n", false}},
     "a\nb\nc\n|a\n|b\nc\n|b\n|c\n|",
     "published: generation 1, line 1\npublished: generation 99, line 3\n",
     "<stdin>:2: p: y\n<stdin>:2: p: z\n",
     CTL_EXIT_NO},
    {"a\n",
     {{REFUSED "\"verdict\":[]}\n", false}},
     "a\n|",
     "",
     "<stdin>:1: no\n",
     CTL_EXIT_NO},
    /* It points at lines that are not there. */
    {"a\nb\n",
     {{REFUSED "\"errors\":[{\"line\":3,\"column\":1,\"text\":\"x\"},"
               "{\"line\":0,\"column\":1,\"text\":\"x\"},7,"
               "{\"line\":\"18446744073709551615\",\"column\":1,"
               "\"text\":\"x\"},{\"line\":1}]}\n",
       false}},
     "a\nb\n|a\n|b\n|",
     "published: generation 99, line 1\npublished: generation 99, line 2\n",
     "",
     CTL_EXIT_OK},
    /* It breaks off: the same again. */
    {"a\nb\n",
     {{NULL, true}},
     "a\nb\n|a\nb\n|",
     "published: generation 99, lines 1..2\n",
     "meshctl: agent at @: Connection reset by peer; trying again\n"
     "meshctl: the agent answers, going on\n",
     CTL_EXIT_OK},
    {"a\n",
     {{"{\"ok\":tr", true}, {"nonsense\n", false}, {NULL, true}},
     "a\n|a\n|a\n|a\n|",
     "published: generation 99, line 1\n",
     "meshctl: agent at @: Connection reset by peer; trying again\n"
     "meshctl: the agent answers, going on\n",
     CTL_EXIT_OK},
    /* Not now. */
    {"a\n",
     {{"{\"ok\":false,\"retry\":true,\"error\":\"held\"}\n", false},
      {"{\"ok\":false,\"retry\":true,\"error\":\"held\"}\n", false}},
     "a\n|a\n|a\n|",
     "published: generation 99, line 1\n",
     "meshctl: held; trying again\nmeshctl: the agent answers, going on\n",
     CTL_EXIT_OK},
    /* Never. */
    {"\na\n",
     {{"{\"ok\":false,\"error\":\"not allowed\"}\n", true}},
     "a\n|",
     "",
     "meshctl: not allowed\nmeshctl: ended before <stdin>:2 was applied\n",
     CTL_EXIT_NO},
    {"a\n",
     {{"7\n", true}},
     "a\n|",
     "",
     "meshctl: refused\nmeshctl: ended before <stdin>:1 was applied\n",
     CTL_EXIT_NO},
    /* In force, but not everywhere: it is not sent again. */
    {"a\nb\n",
     {{"{\"ok\":false,\"outcome\":\"published\",\"generation\":3,"
       "\"applied\":false,\"error\":\"not in time\"}\n",
       false}},
     "a\nb\n|",
     "published: generation 3, lines 1..2\n",
     "meshctl: not in time\n",
     CTL_EXIT_NO},
    {"a\n",
     {{"{\"ok\":true,\"verdict\":[\"a warning\"]}\n", false}},
     "a\n|",
     "done, line 1\n",
     "a warning\n",
     CTL_EXIT_OK},
    /* What is said steers no terminal. */
    {"a\nb",
     {{REFUSED "\"errors\":[{\"line\":1,\"column\":1,\"text\":"
               "\"\\u001b[2J\"}]}\n",
       false}},
     "a\nb\n|b\n|",
     "published: generation 99, line 2\n",
     "<stdin>:1:1: ?[2J\n",
     CTL_EXIT_NO},
};

/* With the socket's path for "@". */
static void expect_text_of(const fake_t *f, const char *found,
                           const char *wanted) {
    char text[1024];
    const char *mark = strchr(wanted, '@');

    snprintf(text, sizeof(text), "%.*s%s%s",
             mark ? (int)(mark - wanted) : (int)strlen(wanted), wanted,
             mark ? f->socket : "", mark ? mark + 1 : "");
    assert_string_equal(found, text);
}

static void test_what_becomes_of_lines(void **state) {
    (void)state;

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        void *s;
        setup(&s);
        fake_t *f = s;
        size_t len;
        fake_start(f, cases[i].steps);
        capture_t told = follow(f, cases[i].input, false);
        char *sent = temp_read(temp_path(&f->top, "sent"), &len);
        assert_string_equal(sent, cases[i].sent);
        expect_text_of(f, told.out, cases[i].out);
        expect_text_of(f, told.err, cases[i].err);
        assert_int_equal(told.code, cases[i].code);
        free(sent);
        capture_free(&told);
        teardown(&s);
    }
}

/* A line for each outcome; complaints go where they always go. */
static void test_json(void **state) {
    fake_t *f = *state;
    static const step_t steps[] = {
        {REFUSED "\"errors\":[{\"line\":2,\"column\":7,\"text\":\"one\"}]}\n",
         false},
        {OK("5"), false},
        {NULL, false}};

    fake_start(f, steps);
    capture_t told = follow(f, "\na\nb\nc\n", true);
    assert_int_equal(told.code, CTL_EXIT_NO);
    assert_string_equal(told.err, "<stdin>:3:7: one\n");
    assert_string_equal(
        told.out,
        "{\"ok\":false,\"outcome\":\"refused\",\"lines\":{\"first\":3,"
        "\"last\":3,\"count\":1},\"verdict\":[\"<stdin>:3:7: one\"]}\n"
        "{\"ok\":true,\"outcome\":\"published\",\"generation\":5,"
        "\"lines\":{\"first\":2,\"last\":4,\"count\":2}}\n");
    capture_free(&told);
}

/* What is wrong before anything is read. */
static void test_nothing_to_follow(void **state) {
    fake_t *f = *state;
    static const step_t steps[] = {{NULL, false}};

    expect(f->top.path, CTL_EXIT_UNREADABLE,
           words("apply", "-f", "/dev/null", "--follow"),
           words("agent.sock: No such file or directory\n"));
    fake_start(f, steps);
    expect(f->top.path, CTL_EXIT_UNREADABLE,
           words("apply", "-f", "/nowhere", "--follow"),
           words("meshctl: /nowhere: No such file or directory\n"));
    expect(f->top.path, CTL_EXIT_UNREADABLE,
           words("apply", "-f", "/", "--follow"),
           words("meshctl: /: Is a directory\n"));
    expect(f->top.path, CTL_EXIT_USAGE,
           words("apply", "-f", "x", "--follow", "--format", "yaml"),
           words("meshctl: --follow takes lines, not yaml\n"));
    expect(f->top.path, CTL_EXIT_OK,
           words("apply", "-f", "/dev/null", "--follow", "--format", "lines"),
           words(""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_becomes_of_lines),
        TEST(test_json),
        TEST(test_nothing_to_follow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
