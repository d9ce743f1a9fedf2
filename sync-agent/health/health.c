/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Drains, and the words that say so; see health.h.
 */

#include "health.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent_log.h"
#include "mesh_cluster.h"

#define TEXT_MAX 320

typedef struct {
    uint64_t tag; /* of the endpoint's runtime slot */
    uint64_t cluster_tag;
    char *cluster;
    char *endpoint;
    uint32_t slot;
    uint32_t slot_now; /* in the root that is looked at */
    bool found;        /* in it */
    bool looked;
    uint64_t left; /* generation that it was not in any more; 0: it is in */
} drain_t;

struct health_s {
    char dir[MESH_ZONE_PATH_MAX];
    mesh_health_file_t file;
    bool loaded; /* the list has what the file said */
    drain_t *v;  /* in order of tag */
    uint32_t count;
};

/* An endpoint of the root that is being walked over. */
typedef struct {
    mesh_str_t cluster;
    uint64_t cluster_tag;
    const mesh_endpoint_t *endpoint;
    uint64_t tag;
    uint32_t slot;
} seen_t;

/* false: that is enough. */
typedef bool (*visit_pt)(health_t *health, const mesh_snapshot_t *s,
                         const seen_t *seen, void *ctx);

static void *must(void *memory) {
    if (memory == NULL) {
        agent_log(AGENT_LOG_ERROR, "out of memory");
        abort();
    }
    return memory;
}

static uint64_t cluster_tag(mesh_str_t name) {
    return mesh_runtime_tag(mesh_hash64(name.data, name.len));
}

/* --- walking ------------------------------------------------------------ */

static bool walk_chunk(health_t *health, const mesh_snapshot_t *s,
                       const mesh_rec_endpoint_chunk_t *chunk,
                       const mesh_rec_u32s_t *slots, seen_t *seen,
                       visit_pt visit, void *ctx) {
    for (uint32_t i = 0; i < chunk->count; i++) {
        seen->endpoint = &chunk->v[i];
        seen->tag = mesh_endpoint_tag(s, seen->cluster_tag, seen->endpoint);
        seen->slot = mesh_chunk_slot(slots, i);
        if (!visit(health, s, seen, ctx)) {
            return false;
        }
    }
    return true;
}

static void walk_cluster(health_t *health, const mesh_snapshot_t *s,
                         const mesh_rec_bind_cluster_t *bind, visit_pt visit,
                         void *ctx) {
    const mesh_rec_endpoint_set_t *set = mesh_get(s, bind->set);
    const mesh_rec_refs_t *slots = mesh_get(s, bind->slots);
    seen_t seen = {.cluster = mesh_get_str(s, bind->name)};

    seen.cluster_tag = cluster_tag(seen.cluster);
    for (uint32_t i = 0; set != NULL && i < set->count; i++) {
        if (!walk_chunk(health, s, mesh_get(s, set->v[i]),
                        mesh_chunk_slots(s, slots, i), &seen, visit, ctx)) {
            break;
        }
    }
}

static const mesh_rec_bind_cluster_t *find_cluster(const health_root_t *root,
                                                   const char *name) {
    mesh_str_t text = mesh_str_from(name);

    if (root->root == NULL) {
        return NULL;
    }
    return mesh_cluster_bind(root->s, root->root, text,
                             mesh_hash32(text.data, text.len));
}

/* --- the list ----------------------------------------------------------- */

/* The index of a tag, or where it belongs. */
static uint32_t index_of(const health_t *health, uint64_t tag) {
    uint32_t low = 0;
    uint32_t high = health->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (health->v[middle].tag < tag) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static drain_t *find_drain(const health_t *health, uint64_t tag) {
    uint32_t i = index_of(health, tag);
    return i < health->count && health->v[i].tag == tag ? &health->v[i] : NULL;
}

static drain_t *add_drain(health_t *health, const mesh_snapshot_t *s,
                          const seen_t *seen) {
    char text[TEXT_MAX];
    uint32_t i = index_of(health, seen->tag);
    size_t size = (health->count + 1) * sizeof(*health->v);

    health->v = must(realloc(health->v, size));
    memmove(health->v + i + 1, health->v + i,
            (health->count - i) * sizeof(*health->v));
    health->count++;
    (void)mesh_endpoint_text(s, seen->endpoint, text, sizeof(text));
    health->v[i] = (drain_t){
        .tag = seen->tag,
        .cluster_tag = seen->cluster_tag,
        .cluster = must(strndup(seen->cluster.data, seen->cluster.len)),
        .endpoint = must(strdup(text)),
        .slot = seen->slot,
    };
    return &health->v[i];
}

static void free_drain(drain_t *drain) {
    free(drain->cluster);
    free(drain->endpoint);
}

static void remove_drain(health_t *health, drain_t *drain) {
    size_t after = (size_t)(health->v + health->count - (drain + 1));

    free_drain(drain);
    health->count--;
    memmove(drain, drain + 1, after * sizeof(*drain));
}

uint32_t health_drained(const health_t *health) {
    uint32_t count = 0;

    for (uint32_t i = 0; i < health->count; i++) {
        count += health->v[i].left == 0;
    }
    return count;
}

bool health_follows(const health_t *health) {
    return health->count != 0;
}

/* --- words -------------------------------------------------------------- */

/* Of the causes in a word only this one is the list's. */
static bool write_word(health_t *health, const drain_t *drain, bool drained) {
    mesh_health_t *words = &health->file.health;
    uint32_t bits = mesh_health_bits(words, drain->slot, drain->tag);

    if (!drained && bits == 0) {
        return false; /* or somebody else's by now */
    }
    bits &= ~(uint32_t)MESH_HEALTH_DRAINED;
    bits |= drained ? MESH_HEALTH_DRAINED : 0;
    return mesh_health_set(words, drain->slot, drain->tag, drain->cluster_tag,
                           bits);
}

static void log_drain(const drain_t *drain, const char *what) {
    agent_log(AGENT_LOG_INFO, what, agent_s("cluster", drain->cluster),
              agent_s("endpoint", drain->endpoint));
}

/* A file of this zone, with a word for the slot; false with `error`. */
static bool ensure_file(health_t *health, uint32_t slot, char *error) {
    mesh_health_file_t file;
    mesh_zone_error_t why = {.what = NULL};

    if (mesh_health_current(&health->file, health->dir) &&
        slot < health->file.health.endpoints) {
        return true;
    }
    if (mesh_health_make(&file, health->dir, slot + 1, agent_unix_ms(), &why) !=
        MESH_OK) {
        snprintf(error, HEALTH_ERROR_MAX, "%s in %.256s: %s%s%s",
                 MESH_ZONE_HEALTH, health->dir, why.what ? why.what : "make",
                 why.err ? ": " : "", why.err ? strerror(why.err) : "");
        return false;
    }
    mesh_health_close(&health->file);
    health->file = file;
    for (uint32_t i = 0; i < health->count; i++) {
        (void)write_word(health, &health->v[i], true);
    }
    return true;
}

/* --- beginning ---------------------------------------------------------- */

static bool load_endpoint(health_t *health, const mesh_snapshot_t *s,
                          const seen_t *seen, void *ctx) {
    uint32_t bits =
        mesh_health_bits(&health->file.health, seen->slot, seen->tag);

    (void)ctx;
    if ((bits & MESH_HEALTH_DRAINED) && !find_drain(health, seen->tag)) {
        log_drain(add_drain(health, s, seen), "endpoint is drained");
    }
    return true;
}

/* Nobody's of the published root: if its owner came back, it is none. */
static void clear_strays(health_t *health) {
    mesh_health_t *words = &health->file.health;

    for (uint32_t slot = 0; slot < words->endpoints; slot++) {
        uint64_t tag =
            mesh_load_relaxed(&words->words[slot]) & ~MESH_HEALTH_CAUSES;
        bool owned = tag == 0;
        for (uint32_t i = 0; i < health->count && !owned; i++) {
            const drain_t *drain = &health->v[i];
            owned = drain->slot == slot &&
                    (drain->tag & ~MESH_HEALTH_CAUSES) == tag;
        }
        if (!owned) {
            (void)mesh_health_set(words, slot, tag, 0, 0);
        }
    }
}

static void load(health_t *health, const health_root_t *root) {
    const mesh_rec_binding_t *binding =
        root->root ? mesh_get(root->s, root->root->binding) : NULL;
    const mesh_health_t *words = &health->file.health;
    mesh_map_iter_t iter = {0};
    const mesh_map_entry_t *entry;
    uint64_t any = 0;

    health->loaded = true;
    for (uint32_t slot = 0; slot < words->endpoints; slot++) {
        any |= mesh_load_relaxed(&words->words[slot]);
    }
    if (any == 0) {
        return;
    }
    while (binding != NULL &&
           (entry = mesh_map_next(root->s, binding->clusters, &iter))) {
        walk_cluster(health, root->s, mesh_get(root->s, entry->value),
                     load_endpoint, NULL);
    }
    clear_strays(health);
}

health_t *health_open(const char *dir, const health_root_t *root) {
    health_t *health = must(calloc(1, sizeof(*health)));
    char error[HEALTH_ERROR_MAX];

    snprintf(health->dir, sizeof(health->dir), "%s", dir);
    if (ensure_file(health, 0, error)) {
        load(health, root);
    } else {
        agent_log(AGENT_LOG_WARN, "no endpoint can be drained",
                  agent_s("error", error));
    }
    return health;
}

void health_close(health_t *health) {
    if (health == NULL) {
        return;
    }
    for (uint32_t i = 0; i < health->count; i++) {
        free_drain(&health->v[i]);
    }
    free(health->v);
    mesh_health_close(&health->file);
    free(health);
}

/* --- following the mesh ------------------------------------------------- */

static bool look_endpoint(health_t *health, const mesh_snapshot_t *s,
                          const seen_t *seen, void *ctx) {
    drain_t *drain = find_drain(health, seen->tag);

    (void)s;
    (void)ctx;
    if (drain != NULL) {
        drain->found = true;
        drain->slot_now = seen->slot;
    }
    return true;
}

/* Each cluster with a drain is walked over once. */
static void look(health_t *health, const health_root_t *root) {
    for (uint32_t i = 0; i < health->count; i++) {
        health->v[i].found = health->v[i].looked = false;
    }
    for (uint32_t i = 0; i < health->count; i++) {
        if (health->v[i].looked) {
            continue;
        }
        const mesh_rec_bind_cluster_t *bind =
            find_cluster(root, health->v[i].cluster);
        if (bind != NULL) {
            walk_cluster(health, root->s, bind, look_endpoint, NULL);
        }
        for (uint32_t k = i; k < health->count; k++) {
            health->v[k].looked |=
                health->v[k].cluster_tag == health->v[i].cluster_tag;
        }
    }
}

static bool move_word(health_t *health, drain_t *drain) {
    char error[HEALTH_ERROR_MAX];
    bool changed = false;

    if (drain->slot != drain->slot_now) {
        changed = write_word(health, drain, false);
        drain->slot = drain->slot_now;
    }
    if (drain->slot == MESH_SLOT_NONE) {
        return changed; /* a worker does not pick it either */
    }
    if (!ensure_file(health, drain->slot, error)) {
        agent_log(AGENT_LOG_ERROR, "an endpoint cannot stay drained",
                  agent_s("cluster", drain->cluster),
                  agent_s("endpoint", drain->endpoint),
                  agent_s("error", error));
        return changed;
    }
    return write_word(health, drain, true) || changed;
}

bool health_follow(health_t *health, const health_root_t *root,
                   uint64_t oldest) {
    bool changed = false;

    look(health, root);
    for (uint32_t i = 0; i < health->count;) {
        drain_t *drain = &health->v[i];
        bool over = drain->left != 0 && oldest >= drain->left;
        if (drain->found && drain->left == 0) {
            changed |= move_word(health, drain);
        } else if (drain->found || over) {
            changed |= write_word(health, drain, false);
            remove_drain(health, drain);
            continue;
        } else if (drain->left == 0) {
            drain->left = root->root ? root->root->generation : 1;
            log_drain(drain, "the drain ended: the endpoint left the mesh");
        }
        i++;
    }
    return changed;
}

/* --- requests ----------------------------------------------------------- */

typedef struct {
    const char *endpoint;
    bool found;
    seen_t seen;
} search_t;

static bool search_endpoint(health_t *health, const mesh_snapshot_t *s,
                            const seen_t *seen, void *ctx) {
    search_t *search = ctx;
    char text[TEXT_MAX];

    (void)health;
    (void)mesh_endpoint_text(s, seen->endpoint, text, sizeof(text));
    if (strcmp(text, search->endpoint) == 0) {
        search->found = true;
        search->seen = *seen;
    }
    return !search->found;
}

static bool search(health_t *health, const health_root_t *root,
                   const char *cluster, search_t *search, char *error) {
    const mesh_rec_bind_cluster_t *bind = find_cluster(root, cluster);

    if (bind == NULL) {
        snprintf(error, HEALTH_ERROR_MAX,
                 "there is no cluster \"%.128s\" in the published mesh",
                 cluster);
        return false;
    }
    walk_cluster(health, root->s, bind, search_endpoint, search);
    if (!search->found) {
        snprintf(error, HEALTH_ERROR_MAX,
                 "cluster \"%.128s\" has no endpoint \"%.128s\"; meshctl "
                 "endpoints lists them",
                 cluster, search->endpoint);
        return false;
    }
    if (search->seen.slot == MESH_SLOT_NONE) {
        snprintf(error, HEALTH_ERROR_MAX,
                 "the endpoint has no slot in the runtime: mesh_zone's "
                 "endpoints= is too small");
        return false;
    }
    return true;
}

mesh_status_t health_drain(health_t *health, const health_root_t *root,
                           const char *cluster, const char *endpoint,
                           bool drained, health_target_t *target, char *error) {
    search_t found = {.endpoint = endpoint};

    if (!search(health, root, cluster, &found, error) ||
        !ensure_file(health, found.seen.slot, error)) {
        return MESH_ERROR;
    }
    if (!health->loaded) {
        load(health, root); /* it could not be opened at first */
    }
    drain_t *drain = find_drain(health, found.seen.tag);
    bool changes = (drain != NULL) != drained;
    if (drained && drain == NULL) {
        drain = add_drain(health, root->s, &found.seen);
    }
    if (changes) {
        (void)write_word(health, drain, drained);
        log_drain(drain, drained ? "endpoint drained" : "endpoint undrained");
    }
    if (!drained && drain != NULL) {
        remove_drain(health, drain);
    }
    *target = (health_target_t){
        .changes = mesh_health_changes(&health->file.health),
        .slot = found.seen.slot,
        .tag = found.seen.tag,
    };
    return changes ? MESH_OK : MESH_DECLINED;
}
