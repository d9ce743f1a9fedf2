/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The agent's main thread: what it owns.  Sources put parts in; publishing
 * takes them out; the control socket does both.  Only agent/ includes this.
 */

#ifndef AGENT_H
#define AGENT_H

#include "agent_config.h"
#include "agent_debounce.h"
#include "agent_journal.h"
#include "agent_parts.h"
#include "agent_publish.h"
#include "ctl_socket.h"
#include "health.h"
#include "source.h"
#include "source_stream.h"

#define AGENT_WAITERS_MAX 64 /* requests that wait for a publishing */
#define AGENT_RETRY_MS 1000  /* after the publisher refused */
#define AGENT_STREAMS_MAX 64
#define AGENT_NAME_MAX 128 /* of a part that was applied, in the mesh */

/* A request whose answer needs a publishing, or the workers. */
typedef struct {
    ctl_id_t id;
    uint64_t ticket;     /* answered by the publishing that has this number */
    uint64_t generation; /* else: by workers that have this one */
    uint64_t deadline_ms;
    uint32_t timeout_ms;
    bool applied;              /* wait for workers, too */
    char part[AGENT_NAME_MAX]; /* its verdict is told; "": all */
    bool reload;               /* what was said of agent.yaml is told */
    bool health;               /* waits for workers to go by `target` */
    bool idle;                 /* and until nothing is in flight there */
    health_target_t target;
} agent_waiter_t;

/* A part that is told over the socket. */
typedef struct {
    source_stream_t *stream;
    agent_journal_t journal;
    source_bundle_t *restored; /* what the journal has, until it is in force */
} agent_stream_t;

/* A part of the published root that this process has not published. */
typedef struct {
    char *name;
    char version[SOURCE_VERSION_SIZE];
    bool tried; /* to find what was kept of it */
} agent_held_t;

typedef struct {
    const char *config_path;
    const agent_config_t *config;
    arena_t *config_arena; /* NULL: `config` is the caller's */
    char *config_verdict;  /* of agent.yaml read again; NULL or "": none */
    int epoll_fd;
    publisher_t *publisher;
    health_t *health;
    agent_parts_t parts;
    source_sink_t sink;
    uint32_t nsources;
    source_t *sources[AGENT_SOURCES_MAX]; /* as in config->sources */
    bool sources_changed; /* events that were fetched may be of a closed one */
    source_t *dns;        /* names among endpoints of other parts */
    uint32_t nstreams;
    agent_stream_t streams[AGENT_STREAMS_MAX];
    agent_job_t journal_job; /* compacts a stream's journal */
    agent_debounce_t debounce;
    uint64_t tick_ms;    /* the publisher wants to be called */
    uint64_t retry_ms;   /* of a refused publishing */
    uint64_t owed_ms;    /* journals owe something: to be tried again */
    uint64_t started_ms; /* unix */
    uint64_t publishes;
    uint64_t tickets;      /* publishings asked for, and counted when tried */
    publish_result_t last; /* of a publishing that was tried */
    agent_held_t *held;    /* until the first publishing */
    uint32_t nheld;
    bool held_cold;   /* they are of the last-good copy */
    bool kept_failed; /* said once */
    uint64_t warned;  /* hash of the warnings that were logged last */
    ctl_server_t *ctl;
    uint32_t nwaiters;
    agent_waiter_t waiters[AGENT_WAITERS_MAX];
} agent_t;

publish_time_t agent_time(void);

/* agent_loop.c: calls `what` when the descriptor is readable. */
bool agent_watch(const agent_t *agent, int fd, void *what);

/* agent_sources.c */

/*
 * The sources of another configuration instead of those that run; one that
 * is in both runs on.  false with `error`: nothing has changed.
 */
bool agent_sources_change(agent_t *agent, const agent_config_t *config,
                          char *error, size_t size);
void agent_sources_reload(agent_t *agent);
void agent_sources_close(agent_t *agent);

/* May a part of that name come from anywhere? */
bool agent_sources_claim(const agent_t *agent, const char *part);

/* Parts that no source claims leave the mesh. */
void agent_sources_forget(agent_t *agent);

/*
 * agent_reload.c: agent.yaml again, then all sources.  false: agent.yaml is
 * refused, config_verdict says why, and the old one stays in force.
 */
bool agent_reload(agent_t *agent);

/* agent_mesh.c: parts in, generations out. */
void agent_mesh_init(agent_t *agent);

/* agent_held.c: parts of the root that this process found published. */
void agent_held_load(agent_t *agent);
void agent_held_clear(agent_t *agent);

/* A publishing: parts that are not in it have left the mesh. */
void agent_held_over(agent_t *agent);

/* What is read as it is published is in force. */
void agent_held_recognize(agent_t *agent);

/*
 * Gives parts without a last good the text that was kept; `settled`: those
 * whose candidate was set aside, too.  How many.
 */
uint32_t agent_held_stand_in(agent_t *agent, bool settled);

/*
 * NULL, or the name of a part that the published root has, of which this
 * process knows no good version: publishing without it would take it out of
 * the mesh.
 */
const char *agent_held_by(const agent_t *agent);

/* Publishes what waits; the debounce has been asked. */
void agent_mesh_publish(agent_t *agent);

/* All was read again: publishes, when names have their first answers. */
void agent_mesh_publish_read(agent_t *agent);

/* The list to publish, for rollback and pin; false: held, `error` says why. */
bool agent_mesh_request(agent_t *agent, const char *reason,
                        publish_request_t *request, char *error, size_t size);
void agent_mesh_finish(agent_t *agent, publish_outcome_e outcome,
                       const publish_result_t *result);

/* agent_names.c: names among endpoints. */
bool agent_names_open(agent_t *agent, const char **error);

/* Parts came or went. */
void agent_names_follow(agent_t *agent);

/* When to publish what is due at `publish_ms`: first answers are waited for. */
uint64_t agent_names_due(const agent_t *agent, uint64_t publish_ms);

/* agent_control.c: the socket's requests. */
void agent_control_request(void *ctx, ctl_id_t id,
                           const ctl_request_t *request);

/*
 * A place among those who wait, answered as `request` says; NULL after a
 * refusal: there are too many.
 */
agent_waiter_t *agent_control_wait(agent_t *agent, ctl_id_t id,
                                   const ctl_request_t *request);

/* A publishing was tried: answers who waited for it. */
void agent_control_published(agent_t *agent, uint64_t now_ms);

/* Answers waiters whose workers are there or whose time is over. */
void agent_control_tick(agent_t *agent, uint64_t now_ms);
uint64_t agent_control_due(const agent_t *agent);

/* Is the part of that name told over the socket? */
bool agent_control_is_stream(const agent_t *agent, const char *part);

/* Takes over a journal that was compacted, if that has ended. */
void agent_control_collect(agent_t *agent, bool wait);

/* Streams kept by an earlier agent are read back. */
void agent_control_restore(agent_t *agent);
void agent_control_close(agent_t *agent);

/* agent_health.c: health words follow the root; drain and undrain. */
health_root_t agent_health_root(const agent_t *agent);
void agent_health_follow(agent_t *agent);
void agent_health_request(agent_t *agent, ctl_id_t id,
                          const ctl_request_t *request);

/* Do all workers go by it, and is the endpoint idle if that was asked? */
bool agent_health_done(const agent_t *agent, const agent_waiter_t *waiter);
void agent_health_answer(agent_t *agent, const agent_waiter_t *waiter);

#endif /* AGENT_H */
