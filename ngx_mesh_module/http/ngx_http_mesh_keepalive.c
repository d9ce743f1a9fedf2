/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Idle connections to endpoints, per worker.  They are found by everything
 * that makes one request's connection unfit for another's (the key), are
 * limited per cluster by the cluster's own record, and live across
 * generations as long as their endpoint is in the cluster's set.
 *
 * A connection's record lives in the connection's own pool.  It is in two
 * lists while it is idle: a bucket of the hash over endpoints, and its
 * cluster's, most recently used first.
 */

#include "ngx_http_mesh_keepalive.h"


/*
 * On each request's path, and used by copies as well: gcc would inline none of
 * these, as they have two callers.
 */
#define ngx_http_mesh_always   inline __attribute__((always_inline))


static void ngx_http_mesh_idle_handler(ngx_event_t *ev);
static void ngx_http_mesh_idle_dummy_handler(ngx_event_t *ev);


ngx_http_mesh_idle_table_t  ngx_http_mesh_idle;


/*
 * At the first request: the core module starts its worker after filters have
 * had their init_process.
 */
static ngx_int_t
ngx_http_mesh_idle_init(void)
{
    ngx_uint_t  i;

    if (ngx_mesh_on_adopted(ngx_http_mesh_idle_adopted) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_MESH_IDLE_BUCKETS; i++) {
        ngx_queue_init(&ngx_http_mesh_idle.buckets[i]);
    }

    ngx_http_mesh_idle.clusters = ngx_calloc(ngx_mesh_runtime()->sizes.clusters
                                             * sizeof(void *),
                                             ngx_cycle->log);

    return ngx_http_mesh_idle.clusters ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_mesh_idle_unlink(ngx_http_mesh_idle_t *idle)
{
    ngx_queue_remove(&idle->bucket);
    ngx_queue_remove(&idle->queue);
    idle->key.cluster->count--;
}


static void
ngx_http_mesh_idle_close(ngx_connection_t *c)
{
#if (NGX_HTTP_SSL)

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;

        if (ngx_ssl_shutdown(c) == NGX_AGAIN) {
            c->ssl->handler = ngx_http_mesh_idle_close;
            return;
        }
    }

#endif

    ngx_destroy_pool(c->pool);
    ngx_close_connection(c);
}


void
ngx_http_mesh_idle_drop(ngx_http_mesh_idle_t *idle)
{
    ngx_http_mesh_idle_unlink(idle);
    ngx_http_mesh_idle_close(idle->connection);
}


void
ngx_http_mesh_idle_drop_all(ngx_http_mesh_idle_cluster_t *cluster)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&cluster->idle)) {
        q = ngx_queue_head(&cluster->idle);
        ngx_http_mesh_idle_drop(ngx_queue_data(q, ngx_http_mesh_idle_t,
                                               queue));
    }
}


/*
 * Records of clusters are kept for good, one per slot that was ever used: a
 * slot that got another name drops the old one's connections.
 */
ngx_http_mesh_idle_cluster_t *
ngx_http_mesh_idle_cluster(const mesh_cluster_view_t *view, uint64_t tag)
{
    u_char                        *name;
    mesh_str_t                     text;
    ngx_http_mesh_idle_cluster_t  *cluster;

    if (ngx_http_mesh_idle.clusters == NULL
        && ngx_http_mesh_idle_init() != NGX_OK)
    {
        return NULL;
    }

    cluster = ngx_http_mesh_idle.clusters[view->slot];

    if (cluster && cluster->tag == tag) {
        return cluster;
    }

    text = view->name;
    name = ngx_alloc(text.len, ngx_cycle->log);

    if (name == NULL) {
        return NULL;
    }

    if (cluster == NULL) {
        cluster = ngx_calloc(sizeof(ngx_http_mesh_idle_cluster_t),
                             ngx_cycle->log);
        if (cluster == NULL) {
            ngx_free(name);
            return NULL;
        }

        ngx_queue_init(&cluster->idle);
        ngx_http_mesh_idle.clusters[view->slot] = cluster;
        ngx_http_mesh_idle.used = ngx_max(ngx_http_mesh_idle.used,
                                          view->slot + 1);

    } else {
        ngx_http_mesh_idle_drop_all(cluster);
        ngx_free(cluster->name.data);
    }

    ngx_memcpy(name, text.data, text.len);
    cluster->name.data = name;
    cluster->name.len = text.len;
    cluster->hash = mesh_hash32(text.data, text.len);
    cluster->tag = tag;

    /* the view may be of a root before the one that was adopted last */
    ngx_memzero(&cluster->set, sizeof(mesh_digest_t));

    return cluster;
}


static ngx_inline ngx_uint_t
ngx_http_mesh_str_same(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len
           && (a->len == 0 || ngx_memcmp(a->data, b->data, a->len) == 0);
}


static ngx_http_mesh_always ngx_connection_t *
ngx_http_mesh_idle_find(ngx_http_mesh_lease_t *lease, ngx_log_t *log)
{
    ngx_queue_t           *q, *bucket;
    ngx_connection_t      *c;
    ngx_http_mesh_idle_t  *idle;

    bucket = ngx_http_mesh_idle_bucket(lease->key.cluster, lease->key.hash);

    for (q = ngx_queue_head(bucket);
         q != ngx_queue_sentinel(bucket);
         q = ngx_queue_next(q))
    {
        idle = ngx_queue_data(q, ngx_http_mesh_idle_t, bucket);

        if (ngx_memcmp(&idle->key, &lease->key, sizeof(lease->key)) == 0
            && ngx_http_mesh_str_same(&idle->host, &lease->host)
            && ngx_http_mesh_str_same(&idle->sni, &lease->sni))
        {
            goto found;
        }
    }

    return NULL;

found:

    ngx_http_mesh_idle_unlink(idle);

    c = idle->connection;

    c->idle = 0;
    c->sent = 0;
    c->data = NULL;
    c->log = log;
    c->read->log = log;
    c->write->log = log;
    c->pool->log = log;

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    lease->idle = idle;

    return c;
}


ngx_connection_t *
ngx_http_mesh_idle_take(ngx_http_mesh_lease_t *lease, ngx_log_t *log)
{
    return ngx_http_mesh_idle_find(lease, log);
}


ngx_int_t
ngx_http_mesh_idle_get(ngx_http_mesh_upstream_t *up, ngx_peer_connection_t *pc,
    const mesh_endpoint_t *endpoint)
{
    up->lease.idle = NULL;
    up->lease.sni.len = 0;

    if (ngx_http_mesh_idle_key(up, pc, endpoint) != NGX_OK || up->races) {
        /* where one idle connection was stale, the next may be as well */
        return NGX_OK;
    }

    pc->connection = ngx_http_mesh_idle_find(&up->lease, pc->log);

    if (pc->connection == NULL) {
        return NGX_OK;
    }

    pc->cached = 1;

    return NGX_DONE;
}


const ngx_http_mesh_address_t *
ngx_http_mesh_idle_address(ngx_http_mesh_upstream_t *up)
{
    return &up->lease.idle->address;
}


static ngx_http_mesh_always ngx_uint_t
ngx_http_mesh_idle_fit(ngx_http_mesh_lease_t *lease, ngx_connection_t *c)
{
    return lease->pooled
           && !c->read->eof
           && !c->read->error
           && !c->read->timedout
           && !c->write->error
           && !c->write->timedout
           && (lease->requests == 0 || c->requests < lease->requests)
           && !ngx_terminate
           && !ngx_exiting;
}


static ngx_int_t
ngx_http_mesh_idle_copy(ngx_pool_t *pool, ngx_str_t *to, ngx_str_t *from)
{
    to->len = from->len;

    if (from->len == 0) {
        to->data = NULL;
        return NGX_OK;
    }

    to->data = ngx_pstrdup(pool, from);

    return to->data ? NGX_OK : NGX_ERROR;
}


/* The connection's record, made when it becomes idle for the first time. */
static ngx_http_mesh_always ngx_http_mesh_idle_t *
ngx_http_mesh_idle_record(ngx_http_mesh_lease_t *lease, ngx_connection_t *c,
    const ngx_http_mesh_address_t *address)
{
    ngx_http_mesh_idle_t  *idle;

    if (lease->idle) {
        return lease->idle;
    }

    idle = ngx_palloc(c->pool, sizeof(ngx_http_mesh_idle_t));
    if (idle == NULL) {
        return NULL;
    }

    idle->connection = c;
    idle->key = lease->key;
    idle->read = NULL;

    if (address) {
        idle->address = *address;
        idle->address.name.data = NULL;
    }

    if (ngx_http_mesh_idle_copy(c->pool, &idle->host, &lease->host) != NGX_OK
        || ngx_http_mesh_idle_copy(c->pool, &idle->sni, &lease->sni)
           != NGX_OK)
    {
        return NULL;
    }

    return idle;
}


/* The latest of its cluster, which keeps so many at most. */
static ngx_http_mesh_always void
ngx_http_mesh_idle_put(ngx_http_mesh_idle_t *idle, uint32_t most)
{
    ngx_http_mesh_idle_cluster_t  *cluster;

    cluster = idle->key.cluster;

    while (cluster->count >= most) {
        ngx_http_mesh_idle_drop(ngx_queue_data(ngx_queue_last(&cluster->idle),
                                               ngx_http_mesh_idle_t, queue));
    }

    idle->seen = ngx_http_mesh_idle.adoption;

    ngx_queue_insert_head(ngx_http_mesh_idle_bucket(cluster, idle->key.hash),
                          &idle->bucket);
    ngx_queue_insert_head(&cluster->idle, &idle->queue);
    cluster->count++;
}


static ngx_http_mesh_always ngx_uint_t
ngx_http_mesh_idle_may(ngx_http_mesh_lease_t *lease, ngx_connection_t *c)
{
    return ngx_http_mesh_idle_fit(lease, c)
           && ngx_http_mesh_idle_current(lease)
           && ngx_handle_read_event(c->read, 0) == NGX_OK;
}


static ngx_http_mesh_always void
ngx_http_mesh_idle_add(ngx_http_mesh_lease_t *lease, ngx_connection_t *c,
    ngx_http_mesh_idle_t *idle)
{
    ngx_http_mesh_idle_put(idle, lease->most);

    c->read->delayed = 0;

    if (lease->timeout_ms) {
        ngx_add_timer(c->read, lease->timeout_ms);

    } else if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    c->write->handler = ngx_http_mesh_idle_dummy_handler;
    c->read->handler = ngx_http_mesh_idle_handler;

    c->data = idle;
    c->idle = 1;
    c->log = ngx_cycle->log;
    c->read->log = ngx_cycle->log;
    c->write->log = ngx_cycle->log;
    c->pool->log = ngx_cycle->log;

    if (c->read->ready) {
        ngx_http_mesh_idle_handler(c->read);
    }
}


ngx_int_t
ngx_http_mesh_idle_keep(ngx_http_mesh_lease_t *lease, ngx_connection_t *c,
    ngx_http_mesh_idle_read_pt read, void *data)
{
    ngx_http_mesh_idle_t  *idle;

    if (!ngx_http_mesh_idle_may(lease, c)) {
        return NGX_DECLINED;
    }

    idle = ngx_http_mesh_idle_record(lease, c, NULL);
    if (idle == NULL) {
        return NGX_DECLINED;
    }

    idle->read = read;
    idle->data = data;

    ngx_http_mesh_idle_add(lease, c, idle);

    return NGX_OK;
}


void
ngx_http_mesh_idle_save(ngx_http_mesh_upstream_t *up,
    ngx_peer_connection_t *pc, ngx_uint_t state)
{
    ngx_connection_t         *c;
    ngx_http_upstream_t      *u;
    ngx_http_mesh_idle_t     *idle;
    ngx_http_mesh_address_t  *address;

    u = up->upstream;
    c = pc->connection;

    if (c == NULL
        || (state & NGX_PEER_FAILED)
        || !u->keepalive
        || !u->request_body_sent
        || !ngx_http_mesh_idle_may(&up->lease, c))
    {
        return;
    }

    address = (up->lease.key.family != MESH_FAMILY_UNIX) ? up->current : NULL;

    idle = ngx_http_mesh_idle_record(&up->lease, c, address);
    if (idle == NULL) {
        return;
    }

    pc->connection = NULL;

    ngx_http_mesh_idle_add(&up->lease, c, idle);
}


static void
ngx_http_mesh_idle_dummy_handler(ngx_event_t *ev)
{
    return;
}


/*
 * Whatever comes on an idle connection ends it: an end of file, a stray
 * response, a frame of HTTP/2, whose windows are the grpc module's secret.
 * Only who has left a reader can tell that it does no harm.
 */
static void
ngx_http_mesh_idle_handler(ngx_event_t *ev)
{
    int                    n;
    char                   buf[1];
    ngx_connection_t      *c;
    ngx_http_mesh_idle_t  *idle;

    c = ev->data;
    idle = c->data;

    if (!c->close && !ev->timedout) {

        n = recv(c->fd, buf, 1, MSG_PEEK);

        if (n == -1 && ngx_socket_errno == NGX_EAGAIN) {
            ev->ready = 0;

            if (ngx_handle_read_event(c->read, 0) == NGX_OK) {
                return;
            }

        } else if (n == 1 && idle->read && idle->read(c, idle->data) == NGX_OK
                   && ngx_handle_read_event(c->read, 0) == NGX_OK)
        {
            return;
        }
    }

    ngx_http_mesh_idle_drop(idle);
}
