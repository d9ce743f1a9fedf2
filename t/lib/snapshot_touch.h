/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reads all that readers of a snapshot may read: every accessor, every byte
 * of every record, in the ways that workers do.  Whatever passed the checks
 * has to survive this under a sanitizer.  In a header, since fuzz targets
 * link no test library.
 */

#ifndef SNAPSHOT_TOUCH_H
#define SNAPSHOT_TOUCH_H

#include <stdio.h>
#include <stdlib.h>

#include "mesh_schema.h"
#include "mesh_snapshot.h"
#include "mesh_snapshot_walk.h"

#define touch_must(x)                                                          \
    do {                                                                       \
        if (!(x)) {                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);            \
            abort();                                                           \
        }                                                                      \
    } while (0)

typedef struct {
    const mesh_snapshot_t *s;
    uint64_t records;
    uint64_t sum; /* of all bytes, so that no read is left out */
} touch_t;

static inline mesh_status_t touch_ref(void *ctx, const mesh_rec_t *rec,
                                      uint32_t offset,
                                      const mesh_ref_field_t *field) {
    const touch_t *t = ctx;
    mesh_ref_t ref;
    touch_must(offset + sizeof(ref) <= rec->size);
    memcpy(&ref, (const uint8_t *)rec + offset, sizeof(ref));
    if (ref == 0) {
        return MESH_OK;
    }
    const mesh_rec_t *to = mesh_snapshot_record(t->s, ref);
    touch_must(to != NULL && to < rec && mesh_schema(to->kind) != NULL);
    touch_must(field->kinds == 0 || field->kinds & mesh_kind_bit(to->kind));
    return MESH_OK;
}

static inline void touch_map(touch_t *t, mesh_ref_t ref,
                             const mesh_rec_map_t *map) {
    mesh_map_iter_t iter = {0, 0};
    const mesh_map_entry_t *e;
    uint32_t n = 0;
    while ((e = mesh_map_next(t->s, ref, &iter)) != NULL) {
        const mesh_str_t name = mesh_get_str(t->s, e->name);
        touch_must(mesh_map_find(t->s, ref, name, e->hash) == e);
        (void)mesh_map_find(t->s, ref, MESH_STR("absent"), e->hash ^ 1);
        touch_must((e->value == 0) == (map->value_kind == MESH_KIND_NONE));
        n++;
    }
    touch_must(n == map->count);
}

static inline void touch_trie(touch_t *t, const mesh_rec_trie_t *trie) {
    const mesh_str_t labels = mesh_get_str(t->s, trie->labels);
    const mesh_rec_u32s_t *lists = mesh_get(t->s, trie->lists);
    for (uint32_t i = 0; i < trie->count; i++) {
        const mesh_trie_node_t *node = &trie->v[i];
        for (uint32_t n = 0; n < node->label_len; n++) {
            t->sum += (uint8_t)labels.data[node->label + n];
        }
        for (uint32_t n = 0; n < node->children; n++) {
            touch_must(node->first_child + n > i);
            t->sum += trie->v[node->first_child + n].label_len;
        }
        for (uint32_t n = 0; n < node->prefixes + node->exacts; n++) {
            touch_must(lists->v[node->list + n] < trie->routes);
        }
    }
}

static inline void touch_vhost(touch_t *t, const mesh_rec_vhost_t *vhost) {
    const mesh_rec_trie_t *trie = mesh_get(t->s, vhost->trie);
    const mesh_rec_refs_t *routes = mesh_get(t->s, vhost->routes);
    for (uint32_t i = 0; trie != NULL && i < trie->routes; i++) {
        const mesh_rec_route_t *route = mesh_get(t->s, routes->v[i]);
        touch_must(route->rec.kind == MESH_KIND_ROUTE);
        const mesh_rec_split_t *split = mesh_get(t->s, route->split);
        touch_must(split == NULL ||
                   split->v[split->count - 1].upto == split->total);
    }
}

static inline void touch_bind(touch_t *t, const mesh_rec_bind_cluster_t *bind) {
    const mesh_rec_endpoint_set_t *set = mesh_get(t->s, bind->set);
    const mesh_rec_refs_t *slots = mesh_get(t->s, bind->slots);
    uint64_t total = 0;
    for (uint32_t i = 0; set != NULL && i < set->count; i++) {
        const mesh_rec_endpoint_chunk_t *chunk = mesh_get(t->s, set->v[i]);
        const mesh_rec_u32s_t *u = mesh_get(t->s, slots->v[i]);
        for (uint32_t n = 0; n < chunk->count; n++) {
            t->sum += u->v[n] + mesh_get_str(t->s, chunk->v[n].host).len;
            total++;
        }
    }
    touch_must(set == NULL || total == set->total);
}

static inline mesh_status_t touch_record(void *ctx, mesh_ref_t ref,
                                         const mesh_rec_t *rec) {
    touch_t *t = ctx;
    t->records++;
    for (uint32_t i = 0; i < rec->size; i++) {
        t->sum += ((const uint8_t *)rec)[i];
    }
    touch_must(mesh_schema_each_ref(rec, touch_ref, t) == MESH_OK);

    switch (rec->kind) {
    case MESH_KIND_STRING: {
        const mesh_str_t text = mesh_get_str(t->s, ref);
        touch_must(text.data[text.len] == '\0');
        break;
    }
    case MESH_KIND_MAP:
        touch_map(t, ref, (const mesh_rec_map_t *)rec);
        break;
    case MESH_KIND_TRIE:
        touch_trie(t, (const mesh_rec_trie_t *)rec);
        break;
    case MESH_KIND_VHOST:
        touch_vhost(t, (const mesh_rec_vhost_t *)rec);
        break;
    case MESH_KIND_BIND_CLUSTER:
        touch_bind(t, (const mesh_rec_bind_cluster_t *)rec);
        break;
    case MESH_KIND_ROOT:
        touch_must(mesh_snapshot_root(t->s, ref) != NULL);
        break;
    default:
        break;
    }
    return MESH_OK;
}

/* Everything that every checked root reaches; how many visits there were. */
static inline uint64_t touch_everything(const mesh_snapshot_t *s) {
    touch_t t = {s, 0, 0};
    const size_t size = mesh_snapshot_starts_size(s->verified);
    uint64_t *marks = malloc(size);
    touch_must(marks != NULL);
    for (mesh_ref_t ref = 8; (uint64_t)ref << 3 < s->verified; ref++) {
        if (mesh_snapshot_root(s, ref) == NULL) {
            continue;
        }
        memset(marks, 0, size);
        touch_must(mesh_snapshot_walk(s, ref, 0, marks, touch_record, &t) ==
                   MESH_OK);
    }
    free(marks);
    return t.records;
}

/* Each checked record, reached by a root or not. */
static inline uint64_t touch_all_records(const mesh_snapshot_t *s) {
    touch_t t = {s, 0, 0};
    for (mesh_ref_t ref = 8; (uint64_t)ref << 3 < s->verified; ref++) {
        const mesh_rec_t *rec = mesh_snapshot_record(s, ref);
        if (rec != NULL) {
            (void)touch_record(&t, ref, rec);
        }
    }
    return t.records;
}

#endif /* SNAPSHOT_TOUCH_H */
