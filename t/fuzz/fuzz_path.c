/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Request targets and path normalisation: never longer, final, and what the
 * flags promise.  First two bytes: flags.
 */

#include "route_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(uint32_t flags, mesh_str_t path) {
    char *buffer = malloc(path.len + 1);
    mesh_str_t out, again;
    mesh_path_verdict_e verdict =
        mesh_path_normalize(flags, path, buffer, &out);

    if (verdict != MESH_PATH_REJECT) {
        char *second = malloc(out.len + 1);

        if (out.len > path.len)
            abort();
        if (mesh_path_normalize(flags, out, second, &again) != MESH_PATH_SAME)
            abort();
        if (memchr(out.data, '\0', out.len) != NULL)
            abort();
        free(second);
    }
    free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mesh_str_t path, query, authority;
    bool has_query;

    if (size < 3)
        return 0;

    uint32_t flags = (uint32_t)(data[0] & 3) | (uint32_t)(data[1] & 3)
                                                   << MESH_SLASHES_SHIFT;
    mesh_str_t target = {size - 2, (const char *)data + 2};

    if (mesh_request_target(target, &path, &query, &has_query, &authority) !=
        MESH_OK)
        return 0;
    if (path.len + query.len + authority.len > target.len + 1)
        abort();
    check(flags, path);
    return 0;
}
