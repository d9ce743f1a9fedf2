/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What workers say of listeners: it comes back as it was told, ends with its
 * worker, and hostile bytes of it lead nowhere.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "mesh_listener.h"
#include "rng.h"

static const mesh_runtime_sizes_t sizes = {3, 2, 2, 3};

/* Ledgers end in the middle of eight bytes with these sizes. */
static mesh_runtime_t *runtime_new(uint64_t bytes) {
    mesh_runtime_t *rt = calloc(1, sizeof(*rt));
    void *base = calloc(1, bytes);

    assert_int_equal(mesh_runtime_init(rt, base, bytes, &sizes, true, 1),
                     MESH_OK);
    rt->worker = 0;
    return rt;
}

static int setup(void **state) {
    *state = runtime_new(mesh_runtime_file_size(&sizes));
    return 0;
}

static int teardown(void **state) {
    mesh_runtime_t *rt = *state;

    free(rt->head);
    free(rt);
    return 0;
}

static mesh_listener_t row_of(uint16_t port) {
    return (mesh_listener_t){.family = MESH_LISTENER_IPV4,
                             .protocol = MESH_LISTENER_HTTP,
                             .port = port,
                             .flags = MESH_LISTENER_SSL,
                             .addr = {127, 0, 0, 1}};
}

static void expect_tables(const mesh_listeners_t *all, uint32_t index,
                          const char *wanted) {
    char found[256] = "";
    size_t len = 0;
    uint32_t at = 0;
    mesh_str_t name;

    while (mesh_listener_table(all, &all->v[index], &at, &name)) {
        len += (size_t)snprintf(found + len, sizeof(found) - len, "%.*s;",
                                (int)name.len, name.data);
    }
    assert_string_equal(found, wanted);
}

/* --- one says it ---------------------------------------------------------- */

static void test_told_and_read(void **state) {
    mesh_runtime_t *rt = *state;
    mesh_listeners_t said = {.count = 0}, read;
    mesh_str_t tables[] = {MESH_STR("default"), MESH_STR("shop")};
    mesh_listener_t http = row_of(80);
    mesh_listener_t unix_socket = {.family = MESH_LISTENER_UNIX,
                                   .protocol = MESH_LISTENER_STREAM};

    assert_true(mesh_listeners_add(&said, &http, MESH_STR_NULL, tables, 2));
    assert_true(
        mesh_listeners_add(&said, &unix_socket, MESH_STR("/run/x"), NULL, 0));
    assert_true(mesh_listeners_add(&said, &http, MESH_STR_NULL, tables, 2));
    assert_true(mesh_listeners_add(&said, &http, MESH_STR_NULL, tables + 1, 1));
    assert_int_equal(said.text_len, sizeof("default") + sizeof("shop") + 6);

    assert_false(mesh_listeners_read(rt, 1, &read));
    rt->workers[1].pid = 77;
    mesh_listeners_tell(rt, 1, &said);
    assert_true(mesh_listeners_read(rt, 1, &read));
    assert_int_equal(read.count, 4);
    assert_int_equal(read.v[0].port, 80);
    assert_int_equal(read.v[0].flags, MESH_LISTENER_SSL);
    assert_memory_equal(read.v[0].addr, http.addr, 16);
    expect_tables(&read, 0, "default;shop;");
    expect_tables(&read, 1, "");
    expect_tables(&read, 3, "shop;");
    assert_true(
        mesh_str_eq(mesh_listener_path(&read, &read.v[1]), MESH_STR("/run/x")));

    /* Others have not said a thing. */
    assert_false(mesh_listeners_read(rt, 0, &read));
    assert_false(mesh_listeners_read(rt, 2, &read));
    assert_false(mesh_listeners_read(rt, 3, &read));
}

static void test_ends_with_the_worker(void **state) {
    mesh_runtime_t *rt = *state;
    mesh_listeners_t said = {.count = 0}, read;
    mesh_listener_t row = row_of(1);

    assert_true(mesh_listeners_add(&said, &row, MESH_STR_NULL, NULL, 0));
    rt->workers[0].pid = 7;
    mesh_listeners_tell(rt, 0, &said);
    assert_true(mesh_listeners_read(rt, 0, &read));

    mesh_runtime_reap(rt, 0);
    rt->workers[0].pid = 7;
    assert_false(mesh_listeners_read(rt, 0, &read));

    /* One that dies while it writes has said nothing. */
    mesh_listeners_tell(rt, 0, &said);
    ((mesh_listeners_t *)rt->listeners)->seq |= 1;
    assert_false(mesh_listeners_read(rt, 0, &read));

    /* The next one is of a build that leaves the place as it is. */
    mesh_listeners_tell(rt, 0, &said);
    assert_true(mesh_listeners_read(rt, 0, &read));
    rt->workers[0].pid = 8;
    assert_false(mesh_listeners_read(rt, 0, &read));
}

static void test_nowhere_is_something_to_say(void **state) {
    mesh_runtime_t *rt = *state;
    mesh_listeners_t none = {.count = 0}, read;

    rt->workers[0].pid = 7;
    mesh_listeners_tell(rt, 0, &none);
    assert_true(mesh_listeners_read(rt, 0, &read));
    assert_int_equal(read.count, 0);
}

static void test_what_has_no_room_is_counted(void **state) {
    static char name[MESH_LISTENERS_TEXT];
    mesh_listeners_t said = {.count = 0};
    mesh_listener_t row = row_of(1);
    mesh_str_t long_name = {sizeof(name) - 1, name};
    mesh_str_t longer[] = {long_name, MESH_STR("x")};
    mesh_str_t path = {sizeof(name), name};
    (void)state;

    memset(name, 'a', sizeof(name));
    assert_false(mesh_listeners_add(&said, &row, path, longer + 1, 1));
    assert_int_equal(said.text_len, 0);
    assert_false(mesh_listeners_add(&said, &row, MESH_STR_NULL, longer, 2));
    assert_int_equal(said.text_len, 0);
    assert_true(mesh_listeners_add(&said, &row, MESH_STR_NULL, longer, 1));
    assert_false(mesh_listeners_add(&said, &row, MESH_STR("/path"), longer, 1));
    assert_int_equal(said.text_len, MESH_LISTENERS_TEXT);
    for (uint32_t i = 1; i < MESH_LISTENERS_MAX; i++) {
        assert_true(mesh_listeners_add(&said, &row, MESH_STR_NULL, longer, 1));
    }
    assert_false(mesh_listeners_add(&said, &row, MESH_STR_NULL, longer, 1));
    assert_int_equal(said.count, MESH_LISTENERS_MAX);
    assert_int_equal(said.left_out, 4);
}

/* --- the place ------------------------------------------------------------ */

static void test_a_runtime_without_a_place(void **state) {
    mesh_runtime_t *rt = runtime_new(mesh_runtime_file_size(&sizes) - 1);
    mesh_listeners_t said = {.count = 0}, read;
    void *old = rt;
    (void)state;

    assert_null(rt->listeners);
    mesh_listeners_tell(rt, 0, &said);
    assert_false(mesh_listeners_read(rt, 0, &read));
    mesh_runtime_reap(rt, 0);
    teardown(&old);
}

/* A later build's: more bytes of each worker, ours first. */
static void test_wider_places(void **state) {
    uint64_t at = mesh_runtime_file_size(&sizes) - 3 * MESH_LISTENERS_BYTES;
    uint64_t bytes = at + 3 * (MESH_LISTENERS_BYTES + 64);
    mesh_runtime_t *rt = runtime_new(bytes), other;
    mesh_listeners_t said = {.left_out = 5}, read;
    void *old = rt;
    (void)state;

    rt->head->listeners_each = MESH_LISTENERS_BYTES + 64;
    assert_int_equal(
        mesh_runtime_init(&other, rt->head, bytes, &sizes, false, 0), MESH_OK);
    assert_non_null(other.listeners);
    other.workers[2].pid = 3;
    mesh_listeners_tell(&other, 2, &said);
    assert_true(mesh_listeners_read(&other, 2, &read));
    assert_int_equal(read.left_out, 5);
    assert_int_equal(
        ((uint32_t *)((uint8_t *)rt->head + at))[2 * (8192 + 64) / 4 + 1], 3);
    teardown(&old);
}

static void test_places_out_of_bounds(void **state) {
    mesh_runtime_t *rt = *state, other;
    uint64_t bytes = mesh_runtime_file_size(&sizes);
    mesh_runtime_head_t saved = *rt->head;
    const struct {
        uint64_t at;
        uint32_t each;
    } bad[] = {
        {0, MESH_LISTENERS_BYTES},
        {saved.listeners + 8, MESH_LISTENERS_BYTES},
        {saved.listeners - 8, MESH_LISTENERS_BYTES},
        {saved.listeners + 1, MESH_LISTENERS_BYTES},
        {UINT64_MAX - 7, MESH_LISTENERS_BYTES},
        {bytes, MESH_LISTENERS_BYTES},
        {saved.listeners, MESH_LISTENERS_BYTES + 8},
        {saved.listeners, MESH_LISTENERS_BYTES - 8},
        {saved.listeners, 0},
        {saved.listeners, UINT32_MAX},
    };

    assert_int_equal(mesh_runtime_init(&other, rt->head, bytes, NULL, false, 0),
                     MESH_OK);
    assert_ptr_equal(other.listeners, rt->listeners);
    for (size_t i = 0; i < mesh_nelts(bad); i++) {
        rt->head->listeners = bad[i].at;
        rt->head->listeners_each = bad[i].each;
        assert_int_equal(
            mesh_runtime_init(&other, rt->head, bytes, NULL, false, 0),
            MESH_OK);
        assert_null(other.listeners);
        *rt->head = saved;
    }
}

/* --- hostile bytes -------------------------------------------------------- */

/* Every text of a copy that was accepted is in the copy. */
static void touch(const mesh_listeners_t *read) {
    volatile char sum = 0;
    mesh_str_t name;

    assert_true(read->count <= MESH_LISTENERS_MAX);
    for (uint32_t i = 0; i < read->count; i++) {
        mesh_str_t path = mesh_listener_path(read, &read->v[i]);
        uint32_t at = 0, tables = 0;

        for (size_t k = 0; k < path.len; k++) {
            sum ^= path.data[k];
        }
        while (mesh_listener_table(read, &read->v[i], &at, &name)) {
            assert_true(name.data >= read->text);
            assert_true(name.data + name.len < read->text + sizeof(read->text));
            assert_true(tables++ < MESH_LISTENERS_TEXT);
        }
    }
}

/* The last name would be read on behind the copy. */
static void test_names_without_an_end(void **state) {
    mesh_runtime_t *rt = *state;
    mesh_listeners_t said = {.count = 1, .text_len = MESH_LISTENERS_TEXT}, read;

    said.v[0] = row_of(1);
    said.v[0].tables_len = MESH_LISTENERS_TEXT;
    memset(said.text, 'a', sizeof(said.text));
    rt->workers[0].pid = 5;
    mesh_listeners_tell(rt, 0, &said);
    assert_false(mesh_listeners_read(rt, 0, &read));

    said.text[MESH_LISTENERS_TEXT - 1] = '\0';
    mesh_listeners_tell(rt, 0, &said);
    assert_true(mesh_listeners_read(rt, 0, &read));
    touch(&read);
}

static void test_hostile_bytes(void **state) {
    mesh_runtime_t *rt = *state;
    mesh_listeners_t *place = (void *)rt->listeners;
    mesh_listeners_t said = {.count = 0};
    mesh_listeners_t *read = malloc(sizeof(*read)); /* redzones around it */
    mesh_str_t tables[] = {MESH_STR("default"), MESH_STR("shop")};
    rng_t rng = {11};
    unsigned accepted = 0, refused = 0;

    for (uint16_t i = 0; i < 20; i++) {
        mesh_listener_t row = row_of(i);
        char path[16];

        snprintf(path, sizeof(path), "/p%u", i);
        mesh_listeners_add(&said, &row, mesh_str_from(path), tables, i % 3);
    }
    rt->workers[0].pid = 5;
    for (unsigned round = 0; round < 20000; round++) {
        mesh_listeners_tell(rt, 0, &said);
        for (unsigned n = 1 + (unsigned)rng_below(&rng, 3); n > 0; n--) {
            size_t in = rng_below(&rng, 2)
                            ? offsetof(mesh_listeners_t, v) + 20 * 32
                            : sizeof(*place);
            uint8_t *byte = (uint8_t *)place + rng_below(&rng, in);
            *byte = rng_below(&rng, 2) ? 0xff : (uint8_t)rng_next(&rng);
        }
        if (mesh_listeners_read(rt, 0, read)) {
            touch(read);
            accepted++;
        } else {
            refused++;
        }
    }
    assert_true(accepted > 1000 && refused > 1000);
    free(read);
}

/* --- two at once ---------------------------------------------------------- */

#define ROUNDS 20000

typedef struct {
    mesh_runtime_t *rt;
    mesh_listeners_t said[2];
    uint32_t stop;
} pair_t;

static void *write_both(void *ctx) {
    pair_t *pair = ctx;

    for (unsigned i = 0; !mesh_load_relaxed(&pair->stop); i++) {
        mesh_listeners_tell(pair->rt, 0, &pair->said[i % 2]);
    }
    return NULL;
}

/* Of a writer that never rests a reader gets one whole state or none. */
static void test_never_half_of_it(void **state) {
    pair_t pair = {.rt = *state};
    mesh_listeners_t read;
    pthread_t writer;
    unsigned whole = 0;

    for (uint16_t which = 0; which < 2; which++) {
        for (uint32_t i = 0; i < MESH_LISTENERS_MAX; i++) {
            mesh_listener_t row = row_of((uint16_t)(1000 * (which + 1)));
            mesh_listeners_add(&pair.said[which], &row, MESH_STR_NULL, NULL, 0);
        }
    }
    pair.rt->workers[0].pid = 5;
    assert_int_equal(pthread_create(&writer, NULL, write_both, &pair), 0);
    for (unsigned i = 0; i < ROUNDS || whole == 0; i++) {
        if (!mesh_listeners_read(pair.rt, 0, &read)) {
            continue;
        }
        for (uint32_t k = 1; k < read.count; k++) {
            assert_int_equal(read.v[k].port, read.v[0].port);
        }
        whole++;
    }
    mesh_store_relaxed(&pair.stop, 1);
    pthread_join(writer, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_told_and_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ends_with_the_worker, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_nowhere_is_something_to_say, setup,
                                        teardown),
        cmocka_unit_test(test_what_has_no_room_is_counted),
        cmocka_unit_test(test_a_runtime_without_a_place),
        cmocka_unit_test(test_wider_places),
        cmocka_unit_test_setup_teardown(test_places_out_of_bounds, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_names_without_an_end, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_hostile_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_never_half_of_it, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
