/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The fields of agent.yaml: agent_config.c decodes them, agent_config_schema.c
 * publishes them.
 */

#ifndef AGENT_CONFIG_TABLE_H
#define AGENT_CONFIG_TABLE_H

#include "model_node.h"

typedef struct agent_config_decode_s agent_config_decode_t;
typedef struct agent_config_field_s agent_config_field_t;

typedef void (*agent_config_field_pt)(agent_config_decode_t *d,
                                      const model_node_t *node,
                                      const char *path);

typedef struct {
    const agent_config_field_t *fields;
    uint32_t count;
} agent_config_map_t;

struct agent_config_field_s {
    const char *name;
    agent_config_field_pt decode;
    const char *about;
    const char *schema;            /* as model_field_t's, NULL with a map */
    const agent_config_map_t *map; /* with a schema: either is right */
};

extern const agent_config_map_t agent_config_map;

#endif /* AGENT_CONFIG_TABLE_H */
