/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Any bytes as agent.yaml: read or refused, never both; what is read holds
 * what the rest of the agent relies on, and each error has its words.
 */

#include <stdlib.h>

#include "agent_config.h"
#include "mesh_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) {
        abort();
    }
}

static void check_config(const agent_config_t *config) {
    must(config->zone != NULL && config->zone[0] != '\0');
    must(config->socket_path != NULL && config->socket_path[0] != '\0');
    must(config->capacity == 0 || (config->capacity >= MESH_FILE_CAPACITY_MIN &&
                                   config->capacity <= MESH_FILE_CAPACITY_MAX));
    must(config->debounce_quiet_ms <= config->debounce_bound_ms);
    must(config->dns.min_ttl_ms <= config->dns.max_ttl_ms);
    must(config->dns.timeout_ms > 0);
    for (uint32_t i = 0; i < config->nsources; i++) {
        must(config->sources[i].kind == AGENT_SOURCE_FILE ||
             config->sources[i].kind == AGENT_SOURCE_DIRECTORY);
        must(config->sources[i].path[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena_t *arena = arena_new();
    model_errors_t errors;
    char text[1024];

    model_errors_init(&errors, arena);
    /* A NUL behind it, as files that are read have. */
    char *copy = arena_alloc(arena, size + 1);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    copy[size] = '\0';
    const model_node_t *root = model_node_from_yaml(
        arena, "agent.yaml", (mesh_str_t){size, copy}, &errors);
    const agent_config_t *config =
        root ? agent_config_decode(arena, "agent.yaml", "/etc", root, &errors)
             : NULL;

    must((config != NULL) == (errors.errors == 0));
    if (config != NULL) {
        check_config(config);
    }
    for (const model_error_t *e = errors.first; e != NULL; e = e->next) {
        must(model_error_text(e, text, sizeof(text)) > 0);
        must(e->message[0] != '\0');
    }
    arena_free(arena);
    return 0;
}
