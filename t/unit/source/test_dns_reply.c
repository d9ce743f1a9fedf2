/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Times to live of a DNS reply.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dns_resolver.h"

#define FALLBACK 12345

/* A question and two answers, one of whose names is a pointer. */
static const uint8_t reply[] = {
    0,    1,   0x81, 0x80, 0,   1,   0,   2, 0,    0,    0,    0, /* header */
    1,    'a', 4,    't',  'e', 's', 't', 0, 0,    33,   0,    1, /* question */
    0xc0, 12,  0,    33,   0,   1,   0,   0, 0x01, 0x2c, 0,    3, /* ttl 300 */
    1,    2,   3,                                                 /* data */
    1,    'a', 0,    0,    33,  0,   1,   0, 0,    0,    0x3c, 0, /* ttl 60 */
    1,    9,
};

static void test_the_smallest_counts(void **state) {
    (void)state;
    assert_int_equal(dns_reply_ttl(reply, sizeof(reply), FALLBACK), 60);
}

/* Cut anywhere, it says so; never is a byte behind the cut read (ASan). */
static void test_cut(void **state) {
    (void)state;
    for (size_t len = 0; len < sizeof(reply); len++)
        assert_int_equal(dns_reply_ttl(reply, len, FALLBACK), FALLBACK);
}

static void test_none_and_nonsense(void **state) {
    uint8_t copy[sizeof(reply)];
    (void)state;

    memcpy(copy, reply, sizeof(reply));
    copy[7] = 0; /* no answers */
    assert_int_equal(dns_reply_ttl(copy, sizeof(copy), FALLBACK), FALLBACK);
    copy[7] = 2;
    copy[30] = 0x80; /* RFC 2181, 8 */
    assert_int_equal(dns_reply_ttl(copy, sizeof(copy), FALLBACK), 0);
    copy[12] = 0x41; /* a label of an unknown type */
    assert_int_equal(dns_reply_ttl(copy, sizeof(copy), FALLBACK), FALLBACK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_smallest_counts),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_none_and_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
