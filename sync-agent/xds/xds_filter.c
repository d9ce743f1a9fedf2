/* SPDX-License-Identifier: Apache-2.0 */

/*
 * typed_per_filter_config: what tables, hosts and routes say to http filters.
 * A filter is told by the type of its settings, not by its name.
 */

#include "xds_table.h"

enum { FILTER_SESSION, FILTER_CORS, FILTER_BUFFER, FILTERS };

const xds_message_t *const xds_per_filter[] = {
    [FILTER_SESSION] = &xds_session_route,
    [FILTER_CORS] = &xds_cors,
    [FILTER_BUFFER] = &xds_buffer_route,
    [FILTERS] = NULL,
};

static bool decode_filter(xds_decoder_t *x, const model_node_t *any,
                          xds_filters_t *out) {
    mesh_str_t type = xds_type(any);
    int filter = 0;

    while (filter < FILTERS &&
           !mesh_str_eq(type, mesh_str_from(xds_per_filter[filter]->name))) {
        filter++;
    }

    switch (filter) {
    case FILTER_SESSION:
        out->session_said = true;
        return xds_decode_session_route(x, any, &out->session);

    case FILTER_CORS:
        return xds_decode_any(x, any, &xds_cors, &out->cors);

    case FILTER_BUFFER:
        out->body_said = true;
        return xds_decode_buffer_route(x, any, &out->body_limit);

    default:
        return xds_type_later(x, any, "a setting of type");
    }
}

bool xds_decode_per_filter(xds_decoder_t *x, const model_node_t *node,
                           const xds_field_t *field, void *out) {
    bool ok = true;

    (void)field;

    if (node->kind != MODEL_NODE_MAP) {
        return model_wrong(&x->d, node, "a map of filters' names to settings");
    }

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        model_push_key(&x->d, n->key);
        ok &= decode_filter(x, n, out);
        model_pop(&x->d);
    }

    return ok;
}
