/* SPDX-License-Identifier: Apache-2.0 */

/*
 * After a restart: the published root has parts of which this process knows
 * nothing yet.  A part that is read as it was is in force as it was.  One
 * that is broken, gone, or does not fit any more gets its last good from the
 * text that was kept of it.  Where there is none, nothing is published:
 * without that part, its resources would leave the mesh.
 *
 * All of that is over with the first publishing.
 */

#include <stdio.h>
#include <stdlib.h>

#include "agent.h"
#include "agent_kept.h"
#include "mesh_zone.h"

static void held_add(agent_t *agent, mesh_str_t name, mesh_str_t version) {
    size_t size = (agent->nheld + 1) * sizeof(*agent->held);
    agent_held_t *held = realloc(agent->held, size);
    char *copy = strndup(name.data, name.len);

    if (held == NULL || copy == NULL) {
        abort();
    }
    agent->held = held;
    held += agent->nheld++;
    *held = (agent_held_t){.name = copy};
    snprintf(held->version, sizeof(held->version), "%.*s", (int)version.len,
             version.data);
}

/* The root's own, which are in order of name, come first. */
typedef struct {
    agent_t *agent;
    uint32_t named;
} held_t;

static int by_name(const void *a, const void *b) {
    return strcmp(a, ((const agent_held_t *)b)->name);
}

static void add_kept(void *ctx, const char *name, const char *version) {
    const held_t *h = ctx;
    const agent_held_t *own = h->agent->held;

    if (bsearch(name, own, h->named, sizeof(*own), by_name) == NULL) {
        held_add(h->agent, mesh_str_from(name), mesh_str_from(version));
    }
}

/*
 * A root that names as many as it may does not name all that it was made of.
 * What is kept is what was in force, so the rest is taken from there.
 */
static void load_held(agent_t *agent, const mesh_snapshot_t *s,
                      const mesh_rec_sources_t *sources) {
    for (uint32_t i = 0; i < sources->count; i++) {
        held_add(agent, mesh_get_str(s, sources->v[i].name),
                 mesh_get_str(s, sources->v[i].version));
    }
    if (sources->count >= MESH_SOURCES_MAX) {
        held_t h = {agent, agent->nheld};

        agent_kept_each(agent->config->state, add_kept, &h);
    }
}

void agent_held_load(agent_t *agent) {
    const mesh_snapshot_t *s;
    const mesh_rec_root_t *root = publisher_root(agent->publisher, &s);
    const mesh_rec_sources_t *sources =
        root ? mesh_get(s, root->sources) : NULL;

    if (sources != NULL) {
        load_held(agent, s, sources);
    }
    agent->held_cold = root != NULL && (root->flags & MESH_ROOT_COLD);

    const char **names = calloc(agent->nheld + 1, sizeof(*names));
    for (uint32_t i = 0; names != NULL && i < agent->nheld; i++) {
        names[i] = agent->held[i].name;
    }
    if (names != NULL) {
        agent_kept_sweep(agent->config->state, names, agent->nheld);
    }
    free(names);
}

void agent_held_clear(agent_t *agent) {
    for (uint32_t i = 0; i < agent->nheld; i++) {
        free(agent->held[i].name);
    }
    free(agent->held);
    agent->held = NULL;
    agent->nheld = 0;
}

void agent_held_over(agent_t *agent) {
    for (uint32_t i = 0; i < agent->nheld; i++) {
        if (agent_parts_find(&agent->parts, agent->held[i].name) == NULL) {
            agent_kept_remove(agent->config->state, agent->held[i].name);
        }
    }
    agent_held_clear(agent);
}

static bool is_version(const source_bundle_t *bundle, const char *version) {
    return bundle != NULL && bundle->count == 1 &&
           mesh_str_eq(bundle->items[0]->part->version, mesh_str_from(version));
}

void agent_held_recognize(agent_t *agent) {
    for (uint32_t i = 0; i < agent->nheld; i++) {
        agent_part_t *row =
            agent_parts_find(&agent->parts, agent->held[i].name);
        if (row != NULL && row->good == NULL &&
            is_version(row->next, agent->held[i].version)) {
            agent_part_recognize(row, agent_unix_ms());
        }
    }
}

/* A row that nothing is known of that could be published. */
static bool lacks(const agent_part_t *row) {
    return row->good == NULL && !row->listed && !row->leaving;
}

static bool stand_in(agent_t *agent, agent_held_t *held, agent_part_t *row) {
    char error[256];

    held->tried = true;
    /* A cold root may be older than what was kept. */
    source_bundle_t *bundle = agent_kept_read(
        agent->config->state, held->name,
        agent->held_cold ? NULL : held->version, error, sizeof(error));
    if (bundle == NULL) {
        agent_log(AGENT_LOG_WARN, "a part has no last good",
                  agent_s("part", held->name), agent_s("why", error));
        return false;
    }
    agent_log(AGENT_LOG_WARN, "last good taken from the kept copy",
              agent_s("part", held->name));
    agent_part_stand_in(row, bundle, agent_unix_ms());
    return true;
}

uint32_t agent_held_stand_in(agent_t *agent, bool settled) {
    uint32_t count = 0;

    for (uint32_t i = 0; i < agent->nheld; i++) {
        agent_held_t *held = &agent->held[i];
        agent_part_t *row = agent_parts_find(&agent->parts, held->name);
        if (row != NULL && lacks(row) && !held->tried &&
            (settled || row->next == NULL)) {
            count += stand_in(agent, held, row);
        }
    }
    if (count > 0) {
        agent_names_follow(agent);
    }
    return count;
}

/* Is a source that may have it still waiting for somebody who writes? */
static bool is_coming(const agent_t *agent, const char *part) {
    for (uint32_t i = 0; i < agent->nsources; i++) {
        const agent_config_source_t *config = &agent->config->sources[i];
        const source_ops_t *ops = source_ops[config->kind];
        if (ops->claims(config, part) &&
            ops->due(agent->sources[i]) != SOURCE_IDLE) {
            return true;
        }
    }
    return false;
}

const char *agent_held_by(const agent_t *agent) {
    for (uint32_t i = 0; i < agent->nheld; i++) {
        const char *name = agent->held[i].name;
        const agent_part_t *row = agent_parts_find(&agent->parts, name);
        if (row != NULL ? lacks(row) : is_coming(agent, name)) {
            return name;
        }
    }
    return NULL;
}
