/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A worker's decision repeated; see ctl_explain.h.
 */

#include <stdio.h>

#include "ctl_explain.h"
#include "ctl_match.h"
#include "ctl_policy.h"
#include "ctl_share.h"
#include "ctl_view.h"
#include "mesh_regex.h"
#include "model_table.h"

static bool find_header(const mesh_request_t *r, mesh_str_t name, uint32_t hash,
                        mesh_header_iter_t *iter, mesh_str_t *value) {
    const ctl_question_t *q = r->ctx;

    (void)hash;
    while (iter->index < q->nheaders) {
        const ctl_header_t *header = &q->headers[iter->index++];

        if (mesh_str_eq(header->name, name)) {
            *value = header->value;
            return true;
        }
    }
    return false;
}

static bool source_address(const mesh_request_t *r, mesh_str_t *address) {
    const ctl_question_t *q = r->ctx;

    *address = (mesh_str_t){q->source_len, (const char *)q->source};
    return q->source_len != 0;
}

static bool server_name(const mesh_request_t *r, mesh_str_t *name) {
    const ctl_question_t *q = r->ctx;

    *name = q->sni;
    return q->sni.len != 0;
}

static bool local_port(const mesh_request_t *r, mesh_str_t *port) {
    const ctl_question_t *q = r->ctx;

    if (q->args->port == NULL) {
        return false;
    }
    *port = mesh_str_from(q->args->port);
    return true;
}

/* The asked one, or what the next request would draw. */
static uint64_t share_ticket(const mesh_request_t *r,
                             const mesh_rec_route_t *route) {
    ctl_question_t *q = r->ctx;
    const mesh_route_slot_t *slot = ctl_route_slot(q->zone, route);

    q->share_drawn = true;
    if (q->args->given & CTL_TAKES_TICKET) {
        q->share_ticket = q->args->share_ticket;
    } else {
        q->share_ticket = slot ? mesh_load_relaxed(&slot->share_ticket) : 0;
    }
    return q->share_ticket;
}

/* As the worker does, but kept for no other. */
static bool match_regex(const mesh_request_t *r, const mesh_digest_t *digest,
                        mesh_str_t pattern, mesh_str_t text) {
    pcre2_jit_stack *stack = mesh_regex_stack();
    bool matches = false;
    mesh_regex_t re;
    int error;
    size_t at;

    (void)r;
    (void)digest;
    if (mesh_regex_compile(&re, pattern, stack, &error, &at)) {
        matches = mesh_regex_match(&re, text) == MESH_REGEX_YES;
        mesh_regex_free(&re);
    }
    pcre2_jit_stack_free(stack);
    return matches;
}

/* Kept until another one is asked for, as it is looked for many times. */
static mesh_found_e search_regex(const mesh_request_t *r,
                                 const mesh_digest_t *digest,
                                 mesh_str_t pattern, mesh_str_t text,
                                 mesh_found_t *found) {
    static pcre2_jit_stack *stack;
    static mesh_digest_t kept;
    static mesh_regex_t re;
    int error;
    size_t at;

    (void)r;
    if (re.code == NULL || memcmp(&kept, digest, sizeof(kept)) != 0) {
        mesh_regex_free(&re);
        stack = stack ? stack : mesh_regex_stack();
        kept = *digest;
        if (!mesh_regex_make(&re, pattern, true, stack, &error, &at)) {
            return MESH_FOUND_NO;
        }
    }
    return mesh_regex_search(&re, text, found);
}

static uint64_t random_value(const mesh_request_t *r) {
    const ctl_question_t *q = r->ctx;

    return q->args->random;
}

static const mesh_request_calls_t calls = {.header = find_header,
                                           .address = source_address,
                                           .sni = server_name,
                                           .port = local_port,
                                           .ticket = share_ticket,
                                           .regex = match_regex,
                                           .search = search_regex};

static bool add_header(ctl_question_t *q, const char *text) {
    const char *colon = strchr(text, ':');
    mesh_str_t name =
        mesh_header_trim((mesh_str_t){(size_t)(colon - text), text});

    if (name.len == 0) {
        return false;
    }
    q->headers[q->nheaders++] =
        (ctl_header_t){arena_lower(q->arena, name),
                       mesh_header_trim(mesh_str_from(colon + 1))};
    return true;
}

static bool set_source(ctl_question_t *q, const char *text) {
    uint8_t family;

    if (!model_parse_ip(mesh_str_from(text), &family, q->source)) {
        return false;
    }
    q->source_len = family == MESH_FAMILY_IPV4 ? 4 : 16;
    return true;
}

/* A URL as people write it: "shop.local/x" is meant as an http one. */
static mesh_str_t target_of(ctl_question_t *q, const char *url) {
    const char *scheme = strstr(url, "://");

    q->request.scheme = MESH_STR("http");
    if (url[0] == '/' || strcmp(url, "*") == 0) {
        return mesh_str_from(url);
    }
    if (scheme == NULL) {
        return mesh_str_from(arena_printf(q->arena, "http://%s", url));
    }
    q->request.scheme =
        arena_lower(q->arena, (mesh_str_t){(size_t)(scheme - url), url});
    return mesh_str_from(url);
}

/* Clients of https ask for the URL's host, unless that is an address. */
static void set_sni(ctl_question_t *q, const ctl_args_t *args) {
    mesh_str_t host = mesh_authority_host(q->request.authority);
    uint8_t family, address[16];

    if (args->sni != NULL) {
        q->sni = arena_lower(q->arena, mesh_str_from(args->sni));
    } else if (mesh_str_eq(q->request.scheme, MESH_STR("https")) &&
               host.len != 0 && host.data[0] != '[' &&
               !model_parse_ip(host, &family, address)) {
        q->sni = arena_lower(q->arena, host);
    }
}

bool ctl_question_make(ctl_question_t *q, arena_t *arena,
                       const ctl_args_t *args, const char **error) {
    *q = (ctl_question_t){.arena = arena, .args = args};
    mesh_request_t *r = &q->request;
    mesh_str_t authority = MESH_STR("");

    r->method = mesh_str_from(args->argv[0]);
    r->method_bit = mesh_method_bit(r->method);
    q->by_random = (args->given & CTL_TAKES_RANDOM) != 0;
    if (q->by_random && (args->given & CTL_TAKES_TICKET)) {
        *error = "a ticket and a random value: one of them decides";
        return false;
    }
    q->calls = calls;
    q->calls.random = q->by_random ? random_value : NULL;
    r->calls = &q->calls;
    r->ctx = q;
    for (uint32_t i = 0; i < args->nheaders; i++) {
        if (!add_header(q, args->headers[i])) {
            *error = "a header is \"name: value\"";
            return false;
        }
    }
    if (args->source != NULL && !set_source(q, args->source)) {
        *error = "the source is no IP address";
        return false;
    }
    mesh_str_t target = target_of(q, args->argv[1]);
    if (mesh_request_target(target, &r->path, &r->query, &r->has_query,
                            &authority) != MESH_OK) {
        *error = "the URL is not one";
        return false;
    }
    if (r->path.len == 0) {
        r->path = MESH_STR("/");
    }
    mesh_str_t host;
    mesh_header_iter_t iter = {NULL, 0};
    bool has_host = find_header(r, MESH_STR("host"), 0, &iter, &host);
    r->authority = authority;
    if (authority.len == 0 && has_host) {
        r->authority = host;
    } else if (authority.len != 0 && !has_host) {
        q->headers[q->nheaders++] = (ctl_header_t){MESH_STR("host"), authority};
    }
    set_sni(q, args);
    return true;
}

/* Path and query in one piece, as mesh_request_whole_path() needs it. */
static void set_path(ctl_question_t *q, mesh_str_t path) {
    mesh_request_t *r = &q->request;
    char *text = arena_alloc(q->arena, path.len + r->query.len + 1);

    memcpy(text, path.data, path.len);
    text[path.len] = '?';
    if (r->query.len) {
        memcpy(text + path.len + 1, r->query.data, r->query.len);
    }
    r->path = (mesh_str_t){path.len, text};
    if (r->has_query) {
        r->query.data = text + path.len + 1;
    }
}

static void normalize(ctl_question_t *q, ctl_decision_t *d) {
    mesh_str_t out = MESH_STR("");
    char *buffer = arena_alloc(q->arena, q->request.path.len + 1);

    d->path_verdict = mesh_path_normalize(d->match.table->flags,
                                          q->request.path, buffer, &out);
    if (d->path_verdict == MESH_PATH_REDIRECT) {
        d->path_answer = out;
    } else if (d->path_verdict != MESH_PATH_REJECT) {
        set_path(q, out);
    }
}

/* The request's hash, once for the split and the balancer. */
static void decide_hash(const ctl_zone_t *zone, const ctl_question_t *q,
                        const ctl_args_t *args, ctl_decision_t *d) {
    if (d->hashed) {
        return;
    }
    d->hashed = true;
    mesh_hash_policies(zone->s,
                       mesh_get(zone->s, d->match.route->hash_policies),
                       &q->request, 0, &d->hash);
    if (args->given & CTL_TAKES_HASH) {
        d->hash = (mesh_hash_result_t){.known = true, .hash = args->hash};
    }
}

/* By what the request has; false: nothing. */
static bool decide_split_by(const ctl_zone_t *zone, const ctl_question_t *q,
                            const ctl_args_t *args, ctl_decision_t *d) {
    const mesh_rec_route_t *route = d->match.route;
    const mesh_rec_split_t *split = mesh_get(zone->s, route->split);

    if (route->split_header != 0 &&
        mesh_split_number(&q->request,
                          mesh_get_str(zone->s, route->split_header),
                          &d->split_number)) {
        d->split_by = MODEL_SPLIT_BY_HEADER;
        d->entry = mesh_split_random(split, d->split_number);
    } else if (route->flags & MESH_ROUTE_SPLIT_HASH) {
        decide_hash(zone, q, args, d);
        if (d->hash.known) {
            d->split_by = MODEL_SPLIT_BY_HASH;
            d->entry = mesh_split_hash(split, d->hash.hash);
        }
    }
    return d->entry != NULL;
}

static void decide_split(ctl_zone_t *zone, const ctl_question_t *q,
                         const ctl_args_t *args, ctl_decision_t *d) {
    const mesh_rec_route_t *route = d->match.route;
    const mesh_rec_split_t *split = mesh_get(zone->s, route->split);

    d->split_drawn = split->count > 1;
    if (d->split_drawn && decide_split_by(zone, q, args, d)) {
        return;
    }
    if (args->given & CTL_TAKES_TICKET) {
        d->route_ticket = args->route_ticket;
    } else if (split->count > 1) {
        const mesh_route_slot_t *slot = ctl_route_slot(zone, route);
        d->route_ticket = slot ? mesh_load_relaxed(&slot->ticket) : 0;
    }
    d->entry = q->by_random
                   ? mesh_split_random(split, args->random)
                   : mesh_split_pick(split, d->route_ticket, route->name_hash);
}

/* The tables that the balancer looks into. */
static void decide_tables(ctl_zone_t *zone, ctl_decision_t *d) {
    mesh_lb_key_t key;
    mesh_lb_sizes_t sizes;

    for (uint32_t i = 0; i < d->subset->ngroups; i++) {
        mesh_view_group_t *group = &d->subset->groups[i];

        if (group->points && mesh_lb_table_key(zone->s, d->view, group, &key)) {
            mesh_lb_table_sizes(zone->s, d->view, group, &sizes);
            group->table =
                mesh_lb_table_build(zone->s, d->view, group, &key,
                                    arena_alloc(zone->arena, sizes.table),
                                    arena_alloc(zone->arena, sizes.work));
        }
    }
}

static void decide_session(ctl_zone_t *zone, const ctl_question_t *q,
                           ctl_decision_t *d) {
    const mesh_rec_session_t *session =
        mesh_get(zone->s, d->match.route->session);

    if (session == NULL) {
        return;
    }
    d->session.strict = (session->flags & MESH_SESSION_STRICT) != 0;
    d->session.value = mesh_session_value(zone->s, session, &q->request);
}

static void decide_endpoint(ctl_zone_t *zone, const ctl_question_t *q,
                            const ctl_args_t *args, ctl_decision_t *d) {
    d->view = ctl_zone_view(zone, d->cluster);
    if (d->view == NULL) {
        const mesh_rec_policy_t *policy = mesh_get(zone->s, zone->root->policy);
        d->untold = zone->compiled != NULL && policy->clusters == 0;
        return;
    }
    ctl_view_asked(zone, d->view);
    d->subset =
        mesh_view_subset(d->view, mesh_get_str(zone->s, d->entry->subset),
                         d->entry->subset_hash);
    if (d->subset == NULL || d->subset->count == 0) {
        return;
    }
    if (args->given & CTL_TAKES_TICKET) {
        d->cluster_ticket = args->cluster_ticket;
    } else if (d->view->runtime != NULL) {
        d->cluster_ticket = mesh_load_relaxed(
            mesh_view_ticket(d->view->runtime, d->view, d->subset));
    }
    d->hashes = mesh_lb_hashes(d->view->cluster->lb);
    if (d->hashes) {
        decide_hash(zone, q, args, d);
        decide_tables(zone, d);
    }
    mesh_pick_t pick = {.ticket = d->cluster_ticket,
                        .view = d->view,
                        .subset = d->subset,
                        .rt = ctl_zone_runtime(zone),
                        .hashed = d->hashes && d->hash.known,
                        .hash = d->hash.hash,
                        .now_ms = zone->now_ms};
    decide_session(zone, q, d);
    d->picked = mesh_lb_session_pick(&pick, zone->s, &d->session);
    d->group = d->picked != MESH_PICK_NONE ? pick.group : NULL;
    d->session_bound = d->picked == MESH_PICK_NONE && d->session.strict &&
                       mesh_lb_session_says(&d->session);
    if (d->picked != MESH_PICK_NONE && d->session.value.len != 0) {
        char text[256], value[MESH_SESSION_VALUE_MAX];
        mesh_endpoint_text(zone->s, d->view->endpoints[d->picked].endpoint,
                           text, sizeof(text));
        size_t len = mesh_lb_session_value(mesh_str_from(text), value);
        d->by_session = mesh_str_eq(d->session.value, (mesh_str_t){len, value});
    }
}

void ctl_decide(ctl_zone_t *zone, ctl_question_t *q, const ctl_args_t *args,
                ctl_decision_t *d) {
    *d = (ctl_decision_t){.picked = MESH_PICK_NONE};
    d->match.table =
        mesh_route_table(zone->s, zone->root, mesh_str_from(args->table));
    if (d->match.table == NULL) {
        d->match.result = MESH_NO_TABLE;
        return;
    }
    normalize(q, d);
    if (d->path_verdict == MESH_PATH_REJECT ||
        d->path_verdict == MESH_PATH_REDIRECT) {
        d->match.result = MESH_NO_ROUTE;
        return;
    }
    q->zone = zone;
    q->args = args;
    mesh_route_match(zone->s, d->match.table, &q->request, &d->match);
    q->request.point = d->match.point; /* for mesh_route_test() */
    if (d->match.result != MESH_ROUTED ||
        d->match.route->action != MESH_ACTION_ROUTE) {
        return;
    }
    if (ctl_policies_admit(zone, q, d)) {
        decide_split(zone, q, args, d);
        d->cluster = mesh_split_cluster(zone->s, d->entry, &q->request,
                                        &d->cluster_hash);
        decide_endpoint(zone, q, args, d);
    }
}

static const char *path_failed(const ctl_zone_t *zone,
                               const mesh_rec_route_t *route) {
    static const char *const words[] = {
        [MESH_PATH_PREFIX] = "under",
        [MESH_PATH_EXACT] = "exactly",
        [MESH_PATH_SEPARATED] = "a segment under",
        [MESH_PATH_REGEX] = "a match of",
        [MESH_PATH_TEMPLATE] = "a match of",
    };

    return arena_printf(
        zone->arena, "path is not %s %s%s", words[route->path_match],
        ctl_text(zone, mesh_get_str(zone->s, route->path)),
        route->flags & MESH_ROUTE_IGNORE_CASE ? " in any case" : "");
}

static const char *share_text(const ctl_zone_t *zone,
                              const mesh_rec_route_t *route,
                              const ctl_question_t *q, bool holds) {
    const mesh_rec_share_t *share = mesh_get(zone->s, route->share);
    const char *words = ctl_share_words(zone, route->share_ppm, route->share);
    const char *verdict = holds ? "matches: " : "";
    const char *is = holds ? "is" : "is not";

    if (q->by_random) {
        return arena_printf(zone->arena, "%srandom value %u of %u %s in %s",
                            verdict,
                            (unsigned)(q->args->random % share->denominator),
                            share->denominator, is, words);
    }
    return arena_printf(zone->arena, "%spoint %g %% %s below %s", verdict,
                        q->request.point / (MESH_SHARE_ALL / 100.0), is, words);
}

const char *ctl_route_failed(const ctl_zone_t *zone,
                             const mesh_rec_route_t *route,
                             const mesh_route_test_t *test,
                             const ctl_question_t *q) {
    switch (test->failed) {
    case MESH_PREDICATE_NONE:
        return (route->flags & MESH_ROUTE_SHARE)
                   ? share_text(zone, route, q, true)
                   : "matches";
    case MESH_PREDICATE_PATH:
        return path_failed(zone, route);
    case MESH_PREDICATE_METHOD:
        return arena_printf(zone->arena, "method is %s",
                            ctl_text(zone, q->request.method));
    case MESH_PREDICATE_MATCH:
        return ctl_match_failed(zone, test->match, &q->request);
    case MESH_PREDICATE_GRPC:
        return "content-type is not gRPC's";
    case MESH_PREDICATE_ADDRESS:
        return q->source_len ? "source is in none of the ranges"
                             : "source is not told (--source)";
    case MESH_PREDICATE_SHARE:
        return share_text(zone, route, q, false);
    }
    return "does not match";
}
