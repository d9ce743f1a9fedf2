/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Rules of the records that say what becomes of a request on its way: header
 * operations, rewrites, redirects, texts with substitutions.
 */

#include "mesh_schema_rules.h"


static bool
rule_is_format(const mesh_schema_reader_t *reader, mesh_ref_t ref)
{
    const mesh_rec_t  *rec;

    rec = ref ? mesh_rule_get(reader, ref) : NULL;

    return rec && rec->kind == MESH_KIND_FORMAT;
}


const char *
mesh_rule_header_ops(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    uint32_t                      i;
    const mesh_header_op_t       *op;
    const mesh_rec_header_ops_t  *h = (const mesh_rec_header_ops_t *) rec;

    if (h->reserved != 0) {
        return "a reserved field is not zero";
    }

    for (i = 0; i < h->count; i++) {
        op = &h->v[i];

        if (op->op > MESH_OP_OVERWRITE) {
            return "unknown header operation";
        }

        if (op->flags & ~MESH_OP_KEEP_EMPTY || op->reserved != 0) {
            return "unknown flags";
        }

        if ((op->flags & MESH_OP_KEEP_EMPTY)
            && !rule_is_format(reader, op->value))
        {
            return "an empty value where none can come out";
        }

        if (op->op == MESH_OP_REMOVE && op->value != 0) {
            return "a value for a header that is removed";
        }

        if (!mesh_rule_header_hash(reader, op->name, op->hash)) {
            return "a header's hash is not its name's";
        }
    }

    return NULL;
}


const char *
mesh_rule_redirect(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const mesh_rec_redirect_t  *r = (const mesh_rec_redirect_t *) rec;

    switch (r->status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        break;
    default:
        return "not the status of a redirect";
    }

    if (r->port > 65535) {
        return "a port above 65535";
    }

    if (r->flags & ~MESH_REDIRECT_STRIP_QUERY || r->reserved != 0) {
        return "unknown flags";
    }

    return r->rewrite != 0 && !mesh_rule_regex_alone(reader, r->rewrite)
           ? "a redirect rewrites by a regular expression only" : NULL;
}


/* --- rewrites ------------------------------------------------------------ */

static const char *
rule_rewrite_path(const mesh_rec_rewrite_t *w,
    const mesh_schema_reader_t *reader)
{
    bool  format;

    if (w->path > MESH_REWRITE_WHOLE) {
        return "unknown rewrite of the path";
    }

    if ((w->regex != 0) != (w->path == MESH_REWRITE_REGEX)
        || (w->regex != 0
            && !mesh_rule_regex_is(mesh_rule_get(reader, w->regex),
                                   MESH_REGEX_SEARCH)))
    {
        return "a regular expression that does not count, or none";
    }

    format = rule_is_format(reader, w->text);

    if ((w->text != 0) != (w->path != MESH_REWRITE_KEEP)
        || format != (w->path == MESH_REWRITE_WHOLE))
    {
        return "a text that does not count, or none";
    }

    return NULL;
}


const char *
mesh_rule_rewrite(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    const mesh_rec_rewrite_t  *w = (const mesh_rec_rewrite_t *) rec;

    if (w->flags & ~MESH_REWRITE_FORWARD_HOST) {
        return "unknown flags";
    }

    if (w->host > MESH_HOST_PATH) {
        return "unknown rewrite of the host";
    }

    if ((w->header != 0) != (w->host == MESH_HOST_HEADER)) {
        return "a header that does not count, or none";
    }

    if (w->header != 0
        ? !mesh_rule_header_hash(reader, w->header, w->header_hash)
        : w->header_hash != 0)
    {
        return "a header's hash is not its name's";
    }

    if ((w->host_rewrite != 0) != (w->host == MESH_HOST_PATH)
        || (w->host_rewrite != 0
            && !mesh_rule_regex_alone(reader, w->host_rewrite)))
    {
        return "a rewrite of the host that does not count, or none";
    }

    return rule_rewrite_path(w, reader);
}


/* --- texts with substitutions -------------------------------------------- */

/* Names where a variable has them. */
static const char *
rule_format_part(const mesh_format_part_t *p,
    const mesh_schema_reader_t *reader)
{
    bool  header, named;

    if (p->var >= MESH_VAR_MAX) {
        return "unknown variable";
    }

    if (p->flags != 0
        && (p->var != MESH_VAR_PATH
            || p->flags & ~(MESH_FORMAT_NO_QUERY | MESH_FORMAT_CURRENT
                            | MESH_FORMAT_ORIGINAL)))
    {
        return "unknown flags";
    }

    header = p->var == MESH_VAR_REQ || p->var == MESH_VAR_RESP;
    named = header || p->var == MESH_VAR_TEXT || p->var == MESH_VAR_QUERY_PARAM;

    if (p->name == 0 ? named : !named && p->var != MESH_VAR_START_TIME) {
        return "a variable has a name exactly where it looks by name";
    }

    if (p->other != 0 && !header) {
        return "another header of what is none";
    }

    if (header
        ? !mesh_rule_header_hash(reader, p->name, p->hash)
          || (p->other != 0
              && !mesh_rule_header_hash(reader, p->other, p->other_hash))
        : (p->hash | p->other_hash) != 0)
    {
        return "a header's hash is not its name's";
    }

    return p->other == 0 && p->other_hash != 0 ? "a hash of no header" : NULL;
}


const char *
mesh_rule_format(const mesh_rec_t *rec, const mesh_schema_reader_t *reader)
{
    uint32_t                  i;
    const char               *reason;
    const mesh_rec_format_t  *f = (const mesh_rec_format_t *) rec;

    if (f->count > MESH_FORMAT_PARTS_MAX) {
        return "more than 64 pieces";
    }

    for (i = 0; i < f->count; i++) {
        reason = rule_format_part(&f->v[i], reader);

        if (reason != NULL) {
            return reason;
        }
    }

    return NULL;
}
