/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Files of a mesh: see ctl_load.h.
 */

#include "ctl_load.h"

#include <errno.h>
#include <string.h>

#include "agent_file.h"
#include "ctl_table.h"

static bool is_json(const char *path) {
    const char *dot = strrchr(path, '.');

    return dot && strcmp(dot, ".json") == 0;
}

static bool load_file(ctl_load_t *load, const char *path) {
    mesh_str_t text;

    if (!agent_file_read_input(load->arena, path, MODEL_FILE_MAX, &text)) {
        fprintf(stderr, "meshctl: %s: %s\n", path, strerror(errno));
        return false;
    }
    model_node_t *root =
        is_json(path)
            ? model_node_from_json(load->arena, path, text, &load->errors)
            : model_node_from_yaml(load->arena, path, text, &load->errors);
    if (root == NULL) {
        return true;
    }
    if (xds_recognize(root)) {
        load->nxds++;
        xds_add(load->xds, path, root);
        return true;
    }
    model_part_t *part = model_decode(load->arena, path, root, &load->errors);
    if (part != NULL) {
        load->parts[load->nparts++] = part;
    }
    return true;
}

bool ctl_load(ctl_load_t *load, arena_t *arena, const char *const *paths,
              uint32_t count, bool apart) {
    *load = (ctl_load_t){.arena = arena};
    model_errors_init(&load->errors, arena);
    load->xds = xds_new(arena, &load->errors, apart);
    load->parts = arena_alloc(arena, (count + 1) * sizeof(*load->parts));
    for (uint32_t i = 0; i < count; i++) {
        if (!load_file(load, paths[i])) {
            return false;
        }
    }
    /* They name each other across files, so they are one part. */
    if (load->nxds != 0) {
        load->parts[load->nparts++] = xds_part(load->xds, "resources");
    }
    return true;
}

bool ctl_load_checked(ctl_load_t *load, arena_t *arena,
                      const ctl_args_t *args) {
    if (!ctl_load(load, arena, (const char *const *)args->argv,
                  (uint32_t)args->argc, false)) {
        return false;
    }
    /* Of a part that is missing, everything would be said missing. */
    if (load->errors.errors == 0) {
        model_check(load->parts, load->nparts, &load->errors);
    }
    return true;
}

void ctl_load_print(const model_error_t *error, const char *before, FILE *out) {
    char line[4096];

    (void)model_error_text(error, line, sizeof(line));
    ctl_plain(line);
    fprintf(out, "%s%s\n", before, line);
}

void ctl_load_complain(const model_errors_t *errors) {
    uint32_t passed = 0;

    for (const model_error_t *e = errors->first; e; e = e->next) {
        if (e->warning && e->expected == NULL) {
            passed++;
            continue;
        }
        ctl_load_print(e, "meshctl: ", stderr);
    }
    if (passed != 0) {
        fprintf(stderr,
                "meshctl: passed over what is not supported yet, in %u "
                "fields; see meshctl validate\n",
                passed);
    }
}
