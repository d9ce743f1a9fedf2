/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the files that write models share: values in one of the ways in which
 * they may be written.
 */

#ifndef MODEL_TEXT_WORDS_H
#define MODEL_TEXT_WORDS_H

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "model.h"
#include "rng.h"

typedef struct {
    rng_t *rng;
} text_t;

/* model_text_subset.c */
cJSON *model_text_labels(text_t *t, const model_labels_t *labels);
void model_text_subsets(text_t *t, cJSON *map, const model_cluster_t *c);

static inline bool one_in(text_t *t, uint32_t n) {
    return rng_one_in(t->rng, n);
}

static inline void shuffle(text_t *t, cJSON *list) {
    cJSON *shuffled =
        list->type & cJSON_Array ? cJSON_CreateArray() : cJSON_CreateObject();

    while (cJSON_GetArraySize(list) > 0) {
        int i = (int)rng_below(t->rng, (uint32_t)cJSON_GetArraySize(list));
        cJSON *item = cJSON_DetachItemFromArray(list, i);

        if (list->type & cJSON_Array) {
            cJSON_AddItemToArray(shuffled, item);
        } else {
            char *key = strdup(item->string);
            cJSON_AddItemToObject(shuffled, key, item);
            free(key);
        }
    }
    list->child = shuffled->child;
    shuffled->child = NULL;
    cJSON_Delete(shuffled);
}

static inline cJSON *str_of(mesh_str_t text) {
    char *copy = strndup(text.len ? text.data : "", text.len);
    cJSON *item = cJSON_CreateString(copy);

    free(copy);
    return item;
}

static inline void add_str(cJSON *map, const char *name, mesh_str_t text) {
    cJSON_AddItemToObject(map, name, str_of(text));
}

/* A value that is the default may be left out. */
static inline bool leave_out(text_t *t, bool is_default) {
    return is_default && !one_in(t, 3);
}

static inline void add_number(text_t *t, cJSON *map, const char *name,
                              uint32_t value, uint32_t fallback) {
    if (!leave_out(t, value == fallback)) {
        cJSON_AddNumberToObject(map, name, value);
    }
}

static inline void add_bool(text_t *t, cJSON *map, const char *name, bool value,
                            bool fallback) {
    if (!leave_out(t, value == fallback)) {
        cJSON_AddBoolToObject(map, name, value);
    }
}

/* In one of the units that fit. */
static inline void add_ms(text_t *t, cJSON *map, const char *name, uint32_t ms,
                          uint32_t fallback) {
    char text[32];

    if (leave_out(t, ms == fallback)) {
        return;
    }
    snprintf(text, sizeof(text), "%ums", ms);
    if (ms == 0 && one_in(t, 2)) {
        snprintf(text, sizeof(text), "0");
    } else if (ms % 3600000 == 0 && one_in(t, 2)) {
        snprintf(text, sizeof(text), "%uh", ms / 3600000);
    } else if (ms % 60000 == 0 && one_in(t, 2)) {
        snprintf(text, sizeof(text), "%um", ms / 60000);
    } else if (one_in(t, 2)) {
        snprintf(text, sizeof(text), "%u.%03us", ms / 1000, ms % 1000);
    }
    cJSON_AddStringToObject(map, name, text);
}

static inline void add_percent(text_t *t, cJSON *map, const char *name,
                               uint32_t value, uint32_t fallback) {
    char text[16];

    if (one_in(t, 2)) {
        add_number(t, map, name, value, fallback);
    } else if (!leave_out(t, value == fallback)) {
        snprintf(text, sizeof(text), "%u%%", value);
        cJSON_AddStringToObject(map, name, text);
    }
}

/* A list of one may stand without its brackets. */
static inline void add_list(text_t *t, cJSON *map, const char *name,
                            cJSON *list) {
    if (cJSON_GetArraySize(list) == 1 && one_in(t, 2)) {
        cJSON_AddItemToObject(map, name, cJSON_DetachItemFromArray(list, 0));
        cJSON_Delete(list);
    } else {
        cJSON_AddItemToObject(map, name, list);
    }
}

/* As many decimals as make its denominator, with a "%" or without. */
static inline cJSON *share_of(text_t *t, const model_share_t *share) {
    uint32_t whole = share->ppm / 10000, rest = share->ppm % 10000;
    bool raw = one_in(t, 2);
    const char *sign = raw ? "" : "%";
    char text[32];

    if (share->denominator == 100) {
        snprintf(text, sizeof(text), "%u%s", whole, sign);
    } else if (share->denominator == 10000) {
        snprintf(text, sizeof(text), "%u.%02u%s", whole, rest / 100, sign);
    } else {
        snprintf(text, sizeof(text), "%u.%04u%s", whole, rest, sign);
    }
    return raw ? cJSON_CreateRaw(text) : cJSON_CreateString(text);
}

static inline void add_share(text_t *t, cJSON *map, const model_share_t *share,
                             bool is_default) {
    if (leave_out(t, is_default)) {
        return;
    }
    cJSON *value = share_of(t, share);

    if (share->key.len != 0 || one_in(t, 4)) {
        cJSON *item = cJSON_AddObjectToObject(map, "percentage");

        cJSON_AddItemToObject(item, "value", value);
        if (share->key.len != 0) {
            add_str(item, "runtime_key", share->key);
        }
        shuffle(t, item);
    } else {
        cJSON_AddItemToObject(map, "percentage", value);
    }
}

/* model_text_policy.c: a route's policies. */
void model_text_policies(text_t *t, cJSON *map, const model_route_t *r);

#endif /* MODEL_TEXT_WORDS_H */
