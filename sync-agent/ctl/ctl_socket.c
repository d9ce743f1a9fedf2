/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The agent's end of agent.sock; see ctl_socket.h.  A client has one request
 * under way at a time; what it sends meanwhile waits in the kernel.
 */

#include "ctl_socket.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_SIZE 65536

typedef enum {
    CLIENT_LINE, /* a request line is awaited */
    CLIENT_BODY,
    CLIENT_BUSY, /* the handler has it */
} client_state_e;

typedef struct {
    int fd; /* -1: free */
    ctl_id_t id;
    client_state_e state;
    bool writer;
    bool closing;      /* after the output is gone */
    uint64_t since_ms; /* of the request's first byte, or of the last answer */
    ctl_request_t request;
    char *in;
    size_t in_len;
    size_t in_size;
    char *out;
    size_t out_len;
    size_t out_sent;
} client_t;

struct ctl_server_s {
    int epoll_fd;
    int listen_fd;
    ctl_group_t group;
    ctl_handler_pt handler;
    void *ctx;
    ctl_id_t last_id;
    uint64_t now_ms;
    uint64_t deaf_ms; /* no descriptor was left: until then none is accepted */
    struct sockaddr_un address;
    client_t clients[CTL_CLIENTS_MAX];
};

cJSON *ctl_refusal(const char *text) {
    cJSON *answer = cJSON_CreateObject();

    cJSON_AddFalseToObject(answer, "ok");
    cJSON_AddStringToObject(answer, "error", text);
    return answer;
}

static void client_close(client_t *client) {
    close(client->fd);
    free(client->in);
    free(client->out);
    *client = (client_t){.fd = -1};
}

static void client_watch(ctl_server_t *server, client_t *client) {
    struct epoll_event event = {.data.ptr = client};

    if (client->out_sent < client->out_len) {
        event.events = EPOLLOUT;
    } else if (client->state != CLIENT_BUSY) {
        event.events = EPOLLIN;
    }
    epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, client->fd, &event);
}

static void client_flush(ctl_server_t *server, client_t *client) {
    while (client->out_sent < client->out_len) {
        ssize_t n = send(client->fd, client->out + client->out_sent,
                         client->out_len - client->out_sent, MSG_NOSIGNAL);
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n == -1 && errno == EAGAIN) {
            client_watch(server, client);
            return;
        }
        if (n == -1) {
            client_close(client);
            return;
        }
        client->out_sent += (size_t)n;
    }
    free(client->out);
    client->out = NULL;
    client->out_len = client->out_sent = 0;
    if (client->closing) {
        client_close(client);
        return;
    }
    client_watch(server, client);
}

/* Puts the line out; the client may be closed afterwards. */
static void client_send(ctl_server_t *server, client_t *client, cJSON *answer) {
    char *text = cJSON_PrintUnformatted(answer);
    size_t len = text ? strlen(text) : 0;

    cJSON_Delete(answer);
    if (len > CTL_ANSWER_MAX) {
        cJSON_free(text);
        client_send(server, client,
                    ctl_refusal("the answer is larger than 15 MB"));
        return;
    }
    char *out = len ? malloc(len + 1) : NULL;
    if (out == NULL) {
        cJSON_free(text);
        client_close(client);
        return;
    }
    memcpy(out, text, len);
    out[len] = '\n';
    cJSON_free(text);
    free(client->out);
    client->out = out;
    client->out_len = len + 1;
    client->out_sent = 0;
    client->state = CLIENT_LINE;
    client->since_ms = server->now_ms;
    client_flush(server, client);
}

/* What cannot be understood may be out of step: the last answer. */
static void client_refuse(ctl_server_t *server, client_t *client,
                          const char *error) {
    client->closing = true;
    client_send(server, client, ctl_refusal(error));
}

static void client_consume(client_t *client, size_t len) {
    client->in_len -= len;
    memmove(client->in, client->in + len, client->in_len);
}

static void client_handle(ctl_server_t *server, client_t *client, size_t body) {
    ctl_request_t request = client->request;
    ctl_id_t id = ++server->last_id;

    client->id = id;
    client->state = CLIENT_BUSY;
    request.body = (mesh_str_t){body, client->in};
    client_watch(server, client);
    /* The answer may come from within, and the client be gone after it. */
    char *in = client->in;
    size_t in_len = client->in_len;
    client->in = NULL;
    client->in_len = client->in_size = 0;
    server->handler(server->ctx, id, &request);
    if (client->fd != -1 && client->id == id && client->in == NULL &&
        in_len > body) {
        client->in = in;
        client->in_size = in_len;
        client->in_len = in_len;
        client_consume(client, body);
        return;
    }
    free(in);
}

/* true: call again, there may be another request in the buffer. */
static bool client_line(ctl_server_t *server, client_t *client) {
    char error[CTL_ERROR_MAX];
    char *end =
        client->in_len ? memchr(client->in, '\n', client->in_len) : NULL;

    if (end == NULL) {
        if (client->in_len > CTL_LINE_MAX) {
            client_refuse(server, client, "the line is too long");
        }
        return false;
    }
    size_t len = (size_t)(end - client->in);
    const char *failed = ctl_request_parse((mesh_str_t){len, client->in},
                                           &client->request, error);
    if (failed != NULL) {
        client_refuse(server, client, failed);
        return false;
    }
    if (!client->writer && ctl_command_writes(client->request.command)) {
        client_refuse(server, client,
                      "not allowed: this needs root, the agent's user, or "
                      "the group of agent.yaml");
        return false;
    }
    client_consume(client, len + 1);
    client->state = CLIENT_BODY;
    return true;
}

static bool client_step(ctl_server_t *server, client_t *client) {
    if (client->state == CLIENT_LINE) {
        return client_line(server, client);
    }
    if (client->state == CLIENT_BODY &&
        client->in_len >= client->request.length) {
        client_handle(server, client, (size_t)client->request.length);
        return client->fd != -1;
    }
    return false;
}

/* Requests that came together are taken one after the other. */
static void client_continue(ctl_server_t *server, client_t *client) {
    while (client->fd != -1 && client->out == NULL &&
           client->state != CLIENT_BUSY && client_step(server, client)) {
    }
}

static bool client_room(client_t *client) {
    size_t want = client->in_len + READ_SIZE;

    if (want <= client->in_size) {
        return true;
    }
    want = mesh_max(want, client->in_size * 2);
    char *in = realloc(client->in, want);
    if (in == NULL) {
        return false;
    }
    client->in = in;
    client->in_size = want;
    return true;
}

static void client_readable(ctl_server_t *server, client_t *client) {
    while (client->fd != -1 && client->state != CLIENT_BUSY &&
           client->out == NULL) {
        if (!client_room(client)) {
            client_close(client);
            return;
        }
        ssize_t n = recv(client->fd, client->in + client->in_len,
                         client->in_size - client->in_len, 0);
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n == -1 && errno == EAGAIN) {
            return;
        }
        if (n <= 0) {
            client_close(client);
            return;
        }
        if (client->in_len == 0 && client->state == CLIENT_LINE) {
            client->since_ms = server->now_ms;
        }
        client->in_len += (size_t)n;
        client_continue(server, client);
    }
}

static bool in_group(int fd, const struct ucred *peer, gid_t group) {
    gid_t groups[256];
    socklen_t len = sizeof(groups);

    if (peer->gid == group) {
        return true;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == -1) {
        return false;
    }
    for (size_t i = 0; i < len / sizeof(groups[0]); i++) {
        if (groups[i] == group) {
            return true;
        }
    }
    return false;
}

static bool is_writer(const ctl_server_t *server, int fd) {
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1) {
        return false;
    }
    return peer.uid == 0 || peer.uid == geteuid() ||
           (server->group.known && in_group(fd, &peer, server->group.gid));
}

bool ctl_group_find(const char *name, ctl_group_t *group, char *error,
                    size_t size) {
    const struct group *entry = name != NULL ? getgrnam(name) : NULL;

    *group = (ctl_group_t){.known = entry != NULL};
    if (entry != NULL) {
        group->gid = entry->gr_gid;
    } else if (name != NULL) {
        snprintf(error, size, "there is no group \"%s\"", name);
    }
    return group->known || name == NULL;
}

void ctl_server_set_group(ctl_server_t *server, const ctl_group_t *group) {
    server->group = *group;
    for (size_t i = 0; i < CTL_CLIENTS_MAX; i++) {
        client_t *client = &server->clients[i];
        client->writer = client->fd != -1 && is_writer(server, client->fd);
    }
}

static void listener_watch(ctl_server_t *server, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = NULL};

    epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, server->listen_fd, &event);
}

/* Who waits would wake the loop at once, again and again. */
static void accept_later(ctl_server_t *server) {
    server->deaf_ms = server->now_ms + CTL_DEAF_MS;
    listener_watch(server, 0);
}

static bool accept_ended(int err) {
    return err == EAGAIN || err == ECONNABORTED || err == EINTR;
}

static void accept_clients(ctl_server_t *server) {
    for (;;) {
        int fd = accept4(server->listen_fd, NULL, NULL,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd == -1) {
            if (!accept_ended(errno)) {
                accept_later(server);
            }
            return;
        }
        client_t *client = NULL;
        for (size_t i = 0; i < CTL_CLIENTS_MAX && !client; i++) {
            if (server->clients[i].fd == -1) {
                client = &server->clients[i];
            }
        }
        if (client == NULL) {
            static const char full[] =
                "{\"ok\":false,\"error\":\"too many clients\","
                "\"retry\":true}\n";
            (void)!send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL);
            close(fd);
            continue;
        }
        *client = (client_t){.fd = fd,
                             .id = ++server->last_id,
                             .writer = is_writer(server, fd),
                             .since_ms = server->now_ms};
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

static uint64_t client_due(const client_t *client) {
    if (client->fd == -1 || client->state == CLIENT_BUSY) {
        return CTL_IDLE;
    }
    bool midway = client->state == CLIENT_BODY || client->in_len ||
                  client->out_sent < client->out_len;
    return client->since_ms +
           (midway ? CTL_REQUEST_TIMEOUT_MS : CTL_IDLE_TIMEOUT_MS);
}

uint64_t ctl_server_due(const ctl_server_t *server) {
    uint64_t due = server->deaf_ms;

    for (size_t i = 0; i < CTL_CLIENTS_MAX; i++) {
        due = mesh_min(due, client_due(&server->clients[i]));
    }
    return due;
}

void ctl_server_ready(ctl_server_t *server, uint64_t now_ms) {
    struct epoll_event events[16];

    server->now_ms = now_ms;
    if (server->deaf_ms <= now_ms) {
        server->deaf_ms = CTL_IDLE;
        listener_watch(server, EPOLLIN);
    }
    int n = epoll_wait(server->epoll_fd, events, 16, 0);
    for (int i = 0; i < n; i++) {
        client_t *client = events[i].data.ptr;
        if (client == NULL) {
            accept_clients(server);
        } else if (client->fd == -1) {
            continue;
        } else if (events[i].events & EPOLLOUT) {
            client_flush(server, client);
            client_continue(server, client);
        } else if (client->state == CLIENT_BUSY) {
            client_close(client); /* nothing but EPOLLHUP and EPOLLERR */
        } else {
            client_readable(server, client);
        }
    }
    for (size_t i = 0; i < CTL_CLIENTS_MAX; i++) {
        if (client_due(&server->clients[i]) <= now_ms) {
            client_close(&server->clients[i]);
        }
    }
}

void ctl_server_answer(ctl_server_t *server, ctl_id_t id, cJSON *answer) {
    for (size_t i = 0; i < CTL_CLIENTS_MAX; i++) {
        client_t *client = &server->clients[i];
        if (client->fd != -1 && client->id == id &&
            client->state == CLIENT_BUSY) {
            client_send(server, client, answer);
            client_continue(server, client);
            return;
        }
    }
    cJSON_Delete(answer);
}

int ctl_server_fd(const ctl_server_t *server) {
    return server->epoll_fd;
}

/* Removes what a killed agent left; never a socket that is listened to. */
static bool remove_stale(const struct sockaddr_un *address) {
    struct stat st;

    if (lstat(address->sun_path, &st) == -1) {
        return errno == ENOENT;
    }
    if (!S_ISSOCK(st.st_mode)) {
        errno = EEXIST;
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rc = connect(fd, (const struct sockaddr *)address, sizeof(*address));
    bool refused = rc == -1 && errno == ECONNREFUSED;
    close(fd);
    if (!refused) {
        errno = EADDRINUSE;
        return false;
    }
    return unlink(address->sun_path) == 0;
}

static bool listen_at(ctl_server_t *server) {
    const struct sockaddr *address = (const struct sockaddr *)&server->address;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    server->listen_fd =
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return server->listen_fd != -1 && server->epoll_fd != -1 &&
           remove_stale(&server->address) &&
           bind(server->listen_fd, address, sizeof(server->address)) == 0 &&
           chmod(server->address.sun_path, 0666) == 0 &&
           listen(server->listen_fd, CTL_CLIENTS_MAX) == 0 &&
           epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, server->listen_fd,
                     &event) == 0;
}

ctl_server_t *ctl_server_open(const char *path, const char *group,
                              ctl_handler_pt handler, void *ctx, char *error,
                              size_t size) {
    ctl_server_t *server = calloc(1, sizeof(*server));

    if (server == NULL || strlen(path) >= sizeof(server->address.sun_path)) {
        snprintf(error, size, "the socket's path is too long");
        free(server);
        return NULL;
    }
    for (size_t i = 0; i < CTL_CLIENTS_MAX; i++) {
        server->clients[i].fd = -1;
    }
    server->deaf_ms = CTL_IDLE;
    server->handler = handler;
    server->ctx = ctx;
    server->address.sun_family = AF_UNIX;
    memcpy(server->address.sun_path, path, strlen(path) + 1);
    if (!ctl_group_find(group, &server->group, error, size)) {
        free(server);
        return NULL;
    }
    if (!listen_at(server)) {
        snprintf(error, size, "%s: %s", path, strerror(errno));
        close(server->listen_fd);
        close(server->epoll_fd);
        free(server);
        return NULL;
    }
    return server;
}

void ctl_server_close(ctl_server_t *server) {
    if (server == NULL) {
        return;
    }
    for (size_t i = 0; i < CTL_CLIENTS_MAX; i++) {
        if (server->clients[i].fd != -1) {
            client_close(&server->clients[i]);
        }
    }
    unlink(server->address.sun_path);
    close(server->listen_fd);
    close(server->epoll_fd);
    free(server);
}
