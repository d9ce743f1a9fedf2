/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The runtime: what workers have seen, in fixed slots of one mapped file that
 * all workers of a node write with atomics and no locks, and that outlives
 * each of them.  Arrays indexed by slot; the snapshot's binding says which
 * slot belongs to which cluster, endpoint and route.
 *
 *     head | workers[W] | clusters[C] | routes[R] | endpoints[E] | ledgers
 *          | listeners[W]
 *
 * A ledger is one worker's uint32_t[E + C]: how many attempts of this worker
 * are in flight at each endpoint, then at each cluster; whoever finds the
 * worker dead gives them back row by row.  Where workers listen is said behind
 * all that the head's `size` counts (mesh_listener.h).
 *
 * A slot is reused for another name some day: `tag` tells whose it is, and
 * whoever meets a foreign tag through a binding resets the slot first
 * (mesh_runtime_claim_*).
 *
 * Times are milliseconds of CLOCK_MONOTONIC (nginx's ngx_current_msec), which
 * agree between processes and restarts of one boot.  A tmpfs directory does
 * not survive a boot.
 *
 * Writers: workers.  Agent and tools map it read only and trust no byte.
 */

#ifndef MESH_RUNTIME_H
#define MESH_RUNTIME_H

#include "mesh_atomic.h"
#include "mesh_base.h"


#define MESH_RUNTIME_MAGIC       "MESHRUN"
#define MESH_RUNTIME_VERSION     1

#define MESH_RUNTIME_WORKERS     64             /* defaults of mesh_zone */
#define MESH_RUNTIME_CLUSTERS    8192
#define MESH_RUNTIME_ROUTES      16384
#define MESH_RUNTIME_ENDPOINTS   131072

#define MESH_RUNTIME_WORKERS_MAX 4096           /* more is refused */
#define MESH_RUNTIME_SLOTS_MAX   (UINT32_C(1) << 24)

#define MESH_SLOT_NONE           UINT32_MAX
#define MESH_TAG_BUSY            UINT64_MAX     /* being reset */

#define MESH_LISTENERS_BYTES     8192   /* of one worker; mesh_listener.h */

#define MESH_SUBSET_TICKETS      4      /* of a cluster's first subsets */
#define MESH_STATUS_CLASSES      6      /* none, 1xx .. 5xx */


typedef struct {
    char      magic[8];
    uint32_t  version;
    uint32_t  workers;
    uint32_t  clusters;
    uint32_t  routes;
    uint32_t  endpoints;
    uint32_t  reserved0;
    uint64_t  size;                     /* up to the listeners */
    uint64_t  created_ms;
    uint64_t  listeners;                /* where they begin; 0: there are none,
                                           as an older build made the file */
    uint32_t  listeners_each;           /* bytes of one worker */
    uint32_t  reserved1;
    uint8_t   reserved[4096 - 64];
} mesh_runtime_head_t;


typedef enum {
    MESH_WORKER_FREE = 0,
    MESH_WORKER_LIVE = 1,
    MESH_WORKER_EXITING = 2
} mesh_worker_state_e;

typedef struct {
    uint32_t  state;                    /* mesh_worker_state_e */
    uint32_t  pid;                      /* for people; proves nothing */
    uint16_t  newest;                   /* snapshot format versions that it
                                           reads; 0: not said */
    uint16_t  oldest;                   /* 0: `newest` alone */
    uint32_t  refused;                  /* roots refused as corrupt */
    uint64_t  word;                     /* control word it has adopted */
    uint64_t  generation;
    uint64_t  adopted_ms;               /* when it adopted that */
    uint64_t  adoptions;
    uint32_t  pending_cluster;          /* ejection under way: slot + 1 */
    uint32_t  pending_endpoint;         /* slot + 1; 0: none */
    uint64_t  requests;
    uint32_t  high_endpoint;            /* ledger rows below were used */
    uint32_t  high_cluster;
    uint64_t  health;                   /* changes of health words that all
                                           its attempts go by */
    uint64_t  regex_limits;             /* matches given up */
    uint8_t   reserved[256 - 88];
} mesh_worker_slot_t;


typedef struct {
    uint64_t  tag;                      /* mesh_hash64 of the name; 0: free */
    uint64_t  ticket;                   /* weighted splits draw here */
    uint64_t  requests;
    uint64_t  status[MESH_STATUS_CLASSES];
    uint64_t  duration_us;              /* sum */
    uint64_t  share_ticket;             /* shares of requests draw here */
    uint64_t  mirror_ticket;            /* shares that are mirrored */
    uint64_t  internal_redirects;       /* followed */
    uint64_t  internal_redirects_refused;   /* that went to the client */
    uint8_t   reserved[128 - 112];
} mesh_route_slot_t;


typedef struct {
    uint64_t  tag;
    uint64_t  ticket;                   /* balancers draw here */
    uint64_t  ejections;                /* epoch << 32 | ejected now */
    uint64_t  in_flight;                /* attempts */
    uint64_t  subset_tickets[MESH_SUBSET_TICKETS];

    uint64_t  requests;                 /* finished */
    uint64_t  attempts;
    uint64_t  retries;
    uint64_t  retries_exhausted;
    uint64_t  status[MESH_STATUS_CLASSES];
    uint64_t  connect_failures;
    uint64_t  timeouts;
    uint64_t  resets;
    uint64_t  no_endpoint;              /* requests that found none */
    uint64_t  panics;                   /* picks in panic mode */
    uint64_t  ejections_total;
    uint64_t  ejections_refused;        /* by max_ejection_percent */
    uint64_t  connections;              /* opened */
    uint64_t  connections_reused;
    uint64_t  races_saved;              /* keepalive races replayed */
    uint64_t  duration_us;
    uint64_t  mirrors;                  /* sent to it as copies */
    uint64_t  mirrors_dropped;
    uint8_t   reserved[256 - 64 - 23 * 8];
} mesh_cluster_slot_t;


/* Why an endpoint was ejected; in mesh_endpoint_slot_t.ejected. */
typedef enum {
    MESH_EJECTED_NOT = 0,
    MESH_EJECTED_5XX = 1,
    MESH_EJECTED_GATEWAY = 2,
    MESH_EJECTED_LOCAL = 3
} mesh_ejected_e;

/* ejected = until_ms << 8 | mesh_ejected_e; 0: in. */
#define mesh_ejected_word(until_ms, why)   ((uint64_t) (until_ms) << 8 | (why))
#define mesh_ejected_until(word)           ((word) >> 8)
#define mesh_ejected_why(word)             ((unsigned) ((word) & 0xff))

typedef struct {
    uint64_t  tag;
    uint64_t  ejected;
    uint32_t  in_flight;
    uint32_t  consecutive_5xx;
    uint32_t  consecutive_gateway;
    uint32_t  consecutive_local;
    uint32_t  times_ejected;            /* the back-off multiplier */
    uint32_t  reserved0;
    uint64_t  ejected_ms;               /* when it was ejected last */
    uint64_t  ewma;                     /* peak EWMA; 0: no answer yet */
    uint64_t  since_ms;                 /* slow start: it came in; 0: out */

    uint64_t  attempts;
    uint64_t  status[MESH_STATUS_CLASSES];  /* [0]: no answer */
    uint64_t  ejections_total;
} mesh_endpoint_slot_t;


_Static_assert(sizeof(mesh_runtime_head_t) == 4096, "layout");
_Static_assert(sizeof(mesh_worker_slot_t) == 256, "layout");
_Static_assert(sizeof(mesh_route_slot_t) == 128, "layout");
_Static_assert(sizeof(mesh_cluster_slot_t) == 256, "layout");
_Static_assert(sizeof(mesh_endpoint_slot_t) == 128, "layout");


/* Sizes asked for by mesh_zone; they are part of the file's layout. */
typedef struct {
    uint32_t  workers;
    uint32_t  clusters;
    uint32_t  routes;
    uint32_t  endpoints;
} mesh_runtime_sizes_t;


/* A mapped runtime, as one process sees it. */
typedef struct {
    mesh_runtime_head_t   *head;
    mesh_worker_slot_t    *workers;
    mesh_cluster_slot_t   *clusters;
    mesh_route_slot_t     *routes;
    mesh_endpoint_slot_t  *endpoints;
    uint32_t              *ledgers;     /* [workers][endpoints + clusters] */
    uint8_t               *listeners;   /* [workers][listeners_each]; NULL: no
                                           room for them in the file */
    uint32_t               listeners_each;
    mesh_runtime_sizes_t   sizes;
    uint64_t               size;        /* bytes mapped */
    uint32_t               worker;      /* this process's slot, or NONE */
} mesh_runtime_t;


/* Bytes of a runtime of these sizes; 0: a size is 0 or past its maximum. */
uint64_t mesh_runtime_size(const mesh_runtime_sizes_t *sizes);

/* ... with room for what workers say of their listeners: a file's. */
uint64_t mesh_runtime_file_size(const mesh_runtime_sizes_t *sizes);

/*
 * Lays the arrays over `size` bytes at `base`.  fresh: the memory is zero
 * already (a new file's hole) and gets a head of the sizes `want`;
 * MESH_NO_SPACE: too short for them.  Otherwise the head is checked:
 * MESH_CORRUPT (not ours or too short), MESH_VERSION, and, with `want` not
 * NULL, MESH_DECLINED (other sizes).  Sizes are taken from the head once.
 * Listeners have a place where there are bytes enough for them.
 */
mesh_status_t mesh_runtime_init(mesh_runtime_t *rt, void *base, uint64_t size,
    const mesh_runtime_sizes_t *want, bool fresh, uint64_t now_ms);


/*
 * The slot, after making it the tag's own: a foreign one is zeroed first, by
 * one winner (who dies meanwhile is helped out); MESH_SLOT_NONE or past the
 * arrays: NULL.  Cheap when the tag is right already.  in_flight stays, for it
 * is the sum of the ledgers.  Tags are never 0 (mesh_runtime_tag()).
 */
mesh_cluster_slot_t *mesh_runtime_claim_cluster(mesh_runtime_t *rt,
    uint32_t slot, uint64_t tag);
mesh_endpoint_slot_t *mesh_runtime_claim_endpoint(mesh_runtime_t *rt,
    uint32_t slot, uint64_t tag);
mesh_route_slot_t *mesh_runtime_claim_route(mesh_runtime_t *rt,
    uint32_t slot, uint64_t tag);

static inline uint64_t
mesh_runtime_tag(uint64_t hash)
{
    return (hash != 0 && hash != MESH_TAG_BUSY) ? hash : 1;
}


/*
 * An attempt begins and ends: endpoint and cluster gauges, the ledger.  Only
 * a process with a worker slot may call; ends match begins.  MESH_SLOT_NONE
 * for either counts nothing there.
 */
void mesh_runtime_begin(mesh_runtime_t *rt, uint32_t cluster,
    uint32_t endpoint);
void mesh_runtime_end(mesh_runtime_t *rt, uint32_t cluster,
    uint32_t endpoint);

/*
 * Makes a place for listeners in a file that an older build has made: the
 * memory behind mesh_runtime_size() is zero, and `rt` is mapped to
 * mesh_runtime_file_size().
 */
void mesh_runtime_add_listeners(mesh_runtime_t *rt);

/*
 * Gives back what a dead worker held: gauges by its ledger, a half-done
 * ejection, then marks its slot free.  The caller holds the slot's lock.
 */
void mesh_runtime_reap(mesh_runtime_t *rt, uint32_t worker);


/* --- how fast endpoints answer (mesh_runtime_ewma.c) ---------------------- */

/*
 * Microseconds that mesh_endpoint_slot_t.ewma, not 0, stands for by now; it
 * decays to 0 within some decay_ms.
 */
uint32_t mesh_ewma_read(uint64_t word, uint64_t now_ms, uint32_t decay_ms);

/* The word after another answer. */
uint64_t mesh_ewma_observe(uint64_t word, uint64_t now_ms, uint32_t decay_ms,
    uint32_t sample_us);
void mesh_runtime_observe(mesh_endpoint_slot_t *endpoint, uint64_t now_ms,
    uint32_t decay_ms, uint32_t sample_us);


/* --- ejections ----------------------------------------------------------- */

static inline uint32_t
mesh_cluster_epoch(const mesh_cluster_slot_t *cluster)
{
    return (uint32_t) (mesh_load_acquire(&cluster->ejections) >> 32);
}

static inline uint32_t
mesh_cluster_ejected(const mesh_cluster_slot_t *cluster)
{
    return (uint32_t) mesh_load_acquire(&cluster->ejections);
}

/*
 * Ejects, if ejected / total <= max_percent holds after it and the endpoint
 * is in: exact in any interleaving (one CAS word per cluster).  MESH_OK: this
 * call ejected it, counted it (ejections_total of both slots, ejected_ms) and
 * bumped the cluster's epoch.  MESH_BUSY: the percentage forbids it (counted).
 * MESH_DECLINED: it was out already, or there is no such slot.
 */
mesh_status_t mesh_runtime_eject(mesh_runtime_t *rt, uint32_t cluster,
    uint32_t endpoint, uint32_t total, uint32_t max_percent, uint64_t word,
    uint64_t now_ms);

/*
 * Takes an endpoint back in if its time is over (or `force`).  true: this
 * call did, cleared its streaks and bumped the epoch.
 */
bool mesh_runtime_uneject(mesh_runtime_t *rt, uint32_t cluster,
    uint32_t endpoint, uint64_t now_ms, bool force);

/*
 * Corrects a cluster's ejected count, which is too high after an ejected
 * endpoint left the cluster or a worker died between two steps.  begin():
 * false: an ejection is under way in this cluster, try at the next view.
 * Then the caller counts the endpoints of the cluster whose `ejected` is not
 * 0, and end() stores that number unless anything changed meanwhile (false).
 * docs/runtime.md proves it.
 */
bool mesh_runtime_recount_begin(const mesh_runtime_t *rt, uint32_t cluster,
    uint64_t *seen);
bool mesh_runtime_recount_end(mesh_runtime_t *rt, uint32_t cluster,
    uint64_t seen, uint32_t ejected);


/* --- the file (mesh_runtime_file.c; POSIX) ------------------------------- */

/*
 * Opens or makes runtime.<version> in the zone's directory (made too if it
 * is missing, 0755) and maps it shared.  A file of other sizes or another
 * layout, or of another boot, is replaced by a new one (rename), state lost,
 * `replaced` set.  The descriptor holds an open file description lock
 * (F_OFD_SETLK) on byte 0, which survives nginx's daemon() fork and is held as
 * long as a master or one of its workers lives.  MESH_BUSY: another master has
 * it, and `share` is false; a USR2 child and a reload say share, and hold it
 * too.  The file is 0644: a master that is root gives it to the workers' user
 * by fchown(file->fd).
 */
typedef struct {
    mesh_runtime_t  rt;
    int             fd;
    int             worker_fd;          /* of claim_worker(), or -1 */
    bool            replaced;
    bool            created;
    const char     *what;               /* on failure: what was being done */
    int             err;
} mesh_runtime_file_t;

mesh_status_t mesh_runtime_open(mesh_runtime_file_t *file, const char *dir,
    const mesh_runtime_sizes_t *sizes, bool share, uint64_t now_ms);

/* Maps an existing one read only: agent, meshctl.  MESH_DECLINED: none. */
mesh_status_t mesh_runtime_open_read(mesh_runtime_file_t *file,
    const char *dir);

/* Frees the worker slot if this process has one; unmaps, drops the locks. */
void mesh_runtime_close(mesh_runtime_file_t *file);

/*
 * Has the file all that is mapped?  One that somebody has cut short kills
 * whoever touches what is gone.
 */
bool mesh_runtime_whole(const mesh_runtime_file_t *file);

/*
 * Claims a worker slot for this process by a byte-range lock that the kernel
 * drops at its death: reaps a dead owner first.  Opens the file anew, since
 * POSIX locks belong to a process and nginx forks.  The slot says which
 * formats of snapshots this build reads before it is live.  MESH_BUSY: all
 * taken.  MESH_CORRUPT: the file was cut short.
 */
mesh_status_t mesh_runtime_claim_worker(mesh_runtime_file_t *file,
    const char *dir, uint64_t now_ms);

/* Reaps every slot whose owner is dead; returns how many.  Needs a slot. */
unsigned mesh_runtime_sweep(mesh_runtime_file_t *file);


#endif /* MESH_RUNTIME_H */
