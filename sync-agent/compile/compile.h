/* SPDX-License-Identifier: Apache-2.0 */

/*
 * From the model to records: compile_*() put content into a writer and
 * return its reference (0: the writer failed, mesh_writer_error() says why).
 * Equal models give equal digests on any machine, whatever the order of
 * parts and resources.
 */

#ifndef COMPILE_H
#define COMPILE_H

#include "mesh_writer.h"
#include "model.h"

/*
 * compile_runtime.c: the values of the mesh's runtime, in order of key.
 * Where one may be NULL, there are none.
 */
typedef struct {
    uint32_t count;
    const model_runtime_t **v;
    uint64_t hash; /* of keys and values */
} compile_runtime_t;

/* Of a key that is there twice the first part's is taken.  free() runtime->v.
 */
void compile_runtime_collect(compile_runtime_t *runtime,
                             const model_part_t *const *parts, uint32_t nparts);

/* The value that is in force instead of the share's own, or NULL. */
const model_share_t *compile_runtime_find(const compile_runtime_t *runtime,
                                          const model_share_t *share);

/* Another number for other values that decide in these routes. */
uint64_t compile_runtime_hash(const compile_runtime_t *runtime,
                              const model_vhost_t *vhost);

/* RUNTIME_VALUES; none: 0. */
mesh_ref_t compile_runtime(mesh_writer_t *w, const compile_runtime_t *runtime);

/* SHARE, and what is in force. */
mesh_ref_t compile_share(mesh_writer_t *w, const compile_runtime_t *runtime,
                         const model_share_t *share, uint32_t *ppm);

/* No labels are a record, too: a subset may ask for none. */
mesh_ref_t compile_labels(mesh_writer_t *w, const model_labels_t *labels);

/* 0: it says nothing. */
mesh_ref_t compile_locality(mesh_writer_t *w, const model_locality_t *l);

/* compile_rewrite.c.  Nothing to do: 0. */
mesh_ref_t compile_header_ops(mesh_writer_t *w, const model_header_ops_t *ops);
mesh_ref_t compile_rewrite(mesh_writer_t *w, const model_rewrite_t *rewrite);
mesh_ref_t compile_regex_rewrite(mesh_writer_t *w,
                                 const model_regex_rewrite_t *regex);

/* Text that mesh_substitute_read() takes, of a request or a response. */
mesh_ref_t compile_format(mesh_writer_t *w, mesh_str_t text);

/* compile_match.c.  None: 0. */
mesh_ref_t compile_matches(mesh_writer_t *w, const model_match_t *matches,
                           uint32_t count);

/* `flags`: MESH_REGEX_*. */
mesh_ref_t compile_regex(mesh_writer_t *w, mesh_str_t pattern, uint32_t flags);
mesh_ref_t compile_addresses(mesh_writer_t *w,
                             const model_addresses_t *addresses);

/* compile_policy.c.  Not set, none: 0. */
mesh_ref_t compile_cors(mesh_writer_t *w, const model_cors_t *cors);
mesh_ref_t compile_follow(mesh_writer_t *w,
                          const model_internal_redirects_t *follow);
mesh_ref_t compile_mirrors(mesh_writer_t *w, const compile_runtime_t *runtime,
                           const model_mirrors_t *mirrors);

/* compile_route.c */
mesh_ref_t compile_route(mesh_writer_t *w, const compile_runtime_t *runtime,
                         const model_route_t *route);
mesh_ref_t compile_vhost(mesh_writer_t *w, const compile_runtime_t *runtime,
                         const model_vhost_t *vhost);

/*
 * compile_tables.c: virtual hosts of one table, from any number of parts
 * (model_check() has held: domains differ).
 */
mesh_ref_t compile_route_table(mesh_writer_t *w, mesh_str_t name,
                               uint32_t flags,
                               const model_vhost_t *const *vhosts,
                               uint32_t count);

/* compile_cluster.c */
mesh_ref_t compile_cluster(mesh_writer_t *w, const model_cluster_t *cluster);

/* compile_endpoints.c */
mesh_ref_t compile_endpoint_set(mesh_writer_t *w,
                                const model_endpoint_set_t *set);

/*
 * Small stable integers for names; compile_slots.c.  Lives as long as the
 * publisher; filled from the roots of the ring when it starts.
 */
typedef struct slots_s slots_t; /* compile_slots.h */

/*
 * compile_root.c: everything.  `previous`: the root before (0: none), whose
 * bindings keep their slots.  Memoizes per resource (by the part's resource
 * pointer and version) and per map, so that a delta costs what it touched.
 */
typedef struct compiler_s compiler_t;

/* Both outlive the compiler; after a rollback of `w` a new one is needed. */
compiler_t *compiler_new(mesh_writer_t *w, slots_t *slots);
void compiler_free(compiler_t *compiler);

/*
 * Goes on in another writer that `w`'s records were copied to: `find` tells
 * where each reference went, 0 if it did not come along.
 */
void compiler_move(compiler_t *compiler, mesh_writer_t *w,
                   mesh_ref_t (*find)(const void *ctx, mesh_ref_t ref),
                   const void *ctx);

/* How many resources the last compile did not know yet; for tests. */
uint32_t compiler_work(const compiler_t *compiler);

typedef struct {
    const model_part_t *const *parts;
    uint32_t nparts;
    mesh_ref_t previous;
    const model_locality_t *node; /* of the proxies here; NULL: nobody knows */
    mesh_str_t local_cluster;     /* that they are of; empty: nobody knows */
    mesh_ref_t policy; /* not 0: use this policy part (rollback, pin) */
    uint64_t generation;
    uint64_t time_ms;
    mesh_str_t reason;
    uint32_t flags;         /* MESH_ROOT_* */
    model_errors_t *errors; /* takes warnings (no slot left); may be NULL */
} compile_request_t;

/*
 * The new root, or `previous` itself when the content did not change, or 0
 * when the writer failed.
 */
mesh_ref_t compile_root(compiler_t *compiler, const compile_request_t *request);

/*
 * Only the policy part that the parts of the request make: what a rollback
 * compares to learn whether the sources have moved on.
 */
mesh_ref_t compile_policy(compiler_t *compiler,
                          const compile_request_t *request);

#endif /* COMPILE_H */
