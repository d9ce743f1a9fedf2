/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The server's end of agent.sock, with an invented clock: framing however the
 * bytes arrive, limits, times, and answers that come late or to nobody.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl_client.h"
#include "ctl_socket.h"
#include "temp_dir.h"

typedef struct {
    temp_dir_t top;
    char path[96];
    ctl_server_t *server;
    uint64_t now_ms;
    bool late; /* the handler does not answer itself */
    ctl_id_t last;
    unsigned handled;
    char seen[4096]; /* "command/body " of each request */
} fixture_t;

static void on_request(void *ctx, ctl_id_t id, const ctl_request_t *request) {
    fixture_t *f = ctx;
    size_t len = strlen(f->seen);

    f->last = id;
    f->handled++;
    snprintf(f->seen + len, sizeof(f->seen) - len, "%s/%.*s ",
             ctl_command_name(request->command),
             (int)mesh_min(request->body.len, 40), request->body.data);
    if (!f->late) {
        cJSON *answer = cJSON_CreateObject();
        cJSON_AddTrueToObject(answer, "ok");
        cJSON_AddNumberToObject(answer, "n", f->handled);
        ctl_server_answer(f->server, id, answer);
    }
}

static void open_server(fixture_t *f, const char *group) {
    char error[256];

    f->server =
        ctl_server_open(f->path, group, on_request, f, error, sizeof(error));
    assert_non_null(f->server);
}

static int setup(void **state) {
    fixture_t *f = calloc(1, sizeof(*f));

    temp_dir_make(&f->top);
    snprintf(f->path, sizeof(f->path), "%s/s", f->top.path);
    f->now_ms = 1000;
    open_server(f, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_t *f = *state;

    ctl_server_close(f->server);
    temp_dir_remove(&f->top);
    free(f);
    return 0;
}

static void run(fixture_t *f) {
    struct pollfd fd = {.fd = ctl_server_fd(f->server), .events = POLLIN};

    while (poll(&fd, 1, 0) == 1) {
        ctl_server_ready(f->server, f->now_ms);
    }
    ctl_server_ready(f->server, f->now_ms);
}

static int client(const fixture_t *f) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)),
                     0);
    return fd;
}

static void put(int fd, const char *text) {
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What has come; "" for nothing, "(end)" behind it at the end. */
static const char *got(int fd) {
    static char text[65536];
    size_t len = 0;
    ssize_t n;

    while ((n = recv(fd, text + len, sizeof(text) - len - 8, 0)) > 0) {
        len += (size_t)n;
    }
    snprintf(text + len, 8, "%s", n == 0 ? "(end)" : "");
    return text;
}

#define STATUS "{\"command\":\"status\"}\n"

static void test_requests_in_turn(void **state) {
    fixture_t *f = *state;
    int fd = client(f);

    put(fd, STATUS STATUS);
    put(fd,
        "{\"command\":\"apply\",\"part\":\"p\",\"length\":5}\nhello" STATUS);
    run(f);
    assert_string_equal(f->seen, "status/ status/ apply/hello status/ ");
    assert_string_equal(got(fd),
                        "{\"ok\":true,\"n\":1}\n{\"ok\":true,\"n\":2}\n"
                        "{\"ok\":true,\"n\":3}\n{\"ok\":true,\"n\":4}"
                        "\n");
    close(fd);
}

/* However the bytes are cut, the requests are the same. */
static void test_any_cut(void **state) {
    fixture_t *f = *state;
    static const char text[] =
        STATUS "{\"command\":\"apply\",\"part\":\"p\",\"length\":7}\n"
               "a\nb\n{c}" STATUS
               "{\"command\":\"apply\",\"part\":\"p\",\"length\":0}\n" STATUS;
    uint64_t random = 3;

    for (int round = 0; round < 60; round++) {
        int fd = client(f);
        f->seen[0] = '\0';
        for (size_t at = 0; at < sizeof(text) - 1;) {
            random = mesh_mix64(random + 1);
            size_t n = 1 + random % (round + 1);
            n = mesh_min(n, sizeof(text) - 1 - at);
            assert_int_equal(send(fd, text + at, n, 0), n);
            at += n;
            run(f);
        }
        assert_string_equal(f->seen,
                            "status/ apply/a\nb\n{c} status/ apply/ status/ ");
        close(fd);
        run(f);
    }
}

static void test_late_answers(void **state) {
    fixture_t *f = *state;
    int fd = client(f);

    f->late = true;
    put(fd, STATUS STATUS);
    run(f);
    assert_int_equal(f->handled, 1); /* one at a time */
    assert_string_equal(got(fd), "");
    ctl_server_answer(f->server, f->last, ctl_refusal("a"));
    assert_int_equal(f->handled, 2);
    ctl_id_t second = f->last;
    ctl_server_answer(f->server, second, ctl_refusal("b"));
    /* Twice, or to nobody: no harm. */
    ctl_server_answer(f->server, second, ctl_refusal("c"));
    ctl_server_answer(f->server, 12345, ctl_refusal("d"));
    run(f);
    assert_string_equal(got(fd), "{\"ok\":false,\"error\":\"a\"}\n"
                                 "{\"ok\":false,\"error\":\"b\"}\n");
    close(fd);
}

static void test_a_client_leaves_before_its_answer(void **state) {
    fixture_t *f = *state;
    int fd = client(f);

    f->late = true;
    put(fd, STATUS);
    run(f);
    ctl_id_t id = f->last;
    close(fd);
    run(f);
    /* Another client in its place does not get its answer. */
    fd = client(f);
    put(fd, STATUS);
    run(f);
    ctl_server_answer(f->server, id, ctl_refusal("not for you"));
    run(f);
    assert_string_equal(got(fd), "");
    close(fd);
}

static void test_refusals_end_the_connection(void **state) {
    fixture_t *f = *state;
    int fd = client(f);

    put(fd, "nonsense\n" STATUS);
    run(f);
    assert_string_equal(
        got(fd),
        "{\"ok\":false,\"error\":\"expected one JSON object a line\"}\n(end)");
    assert_int_equal(f->handled, 0);
    close(fd);
}

static void test_long_lines(void **state) {
    fixture_t *f = *state;
    char *text = malloc(CTL_LINE_MAX + 100);
    int fd = client(f);

    memset(text, 'x', CTL_LINE_MAX + 99);
    text[CTL_LINE_MAX + 99] = '\0';
    for (size_t at = 0; at < CTL_LINE_MAX + 99;) {
        ssize_t n = send(fd, text + at, CTL_LINE_MAX + 99 - at, MSG_NOSIGNAL);
        if (n <= 0) {
            break;
        }
        at += (size_t)n;
        run(f);
    }
    run(f);
    assert_non_null(strstr(got(fd), "the line is too long"));
    close(fd);
    free(text);
}

/* A large body comes in pieces, and its answer goes out in pieces. */
static void test_large_body(void **state) {
    fixture_t *f = *state;
    size_t size = 3 << 20;
    char head[128];
    char *body = malloc(size);
    int fd = client(f);

    memset(body, 'b', size);
    snprintf(head, sizeof(head),
             "{\"command\":\"apply\",\"part\":\"p\",\"length\":%zu}\n", size);
    put(fd, head);
    for (size_t at = 0; at < size;) {
        ssize_t n = send(fd, body + at, size - at, 0);
        at += n > 0 ? (size_t)n : 0;
        run(f);
    }
    assert_int_equal(f->handled, 1);
    close(fd);
    free(body);
}

static void test_large_answer(void **state) {
    fixture_t *f = *state;
    size_t size = 4 << 20;
    char *text = malloc(size + 1);
    int fd = client(f);
    size_t total = 0;

    memset(text, 'a', size);
    text[size] = '\0';
    f->late = true;
    put(fd, STATUS STATUS);
    run(f);
    f->late = false;
    ctl_server_answer(f->server, f->last, ctl_refusal(text));
    assert_int_equal(f->handled, 1); /* the second waits for the first */
    size_t wanted = size + strlen("{\"ok\":false,\"error\":\"\"}\n") +
                    strlen("{\"ok\":true,\"n\":2}\n");
    while (total < wanted) {
        char buffer[65536];
        ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
        total += n > 0 ? (size_t)n : 0;
        run(f);
    }
    assert_int_equal(total, wanted);
    assert_int_equal(f->handled, 2);
    close(fd);
    free(text);
}

/* What no client would take is said, and the connection goes on. */
static void test_an_answer_that_is_too_large(void **state) {
    fixture_t *f = *state;
    size_t size = 16 << 20;
    char *text = malloc(size + 1);
    int fd = client(f);

    memset(text, 'a', size);
    text[size] = '\0';
    f->late = true;
    put(fd, STATUS);
    run(f);
    f->late = false;
    ctl_server_answer(f->server, f->last, ctl_refusal(text));
    run(f);
    assert_string_equal(
        got(fd),
        "{\"ok\":false,\"error\":\"the answer is larger than 15 MB\"}\n");
    put(fd, STATUS);
    run(f);
    assert_string_equal(got(fd), "{\"ok\":true,\"n\":2}\n");
    close(fd);
    free(text);
}

/* --- times --------------------------------------------------------------- */

static void test_slow_requests_are_cut_off(void **state) {
    fixture_t *f = *state;
    int fd = client(f);

    put(fd, "{\"command\":");
    run(f);
    assert_int_equal(ctl_server_due(f->server),
                     f->now_ms + CTL_REQUEST_TIMEOUT_MS);
    f->now_ms += CTL_REQUEST_TIMEOUT_MS - 1;
    put(fd, " "); /* more bytes do not buy more time */
    run(f);
    assert_string_equal(got(fd), "");
    f->now_ms += 1;
    run(f);
    assert_string_equal(got(fd), "(end)");
    assert_int_equal(ctl_server_due(f->server), CTL_IDLE);
    close(fd);
}

static void test_idle_clients_go_and_waiting_ones_stay(void **state) {
    fixture_t *f = *state;
    int idle = client(f);
    int waiting = client(f);

    f->late = true;
    put(waiting, STATUS);
    run(f);
    f->now_ms += CTL_IDLE_TIMEOUT_MS;
    run(f);
    assert_string_equal(got(idle), "(end)");
    assert_string_equal(got(waiting), "");
    ctl_server_answer(f->server, f->last, ctl_refusal("at last"));
    assert_non_null(strstr(got(waiting), "at last"));
    close(idle);
    close(waiting);
}

static void test_places(void **state) {
    fixture_t *f = *state;
    int fds[CTL_CLIENTS_MAX];

    for (size_t i = 0; i < CTL_CLIENTS_MAX; i++) {
        fds[i] = client(f);
        run(f);
    }
    int more = client(f);
    run(f);
    assert_non_null(strstr(got(more), "too many clients"));
    close(more);
    close(fds[7]);
    run(f);
    more = client(f);
    put(more, STATUS);
    run(f);
    assert_non_null(strstr(got(more), "\"ok\":true"));
    close(more);
    for (size_t i = 0; i < CTL_CLIENTS_MAX; i++) {
        if (i != 7) {
            close(fds[i]);
        }
    }
}

/* --- the socket ---------------------------------------------------------- */

static void test_what_a_killed_agent_left_is_replaced(void **state) {
    fixture_t *f = *state;
    char copy[128];
    char error[256] = "";

    /* Somebody listens: not ours to replace. */
    assert_null(
        ctl_server_open(f->path, NULL, on_request, f, error, sizeof(error)));
    assert_true(error[0] != '\0');

    snprintf(copy, sizeof(copy), "%s/copy", f->top.path);
    assert_int_equal(link(f->path, copy), 0);
    ctl_server_close(f->server);
    assert_int_equal(access(f->path, F_OK), -1);
    assert_int_equal(rename(copy, f->path), 0); /* nobody listens any more */
    open_server(f, NULL);
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
}

static void test_what_is_no_socket_is_left_alone(void **state) {
    fixture_t *f = *state;
    char path[128];
    char error[256] = "";

    snprintf(path, sizeof(path), "%s/file", f->top.path);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_null(
        ctl_server_open(path, NULL, on_request, f, error, sizeof(error)));
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);
    assert_null(ctl_server_open(path, "no-such-group", on_request, f, error,
                                sizeof(error)));
    assert_non_null(strstr(error, "no-such-group"));
    char longer[128];
    memset(longer, 'x', sizeof(longer));
    longer[0] = '/';
    longer[108] = '\0';
    assert_null(
        ctl_server_open(longer, NULL, on_request, f, error, sizeof(error)));
}

static void test_client_call_without_a_server(void **state) {
    fixture_t *f = *state;
    ctl_request_t request = {.command = CTL_STATUS};
    char path[128];

    snprintf(path, sizeof(path), "%s/none", f->top.path);
    assert_null(ctl_client_call(path, &request, 100));
    /* Nobody answers in time. */
    assert_null(ctl_client_call(f->path, &request, 20));
}

/* --- rights --------------------------------------------------------------- */

typedef struct {
    bool group; /* the server names a group: GROUP */
    uid_t uid;
    gid_t gid;
    gid_t more; /* another group of the client's; 0: none */
    bool writes;
} rights_t;

#define GROUP 1
#define NOBODY 65534

static const rights_t rights[] = {
    {false, 0, NOBODY, 0, true},          {false, NOBODY, NOBODY, 0, false},
    {false, NOBODY, GROUP, 0, false},     {true, 0, NOBODY, 0, true},
    {true, NOBODY, NOBODY, 0, false},     {true, NOBODY, GROUP, 0, true},
    {true, NOBODY, NOBODY, GROUP, true},  {true, NOBODY, NOBODY, 2, false},
    {false, NOBODY, NOBODY, GROUP, false}};

/* A client of another user, who asks and waits for the answer. */
static pid_t ask_as(const fixture_t *f, const rights_t *r, const char *request,
                    const char *answer) {
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid != 0) {
        return pid;
    }
    gid_t groups[] = {r->more};
    if (setgroups(r->more ? 1 : 0, groups) != 0 || setgid(r->gid) != 0 ||
        setuid(r->uid) != 0) {
        _exit(2);
    }
    int fd = client(f);
    char text[256] = "";
    put(fd, request);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    (void)poll(&wait, 1, 30000);
    (void)!recv(fd, text, sizeof(text) - 1, 0);
    _exit(strstr(text, answer) != NULL ? 0 : 1);
}

static void expect_answer(fixture_t *f, const rights_t *r, const char *request,
                          const char *answer) {
    pid_t pid = ask_as(f, r, request, answer);
    int status = 0;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        run(f);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fail_msg("uid %u, gid %u, group %u: not \"%s\" (%d)", r->uid, r->gid,
                 r->more, answer, status);
    }
}

static void test_rights(void **state) {
    fixture_t *f = *state;
    const struct group *group = getgrgid(GROUP);

    if (geteuid() != 0 || group == NULL) {
        skip();
    }
    assert_int_equal(chmod(f->top.path, 0755), 0);
    for (size_t i = 0; i < mesh_nelts(rights); i++) {
        ctl_server_close(f->server);
        open_server(f, rights[i].group ? group->gr_name : NULL);
        /* Everybody may look. */
        expect_answer(f, &rights[i], STATUS, "\"ok\":true");
        expect_answer(f, &rights[i], "{\"command\":\"pin\"}\n",
                      rights[i].writes ? "\"ok\":true" : "not allowed");
    }
}

static void test_a_group_that_is_not_there(void **state) {
    fixture_t *f = *state;
    char error[256] = "";

    assert_null(ctl_server_open(temp_path(&f->top, "t"), "no-such-group",
                                on_request, f, error, sizeof(error)));
    assert_string_equal(error, "there is no group \"no-such-group\"");
}

/* The loop rests instead of being woken by who waits. */
static void test_no_descriptor_is_left(void **state) {
    fixture_t *f = *state;
    struct pollfd loop = {.fd = ctl_server_fd(f->server), .events = POLLIN};
    struct rlimit limit, none = {.rlim_cur = 0};
    int fd = client(f);

    put(fd, STATUS);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none.rlim_max = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    ctl_server_ready(f->server, f->now_ms);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(poll(&loop, 1, 0), 0);
    assert_int_equal(ctl_server_due(f->server), f->now_ms + CTL_DEAF_MS);
    f->now_ms += CTL_DEAF_MS;
    ctl_server_ready(f->server, f->now_ms);
    run(f);
    assert_string_equal(got(fd), "{\"ok\":true,\"n\":1}\n");
    close(fd);
    fd = client(f);
    put(fd, STATUS);
    run(f);
    assert_string_equal(got(fd), "{\"ok\":true,\"n\":2}\n");
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_requests_in_turn),
        TEST(test_any_cut),
        TEST(test_late_answers),
        TEST(test_a_client_leaves_before_its_answer),
        TEST(test_refusals_end_the_connection),
        TEST(test_long_lines),
        TEST(test_no_descriptor_is_left),
        TEST(test_large_body),
        TEST(test_large_answer),
        TEST(test_an_answer_that_is_too_large),
        TEST(test_slow_requests_are_cut_off),
        TEST(test_idle_clients_go_and_waiting_ones_stay),
        TEST(test_places),
        TEST(test_what_a_killed_agent_left_is_replaced),
        TEST(test_what_is_no_socket_is_left_alone),
        TEST(test_client_call_without_a_server),
        TEST(test_rights),
        TEST(test_a_group_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
