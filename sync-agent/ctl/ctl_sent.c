/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The request as the endpoint would see it; see ctl_sent.h.
 */

#include "ctl_sent.h"

#include <arpa/inet.h>
#include <time.h>
#include <unistd.h>

/* A request whose headers change. */
typedef struct {
    const ctl_zone_t *zone;
    const ctl_question_t *q;
    const ctl_decision_t *d;
    mesh_request_t request;
    mesh_request_calls_t calls;
    mesh_facts_t facts;
    uint32_t nheaders;
    ctl_header_t *headers;
    ctl_sent_t *sent;
} sending_t;

const char *ctl_op_name(uint8_t op) {
    static const char *const names[] = {
        [MESH_OP_ADD] = "add",
        [MESH_OP_SET] = "set",
        [MESH_OP_REMOVE] = "remove",
        [MESH_OP_ADD_IF_ABSENT] = "add_if_absent",
        [MESH_OP_OVERWRITE] = "overwrite_if_exists",
    };

    return op < mesh_nelts(names) ? names[op] : "?";
}

mesh_str_t ctl_op_text(const ctl_zone_t *zone, const mesh_header_op_t *op) {
    const mesh_rec_format_t *format = mesh_op_format(zone->s, op);

    return mesh_get_str(zone->s, format ? format->text : op->value);
}

/* --- what is known --------------------------------------------------------*/

static bool find_header(const mesh_request_t *r, mesh_str_t name, uint32_t hash,
                        mesh_header_iter_t *iter, mesh_str_t *value) {
    const sending_t *s = r->ctx;

    (void)hash;
    while (iter->index < s->nheaders) {
        const ctl_header_t *header = &s->headers[iter->index++];

        if (mesh_str_eq(header->name, name)) {
            *value = header->value;
            return true;
        }
    }
    return false;
}

static mesh_str_t source_text(const ctl_question_t *q,
                              char buffer[MESH_FACT_MAX]) {
    int family = q->source_len == 4 ? AF_INET : AF_INET6;

    if (q->source_len == 0 ||
        inet_ntop(family, q->source, buffer, MESH_FACT_MAX) == NULL) {
        return MESH_STR("?");
    }
    return mesh_str_from(buffer);
}

static mesh_str_t fact(const mesh_facts_t *facts, unsigned var,
                       char buffer[MESH_FACT_MAX]) {
    const sending_t *s = facts->ctx;

    switch (var) {
    case MESH_VAR_DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT:
        return source_text(s->q, buffer);
    case MESH_VAR_UPSTREAM_CLUSTER:
        return s->d->cluster;
    case MESH_VAR_ROUTE_NAME:
        return mesh_get_str(s->zone->s, s->d->match.route->name);
    case MESH_VAR_HOSTNAME:
        if (gethostname(buffer, MESH_FACT_MAX) != 0) {
            return MESH_STR("?");
        }
        buffer[MESH_FACT_MAX - 1] = '\0';
        return mesh_str_from(buffer);
    default:
        return MESH_STR("?");
    }
}

/* A snapshot may ask for what is not there yet. */
static bool no_response(const mesh_facts_t *facts, mesh_str_t name,
                        mesh_str_t *value) {
    (void)facts;
    (void)name;
    (void)value;
    return false;
}

/* --- operations -----------------------------------------------------------*/

static bool has_header(const sending_t *s, mesh_str_t name) {
    mesh_header_iter_t iter = {NULL, 0};
    mesh_str_t value;

    return find_header(&s->request, name, 0, &iter, &value);
}

static void remove_header(sending_t *s, mesh_str_t name) {
    uint32_t kept = 0;

    for (uint32_t i = 0; i < s->nheaders; i++) {
        if (!mesh_str_eq(s->headers[i].name, name)) {
            s->headers[kept++] = s->headers[i];
        }
    }
    s->nheaders = kept;
}

static mesh_str_t value_of(const sending_t *s, const mesh_header_op_t *op) {
    const mesh_rec_format_t *format = mesh_op_format(s->zone->s, op);

    if (format == NULL) {
        return mesh_get_str(s->zone->s, op->value);
    }
    size_t len = mesh_substitute_write(s->zone->s, format, &s->facts, NULL, 0);
    char *text = arena_alloc(s->zone->arena, len + 1);

    (void)mesh_substitute_write(s->zone->s, format, &s->facts, text, len);
    return (mesh_str_t){len, text};
}

/* What an operation finds before any other of its level has acted. */
static void look(sending_t *s, const mesh_header_op_t *op,
                 ctl_sent_op_t *done) {
    bool exists = has_header(s, arena_lower(s->zone->arena, done->name));

    if (op->op == MESH_OP_REMOVE) {
        done->why = exists ? NULL : "it is not there";
        return;
    }
    done->value = value_of(s, op);
    if (!mesh_op_acts(op, exists)) {
        done->why = exists ? "it is there" : "it is not there";
    } else if (done->value.len == 0 && mesh_op_format(s->zone->s, op) &&
               !(op->flags & MESH_OP_KEEP_EMPTY)) {
        done->why = "the value is empty";
    }
}

static void act(sending_t *s, const mesh_header_op_t *op,
                const ctl_sent_op_t *done) {
    mesh_str_t name = arena_lower(s->zone->arena, done->name);

    if (done->why != NULL) {
        return;
    }
    if (op->op == MESH_OP_REMOVE || mesh_op_replaces(op)) {
        remove_header(s, name);
    }
    if (op->op != MESH_OP_REMOVE) {
        s->headers[s->nheaders++] = (ctl_header_t){name, done->value};
    }
}

/* As a worker does; see mesh_op_acts(). */
static void apply(sending_t *s, const mesh_rec_header_ops_t *ops) {
    ctl_sent_op_t *done = s->sent->ops + s->sent->nops;

    for (uint32_t i = 0; i < ops->count; i++) {
        const mesh_header_op_t *op = &ops->v[i];

        done[i] = (ctl_sent_op_t){.op = ctl_op_name(op->op),
                                  .name = mesh_get_str(s->zone->s, op->name)};
        look(s, op, &done[i]);
        if (op->op == MESH_OP_REMOVE) {
            act(s, op, &done[i]);
        }
    }
    for (int replaces = 1; replaces >= 0; replaces--) {
        for (uint32_t i = 0; i < ops->count; i++) {
            if (ops->v[i].op != MESH_OP_REMOVE &&
                mesh_op_replaces(&ops->v[i]) == replaces) {
                act(s, &ops->v[i], &done[i]);
            }
        }
    }
    s->sent->nops += ops->count;
}

/* --- the host -------------------------------------------------------------*/

static mesh_str_t endpoint_host(const sending_t *s) {
    const ctl_decision_t *d = s->d;

    if (d->picked == MESH_PICK_NONE) {
        return MESH_STR("");
    }
    const mesh_endpoint_t *e = d->view->endpoints[d->picked].endpoint;

    return e->family == MESH_FAMILY_UNIX ? MESH_STR("")
                                         : mesh_get_str(s->zone->s, e->host);
}

/* A weighted cluster's own, behind its own operations. */
static void set_split_host(sending_t *s) {
    mesh_str_t host = mesh_get_str(s->zone->s, s->d->entry->host_rewrite);

    if (host.len != 0) {
        s->request.authority = host;
    }
}

static void set_host(sending_t *s) {
    const mesh_rec_route_t *route = s->d->match.route;
    const mesh_rec_rewrite_t *rewrite = mesh_get(s->zone->s, route->rewrite);
    mesh_str_t host = mesh_get_str(s->zone->s, route->host_rewrite);
    ctl_sent_t *sent = s->sent;

    if (rewrite != NULL && rewrite->host == MESH_HOST_ENDPOINT) {
        host = endpoint_host(s);
    } else if (rewrite != NULL && rewrite->host != MESH_HOST_KEEP) {
        char *made = arena_alloc(s->zone->arena, MESH_DOMAIN_MAX);

        if (!mesh_route_host(s->zone->s, rewrite, &s->request, made, &host)) {
            host = MESH_STR("");
        }
    }
    sent->host = host.len ? host : s->request.authority;
    sent->host_changed = !mesh_str_eq(sent->host, s->q->request.authority);
    if (rewrite != NULL && (rewrite->flags & MESH_REWRITE_FORWARD_HOST) &&
        !mesh_str_eq(sent->host, s->request.authority) &&
        s->request.authority.len != 0) {
        sent->ops[sent->nops++] =
            (ctl_sent_op_t){.op = "append",
                            .name = MESH_STR("x-forwarded-host"),
                            .value = s->request.authority};
    }
}

static void set_path(sending_t *s) {
    const mesh_rec_route_t *route = s->d->match.route;
    size_t len = mesh_route_rewrite(s->zone->s, route, &s->facts, NULL, 0);
    char *path = arena_alloc(s->zone->arena, len + 1);

    (void)mesh_route_rewrite(s->zone->s, route, &s->facts, path, len);
    s->sent->path = (mesh_str_t){len, path};
}

void ctl_sent(const ctl_zone_t *zone, const ctl_question_t *q,
              const ctl_decision_t *d, ctl_sent_t *sent) {
    const mesh_rec_header_ops_t *ops[3];
    unsigned n =
        mesh_route_header_ops(zone->s, &d->match, d->entry, false, ops);
    sending_t s = {.zone = zone, .q = q, .d = d, .sent = sent};
    uint32_t room = 1;

    for (unsigned i = 0; i < n; i++) {
        room += ops[i]->count;
    }
    *sent = (ctl_sent_t){
        .ops = arena_alloc(zone->arena, room * sizeof(*sent->ops))};
    s.headers =
        arena_alloc(zone->arena, (q->nheaders + room) * sizeof(*s.headers));
    s.nheaders = q->nheaders;
    for (uint32_t i = 0; i < q->nheaders; i++) {
        s.headers[i] = q->headers[i];
    }
    s.calls = *q->request.calls;
    s.calls.header = find_header;
    s.request = q->request;
    s.request.calls = &s.calls;
    s.request.ctx = &s;
    s.facts = (mesh_facts_t){.request = &s.request,
                             .start_ms = (uint64_t)time(NULL) * 1000,
                             .fact = fact,
                             .response = no_response,
                             .ctx = &s};
    for (unsigned i = 0; i < n; i++) {
        if (i > 0 || d->entry->request_ops == 0) {
            set_split_host(&s);
        }
        apply(&s, ops[i]);
    }
    set_split_host(&s);
    set_host(&s);
    set_path(&s);
}
