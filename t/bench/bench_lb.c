/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a pick costs, per balancer and number of endpoints, and what a view
 * and a table cost to make.
 *
 *     bench_lb                  all, in nanoseconds
 *     bench_lb NAME N PICKS     only that, and nothing is timed: for callgrind
 *     bench_lb standby|shared|localities N PICKS
 *                               round robin where priority 1 stands by, where
 *                               it has 30 % of the load, and where three
 *                               localities have weights
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cluster_fixture.h"

#define PICKS 2000000

static double now_ns(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

typedef struct {
    fixture_t *f;
    mesh_runtime_t rt;
    mesh_cluster_view_t *view;
    double view_ns;
    double table_ns;
} world_t;

static void open_world(world_t *w, mesh_lb_e lb, uint32_t n, bool weighted) {
    fixture_endpoint_t *e = calloc(n, sizeof(*e));

    for (uint32_t i = 0; i < n; i++) {
        e[i].id = i;
        e[i].weight = weighted ? 1 + i % 10 : 1;
    }
    w->f = fixture_new(&(fixture_spec_t){.lb = lb, .count = n, .endpoints = e});
    free(e);
    fixture_runtime(&w->rt);
    w->view = fixture_view(w->f, &w->rt, 1000);

    double begin = now_ns();
    w->view = fixture_view(w->f, &w->rt, 1000);
    w->view_ns = now_ns() - begin;
    begin = now_ns();
    fixture_table(w->f, w->view, 0);
    w->table_ns = now_ns() - begin;
}

static void open_groups(world_t *w, const char *what, uint32_t n) {
    static const char *const zones[] = {"a", "b", "c"};
    static const fixture_weight_t weights[] = {{"a", MESH_PRIORITY_ANY, 5},
                                               {"b", MESH_PRIORITY_ANY, 3},
                                               {"c", MESH_PRIORITY_ANY, 1}};
    bool shared = strcmp(what, "shared") == 0;
    bool weighed = strcmp(what, "localities") == 0;
    fixture_endpoint_t *e = calloc(n, sizeof(*e));

    for (uint32_t i = 0; i < n; i++) {
        e[i].id = i;
        e[i].weight = 1;
        e[i].zone = zones[i % 3];
        e[i].priority = weighed ? 0 : i % 2;
        e[i].health =
            shared && i % 4 == 0 ? MESH_HEALTH_UNHEALTHY : MESH_HEALTH_HEALTHY;
    }
    w->f = fixture_new(&(fixture_spec_t){.count = n,
                                         .endpoints = e,
                                         .nweights = weighed ? 3 : 0,
                                         .weights = weights});
    free(e);
    fixture_runtime(&w->rt);
    w->view = fixture_view(w->f, &w->rt, 1000);
}

static uint64_t picks(world_t *w, uint32_t count) {
    mesh_pick_t pick = {.view = w->view,
                        .subset = &w->view->subsets[0],
                        .rt = &w->rt,
                        .hashed = true};
    uint64_t sum = 0;

    for (uint32_t i = 0; i < count; i++) {
        pick.ticket = i;
        pick.hash = mesh_mix64(i);
        sum += mesh_lb_pick(&pick);
    }
    return sum;
}

static void close_world(world_t *w) {
    fixture_runtime_free(&w->rt);
    fixture_free(w->f);
}

static void one(const char *name, uint32_t n, uint32_t count) {
    static const char *const groups[] = {"standby", "shared", "localities"};

    for (size_t i = 0; i < mesh_nelts(groups); i++) {
        if (strcmp(groups[i], name) == 0) {
            world_t w;
            open_groups(&w, name, n);
            printf("%llu\n", (unsigned long long)picks(&w, count));
            close_world(&w);
        }
    }
    for (unsigned lb = 0; lb < MESH_LB_MAX; lb++) {
        if (strcmp(mesh_lb[lb].name, name) == 0) {
            world_t w;
            open_world(&w, lb, n, false);
            printf("%llu\n", (unsigned long long)picks(&w, count));
            close_world(&w);
        }
    }
}

static void all(void) {
    static const uint32_t sizes[] = {3, 50, 1000, 10000};

    printf("%-14s %6s %10s %10s %12s %12s\n", "balancer", "N", "equal ns",
           "weighted", "view us", "table us");
    for (unsigned lb = 0; lb < MESH_LB_MAX; lb++) {
        for (unsigned s = 0; s < mesh_nelts(sizes); s++) {
            double ns[2];
            world_t w;

            for (unsigned weighted = 0; weighted < 2; weighted++) {
                open_world(&w, lb, sizes[s], weighted);
                (void)picks(&w, PICKS / 10);
                double begin = now_ns();
                (void)picks(&w, PICKS);
                ns[weighted] = (now_ns() - begin) / PICKS;
                if (weighted) {
                    printf("%-14s %6u %10.1f %10.1f %12.1f %12.1f\n",
                           mesh_lb[lb].name, sizes[s], ns[0], ns[1],
                           w.view_ns / 1000, w.table_ns / 1000);
                }
                close_world(&w);
            }
        }
    }
}

int main(int argc, char **argv) {
    if (argc == 4) {
        one(argv[1], (uint32_t)strtoul(argv[2], NULL, 10),
            (uint32_t)strtoul(argv[3], NULL, 10));
    } else {
        all();
    }
    return 0;
}
