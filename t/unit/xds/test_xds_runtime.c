/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Envoy's runtime: which of its values are percentages, and which of several
 * layers counts.  t/conformance/test_random.py asks Envoy the same.
 */

#include "../model/model_fixture.h"
#include "xds.h"

/* Several documents, one part. */
static const char *load(fixture_t *f, const char *const *texts) {
    fixture_open(f);
    xds_t *xds = xds_new(f->arena, &f->errors, false);
    for (; *texts != NULL; texts++) {
        const model_node_t *root = model_node_from_yaml(
            f->arena, "f", mesh_str_from(*texts), &f->errors);

        assert_non_null(root);
        assert_true(xds_recognize(root));
        xds_add(xds, "f", root);
    }
    f->part = xds_part(xds, "resources");
    return fixture_messages(f);
}

#define texts(...) ((const char *const[]){__VA_ARGS__, NULL})

static void good(fixture_t *f, const char *const *all) {
    assert_string_equal(load(f, all), "");
}

/*
 * As Envoy reads its runtime: whole numbers are of a hundred, later layers
 * outdo earlier ones, and what is no percentage leaves the default alone.
 */
static void runtimes_are_layers(void **state) {
    static const struct {
        const char *key;
        uint32_t ppm;
        uint32_t denominator;
    } wanted[] = {{"a", 50000, 100},
                  {"a.deep.er", 40000, 10000},
                  {"big", MESH_SHARE_ALL, 100},
                  {"n.m", 3, MESH_SHARE_ALL},
                  {"none", 0, 100},
                  {"over", 90000, 100},
                  {"ten", 100000, 100},
                  {"text", 120000, 100},
                  {"x", 0, 100}};
    fixture_t f;
    (void)state;

    good(&f, texts("layered_runtime: {layers: [\n"
                   "  {name: s, static_layer: {a: 5, over: 1, off: false, x: "
                   "0.5, gone: 5, minus: -1, word: hello, big: 4000, text: "
                   "'12', 'b c': "
                   "5, none: {}}},\n"
                   "  {name: t, static_layer: {over: 7, gone: no, ten: 10.0, "
                   "a.deep: {er:"
                   " {numerator: 400, denominator: TEN_THOUSAND}}}},\n"
                   "  {name: r, rtds_layer: {name: rt}},\n"
                   "  {name: a, admin_layer: {}}]}",
                   "'@type': type.googleapis.com/"
                   "envoy.service.runtime.v3.Runtime\n"
                   "name: rt\n"
                   "layer: {over: 9, n: {m: {numerator: 3, denominator: 2}}}"));
    assert_int_equal(f.part->nruntime, mesh_nelts(wanted));
    for (size_t i = 0; i < mesh_nelts(wanted); i++) {
        const model_runtime_t *r = &f.part->runtime[i];

        assert_true(mesh_str_eq(r->name, mesh_str_from(wanted[i].key)));
        assert_int_equal(r->share.ppm, wanted[i].ppm);
        assert_int_equal(r->share.denominator, wanted[i].denominator);
        assert_int_not_equal(r->place.line, 0);
    }
    fixture_close(&f);
    good(&f, texts("layer: {k: 5}")); /* without a type */
    assert_int_equal(f.part->nruntime, 1);
    fixture_close(&f);
    assert_non_null(strstr(load(&f, texts("layer: {k: [5]}")),
                           "layer.k: found a list, expected a number"));
    assert_int_equal(f.part->nruntime, 0);
    fixture_close(&f);
    assert_non_null(
        strstr(load(&f, texts("layered_runtime: {layers: [{name: d, "
                              "disk_layer: {symlink_root: /r}}]}")),
               "disk_layer"));
    fixture_close(&f);
}

/* Its clusters are in other dumps; the rest is nowhere else. */
static void a_dump_has_its_bootstrap_s(void **state) {
    fixture_t f;
    (void)state;

    good(&f, texts("configs:\n"
                   "- '@type': a/envoy.admin.v3.BootstrapConfigDump\n"
                   "  last_updated: x\n"
                   "  bootstrap: {static_resources: {clusters: [{name: c}]}, "
                   "node: {id: n, locality: {zone: z}}, cluster_manager: "
                   "{local_cluster_name: me}, admin: {}, layered_runtime: "
                   "{layers: [{name: s, static_layer: {k: 5}}]}}\n"
                   "- '@type': a/envoy.admin.v3.ClustersConfigDump\n"
                   "  static_clusters: [{cluster: {'@type': "
                   "a/envoy.config.cluster.v3.Cluster, name: c}}]\n"));
    assert_int_equal(f.part->nruntime, 1);
    assert_int_equal(f.part->nclusters, 1);
    assert_true(f.part->clusters[0].zone_aware.set);
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runtimes_are_layers),
        cmocka_unit_test(a_dump_has_its_bootstrap_s),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
