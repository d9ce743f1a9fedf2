/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The table of metrics: names as Prometheus wants them, values from the right
 * field, and each in docs/metrics.md.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mesh_metrics.h"

static bool ends(const char *name, const char *suffix) {
    size_t n = strlen(name), m = strlen(suffix);

    return n >= m && strcmp(name + n - m, suffix) == 0;
}

static void test_names(void **state) {
    static const char *const prefix[] = {"mesh_worker_", "mesh_route_",
                                         "mesh_cluster_", "mesh_endpoint_",
                                         "mesh_endpoint_"};
    (void)state;

    for (unsigned i = 0; i < mesh_metrics_count; i++) {
        const mesh_metric_t *m = &mesh_metrics[i];

        assert_int_equal(
            strncmp(m->name, prefix[m->scope], strlen(prefix[m->scope])), 0);
        assert_int_equal(ends(m->name, "_total"),
                         m->type == MESH_METRIC_COUNTER);
        if (m->form == MESH_METRIC_US) {
            assert_true(ends(m->name, "_seconds_total"));
        }
        assert_true(ends(m->help, "."));
        for (unsigned j = 0; j < i; j++) {
            assert_string_not_equal(m->name, mesh_metrics[j].name);
        }
    }
}

/* Fields of different metrics in one slot must not overlap. */
static void test_fields(void **state) {
    static const size_t sizes[] = {
        sizeof(mesh_worker_slot_t), sizeof(mesh_route_slot_t),
        sizeof(mesh_cluster_slot_t), sizeof(mesh_endpoint_slot_t),
        sizeof(mesh_metric_view_t)};
    uint8_t used[5][256] = {{0}};
    (void)state;

    for (unsigned i = 0; i < mesh_metrics_count; i++) {
        const mesh_metric_t *m = &mesh_metrics[i];
        size_t width = m->form == MESH_METRIC_U32 ? 4 : 8;

        width *= mesh_metric_values(m);
        assert_int_equal(m->offset % (width % 8 ? 4 : 8), 0);
        assert_true(m->offset + width <= sizes[m->scope]);
        for (size_t b = m->offset; b < m->offset + width; b++) {
            assert_int_equal(used[m->scope][b]++, 0);
        }
    }
}

static const mesh_metric_t *metric(const char *name) {
    for (unsigned i = 0; i < mesh_metrics_count; i++) {
        if (strcmp(mesh_metrics[i].name, name) == 0) {
            return &mesh_metrics[i];
        }
    }
    fail_msg("no metric %s", name);
    return NULL;
}

static void test_values(void **state) {
    mesh_cluster_slot_t cluster = {.requests = 7,
                                   .ejections = UINT64_C(5) << 32 | 3,
                                   .status = {1, 2, 3, 4, 5, 6}};
    mesh_endpoint_slot_t endpoint = {.in_flight = 9, .consecutive_5xx = 1};
    (void)state;

    assert_int_equal(
        mesh_metric_value(metric("mesh_cluster_requests_total"), &cluster, 0),
        7);
    assert_int_equal(mesh_metric_value(metric("mesh_cluster_ejected_endpoints"),
                                       &cluster, 0),
                     3);
    for (unsigned i = 0; i < MESH_STATUS_CLASSES; i++) {
        assert_int_equal(
            mesh_metric_value(metric("mesh_cluster_responses_total"), &cluster,
                              i),
            i + 1);
    }
    assert_int_equal(
        mesh_metric_value(metric("mesh_endpoint_attempts_in_flight"), &endpoint,
                          0),
        9);
    assert_int_equal(
        mesh_metric_value(metric("mesh_endpoint_ejected"), &endpoint, 0), 0);
    endpoint.ejected = mesh_ejected_word(12345, MESH_EJECTED_5XX);
    assert_int_equal(
        mesh_metric_value(metric("mesh_endpoint_ejected"), &endpoint, 0), 1);
}

/* __FILE__ is absolute in every build of ours, or relative to the top. */
static void docs_path(char *out, size_t size) {
    static const char here[] = "t/unit/stats/test_mesh_metrics.c";
    size_t top = strlen(__FILE__) - strlen(here);

    snprintf(out, size, "%.*sdocs/metrics.md", (int)top, __FILE__);
}

static void test_docs(void **state) {
    char path[4096], row[512];
    static char text[65536];
    const char *at = text;
    (void)state;

    docs_path(path, sizeof(path));

    FILE *file = fopen(path, "r");

    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);

    for (unsigned i = 0; i < mesh_metrics_count; i++) {
        snprintf(row, sizeof(row), "| `%s` | %s |", mesh_metrics[i].name,
                 mesh_metrics[i].type == MESH_METRIC_COUNTER ? "counter"
                                                             : "gauge");
        at = strstr(at, row);
        if (at == NULL) {
            fail_msg("docs/metrics.md: no row, or not in order: %s", row);
        }
        assert_non_null(strstr(at, mesh_metrics[i].help));
    }
    /* and none besides */
    assert_null(strstr(at + 1, "\n| `"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_docs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
