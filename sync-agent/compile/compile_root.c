/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The root: policy, endpoints and binding of a generation, with the roots
 * before it.
 */

#include "compile_state.h"

#include <stdlib.h>

compiler_t *compiler_new(mesh_writer_t *w, slots_t *slots) {
    compiler_t *c = compile_alloc(sizeof(compiler_t));
    c->w = w;
    c->slots = slots;
    return c;
}

static void kind_free(compile_kind_t *kind) {
    compile_memo_free(&kind->memo);
    compile_map_free(&kind->map);
}

void compiler_free(compiler_t *compiler) {
    if (compiler != NULL) {
        kind_free(&compiler->clusters);
        kind_free(&compiler->sets);
        compile_tables_free(&compiler->tables);
        compile_map_free(&compiler->tables_map);
        compile_binding_free(compiler);
        free(compiler);
    }
}

static void kind_move(compile_kind_t *kind, const compile_moved_t *moved) {
    compile_memo_move(&kind->memo, moved);
    compile_map_move(&kind->map, moved);
}

void compiler_move(compiler_t *c, mesh_writer_t *w,
                   mesh_ref_t (*find)(const void *ctx, mesh_ref_t ref),
                   const void *ctx) {
    compile_moved_t moved = {find, ctx};
    c->w = w;
    kind_move(&c->clusters, &moved);
    kind_move(&c->sets, &moved);
    compile_tables_move(&c->tables, &moved);
    compile_map_move(&c->tables_map, &moved);
    compile_binding_move(c, &moved);
}

uint32_t compiler_work(const compiler_t *compiler) {
    return compiler->work;
}

/* --- what a root says of itself ----------------------------------------- */

static int newest_first(const void *a, const void *b) {
    const model_part_t *x = *(const model_part_t *const *)a;
    const model_part_t *y = *(const model_part_t *const *)b;
    if (x->time_ms != y->time_ms) {
        return x->time_ms < y->time_ms ? 1 : -1;
    }
    return mesh_str_cmp(mesh_str_from(x->name), mesh_str_from(y->name));
}

static int source_by_name(const void *a, const void *b) {
    const model_part_t *x = *(const model_part_t *const *)a;
    const model_part_t *y = *(const model_part_t *const *)b;
    return mesh_str_cmp(mesh_str_from(x->name), mesh_str_from(y->name));
}

static bool same_source(const model_part_t *x, const model_part_t *y) {
    return x->name == y->name ||
           mesh_str_eq(mesh_str_from(x->name), mesh_str_from(y->name));
}

/* One part, the newest, for each name; in order of name. */
static uint32_t newest_parts(const model_part_t *const *parts, uint32_t nparts,
                             const model_part_t **newest) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < nparts; i++) {
        if (parts[i]->name == NULL) {
            continue;
        }
        if (count == 0 || !same_source(newest[count - 1], parts[i])) {
            newest[count++] = parts[i];
        } else if (parts[i]->time_ms > newest[count - 1]->time_ms) {
            newest[count - 1] = parts[i];
        }
    }
    if (count > MESH_SOURCES_MAX) {
        qsort(newest, count, sizeof(newest[0]), newest_first);
        count = MESH_SOURCES_MAX;
        qsort(newest, count, sizeof(newest[0]), source_by_name);
    }
    return count;
}

static mesh_ref_t put_sources(mesh_writer_t *w,
                              const model_part_t *const *parts,
                              uint32_t nparts) {
    const model_part_t **newest = compile_alloc(nparts * sizeof(newest[0]) + 1);
    uint32_t count = newest_parts(parts, nparts, newest);
    mesh_ref_t ref = 0;
    if (count > 0) {
        mesh_rec_sources_t *rec = compile_record(
            MESH_KIND_SOURCES, sizeof(*rec) + count * sizeof(rec->v[0]));
        rec->count = count;
        for (uint32_t i = 0; i < count; i++) {
            rec->v[i].name =
                mesh_writer_put_str(w, mesh_str_from(newest[i]->name));
            rec->v[i].version = compile_str(w, newest[i]->version);
            rec->v[i].time_ms = newest[i]->time_ms;
        }
        ref = compile_put(w, rec);
    }
    free(newest);
    return ref;
}

/* The ring: the root before, then those that it had in its own. */
static mesh_ref_t put_history(mesh_writer_t *w, mesh_ref_t previous,
                              const mesh_rec_root_t *before) {
    mesh_ref_t refs[MESH_HISTORY_MAX];
    uint32_t count = 1;
    refs[0] = previous;
    if (before->history != 0) {
        const mesh_rec_refs_t *old = mesh_writer_get(w, before->history);
        uint32_t n = mesh_min(old->count, MESH_HISTORY_MAX - 1);
        memcpy(refs + 1, old->v, n * sizeof(refs[0]));
        count += n;
    }
    return mesh_writer_put_refs(w, MESH_KIND_ROOT, refs, count);
}

static uint64_t oldest_generation(const mesh_writer_t *w,
                                  const mesh_rec_root_t *before) {
    if (before->history == 0) {
        return before->generation;
    }
    const mesh_rec_refs_t *history = mesh_writer_get(w, before->history);
    mesh_ref_t last = history->v[history->count - 1];
    return ((const mesh_rec_root_t *)mesh_writer_get(w, last))->generation;
}

/* --- the compile -------------------------------------------------------- */

static void warn_unbound(const compiler_t *c, model_errors_t *errors) {
    static const char *const what[SLOTS_KINDS] = {
        [SLOTS_CLUSTER] = "clusters",
        [SLOTS_ENDPOINT] = "endpoints",
        [SLOTS_ROUTE] = "routes",
    };
    for (unsigned i = 0; errors != NULL && i < SLOTS_KINDS; i++) {
        if (c->unbound[i] > 0) {
            model_error_t place = {.warning = true, .path = what[i]};
            model_error_add(errors, &place,
                            "%u %s have no slot in the runtime: its capacity "
                            "(mesh_zone) is used up; they are served, but "
                            "nothing is counted or ejected for them",
                            c->unbound[i], what[i]);
        }
    }
}

static void warn_unlocated(const compiler_t *c, model_errors_t *errors) {
    if (errors != NULL && c->unlocated > 0) {
        model_error_t place = {.warning = true, .path = "clusters"};
        model_error_add(errors, &place,
                        "%u of them have locality_failover or zone_aware, but "
                        "agent.yaml does not say where this node is: all "
                        "localities are alike",
                        c->unlocated);
    }
}

static void warn_nameless(const compiler_t *c, model_errors_t *errors) {
    if (errors != NULL && c->nameless > 0) {
        model_error_t place = {.warning = true, .path = "clusters"};
        model_error_add(errors, &place,
                        "%u of them have zone_aware, but neither they nor "
                        "agent.yaml name the local cluster: all localities "
                        "are alike",
                        c->nameless);
    }
}

static bool same_content(const mesh_rec_root_t *a, const mesh_rec_root_t *b) {
    return a->policy == b->policy && a->endpoints == b->endpoints &&
           a->identity == b->identity && a->binding == b->binding &&
           a->flags == b->flags;
}

/* false: the writer failed. */
static bool put_parts(compiler_t *c, const compile_request_t *request,
                      const model_part_t *const *parts, mesh_rec_root_t *root) {
    root->policy = request->policy;
    if (root->policy == 0) {
        root->policy = compile_parts_policy(c, parts, request->nparts);
    }
    root->endpoints = compile_parts_endpoints(c, parts, request->nparts);
    if (mesh_writer_error(c->w) != NULL) {
        return false;
    }
    c->node = request->node;
    c->local_cluster = request->local_cluster;
    root->binding = compile_binding(c, root->policy, root->endpoints);
    return mesh_writer_error(c->w) == NULL;
}

mesh_ref_t compile_policy(compiler_t *compiler,
                          const compile_request_t *request) {
    const model_part_t **parts = compile_sorted(request);
    mesh_ref_t ref = compile_parts_policy(compiler, parts, request->nparts);
    free(parts);
    return ref;
}

static mesh_ref_t put_root(compiler_t *c, const compile_request_t *request,
                           const model_part_t *const *parts) {
    mesh_writer_t *w = c->w;
    mesh_ref_t previous = request->previous;
    mesh_rec_root_t before = {0};
    uint64_t oldest = request->generation;
    if (previous != 0) {
        before = *(const mesh_rec_root_t *)mesh_writer_get(w, previous);
        oldest = oldest_generation(w, &before);
    }
    slots_begin(c->slots, request->generation, oldest);

    mesh_rec_root_t root = {
        .rec = {.kind = MESH_KIND_ROOT, .size = sizeof(root)},
        .generation = request->generation,
        .time_ms = request->time_ms,
        .identity = before.identity,
        .flags = request->flags,
    };
    if (!put_parts(c, request, parts, &root)) {
        return 0;
    }
    warn_unbound(c, request->errors);
    warn_unlocated(c, request->errors);
    warn_nameless(c, request->errors);
    if (previous != 0 && same_content(&before, &root)) {
        return previous;
    }
    root.history = previous != 0 ? put_history(w, previous, &before) : 0;
    root.reason = compile_str(w, request->reason);
    root.sources = put_sources(w, parts, request->nparts);
    return mesh_writer_put(w, &root.rec);
}

mesh_ref_t compile_root(compiler_t *compiler,
                        const compile_request_t *request) {
    const model_part_t **parts = compile_sorted(request);
    compiler->work = 0;
    mesh_ref_t ref = put_root(compiler, request, parts);
    free(parts);
    return ref;
}
