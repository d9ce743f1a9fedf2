/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which requests a route takes besides what they say: of which clients, and
 * what share of them.
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

/* "12", "0.5", "0.0001", with or without a "%" behind. */
static bool parse_share(mesh_str_t text, uint32_t *ppm) {
    uint64_t whole, part = 0;
    uint32_t unit = PERCENT_PPM;

    if (text.len > 1 && text.data[text.len - 1] == '%') {
        text.len--;
    }

    const char *point = memchr(text.data, '.', text.len);
    mesh_str_t digits = text;

    if (point != NULL) {
        digits.len = (size_t)(point - text.data);

        mesh_str_t behind = {text.len - digits.len - 1, point + 1};

        if (behind.len > 4 || !model_parse_u64(behind, &part)) {
            return false;
        }

        for (size_t i = 0; i < behind.len; i++) {
            unit /= 10;
        }
    }

    if (!model_parse_u64(digits, &whole) || whole > 100) {
        return false;
    }

    *ppm = (uint32_t)(whole * PERCENT_PPM + part * unit);
    return *ppm <= MESH_SHARE_ALL;
}

bool model_decode_share(model_decoder_t *d, const model_node_t *node,
                        const model_field_t *field, void *out) {
    model_share_t *share = out;

    share->set = true;

    if (node->kind != MODEL_NODE_SCALAR ||
        !parse_share(node->text, &share->ppm)) {
        return model_wrong(d, node, field->expected);
    }

    return true;
}
