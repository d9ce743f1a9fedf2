/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Small stable integers for the names of clusters, endpoints and routes: the
 * indexes of the runtime's arrays.  A name keeps its slot as long as a root
 * of the ring binds it; after that its slot is free for another name once
 * every live worker is past the last generation that bound it.
 *
 * Lives as long as the publisher; filled from the ring's bindings at start.
 */

#ifndef COMPILE_SLOTS_H
#define COMPILE_SLOTS_H

#include "compile.h"
#include "mesh_runtime.h"

typedef enum {
    SLOTS_CLUSTER = 0,
    SLOTS_ENDPOINT = 1,
    SLOTS_ROUTE = 2,
    SLOTS_KINDS = 3
} slots_kind_e;

/*
 * true: no live worker can still touch that slot for a root of `generation`
 * or older.
 */
typedef bool (*slots_past_pt)(void *ctx, slots_kind_e kind, uint32_t slot,
                              uint64_t generation);

/*
 * A name, hashed to 128 bits: names are compared by it, so that 100,000
 * endpoints cost 24 bytes each and not their text.
 */
typedef struct {
    uint64_t a;
    uint64_t b;
} slot_key_t;

slot_key_t slot_key_name(mesh_str_t name);

/* `host`: the text behind endpoint->host, empty if there is none. */
slot_key_t slot_key_endpoint(slot_key_t cluster,
                             const mesh_endpoint_t *endpoint, mesh_str_t host);

/* NULL `sizes`: the defaults of mesh_runtime.h. */
slots_t *slots_new(const mesh_runtime_sizes_t *sizes, slots_past_pt past,
                   void *ctx);
void slots_free(slots_t *slots);

/*
 * The runtime has other sizes: slots past them are forgotten, and their names
 * get others.  true when that happened to one at least.
 */
bool slots_resize(slots_t *slots, const mesh_runtime_sizes_t *sizes);

/*
 * A compile for `generation` begins; `oldest` is the oldest generation in
 * the ring.
 */
void slots_begin(slots_t *slots, uint64_t generation, uint64_t oldest);

/* The slot of a name, a new one if need be; MESH_SLOT_NONE: none is left. */
uint32_t slots_get(slots_t *slots, slots_kind_e kind, slot_key_t key);

/* A slot that this generation binds without having asked for its name. */
void slots_touch(slots_t *slots, slots_kind_e kind, uint32_t slot);

/*
 * A binding that is in the ring already.  The newest root is loaded first; a
 * slot or name that is taken is left as it is.
 */
void slots_load(slots_t *slots, slots_kind_e kind, slot_key_t key,
                uint32_t slot, uint64_t generation);

/* All bindings of a root (verified), and of the roots in its history. */
void slots_load_roots(slots_t *slots, const mesh_snapshot_t *s,
                      const mesh_rec_root_t *root);

/* How many names have a slot. */
uint32_t slots_used(const slots_t *slots, slots_kind_e kind);

#endif /* COMPILE_SLOTS_H */
