/* SPDX-License-Identifier: Apache-2.0 */

/*
 * mesh-agent's command line: main/mesh-agent.c reads it, `meshctl man` tells
 * of it.
 */

#ifndef AGENT_ARGS_H
#define AGENT_ARGS_H

#include <stdio.h>

typedef struct {
    const char *name;
    char letter;       /* or 0; what getopt_long() gives is `code` */
    int code;          /* the letter, or one of its own */
    const char *value; /* what it takes, or NULL */
    const char *about;
} agent_option_row_t;

#define AGENT_OPT_CONFIG 'c'
#define AGENT_OPT_CHECK 'k'
#define AGENT_OPT_VERSION 'v'
#define AGENT_OPT_HELP 'h'

extern const agent_option_row_t agent_options[];
extern const size_t agent_noptions;

typedef struct {
    int code;
    const char *about;
} agent_exit_row_t;

extern const agent_exit_row_t agent_exits[];
extern const size_t agent_nexits;

void agent_usage(FILE *out);

#endif /* AGENT_ARGS_H */
