/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a mesh may say and hardly means.  Pure: it reads models, which come
 * from files or from a snapshot (model_read.h), and writes into an arena.
 * Nothing that it finds keeps a mesh from being published.
 *
 * One row a rule (lint.c); rules of a kind share a file.
 */

#ifndef LINT_H
#define LINT_H

#include "model.h"

typedef enum {
    LINT_INFO,    /* may well be meant */
    LINT_WARNING, /* does not do what it seems to say */
} lint_severity_e;

typedef struct lint_s lint_t;
typedef struct lint_rule_s lint_rule_t;
typedef struct lint_finding_s lint_finding_t;

typedef void (*lint_rule_pt)(lint_t *lint, const lint_rule_t *rule);

struct lint_rule_s {
    const char *code;
    lint_severity_e severity;
    lint_rule_pt run;
    const char *about;
};

struct lint_finding_s {
    const lint_rule_t *rule;
    const model_place_t *place; /* file NULL: the mesh is a snapshot's */
    const char *subject;        /* "route "shop/1"" */
    const char *text;
    uint32_t index; /* in the order in which they were found */
};

/* A cluster and what there is of its endpoints. */
typedef struct {
    const model_cluster_t *cluster;
    const model_endpoint_set_t *set; /* NULL: there is none */
    bool named; /* how many endpoints its names are is not known */
    bool used;  /* by a route */
    bool other; /* by a mirror, or by a cluster whose local one it is */
    bool fed;   /* with hash policies or a session, by a route */
} lint_cluster_t;

typedef struct {
    const model_route_table_t *table;
    const model_vhost_t *host;
} lint_host_t;

typedef struct {
    const model_runtime_t *value;
    bool used; /* by a percentage */
} lint_runtime_t;

struct lint_s {
    arena_t *arena;
    uint32_t nclusters;
    lint_cluster_t *clusters; /* in order of name */
    bool any_used;            /* by a header's name: which, is not known */
    uint32_t nhosts;
    lint_host_t *hosts;
    uint32_t nruntime;
    lint_runtime_t *runtime; /* in order of key */
    uint32_t ngateways;      /* addresses that lead into this mesh again */
    const char *const *gateways;
    uint32_t count;
    uint32_t room;
    lint_finding_t *v;
};

extern const lint_rule_t lint_rules[];
extern const size_t lint_nrules;

/*
 * Runs all rules over the parts, which make one mesh that model_check() has
 * nothing against.  Findings are in order of file and line.
 */
void lint_run(lint_t *lint, arena_t *arena, const model_part_t *const *parts,
              uint32_t count);

/* --- for rules ----------------------------------------------------------- */

/* `subject`: "route", and its name. */
void lint_add(lint_t *lint, const lint_rule_t *rule, const model_place_t *place,
              const char *subject, mesh_str_t name, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* NULL: there is none, or it is not in this mesh. */
lint_cluster_t *lint_cluster(const lint_t *lint, mesh_str_t name);

/* What endpoints have that are in a subset by labels; in the arena. */
model_labels_t lint_labels(const lint_t *lint, const model_cluster_t *cluster,
                           mesh_str_t name);

/* A name in quotes, for messages; in the arena. */
const char *lint_quote(const lint_t *lint, mesh_str_t name);

/* "3s", "250ms"; in the arena. */
const char *lint_duration(const lint_t *lint, uint64_t ms);

/* Puts the runtime in order, and marks what percentages ask for. */
void lint_mark_runtime(lint_t *lint);

/* Does every path that `b` takes match `a`, too? */
bool lint_path_covers(const model_route_t *a, const model_route_t *b);

void lint_unreachable_route(lint_t *lint, const lint_rule_t *rule);
void lint_many_routes(lint_t *lint, const lint_rule_t *rule);
void lint_retry_timeout(lint_t *lint, const lint_rule_t *rule);
void lint_overlapping_hosts(lint_t *lint, const lint_rule_t *rule);
void lint_nested_hosts(lint_t *lint, const lint_rule_t *rule);
void lint_empty_cluster(lint_t *lint, const lint_rule_t *rule);
void lint_empty_subset(lint_t *lint, const lint_rule_t *rule);
void lint_lost_fallback(lint_t *lint, const lint_rule_t *rule);
void lint_zero_weight(lint_t *lint, const lint_rule_t *rule);
void lint_unused_cluster(lint_t *lint, const lint_rule_t *rule);
void lint_never_ejects(lint_t *lint, const lint_rule_t *rule);
void lint_hash_policy(lint_t *lint, const lint_rule_t *rule);
void lint_split_by(lint_t *lint, const lint_rule_t *rule);
void lint_hash_balancer(lint_t *lint, const lint_rule_t *rule);
void lint_hash_key(lint_t *lint, const lint_rule_t *rule);
void lint_retry_amplification(lint_t *lint, const lint_rule_t *rule);
void lint_route_loop(lint_t *lint, const lint_rule_t *rule);
void lint_unused_runtime_key(lint_t *lint, const lint_rule_t *rule);

#endif /* LINT_H */
