/* SPDX-License-Identifier: Apache-2.0 */

/* Names of subsets by labels. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "mesh_subset.h"
#include "rng.h"

static void is(const char *text, const char *want) {
    char out[MESH_SUBSET_NAME_MAX];
    size_t len = mesh_subset_canonical(mesh_str_from(text), out);

    if (len != strlen(want) || memcmp(out, want, len) != 0) {
        fail_msg("%s is %.*s, not %s", text, (int)len, out, want);
    }
}

static void test_canonical(void **state) {
    (void)state;

    is("a=1", "a=1");
    is("b=2,a=1", "a=1,b=2");
    is("a=", "a=");
    is("a=%41%2c%2F%20x", "a=A%2C%2F%20x");
    is("%62=1,a%3D=2", "a%3D=2,b=1");
    is("a-b=1,a=2,a.b=3", "a=2,a-b=1,a.b=3");
    is("\xc3\xa9=1", "\xc3\xa9=1");

    is("", "");
    is("a", "");
    is("=1", "");
    is("a=1,", "");
    is(",a=1", "");
    is("a=1,,b=2", "");
    is("a=1=2", "");
    is("a=1,a=2", "");
    is("a=1,%61=2", "");
    is("a=%4", "");
    is("a=%4x", "");
    is("a=%", "");
    is("%zz=1", "");

    /* What must be escaped, as "a=1, b=2" is hardly meant. */
    is("a=1, b=2", "");
    is("a =1", "");
    is("a=1\t", "");
    is("a=\x7f", "");
    is("a=1/2", "");
    is("a/b=1", "");
}

static void test_bounds(void **state) {
    char text[MESH_SUBSET_NAME_MAX + 2] = "a=";
    char out[MESH_SUBSET_NAME_MAX];
    (void)state;

    memset(text + 2, 'x', sizeof(text) - 2);
    assert_int_equal(
        mesh_subset_canonical((mesh_str_t){MESH_SUBSET_NAME_MAX, text}, out),
        MESH_SUBSET_NAME_MAX);
    assert_int_equal(mesh_subset_canonical(
                         (mesh_str_t){MESH_SUBSET_NAME_MAX + 1, text}, out),
                     0);
    /* The last bytes are an escape. */
    memcpy(text + MESH_SUBSET_NAME_MAX - 3, "%2f", 3);
    assert_int_equal(
        mesh_subset_canonical((mesh_str_t){MESH_SUBSET_NAME_MAX, text}, out),
        MESH_SUBSET_NAME_MAX);
    assert_memory_equal(out + MESH_SUBSET_NAME_MAX - 4, "x%2F", 4);
    assert_int_equal(mesh_subset_canonical(
                         (mesh_str_t){MESH_SUBSET_NAME_MAX - 1, text}, out),
                     0);

    /* More labels than endpoints can have. */
    size_t len = 0;
    for (int i = 0; i < 65; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len,
                                "%sk%d=", i ? "," : "", i);
    }
    assert_int_equal(mesh_subset_canonical((mesh_str_t){len, text}, out), 0);
    len -= strlen(",k64=");
    assert_int_equal(mesh_subset_canonical((mesh_str_t){len, text}, out), len);

    /* No room, and none ever after. */
    memset(text, 'y', sizeof(text));
    for (size_t from = MESH_SUBSET_NAME_MAX - 4; from <= MESH_SUBSET_NAME_MAX;
         from++) {
        len = mesh_subset_put(out, from, MESH_STR("k"), MESH_STR("v"));
        assert_int_equal(len, from == MESH_SUBSET_NAME_MAX - 4
                                  ? MESH_SUBSET_NAME_MAX
                                  : MESH_SUBSET_NAME_MAX + 1);
        len = mesh_subset_put(out, MESH_SUBSET_NAME_MAX + 1, MESH_STR(""),
                              MESH_STR(""));
        assert_int_equal(len, MESH_SUBSET_NAME_MAX + 1);
    }
}

static mesh_str_t random_text(rng_t *rng, char *out) {
    size_t len = rng_below(rng, 6);

    for (size_t i = 0; i < len; i++) {
        out[i] = "ab,=/% \x7f\xff\t"[rng_below(rng, 10)];
    }
    return (mesh_str_t){len, out};
}

/* Any bytes there and back; one set of labels has one name. */
static void test_any_labels(void **state) {
    rng_t rng = {.state = 7};
    (void)state;

    for (int n = 0; n < 20000; n++) {
        char bytes[4][8];
        char name[MESH_SUBSET_NAME_MAX];
        char again[MESH_SUBSET_NAME_MAX];
        mesh_str_t key = random_text(&rng, bytes[0]);
        mesh_str_t value = random_text(&rng, bytes[1]);
        mesh_str_t other = random_text(&rng, bytes[2]);
        mesh_str_t label;
        mesh_str_t escaped;
        size_t len;

        if (key.len == 0 || other.len == 0 || mesh_str_cmp(key, other) >= 0) {
            continue;
        }
        len = mesh_subset_put(name, 0, key, value);
        len = mesh_subset_put(name, len, other, value);

        mesh_str_t rest = {len, name};
        assert_true(mesh_subset_by_labels(rest));
        assert_true(mesh_subset_next(&rest, &label, &escaped));
        assert_true(mesh_subset_is_key(escaped, key));
        assert_false(mesh_subset_is_key(escaped, other));
        assert_true(mesh_subset_next(&rest, &label, &escaped));
        assert_true(mesh_subset_is_key(escaped, other));
        assert_false(mesh_subset_next(&rest, &label, &escaped));

        assert_int_equal(mesh_subset_canonical((mesh_str_t){len, name}, again),
                         len);
        assert_memory_equal(name, again, len);
        for (size_t i = 0; i < len; i++) {
            assert_true((uint8_t)name[i] > 0x20 && name[i] != 0x7f &&
                        name[i] != '/');
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_any_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
