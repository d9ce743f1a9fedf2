/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A zone of a test's own with a mesh in it that is written as YAML, and the
 * runtime of nginx beside it.  The node is in zone a.  Failures fail the test.
 */

#ifndef TEXT_ZONE_H
#define TEXT_ZONE_H

#include "mesh_runtime.h"
#include "model.h"
#include "temp_dir.h"

typedef struct {
    temp_dir_t top;
    char dir[96];
} text_zone_t;

void text_zone_make(text_zone_t *zone);
void text_zone_remove(const text_zone_t *zone);

/* A test's *state is one with that mesh in it. */
int text_zone_setup(void **state, const char *yaml);
int text_zone_teardown(void **state);

/* The next generation, by a publisher that is gone afterwards. */
void text_zone_publish(const text_zone_t *zone, const char *yaml);
void text_zone_publish_part(const text_zone_t *zone, const model_part_t *part);

/* 8 workers, 64 clusters, routes and endpoints; mesh_runtime_close() it. */
void text_zone_runtime(const text_zone_t *zone, mesh_runtime_file_t *file);

#endif /* TEXT_ZONE_H */
