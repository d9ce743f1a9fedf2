/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Idle connections and endpoint sets: a connection lives as long as its
 * address is in its cluster's set, whatever else a new generation changes.
 */

#include "ngx_http_mesh_keepalive.h"


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
ngx_uint_t
ngx_http_mesh_idle_current(ngx_http_mesh_lease_t *lease)
{
    ngx_uint_t                        found;
    ngx_mesh_root_t                  *root;
    ngx_http_mesh_idle_cluster_t     *cluster;
    mesh_str_t                        name;
    const uint32_t                   *chunk, *last;
    const mesh_snapshot_t            *s;
    const mesh_endpoint_t            *e, *end;
    const mesh_rec_bind_cluster_t    *bind;
    const mesh_rec_endpoint_set_t    *set;
    const mesh_rec_endpoint_chunk_t  *rec;

    cluster = lease->key.cluster;

    if (cluster->tag != lease->tag) {
        return 0;
    }

    if (ngx_memcmp(&cluster->set, &lease->set, sizeof(mesh_digest_t)) == 0) {
        return 1;
    }

    root = ngx_mesh_root_acquire();
    if (root == NULL) {
        return 0;
    }

    found = 0;
    s = root->snapshot;
    name = (mesh_str_t) { cluster->name.len,
                          (const char *) cluster->name.data };
    bind = mesh_cluster_bind(s, root->root, name, cluster->hash);
    set = bind ? mesh_get(s, bind->set) : NULL;

    if (set == NULL) {
        goto done;
    }

    cluster->set = set->digest;
    last = set->v + set->count;

    for (chunk = set->v; chunk < last && !found; chunk++) {
        rec = mesh_get(s, *chunk);
        end = rec->v + rec->count;

        for (e = rec->v; e < end; e++) {
            if (ngx_http_mesh_idle_is(&lease->key, &lease->host, s, e)) {
                found = 1;
                break;
            }
        }
    }

done:

    ngx_mesh_root_release(root);

    return found;
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


void
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
