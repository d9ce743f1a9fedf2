/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reading and writing health words in memory.
 */

#include "mesh_atomic.h"
#include "mesh_health.h"


uint64_t
mesh_health_size(uint32_t endpoints)
{
    if (endpoints == 0 || endpoints > MESH_HEALTH_WORDS_MAX) {
        return 0;
    }

    return sizeof(mesh_health_head_t) + (uint64_t) endpoints * 8;
}


mesh_status_t
mesh_health_init(mesh_health_t *health, void *base, uint64_t size)
{
    uint64_t             need;
    mesh_health_head_t  *head;

    memset(health, 0, sizeof(mesh_health_t));

    head = base;

    if (size < sizeof(mesh_health_head_t)
        || memcmp(head->magic, MESH_HEALTH_MAGIC, sizeof(head->magic)) != 0)
    {
        return MESH_CORRUPT;
    }

    if (head->version != MESH_HEALTH_VERSION) {
        return MESH_VERSION;
    }

    need = mesh_health_size(head->endpoints);

    if (need == 0 || size < need) {
        return MESH_CORRUPT;
    }

    health->head = head;
    health->words = (uint64_t *) (head + 1);
    health->endpoints = head->endpoints;

    return MESH_OK;
}


void
mesh_health_head(mesh_health_head_t *head, uint32_t endpoints, uint64_t epoch)
{
    unsigned  i;

    memset(head, 0, sizeof(mesh_health_head_t));
    memcpy(head->magic, MESH_HEALTH_MAGIC, sizeof(head->magic));

    head->version = MESH_HEALTH_VERSION;
    head->endpoints = endpoints;
    head->changes = epoch;

    for (i = 0; i < MESH_HEALTH_EPOCHS; i++) {
        head->epochs[i] = epoch;
    }
}


uint32_t
mesh_health_bits(const mesh_health_t *health, uint32_t slot, uint64_t tag)
{
    uint64_t  word;

    if (slot >= health->endpoints) {
        return 0;
    }

    word = mesh_load_acquire(&health->words[slot]);

    if ((word ^ tag) & ~MESH_HEALTH_CAUSES) {
        return 0;
    }

    return (uint32_t) (word & MESH_HEALTH_CAUSES);
}


uint64_t
mesh_health_epoch(const mesh_health_t *health, uint64_t cluster_tag)
{
    if (health->head == NULL) {
        return 0;
    }

    return mesh_load_acquire(
               &health->head->epochs[cluster_tag % MESH_HEALTH_EPOCHS]);
}


uint64_t
mesh_health_changes(const mesh_health_t *health)
{
    return health->head ? mesh_load_acquire(&health->head->changes) : 0;
}


bool
mesh_health_set(mesh_health_t *health, uint32_t slot, uint64_t tag,
    uint64_t cluster_tag, uint32_t bits)
{
    uint64_t   word, *epoch, *changes;

    if (slot >= health->endpoints) {
        return false;
    }

    word = bits ? (tag & ~MESH_HEALTH_CAUSES) | bits : 0;

    if (mesh_load_relaxed(&health->words[slot]) == word) {
        return false;
    }

    epoch = &health->head->epochs[cluster_tag % MESH_HEALTH_EPOCHS];
    changes = &health->head->changes;

    /* The word first: whoever sees the epoch sees it, too. */

    mesh_store_release(&health->words[slot], word);
    mesh_store_release(epoch, mesh_load_relaxed(epoch) + 1);
    mesh_store_release(changes, mesh_load_relaxed(changes) + 1);

    return true;
}
