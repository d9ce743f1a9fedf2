/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Endpoints: address, weight, labels, locality, health; and labels, which
 * subsets have too.
 */

#include "model_table.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#define UNIX_PATH_MAX 107     /* sun_path without its NUL */
#define WEIGHT_MAX (1u << 24) /* as mesh_endpoint_t says */

static const char EXPECT_ADDRESS[] =
    "an address such as 127.0.1.1:9080, [::1]:9080, unix:/run/app.sock or "
    "reviews.local:9080";

/* What is between the brackets or dots is the parser's to judge. */
#define PORT ":0*[1-9][0-9]{0,4}"
#define PATTERN_ADDRESS                                                        \
    "^(unix:/[^\\x00-\\x1f\\x7f]+|srv:[-._0-9A-Za-z]+|"                        \
    "\\[[.:0-9A-Fa-f]+\\]" PORT "|[-._0-9A-Za-z]+" PORT ")$"

static const model_value_t healths[] = {
    {"healthy", MESH_HEALTH_HEALTHY},
    {"unhealthy", MESH_HEALTH_UNHEALTHY},
    {"draining", MESH_HEALTH_DRAINING},
    {NULL, 0},
};

static bool is_control(char c) {
    return (uint8_t)c < 0x20 || c == 0x7f;
}

/* --- labels -------------------------------------------------------------- */

static int label_cmp(const void *a, const void *b) {
    const model_label_t *x = a;
    const model_label_t *y = b;

    return mesh_str_cmp(x->name, y->name);
}

const model_field_t model_label_element = {
    .type = MODEL_STRING,
    .max = MODEL_LABEL_MAX,
};

static bool decode_label(model_decoder_t *d, const model_node_t *node,
                         model_label_t *label) {
    static const model_field_t value = {.max = MODEL_LABEL_MAX};

    if (node->key.len > MODEL_LABEL_MAX) {
        return model_wrong_key(d, node, "a long name", "at most 256 bytes");
    }

    label->name = node->key;

    return model_decode_string(d, node, &value, &label->value);
}

bool model_decode_labels(model_decoder_t *d, const model_node_t *node,
                         const model_field_t *field, void *out) {
    model_labels_t *labels = out;
    bool ok = true;
    bool sorted = true;

    (void)field;

    if (node->kind != MODEL_NODE_MAP) {
        return model_wrong(d, node, "labels: a map of text to text");
    }

    if (node->count > MODEL_LABELS_MAX) {
        return model_wrong_found(d, node, "more than 64 labels", "at most 64");
    }

    labels->v = arena_alloc(d->arena, sizeof(*labels->v) * node->count);

    for (const model_node_t *n = node->first; n != NULL; n = n->next) {
        model_label_t *label = &labels->v[labels->count++];

        model_push_key(d, n->key);
        ok &= decode_label(d, n, label);
        model_pop(d);

        if (label != labels->v && label_cmp(label - 1, label) > 0) {
            sorted = false;
        }
    }

    if (!sorted) {
        qsort(labels->v, labels->count, sizeof(*labels->v), label_cmp);
    }

    return ok;
}

/* --- addresses ----------------------------------------------------------- */

static bool parse_port(mesh_str_t text, uint16_t *port) {
    uint64_t value;

    if (!model_parse_u64(text, &value) || value == 0 || value > 65535) {
        return false;
    }

    *port = (uint16_t)value;
    return true;
}

/* IPv4 as RFC 6943 wants it: four decimal numbers, no more. */
bool model_parse_ip(mesh_str_t text, uint8_t *family, uint8_t addr[16]) {
    char copy[INET6_ADDRSTRLEN];

    if (text.len == 0 || text.len >= sizeof(copy)) {
        return false;
    }

    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';

    bool ipv6 = strchr(copy, ':') != NULL;

    *family = ipv6 ? MESH_FAMILY_IPV6 : MESH_FAMILY_IPV4;

    return inet_pton(ipv6 ? AF_INET6 : AF_INET, copy, addr) == 1;
}

static bool is_host_name(mesh_str_t text) {
    bool letter = false;

    for (size_t i = 0; i < text.len; i++) {
        char c = mesh_lower(text.data[i]);

        if (c >= 'a' && c <= 'z') {
            letter = true;
        } else if (!((c >= '0' && c <= '9') || c == '-' || c == '.' ||
                     c == '_')) {
            return false;
        }
    }

    return letter;
}

/* Labels of 1 to 63 bytes, 255 in all (RFC 1035, 2.3.4). */
static bool has_right_labels(mesh_str_t text) {
    size_t label = 0;

    if (text.len > 1 && text.data[text.len - 1] == '.') {
        text.len--;
    }

    for (size_t i = 0; i < text.len; i++) {
        label = text.data[i] == '.' ? 0 : label + 1;

        if (label > 63 || (label == 0 && (i == 0 || text.data[i - 1] == '.'))) {
            return false;
        }
    }

    return label != 0 && text.len <= 253;
}

static bool decode_service(model_decoder_t *d, const model_node_t *node,
                           model_endpoint_t *endpoint) {
    mesh_str_t name = {node->text.len - 4, node->text.data + 4};

    if (!is_host_name(name) || !has_right_labels(name)) {
        return model_wrong(d, node, "a name after srv:");
    }

    endpoint->family = MODEL_FAMILY_SERVICE;
    endpoint->host = name;
    return true;
}

static bool decode_unix(model_decoder_t *d, const model_node_t *node,
                        model_endpoint_t *endpoint) {
    mesh_str_t path = {node->text.len - 5, node->text.data + 5};

    if (path.len < 2 || path.data[0] != '/') {
        return model_wrong(d, node, "an absolute path after unix:");
    }

    if (path.len > UNIX_PATH_MAX) {
        return model_wrong(d, node, "a path of at most 107 bytes");
    }

    for (size_t i = 0; i < path.len; i++) {
        if (is_control(path.data[i])) {
            return model_wrong(d, node, "a path without control characters");
        }
    }

    endpoint->family = MESH_FAMILY_UNIX;
    endpoint->host = path;
    return true;
}

bool model_decode_address(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, void *out) {
    model_endpoint_t *endpoint = out;
    mesh_str_t text = node->text;

    (void)field;

    if (!model_is_text(node)) {
        return model_wrong(d, node, EXPECT_ADDRESS);
    }

    if (mesh_str_starts(text, MESH_STR("unix:"))) {
        return decode_unix(d, node, endpoint);
    }

    if (mesh_str_starts(text, MESH_STR("srv:"))) {
        return decode_service(d, node, endpoint);
    }

    const char *colon = memrchr(text.data, ':', text.len);

    if (colon == NULL) {
        return model_wrong(d, node, EXPECT_ADDRESS);
    }

    mesh_str_t host = {(size_t)(colon - text.data), text.data};
    mesh_str_t port = {text.len - host.len - 1, colon + 1};

    if (!parse_port(port, &endpoint->port)) {
        return model_wrong(d, node, "a port from 1 to 65535 after the \":\"");
    }

    if (host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']') {
        host.data++;
        host.len -= 2;

        return (model_parse_ip(host, &endpoint->family, endpoint->addr) &&
                endpoint->family == MESH_FAMILY_IPV6) ||
               model_wrong(d, node, EXPECT_ADDRESS);
    }

    if (model_parse_ip(host, &endpoint->family, endpoint->addr) &&
        endpoint->family == MESH_FAMILY_IPV4) {
        return true;
    }

    if (is_host_name(host) && has_right_labels(host)) {
        endpoint->family = MODEL_FAMILY_HOST;
        endpoint->host = host;
        return true;
    }

    return model_wrong(d, node, EXPECT_ADDRESS);
}

/* --- the endpoint -------------------------------------------------------- */

#define LOCALITY(member) offsetof(model_locality_t, member)

static const model_field_t locality_fields[] = {
    {.name = "region",
     .type = MODEL_STRING,
     .offset = LOCALITY(region),
     .min = 1,
     .max = MODEL_LABEL_MAX,
     .about = "its region"},
    {.name = "zone",
     .type = MODEL_STRING,
     .offset = LOCALITY(zone),
     .min = 1,
     .max = MODEL_LABEL_MAX,
     .about = "its zone"},
    {.name = "sub_zone",
     .type = MODEL_STRING,
     .offset = LOCALITY(sub_zone),
     .min = 1,
     .max = MODEL_LABEL_MAX,
     .about = "a part of the zone"},
};

static const model_object_t locality_object = {
    .name = "a locality",
    MODEL_FIELDS(locality_fields),
};

/* What it becomes is a label; see finish_endpoint(). */
static bool decode_hash_key(model_decoder_t *d, const model_node_t *node,
                            const model_field_t *field, void *out) {
    static const model_field_t text = {.min = 1, .max = MODEL_LABEL_MAX};
    mesh_str_t value;

    (void)field;
    (void)out;

    return model_decode_string(d, node, &text, &value);
}

enum { ENDPOINT_ADDRESS, ENDPOINT_WEIGHT, ENDPOINT_LABELS, ENDPOINT_ZONE };

#define ENDPOINT(member) offsetof(model_endpoint_t, member)

static const model_field_t endpoint_fields[] = {
    [ENDPOINT_ADDRESS] = {.name = "address",
                          .type = MODEL_CUSTOM,
                          .flags = MODEL_REQUIRED,
                          .decode = model_decode_address,
                          .expected = EXPECT_ADDRESS,
                          .about = "where it is: ip:port, [ipv6]:port, "
                                   "unix:/path, name:port or srv:name",
                          .pattern = PATTERN_ADDRESS},
    [ENDPOINT_WEIGHT] = {.name = "weight",
                         .type = MODEL_U32,
                         .offset = ENDPOINT(weight),
                         .max = WEIGHT_MAX,
                         .fallback = 1,
                         .about = "its share of the traffic; 0: none"},
    [ENDPOINT_LABELS] = {.name = "labels",
                         .type = MODEL_CUSTOM,
                         .offset = ENDPOINT(labels),
                         .decode = model_decode_labels,
                         .expected = "a map of text to text",
                         .about = "what subsets look at",
                         .keys = "",
                         .element = &model_label_element,
                         .max = MODEL_LABELS_MAX},
    [ENDPOINT_ZONE] = {.name = "zone",
                       .type = MODEL_STRING,
                       .offset = ENDPOINT(locality.zone),
                       .min = 1,
                       .max = MODEL_LABEL_MAX,
                       .about = "its zone: short for locality: {zone: ...}"},
    {.name = "locality",
     .type = MODEL_OBJECT,
     .offset = ENDPOINT(locality),
     .object = &locality_object,
     .about = "where it is"},
    {.name = "health",
     .type = MODEL_ENUM,
     .offset = ENDPOINT(health),
     .size = 1,
     .values = healths,
     .about = "what the registry says; unknown, which is usable, unless said"},
    {.name = "priority",
     .type = MODEL_U32,
     .offset = ENDPOINT(priority),
     .max = MESH_PRIORITY_MAX,
     .about = "0 is the first choice; others get load when it fails"},
    {.name = "hash_key",
     .type = MODEL_CUSTOM,
     .decode = decode_hash_key,
     .expected = "text of 1 to 256 bytes",
     .about = "what ring_hash and maglev hash instead of the address",
     .schema = "{'type': 'string', 'minLength': 1, 'maxLength': 256}"},
    {.name = "hostname"},
    {.name = "metadata"},
    {.name = "health_check"},
    {.name = "health_check_port"},
    {.name = "tls"},
    {.name = "additional_addresses"},
};

/* Envoy knows it as metadata, as labels are. */
static bool take_hash_key(model_decoder_t *d, const model_node_t *node,
                          model_labels_t *labels) {
    const model_node_t *key = model_node_child(node, MESH_LABEL_HASH_KEY);
    model_label_t label = {MESH_STR(MESH_LABEL_HASH_KEY), MESH_STR_NULL};
    uint32_t at = 0;

    if (key == NULL) {
        return true;
    }

    label.value = key->text;

    while (at < labels->count && label_cmp(&labels->v[at], &label) < 0) {
        at++;
    }

    if (at < labels->count && label_cmp(&labels->v[at], &label) == 0) {
        return model_wrong_found(d, node, "both hash_key and a label hash_key",
                                 "one of them");
    }

    model_label_t *v =
        arena_alloc(d->arena, sizeof(*v) * (labels->count + (size_t)1));

    for (uint32_t i = 0; i < labels->count; i++) {
        v[i + (i >= at)] = labels->v[i];
    }

    v[at] = label;
    labels->v = v;
    labels->count++;
    return true;
}

static bool finish_endpoint(model_decoder_t *d, const model_node_t *node,
                            uint64_t seen, void *out) {
    const uint64_t both = 1u << ENDPOINT_ZONE | 2u << ENDPOINT_ZONE;
    model_endpoint_t *endpoint = out;

    if ((seen & both) == both) {
        return model_wrong_found(d, node, "both zone and locality",
                                 "one of them");
    }

    return take_hash_key(d, node, &endpoint->labels);
}

static const model_rule_t endpoint_rules[] = {
    {MODEL_RULE_APART, "zone locality", NULL, NULL},
    {MODEL_RULE_ONE, NULL, NULL, NULL},
};

static const model_object_t endpoint_object = {
    .name = "an endpoint",
    MODEL_FIELDS(endpoint_fields),
    .scalar = "address",
    .finish = finish_endpoint,
    .rules = endpoint_rules,
};

const model_field_t model_endpoint_element = {
    .type = MODEL_OBJECT,
    .object = &endpoint_object,
};

/* --- lists of endpoints -------------------------------------------------- */

/* Names the second of two nodes with the address of `twice`. */
static bool wrong_twice(model_decoder_t *d, const model_node_t *list,
                        const model_endpoint_t *twice) {
    uint32_t index = 0;
    uint32_t first = 0;

    for (const model_node_t *n = list->first; n != NULL; n = n->next) {
        const model_node_t *address = n;
        model_endpoint_t endpoint = {0};

        if (n->kind == MODEL_NODE_MAP) {
            address = model_node_child(n, "address");
        }

        model_decode_address(d, address, NULL, &endpoint);
        model_push_index(d, index++);

        if (model_endpoint_cmp(&endpoint, twice) == 0) {
            char words[64];

            snprintf(words, sizeof(words),
                     "each address once (first on line %u)", first);

            if (first != 0) {
                model_wrong(d, address, words);
                model_pop(d);
                return false;
            }

            first = address->line;
        }

        model_pop(d);
    }

    return false;
}

/* Into canonical order, which an orderly file has already. */
static bool sort_endpoints(model_decoder_t *d, const model_node_t *node,
                           model_endpoint_set_t *set) {
    bool sorted = true;

    for (uint32_t i = 1; i < set->count && sorted; i++) {
        sorted = model_endpoint_cmp(&set->v[i - 1], &set->v[i]) <= 0;
    }

    if (!sorted) {
        qsort(set->v, set->count, sizeof(*set->v), model_endpoint_cmp);
    }

    for (uint32_t i = 1; i < set->count; i++) {
        if (model_endpoint_cmp(&set->v[i - 1], &set->v[i]) == 0) {
            return wrong_twice(d, node, &set->v[i]);
        }
    }

    return true;
}

bool model_set_is_named(const model_endpoint_set_t *set) {
    /* Names come last in the canonical order. */
    return set->count != 0 &&
           set->v[set->count - 1].family >= MODEL_FAMILY_HOST;
}

bool model_decode_endpoints(model_decoder_t *d, const model_node_t *node,
                            const model_field_t *field, void *out) {
    static const model_field_t list = {
        .type = MODEL_LIST,
        .offset = offsetof(model_endpoint_set_t, v),
        .count = offsetof(model_endpoint_set_t, count),
        .size = sizeof(model_endpoint_t),
        .element = &model_endpoint_element,
    };
    model_endpoint_set_t *set = out;

    (void)field;

    set->place = model_place(d, node);

    return model_decode_field(d, node, &list, (char *)out + list.offset) &&
           sort_endpoints(d, node, set) && model_check_priorities(d, node, set);
}
