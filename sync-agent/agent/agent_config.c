/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Decoding agent.yaml.  One table row per field; a field that is not in a
 * table is refused, since a misspelt setting must not pass for a default.
 */

#include "agent_config.h"
#include "agent_config_table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent_file.h"
#include "mesh_format.h"
#include "model_table.h"

#define CONFIG_FILE_MAX (UINT64_C(1) << 20)
#define AGENT_NODE_MAX 256 /* as an endpoint's locality */

typedef agent_config_decode_t decode_t;
typedef agent_config_field_t field_t;

struct agent_config_decode_s {
    arena_t *arena;
    const char *file;
    const char *dir;
    model_errors_t *errors;
    agent_config_t *config;
};

#define MAP(table)                                                             \
    { (table), mesh_nelts(table) }

#define SCHEMA_ABSOLUTE "{'type': 'string', 'pattern': '^/'}"
#define SCHEMA_PATH "{'type': 'string', 'minLength': 1}"
#define SCHEMA_DURATION "{'type': 'string', 'pattern': '^[0-9]+(ms|s|m|h)$'}"

static void refuse(decode_t *d, const model_node_t *node, const char *path,
                   const char *expected) {
    static const char *const kinds[] = {"nothing", "a value", "a list",
                                        "a map"};
    model_error_t place = {.file = d->file,
                           .line = node->line,
                           .column = node->column,
                           .path = path,
                           .expected = expected,
                           .found = kinds[node->kind]};

    if (node->kind == MODEL_NODE_SCALAR) {
        place.found =
            arena_printf(d->arena, "\"%.*s\"",
                         (int)mesh_min(node->text.len, 64), node->text.data);
    }
    model_error_add(d->errors, &place, "found %s, expected %s", place.found,
                    expected);
}

/* What was meant, if it is but a slip; or NULL. */
static const char *near_field(mesh_str_t key, const agent_config_map_t *known) {
    const char *found = NULL;
    uint32_t least = UINT32_MAX;
    uint32_t distance;

    for (size_t i = 0; i < known->count; i++) {
        const char *name = known->fields[i].name;

        if (model_near(key, mesh_str_from(name), &distance) &&
            distance < least) {
            found = name;
            least = distance;
        }
    }
    return found;
}

static void refuse_field(decode_t *d, const model_node_t *node,
                         const char *path, const agent_config_map_t *known) {
    const char *near = near_field(node->key, known);
    char expected[256];
    size_t used = 0;

    if (near != NULL) {
        used = (size_t)snprintf(expected, sizeof(expected), "\"%s\"", near);
    }
    for (size_t i = 0;
         near == NULL && i < known->count && used < sizeof(expected); i++) {
        int len = snprintf(expected + used, sizeof(expected) - used, "%s%s",
                           i ? ", " : "", known->fields[i].name);
        used += (size_t)len;
    }
    model_error_t place = {.file = d->file,
                           .line = node->key_line,
                           .column = node->key_column,
                           .path = path,
                           .expected = expected};
    model_error_add(d->errors, &place, "unknown field, expected %s%s",
                    near == NULL ? "one of: " : "", expected);
}

static const char *join(decode_t *d, const char *path, mesh_str_t key) {
    return arena_printf(d->arena, "%s%s%.*s", path, *path ? "." : "",
                        (int)key.len, key.data);
}

static void decode_map(decode_t *d, const model_node_t *map, const char *path,
                       const agent_config_map_t *known) {
    if (map->kind != MODEL_NODE_MAP) {
        refuse(d, map, path, "a map");
        return;
    }
    for (const model_node_t *c = map->first; c; c = c->next) {
        const char *at = join(d, path, c->key);
        size_t i = 0;

        while (i < known->count &&
               !mesh_str_eq(c->key, mesh_str_from(known->fields[i].name))) {
            i++;
        }
        if (i == known->count) {
            refuse_field(d, c, at, known);
        } else {
            known->fields[i].decode(d, c, at);
        }
    }
}

/* NULL after an error.  Paths with a NUL byte cannot be told to the kernel. */
static const char *text_of(decode_t *d, const model_node_t *node,
                           const char *path, const char *expected) {
    if (!model_is_text(node) || node->text.len == 0 ||
        memchr(node->text.data, '\0', node->text.len) != NULL) {
        refuse(d, node, path, expected);
        return NULL;
    }
    return arena_strdup(d->arena, node->text.data);
}

static const char *absolute_of(decode_t *d, const model_node_t *node,
                               const char *path) {
    const char *text = text_of(d, node, path, "an absolute path");

    if (text != NULL && text[0] != '/') {
        refuse(d, node, path, "an absolute path");
        return NULL;
    }
    return text;
}

bool agent_parse_duration(mesh_str_t text, uint64_t *ms) {
    static const struct {
        mesh_str_t unit;
        uint64_t ms;
    } units[] = {{mesh_str("ms"), 1},
                 {mesh_str("s"), 1000},
                 {mesh_str("m"), 60000},
                 {mesh_str("h"), 3600000}};
    uint64_t value = 0;
    size_t i = 0;

    for (; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
        value = value * 10 + (uint64_t)(text.data[i] - '0');
        if (value > UINT32_MAX) {
            return false;
        }
    }
    if (i == 0) {
        return false;
    }
    mesh_str_t unit = {text.len - i, text.data + i};
    for (size_t k = 0; k < mesh_nelts(units); k++) {
        if (mesh_str_eq(unit, units[k].unit)) {
            *ms = value * units[k].ms;
            return true;
        }
    }
    return false;
}

static void decode_zone(decode_t *d, const model_node_t *node,
                        const char *path) {
    const char *text = absolute_of(d, node, path);
    if (text != NULL) {
        d->config->zone = text;
    }
}

static void decode_state(decode_t *d, const model_node_t *node,
                         const char *path) {
    const char *text = absolute_of(d, node, path);
    if (text != NULL) {
        d->config->state = text;
    }
}

static void decode_capacity(decode_t *d, const model_node_t *node,
                            const char *path) {
    uint64_t bytes;

    if (node->kind != MODEL_NODE_SCALAR ||
        !model_parse_size(node->text, &bytes) ||
        bytes < MESH_FILE_CAPACITY_MIN || bytes > MESH_FILE_CAPACITY_MAX) {
        refuse(d, node, path, "a size from 1M to 8G, such as 256M");
        return;
    }
    d->config->capacity = bytes;
}

static const char *source_path(decode_t *d, const model_node_t *node,
                               const char *path) {
    const char *text = text_of(d, node, path, "a path");

    if (text == NULL || text[0] == '/' || d->dir[0] == '\0') {
        return text;
    }
    return arena_printf(d->arena, "%s/%s", d->dir, text);
}

static void decode_source(decode_t *d, const model_node_t *node,
                          const char *path) {
    static const struct {
        mesh_str_t name;
        agent_source_kind_e kind;
    } kinds[] = {{mesh_str("file"), AGENT_SOURCE_FILE},
                 {mesh_str("directory"), AGENT_SOURCE_DIRECTORY}};

    if (node->kind != MODEL_NODE_MAP || node->count != 1) {
        refuse(d, node, path, "{file: PATH} or {directory: PATH}");
        return;
    }
    const model_node_t *c = node->first;
    for (size_t i = 0; i < mesh_nelts(kinds); i++) {
        if (mesh_str_eq(c->key, kinds[i].name)) {
            const char *text = source_path(d, c, join(d, path, c->key));
            if (text != NULL) {
                d->config->sources[d->config->nsources++] =
                    (agent_config_source_t){kinds[i].kind, text};
            }
            return;
        }
    }
    refuse(d, node, path, "{file: PATH} or {directory: PATH}");
}

static void decode_sources(decode_t *d, const model_node_t *node,
                           const char *path) {
    if (node->kind != MODEL_NODE_LIST || node->count > AGENT_SOURCES_MAX) {
        refuse(d, node, path, "a list of at most 64 sources");
        return;
    }
    d->config->sources = arena_alloc(
        d->arena, (node->count + 1) * sizeof(agent_config_source_t));
    uint32_t i = 0;
    for (const model_node_t *c = node->first; c; c = c->next, i++) {
        decode_source(d, c, arena_printf(d->arena, "%s[%u]", path, i));
    }
}

static void decode_socket_path(decode_t *d, const model_node_t *node,
                               const char *path) {
    const char *text = absolute_of(d, node, path);

    /* sun_path holds 108 bytes with its NUL. */
    if (text != NULL && strlen(text) > 107) {
        refuse(d, node, path, "a path of at most 107 bytes");
        return;
    }
    if (text != NULL) {
        d->config->socket_path = text;
        d->config->socket_said = true;
    }
}

static void decode_socket_group(decode_t *d, const model_node_t *node,
                                const char *path) {
    d->config->socket_group = text_of(d, node, path, "a group's name");
}

static const field_t socket_fields[] = {
    {"path", decode_socket_path,
     "absolute, at most 107 bytes; ZONE/agent.sock unless said",
     "{'type': 'string', 'pattern': '^/', 'maxLength': 107}", NULL},
    {"group", decode_socket_group,
     "whose members may write besides root and the agent's own user",
     SCHEMA_PATH, NULL},
};

static const agent_config_map_t socket_map = MAP(socket_fields);

static void decode_socket(decode_t *d, const model_node_t *node,
                          const char *path) {
    decode_map(d, node, path, &socket_map);
}

static void decode_log_level(decode_t *d, const model_node_t *node,
                             const char *path) {
    const char *text = text_of(d, node, path, "debug, info, warn or error");

    if (text && !agent_log_level_parse(text, &d->config->log_level)) {
        refuse(d, node, path, "debug, info, warn or error");
    }
}

static void decode_log_format(decode_t *d, const model_node_t *node,
                              const char *path) {
    const char *text = text_of(d, node, path, "text or json");

    if (text && !agent_log_format_parse(text, &d->config->log_format)) {
        refuse(d, node, path, "text or json");
    }
}

static const field_t log_fields[] = {
    {"level", decode_log_level, "what is logged",
     "{'enum': ['debug', 'info', 'warn', 'error'], 'default': 'info'}", NULL},
    {"format", decode_log_format, "json: one object a line",
     "{'enum': ['text', 'json'], 'default': 'text'}", NULL},
};

static const agent_config_map_t log_map = MAP(log_fields);

static void decode_log(decode_t *d, const model_node_t *node,
                       const char *path) {
    decode_map(d, node, path, &log_map);
}

static void decode_ms(decode_t *d, const model_node_t *node, const char *path,
                      uint32_t *out) {
    uint64_t ms;

    if (node->kind != MODEL_NODE_SCALAR ||
        !agent_parse_duration(node->text, &ms) || ms > AGENT_DEBOUNCE_MAX_MS) {
        refuse(d, node, path, "a duration from 0ms to 60s, such as 5ms");
        return;
    }
    *out = (uint32_t)ms;
}

static void decode_quiet(decode_t *d, const model_node_t *node,
                         const char *path) {
    decode_ms(d, node, path, &d->config->debounce_quiet_ms);
}

static void decode_bound(decode_t *d, const model_node_t *node,
                         const char *path) {
    decode_ms(d, node, path, &d->config->debounce_bound_ms);
}

static const field_t debounce_fields[] = {
    {"quiet", decode_quiet,
     "changes are published when nothing has changed for this long; at most "
     "60s, 5ms unless said",
     SCHEMA_DURATION, NULL},
    {"bound", decode_bound,
     "but not later than this; at most 60s, 50ms unless said", SCHEMA_DURATION,
     NULL},
};

static const agent_config_map_t debounce_map = MAP(debounce_fields);

static void decode_debounce(decode_t *d, const model_node_t *node,
                            const char *path) {
    if (node->kind == MODEL_NODE_SCALAR) {
        decode_quiet(d, node, path);
        return;
    }
    decode_map(d, node, path, &debounce_map);
}

/* --- dns ------------------------------------------------------------------ */

/* "127.0.0.1", "127.0.0.1:5353", "[::1]", "[::1]:5353". */
static bool is_server(const char *text) {
    char host[64];
    uint8_t addr[16];
    const char *end = strchr(text, ':');
    int family = AF_INET;

    if (text[0] == '[') {
        family = AF_INET6;
        end = strchr(++text, ']');
        if (end == NULL) {
            return false;
        }
    }
    size_t len = end ? (size_t)(end - text) : strlen(text);

    if (len >= sizeof(host)) {
        return false;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    if (end != NULL && *end == ']') {
        end++;
    }
    uint64_t port = 53;
    bool right =
        end == NULL || *end == '\0' ||
        (*end == ':' && model_parse_u64(mesh_str_from(end + 1), &port) &&
         port >= 1 && port <= 65535);

    return right && inet_pton(family, host, addr) == 1;
}

static void decode_servers(decode_t *d, const model_node_t *node,
                           const char *path) {
    const char *list = "";

    if (node->kind != MODEL_NODE_LIST || node->count == 0 ||
        node->count > AGENT_DNS_SERVERS_MAX) {
        refuse(d, node, path, "a list of 1 to 16 addresses of DNS servers");
        return;
    }
    for (const model_node_t *c = node->first; c; c = c->next) {
        const char *text =
            c->kind == MODEL_NODE_SCALAR
                ? arena_printf(d->arena, "%.*s", (int)c->text.len, c->text.data)
                : "";
        if (!is_server(text)) {
            refuse(d, c, path, "an address such as 127.0.0.1:53 or [::1]:53");
            return;
        }
        list = arena_printf(d->arena, "%s%s%s", list, list[0] ? "," : "", text);
    }
    d->config->dns.servers = list;
}

static void decode_dns_ms(decode_t *d, const model_node_t *node,
                          const char *path, uint32_t *out) {
    uint64_t ms;

    if (node->kind != MODEL_NODE_SCALAR ||
        !agent_parse_duration(node->text, &ms) || ms == 0 ||
        ms > AGENT_DNS_MAX_MS) {
        refuse(d, node, path, "a duration from 1ms to 24h, such as 5s");
        return;
    }
    *out = (uint32_t)ms;
}

static void decode_min_ttl(decode_t *d, const model_node_t *node,
                           const char *path) {
    decode_dns_ms(d, node, path, &d->config->dns.min_ttl_ms);
}

static void decode_max_ttl(decode_t *d, const model_node_t *node,
                           const char *path) {
    decode_dns_ms(d, node, path, &d->config->dns.max_ttl_ms);
}

static void decode_dns_timeout(decode_t *d, const model_node_t *node,
                               const char *path) {
    decode_dns_ms(d, node, path, &d->config->dns.timeout_ms);
}

static const field_t dns_fields[] = {
    {"servers", decode_servers,
     "addresses of DNS servers; the system's unless said",
     "{'type': 'array', 'minItems': 1, 'maxItems': 16, 'items': {'type': "
     "'string', 'pattern': '^([0-9.]+|\\\\[[0-9A-Fa-f:.]+\\\\])(:[0-9]*)?$'}}",
     NULL},
    {"min_ttl", decode_min_ttl,
     "a name is asked for again after this long at the earliest; 5s unless "
     "said",
     SCHEMA_DURATION, NULL},
    {"max_ttl", decode_max_ttl,
     "and after this long at the latest; 300s unless said", SCHEMA_DURATION,
     NULL},
    {"timeout", decode_dns_timeout,
     "how long one try of three may take; 2s unless said", SCHEMA_DURATION,
     NULL},
};

static const agent_config_map_t dns_map = MAP(dns_fields);

static void decode_dns(decode_t *d, const model_node_t *node,
                       const char *path) {
    decode_map(d, node, path, &dns_map);
}

/* --- node ----------------------------------------------------------------- */

static void decode_place(decode_t *d, const model_node_t *node,
                         const char *path, mesh_str_t *out) {
    const char *text = text_of(d, node, path, "text of 1 to 256 bytes");

    if (text != NULL && strlen(text) > AGENT_NODE_MAX) {
        refuse(d, node, path, "text of 1 to 256 bytes");
    } else if (text != NULL) {
        *out = mesh_str_from(text);
    }
}

static void decode_node_region(decode_t *d, const model_node_t *node,
                               const char *path) {
    decode_place(d, node, path, &d->config->node.region);
}

static void decode_node_zone(decode_t *d, const model_node_t *node,
                             const char *path) {
    decode_place(d, node, path, &d->config->node.zone);
}

static void decode_node_sub_zone(decode_t *d, const model_node_t *node,
                                 const char *path) {
    decode_place(d, node, path, &d->config->node.sub_zone);
}

/* What no cluster is called is a slip. */
static void decode_local_cluster(decode_t *d, const model_node_t *node,
                                 const char *path) {
    if (!model_is_text(node) || !model_is_name(node->text)) {
        refuse(d, node, path, MODEL_EXPECT_NAME);
        return;
    }
    d->config->local_cluster = arena_str(d->arena, node->text);
}

#define SCHEMA_PLACE "{'type': 'string', 'minLength': 1, 'maxLength': 256}"

static const field_t node_fields[] = {
    {"region", decode_node_region, "the region that this node is in",
     SCHEMA_PLACE, NULL},
    {"zone", decode_node_zone, "its zone", SCHEMA_PLACE, NULL},
    {"sub_zone", decode_node_sub_zone, "its sub-zone", SCHEMA_PLACE, NULL},
    {"local_cluster", decode_local_cluster,
     "the cluster that the proxies here are endpoints of",
     "{'type': 'string', 'minLength': 1, 'maxLength': 1024, 'pattern': "
     "'^[^\\\\x00-\\\\x20\\\\x7f/]+$'}",
     NULL},
};

static const agent_config_map_t node_map = MAP(node_fields);

static void decode_node(decode_t *d, const model_node_t *node,
                        const char *path) {
    decode_map(d, node, path, &node_map);
}

/* --- the file ------------------------------------------------------------ */

static const field_t fields[] = {
    {"zone", decode_zone,
     "the directory of snapshot, control page, lock and socket, the same as "
     "nginx's mesh_zone; " AGENT_ZONE " unless said",
     SCHEMA_ABSOLUTE, NULL},
    {"state", decode_state,
     "a directory on disk for what outlives a reboot; " AGENT_STATE
     " unless said",
     SCHEMA_ABSOLUTE, NULL},
    {"capacity", decode_capacity,
     "how large a snapshot file may become, 1M to 8G; 256M unless said",
     "{'anyOf': [{'type': 'string', 'pattern': '^[0-9]+[kKmMgG]?$'}, {'type': "
     "'integer', 'minimum': 1048576, 'maximum': 8589934592}]}",
     NULL},
    {"sources", decode_sources,
     "where parts of the mesh come from; relative paths start at this file's "
     "directory",
     "{'type': 'array', 'maxItems': 64, 'items': {'oneOf': ["
     "{'type': 'object', 'required': ['file'], 'additionalProperties': false, "
     "'properties': {'file': {'type': 'string', 'minLength': 1, 'description': "
     "'a file of YAML, or of JSON if its name ends so'}}}, "
     "{'type': 'object', 'required': ['directory'], 'additionalProperties': "
     "false, 'properties': {'directory': {'type': 'string', 'minLength': 1, "
     "'description': 'the files in it that end with .yaml, .yml or "
     ".json'}}}]}}",
     NULL},
    {"socket", decode_socket, "where meshctl talks to the agent", NULL,
     &socket_map},
    {"log", decode_log, "what is logged, and how", NULL, &log_map},
    {"debounce", decode_debounce,
     "how long changes wait for others; a duration alone is quiet",
     SCHEMA_DURATION, &debounce_map},
    {"dns", decode_dns, "how names among endpoints are asked for", NULL,
     &dns_map},
    {"node", decode_node,
     "where this node is, for clusters that prefer near endpoints", NULL,
     &node_map},
};

const agent_config_map_t agent_config_map = MAP(fields);

agent_config_t *agent_config_decode(arena_t *arena, const char *file,
                                    const char *dir, const model_node_t *root,
                                    model_errors_t *errors) {
    agent_config_t *config = arena_alloc(arena, sizeof(*config));
    uint32_t before = errors->errors;

    *config = (agent_config_t){
        .zone = AGENT_ZONE,
        .state = AGENT_STATE,
        .capacity = MESH_FILE_CAPACITY,
        .log_level = AGENT_LOG_INFO,
        .log_format = AGENT_LOG_TEXT,
        .debounce_quiet_ms = AGENT_DEBOUNCE_QUIET_MS,
        .debounce_bound_ms = AGENT_DEBOUNCE_BOUND_MS,
        .dns = {.min_ttl_ms = AGENT_DNS_MIN_TTL_MS,
                .max_ttl_ms = AGENT_DNS_MAX_TTL_MS,
                .timeout_ms = AGENT_DNS_TIMEOUT_MS},
    };
    decode_t d = {arena, file, dir, errors, config};
    decode_map(&d, root, "", &agent_config_map);
    if (errors->errors > before) {
        return NULL;
    }
    /* A bound below the quiet time would be the quiet time. */
    config->debounce_bound_ms =
        mesh_max(config->debounce_bound_ms, config->debounce_quiet_ms);
    if (config->socket_path == NULL) {
        config->socket_path =
            arena_printf(arena, "%s/%s", config->zone, MESH_ZONE_SOCKET);
    }
    return config;
}

agent_config_t *agent_config_read(arena_t *arena, const char *path,
                                  model_errors_t *errors) {
    mesh_str_t text;
    model_error_t place = {.file = path};
    const char *slash = strrchr(path, '/');
    const char *dir = "";

    if (!agent_file_read(arena, path, CONFIG_FILE_MAX, &text)) {
        model_error_add(errors, &place, "cannot be read: %s", strerror(errno));
        return NULL;
    }
    if (slash == path) {
        dir = "/";
    } else if (slash != NULL) {
        dir = arena_printf(arena, "%.*s", (int)(slash - path), path);
    }
    model_node_t *root = model_node_from_yaml(arena, path, text, errors);
    if (root == NULL) {
        return NULL;
    }
    return agent_config_decode(arena, path, dir, root, errors);
}
