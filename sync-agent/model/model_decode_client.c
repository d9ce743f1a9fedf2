/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which requests a route takes besides what they say: of which clients, and
 * what share of them; and the runtime, which has shares by name.
 */

#include "model_decode_route.h"

#define PERCENT_PPM (MESH_SHARE_ALL / 100)

/* --- clients ------------------------------------------------------------- */

static const char EXPECT_CIDR[] =
    "an address or a range of them such as 10.0.0.0/8 or 2001:db8::/32";

/* An address alone is a range of one. */
static bool parse_cidr(mesh_str_t text, mesh_cidr_t *cidr) {
    const char *slash = memchr(text.data, '/', text.len);
    mesh_str_t address = text;
    uint64_t bits;

    if (slash != NULL) {
        address.len = (size_t)(slash - text.data);
    }

    if (!model_parse_ip(address, &cidr->family, cidr->addr)) {
        return false;
    }

    uint64_t most = cidr->family == MESH_FAMILY_IPV4 ? 32 : 128;
    mesh_str_t behind = {text.len - address.len, text.data + address.len};

    bits = most;

    if (slash != NULL) {
        behind.data++;
        behind.len--;

        if (!model_parse_u64(behind, &bits) || bits > most) {
            return false;
        }
    }

    cidr->bits = (uint8_t)bits;
    return true;
}

static bool has_more_bits(const mesh_cidr_t *cidr) {
    for (uint32_t i = cidr->bits; i < 8 * sizeof(cidr->addr); i++) {
        if (cidr->addr[i / 8] & 0x80 >> i % 8) {
            return true;
        }
    }

    return false;
}

static bool decode_cidr(model_decoder_t *d, const model_node_t *node,
                        const model_field_t *field, void *out) {
    mesh_cidr_t *cidr = out;

    (void)field;

    if (!model_is_text(node) || !parse_cidr(node->text, cidr)) {
        return model_wrong(d, node, EXPECT_CIDR);
    }

    return !has_more_bits(cidr) ||
           model_wrong(d, node,
                       "only zeroes behind the prefix, as in 10.0.0.0/8");
}

const model_field_t model_address_element = {
    .type = MODEL_CUSTOM,
    .decode = decode_cidr,
    .expected = EXPECT_CIDR,
    .pattern = "^[.:0-9A-Fa-f]+(/[0-9]{1,18})?$",
};

static const model_field_t addresses_field = {
    .type = MODEL_LIST,
    .flags = MODEL_SINGLE | MODEL_FILLED,
    .offset = offsetof(model_addresses_t, v),
    .count = offsetof(model_addresses_t, count),
    .size = sizeof(mesh_cidr_t),
    .element = &model_address_element,
};

bool model_decode_addresses(model_decoder_t *d, const model_node_t *node,
                            const model_field_t *field, void *out) {
    model_addresses_t *addresses = out;

    (void)field;

    if (node->kind == MODEL_NODE_LIST && node->count > MODEL_ADDRESSES_MAX) {
        return model_wrong_found(d, node, "more than 256 ranges",
                                 "at most 256");
    }

    return model_decode_field(d, node, &addresses_field, &addresses->v);
}

/* --- shares -------------------------------------------------------------- */

/*
 * "12", "0.5", "0.0001", with or without a "%" behind.  Decimals say which of
 * Envoy's denominators is meant, which matters to given random values only.
 */
bool model_parse_share(mesh_str_t text, model_share_t *share) {
    static const uint32_t denominators[] = {100, 10000, 10000, MESH_SHARE_ALL,
                                            MESH_SHARE_ALL};
    uint64_t whole, part = 0;
    uint32_t unit = PERCENT_PPM;
    size_t decimals = 0;

    if (text.len > 1 && text.data[text.len - 1] == '%') {
        text.len--;
    }

    const char *point = memchr(text.data, '.', text.len);
    mesh_str_t digits = text;

    if (point != NULL) {
        digits.len = (size_t)(point - text.data);

        mesh_str_t behind = {text.len - digits.len - 1, point + 1};

        decimals = behind.len;

        if (decimals > 4 || !model_parse_u64(behind, &part)) {
            return false;
        }

        for (size_t i = 0; i < decimals; i++) {
            unit /= 10;
        }
    }

    if (!model_parse_u64(digits, &whole) || whole > 100) {
        return false;
    }

    share->set = true;
    share->ppm = (uint32_t)(whole * PERCENT_PPM + part * unit);
    share->denominator = denominators[decimals];
    return share->ppm <= MESH_SHARE_ALL;
}

static bool decode_value(model_decoder_t *d, const model_node_t *node,
                         const model_field_t *field, void *out) {
    return (node->kind == MODEL_NODE_SCALAR &&
            model_parse_share(node->text, out)) ||
           model_wrong(d, node, field->expected);
}

/* A name as people write it: nothing that a terminal or "=" mistakes. */
bool model_is_runtime_key(mesh_str_t text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~') {
            return false;
        }
    }

    return text.len != 0 && text.len <= MESH_RUNTIME_KEY_MAX;
}

static bool decode_key(model_decoder_t *d, const model_node_t *node,
                       const model_field_t *field, void *out) {
    if (!model_is_text(node) || !model_is_runtime_key(node->text)) {
        return model_wrong(d, node, field->expected);
    }

    memcpy(out, &node->text, sizeof(node->text));
    return true;
}

#define EXPECT_SHARE                                                           \
    "a percentage from 0 to 100 such as 10 or 0.5%, with at most 4 decimals"
#define SCHEMA_SHARE                                                           \
    "{'anyOf': [{'type': 'number', 'minimum': 0, 'maximum': 100}, "            \
    "{'type': 'string', 'pattern': "                                           \
    "'^0*(100([.]0{1,4})?|[0-9]{1,2}([.][0-9]{1,4})?)%?$'}]}"
#define EXPECT_KEY "a key of 1 to 256 characters without blanks"

static const model_field_t share_fields[] = {
    {.name = "value",
     .type = MODEL_CUSTOM,
     .flags = MODEL_REQUIRED,
     .decode = decode_value,
     .expected = EXPECT_SHARE,
     .about = "the percentage, unless the runtime has another",
     .schema = SCHEMA_SHARE},
    {.name = "runtime_key",
     .type = MODEL_CUSTOM,
     .offset = offsetof(model_share_t, key),
     .decode = decode_key,
     .expected = EXPECT_KEY,
     .about = "the key whose value in runtime takes the place of this one",
     .pattern = MODEL_PATTERN_RUNTIME_KEY},
};

const model_object_t model_share_object = {
    .name = "a percentage",
    MODEL_FIELDS(share_fields),
    .scalar = "value",
};

/* --- the runtime --------------------------------------------------------- */

bool model_runtime_key(model_decoder_t *d, const model_node_t *node,
                       void *out) {
    model_runtime_t *runtime = out;

    runtime->place = model_place(d, node);
    runtime->name = node->key;

    return model_is_runtime_key(node->key) ||
           model_wrong_name(d, node, node->key, true, EXPECT_KEY);
}

const model_field_t model_runtime_element = {
    .type = MODEL_CUSTOM,
    .offset = offsetof(model_runtime_t, share),
    .decode = decode_value,
    .resource = "runtime key",
    .expected = EXPECT_SHARE,
    .schema = SCHEMA_SHARE,
};

static bool is_keyed(const model_vhost_t *vhost) {
    for (uint32_t i = 0; i < vhost->nroutes; i++) {
        const model_route_t *route = &vhost->routes[i];

        if (route->share.key.len != 0) {
            return true;
        }

        for (uint32_t k = 0; k < route->mirrors.count; k++) {
            if (route->mirrors.v[k].share.key.len != 0) {
                return true;
            }
        }
    }

    return false;
}

void model_mark_keyed(model_route_table_t *table) {
    table->keyed = false;

    for (uint32_t i = 0; i < table->nvhosts; i++) {
        table->vhosts[i].keyed = is_keyed(&table->vhosts[i]);
        table->keyed |= table->vhosts[i].keyed;
    }
}
