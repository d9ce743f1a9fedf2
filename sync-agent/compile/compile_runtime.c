/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The runtime: percentages by key, put in force where a share names one.
 * Workers read what is in force and never look a key up.
 */

#include "compile.h"
#include "compile_memory.h"

#include <stdlib.h>

/* A value, and how many were told before it. */
typedef struct {
    const model_runtime_t *value;
    uint32_t order;
} told_t;

static int by_key(const void *a, const void *b) {
    const told_t *x = a;
    const told_t *y = b;
    int rc = mesh_str_cmp(x->value->name, y->value->name);
    return rc != 0 ? rc : (x->order > y->order) - (x->order < y->order);
}

/* All values: one table may have routes of many keys. */
static uint64_t hash_of(const compile_runtime_t *runtime) {
    uint64_t hash = 0;
    for (uint32_t i = 0; i < runtime->count; i++) {
        const model_runtime_t *v = runtime->v[i];
        hash = mesh_mix64(hash ^ mesh_hash64(v->name.data, v->name.len));
        hash = mesh_mix64(hash ^ v->share.ppm ^
                          (uint64_t)v->share.denominator << 32);
    }
    return hash;
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
    told_t *all = compile_alloc(count * sizeof(all[0]));
    uint32_t n = 0;
    for (uint32_t i = 0; i < nparts; i++) {
        for (uint32_t k = 0; k < parts[i]->nruntime; k++, n++) {
            all[n] = (told_t){&parts[i]->runtime[k], n};
        }
    }
    qsort(all, count, sizeof(all[0]), by_key);
    runtime->v = compile_alloc(count * sizeof(runtime->v[0]));
    for (uint32_t i = 0; i < count; i++) {
        const model_runtime_t *v = all[i].value;
        if (i == 0 || !mesh_str_eq(all[i - 1].value->name, v->name)) {
            runtime->v[runtime->count++] = v;
        }
    }
    free(all);
    runtime->hash = hash_of(runtime);
}

static int by_name(const void *name, const void *value) {
    const model_runtime_t *const *v = value;
    return mesh_str_cmp(*(const mesh_str_t *)name, (*v)->name);
}

const model_share_t *compile_runtime_find(const compile_runtime_t *runtime,
                                          const model_share_t *share) {
    if (runtime == NULL || runtime->count == 0 || share->key.len == 0) {
        return NULL;
    }
    const model_runtime_t *const *found =
        bsearch(&share->key, runtime->v, runtime->count, sizeof(runtime->v[0]),
                by_name);
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
