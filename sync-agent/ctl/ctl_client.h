/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl's end of agent.sock.
 */

#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include <cjson/cJSON.h>

#include "ctl_args.h"
#include "ctl_protocol.h"

/*
 * A connection and what is under way on it; nothing here waits.  Whoever has
 * sent a request polls `fd` for ctl_events() and calls ctl_step() until it is
 * answered; then the next one may be sent.
 */
typedef struct {
    int fd;          /* -1: none */
    bool sending;    /* something of the request is left */
    char *line;      /* of the request */
    mesh_str_t body; /* the caller's, as long as it is under way */
    size_t sent;     /* of both */
    char *text;      /* of the answer, as far as it is there */
    size_t len;
    size_t size;
} ctl_connection_t;

typedef enum {
    CTL_UNDER_WAY,
    CTL_ANSWERED, /* the answer is the caller's to delete */
    CTL_BROKEN,   /* with errno; only ctl_disconnect() may follow */
} ctl_step_e;

/* false with errno: nobody listens, or (EAGAIN) too many wait for him. */
bool ctl_connect(ctl_connection_t *connection, const char *path);
void ctl_disconnect(ctl_connection_t *connection); /* keeps errno */

/* Begins; false: no memory. */
bool ctl_send(ctl_connection_t *connection, const ctl_request_t *request);
short ctl_events(const ctl_connection_t *connection);
ctl_step_e ctl_step(ctl_connection_t *connection, cJSON **answer);

/*
 * Sends the request with its body and waits for the answer, at most
 * `timeout_ms`.  NULL with errno: nobody listens, or it broke off.
 */
cJSON *ctl_client_call(const char *path, const ctl_request_t *request,
                       uint32_t timeout_ms);

/* The socket that the arguments mean; static memory. */
const char *ctl_client_path(const ctl_args_t *args);

/* What an answer says: that it is a good one; a text of it, or NULL. */
bool ctl_answer_ok(const cJSON *answer);
const char *ctl_answer_text(const cJSON *answer, const char *key);

/* Its error and its verdict, to standard error. */
void ctl_answer_complain(const cJSON *answer);

/* "published: generation 7", then `more`; a line on standard output. */
void ctl_answer_print(const cJSON *answer, const char *more);

/* Calls, prints what came of it, and gives the exit code. */
int ctl_client_run(const ctl_args_t *args, const ctl_request_t *request);

#endif /* CTL_CLIENT_H */
