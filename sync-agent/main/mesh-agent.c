/* SPDX-License-Identifier: Apache-2.0 */

/*
 * mesh-agent: reads sources, publishes snapshots.  This file is the command
 * line only.
 */

#include <getopt.h>
#include <stdio.h>

#include "agent_args.h"
#include "agent_config.h"
#include "agent_loop.h"
#include "agent_version.h"

#define OPTIONS_MAX 8

static int run(const char *path, bool check) {
    arena_t *arena = arena_new();
    model_errors_t errors;
    char text[4096];

    model_errors_init(&errors, arena);
    agent_config_t *config = agent_config_read(arena, path, &errors);
    for (const model_error_t *e = errors.first; e; e = e->next) {
        (void)model_error_text(e, text, sizeof(text));
        fprintf(check ? stdout : stderr, "%s\n", text);
    }
    int rc = AGENT_EXIT_INVALID;
    if (config != NULL) {
        rc = check ? agent_check(config) : agent_run(path, config);
    }
    arena_free(arena);
    return rc;
}

int main(int argc, char **argv) {
    struct option longs[OPTIONS_MAX + 1] = {{NULL, 0, NULL, 0}};
    const char *path = NULL;
    bool check = false;
    int c;

    for (size_t i = 0; i < agent_noptions && i < OPTIONS_MAX; i++) {
        const agent_option_row_t *row = &agent_options[i];
        longs[i] = (struct option){row->name,
                                   row->value ? required_argument : no_argument,
                                   NULL, row->code};
    }
    while ((c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1) {
        switch (c) {
        case AGENT_OPT_CONFIG:
            path = optarg;
            break;
        case AGENT_OPT_CHECK:
            check = true;
            break;
        case AGENT_OPT_VERSION:
            printf("mesh-agent %s\n", MESH_VERSION_TEXT);
            return AGENT_EXIT_OK;
        case AGENT_OPT_HELP:
            agent_usage(stdout);
            return AGENT_EXIT_OK;
        default:
            agent_usage(stderr);
            return AGENT_EXIT_USAGE;
        }
    }
    if (path == NULL || optind != argc) {
        agent_usage(stderr);
        return AGENT_EXIT_USAGE;
    }
    return run(path, check);
}
