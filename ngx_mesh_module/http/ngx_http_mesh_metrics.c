/* SPDX-License-Identifier: Apache-2.0 */

/*
 * mesh_metrics: the runtime in Prometheus' text format.  The runtime is the
 * node's: every worker gives the same answer.  An endpoint without attempts
 * has no series.
 */

#include "ngx_http_mesh_page.h"

#include "mesh_metrics.h"


static const char *const  ngx_http_mesh_classes[MESH_STATUS_CLASSES] = {
    "0", "1xx", "2xx", "3xx", "4xx", "5xx"
};


/* Within the quotes of a label's value. */
static u_char *
ngx_http_mesh_label(u_char *p, mesh_str_t text)
{
    size_t  i;

    for (i = 0; i < text.len; i++) {

        switch (text.data[i]) {

        case '\\':
        case '"':
            *p++ = '\\';
            *p++ = text.data[i];
            break;

        case '\n':
            *p++ = '\\';
            *p++ = 'n';
            break;

        default:
            *p++ = text.data[i];
        }
    }

    return p;
}


/* `labels` without braces and without the class. */
static u_char *
ngx_http_mesh_series(u_char *p, const mesh_metric_t *metric, const void *slot,
    ngx_str_t *labels)
{
    uint64_t  value;
    unsigned  i;

    for (i = 0; i < mesh_metric_values(metric); i++) {
        value = slot ? mesh_metric_value(metric, slot, i) : 0;

        p = ngx_sprintf(p, "%s{%V", metric->name, labels);

        if (metric->form == MESH_METRIC_STATUS) {
            p = ngx_sprintf(p, ",class=\"%s\"", ngx_http_mesh_classes[i]);
        }

        p = ngx_sprintf(p, metric->form == MESH_METRIC_US
                           ? "} %uL.%06uL\n" : "} %uL\n",
                        metric->form == MESH_METRIC_US ? value / 1000000
                                                       : value,
                        value % 1000000);
    }

    return p;
}


static u_char *
ngx_http_mesh_metric_worker(ngx_http_mesh_page_t *page,
    const mesh_metric_t *metric, u_char *p)
{
    u_char               text[64];
    ngx_str_t            labels;
    mesh_runtime_t      *rt;
    mesh_worker_slot_t  *slot;

    rt = ngx_mesh_runtime();

    while (page->index < rt->sizes.workers) {
        slot = &rt->workers[page->index++];

        if (mesh_load_relaxed(&slot->state) == MESH_WORKER_FREE) {
            continue;
        }

        labels.data = text;
        labels.len = ngx_sprintf(text, "worker=\"%ui\"", page->index - 1)
                     - text;

        return ngx_http_mesh_series(p, metric, slot, &labels);
    }

    return NULL;
}


/* A slot is its name's own only with its tag. */
static const void *
ngx_http_mesh_own(const void *slot, uint64_t tag, mesh_str_t name)
{
    return tag == mesh_runtime_tag(mesh_hash64(name.data, name.len)) ? slot
                                                                    : NULL;
}


static u_char *
ngx_http_mesh_metric_route(ngx_http_mesh_page_t *page,
    const mesh_metric_t *metric, u_char *p)
{
    u_char                   text[2 * MESH_NAME_MAX + 64], *q;
    ngx_str_t                labels;
    mesh_str_t               name;
    const void              *slot;
    mesh_runtime_t          *rt;
    const mesh_map_entry_t  *entry;

    entry = page->binding ? mesh_map_next(page->root->snapshot,
                                          page->binding->routes, &page->iter)
                          : NULL;
    if (entry == NULL) {
        return NULL;
    }

    rt = ngx_mesh_runtime();
    name = mesh_get_str(page->root->snapshot, entry->name);
    name.len = ngx_min(name.len, MESH_NAME_MAX);
    slot = NULL;

    if (entry->aux < rt->sizes.routes) {
        slot = ngx_http_mesh_own(&rt->routes[entry->aux],
                          mesh_load_relaxed(&rt->routes[entry->aux].tag),
                          name);
    }

    q = ngx_sprintf(text, "route=\"");
    q = ngx_http_mesh_label(q, name);
    *q++ = '"';

    labels.data = text;
    labels.len = q - text;

    return ngx_http_mesh_series(p, metric, slot, &labels);
}


static u_char *
ngx_http_mesh_cluster_label(ngx_http_mesh_page_t *page, u_char *text)
{
    mesh_str_t  name;

    name = page->name;
    name.len = ngx_min(name.len, MESH_NAME_MAX);

    text = ngx_sprintf(text, "cluster=\"");
    text = ngx_http_mesh_label(text, name);
    *text++ = '"';

    return text;
}


static u_char *
ngx_http_mesh_metric_cluster(ngx_http_mesh_page_t *page,
    const mesh_metric_t *metric, u_char *p)
{
    u_char     text[2 * MESH_NAME_MAX + 64];
    ngx_str_t  labels;

    if (!ngx_http_mesh_page_cluster(page)) {
        return NULL;
    }

    labels.data = text;
    labels.len = ngx_http_mesh_cluster_label(page, text) - text;

    return ngx_http_mesh_series(p, metric, page->view->view->runtime,
                                &labels);
}


static u_char *
ngx_http_mesh_metric_endpoint(ngx_http_mesh_page_t *page,
    const mesh_metric_t *metric, u_char *p)
{
    char                         address[256];
    size_t                       len;
    u_char                       text[2 * MESH_NAME_MAX + 1024], *q;
    ngx_str_t                    labels;
    mesh_runtime_t              *rt;
    mesh_metric_view_t           state;
    const mesh_view_endpoint_t  *e;
    const mesh_endpoint_slot_t  *slot;

    if (page->view == NULL || page->index == page->view->view->total) {
        page->index = 0;
        return ngx_http_mesh_page_cluster(page) ? p : NULL;
    }

    rt = ngx_mesh_runtime();
    e = &page->view->view->endpoints[page->index++];

    if (e->slot >= rt->sizes.endpoints) {
        return p;
    }

    slot = &rt->endpoints[e->slot];

    if (mesh_load_relaxed(&slot->attempts) == 0) {
        return p;
    }

    len = mesh_endpoint_text(page->root->snapshot, e->endpoint, address,
                             sizeof(address));

    q = ngx_http_mesh_cluster_label(page, text);
    q = ngx_sprintf(q, ",endpoint=\"");
    q = ngx_http_mesh_label(q, (mesh_str_t) { ngx_min(len, sizeof(address) - 1),
                                              address });
    *q++ = '"';

    labels.data = text;
    labels.len = q - text;

    if (metric->scope == MESH_METRIC_VIEW) {
        state.drained = e->out & MESH_OUT_DRAINED;
        return ngx_http_mesh_series(p, metric, &state, &labels);
    }

    return ngx_http_mesh_series(p, metric, slot, &labels);
}


/* phase: 2 * metric, plus one once its head is written. */
static u_char *
ngx_http_mesh_metrics_next(ngx_http_mesh_page_t *page, u_char *p)
{
    u_char               *q;
    const mesh_metric_t  *metric;

    metric = &mesh_metrics[page->phase / 2];

    if (page->phase % 2 == 0) {
        ngx_http_mesh_page_rewind(page);
        page->phase++;

        return ngx_sprintf(p, "# HELP %s %s\n# TYPE %s %s\n",
                           metric->name, metric->help, metric->name,
                           metric->type == MESH_METRIC_COUNTER ? "counter"
                                                               : "gauge");
    }

    switch (metric->scope) {

    case MESH_METRIC_WORKER:
        q = ngx_http_mesh_metric_worker(page, metric, p);
        break;

    case MESH_METRIC_ROUTE:
        q = ngx_http_mesh_metric_route(page, metric, p);
        break;

    case MESH_METRIC_CLUSTER:
        q = ngx_http_mesh_metric_cluster(page, metric, p);
        break;

    default:
        q = ngx_http_mesh_metric_endpoint(page, metric, p);
        break;
    }

    if (q) {
        return q;
    }

    page->phase++;
    page->done = (page->phase / 2 == mesh_metrics_count);

    return p;
}


static ngx_int_t
ngx_http_mesh_metrics_handler(ngx_http_request_t *r)
{
    static ngx_str_t  type = ngx_string("text/plain; version=0.0.4");

    return ngx_http_mesh_page(r, &type, ngx_http_mesh_metrics_next);
}


char *
ngx_http_mesh_metrics_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_mesh_loc_conf_t  *mlcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_mesh_metrics_handler;
    mlcf->needs_zone = "mesh_metrics";

    return NGX_CONF_OK;
}
