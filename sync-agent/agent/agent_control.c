/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is asked over agent.sock.  A request that changes the mesh is
 * answered after the publishing it took part in, and with "wait": "applied"
 * after all live workers have adopted that.
 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent.h"
#include "agent_report.h"
#include "agent_resources.h"
#include "agent_version.h"
#include "ctl_table.h"
#include "ctl_workers.h"

#define STREAM_PREFIX "stream:"
#define POLL_MS 2    /* the workers' acknowledgement is a word in their slots */
#define OWED_MS 1000 /* journals that could not be written are tried again */

static void refuse(agent_t *agent, ctl_id_t id, const char *text) {
    ctl_server_answer(agent->ctl, id, ctl_refusal(text));
}

/* It is not the request's fault: it may be taken later. */
static cJSON *not_now(const char *text) {
    cJSON *json = ctl_refusal(text);

    cJSON_AddTrueToObject(json, "retry");
    return json;
}

static void refuse_now(agent_t *agent, ctl_id_t id, const char *text) {
    ctl_server_answer(agent->ctl, id, not_now(text));
}

/* The lines of a text as a list. */
static void add_lines(cJSON *json, const char *key, const char *text) {
    cJSON *list = cJSON_AddArrayToObject(json, key);

    while (*text) {
        size_t len = strcspn(text, "\n");
        char *line = strndup(text, len);
        if (line != NULL) {
            cJSON_AddItemToArray(list, cJSON_CreateString(line));
        }
        free(line);
        text += len + (text[len] == '\n');
    }
}

static ctl_workers_t add_workers(const agent_t *agent, cJSON *json,
                                 uint64_t generation) {
    ctl_workers_t workers;

    (void)ctl_workers_read(agent->config->zone, generation, &workers);
    cJSON *item = cJSON_AddObjectToObject(json, "workers");
    ctl_json_u64(item, "live", workers.live);
    ctl_json_u64(item, "applied", workers.applied);
    ctl_json_u64(item, "oldest_generation", workers.oldest);
    return workers;
}

static cJSON *part_json(const agent_part_t *row, bool resources) {
    cJSON *item = cJSON_CreateObject();
    uint32_t more;

    cJSON_AddStringToObject(item, "name", row->name);
    cJSON_AddStringToObject(item, "state", agent_part_state(row));
    cJSON_AddBoolToObject(item, "last_good", row->good != NULL);
    cJSON_AddStringToObject(item, "version", agent_resources_version(row));
    ctl_json_u64(item, "good_ms", row->good_ms);
    ctl_json_u64(item, "verdict_ms", row->verdict_ms);
    add_lines(item, "verdict", row->verdict);
    if (resources) {
        cJSON_AddItemToObject(item, "resources",
                              agent_resources_json(row, &more));
        ctl_json_u64(item, "resources_left_out", more);
    }
    return item;
}

static void answer_status(agent_t *agent, ctl_id_t id,
                          const ctl_request_t *request) {
    publisher_info_t info;
    char text[PUBLISH_TEXT_MAX];
    cJSON *json = cJSON_CreateObject();

    publisher_info(agent->publisher, &info);
    cJSON_AddTrueToObject(json, "ok");
    cJSON_AddStringToObject(json, "version", MESH_VERSION_TEXT);
    cJSON_AddStringToObject(json, "zone", agent->config->zone);
    ctl_json_u64(json, "pid", (uint64_t)getpid());
    ctl_json_u64(json, "started_ms", agent->started_ms);
    ctl_json_u64(json, "generation", info.generation);
    ctl_json_u64(json, "published_ms", info.time_ms);
    cJSON_AddBoolToObject(json, "pinned", info.flags & MESH_ROOT_PINNED);
    cJSON_AddBoolToObject(json, "rolled_back",
                          info.flags & MESH_ROOT_ROLLED_BACK);
    cJSON_AddBoolToObject(json, "cold", info.flags & MESH_ROOT_COLD);
    ctl_json_u64(json, "history", info.history);
    ctl_json_u64(json, "size", info.size);
    ctl_json_u64(json, "capacity", info.capacity);
    ctl_json_u64(json, "compactions", info.compactions);
    ctl_json_u64(json, "last_good_ms", info.last_good_ms);
    ctl_json_u64(json, "publishes", agent->publishes);
    ctl_json_u64(json, "drained", health_drained(agent->health));
    const char *held = agent_held_by(agent);
    if (held != NULL) {
        cJSON_AddStringToObject(json, "held_by", held);
    }
    if (publisher_held(agent->publisher, text)) {
        cJSON_AddStringToObject(json, "held", text);
    }
    add_lines(json, "configuration",
              agent->config_verdict ? agent->config_verdict : "");
    (void)add_workers(agent, json, info.generation);
    cJSON *parts = cJSON_AddArrayToObject(json, "parts");
    for (uint32_t i = 0; i < agent->parts.count; i++) {
        cJSON_AddItemToArray(parts,
                             part_json(&agent->parts.v[i], request->resources));
    }
    agent_report(agent, request->names, parts);
    ctl_server_answer(agent->ctl, id, json);
}

/* --- waiting --------------------------------------------------------------*/

agent_waiter_t *agent_control_wait(agent_t *agent, ctl_id_t id,
                                   const ctl_request_t *request) {
    if (agent->nwaiters == AGENT_WAITERS_MAX) {
        refuse_now(agent, id, "too many requests wait");
        return NULL;
    }
    agent_waiter_t *waiter = &agent->waiters[agent->nwaiters++];
    *waiter = (agent_waiter_t){.id = id,
                               .ticket = agent->tickets + 1,
                               .applied = request->applied,
                               .timeout_ms = request->timeout_ms};
    return waiter;
}

static cJSON *published_json(const agent_t *agent, uint64_t generation) {
    static const char *const outcomes[] = {
        [PUBLISH_DONE] = "published",
        [PUBLISH_UNCHANGED] = "unchanged",
        [PUBLISH_REFUSED] = "refused",
    };
    cJSON *json = cJSON_CreateObject();

    cJSON_AddBoolToObject(json, "ok", agent->last.outcome != PUBLISH_REFUSED);
    cJSON_AddStringToObject(json, "outcome", outcomes[agent->last.outcome]);
    ctl_json_u64(json, "generation", generation);
    if (agent->last.outcome == PUBLISH_REFUSED) {
        cJSON_AddStringToObject(json, "error", agent->last.text);
    }
    return json;
}

static bool waits_for_part(const agent_waiter_t *waiter) {
    return waiter->part[0] != '\0';
}

static cJSON *answer_published(const agent_t *agent,
                               const agent_waiter_t *waiter) {
    cJSON *json = published_json(agent, waiter->generation);
    publisher_info_t info;

    publisher_info(agent->publisher, &info);
    if (waits_for_part(waiter) && (info.flags & MESH_ROOT_PINNED)) {
        cJSON_AddTrueToObject(json, "pinned");
    }
    if (waiter->reload) {
        add_lines(json, "verdict", agent->config_verdict);
    }
    if (waiter->applied) {
        ctl_workers_t workers = add_workers(agent, json, waiter->generation);
        bool applied = workers.applied == workers.live;
        cJSON_AddBoolToObject(json, "applied", applied);
        if (!applied) {
            cJSON_ReplaceItemInObject(json, "ok", cJSON_CreateFalse());
            cJSON_AddStringToObject(json, "error",
                                    "published, but not all workers have "
                                    "adopted it in time");
        }
    }
    return json;
}

/* What the caller sent cannot be published: it is given up whole. */
static cJSON *answer_refused_part(const agent_t *agent,
                                  const agent_part_t *row) {
    cJSON *json = cJSON_CreateObject();

    cJSON_AddFalseToObject(json, "ok");
    cJSON_AddStringToObject(json, "outcome", "refused");
    cJSON_AddStringToObject(json, "error", "the part is refused");
    ctl_json_u64(json, "generation", agent->last.generation);
    add_lines(json, "verdict", row->verdict);
    return json;
}

/* The publisher could not, whatever it was: a full disk, an older worker. */
static bool is_refused_for_now(const agent_t *agent, const agent_part_t *row) {
    return agent->last.outcome == PUBLISH_REFUSED && agent->last.later &&
           strcmp(row->verdict, agent->last.text) == 0;
}

/* NULL: it waits for workers, until then. */
static cJSON *answer_waiter(const agent_t *agent, agent_waiter_t *waiter,
                            uint64_t now_ms) {
    const agent_part_t *row =
        waits_for_part(waiter) ? agent_parts_find(&agent->parts, waiter->part)
                               : NULL;

    waiter->ticket = 0;
    waiter->generation = agent->last.generation;
    if (row != NULL && row->state == PART_REFUSED &&
        !is_refused_for_now(agent, row)) {
        return answer_refused_part(agent, row);
    }
    if (row != NULL && row->state != PART_IN_FORCE) {
        const char *why = agent->last.text;
        return not_now(why[0] ? why : "publishing is held; see meshctl status");
    }
    if (!waiter->applied) {
        return answer_published(agent, waiter);
    }
    waiter->deadline_ms = now_ms + waiter->timeout_ms;
    return NULL;
}

static void forget_restored(agent_stream_t *s) {
    source_bundle_free(s->restored);
    s->restored = NULL;
}

/* What is in force is written down before anybody is told so. */
static void keep_streams(agent_t *agent) {
    for (uint32_t i = 0; i < agent->nstreams; i++) {
        agent_stream_t *s = &agent->streams[i];
        const agent_part_t *row =
            agent_parts_find(&agent->parts, source_stream_name(s->stream));
        if (row == NULL) {
            source_stream_restore(s->stream, NULL);
            agent_journal_remove(&s->journal);
            forget_restored(s);
        } else if (row->state == PART_IN_FORCE) {
            agent_journal_commit(&s->journal);
            forget_restored(s);
        }
        if (s->journal.owed.len > 0 && agent->owed_ms == AGENT_IDLE) {
            agent->owed_ms = agent_now_ms() + OWED_MS;
        }
    }
}

/*
 * What an earlier agent had in force and this one not yet, as it was held, or
 * does not fit now, goes on waiting; nobody was told that it is refused.
 */
static void go_back_to_restored(agent_t *agent, agent_stream_t *s,
                                const agent_part_t *row) {
    if (s->journal.pending.len == 0 && !row->leaving) {
        return;
    }
    source_stream_restore(s->stream, s->restored);
    agent_journal_drop(&s->journal);
    agent->sink.part(agent->sink.ctx, source_stream_name(s->stream),
                     source_stream_bundle(s->stream));
}

/*
 * What a publishing did not take is given up, since its callers were told
 * so; the stream goes back to what is in force.
 */
static void give_up_streams(agent_t *agent) {
    for (uint32_t i = 0; i < agent->nstreams; i++) {
        agent_stream_t *s = &agent->streams[i];
        const char *name = source_stream_name(s->stream);
        agent_part_t *row = agent_parts_find(&agent->parts, name);
        if (row == NULL || (row->next == NULL && !row->leaving)) {
            continue;
        }
        if (row->good == NULL && s->restored != NULL) {
            go_back_to_restored(agent, s, row);
        } else {
            source_stream_restore(s->stream, row->good);
            agent_journal_drop(&s->journal);
            agent_parts_withdraw(&agent->parts, name);
        }
    }
}

/*
 * An answer may bring the next request at once, which may be of a part whose
 * candidate is given up here, or publish: so answers come last.
 */
void agent_control_published(agent_t *agent, uint64_t now_ms) {
    struct {
        ctl_id_t id;
        cJSON *json;
    } answers[AGENT_WAITERS_MAX];
    uint64_t ticket = ++agent->tickets;
    uint32_t count = 0;

    keep_streams(agent);
    for (uint32_t i = 0; i < agent->nwaiters;) {
        agent_waiter_t *waiter = &agent->waiters[i];
        cJSON *json = NULL;
        if (waiter->ticket != 0 && waiter->ticket <= ticket) {
            json = answer_waiter(agent, waiter, now_ms);
        }
        if (json != NULL) {
            answers[count].id = waiter->id;
            answers[count++].json = json;
            *waiter = agent->waiters[--agent->nwaiters];
        } else {
            i++;
        }
    }
    give_up_streams(agent);
    for (uint32_t i = 0; i < count; i++) {
        ctl_server_answer(agent->ctl, answers[i].id, answers[i].json);
    }
    /* Without threads nobody else says that it has ended. */
    agent_control_collect(agent, false);
    agent_control_tick(agent, now_ms);
}

/* All is done, or its time is over. */
static bool waiter_done(const agent_t *agent, const agent_waiter_t *waiter,
                        uint64_t now_ms) {
    ctl_workers_t workers;

    if (waiter->ticket != 0) {
        return false;
    }
    if (now_ms >= waiter->deadline_ms) {
        return true;
    }
    if (waiter->health) {
        return agent_health_done(agent, waiter);
    }
    (void)ctl_workers_read(agent->config->zone, waiter->generation, &workers);
    return workers.applied == workers.live;
}

/* A disk that was full may have room again, with nothing else to publish. */
static void write_owed(agent_t *agent, uint64_t now_ms) {
    agent->owed_ms = AGENT_IDLE;
    for (uint32_t i = 0; i < agent->nstreams; i++) {
        agent_journal_t *journal = &agent->streams[i].journal;
        if (journal->owed.len > 0) {
            agent_journal_retry(journal);
        }
        if (journal->owed.len > 0) {
            agent->owed_ms = now_ms + OWED_MS;
        }
    }
}

void agent_control_tick(agent_t *agent, uint64_t now_ms) {
    if (agent->owed_ms <= now_ms) {
        write_owed(agent, now_ms);
    }
    for (uint32_t i = 0; i < agent->nwaiters;) {
        agent_waiter_t waiter = agent->waiters[i];
        if (!waiter_done(agent, &waiter, now_ms)) {
            i++;
            continue;
        }
        /* Gone first: an answer may bring the next request at once. */
        agent->waiters[i] = agent->waiters[--agent->nwaiters];
        if (waiter.health) {
            agent_health_answer(agent, &waiter);
        } else {
            ctl_server_answer(agent->ctl, waiter.id,
                              answer_published(agent, &waiter));
        }
    }
}

uint64_t agent_control_due(const agent_t *agent) {
    for (uint32_t i = 0; i < agent->nwaiters; i++) {
        if (agent->waiters[i].ticket == 0) {
            return agent_now_ms() + POLL_MS;
        }
    }
    return agent->owed_ms;
}

/* --- parts over the socket ------------------------------------------------*/

/* Of a part as requests name it, as the mesh does. */
static void stream_name(const char *part, char name[AGENT_NAME_MAX]) {
    snprintf(name, AGENT_NAME_MAX, STREAM_PREFIX "%s", part);
}

static agent_stream_t *find_stream(agent_t *agent, const char *name) {
    for (uint32_t i = 0; i < agent->nstreams; i++) {
        agent_stream_t *s = &agent->streams[i];
        if (strcmp(source_stream_name(s->stream), name) == 0) {
            return s;
        }
    }
    return NULL;
}

/* Its part was removed, or was never in force: it may be another one's. */
static bool is_free(const agent_t *agent, const agent_stream_t *s) {
    const agent_journal_t *journal = &s->journal;

    return agent_parts_find(&agent->parts, source_stream_name(s->stream)) ==
               NULL &&
           s->restored == NULL && journal->compaction == NULL &&
           journal->size == 0 && journal->pending.len == 0 &&
           journal->owed.len == 0;
}

static void stream_close(agent_stream_t *s) {
    source_stream_free(s->stream);
    source_bundle_free(s->restored);
    agent_journal_free(&s->journal);
}

static agent_stream_t *take_place(agent_t *agent) {
    if (agent->nstreams < AGENT_STREAMS_MAX) {
        return &agent->streams[agent->nstreams++];
    }
    for (uint32_t i = 0; i < agent->nstreams; i++) {
        if (is_free(agent, &agent->streams[i])) {
            stream_close(&agent->streams[i]);
            return &agent->streams[i];
        }
    }
    return NULL;
}

/* Made if there is none; NULL: there are too many. */
static agent_stream_t *stream_of(agent_t *agent, const char *part) {
    char name[AGENT_NAME_MAX];

    stream_name(part, name);
    agent_stream_t *s = find_stream(agent, name);
    if (s != NULL) {
        return s;
    }
    source_stream_t *stream = source_stream_new(name);
    s = stream != NULL ? take_place(agent) : NULL;
    if (s == NULL) {
        if (stream != NULL) {
            source_stream_free(stream);
        }
        return NULL;
    }
    *s = (agent_stream_t){.stream = stream};
    agent_journal_init(&s->journal, agent->config->state, part);
    s->journal.job = &agent->journal_job;
    return s;
}

bool agent_control_is_stream(const agent_t *agent, const char *part) {
    return find_stream((agent_t *)agent, part) != NULL;
}

static bool stream_take(source_stream_t *stream, const ctl_request_t *request,
                        model_errors_t *errors) {
    if (request->format == CTL_LINES) {
        return source_stream_change(stream, request->body, agent_unix_ms(),
                                    errors);
    }
    return source_stream_replace(stream, request->body,
                                 request->format == CTL_JSON, agent_unix_ms(),
                                 errors);
}

static bool is_undecided(const agent_t *agent, const char *name) {
    for (uint32_t i = 0; i < agent->nwaiters; i++) {
        const agent_waiter_t *waiter = &agent->waiters[i];
        if (waiter->ticket != 0 && strcmp(waiter->part, name) == 0) {
            return true;
        }
    }
    return false;
}

/*
 * One request of a part at a time: what two of them make together says
 * nothing of either, and a removal is not undone by what comes behind it.
 */
static void decide_first(agent_t *agent, const char *name) {
    while (is_undecided(agent, name)) {
        agent_mesh_publish(agent);
    }
}

/* Where each error is, for who sent lines and knows them by other numbers. */
static void add_errors(cJSON *json, const model_errors_t *errors) {
    cJSON *list = cJSON_AddArrayToObject(json, "errors");
    char text[2048];

    for (const model_error_t *e = errors->first; e; e = e->next) {
        if (e->warning) {
            continue;
        }
        cJSON *item = cJSON_CreateObject();
        (void)model_error_sentence(e, text, sizeof(text));
        ctl_json_u64(item, "line", e->line);
        ctl_json_u64(item, "column", e->column);
        cJSON_AddStringToObject(item, "text", text);
        cJSON_AddItemToArray(list, item);
    }
}

static void answer_errors(agent_t *agent, ctl_id_t id, bool lines,
                          const model_errors_t *errors) {
    char text[AGENT_VERDICT_MAX];
    cJSON *json = ctl_refusal("the part is refused");
    publisher_info_t info;

    publisher_info(agent->publisher, &info);
    agent_errors_text(errors, NULL, text, sizeof(text));
    cJSON_AddStringToObject(json, "outcome", "refused");
    ctl_json_u64(json, "generation", info.generation);
    add_lines(json, "verdict", text);
    if (lines) {
        add_errors(json, errors);
    }
    ctl_server_answer(agent->ctl, id, json);
}

static void do_apply(agent_t *agent, ctl_id_t id,
                     const ctl_request_t *request) {
    arena_t *arena = arena_new();
    model_errors_t errors;

    model_errors_init(&errors, arena);
    char name[AGENT_NAME_MAX];
    stream_name(request->part, name);
    decide_first(agent, name);
    agent_stream_t *s = stream_of(agent, request->part);
    if (s == NULL) {
        refuse(agent, id, "too many parts: 64 are applied already");
    } else if (agent->nwaiters == AGENT_WAITERS_MAX) {
        refuse_now(agent, id, "too many requests wait");
    } else if (!stream_take(s->stream, request, &errors)) {
        answer_errors(agent, id, request->format == CTL_LINES, &errors);
    } else {
        agent_waiter_t *waiter = agent_control_wait(agent, id, request);
        snprintf(waiter->part, sizeof(waiter->part), "%s", name);
        agent_journal_add(&s->journal, request);
        agent->sink.part(agent->sink.ctx, name,
                         source_stream_bundle(s->stream));
    }
    arena_free(arena);
}

static void do_remove(agent_t *agent, ctl_id_t id,
                      const ctl_request_t *request) {
    char name[AGENT_NAME_MAX];

    stream_name(request->part, name);
    decide_first(agent, name);
    if (!agent_control_is_stream(agent, name) ||
        agent_parts_find(&agent->parts, name) == NULL) {
        refuse(agent, id, "there is no such part");
        return;
    }
    agent_waiter_t *waiter = agent_control_wait(agent, id, request);
    if (waiter != NULL) {
        snprintf(waiter->part, sizeof(waiter->part), "%s", name);
        agent->sink.gone(agent->sink.ctx, name, false, "removed by meshctl");
    }
}

/* --- policy ---------------------------------------------------------------*/

static publish_outcome_e change_policy(agent_t *agent,
                                       const ctl_request_t *request,
                                       const publish_request_t *publish,
                                       publish_result_t *result) {
    switch (request->command) {
    case CTL_ROLLBACK:
        return publisher_rollback(agent->publisher, request->generation,
                                  publish, result);
    case CTL_PIN:
        return publisher_pin(agent->publisher, publish, result);
    default:
        return publisher_unpin(agent->publisher, publish, result);
    }
}

static void do_policy(agent_t *agent, ctl_id_t id,
                      const ctl_request_t *request) {
    char reason[96];
    char error[PUBLISH_TEXT_MAX];
    publish_request_t publish = {.errors = NULL};
    publish_result_t result = {0};

    snprintf(reason, sizeof(reason), "%s", ctl_command_name(request->command));
    if (request->command == CTL_ROLLBACK) {
        snprintf(reason, sizeof(reason), "rollback to generation %llu",
                 (unsigned long long)request->generation);
    }
    if (!agent_mesh_request(agent, reason, &publish, error, sizeof(error))) {
        refuse(agent, id, error);
        return;
    }
    publish_outcome_e outcome =
        change_policy(agent, request, &publish, &result);
    /* A rollback that cannot be must not put a verdict on parts. */
    if (outcome == PUBLISH_REFUSED) {
        agent_log(AGENT_LOG_ERROR, reason, agent_s("error", result.text));
        refuse(agent, id, result.text);
        agent_debounce_change(&agent->debounce, agent_now_ms());
        return;
    }
    agent_log(AGENT_LOG_INFO, reason, agent_u("generation", result.generation));
    agent_mesh_finish(agent, outcome, &result);
    (void)agent_control_wait(agent, id, request);
    agent_control_published(agent, agent_now_ms());
}

static void do_reload(agent_t *agent, ctl_id_t id,
                      const ctl_request_t *request) {
    bool ok = agent_reload(agent);

    if (!ok) {
        cJSON *json = ctl_refusal("agent.yaml is refused, and the old one "
                                  "stays in force; sources were read again");
        add_lines(json, "verdict", agent->config_verdict);
        ctl_server_answer(agent->ctl, id, json);
    } else {
        agent_waiter_t *waiter = agent_control_wait(agent, id, request);
        if (waiter != NULL) {
            waiter->reload = true;
        }
    }
    agent_mesh_publish_read(agent);
}

void agent_control_request(void *ctx, ctl_id_t id,
                           const ctl_request_t *request) {
    agent_t *agent = ctx;

    switch (request->command) {
    case CTL_STATUS:
        answer_status(agent, id, request);
        break;
    case CTL_APPLY:
        do_apply(agent, id, request);
        break;
    case CTL_REMOVE:
        do_remove(agent, id, request);
        break;
    case CTL_RELOAD:
        do_reload(agent, id, request);
        break;
    case CTL_DRAIN:
    case CTL_UNDRAIN:
        agent_health_request(agent, id, request);
        break;
    default:
        do_policy(agent, id, request);
    }
}

/* --- the next agent -------------------------------------------------------*/

static void restore_request(void *ctx, const ctl_request_t *request) {
    agent_stream_t *s = ctx;
    arena_t *arena = arena_new();
    model_errors_t errors;
    char text[1024];

    model_errors_init(&errors, arena);
    if (!stream_take(s->stream, request, &errors)) {
        agent_errors_text(&errors, NULL, text, sizeof(text));
        agent_log(AGENT_LOG_ERROR, "a kept request is refused now",
                  agent_s("part", request->part), agent_s("error", text));
    }
    arena_free(arena);
}

static void restore_part(void *ctx, const char *part) {
    agent_t *agent = ctx;
    agent_stream_t *s = stream_of(agent, part);

    if (s == NULL) {
        agent_log(AGENT_LOG_ERROR, "an applied part is not taken back",
                  agent_s("part", part), agent_s("error", "too many parts"));
    } else if (agent_journal_read(&s->journal, restore_request, s)) {
        s->restored = source_stream_bundle(s->stream);
        agent->sink.part(agent->sink.ctx, source_stream_name(s->stream),
                         source_stream_bundle(s->stream));
    }
}

void agent_control_restore(agent_t *agent) {
    agent_journal_list(agent->config->state, restore_part, agent);
}

void agent_control_collect(agent_t *agent, bool wait) {
    if (!agent->journal_job.running ||
        (!wait && !agent_job_ended(&agent->journal_job))) {
        return;
    }
    agent_job_join(&agent->journal_job);
    for (uint32_t i = 0; i < agent->nstreams; i++) {
        agent_journal_collect(&agent->streams[i].journal);
    }
}

void agent_control_close(agent_t *agent) {
    agent_control_collect(agent, true);
    write_owed(agent, 0);
    agent_control_collect(agent, true);
    agent_job_free(&agent->journal_job);
    for (uint32_t i = 0; i < agent->nstreams; i++) {
        stream_close(&agent->streams[i]);
    }
}
