/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A route and its action, which are decoded into one form.
 */

#ifndef XDS_ROUTE_H
#define XDS_ROUTE_H

#include "xds_table.h"

/* Rows of operations, of a form that has request_ops and response_ops. */
#define XDS_OPS_FIELDS(form)                                                   \
    {.name = "request_headers_to_add",                                         \
     .type = XDS_CUSTOM,                                                       \
     .offset = offsetof(form, request_ops.add),                                \
     .message = &xds_header_value_option,                                      \
     .decode = xds_decode_ops_add},                                            \
        {.name = "request_headers_to_remove",                                  \
         .type = XDS_CUSTOM,                                                   \
         .offset = offsetof(form, request_ops.remove),                         \
         .decode = xds_decode_ops_remove},                                     \
        {.name = "response_headers_to_add",                                    \
         .type = XDS_CUSTOM,                                                   \
         .offset = offsetof(form, response_ops.add),                           \
         .message = &xds_header_value_option,                                  \
         .decode = xds_decode_ops_add},                                        \
    {                                                                          \
        .name = "response_headers_to_remove", .type = XDS_CUSTOM,              \
        .offset = offsetof(form, response_ops.remove),                         \
        .decode = xds_decode_ops_remove                                        \
    }

/* A route while it is decoded; `route` comes first. */
typedef struct {
    model_route_t route;
    bool timeout_said;
    bool retry_said;
    xds_filters_t filters;
    xds_header_ops_t request_ops;
    xds_header_ops_t response_ops;
    bool https;
    model_labels_t labels; /* metadata_match; each split's, or NULL */
    model_labels_t *split_labels;
    uint32_t not_found; /* the answer where a header names no cluster */
    uint32_t unused;    /* of values that mean what is the case anyway */
} xds_route_form_t;

extern const xds_message_t xds_route_action;    /* xds_route_form_t */
extern const xds_message_t xds_redirect_action; /* xds_route_form_t */
extern const xds_message_t xds_direct_response; /* xds_route_form_t */

#endif /* XDS_ROUTE_H */
