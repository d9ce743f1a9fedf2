/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A route's policies in words; see ctl_policy.h.
 */

#include "ctl_policy.h"

#include <stdio.h>

#include "ctl_match.h"
#include "ctl_share.h"
#include "model_table.h"

static void add_text(const ctl_zone_t *zone, cJSON *json, const char *key,
                     mesh_ref_t ref) {
    if (ref != 0) {
        cJSON_AddStringToObject(json, key,
                                ctl_text(zone, mesh_get_str(zone->s, ref)));
    }
}

static void dump_cors(const ctl_zone_t *zone, cJSON *json,
                      const mesh_rec_cors_t *cors) {
    if (cors == NULL) {
        return;
    }
    cJSON *item = cJSON_AddObjectToObject(json, "cors");

    ctl_origins_dump(zone, item, mesh_get(zone->s, cors->origins));
    add_text(zone, item, "allow_methods", cors->allow_methods);
    add_text(zone, item, "allow_headers", cors->allow_headers);
    add_text(zone, item, "expose_headers", cors->expose_headers);
    add_text(zone, item, "max_age", cors->max_age);
    if (cors->flags & MESH_CORS_CREDENTIALS) {
        cJSON_AddTrueToObject(item, "allow_credentials");
    }
    if (cors->flags & MESH_CORS_PRIVATE_NETWORK) {
        cJSON_AddTrueToObject(item, "allow_private_network_access");
    }
    if (cors->flags & MESH_CORS_ANSWER_ALL) {
        cJSON_AddFalseToObject(item, "forward_not_matching_preflights");
    }
}

static void dump_follow(cJSON *json,
                        const mesh_rec_internal_redirect_t *follow) {
    static const uint16_t known[] = {301, 302, 303, 307, 308};

    if (follow == NULL) {
        return;
    }
    cJSON *item = cJSON_AddObjectToObject(json, "internal_redirects");

    ctl_json_u64(item, "max", follow->max);
    cJSON *codes = cJSON_AddArrayToObject(item, "codes");
    for (size_t i = 0; i < mesh_nelts(known); i++) {
        if (follow->codes & mesh_follow_bit(known[i])) {
            cJSON_AddItemToArray(codes, cJSON_CreateNumber(known[i]));
        }
    }
    if (follow->flags & MESH_FOLLOW_CROSS_SCHEME) {
        cJSON_AddTrueToObject(item, "allow_cross_scheme");
    }
}

/* `q`: of a request, or NULL. */
static void dump_mirrors(const ctl_zone_t *zone, const ctl_question_t *q,
                         cJSON *json, const mesh_rec_mirrors_t *mirrors) {
    if (mirrors == NULL) {
        return;
    }
    cJSON *list = cJSON_AddArrayToObject(json, "mirror");

    for (uint32_t i = 0; i < mirrors->count; i++) {
        const mesh_mirror_t *m = &mirrors->v[i];
        cJSON *item = cJSON_CreateObject();

        add_text(zone, item, "cluster", m->cluster);
        add_text(zone, item, "subset", m->subset);
        const mesh_rec_share_t *share = mesh_get(zone->s, m->share);

        if (m->share_ppm != MESH_SHARE_ALL || share->key != 0) {
            ctl_share_dump(zone, item, m->share_ppm, m->share);
        }
        if (m->flags & MESH_MIRROR_SAME_HOST) {
            cJSON_AddFalseToObject(item, "shadow_host");
        }
        if (q != NULL && q->by_random) {
            cJSON_AddBoolToObject(item, "sent",
                                  mesh_share_has(zone->s, m->share,
                                                 m->share_ppm,
                                                 q->args->random));
        }
        cJSON_AddItemToArray(list, item);
    }
}

/* All but CORS, of which explain tells what comes of it. */
static void dump_others(const ctl_zone_t *zone, const ctl_question_t *q,
                        cJSON *json, const mesh_rec_route_t *route) {
    dump_follow(json, mesh_get(zone->s, route->internal_redirect));
    dump_mirrors(zone, q, json, mesh_get(zone->s, route->mirrors));
    if (route->body_limit != 0) {
        ctl_json_u64(json, "max_request_body", route->body_limit);
    }
}

void ctl_policies_dump(const ctl_zone_t *zone, cJSON *json,
                       const mesh_rec_route_t *route) {
    dump_cors(zone, json, mesh_get(zone->s, route->cors));
    dump_others(zone, NULL, json, route);
}

/* --- explain --------------------------------------------------------------*/

static bool too_large(const ctl_question_t *q, uint32_t limit) {
    for (uint32_t i = 0; i < q->nheaders; i++) {
        uint64_t length;

        if (mesh_str_eq(q->headers[i].name, MESH_STR("content-length"))) {
            return model_parse_u64(q->headers[i].value, &length) &&
                   length > limit;
        }
    }
    return false;
}

bool ctl_policies_admit(const ctl_zone_t *zone, const ctl_question_t *q,
                        ctl_decision_t *d) {
    const mesh_rec_route_t *route = d->match.route;
    const mesh_rec_cors_t *cors = mesh_get(zone->s, route->cors);

    if (cors != NULL) {
        d->cors = mesh_cors_decide(zone->s, cors, &q->request);
    }
    if (d->cors.verdict >= MESH_CORS_PREFLIGHT) {
        return false;
    }
    d->too_large = route->body_limit != 0 && too_large(q, route->body_limit);
    return !d->too_large;
}

uint32_t ctl_policies_answer(const ctl_decision_t *d, const char **why) {
    *why = "";
    if (d->cors.verdict >= MESH_CORS_PREFLIGHT) {
        *why = "preflight answered";
        return 200;
    }
    if (d->too_large) {
        *why = "body too large";
        return 413;
    }
    return 0;
}

static unsigned cors_headers(const ctl_zone_t *zone, const ctl_decision_t *d,
                             mesh_cors_header_t v[MESH_CORS_HEADERS_MAX]) {
    return mesh_cors_headers(zone->s, mesh_get(zone->s, d->match.route->cors),
                             &d->cors, v);
}

void ctl_policies_json(const ctl_zone_t *zone, const ctl_question_t *q,
                       const ctl_decision_t *d, cJSON *json) {
    const mesh_rec_route_t *route = d->match.route;
    mesh_cors_header_t v[MESH_CORS_HEADERS_MAX];
    if (route->cors != 0) {
        cJSON *item = cJSON_AddObjectToObject(json, "cors");
        cJSON_AddBoolToObject(item, "preflight",
                              d->cors.verdict >= MESH_CORS_PREFLIGHT);
        cJSON *headers = cJSON_AddObjectToObject(item, "headers");
        for (unsigned i = 0, n = cors_headers(zone, d, v); i < n; i++) {
            cJSON_AddStringToObject(headers, ctl_text(zone, v[i].name),
                                    ctl_text(zone, v[i].value));
        }
    }
    dump_others(zone, q, json, route);
}

/* One policy as `dump` has it, behind its name. */
static void print_policies(const cJSON *json) {
    for (const cJSON *item = json->child; item != NULL; item = item->next) {
        char *text = cJSON_PrintUnformatted(item);

        printf("%s %s\n", item->string, text);
        cJSON_free(text);
    }
}

void ctl_policies_print(const ctl_zone_t *zone, const ctl_question_t *q,
                        const ctl_decision_t *d) {
    const mesh_rec_route_t *route = d->match.route;
    cJSON *json = cJSON_CreateObject();
    mesh_cors_header_t v[MESH_CORS_HEADERS_MAX];

    if ((route->mirrors | route->internal_redirect | route->body_limit) != 0) {
        printf("\n");
    }
    dump_others(zone, q, json, route);
    print_policies(json);
    cJSON_Delete(json);
    if (route->cors == 0) {
        return;
    }
    printf("\ncors\n");
    for (unsigned i = 0, n = cors_headers(zone, d, v); i < n; i++) {
        printf("  %s: %s\n", ctl_text(zone, v[i].name),
               ctl_text(zone, v[i].value));
    }
    if (d->cors.verdict == MESH_CORS_NONE) {
        printf("  %s\n", d->cors.origin.len
                             ? arena_printf(zone->arena, "origin %s is foreign",
                                            ctl_text(zone, d->cors.origin))
                             : "not of another origin");
    }
}
