/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl schema: what editors check files by.
 */

#include "agent_config_schema.h"
#include "ctl_args.h"
#include "ctl_table.h"
#include "model_schema.h"

int ctl_schema(const ctl_args_t *args) {
    const char *name = args->argc ? args->argv[0] : "mesh";

    if (strcmp(name, "mesh") == 0) {
        ctl_json_print_lines(model_schema(), stdout);
        return CTL_EXIT_OK;
    }
    if (strcmp(name, "agent") == 0) {
        ctl_json_print_lines(agent_config_schema(), stdout);
        return CTL_EXIT_OK;
    }
    fprintf(stderr, "meshctl: no schema \"%s\"; there are mesh and agent\n",
            name);
    return CTL_EXIT_USAGE;
}
