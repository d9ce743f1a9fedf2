/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The sample: two routes, a cluster with subsets and outlier detection, three
 * endpoints of three families.
 */

#include "snapshot_sample.h"

#include <assert.h>
#include <stdlib.h>

#define put(w, record)                                                         \
    ((record).rec.size = sizeof(record), mesh_writer_put(w, &(record).rec))

/* A record with room for n elements behind it, on the stack. */
#define record_of(type, element, n)                                            \
    struct {                                                                   \
        type head;                                                             \
        element v[n];                                                          \
    }

mesh_ref_t sample_str(mesh_writer_t *w, const char *text) {
    return mesh_writer_put_str(w, mesh_str_from(text));
}

static uint32_t hash(const char *name) {
    return mesh_hash32(name, strlen(name));
}

static mesh_ref_t put_sized(mesh_writer_t *w, uint16_t kind, void *rec,
                            size_t size) {
    mesh_rec_t *head = rec;
    head->kind = kind;
    head->size = (uint32_t)size;
    return mesh_writer_put(w, head);
}

static mesh_ref_t sample_labels(mesh_writer_t *w) {
    record_of(mesh_rec_labels_t, mesh_label_t, 2) rec = {0};
    rec.head.count = 2;
    rec.v[0] = (mesh_label_t){sample_str(w, "tier"), sample_str(w, "web")};
    rec.v[1] = (mesh_label_t){sample_str(w, "version"), sample_str(w, "v2")};
    return put_sized(w, MESH_KIND_LABELS, &rec, sizeof(rec));
}

/* "of %REQ(end-user?x)%". */
static mesh_ref_t sample_format(mesh_writer_t *w) {
    record_of(mesh_rec_format_t, mesh_format_part_t, 2) rec = {0};
    rec.head.text = sample_str(w, "of %REQ(end-user?x):9%");
    rec.head.count = 2;
    rec.v[0].name = sample_str(w, "of ");
    rec.v[1].var = MESH_VAR_REQ;
    rec.v[1].max = 9;
    rec.v[1].hash = mesh_header_hash("end-user", 8);
    rec.v[1].name = sample_str(w, "end-user");
    rec.v[1].other_hash = mesh_header_hash("x", 1);
    rec.v[1].other = sample_str(w, "x");
    return put_sized(w, MESH_KIND_FORMAT, &rec, sizeof(rec));
}

static mesh_ref_t sample_ops(mesh_writer_t *w) {
    record_of(mesh_rec_header_ops_t, mesh_header_op_t, 2) rec = {0};
    rec.head.count = 2;
    rec.v[0].op = MESH_OP_SET;
    rec.v[0].hash = mesh_header_hash("x-mesh", 6);
    rec.v[0].name = sample_str(w, "X-Mesh");
    rec.v[0].flags = MESH_OP_KEEP_EMPTY;
    rec.v[0].value = sample_format(w);
    rec.v[1].op = MESH_OP_REMOVE;
    rec.v[1].hash = mesh_header_hash("cookie", 6);
    rec.v[1].name = sample_str(w, "cookie");
    return put_sized(w, MESH_KIND_HEADER_OPS, &rec, sizeof(rec));
}

static mesh_ref_t sample_matches(mesh_writer_t *w, mesh_ref_t header) {
    mesh_rec_range_t range = {
        .rec.kind = MESH_KIND_RANGE, .start = -1, .end = 5};
    mesh_rec_regex_t regex = {.rec.kind = MESH_KIND_REGEX,
                              .pattern = sample_str(w, "a.*")};
    record_of(mesh_rec_matches_t, mesh_match_t, 4) rec = {0};
    rec.head.count = 4;
    rec.v[0].op = MESH_MATCH_EXACT;
    rec.v[0].hash = mesh_header_hash("end-user", 8);
    rec.v[0].name = header;
    rec.v[0].value = sample_str(w, "jason");
    rec.v[1].op = MESH_MATCH_PRESENT;
    rec.v[1].flags = MESH_MATCH_INVERT;
    rec.v[1].hash = mesh_header_hash("x-debug", 7);
    rec.v[1].name = sample_str(w, "x-debug");
    rec.v[2].op = MESH_MATCH_RANGE;
    rec.v[2].from = MESH_FROM_METHOD;
    rec.v[2].name = sample_str(w, ":method");
    rec.v[2].value = put(w, range);
    rec.v[3].op = MESH_MATCH_REGEX;
    rec.v[3].from = MESH_FROM_QUERY;
    rec.v[3].name = sample_str(w, "q");
    rec.v[3].value = put(w, regex);
    return put_sized(w, MESH_KIND_MATCHES, &rec, sizeof(rec));
}

static mesh_ref_t sample_addresses(mesh_writer_t *w) {
    record_of(mesh_rec_addresses_t, mesh_cidr_t, 2) rec = {0};
    rec.head.count = 2;
    rec.v[0] = (mesh_cidr_t){
        .family = MESH_FAMILY_IPV4, .bits = 9, .addr = {10, 0x80}};
    rec.v[1] = (mesh_cidr_t){
        .family = MESH_FAMILY_IPV6, .bits = 128, .addr = {[15] = 1}};
    return put_sized(w, MESH_KIND_ADDRESSES, &rec, sizeof(rec));
}

static mesh_ref_t sample_split(mesh_writer_t *w, mesh_ref_t ops) {
    record_of(mesh_rec_split_t, mesh_split_entry_t, 2) rec = {0};
    rec.head.count = 2;
    rec.head.total = 100;
    rec.v[0].upto = 90;
    rec.v[0].cluster_hash = hash("reviews");
    rec.v[0].cluster = sample_str(w, "reviews");
    rec.v[0].request_ops = ops;
    rec.v[1].upto = 100;
    rec.v[1].cluster_hash = hash("reviews");
    rec.v[1].cluster = sample_str(w, "reviews");
    rec.v[1].subset_hash = hash("v2");
    rec.v[1].subset = sample_str(w, "v2");
    rec.v[1].host_rewrite = sample_str(w, "v2.local");
    return put_sized(w, MESH_KIND_SPLIT, &rec, sizeof(rec));
}

static mesh_ref_t sample_retry(mesh_writer_t *w) {
    const uint32_t codes[] = {409, 425};
    mesh_rec_retry_t rec = {.rec.kind = MESH_KIND_RETRY};
    rec.on = MESH_RETRY_RESET | MESH_RETRY_STATUS;
    rec.attempts = 2;
    rec.per_try_timeout_ms = 500;
    rec.codes = mesh_writer_put_u32s(w, codes, 2);
    return put(w, rec);
}

static mesh_ref_t sample_rewrite(mesh_writer_t *w) {
    mesh_rec_regex_t regex = {.rec.kind = MESH_KIND_REGEX};
    regex.pattern = sample_str(w, "/v([0-9])");
    regex.flags = MESH_REGEX_SEARCH;

    mesh_rec_rewrite_t rec = {.rec.kind = MESH_KIND_REWRITE};
    rec.path = MESH_REWRITE_REGEX;
    rec.regex = put(w, regex);
    rec.text = sample_str(w, "/\\1");
    return put(w, rec);
}

static mesh_ref_t sample_hash_policies(mesh_writer_t *w, mesh_ref_t header) {
    record_of(mesh_rec_hash_policies_t, mesh_hash_policy_t, 3) rec = {0};
    rec.head.count = 3;
    rec.v[0].from = MESH_HASH_HEADER;
    rec.v[0].flags = MESH_HASH_TERMINAL;
    rec.v[0].hash = mesh_header_hash("end-user", 8);
    rec.v[0].name = header;
    rec.v[0].rewrite = sample_rewrite(w);
    rec.v[1].from = MESH_HASH_COOKIE;
    rec.v[1].flags = MESH_HASH_GENERATE;
    rec.v[1].name = sample_str(w, "sid");
    rec.v[1].attributes = sample_str(w, "; Path=/; HttpOnly");
    rec.v[2].from = MESH_HASH_SOURCE_IP;
    return put_sized(w, MESH_KIND_HASH_POLICIES, &rec, sizeof(rec));
}

static mesh_ref_t sample_session(mesh_writer_t *w) {
    mesh_rec_session_t rec = {.rec.kind = MESH_KIND_SESSION};
    rec.name = sample_str(w, "route");
    rec.attributes = sample_str(w, "; Max-Age=60; HttpOnly");
    rec.flags = MESH_SESSION_STRICT;
    return put(w, rec);
}

static mesh_ref_t sample_host(mesh_writer_t *w) {
    mesh_rec_rewrite_t rec = {.rec.kind = MESH_KIND_REWRITE};
    rec.host = MESH_HOST_HEADER;
    rec.flags = MESH_REWRITE_FORWARD_HOST;
    rec.header = sample_str(w, "end-user");
    rec.header_hash = mesh_header_hash("end-user", 8);
    return put(w, rec);
}

static mesh_ref_t sample_share(mesh_writer_t *w, const char *key) {
    mesh_rec_share_t rec = {.rec.kind = MESH_KIND_SHARE};
    rec.denominator = MESH_SHARE_ALL;
    rec.default_ppm = 50000;
    rec.default_denominator = 100;
    rec.key = key ? sample_str(w, key) : 0;
    rec.flags = key ? MESH_SHARE_SET : 0;
    return put(w, rec);
}

static mesh_ref_t sample_runtime(mesh_writer_t *w) {
    record_of(mesh_rec_runtime_values_t, mesh_runtime_value_t, 2) rec = {0};
    rec.head.count = 2;
    rec.v[0] = (mesh_runtime_value_t){sample_str(w, "a.b"), 5000, 1000000};
    rec.v[1] = (mesh_runtime_value_t){sample_str(w, "b"), 50000, 100};
    return put_sized(w, MESH_KIND_RUNTIME_VALUES, &rec, sizeof(rec));
}

static mesh_ref_t sample_mirrors(mesh_writer_t *w) {
    record_of(mesh_rec_mirrors_t, mesh_mirror_t, 2) rec = {0};
    rec.head.count = 2;
    rec.v[0].share = sample_share(w, NULL);
    rec.v[1].share = sample_share(w, "a.b");
    rec.v[0].share_ppm = MESH_SHARE_ALL;
    rec.v[0].cluster_hash = hash("reviews");
    rec.v[0].cluster = sample_str(w, "reviews");
    rec.v[1].share_ppm = 5000;
    rec.v[1].flags = MESH_MIRROR_SAME_HOST;
    rec.v[1].cluster_hash = hash("reviews");
    rec.v[1].cluster = sample_str(w, "reviews");
    rec.v[1].subset_hash = hash("v2");
    rec.v[1].subset = sample_str(w, "v2");
    return put_sized(w, MESH_KIND_MIRRORS, &rec, sizeof(rec));
}

static mesh_ref_t sample_cors(mesh_writer_t *w) {
    record_of(mesh_rec_matches_t, mesh_match_t, 1) origins = {0};
    origins.head.count = 1;
    origins.v[0].op = MESH_MATCH_SUFFIX;
    origins.v[0].flags = MESH_MATCH_IGNORE_CASE;
    origins.v[0].hash = mesh_header_hash("origin", 6);
    origins.v[0].name = sample_str(w, "origin");
    origins.v[0].value = sample_str(w, ".shop.local");

    mesh_rec_cors_t rec = {.rec.kind = MESH_KIND_CORS};
    rec.origins = put_sized(w, MESH_KIND_MATCHES, &origins, sizeof(origins));
    rec.allow_methods = sample_str(w, "GET, POST");
    rec.max_age = sample_str(w, "600");
    rec.flags = MESH_CORS_CREDENTIALS;
    return put(w, rec);
}

static mesh_ref_t sample_follow(mesh_writer_t *w) {
    mesh_rec_internal_redirect_t rec = {.rec.kind =
                                            MESH_KIND_INTERNAL_REDIRECT};
    rec.max = 2;
    rec.codes = MESH_FOLLOW_302 | MESH_FOLLOW_307;
    rec.flags = MESH_FOLLOW_CROSS_SCHEME;
    return put(w, rec);
}

static mesh_ref_t sample_redirect_route(mesh_writer_t *w) {
    mesh_rec_redirect_t to = {.rec.kind = MESH_KIND_REDIRECT};
    to.status = 308;
    to.flags = MESH_REDIRECT_STRIP_QUERY;
    to.scheme = sample_str(w, "https");
    to.rewrite = sample_rewrite(w);

    mesh_rec_route_t rec = {.rec.kind = MESH_KIND_ROUTE};
    rec.name = sample_str(w, "old");
    rec.name_hash = hash("old");
    rec.path_match = MESH_PATH_EXACT;
    rec.action = MESH_ACTION_REDIRECT;
    rec.path = sample_str(w, "/old");
    rec.redirect = put(w, to);
    return put(w, rec);
}

static mesh_ref_t sample_direct_route(mesh_writer_t *w) {
    mesh_rec_direct_t answer = {.rec.kind = MESH_KIND_DIRECT, .status = 404};
    answer.body = sample_str(w, "nothing here\n");

    mesh_rec_route_t rec = {.rec.kind = MESH_KIND_ROUTE};
    rec.name = sample_str(w, "rest");
    rec.name_hash = hash("rest");
    rec.action = MESH_ACTION_DIRECT;
    rec.path = sample_str(w, "/");
    rec.host_rewrite = sample_str(w, "reviews.local");
    rec.direct = put(w, answer);
    return put(w, rec);
}

static mesh_ref_t sample_route(mesh_writer_t *w, const sample_t *s) {
    mesh_rec_route_t rec = {.rec.kind = MESH_KIND_ROUTE};
    rec.name = s->text;
    rec.name_hash = hash("reviews");
    rec.action = MESH_ACTION_ROUTE;
    rec.methods = MESH_METHOD_GET | MESH_METHOD_HEAD;
    rec.path = s->path;
    rec.flags = MESH_ROUTE_ADDRESSES | MESH_ROUTE_SHARE;
    rec.addresses = sample_addresses(w);
    rec.share = sample_share(w, "b");
    rec.share_ppm = 50000;
    rec.matches = sample_matches(w, s->header);
    rec.split = s->split;
    rec.prefix_rewrite = sample_str(w, "/");
    rec.rewrite = sample_host(w);
    rec.request_ops = s->ops;
    rec.response_ops = s->ops;
    rec.retry = sample_retry(w);
    rec.hash_policies = sample_hash_policies(w, s->header);
    rec.session = sample_session(w);
    rec.split_header = s->header;
    rec.mirrors = sample_mirrors(w);
    rec.cors = sample_cors(w);
    rec.internal_redirect = sample_follow(w);
    rec.body_limit = 65536;
    rec.timeout_ms = 3000;
    return put(w, rec);
}

/* "/" and below it "old" and "reviews". */
static mesh_ref_t sample_trie(mesh_writer_t *w) {
    const uint32_t lists[] = {2, 1, 0};
    record_of(mesh_rec_trie_t, mesh_trie_node_t, 4) rec = {0};
    rec.head.labels = sample_str(w, "/oldreviews");
    rec.head.lists = mesh_writer_put_u32s(w, lists, 3);
    rec.head.routes = 3;
    rec.head.count = 4;
    rec.v[0] = (mesh_trie_node_t){0, 0, 1, 1, 0, 0, 0};
    rec.v[1] = (mesh_trie_node_t){0, 1, 2, 2, 0, 1, 0};
    rec.v[2] = (mesh_trie_node_t){1, 3, 0, 0, 1, 0, 1};
    rec.v[3] = (mesh_trie_node_t){4, 7, 0, 0, 2, 1, 0};
    return put_sized(w, MESH_KIND_TRIE, &rec, sizeof(rec));
}

static mesh_ref_t map_of_one(mesh_writer_t *w, uint16_t kind, const char *name,
                             mesh_ref_t value) {
    mesh_map_entry_t entry = {0, sample_str(w, name), value, 0};
    return mesh_writer_put_map(w, kind, &entry, 1);
}

static void sample_routes(mesh_writer_t *w, sample_t *s) {
    s->ops = sample_ops(w);
    s->split = sample_split(w, s->ops);

    const mesh_ref_t routes[] = {sample_route(w, s), sample_redirect_route(w),
                                 sample_direct_route(w)};
    s->routes = mesh_writer_put_refs(w, MESH_KIND_ROUTE, routes, 3);
    s->trie = sample_trie(w);

    mesh_rec_vhost_t vhost = {.rec.kind = MESH_KIND_VHOST};
    vhost.name = sample_str(w, "shop");
    vhost.routes = s->routes;
    vhost.trie = s->trie;
    vhost.response_ops = s->ops;
    s->vhost = put(w, vhost);

    const uint32_t suffix_len = 11, prefix_len = 4;
    mesh_rec_route_table_t table = {.rec.kind = MESH_KIND_ROUTE_TABLE};
    table.name = sample_str(w, "default");
    table.flags = MESH_NORMALIZE_RFC3986 | MESH_MERGE_SLASHES |
                  MESH_SLASHES_REJECT << MESH_SLASHES_SHIFT;
    table.exact = map_of_one(w, MESH_KIND_VHOST, "shop.local", s->vhost);
    table.suffix = map_of_one(w, MESH_KIND_VHOST, ".shop.local", s->vhost);
    table.suffix_lens = mesh_writer_put_u32s(w, &suffix_len, 1);
    table.prefix = map_of_one(w, MESH_KIND_VHOST, "www.", s->vhost);
    table.prefix_lens = mesh_writer_put_u32s(w, &prefix_len, 1);
    table.any = s->vhost;
    s->table = put(w, table);
}

static void sample_cluster(mesh_writer_t *w, sample_t *s) {
    mesh_rec_outlier_t outlier = {.rec.kind = MESH_KIND_OUTLIER};
    outlier.consecutive_5xx = 5;
    outlier.base_ejection_ms = 30000;
    outlier.max_ejection_percent = 10;

    const mesh_ref_t keys[2] = {sample_str(w, "stage"),
                                sample_str(w, "version")};
    record_of(mesh_rec_selectors_t, mesh_selector_t, 2) selectors = {0};
    selectors.head.count = 2;
    selectors.v[0] =
        (mesh_selector_t){mesh_writer_put_refs(w, MESH_KIND_STRING, keys, 1),
                          MESH_FALLBACK_CLUSTER, 0, 0};
    selectors.v[1] =
        (mesh_selector_t){mesh_writer_put_refs(w, MESH_KIND_STRING, keys, 2),
                          MESH_FALLBACK_KEYS, 1, 0};

    record_of(mesh_rec_subsets_t, mesh_subset_t, 2) subsets = {0};
    subsets.head.count = 2;
    subsets.head.flags = MESH_SUBSETS_REQUIRED;
    subsets.head.selectors =
        put_sized(w, MESH_KIND_SELECTORS, &selectors, sizeof(selectors));
    subsets.v[0] =
        (mesh_subset_t){hash("v1"), sample_str(w, "v1"), s->labels, 0};
    subsets.v[1] =
        (mesh_subset_t){hash("v2"), sample_str(w, "v2"), s->labels, 0};

    mesh_rec_lb_t lb = {.rec.kind = MESH_KIND_LB};
    lb.table_size = 65537;
    lb.ring_min = 1024;
    lb.ring_max = 65536;
    lb.balance_factor = 150;

    mesh_rec_locality_t locality = {.rec.kind = MESH_KIND_LOCALITY};
    locality.zone = sample_str(w, "b");
    record_of(mesh_rec_locality_weights_t, mesh_locality_weight_t, 2)
        weights = {0};
    weights.head.count = 2;
    weights.v[0] = (mesh_locality_weight_t){put(w, locality), 1, 80};
    weights.v[1] = (mesh_locality_weight_t){0, MESH_PRIORITY_ANY, 20};
    lb.weights =
        put_sized(w, MESH_KIND_LOCALITY_WEIGHTS, &weights, sizeof(weights));

    mesh_rec_zone_aware_t zone = {.rec.kind = MESH_KIND_ZONE_AWARE};
    zone.local = sample_str(w, "shop");
    zone.enabled_percent = 90;
    zone.min_size = 6;
    zone.flags = MESH_ZONE_FAIL_ON_PANIC;
    mesh_rec_lb_t near = {.rec.kind = MESH_KIND_LB};
    near.zone_aware = put(w, zone);
    s->near = put(w, near);

    mesh_rec_cluster_t rec = {.rec.kind = MESH_KIND_CLUSTER};
    rec.name = s->text;
    rec.name_hash = hash("reviews");
    rec.endpoint_set = sample_str(w, "reviews-set");
    rec.lb = MESH_LB_LEAST_REQUEST;
    rec.panic_percent = 50;
    rec.lb_choices = 2;
    rec.lb_params = put(w, lb);
    rec.flags = MESH_CLUSTER_HTTP2;
    rec.outlier = put(w, outlier);
    rec.subsets = put_sized(w, MESH_KIND_SUBSETS, &subsets, sizeof(subsets));
    s->cluster = put(w, rec);
    s->map = map_of_one(w, MESH_KIND_CLUSTER, "reviews", s->cluster);
}

static void sample_endpoints(mesh_writer_t *w, sample_t *s, uint32_t weight) {
    mesh_rec_locality_t locality = {.rec.kind = MESH_KIND_LOCALITY};
    locality.region = sample_str(w, "eu");
    locality.zone = sample_str(w, "b");

    record_of(mesh_rec_endpoint_chunk_t, mesh_endpoint_t, 3) rec = {0};
    rec.head.count = 3;
    rec.v[0].family = MESH_FAMILY_UNIX;
    rec.v[0].host = sample_str(w, "/run/reviews.sock");
    rec.v[0].weight = 1;
    rec.v[1].family = MESH_FAMILY_IPV4;
    rec.v[1].port = 9080;
    memcpy(rec.v[1].addr, "\x7f\0\1\1", 4);
    rec.v[1].weight = weight;
    rec.v[1].labels = s->labels;
    rec.v[1].locality = put(w, locality);
    rec.v[2].family = MESH_FAMILY_IPV6;
    rec.v[2].port = 9080;
    rec.v[2].addr[15] = 1;
    rec.v[2].health = MESH_HEALTH_DRAINING;
    rec.v[2].priority = 1;
    s->chunk = put_sized(w, MESH_KIND_ENDPOINT_CHUNK, &rec, sizeof(rec));

    record_of(mesh_rec_endpoint_set_t, mesh_ref_t, 1) set = {0};
    set.head.total = 3;
    set.head.count = 1;
    set.v[0] = s->chunk;
    s->set = put_sized(w, MESH_KIND_ENDPOINT_SET, &set,
                       sizeof(set.head) + sizeof(set.v));
}

static void sample_binding(mesh_writer_t *w, sample_t *s) {
    const uint32_t numbers[] = {7, 8, 9};
    const mesh_ref_t slots = mesh_writer_put_u32s(w, numbers, 3);
    s->slots = mesh_writer_put_refs(w, MESH_KIND_U32S, &slots, 1);

    mesh_rec_bind_cluster_t bind = {.rec.kind = MESH_KIND_BIND_CLUSTER};
    bind.name = s->text;
    bind.cluster = s->cluster;
    bind.set = s->set;
    bind.slots = s->slots;
    bind.slot = 3;
    bind.local = sample_str(w, "shop");
    s->bind = put(w, bind);

    mesh_map_entry_t routes[] = {{0, sample_str(w, "reviews"), 0, 0},
                                 {0, sample_str(w, "old"), 0, 1},
                                 {0, sample_str(w, "rest"), 0, 2}};
    mesh_rec_binding_t binding = {.rec.kind = MESH_KIND_BINDING};
    binding.clusters =
        map_of_one(w, MESH_KIND_BIND_CLUSTER, "reviews", s->bind);
    binding.routes = mesh_writer_put_map(w, MESH_KIND_NONE, routes, 3);
    s->binding = put(w, binding);
}

static mesh_ref_t sample_root(mesh_writer_t *w, const sample_t *s,
                              uint64_t generation, mesh_ref_t previous) {
    record_of(mesh_rec_sources_t, mesh_source_version_t, 1) sources = {0};
    sources.head.count = 1;
    sources.v[0].name = sample_str(w, "mesh.yaml");
    sources.v[0].version = sample_str(w, "1f");
    sources.v[0].time_ms = 1000 * generation;

    mesh_rec_identity_t identity = {.rec.kind = MESH_KIND_IDENTITY};

    mesh_rec_root_t root = {.rec.kind = MESH_KIND_ROOT};
    root.generation = generation;
    root.time_ms = 1000 * generation;
    root.policy = s->policy;
    root.endpoints = s->endpoints;
    root.identity = put(w, identity);
    root.binding = s->binding;
    root.history =
        mesh_writer_put_refs(w, MESH_KIND_ROOT, &previous, previous ? 1 : 0);
    root.reason = sample_str(w, "a file changed");
    root.sources = put_sized(w, MESH_KIND_SOURCES, &sources, sizeof(sources));
    return put(w, root);
}

sample_t sample_put(mesh_writer_t *w, uint64_t generation,
                    mesh_ref_t previous) {
    sample_t s = {0};
    s.text = sample_str(w, "reviews");
    s.path = sample_str(w, "/reviews");
    s.header = sample_str(w, "end-user");
    s.labels = sample_labels(w);
    sample_routes(w, &s);
    sample_cluster(w, &s);
    sample_endpoints(w, &s, (uint32_t)generation);

    mesh_rec_policy_t policy = {.rec.kind = MESH_KIND_POLICY};
    policy.clusters = s.map;
    policy.runtime = sample_runtime(w);
    policy.route_tables =
        map_of_one(w, MESH_KIND_ROUTE_TABLE, "default", s.table);
    s.policy = put(w, policy);

    mesh_rec_endpoints_t endpoints = {.rec.kind = MESH_KIND_ENDPOINTS};
    endpoints.sets =
        map_of_one(w, MESH_KIND_ENDPOINT_SET, "reviews-set", s.set);
    s.endpoints = put(w, endpoints);

    sample_binding(w, &s);
    s.root = sample_root(w, &s, generation, previous);
    return s;
}

mesh_writer_t *sample_writer(sample_t *s) {
    mesh_writer_t *w = mesh_writer_create(1, MESH_FILE_CAPACITY_MIN);
    assert(w != NULL);
    const sample_t first = sample_put(w, 1, 0);
    *s = sample_put(w, 2, first.root);
    assert(mesh_writer_error(w) == NULL && s->root != 0);
    return w;
}

uint8_t *sample_bytes(const mesh_writer_t *w, size_t *size) {
    const mesh_pending_t p = mesh_writer_pending(w);
    assert(p.offset == 0 && p.len == mesh_writer_size(w));
    uint8_t *bytes = malloc(p.len);
    assert(bytes != NULL);
    memcpy(bytes, p.data, p.len);
    *size = p.len;
    return bytes;
}

mesh_status_t sample_check(mesh_snapshot_t *s, const uint8_t *bytes,
                           size_t size, uint64_t **starts) {
    *starts = calloc(1, mesh_snapshot_starts_size(size));
    assert(*starts != NULL);
    const mesh_status_t rc = mesh_snapshot_init(s, bytes, size, size, *starts);
    return rc == MESH_OK ? mesh_snapshot_verify(s, size, 0) : rc;
}
