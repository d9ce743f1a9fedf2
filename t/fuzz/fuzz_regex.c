/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is let through as a regular expression is one to PCRE2 too, or PCRE2
 * says no; a match ends, and says the same twice.  Bytes up to the first NUL
 * are the pattern, the others the text.
 */

#include "mesh_regex.h"
#include "model_regex.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each place is behind the one before, and its groups are in the text. */
static void check_search(mesh_str_t pattern, mesh_str_t text) {
    mesh_found_t found = {.at = 0};
    uint32_t groups = model_regex_groups(pattern);
    mesh_regex_t re;
    int code;
    size_t at;

    if (!mesh_regex_make(&re, pattern, true, NULL, &code, &at))
        abort();
    while (found.at <= text.len &&
           mesh_regex_search(&re, text, &found) == MESH_FOUND_YES) {
        if (found.v[0] < found.at || found.v[1] < found.v[0])
            abort();
        for (unsigned i = 0; i < 2 * MESH_FOUND_GROUPS; i++) {
            if (found.v[i] != SIZE_MAX &&
                (found.v[i] > text.len || i / 2 > groups))
                abort();
        }
        found.at = found.v[1] + (found.v[0] == found.v[1]);
        found.count++;
    }
    mesh_regex_free(&re);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t len = nul ? (size_t)(nul - data) : size;
    mesh_str_t pattern = {mesh_min(len, (size_t)1024), (const char *)data};
    mesh_str_t text = {nul ? size - len - 1 : 0,
                       nul ? (const char *)nul + 1 : ""};
    char error[192];
    mesh_regex_t re;
    int code;
    size_t at;

    if (!model_regex_valid(pattern, error, sizeof(error)))
        return 0;
    if (!mesh_regex_compile(&re, pattern, NULL, &code, &at))
        abort();
    if (mesh_regex_match(&re, text) != mesh_regex_match(&re, text))
        abort();
    mesh_regex_free(&re);
    check_search(pattern, text);
    return 0;
}
