/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `meshctl rollback GENERATION`, `pin`, `unpin`, `reload`: what changes the
 * policy part through the agent.
 */

#include <stdio.h>

#include "ctl_client.h"

static int run(const ctl_args_t *args, ctl_command_e command,
               uint64_t generation) {
    ctl_request_t request = {.command = command,
                             .generation = generation,
                             .applied = (args->given & CTL_TAKES_WAIT) != 0,
                             .timeout_ms = args->timeout_ms};

    return ctl_client_run(args, &request);
}

int ctl_rollback(const ctl_args_t *args) {
    uint64_t generation;

    if (!ctl_parse_u64(args->argv[0], &generation) || generation == 0) {
        fprintf(stderr, "meshctl: \"%s\" is not a generation\n", args->argv[0]);
        return CTL_EXIT_USAGE;
    }
    return run(args, CTL_ROLLBACK, generation);
}

int ctl_pin(const ctl_args_t *args) {
    return run(args, CTL_PIN, 0);
}

int ctl_unpin(const ctl_args_t *args) {
    return run(args, CTL_UNPIN, 0);
}

int ctl_reload(const ctl_args_t *args) {
    return run(args, CTL_RELOAD, 0);
}
