/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Random meshes that use every field of the model, each of them valid and in
 * the form that the decoder gives: names that exist, lists in canonical
 * order, defaults filled in.
 */

#ifndef MODEL_RANDOM_H
#define MODEL_RANDOM_H

#include "model.h"
#include "rng.h"

typedef struct {
    uint32_t clusters; /* at most */
    uint32_t endpoints;
    uint32_t hosts;
    uint32_t routes; /* of a host */
    /* In every name, in lower case, so that parts stand together; or NULL. */
    const char *tag;
    bool names; /* host and service names among the endpoints, too */
    bool wide;  /* every balancer, match and affinity, not the plain ones */
} model_random_size_t;

/* A part on its own: model_check() finds no error in it. */
model_part_t *model_random_part(arena_t *arena, rng_t *rng,
                                const model_random_size_t *size);

#endif /* MODEL_RANDOM_H */
