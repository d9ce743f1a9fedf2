/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Labels and subsets of clusters as YAML; see model_text.h.
 */

#include <string.h>

#include "model_text_words.h"

cJSON *model_text_labels(text_t *t, const model_labels_t *labels) {
    cJSON *map = cJSON_CreateObject();

    for (uint32_t i = 0; i < labels->count; i++) {
        add_str(map, labels->v[i].name.data, labels->v[i].value);
    }
    shuffle(t, map);
    return map;
}

/* In any order. */
static void add_keys(text_t *t, cJSON *map, const mesh_str_t *keys,
                     uint32_t count) {
    uint32_t first = one_in(t, 2) ? 0 : count - 1;

    if (count == 1 && one_in(t, 2)) {
        add_str(map, "keys", keys[0]);
        return;
    }
    cJSON *list = cJSON_AddArrayToObject(map, "keys");
    for (uint32_t i = 0; i < count; i++) {
        mesh_str_t key = keys[(i + first) % count];
        char *text = strndup(key.data, key.len);

        cJSON_AddItemToArray(list, cJSON_CreateString(text));
        free(text);
    }
}

static void add_fallback(text_t *t, cJSON *map, const char *name,
                         const model_fallback_t *fallback,
                         model_fallback_e unsaid) {
    switch (fallback->kind) {
    case MODEL_FALLBACK_SUBSET:
        add_str(cJSON_AddObjectToObject(map, name), "subset", fallback->subset);
        break;
    case MODEL_FALLBACK_KEYS:
        add_keys(t, cJSON_AddObjectToObject(map, name), fallback->keys,
                 fallback->nkeys);
        break;
    case MODEL_FALLBACK_CLUSTER:
        break;
    default:
        if (!leave_out(t, fallback->kind == unsaid)) {
            cJSON_AddStringToObject(
                map, name,
                fallback->kind == MODEL_FALLBACK_ANY ? "any" : "none");
        }
    }
}

static void add_selectors(text_t *t, cJSON *map, const model_cluster_t *c) {
    if (c->nselectors == 0) {
        return;
    }
    cJSON *list = cJSON_AddArrayToObject(map, "subset_selectors");
    for (uint32_t i = 0; i < c->nselectors; i++) {
        const model_selector_t *selector = &c->selectors[i];
        cJSON *item = cJSON_CreateObject();

        add_keys(t, item, selector->keys, selector->nkeys);
        add_fallback(t, item, "fallback", &selector->fallback,
                     MODEL_FALLBACK_CLUSTER);
        shuffle(t, item);
        cJSON_AddItemToArray(list, item);
    }
}

void model_text_subsets(text_t *t, cJSON *map, const model_cluster_t *c) {
    add_fallback(t, map, "subset_fallback", &c->fallback, MODEL_FALLBACK_NONE);
    add_selectors(t, map, c);
    add_bool(t, map, "subset_required", c->subset_required, false);
    add_bool(t, map, "subset_redundant_labels", c->subset_redundant, false);
    add_bool(t, map, "subset_fallback_any", c->subset_panic_any, false);
    if (!leave_out(t, c->nsubsets == 0)) {
        cJSON *subsets = cJSON_AddObjectToObject(map, "subsets");
        for (uint32_t i = 0; i < c->nsubsets; i++) {
            cJSON_AddItemToObject(subsets, c->subsets[i].name.data,
                                  model_text_labels(t, &c->subsets[i].labels));
        }
        shuffle(t, subsets);
    }
}
