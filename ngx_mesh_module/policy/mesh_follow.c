/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The decision on internal redirects.  A location is an endpoint's word and
 * becomes a request's line, so nothing passes that could end one.
 */

#include "mesh_follow.h"
#include "mesh_match.h"


static const mesh_str_t  follow_schemes[] = {
    mesh_str("http"),
    mesh_str("https"),
};


static bool
follow_clean(mesh_str_t text)
{
    size_t   i;
    uint8_t  c;

    for (i = 0; i < text.len; i++) {
        c = (uint8_t) text.data[i];

        if (c <= 0x20 || c == 0x7f) {
            return false;
        }
    }

    return true;
}


static bool
follow_scheme(mesh_str_t location, mesh_str_t *scheme)
{
    size_t      i;
    mesh_str_t  rest;

    for (i = 0; i < mesh_nelts(follow_schemes); i++) {

        if (!mesh_str_starts_folded(location, follow_schemes[i])) {
            continue;
        }

        rest.data = location.data + follow_schemes[i].len;
        rest.len = location.len - follow_schemes[i].len;

        if (mesh_str_starts(rest, MESH_STR("://"))) {
            *scheme = follow_schemes[i];
            return true;
        }
    }

    return false;
}


static bool
follow_target(mesh_str_t location, mesh_follow_target_t *target)
{
    size_t  i;

    if (!follow_clean(location)
        || !follow_scheme(location, &target->scheme)
        || mesh_request_target(location, &target->path, &target->query,
                               &target->has_query, &target->authority)
           != MESH_OK)
    {
        return false;
    }

    for (i = target->authority.len; i > 0; i--) {
        if (target->authority.data[i - 1] == '@') {
            target->authority.data += i;
            target->authority.len -= i;
            break;
        }
    }

    return target->authority.len != 0;
}


mesh_follow_verdict_e
mesh_follow_decide(const mesh_rec_internal_redirect_t *policy,
    const mesh_follow_state_t *state, mesh_follow_target_t *target)
{
    if (!(policy->codes & mesh_follow_bit(state->status))) {
        return MESH_FOLLOW_OTHER;
    }

    if (state->hops >= policy->max) {
        return MESH_FOLLOW_HOPS;
    }

    if (!state->body_kept) {
        return MESH_FOLLOW_BODY;
    }

    if (!follow_target(state->location, target)) {
        return MESH_FOLLOW_LOCATION;
    }

    if (!(policy->flags & MESH_FOLLOW_CROSS_SCHEME)
        && !mesh_str_eq(target->scheme, state->scheme))
    {
        return MESH_FOLLOW_SCHEME;
    }

    return MESH_FOLLOW_YES;
}
