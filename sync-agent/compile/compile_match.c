/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Conditions on headers and the like as records.
 */

#include "compile.h"
#include "compile_memory.h"

mesh_ref_t compile_regex(mesh_writer_t *w, mesh_str_t pattern, uint32_t flags) {
    mesh_rec_regex_t rec = {
        .rec = {.kind = MESH_KIND_REGEX, .size = sizeof(rec)},
        .pattern = mesh_writer_put_str(w, pattern),
        .flags = flags,
    };

    return mesh_writer_put(w, &rec.rec);
}

static mesh_ref_t match_put_value(mesh_writer_t *w, const model_match_t *m) {
    mesh_rec_range_t range = {
        .rec = {.kind = MESH_KIND_RANGE, .size = sizeof(range)},
        .start = m->start,
        .end = m->end,
    };

    switch (m->op) {
    case MESH_MATCH_PRESENT:
        return 0;
    case MESH_MATCH_RANGE:
        return mesh_writer_put(w, &range.rec);
    case MESH_MATCH_REGEX:
        return compile_regex(w, m->value, 0);
    default:
        return mesh_writer_put_str(w, m->value);
    }
}

static uint8_t match_flags(const model_match_t *m) {
    return (uint8_t)((m->invert ? MESH_MATCH_INVERT : 0) |
                     (m->ignore_case ? MESH_MATCH_IGNORE_CASE : 0) |
                     (m->missing_as_empty ? MESH_MATCH_MISSING : 0));
}

mesh_ref_t compile_matches(mesh_writer_t *w, const model_match_t *matches,
                           uint32_t count) {
    mesh_rec_matches_t *rec;

    if (count == 0) {
        return 0;
    }

    rec = compile_record(MESH_KIND_MATCHES,
                         sizeof(*rec) + count * sizeof(rec->v[0]));
    rec->count = count;

    for (uint32_t i = 0; i < count; i++) {
        const model_match_t *from = &matches[i];
        mesh_match_t *to = &rec->v[i];

        to->op = (uint8_t)from->op;
        to->flags = match_flags(from);
        to->from = (uint8_t)from->from;
        if (from->from == MESH_FROM_HEADER) {
            to->hash = mesh_header_hash(from->name.data, from->name.len);
        }
        to->name = mesh_writer_put_str(w, from->name);
        to->value = match_put_value(w, from);
    }
    return compile_put(w, rec);
}

mesh_ref_t compile_addresses(mesh_writer_t *w,
                             const model_addresses_t *addresses) {
    mesh_rec_addresses_t *rec;
    size_t size = addresses->count * sizeof(rec->v[0]);

    if (addresses->count == 0) {
        return 0;
    }

    rec = compile_record(MESH_KIND_ADDRESSES, sizeof(*rec) + size);
    rec->count = addresses->count;
    memcpy(rec->v, addresses->v, size);
    return compile_put(w, rec);
}
