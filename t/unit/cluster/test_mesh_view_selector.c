/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Subsets that selectors make, and what is used instead: against a model that
 * looks at every endpoint for every question.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cluster_fixture.h"
#include "mesh_subset.h"

#define NOW UINT64_C(1000000)
#define KEYS 4
#define UNSAID UINT32_MAX

static const char *const keys[KEYS] = {"a", "b b", "c/d", "e"};
static const char *const values[] = {"1", "x/y z%", "=", ""};

/* Values by key, as indexes; UNSAID: no such label. */
typedef struct {
    uint32_t v[KEYS];
} labels_t;

typedef struct {
    bool keys[KEYS];
    uint32_t fallback;
    bool rest[KEYS]; /* FALLBACK_KEYS */
} selector_t;

typedef struct {
    uint32_t count;
    labels_t endpoints[40];
    uint32_t nselectors;
    selector_t selectors[5];
    uint32_t fallback;
    uint32_t flags;
    labels_t named; /* the one named subset */
} world_t;

static uint32_t count_of(const bool *set) {
    uint32_t n = 0;

    for (int i = 0; i < KEYS; i++) {
        n += set[i];
    }
    return n;
}

/* --- the naive model ------------------------------------------------------ */

/* A set of endpoints as bits, or NOWHERE. */
#define NOWHERE UINT64_MAX

static bool has(const labels_t *have, const labels_t *want) {
    for (int k = 0; k < KEYS; k++) {
        if (want->v[k] != UNSAID && have->v[k] != want->v[k]) {
            return false;
        }
    }
    return true;
}

static uint64_t who_has(const world_t *w, const labels_t *want) {
    uint64_t members = 0;

    for (uint32_t i = 0; i < w->count; i++) {
        members |= (uint64_t)has(&w->endpoints[i], want) << i;
    }
    return members;
}

static const selector_t *selector_of(const world_t *w, const labels_t *want) {
    for (uint32_t i = 0; i < w->nselectors; i++) {
        bool same = true;

        for (int k = 0; k < KEYS; k++) {
            same &= w->selectors[i].keys[k] == (want->v[k] != UNSAID);
        }
        if (same) {
            return &w->selectors[i];
        }
    }
    return NULL;
}

static uint64_t all_of(const world_t *w) {
    return (UINT64_C(1) << w->count) - 1;
}

static uint64_t instead(const world_t *w, uint32_t fallback) {
    switch (fallback) {
    case MESH_FALLBACK_NONE:
        return NOWHERE;
    case MESH_FALLBACK_ANY:
        return all_of(w);
    default:
        return who_has(w, &w->named);
    }
}

static uint64_t of_cluster(const world_t *w) {
    uint64_t members = instead(w, w->fallback);

    return members == 0 && (w->flags & MESH_SUBSETS_PANIC_ANY) ? all_of(w)
                                                               : members;
}

static void only(labels_t *labels, const bool *which) {
    for (int k = 0; k < KEYS; k++) {
        labels->v[k] = which[k] ? labels->v[k] : UNSAID;
    }
}

/* Envoy's allow_redundant_keys: the most keys first, then the order. */
static void leave_out(const world_t *w, labels_t *want) {
    const selector_t *most = NULL;

    for (uint32_t i = 0; i < w->nselectors; i++) {
        const selector_t *s = &w->selectors[i];
        bool all = true;

        for (int k = 0; k < KEYS; k++) {
            all &= !s->keys[k] || want->v[k] != UNSAID;
        }
        if (all && (most == NULL || count_of(s->keys) > count_of(most->keys))) {
            most = s;
        }
    }
    if (most != NULL) {
        only(want, most->keys);
    }
}

static uint64_t expected(const world_t *w, labels_t want) {
    const selector_t *selector;

    for (;;) {
        if (w->flags & MESH_SUBSETS_REDUNDANT) {
            leave_out(w, &want);
        }
        selector = selector_of(w, &want);
        if (selector == NULL) {
            return of_cluster(w);
        }
        uint64_t members = who_has(w, &want);
        if (members != 0) {
            return members;
        }
        if (selector->fallback == MESH_FALLBACK_CLUSTER) {
            return of_cluster(w);
        }
        if (selector->fallback != MESH_FALLBACK_KEYS) {
            return instead(w, selector->fallback);
        }
        only(&want, selector->rest);
    }
}

/* --- worlds --------------------------------------------------------------- */

static labels_t random_labels(rng_t *rng) {
    labels_t labels;

    for (int k = 0; k < KEYS; k++) {
        labels.v[k] = rng_one_in(rng, 3) ? UNSAID : rng_below(rng, 4);
    }
    return labels;
}

static void random_selector(rng_t *rng, selector_t *s, uint32_t which) {
    for (int k = 0; k < KEYS; k++) {
        s->keys[k] = which >> k & 1;
    }
    s->fallback = (const uint32_t[]){
        MESH_FALLBACK_NONE, MESH_FALLBACK_ANY, MESH_FALLBACK_SUBSET,
        MESH_FALLBACK_CLUSTER, MESH_FALLBACK_KEYS}[rng_below(rng, 5)];
    if (s->fallback == MESH_FALLBACK_KEYS && count_of(s->keys) == 1) {
        s->fallback = MESH_FALLBACK_CLUSTER;
    }
    while (s->fallback == MESH_FALLBACK_KEYS &&
           (count_of(s->rest) == 0 || count_of(s->rest) == count_of(s->keys))) {
        for (int k = 0; k < KEYS; k++) {
            s->rest[k] = s->keys[k] && rng_one_in(rng, 2);
        }
    }
}

static void random_world(rng_t *rng, world_t *w) {
    uint32_t which = rng_below(rng, 15);

    memset(w, 0, sizeof(*w));
    w->count = rng_below(rng, 41);
    for (uint32_t i = 0; i < w->count; i++) {
        w->endpoints[i] = i > 0 && rng_one_in(rng, 2) ? w->endpoints[i - 1]
                                                      : random_labels(rng);
    }
    w->nselectors = 1 + rng_below(rng, 5);
    for (uint32_t i = 0; i < w->nselectors; i++) {
        /* 7 is prime to 15: they differ */
        random_selector(rng, &w->selectors[i], 1 + (which + 7 * i) % 15);
    }
    w->fallback = rng_below(rng, 3);
    w->flags = rng_below(rng, 8);
    w->named = random_labels(rng);
    w->named.v[0] = rng_below(rng, 4);
}

static const char *labels_text(const labels_t *labels, char *out) {
    size_t len = 0;

    out[0] = '\0';
    for (int k = 0; k < KEYS; k++) {
        if (labels->v[k] != UNSAID) {
            len +=
                (size_t)snprintf(out + len, 64 - len, "%s%s=%s", len ? "," : "",
                                 keys[k], values[labels->v[k]]);
        }
    }
    return out;
}

static mesh_str_t name_of(const labels_t *labels, char *out) {
    size_t len = 0;

    for (int k = 0; k < KEYS; k++) {
        if (labels->v[k] != UNSAID) {
            len = mesh_subset_put(out, len, mesh_str_from(keys[k]),
                                  mesh_str_from(values[labels->v[k]]));
        }
    }
    return (mesh_str_t){len, out};
}

typedef struct {
    char labels[40][64];
    char named[64];
    char keys[5][32];
    fixture_endpoint_t endpoints[40];
    fixture_selector_t selectors[5];
    fixture_subset_t subset;
} texts_t;

static void selector_text(const selector_t *s, fixture_selector_t *to,
                          char *text) {
    uint32_t n = 0;

    *to = (fixture_selector_t){.keys = text, .fallback = s->fallback};
    text[0] = '\0';
    for (int k = 0; k < KEYS; k++) {
        if (s->keys[k]) {
            snprintf(text + strlen(text), 32 - strlen(text), "%s%s",
                     n ? "," : "", keys[k]);
            to->fallback_keys |= (uint32_t)s->rest[k] << n++;
        }
    }
}

static fixture_t *fixture_of(const world_t *w, texts_t *t) {
    fixture_spec_t spec = {
        .count = w->count,
        .endpoints = t->endpoints,
        .nsubsets = 1,
        .subsets = &t->subset,
        .fallback = w->fallback,
        .subset_flags = w->flags,
        .nselectors = w->nselectors,
        .selectors = t->selectors,
    };

    memset(t, 0, sizeof(*t));
    for (uint32_t i = 0; i < w->count; i++) {
        t->endpoints[i] = (fixture_endpoint_t){
            .id = i,
            .weight = 1,
            .labels = labels_text(&w->endpoints[i], t->labels[i])};
    }
    for (uint32_t i = 0; i < w->nselectors; i++) {
        selector_text(&w->selectors[i], &t->selectors[i], t->keys[i]);
    }
    t->subset = (fixture_subset_t){"named", labels_text(&w->named, t->named)};
    return fixture_new(&spec);
}

static uint64_t members_of(const mesh_view_subset_t *subset) {
    uint64_t members = 0;

    if (subset == NULL) {
        return NOWHERE;
    }
    for (uint32_t i = 0; i < subset->groups->count; i++) {
        members |= UINT64_C(1) << subset->groups->pick[i];
    }
    assert_int_equal(subset->members, __builtin_popcountll(members));
    return members;
}

static void ask(const world_t *w, const mesh_cluster_view_t *view,
                const labels_t *want, int seed) {
    char name[MESH_SUBSET_NAME_MAX];
    mesh_str_t text = name_of(want, name);
    uint64_t found = members_of(mesh_view_subset(
        view, text, text.len ? mesh_hash32(name, text.len) : 0));
    uint64_t right = text.len                           ? expected(w, *want)
                     : w->flags & MESH_SUBSETS_REQUIRED ? of_cluster(w)
                                                        : all_of(w);

    if (found != right) {
        fail_msg("world %d: \"%.*s\" is %llx, not %llx", seed, (int)text.len,
                 name, (unsigned long long)found, (unsigned long long)right);
    }
}

static void test_any_worlds(void **state) {
    (void)state;

    for (int seed = 0; seed < 3000; seed++) {
        rng_t rng = {.state = (uint64_t)seed};
        world_t w;
        texts_t texts;

        random_world(&rng, &w);
        fixture_t *f = fixture_of(&w, &texts);
        const mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);

        for (int i = 0; i < 30; i++) {
            labels_t want = random_labels(&rng);
            if (w.count > 0 && rng_one_in(&rng, 2)) {
                want = w.endpoints[rng_below(&rng, w.count)];
                only(&want, w.selectors[rng_below(&rng, w.nselectors)].keys);
            }
            ask(&w, view, &want, seed);
        }
        fixture_free(f);
    }
}

/* A subset that is there once is found once, however many there are. */
static void test_many(void **state) {
    enum { MANY = 5000 };
    static char labels[MANY][24];
    static fixture_endpoint_t e[MANY];
    fixture_selector_t selectors[] = {{"id", MESH_FALLBACK_NONE, 0},
                                      {"id,shard", MESH_FALLBACK_NONE, 0},
                                      {"shard", MESH_FALLBACK_NONE, 0}};
    char name[32];
    (void)state;

    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(labels[i], sizeof(labels[i]), "id=%u,shard=%u", i, i % 7);
        e[i] = (fixture_endpoint_t){
            .id = i, .weight = 1, .labels = labels[i], .slotless = true};
    }
    fixture_t *f = fixture_new(&(fixture_spec_t){.count = MANY,
                                                 .endpoints = e,
                                                 .nselectors = 3,
                                                 .selectors = selectors});
    const mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);

    assert_int_equal(view->nsubsets, 1 + 2 * MANY + 7);
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "id=%u", i);
        const mesh_view_subset_t *one = mesh_view_subset(
            view, mesh_str_from(name), mesh_hash32(name, strlen(name)));
        assert_int_equal(one->members, 1);
        assert_int_equal(one->groups->pick[0], i);
        assert_true(mesh_str_eq(one->name, mesh_str_from(name)));
        assert_ptr_equal(
            mesh_view_subset(view, mesh_str_from(labels[i]),
                             mesh_hash32(labels[i], strlen(labels[i])))
                ->groups->pick[0],
            i);
    }
    fixture_free(f);
}

/* Labels are nothing to a cluster without subsets, and a name is one. */
static void test_no_subsets(void **state) {
    (void)state;
    fixture_t *f = fixture_new(&(fixture_spec_t){.count = 2});
    const mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);

    assert_ptr_equal(
        mesh_view_subset(view, MESH_STR("a=1"), mesh_hash32("a=1", 3)),
        &view->subsets[0]);
    assert_null(mesh_view_subset(view, MESH_STR("a"), mesh_hash32("a", 1)));

    char out[MESH_SUBSET_NAME_MAX];
    assert_true(mesh_str_eq(mesh_view_meant(view, MESH_STR("a=1"), out),
                            MESH_STR("a=1")));
    assert_false(mesh_view_selects(view, MESH_STR("a=1")));
    fixture_free(f);
}

/* A name is none of labels, whatever it looks like. */
static void test_names(void **state) {
    fixture_endpoint_t e[] = {{.id = 0, .weight = 1, .labels = "a=1"},
                              {.id = 1, .weight = 1, .labels = "a=2"}};
    fixture_selector_t selectors[] = {{"a", MESH_FALLBACK_NONE, 0}};
    fixture_subset_t named[] = {{"a", "a=3"}, {"a,b", "a=2"}};
    (void)state;

    for (uint32_t flags = 0; flags <= MESH_SUBSETS_REDUNDANT;
         flags += MESH_SUBSETS_REDUNDANT) {
        fixture_t *f =
            fixture_new(&(fixture_spec_t){.count = 2,
                                          .endpoints = e,
                                          .nsubsets = 2,
                                          .subsets = named,
                                          .fallback = MESH_FALLBACK_ANY,
                                          .subset_flags = flags,
                                          .nselectors = 1,
                                          .selectors = selectors});
        const mesh_cluster_view_t *view = fixture_view(f, NULL, NOW);

        assert_ptr_equal(
            mesh_view_subset(view, MESH_STR("a,b"), mesh_hash32("a,b", 3)),
            &view->subsets[2]);
        /* As the cluster says, not the selector: none has that label. */
        assert_ptr_equal(
            mesh_view_subset(view, MESH_STR("a"), mesh_hash32("a", 1)),
            &view->subsets[0]);
        assert_null(
            mesh_view_subset(view, MESH_STR("a=3"), mesh_hash32("a=3", 3)));

        /* What explain says of them. */
        char out[MESH_SUBSET_NAME_MAX];
        assert_true(mesh_str_eq(mesh_view_meant(view, MESH_STR("a,b"), out),
                                MESH_STR("a,b")));
        assert_true(mesh_str_eq(mesh_view_meant(view, MESH_STR("a=3,z=1"), out),
                                flags ? MESH_STR("a=3") : MESH_STR("a=3,z=1")));
        assert_true(mesh_view_selects(view, MESH_STR("a=3")));
        assert_false(mesh_view_selects(view, MESH_STR("a")));
        assert_false(mesh_view_selects(view, MESH_STR("a=3,z=1")));
        fixture_free(f);
    }
}

/* Labels that make a name longer than anybody may ask for make none. */
static void test_long_values(void **state) {
    static char labels[4 * 300];
    fixture_endpoint_t e[] = {{.id = 0, .weight = 1, .labels = labels},
                              {.id = 1, .weight = 1, .labels = "a=1"}};
    fixture_selector_t selectors[] = {{"a,b,c,d", MESH_FALLBACK_NONE, 0},
                                      {"a", MESH_FALLBACK_NONE, 0}};
    (void)state;

    for (int i = 0; i < 4; i++) {
        snprintf(labels + strlen(labels), sizeof(labels) - strlen(labels),
                 "%s%c=%0255d", i ? "," : "", 'a' + i, i);
    }
    fixture_t *f = fixture_new(&(fixture_spec_t){
        .count = 2, .endpoints = e, .nselectors = 2, .selectors = selectors});

    assert_int_equal(fixture_view(f, NULL, NOW)->nsubsets, 3);
    fixture_free(f);

    /* The longest is 1024 bytes. */
    for (int len = 255; len <= 256; len++) {
        snprintf(labels, sizeof(labels), "a=%0253d,b=%0254d,c=%0254d,d=%0*d", 0,
                 0, 0, len - 3, 0);
        f = fixture_new(&(fixture_spec_t){.count = 1,
                                          .endpoints = e,
                                          .nselectors = 1,
                                          .selectors = selectors});
        assert_int_equal(strlen(labels), 769 + len);
        assert_int_equal(fixture_view(f, NULL, NOW)->nsubsets,
                         len == 255 ? 2 : 1);
        fixture_free(f);
    }
}

/* No two subsets draw from one word: turns of one would skip for the other. */
static void test_tickets_of_their_own(void **state) {
    enum { SUBSETS = 9 };
    static char labels[SUBSETS][8];
    fixture_endpoint_t e[SUBSETS];
    fixture_selector_t selectors[] = {{"v", MESH_FALLBACK_NONE, 0}};
    mesh_runtime_t rt;
    (void)state;

    for (uint32_t i = 0; i < SUBSETS; i++) {
        snprintf(labels[i], sizeof(labels[i]), "v=%u", i);
        e[i] = (fixture_endpoint_t){.id = i, .weight = 1, .labels = labels[i]};
    }
    fixture_t *f = fixture_new(&(fixture_spec_t){.count = SUBSETS,
                                                 .endpoints = e,
                                                 .nselectors = 1,
                                                 .selectors = selectors});
    fixture_runtime(&rt);
    for (int writable = 0; writable < 2; writable++) {
        const mesh_cluster_view_t *view =
            mesh_cluster_view(&f->snapshot, f->root, f->bind, &f->health, &rt,
                              writable != 0, NOW, &f->arena);
        mesh_cluster_slot_t *slot = &rt.clusters[0];

        for (uint32_t i = 0; i <= SUBSETS; i++) {
            uint64_t *ticket = mesh_view_ticket(slot, view, &view->subsets[i]);
            for (uint32_t k = 0; k < i; k++) {
                assert_ptr_not_equal(
                    ticket, mesh_view_ticket(slot, view, &view->subsets[k]));
                assert_true(!writable || k <= MESH_SUBSET_TICKETS ||
                            *ticket != view->subsets[k].ticket);
            }
            assert_true(writable || *ticket == 0);
        }
    }
    fixture_runtime_free(&rt);
    fixture_free(f);
}

/* Out of memory at each step. */
static void test_no_memory(void **state) {
    fixture_endpoint_t e[] = {
        {.id = 0, .weight = 1, .labels = "a=1"},
        {.id = 1, .weight = 1, .labels = "a=2"},
        {.id = 2, .weight = 1, .priority = 1, .labels = "a=2"}};
    fixture_selector_t selectors[] = {{"a", MESH_FALLBACK_NONE, 0}};
    (void)state;
    fixture_t *f = fixture_new(&(fixture_spec_t){
        .count = 3, .endpoints = e, .nselectors = 1, .selectors = selectors});
    unsigned limit = 0;

    do {
        f->limit = limit++;
    } while (mesh_cluster_view(&f->snapshot, f->root, f->bind, &f->health, NULL,
                               false, NOW, &f->arena) == NULL);
    assert_int_equal(limit, 5); /* scratch, view, groups of two of them */

    /* Or at one of them, and memory is there again. */
    f->limit = UINT32_MAX;
    for (unsigned i = 1; i < limit; i++) {
        f->fails = i;
        assert_null(fixture_view(f, NULL, NOW));
    }
    assert_non_null(fixture_view(f, NULL, NOW));
    fixture_free(f);
}

/* More than memory is ever asked for: a chunk that a set names too often. */
static void test_too_many(void **state) {
    static char labels[2 * MESH_CHUNK_MAX][16];
    static fixture_endpoint_t e[2 * MESH_CHUNK_MAX];
    static char texts[MESH_SELECTORS_MAX][16];
    static fixture_selector_t selectors[MESH_SELECTORS_MAX];
    const uint32_t repeats[] = {(1u << 28) / 64 / mesh_nelts(e), 0};
    (void)state;

    for (uint32_t i = 0; i < mesh_nelts(e); i++) {
        snprintf(labels[i], sizeof(labels[i]), "a=%u", i);
        e[i] = (fixture_endpoint_t){
            .id = i, .weight = 1, .labels = labels[i], .slotless = true};
    }
    for (uint32_t i = 0; i < MESH_SELECTORS_MAX; i++) {
        snprintf(texts[i], sizeof(texts[i]), "a,b%02u", i);
        selectors[i] = (fixture_selector_t){.keys = texts[i]};
    }
    for (size_t i = 0; i < mesh_nelts(repeats); i++) {
        fixture_t *f =
            fixture_new(&(fixture_spec_t){.count = mesh_nelts(e),
                                          .endpoints = e,
                                          .repeats = repeats[i],
                                          .nselectors = MESH_SELECTORS_MAX,
                                          .selectors = selectors});
        f->limit = repeats[i] ? 0 : f->limit; /* it would say so, too late */
        assert_int_equal(fixture_view(f, NULL, NOW) == NULL, repeats[i] != 0);
        assert_int_equal(f->refused, 0);
        fixture_free(f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_worlds),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_no_subsets),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_tickets_of_their_own),
        cmocka_unit_test(test_long_values),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
