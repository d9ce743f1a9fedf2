/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What tables have in common: keys, memory, and the pick.
 */

#include "mesh_lb_table.h"


/*
 * How often a hash is hashed again until it meets an endpoint that may be
 * picked: with one in ten usable, one in 850 requests gets past this.
 */
#define LB_HASH_PROBES   64

#define LB_PHI           UINT64_C(0x9e3779b97f4a7c15)


#define MESH_LB_TABLE_ROW(number, prefix)                                     \
    [number] = &prefix ## _table,

static const mesh_lb_table_ops_t *const  mesh_lb_tables[MESH_LB_MAX] = {
    MESH_LB_TABLE_LIST(MESH_LB_TABLE_ROW)
};


static mesh_lb_members_t
lb_members(const mesh_snapshot_t *s, const mesh_cluster_view_t *view,
    const mesh_view_group_t *group)
{
    uint32_t           i, weight;
    mesh_lb_members_t  members;

    members.s = s;
    members.view = view;
    members.group = group;
    members.total = 0;
    members.least = UINT32_MAX;

    for (i = 0; i < group->nhashed; i++) {
        weight = mesh_lb_member_weight(&members, i);
        members.total += weight;
        members.least = mesh_min(members.least, weight);
    }

    return members;
}


uint64_t
mesh_lb_member_id(const mesh_lb_members_t *members, uint32_t i)
{
    uint32_t                  k;
    mesh_str_t                key;
    const mesh_endpoint_t    *endpoint;
    const mesh_rec_labels_t  *labels;

    endpoint = members->view->endpoints[members->group->hashed[i]].endpoint;
    labels = mesh_get(members->s, endpoint->labels);

    for (k = 0; labels != NULL && k < labels->count; k++) {
        key = mesh_get_str(members->s, labels->v[k].name);

        if (mesh_str_eq(key, MESH_STR(MESH_LABEL_HASH_KEY))) {
            key = mesh_get_str(members->s, labels->v[k].value);
            return mesh_hash64(key.data, key.len);
        }
    }

    return mesh_endpoint_id(members->s, endpoint);
}


bool
mesh_lb_table_key(const mesh_snapshot_t *s, const mesh_cluster_view_t *view,
    const mesh_view_group_t *group, mesh_lb_key_t *key)
{
    uint32_t              i;
    uint64_t              id;
    mesh_lb_members_t     members;
    const mesh_rec_lb_t  *params;

    if (group->nhashed == 0 || group->table != NULL) {
        return false;
    }

    memset(key, 0, sizeof(*key));

    params = view->params;
    key->lb = view->cluster->lb;
    key->members = group->nhashed;

    if (key->lb == MESH_LB_MAGLEV) {
        key->size[0] = params->table_size;

    } else {
        key->size[0] = params->ring_min;
        key->size[1] = params->ring_max;
    }

    members.s = s;
    members.view = view;
    members.group = group;

    for (i = 0; i < group->nhashed; i++) {
        id = mesh_mix64(mesh_lb_member_id(&members, i)
                        + mesh_lb_member_weight(&members, i) * LB_PHI);

        key->content[0] = mesh_mix64(key->content[0] ^ id);
        key->content[1] = (key->content[1] + id) * LB_PHI;
    }

    return true;
}


void
mesh_lb_table_sizes(const mesh_snapshot_t *s, const mesh_cluster_view_t *view,
    const mesh_view_group_t *group, mesh_lb_sizes_t *sizes)
{
    mesh_lb_members_t  members;

    members = lb_members(s, view, group);

    mesh_lb_tables[view->cluster->lb]->sizes(&members, sizes);
    sizes->table += sizeof(mesh_lb_table_t);
}


mesh_lb_table_t *
mesh_lb_table_build(const mesh_snapshot_t *s, const mesh_cluster_view_t *view,
    const mesh_view_group_t *group, const mesh_lb_key_t *key, void *memory,
    void *work)
{
    mesh_lb_sizes_t     sizes;
    mesh_lb_table_t    *table;
    mesh_lb_members_t   members;

    mesh_lb_table_sizes(s, view, group, &sizes);
    memset(memory, 0, sizes.table);
    memset(work, 0, sizes.work);

    table = memory;
    table->key = *key;
    table->bytes = sizes.table;

    members = lb_members(s, view, group);
    mesh_lb_tables[view->cluster->lb]->build(&members, table, work);

    return table;
}


/*
 * Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam,
 * 2016), with a random jump instead of the next on the ring (Chen, Coleman,
 * Shrivastava, 2021), as Envoy's hash_balance_factor: an endpoint is full
 * with more than factor / 100 of its share of the attempts in flight.  The
 * cluster's attempts, whatever the subset, of which a group has its share.
 *
 * 0: it has room; else how full it is, in 1/1024 of what it may have.
 */
static uint64_t
lb_hash_full(const mesh_pick_t *pick, uint32_t index)
{
    uint64_t                     all, mine, room, total;
    const mesh_view_endpoint_t  *endpoint;

    endpoint = &pick->view->endpoints[index];

    if (pick->view->params->balance_factor == 0
        || pick->rt == NULL
        || pick->view->runtime == NULL
        || endpoint->slot >= pick->rt->sizes.endpoints)
    {
        return 0;
    }

    all = mesh_load_relaxed(&pick->view->runtime->in_flight) + 1;
    mine = mesh_load_relaxed(&pick->rt->endpoints[endpoint->slot].in_flight);
    total = pick->group->total;

    all = (all * pick->view->params->balance_factor + 99) / 100;

    if (pick->group->points < pick->subset->points) {
        all = all * pick->group->points / pick->subset->points;
    }

    room = (uint64_t) (((unsigned __int128) all * endpoint->weight + total - 1)
                       / total);
    room = mesh_max(room, 1);

    return mine < room ? 0 : mine * 1024 / room;
}


uint32_t
mesh_lb_hash_pick(const mesh_pick_t *pick,
    uint32_t (*find)(const mesh_lb_table_t *table, uint64_t hash))
{
    unsigned                   i;
    uint32_t                   index, best, position;
    uint64_t                   hash, full, least;
    const mesh_view_group_t  *group;

    if (!pick->hashed) {
        return lb_random_pick(pick);
    }

    group = pick->group;
    hash = pick->hash;
    best = MESH_PICK_NONE;
    least = UINT64_MAX;

    for (i = 0; group->table != NULL && i < LB_HASH_PROBES; i++) {
        index = group->hashed[find(group->table, hash)];
        hash = mesh_mix64(hash + LB_PHI);

        if ((pick->view->endpoints[index].out & group->mask)
            || mesh_lb_tried(pick, index))
        {
            continue;
        }

        full = lb_hash_full(pick, index);

        if (full == 0) {
            return index;
        }

        if (full < least) {
            least = full;
            best = index;
        }
    }

    if (best != MESH_PICK_NONE) {
        return best;
    }

    /* Hardly any is usable; or no memory for a table. */

    position = mesh_lb_draw(pick, MESH_PICK_NONE, mesh_mix64(pick->hash));

    return position != MESH_PICK_NONE ? group->pick[position]
                                      : MESH_PICK_NONE;
}
