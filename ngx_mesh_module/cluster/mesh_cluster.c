/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Clusters and endpoints by name and by state: the binding, the tags of
 * runtime slots, the one predicate of what is usable, texts.
 */

#include <arpa/inet.h>
#include <stdio.h>

#include "mesh_cluster.h"


const mesh_rec_bind_cluster_t *
mesh_cluster_bind(const mesh_snapshot_t *s, const mesh_rec_root_t *root,
    mesh_str_t name, uint32_t hash)
{
    const mesh_map_entry_t    *entry;
    const mesh_rec_binding_t  *binding;

    binding = mesh_get(s, root->binding);

    if (binding == NULL) {
        return NULL;
    }

    entry = mesh_map_find(s, binding->clusters, name, hash);

    return entry != NULL ? mesh_get(s, entry->value) : NULL;
}


uint64_t
mesh_endpoint_id(const mesh_snapshot_t *s, const mesh_endpoint_t *endpoint)
{
    uint8_t     key[24];
    uint64_t    h;
    mesh_str_t  path;

    memset(key, 0, sizeof(key));

    key[0] = endpoint->family;
    memcpy(&key[2], &endpoint->port, sizeof(endpoint->port));
    memcpy(&key[4], endpoint->addr, sizeof(endpoint->addr));

    h = mesh_hash64(key, sizeof(key));

    if (endpoint->family == MESH_FAMILY_UNIX) {
        path = mesh_get_str(s, endpoint->host);
        h = mesh_mix64(h ^ mesh_hash64(path.data, path.len));
    }

    return h;
}


uint64_t
mesh_endpoint_tag(const mesh_snapshot_t *s, uint64_t cluster_tag,
    const mesh_endpoint_t *endpoint)
{
    uint64_t  id;

    id = mesh_endpoint_id(s, endpoint);

    /* Mixed, not added: equal endpoints of two clusters are strangers. */

    return mesh_runtime_tag(mesh_mix64(id ^ mesh_mix64(cluster_tag)));
}


uint32_t
mesh_endpoint_out(const mesh_endpoint_t *endpoint, uint32_t health,
    const mesh_endpoint_slot_t *rt_slot, uint64_t now_ms)
{
    uint32_t  out;
    uint64_t  ejected;

    out = 0;

    if (endpoint->health == MESH_HEALTH_UNHEALTHY
        || endpoint->health == MESH_HEALTH_DRAINING)
    {
        out |= MESH_OUT_HEALTH;
    }

    /* A cause that this build does not know is one all the same. */

    if (health & ~(uint32_t) MESH_HEALTH_DRAINED) {
        out |= MESH_OUT_HEALTH;
    }

    if (health & MESH_HEALTH_DRAINED) {
        out |= MESH_OUT_DRAINED;
    }

    if (endpoint->weight == 0) {
        out |= MESH_OUT_WEIGHT;
    }

    if (rt_slot != NULL) {
        ejected = mesh_load_acquire(&rt_slot->ejected);

        if (ejected != 0 && mesh_ejected_until(ejected) > now_ms) {
            out |= MESH_OUT_EJECTED;
        }
    }

    return out;
}


static size_t
endpoint_printed(int n)
{
    return n < 0 ? 0 : (size_t) n;
}


size_t
mesh_endpoint_text(const mesh_snapshot_t *s, const mesh_endpoint_t *endpoint,
    char *out, size_t size)
{
    char        text[INET6_ADDRSTRLEN];
    mesh_str_t  path;

    text[0] = '\0';

    switch (endpoint->family) {

    case MESH_FAMILY_IPV4:
        (void) inet_ntop(AF_INET, endpoint->addr, text, sizeof(text));
        return endpoint_printed(snprintf(out, size, "%s:%u", text,
                                         (unsigned) endpoint->port));

    case MESH_FAMILY_IPV6:
        (void) inet_ntop(AF_INET6, endpoint->addr, text, sizeof(text));
        return endpoint_printed(snprintf(out, size, "[%s]:%u", text,
                                         (unsigned) endpoint->port));

    default:
        path = mesh_get_str(s, endpoint->host);
        return endpoint_printed(snprintf(out, size, "unix:%s", path.data));
    }
}
