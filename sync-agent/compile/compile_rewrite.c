/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What becomes of requests and responses on their way as records: header
 * operations, rewrites, texts with substitutions.
 */

#include "compile.h"
#include "compile_memory.h"

#include <assert.h>

#include "mesh_substitute.h"

/* In lower case, as headers are looked for. */
static mesh_str_t lower(mesh_str_t name, char made[MESH_HEADER_NAME_MAX]) {
    assert(name.len <= MESH_HEADER_NAME_MAX);
    for (size_t i = 0; i < name.len; i++) {
        made[i] = mesh_lower(name.data[i]);
    }
    return (mesh_str_t){name.len, made};
}

static uint32_t name_hash(mesh_str_t name) {
    char made[MESH_HEADER_NAME_MAX];

    return mesh_header_hash(lower(name, made).data, name.len);
}

static mesh_ref_t put_name(mesh_writer_t *w, mesh_str_t name) {
    char made[MESH_HEADER_NAME_MAX];

    return mesh_writer_put_str(w, lower(name, made));
}

static void put_part(mesh_writer_t *w, const mesh_substitute_part_t *from,
                     mesh_format_part_t *to) {
    to->var = (uint8_t)from->var;
    to->flags = from->flags;
    to->max = from->max;
    if (!mesh_substitute_names_header(from->var)) {
        to->name = from->var == MESH_VAR_TEXT
                       ? mesh_writer_put_str(w, from->name)
                       : compile_str(w, from->name);
        return;
    }
    to->name = put_name(w, from->name);
    to->hash = name_hash(from->name);
    if (from->other.len != 0) {
        to->other = put_name(w, from->other);
        to->other_hash = name_hash(from->other);
    }
}

mesh_ref_t compile_format(mesh_writer_t *w, mesh_str_t text) {
    mesh_substitute_part_t parts[MESH_FORMAT_PARTS_MAX];
    mesh_rec_format_t *rec;
    uint32_t count;
    size_t at;
    const char *why = mesh_substitute_read(text, true, parts, &count, &at);

    assert(why == NULL); /* the decoder has read it, too */
    (void)why;
    rec = compile_record(MESH_KIND_FORMAT,
                         sizeof(*rec) + count * sizeof(rec->v[0]));
    rec->text = mesh_writer_put_str(w, text);
    rec->count = count;
    for (uint32_t i = 0; i < count; i++) {
        put_part(w, &parts[i], &rec->v[i]);
    }
    return compile_put(w, rec);
}

mesh_ref_t compile_header_ops(mesh_writer_t *w, const model_header_ops_t *ops) {
    if (ops->count == 0) {
        return 0;
    }
    mesh_rec_header_ops_t *rec = compile_record(
        MESH_KIND_HEADER_OPS, sizeof(*rec) + ops->count * sizeof(rec->v[0]));

    rec->count = ops->count;
    for (uint32_t i = 0; i < ops->count; i++) {
        const model_header_op_t *op = &ops->v[i];
        bool format = mesh_substitute_has(op->value);

        rec->v[i].op = (uint8_t)op->op;
        rec->v[i].flags = format && op->keep_empty ? MESH_OP_KEEP_EMPTY : 0;
        rec->v[i].hash = name_hash(op->name);
        rec->v[i].name = mesh_writer_put_str(w, op->name);
        if (op->op != MESH_OP_REMOVE) {
            rec->v[i].value = format ? compile_format(w, op->value)
                                     : mesh_writer_put_str(w, op->value);
        }
    }
    return compile_put(w, rec);
}

static mesh_ref_t put_text(mesh_writer_t *w, const model_rewrite_t *rewrite) {
    switch (rewrite->path) {
    case MESH_REWRITE_KEEP:
        return 0;
    case MESH_REWRITE_REGEX:
        return mesh_writer_put_str(w, rewrite->regex.substitution);
    case MESH_REWRITE_TEMPLATE:
        return mesh_writer_put_str(w, rewrite->text);
    case MESH_REWRITE_WHOLE:
        return compile_format(w, rewrite->text);
    }
    return 0;
}

mesh_ref_t compile_regex_rewrite(mesh_writer_t *w,
                                 const model_regex_rewrite_t *regex) {
    const model_rewrite_t rewrite = {
        .path = regex->pattern.len ? MESH_REWRITE_REGEX : MESH_REWRITE_KEEP,
        .regex = *regex,
    };

    return compile_rewrite(w, &rewrite);
}

mesh_ref_t compile_rewrite(mesh_writer_t *w, const model_rewrite_t *rewrite) {
    mesh_rec_rewrite_t rec = {
        .rec = {.kind = MESH_KIND_REWRITE, .size = sizeof(rec)},
        .path = (uint8_t)rewrite->path,
        .host = (uint8_t)rewrite->host,
        .flags = rewrite->forward_host ? MESH_REWRITE_FORWARD_HOST : 0,
    };

    if (rec.path == MESH_REWRITE_KEEP && rec.host == MESH_HOST_KEEP &&
        rec.flags == 0) {
        return 0;
    }
    rec.text = put_text(w, rewrite);
    if (rec.path == MESH_REWRITE_REGEX) {
        rec.regex = compile_regex(w, rewrite->regex.pattern, MESH_REGEX_SEARCH);
    }
    if (rec.host == MESH_HOST_HEADER) {
        rec.header = put_name(w, rewrite->header);
        rec.header_hash = name_hash(rewrite->header);
    }
    if (rec.host == MESH_HOST_PATH) {
        rec.host_rewrite = compile_regex_rewrite(w, &rewrite->host_regex);
    }
    return mesh_writer_put(w, &rec.rec);
}
