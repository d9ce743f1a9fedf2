/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The retry decision: first whether the request may be sent again at all,
 * then whether the policy wants it, then whether there is an attempt left.
 */

#include "mesh_retry.h"


/* RFC 9110, 9.2.2: sent twice has the effect of sent once. */
#define RETRY_IDEMPOTENT                                                      \
    (MESH_METHOD_GET | MESH_METHOD_HEAD | MESH_METHOD_OPTIONS                 \
     | MESH_METHOD_TRACE | MESH_METHOD_PUT | MESH_METHOD_DELETE)


static bool
retry_grpc_wanted(const mesh_rec_retry_t *policy,
    const mesh_outcome_t *outcome)
{
    return policy != NULL
           && (policy->on & MESH_RETRY_GRPC)
           && outcome->kind == MESH_OUTCOME_STATUS
           && outcome->grpc >= 0 && outcome->grpc < 32
           && ((policy->grpc >> outcome->grpc) & 1);
}


/*
 * May it be sent again without harm?  A grpc-status that the policy lists is
 * leave enough, for each gRPC request is a POST.
 */
static bool
retry_allowed(const mesh_retry_state_t *state, const mesh_outcome_t *outcome)
{
    if (state->header_sent || state->left_ms == 0
        || outcome->kind == MESH_OUTCOME_NONE)
    {
        return false;
    }

    if (!state->sent) {
        return true;
    }

    if (!state->body_kept) {
        return false;
    }

    return (state->method & RETRY_IDEMPOTENT)
           || (state->policy != NULL && (state->policy->on & MESH_RETRY_UNSAFE))
           || retry_grpc_wanted(state->policy, outcome);
}


static bool
retry_code_listed(const mesh_snapshot_t *s, mesh_ref_t codes, unsigned status)
{
    uint32_t                 i;
    const mesh_rec_u32s_t   *list;

    list = mesh_get(s, codes);

    if (list == NULL) {
        return false;
    }

    for (i = 0; i < list->count; i++) {
        if (list->v[i] == status) {
            return true;
        }
    }

    return false;
}


/* An answer that came: its HTTP status as it is, its grpc-status. */
static bool
retry_status_wanted(const mesh_snapshot_t *s, const mesh_rec_retry_t *policy,
    const mesh_outcome_t *outcome)
{
    uint32_t  on;
    unsigned  status;

    on = policy->on;
    status = outcome->status;

    return ((on & MESH_RETRY_GATEWAY_ERROR) && status >= 502 && status <= 504)
           || ((on & MESH_RETRY_5XX) && status >= 500 && status <= 599)
           || ((on & MESH_RETRY_STATUS)
               && retry_code_listed(s, policy->codes, status))
           || retry_grpc_wanted(policy, outcome);
}


static bool
retry_wanted(const mesh_snapshot_t *s, const mesh_rec_retry_t *policy,
    const mesh_outcome_t *outcome)
{
    uint32_t  on;

    /* What this side would answer is a 503 or a 504. */

    on = MESH_RETRY_RESET | MESH_RETRY_GATEWAY_ERROR | MESH_RETRY_5XX;

    switch (outcome->kind) {

    case MESH_OUTCOME_CONNECT_FAILURE:
    case MESH_OUTCOME_CONNECT_TIMEOUT:
        return (policy->on & (on | MESH_RETRY_CONNECT_FAILURE)) != 0;

    case MESH_OUTCOME_TIMEOUT:
    case MESH_OUTCOME_RESET:
        return (policy->on & on) != 0;

    case MESH_OUTCOME_STATUS:
        return retry_status_wanted(s, policy, outcome);

    case MESH_OUTCOME_NONE:
        break;
    }

    return false;
}


mesh_retry_verdict_e
mesh_retry_decide(const mesh_snapshot_t *s, const mesh_retry_state_t *state,
    const mesh_outcome_t *outcome)
{
    const mesh_rec_retry_t  *policy;

    policy = state->policy;

    if (!retry_allowed(state, outcome)) {
        return MESH_RETRY_NO;
    }

    /*
     * An idle connection that the endpoint was closing meanwhile says nothing
     * about the endpoint.
     */
    if (outcome->kind == MESH_OUTCOME_RESET && state->reused
        && state->races < MESH_RETRY_RACES_MAX)
    {
        return MESH_RETRY_RACE;
    }

    if (policy == NULL || policy->attempts == 0
        || !retry_wanted(s, policy, outcome))
    {
        return MESH_RETRY_NO;
    }

    return state->retries < policy->attempts ? MESH_RETRY_YES
                                             : MESH_RETRY_EXHAUSTED;
}
