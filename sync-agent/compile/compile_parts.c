/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The union of parts: every resource compiled once per version, then the
 * maps by name.
 */

#include "compile_state.h"

#include <stdlib.h>

void compile_entries_add(compile_entries_t *entries, mesh_ref_t name,
                         mesh_ref_t value, uint32_t aux) {
    if (entries->count == entries->room) {
        entries->room = entries->room ? entries->room * 2 : 64;
        entries->v =
            compile_realloc(entries->v, entries->room * sizeof(entries->v[0]));
    }
    entries->v[entries->count++] =
        (mesh_map_entry_t){.name = name, .value = value, .aux = aux};
}

void compile_entries_of(compile_entries_t *entries, const mesh_writer_t *w,
                        mesh_ref_t map) {
    if (map == 0) {
        return;
    }
    const mesh_rec_map_t *rec = mesh_writer_get(w, map);
    for (uint32_t i = 0; i < rec->leaves; i++) {
        if (rec->leaf[i] == 0) {
            continue;
        }
        const mesh_rec_map_leaf_t *leaf = mesh_writer_get(w, rec->leaf[i]);
        for (uint32_t k = 0; k < leaf->count; k++) {
            compile_entries_add(entries, leaf->v[k].name, leaf->v[k].value,
                                leaf->v[k].aux);
        }
    }
}

static mesh_str_t part_name(const model_part_t *part) {
    return mesh_str_from(part->name ? part->name : "");
}

/* A stream's parts have one name and often one version: pointers settle it. */
static int by_name(const void *a, const void *b) {
    const model_part_t *x = *(const model_part_t *const *)a;
    const model_part_t *y = *(const model_part_t *const *)b;
    int rc = 0;
    if (x->name != y->name) {
        rc = mesh_str_cmp(part_name(x), part_name(y));
    }
    if (rc == 0 && x->version.data != y->version.data) {
        rc = mesh_str_cmp(x->version, y->version);
    }
    return rc ? rc : (x > y) - (x < y);
}

const model_part_t **compile_sorted(const compile_request_t *request) {
    size_t size = request->nparts * sizeof(model_part_t *);
    const model_part_t **parts = compile_alloc(size + 1);
    if (request->nparts > 0) {
        memcpy(parts, request->parts, size);
        qsort(parts, request->nparts, sizeof(parts[0]), by_name);
    }
    return parts;
}

/* --- clusters and endpoint sets ----------------------------------------- */

/*
 * Pointer and version name a resource only while its arena lives; another
 * arena may put another resource of the same version there, so its name is
 * in the key as well.  A part without a version is compiled every time.
 */
typedef struct {
    const void *resource;
    mesh_str_t name;
    mesh_str_t version;
    mesh_ref_t (*compile)(mesh_writer_t *w, const void *resource);
} resource_t;

static mesh_ref_t put_cluster(mesh_writer_t *w, const void *resource) {
    return compile_cluster(w, resource);
}

static mesh_ref_t put_set(mesh_writer_t *w, const void *resource) {
    return compile_endpoint_set(w, resource);
}

static void add_resource(compiler_t *c, const resource_t *r,
                         compile_refset_t *names, compile_entries_t *entries) {
    compile_memo_entry_t memo;
    uint64_t a = (uintptr_t)r->resource;
    uint64_t b = mesh_mix64(mesh_hash64(r->version.data, r->version.len)) ^
                 mesh_hash64(r->name.data, r->name.len);
    if (r->version.len == 0 || !compile_memo_find(&c->resources, a, b, &memo)) {
        memo = (compile_memo_entry_t){
            .a = a,
            .b = b,
            .ref = r->compile(c->w, r->resource),
            .name = mesh_writer_put_str(c->w, r->name),
        };
        if (r->version.len > 0) {
            compile_memo_add(&c->resources, &memo);
        }
    }
    /* Of a name that is there twice the first part's is taken. */
    if (compile_refset_add(names, memo.name)) {
        compile_entries_add(entries, memo.name, memo.ref, 0);
    }
}

static mesh_ref_t put_entries(compiler_t *c, mesh_kind_e kind,
                              compile_entries_t *entries) {
    mesh_ref_t map =
        mesh_writer_put_map(c->w, (uint16_t)kind, entries->v, entries->count);
    free(entries->v);
    return map;
}

static mesh_ref_t put_clusters(compiler_t *c, const model_part_t *const *parts,
                               uint32_t nparts) {
    compile_refset_t names = {0};
    compile_entries_t entries = {0};
    for (uint32_t i = 0; i < nparts; i++) {
        for (uint32_t k = 0; k < parts[i]->nclusters; k++) {
            const model_cluster_t *cluster = &parts[i]->clusters[k];
            resource_t r = {cluster, cluster->name, parts[i]->version,
                            put_cluster};
            add_resource(c, &r, &names, &entries);
        }
    }
    compile_refset_free(&names);
    return put_entries(c, MESH_KIND_CLUSTER, &entries);
}

mesh_ref_t compile_parts_endpoints(compiler_t *c,
                                   const model_part_t *const *parts,
                                   uint32_t nparts) {
    compile_refset_t names = {0};
    compile_entries_t entries = {0};
    for (uint32_t i = 0; i < nparts; i++) {
        for (uint32_t k = 0; k < parts[i]->nsets; k++) {
            const model_endpoint_set_t *set = &parts[i]->sets[k];
            resource_t r = {set, set->name, parts[i]->version, put_set};
            add_resource(c, &r, &names, &entries);
        }
    }
    compile_refset_free(&names);
    mesh_rec_endpoints_t rec = {
        .rec = {.kind = MESH_KIND_ENDPOINTS, .size = sizeof(rec)},
        .sets = put_entries(c, MESH_KIND_ENDPOINT_SET, &entries),
    };
    return mesh_writer_put(c->w, &rec.rec);
}

/* --- route tables ------------------------------------------------------- */

typedef struct {
    const model_route_table_t *table;
    mesh_str_t version;
    uint32_t order;
} table_piece_t;

static int by_table(const void *a, const void *b) {
    const table_piece_t *x = a;
    const table_piece_t *y = b;
    int rc = mesh_str_cmp(x->table->name, y->table->name);
    return rc ? rc : (x->order > y->order) - (x->order < y->order);
}

static table_piece_t *table_pieces(const model_part_t *const *parts,
                                   uint32_t nparts, uint32_t *count) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < nparts; i++) {
        n += parts[i]->ntables;
    }
    table_piece_t *pieces = compile_alloc(n * sizeof(pieces[0]) + 1);
    *count = n;
    n = 0;
    for (uint32_t i = 0; i < nparts; i++) {
        for (uint32_t k = 0; k < parts[i]->ntables; k++, n++) {
            pieces[n] =
                (table_piece_t){&parts[i]->tables[k], parts[i]->version, n};
        }
    }
    if (n > 0) {
        qsort(pieces, n, sizeof(pieces[0]), by_table);
    }
    return pieces;
}

/* The options of a table: of the first piece that said any. */
static uint32_t table_flags(const table_piece_t *pieces, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (pieces[i].table->flags_said) {
            return pieces[i].table->flags;
        }
    }
    return pieces[0].table->flags;
}

/* All virtual hosts of the pieces of one table. */
static mesh_ref_t put_table(compiler_t *c, const table_piece_t *pieces,
                            uint32_t count) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        n += pieces[i].table->nvhosts;
    }
    const model_vhost_t **vhosts = compile_alloc(n * sizeof(vhosts[0]) + 1);
    n = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < pieces[i].table->nvhosts; k++) {
            vhosts[n++] = &pieces[i].table->vhosts[k];
        }
    }
    mesh_ref_t ref = compile_route_table(c->w, pieces[0].table->name,
                                         table_flags(pieces, count), vhosts, n);
    free(vhosts);
    return ref;
}

static mesh_ref_t memo_table(compiler_t *c, const table_piece_t *pieces,
                             uint32_t count) {
    mesh_str_t name = pieces[0].table->name;
    uint64_t a = count;
    uint64_t b = mesh_hash64(name.data, name.len);
    bool versions = true;
    for (uint32_t i = 0; i < count; i++) {
        mesh_str_t version = pieces[i].version;
        a = mesh_mix64(a ^ (uintptr_t)pieces[i].table);
        b = mesh_mix64(b ^ mesh_hash64(version.data, version.len));
        versions = versions && version.len > 0;
    }
    compile_memo_entry_t memo;
    if (versions && compile_memo_find(&c->resources, a, b, &memo)) {
        return memo.ref;
    }
    memo = (compile_memo_entry_t){a, b, put_table(c, pieces, count), 0};
    if (versions) {
        compile_memo_add(&c->resources, &memo);
    }
    return memo.ref;
}

static mesh_ref_t put_tables(compiler_t *c, const model_part_t *const *parts,
                             uint32_t nparts) {
    uint32_t count;
    table_piece_t *pieces = table_pieces(parts, nparts, &count);
    compile_entries_t entries = {0};
    for (uint32_t i = 0, n; i < count; i += n) {
        mesh_str_t name = pieces[i].table->name;
        for (n = 1; i + n < count; n++) {
            if (!mesh_str_eq(pieces[i + n].table->name, name)) {
                break;
            }
        }
        mesh_ref_t table = memo_table(c, pieces + i, n);
        compile_entries_add(&entries, mesh_writer_put_str(c->w, name), table,
                            0);
    }
    free(pieces);
    return put_entries(c, MESH_KIND_ROUTE_TABLE, &entries);
}

mesh_ref_t compile_parts_policy(compiler_t *c, const model_part_t *const *parts,
                                uint32_t nparts) {
    mesh_rec_policy_t rec = {
        .rec = {.kind = MESH_KIND_POLICY, .size = sizeof(rec)},
        .clusters = put_clusters(c, parts, nparts),
        .route_tables = put_tables(c, parts, nparts),
    };
    return mesh_writer_put(c->w, &rec.rec);
}
