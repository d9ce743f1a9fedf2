/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Records that several kinds of resources refer to: labels, header ops.
 */

#include "compile.h"
#include "compile_memory.h"

mesh_ref_t compile_labels(mesh_writer_t *w, const model_labels_t *labels) {
    mesh_rec_labels_t *rec = compile_record(
        MESH_KIND_LABELS, sizeof(*rec) + labels->count * sizeof(rec->v[0]));
    rec->count = labels->count;
    for (uint32_t i = 0; i < labels->count; i++) {
        rec->v[i].name = mesh_writer_put_str(w, labels->v[i].name);
        rec->v[i].value = mesh_writer_put_str(w, labels->v[i].value);
    }
    return compile_put(w, rec);
}

mesh_ref_t compile_locality(mesh_writer_t *w, const model_locality_t *l) {
    if (l->region.len == 0 && l->zone.len == 0 && l->sub_zone.len == 0) {
        return 0;
    }
    mesh_rec_locality_t rec = {
        .rec = {.kind = MESH_KIND_LOCALITY, .size = sizeof(rec)},
        .region = compile_str(w, l->region),
        .zone = compile_str(w, l->zone),
        .sub_zone = compile_str(w, l->sub_zone),
    };
    return mesh_writer_put(w, &rec.rec);
}
