/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The union of parts: every resource compiled once per version, then the
 * maps by name.
 */

#include "compile_state.h"

#include <stdlib.h>

static int part_cmp(const model_part_t *a, const model_part_t *b) {
    return a->name == b->name
               ? 0
               : mesh_str_cmp(mesh_str_from(a->name ? a->name : ""),
                              mesh_str_from(b->name ? b->name : ""));
}

/* Parts of one name stay as they came: a stream gives them in its order. */
typedef struct {
    const model_part_t *part;
    uint32_t order;
} numbered_t;

static int by_name(const void *a, const void *b) {
    const numbered_t *x = a;
    const numbered_t *y = b;
    int rc = part_cmp(x->part, y->part);
    return rc ? rc : (x->order > y->order) - (x->order < y->order);
}

static void sort_parts(const model_part_t **parts, uint32_t count) {
    numbered_t *v = compile_alloc(count * sizeof(v[0]));
    for (uint32_t i = 0; i < count; i++) {
        v[i] = (numbered_t){parts[i], i};
    }
    qsort(v, count, sizeof(v[0]), by_name);
    for (uint32_t i = 0; i < count; i++) {
        parts[i] = v[i].part;
    }
    free(v);
}

const model_part_t **compile_sorted(const compile_request_t *request) {
    size_t size = request->nparts * sizeof(model_part_t *);
    const model_part_t **parts = compile_alloc(size + 1);
    for (uint32_t i = 0; i < request->nparts; i++) {
        parts[i] = request->parts[i];
    }
    /* The agent's parts come sorted. */
    for (uint32_t i = 1; i < request->nparts; i++) {
        if (part_cmp(parts[i - 1], parts[i]) > 0) {
            sort_parts(parts, request->nparts);
            break;
        }
    }
    return parts;
}

/* --- clusters and endpoint sets ----------------------------------------- */

void compile_key(const void *resource, mesh_str_t version, mesh_str_t name,
                 compile_memo_entry_t *key) {
    key->a = (uintptr_t)resource;
    key->b = mesh_mix64(mesh_hash64(version.data, version.len)) ^
             mesh_hash64(name.data, name.len);
}

typedef struct {
    const void *resource;
    mesh_str_t name;
    mesh_str_t version; /* empty: compiled every time */
    mesh_ref_t (*compile)(mesh_writer_t *w, const void *resource);
} resource_t;

/* The resources of one kind that are being collected. */
typedef struct {
    compiler_t *c;
    compile_kind_t *kind;
    compile_refset_t names;
    compile_entries_t entries;
} collection_t;

static mesh_ref_t put_cluster(mesh_writer_t *w, const void *resource) {
    return compile_cluster(w, resource);
}

static mesh_ref_t put_set(mesh_writer_t *w, const void *resource) {
    return compile_endpoint_set(w, resource);
}

/* About as many as last time. */
static collection_t collection(compiler_t *c, compile_kind_t *kind) {
    collection_t collected = {.c = c, .kind = kind};
    uint32_t count = kind->map.entries.count + 1;
    compile_refset_reserve(&collected.names, count);
    compile_entries_reserve(&collected.entries, count);
    return collected;
}

static compile_memo_entry_t compiled(const collection_t *to,
                                     const resource_t *r) {
    mesh_writer_t *w = to->c->w;
    compile_memo_entry_t key = {0};
    compile_key(r->resource, r->version, r->name, &key);
    const compile_memo_entry_t *found =
        r->version.len > 0 ? compile_memo_find(&to->kind->memo, key.a, key.b)
                           : NULL;
    if (found != NULL) {
        return *found;
    }
    key.ref = r->compile(w, r->resource);
    key.name = mesh_writer_put_str(w, r->name);
    if (r->version.len > 0) {
        compile_memo_add(&to->kind->memo, &key);
    }
    to->c->work++;
    return key;
}

/* Of a name that is there twice the first part's is taken. */
static void collect(collection_t *to, const resource_t *r) {
    compile_memo_entry_t made = compiled(to, r);
    if (compile_refset_add(&to->names, made.name)) {
        compile_entries_add(&to->entries, made.name, made.ref, 0);
    }
}

static mesh_ref_t collected_map(collection_t *from, uint16_t kind) {
    compile_refset_free(&from->names);
    compile_memo_turn(&from->kind->memo);
    return compile_map_follow(from->c->w, &from->kind->map, kind,
                              &from->entries);
}

static mesh_ref_t put_clusters(compiler_t *c, const model_part_t *const *parts,
                               uint32_t nparts) {
    collection_t to = collection(c, &c->clusters);
    for (uint32_t i = 0; i < nparts; i++) {
        for (uint32_t k = 0; k < parts[i]->nclusters; k++) {
            const model_cluster_t *cluster = &parts[i]->clusters[k];
            collect(&to, &(resource_t){cluster, cluster->name,
                                       parts[i]->version, put_cluster});
        }
    }
    return collected_map(&to, MESH_KIND_CLUSTER);
}

mesh_ref_t compile_parts_endpoints(compiler_t *c,
                                   const model_part_t *const *parts,
                                   uint32_t nparts) {
    collection_t to = collection(c, &c->sets);
    for (uint32_t i = 0; i < nparts; i++) {
        for (uint32_t k = 0; k < parts[i]->nsets; k++) {
            const model_endpoint_set_t *set = &parts[i]->sets[k];
            collect(&to,
                    &(resource_t){set, set->name, parts[i]->version, put_set});
        }
    }
    mesh_rec_endpoints_t rec = {
        .rec = {.kind = MESH_KIND_ENDPOINTS, .size = sizeof(rec)},
        .sets = collected_map(&to, MESH_KIND_ENDPOINT_SET),
    };
    return mesh_writer_put(c->w, &rec.rec);
}

mesh_ref_t compile_parts_policy(compiler_t *c, const model_part_t *const *parts,
                                uint32_t nparts) {
    compile_runtime_collect(&c->runtime, parts, nparts);
    mesh_rec_policy_t rec = {
        .rec = {.kind = MESH_KIND_POLICY, .size = sizeof(rec)},
        .clusters = put_clusters(c, parts, nparts),
        .route_tables = compile_parts_tables(c, parts, nparts),
        .runtime = compile_runtime(c->w, &c->runtime),
    };
    free(c->runtime.v);
    c->runtime = (compile_runtime_t){0};
    return mesh_writer_put(c->w, &rec.rec);
}
