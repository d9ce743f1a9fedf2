/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What xds_text_*.c write with: protobuf's JSON, in one of its forms where it
 * leaves a choice.
 */

#ifndef XDS_TEXT_OUT_H
#define XDS_TEXT_OUT_H

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "model.h"
#include "rng.h"

typedef struct {
    rng_t *rng;
    bool camel;
} out_t;

/* xds_text_cluster.c; true: the endpoints are in the cluster. */
bool xds_text_cluster(out_t *t, cJSON *map, const model_part_t *part,
                      const model_cluster_t *c);
void xds_text_assignment(out_t *t, cJSON *map, const model_part_t *part,
                         const model_endpoint_set_t *set);

/* xds_text_route.c */
void xds_text_ops(out_t *t, cJSON *map, const model_header_ops_t *req,
                  const model_header_ops_t *resp);
void xds_text_matches(out_t *t, cJSON *route, const model_route_t *r);
void xds_text_action(out_t *t, cJSON *map, const model_route_t *r);

static inline bool one_in(out_t *t, uint32_t n) {
    return rng_one_in(t->rng, n);
}

/* In the spelling of the document. */
static inline void add(out_t *t, cJSON *map, const char *name, cJSON *item) {
    char key[96];
    size_t len = 0;

    if (!t->camel) {
        cJSON_AddItemToObject(map, name, item);
        return;
    }
    for (; *name != '\0'; name++) {
        bool up = *name == '_';

        name += up;
        key[len++] = (char)(up && *name >= 'a' ? *name - 32 : *name);
    }
    key[len] = '\0';
    cJSON_AddItemToObject(map, key, item);
}

static inline cJSON *str_of(mesh_str_t text) {
    char *copy = strndup(text.len ? text.data : "", text.len);
    cJSON *item = cJSON_CreateString(copy);

    free(copy);
    return item;
}

static inline void add_str(out_t *t, cJSON *map, const char *name,
                           mesh_str_t text) {
    add(t, map, name, str_of(text));
}

static inline void add_text(out_t *t, cJSON *map, const char *name,
                            const char *value) {
    add(t, map, name, cJSON_CreateString(value));
}

/* A number, or the text that 64 bits are. */
static inline void add_number(out_t *t, cJSON *map, const char *name,
                              uint64_t value) {
    char text[24];

    if (one_in(t, 3)) {
        snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
        add_text(t, map, name, text);
    } else {
        add(t, map, name, cJSON_CreateNumber((double)value));
    }
}

static inline void add_flag(out_t *t, cJSON *map, const char *name,
                            bool value) {
    if (value || one_in(t, 4)) {
        add(t, map, name, cJSON_CreateBool(value));
    } else if (one_in(t, 5)) {
        add(t, map, name, cJSON_CreateNull());
    }
}

static inline cJSON *ms_of(uint32_t ms) {
    char text[32];

    if (ms % 1000 == 0) {
        snprintf(text, sizeof(text), "%us", ms / 1000);
    } else {
        snprintf(text, sizeof(text), "%u.%03us", ms / 1000, ms % 1000);
    }
    return cJSON_CreateString(text);
}

static inline cJSON *map_in(out_t *t, cJSON *map, const char *name) {
    cJSON *item = cJSON_CreateObject();

    add(t, map, name, item);
    return item;
}

static inline cJSON *list_in(out_t *t, cJSON *map, const char *name) {
    cJSON *item = cJSON_CreateArray();

    add(t, map, name, item);
    return item;
}

static inline cJSON *map_of(cJSON *list) {
    cJSON *item = cJSON_CreateObject();

    cJSON_AddItemToArray(list, item);
    return item;
}

static inline void add_type(cJSON *map, const char *type) {
    char text[192];

    snprintf(text, sizeof(text), "type.googleapis.com/%s", type);
    cJSON_AddStringToObject(map, "@type", text);
}

/* By name or by number. */
static inline void add_enum(out_t *t, cJSON *map, const char *field,
                            const char *name, uint32_t number) {
    if (one_in(t, 2)) {
        add_text(t, map, field, name);
    } else {
        add(t, map, field, cJSON_CreateNumber(number));
    }
}

/* A FractionalPercent. */
static inline void xds_text_percent(out_t *t, cJSON *map,
                                    const model_share_t *share) {
    static const char *const names[] = {"HUNDRED", "TEN_THOUSAND", "MILLION"};
    uint32_t i = share->denominator == 100     ? 0
                 : share->denominator == 10000 ? 1
                                               : 2;

    add_number(t, map, "numerator",
               share->ppm / (MESH_SHARE_ALL / share->denominator));
    if (i != 0 || one_in(t, 2)) {
        add_enum(t, map, "denominator", names[i], i);
    }
}

#endif /* XDS_TEXT_OUT_H */
