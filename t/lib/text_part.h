/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Parts that are written as YAML in a test; one that is wrong fails it.
 */

#ifndef TEXT_PART_H
#define TEXT_PART_H

#include "source_bundle.h"

/* In the arena, with copies of both texts. */
model_part_t *text_part(arena_t *arena, const char *name, const char *yaml);

/* With an arena of its own. */
source_bundle_t *text_bundle(const char *name, const char *yaml);

#endif /* TEXT_PART_H */
