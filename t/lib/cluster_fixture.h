/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A snapshot with one cluster, or the local one beside it, built by hand with
 * the writer, and a runtime in memory: what tests of views and balancers start
 * from.
 */

#ifndef CLUSTER_FIXTURE_H
#define CLUSTER_FIXTURE_H

#include "mesh_cluster.h"
#include "mesh_lb_table.h"
#include "mesh_runtime.h"
#include "mesh_snapshot.h"
#include "mesh_writer.h"
#include "rng.h"

#define FIXTURE_SLOTS 10240 /* endpoint slots of a fixture's runtime */

typedef struct {
    uint32_t id; /* address 10.x.x.x and slot; must rise */
    uint32_t weight;
    uint8_t health;
    uint32_t priority;
    const char *labels; /* "a=1,b=2" in order of name, or NULL */
    const char *zone;   /* "zone", "region/zone", "region/zone/sub", NULL */
    bool slotless;
} fixture_endpoint_t;

typedef struct {
    const char *name;
    const char *labels;
} fixture_subset_t;

typedef struct {
    const char *keys;       /* "a,b" in order */
    uint32_t fallback;      /* MESH_FALLBACK_* */
    uint32_t fallback_keys; /* as mesh_selector_t */
} fixture_selector_t;

typedef struct {
    const char *zone;  /* NULL: of who has none */
    uint32_t priority; /* or MESH_PRIORITY_ANY */
    uint32_t weight;
} fixture_weight_t;

typedef struct fixture_spec_s fixture_spec_t;

struct fixture_spec_s {
    const char *name; /* NULL: "reviews" */
    mesh_lb_e lb;
    uint8_t panic_percent;
    uint32_t lb_choices;
    mesh_rec_lb_t params; /* where they are 0: maglev 65537, ring 1024 */
    uint32_t slot;
    uint32_t count;
    const fixture_endpoint_t *endpoints; /* NULL: ids 0 .., weight 1 */
    uint32_t repeats; /* all of them as often again, as no writer does */
    uint32_t nsubsets;
    const fixture_subset_t *subsets;
    uint32_t fallback;     /* MESH_FALLBACK_* */
    uint32_t subset_flags; /* MESH_SUBSETS_* */
    uint32_t nselectors;
    const fixture_selector_t *selectors;
    const char *node; /* where the proxies are, or NULL */
    uint32_t nweights;
    const fixture_weight_t *weights;
    const mesh_rec_zone_aware_t *zone_aware; /* or NULL */
    const char *local_name;                  /* of the local cluster, or NULL */
    const fixture_spec_t *local; /* another cluster of the root, or NULL */
};

typedef struct {
    mesh_writer_t *writer;
    void *image;
    uint64_t *starts;
    mesh_snapshot_t snapshot;
    const mesh_rec_root_t *root;
    const mesh_rec_bind_cluster_t *bind;
    mesh_health_t health; /* none, unless a test has one */
    void *blocks[1024];   /* the arena's */
    unsigned nblocks;
    unsigned limit;   /* allocations left; for tests without memory */
    unsigned fails;   /* which of the next fails, from 1; 0: none */
    unsigned refused; /* of those that were asked for */
    mesh_arena_t arena;
} fixture_t;

/* Aborts when the writer or the check refuses; free with fixture_free(). */
fixture_t *fixture_new(const fixture_spec_t *spec);
void fixture_free(fixture_t *f);

/* A zeroed runtime of 4 workers, 16 clusters, 16 routes, FIXTURE_SLOTS. */
void fixture_runtime(mesh_runtime_t *rt);
void fixture_runtime_free(mesh_runtime_t *rt);

/* A worker's view; rt may be NULL. */
mesh_cluster_view_t *fixture_view(fixture_t *f, mesh_runtime_t *rt,
                                  uint64_t now_ms);

/* A tool's. */
mesh_cluster_view_t *fixture_reader_view(fixture_t *f, mesh_runtime_t *rt,
                                         uint64_t now_ms);

/* Gives a view's subset its table, if it needs one. */
void fixture_table(fixture_t *f, mesh_cluster_view_t *view, uint32_t subset);

#endif /* CLUSTER_FIXTURE_H */
