/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A publisher on a zone of its own in a temporary directory, and that zone as
 * a worker sees it.  Failures fail the test.
 */

#ifndef PUBLISH_ZONE_H
#define PUBLISH_ZONE_H

#include "agent_publish.h"
#include "compile_world.h"
#include "mesh_zone.h"
#include "temp_dir.h"

typedef struct {
    temp_dir_t top;
    char dir[96];
    char state_dir[96];
    uint64_t capacity;
    bool threads;
    publish_time_t now;
    publisher_t *p;
    publish_result_t result;
} zone_t;

/* Makes the directories, and a clock that stands still. */
void zone_init(zone_t *z);
void zone_open(zone_t *z);
void zone_close(zone_t *z);

/* As kill -9: nothing is written any more; only descriptors go. */
void zone_kill(zone_t *z);
void zone_free(zone_t *z);

/* The clock goes on by 10 ms with each of these two. */
publish_request_t zone_request(zone_t *z, mesh_world_t *world);
publish_outcome_e zone_publish(zone_t *z, mesh_world_t *world);
uint64_t zone_tick(zone_t *z, uint64_t after_ms);

/* Waits until what runs beside the main thread has ended; then as a tick. */
uint64_t zone_await(zone_t *z);

/* The run directory is gone, as after a reboot; the state directory stays. */
void zone_wipe(const zone_t *z);
bool zone_has_last_good(const zone_t *z);

/*
 * A tmpfs of that size ("size=4m") over the zone's top, seen by this process
 * alone; false: it may not be made.  Filling leaves nothing of it.
 */
bool zone_small_disk(const zone_t *z, const char *size);
void zone_fill_disk(const zone_t *z, bool fill);
void zone_large_disk(const zone_t *z);

/* --- as a worker sees it --- */

typedef struct {
    mesh_mapping_t *map;
    const mesh_rec_root_t *root;
    uint64_t word;
} view_t;

void view_open(const zone_t *z, view_t *view);
void view_close(view_t *view);
uint64_t zone_word(const zone_t *z);
mesh_digest_t zone_digest(const zone_t *z);
void zone_assert_digest(const zone_t *z, const mesh_digest_t *digest);
uint64_t zone_file_size(const zone_t *z, uint32_t number);
unsigned zone_files(const zone_t *z);

/* Over every slot of the published binding, in the order of the maps. */
uint64_t zone_slots(const zone_t *z);

#endif /* PUBLISH_ZONE_H */
