/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The writer when memory is out or OpenSSL fails, at each of its calls in
 * turn: it says so, and after a rollback it goes on as if nothing had been.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "fault.h"
#include "snapshot_sample.h"

#define TEXTS 3000 /* the index and the buffer grow meanwhile */

/* Everything that can be put: the sample, many texts, a map over them. */
static mesh_ref_t put_all(mesh_writer_t *w) {
    static mesh_map_entry_t entries[TEXTS];
    const sample_t one = sample_put(w, 1, 0);

    for (unsigned i = 0; i < TEXTS; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "text number %u", i);
        entries[i] = (mesh_map_entry_t){.name = sample_str(w, text), .aux = i};
    }
    const mesh_ref_t map =
        mesh_writer_put_map(w, MESH_KIND_NONE, entries, TEXTS);
    const sample_t two = sample_put(w, 2, one.root);

    return map ? two.root : 0;
}

static void assert_same_image(const mesh_writer_t *a, const mesh_writer_t *b) {
    const mesh_pending_t x = mesh_writer_pending(a);
    const mesh_pending_t y = mesh_writer_pending(b);

    assert_int_equal(x.offset, y.offset);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len);
}

static void assert_failed(const mesh_writer_t *w, const fault_t *fault,
                          const char *reason) {
    if (mesh_writer_error(w) == NULL) {
        fail_msg("%s failed and nobody noticed", fault->what);
    }
    assert_string_equal(mesh_writer_error(w), reason);
}

static mesh_writer_t *whole_writer(void) {
    mesh_writer_t *w = mesh_writer_create(1, MESH_FILE_CAPACITY_MIN);

    assert_non_null(w);
    assert_int_not_equal(put_all(w), 0);
    return w;
}

static void sweep_puts(unsigned kind, const char *reason, unsigned step) {
    mesh_writer_t *whole = whole_writer();
    fault_t fault = {.kinds = kind};
    unsigned failures = 0;

    while (fault_again(&fault)) {
        mesh_writer_t *w = mesh_writer_create(1, MESH_FILE_CAPACITY_MIN);
        assert_non_null(w);
        fault_begin(&fault);
        const mesh_ref_t ref = put_all(w);
        fault_end();
        assert_int_equal(ref == 0, fault.hit);
        if (fault.hit) {
            assert_failed(w, &fault, reason);
            assert_int_equal(mesh_writer_put_str(w, MESH_STR("later")), 0);
            mesh_writer_rollback(w);
            assert_null(mesh_writer_error(w));
            assert_int_not_equal(put_all(w), 0);
            failures++;
        }
        assert_same_image(w, whole);
        mesh_writer_free(w);
        fault.at += fault.hit ? step : 0;
    }
    assert_in_range(failures, 10, 10000);
    mesh_writer_free(whole);
}

static void test_no_memory_for_a_record(void **state) {
    (void)state;
    sweep_puts(FAULT_MEMORY, "no memory", 0);
}

/* One call in a hundred is enough: there are thousands, all alike. */
static void test_no_digest(void **state) {
    (void)state;
    sweep_puts(FAULT_DIGEST, "SHA-256 failed", 100);
}

static void test_no_writer(void **state) {
    (void)state;
    fault_t fault = {.kinds = FAULT_MEMORY | FAULT_DIGEST};
    unsigned failures = 0;

    while (fault_again(&fault)) {
        fault_begin(&fault);
        mesh_writer_t *w = mesh_writer_create(7, MESH_FILE_CAPACITY_MIN);
        fault_end();
        assert_int_equal(w == NULL, fault.hit);
        failures += fault.hit;
        mesh_writer_free(w);
    }
    assert_in_range(failures, 4, 20);
}

/* Going on with a file, and copying it: whole, or not at all. */
static void test_no_memory_to_go_on(void **state) {
    (void)state;
    mesh_writer_t *whole = whole_writer();
    size_t size;
    uint8_t *bytes = sample_bytes(whole, &size);
    mesh_snapshot_t s;
    uint64_t *starts;
    fault_t fault = {.kinds = FAULT_MEMORY | FAULT_DIGEST};

    assert_int_equal(sample_check(&s, bytes, size, &starts), MESH_OK);
    while (fault_again(&fault)) {
        fault_begin(&fault);
        mesh_writer_t *w = mesh_writer_open(&s);
        fault_end();
        assert_int_equal(w == NULL, fault.hit);
        if (w != NULL) {
            assert_int_equal(mesh_writer_size(w), size);
            const uint64_t before = mesh_writer_size(w);
            assert_int_not_equal(put_all(w), 0);
            assert_int_equal(mesh_writer_size(w), before);
        }
        mesh_writer_free(w);
        fault.at += fault.hit && fault.at > 20 ? 100 : 0;
    }
    free(starts);
    free(bytes);
    mesh_writer_free(whole);
}

static void test_no_memory_to_copy(void **state) {
    (void)state;
    sample_t sample;
    mesh_writer_t *w = sample_writer(&sample);
    size_t size;
    uint8_t *bytes = sample_bytes(w, &size);
    mesh_snapshot_t s;
    uint64_t *starts;
    fault_t fault = {.kinds = FAULT_MEMORY};

    assert_int_equal(sample_check(&s, bytes, size, &starts), MESH_OK);
    while (fault_again(&fault)) {
        mesh_writer_t *to = mesh_writer_create(2, MESH_FILE_CAPACITY_MIN);
        assert_non_null(to);
        fault_begin(&fault);
        mesh_ref_t ref = mesh_writer_copy(to, &s, sample.root);
        fault_end();
        assert_int_equal(ref == 0, fault.hit);
        if (fault.hit) {
            assert_failed(to, &fault, "no memory");
            mesh_writer_rollback(to);
            ref = mesh_writer_copy(to, &s, sample.root);
        }
        const mesh_digest_t was = mesh_writer_digest(w, sample.root);
        const mesh_digest_t is = mesh_writer_digest(to, ref);
        assert_memory_equal(&was, &is, sizeof(was));
        mesh_writer_free(to);
    }
    free(starts);
    free(bytes);
    mesh_writer_free(w);
}

/* What does not fit into any record is told, not cut. */
static void test_too_large(void **state) {
    (void)state;
    mesh_writer_t *w =
        mesh_writer_create(1, UINT64_C(8) * MESH_FILE_CAPACITY_MIN);
    const size_t len = (size_t)MESH_RECORD_MAX + 1;
    const char *text = calloc(1, len);

    assert_non_null(text);
    assert_int_equal(mesh_writer_put_str(w, (mesh_str_t){len, text}), 0);
    assert_string_equal(mesh_writer_error(w), "a record is too large");
    mesh_writer_rollback(w);

    assert_int_equal(
        mesh_writer_put_u32s(w, (const void *)text, MESH_RECORD_MAX / 4), 0);
    assert_string_equal(mesh_writer_error(w), "a record is too large");
    mesh_writer_rollback(w);

    assert_int_equal(mesh_writer_put_refs(w, MESH_KIND_STRING,
                                          (const void *)text,
                                          MESH_RECORD_MAX / 4),
                     0);
    assert_string_equal(mesh_writer_error(w), "a record is too large");

    /* A map's entry needs a text for its name. */
    mesh_writer_rollback(w);
    const uint32_t number = 5;
    mesh_map_entry_t entry = {.name = mesh_writer_put_u32s(w, &number, 1)};
    assert_int_equal(mesh_writer_put_map(w, MESH_KIND_NONE, &entry, 1), 0);
    assert_string_equal(mesh_writer_error(w), "a map's entry without a name");
    mesh_writer_free(w);
    free((void *)(uintptr_t)text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_memory_for_a_record),
        cmocka_unit_test(test_no_digest),
        cmocka_unit_test(test_no_writer),
        cmocka_unit_test(test_no_memory_to_go_on),
        cmocka_unit_test(test_no_memory_to_copy),
        cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
