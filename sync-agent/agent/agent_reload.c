/* SPDX-License-Identifier: Apache-2.0 */

/*
 * agent.yaml read again, at HUP and `meshctl reload`: all of it takes effect
 * or, if there is an error in it, nothing.  What the process stands on (zone,
 * state, capacity, the socket's path, dns, node) stays as it was, with a word
 * about it.
 */

#include <stdio.h>
#include <stdlib.h>

#include "agent.h"

typedef struct {
    char text[AGENT_VERDICT_MAX]; /* lines */
    size_t used;
} verdict_t;

static void say(verdict_t *verdict, const char *line) {
    size_t left = sizeof(verdict->text) - verdict->used;
    int n = snprintf(verdict->text + verdict->used, left, "%s%s",
                     verdict->used ? "\n" : "", line);

    verdict->used += n > 0 ? mesh_min((size_t)n, left - 1) : 0;
}

/* The old value stays; `config` is new and not in force yet. */
static void keep_text(const agent_t *agent, verdict_t *verdict,
                      const char *field, const char *old, const char **now) {
    char line[512];

    if (strcmp(old, *now) != 0) {
        snprintf(line, sizeof(line),
                 "%.128s: %s cannot change without a restart: \"%.128s\" "
                 "stays, and not \"%.128s\"",
                 agent->config_path, field, old, *now);
        say(verdict, line);
    }
    *now = old;
}

static bool same_dns(const agent_config_dns_t *a, const agent_config_dns_t *b) {
    const char *x = a->servers ? a->servers : "";
    const char *y = b->servers ? b->servers : "";

    return strcmp(x, y) == 0 && a->min_ttl_ms == b->min_ttl_ms &&
           a->max_ttl_ms == b->max_ttl_ms && a->timeout_ms == b->timeout_ms;
}

static void keep_dns(const agent_t *agent, agent_config_t *config,
                     arena_t *arena, verdict_t *verdict) {
    const agent_config_dns_t *old = &agent->config->dns;
    char line[256];

    if (!same_dns(old, &config->dns)) {
        snprintf(line, sizeof(line),
                 "%.128s: dns cannot change without a restart: what it was "
                 "stays",
                 agent->config_path);
        say(verdict, line);
    }
    config->dns = *old;
    config->dns.servers =
        old->servers ? arena_strdup(arena, old->servers) : NULL;
}

static void keep_node(const agent_t *agent, agent_config_t *config,
                      arena_t *arena, verdict_t *verdict) {
    const model_locality_t *old = &agent->config->node;
    char line[256];

    mesh_str_t local = agent->config->local_cluster;

    if (!model_locality_eq(old, &config->node) ||
        !mesh_str_eq(local, config->local_cluster)) {
        snprintf(line, sizeof(line),
                 "%.128s: node cannot change without a restart: what it was "
                 "stays",
                 agent->config_path);
        say(verdict, line);
    }
    config->node = (model_locality_t){arena_str(arena, old->region),
                                      arena_str(arena, old->zone),
                                      arena_str(arena, old->sub_zone)};
    config->local_cluster = arena_str(arena, local);
}

static void keep_fixed(const agent_t *agent, agent_config_t *config,
                       arena_t *arena, verdict_t *verdict) {
    const agent_config_t *old = agent->config;
    char line[256];

    /* One that follows the zone was not asked for by itself. */
    if (!config->socket_said) {
        config->socket_path = old->socket_path;
    }
    keep_text(agent, verdict, "zone", old->zone, &config->zone);
    keep_text(agent, verdict, "state", old->state, &config->state);
    keep_text(agent, verdict, "socket.path", old->socket_path,
              &config->socket_path);
    if (config->capacity != old->capacity) {
        snprintf(line, sizeof(line),
                 "%.128s: capacity cannot change without a restart: %llu "
                 "bytes stay",
                 agent->config_path, (unsigned long long)old->capacity);
        say(verdict, line);
        config->capacity = old->capacity;
    }
    keep_dns(agent, config, arena, verdict);
    keep_node(agent, config, arena, verdict);
    config->zone = arena_strdup(arena, config->zone);
    config->state = arena_strdup(arena, config->state);
    config->socket_path = arena_strdup(arena, config->socket_path);
}

/* In the order of what can fail; false: nothing has changed. */
static bool take(agent_t *agent, const agent_config_t *config, char *error,
                 size_t size) {
    ctl_group_t group;

    if (!ctl_group_find(config->socket_group, &group, error, size) ||
        !agent_sources_change(agent, config, error, size)) {
        return false;
    }
    ctl_server_set_group(agent->ctl, &group);
    agent_log_setup(config->log_level, config->log_format);
    agent->debounce.quiet_ms = config->debounce_quiet_ms;
    agent->debounce.bound_ms = config->debounce_bound_ms;
    return true;
}

static bool read_config(agent_t *agent, arena_t *arena, verdict_t *verdict) {
    model_errors_t errors;
    char error[512];

    model_errors_init(&errors, arena);
    agent_config_t *config =
        agent_config_read(arena, agent->config_path, &errors);
    if (config == NULL) {
        agent_errors_text(&errors, NULL, verdict->text, sizeof(verdict->text));
        return false;
    }
    keep_fixed(agent, config, arena, verdict);
    if (!take(agent, config, error, sizeof(error))) {
        verdict->used = 0;
        say(verdict, error);
        return false;
    }
    agent->config = config;
    return true;
}

static void log_verdict(const verdict_t *verdict, bool ok) {
    const char *line = verdict->text;

    while (*line) {
        char text[1024];
        size_t len = strcspn(line, "\n");
        snprintf(text, sizeof(text), "%.*s", (int)len, line);
        if (ok) {
            agent_log(AGENT_LOG_WARN, "a change needs a restart",
                      agent_s("what", text));
        } else {
            agent_log(AGENT_LOG_ERROR,
                      "agent.yaml refused; the old one stays in force",
                      agent_s("error", text));
        }
        line += len + (line[len] == '\n');
    }
}

bool agent_reload(agent_t *agent) {
    arena_t *arena = arena_new();
    verdict_t *verdict = calloc(1, sizeof(*verdict));

    if (verdict == NULL) {
        abort();
    }
    bool ok = read_config(agent, arena, verdict);
    if (ok) {
        arena_free(agent->config_arena);
        agent->config_arena = arena;
        agent_sources_forget(agent);
        agent_log(AGENT_LOG_INFO, "agent.yaml read again",
                  agent_u("sources", agent->nsources));
    } else {
        arena_free(arena);
    }
    log_verdict(verdict, ok);
    free(agent->config_verdict);
    agent->config_verdict = strdup(verdict->text);
    if (agent->config_verdict == NULL) {
        abort();
    }
    free(verdict);
    agent_sources_reload(agent);
    return ok;
}
