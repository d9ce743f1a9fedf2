/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What an attempt's outcome does: counters of endpoint and cluster, outlier
 * detection, and the log line of an ejection.
 */

#include "ngx_mesh_worker.h"


static const char *
ngx_mesh_ejected_reason(mesh_ejected_e why)
{
    switch (why) {

    case MESH_EJECTED_GATEWAY:
        return "gateway failures";

    case MESH_EJECTED_LOCAL:
        return "connection failures";

    default:
        return "5xx";
    }
}


static void
ngx_mesh_log_ejection(ngx_mesh_view_t *view, ngx_uint_t index,
    const mesh_outlier_verdict_t *verdict, ngx_log_t *log)
{
    u_char           *p;
    mesh_str_t        cluster;
    const ngx_str_t  *name;
    u_char            duration[NGX_INT64_LEN + 3];
    char              endpoint[sizeof("unix:") + 256];

    (void) mesh_endpoint_text(view->root->snapshot,
                              view->view->endpoints[index].endpoint,
                              endpoint, sizeof(endpoint));

    p = (verdict->duration_ms % 1000)
        ? ngx_sprintf(duration, "%uLms", verdict->duration_ms)
        : ngx_sprintf(duration, "%uLs", verdict->duration_ms / 1000);
    *p = '\0';

    cluster = view->view->name;
    name = (const ngx_str_t *) &cluster;

    ngx_log_error(NGX_LOG_WARN, log, 0,
                  "mesh: ejected endpoint %s of cluster \"%V\" for %s: "
                  "%uD consecutive %s (generation %uL)",
                  endpoint, name, duration, verdict->streak,
                  ngx_mesh_ejected_reason(verdict->why),
                  view->root->root->generation);
}


static void
ngx_mesh_count(mesh_cluster_slot_t *cluster, mesh_endpoint_slot_t *endpoint,
    const mesh_outcome_t *outcome)
{
    ngx_uint_t  class;

    (void) mesh_fetch_add(&cluster->attempts, 1);

    if (endpoint) {
        (void) mesh_fetch_add(&endpoint->attempts, 1);
    }

    class = 0;

    switch (outcome->kind) {

    case MESH_OUTCOME_NONE:
        return;

    case MESH_OUTCOME_STATUS:
        class = outcome->status / 100;
        class = class < MESH_STATUS_CLASSES ? class : 0;
        break;

    case MESH_OUTCOME_CONNECT_FAILURE:
        (void) mesh_fetch_add(&cluster->connect_failures, 1);
        break;

    case MESH_OUTCOME_CONNECT_TIMEOUT:
        (void) mesh_fetch_add(&cluster->connect_failures, 1);
        (void) mesh_fetch_add(&cluster->timeouts, 1);
        break;

    case MESH_OUTCOME_TIMEOUT:
        (void) mesh_fetch_add(&cluster->timeouts, 1);
        break;

    case MESH_OUTCOME_RESET:
        (void) mesh_fetch_add(&cluster->resets, 1);
        break;
    }

    if (endpoint) {
        (void) mesh_fetch_add(&endpoint->status[class], 1);
    }
}


/*
 * Only an ejection uses it, so a request pays for one multiplication, not
 * for two draws.  Where it begins differs from worker to worker.
 */
static uint64_t
ngx_mesh_jitter(void)
{
    static uint64_t  state;

    if (state == 0) {
        state = (uint64_t) ngx_random() << 31 ^ (uint64_t) ngx_random()
                ^ (uint64_t) ngx_pid << 48;
    }

    return mesh_mix64(++state);
}


void
ngx_mesh_report(ngx_mesh_view_t *view, ngx_uint_t index,
    const mesh_outcome_t *outcome, ngx_log_t *log)
{
    uint32_t                 slot;
    mesh_runtime_t          *rt;
    mesh_cluster_view_t     *cv;
    mesh_endpoint_slot_t    *endpoint;
    mesh_outlier_verdict_t   verdict;

    rt = ngx_mesh_runtime();
    cv = view->view;

    /* A cluster above mesh_zone's clusters= has nowhere to be counted. */
    if (rt == NULL || cv->runtime == NULL) {
        return;
    }

    slot = cv->endpoints[index].slot;
    endpoint = (slot < rt->sizes.endpoints) ? &rt->endpoints[slot] : NULL;

    ngx_mesh_count(cv->runtime, endpoint, outcome);

    if (endpoint == NULL || cv->outlier == NULL) {
        return;
    }

    verdict = mesh_outlier_report(rt, cv->outlier, cv->slot, slot, cv->total,
                                  outcome, ngx_mesh_jitter(),
                                  ngx_current_msec);

    if (verdict.ejected) {
        ngx_mesh_log_ejection(view, index, &verdict, log);
    }
}
