/* SPDX-License-Identifier: Apache-2.0 */

/* A snapshot with one cluster, put together record by record. */

#include "cluster_fixture.h"
#include "runtime_memory.h"

#include <stdio.h>
#include <stdlib.h>

#define FIXTURE_CAPACITY MESH_FILE_CAPACITY_MIN
#define FIXTURE_LABELS 8

static void fixture_die(const char *what) {
    fprintf(stderr, "cluster fixture: %s\n", what ? what : "failed");
    abort();
}

static void *fixture_zeroed(size_t size) {
    void *p = calloc(1, size ? size : 1);
    if (p == NULL) {
        fixture_die("no memory");
    }
    return p;
}

static mesh_ref_t put_text(fixture_t *f, const char *text, size_t len) {
    return mesh_writer_put_str(f->writer, (mesh_str_t){len, text});
}

/* "a=1,b=2" -> LABELS */
static mesh_ref_t put_labels(fixture_t *f, const char *text) {
    if (text == NULL || *text == '\0') {
        return 0;
    }

    size_t size =
        sizeof(mesh_rec_labels_t) + FIXTURE_LABELS * sizeof(mesh_label_t);
    mesh_rec_labels_t *rec = fixture_zeroed(size);

    while (*text != '\0') {
        size_t name = strcspn(text, "=");
        size_t value = strcspn(text + name + 1, ",");
        mesh_label_t *label = &rec->v[rec->count++];
        label->name = put_text(f, text, name);
        label->value = put_text(f, text + name + 1, value);
        text += name + 1 + value;
        text += (*text == ',');
    }

    rec->rec.kind = MESH_KIND_LABELS;
    rec->rec.size = (uint32_t)(sizeof(*rec) + rec->count * sizeof(rec->v[0]));

    mesh_ref_t ref = mesh_writer_put(f->writer, &rec->rec);
    free(rec);
    return ref;
}

static mesh_ref_t put_locality(fixture_t *f, const char *text) {
    mesh_rec_locality_t rec = {.rec = {MESH_KIND_LOCALITY, 0, sizeof(rec)}};
    mesh_ref_t *parts[] = {&rec.region, &rec.zone, &rec.sub_zone};
    size_t n = text != NULL && strchr(text, '/') == NULL; /* a zone alone */

    for (; text != NULL && n < mesh_nelts(parts); n++) {
        size_t len = strcspn(text, "/");
        *parts[n] = len ? put_text(f, text, len) : 0;
        text = text[len] != '\0' ? text + len + 1 : NULL;
    }
    return rec.region || rec.zone || rec.sub_zone
               ? mesh_writer_put(f->writer, &rec.rec)
               : 0;
}

static mesh_ref_t put_weights(fixture_t *f, const fixture_spec_t *spec) {
    if (spec->nweights == 0) {
        return 0;
    }

    size_t size = sizeof(mesh_rec_locality_weights_t) +
                  spec->nweights * sizeof(mesh_locality_weight_t);
    size_t padded = (size + 7) / 8 * 8;
    mesh_rec_locality_weights_t *rec = fixture_zeroed(padded);
    rec->rec.kind = MESH_KIND_LOCALITY_WEIGHTS;
    rec->rec.size = (uint32_t)size;
    rec->count = spec->nweights;

    for (uint32_t i = 0; i < spec->nweights; i++) {
        const fixture_weight_t *weight = &spec->weights[i];
        rec->v[i] = (mesh_locality_weight_t){put_locality(f, weight->zone),
                                             weight->priority, weight->weight};
    }

    mesh_ref_t ref = mesh_writer_put(f->writer, &rec->rec);
    free(rec);
    return ref;
}

static mesh_ref_t put_keys(fixture_t *f, const char *text) {
    mesh_ref_t keys[MESH_SELECTOR_KEYS_MAX];
    uint32_t n = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        keys[n++] = put_text(f, text, len);
        text += len + (text[len] == ',');
    }
    return mesh_writer_put_refs(f->writer, MESH_KIND_STRING, keys, n);
}

static mesh_ref_t put_selectors(fixture_t *f, const fixture_spec_t *spec) {
    if (spec->nselectors == 0) {
        return 0;
    }

    size_t size = sizeof(mesh_rec_selectors_t) +
                  spec->nselectors * sizeof(mesh_selector_t);
    mesh_rec_selectors_t *rec = fixture_zeroed(size);
    rec->rec.kind = MESH_KIND_SELECTORS;
    rec->rec.size = (uint32_t)size;
    rec->count = spec->nselectors;

    for (uint32_t i = 0; i < spec->nselectors; i++) {
        const fixture_selector_t *selector = &spec->selectors[i];
        rec->v[i] =
            (mesh_selector_t){put_keys(f, selector->keys), selector->fallback,
                              selector->fallback_keys, 0};
    }

    mesh_ref_t ref = mesh_writer_put(f->writer, &rec->rec);
    free(rec);
    return ref;
}

static mesh_ref_t put_subsets(fixture_t *f, const fixture_spec_t *spec) {
    if (spec->nsubsets == 0 && spec->nselectors == 0 &&
        spec->subset_flags == 0 && spec->fallback == MESH_FALLBACK_NONE) {
        return 0;
    }

    size_t size =
        sizeof(mesh_rec_subsets_t) + spec->nsubsets * sizeof(mesh_subset_t);
    mesh_rec_subsets_t *rec = fixture_zeroed(size);
    rec->rec.kind = MESH_KIND_SUBSETS;
    rec->rec.size = (uint32_t)size;
    rec->count = spec->nsubsets;
    rec->fallback = spec->fallback;
    rec->selectors = put_selectors(f, spec);
    rec->flags = spec->subset_flags;

    for (uint32_t i = 0; i < spec->nsubsets; i++) {
        const char *name = spec->subsets[i].name;
        rec->v[i].hash = mesh_hash32(name, strlen(name));
        rec->v[i].name = put_text(f, name, strlen(name));
        rec->v[i].labels = put_labels(f, spec->subsets[i].labels);
    }

    mesh_ref_t ref = mesh_writer_put(f->writer, &rec->rec);
    free(rec);
    return ref;
}

static void fill_endpoint(fixture_t *f, mesh_endpoint_t *e,
                          const fixture_endpoint_t *spec) {
    e->family = MESH_FAMILY_IPV4;
    e->health = spec->health;
    e->port = 9080;
    e->addr[0] = 10;
    e->addr[1] = (uint8_t)(spec->id >> 16);
    e->addr[2] = (uint8_t)(spec->id >> 8);
    e->addr[3] = (uint8_t)spec->id;
    e->weight = spec->weight;
    e->key_hash = spec->id;
    e->labels = put_labels(f, spec->labels);
    e->locality = put_locality(f, spec->zone);
    e->priority = spec->priority;
}

static fixture_endpoint_t endpoint_of(const fixture_spec_t *spec, uint32_t i) {
    return spec->endpoints ? spec->endpoints[i]
                           : (fixture_endpoint_t){.id = i, .weight = 1};
}

static mesh_ref_t put_chunk(fixture_t *f, const fixture_spec_t *spec,
                            uint32_t from, uint32_t n, mesh_ref_t *slots) {
    uint32_t v[MESH_CHUNK_MAX];
    size_t size =
        sizeof(mesh_rec_endpoint_chunk_t) + n * sizeof(mesh_endpoint_t);
    mesh_rec_endpoint_chunk_t *chunk = fixture_zeroed(size);
    chunk->rec.kind = MESH_KIND_ENDPOINT_CHUNK;
    chunk->rec.size = (uint32_t)size;
    chunk->count = n;

    for (uint32_t i = 0; i < n; i++) {
        fixture_endpoint_t e = endpoint_of(spec, from + i);
        fill_endpoint(f, &chunk->v[i], &e);
        v[i] = e.slotless ? MESH_SLOT_NONE : e.id;
    }

    mesh_ref_t ref = mesh_writer_put(f->writer, &chunk->rec);
    free(chunk);

    *slots = mesh_writer_put_u32s(f->writer, v, n);
    return ref;
}

static mesh_ref_t put_set(fixture_t *f, const fixture_spec_t *spec,
                          mesh_ref_t *slots) {
    *slots = 0;

    if (spec->count == 0) {
        return 0;
    }

    uint32_t chunks = (spec->count + MESH_CHUNK_MAX - 1) / MESH_CHUNK_MAX;
    uint32_t n = chunks * (spec->repeats + 1);
    size_t size = sizeof(mesh_rec_endpoint_set_t) + n * sizeof(mesh_ref_t);
    mesh_rec_endpoint_set_t *set = fixture_zeroed(size);
    mesh_ref_t *chunk_slots = fixture_zeroed(n * sizeof(mesh_ref_t));
    set->rec.kind = MESH_KIND_ENDPOINT_SET;
    set->rec.size = (uint32_t)size;
    set->total = spec->count * (spec->repeats + 1);
    set->count = n;

    for (uint32_t i = 0; i < n; i++) {
        if (i >= chunks) {
            set->v[i] = set->v[i - chunks];
            chunk_slots[i] = chunk_slots[i - chunks];
            continue;
        }
        uint32_t from = i * MESH_CHUNK_MAX;
        uint32_t len = mesh_min(spec->count - from, MESH_CHUNK_MAX);
        set->v[i] = put_chunk(f, spec, from, len, &chunk_slots[i]);
    }

    mesh_ref_t ref = mesh_writer_put(f->writer, &set->rec);
    *slots = mesh_writer_put_refs(f->writer, MESH_KIND_U32S, chunk_slots, n);
    free(chunk_slots);
    free(set);
    return ref;
}

static mesh_ref_t put_params(fixture_t *f, const fixture_spec_t *spec) {
    mesh_rec_lb_t rec = spec->params;

    rec.rec = (mesh_rec_t){MESH_KIND_LB, 0, sizeof(rec)};
    rec.weights = put_weights(f, spec);
    if (spec->zone_aware != NULL) {
        mesh_rec_zone_aware_t zone = *spec->zone_aware;
        zone.rec = (mesh_rec_t){MESH_KIND_ZONE_AWARE, 0, sizeof(zone)};
        rec.zone_aware = mesh_writer_put(f->writer, &zone.rec);
    }
    if (spec->lb == MESH_LB_MAGLEV && rec.table_size == 0) {
        rec.table_size = 65537;
    }
    if (spec->lb == MESH_LB_RING_HASH && rec.ring_min == 0) {
        rec.ring_min = 1024;
        rec.ring_max = 65536;
    }
    if (spec->lb == MESH_LB_PEAK_EWMA && rec.decay_ms == 0) {
        rec.decay_ms = 10000;
        rec.default_rtt_ms = 30;
    }
    return mesh_writer_put(f->writer, &rec.rec);
}

static mesh_ref_t put_cluster(fixture_t *f, const fixture_spec_t *spec,
                              mesh_str_t name) {
    mesh_rec_cluster_t rec = {
        .rec = {MESH_KIND_CLUSTER, 0, sizeof(rec)},
        .name = put_text(f, name.data, name.len),
        .name_hash = mesh_hash32(name.data, name.len),
        .lb = (uint8_t)spec->lb,
        .panic_percent = spec->panic_percent,
        .lb_choices = spec->lb_choices,
        .subsets = put_subsets(f, spec),
        .lb_params = put_params(f, spec),
    };
    return mesh_writer_put(f->writer, &rec.rec);
}

/* What a root's maps say of one cluster. */
typedef struct {
    mesh_str_t name;
    mesh_ref_t cluster;
    mesh_ref_t set;
    mesh_ref_t bind;
} fixture_bound_t;

static mesh_str_t name_of(const fixture_spec_t *spec) {
    return mesh_str_from(spec->name ? spec->name : "reviews");
}

static fixture_bound_t put_bound(fixture_t *f, const fixture_spec_t *spec) {
    mesh_str_t name = name_of(spec);
    mesh_ref_t slots;
    mesh_rec_bind_cluster_t bind = {
        .rec = {MESH_KIND_BIND_CLUSTER, 0, sizeof(bind)},
        .name = put_text(f, name.data, name.len),
        .cluster = put_cluster(f, spec, name),
        .set = put_set(f, spec, &slots),
        .slot = spec->slot,
    };
    bind.slots = slots;
    bind.node = put_locality(f, spec->node);
    if (spec->local_name != NULL) {
        bind.local = put_text(f, spec->local_name, strlen(spec->local_name));
    }
    return (fixture_bound_t){name, bind.cluster, bind.set,
                             mesh_writer_put(f->writer, &bind.rec)};
}

static mesh_ref_t put_map(fixture_t *f, uint16_t kind,
                          const fixture_bound_t *bound, size_t offset) {
    mesh_map_entry_t entries[2];
    uint32_t count = 0;

    for (uint32_t i = 0; i < 2; i++) {
        mesh_ref_t value;
        memcpy(&value, (const char *)&bound[i] + offset, sizeof(value));
        if (value != 0) {
            entries[count++] = (mesh_map_entry_t){
                .name = put_text(f, bound[i].name.data, bound[i].name.len),
                .value = value};
        }
    }
    return count ? mesh_writer_put_map(f->writer, kind, entries, count) : 0;
}

static mesh_ref_t put_root(fixture_t *f, const fixture_spec_t *spec) {
    fixture_bound_t bound[2] = {{.bind = 0}};

    if (spec->local != NULL) {
        bound[1] = put_bound(f, spec->local);
    }
    bound[0] = put_bound(f, spec);

    mesh_rec_policy_t policy = {
        .rec = {MESH_KIND_POLICY, 0, sizeof(policy)},
        .clusters = put_map(f, MESH_KIND_CLUSTER, bound,
                            offsetof(fixture_bound_t, cluster))};
    mesh_rec_endpoints_t endpoints = {
        .rec = {MESH_KIND_ENDPOINTS, 0, sizeof(endpoints)},
        .sets = put_map(f, MESH_KIND_ENDPOINT_SET, bound,
                        offsetof(fixture_bound_t, set))};
    mesh_rec_binding_t binding = {
        .rec = {MESH_KIND_BINDING, 0, sizeof(binding)},
        .clusters = put_map(f, MESH_KIND_BIND_CLUSTER, bound,
                            offsetof(fixture_bound_t, bind))};
    mesh_rec_root_t root = {.rec = {MESH_KIND_ROOT, 0, sizeof(root)},
                            .generation = 1,
                            .policy = mesh_writer_put(f->writer, &policy.rec),
                            .endpoints =
                                mesh_writer_put(f->writer, &endpoints.rec),
                            .binding = mesh_writer_put(f->writer, &binding.rec),
                            .reason = put_text(f, "test", 4)};
    return mesh_writer_put(f->writer, &root.rec);
}

static void *fixture_alloc(void *ctx, size_t size) {
    fixture_t *f = ctx;

    bool fails = f->fails != 0 && --f->fails == 0;

    if (fails || f->limit == 0 || f->nblocks == mesh_nelts(f->blocks)) {
        f->refused++;
        return NULL;
    }

    f->limit--;
    return f->blocks[f->nblocks++] = malloc(size);
}

fixture_t *fixture_new(const fixture_spec_t *spec) {
    fixture_t *f = fixture_zeroed(sizeof(*f));
    mesh_str_t name = name_of(spec);

    f->limit = UINT32_MAX;
    f->arena = (mesh_arena_t){fixture_alloc, f};
    f->writer = mesh_writer_create(1, FIXTURE_CAPACITY);
    if (f->writer == NULL) {
        fixture_die("no writer");
    }

    mesh_ref_t root = put_root(f, spec);
    if (root == 0) {
        fixture_die(mesh_writer_error(f->writer));
    }

    mesh_pending_t pending = mesh_writer_pending(f->writer);
    f->image = fixture_zeroed(FIXTURE_CAPACITY);
    memcpy((uint8_t *)f->image + pending.offset, pending.data, pending.len);
    f->starts = fixture_zeroed(mesh_snapshot_starts_size(FIXTURE_CAPACITY));

    uint64_t end = pending.offset + pending.len;
    if (mesh_snapshot_init(&f->snapshot, f->image, FIXTURE_CAPACITY, end,
                           f->starts) != MESH_OK ||
        mesh_snapshot_verify(&f->snapshot, end, 0) != MESH_OK) {
        fixture_die(f->snapshot.error.reason);
    }

    f->root = mesh_snapshot_root(&f->snapshot, root);
    f->bind = mesh_cluster_bind(&f->snapshot, f->root, name,
                                mesh_hash32(name.data, name.len));
    if (f->bind == NULL) {
        fixture_die("no binding");
    }
    return f;
}

void fixture_free(fixture_t *f) {
    for (unsigned i = 0; i < f->nblocks; i++) {
        free(f->blocks[i]);
    }
    mesh_writer_free(f->writer);
    free(f->image);
    free(f->starts);
    free(f);
}

void fixture_runtime(mesh_runtime_t *rt) {
    static const mesh_runtime_sizes_t sizes = {4, 16, 16, FIXTURE_SLOTS};

    runtime_memory_make(rt, &sizes, 1);
}

void fixture_runtime_free(mesh_runtime_t *rt) {
    runtime_memory_remove(rt);
}

mesh_cluster_view_t *fixture_view(fixture_t *f, mesh_runtime_t *rt,
                                  uint64_t now_ms) {
    return mesh_cluster_view(&f->snapshot, f->root, f->bind, &f->health, rt,
                             rt != NULL, now_ms, &f->arena);
}

mesh_cluster_view_t *fixture_reader_view(fixture_t *f, mesh_runtime_t *rt,
                                         uint64_t now_ms) {
    return mesh_cluster_view(&f->snapshot, f->root, f->bind, &f->health, rt,
                             false, now_ms, &f->arena);
}

void fixture_table(fixture_t *f, mesh_cluster_view_t *view, uint32_t subset) {
    mesh_view_subset_t *s = &view->subsets[subset];
    mesh_lb_key_t key;
    mesh_lb_sizes_t sizes;

    for (uint32_t i = 0; i < s->ngroups; i++) {
        mesh_view_group_t *group = &s->groups[i];

        if (!mesh_lb_table_key(&f->snapshot, view, group, &key)) {
            continue;
        }
        mesh_lb_table_sizes(&f->snapshot, view, group, &sizes);
        void *work = fixture_zeroed(sizes.work);
        group->table = mesh_lb_table_build(&f->snapshot, view, group, &key,
                                           fixture_alloc(f, sizes.table), work);
        free(work);
    }
}
