/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The request's context: carried by a pool cleanup, because internal
 * redirects wipe r->ctx; and what is counted when the request is finished.
 */

#include "ngx_http_mesh_upstream.h"


/* Carriers that a worker keeps for its next requests, at most. */
#ifdef __SANITIZE_ADDRESS__
#define NGX_HTTP_MESH_SPARE   0             /* it shall see who uses one */
#else
#define NGX_HTTP_MESH_SPARE   256
#endif


static void ngx_http_mesh_cleanup(void *data);


static ngx_http_mesh_carrier_t  *ngx_http_mesh_spare;
static ngx_uint_t                ngx_http_mesh_nspare;


/* A subrequest shares its parent's pool, so the request is compared too. */
static ngx_http_mesh_ctx_t *
ngx_http_mesh_carried(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_mesh_carrier_t  *carrier;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_http_mesh_cleanup) {
            continue;
        }

        carrier = cln->data;

        if (carrier->request == r) {
            return &carrier->ctx;
        }
    }

    return NULL;
}


static ngx_http_mesh_carrier_t *
ngx_http_mesh_carrier_alloc(void)
{
    ngx_http_mesh_carrier_t  *carrier;

    carrier = ngx_http_mesh_spare;

    if (carrier) {
        ngx_http_mesh_spare = carrier->next;
        ngx_http_mesh_nspare--;

    } else {
        carrier = ngx_alloc(sizeof(ngx_http_mesh_carrier_t), ngx_cycle->log);
        if (carrier == NULL) {
            return NULL;
        }
    }

    ngx_memzero(carrier, ngx_http_mesh_length_of(
                             offsetof(ngx_http_mesh_carrier_t, next)));

    return carrier;
}


static void
ngx_http_mesh_carrier_free(ngx_http_mesh_carrier_t *carrier)
{
    if (ngx_http_mesh_nspare == NGX_HTTP_MESH_SPARE) {
        ngx_free(carrier);
        return;
    }

    carrier->next = ngx_http_mesh_spare;
    ngx_http_mesh_spare = carrier;
    ngx_http_mesh_nspare++;
}


ngx_http_mesh_ctx_t *
ngx_http_mesh_ctx_find(ngx_http_request_t *r, ngx_uint_t create)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_mesh_ctx_t      *ctx;
    ngx_http_mesh_carrier_t  *carrier;

    if (r->internal || r->filter_finalize) {
        ctx = ngx_http_mesh_carried(r);

        if (ctx) {
            ngx_http_set_ctx(r, ctx, ngx_http_mesh_module);
            return ctx;
        }
    }

    if (!create) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    carrier = ngx_http_mesh_carrier_alloc();
    if (carrier == NULL) {
        return NULL;
    }

    carrier->request = r;
    carrier->ctx.route_slot = MESH_SLOT_NONE;

    cln->data = carrier;
    cln->handler = ngx_http_mesh_cleanup;

    ngx_http_set_ctx(r, &carrier->ctx, ngx_http_mesh_module);

    return &carrier->ctx;
}


ngx_int_t
ngx_http_mesh_pin(ngx_http_request_t *r, ngx_http_mesh_ctx_t *ctx)
{
    if (ctx->root) {
        return NGX_OK;
    }

    ctx->root = ngx_mesh_root_acquire();

    if (ctx->root == NULL) {
        return NGX_DECLINED;
    }

    ctx->generation = ctx->root->root->generation;

    return NGX_OK;
}


void
ngx_http_mesh_unpin(ngx_http_mesh_ctx_t *ctx)
{
    if (ctx->root) {
        ngx_mesh_root_release(ctx->root);
        ctx->root = NULL;
        ctx->retry = NULL;
        ctx->entry = NULL;
        ctx->bind = NULL;
        ngx_memzero(&ctx->match, sizeof(mesh_route_match_t));
    }
}


static void
ngx_http_mesh_cleanup(void *data)
{
    ngx_http_mesh_carrier_t  *carrier = data;

    if (carrier->upstream) {
        ngx_http_mesh_upstream_release(carrier->upstream);
    }

    if (carrier->ctx.mirrors) {
        ngx_http_mesh_mirrors_drop(&carrier->ctx);
    }

    ngx_http_mesh_mirrors_answered(&carrier->ctx);

    ngx_http_mesh_unpin(&carrier->ctx);
    ngx_http_mesh_carrier_free(carrier);
}


static ngx_uint_t
ngx_http_mesh_status_class(ngx_http_request_t *r)
{
    ngx_uint_t  status;

    status = r->err_status ? r->err_status : r->headers_out.status;

    return (status >= 100 && status < 600) ? status / 100 : 0;
}


static uint64_t
ngx_http_mesh_duration_us(ngx_http_request_t *r)
{
    ngx_time_t      *tp;
    ngx_msec_int_t   ms;

    tp = ngx_timeofday();

    ms = (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                           + ((ngx_msec_int_t) tp->msec
                              - (ngx_msec_int_t) r->start_msec));

    return ms > 0 ? (uint64_t) ms * 1000 : 0;
}


/*
 * A slot may be another name's by now, if the request outlived its root by
 * far: the tag tells.
 */
ngx_int_t
ngx_http_mesh_log_handler(ngx_http_request_t *r)
{
    uint64_t                   us;
    ngx_uint_t                 class;
    mesh_runtime_t            *rt;
    mesh_route_slot_t         *route;
    mesh_cluster_slot_t       *cluster;
    ngx_http_mesh_ctx_t       *ctx;
    ngx_http_mesh_upstream_t  *up;

    ctx = ngx_http_mesh_ctx(r, 0);

    if (ctx == NULL || ctx->counted) {
        return NGX_OK;
    }

    ctx->counted = 1;

    rt = ngx_mesh_runtime();
    class = ngx_http_mesh_status_class(r);
    us = ngx_http_mesh_duration_us(r);

    if (rt->worker != MESH_SLOT_NONE) {
        mesh_fetch_add(&rt->workers[rt->worker].requests, 1);
    }

    if (ctx->route_slot < rt->sizes.routes) {
        route = &rt->routes[ctx->route_slot];

        mesh_fetch_add(&route->requests, 1);
        mesh_fetch_add(&route->status[class], 1);
        mesh_fetch_add(&route->duration_us, us);
    }

    up = ngx_http_mesh_carrier(ctx)->upstream;

    if (up && up->runtime
        && mesh_load_relaxed(&up->runtime->tag) == up->lease.tag)
    {
        cluster = up->runtime;

        mesh_fetch_add(&cluster->requests, 1);
        mesh_fetch_add(&cluster->status[class], 1);
        mesh_fetch_add(&cluster->duration_us, us);
    }

    return NGX_OK;
}
