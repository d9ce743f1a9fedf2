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

typedef struct {
    mesh_str_t name; /* lower case */
    mesh_str_t value;
} ctl_header_t;

typedef struct {
    mesh_request_t request;
    uint32_t nheaders;
    ctl_header_t headers[CTL_HEADERS_MAX + 1];
    uint8_t source[16];
    uint32_t source_len; /* 0: not told */
    arena_t *arena;
    ctl_zone_t *zone; /* from ctl_decide() on */
    const ctl_args_t *args;
    uint64_t share_ticket; /* the one that was drawn */
    bool share_drawn;
} ctl_question_t;

typedef struct {
    mesh_path_verdict_e path_verdict;
    mesh_str_t path_answer; /* of MESH_PATH_REDIRECT */
    mesh_route_match_t match;
    mesh_cors_t cors; /* of a route that has such a policy */
    bool too_large;   /* the body that content-length announces */
    const mesh_split_entry_t *entry; /* NULL: not routed */
    bool split_drawn;                /* more than one entry */
    uint64_t route_ticket;
    uint64_t cluster_ticket;
    bool hashes; /* the balancer asks for a hash */
    mesh_hash_result_t hash;
    mesh_session_t session; /* value: empty without a cookie */
    bool by_session;        /* its cookie named the one that is picked */
    const mesh_cluster_view_t *view; /* NULL: no such cluster */
    mesh_view_subset_t *subset;
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

/* Why a route was passed over, as "header end-user is not \"jason\"". */
const char *ctl_route_failed(const ctl_zone_t *zone,
                             const mesh_rec_route_t *route,
                             const mesh_route_test_t *test,
                             const ctl_question_t *q);

#endif /* CTL_EXPLAIN_H */
