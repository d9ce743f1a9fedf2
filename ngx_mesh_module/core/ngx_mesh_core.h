/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What http and stream glue use of the core module: the zone, the root in
 * force, cluster views, the runtime.  All of it is worker state of one
 * process; nothing here may be called in the master, apart from the
 * configuration functions.
 *
 * Lifetimes.  A root is pinned by ngx_mesh_root_acquire() until
 * ngx_mesh_root_release(): its snapshot stays mapped meanwhile, even when the
 * worker has adopted a newer one or another file.  A view pins its root.
 */

#ifndef NGX_MESH_CORE_H
#define NGX_MESH_CORE_H

#include <ngx_config.h>
#include <ngx_core.h>

#include "mesh_cluster.h"
#include "mesh_cors.h"
#include "mesh_follow.h"
#include "mesh_health.h"
#include "mesh_hash_policy.h"
#include "mesh_lb_session.h"
#include "mesh_lb_table.h"
#include "mesh_listener.h"
#include "mesh_match.h"
#include "mesh_mirror.h"
#include "mesh_mirror2.h"
#include "mesh_outlier.h"
#include "mesh_retry.h"
#include "mesh_route.h"
#include "mesh_runtime.h"
#include "mesh_snapshot.h"
#include "mesh_zone.h"


/* Raised with every change of this header; compared at configuration. */
#define NGX_MESH_ABI   9


typedef struct {
    const mesh_snapshot_t   *snapshot;
    const mesh_rec_root_t   *root;
    uint64_t                 word;      /* control word that named it */
    mesh_mapping_t          *mapping;
    uint64_t                 serial;    /* no other root of this process has
                                           it: for caches; not 0 */
    ngx_uint_t               refs;
} ngx_mesh_root_t;


typedef struct {
    mesh_cluster_view_t     *view;
    ngx_mesh_root_t         *root;      /* pinned */
    ngx_uint_t               refs;
} ngx_mesh_view_t;


/* --- configuration (master, nginx -t) ------------------------------------ */

/*
 * "mesh_zone PATH [workers=N] [clusters=N] [routes=N] [endpoints=N]
 * [fallback=FILE];" for any context: the core module's own directive in main,
 * and http's and stream's forwarders call this.
 */
char *ngx_mesh_zone_directive(ngx_conf_t *cf);

/*
 * "mesh NAME[/SUBSET];" of an upstream{} block, in http and in stream: a
 * cluster by name.  An error's text for the directive to return, which
 * NGX_CONF_OK is not.
 */
typedef struct {
    mesh_str_t               name;      /* len 0: not given */
    mesh_str_t               subset;    /* len 0: the whole cluster */
    uint32_t                 name_hash;
    uint32_t                 subset_hash;
} ngx_mesh_cluster_ref_t;

char *ngx_mesh_cluster_directive(ngx_conf_t *cf, ngx_mesh_cluster_ref_t *ref);

/*
 * Where nginx listens, for `meshctl listeners`; from http and stream at the
 * end of their configuration.  NGX_ERROR: no memory.
 */
typedef struct {
    struct sockaddr         *sockaddr;
    ngx_uint_t               protocol;  /* MESH_LISTENER_HTTP, ... */
    ngx_uint_t               flags;     /* MESH_LISTENER_* */
    ngx_array_t             *tables;    /* of mesh_str_t; NULL: none */
} ngx_mesh_listener_t;

ngx_int_t ngx_mesh_listener_add(ngx_conf_t *cf, ngx_mesh_listener_t *listener);

/* Was mesh_zone given?  For "nginx -t" errors of directives that need it. */
ngx_flag_t ngx_mesh_zone_configured(ngx_cycle_t *cycle);

/* NGX_ERROR and an [emerg] line if the caller was built for another core. */
ngx_int_t ngx_mesh_abi_check(ngx_conf_t *cf, ngx_uint_t abi, const char *who);


/* --- worker -------------------------------------------------------------- */

/*
 * The root in force, pinned, or NULL: none can be served, and
 * ngx_mesh_no_root() says why in a few words for logs and the 503's body.
 * Costs one load of the control word when nothing changed; a changed word
 * starts adoption, which goes on in slices beside requests.
 */
ngx_mesh_root_t *ngx_mesh_root_acquire(void);
void ngx_mesh_root_release(ngx_mesh_root_t *root);
const char *ngx_mesh_no_root(void);

/*
 * Does the whole text match?  Patterns are compiled when they are first asked
 * for and kept by digest; core/ngx_mesh_regex.c.
 */
bool ngx_mesh_regex_match(const mesh_digest_t *digest, mesh_str_t pattern,
    mesh_str_t text);

/* Where does it match?  Of a REGEX with MESH_REGEX_SEARCH. */
mesh_found_e ngx_mesh_regex_search(const mesh_digest_t *digest,
    mesh_str_t pattern, mesh_str_t text, mesh_found_t *found);

/*
 * The view of a cluster in a root, pinned.  NULL: no such cluster, or no
 * memory.  `hash` = mesh_hash32(name).
 */
ngx_mesh_view_t *ngx_mesh_view_acquire(ngx_mesh_root_t *root,
    mesh_str_t name, uint32_t hash);
void ngx_mesh_view_release(ngx_mesh_view_t *view);

/* The address of an endpoint of the view; NGX_ERROR: there is none of it. */
ngx_int_t ngx_mesh_sockaddr(const ngx_mesh_view_t *view,
    const mesh_endpoint_t *endpoint, ngx_sockaddr_t *sa, socklen_t *len);

/* A client's address without its port, as mesh_request_t has it; 0: none. */
ngx_uint_t ngx_mesh_client_address(const struct sockaddr *sa,
    mesh_str_t *address);

/*
 * Before requests with a hash pick from a subset (an index into
 * view->view->subsets): makes the tables they look into, if there are none.
 */
void ngx_mesh_view_hash(ngx_mesh_view_t *view, ngx_uint_t subset);

/* The same for a caller who has mesh_cluster_bind()'s answer: no lookup. */
ngx_mesh_view_t *ngx_mesh_view_bound(ngx_mesh_root_t *root,
    const mesh_rec_bind_cluster_t *bind);

/*
 * For an attempt after the first: the view of now, of the same cluster in the
 * same root, instead of the caller's, which is released if it is another one.
 * Indexes into view->endpoints mean the same endpoints; subsets are to be
 * looked up again.
 */
ngx_mesh_view_t *ngx_mesh_view_renew(ngx_mesh_view_t *view);

static ngx_inline ngx_mesh_view_t *
ngx_mesh_view_ref(ngx_mesh_view_t *view)
{
    view->refs++;
    return view;
}

/* The runtime with this worker's slot claimed; never NULL in a worker. */
mesh_runtime_t *ngx_mesh_runtime(void);

/* CLOCK_MONOTONIC in microseconds: a system call without a switch. */
static ngx_inline uint64_t
ngx_mesh_now_us(void)
{
    struct timespec  now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now);

    return (uint64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The zone's directory, for status. */
ngx_str_t *ngx_mesh_zone_path(void);

/*
 * Called with each root that is adopted, while the old one is still mapped,
 * and with NULL when the worker ends; for caches of http and stream (idle
 * connections, regexes).  At most 4; registered in init_process, because a
 * reload may unload the module whose function it is.
 */
typedef void (*ngx_mesh_adopted_pt)(ngx_mesh_root_t *root);
ngx_int_t ngx_mesh_on_adopted(ngx_mesh_adopted_pt handler);

/*
 * Counts an attempt's outcome: endpoint and cluster counters, outlier
 * detection, one log line for an ejection (cluster, endpoint, reason,
 * duration, generation).  `index` is into view->view->endpoints.
 */
void ngx_mesh_report(ngx_mesh_view_t *view, ngx_uint_t index,
    const mesh_outcome_t *outcome, ngx_log_t *log);


extern ngx_module_t  ngx_mesh_core_module;


#endif /* NGX_MESH_CORE_H */
