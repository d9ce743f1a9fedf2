/* SPDX-License-Identifier: Apache-2.0 */

/*
 * model_endpoint.c: the order is total and the hash is the format's.
 */

#include "model_fixture.h"

static model_endpoint_t random_endpoint(rng_t *random) {
    static const uint8_t families[] = {MESH_FAMILY_UNIX, MESH_FAMILY_IPV4,
                                       MESH_FAMILY_IPV6};
    static const char *const paths[] = {"/a", "/ab", "/b", "/run/app.sock"};
    model_endpoint_t e = {.family = families[rng_next(random) % 3]};

    /* Few values, so that equal ones occur. */
    if (e.family == MESH_FAMILY_UNIX) {
        e.host = mesh_str_from(paths[rng_next(random) % 4]);
        return e;
    }

    e.port = (uint16_t)(1 + rng_next(random) % 3);
    e.addr[0] = (uint8_t)(rng_next(random) % 3);
    e.addr[e.family == MESH_FAMILY_IPV4 ? 3 : 15] =
        (uint8_t)(rng_next(random) % 3 + 254);

    return e;
}

static int sign(int value) {
    return (value > 0) - (value < 0);
}

static void the_order_is_total(void **state) {
    (void)state;

    rng_t random = {3};

    for (int i = 0; i < 20000; i++) {
        model_endpoint_t a = random_endpoint(&random);
        model_endpoint_t b = random_endpoint(&random);
        model_endpoint_t c = random_endpoint(&random);
        int ab = model_endpoint_cmp(&a, &b);

        assert_int_equal(model_endpoint_cmp(&a, &a), 0);
        assert_int_equal(sign(ab), -sign(model_endpoint_cmp(&b, &a)));

        if (ab <= 0 && model_endpoint_cmp(&b, &c) <= 0) {
            assert_true(model_endpoint_cmp(&a, &c) <= 0);
        }

        if (ab == 0) {
            assert_int_equal(model_endpoint_hash(&a), model_endpoint_hash(&b));
        }
    }
}

/* Family first, then address, then port, as the chunks of a set want. */
static void the_order_of_parts(void **state) {
    (void)state;

    const model_endpoint_t order[] = {
        {.family = MESH_FAMILY_UNIX, .host = mesh_str("/z")},
        {.family = MESH_FAMILY_IPV4, .addr = {1}, .port = 9},
        {.family = MESH_FAMILY_IPV4, .addr = {2}, .port = 1},
        {.family = MESH_FAMILY_IPV4, .addr = {2}, .port = 256},
        {.family = MESH_FAMILY_IPV6, .addr = {0}, .port = 1},
    };

    for (size_t i = 1; i < mesh_nelts(order); i++) {
        assert_true(model_endpoint_cmp(&order[i - 1], &order[i]) < 0);
    }
}

static void weight_and_labels_are_no_identity(void **state) {
    (void)state;

    model_endpoint_t a = {.family = MESH_FAMILY_IPV4, .port = 1, .weight = 1};
    model_endpoint_t b = a;

    b.weight = 7;
    b.health = MESH_HEALTH_DRAINING;
    b.labels.count = 3;
    b.locality.zone = MESH_STR("z");

    assert_int_equal(model_endpoint_cmp(&a, &b), 0);
    assert_int_equal(model_endpoint_hash(&a), model_endpoint_hash(&b));
}

/* The 24 bytes and the path, put together by hand. */
static void the_hash_is_of_the_formats_bytes(void **state) {
    (void)state;

    const model_endpoint_t ip = {
        .family = MESH_FAMILY_IPV4, .port = 0x1234, .addr = {127, 0, 1, 2}};
    const uint8_t ip_key[24] = {4, 0, 0x34, 0x12, 127, 0, 1, 2};

    assert_int_equal(model_endpoint_hash(&ip),
                     (uint32_t)mesh_hash64(ip_key, sizeof(ip_key)));

    const model_endpoint_t path = {.family = MESH_FAMILY_UNIX,
                                   .host = mesh_str("/run/x")};
    const uint8_t path_key[30] = {
        [0] = 1,    [24] = '/', [25] = 'r', [26] = 'u',
        [27] = 'n', [28] = '/', [29] = 'x'};

    assert_int_equal(model_endpoint_hash(&path),
                     (uint32_t)mesh_hash64(path_key, sizeof(path_key)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_is_total),
        cmocka_unit_test(the_order_of_parts),
        cmocka_unit_test(weight_and_labels_are_no_identity),
        cmocka_unit_test(the_hash_is_of_the_formats_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
