/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Endpoint sets: canonical order, cut into chunks by content as
 * mesh_rec_endpoint_set_t says, so that one endpoint's change costs one
 * chunk.
 */

#include "compile.h"
#include "compile_memory.h"

#include <stdlib.h>

/*
 * Most endpoints of a set share a few label sets and localities: those that
 * were put last are looked up by their texts, without a digest.
 */
#define RECENT 16

typedef struct {
    const model_labels_t *labels;
    mesh_ref_t ref;
} recent_labels_t;

typedef struct {
    const model_locality_t *locality;
    mesh_ref_t ref;
} recent_locality_t;

#define CHUNK_BYTES                                                            \
    (sizeof(mesh_rec_endpoint_chunk_t) +                                       \
     MESH_CHUNK_MAX * sizeof(mesh_endpoint_t))

typedef struct {
    mesh_writer_t *w;
    recent_labels_t labels[RECENT];
    recent_locality_t locality[RECENT];
    _Alignas(8) uint8_t chunk[CHUNK_BYTES]; /* chunk_of() */
    mesh_ref_t *chunks;
    uint32_t nchunks;
} endpoints_t;

/* The chunk that is being filled. */
static mesh_rec_endpoint_chunk_t *chunk_of(endpoints_t *e) {
    return (mesh_rec_endpoint_chunk_t *)e->chunk;
}

static bool labels_eq(const model_labels_t *a, const model_labels_t *b) {
    if (a->count != b->count) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (!mesh_str_eq(a->v[i].name, b->v[i].name) ||
            !mesh_str_eq(a->v[i].value, b->v[i].value)) {
            return false;
        }
    }
    return true;
}

static mesh_ref_t put_labels(endpoints_t *e, const model_labels_t *labels) {
    if (labels->count == 0) {
        return 0;
    }
    uint64_t hash = 0;
    for (uint32_t i = 0; i < labels->count; i++) {
        mesh_str_t value = labels->v[i].value;
        hash = mesh_mix64(hash ^ mesh_hash64(value.data, value.len));
    }
    recent_labels_t *recent = &e->labels[hash % RECENT];
    if (recent->labels == NULL || !labels_eq(recent->labels, labels)) {
        recent->labels = labels;
        recent->ref = compile_labels(e->w, labels);
    }
    return recent->ref;
}

static mesh_ref_t put_locality(endpoints_t *e, const model_locality_t *l) {
    if (l->region.len == 0 && l->zone.len == 0 && l->sub_zone.len == 0) {
        return 0;
    }
    uint64_t hash = mesh_hash64(l->zone.data, l->zone.len) ^
                    mesh_hash64(l->sub_zone.data, l->sub_zone.len);
    recent_locality_t *recent = &e->locality[hash % RECENT];
    if (recent->locality == NULL || !model_locality_eq(recent->locality, l)) {
        recent->locality = l;
        recent->ref = compile_locality(e->w, l);
    }
    return recent->ref;
}

static void end_chunk(endpoints_t *e) {
    uint32_t count = chunk_of(e)->count;
    if (count == 0) {
        return;
    }
    chunk_of(e)->rec = (mesh_rec_t){
        .kind = MESH_KIND_ENDPOINT_CHUNK,
        .size = (uint32_t)(offsetof(mesh_rec_endpoint_chunk_t, v) +
                           count * sizeof(mesh_endpoint_t)),
    };
    e->chunks[e->nchunks++] = mesh_writer_put(e->w, &chunk_of(e)->rec);
    chunk_of(e)->count = 0;
}

static void add_endpoint(endpoints_t *e, const model_endpoint_t *endpoint) {
    mesh_endpoint_t *v = &chunk_of(e)->v[chunk_of(e)->count++];
    *v = (mesh_endpoint_t){
        .family = endpoint->family,
        .health = endpoint->health,
        .port = endpoint->port,
        .weight = endpoint->weight,
        .key_hash = model_endpoint_hash(endpoint),
        .host = compile_str(e->w, endpoint->host),
        .labels = put_labels(e, &endpoint->labels),
        .locality = put_locality(e, &endpoint->locality),
        .priority = endpoint->priority,
    };
    memcpy(v->addr, endpoint->addr, sizeof(v->addr));
    if ((v->key_hash & MESH_CHUNK_MASK) == 0 ||
        chunk_of(e)->count == MESH_CHUNK_MAX) {
        end_chunk(e);
    }
}

static mesh_ref_t put_set(endpoints_t *e, uint32_t total) {
    size_t size =
        sizeof(mesh_rec_endpoint_set_t) + e->nchunks * sizeof(mesh_ref_t);
    mesh_rec_endpoint_set_t *rec = compile_record(MESH_KIND_ENDPOINT_SET, size);
    rec->total = total;
    rec->count = e->nchunks;
    if (e->nchunks > 0) {
        memcpy(rec->v, e->chunks, e->nchunks * sizeof(mesh_ref_t));
    }
    return compile_put(e->w, rec);
}

static bool in_order(const model_endpoint_set_t *set) {
    for (uint32_t i = 1; i < set->count; i++) {
        if (model_endpoint_cmp(&set->v[i - 1], &set->v[i]) >= 0) {
            return false;
        }
    }
    return true;
}

mesh_ref_t compile_endpoint_set(mesh_writer_t *w,
                                const model_endpoint_set_t *set) {
    const model_endpoint_t *v = set->v;
    model_endpoint_t *sorted = NULL;
    if (!in_order(set)) {
        size_t size = set->count * sizeof(model_endpoint_t);
        sorted = memcpy(compile_alloc(size), set->v, size);
        qsort(sorted, set->count, sizeof(model_endpoint_t), model_endpoint_cmp);
        v = sorted;
    }

    endpoints_t *e = compile_alloc(sizeof(endpoints_t));
    e->w = w;
    e->chunks = compile_alloc((set->count + 1) * sizeof(mesh_ref_t));
    uint32_t total = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        if (i == 0 || model_endpoint_cmp(&v[i - 1], &v[i]) != 0) {
            add_endpoint(e, &v[i]);
            total++;
        }
    }
    end_chunk(e);
    mesh_ref_t ref = put_set(e, total);

    free(e->chunks);
    free(e);
    free(sorted);
    return ref;
}
