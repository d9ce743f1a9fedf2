/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How sources fare, in what `meshctl status` is answered: which name of DNS
 * has no addresses, which registry does not answer.
 */

#ifndef AGENT_REPORT_H
#define AGENT_REPORT_H

#include <cjson/cJSON.h>

#include "agent.h"

/* Told of a part, and of all parts; the rest is counted. */
#define AGENT_NAMES_MAX 20000
#define AGENT_NAMES_BYTES (8 << 20)

/*
 * Adds to each item of `parts` whose source has something to say "source":
 * "state", "since_ms", "text", "names", "failing"; and with `names` "names"
 * and "names_left_out".  A part that is not there is added, in state "none".
 */
void agent_report(const agent_t *agent, bool names, cJSON *parts);

#endif /* AGENT_REPORT_H */
