/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a source says under one name: one part (a file), or one small part a
 * resource (a stream), so that a change of one resource leaves the others
 * the same objects, which the compiler recognises.  Items are shared between
 * the bundles that follow each other and counted; one thread.
 */

#ifndef SOURCE_BUNDLE_H
#define SOURCE_BUNDLE_H

#include "model.h"

/* Memory of parts: freed when the last item in it goes. */
typedef struct {
    uint32_t refs;
    arena_t *arena;
} source_shared_t;

typedef struct {
    uint32_t refs;
    source_shared_t *shared;
    const model_part_t *part;
} source_item_t;

typedef struct {
    uint32_t count;
    source_item_t **items;
} source_bundle_t;

/* Of one part that owns its arena. */
source_bundle_t *source_bundle_of(model_part_t *part);

/* Of `count` items; each is counted once more. */
source_bundle_t *source_bundle_new(source_item_t *const *items, uint32_t count);
void source_bundle_free(source_bundle_t *bundle); /* NULL is fine */

/* refs = 0: the owner of the arena; refs = 1: an item of it. */
source_shared_t *source_shared_new(arena_t *arena);
source_item_t *source_item_new(source_shared_t *shared,
                               const model_part_t *part);
void source_item_unref(source_item_t *item);

#endif /* SOURCE_BUNDLE_H */
