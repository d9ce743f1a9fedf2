/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What source_dns.c and source_dns_report.c share: the followed sets.
 */

#ifndef SOURCE_DNS_ROWS_H
#define SOURCE_DNS_ROWS_H

#include "dns_resolver.h"
#include "source_dns.h"

/* A set of names, copied: the part that it came with may go. */
typedef struct {
    arena_t *arena;
    model_named_set_t named;
    const dns_answer_t **answers; /* by endpoint; NULL: it is no name, or
                                     there are too many */
    uint64_t seen;                /* of these: what the item is made of */
    source_item_t *item;          /* NULL: never resolved */
    bool whole; /* of answers to all of its names, or a seed */
    bool used;
} dns_row_t;

typedef struct {
    source_t base;
    dns_resolver_t *resolver;
    uint32_t count;
    dns_row_t **rows; /* in order of the sets' names */
    source_dns_before_pt before;
    void *ctx; /* of `before` */
    uint64_t wait_ms;
    bool told; /* the sink has a part */
} source_dns_t;

/* Is the endpoint a name? */
bool source_dns_is_name(const model_endpoint_t *endpoint);

/* What is asked for one that is; it points into the row. */
dns_question_t source_dns_question(const dns_row_t *row,
                                   const model_endpoint_t *endpoint);

/* source_ops_t.report */
void source_dns_report(const source_t *source, uint64_t now_ms,
                       const source_report_t *to);

#endif /* SOURCE_DNS_ROWS_H */
