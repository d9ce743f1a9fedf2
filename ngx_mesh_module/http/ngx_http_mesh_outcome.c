/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What became of an attempt, read from the traces that nginx leaves, and
 * told to the core module: when the response header is on its way, when its
 * gRPC trailers have come, or when the attempt has failed.
 */

#include "ngx_http_mesh_upstream.h"


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;


static int
ngx_http_mesh_grpc_value(ngx_list_t *list)
{
    ngx_int_t         n;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("grpc-status");

    for (part = &list->part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len == name.len
                && ngx_strncasecmp(h[i].key.data, name.data, name.len) == 0)
            {
                n = ngx_atoi(h[i].value.data, h[i].value.len);
                return (n == NGX_ERROR || n > 255) ? 2 : (int) n;
            }
        }
    }

    return -1;
}


static ngx_uint_t
ngx_http_mesh_is_grpc(ngx_http_upstream_t *u)
{
    ngx_table_elt_t  *type;

    static ngx_str_t  grpc = ngx_string("application/grpc");

    type = u->headers_in.content_type;

    return type && type->value.len >= grpc.len
           && ngx_strncasecmp(type->value.data, grpc.data, grpc.len) == 0;
}


int
ngx_http_mesh_grpc_status(ngx_http_upstream_t *u)
{
    int  status;

    if (!ngx_http_mesh_is_grpc(u)) {
        return -1;
    }

    status = ngx_http_mesh_grpc_value(&u->headers_in.headers);

    return status == -1 ? ngx_http_mesh_grpc_value(&u->headers_in.trailers)
                        : status;
}


void
ngx_http_mesh_outcome(ngx_http_mesh_upstream_t *up, ngx_peer_connection_t *pc,
    ngx_uint_t state, mesh_outcome_t *outcome)
{
    ngx_connection_t     *c;
    ngx_http_upstream_t  *u;

    u = up->upstream;
    c = pc->connection;

    outcome->status = 0;
    outcome->grpc = -1;

    /* not status_n: it is set by a status line without a header's end, too */

    if (u->state->header_time != (ngx_msec_t) -1) {
        outcome->kind = MESH_OUTCOME_STATUS;
        outcome->status = (unsigned) u->headers_in.status_n;
        outcome->grpc = ngx_http_mesh_grpc_status(u);
        return;
    }

    if (!(state & NGX_PEER_FAILED)) {
        outcome->kind = MESH_OUTCOME_NONE;
        return;
    }

    if (c == NULL) {
        outcome->kind = MESH_OUTCOME_CONNECT_FAILURE;
        return;
    }

    if (c->read->timedout || c->write->timedout) {
        outcome->kind = u->request_sent ? MESH_OUTCOME_TIMEOUT
                                        : MESH_OUTCOME_CONNECT_TIMEOUT;
        return;
    }

    outcome->kind = u->request_sent ? MESH_OUTCOME_RESET
                                    : MESH_OUTCOME_CONNECT_FAILURE;
}


void
ngx_http_mesh_flags(ngx_http_mesh_upstream_t *up,
    const mesh_outcome_t *outcome)
{
    switch (outcome->kind) {

    case MESH_OUTCOME_CONNECT_FAILURE:
    case MESH_OUTCOME_CONNECT_TIMEOUT:
        up->ctx->flags |= NGX_HTTP_MESH_UF;
        break;

    case MESH_OUTCOME_RESET:
        up->ctx->flags |= NGX_HTTP_MESH_UC;
        break;

    case MESH_OUTCOME_TIMEOUT:
        up->ctx->flags |= NGX_HTTP_MESH_UT;
        break;

    default:
        break;
    }

    if (up->expired) {
        up->ctx->flags |= NGX_HTTP_MESH_UT;
    }
}


/*
 * For what is known only at a stream's end: the endpoint in the view of now,
 * if it is still there.
 */
static void
ngx_http_mesh_report_late(ngx_http_mesh_upstream_t *up,
    const mesh_outcome_t *outcome)
{
    uint32_t                    i, n;
    ngx_log_t                  *log;
    ngx_mesh_root_t            *root;
    ngx_mesh_view_t            *view;
    const mesh_cluster_view_t  *v;

    root = ngx_mesh_root_acquire();
    if (root == NULL) {
        return;
    }

    view = ngx_mesh_view_acquire(root, up->ctx->cluster_name,
                                 up->ctx->cluster_hash);
    ngx_mesh_root_release(root);

    if (view == NULL) {
        return;
    }

    v = view->view;
    log = up->request->connection->log;

    /* it has mostly not moved */

    for (i = up->index, n = 0; n < v->total; i++, n++) {

        if (i >= v->total) {
            i = 0;
        }

        if (v->slot == up->cluster && v->endpoints[i].slot == up->endpoint) {
            ngx_mesh_report(view, i, outcome, log);
            break;
        }
    }

    ngx_mesh_view_release(view);
}


void
ngx_http_mesh_observe(ngx_mesh_view_t *view, uint32_t index,
    uint64_t begun_us, const mesh_outcome_t *outcome)
{
    uint64_t  elapsed;

    /* the client left, or a race: it says nothing */

    if (outcome->kind == MESH_OUTCOME_NONE) {
        return;
    }

    elapsed = ngx_mesh_now_us() - begun_us;

    mesh_lb_observe(view->view, ngx_mesh_runtime(), index, ngx_current_msec,
                    (uint32_t) ngx_min(elapsed, UINT32_MAX),
                    outcome->kind == MESH_OUTCOME_STATUS);
}


void
ngx_http_mesh_report(ngx_http_mesh_upstream_t *up,
    const mesh_outcome_t *outcome)
{
    if (up->reported) {
        return;
    }

    up->reported = 1;

    if (up->view) {

        if (up->begun_us) {
            ngx_http_mesh_observe(up->view, up->index, up->begun_us, outcome);
        }

        ngx_mesh_report(up->view, up->index, outcome,
                        up->request->connection->log);

    } else {
        ngx_http_mesh_report_late(up, outcome);
    }
}


void
ngx_http_mesh_view_done(ngx_http_mesh_upstream_t *up)
{
    if (up->view) {
        ngx_mesh_view_release(up->view);
        up->view = NULL;
        up->subset = NULL;
        up->policy = NULL;
    }
}


static ngx_int_t
ngx_http_mesh_header_filter(ngx_http_request_t *r)
{
    mesh_outcome_t             outcome;
    ngx_http_mesh_ctx_t       *ctx;
    ngx_http_mesh_upstream_t  *up;

    ctx = ngx_http_get_module_ctx(r, ngx_http_mesh_module);

    if (ctx == NULL) {
        return ngx_http_next_header_filter(r);
    }

    up = ngx_http_mesh_carrier(ctx)->upstream;

    if (up && up->view) {

        if (up->index != MESH_PICK_NONE && up->upstream == r->upstream) {
            ngx_http_mesh_outcome(up, &up->upstream->peer, 0, &outcome);

            if (outcome.grpc != -1 || !ngx_http_mesh_is_grpc(up->upstream)) {
                ngx_http_mesh_report(up, &outcome);
            }
        }

        if (up->upstream->upgrade) {
            /* a tunnel has no whole-request time */
            ngx_http_mesh_timers_delete(up);
        }

        ngx_http_mesh_view_done(up);
    }

    ngx_http_mesh_mirrors_answered(ctx);

    ngx_http_mesh_unpin(ctx);

    return ngx_http_next_header_filter(r);
}


void
ngx_http_mesh_header_filter_init(void)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_mesh_header_filter;
}
