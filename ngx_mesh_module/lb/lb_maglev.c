/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Maglev hashing (Eisenbud et al., "Maglev: A Fast and Reliable Software
 * Network Load Balancer", 2016, section 3.4): each member has a permutation
 * of the table's entries, and in turn takes the first of it that is free.
 *
 * Weights: a member has as many turns as its share of the table, so shares
 * are exact to one entry; one that has had its turns is left out, which
 * keeps the cost at the size of the table however weights differ.
 */

#include "mesh_lb_table.h"


#define MAGLEV_FREE   UINT32_MAX


typedef struct {
    uint32_t  member;
    uint32_t  turns;                    /* left */
    uint32_t  next;                     /* entry of the permutation ... */
    uint32_t  skip;                     /* ... and the way to the one after */
} maglev_t;


static void
maglev_sizes(const mesh_lb_members_t *members, mesh_lb_sizes_t *sizes)
{
    sizes->table = (size_t) members->view->params->table_size
                   * sizeof(uint32_t);
    sizes->work = members->group->nhashed * sizeof(maglev_t);
}


/* Who has a turn at all; running sums, so that nothing is left over. */
static uint32_t
maglev_begin(const mesh_lb_members_t *members, uint32_t size, maglev_t *m)
{
    uint32_t           i, n;
    uint64_t           id, upto, before, now;

    n = 0;
    upto = 0;
    before = 0;

    for (i = 0; i < members->group->nhashed; i++) {
        upto += mesh_lb_member_weight(members, i);
        now = (uint64_t) ((unsigned __int128) upto * size / members->total);

        if (now == before) {
            continue;
        }

        id = mesh_mix64(mesh_lb_member_id(members, i));

        m[n].member = i;
        m[n].turns = (uint32_t) (now - before);
        m[n].next = (uint32_t) ((id >> 32) % size);
        m[n].skip = (uint32_t) ((id & UINT32_MAX) % (size - 1)) + 1;

        before = now;
        n++;
    }

    return n;
}


/* `size` is prime, so every permutation reaches every entry. */
static void
maglev_take(mesh_lb_table_t *table, maglev_t *m)
{
    uint32_t  entry;

    entry = m->next;

    while (table->entries[entry] != MAGLEV_FREE) {
        entry += m->skip;

        if (entry >= table->count) {
            entry -= table->count;
        }
    }

    table->entries[entry] = m->member;
    m->next = entry;
}


static void
maglev_build(const mesh_lb_members_t *members, mesh_lb_table_t *table,
    void *work)
{
    uint32_t   i, n, left;
    maglev_t  *m;

    m = work;

    table->count = members->view->params->table_size;
    table->entries = (uint32_t *) (table + 1);

    memset(table->entries, 0xff, table->count * sizeof(uint32_t));

    for (n = maglev_begin(members, table->count, m); n != 0; n = left) {
        left = 0;

        for (i = 0; i < n; i++) {
            maglev_take(table, &m[i]);

            if (--m[i].turns) {
                m[left++] = m[i];
            }
        }
    }
}


static uint32_t
maglev_find(const mesh_lb_table_t *table, uint64_t hash)
{
    return table->entries[hash % table->count];
}


const mesh_lb_table_ops_t  lb_maglev_table = {
    .sizes = maglev_sizes,
    .build = maglev_build,
    .find = maglev_find,
};


uint32_t
lb_maglev_pick(const mesh_pick_t *pick)
{
    return mesh_lb_hash_pick(pick, maglev_find);
}
