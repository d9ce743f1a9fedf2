/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A session's cookie out of a client's bytes: no endpoint of three but one
 * whose text it is.
 */

#include <stdlib.h>

#include "mesh_lb_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 127.0.0.1:80, 127.0.0.1:81, [::1]:80, as a view has them. */
static mesh_endpoint_t endpoints[3] = {
    {.family = MESH_FAMILY_IPV4, .port = 80, .addr = {127, 0, 0, 1}},
    {.family = MESH_FAMILY_IPV4, .port = 81, .addr = {127, 0, 0, 1}},
    {.family = MESH_FAMILY_IPV6, .port = 80, .addr = {[15] = 1}},
};

static const char *const texts[3] = {"127.0.0.1:80", "127.0.0.1:81",
                                     "[::1]:80"};

/* An address may be written in more ways than one, so: no other. */
static void check(uint32_t index, mesh_str_t value) {
    char own[MESH_SESSION_VALUE_MAX];

    for (uint32_t i = 0; i < 3; i++) {
        mesh_str_t text = mesh_str_from(texts[i]);
        mesh_str_t v = {mesh_lb_session_value(text, own), own};

        if (mesh_str_eq(v, value) && index != i)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mesh_snapshot_t s = {0};
    mesh_view_endpoint_t v[3];
    uint32_t order[3] = {0, 1, 2};
    mesh_rec_cluster_t cluster = {.lb = MESH_LB_RANDOM};
    mesh_view_group_t group = {
        .points = 100, .equal = true, .count = 3, .pick = order};
    mesh_view_subset_t subset = {
        .count = 3, .points = 100, .ngroups = 1, .groups = &group};
    mesh_cluster_view_t view = {
        .cluster = &cluster, .total = 3, .endpoints = v, .subsets = &subset};
    mesh_pick_t pick = {.view = &view, .subset = &subset};
    char *copy = malloc(size + 1); /* exact, so that a step past it is seen */
    mesh_session_t session = {.value = {size, memcpy(copy, data, size)},
                              .strict = true};

    for (uint32_t i = 0; i < 3; i++)
        v[i] = (mesh_view_endpoint_t){.endpoint = &endpoints[i],
                                      .slot = MESH_SLOT_NONE,
                                      .weight = 1,
                                      .ordinal = i};

    uint32_t index = mesh_lb_session_pick(&pick, &s, &session);

    if (index != MESH_PICK_NONE && index >= 3)
        abort();
    check(index, session.value);
    if (index == MESH_PICK_NONE && !mesh_lb_session_says(&session))
        abort();
    free(copy);
    return 0;
}
