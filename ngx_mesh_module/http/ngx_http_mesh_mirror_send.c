/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A mirrored request on its way: connect, write, read and forget.  Its end is
 * the answer's, an error, its time, or the worker's: a worker that is told to
 * quit gives up what is under way.
 */

#include "ngx_http_mesh_mirror.h"


/* Bytes read in a row; the rest waits for the loop's next turn. */
#define NGX_HTTP_MESH_MIRROR_TURN   (256 * 1024)


static void ngx_http_mesh_mirror_begin(ngx_event_t *ev);
static void ngx_http_mesh_mirror_write(ngx_event_t *ev);
static void ngx_http_mesh_mirror_read(ngx_event_t *ev);
static void ngx_http_mesh_mirror_idle(ngx_event_t *ev);


static ngx_uint_t  ngx_http_mesh_mirrors_now;


void
ngx_http_mesh_mirror_count_drop(ngx_mesh_view_t *view)
{
    if (view && view->view->runtime) {
        mesh_fetch_add(&view->view->runtime->mirrors_dropped, 1);
    }
}


ngx_http_mesh_mirror_t *
ngx_http_mesh_mirror_create(ngx_mesh_view_t *view, const mesh_mirror_t *rec,
    size_t size)
{
    ngx_pool_t              *pool;
    ngx_http_mesh_mirror_t  *m;

    if (ngx_http_mesh_mirrors_now >= NGX_HTTP_MESH_MIRRORS
        || ngx_http_mesh_mirrors_now >= ngx_cycle->connection_n
                                    / NGX_HTTP_MESH_MIRRORS_PART)
    {
        ngx_http_mesh_mirror_count_drop(view);
        return NULL;
    }

    pool = ngx_create_pool(sizeof(ngx_pool_t) + sizeof(ngx_http_mesh_mirror_t)
                           + ngx_align(size, NGX_ALIGNMENT) + 256,
                           ngx_cycle->log);
    if (pool == NULL) {
        ngx_http_mesh_mirror_count_drop(view);
        return NULL;
    }

    m = ngx_pcalloc(pool, sizeof(ngx_http_mesh_mirror_t));
    if (m == NULL) {
        ngx_destroy_pool(pool);
        ngx_http_mesh_mirror_count_drop(view);
        return NULL;
    }

    m->pool = pool;
    m->view = ngx_mesh_view_ref(view);
    m->rec = rec;
    m->runtime = view->view->runtime;
    m->cluster = view->view->slot;

    ngx_http_mesh_mirrors_now++;

    return m;
}


static void
ngx_http_mesh_mirror_free(ngx_http_mesh_mirror_t *m)
{
    if (m->view) {
        ngx_mesh_view_release(m->view);
    }

    ngx_http_mesh_mirrors_now--;
    ngx_destroy_pool(m->pool);
}


void
ngx_http_mesh_mirror_drop(ngx_http_mesh_mirror_t *m)
{
    ngx_http_mesh_mirror_count_drop(m->view);
    ngx_http_mesh_mirror_free(m);
}


/* Once; afterwards nothing of root and view is needed. */
static void
ngx_http_mesh_mirror_report(ngx_http_mesh_mirror_t *m,
    const mesh_outcome_t *outcome)
{
    if (m->reported) {
        return;
    }

    m->reported = 1;

    if (m->begun_us) {
        ngx_http_mesh_observe(m->view, m->index, m->begun_us, outcome);
    }

    ngx_mesh_report(m->view, m->index, outcome, ngx_cycle->log);

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


/*
 * All of the answer has come.  Who closes first keeps the connection's port
 * for a minute, and ours are few: the endpoint was asked to.
 */
static void
ngx_http_mesh_mirror_over(ngx_http_mesh_mirror_t *m)
{
    m->over = 1;

    ngx_http_mesh_mirror_uncount(m);

    ngx_add_timer(m->peer.connection->read, NGX_HTTP_MESH_MIRROR_CLOSE);
}


static void
ngx_http_mesh_mirror_end(ngx_http_mesh_mirror_t *m, unsigned kind)
{
    mesh_outcome_t  outcome;

    outcome.kind = kind;
    outcome.status = 0;
    outcome.grpc = -1;

    ngx_http_mesh_mirror_report(m, &outcome);

    ngx_http_mesh_mirror_uncount(m);

    if (m->peer.connection) {
        ngx_close_connection(m->peer.connection);
    }

    ngx_http_mesh_mirror_free(m);
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

    m->name.data = m->text;
    m->name.len = ngx_min(mesh_endpoint_text(m->view->root->snapshot, endpoint,
                                             (char *) m->text,
                                             sizeof(m->text)),
                          sizeof(m->text) - 1);
    m->peer.name = &m->name;

    return NGX_OK;
}


void
ngx_http_mesh_mirror_send(ngx_http_mesh_mirror_t *m, const u_char *body,
    size_t len)
{
    u_char  *p;
    size_t   size;

    size = mesh_mirror_head(m->head, m->host, len, NULL, 0);

    p = size ? ngx_palloc(m->pool, size + len) : NULL;

    if (p == NULL || ngx_http_mesh_mirror_pick(m) != NGX_OK
        || ngx_http_mesh_mirror_address(m) != NGX_OK)
    {
        ngx_http_mesh_mirror_drop(m);
        return;
    }

    (void) mesh_mirror_head(m->head, m->host, len, (char *) p, size);

    if (len) {
        ngx_memcpy(p + size, body, len);
    }

    m->request.pos = p;
    m->request.last = p + size + len;

    /* first the request that this is a copy of */

    m->post.data = m;
    m->post.handler = ngx_http_mesh_mirror_begin;
    m->post.log = ngx_cycle->log;

    ngx_post_event(&m->post, &ngx_posted_events);
}


static void
ngx_http_mesh_mirror_begin(ngx_event_t *ev)
{
    ngx_http_mesh_mirror_t  *m = ev->data;

    ngx_int_t          rc;
    ngx_connection_t  *c;

    m->peer.get = ngx_event_get_peer;
    m->peer.log = ngx_cycle->log;
    m->peer.log_error = NGX_ERROR_INFO;

    if (m->cluster != MESH_SLOT_NONE && m->endpoint != MESH_SLOT_NONE) {
        mesh_runtime_begin(ngx_mesh_runtime(), m->cluster, m->endpoint);
        m->counted = 1;
    }

    if (m->runtime) {
        mesh_fetch_add(&m->runtime->mirrors, 1);
        mesh_fetch_add(&m->runtime->connections, 1);
    }

    rc = ngx_event_connect_peer(&m->peer);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_http_mesh_mirror_end(m, MESH_OUTCOME_CONNECT_FAILURE);
        return;
    }

    c = m->peer.connection;
    c->data = m;
    c->pool = m->pool;
    c->read->handler = ngx_http_mesh_mirror_read;
    c->write->handler = ngx_http_mesh_mirror_write;

    /* a worker that quits closes it */
    c->idle = 1;

    ngx_add_timer(c->read, m->timeout);

    if (rc == NGX_AGAIN) {
        ngx_add_timer(c->write,
                      m->view->view->cluster->connect_timeout_ms);
        return;
    }

    ngx_http_mesh_mirror_write(c->write);
}


static ngx_int_t
ngx_http_mesh_mirror_connected(ngx_connection_t *c)
{
    int        err;
    socklen_t  len;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    return err ? NGX_ERROR : NGX_OK;
}


static void
ngx_http_mesh_mirror_write(ngx_event_t *ev)
{
    ssize_t                  n;
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

    if (c->sent == 0 && ngx_http_mesh_mirror_connected(c) != NGX_OK) {
        ngx_http_mesh_mirror_end(m, MESH_OUTCOME_CONNECT_FAILURE);
        return;
    }

    while (m->request.pos < m->request.last) {
        n = c->send(c, m->request.pos, m->request.last - m->request.pos);

        if (n == NGX_AGAIN) {

            if (ngx_handle_write_event(ev, 0) != NGX_OK) {
                ngx_http_mesh_mirror_end(m, MESH_OUTCOME_NONE);
            }

            return;
        }

        if (n <= 0) {
            /* an answer may have come all the same */
            break;
        }

        m->request.pos += n;
    }

    ev->handler = ngx_http_mesh_mirror_idle;

    ngx_http_mesh_mirror_read(c->read);
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
    mesh_outcome_t          outcome;
    mesh_mirror_progress_e  progress;

    if (m->over) {
        /* more than was announced */
        ngx_http_mesh_mirror_end(m, MESH_OUTCOME_NONE);
        return NGX_DONE;
    }

    progress = mesh_mirror_read(&m->answer, (const char *) data, len);

    switch (progress) {

    case MESH_MIRROR_MORE:
        return NGX_OK;

    case MESH_MIRROR_STATUS:
    case MESH_MIRROR_DONE:
        outcome.kind = MESH_OUTCOME_STATUS;
        outcome.status = m->answer.status;
        outcome.grpc = -1;

        ngx_http_mesh_mirror_report(m, &outcome);

        if (progress == MESH_MIRROR_DONE) {
            ngx_http_mesh_mirror_over(m);
        }

        return NGX_OK;

    default:
        ngx_http_mesh_mirror_end(m, MESH_OUTCOME_RESET);
        return NGX_DONE;
    }
}


static void
ngx_http_mesh_mirror_read(ngx_event_t *ev)
{
    size_t                   turn;
    ssize_t                  n;
    ngx_connection_t        *c;
    ngx_http_mesh_mirror_t  *m;

    static u_char            buffer[16384];

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

    if (c->sent == 0 && ngx_http_mesh_mirror_connected(c) != NGX_OK) {
        ngx_http_mesh_mirror_end(m, MESH_OUTCOME_CONNECT_FAILURE);
        return;
    }

    for (turn = 0; turn < NGX_HTTP_MESH_MIRROR_TURN; turn += n) {
        n = c->recv(c, buffer, sizeof(buffer));

        if (n == NGX_AGAIN) {

            if (ngx_handle_read_event(ev, 0) != NGX_OK) {
                ngx_http_mesh_mirror_end(m, MESH_OUTCOME_NONE);
            }

            return;
        }

        if (n <= 0) {
            ngx_http_mesh_mirror_end(m, MESH_OUTCOME_RESET);
            return;
        }

        if (ngx_http_mesh_mirror_feed(m, buffer, n) == NGX_DONE) {
            return;
        }
    }

    ngx_post_event(ev, &ngx_posted_next_events);
}
