/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The runtime: percentages by key, put in force where a share names one.
 * Workers read what is in force and never look a key up.
 */

#include "compile.h"
#include "compile_memory.h"

#include <stdlib.h>

static int by_key(const void *a, const void *b) {
    const model_runtime_t *x = *(const model_runtime_t *const *)a;
    const model_runtime_t *y = *(const model_runtime_t *const *)b;
    return mesh_str_cmp(x->name, y->name);
}

/* Insertion would be quadratic, and qsort() does not keep the parts' order. */
static void sort(const model_runtime_t **v, const model_runtime_t **other,
                 uint32_t count) {
    for (uint32_t width = 1; width < count; width *= 2) {
        for (uint32_t at = 0; at < count; at += 2 * width) {
            uint32_t i = at;
            uint32_t middle = mesh_min(at + width, count);
            uint32_t k = middle;
            uint32_t end = mesh_min(at + 2 * width, count);
            for (uint32_t n = at; n < end; n++) {
                bool left =
                    i < middle && (k == end || by_key(&v[i], &v[k]) <= 0);
                other[n] = left ? v[i++] : v[k++];
            }
        }
        memcpy(v, other, count * sizeof(v[0]));
    }
}

void compile_runtime_collect(compile_runtime_t *runtime,
                             const model_part_t *const *parts,
                             uint32_t nparts) {
    uint32_t count = 0;
    *runtime = (compile_runtime_t){0};
    for (uint32_t i = 0; i < nparts; i++) {
        count += parts[i]->nruntime;
    }
    if (count == 0) {
        return;
    }
    const model_runtime_t **v = compile_alloc(count * sizeof(v[0]));
    uint32_t n = 0;
    for (uint32_t i = 0; i < nparts; i++) {
        for (uint32_t k = 0; k < parts[i]->nruntime; k++) {
            v[n++] = &parts[i]->runtime[k];
        }
    }
    const model_runtime_t **other = compile_alloc(count * sizeof(v[0]));
    sort(v, other, count);
    free(other);
    runtime->v = v;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || by_key(&runtime->v[runtime->count - 1], &v[i]) != 0) {
            runtime->v[runtime->count++] = v[i];
        }
    }
}

const model_share_t *compile_runtime_find(const compile_runtime_t *runtime,
                                          const model_share_t *share) {
    model_runtime_t wanted = {.name = share->key};
    const model_runtime_t *key = &wanted;
    if (runtime == NULL || runtime->count == 0 || share->key.len == 0) {
        return NULL;
    }
    const model_runtime_t *const *found = bsearch(
        &key, runtime->v, runtime->count, sizeof(runtime->v[0]), by_key);
    return found != NULL ? &(*found)->share : NULL;
}

static uint64_t share_hash(const compile_runtime_t *runtime, uint64_t hash,
                           const model_share_t *share) {
    const model_share_t *value = compile_runtime_find(runtime, share);
    return mesh_mix64(hash ^
                      (value == NULL
                           ? UINT64_MAX
                           : value->ppm | (uint64_t)value->denominator << 32));
}

uint64_t compile_runtime_hash(const compile_runtime_t *runtime,
                              const model_vhost_t *vhost) {
    uint64_t hash = 0;
    for (uint32_t i = 0; vhost->keyed && i < vhost->nroutes; i++) {
        const model_route_t *route = &vhost->routes[i];
        hash = share_hash(runtime, hash, &route->share);
        for (uint32_t k = 0; k < route->mirrors.count; k++) {
            hash = share_hash(runtime, hash, &route->mirrors.v[k].share);
        }
    }
    return hash;
}

mesh_ref_t compile_runtime(mesh_writer_t *w, const compile_runtime_t *runtime) {
    mesh_rec_runtime_values_t *rec;
    if (runtime->count == 0) {
        return 0;
    }
    rec = compile_record(MESH_KIND_RUNTIME_VALUES,
                         sizeof(*rec) + runtime->count * sizeof(rec->v[0]));
    rec->count = runtime->count;
    for (uint32_t i = 0; i < runtime->count; i++) {
        const model_runtime_t *from = runtime->v[i];
        rec->v[i] = (mesh_runtime_value_t){
            .key = mesh_writer_put_str(w, from->name),
            .ppm = from->share.ppm,
            .denominator = from->share.denominator,
        };
    }
    return compile_put(w, rec);
}

mesh_ref_t compile_share(mesh_writer_t *w, const compile_runtime_t *runtime,
                         const model_share_t *share, uint32_t *ppm) {
    const model_share_t *value = compile_runtime_find(runtime, share);
    const model_share_t *force = value != NULL ? value : share;
    mesh_rec_share_t rec = {
        .rec = {.kind = MESH_KIND_SHARE, .size = sizeof(rec)},
        .denominator = force->denominator,
        .default_ppm = share->ppm,
        .default_denominator = share->denominator,
        .key = compile_str(w, share->key),
        .flags = value != NULL ? MESH_SHARE_SET : 0,
    };
    *ppm = force->ppm;
    return mesh_writer_put(w, &rec.rec);
}
