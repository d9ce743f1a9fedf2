/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Times to live in a DNS reply (RFC 1035, 4.1): c-ares tells those of
 * addresses, not those of SRV records.
 */

#include "dns_resolver.h"

#define HEADER 12
#define RR_FIXED 10 /* type, class, ttl, length */

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
} reply_t;

static uint32_t number(const uint8_t *p, unsigned bytes) {
    uint32_t value = 0;

    while (bytes--) {
        value = value << 8 | *p++;
    }
    return value;
}

static bool skip(reply_t *r, size_t n) {
    if ((size_t)(r->end - r->at) < n) {
        return false;
    }
    r->at += n;
    return true;
}

/* Labels up to the empty one, or up to a pointer, which ends a name. */
static bool skip_name(reply_t *r) {
    while (r->at < r->end) {
        uint8_t len = *r->at;

        if ((len & 0xc0) == 0xc0) {
            return skip(r, 2);
        }
        if ((len & 0xc0) != 0 || !skip(r, (size_t)len + 1)) {
            return false;
        }
        if (len == 0) {
            return true;
        }
    }
    return false;
}

uint32_t dns_reply_ttl(const uint8_t *reply, size_t len, uint32_t fallback) {
    reply_t r = {reply, reply + len};
    uint32_t least = UINT32_MAX;

    if (len < HEADER) {
        return fallback;
    }
    uint32_t questions = number(reply + 4, 2), answers = number(reply + 6, 2);

    r.at += HEADER;
    while (questions--) {
        if (!skip_name(&r) || !skip(&r, 4)) {
            return fallback;
        }
    }
    while (answers--) {
        if (!skip_name(&r) || (size_t)(r.end - r.at) < RR_FIXED) {
            return fallback;
        }
        uint32_t ttl = number(r.at + 4, 4);
        size_t data = number(r.at + 8, 2);

        /* RFC 2181, 8: the top bit is no time. */
        least = mesh_min(least, ttl & 0x80000000u ? 0 : ttl);
        if (!skip(&r, RR_FIXED + data)) {
            return fallback;
        }
    }
    return least == UINT32_MAX ? fallback : least;
}
