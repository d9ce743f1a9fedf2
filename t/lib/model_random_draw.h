/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What random meshes are drawn with: numbers and names; see model_random.h.
 */

#ifndef MODEL_RANDOM_DRAW_H
#define MODEL_RANDOM_DRAW_H

#include "model.h"
#include "rng.h"

typedef struct {
    arena_t *arena;
    rng_t *rng;
    model_part_t *part;
    const char *tag;
    bool names;
    bool wide;
} maker_t;

static inline uint32_t below(maker_t *m, uint32_t n) {
    return rng_below(m->rng, n);
}

static inline bool one_in(maker_t *m, uint32_t n) {
    return rng_one_in(m->rng, n);
}

/* What plain meshes do not have. */
static inline bool wide_one_in(maker_t *m, uint32_t n) {
    return m->wide && one_in(m, n);
}

/* Small ones, the bounds, anything between. */
static inline uint32_t number(maker_t *m, uint32_t min, uint32_t max) {
    switch (below(m, 4)) {
    case 0:
        return min;
    case 1:
        return max;
    case 2:
        return (uint32_t)rng_range(m->rng, min,
                                   mesh_min((uint64_t)min + 100, max));
    default:
        return (uint32_t)rng_range(m->rng, min, max);
    }
}

/* Of `alphabet`, with a number that makes it its own. */
static inline mesh_str_t word(maker_t *m, const char *alphabet, uint32_t id) {
    char text[32];
    uint32_t len = 1 + below(m, 12);
    size_t letters = strlen(alphabet);

    for (uint32_t i = 0; i < len; i++) {
        text[i] = alphabet[below(m, (uint32_t)letters)];
    }
    text[len] = '\0';
    return mesh_str_from(arena_printf(m->arena, "%s%s%u", text, m->tag, id));
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define NAME LOWER "ABCXYZ -._~!$&'()*+,;=:@/?#[]{}\"\\|<>`^"
#define TEXT LOWER "ABCXYZ 09-._~!$&'()*+,;=:@/?#[]{}\"\\\t|<>`^"

#endif /* MODEL_RANDOM_DRAW_H */
