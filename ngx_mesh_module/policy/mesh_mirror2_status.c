/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Just so much of header compression (RFC 7541) as a status needs: it is the
 * first field, as pseudo-header fields come first and an answer has no other,
 * and it is in no table that would have to be kept, as its size is 0.
 */

#include "mesh_mirror2_impl.h"


static const uint16_t  mirror2_statuses[] = {
    200, 204, 206, 304, 400, 404, 500
};


/* Three digits of Huffman's code, which has 5 bits for 0 to 2 and 6 up to 9. */
static unsigned
mirror2_huffman(const uint8_t *p, size_t len)
{
    size_t    i, n;
    uint64_t  bits, rest;
    unsigned  status, code;

    bits = 0;

    for (i = 0; i < len; i++) {
        bits = bits << 8 | p[i];
    }

    status = 0;
    n = len * 8;

    for (i = 0; i < 3; i++) {
        code = n >= 5 ? (unsigned) (bits >> (n - 5)) & 31 : 31;

        if (code <= 2) {
            n -= 5;
            status = status * 10 + code;
            continue;
        }

        code = n >= 6 ? (unsigned) (bits >> (n - 6)) & 63 : 0;

        if (code < 0x19 || code > 0x1f) {
            return 0;
        }

        n -= 6;
        status = status * 10 + 3 + code - 0x19;
    }

    rest = bits & ((UINT64_C(1) << n) - 1);

    return n < 8 && rest == (UINT64_C(1) << n) - 1 ? status : 0;
}


static unsigned
mirror2_value(const uint8_t *p, size_t len)
{
    size_t    i, n;
    unsigned  status;

    n = len ? p[0] & 127u : 0;

    if (n == 0 || n > 4 || n + 1 > len) {
        return 0;
    }

    if (p[0] & 128) {
        return mirror2_huffman(p + 1, n);
    }

    status = 0;

    for (i = 1; i <= n; i++) {

        if (p[i] < '0' || p[i] > '9') {
            return 0;
        }

        status = status * 10 + p[i] - '0';
    }

    return n == 3 ? status : 0;
}


/* Its length, with its own byte, if the name there is ":status". */
static size_t
mirror2_status_name(const uint8_t *p, size_t len)
{
    static const uint8_t  plain[] = "\7:status";
    static const uint8_t  coded[] = { 0x85, 0xb8, 0x84, 0x8d, 0x36, 0xa3 };

    if (len >= sizeof(plain) - 1
        && memcmp(p, plain, sizeof(plain) - 1) == 0)
    {
        return sizeof(plain) - 1;
    }

    return len >= sizeof(coded) && memcmp(p, coded, sizeof(coded)) == 0
           ? sizeof(coded) : 0;
}


unsigned
mesh_mirror2_status(const uint8_t *p, size_t len)
{
    size_t    n;
    unsigned  index;

    /* the table's size: none, or so long that it is none of ours */
    while (len && p[0] >> 5 == 1) {

        if ((p[0] & 31) == 31) {
            return 0;
        }

        p++;
        len--;
    }

    if (len == 0) {
        return 0;
    }

    if (p[0] & 0x80) {
        index = (p[0] & 127u) - FIELD_STATUS;
        return index < mesh_nelts(mirror2_statuses) ? mirror2_statuses[index]
                                                    : 0;
    }

    index = p[0] & (p[0] & 0x40 ? 63u : 15u);
    p++;
    len--;

    if (index == 0) {
        n = mirror2_status_name(p, len);
        return n ? mirror2_value(p + n, len - n) : 0;
    }

    index -= FIELD_STATUS;

    return index < mesh_nelts(mirror2_statuses) ? mirror2_value(p, len) : 0;
}
