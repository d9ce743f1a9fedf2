/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Running the agent, and `--check`.
 */

#ifndef AGENT_LOOP_H
#define AGENT_LOOP_H

#include "agent_config.h"

/* Exit codes of mesh-agent. */
#define AGENT_EXIT_OK 0
#define AGENT_EXIT_INVALID 1 /* configuration or, with --check, a source */
#define AGENT_EXIT_USAGE 2
#define AGENT_EXIT_ZONE 3 /* the zone is another agent's, or unusable */

/* Until TERM or INT; the exit code.  `path`: to read it again at HUP. */
int agent_run(const char *path, const agent_config_t *config);

/*
 * Reads every source and prints what is wrong with it to standard output,
 * one line each; changes nothing; the exit code.
 */
int agent_check(const agent_config_t *config);

#endif /* AGENT_LOOP_H */
