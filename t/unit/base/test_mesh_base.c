/* SPDX-License-Identifier: Apache-2.0 */

/* Strings and hashes: what the format and nginx rely on. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "mesh_base.h"

/* The hash is part of the format: these values may never change. */
static void test_hash_is_frozen(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t hash;
    } frozen[] = {
        {"", UINT64_C(0xe220a8397b1dcdaf)},
        {"reviews", UINT64_C(0x543fd2d24fa75f27)},
        {"outbound|9080|v1|reviews.default.svc.cluster.local",
         UINT64_C(0xfd701beccb561dde)},
    };
    for (size_t i = 0; i < mesh_nelts(frozen); i++) {
        const char *text = frozen[i].text;
        assert_int_equal(mesh_hash64(text, strlen(text)), frozen[i].hash);
        assert_int_equal(mesh_hash32(text, strlen(text)),
                         (uint32_t)(frozen[i].hash >> 32));
    }
}

/* Numbered names, as control planes make them, spread evenly over buckets. */
static void test_hash_spreads(void **state) {
    (void)state;
    enum { BUCKETS = 64, NAMES = 64000 };
    unsigned count[BUCKETS] = {0};
    for (unsigned i = 0; i < NAMES; i++) {
        char name[32];
        int len = snprintf(name, sizeof(name), "cluster-%u", i);
        count[mesh_hash32(name, (size_t)len) >> 26]++;
    }
    /* 1,000 expected, standard deviation 31: five of them. */
    for (unsigned i = 0; i < BUCKETS; i++) {
        assert_in_range(count[i], 840, 1160);
    }
}

static void test_mix_is_a_bijection_on_samples(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 2000; i++) {
        for (uint64_t j = i + 1; j < i + 4; j++) {
            assert_int_not_equal(mesh_mix64(i), mesh_mix64(j));
        }
    }
}

/* ngx_hash_key("host"), computed by hand: ((h*31 + o)*31 + s)*31 + t. */
static void test_header_hash_is_nginx_s(void **state) {
    (void)state;
    uint32_t h = 'h';
    h = h * 31 + 'o';
    h = h * 31 + 's';
    h = h * 31 + 't';
    assert_int_equal(mesh_header_hash("host", 4), h);
    assert_int_equal(mesh_header_hash("", 0), 0);
}

static void test_strings(void **state) {
    (void)state;
    mesh_str_t a = MESH_STR("/reviews");
    mesh_str_t b = MESH_STR("/reviews/1");
    assert_true(mesh_str_starts(b, a));
    assert_false(mesh_str_starts(a, b));
    assert_true(mesh_str_starts(a, MESH_STR_NULL));
    assert_true(mesh_str_eq(MESH_STR_NULL, MESH_STR("")));
    assert_false(mesh_str_eq(a, b));
    assert_true(mesh_str_cmp(a, b) < 0);
    assert_true(mesh_str_cmp(b, a) > 0);
    assert_int_equal(mesh_str_cmp(a, MESH_STR("/reviews")), 0);
    assert_true(mesh_str_cmp(MESH_STR("\x7f"), MESH_STR("\xff")) < 0);
    assert_int_equal(mesh_lower('Z'), 'z');
    assert_int_equal(mesh_lower('['), '[');
    assert_int_equal(mesh_lower('\xc4'), '\xc4');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_is_frozen),
        cmocka_unit_test(test_hash_spreads),
        cmocka_unit_test(test_mix_is_a_bijection_on_samples),
        cmocka_unit_test(test_header_hash_is_nginx_s),
        cmocka_unit_test(test_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
