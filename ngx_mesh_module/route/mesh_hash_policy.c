/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Hash policies: see mesh_hash_policy.h.
 */

#include "mesh_hash_policy.h"
#include "mesh_match.h"
#include "mesh_route.h"


static void
hash_generate(uint64_t seed, mesh_hash_result_t *result)
{
    unsigned  i;

    seed = mesh_mix64(seed);

    for (i = 0; i < MESH_HASH_VALUE_LEN; i++) {
        result->value[i] = "0123456789abcdef"[seed >> 60];
        seed <<= 4;
    }
}


/*
 * Of the value as it is rewritten; as it came, where that gives up.  Apart
 * for its stack, which others do not need.
 */
static __attribute__((noinline)) uint64_t
hash_rewritten(const mesh_snapshot_t *s, const mesh_rec_rewrite_t *rewrite,
    const mesh_request_t *r, mesh_str_t value)
{
    char         text[MESH_REWRITE_MAX];
    mesh_text_t  t = { text, sizeof(text), 0, false };

    return mesh_rewrite_text(s, rewrite, r, value, &t)
           ? mesh_hash64(text, t.len) : mesh_hash64(value.data, value.len);
}


/* Headers of the same name count in the order of the request. */
static bool
hash_header(const mesh_snapshot_t *s, const mesh_hash_policy_t *policy,
    const mesh_request_t *r, uint64_t *hash)
{
    bool                       found;
    mesh_str_t                 name, value;
    mesh_header_iter_t         iter = { NULL, 0 };
    const mesh_rec_rewrite_t  *rewrite;

    found = false;
    rewrite = mesh_get(s, policy->rewrite);
    name = mesh_get_str(s, policy->name);

    while (r->calls->header(r, name, policy->hash, &iter, &value)) {
        *hash = found ? mesh_mix64(*hash) : 0;
        *hash ^= rewrite ? hash_rewritten(s, rewrite, r, value)
                         : mesh_hash64(value.data, value.len);
        found = true;
    }

    return found;
}


/* What a policy finds in the request; false: nothing. */
static bool
hash_find(const mesh_snapshot_t *s, const mesh_hash_policy_t *policy,
    const mesh_request_t *r, uint64_t *hash)
{
    mesh_str_t  name, value;

    name = mesh_get_str(s, policy->name);

    switch (policy->from) {

    case MESH_HASH_HEADER:
        return hash_header(s, policy, r, hash);

    case MESH_HASH_COOKIE:
        if (!mesh_match_cookies(r, name, &value) || value.len == 0) {
            return false;
        }

        break;

    case MESH_HASH_SOURCE_IP:
        if (!r->calls->address(r, &value)) {
            return false;
        }

        break;

    case MESH_HASH_QUERY:
        if (!mesh_match_query(r->query, name, &value)) {
            return false;
        }

        break;

    default: /* MESH_HASH_PATH */
        value = r->path;
        break;
    }

    *hash = mesh_hash64(value.data, value.len);

    return true;
}


void
mesh_hash_policies(const mesh_snapshot_t *s,
    const mesh_rec_hash_policies_t *policies, const mesh_request_t *r,
    uint64_t seed, mesh_hash_result_t *result)
{
    bool                       found;
    uint32_t                   i;
    uint64_t                   hash;
    const mesh_hash_policy_t  *policy;

    result->known = false;
    result->hash = 0;
    result->generated = 0;

    for (i = 0; policies != NULL && i < policies->count; i++) {
        policy = &policies->v[i];
        found = hash_find(s, policy, r, &hash);

        if (!found && (policy->flags & MESH_HASH_GENERATE)) {
            hash_generate(seed, result);
            result->generated |= UINT32_C(1) << i;

            hash = mesh_hash64(result->value, MESH_HASH_VALUE_LEN);
            found = true;
        }

        if (found) {
            /* Rotated, as Envoy does: a policy that is there twice counts. */

            result->hash = (result->hash << 1 | result->hash >> 63) ^ hash;
            result->known = true;
        }

        if (result->known && (policy->flags & MESH_HASH_TERMINAL)) {
            break;
        }
    }
}


mesh_str_t
mesh_session_value(const mesh_snapshot_t *s,
    const mesh_rec_session_t *session, const mesh_request_t *r)
{
    bool                found;
    mesh_str_t          name, value;
    mesh_header_iter_t  iter = { NULL, 0 };

    name = mesh_get_str(s, session->name);

    found = session->flags & MESH_SESSION_HEADER
            ? r->calls->header(r, name, session->hash, &iter, &value)
            : mesh_match_cookies(r, name, &value);

    return found ? value : MESH_STR_NULL;
}


static size_t
hash_append(char *out, size_t size, size_t at, mesh_str_t text)
{
    if (at < size && text.len != 0) {
        memcpy(out + at, text.data, mesh_min(text.len, size - at));
    }

    return at + text.len;
}


size_t
mesh_set_cookie(mesh_str_t name, mesh_str_t value, mesh_str_t attributes,
    char *out, size_t size)
{
    size_t  n;

    n = hash_append(out, size, 0, name);
    n = hash_append(out, size, n, MESH_STR("=\""));
    n = hash_append(out, size, n, value);
    n = hash_append(out, size, n, MESH_STR("\""));

    return hash_append(out, size, n, attributes);
}
