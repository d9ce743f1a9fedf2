/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a test in another language asks of the decoder, a document a line:
 *
 *     mesh_texts random SEED COUNT    meshes that are right, as JSON
 *     mesh_texts judge < documents    "ok" or "refused", and what is wrong,
 *                                     tabs between
 *     mesh_texts agent < documents    the same of agent.yaml's
 *     mesh_texts tree FILE...         YAML files as JSON
 */

#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "agent_config.h"
#include "agent_file.h"
#include "ctl_table.h"
#include "model.h"
#include "model_random.h"
#include "model_table.h"
#include "model_text.h"

static int write_random(uint64_t seed, uint64_t count) {
    static const model_random_size_t size = {.clusters = 3,
                                             .endpoints = 3,
                                             .hosts = 2,
                                             .routes = 3,
                                             .names = true,
                                             .wide = true};

    for (uint64_t i = 0; i < count; i++) {
        rng_t rng = {seed + i};
        arena_t *arena = arena_new();
        model_part_t *part = model_random_part(arena, &rng, &size);
        char *text = model_text_json(part, &rng);

        /* A line each: between JSON's tokens an end of line is a blank. */
        for (char *p = text; *p; p++) {
            *p = *p == '\n' ? ' ' : *p;
        }
        puts(text);
        free(text);
        arena_free(arena);
    }
    return 0;
}

static void judge(mesh_str_t text, bool agent) {
    arena_t *arena = arena_new();
    model_errors_t errors;

    model_errors_init(&errors, arena);
    model_node_t *root = model_node_from_json(arena, "x", text, &errors);
    if (root != NULL && agent) {
        (void)agent_config_decode(arena, "x", "", root, &errors);
    } else if (root != NULL) {
        (void)model_decode(arena, "x", root, &errors);
    }
    printf("%s", errors.errors ? "refused" : "ok");
    for (const model_error_t *e = errors.first; e; e = e->next) {
        if (!e->warning) {
            char *words;
            if (asprintf(&words, "%s: %s", e->path ? e->path : "",
                         e->message) == -1) {
                abort();
            }
            ctl_plain(words);
            printf("\t%s", words);
            free(words);
        }
    }
    putchar('\n');
    arena_free(arena);
}

static cJSON *scalar(const model_node_t *node) {
    return model_is_text(node) ? cJSON_CreateString(node->text.data)
                               : cJSON_CreateRaw(node->text.data);
}

static cJSON *tree(const model_node_t *node) {
    cJSON *json;

    switch (node->kind) {
    case MODEL_NODE_NULL:
        return cJSON_CreateNull();
    case MODEL_NODE_SCALAR:
        return scalar(node);
    case MODEL_NODE_LIST:
        json = cJSON_CreateArray();
        for (const model_node_t *n = node->first; n; n = n->next) {
            cJSON_AddItemToArray(json, tree(n));
        }
        return json;
    default:
        json = cJSON_CreateObject();
        for (const model_node_t *n = node->first; n; n = n->next) {
            char *key = strndup(n->key.data, n->key.len);
            cJSON_AddItemToObject(json, key, tree(n));
            free(key);
        }
        return json;
    }
}

static int write_tree(const char *path) {
    arena_t *arena = arena_new();
    model_errors_t errors;
    mesh_str_t text;
    model_node_t *root = NULL;

    model_errors_init(&errors, arena);
    if (agent_file_read(arena, path, MODEL_FILE_MAX, &text)) {
        root = model_node_from_yaml(arena, path, text, &errors);
    }
    if (root == NULL) {
        fprintf(stderr, "%s: %s\n", path,
                errors.first ? errors.first->message : "cannot be read");
        arena_free(arena);
        return 1;
    }
    cJSON *json = tree(root);
    char *line = cJSON_PrintUnformatted(json);
    puts(line);
    cJSON_free(line);
    cJSON_Delete(json);
    arena_free(arena);
    return 0;
}

int main(int argc, char **argv) {
    size_t size = 0;
    char *line = NULL;
    ssize_t len;

    if (argc == 4 && strcmp(argv[1], "random") == 0) {
        return write_random(strtoull(argv[2], NULL, 10),
                            strtoull(argv[3], NULL, 10));
    }
    if (argc > 2 && strcmp(argv[1], "tree") == 0) {
        int rc = 0;
        for (int i = 2; i < argc; i++) {
            rc |= write_tree(argv[i]);
        }
        return rc;
    }
    if (argc != 2) {
        fprintf(stderr, "usage: mesh_texts random SEED COUNT | judge | agent | "
                        "tree FILE...\n");
        return 2;
    }
    while ((len = getline(&line, &size, stdin)) > 0) {
        judge((mesh_str_t){(size_t)len - 1, line},
              strcmp(argv[1], "agent") == 0);
    }
    free(line);
    return 0;
}
