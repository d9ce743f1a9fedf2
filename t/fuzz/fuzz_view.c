/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Any text as a view (meshctl explain --view): refused with a place, or taken,
 * and then whatever it says, picks are endpoints of the cluster.  The first
 * byte chooses the cluster and the ticket.
 */

#include <stdlib.h>

#include "ctl_compiled.h"
#include "ctl_view.h"
#include "mesh_lb.h"
#include "snapshot_touch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char mesh[] =
    "clusters:\n"
    "  a: {endpoints: [127.0.0.1:1, 127.0.0.1:2, {address: 127.0.0.1:3, "
    "priority: 1}], lb: least_request}\n"
    "  b: {endpoints: [127.0.0.1:1, 127.0.0.1:2], lb: peak_ewma, subsets: {s: "
    "{}}}\n"
    "  c: {endpoints: [127.0.0.1:1, 127.0.0.1:2], lb: {policy: round_robin, "
    "slow_start: {window: 10s}}}\n"
    "  d: {endpoints: []}\n";

static bool open_mesh(ctl_zone_t *zone) {
    arena_t *arena = arena_new();
    ctl_load_t load = {.arena = arena};

    model_errors_init(&load.errors, arena);
    const model_node_t *root =
        model_node_from_yaml(arena, "m", mesh_str_from(mesh), &load.errors);
    touch_must(root != NULL);
    load.parts = arena_alloc(arena, sizeof(*load.parts));
    load.parts[load.nparts++] = model_decode(arena, "m", root, &load.errors);
    touch_must(load.errors.errors == 0);
    return ctl_zone_compile(zone, arena, &load);
}

static void pick(ctl_zone_t *zone, uint8_t choice) {
    static const char *const names[] = {"a", "b", "c", "d"};
    const mesh_cluster_view_t *view =
        ctl_zone_view(zone, mesh_str_from(names[choice & 3]));

    touch_must(view != NULL);
    for (uint32_t i = 0; i < view->nsubsets; i++) {
        mesh_pick_t p = {.ticket = view->runtime->ticket + choice,
                         .view = view,
                         .subset = &view->subsets[i],
                         .rt = ctl_zone_runtime(zone),
                         .now_ms = zone->now_ms};
        uint32_t picked = mesh_lb_pick(&p);

        touch_must(picked == MESH_PICK_NONE || picked < view->total);
    }
    cJSON *json = cJSON_CreateObject();
    ctl_view_cluster_json(view, json);
    for (uint32_t i = 0; i < view->total; i++) {
        ctl_view_endpoint_json(zone, view, &view->endpoints[i], json);
    }
    cJSON_Delete(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ctl_zone_t zone;
    model_errors_t errors;

    if (size == 0) {
        return 0;
    }
    touch_must(open_mesh(&zone));
    zone.now_ms = UINT64_C(1) << 33;
    char *text = malloc(size); /* exactly: a byte more is caught */
    touch_must(text != NULL);
    memcpy(text, data + 1, size - 1);
    model_errors_init(&errors, zone.arena);
    if (ctl_view_take(&zone, "v", (mesh_str_t){size - 1, text}, &errors)) {
        touch_must(errors.errors == 0);
        pick(&zone, data[0]);
    } else {
        touch_must(errors.errors != 0);
    }
    ctl_zone_close(&zone);
    free(text);
    return 0;
}
