/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A mirrored request on its way: connect, write, read and forget.  Its end is
 * the answer's, an error, its time, or the worker's: a worker that is told to
 * quit gives up what is under way.
 *
 * Connections go to and come from the idle ones of requests, and count there,
 * but are never the same: what a copy could leave behind on one, no client is
 * shown.
 */

#include "ngx_http_mesh_mirror.h"


/* Bytes read in a row; the rest waits for the loop's next turn. */
#define NGX_HTTP_MESH_MIRROR_TURN   (256 * 1024)

/* Of an idle connection; its endpoint has nothing to say that takes more. */
#define NGX_HTTP_MESH_MIRROR_IDLE   (64 * 1024)


static void ngx_http_mesh_mirror_begin(ngx_event_t *ev);
static void ngx_http_mesh_mirror_start(ngx_http_mesh_mirror_t *m,
    ngx_uint_t connecting);
static void ngx_http_mesh_mirror_connect(ngx_http_mesh_mirror_t *m);
static void ngx_http_mesh_mirror_write(ngx_event_t *ev);
static ngx_int_t ngx_http_mesh_mirror_push(ngx_http_mesh_mirror_t *m);
static void ngx_http_mesh_mirror_read(ngx_event_t *ev);
static void ngx_http_mesh_mirror_idle(ngx_event_t *ev);
static ngx_int_t ngx_http_mesh_mirror_idle_read(ngx_connection_t *c,
    void *data);


/* Keys of idle connections: of copies, over either protocol. */
static u_char  ngx_http_mesh_mirror_protocols[2];


/* Once; afterwards nothing of root and view is needed. */
static void
ngx_http_mesh_mirror_report(ngx_http_mesh_mirror_t *m, unsigned kind,
    unsigned status)
{
    mesh_outcome_t  outcome;

    if (m->view == NULL) {
        return;
    }

    outcome.kind = kind;
    outcome.status = status;
    outcome.grpc = -1;

    if (m->begun_us) {
        ngx_http_mesh_observe(m->view, m->index, m->begun_us, &outcome);
    }

    ngx_mesh_report(m->view, m->index, &outcome, ngx_cycle->log);

    ngx_mesh_view_release(m->view);
    m->view = NULL;
    m->rec = NULL;
}


static void
ngx_http_mesh_mirror_uncount(ngx_http_mesh_mirror_t *m)
{
    if (m->counted) {
        mesh_runtime_end(ngx_mesh_runtime(), m->cluster, m->endpoint);
        m->counted = 0;
    }
}


static void
ngx_http_mesh_mirror_close(ngx_http_mesh_mirror_t *m)
{
    ngx_connection_t  *c;

    c = m->peer.connection;

    if (c) {
        m->peer.connection = NULL;

        ngx_destroy_pool(c->pool);
        ngx_close_connection(c);
    }
}


static void
ngx_http_mesh_mirror_end(ngx_http_mesh_mirror_t *m, unsigned kind)
{
    ngx_http_mesh_mirror_report(m, kind, 0);

    ngx_http_mesh_mirror_uncount(m);

    ngx_http_mesh_mirror_close(m);
    ngx_http_mesh_mirror_free(m);
}


/* All that was to be sent, that is, and that nobody closes. */
static ngx_uint_t
ngx_http_mesh_mirror_reusable(ngx_http_mesh_mirror_t *m)
{
    if (m->two) {
        return !m->http2->last
               && ngx_http_mesh_mirror_push(m) == NGX_OK
               && mesh_mirror2_sent(m->http2);
    }

    return !m->answer.last && m->pos == m->last;
}


/*
 * All of the answer has come.  NGX_DONE: the mirror has ended.
 *
 * Who closes first keeps the connection's port for a minute, and ours are few:
 * an endpoint that was asked to close, or says that it will, is waited for.
 */
static ngx_int_t
ngx_http_mesh_mirror_over(ngx_http_mesh_mirror_t *m)
{
    ngx_http_mesh_mirror_uncount(m);

    if (m->two || (m->lease.pooled && !m->answer.last)) {

        if (ngx_http_mesh_mirror_reusable(m)
            && ngx_http_mesh_idle_keep(&m->lease, m->peer.connection,
                                       m->two ? ngx_http_mesh_mirror_idle_read
                                              : NULL, m->http2)
               == NGX_OK)
        {
            m->peer.connection = NULL;
        }

        ngx_http_mesh_mirror_end(m, MESH_OUTCOME_NONE);
        return NGX_DONE;
    }

    m->over = 1;

    ngx_add_timer(m->peer.connection->read, NGX_HTTP_MESH_MIRROR_CLOSE);

    return NGX_OK;
}


/* Endpoints may have been ejected or drained while a body came. */
static ngx_int_t
ngx_http_mesh_mirror_pick(ngx_http_mesh_mirror_t *m)
{
    mesh_pick_t                pick;
    const mesh_view_subset_t  *subset;

    m->view = ngx_mesh_view_renew(m->view);

    subset = mesh_view_subset(m->view->view,
                              mesh_get_str(m->view->root->snapshot,
                                           m->rec->subset),
                              m->rec->subset_hash);

    if (subset == NULL || subset->count == 0) {
        return NGX_DECLINED;
    }

    ngx_memzero(&pick, sizeof(mesh_pick_t));

    pick.view = m->view->view;
    pick.subset = subset;
    pick.rt = ngx_mesh_runtime();
    pick.now_ms = ngx_current_msec;

    if (m->runtime) {
        pick.ticket = mesh_fetch_add(mesh_view_ticket(m->runtime, pick.view,
                                                      subset), 1);
    } else {
        pick.ticket = (uint64_t) ngx_random();
    }

    m->index = mesh_lb_pick(&pick);

    if (m->index == MESH_PICK_NONE) {
        return NGX_DECLINED;
    }

    m->endpoint = m->view->view->endpoints[m->index].slot;
    m->begun_us = mesh_lb_learns(m->view->view) ? ngx_mesh_now_us() : 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_mirror_address(ngx_http_mesh_mirror_t *m)
{
    const mesh_endpoint_t  *endpoint;

    endpoint = m->view->view->endpoints[m->index].endpoint;

    if (ngx_mesh_sockaddr(m->view, endpoint, &m->address, &m->peer.socklen)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    m->peer.sockaddr = &m->address.sockaddr;

    ngx_http_mesh_lease_init(&m->lease, m->view);

    if (endpoint->family == MESH_FAMILY_UNIX) {
        m->lease.host.data = (u_char *) m->address.sockaddr_un.sun_path;
        m->lease.host.len = ngx_strlen(m->address.sockaddr_un.sun_path);
    }

    m->name.data = m->text;
    m->name.len = ngx_min(mesh_endpoint_text(m->view->root->snapshot, endpoint,
                                             (char *) m->text,
                                             sizeof(m->text)),
                          sizeof(m->text) - 1);
    m->peer.name = &m->name;

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_mirror_write_request(ngx_http_mesh_mirror_t *m,
    const mesh_mirror_form_t *form, const u_char *body)
{
    char    *p;
    size_t   size, len;

    len = m->two ? 0 : (size_t) form->length;

    size = m->two ? mesh_mirror2_write(m->head, form, NULL, NULL, 0)
                  : mesh_mirror_head(m->head, form, NULL, 0);

    p = size ? (char *) ngx_http_mesh_mirror_memory(m, size + len) : NULL;

    if (p == NULL) {
        return NGX_ERROR;
    }

    m->request.data = (u_char *) p;
    m->request.len = size + len;

    if (m->two) {
        (void) mesh_mirror2_write(m->head, form, (const char *) body, p, size);
        return NGX_OK;
    }

    (void) mesh_mirror_head(m->head, form, p, size);

    if (len) {
        ngx_memcpy(p + size, body, len);
    }

    return NGX_OK;
}


void
ngx_http_mesh_mirror_send(ngx_http_mesh_mirror_t *m, const u_char *body,
    size_t len, ngx_queue_t *copies)
{
    mesh_mirror_form_t  form;

    /* a worker that quits would wait for it, and closes what is idle once */

    if (ngx_exiting
        || ngx_http_mesh_mirror_pick(m) != NGX_OK
        || ngx_http_mesh_mirror_address(m) != NGX_OK)
    {
        ngx_http_mesh_mirror_drop(m);
        return;
    }

    form.host = m->host;
    form.length = len;
    form.last = (m->lease.most == 0 || m->cluster == MESH_SLOT_NONE);

    m->two = (m->view->view->cluster->flags & MESH_CLUSTER_HTTP2) != 0;

    if (ngx_http_mesh_mirror_write_request(m, &form, body) != NGX_OK) {
        ngx_http_mesh_mirror_drop(m);
        return;
    }

    /* a connect takes tens of microseconds: who waits for us goes first */

    m->post.data = m;
    m->post.handler = ngx_http_mesh_mirror_begin;
    m->post.log = ngx_cycle->log;

    ngx_queue_insert_tail(copies, &m->queue);

    ngx_add_timer(&m->post, NGX_HTTP_MESH_MIRROR_WAIT);
}


void
ngx_http_mesh_mirror_send_now(ngx_queue_t *copies)
{
    ngx_queue_t             *q;
    ngx_http_mesh_mirror_t  *m;

    while (!ngx_queue_empty(copies)) {
        q = ngx_queue_head(copies);
        m = ngx_queue_data(q, ngx_http_mesh_mirror_t, queue);

        ngx_queue_remove(q);
        ngx_queue_init(q);

        ngx_del_timer(&m->post);
        ngx_post_event(&m->post, &ngx_posted_events);
    }
}


static void
ngx_http_mesh_mirror_begin(ngx_event_t *ev)
{
    ngx_http_mesh_mirror_t  *m = ev->data;

    const mesh_endpoint_t  *endpoint;

    ngx_queue_remove(&m->queue);

    if (ngx_exiting) {
        ngx_http_mesh_mirror_drop(m);
        return;
    }

    m->peer.get = ngx_event_get_peer;
    m->peer.log = ngx_cycle->log;
    m->peer.log_error = NGX_ERROR_INFO;

    m->deadline = ngx_current_msec + m->timeout;

    if (m->cluster != MESH_SLOT_NONE && m->endpoint != MESH_SLOT_NONE) {
        mesh_runtime_begin(ngx_mesh_runtime(), m->cluster, m->endpoint);
        m->counted = 1;
    }

    if (m->runtime) {
        mesh_fetch_add(&m->runtime->mirrors, 1);
    }

    endpoint = m->view->view->endpoints[m->index].endpoint;

    if (ngx_http_mesh_idle_key_plain(&m->lease, m->view->view, endpoint,
                                     &ngx_http_mesh_mirror_protocols[m->two])
        == NGX_OK)
    {
        m->lease.pooled = 1;
        m->peer.connection = ngx_http_mesh_idle_take(&m->lease,
                                                     ngx_cycle->log);
        m->http2 = m->peer.connection ? m->lease.idle->data : NULL;
    }

    if (m->peer.connection == NULL) {
        ngx_http_mesh_mirror_connect(m);
        return;
    }

    m->peer.cached = 1;

    if (m->runtime) {
        mesh_fetch_add(&m->runtime->connections_reused, 1);
    }

    ngx_http_mesh_mirror_start(m, 0);
}


/* Its time does not begin anew with another connection. */
static void
ngx_http_mesh_mirror_start(ngx_http_mesh_mirror_t *m, ngx_uint_t connecting)
{
    ngx_connection_t  *c;
    ngx_msec_int_t     left;

    c = m->peer.connection;
    c->data = m;
    c->requests++;
    c->read->handler = ngx_http_mesh_mirror_read;
    c->write->handler = ngx_http_mesh_mirror_write;

    /* a worker that quits closes it */
    c->idle = 1;

    m->pos = m->request.data;
    m->last = m->pos + m->request.len;

    if (m->two) {
        m->last = m->pos;
        mesh_mirror2_begin(m->http2, (char *) m->request.data, m->request.len);
    }

    left = (ngx_msec_int_t) (m->deadline - ngx_current_msec);

    ngx_add_timer(c->read, (ngx_msec_t) ngx_max(left, 1));

    if (connecting) {
        ngx_add_timer(c->write,
                      m->view->view->cluster->connect_timeout_ms);
        return;
    }

    ngx_http_mesh_mirror_write(c->write);
}


/*
 * Windows are opened for a request's body after it was answered, too, and
 * pings come at any time.
 */
static ngx_int_t
ngx_http_mesh_mirror_idle_read(ngx_connection_t *c, void *data)
{
    mesh_mirror2_t  *http2 = data;

    size_t      turn;
    ssize_t     n;
    mesh_str_t  piece;
    char        replies[MESH_MIRROR2_REPLIES];

    static u_char  buffer[4096];

    for (turn = 0; turn < NGX_HTTP_MESH_MIRROR_IDLE; turn += n) {
        n = c->recv(c, buffer, sizeof(buffer));

        if (n == NGX_AGAIN) {
            return NGX_OK;
        }

        if (n <= 0
            || mesh_mirror2_read(http2, (const char *) buffer, n)
               != MESH_MIRROR_DONE
            || http2->last)
        {
            return NGX_ERROR;
        }

        piece = mesh_mirror2_next(http2, replies);

        if (piece.len
            && c->send(c, (u_char *) piece.data, piece.len)
               != (ssize_t) piece.len)
        {
            return NGX_ERROR;
        }
    }

    return NGX_ERROR;
}


static void
ngx_http_mesh_mirror_connect(ngx_http_mesh_mirror_t *m)
{
    ngx_int_t          rc;
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    m->peer.cached = 0;

    if (m->runtime) {
        mesh_fetch_add(&m->runtime->connections, 1);
    }

    rc = ngx_event_connect_peer(&m->peer);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_http_mesh_mirror_end(m, MESH_OUTCOME_CONNECT_FAILURE);
        return;
    }

    c = m->peer.connection;

    pool = ngx_create_pool(NGX_HTTP_MESH_MIRROR_POOL
                           + (m->two ? sizeof(mesh_mirror2_t) : 0),
                           ngx_cycle->log);

    if (pool == NULL) {
        m->peer.connection = NULL;
        ngx_close_connection(c);
        ngx_http_mesh_mirror_end(m, MESH_OUTCOME_NONE);
        return;
    }

    c->pool = pool;

    if (m->two) {
        m->http2 = ngx_pcalloc(pool, sizeof(mesh_mirror2_t));

        if (m->http2 == NULL) {
            ngx_http_mesh_mirror_end(m, MESH_OUTCOME_NONE);
            return;
        }
    }

    ngx_http_mesh_mirror_start(m, rc == NGX_AGAIN);
}


/*
 * The endpoint has closed an idle connection at the time when it was taken:
 * once more on a fresh one, if that is safe.
 */
static ngx_int_t
ngx_http_mesh_mirror_again(ngx_http_mesh_mirror_t *m)
{
    mesh_outcome_t      outcome;
    mesh_retry_state_t  state;

    if (!m->peer.cached || (m->two ? m->http2->status : m->answered) != 0) {
        return NGX_DECLINED;
    }

    outcome.kind = MESH_OUTCOME_RESET;
    outcome.status = 0;
    outcome.grpc = -1;

    ngx_memzero(&state, sizeof(mesh_retry_state_t));

    state.policy = &ngx_http_mesh_default_retry;
    state.method = m->method;
    state.sent = m->peer.connection->sent > 0
                 && !(m->two && m->http2->refused);
    state.reused = true;
    state.body_kept = true;
    state.left_ms = UINT64_MAX;

    if (mesh_retry_decide(m->view->root->snapshot, &state, &outcome)
        != MESH_RETRY_RACE)
    {
        return NGX_DECLINED;
    }

    if (m->runtime) {
        mesh_fetch_add(&m->runtime->races_saved, 1);
    }

    ngx_http_mesh_mirror_close(m);

    m->lease.idle = NULL;

    ngx_http_mesh_mirror_connect(m);

    return NGX_OK;
}


/* There is no answer of it, or no further one, on this connection. */
static void
ngx_http_mesh_mirror_reset(ngx_http_mesh_mirror_t *m)
{
    if (ngx_http_mesh_mirror_again(m) != NGX_OK) {
        ngx_http_mesh_mirror_end(m, MESH_OUTCOME_RESET);
    }
}


static ngx_int_t
ngx_http_mesh_mirror_connected(ngx_http_mesh_mirror_t *m)
{
    int                err;
    socklen_t          len;
    ngx_connection_t  *c;

    c = m->peer.connection;

    if (m->peer.cached || c->sent) {
        return NGX_OK;
    }

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    return err ? NGX_ERROR : NGX_OK;
}


/* Is there more to send, now? */
static ngx_uint_t
ngx_http_mesh_mirror_next(ngx_http_mesh_mirror_t *m)
{
    mesh_str_t  piece;

    if (!m->two) {
        return 0;
    }

    piece = mesh_mirror2_next(m->http2, (char *) m->replies);

    m->pos = (u_char *) piece.data;
    m->last = m->pos + piece.len;

    return piece.len != 0;
}


/*
 * Sends what there is.  NGX_AGAIN: the write event goes on with it;
 * NGX_DECLINED: there is no sending, but an answer may have come all the same.
 */
static ngx_int_t
ngx_http_mesh_mirror_push(ngx_http_mesh_mirror_t *m)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = m->peer.connection;

    while (m->pos < m->last || ngx_http_mesh_mirror_next(m)) {
        n = c->send(c, m->pos, m->last - m->pos);

        if (n == NGX_AGAIN) {
            c->write->handler = ngx_http_mesh_mirror_write;
            return ngx_handle_write_event(c->write, 0) == NGX_OK ? NGX_AGAIN
                                                                 : NGX_ERROR;
        }

        if (n <= 0) {
            c->write->handler = ngx_http_mesh_mirror_idle;
            return NGX_DECLINED;
        }

        m->pos += n;
    }

    c->write->handler = ngx_http_mesh_mirror_idle;

    return NGX_OK;
}


static void
ngx_http_mesh_mirror_write(ngx_event_t *ev)
{
    ngx_connection_t        *c;
    ngx_http_mesh_mirror_t  *m;

    c = ev->data;
    m = c->data;

    if (ev->timedout) {
        ngx_http_mesh_mirror_end(m, MESH_OUTCOME_CONNECT_TIMEOUT);
        return;
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    if (ngx_http_mesh_mirror_connected(m) != NGX_OK) {
        ngx_http_mesh_mirror_end(m, MESH_OUTCOME_CONNECT_FAILURE);
        return;
    }

    switch (ngx_http_mesh_mirror_push(m)) {

    case NGX_AGAIN:
        return;

    case NGX_ERROR:
        ngx_http_mesh_mirror_end(m, MESH_OUTCOME_NONE);
        return;

    default:
        ngx_http_mesh_mirror_read(c->read);
    }
}


static void
ngx_http_mesh_mirror_idle(ngx_event_t *ev)
{
    if (ngx_handle_write_event(ev, 0) != NGX_OK) {
        ngx_log_debug0(NGX_LOG_DEBUG_HTTP, ev->log, 0, "mesh mirror write");
    }
}


/* NGX_OK: more may come; NGX_DONE: the mirror has ended. */
static ngx_int_t
ngx_http_mesh_mirror_feed(ngx_http_mesh_mirror_t *m, const u_char *data,
    size_t len)
{
    mesh_mirror_progress_e  progress;

    if (m->over) {
        /* more than was announced */
        ngx_http_mesh_mirror_end(m, MESH_OUTCOME_NONE);
        return NGX_DONE;
    }

    progress = m->two
               ? mesh_mirror2_read(m->http2, (const char *) data, len)
               : mesh_mirror_read(&m->answer, (const char *) data, len);

    switch (progress) {

    case MESH_MIRROR_MORE:
        return NGX_OK;

    case MESH_MIRROR_STATUS:
    case MESH_MIRROR_DONE:
        ngx_http_mesh_mirror_report(m, MESH_OUTCOME_STATUS,
                                    m->two ? m->http2->status
                                           : m->answer.status);

        return (progress == MESH_MIRROR_DONE) ? ngx_http_mesh_mirror_over(m)
                                              : NGX_OK;

    default:
        ngx_http_mesh_mirror_reset(m);
        return NGX_DONE;
    }
}


/*
 * Reads once.  NGX_OK: there may be more; NGX_AGAIN: not yet; NGX_DONE: the
 * mirror has ended, or goes on over another connection.
 */
static ngx_int_t
ngx_http_mesh_mirror_recv(ngx_http_mesh_mirror_t *m)
{
    ssize_t            n;
    ngx_connection_t  *c;

    static u_char      buffer[16384];

    c = m->peer.connection;

    n = c->recv(c, buffer, sizeof(buffer));

    if (n == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (n <= 0) {
        ngx_http_mesh_mirror_reset(m);
        return NGX_DONE;
    }

    if (c->write->timer_set) {
        /* connected, whichever event is told first */
        ngx_del_timer(c->write);
    }

    m->answered += n;

    if (ngx_http_mesh_mirror_feed(m, buffer, n) == NGX_DONE) {
        return NGX_DONE;
    }

    if (m->answered > NGX_HTTP_MESH_MIRROR_ANSWER
        || (m->two && ngx_http_mesh_mirror_push(m) == NGX_ERROR))
    {
        ngx_http_mesh_mirror_end(m, MESH_OUTCOME_NONE);
        return NGX_DONE;
    }

    return NGX_OK;
}


static void
ngx_http_mesh_mirror_read(ngx_event_t *ev)
{
    size_t                   turn;
    ngx_int_t                rc;
    ngx_connection_t        *c;
    ngx_http_mesh_mirror_t  *m;

    c = ev->data;
    m = c->data;

    if (c->close) {
        ngx_http_mesh_mirror_end(m, MESH_OUTCOME_NONE);
        return;
    }

    if (ev->timedout) {
        ngx_http_mesh_mirror_end(m, MESH_OUTCOME_TIMEOUT);
        return;
    }

    /* a failed connect may be told here first */

    if (ngx_http_mesh_mirror_connected(m) != NGX_OK) {
        ngx_http_mesh_mirror_end(m, MESH_OUTCOME_CONNECT_FAILURE);
        return;
    }

    turn = m->answered + NGX_HTTP_MESH_MIRROR_TURN;

    do {
        rc = ngx_http_mesh_mirror_recv(m);
    } while (rc == NGX_OK && m->answered < turn);

    if (rc == NGX_OK) {
        ngx_post_event(ev, &ngx_posted_next_events);

    } else if (rc == NGX_AGAIN && ngx_handle_read_event(ev, 0) != NGX_OK) {
        ngx_http_mesh_mirror_end(m, MESH_OUTCOME_NONE);
    }
}
