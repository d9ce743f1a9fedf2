/* SPDX-License-Identifier: Apache-2.0 */

/*
 * OutlierDetection.  What is counted is ejected always or never: Envoy's
 * percentages of enforcement are 0 or 100 here.
 */

#include "xds_cluster.h"

#define COUNT_MAX 1000000
#define ALWAYS 100

typedef struct {
    model_outlier_t outlier;
    uint32_t enforce_5xx;
    uint32_t enforce_gateway;
    uint32_t enforce_local;
} outlier_form_t;

#define FORM(member) offsetof(outlier_form_t, member)
#define OUTLIER(member) offsetof(outlier_form_t, outlier.member)

static bool decode_enforcing(xds_decoder_t *x, const model_node_t *node,
                             const xds_field_t *field, void *out) {
    static const xds_field_t number = {.type = XDS_U32, .max = 100};
    uint32_t value = 0;

    if (!xds_decode_field(x, node, &number, &value)) {
        return false;
    }

    memcpy(out, &value, sizeof(value));
    return value == 0 || value == ALWAYS ||
           xds_later(x, node, XDS_LATER_APART, field,
                     "enforcement of other than 0 or 100 percent");
}

#define ENFORCING(text, member, usual)                                         \
    {                                                                          \
        .name = (text), .type = XDS_CUSTOM, .offset = FORM(member),            \
        .fallback = (usual), .decode = decode_enforcing                        \
    }

static const xds_field_t outlier_fields[] = {
    {.name = "consecutive_5xx",
     .type = XDS_U32,
     .offset = OUTLIER(consecutive_5xx),
     .max = COUNT_MAX,
     .fallback = 5},
    {.name = "consecutive_gateway_failure",
     .type = XDS_U32,
     .offset = OUTLIER(consecutive_gateway_failure),
     .max = COUNT_MAX,
     .fallback = 5},
    {.name = "consecutive_local_origin_failure",
     .type = XDS_U32,
     .offset = OUTLIER(consecutive_local_failure),
     .max = COUNT_MAX,
     .fallback = 5},
    ENFORCING("enforcing_consecutive_5xx", enforce_5xx, ALWAYS),
    ENFORCING("enforcing_consecutive_gateway_failure", enforce_gateway, 0),
    ENFORCING("enforcing_consecutive_local_origin_failure", enforce_local,
              ALWAYS),
    {.name = "split_external_local_origin_errors",
     .type = XDS_BOOL,
     .offset = OUTLIER(split_local)},
    {.name = "base_ejection_time",
     .type = XDS_DURATION,
     .offset = OUTLIER(base_ejection_ms),
     .min = 1,
     .fallback = 30 * 1000},
    {.name = "max_ejection_time",
     .type = XDS_DURATION,
     .offset = OUTLIER(max_ejection_ms),
     .min = 1,
     .fallback = 300 * 1000},
    {.name = "max_ejection_time_jitter",
     .type = XDS_DURATION,
     .offset = OUTLIER(jitter_ms)},
    {.name = "max_ejection_percent",
     .type = XDS_U32,
     .offset = OUTLIER(max_ejection_percent),
     .max = 100,
     .fallback = 10},
    {.name = "interval", .type = XDS_LATER_APART},
    {.name = "enforcing_success_rate", .type = XDS_LATER_APART},
    {.name = "success_rate_minimum_hosts", .type = XDS_LATER_APART},
    {.name = "success_rate_request_volume", .type = XDS_LATER_APART},
    {.name = "success_rate_stdev_factor", .type = XDS_LATER_APART},
    {.name = "enforcing_local_origin_success_rate", .type = XDS_LATER_APART},
    {.name = "failure_percentage_threshold", .type = XDS_LATER_APART},
    {.name = "enforcing_failure_percentage", .type = XDS_LATER_APART},
    {.name = "enforcing_failure_percentage_local_origin",
     .type = XDS_LATER_APART},
    {.name = "failure_percentage_minimum_hosts", .type = XDS_LATER_APART},
    {.name = "failure_percentage_request_volume", .type = XDS_LATER_APART},
    {.name = "successful_active_health_check_uneject_host",
     .type = XDS_LATER_APART},
    {.name = "monitors", .type = XDS_LATER_APART},
    {.name = "always_eject_one_host", .type = XDS_LATER_APART},
    {.name = "detect_degraded_hosts", .type = XDS_LATER_APART},
};

/* As Envoy: a longer base moves the bound that nobody wrote. */
static bool finish_outlier(xds_decoder_t *x, const model_node_t *node,
                           uint64_t seen, void *out) {
    outlier_form_t *form = out;
    model_outlier_t *outlier = &form->outlier;

    (void)seen;

    if (xds_child(node, "max_ejection_time") != NULL &&
        outlier->max_ejection_ms < outlier->base_ejection_ms) {
        return model_wrong_found(&x->d, node,
                                 "max_ejection_time below base_ejection_time",
                                 "it at least as long");
    }

    outlier->set = true;
    outlier->max_ejection_ms =
        mesh_max(outlier->max_ejection_ms, outlier->base_ejection_ms);
    outlier->consecutive_5xx *= form->enforce_5xx != 0;
    outlier->consecutive_gateway_failure *= form->enforce_gateway != 0;
    outlier->consecutive_local_failure *= form->enforce_local != 0;
    return true;
}

const xds_message_t xds_outlier_detection = {
    .name = "envoy.config.cluster.v3.OutlierDetection",
    XDS_FIELDS(outlier_fields),
    .finish = finish_outlier,
};

bool xds_decode_outlier(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out) {
    outlier_form_t form = {.enforce_5xx = 0};

    if (!xds_decode_message(x, node, field->message, &form)) {
        return false;
    }

    memcpy(out, &form.outlier, sizeof(form.outlier));
    return true;
}
