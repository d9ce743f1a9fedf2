/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The agent's end of agent.sock: who is there, what he may, and how much of
 * it.  Requests go to a handler, which answers now or later.
 *
 * Root, the agent's own uid and members of the configured group may write;
 * everybody who reaches the socket may read the status.
 */

#ifndef CTL_SOCKET_H
#define CTL_SOCKET_H

#include <cjson/cJSON.h>
#include <sys/types.h>

#include "ctl_protocol.h"
#include "mesh_base.h"

#define CTL_CLIENTS_MAX 64
#define CTL_REQUEST_TIMEOUT_MS 10000 /* from its first to its last byte */
#define CTL_IDLE_TIMEOUT_MS 600000
#define CTL_DEAF_MS 1000 /* no descriptor was left for another client */
#define CTL_OUT_MAX (UINT64_C(16) << 20) /* a client takes that much */
#define CTL_ANSWER_MAX (UINT64_C(15) << 20)

#define CTL_IDLE UINT64_MAX

typedef struct ctl_server_s ctl_server_t;
typedef uint64_t ctl_id_t; /* of a client's request; never used again */

typedef void (*ctl_handler_pt)(void *ctx, ctl_id_t id,
                               const ctl_request_t *request);

/* Whose members may write, besides root and the agent's own uid. */
typedef struct {
    bool known; /* false: nobody else */
    gid_t gid;
} ctl_group_t;

/* `name` NULL: none.  false with a sentence in `error`: no such group. */
bool ctl_group_find(const char *name, ctl_group_t *group, char *error,
                    size_t size);

/*
 * Makes the socket (0666: peer credentials decide).  A socket that nobody
 * listens to is replaced.  NULL with a sentence in `error`.  `group` may be
 * NULL.
 */
ctl_server_t *ctl_server_open(const char *path, const char *group,
                              ctl_handler_pt handler, void *ctx, char *error,
                              size_t size);
void ctl_server_close(ctl_server_t *server); /* NULL is fine */

/* For who is connected, too. */
void ctl_server_set_group(ctl_server_t *server, const ctl_group_t *group);

/* Readable: call ready.  Due: the same, at that CLOCK_MONOTONIC time. */
int ctl_server_fd(const ctl_server_t *server);
void ctl_server_ready(ctl_server_t *server, uint64_t now_ms);
uint64_t ctl_server_due(const ctl_server_t *server);

/* Sends and deletes the answer; a client that has left gets none. */
void ctl_server_answer(ctl_server_t *server, ctl_id_t id, cJSON *answer);

/* {"ok": false, "error": text} */
cJSON *ctl_refusal(const char *text);

#endif /* CTL_SOCKET_H */
