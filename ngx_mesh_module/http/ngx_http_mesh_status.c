/* SPDX-License-Identifier: Apache-2.0 */

/*
 * mesh_status: what this worker serves, as JSON.  docs/directives.md shows
 * its shape.
 */

#include "ngx_http_mesh_page.h"


enum {
    NGX_HTTP_MESH_STATUS_HEAD = 0,
    NGX_HTTP_MESH_STATUS_WORKERS,
    NGX_HTTP_MESH_STATUS_CLUSTERS,
    NGX_HTTP_MESH_STATUS_ENDPOINTS
};


typedef struct {
    uint32_t     bit;
    const char  *name;
} ngx_http_mesh_out_t;


static const ngx_http_mesh_out_t  ngx_http_mesh_outs[] = {
    { MESH_OUT_HEALTH,   "health" },
    { MESH_OUT_EJECTED,  "ejected" },
    { MESH_OUT_WEIGHT,   "weight" },
    { MESH_OUT_PRIORITY, "priority" },
    { MESH_OUT_LOCALITY, "locality" },
    { MESH_OUT_ZONE,     "zone" },
    { MESH_OUT_DRAINED,  "drained" },
};


static const char *const  ngx_http_mesh_ejected[] = {
    "", "consecutive_5xx", "consecutive_gateway_failure",
    "consecutive_local_failure"
};


static u_char *
ngx_http_mesh_json(u_char *p, const void *data, size_t len)
{
    *p++ = '"';
    p = (u_char *) ngx_escape_json(p, (u_char *) data, len);
    *p++ = '"';

    return p;
}


static u_char *
ngx_http_mesh_status_head(ngx_http_mesh_page_t *page, u_char *p)
{
    mesh_str_t              reason;
    const char             *why;
    const mesh_rec_root_t  *root;

    p = ngx_sprintf(p, "{\"zone\":");
    p = ngx_http_mesh_json(p, ngx_mesh_zone_path()->data,
                           ngx_min(ngx_mesh_zone_path()->len, 1024));

    if (page->root) {
        root = page->root->root;
        reason = mesh_get_str(page->root->snapshot, root->reason);

        p = ngx_sprintf(p, ",\"generation\":%uL,\"word\":\"%uD:%uD\","
                        "\"published_ms\":%uL,\"flags\":%uD,\"reason\":",
                        root->generation, mesh_word_file(page->root->word),
                        mesh_word_root(page->root->word), root->time_ms,
                        root->flags);
        p = ngx_http_mesh_json(p, reason.data, ngx_min(reason.len, 1024));

    } else {
        why = ngx_mesh_no_root();
        p = ngx_sprintf(p, ",\"generation\":0,\"error\":");
        p = ngx_http_mesh_json(p, why, ngx_strlen(why));
    }

    page->phase = NGX_HTTP_MESH_STATUS_WORKERS;

    return ngx_sprintf(p, ",\n\"workers\":[");
}


static u_char *
ngx_http_mesh_status_worker(ngx_http_mesh_page_t *page, u_char *p)
{
    uint64_t             generation, served;
    mesh_runtime_t      *rt;
    mesh_worker_slot_t  *slot;

    rt = ngx_mesh_runtime();
    served = page->root ? page->root->root->generation : 0;

    for ( /* void */ ; page->index < rt->sizes.workers; page->index++) {
        slot = &rt->workers[page->index];

        if (mesh_load_relaxed(&slot->state) == MESH_WORKER_FREE) {
            continue;
        }

        generation = mesh_load_relaxed(&slot->generation);

        p = ngx_sprintf(p, "%s\n{\"slot\":%ui,\"pid\":%uD,\"generation\":%uL,"
                        "\"adopted\":%s,\"adopted_ms\":%uL,\"exiting\":%s,"
                        "\"refused\":%uD,\"requests\":%uL}",
                        page->items++ ? "," : "", page->index,
                        mesh_load_relaxed(&slot->pid), generation,
                        generation == served ? "true" : "false",
                        mesh_load_relaxed(&slot->adopted_ms),
                        mesh_load_relaxed(&slot->state) == MESH_WORKER_EXITING
                        ? "true" : "false",
                        mesh_load_relaxed(&slot->refused),
                        mesh_load_relaxed(&slot->requests));
        page->index++;

        return p;
    }

    ngx_http_mesh_page_rewind(page);
    page->phase = NGX_HTTP_MESH_STATUS_CLUSTERS;

    return ngx_sprintf(p, "],\n\"clusters\":[");
}


static u_char *
ngx_http_mesh_status_cluster(ngx_http_mesh_page_t *page, u_char *p)
{
    const mesh_cluster_view_t  *view;
    const mesh_cluster_slot_t  *slot;

    if (!ngx_http_mesh_page_cluster(page)) {
        page->done = 1;
        return ngx_sprintf(p, "]}\n");
    }

    view = page->view->view;
    slot = view->runtime;

    p = ngx_sprintf(p, "%s\n{\"name\":", page->items++ ? "," : "");
    p = ngx_http_mesh_json(p, page->name.data, page->name.len);
    p = ngx_sprintf(p, ",\"balancer\":\"%s\",\"total\":%uD,\"usable\":%uD,"
                    "\"panic\":%s",
                    mesh_lb[view->cluster->lb].name, view->total,
                    view->subsets[0].usable,
                    view->subsets[0].panic ? "true" : "false");

    if (slot) {
        p = ngx_sprintf(p, ",\"slot\":%uD,\"requests\":%uL,\"in_flight\":%uL,"
                        "\"ejected\":%uD",
                        view->slot, mesh_load_relaxed(&slot->requests),
                        mesh_load_relaxed(&slot->in_flight),
                        mesh_cluster_ejected(slot));
    }

    page->index = 0;
    page->phase = NGX_HTTP_MESH_STATUS_ENDPOINTS;

    return ngx_sprintf(p, ",\"endpoints\":[");
}


static u_char *
ngx_http_mesh_status_outs(u_char *p, uint32_t out)
{
    ngx_uint_t  i, n;

    n = 0;
    p = ngx_sprintf(p, ",\"in\":%s,\"reasons\":[", out ? "false" : "true");

    for (i = 0; i < mesh_nelts(ngx_http_mesh_outs); i++) {
        if (out & ngx_http_mesh_outs[i].bit) {
            p = ngx_sprintf(p, "%s\"%s\"", n++ ? "," : "",
                            ngx_http_mesh_outs[i].name);
        }
    }

    *p++ = ']';

    return p;
}


static u_char *
ngx_http_mesh_status_slot(u_char *p, uint32_t index)
{
    uint64_t                     word, until;
    mesh_runtime_t              *rt;
    const mesh_endpoint_slot_t  *slot;

    rt = ngx_mesh_runtime();

    if (index >= rt->sizes.endpoints) {
        return p;
    }

    slot = &rt->endpoints[index];
    word = mesh_load_relaxed(&slot->ejected);

    p = ngx_sprintf(p, ",\"slot\":%uD,\"in_flight\":%uD,\"attempts\":%uL",
                    index, mesh_load_relaxed(&slot->in_flight),
                    mesh_load_relaxed(&slot->attempts));

    if (word && mesh_ejected_why(word) < mesh_nelts(ngx_http_mesh_ejected)) {
        until = mesh_ejected_until(word);

        p = ngx_sprintf(p, ",\"ejected\":{\"by\":\"%s\",\"for_ms\":%uL,"
                        "\"times\":%uD}",
                        ngx_http_mesh_ejected[mesh_ejected_why(word)],
                        until > (uint64_t) ngx_current_msec
                        ? until - ngx_current_msec : 0,
                        mesh_load_relaxed(&slot->times_ejected));
    }

    return p;
}


static u_char *
ngx_http_mesh_status_endpoint(ngx_http_mesh_page_t *page, u_char *p)
{
    char                         text[256];
    size_t                       len;
    const mesh_cluster_view_t   *view;
    const mesh_view_endpoint_t  *e;

    view = page->view->view;

    if (page->index == view->total) {
        page->phase = NGX_HTTP_MESH_STATUS_CLUSTERS;
        return ngx_sprintf(p, "]}");
    }

    e = &view->endpoints[page->index];
    len = mesh_endpoint_text(page->root->snapshot, e->endpoint, text,
                             sizeof(text));

    p = ngx_sprintf(p, "%s\n {\"address\":", page->index ? "," : "");
    p = ngx_http_mesh_json(p, text, ngx_min(len, sizeof(text) - 1));
    p = ngx_sprintf(p, ",\"weight\":%uD,\"priority\":%uD",
                    e->endpoint->weight, e->endpoint->priority);
    p = ngx_http_mesh_status_outs(p, e->out);
    p = ngx_http_mesh_status_slot(p, e->slot);
    *p++ = '}';

    page->index++;

    return p;
}


static u_char *
ngx_http_mesh_status_next(ngx_http_mesh_page_t *page, u_char *p)
{
    switch (page->phase) {

    case NGX_HTTP_MESH_STATUS_HEAD:
        return ngx_http_mesh_status_head(page, p);

    case NGX_HTTP_MESH_STATUS_WORKERS:
        return ngx_http_mesh_status_worker(page, p);

    case NGX_HTTP_MESH_STATUS_CLUSTERS:
        return ngx_http_mesh_status_cluster(page, p);

    default:
        return ngx_http_mesh_status_endpoint(page, p);
    }
}


static ngx_int_t
ngx_http_mesh_status_handler(ngx_http_request_t *r)
{
    static ngx_str_t  type = ngx_string("application/json");

    return ngx_http_mesh_page(r, &type, ngx_http_mesh_status_next);
}


char *
ngx_http_mesh_status_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_mesh_loc_conf_t  *mlcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_mesh_status_handler;
    mlcf->needs_zone = "mesh_status";

    return NGX_CONF_OK;
}
