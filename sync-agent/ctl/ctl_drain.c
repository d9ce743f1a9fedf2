/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `meshctl drain CLUSTER ENDPOINT` and `undrain`: through the agent.
 */

#include <stdio.h>

#include "ctl_client.h"

static int run(const ctl_args_t *args, ctl_command_e command) {
    ctl_request_t request = {.command = command,
                             .applied = (args->given & CTL_TAKES_WAIT) != 0,
                             .timeout_ms = args->timeout_ms};
    size_t cluster = strlen(args->argv[0]);
    size_t endpoint = strlen(args->argv[1]);

    if (cluster == 0 || cluster > MESH_NAME_MAX || endpoint == 0 ||
        endpoint > CTL_ENDPOINT_MAX) {
        fprintf(stderr,
                "meshctl: a cluster's name has up to %d bytes, an "
                "endpoint's address up to %d\n",
                MESH_NAME_MAX, CTL_ENDPOINT_MAX);
        return CTL_EXIT_USAGE;
    }
    memcpy(request.cluster, args->argv[0], cluster + 1);
    memcpy(request.endpoint, args->argv[1], endpoint + 1);
    return ctl_client_run(args, &request);
}

int ctl_drain(const ctl_args_t *args) {
    return run(args, CTL_DRAIN);
}

int ctl_undrain(const ctl_args_t *args) {
    return run(args, CTL_UNDRAIN);
}
