/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Envoy's runtime: of all its values those that can be percentages.  A
 * number is of a hundred, and a map with a numerator or a denominator is a
 * fraction; any other map is a piece of a longer key.  What is neither leaves
 * the default in force, as in Envoy, whatever an earlier layer has said.
 */

#include <math.h>
#include <stdlib.h>

#include "xds_resources.h"

typedef struct {
    xds_decoder_t *x;
    xds_t *xds;
} walk_t;

static void add(const walk_t *w, const model_node_t *node, mesh_str_t key,
                model_share_t share) {
    xds_t *xds = w->xds;

    if (!model_is_runtime_key(key)) {
        return; /* which no share can ask for */
    }

    xds->values = xds_grow(w->x->d.arena, xds->values, xds->nvalues,
                           sizeof(*xds->values));
    xds->values[xds->nvalues++] =
        (model_runtime_t){model_place(&w->x->d, node), key, share};
}

/*
 * Envoy takes numbers and texts alike, as floating-point numbers of which
 * decimals are cut off: 10, "10", 10.9, "1e1", "0xa".  More than 100 is all.
 */
static bool parse_number(mesh_str_t text, model_share_t *share) {
    char *end;

    if (text.len == 0 ||
        strspn(text.data, "0123456789abcdefABCDEFxXpP+-. \t") != text.len) {
        return false;
    }

    double value = strtod(text.data, &end);

    if (end == text.data || end[strspn(end, " \t")] != '\0' ||
        !(value >= 0 && value <= (double)UINT64_MAX)) {
        return false;
    }

    *share = (model_share_t){.set = true,
                             .ppm = (uint32_t)fmin(value, 100) *
                                    (MESH_SHARE_ALL / 100),
                             .denominator = 100};
    return true;
}

static bool walk(const walk_t *w, const model_node_t *node, mesh_str_t key);

static bool walk_map(const walk_t *w, const model_node_t *node,
                     mesh_str_t key) {
    model_share_t share = {.set = false};
    bool ok = true;

    if (node->count == 0 || model_node_child(node, "numerator") != NULL ||
        model_node_child(node, "denominator") != NULL) {
        ok = xds_decode_percent(w->x, node, NULL, &share);

        if (ok) {
            add(w, node, key, share);
        }

        return ok;
    }

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        mesh_str_t longer = n->key;

        if (key.len + n->key.len >= MESH_RUNTIME_KEY_MAX) {
            continue; /* too long for a key, however it goes on */
        }

        if (key.len != 0) {
            longer = mesh_str_from(arena_printf(w->x->d.arena, "%.*s.%.*s",
                                                (int)key.len, key.data,
                                                (int)n->key.len, n->key.data));
        }

        model_push_key(&w->x->d, n->key);
        ok &= walk(w, n, longer);
        model_pop(&w->x->d);
    }

    return ok;
}

static bool walk(const walk_t *w, const model_node_t *node, mesh_str_t key) {
    model_share_t share;

    switch (node->kind) {
    case MODEL_NODE_MAP:
        return walk_map(w, node, key);

    case MODEL_NODE_SCALAR:
        if (!parse_number(node->text, &share)) {
            share = (model_share_t){.set = false};
        }
        add(w, node, key, share);
        return true;

    default:
        return model_wrong(&w->x->d, node,
                           "a number, a text, a fraction or a map of them");
    }
}

/* A google.protobuf.Struct; its own keys may be "numerator", too. */
static bool decode_layer(xds_decoder_t *x, const model_node_t *node,
                         const xds_field_t *field, void *out) {
    walk_t w = {x, out};
    bool ok = true;

    (void)field;

    if (!xds_is(x, node, MODEL_NODE_MAP)) {
        return false;
    }

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        model_push_key(&x->d, n->key);
        ok &= walk(&w, n, n->key);
        model_pop(&x->d);
    }

    return ok;
}

static const xds_field_t runtime_fields[] = {
    {.name = "name",
     .type = XDS_IGNORED,
     .because = "values count wherever they come from, the last one of a key"},
    {.name = "layer", .type = XDS_CUSTOM, .decode = decode_layer},
};

const xds_message_t xds_runtime = {
    .name = "envoy.service.runtime.v3.Runtime",
    XDS_FIELDS(runtime_fields),
};

#define LAYER_ONE "more than one kind of layer"

static const xds_field_t layer_fields[] = {
    {.name = "name",
     .type = XDS_IGNORED,
     .because = "layers are told apart by their order"},
    {.name = "static_layer",
     .type = XDS_CUSTOM,
     .oneof = LAYER_ONE,
     .decode = decode_layer},
    {.name = "disk_layer", .type = XDS_LATER_SEEN, .oneof = LAYER_ONE},
    {.name = "admin_layer",
     .type = XDS_IGNORED,
     .oneof = LAYER_ONE,
     .because = "there is nothing in it until somebody asks the proxy"},
    {.name = "rtds_layer",
     .type = XDS_IGNORED,
     .oneof = LAYER_ONE,
     .because = "its Runtime resource is taken where it stands"},
};

static const xds_message_t runtime_layer = {
    .name = "envoy.config.bootstrap.v3.RuntimeLayer",
    XDS_FIELDS(layer_fields),
};

static const xds_field_t layer_element = {
    .type = XDS_MESSAGE,
    .message = &runtime_layer,
};

static const xds_field_t layered_fields[] = {
    {.name = "layers", .type = XDS_LIST, .element = &layer_element},
};

const xds_message_t xds_layered_runtime = {
    .name = "envoy.config.bootstrap.v3.LayeredRuntime",
    XDS_FIELDS(layered_fields),
};

/* --- the part ------------------------------------------------------------ */

static int by_key(const void *a, const void *b) {
    const model_runtime_t *x = *(const model_runtime_t *const *)a;
    const model_runtime_t *y = *(const model_runtime_t *const *)b;
    int rc = mesh_str_cmp(x->name, y->name);

    return rc != 0 ? rc : (x > y) - (x < y); /* as they were told */
}

void xds_join_runtime(xds_t *xds, model_part_t *part) {
    arena_t *arena = part->arena;
    const model_runtime_t **v =
        arena_alloc(arena, xds->nvalues * sizeof(*v) + 1);

    for (uint32_t i = 0; i < xds->nvalues; i++) {
        v[i] = &xds->values[i];
    }

    qsort(v, xds->nvalues, sizeof(*v), by_key);
    part->runtime = arena_alloc(arena, xds->nvalues * sizeof(*v[0]) + 1);

    for (uint32_t i = 0; i < xds->nvalues; i++) {
        bool last =
            i + 1 == xds->nvalues || !mesh_str_eq(v[i]->name, v[i + 1]->name);

        if (last && v[i]->share.set) {
            part->runtime[part->nruntime++] = *v[i];
        }
    }
}
