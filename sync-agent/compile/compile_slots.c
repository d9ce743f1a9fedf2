/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Slot allocation: per kind an array by slot and an open-addressed index of
 * slots by key.
 */

#include "compile_slots.h"
#include "compile_memory.h"

#include <stdlib.h>

#define INDEX_MIN 64

/* Slots are given back in bulk, when it is worth a new index. */
#define RECLAIM_SHARE 16

typedef struct {
    slot_key_t key;
    uint64_t last; /* generation that bound it last; 0: free */
} slot_t;

typedef struct {
    slot_t *v;
    uint32_t count; /* slots that were ever used: v[0 .. count) */
    uint32_t room;  /* of v */
    uint32_t capacity;
    uint32_t used;
    uint32_t *index; /* slot + 1; 0: empty */
    uint32_t mask;
    uint32_t *free; /* a stack; its top is the lowest slot */
    uint32_t nfree;
    bool reclaimed; /* in this compile already */
} slot_table_t;

struct slots_s {
    slot_table_t table[SLOTS_KINDS];
    slots_past_pt past;
    void *ctx;
    uint64_t generation;
    uint64_t oldest;
};

slot_key_t slot_key_name(mesh_str_t name) {
    uint64_t a = mesh_hash64(name.data, name.len);
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    /* FNV-1a: its collisions are not those of mesh_hash64. */
    for (size_t i = 0; i < name.len; i++) {
        h = (h ^ (uint8_t)name.data[i]) * UINT64_C(0x100000001b3);
    }
    return (slot_key_t){a, mesh_mix64(h ^ name.len)};
}

slot_key_t slot_key_endpoint(slot_key_t cluster,
                             const mesh_endpoint_t *endpoint, mesh_str_t host) {
    struct {
        slot_key_t owner;
        uint8_t addr[16];
        uint32_t port;
        uint32_t family;
        slot_key_t host;
    } bytes = {
        .owner = cluster, .port = endpoint->port, .family = endpoint->family};
    memcpy(bytes.addr, endpoint->addr, sizeof(bytes.addr));
    if (host.len > 0) {
        bytes.host = slot_key_name(host);
    }
    uint64_t a = mesh_hash64(&bytes, sizeof(bytes));
    bytes.owner.a = mesh_mix64(bytes.owner.a + a);
    return (slot_key_t){a, mesh_hash64(&bytes, sizeof(bytes))};
}

static void set_sizes(slots_t *slots, const mesh_runtime_sizes_t *sizes) {
    slots->table[SLOTS_CLUSTER].capacity =
        sizes ? sizes->clusters : MESH_RUNTIME_CLUSTERS;
    slots->table[SLOTS_ENDPOINT].capacity =
        sizes ? sizes->endpoints : MESH_RUNTIME_ENDPOINTS;
    slots->table[SLOTS_ROUTE].capacity =
        sizes ? sizes->routes : MESH_RUNTIME_ROUTES;
}

slots_t *slots_new(const mesh_runtime_sizes_t *sizes, slots_past_pt past,
                   void *ctx) {
    slots_t *slots = compile_alloc(sizeof(slots_t));
    slots->past = past;
    slots->ctx = ctx;
    set_sizes(slots, sizes);
    return slots;
}

void slots_free(slots_t *slots) {
    if (slots == NULL) {
        return;
    }
    for (unsigned i = 0; i < SLOTS_KINDS; i++) {
        free(slots->table[i].v);
        free(slots->table[i].index);
        free(slots->table[i].free);
    }
    free(slots);
}

static bool same_key(slot_key_t x, slot_key_t y) {
    return x.a == y.a && x.b == y.b;
}

static void index_add(slot_table_t *t, uint32_t slot) {
    uint32_t i = (uint32_t)t->v[slot].key.a & t->mask;
    while (t->index[i] != 0) {
        i = (i + 1) & t->mask;
    }
    t->index[i] = slot + 1;
}

/* Makes an index for `used` names at a load below one half. */
static void index_build(slot_table_t *t) {
    uint32_t size = INDEX_MIN;
    while (size < (uint64_t)t->used * 4) {
        size *= 2;
    }
    free(t->index);
    t->index = compile_alloc((size_t)size * sizeof(uint32_t));
    t->mask = size - 1;
    for (uint32_t slot = 0; slot < t->count; slot++) {
        if (t->v[slot].last != 0) {
            index_add(t, slot);
        }
    }
}

static uint32_t index_find(const slot_table_t *t, slot_key_t key) {
    if (t->index == NULL) {
        return MESH_SLOT_NONE;
    }
    uint32_t i = (uint32_t)key.a & t->mask;
    for (; t->index[i] != 0; i = (i + 1) & t->mask) {
        uint32_t slot = t->index[i] - 1;
        if (same_key(t->v[slot].key, key)) {
            return slot;
        }
    }
    return MESH_SLOT_NONE;
}

/* Room for slot numbers below `count`; the new ones are free. */
static void reserve(slot_table_t *t, uint32_t count) {
    if (count <= t->count) {
        return;
    }
    if (count > t->room) {
        uint32_t room = mesh_max(count, mesh_max(INDEX_MIN, t->room * 2));
        t->v = compile_realloc(t->v, (size_t)room * sizeof(slot_t));
        t->free = compile_realloc(t->free, (size_t)room * sizeof(uint32_t));
        t->room = room;
    }
    memset(t->v + t->count, 0, (count - t->count) * sizeof(slot_t));
    t->count = count;
}

static void bind(slot_table_t *t, uint32_t slot, slot_key_t key,
                 uint64_t generation) {
    t->v[slot].key = key;
    t->v[slot].last = generation;
    t->used++;
    if (t->index == NULL || (uint64_t)t->used * 2 > t->mask) {
        index_build(t);
    } else {
        index_add(t, slot);
    }
}

/* The stack of free slots, as it follows from the array. */
static void list_free(slot_table_t *t) {
    t->nfree = 0;
    uint32_t count = mesh_min(t->count, t->capacity);
    for (uint32_t slot = count; slot-- > 0;) {
        if (t->v[slot].last == 0) {
            t->free[t->nfree++] = slot;
        }
    }
}

static bool stale(const slots_t *slots, slots_kind_e kind, uint32_t slot) {
    uint64_t last = slots->table[kind].v[slot].last;
    return last != 0 && last < slots->oldest &&
           slots->past(slots->ctx, kind, slot, last);
}

/* Once a compile at most: gives back what nobody binds or uses any more. */
static void reclaim(slots_t *slots, slots_kind_e kind) {
    slot_table_t *t = &slots->table[kind];
    if (t->reclaimed) {
        return;
    }
    t->reclaimed = true;

    uint32_t found = 0;
    for (uint32_t slot = 0; slot < t->count; slot++) {
        found += stale(slots, kind, slot);
    }
    if (found == 0 ||
        (found < t->used / RECLAIM_SHARE && t->count < t->capacity)) {
        return;
    }
    for (uint32_t slot = 0; slot < t->count; slot++) {
        if (stale(slots, kind, slot)) {
            t->v[slot].last = 0;
            t->used--;
        }
    }
    list_free(t);
    index_build(t);
}

uint32_t slots_get(slots_t *slots, slots_kind_e kind, slot_key_t key) {
    slot_table_t *t = &slots->table[kind];
    uint32_t slot = index_find(t, key);
    if (slot != MESH_SLOT_NONE) {
        t->v[slot].last = slots->generation;
        return slot;
    }
    if (t->nfree == 0) {
        reclaim(slots, kind);
    }
    if (t->nfree > 0) {
        slot = t->free[--t->nfree];
    } else if (t->count < t->capacity) {
        slot = t->count;
        reserve(t, slot + 1);
    } else {
        return MESH_SLOT_NONE;
    }
    bind(t, slot, key, slots->generation);
    return slot;
}

void slots_touch(slots_t *slots, slots_kind_e kind, uint32_t slot) {
    slot_table_t *t = &slots->table[kind];
    if (slot < t->count && t->v[slot].last != 0) {
        t->v[slot].last = slots->generation;
    }
}

void slots_load(slots_t *slots, slots_kind_e kind, slot_key_t key,
                uint32_t slot, uint64_t generation) {
    slot_table_t *t = &slots->table[kind];
    if (slot >= t->capacity || index_find(t, key) != MESH_SLOT_NONE) {
        return;
    }
    reserve(t, slot + 1);
    if (t->v[slot].last == 0) {
        bind(t, slot, key, generation);
    }
}

void slots_begin(slots_t *slots, uint64_t generation, uint64_t oldest) {
    slots->generation = generation;
    slots->oldest = oldest;
    for (unsigned i = 0; i < SLOTS_KINDS; i++) {
        slots->table[i].reclaimed = false;
    }
}

static bool shrink(slot_table_t *t, uint32_t capacity) {
    bool lost = false;
    t->capacity = capacity;
    for (uint32_t slot = capacity; slot < t->count; slot++) {
        if (t->v[slot].last != 0) {
            t->used--;
            lost = true;
        }
    }
    t->count = mesh_min(t->count, capacity);
    list_free(t);
    index_build(t);
    return lost;
}

bool slots_resize(slots_t *slots, const mesh_runtime_sizes_t *sizes) {
    uint32_t before[SLOTS_KINDS];
    for (unsigned i = 0; i < SLOTS_KINDS; i++) {
        before[i] = slots->table[i].capacity;
    }
    set_sizes(slots, sizes);
    bool lost = false;
    for (unsigned i = 0; i < SLOTS_KINDS; i++) {
        slot_table_t *t = &slots->table[i];
        if (t->capacity < before[i]) {
            lost |= shrink(t, t->capacity);
        }
    }
    return lost;
}

uint32_t slots_used(const slots_t *slots, slots_kind_e kind) {
    return slots->table[kind].used;
}

/* --- from the ring ------------------------------------------------------ */

typedef struct {
    slots_t *slots;
    const mesh_snapshot_t *s;
    uint64_t generation;
} load_t;

static void load_endpoints(const load_t *load, const mesh_rec_bind_cluster_t *b,
                           slot_key_t cluster) {
    const mesh_rec_endpoint_set_t *set = mesh_get(load->s, b->set);
    const mesh_rec_refs_t *slots = mesh_get(load->s, b->slots);
    if (set == NULL || slots == NULL) {
        return;
    }
    uint32_t chunks = mesh_min(set->count, slots->count);
    for (uint32_t i = 0; i < chunks; i++) {
        const mesh_rec_endpoint_chunk_t *chunk = mesh_get(load->s, set->v[i]);
        const mesh_rec_u32s_t *v = mesh_get(load->s, slots->v[i]);
        if (chunk == NULL || v == NULL) {
            continue;
        }
        uint32_t n = mesh_min(chunk->count, v->count);
        for (uint32_t k = 0; k < n; k++) {
            slot_key_t key = slot_key_endpoint(
                cluster, &chunk->v[k], mesh_get_str(load->s, chunk->v[k].host));
            slots_load(load->slots, SLOTS_ENDPOINT, key, v->v[k],
                       load->generation);
        }
    }
}

static void load_root(const load_t *load, const mesh_rec_root_t *root,
                      compile_refset_t *seen) {
    const mesh_rec_binding_t *binding = mesh_get(load->s, root->binding);
    if (binding == NULL) {
        return;
    }
    mesh_map_iter_t iter = {0};
    const mesh_map_entry_t *e;
    while ((e = mesh_map_next(load->s, binding->clusters, &iter)) != NULL) {
        if (!compile_refset_add(seen, e->value)) {
            continue;
        }
        const mesh_rec_bind_cluster_t *b = mesh_get(load->s, e->value);
        slot_key_t key = slot_key_name(mesh_get_str(load->s, b->name));
        slots_load(load->slots, SLOTS_CLUSTER, key, b->slot, load->generation);
        load_endpoints(load, b, key);
    }
    if (!compile_refset_add(seen, binding->routes)) {
        return;
    }
    iter = (mesh_map_iter_t){0};
    while ((e = mesh_map_next(load->s, binding->routes, &iter)) != NULL) {
        slots_load(load->slots, SLOTS_ROUTE,
                   slot_key_name(mesh_get_str(load->s, e->name)), e->aux,
                   load->generation);
    }
}

void slots_load_roots(slots_t *slots, const mesh_snapshot_t *s,
                      const mesh_rec_root_t *root) {
    compile_refset_t seen = {0};
    load_t load = {slots, s, root->generation};
    load_root(&load, root, &seen);

    const mesh_rec_refs_t *history = mesh_get(s, root->history);
    for (uint32_t i = 0; history != NULL && i < history->count; i++) {
        const mesh_rec_root_t *old = mesh_get(s, history->v[i]);
        if (old != NULL) {
            load.generation = old->generation;
            load_root(&load, old, &seen);
        }
    }
    for (unsigned i = 0; i < SLOTS_KINDS; i++) {
        if (slots->table[i].v != NULL) {
            list_free(&slots->table[i]);
        }
    }
    compile_refset_free(&seen);
}
