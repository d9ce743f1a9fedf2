/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl and an agent that answers anything: what is asked of it, what is
 * said of each answer, and what of an agent that breaks off.
 */

#include "ctl_call.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl_client.h"
#include "temp_dir.h"

/* One that takes a line and gives an answer, until it is killed. */
typedef struct {
    temp_dir_t top;
    char socket[100]; /* top/agent.sock: `--zone top` finds it */
    pid_t pid;
} fake_t;

static int setup(void **state) {
    fake_t *f = calloc(1, sizeof(*f));

    temp_dir_make(&f->top);
    snprintf(f->socket, sizeof(f->socket), "%s/agent.sock", f->top.path);
    *state = f;
    return 0;
}

static void fake_stop(fake_t *f) {
    if (f->pid != 0) {
        kill(f->pid, SIGKILL);
        waitpid(f->pid, NULL, 0);
        f->pid = 0;
        unlink(f->socket);
    }
}

static int teardown(void **state) {
    fake_t *f = *state;

    fake_stop(f);
    temp_dir_remove(&f->top);
    free(f);
    return 0;
}

/* All that comes before the client waits: the line and its body. */
static size_t take_request(int fd, char *text, size_t size) {
    size_t len = 0;
    uint64_t rest = UINT64_MAX;

    while (len < size && (rest == UINT64_MAX || len < rest)) {
        ssize_t n = recv(fd, text + len, size - len, 0);
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
        const char *end = memchr(text, '\n', len);
        if (rest == UINT64_MAX && end != NULL) {
            cJSON *json = cJSON_ParseWithLength(text, len);
            const cJSON *length = cJSON_GetObjectItem(json, "length");
            rest = (uint64_t)(end + 1 - text) +
                   (length ? (uint64_t)length->valuedouble : 0);
            cJSON_Delete(json);
        }
    }
    return len;
}

typedef struct {
    const char *text;
    bool repeat; /* without an end */
    bool deaf;   /* closes before it has read */
    bool silent; /* never answers */
} answer_t;

static void serve(const fake_t *f, int listener, const answer_t *answer) {
    static char text[1 << 20];

    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (answer->deaf) {
            close(fd);
            continue;
        }
        size_t len = take_request(fd, text, sizeof(text));
        temp_write(temp_path(&f->top, "request"), text, len);
        while (answer->silent) {
            pause();
        }
        do {
            size_t n = strlen(answer->text);
            if (send(fd, answer->text, n, MSG_NOSIGNAL) != (ssize_t)n) {
                break;
            }
        } while (answer->repeat);
        close(fd);
    }
}

static void fake_start(fake_t *f, answer_t answer) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    fake_stop(f);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->socket);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    fflush(stdout);
    fflush(stderr);
    f->pid = fork();
    if (f->pid == 0) {
        serve(f, fd, &answer);
    }
    close(fd);
}

/* --- what is asked -------------------------------------------------------- */

static const struct {
    const char *const *argv;
    const char *line; /* JSON of the request */
    const char *body;
} asked[] = {
    {words("pin"), "{\"command\":\"pin\"}", ""},
    {words("unpin"), "{\"command\":\"unpin\"}", ""},
    {words("reload"), "{\"command\":\"reload\"}", ""},
    {words("rollback", "18446744073709551615"),
     "{\"command\":\"rollback\",\"generation\":"
     "\"18446744073709551615\"}",
     ""},
    {words("rollback", "7", "--wait"),
     "{\"command\":\"rollback\",\"generation\":7,\"wait\":\"applied\","
     "\"timeout_ms\":10000}",
     ""},
    {words("rollback", "7", "--wait", "--timeout", "2.5"),
     "{\"command\":\"rollback\",\"generation\":7,\"wait\":\"applied\","
     "\"timeout_ms\":2500}",
     ""},
    {words("remove", "p.1_x-Y"),
     "{\"command\":\"remove\",\"part\":\"p.1_x-Y\"}", ""},
    {words("drain", "a\"b", "unix:/x y"),
     "{\"command\":\"drain\",\"cluster\":\"a\\\"b\",\"endpoint\":"
     "\"unix:/x y\"}",
     ""},
    {words("undrain", "a", "[::1]:9"),
     "{\"command\":\"undrain\",\"cluster\":\"a\",\"endpoint\":\"[::1]:9\"}",
     ""},
    {words("apply", "-f", "mesh.yaml"),
     "{\"command\":\"apply\",\"part\":\"apply\",\"format\":\"yaml\","
     "\"length\":13}",
     "clusters: {}\n"},
    {words("apply", "-f", "mesh.json", "--part", "x"),
     "{\"command\":\"apply\",\"part\":\"x\",\"format\":\"json\",\"length\":2}",
     "{}"},
    {words("apply", "-f", "mesh.jsonl"),
     "{\"command\":\"apply\",\"part\":\"apply\",\"format\":\"lines\","
     "\"length\":14}",
     "{\"upsert\": {}}"},
    {words("apply", "-f", "changes"),
     "{\"command\":\"apply\",\"part\":\"apply\",\"format\":\"lines\","
     "\"length\":14}",
     "{\"remove\":{}}\n"},
    {words("apply", "-f", "changes", "--format", "json"),
     "{\"command\":\"apply\",\"part\":\"apply\",\"format\":\"json\","
     "\"length\":14}",
     "{\"remove\":{}}\n"},
};

static void expect_request(const fake_t *f, const char *line,
                           const char *body) {
    size_t len;
    char *text = temp_read(temp_path(&f->top, "request"), &len);
    char *end = memchr(text, '\n', len);

    assert_non_null(end);
    *end = '\0';
    cJSON *found = cJSON_Parse(text), *wanted = cJSON_Parse(line);
    assert_non_null(wanted);
    if (found == NULL || !cJSON_Compare(found, wanted, true)) {
        fail_msg("asks %s, not %s", text, line);
    }
    assert_int_equal(len - (size_t)(end + 1 - text), strlen(body));
    assert_memory_equal(end + 1, body, strlen(body));
    cJSON_Delete(found);
    cJSON_Delete(wanted);
    free(text);
}

static void test_what_is_asked(void **state) {
    fake_t *f = *state;
    char here[4096];

    temp_puts(temp_path(&f->top, "mesh.yaml"), "clusters: {}\n");
    temp_puts(temp_path(&f->top, "mesh.json"), "{}");
    temp_puts(temp_path(&f->top, "mesh.jsonl"), "{\"upsert\": {}}");
    temp_puts(temp_path(&f->top, "changes"), "{\"remove\":{}}\n");
    assert_non_null(getcwd(here, sizeof(here)));
    assert_int_equal(chdir(f->top.path), 0);
    fake_start(f, (answer_t){.text = "{\"ok\":true}\n"});
    for (size_t i = 0; i < mesh_nelts(asked); i++) {
        expect(f->top.path, CTL_EXIT_OK, asked[i].argv, words("done\n"));
        expect_request(f, asked[i].line, asked[i].body);
    }
    assert_int_equal(chdir(here), 0);
}

static void test_standard_input(void **state) {
    fake_t *f = *state;
    call_t c = {.argc = 7,
                .argv = {"meshctl", "--socket", f->socket, "apply", "-f", "-",
                         "--wait"}};
    size_t size = 300000;
    char *large = malloc(size + 1);

    memset(large, '#', size);
    memcpy(large, "{\"upsert\"", 9);
    large[size] = '\0';
    fake_start(f, (answer_t){.text = "{\"ok\":true,\"outcome\":\"published\","
                                     "\"generation\":12,\"applied\":true}\n"});
    capture_t told = capture(call_main, &c, large);
    assert_int_equal(told.code, CTL_EXIT_OK);
    assert_string_equal(told.out,
                        "published: generation 12, applied on all workers\n");
    expect_request(f,
                   "{\"command\":\"apply\",\"part\":\"apply\",\"format\":"
                   "\"lines\",\"length\":300000,\"wait\":\"applied\","
                   "\"timeout_ms\":10000}",
                   large);
    capture_free(&told);
    free(large);
}

/* --- what is said of answers ---------------------------------------------- */

static const struct {
    const char *answer;
    int code;
    const char *out; /* all of it */
    const char *err;
} answered[] = {
    {"{\"ok\":true}\n", CTL_EXIT_OK, "done\n", ""},
    {"{\"ok\":true,\"outcome\":\"unchanged\",\"generation\":3}\n", CTL_EXIT_OK,
     "unchanged: generation 3\n", ""},
    {"{\"ok\":true,\"outcome\":\"drained\",\"in_flight\":5}\n", CTL_EXIT_OK,
     "drained: 5 attempts in flight\n", ""},
    {"{\"ok\":true,\"applied\":true,\"workers\":{\"live\":2}}\n", CTL_EXIT_OK,
     "done, applied on all workers\n", ""},
    {"{\"ok\":true,\"applied\":true,\"workers\":{\"live\":0}}\n", CTL_EXIT_OK,
     "done, there are no workers\n", ""},
    {"{\"ok\":true,\"verdict\":[\"f:1:1: a warning\",5]}\n", CTL_EXIT_OK,
     "done\n", "f:1:1: a warning\n?\n"},
    {"{\"ok\":false,\"error\":\"no\",\"verdict\":[\"f:1:1: why\"],"
     "\"generation\":3}\n",
     CTL_EXIT_NO, "", "meshctl: no\nf:1:1: why\n"},
    {"{\"ok\":false}\n", CTL_EXIT_NO, "", "meshctl: refused\n"},
    {"{\"ok\":1}\n", CTL_EXIT_NO, "", "meshctl: refused\n"},
    {"5\n", CTL_EXIT_NO, "", "meshctl: refused\n"},
    {"null\n", CTL_EXIT_NO, "", "meshctl: refused\n"},
};

static void test_what_is_said_of_answers(void **state) {
    fake_t *f = *state;

    for (size_t i = 0; i < mesh_nelts(answered); i++) {
        fake_start(f, (answer_t){.text = answered[i].answer});
        capture_t c = call(f->top.path, words("pin"));
        assert_string_equal(c.out, answered[i].out);
        assert_string_equal(c.err, answered[i].err);
        assert_int_equal(c.code, answered[i].code);
        capture_free(&c);
        /* As JSON it is what the agent said. */
        c = call(f->top.path, words("pin", "-o", "json"));
        cJSON *said = cJSON_Parse(c.out),
              *given = cJSON_Parse(answered[i].answer);
        assert_true(cJSON_Compare(said, given, true));
        assert_string_equal(c.err, "");
        assert_int_equal(c.code, answered[i].code);
        cJSON_Delete(said);
        cJSON_Delete(given);
        capture_free(&c);
    }
}

static void expect_broken(fake_t *f, answer_t answer, const char *why) {
    char line[256];

    fake_start(f, answer);
    snprintf(line, sizeof(line), "meshctl: agent at %s: %s\n", f->socket, why);
    capture_t c = call(f->top.path, words("pin"));
    assert_string_equal(c.err, line);
    assert_string_equal(c.out, "");
    assert_int_equal(c.code, CTL_EXIT_UNREADABLE);
    capture_free(&c);
}

static void test_agents_that_break_off(void **state) {
    fake_t *f = *state;
    char *much = malloc(60001);

    memset(much, ' ', 60000);
    much[60000] = '\0';
    expect_broken(f, (answer_t){.text = ""}, "Connection reset by peer");
    expect_broken(f, (answer_t){.deaf = true}, "Connection reset by peer");
    expect_broken(f, (answer_t){.text = "{\"ok\":tr"},
                  "Connection reset by peer");
    expect_broken(f, (answer_t){.text = "{\"ok\":true\n"}, "Bad message");
    expect_broken(f, (answer_t){.text = "\n"}, "Bad message");
    expect_broken(f, (answer_t){.text = much, .repeat = true},
                  "Message too long");
    free(much);

    ctl_request_t request = {.command = CTL_PIN};
    fake_start(f, (answer_t){.silent = true});
    assert_null(ctl_client_call(f->socket, &request, 30));
    assert_int_equal(errno, ETIMEDOUT);
}

/* Above 2^53 numbers come as text. */
static void test_large_generation(void **state) {
    fake_t *f = *state;

    fake_start(f, (answer_t){.text = "{\"ok\":true,\"outcome\":\"published\","
                                     "\"generation\":"
                                     "\"18446744073709551615\"}\n"});
    expect(f->top.path, CTL_EXIT_OK, words("pin"),
           words("published: generation 18446744073709551615\n"));
}

/* --- status --------------------------------------------------------------- */

#define RESOURCES                                                              \
    "{\"ok\":true,\"parts\":[{\"name\":\"p\",\"state\":\"refused\","           \
    "\"last_good\":true,\"good_ms\":1000,\"verdict\":[\"a:1:1: bad\"],"        \
    "\"resources\":[{\"resource\":\"cluster \\\"a\\\"\",\"version\":"          \
    "\"0123456789abcdef\",\"time_ms\":1000},{\"resource\":\"host \\\"b\\\"\"," \
    "\"verdict\":\"a:1:1: bad\"}],\"resources_left_out\":7}]}\n"

static void test_status_of_resources(void **state) {
    fake_t *f = *state;

    fake_start(f, (answer_t){.text = RESOURCES});
    capture_t c = call(f->top.path, words("status", "resources"));
    assert_int_equal(c.code, CTL_EXIT_OK);
    assert_non_null(strstr(c.out, "PART  RESOURCE     VERSION       TAKEN"));
    assert_non_null(strstr(c.out, "p     cluster \"a\"  0123456789ab  "));
    assert_non_null(strstr(c.out, "p     host \"b\" "));
    assert_non_null(strstr(c.out, "  a:1:1: bad\nand 7 more\n"));
    capture_free(&c);
    expect_request(f, "{\"command\":\"status\",\"resources\":true}", "");
}

#define NAMES                                                                  \
    "{\"ok\":true,\"parts\":[{\"name\":\"p\",\"state\":\"none\","              \
    "\"last_good\":false,\"verdict\":[],\"source\":{\"state\":\"failing\","    \
    "\"text\":\"1 of 2 names fails: x\"},\"names\":[{\"name\":\"x\","          \
    "\"type\":\"SRV\",\"state\":\"failing\",\"addresses\":0,\"since_ms\":"     \
    "1000,"                                                                    \
    "\"next_in_ms\":3999,\"verdict\":\"NXDOMAIN\",\"sets\":[\"s\",\"t\"],"     \
    "\"sets_left_out\":3},{\"name\":\"y\",\"type\":\"A\",\"state\":\"ok\","    \
    "\"addresses\":7,\"since_ms\":0,\"verdict\":\"\",\"sets\":[\"" LONG_SET    \
    "\",\"u\"]},{}],\"names_left_out\":5},{\"name\":\"q\",\"state\":"          \
    "\"refused\",\"verdict\":[\"q:1:1: bad\",\"q:2:1: bad\"],\"source\":"      \
    "{\"text\":\"lost\"}}]}\n"
#define LONG_32 "llllllllllllllllllllllllllllllll"
#define LONG_SET LONG_32 LONG_32 LONG_32 LONG_32 LONG_32 LONG_32 LONG_32 LONG_32

/* How sources fare, and the names that they ask for. */
static void test_status_of_names(void **state) {
    fake_t *f = *state;

    fake_start(f, (answer_t){.text = NAMES});
    capture_t c = call(f->top.path, words("status", "names"));
    assert_int_equal(c.code, CTL_EXIT_OK);
    assert_non_null(
        strstr(c.out, "\np     none            no         1 of 2 names fails: "
                      "x\n"));
    assert_non_null(strstr(c.out, "q:1:1: bad (and 1 more); lost\n"));
    assert_non_null(strstr(c.out, "\nPART  NAME  TYPE  SETS            "
                                  "ADDRESSES  NEXT   STATE    SINCE "));
    assert_non_null(strstr(c.out, "\np     x     SRV   s,t and 3 more  0     "
                                  "     in 3s  failing  "));
    assert_non_null(strstr(c.out, "d ago  NXDOMAIN\n"));
    /* A cell is bounded; what is not there is no reason to stumble. */
    assert_non_null(strstr(c.out, "\np     y     A     u and 1 more    7     "
                                  "            ok\n"));
    assert_non_null(strstr(c.out, "\nand 5 more\n"));
    capture_free(&c);
    expect_request(f, "{\"command\":\"status\",\"names\":true}", "");
}

#define STATUS                                                                 \
    "{\"ok\":true,\"parts\":[{\"name\":\"file:a.yaml\",\"state\":\"refused\"," \
    "\"last_good\":true,\"verdict\":[\"a:1:1: first\",\"a:2:1: second\"]},"    \
    "{\"name\":\"b\",\"state\":\"in force\",\"last_good\":false,"              \
    "\"verdict\":[\"b:1:1: alone\"]},{\"name\":\"c\",\"state\":\"in force\","  \
    "\"verdict\":[]},{}],\"drained\":2,\"held_by\":\"file:a.yaml\","           \
    "\"held\":\"worker 7 reads format 1 to 1 only\"}\n"

/* There is no snapshot: all there is comes from the agent. */
static void test_status(void **state) {
    fake_t *f = *state;

    fake_start(f, (answer_t){.text = STATUS});
    expect(f->top.path, CTL_EXIT_OK, words("status"),
           words("nothing was published there",
                 "PART         STATE     SINCE  LAST GOOD  VERDICT\n",
                 "file:a.yaml  refused          yes        a:1:1: first (and 1 "
                 "more)\n",
                 "b            in force         no         b:1:1: alone\n",
                 "drained endpoints: 2; meshctl endpoints shows them\n",
                 "publishing is held by file:a.yaml: it is in the published "
                 "snapshot, its content now is refused, and its last good is "
                 "not known\n",
                 "publishing is held: worker 7 reads format 1 to 1 only\n"));
    cJSON *json = json_of(f->top.path, CTL_EXIT_OK, words("status"));
    expect_text(json, "agent/parts/1/name", "b");
    expect_number(json, "generation", 0);
    cJSON_Delete(json);

    fake_start(f, (answer_t){.text = "{\"ok\":true,\"drained\":0}\n"});
    capture_t c = call(f->top.path, words("status"));
    assert_null(strstr(c.out, "drained"));
    assert_null(strstr(c.out, "held"));
    capture_free(&c);
    fake_start(f, (answer_t){.text = "[]\n"});
    expect(f->top.path, CTL_EXIT_UNREADABLE, words("status"),
           words("no agent answers there either"));
}

/* What a file is called or holds does not steer the terminal. */
static void test_nothing_steers_the_terminal(void **state) {
    fake_t *f = *state;

    fake_start(f, (answer_t){.text = "{\"ok\":true,\"parts\":[{\"name\":"
                                     "\"a\\u001b[31m\\n\",\"state\":\"x\\r\","
                                     "\"verdict\":[\"\\u007f\\t\"]}]}\n"});
    capture_t c = call(f->top.path, words("status"));
    for (const char *p = c.out; *p != '\0'; p++) {
        assert_true((*p >= 0x20 && *p != 0x7f) || *p == '\n');
    }
    assert_non_null(strstr(c.out, "a?[31m?  x?"));
    capture_free(&c);
    fake_start(f, (answer_t){.text = "{\"ok\":false,\"error\":\"\\u001b[2J\","
                                     "\"verdict\":[\"a\\u001b[31m:1:1: b\"]}"
                                     "\n"});
    c = call(f->top.path, words("pin"));
    assert_string_equal(c.err, "meshctl: ?[2J\na?[31m:1:1: b\n");
    capture_free(&c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_asked),
        TEST(test_standard_input),
        TEST(test_what_is_said_of_answers),
        TEST(test_agents_that_break_off),
        TEST(test_large_generation),
        TEST(test_status),
        TEST(test_status_of_resources),
        TEST(test_status_of_names),
        TEST(test_nothing_steers_the_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
