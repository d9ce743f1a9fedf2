/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The way back from records to the model: what a root says, as a part.  It
 * knows the format and nothing of the compiler.
 */

#ifndef MODEL_READ_H
#define MODEL_READ_H

#include "mesh_snapshot.h"
#include "model.h"

/*
 * All of it in the arena.  Domains of a host are in bytewise order, and
 * nothing is left of entries without weight, of who said the flags, and of
 * places.
 */
model_part_t *model_read_root(arena_t *arena, const mesh_snapshot_t *s,
                              const mesh_rec_root_t *root);

#endif /* MODEL_READ_H */
