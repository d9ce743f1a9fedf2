/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The table of sources, and decoding a document.
 */

#include "source.h"

#include <openssl/sha.h>
#include <stdio.h>

#include "source_file.h"

const source_ops_t *const source_ops[] = {
    [AGENT_SOURCE_FILE] = &source_file_ops,
    [AGENT_SOURCE_DIRECTORY] = &source_directory_ops,
};

void source_version(mesh_str_t text, char out[SOURCE_VERSION_SIZE]) {
    static const char hex[] = "0123456789abcdef";
    uint8_t digest[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *)text.data, text.len, digest);
    for (size_t i = 0; i < 16; i++) {
        out[2 * i] = hex[digest[i] >> 4];
        out[2 * i + 1] = hex[digest[i] & 15];
    }
    out[32] = '\0';
}

void source_no_report(const source_t *source, uint64_t now_ms,
                      const source_report_t *to) {
    (void)source;
    (void)now_ms;
    (void)to;
}

const char *source_name_state(source_name_state_e state) {
    static const char *const names[] = {
        [SOURCE_NAME_FAILING] = "failing", [SOURCE_NAME_KEPT] = "kept",
        [SOURCE_NAME_PARTIAL] = "partial", [SOURCE_NAME_WAITING] = "waiting",
        [SOURCE_NAME_OK] = "ok",
    };

    return names[state];
}

const char *source_age(uint64_t ms, char out[SOURCE_AGE_SIZE]) {
    static const struct {
        uint64_t s; /* of one */
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    uint64_t s = ms / 1000;
    size_t i = 0;

    while (i + 1 < mesh_nelts(units) && s < 2 * units[i].s) {
        i++;
    }
    snprintf(out, SOURCE_AGE_SIZE, "%llu%c",
             (unsigned long long)(s / units[i].s), units[i].unit);
    return out;
}

bool source_is_json(const char *name) {
    size_t len = strlen(name);
    return len > 5 && strcmp(name + len - 5, ".json") == 0;
}

model_part_t *source_decode(arena_t *arena, const char *name, mesh_str_t text,
                            bool json, uint64_t unix_ms,
                            model_errors_t *errors) {
    uint32_t before = errors->errors;
    char version[SOURCE_VERSION_SIZE];

    const model_node_t *root =
        json ? model_node_from_json(arena, name, text, errors)
             : model_node_from_yaml(arena, name, text, errors);
    if (root == NULL) {
        return NULL;
    }
    model_part_t *part = model_decode(arena, name, root, errors);
    arena_drop_aside(arena);
    if (part == NULL || errors->errors > before) {
        return NULL;
    }
    source_version(text, version);
    part->arena = arena;
    part->name = name;
    part->version = mesh_str_from(arena_strdup(arena, version));
    part->text = text;
    part->time_ms = unix_ms;
    return part;
}
