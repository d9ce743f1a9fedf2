/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A zone's files as a tool reads them.
 */

#include "ctl_zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent_log.h"
#include "ctl_table.h"
#include "ctl_view.h"
#include "source.h"

/* A compaction may unlink the file between our two steps. */
#define OPEN_TRIES 5

static void *arena_memory(void *ctx, size_t size) {
    return arena_alloc(ctx, size);
}

static void complain(const char *dir, const mesh_zone_error_t *error) {
    const char *path = error->path;

    fprintf(stderr, "meshctl: zone %s: ", dir);
    if (error->version != 0) {
        fprintf(stderr, "%s is of format version %u: ", path, error->version);
        path = "";
    }
    fprintf(stderr, "%s%s%s%s%s\n", error->what, path[0] ? " " : "", path,
            error->err ? ": " : "", error->err ? strerror(error->err) : "");
}

static bool open_word(ctl_zone_t *zone, uint64_t word,
                      mesh_zone_error_t *error) {
    zone->map = mesh_mapping_open(zone->dir, mesh_word_file(word), error);
    if (zone->map == NULL) {
        return false;
    }
    mesh_ref_t ref = mesh_word_root(word);
    mesh_status_t status = mesh_mapping_adopt(zone->map, ref, 0);
    zone->s = &zone->map->snapshot;
    zone->current = status == MESH_OK ? mesh_snapshot_root(zone->s, ref) : NULL;
    if (zone->current == NULL) {
        const char *why = zone->s->error.reason;
        error->what = why ? why : "the published root cannot be read";
        error->err = 0;
        error->path[0] = '\0';
        return false;
    }
    zone->word = word;
    return true;
}

static bool open_snapshot(ctl_zone_t *zone) {
    const mesh_control_t *control;
    mesh_zone_error_t error = {.what = "", .err = 0};
    uint64_t word = 0;
    bool ok = false;

    mesh_status_t status = mesh_control_map(zone->dir, &control, &error);
    if (status == MESH_DECLINED) {
        complain(zone->dir,
                 &(mesh_zone_error_t){.what = "nothing was published there"});
        return false;
    }
    if (status != MESH_OK) {
        complain(zone->dir, &error);
        return false;
    }
    for (int i = 0; i < OPEN_TRIES && !ok; i++) {
        uint64_t now = mesh_control_word(control);
        if (now == word && i > 0) {
            break;
        }
        word = now;
        if (word == 0) {
            error.what = "nothing was published yet";
            error.path[0] = '\0';
            break;
        }
        if (zone->map != NULL) {
            mesh_mapping_unref(zone->map);
        }
        ok = open_word(zone, word, &error);
    }
    mesh_control_unmap(control);
    if (!ok) {
        complain(zone->dir, &error);
    }
    return ok;
}

uint32_t ctl_zone_roots(const ctl_zone_t *zone,
                        const mesh_rec_root_t *roots[MESH_HISTORY_MAX + 1]) {
    const mesh_rec_refs_t *history = mesh_get(zone->s, zone->current->history);
    uint32_t count = 1;

    roots[0] = zone->current;
    for (uint32_t i = 0; history && i < history->count; i++) {
        if (count <= MESH_HISTORY_MAX) {
            roots[count++] = mesh_get(zone->s, history->v[i]);
        }
    }
    return count;
}

static bool choose_root(ctl_zone_t *zone, uint64_t generation) {
    const mesh_rec_root_t *roots[MESH_HISTORY_MAX + 1];

    zone->root = zone->current;
    if (generation == 0) {
        return true;
    }
    uint32_t count = ctl_zone_roots(zone, roots);
    for (uint32_t i = 0; i < count; i++) {
        if (roots[i]->generation == generation) {
            zone->root = roots[i];
            return true;
        }
    }
    fprintf(stderr, "meshctl: zone %s: generation %llu is not in the history\n",
            zone->dir, (unsigned long long)generation);
    return false;
}

static void open_health(ctl_zone_t *zone) {
    mesh_zone_error_t error = {.what = NULL};
    mesh_status_t status = mesh_health_open(&zone->health, zone->dir, &error);

    if (status != MESH_OK && status != MESH_DECLINED) {
        fprintf(stderr, "meshctl: zone %s: %s is left out: %s\n", zone->dir,
                MESH_ZONE_HEALTH, error.what ? error.what : "unreadable");
    }
}

void ctl_zone_use_arena(ctl_zone_t *zone, arena_t *arena) {
    zone->arena = arena;
    zone->memory = (mesh_arena_t){arena_memory, arena};
}

bool ctl_zone_open(ctl_zone_t *zone, const char *dir, uint64_t generation) {
    *zone = (ctl_zone_t){.dir = dir, .now_ms = agent_now_ms()};
    ctl_zone_use_arena(zone, arena_new());
    if (!open_snapshot(zone) || !choose_root(zone, generation)) {
        ctl_zone_close(zone);
        return false;
    }
    open_health(zone);
    mesh_status_t status = mesh_runtime_open_read(&zone->runtime, dir);
    zone->has_runtime = status == MESH_OK;
    if (status != MESH_OK && status != MESH_DECLINED) {
        fprintf(stderr, "meshctl: zone %s: the runtime is left out: %s\n", dir,
                zone->runtime.what ? zone->runtime.what : "unreadable");
    }
    return true;
}

void ctl_zone_close(ctl_zone_t *zone) {
    if (zone->has_runtime) {
        mesh_runtime_close(&zone->runtime);
        zone->has_runtime = false;
    }
    mesh_health_close(&zone->health);
    ctl_view_free(zone->view);
    zone->view = NULL;
    zone->seen = NULL;
    if (zone->map != NULL) {
        mesh_mapping_unref(zone->map);
        zone->map = NULL;
    }
    if (zone->compiled != NULL) {
        ctl_compiled_free(zone->compiled);
        zone->compiled = NULL;
    }
    arena_free(zone->arena);
    zone->arena = NULL;
}

mesh_runtime_t *ctl_zone_runtime(ctl_zone_t *zone) {
    if (zone->seen != NULL) {
        return zone->seen;
    }
    return zone->has_runtime ? &zone->runtime.rt : NULL;
}

const mesh_runtime_t *ctl_zone_seen(const ctl_zone_t *zone) {
    return ctl_zone_runtime((ctl_zone_t *)zone);
}

const mesh_cluster_view_t *ctl_zone_view(ctl_zone_t *zone, mesh_str_t name) {
    const mesh_rec_bind_cluster_t *bind = mesh_cluster_bind(
        zone->s, zone->root, name, mesh_hash32(name.data, name.len));

    if (bind == NULL) {
        return NULL;
    }
    return mesh_cluster_view(zone->s, zone->root, bind, &zone->health.health,
                             ctl_zone_runtime(zone), false, zone->now_ms,
                             &zone->memory);
}

const mesh_route_slot_t *ctl_route_slot(ctl_zone_t *zone,
                                        const mesh_rec_route_t *route) {
    const mesh_rec_binding_t *binding = mesh_get(zone->s, zone->root->binding);
    mesh_runtime_t *rt = ctl_zone_runtime(zone);
    mesh_str_t name = mesh_get_str(zone->s, route->name);

    if (rt == NULL || binding == NULL) {
        return NULL;
    }
    const mesh_map_entry_t *entry =
        mesh_map_find(zone->s, binding->routes, name, route->name_hash);
    if (entry == NULL || entry->aux >= rt->sizes.routes) {
        return NULL;
    }
    const mesh_route_slot_t *slot = &rt->routes[entry->aux];
    bool own = mesh_load_acquire(&slot->tag) ==
               mesh_runtime_tag(mesh_hash64(name.data, name.len));
    return own ? slot : NULL;
}

static int by_name(const void *a, const void *b, void *ctx) {
    const ctl_zone_t *zone = ctx;
    const mesh_map_entry_t *const *x = a;
    const mesh_map_entry_t *const *y = b;

    return mesh_str_cmp(mesh_get_str(zone->s, (*x)->name),
                        mesh_get_str(zone->s, (*y)->name));
}

const mesh_map_entry_t **ctl_zone_sorted(const ctl_zone_t *zone, mesh_ref_t map,
                                         uint32_t *count) {
    const mesh_rec_map_t *rec = mesh_get(zone->s, map);
    mesh_map_iter_t iter = {0};
    const mesh_map_entry_t *entry;

    *count = 0;
    size_t room = rec ? rec->count : 0;
    const mesh_map_entry_t **v =
        arena_alloc(zone->arena, (room + 1) * sizeof(*v));
    while (*count < room && (entry = mesh_map_next(zone->s, map, &iter))) {
        v[(*count)++] = entry;
    }
    qsort_r(v, *count, sizeof(*v), by_name, (void *)zone);
    return v;
}

static const char *ejected_why(unsigned why) {
    static const char *const names[] = {
        [MESH_EJECTED_NOT] = "unknown",
        [MESH_EJECTED_5XX] = "consecutive 5xx",
        [MESH_EJECTED_GATEWAY] = "consecutive gateway failures",
        [MESH_EJECTED_LOCAL] = "consecutive local failures",
    };
    return why < mesh_nelts(names) ? names[why] : names[0];
}

/* "" unless it is known who ejected it and until when. */
static void ejected_text(const ctl_zone_t *zone, uint32_t slot, char *text,
                         size_t size) {
    const mesh_runtime_t *rt = ctl_zone_seen(zone);

    text[0] = '\0';
    if (rt == NULL || slot >= rt->sizes.endpoints) {
        return;
    }
    uint64_t word = mesh_load_acquire(&rt->endpoints[slot].ejected);
    uint64_t until = mesh_ejected_until(word);
    uint64_t left = until > zone->now_ms ? until - zone->now_ms : 0;
    snprintf(text, size, ": %s, %.1fs more",
             ejected_why(mesh_ejected_why(word)), (double)left / 1000.0);
}

void ctl_endpoint_state(const ctl_zone_t *zone, uint32_t out, uint32_t slot,
                        char *text, size_t size) {
    static const struct {
        uint32_t bit;
        const char *name;
    } bits[] = {{MESH_OUT_DRAINED, "drained"},
                {MESH_OUT_HEALTH, "unhealthy"},
                {MESH_OUT_EJECTED, "ejected"},
                {MESH_OUT_WEIGHT, "weight 0"},
                {MESH_OUT_PRIORITY, "its priority has no load"},
                {MESH_OUT_LOCALITY, "its locality has no weight"},
                {MESH_OUT_ZONE, "zone-aware routing passes it by"}};
    char ejected[96];
    size_t used = 0;

    if (out == 0) {
        snprintf(text, size, "usable");
        return;
    }
    ejected_text(zone, slot, ejected, sizeof(ejected));
    for (size_t i = 0; i < mesh_nelts(bits) && used < size; i++) {
        if (out & bits[i].bit) {
            int n = snprintf(text + used, size - used, "%s%s%s",
                             used ? ", " : "", bits[i].name,
                             bits[i].bit == MESH_OUT_EJECTED ? ejected : "");
            used += (size_t)n;
        }
    }
}

void ctl_age(uint64_t unix_ms, char *text, size_t size) {
    uint64_t now = agent_unix_ms();
    char age[SOURCE_AGE_SIZE];

    snprintf(text, size, "%s ago",
             source_age(now > unix_ms ? now - unix_ms : 0, age));
}

const char *ctl_text(const ctl_zone_t *zone, mesh_str_t text) {
    char *copy = arena_alloc(zone->arena, text.len + 1);

    for (size_t i = 0; i < text.len; i++) {
        copy[i] = text.data[i] ? text.data[i] : '?';
    }
    ctl_plain(copy);
    return copy;
}
