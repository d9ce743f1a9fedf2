/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Whether an attempt is followed by another one, and how long it may last.
 *
 * Who decides:
 *
 *   a route with `retries`      mesh_retry_decide() by that policy
 *   a route without             the same, by ngx_http_mesh_default_retry: on
 *                               another endpoint after a connect failure, or
 *                               a reset of what is safe to repeat
 *   `upstream { mesh ...; }`    nginx's own proxy_next_upstream directives
 *                               of the location, as before
 *
 * In all cases a request on an idle connection that the endpoint was just
 * closing is replayed on a fresh one when that is safe: it costs no attempt
 * and is no vote against the endpoint.  When attempts are used up, the client
 * gets the last endpoint's real answer, if there was one.
 *
 * nginx asks in ngx_http_upstream_next(), right after peer.free(): it goes on
 * if tries are left, if u->conf->next_upstream has the failure's bit, and if
 * the body is buffered.  u->conf is the request's own copy, so the answer is
 * put there.  A response header that is to be retried reads to nginx as an
 * invalid one.
 *
 * The per-try timeout ends an attempt that has no response header; the
 * route's timeout ends the request at any time, but for tunnels.
 */

#include "ngx_http_mesh_upstream.h"


#define NGX_HTTP_MESH_ANY_FAILURE   ((ngx_uint_t) -1)

#define NGX_HTTP_MESH_RETRY_BY_HEADER                                         \
    (MESH_RETRY_GATEWAY_ERROR|MESH_RETRY_5XX|MESH_RETRY_STATUS                \
     |MESH_RETRY_GRPC)


static ngx_int_t ngx_http_mesh_process_header(ngx_http_request_t *r);
static ngx_int_t ngx_http_mesh_reinit_request(ngx_http_request_t *r);


const mesh_rec_retry_t  ngx_http_mesh_default_retry = {
    .rec = { MESH_KIND_RETRY, 0, sizeof(mesh_rec_retry_t) },
    .on = MESH_RETRY_CONNECT_FAILURE|MESH_RETRY_RESET,
    .attempts = 2
};


void
ngx_http_mesh_timers_delete(ngx_http_mesh_upstream_t *up)
{
    ngx_http_mesh_timeout_delete(&up->deadline);
    ngx_http_mesh_timeout_delete(&up->try_deadline);
}


/*
 * Makes nginx see a timeout of the attempt under way, in whatever phase it
 * is.  The request may be gone afterwards.
 */
static void
ngx_http_mesh_time_out(ngx_http_mesh_upstream_t *up)
{
    ngx_event_t          *ev;
    ngx_connection_t     *c;
    ngx_http_upstream_t  *u;

    u = up->upstream;
    c = u->peer.connection;

    if (up->index == MESH_PICK_NONE || c == NULL) {
        return;
    }

    ev = u->request_sent ? c->read : c->write;

#if (NGX_SSL)
    if (c->ssl && !c->ssl->handshaked) {
        ev = c->write;
    }
#endif

    ev->timedout = 1;
    ev->handler(ev);
}


static void
ngx_http_mesh_deadline_handler(ngx_http_mesh_upstream_t *up)
{
    up->expired = 1;

    ngx_http_mesh_time_out(up);
}


static ngx_int_t
ngx_http_mesh_deadline_init(ngx_http_mesh_upstream_t *up)
{
    ngx_msec_t      length;
    ngx_msec_int_t  left;

    length = up->ctx->timeout_ms;

    if (up->ctx->deadline_at) {
        /* a redirect is followed: no time beyond its former routes' */
        left = (ngx_msec_int_t) (up->ctx->deadline_at - ngx_current_msec);
        left = ngx_max(left, 1);

        if (length == 0 || length > (ngx_msec_t) left) {
            length = (ngx_msec_t) left;
        }
    }

    if (length == 0) {
        return NGX_OK;
    }

    up->deadline.upstream = up;
    up->deadline.handler = ngx_http_mesh_deadline_handler;

    return ngx_http_mesh_timeout_add(&up->deadline, length);
}


ngx_int_t
ngx_http_mesh_attempts_init(ngx_http_mesh_upstream_t *up)
{
    ngx_http_upstream_t       *u;
    const mesh_rec_route_t    *route;
    ngx_http_upstream_conf_t  *conf;
    const mesh_rec_cluster_t  *cluster;

    u = up->upstream;
    conf = &up->conf;
    cluster = up->view->view->cluster;

    if (cluster->connect_timeout_ms) {
        conf->connect_timeout = cluster->connect_timeout_ms;
    }

    if (up->ctx->idle_timeout_ms) {
        conf->read_timeout = up->ctx->idle_timeout_ms;
        conf->send_timeout = up->ctx->idle_timeout_ms;
    }

    up->header = u->request_bufs ? u->request_bufs->buf : NULL;
    up->read_handler = up->request->read_event_handler;

    if (up->policy == NULL) {
        u->peer.tries = ngx_max(up->subset->count, 1);
        return NGX_OK;
    }

    u->peer.tries = 1;
    conf->next_upstream = 0;
    conf->next_upstream_tries = 0;
    conf->next_upstream_timeout = 0;

    route = up->ctx->match.route;

    if (route && route->mirrors) {
        ngx_http_mesh_mirrors(up);
    }

    if ((up->policy->on & NGX_HTTP_MESH_RETRY_BY_HEADER)
        || (route && route->internal_redirect))
    {
        up->process_header = u->process_header;
        up->reinit_request = u->reinit_request;
        u->process_header = ngx_http_mesh_process_header;
        u->reinit_request = ngx_http_mesh_reinit_request;
    }

    return ngx_http_mesh_deadline_init(up);
}


/*
 * $upstream_status of a response that was refused: nginx has put a 502 there
 * after it had asked us.
 */
void
ngx_http_mesh_restore_status(ngx_http_mesh_upstream_t *up)
{
    ngx_array_t                *states;
    ngx_http_upstream_state_t  *state;

    states = up->request->upstream_states;

    if (states->nelts > 1) {
        state = states->elts;
        state[states->nelts - 2].status = up->refused.status;
    }
}


void
ngx_http_mesh_attempt_begin(ngx_http_mesh_upstream_t *up)
{
    uint32_t  timeout;

    if (up->refusal) {
        ngx_http_mesh_restore_status(up);
        up->refusal = 0;
    }

    if (up->attempts > 1) {
        ngx_http_mesh_body_stream(up);

        up->ctx->flags &= ~(NGX_HTTP_MESH_UF|NGX_HTTP_MESH_UC
                            |NGX_HTTP_MESH_UT);

        if (up->runtime) {
            mesh_fetch_add(up->raced ? &up->runtime->races_saved
                                     : &up->runtime->retries, 1);
        }
    }

    up->tried[up->ntried++ % NGX_HTTP_MESH_TRIED] = up->index;

    if (up->policy == NULL) {
        return;
    }

    /* or nginx would go on by itself after a 502, 503, 504, ... */
    up->conf.next_upstream = 0;

    timeout = up->policy->per_try_timeout_ms;

    if (timeout == 0) {
        return;
    }

    up->try_deadline.upstream = up;
    up->try_deadline.handler = ngx_http_mesh_time_out;

    (void) ngx_http_mesh_timeout_add(&up->try_deadline, timeout);
}


static uint64_t
ngx_http_mesh_left_ms(ngx_http_mesh_upstream_t *up)
{
    ngx_msec_int_t  left;

    if (up->deadline.handler == NULL) {
        return UINT64_MAX;
    }

    left = (ngx_msec_int_t) (up->deadline.at - ngx_current_msec);

    return (up->expired || left <= 0) ? 0 : (uint64_t) left;
}


/* On an idle connection, and not one byte came back? */
static ngx_uint_t
ngx_http_mesh_reused(ngx_http_mesh_upstream_t *up)
{
    return up->upstream->peer.cached
           && up->upstream->state->bytes_received == 0;
}


static mesh_retry_verdict_e
ngx_http_mesh_decide(ngx_http_mesh_upstream_t *up,
    const mesh_outcome_t *outcome)
{
    mesh_str_t            method;
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;
    mesh_retry_state_t    state;

    if (up->view == NULL) {
        return MESH_RETRY_NO;
    }

    r = up->request;
    u = up->upstream;
    c = u->peer.connection;

    method.len = r->method_name.len;
    method.data = (const char *) r->method_name.data;

    state.policy = up->policy;
    state.method = mesh_method_bit(method);
    state.sent = u->request_sent && c && c->sent > 0;
    state.reused = ngx_http_mesh_reused(up);
    state.body_kept = ngx_http_mesh_body_repeatable(up);
    state.header_sent = u->header_sent || r->header_sent;
    state.retries = up->retries;
    state.races = up->races;
    state.left_ms = ngx_http_mesh_left_ms(up);

    return mesh_retry_decide(up->view->root->snapshot, &state, outcome);
}


static void
ngx_http_mesh_exhausted(ngx_http_mesh_upstream_t *up)
{
    up->ctx->flags |= NGX_HTTP_MESH_URX;

    if (up->runtime) {
        mesh_fetch_add(&up->runtime->retries_exhausted, 1);
    }
}


static void
ngx_http_mesh_log_retry(ngx_http_mesh_upstream_t *up,
    const mesh_outcome_t *outcome)
{
    ngx_log_error(NGX_LOG_INFO, up->request->connection->log, 0,
                  "attempt %ui at %*s of mesh cluster \"%V\" is retried: "
                  "outcome %ui, status %ui, generation %uL",
                  up->ctx->attempts, up->ctx->endpoint.len,
                  up->ctx->endpoint.data,
                  (ngx_str_t *) &up->ctx->cluster_name,
                  (ngx_uint_t) outcome->kind, (ngx_uint_t) outcome->status,
                  up->ctx->generation);
}


/* A race is replayed on the same endpoint if its turn comes again. */
static void
ngx_http_mesh_forget_try(ngx_http_mesh_upstream_t *up)
{
    up->raced = 1;
    up->races++;
    up->ntried--;
}


/*
 * What ngx_http_upstream_next() will do by the location's directives, which
 * is left to it.  The answer is for the counters.
 *
 * It does not look whether a response has begun, although the grpc module
 * writes frames after that, which may fail.
 */
static mesh_retry_verdict_e
ngx_http_mesh_native_failed(ngx_http_mesh_upstream_t *up,
    ngx_peer_connection_t *pc, const mesh_outcome_t *outcome)
{
    ngx_uint_t            mask, repeatable;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = up->request;
    u = up->upstream;

    if (pc->tries) {
        pc->tries--;
    }

    repeatable = !u->header_sent && ngx_http_mesh_body_repeatable(up);

    if (!repeatable || ngx_http_mesh_body_repeat(up) != NGX_OK) {
        up->conf.next_upstream = 0;
    }

    mask = NGX_HTTP_UPSTREAM_FT_ERROR;

    if (u->request_sent && (r->method & NGX_HTTP_MESH_NON_IDEMPOTENT)) {
        mask |= NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT;
    }

    if (outcome->kind == MESH_OUTCOME_RESET
        && ngx_http_mesh_reused(up)
        && (up->conf.next_upstream & mask) == mask)
    {
        ngx_http_mesh_forget_try(up);
        return MESH_RETRY_RACE;
    }

    up->raced = 0;

    if (pc->tries == 0 && up->attempts > 1 && !u->header_sent) {
        ngx_http_mesh_exhausted(up);
    }

    return MESH_RETRY_NO;
}


mesh_retry_verdict_e
ngx_http_mesh_attempt_failed(ngx_http_mesh_upstream_t *up,
    ngx_peer_connection_t *pc, const mesh_outcome_t *outcome)
{
    mesh_retry_verdict_e  verdict;

    ngx_http_mesh_timeout_delete(&up->try_deadline);

    if (up->policy == NULL) {
        return ngx_http_mesh_native_failed(up, pc, outcome);
    }

    if (up->following) {
        /* nginx is to ask for an endpoint once more */
        up->request->request_body_no_buffering = 0;
        pc->tries = 1;
        up->conf.next_upstream = NGX_HTTP_MESH_ANY_FAILURE;
        return MESH_RETRY_NO;
    }

    verdict = up->refusal ? MESH_RETRY_YES : ngx_http_mesh_decide(up, outcome);

    if (verdict == MESH_RETRY_YES || verdict == MESH_RETRY_RACE) {

        if (ngx_http_mesh_body_repeat(up) != NGX_OK) {
            verdict = MESH_RETRY_NO;
        }
    }

    switch (verdict) {

    case MESH_RETRY_YES:
        up->retries++;
        up->raced = 0;
        ngx_http_mesh_log_retry(up, outcome);
        break;

    case MESH_RETRY_RACE:
        ngx_http_mesh_forget_try(up);
        break;

    case MESH_RETRY_EXHAUSTED:
        ngx_http_mesh_exhausted(up);
        /* fall through */

    default:
        ngx_http_mesh_timers_delete(up);
        pc->tries = 0;
        up->conf.next_upstream = 0;
        return verdict;
    }

    pc->tries = 1;
    up->conf.next_upstream = NGX_HTTP_MESH_ANY_FAILURE;

    return verdict;
}


static ngx_inline ngx_http_mesh_upstream_t *
ngx_http_mesh_of(ngx_http_request_t *r)
{
    void  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_mesh_module);

    return ngx_http_mesh_carrier(ctx)->upstream;
}


/*
 * A response header has come: to the client with it, or again?  Modules swap
 * u->process_header while they parse.  nginx reads a cached one here as well,
 * in place of an endpoint's.
 */
static ngx_int_t
ngx_http_mesh_process_header(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    mesh_outcome_t             outcome;
    ngx_http_upstream_t       *u;
    ngx_http_mesh_upstream_t  *up;

    u = r->upstream;
    up = ngx_http_mesh_of(r);

    u->process_header = up->process_header;
    rc = u->process_header(r);
    up->process_header = u->process_header;
    u->process_header = ngx_http_mesh_process_header;

    if (rc != NGX_OK || r->cached) {
        return rc;
    }

    outcome.kind = MESH_OUTCOME_STATUS;
    outcome.status = (unsigned) u->headers_in.status_n;
    outcome.grpc = ngx_http_mesh_grpc_status(u);

    if (outcome.status >= NGX_HTTP_BAD_REQUEST || outcome.grpc > 0) {

        switch (ngx_http_mesh_decide(up, &outcome)) {

        case MESH_RETRY_YES:
            up->refused = outcome;
            up->refusal = 1;
            return NGX_HTTP_UPSTREAM_INVALID_HEADER;

        case MESH_RETRY_EXHAUSTED:
            ngx_http_mesh_exhausted(up);
            break;

        default:
            break;
        }
    }

    if (outcome.status >= NGX_HTTP_SPECIAL_RESPONSE
        && outcome.status < NGX_HTTP_BAD_REQUEST
        && up->policy && up->view && up->ctx->match.route
        && ngx_http_mesh_follow(up, outcome.status) == NGX_OK)
    {
        up->refused = outcome;
        up->refusal = 1;
        up->following = 1;
        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }

    ngx_http_mesh_timeout_delete(&up->try_deadline);

    return NGX_OK;
}


/* ngx_http_proxy_reinit_request() sets u->process_header anew. */
static ngx_int_t
ngx_http_mesh_reinit_request(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_upstream_t       *u;
    ngx_http_mesh_upstream_t  *up;

    u = r->upstream;
    up = ngx_http_mesh_of(r);

    u->process_header = up->process_header;
    rc = up->reinit_request(r);
    up->process_header = u->process_header;
    u->process_header = ngx_http_mesh_process_header;

    return rc;
}
