/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The identity of an endpoint: its canonical order and its key's hash, both
 * part of the snapshot's format (mesh_format.h, mesh_endpoint_t).
 */

#include "mesh_subset.h"
#include "model.h"

#include <arpa/inet.h>
#include <stdio.h>

#define KEY_FIXED 24
#define UNIX_PATH_MAX 107 /* sun_path without its NUL */

int model_endpoint_cmp(const void *a, const void *b) {
    const model_endpoint_t *x = a;
    const model_endpoint_t *y = b;

    if (x->family != y->family) {
        return x->family < y->family ? -1 : 1;
    }

    int rc = memcmp(x->addr, y->addr, sizeof(x->addr));

    if (rc != 0) {
        return rc;
    }

    if (x->port != y->port) {
        return x->port < y->port ? -1 : 1;
    }

    return mesh_str_cmp(x->host, y->host);
}

void model_endpoint_text(const model_endpoint_t *e, char *out, size_t size) {
    char ip[INET6_ADDRSTRLEN] = "";
    int len = (int)e->host.len;

    switch (e->family) {
    case MESH_FAMILY_UNIX:
        snprintf(out, size, "unix:%.*s", len, e->host.data);
        break;

    case MESH_FAMILY_IPV4:
        (void)inet_ntop(AF_INET, e->addr, ip, sizeof(ip));
        snprintf(out, size, "%s:%u", ip, e->port);
        break;

    case MESH_FAMILY_IPV6:
        (void)inet_ntop(AF_INET6, e->addr, ip, sizeof(ip));
        snprintf(out, size, "[%s]:%u", ip, e->port);
        break;

    case MODEL_FAMILY_SERVICE:
        snprintf(out, size, "srv:%.*s", len, e->host.data);
        break;

    default:
        snprintf(out, size, "%.*s:%u", len, e->host.data, e->port);
    }
}

uint32_t model_endpoint_hash(const model_endpoint_t *endpoint) {
    uint8_t key[KEY_FIXED + UNIX_PATH_MAX] = {0};
    size_t len = KEY_FIXED;

    key[0] = endpoint->family;
    memcpy(key + 2, &endpoint->port, 2);
    memcpy(key + 4, endpoint->addr, sizeof(endpoint->addr));

    if (endpoint->family == MESH_FAMILY_UNIX) {
        size_t path = mesh_min(endpoint->host.len, (size_t)UNIX_PATH_MAX);

        memcpy(key + KEY_FIXED, endpoint->host.data, path);
        len += path;
    }

    return (uint32_t)mesh_hash64(key, len);
}

static mesh_str_t unescape(arena_t *arena, mesh_str_t text) {
    char *out = arena_alloc(arena, text.len + 1);

    return (mesh_str_t){mesh_subset_unescape(text, out), out};
}

model_labels_t model_subset_labels(arena_t *arena, mesh_str_t name) {
    model_labels_t labels = {
        0, arena_alloc(arena, MESH_SUBSET_LABELS_MAX * sizeof(*labels.v))};
    mesh_str_t label;
    mesh_str_t key;

    while (labels.count < MESH_SUBSET_LABELS_MAX &&
           mesh_subset_next(&name, &label, &key)) {
        mesh_str_t value = {label.len - key.len - 1, key.data + key.len + 1};

        labels.v[labels.count++] =
            (model_label_t){unescape(arena, key), unescape(arena, value)};
    }
    return labels;
}

bool model_has_labels(const model_endpoint_t *endpoint,
                      const model_labels_t *wanted) {
    uint32_t at = 0;

    /* Both are in order of name. */
    for (uint32_t i = 0; i < wanted->count; i++) {
        const model_label_t *label = &wanted->v[i];

        while (at < endpoint->labels.count &&
               mesh_str_cmp(endpoint->labels.v[at].name, label->name) < 0) {
            at++;
        }
        if (at == endpoint->labels.count ||
            !mesh_str_eq(endpoint->labels.v[at].name, label->name) ||
            !mesh_str_eq(endpoint->labels.v[at].value, label->value)) {
            return false;
        }
    }
    return true;
}
