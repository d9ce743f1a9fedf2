/* SPDX-License-Identifier: Apache-2.0 */

#ifndef AGENT_CONFIG_SCHEMA_H
#define AGENT_CONFIG_SCHEMA_H

#include <cjson/cJSON.h>

/* JSON Schema of agent.yaml, as model_schema()'s of the mesh. */
cJSON *agent_config_schema(void);

#endif /* AGENT_CONFIG_SCHEMA_H */
