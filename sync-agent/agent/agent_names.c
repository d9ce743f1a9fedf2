/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Names among endpoints: which ones the parts have, and what the published
 * root made of them, for the time until DNS answers.
 */

#include "agent.h"

#include <stdlib.h>
#include <string.h>

#include "mesh_zone.h"
#include "source_dns.h"

/* The published root, mapped while a question lasts. */
typedef struct {
    mesh_mapping_t *map;
    const mesh_rec_endpoints_t *endpoints;
} published_t;

static bool published_open(const agent_t *agent, published_t *p) {
    publisher_info_t info;
    mesh_zone_error_t error;

    *p = (published_t){0};
    publisher_info(agent->publisher, &info);
    if (info.word == 0) {
        return false;
    }
    p->map = mesh_mapping_open(agent->config->zone, mesh_word_file(info.word),
                               &error);
    if (p->map == NULL) {
        return false;
    }
    mesh_ref_t ref = mesh_word_root(info.word);
    if (mesh_mapping_adopt(p->map, ref, 0) == MESH_OK) {
        const mesh_rec_root_t *root =
            mesh_snapshot_root(&p->map->snapshot, ref);
        p->endpoints =
            root ? mesh_get(&p->map->snapshot, root->endpoints) : NULL;
    }
    return p->endpoints != NULL;
}

static void published_close(published_t *p) {
    if (p->map != NULL) {
        mesh_mapping_unref(p->map);
    }
}

static model_labels_t labels_of(const mesh_snapshot_t *s, arena_t *arena,
                                mesh_ref_t ref) {
    const mesh_rec_labels_t *rec = mesh_get(s, ref);
    model_labels_t labels = {.count = rec ? rec->count : 0};

    labels.v = arena_alloc(arena, (labels.count + 1) * sizeof(*labels.v));
    for (uint32_t i = 0; i < labels.count; i++) {
        labels.v[i] =
            (model_label_t){arena_str(arena, mesh_get_str(s, rec->v[i].name)),
                            arena_str(arena, mesh_get_str(s, rec->v[i].value))};
    }
    return labels;
}

static model_locality_t locality_of(const mesh_snapshot_t *s, arena_t *arena,
                                    mesh_ref_t ref) {
    const mesh_rec_locality_t *rec = mesh_get(s, ref);

    if (rec == NULL) {
        return (model_locality_t){.region = MESH_STR("")};
    }
    return (model_locality_t){arena_str(arena, mesh_get_str(s, rec->region)),
                              arena_str(arena, mesh_get_str(s, rec->zone)),
                              arena_str(arena, mesh_get_str(s, rec->sub_zone))};
}

static void add_endpoint(const mesh_snapshot_t *s, arena_t *arena,
                         const mesh_endpoint_t *from,
                         model_endpoint_set_t *set) {
    model_endpoint_t *to = &set->v[set->count++];

    *to = (model_endpoint_t){.family = from->family,
                             .health = from->health,
                             .port = from->port,
                             .host =
                                 arena_str(arena, mesh_get_str(s, from->host)),
                             .weight = from->weight,
                             .priority = from->priority,
                             .labels = labels_of(s, arena, from->labels),
                             .locality = locality_of(s, arena, from->locality)};
    memcpy(to->addr, from->addr, sizeof(to->addr));
}

/* source_dns.h: the set of that name as it is published. */
static bool published_set(void *ctx, arena_t *arena, mesh_str_t name,
                          model_endpoint_set_t *set) {
    published_t published;
    bool found = false;

    if (published_open(ctx, &published)) {
        const mesh_snapshot_t *s = &published.map->snapshot;
        const mesh_map_entry_t *entry =
            mesh_map_find(s, published.endpoints->sets, name,
                          mesh_hash32(name.data, name.len));
        const mesh_rec_endpoint_set_t *rec =
            entry ? mesh_get(s, entry->value) : NULL;

        found = rec != NULL;
        *set = (model_endpoint_set_t){.name = name};
        if (found) {
            set->v = arena_alloc(arena, (rec->total + 1) * sizeof(*set->v));
        }
        for (uint32_t i = 0; found && i < rec->count; i++) {
            const mesh_rec_endpoint_chunk_t *chunk = mesh_get(s, rec->v[i]);
            for (uint32_t k = 0; k < chunk->count && set->count < rec->total;
                 k++) {
                add_endpoint(s, arena, &chunk->v[k], set);
            }
        }
    }
    published_close(&published);
    return found;
}

bool agent_names_open(agent_t *agent, const char **error) {
    agent->dns = source_dns_open(&agent->config->dns, &agent->sink,
                                 published_set, agent, error);
    return agent->dns != NULL;
}

static uint32_t gather(const source_bundle_t *bundle,
                       const model_part_t **list) {
    uint32_t count = 0;

    for (uint32_t i = 0; bundle != NULL && i < bundle->count; i++) {
        if (bundle->items[i]->part->nnamed != 0) {
            if (list != NULL) {
                list[count] = bundle->items[i]->part;
            }
            count++;
        }
    }
    return count;
}

void agent_names_follow(agent_t *agent) {
    const agent_parts_t *parts = &agent->parts;
    uint32_t count = 0;

    for (uint32_t i = 0; i < parts->count; i++) {
        count += gather(parts->v[i].good, NULL);
        count += gather(parts->v[i].next, NULL);
    }
    const model_part_t **list = calloc(count + 1, sizeof(*list));

    if (list == NULL) {
        abort();
    }
    count = 0;
    /*
     * Of sets of one name the last one counts.  What is in force comes last,
     * for what is coming may be refused.
     */
    for (uint32_t i = 0; i < parts->count; i++) {
        count += gather(parts->v[i].next, list + count);
    }
    for (uint32_t i = 0; i < parts->count; i++) {
        count += gather(parts->v[i].good, list + count);
    }
    source_dns_follow(agent->dns, list, count, agent_now_ms());
    free(list);
}

uint64_t agent_names_due(const agent_t *agent, uint64_t publish_ms) {
    return mesh_max(publish_ms, source_dns_wait(agent->dns));
}
