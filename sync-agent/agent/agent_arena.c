/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Bump allocation in blocks that double up to a bound.  What does not fit
 * into a block of the usual size gets one of its own.
 */

#include "agent_arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_MIN (8u << 10)
#define BLOCK_SMALL 512u
#define BLOCK_MAX (4u << 20)
#define ALIGN 16

typedef struct block_s block_t;

struct block_s {
    block_t *next;
    size_t size; /* of the whole block */
};

struct arena_s {
    char *at;
    char *end;
    block_t *blocks;
    size_t next_size;
    size_t held;
    arena_t *aside; /* or NULL */
};

#define HEAD ((sizeof(block_t) + ALIGN - 1) & ~(size_t)(ALIGN - 1))

/*
 * AddressSanitizer knows nothing of pieces within a block: a gap that may not
 * be touched follows each of them in its builds.
 */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define GAP 16
#define hide(p, size) ASAN_POISON_MEMORY_REGION(p, size)
#define show(p, size) ASAN_UNPOISON_MEMORY_REGION(p, size)
#else
#define GAP 0
#define hide(p, size) (void)(p)
#define show(p, size) (void)(p)
#endif

/* Says why and ends: a half-built model must never be published. */
static void out_of_memory(size_t size) {
    fprintf(stderr, "mesh-agent: out of memory (%zu bytes wanted)\n", size);
    abort();
}

arena_t *arena_new(void) {
    arena_t *arena = calloc(1, sizeof(*arena));

    if (arena == NULL) {
        out_of_memory(sizeof(*arena));
    }

    arena->next_size = BLOCK_MIN;
    arena->held = sizeof(*arena);

    return arena;
}

arena_t *arena_new_small(void) {
    arena_t *arena = arena_new();

    arena->next_size = BLOCK_SMALL;

    return arena;
}

void arena_free(arena_t *arena) {
    if (arena == NULL) {
        return;
    }

    arena_free(arena->aside);

    block_t *next;

    for (block_t *block = arena->blocks; block != NULL; block = next) {
        next = block->next;
        free(block);
    }

    free(arena);
}

/* calloc: fresh pages from the kernel are zero already and not touched. */
static char *new_block(arena_t *arena, size_t payload) {
    size_t size = HEAD + payload;
    block_t *block = calloc(1, size);

    if (block == NULL) {
        out_of_memory(size);
    }

    block->size = size;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->held += size;

    char *start = (char *)block + HEAD;

    hide(start, payload);
    return start;
}

/* `size` bytes that the current block does not hold. */
static char *alloc_slow(arena_t *arena, size_t size) {
    if (size > arena->next_size / 4) {
        /* The current block goes on serving small ones. */
        return new_block(arena, size);
    }

    char *start = new_block(arena, arena->next_size);

    arena->at = start + size;
    arena->end = start + arena->next_size;

    if (arena->next_size < BLOCK_MAX) {
        arena->next_size *= 2;
    }

    return start;
}

static char *alloc_aligned(arena_t *arena, size_t size, size_t align) {
    size_t pad = -(uintptr_t)arena->at & (align - 1);
    size_t room = (size_t)(arena->end - arena->at);
    char *p;

    if (size > SIZE_MAX - HEAD - GAP) {
        out_of_memory(size);
    }

    if (room >= pad && room - pad >= size + GAP) {
        p = arena->at + pad;
        arena->at = p + size + GAP;
    } else {
        p = alloc_slow(arena, size + GAP);
    }

    show(p, size);
    return p;
}

static char *alloc_bytes(arena_t *arena, size_t size) {
    return alloc_aligned(arena, size, 1);
}

void *arena_alloc(arena_t *arena, size_t size) {
    /* So that no two results are equal and none is NULL. */
    return alloc_aligned(arena, mesh_max(size, (size_t)1), ALIGN);
}

mesh_str_t arena_str(arena_t *arena, mesh_str_t text) {
    if (text.len == SIZE_MAX) {
        out_of_memory(text.len);
    }

    char *copy = alloc_bytes(arena, text.len + 1);

    if (text.len != 0) {
        memcpy(copy, text.data, text.len);
    }

    copy[text.len] = '\0';

    return (mesh_str_t){text.len, copy};
}

mesh_str_t arena_lower(arena_t *arena, mesh_str_t text) {
    mesh_str_t copy = arena_str(arena, text);
    char *at = (char *)copy.data;

    for (size_t i = 0; i < copy.len; i++) {
        at[i] = mesh_lower(at[i]);
    }

    return copy;
}

char *arena_strdup(arena_t *arena, const char *text) {
    return (char *)arena_str(arena, mesh_str_from(text)).data;
}

char *arena_printf(arena_t *arena, const char *format, ...) {
    va_list args;

    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);

    if (len < 0) {
        return arena_strdup(arena, "");
    }

    char *text = alloc_bytes(arena, (size_t)len + 1);

    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);

    return text;
}

arena_t *arena_aside(arena_t *arena) {
    if (arena->aside == NULL) {
        arena->aside = arena_new();
    }

    return arena->aside;
}

void arena_drop_aside(arena_t *arena) {
    arena_free(arena->aside);
    arena->aside = NULL;
}

size_t arena_size(const arena_t *arena) {
    return arena->held + (arena->aside ? arena_size(arena->aside) : 0);
}
