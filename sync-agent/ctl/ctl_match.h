/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Conditions on headers and the like in words: for explain and for dump.
 */

#ifndef CTL_MATCH_H
#define CTL_MATCH_H

#include "ctl_table.h"
#include "ctl_zone.h"
#include "mesh_match.h"

/* Why it does not hold, as "header end-user is \"bob\", wanted \"jason\"". */
const char *ctl_match_failed(const ctl_zone_t *zone, const mesh_match_t *match,
                             const mesh_request_t *r);

/* Lists of them in a route's `match`; `matches` may be NULL. */
void ctl_match_dump(const ctl_zone_t *zone, cJSON *json,
                    const mesh_rec_matches_t *matches);

/* "allow_origin": those of CORS, which have no names; may be NULL. */
void ctl_origins_dump(const ctl_zone_t *zone, cJSON *json,
                      const mesh_rec_matches_t *origins);

/* "source", unless it is NULL. */
void ctl_addresses_dump(const ctl_zone_t *zone, cJSON *json,
                        const mesh_rec_addresses_t *addresses);

#endif /* CTL_MATCH_H */
