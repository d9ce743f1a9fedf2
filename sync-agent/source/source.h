/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where parts of the mesh come from.  A source owns a transport (inotify, a
 * stream, a connection), decodes what it is told into immutable parts, and
 * hands them to a sink.  It knows nothing of other sources, of compiling or
 * of publishing.  README.md in this room is the checklist for a new one.
 *
 * One thread: every call below is made by the agent's loop.
 */

#ifndef SOURCE_H
#define SOURCE_H

#include "agent_config.h"
#include "mesh_base.h"
#include "model.h"
#include "source_bundle.h"

typedef struct source_s source_t;

/*
 * What a source says.  `name` names the part among all sources and is the
 * place of errors, too.
 */
typedef struct {
    void *ctx;

    /* New content of a part; the sink owns the bundle now. */
    void (*part)(void *ctx, const char *name, source_bundle_t *bundle);

    /*
     * New content that cannot be taken.  The part's last good goes on; the
     * errors live until the call ends.
     */
    void (*refused)(void *ctx, const char *name, const model_errors_t *errors);

    /*
     * The part is not there any more.  `keep`: it should be, so its last good
     * goes on with `reason` as verdict; else it leaves the mesh.
     */
    void (*gone)(void *ctx, const char *name, bool keep, const char *reason);
} source_sink_t;

#define SOURCE_IDLE UINT64_MAX

/* One row per kind of source; all callbacks are there. */
typedef struct {
    const char *name; /* as in agent.yaml */

    /* NULL with *error (static text) and errno. */
    source_t *(*open)(const agent_config_source_t *config,
                      const source_sink_t *sink, const char **error);

    /* Watched for reading; its being readable calls `ready`. */
    int (*fd)(const source_t *source);
    void (*ready)(source_t *source, uint64_t now_ms);

    /*
     * CLOCK_MONOTONIC milliseconds when `ready` is to be called even though
     * nothing is readable, or SOURCE_IDLE.
     */
    uint64_t (*due)(const source_t *source);

    /* Reads everything again: at the start, and on HUP. */
    void (*reload)(source_t *source, uint64_t now_ms);

    void (*close)(source_t *source);

    /*
     * May a part of that name be this source's?  By its configuration alone:
     * what no source claims any more leaves the mesh.
     */
    bool (*claims)(const agent_config_source_t *config, const char *part);
} source_ops_t;

/* By agent_source_kind_e. */
extern const source_ops_t *const source_ops[];

/* Every source begins with it. */
struct source_s {
    const source_ops_t *ops;
    source_sink_t sink;
};

/*
 * One document into a part: what files, streams and `meshctl validate` share.
 * `text` and `name` live as long as the arena, which the part owns then.  NULL
 * if there are errors; the arena stays the caller's.
 */
model_part_t *source_decode(arena_t *arena, const char *name, mesh_str_t text,
                            bool json, uint64_t unix_ms,
                            model_errors_t *errors);

/* By its name: it ends with ".json". */
bool source_is_json(const char *name);

/* Hex of the first half of SHA-256, 32 digits and a NUL. */
#define SOURCE_VERSION_SIZE 33
void source_version(mesh_str_t text, char out[SOURCE_VERSION_SIZE]);

#endif /* SOURCE_H */
