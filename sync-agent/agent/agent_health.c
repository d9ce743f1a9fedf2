/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Health words: they follow what is published, and `drain` and `undrain`
 * change them.  No generation comes of that: workers see the words.
 */

#include <stdio.h>

#include "agent.h"
#include "ctl_table.h"
#include "ctl_workers.h"

health_root_t agent_health_root(const agent_t *agent) {
    health_root_t root;

    root.root = publisher_root(agent->publisher, &root.s);
    return root;
}

void agent_health_follow(agent_t *agent) {
    health_root_t root = agent_health_root(agent);
    ctl_workers_t workers;

    if (!health_follows(agent->health)) {
        return;
    }
    (void)ctl_workers_read(agent->config->zone, 0, &workers);
    if (health_follow(agent->health, &root,
                      workers.live ? workers.oldest : UINT64_MAX)) {
        publisher_ring(agent->publisher);
    }
}

static ctl_drained_t look(const agent_t *agent, const health_target_t *target) {
    ctl_drained_t drained;

    (void)ctl_workers_drained(agent->config->zone, target->changes,
                              target->slot, target->tag, &drained);
    return drained;
}

static bool is_done(const agent_waiter_t *waiter,
                    const ctl_drained_t *drained) {
    return drained->applied == drained->live &&
           (!waiter->idle || drained->in_flight == 0);
}

bool agent_health_done(const agent_t *agent, const agent_waiter_t *waiter) {
    ctl_drained_t drained = look(agent, &waiter->target);

    return is_done(waiter, &drained);
}

static cJSON *answer_of(const char *outcome, const ctl_drained_t *drained) {
    cJSON *json = cJSON_CreateObject();

    cJSON_AddTrueToObject(json, "ok");
    cJSON_AddStringToObject(json, "outcome", outcome);
    ctl_json_u64(json, "in_flight", drained->in_flight);
    return json;
}

static cJSON *late_answer(const ctl_drained_t *drained) {
    char text[128];

    if (drained->applied < drained->live) {
        snprintf(text, sizeof(text),
                 "done, but %u of %u workers have not taken it in time",
                 drained->live - drained->applied, drained->live);
    } else {
        snprintf(text, sizeof(text),
                 "drained, but attempts were still in flight when the time "
                 "was over: %u",
                 drained->in_flight);
    }
    cJSON *json = ctl_refusal(text);
    ctl_json_u64(json, "in_flight", drained->in_flight);
    return json;
}

void agent_health_answer(agent_t *agent, const agent_waiter_t *waiter) {
    ctl_drained_t drained = look(agent, &waiter->target);
    cJSON *json =
        is_done(waiter, &drained)
            ? answer_of(waiter->idle ? "drained" : "undrained", &drained)
            : late_answer(&drained);

    cJSON_AddBoolToObject(json, "applied", drained.applied == drained.live);
    cJSON *workers = cJSON_AddObjectToObject(json, "workers");
    ctl_json_u64(workers, "live", drained.live);
    ctl_json_u64(workers, "applied", drained.applied);
    ctl_server_answer(agent->ctl, waiter->id, json);
}

void agent_health_request(agent_t *agent, ctl_id_t id,
                          const ctl_request_t *request) {
    bool drain = request->command == CTL_DRAIN;
    health_root_t root = agent_health_root(agent);
    char error[HEALTH_ERROR_MAX];
    health_target_t target;

    mesh_status_t status =
        health_drain(agent->health, &root, request->cluster, request->endpoint,
                     drain, &target, error);
    if (status == MESH_OK) {
        publisher_ring(agent->publisher);
    } else if (status != MESH_DECLINED) {
        ctl_server_answer(agent->ctl, id, ctl_refusal(error));
        return;
    }
    if (!request->applied) {
        ctl_drained_t drained = look(agent, &target);
        const char *outcome = drain ? "drained" : "undrained";
        ctl_server_answer(
            agent->ctl, id,
            answer_of(status == MESH_OK ? outcome : "unchanged", &drained));
        return;
    }
    agent_waiter_t *waiter = agent_control_wait(agent, id, request);
    if (waiter != NULL) {
        waiter->ticket = 0;
        waiter->health = true;
        waiter->idle = drain;
        waiter->target = target;
        waiter->deadline_ms = agent_now_ms() + request->timeout_ms;
    }
}
