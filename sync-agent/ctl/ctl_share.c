/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Percentages of routes and mirrors; see ctl_share.h.
 */

#include "ctl_share.h"

#include <stdio.h>
#include <string.h>

#include "mesh_snapshot_walk.h"
#include "model_table.h"

const char *ctl_share_text(const ctl_zone_t *zone, uint32_t ppm,
                           uint32_t denominator) {
    int decimals = denominator == 100 ? 0 : denominator == 10000 ? 2 : 4;

    return arena_printf(zone->arena, "%.*f", decimals,
                        ppm / (MESH_SHARE_ALL / 100.0));
}

const char *ctl_share_words(const ctl_zone_t *zone, uint32_t ppm,
                            mesh_ref_t ref) {
    const mesh_rec_share_t *share = mesh_get(zone->s, ref);
    const char *text = ctl_share_text(zone, ppm, share->denominator);

    if (share->key == 0) {
        return arena_printf(zone->arena, "%s %%", text);
    }
    const char *key = ctl_text(zone, mesh_get_str(zone->s, share->key));
    if ((share->flags & MESH_SHARE_SET) == 0) {
        return arena_printf(zone->arena, "%s %% (runtime key %s, not set)",
                            text, key);
    }
    return arena_printf(
        zone->arena, "%s %% (runtime key %s, default %s %%)", text, key,
        ctl_share_text(zone, share->default_ppm, share->default_denominator));
}

void ctl_share_dump(const ctl_zone_t *zone, cJSON *json, uint32_t ppm,
                    mesh_ref_t ref) {
    const mesh_rec_share_t *share = mesh_get(zone->s, ref);
    const char *text = ctl_share_text(zone, ppm, share->denominator);

    if (share->key == 0) {
        cJSON_AddRawToObject(json, "percentage", text);
        return;
    }
    cJSON *item = cJSON_AddObjectToObject(json, "percentage");

    cJSON_AddRawToObject(item, "value", text);
    cJSON_AddStringToObject(item, "runtime_key",
                            ctl_text(zone, mesh_get_str(zone->s, share->key)));
    cJSON_AddRawToObject(
        item, "default",
        ctl_share_text(zone, share->default_ppm, share->default_denominator));
    cJSON_AddBoolToObject(item, "set", share->flags & MESH_SHARE_SET);
}

/* --- other values --------------------------------------------------------- */

typedef struct {
    mesh_str_t key;
    model_share_t share;
    bool used;
} override_t;

typedef struct {
    const mesh_snapshot_t *s;
    uint8_t *copy; /* of its records */
    uint32_t count;
    override_t v[CTL_RUNTIME_MAX];
} overrides_t;

/* Of a key that was said twice the last value. */
static void add_override(overrides_t *o, const char *text) {
    override_t v = {.used = false};
    uint32_t i = 0;

    (void)ctl_parse_runtime(text, &v.key, &v.share);
    while (i < o->count && !mesh_str_eq(o->v[i].key, v.key)) {
        i++;
    }
    o->v[i] = v;
    o->count += i == o->count;
}

static const model_share_t *find(overrides_t *o, mesh_ref_t ref) {
    const mesh_rec_share_t *share = mesh_get(o->s, ref);

    if (share == NULL || share->key == 0) {
        return NULL;
    }
    for (uint32_t i = 0; i < o->count; i++) {
        if (mesh_str_eq(o->v[i].key, mesh_get_str(o->s, share->key))) {
            o->v[i].used = true;
            return &o->v[i].share;
        }
    }
    return NULL;
}

/* The record in the copy. */
static void *in_copy(const overrides_t *o, mesh_ref_t ref) {
    return o->copy + ((uint64_t)ref << 3);
}

static void put_mirrors(overrides_t *o, mesh_rec_mirrors_t *mirrors) {
    for (uint32_t i = 0; i < mirrors->count; i++) {
        const model_share_t *value = find(o, mirrors->v[i].share);

        if (value != NULL) {
            mirrors->v[i].share_ppm = value->ppm;
        }
    }
}

static mesh_status_t put_in_force(void *ctx, mesh_ref_t ref,
                                  const mesh_rec_t *rec) {
    overrides_t *o = ctx;
    const model_share_t *value = NULL;

    if (rec->kind == MESH_KIND_ROUTE) {
        mesh_rec_route_t *route = in_copy(o, ref);

        value = find(o, route->share);
        if (value != NULL) {
            route->share_ppm = value->ppm;
        }
    } else if (rec->kind == MESH_KIND_MIRRORS) {
        put_mirrors(o, in_copy(o, ref));
    } else if (rec->kind == MESH_KIND_SHARE) {
        mesh_rec_share_t *share = in_copy(o, ref);

        value = find(o, ref);
        if (value != NULL) {
            share->denominator = value->denominator;
            share->flags |= MESH_SHARE_SET;
        }
    }
    return MESH_OK;
}

static const mesh_rec_root_t *root_in(const overrides_t *o,
                                      const mesh_rec_root_t *root) {
    return (const void *)(o->copy + ((const uint8_t *)root - o->s->base));
}

bool ctl_share_override(ctl_zone_t *zone, const ctl_args_t *args) {
    overrides_t o = {.s = zone->s};

    if (args->nruntime == 0) {
        return true;
    }
    for (uint32_t i = 0; i < args->nruntime; i++) {
        add_override(&o, args->runtime[i]);
    }
    mesh_snapshot_t *copy = arena_alloc(zone->arena, sizeof(*copy));
    o.copy = arena_alloc(zone->arena, zone->s->verified);
    memcpy(o.copy, zone->s->base, zone->s->verified);
    uint64_t *marks =
        arena_alloc(zone->arena, mesh_snapshot_starts_size(zone->s->verified));
    if (mesh_snapshot_walk(zone->s, zone->root->policy, 0, marks, put_in_force,
                           &o) != MESH_OK) {
        fputs("meshctl: the policy cannot be read\n", stderr);
        return false;
    }
    *copy = *zone->s;
    copy->base = o.copy;
    copy->capacity = zone->s->verified;
    zone->root = root_in(&o, zone->root);
    zone->current = root_in(&o, zone->current);
    zone->s = copy;
    for (uint32_t i = 0; i < o.count; i++) {
        if (!o.v[i].used) {
            fprintf(stderr,
                    "meshctl: no percentage has the runtime key \"%.*s\"\n",
                    (int)o.v[i].key.len, o.v[i].key.data);
        }
    }
    return true;
}
