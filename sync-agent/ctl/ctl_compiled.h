/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A zone that is nowhere but in memory: what files would become, for commands
 * that read one.
 */

#ifndef CTL_COMPILED_H
#define CTL_COMPILED_H

#include "ctl_args.h"
#include "ctl_load.h"
#include "ctl_zone.h"

/*
 * The zone of the command: of --resources, else of --zone and --at.  Not
 * CTL_EXIT_OK after messages on standard error; else ctl_zone_close() it.
 */
int ctl_zone_of(ctl_zone_t *zone, const ctl_args_t *args);

/*
 * A zone in memory of these parts, to be closed; false after a message.  The
 * arena is its own either way.
 */
bool ctl_zone_compile(ctl_zone_t *zone, arena_t *arena, const ctl_load_t *load);

#endif /* CTL_COMPILED_H */
