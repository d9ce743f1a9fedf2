/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Zones with meshes that are written as YAML.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent_log.h"
#include "agent_publish.h"
#include "text_part.h"
#include "text_zone.h"

void text_zone_make(text_zone_t *zone) {
    temp_dir_make(&zone->top);
    snprintf(zone->dir, sizeof(zone->dir), "%s/zone", zone->top.path);
}

void text_zone_remove(const text_zone_t *zone) {
    temp_dir_remove(&zone->top);
}

void text_zone_publish_part(const text_zone_t *zone, const model_part_t *part) {
    publish_time_t now = {agent_unix_ms(), agent_now_ms()};
    publisher_options_t options = {.dir = zone->dir,
                                   .node = {.zone = mesh_str("a")}};
    char error[PUBLISH_TEXT_MAX];
    mesh_status_t status;
    publish_result_t result;
    publish_request_t request = {
        .parts = &part, .nparts = 1, .reason = "test", .now = now};

    publisher_t *p = publisher_open(&options, now, &status, error);
    assert_non_null(p);
    if (publisher_publish(p, &request, &result) != PUBLISH_DONE) {
        fail_msg("not published: %s", result.text);
    }
    publisher_close(p, now);
}

void text_zone_publish(const text_zone_t *zone, const char *yaml) {
    arena_t *arena = arena_new();

    text_zone_publish_part(zone, text_part(arena, "test", yaml));
    arena_free(arena);
}

int text_zone_setup(void **state, const char *yaml) {
    text_zone_t *zone = calloc(1, sizeof(*zone));

    text_zone_make(zone);
    text_zone_publish(zone, yaml);
    *state = zone;
    return 0;
}

int text_zone_teardown(void **state) {
    text_zone_remove(*state);
    free(*state);
    return 0;
}

void text_zone_runtime(const text_zone_t *zone, mesh_runtime_file_t *file) {
    mesh_runtime_sizes_t sizes = {8, 64, 64, 64};

    assert_int_equal(mesh_runtime_open(file, zone->dir, &sizes, false, 1),
                     MESH_OK);
}
