/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Bundles; see source_bundle.h.  Memory that is out ends the process, as in
 * agent_arena.h.
 */

#include "source_bundle.h"

#include <stdlib.h>

#include "agent_log.h"

static void *must_alloc(size_t size) {
    void *memory = calloc(1, size);

    if (memory == NULL) {
        agent_log(AGENT_LOG_ERROR, "out of memory");
        abort();
    }
    return memory;
}

source_shared_t *source_shared_new(arena_t *arena) {
    source_shared_t *shared = must_alloc(sizeof(*shared));

    shared->arena = arena;
    return shared;
}

source_item_t *source_item_new(source_shared_t *shared,
                               const model_part_t *part) {
    source_item_t *item = must_alloc(sizeof(*item));

    *item = (source_item_t){1, shared, part};
    shared->refs++;
    return item;
}

void source_item_unref(source_item_t *item) {
    if (--item->refs != 0) {
        return;
    }
    if (--item->shared->refs == 0) {
        arena_free(item->shared->arena);
        free(item->shared);
    }
    free(item);
}

source_bundle_t *source_bundle_new(source_item_t *const *items,
                                   uint32_t count) {
    source_bundle_t *bundle = must_alloc(sizeof(*bundle));

    bundle->items = must_alloc((count + 1) * sizeof(*items));
    bundle->count = count;
    for (uint32_t i = 0; i < count; i++) {
        bundle->items[i] = items[i];
        items[i]->refs++;
    }
    return bundle;
}

source_bundle_t *source_bundle_of(model_part_t *part) {
    source_item_t *item = source_item_new(source_shared_new(part->arena), part);
    source_bundle_t *bundle = source_bundle_new(&item, 1);

    source_item_unref(item);
    return bundle;
}

void source_bundle_free(source_bundle_t *bundle) {
    if (bundle == NULL) {
        return;
    }
    for (uint32_t i = 0; i < bundle->count; i++) {
        source_item_unref(bundle->items[i]);
    }
    free(bundle->items);
    free(bundle);
}
