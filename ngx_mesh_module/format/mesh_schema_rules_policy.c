/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Rules of the records that a route's policies are made of.
 */

#include "mesh_schema_rules.h"


#define RULE_CORS_FLAGS                                                       \
    (uint32_t) (MESH_CORS_CREDENTIALS | MESH_CORS_PRIVATE_NETWORK             \
                | MESH_CORS_ANSWER_ALL)


const char *
mesh_rule_internal_redirect(const mesh_rec_t *rec,
    const mesh_schema_reader_t *reader)
{
    const mesh_rec_internal_redirect_t  *r;

    (void) reader;

    r = (const mesh_rec_internal_redirect_t *) rec;

    if (r->max == 0 || r->max > MESH_FOLLOW_MAX) {
        return "hops are not 1 to 16";
    }

    if (r->codes == 0 || r->codes & ~(uint32_t) MESH_FOLLOW_ALL) {
        return "no statuses, or unknown ones";
    }

    if (r->reserved != 0) {
        return "a reserved field is not zero";
    }

    return r->flags & ~(uint32_t) MESH_FOLLOW_CROSS_SCHEME ? "unknown flags"
                                                           : NULL;
}


const char *
mesh_rule_mirrors(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    uint32_t                   i;
    const mesh_mirror_t       *m;
    const mesh_rec_mirrors_t  *mirrors = (const mesh_rec_mirrors_t *) rec;

    if (mirrors->reserved != 0) {
        return "a reserved field is not zero";
    }

    if (mirrors->count == 0 || mirrors->count > MESH_MIRRORS_MAX) {
        return "mirrors are not 1 to 8";
    }

    for (i = 0; i < mirrors->count; i++) {
        m = &mirrors->v[i];

        if (m->flags & ~(uint32_t) MESH_MIRROR_SAME_HOST) {
            return "unknown flags";
        }

        if (m->share_ppm > MESH_SHARE_ALL) {
            return "a share that is too large";
        }

        if (!mesh_rule_hash(reader, m->cluster, m->cluster_hash)
            || !mesh_rule_hash(reader, m->subset, m->subset_hash))
        {
            return "a hash is not its name's";
        }
    }

    return NULL;
}


/* Texts and patterns alone: what an origin is compared with. */
static const char *
rule_origin(const mesh_match_t *m)
{
    if (m->from != MESH_FROM_HEADER
        || m->op == MESH_MATCH_PRESENT || m->op == MESH_MATCH_RANGE
        || m->flags & ~MESH_MATCH_IGNORE_CASE)
    {
        return "an origin that is no text";
    }

    return NULL;
}


const char *
mesh_rule_cors(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    uint32_t                   i;
    const char                *reason;
    const mesh_rec_cors_t     *cors = (const mesh_rec_cors_t *) rec;
    const mesh_rec_matches_t  *origins;

    if (cors->flags & ~RULE_CORS_FLAGS) {
        return "unknown flags";
    }

    origins = cors->origins ? mesh_rule_get(reader, cors->origins) : NULL;

    for (i = 0; origins && i < origins->count; i++) {
        reason = rule_origin(&origins->v[i]);

        if (reason != NULL) {
            return reason;
        }
    }

    return NULL;
}
