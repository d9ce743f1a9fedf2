/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What zone-aware routing has to know, for a view: the localities of priority
 * 0, and how many endpoints of the local cluster, the one that the proxies are
 * of, are usable in each.  A view that asked for this is outdated when the
 * local cluster changes.
 */

#include "mesh_cluster_impl.h"


const mesh_rec_bind_cluster_t *
mesh_cluster_local(const mesh_snapshot_t *s, const mesh_rec_root_t *root,
    const mesh_rec_bind_cluster_t *bind)
{
    mesh_str_t  name;

    if (bind->local == 0 || root == NULL) {
        return NULL;
    }

    name = mesh_get_str(s, bind->local);

    return mesh_cluster_bind(s, root, name, mesh_hash32(name.data, name.len));
}


static uint64_t
zone_basis(const mesh_view_zones_t *zones, const mesh_endpoint_t *endpoint)
{
    return zones->params->flags & MESH_ZONE_BY_WEIGHT ? endpoint->weight : 1;
}


/* A locality's place, beginning at a likely one; their count: none yet. */
static uint32_t
zone_place(const mesh_view_zones_t *zones, mesh_ref_t locality, uint32_t likely)
{
    uint32_t  i;

    if (likely < zones->count && zones->v[likely].locality == locality) {
        return likely;
    }

    for (i = 0; i < zones->count; i++) {
        if (zones->v[i].locality == locality) {
            break;
        }
    }

    return i;
}


/* The node's own first, others as they come; false: too many. */
static bool
zone_places(mesh_view_build_t *b, mesh_view_zones_t *zones, mesh_ref_t node)
{
    uint32_t               i, place;
    mesh_view_endpoint_t  *v;

    place = 0;
    zones->v[zones->count++].locality = node;

    for (i = 0; i < b->view->total; i++) {
        v = &b->endpoints[i];

        if (v->priority != 0) {
            continue;
        }

        place = zone_place(zones, v->endpoint->locality, place);

        if (place == MESH_ZONES_MAX) {
            return false;
        }

        if (place == zones->count) {
            zones->v[zones->count++].locality = v->endpoint->locality;
        }

        v->place = place;
    }

    return true;
}


/* As for the view itself: what changes later is a new epoch. */
static void
zone_find_runtime(const mesh_view_build_t *b, mesh_view_zones_t *zones)
{
    zones->health_epoch = mesh_health_epoch(b->health, zones->tag);
    zones->runtime = mesh_view_cluster_slot(b, zones->local->slot, zones->tag);

    if (zones->runtime != NULL) {
        zones->epoch = mesh_cluster_epoch(zones->runtime);
    }
}


/* Only looks: what is over is for the local cluster's own views to end. */
static uint32_t
zone_out(mesh_view_build_t *b, const mesh_view_zones_t *zones,
    const mesh_endpoint_t *endpoint, uint32_t slot)
{
    uint32_t               health;
    uint64_t               tag, until;
    mesh_endpoint_slot_t  *rt_slot;

    tag = mesh_endpoint_tag(b->s, zones->tag, endpoint);
    health = mesh_health_bits(b->health, slot, tag);
    rt_slot = mesh_view_endpoint_slot(b, slot, tag);

    if (rt_slot != NULL) {
        until = mesh_ejected_until(mesh_load_acquire(&rt_slot->ejected));

        if (until > b->now_ms) {
            b->view->next_ms = mesh_min(b->view->next_ms, until);
        }
    }

    return mesh_endpoint_out(endpoint, health, rt_slot, b->now_ms);
}


static void
zone_count(mesh_view_build_t *b, mesh_view_zones_t *zones,
    const mesh_endpoint_t *endpoint, uint32_t slot)
{
    uint32_t  out, place;

    place = zone_place(zones, endpoint->locality, zones->last);
    zones->last = place;

    if (zones->endpoints++ == 0) {
        zones->first = endpoint->locality;
    }

    zones->several |= (endpoint->locality != zones->first);
    zones->here += (place == 0);

    out = zone_out(b, zones, endpoint, slot);
    zones->level.total += !(out & MESH_OUT_WISHED);

    if (out != 0) {
        return;
    }

    zones->level.usable++;
    zones->sum += zone_basis(zones, endpoint);

    if (place < zones->count) {
        zones->v[place].usable++;
        zones->v[place].local += zone_basis(zones, endpoint);
    }
}


/* Those of priority 0; Envoy's local cluster has no others. */
static void
zone_count_local(mesh_view_build_t *b, mesh_view_zones_t *zones)
{
    uint32_t                          c, e;
    const mesh_rec_refs_t            *lists;
    const mesh_rec_u32s_t            *slots;
    const mesh_rec_endpoint_set_t    *set;
    const mesh_rec_endpoint_chunk_t  *chunk;

    set = mesh_get(b->s, zones->local->set);
    lists = mesh_get(b->s, zones->local->slots);

    for (c = 0; set != NULL && c < set->count; c++) {
        chunk = mesh_get(b->s, set->v[c]);
        slots = mesh_chunk_slots(b->s, lists, c);

        for (e = 0; e < chunk->count; e++) {
            if (chunk->v[e].priority == 0) {
                zone_count(b, zones, &chunk->v[e], mesh_chunk_slot(slots, e));
            }
        }
    }
}


/* What is missing in any case, before anybody is counted. */
static mesh_zone_e
zone_missing(const mesh_view_build_t *b, const mesh_view_zones_t *zones,
    mesh_ref_t node)
{
    if (zones->params->enabled_percent == 0) {
        return MESH_ZONE_DISABLED;
    }

    if (node == 0) {
        return MESH_ZONE_NO_NODE;
    }

    if (zones->local == NULL) {
        return b->view->bind->local ? MESH_ZONE_NO_LOCAL : MESH_ZONE_NO_NAME;
    }

    return zones->local == b->view->bind ? MESH_ZONE_ITSELF : MESH_ZONE_NONE;
}


bool
mesh_view_zones(mesh_view_build_t *b, const mesh_rec_root_t *root)
{
    size_t                          size;
    mesh_str_t                      name;
    mesh_view_zones_t              *zones;
    const mesh_rec_lb_t            *params;
    const mesh_rec_bind_cluster_t  *bind;

    params = b->view->params;
    bind = b->view->bind;

    if (params == NULL || params->zone_aware == 0) {
        return true;
    }

    size = sizeof(mesh_view_zones_t)
           + MESH_ZONES_MAX * sizeof(mesh_view_zone_t);

    zones = mesh_alloc(b->arena, size);
    if (zones == NULL) {
        return false;
    }

    memset(zones, 0, size);
    zones->params = mesh_get(b->s, params->zone_aware);
    zones->local = mesh_cluster_local(b->s, root, bind);
    zones->off = zone_missing(b, zones, bind->node);
    b->view->zones = zones;

    if (zones->off != MESH_ZONE_NONE) {
        return true;
    }

    if (!zone_places(b, zones, bind->node)) {
        zones->off = MESH_ZONE_MANY;
        return true;
    }

    name = mesh_get_str(b->s, zones->local->name);
    zones->tag = mesh_runtime_tag(mesh_hash64(name.data, name.len));

    zone_find_runtime(b, zones);
    zone_count_local(b, zones);

    return true;
}


static uint32_t
zone_fill(const mesh_view_build_t *b, const uint32_t *members, uint32_t n,
    mesh_zone_share_t *rows, uint32_t *usable)
{
    uint32_t                     i, count;
    mesh_zone_share_t           *row;
    const mesh_view_zones_t     *zones;
    const mesh_view_endpoint_t  *v;

    zones = b->view->zones;
    count = 0;
    *usable = 0;

    for (i = 0; i < zones->count; i++) {
        rows[i] = (mesh_zone_share_t) { .local = zones->v[i].local };
    }

    for (i = 0; i < n; i++) {
        v = &b->endpoints[members[i]];

        if (v->priority != 0) {
            continue;
        }

        row = &rows[v->place];
        count += (row->members++ == 0);

        if (v->out == 0) {
            (*usable)++;
            row->usable++;
            row->weight += v->weight;
            row->upstream += zone_basis(zones, v->endpoint);
        }
    }

    return count;
}


mesh_zone_e
mesh_view_zone_shares(const mesh_view_build_t *b, const uint32_t *members,
    uint32_t n, bool panic, uint64_t shares[MESH_ZONES_MAX])
{
    uint32_t                      i, count, usable;
    mesh_zone_e                   state;
    mesh_zone_share_t             rows[MESH_ZONES_MAX];
    const mesh_view_zones_t      *zones;
    const mesh_rec_zone_aware_t  *params;

    zones = b->view->zones;
    params = zones->params;

    if (zones->off != MESH_ZONE_NONE) {
        return zones->off;
    }

    if (panic) {
        return MESH_ZONE_PANIC;
    }

    count = zone_fill(b, members, n, rows, &usable);

    if (count < 2) {
        return MESH_ZONE_ONE;
    }

    if (!zones->several && params->force_min == 0) {
        return MESH_ZONE_LOCAL_ONE;
    }

    if (zones->here == 0) {
        return MESH_ZONE_LOCAL_ELSEWHERE;
    }

    if (usable < mesh_max(params->min_size, 1)) {
        return MESH_ZONE_SMALL;
    }

    /* The local cluster's, by this one's threshold. */

    if (mesh_level_panics(&zones->level, b->cluster->panic_percent)) {
        return MESH_ZONE_LOCAL_PANIC;
    }

    state = mesh_zone_shares(rows, zones->count, zones->sum, params->force_min,
                             params->enabled_percent);

    for (i = 0; i < zones->count; i++) {
        shares[i] = rows[i].share;
    }

    return state;
}
