/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl wait: until a generation is published and every live worker has
 * adopted it.  For scripts and start orders.
 */

#include <stdio.h>
#include <time.h>

#include "ctl_args.h"
#include "ctl_table.h"
#include "ctl_workers.h"
#include "ctl_zone.h"

#define POLL_MS 10

static uint64_t now_ms(void) {
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* The published generation, 0 when there is none. */
static uint64_t published(const char *dir) {
    const mesh_control_t *control;
    mesh_zone_error_t error;
    uint64_t generation = 0;

    if (mesh_control_map(dir, &control, &error) != MESH_OK) {
        return 0;
    }
    uint64_t word = mesh_control_word(control);
    mesh_control_unmap(control);
    mesh_mapping_t *map =
        word ? mesh_mapping_open(dir, mesh_word_file(word), &error) : NULL;
    if (map != NULL) {
        if (mesh_mapping_adopt(map, mesh_word_root(word), 0) == MESH_OK) {
            generation =
                mesh_snapshot_root(&map->snapshot, mesh_word_root(word))
                    ->generation;
        }
        mesh_mapping_unref(map);
    }
    return generation;
}

static int tell(const ctl_args_t *args, uint64_t have, uint64_t want,
                const ctl_workers_t *workers, bool ok) {
    if (args->json) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddBoolToObject(json, "ok", ok);
        ctl_json_u64(json, "generation", have);
        ctl_json_u64(json, "wanted", want);
        ctl_json_u64(json, "live", workers->live);
        ctl_json_u64(json, "applied", workers->applied);
        ctl_json_print(json, stdout);
    } else if (ok) {
        printf("generation %llu is on all %u workers\n",
               (unsigned long long)want, workers->live);
    } else if (have == 0 || workers->live == 0) {
        fprintf(stderr, "meshctl: not in time: %s\n",
                have == 0 ? "nothing is published"
                          : "there is no worker of nginx");
    } else {
        fprintf(stderr,
                "meshctl: not in time: generation %llu is published, %u of %u "
                "workers have %llu\n",
                (unsigned long long)have, workers->applied, workers->live,
                (unsigned long long)want);
    }
    return ok ? CTL_EXIT_OK : CTL_EXIT_NO;
}

int ctl_wait(const ctl_args_t *args) {
    uint32_t timeout =
        args->given & CTL_TAKES_TIMEOUT ? args->timeout_ms : 10000;
    uint64_t deadline = now_ms() + timeout;
    ctl_workers_t workers = {.live = 0};
    uint64_t want, have;

    for (;;) {
        have = published(args->zone);
        want = args->applied ? args->applied : have;
        bool read = ctl_workers_read(args->zone, want, &workers) == MESH_OK;
        if (have != 0 && have >= want && read && workers.live > 0 &&
            workers.applied == workers.live) {
            return tell(args, have, want, &workers, true);
        }
        if (now_ms() >= deadline) {
            return tell(args, have, want, &workers, false);
        }
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000}, NULL);
    }
}
