/* SPDX-License-Identifier: Apache-2.0 */

/*
 * mesh-agent's command line.
 */

#include "agent_args.h"
#include "agent_loop.h"
#include "mesh_base.h"

const agent_option_row_t agent_options[] = {
    {"config", 'c', AGENT_OPT_CONFIG, "FILE", "agent.yaml"},
    {"check", 0, AGENT_OPT_CHECK, NULL,
     "read FILE and all its sources, print every error, write nothing"},
    {"version", 0, AGENT_OPT_VERSION, NULL, "print the version"},
    {"help", 'h', AGENT_OPT_HELP, NULL, "print this"},
};

const size_t agent_noptions = mesh_nelts(agent_options);

const agent_exit_row_t agent_exits[] = {
    {AGENT_EXIT_OK, "ended by TERM or INT, or all is right"},
    {AGENT_EXIT_INVALID, "errors in a configuration"},
    {AGENT_EXIT_USAGE, "usage"},
    {AGENT_EXIT_ZONE, "the zone is another agent's or unusable"},
};

const size_t agent_nexits = mesh_nelts(agent_exits);

void agent_usage(FILE *out) {
    fputs("usage: mesh-agent -c FILE [--check]\n"
          "       mesh-agent --version | --help\n\n",
          out);
    for (size_t i = 0; i < agent_noptions; i++) {
        const agent_option_row_t *row = &agent_options[i];
        char letter[8] = "    ";
        char name[32];

        if (row->letter) {
            snprintf(letter, sizeof(letter), "-%c, ", row->letter);
        }
        snprintf(name, sizeof(name), "%s--%s %s", letter, row->name,
                 row->value ? row->value : "");
        fprintf(out, "  %-18s %s\n", name, row->about);
    }
    fputs("\nexit: ", out);
    for (size_t i = 0; i < agent_nexits; i++) {
        fprintf(out, "%s%d  %s\n", i ? "      " : "", agent_exits[i].code,
                agent_exits[i].about);
    }
}
