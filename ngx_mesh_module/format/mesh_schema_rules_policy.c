/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Rules of the records that a route's policies are made of.
 */

#include "mesh_schema_rules.h"


#define RULE_CORS_FLAGS                                                       \
    (uint32_t) (MESH_CORS_CREDENTIALS | MESH_CORS_PRIVATE_NETWORK             \
                | MESH_CORS_ANSWER_ALL)


/* Ppm that are so many of a denominator that there is. */
static const char *
rule_parts(uint32_t ppm, uint32_t denominator)
{
    if ((denominator != 100 && denominator != 10000
         && denominator != MESH_SHARE_ALL)
        || ppm > MESH_SHARE_ALL || ppm % (MESH_SHARE_ALL / denominator) != 0)
    {
        return "a share that is too large, or no whole number of parts";
    }

    return NULL;
}


/* As its SHARE counts. */
static const char *
rule_parts_of(const mesh_schema_reader_t *reader, uint32_t ppm,
    mesh_ref_t ref)
{
    const mesh_rec_share_t  *share;

    share = mesh_rule_get(reader, ref);

    return rule_parts(ppm, share->denominator);
}


const char *
mesh_rule_route_share(const mesh_rec_route_t *r,
    const mesh_schema_reader_t *reader)
{
    if ((r->share != 0) != ((r->flags & MESH_ROUTE_SHARE) != 0)
        || (r->share == 0 && r->share_ppm != 0))
    {
        return "a share that does not count, or none that does";
    }

    return r->share ? rule_parts_of(reader, r->share_ppm, r->share) : NULL;
}


const char *
mesh_rule_share(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const char              *reason;
    const mesh_rec_share_t  *share = (const mesh_rec_share_t *) rec;

    (void) reader;

    if (share->reserved != 0) {
        return "a reserved field is not zero";
    }

    if (share->flags & ~(uint32_t) MESH_SHARE_SET) {
        return "unknown flags";
    }

    if (share->key == 0 && share->flags != 0) {
        return "a value without a key";
    }

    reason = rule_parts(share->default_ppm, share->default_denominator);

    return reason ? reason : rule_parts(0, share->denominator);
}


const char *
mesh_rule_runtime_values(const mesh_rec_t *rec,
    const mesh_schema_reader_t *reader)
{
    uint32_t                          i;
    const char                       *reason;
    const mesh_rec_runtime_values_t  *r;

    r = (const mesh_rec_runtime_values_t *) rec;

    if (r->reserved != 0) {
        return "a reserved field is not zero";
    }

    for (i = 0; i < r->count; i++) {
        reason = rule_parts(r->v[i].ppm, r->v[i].denominator);
        if (reason != NULL) {
            return reason;
        }

        if (i != 0
            && mesh_rule_cmp(reader, r->v[i - 1].key, r->v[i].key) >= 0)
        {
            return "keys are not in order";
        }
    }

    return NULL;
}


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
    const char                *reason;
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

        if (m->reserved != 0) {
            return "a reserved field is not zero";
        }

        reason = rule_parts_of(reader, m->share_ppm, m->share);
        if (reason != NULL) {
            return reason;
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
