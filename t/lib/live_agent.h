/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An agent that runs in a child process of the test: told to be ready by its
 * own notification, talked to over its socket.  Failures fail the test.
 */

#ifndef LIVE_AGENT_H
#define LIVE_AGENT_H

#include <cjson/cJSON.h>
#include <sys/types.h>

#include "ctl_protocol.h"
#include "temp_dir.h"

typedef struct {
    temp_dir_t top;
    char zone[96]; /* top/zone */
    char state[96];
    char socket[128];
    pid_t pid;     /* 0: it does not run */
    int notify_fd; /* where it tells of itself */
    char log[128]; /* its standard error */
} live_agent_t;

/* Directories, and nothing that runs. */
void live_agent_make(live_agent_t *agent);
void live_agent_remove(live_agent_t *agent);

/*
 * `yaml` goes behind zone and state in agent.yaml; paths of sources start at
 * agent->top.  Waits until it is ready.
 */
void live_agent_start(live_agent_t *agent, const char *yaml);

/* TERM; it has to end well. */
void live_agent_stop(live_agent_t *agent);

/* As the first, but ends by itself: its exit code. */
int live_agent_run(live_agent_t *agent, const char *yaml);

void live_agent_kill(live_agent_t *agent); /* -9 */

/* Waits for a notification that holds `text`. */
void live_agent_await(live_agent_t *agent, const char *text);

/* Asks; the answer is the caller's to delete. */
cJSON *live_agent_ask(const live_agent_t *agent, const ctl_request_t *request);

/* Applies `body` to the part "p"; true: it is in force. */
bool live_agent_apply(const live_agent_t *agent, ctl_format_e format,
                      const char *body);

/* What it has logged, all of it; free() it. */
char *live_agent_log(const live_agent_t *agent);

#endif /* LIVE_AGENT_H */
