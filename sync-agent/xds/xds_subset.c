/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Load balancer subsets: Envoy's LbSubsetConfig beside lb_policy and the
 * newer balancer of the same fields, and what routes say to them
 * (metadata_match).  Labels of endpoints are their metadata of envoy.lb.
 */

#include "model_subset.h"
#include "xds_cluster.h"

/* --- metadata ------------------------------------------------------------- */

/* Values of `envoy.lb`; numbers and flags count as their text. */
static bool decode_labels(xds_decoder_t *x, const model_node_t *node,
                          const xds_field_t *field, void *out) {
    model_node_t map = *node;
    model_node_t **last = &map.first;

    (void)field;
    map.first = NULL;

    if (!xds_is(x, node, MODEL_NODE_MAP)) {
        return false;
    }

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        model_node_t *copy = arena_alloc(x->d.arena, sizeof(*copy));

        *copy = *n;
        copy->plain = false;
        copy->next = NULL;
        *last = copy;
        last = &copy->next;
    }

    return model_decode_labels(&x->d, &map, NULL, out);
}

/* What subsets are made of; the rest is for metrics and TLS. */
static bool decode_filter_metadata(xds_decoder_t *x, const model_node_t *node,
                                   const xds_field_t *field, void *out) {
    bool ok = xds_is(x, node, MODEL_NODE_MAP);

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        if (!mesh_str_eq(n->key, MESH_STR("envoy.lb"))) {
            ok &= xds_later(x, n, XDS_LATER_SEEN, field,
                            "metadata other than envoy.lb");
            continue;
        }

        model_push_key(&x->d, n->key);
        ok &= decode_labels(x, n, field, out);
        model_pop(&x->d);
    }

    return ok;
}

static const xds_field_t metadata_fields[] = {
    {.name = "filter_metadata",
     .type = XDS_CUSTOM,
     .decode = decode_filter_metadata},
    {.name = "typed_filter_metadata", .type = XDS_LATER_SEEN},
};

const xds_message_t xds_metadata = {
    .name = "envoy.config.core.v3.Metadata",
    XDS_FIELDS(metadata_fields),
};

/* Both are in order; a weighted cluster's own labels outdo the route's. */
static model_labels_t join_labels(arena_t *arena, const model_labels_t *route,
                                  const model_labels_t *own) {
    model_labels_t joined = {
        .v = arena_alloc(arena,
                         (route->count + own->count + 1) * sizeof(*joined.v))};
    uint32_t i = 0;
    uint32_t k = 0;

    while (i < route->count || k < own->count) {
        int order = i == route->count ? 1
                    : k == own->count
                        ? -1
                        : mesh_str_cmp(route->v[i].name, own->v[k].name);

        joined.v[joined.count++] = order < 0 ? route->v[i] : own->v[k];
        i += order <= 0;
        k += order >= 0;
    }

    return joined;
}

bool xds_set_criteria(xds_decoder_t *x, const model_node_t *node,
                      const model_labels_t *route, const model_labels_t *own,
                      model_split_t *split) {
    model_labels_t labels = join_labels(x->d.arena, route, own);

    split->criteria = labels.count != 0;
    return model_subset_of(&x->d, node, &labels, &split->subset);
}

/* --- selectors ------------------------------------------------------------ */

#define SELECTOR(member) offsetof(model_selector_t, member)

static const xds_value_t selector_policies[] = {
    {"NOT_DEFINED", 0, MODEL_FALLBACK_CLUSTER},
    {"NO_FALLBACK", 1, MODEL_FALLBACK_NONE},
    {"ANY_ENDPOINT", 2, MODEL_FALLBACK_ANY},
    {"DEFAULT_SUBSET", 3, MODEL_FALLBACK_SUBSET},
    {"KEYS_SUBSET", 4, MODEL_FALLBACK_KEYS},
    {NULL, 0, 0},
};

static const xds_field_t key_element = {
    .type = XDS_STRING, .min = 1, .max = MODEL_LABEL_MAX};

static const xds_field_t selector_fields[] = {
    {.name = "keys",
     .type = XDS_LIST,
     .offset = SELECTOR(keys),
     .count = SELECTOR(nkeys),
     .size = sizeof(mesh_str_t),
     .element = &key_element},
    {.name = "single_host_per_subset",
     .type = XDS_IGNORED,
     .because = "labels that one endpoint has make a subset of one"},
    {.name = "fallback_policy",
     .type = XDS_ENUM,
     .offset = SELECTOR(fallback.kind),
     .values = selector_policies},
    {.name = "fallback_keys_subset",
     .type = XDS_LIST,
     .offset = SELECTOR(fallback.keys),
     .count = SELECTOR(fallback.nkeys),
     .size = sizeof(mesh_str_t),
     .element = &key_element},
};

static const xds_message_t selector_message = {
    .name = "envoy.config.cluster.v3.Cluster.LbSubsetConfig.LbSubsetSelector",
    XDS_FIELDS(selector_fields),
};

/* Keys are sets to Envoy; of too many, those are refused that stay. */
static void unique_keys(mesh_str_t *keys, uint32_t *count) {
    uint32_t n = 0;

    for (uint32_t i = 0; i < *count; i++) {
        uint32_t k = 0;

        while (k < n && !mesh_str_eq(keys[k], keys[i])) {
            k++;
        }

        keys[k] = keys[i];
        n += k == n;

        if (n > MESH_SELECTOR_KEYS_MAX) {
            break;
        }
    }

    *count = n;
}

static bool decode_selector(xds_decoder_t *x, const model_node_t *node,
                            model_selector_t *selector) {
    *selector =
        (model_selector_t){.fallback = {.kind = MODEL_FALLBACK_CLUSTER}};

    if (!xds_decode_message(x, node, &selector_message, selector)) {
        return false;
    }

    if (selector->nkeys == 0) {
        return model_wrong_found(&x->d, node, "a selector without keys",
                                 "one key at least");
    }

    if (selector->fallback.nkeys != 0 &&
        selector->fallback.kind != MODEL_FALLBACK_KEYS) {
        return model_wrong_found(&x->d, node, "fallback_keys_subset",
                                 "it beside fallback_policy: KEYS_SUBSET only");
    }

    unique_keys(selector->keys, &selector->nkeys);
    unique_keys(selector->fallback.keys, &selector->fallback.nkeys);
    return model_check_selector(&x->d, node, selector);
}

/* Of two with the same keys the first counts. */
static bool decode_selectors(xds_decoder_t *x, const model_node_t *node,
                             const xds_field_t *field, void *out) {
    model_cluster_t *cluster = &((xds_cluster_t *)out)->cluster;
    uint32_t index = 0;
    bool ok = true;

    (void)field;

    if (!xds_is(x, node, MODEL_NODE_LIST)) {
        return false;
    }

    if (node->count > MESH_SELECTORS_MAX) {
        return model_wrong_found(&x->d, node, "more than 64 selectors",
                                 "at most 64");
    }

    cluster->selectors =
        arena_alloc(x->d.arena, (node->count + 1) * sizeof(model_selector_t));

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        model_selector_t *selector = &cluster->selectors[cluster->nselectors];

        model_push_index(&x->d, index++);
        ok &= decode_selector(x, n, selector);
        model_pop(&x->d);
        cluster->nselectors += ok && model_selector_is_new(cluster, selector);
    }

    return ok;
}

/* --- the configuration ---------------------------------------------------- */

#define FORM(member) offsetof(xds_cluster_t, member)

static const xds_value_t policies[] = {
    {"NO_FALLBACK", 0, MODEL_FALLBACK_NONE},
    {"ANY_ENDPOINT", 1, MODEL_FALLBACK_ANY},
    {"DEFAULT_SUBSET", 2, MODEL_FALLBACK_SUBSET},
    {NULL, 0, 0},
};

static const xds_value_t metadata_policies[] = {
    {"METADATA_NO_FALLBACK", 0, 0},
    {"FALLBACK_LIST", 1, XDS_VALUE_LATER},
    {NULL, 0, 0},
};

/* A flag that is not built: false is what is the case. */
static bool decode_not_set(xds_decoder_t *x, const model_node_t *node,
                           const xds_field_t *field, void *out) {
    static const xds_field_t flag = {.type = XDS_BOOL};
    bool set = false;

    (void)out;
    return xds_decode_field(x, node, &flag, &set) &&
           (!set || xds_later(x, node, XDS_LATER, field, XDS_THIS_FIELD));
}

#define SUBSET_FIELDS                                                          \
    {.name = "fallback_policy",                                                \
     .type = XDS_ENUM,                                                         \
     .offset = FORM(cluster.fallback.kind),                                    \
     .values = policies},                                                      \
        {.name = "default_subset",                                             \
         .type = XDS_CUSTOM,                                                   \
         .offset = FORM(subset.fallback),                                      \
         .decode = decode_labels},                                             \
        {.name = "subset_selectors",                                           \
         .type = XDS_CUSTOM,                                                   \
         .message = &selector_message,                                         \
         .decode = decode_selectors},                                          \
        {.name = "locality_weight_aware",                                      \
         .type = XDS_BOOL,                                                     \
         .offset = FORM(subset.locality_aware)},                               \
        {.name = "scale_locality_weight",                                      \
         .type = XDS_CUSTOM,                                                   \
         .decode = decode_not_set},                                            \
        {.name = "panic_mode_any",                                             \
         .type = XDS_BOOL,                                                     \
         .offset = FORM(cluster.subset_panic_any)},                            \
        {.name = "list_as_any", .type = XDS_CUSTOM, .decode = decode_not_set}, \
    {                                                                          \
        .name = "metadata_fallback_policy", .type = XDS_ENUM,                  \
        .offset = FORM(subset.unused), .values = metadata_policies             \
    }

/* Is the default subset what the cluster or a selector falls back to? */
static bool uses_default(const model_cluster_t *cluster) {
    bool used = cluster->fallback.kind == MODEL_FALLBACK_SUBSET;

    for (uint32_t i = 0; i < cluster->nselectors && !used; i++) {
        used = cluster->selectors[i].fallback.kind == MODEL_FALLBACK_SUBSET;
    }

    return used;
}

/* Labels that are none are had by all. */
static void take_default(model_fallback_t *fallback, bool any) {
    if (fallback->kind == MODEL_FALLBACK_SUBSET) {
        fallback->kind = any ? MODEL_FALLBACK_ANY : MODEL_FALLBACK_SUBSET;
        fallback->subset = any ? MESH_STR_NULL : MESH_STR("default_subset");
    }
}

/* A named subset, as labels do not lead there unless a selector has them. */
static void set_default(arena_t *arena, const model_labels_t *labels,
                        model_cluster_t *cluster) {
    if (!uses_default(cluster)) {
        return;
    }

    take_default(&cluster->fallback, labels->count == 0);

    for (uint32_t i = 0; i < cluster->nselectors; i++) {
        take_default(&cluster->selectors[i].fallback, labels->count == 0);
    }

    if (labels->count != 0) {
        cluster->nsubsets = 1;
        cluster->subsets = arena_alloc(arena, sizeof(*cluster->subsets));
        *cluster->subsets =
            (model_subset_t){MESH_STR("default_subset"), *labels};
    }
}

/* Without selectors Envoy has no subsets at all. */
static bool finish_subsets(xds_decoder_t *x, const model_node_t *node,
                           uint64_t seen, void *out) {
    xds_cluster_t *form = out;
    model_cluster_t *cluster = &form->cluster;

    (void)x;
    (void)node;
    (void)seen;

    if (cluster->nselectors == 0) {
        cluster->fallback.kind = MODEL_FALLBACK_NONE;
        cluster->subset_redundant = false;
        cluster->subset_panic_any = false;
        return true;
    }

    cluster->subset_required = true;
    set_default(x->d.arena, &form->subset.fallback, cluster);
    return true;
}

static const xds_field_t old_fields[] = {
    SUBSET_FIELDS,
};

const xds_message_t xds_lb_subset_config = {
    .name = "envoy.config.cluster.v3.Cluster.LbSubsetConfig",
    XDS_FIELDS(old_fields),
    .finish = finish_subsets,
};

/* --- the balancer --------------------------------------------------------- */

static bool decode_inner_policy(xds_decoder_t *x, const model_node_t *node,
                                const xds_field_t *field, void *out) {
    xds_cluster_t *cluster = out;

    if (cluster->subset.inside) {
        return model_wrong_found(&x->d, node, "subsets of subsets",
                                 "another balancer");
    }

    cluster->subset.inside = true;
    return xds_decode_message(x, node, field->message, out);
}

static const xds_field_t new_fields[] = {
    SUBSET_FIELDS,
    {.name = "allow_redundant_keys",
     .type = XDS_BOOL,
     .offset = FORM(cluster.subset_redundant)},
    {.name = "subset_lb_policy",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED,
     .message = &xds_load_balancing_policy,
     .decode = decode_inner_policy},
};

const xds_message_t xds_subset_lb = {
    .name = "envoy.extensions.load_balancing_policies.subset.v3.Subset",
    XDS_FIELDS(new_fields),
    .finish = finish_subsets,
};
