/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Policies of a route as records.
 */

#include "compile.h"
#include "compile_memory.h"

mesh_ref_t compile_cors(mesh_writer_t *w, const model_cors_t *cors) {
    mesh_rec_cors_t rec = {
        .rec = {.kind = MESH_KIND_CORS, .size = sizeof(rec)},
        .flags = (cors->credentials ? MESH_CORS_CREDENTIALS : 0u) |
                 (cors->private_network ? MESH_CORS_PRIVATE_NETWORK : 0u) |
                 (cors->forward_foreign ? 0u : MESH_CORS_ANSWER_ALL),
    };

    if (!cors->set) {
        return 0;
    }

    rec.origins = compile_matches(w, cors->origins.v, cors->origins.count);
    rec.allow_methods = compile_str(w, cors->methods);
    rec.allow_headers = compile_str(w, cors->headers);
    rec.expose_headers = compile_str(w, cors->expose);
    rec.max_age = compile_str(w, cors->max_age);
    return mesh_writer_put(w, &rec.rec);
}

mesh_ref_t compile_follow(mesh_writer_t *w,
                          const model_internal_redirects_t *follow) {
    mesh_rec_internal_redirect_t rec = {
        .rec = {.kind = MESH_KIND_INTERNAL_REDIRECT, .size = sizeof(rec)},
        .max = follow->max,
        .codes = follow->codes,
        .flags = follow->cross_scheme ? MESH_FOLLOW_CROSS_SCHEME : 0,
    };

    return follow->set ? mesh_writer_put(w, &rec.rec) : 0;
}

mesh_ref_t compile_mirrors(mesh_writer_t *w, const compile_runtime_t *runtime,
                           const model_mirrors_t *mirrors) {
    mesh_rec_mirrors_t *rec;

    if (mirrors->count == 0) {
        return 0;
    }

    rec = compile_record(MESH_KIND_MIRRORS,
                         sizeof(*rec) + mirrors->count * sizeof(rec->v[0]));
    rec->count = mirrors->count;

    for (uint32_t i = 0; i < mirrors->count; i++) {
        const model_mirror_t *from = &mirrors->v[i];
        mesh_mirror_t *to = &rec->v[i];

        to->share = compile_share(w, runtime, &from->share, &to->share_ppm);
        to->flags = from->shadow_host ? 0 : MESH_MIRROR_SAME_HOST;
        to->cluster = mesh_writer_put_str(w, from->cluster);
        to->cluster_hash = mesh_hash32(from->cluster.data, from->cluster.len);
        to->subset = compile_str(w, from->subset);
        if (to->subset) {
            to->subset_hash = mesh_hash32(from->subset.data, from->subset.len);
        }
    }
    return compile_put(w, rec);
}
