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
 * Sends the request with its body and waits for the answer, at most
 * `timeout_ms`.  NULL with errno: nobody listens, or it broke off.
 */
cJSON *ctl_client_call(const char *path, const ctl_request_t *request,
                       uint32_t timeout_ms);

/* The socket that the arguments mean; static memory. */
const char *ctl_client_path(const ctl_args_t *args);

/* Calls, prints what came of it, and gives the exit code. */
int ctl_client_run(const ctl_args_t *args, const ctl_request_t *request);

#endif /* CTL_CLIENT_H */
