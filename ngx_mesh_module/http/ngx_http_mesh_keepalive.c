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

#include "ngx_http_mesh_upstream.h"


#define NGX_HTTP_MESH_IDLE_BUCKETS   1024       /* a power of two */


struct ngx_http_mesh_idle_s {
    ngx_queue_t                    bucket;
    ngx_queue_t                    queue;       /* of the cluster */
    ngx_connection_t              *connection;
    ngx_uint_t                     seen;        /* adoption that has it */
    ngx_http_mesh_idle_key_t       key;
    ngx_http_mesh_address_t        address;     /* not of a unix socket */
    ngx_str_t                      host;
    ngx_str_t                      sni;
};


struct ngx_http_mesh_idle_cluster_s {
    ngx_queue_t                    idle;
    ngx_uint_t                     count;
    uint64_t                       tag;         /* of the runtime slot */
    ngx_str_t                      name;
    uint32_t                       hash;
    mesh_digest_t                  set;         /* `idle` is within it */
};


typedef struct {
    ngx_queue_t                    buckets[NGX_HTTP_MESH_IDLE_BUCKETS];
    ngx_http_mesh_idle_cluster_t **clusters;    /* by runtime slot */
    uint32_t                       used;        /* slots below it may be set */
    ngx_uint_t                     adoption;
} ngx_http_mesh_idle_table_t;


static void ngx_http_mesh_idle_adopted(ngx_mesh_root_t *root);
static void ngx_http_mesh_idle_handler(ngx_event_t *ev);
static void ngx_http_mesh_idle_dummy_handler(ngx_event_t *ev);


static ngx_http_mesh_idle_table_t  ngx_http_mesh_idle;


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


static ngx_inline ngx_queue_t *
ngx_http_mesh_idle_bucket(ngx_http_mesh_idle_cluster_t *cluster, uint32_t hash)
{
    return &ngx_http_mesh_idle.buckets[(cluster->hash ^ hash)
                                       & (NGX_HTTP_MESH_IDLE_BUCKETS - 1)];
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


static void
ngx_http_mesh_idle_drop(ngx_http_mesh_idle_t *idle)
{
    ngx_http_mesh_idle_unlink(idle);
    ngx_http_mesh_idle_close(idle->connection);
}


static void
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
static ngx_http_mesh_idle_cluster_t *
ngx_http_mesh_idle_cluster(ngx_http_mesh_upstream_t *up)
{
    u_char                        *name;
    mesh_str_t                     text;
    ngx_http_mesh_idle_cluster_t  *cluster;

    if (ngx_http_mesh_idle.clusters == NULL
        && ngx_http_mesh_idle_init() != NGX_OK)
    {
        return NULL;
    }

    cluster = ngx_http_mesh_idle.clusters[up->cluster];

    if (cluster && cluster->tag == up->tag) {
        return cluster;
    }

    text = up->view->view->name;
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
        ngx_http_mesh_idle.clusters[up->cluster] = cluster;
        ngx_http_mesh_idle.used = ngx_max(ngx_http_mesh_idle.used,
                                          up->cluster + 1);

    } else {
        ngx_http_mesh_idle_drop_all(cluster);
        ngx_free(cluster->name.data);
    }

    ngx_memcpy(name, text.data, text.len);
    cluster->name.data = name;
    cluster->name.len = text.len;
    cluster->hash = mesh_hash32(text.data, text.len);
    cluster->tag = up->tag;
    cluster->set = up->set;

    return cluster;
}


static ngx_int_t
ngx_http_mesh_idle_key_local(ngx_http_mesh_idle_key_t *key,
    ngx_peer_connection_t *pc)
{
    struct sockaddr_in   *in;
    struct sockaddr_in6  *in6;

    if (pc->local == NULL) {
        return NGX_OK;
    }

    key->local_family = pc->local->sockaddr->sa_family;

#if (NGX_HAVE_TRANSPARENT_PROXY)
    key->transparent = pc->transparent;
#endif

    switch (key->local_family) {

    case AF_INET:
        in = (struct sockaddr_in *) pc->local->sockaddr;
        key->local_port = in->sin_port;
        ngx_memcpy(key->local_addr, &in->sin_addr, 4);
        return NGX_OK;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        in6 = (struct sockaddr_in6 *) pc->local->sockaddr;
        key->local_port = in6->sin6_port;
        ngx_memcpy(key->local_addr, &in6->sin6_addr, 16);
        return NGX_OK;
#endif

    default:
        return NGX_DECLINED;
    }
}


#if (NGX_HTTP_SSL)

/*
 * The client certificate of a location may be a variable: such connections
 * have no place in a pool.
 */
static ngx_int_t
ngx_http_mesh_idle_key_tls(ngx_http_mesh_upstream_t *up)
{
    ngx_http_upstream_t       *u;
    ngx_http_upstream_conf_t  *conf;

    u = up->upstream;
    conf = u->conf;

    if (conf->ssl_certificate && conf->ssl_certificate->value.len
        && (conf->ssl_certificate->lengths
            || conf->ssl_certificate_key->lengths))
    {
        return NGX_DECLINED;
    }

    up->key.tls = conf->ssl->ctx;
    up->key.verify = conf->ssl_verify | conf->ssl_server_name << 1;
    up->sni = u->ssl_name;

    if (conf->ssl_name
        && ngx_http_complex_value(up->request, conf->ssl_name, &up->sni)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}

#endif


static ngx_int_t
ngx_http_mesh_idle_key(ngx_http_mesh_upstream_t *up, ngx_peer_connection_t *pc,
    const mesh_endpoint_t *endpoint)
{
    ngx_http_mesh_idle_key_t  *key;

    up->pooled = 0;

    if (up->keepalive_idle == 0 || up->cluster == MESH_SLOT_NONE) {
        return NGX_DECLINED;
    }

    key = &up->key;
    ngx_memzero(key, sizeof(ngx_http_mesh_idle_key_t));

    key->cluster = ngx_http_mesh_idle_cluster(up);

    if (key->cluster == NULL
        || ngx_http_mesh_idle_key_local(key, pc) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    key->protocol = up->upstream->output.tag;
    key->hash = endpoint->key_hash;
    key->port = endpoint->port;
    key->family = endpoint->family;
    ngx_memcpy(key->addr, endpoint->addr, 16);

#if (NGX_HTTP_SSL)
    if (up->upstream->ssl && ngx_http_mesh_idle_key_tls(up) != NGX_OK) {
        return NGX_DECLINED;
    }
#endif

    up->pooled = 1;
    up->adoption = ngx_http_mesh_idle.adoption;

    return NGX_OK;
}


static ngx_inline ngx_uint_t
ngx_http_mesh_str_same(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len
           && (a->len == 0 || ngx_memcmp(a->data, b->data, a->len) == 0);
}


ngx_int_t
ngx_http_mesh_idle_get(ngx_http_mesh_upstream_t *up, ngx_peer_connection_t *pc,
    const mesh_endpoint_t *endpoint)
{
    ngx_queue_t           *q, *bucket;
    ngx_connection_t      *c;
    ngx_http_mesh_idle_t  *idle;

    up->idle = NULL;
    up->sni.len = 0;

    if (ngx_http_mesh_idle_key(up, pc, endpoint) != NGX_OK || up->races) {
        /* where one idle connection was stale, the next may be as well */
        return NGX_OK;
    }

    bucket = ngx_http_mesh_idle_bucket(up->key.cluster, up->key.hash);

    for (q = ngx_queue_head(bucket);
         q != ngx_queue_sentinel(bucket);
         q = ngx_queue_next(q))
    {
        idle = ngx_queue_data(q, ngx_http_mesh_idle_t, bucket);

        if (ngx_memcmp(&idle->key, &up->key, sizeof(up->key)) == 0
            && ngx_http_mesh_str_same(&idle->host, &up->host)
            && ngx_http_mesh_str_same(&idle->sni, &up->sni))
        {
            goto found;
        }
    }

    return NGX_OK;

found:

    ngx_http_mesh_idle_unlink(idle);

    c = idle->connection;

    c->idle = 0;
    c->sent = 0;
    c->data = NULL;
    c->log = pc->log;
    c->read->log = pc->log;
    c->write->log = pc->log;
    c->pool->log = pc->log;

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    up->idle = idle;

    pc->connection = c;
    pc->cached = 1;

    return NGX_DONE;
}


const ngx_http_mesh_address_t *
ngx_http_mesh_idle_address(ngx_http_mesh_upstream_t *up)
{
    return &up->idle->address;
}


static ngx_uint_t
ngx_http_mesh_idle_fit(ngx_http_mesh_upstream_t *up, ngx_connection_t *c,
    ngx_uint_t state)
{
    ngx_http_upstream_t  *u;

    u = up->upstream;

    return !(state & NGX_PEER_FAILED)
           && up->pooled
           && u->keepalive
           && u->request_body_sent
           && !c->read->eof
           && !c->read->error
           && !c->read->timedout
           && !c->write->error
           && !c->write->timedout
           && (up->keepalive_requests == 0
               || c->requests < up->keepalive_requests)
           && !ngx_terminate
           && !ngx_exiting;
}


static ngx_uint_t
ngx_http_mesh_idle_is(ngx_http_mesh_idle_key_t *key, ngx_str_t *host,
    const mesh_snapshot_t *s, const mesh_endpoint_t *e)
{
    mesh_str_t  path;

    if (key->hash != e->key_hash
        || key->port != e->port
        || key->family != e->family
        || ngx_memcmp(key->addr, e->addr, 16) != 0)
    {
        return 0;
    }

    if (e->family != MESH_FAMILY_UNIX) {
        return 1;
    }

    path = mesh_get_str(s, e->host);

    return path.len == host->len
           && ngx_memcmp(path.data, host->data, path.len) == 0;
}


/*
 * Its root may have been replaced while the request was on its way: is the
 * endpoint still in the set?
 */
static ngx_uint_t
ngx_http_mesh_idle_current(ngx_http_mesh_upstream_t *up)
{
    ngx_uint_t                        found;
    ngx_mesh_root_t                  *root;
    ngx_http_mesh_idle_cluster_t     *cluster;
    const uint32_t                   *chunk, *last;
    const mesh_snapshot_t            *s;
    const mesh_endpoint_t            *e, *end;
    const mesh_rec_bind_cluster_t    *bind;
    const mesh_rec_endpoint_set_t    *set;
    const mesh_rec_endpoint_chunk_t  *rec;

    cluster = up->key.cluster;

    if (cluster->tag != up->tag) {
        return 0;
    }

    if (up->adoption == ngx_http_mesh_idle.adoption
        || ngx_memcmp(&cluster->set, &up->set, sizeof(mesh_digest_t)) == 0)
    {
        return 1;
    }

    root = ngx_mesh_root_acquire();
    if (root == NULL) {
        return 0;
    }

    found = 0;
    s = root->snapshot;
    bind = mesh_cluster_bind(s, root->root, up->ctx->cluster_name,
                             up->ctx->cluster_hash);
    set = bind ? mesh_get(s, bind->set) : NULL;

    if (set == NULL) {
        goto done;
    }

    last = set->v + set->count;

    for (chunk = set->v; chunk < last && !found; chunk++) {
        rec = mesh_get(s, *chunk);
        end = rec->v + rec->count;

        for (e = rec->v; e < end; e++) {
            if (ngx_http_mesh_idle_is(&up->key, &up->host, s, e)) {
                found = 1;
                break;
            }
        }
    }

done:

    ngx_mesh_root_release(root);

    return found;
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
static ngx_http_mesh_idle_t *
ngx_http_mesh_idle_record(ngx_http_mesh_upstream_t *up, ngx_connection_t *c)
{
    ngx_http_mesh_idle_t  *idle;

    if (up->idle) {
        return up->idle;
    }

    idle = ngx_palloc(c->pool, sizeof(ngx_http_mesh_idle_t));
    if (idle == NULL) {
        return NULL;
    }

    idle->connection = c;
    idle->key = up->key;

    if (up->key.family != MESH_FAMILY_UNIX) {
        idle->address = *up->current;
        idle->address.name.data = NULL;
    }

    if (ngx_http_mesh_idle_copy(c->pool, &idle->host, &up->host) != NGX_OK
        || ngx_http_mesh_idle_copy(c->pool, &idle->sni, &up->sni) != NGX_OK)
    {
        return NULL;
    }

    return idle;
}


void
ngx_http_mesh_idle_save(ngx_http_mesh_upstream_t *up,
    ngx_peer_connection_t *pc, ngx_uint_t state)
{
    ngx_connection_t              *c;
    ngx_http_mesh_idle_t          *idle;
    ngx_http_mesh_idle_cluster_t  *cluster;

    c = pc->connection;

    if (c == NULL
        || !ngx_http_mesh_idle_fit(up, c, state)
        || !ngx_http_mesh_idle_current(up)
        || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        return;
    }

    idle = ngx_http_mesh_idle_record(up, c);
    if (idle == NULL) {
        return;
    }

    cluster = up->key.cluster;

    while (cluster->count >= up->keepalive_idle) {
        ngx_http_mesh_idle_drop(ngx_queue_data(ngx_queue_last(&cluster->idle),
                                               ngx_http_mesh_idle_t, queue));
    }

    idle->seen = ngx_http_mesh_idle.adoption;

    ngx_queue_insert_head(ngx_http_mesh_idle_bucket(cluster, up->key.hash),
                          &idle->bucket);
    ngx_queue_insert_head(&cluster->idle, &idle->queue);
    cluster->count++;

    pc->connection = NULL;

    c->read->delayed = 0;

    if (up->keepalive_timeout_ms) {
        ngx_add_timer(c->read, up->keepalive_timeout_ms);

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


static void
ngx_http_mesh_idle_dummy_handler(ngx_event_t *ev)
{
    return;
}


/*
 * Whatever comes on an idle connection ends it: an end of file, a stray
 * response, a frame of HTTP/2, whose windows are the grpc module's secret.
 */
static void
ngx_http_mesh_idle_handler(ngx_event_t *ev)
{
    int                n;
    char               buf[1];
    ngx_connection_t  *c;

    c = ev->data;

    if (!c->close && !ev->timedout) {

        n = recv(c->fd, buf, 1, MSG_PEEK);

        if (n == -1 && ngx_socket_errno == NGX_EAGAIN) {
            ev->ready = 0;

            if (ngx_handle_read_event(c->read, 0) == NGX_OK) {
                return;
            }
        }
    }

    ngx_http_mesh_idle_drop(c->data);
}


/* Marks the idle connections of a cluster whose endpoints are in the set. */
static void
ngx_http_mesh_idle_mark(ngx_http_mesh_idle_cluster_t *cluster,
    const mesh_snapshot_t *s, const mesh_rec_endpoint_set_t *set)
{
    uint32_t                          i, j;
    ngx_queue_t                      *q, *bucket;
    ngx_http_mesh_idle_t             *idle;
    const mesh_rec_endpoint_chunk_t  *chunk;

    for (i = 0; i < set->count; i++) {
        chunk = mesh_get(s, set->v[i]);

        for (j = 0; j < chunk->count; j++) {
            bucket = ngx_http_mesh_idle_bucket(cluster, chunk->v[j].key_hash);

            for (q = ngx_queue_head(bucket);
                 q != ngx_queue_sentinel(bucket);
                 q = ngx_queue_next(q))
            {
                idle = ngx_queue_data(q, ngx_http_mesh_idle_t, bucket);

                if (idle->key.cluster == cluster
                    && ngx_http_mesh_idle_is(&idle->key, &idle->host, s,
                                             &chunk->v[j]))
                {
                    idle->seen = ngx_http_mesh_idle.adoption;
                }
            }
        }
    }
}


static void
ngx_http_mesh_idle_sweep(ngx_http_mesh_idle_cluster_t *cluster)
{
    ngx_queue_t           *q, *next;
    ngx_http_mesh_idle_t  *idle;

    for (q = ngx_queue_head(&cluster->idle);
         q != ngx_queue_sentinel(&cluster->idle);
         q = next)
    {
        next = ngx_queue_next(q);
        idle = ngx_queue_data(q, ngx_http_mesh_idle_t, queue);

        if (idle->seen != ngx_http_mesh_idle.adoption) {
            ngx_http_mesh_idle_drop(idle);
        }
    }
}


static void
ngx_http_mesh_idle_adopted(ngx_mesh_root_t *root)
{
    uint32_t                         i;
    mesh_str_t                       name;
    const mesh_snapshot_t           *s;
    ngx_http_mesh_idle_cluster_t    *cluster;
    const mesh_rec_bind_cluster_t   *bind;
    const mesh_rec_endpoint_set_t   *set;

    if (root == NULL) {
        return;
    }

    s = root->snapshot;
    ngx_http_mesh_idle.adoption++;

    for (i = 0; i < ngx_http_mesh_idle.used; i++) {
        cluster = ngx_http_mesh_idle.clusters[i];

        if (cluster == NULL) {
            continue;
        }

        name.len = cluster->name.len;
        name.data = (const char *) cluster->name.data;

        bind = mesh_cluster_bind(s, root->root, name, cluster->hash);
        set = bind ? mesh_get(s, bind->set) : NULL;

        if (set == NULL) {
            ngx_memzero(&cluster->set, sizeof(mesh_digest_t));
            ngx_http_mesh_idle_drop_all(cluster);
            continue;
        }

        if (ngx_memcmp(&cluster->set, &set->digest, sizeof(mesh_digest_t))
            == 0)
        {
            continue;
        }

        cluster->set = set->digest;

        if (cluster->count) {
            ngx_http_mesh_idle_mark(cluster, s, set);
            ngx_http_mesh_idle_sweep(cluster);
        }
    }
}
