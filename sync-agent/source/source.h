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

/*
 * How a name fares that a source asks the other side for: a host, a path that
 * is watched, a resource that is subscribed to.  In the order in which they
 * matter to who asks why something is not there.
 */
typedef enum {
    SOURCE_NAME_FAILING, /* nothing of it is in the mesh */
    SOURCE_NAME_KEPT,    /* it fails; what was told before goes on */
    SOURCE_NAME_PARTIAL, /* a part of it is not there */
    SOURCE_NAME_WAITING, /* asked for, for the first time */
    SOURCE_NAME_OK,
} source_name_state_e;

#define SOURCE_NAME_SETS_MAX 8
#define SOURCE_VERDICT_MAX 448 /* room for one line on a name */
#define SOURCE_NOTE_MAX 1024   /* and for one on a source */

/* Times are CLOCK_MONOTONIC milliseconds; 0: unknown, never. */
typedef struct {
    mesh_str_t name;
    const char *type; /* what is asked for: "A/AAAA", "SRV" */
    source_name_state_e state;
    uint32_t addresses;  /* endpoints that it gives now */
    bool answered;       /* the other side told of it, be it of nothing */
    bool held;           /* its sets go on as they were until it is told */
    uint64_t since_ms;   /* FAILING, KEPT, PARTIAL: it fares so since */
    uint64_t had_ms;     /* when it was told something last */
    uint64_t next_ms;    /* asked again then; 0: it is not, or just now */
    const char *verdict; /* a line without times; "" if all is well */
    uint32_t nsets;      /* endpoint sets that have it, in order */
    uint32_t sets_left_out;
    mesh_str_t sets[SOURCE_NAME_SETS_MAX];
} source_name_t;

/* How a source fares with a part of its own: one line for `meshctl status`. */
typedef struct {
    source_name_state_e state; /* of the worst name, or of the connection */
    uint64_t since_ms;         /* the worst of it, or the connection; or 0 */
    const char *text;          /* SOURCE_NOTE_MAX at most; "": all is well */
    uint32_t names;            /* that are asked for; 0: it asks for none */
    uint32_t failing;          /* of these: FAILING, KEPT and PARTIAL */
} source_note_t;

/*
 * Who wants to know.  Part and texts live until the call ends.  A part need
 * not be there yet: a registry that was never reached has told of none.
 */
typedef struct {
    void *ctx;
    void (*note)(void *ctx, const char *part, const source_note_t *note);
    /* Each name, those that fail first; NULL: they are not asked for. */
    void (*name)(void *ctx, const char *part, const source_name_t *name);
} source_report_t;

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
     * How it fares now, for whoever asks; it tells its log by itself.
     * source_no_report(): there is nothing beside the states of its parts.
     */
    void (*report)(const source_t *source, uint64_t now_ms,
                   const source_report_t *to);

    /*
     * May a part of that name be this source's?  By its configuration alone:
     * what no source claims any more leaves the mesh.
     */
    bool (*claims)(const agent_config_source_t *config, const char *part);
} source_ops_t;

void source_no_report(const source_t *source, uint64_t now_ms,
                      const source_report_t *to);

/* As answers of the socket have it: "failing", "kept". */
const char *source_name_state(source_name_state_e state);

/* "12s", "3m", "5h", "2d": what fits into a line. */
#define SOURCE_AGE_SIZE 24
const char *source_age(uint64_t ms, char out[SOURCE_AGE_SIZE]);

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
