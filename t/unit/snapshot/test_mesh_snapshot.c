/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The reader: what it accepts it reads safely, and what it does not accept it
 * refuses at the same record however the work is sliced.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "snapshot_sample.h"
#include "snapshot_touch.h"

static uint64_t seed = 0x5eed;

static uint32_t random_below(uint32_t n) {
    seed += UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(mesh_mix64(seed) >> 32) % n;
}

static uint8_t *sample_file(sample_t *s, size_t *size) {
    mesh_writer_t *w = sample_writer(s);
    uint8_t *bytes = sample_bytes(w, size);
    mesh_writer_free(w);
    return bytes;
}

static void test_sample_is_accepted(void **state) {
    (void)state;
    sample_t ref;
    size_t size;
    uint64_t *starts;
    mesh_snapshot_t s;
    uint8_t *bytes = sample_file(&ref, &size);

    assert_int_equal(sample_check(&s, bytes, size, &starts), MESH_OK);
    assert_int_equal(s.verified, size);
    assert_int_equal(s.file_number, 1);
    assert_null(s.error.reason);

    const mesh_rec_root_t *root = mesh_snapshot_root(&s, ref.root);
    assert_non_null(root);
    assert_int_equal(root->generation, 2);
    assert_null(mesh_snapshot_root(&s, ref.policy));
    assert_null(mesh_snapshot_root(&s, ref.root + 1));
    assert_null(mesh_snapshot_root(&s, 0));
    assert_null(mesh_snapshot_root(&s, UINT32_MAX));

    assert_true(touch_everything(&s) > 100);
    assert_true(touch_all_records(&s) > 50);

    free(starts);
    free(bytes);
}

static void test_init_refuses_heads(void **state) {
    (void)state;
    mesh_file_head_t head = {.magic = MESH_FORMAT_MAGIC,
                             .version = MESH_FORMAT_VERSION,
                             .head_size = sizeof(head),
                             .file_number = 1,
                             .capacity = MESH_FILE_CAPACITY_MIN};
    uint64_t starts[1] = {0};
    mesh_snapshot_t s;
    const mesh_file_head_t good = head;

    assert_int_equal(mesh_snapshot_init(&s, &head, 64, 64, starts), MESH_OK);
    assert_int_equal(mesh_snapshot_verify(&s, 64, 0), MESH_OK);
    assert_int_equal(mesh_snapshot_verify(&s, 72, 0), MESH_CORRUPT);

    assert_int_equal(mesh_snapshot_init(&s, &head, 64, 63, starts),
                     MESH_CORRUPT);
    head.version = MESH_FORMAT_VERSION + 1;
    assert_int_equal(mesh_snapshot_init(&s, &head, 64, 64, starts),
                     MESH_VERSION);
    head = good;
    head.capacity = MESH_FILE_CAPACITY_MIN - 8;
    assert_int_equal(mesh_snapshot_init(&s, &head, 64, 64, starts),
                     MESH_CORRUPT);
    head.capacity = MESH_FILE_CAPACITY_MAX + 8;
    assert_int_equal(mesh_snapshot_init(&s, &head, 64, 64, starts),
                     MESH_CORRUPT);
    head = good;
    head.file_number = 0;
    assert_int_equal(mesh_snapshot_init(&s, &head, 64, 64, starts),
                     MESH_CORRUPT);
    head = good;
    head.reserved[31] = 1;
    assert_int_equal(mesh_snapshot_init(&s, &head, 64, 64, starts),
                     MESH_CORRUPT);
    head = good;
    head.magic[0] = 'n';
    assert_int_equal(mesh_snapshot_init(&s, &head, 64, 64, starts),
                     MESH_CORRUPT);
    assert_non_null(s.error.reason);
}

/* Any budget: the same end, the same verdict, the same starts. */
static void test_slices_agree(void **state) {
    (void)state;
    sample_t ref;
    size_t size;
    uint8_t *bytes = sample_file(&ref, &size);

    for (int broken = 0; broken < 2; broken++) {
        if (broken) {
            bytes[(size_t)ref.vhost * 8 + 24] ^= 1;
        }
        uint64_t *whole_starts;
        mesh_snapshot_t whole;
        const mesh_status_t want =
            sample_check(&whole, bytes, size, &whole_starts);
        assert_int_equal(want, broken ? MESH_CORRUPT : MESH_OK);

        for (uint64_t budget = 1; budget < size + 64;
             budget += 1 + budget / 8) {
            uint64_t *starts = calloc(1, mesh_snapshot_starts_size(size));
            mesh_snapshot_t s;
            assert_int_equal(mesh_snapshot_init(&s, bytes, size, size, starts),
                             MESH_OK);
            mesh_status_t rc;
            uint64_t before;
            do {
                before = s.verified;
                rc = mesh_snapshot_verify(&s, size, budget);
                assert_true(rc != MESH_AGAIN || s.verified > before);
                assert_true(s.verified <= before + budget + 4096);
            } while (rc == MESH_AGAIN);
            assert_int_equal(rc, want);
            assert_int_equal(s.verified, whole.verified);
            assert_int_equal(s.error.offset, whole.error.offset);
            assert_ptr_equal(s.error.reason, whole.error.reason);
            assert_memory_equal(starts, whole_starts,
                                mesh_snapshot_starts_size(size));
            free(starts);
        }
        free(whole_starts);
    }
    free(bytes);
}

/* A root is checked without what was appended after it, and stays usable. */
static void test_refusal_keeps_the_last_good(void **state) {
    (void)state;
    sample_t first, second;
    mesh_writer_t *w = mesh_writer_create(1, MESH_FILE_CAPACITY_MIN);
    first = sample_put(w, 1, 0);
    second = sample_put(w, 2, first.root);
    size_t size;
    uint8_t *bytes = sample_bytes(w, &size);
    mesh_writer_free(w);

    bytes[(size_t)second.root * 8 + 30] ^= 1;
    bytes[(size_t)second.bind * 8 + 12] ^= 1;

    uint64_t *starts = calloc(1, mesh_snapshot_starts_size(size));
    mesh_snapshot_t s;
    assert_int_equal(mesh_snapshot_init(&s, bytes, size, size, starts),
                     MESH_OK);
    const uint64_t end = mesh_snapshot_root_end(bytes, size, first.root);
    assert_int_equal(end, (uint64_t)first.root * 8 + sizeof(mesh_rec_root_t));
    assert_int_equal(mesh_snapshot_verify(&s, end, 0), MESH_OK);
    assert_int_equal(mesh_snapshot_verify(&s, size, 0), MESH_CORRUPT);
    assert_int_equal(s.error.kind, MESH_KIND_BIND_CLUSTER);
    assert_int_equal(s.error.offset, (uint64_t)second.bind * 8);
    assert_string_equal(s.error.field, "cluster");
    assert_int_equal(mesh_snapshot_verify(&s, end, 0), MESH_OK);
    assert_non_null(mesh_snapshot_root(&s, first.root));
    assert_null(mesh_snapshot_root(&s, second.root));
    assert_true(touch_everything(&s) > 50);

    assert_int_equal(mesh_snapshot_root_end(bytes, size, second.policy), 0);
    assert_int_equal(mesh_snapshot_root_end(bytes, size, 0), 0);
    assert_int_equal(mesh_snapshot_root_end(bytes, size, UINT32_MAX), 0);
    assert_int_equal(mesh_snapshot_root_end(bytes, end - 1, first.root), 0);
    free(starts);
    free(bytes);
}

/* Every bit of the file, one at a time: refused, or harmless. */
static void test_bit_flips(void **state) {
    (void)state;
    sample_t ref;
    size_t size;
    uint8_t *bytes = sample_file(&ref, &size);
    uint64_t *starts = malloc(mesh_snapshot_starts_size(size));
    uint32_t refused = 0, harmless = 0;

    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        memset(starts, 0, mesh_snapshot_starts_size(size));
        mesh_snapshot_t s;
        mesh_status_t rc = mesh_snapshot_init(&s, bytes, size, size, starts);
        if (rc == MESH_OK) {
            rc = mesh_snapshot_verify(&s, size, 0);
            (void)touch_all_records(&s);
        }
        if (rc == MESH_OK) {
            (void)touch_everything(&s);
            harmless++;
        } else {
            assert_non_null(s.error.reason);
            refused++;
        }
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }

    /* Digests, counters and addresses may be anything; structure may not. */
    assert_true(refused > harmless / 2);
    free(starts);
    free(bytes);
}

/* Several bytes of noise at once, in bounds of one allocation. */
static void test_random_damage(void **state) {
    (void)state;
    sample_t ref;
    size_t size;
    uint8_t *good = sample_file(&ref, &size);
    uint8_t *bytes = malloc(size);
    uint64_t *starts = malloc(mesh_snapshot_starts_size(size));

    for (int round = 0; round < 20000; round++) {
        memcpy(bytes, good, size);
        for (uint32_t n = 1 + random_below(4); n > 0; n--) {
            const uint32_t at = 64 + random_below((uint32_t)size - 64);
            /* other bytes of the file make better lies than noise */
            bytes[at] = random_below(2) ? good[random_below((uint32_t)size)]
                                        : (uint8_t)random_below(256);
        }
        memset(starts, 0, mesh_snapshot_starts_size(size));
        mesh_snapshot_t s;
        assert_int_equal(mesh_snapshot_init(&s, bytes, size, size, starts),
                         MESH_OK);
        (void)mesh_snapshot_verify(&s, size, 0);
        (void)touch_all_records(&s);
        (void)touch_everything(&s);
    }
    free(starts);
    free(bytes);
    free(good);
}

/* A file of every length: whole records are kept, a torn one is refused. */
static void test_truncation(void **state) {
    (void)state;
    sample_t ref;
    size_t size;
    uint8_t *bytes = sample_file(&ref, &size);

    for (size_t len = 0; len <= size; len++) {
        uint8_t *cut = malloc(len ? len : 1);
        memcpy(cut, bytes, len);
        uint64_t *starts = calloc(1, mesh_snapshot_starts_size(len) + 8);
        mesh_snapshot_t s;
        const mesh_status_t rc = mesh_snapshot_init(&s, cut, len, len, starts);
        assert_int_equal(rc, len < 64 ? MESH_CORRUPT : MESH_OK);
        if (rc == MESH_OK) {
            const mesh_status_t v = mesh_snapshot_verify(&s, len & ~7UL, 0);
            assert_true((v == MESH_OK) == (s.verified == (len & ~7UL)));
            assert_true(s.verified <= len);
            assert_true((len < size) ==
                        (mesh_snapshot_root_end(cut, len, ref.root) == 0));
            (void)touch_all_records(&s);
            (void)touch_everything(&s);
        }
        free(starts);
        free(cut);
    }
    free(bytes);
}

/* Each reference of each record, made to point where it must not. */
typedef struct {
    uint8_t *bytes;
    size_t size;
    uint64_t *starts;
    uint32_t tried;
} hostile_t;

static void refuse_ref(hostile_t *h, const mesh_rec_t *rec, uint32_t offset,
                       mesh_ref_t to) {
    uint8_t *at = (uint8_t *)(uintptr_t)rec + offset;
    mesh_ref_t saved;
    memcpy(&saved, at, sizeof(saved));
    memcpy(at, &to, sizeof(to));
    memset(h->starts, 0, mesh_snapshot_starts_size(h->size));
    mesh_snapshot_t s;
    assert_int_equal(
        mesh_snapshot_init(&s, h->bytes, h->size, h->size, h->starts), MESH_OK);
    assert_int_equal(mesh_snapshot_verify(&s, h->size, 0), MESH_CORRUPT);
    assert_int_equal(s.error.offset, (const uint8_t *)rec - h->bytes);
    memcpy(at, &saved, sizeof(saved));
    h->tried++;
}

static mesh_status_t hostile_field(void *ctx, const mesh_rec_t *rec,
                                   uint32_t offset,
                                   const mesh_ref_field_t *field) {
    hostile_t *h = ctx;
    const mesh_ref_t self = (mesh_ref_t)(((const uint8_t *)rec - h->bytes) / 8);
    mesh_ref_t ref;
    memcpy(&ref, (const uint8_t *)rec + offset, sizeof(ref));

    refuse_ref(h, rec, offset, self);                    /* itself */
    refuse_ref(h, rec, offset, self + rec->size / 8);    /* the next one */
    refuse_ref(h, rec, offset, (mesh_ref_t)h->size / 8); /* past the end */
    refuse_ref(h, rec, offset, UINT32_MAX);
    refuse_ref(h, rec, offset, 1); /* the head */
    if (ref != 0) {
        refuse_ref(h, rec, offset, ref + 1); /* inside a record */
        if (!(field->flags & MESH_REF_OPTIONAL)) {
            refuse_ref(h, rec, offset, 0);
        }
    }
    /* the first record is a STRING, which some lists are of */
    bool texts = field->flags & MESH_REF_VALUE_KIND &&
                 ((const mesh_rec_refs_t *)rec)->value_kind == MESH_KIND_STRING;
    if (!texts && !(field->kinds & mesh_kind_bit(MESH_KIND_STRING))) {
        refuse_ref(h, rec, offset, 8);
    }
    return MESH_OK;
}

static void test_hostile_references(void **state) {
    (void)state;
    sample_t ref;
    hostile_t h = {0};
    h.bytes = sample_file(&ref, &h.size);
    h.starts = malloc(mesh_snapshot_starts_size(h.size));

    for (size_t at = 64; at < h.size;) {
        const mesh_rec_t *rec = (const mesh_rec_t *)(h.bytes + at);
        assert_int_equal(mesh_schema_each_ref(rec, hostile_field, &h), MESH_OK);
        at += rec->size;
    }
    assert_true(h.tried > 1000);
    free(h.starts);
    free(h.bytes);
}

/* --- kinds that this build does not know -------------------------------- */

static void check_unknown(uint16_t kind, uint16_t flags, mesh_status_t want) {
    sample_t ref;
    mesh_writer_t *w = mesh_writer_create(1, MESH_FILE_CAPACITY_MIN);
    ref = sample_put(w, 1, 0);
    assert_int_not_equal(ref.root, 0);
    size_t size;
    uint8_t *bytes = sample_bytes(w, &size);
    mesh_writer_free(w);

    bytes = realloc(bytes, size + 24 + 24);
    memset(bytes + size, 0xff, 24);
    const mesh_rec_t unknown = {kind, flags, 24};
    memcpy(bytes + size, &unknown, sizeof(unknown));

    /* a list behind it that points at what is stepped over */
    struct {
        mesh_rec_refs_t head;
        mesh_ref_t v[2];
    } list = {{{MESH_KIND_REFS, 0, 24}, kind, 0, 1},
              {(mesh_ref_t)(size / 8), 0}};
    assert_int_equal(sizeof(list), 24);
    memcpy(bytes + size + 24, &list, sizeof(list));

    uint64_t *starts;
    mesh_snapshot_t s;
    assert_int_equal(sample_check(&s, bytes, size + 24, &starts), want);
    if (want == MESH_OK) {
        assert_null(mesh_snapshot_record(&s, (mesh_ref_t)(size / 8)));
        assert_true(touch_everything(&s) > 50);
    }
    free(starts);
    assert_int_equal(sample_check(&s, bytes, size + 48, &starts), MESH_CORRUPT);
    free(starts);
    free(bytes);
}

static void test_unknown_kinds(void **state) {
    (void)state;
    check_unknown(9, MESH_REC_OPTIONAL, MESH_OK);
    check_unknown(63, MESH_REC_OPTIONAL, MESH_OK);
    check_unknown(64, MESH_REC_OPTIONAL, MESH_OK);
    check_unknown(65535, MESH_REC_OPTIONAL | 0x8000, MESH_OK);
    check_unknown(9, 0, MESH_CORRUPT);
    check_unknown(64, 0, MESH_CORRUPT);
    check_unknown(65535, 0x8000, MESH_CORRUPT);
    check_unknown(MESH_KIND_NONE, MESH_REC_OPTIONAL, MESH_CORRUPT);
    check_unknown(MESH_KIND_ROOT, MESH_REC_OPTIONAL, MESH_CORRUPT);
}

/* --- maps --------------------------------------------------------------- */

static mesh_str_t name_of(char *buf, size_t size, uint32_t i) {
    const int n = snprintf(buf, size, "cluster-%u.ns-%u", i, i % 7);
    return (mesh_str_t){(size_t)n, buf};
}

static void check_map(uint32_t count) {
    mesh_writer_t *w = mesh_writer_create(1, MESH_FILE_CAPACITY);
    mesh_map_entry_t *entries = calloc(count, sizeof(*entries));
    char buf[64];
    for (uint32_t i = 0; i < count; i++) {
        entries[i].name = mesh_writer_put_str(w, name_of(buf, sizeof(buf), i));
        entries[i].aux = i;
    }
    const mesh_ref_t map =
        mesh_writer_put_map(w, MESH_KIND_NONE, entries, count);
    assert_int_not_equal(map, 0);
    size_t size;
    uint8_t *bytes = sample_bytes(w, &size);
    uint64_t *starts;
    mesh_snapshot_t s;
    assert_int_equal(sample_check(&s, bytes, size, &starts), MESH_OK);

    for (uint32_t i = 0; i < 2 * count; i++) {
        const mesh_str_t name = name_of(buf, sizeof(buf), i);
        const mesh_map_entry_t *e =
            mesh_map_find(&s, map, name, mesh_hash32(name.data, name.len));
        assert_true((e != NULL) == (i < count));
        if (e != NULL) {
            assert_int_equal(e->aux, i);
        }
    }
    assert_true(touch_all_records(&s) > count);

    mesh_map_iter_t iter = {0, 0};
    uint64_t sum = 0, n = 0;
    const mesh_map_entry_t *e;
    while ((e = mesh_map_next(&s, map, &iter)) != NULL) {
        sum += e->aux;
        n++;
    }
    assert_int_equal(n, count);
    assert_int_equal(sum, (uint64_t)count * (count - 1) / 2);
    assert_null(mesh_map_next(&s, map, &iter));

    free(starts);
    free(bytes);
    free(entries);
    mesh_writer_free(w);
}

static void test_maps(void **state) {
    (void)state;
    static const uint32_t counts[] = {1,  2,  31,  32,  33,   63,  64,
                                      65, 66, 128, 129, 1000, 5000};
    for (size_t i = 0; i < mesh_nelts(counts); i++) {
        check_map(counts[i]);
    }
    mesh_snapshot_t none = {0};
    mesh_map_iter_t iter = {0, 0};
    assert_null(mesh_map_find(&none, 0, MESH_STR("x"), 1));
    assert_null(mesh_map_next(&none, 0, &iter));
}

/* --- the walk ----------------------------------------------------------- */

static mesh_status_t walk_falls(void *ctx, mesh_ref_t ref,
                                const mesh_rec_t *rec) {
    mesh_ref_t *last = ctx;
    assert_true(ref < *last);
    assert_true(rec->size >= 8);
    *last = ref;
    return MESH_OK;
}

static mesh_status_t walk_stops(void *ctx, mesh_ref_t ref,
                                const mesh_rec_t *rec) {
    (void)ref;
    (void)rec;
    return --*(int *)ctx == 0 ? MESH_BUSY : MESH_OK;
}

static mesh_status_t walk_no_deeper(void *ctx, mesh_ref_t ref,
                                    const mesh_rec_t *rec) {
    (void)ref;
    ++*(int *)ctx;
    return rec->kind == MESH_KIND_ROOT ? MESH_OK : MESH_DECLINED;
}

static uint32_t walk_roots(const mesh_snapshot_t *s, mesh_ref_t from,
                           unsigned flags) {
    uint64_t *marks = calloc(1, mesh_snapshot_starts_size(s->verified));
    mesh_ref_t last = UINT32_MAX;
    assert_int_equal(
        mesh_snapshot_walk(s, from, flags, marks, walk_falls, &last), MESH_OK);
    uint32_t roots = 0;
    for (mesh_ref_t r = mesh_snapshot_marked(marks, from); r != 0;
         r = mesh_snapshot_marked(marks, r - 1)) {
        roots += mesh_snapshot_root(s, r) != NULL;
    }
    free(marks);
    return roots;
}

static void test_walk(void **state) {
    (void)state;
    mesh_writer_t *w = mesh_writer_create(1, MESH_FILE_CAPACITY_MIN);
    mesh_ref_t root = 0;
    for (uint64_t i = 1; i <= 5; i++) {
        root = sample_put(w, i, root).root;
    }
    size_t size;
    uint8_t *bytes = sample_bytes(w, &size);
    mesh_writer_free(w);
    uint64_t *starts;
    mesh_snapshot_t s;
    assert_int_equal(sample_check(&s, bytes, size, &starts), MESH_OK);

    /* each root has one before it: all five, or the ring of two */
    assert_int_equal(walk_roots(&s, root, 0), 5);
    assert_int_equal(walk_roots(&s, root, MESH_WALK_RING), 2);

    uint64_t *marks = calloc(1, mesh_snapshot_starts_size(size));
    int left = 3;
    assert_int_equal(mesh_snapshot_walk(&s, root, 0, marks, walk_stops, &left),
                     MESH_BUSY);
    assert_int_equal(left, 0);
    assert_int_equal(
        mesh_snapshot_walk(&s, root + 1, 0, marks, walk_stops, &left),
        MESH_DECLINED);

    /* Below what is declined nothing is visited: a root's own fields. */
    const mesh_rec_root_t *top = mesh_snapshot_root(&s, root);
    int fields = !!top->policy + !!top->endpoints + !!top->identity +
                 !!top->binding + !!top->reason + !!top->sources +
                 !!top->history;
    int visited = 0;
    memset(marks, 0, mesh_snapshot_starts_size(size));
    assert_int_equal(
        mesh_snapshot_walk(&s, root, 0, marks, walk_no_deeper, &visited),
        MESH_OK);
    assert_int_equal(visited, 1 + fields);
    free(marks);
    free(starts);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample_is_accepted),
        cmocka_unit_test(test_init_refuses_heads),
        cmocka_unit_test(test_slices_agree),
        cmocka_unit_test(test_refusal_keeps_the_last_good),
        cmocka_unit_test(test_bit_flips),
        cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_hostile_references),
        cmocka_unit_test(test_unknown_kinds),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
