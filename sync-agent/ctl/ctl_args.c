/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl's command line.
 */

#include "ctl_args.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent_config.h"
#include "agent_version.h"
#include "ctl_protocol.h"

enum {
    OPT_ZONE = 256,
    OPT_SOCKET,
    OPT_TABLE,
    OPT_TICKET,
    OPT_SOURCE,
    OPT_SNI,
    OPT_PORT,
    OPT_HASH,
    OPT_RESOURCES,
    OPT_INTO,
    OPT_AT,
    OPT_PART,
    OPT_FORMAT,
    OPT_WAIT,
    OPT_APPLIED,
    OPT_TIMEOUT,
    OPT_VERSION,
    OPT_HELP,
};

static const struct option options[] = {
    {"zone", required_argument, NULL, OPT_ZONE},
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"output", required_argument, NULL, 'o'},
    {"header", required_argument, NULL, 'H'},
    {"table", required_argument, NULL, OPT_TABLE},
    {"ticket", required_argument, NULL, OPT_TICKET},
    {"source", required_argument, NULL, OPT_SOURCE},
    {"sni", required_argument, NULL, OPT_SNI},
    {"port", required_argument, NULL, OPT_PORT},
    {"hash", required_argument, NULL, OPT_HASH},
    {"resources", required_argument, NULL, OPT_RESOURCES},
    {"into", required_argument, NULL, OPT_INTO},
    {"at", required_argument, NULL, OPT_AT},
    {"file", required_argument, NULL, 'f'},
    {"part", required_argument, NULL, OPT_PART},
    {"format", required_argument, NULL, OPT_FORMAT},
    {"wait", no_argument, NULL, OPT_WAIT},
    {"applied", required_argument, NULL, OPT_APPLIED},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

bool ctl_parse_u64(const char *text, uint64_t *out) {
    uint64_t value = 0;

    if (*text == '\0') {
        return false;
    }
    for (; *text; text++) {
        unsigned digit = (unsigned)(*text - '0');
        if (digit > 9 || value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

/* "-" is what $mesh_ticket says of a ticket that decided nothing. */
static bool parse_half(const char *text, uint64_t *out) {
    if (strcmp(text, "-") == 0) {
        *out = 0;
        return true;
    }
    return ctl_parse_u64(text, out);
}

/* "ROUTE.CLUSTER", and ".SHARE" if one was drawn. */
static bool parse_ticket(const char *text, ctl_args_t *args) {
    uint64_t *const parts[] = {&args->route_ticket, &args->cluster_ticket,
                               &args->share_ticket};
    size_t n = 0;

    for (; n < mesh_nelts(parts); n++) {
        char part[24];
        size_t len = strcspn(text, ".");

        if (len >= sizeof(part)) {
            return false;
        }
        memcpy(part, text, len);
        part[len] = '\0';
        if (!parse_half(part, parts[n])) {
            return false;
        }
        text += len;
        if (*text == '\0') {
            return n > 0;
        }
        text++;
    }
    return false;
}

/* $mesh_hash: hex digits and nothing else. */
static bool parse_hash(const char *text, uint64_t *out) {
    size_t len = strlen(text);

    if (len == 0 || len > 16 || strspn(text, "0123456789abcdefABCDEF") != len) {
        return false;
    }
    *out = strtoull(text, NULL, 16);
    return true;
}

static bool parse_timeout(const char *text, uint32_t *ms) {
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end != '\0' || !(seconds >= 0) ||
        seconds > CTL_TIMEOUT_MAX_MS / 1000) {
        return false;
    }
    *ms = (uint32_t)(seconds * 1000);
    return true;
}

static bool parse_output(const char *text, ctl_args_t *args) {
    args->json = strcmp(text, "json") == 0;
    return args->json || strcmp(text, "table") == 0;
}

static bool add_header(const char *text, ctl_args_t *args) {
    if (args->nheaders == CTL_HEADERS_MAX || strchr(text, ':') == NULL) {
        return false;
    }
    args->headers[args->nheaders++] = text;
    return true;
}

static bool valid_port(const char *text) {
    uint64_t port;

    return text[0] != '0' && ctl_parse_u64(text, &port) && port <= 65535;
}

static bool add_resources(const char *path, ctl_args_t *args) {
    if (args->nresources == CTL_RESOURCES_MAX) {
        return false;
    }
    args->resources[args->nresources++] = path;
    return true;
}

static void give_text(ctl_args_t *args, unsigned bit, const char **slot,
                      const char *text) {
    *slot = text;
    args->given |= bit;
}

/* false: the value is not what the option takes. */
static bool take_option(int c, const char *value, ctl_args_t *args) {
    switch (c) {
    case OPT_ZONE:
        args->zone = value;
        return true;
    case OPT_SOCKET:
        args->socket = value;
        return true;
    case 'o':
        return parse_output(value, args);
    case 'H':
        args->given |= CTL_TAKES_HEADER;
        return add_header(value, args);
    case OPT_TABLE:
        give_text(args, CTL_TAKES_TABLE, &args->table, value);
        return true;
    case OPT_TICKET:
        args->given |= CTL_TAKES_TICKET;
        return parse_ticket(value, args);
    case OPT_SOURCE:
        give_text(args, CTL_TAKES_SOURCE, &args->source, value);
        return true;
    case OPT_SNI:
        give_text(args, CTL_TAKES_SNI, &args->sni, value);
        return true;
    case OPT_PORT:
        give_text(args, CTL_TAKES_PORT, &args->port, value);
        return valid_port(value);
    case OPT_HASH:
        args->given |= CTL_TAKES_HASH;
        return parse_hash(value, &args->hash);
    case OPT_RESOURCES:
        args->given |= CTL_TAKES_RESOURCES;
        return add_resources(value, args);
    case OPT_INTO:
        give_text(args, CTL_TAKES_INTO, &args->into, value);
        return true;
    case OPT_AT:
        args->given |= CTL_TAKES_AT;
        return ctl_parse_u64(value, &args->at) && args->at != 0;
    case 'f':
        give_text(args, CTL_TAKES_FILE, &args->file, value);
        return true;
    case OPT_PART:
        give_text(args, CTL_TAKES_PART, &args->part, value);
        return ctl_part_valid(value);
    case OPT_FORMAT:
        give_text(args, CTL_TAKES_FORMAT, &args->format, value);
        return true;
    case OPT_WAIT:
        args->given |= CTL_TAKES_WAIT;
        return true;
    case OPT_APPLIED:
        args->given |= CTL_TAKES_APPLIED;
        return ctl_parse_u64(value, &args->applied);
    case OPT_TIMEOUT:
        args->given |= CTL_TAKES_TIMEOUT;
        return parse_timeout(value, &args->timeout_ms);
    default:
        return false;
    }
}

bool ctl_args_take(ctl_args_t *args, const char *name, const char *value) {
    static const int taken[] = {'H', OPT_TABLE, OPT_TICKET, OPT_SOURCE,
                                OPT_HASH};

    for (const struct option *o = options; o->name != NULL; o++) {
        for (size_t i = 0; i < mesh_nelts(taken); i++) {
            if (o->val == taken[i] && strcmp(o->name, name) == 0) {
                return take_option(o->val, value, args);
            }
        }
    }
    return false;
}

static const struct {
    unsigned bit;
    const char *usage;
} option_usages[] = {
    {CTL_TAKES_HEADER, "[-H 'name: value']..."},
    {CTL_TAKES_TABLE, "[--table NAME]"},
    {CTL_TAKES_SOURCE, "[--source ADDRESS]"},
    {CTL_TAKES_SNI, "[--sni NAME]"},
    {CTL_TAKES_PORT, "[--port PORT]"},
    {CTL_TAKES_TICKET, "[--ticket R.C[.S]]"},
    {CTL_TAKES_HASH, "[--hash HEX]"},
    {CTL_TAKES_AT, "[--at GENERATION]"},
    {CTL_TAKES_RESOURCES, "[--resources FILE]..."},
    {CTL_TAKES_INTO, "[--into DIR]"},
    {CTL_TAKES_PART, "[--part NAME]"},
    {CTL_TAKES_FORMAT, "[--format yaml|json|lines]"},
    {CTL_TAKES_APPLIED, "[--applied GENERATION]"},
    {CTL_TAKES_WAIT, "[--wait]"},
    {CTL_TAKES_TIMEOUT, "[--timeout SECONDS]"},
};

static void print_row(FILE *out, const ctl_command_row_t *row) {
    fprintf(out, "%s%s%s", row->name, row->usage[0] ? " " : "", row->usage);
    for (size_t i = 0; i < mesh_nelts(option_usages); i++) {
        if (row->takes & option_usages[i].bit) {
            fprintf(out, " %s", option_usages[i].usage);
        }
    }
    fputc('\n', out);
}

static void print_usage(FILE *out, const ctl_command_row_t *rows,
                        size_t nrows) {
    fputs("usage: meshctl [--zone DIR] [-o json] COMMAND ...\n\n", out);
    for (size_t i = 0; i < nrows; i++) {
        fputs("  ", out);
        print_row(out, &rows[i]);
        fprintf(out, "      %s\n", rows[i].about);
    }
    fputs("\n  --zone DIR     " AGENT_ZONE " unless said\n"
          "  --socket PATH  DIR/agent.sock unless said\n"
          "  -o json        for machines; -o table for people\n"
          "\nexit: 0 ok; 1 a negative answer (no route, refused, not in "
          "time); 2 usage;\n3 zone or agent cannot be read\n",
          out);
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
        print_row(stderr, row);
    } else {
        fprintf(stderr, "usage: meshctl [--zone DIR] [-o json] COMMAND ...; "
                        "see meshctl --help\n");
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

    *args = (ctl_args_t){.zone = AGENT_ZONE,
                         .table = "default",
                         .part = "apply",
                         .timeout_ms = CTL_TIMEOUT_MS};
    *exit_code = CTL_EXIT_USAGE;
    optind = 1;
    while ((c = getopt_long(argc, argv, "o:H:f:h", options, NULL)) != -1) {
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
        if (!take_option(c, optarg, args)) {
            fprintf(stderr, "meshctl: \"%s\" is not a value for its option\n",
                    optarg);
            return usage_error(NULL);
        }
    }
    if (optind == argc) {
        return usage_error(NULL);
    }
    args->argc = argc - optind - 1;
    args->argv = argv + optind + 1;
    return check_row(find_row(argv[optind], rows, nrows), args, argv[optind]);
}
