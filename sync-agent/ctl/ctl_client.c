/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl's end of agent.sock.
 */

#include "ctl_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent_log.h"
#include "ctl_socket.h"
#include "ctl_table.h"
#include "mesh_format.h"

#define RETRY_MS 10 /* as many as may wait for the agent do already */

bool ctl_connect(ctl_connection_t *connection, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    *connection = (ctl_connection_t){.fd = -1};
    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1) {
        return false;
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1) {
        int saved = errno;
        close(fd);
        errno = saved;
        return false;
    }
    connection->fd = fd;
    return true;
}

static void forget_request(ctl_connection_t *connection) {
    free(connection->line);
    free(connection->text);
    *connection = (ctl_connection_t){.fd = connection->fd};
}

void ctl_disconnect(ctl_connection_t *connection) {
    int saved = errno;

    if (connection->fd != -1) {
        close(connection->fd);
    }
    forget_request(connection);
    connection->fd = -1;
    errno = saved;
}

bool ctl_send(ctl_connection_t *connection, const ctl_request_t *request) {
    forget_request(connection);
    connection->line = ctl_request_text(request);
    connection->body = request->body;
    connection->sending = connection->line != NULL;
    return connection->sending;
}

short ctl_events(const ctl_connection_t *connection) {
    return connection->sending ? POLLIN | POLLOUT : POLLIN;
}

/* The agent may refuse by the line alone and close: then read why. */
static bool send_rest(ctl_connection_t *c) {
    size_t line_len = strlen(c->line);

    while (c->sending) {
        const char *from = c->line + c->sent;
        size_t len = line_len - mesh_min(c->sent, line_len);
        if (len == 0) {
            from = c->body.data + (c->sent - line_len);
            len = c->body.len - (c->sent - line_len);
        }
        if (len == 0) {
            c->sending = false;
            break;
        }
        ssize_t n = send(c->fd, from, len, MSG_NOSIGNAL);
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n == -1 && errno == EAGAIN) {
            break;
        }
        if (n == -1 && errno != EPIPE && errno != ECONNRESET) {
            return false;
        }
        if (n == -1) {
            c->sending = false;
        } else {
            c->sent += (size_t)n;
        }
    }
    return true;
}

static bool make_room(ctl_connection_t *c) {
    if (c->size - c->len >= 4096) {
        return true;
    }
    size_t size = c->size + 65536;
    char *larger = size <= CTL_OUT_MAX ? realloc(c->text, size) : NULL;
    if (larger == NULL) {
        errno = EMSGSIZE;
        return false;
    }
    c->text = larger;
    c->size = size;
    return true;
}

static ctl_step_e receive(ctl_connection_t *c, cJSON **answer) {
    while (make_room(c)) {
        ssize_t n = recv(c->fd, c->text + c->len, c->size - c->len, 0);
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n == -1 && errno == EAGAIN) {
            return CTL_UNDER_WAY;
        }
        if (n <= 0) {
            errno = n == 0 ? ECONNRESET : errno;
            return CTL_BROKEN;
        }
        c->len += (size_t)n;
        if (c->text[c->len - 1] == '\n') {
            *answer = cJSON_ParseWithLength(c->text, c->len);
            forget_request(c);
            errno = EBADMSG;
            return *answer != NULL ? CTL_ANSWERED : CTL_BROKEN;
        }
    }
    return CTL_BROKEN;
}

ctl_step_e ctl_step(ctl_connection_t *connection, cJSON **answer) {
    if (connection->sending && !send_rest(connection)) {
        return CTL_BROKEN;
    }
    return receive(connection, answer);
}

/* false with errno when the time is over. */
static bool wait_until(int fd, short events, uint64_t deadline_ms) {
    struct pollfd wait = {.fd = fd, .events = events};
    uint64_t now_ms = agent_now_ms();
    int left = now_ms < deadline_ms ? (int)(deadline_ms - now_ms) : 0;

    if (poll(&wait, 1, left) == 0) {
        errno = ETIMEDOUT;
        return false;
    }
    return true;
}

cJSON *ctl_client_call(const char *path, const ctl_request_t *request,
                       uint32_t timeout_ms) {
    uint64_t deadline_ms = agent_now_ms() + timeout_ms;
    ctl_connection_t connection;
    ctl_step_e step = CTL_BROKEN;
    cJSON *answer = NULL;

    while (!ctl_connect(&connection, path)) {
        if (errno != EAGAIN || agent_now_ms() >= deadline_ms) {
            return NULL;
        }
        (void)poll(NULL, 0, RETRY_MS);
    }
    if (ctl_send(&connection, request)) {
        step = ctl_step(&connection, &answer);
    }
    while (step == CTL_UNDER_WAY &&
           wait_until(connection.fd, ctl_events(&connection), deadline_ms)) {
        step = ctl_step(&connection, &answer);
    }
    ctl_disconnect(&connection);
    return answer;
}

const char *ctl_client_path(const ctl_args_t *args) {
    static char path[4096];

    if (args->socket != NULL) {
        return args->socket;
    }
    snprintf(path, sizeof(path), "%s/%s", args->zone, MESH_ZONE_SOCKET);
    return path;
}

const char *ctl_answer_text(const cJSON *answer, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(answer, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

/* "" unless that was waited for. */
static const char *applied_text(const cJSON *answer) {
    const cJSON *workers = cJSON_GetObjectItemCaseSensitive(answer, "workers");
    uint64_t live;

    if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "applied"))) {
        return "";
    }
    return ctl_json_get_u64(workers, "live", &live) && live == 0
               ? ", there are no workers"
               : ", applied on all workers";
}

bool ctl_answer_ok(const cJSON *answer) {
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok"));
}

void ctl_answer_complain(const cJSON *answer) {
    const cJSON *line;

    if (!ctl_answer_ok(answer)) {
        const char *error = ctl_answer_text(answer, "error");
        fprintf(stderr, "meshctl: %s\n", error ? error : "refused");
    }
    cJSON_ArrayForEach(line,
                       cJSON_GetObjectItemCaseSensitive(answer, "verdict")) {
        fprintf(stderr, "%s\n", cJSON_IsString(line) ? line->valuestring : "?");
    }
}

void ctl_answer_print(const cJSON *answer, const char *more) {
    const char *outcome = ctl_answer_text(answer, "outcome");
    uint64_t number;

    printf("%s", outcome ? outcome : "done");
    if (ctl_json_get_u64(answer, "generation", &number)) {
        printf(": generation %llu", (unsigned long long)number);
    }
    if (ctl_json_get_u64(answer, "in_flight", &number)) {
        printf(": %llu attempts in flight", (unsigned long long)number);
    }
    printf("%s%s%s\n", more,
           cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "pinned"))
               ? ", the policy is pinned"
               : "",
           applied_text(answer));
}

int ctl_client_run(const ctl_args_t *args, const ctl_request_t *request) {
    const char *path = ctl_client_path(args);
    cJSON *answer =
        ctl_client_call(path, request, request->timeout_ms + CTL_TIMEOUT_MS);

    if (answer == NULL) {
        fprintf(stderr, "meshctl: agent at %s: %s\n", path, strerror(errno));
        return CTL_EXIT_UNREADABLE;
    }
    bool ok = ctl_answer_ok(answer);
    if (args->json) {
        ctl_json_print(answer, stdout);
    } else {
        ctl_json_plain(answer);
        ctl_answer_complain(answer);
        if (ok) {
            ctl_answer_print(answer, "");
        }
        cJSON_Delete(answer);
    }
    return ok ? CTL_EXIT_OK : CTL_EXIT_NO;
}
