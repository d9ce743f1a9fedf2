/* SPDX-License-Identifier: Apache-2.0 */

/*
 * agent.yaml (docs/agent.md): what the agent publishes, from where, and who
 * may talk to it.  Immutable once read; all of it is in `arena`.
 */

#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include "agent_arena.h"
#include "agent_log.h"
#include "mesh_base.h"
#include "model.h"
#include "model_node.h"

#define AGENT_ZONE "/run/nginx-mesh"
#define AGENT_STATE "/var/lib/nginx-mesh"

/*
 * A first change is published at once.  Those that follow wait until nothing
 * changed for QUIET: longer than the gap between an editor's or kubelet's
 * steps, shorter than anybody notices.  A source that never rests is
 * published every BOUND at the latest.
 */
#define AGENT_DEBOUNCE_QUIET_MS 5
#define AGENT_DEBOUNCE_BOUND_MS 50
#define AGENT_DEBOUNCE_MAX_MS 60000

#define AGENT_SOURCES_MAX 64

#define AGENT_DNS_MIN_TTL_MS 5000
#define AGENT_DNS_MAX_TTL_MS 300000
#define AGENT_DNS_TIMEOUT_MS 2000
#define AGENT_DNS_MAX_MS UINT64_C(86400000)
#define AGENT_DNS_SERVERS_MAX 16

typedef enum {
    AGENT_SOURCE_FILE,
    AGENT_SOURCE_DIRECTORY,
} agent_source_kind_e;

typedef struct {
    agent_source_kind_e kind;
    const char *path; /* absolute, or as the process sees it */
} agent_config_source_t;

/* Names among endpoints; see source_dns.h. */
typedef struct {
    const char *servers; /* "127.0.0.1:53,[::1]:53"; NULL: the system's */
    uint32_t min_ttl_ms;
    uint32_t max_ttl_ms;
    uint32_t timeout_ms;
} agent_config_dns_t;

typedef struct {
    const char *zone;
    const char *state; /* where the last good copy goes */
    uint64_t capacity; /* bytes of a snapshot file */
    uint32_t nsources;
    agent_config_source_t *sources;
    const char *socket_path;
    bool socket_said;         /* else it is in the zone */
    const char *socket_group; /* NULL: none but root and the agent's uid */
    agent_log_level_e log_level;
    agent_log_format_e log_format;
    uint32_t debounce_quiet_ms;
    uint32_t debounce_bound_ms;
    agent_config_dns_t dns;
    model_locality_t node;    /* where the proxies here are; empty: unknown */
    mesh_str_t local_cluster; /* that they are endpoints of; empty: unknown */
} agent_config_t;

/*
 * Reads a tree.  `dir` is what relative paths of sources start from: the
 * directory of the file, so that a configuration can be moved whole.  NULL
 * with errors added.
 */
agent_config_t *agent_config_decode(arena_t *arena, const char *file,
                                    const char *dir, const model_node_t *root,
                                    model_errors_t *errors);

/* Reads and decodes a file. */
agent_config_t *agent_config_read(arena_t *arena, const char *path,
                                  model_errors_t *errors);

/* "5ms": it needs a unit. */
bool agent_parse_duration(mesh_str_t text, uint64_t *ms);

#endif /* AGENT_CONFIG_H */
