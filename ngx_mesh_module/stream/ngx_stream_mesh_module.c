/* SPDX-License-Identifier: Apache-2.0 */

/*
 * "upstream x { mesh CLUSTER[/SUBSET]; }" in stream{}: proxy_pass x balances
 * TCP (and UDP) sessions over a mesh cluster.
 *
 * A session holds its view only until it is connected; then it keeps slot
 * numbers, so that a long session pins no snapshot.
 */

#include "ngx_stream_mesh.h"


/* Endpoints that one session tries, at most. */
#define NGX_STREAM_MESH_TRIES   32


typedef struct {
    ngx_mesh_view_t            *view;       /* until connected */
    const ngx_mesh_cluster_ref_t
                               *ref;
    const mesh_view_subset_t   *subset;     /* of the view */
    ngx_log_t                  *log;

    uint32_t                    index;      /* of the endpoint under way */
    uint32_t                    cluster_slot;
    uint32_t                    endpoint_slot;
    ngx_uint_t                  begun;      /* its gauges are raised */

    ngx_uint_t                  hashed;
    uint64_t                    hash;

    ngx_sockaddr_t              sockaddr;
    ngx_str_t                   name;
    char                        text[sizeof("unix:") + 128];

    ngx_uint_t                  ntried;
    uint32_t                    tried[NGX_STREAM_MESH_TRIES];
} ngx_stream_mesh_session_t;


static ngx_int_t ngx_stream_mesh_init_upstream(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_stream_mesh_init(ngx_stream_session_t *s,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_stream_mesh_get(ngx_peer_connection_t *pc, void *data);
static void ngx_stream_mesh_notify(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type);
static void ngx_stream_mesh_free(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state);

static void *ngx_stream_mesh_create_srv_conf(ngx_conf_t *cf);
static char *ngx_stream_mesh_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_stream_mesh(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_stream_mesh_preconfiguration(ngx_conf_t *cf);


static ngx_command_t  ngx_stream_mesh_commands[] = {

    { ngx_string("mesh_zone"),
      NGX_STREAM_MAIN_CONF|NGX_CONF_1MORE,
      ngx_stream_mesh_zone,
      0,
      0,
      NULL },

    { ngx_string("mesh"),
      NGX_STREAM_UPS_CONF|NGX_CONF_TAKE12,
      ngx_stream_mesh,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_stream_module_t  ngx_stream_mesh_module_ctx = {
    ngx_stream_mesh_preconfiguration,   /* preconfiguration */
    ngx_stream_mesh_listeners,          /* postconfiguration */

    NULL,                               /* create main configuration */
    NULL,                               /* init main configuration */

    ngx_stream_mesh_create_srv_conf,    /* create server configuration */
    NULL                                /* merge server configuration */
};


ngx_module_t  ngx_stream_mesh_module = {
    NGX_MODULE_V1,
    &ngx_stream_mesh_module_ctx,        /* module context */
    ngx_stream_mesh_commands,           /* module directives */
    NGX_STREAM_MODULE,                  /* module type */
    NULL,                               /* init master */
    NULL,                               /* init module */
    NULL,                               /* init process */
    NULL,                               /* init thread */
    NULL,                               /* exit thread */
    NULL,                               /* exit process */
    NULL,                               /* exit master */
    NGX_MODULE_V1_PADDING
};


/* --- configuration ------------------------------------------------------- */

static ngx_int_t
ngx_stream_mesh_preconfiguration(ngx_conf_t *cf)
{
    return ngx_mesh_abi_check(cf, NGX_MESH_ABI, "ngx_stream_mesh_module");
}


static void *
ngx_stream_mesh_create_srv_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_stream_mesh_srv_conf_t));
}


static char *
ngx_stream_mesh_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_mesh_zone_directive(cf);
}


static char *
ngx_stream_mesh(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_stream_mesh_srv_conf_t *mscf = conf;

    char                            *rv;
    ngx_str_t                       *value;
    ngx_stream_upstream_server_t    *server;
    ngx_stream_upstream_srv_conf_t  *us;

    rv = ngx_mesh_cluster_directive(cf, &mscf->cluster);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    value = cf->args->elts;

    if (cf->args->nelts == 3) {
        if (ngx_strcmp(value[2].data, "hash=source_ip") != 0) {
            return "takes \"hash=source_ip\" beside the cluster";
        }

        mscf->by_source = 1;
    }

    us = ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_upstream_module);

    if (us->peer.init_upstream) {
        return "comes with another balancing method";
    }

    /* nginx refuses an upstream without any. */
    server = ngx_array_push(us->servers);
    if (server == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(server, sizeof(ngx_stream_upstream_server_t));

    us->peer.init_upstream = ngx_stream_mesh_init_upstream;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_stream_mesh_init_upstream(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us)
{
    if (us->servers->nelts != 1) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"server\" is not allowed beside \"mesh\" "
                      "in upstream \"%V\" in %s:%ui",
                      &us->host, us->file_name, us->line);
        return NGX_ERROR;
    }

    if (!ngx_mesh_zone_configured(cf->cycle)) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"mesh\" needs \"mesh_zone\" before the end of "
                      "stream{}, in upstream \"%V\" in %s:%ui",
                      &us->host, us->file_name, us->line);
        return NGX_ERROR;
    }

    us->peer.init = ngx_stream_mesh_init;

    return NGX_OK;
}


/* --- a session ----------------------------------------------------------- */

static void
ngx_stream_mesh_end_attempt(ngx_stream_mesh_session_t *ms)
{
    if (ms->begun) {
        ms->begun = 0;
        mesh_runtime_end(ngx_mesh_runtime(), ms->cluster_slot,
                         ms->endpoint_slot);
    }
}


static void
ngx_stream_mesh_unpin(ngx_stream_mesh_session_t *ms)
{
    if (ms->view) {
        ngx_mesh_view_release(ms->view);
        ms->view = NULL;
        ms->subset = NULL;
    }
}


static void
ngx_stream_mesh_cleanup(void *data)
{
    ngx_stream_mesh_end_attempt(data);
    ngx_stream_mesh_unpin(data);
}


/* Finds cluster and subset; says in the log what is missing. */
static ngx_int_t
ngx_stream_mesh_pin(ngx_stream_mesh_session_t *ms,
    const ngx_mesh_cluster_ref_t *ref)
{
    ngx_mesh_root_t  *root;

    root = ngx_mesh_root_acquire();

    if (root == NULL) {
        ngx_log_error(NGX_LOG_ERR, ms->log, 0, "mesh: cluster \"%V\": %s",
                      (ngx_str_t *) &ref->name, ngx_mesh_no_root());
        return NGX_ERROR;
    }

    ms->view = ngx_mesh_view_acquire(root, ref->name, ref->name_hash);
    if (ms->view == NULL) {
        ngx_log_error(NGX_LOG_ERR, ms->log, 0,
                      "mesh: no cluster \"%V\" in generation %uL",
                      (ngx_str_t *) &ref->name, root->root->generation);
        ngx_mesh_root_release(root);
        return NGX_ERROR;
    }

    ms->ref = ref;
    ms->subset = mesh_view_subset(ms->view->view, ref->subset,
                                  ref->subset_hash);
    if (ms->subset == NULL) {
        ngx_log_error(NGX_LOG_ERR, ms->log, 0,
                      "mesh: no subset \"%V\" of cluster \"%V\" "
                      "in generation %uL", (ngx_str_t *) &ref->subset,
                      (ngx_str_t *) &ref->name, root->root->generation);
        ngx_mesh_root_release(root);
        return NGX_ERROR;
    }

    ngx_mesh_root_release(root);

    return NGX_OK;
}


#if (NGX_SSL || NGX_COMPAT)

/* No sessions are kept here; each connection makes a full handshake. */
static ngx_int_t
ngx_stream_mesh_set_session(ngx_peer_connection_t *pc, void *data)
{
    return NGX_OK;
}


static void
ngx_stream_mesh_save_session(ngx_peer_connection_t *pc, void *data)
{
}

#endif


/* As a route's hash policy source_ip: a client has one endpoint for both. */
static void
ngx_stream_mesh_hash(ngx_stream_mesh_session_t *ms, ngx_connection_t *c)
{
    mesh_str_t  address;

    if (ngx_mesh_client_address(c->sockaddr, &address)) {
        ms->hashed = 1;
        ms->hash = mesh_hash64(address.data, address.len);
    }
}


static ngx_int_t
ngx_stream_mesh_init(ngx_stream_session_t *s,
    ngx_stream_upstream_srv_conf_t *us)
{
    ngx_pool_cleanup_t          *cln;
    ngx_peer_connection_t       *pc;
    ngx_stream_mesh_session_t   *ms;
    ngx_stream_mesh_srv_conf_t  *mscf;

    mscf = ngx_stream_conf_upstream_srv_conf(us, ngx_stream_mesh_module);

    cln = ngx_pool_cleanup_add(s->connection->pool,
                               sizeof(ngx_stream_mesh_session_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    ms = cln->data;
    ngx_memzero(ms, sizeof(ngx_stream_mesh_session_t));
    ms->log = s->connection->log;
    cln->handler = ngx_stream_mesh_cleanup;

    if (ngx_stream_mesh_pin(ms, &mscf->cluster) != NGX_OK) {
        return NGX_ERROR;
    }

    if (mscf->by_source) {
        ngx_stream_mesh_hash(ms, s->connection);
    }

    pc = &s->upstream->peer;

    pc->data = ms;
    pc->get = ngx_stream_mesh_get;
    pc->notify = ngx_stream_mesh_notify;
    pc->free = ngx_stream_mesh_free;
    pc->tries = ngx_max(1, ngx_min(ms->subset->count, NGX_STREAM_MESH_TRIES));

#if (NGX_SSL || NGX_COMPAT)
    pc->set_session = ngx_stream_mesh_set_session;
    pc->save_session = ngx_stream_mesh_save_session;
#endif

    return NGX_OK;
}


/* --- an attempt ---------------------------------------------------------- */

static ngx_int_t
ngx_stream_mesh_address(ngx_stream_mesh_session_t *ms,
    ngx_peer_connection_t *pc)
{
    size_t                  n;
    const mesh_endpoint_t  *endpoint;

    endpoint = ms->view->view->endpoints[ms->index].endpoint;

    if (ngx_mesh_sockaddr(ms->view, endpoint, &ms->sockaddr, &pc->socklen)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    pc->sockaddr = &ms->sockaddr.sockaddr;

    n = mesh_endpoint_text(ms->view->root->snapshot, endpoint, ms->text,
                           sizeof(ms->text));

    ms->name.data = (u_char *) ms->text;
    ms->name.len = ngx_min(n, sizeof(ms->text) - 1);
    pc->name = &ms->name;

    return NGX_OK;
}


/* Endpoints may have been ejected or drained while an attempt was made. */
static void
ngx_stream_mesh_renew(ngx_stream_mesh_session_t *ms)
{
    ms->view = ngx_mesh_view_renew(ms->view);
    ms->subset = mesh_view_subset(ms->view->view, ms->ref->subset,
                                  ms->ref->subset_hash);
}


static uint64_t
ngx_stream_mesh_ticket(mesh_cluster_view_t *view,
    const mesh_view_subset_t *subset)
{
    static uint64_t  ticket;

    /* A cluster without a slot has a turn per worker only. */
    return view->runtime
           ? mesh_fetch_add(mesh_view_ticket(view->runtime, view, subset), 1)
           : ticket++;
}


static void
ngx_stream_mesh_no_endpoint(ngx_stream_mesh_session_t *ms, ngx_log_t *log)
{
    mesh_cluster_view_t  *view;

    view = ms->view->view;

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "mesh: no usable endpoint in cluster \"%V\" "
                  "(generation %uL)", (ngx_str_t *) &view->name,
                  ms->view->root->root->generation);

    if (view->runtime) {
        (void) mesh_fetch_add(&view->runtime->no_endpoint, 1);
    }
}


static ngx_int_t
ngx_stream_mesh_get(ngx_peer_connection_t *pc, void *data)
{
    ngx_stream_mesh_session_t *ms = data;

    mesh_pick_t           pick;
    mesh_cluster_view_t  *view;

    if (ms->view == NULL) {
        return NGX_BUSY;
    }

    if (ms->ntried) {
        ngx_stream_mesh_renew(ms);
    }

    view = ms->view->view;

    ngx_memzero(&pick, sizeof(mesh_pick_t));
    pick.ticket = ngx_stream_mesh_ticket(view, ms->subset);
    pick.view = view;
    pick.subset = ms->subset;
    pick.rt = ngx_mesh_runtime();
    pick.tried = ms->tried;
    pick.ntried = ms->ntried;
    pick.hashed = ms->hashed;
    pick.hash = ms->hash;
    pick.now_ms = ngx_current_msec;

    if (pick.hashed) {
        ngx_mesh_view_hash(ms->view, ms->subset - view->subsets);
    }

    ms->index = ms->subset->count ? mesh_lb_pick(&pick) : MESH_PICK_NONE;

    if (ms->index == MESH_PICK_NONE) {
        ngx_stream_mesh_no_endpoint(ms, pc->log);
        return NGX_BUSY;
    }

    if (ngx_stream_mesh_address(ms, pc) != NGX_OK) {
        return NGX_ERROR;
    }

    if (pick.group->panic && view->runtime) {
        (void) mesh_fetch_add(&view->runtime->panics, 1);
    }

    if (ms->ntried < NGX_STREAM_MESH_TRIES) {
        ms->tried[ms->ntried++] = ms->index;
    }

    ms->cluster_slot = view->slot;
    ms->endpoint_slot = view->endpoints[ms->index].slot;
    ms->begun = 1;
    mesh_runtime_begin(ngx_mesh_runtime(), ms->cluster_slot,
                       ms->endpoint_slot);

    pc->cached = 0;
    pc->connection = NULL;

    return NGX_OK;
}


static void
ngx_stream_mesh_notify(ngx_peer_connection_t *pc, void *data, ngx_uint_t type)
{
    ngx_stream_mesh_session_t *ms = data;

    mesh_outcome_t  outcome;

    if (type != NGX_STREAM_UPSTREAM_NOTIFY_CONNECT || ms->view == NULL) {
        return;
    }

    if (ms->view->view->runtime) {
        (void) mesh_fetch_add(&ms->view->view->runtime->connections, 1);
    }

    /* As Envoy's tcp_proxy: a connection that stands counts as a success. */
    outcome.kind = MESH_OUTCOME_STATUS;
    outcome.status = 200;
    outcome.grpc = -1;

    ngx_mesh_report(ms->view, ms->index, &outcome, ms->log);
    ngx_stream_mesh_unpin(ms);
}


static void
ngx_stream_mesh_free(ngx_peer_connection_t *pc, void *data, ngx_uint_t state)
{
    ngx_stream_mesh_session_t *ms = data;

    mesh_outcome_t     outcome;
    ngx_connection_t  *c;

    ngx_stream_mesh_end_attempt(ms);

    if (ms->view) {
        c = pc->connection;

        outcome.status = 0;
        outcome.grpc = -1;

        if (!(state & NGX_PEER_FAILED)) {
            outcome.kind = MESH_OUTCOME_NONE;

        } else if (c && c->write->timedout) {
            outcome.kind = MESH_OUTCOME_CONNECT_TIMEOUT;

        } else {
            outcome.kind = MESH_OUTCOME_CONNECT_FAILURE;
        }

        ngx_mesh_report(ms->view, ms->index, &outcome, ms->log);
    }

    if (pc->tries) {
        pc->tries--;
    }

    if (!(state & NGX_PEER_FAILED) || pc->tries == 0) {
        ngx_stream_mesh_unpin(ms);
    }
}
