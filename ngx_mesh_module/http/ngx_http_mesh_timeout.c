/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Times that nearly every request sets and hardly any reaches.  In nginx's
 * tree of timers each would cost two walks; but times of one length expire in
 * the order in which they were set, so those of one length are a queue, and
 * nginx knows the head of each.  A head that is taken back leaves nginx's
 * timer as it is: it fires early and is set for the next.
 *
 * Lengths come from the configuration and are few.  One that finds the queue
 * of its hash in use by another length is a timer of nginx's own.
 */

#include "ngx_http_mesh_upstream.h"


#define NGX_HTTP_MESH_LENGTHS   61


typedef struct {
    ngx_queue_t   queue;        /* by `at` */
    ngx_msec_t    length;
    ngx_int_t     ident;        /* -1; event's data: nginx logs the fourth
                                   word as a descriptor */
    ngx_event_t   event;
} ngx_http_mesh_length_t;


static ngx_http_mesh_length_t  ngx_http_mesh_lengths[NGX_HTTP_MESH_LENGTHS];


static void
ngx_http_mesh_timeout_event(ngx_event_t *ev)
{
    ngx_http_mesh_timeout_t  *t = ev->data;

    t->set = 0;
    t->handler(t->upstream);
}


/* A handler may end its request and any other, so the head is read anew. */
static void
ngx_http_mesh_length_event(ngx_event_t *ev)
{
    ngx_http_mesh_length_t *l = ev->data;

    ngx_queue_t              *q;
    ngx_msec_int_t            left;
    ngx_http_mesh_timeout_t  *t;

    while (!ngx_queue_empty(&l->queue)) {
        q = ngx_queue_head(&l->queue);
        t = ngx_queue_data(q, ngx_http_mesh_timeout_t, queue);

        left = (ngx_msec_int_t) (t->at - ngx_current_msec);

        if (left > 0) {
            ngx_add_timer(ev, (ngx_msec_t) left);
            return;
        }

        ngx_queue_remove(q);
        t->set = 0;
        t->handler(t->upstream);
    }
}


/* The queue of that length, or NULL if another length has its place. */
static ngx_http_mesh_length_t *
ngx_http_mesh_length(ngx_msec_t length)
{
    ngx_http_mesh_length_t  *l;

    l = &ngx_http_mesh_lengths[length % NGX_HTTP_MESH_LENGTHS];

    if (l->length == length) {
        return l;
    }

    if (l->queue.next == NULL) {
        ngx_queue_init(&l->queue);
        l->ident = -1;
        l->event.data = l;
        l->event.handler = ngx_http_mesh_length_event;
        /* it may be early by a whole length: a worker that is to exit must
           not wait for it */
        l->event.cancelable = 1;
    }

    if (!ngx_queue_empty(&l->queue)) {
        return NULL;
    }

    if (l->event.timer_set) {
        ngx_del_timer(&l->event);
    }

    l->length = length;

    return l;
}


ngx_int_t
ngx_http_mesh_timeout_add(ngx_http_mesh_timeout_t *t, ngx_msec_t length)
{
    ngx_http_mesh_length_t  *l;

    ngx_http_mesh_timeout_delete(t);

    t->at = ngx_current_msec + length;

    l = ngx_http_mesh_length(length);

    if (l) {
        ngx_queue_insert_tail(&l->queue, &t->queue);

        if (!l->event.timer_set) {
            l->event.log = ngx_cycle->log;
            ngx_add_timer(&l->event, length);
        }

        t->set = 1;
        return NGX_OK;
    }

    if (t->event == NULL) {
        t->event = ngx_pcalloc(t->upstream->request->pool,
                               sizeof(ngx_event_t));
        if (t->event == NULL) {
            return NGX_ERROR;
        }

        t->ident = -1;
        t->event->data = t;
        t->event->handler = ngx_http_mesh_timeout_event;
        t->event->log = t->upstream->request->connection->log;
    }

    ngx_add_timer(t->event, length);
    t->set = 1;

    return NGX_OK;
}


void
ngx_http_mesh_timeout_delete(ngx_http_mesh_timeout_t *t)
{
    if (!t->set) {
        return;
    }

    t->set = 0;

    if (t->event && t->event->timer_set) {
        ngx_del_timer(t->event);
        return;
    }

    ngx_queue_remove(&t->queue);
}
