/* SPDX-License-Identifier: Apache-2.0 */

/*
 * From parts to generations: what the sources say goes into the table of
 * parts, and what is right of it is published.
 */

#include "agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent_kept.h"
#include "agent_notify.h"
#include "source_dns.h"

#define REASON_MAX 256

publish_time_t agent_time(void) {
    return (publish_time_t){agent_unix_ms(), agent_now_ms()};
}

/* What names resolve to is a part itself, and has none. */
static void follow_names(agent_t *agent, const char *name) {
    if (strcmp(name, SOURCE_DNS_PART) != 0) {
        agent_names_follow(agent);
    }
}

static void on_part(void *ctx, const char *name, source_bundle_t *bundle) {
    agent_t *agent = ctx;

    agent_log(AGENT_LOG_DEBUG, "part read", agent_s("part", name));
    agent_parts_set(&agent->parts, name, bundle, agent_unix_ms());
    agent_debounce_change(&agent->debounce, agent_now_ms());
    follow_names(agent, name);
}

static void on_refused(void *ctx, const char *name,
                       const model_errors_t *errors) {
    agent_t *agent = ctx;

    agent_parts_refuse(&agent->parts, name, errors, agent_unix_ms());
    follow_names(agent, name);
}

static void on_gone(void *ctx, const char *name, bool keep,
                    const char *reason) {
    agent_t *agent = ctx;

    agent_parts_gone(&agent->parts, name, keep, reason, agent_unix_ms());
    if (!keep) {
        agent_debounce_change(&agent->debounce, agent_now_ms());
        follow_names(agent, name);
    }
}

void agent_mesh_init(agent_t *agent) {
    agent_parts_init(&agent->parts);
    agent->sink = (source_sink_t){
        .ctx = agent, .part = on_part, .refused = on_refused, .gone = on_gone};
    agent->debounce =
        (agent_debounce_t){.quiet_ms = agent->config->debounce_quiet_ms,
                           .bound_ms = agent->config->debounce_bound_ms};
    agent->tick_ms = AGENT_IDLE;
    agent->retry_ms = AGENT_IDLE;
    agent->owed_ms = AGENT_IDLE;
    agent->started_ms = agent_unix_ms();
}

/* What changed, for the root: the name of a part, or how many. */
static void reason_of(const agent_parts_t *parts, char reason[REASON_MAX]) {
    uint32_t n = 0;

    snprintf(reason, REASON_MAX, "nothing changed");
    for (uint32_t i = 0; i < parts->count; i++) {
        if (parts->v[i].listed && n++ == 0) {
            snprintf(reason, REASON_MAX, "%s%s", parts->v[i].name,
                     parts->v[i].leaving ? " removed" : "");
        }
    }
    if (n > 1) {
        snprintf(reason, REASON_MAX, "%u parts changed", n);
    }
}

/* Each publishing finds all of them again; they are told when they change. */
static void log_warnings(agent_t *agent, const model_errors_t *warnings) {
    char text[1024];
    uint64_t hash = 0;

    for (const model_error_t *e = warnings->first; e; e = e->next) {
        (void)model_error_text(e, text, sizeof(text));
        hash = hash * 31 + mesh_hash64(text, strlen(text));
    }
    if (hash == agent->warned) {
        return;
    }
    agent->warned = hash;
    for (const model_error_t *e = warnings->first; e; e = e->next) {
        (void)model_error_text(e, text, sizeof(text));
        agent_log(AGENT_LOG_WARN, "configuration", agent_s("warning", text));
    }
}

bool agent_mesh_request(agent_t *agent, const char *reason,
                        publish_request_t *request, char *error, size_t size) {
    agent_held_recognize(agent);
    do {
        (void)agent_parts_settle(&agent->parts, request->errors,
                                 agent_unix_ms());
    } while (agent_held_stand_in(agent, true) > 0);
    const char *held = agent_held_by(agent);
    if (held != NULL) {
        snprintf(error, size,
                 "held: part %s is in the published snapshot, its content now "
                 "is refused or not whole, and its last good is not known",
                 held);
        return false;
    }
    request->parts = agent->parts.list;
    request->nparts = agent->parts.nlist;
    request->reason = reason;
    request->now = agent_time();
    return true;
}

/* It is tried every second: said once, what is said again is no news. */
static agent_log_level_e refusal_level(const agent_t *agent, const char *text) {
    bool again = agent->last.outcome == PUBLISH_REFUSED &&
                 strcmp(agent->last.text, text) == 0;

    return again ? AGENT_LOG_DEBUG : AGENT_LOG_ERROR;
}

static void log_outcome(const agent_t *agent, agent_log_level_e level,
                        const char *reason, uint32_t nparts, uint64_t took_ms) {
    const publish_result_t *last = &agent->last;

    if (last->outcome == PUBLISH_REFUSED) {
        agent_log(level, "publishing refused",
                  agent_u("generation", last->generation),
                  agent_s("error", last->text));
    } else {
        bool done = last->outcome == PUBLISH_DONE;
        agent_log(done ? AGENT_LOG_INFO : AGENT_LOG_DEBUG,
                  done ? "published" : "unchanged",
                  agent_u("generation", last->generation),
                  agent_s("reason", reason), agent_u("parts", nparts),
                  agent_u("appended", last->appended),
                  agent_u("took_ms", took_ms));
    }
}

static void notify_status(const agent_t *agent) {
    char text[128];

    if (agent->last.generation == 0) {
        snprintf(text, sizeof(text), "STATUS=nothing is published yet");
    } else {
        snprintf(text, sizeof(text), "STATUS=generation %llu is published",
                 (unsigned long long)agent->last.generation);
    }
    (void)agent_notify(text);
}

/* What is in force is kept for the next agent; what left is not. */
static void keep_part(agent_t *agent, agent_part_t *row) {
    const model_part_t *part =
        row->good && row->good->count == 1 ? row->good->items[0]->part : NULL;

    if (part == NULL || part->text.len == 0 || row->kept == row->good ||
        agent_control_is_stream(agent, row->name)) {
        return;
    }
    row->kept = row->good;
    bool ok = agent_kept_write(agent->config->state, part);
    if (!ok && !agent->kept_failed) {
        agent_log(AGENT_LOG_WARN, "a part cannot be kept for the next agent",
                  agent_s("part", row->name),
                  agent_s("state", agent->config->state),
                  agent_s("errno", strerror(errno)));
    }
    agent->kept_failed = !ok;
}

static void accept_parts(agent_t *agent, uint64_t unix_ms) {
    for (uint32_t i = 0; i < agent->parts.count; i++) {
        const agent_part_t *row = &agent->parts.v[i];
        if (row->leaving && row->listed) {
            agent_kept_remove(agent->config->state, row->name);
        }
    }
    agent_parts_accept(&agent->parts, unix_ms);
    for (uint32_t i = 0; i < agent->parts.count; i++) {
        keep_part(agent, &agent->parts.v[i]);
    }
    agent_held_over(agent);
}

void agent_mesh_finish(agent_t *agent, publish_outcome_e outcome,
                       const publish_result_t *result) {
    publish_time_t now = agent_time();

    agent->last = *result;
    agent->last.outcome = outcome;
    agent->publishes++;
    agent_debounce_published(&agent->debounce, now.mono_ms);
    agent->retry_ms = AGENT_IDLE;
    if (outcome == PUBLISH_REFUSED) {
        agent_parts_reject(&agent->parts, agent->last.text, now.unix_ms);
        agent->retry_ms = now.mono_ms + AGENT_RETRY_MS;
    } else {
        accept_parts(agent, now.unix_ms);
        agent_names_follow(agent);
        agent_health_follow(agent);
        notify_status(agent);
    }
    /* What may wait does so until everybody has an answer. */
    agent->tick_ms = 0;
}

/*
 * A mesh of no parts comes after one that had some.  Before the first, it
 * would only make a beginning without content look like one that is done.
 */
static publish_outcome_e publish_some(agent_t *agent,
                                      const publish_request_t *request,
                                      publish_result_t *result) {
    publisher_info_t info;

    publisher_info(agent->publisher, &info);
    if (request->nparts == 0 && info.word == 0) {
        return PUBLISH_UNCHANGED;
    }
    return publisher_publish(agent->publisher, request, result);
}

void agent_mesh_publish(agent_t *agent) {
    char reason[REASON_MAX];
    char error[PUBLISH_TEXT_MAX];
    arena_t *arena = arena_new();
    model_errors_t warnings;
    publish_request_t request = {.errors = &warnings};
    publish_result_t result = {0};
    uint64_t begin = agent_now_ms();

    model_errors_init(&warnings, arena);
    if (!agent_mesh_request(agent, reason, &request, error, sizeof(error))) {
        agent_log(refusal_level(agent, error), "publishing held",
                  agent_s("why", error));
        agent_debounce_published(&agent->debounce, begin);
        /* A row brings a change when it is mended; what has none may not. */
        const char *held = agent_held_by(agent);
        if (held != NULL && agent_parts_find(&agent->parts, held) == NULL) {
            agent->retry_ms = begin + AGENT_RETRY_MS;
        }
        agent->last.outcome = PUBLISH_REFUSED;
        memcpy(agent->last.text, error, sizeof(error));
    } else {
        reason_of(&agent->parts, reason);
        publish_outcome_e outcome = publish_some(agent, &request, &result);
        uint32_t nparts = agent->parts.nlist;
        agent_log_level_e level = refusal_level(agent, result.text);
        agent_mesh_finish(agent, outcome, &result);
        log_warnings(agent, &warnings);
        log_outcome(agent, level, reason, nparts, agent_now_ms() - begin);
    }
    arena_free(arena);
    agent_control_published(agent, agent_now_ms());
}

void agent_mesh_publish_read(agent_t *agent) {
    if (agent_names_due(agent, 0) == 0) {
        agent_mesh_publish(agent);
    } else {
        agent_debounce_change(&agent->debounce, agent_now_ms());
    }
}
