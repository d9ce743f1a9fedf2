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

static int connect_to(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return -1;
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* The agent may refuse by the line alone and close: then read why. */
static bool send_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n == -1) {
            return errno == EPIPE || errno == ECONNRESET;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static cJSON *receive(int fd, uint64_t deadline_ms) {
    size_t len = 0;
    size_t size = 0;
    char *text = NULL;
    cJSON *json = NULL;

    for (;;) {
        if (size - len < 4096) {
            size += 65536;
            char *larger = size <= CTL_OUT_MAX ? realloc(text, size) : NULL;
            if (larger == NULL) {
                errno = EMSGSIZE;
                break;
            }
            text = larger;
        }
        uint64_t now_ms = agent_now_ms();
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int left = now_ms < deadline_ms ? (int)(deadline_ms - now_ms) : 0;
        int ready = poll(&wait, 1, left);
        if (ready == 0) {
            errno = ETIMEDOUT;
            break;
        }
        ssize_t n = ready > 0 ? recv(fd, text + len, size - len, 0) : -1;
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? ECONNRESET : errno;
            break;
        }
        len += (size_t)n;
        if (text[len - 1] == '\n') {
            json = cJSON_ParseWithLength(text, len);
            errno = EBADMSG;
            break;
        }
    }
    int saved = errno;
    free(text);
    errno = saved;
    return json;
}

cJSON *ctl_client_call(const char *path, const ctl_request_t *request,
                       uint32_t timeout_ms) {
    uint64_t deadline_ms = agent_now_ms() + timeout_ms;
    int fd = connect_to(path);

    if (fd == -1) {
        return NULL;
    }
    char *line = ctl_request_text(request);
    cJSON *answer = NULL;
    if (line != NULL && send_all(fd, line, strlen(line)) &&
        send_all(fd, request->body.data, request->body.len)) {
        answer = receive(fd, deadline_ms);
    }
    int saved = errno;
    free(line);
    close(fd);
    errno = saved;
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

static const char *text_of(const cJSON *json, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
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

static void print_answer(const cJSON *answer, bool ok) {
    uint64_t number;
    const cJSON *line;

    if (!ok) {
        const char *error = text_of(answer, "error");
        fprintf(stderr, "meshctl: %s\n", error ? error : "refused");
    }
    cJSON_ArrayForEach(line,
                       cJSON_GetObjectItemCaseSensitive(answer, "verdict")) {
        fprintf(stderr, "%s\n", cJSON_IsString(line) ? line->valuestring : "?");
    }
    if (!ok) {
        return;
    }
    const char *outcome = text_of(answer, "outcome");
    printf("%s", outcome ? outcome : "done");
    if (ctl_json_get_u64(answer, "generation", &number)) {
        printf(": generation %llu", (unsigned long long)number);
    }
    if (ctl_json_get_u64(answer, "in_flight", &number)) {
        printf(": %llu attempts in flight", (unsigned long long)number);
    }
    printf("%s\n", applied_text(answer));
}

int ctl_client_run(const ctl_args_t *args, const ctl_request_t *request) {
    const char *path = ctl_client_path(args);
    cJSON *answer =
        ctl_client_call(path, request, request->timeout_ms + CTL_TIMEOUT_MS);

    if (answer == NULL) {
        fprintf(stderr, "meshctl: agent at %s: %s\n", path, strerror(errno));
        return CTL_EXIT_UNREADABLE;
    }
    bool ok = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok"));
    if (args->json) {
        ctl_json_print(answer, stdout);
    } else {
        ctl_json_plain(answer);
        print_answer(answer, ok);
        cJSON_Delete(answer);
    }
    return ok ? CTL_EXIT_OK : CTL_EXIT_NO;
}
