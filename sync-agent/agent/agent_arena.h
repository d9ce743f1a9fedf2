/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A growing region of memory that is freed whole: one per parsed part, one
 * per publishing.  Not thread-safe; ends the process with a message when
 * memory is out, as nothing sensible can be done then (workers go on).
 */

#ifndef AGENT_ARENA_H
#define AGENT_ARENA_H

#include "mesh_base.h"

typedef struct arena_s arena_t;

arena_t *arena_new(void);
void arena_free(arena_t *arena); /* NULL is fine */

/* One of thousands, each of which holds some hundred bytes. */
arena_t *arena_new_small(void);

/* Zeroed, aligned to 16. */
void *arena_alloc(arena_t *arena, size_t size);

/* Copies with a NUL behind. */
char *arena_strdup(arena_t *arena, const char *text);
mesh_str_t arena_str(arena_t *arena, mesh_str_t text);
mesh_str_t arena_lower(arena_t *arena, mesh_str_t text); /* its ASCII letters */
char *arena_printf(arena_t *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * An arena for what is of no use any more before the rest is: a parse tree
 * once it is decoded.  It is freed by arena_drop_aside(), or with `arena`.
 */
arena_t *arena_aside(arena_t *arena);
void arena_drop_aside(arena_t *arena);

size_t arena_size(const arena_t *arena); /* bytes held, aside too */

#endif /* AGENT_ARENA_H */
