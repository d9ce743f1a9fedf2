/* SPDX-License-Identifier: Apache-2.0 */

/*
 * systemd's notify protocol (sd_notify(3)): one datagram of "KEY=value" lines
 * to the socket that NOTIFY_SOCKET names.
 */

#ifndef AGENT_NOTIFY_H
#define AGENT_NOTIFY_H

#include "mesh_base.h"

/*
 * Sends `state`, such as "READY=1\nSTATUS=generation 7".  false: nobody asked
 * for it, or it could not be sent; nothing depends on it.
 */
bool agent_notify(const char *state);

/*
 * Milliseconds between "WATCHDOG=1", half of what WATCHDOG_USEC asks for;
 * 0: no watchdog, or it is meant for another process.
 */
uint64_t agent_notify_watchdog_ms(void);

/* "RELOADING=1" with its MONOTONIC_USEC, as Type=notify-reload wants. */
bool agent_notify_reloading(void);

#endif /* AGENT_NOTIFY_H */
