/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Compiling files to a snapshot in memory; see ctl_compiled.h.
 */

#include "ctl_compiled.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent_log.h"
#include "compile_slots.h"

struct ctl_compiled_s {
    mesh_snapshot_t snapshot;
    mesh_writer_t *w;
    slots_t *slots;
    compiler_t *compiler;
};

static bool past(void *ctx, slots_kind_e kind, uint32_t slot,
                 uint64_t generation) {
    (void)ctx;
    (void)kind;
    (void)slot;
    (void)generation;
    return true;
}

void ctl_compiled_free(ctl_compiled_t *compiled) {
    compiler_free(compiled->compiler);
    slots_free(compiled->slots);
    mesh_writer_free(compiled->w);
}

/* The writer's bytes are checked as a file's would be. */
static bool open_image(ctl_zone_t *zone, mesh_ref_t ref) {
    ctl_compiled_t *compiled = zone->compiled;
    mesh_snapshot_t *s = &compiled->snapshot;
    mesh_pending_t image = mesh_writer_pending(compiled->w);
    uint64_t capacity = mesh_writer_capacity(compiled->w);
    uint64_t *starts =
        arena_alloc(zone->arena, mesh_snapshot_starts_size(capacity));

    if (mesh_snapshot_init(s, image.data, capacity, image.len, starts) !=
            MESH_OK ||
        mesh_snapshot_verify(s, image.len, 0) != MESH_OK) {
        fprintf(stderr, "meshctl: what was compiled cannot be read: %s\n",
                s->error.reason ? s->error.reason : "corrupt");
        return false;
    }
    zone->s = s;
    zone->current = mesh_snapshot_root(s, ref);
    zone->root = zone->current;
    return zone->root != NULL;
}

static bool compile(ctl_zone_t *zone, const ctl_load_t *load) {
    ctl_compiled_t *compiled = arena_alloc(zone->arena, sizeof(*compiled));
    compile_request_t request = {.parts = load->parts,
                                 .nparts = load->nparts,
                                 .node = load->xds ? xds_node(load->xds) : NULL,
                                 .generation = 1,
                                 .time_ms = agent_unix_ms(),
                                 .reason = MESH_STR("resources")};

    compiled->w = mesh_writer_create(1, MESH_FILE_CAPACITY_MAX);
    if (compiled->w == NULL) {
        fputs("meshctl: no memory\n", stderr);
        return false;
    }
    zone->compiled = compiled;
    compiled->slots = slots_new(NULL, past, NULL);
    compiled->compiler = compiler_new(compiled->w, compiled->slots);
    mesh_ref_t ref = compile_root(compiled->compiler, &request);
    if (ref == 0) {
        fprintf(stderr, "meshctl: these resources cannot be compiled: %s\n",
                mesh_writer_error(compiled->w));
        return false;
    }
    return open_image(zone, ref);
}

bool ctl_zone_compile(ctl_zone_t *zone, arena_t *arena,
                      const ctl_load_t *load) {
    *zone = (ctl_zone_t){.dir = "", .now_ms = agent_now_ms()};
    ctl_zone_use_arena(zone, arena);
    if (!compile(zone, load)) {
        ctl_zone_close(zone);
        return false;
    }
    return true;
}

/* What is refused is left out, as it would be in a mesh. */
static int open_resources(ctl_zone_t *zone, const ctl_args_t *args) {
    ctl_load_t load;
    model_errors_t twice;

    arena_t *arena = arena_new();

    model_errors_init(&twice, arena);
    if (!ctl_load(&load, arena, args->resources, args->nresources, true)) {
        arena_free(arena);
        return CTL_EXIT_UNREADABLE;
    }
    ctl_load_complain(&load.errors);
    model_check_names(load.parts, load.nparts, &twice);
    ctl_load_complain(&twice);
    if (twice.errors != 0) {
        arena_free(arena);
        return CTL_EXIT_NO;
    }
    return ctl_zone_compile(zone, arena, &load) ? CTL_EXIT_OK : CTL_EXIT_NO;
}

int ctl_zone_of(ctl_zone_t *zone, const ctl_args_t *args) {
    if (args->nresources == 0) {
        return ctl_zone_open(zone, args->zone, args->at) ? CTL_EXIT_OK
                                                         : CTL_EXIT_UNREADABLE;
    }
    if (args->at != 0) {
        fputs("meshctl: resources have no generations (--at)\n", stderr);
        return CTL_EXIT_USAGE;
    }
    return open_resources(zone, args);
}
