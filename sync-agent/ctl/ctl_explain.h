/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Repeating a worker's decision for one request: the same functions on the
 * same files, with each step kept so that it can be shown.
 */

#ifndef CTL_EXPLAIN_H
#define CTL_EXPLAIN_H

#include "ctl_args.h"
#include "ctl_zone.h"
#include "mesh_cors.h"
#include "mesh_hash_policy.h"
#include "mesh_lb_session.h"
#include "mesh_lb_table.h"
#include "mesh_request.h"
#include "mesh_route.h"
#include "model_route.h"

typedef struct {
    mesh_str_t name; /* lower case */
    mesh_str_t value;
} ctl_header_t;

typedef struct {
    mesh_request_t request;
    mesh_request_calls_t calls;
    uint32_t nheaders;
    ctl_header_t headers[CTL_HEADERS_MAX + 1];
    uint8_t source[16];
    uint32_t source_len; /* 0: not told */
    mesh_str_t sni;      /* lower case; empty: none */
    arena_t *arena;
    ctl_zone_t *zone; /* from ctl_decide() on */
    const ctl_args_t *args;
    uint64_t share_ticket; /* the one that was drawn */
    bool share_drawn;
    bool by_random; /* args->random decides shares and splits */
} ctl_question_t;

typedef struct {
    mesh_path_verdict_e path_verdict;
    mesh_str_t path_answer; /* of MESH_PATH_REDIRECT */
    mesh_route_match_t match;
    mesh_cors_t cors; /* of a route that has such a policy */
    bool too_large;   /* the body that content-length announces */
    const mesh_split_entry_t *entry; /* NULL: not routed */
    mesh_str_t cluster;              /* the entry's, or a header's word */
    uint32_t cluster_hash;
    bool split_drawn;          /* more than one entry */
    model_split_by_e split_by; /* what has chosen among them */
    uint64_t split_number;     /* of the header */
    uint64_t route_ticket;
    uint64_t cluster_ticket;
    bool hashes; /* the balancer asks for a hash */
    bool hashed; /* it was made, for the split or the balancer */
    mesh_hash_result_t hash;
    mesh_session_t session;          /* value: empty without one */
    bool by_session;                 /* it named the one that is picked */
    bool session_bound;              /* it must have been, and could not */
    const mesh_cluster_view_t *view; /* NULL: no such cluster */
    bool untold; /* the same, where resources hold no clusters at all */
    mesh_view_subset_t *subset;
    const mesh_view_group_t *group; /* in it; NULL: nothing picked */
    uint32_t picked; /* index into view->endpoints, or MESH_PICK_NONE */
} ctl_decision_t;

/* false: the URL, a header or the source is none; a sentence in *error. */
bool ctl_question_make(ctl_question_t *q, arena_t *arena,
                       const ctl_args_t *args, const char **error);

/*
 * Tickets are the asked ones, else what the next request would draw.
 * Normalises q->request.path as the table says.
 */
void ctl_decide(ctl_zone_t *zone, ctl_question_t *q, const ctl_args_t *args,
                ctl_decision_t *d);

/*
 * Answers one request on standard output and gives meshctl's exit code.
 * `line`: where it stands in a file, 0 for the command line.
 */
int ctl_explain_one(ctl_zone_t *zone, const ctl_args_t *args, unsigned line);

/* As an answer: what is no request.  Returns CTL_EXIT_USAGE. */
int ctl_explain_error(const ctl_args_t *args, const char *error, unsigned line);

/* meshctl explain -f FILE|- */
int ctl_explain_file(ctl_zone_t *zone, const ctl_args_t *args);

/* Why a route was passed over, as "header end-user is not \"jason\"". */
const char *ctl_route_failed(const ctl_zone_t *zone,
                             const mesh_rec_route_t *route,
                             const mesh_route_test_t *test,
                             const ctl_question_t *q);

#endif /* CTL_EXPLAIN_H */
