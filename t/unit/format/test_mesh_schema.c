/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The schema: rows that agree with the structures, and each rule broken once
 * in a record that is good otherwise.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "mesh_schema.h"
#include "snapshot_sample.h"

/* --- the table ---------------------------------------------------------- */

static const struct {
    uint16_t kind;
    const char *name;
    uint32_t size; /* of the fixed part, as the structures say */
} kinds[] = {
    {MESH_KIND_STRING, "string", 12},
    {MESH_KIND_U32S, "u32s", 12},
    {MESH_KIND_REFS, "refs", 16},
    {MESH_KIND_MAP, "map", 20},
    {MESH_KIND_MAP_LEAF, "map_leaf", 16},
    {MESH_KIND_ROUTE_TABLE, "route_table", 56},
    {MESH_KIND_VHOST, "vhost", 56},
    {MESH_KIND_TRIE, "trie", 24},
    {MESH_KIND_ROUTE, "route", 136},
    {MESH_KIND_MATCHES, "matches", 16},
    {MESH_KIND_SPLIT, "split", 16},
    {MESH_KIND_HEADER_OPS, "header_ops", 16},
    {MESH_KIND_REDIRECT, "redirect", 40},
    {MESH_KIND_DIRECT, "direct", 16},
    {MESH_KIND_RETRY, "retry", 40},
    {MESH_KIND_RANGE, "range", 24},
    {MESH_KIND_ADDRESSES, "addresses", 16},
    {MESH_KIND_REGEX, "regex", 32},
    {MESH_KIND_HASH_POLICIES, "hash_policies", 16},
    {MESH_KIND_SESSION, "session", 24},
    {MESH_KIND_LB, "lb", 64},
    {MESH_KIND_LOCALITY_WEIGHTS, "locality_weights", 16},
    {MESH_KIND_ZONE_AWARE, "zone_aware", 32},
    {MESH_KIND_REWRITE, "rewrite", 32},
    {MESH_KIND_FORMAT, "format", 16},
    {MESH_KIND_INTERNAL_REDIRECT, "internal_redirect", 24},
    {MESH_KIND_MIRRORS, "mirrors", 16},
    {MESH_KIND_CORS, "cors", 32},
    {MESH_KIND_CLUSTER, "cluster", 80},
    {MESH_KIND_OUTLIER, "outlier", 40},
    {MESH_KIND_SUBSETS, "subsets", 24},
    {MESH_KIND_SELECTORS, "selectors", 16},
    {MESH_KIND_LABELS, "labels", 16},
    {MESH_KIND_ENDPOINT_SET, "endpoint_set", 40},
    {MESH_KIND_ENDPOINT_CHUNK, "endpoint_chunk", 32},
    {MESH_KIND_LOCALITY, "locality", 24},
    {MESH_KIND_POLICY, "policy", 40},
    {MESH_KIND_ENDPOINTS, "endpoints", 32},
    {MESH_KIND_IDENTITY, "identity", 32},
    {MESH_KIND_BINDING, "binding", 16},
    {MESH_KIND_BIND_CLUSTER, "bind_cluster", 40},
    {MESH_KIND_SOURCES, "sources", 16},
    {MESH_KIND_ROOT, "root", 72},
    {MESH_KIND_RUNTIME_VALUES, "runtime_values", 16},
    {MESH_KIND_SHARE, "share", 32},
};

static void check_fields(const mesh_ref_field_t *f, unsigned n, unsigned from,
                         unsigned to) {
    for (unsigned i = 0; i < n; i++) {
        assert_non_null(f[i].name);
        assert_true(f[i].offset >= from);
        assert_true(f[i].offset + sizeof(mesh_ref_t) <= to);
        assert_int_equal(f[i].offset % sizeof(mesh_ref_t), 0);
        from = f[i].offset + sizeof(mesh_ref_t);
    }
}

static void test_rows(void **state) {
    (void)state;
    unsigned known = 0;
    for (unsigned kind = 0; kind < 70000; kind++) {
        known += mesh_schema(kind) != NULL;
    }
    assert_int_equal(known, mesh_nelts(kinds));

    for (size_t i = 0; i < mesh_nelts(kinds); i++) {
        const mesh_schema_t *row = mesh_schema(kinds[i].kind);
        assert_non_null(row);
        assert_string_equal(row->name, kinds[i].name);
        assert_int_equal(row->fixed, kinds[i].size);
        assert_true((row->element != 0) == (row->count != 0));
        assert_true(row->count == 0 || row->count + 4u <= row->fixed);
        check_fields(row->fields, row->nfields, 8 + 16u * row->digested,
                     row->fixed);
        check_fields(row->elements, row->nelements, 0, row->element);
    }
}

static mesh_status_t count_refs(void *ctx, const mesh_rec_t *rec,
                                uint32_t offset,
                                const mesh_ref_field_t *field) {
    uint32_t *seen = ctx;
    assert_true(offset >= seen[1] && offset + 4 <= rec->size);
    assert_non_null(field->name);
    seen[0]++;
    seen[1] = offset + 4;
    return seen[0] == seen[2] ? MESH_DECLINED : MESH_OK;
}

static void test_each_ref(void **state) {
    (void)state;
    sample_t s;
    mesh_writer_t *w = sample_writer(&s);
    uint32_t seen[3] = {0};
    assert_int_equal(
        mesh_schema_each_ref(mesh_writer_get(w, s.set), count_refs, seen),
        MESH_OK);
    assert_int_equal(seen[0], 2); /* weights, one chunk */

    memset(seen, 0, sizeof(seen));
    assert_int_equal(
        mesh_schema_each_ref(mesh_writer_get(w, s.chunk), count_refs, seen),
        MESH_OK);
    assert_int_equal(seen[0], 9);

    memset(seen, 0, sizeof(seen));
    seen[2] = 4;
    assert_int_equal(
        mesh_schema_each_ref(mesh_writer_get(w, s.split), count_refs, seen),
        MESH_DECLINED);
    assert_int_equal(seen[0], 4);

    const mesh_rec_t unknown = {9, 0, 8};
    assert_int_equal(mesh_schema_each_ref(&unknown, count_refs, seen),
                     MESH_ERROR);
    mesh_writer_free(w);
}

static void test_map_bits(void **state) {
    (void)state;
    assert_int_equal(mesh_map_bits(0), 0);
    for (uint64_t n = 1; n <= UINT32_MAX; n = n * 3 / 2 + 1) {
        const unsigned bits = mesh_map_bits((uint32_t)n);
        assert_true(n <= (uint64_t)MESH_MAP_LEAF_AIM << bits);
        assert_true(bits == 0 || n > (uint64_t)MESH_MAP_LEAF_AIM << (bits - 1));
    }
    assert_int_equal(mesh_map_leaf(UINT32_MAX, 0), 0);
    for (unsigned bits = 1; bits <= 27; bits++) {
        assert_int_equal(mesh_map_leaf(UINT32_MAX, bits), (1u << bits) - 1);
        assert_int_equal(mesh_map_leaf(UINT32_MAX >> 1, bits),
                         (1u << (bits - 1)) - 1);
    }
}

/* --- rules, one by one -------------------------------------------------- */

static mesh_writer_t *w;
static sample_t s;
static uint64_t copy[512]; /* of the record that is being broken */

static int begin(void **state) {
    (void)state;
    w = sample_writer(&s);
    mesh_writer_commit(w, NULL);
    return 0;
}

static int end(void **state) {
    (void)state;
    mesh_writer_free(w);
    return 0;
}

static void *copy_of(mesh_ref_t ref) {
    const mesh_rec_t *rec = mesh_writer_get(w, ref);
    assert_non_null(rec);
    assert_true(rec->size <= sizeof(copy));
    memcpy(copy, rec, rec->size);
    return copy;
}

static void refused(mesh_ref_t ref, const char *why) {
    /* what it was before is accepted: one change makes the difference */
    assert_int_equal(mesh_writer_put(w, mesh_writer_get(w, ref)), ref);
    assert_null(mesh_writer_error(w));
    assert_int_equal(mesh_writer_put(w, (mesh_rec_t *)copy), 0);
    assert_string_equal(mesh_writer_error(w), why);
    mesh_writer_rollback(w);
}

/* The record at `ref`, with `change` made to it as *r, is refused. */
#define broken(type, ref, change, why)                                         \
    do {                                                                       \
        mesh_rec_##type##_t *r = copy_of(ref);                                 \
        change;                                                                \
        refused(ref, why);                                                     \
    } while (0)

#define field_of(type, ref, field)                                             \
    (((const mesh_rec_##type##_t *)mesh_writer_get(w, ref))->field)

#define PARTS "a share that is too large, or no whole number of parts"
#define RESERVED "a reserved field is not zero"
#define FLAGS "unknown flags"
#define MISSING "a reference is missing"
#define WRONG "a reference to a wrong kind"

/* Text that is in the file and not among the sample's. */
static mesh_ref_t text(const char *t) {
    const mesh_ref_t ref = sample_str(w, t);
    mesh_writer_commit(w, NULL);
    return ref;
}

static void test_shape(void **state) {
    (void)state;
    /* a NUL is in the size, so 12 bytes do not fit where 11 do */
    broken(string, s.text, r->len = 12,
           "the record's size does not follow from its count");
    broken(string, s.text, r->len = UINT32_MAX,
           "the record's size does not follow from its count");
    broken(string, s.text, r->len = 6, "padding is not zero");
    broken(string, s.text, r->data[7] = 'x', "padding is not zero");
    broken(string, s.text, r->rec.flags = 2, "unknown record flags");
}

static void test_sizes(void **state) {
    (void)state;
    const char *why = "the record's size does not follow from its count";
    broken(refs, s.routes, r->count = 5, why);
    broken(refs, s.routes, r->rec.size += 8, why);
    broken(root, s.root, r->rec.size += 8, why);
    broken(root, s.root, r->rec.size -= 8,
           "the record is too short for its kind");
    broken(endpoint_chunk, s.chunk, r->count = 2, why);
    broken(endpoint_chunk, s.chunk, r->count = 0x10000003, why);
    broken(trie, s.trie, r->count = 3, why);
}

static void test_plain(void **state) {
    (void)state;
    broken(refs, s.routes, r->reserved = 1, RESERVED);
    broken(refs, s.routes, r->value_kind = MESH_KIND_VHOST, WRONG);
    broken(refs, s.routes, r->v[1] = 0, MISSING);
    broken(refs, s.routes, r->value_kind = MESH_KIND_NONE,
           "a value in a map of none");
    broken(refs, s.routes, (r->count = 0, r->rec.size = 16), "an empty list");
    broken(refs, s.routes, (r->count = 0, r->rec.size = 16, r->value_kind = 9),
           "references to an unknown kind");
    const mesh_ref_t codes = field_of(
        retry, field_of(route, field_of(refs, s.routes, v[0]), retry), codes);
    broken(u32s, codes, (r->count = 0, r->rec.size = 16, r->v[0] = 0),
           "an empty list");
}

/* A map of 40 names in two leaves, to take apart. */
static mesh_ref_t map_of_forty(void) {
    mesh_map_entry_t entries[40];
    for (uint32_t i = 0; i < 40; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "n%u", i);
        entries[i] = (mesh_map_entry_t){0, sample_str(w, name), 0, i};
    }
    const mesh_ref_t map = mesh_writer_put_map(w, MESH_KIND_NONE, entries, 40);
    mesh_writer_commit(w, NULL);
    return map;
}

static void test_maps(void **state) {
    (void)state;
    const mesh_ref_t map = map_of_forty();
    const char *leaves = "a map's leaves do not follow from its count";
    broken(map, map, r->count = 0, "an empty map");
    broken(map, map, r->value_kind = 9, "a map of an unknown kind");
    broken(map, map, r->value_kind = 64, "a map of an unknown kind");
    broken(map, map, r->bits = 2, leaves);
    broken(map, map, r->bits = 40, leaves);
    broken(map, map, r->count = 32, leaves);
    broken(map, map, r->count = 41, "a map's count is not its leaves'");
    broken(map, map, r->leaf[0] = 0, "a map's count is not its leaves'");
    broken(map, map, r->leaf[0] = r->leaf[1],
           "a map's leaf holds entries of another");
    broken(map, map, r->value_kind = MESH_KIND_CLUSTER,
           "a map's leaf is of another kind");
    broken(map, map, r->leaf[1] = s.text, WRONG);
    broken(map, map, (r->leaves = 1, r->rec.size = 24, r->leaf[1] = 0), leaves);
}

static void test_leaves(void **state) {
    (void)state;
    const mesh_ref_t leaf = field_of(map, map_of_forty(), leaf[0]);
    const char *order = "entries are not in order of hash and name";
    broken(map_leaf, leaf, r->reserved = 1, RESERVED);
    broken(map_leaf, leaf, r->v[0].value = s.text, "a value in a map of none");
    broken(map_leaf, leaf, r->v[0].name = 0, MISSING);
    broken(map_leaf, leaf, r->v[0].hash ^= 1,
           "an entry's hash is not its name's");
    broken(map_leaf, leaf, r->v[0].name = s.text,
           "an entry's hash is not its name's");
    broken(map_leaf, leaf, r->v[1] = r->v[0], order);
    broken(
        map_leaf, leaf,
        do {
            const mesh_map_entry_t e = r->v[0];
            r->v[0] = r->v[1];
            r->v[1] = e;
        } while (0),
        order);
    broken(map_leaf, leaf, (r->count = 0, r->rec.size = 16), "an empty leaf");
    broken(map_leaf, leaf, (r->count = 0, r->rec.size = 16, r->value_kind = 9),
           "a map of an unknown kind");

    /* values of a kind are wanted then */
    const mesh_ref_t clusters = field_of(map, s.map, leaf[0]);
    broken(map_leaf, clusters, r->v[0].value = 0, MISSING);
    broken(map_leaf, clusters, r->v[0].value = s.vhost, WRONG);
}

static void test_names_are_short(void **state) {
    (void)state;
    char name[MESH_NAME_MAX + 2];
    memset(name, 'n', sizeof(name));
    for (size_t len = MESH_NAME_MAX; len <= MESH_NAME_MAX + 1; len++) {
        mesh_map_entry_t entry = {
            0, mesh_writer_put_str(w, (mesh_str_t){len, name}), 0, 0};
        const mesh_ref_t map =
            mesh_writer_put_map(w, MESH_KIND_NONE, &entry, 1);
        assert_true((map != 0) == (len <= MESH_NAME_MAX));
        mesh_writer_rollback(w);
    }
}

static void test_route_table(void **state) {
    (void)state;
    const uint32_t rising[] = {4, 5}, equal[] = {4, 4}, far[] = {1025};
    const mesh_ref_t up = mesh_writer_put_u32s(w, rising, 2);
    const mesh_ref_t same = mesh_writer_put_u32s(w, equal, 2);
    const mesh_ref_t longer = mesh_writer_put_u32s(w, far, 1);
    mesh_writer_commit(w, NULL);
    const char *order = "lengths are not in falling order";
    const char *domains = "domains are no map of virtual hosts";

    broken(route_table, s.table, r->name = 0, MISSING);
    broken(route_table, s.table, r->exact = s.map, domains);
    broken(route_table, s.table, r->suffix = s.map, domains);
    broken(route_table, s.table, r->prefix = s.map, domains);
    broken(route_table, s.table, r->any = s.cluster, WRONG);
    broken(route_table, s.table, r->flags |= 0x8, FLAGS);
    broken(route_table, s.table, r->flags |= 0x40, FLAGS);
    broken(route_table, s.table, r->suffix_lens = up, order);
    broken(route_table, s.table, r->prefix_lens = same, order);
    broken(route_table, s.table, r->prefix_lens = longer,
           "a domain longer than a name may be");
}

static void test_vhost(void **state) {
    (void)state;
    const char *number = "the trie is over another number of routes";
    broken(vhost, s.vhost, r->flags = 1, FLAGS);
    const uint32_t others[] = {0, 2, 1, 3};
    const mesh_ref_t falling = mesh_writer_put_u32s(w, others, 3);
    const mesh_ref_t beyond = mesh_writer_put_u32s(w, others + 3, 1);
    mesh_writer_commit(w, NULL);
    broken(vhost, s.vhost, r->others = falling,
           "routes are not in ascending order");
    broken(vhost, s.vhost, r->others = beyond,
           "a route that the virtual host does not have");
    broken(vhost, s.vhost, r->others = s.routes, WRONG);
    broken(vhost, s.vhost, r->routes = 0, number);
    broken(vhost, s.vhost, r->trie = 0, number);
    broken(vhost, s.vhost, r->routes = s.slots, "routes is no list of routes");
    broken(vhost, s.vhost, r->trie = s.routes, WRONG);
    broken(vhost, s.vhost, r->folded = s.routes, WRONG);
    const mesh_ref_t one = mesh_writer_put_refs(
        w, MESH_KIND_ROUTE, &field_of(refs, s.routes, v[0]), 1);
    mesh_writer_commit(w, NULL);
    broken(vhost, s.vhost, r->routes = one, number);
    broken(vhost, s.vhost, (r->routes = 0, r->folded = r->trie, r->trie = 0),
           number);
}

static void test_trie(void **state) {
    (void)state;
    const char *label = "a label is outside the labels";
    const char *empty = "only the first node's label is empty";
    const char *children = "children are outside the trie";
    const char *lists = "routes of a node are outside the lists";

    broken(trie, s.trie, (r->count = 0, r->rec.size = 24),
           "a trie without a node");
    broken(trie, s.trie, r->v[3].label_len = 8, label);
    broken(trie, s.trie, r->v[3].label = UINT32_MAX, label);
    broken(trie, s.trie, r->labels = 0, label);
    broken(trie, s.trie, r->v[1].label_len = 0, empty);
    broken(trie, s.trie, r->v[0].label_len = 1, empty);
    broken(trie, s.trie, r->v[0].first_child = 0, children);
    broken(trie, s.trie, r->v[1].first_child = 1, children);
    broken(trie, s.trie, r->v[1].first_child = 3, children);
    broken(trie, s.trie, r->v[1].first_child = UINT32_MAX, children);
    broken(trie, s.trie, r->v[0].children = 3, children);
    broken(trie, s.trie, r->v[0].children = UINT32_MAX, children);
    broken(trie, s.trie, (r->v[2].first_child = 3, r->v[2].children = 1),
           children); /* shared by two nodes */
    broken(trie, s.trie, (r->v[2].label = 4, r->v[3].label = 1),
           "children are not in order of their first byte");
    broken(trie, s.trie, r->v[2].label = 4,
           "children are not in order of their first byte");
    broken(trie, s.trie, r->v[3].list = 3, lists);
    broken(trie, s.trie, r->v[3].list = UINT32_MAX, lists);
    broken(trie, s.trie, r->v[3].exacts = UINT32_MAX, lists);
    broken(trie, s.trie, (r->v[3].list = 0, r->v[3].prefixes = 2), lists);
    broken(trie, s.trie, r->lists = 0, lists);
    broken(trie, s.trie, r->routes = 2,
           "a route that the virtual host does not have");
    broken(trie, s.trie, (r->v[1].prefixes = 2, r->v[2].exacts = 0),
           "routes of a node are not in ascending order");
    broken(trie, s.trie,
           (r->v[1].exacts = 2, r->v[1].prefixes = 0, r->v[2].exacts = 0),
           "routes of a node are not in ascending order");
}

static void test_route(void **state) {
    (void)state;
    const mesh_ref_t route = field_of(refs, s.routes, v[0]);
    const mesh_ref_t redirect = field_of(refs, s.routes, v[1]);
    const char *action = "a route has the record of its action and no other";
    broken(route, route, r->name_hash ^= 1, "name_hash is not the name's");
    broken(route, route, r->path_match = 5, "unknown path match");
    broken(route, route, r->path_match = MESH_PATH_REGEX,
           "a regular expression that does not count, or none");
    broken(route, route,
           r->regex =
               field_of(matches, field_of(route, route, matches), v[3].value),
           "a regular expression that does not count, or none");
    broken(route, route, r->methods = 0x0200, "unknown methods");
    broken(route, route, r->flags = 0x40, FLAGS);
    broken(route, route,
           (r->flags = MESH_ROUTE_IGNORE_CASE, r->path = text("/A")),
           "a path in any case is not in lower case, or too long");
    broken(route, route, r->flags = 0,
           "addresses that do not count, or none that do");
    broken(route, route, r->addresses = 0,
           "addresses that do not count, or none that do");
    broken(route, route, r->action = 3, "unknown action");
    broken(route, route, r->action = MESH_ACTION_REDIRECT, action);
    broken(route, route, r->action = MESH_ACTION_DIRECT, action);
    broken(route, route, r->split = 0, action);
    broken(route, route, r->redirect = field_of(route, redirect, redirect),
           action);
    broken(route, redirect, r->redirect = 0, action);
    broken(route, route, r->path = s.ops, WRONG);
}

static void test_matches(void **state) {
    (void)state;
    const mesh_ref_t route = field_of(refs, s.routes, v[0]);
    const mesh_ref_t matches = field_of(route, route, matches);
    const mesh_ref_t range = field_of(matches, matches, v[2].value);
    const char *folded = "a text in any case is not in lower case, or too long";
    const char *case_of = "case is ignored where there is none";

    broken(matches, matches, r->reserved = 1, RESERVED);
    broken(matches, matches, r->v[0].op = 7, "unknown match");
    broken(matches, matches, r->v[0].flags = 8, FLAGS);
    broken(matches, matches, r->v[0].reserved = 1, FLAGS);
    broken(matches, matches, r->v[0].hash ^= 1,
           "a header's hash is not its name's");
    broken(matches, matches, r->v[0].from = 9,
           "a match on an unknown part of the request");
    broken(matches, matches, r->v[0].from = MESH_FROM_QUERY,
           "a hash where there is no header");
    broken(matches, matches,
           (r->v[0].from = MESH_FROM_COOKIE, r->v[0].hash = 0,
            r->v[0].name = text("")),
           "a match on an empty name, or a long one");
    broken(matches, matches,
           (r->v[0].from = MESH_FROM_COOKIE, r->v[0].hash = 0,
            r->v[0].flags = MESH_MATCH_MISSING),
           "what may be missing is no header with a value");
    broken(matches, matches, r->v[2].from = MESH_FROM_PATH,
           "a match on what has another name");
    broken(matches, matches,
           (r->v[0].from = MESH_FROM_SNI, r->v[0].hash = 0,
            r->v[0].name = text("x")),
           "a match on what has another name");
    broken(matches, matches, r->v[2].hash = 1,
           "a hash where there is no header");
    broken(matches, matches, r->v[1].value = s.text,
           "a value where only presence matters");
    broken(matches, matches, r->v[0].value = range,
           "a match on a text without one");
    broken(matches, matches, r->v[2].value = 0,
           "a match on a range without one");
    broken(matches, matches, r->v[2].value = s.text,
           "a match on a range without one");
    broken(matches, matches, r->v[0].value = s.routes, WRONG);
    broken(matches, matches, r->v[1].flags = MESH_MATCH_IGNORE_CASE, case_of);
    broken(matches, matches, r->v[2].flags = MESH_MATCH_IGNORE_CASE, case_of);
    broken(matches, matches, r->v[1].flags = MESH_MATCH_MISSING,
           "what may be missing is no header with a value");
    const mesh_ref_t regex = field_of(matches, matches, v[3].value);
    const char *none = "a match on a regular expression without one";
    broken(matches, matches, r->v[3].value = 0, none);
    broken(matches, matches, r->v[3].value = s.text, none);
    broken(matches, matches, r->v[0].value = regex,
           "a match on a text without one");
    broken(matches, matches, r->v[3].flags = MESH_MATCH_IGNORE_CASE, case_of);
    broken(regex, regex, r->flags = 2, FLAGS);
    broken(regex, regex, r->pattern = text(""),
           "a regular expression that is empty, or too long");
    broken(range, range, r->start = r->end, "a range that nothing is in");

    char longer[MESH_FOLDED_MAX + 2] = {0};
    const mesh_ref_t upper = text("Jason");
    memset(longer, 'a', MESH_FOLDED_MAX + 1);
    const mesh_ref_t more = text(longer);
    longer[MESH_CONTAINS_MAX + 1] = '\0';
    const mesh_ref_t looked_for = text(longer);
    broken(matches, matches,
           (r->v[0].flags = MESH_MATCH_IGNORE_CASE, r->v[0].value = upper),
           folded);
    broken(matches, matches,
           (r->v[0].flags = MESH_MATCH_IGNORE_CASE, r->v[0].value = more),
           folded);
    broken(matches, matches,
           (r->v[0].op = MESH_MATCH_CONTAINS, r->v[0].value = looked_for),
           "a text to look for that is too long");
}

static void test_addresses(void **state) {
    (void)state;
    const mesh_ref_t addresses =
        field_of(route, field_of(refs, s.routes, v[0]), addresses);
    const char *no_range = "not a range of addresses";
    const char *behind = "bits of an address behind its prefix";

    broken(addresses, addresses, r->reserved = 1, RESERVED);
    broken(addresses, addresses, r->v[0].reserved = 1, RESERVED);
    broken(addresses, addresses, r->v[0].family = MESH_FAMILY_UNIX, no_range);
    broken(addresses, addresses, r->v[0].bits = 33, no_range);
    broken(addresses, addresses, r->v[1].bits = 129, no_range);
    broken(addresses, addresses, r->v[0].addr[1] = 1, behind);
    broken(addresses, addresses, r->v[0].addr[15] = 1, behind);
    broken(addresses, addresses, r->v[1].bits = 127, behind);
}

static void test_headers(void **state) {
    (void)state;
    const char *hash = "a header's hash is not its name's";

    broken(header_ops, s.ops, r->reserved = 1, RESERVED);
    broken(header_ops, s.ops, r->v[0].op = 5, "unknown header operation");
    broken(header_ops, s.ops, r->v[0].flags = 2, FLAGS);
    broken(header_ops, s.ops, r->v[0].name = s.text, hash);
    broken(header_ops, s.ops, r->v[1].value = s.text,
           "a value for a header that is removed");

    char name[MESH_HEADER_NAME_MAX + 2] = {0};
    memset(name, 'a', MESH_HEADER_NAME_MAX + 1);
    const mesh_ref_t longer = text(name);
    broken(header_ops, s.ops,
           (r->v[0].name = longer,
            r->v[0].hash = mesh_header_hash(name, MESH_HEADER_NAME_MAX + 1)),
           hash);
}

static void test_split(void **state) {
    (void)state;
    const char *order = "weights are not in ascending order";
    const char *hash = "a hash is not its name's";
    broken(split, s.split, r->v[0].upto = 0, order);
    broken(split, s.split, r->v[0].upto = 100, order);
    broken(split, s.split, r->v[0].upto = 101, order);
    broken(split, s.split, r->total = 101, "total is not the last weight");
    broken(split, s.split, r->total = 90, "total is not the last weight");
    broken(split, s.split, (r->total = 0, r->count = 0, r->rec.size = 16),
           "a split without weight");
    broken(split, s.split, r->v[1].flags = 2, FLAGS);
    broken(split, s.split, r->v[0].cluster = 0, MISSING);
    broken(split, s.split, r->v[0].cluster_hash ^= 1, hash);
    broken(split, s.split, r->v[1].subset_hash ^= 1, hash);
    broken(split, s.split, r->v[1].subset = 0, hash);
    broken(split, s.split, r->v[0].not_found = 503, "an answer without use");
    broken(split, s.split,
           (r->v[0].flags = MESH_SPLIT_HEADER, r->v[0].not_found = 200),
           "a header's cluster has no error to answer with");
    broken(split, s.split,
           (r->v[0].flags = MESH_SPLIT_HEADER, r->v[0].not_found = 503),
           "a header's hash is not its name's");
}

static void test_answers(void **state) {
    (void)state;
    const mesh_ref_t redirect =
        field_of(route, field_of(refs, s.routes, v[1]), redirect);
    const mesh_ref_t direct =
        field_of(route, field_of(refs, s.routes, v[2]), direct);
    broken(redirect, redirect, r->status = 304, "not the status of a redirect");
    broken(redirect, redirect, r->port = 65536, "a port above 65535");
    broken(redirect, redirect, r->flags = 2, FLAGS);
    broken(direct, direct, r->status = 199, "status is not 200 to 599");
    broken(direct, direct, r->status = 600, "status is not 200 to 599");
}

static void test_rewrite(void **state) {
    (void)state;
    const mesh_ref_t route = field_of(refs, s.routes, v[0]);
    const mesh_ref_t host = field_of(route, route, rewrite);
    const mesh_ref_t redirect =
        field_of(route, field_of(refs, s.routes, v[1]), redirect);
    const mesh_ref_t path = field_of(redirect, redirect, rewrite);
    const mesh_ref_t match =
        field_of(matches, field_of(route, route, matches), v[3].value);
    const char *regex = "a regular expression that does not count, or none";
    const char *text = "a text that does not count, or none";
    const char *header = "a header that does not count, or none";
    const char *only = "a redirect rewrites by a regular expression only";

    broken(rewrite, path, r->flags = 2, FLAGS);
    broken(rewrite, path, r->path = 4, "unknown rewrite of the path");
    broken(rewrite, path, r->host = 4, "unknown rewrite of the host");
    broken(rewrite, path, r->regex = 0, regex);
    broken(rewrite, path, r->regex = match, regex);
    broken(rewrite, path, r->path = MESH_REWRITE_WHOLE, regex);
    broken(rewrite, path, r->text = 0, text);
    broken(rewrite, path, r->text = field_of(header_ops, s.ops, v[0].value),
           text);
    broken(rewrite, path, (r->path = MESH_REWRITE_WHOLE, r->regex = 0), text);
    broken(rewrite, path, r->header = s.header, header);
    broken(rewrite, path, r->header_hash = 1,
           "a header's hash is not its name's");
    broken(rewrite, host, r->header = 0, header);
    broken(rewrite, host, r->header_hash ^= 1,
           "a header's hash is not its name's");
    broken(rewrite, host, r->host = MESH_HOST_ENDPOINT, header);
    const char *made = "a rewrite of the host that does not count, or none";
    const mesh_ref_t hashed = field_of(
        hash_policies, field_of(route, route, hash_policies), v[0].rewrite);
    broken(rewrite, path, r->host = MESH_HOST_PATH, made);
    broken(rewrite, path, r->host_rewrite = hashed, made);
    broken(rewrite, host, r->host_rewrite = hashed, made);
    broken(rewrite, path, (r->host = MESH_HOST_PATH, r->host_rewrite = host),
           made);
    broken(redirect, redirect, r->rewrite = host, only);
    broken(redirect, redirect, r->reserved = 1, FLAGS);
    broken(route, route, r->rewrite = path, "two rewrites of the same");
    broken(route, route, r->host_rewrite = s.text, "two rewrites of the same");
    broken(route, field_of(refs, s.routes, v[1]), r->rewrite = host,
           "a rewrite of a route that goes nowhere");
    broken(route, route, r->path_match = MESH_PATH_TEMPLATE,
           "a template that does not count, or none");
    broken(route, route, r->flags |= MESH_ROUTE_TEMPLATE,
           "a template that does not count, or none");
}

static void test_format(void **state) {
    (void)state;
    const mesh_ref_t format = field_of(header_ops, s.ops, v[0].value);
    const char *named = "a variable has a name exactly where it looks by name";
    const char *hash = "a header's hash is not its name's";

    broken(format, format, r->v[1].var = MESH_VAR_MAX, "unknown variable");
    broken(format, format, r->v[1].flags = 1, FLAGS);
    broken(format, format, r->v[0].name = 0, named);
    broken(format, format, r->v[1].name = 0, named);
    broken(format, format, r->v[0].var = MESH_VAR_PROTOCOL, named);
    broken(format, format, r->v[0].other = s.text,
           "another header of what is none");
    broken(format, format, r->v[0].hash = 1, hash);
    broken(format, format, r->v[1].hash ^= 1, hash);
    broken(format, format, r->v[1].other_hash ^= 1, hash);
    broken(format, format, r->v[1].other = 0, "a hash of no header");
    broken(format, format, r->text = 0, MISSING);
    broken(header_ops, s.ops, (r->v[0].value = s.text),
           "an empty value where none can come out");
}

static void test_retry(void **state) {
    (void)state;
    const mesh_ref_t retry =
        field_of(route, field_of(refs, s.routes, v[0]), retry);
    uint32_t codes[501] = {503, 502};
    const mesh_ref_t falling = mesh_writer_put_u32s(w, codes, 2);
    for (uint32_t i = 0; i < 501; i++) {
        codes[i] = i;
    }
    const mesh_ref_t many = mesh_writer_put_u32s(w, codes, 501);
    mesh_writer_commit(w, NULL);
    broken(retry, retry, r->on |= 0x80, FLAGS);
    broken(retry, retry, r->flags = 1, FLAGS);
    broken(retry, retry, r->codes = falling,
           "codes are not in ascending order");
    broken(retry, retry, r->codes = many, "more codes than there are");
}

static void test_hash_policies(void **state) {
    (void)state;
    const mesh_ref_t route = field_of(refs, s.routes, v[0]);
    const mesh_ref_t other = field_of(refs, s.routes, v[1]);
    const mesh_ref_t p = field_of(route, route, hash_policies);
    const char *named =
        "a hash policy has a name exactly where it looks by name";
    const char *hash = "a header's hash is not its name's";
    broken(route, other, r->hash_policies = p,
           "hash policies of a route that goes nowhere");
    const mesh_ref_t session = field_of(route, route, session);
    broken(route, other, r->session = session,
           "a session of a route that goes nowhere");
    broken(route, other, r->flags |= MESH_ROUTE_SPLIT_HASH,
           "a choice of clusters of a route that goes nowhere");
    broken(route, other, r->split_header = s.header,
           "a choice of clusters of a route that goes nowhere");
    broken(route, route, r->flags |= MESH_ROUTE_SPLIT_HASH,
           "a split by hash and by a header");
    const char *lower =
        "a header's name is empty, too long or not in lower case";
    broken(route, route, r->split_header = text(""), lower);
    broken(route, route, r->split_header = text("X-Random"), lower);
    broken(route, route, r->split_header = s.split, WRONG);
    broken(session, session, r->name = 0, MISSING);
    broken(session, session, r->flags = 4, FLAGS);
    broken(session, session, r->hash = 1, "a hash of what is no header");
    broken(session, session, r->flags = MESH_SESSION_HEADER, hash);
    broken(session, session,
           (r->flags = MESH_SESSION_HEADER,
            r->hash = mesh_header_hash("route", 5)),
           "attributes of a header");
    broken(hash_policies, p, r->reserved = 1, RESERVED);
    broken(hash_policies, p, r->v[0].from = 5, "unknown hash policy");
    broken(hash_policies, p, r->v[0].flags = 4, FLAGS);
    broken(hash_policies, p, r->v[2].reserved = 1, FLAGS);
    broken(hash_policies, p, r->v[0].name = 0, named);
    broken(hash_policies, p, r->v[1].name = 0, named);
    broken(hash_policies, p, r->v[2].name = s.text, named);
    broken(hash_policies, p, r->v[0].hash ^= 1, hash);
    broken(hash_policies, p, r->v[1].hash = 1, "a hash of what is no header");
    broken(hash_policies, p, r->v[0].flags = MESH_HASH_GENERATE,
           "only a cookie can be generated");
    broken(hash_policies, p, r->v[1].flags = 0,
           "attributes of a cookie that is not generated");

    const char *only = "only a header is rewritten, by a regular expression";
    const mesh_ref_t regex = field_of(hash_policies, p, v[0].rewrite);
    broken(hash_policies, p, r->v[1].rewrite = regex, only);
    broken(hash_policies, p, r->v[0].rewrite = field_of(route, route, rewrite),
           only);
}

static void test_policies(void **state) {
    (void)state;
    const mesh_ref_t route = field_of(refs, s.routes, v[0]);
    const mesh_ref_t other = field_of(refs, s.routes, v[1]);
    const mesh_ref_t follow = field_of(route, route, internal_redirect);
    const mesh_ref_t mirrors = field_of(route, route, mirrors);
    const mesh_ref_t cors = field_of(route, route, cors);
    const char *nowhere = "policies of a route that goes nowhere";
    broken(route, other, r->mirrors = mirrors, nowhere);
    broken(route, other, r->cors = cors, nowhere);
    broken(route, other, r->internal_redirect = follow, nowhere);
    broken(route, other, r->body_limit = 1, nowhere);
    broken(route, route, r->cors = mirrors, WRONG);
    broken(route, route, r->mirrors = follow, WRONG);
    broken(route, route, r->internal_redirect = cors, WRONG);
    broken(internal_redirect, follow, r->max = 0, "hops are not 1 to 16");
    broken(internal_redirect, follow, r->max = 17, "hops are not 1 to 16");
    broken(internal_redirect, follow, r->codes = 0,
           "no statuses, or unknown ones");
    broken(internal_redirect, follow, r->codes = 32,
           "no statuses, or unknown ones");
    broken(internal_redirect, follow, r->flags = 2, FLAGS);
    broken(internal_redirect, follow, r->reserved = 1, RESERVED);
    broken(mirrors, mirrors, r->reserved = 1, RESERVED);
    broken(mirrors, mirrors, r->v[0].flags = 2, FLAGS);
    broken(mirrors, mirrors, r->v[1].share_ppm = MESH_SHARE_ALL + 1, PARTS);
    broken(mirrors, mirrors, r->v[1].cluster_hash ^= 1,
           "a hash is not its name's");
    broken(mirrors, mirrors, r->v[0].subset_hash = 1,
           "a hash is not its name's");
    broken(mirrors, mirrors, r->v[0].cluster = 0, MISSING);
    broken(mirrors, mirrors, (r->count = 0, r->rec.size = 16),
           "mirrors are not 1 to 8");
    broken(cors, cors, r->flags = 8, FLAGS);
    broken(cors, cors, r->origins = s.text, WRONG);
    broken(cors, cors, r->max_age = mirrors, WRONG);
}

/* Percentages: what is in force, what it was made of, and the values. */
static void test_shares(void **state) {
    (void)state;
    const mesh_ref_t route = field_of(refs, s.routes, v[0]);
    const mesh_ref_t other = field_of(refs, s.routes, v[1]);
    const mesh_ref_t share = field_of(route, route, share);
    const mesh_ref_t mirrors = field_of(route, route, mirrors);
    const mesh_ref_t alone = field_of(mirrors, mirrors, v[0].share);
    const mesh_ref_t runtime = field_of(policy, s.policy, runtime);
    const char *counts = "a share that does not count, or none that does";

    broken(route, route, r->share = 0, counts);
    broken(route, route, r->flags &= ~(uint32_t)MESH_ROUTE_SHARE, counts);
    broken(route, other, r->share_ppm = 1, counts);
    broken(route, other, r->share = share, counts);
    broken(route, route, r->share = mirrors, WRONG);
    broken(route, route, r->share_ppm = MESH_SHARE_ALL + 1, PARTS);
    broken(share, share, r->reserved = 1, RESERVED);
    broken(share, share, r->flags = 2, FLAGS);
    broken(share, share, r->denominator = 0, PARTS);
    broken(share, share, r->denominator = 1000, PARTS);
    broken(share, share, r->default_denominator = 0, PARTS);
    broken(share, share, r->default_ppm = 50001, PARTS);
    broken(share, share, r->default_ppm = MESH_SHARE_ALL + 10000, PARTS);
    broken(share, share, r->key = route, WRONG);
    broken(share, alone, r->flags = MESH_SHARE_SET, "a value without a key");
    broken(mirrors, mirrors, r->v[0].reserved = 1, RESERVED);
    broken(mirrors, mirrors, r->v[1].share = 0, MISSING);
    broken(runtime_values, runtime, r->reserved = 1, RESERVED);
    broken(runtime_values, runtime, r->v[1].ppm = 50001, PARTS);
    broken(runtime_values, runtime, r->v[0].denominator = 7, PARTS);
    broken(runtime_values, runtime, r->v[0].key = 0, MISSING);
    broken(runtime_values, runtime, r->v[1].key = r->v[0].key,
           "keys are not in order");
}

/* Of what matches may be, an origin is compared with texts only. */
static void test_origins(void **state) {
    (void)state;
    const mesh_ref_t route = field_of(refs, s.routes, v[0]);
    const mesh_ref_t cors = field_of(route, route, cors);
    const mesh_ref_t matches = field_of(route, route, matches);
    broken(cors, cors, r->origins = matches, "an origin that is no text");
}

/* A list of `n` texts, which are "a" and what follows it, or before. */
static mesh_ref_t keys_of(uint32_t n, bool falling) {
    mesh_ref_t refs[17];

    for (uint32_t i = 0; i < n; i++) {
        const char name[] = {(char)('a' + (falling ? n - i : i)), 0};
        refs[i] = sample_str(w, name);
    }
    const mesh_ref_t list = mesh_writer_put_refs(w, MESH_KIND_STRING, refs, n);
    mesh_writer_commit(w, NULL);
    return list;
}

static void test_selectors(void **state) {
    (void)state;
    const mesh_ref_t subsets = field_of(cluster, s.cluster, subsets);
    const mesh_ref_t selectors = field_of(subsets, subsets, selectors);
    const mesh_ref_t many = keys_of(17, false);
    const mesh_ref_t falling = keys_of(2, true);
    const mesh_ref_t same = keys_of(1, false);
    static const char size[] = "a selector without keys, or with more than 16";
    static const char foreign[] =
        "a selector's fallback has keys that are not some of its own";

    broken(selectors, selectors, r->reserved = 1, RESERVED);
    broken(selectors, selectors, r->v[0].reserved = 1, RESERVED);
    broken(selectors, selectors, r->v[0].fallback_keys = 1, foreign);
    broken(selectors, selectors, r->v[1].fallback_keys = 0, foreign);
    broken(selectors, selectors, r->v[1].fallback_keys = 3, foreign);
    broken(selectors, selectors, r->v[1].fallback_keys = 4, foreign);
    broken(selectors, selectors, r->v[1].keys = same, foreign);
    broken(selectors, selectors, r->v[1].keys = s.routes, size);
    broken(selectors, selectors, r->v[1].keys = many, size);
    broken(selectors, selectors, r->v[1].keys = falling,
           "a selector's keys are not in order");
    broken(selectors, selectors, r->v[1].keys = s.labels, WRONG);
    broken(selectors, selectors, r->v[1].keys = 0, MISSING);

    struct {
        mesh_rec_selectors_t head;
        mesh_selector_t v[65];
    } rec = {
        .head = {.rec = {MESH_KIND_SELECTORS, 0, sizeof(rec)}, .count = 65}};
    for (uint32_t i = 0; i < 65; i++) {
        rec.v[i] = (mesh_selector_t){same, MESH_FALLBACK_NONE, 0, 0};
    }
    memcpy(copy, &rec, sizeof(rec));
    refused(selectors, "more than 64 selectors");

    rec.head.count = 1;
    rec.head.rec.size = sizeof(rec.head) + sizeof(rec.v[0]);
    rec.v[0].fallback = MESH_FALLBACK_SUBSET + 2;
    const mesh_ref_t beyond = mesh_writer_put(w, &rec.head.rec);
    mesh_writer_commit(w, NULL);
    broken(subsets, subsets, r->selectors = beyond,
           "a selector's fallback is no subset");
}

static void test_cluster(void **state) {
    (void)state;
    const mesh_ref_t outlier = field_of(cluster, s.cluster, outlier);
    const mesh_ref_t subsets = field_of(cluster, s.cluster, subsets);
    broken(cluster, s.cluster, r->name_hash = 0, "name_hash is not the name's");
    broken(cluster, s.cluster, r->lb = MESH_LB_MAX, "unknown balancer");
    broken(cluster, s.cluster, r->panic_percent = 101,
           "panic_percent is above 100");
    broken(cluster, s.cluster, r->lb_choices = 65, "lb_choices is above 64");
    broken(cluster, s.cluster, r->lb_params = s.text, WRONG);
    broken(cluster, s.cluster, r->flags |= 2, FLAGS);
    broken(cluster, s.cluster, r->tls = s.text, WRONG);
    broken(outlier, outlier, r->max_ejection_percent = 101,
           "max_ejection_percent is above 100");
    broken(outlier, outlier, r->flags = 2, FLAGS);

    const char *order = "subsets are not in order of name";
    broken(subsets, subsets, r->fallback = MESH_FALLBACK_SUBSET + r->count,
           "the fallback is no subset");
    broken(subsets, subsets, r->fallback = UINT32_MAX,
           "the fallback is no subset");
    broken(subsets, subsets, r->fallback = MESH_FALLBACK_KEYS,
           "the fallback is no subset");
    broken(subsets, subsets, r->flags = 8, FLAGS);
    broken(subsets, subsets, r->selectors = s.text, WRONG);
    broken(subsets, subsets, r->v[1].reserved = 1, RESERVED);
    broken(subsets, subsets, r->v[1] = r->v[0], order);
    broken(subsets, subsets, r->v[0].hash ^= 1,
           "a subset's hash is not its name's");
    broken(subsets, subsets, r->v[0].labels = 0, MISSING);
    broken(
        subsets, subsets,
        do {
            const mesh_subset_t swap = r->v[0];
            r->v[0] = r->v[1];
            r->v[1] = swap;
        } while (0),
        order);

    const char *labels = "labels are not in order of name";
    broken(labels, s.labels, r->reserved = 1, RESERVED);
    broken(labels, s.labels, r->v[1].name = r->v[0].name, labels);
    const mesh_ref_t first = text("a");
    broken(labels, s.labels, r->v[1].name = first, labels);
}

static void test_lb(void **state) {
    (void)state;
    const mesh_ref_t lb = field_of(cluster, s.cluster, lb_params);
    mesh_rec_lb_t none = {.rec = {MESH_KIND_LB, 0, sizeof(none)}};
    const mesh_ref_t empty = mesh_writer_put(w, &none.rec);
    mesh_rec_lb_t begins = none;
    begins.table_size = 251;
    begins.ring_min = begins.ring_max = 64;
    begins.slow_start_ms = begins.aggression_milli = 1;
    const mesh_ref_t slowly = mesh_writer_put(w, &begins.rec);
    mesh_writer_commit(w, NULL);
    assert_true(slowly != 0);
    const char *prime = "table_size is not a prime up to 5000011";
    const char *ring = "a ring is not of min to max, at most 8388608 points";
    const char *factor = "balance_factor is not 100 to 1000000";
    broken(lb, lb, r->table_size = 1, prime);
    broken(lb, lb, r->table_size = 65536, prime);
    broken(lb, lb, r->table_size = 5000011 - 8, prime);
    broken(lb, lb, r->table_size = 5000077, prime);
    broken(lb, lb, r->ring_max = 1023, ring);
    broken(lb, lb, r->ring_max = 8388609, ring);
    const char *slow = "slow start without an aggression, or above the weight";
    broken(lb, lb, r->slow_start_ms = 1, slow);
    broken(lb, lb,
           (r->slow_start_ms = 1, r->aggression_milli = 1,
            r->min_weight_percent = 101),
           slow);
    broken(lb, lb, r->zone_aware = s.text, WRONG);
    const mesh_ref_t weights = field_of(lb, lb, weights);
    broken(locality_weights, weights, r->reserved = 1, RESERVED);
    broken(locality_weights, weights, r->v[0].priority = 128,
           "a priority above 127");
    broken(locality_weights, weights, r->v[1].locality = s.text, WRONG);
    broken(lb, lb, r->weights = s.text, WRONG);
    broken(lb, lb, r->overprovisioning = 1000001,
           "overprovisioning is above 1000000");
    broken(lb, lb, r->flags = 8, FLAGS);
    broken(lb, lb, r->flags = MESH_LB_FAILOVER,
           "failover and weights of localities");
    broken(lb, lb, r->bias_milli = 10001, "bias_milli is above 10000");
    broken(lb, lb, r->balance_factor = 99, factor);
    broken(lb, lb, r->balance_factor = 1000001, factor);
    broken(cluster, s.cluster, (r->lb = MESH_LB_MAGLEV, r->lb_params = empty),
           "maglev without a table_size");
    broken(cluster, s.cluster, (r->lb = MESH_LB_MAGLEV, r->lb_params = 0),
           "maglev without a table_size");
    broken(cluster, s.cluster,
           (r->lb = MESH_LB_RING_HASH, r->lb_params = empty),
           "ring_hash without a ring_min");
    broken(cluster, s.cluster, (r->lb = MESH_LB_RING_HASH, r->lb_params = 0),
           "ring_hash without a ring_min");
    const char *moves = "slow start of a balancer that hashes";
    broken(cluster, s.cluster, (r->lb = MESH_LB_MAGLEV, r->lb_params = slowly),
           moves);
    broken(cluster, s.cluster,
           (r->lb = MESH_LB_RING_HASH, r->lb_params = slowly), moves);
    const char *times = "peak_ewma without its times";
    broken(cluster, s.cluster, (r->lb = MESH_LB_PEAK_EWMA, r->lb_params = 0),
           times);
    broken(cluster, s.cluster, r->lb = MESH_LB_PEAK_EWMA, times);
}

static void test_zone_aware(void **state) {
    (void)state;
    const mesh_ref_t zone = field_of(lb, s.near, zone_aware);
    const mesh_ref_t weights =
        field_of(lb, field_of(cluster, s.cluster, lb_params), weights);
    const char *both = "zone_aware and failover or weights of localities";
    const char *hashes = "zone_aware of a balancer that hashes";
    mesh_rec_lb_t *tables = copy_of(s.near);
    tables->table_size = 251;
    tables->ring_min = tables->ring_max = 64;
    const mesh_ref_t table = mesh_writer_put(w, &tables->rec);
    mesh_writer_commit(w, NULL);
    assert_int_not_equal(table, 0);

    broken(zone_aware, zone, r->local = s.cluster, WRONG);
    broken(zone_aware, zone, r->enabled_percent = 101,
           "enabled_percent is above 100");
    broken(zone_aware, zone, r->flags = 4, FLAGS);
    broken(zone_aware, zone, r->reserved = 1, RESERVED);
    broken(lb, s.near, r->weights = weights, both);
    broken(lb, s.near, r->flags = MESH_LB_FAILOVER, both);
    broken(lb, s.near, r->zone_aware = s.text, WRONG);
    broken(cluster, s.cluster, (r->lb = MESH_LB_MAGLEV, r->lb_params = table),
           hashes);
    broken(cluster, s.cluster,
           (r->lb = MESH_LB_RING_HASH, r->lb_params = table), hashes);

    mesh_rec_cluster_t *r = copy_of(s.cluster);
    r->lb_params = s.near;
    assert_int_not_equal(mesh_writer_put(w, &r->rec), 0);
    mesh_writer_rollback(w);
}

static void test_endpoints(void **state) {
    (void)state;
    broken(endpoint_chunk, s.chunk, r->reserved = 1, RESERVED);
    broken(endpoint_chunk, s.chunk, (r->count = 0, r->rec.size = 32),
           "a chunk holds 1 to 64 endpoints");
    broken(endpoint_chunk, s.chunk, r->v[1].family = 0,
           "unknown address family");
    broken(endpoint_chunk, s.chunk, r->v[2].family = 5,
           "unknown address family");
    broken(endpoint_chunk, s.chunk, r->v[0].host = 0,
           "a unix endpoint without its path");
    broken(endpoint_chunk, s.chunk, r->v[2].health = 5, "unknown health");
    broken(endpoint_chunk, s.chunk, r->v[2].weight = (1u << 24) + 1,
           "a weight above 2^24");
    broken(endpoint_chunk, s.chunk, r->v[2].priority = 128,
           "a priority above 127");
    broken(endpoint_chunk, s.chunk, r->v[1].labels = s.text, WRONG);

    const char *total = "total is not the chunks' sum";
    broken(endpoint_set, s.set, r->total = 2, total);
    broken(endpoint_set, s.set, (r->count = 0, r->rec.size = 40), total);
    broken(endpoint_set, s.set, r->reserved = 1, RESERVED);
    broken(endpoint_set, s.set, r->weights = s.text, WRONG);
    broken(endpoint_set, s.set, r->v[0] = 0, MISSING);

    const mesh_ref_t locality =
        field_of(endpoint_chunk, s.chunk, v[1].locality);
    broken(locality, locality, r->reserved = 1, RESERVED);
}

/* 256 localities have weights, 257 are too many. */
static void test_locality_weights_max(void **state) {
    (void)state;
    for (uint32_t n = MESH_LOCALITY_WEIGHTS_MAX;
         n <= MESH_LOCALITY_WEIGHTS_MAX + 1; n++) {
        struct {
            mesh_rec_locality_weights_t head;
            mesh_locality_weight_t v[MESH_LOCALITY_WEIGHTS_MAX + 2];
        } rec;
        memset(&rec, 0, sizeof(rec));
        rec.head.rec.kind = MESH_KIND_LOCALITY_WEIGHTS;
        rec.head.rec.size = (uint32_t)(sizeof(rec.head) + n * sizeof(rec.v[0]));
        rec.head.count = n;
        mesh_ref_t ref = mesh_writer_put(w, &rec.head.rec);
        assert_int_equal(ref != 0, n == MESH_LOCALITY_WEIGHTS_MAX);
        mesh_writer_rollback(w);
    }
}

/* 64 endpoints are a chunk, 65 are not. */
static void test_chunk_max(void **state) {
    (void)state;
    for (uint32_t n = MESH_CHUNK_MAX; n <= MESH_CHUNK_MAX + 1; n++) {
        mesh_rec_endpoint_chunk_t *r = copy_of(s.chunk);
        r->rec.size = sizeof(*r) + n * (uint32_t)sizeof(r->v[0]);
        r->count = n;
        for (uint32_t i = 1; i < n; i++) {
            r->v[i] = r->v[1];
        }
        assert_true((mesh_writer_put(w, &r->rec) != 0) == (n == 64));
        mesh_writer_rollback(w);
    }
}

static void test_roots(void **state) {
    (void)state;
    broken(policy, s.policy, r->clusters = s.binding, WRONG);
    const mesh_ref_t bound = field_of(binding, s.binding, clusters);
    const mesh_ref_t slots = field_of(binding, s.binding, routes);
    broken(policy, s.policy, r->clusters = bound,
           "clusters is no map of clusters");
    broken(policy, s.policy, r->route_tables = s.map,
           "route_tables is no map of route tables");
    broken(policy, s.policy, r->listeners = s.map, WRONG);
    broken(policy, s.policy, r->runtime = s.map, WRONG);
    broken(endpoints, s.endpoints, r->sets = s.map,
           "sets is no map of endpoint sets");
    broken(endpoints, s.endpoints, r->reserved = 1, RESERVED);
    broken(binding, s.binding, r->clusters = slots,
           "clusters is no map of bindings");
    broken(binding, s.binding, r->routes = bound, "routes is no map of slots");
    const mesh_ref_t identity = field_of(root, s.root, identity);
    broken(identity, identity, r->reserved[1] = 1, RESERVED);
    const mesh_ref_t sources = field_of(root, s.root, sources);
    broken(sources, sources, r->reserved = 1, RESERVED);
    broken(sources, sources, r->v[0].name = 0, MISSING);

    broken(root, s.root, r->policy = 0, MISSING);
    broken(root, s.root, r->endpoints = 0, MISSING);
    broken(root, s.root, r->binding = 0, MISSING);
    broken(root, s.root, r->policy = s.endpoints, WRONG);
    broken(root, s.root, r->history = s.routes, "history is no list of roots");
    broken(root, s.root, r->flags = 8, FLAGS);

    mesh_ref_t refs[MESH_HISTORY_MAX + 1];
    for (size_t i = 0; i < mesh_nelts(refs); i++) {
        refs[i] = s.root;
    }
    const mesh_ref_t most =
        mesh_writer_put_refs(w, MESH_KIND_ROOT, refs, MESH_HISTORY_MAX);
    const mesh_ref_t more =
        mesh_writer_put_refs(w, MESH_KIND_ROOT, refs, MESH_HISTORY_MAX + 1);
    mesh_writer_commit(w, NULL);
    broken(root, s.root, r->history = more,
           "more than 64 roots in the history");
    mesh_rec_root_t *r = copy_of(s.root);
    r->history = most;
    assert_int_not_equal(mesh_writer_put(w, &r->rec), 0);
}

static void test_bind_cluster(void **state) {
    (void)state;
    const char *chunks = "slots are not parallel to the set's chunks";
    const uint32_t two[] = {1, 2};
    const mesh_ref_t u = mesh_writer_put_u32s(w, two, 2);
    const mesh_ref_t few = mesh_writer_put_refs(w, MESH_KIND_U32S, &u, 1);
    const mesh_ref_t both[] = {u, u};
    const mesh_ref_t many = mesh_writer_put_refs(w, MESH_KIND_U32S, both, 2);
    mesh_writer_commit(w, NULL);
    broken(bind_cluster, s.bind, r->cluster = 0, MISSING);
    broken(bind_cluster, s.bind, r->node = s.text, WRONG);
    broken(bind_cluster, s.bind, r->local = s.cluster, WRONG);
    broken(bind_cluster, s.bind, r->reserved = 1, RESERVED);
    broken(bind_cluster, s.bind, r->slots = s.routes,
           "slots are no lists of numbers");
    broken(bind_cluster, s.bind, r->slots = 0, chunks);
    broken(bind_cluster, s.bind, r->set = 0, chunks);
    broken(bind_cluster, s.bind, r->slots = many, chunks);
    broken(bind_cluster, s.bind, r->slots = few,
           "slots are not parallel to a chunk's endpoints");

    mesh_rec_bind_cluster_t *r = copy_of(s.bind);
    r->set = 0;
    r->slots = 0;
    assert_int_not_equal(mesh_writer_put(w, &r->rec), 0);
}

#define rule_test(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_each_ref),
        cmocka_unit_test(test_map_bits),
        rule_test(test_shape),
        rule_test(test_sizes),
        rule_test(test_plain),
        rule_test(test_maps),
        rule_test(test_leaves),
        rule_test(test_names_are_short),
        rule_test(test_route_table),
        rule_test(test_vhost),
        rule_test(test_trie),
        rule_test(test_route),
        rule_test(test_matches),
        rule_test(test_addresses),
        rule_test(test_headers),
        rule_test(test_split),
        rule_test(test_answers),
        rule_test(test_rewrite),
        rule_test(test_format),
        rule_test(test_retry),
        rule_test(test_hash_policies),
        rule_test(test_policies),
        rule_test(test_shares),
        rule_test(test_origins),
        rule_test(test_selectors),
        rule_test(test_cluster),
        rule_test(test_lb),
        rule_test(test_endpoints),
        rule_test(test_chunk_max),
        rule_test(test_zone_aware),
        rule_test(test_locality_weights_max),
        rule_test(test_roots),
        rule_test(test_bind_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
