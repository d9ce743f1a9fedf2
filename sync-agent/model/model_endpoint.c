/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The identity of an endpoint: its canonical order and its key's hash, both
 * part of the snapshot's format (mesh_format.h, mesh_endpoint_t).
 */

#include "model.h"

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
