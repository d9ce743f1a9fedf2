/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `meshctl diff` of random meshes: whatever one changes in a mesh is told,
 * and told again the other way round; what is not changed is not told.
 */

#include "ctl_call.h"
#include "model_random.h"
#include "text_zone.h"

static const model_random_size_t size = {4, 5, 3, 5, NULL, false, false};

typedef struct {
    text_zone_t zone;
    arena_t *arena;
    rng_t rng;
    model_part_t *part;
    uint64_t generation;
} world_t;

static void publish(world_t *w) {
    text_zone_publish_part(&w->zone, w->part);
    w->generation++;
}

/* A mesh that has something of everything. */
static void world_make(world_t *w, uint64_t seed) {
    *w = (world_t){.arena = arena_new(), .rng = {seed}};
    text_zone_make(&w->zone);
    do {
        w->part = model_random_part(w->arena, &w->rng, &size);
    } while (w->part->nclusters == 0 || w->part->nsets == 0 ||
             w->part->ntables == 0 || w->part->tables->nvhosts == 0);
    publish(w);
}

static void world_remove(world_t *w) {
    text_zone_remove(&w->zone);
    arena_free(w->arena);
}

static const char *number(const world_t *w, uint64_t generation) {
    return arena_printf(w->arena, "%llu", (unsigned long long)generation);
}

static cJSON *diff(const world_t *w, uint64_t from, uint64_t to, int code) {
    return json_of(w->zone.dir, code,
                   words("diff", number(w, from), number(w, to)));
}

/* Each line of the one is a line of the other with `from` and `to` changed. */
static void are_mirrored(const cJSON *ahead, const cJSON *back) {
    const cJSON *a;
    int i = 0;

    assert_int_equal(cJSON_GetArraySize(ahead), cJSON_GetArraySize(back));
    cJSON_ArrayForEach(a, ahead) {
        const cJSON *b = cJSON_GetArrayItem(back, i++);

        expect_text(b, "path", at(a, "path")->valuestring);
        assert_true(at(a, "from") || at(a, "to"));
        assert_true(cJSON_Compare(at(a, "from"), at(b, "to"), true) ||
                    (!at(a, "from") && !at(b, "to")));
        assert_true(cJSON_Compare(at(a, "to"), at(b, "from"), true) ||
                    (!at(a, "to") && !at(b, "from")));
        assert_false(cJSON_Compare(at(a, "from"), at(a, "to"), true));
    }
}

/* --- one change ----------------------------------------------------------- */

/* Each changes what it says, or answers false as there is none. */
typedef bool (*change_pt)(world_t *w);

static model_cluster_t *any_cluster(world_t *w) {
    return &w->part->clusters[rng_below(&w->rng, w->part->nclusters)];
}

static model_vhost_t *any_host(world_t *w) {
    model_route_table_t *table = w->part->tables;

    return &table->vhosts[rng_below(&w->rng, table->nvhosts)];
}

static model_route_t *any_route(world_t *w) {
    model_vhost_t *host = any_host(w);

    return &host->routes[rng_below(&w->rng, host->nroutes)];
}

static bool connect_timeout(world_t *w) {
    any_cluster(w)->connect_timeout_ms ^= 1u << 10;
    return true;
}

static bool protocol(world_t *w) {
    model_cluster_t *c = any_cluster(w);

    c->protocol = c->protocol == MODEL_HTTP1 ? MODEL_HTTP2 : MODEL_HTTP1;
    return true;
}

static bool keepalive(world_t *w) {
    any_cluster(w)->keepalive_requests ^= 1;
    return true;
}

static bool outlier(world_t *w) {
    model_cluster_t *c = any_cluster(w);

    c->outlier.set = true;
    c->outlier.jitter_ms ^= 1;
    return true;
}

static bool subset(world_t *w) {
    model_cluster_t *c = any_cluster(w);

    if (c->nsubsets == 0 || c->subsets[0].labels.count == 0) {
        return false;
    }
    c->subsets[0].labels.v[0].value = MESH_STR("another");
    return true;
}

static bool removed_cluster(world_t *w) {
    /* Routes may go to what is not there. */
    if (w->part->nclusters < 2) {
        return false;
    }
    w->part->nclusters--;
    return true;
}

/* Only sets of clusters are in a snapshot that tells of clusters. */
static model_endpoint_set_t *any_set(world_t *w) {
    for (int tries = 0; tries < 20; tries++) {
        const model_cluster_t *c = any_cluster(w);
        mesh_str_t name = c->endpoint_set.len ? c->endpoint_set : c->name;

        for (uint32_t i = 0; i < w->part->nsets; i++) {
            model_endpoint_set_t *set = &w->part->sets[i];
            if (set->count > 0 && mesh_str_eq(set->name, name)) {
                return set;
            }
        }
    }
    return NULL;
}

static bool weight(world_t *w) {
    model_endpoint_set_t *set = any_set(w);

    if (set == NULL) {
        return false;
    }
    model_endpoint_t *e = &set->v[rng_below(&w->rng, set->count)];
    e->weight = e->weight == 0 ? 1 : e->weight - 1;
    return true;
}

static bool zone(world_t *w) {
    model_endpoint_set_t *set = any_set(w);

    if (set == NULL) {
        return false;
    }
    set->v[0].locality.zone = MESH_STR("another");
    return true;
}

static bool removed_endpoint(world_t *w) {
    model_endpoint_set_t *set = any_set(w);

    if (set == NULL) {
        return false;
    }
    set->count--;
    return true;
}

static bool timeout(world_t *w) {
    any_route(w)->timeout_ms ^= 1;
    return true;
}

static bool path(world_t *w) {
    any_route(w)->path = MESH_STR("/another");
    return true;
}

static bool header_value(world_t *w) {
    model_vhost_t *h = any_host(w);

    for (uint32_t i = 0; i < h->request_ops.count; i++) {
        if (h->request_ops.v[i].op != MESH_OP_REMOVE) {
            h->request_ops.v[i].value = MESH_STR("another");
            return true;
        }
    }
    return false;
}

static bool order_of_routes(world_t *w) {
    model_vhost_t *h = any_host(w);
    uint32_t i = rng_below(&w->rng, h->nroutes);
    uint32_t k = rng_below(&w->rng, h->nroutes);
    model_route_t kept = h->routes[i];

    h->routes[i] = h->routes[k];
    h->routes[k] = kept;
    return i != k;
}

static bool removed_route(world_t *w) {
    model_vhost_t *h = any_host(w);

    if (h->nroutes < 2) {
        return false;
    }
    h->nroutes--;
    return true;
}

static bool new_domain(world_t *w) {
    any_host(w)->domains[0] = MESH_STR("another.host");
    return true;
}

static bool table_flags(world_t *w) {
    w->part->tables->flags ^= MESH_MERGE_SLASHES;
    return true;
}

static const struct {
    change_pt make;
    const char *path; /* a part of each line's */
    bool alone;       /* one line a host or cluster that has it */
} changes[] = {
    {connect_timeout, ".connect_timeout_ms", true},
    {protocol, ".protocol", true},
    {keepalive, ".keepalive_requests", true},
    {outlier, ".outlier_detection", true},
    {subset, ".subsets.", false},
    {removed_cluster, "clusters.", true},
    {weight, ".weight", false},
    {zone, ".zone", false},
    {removed_endpoint, ".endpoints[", false},
    {timeout, ".timeout_ms", false},
    {path, ".match.", false},
    {header_value, ".request_headers[", false},
    {order_of_routes, ".routes", false},
    {removed_route, ".routes[", false},
    {new_domain, ".domains.", false},
    {table_flags, ".merge_slashes", true},
};

static void check_change(world_t *w, size_t i) {
    uint64_t before = w->generation;
    const cJSON *line;

    if (!changes[i].make(w)) {
        return;
    }
    publish(w);
    cJSON *ahead = diff(w, before, w->generation, CTL_EXIT_NO);
    cJSON *back = diff(w, w->generation, before, CTL_EXIT_NO);
    are_mirrored(ahead, back);
    cJSON_ArrayForEach(line, ahead) {
        const char *where = at(line, "path")->valuestring;
        if (strstr(where, changes[i].path) == NULL) {
            fail_msg("%s is told where %s changed", where, changes[i].path);
        }
    }
    if (changes[i].alone) {
        assert_int_equal(cJSON_GetArraySize(ahead), 1);
    }
    cJSON_Delete(ahead);
    cJSON_Delete(back);
}

static void test_each_change_is_told(void **state) {
    (void)state;
    world_t w;

    for (uint64_t seed = 1; seed <= 30; seed++) {
        world_make(&w, seed);
        for (size_t i = 0; i < mesh_nelts(changes); i++) {
            check_change(&w, i);
        }
        world_remove(&w);
    }
}

/* --- whole meshes --------------------------------------------------------- */

/* Two meshes with nothing in common, and the first one again. */
static void test_meshes_that_come_back(void **state) {
    (void)state;
    world_t w;

    for (uint64_t seed = 1; seed <= 40; seed++) {
        world_make(&w, seed);
        model_part_t *first = w.part;
        rng_t other = {seed + 1000};
        w.part = model_random_part(w.arena, &other, &size);
        if (w.part->nclusters != 0) {
            publish(&w);
            w.part = first;
            publish(&w);
            cJSON *none = diff(&w, 1, 3, CTL_EXIT_OK);
            cJSON *ahead = diff(&w, 1, 2, CTL_EXIT_NO);
            cJSON *back = diff(&w, 2, 3, CTL_EXIT_NO);
            assert_int_equal(cJSON_GetArraySize(none), 0);
            are_mirrored(ahead, back);
            cJSON_Delete(none);
            cJSON_Delete(ahead);
            cJSON_Delete(back);
        }
        world_remove(&w);
    }
}

/* --- what people see ------------------------------------------------------ */

#define BEFORE                                                                 \
    "clusters: {a: {endpoints: [{address: '1.2.3.4:5', weight: 2},"            \
    " '1.2.3.5:5']}, b: {}}\n"
#define HOST(routes) "hosts: [{domains: x.y, routes: [" routes "]}]\n"
#define ONE "{name: one, route: a}"
#define TWO "{name: two, match: {path: /2}, route: b}"
#define SIX "{name: six, match: {path: /6}, respond: 204}"

static void test_lines(void **state) {
    (void)state;
    text_zone_t zone;

    text_zone_make(&zone);
    text_zone_publish(&zone, BEFORE HOST(ONE ", " TWO ", " SIX));
    text_zone_publish(&zone, BEFORE HOST(TWO ", " ONE ", " SIX));
    text_zone_publish(&zone, "clusters: {a: {lb: least_request, endpoints:"
                             " [{address: '1.2.3.4:5', weight: 3}]}}\n");
    const char *routes = "route_tables.default.domains.x.y.routes";
    char line[512];

    snprintf(line, sizeof(line),
             "~ %s: [\"one\",\"two\",\"six\"]"
             " -> [\"two\",\"one\",\"six\"]\n",
             routes);
    expect(zone.dir, CTL_EXIT_NO, words("diff", "1", "2"), words(line));
    expect(zone.dir, CTL_EXIT_OK, words("diff", "2", "2"), words(""));
    /* Without the second one, to what is published. */
    expect(zone.dir, CTL_EXIT_NO, words("diff", "1"),
           words("~ clusters.a.lb: \"round_robin\" -> \"least_request\"\n",
                 "~ clusters.a.endpoints[1.2.3.4:5].weight: 2 -> 3\n",
                 "- clusters.a.endpoints[1.2.3.5:5]: {", "- clusters.b: {",
                 "- route_tables.default: {"));
    expect(zone.dir, CTL_EXIT_NO, words("diff", "3", "1"),
           words("+ clusters.b: {", "+ route_tables.default: {"));
    text_zone_remove(&zone);
}

static void test_wrong_ones(void **state) {
    (void)state;
    text_zone_t zone;

    text_zone_make(&zone);
    text_zone_publish(&zone, BEFORE);
    expect(zone.dir, CTL_EXIT_USAGE, words("diff"),
           words("usage: meshctl diff GENERATION"));
    expect(zone.dir, CTL_EXIT_USAGE, words("diff", "0"),
           words("\"0\" is not a generation"));
    expect(zone.dir, CTL_EXIT_USAGE, words("diff", "1", "x"),
           words("\"x\" is not a generation"));
    expect(zone.dir, CTL_EXIT_USAGE, words("diff", "1", "1", "1"),
           words("usage: meshctl diff GENERATION"));
    expect(zone.dir, CTL_EXIT_UNREADABLE, words("diff", "7"),
           words("generation 7 is not in the history"));
    expect(zone.dir, CTL_EXIT_UNREADABLE, words("diff", "1", "7"),
           words("generation 7 is not in the history"));
    expect(temp_path(&zone.top, "none"), CTL_EXIT_UNREADABLE,
           words("diff", "1"), words("nothing was published there"));
    text_zone_remove(&zone);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_change_is_told),
        cmocka_unit_test(test_meshes_that_come_back),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_wrong_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
