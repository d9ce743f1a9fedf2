/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The vocabulary that every pure room shares: strings, results, hashing,
 * mixing.  No I/O, no clock, no allocation, no nginx.
 *
 * mesh_str_t has the memory layout of ngx_str_t on purpose: glue casts a
 * pointer of one to a pointer of the other and copies nothing.
 */

#ifndef MESH_BASE_H
#define MESH_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>


typedef struct {
    size_t       len;
    const char  *data;      /* not NUL-terminated unless said */
} mesh_str_t;


#define mesh_str(text)   { sizeof(text) - 1, text }
#define MESH_STR(text)   ((mesh_str_t) { sizeof(text) - 1, text })
#define MESH_STR_NULL    ((mesh_str_t) { 0, NULL })

#define mesh_nelts(a)    (sizeof(a) / sizeof((a)[0]))
#define mesh_min(a, b)   ((a) < (b) ? (a) : (b))
#define mesh_max(a, b)   ((a) > (b) ? (a) : (b))


typedef enum {
    MESH_OK = 0,
    MESH_ERROR = -1,        /* a rule was broken; the callee says which */
    MESH_AGAIN = -2,        /* more work to do: call again */
    MESH_DECLINED = -3,     /* not found, not for this callee */
    MESH_NO_MEMORY = -4,
    MESH_NO_SPACE = -5,     /* ENOSPC, or a stated capacity is used up */
    MESH_CORRUPT = -6,      /* bytes from outside break the format */
    MESH_VERSION = -7,      /* a format version this build does not read */
    MESH_BUSY = -8          /* somebody else holds the lock */
} mesh_status_t;


/*
 * Memory is a parameter of pure code.  alloc returns max_align_t-aligned
 * memory that lives as long as the arena it stands for, or NULL.
 */
typedef struct {
    void  *(*alloc)(void *ctx, size_t size);
    void  *ctx;
} mesh_arena_t;

static inline void *
mesh_alloc(const mesh_arena_t *arena, size_t size)
{
    return arena->alloc(arena->ctx, size);
}


static inline mesh_str_t
mesh_str_from(const char *text)
{
    return (mesh_str_t) { strlen(text), text };
}


static inline bool
mesh_str_eq(mesh_str_t a, mesh_str_t b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}


/* Bytewise order, the shorter first among equals: the canonical order. */
static inline int
mesh_str_cmp(mesh_str_t a, mesh_str_t b)
{
    int     rc;
    size_t  n;

    n = mesh_min(a.len, b.len);
    rc = n ? memcmp(a.data, b.data, n) : 0;

    if (rc != 0) {
        return rc;
    }

    return (a.len > b.len) - (a.len < b.len);
}


static inline bool
mesh_str_starts(mesh_str_t s, mesh_str_t prefix)
{
    return s.len >= prefix.len
           && (prefix.len == 0
               || memcmp(s.data, prefix.data, prefix.len) == 0);
}


static inline char
mesh_lower(char c)
{
    return (c >= 'A' && c <= 'Z') ? (char) (c | 0x20) : c;
}


/* The value of a hex digit, or -1. */
static inline int
mesh_hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c = mesh_lower(c);

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}


/* The byte that "%XX" at text.data[i] is; -1: its digits are wrong, or few. */
static inline int
mesh_unescape(mesh_str_t text, size_t i)
{
    int  high, low;

    if (text.len - i < 3) {
        return -1;
    }

    high = mesh_hex(text.data[i + 1]);
    low = mesh_hex(text.data[i + 2]);

    return (high < 0 || low < 0) ? -1 : high << 4 | low;
}


/* Finalizer of splitmix64 (Steele, Lea, Flood 2014): a bijection. */
static inline uint64_t
mesh_mix64(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;

    return x;
}


/*
 * Hash of names in the snapshot's maps and of endpoint keys.  It is part of
 * the format: changing it needs a new MESH_FORMAT_VERSION.  Eight bytes a
 * step, little endian, each step mixed as above; the length is the seed.
 */
static inline uint64_t
mesh_hash64(const void *data, size_t len)
{
    size_t          n;
    uint64_t        h, word;
    const uint8_t  *p;

    p = data;
    h = UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t) len;

    for (n = len; n >= 8; n -= 8, p += 8) {
        memcpy(&word, p, 8);
        h = (h ^ word) * UINT64_C(0xff51afd7ed558ccd);
        h ^= h >> 32;
    }

    if (n) {
        word = 0;
        memcpy(&word, p, n);
        h = (h ^ word) * UINT64_C(0xff51afd7ed558ccd);
        h ^= h >> 32;
    }

    return mesh_mix64(h);
}


static inline uint32_t
mesh_hash32(const void *data, size_t len)
{
    return (uint32_t) (mesh_hash64(data, len) >> 32);
}


/*
 * Hash of a header name in lower case: the low 32 bits of nginx's
 * ngx_hash_key(), which nginx has computed already for request headers.
 */
static inline uint32_t
mesh_header_hash(const char *lower, size_t len)
{
    size_t    i;
    uint32_t  h;

    h = 0;

    for (i = 0; i < len; i++) {
        h = h * 31 + (uint8_t) lower[i];
    }

    return h;
}


#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the snapshot and runtime layouts are little endian"
#endif


#endif /* MESH_BASE_H */
