/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Log lines in both formats; the notify protocol; the debounce.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent_debounce.h"
#include "agent_log.h"
#include "agent_notify.h"

#define FIELDS(...) ((const agent_field_t[]){__VA_ARGS__, {0}})

static const uint64_t when = UINT64_C(1767225600123); /* 2026-01-01 */

static void test_text(void **state) {
    (void)state;
    char line[256];
    size_t len = agent_log_line(
        line, sizeof(line), AGENT_LOG_TEXT, AGENT_LOG_INFO, when, "published",
        FIELDS(agent_u("generation", 7), agent_i("delta", -3),
               agent_s("reason", "plain"), agent_s("error", "two words"),
               agent_s("empty", ""), agent_s("nul", NULL),
               agent_s("odd", "a\"b\\c\nd\x01")));
    assert_string_equal(
        line, "2026-01-01T00:00:00.123Z info published generation=7 delta=-3 "
              "reason=plain error=\"two words\" empty=\"\" nul=\"\" "
              "odd=\"a\\\"b\\\\c\\nd\\u0001\"\n");
    assert_int_equal(len, strlen(line));
}

static void test_json(void **state) {
    (void)state;
    char line[256];

    agent_log_line(line, sizeof(line), AGENT_LOG_JSON, AGENT_LOG_WARN, when,
                   "published",
                   FIELDS(agent_u("generation", 7),
                          agent_s("odd", "a\"b\\c\nd\x01 \x7f")));
    cJSON *json = cJSON_Parse(line);
    assert_non_null(json);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(json, "time")),
                        "2026-01-01T00:00:00.123Z");
    assert_string_equal(
        cJSON_GetStringValue(cJSON_GetObjectItem(json, "level")), "warn");
    assert_int_equal(cJSON_GetObjectItem(json, "generation")->valueint, 7);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(json, "odd")),
                        "a\"b\\c\nd\x01 \x7f");
    cJSON_Delete(json);
}

/* Of any size: ends with a newline, stays inside, JSON stays JSON. */
static void test_lines_that_do_not_fit(void **state) {
    (void)state;
    char line[512];

    for (size_t size = 0; size < 300; size++) {
        for (int format = AGENT_LOG_TEXT; format <= AGENT_LOG_JOURNAL;
             format++) {
            memset(line, 0x55, sizeof(line));
            size_t len = agent_log_line(
                line, size, (agent_log_format_e)format, AGENT_LOG_ERROR, when,
                "m",
                FIELDS(agent_s("a", "long enough \" to be \n cut"),
                       agent_s("b", "another one"), agent_u("c", 12345)));
            for (size_t i = size; i < sizeof(line); i++) {
                assert_int_equal((unsigned char)line[i], 0x55);
            }
            if (size < 8) {
                assert_int_equal(len, 0);
                continue;
            }
            assert_true(len < size);
            assert_int_equal(line[len], '\0');
            assert_int_equal(line[len - 1], '\n');
            if (format == AGENT_LOG_JSON && size > 80) {
                cJSON *json = cJSON_Parse(line);
                assert_non_null(json);
                cJSON_Delete(json);
            }
        }
    }
}

static void test_words(void **state) {
    (void)state;
    agent_log_level_e level;
    agent_log_format_e format;

    assert_true(agent_log_level_parse("warn", &level));
    assert_int_equal(level, AGENT_LOG_WARN);
    assert_false(agent_log_level_parse("warning", &level));
    assert_true(agent_log_format_parse("json", &format));
    assert_int_equal(format, AGENT_LOG_JSON);
    assert_false(agent_log_format_parse("", &format));
}

/* What is below the level costs no line; the macro takes no fields, too. */
static void test_level(void **state) {
    (void)state;
    int pipes[2];
    char text[512] = "";

    assert_int_equal(pipe(pipes), 0);
    int saved = dup(STDERR_FILENO);
    dup2(pipes[1], STDERR_FILENO);
    agent_log_setup(AGENT_LOG_WARN, AGENT_LOG_TEXT);
    agent_log(AGENT_LOG_INFO, "not told");
    agent_log(AGENT_LOG_WARN, "told");
    agent_log(AGENT_LOG_ERROR, "too", agent_s("k", "v"));
    dup2(saved, STDERR_FILENO);
    close(pipes[1]);
    assert_true(read(pipes[0], text, sizeof(text) - 1) > 0);
    assert_null(strstr(text, "not told"));
    assert_non_null(strstr(text, " warn told\n"));
    assert_non_null(strstr(text, " error too k=v\n"));
    close(pipes[0]);
    close(saved);
    agent_log_setup(AGENT_LOG_INFO, AGENT_LOG_TEXT);
}

/* --- notify -------------------------------------------------------------- */

static int listen_at(const struct sockaddr_un *address, socklen_t len) {
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    assert_int_equal(bind(fd, (const struct sockaddr *)address, len), 0);
    return fd;
}

static void expect(int fd, const char *text) {
    char got[256];
    ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

    assert_true(n > 0);
    got[n] = '\0';
    assert_int_equal(strncmp(got, text, strlen(text)), 0);
}

static void test_notify(void **state) {
    (void)state;
    char dir[] = "/tmp/mesh-notify-XXXXXX";
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    unsetenv("NOTIFY_SOCKET");
    assert_false(agent_notify("READY=1"));
    setenv("NOTIFY_SOCKET", "relative", 1);
    assert_false(agent_notify("READY=1"));
    setenv("NOTIFY_SOCKET", "/nowhere/there", 1);
    assert_false(agent_notify("READY=1"));

    assert_non_null(mkdtemp(dir));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/n", dir);
    int fd = listen_at(&address, sizeof(address));
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    assert_true(agent_notify("READY=1"));
    expect(fd, "READY=1");
    assert_true(agent_notify_reloading());
    expect(fd, "RELOADING=1\nMONOTONIC_USEC=");
    close(fd);
    unlink(address.sun_path);
    rmdir(dir);
}

static void test_notify_abstract(void **state) {
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    int len = snprintf(name, sizeof(name), "@mesh-test-%d", (int)getpid());

    memcpy(address.sun_path, name, (size_t)len);
    address.sun_path[0] = '\0';
    int fd =
        listen_at(&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
                                        (size_t)len));
    setenv("NOTIFY_SOCKET", name, 1);
    assert_true(agent_notify("STOPPING=1"));
    expect(fd, "STOPPING=1");
    unsetenv("NOTIFY_SOCKET");
    close(fd);
}

static void test_watchdog(void **state) {
    (void)state;
    char pid[16];

    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    assert_int_equal(agent_notify_watchdog_ms(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    assert_int_equal(agent_notify_watchdog_ms(), 15000);
    setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(agent_notify_watchdog_ms(), 0);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(agent_notify_watchdog_ms(), 15000);
    setenv("WATCHDOG_USEC", "soon", 1);
    assert_int_equal(agent_notify_watchdog_ms(), 0);
    setenv("WATCHDOG_USEC", "", 1);
    assert_int_equal(agent_notify_watchdog_ms(), 0);
}

/* --- debounce ------------------------------------------------------------ */

static void test_leading_edge(void **state) {
    (void)state;
    agent_debounce_t d = {.quiet_ms = 5, .bound_ms = 50};

    assert_int_equal(agent_debounce_due(&d), AGENT_IDLE);
    agent_debounce_change(&d, 1000);
    assert_int_equal(agent_debounce_due(&d), 1000);
    agent_debounce_published(&d, 1000);
    assert_int_equal(agent_debounce_due(&d), AGENT_IDLE);
    /* Within the quiet time of a publishing: waits for a rest. */
    agent_debounce_change(&d, 1002);
    assert_int_equal(agent_debounce_due(&d), 1007);
    agent_debounce_change(&d, 1004);
    assert_int_equal(agent_debounce_due(&d), 1009);
    agent_debounce_published(&d, 1009);
    /* After it: at once. */
    agent_debounce_change(&d, 1014);
    assert_int_equal(agent_debounce_due(&d), 1014);
}

/*
 * Random changes: none waits longer than the bound, and no two publishings
 * are closer than the quiet time.
 */
static void test_bound_and_rate(void **state) {
    (void)state;
    uint64_t random = 42;

    for (uint32_t quiet = 0; quiet < 20; quiet += 4) {
        agent_debounce_t d = {.quiet_ms = quiet, .bound_ms = quiet + 30};
        uint64_t waiting = 0;
        uint64_t last = 0;
        uint32_t density = 1 + quiet % 7;

        for (uint64_t now = 1; now < 20000; now++) {
            random = mesh_mix64(random + now);
            if (random % density == 0 && (now / 500) % 2 == 0) {
                agent_debounce_change(&d, now);
                waiting = waiting ? waiting : now;
            }
            if (agent_debounce_due(&d) > now) {
                continue;
            }
            assert_true(now - waiting <= d.bound_ms);
            assert_true(last == 0 || now - last >= quiet);
            agent_debounce_published(&d, now);
            last = now;
            waiting = 0;
        }
        assert_int_equal(waiting, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_lines_that_do_not_fit),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_level),
        cmocka_unit_test(test_notify),
        cmocka_unit_test(test_notify_abstract),
        cmocka_unit_test(test_watchdog),
        cmocka_unit_test(test_leading_edge),
        cmocka_unit_test(test_bound_and_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
