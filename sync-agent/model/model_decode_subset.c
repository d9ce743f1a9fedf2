/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Subsets of clusters: named ones, selectors that make them of labels, what
 * is used instead of one that has no endpoint; and names of them in routes.
 */

#include "mesh_subset.h"
#include "model_subset.h"

#include <stdio.h>
#include <stdlib.h>

/* --- named ones ---------------------------------------------------------- */

const model_field_t model_subset_element = {
    .type = MODEL_CUSTOM,
    .offset = offsetof(model_subset_t, labels),
    .max = MODEL_LABELS_MAX,
    .decode = model_decode_labels,
    .expected = "a map of text to text",
    .keys = "",
    .element = &model_label_element,
};

bool model_subset_key(model_decoder_t *d, const model_node_t *node, void *out) {
    model_subset_t *subset = out;

    subset->name = node->key;

    if (mesh_subset_by_labels(node->key)) {
        return model_wrong_name(d, node, node->key, true,
                                "a name without \"=\", which is for "
                                "subset_selectors");
    }

    return model_check_name(d, node, node->key, true);
}

static int subset_cmp(const void *a, const void *b) {
    const model_subset_t *x = a;
    const model_subset_t *y = b;

    return mesh_str_cmp(x->name, y->name);
}

/* --- names in routes ------------------------------------------------------ */

bool model_decode_subset(model_decoder_t *d, const model_node_t *node,
                         mesh_str_t text, mesh_str_t *subset) {
    char name[MESH_SUBSET_NAME_MAX];

    *subset = text;

    if (!mesh_subset_by_labels(text)) {
        return model_check_name(d, node, text, false);
    }

    size_t len = mesh_subset_canonical(text, name);

    if (len == 0) {
        return model_wrong_name(d, node, text, false,
                                "labels of a subset as key=value,key=value, "
                                "each key once, with %20 for a space, in at "
                                "most 1024 bytes");
    }

    *subset = arena_str(d->arena, (mesh_str_t){len, name});
    return true;
}

bool model_subset_of(model_decoder_t *d, const model_node_t *node,
                     const model_labels_t *labels, mesh_str_t *subset) {
    char name[MESH_SUBSET_NAME_MAX];
    size_t len = 0;

    for (uint32_t i = 0; i < labels->count; i++) {
        len = mesh_subset_put(name, len, labels->v[i].name, labels->v[i].value);
    }

    if (len > MESH_SUBSET_NAME_MAX) {
        return model_wrong_found(d, node, "labels of more than 1024 bytes",
                                 "fewer, or shorter ones");
    }

    *subset = arena_str(d->arena, (mesh_str_t){len, name});
    return true;
}

/* --- instead -------------------------------------------------------------- */

static const model_field_t key_element = {
    .type = MODEL_STRING,
    .min = 1,
    .max = MODEL_LABEL_MAX,
};

static const model_field_t fallback_fields[] = {
    {.name = "subset",
     .type = MODEL_STRING,
     .flags = MODEL_REQUIRED,
     .offset = offsetof(model_fallback_t, subset),
     .min = 1,
     .max = MESH_NAME_MAX,
     .about = "the subset of this cluster that is used instead"},
};

static const model_field_t selector_fallback_fields[] = {
    {.name = "subset",
     .type = MODEL_STRING,
     .offset = offsetof(model_fallback_t, subset),
     .min = 1,
     .max = MESH_NAME_MAX,
     .about = "the subset of this cluster that is used instead"},
    {.name = "keys",
     .type = MODEL_LIST,
     .flags = MODEL_FILLED | MODEL_SINGLE,
     .offset = offsetof(model_fallback_t, keys),
     .count = offsetof(model_fallback_t, nkeys),
     .size = sizeof(mesh_str_t),
     .max = MESH_SELECTOR_KEYS_MAX,
     .element = &key_element,
     .about = "some of the selector's keys: the subset of these labels only"},
};

static const model_rule_t selector_fallback_rules[] = {
    {MODEL_RULE_ONE, "subset keys", NULL, NULL},
    {MODEL_RULE_ONE, NULL, NULL, NULL},
};

static bool finish_fallback(model_decoder_t *d, const model_node_t *node,
                            uint64_t seen, void *out) {
    model_fallback_t *fallback = out;

    if (seen != 1 && seen != 2) {
        return model_wrong_found(d, node,
                                 seen == 0 ? "no fallback" : "both of them",
                                 "one of subset, keys");
    }

    fallback->kind = seen == 1 ? MODEL_FALLBACK_SUBSET : MODEL_FALLBACK_KEYS;
    return true;
}

const model_object_t model_fallback_object = {
    .name = "a fallback",
    MODEL_FIELDS(fallback_fields),
    .finish = finish_fallback,
};

static const model_object_t selector_fallback_object = {
    .name = "a selector's fallback",
    MODEL_FIELDS(selector_fallback_fields),
    .finish = finish_fallback,
    .rules = selector_fallback_rules,
};

const model_value_t model_fallback_words[] = {
    {"none", MODEL_FALLBACK_NONE},
    {"any", MODEL_FALLBACK_ANY},
    {NULL, 0},
};

bool model_decode_fallback(model_decoder_t *d, const model_node_t *node,
                           const model_field_t *field, void *out) {
    model_fallback_t *fallback = out;

    if (node->kind == MODEL_NODE_MAP) {
        return model_decode_object(d, node, field->object, out);
    }

    for (const model_value_t *v = field->values; v->name != NULL; v++) {
        if (model_is_text(node) &&
            mesh_str_eq(node->text, mesh_str_from(v->name))) {
            fallback->kind = (model_fallback_e)v->value;
            return true;
        }
    }

    return model_wrong(d, node, field->expected);
}

/* --- selectors ------------------------------------------------------------ */

/* `found` has a %s, for the key. */
static bool wrong_key(model_decoder_t *d, const model_node_t *node,
                      const char *found, mesh_str_t key, const char *expected) {
    char quoted[96];

    model_quote(key, quoted, sizeof(quoted));
    return model_wrong_found(d, node, arena_printf(d->arena, found, quoted),
                             expected);
}

static int key_cmp(const void *a, const void *b) {
    return mesh_str_cmp(*(const mesh_str_t *)a, *(const mesh_str_t *)b);
}

/* Sorts; false: one is there twice, which is told. */
static bool sort_keys(model_decoder_t *d, const model_node_t *node,
                      mesh_str_t *keys, uint32_t count) {
    if (count > 1) {
        qsort(keys, count, sizeof(*keys), key_cmp);
    }

    for (uint32_t i = 1; i < count; i++) {
        if (mesh_str_eq(keys[i - 1], keys[i])) {
            return wrong_key(d, node, "key %s twice", keys[i], "each key once");
        }
    }

    return true;
}

/* Some of the selector's keys, not all; both are sorted. */
static bool check_fallback_keys(model_decoder_t *d, const model_node_t *node,
                                const model_selector_t *selector) {
    const model_fallback_t *some = &selector->fallback;
    uint32_t k = 0;

    for (uint32_t i = 0; i < some->nkeys; i++) {
        while (k < selector->nkeys &&
               mesh_str_cmp(selector->keys[k], some->keys[i]) < 0) {
            k++;
        }

        if (k == selector->nkeys ||
            !mesh_str_eq(selector->keys[k], some->keys[i])) {
            return wrong_key(d, node, "a fallback to key %s", some->keys[i],
                             "keys of the selector");
        }
    }

    if (some->nkeys == 0 || some->nkeys == selector->nkeys) {
        return model_wrong_found(d, node,
                                 some->nkeys == 0
                                     ? "a fallback to no keys"
                                     : "a fallback to all of the keys",
                                 "some of the selector's keys, not all");
    }

    return true;
}

bool model_check_selector(model_decoder_t *d, const model_node_t *node,
                          model_selector_t *selector) {
    model_fallback_t *fallback = &selector->fallback;

    if (selector->nkeys > MESH_SELECTOR_KEYS_MAX) {
        return model_wrong_found(d, node, "more than 16 keys", "at most 16");
    }

    return sort_keys(d, node, selector->keys, selector->nkeys) &&
           (fallback->kind != MODEL_FALLBACK_KEYS ||
            (sort_keys(d, node, fallback->keys, fallback->nkeys) &&
             check_fallback_keys(d, node, selector)));
}

static bool finish_selector(model_decoder_t *d, const model_node_t *node,
                            uint64_t seen, void *out) {
    model_selector_t *selector = out;

    if (!(seen & 2)) {
        selector->fallback.kind = MODEL_FALLBACK_CLUSTER;
    }

    return model_check_selector(d, node, selector);
}

static const model_field_t selector_fields[] = {
    {.name = "keys",
     .type = MODEL_LIST,
     .flags = MODEL_REQUIRED | MODEL_FILLED | MODEL_SINGLE,
     .offset = offsetof(model_selector_t, keys),
     .count = offsetof(model_selector_t, nkeys),
     .size = sizeof(mesh_str_t),
     .max = MESH_SELECTOR_KEYS_MAX,
     .element = &key_element,
     .about = "labels: endpoints with the same values of these are a subset"},
    {.name = "fallback",
     .type = MODEL_CUSTOM,
     .offset = offsetof(model_selector_t, fallback),
     .object = &selector_fallback_object,
     .values = model_fallback_words,
     .decode = model_decode_fallback,
     .expected = "none, any, {subset: NAME} or {keys: [KEY]}",
     .about = "what is used where no endpoint has the labels; as "
              "subset_fallback says unless said"},
};

static const model_object_t selector_object = {
    .name = "a subset selector",
    MODEL_FIELDS(selector_fields),
    .finish = finish_selector,
};

const model_field_t model_selector_element = {
    .type = MODEL_OBJECT,
    .object = &selector_object,
};

/* --- of the whole cluster ------------------------------------------------- */

static bool has_subset(const model_cluster_t *cluster,
                       const model_fallback_t *fallback) {
    bool found = fallback->kind != MODEL_FALLBACK_SUBSET;

    for (uint32_t i = 0; !found && i < cluster->nsubsets; i++) {
        found = mesh_str_eq(cluster->subsets[i].name, fallback->subset);
    }

    return found;
}

static bool same_keys(const model_selector_t *a, const model_selector_t *b) {
    bool same = a->nkeys == b->nkeys;

    for (uint32_t i = 0; same && i < a->nkeys; i++) {
        same = mesh_str_eq(a->keys[i], b->keys[i]);
    }

    return same;
}

bool model_selector_is_new(const model_cluster_t *cluster,
                           const model_selector_t *selector) {
    bool is_new = true;

    for (const model_selector_t *s = cluster->selectors; is_new && s < selector;
         s++) {
        is_new = !same_keys(s, selector);
    }

    return is_new;
}

/* `node` says fallback: {subset: NAME}. */
static bool wrong_fallback(model_decoder_t *d, const model_node_t *node,
                           const char *field) {
    const model_node_t *fallback = model_node_child(node, field);

    model_push_field(d, field);
    model_push_field(d, "subset");
    model_wrong(d, model_node_child(fallback, "subset"),
                "a subset of this cluster");
    model_pop(d);
    model_pop(d);
    return false;
}

/* Against the others, and the cluster's subsets. */
static bool check_selectors(model_decoder_t *d, const model_node_t *list,
                            const model_cluster_t *cluster) {
    bool alone = list->kind != MODEL_NODE_LIST; /* in no brackets */
    const model_node_t *n = alone ? list : list->first;
    bool ok = true;

    if (cluster->nselectors > MESH_SELECTORS_MAX) {
        return model_wrong_found(d, list, "more than 64 selectors",
                                 "at most 64");
    }

    for (uint32_t i = 0; i < cluster->nselectors; i++, n = n->next) {
        const model_selector_t *selector = &cluster->selectors[i];

        if (!alone) {
            model_push_index(d, i);
        }
        if (!model_selector_is_new(cluster, selector)) {
            ok = model_wrong_found(d, n,
                                   "a selector of the same keys as another one",
                                   "each set of keys once");
        } else if (!has_subset(cluster, &selector->fallback)) {
            ok = wrong_fallback(d, n, "fallback");
        }
        if (!alone) {
            model_pop(d);
        }
    }

    return ok;
}

bool model_finish_subsets(model_decoder_t *d, const model_node_t *node,
                          model_cluster_t *cluster) {
    const model_node_t *list = model_node_child(node, "subset_selectors");
    bool ok = true;

    if (cluster->nsubsets > 1) {
        qsort(cluster->subsets, cluster->nsubsets, sizeof(*cluster->subsets),
              subset_cmp);
    }

    if (cluster->nselectors != 0) {
        model_push_field(d, "subset_selectors");
        ok = check_selectors(d, list, cluster);
        model_pop(d);
    }

    return (has_subset(cluster, &cluster->fallback) ||
            wrong_fallback(d, node, "subset_fallback")) &&
           ok;
}
