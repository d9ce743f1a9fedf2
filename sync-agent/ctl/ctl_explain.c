/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `meshctl explain METHOD URL`: what was decided and what was passed over on
 * the way, as text and as JSON.
 */

#include "ctl_explain.h"

#include <stdio.h>
#include <string.h>

#include "ctl_compiled.h"
#include "ctl_groups.h"
#include "ctl_listeners.h"
#include "ctl_policy.h"
#include "ctl_sent.h"
#include "ctl_share.h"
#include "ctl_table.h"
#include "ctl_view.h"
#include "ctl_zones.h"
#include "mesh_subset.h"

/* What comes of the request; the status, where the proxy itself answers. */
typedef struct {
    const char *text;
    uint32_t status; /* 0: the endpoint's */
} result_t;

/* The status of a redirect or of a direct response. */
static uint32_t own_status(const ctl_zone_t *zone,
                           const mesh_rec_route_t *route) {
    if (route->action == MESH_ACTION_DIRECT) {
        return ((const mesh_rec_direct_t *)mesh_get(zone->s, route->direct))
            ->status;
    }
    return ((const mesh_rec_redirect_t *)mesh_get(zone->s, route->redirect))
        ->status;
}

static result_t routed_result(const ctl_decision_t *d) {
    if (d->view == NULL && d->untold) {
        return (result_t){"routed to a cluster that is not told", 0};
    }
    if (d->view == NULL) {
        return (result_t){
            d->cluster.len ? "no such cluster" : "no header names a cluster",
            d->entry->flags & MESH_SPLIT_HEADER ? d->entry->not_found : 503};
    }
    if (d->subset == NULL) {
        return (result_t){"no such subset", 503};
    }
    return d->picked == MESH_PICK_NONE ? (result_t){"no endpoint", 503}
                                       : (result_t){"routed", 0};
}

static result_t result_of(const ctl_zone_t *zone, const ctl_decision_t *d) {
    if (d->path_verdict == MESH_PATH_REJECT) {
        return (result_t){"path rejected", 400};
    }
    if (d->path_verdict == MESH_PATH_REDIRECT) {
        return (result_t){"path redirected", 307};
    }
    switch (d->match.result) {
    case MESH_NO_TABLE:
        return (result_t){"no route table of that name", 404};
    case MESH_NO_VHOST:
        return (result_t){"no virtual host", 404};
    case MESH_NO_ROUTE:
        return (result_t){"no route", 404};
    case MESH_ROUTED:
        break;
    }
    result_t result;

    if (d->match.route->action != MESH_ACTION_ROUTE) {
        return (result_t){d->match.route->action == MESH_ACTION_REDIRECT
                              ? "redirect"
                              : "direct response",
                          own_status(zone, d->match.route)};
    }
    result.status = ctl_policies_answer(d, &result.text);
    return result.status != 0 ? result : routed_result(d);
}

static bool is_positive(const ctl_decision_t *d) {
    if (d->match.result != MESH_ROUTED) {
        return d->path_verdict == MESH_PATH_REDIRECT;
    }
    return d->match.route->action != MESH_ACTION_ROUTE || d->untold ||
           d->cors.verdict >= MESH_CORS_PREFLIGHT ||
           d->picked != MESH_PICK_NONE;
}

/* Where a redirect leads to; "" of a direct response. */
static const char *location_of(const ctl_zone_t *zone, const ctl_question_t *q,
                               const ctl_decision_t *d) {
    const mesh_rec_route_t *route = d->match.route;

    if (route->action == MESH_ACTION_DIRECT) {
        return "";
    }
    size_t len = mesh_route_location(zone->s, route, &q->request, NULL, 0);
    char *location = arena_alloc(zone->arena, len + 1);
    (void)mesh_route_location(zone->s, route, &q->request, location, len);
    return ctl_text(zone, (mesh_str_t){len, location});
}

/* Of the subset's groups, the one that may pick the endpoint; or NULL. */
static const mesh_view_group_t *group_of(const ctl_decision_t *d,
                                         uint32_t index) {
    for (uint32_t i = 0; i < d->subset->ngroups; i++) {
        const mesh_view_group_t *group = &d->subset->groups[i];

        if (mesh_lb_position(group, index) != MESH_PICK_NONE) {
            return group;
        }
    }
    return NULL;
}

/* "" for a candidate, else why it is none. */
static const char *why_not(const ctl_zone_t *zone, const ctl_decision_t *d,
                           uint32_t i) {
    const mesh_view_endpoint_t *e = &d->view->endpoints[i];
    const mesh_view_group_t *group = group_of(d, i);
    char text[256];

    if (group != NULL && d->session_bound) {
        return "not the session's, which is strict";
    }
    if (group != NULL && (group == d->group || d->group == NULL)) {
        return "";
    }
    if (group != NULL && group->points == 0) {
        return group->split && mesh_zone_on(d->subset->zone)
                   ? "zone-aware routing passes it by"
                   : "its priority has no load";
    }
    if (group != NULL) {
        return group->priority != d->group->priority
                   ? "another priority's turn"
                   : "another locality's turn";
    }
    /* Where load goes is told of the whole cluster. */
    uint32_t told =
        MESH_OUT_PRIORITY | (d->subset != d->view->subsets ? MESH_OUT_ZONE : 0);
    if ((e->out & ~told) == 0) {
        return "not in the subset";
    }
    ctl_endpoint_state(zone, e->out, e->slot, text, sizeof(text));
    return arena_strdup(zone->arena, text);
}

static const char *address_of(const ctl_zone_t *zone, const ctl_decision_t *d,
                              uint32_t i) {
    char text[256];

    mesh_endpoint_text(zone->s, d->view->endpoints[i].endpoint, text,
                       sizeof(text));
    return arena_strdup(zone->arena, text);
}

/* --- for machines ---------------------------------------------------------*/

static void add_text(const ctl_zone_t *zone, cJSON *json, const char *key,
                     mesh_str_t text) {
    cJSON_AddStringToObject(json, key, ctl_text(zone, text));
}

static const mesh_rec_refs_t *routes_of(const ctl_zone_t *zone,
                                        const ctl_decision_t *d) {
    return d->match.vhost ? mesh_get(zone->s, d->match.vhost->routes) : NULL;
}

/* Routes that were looked at: all up to the one that matched. */
static uint32_t tried_count(const ctl_decision_t *d,
                            const mesh_rec_refs_t *routes) {
    uint32_t all = routes ? routes->count : 0;
    return d->match.result == MESH_ROUTED ? d->match.index + 1 : all;
}

static void json_tried(const ctl_zone_t *zone, const ctl_question_t *q,
                       const ctl_decision_t *d, cJSON *json) {
    const mesh_rec_refs_t *routes = routes_of(zone, d);
    cJSON *list = cJSON_AddArrayToObject(json, "tried");

    for (uint32_t i = 0; i < tried_count(d, routes); i++) {
        const mesh_rec_route_t *route = mesh_get(zone->s, routes->v[i]);
        mesh_route_test_t test = mesh_route_test(zone->s, route, &q->request);
        cJSON *item = cJSON_CreateObject();
        add_text(zone, item, "route", mesh_get_str(zone->s, route->name));
        cJSON_AddBoolToObject(item, "matches",
                              test.failed == MESH_PREDICATE_NONE);
        cJSON_AddStringToObject(item, "why",
                                ctl_route_failed(zone, route, &test, q));
        cJSON_AddItemToArray(list, item);
    }
}

static void json_endpoints(const ctl_zone_t *zone, const ctl_decision_t *d,
                           cJSON *json) {
    cJSON *list = cJSON_AddArrayToObject(json, "endpoints");

    for (uint32_t i = 0; i < d->view->total; i++) {
        const char *why = why_not(zone, d, i);
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "address", address_of(zone, d, i));
        cJSON_AddBoolToObject(item, "candidate", why[0] == '\0');
        cJSON_AddStringToObject(item, "why", why);
        ctl_json_u64(item, "weight", d->view->endpoints[i].endpoint->weight);
        ctl_json_u64(item, "priority", d->view->endpoints[i].priority);
        cJSON_AddItemToArray(list, item);
    }
    if (d->picked != MESH_PICK_NONE) {
        cJSON_AddStringToObject(json, "endpoint",
                                address_of(zone, d, d->picked));
    }
}

static void json_hash(const ctl_zone_t *zone, const ctl_decision_t *d,
                      cJSON *json) {
    const mesh_rec_hash_policies_t *policies =
        mesh_get(zone->s, d->match.route->hash_policies);

    if (!d->hashed) {
        return;
    }
    cJSON *item = cJSON_AddObjectToObject(json, "hash");
    if (d->hash.known && d->hash.generated == 0) {
        cJSON_AddStringToObject(item, "value",
                                arena_printf(zone->arena, "%016llx",
                                             (unsigned long long)d->hash.hash));
    }
    cJSON *list = cJSON_AddArrayToObject(item, "set_cookie");
    for (uint32_t i = 0; policies && i < policies->count; i++) {
        if (d->hash.generated >> i & 1) {
            cJSON_AddItemToArray(
                list, cJSON_CreateString(ctl_text(
                          zone, mesh_get_str(zone->s, policies->v[i].name))));
        }
    }
}

/* The subset that the route asks for, without labels that are left out. */
static mesh_str_t subset_meant(const ctl_zone_t *zone,
                               const ctl_decision_t *d) {
    return mesh_view_meant(d->view, mesh_get_str(zone->s, d->entry->subset),
                           arena_alloc(zone->arena, MESH_SUBSET_NAME_MAX));
}

/* Was another subset asked for? */
static bool fell_back(const ctl_zone_t *zone, const ctl_decision_t *d) {
    return !mesh_str_eq(d->subset->name, subset_meant(zone, d));
}

static void json_sent(const ctl_zone_t *zone, const ctl_question_t *q,
                      const ctl_decision_t *d, cJSON *json) {
    ctl_sent_t sent;

    ctl_sent(zone, q, d, &sent);
    add_text(zone, json, "path", sent.path);
    if (sent.host_changed) {
        add_text(zone, json, "host", sent.host);
    }
    if (sent.nops == 0) {
        return;
    }
    cJSON *list = cJSON_AddArrayToObject(json, "request_headers");
    for (uint32_t i = 0; i < sent.nops; i++) {
        const ctl_sent_op_t *op = &sent.ops[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "op", op->op);
        add_text(zone, item, "name", op->name);
        add_text(zone, item, "value", op->value);
        cJSON_AddBoolToObject(item, "acts", op->why == NULL);
        cJSON_AddStringToObject(item, "why", op->why ? op->why : "");
        cJSON_AddItemToArray(list, item);
    }
}

/* What of the request has chosen the weighted cluster. */
static void json_split_by(const ctl_zone_t *zone, const ctl_decision_t *d,
                          cJSON *json) {
    const mesh_rec_split_t *split = mesh_get(zone->s, d->match.route->split);

    if (d->split_by == MODEL_SPLIT_BY_TICKET) {
        return;
    }
    cJSON *item = cJSON_AddObjectToObject(json, "split_by");
    if (d->split_by == MODEL_SPLIT_BY_HEADER) {
        add_text(zone, item, "header",
                 mesh_get_str(zone->s, d->match.route->split_header));
        ctl_json_u64(item, "value", d->split_number);
        ctl_json_u64(item, "split", d->split_number % split->total);
    } else {
        cJSON_AddStringToObject(item, "by", "hash");
        if (d->hash.generated == 0) {
            ctl_json_u64(item, "split",
                         mesh_split_hash_point(split, d->hash.hash));
        }
    }
    ctl_json_u64(item, "of", split->total);
}

/* Is it left to a ticket, or to the random value that stands for one? */
static bool split_is_drawn(const ctl_decision_t *d) {
    return d->split_drawn && d->split_by == MODEL_SPLIT_BY_TICKET;
}

/* What the random value decided. */
static void json_random(const ctl_zone_t *zone, const ctl_question_t *q,
                        const ctl_decision_t *d, cJSON *json) {
    const mesh_rec_split_t *split = mesh_get(zone->s, d->match.route->split);
    cJSON *item = cJSON_AddObjectToObject(json, "random");

    ctl_json_u64(item, "value", q->args->random);
    if (split_is_drawn(d)) {
        ctl_json_u64(item, "split", q->args->random % split->total);
        ctl_json_u64(item, "of", split->total);
    }
}

static void json_routed(const ctl_zone_t *zone, const ctl_question_t *q,
                        const ctl_decision_t *d, cJSON *json) {
    const mesh_rec_route_t *route = d->match.route;

    add_text(zone, json, "cluster", d->cluster);
    add_text(zone, json, "subset", mesh_get_str(zone->s, d->entry->subset));
    cJSON *ticket = cJSON_AddObjectToObject(json, "ticket");
    ctl_json_u64(ticket, "route", d->route_ticket);
    ctl_json_u64(ticket, "cluster", d->cluster_ticket);
    cJSON_AddBoolToObject(ticket, "route_counts",
                          split_is_drawn(d) && !q->by_random);
    if (q->share_drawn) {
        ctl_json_u64(ticket, "share", q->share_ticket);
    }
    if (q->by_random) {
        json_random(zone, q, d, json);
    }
    json_split_by(zone, d, json);
    json_hash(zone, d, json);
    json_sent(zone, q, d, json);
    ctl_json_u64(json, "timeout_ms", route->timeout_ms);
    if (d->subset != NULL) {
        cJSON_AddStringToObject(json, "lb", mesh_lb[d->view->cluster->lb].name);
        if (d->match.route->session != 0) {
            cJSON_AddBoolToObject(json, "by_session", d->by_session);
        }
        cJSON_AddBoolToObject(json, "panic", d->subset->panic);
        if (fell_back(zone, d)) {
            add_text(zone, json, "fallback", d->subset->name);
        }
        ctl_groups_json(zone, json, d->subset, d->group);
        ctl_zones_json(zone, json, d->view, d->subset);
        json_endpoints(zone, d, json);
    }
}

static void print_json(const ctl_zone_t *zone, const ctl_question_t *q,
                       const ctl_decision_t *d,
                       const ctl_listening_t *listening) {
    cJSON *json = cJSON_CreateObject();

    if (listening != NULL) {
        ctl_listening_json(zone, listening, json);
    }
    ctl_json_u64(json, "generation", zone->root->generation);
    result_t result = result_of(zone, d);
    cJSON_AddStringToObject(json, "result", result.text);
    if (result.status != 0) {
        ctl_json_u64(json, "status", result.status);
    }
    if (d->match.vhost != NULL) {
        add_text(zone, json, "virtual_host",
                 mesh_get_str(zone->s, d->match.vhost->name));
    }
    json_tried(zone, q, d, json);
    if (d->match.result == MESH_ROUTED) {
        const mesh_rec_route_t *route = d->match.route;
        add_text(zone, json, "route", mesh_get_str(zone->s, route->name));
        if (route->action == MESH_ACTION_ROUTE) {
            ctl_policies_json(zone, q, d, json);
            if (d->entry != NULL) {
                json_routed(zone, q, d, json);
            }
        } else {
            cJSON_AddStringToObject(json, "location", location_of(zone, q, d));
        }
    }
    ctl_json_print(json, stdout);
}

/* --- for people -----------------------------------------------------------*/

static void print_tried(const ctl_zone_t *zone, const ctl_question_t *q,
                        const ctl_decision_t *d) {
    static const char *const head[] = {"", "ROUTE", "", NULL};
    const mesh_rec_refs_t *routes = routes_of(zone, d);
    ctl_table_t *table = ctl_table_new(head);

    for (uint32_t i = 0; i < tried_count(d, routes); i++) {
        const mesh_rec_route_t *route = mesh_get(zone->s, routes->v[i]);
        mesh_route_test_t test = mesh_route_test(zone->s, route, &q->request);
        ctl_table_add(table, "%s",
                      test.failed == MESH_PREDICATE_NONE ? "  ->" : "    ");
        ctl_table_add(table, "%s",
                      ctl_text(zone, mesh_get_str(zone->s, route->name)));
        ctl_table_add(table, "%s", ctl_route_failed(zone, route, &test, q));
    }
    ctl_table_print(table, stdout);
}

/* The names of cookies that the answer will set. */
static void print_generated(const ctl_zone_t *zone, const ctl_decision_t *d,
                            const char *by, const char *where) {
    const mesh_rec_hash_policies_t *policies =
        mesh_get(zone->s, d->match.route->hash_policies);

    for (uint32_t i = 0; policies && i < policies->count; i++) {
        if (d->hash.generated >> i & 1) {
            printf("      by %shash of a new cookie %s: any %s\n", by,
                   ctl_text(zone, mesh_get_str(zone->s, policies->v[i].name)),
                   where);
        }
    }
}

static void print_split_by(const ctl_zone_t *zone, const ctl_question_t *q,
                           const ctl_decision_t *d) {
    const mesh_rec_route_t *route = d->match.route;
    const mesh_rec_split_t *split = mesh_get(zone->s, route->split);
    const char *header =
        ctl_text(zone, mesh_get_str(zone->s, route->split_header));

    if (d->split_by == MODEL_SPLIT_BY_HEADER) {
        printf("      by header %s: %llu, point %u of %u\n", header,
               (unsigned long long)d->split_number,
               (unsigned)(d->split_number % split->total), split->total);
        return;
    }
    if (d->split_by == MODEL_SPLIT_BY_HASH && d->hash.generated != 0) {
        print_generated(zone, d, "", "of them");
        return;
    }
    if (d->split_by == MODEL_SPLIT_BY_HASH) {
        printf("      by hash %016llx, point %u of %u\n",
               (unsigned long long)d->hash.hash,
               mesh_split_hash_point(split, d->hash.hash), split->total);
        return;
    }
    printf("      by ");
    if (route->split_header != 0) {
        printf("no number in header %s, ", header);
    } else if (route->flags & MESH_ROUTE_SPLIT_HASH) {
        printf("no hash, ");
    }
    if (q->by_random) {
        printf("random value %u of %u\n",
               (unsigned)(q->args->random % split->total), split->total);
    } else {
        printf("ticket %llu\n", (unsigned long long)d->route_ticket);
    }
}

static void print_split(const ctl_zone_t *zone, const ctl_question_t *q,
                        const ctl_decision_t *d) {
    const mesh_rec_split_t *split = mesh_get(zone->s, d->match.route->split);
    uint32_t before = 0;

    for (uint32_t i = 0; i < split->count; i++) {
        const mesh_split_entry_t *e = &split->v[i];
        mesh_str_t subset = mesh_get_str(zone->s, e->subset);
        printf("  %s  %s%s%s%s", e == d->entry ? "->" : "  ",
               e->flags & MESH_SPLIT_HEADER ? "by header " : "",
               ctl_text(zone, mesh_get_str(zone->s, e->cluster)),
               subset.len ? "/" : "", ctl_text(zone, subset));
        if (e == d->entry && (e->flags & MESH_SPLIT_HEADER)) {
            printf(": %s",
                   d->cluster.len ? ctl_text(zone, d->cluster) : "(no header)");
        }
        if (split->count > 1) {
            printf("  %u of %u", e->upto - before, split->total);
        }
        if (e->host_rewrite != 0) {
            mesh_str_t host = mesh_get_str(zone->s, e->host_rewrite);
            printf("  as host %s", ctl_text(zone, host));
        }
        printf("\n");
        before = e->upto;
    }
    if (d->split_drawn) {
        print_split_by(zone, q, d);
    }
}

static void print_endpoints(const ctl_zone_t *zone, const ctl_decision_t *d) {
    static const char *const head[] = {"", "ENDPOINT", "WEIGHT", "", NULL};
    ctl_table_t *table = ctl_table_new(head);

    for (uint32_t i = 0; i < d->view->total; i++) {
        const char *why = why_not(zone, d, i);
        ctl_table_add(table, "%s", i == d->picked ? "  ->" : "    ");
        ctl_table_add(table, "%s", address_of(zone, d, i));
        ctl_table_add(table, "%u", d->view->endpoints[i].endpoint->weight);
        ctl_table_add(table, "%s", why[0] ? why : "candidate");
    }
    ctl_table_print(table, stdout);
}

static void print_by(const ctl_zone_t *zone, const ctl_decision_t *d) {
    const char *lb = mesh_lb[d->view->cluster->lb].name;

    if (d->by_session || d->session_bound) {
        const mesh_rec_session_t *session =
            mesh_get(zone->s, d->match.route->session);
        printf("      by the session's %s%s\n",
               session->flags & MESH_SESSION_HEADER ? "header" : "cookie",
               d->session_bound ? ", which is strict: nobody else" : "");
        return;
    }
    if (!d->hashes || !d->hash.known) {
        printf("      by %s, %sticket %llu\n", lb, d->hashes ? "no hash, " : "",
               (unsigned long long)d->cluster_ticket);
        return;
    }
    if (d->hash.generated == 0) {
        printf("      by %s, hash %016llx\n", lb,
               (unsigned long long)d->hash.hash);
        return;
    }
    print_generated(zone, d, arena_printf(zone->arena, "%s, ", lb),
                    "candidate");
}

static void print_sent(const ctl_zone_t *zone, const ctl_question_t *q,
                       const ctl_decision_t *d) {
    ctl_sent_t sent;

    ctl_sent(zone, q, d, &sent);
    if (!mesh_str_eq(sent.path, q->request.path)) {
        printf("path        %s goes out as %s\n",
               ctl_text(zone, q->request.path), ctl_text(zone, sent.path));
    }
    if (sent.host_changed) {
        printf("host        %s goes out as %s\n",
               ctl_text(zone, q->request.authority), ctl_text(zone, sent.host));
    }
    for (uint32_t i = 0; i < sent.nops; i++) {
        const ctl_sent_op_t *op = &sent.ops[i];
        printf("header      %s %s%s%s", op->op, ctl_text(zone, op->name),
               op->value.len ? ": " : "", ctl_text(zone, op->value));
        printf(op->why ? " (not done: %s)\n" : "\n", op->why);
    }
}

static const char *why_not_there(const ctl_decision_t *d, mesh_str_t meant) {
    if (d->view->named == NULL) {
        return "the cluster has no subsets";
    }
    if (meant.len == 0) {
        return "the route names no subset";
    }
    if (!mesh_subset_by_labels(meant)) {
        return "no endpoint in the subset";
    }
    return mesh_view_selects(d->view, meant)
               ? "no endpoint has these labels"
               : "no selector has the keys of these labels";
}

/* Which subset it is, where that is not what the route says. */
static void print_subset(const ctl_zone_t *zone, const ctl_decision_t *d) {
    mesh_str_t meant = subset_meant(zone, d);

    if (meant.len != mesh_get_str(zone->s, d->entry->subset).len) {
        printf("labels: others are left out, so subset %s\n",
               ctl_text(zone, meant));
    }
    if (d->subset == NULL) {
        printf("subset: none, as %s, and there is no fallback\n",
               why_not_there(d, meant));
    } else if (fell_back(zone, d)) {
        printf("fallback: %s, so %s%s\n", why_not_there(d, meant),
               d->subset->name.len ? "subset " : "any of the cluster",
               ctl_text(zone, d->subset->name));
    }
}

static void print_routed(const ctl_zone_t *zone, const ctl_question_t *q,
                         const ctl_decision_t *d) {
    printf("\nclusters\n");
    print_split(zone, q, d);
    print_sent(zone, q, d);
    if (d->view == NULL) {
        return;
    }
    printf("\n");
    print_subset(zone, d);
    if (d->subset == NULL) {
        return;
    }
    ctl_zones_print(zone, MESH_STR_NULL, d->view, d->subset);
    ctl_groups_print(zone, MESH_STR_NULL, d->subset, d->group);
    if (d->group != NULL && d->group->panic) {
        printf("panic: too few are usable, so all are candidates\n");
    }
    if (d->view->total == 0) {
        printf("      the cluster has no endpoints\n");
        return;
    }
    print_endpoints(zone, d);
    print_by(zone, d);
}

static void print_text(const ctl_zone_t *zone, const ctl_question_t *q,
                       const ctl_decision_t *d,
                       const ctl_listening_t *listening) {
    const mesh_request_t *r = &q->request;

    if (listening != NULL) {
        ctl_listening_print(zone, q->args, listening);
    }
    printf("request     %s %s %s\n", ctl_text(zone, r->method),
           r->authority.len ? ctl_text(zone, r->authority) : "(no host)",
           ctl_text(zone, r->path));
    printf("generation  %llu\n", (unsigned long long)zone->root->generation);
    if (d->match.vhost != NULL) {
        printf("host        %s\n\n",
               ctl_text(zone, mesh_get_str(zone->s, d->match.vhost->name)));
        print_tried(zone, q, d);
    }
    if (d->entry != NULL) {
        print_routed(zone, q, d);
    }
    if (d->match.result == MESH_ROUTED) {
        ctl_policies_print(zone, q, d);
    }
    result_t result = result_of(zone, d);
    printf("\nresult      %s", result.text);
    if (d->path_verdict == MESH_PATH_REDIRECT) {
        printf(" to %s", ctl_text(zone, d->path_answer));
    } else if (d->picked != MESH_PICK_NONE) {
        printf(" to %s", address_of(zone, d, d->picked));
    } else if (d->match.result == MESH_ROUTED &&
               d->match.route->action == MESH_ACTION_REDIRECT) {
        printf(" to %s", location_of(zone, q, d));
    }
    if (result.status != 0) {
        printf(", status %u", result.status);
    }
    printf("\n");
}

/* Resources have names for their tables; the only one needs not be told. */
static bool choose_table(ctl_zone_t *zone, ctl_args_t *args) {
    const mesh_rec_policy_t *policy = mesh_get(zone->s, zone->root->policy);
    uint32_t count = 0;

    if (args->nresources == 0 || (args->given & CTL_TAKES_TABLE)) {
        return true;
    }
    const mesh_map_entry_t **names =
        ctl_zone_sorted(zone, policy->route_tables, &count);
    if (count == 1) {
        args->table = ctl_text(zone, mesh_get_str(zone->s, names[0]->name));
    }
    if (count <= 1) {
        return true;
    }
    fputs("meshctl: which route table? --table", stderr);
    for (uint32_t i = 0; i < count; i++) {
        fprintf(stderr, "%s %s", i ? "," : "",
                ctl_text(zone, mesh_get_str(zone->s, names[i]->name)));
    }
    fputc('\n', stderr);
    return false;
}

int ctl_explain_error(const ctl_args_t *args, const char *error,
                      unsigned line) {
    if (line == 0) {
        fprintf(stderr, "meshctl: %s\n", error);
        return CTL_EXIT_USAGE;
    }
    fprintf(stderr, "meshctl: %s:%u: %s\n", args->file, line, error);
    if (args->json) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddStringToObject(json, "result", "not a request");
        cJSON_AddStringToObject(json, "error", error);
        ctl_json_print(json, stdout);
    } else {
        printf("result      not a request: %s\n", error);
    }
    return CTL_EXIT_USAGE;
}

int ctl_explain_one(ctl_zone_t *zone, const ctl_args_t *args, unsigned line) {
    ctl_args_t asked = *args;
    ctl_question_t q;
    ctl_decision_t d;
    const char *error = "";

    if (!ctl_question_make(&q, zone->arena, args, &error)) {
        return ctl_explain_error(args, error, line);
    }
    if (!choose_table(zone, &asked)) {
        return CTL_EXIT_USAGE;
    }
    const ctl_listening_t *listening = ctl_listeners_match(zone, &asked);
    ctl_decide(zone, &q, &asked, &d);
    if (args->json) {
        print_json(zone, &q, &d, listening);
    } else {
        print_text(zone, &q, &d, listening);
    }
    return is_positive(&d) ? CTL_EXIT_OK : CTL_EXIT_NO;
}

int ctl_explain(const ctl_args_t *args) {
    ctl_zone_t zone;

    if (args->argc != (args->file ? 0 : 2)) {
        fprintf(stderr, "usage: meshctl explain METHOD URL, or explain -f "
                        "FILE|-; see meshctl --help\n");
        return CTL_EXIT_USAGE;
    }
    if (args->view != NULL && args->file != NULL &&
        strcmp(args->view, "-") == 0 && strcmp(args->file, "-") == 0) {
        fputs("meshctl: standard input is either requests or a view\n", stderr);
        return CTL_EXIT_USAGE;
    }
    int code = ctl_zone_of(&zone, args);
    if (code != CTL_EXIT_OK) {
        return code;
    }
    code = ctl_share_override(&zone, args) ? ctl_view_open(&zone, args)
                                           : CTL_EXIT_UNREADABLE;
    if (code == CTL_EXIT_OK) {
        zone.listeners = ctl_listeners_read(&zone);
        code = args->file ? ctl_explain_file(&zone, args)
                          : ctl_explain_one(&zone, args, 0);
    }
    ctl_zone_close(&zone);
    return code;
}
