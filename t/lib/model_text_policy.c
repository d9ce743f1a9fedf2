/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Writing a route's policies; see model_text.h.
 */

#include "model_text_words.h"

static void add_size(text_t *t, cJSON *map, uint32_t bytes) {
    static const char units[] = "kmg";
    char text[32];

    if (leave_out(t, bytes == 0)) {
        return;
    }
    for (unsigned i = 3; i > 0; i--) {
        if ((bytes & ((1u << 10 * i) - 1)) == 0 && one_in(t, 2)) {
            snprintf(text, sizeof(text), "%u%c", bytes >> 10 * i,
                     one_in(t, 2) ? units[i - 1] : units[i - 1] - 32);
            cJSON_AddStringToObject(map, "max_request_body", text);
            return;
        }
    }
    cJSON_AddNumberToObject(map, "max_request_body", bytes);
}

static cJSON *origin_json(text_t *t, const model_match_t *origin) {
    static const char *const ops[] = {
        [MESH_MATCH_EXACT] = "exact",       [MESH_MATCH_PREFIX] = "prefix",
        [MESH_MATCH_SUFFIX] = "suffix",     [MESH_MATCH_REGEX] = "regex",
        [MESH_MATCH_CONTAINS] = "contains",
    };
    cJSON *map;

    if (origin->op == MESH_MATCH_EXACT && !origin->ignore_case &&
        one_in(t, 2)) {
        return str_of(origin->value);
    }
    map = cJSON_CreateObject();
    add_str(map, ops[origin->op], origin->value);
    add_bool(t, map, "ignore_case", origin->ignore_case, false);
    shuffle(t, map);
    return map;
}

/* The parts of a joined text as a list, or the text. */
static void add_words(text_t *t, cJSON *map, const char *name,
                      mesh_str_t text) {
    char *copy = strndup(text.len ? text.data : "", text.len);
    cJSON *list = cJSON_CreateArray();

    for (char *at = copy; at != NULL && *at != '\0';) {
        char *end = one_in(t, 2) ? strstr(at, ", ") : NULL;

        if (end != NULL) {
            *end = '\0';
        }
        cJSON_AddItemToArray(list, cJSON_CreateString(at));
        at = end ? end + 2 : NULL;
    }
    free(copy);
    if (text.len == 0) {
        cJSON_Delete(list);
        return;
    }
    add_list(t, map, name, list);
}

static void add_cors(text_t *t, cJSON *map, const model_cors_t *cors) {
    cJSON *item, *list;

    if (!cors->set) {
        return;
    }
    item = cJSON_AddObjectToObject(map, "cors");
    list = cJSON_CreateArray();
    for (uint32_t i = 0; i < cors->origins.count; i++) {
        cJSON_AddItemToArray(list, origin_json(t, &cors->origins.v[i]));
    }
    if (cors->origins.count) {
        add_list(t, item, "allow_origin", list);
    } else {
        cJSON_Delete(list);
    }
    add_words(t, item, "allow_methods", cors->methods);
    add_words(t, item, "allow_headers", cors->headers);
    add_words(t, item, "expose_headers", cors->expose);
    if (cors->max_age.len) {
        char age[32];

        snprintf(age, sizeof(age), "%.*ss", (int)cors->max_age.len,
                 cors->max_age.data);
        cJSON_AddStringToObject(item, "max_age", age);
    }
    add_bool(t, item, "allow_credentials", cors->credentials, false);
    add_bool(t, item, "allow_private_network_access", cors->private_network,
             false);
    add_bool(t, item, "forward_not_matching_preflights", cors->forward_foreign,
             true);
    shuffle(t, item);
}

static void add_follow(text_t *t, cJSON *map,
                       const model_internal_redirects_t *follow) {
    static const uint16_t known[] = {301, 302, 303, 307, 308};
    cJSON *item, *list;

    if (!follow->set) {
        return;
    }
    item = cJSON_AddObjectToObject(map, "internal_redirects");
    add_number(t, item, "max", follow->max, 1);
    add_bool(t, item, "allow_cross_scheme", follow->cross_scheme, false);
    list = cJSON_CreateArray();
    for (size_t i = 0; i < mesh_nelts(known); i++) {
        if (follow->codes & mesh_follow_bit(known[i])) {
            cJSON_AddItemToArray(list, cJSON_CreateNumber(known[i]));
        }
    }
    if (leave_out(t, follow->codes == MESH_FOLLOW_302)) {
        cJSON_Delete(list);
    } else {
        shuffle(t, list);
        add_list(t, item, "codes", list);
    }
    shuffle(t, item);
}

static cJSON *mirror_json(text_t *t, const model_mirror_t *m) {
    cJSON *map = cJSON_CreateObject();
    char target[160];

    snprintf(target, sizeof(target), "%.*s%s%.*s", (int)m->cluster.len,
             m->cluster.data, m->subset.len ? "/" : "", (int)m->subset.len,
             m->subset.len ? m->subset.data : "");
    cJSON_AddStringToObject(map, "cluster", target);
    add_share(t, map, &m->share,
              m->share.ppm == MESH_SHARE_ALL && m->share.denominator == 100 &&
                  m->share.key.len == 0);
    add_bool(t, map, "shadow_host", m->shadow_host, true);
    if (cJSON_GetArraySize(map) == 1 && one_in(t, 2)) {
        cJSON_Delete(map);
        return cJSON_CreateString(target);
    }
    shuffle(t, map);
    return map;
}

void model_text_policies(text_t *t, cJSON *map, const model_route_t *r) {
    cJSON *list = cJSON_CreateArray();

    add_size(t, map, r->body_limit);
    add_cors(t, map, &r->cors);
    add_follow(t, map, &r->follow);
    for (uint32_t i = 0; i < r->mirrors.count; i++) {
        cJSON_AddItemToArray(list, mirror_json(t, &r->mirrors.v[i]));
    }
    if (r->mirrors.count) {
        add_list(t, map, "mirror", list);
    } else {
        cJSON_Delete(list);
    }
}
