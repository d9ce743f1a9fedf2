/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl: asks a zone's files, with agent and nginx dead or alive, and tells
 * the agent through its socket.  One row a command; each has a file in ctl/.
 */

#include "ctl_args.h"

#define TAKES_ROOT (CTL_TAKES_AT | CTL_TAKES_RESOURCES)
#define TAKES_WAIT (CTL_TAKES_WAIT | CTL_TAKES_TIMEOUT)

static const ctl_command_row_t commands[] = {
    {"status", 0, 0, 1, ctl_status, "[resources|names]",
     "what is published, and who has it", "resources|names"},
    {"explain",
     CTL_TAKES_HEADER | CTL_TAKES_TABLE | CTL_TAKES_TICKET | CTL_TAKES_SOURCE |
         CTL_TAKES_SNI | CTL_TAKES_PORT | CTL_TAKES_HASH | CTL_TAKES_FILE |
         CTL_TAKES_RANDOM | CTL_TAKES_RUNTIME | CTL_TAKES_VIEW | TAKES_ROOT,
     0, 2, ctl_explain, "METHOD URL | -f FILE|-",
     "where a request goes, and why; of a file, many",
     "GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH @domains"},
    {"clusters", TAKES_ROOT, 0, 0, ctl_clusters, "",
     "clusters, and how each fares", NULL},
    {"routes", TAKES_ROOT, 0, 1, ctl_routes, "[DOMAIN]",
     "routes in the order in which they are tried", CTL_WORDS_DOMAINS},
    {"endpoints", TAKES_ROOT, 0, 1, ctl_endpoints, "[CLUSTER]",
     "endpoints, and why each is in or out", CTL_WORDS_CLUSTERS},
    {"listeners", CTL_TAKES_RESOURCES, 0, 0, ctl_listeners, "",
     "where nginx listens, and for which route tables", NULL},
    {"dump", TAKES_ROOT, 0, 1, ctl_dump, "[clusters|routes]",
     "what the snapshot holds", "clusters|routes"},
    {"history", 0, 0, 0, ctl_history, "", "generations, newest first", NULL},
    {"diff", 0, 1, 2, ctl_diff, "GENERATION [GENERATION]",
     "what changed since, or between two", CTL_WORDS_GENERATIONS},
    {"rollback", TAKES_WAIT, 1, 1, ctl_rollback, "GENERATION",
     "takes an older policy; endpoints stay as they are",
     CTL_WORDS_GENERATIONS},
    {"pin", TAKES_WAIT, 0, 0, ctl_pin, "",
     "holds the policy against its sources", NULL},
    {"unpin", TAKES_WAIT, 0, 0, ctl_unpin, "", "lets the sources rule again",
     NULL},
    {"reload", TAKES_WAIT, 0, 0, ctl_reload, "", "reads all sources again",
     NULL},
    {"drain", TAKES_WAIT, 2, 2, ctl_drain, "CLUSTER ENDPOINT",
     "no new attempt goes to the endpoint; --wait until it is idle",
     CTL_WORDS_CLUSTERS " " CTL_WORDS_ENDPOINTS},
    {"undrain", TAKES_WAIT, 2, 2, ctl_undrain, "CLUSTER ENDPOINT",
     "takes the endpoint back in", CTL_WORDS_CLUSTERS " " CTL_WORDS_ENDPOINTS},
    {"apply",
     CTL_TAKES_FILE | CTL_TAKES_PART | CTL_TAKES_FORMAT | CTL_TAKES_FOLLOW |
         TAKES_WAIT,
     0, 0, ctl_apply, "", "replaces or changes a part of the mesh", NULL},
    {"remove", TAKES_WAIT, 1, 1, ctl_remove, "PART",
     "removes a part that was applied", NULL},
    {"wait", CTL_TAKES_APPLIED | CTL_TAKES_TIMEOUT, 0, 0, ctl_wait, "",
     "until all workers have a generation", NULL},
    {"validate", 0, 1, CTL_ARGUMENTS_MAX, ctl_validate, "FILE...",
     "checks mesh files together", CTL_WORDS_FILES},
    {"compile", CTL_TAKES_INTO, 1, CTL_ARGUMENTS_MAX, ctl_compile, "FILE...",
     "what mesh files become; --into a zone's directory, without an agent",
     CTL_WORDS_FILES},
    {"lint", CTL_TAKES_IGNORE | CTL_TAKES_GATEWAY | CTL_TAKES_AT, 0,
     CTL_ARGUMENTS_MAX, ctl_lint, "[FILE...]",
     "what is allowed but hardly meant, in files or as published",
     CTL_WORDS_FILES},
    {"schema", 0, 0, 1, ctl_schema, "[mesh|agent]",
     "JSON Schema of mesh files, or of agent.yaml", "mesh|agent"},
    {"completion", 0, 1, CTL_ARGUMENTS_MAX, ctl_completion, "bash|zsh|fish",
     "a shell's completion of this command line", "bash|zsh|fish"},
    {"man", 0, 0, 1, ctl_man, "[PAGE]",
     "a manual page: meshctl, mesh-agent, mesh.yaml or agent.yaml",
     "meshctl|mesh-agent|mesh.yaml|agent.yaml"},
};

int main(int argc, char **argv) {
    ctl_args_t args;
    int exit_code = CTL_EXIT_USAGE;
    const ctl_command_row_t *row = ctl_args_parse(
        argc, argv, commands, mesh_nelts(commands), &args, &exit_code);

    return row ? row->run(&args) : exit_code;
}
