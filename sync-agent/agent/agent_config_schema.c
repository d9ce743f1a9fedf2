/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The table of agent.yaml as JSON Schema.
 */

#include "agent_config_schema.h"
#include "agent_config_table.h"
#include "model_schema.h"

static cJSON *map_schema(const agent_config_map_t *map);

static cJSON *field_schema(const agent_config_field_t *field) {
    cJSON *json;

    if (field->map == NULL) {
        json = model_schema_words(field->schema);
    } else if (field->schema == NULL) {
        json = map_schema(field->map);
    } else {
        json = cJSON_CreateObject();
        cJSON *any = cJSON_AddArrayToObject(json, "anyOf");
        cJSON_AddItemToArray(any, model_schema_words(field->schema));
        cJSON_AddItemToArray(any, map_schema(field->map));
    }
    cJSON_AddStringToObject(json, "description", field->about);
    return json;
}

static cJSON *map_schema(const agent_config_map_t *map) {
    cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "type", "object");
    cJSON *properties = cJSON_AddObjectToObject(json, "properties");
    for (uint32_t i = 0; i < map->count; i++) {
        cJSON_AddItemToObject(properties, map->fields[i].name,
                              field_schema(&map->fields[i]));
    }
    cJSON_AddFalseToObject(json, "additionalProperties");
    return json;
}

cJSON *agent_config_schema(void) {
    cJSON *json = map_schema(&agent_config_map);

    cJSON_AddStringToObject(json, "$schema", MODEL_SCHEMA_DRAFT);
    cJSON_AddStringToObject(json, "title", "nginx-mesh: agent.yaml");
    return json;
}
