/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The writer: one record of each content, the same digest whatever the order,
 * nothing left behind by a rollback, nothing lost by compaction.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "snapshot_sample.h"
#include "snapshot_touch.h"

#define digest_equal(a, b) (memcmp(&(a), &(b), sizeof(mesh_digest_t)) == 0)

static uint64_t seed = 0xfeed;

static uint32_t random_below(uint32_t n) {
    seed += UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(mesh_mix64(seed) >> 32) % n;
}

static mesh_writer_t *small_writer(void) {
    mesh_writer_t *w = mesh_writer_create(1, MESH_FILE_CAPACITY_MIN);
    assert_non_null(w);
    return w;
}

static void test_create(void **state) {
    (void)state;
    assert_null(mesh_writer_create(0, MESH_FILE_CAPACITY));
    assert_null(mesh_writer_create(1, MESH_FILE_CAPACITY_MIN - 8));
    assert_null(mesh_writer_create(1, MESH_FILE_CAPACITY_MAX + 8));

    mesh_writer_t *w = mesh_writer_create(7, MESH_FILE_CAPACITY_MIN);
    assert_int_equal(mesh_writer_size(w), 64);
    assert_int_equal(mesh_writer_capacity(w), MESH_FILE_CAPACITY_MIN);
    assert_int_equal(mesh_writer_file_number(w), 7);
    const mesh_pending_t p = mesh_writer_pending(w);
    assert_int_equal(p.offset, 0);
    assert_int_equal(p.len, 64);
    const mesh_file_head_t *head = p.data;
    assert_string_equal(head->magic, MESH_FORMAT_MAGIC);
    assert_int_equal(head->file_number, 7);

    /* the head survives: it is no record */
    mesh_writer_rollback(w);
    assert_int_equal(mesh_writer_pending(w).len, 64);
    mesh_writer_free(w);
    mesh_writer_free(NULL);
}

static void test_same_content_same_record(void **state) {
    (void)state;
    mesh_writer_t *w = small_writer();
    const sample_t one = sample_put(w, 1, 0);
    assert_int_not_equal(one.root, 0);
    mesh_writer_commit(w, NULL);
    const uint64_t size = mesh_writer_size(w);

    const sample_t two = sample_put(w, 1, 0);
    assert_memory_equal(&one, &two, sizeof(one));
    assert_int_equal(mesh_writer_pending(w).len, 0);
    assert_null(mesh_writer_pending(w).data);
    assert_int_equal(mesh_writer_size(w), size);

    /* one endpoint's weight: its chunk, set, map, binding and root */
    const sample_t three = sample_put(w, 2, 0);
    assert_int_equal(three.policy, one.policy);
    assert_int_not_equal(three.chunk, one.chunk);
    assert_in_range(mesh_writer_pending(w).len, 1, 1024);
    mesh_writer_free(w);
}

/* A digest that the caller left in a record means nothing. */
static void test_given_digest_is_ignored(void **state) {
    (void)state;
    mesh_writer_t *w = small_writer();
    mesh_rec_identity_t rec = {
        {MESH_KIND_IDENTITY, 0, sizeof(rec)}, {{0}}, {0}};
    const mesh_ref_t ref = mesh_writer_put(w, &rec.rec);
    memset(&rec.digest, 0xab, sizeof(rec.digest));
    assert_int_equal(mesh_writer_put(w, &rec.rec), ref);

    const mesh_rec_identity_t *got = mesh_writer_get(w, ref);
    const mesh_digest_t digest = mesh_writer_digest(w, ref);
    assert_true(digest_equal(got->digest, digest));
    assert_false(digest_equal(rec.digest, digest));

    /* also when the record is the writer's own copy, however it grows */
    for (int i = 0; i < 20000; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "text number %d", i);
        (void)sample_str(w, text);
        assert_int_equal(mesh_writer_put(w, mesh_writer_get(w, ref)), ref);
    }
    assert_null(mesh_writer_error(w));
    mesh_writer_free(w);
}

static void test_padding(void **state) {
    (void)state;
    mesh_writer_t *w = small_writer();
    char text[40];
    for (size_t len = 0; len < sizeof(text); len++) {
        memset(text, 'x', sizeof(text));
        const mesh_ref_t ref = mesh_writer_put_str(w, (mesh_str_t){len, text});
        assert_int_not_equal(ref, 0);
        const mesh_rec_string_t *rec = mesh_writer_get(w, ref);
        assert_int_equal(rec->rec.size % 8, 0);
        assert_int_equal(rec->len, len);
        for (size_t i = 12 + len; i < rec->rec.size; i++) {
            assert_int_equal(((const uint8_t *)rec)[i], 0);
        }
    }
    assert_int_not_equal(mesh_writer_put_str(w, MESH_STR("")), 0);
    mesh_writer_free(w);
}

/* --- failures ----------------------------------------------------------- */

static void test_failure_and_rollback(void **state) {
    (void)state;
    mesh_writer_t *w = small_writer();
    const sample_t one = sample_put(w, 1, 0);
    mesh_writer_commit(w, NULL);
    const uint64_t size = mesh_writer_size(w);
    const mesh_digest_t digest = mesh_writer_digest(w, one.root);

    for (int round = 0; round < 20; round++) {
        const mesh_ref_t fresh = sample_str(w, "not there before");
        assert_int_equal((uint64_t)fresh << 3, size);
        const sample_t two = sample_put(w, 2 + (uint64_t)round, one.root);
        assert_int_not_equal(two.root, 0);

        /* breaks its schema: every later put says so, even a good one */
        const mesh_ref_t beyond = two.root + 1000;
        assert_int_equal(mesh_writer_put_refs(w, MESH_KIND_ROOT, &beyond, 1),
                         0);
        assert_string_equal(mesh_writer_error(w),
                            "not a reference to an earlier record");
        assert_int_equal(sample_str(w, "reviews"), 0);
        assert_int_equal(sample_put(w, 1, 0).root, 0);

        mesh_writer_rollback(w);
        assert_null(mesh_writer_error(w));
        assert_int_equal(mesh_writer_size(w), size);
        assert_int_equal(mesh_writer_pending(w).len, 0);
        assert_null(mesh_writer_get(w, fresh));
        assert_null(mesh_writer_get(w, two.root));
        assert_int_equal(sample_put(w, 1, 0).root, one.root);
        assert_int_equal(mesh_writer_pending(w).len, 0);
        const mesh_digest_t again = mesh_writer_digest(w, one.root);
        assert_true(digest_equal(digest, again));
    }
    mesh_writer_free(w);
}

/*
 * Against a model: any mix of puts, commits and rollbacks leaves exactly the
 * committed texts, each once.
 */
static void test_rollback_model(void **state) {
    (void)state;
    mesh_writer_t *w = small_writer();
    enum { N = 400 };
    mesh_ref_t committed[N] = {0}, pending[N] = {0};

    for (int step = 0; step < 30000; step++) {
        const uint32_t i = random_below(N), what = random_below(100);
        char text[16];
        (void)snprintf(text, sizeof(text), "%u", i);
        if (what < 96) {
            const mesh_ref_t ref = sample_str(w, text);
            assert_true(pending[i] == 0 || pending[i] == ref);
            pending[i] = ref;
        } else if (what < 98) {
            mesh_writer_commit(w, NULL);
            memcpy(committed, pending, sizeof(pending));
        } else {
            mesh_writer_rollback(w);
            memcpy(pending, committed, sizeof(pending));
        }
        const mesh_rec_string_t *rec = mesh_writer_get(w, pending[i]);
        assert_true(pending[i] == 0 || strcmp(rec->data, text) == 0);
    }
    mesh_writer_free(w);
}

static void test_capacity(void **state) {
    (void)state;
    mesh_writer_t *w = small_writer();
    char text[1000];
    mesh_ref_t last = 0, ref = 0;
    uint32_t i = 0;
    do {
        last = ref;
        memset(text, 0, sizeof(text));
        memcpy(text, &i, sizeof(i));
        ref = mesh_writer_put_str(w, (mesh_str_t){sizeof(text), text});
        i++;
    } while (ref != 0);
    assert_int_not_equal(last, 0);
    assert_string_equal(mesh_writer_error(w),
                        "the snapshot's capacity is used up");
    assert_in_range(mesh_writer_size(w), MESH_FILE_CAPACITY_MIN - 1024,
                    MESH_FILE_CAPACITY_MIN);

    /* and goes on after a rollback, as long as there is room */
    mesh_writer_rollback(w);
    assert_int_not_equal(sample_put(w, 1, 0).root, 0);
    mesh_writer_free(w);
}

static void refused(mesh_writer_t *w, const void *rec, const char *why) {
    assert_int_equal(mesh_writer_put(w, rec), 0);
    assert_string_equal(mesh_writer_error(w), why);
    mesh_writer_rollback(w);
}

static void test_impossible_records(void **state) {
    (void)state;
    mesh_writer_t *w = small_writer();
    mesh_rec_t rec = {MESH_KIND_STRING, 0, 4};
    refused(w, &rec, "a record of an impossible size");
    rec.size = MESH_RECORD_MAX + 8;
    refused(w, &rec, "a record of an impossible size");
    rec.size = 8;
    refused(w, &rec, "the record is too short for its kind");
    rec.kind = MESH_KIND_IDENTITY;
    refused(w, &rec, "a record of an impossible size");
    rec.kind = 9;
    refused(w, &rec, "a record of an unknown kind");
    rec.kind = 9999;
    refused(w, &rec, "a record of an unknown kind");

    const mesh_ref_t text = sample_str(w, "x");
    mesh_writer_commit(w, NULL);
    mesh_map_entry_t twice[] = {{0, text, 0, 0}, {0, text, 0, 1}};
    assert_int_equal(mesh_writer_put_map(w, MESH_KIND_NONE, twice, 2), 0);
    assert_string_equal(mesh_writer_error(w),
                        "two entries of one name in a map");
    mesh_writer_rollback(w);
    twice[1].name = text + 100;
    assert_int_equal(mesh_writer_put_map(w, MESH_KIND_NONE, twice, 2), 0);
    assert_string_equal(mesh_writer_error(w), "a map's entry without a name");
    mesh_writer_rollback(w);

    /* nothing to put is no record and no failure */
    assert_int_equal(mesh_writer_put_map(w, MESH_KIND_NONE, NULL, 0), 0);
    assert_int_equal(mesh_writer_put_refs(w, MESH_KIND_ROOT, NULL, 0), 0);
    assert_int_equal(mesh_writer_put_u32s(w, NULL, 0), 0);
    assert_null(mesh_writer_error(w));
    assert_null(mesh_writer_get(w, text + 100));
    mesh_writer_free(w);
}

/* --- digests ------------------------------------------------------------ */

static void name_entries(mesh_writer_t *w, mesh_map_entry_t *entries,
                         const uint32_t *order, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "name-%u", order[i]);
        entries[i] =
            (mesh_map_entry_t){0, sample_str(w, text), 0, order[i] * 3};
    }
}

static void shuffle(uint32_t *v, uint32_t n) {
    for (uint32_t i = n; i > 1; i--) {
        const uint32_t k = random_below(i), swap = v[i - 1];
        v[i - 1] = v[k];
        v[k] = swap;
    }
}

/* Whatever the order of entries, and of everything put before. */
static void test_map_order_does_not_matter(void **state) {
    (void)state;
    for (uint32_t n = 1; n < 3000; n = n * 2 + 1) {
        uint32_t *order = calloc(n, sizeof(*order));
        mesh_map_entry_t *entries = calloc(n, sizeof(*entries));
        for (uint32_t i = 0; i < n; i++) {
            order[i] = i;
        }
        mesh_writer_t *a = small_writer(), *b = small_writer();
        name_entries(a, entries, order, n);
        const mesh_ref_t first =
            mesh_writer_put_map(a, MESH_KIND_NONE, entries, n);
        assert_int_not_equal(first, 0);

        shuffle(order, n);
        name_entries(a, entries, order, n);
        assert_int_equal(mesh_writer_put_map(a, MESH_KIND_NONE, entries, n),
                         first);

        (void)sample_put(b, 9, 0);
        shuffle(order, n);
        name_entries(b, entries, order, n);
        const mesh_ref_t second =
            mesh_writer_put_map(b, MESH_KIND_NONE, entries, n);
        const mesh_digest_t da = mesh_writer_digest(a, first);
        const mesh_digest_t db = mesh_writer_digest(b, second);
        assert_true(digest_equal(da, db));

        /* and one value elsewhere is another digest */
        entries[0].aux++;
        const mesh_ref_t third =
            mesh_writer_put_map(b, MESH_KIND_NONE, entries, n);
        const mesh_digest_t dc = mesh_writer_digest(b, third);
        assert_false(digest_equal(db, dc));
        mesh_writer_free(a);
        mesh_writer_free(b);
        free(entries);
        free(order);
    }
}

typedef struct {
    uint32_t count; /* numbers that may be there */
    bool *there;
    uint32_t *aux;
} names_t;

static mesh_map_entry_t name_entry(mesh_writer_t *w, const names_t *names,
                                   uint32_t i) {
    char text[32];
    (void)snprintf(text, sizeof(text), "name-%u", i);
    return (mesh_map_entry_t){0, sample_str(w, text), 0, names->aux[i]};
}

static mesh_ref_t map_of_names(mesh_writer_t *w, const names_t *names) {
    mesh_map_entry_t *entries = calloc(names->count, sizeof(*entries));
    uint32_t n = 0;
    for (uint32_t i = 0; i < names->count; i++) {
        if (names->there[i]) {
            entries[n++] = name_entry(w, names, i);
        }
    }
    const mesh_ref_t ref = mesh_writer_put_map(w, MESH_KIND_NONE, entries, n);
    free(entries);
    return ref;
}

/* A few names come, go, or get another value; some of the gone never were. */
static mesh_ref_t change_names(mesh_writer_t *w, names_t *names, mesh_ref_t map,
                               uint32_t n) {
    mesh_map_change_t *changes = calloc(n, sizeof(*changes));
    bool *used = calloc(names->count, sizeof(*used));
    for (uint32_t k = 0; k < n;) {
        const uint32_t i = random_below(names->count);
        if (used[i]) {
            continue;
        }
        used[i] = true;
        names->aux[i] = random_below(1000);
        names->there[i] = random_below(2);
        changes[k].entry = name_entry(w, names, i);
        changes[k++].gone = !names->there[i];
    }
    map = mesh_writer_update_map(w, MESH_KIND_NONE, map, changes, n);
    free(changes);
    free(used);
    return map;
}

/* Changed step by step or built whole: the same record. */
static void test_an_updated_map_is_the_map(void **state) {
    (void)state;
    for (uint32_t count = 1; count < 3000; count = count * 3 + 1) {
        mesh_writer_t *w = small_writer();
        names_t names = {count, calloc(count, sizeof(bool)),
                         calloc(count, sizeof(uint32_t))};
        mesh_ref_t map = 0;
        for (unsigned step = 0; step < 60; step++) {
            const uint32_t most = step % 10 == 0 ? count : 8;
            const uint32_t n = random_below(mesh_min(most, count) + 1);
            map = change_names(w, &names, map, n);
            assert_int_equal(map, map_of_names(w, &names));
            assert_null(mesh_writer_error(w));
            mesh_writer_commit(w, NULL);
        }
        mesh_writer_free(w);
        free(names.there);
        free(names.aux);
    }
}

static void test_an_update_costs_what_it_touches(void **state) {
    (void)state;
    mesh_writer_t *w = small_writer();
    names_t names = {3000, calloc(3000, sizeof(bool)),
                     calloc(3000, sizeof(uint32_t))};
    memset(names.there, true, 3000);
    const mesh_ref_t map = map_of_names(w, &names);
    names.aux[7] = 1;
    mesh_map_change_t change = {.entry = name_entry(w, &names, 7)};
    const uint64_t before = mesh_writer_size(w);
    const mesh_ref_t ref =
        mesh_writer_update_map(w, MESH_KIND_NONE, map, &change, 1);
    assert_int_not_equal(ref, map);
    assert_in_range(mesh_writer_size(w) - before, 1, 2048);

    /* What is there already is no change. */
    assert_int_equal(mesh_writer_update_map(w, MESH_KIND_NONE, ref, &change, 1),
                     ref);
    assert_int_equal(mesh_writer_update_map(w, MESH_KIND_NONE, ref, NULL, 0),
                     ref);
    mesh_writer_free(w);
    free(names.there);
    free(names.aux);
}

static void test_broken_updates(void **state) {
    (void)state;
    mesh_writer_t *w = small_writer();
    const mesh_ref_t text = sample_str(w, "x");
    mesh_writer_commit(w, NULL);
    mesh_map_change_t twice[] = {{.entry = {0, text, 0, 0}},
                                 {.entry = {0, text, 0, 1}, .gone = true}};
    assert_int_equal(mesh_writer_update_map(w, MESH_KIND_NONE, 0, twice, 2), 0);
    assert_string_equal(mesh_writer_error(w),
                        "two changes of one name in a map");
    assert_int_equal(mesh_writer_update_map(w, MESH_KIND_NONE, 0, twice, 0), 0);
    mesh_writer_rollback(w);
    twice[0].entry.name = text + 100;
    assert_int_equal(mesh_writer_update_map(w, MESH_KIND_NONE, 0, twice, 1), 0);
    assert_string_equal(mesh_writer_error(w), "a map's entry without a name");
    mesh_writer_rollback(w);
    assert_int_equal(mesh_writer_update_map(w, MESH_KIND_NONE, 0, twice + 1, 1),
                     0);
    assert_null(mesh_writer_error(w));
    mesh_writer_free(w);
}

static void test_root_digest(void **state) {
    (void)state;
    mesh_writer_t *a = small_writer(), *b = small_writer();
    const sample_t one = sample_put(a, 1, 0);

    /* other offsets, another generation before, another history */
    (void)sample_str(b, "something else");
    const sample_t old = sample_put(b, 5, 0);
    const sample_t same = sample_put(b, 1, old.root);
    assert_int_not_equal(one.root, same.root);

    const mesh_digest_t da = mesh_writer_digest(a, one.root);
    const mesh_digest_t db = mesh_writer_digest(b, same.root);
    const mesh_digest_t dold = mesh_writer_digest(b, old.root);
    assert_true(digest_equal(da, db));
    assert_false(digest_equal(da, dold));
    const mesh_rec_root_t *root = mesh_writer_get(b, same.root);
    assert_true(digest_equal(root->digest, db));

    const mesh_digest_t pa = mesh_writer_digest(a, one.policy);
    const mesh_digest_t pold = mesh_writer_digest(b, old.policy);
    assert_true(digest_equal(pa, pold));
    const mesh_digest_t none = mesh_writer_digest(a, one.root + 1);
    static const mesh_digest_t zero;
    assert_true(digest_equal(none, zero));
    mesh_writer_free(a);
    mesh_writer_free(b);
}

/* --- going on with a file ----------------------------------------------- */

static void test_reopen(void **state) {
    (void)state;
    sample_t ref;
    mesh_writer_t *w = sample_writer(&ref);
    size_t size;
    uint8_t *bytes = sample_bytes(w, &size);
    uint64_t *starts;
    mesh_snapshot_t s;
    assert_int_equal(sample_check(&s, bytes, size, &starts), MESH_OK);

    mesh_writer_t *again = mesh_writer_open(&s);
    assert_non_null(again);
    assert_int_equal(mesh_writer_size(again), size);
    assert_int_equal(mesh_writer_capacity(again), MESH_FILE_CAPACITY_MIN);
    const sample_t first = sample_put(again, 1, 0);
    const sample_t second = sample_put(again, 2, first.root);
    assert_memory_equal(&second, &ref, sizeof(ref));
    assert_int_equal(mesh_writer_pending(again).len, 0);
    const mesh_digest_t da = mesh_writer_digest(w, ref.root);
    const mesh_digest_t db = mesh_writer_digest(again, ref.root);
    assert_true(digest_equal(da, db));

    /* the same bytes as if it had never been closed */
    (void)sample_put(w, 3, ref.root);
    (void)sample_put(again, 3, ref.root);
    const mesh_pending_t p = mesh_writer_pending(again);
    assert_int_equal(p.offset, size);
    assert_int_equal(size + p.len, mesh_writer_size(w));
    assert_memory_equal((const uint8_t *)mesh_writer_pending(w).data + size,
                        p.data, p.len);
    mesh_writer_rollback(again);
    assert_int_equal(mesh_writer_size(again), size);
    assert_int_equal(sample_put(again, 2, first.root).root, ref.root);
    mesh_writer_free(again);
    mesh_writer_free(w);

    /* a digest that is not the content's: not gone on with */
    bytes[(size_t)ref.cluster * 8 + 8] ^= 1;
    free(starts);
    assert_int_equal(sample_check(&s, bytes, size, &starts), MESH_OK);
    assert_null(mesh_writer_open(&s));
    free(starts);
    free(bytes);
}

/* Committing into a mapping, generation by generation. */
static void test_commit_to_mapping(void **state) {
    (void)state;
    uint8_t *file = calloc(1, MESH_FILE_CAPACITY_MIN);
    mesh_writer_t *w = small_writer(), *kept = small_writer();
    mesh_ref_t root = 0;

    for (uint64_t i = 1; i <= 60; i++) {
        root = sample_put(w, i, root).root;
        (void)sample_put(kept, i,
                         i == 1 ? 0
                                : ((mesh_ref_t)(mesh_writer_size(kept) -
                                                sizeof(mesh_rec_root_t)) >>
                                   3));
        const mesh_pending_t p = mesh_writer_pending(w);
        assert_int_not_equal(p.len, 0);
        memcpy(file + p.offset, p.data, p.len);
        mesh_writer_commit(w, file);
        if (i % 3 == 0) {
            mesh_writer_commit(kept, NULL);
        }
        if (i % 5 == 0) {
            (void)sample_put(w, i + 1000, root);
            mesh_writer_rollback(w);
        }
    }
    assert_null(mesh_writer_error(w));
    assert_int_equal(mesh_writer_size(w), mesh_writer_size(kept));
    uint64_t *starts;
    mesh_snapshot_t s;
    assert_int_equal(sample_check(&s, file, mesh_writer_size(w), &starts),
                     MESH_OK);
    assert_non_null(mesh_snapshot_root(&s, root));
    assert_ptr_equal(mesh_writer_get(w, root), mesh_snapshot_root(&s, root));
    free(starts);
    mesh_writer_free(w);
    mesh_writer_free(kept);
    free(file);
}

/* --- compaction --------------------------------------------------------- */

static void test_copy(void **state) {
    (void)state;
    mesh_writer_t *w = small_writer();
    mesh_ref_t root = 0;
    for (uint64_t i = 1; i <= 40; i++) {
        root = sample_put(w, i, root).root;
        (void)sample_str(w, "garbage");
    }
    size_t size;
    uint8_t *bytes = sample_bytes(w, &size);
    uint64_t *starts;
    mesh_snapshot_t s;
    assert_int_equal(sample_check(&s, bytes, size, &starts), MESH_OK);

    mesh_writer_t *to = mesh_writer_create(2, MESH_FILE_CAPACITY_MIN);
    const mesh_ref_t copied = mesh_writer_copy(to, &s, root);
    assert_int_not_equal(copied, 0);
    const mesh_digest_t da = mesh_writer_digest(w, root);
    const mesh_digest_t db = mesh_writer_digest(to, copied);
    assert_true(digest_equal(da, db));

    /* two roots of 40, whose parts are what a fresh build would make */
    assert_true(mesh_writer_size(to) < size / 4);
    size_t copied_size;
    uint8_t *copied_bytes = sample_bytes(to, &copied_size);
    uint64_t *copied_starts;
    mesh_snapshot_t c;
    assert_int_equal(
        sample_check(&c, copied_bytes, copied_size, &copied_starts), MESH_OK);
    const mesh_rec_root_t *r = mesh_snapshot_root(&c, copied);
    assert_int_equal(r->generation, 40);
    const mesh_rec_refs_t *history = mesh_get(&c, r->history);
    assert_int_equal(history->count, 1);
    const mesh_rec_root_t *before = mesh_snapshot_root(&c, history->v[0]);
    assert_int_equal(before->generation, 39);
    assert_int_equal(before->history, 0);
    (void)touch_everything(&c);

    /* nothing but what the root reaches, each once */
    uint64_t *marks = calloc(1, mesh_snapshot_starts_size(copied_size));
    touch_t t = {&c, 0, 0};
    assert_int_equal(mesh_snapshot_walk(&c, copied, 0, marks, touch_record, &t),
                     MESH_OK);
    assert_memory_equal(marks, copied_starts,
                        mesh_snapshot_starts_size(copied_size));

    /* a copy of the copy is the same file */
    mesh_writer_t *third = mesh_writer_create(2, MESH_FILE_CAPACITY_MIN);
    assert_int_equal(mesh_writer_copy(third, &c, copied), copied);
    assert_int_equal(mesh_writer_size(third), copied_size);
    assert_memory_equal(mesh_writer_pending(third).data, copied_bytes,
                        copied_size);

    /* a part alone: it is there already */
    mesh_writer_commit(third, NULL);
    assert_int_equal(mesh_writer_copy(third, &s, root), copied);
    const mesh_rec_root_t *whole = mesh_snapshot_root(&s, root);
    assert_int_equal(mesh_writer_copy(third, &s, whole->policy), r->policy);
    assert_int_equal(mesh_writer_pending(third).len, 0);

    assert_int_equal(mesh_writer_copy(third, &c, copied + 1), 0);
    assert_string_equal(mesh_writer_error(third), "no checked record to copy");

    free(marks);
    free(copied_starts);
    free(copied_bytes);
    free(starts);
    free(bytes);
    mesh_writer_free(third);
    mesh_writer_free(to);
    mesh_writer_free(w);
}

/* The copy of a root reads back, with the same content and the whole ring. */
static void check_copied(mesh_writer_t *to, mesh_ref_t copied,
                         mesh_digest_t digest, uint64_t generation) {
    size_t size;
    uint8_t *bytes = sample_bytes(to, &size);
    uint64_t *starts;
    mesh_snapshot_t s;
    assert_int_equal(sample_check(&s, bytes, size, &starts), MESH_OK);
    const mesh_rec_root_t *root = mesh_snapshot_root(&s, copied);
    assert_true(digest_equal(root->digest, digest));
    assert_int_equal(root->generation, generation);
    const mesh_rec_refs_t *history = mesh_get(&s, root->history);
    const mesh_rec_root_t *before = mesh_snapshot_root(&s, history->v[0]);
    assert_int_equal(before->generation, generation - 1);
    assert_int_equal(before->history, 0);
    (void)touch_everything(&s);
    free(starts);
    free(bytes);
}

/* The old file grows while it is copied: the rest follows, each record once. */
static void test_copy_goes_on(void **state) {
    (void)state;
    mesh_writer_t *w = small_writer();
    mesh_writer_t *to = mesh_writer_create(2, MESH_FILE_CAPACITY_MIN);
    mesh_copier_t *copier = mesh_copier_create(to);
    mesh_ref_t root = sample_put(w, 1, 0).root, copied = 0;
    uint64_t first = 0;
    for (uint64_t i = 2; i <= 40; i++) {
        const sample_t sample = sample_put(w, i, root);
        root = sample.root;
        size_t size;
        uint8_t *bytes = sample_bytes(w, &size);
        uint64_t *starts;
        mesh_snapshot_t s;
        assert_int_equal(sample_check(&s, bytes, size, &starts), MESH_OK);
        const uint64_t before = mesh_writer_size(to);
        copied = mesh_copier_copy(copier, &s, root);
        assert_int_not_equal(copied, 0);
        if (i == 2) {
            first = mesh_writer_size(to) - before;
        } else {
            assert_in_range(mesh_writer_size(to) - before, 1, first / 2);
        }
        check_copied(to, copied, mesh_writer_digest(w, root), i);

        /* A root is found as it is in a ring, once it is in one. */
        assert_int_equal(mesh_copier_find(copier, root), 0);
        const mesh_ref_t cluster = mesh_copier_find(copier, sample.cluster);
        const mesh_digest_t was = mesh_writer_digest(w, sample.cluster);
        const mesh_digest_t is = mesh_writer_digest(to, cluster);
        assert_true(digest_equal(was, is));
        assert_int_equal(mesh_copier_copy(copier, &s, sample.cluster), cluster);
        assert_int_equal(mesh_copier_find(copier, sample.cluster + 1), 0);
        free(starts);
        free(bytes);
    }
    mesh_copier_free(copier);
    mesh_copier_free(NULL);
    mesh_writer_free(to);
    mesh_writer_free(w);
}

/* A target that is too small fails whole, and says why. */
static void test_copy_without_room(void **state) {
    (void)state;
    mesh_writer_t *w = mesh_writer_create(1, 4 * MESH_FILE_CAPACITY_MIN);
    mesh_rec_root_t root;
    const sample_t one = sample_put(w, 1, 0);
    memcpy(&root, mesh_writer_get(w, one.root), sizeof(root));
    char *text = calloc(1, 2 * MESH_FILE_CAPACITY_MIN);
    root.reason =
        mesh_writer_put_str(w, (mesh_str_t){2 * MESH_FILE_CAPACITY_MIN, text});
    const mesh_ref_t big = mesh_writer_put(w, &root.rec);
    size_t size;
    uint8_t *bytes = sample_bytes(w, &size);
    uint64_t *starts;
    mesh_snapshot_t s;
    assert_int_equal(sample_check(&s, bytes, size, &starts), MESH_OK);

    mesh_writer_t *to = small_writer();
    assert_int_equal(mesh_writer_copy(to, &s, big), 0);
    assert_string_equal(mesh_writer_error(to),
                        "the snapshot's capacity is used up");
    mesh_writer_rollback(to);
    assert_int_not_equal(mesh_writer_copy(to, &s, one.root), 0);
    free(starts);
    free(bytes);
    free(text);
    mesh_writer_free(to);
    mesh_writer_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_same_content_same_record),
        cmocka_unit_test(test_given_digest_is_ignored),
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_failure_and_rollback),
        cmocka_unit_test(test_rollback_model),
        cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_impossible_records),
        cmocka_unit_test(test_map_order_does_not_matter),
        cmocka_unit_test(test_an_updated_map_is_the_map),
        cmocka_unit_test(test_an_update_costs_what_it_touches),
        cmocka_unit_test(test_broken_updates),
        cmocka_unit_test(test_root_digest),
        cmocka_unit_test(test_reopen),
        cmocka_unit_test(test_commit_to_mapping),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_copy_goes_on),
        cmocka_unit_test(test_copy_without_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
