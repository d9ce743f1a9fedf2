/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a route makes of a request on its way: the path, the host and the
 * headers that the endpoint would see, for `meshctl explain`.
 */

#ifndef CTL_SENT_H
#define CTL_SENT_H

#include "ctl_explain.h"

/* One operation on the headers of the request. */
typedef struct {
    const char *op; /* "set" and so on, as in the configuration */
    mesh_str_t name;
    mesh_str_t value; /* with its substitutions made */
    const char *why;  /* why it did nothing, or NULL */
} ctl_sent_op_t;

typedef struct {
    mesh_str_t path; /* without the query */
    mesh_str_t host;
    bool host_changed;
    uint32_t nops;
    ctl_sent_op_t *ops;
} ctl_sent_t;

/* The word of an operation. */
const char *ctl_op_name(uint8_t op);

/* The value of an operation as it was written. */
mesh_str_t ctl_op_text(const ctl_zone_t *zone, const mesh_header_op_t *op);

/* Of a decision that has an entry.  What only a connection knows is "?". */
void ctl_sent(const ctl_zone_t *zone, const ctl_question_t *q,
              const ctl_decision_t *d, ctl_sent_t *sent);

#endif /* CTL_SENT_H */
