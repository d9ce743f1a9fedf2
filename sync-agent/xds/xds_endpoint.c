/* SPDX-License-Identifier: Apache-2.0 */

/*
 * ClusterLoadAssignment: endpoints, by locality.
 */

#include "xds_table.h"

#include <stdlib.h>

#define WEIGHT_MAX (1u << 24) /* as mesh_endpoint_t says */
#define LABEL_MAX 256

/* --- addresses ----------------------------------------------------------- */

typedef struct {
    const model_node_t *address;
    uint32_t port;
    const model_node_t *path;
    uint32_t unused;
} address_form_t;

#define ADDRESS(member) offsetof(address_form_t, member)

static bool keep_text(xds_decoder_t *x, const model_node_t *node,
                      const xds_field_t *field, void *out) {
    (void)field;

    if (!model_is_text(node)) {
        return model_wrong(&x->d, node, "text");
    }

    memcpy(out, &node, sizeof(node));
    return true;
}

static const xds_value_t protocols[] = {
    {"TCP", 0, 0},
    {"UDP", 1, XDS_VALUE_LATER},
    {NULL, 0, 0},
};

static const xds_field_t socket_fields[] = {
    {.name = "address",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED | XDS_NO_PRESENCE,
     .offset = ADDRESS(address),
     .decode = keep_text},
    {.name = "port_value",
     .type = XDS_U32,
     .flags = XDS_REQUIRED,
     .offset = ADDRESS(port),
     .min = 1,
     .max = 65535},
    {.name = "protocol",
     .type = XDS_ENUM,
     .offset = ADDRESS(unused),
     .values = protocols},
    {.name = "named_port", .type = XDS_LATER},
    {.name = "resolver_name", .type = XDS_LATER},
    {.name = "ipv4_compat", .type = XDS_LATER},
    {.name = "network_namespace_filepath", .type = XDS_LATER},
};

static const xds_message_t socket_address = {
    .name = "envoy.config.core.v3.SocketAddress",
    XDS_FIELDS(socket_fields),
};

static const xds_field_t pipe_fields[] = {
    {.name = "path",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED,
     .offset = ADDRESS(path),
     .decode = keep_text},
    {.name = "mode",
     .type = XDS_IGNORED,
     .because = "who listens sets the socket's mode"},
};

static const xds_message_t pipe_address = {
    .name = "envoy.config.core.v3.Pipe",
    XDS_FIELDS(pipe_fields),
};

#define ADDRESS_ONE "more than one address"

static const xds_field_t address_fields[] = {
    {.name = "socket_address",
     .type = XDS_MESSAGE,
     .oneof = ADDRESS_ONE,
     .message = &socket_address},
    {.name = "pipe",
     .type = XDS_MESSAGE,
     .oneof = ADDRESS_ONE,
     .message = &pipe_address},
    {.name = "envoy_internal_address", .type = XDS_LATER, .oneof = ADDRESS_ONE},
};

static const xds_message_t address_message = {
    .name = "envoy.config.core.v3.Address",
    XDS_FIELDS(address_fields),
};

/* As the native front end has it: one text. */
static bool decode_address(xds_decoder_t *x, const model_node_t *node,
                           const xds_field_t *field, void *out) {
    address_form_t form = {.port = 0};
    model_node_t text = *node;

    if (!xds_decode_message(x, node, field->message, &form)) {
        return false;
    }

    if (form.path != NULL) {
        text = *form.path;
        text.text = mesh_str_from(arena_printf(x->d.arena, "unix:%.*s",
                                               (int)form.path->text.len,
                                               form.path->text.data));
    } else if (form.address != NULL) {
        mesh_str_t host = form.address->text;
        bool ipv6 = memchr(host.data, ':', host.len) != NULL;

        text = *form.address;
        text.text = mesh_str_from(
            arena_printf(x->d.arena, "%s%.*s%s:%u", ipv6 ? "[" : "",
                         (int)host.len, host.data, ipv6 ? "]" : "", form.port));
    } else {
        return model_wrong_found(&x->d, node, "no address",
                                 "a socket_address or a pipe");
    }

    text.plain = false;
    return model_decode_address(&x->d, &text, NULL, out);
}

/* --- the endpoint -------------------------------------------------------- */

typedef struct {
    model_endpoint_t endpoint;
    uint32_t health;
    uint32_t order; /* how many of the assignment were written before it */
} endpoint_form_t;

#define ENDPOINT(member) offsetof(endpoint_form_t, endpoint.member)

static const xds_field_t inner_fields[] = {
    {.name = "address",
     .type = XDS_CUSTOM,
     .flags = XDS_REQUIRED,
     .message = &address_message,
     .decode = decode_address},
    {.name = "observability_name",
     .type = XDS_IGNORED,
     .because = "metrics carry the address"},
    {.name = "health_check_config",
     .type = XDS_LATER_APART,
     .flags = XDS_DUMPED_HOLLOW},
    {.name = "hostname", .type = XDS_LATER_APART},
    {.name = "additional_addresses", .type = XDS_LATER},
};

static const xds_message_t inner_endpoint = {
    .name = "envoy.config.endpoint.v3.Endpoint",
    XDS_FIELDS(inner_fields),
};

static const xds_value_t healths[] = {
    {"UNKNOWN", 0, MESH_HEALTH_UNKNOWN},
    {"HEALTHY", 1, MESH_HEALTH_HEALTHY},
    {"UNHEALTHY", 2, MESH_HEALTH_UNHEALTHY},
    {"DRAINING", 3, MESH_HEALTH_DRAINING},
    {"TIMEOUT", 4, MESH_HEALTH_UNHEALTHY},
    {"DEGRADED", 5, XDS_VALUE_LATER},
    {NULL, 0, 0},
};

#define ENDPOINT_ONE "both endpoint and endpoint_name"

static const xds_field_t endpoint_fields[] = {
    {.name = "endpoint",
     .type = XDS_MESSAGE,
     .flags = XDS_REQUIRED,
     .oneof = ENDPOINT_ONE,
     .message = &inner_endpoint},
    {.name = "health_status",
     .type = XDS_ENUM,
     .offset = offsetof(endpoint_form_t, health),
     .values = healths},
    {.name = "metadata",
     .type = XDS_MESSAGE,
     .offset = ENDPOINT(labels),
     .message = &xds_metadata},
    {.name = "load_balancing_weight",
     .type = XDS_U32,
     .offset = ENDPOINT(weight),
     .min = 1,
     .max = WEIGHT_MAX,
     .fallback = 1},
    {.name = "endpoint_name", .type = XDS_LATER, .oneof = ENDPOINT_ONE},
};

static bool finish_endpoint(xds_decoder_t *x, const model_node_t *node,
                            uint64_t seen, void *out) {
    endpoint_form_t *form = out;

    (void)x;
    (void)node;
    (void)seen;
    form->endpoint.health = (uint8_t)form->health;
    return true;
}

static const xds_message_t lb_endpoint = {
    .name = "envoy.config.endpoint.v3.LbEndpoint",
    XDS_FIELDS(endpoint_fields),
    .finish = finish_endpoint,
};

static const xds_field_t endpoint_element = {
    .type = XDS_MESSAGE,
    .message = &lb_endpoint,
};

/* --- localities ---------------------------------------------------------- */

typedef struct {
    model_locality_t locality;
    uint32_t priority;
    uint32_t weight;
    uint32_t count;
    endpoint_form_t *v;
} group_t;

#define GROUP(member) offsetof(group_t, member)

static const xds_field_t locality_fields[] = {
    {.name = "region",
     .type = XDS_STRING,
     .offset = offsetof(model_locality_t, region),
     .max = LABEL_MAX},
    {.name = "zone",
     .type = XDS_STRING,
     .offset = offsetof(model_locality_t, zone),
     .max = LABEL_MAX},
    {.name = "sub_zone",
     .type = XDS_STRING,
     .offset = offsetof(model_locality_t, sub_zone),
     .max = LABEL_MAX},
};

const xds_message_t xds_locality = {
    .name = "envoy.config.core.v3.Locality",
    XDS_FIELDS(locality_fields),
};

enum { GROUP_LOCALITY };

static const xds_field_t group_fields[] = {
    [GROUP_LOCALITY] = {.name = "locality",
                        .type = XDS_MESSAGE,
                        .offset = GROUP(locality),
                        .message = &xds_locality},
    {.name = "lb_endpoints",
     .type = XDS_LIST,
     .offset = GROUP(v),
     .count = GROUP(count),
     .size = sizeof(endpoint_form_t),
     .element = &endpoint_element},
    {.name = "priority",
     .type = XDS_U32,
     .offset = GROUP(priority),
     .max = MESH_PRIORITY_MAX},
    {.name = "load_balancing_weight",
     .type = XDS_U32,
     .flags = XDS_DUMPED_HOLLOW,
     .offset = GROUP(weight),
     .min = 1,
     .max = MODEL_LOCALITY_WEIGHT_MAX},
    {.name = "proximity", .type = XDS_LATER_SEEN},
    {.name = "metadata", .type = XDS_LATER_SEEN},
    {.name = "load_balancer_endpoints", .type = XDS_LATER},
    {.name = "leds_cluster_locality_config", .type = XDS_LATER},
};

/* A weight is a locality's. */
static bool finish_group(xds_decoder_t *x, const model_node_t *node,
                         uint64_t seen, void *out) {
    group_t *group = out;

    (void)x;
    (void)node;
    group->weight = seen >> GROUP_LOCALITY & 1 ? group->weight : 0;
    return true;
}

static const xds_message_t locality_endpoints = {
    .name = "envoy.config.endpoint.v3.LocalityLbEndpoints",
    XDS_FIELDS(group_fields),
    .finish = finish_group,
};

static const xds_field_t group_element = {
    .type = XDS_MESSAGE,
    .message = &locality_endpoints,
};

/* --- the assignment ------------------------------------------------------ */

typedef struct {
    mesh_str_t name;
    uint32_t overprovisioning;
    uint32_t count;
    group_t *v;
} assignment_t;

#define ASSIGNMENT(member) offsetof(assignment_t, member)

static const xds_field_t policy_fields[] = {
    {.name = "drop_overloads", .type = XDS_LATER},
    {.name = "overprovisioning_factor",
     .type = XDS_U32,
     .offset = ASSIGNMENT(overprovisioning),
     .min = 1,
     .max = MESH_LB_OVERPROVISIONING_MAX},
    {.name = "endpoint_stale_after", .type = XDS_LATER_APART},
    {.name = "weighted_priority_health", .type = XDS_LATER},
};

static const xds_message_t assignment_policy = {
    .name = "envoy.config.endpoint.v3.ClusterLoadAssignment.Policy",
    XDS_FIELDS(policy_fields),
};

static const xds_field_t assignment_fields[] = {
    {.name = "cluster_name",
     .type = XDS_STRING,
     .offset = ASSIGNMENT(name),
     .max = MESH_NAME_MAX},
    {.name = "endpoints",
     .type = XDS_LIST,
     .offset = ASSIGNMENT(v),
     .count = ASSIGNMENT(count),
     .size = sizeof(group_t),
     .element = &group_element},
    {.name = "policy", .type = XDS_MESSAGE, .message = &assignment_policy},
    {.name = "named_endpoints", .type = XDS_LATER},
};

const xds_message_t xds_load_assignment = {
    .name = "envoy.config.endpoint.v3.ClusterLoadAssignment",
    XDS_FIELDS(assignment_fields),
};

/* Of equal ones, the first that was written comes first. */
static int by_address(const void *a, const void *b) {
    const endpoint_form_t *x = *(const endpoint_form_t *const *)a;
    const endpoint_form_t *y = *(const endpoint_form_t *const *)b;
    int order = model_endpoint_cmp(&x->endpoint, &y->endpoint);

    return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

/*
 * In canonical order.  Of an address that is there twice the first counts,
 * as in Envoy.
 */
static void take_sorted(xds_decoder_t *x, const model_node_t *node,
                        const endpoint_form_t **sorted, uint32_t count,
                        model_endpoint_set_t *set) {
    qsort(sorted, count, sizeof(*sorted), by_address);
    set->v = arena_alloc(x->d.arena, sizeof(*set->v) * count);

    for (uint32_t i = 0; i < count; i++) {
        const model_endpoint_t *endpoint = &sorted[i]->endpoint;

        if (i == 0 ||
            model_endpoint_cmp(&sorted[i - 1]->endpoint, endpoint) != 0) {
            set->v[set->count++] = *endpoint;
        }
    }

    if (set->count != count) {
        model_warn(&x->d, node, "an address that is there again",
                   "each address once");
    }
}

/*
 * Numbers of priorities without gaps, which Envoy may have: a priority without
 * endpoints takes no load.  UINT32_MAX: there is none of them.
 */
static void renumber(model_endpoint_set_t *set, uint32_t *numbers) {
    uint32_t next = 0;

    memset(numbers, 0xff, sizeof(*numbers) * (MESH_PRIORITY_MAX + 1));

    for (uint32_t i = 0; i < set->count; i++) {
        numbers[set->v[i].priority] = 0;
    }

    for (uint32_t i = 0; i <= MESH_PRIORITY_MAX; i++) {
        numbers[i] = numbers[i] == 0 ? next++ : UINT32_MAX;
    }

    for (uint32_t i = 0; i < set->count; i++) {
        set->v[i].priority = numbers[set->v[i].priority];
    }
}

static model_locality_weight_t *find_weight(xds_set_t *set,
                                            const model_locality_t *locality,
                                            uint32_t priority) {
    for (uint32_t i = 0; i < set->nweights; i++) {
        model_locality_weight_t *weight = &set->weights[i];

        if (weight->priority == priority &&
            model_locality_eq(&weight->locality, locality)) {
            return weight;
        }
    }

    return NULL;
}

/*
 * Of a locality that is there again the last weight counts, as in Envoy.  One
 * more than there may be is enough to refuse them.
 */
static void take_weights(xds_decoder_t *x, const assignment_t *form,
                         const uint32_t *numbers, xds_set_t *set) {
    bool some = false;

    for (uint32_t i = 0; i < form->count; i++) {
        some |= form->v[i].weight != 0;
    }

    if (!some) {
        return;
    }

    set->weights = arena_alloc(x->d.arena, sizeof(*set->weights) * form->count);

    for (uint32_t i = 0;
         i < form->count && set->nweights <= MESH_LOCALITY_WEIGHTS_MAX; i++) {
        const group_t *group = &form->v[i];
        uint32_t priority = numbers[group->priority];
        model_locality_weight_t *weight =
            find_weight(set, &group->locality, priority);

        if (group->count == 0 || priority == UINT32_MAX) {
            continue;
        }

        if (weight == NULL) {
            weight = &set->weights[set->nweights++];
        } else if (group->weight == 0) {
            continue;
        }

        *weight =
            (model_locality_weight_t){group->locality, priority, group->weight};
    }
}

bool xds_decode_assignment(xds_decoder_t *x, const model_node_t *node,
                           const xds_field_t *field, void *out) {
    xds_set_t *made = out;
    model_endpoint_set_t *set = &made->set;
    assignment_t form = {.count = 0};
    uint32_t numbers[MESH_PRIORITY_MAX + 1];
    uint32_t total = 0;

    (void)field;

    if (!xds_decode_any(x, node, &xds_load_assignment, &form)) {
        return false;
    }

    for (uint32_t i = 0; i < form.count; i++) {
        total += form.v[i].count;
    }

    const endpoint_form_t **sorted =
        arena_alloc(x->d.arena, sizeof(*sorted) * total);

    total = 0;

    for (uint32_t i = 0; i < form.count; i++) {
        for (uint32_t j = 0; j < form.v[i].count; j++) {
            endpoint_form_t *endpoint = &form.v[i].v[j];

            endpoint->endpoint.locality = form.v[i].locality;
            endpoint->endpoint.priority = form.v[i].priority;
            endpoint->order = total;
            sorted[total++] = endpoint;
        }
    }

    set->place = model_place(&x->d, node);
    set->name = form.name;
    take_sorted(x, node, sorted, total, set);
    renumber(set, numbers);
    made->overprovisioning = form.overprovisioning;
    take_weights(x, &form, numbers, made);
    return true;
}
