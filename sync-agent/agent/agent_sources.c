/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The agent's sources: those of agent.yaml, opened, read again, and changed
 * when agent.yaml does.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent.h"
#include "source_dns.h"

static bool same_source(const agent_config_source_t *a,
                        const agent_config_source_t *b) {
    return a->kind == b->kind && strcmp(a->path, b->path) == 0;
}

/* One that runs and is in no new list yet, or NULL. */
static source_t *take_running(const agent_t *agent, bool *taken,
                              const agent_config_source_t *config) {
    for (uint32_t i = 0; i < agent->nsources; i++) {
        if (!taken[i] && same_source(&agent->config->sources[i], config)) {
            taken[i] = true;
            return agent->sources[i];
        }
    }
    return NULL;
}

static source_t *open_source(agent_t *agent,
                             const agent_config_source_t *config, char *error,
                             size_t size) {
    const source_ops_t *ops = source_ops[config->kind];
    const char *why = "failed";
    source_t *source = ops->open(config, &agent->sink, &why);

    if (source != NULL && agent_watch(agent, ops->fd(source), source)) {
        return source;
    }
    snprintf(error, size, "source %s cannot be opened: %s: %s", config->path,
             why, strerror(errno));
    if (source != NULL) {
        ops->close(source);
    }
    return NULL;
}

static void close_some(source_t *const *sources, uint32_t count,
                       const bool *keep) {
    for (uint32_t i = 0; i < count; i++) {
        if (!keep[i]) {
            sources[i]->ops->close(sources[i]);
        }
    }
}

bool agent_sources_change(agent_t *agent, const agent_config_t *config,
                          char *error, size_t size) {
    bool taken[AGENT_SOURCES_MAX] = {false}; /* of those that run */
    bool old[AGENT_SOURCES_MAX] = {false};   /* of the new list */
    source_t *sources[AGENT_SOURCES_MAX];

    for (uint32_t i = 0; i < config->nsources; i++) {
        source_t *source = take_running(agent, taken, &config->sources[i]);
        old[i] = source != NULL;
        if (source == NULL) {
            source = open_source(agent, &config->sources[i], error, size);
        }
        if (source == NULL) {
            close_some(sources, i, old);
            return false;
        }
        sources[i] = source;
    }
    close_some(agent->sources, agent->nsources, taken);
    memcpy(agent->sources, sources, config->nsources * sizeof(sources[0]));
    agent->nsources = config->nsources;
    agent->sources_changed = true;
    return true;
}

void agent_sources_reload(agent_t *agent) {
    for (uint32_t i = 0; i < agent->nsources; i++) {
        agent->sources[i]->ops->reload(agent->sources[i], agent_now_ms());
    }
}

void agent_sources_close(agent_t *agent) {
    static const bool none[AGENT_SOURCES_MAX];

    close_some(agent->sources, agent->nsources, none);
    agent->nsources = 0;
}

bool agent_sources_claim(const agent_t *agent, const char *part) {
    for (uint32_t i = 0; i < agent->config->nsources; i++) {
        const agent_config_source_t *config = &agent->config->sources[i];
        if (source_ops[config->kind]->claims(config, part)) {
            return true;
        }
    }
    return agent_control_is_stream(agent, part) ||
           strcmp(part, SOURCE_DNS_PART) == 0;
}

void agent_sources_forget(agent_t *agent) {
    /* Telling that a part is gone leaves its row where it is. */
    for (uint32_t i = 0; i < agent->parts.count; i++) {
        const char *part = agent->parts.v[i].name;
        if (!agent_sources_claim(agent, part)) {
            agent->sink.gone(agent->sink.ctx, part, false,
                             "agent.yaml has no source of it any more");
        }
    }
}
