/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Weighted splits: from a ticket to a point to an entry.
 *
 * Tickets come one after another, node-wide.  A golden-ratio sequence alone
 * would give each entry its share evenly, but two splits that see tickets of
 * one pace would then always agree (the same points, shifted).  So tickets
 * are cut into blocks; within a block the points are spread by a step of low
 * discrepancy, and where and in which direction a block begins is a hash of
 * block and salt: splits with different salts meet in all combinations.
 *
 * Weights like 90 and 10 repeat after a few tickets (their sum over their
 * common divisor): that is the block then, and each has exactly its share.
 * Other weights have blocks of 64 tickets, one for each 64th of the whole;
 * inside it the point moves on from block to block by the golden ratio
 * (Weyl), which honours a boundary there in the long run.
 */

#include "mesh_route.h"


#define MESH_SPLIT_PERIOD   128
#define MESH_SPLIT_BITS     6
#define MESH_GOLDEN64       UINT64_C(0x9e3779b97f4a7c15)


/*
 * By period, the step whose worst error is smallest over all runs of tickets
 * and all shares (found by trying every one).
 */
static const uint8_t  mesh_split_steps[MESH_SPLIT_PERIOD + 1] = {
     0,  0,  1,  1,  1,  2,  1,  2,  3,  2,  3,  3,
     5,  5,  3,  4,  7,  5,  5,  7,  9,  8,  5,  5,
     5,  9,  7,  8,  5,  8, 11, 12,  7,  7, 13,  8,
    11,  8,  9, 14, 11, 16, 11, 12, 13, 19, 17, 13,
    17, 18, 19, 20, 11, 14, 17, 21, 15, 16, 11, 25,
    13, 22, 23, 17, 23, 18, 25, 18, 19, 19, 29, 26,
    19, 27, 31, 29, 21, 34, 29, 29, 31, 31, 31, 30,
    19, 18, 25, 19, 19, 34, 19, 25, 33, 34, 39, 29,
    29, 35, 41, 29, 27, 39, 19, 37, 29, 41, 31, 41,
    29, 30, 23, 31, 41, 40, 25, 34, 45, 43, 21, 44,
    43, 46, 51, 34, 29, 33, 55, 45, 47
};


/* Common divisor of the running sums, and thereby of the weights. */
static uint32_t
mesh_split_divisor(const mesh_rec_split_t *split)
{
    uint32_t  a, b, i, rest;

    a = split->total;

    for (i = 0; i + 1 < split->count && a > 1; i++) {
        for (b = split->v[i].upto; b != 0; b = rest) {
            rest = a % b;
            a = b;
        }
    }

    return a;
}


/* Visits [0, period) once in each block. */
static uint32_t
mesh_split_walk(uint64_t ticket, uint32_t salt, uint32_t period)
{
    uint32_t  at, begin;
    uint64_t  order;

    at = (uint32_t) (ticket % period);
    order = mesh_mix64(ticket / period + salt * MESH_GOLDEN64);
    begin = (uint32_t) ((order >> 32) * period >> 32);

    if (order & 1) {
        at = period - 1 - at;
    }

    return (at * mesh_split_steps[period] + begin) % period;
}


/* A point in [0, total). */
static uint32_t
mesh_split_point(const mesh_rec_split_t *split, uint64_t ticket, uint32_t salt)
{
    uint32_t  divisor, period, point;
    uint64_t  within;

    divisor = mesh_split_divisor(split);
    period = split->total / divisor;

    if (period <= MESH_SPLIT_PERIOD) {
        return mesh_split_walk(ticket, salt, period) * divisor;
    }

    within = (ticket >> MESH_SPLIT_BITS) * MESH_GOLDEN64 + mesh_mix64(salt);
    point = mesh_split_walk(ticket, salt, 1 << MESH_SPLIT_BITS);
    point = point << (32 - MESH_SPLIT_BITS)
            | (uint32_t) (within >> (32 + MESH_SPLIT_BITS));

    return (uint32_t) ((uint64_t) point * split->total >> 32);
}


/*
 * Blocks of 100 visit every per cent; where in it moves on from block to
 * block.  A split of the same route has a ticket of its own, and its salt
 * differs, as both may be drawn in step.
 */
uint32_t
mesh_share_point(uint64_t ticket, uint32_t salt)
{
    uint64_t  within;

    salt = ~salt;
    within = ticket / 100 * MESH_GOLDEN64 + mesh_mix64(salt);

    return mesh_split_walk(ticket, salt, 100) * (MESH_SHARE_ALL / 100)
           + (uint32_t) ((within >> 32) * (MESH_SHARE_ALL / 100) >> 32);
}


bool
mesh_share_has(const mesh_snapshot_t *s, mesh_ref_t share, uint32_t ppm,
    uint64_t random)
{
    const mesh_rec_share_t  *rec;

    rec = mesh_get(s, share);

    return random % rec->denominator
           < ppm / (MESH_SHARE_ALL / rec->denominator);
}


static const mesh_split_entry_t *
mesh_split_at(const mesh_rec_split_t *split, uint32_t point)
{
    uint32_t  low, high, middle;

    low = 0;
    high = split->count - 1;

    while (low < high) {
        middle = (low + high) / 2;

        if (point < split->v[middle].upto) {
            high = middle;

        } else {
            low = middle + 1;
        }
    }

    return &split->v[low];
}


const mesh_split_entry_t *
mesh_split_pick(const mesh_rec_split_t *split, uint64_t ticket, uint32_t salt)
{
    if (split->count == 1) {
        return &split->v[0];
    }

    return mesh_split_at(split, mesh_split_point(split, ticket, salt));
}


/*
 * Turned and mixed first: balancers take remainders and the upper bits of the
 * hash itself, and would choose in each cluster from what is left of it.  Not
 * by a remainder as in Envoy: that moves everybody when the sum changes.
 */
uint32_t
mesh_split_hash_point(const mesh_rec_split_t *split, uint64_t hash)
{
    hash = mesh_mix64(hash << 32 | hash >> 32);

    return (uint32_t) ((hash >> 32) * split->total >> 32);
}


const mesh_split_entry_t *
mesh_split_hash(const mesh_rec_split_t *split, uint64_t hash)
{
    return mesh_split_at(split, mesh_split_hash_point(split, hash));
}


/* Digits, with blanks around them and a plus sign before them. */
static bool
mesh_split_parse(mesh_str_t text, uint64_t *number)
{
    size_t    i;
    uint64_t  value;
    unsigned  digit;

    text = mesh_header_trim(text);
    i = text.len != 0 && text.data[0] == '+';

    if (i == text.len) {
        return false;
    }

    for (value = 0; i < text.len; i++) {
        digit = (unsigned) (uint8_t) text.data[i] - '0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10) {
            return false;
        }

        value = value * 10 + digit;
    }

    *number = value;

    return true;
}


bool
mesh_split_number(const mesh_request_t *r, mesh_str_t name, uint64_t *number)
{
    uint32_t            hash;
    mesh_str_t          value, other;
    mesh_header_iter_t  iter = { NULL, 0 };

    hash = mesh_header_hash(name.data, name.len);

    return r->calls->header(r, name, hash, &iter, &value)
           && !r->calls->header(r, name, hash, &iter, &other)
           && mesh_split_parse(value, number);
}


const mesh_split_entry_t *
mesh_split_random(const mesh_rec_split_t *split, uint64_t random)
{
    return mesh_split_at(split, (uint32_t) (random % split->total));
}
