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

#include "agent_log.h"
#include "agent_publish.h"
#include "source.h"
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
    publisher_options_t options = {.dir = zone->dir};
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
    model_errors_t errors;
    char text[512];

    model_errors_init(&errors, arena);
    const model_part_t *part =
        source_decode(arena, "test", mesh_str_from(yaml), false, 1, &errors);
    if (part == NULL) {
        model_error_text(errors.first, text, sizeof(text));
        fail_msg("%s", text);
    }
    text_zone_publish_part(zone, part);
    arena_free(arena);
}

void text_zone_runtime(const text_zone_t *zone, mesh_runtime_file_t *file) {
    mesh_runtime_sizes_t sizes = {8, 64, 64, 64};

    assert_int_equal(mesh_runtime_open(file, zone->dir, &sizes, false, 1),
                     MESH_OK);
}
