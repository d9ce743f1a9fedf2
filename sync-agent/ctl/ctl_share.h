/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Percentages: as they are shown, with the runtime key that decides them, and
 * what another value of a key would make of them.
 */

#ifndef CTL_SHARE_H
#define CTL_SHARE_H

#include <cjson/cJSON.h>

#include "ctl_args.h"
#include "ctl_zone.h"

/* "10", "0.50", "0.0001": with the decimals that its denominator asks for. */
const char *ctl_share_text(const ctl_zone_t *zone, uint32_t ppm,
                           uint32_t denominator);

/* "10 %", or "10 % (runtime key k, default 5 %)"; `share`: a SHARE. */
const char *ctl_share_words(const ctl_zone_t *zone, uint32_t ppm,
                            mesh_ref_t share);

/*
 * "percentage": a number, or with a key {"value", "runtime_key", "default",
 * "set"}.
 */
void ctl_share_dump(const ctl_zone_t *zone, cJSON *json, uint32_t ppm,
                    mesh_ref_t share);

/*
 * Puts the values of --runtime in force, in a copy of the zone's records that
 * nobody else sees.  Warns of a key that no percentage has.  false after a
 * message: the copy cannot be made.
 */
bool ctl_share_override(ctl_zone_t *zone, const ctl_args_t *args);

#endif /* CTL_SHARE_H */
