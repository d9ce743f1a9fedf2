/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Any snapshot that passes the checks, as meshctl explain, clusters and dump
 * look at it: virtual hosts, routes, splits, views, balancers of whatever
 * records there are.  The first bytes choose what is asked; a head is put
 * before the rest.
 */

#include <stdlib.h>

#include "ctl_dump.h"
#include "ctl_explain.h"
#include "ctl_sent.h"
#include "snapshot_touch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHOICES 4

static void *memory(void *ctx, size_t size) {
    return arena_alloc(ctx, size);
}

static void tell_routes(ctl_zone_t *zone, const ctl_question_t *q,
                        const ctl_decision_t *d) {
    const mesh_rec_refs_t *routes =
        d->match.vhost ? mesh_get(zone->s, d->match.vhost->routes) : NULL;

    for (uint32_t i = 0; routes && i < routes->count && i < 64; i++) {
        const mesh_rec_route_t *route = mesh_get(zone->s, routes->v[i]);
        mesh_route_test_t test = mesh_route_test(zone->s, route, &q->request);

        touch_must(ctl_route_failed(zone, route, &test, q) != NULL);
        cJSON_Delete(ctl_dump_route(zone, route));
    }
}

static void tell_sent(const ctl_zone_t *zone, const ctl_question_t *q,
                      const ctl_decision_t *d) {
    ctl_sent_t sent;
    char location[64];

    if (d->match.result != MESH_ROUTED) {
        return;
    }
    if (d->match.route->redirect != 0) {
        (void)mesh_route_location(zone->s, d->match.route, &q->request,
                                  location, sizeof(location));
    }
    if (d->entry != NULL) {
        ctl_sent(zone, q, d, &sent);
        touch_must(sent.path.data != NULL);
    }
}

static void tell_endpoints(const ctl_zone_t *zone,
                           const mesh_cluster_view_t *view) {
    char text[160], address[320];

    for (uint32_t i = 0; i < view->total && i < 256; i++) {
        const mesh_view_endpoint_t *e = &view->endpoints[i];

        ctl_endpoint_state(zone, e->out, e->slot, text, sizeof(text));
        (void)mesh_endpoint_text(zone->s, e->endpoint, address,
                                 sizeof(address));
    }
}

static void explain(ctl_zone_t *zone, const uint8_t *choices) {
    static char *const urls[] = {
        "http://a/", "b.c/p/q?x=1",           "/",
        "*",         "http://a.b.c/%2f/../x", "https://s.t:81/a"};
    static char *const methods[] = {"GET", "POST", "BREW"};
    static char *const headers[] = {"a: b", "cookie: a=b; c=d", "x: 5"};
    char *argv[] = {methods[choices[0] % mesh_nelts(methods)],
                    urls[choices[1] % mesh_nelts(urls)]};
    ctl_args_t args = {.argc = 2,
                       .argv = argv,
                       .table = "default",
                       .given = CTL_TAKES_TICKET,
                       .route_ticket = choices[2],
                       .cluster_ticket = choices[3],
                       .source = choices[3] & 1 ? "10.0.0.1" : NULL};
    const char *error = NULL;
    ctl_question_t q;
    ctl_decision_t d;

    for (size_t i = 0; i < mesh_nelts(headers); i++) {
        if (choices[0] >> (4 + i) & 1) {
            args.headers[args.nheaders++] = headers[i];
        }
    }
    if (choices[2] & 0x80) {
        args.given = CTL_TAKES_RANDOM;
        args.random = (uint64_t)choices[2] << choices[3] % 64;
    }
    if (!ctl_question_make(&q, zone->arena, &args, &error)) {
        touch_must(error != NULL);
        return;
    }
    ctl_decide(zone, &q, &args, &d);
    tell_routes(zone, &q, &d);
    tell_sent(zone, &q, &d);
    if (d.view != NULL) {
        tell_endpoints(zone, d.view);
        touch_must(d.picked == MESH_PICK_NONE || d.picked < d.view->total);
    }
}

static void look(const mesh_snapshot_t *s, const mesh_rec_root_t *root,
                 const uint8_t *choices) {
    ctl_zone_t zone = {
        .dir = "", .s = s, .root = root, .current = root, .now_ms = 1000};

    zone.arena = arena_new();
    zone.memory = (mesh_arena_t){memory, zone.arena};
    explain(&zone, choices);
    cJSON_Delete(ctl_dump_json(&zone, true, true));
    arena_free(zone.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const mesh_file_head_t head = {.magic = MESH_FORMAT_MAGIC,
                                   .version = MESH_FORMAT_VERSION,
                                   .head_size = sizeof(head),
                                   .file_number = 1,
                                   .capacity = MESH_FILE_CAPACITY_MIN};
    mesh_snapshot_t s;

    if (size < CHOICES) {
        return 0;
    }
    const size_t len = sizeof(head) + (size - CHOICES);
    uint8_t *bytes = malloc(len); /* exactly: a byte more is caught */
    uint64_t *starts = calloc(1, mesh_snapshot_starts_size(len) + 1);
    touch_must(bytes != NULL && starts != NULL);
    memcpy(bytes, &head, sizeof(head));
    memcpy(bytes + sizeof(head), data + CHOICES, size - CHOICES);
    touch_must(mesh_snapshot_init(&s, bytes, len, len, starts) == MESH_OK);
    (void)mesh_snapshot_verify(&s, len & ~UINT64_C(7), 0);
    /* At most a few: each is looked at in full. */
    unsigned roots = 0;
    for (uint64_t ref = s.verified / 8; ref-- > 0 && roots < 3;) {
        const mesh_rec_root_t *root = mesh_snapshot_root(&s, (mesh_ref_t)ref);
        if (root != NULL) {
            look(&s, root, data);
            roots++;
        }
    }
    free(starts);
    free(bytes);
    return 0;
}
