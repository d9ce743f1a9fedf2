/* SPDX-License-Identifier: Apache-2.0 */

/*
 * mesh-agent: reads sources, publishes snapshots.  This file is the command
 * line only.
 */

#include <getopt.h>
#include <stdio.h>

#include "agent_config.h"
#include "agent_loop.h"
#include "agent_version.h"

static const char usage[] =
    "usage: mesh-agent -c FILE [--check]\n"
    "       mesh-agent --version | --help\n"
    "\n"
    "  -c, --config FILE  agent.yaml\n"
    "      --check        read FILE and all its sources, print every error,\n"
    "                     write nothing\n"
    "      --version\n"
    "      --help\n"
    "\n"
    "exit: 0 ended by TERM or INT, or all is right; 1 errors in a\n"
    "configuration; 2 usage; 3 the zone is another agent's or unusable\n";

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
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *path = NULL;
    bool check = false;
    int c;

    while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            path = optarg;
            break;
        case 'k':
            check = true;
            break;
        case 'v':
            printf("mesh-agent %s\n", MESH_VERSION_TEXT);
            return AGENT_EXIT_OK;
        case 'h':
            fputs(usage, stdout);
            return AGENT_EXIT_OK;
        default:
            fputs(usage, stderr);
            return AGENT_EXIT_USAGE;
        }
    }
    if (path == NULL || optind != argc) {
        fputs(usage, stderr);
        return AGENT_EXIT_USAGE;
    }
    return run(path, check);
}
