/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl apply --follow: lines of an input, applied as they come, over one
 * connection of the agent's socket.
 */

#ifndef CTL_FOLLOW_H
#define CTL_FOLLOW_H

#include "ctl_args.h"
#include "ctl_protocol.h"

/* Bytes of lines that go as one request, unless one line has more. */
#define CTL_FOLLOW_BATCH (4u << 20)

/* How long between tries of an agent that is away. */
#define CTL_FOLLOW_BACKOFF_MS 50
#define CTL_FOLLOW_BACKOFF_MAX_MS 2000

/*
 * Until the input ends, a signal, or a refusal that is of no line.
 * `request` is what each of them has in common.  The exit code.
 */
int ctl_follow(const ctl_args_t *args, const ctl_request_t *request);

#endif /* CTL_FOLLOW_H */
