/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Agents in child processes; see live_agent.h.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent_config.h"
#include "agent_loop.h"
#include "ctl_client.h"
#include "live_agent.h"

#define PATIENCE_MS 60000 /* only a test that fails waits so long */

void live_agent_make(live_agent_t *agent) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    *agent = (live_agent_t){.pid = 0};
    temp_dir_make(&agent->top);
    snprintf(agent->zone, sizeof(agent->zone), "%s/zone", agent->top.path);
    snprintf(agent->state, sizeof(agent->state), "%s/state", agent->top.path);
    snprintf(agent->log, sizeof(agent->log), "%s/log", agent->top.path);
    snprintf(agent->socket, sizeof(agent->socket), "%s/agent.sock",
             agent->zone);
    agent->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify",
             agent->top.path);
    assert_int_equal(
        bind(agent->notify_fd, (struct sockaddr *)&address, sizeof(address)),
        0);
}

void live_agent_remove(live_agent_t *agent) {
    if (agent->pid != 0) {
        live_agent_stop(agent); /* well, so that what it covered counts */
    }
    close(agent->notify_fd);
    temp_dir_remove(&agent->top);
}

/* In the child: until it is told to end. */
static int agent_main(const live_agent_t *agent, const char *path) {
    arena_t *arena = arena_new();
    model_errors_t errors;
    char text[1024];
    int log = open(agent->log, O_WRONLY | O_CREAT | O_APPEND, 0600);

    dup2(log, STDERR_FILENO);
    close(log);
    model_errors_init(&errors, arena);
    agent_config_t *config = agent_config_read(arena, path, &errors);
    for (const model_error_t *e = errors.first; e != NULL; e = e->next) {
        (void)model_error_text(e, text, sizeof(text));
        fprintf(stderr, "%s\n", text);
    }
    int rc = config ? agent_run(path, config) : AGENT_EXIT_INVALID;
    arena_free(arena);
    return rc;
}

static void launch(live_agent_t *agent, const char *yaml) {
    const char *path = temp_path(&agent->top, "agent.yaml");
    char text[2048];
    char notify[128];

    snprintf(text, sizeof(text), "zone: %s\nstate: %s\n%s\n", agent->zone,
             agent->state, yaml);
    temp_puts(path, text);
    snprintf(notify, sizeof(notify), "%s/notify", agent->top.path);
    fflush(stdout);
    fflush(stderr);
    agent->pid = fork();
    assert_true(agent->pid >= 0);
    if (agent->pid == 0) {
        setenv("NOTIFY_SOCKET", notify, 1);
        close(agent->notify_fd);
        exit(agent_main(agent, path));
    }
}

static int reap(live_agent_t *agent) {
    int status;

    assert_int_equal(waitpid(agent->pid, &status, 0), agent->pid);
    agent->pid = 0;
    if (!WIFEXITED(status)) {
        char *log = live_agent_log(agent);
        fail_msg("the agent ended by signal %d\n%s", WTERMSIG(status), log);
    }
    return WEXITSTATUS(status);
}

void live_agent_await(live_agent_t *agent, const char *text) {
    struct pollfd fd = {.fd = agent->notify_fd, .events = POLLIN};
    char told[512];

    for (;;) {
        if (poll(&fd, 1, PATIENCE_MS) != 1) {
            char *log = live_agent_log(agent);
            fail_msg("the agent never told \"%s\"\n%s", text, log);
        }
        ssize_t n = recv(agent->notify_fd, told, sizeof(told) - 1, 0);
        assert_true(n > 0);
        told[n] = '\0';
        if (strstr(told, text) != NULL) {
            return;
        }
    }
}

void live_agent_start(live_agent_t *agent, const char *yaml) {
    launch(agent, yaml);
    live_agent_await(agent, "READY=1");
}

int live_agent_run(live_agent_t *agent, const char *yaml) {
    launch(agent, yaml);
    return reap(agent);
}

void live_agent_stop(live_agent_t *agent) {
    assert_int_equal(kill(agent->pid, SIGTERM), 0);
    int code = reap(agent);
    if (code != AGENT_EXIT_OK) {
        char *log = live_agent_log(agent);
        fail_msg("the agent ended with exit code %d\n%s", code, log);
    }
}

void live_agent_kill(live_agent_t *agent) {
    assert_int_equal(kill(agent->pid, SIGKILL), 0);
    assert_int_equal(waitpid(agent->pid, NULL, 0), agent->pid);
    agent->pid = 0;
}

cJSON *live_agent_ask(const live_agent_t *agent, const ctl_request_t *request) {
    cJSON *answer = ctl_client_call(agent->socket, request, PATIENCE_MS);

    if (answer == NULL) {
        char *log = live_agent_log(agent);
        fail_msg("the agent did not answer\n%s", log);
    }
    return answer;
}

bool live_agent_apply(const live_agent_t *agent, ctl_format_e format,
                      const char *body) {
    ctl_request_t request = {.command = CTL_APPLY,
                             .format = format,
                             .part = "p",
                             .length = strlen(body),
                             .body = mesh_str_from(body)};
    cJSON *answer = live_agent_ask(agent, &request);
    bool ok = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok"));

    cJSON_Delete(answer);
    return ok;
}

char *live_agent_log(const live_agent_t *agent) {
    size_t len;
    char *text = temp_read(agent->log, &len);

    return text ? text : calloc(1, 1);
}
