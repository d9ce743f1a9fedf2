/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl's command line.
 */

#include "ctl_args.h"

#include <getopt.h>

#include "agent_config.h"
#include "agent_version.h"
#include "ctl_protocol.h"

/* getopt_long()'s values of long options: the row's index behind this. */
#define OPT_ROW 256
#define OPT_VERSION 512
#define OPT_HELP 513
#define OPTIONS_MAX 48

const ctl_exit_row_t ctl_exits[] = {
    {CTL_EXIT_OK, "ok"},
    {CTL_EXIT_NO,
     "a negative answer: no route, refused, not in time, findings"},
    {CTL_EXIT_USAGE, "usage"},
    {CTL_EXIT_UNREADABLE, "a file, the zone or the agent cannot be read"},
};

const size_t ctl_nexits = mesh_nelts(ctl_exits);

typedef struct {
    struct option longs[OPTIONS_MAX];
    char letters[2 * OPTIONS_MAX];
} getopt_t;

static void make_getopt(getopt_t *g) {
    size_t n = 0;
    char *letter = g->letters;

    for (; n < ctl_noptions; n++) {
        const ctl_option_row_t *row = &ctl_options[n];
        int takes = row->value ? required_argument : no_argument;

        g->longs[n] = (struct option){row->name, takes, NULL, OPT_ROW + (int)n};
        if (row->letter) {
            *letter++ = row->letter;
            *letter++ = ':';
        }
    }
    *letter++ = 'h';
    *letter = '\0';
    g->longs[n++] = (struct option){"version", no_argument, NULL, OPT_VERSION};
    g->longs[n++] = (struct option){"help", no_argument, NULL, OPT_HELP};
    g->longs[n] = (struct option){NULL, 0, NULL, 0};
}

/* What getopt_long() found, or NULL. */
static const ctl_option_row_t *find_option(int c) {
    if (c >= OPT_ROW && c < OPT_ROW + (int)ctl_noptions) {
        return &ctl_options[c - OPT_ROW];
    }
    for (size_t i = 0; i < ctl_noptions; i++) {
        if (ctl_options[i].letter && ctl_options[i].letter == c) {
            return &ctl_options[i];
        }
    }
    return NULL;
}

/* --- usage --------------------------------------------------------------- */

void ctl_option_usage(const ctl_option_row_t *option, char *out, size_t size) {
    const char *space = option->value ? " " : "";
    const char *value = option->value ? option->value : "";
    char name[32];

    if (option->letter) {
        snprintf(name, sizeof(name), "-%c", option->letter);
    } else {
        snprintf(name, sizeof(name), "--%s", option->name);
    }
    snprintf(out, size, "%s%s%s%s%s%s", option->needed ? "" : "[", name, space,
             value, option->needed ? "" : "]", option->repeats ? "..." : "");
}

void ctl_command_usage(const ctl_command_row_t *row, char *out, size_t size) {
    size_t len = (size_t)snprintf(out, size, "%s", row->usage);

    for (size_t i = 0; i < ctl_noptions && len < size; i++) {
        char text[96];

        ctl_option_usage(&ctl_options[i], text, sizeof(text));
        /* One that stands for arguments is told among them already. */
        if ((row->takes & ctl_options[i].takes) &&
            strstr(row->usage, text) == NULL) {
            len += (size_t)snprintf(out + len, size - len, "%s%s",
                                    len ? " " : "", text);
        }
    }
}

static void print_command(const ctl_command_row_t *row, FILE *out) {
    char usage[CTL_USAGE_MAX];

    ctl_command_usage(row, usage, sizeof(usage));
    fprintf(out, "%s%s%s\n", row->name, usage[0] ? " " : "", usage);
}

bool ctl_args_take(ctl_args_t *args, const char *name, const char *value) {
    const unsigned taken = CTL_TAKES_HEADER | CTL_TAKES_TABLE |
                           CTL_TAKES_TICKET | CTL_TAKES_SOURCE | CTL_TAKES_SNI |
                           CTL_TAKES_PORT | CTL_TAKES_HASH | CTL_TAKES_RANDOM;

    for (size_t i = 0; i < ctl_noptions; i++) {
        const ctl_option_row_t *option = &ctl_options[i];

        if ((option->takes & taken) && strcmp(option->name, name) == 0) {
            args->given |= option->takes;
            return option->take(value, args);
        }
    }
    return false;
}

static void print_usage(FILE *out, const ctl_command_row_t *rows,
                        size_t nrows) {
    fputs(
        "usage: meshctl [--zone DIR] [--socket PATH] [-o json] COMMAND ...\n\n",
        out);
    for (size_t i = 0; i < nrows; i++) {
        fputs("  ", out);
        print_command(&rows[i], out);
        fprintf(out, "      %s\n", rows[i].about);
    }
    fputs("\noptions:\n", out);
    for (size_t i = 0; i < ctl_noptions; i++) {
        const ctl_option_row_t *row = &ctl_options[i];
        const char *value = row->value ? row->value : "";
        char letter[8] = "";
        char text[64];

        if (row->letter) {
            snprintf(letter, sizeof(letter), "-%c, ", row->letter);
        }
        snprintf(text, sizeof(text), "%s--%s %s", letter, row->name, value);
        fprintf(out, "  %-28s %s\n", text, row->about);
    }
    fputs("\nexit: ", out);
    for (size_t i = 0; i < ctl_nexits; i++) {
        fprintf(out, "%s%d  %s\n", i ? "      " : "", ctl_exits[i].code,
                ctl_exits[i].about);
    }
}

static const ctl_command_row_t *
find_row(const char *name, const ctl_command_row_t *rows, size_t nrows) {
    for (size_t i = 0; i < nrows; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

static const ctl_command_row_t *usage_error(const ctl_command_row_t *row) {
    if (row != NULL) {
        fputs("usage: meshctl ", stderr);
        print_command(row, stderr);
    } else {
        fprintf(stderr, "usage: meshctl [--zone DIR] [--socket PATH] [-o json] "
                        "COMMAND ...; see meshctl --help\n");
    }
    return NULL;
}

static const ctl_command_row_t *check_row(const ctl_command_row_t *row,
                                          const ctl_args_t *args,
                                          const char *name) {
    if (row == NULL) {
        fprintf(stderr, "meshctl: unknown command \"%s\"\n", name);
        return usage_error(NULL);
    }
    for (size_t i = 0; i < ctl_noptions; i++) {
        if (args->given & ~row->takes & ctl_options[i].takes) {
            fprintf(stderr, "meshctl: %s takes no --%s\n", name,
                    ctl_options[i].name);
        }
    }
    if ((args->given & ~row->takes) || args->argc < row->min ||
        args->argc > row->max) {
        return usage_error(row);
    }
    return row;
}

const ctl_command_row_t *ctl_args_parse(int argc, char **argv,
                                        const ctl_command_row_t *rows,
                                        size_t nrows, ctl_args_t *args,
                                        int *exit_code) {
    int c;

    getopt_t g;

    make_getopt(&g);
    *args = (ctl_args_t){.rows = rows,
                         .nrows = nrows,
                         .zone = AGENT_ZONE,
                         .table = "default",
                         .part = "apply",
                         .timeout_ms = CTL_TIMEOUT_MS};
    *exit_code = CTL_EXIT_USAGE;
    optind = 1;
    while ((c = getopt_long(argc, argv, g.letters, g.longs, NULL)) != -1) {
        if (c == OPT_HELP || c == 'h') {
            print_usage(stdout, rows, nrows);
            *exit_code = CTL_EXIT_OK;
            return NULL;
        }
        if (c == OPT_VERSION) {
            printf("meshctl %s\n", MESH_VERSION_TEXT);
            *exit_code = CTL_EXIT_OK;
            return NULL;
        }
        if (c == '?') {
            return usage_error(NULL);
        }
        const ctl_option_row_t *option = find_option(c);
        if (!option->take(optarg, args)) {
            fprintf(stderr, "meshctl: \"%s\" is not a value for --%s %s\n",
                    optarg, option->name, option->value);
            return usage_error(NULL);
        }
        args->given |= option->takes;
    }
    if (optind == argc) {
        return usage_error(NULL);
    }
    args->argc = argc - optind - 1;
    args->argv = argv + optind + 1;
    return check_row(find_row(argv[optind], rows, nrows), args, argv[optind]);
}
