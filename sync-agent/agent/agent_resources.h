/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What `meshctl status resources` tells of a part.
 */

#ifndef AGENT_RESOURCES_H
#define AGENT_RESOURCES_H

#include <cjson/cJSON.h>

#include "agent_parts.h"

#define AGENT_RESOURCES_MAX 20000 /* told of a part; the rest is counted */

/* Hex of the version in force if it is one, else "". */
const char *agent_resources_version(const agent_part_t *row);

/*
 * A list of all in force, and of what is refused: "resource", "version" and
 * "time_ms" of what is in force, "verdict" of what is refused.  *left_out:
 * how many more there are.
 */
cJSON *agent_resources_json(const agent_part_t *row, uint32_t *left_out);

#endif /* AGENT_RESOURCES_H */
