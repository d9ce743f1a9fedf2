/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A route's policies in words: for dump, and for what explain says of them.
 */

#ifndef CTL_POLICY_H
#define CTL_POLICY_H

#include "ctl_explain.h"
#include "ctl_table.h"
#include "ctl_zone.h"

/* Members of the route's object, for those that it has. */
void ctl_policies_dump(const ctl_zone_t *zone, cJSON *json,
                       const mesh_rec_route_t *route);

/*
 * What they say of a request before its route picks a cluster: false if it
 * goes no further.  Then ctl_policies_answer() is its status.
 */
bool ctl_policies_admit(const ctl_zone_t *zone, const ctl_question_t *q,
                        ctl_decision_t *d);
uint32_t ctl_policies_answer(const ctl_decision_t *d, const char **why);

/* What they do with it, for explain. */
void ctl_policies_json(const ctl_zone_t *zone, const ctl_question_t *q,
                       const ctl_decision_t *d, cJSON *json);
void ctl_policies_print(const ctl_zone_t *zone, const ctl_question_t *q,
                        const ctl_decision_t *d);

#endif /* CTL_POLICY_H */
