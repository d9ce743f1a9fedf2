/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Outlier detection by consecutive failures.  Streaks are words of the
 * endpoint's slot that all workers share; the one whose failure fills a
 * streak ejects.
 */

#include "mesh_outlier.h"


/*
 * Envoy lowers the back-off multiplier by one at each of its intervals (10 s
 * by default) that an endpoint spends in.  Here nobody has to come by: the
 * intervals since the end of the last ejection are taken off when the next
 * one begins.
 */
#define OUTLIER_INTERVAL_MS   10000


/* By grpc-status 0 .. 16, as Envoy's Grpc::Utility::grpcToHttpStatus(). */
static const uint16_t  outlier_grpc_status[] = {
    200,        /* OK */
    499,        /* CANCELLED */
    500,        /* UNKNOWN */
    400,        /* INVALID_ARGUMENT */
    504,        /* DEADLINE_EXCEEDED */
    404,        /* NOT_FOUND */
    409,        /* ALREADY_EXISTS */
    403,        /* PERMISSION_DENIED */
    429,        /* RESOURCE_EXHAUSTED */
    400,        /* FAILED_PRECONDITION */
    409,        /* ABORTED */
    400,        /* OUT_OF_RANGE */
    501,        /* UNIMPLEMENTED */
    500,        /* INTERNAL */
    503,        /* UNAVAILABLE */
    500,        /* DATA_LOSS */
    401         /* UNAUTHENTICATED */
};


unsigned
mesh_outcome_status(const mesh_outcome_t *outcome)
{
    switch (outcome->kind) {

    case MESH_OUTCOME_STATUS:
        if (outcome->grpc < 0) {
            return outcome->status;
        }

        if ((size_t) outcome->grpc < mesh_nelts(outlier_grpc_status)) {
            return outlier_grpc_status[outcome->grpc];
        }

        return 500;

    case MESH_OUTCOME_CONNECT_FAILURE:
    case MESH_OUTCOME_RESET:
        return 503;

    case MESH_OUTCOME_CONNECT_TIMEOUT:
    case MESH_OUTCOME_TIMEOUT:
        return 504;

    case MESH_OUTCOME_NONE:
        break;
    }

    return 0;
}


/* A load first: among successes the line stays shared by all workers. */
static void
outlier_reset(uint32_t *streak)
{
    if (mesh_load_relaxed(streak) != 0) {
        mesh_store_relaxed(streak, 0);
    }
}


/* One more; true: the streak is full (and starts again). */
static bool
outlier_count(uint32_t *streak, uint32_t threshold, uint32_t *length)
{
    *length = mesh_fetch_add(streak, 1) + 1;

    if (threshold == 0 || *length < threshold) {
        return false;
    }

    mesh_store_relaxed(streak, 0);

    return true;
}


static mesh_ejected_e
outlier_count_local(mesh_endpoint_slot_t *slot,
    const mesh_rec_outlier_t *policy, mesh_outlier_verdict_t *verdict)
{
    if (outlier_count(&slot->consecutive_local,
                      policy->consecutive_local_failure, &verdict->streak))
    {
        return MESH_EJECTED_LOCAL;
    }

    return MESH_EJECTED_NOT;
}


static mesh_ejected_e
outlier_count_status(mesh_endpoint_slot_t *slot,
    const mesh_rec_outlier_t *policy, unsigned status,
    mesh_outlier_verdict_t *verdict)
{
    uint32_t        streak;
    mesh_ejected_e  why;

    if (status < 500 || status > 599) {
        outlier_reset(&slot->consecutive_5xx);
        outlier_reset(&slot->consecutive_gateway);
        return MESH_EJECTED_NOT;
    }

    why = MESH_EJECTED_NOT;

    /* Both streaks go on; the narrower reason is the one to tell. */

    if (outlier_count(&slot->consecutive_5xx, policy->consecutive_5xx,
                      &verdict->streak))
    {
        why = MESH_EJECTED_5XX;
    }

    if (status < 502 || status > 504) {
        outlier_reset(&slot->consecutive_gateway);

    } else if (outlier_count(&slot->consecutive_gateway,
                             policy->consecutive_gateway_failure, &streak))
    {
        verdict->streak = streak;
        why = MESH_EJECTED_GATEWAY;
    }

    return why;
}


static uint64_t
outlier_max_ms(const mesh_rec_outlier_t *policy)
{
    return mesh_max(policy->base_ejection_ms, policy->max_ejection_ms);
}


/* The multiplier after the intervals that the endpoint was in. */
static uint32_t
outlier_times(const mesh_endpoint_slot_t *slot,
    const mesh_rec_outlier_t *policy, uint64_t now_ms)
{
    uint32_t  times;
    uint64_t  end_ms, in_ms, length_ms;

    times = mesh_load_relaxed(&slot->times_ejected);

    length_ms = (uint64_t) times * policy->base_ejection_ms;
    length_ms = mesh_min(length_ms, outlier_max_ms(policy));

    end_ms = mesh_load_relaxed(&slot->ejected_ms) + length_ms;
    in_ms = now_ms > end_ms ? now_ms - end_ms : 0;
    in_ms /= OUTLIER_INTERVAL_MS;

    return in_ms < times ? times - (uint32_t) in_ms : 0;
}


static void
outlier_eject(mesh_runtime_t *rt, const mesh_rec_outlier_t *policy,
    uint32_t cluster, uint32_t endpoint, uint32_t total, uint64_t random,
    uint64_t now_ms, mesh_outlier_verdict_t *verdict)
{
    uint32_t               times;
    uint64_t               duration_ms, max_ms;
    mesh_status_t          rc;
    mesh_endpoint_slot_t  *slot;

    slot = &rt->endpoints[endpoint];
    max_ms = outlier_max_ms(policy);
    times = outlier_times(slot, policy, now_ms);

    /* Growth stops where more would change nothing, so that decay shows. */

    if ((uint64_t) times * policy->base_ejection_ms < max_ms) {
        times++;
    }

    duration_ms = (uint64_t) times * policy->base_ejection_ms;
    duration_ms = mesh_min(duration_ms, max_ms);
    duration_ms += random % ((uint64_t) policy->jitter_ms + 1);

    rc = mesh_runtime_eject(rt, cluster, endpoint, total,
                            policy->max_ejection_percent,
                            mesh_ejected_word(now_ms + duration_ms,
                                              verdict->why),
                            now_ms);

    verdict->refused = (rc == MESH_BUSY);

    if (rc == MESH_OK) {
        mesh_store_relaxed(&slot->times_ejected, times);
        verdict->ejected = true;
        verdict->duration_ms = duration_ms;
    }
}


mesh_outlier_verdict_t
mesh_outlier_report(mesh_runtime_t *rt, const mesh_rec_outlier_t *policy,
    uint32_t cluster, uint32_t endpoint, uint32_t total,
    const mesh_outcome_t *outcome, uint64_t random, uint64_t now_ms)
{
    bool                     split, local;
    mesh_endpoint_slot_t    *slot;
    mesh_outlier_verdict_t   verdict;

    memset(&verdict, 0, sizeof(verdict));

    if (policy == NULL || outcome->kind == MESH_OUTCOME_NONE
        || endpoint >= rt->sizes.endpoints)
    {
        return verdict;
    }

    slot = &rt->endpoints[endpoint];
    split = (policy->flags & MESH_OUTLIER_SPLIT_LOCAL) != 0;
    local = outcome->kind != MESH_OUTCOME_STATUS;

    if (split && local) {
        verdict.why = outlier_count_local(slot, policy, &verdict);

    } else {
        if (!local) {
            outlier_reset(&slot->consecutive_local);
        }

        verdict.why = outlier_count_status(slot, policy,
                                           mesh_outcome_status(outcome),
                                           &verdict);
    }

    if (verdict.why != MESH_EJECTED_NOT) {
        outlier_eject(rt, policy, cluster, endpoint, total, random, now_ms,
                      &verdict);
    }

    return verdict;
}
