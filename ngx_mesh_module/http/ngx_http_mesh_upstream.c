/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Mesh upstreams: the balancer that stock proxy_pass and grpc_pass call.
 * peer.init pins a view of the cluster and gives the request its own copy of
 * the upstream configuration; get picks an endpoint; free tells what became
 * of the attempt.
 *
 * A view is pinned until the response header is on its way: then the outcome
 * is known, but for a grpc-status in trailers, which is reported through
 * whatever view the worker has at that time.
 */

#include "ngx_http_mesh_keepalive.h"


static ngx_int_t ngx_http_mesh_get(ngx_peer_connection_t *pc, void *data);
static void ngx_http_mesh_free(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state);

#if (NGX_HTTP_SSL)
static ngx_int_t ngx_http_mesh_set_session(ngx_peer_connection_t *pc,
    void *data);
static void ngx_http_mesh_save_session(ngx_peer_connection_t *pc, void *data);
#endif


/* Tickets of clusters without a runtime slot: node-wide they cannot be. */
static uint64_t  ngx_http_mesh_ticket;


ngx_int_t
ngx_http_mesh_init_upstream(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_mesh_srv_conf_t  *mscf;

    mscf = ngx_http_conf_upstream_srv_conf(us, ngx_http_mesh_module);

    if (!ngx_mesh_zone_configured(cf->cycle)) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "%s\"%V\" needs \"mesh_zone\" in the main or http "
                      "section", mscf->routed ? "" : "upstream ", &us->host);
        return NGX_ERROR;
    }

    if (!mscf->routed && us->servers && us->servers->nelts != 1) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "upstream \"%V\" has \"server\" beside \"mesh\" in "
                      "%s:%ui", &us->host, us->file_name, us->line);
        return NGX_ERROR;
    }

#if (NGX_HTTP_UPSTREAM_ZONE)
    if (us->shm_zone) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "upstream \"%V\" has \"zone\" beside \"mesh\" in "
                      "%s:%ui: workers share the mesh zone",
                      &us->host, us->file_name, us->line);
        return NGX_ERROR;
    }
#endif

    us->peer.init = ngx_http_mesh_init;

    return NGX_OK;
}


ngx_int_t
ngx_http_mesh_upstreams(ngx_conf_t *cf)
{
    ngx_uint_t                       i;
    ngx_http_mesh_srv_conf_t        *mscf;
    ngx_http_upstream_srv_conf_t   **uscf;
    ngx_http_upstream_main_conf_t   *umcf;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    uscf = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        if (uscf[i]->srv_conf == NULL) {
            continue;
        }

        mscf = ngx_http_conf_upstream_srv_conf(uscf[i], ngx_http_mesh_module);

        if (mscf == NULL || (mscf->cluster.name.len == 0 && !mscf->routed)) {
            continue;
        }

        /*
         * A keepalive pool around ours, which nginx 1.29.7 adds by itself,
         * would mix up connections: it knows neither clusters nor identities.
         */

        uscf[i]->peer.init = ngx_http_mesh_init;
    }

    return NGX_OK;
}


#if (NGX_HTTP_CACHE)

/* Does "proxy_cache_use_stale error" have something for this? */
static ngx_uint_t
ngx_http_mesh_stale(ngx_http_request_t *r)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    return u->cache_status == NGX_HTTP_CACHE_EXPIRED
           && ((u->conf->cache_use_stale & NGX_HTTP_UPSTREAM_FT_NOLIVE)
               || r->cache->stale_error);
}

#endif


/* peer.get for nginx to serve what it has in its cache. */
static ngx_int_t
ngx_http_mesh_get_nothing(ngx_peer_connection_t *pc, void *data)
{
    return NGX_BUSY;
}


void
ngx_http_mesh_upstream_end(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    *u->cleanup = NULL;
    u->cleanup = NULL;

    u->finalize_request(r, rc);

#if (NGX_HTTP_CACHE)

    if (r->cache) {
        ngx_http_file_cache_free(r->cache, u->pipe->temp_file);
    }

#endif

    r->read_event_handler = ngx_http_block_reading;
    r->main->count++;
}


/*
 * Ends the request here: nginx would turn any failure of init or get into a
 * 500 or 502.
 *
 * NGX_BUSY: nothing has ended; nginx's own "no live upstreams" serves a stale
 * copy.
 */
static ngx_int_t
ngx_http_mesh_refuse(ngx_http_request_t *r, ngx_uint_t flag,
    const char *reason)
{
    ngx_int_t                  rc;
    ngx_str_t                  type;
    ngx_http_mesh_ctx_t       *ctx;
    ngx_http_upstream_t       *u;
    ngx_http_complex_value_t   body;
    ngx_http_core_loc_conf_t  *clcf;

    u = r->upstream;

    ctx = ngx_http_mesh_ctx(r, 0);
    ctx->flags |= flag;

#if (NGX_HTTP_CACHE)

    if (ngx_http_mesh_stale(r)) {
        u->peer.get = ngx_http_mesh_get_nothing;
        u->peer.tries = 0;
        return NGX_BUSY;
    }

#endif

    if (u->state) {
        u->state->status = NGX_HTTP_SERVICE_UNAVAILABLE;
        u->state->response_time = ngx_current_msec - u->start_time;
    }

    ngx_http_mesh_upstream_end(r, NGX_HTTP_SERVICE_UNAVAILABLE);

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->error_pages || r->header_only) {
        ngx_http_finalize_request(r, NGX_HTTP_SERVICE_UNAVAILABLE);
        return NGX_ERROR;
    }

    ngx_memzero(&body, sizeof(ngx_http_complex_value_t));
    body.value.len = ngx_strlen(reason);
    body.value.data = (u_char *) reason;

    ngx_str_set(&type, "text/plain");

    rc = ngx_http_send_response(r, NGX_HTTP_SERVICE_UNAVAILABLE, &type, &body);

    ngx_http_finalize_request(r, rc);

    return NGX_ERROR;
}


/* Which cluster?  A subrequest without a decision of its own shares its
 * parent's. */
static ngx_int_t
ngx_http_mesh_cluster(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    ngx_http_mesh_srv_conf_t *mscf)
{
    ngx_http_mesh_ctx_t  *parent;

    if (mscf->routed) {

        if (ctx->cluster_name.len) {
            return NGX_OK;
        }

        parent = (r != r->main) ? ngx_http_mesh_ctx(r->main, 0) : NULL;

        if (parent == NULL || parent->cluster_name.len == 0) {
            return NGX_DECLINED;
        }

        ctx->cluster_name = parent->cluster_name;
        ctx->cluster_hash = parent->cluster_hash;
        ctx->subset_name = parent->subset_name;
        ctx->subset_hash = parent->subset_hash;

        return NGX_OK;
    }

    ctx->bind = NULL;
    ctx->cluster_name = mscf->cluster.name;
    ctx->cluster_hash = mscf->cluster.name_hash;
    ctx->subset_name = mscf->cluster.subset;
    ctx->subset_hash = mscf->cluster.subset_hash;

    /* a route's affinity, retries and timeouts are not this upstream's */
    ctx->hash = NULL;
    ctx->session = NULL;
    ctx->retry = NULL;
    ctx->timeout_ms = 0;
    ctx->idle_timeout_ms = 0;
    ctx->host_follows = 0;

    return NGX_OK;
}


/* What goes on being needed when the view is gone. */
static void
ngx_http_mesh_remember(ngx_http_mesh_upstream_t *up)
{
    const mesh_cluster_view_t  *view;

    view = up->view->view;

    up->cluster = view->slot;
    up->runtime = view->runtime;

    ngx_http_mesh_lease_init(&up->lease, up->view);
}


static ngx_int_t
ngx_http_mesh_view(ngx_http_mesh_upstream_t *up)
{
    ngx_str_t            *cluster, *subset;
    ngx_http_request_t   *r;
    ngx_http_mesh_ctx_t  *ctx;

    r = up->request;
    ctx = up->ctx;

    if (ngx_http_mesh_pin(r, ctx) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "no mesh configuration: %s", ngx_mesh_no_root());
        return ngx_http_mesh_refuse(r, NGX_HTTP_MESH_NM, ngx_mesh_no_root());
    }

    cluster = (ngx_str_t *) &ctx->cluster_name;
    subset = (ngx_str_t *) &ctx->subset_name;

    /* a route has found the cluster already, to know its protocol */

    up->view = ctx->bind
               ? ngx_mesh_view_bound(ctx->root, ctx->bind)
               : ngx_mesh_view_acquire(ctx->root, ctx->cluster_name,
                                       ctx->cluster_hash);

    if (up->view == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "no mesh cluster \"%V\" in generation %uL",
                      cluster, ctx->generation);
        return ngx_http_mesh_refuse(r, NGX_HTTP_MESH_NC, "no such cluster");
    }

    up->subset = mesh_view_subset(up->view->view, ctx->subset_name,
                                  ctx->subset_hash);

    if (up->subset == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "no subset \"%V\" in mesh cluster \"%V\" in generation "
                      "%uL", subset, cluster, ctx->generation);
        return ngx_http_mesh_refuse(r, NGX_HTTP_MESH_NC, "no such subset");
    }

    ngx_http_mesh_remember(up);

    return NGX_OK;
}


/* Inline, as its only caller is on every request's path. */
static inline ngx_http_mesh_upstream_t *
ngx_http_mesh_upstream_create(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx,
    ngx_http_mesh_carrier_t *carrier)
{
    ngx_http_upstream_t       *u;
    ngx_http_mesh_upstream_t  *up;

    up = &carrier->first;

    if (carrier->upstream) {
        /* of before an internal redirect; logs may still show it */
        ngx_http_mesh_upstream_release(carrier->upstream);

        up = ngx_palloc(r->pool, sizeof(ngx_http_mesh_upstream_t));
        if (up == NULL) {
            return NULL;
        }
    }

    u = r->upstream;

    ngx_memzero(up, ngx_http_mesh_length_of(
                        offsetof(ngx_http_mesh_upstream_t, address)));

    up->request = r;
    up->upstream = u;
    up->ctx = ctx;
    up->index = MESH_PICK_NONE;

    ngx_memcpy(&up->conf, u->conf,
               ngx_http_mesh_length_of(sizeof(ngx_http_upstream_conf_t)));
    u->conf = &up->conf;

    return up;
}


ngx_int_t
ngx_http_mesh_init(ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *us)
{
    ngx_int_t                  rc;
    ngx_http_mesh_ctx_t       *ctx;
    ngx_http_upstream_t       *u;
    ngx_http_mesh_carrier_t   *carrier;
    ngx_http_mesh_loc_conf_t  *mlcf;
    ngx_http_mesh_srv_conf_t  *mscf;
    ngx_http_mesh_upstream_t  *up;

    ctx = ngx_http_mesh_ctx(r, 1);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    carrier = ngx_http_mesh_carrier(ctx);

    up = ngx_http_mesh_upstream_create(r, ctx, carrier);
    if (up == NULL) {
        return NGX_ERROR;
    }

    mscf = ngx_http_conf_upstream_srv_conf(us, ngx_http_mesh_module);

    if (ngx_http_mesh_cluster(r, ctx, mscf) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "no route was decided for this request");
        rc = ngx_http_mesh_refuse(r, NGX_HTTP_MESH_NR, "no route");

    } else {
        rc = ngx_http_mesh_view(up);
    }

    if (rc != NGX_OK) {
        return rc == NGX_BUSY ? NGX_OK : NGX_ERROR;
    }

    carrier->upstream = up;

    u = r->upstream;
    u->peer.data = up;
    u->peer.get = ngx_http_mesh_get;
    u->peer.free = ngx_http_mesh_free;

#if (NGX_HTTP_SSL)
    u->peer.set_session = ngx_http_mesh_set_session;
    u->peer.save_session = ngx_http_mesh_save_session;
#endif

    if (mscf->routed) {
        up->policy = ctx->retry ? ctx->retry : &ngx_http_mesh_default_retry;
        mlcf = ngx_http_get_module_loc_conf(r, ngx_http_mesh_module);

        if (r->headers_in.upgrade
            && ngx_http_mesh_upgrade(r, mlcf->own) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_mesh_attempts_init(up);
}


/*
 * One for all attempts: if retries drew some as well, then with two
 * endpoints, one of them dead, each request would begin at the dead one.
 * Balancers spread retries by themselves.
 */
static uint64_t
ngx_http_mesh_draw(ngx_http_mesh_upstream_t *up)
{
    uint64_t  *ticket;

    if (!up->drawn) {
        ticket = up->runtime
                 ? mesh_view_ticket(up->runtime, up->view->view, up->subset)
                 : &ngx_http_mesh_ticket;

        up->drawn = 1;
        up->ctx->tickets |= 2;
        up->ctx->cluster_ticket = mesh_fetch_add(ticket, 1);
    }

    return up->ctx->cluster_ticket;
}


static uint32_t
ngx_http_mesh_pick(ngx_http_mesh_upstream_t *up)
{
    uint32_t     index;
    mesh_pick_t  pick;

    if (up->subset->count == 0) {
        return MESH_PICK_NONE;
    }

    pick.ticket = ngx_http_mesh_draw(up);
    pick.view = up->view->view;
    pick.subset = up->subset;
    pick.rt = ngx_mesh_runtime();
    pick.tried = up->tried;
    pick.ntried = ngx_min(up->ntried, NGX_HTTP_MESH_TRIED);
    pick.hashed = up->ctx->hash && up->ctx->hash->known
                  && mesh_lb_hashes(pick.view->cluster->lb);
    pick.hash = pick.hashed ? up->ctx->hash->hash : 0;
    pick.now_ms = ngx_current_msec;

    if (pick.hashed) {
        ngx_mesh_view_hash(up->view, up->subset - up->view->view->subsets);
    }

    index = up->ctx->session
            ? mesh_lb_session_pick(&pick, up->view->root->snapshot,
                                   up->ctx->session)
            : mesh_lb_pick(&pick);

    if (index != MESH_PICK_NONE && pick.group->panic && up->runtime) {
        mesh_fetch_add(&up->runtime->panics, 1);
    }

    return index;
}


/* Endpoints may have been ejected or drained while an attempt was made. */
static void
ngx_http_mesh_renew(ngx_http_mesh_upstream_t *up)
{
    up->view = ngx_mesh_view_renew(up->view);
    up->subset = mesh_view_subset(up->view->view, up->ctx->subset_name,
                                  up->ctx->subset_hash);
}


static ngx_int_t
ngx_http_mesh_no_endpoint(ngx_http_mesh_upstream_t *up)
{
    ngx_http_mesh_body_stream(up);

    if (up->runtime) {
        mesh_fetch_add(&up->runtime->no_endpoint, 1);
    }

    ngx_log_error(NGX_LOG_ERR, up->request->connection->log, 0,
                  "no usable endpoint in mesh cluster \"%V\" in generation "
                  "%uL: %uD in the set",
                  (ngx_str_t *) &up->ctx->cluster_name, up->ctx->generation,
                  up->subset->members);

    return ngx_http_mesh_refuse(up->request, NGX_HTTP_MESH_UH,
                                "no healthy endpoint");
}


static void
ngx_http_mesh_begin(ngx_http_mesh_upstream_t *up, uint32_t index)
{
    up->index = index;
    up->endpoint = up->view->view->endpoints[index].slot;
    up->reported = 0;
    up->begun_us = mesh_lb_learns(up->view->view) ? ngx_mesh_now_us() : 0;

    if (up->cluster != MESH_SLOT_NONE && up->endpoint != MESH_SLOT_NONE) {
        mesh_runtime_begin(ngx_mesh_runtime(), up->cluster, up->endpoint);
        up->counted = 1;
    }
}


static ngx_int_t
ngx_http_mesh_get(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_mesh_upstream_t  *up = data;

    uint32_t                index;
    ngx_int_t               rc;
    ngx_http_mesh_ctx_t    *ctx;
    const mesh_endpoint_t  *endpoint;

    ctx = up->ctx;

    pc->cached = 0;
    pc->connection = NULL;

    if (up->following) {
        return ngx_http_mesh_follow_go(up);
    }

    if (up->attempts) {
        ngx_http_mesh_renew(up);
    }

    index = ngx_http_mesh_pick(up);

    if (index == MESH_PICK_NONE) {
        return ngx_http_mesh_no_endpoint(up);
    }

    endpoint = up->view->view->endpoints[index].endpoint;

    if (ctx->host_follows
        && ngx_http_mesh_host_follow(up, endpoint) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->attempts++;
    up->attempts++;

    rc = ngx_http_mesh_connect(up, pc, endpoint);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    ctx->endpoint.len = pc->name->len;
    ctx->endpoint.data = (const char *) pc->name->data;

    ngx_http_mesh_begin(up, index);
    ngx_http_mesh_attempt_begin(up);

    if (up->runtime) {
        mesh_fetch_add(rc == NGX_DONE ? &up->runtime->connections_reused
                                      : &up->runtime->connections, 1);
    }

    return rc;
}


static void
ngx_http_mesh_end(ngx_http_mesh_upstream_t *up)
{
    if (up->counted) {
        mesh_runtime_end(ngx_mesh_runtime(), up->cluster, up->endpoint);
        up->counted = 0;
    }

    up->index = MESH_PICK_NONE;
}


static void
ngx_http_mesh_free(ngx_peer_connection_t *pc, void *data, ngx_uint_t state)
{
    ngx_http_mesh_upstream_t  *up = data;

    mesh_outcome_t        outcome;
    mesh_retry_verdict_e  verdict;

    if (up->index == MESH_PICK_NONE) {
        return;
    }

    if (up->refusal) {
        outcome = up->refused;

    } else {
        ngx_http_mesh_outcome(up, pc, state, &outcome);
    }

    ngx_http_mesh_flags(up, &outcome);

    if (state & NGX_PEER_FAILED) {
        verdict = ngx_http_mesh_attempt_failed(up, pc, &outcome);

        if (verdict == MESH_RETRY_RACE) {
            /* no fault of the endpoint */
            outcome.kind = MESH_OUTCOME_NONE;
        }

    } else {
        ngx_http_mesh_timers_delete(up);

        if (up->request->connection->error) {
            up->ctx->flags |= NGX_HTTP_MESH_DC;
        }
    }

    ngx_http_mesh_report(up, &outcome);
    ngx_http_mesh_idle_save(up, pc, state);
    ngx_http_mesh_end(up);
}


void
ngx_http_mesh_upstream_release(ngx_http_mesh_upstream_t *up)
{
    ngx_http_mesh_timers_delete(up);
    ngx_http_mesh_view_done(up);
}


#if (NGX_HTTP_SSL)

/* Sessions are the identity issue's: nothing is resumed yet. */

static ngx_int_t
ngx_http_mesh_set_session(ngx_peer_connection_t *pc, void *data)
{
    return NGX_OK;
}


static void
ngx_http_mesh_save_session(ngx_peer_connection_t *pc, void *data)
{
    return;
}

#endif
